//! V08, V09: what a guest's `realloc` returns and does while the host delivers values.

use super::breaks;
use crate::case::{Case, Verdict, out_of_fuel, returns, traps};
use hostel::component::Value;

/// A component that takes a list of strings by `run`, and a list of numbers by `numbers`, and gets a text from the
/// host in `ask`. Its `realloc` is `realloc`; `$f` is an import, and `$rep` tells a handle's number.
fn guest(realloc: &str) -> String {
    format!(
        r#"(component
  (import "number" (func $f (result u32)))
  (import "give" (func $give (result string)))
  (type $r (resource (rep i32)))
  (core func $f (canon lower (func $f)))
  (core func $new (canon resource.new $r))
  (core func $drop (canon resource.drop $r))
  (core module $M
    (import "h" "f" (func $f (result i32)))
    (import "h" "new" (func $new (param i32) (result i32)))
    (import "h" "drop" (func $drop (param i32)))
    (memory (export "memory") 1)
    (table 1 funcref) (elem (i32.const 0) func $run)
    (global $at (mut i32) (i32.const 64))
    (func $next (param i32 i32) (result i32) (local $p i32)
      (local.set $p (i32.and (i32.add (global.get $at) (i32.const 7)) (i32.const -8)))
      (global.set $at (i32.add (local.get $p) (local.get 1)))
      (local.get $p))
    (func $realloc (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      {realloc})
    (func $run (export "run") (param i32 i32) (result i32) (local.get 1)))
  (core instance $m (instantiate $M (with "h" (instance
    (export "f" (func $f)) (export "new" (func $new)) (export "drop" (func $drop))))))
  (func (export "run") (param "v" (list string)) (result u32)
    (canon lift (core func $m "run") (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))"#
    )
}

pub(crate) fn cases() -> Vec<Case> {
    let texts = [Value::List(vec![Value::String("text".into()); 3])];
    let (outside, unaligned) = (
        breaks("realloc return: beyond end of memory"),
        breaks("realloc return: result not aligned"),
    );
    let leave = breaks("cannot leave component instance");
    let next = "(call $next (local.get $align) (local.get $size))";
    let second = |other: &str| {
        // The list's own block comes first.
        format!(
            "(if (result i32) (i32.eq (global.get $at) (i32.const 64)) (then {next}) (else {other}))"
        )
    };
    let rows: Vec<(&str, &str, String, Verdict)> = vec![
        (
            "V08",
            "gives what is asked for",
            next.into(),
            returns("U32(3)"),
        ),
        (
            "V08",
            "returns 0",
            "(i32.const 0)".into(),
            returns("U32(3)"),
        ),
        (
            "V08",
            "returns one address for all",
            "(i32.const 64)".into(),
            returns("U32(3)"),
        ),
        (
            "V08",
            "returns what is not aligned",
            "(i32.const 66)".into(),
            unaligned.clone(),
        ),
        ("V08", "returns -1", "(i32.const -1)".into(), unaligned),
        (
            "V08",
            "returns the end of memory",
            "(i32.const 65536)".into(),
            outside.clone(),
        ),
        (
            "V08",
            "returns what reaches out of memory",
            "(i32.const 65516)".into(),
            outside.clone(),
        ),
        (
            "V08",
            "returns what has just room",
            "(i32.const 65512)".into(),
            returns("U32(3)"),
        ),
        (
            "V08",
            "returns 2 GiB",
            "(i32.const 0x80000000)".into(),
            outside.clone(),
        ),
        (
            "V08",
            "returns a text outside of memory",
            second("(i32.const 65533)"),
            outside.clone(),
        ),
        (
            "V08",
            "returns a text in the list",
            second("(i32.const 66)"),
            returns("U32(3)"),
        ),
        (
            "V08",
            "returns the list's own block",
            second("(i32.const 64)"),
            returns("U32(3)"),
        ),
        (
            "V09",
            "traps",
            "(unreachable)".into(),
            traps("trap-unreachable"),
        ),
        (
            "V09",
            "loops",
            "(loop (br 0)) (unreachable)".into(),
            out_of_fuel(),
        ),
        (
            "V09",
            "recurses",
            "(call $realloc (local.get 0) (local.get 1) (local.get 2) (local.get 3))".into(),
            traps("trap-stack"),
        ),
        (
            "V09",
            "calls an import",
            format!("(drop (call $f)) {next}"),
            leave.clone(),
        ),
        (
            "V09",
            "makes a resource",
            format!("(drop (call $new (i32.const 1))) {next}"),
            leave.clone(),
        ),
        (
            "V09",
            "drops a resource",
            format!("(call $drop (i32.const 1)) {next}"),
            leave.clone(),
        ),
        (
            "V09",
            "calls an import for a text",
            second("(call $f)"),
            leave,
        ),
        (
            "V09",
            "grows memory by a page each time",
            "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))".into(),
            returns("U32(3)"),
        ),
        (
            "V09",
            "grows memory without end",
            "(loop (drop (memory.grow (i32.const 1))) (br 0)) (unreachable)".into(),
            out_of_fuel(),
        ),
        (
            "V09",
            "calls the export's own function",
            format!(
                "(drop (call_indirect (param i32 i32) (result i32) (i32.const 0) (i32.const 0) (i32.const 0))) {next}"
            ),
            returns("U32(3)"),
        ),
        (
            "V09",
            "writes all over the memory",
            format!("(memory.fill (i32.const 0) (i32.const 255) (i32.const 65536)) {next}"),
            returns("U32(3)"),
        ),
    ];
    let rows = rows.into_iter().map(|(id, name, realloc, verdict)| {
        let name = format!("{id}/a realloc that {name}");
        Case::component(name, guest(&realloc), &texts, verdict)
    });
    rows.collect()
}
