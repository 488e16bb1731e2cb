//! C02: instances that were stopped, or failed, and must not serve another call as they are.

use crate::case::{Case, Verdict, returns, traps};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    pooled(&mut cases);
    held(&mut cases);
    cases
}

/// A guest that does what the first byte of its input says, and else returns the number of its
/// calls as a digit: `u` traps, `l` loops, `s` fills the stack, `h` makes host calls for ever, `w`
/// makes a wrong one, `b` one that panics, `d` makes `deallocate` trap, `o` returns bytes outside
/// of memory, `e` an error. For 13 bytes it has no memory.
const OBEDIENT: &str = r#"(module
    (import "host" "noop" (func $noop))
    (import "host" "text" (func $text (param i32 i32)))
    (import "host" "boom" (func $boom (result i32)))
    (memory (export "memory") 1) (global $calls (mut i32) (i32.const 48))
    (func (export "allocate") (param i32) (result i32)
      (select (i32.const 0) (i32.const 1024) (i32.eq (local.get 0) (i32.const 13))))
    (func (export "deallocate") (param i32 i32)
      (if (i32.eq (local.get 1) (i32.const 17)) (then (unreachable))))
    (func $down (call $down))
    (func (export "process") (param i32 i32) (result i32 i32) (local $c i32)
      (local.set $c (i32.load8_u (local.get 0)))
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (if (i32.eq (local.get $c) (i32.const 117)) (then (unreachable)))
      (if (i32.eq (local.get $c) (i32.const 108)) (then (loop $on (br $on))))
      (if (i32.eq (local.get $c) (i32.const 115)) (then (call $down)))
      (if (i32.eq (local.get $c) (i32.const 104)) (then (loop $on (call $noop) (br $on))))
      (if (i32.eq (local.get $c) (i32.const 119)) (then (call $text (i32.const -1) (i32.const 1))))
      (if (i32.eq (local.get $c) (i32.const 98)) (then (drop (call $boom))))
      (if (i32.eq (local.get $c) (i32.const 100)) (then (return (i32.const 2048) (i32.const 17))))
      (if (i32.eq (local.get $c) (i32.const 111)) (then (return (i32.const -1) (i32.const 1))))
      (if (i32.eq (local.get $c) (i32.const 101))
        (then (return (i32.const 0) (i32.const 0x80000000))))
      (i32.store8 (i32.const 0) (global.get $calls)) (i32.const 0) (i32.const 1)))"#;

/// The pool has one place, which each call must leave free. A row says what ends the first call,
/// its input, and the error's code.
fn pooled(cases: &mut Vec<Case>) {
    for (what, input, code) in [
        ("a trap", "u", "trap-unreachable"),
        ("no fuel", "l", "out-of-fuel"),
        ("a full stack", "s", "trap-stack"),
        ("too many host calls", "h", "host-calls"),
        ("a wrong host call", "w", "trap-host-call"),
        ("a host panic", "b", "trap-host-panic"),
        ("a trap in deallocate", "d", "trap-unreachable"),
        ("a result outside of memory", "o", "out-of-bounds"),
        ("an error of its own", "e", "guest-error"),
        ("an allocator without room", "thirteenbytes", "no-memory"),
    ] {
        let name = format!("C02/after {what}");
        let case = Case::script(name, OBEDIENT, returns("1"), move |setup| {
            let plugin = setup.plugin();
            for _ in 0..4 {
                let result = plugin.process(input.as_bytes());
                assert_eq!(result.map_err(|error| error.code()), Err(code));
                assert_eq!(
                    plugin.process(b"x").as_deref(),
                    Ok(&b"1"[..]),
                    "the first call of an instance"
                );
            }
            Verdict::of_bytes(plugin.process(b"x"))
        });
        let case = case.limits(|limits| limits.instances = 1);
        let panics = if code == "trap-host-panic" { 4 } else { 0 };
        cases.push(case.panics(panics).budget(|budget| budget.host_calls = 100));
    }
}

/// Instances that the caller holds: one that was stopped refuses, another goes on.
fn held(cases: &mut Vec<Case>) {
    let name = "C02/held after a trap";
    cases.push(Case::script(name, OBEDIENT, traps("stopped"), |setup| {
        let mut instance = setup.instance();
        assert!(instance.process(b"u").is_err());
        Verdict::of_bytes(instance.process(b"x"))
    }));
    let name = "C02/held after an error of its own";
    cases.push(Case::script(name, OBEDIENT, returns("2"), |setup| {
        let mut instance = setup.instance();
        assert!(instance.process(b"e").is_err());
        Verdict::of_bytes(instance.process(b"x"))
    }));
}
