//! A: what passes between guest and host: pointers, allocators, results, types, and what host calls
//! are charged.

mod allocate;
mod allocators;
mod changing_bytes;
mod charges;
mod counters;
mod deallocate;
mod inputs;
mod moving_memory;
mod pointers;
mod reexports;
mod results;
mod types;

use crate::case::Case;

pub(crate) fn cases() -> Vec<Case> {
    let files = [
        pointers::cases(),
        allocators::cases(),
        allocate::cases(),
        moving_memory::cases(),
        results::cases(),
        deallocate::cases(),
        reexports::cases(),
        charges::cases(),
        changing_bytes::cases(),
        types::cases(),
        inputs::cases(),
        counters::cases(),
    ];
    files.into_iter().flatten().collect()
}

/// Host functions: a log record of bytes, the value of a setting, and four functions of the test's.
const IMPORTS: &str = r#"
    (import "env" "host_log" (func $log (param i32 i32)))
    (import "env" "host_get_config" (func $get (param i32 i32) (result i32 i32)))
    (import "host" "noop" (func $noop))
    (import "host" "give" (func $give (result i32 i32)))
    (import "host" "echo" (func $echo (param i32 i32) (result i32 i32)))
    (import "host" "pair" (func $pair (param i32)))"#;

/// An export that a guest must still serve after a call that did not stop it.
const FINE: &str = r#"(func (export "fine") (result i32) (i32.const 7))"#;

/// Returns the text of a module whose `allocate` does `body`. `process` returns its input, and
/// `run` the first byte of the setting `key`.
fn with_allocate(body: &str) -> String {
    format!(
        r#"(module {IMPORTS} (memory (export "memory") 2)
            (table 1 funcref) (elem (i32.const 0) $process)
            (data (i32.const 64) "key") (global $calls (mut i32) (i32.const 0)) {FINE}
            (func $allocate (export "allocate") (param $size i32) (result i32) {body})
            (func $process (export "process") (param i32 i32) (result i32 i32)
              (local.get 0) (local.get 1))
            (func (export "run") (result i32) (local i32)
              (call $get (i32.const 64) (i32.const 3)) (drop) (local.set 0)
              (i32.load8_u (local.get 0))))"#
    )
}

/// The first byte of the setting `key`, as `run` returns it: the `v` of `value`.
const V: &str = "118";
