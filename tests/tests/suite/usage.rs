//! What calls use: also their memory and their time, and those that their clients abandon.

use core::{future::Future, pin::pin, time::Duration};
use hostel::{Async, Budget, Engine, Grants, Limits, Platform, Plugin, Step, Trap};
use hostel_tests::{code, try_load_wat};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
};

/// A clock that stands still until it is set.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Platform for Clock {
    fn now(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.0.load(Ordering::SeqCst)))
    }
}

const PAGE: usize = 64 << 10;

/// A guest that grows its memory, takes time, spins, and waits.
const GUEST: &str = r#"(module
    (import "env" "take" (func $take (param i64)))
    (import "env" "wait" (func $wait))
    (memory (export "memory") 1)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "take") (param i64) (call $take (local.get 0)))
    (func (export "spin") (loop $on (br $on)))
    (func (export "wait") (call $wait)))"#;

fn plugin(clock: &Clock) -> Plugin {
    let mut limits = Limits::server();
    (limits.instances, limits.memory_bytes) = (1, 4 * PAGE);
    let clock = clock.clone();
    let engine = Engine::new(limits).with_platform(clock.clone());
    let grants = Grants::new()
        .function("env", "take", move |ms: u64| {
            clock.0.fetch_add(ms, Ordering::SeqCst);
        })
        .function("env", "wait", || {
            Async(core::future::pending::<Result<(), Trap>>())
        });
    try_load_wat(&engine, GUEST, &grants).unwrap()
}

#[test]
fn the_most_memory_of_a_call_is_told() {
    let plugin = plugin(&Clock::default());
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.usage().memory_bytes, PAGE);
    for (more, result, pages) in [(0, 1, 1), (2, 1, 3), (2, -1, 3), (1, 3, 4)] {
        assert_eq!(instance.call::<u32, i32>("grow", more), Ok(result));
        assert_eq!(instance.usage().memory_bytes, pages * PAGE);
        assert_eq!(instance.memory_bytes(), pages * PAGE);
    }
    // In an instance of the pool, reset or new, a call tells its own.
    for pages in [1, 3, 1, 1] {
        let (grown, used) =
            plugin.with_instance_metered(|instance| instance.call::<u32, i32>("grow", pages - 1));
        assert_eq!(grown, Ok(1));
        assert_eq!(used.memory_bytes, pages as usize * PAGE);
        let mut call = plugin.call_async::<u32, i32>("grow", pages - 1);
        assert_eq!(call.step(10_000), Step::Done(Ok(1)));
        assert_eq!(call.usage().memory_bytes, pages as usize * PAGE);
    }
    let starved = plugin.with_budget(Budget::server().with_fuel(0));
    let (failed, used) = starved.with_instance_metered(|_| Ok(()));
    assert_eq!((code(&failed), used.time), ("out-of-fuel", Duration::ZERO));
}

#[test]
fn the_time_of_a_call_is_told_with_its_wait_for_an_instance() {
    let clock = Clock::default();
    let plugin = plugin(&clock);
    let (taken, used) =
        plugin.with_instance_metered(|instance| instance.call::<u64, ()>("take", 30));
    assert_eq!((taken, used.time), (Ok(()), Duration::from_millis(30)));
    let mut holder = plugin.call_async::<(), ()>("spin", ());
    assert_eq!(holder.step(1_000), Step::More);
    let mut call = plugin.call_async::<u64, ()>("take", 30);
    assert_eq!(call.step(1_000), Step::Waiting);
    clock.0.fetch_add(5, Ordering::SeqCst);
    drop(holder);
    assert_eq!(call.step(1_000), Step::Done(Ok(())));
    assert_eq!(call.usage().time, Duration::from_millis(35));
    // Of one instance, too; and a call that is refused has its time.
    let mut instance = plugin.instantiate(()).unwrap();
    let mut call = instance.call_async::<u64, ()>("take", 7);
    clock.0.fetch_add(100, Ordering::SeqCst);
    assert_eq!(call.step(1_000), Step::Done(Ok(())));
    assert_eq!(
        call.usage().time,
        Duration::from_millis(7),
        "from its first step"
    );
    // Two uses that differ in time alone are equal.
    let metered =
        |ms| plugin.with_instance_metered(|instance| instance.call::<u64, ()>("take", ms));
    let (one, other) = (metered(1), metered(2));
    assert_ne!(one.1.time, other.1.time);
    assert_eq!(one, other);
}

#[test]
fn calls_that_their_clients_abandon_are_counted_with_their_fuel() {
    let plugin = plugin(&Clock::default());
    let figures = || {
        let figures = plugin.pool_figures();
        (figures.abandoned, figures.abandoned_fuel, figures.in_use)
    };
    // One that has not begun is no call.
    drop(plugin.call_async::<(), ()>("spin", ()));
    assert_eq!(figures(), (0, 0, 0));
    let mut spins = plugin.call_async::<(), ()>("spin", ());
    assert_eq!(spins.step(5_000), Step::More);
    let used = spins.usage().fuel;
    assert!((5_000..=7_000).contains(&used), "{used}");
    // One that waits for the instance has used nothing yet.
    let mut queued = plugin.call_async::<(), ()>("spin", ());
    assert_eq!(queued.step(5_000), Step::Waiting);
    drop(queued);
    assert_eq!(figures(), (1, 0, 1));
    drop(spins);
    assert_eq!(figures(), (2, used, 0));
    // An awaited one, which waits for the host.
    let waits = {
        let mut waits = pin!(plugin.request().call_async::<(), ()>("wait", ()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        waits.usage().fuel
    };
    assert!(waits > 0);
    assert_eq!(figures(), (3, used + waits, 0));
    // Calls that end, well or not, are not abandoned.
    let mut grows = plugin.call_async::<u32, i32>("grow", 0);
    assert_eq!(grows.step(10_000), Step::Done(Ok(1)));
    drop(grows);
    let starved = plugin.with_budget(Budget::server().with_fuel(1_000));
    let mut spins = starved.call_async::<(), ()>("spin", ());
    while spins.step(10_000) == Step::More {}
    drop(spins);
    let starved = plugin.with_budget(Budget::server().with_fuel(3));
    let refused = starved.call_async::<(), ()>("spin", ()).step(10_000);
    assert!(matches!(refused, Step::Done(Err(_))));
    assert_eq!(plugin.call::<u32, i32>("grow", 0), Ok(1));
    assert_eq!(figures(), (3, used + waits, 0));
}

#[test]
fn an_instance_tells_the_use_of_a_call_that_was_dropped() {
    let plugin = plugin(&Clock::default());
    let mut instance = plugin.instantiate(()).unwrap();
    let mut call = instance.call_async::<(), ()>("spin", ());
    assert_eq!(call.step(5_000), Step::More);
    let used = call.usage();
    assert!(used.fuel >= 4_000);
    drop(call);
    assert_eq!(instance.usage(), used);
    assert!(instance.is_stopped());
}
