//! S: what host functions offer: the log, settings, and state.

mod config;
mod log;
mod state;

use crate::case::Case;
use hostel_tests::with_allocator;

pub(crate) fn cases() -> Vec<Case> {
    let files = [log::cases(), config::cases(), state::cases()];
    files.into_iter().flatten().collect()
}

const IMPORTS: &str = r#"
    (import "env" "host_log" (func $log (param i32 i32)))
    (import "env" "host_log_message" (func $message (param i32 i32)))
    (import "env" "host_get_config" (func $get (param i32 i32) (result i32 i32)))"#;

const ITEMS: &str = r#"
    (func (export "fine") (result i32) (i32.const 7))
    (func (export "log") (param i32 i32) (call $log (local.get 0) (local.get 1)))
    (func (export "message") (param i32 i32) (call $message (local.get 0) (local.get 1)))
    (func (export "get") (param i32 i32) (result i32 i32) (call $get (local.get 0) (local.get 1)))
    (func (export "error") (param i32 i32) (result i32 i32)
      (local.get 0) (i32.or (local.get 1) (i32.const 0x80000000)))
    (func $flood (export "flood") (param $n i32) (param $size i32)
      (loop $on (call $log (i32.const 0) (local.get $size))
        (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"#;

/// Returns the text of a guest that logs, asks for settings, and returns its input as an error,
/// with `more` items. Its `flood` logs `$n` records of `$size` bytes.
fn guest(more: &str) -> String {
    with_allocator(IMPORTS, &format!("{ITEMS} {more}"))
}
