//! The paths that are counted.

use hostel::{Budget, Extism, Grants, LogRecord, Plugin, Wapc};
use std::hint::black_box;

/// Work that is counted, in a process of its own.
pub struct Path {
    pub name: &'static str,
    /// Prepares, hands the rounds to [`counted`], and returns their number.
    pub run: fn() -> u32,
}

impl Path {
    const fn new(name: &'static str, run: fn() -> u32) -> Self {
        Self { name, run }
    }
}

const SMALL: &[u8] = include_bytes!("../../../../guests/prebuilt/customize.wasm");
const DEFAULT_LAYOUT: &[u8] = include_bytes!("../../../../guests/prebuilt/default_customize.wasm");
const GROWING: &[u8] = include_bytes!("../../../../guests/prebuilt/default_std_customize.wasm");
const ZIG: &[u8] = include_bytes!("../../../../guests/prebuilt/zig_customize.wasm");
const GO: &[u8] = include_bytes!("../../../../guests/prebuilt/go_customize.wasm");
const EXTISM_KIT: &[u8] = include_bytes!("../../../../guests/prebuilt/extism_customize.wasm");
const WAPC_KIT: &[u8] = include_bytes!("../../../../guests/prebuilt/wapc_customize.wasm");
const LIBC: &[u8] = include_bytes!("../../../../guests/prebuilt/libc_hello.wasm");

/// Allocates 10,000 blocks of 32 bytes in Extism's environment.
const BLOCKS: &str = r#"(module
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (func (export "run") (local $n i32)
      (local.set $n (i32.const 10000))
      (loop $again
        (if (i64.eqz (call $alloc (i64.const 32))) (then unreachable))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

/// Calls of a host function in one call of the guest.
const HOST_CALLS: u32 = 1_000;

/// Calls `env.next` or `env.length` 1,000 times, and adds two numbers.
const CALLER: &str = r#"(module
    (import "env" "next" (func $next (param i32) (result i32)))
    (import "env" "length" (func $length (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "numbers") (param $n i32) (result i32) (local $sum i32)
      (loop $again
        (local.set $sum (call $next (local.get $sum)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum))
    (func (export "bytes") (param $n i32) (result i32) (local $sum i32)
      (loop $again
        (local.set $sum (i32.add (local.get $sum) (call $length (i32.const 64) (i32.const 32))))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum)))"#;

/// Returns its input, in Extism's convention.
const ECHO: &str = r#"(module
    (import "extism:host/env" "input_offset" (func $at (result i64)))
    (import "extism:host/env" "input_length" (func $len (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (func (export "echo") (call $output (call $at) (call $len))))"#;

/// Calls itself, reads and writes memory, and branches on what it read.
const KERNEL: &str = r#"(module (memory 1)
    (func $fib (param i32) (result i32)
      (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
        (then (local.get 0))
        (else (i32.add
          (call $fib (i32.sub (local.get 0) (i32.const 1)))
          (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
    (func $sieve (param $n i32) (result i32) (local $i i32) (local $j i32) (local $count i32)
      (memory.fill (i32.const 0) (i32.const 1) (local.get $n))
      (local.set $i (i32.const 2))
      (loop $next
        (if (i32.load8_u (local.get $i)) (then
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (local.set $j (i32.shl (local.get $i) (i32.const 1)))
          (block $done (loop $strike
            (br_if $done (i32.ge_u (local.get $j) (local.get $n)))
            (i32.store8 (local.get $j) (i32.const 0))
            (local.set $j (i32.add (local.get $j) (local.get $i)))
            (br $strike)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
      (local.get $count))
    (func (export "run") (result i32)
      (i32.add (call $fib (i32.const 20)) (call $sieve (i32.const 60000)))))"#;

pub const PATHS: &[Path] = &[
    Path::new("held_small", || held(SMALL, 100)),
    Path::new("held_default_layout", || held(DEFAULT_LAYOUT, 100)),
    Path::new("held_go", || held(GO, 20)),
    Path::new("pooled_small", || pooled(SMALL, 100)),
    Path::new("pooled_default_layout", || pooled(DEFAULT_LAYOUT, 100)),
    Path::new("pooled_growing", || pooled(GROWING, 100)),
    Path::new("pooled_zig", || pooled(ZIG, 100)),
    Path::new("reset", reset),
    Path::new("instantiate", instantiate),
    Path::new("add_typed", add_typed),
    Path::new("add_instance", add_instance),
    Path::new("add_plugin", add_plugin),
    Path::new("add_plugin_typed", add_plugin_typed),
    Path::new("extism_echo", extism_echo),
    Path::new("held_extism", || held_foreign(EXTISM_KIT, 100)),
    Path::new("held_wapc", || held_foreign(WAPC_KIT, 100)),
    Path::new("extism_blocks", extism_blocks),
    Path::new("host_call_numbers", || host_calls("numbers")),
    Path::new("host_call_bytes", || host_calls("bytes")),
    Path::new("load_12_kb", || load(SMALL, 4)),
    Path::new("load_27_kb", || load(LIBC, 4)),
    Path::new("load_go", || load(GO, 1)),
    Path::new("load_while_loaded", load_while_loaded),
    Path::new("load_900_imports", load_imports),
    Path::new("kernel", kernel),
];

/// Runs `round` `rounds` times. callgrind counts while this runs; `count.rs` names it.
#[inline(never)]
pub fn counted(rounds: u32, round: &mut dyn FnMut()) -> u32 {
    for _ in 0..rounds {
        round();
    }
    rounds
}

/// Runs `round` until what is made once has been made, then counts `rounds`.
fn count_warm(rounds: u32, mut round: impl FnMut()) -> u32 {
    for _ in 0..4 {
        round();
    }
    counted(rounds, &mut round)
}

fn grants() -> Grants {
    Grants::new()
        .log(|record: &LogRecord<'_>| {
            black_box(record.text.raw());
        })
        .config([("prefix", "CUSTOM")])
        .wasi(hostel::wasi())
        .extism(Extism::new().config([("prefix", "CUSTOM")]))
        .wapc(Wapc::new().callback(|_| Ok(b"CUSTOM".to_vec())))
        .function("env", "next", |n: u32| n.wrapping_add(1))
        .function("env", "length", |bytes: &[u8]| bytes.len() as u32)
}

fn loaded(wasm: &[u8]) -> Plugin {
    // A deadline, as servers have it, but none that callgrind's slowness reaches.
    let budget = Budget::server()
        .with_fuel(u64::MAX / 2)
        .with_deadline(std::time::Duration::from_secs(3_600));
    hostel::engine()
        .with_budget(budget)
        .load("counted", wasm, &grants())
        .expect("the guest loads")
}

fn assembled(text: &str) -> Plugin {
    loaded(&wat::parse_str(text).expect("the guest assembles"))
}

fn held(wasm: &[u8], rounds: u32) -> u32 {
    let mut instance = loaded(wasm).instantiate(()).expect("the guest starts");
    let mut buffer = [0; 64];
    count_warm(rounds, || {
        let size = instance
            .process_into(black_box(b"hello world"), &mut buffer)
            .expect("the guest answers");
        assert_eq!(size, 18);
    })
}

fn pooled(wasm: &[u8], rounds: u32) -> u32 {
    let plugin = loaded(wasm);
    let mut buffer = [0; 64];
    count_warm(rounds, || {
        let size = plugin
            .with_instance(|instance| instance.process_into(black_box(b"hello world"), &mut buffer))
            .expect("the guest answers");
        assert_eq!(size, 18);
    })
}

/// An instance is taken from the pool and given back, without a call.
fn reset() -> u32 {
    let plugin = loaded(DEFAULT_LAYOUT);
    count_warm(100, || {
        plugin
            .with_instance(|instance| {
                black_box(instance);
                Ok(())
            })
            .expect("there is an instance");
    })
}

fn instantiate() -> u32 {
    let plugin = loaded(DEFAULT_LAYOUT);
    count_warm(100, || {
        black_box(plugin.instantiate(()).expect("the guest starts"));
    })
}

fn add_typed() -> u32 {
    let mut instance = assembled(CALLER).instantiate(()).expect("the guest starts");
    let add = instance.typed::<(u32, u32), u32>("add").expect("it adds");
    count_warm(1_000, || {
        let sum = add.call(&mut instance, black_box((10, 20)));
        assert_eq!(sum.expect("the guest answers"), 30);
    })
}

fn add_instance() -> u32 {
    let mut instance = assembled(CALLER).instantiate(()).expect("the guest starts");
    count_warm(1_000, || {
        let sum = instance.call::<(u32, u32), u32>("add", black_box((10, 20)));
        assert_eq!(sum.expect("the guest answers"), 30);
    })
}

fn add_plugin() -> u32 {
    let plugin = assembled(CALLER);
    count_warm(100, || {
        let sum = plugin.call::<(u32, u32), u32>("add", black_box((10, 20)));
        assert_eq!(sum.expect("the guest answers"), 30);
    })
}

fn add_plugin_typed() -> u32 {
    let plugin = assembled(CALLER);
    let add = plugin.typed::<(u32, u32), u32>("add").expect("it adds");
    count_warm(100, || {
        let sum = add.call(black_box((10, 20)));
        assert_eq!(sum.expect("the guest answers"), 30);
    })
}

/// A call of a plugin of Extism's convention.
fn extism_echo() -> u32 {
    let plugin = assembled(ECHO);
    count_warm(100, || {
        let output = plugin.call_bytes("echo", black_box(b"hello world"));
        assert_eq!(output.expect("the guest answers"), b"hello world");
    })
}

/// Calls in an instance of a plugin that was made with another host's kit.
fn held_foreign(wasm: &[u8], rounds: u32) -> u32 {
    let mut instance = loaded(wasm).instantiate(()).expect("the guest starts");
    count_warm(rounds, || {
        let output = instance.call_bytes("process", black_box(b"hello world"), <[u8]>::to_vec);
        assert_eq!(output.expect("the guest answers"), b"CUSTOM_HELLO WORLD");
    })
}

/// One call of an Extism plugin that allocates 10,000 blocks.
fn extism_blocks() -> u32 {
    let mut instance = assembled(BLOCKS).instantiate(()).expect("the guest starts");
    let mut round = || {
        let output = instance.call_bytes("run", black_box(b""), drop_bytes);
        output.expect("the guest answers");
    };
    round();
    counted(1, &mut round);
    10_000
}

fn drop_bytes(_: &[u8]) {}

/// One call of a guest that makes 1,000 host calls.
fn host_calls(export: &str) -> u32 {
    let mut instance = assembled(CALLER).instantiate(()).expect("the guest starts");
    let mut round = || {
        let sum = instance.call::<u32, u32>(export, black_box(HOST_CALLS));
        assert!(sum.expect("the guest answers") >= HOST_CALLS);
    };
    round();
    counted(1, &mut round);
    HOST_CALLS
}

/// Loads `rounds` modules that differ in a custom section, so that none is known from before.
fn load(wasm: &[u8], rounds: u8) -> u32 {
    // valgrind has none of the processor's instructions for SHA-256, so the cache's hash would be most of it.
    let engine = hostel::engine().without_code_cache();
    let grants = grants();
    let numbered = |number: u8| {
        let mut module = wasm.to_vec();
        // Section 0 of 3 bytes: a name of one byte, and one byte.
        module.extend([0, 3, 1, b'n', number]);
        module
    };
    let modules: Vec<Vec<u8>> = (0..=rounds).map(numbered).collect();
    let (first, others) = modules.split_first().expect("there is one at least");
    drop(
        engine
            .load("counted", first, &grants)
            .expect("the guest loads"),
    );
    let mut others = others.iter();
    counted(u32::from(rounds), &mut || {
        let module = others.next().expect("there is one for each round");
        let plugin = engine.load("counted", black_box(module), &grants);
        black_box(plugin.expect("the guest loads"));
    })
}

/// Loads a module while the engine has it loaded already.
fn load_while_loaded() -> u32 {
    let engine = hostel::engine();
    let grants = grants();
    let kept = engine.load("counted", DEFAULT_LAYOUT, &grants);
    let kept = kept.expect("the guest loads");
    let rounds = count_warm(4, || {
        let plugin = engine.load("counted", black_box(DEFAULT_LAYOUT), &grants);
        black_box(plugin.expect("the guest loads"));
    });
    drop(kept);
    rounds
}

/// Loads a module of 900 imports, each of a function of its own.
fn load_imports() -> u32 {
    let names = (0..900).map(|number| format!("function_{number}"));
    let names: Vec<String> = names.collect();
    let mut text = String::from("(module\n");
    let mut grants = Grants::new();
    for name in &names {
        text += &format!("(import \"env\" \"{name}\" (func (param i32) (result i32)))\n");
        grants = grants.function("env", name, |number: u32| number);
    }
    let wasm = wat::parse_str(text + r#"(func (export "f")))"#).expect("it is a module");
    let engine = hostel::engine().without_code_cache();
    count_warm(2, || {
        let plugin = engine.load("counted", black_box(&wasm), &grants);
        black_box(plugin.expect("the guest loads"));
    })
}

fn kernel() -> u32 {
    let mut instance = assembled(KERNEL).instantiate(()).expect("the guest starts");
    count_warm(1, || {
        let answer = instance.call::<(), u32>("run", ());
        // The 20th number of Fibonacci, and the number of primes below 60,000.
        assert_eq!(answer.expect("the guest answers"), 6_765 + 6_057);
    })
}
