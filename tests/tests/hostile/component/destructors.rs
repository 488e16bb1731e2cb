//! V04: destructors of resources. A row has the body of a destructor, which gets the resource's number, and that of
//! `run`. Both call what makes, tells and drops handles through a table: functions 0, 1 and 2.

use super::breaks;
use crate::case::{Case, Verdict, out_of_fuel, returns, traps};

/// Calls of the functions in the table.
const NEW: &str = "(call_indirect (param i32) (result i32) NUMBER (i32.const 0))";
const DROP: &str = "(call_indirect (param i32) HANDLE (i32.const 2))";

fn new(number: &str) -> String {
    NEW.replace("NUMBER", number)
}

fn drop(handle: &str) -> String {
    DROP.replace("HANDLE", handle)
}

/// A component whose resource has this destructor.
fn guest(destructor: &str, body: &str) -> String {
    format!(
        r#"(component
  (core module $D
    (table (export "t") 3 funcref)
    (global $n (export "n") (mut i32) (i32.const 0))
    (func (export "destroy") (param i32) {destructor}))
  (core instance $d (instantiate $D))
  (type $t (resource (rep i32) (dtor (core func $d "destroy"))))
  (core func $new (canon resource.new $t))
  (core func $rep (canon resource.rep $t))
  (core func $drop (canon resource.drop $t))
  (core module $M
    (import "h" "new" (func $new (param i32) (result i32)))
    (import "h" "rep" (func $rep (param i32) (result i32)))
    (import "h" "drop" (func $drop (param i32)))
    (import "d" "t" (table 3 funcref))
    (import "d" "n" (global $n (mut i32)))
    (elem (i32.const 0) func $new $rep $drop)
    (func (export "run") (result i32) (local $h i32) {body}))
  (core instance $m (instantiate $M
    (with "h" (instance (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))
    (with "d" (instance $d))))
  (func (export "run") (result u32) (canon lift (core func $m "run"))))"#
    )
}

pub(crate) fn cases() -> Vec<Case> {
    let dropped = format!("{} (global.get $n)", drop(&new("(i32.const 9)")));
    let again = drop(&new("(i32.add (local.get 0) (i32.const 1))"));
    let count = "(global.set $n (i32.add (global.get $n) (i32.const 1)))";
    let rows: [(&str, String, &str, Verdict); 8] = [
        (
            "traps",
            "(unreachable)".into(),
            &dropped,
            traps("trap-unreachable"),
        ),
        ("loops", "(loop (br 0))".into(), &dropped, out_of_fuel()),
        (
            "drops the handle whose resource it destroys",
            drop("(i32.const 1)"),
            &dropped,
            breaks("unknown handle index 1"),
        ),
        (
            "makes and drops another one, without end",
            again.clone(),
            &dropped,
            breaks("more than 16 calls of component instances inside one another"),
        ),
        (
            "makes and drops 14 others, each in the destructor of the one before",
            format!("{count} (if (i32.lt_u (local.get 0) (i32.const 23)) (then {again}))"),
            &dropped,
            returns("U32(15)"),
        ),
        (
            "makes another one, which stays",
            format!("{count} (global.set $n {})", new("(i32.const 3)")),
            &dropped,
            returns("U32(1)"),
        ),
        (
            "recurses without end",
            "(call 0 (local.get 0))".into(),
            &dropped,
            traps("trap-stack"),
        ),
        (
            "fills the table of handles",
            format!("(loop (drop {}) (br 0))", new("(i32.const 0)")),
            &dropped,
            out_of_fuel(),
        ),
    ];
    let rows = rows.into_iter().map(|(name, destructor, body, verdict)| {
        let name = format!("V04/a destructor that {name}");
        // Native stack that is used up would end the process.
        let deep = name.contains("end") || name.contains("14");
        let case = Case::component(name, guest(&destructor, body), &[], verdict);
        if deep { case.own_process() } else { case }
    });
    rows.chain([of_the_host()]).collect()
}

/// A destructor that is the host's own function, which drops handles to another resource.
fn of_the_host() -> Case {
    let text = r#"(component
  (type $a (resource (rep i32)))
  (core func $new-a (canon resource.new $a))
  (core func $drop-a (canon resource.drop $a))
  (type $b (resource (rep i32) (dtor (core func $drop-a))))
  (core func $new-b (canon resource.new $b))
  (core func $drop-b (canon resource.drop $b))
  (core module $M
    (import "h" "new-a" (func $new-a (param i32) (result i32)))
    (import "h" "new-b" (func $new-b (param i32) (result i32)))
    (import "h" "drop-b" (func $drop-b (param i32)))
    (func (export "run") (result i32) (local $n i32)
      (loop (call $drop-b (call $new-b (call $new-a (i32.const 0))))
        (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20000))))
      (local.get $n)))
  (core instance $m (instantiate $M (with "h" (instance (export "new-a" (func $new-a))
    (export "new-b" (func $new-b)) (export "drop-b" (func $drop-b))))))
  (func (export "run") (result u32) (canon lift (core func $m "run"))))"#;
    let name = "V04/a destructor that drops a handle by itself, 20,000 times";
    Case::component(name, text, &[], returns("U32(20000)")).fuel(10_000_000)
}
