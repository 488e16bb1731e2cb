//! What containing each fault of the interpreter costs, in the order of SECURITY.md's table.

use crate::{
    beside::{Times, config, hostels_cost, measure},
    overhead,
    turns::best_of,
};
use hostel::{Budget, Grants, Limits, LogRecord, Std};
use std::{hint::black_box, time::Duration};
use wasmi::{Engine, Module, OperatorCost};

const WASM: &[u8] = include_bytes!("../../guests/prebuilt/customize.wasm");

/// A module whose loop does `body` sixteen times in each of its rounds.
fn repeating(body: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 2)
            (func (export "run") (param $n i32) (result i32) (local $a i32) (local $b i32)
              (local.set $b (i32.const 9))
              (loop $next
                {}
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
              (local.get $a)))"#,
        body.repeat(16)
    )
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

/// A line of the table.
fn row(fault: &str, cost: &str) {
    println!("  {fault:<44}  {cost}");
}

/// Loading: the door, and hostel in all, against the interpreter alone; and a new engine.
fn loading() -> (f64, f64, f64, Duration) {
    let config = config(true, hostels_cost());
    let engine = hostel::engine();
    let grants = Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")]);
    let [module, door, load, new] = best_of(
        40,
        20,
        [
            &mut || {
                // Of its own, or else code would pile up; what that costs is subtracted below.
                let engine = Engine::new(&config);
                black_box(Module::new(&engine, black_box(WASM)).expect("it is valid"));
            },
            &mut || {
                black_box(
                    engine
                        .check(black_box(WASM), &grants)
                        .expect("it is let in"),
                );
            },
            &mut || {
                black_box(
                    engine
                        .load("customize", black_box(WASM), &grants)
                        .expect("it loads"),
                );
            },
            &mut || {
                black_box(Engine::new(black_box(&config)));
            },
        ],
    );
    let module = module.saturating_sub(new);
    (
        ratio(door, module),
        ratio(load, module),
        ratio(new, module),
        new,
    )
}

/// Bytes that an engine of its own takes, from what 100,000 of them do. `None` where the system
/// does not tell in `/proc`.
fn engine_bytes() -> Option<u64> {
    const COUNT: u64 = 100_000;
    let config = config(true, hostels_cost());
    let before = resident()?;
    let engines: Vec<_> = (0..COUNT).map(|_| Engine::new(&config)).collect();
    let after = resident()?;
    drop(black_box(engines));
    Some(after.saturating_sub(before) / COUNT)
}

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// One host call where panics are contained and where they are not.
fn host_call() -> (Duration, Duration) {
    const CALLS: u32 = 10_000;
    let text = format!(
        r#"(module (import "env" "nothing" (func $nothing))
            (func (export "run") (local $n i32)
              (local.set $n (i32.const {CALLS}))
              (loop $next (call $nothing)
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#
    );
    let wasm = wat::parse_str(text).expect("the module is well-formed");
    let grants = Grants::new().function("env", "nothing", || {});
    let bare = hostel::Engine::new(Limits::server());
    let [mut with, mut without] = [bare.clone().with_platform(Std::new()), bare].map(|engine| {
        let plugin = engine.load("calls", &wasm, &grants).expect("it loads");
        let plugin = plugin.with_budget(Budget::server().with_fuel(u64::MAX));
        plugin.instantiate(()).expect("it starts")
    });
    let [with, without] = best_of(
        100,
        1,
        [
            &mut || with.call::<(), ()>("run", ()).expect("it answers"),
            &mut || without.call::<(), ()>("run", ()).expect("it answers"),
        ],
    );
    (with / CALLS, without / CALLS)
}

fn beside(times: &Times) -> String {
    format!(
        "{:.2} of the time, in a loop of nothing else",
        times.slices()
    )
}

/// Measures and prints. There is no target.
pub fn run() -> bool {
    let (door, load, engine, new) = loading();
    let bytes = engine_bytes().map_or("unknown".to_owned(), |bytes| bytes.to_string());
    let (with, without) = host_call();
    let slices: Vec<_> = overhead::measured()
        .iter()
        .map(|(_, times)| times.slices())
        .collect();
    let least = slices.iter().copied().fold(f64::MAX, f64::min);
    let most = slices.iter().copied().fold(0.0, f64::max);
    let grow = measure(
        &repeating("(local.set $a (memory.grow (i32.const 0)))"),
        5_000,
        OperatorCost::default(),
    );
    let stores = measure(
        &repeating("(i32.store offset=65536 (local.get $a) (local.get $b))"),
        50_000,
        hostels_cost(),
    );
    let selects = measure(
        &repeating(
            "(local.set $a (select (local.get $n) (local.get $b) (i32.ne (local.get $n) (local.get $b))))",
        ),
        50_000,
        hostels_cost(),
    );
    const REFUSED: &str = "nothing at run time: refused at the door";

    println!(
        "what containing each of the interpreter's faults costs, against bare wasmi with fuel"
    );
    row(
        "code section that lies",
        &format!("loading: {load:.2} of `Module::new`, {door:.2} of it for the door"),
    );
    row(
        "code that is never freed",
        &format!("loading: {engine:.4} of `Module::new`, {new:?}, and {bytes} bytes a plugin"),
    );
    row("memory of 64-bit size", "nothing: not compiled in");
    row(
        "recursion through the host",
        "nothing to be measured: a flag that each host call looks at",
    );
    row(
        "failing `memory.grow`: slices",
        &format!("{least:.3} to {most:.3} of the time, as in `overhead`"),
    );
    row(
        "failing `memory.grow`: dear growth",
        &format!("{}, growing by 0", beside(&grow)),
    );
    row("resumed `table.grow`", REFUSED);
    row(
        "panic in a host function",
        &format!(
            "{:.2} of the time of a host call, {with:?} against {without:?}",
            ratio(with, without)
        ),
    );
    row("integer store far from its address", &beside(&stores));
    row("blocks with parameters", REFUSED);
    row("long constant expressions", REFUSED);
    row("branch tables with several values", REFUSED);
    row("choice by a comparison", &beside(&selects));
    row("operators after a function's end", REFUSED);
    row("locals, values carried by branches", REFUSED);
    true
}
