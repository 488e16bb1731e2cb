//! WASI 0.2: what components get of it, beside what modules get of preview 1. The threats are P11 to P14 in
//! docs/threats.md.

mod commands;
mod files;
mod handles;
mod http;
mod io;
mod limits;

use super::guests::LIBC;
use hostel::{CallError, Engine, Grants, Instance, Plugin, Wasi};

/// Imports of WASI, with the types that they need. Each instance is called as its interface.
const IMPORTS: &str = r#"
  (import "wasi:io/error@0.2.0" (instance $error
    (export "error" (type $e (sub resource)))
    (export "[method]error.to-debug-string" (func (param "self" (borrow $e)) (result string)))))
  (alias export $error "error" (type $e))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.ready" (func (param "self" (borrow $p)) (result bool)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))
    (export "poll" (func (param "in" (list (borrow $p))) (result (list u32))))))
  (alias export $poll "pollable" (type $p))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $e (type $e0)) (export "error" (type $err (eq $e0)))
    (alias outer 1 $p (type $p0)) (export "pollable" (type $pol (eq $p0)))
    (export "input-stream" (type $in (sub resource)))
    (export "output-stream" (type $out (sub resource)))
    (type $se0 (variant (case "last-operation-failed" (own $err)) (case "closed")))
    (export "stream-error" (type $se (eq $se0)))
    (export "[method]input-stream.read" (func (param "self" (borrow $in)) (param "len" u64) (result (result (list u8) (error $se)))))
    (export "[method]input-stream.blocking-read" (func (param "self" (borrow $in)) (param "len" u64) (result (result (list u8) (error $se)))))
    (export "[method]input-stream.blocking-skip" (func (param "self" (borrow $in)) (param "len" u64) (result (result u64 (error $se)))))
    (export "[method]input-stream.subscribe" (func (param "self" (borrow $in)) (result (own $pol))))
    (export "[method]output-stream.check-write" (func (param "self" (borrow $out)) (result (result u64 (error $se)))))
    (export "[method]output-stream.write" (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $se)))))
    (export "[method]output-stream.blocking-write-and-flush" (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $se)))))
    (export "[method]output-stream.blocking-write-zeroes-and-flush" (func (param "self" (borrow $out)) (param "len" u64) (result (result (error $se)))))
    (export "[method]output-stream.blocking-splice" (func (param "self" (borrow $out)) (param "src" (borrow $in)) (param "len" u64) (result (result u64 (error $se)))))))
  (alias export $streams "input-stream" (type $in))
  (alias export $streams "output-stream" (type $out))
  (import "wasi:cli/stdin@0.2.0" (instance $stdin
    (alias outer 1 $in (type $t)) (export "input-stream" (type $i (eq $t)))
    (export "get-stdin" (func (result (own $i))))))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $out (type $t)) (export "output-stream" (type $o (eq $t)))
    (export "get-stdout" (func (result (own $o))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $p (type $t)) (export "pollable" (type $pol (eq $t)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pol))))))
  (import "wasi:clocks/wall-clock@0.2.0" (instance $wall
    (type $d0 (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $d (eq $d0)))
    (export "now" (func (result $d)))))
  (alias export $wall "datetime" (type $datetime))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:random/insecure-seed@0.2.0" (instance $seed
    (export "insecure-seed" (func (result (tuple u64 u64))))))
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (alias outer 1 $in (type $in0)) (export "input-stream" (type $i (eq $in0)))
    (alias outer 1 $e (type $e0)) (export "error" (type $err (eq $e0)))
    (export "descriptor" (type $d (sub resource)))
    (export "directory-entry-stream" (type $entries (sub resource)))
    (type $c0 (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist"
      "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop"
      "too-many-links" "message-size" "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory"
      "insufficient-space" "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device"
      "overflow" "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $code (eq $c0)))
    (type $pf0 (flags "symlink-follow")) (export "path-flags" (type $pf (eq $pf0)))
    (type $of0 (flags "create" "directory" "exclusive" "truncate")) (export "open-flags" (type $of (eq $of0)))
    (type $df0 (flags "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $df (eq $df0)))
    (type $dt0 (enum "unknown" "block-device" "character-device" "directory" "fifo" "symbolic-link" "regular-file" "socket"))
    (export "descriptor-type" (type $dt (eq $dt0)))
    (type $de0 (record (field "type" $dt) (field "name" string)))
    (export "directory-entry" (type $de (eq $de0)))
    (export "[method]descriptor.open-at" (func (param "self" (borrow $d)) (param "path-flags" $pf) (param "path" string)
      (param "open-flags" $of) (param "flags" $df) (result (result (own $d) (error $code)))))
    (export "[method]descriptor.read-via-stream" (func (param "self" (borrow $d)) (param "offset" u64)
      (result (result (own $i) (error $code)))))
    (export "[method]descriptor.read-directory" (func (param "self" (borrow $d))
      (result (result (own $entries) (error $code)))))
    (export "[method]descriptor.write" (func (param "self" (borrow $d)) (param "buffer" (list u8)) (param "offset" u64)
      (result (result u64 (error $code)))))
    (export "[method]directory-entry-stream.read-directory-entry" (func (param "self" (borrow $entries))
      (result (result (option $de) (error $code)))))
    (export "filesystem-error-code" (func (param "err" (borrow $err)) (result (option $code))))))
  (alias export $types "descriptor" (type $d))
  (alias export $types "directory-entry-stream" (type $entries))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $d (type $t)) (export "descriptor" (type $own (eq $t)))
    (export "get-directories" (func (result (list (tuple (own $own) string)))))))
"#;

/// The imported functions: the instance, the function, its name here, and its core type.
const FUNCTIONS: [(&str, &str, &str, &str); 29] = [
    (
        "error",
        "[method]error.to-debug-string",
        "debug",
        "(param i32 i32)",
    ),
    (
        "poll",
        "[method]pollable.ready",
        "ready",
        "(param i32) (result i32)",
    ),
    ("poll", "[method]pollable.block", "block", "(param i32)"),
    ("poll", "poll", "poll", "(param i32 i32 i32)"),
    (
        "streams",
        "[method]input-stream.read",
        "read",
        "(param i32 i64 i32)",
    ),
    (
        "streams",
        "[method]input-stream.blocking-read",
        "blocking_read",
        "(param i32 i64 i32)",
    ),
    (
        "streams",
        "[method]input-stream.blocking-skip",
        "skip",
        "(param i32 i64 i32)",
    ),
    (
        "streams",
        "[method]input-stream.subscribe",
        "subscribe",
        "(param i32) (result i32)",
    ),
    (
        "streams",
        "[method]output-stream.check-write",
        "check_write",
        "(param i32 i32)",
    ),
    (
        "streams",
        "[method]output-stream.write",
        "write",
        "(param i32 i32 i32 i32)",
    ),
    (
        "streams",
        "[method]output-stream.blocking-write-and-flush",
        "write_now",
        "(param i32 i32 i32 i32)",
    ),
    (
        "streams",
        "[method]output-stream.blocking-write-zeroes-and-flush",
        "zeroes",
        "(param i32 i64 i32)",
    ),
    (
        "streams",
        "[method]output-stream.blocking-splice",
        "splice",
        "(param i32 i32 i64 i32)",
    ),
    ("stdin", "get-stdin", "stdin", "(result i32)"),
    ("stdout", "get-stdout", "stdout", "(result i32)"),
    ("exit", "exit", "exit", "(param i32)"),
    ("clock", "now", "now", "(result i64)"),
    (
        "clock",
        "subscribe-duration",
        "timeout",
        "(param i64) (result i32)",
    ),
    ("wall", "now", "wall", "(param i32)"),
    ("random", "get-random-bytes", "random", "(param i64 i32)"),
    ("random", "get-random-u64", "number", "(result i64)"),
    ("seed", "insecure-seed", "seed", "(param i32)"),
    (
        "types",
        "[method]descriptor.open-at",
        "open",
        "(param i32 i32 i32 i32 i32 i32 i32)",
    ),
    (
        "types",
        "[method]descriptor.read-via-stream",
        "read_file",
        "(param i32 i64 i32)",
    ),
    (
        "types",
        "[method]descriptor.read-directory",
        "list",
        "(param i32 i32)",
    ),
    (
        "types",
        "[method]descriptor.write",
        "write_file",
        "(param i32 i32 i32 i64 i32)",
    ),
    (
        "types",
        "[method]directory-entry-stream.read-directory-entry",
        "entry",
        "(param i32 i32)",
    ),
    ("types", "filesystem-error-code", "code", "(param i32 i32)"),
    ("preopens", "get-directories", "directories", "(param i32)"),
];

/// The resource types that a guest can drop.
const RESOURCES: [&str; 6] = ["e", "p", "in", "out", "d", "entries"];

/// Returns a component with all of [`IMPORTS`] whose export `test` runs `body`, with the locals `a`, `b` and `c`, and
/// returns a number. Addresses below 4,096 are free: results of functions are at 16, and the text "abc" at 64.
pub(super) fn component(body: &str) -> String {
    let mut lowered = String::new();
    let mut given = String::new();
    let mut imported = String::new();
    for (instance, function, name, ty) in FUNCTIONS {
        lowered.push_str(&format!(
            "(core func ${name} (canon lower (func ${instance} \"{function}\") (memory (core memory $m \"memory\")) (realloc (core func $m \"realloc\"))))\n"
        ));
        given.push_str(&format!("(export \"{name}\" (func ${name}))"));
        imported.push_str(&format!("(import \"w\" \"{name}\" (func ${name} {ty}))\n"));
    }
    for name in RESOURCES {
        lowered.push_str(&format!(
            "(core func $drop_{name} (canon resource.drop ${name}))\n"
        ));
        given.push_str(&format!("(export \"drop_{name}\" (func $drop_{name}))"));
        imported.push_str(&format!(
            "(import \"w\" \"drop_{name}\" (func $drop_{name} (param i32)))\n"
        ));
    }
    format!(
        r#"(component {IMPORTS} {LIBC}
  (core instance $m (instantiate $Libc))
  {lowered}
  (core module $Main
    {imported}
    (import "m" "memory" (memory 1))
    (data (i32.const 64) "abc")
    (func (export "test") (result i32) (local $a i32) (local $b i32) (local $c i32)
      {body}))
  (core instance $main (instantiate $Main (with "w" (instance {given})) (with "m" (instance $m))))
  (func (export "test") (result u32) (canon lift (core func $main "test"))))"#
    )
}

/// Loads such a component with WASI.
pub(super) fn load(body: &str, wasi: Wasi) -> Plugin {
    load_in(&hostel::engine(), body, wasi)
}

/// Loads such a component in an engine.
pub(super) fn load_in(engine: &Engine, body: &str, wasi: Wasi) -> Plugin {
    let wasm = hostel_tests::assemble(&component(body));
    let plugin = engine.load_component("guest", &wasm, &Grants::new().wasi(wasi));
    plugin.unwrap_or_else(|error| panic!("{error}"))
}

/// Runs such a component with WASI, and returns what `test` does.
pub(super) fn run(body: &str, wasi: Wasi) -> (Result<u32, CallError>, Instance) {
    let mut instance = load(body, wasi).instantiate(()).unwrap();
    (instance.call_component("test", ()), instance)
}

/// Returns the error of such a component, by its code and message.
pub(super) fn stopped(body: &str, wasi: Wasi) -> (&'static str, String) {
    let error = run(body, wasi).0.unwrap_err();
    (error.code(), error.to_string())
}
