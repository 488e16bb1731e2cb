//! How long a unit of fuel can be made to take by making an instance: modules of much of one kind.

use hostel::Grants;
use std::time::Instant;

const TURNS: usize = 20;
/// The most nanoseconds for a unit of fuel.
const TARGET: f64 = 100.0;

/// Each kind of thing, written so often.
const KINDS: &[(&str, usize)] = &[
    ("(global (mut i32) (i32.const 0))", 10_000),
    ("(global i32 (i32.const 0))", 10_000),
    (
        "(global i32 (i32.const 0) (i32.const 1) (i32.add) (i32.const 1) (i32.add) (i32.const 1) (i32.add))",
        10_000,
    ),
    ("(elem func)", 10_000),
    ("(elem func $f $f $f $f $f $f $f $f $f $f)", 9_000),
    (r#"(data "")"#, 100_000),
    (
        "(func (nop) (nop) (nop) (nop) (nop) (nop) (nop) (nop))",
        5_000,
    ),
    ("(table 6000 funcref)", 16),
    ("(memory 1)", 1),
    ("(memory 16)", 1),
    ("(memory 1024)", 1),
];

/// Measures and prints; whether none is dearer than the target.
pub fn run() -> bool {
    println!("making an instance, in ns for a unit of fuel");
    let exports: String = (0..999)
        .map(|n| format!(r#"(export "{n}" (func $f))"#))
        .collect();
    let written = KINDS
        .iter()
        .map(|(item, count)| (format!("{count} × {item}"), item.repeat(*count)));
    let all = written.chain([("999 exports".to_owned(), exports)]);
    let mut worst = 0f64;
    for (name, items) in all {
        let best = nanoseconds(&items);
        worst = worst.max(best);
        println!("  {best:>8.1}  {name}");
    }
    worst <= TARGET
}

fn nanoseconds(items: &str) -> f64 {
    let text = format!(r#"(module (func $f (export "f")) {items})"#);
    let wasm = wat::parse_str(text).expect("the module assembles");
    let plugin = hostel::engine()
        .load("guest", &wasm, &Grants::new())
        .expect("the module loads");
    (0..TURNS)
        .map(|_| {
            let start = Instant::now();
            let instance = plugin.instantiate(()).expect("it starts");
            let fuel = instance.start_usage().fuel;
            drop(instance);
            start.elapsed().as_nanos() as f64 / fuel as f64
        })
        .fold(f64::MAX, f64::min)
}
