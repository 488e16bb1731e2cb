//! R02: guests that call themselves. The limits on call depth and on the value stack stop them.
//!
//! A row: the recursion in words, more items of the module, the code that begins it.

use super::{run, with_run};
use crate::case::{Case, out_of_fuel, returns, traps};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    endless_recursion(&mut cases);
    deep_recursion(&mut cases);
    small_limits(&mut cases);
    cases
}

fn endless_recursion(cases: &mut Vec<Case>) {
    let many_locals = format!("(func $a (local {}) (call $a))", "i64 ".repeat(2_000));
    let ones = |count: usize| "(i64.const 1)".repeat(count);
    let (eight, many) = (ones(8), ones(64));
    let eight_params =
        format!("(func $a (param i64 i64 i64 i64 i64 i64 i64 i64) (call $a {eight}))");
    let many_params = format!(
        "(func $b (call $a {many})) (func $a (param {}) (call $a {many}))",
        "i64 ".repeat(64)
    );
    #[rustfmt::skip] // a table
    let rows = [
        ("direct", "", "(call $run)"),
        ("direct, with work after it", "", "(call $run) (global.set $zero (i32.const 1))"),
        ("mutual", "(func $a (call $b)) (func $b (call $run))", "(call $a)"),
        ("through a table", "", "(call_indirect (type $nothing) (i32.const 1))"),
        ("mutual through a table",
            "(func $a (call_indirect (type $nothing) (i32.const 1)))", "(call $a)"),
        ("of 10 locals",
            "(func $a (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64) (call $a))", "(call $a)"),
        ("of a full stack of values", &eight_params, &format!("(call $a {eight})")),
        ("of a sum", "(func $a (result i32) (i32.add (call $a) (call $a)))", "(drop (call $a))"),
        ("between host calls", "", "(call $noop) (call $run)"),
        ("between settings",
            "", "(call $get (i32.const 0) (i32.const 3)) (drop) (drop) (call $run)"),
        ("of 2,000 locals", &many_locals, "(call $a)"),
        ("of 64 parameters", &many_params, "(call $b)"),
    ];
    for (what, items, body) in rows {
        let text = with_run(items, body);
        let case = Case::run_export(format!("R02/recursion {what}"), text, traps("trap-stack"));
        cases.push(case.fuel(200_000));
    }
}

/// Recursion that would end: before the limit, after it, or when the fuel is gone.
fn deep_recursion(cases: &mut Vec<Case>) {
    let ackermann = r#"(func $ack (param i64 i64) (result i64)
        (if (result i64) (i64.eqz (local.get 0))
          (then (i64.add (local.get 1) (i64.const 1)))
          (else (if (result i64) (i64.eqz (local.get 1))
            (then (call $ack (i64.sub (local.get 0) (i64.const 1)) (i64.const 1)))
            (else (call $ack (i64.sub (local.get 0) (i64.const 1))
              (call $ack (local.get 0) (i64.sub (local.get 1) (i64.const 1)))))))))"#;
    for (what, m, n, verdict) in [
        ("4, 4", 4, 4, out_of_fuel()),
        ("1, 3000", 1, 3000, traps("trap-stack")),
        ("2, 3", 2, 3, returns("")),
    ] {
        let body = format!("(drop (call $ack (i64.const {m}) (i64.const {n})))");
        let text = with_run(ackermann, &body);
        let name = format!("R02/Ackermann of {what}");
        cases.push(Case::run_export(name, text, verdict));
    }
    let deep = r#"(func $deep (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
          (else (i32.const 1))))"#;
    for (depth, verdict) in [(900, returns("901")), (1_100, traps("trap-stack"))] {
        let export =
            format!(r#"(func (export "deep") (result i32) (call $deep (i32.const {depth})))"#);
        let fine = r#"(func (export "fine")"#;
        let text = with_run(deep, "(nop)").replace(fine, &(export + fine));
        let name = format!("R02/{depth} calls deep");
        cases.push(Case::call(name, text, ("deep", &[]), verdict));
    }
}

fn small_limits(cases: &mut Vec<Case>) {
    for (what, limit) in [("64 calls", 64), ("1 call", 1)] {
        let name = format!("R02/recursion with {what} allowed");
        let case = run(name, "(call $run)", traps("trap-stack"));
        cases.push(case.limits(|limits| limits.call_depth = limit));
    }
    let name = "R02/recursion on a value stack of 1 KiB";
    let case = run(name, "(call $run)", traps("trap-stack"));
    cases.push(case.limits(|limits| limits.stack_bytes = 1 << 10));
}
