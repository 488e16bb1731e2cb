//! V10 to V13: calls out of a component, back into it, and what ends them.

use super::{LIBC, OPTIONS, breaks, outside};
use crate::case::{Case, Verdict, exceeds, out_of_fuel, returns, traps};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    post_return(&mut cases);
    entered(&mut cases);
    starts(&mut cases);
    between(&mut cases);
    cases
}

/// V10: what `post-return` does.
fn post_return(cases: &mut Vec<Case>) {
    let leave = breaks("cannot leave component instance");
    let rows: [(&str, &str, Verdict); 8] = [
        ("does nothing", "", returns(r#"String("hello")"#)),
        ("traps", "(unreachable)", traps("trap-unreachable")),
        ("loops", "(loop (br 0))", out_of_fuel()),
        (
            "recurses",
            "(call $post (local.get 0))",
            traps("trap-stack"),
        ),
        ("calls an import", "(drop (call $f))", leave.clone()),
        (
            "makes a resource",
            "(drop (call $new (i32.const 1)))",
            leave.clone(),
        ),
        ("drops a resource", "(call $drop (i32.const 1))", leave),
        (
            "changes the result",
            "(memory.fill (i32.const 0) (i32.const 255) (i32.const 65536))",
            returns(r#"String("hello")"#),
        ),
    ];
    for (name, body, verdict) in rows {
        let text = format!(
            r#"(component
  (import "number" (func $f (result u32)))
  (type $r (resource (rep i32)))
  (core func $f (canon lower (func $f)))
  (core func $new (canon resource.new $r))
  (core func $drop (canon resource.drop $r))
  (core module $M
    (import "h" "f" (func $f (result i32)))
    (import "h" "new" (func $new (param i32) (result i32)))
    (import "h" "drop" (func $drop (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "\10\00\00\00\05\00\00\00hello")
    (func $post (export "post") (param i32) {body})
    (func (export "run") (result i32) (i32.const 8)))
  (core instance $m (instantiate $M (with "h" (instance
    (export "f" (func $f)) (export "new" (func $new)) (export "drop" (func $drop))))))
  (func (export "run") (result string)
    (canon lift (core func $m "run") (memory (core memory $m "memory")) (post-return (core func $m "post")))))"#
        );
        cases.push(Case::component(
            format!("V10/a post-return that {name}"),
            text,
            &[],
            verdict,
        ));
    }
}

/// V11: calls that enter a component instance again, or nest.
fn entered(cases: &mut Vec<Case>) {
    let again = r#"(component
  (core module $T (table (export "t") 1 funcref) (type $f (func))
    (func (export "f") (call_indirect (type $f) (i32.const 0))))
  (core instance $t (instantiate $T))
  (func $f (canon lift (core func $t "f")))
  (component $A
    (import "f" (func $f))
    (core func $f (canon lower (func $f)))
    (core module $M (import "h" "f" (func $f)) (func (export "f") (call $f)))
    (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f))))))
    (func (export "f") (canon lift (core func $m "f"))))
  (instance $a (instantiate $A (with "f" (func $f))))
  (instance $b (instantiate $A (with "f" (func $a "f"))))
  (core func $g (canon lower (func $b "f")))
  (core module $M (import "h" "g" (func $g)) (import "t" "t" (table 1 funcref)) (elem (i32.const 0) func $g)
    (func (export "run") (call $g)))
  (core instance $m (instantiate $M (with "h" (instance (export "g" (func $g)))) (with "t" (instance $t))))
  (func (export "run") (canon lift (core func $m "run"))))"#;
    cases.push(Case::component(
        "V11/an instance that is entered again through two others",
        again,
        &[],
        breaks("cannot enter component instance"),
    ));
    for (depth, verdict) in [
        (15, returns("U32(15)")),
        (
            16,
            breaks("more than 16 calls of component instances inside one another"),
        ),
        (
            500,
            breaks("more than 16 calls of component instances inside one another"),
        ),
    ] {
        let name = format!("V11/a chain of {depth} components, each of which calls the next");
        // Native stack that is used up would end the process.
        cases.push(Case::component(name, chain(depth), &[], verdict).own_process());
    }
}

/// A chain of `depth` components, each of which calls the next.
fn chain(depth: usize) -> String {
    let links: String = (1..depth)
        .map(|at| {
            let before = at - 1;
            format!("(instance $link{at} (instantiate $Link (with \"run\" (func $link{before} \"run\"))))")
        })
        .collect();
    format!(
        r#"(component
  (component $Last
    (core module $M (func (export "run") (result i32) (i32.const 0)))
    (core instance $m (instantiate $M))
    (func (export "run") (result u32) (canon lift (core func $m "run"))))
  (component $Link
    (import "run" (func $f (result u32)))
    (core func $f (canon lower (func $f)))
    (core module $M (import "h" "f" (func $f (result i32)))
      (func (export "run") (result i32) (i32.add (call $f) (i32.const 1))))
    (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f))))))
    (func (export "run") (result u32) (canon lift (core func $m "run"))))
  (instance $last (instantiate $Last))
  (instance $link0 (instantiate $Link (with "run" (func $last "run"))))
  {links}
  (export "run" (func $link{} "run")))"#,
        depth - 1
    )
}

/// V12: start functions of core modules.
fn starts(cases: &mut Vec<Case>) {
    let start = |body: &str| {
        format!(
            r#"(component
  (import "sink" (func $sink (param "v" string)))
  (core module $Shim (table (export "t") 1 funcref)
    (func (export "sink") (param i32 i32) (call_indirect (param i32 i32) (local.get 0) (local.get 1) (i32.const 0))))
  (core instance $shim (instantiate $Shim))
  (core module $M (import "h" "sink" (func $sink (param i32 i32))) (memory (export "memory") 1)
    (func $start {body}) (start $start)
    (func (export "run") (call $sink (i32.const 0) (i32.const 5))))
  (core instance $m (instantiate $M (with "h" (instance $shim))))
  (core func $sink (canon lower (func $sink) (memory (core memory $m "memory"))))
  (core module $Fix (import "h" "sink" (func $sink (param i32 i32))) (import "shim" "t" (table 1 funcref))
    (elem (i32.const 0) func $sink))
  (core instance (instantiate $Fix (with "h" (instance (export "sink" (func $sink)))) (with "shim" (instance $shim))))
  (func (export "run") (canon lift (core func $m "run"))))"#
        )
    };
    for (name, body, verdict) in [
        ("does nothing", "", returns("")),
        (
            "calls an import before that has a memory",
            "(call $sink (i32.const 0) (i32.const 5))",
            traps("trap-null-call"),
        ),
        ("loops", "(loop (br 0))", out_of_fuel()),
        ("traps", "(unreachable)", traps("trap-unreachable")),
        ("recurses", "(call $start)", traps("trap-stack")),
    ] {
        let name = format!("V12/a start function that {name}");
        cases.push(Case::component(name, start(body), &[], verdict));
    }
    // Data and elements outside of memory and table.
    for (name, items) in [
        (
            "data outside of memory",
            "(memory 1) (data (i32.const 65535) \"ab\")",
        ),
        (
            "elements outside of the table",
            "(table 1 funcref) (func $f) (elem (i32.const 1) func $f)",
        ),
    ] {
        let text = format!(
            r#"(component (core module $M {items} (func (export "run")))
  (core instance $m (instantiate $M)) (func (export "run") (canon lift (core func $m "run"))))"#
        );
        let code = if items.contains("data") {
            "trap-memory"
        } else {
            "trap-instantiation 1 elements at 1 are outside their table"
        };
        cases.push(Case::component(
            format!("V12/{name}"),
            text,
            &[],
            traps(code),
        ));
    }
}

/// V13: calls of the host and of other components that fail or have no end.
fn between(cases: &mut Vec<Case>) {
    let host = |import: &str, ty: &str, body: &str| {
        format!(
            r#"(component (import "{import}" (func $f {ty}))
  {LIBC}
  (core func $f (canon lower (func $f) {OPTIONS}))
  (core module $M (import "h" "f" (func $f {})) (import "libc" "memory" (memory 1))
    (func (export "run") {body}))
  (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f)))) (with "libc" (instance $libc))))
  (func (export "run") (canon lift (core func $m "run"))))"#,
            match ty {
                "(result string)" => "(param i32)",
                "(result u32)" => "(result i32)",
                _ => "",
            }
        )
    };
    let boom = host("boom", "(result u32)", "(drop (call $f))");
    cases.push(
        Case::component(
            "V13/a host function that panics",
            boom,
            &[],
            traps("trap-host-panic"),
        )
        .panics(2),
    );
    let unaligned = breaks("a pointer that is not aligned");
    let out = |at| outside("value that a component receives", 8, at);
    for (at, verdict) in [
        (8u32, returns("")),
        (9, unaligned),
        (65_532, out(65_532)),
        (65_536, out(65_536)),
        (u32::MAX - 3, out(u32::MAX - 3)),
    ] {
        let body = format!("(call $f (i32.const {at}))");
        let text = host("give", "(result string)", &body);
        cases.push(Case::component(
            format!("V13/a result of the host at {at:#x}"),
            text,
            &[],
            verdict,
        ));
    }
    let text = host(
        "give",
        "(result string)",
        "(loop (call $f (i32.const 8)) (br 0))",
    );
    cases.push(Case::component(
        "V13/calls of the host without end",
        text.clone(),
        &[],
        out_of_fuel(),
    ));
    cases.push(
        Case::component(
            "V13/calls of the host above their number",
            text.clone(),
            &[],
            exceeds("host-calls"),
        )
        .budget(|budget| budget.host_calls = 10),
    );
    cases.push(
        Case::component(
            "V13/texts of the host above their number",
            text,
            &[],
            exceeds("arena-bytes"),
        )
        .budget(|budget| budget.bytes_to_guest = 50),
    );
    let inner = |body: &str| {
        format!(
            r#"(component
  (component $Inner {LIBC}
    (core module $M (func $f (export "f") (param i32 i32) {body}))
    (core instance $m (instantiate $M))
    (func (export "f") (param "v" string) (canon lift (core func $m "f") {OPTIONS})))
  (instance $inner (instantiate $Inner))
  {LIBC}
  (core func $f (canon lower (func $inner "f") {OPTIONS}))
  (core module $M (import "h" "f" (func $f (param i32 i32)))
    (func (export "run") (loop (call $f (i32.const 0) (i32.const 5)) (br 0))))
  (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f))))))
  (func (export "run") (canon lift (core func $m "run"))))"#
        )
    };
    for (name, body, verdict) in [
        ("returns, again and again", "", out_of_fuel()),
        ("traps", "(unreachable)", traps("trap-unreachable")),
        ("loops", "(loop (br 0))", out_of_fuel()),
        (
            "recurses",
            "(call $f (local.get 0) (local.get 1))",
            traps("trap-stack"),
        ),
    ] {
        let name = format!("V13/another component that {name}");
        cases.push(Case::component(name, inner(body), &[], verdict));
    }
}
