//! Exports that are looked up once on a plugin. A call of one equals a call by name in an instance from the
//! pool.

use core::future::Future;
use hostel::{
    Async, Budget, CallError, Grants, Limits, Plugin, PluginBytesFunction, PluginFunction, Step,
    Trap,
};
use hostel_tests::{code, load_wat, packed, quiet, try_load_wat, with_allocator};
use std::{
    future::poll_fn,
    sync::{Arc, OnceLock},
    task::Poll,
    thread,
};
use wasmi::{Func, Nullable};

const GUEST: &str = r#"(module
    (import "host" "later" (func $later (param i32) (result i32)))
    (global $calls (mut i32) (i32.const 0))
    (func (export "holds") (param funcref) (result i32) (i32.const 1))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "calls") (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (global.get $calls))
    (func $count (export "count") (param $n i32) (result i32)
      (local $sum i32)
      (loop $on
        (local.set $sum (i32.add (local.get $sum) (local.get $n)))
        (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum))
    (func (export "count and wait") (param i32) (result i32)
      (drop (call $later (i32.const 1)))
      (call $count (local.get 0)))
    (func (export "trap") (param i32) (result i32) (unreachable)))"#;

/// Makes a future that is ready when it is polled for the third time.
fn third_time(answer: u32) -> impl Future<Output = Result<u32, Trap>> + Send {
    let mut asked = 0;
    poll_fn(move |context| {
        asked += 1;
        context.waker().wake_by_ref();
        if asked < 3 {
            Poll::Pending
        } else {
            Poll::Ready(Ok(answer))
        }
    })
}

fn grants() -> Grants<()> {
    Grants::new().function("host", "later", |n: u32| Async(third_time(n)))
}

fn plugin() -> Plugin {
    load_wat(GUEST, &grants())
}

/// Asserts that `prepared` and `by_name` have equal results with exactly the fuel that a call needs, with
/// one unit less, and with none: in new instances and in reset ones.
fn assert_equal<R: PartialEq + core::fmt::Debug>(
    plugin: &Plugin,
    prepared: impl Fn(&Plugin) -> Result<R, CallError>,
    by_name: impl Fn(&Plugin) -> Result<R, CallError>,
    fuel: u64,
) {
    let ample = plugin.with_budget(Budget::server());
    let expected = by_name(&ample);
    for _ in 0..3 {
        assert_eq!(prepared(&ample), expected);
    }
    for fuel in [fuel, fuel - 1, 1, 0] {
        let exact = plugin.with_budget(Budget::server().with_fuel(fuel));
        assert_eq!(prepared(&exact), by_name(&exact), "{fuel}");
    }
    let little = plugin.with_budget(Budget::server().with_fuel(fuel - 1));
    assert_eq!(code(&prepared(&little)), "out-of-fuel");
    let exact = plugin.with_budget(Budget::server().with_fuel(fuel));
    assert_eq!(prepared(&exact), expected, "{fuel}");
}

#[test]
fn a_call_equals_one_by_name() {
    let plugin = plugin();
    for (export, n, result) in [
        ("count", 10, 55),
        // Longer than a slice.
        ("count", 100_000, 705_082_704),
        ("count and wait", 100_000, 705_082_704),
    ] {
        let (answer, used) =
            plugin.with_instance_metered(|instance| instance.call::<u32, u32>(export, n));
        assert_eq!(answer, Ok(result));
        assert_equal(
            &plugin,
            |plugin| plugin.typed::<u32, u32>(export)?.call(n),
            |plugin| plugin.call(export, n),
            used.fuel,
        );
        let kept = plugin.typed::<u32, u32>(export).unwrap();
        assert_eq!([(); 3].map(|()| kept.call(n)), [(); 3].map(|()| Ok(result)));
    }
}

#[test]
fn each_call_has_an_instance_of_its_own() {
    let plugin = plugin();
    let calls = plugin.typed::<(), u32>("calls").unwrap();
    let signed = plugin.typed::<(), i32>("calls").unwrap();
    for _ in 0..5 {
        assert_eq!(calls.call(()), Ok(1));
        assert_eq!(signed.call(()), Ok(1));
    }
    let figures = plugin.pool_figures();
    assert_eq!((figures.resets, figures.idle), (10, 1), "one is reset");
    assert_eq!(figures.discards, 0);
}

#[test]
fn a_trap_in_between_stops_one_instance_alone() {
    let plugin = plugin();
    let add = plugin.typed::<(u32, u32), u32>("add").unwrap();
    let trap = plugin.typed::<u32, u32>("trap").unwrap();
    for discards in 1..4 {
        assert_eq!(add.call((1, 2)), Ok(3));
        let result = trap.call(1);
        assert_eq!(code(&result), "trap-unreachable");
        assert_eq!(result, plugin.call("trap", 1), "the place too");
        assert_eq!(plugin.pool_figures().discards, 2 * discards);
    }
    assert_eq!(add.call((1, 2)), Ok(3));
}

#[test]
fn looking_up_a_function_of_another_type_is_an_error() {
    let plugin = plugin();
    let error = plugin.typed::<(u32, u64), u32>("add").unwrap_err();
    assert_eq!(error.code(), "export-type");
    let text = error.to_string();
    assert!(
        text.contains("(i32, i64) -> i32") && text.contains("(i32, i32) -> i32"),
        "{text}"
    );
    let error = plugin.typed::<Nullable<Func>, u32>("holds").unwrap_err();
    assert_eq!(error.code(), "export-type", "references");
    let error = plugin.typed::<(), ()>("subtract").unwrap_err();
    assert_eq!(error.code(), "unknown-export");
    let error = plugin.bytes_function("add").unwrap_err();
    assert_eq!(error.code(), "export-type");
    let error = plugin.bytes_function("subtract").unwrap_err();
    assert_eq!(error.code(), "unknown-export");
}

#[test]
fn a_closed_plugin_refuses_calls() {
    let plugin = plugin();
    let add = plugin.typed::<(u32, u32), u32>("add").unwrap();
    assert_eq!(add.call((1, 2)), Ok(3));
    plugin.close();
    assert_eq!(add.call((1, 2)), Err(CallError::Closed));
    drop(plugin);
    assert_eq!(add.clone().call((1, 2)), Err(CallError::Closed));
}

#[test]
fn a_function_belongs_to_its_plugin() {
    let other = load_wat(
        r#"(module (func (export "add") (param i32 i32) (result i32) (i32.const 7)))"#,
        &Grants::new(),
    );
    let (add, seven) = (plugin().typed("add").unwrap(), other.typed("add").unwrap());
    for _ in 0..3 {
        let sums: [Result<u32, CallError>; 2] =
            [&add, &seven].map(|function: &PluginFunction<(u32, u32), u32>| function.call((1, 2)));
        assert_eq!(sums, [Ok(3), Ok(7)]);
    }
}

#[test]
fn threads_share_a_function() {
    let count = plugin().typed::<u32, u32>("count").unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(count.call(1_000), Ok(500_500));
                }
            });
        }
    });
}

#[test]
fn a_host_function_can_call_one() {
    let inner = plugin().typed::<(u32, u32), u32>("add").unwrap();
    let own: Arc<OnceLock<PluginFunction<u32, u32>>> = Arc::default();
    let again = own.clone();
    let grants = Grants::new()
        .function("host", "other", move |n: u32| {
            inner.call((n, 1)).map_err(|error| Trap::host(error.code()))
        })
        .function("host", "own", move |n: u32| {
            let own = again.get().expect("it is set");
            own.call(n).map_err(|error| Trap::host(error.code()))
        });
    let mut limits = Limits::server();
    limits.instances = 1;
    let outer = try_load_wat(
        &hostel::engine_with(limits),
        r#"(module
            (import "host" "other" (func $other (param i32) (result i32)))
            (import "host" "own" (func $own (param i32) (result i32)))
            (func (export "other") (param i32) (result i32) (call $other (local.get 0)))
            (func (export "own") (param i32) (result i32) (call $own (local.get 0))))"#,
        &grants,
    )
    .unwrap();
    assert!(own.set(outer.typed("own").unwrap()).is_ok());
    let other = outer.typed::<u32, u32>("other").unwrap();
    assert_eq!([1, 2].map(|n| other.call(n)), [Ok(2), Ok(3)]);
    // The one instance is in use, by the caller.
    let error = own.get().unwrap().call(1).unwrap_err();
    assert!(error.to_string().contains("nested-wait"), "{error}");
    assert_eq!(other.call(3), Ok(4));
}

#[test]
fn a_command_runs_its_start_before_each_call() {
    let plugin = load_wat(
        r#"(module
            (global $ready (mut i32) (i32.const 0))
            (memory (export "memory") 1)
            (func (export "_start") (global.set $ready (i32.add (global.get $ready) (i32.const 1))))
            (func (export "ready") (result i32) (global.get $ready)))"#,
        &Grants::new(),
    );
    let ready = plugin.typed::<(), u32>("ready").unwrap();
    assert_eq!([(); 3].map(|()| ready.call(())), [(); 3].map(|()| Ok(1)));
    assert_eq!(plugin.pool_figures().resets, 3);
    let (_, used) = plugin.with_instance_metered(|instance| instance.call::<(), u32>("ready", ()));
    assert_equal(
        &plugin,
        |plugin| plugin.typed::<(), u32>("ready")?.call(()),
        |plugin| plugin.call("ready", ()),
        used.fuel,
    );
}

/// Returns a guest that returns its input in each of the three shapes, after a wait, and whose allocator
/// counts to 20,000: no buffer is had within one slice.
fn echoes() -> Plugin {
    let text = with_allocator(
        r#"(import "host" "later" (func $later (param i32) (result i32)))"#,
        r#"
        (func $slow (param $size i32) (result i32) (local $n i32)
          (local.set $n (i32.const 20000))
          (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (call $allocate (local.get $size)))
        (export "malloc" (func $slow))
        (func (export "process") (param i32 i32) (result i64)
          (drop (call $later (i32.const 1)))
          (i64.or (i64.extend_i32_u (local.get 1))
            (i64.shl (i64.extend_i32_u (call $slow (i32.const 1))) (i64.const 32))))
        (func (export "packed") (param i32 i32) (result i64)
          (drop (call $later (i32.const 1)))
          (i64.or (i64.extend_i32_u (local.get 1))
            (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32))))
        (func (export "pair") (param i32 i32) (result i32 i32)
          (drop (call $later (i32.const 1)))
          (local.get 0) (local.get 1))
        (func (export "pointer") (param i32 i32 i32)
          (i32.store (local.get 0) (local.get 1))
          (i32.store offset=4 (local.get 0) (local.get 2)))"#,
    )
    // The slow one is the allocator.
    .replace(r#"(export "allocate")"#, "");
    load_wat(&text, &grants())
}

#[test]
fn functions_over_bytes_equal_calls_by_name() {
    let plugin = echoes();
    for name in ["process", "packed", "pair", "pointer"] {
        for input in [&b""[..], b"hello", &[7; 70_000]] {
            let by_name = |plugin: &Plugin| {
                plugin.with_instance(|instance| instance.call_bytes(name, input, <[u8]>::to_vec))
            };
            let (answer, used) = plugin
                .with_instance_metered(|instance| instance.call_bytes(name, input, <[u8]>::to_vec));
            if name != "process" && input.len() < 70_000 {
                assert_eq!(answer.as_deref(), Ok(input), "{name}");
            }
            assert_equal(
                &plugin,
                |plugin| plugin.bytes_function(name)?.call(input),
                by_name,
                used.fuel,
            );
        }
    }
    let packed: PluginBytesFunction = plugin.bytes_function("packed").unwrap();
    assert_eq!(packed.clone().call_with(b"hello", <[u8]>::len), Ok(5));
    let mut small = Budget::server();
    small.input_bytes = 4;
    let packed = plugin.with_budget(small).bytes_function("packed").unwrap();
    assert_eq!(code(&packed.call(b"hello")), "input-too-large");
    assert_eq!(packed.call(b"four").as_deref(), Ok(&b"four"[..]));
}

#[test]
fn a_paused_allocator_and_process_go_on_by_steps() {
    let plugin = echoes();
    let mut blocking = plugin.instantiate(()).unwrap();
    let answer = blocking.process(b"hello").map(|answer| answer.len());
    assert_eq!(answer, Ok(5));
    for quantum in [1, 77, 1_000, 1_000_000] {
        let mut stepped = plugin.instantiate(()).unwrap();
        let mut call = stepped.process_async(b"hello");
        let mut waits = 0;
        let answer = loop {
            match call.step(quantum) {
                Step::Done(result) => break result,
                Step::More => {}
                Step::Waiting => waits += 1,
            }
        };
        drop(call);
        assert_eq!(answer.map(|answer| answer.len()), Ok(5), "{quantum}");
        assert_eq!(stepped.usage().fuel, blocking.usage().fuel, "{quantum}");
        assert!(waits >= 2, "{quantum}: it waits in `process`");
    }
}

#[test]
fn an_error_of_the_guest_leaves_its_instance_to_the_pool() {
    let plugin = load_wat(
        &with_allocator(
            "",
            &format!(
                r#"(data (i32.const 16) "no") (func (export "f") (param i32 i32) (result i64) {})"#,
                packed(16, 0x8000_0002)
            ),
        ),
        &quiet(),
    );
    let refuses = plugin.bytes_function("f").unwrap();
    let by_name = plugin.with_instance(|instance| instance.call_bytes("f", b"", <[u8]>::to_vec));
    for _ in 0..3 {
        assert_eq!(refuses.call(b""), by_name);
    }
    assert!(by_name.is_err(), "{by_name:?}");
}
