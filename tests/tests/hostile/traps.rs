//! R05-R10: guests that cost much for their fuel, that trap, and that were stopped.

use crate::{
    case::{Act, Case, Verdict, clean, spent, trap},
    run_time::{run, with_run},
};
use hostel::{Budget, CallError};
use std::time::{Duration, Instant};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    bulk(&mut cases);
    dear(&mut cases);
    traps(&mut cases);
    leftovers(&mut cases);
    floats(&mut cases);
    poisoned(&mut cases);
    cases
}

// R05

fn bulk(cases: &mut Vec<Case>) {
    for (what, body) in [
        (
            "fills of 63 bytes",
            "(memory.fill (i32.const 0) (i32.const 1) (i32.const 63))",
        ),
        (
            "fills of nothing",
            "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0))",
        ),
        (
            "fills of all",
            "(memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))",
        ),
        (
            "copies of 63 bytes",
            "(memory.copy (i32.const 0) (i32.const 1) (i32.const 63))",
        ),
        (
            "copies of all",
            "(memory.copy (i32.const 0) (i32.const 1) (i32.const 65535))",
        ),
        (
            "copies onto themselves",
            "(memory.copy (i32.const 0) (i32.const 0) (i32.const 65536))",
        ),
        (
            "inits",
            "(memory.init $data (i32.const 0) (i32.const 0) (i32.const 16))",
        ),
        (
            "table copies",
            "(table.copy $table $table (i32.const 0) (i32.const 1) (i32.const 3))",
        ),
        (
            "table fills",
            "(table.fill $table (i32.const 0) (ref.null func) (i32.const 4))",
        ),
        (
            "table inits",
            "(table.init $table $passive (i32.const 0) (i32.const 0) (i32.const 1))",
        ),
        ("segment drops", "(data.drop $data) (elem.drop $passive)"),
    ] {
        let body = format!("(loop $on {body} (br $on))");
        cases.push(run(
            format!("R05/{what} for ever"),
            &body,
            spent("out-of-fuel"),
        ));
    }
    let large = r#"(module (memory 16) (table $t 100000 externref)
        (func (export "run") (loop $on (memory.copy (i32.const 0) (i32.const 1) (i32.const 1048575)) (br $on)))
        (func (export "table") (loop $on (table.fill $t (i32.const 0) (ref.null extern) (i32.const 100000)) (br $on))))"#;
    for (what, export) in [
        ("copies of 1 MiB for ever", "run"),
        ("fills of 100,000 elements for ever", "table"),
    ] {
        let act = Act::Call(export, vec![]);
        cases.push(Case::new(
            format!("R05/{what}"),
            large,
            act,
            spent("out-of-fuel"),
        ));
    }
    let dear = r#"(module (memory 16) (func (export "run")
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576))))"#;
    cases.push(
        Case::new(
            "R05/fill that costs more than there is",
            dear,
            Act::run(),
            spent("out-of-fuel"),
        )
        .fuel(10_000),
    );
}

// R06

/// The dearest operations for a unit of fuel: they still end in time.
fn dear(cases: &mut Vec<Case>) {
    const MOST: Duration = Duration::from_secs(5);
    let locals = format!("(func $dear (local {}))", "i64 ".repeat(2_000));
    for (what, items, body) in [
        (
            "loads that miss the cache",
            "",
            "(drop (i32.load8_u (i32.and (i32.const 65535) (local.tee $n (i32.add (local.get $n) (i32.const 12289))))))",
        ),
        (
            "growth by nothing",
            "",
            "(drop (memory.grow (i32.const 0)))",
        ),
        ("host calls", "", "(call $noop)"),
        (
            "settings",
            "",
            "(call $get (i32.const 0) (i32.const 3)) (drop) (drop)",
        ),
        ("log records", "", "(call $log (i32.const 0) (i32.const 3))"),
        (
            "divisions",
            "",
            "(drop (i64.div_s (i64.const -1) (i64.or (i64.const 3) (i64.extend_i32_u (local.get $n)))))",
        ),
        (
            "square roots",
            "",
            "(drop (f64.sqrt (f64.convert_i32_u (local.get $n))))",
        ),
        ("calls of 2,000 locals", &*locals, "(call $dear)"),
        (
            "indirect calls",
            "",
            "(drop (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 2)))",
        ),
        (
            "branch tables",
            "",
            "(block $a (block $b (br_table $a $b $a (i32.and (local.get $n) (i32.const 1)))))",
        ),
    ] {
        let body = format!("(local $n i32) (loop $on {body} (br $on))");
        let act = Act::that(|kit| {
            let mut instance = kit.instance();
            let began = Instant::now();
            let verdict = Verdict::of(instance.call_values("run", &[]).map(|_| "ended"));
            if began.elapsed() > MOST {
                clean("too slow")
            } else {
                verdict
            }
        });
        let text = with_run(items, &body);
        cases.push(
            Case::new(
                format!("R06/{what} end in time"),
                text,
                act,
                spent("out-of-fuel"),
            )
            .fuel(100_000),
        );
    }
}

// R07

fn traps(cases: &mut Vec<Case>) {
    let mut all: Vec<(String, String, &str)> = Vec::new();
    let mut add = |what: &str, body: &str, code: &'static str| {
        all.push((what.to_owned(), body.to_owned(), code));
    };
    add("unreachable", "(unreachable)", "trap-unreachable");
    for (load, size) in [
        ("i32.load", 4),
        ("i32.load8_s", 1),
        ("i32.load16_u", 2),
        ("i64.load", 8),
        ("i64.load32_s", 4),
        ("f32.load", 4),
        ("f64.load", 8),
    ] {
        let at = 65_536 - size + 1;
        add(
            &format!("{load} across the end"),
            &format!("(drop ({load} (i32.const {at})))"),
            "trap-memory",
        );
    }
    for (store, zero, size) in [
        ("i32.store", "i32", 4),
        ("i32.store8", "i32", 1),
        ("i64.store", "i64", 8),
        ("i64.store32", "i64", 4),
        ("f64.store", "f64", 8),
    ] {
        let at = 65_536 - size + 1;
        add(
            &format!("{store} across the end"),
            &format!("({store} (i32.const {at}) ({zero}.const 0))"),
            "trap-memory",
        );
    }
    for (what, body, code) in [
        (
            "offset and pointer that wrap",
            "(drop (i32.load offset=0xffffffff (i32.const -1)))",
            "trap-memory",
        ),
        (
            "offset that wraps to inside",
            "(drop (i32.load offset=0xfffffff0 (i32.const 32)))",
            "trap-memory",
        ),
        (
            "store at -1",
            "(i32.store8 (i32.const -1) (i32.const 0))",
            "trap-memory",
        ),
        (
            "fill across the end",
            "(memory.fill (i32.const 65535) (i32.const 0) (i32.const 2))",
            "trap-memory",
        ),
        (
            "fill of nothing behind the end",
            "(memory.fill (i32.const 65537) (i32.const 0) (i32.const 0))",
            "trap-memory",
        ),
        (
            "fill of -1",
            "(memory.fill (i32.const 1) (i32.const 0) (i32.const -1))",
            "trap-memory",
        ),
        (
            "copy from outside",
            "(memory.copy (i32.const 0) (i32.const 65536) (i32.const 1))",
            "trap-memory",
        ),
        (
            "copy to outside",
            "(memory.copy (i32.const 65536) (i32.const 0) (i32.const 1))",
            "trap-memory",
        ),
        (
            "copy of -1",
            "(memory.copy (i32.const 1) (i32.const 1) (i32.const -1))",
            "trap-memory",
        ),
        (
            "init from behind its data",
            "(memory.init $data (i32.const 0) (i32.const 16) (i32.const 1))",
            "trap-memory",
        ),
        (
            "init to outside",
            "(memory.init $data (i32.const 65530) (i32.const 0) (i32.const 16))",
            "trap-memory",
        ),
        (
            "init of dropped data",
            "(data.drop $data) (memory.init $data (i32.const 0) (i32.const 0) (i32.const 1))",
            "trap-memory",
        ),
        (
            "table get from outside",
            "(drop (table.get $table (i32.const 4)))",
            "trap-table",
        ),
        (
            "table get at -1",
            "(drop (table.get $table (i32.const -1)))",
            "trap-table",
        ),
        (
            "table set outside",
            "(table.set $table (i32.const 4) (ref.null func))",
            "trap-table",
        ),
        (
            "table fill across the end",
            "(table.fill $table (i32.const 3) (ref.null func) (i32.const 2))",
            "trap-table",
        ),
        (
            "table copy from outside",
            "(table.copy $table $table (i32.const 0) (i32.const 4) (i32.const 1))",
            "trap-table",
        ),
        (
            "table init from behind its elements",
            "(table.init $table $passive (i32.const 0) (i32.const 1) (i32.const 1))",
            "trap-table",
        ),
        (
            "table init of dropped elements",
            "(elem.drop $passive) (table.init $table $passive (i32.const 0) (i32.const 0) (i32.const 1))",
            "trap-table",
        ),
        (
            "indirect call outside",
            "(call_indirect (type $nothing) (i32.const 4))",
            "trap-table",
        ),
        (
            "indirect call at -1",
            "(call_indirect (type $nothing) (i32.const -1))",
            "trap-table",
        ),
        (
            "indirect call of nothing",
            "(call_indirect (type $nothing) (i32.const 0))",
            "trap-null-call",
        ),
        (
            "indirect call of another type",
            "(drop (call_indirect (type $other) (f64.const 0) (i32.const 1)))",
            "trap-signature",
        ),
        (
            "indirect call of fewer parameters",
            "(call_indirect (type $nothing) (i32.const 2))",
            "trap-signature",
        ),
        (
            "indirect call of a dropped function",
            "(table.set $table (i32.const 1) (ref.null func)) (call_indirect (type $nothing) (i32.const 1))",
            "trap-null-call",
        ),
    ] {
        add(what, body, code);
    }
    for ty in ["i32", "i64"] {
        for op in ["div_s", "div_u", "rem_s", "rem_u"] {
            let body =
                format!("(local $zero {ty}) (drop ({ty}.{op} ({ty}.const 1) (local.get $zero)))");
            add(&format!("{ty}.{op} by zero"), &body, "trap-division");
        }
        let least = if ty == "i32" {
            "0x80000000"
        } else {
            "0x8000000000000000"
        };
        let body = format!(
            "(local $n {ty}) (local.set $n ({ty}.const -1)) (drop ({ty}.div_s ({ty}.const {least}) (local.get $n)))"
        );
        add(
            &format!("{ty}.div_s of the least by -1"),
            &body,
            "trap-overflow",
        );
        for float in ["f32", "f64"] {
            for sign in ["s", "u"] {
                for (value, code) in [
                    ("nan", "trap-conversion"),
                    ("inf", "trap-overflow"),
                    ("-1e30", "trap-overflow"),
                ] {
                    let body = format!(
                        "(local $f {float}) (local.set $f ({float}.const {value})) (drop ({ty}.trunc_{float}_{sign} (local.get $f)))"
                    );
                    add(
                        &format!("{ty}.trunc_{float}_{sign} of {value}"),
                        &body,
                        code,
                    );
                }
            }
        }
    }
    for (what, body, code) in all {
        cases.push(run(format!("R07/{what}"), &body, trap(code)));
    }
    cases.push(run(
        "R07/remainder of the least by -1 is none".into(),
        "(if (i32.rem_s (i32.const 0x80000000) (i32.const -1)) (then (unreachable)))",
        clean(""),
    ));
    cases.push(
        run(
            "R07/host panic".into(),
            "(drop (call $boom))",
            trap("trap-host-panic"),
        )
        .panics(1),
    );
}

// R08

fn leftovers(cases: &mut Vec<Case>) {
    let after = |fuel: u64, body: &str, name: &str| {
        let act = Act::that(move |kit| {
            let mut instance = kit.instance();
            instance.set_budget(Budget::server().fuel(fuel));
            let first = instance.call_values("run", &[]);
            assert_eq!(first, Err(CallError::OutOfFuel { fuel }));
            assert_eq!(instance.usage().fuel, fuel, "all of it is gone");
            Verdict::of(instance.call::<(), u32>("fine", ()))
        });
        Case::new(
            format!("R08/{name}"),
            with_run("", body),
            act,
            trap("stopped"),
        )
    };
    cases.extend([
        after(
            500,
            "(memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))",
            "fuel left by a fill that was too dear",
        ),
        after(500, "(loop $on (br $on))", "no fuel left by a loop"),
        after(
            30,
            "(call $noop) (call $noop)",
            "fuel left by a host call that was too dear",
        ),
        after(
            500,
            "(call $log (i32.const 0) (i32.const 65536))",
            "fuel left by a log record that was too dear",
        ),
        after(22_000, "(loop $on (br $on))", "fuel of the third slice"),
    ]);
    let carried = Act::that(|kit| {
        let mut instance = kit.instance();
        instance.set_budget(Budget::server().fuel(1_000));
        let used: Vec<_> = (0..3)
            .map(|_| {
                let answer: u32 = instance.call("fine", ()).expect("it answers");
                assert_eq!(answer, 7);
                instance.usage().fuel
            })
            .collect();
        clean(if used[0] == used[1] && used[1] == used[2] {
            "each its own"
        } else {
            "carried"
        })
    });
    cases.push(Case::new(
        "R08/fuel is not carried to the next call",
        with_run("", ""),
        carried,
        clean("each its own"),
    ));
}

// R09

fn floats(cases: &mut Vec<Case>) {
    for (what, ty, body) in [
        (
            "zero by zero",
            "i32",
            "(i32.reinterpret_f32 (f32.div (f32.const 0) (local.get $f)))",
        ),
        (
            "a signalling one",
            "i32",
            "(i32.reinterpret_f32 (f32.add (f32.const nan:0x200000) (local.get $f)))",
        ),
        (
            "two of them",
            "i32",
            "(i32.reinterpret_f32 (f32.add (f32.const nan:0x200001) (f32.const -nan:0x300001)))",
        ),
        (
            "a root",
            "i32",
            "(i32.reinterpret_f32 (f32.sqrt (f32.const -1)))",
        ),
        (
            "a minimum",
            "i32",
            "(i32.reinterpret_f32 (f32.min (f32.const nan) (local.get $f)))",
        ),
        (
            "a wide quotient",
            "i64",
            "(i64.reinterpret_f64 (f64.div (f64.const 0) (f64.promote_f32 (local.get $f))))",
        ),
    ] {
        let text = format!(r#"(module (func (export "run") (result {ty}) (local $f f32) {body}))"#);
        let act = Act::that(|kit| {
            let plugin = kit.plugin();
            let run = || {
                plugin
                    .instantiate(())
                    .and_then(|mut instance| instance.call_values("run", &[]))
            };
            let (first, second) = (run().expect("it answers"), run().expect("it answers"));
            clean(if first == second {
                "the same"
            } else {
                "another"
            })
        });
        cases.push(Case::new(
            format!("R09/not a number, from {what}"),
            text,
            act,
            clean("the same"),
        ));
    }
}

// R10

fn poisoned(cases: &mut Vec<Case>) {
    for (what, body, code) in [
        ("a trap", "(unreachable)", "trap-unreachable"),
        (
            "half a bulk operation",
            "(memory.copy (i32.const 65530) (i32.const 0) (i32.const 16))",
            "trap-memory",
        ),
        ("no fuel", "(loop $on (br $on))", "out-of-fuel"),
        ("a full stack", "(call $run)", "trap-stack"),
        (
            "a wrong host call",
            "(call $log (i32.const -1) (i32.const 1))",
            "trap-host-call",
        ),
        ("a host panic", "(drop (call $boom))", "trap-host-panic"),
    ] {
        let act = Act::that(move |kit| {
            let plugin = kit.plugin();
            let mut instance = plugin.instantiate(()).expect("it starts");
            let first = instance.call_values("run", &[]);
            assert_eq!(first.map_err(|error| error.code()), Err(code));
            for _ in 0..3 {
                assert_eq!(
                    instance.call::<(), u32>("fine", ()),
                    Err(CallError::Stopped)
                );
                assert_eq!(instance.process(b"x"), Err(CallError::Stopped));
                let bytes = instance.call_bytes("run", b"x", |_| ());
                assert_eq!(bytes, Err(CallError::Stopped));
            }
            assert_eq!(
                plugin.call::<(), u32>("fine", ()),
                Ok(7),
                "a new instance goes on"
            );
            Verdict::of_bytes(instance.process(b"x"))
        });
        let case = Case::new(
            format!("R10/called again after {what}"),
            with_run("", body),
            act,
            trap("stopped"),
        );
        cases.push(
            case.panics(usize::from(code == "trap-host-panic"))
                .instances(2),
        );
    }
    cases.push(run(
        "R10/code of the trap stays the first's".into(),
        "(unreachable)",
        trap("trap-unreachable"),
    ));
}
