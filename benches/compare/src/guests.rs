//! The guests.

use std::sync::LazyLock;

/// The prefix that hosts configure.
pub const PREFIX: &str = "CUSTOM";

/// Host calls in one call of [`Guest::Caller`].
pub const HOST_CALLS: u32 = 1_000;

/// Blocks that one call of [`Guest::Blocks`] takes from Extism's environment.
pub const BLOCKS: u32 = 10_000;

/// How a guest and its host pass bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// hostel's, which is also what embedders write by hand: an allocator, pointers and sizes.
    Native,
    Extism,
    Wapc,
}

/// A guest by what it does and how it was built. All but the last four upper-case their input behind a prefix from
/// the host, and log a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guest {
    /// Rust, with a stack of 16 KiB, so that its memory is one page.
    Small,
    /// Rust without `std`, by default: a stack of 1 MiB, memory that does not grow.
    Rust,
    /// Rust with `std`, by default: a stack of 1 MiB, memory that grows in the first call.
    RustStd,
    C,
    Zig,
    AssemblyScript,
    Go,
    /// Written by hand in the text format, for Extism and waPC.
    Hand,
    /// Adds two numbers.
    Add,
    /// Calls the host 1,000 times.
    Caller,
    /// Takes 10,000 blocks of memory from the host.
    Blocks,
    /// Computes, by the index in [`KERNELS`].
    Kernel(usize),
}

/// The guests of the example, by their names in the report.
pub const EXAMPLES: &[(Guest, &str)] = &[
    (Guest::Small, "Rust, stack of 16 KiB"),
    (Guest::Rust, "Rust"),
    (Guest::RustStd, "Rust with std"),
    (Guest::C, "C"),
    (Guest::Zig, "Zig"),
    (Guest::AssemblyScript, "AssemblyScript"),
    (Guest::Go, "Go"),
    (Guest::Hand, "By hand"),
];

macro_rules! prebuilt {
    ($name:literal) => {
        include_bytes!(concat!("../../../guests/prebuilt/", $name, ".wasm"))
    };
}

impl Guest {
    /// Returns the module, or `None` if there is none in this convention.
    pub fn wasm(self, convention: Convention) -> Option<&'static [u8]> {
        Some(match (self, convention) {
            (Self::Small, Convention::Native) => prebuilt!("customize"),
            (Self::Rust, Convention::Native) => prebuilt!("default_customize"),
            (Self::RustStd, Convention::Native) => prebuilt!("default_std_customize"),
            (Self::C, Convention::Native) => prebuilt!("c_customize"),
            (Self::Zig, Convention::Native) => prebuilt!("zig_customize"),
            (Self::AssemblyScript, Convention::Native) => prebuilt!("as_customize"),
            (Self::Go, Convention::Native) => prebuilt!("go_customize"),
            (Self::Hand, Convention::Extism) => &EXTISM_HAND,
            (Self::Hand, Convention::Wapc) => &WAPC_HAND,
            (Self::Add, Convention::Native) => prebuilt!("add"),
            (Self::RustStd, Convention::Extism) => prebuilt!("extism_customize"),
            (Self::RustStd, Convention::Wapc) => prebuilt!("wapc_customize"),
            (Self::Caller, Convention::Native) => &CALLER,
            (Self::Caller, Convention::Extism) => &EXTISM_CALLER,
            (Self::Caller, Convention::Wapc) => &WAPC_CALLER,
            (Self::Blocks, Convention::Extism) => &EXTISM_BLOCKS,
            (Self::Kernel(index), Convention::Native) => &KERNEL_MODULES[index],
            _ => return None,
        })
    }
}

/// Returns `wasm` with a custom section that no other module has, so that a cache does not know it.
pub fn numbered(wasm: &[u8], number: u32) -> Vec<u8> {
    let mut module = wasm.to_vec();
    module.extend([0, 6, 1, b'n']);
    module.extend(number.to_le_bytes());
    module
}

/// Returns the input of `size` bytes: text in lower case.
pub fn input(size: usize) -> Vec<u8> {
    b"hello world".iter().copied().cycle().take(size).collect()
}

/// Returns what the example makes of `input`.
pub fn expected(input: &[u8]) -> Vec<u8> {
    let mut answer = format!("{PREFIX}_").into_bytes();
    answer.extend(input.to_ascii_uppercase());
    answer
}

fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the guest is well-formed")
}

static CALLER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    assemble(
        r#"(module
        (import "env" "next" (func $next (param i32) (result i32)))
        (import "env" "length" (func $length (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "numbers") (local $n i32)
          (loop $again (br_if $again (i32.lt_u
            (local.tee $n (call $next (local.get $n))) (i32.const 1000)))))
        (func (export "bytes") (local $sum i32)
          (loop $again (br_if $again (i32.lt_u
            (local.tee $sum (i32.add (local.get $sum) (call $length (i32.const 64) (i32.const 32))))
            (i32.const 32000))))))"#,
    )
});

static EXTISM_CALLER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    assemble(
        r#"(module
        (import "extism:host/user" "next" (func $next (param i64) (result i64)))
        (import "extism:host/user" "length" (func $length (param i64) (result i64)))
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (memory (export "memory") 1)
        (func (export "numbers") (result i32) (local $n i64)
          (loop $again (br_if $again (i64.lt_u
            (local.tee $n (call $next (local.get $n))) (i64.const 1000))))
          (i32.const 0))
        (func (export "bytes") (result i32) (local $sum i64) (local $block i64)
          (local.set $block (call $alloc (i64.const 32)))
          (loop $again (br_if $again (i64.lt_u
            (local.tee $sum (i64.add (local.get $sum) (call $length (local.get $block))))
            (i64.const 32000))))
          (i32.const 0)))"#,
    )
});

/// Works in its own memory, and copies to and from blocks by 8 bytes and then by one, as Extism's kits do.
static EXTISM_HAND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    assemble(
        r#"(module
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (import "extism:host/env" "length" (func $length (param i64) (result i64)))
        (import "extism:host/env" "load_u8" (func $load8 (param i64) (result i32)))
        (import "extism:host/env" "load_u64" (func $load64 (param i64) (result i64)))
        (import "extism:host/env" "store_u8" (func $store8 (param i64 i32)))
        (import "extism:host/env" "store_u64" (func $store64 (param i64 i64)))
        (import "extism:host/env" "input_length" (func $input_length (result i64)))
        (import "extism:host/env" "input_offset" (func $input (result i64)))
        (import "extism:host/env" "config_get" (func $config (param i64) (result i64)))
        (import "extism:host/env" "log_info" (func $log (param i64)))
        (import "extism:host/env" "output_set" (func $output (param i64 i64)))
        (memory (export "memory") 1)
        (data (i32.const 0) "prefixprocessing some bytes")
        ;; Copies a block's bytes to memory.
        (func $read (param $block i64) (param $to i32) (param $size i32) (local $end i32)
          (local.set $end (i32.add (local.get $to) (local.get $size)))
          (block $bytes (loop $next
            (br_if $bytes (i32.lt_u (i32.sub (local.get $end) (local.get $to)) (i32.const 8)))
            (i64.store (local.get $to) (call $load64 (local.get $block)))
            (local.set $to (i32.add (local.get $to) (i32.const 8)))
            (local.set $block (i64.add (local.get $block) (i64.const 8)))
            (br $next)))
          (block $done (loop $next
            (br_if $done (i32.eq (local.get $to) (local.get $end)))
            (i32.store8 (local.get $to) (call $load8 (local.get $block)))
            (local.set $to (i32.add (local.get $to) (i32.const 1)))
            (local.set $block (i64.add (local.get $block) (i64.const 1)))
            (br $next))))
        ;; Returns a new block of bytes in memory.
        (func $write (param $from i32) (param $size i32) (result i64)
          (local $block i64) (local $at i64) (local $end i32)
          (local.set $block (call $alloc (i64.extend_i32_u (local.get $size))))
          (local.set $at (local.get $block))
          (local.set $end (i32.add (local.get $from) (local.get $size)))
          (block $bytes (loop $next
            (br_if $bytes (i32.lt_u (i32.sub (local.get $end) (local.get $from)) (i32.const 8)))
            (call $store64 (local.get $at) (i64.load (local.get $from)))
            (local.set $from (i32.add (local.get $from) (i32.const 8)))
            (local.set $at (i64.add (local.get $at) (i64.const 8)))
            (br $next)))
          (block $done (loop $next
            (br_if $done (i32.eq (local.get $from) (local.get $end)))
            (call $store8 (local.get $at) (i32.load8_u (local.get $from)))
            (local.set $from (i32.add (local.get $from) (i32.const 1)))
            (local.set $at (i64.add (local.get $at) (i64.const 1)))
            (br $next)))
          (local.get $block))
        (func (export "process") (result i32)
          (local $prefix i64) (local $size i32) (local $at i32) (local $end i32) (local $byte i32)
          (call $log (call $write (i32.const 6) (i32.const 21)))
          (local.set $prefix (call $config (call $write (i32.const 0) (i32.const 6))))
          (local.set $size (i32.wrap_i64 (call $length (local.get $prefix))))
          (call $read (local.get $prefix) (i32.const 1024) (local.get $size))
          (local.set $at (i32.add (i32.const 1024) (local.get $size)))
          (i32.store8 (local.get $at) (i32.const 95))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $size (i32.wrap_i64 (call $input_length)))
          (local.set $end (i32.add (local.get $at) (local.get $size)))
          (call $read (call $input) (local.get $at) (local.get $size))
          (block $done (loop $next
            (br_if $done (i32.eq (local.get $at) (local.get $end)))
            (local.set $byte (i32.load8_u (local.get $at)))
            (i32.store8 (local.get $at) (i32.sub (local.get $byte) (i32.shl
              (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26)) (i32.const 5))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next)))
          (local.set $size (i32.sub (local.get $end) (i32.const 1024)))
          (call $output (call $write (i32.const 1024) (local.get $size)) (i64.extend_i32_u (local.get $size)))
          (i32.const 0)))"#,
    )
});

/// Logs a line, asks for the setting `prefix`, and writes its answer in its own memory.
static WAPC_HAND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    assemble(
        r#"(module
        (import "wapc" "__guest_request" (func $request (param i32 i32)))
        (import "wapc" "__guest_response" (func $respond (param i32 i32)))
        (import "wapc" "__host_call"
          (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (import "wapc" "__host_response_len" (func $length (result i32)))
        (import "wapc" "__host_response" (func $response (param i32)))
        (import "wapc" "__console_log" (func $log (param i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "configgetprefixprocessing some bytes")
        (func (export "__guest_call") (param $operation i32) (param $size i32) (result i32)
          (local $to i32) (local $at i32) (local $byte i32)
          (call $request (i32.const 256) (i32.const 1024))
          (call $log (i32.const 15) (i32.const 21))
          (if (i32.eqz (call $call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 6)
              (i32.const 6) (i32.const 3) (i32.const 9) (i32.const 6)))
            (then unreachable))
          (call $response (i32.const 16384))
          (local.set $to (i32.add (i32.const 16384) (call $length)))
          (i32.store8 (local.get $to) (i32.const 95))
          (block $done (loop $next
            (br_if $done (i32.ge_u (local.get $at) (local.get $size)))
            (local.set $to (i32.add (local.get $to) (i32.const 1)))
            (local.set $byte (i32.load8_u offset=1024 (local.get $at)))
            (i32.store8 (local.get $to) (i32.sub (local.get $byte) (i32.shl
              (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26)) (i32.const 5))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next)))
          (call $respond (i32.const 16384)
            (i32.sub (i32.add (local.get $to) (i32.const 1)) (i32.const 16384)))
          (i32.const 1)))"#,
    )
});

static EXTISM_BLOCKS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    assemble(
        r#"(module
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (memory (export "memory") 1)
        (func (export "run") (result i32) (local $n i32)
          (loop $again
            (if (i64.eqz (call $alloc (i64.const 32))) (then unreachable))
            (br_if $again (i32.lt_u
              (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10000))))
          (i32.const 0)))"#,
    )
});

static WAPC_CALLER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    assemble(
        r#"(module
        (import "wapc" "__guest_response" (func $respond (param i32 i32)))
        (import "wapc" "__host_call"
          (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 8) "length")
        (func (export "__guest_call") (param i32 i32) (result i32) (local $n i32)
          (loop $again
            (drop (call $call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
              (i32.const 8) (i32.const 6) (i32.const 64) (i32.const 32)))
            (br_if $again (i32.lt_u
              (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000))))
          (call $respond (i32.const 8) (i32.const 0))
          (i32.const 1)))"#,
    )
});

/// Computations without host calls, and their names in the report.
pub const KERNELS: &[(&str, &str)] = &[
    (
        "fib(22), by recursion",
        r#"(module (func $fib (param i32) (result i32)
            (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
              (then (local.get 0))
              (else (i32.add
                (call $fib (i32.sub (local.get 0) (i32.const 1)))
                (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
            (func (export "run") (drop (call $fib (i32.const 22)))))"#,
    ),
    (
        "sum of 1 MiB, byte by byte",
        r#"(module (memory (export "memory") 16) (global $sum (mut i32) (i32.const 0))
            (func (export "run") (local $at i32) (local $sum i32)
              (loop $next
                (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const 1048576))))
              (global.set $sum (local.get $sum))))"#,
    ),
    (
        "primes up to 300,000, by a sieve",
        r#"(module (memory (export "memory") 16) (global $count (mut i32) (i32.const 0))
            (func (export "run") (local $i i32) (local $j i32) (local $count i32)
              (loop $fill
                (i64.store (local.get $i) (i64.const 0x0101010101010101))
                (br_if $fill (i32.lt_u
                  (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 300000))))
              (local.set $i (i32.const 2))
              (loop $next
                (if (i32.load8_u (local.get $i)) (then
                  (local.set $count (i32.add (local.get $count) (i32.const 1)))
                  (local.set $j (i32.shl (local.get $i) (i32.const 1)))
                  (block $done (loop $strike
                    (br_if $done (i32.ge_u (local.get $j) (i32.const 300000)))
                    (i32.store8 (local.get $j) (i32.const 0))
                    (local.set $j (i32.add (local.get $j) (local.get $i)))
                    (br $strike)))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $i) (i32.const 300000))))
              (global.set $count (local.get $count))))"#,
    ),
    (
        "200,000 calls, half through a table",
        r#"(module (table 2 funcref) (elem (i32.const 0) $add $mix)
            (type $two (func (param i32 i32) (result i32))) (global $sum (mut i32) (i32.const 0))
            (func $add (type $two) (i32.add (local.get 0) (local.get 1)))
            (func $mix (type $two) (call $add (i32.rotl (local.get 0) (i32.const 5)) (local.get 1)))
            (func (export "run") (local $sum i32) (local $n i32)
              (local.set $n (i32.const 100000))
              (loop $next
                (local.set $sum (call $mix (local.get $sum) (local.get $n)))
                (local.set $sum (call_indirect (type $two) (local.get $sum) (local.get $n)
                  (i32.and (local.get $n) (i32.const 1))))
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
              (global.set $sum (local.get $sum))))"#,
    ),
];

static KERNEL_MODULES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| KERNELS.iter().map(|(_, text)| assemble(text)).collect());
