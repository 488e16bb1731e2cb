//! Calls that are run by steps, awaited, suspended or dropped. However a call is run, its result
//! and its fuel are equal.

use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use hostel::{
    Async, Budget, CallError, Engine, Grants, Instance, Limits, LogRecord, Plugin, Step, Trap,
    Usage,
};
use hostel_tests::{
    CUSTOMIZE, Random, Ticking, code, load_guest, load_wat, packed, try_load_wat, with_allocator,
};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

fn customized() -> Grants<()> {
    Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")])
}

/// Runs a call to its end by steps of `quantum` fuel. Returns its result and the number of steps.
fn stepped(
    instance: &mut Instance,
    input: &[u8],
    quantum: u64,
) -> (Result<Vec<u8>, CallError>, u64, Usage) {
    let mut steps = 1;
    let result = {
        let mut call = instance.process_async(input);
        loop {
            match call.step(quantum) {
                Step::Done(result) => break result,
                Step::More => steps += 1,
                Step::Waiting => panic!("nothing to wait for"),
            }
        }
    };
    (result, steps, instance.usage())
}

/// A guest whose allocator, process and deallocator all take long.
fn slow() -> Plugin {
    let text = r#"(module
        (import "env" "host_get_config" (func $get (param i32 i32) (result i64)))
        (memory (export "memory") 1)
        (data (i32.const 0) "prefix")
        (global $top (mut i32) (i32.const 1024))
        (func $work (param $n i32)
          (loop $on (br_if $on (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0)))))
        (func (export "allocate") (param $size i32) (result i32)
          (call $work (i32.const 5000))
          (global.get $top)
          (global.set $top (i32.add (global.get $top) (local.get $size))))
        (func (export "deallocate") (param i32 i32) (call $work (i32.const 3000)))
        (func (export "process") (param $ptr i32) (param $len i32) (result i64)
          (local $n i32)
          (local.set $n (i32.const 20))
          (loop $on
            (drop (call $get (i32.const 0) (i32.const 6)))
            (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (call $get (i32.const 0) (i32.const 6))))"#;
    load_wat(text, &customized())
}

#[test]
fn results_errors_and_fuel_do_not_depend_on_the_quantum() {
    let mut plugins: Vec<_> = CUSTOMIZE
        .iter()
        .map(|name| load_guest(name, &customized()))
        .collect();
    plugins.push(slow());
    for plugin in &plugins {
        for input in [&b"hello world"[..], b"", b"\xff", &[b'x'; 70_000]] {
            let mut whole = plugin.instantiate(()).unwrap();
            let expected = (whole.process(input), whole.usage());
            let all = expected.1.fuel;
            for fuel in [Budget::server().fuel, all, all - 1, all / 2, all / 7] {
                let budget = Budget::server().with_fuel(fuel);
                let fresh = || {
                    let mut instance = plugin.instantiate(()).unwrap();
                    instance.set_budget(budget);
                    instance
                };
                let mut whole = fresh();
                let expected = (whole.process(input), whole.usage(), whole.is_stopped());
                for quantum in [97, 1_000, 9_999, 100_000, u64::MAX] {
                    let mut instance = fresh();
                    let (result, steps, usage) = stepped(&mut instance, input, quantum);
                    assert_eq!(
                        (result, usage, instance.is_stopped()),
                        expected,
                        "{} of {all}, quantum {quantum}",
                        fuel
                    );
                    if quantum == 1_000 && fuel > all {
                        assert!(steps > all / 4_000, "{steps} steps for {all} fuel");
                    }
                }
            }
        }
    }
}

#[test]
fn calls_of_a_plugin_end_alike_by_any_mix_of_quanta() {
    let mut random = Random::new(4);
    let mut plugins: Vec<_> = CUSTOMIZE
        .iter()
        .map(|name| load_guest(name, &customized()))
        .collect();
    plugins.push(slow());
    for plugin in &plugins {
        let input = b"hello world";
        let (_, whole) = plugin.with_instance_metered(|instance| instance.process(input));
        for round in 0..60 {
            // Every third call has too little fuel.
            let enough = Budget::server().fuel;
            let few = random.below(usize::try_from(whole.fuel).unwrap()) as u64;
            let fuel = if round % 3 == 0 { few } else { enough };
            let plugin = plugin.with_budget(Budget::server().with_fuel(fuel));
            let expected = plugin.with_instance_metered(|instance| instance.process(input));
            let mut call = plugin.process_async(input);
            let result = loop {
                // From 1,000 fuel to all there can be, in random order.
                let quantum = match random.below(4) {
                    0 => 1_000,
                    1 => 1_000 + random.below(20_000) as u64,
                    2 => 50_000 + random.below(1_000_000) as u64,
                    _ => u64::MAX,
                };
                match call.step(quantum) {
                    Step::Done(result) => break result,
                    step => assert_eq!(step, Step::More),
                }
            };
            assert_eq!((result, call.usage()), expected, "with {fuel} fuel");
        }
        let figures = plugin.pool_figures();
        assert!(figures.resets >= 80, "{figures:?}");
    }
}

#[test]
fn a_step_runs_no_more_than_its_quantum_and_the_next_operator() {
    // The longest straight line of `slow` is far shorter than 200 units.
    let plugin = slow();
    let mut instance = plugin.instantiate(()).unwrap();
    let all = {
        instance.process(b"hello").unwrap();
        instance.usage().fuel
    };
    let mut instance = plugin.instantiate(()).unwrap();
    let (result, steps, _) = stepped(&mut instance, b"hello", 1_000);
    assert_eq!(result, Ok(b"CUSTOM".to_vec()));
    assert!(steps >= all / 1_200, "{steps} steps for {all} fuel");
}

#[test]
fn a_long_input_is_written_in_steps() {
    let text = r#"(module (memory (export "memory") 128)
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "process") (param i32 i32) (result i32 i32)
          (i32.const 0) (i32.const 0)))"#;
    let plugin = load_wat::<()>(text, &Grants::new());
    let mut instance = plugin.instantiate(()).unwrap();
    let mut steps_for = |bytes| {
        let (result, steps, _) = stepped(&mut instance, &vec![0; bytes], 10_000);
        assert_eq!(code(&result), "ok");
        steps
    };
    // 64 KiB cost 1,024 units of fuel.
    assert_eq!((steps_for(1), steps_for(512 << 10)), (1, 1));
    assert!((4..=8).contains(&steps_for(4 << 20)));
}

#[test]
fn a_dropped_call_stops_its_instance_and_no_other() {
    let plugin = slow();
    let mut dropped = plugin.instantiate(()).unwrap();
    let mut other = plugin.instantiate(()).unwrap();
    {
        let mut call = dropped.process_async(b"hello");
        assert_eq!(call.step(100), Step::More);
    }
    assert!(dropped.is_stopped());
    assert_eq!(dropped.process(b""), Err(CallError::Stopped));
    assert_eq!(other.process(b"hello"), Ok(b"CUSTOM".to_vec()));
    // A call that was never stepped has not begun.
    drop(other.process_async(b"hello"));
    assert_eq!(other.process(b"hello"), Ok(b"CUSTOM".to_vec()));
}

#[test]
fn calls_of_many_instances_take_turns_on_one_thread() {
    let plugin = slow();
    let mut instances: Vec<_> = (0..50).map(|_| plugin.instantiate(()).unwrap()).collect();
    let mut calls: Vec<_> = instances
        .iter_mut()
        .map(|instance| instance.process_async(b"hello"))
        .collect();
    let mut done = 0;
    let mut rounds = 0;
    let mut ended: Vec<bool> = vec![false; calls.len()];
    while done < calls.len() {
        rounds += 1;
        for (call, ended) in calls.iter_mut().zip(&mut ended) {
            if *ended {
                continue;
            }
            if let Step::Done(result) = call.step(10_000) {
                assert_eq!(result, Ok(b"CUSTOM".to_vec()));
                *ended = true;
                done += 1;
            }
        }
    }
    assert!(rounds > 5);
    assert!(ended.iter().all(|ended| *ended));
}

#[test]
fn a_plugins_call_by_steps_includes_its_start() {
    let text = r#"(module (memory (export "memory") 1)
        (func $run (loop $on (br $on))) (start $run)
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "process") (param i32 i32) (result i64) (i64.const 0)))"#;
    let mut limits = Limits::server();
    limits.instances = 1;
    let engine = Engine::new(limits);
    let endless = try_load_wat(&engine, text, &Grants::new()).unwrap();
    let endless = endless.with_budget(Budget::server().with_fuel(50_000));
    let mut call = endless.process_async(b"");
    for _ in 0..4 {
        assert_eq!(call.step(10_000), Step::More);
        assert_eq!(endless.pool_figures().in_use, 1);
    }
    // Another call waits for the place.
    assert_eq!(endless.process_async(b"").step(10_000), Step::Waiting);
    let fuel = 50_000;
    loop {
        match call.step(10_000) {
            Step::Done(result) => break assert_eq!(result, Err(CallError::OutOfFuel { fuel })),
            more => assert_eq!(more, Step::More),
        }
    }
    assert_eq!(endless.pool_figures().in_use, 0);
    // A call that is dropped gives its place back.
    let mut call = endless.process_async(b"");
    assert_eq!(call.step(10_000), Step::More);
    drop(call);
    assert_eq!(endless.pool_figures().in_use, 0);
}

#[test]
fn a_plugins_call_by_steps_ends_like_one_without() {
    for name in CUSTOMIZE {
        let plugin = load_guest(name, &customized());
        for _ in 0..3 {
            let mut call = plugin.process_async(b"hello world");
            let result = loop {
                if let Step::Done(result) = call.step(500) {
                    break result;
                }
            };
            assert_eq!(result, Ok(b"CUSTOM_HELLO WORLD".to_vec()), "{name}");
        }
        assert_eq!(plugin.pool_figures().resets, 3);
    }
}

/// Makes a future that is ready when it is polled for the third time. Each poll wakes its task.
fn third_time<R: Clone>(result: R) -> impl Future<Output = R> {
    let mut polls = 0;
    poll_fn(move |context| {
        polls += 1;
        if polls == 3 {
            return Poll::Ready(result.clone());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

fn waiting_grants(grown: u32) -> Grants<()> {
    Grants::new()
        .function("net", "fetch", |url: &str| {
            let answer = format!("<{url}>");
            Async(third_time(Ok(answer)))
        })
        .function("net", "size", move |url: &[u8]| {
            let size = u32::try_from(url.len()).unwrap_or(0) + grown;
            Async(third_time(Ok(size)))
        })
        .function("net", "fail", || {
            Async(third_time(Err::<u32, _>(Trap::host("no network"))))
        })
        .function("net", "never", || {
            Async(core::future::pending::<Result<(), Trap>>())
        })
}

/// Returns the text of a guest that passes its input on to a host function, in each shape.
fn fetching() -> String {
    with_allocator(
        r#"(import "net" "fetch" (func $packed (param i32 i32) (result i64)))
           (import "net" "fetch" (func $again (param i32 i32) (result i64)))
           (import "net" "size" (func $size (param i32 i32) (result i32)))
           (import "net" "fail" (func $fail (result i32)))
           (import "net" "never" (func $never))"#,
        r#"(func (export "process") (param i32 i32) (result i64)
             (drop (call $size (local.get 0) (local.get 1)))
             (drop (call $again (local.get 0) (local.get 1)))
             (call $packed (local.get 0) (local.get 1)))
           (func (export "size") (param i32 i32) (result i32)
             (call $size (local.get 0) (local.get 1)))
           (func (export "fail") (result i32) (call $fail))
           (func (export "never") (call $never))"#,
    )
}

#[test]
fn an_asynchronous_host_function_suspends_its_guest() {
    let plugin = load_wat(&fetching(), &waiting_grants(0));
    let mut instance = plugin.instantiate(()).unwrap();
    let mut waits = 0;
    let result = {
        let mut call = instance.process_async(b"a.example");
        loop {
            match call.step(10_000) {
                Step::Done(result) => break result,
                Step::More => {}
                Step::Waiting => waits += 1,
            }
        }
    };
    assert_eq!(result, Ok(b"<a.example>".to_vec()));
    assert_eq!(waits, 6, "three functions, two waits each");
    let stepped = instance.usage();
    // The call on a thread that blocks.
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.process(b"a.example"), Ok(b"<a.example>".to_vec()));
    assert_eq!(instance.usage(), stepped);
    assert_eq!(instance.call::<&str, u32>("size", "abc"), Ok(3));
    let error = instance.call::<(), u32>("fail", ()).unwrap_err();
    let shown = "the guest trapped: a host function stopped it: no network, \
        in host function `net.fail`, while `fail` ran";
    assert_eq!(error.to_string(), shown);
    assert!(instance.is_stopped());
}

#[test]
fn a_wait_without_end_ends_at_the_deadline() {
    let plugin = load_wat(&fetching(), &waiting_grants(0));
    let after = Duration::from_millis(20);
    let mut instance = plugin.instantiate(()).unwrap();
    instance.set_budget(Budget::server().with_deadline(after));
    assert_eq!(
        instance.call::<(), ()>("never", ()),
        Err(CallError::Deadline { after })
    );
}

#[test]
fn a_wait_without_end_can_be_cancelled() {
    let plugin = load_wat(&fetching(), &waiting_grants(0));
    let mut instance = plugin.instantiate(()).unwrap();
    let canceller = instance.canceller();
    let mut call = instance.call_async::<(), ()>("never", ());
    for _ in 0..3 {
        assert_eq!(call.step(1_000), Step::Waiting);
    }
    canceller.cancel();
    assert_eq!(call.step(1_000), Step::Done(Err(CallError::Cancelled)));
}

#[test]
fn a_thread_that_waits_can_be_cancelled_by_another() {
    let plugin = load_wat(&fetching(), &waiting_grants(0));
    let mut instance = plugin.instantiate(()).unwrap();
    let canceller = instance.canceller();
    let result = std::thread::scope(|scope| {
        let call = scope.spawn(|| instance.call::<(), ()>("never", ()));
        std::thread::sleep(Duration::from_millis(20));
        canceller.cancel();
        call.join().unwrap()
    });
    assert_eq!(result, Err(CallError::Cancelled));
}

#[test]
fn an_import_that_is_handed_on_cannot_wait() {
    let text = r#"(module (import "net" "fail" (func $fail (result i32)))
        (export "f" (func $fail)))"#;
    let mut instance = load_wat(text, &waiting_grants(0)).instantiate(()).unwrap();
    let error = instance.call::<(), u32>("f", ()).unwrap_err().to_string();
    assert!(error.contains("call it from guest code"), "{error}");
}

#[test]
fn no_step_is_so_long_that_growths_use_up_the_native_stack() {
    hostel_tests::in_its_own_process(
        "steps::no_step_is_so_long_that_growths_use_up_the_native_stack",
        || {
            let text = r#"(module (memory 1) (func (export "run")
                (loop $on (drop (memory.grow (i32.const 65535))) (br $on))))"#;
            let plugin = load_wat(text, &Grants::new());
            let plugin = plugin.with_budget(Budget::server().with_fuel(20_000_000));
            let small = std::thread::Builder::new().stack_size(256 << 10);
            let thread = small.spawn(move || {
                let mut instance = plugin.instantiate(()).unwrap();
                let mut call = instance.call_async::<(), ()>("run", ());
                call.step(u64::MAX)
            });
            let fuel = 20_000_000;
            let out = Step::Done(Err(CallError::OutOfFuel { fuel }));
            assert_eq!(thread.unwrap().join().unwrap(), out);
        },
    );
}

#[test]
fn a_future_that_panics_traps_its_guest_alone() {
    let grants = Grants::new().function("net", "broken", || {
        Async(async { if true { panic!("broken") } else { Ok(0u32) } })
    });
    let text = r#"(module (import "net" "broken" (func $broken (result i32)))
        (func (export "f") (result i32) (call $broken)))"#;
    let mut instance = load_wat(text, &grants).instantiate(()).unwrap();
    let result = instance.call::<(), u32>("f", ());
    assert_eq!(code(&result), "trap-host-panic");
    hostel_tests::a_good_plugin_still_answers();
}

#[test]
fn an_allocator_that_waits_for_results_can_call_nothing() {
    // The slice ends in `allocate`, so that it is resumed outside of the guest's call.
    let text = format!(
        r#"(module
        (import "env" "host_get_config" (func $get (param i32 i32) (result i64)))
        (import "env" "host_log" (func $log (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 0) "prefix")
        (func (export "allocate") (param $size i32) (result i32) (local $n i32)
          (if (i32.eq (local.get $size) (i32.const 6)) (then
            (local.set $n (i32.const 40000))
            (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (call $log (i32.const 0) (i32.const 1))))
          (i32.const 1024))
        (func (export "process") (param i32 i32) (result i64)
          (drop (call $get (i32.const 0) (i32.const 6))) {}))"#,
        packed(0, 0)
    );
    let mut instance = load_wat(&text, &customized()).instantiate(()).unwrap();
    let error = instance.process(b"hello").unwrap_err();
    assert_eq!(error.code(), "trap-reentered");
    let CallError::Trap(trap) = error else {
        panic!()
    };
    assert_eq!(
        (trap.export(), trap.import()),
        (Some("allocate"), Some("env.host_log"))
    );
}

#[test]
fn a_deadline_ends_a_call_by_steps() {
    let engine = Engine::default().with_platform(Ticking::default());
    let text = r#"(module (func (export "run") (loop $on (br $on))))"#;
    let plugin = try_load_wat(&engine, text, &Grants::new()).unwrap();
    let mut instance = plugin.instantiate(()).unwrap();
    let after = Duration::from_millis(50);
    instance.set_budget(Budget::server().with_deadline(after));
    let mut call = instance.call_async::<(), ()>("run", ());
    let mut steps = 0;
    let result = loop {
        steps += 1;
        if let Step::Done(result) = call.step(100) {
            break result;
        }
    };
    assert_eq!(result, Err(CallError::Deadline { after }));
    // The clock is read twice when the call begins, before each slice, and, for the call's time, after
    // it: the 25th slice would begin too late.
    assert_eq!(steps, 25);
}

#[test]
fn an_awaited_call_yields_after_each_quantum() {
    let plugin = slow();
    let mut instance = plugin.instantiate(()).unwrap();
    let mut call = pin!(instance.process_async(b"hello").with_quantum(1_000));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut polls = 0;
    let result = loop {
        polls += 1;
        match call.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => break result,
            Poll::Pending => assert_eq!(wakes.0.swap(0, Ordering::Relaxed), 1),
        }
    };
    assert_eq!(result, Ok(b"CUSTOM".to_vec()));
    assert!(polls > 50, "{polls} polls");
}

#[derive(Default)]
struct Wakes(AtomicU32);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn calls_and_instances_move_between_threads() {
    fn moves<S: Send>(value: S) -> S {
        value
    }
    let plugin = slow();
    let mut instance = moves(plugin.instantiate(()).unwrap());
    let mut call = moves(instance.process_async(b"hello"));
    assert_eq!(call.step(1_000), Step::More);
    let result = std::thread::scope(|scope| {
        let rest = scope.spawn(|| {
            loop {
                if let Step::Done(result) = call.step(1_000) {
                    break result;
                }
            }
        });
        rest.join().unwrap()
    });
    assert_eq!(result, Ok(b"CUSTOM".to_vec()));
}
