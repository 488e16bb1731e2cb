//! A03, A04: an `allocate` that does more than allocate, for the input of a call, and for a setting
//! that the guest asks for in the middle of a call.
//!
//! A row: what `allocate` does, its code, and the verdicts for the input and for the setting.

use super::{FINE, IMPORTS, V, with_allocate};
use crate::case::{Case, Verdict, fails, out_of_fuel, returns, traps};
use hostel_tests::with_allocator;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    other_work(&mut cases);
    host_calls(&mut cases);
    host_calls_around_it(&mut cases);
    in_deallocate(&mut cases);
    cases
}

/// A03: work in `allocate`. It uses up the fuel of the call.
fn other_work(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("traps", "(unreachable)", both(traps("trap-unreachable"))),
        ("stores outside",
            "(i32.store (i32.const -1) (i32.const 0)) (i32.const 1024)",
            both(traps("trap-memory"))),
        ("divides by zero",
            "(i32.div_u (i32.const 1) (global.get $calls))", both(traps("trap-division"))),
        ("loops", "(loop $on (br $on)) (unreachable)", both(out_of_fuel())),
        ("calls itself", "(call $allocate (local.get $size))", both(traps("trap-stack"))),
        ("grows memory by one", "(drop (memory.grow (i32.const 1))) (i32.const 1024)", served()),
        ("returns a new page", "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))", served()),
        ("grows as far as it goes",
            "(loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
             (i32.const 1024)",
            served()),
        ("grows for ever",
            "(loop $on (drop (memory.grow (i32.const 1))) (br $on)) (unreachable)",
            both(out_of_fuel())),
        // The caller learns that -1 lies outside of memory. In a host call, that stops the guest.
        ("returns a growth that failed",
            "(memory.grow (i32.const 1000))", [fails("out-of-bounds"), traps("trap-host-call")]),
        ("wipes memory",
            "(memory.fill (i32.const 1024) (i32.const 0) (i32.const 65536)) (i32.const 1024)",
            served()),
        ("calls through an empty table",
            "(call_indirect (type 0) (i32.const 7)) (i32.const 1024)", both(traps("trap-table"))),
        ("needs all fuel",
            "(memory.fill (i32.const 1024) (i32.const 0) (i32.const 65536))
             (loop $on (br $on)) (unreachable)",
            both(out_of_fuel())),
    ];
    for (what, body, verdicts) in rows {
        // One row calls a function of type 0, which must take nothing.
        let text = with_allocate(body).replacen("(module", "(module (type (func))", 1);
        add_both(cases, &format!("A03/allocate that {what}"), &text, verdicts);
    }
}

/// Both uses end so.
fn both(verdict: Verdict) -> [Verdict; 2] {
    [verdict.clone(), verdict]
}

/// Both uses are served: `process` returns its input, `run` the first byte of the setting.
fn served() -> [Verdict; 2] {
    [returns("hello"), returns(V)]
}

/// Adds a case in which `allocate` serves the input, and one in which it serves a setting.
fn add_both(cases: &mut Vec<Case>, name: &str, text: &str, verdicts: [Verdict; 2]) {
    let [for_input, for_setting] = verdicts;
    cases.extend([
        Case::process(format!("{name}, for the input"), text, "hello", for_input),
        Case::run_export(format!("{name}, for a setting"), text, for_setting),
    ]);
}

/// A04: host calls in `allocate`. For a setting, the guest waits in a host call already: another
/// one from there would enter it again, and so on until the native stack is full. For the input it
/// may make one, unless that would call `allocate` in turn.
fn host_calls(cases: &mut Vec<Case>) {
    let get = "(call $get (i32.const 64) (i32.const 3)) (drop) (drop)";
    let get_the_second_time =
        format!("(if (global.get $calls) (then {get})) (global.set $calls (i32.const 1))");
    let never = || both(traps("trap-reentered"));
    let for_input_only = || [returns("hello"), traps("trap-reentered")];
    #[rustfmt::skip] // a table
    let rows = [
        ("asks for a setting (W6)", get, never()),
        ("logs", "(call $log (i32.const 64) (i32.const 3))", for_input_only()),
        ("calls a host function", "(call $noop)", for_input_only()),
        ("takes bytes", "(call $give) (drop) (drop)", never()),
        ("echoes", "(call $echo (i32.const 64) (i32.const 3)) (drop) (drop)", never()),
        ("has a record filled", "(call $pair (i32.const 128))", for_input_only()),
        // Calls of the guest's own functions are no host calls.
        ("calls process", "(call $process (i32.const 0) (i32.const 0)) (drop) (drop)", served()),
        ("calls process through a table",
            "(call_indirect (param i32 i32) (result i32 i32)
               (i32.const 0) (i32.const 0) (i32.const 0)) (drop) (drop)",
            served()),
        ("asks only when asked again", &get_the_second_time, served()),
    ];
    for (what, body, verdicts) in rows {
        let text = with_allocate(&format!("{body} (i32.const 1024)"));
        add_both(cases, &format!("A04/allocate that {what}"), &text, verdicts);
    }
}

/// A04: host calls after `allocate`, and under deep calls of the guest's own.
fn host_calls_around_it(cases: &mut Vec<Case>) {
    // The first value is empty, for which `allocate` returns 0.
    let again = format!(
        r#"(module {IMPORTS} (memory (export "memory") 1) (data (i32.const 64) "emptykey") {FINE}
            (func (export "allocate") (param i32) (result i32)
              (select (i32.const 1024) (i32.const 0) (local.get 0)))
            (func (export "run") (result i32) (local i32 i32)
              (call $get (i32.const 64) (i32.const 5)) (local.set 0) (local.set 1)
              (call $log (i32.const 64) (i32.const 5))
              (call $get (i32.const 69) (i32.const 3)) (drop) (local.set 1)
              (i32.load8_u (local.get 1))))"#
    );
    let name = "A04/imports are open again after allocate";
    cases.push(Case::run_export(name, again, returns(V)));
    let deep = with_allocator(
        IMPORTS,
        r#"(data (i32.const 64) "key") (func $down (param i32)
              (if (local.get 0) (then (call $get (i32.const 64) (i32.const 3)) (drop) (drop)
                (call $down (i32.sub (local.get 0) (i32.const 1))))))
           (func (export "run") (call $down (i32.const 300)))"#,
    );
    let name = "A04/300 settings, each a call deeper";
    cases.push(Case::run_export(name, deep, returns("")));
}

/// A04: host calls in `deallocate`, which runs when the call is over: they are allowed.
fn in_deallocate(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("asks for a setting",
            "(call $get (i32.const 64) (i32.const 3)) (drop) (drop)", returns("hello")),
        ("logs", "(call $log (i32.const 64) (i32.const 3))", returns("hello")),
        ("calls process",
            "(call $process (i32.const 0) (i32.const 0)) (drop) (drop)", returns("hello")),
        ("asks for ever",
            "(loop $on (call $get (i32.const 64) (i32.const 3)) (drop) (drop) (br $on))",
            out_of_fuel()),
    ];
    for (what, body, verdict) in rows {
        let text = with_allocate("(i32.const 1024)").replace(
            "(func $process",
            &format!(r#"(func (export "deallocate") (param i32 i32) {body}) (func $process"#),
        );
        let name = format!("A04/deallocate that {what}");
        cases.push(Case::script(name, text, verdict, |setup| {
            Verdict::of_bytes(setup.instance().call("process", "hello"))
        }));
    }
}
