//! R01-R04: guests that never end, or eat memory and stack.

use crate::case::{Act, Case, PAGES, Verdict, clean, refused, spent, trap};
use hostel::{Budget, Value};
use std::{thread, time::Duration};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    loops(&mut cases);
    recursion(&mut cases);
    growth(&mut cases);
    tables(&mut cases);
    cases
}

/// A module with `items`, and a function `run` of `body`.
pub(crate) fn with_run(items: &str, body: &str) -> String {
    format!(
        r#"(module
            (import "host" "noop" (func $noop))
            (import "env" "host_log" (func $log (param i32 i32)))
            (import "env" "host_get_config" (func $get (param i32 i32) (result i32 i32)))
            (import "host" "boom" (func $boom (result i32)))
            (memory $memory (export "memory") 1)
            (table $table 4 funcref) (elem (i32.const 1) $run $one)
            (elem $passive func $run) (data $data "0123456789abcdef")
            (data (i32.const 0) "key")
            (type $nothing (func)) (type $other (func (param f64) (result f64)))
            (global $zero (mut i32) (i32.const 0))
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "fine") (result i32) (i32.const 7))
            (func $one (param i32) (result i32) (local.get 0))
            {items}
            (func $run (export "run") {body}))"#
    )
}

pub(crate) fn run(name: String, body: &str, verdict: Verdict) -> Case {
    Case::new(name, with_run("", body), Act::run(), verdict)
}

// R01

fn loops(cases: &mut Vec<Case>) {
    for (what, body) in [
        ("empty", "(loop $on (br $on))"),
        ("of nops", "(loop $on (nop) (nop) (nop) (br $on))"),
        ("with a condition", "(loop $on (br_if $on (i32.const 1)))"),
        (
            "with a table",
            "(loop $on (br_table $on $on $on (i32.const 7)))",
        ),
        ("in a loop", "(loop $a (loop $b (br $b)) (br $a))"),
        (
            "out of a deep block",
            "(loop $on (block (block (block (block (br $on))))))",
        ),
        (
            "of ifs",
            "(loop $on (if (i32.const 1) (then (br $on)) (else (br $on))))",
        ),
        (
            "of calls",
            "(loop $on (drop (call $one (i32.const 1))) (br $on))",
        ),
        (
            "of indirect calls",
            "(loop $on (drop (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 2))) (br $on))",
        ),
        ("of host calls", "(loop $on (call $noop) (br $on))"),
        (
            "of settings",
            "(loop $on (call $get (i32.const 0) (i32.const 3)) (drop) (drop) (br $on))",
        ),
        (
            "of unset settings",
            "(loop $on (call $get (i32.const 0) (i32.const 1)) (drop) (drop) (br $on))",
        ),
        (
            "of stores",
            "(loop $on (i32.store (i32.const 0) (i32.const 1)) (br $on))",
        ),
        (
            "of globals",
            "(loop $on (global.set $zero (global.get $zero)) (br $on))",
        ),
        (
            "that counts to 2 to the 64",
            "(local $n i64) (loop $on (br_if $on (i64.ne (i64.const 0) (local.tee $n (i64.add (local.get $n) (i64.const 1))))))",
        ),
    ] {
        cases.push(run(format!("R01/loop {what}"), body, spent("out-of-fuel")));
    }
    let forever = "(loop $on (br $on))";
    let deadline = |body: &str, name: &str| {
        run(format!("R01/{name}"), body, spent("deadline")).budget(|budget| {
            *budget = Budget::server()
                .fuel(u64::MAX)
                .deadline(Duration::from_millis(10));
        })
    };
    cases.push(deadline(forever, "loop until the deadline"));
    cases.push(
        deadline(
            "(loop $on (call $noop) (br $on))",
            "loop of host calls until the deadline",
        )
        .budget(|budget| {
            budget.host_calls = u32::MAX;
        }),
    );
    let cancelled = Act::that(|kit| {
        let mut instance = kit.instance();
        let canceller = instance.canceller();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                canceller.cancel();
            });
            Verdict::of(instance.call_values("run", &[]).map(|_| "ended"))
        })
    });
    let cancelled = Case::new(
        "R01/loop until it is cancelled",
        with_run("", forever),
        cancelled,
        spent("cancelled"),
    );
    cases.push(cancelled.fuel(u64::MAX));
    let quota = run(
        "R01/loop of host calls, over their number".into(),
        "(loop $on (call $noop) (br $on))",
        spent("host-calls"),
    );
    cases.push(quota.budget(|budget| budget.host_calls = 10));
    let none = run("R01/no fuel at all".into(), "", spent("out-of-fuel"));
    cases.push(Case {
        act: Act::Start,
        ..none.fuel(0)
    });
    for (what, item) in [
        (
            "allocate",
            r#"(func (export "allocate") (param i32) (result i32) (loop $on (br $on)) (unreachable))"#,
        ),
        (
            "process",
            r#"(func (export "allocate") (param i32) (result i32) (i32.const 1024))"#,
        ),
    ] {
        let text = format!(
            r#"(module (memory (export "memory") 1) {item}
            (func (export "process") (param i32 i32) (result i64) (loop $on (br $on)) (unreachable)))"#
        );
        cases.push(Case::new(
            format!("R01/loop in {what}"),
            text,
            Act::hello(),
            spent("out-of-fuel"),
        ));
    }
}

// R02

fn recursion(cases: &mut Vec<Case>) {
    for (what, items, body) in [
        ("direct", "", "(call $run)"),
        (
            "direct, with work after it",
            "",
            "(call $run) (global.set $zero (i32.const 1))",
        ),
        (
            "mutual",
            "(func $a (call $b)) (func $b (call $run))",
            "(call $a)",
        ),
        (
            "through a table",
            "",
            "(call_indirect (type $nothing) (i32.const 1))",
        ),
        (
            "mutual through a table",
            "(func $a (call_indirect (type $nothing) (i32.const 1)))",
            "(call $a)",
        ),
        (
            "of 100 locals",
            "(func $a (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64) (call $a))",
            "(call $a)",
        ),
        (
            "of a full stack of values",
            "(func $a (param i64 i64 i64 i64 i64 i64 i64 i64) (call $a (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)))",
            "(call $a (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1))",
        ),
        (
            "of a sum",
            "(func $a (result i32) (i32.add (call $a) (call $a)))",
            "(drop (call $a))",
        ),
        ("between host calls", "", "(call $noop) (call $run)"),
        (
            "between settings",
            "",
            "(call $get (i32.const 0) (i32.const 3)) (drop) (drop) (call $run)",
        ),
        ("of 2,000 locals", "LOCALS", "(call $a)"),
        ("of 64 parameters", "PARAMS", "(call $b)"),
    ] {
        let items = match items {
            "LOCALS" => format!("(func $a (local {}) (call $a))", "i64 ".repeat(2_000)),
            "PARAMS" => format!(
                "(func $b (call $a {0})) (func $a (param {1}) (call $a {0}))",
                "(i64.const 1)".repeat(64),
                "i64 ".repeat(64)
            ),
            items => items.to_owned(),
        };
        let text = with_run(&items, body);
        let verdict = trap("trap-stack");
        let case = Case::new(format!("R02/recursion {what}"), text, Act::run(), verdict);
        cases.push(case.fuel(200_000));
    }
    let ackermann = r#"(func $ack (param i64 i64) (result i64)
        (if (result i64) (i64.eqz (local.get 0))
          (then (i64.add (local.get 1) (i64.const 1)))
          (else (if (result i64) (i64.eqz (local.get 1))
            (then (call $ack (i64.sub (local.get 0) (i64.const 1)) (i64.const 1)))
            (else (call $ack (i64.sub (local.get 0) (i64.const 1))
              (call $ack (local.get 0) (i64.sub (local.get 1) (i64.const 1)))))))))"#;
    for (what, m, n, verdict) in [
        ("4, 4", 4, 4, spent("out-of-fuel")),
        ("1, 3000", 1, 3000, trap("trap-stack")),
        ("2, 3", 2, 3, clean("")),
    ] {
        let body = format!("(drop (call $ack (i64.const {m}) (i64.const {n})))");
        let text = with_run(ackermann, &body);
        cases.push(Case::new(
            format!("R02/Ackermann of {what}"),
            text,
            Act::run(),
            verdict,
        ));
    }
    let deep = r#"(func $deep (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
          (else (i32.const 1))))"#;
    for (depth, verdict) in [(900, clean("901")), (1_100, trap("trap-stack"))] {
        let text = with_run(deep, "(nop)").replace(
            r#"(func (export "fine")"#,
            &format!(r#"(func (export "deep") (result i32) (call $deep (i32.const {depth}))) (func (export "fine")"#),
        );
        let act = Act::Call("deep", vec![]);
        cases.push(Case::new(
            format!("R02/{depth} calls deep"),
            text,
            act,
            verdict,
        ));
    }
    for (what, limit) in [("64 calls", 64), ("1 call", 1)] {
        let case = run(
            format!("R02/recursion with {what} allowed"),
            "(call $run)",
            trap("trap-stack"),
        );
        cases.push(case.limits(|limits| limits.call_depth = limit));
    }
    let small = run(
        "R02/recursion on a value stack of 1 KiB".into(),
        "(call $run)",
        trap("trap-stack"),
    );
    cases.push(small.limits(|limits| limits.stack_bytes = 1 << 10));
}

// R03

fn growth(cases: &mut Vec<Case>) {
    let most = PAGES as i32;
    let text = |declared: &str, body: &str| {
        format!(
            r#"(module (memory (export "memory") {declared})
                (func (export "fine") (result i32) (i32.const 7))
                (func (export "run") (param i32) (result i32 i32) {body}))"#
        )
    };
    let grow = "(memory.grow (local.get 0)) (memory.size)";
    for (what, declared, pages, answer) in [
        ("by nothing", "1", 0, "1 1".to_owned()),
        ("by one", "1", 1, "1 2".into()),
        ("to the limit", "1", most - 1, format!("1 {most}")),
        ("one over the limit", "1", most, "-1 1".into()),
        ("by 65,535", "1", 65_535, "-1 1".into()),
        ("by 65,536", "1", 65_536, "-1 1".into()),
        ("by 65,537", "1", 65_537, "-1 1".into()),
        ("by 2 to the 31", "1", i32::MIN, "-1 1".into()),
        ("by 2 to the 31 less one", "1", i32::MAX, "-1 1".into()),
        ("by -1", "1", -1, "-1 1".into()),
        ("by -2", "0", -2, "-1 0".into()),
        ("over its own maximum", "1 2", 2, "-1 1".into()),
        ("to its own maximum", "1 2", 1, "1 2".into()),
    ] {
        let act = Act::Call("run", vec![Value::I32(pages)]);
        cases.push(Case::new(
            format!("R03/growth {what}"),
            text(declared, grow),
            act,
            clean(answer),
        ));
    }
    for (what, body, verdict) in [
        ("one by one, then used to its last byte",
            "(loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
             (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 9))
             (memory.size) (i32.load8_u (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)))",
            clean(format!("{most} 9"))),
        ("one by one, then used behind its last byte",
            "(loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
             (i32.load8_u (i32.mul (memory.size) (i32.const 65536))) (i32.const 0)",
            trap("trap-memory")),
        ("failing, then as far as it goes",
            "(drop (memory.grow (i32.const 1000))) (drop (memory.grow (i32.const 65535))) (drop (memory.grow (i32.const 15)))
             (memory.size) (memory.grow (i32.const 1))",
            clean(format!("{most} -1"))),
        ("in one go, all filled",
            "(drop (memory.grow (i32.const 15))) (memory.fill (i32.const 0) (i32.const 255) (i32.const 1048576))
             (memory.size) (i32.load (i32.const 1048572))", clean(format!("{most} -1"))),
        ("new pages are zero",
            "(memory.fill (i32.const 0) (i32.const 255) (i32.const 65536)) (drop (memory.grow (i32.const 1)))
             (i32.load (i32.const 65536)) (i32.load (i32.const 131068))", clean("0 0")),
        ("for ever, by one", "(loop $on (drop (memory.grow (i32.const 1))) (br $on)) (unreachable)", spent("out-of-fuel")),
        ("for ever, by nothing", "(loop $on (drop (memory.grow (i32.const 0))) (br $on)) (unreachable)", spent("out-of-fuel")),
        ("for ever, by too much", "(loop $on (drop (memory.grow (i32.const 65535))) (br $on)) (unreachable)", spent("out-of-fuel")),
        ("for ever, by -1", "(loop $on (drop (memory.grow (i32.const -1))) (br $on)) (unreachable)", spent("out-of-fuel")),
    ] {
        let act = Act::Call("run", vec![Value::I32(0)]);
        cases.push(Case::new(format!("R03/growth {what}"), text("1", body), act, verdict));
    }
    let none = Case::new(
        "R03/growth where none is allowed",
        text("0", grow),
        Act::Call("run", vec![Value::I32(1)]),
        clean("-1 0"),
    );
    cases.push(none.limits(|limits| limits.memory_bytes = 0));
    let uneven = Case::new(
        "R03/growth to half a page",
        text("0", grow),
        Act::Call("run", vec![Value::I32(2)]),
        clean("-1 0"),
    );
    cases.push(uneven.limits(|limits| limits.memory_bytes = (1 << 16) + (1 << 15)));
}

// R04

fn tables(cases: &mut Vec<Case>) {
    for (what, body) in [
        (
            "by one",
            "(drop (table.grow $table (ref.null func) (i32.const 1)))",
        ),
        (
            "by -1",
            "(drop (table.grow $table (ref.null func) (i32.const -1)))",
        ),
        (
            "for ever (W4, W10)",
            "(loop $on (drop (table.grow $table (ref.null func) (i32.const 1))) (br $on))",
        ),
        (
            "in dead code",
            "(unreachable) (drop (table.grow $table (ref.null func) (i32.const 1)))",
        ),
    ] {
        cases.push(run(
            format!("R04/table growth {what}"),
            body,
            refused("unsupported"),
        ));
    }
    // Under tail dispatch, each leaves native stack in use until its slice ends.
    for (what, body) in [
        (
            "growth by too much (W4)",
            "(loop $on (drop (memory.grow (i32.const 65535))) (br $on))",
        ),
        (
            "growth by nothing (W4)",
            "(loop $on (drop (memory.grow (i32.const 0))) (br $on))",
        ),
        ("growth, unrolled (W4)", "GROWTHS"),
        (
            "growth between host calls (W4)",
            "(loop $on (drop (memory.grow (i32.const 65535))) (call $noop) (br $on))",
        ),
        (
            "growth between settings (W4)",
            "(loop $on (drop (memory.grow (i32.const 65535))) (call $get (i32.const 0) (i32.const 3)) (drop) (drop) (br $on))",
        ),
    ] {
        let growths = format!(
            "(loop $on {} (br $on))",
            "(drop (memory.grow (i32.const 65535)))".repeat(100)
        );
        let body = if body == "GROWTHS" { &growths } else { body };
        let case = run(format!("R04/loop of {what}"), body, spent("out-of-fuel"));
        cases.push(case.fuel(500_000));
    }
    // Each takes what the one before it answered, so that one costs but one unit of fuel.
    let chained = format!(
        "(loop $on (i32.const -1) {} (drop) (br $on))",
        "(memory.grow)".repeat(100)
    );
    let case = run(
        "R04/loop of chained growth (W4)".into(),
        &chained,
        spent("out-of-fuel"),
    );
    cases.push(case.fuel(500_000));
    // The stack of a thread that Rust makes.
    let on_a_thread = Act::that(|kit| {
        let mut instance = kit.instance();
        thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(2 << 20);
            let thread = thread.spawn_scoped(scope, || {
                Verdict::of(instance.call_values("run", &[]).map(|_| "ended"))
            });
            let ended = thread.expect("a thread starts").join();
            ended.expect("it does not panic")
        })
    });
    let case = Case::new(
        "R04/loop of chained growth on a thread of 2 MiB (W4)",
        with_run("", &chained),
        on_a_thread,
        spent("out-of-fuel"),
    );
    cases.push(case.fuel(500_000));
    // Fuel is taken for a whole straight line at once, so that a slice is as long as the line.
    for (what, growths) in [
        ("20,000", 20_000),
        ("100,000", 100_000),
        ("500,000", 500_000),
    ] {
        let line = format!("(i32.const -1) {} (drop)", "(memory.grow)".repeat(growths));
        let case = Case::new(
            format!("R04/straight line of {what} growths (W4)"),
            with_run("", &line),
            Act::run(),
            refused("over-limit memory.grow in one function"),
        );
        cases.push(case.fuel(1_000_000).apart());
    }
    let start = format!(
        "(module (memory 1) (func (export \"run\")) (func $s {}) (start $s))",
        "(loop $on (drop (memory.grow (i32.const 65535))) (br $on))"
    );
    let start = Case::new(
        "R04/start of growth by too much (W4)",
        start,
        Act::Start,
        spent("out-of-fuel"),
    );
    cases.push(start.fuel(500_000));
}
