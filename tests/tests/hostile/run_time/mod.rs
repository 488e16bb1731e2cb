//! R: what guest code can do by itself: run for ever, use memory and stack, trap, cost more than it
//! pays for.

mod cost;
mod floats;
mod fuel;
mod growth;
mod long;
mod loops;
mod recursion;
mod stopped;
mod traps;

use crate::case::{Case, Verdict};

pub(crate) fn cases() -> Vec<Case> {
    let files = [
        loops::cases(),
        recursion::cases(),
        growth::cases(),
        long::cases(),
        cost::cases(),
        traps::cases(),
        fuel::cases(),
        floats::cases(),
        stopped::cases(),
    ];
    files.into_iter().flatten().collect()
}

/// Returns the text of a module with an export `run` that does `body`, and with `items`.
///
/// Both may use the imports `$noop`, `$log`, `$get` and `$boom`, a memory of one page that begins
/// with `key`, a table of four elements, of which 1 is `$run` and 2 `$one`, and segments.
fn with_run(items: &str, body: &str) -> String {
    format!(
        r#"(module
            (import "host" "noop" (func $noop))
            (import "env" "host_log" (func $log (param i32 i32)))
            (import "env" "host_get_config" (func $get (param i32 i32) (result i32 i32)))
            (import "host" "boom" (func $boom (result i32)))
            (memory $memory (export "memory") 1)
            (table $table 4 funcref) (elem (i32.const 1) $run $one)
            (elem $passive func $run) (data $data "0123456789abcdef")
            (data (i32.const 0) "key")
            (type $nothing (func)) (type $other (func (param f64) (result f64)))
            (global $zero (mut i32) (i32.const 0))
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "fine") (result i32) (i32.const 7))
            (func $one (param i32) (result i32) (local.get 0))
            {items}
            (func $run (export "run") {body}))"#
    )
}

/// A guest whose `run` does `body`.
fn run(name: impl Into<String>, body: &str, verdict: Verdict) -> Case {
    Case::run_export(name, with_run("", body), verdict)
}
