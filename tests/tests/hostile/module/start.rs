//! M14: start functions, by the start section or exported as `_initialize`, `__wasm_call_ctors` or
//! `_start`. They run under the budget of the instance or of the call, and may call imports.
//!
//! A row: what the function does, its body, the verdict.

use super::with_run;
use crate::case::{Case, exceeds, loads, out_of_fuel, refused, returns, starts, traps};
use core::time::Duration;
use hostel::Budget;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    bodies(&mut cases);
    limits(&mut cases);
    declarations(&mut cases);
    cases
}

fn bodies(cases: &mut Vec<Case>) {
    let imports = r#"(import "env" "host_log" (func $log (param i32 i32)))
        (import "env" "host_get_config" (func $get (param i32 i32) (result i32 i32)))
        (import "host" "boom" (func $boom (result i32)))"#;
    #[rustfmt::skip] // a table
    let rows = [
        ("does nothing", "(nop)", starts()),
        ("loops", "(loop $on (br $on))", out_of_fuel()),
        ("loops in a grown memory",
            "(loop $on (drop (memory.grow (i32.const 1))) (br $on))", out_of_fuel()),
        ("traps", "(unreachable)", traps("trap-unreachable")),
        ("stores outside", "(i32.store (i32.const -1) (i32.const 0))", traps("trap-memory")),
        ("divides by zero",
            "(drop (i32.div_u (i32.const 1) (i32.load (i32.const 64))))", traps("trap-division")),
        ("calls itself", "(call $start)", traps("trap-stack")),
        ("calls nothing", "(call_indirect (i32.const 0))", traps("trap-null-call")),
        ("logs", "(call $log (i32.const 0) (i32.const 3))", starts()),
        ("logs for ever",
            "(loop $on (call $log (i32.const 0) (i32.const 3)) (br $on))", out_of_fuel()),
        ("logs from outside", "(call $log (i32.const -1) (i32.const 1))", traps("trap-host-call")),
        ("asks for a setting", "(call $get (i32.const 0) (i32.const 3)) (drop) (drop)", starts()),
        ("asks from outside",
            "(call $get (i32.const 65536) (i32.const 1)) (drop) (drop)", traps("trap-host-call")),
    ];
    for (what, body, verdict) in rows {
        for (how, section) in [
            ("start", "(start $start)"),
            ("_initialize", r#"(export "_initialize" (func $start))"#),
            (
                "constructor",
                r#"(export "__wasm_call_ctors" (func $start))"#,
            ),
            ("_start", r#"(export "_start" (func $start))"#),
        ] {
            let text = format!(
                r#"(module {imports} (memory (export "memory") 1) (table 1 funcref)
                    (data (i32.const 0) "key")
                    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
                    (func (export "run"))
                    (func $start {body}) {section})"#
            );
            let name = format!("M14/{how} that {what}");
            let verdict = verdict.clone();
            cases.push(match how {
                "_start" if verdict.code() == "started" => {
                    Case::run_export(name, text, returns(""))
                }
                "_start" => Case::run_export(name, text, verdict),
                _ => Case::start(name, text, verdict),
            });
        }
    }
    let panics = format!(
        r#"(module {imports} (memory (export "memory") 1)
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "run")) (func $start (drop (call $boom))) (start $start))"#
    );
    let panics = Case::start(
        "M14/start whose host function panics",
        panics,
        traps("trap-host-panic"),
    );
    cases.push(panics.panics(1));
}

fn limits(cases: &mut Vec<Case>) {
    let both = with_run(
        r#"(start $a) (func $a (loop $on (br $on))) (func (export "_initialize") (unreachable))"#,
    );
    let name = "M14/start loops before _initialize traps";
    cases.push(Case::start(name, both, out_of_fuel()));
    let deadline = with_run("(start $a) (func $a (loop $on (br $on)))");
    let deadline = Case::start(
        "M14/start that loops until its deadline",
        deadline,
        exceeds("deadline"),
    );
    cases.push(deadline.budget(|budget| {
        *budget = Budget::server()
            .with_fuel(u64::MAX)
            .with_deadline(Duration::from_millis(10));
    }));
}

fn declarations(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("with a parameter", "(func $s (param i32)) (start $s)", refused("invalid-module")),
        ("with a result",
            "(func $s (result i32) (i32.const 0)) (start $s)", refused("invalid-module")),
        ("that is not there", "(start 9)", refused("invalid-module")),
        ("that is an import not granted",
            r#"(import "x" "y" (func $s)) (start $s)"#, refused("mismatch unknown-import")),
        ("under a reserved name", r#"(func (export "hostel:start"))"#, refused("unsupported")),
        ("that is an import", r#"(import "host" "noop" (func $s)) (start $s)"#, loads()),
    ];
    for (what, items, verdict) in rows {
        let name = format!("M14/start {what}");
        cases.push(Case::load(name, with_run(items), verdict));
    }
    for (what, ty) in [
        ("with a parameter", "(param i32)"),
        ("with a result", "(result i32)"),
    ] {
        let items = format!(r#"(func (export "_initialize") {ty} (unreachable))"#);
        let (name, text) = (format!("M14/_initialize {what}"), with_run(&items));
        cases.push(Case::load(name, text, refused("mismatch export-type")));
    }
}
