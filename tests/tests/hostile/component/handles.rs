//! V01 to V03: handles to resources. A row's body is that of the guest's function `run`.

use super::breaks;
use crate::case::{Case, Verdict, out_of_fuel, returns};
use hostel::component::Value;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    forged(&mut cases);
    lent(&mut cases);
    many(&mut cases);
    cases
}

/// A component with two resources of its own, and another one in it that defines a third and takes each kind of
/// handle. `run` does `body`.
fn guest(body: &str) -> String {
    format!(
        r#"(component
  (component $Other
    (type $o' (resource (rep i32)))
    (export $o "o" (type $o'))
    (core func $new (canon resource.new $o'))
    (core func $rep (canon resource.rep $o'))
    (core func $drop (canon resource.drop $o'))
    (core module $M
      (import "h" "new" (func $new (param i32) (result i32)))
      (import "h" "rep" (func $rep (param i32) (result i32)))
      (import "h" "drop" (func $drop (param i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "guess") (param i32) (result i32) (call $rep (local.get 0)))
      (func (export "look") (param i32) (result i32) (local.get 0))
      (func (export "take") (param i32) (call $drop (local.get 0)))
      (func (export "both") (param i32 i32)))
    (core instance $m (instantiate $M (with "h" (instance
      (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
    (func (export "make") (param "n" u32) (result (own $o)) (canon lift (core func $m "make")))
    (func (export "guess") (param "n" u32) (result u32) (canon lift (core func $m "guess")))
    (func (export "look") (param "of" (borrow $o)) (result u32) (canon lift (core func $m "look")))
    (func (export "take") (param "of" (own $o)) (canon lift (core func $m "take")))
    (func (export "both") (param "one" (borrow $o)) (param "other" (own $o)) (canon lift (core func $m "both"))))
  (component $Keeper
    (import "o" (type $o (sub resource)))
    (core func $drop (canon resource.drop $o))
    (core module $M
      (import "h" "drop" (func $drop (param i32)))
      (global $kept (mut i32) (i32.const 0))
      (func (export "keep") (param i32) (global.set $kept (local.get 0)))
      (func (export "twice") (param i32) (call $drop (local.get 0)) (call $drop (local.get 0)))
      (func (export "give") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $M (with "h" (instance (export "drop" (func $drop))))))
    (func (export "keep") (param "of" (borrow $o)) (canon lift (core func $m "keep")))
    (func (export "twice") (param "of" (borrow $o)) (canon lift (core func $m "twice")))
    (func (export "give") (param "of" (borrow $o)) (result (own $o)) (canon lift (core func $m "give"))))
  (instance $other (instantiate $Other))
  (alias export $other "o" (type $o))
  (instance $keeper (instantiate $Keeper (with "o" (type $o))))
  (type $a (resource (rep i32)))
  (type $b (resource (rep i32)))
  (core func $new-a (canon resource.new $a))
  (core func $rep-a (canon resource.rep $a))
  (core func $drop-a (canon resource.drop $a))
  (core func $new-b (canon resource.new $b))
  (core func $rep-b (canon resource.rep $b))
  (core func $drop-b (canon resource.drop $b))
  (core func $drop-o (canon resource.drop $o))
  (core func $make (canon lower (func $other "make")))
  (core func $guess (canon lower (func $other "guess")))
  (core func $look (canon lower (func $other "look")))
  (core func $take (canon lower (func $other "take")))
  (core func $both (canon lower (func $other "both")))
  (core func $keep (canon lower (func $keeper "keep")))
  (core func $twice (canon lower (func $keeper "twice")))
  (core func $give (canon lower (func $keeper "give")))
  (core module $M
    (import "h" "new-a" (func $new-a (param i32) (result i32)))
    (import "h" "rep-a" (func $rep-a (param i32) (result i32)))
    (import "h" "drop-a" (func $drop-a (param i32)))
    (import "h" "new-b" (func $new-b (param i32) (result i32)))
    (import "h" "rep-b" (func $rep-b (param i32) (result i32)))
    (import "h" "drop-b" (func $drop-b (param i32)))
    (import "h" "drop-o" (func $drop-o (param i32)))
    (import "h" "make" (func $make (param i32) (result i32)))
    (import "h" "guess" (func $guess (param i32) (result i32)))
    (import "h" "look" (func $look (param i32) (result i32)))
    (import "h" "take" (func $take (param i32)))
    (import "h" "both" (func $both (param i32 i32)))
    (import "h" "keep" (func $keep (param i32)))
    (import "h" "twice" (func $twice (param i32)))
    (import "h" "give" (func $give (param i32) (result i32)))
    (func (export "run") (result i32) (local $h i32) {body}))
  (core instance $m (instantiate $M (with "h" (instance
    (export "new-a" (func $new-a)) (export "rep-a" (func $rep-a)) (export "drop-a" (func $drop-a))
    (export "new-b" (func $new-b)) (export "rep-b" (func $rep-b)) (export "drop-b" (func $drop-b))
    (export "drop-o" (func $drop-o)) (export "make" (func $make)) (export "guess" (func $guess))
    (export "look" (func $look)) (export "take" (func $take)) (export "both" (func $both))
    (export "keep" (func $keep)) (export "twice" (func $twice)) (export "give" (func $give))))))
  (func (export "run") (result u32) (canon lift (core func $m "run"))))"#
    )
}

fn row(cases: &mut Vec<Case>, name: &str, body: &str, verdict: Verdict) {
    cases.push(Case::component(name, guest(body), &[], verdict));
}

/// V01: numbers that are no handles, or not ones to this resource, in each function that takes one.
fn forged(cases: &mut Vec<Case>) {
    let functions = [
        ("rep", "(call $rep-a HANDLE)"),
        ("drop", "(call $drop-a HANDLE) (i32.const 0)"),
        ("lend", "(call $look HANDLE)"),
        ("give away", "(call $take HANDLE) (i32.const 0)"),
    ];
    for (function, body) in functions {
        for number in [0u32, 1, 7, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            let body = body.replace("HANDLE", &format!("(i32.const {number})"));
            let name = format!("V01/{function}: a number that was never given, {number}");
            row(
                cases,
                &name,
                &body,
                breaks(&format!("unknown handle index {number}")),
            );
        }
        let body = body.replace("HANDLE", "(call $new-b (i32.const 5))");
        let name = format!("V01/{function}: a handle to a resource of another type");
        row(
            cases,
            &name,
            &body,
            breaks("a handle to a resource of another type"),
        );
    }
    let dropped = "(local.set $h (call $new-a (i32.const 9))) (call $drop-a (local.get $h))";
    for (function, body) in &functions[..2] {
        let body = body.replace("HANDLE", "(local.get $h)");
        let name = format!("V01/{function}: a handle that was dropped");
        row(
            cases,
            &name,
            &format!("{dropped} {body}"),
            breaks("unknown handle index 1"),
        );
    }
    let given = "(local.set $h (call $make (i32.const 9))) (call $take (local.get $h))";
    for (name, rest) in [
        (
            "given away twice",
            "(call $take (local.get $h)) (i32.const 0)",
        ),
        ("given away, then lent", "(call $look (local.get $h))"),
        (
            "given away, then dropped",
            "(call $drop-o (local.get $h)) (i32.const 0)",
        ),
    ] {
        row(
            cases,
            &format!("V01/{name}"),
            &format!("{given} {rest}"),
            breaks("unknown handle index 1"),
        );
    }
    // The number is good, in the table of the instance around.
    row(
        cases,
        "V01/a handle of another component instance",
        "(call $guess (call $new-a (i32.const 9)))",
        breaks("unknown handle index 1"),
    );
    // A number comes again, as a handle to what was made last.
    row(
        cases,
        "V01/a number that was dropped and is given again",
        &format!("{dropped} (drop (call $new-a (i32.const 11))) (call $rep-a (local.get $h))"),
        returns("U32(11)"),
    );
    row(
        cases,
        "V01/a number that was dropped and is given again, for another type",
        &format!("{dropped} (drop (call $new-b (i32.const 11))) (call $rep-a (local.get $h))"),
        breaks("a handle to a resource of another type"),
    );
}

/// V02: handles that are lent.
fn lent(cases: &mut Vec<Case>) {
    let made = "(local.set $h (call $make (i32.const 42)))";
    let rows = [
        (
            "lent, looked at and dropped by the owner",
            "(drop (call $look (local.get $h))) (call $drop-o (local.get $h)) (i32.const 3)",
            returns("U32(3)"),
        ),
        (
            "lent and given away in one call",
            "(call $both (local.get $h) (local.get $h)) (i32.const 0)",
            breaks("a resource is lent: its handle can't be removed"),
        ),
        (
            "kept by whom it was lent to",
            "(call $keep (local.get $h)) (i32.const 0)",
            breaks("borrow handles still remain at the end of the call"),
        ),
        (
            "dropped twice by whom it was lent to",
            "(call $twice (local.get $h)) (i32.const 0)",
            breaks("unknown handle index 1"),
        ),
        (
            "given away by whom it was lent to",
            "(call $give (local.get $h))",
            breaks("a borrowed resource can't be given away"),
        ),
    ];
    for (name, body, verdict) in rows {
        row(
            cases,
            &format!("V02/{name}"),
            &format!("{made} {body}"),
            verdict,
        );
    }
}

/// V03: tables of handles that fill up.
fn many(cases: &mut Vec<Case>) {
    let endless = "(loop (drop (call $new-a (i32.const 0))) (br 0)) (unreachable)";
    row(
        cases,
        "V03/handles until the fuel ends",
        endless,
        out_of_fuel(),
    );
    let full =
        breaks("more than 10000 handles to resources, which is the limit `component.handles`");
    let (one, other) = ("(call $new-a (i32.const 0))", "(call $make (i32.const 0))");
    for (name, body) in [
        ("of one resource", format!("(loop (drop {one}) (br 0))")),
        (
            "of two component instances together",
            format!("(loop (drop {one}) (drop {other}) (br 0))"),
        ),
    ] {
        let body = format!("{body} (unreachable)");
        let name = format!("V03/handles up to the limit, {name}");
        let case = Case::component(name, guest(&body), &[], full.clone());
        cases.push(
            case.fuel(50_000_000)
                .limits(|limits| limits.component.handles = 10_000),
        );
    }
    // Places that are free again are used again.
    let body = "(loop (call $drop-a (call $new-a (i32.const 0)))
          (br_if 0 (i32.lt_u (local.tee $h (i32.add (local.get $h) (i32.const 1))) (i32.const 200000))))
        (call $new-a (i32.const 0))";
    let case = Case::component(
        "V03/200,000 handles, each dropped",
        guest(body),
        &[],
        returns(format!("{:?}", Value::U32(1))),
    );
    cases.push(case.fuel(50_000_000));
}
