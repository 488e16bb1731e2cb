//! A guest that lies: every pointer and length that it gives, as the answer of `allocate` and of
//! its functions and as an argument of host functions, comes from the fuzzer.
#![no_main]

use arbitrary::Arbitrary;
use hostel_core::{Budget, CallError, Engine, Grants, Limits, LogRecord, Plugin, Value};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// `reply` sets what the guest will say; each function of the ABI then says it.
const GUEST: &str = r#"(module
    (import "env" "host_log" (func $log (param i32 i32)))
    (import "env" "host_get_config" (func $config (param i32 i32 i32)))
    (import "fuzz" "echo" (func $echo (param i32 i32) (result i64)))
    (memory (export "memory") 1 2)
    (global $at (mut i32) (i32.const 0))
    (global $a0 (mut i32) (i32.const 0)) (global $a1 (mut i32) (i32.const 0))
    (global $ptr (mut i32) (i32.const 0)) (global $len (mut i32) (i32.const 0))
    (global $what (mut i32) (i32.const 0))
    (func (export "reply") (param i32 i32 i32 i32 i32)
        (global.set $a0 (local.get 0)) (global.set $a1 (local.get 1))
        (global.set $ptr (local.get 2)) (global.set $len (local.get 3)) (global.set $what (local.get 4)))
    (func (export "allocate") (param i32) (result i32)
        (global.set $at (i32.add (global.get $at) (i32.const 1)))
        (if (i32.and (global.get $what) (i32.const 1)) (then (drop (memory.grow (i32.const 1)))))
        (if (result i32) (i32.and (global.get $at) (i32.const 1)) (then (global.get $a0)) (else (global.get $a1))))
    (func (export "deallocate") (param i32 i32)
        (if (i32.and (global.get $what) (i32.const 2)) (then unreachable)))
    (func $act
        (if (i32.and (global.get $what) (i32.const 4)) (then (call $log (global.get $ptr) (global.get $len))))
        (if (i32.and (global.get $what) (i32.const 8)) (then (call $config (global.get $a1) (global.get $ptr) (global.get $len))))
        (if (i32.and (global.get $what) (i32.const 16)) (then (drop (call $echo (global.get $ptr) (global.get $len)))))
        (if (i32.and (global.get $what) (i32.const 32)) (then (i64.store (global.get $a0) (i64.const -1)))))
    (func (export "process") (param i32 i32) (result i32 i32)
        (call $act) (global.get $ptr) (global.get $len))
    (func (export "packed") (param i32 i32) (result i64)
        (call $act)
        (i64.or (i64.shl (i64.extend_i32_u (global.get $ptr)) (i64.const 32)) (i64.extend_i32_u (global.get $len))))
    (func (export "pointer") (param i32 i32 i32)
        (call $act)
        (i32.store (local.get 0) (global.get $ptr)) (i32.store offset=4 (local.get 0) (global.get $len)))
)"#;

#[derive(Arbitrary, Debug)]
struct Case {
    replies: [i32; 5],
    more: Option<[i32; 5]>,
    input: Vec<u8>,
    output: u8,
}

static PLUGIN: LazyLock<Plugin<()>> = LazyLock::new(|| {
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| assert!(!record.text.to_string().contains(char::is_control)))
        .config([("", "empty"), ("key", "value")])
        .function("fuzz", "echo", |text: &str| text.to_uppercase());
    let mut limits = Limits::device(256 << 10);
    limits.memory_bytes = 2 << 16;
    let budget = Budget::device().with_fuel(100_000);
    let wasm = wat::parse_str(GUEST).expect("the guest is well-formed");
    Engine::new(limits)
        .with_budget(budget)
        .load("liar", &wasm, &grants)
        .expect("the guest loads")
});

fuzz_target!(|case: Case| {
    let mut instance = PLUGIN.instantiate(()).expect("the guest starts");
    let mut output = vec![0; usize::from(case.output)];
    for replies in [Some(case.replies), case.more].into_iter().flatten() {
        if instance.is_stopped() {
            break;
        }
        instance
            .call_values("reply", &replies.map(Value::I32))
            .expect("setting the replies works");
        expect_named(instance.process_into(&case.input, &mut output));
        expect_named(instance.call_bytes("packed", &case.input, |bytes| bytes.len()));
        expect_named(instance.call_bytes("pointer", &case.input, |bytes| bytes.len()));
        expect_named(instance.call::<&[u8], String>("process", &case.input));
        expect_named(instance.call::<&[u8], Option<Vec<u8>>>("pointer", &case.input));
        expect_named(instance.call::<(u32, u32), Result<u32, ()>>("process", (1, 2)));
        let usage = instance.usage();
        assert!(usage.fuel <= 100_000, "no call uses more than its budget");
        assert!(
            instance.memory_bytes() <= 2 << 16,
            "no guest holds more than its limit"
        );
    }
});

fn expect_named<R>(result: Result<R, CallError>) {
    if let Err(error) = result {
        assert!(!error.code().is_empty() && !error.to_string().is_empty());
    }
}
