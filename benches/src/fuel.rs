//! How long a unit of fuel can be made to take: loops of one kind of work each, the dearest first.

use hostel::{Budget, Grants, LogRecord};
use std::time::Instant;

/// Fuel for one run of a loop.
const FUEL: u64 = 3_000_000;
/// Turns; the fastest counts.
const TURNS: usize = 5;

/// The loops' bodies. Locals: 0 and 1 i32, 2 i64, 3 f32, 4 f64; memory of 16 MiB.
const MIXES: &[(&str, &str)] = &[
    ("empty loop", ""),
    ("nop", "nop nop nop nop"),
    (
        "i32.add",
        "(local.set 0 (i32.add (local.get 0) (i32.const 7)))",
    ),
    (
        "i32.mul",
        "(local.set 0 (i32.mul (local.get 0) (i32.const 7)))",
    ),
    (
        "i32.div_u",
        "(local.set 0 (i32.div_u (i32.const -1) (i32.or (local.get 0) (i32.const 1))))",
    ),
    (
        "i32.rem_s",
        "(local.set 0 (i32.rem_s (i32.const -9) (i32.or (local.get 0) (i32.const 1))))",
    ),
    ("i32.popcnt", "(local.set 0 (i32.popcnt (local.get 0)))"),
    (
        "i32.rotl",
        "(local.set 0 (i32.rotl (local.get 0) (i32.const 3)))",
    ),
    (
        "i64.add",
        "(local.set 2 (i64.add (local.get 2) (i64.const 7)))",
    ),
    (
        "i64.mul",
        "(local.set 2 (i64.mul (local.get 2) (i64.const 7)))",
    ),
    (
        "i64.div_s",
        "(local.set 2 (i64.div_s (i64.const -1) (i64.or (local.get 2) (i64.const 1))))",
    ),
    (
        "i64.rem_u",
        "(local.set 2 (i64.rem_u (i64.const -9) (i64.or (local.get 2) (i64.const 1))))",
    ),
    ("i64.ctz", "(local.set 2 (i64.ctz (local.get 2)))"),
    (
        "f32.add",
        "(local.set 3 (f32.add (local.get 3) (f32.const 1.5)))",
    ),
    (
        "f64.mul",
        "(local.set 4 (f64.mul (local.get 4) (f64.const 1.5)))",
    ),
    (
        "f64.div",
        "(local.set 4 (f64.div (f64.const 1.5) (local.get 4)))",
    ),
    ("f64.sqrt", "(local.set 4 (f64.sqrt (local.get 4)))"),
    (
        "f64.sqrt of a subnormal",
        "(local.set 4 (f64.sqrt (f64.const 0x1p-1070)))",
    ),
    (
        "f64.mul of subnormals",
        "(local.set 4 (f64.mul (f64.const 0x1p-1070) (f64.const 1.1)))",
    ),
    ("f64.nearest", "(local.set 4 (f64.nearest (local.get 4)))"),
    (
        "f32.copysign",
        "(local.set 3 (f32.copysign (local.get 3) (f32.const -1)))",
    ),
    (
        "i32.trunc_sat_f64_s",
        "(local.set 0 (i32.trunc_sat_f64_s (local.get 4)))",
    ),
    (
        "f64.convert_i64_u",
        "(local.set 4 (f64.convert_i64_u (local.get 2)))",
    ),
    (
        "select",
        "(local.set 0 (select (local.get 0) (local.get 1) (local.get 0)))",
    ),
    (
        "global.set",
        "(global.set $g (i32.add (global.get $g) (i32.const 1)))",
    ),
    (
        "i32.load, one place",
        "(local.set 0 (i32.load (i32.const 64)))",
    ),
    (
        "i32.load, all over",
        "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 1103515245)) (i32.const 12345)))
         (local.set 1 (i32.load (i32.and (local.get 0) (i32.const 0xfffff0))))",
    ),
    (
        "i64.store, all over",
        "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 1103515245)) (i32.const 12345)))
         (i64.store (i32.and (local.get 0) (i32.const 0xfffff0)) (local.get 2))",
    ),
    (
        "i32.load8_s, unaligned",
        "(local.set 0 (i32.load16_s offset=4095 (i32.const 0)))",
    ),
    ("memory.size", "(local.set 0 (memory.size))"),
    (
        "memory.grow, refused",
        "(drop (memory.grow (i32.const 65535)))",
    ),
    ("memory.grow by 0", "(drop (memory.grow (i32.const 0)))"),
    (
        "memory.fill of 0 bytes",
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0))",
    ),
    (
        "memory.fill of 63 bytes",
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 63))",
    ),
    (
        "memory.fill of 16 MiB",
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x1000000))",
    ),
    (
        "memory.copy of 63 bytes",
        "(memory.copy (i32.const 0) (i32.const 99) (i32.const 63))",
    ),
    (
        "memory.copy of 8 MiB",
        "(memory.copy (i32.const 0) (i32.const 0x800000) (i32.const 0x800000))",
    ),
    (
        "memory.copy of 8 MiB, overlapping",
        "(memory.copy (i32.const 1) (i32.const 0) (i32.const 0x800000))",
    ),
    (
        "memory.init of 63 bytes",
        "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 63))",
    ),
    (
        "table.get and set",
        "(table.set $t (i32.const 1) (table.get $t (i32.const 0)))",
    ),
    (
        "table.fill of 15",
        "(table.fill $t (i32.const 0) (ref.func $leaf) (i32.const 15))",
    ),
    (
        "table.copy of 15",
        "(table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 15))",
    ),
    ("call", "(call $leaf)"),
    ("call of 64 parameters", "(call $many PARAMS)"),
    ("call with 2000 locals", "(call $locals)"),
    (
        "call_indirect",
        "(call_indirect $t (type $void) (i32.const 0))",
    ),
    ("calls 500 deep", "(call $deep (i32.const 500))"),
    (
        "br_table",
        "(block (block (block (br_table 0 1 2 (i32.and (local.get 0) (i32.const 3))))))",
    ),
    ("host call without parameters", "(call $nothing)"),
    (
        "host call of six numbers",
        "(call $six (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6))",
    ),
    ("host call with an i64", "(call $wide (i64.const 1))"),
    ("log of 0 bytes", "(call $log (i32.const 0) (i32.const 0))"),
    (
        "log of 64 bytes",
        "(call $log (i32.const 0) (i32.const 64))",
    ),
    (
        "log of 64 KiB",
        "(call $log (i32.const 0) (i32.const 65536))",
    ),
    (
        "log of 64 KiB, all hidden",
        "(call $log (i32.const 0x100000) (i32.const 65536))",
    ),
    (
        "log of 64 KiB, not UTF-8",
        "(call $log (i32.const 0x200000) (i32.const 65536))",
    ),
    (
        "config, unset",
        "(drop (call $config (i32.const 0) (i32.const 0)))",
    ),
    (
        "config, unset, key of 64 KiB",
        "(drop (call $config (i32.const 0) (i32.const 65536)))",
    ),
    (
        "config, set",
        "(drop (call $config (i32.const 16) (i32.const 1)))",
    ),
    (
        "config of 64 KiB",
        "(drop (call $config (i32.const 17) (i32.const 1)))",
    ),
    (
        "text of 64 KiB to the host",
        "(call $text (i32.const 0) (i32.const 65536))",
    ),
    (
        "text of 1 KiB, there and back",
        "(drop (call $echo (i32.const 0) (i32.const 1024)))",
    ),
];

fn module(body: &str) -> String {
    let many = "i32 ".repeat(64);
    let locals = "i64 ".repeat(2_000);
    let body = body.replace("PARAMS", &"(local.get 0)".repeat(64));
    format!(
        r#"(module
        (type $void (func))
        (import "env" "host_log" (func $log (param i32 i32)))
        (import "env" "host_get_config" (func $config (param i32 i32) (result i64)))
        (import "env" "nothing" (func $nothing))
        (import "env" "six" (func $six (param i32 i32 i32 i32 i32 i32)))
        (import "env" "wide" (func $wide (param i64)))
        (import "env" "text" (func $text (param i32 i32)))
        (import "env" "echo" (func $echo (param i32 i32) (result i64)))
        (memory (export "memory") 257 257)
        (data (i32.const 16) "ab")
        (data $d "{filler}")
        (table $t 16 funcref) (elem (table $t) (i32.const 0) func $leaf)
        (global $g (mut i32) (i32.const 0))
        (func (export "allocate") (param i32) (result i32) (i32.const 0x400000))
        (func $leaf)
        (func $many (param {many}))
        (func $locals (local {locals}))
        (func $deep (param i32)
            (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "run") (local i32 i32 i64 f32 f64)
            (memory.fill (i32.const 0x100000) (i32.const 7) (i32.const 65536))
            (memory.fill (i32.const 0x200000) (i32.const 255) (i32.const 65536))
            (loop $again {body} (br $again))))"#,
        filler = "x".repeat(63),
    )
}

/// Measures and prints. There is no target.
pub fn run() -> bool {
    let grants = Grants::new()
        // What a sink does at least: to look at all of the text.
        .log(|record: &LogRecord<'_>| {
            std::hint::black_box(record.text.to_string());
        })
        .config([("a", "value".to_owned()), ("b", "v".repeat(65_536))])
        .function("env", "nothing", || {})
        .function(
            "env",
            "six",
            |_: u32, _: u32, _: u32, _: u32, _: u32, _: u32| {},
        )
        .function("env", "wide", |_: u64| {})
        .function("env", "text", |text: &str| {
            std::hint::black_box(text.len());
        })
        .function("env", "echo", |text: String| text);
    let mut budget = Budget::server().with_fuel(FUEL);
    budget.bytes_to_guest = usize::MAX;
    budget.host_calls = u32::MAX;
    budget.log_records = u32::MAX;
    budget.log_bytes = u32::MAX;
    let mut rows: Vec<(f64, &str)> = MIXES
        .iter()
        .map(|(name, body)| {
            let wasm = wat::parse_str(module(body)).expect("the loop is well-formed");
            let plugin = hostel::engine()
                .load("loop", &wasm, &grants)
                .expect("the loop loads");
            let best = (0..TURNS).map(|_| {
                let mut instance = plugin
                    .with_budget(budget)
                    .instantiate(())
                    .expect("it starts");
                let start = Instant::now();
                let error = instance
                    .call::<(), ()>("run", ())
                    .expect_err("it never ends");
                let time = start.elapsed();
                assert_eq!(error.code(), "out-of-fuel", "{name}: {error}");
                time.as_nanos() as f64 / FUEL as f64
            });
            (best.fold(f64::MAX, f64::min), *name)
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!(
        "time for a unit of fuel, in ns, {} kinds of work, the dearest first",
        rows.len()
    );
    for (time, name) in rows {
        println!("  {time:>8.1}  {name}");
    }
    true
}
