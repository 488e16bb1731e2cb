//! Calls that wait for one another's instances.

use super::{WakesAll, engine, load, threads};
use core::{
    future::Future as _,
    pin::pin,
    task::{Context, Waker},
};
use hostel_core::{Budget, CallError, Platform, Plugin};
use hostel_schedules::{Std, advance, explore, run_out};
use shuttle::future::block_on;
use std::time::Duration;

/// Asserts that no call has an instance or waits for one.
fn is_quiet(plugin: &Plugin) {
    let figures = plugin.pool_figures();
    assert_eq!((figures.in_use, figures.waiting), (0, 0), "{figures:?}");
}

/// Calls of threads and awaited ones share `instances`; each of them ends.
fn all_end(instances: usize, platform: impl Platform + 'static) {
    let plugin = load(&engine(instances, platform));
    let shared = plugin.clone();
    threads(4, move |number| {
        let input = [number as u8];
        let output = match number {
            0 | 1 => shared.process(&input),
            _ => block_on(shared.process_async(&input)),
        };
        assert_eq!(output.unwrap(), input);
    });
    is_quiet(&plugin);
    run_out();
}

#[test]
fn threads_and_awaited_calls_all_get_the_only_instance() {
    explore(|| all_end(1, Std::new()));
}

#[test]
fn threads_and_awaited_calls_all_get_one_of_two_instances() {
    explore(|| all_end(2, Std::new()));
}

#[test]
fn a_platform_that_wakes_all_threads_loses_none() {
    explore(|| all_end(1, WakesAll(Std::new())));
}

#[test]
fn an_instance_of_a_call_that_traps_goes_to_the_next() {
    explore(|| {
        let plugin = load(&engine(1, Std::new()));
        let shared = plugin.clone();
        threads(3, move |number| match number {
            0 => assert_eq!(
                shared.call::<(), ()>("trap", ()).unwrap_err().code(),
                "trap-unreachable"
            ),
            _ => assert_eq!(shared.process(b"a").unwrap(), b"a"),
        });
        is_quiet(&plugin);
    });
}

#[test]
fn calls_that_another_thread_answers_all_end() {
    for all in [false, true] {
        explore(move || {
            let plugin = match all {
                false => load(&engine(1, Std::new())),
                true => load(&engine(1, WakesAll(Std::new()))),
            };
            let shared = plugin.clone();
            threads(3, move |number| {
                let sum = match number {
                    0 | 1 => shared.call::<(), u32>("ask", ()),
                    _ => block_on(shared.call_async::<(), u32>("ask", ())),
                };
                assert_eq!(sum, Ok(14));
            });
            is_quiet(&plugin);
        });
    }
}

#[test]
fn a_place_of_a_call_that_is_given_up_goes_to_the_next() {
    explore(|| {
        let plugin = load(&engine(1, Std::new()));
        let shared = plugin.clone();
        threads(4, move |number| match number {
            // Given up as it waits for the instance or has just got it, or in the middle of its run.
            0 | 1 => {
                let call = pin!(shared.process_async(b"given up").with_quantum(1));
                let polled = call.poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending());
                shuttle::thread::yield_now();
            }
            2 => assert_eq!(shared.process(b"a").unwrap(), b"a"),
            _ => assert_eq!(block_on(shared.process_async(b"b")).unwrap(), b"b"),
        });
        is_quiet(&plugin);
        assert_eq!(plugin.pool_figures().abandoned, 2);
    });
}

#[test]
fn a_deadline_ends_a_wait_and_takes_no_place_with_it() {
    explore(|| {
        let plugin = load(&engine(1, Std::new()));
        let shared = plugin.clone();
        let calls = shuttle::thread::spawn(move || {
            threads(4, move |number| {
                let after = Duration::from_millis(5);
                let plugin = match number {
                    0 | 1 => shared.with_budget(Budget::server().with_deadline(after)),
                    _ => shared.clone(),
                };
                let output = match number % 2 {
                    0 => plugin.process(b"a"),
                    _ => block_on(plugin.process_async(b"a")),
                };
                match output {
                    Ok(output) => assert_eq!(output, b"a"),
                    Err(CallError::Busy { .. } | CallError::Deadline { .. }) if number < 2 => {}
                    Err(error) => panic!("{error}"),
                }
            });
        });
        for _ in 0..3 {
            advance(Duration::from_millis(3));
            shuttle::thread::yield_now();
        }
        calls.join().unwrap();
        is_quiet(&plugin);
        run_out();
    });
}

#[test]
fn instances_are_made_ahead_while_calls_take_them() {
    explore(|| {
        let mut limits = hostel_core::Limits::server();
        (limits.instances, limits.idle, limits.warm) = (2, 2, 2);
        let plugin = load(&hostel_core::Engine::new(limits).with_platform(Std::new()));
        let shared = plugin.clone();
        threads(4, move |number| match number {
            0 | 1 => match shared.process(b"a") {
                Ok(output) => assert_eq!(output, b"a"),
                Err(error) => assert_eq!(error, CallError::Closed),
            },
            2 => match shared.warm_up() {
                Ok(made) => assert!(made <= 2),
                Err(error) => assert_eq!(error, CallError::Closed),
            },
            _ => shared.close(),
        });
        is_quiet(&plugin);
        assert_eq!(
            plugin.pool_figures().idle,
            0,
            "a closed plugin keeps instances"
        );
    });
}

#[test]
fn a_second_copy_of_the_code_is_made_when_two_instances_are_in_use() {
    explore(|| {
        let plugin = load(&engine(2, Std::new()));
        let shared = plugin.clone();
        threads(4, move |number| {
            let input = [number as u8];
            assert_eq!(shared.process(&input).unwrap(), input);
        });
        let held = [(); 2].map(|()| plugin.instantiate(()).unwrap());
        drop(held);
        // Ends the background thread, if there is one.
        run_out();
        assert_eq!(plugin.pool_figures().copies, 2);
        is_quiet(&plugin);
    });
}
