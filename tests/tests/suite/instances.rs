//! Plugins and instances as handles: isolation, threads, limits, closing, budgets and usage.

use core::time::Duration;
use hostel::{Budget, CallError, Context, Engine, Grants, Limits, LogRecord, Plugin};
use hostel_tests::{CUSTOMIZE, code, guest_bytes, load_guest, load_wat, try_load_wat};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

/// A guest that counts its calls, in a global and in memory.
const COUNTER: &str = r#"(module
    (memory (export "memory") 1)
    (global $calls (mut i32) (i32.const 0))
    (func (export "count") (result i32 i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
      (global.get $calls) (i32.load (i32.const 0)))
    (func (export "trap") (unreachable)))"#;

fn engine_for(instances: usize) -> Engine {
    let mut limits = Limits::server();
    limits.instances = instances;
    Engine::new(limits).with_platform(hostel::Std::new())
}

fn customized() -> Grants<()> {
    Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")])
}

// Isolation

#[test]
fn instances_share_nothing() {
    let plugin = load_wat::<()>(COUNTER, &Grants::new());
    let mut first = plugin.instantiate(()).unwrap();
    let mut second = plugin.instantiate(()).unwrap();
    for count in 1..=3 {
        assert_eq!(first.call("count", ()), Ok((count, count)));
    }
    assert_eq!(second.call("count", ()), Ok((1, 1)));
    assert_eq!(code(&first.call::<(), ()>("trap", ())), "trap-unreachable");
    assert!(first.is_stopped() && !second.is_stopped());
    assert_eq!(second.call("count", ()), Ok((2, 2)));
    drop(first);
    assert_eq!(
        plugin.instantiate(()).unwrap().call("count", ()),
        Ok((1, 1))
    );
}

#[test]
fn calls_of_a_plugin_leave_nothing_behind() {
    let plugin = load_wat::<()>(COUNTER, &Grants::new());
    for _ in 0..5 {
        assert_eq!(plugin.call("count", ()), Ok((1, 1)));
        assert_eq!(code(&plugin.call::<(), ()>("trap", ())), "trap-unreachable");
    }
    let lent = plugin.with_instance(|instance| {
        instance.call::<(), (u32, u32)>("count", ())?;
        instance.call::<(), (u32, u32)>("count", ())
    });
    assert_eq!(lent, Ok((2, 2)), "within one loan the instance is the same");
}

#[test]
fn calls_of_a_plugin_start_with_default_data() {
    let text = r#"(module (import "host" "next" (func $next (result i32)))
        (func (export "next") (result i32) (call $next)))"#;
    let next = |context: &mut Context<'_, u32>| {
        *context.data_mut() += 1;
        *context.data()
    };
    let plugin = load_wat(
        text,
        &Grants::<u32>::with_data().function("host", "next", next),
    );
    let mut held = plugin.instantiate(41).unwrap();
    assert_eq!(held.call::<(), u32>("next", ()), Ok(42));
    for _ in 0..2 {
        assert_eq!(plugin.call::<(), u32>("next", ()), Ok(1));
    }
    assert_eq!(held.call::<(), u32>("next", ()), Ok(43));
}

// Threads

#[test]
fn one_plugin_serves_many_threads() {
    for name in CUSTOMIZE {
        let plugin = load_guest(name, &customized());
        thread::scope(|scope| {
            for thread in 0..4 {
                let plugin = &plugin;
                scope.spawn(move || {
                    for round in 0..20 {
                        let input = format!("thread {thread} round {round}");
                        let answer = plugin.process(input.as_bytes()).unwrap();
                        let expected = format!("CUSTOM_{}", input.to_uppercase());
                        assert_eq!(String::from_utf8(answer), Ok(expected), "{name}");
                    }
                });
            }
        });
    }
}

#[test]
fn a_handle_and_an_instance_can_move_to_another_thread() {
    let plugin = load_wat::<()>(COUNTER, &Grants::new());
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.call("count", ()), Ok((1, 1)));
    let clone = plugin.clone();
    let there = thread::spawn(move || {
        assert_eq!(clone.call("count", ()), Ok((1, 1)));
        instance.call::<(), (u32, u32)>("count", ())
    });
    assert_eq!(there.join().unwrap(), Ok((2, 2)));
    assert_eq!(plugin.call("count", ()), Ok((1, 1)));
}

#[test]
fn concurrent_calls_run_in_instances_of_their_own() {
    // Three calls meet inside the host, which they could not if two shared an instance.
    let text = r#"(module (import "host" "meet" (func $meet))
        (global $calls (mut i32) (i32.const 0))
        (func (export "meet") (result i32)
          (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
          (call $meet)
          (global.get $calls)))"#;
    let barrier = Barrier::new(3);
    let meet = move || {
        barrier.wait();
    };
    let plugin = load_wat(text, &Grants::new().function("host", "meet", meet));
    thread::scope(|scope| {
        let calls = [(); 3].map(|()| scope.spawn(|| plugin.call::<(), u32>("meet", ())));
        for call in calls {
            assert_eq!(call.join().unwrap(), Ok(1));
        }
    });
}

// The limit of instances

#[test]
fn no_more_instances_run_at_once_than_the_limit_allows() {
    let text = r#"(module (import "host" "in" (func $in)) (import "host" "out" (func $out))
        (func (export "run") (call $in) (call $out)))"#;
    static NOW: AtomicU32 = AtomicU32::new(0);
    static MOST: AtomicU32 = AtomicU32::new(0);
    let grants = Grants::new()
        .function("host", "in", || {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::yield_now();
        })
        .function("host", "out", || {
            NOW.fetch_sub(1, Ordering::SeqCst);
        });
    let plugin = try_load_wat(&engine_for(2), text, &grants).unwrap();
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!(plugin.call::<(), ()>("run", ()), Ok(()));
                }
            });
        }
    });
    let most = MOST.load(Ordering::SeqCst);
    assert!((1..=2).contains(&most), "{most} at once");
}

#[test]
fn without_a_place_and_without_waiting_a_call_is_refused_as_busy() {
    let mut limits = Limits::server();
    limits.instances = 2;
    // Without a platform, no call can wait.
    let plugin = try_load_wat(&Engine::new(limits), COUNTER, &Grants::new()).unwrap();
    let busy = CallError::Busy { limit: 2 };
    let innermost = plugin.with_instance(|_| {
        plugin.with_instance(|_| {
            // Instances that the caller holds are not counted.
            plugin.instantiate(())?;
            assert_eq!(
                plugin.clone().call::<(), (u32, u32)>("count", ()),
                Err(busy.clone())
            );
            plugin.process(b"")
        })
    });
    assert_eq!(innermost, Err(busy));
    assert_eq!(
        plugin.call("count", ()),
        Ok((1, 1)),
        "places come free again"
    );
}

#[test]
fn a_deadline_ends_the_wait_for_a_place() {
    let plugin = try_load_wat(&engine_for(1), COUNTER, &Grants::new()).unwrap();
    let hasty = plugin.with_budget(Budget::server().with_deadline(Duration::from_millis(5)));
    let result = plugin.with_instance(|_| hasty.call::<(), (u32, u32)>("count", ()));
    assert_eq!(result, Err(CallError::Busy { limit: 1 }));
}

#[test]
fn a_call_waits_for_a_place() {
    let plugin = try_load_wat(&engine_for(1), COUNTER, &Grants::new()).unwrap();
    let (send, receive) = mpsc::channel();
    thread::scope(|scope| {
        let waiting = plugin
            .with_instance(|_| {
                let waiting = scope.spawn(|| {
                    send.send(()).unwrap();
                    plugin.call::<(), (u32, u32)>("count", ())
                });
                receive.recv().unwrap();
                assert!(!waiting.is_finished());
                Ok(waiting)
            })
            .unwrap();
        assert_eq!(waiting.join().unwrap(), Ok((1, 1)));
    });
}

#[test]
fn a_place_comes_free_however_its_call_ends() {
    let plugin = try_load_wat(&engine_for(1), COUNTER, &Grants::new()).unwrap();
    let trapped = plugin.call::<(), ()>("trap", ());
    assert_eq!(code(&trapped), "trap-unreachable");
    let starved = plugin.with_budget(Budget::server().with_fuel(0));
    assert_eq!(code(&starved.call::<(), ()>("trap", ())), "out-of-fuel");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        plugin.with_instance::<()>(|_| panic!("this panic belongs to the test"))
    }));
    assert!(panicked.is_err());
    assert_eq!(plugin.call("count", ()), Ok((1, 1)));
}

#[test]
fn a_panic_of_the_callers_own_stops_that_instance_alone() {
    let plugin = load_guest("customize", &customized());
    let mut instance = plugin.instantiate(()).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        instance.process_with(b"hello", |_| panic!("this panic belongs to the test"))
    }));
    assert!(panicked.is_err());
    assert!(instance.is_stopped());
    assert_eq!(instance.process(b"hello"), Err(CallError::Stopped));
    assert_eq!(
        plugin.process(b"hello").as_deref(),
        Ok(&b"CUSTOM_HELLO"[..])
    );
}

// Closing

#[test]
fn a_closed_plugin_refuses_new_calls_and_lets_held_instances_end() {
    let plugin = load_wat::<()>(COUNTER, &Grants::new());
    let clone = plugin.with_budget(Budget::device());
    let mut held = plugin.instantiate(()).unwrap();
    let during = plugin.with_instance(|instance| {
        plugin.close();
        instance.call::<(), (u32, u32)>("count", ())
    });
    assert_eq!(during, Ok((1, 1)), "what runs is not disturbed");
    for handle in [&plugin, &clone] {
        assert_eq!(handle.instantiate(()).err(), Some(CallError::Closed));
        assert_eq!(
            handle.call::<(), (u32, u32)>("count", ()),
            Err(CallError::Closed)
        );
        assert_eq!(handle.process(b""), Err(CallError::Closed));
    }
    assert_eq!(held.call("count", ()), Ok((1, 1)));
    drop((plugin, clone));
    assert_eq!(
        held.call("count", ()),
        Ok((2, 2)),
        "and outlives all handles"
    );
    assert_eq!(
        CallError::Closed.to_string(),
        "the plugin was closed: load it again"
    );
}

// Budgets and usage

/// A guest that counts down from its argument.
const LOOP: &str = r#"(module (func (export "run") (param i32)
    (loop $on (br_if $on (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;

#[test]
fn each_call_has_the_whole_budget() {
    let plugin = load_wat::<()>(LOOP, &Grants::new());
    let mut instance = plugin
        .with_budget(Budget::server().with_fuel(10_000))
        .instantiate(())
        .unwrap();
    for _ in 0..20 {
        assert_eq!(instance.call::<u32, ()>("run", 1_000), Ok(()));
        let fuel = instance.usage().fuel;
        assert!((1_000..10_000).contains(&fuel), "{fuel}");
    }
    let error = instance.call::<u32, ()>("run", 10_000);
    assert_eq!(error, Err(CallError::OutOfFuel { fuel: 10_000 }));
    assert_eq!(instance.usage().fuel, 10_000, "it used all of it");
    // The other handle has its own budget.
    assert_eq!(plugin.call::<u32, ()>("run", 10_000), Ok(()));
}

#[test]
fn a_budget_can_be_changed_from_call_to_call() {
    let mut instance = load_wat::<()>(LOOP, &Grants::new())
        .instantiate(())
        .unwrap();
    for (fuel, rounds, expected) in [
        (100_000, 10_000, "ok"),
        (10_000, 1_000, "ok"),
        (1_000_000, 100_000, "ok"),
        (1_000, 10_000, "out-of-fuel"),
    ] {
        instance.set_budget(Budget::server().with_fuel(fuel));
        assert_eq!(code(&instance.call::<u32, ()>("run", rounds)), expected);
    }
}

#[test]
fn the_usage_is_the_least_budget_that_suffices() {
    let plugin = load_wat::<()>(LOOP, &Grants::new());
    // Below, at and above the length of a slice.
    for rounds in [1, 10, 1_000, 3_000, 5_000, 20_000] {
        let mut instance = plugin.instantiate(()).unwrap();
        instance.call::<u32, ()>("run", rounds).unwrap();
        let used = instance.usage().fuel;
        for (fuel, expected) in [(used, "ok"), (used + 1, "ok"), (used - 1, "out-of-fuel")] {
            let mut instance = plugin.instantiate(()).unwrap();
            instance.set_budget(Budget::server().with_fuel(fuel));
            assert_eq!(
                code(&instance.call::<u32, ()>("run", rounds)),
                expected,
                "{rounds}"
            );
            assert_eq!(instance.usage().fuel, used.min(fuel), "{rounds}");
        }
    }
}

#[test]
fn starting_has_a_budget_and_a_usage_of_its_own() {
    let text = r#"(module (func (export "f"))
        (func (export "_initialize") (local $n i32)
          (local.set $n (i32.const 5000))
          (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;
    let plugin = load_wat::<()>(text, &Grants::new());
    let mut instance = plugin.instantiate(()).unwrap();
    let start = instance.start_usage();
    assert!(start.fuel > 5_000);
    assert_eq!(instance.usage(), start, "before the first call");
    instance.call::<(), ()>("f", ()).unwrap();
    assert!(instance.usage().fuel < 100);
    assert_eq!(instance.start_usage(), start);
    let starved = plugin.with_budget(Budget::server().with_fuel(start.fuel - 1));
    assert_eq!(code(&starved.instantiate(())), "out-of-fuel");
    let just_enough = plugin.with_budget(Budget::server().with_fuel(start.fuel));
    assert_eq!(code(&just_enough.instantiate(())), "ok");
}

#[test]
fn making_an_instance_for_a_call_and_the_call_share_one_budget() {
    let plugin = load_guest("customize", &customized());
    let mut kept = plugin.instantiate(()).unwrap();
    kept.process(b"hello world").unwrap();
    let both = kept.start_usage().fuel + kept.usage().fuel;
    let once = |fuel| {
        let plugin = plugin.with_budget(Budget::server().with_fuel(fuel));
        let (result, used) =
            plugin.with_instance_metered(|instance| instance.process(b"hello world"));
        (code(&result), used.fuel)
    };
    assert_eq!(once(both), ("ok", both));
    assert_eq!(once(both - 1), ("out-of-fuel", both - 1));
    // The usage of a start that failed is reported, too.
    let start = kept.start_usage().fuel;
    assert_eq!(once(start - 1), ("out-of-fuel", start - 1));
}

#[test]
fn instantiating_is_charged_for_each_thing_that_it_makes() {
    let fuel = |items: &str| {
        let text = format!(r#"(module (func $f (export "f")) {items})"#);
        let wasm = hostel_tests::assemble(&text);
        let plugin = load_wat::<()>(&text, &Grants::new());
        let used = plugin.instantiate(()).unwrap().start_usage().fuel;
        used - (wasm.len() as u64).div_ceil(64)
    };
    let least = fuel("");
    for (item, price) in [
        // A constant expression of three bytes, its end included.
        ("(global i32 (i32.const 0))", 5 + 3),
        ("(global (mut i32) (i32.const 0))", 5 + 35 + 3),
        ("(func)", 1),
        (r#"(data "")"#, 5),
        ("(elem func $f $f $f)", 5 + 3),
    ] {
        assert_eq!(fuel(&item.repeat(1_000)), least + 1_000 * price, "{item}");
    }
    let exports: String = (0..500)
        .map(|n| format!(r#"(export "{n}" (func $f))"#))
        .collect();
    assert_eq!(fuel(&exports), least + 500 * 10);
}

#[test]
fn instantiating_is_charged_by_the_modules_size_and_its_memory() {
    for (pages, elements) in [(0, 0), (1, 0), (16, 0), (16, 1_000), (0, 10_000)] {
        let text =
            format!(r#"(module (memory {pages}) (table {elements} funcref) (func (export "f")))"#);
        let wasm = hostel_tests::assemble(&text);
        let plugin = hostel::engine()
            .load("guest", &wasm, &Grants::new())
            .unwrap();
        let instance = plugin.instantiate(()).unwrap();
        let bytes = wasm.len() + pages * 65_536 + elements * 8;
        // One export and one function.
        assert_eq!(
            instance.start_usage().fuel,
            20 + 10 + 1 + bytes.div_ceil(64) as u64,
            "{text}"
        );
    }
}

/// Returns the fuel that starting a fresh instance and its `process` used.
fn fresh_fuel(plugin: &Plugin, input: &[u8]) -> (u64, u64) {
    let mut instance = plugin.instantiate(()).unwrap();
    // An error of the guest's is no matter here.
    let _ = instance.process(input);
    (instance.start_usage().fuel, instance.usage().fuel)
}

#[test]
fn equal_calls_in_fresh_instances_use_equal_fuel() {
    for name in CUSTOMIZE {
        let plugin = load_guest(name, &customized());
        for input in [&b""[..], b"hello world", &[b'x'; 5_000], b"\xff"] {
            let first = fresh_fuel(&plugin, input);
            for _ in 0..3 {
                assert_eq!(fresh_fuel(&plugin, input), first, "{name}");
            }
            // The guest loaded again in another engine, after other calls.
            let again = hostel::engine()
                .load("another name", &guest_bytes(name), &customized())
                .unwrap();
            fresh_fuel(&again, b"something else before it");
            assert_eq!(fresh_fuel(&again, input), first, "{name}, loaded again");
        }
    }
}

#[test]
fn earlier_calls_do_not_change_the_fuel_of_a_call() {
    // The guest's state is equal before each call.
    let text = r#"(module
        (import "env" "host_log" (func $log (param i32 i32)))
        (import "env" "host_get_config" (func $get (param i32 i32) (result i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "prefix")
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "deallocate") (param i32 i32))
        (func (export "process") (param i32 i32) (result i32 i32)
          (call $log (local.get 0) (local.get 1))
          (call $get (i32.const 0) (i32.const 6)))
        (func (export "error") (param i32 i32) (result i32 i32)
          (i32.const 0) (i32.const 0x80000001))
        (func (export "add") (param i32 i32) (result i32)
          (i32.add (local.get 0) (local.get 1))))"#;
    let plugin = load_wat(text, &customized());
    let input = [b'i'; 700];
    let mut instance = plugin.instantiate(()).unwrap();
    // The buffer for the input is kept, so that only an input longer than all before pays for a new
    // one.
    instance.process(&[7; 30_000]).unwrap();
    instance.process(&input).unwrap();
    let kept = instance.usage().fuel;
    let (_, first) = fresh_fuel(&plugin, &input);
    assert!(kept < first, "{kept} with a buffer, {first} without");
    let add = {
        instance.call::<(u32, u32), u32>("add", (1, 2)).unwrap();
        instance.usage().fuel
    };
    for round in 0..100 {
        match round % 4 {
            0 => drop(instance.process(&[7; 30_000])),
            1 => drop(instance.call::<&str, String>("error", "e")),
            2 => drop(instance.call::<&str, String>("unknown", "e")),
            _ => {}
        }
        assert_eq!(instance.process(&input).as_deref(), Ok(&b"CUSTOM"[..]));
        assert_eq!(instance.usage().fuel, kept, "round {round}");
        instance
            .call::<(u32, u32), u32>("add", (round, round))
            .unwrap();
        assert_eq!(instance.usage().fuel, add, "round {round}");
    }
}

#[test]
fn all_ways_to_take_a_result_cost_equal_fuel() {
    for name in CUSTOMIZE {
        let plugin = load_guest(name, &customized());
        let (_, by_value) = fresh_fuel(&plugin, b"hello world");
        let mut instance = plugin.instantiate(()).unwrap();
        instance.process_into(b"hello world", &mut [0; 64]).unwrap();
        assert_eq!(instance.usage().fuel, by_value, "{name}");
        let mut instance = plugin.instantiate(()).unwrap();
        instance.process_with(b"hello world", |_| ()).unwrap();
        assert_eq!(instance.usage().fuel, by_value, "{name}");
        let mut instance = plugin.instantiate(()).unwrap();
        instance
            .process_into(b"hello world", &mut [0; 1])
            .unwrap_err();
        assert_eq!(
            instance.usage().fuel,
            by_value,
            "{name}, into too small a buffer"
        );
    }
}

#[test]
fn usage_is_that_of_the_last_call() {
    let mut instance = load_guest("customize", &customized())
        .instantiate(())
        .unwrap();
    instance.process(b"hello").unwrap();
    let usage = instance.usage();
    let counts = (
        usage.host_calls,
        usage.log_records,
        usage.log_bytes,
        usage.log_dropped,
    );
    assert_eq!(counts, (2, 1, 18, 0), "{usage:?}");
    instance.process(b"\xff").unwrap_err();
    let usage = instance.usage();
    assert_eq!((usage.host_calls, usage.log_records), (0, 0), "{usage:?}");
    assert!(usage.fuel > 0);
}
