//! Snapshots of plugins of other conventions: Typst's transitions, and start code that has run.

use hostel::{Engine, Extism, Grants, Instance, Wapc};
use hostel_tests::{assemble, guest_bytes};

/// Calls `function` of a new instance of `wasm`, and returns a module that starts with the state after it.
fn after(wasm: &[u8], grants: &Grants, function: &str, inputs: &[&[u8]]) -> Vec<u8> {
    let call = |instance: &mut Instance| instance.call_arguments(function, inputs, |_| ());
    let snapshot = Engine::default().snapshot("guest", wasm, grants, call);
    snapshot.unwrap_or_else(|error| panic!("{error}"))
}

/// Returns what `function` of `wasm` returns, in two new instances.
fn answers(wasm: &[u8], grants: &Grants, function: &str, input: &[&[u8]]) -> [String; 2] {
    let plugin = Engine::default().load("guest", wasm, grants).unwrap();
    [(); 2].map(|()| {
        let mut instance = plugin.instantiate(()).unwrap();
        let answer = instance.call_arguments(function, input, <[u8]>::to_vec);
        String::from_utf8(answer.unwrap()).unwrap()
    })
}

#[test]
fn a_transition_derives_a_typst_plugin_and_leaves_the_first_one_as_it_was() {
    let grants = Grants::new().typst();
    let base = guest_bytes("typst_kit");
    let derived = after(&base, &grants, "count", &[]);
    let twice = after(&derived, &grants, "count", &[]);
    for (wasm, expected) in [(&base, "1"), (&derived, "2"), (&twice, "3"), (&base, "1")] {
        assert_eq!(answers(wasm, &grants, "count", &[]), [expected; 2]);
    }
    let joined = answers(&twice, &grants, "join", &[b"one", b"two", b"three"]);
    assert_eq!(joined, ["one*two*three"; 2]);
}

/// Start code that has run is left out of a snapshot: it would undo what was called after it.
#[test]
fn start_code_of_a_convention_does_not_run_again() {
    let set = |value: char| format!("(global.set $n (i32.const {}))", u32::from(value));
    let wapc = assemble(&format!(
        r#"(module
            (import "wapc" "__guest_response" (func $respond (param i32 i32)))
            (memory (export "memory") 1)
            (global $n (mut i32) (i32.const 0))
            (func (export "_start") {})
            (func (export "wapc_init") {})
            (func (export "__guest_call") (param i32 i32) (result i32)
              (i32.store8 (i32.const 0) (global.get $n))
              (global.set $n (i32.add (global.get $n) (i32.const 1)))
              (call $respond (i32.const 0) (i32.const 1)) (i32.const 1)))"#,
        set('0'),
        set('a')
    ));
    let extism = assemble(&format!(
        r#"(module
            (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
            (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
            (import "extism:host/env" "output_set" (func $output (param i64 i64)))
            (global $n (mut i32) (i32.const 0))
            (func (export "_initialize") {})
            (func (export "hs_init") (param i32 i32) {})
            (func (export "count") (local $at i64)
              (local.set $at (call $alloc (i64.const 1)))
              (call $store (local.get $at) (global.get $n))
              (global.set $n (i32.add (global.get $n) (i32.const 1)))
              (call $output (local.get $at) (i64.const 1))))"#,
        set('0'),
        set('a')
    ));
    let constructed = assemble(
        r#"(module
            (import "extism:host/env" "input_offset" (func $at (result i64)))
            (import "extism:host/env" "output_set" (func $output (param i64 i64)))
            (func (export "_initialize") unreachable)
            (func (export "__wasm_call_ctors"))
            (func (export "count") (call $output (call $at) (i64.const 1))))"#,
    );
    let grants = Grants::new().wapc(Wapc::new()).extism(Extism::new());
    for (wasm, before, expected) in [
        (&wapc, "a", "b"),
        (&extism, "a", "b"),
        (&constructed, "x", "x"),
    ] {
        let answers = |wasm: &[u8]| answers(wasm, &grants, "count", &[b"x"]);
        assert_eq!(answers(wasm), [before; 2]);
        let snapshot = after(wasm, &grants, "count", &[b"x"]);
        assert_eq!(answers(&snapshot), [expected; 2]);
        let again = after(&snapshot, &grants, "count", &[b"x"]);
        let next = if expected == "b" { "c" } else { expected };
        assert_eq!(answers(&again), [next; 2]);
    }
}
