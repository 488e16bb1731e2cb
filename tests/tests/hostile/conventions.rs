//! X: guests of other hosts' conventions, against what these offer.

use crate::case::{Case, Verdict, exceeds, fails, out_of_fuel, refused, returns, traps};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    extism_handles(&mut cases);
    extism_bounds(&mut cases);
    extism_memory(&mut cases);
    wapc(&mut cases);
    typst(&mut cases);
    starts(&mut cases);
    cases
}

/// The functions of Extism's environment that the attacks call.
const EXTISM: &str = r#"
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "free" (func $free (param i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "load_u8" (func $load8 (param i64) (result i32)))
    (import "extism:host/env" "load_u64" (func $load64 (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func $store8 (param i64 i32)))
    (import "extism:host/env" "store_u64" (func $store64 (param i64 i64)))
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "extism:host/env" "input_load_u64" (func $input64 (param i64) (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (import "extism:host/env" "error_set" (func $error (param i64)))
    (import "extism:host/env" "config_get" (func $config (param i64) (result i64)))
    (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
    (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
    (import "extism:host/env" "log_warn" (func $warn (param i64)))
    (memory (export "memory") 1)
    (func $must (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
    (func $zero (param i64) (if (i64.ne (local.get 0) (i64.const 0)) (then unreachable)))"#;

/// Returns the text of an Extism plugin whose export `run` has `body`.
fn extism(body: &str) -> String {
    format!(
        r#"(module {EXTISM}
        (func (export "run") (result i32) (local $a i64) (local $b i64) {body} (i32.const 0)))"#
    )
}

/// Makes a verdict.
type Expected = fn() -> Verdict;

/// X01, X02: handles that were never given, and places that wrap or lie inside a block. A row says what the
/// guest does with one.
fn extism_handles(cases: &mut Vec<Case>) {
    let places = [
        "-1",
        "-8",
        "0x7fffffffffffffff",
        "-0x8000000000000000",
        "0x100000000",
        "3",
    ];
    #[rustfmt::skip] // a table
    let rows: [(&str, &str, Expected); 9] = [
        ("load", "(call $zero (i64.extend_i32_u (call $load8 PLACE))) (call $zero (call $load64 PLACE))", || returns("")),
        ("store", "(call $store8 PLACE (i32.const 7)) (call $store64 PLACE (i64.const -1))
            (call $zero (call $load64 PLACE))", || returns("")),
        ("length", "(call $zero (call $length PLACE))", || returns("")),
        ("free", "(call $free PLACE) (call $free PLACE)", || returns("")),
        ("input", "(call $zero (call $input64 PLACE))", || returns("")),
        ("output", "(call $output PLACE (i64.const 1)) (call $output (i64.const 1) PLACE)", || returns("")),
        ("error's text", "(call $error PLACE)", || returns("")),
        ("setting", "(drop (call $config PLACE))", || traps("trap-host")),
        ("record", "(call $warn PLACE)", || traps("trap-host")),
    ];
    for (what, body, verdict) in rows {
        for place in places {
            let body = body.replace("PLACE", &format!("(i64.const {place})"));
            let name = format!("X01/{what} at {place}");
            cases.push(Case::foreign(name, extism(&body), "", verdict()));
        }
    }
    #[rustfmt::skip] // a table
    let rows: [(&str, &str, Verdict); 5] = [
        ("X01/setting by a place inside a block",
            "(local.set $a (call $alloc (i64.const 8))) (drop (call $config (i64.add (local.get $a) (i64.const 1))))",
            traps("trap-host")),
        ("X01/variable by a freed key",
            "(local.set $a (call $alloc (i64.const 8))) (call $free (local.get $a)) (drop (call $var_get (local.get $a)))",
            traps("trap-host")),
        ("X01/each place of the first 5,000, freed",
            "(loop $on (call $free (local.get $b))
                (br_if $on (i64.lt_u (local.tee $b (i64.add (local.get $b) (i64.const 1))) (i64.const 5000))))
            (call $zero (call $length (call $input)))",
            returns("")),
        ("X02/block freed twice, with another behind it",
            "(local.set $a (call $alloc (i64.const 8))) (call $free (local.get $a))
            (local.set $b (call $alloc (i64.const 8))) (call $free (local.get $a))
            (call $must (i64.eq (call $length (local.get $b)) (i64.const 8)))",
            returns("")),
        ("X01/output over all that there is",
            "(call $output (i64.const 0) (i64.const 0xffffffff)) (call $output (i64.const 0) (i64.const -1))",
            returns("")),
    ];
    for (name, body, verdict) in rows {
        cases.push(Case::foreign(name, extism(body), "hello", verdict).fuel(2_000_000));
    }
}

/// X02, X03, X04: what the environment keeps for a guest, and what it hands over.
fn extism_bounds(cases: &mut Vec<Case>) {
    for size in [
        "-1",
        "-0x8000000000000000",
        "0x7fffffffffffffff",
        "0x100000000",
        "0x200000",
    ] {
        let name = format!("X02/block of {size} bytes");
        let body = format!("(call $zero (call $alloc (i64.const {size})))");
        cases.push(Case::foreign(name, extism(&body), "", returns("")));
    }
    #[rustfmt::skip] // a table
    let rows: [(&str, &str, Verdict); 9] = [
        ("X02/blocks of a byte without end", "(loop $on (drop (call $alloc (i64.const 1))) (br $on))", out_of_fuel()),
        ("X02/blocks of 60 KB without end", "(loop $on (drop (call $alloc (i64.const 60000))) (br $on))", out_of_fuel()),
        ("X02/blocks, each freed at once, without end",
            "(loop $on (call $free (call $alloc (i64.const 4096))) (br $on))", out_of_fuel()),
        ("X03/output that is larger than the budget",
            "(local.set $a (call $alloc (i64.const 200000))) (call $output (local.get $a) (i64.const 200000))",
            fails("output-too-large")),
        ("X03/error's text that is larger than the budget",
            "(call $error (call $alloc (i64.const 200000)))", fails("error-too-large")),
        ("X04/variables without end",
            "(loop $on (local.set $a (call $alloc (i64.const 8))) (call $store64 (local.get $a) (local.get $b))
                (call $var_set (local.get $a) (call $alloc (i64.const 100000)))
                (local.set $b (i64.add (local.get $b) (i64.const 1))) (br $on))",
            traps("trap-host")),
        ("X04/variable with a key of 100 KB",
            "(call $var_set (call $alloc (i64.const 100000)) (call $alloc (i64.const 1)))", returns("")),
        ("X04/variable with a key of all that variables may take",
            "(call $var_set (call $alloc (i64.const 1048577)) (call $alloc (i64.const 1)))", traps("trap-host")),
        ("X03/records without end",
            "(loop $on (call $warn (call $alloc (i64.const 1))) (br $on))", out_of_fuel()),
    ];
    for (name, body, verdict) in rows {
        // With more memory than variables may take.
        let case = Case::foreign(name, extism(body), "", verdict).fuel(300_000);
        let case = case.limits(|limits| limits.memory_bytes = 4 << 20);
        cases.push(case.budget(|budget| {
            (budget.output_bytes, budget.error_bytes) = (100_000, 100_000);
        }));
    }
}

/// X02: blocks and the guest's own memory share one limit, of 1 MiB here.
fn extism_memory(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("X02/memory that grows beside blocks of 700 KB",
            "(call $must (i32.wrap_i64 (call $alloc (i64.const 700000))))
            (call $must (i32.eq (memory.grow (i32.const 10)) (i32.const -1)))"),
        ("X02/blocks beside a memory of 700 KB",
            "(call $must (i32.eq (memory.grow (i32.const 10)) (i32.const 1)))
            (call $zero (call $alloc (i64.const 700000)))"),
        ("X02/blocks and pages by turns",
            "(loop $on
                (local.set $b (call $alloc (i64.const 65000)))
                (br_if $on (i32.and (i64.ne (local.get $b) (i64.const 0))
                    (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))))
            (call $must (i32.lt_u (memory.size) (i32.const 9)))"),
    ];
    for (name, body) in rows {
        cases.push(Case::foreign(name, extism(body), "", returns("")).fuel(1_000_000));
    }
    let input = vec![b'a'; 1_000_000];
    let case = Case::foreign(
        "X02/input that the memory leaves no room for",
        extism(""),
        input,
        fails("does-not-fit"),
    );
    cases.push(case.budget(|budget| budget.input_bytes = 2_000_000));
}

/// X06, X07, X08: what a waPC guest hands to the host.
fn wapc(cases: &mut Vec<Case>) {
    const IMPORTS: &str = r#"
        (import "wapc" "__guest_request" (func $request (param i32 i32)))
        (import "wapc" "__guest_response" (func $respond (param i32 i32)))
        (import "wapc" "__guest_error" (func $error (param i32 i32)))
        (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (import "wapc" "__host_response" (func $response (param i32)))
        (import "wapc" "__console_log" (func $log (param i32 i32)))"#;
    let end = "(i32.const 65536)";
    let calls = |arguments: &str| format!("(drop (call $call {arguments}))");
    let zeros = "(i32.const 0) ".repeat(6);
    #[rustfmt::skip] // a table
    let rows = [
        ("X06/waPC: request written behind the memory", format!("(call $request {end} {end})"), traps("trap-host-call")),
        ("X06/waPC: response behind the memory", format!("(call $respond {end} (i32.const 1))"), traps("trap-host-call")),
        ("X06/waPC: response of all addresses", "(call $respond (i32.const 0) (i32.const -1))".into(), traps("trap-host-call")),
        ("X06/waPC: response that wraps", "(call $respond (i32.const -1) (i32.const 2))".into(), traps("trap-host-call")),
        ("X06/waPC: error's text that wraps", "(call $error (i32.const -1) (i32.const 2))".into(), traps("trap-host-call")),
        ("X06/waPC: error's text that is none", "(i32.store8 (i32.const 0) (i32.const 255)) (call $error (i32.const 0) (i32.const 1))".into(), traps("trap-host-call")),
        ("X06/waPC: record that wraps", "(call $log (i32.const -4) (i32.const 8))".into(), traps("trap-host-call")),
        ("X06/waPC: payload behind the memory", calls(&format!("{zeros} {end} (i32.const 1)")), traps("trap-host-call")),
        ("X06/waPC: answer written behind the memory",
            format!("{} (call $response {end})", calls(&format!("{zeros} (i32.const 0) (i32.const 8)"))), traps("trap-host-call")),
        ("X03/waPC: response that is larger than the budget", "(call $respond (i32.const 0) (i32.const 60000))".into(), traps("trap-host-call")),
        ("X07/waPC: calls of the host without end",
            format!("(loop $on {} (br $on))", calls(&format!("{zeros} (i32.const 0) (i32.const 0)"))), out_of_fuel()),
        ("X07/waPC: large calls of the host without end",
            format!("(loop $on {} (br $on))", calls(&format!("{zeros} (i32.const 0) (i32.const 5000)"))), out_of_fuel()),
        ("X07/waPC: payload that is larger than the budget", calls(&format!("{zeros} (i32.const 0) (i32.const 60000)")), exceeds("argument-too-large")),
        ("X07/waPC: records without end", "(loop $on (call $log (i32.const 0) (i32.const 0)) (br $on))".into(), out_of_fuel()),
    ];
    for (name, body, verdict) in rows {
        let text = format!(
            r#"(module {IMPORTS} (memory (export "memory") 1)
            (func (export "__guest_call") (param i32 i32) (result i32) {body} (i32.const 1)))"#
        );
        let case = Case::foreign(name, text, "hello", verdict);
        cases.push(case.budget(|budget| {
            (budget.output_bytes, budget.argument_bytes) = (50_000, 50_000);
        }));
    }
    let both = r#"(module (import "wapc" "__console_log" (func (param i32 i32)))
        (import "extism:host/env" "alloc" (func (param i64) (result i64)))
        (memory (export "memory") 1) (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#;
    let verdict = refused("mismatch unknown-import");
    cases.push(Case::load("X08/waPC with Extism's memory", both, verdict));
}

/// X06: what a Typst plugin hands to the host.
fn typst(cases: &mut Vec<Case>) {
    const IMPORTS: &str = r#"
        (import "typst_env" "wasm_minimal_protocol_write_args_to_buffer" (func $arguments (param i32)))
        (import "typst_env" "wasm_minimal_protocol_send_result_to_host" (func $send (param i32 i32)))"#;
    #[rustfmt::skip] // a table
    let rows = [
        ("X06/Typst: arguments written behind the memory", "(call $arguments (i32.const 65536))", fails("out-of-bounds")),
        ("X06/Typst: arguments written over its end", "(call $arguments (i32.const 65533))", fails("out-of-bounds")),
        ("X06/Typst: result behind the memory", "(call $send (i32.const 65536) (i32.const 1))", fails("out-of-bounds")),
        ("X06/Typst: result that wraps", "(call $send (i32.const -1) (i32.const 2))", fails("out-of-bounds")),
        ("X06/Typst: result of all addresses", "(call $send (i32.const 0) (i32.const -1))", fails("out-of-bounds")),
        ("X07/Typst: results without end", "(loop $on (call $send (i32.const 0) (i32.const 40000)) (br $on))", out_of_fuel()),
        ("X03/Typst: result that is larger than the budget", "(call $send (i32.const 0) (i32.const 60000))", traps("trap-host-call")),
    ];
    for (name, body, verdict) in rows {
        let text = format!(
            r#"(module {IMPORTS} (memory (export "memory") 1)
            (func (export "run") (param i32) (result i32) {body} (i32.const 0)))"#
        );
        let case = Case::foreign(name, text, "hello", verdict);
        cases.push(case.budget(|budget| budget.output_bytes = 50_000));
    }
}

/// M14: functions that a convention runs when an instance is made.
fn starts(cases: &mut Vec<Case>) {
    let endless = "(loop $on (br $on))";
    for name in ["_initialize", "__wasm_call_ctors", "hs_init"] {
        let params = if name == "hs_init" {
            "(param i32 i32)"
        } else {
            ""
        };
        let text = format!(
            r#"(module {EXTISM} (func (export "{name}") {params} {endless})
            (func (export "run") (result i32) (i32.const 0)))"#
        );
        cases.push(Case::start(
            format!("M14/Extism: endless {name}"),
            text,
            out_of_fuel(),
        ));
    }
    for name in ["_start", "wapc_init"] {
        let text = format!(
            r#"(module (import "wapc" "__console_log" (func (param i32 i32))) (memory (export "memory") 1)
            (func (export "{name}") {endless})
            (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#
        );
        cases.push(Case::start(
            format!("M14/waPC: endless {name}"),
            text,
            out_of_fuel(),
        ));
    }
}
