//! Instances that are kept from call to call, and reset to the state of a fresh one.

use hostel::{Budget, CallError, Engine, Grants, Limits, LogRecord, Plugin};
use hostel_tests::{CUSTOMIZE, code, load_guest, load_wat, try_load_wat, with_allocator};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A guest that hides its input in every place that it has, and returns what it finds there.
const SECRETIVE: &str = r#"
    (global $kept (mut i64) (i64.const 0))
    (global $last (mut f64) (f64.const 0))
    (func (export "keep") (param $secret i64)
      (global.set $kept (local.get $secret))
      (global.set $last (f64.reinterpret_i64 (local.get $secret)))
      (i64.store (i32.const 8) (local.get $secret))
      (i64.store (i32.const 100000) (local.get $secret))
      (i64.store (i32.const 131064) (local.get $secret)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "trap") (unreachable))
    (func (export "found") (result i64)
      (i64.or (i64.or (global.get $kept) (i64.reinterpret_f64 (global.get $last)))
        (i64.or (i64.load (i32.const 8))
          (i64.or (i64.load (i32.const 100000)) (i64.load (i32.const 131064))))))"#;

fn secretive() -> Plugin {
    load_wat(&with_allocator("", SECRETIVE), &Grants::new())
}

#[test]
fn nothing_of_a_call_is_left_for_the_next() {
    let plugin = secretive();
    for secret in 1..100i64 {
        let found = plugin.with_instance(|instance| {
            let found = instance.call::<(), i64>("found", ())?;
            instance.call::<i64, ()>("keep", secret)?;
            assert_eq!(instance.call::<(), i64>("found", ()), Ok(secret));
            Ok(found)
        });
        assert_eq!(found, Ok(0));
    }
    let figures = plugin.pool_figures();
    assert_eq!((figures.resets, figures.discards), (99, 0));
    assert_eq!((figures.in_use, figures.idle), (0, 1));
}

/// Calls `write` of `plugin` in one instance after another, at places by chance, and compares each that comes
/// from the pool with a new one, byte by byte.
fn assert_reset_wherever_written(plugin: &Plugin, bytes: u32, rounds: u64) {
    let new = plugin.instantiate(()).unwrap().state_hash();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: u32| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u32::try_from((random >> 33) % u64::from(bound.max(1))).unwrap()
    };
    for round in 0..rounds {
        let found = plugin.with_instance(|instance| {
            let found = instance.state_hash();
            for _ in 0..below(6) {
                // Also at the edges of what the image keeps together.
                let at = match below(3) {
                    0 => below(bytes),
                    1 => (below(bytes) & !4_095).saturating_sub(below(2)),
                    _ => bytes - 1 - below(2).min(bytes - 1),
                };
                let size = (1 + below(9_000)).min(bytes - at);
                let (value, size) = (below(256), if below(2) == 0 { 1 } else { size });
                instance.call::<(u32, u32, u32), ()>("write", (at, value, size))?;
            }
            Ok(found)
        });
        assert_eq!(found, Ok(new), "in round {round}");
    }
    let figures = plugin.pool_figures();
    assert_eq!((figures.resets, figures.discards), (rounds, 0));
}

#[test]
fn each_byte_is_reset_wherever_the_guest_wrote() {
    let write = r#"(func (export "write") (param i32 i32 i32)
        (memory.fill (local.get 0) (local.get 1) (local.get 2)))"#;
    let long = "x".repeat(9_000);
    for (memory, bytes) in [
        // Nothing but 0.
        ("(memory 2)".to_owned(), 131_072),
        // The layout of a compiler: a stack, then data that begins and ends within chunks.
        (
            format!(
                r#"(memory 17) (data (i32.const 1048570) "{long}") (data (i32.const 1100000) "heap")"#
            ),
            1_114_112,
        ),
        // The first byte and the last one, whole chunks, and chunks beside each other.
        (
            format!(
                r#"(memory 3) (data (i32.const 0) "first") (data (i32.const 196607) "z")
                   (data (i32.const 8192) "{0}") (data (i32.const 12288) "{0}") (data (i32.const 20480) "{0}")"#,
                &long[..4_096]
            ),
            196_608,
        ),
        // Data that is 0 is like none.
        (
            r#"(memory 1) (data (i32.const 4096) "\00\00\00")"#.to_owned(),
            65_536,
        ),
        // Memories that don't end with a chunk, or are smaller than one.
        (
            r#"(memory 10007 (pagesize 1)) (data (i32.const 10006) "z")"#.to_owned(),
            10_007,
        ),
        (
            r#"(memory 4097 (pagesize 1)) (data (i32.const 1) "a")"#.to_owned(),
            4_097,
        ),
        (
            r#"(memory 7 (pagesize 1)) (data (i32.const 3) "a")"#.to_owned(),
            7,
        ),
    ] {
        let plugin = load_wat(&format!("(module {memory} {write})"), &Grants::new());
        assert_reset_wherever_written(&plugin, bytes, 60);
    }
}

#[test]
fn instances_that_were_stopped_or_have_grown_are_not_reused() {
    let plugin = secretive();
    assert_eq!(plugin.call::<i64, ()>("keep", 7), Ok(()));
    assert_eq!(plugin.pool_figures().idle, 1);
    assert_eq!(code(&plugin.call::<(), ()>("trap", ())), "trap-unreachable");
    assert_eq!(plugin.pool_figures().idle, 0);
    assert_eq!(plugin.call::<(), u32>("grow", ()), Ok(2));
    assert_eq!(plugin.call::<(), u32>("grow", ()), Ok(2));
    let figures = plugin.pool_figures();
    assert_eq!((figures.resets, figures.discards), (1, 3));
    let starved = plugin.with_budget(Budget::server().with_fuel(1));
    assert_eq!(code(&starved.call::<(), i64>("found", ())), "out-of-fuel");
    assert_eq!(plugin.call::<(), i64>("found", ()), Ok(0));
}

#[test]
fn eight_tenants_on_two_threads_find_nothing_of_each_other() {
    let checkouts: usize = std::env::var("HOSTEL_CHECKOUTS").map_or(20_000, |count| {
        count.parse().expect("HOSTEL_CHECKOUTS is a number")
    });
    let plugin = secretive();
    let tenants = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let turn = tenants.fetch_add(1, Ordering::Relaxed);
                    if turn >= checkouts {
                        break;
                    }
                    let secret = i64::try_from(0x5ec2_e700 + turn % 8).unwrap();
                    let found = plugin.with_instance(|instance| {
                        let found = instance.call::<(), i64>("found", ())?;
                        instance.call::<i64, ()>("keep", secret)?;
                        if turn.is_multiple_of(97) {
                            instance.call::<(), ()>("trap", ())?;
                        }
                        Ok(found)
                    });
                    if turn.is_multiple_of(97) {
                        assert_eq!(code(&found), "trap-unreachable");
                    } else {
                        assert_eq!(found, Ok(0), "in turn {turn}");
                    }
                }
            });
        }
    });
    let figures = plugin.pool_figures();
    let all = u64::try_from(checkouts).unwrap();
    assert_eq!(figures.resets + figures.discards, all);
    assert!(figures.resets > all / 2);
    println!("{all} checkouts by 8 tenants on 2 threads: {figures:?}");
}

#[test]
fn a_call_uses_equal_fuel_in_a_fresh_instance_and_in_a_reset_one() {
    for name in CUSTOMIZE {
        let grants = Grants::new()
            .log(|_: &LogRecord<'_>| {})
            .config([("prefix", "CUSTOM")]);
        let plugin = load_guest(name, &grants);
        let call = |input: &[u8]| plugin.with_instance_metered(|instance| instance.process(input));
        let first = call(b"hello world");
        assert_eq!(call(&[b'x'; 3_000]).0.unwrap().len(), 3_007);
        for _ in 0..3 {
            assert_eq!(call(b"hello world"), first, "{name}");
        }
        assert!(plugin.pool_figures().resets >= 4, "{name}");
        // With one unit too little, in a fresh instance and in a reset one.
        for fuel in [first.1.fuel, first.1.fuel - 1, first.1.fuel / 2, 10] {
            let budget = Budget::server().with_fuel(fuel);
            let used = plugin.with_budget(budget);
            let used = used.with_instance_metered(|instance| instance.process(b"hello world"));
            let fresh = load_guest(name, &grants).with_budget(budget);
            let fresh = fresh.with_instance_metered(|instance| instance.process(b"hello world"));
            assert_eq!(used, fresh, "{name} with {fuel}");
        }
    }
}

#[test]
fn a_start_that_asks_the_host_is_run_each_time() {
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let grants = Grants::new().function("env", "next", move || {
        u32::try_from(counter.fetch_add(1, Ordering::Relaxed)).unwrap_or(0)
    });
    let text = r#"(module (import "env" "next" (func $next (result i32)))
        (global $n (mut i32) (i32.const -1))
        (func (export "_initialize") (global.set $n (call $next)))
        (func (export "n") (result i32) (global.get $n)))"#;
    let plugin = load_wat(text, &grants);
    for n in 0..5 {
        assert_eq!(plugin.call::<(), u32>("n", ()), Ok(n));
    }
    assert_eq!(plugin.pool_figures().resets, 0);
}

#[test]
fn modules_that_change_tables_or_drop_segments_are_instantiated_each_time() {
    let text = r#"(module
        (memory (export "memory") 1)
        (table $t 2 funcref)
        (elem declare func $one)
        (data $d "secret")
        (func $one (result i32) (i32.const 1))
        (func (export "use") (result i32)
          (table.set $t (i32.const 0) (ref.func $one))
          (memory.init $d (i32.const 0) (i32.const 0) (i32.const 6))
          (data.drop $d)
          (i32.const 1))
        (func (export "empty") (result i32) (ref.is_null (table.get $t (i32.const 0)))))"#;
    let plugin = load_wat(text, &Grants::new());
    for _ in 0..3 {
        assert_eq!(plugin.call::<(), u32>("empty", ()), Ok(1));
        assert_eq!(plugin.call::<(), u32>("use", ()), Ok(1));
    }
    assert_eq!(plugin.pool_figures().resets, 0);
}

#[test]
fn data_of_the_embedder_and_cancellers_go_with_their_call() {
    let grants = Grants::<Vec<u32>>::with_data().function(
        "env",
        "push",
        |context: &mut hostel::Context<'_, Vec<u32>>, value: u32| -> u32 {
            context.data_mut().push(value);
            u32::try_from(context.data().len()).unwrap_or(0)
        },
    );
    let text = r#"(module (import "env" "push" (func $push (param i32) (result i32)))
        (func (export "f") (result i32) (call $push (i32.const 1))))"#;
    let plugin = load_wat(text, &grants);
    let mut cancellers = Vec::new();
    for _ in 0..5 {
        let found = plugin.with_instance(|instance| {
            cancellers.push(instance.canceller());
            instance.call::<(), u32>("f", ())
        });
        assert_eq!(found, Ok(1));
        cancellers.iter().for_each(hostel::Canceller::cancel);
    }
    assert_eq!(plugin.pool_figures().resets, 5);
}

#[test]
fn no_more_instances_are_kept_than_the_limit_and_none_by_a_closed_plugin() {
    let text = with_allocator("", SECRETIVE);
    for idle in [0, 1, 3] {
        let mut limits = Limits::server();
        limits.idle = idle;
        let plugin = try_load_wat(&Engine::new(limits), &text, &Grants::new()).unwrap();
        let nested = |depth: usize| {
            fn hold(plugin: &Plugin, depth: usize) -> Result<i64, CallError> {
                plugin.with_instance(|instance| {
                    if depth > 0 {
                        hold(plugin, depth - 1)?;
                    }
                    instance.call::<(), i64>("found", ())
                })
            }
            hold(&plugin, depth)
        };
        assert_eq!(nested(5), Ok(0));
        assert_eq!(plugin.pool_figures().idle, idle);
        let result = plugin.with_instance(|instance| {
            plugin.close();
            instance.call::<(), i64>("found", ())
        });
        assert_eq!(result, Ok(0));
        assert_eq!(plugin.pool_figures().idle, 0);
        assert_eq!(plugin.call::<(), i64>("found", ()), Err(CallError::Closed));
    }
}

#[test]
fn descriptors_and_output_of_wasi_are_reset() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "close") (result i32) (call $close (i32.const 1))))"#;
    let grants = Grants::new().wasi(hostel::Wasi::new());
    let plugin = load_wat(text, &grants);
    for _ in 0..3 {
        let closed = plugin.with_instance(|instance| {
            let first = instance.call::<(), u32>("close", ())?;
            Ok((first, instance.call::<(), u32>("close", ())?))
        });
        // The error numbers of closing twice: success, then EBADF.
        assert_eq!(closed, Ok((0, 8)));
    }
    assert_eq!(plugin.pool_figures().resets, 3);
}

#[test]
fn references_in_globals_do_not_reach_another_instance() {
    let text = r#"(module (global $g (mut funcref) (ref.func $f)) (func $f) (elem declare func $f)
        (func (export "trap") (unreachable)) (func (export "ok")))"#;
    let plugin = load_wat(text, &Grants::new());
    assert_eq!(code(&plugin.call::<(), ()>("trap", ())), "trap-unreachable");
    for _ in 0..3 {
        assert_eq!(plugin.call::<(), ()>("ok", ()), Ok(()));
    }
    assert_eq!(plugin.pool_figures().resets, 0);
}

#[test]
fn an_instance_of_another_plugin_is_not_taken_back() {
    let who = |number: u32| {
        load_wat(
            &format!(r#"(module (func (export "who") (result i32) (i32.const {number})))"#),
            &Grants::new(),
        )
    };
    let (one, other) = (who(1), who(2));
    assert_eq!(one.call::<(), u32>("who", ()), Ok(1));
    let mut held = other.instantiate(()).unwrap();
    let swapped = one.with_instance(|instance| {
        core::mem::swap(instance, &mut held);
        Ok(())
    });
    assert_eq!(swapped, Ok(()));
    assert_eq!(one.call::<(), u32>("who", ()), Ok(1));
    let figures = one.pool_figures();
    assert_eq!((figures.resets, figures.discards), (2, 1));
    assert_eq!(
        held.call::<(), u32>("who", ()),
        Ok(1),
        "it is the caller's now"
    );
}

#[test]
fn a_plugin_that_is_closed_during_calls_keeps_no_instance() {
    for _ in 0..200 {
        let plugin = secretive();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                // Ends with the error that the plugin is closed.
                scope.spawn(|| while plugin.call::<(), i64>("found", ()).is_ok() {});
            }
            std::thread::yield_now();
            plugin.close();
        });
        let figures = plugin.pool_figures();
        assert_eq!((figures.idle, figures.in_use), (0, 0), "{figures:?}");
    }
}
