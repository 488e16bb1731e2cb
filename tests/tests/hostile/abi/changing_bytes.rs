//! A10: bytes that change between their check and their use, because the host calls `allocate`
//! between the two, or because the guest lets what it passes and what it gets overlap.
//!
//! A row: what changes, the code of `allocate`, the code of the call, its answer.

use super::{FINE, V};
use crate::case::{Case, returns};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let wipes = "(memory.fill (i32.const 0) (i32.const 120) (i32.const 1024)) (i32.const 1024)";
    #[rustfmt::skip] // a table
    let rows = [
        ("key is wiped by allocate",
            wipes,
            "(call $get (i32.const 64) (i32.const 3)) (drop) (local.set 0)
             (i32.load8_u (local.get 0))",
            V),
        ("argument is wiped by allocate",
            wipes,
            "(call $echo (i32.const 64) (i32.const 3)) (drop) (local.set 0)
             (i32.load8_u (local.get 0))",
            "107"),
        ("buffer is the argument itself",
            "(i32.const 64)",
            "(call $echo (i32.const 64) (i32.const 3)) (drop) (local.set 0)
             (i32.load8_u offset=2 (local.get 0))",
            "121"),
        ("buffer is one into the argument",
            "(i32.const 65)",
            "(call $echo (i32.const 64) (i32.const 3)) (drop) (local.set 0)
             (i32.load8_u offset=2 (local.get 0))",
            "121"),
        ("record is the key itself",
            "(i32.const 1024)",
            "(call $into (i32.const 64) (i32.const 64) (i32.const 3))
             (i32.load8_u (i32.load (i32.const 64)))",
            V),
        ("record is wiped by allocate",
            wipes,
            "(call $into (i32.const 128) (i32.const 64) (i32.const 3))
             (i32.load8_u (i32.load (i32.const 128)))",
            V),
        ("record is the value's buffer",
            "(i32.const 1024)",
            "(call $into (i32.const 1024) (i32.const 64) (i32.const 3))
             (i32.load (i32.const 1024))",
            "1024"),
    ];
    for (what, allocate, change, answer) in rows {
        let get = if change.contains("$into") {
            "$into (param i32 i32 i32)"
        } else {
            "$get (param i32 i32) (result i32 i32)"
        };
        let text = format!(
            r#"(module (import "env" "host_get_config" (func {get}))
                (import "host" "echo" (func $echo (param i32 i32) (result i32 i32)))
                (memory (export "memory") 2) (data (i32.const 64) "key") {FINE}
                (func (export "allocate") (param i32) (result i32) {allocate})
                (func (export "change") (result i32) (local i32) {change}))"#
        );
        cases.push(Case::call(
            format!("A10/{what}"),
            text,
            ("change", &[]),
            returns(answer),
        ));
    }
    cases
}
