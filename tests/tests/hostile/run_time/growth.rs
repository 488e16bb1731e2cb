//! R03, R04: guests that grow memory or tables.
//!
//! A row: the growth in words, what the module declares, by how many pages it grows, and what
//! `memory.grow` and `memory.size` return.

use super::{run, with_run};
use crate::case::{Case, PAGES, Verdict, out_of_fuel, refused, returns, traps};
use hostel::Value;
use std::thread;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    once(&mut cases);
    repeatedly(&mut cases);
    allowed_memory(&mut cases);
    tables(&mut cases);
    endless_growth(&mut cases);
    straight_lines(&mut cases);
    cases
}

/// The text of a module whose memory is `declared` so, and whose `run` does `body`.
fn with_memory(declared: &str, body: &str) -> String {
    format!(
        r#"(module (memory (export "memory") {declared})
                (func (export "fine") (result i32) (i32.const 7))
                (func (export "run") (param i32) (result i32 i32) {body}))"#
    )
}

/// Grows the memory by parameter 0. Returns what `memory.grow` and `memory.size` return then.
const GROW: &str = "(memory.grow (local.get 0)) (memory.size)";

/// R03: a growth over the limit returns -1, and changes nothing.
fn once(cases: &mut Vec<Case>) {
    let most = PAGES as i32;
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
        let run = ("run", &[Value::I32(pages)][..]);
        let text = with_memory(declared, GROW);
        cases.push(Case::call(
            format!("R03/growth {what}"),
            text,
            run,
            returns(answer),
        ));
    }
}

/// R03: growth as far as it goes, the use of what it gave, and growth for ever.
fn repeatedly(cases: &mut Vec<Case>) {
    let most = PAGES;
    #[rustfmt::skip] // a table
    let rows = [
        // The growth in words, the code, the verdict.
        ("one by one, then used to its last byte",
            "(loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
             (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1))
               (i32.const 9))
             (memory.size)
             (i32.load8_u (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)))",
            returns(format!("{most} 9"))),
        ("one by one, then used behind its last byte",
            "(loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
             (i32.load8_u (i32.mul (memory.size) (i32.const 65536))) (i32.const 0)",
            traps("trap-memory")),
        ("failing, then as far as it goes",
            "(drop (memory.grow (i32.const 1000))) (drop (memory.grow (i32.const 65535)))
             (drop (memory.grow (i32.const 15))) (memory.size) (memory.grow (i32.const 1))",
            returns(format!("{most} -1"))),
        ("in one go, all filled",
            "(drop (memory.grow (i32.const 15)))
             (memory.fill (i32.const 0) (i32.const 255) (i32.const 1048576))
             (memory.size) (i32.load (i32.const 1048572))",
            returns(format!("{most} -1"))),
        ("new pages are zero",
            "(memory.fill (i32.const 0) (i32.const 255) (i32.const 65536))
             (drop (memory.grow (i32.const 1)))
             (i32.load (i32.const 65536)) (i32.load (i32.const 131068))",
            returns("0 0")),
        ("for ever, by one",
            "(loop $on (drop (memory.grow (i32.const 1))) (br $on)) (unreachable)", out_of_fuel()),
        ("for ever, by nothing",
            "(loop $on (drop (memory.grow (i32.const 0))) (br $on)) (unreachable)", out_of_fuel()),
        ("for ever, by too much",
            "(loop $on (drop (memory.grow (i32.const 65535))) (br $on)) (unreachable)",
            out_of_fuel()),
        ("for ever, by -1",
            "(loop $on (drop (memory.grow (i32.const -1))) (br $on)) (unreachable)", out_of_fuel()),
    ];
    for (what, body, verdict) in rows {
        let text = with_memory("1", body);
        let run = ("run", &[Value::I32(0)][..]);
        cases.push(Case::call(format!("R03/growth {what}"), text, run, verdict));
    }
}

/// R03: limits that are no whole number of pages, or 0.
fn allowed_memory(cases: &mut Vec<Case>) {
    for (what, bytes, pages) in [
        (", none allowed", 0, 1),
        (" to half a page", (1 << 16) + (1 << 15), 2),
    ] {
        let text = with_memory("0", GROW);
        let run = ("run", &[Value::I32(pages)][..]);
        let case = Case::call(format!("R03/growth{what}"), text, run, returns("-1 0"));
        cases.push(case.limits(|limits| limits.memory_bytes = bytes));
    }
}

/// R04: `table.grow`, which wasmi 2.0.0 may run for ever. Modules with it are refused.
fn tables(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("by one", "(drop (table.grow $table (ref.null func) (i32.const 1)))"),
        ("by -1", "(drop (table.grow $table (ref.null func) (i32.const -1)))"),
        ("for ever (W4, W10)",
            "(loop $on (drop (table.grow $table (ref.null func) (i32.const 1))) (br $on))"),
        ("in dead code", "(unreachable) (drop (table.grow $table (ref.null func) (i32.const 1)))"),
    ];
    for (what, body) in rows {
        cases.push(run(
            format!("R04/table growth {what}"),
            body,
            refused("unsupported"),
        ));
    }
}

/// R04: loops of failing growth. Under tail dispatch each growth leaves native stack in use until
/// the slice of fuel ends.
fn endless_growth(cases: &mut Vec<Case>) {
    let unrolled = "(drop (memory.grow (i32.const 65535)))".repeat(100);
    let unrolled = format!("(loop $on {unrolled} (br $on))");
    #[rustfmt::skip] // a table
    let rows = [
        ("growth by too much (W4)", "(loop $on (drop (memory.grow (i32.const 65535))) (br $on))"),
        ("growth by nothing (W4)", "(loop $on (drop (memory.grow (i32.const 0))) (br $on))"),
        ("growth, unrolled (W4)", &unrolled),
        ("growth between host calls (W4)",
            "(loop $on (drop (memory.grow (i32.const 65535))) (call $noop) (br $on))"),
        ("growth between settings (W4)",
            "(loop $on (drop (memory.grow (i32.const 65535)))
               (call $get (i32.const 0) (i32.const 3)) (drop) (drop) (br $on))"),
    ];
    for (what, body) in rows {
        let case = run(format!("R04/loop of {what}"), body, out_of_fuel());
        cases.push(case.fuel(500_000));
    }
    // Each growth takes the result of the one before, so that it costs one unit of fuel only.
    let chained = format!(
        "(loop $on (i32.const -1) {} (drop) (br $on))",
        "(memory.grow)".repeat(100)
    );
    let case = run("R04/loop of chained growth (W4)", &chained, out_of_fuel());
    cases.push(case.fuel(500_000));
    // The stack that Rust gives to a thread.
    let case = Case::script(
        "R04/loop of chained growth on a thread of 2 MiB (W4)",
        with_run("", &chained),
        out_of_fuel(),
        |setup| {
            let mut instance = setup.instance();
            thread::scope(|scope| {
                let thread = thread::Builder::new().stack_size(2 << 20);
                let thread = thread.spawn_scoped(scope, || {
                    Verdict::of_answer(instance.call_values("run", &[]).map(|_| "ended"))
                });
                let ended = thread.expect("a thread starts").join();
                ended.expect("it does not panic")
            })
        },
    );
    cases.push(case.fuel(500_000));
    let start = r#"(module (memory 1) (func (export "run")) (start $s)
        (func $s (loop $on (drop (memory.grow (i32.const 65535))) (br $on))))"#;
    let case = Case::start("R04/start of growth by too much (W4)", start, out_of_fuel());
    cases.push(case.fuel(500_000));
}

/// R04: growth without a loop. Fuel for a straight line is charged when it begins, so that the
/// slice is as long as the line.
fn straight_lines(cases: &mut Vec<Case>) {
    for (what, growths) in [
        ("20,000", 20_000),
        ("100,000", 100_000),
        ("500,000", 500_000),
    ] {
        let line = format!("(i32.const -1) {} (drop)", "(memory.grow)".repeat(growths));
        let name = format!("R04/straight line of {what} growths (W4)");
        let case = run(name, &line, refused("over-limit memory_grows"));
        cases.push(case.fuel(1_000_000).own_process());
    }
}
