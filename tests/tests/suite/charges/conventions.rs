//! Functions of the environments of other hosts' conventions.

use super::{BASE, Bare, SIZES, pass};
use hostel::{
    Budget, Extism, Grants, LogRecord, MemoryState, StateCosts, StateLimits, StateStore, Wapc,
};
use hostel_tests::{assemble, load_wat};

/// What a guest does with `N` bytes, and what that is charged beside the guest's own code and its call.
struct Row {
    body: &'static str,
    charge: fn(n: u64) -> u64,
}

/// The most bytes of an argument that the budget allows.
const MOST: u32 = 1 << 20;

/// The charge for a block of `n` bytes: a call, and setting it to 0 with what pads it.
fn block(n: u64) -> u64 {
    BASE + pass(n.next_multiple_of(16) + 16)
}

/// What the store costs.
fn costs() -> StateCosts {
    MemoryState::new(StateLimits::server()).costs()
}

#[rustfmt::skip] // a table
const EXTISM: &[Row] = &[
    Row { body: "(drop (call $alloc N))", charge: block },
    Row { body: "(call $free (call $alloc N))", charge: |n| block(n) + BASE },
    Row { body: "(drop (call $length (call $alloc N)))", charge: |n| block(n) + BASE },
    Row { body: "(drop (call $load (call $alloc N)))", charge: |n| block(n) + BASE },
    Row { body: "(call $store (call $alloc N) (i64.const 7))", charge: |n| block(n) + BASE },
    // Showing a byte costs more than reading it.
    Row { body: "(call $log (call $alloc N))", charge: |n| block(n) + BASE + pass(n) + n },
    // A key that is not set.
    Row { body: "(drop (call $config (call $alloc N)))", charge: |n| block(n) + BASE + pass(n) },
    // A value of N bytes under a key of one.
    Row { body: "(call $var_set (call $alloc (i64.const 1)) (call $alloc N))",
        charge: |n| block(1) + block(n) + BASE + 2 * pass(1) + pass(n) + costs().write },
    // The same, and the value read again. One of no bytes is no variable.
    Row { body: "(call $var_set (call $alloc (i64.const 1)) (call $alloc N)) (drop (call $var_get (call $alloc (i64.const 1))))",
        charge: |n| block(1) + block(n) + BASE + 2 * pass(1) + pass(n) + costs().write
            + block(1) + BASE + pass(1) + costs().read + if n > 0 { block(n) - BASE } else { 0 } },
    // Each call's output is charged when it is delivered.
    Row { body: "(local.set $at (call $alloc N)) (call $output (local.get $at) N)", charge: |n| block(n) + BASE + pass(n) },
];

/// The charge for the empty response that each of waPC's guests sets first.
const EMPTY: u64 = BASE;

#[rustfmt::skip] // a table
const WAPC: &[Row] = &[
    Row { body: "(call $respond (i32.const 0) N)", charge: |n| EMPTY + BASE + pass(n) + pass(n) },
    Row { body: "(call $log (i32.const 0) N)", charge: |n| EMPTY + BASE + pass(n) + n },
    // The payload, and the embedder's answer of N bytes, which the guest need not fetch.
    Row { body: "(drop (call $call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) N))", charge: |n| EMPTY + BASE + 2 * pass(n) },
    Row { body: "(drop (call $call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) N)) (call $response (i32.const 0))",
        charge: |n| EMPTY + BASE + 2 * pass(n) + BASE + pass(n) },
];

fn grants() -> Grants {
    Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .extism(Extism::new().variable_bytes(usize::MAX))
        .wapc(Wapc::new().callback(|request| Ok(request.payload.to_vec())))
}

/// Checks each row with each size: `text` makes the module, whose export `run` is called.
fn check(
    rows: &[Row],
    export: &str,
    params: &[u32],
    text: impl Fn(&str) -> String,
    constant: &str,
) {
    let mut budget = Budget::server();
    budget.log_bytes = u32::MAX;
    budget.argument_bytes = MOST as usize;
    budget.output_bytes = MOST as usize;
    for Row { body, charge } in rows {
        for n in SIZES {
            let text = text(&body.replace('N', &format!("({constant} {n})")));
            let plugin = load_wat::<()>(&text, &grants()).with_budget(budget);
            let mut instance = plugin.instantiate(()).unwrap();
            let called = instance.call_bytes("run", b"", |_| ());
            called.unwrap_or_else(|error| panic!("{body} with {n} bytes: {error}"));
            let own = Bare::new(&assemble(&text)).fuel(export, params);
            let charged = instance.usage().fuel - own;
            // The call itself, and its name.
            let expected = BASE + pass("run".len() as u64) + charge(n.into());
            assert_eq!(charged, expected, "{body} with {n} bytes");
        }
    }
}

#[test]
fn functions_of_extism_charge_by_bytes() {
    let text = |body: &str| {
        format!(
            r#"(module
            (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
            (import "extism:host/env" "free" (func $free (param i64)))
            (import "extism:host/env" "length" (func $length (param i64) (result i64)))
            (import "extism:host/env" "load_u64" (func $load (param i64) (result i64)))
            (import "extism:host/env" "store_u64" (func $store (param i64 i64)))
            (import "extism:host/env" "output_set" (func $output (param i64 i64)))
            (import "extism:host/env" "config_get" (func $config (param i64) (result i64)))
            (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
            (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
            (import "extism:host/env" "log_info" (func $log (param i64)))
            (func (export "run") (result i32) (local $at i64) {body} (i32.const 0)))"#
        )
    };
    check(EXTISM, "run", &[], text, "i64.const");
}

#[test]
fn functions_of_wapc_charge_by_bytes() {
    let text = |body: &str| {
        format!(
            r#"(module
            (import "wapc" "__guest_response" (func $respond (param i32 i32)))
            (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (import "wapc" "__host_response" (func $response (param i32)))
            (import "wapc" "__console_log" (func $log (param i32 i32)))
            (memory (export "memory") 17)
            (func (export "__guest_call") (param i32 i32) (result i32)
              (call $respond (i32.const 0) (i32.const 0)) {body} (i32.const 1)))"#
        )
    };
    check(WAPC, "__guest_call", &[3, 0], text, "i32.const");
}
