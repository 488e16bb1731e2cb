//! Starts that an instance has behind it: which of them lead to the same state each time, and that these are
//! not run again.

use core::time::Duration;
use hostel::{Budget, Engine, Grants, Limits, LogRecord, Platform, Plugin, Slots, Usage, Wasi};
use hostel_tests::{code, load_guest, load_wat, try_load_wat};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const WASI: &str = "wasi_snapshot_preview1";

/// A guest whose `_initialize` does `start`, with an import of WASI's `name`.
fn starting_with(name: &str, ty: &str, start: &str) -> String {
    format!(
        r#"(module (import "{WASI}" "{name}" (func $ask {ty}))
            (memory (export "memory") 1) (data (i32.const 100) "\00\00\00\00\05\00\00\00")
            (global $kept (mut i32) (i32.const 0))
            (func (export "_initialize") (global.set $kept {start}))
            (func (export "kept") (result i32) (global.get $kept)))"#
    )
}

fn wasi() -> Grants {
    let wasi = Wasi::new()
        .args(["one", "two"])
        .env([("NAME", "value")])
        .random_seed(1)
        .realtime(|| Duration::from_secs(1));
    Grants::new().wasi(wasi).log(|_: &LogRecord<'_>| {})
}

/// Runs `kept` five times, each as a new instance does, and returns how many of them were reset.
fn resets(text: &str) -> u64 {
    let plugin = load_wat(text, &wasi());
    let call = || plugin.with_instance_metered(|instance| instance.call::<(), u32>("kept", ()));
    let first = call();
    for _ in 0..4 {
        assert_eq!(call(), first, "{text}");
    }
    assert!(first.0.is_ok(), "{first:?}: {text}");
    plugin.pool_figures().resets
}

#[test]
fn a_start_that_asks_only_for_what_was_granted_is_not_run_again() {
    let pair = "(param i32 i32) (result i32)";
    for (name, ty, start) in [
        ("args_get", pair, "(call $ask (i32.const 0) (i32.const 50))"),
        (
            "args_sizes_get",
            pair,
            "(call $ask (i32.const 0) (i32.const 4))",
        ),
        (
            "environ_get",
            pair,
            "(call $ask (i32.const 0) (i32.const 50))",
        ),
        (
            "environ_sizes_get",
            pair,
            "(call $ask (i32.const 0) (i32.const 4))",
        ),
        (
            "fd_fdstat_get",
            pair,
            "(call $ask (i32.const 1) (i32.const 0))",
        ),
        (
            "fd_prestat_get",
            pair,
            "(call $ask (i32.const 3) (i32.const 0))",
        ),
        (
            "fd_prestat_dir_name",
            "(param i32 i32 i32) (result i32)",
            "(call $ask (i32.const 3) (i32.const 0) (i32.const 9))",
        ),
        ("sched_yield", "(result i32)", "(call $ask)"),
    ] {
        assert_eq!(resets(&starting_with(name, ty, start)), 5, "{name}");
    }
}

#[test]
fn a_start_that_asks_for_more_or_has_an_effect_is_run_each_time() {
    let pair = "(param i32 i32) (result i32)";
    for (name, ty, start) in [
        // Every instance has random bytes of its own.
        (
            "random_get",
            pair,
            "(call $ask (i32.const 0) (i32.const 8))",
        ),
        (
            "clock_time_get",
            "(param i32 i64 i32) (result i32)",
            "(call $ask (i32.const 0) (i64.const 0) (i32.const 0))",
        ),
        // It begins the monotonic clock.
        (
            "clock_res_get",
            pair,
            "(call $ask (i32.const 1) (i32.const 0))",
        ),
        (
            "fd_write",
            "(param i32 i32 i32 i32) (result i32)",
            "(call $ask (i32.const 1) (i32.const 100) (i32.const 1) (i32.const 0))",
        ),
        (
            "fd_read",
            "(param i32 i32 i32 i32) (result i32)",
            "(call $ask (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 0))",
        ),
        (
            "fd_close",
            "(param i32) (result i32)",
            "(call $ask (i32.const 1))",
        ),
        (
            "fd_renumber",
            pair,
            "(call $ask (i32.const 1) (i32.const 2))",
        ),
    ] {
        assert_eq!(resets(&starting_with(name, ty, start)), 0, "{name}");
    }
    // One of each kind.
    let both = starting_with(
        "args_sizes_get",
        "(param i32 i32) (result i32)",
        "(call $ask (i32.const 0) (i32.const 4)) (call $log (i32.const 0) (i32.const 1))",
    );
    let import = r#"(module (import "env" "host_log" (func $log (param i32 i32)))"#;
    assert_eq!(resets(&both.replacen("(module", import, 1)), 0);
}

#[test]
fn a_function_of_the_embedder_by_the_name_of_wasis_is_called_each_time() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let next = move || u32::try_from(counter.fetch_add(1, Ordering::Relaxed)).unwrap_or(0);
    let grants = wasi().function(WASI, "sched_yield", next);
    let plugin = load_wat(
        &starting_with("sched_yield", "(result i32)", "(call $ask)"),
        &grants,
    );
    for n in 0..3 {
        assert_eq!(plugin.call::<(), u32>("kept", ()), Ok(n));
    }
}

#[test]
fn a_reset_instance_has_the_results_of_a_new_one_within_each_budget() {
    let start = "(drop (call $ask (i32.const 0) (i32.const 4)))".repeat(3) + "(i32.const 7)";
    let text = starting_with("args_sizes_get", "(param i32 i32) (result i32)", &start);
    let call = |plugin: &Plugin| {
        let called = plugin.with_instance_metered(|instance| instance.call::<(), u32>("kept", ()));
        (code(&called.0), called.1)
    };
    let mut codes = Vec::new();
    for at in 0..8 {
        let budgets: [fn(&mut Budget, u32); 4] = [
            |budget, at| budget.host_calls = at,
            |budget, at| budget.fuel = 60 * u64::from(at),
            |budget, at| budget.argument_bytes = at as usize,
            |budget, at| budget.log_records = at,
        ];
        for change in budgets {
            let mut budget = Budget::server();
            change(&mut budget, at);
            let used = load_wat(&text, &wasi());
            assert_eq!(call(&used).0, "ok");
            // With another budget in between, which is that of the instance then.
            let changed = used.with_instance(|instance| {
                let mut none = Budget::server();
                (none.argument_bytes, none.log_records) = (0, 0);
                instance.set_budget(none);
                instance.call::<(), u32>("kept", ())?;
                instance.call::<(), u32>("kept", ())
            });
            assert_eq!(changed, Ok(7));
            assert_eq!(used.pool_figures().resets, 2);
            let new = call(&load_wat(&text, &wasi()).with_budget(budget));
            assert_eq!(call(&used.with_budget(budget)), new, "{budget:?}");
            codes.push(new.0);
        }
    }
    for expected in ["ok", "host-calls", "out-of-fuel"] {
        assert!(codes.contains(&expected), "{expected}");
    }
}

/// A guest that computes 128 KiB when it starts, in memory that it grows for that, and grows again in each
/// call.
const LEARNING: &str = r#"(module (memory (export "memory") 1 20)
    (global $ready (mut i64) (i64.const 0)) (data (i32.const 60000) "forgotten")
    (func (export "_initialize") (local $at i32)
      (drop (memory.grow (i32.const 2)))
      (loop $on
        (i32.store (i32.add (local.get $at) (i32.const 65536))
          (i32.mul (local.get $at) (i32.const 2654435761)))
        (br_if $on (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 131072))))
      (memory.fill (i32.const 60000) (i32.const 0) (i32.const 9))
      (global.set $ready (i64.const 1)))
    (func (export "use") (result i32)
      (if (i64.ne (global.get $ready) (i64.const 1)) (then (unreachable)))
      (global.set $ready (i64.const 2))
      (i32.store (i32.const 0) (i32.const 1))
      (i32.store (i32.const 100000) (i32.const 1))
      (memory.grow (i32.const 1)))
    (func (export "trap") (i32.store (i32.const 4) (i32.const 1)) (unreachable)))"#;

/// A clock that counts how often it is read: once in each slice of a guest with a deadline.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Platform for Counted {
    fn now(&self) -> Option<Duration> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Some(Duration::ZERO)
    }
}

#[test]
fn a_long_start_is_not_run_again_even_if_the_instance_grew_or_was_stopped() {
    for slots in [false, true] {
        let clock = Arc::new(Counted::default());
        let mut limits = Limits::server();
        (limits.idle, limits.warm) = (2, 2);
        let budget = Budget::server().with_deadline(Duration::from_secs(1));
        let mut engine = Engine::new(limits)
            .with_platform(clock.clone())
            .with_budget(budget);
        if slots {
            engine = engine.with_memory_slots(Slots::split(vec![7; 3 << 20].leak(), 1 << 20));
        }
        let plugin: Plugin = try_load_wat(&engine, LEARNING, &Grants::new()).unwrap();
        let read = || clock.0.swap(0, Ordering::Relaxed);
        let call = || {
            let mut state = 0;
            let called = plugin.with_instance_metered(|instance| {
                state = instance.state_hash();
                assert_eq!(instance.memory_bytes(), 3 << 16);
                instance.call::<(), u32>("use", ())
            });
            (called, state)
        };
        read();
        let new = call();
        assert_eq!(new.0.0, Ok(3));
        let to_start = read();
        for _ in 0..3 {
            assert_eq!(call(), new);
            assert!(read() < to_start / 2);
        }
        assert_eq!(code(&plugin.call::<(), ()>("trap", ())), "trap-unreachable");
        assert!(read() < to_start / 2);
        assert_eq!(call(), new);
        read();
        assert_eq!(plugin.warm_up(), Ok(2));
        assert!(read() < to_start / 2);
        assert_eq!((call(), call()), (new.clone(), new.clone()));
        let figures = plugin.pool_figures();
        assert_eq!((figures.resets, figures.discards, figures.idle), (0, 8, 0));
        // By steps, and with too little fuel.
        let mut stepped = plugin.call_async::<(), u32>("use", ());
        assert_eq!(stepped.step(u64::MAX), hostel::Step::Done(Ok(3)));
        drop(stepped);
        let fuel = new.0.1.fuel;
        for fuel in [fuel, fuel - 1, fuel / 2, 10] {
            let budget = budget.with_fuel(fuel);
            let used = plugin.with_budget(budget);
            let fresh: Plugin = try_load_wat(&engine, LEARNING, &Grants::new()).unwrap();
            let call = |plugin: &Plugin| {
                plugin.with_instance_metered(|instance| instance.call::<(), u32>("use", ()))
            };
            assert_eq!(call(&used), call(&fresh.with_budget(budget)), "{fuel}");
        }
        assert_ne!(new.0.1, Usage::default());
    }
}

#[test]
fn a_library_of_c_with_its_runtime_is_reset() {
    let plugin = load_guest("libc_hello", &wasi());
    let first = plugin.process(b"hello").unwrap();
    for _ in 0..3 {
        assert_eq!(plugin.process(b"hello"), Ok(first.clone()));
    }
    assert_eq!(plugin.pool_figures().resets, 4);
}
