//! A07: a `deallocate` or `free` that does more than free. The answer was taken before it runs, so
//! that the caller has it in any case.
//!
//! A row: what the function does, its code, the verdict.

use super::FINE;
use crate::case::{Case, Verdict, out_of_fuel, returns, traps};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let body_of = |what: &str, body: &'static str, call_itself: &'static str| {
        if what == "calls itself" {
            call_itself
        } else {
            body
        }
    };
    #[rustfmt::skip] // a table
    let rows = [
        ("traps", "(unreachable)", traps("trap-unreachable")),
        ("stores outside", "(i32.store (i32.const -1) (i32.const 0))", traps("trap-memory")),
        ("loops", "(loop $on (br $on))", out_of_fuel()),
        ("calls itself", "", traps("trap-stack")),
        ("calls process",
            "(call $process (i32.const 0) (i32.const 0)) (drop) (drop)", returns("hello")),
        ("calls allocate", "(drop (call $allocate (i32.const 1)))", returns("hello")),
        ("grows memory", "(drop (memory.grow (i32.const 1)))", returns("hello")),
        ("wipes memory",
            "(memory.fill (i32.const 0) (i32.const 0) (i32.const 131072))", returns("hello")),
        ("frees twice",
            "(if (i32.eq (local.get 0) (global.get $last)) (then (unreachable)))
             (global.set $last (local.get 0))",
            returns("hello")),
    ];
    for (what, body, verdict) in rows {
        for (function, params, call_itself) in [
            (
                "deallocate",
                "(param i32 i32)",
                "(call $deallocate (local.get 0) (local.get 1))",
            ),
            ("free", "(param i32)", "(call $deallocate (local.get 0))"),
        ] {
            let body = body_of(what, body, call_itself);
            let text = format!(
                r#"(module (memory (export "memory") 2)
                    (global $last (mut i32) (i32.const 0)) {FINE}
                    (func $allocate (export "allocate") (param i32) (result i32) (i32.const 4096))
                    (func $deallocate (export "{function}") {params} {body})
                    (func $process (export "process") (param i32 i32) (result i32 i32)
                      (memory.copy (i32.const 8192) (local.get 0) (local.get 1))
                      (i32.const 8192) (local.get 1)))"#
            );
            let name = format!("A07/{function} that {what}");
            cases.push(Case::script(name, text, verdict.clone(), |setup| {
                let mut instance = setup.instance();
                let mut taken = Vec::new();
                let result = instance.process_with(b"hello", |answer| taken = answer.to_vec());
                assert_eq!(taken, b"hello");
                assert_eq!(instance.is_stopped(), result.is_err());
                Verdict::of_answer(result.map(|()| "hello"))
            }));
        }
    }
    cases
}
