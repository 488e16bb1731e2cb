//! Calls awaited on tokio, on one thread and on two.

use core::time::Duration;
use hostel::{Async, Budget, Engine, Grants, Limits, Plugin, Trap};
use hostel_tests::{code, try_load_wat, with_allocator};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{runtime::Builder, task::JoinSet, time};

const GUEST: &str = r#"
    (func (export "process") (param $ptr i32) (param $len i32) (result i32 i32)
      (local $n i32)
      ;; As many rounds as the input says.
      (local.set $n (i32.load (local.get $ptr)))
      (if (local.get $n) (then
        (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
      (local.get $ptr) (local.get $len))"#;

fn plugin(instances: usize) -> Plugin {
    let mut limits = Limits::server();
    limits.instances = instances;
    let text = with_allocator("", GUEST);
    try_load_wat(&Engine::new(limits), &text, &Grants::new()).unwrap()
}

/// Runs `future` on one thread. Its clock stands still while a task can run, and else jumps to the
/// next timer.
fn on_one_thread<R>(future: impl Future<Output = R>) -> R {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(future)
}

#[test]
fn ten_thousand_calls_share_one_thread_and_a_few_instances() {
    let plugin = plugin(64);
    on_one_thread(async {
        let mut calls = JoinSet::new();
        for n in 0..10_000u32 {
            let plugin = plugin.clone();
            calls.spawn(async move {
                let input = (n % 100).to_le_bytes();
                assert_eq!(plugin.process_async(&input).await.unwrap(), input);
            });
        }
        while let Some(done) = calls.join_next().await {
            done.unwrap();
        }
    });
    let figures = plugin.pool_figures();
    assert_eq!((figures.in_use, figures.waiting), (0, 0));
    assert_eq!(figures.resets + figures.discards, 10_000);
}

#[test]
fn a_long_call_delays_each_short_one_by_a_quantum_or_two() {
    let plugin = plugin(400);
    let quanta = Arc::new(AtomicUsize::new(0));
    on_one_thread(async {
        let long = tokio::spawn({
            let plugin = plugin.with_budget(Budget::server().with_fuel(u64::MAX));
            let quanta = quanta.clone();
            async move {
                let input = u32::MAX.to_le_bytes();
                let mut call = pin!(plugin.process_async(&input));
                // Each poll runs it for a quantum.
                poll_fn(|context| {
                    quanta.fetch_add(1, Ordering::Relaxed);
                    call.as_mut().poll(context)
                })
                .await
            }
        });
        let mut calls = JoinSet::new();
        for n in 0..300u32 {
            let (plugin, quanta) = (plugin.clone(), quanta.clone());
            calls.spawn(async move {
                let input = n.to_le_bytes();
                tokio::task::yield_now().await;
                let before = quanta.load(Ordering::Relaxed);
                assert_eq!(plugin.process_async(&input).await.unwrap(), input);
                quanta.load(Ordering::Relaxed) - before
            });
        }
        while let Some(delay) = calls.join_next().await {
            assert!(delay.unwrap() <= 2);
        }
        assert!(!long.is_finished());
        assert_eq!(plugin.pool_figures().in_use, 1);
        // Dropping its future ends the call.
        long.abort();
        assert!(long.await.unwrap_err().is_cancelled());
    });
    assert!(quanta.load(Ordering::Relaxed) > 1);
    assert_eq!(plugin.pool_figures().in_use, 0);
}

#[test]
fn guests_that_wait_delay_no_other_call() {
    let text = with_allocator(
        r#"(import "env" "sleep" (func $sleep (param i32) (result i32)))"#,
        r#"(func (export "nap") (param i32) (result i32) (call $sleep (local.get 0)))"#,
    );
    let grants = Grants::new().function("env", "sleep", |ms: u32| {
        Async(async move {
            time::sleep(Duration::from_millis(ms.into())).await;
            Ok::<_, Trap>(ms)
        })
    });
    let mut limits = Limits::server();
    limits.instances = 1_000;
    let plugin = try_load_wat(&Engine::new(limits), &text, &grants).unwrap();
    on_one_thread(async {
        let begin = time::Instant::now();
        let mut calls = JoinSet::new();
        for _ in 0..1_000 {
            let plugin = plugin.clone();
            calls.spawn(async move { plugin.call_async::<u32, u32>("nap", 20).await });
        }
        while let Some(done) = calls.join_next().await {
            assert_eq!(done.unwrap(), Ok(20));
        }
        // One after the other they would take 20 seconds. The executor's timer rounds up.
        let elapsed = begin.elapsed();
        assert!(elapsed <= Duration::from_millis(21), "{elapsed:?}");

        // The executor's timer ends a wait in the guest's host function, and a wait for a place.
        let late = Duration::from_millis(5);
        let cut = time::timeout(late, plugin.call_async::<u32, u32>("nap", 20)).await;
        assert!(cut.is_err());
    });
    let figures = plugin.pool_figures();
    assert_eq!((figures.in_use, figures.discards), (0, 997));
}

#[test]
fn calls_move_between_the_threads_of_an_executor() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let plugin = plugin(8);
    let trapped = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let mut calls = JoinSet::new();
        for n in 0..2_000u32 {
            let (plugin, trapped) = (plugin.clone(), trapped.clone());
            calls.spawn(async move {
                let starved = plugin.with_budget(Budget::server().with_fuel(50_000));
                let input = if n % 10 == 0 { u32::MAX } else { n }.to_le_bytes();
                let result = starved.process_async(&input).with_quantum(1_000).await;
                if n % 10 == 0 {
                    assert_eq!(code(&result), "out-of-fuel");
                    trapped.fetch_add(1, Ordering::Relaxed);
                } else {
                    assert_eq!(result.unwrap(), input);
                }
            });
        }
        while let Some(done) = calls.join_next().await {
            done.unwrap();
        }
    });
    assert_eq!(trapped.load(Ordering::Relaxed), 200);
    let figures = plugin.pool_figures();
    assert_eq!((figures.in_use, figures.waiting), (0, 0));
}
