//! R01: guests that never end by themselves. Fuel, the deadline, the number of host calls or the
//! canceller ends them.
//!
//! A row: the loop in words, its code.

use super::{run, with_run};
use crate::case::{Case, Verdict, exceeds, out_of_fuel};
use std::{thread, time::Duration};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    endless_loops(&mut cases);
    other_ends(&mut cases);
    loops_in_abi_functions(&mut cases);
    cases
}

fn endless_loops(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("empty", "(loop $on (br $on))"),
        ("of nops", "(loop $on (nop) (nop) (nop) (br $on))"),
        ("with a condition", "(loop $on (br_if $on (i32.const 1)))"),
        ("with a table", "(loop $on (br_table $on $on $on (i32.const 7)))"),
        ("in a loop", "(loop $a (loop $b (br $b)) (br $a))"),
        ("out of a deep block", "(loop $on (block (block (block (block (br $on))))))"),
        ("of ifs", "(loop $on (if (i32.const 1) (then (br $on)) (else (br $on))))"),
        ("of calls", "(loop $on (drop (call $one (i32.const 1))) (br $on))"),
        ("of indirect calls",
            "(loop $on
               (drop (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 2)))
               (br $on))"),
        ("of host calls", "(loop $on (call $noop) (br $on))"),
        ("of settings",
            "(loop $on (call $get (i32.const 0) (i32.const 3)) (drop) (drop) (br $on))"),
        ("of unset settings",
            "(loop $on (call $get (i32.const 0) (i32.const 1)) (drop) (drop) (br $on))"),
        ("of stores", "(loop $on (i32.store (i32.const 0) (i32.const 1)) (br $on))"),
        ("of globals", "(loop $on (global.set $zero (global.get $zero)) (br $on))"),
        ("that counts to 2 to the 64",
            "(local $n i64) (loop $on (br_if $on (i64.ne (i64.const 0)
               (local.tee $n (i64.add (local.get $n) (i64.const 1))))))"),
    ];
    for (what, body) in rows {
        cases.push(run(format!("R01/loop {what}"), body, out_of_fuel()));
    }
}

/// Loops that end before their fuel does.
fn other_ends(cases: &mut Vec<Case>) {
    let forever = "(loop $on (br $on))";
    let host_calls = "(loop $on (call $noop) (br $on))";
    let until_deadline = |name: &str, body: &str| {
        let case = run(name, body, exceeds("deadline")).fuel(u64::MAX);
        case.budget(|budget| budget.deadline = Some(Duration::from_millis(10)))
    };
    cases.push(until_deadline("R01/loop until the deadline", forever));
    let case = until_deadline("R01/loop of host calls until the deadline", host_calls);
    cases.push(case.budget(|budget| budget.host_calls = u32::MAX));
    let (name, text) = ("R01/loop until it is cancelled", with_run("", forever));
    let cancelled = Case::script(name, text, exceeds("cancelled"), |setup| {
        let mut instance = setup.instance();
        let canceller = instance.canceller();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                canceller.cancel();
            });
            Verdict::of_answer(instance.call_values("run", &[]).map(|_| "ended"))
        })
    });
    cases.push(cancelled.fuel(u64::MAX));
    let name = "R01/loop of host calls, over their number";
    let quota = run(name, host_calls, exceeds("host-calls"));
    cases.push(quota.budget(|budget| budget.host_calls = 10));
    let none = Case::start("R01/no fuel at all", with_run("", ""), out_of_fuel());
    cases.push(none.fuel(0));
}

fn loops_in_abi_functions(cases: &mut Vec<Case>) {
    for (what, allocate) in [
        ("allocate", "(loop $on (br $on)) (unreachable)"),
        ("process", "(i32.const 1024)"),
    ] {
        let text = format!(
            r#"(module (memory (export "memory") 1)
                (func (export "allocate") (param i32) (result i32) {allocate})
                (func (export "process") (param i32 i32) (result i64)
                  (loop $on (br $on)) (unreachable)))"#
        );
        let name = format!("R01/loop in {what}");
        cases.push(Case::process(name, text, "hello", out_of_fuel()));
    }
}
