//! Waiting for a place among a plugin's instances, in order, and instances that are made ahead.

use core::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use hostel::{Async, Budget, CallError, Engine, Grants, Limits, Platform, Plugin, Step, Trap};
use hostel_tests::{code, try_load_wat, with_allocator};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Wake,
    thread,
};

const ECHO: &str = r#"
    (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))
    (func (export "grow") (drop (memory.grow (i32.const 1))))
    (func (export "trap") (unreachable))"#;

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::server();
    limits.instances = 1;
    change(&mut limits);
    limits
}

fn echo(engine: &Engine) -> Plugin {
    try_load_wat(engine, &with_allocator("", ECHO), &Grants::new()).unwrap()
}

/// A clock that stands still until it is set.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn advance(&self, by: u64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Platform for Clock {
    fn now(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.0.load(Ordering::SeqCst)))
    }
}

/// A waker that counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn awaited_calls_get_a_place_in_the_order_in_which_they_came() {
    let plugin = echo(&Engine::new(limits(|_| {})));
    let mut holder = plugin.process_async(b"holder").with_quantum(1);
    // After a step of 1 fuel it is in the middle of its call.
    assert_eq!(holder.step(1), Step::More);
    let woken: Vec<_> = (0..4).map(|_| Arc::<Woken>::default()).collect();
    let wakers: Vec<_> = woken.iter().cloned().map(Waker::from).collect();
    let inputs = [b"0", b"1", b"2", b"3"];
    let mut calls: Vec<_> = inputs
        .iter()
        .map(|input| Some(Box::pin(plugin.process_async(*input))))
        .collect();
    for (call, waker) in calls.iter_mut().zip(&wakers) {
        let polled = call
            .as_mut()
            .unwrap()
            .as_mut()
            .poll(&mut Context::from_waker(waker));
        assert_eq!(polled, Poll::Pending);
    }
    let figures = plugin.pool_figures();
    assert_eq!((figures.in_use, figures.waiting, figures.waits), (1, 4, 4));
    // A call that is dropped is passed over.
    calls[1] = None;
    assert_eq!(plugin.pool_figures().waiting, 3);
    assert_eq!(holder.step(u64::MAX), Step::Done(Ok(b"holder".to_vec())));
    for (at, next) in [(0, Some(2)), (2, Some(3)), (3, None)] {
        assert_eq!(woken[at].0.load(Ordering::SeqCst), 1, "{at} was woken");
        if let Some(next) = next {
            assert_eq!(woken[next].0.load(Ordering::SeqCst), 0, "{next} was not");
            // Calls whose turn it is not get no place by being polled; neither does a new call.
            let polled = calls[next].as_mut().unwrap().as_mut();
            let polled = polled.poll(&mut Context::from_waker(&wakers[next]));
            assert_eq!(polled, Poll::Pending);
            assert_eq!(plugin.process_async(b"new").step(1_000), Step::Waiting);
        }
        let call = calls[at].as_mut().unwrap();
        assert_eq!(call.step(u64::MAX), Step::Done(Ok(inputs[at].to_vec())));
        calls[at] = None;
    }
    let figures = plugin.pool_figures();
    assert_eq!((figures.in_use, figures.waiting), (0, 0));
}

#[test]
fn a_place_given_to_a_call_that_gives_up_goes_to_the_next() {
    let plugin = echo(&Engine::new(limits(|_| {})));
    let mut holder = plugin.process_async(b"holder");
    assert_eq!(holder.step(1), Step::More);
    let mut first = plugin.process_async(b"first");
    let mut second = plugin.process_async(b"second");
    assert_eq!(first.step(1_000), Step::Waiting);
    assert_eq!(second.step(1_000), Step::Waiting);
    drop(holder);
    drop(first);
    assert_eq!(second.step(1_000), Step::Done(Ok(b"second".to_vec())));
    assert_eq!(plugin.pool_figures().in_use, 0);
}

#[test]
fn the_wait_of_an_awaited_call_ends_at_its_deadline() {
    let clock = Clock::default();
    let budget = Budget::server().with_deadline(Duration::from_millis(10));
    let engine = Engine::new(limits(|_| {}))
        .with_platform(clock.clone())
        .with_budget(budget);
    let plugin = echo(&engine);
    let mut holder = plugin.process_async(b"holder");
    assert_eq!(holder.step(1), Step::More);
    let mut call = plugin.process_async(b"late");
    assert_eq!(call.step(1_000), Step::Waiting);
    clock.advance(9);
    assert_eq!(call.step(1_000), Step::Waiting);
    clock.advance(1);
    assert_eq!(
        call.step(1_000),
        Step::Done(Err(CallError::Busy { limit: 1 }))
    );
    drop(call);
    assert_eq!(plugin.pool_figures().waiting, 0);
}

#[test]
fn no_more_calls_wait_than_the_limit() {
    let plugin = echo(&Engine::new(limits(|limits| limits.waiting = 2)));
    let mut holder = plugin.process_async(b"holder");
    assert_eq!(holder.step(1), Step::More);
    let mut waiting = [plugin.process_async(b"1"), plugin.process_async(b"2")];
    for call in &mut waiting {
        assert_eq!(call.step(1_000), Step::Waiting);
    }
    let refused = plugin.process_async(b"3").step(1_000);
    assert_eq!(refused, Step::Done(Err(CallError::Busy { limit: 1 })));
    assert_eq!(code(&plugin.process(b"4")), "busy");
    assert_eq!(plugin.pool_figures().waits, 2);
}

#[test]
fn threads_get_a_place_in_the_order_in_which_they_came() {
    let engine = Engine::new(limits(|_| {})).with_platform(hostel::Std::new());
    let plugin = echo(&engine);
    let served = Mutex::new(Vec::new());
    thread::scope(|scope| {
        plugin
            .with_instance(|_| {
                for number in 0..8 {
                    let (plugin, served) = (&plugin, &served);
                    scope.spawn(move || {
                        plugin.with_instance(|_| {
                            served.lock().unwrap().push(number);
                            Ok(())
                        })
                    });
                    // The next thread starts once this one waits.
                    while plugin.pool_figures().waiting <= number {
                        thread::yield_now();
                    }
                }
                Ok(())
            })
            .unwrap();
    });
    assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(plugin.pool_figures().waits, 8);
}

#[test]
fn waiting_threads_and_awaited_calls_share_the_queue() {
    let engine = Engine::new(limits(|_| {})).with_platform(hostel::Std::new());
    let plugin = echo(&engine);
    let mut holder = plugin.process_async(b"holder");
    assert_eq!(holder.step(1), Step::More);
    let mut awaited = plugin.process_async(b"awaited");
    assert_eq!(awaited.step(1_000), Step::Waiting);
    thread::scope(|scope| {
        let thread = scope.spawn(|| plugin.process(b"thread"));
        while plugin.pool_figures().waiting < 2 {
            thread::yield_now();
        }
        assert_eq!(holder.step(u64::MAX), Step::Done(Ok(b"holder".to_vec())));
        assert!(!thread.is_finished());
        assert_eq!(awaited.step(u64::MAX), Step::Done(Ok(b"awaited".to_vec())));
        assert_eq!(thread.join().unwrap(), Ok(b"thread".to_vec()));
    });
}

#[test]
fn as_many_instances_as_asked_for_are_made_ahead() {
    for (warm, idle, expected) in [(0, 4, 0), (3, 4, 3), (9, 2, 2), (3, 0, 0)] {
        let plugin = echo(&Engine::new(limits(|limits| {
            limits.warm = warm;
            limits.idle = idle;
        })));
        assert_eq!(
            plugin.pool_figures().idle,
            0,
            "nothing before it is asked for"
        );
        assert_eq!(plugin.warm_up(), Ok(expected));
        assert_eq!(plugin.warm_up(), Ok(0));
        assert_eq!(plugin.pool_figures().idle, expected);
        // A call whose instance can't be reused, after a trap or growth, makes no other one.
        for export in ["trap", "grow"] {
            let _ = plugin.call::<(), ()>(export, ());
        }
        let given_up = expected.min(2);
        assert_eq!(plugin.pool_figures().idle, expected - given_up);
        assert_eq!(plugin.warm_up(), Ok(given_up));
        plugin.close();
        assert_eq!(plugin.warm_up().is_err(), expected > 0);
        assert_eq!(plugin.pool_figures().idle, 0);
    }
}

#[test]
fn instances_that_can_not_be_reused_can_still_be_made_ahead() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let grants = Grants::new().function("env", "next", move || {
        u32::try_from(counter.fetch_add(1, Ordering::SeqCst)).unwrap_or(0)
    });
    let text = r#"(module (import "env" "next" (func $next (result i32)))
        (global $n (mut i32) (i32.const -1))
        (func (export "_initialize") (global.set $n (call $next)))
        (func (export "n") (result i32) (global.get $n)))"#;
    let engine = Engine::new(limits(|limits| limits.warm = 1));
    let plugin = try_load_wat(&engine, text, &grants).unwrap();
    assert_eq!(plugin.warm_up(), Ok(1));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let call = || plugin.with_instance_metered(|instance| instance.call::<(), u32>("n", ()));
    let ahead = call();
    assert_eq!(ahead.0, Ok(0), "the one that was made ahead");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let made = call();
    assert_eq!(
        made,
        (Ok(1), ahead.1),
        "one that is made for it costs the same"
    );
}

#[test]
fn warming_up_reports_a_failed_start() {
    let text = r#"(module (func $f unreachable) (start $f) (func (export "g")))"#;
    let engine = Engine::new(limits(|limits| limits.warm = 1));
    let plugin = try_load_wat(&engine, text, &Grants::new()).unwrap();
    assert_eq!(code(&plugin.warm_up()), "trap-unreachable");
    assert_eq!(code(&plugin.call::<(), ()>("g", ())), "trap-unreachable");
    let figures = plugin.pool_figures();
    assert_eq!((figures.idle, figures.in_use), (0, 0));
}

#[test]
fn warming_up_takes_a_place_and_ends_at_the_deadline() {
    let endless = Grants::new().function("env", "wait", || {
        Async(core::future::pending::<Result<(), Trap>>())
    });
    let text = r#"(module (import "env" "wait" (func $wait))
        (func (export "_initialize") (call $wait)) (func (export "f")))"#;
    let engine = Engine::new(limits(|limits| limits.warm = 1))
        .with_platform(hostel::Std::new())
        .with_budget(Budget::server().with_deadline(Duration::from_millis(20)));
    let plugin = try_load_wat(&engine, text, &endless).unwrap();
    assert_eq!(code(&plugin.warm_up()), "deadline");
    let busy = plugin.call_async::<(), ()>("f", ());
    let mut busy = pin!(busy);
    assert_eq!(busy.step(1_000), Step::Waiting);
    assert_eq!(plugin.pool_figures().in_use, 1);
    assert_eq!(code(&plugin.warm_up()), "busy");
}

#[test]
fn a_small_budget_uses_up_no_instance_that_others_can_use() {
    let plugin = echo(&Engine::new(limits(|limits| limits.warm = 1)));
    plugin.warm_up().unwrap();
    let fuel = 3;
    let poor = plugin.with_budget(Budget::server().with_fuel(fuel));
    let (result, used) = poor.with_instance_metered(|instance| instance.process(b"hello"));
    assert_eq!(result, Err(CallError::OutOfFuel { fuel }));
    assert_eq!(used.fuel, fuel);
    let figures = plugin.pool_figures();
    assert_eq!((figures.idle, figures.discards), (1, 0));
}

#[test]
fn with_no_instances_allowed_no_call_waits() {
    let engine = Engine::new(limits(|limits| limits.instances = 0));
    let plugin = echo(&engine.with_platform(hostel::Std::new()));
    assert_eq!(plugin.process(b""), Err(CallError::Busy { limit: 0 }));
    let refused = plugin.process_async(b"").step(1_000);
    assert_eq!(refused, Step::Done(Err(CallError::Busy { limit: 0 })));
}

/// A task that holds a call and is its own waker.
struct Task {
    _call: Mutex<Box<dyn core::any::Any + Send>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_hold_the_place_that_is_waited_for() {
    let plugin = Box::leak(Box::new(echo(&Engine::new(limits(|_| {})))));
    let mut holder = plugin.process_async(b"holder");
    assert_eq!(holder.step(1), Step::More);
    let task = Arc::new(Task {
        _call: Mutex::new(Box::new(holder)),
    });
    let mut waiting = pin!(plugin.process_async(b"waiting"));
    let waker = Waker::from(task);
    let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
    assert_eq!(polled, Poll::Pending);
    drop(waker);
    // Dropping the last handle of the task frees its place, which wakes this call.
    let polled = waiting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Ok(b"waiting".to_vec())));
}

#[test]
fn awaiting_after_a_step_has_the_usual_quantum() {
    let plugin = echo(&Engine::new(limits(|_| {})));
    let mut holder = plugin.process_async(b"holder");
    assert_eq!(holder.step(1), Step::More);
    let mut call = plugin.process_async(b"waits").with_quantum(1);
    assert_eq!(call.step(u64::MAX), Step::Waiting);
    drop(holder);
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(call.as_mut().poll(&mut context), Poll::Pending);
}

#[test]
fn the_usage_of_a_call_by_steps_is_reported_like_any_other() {
    let plugin = echo(&Engine::new(limits(|_| {})));
    let (answer, used) = plugin.with_instance_metered(|instance| instance.process(b"hello"));
    let mut call = pin!(plugin.process_async(b"hello").with_quantum(7));
    let mut context = Context::from_waker(Waker::noop());
    let stepped = loop {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            break answer;
        }
    };
    assert_eq!((stepped, call.usage()), (answer, used));
    // A call whose instance can't be made.
    let starved = plugin.with_budget(Budget::server().with_fuel(3));
    let mut call = starved.process_async(b"hello");
    assert_eq!(
        call.step(u64::MAX),
        Step::Done(Err(CallError::OutOfFuel { fuel: 3 }))
    );
    assert_eq!(call.usage().fuel, 3);
}

/// A machine whose threads wait as on another one. Counts how often they look whether to go on.
struct Counting {
    machine: Arc<hostel::Std>,
    looks: Arc<AtomicUsize>,
}

impl Platform for Counting {
    fn now(&self) -> Option<Duration> {
        self.machine.now()
    }

    fn wait_until(&self, ready: &dyn Fn() -> bool, until: Option<Duration>) -> bool {
        let looks = || {
            self.looks.fetch_add(1, Ordering::SeqCst);
            ready()
        };
        self.machine.wait_until(&looks, until)
    }

    fn wake(&self) {
        self.machine.wake();
    }

    fn thread_waker(&self) -> Option<Waker> {
        self.machine.thread_waker()
    }
}

/// The attack C10: waiters of one plugin that slow another one's.
#[test]
fn threads_that_wait_for_one_plugin_are_not_woken_for_another() {
    const WAITERS: usize = 50;
    let machine = Arc::new(hostel::Std::new());
    let looks = Arc::new(AtomicUsize::new(0));
    let counting = Counting {
        machine: machine.clone(),
        looks: looks.clone(),
    };
    let slow = echo(&Engine::new(limits(|_| {})).with_platform(counting));
    // The other plugin's guest also waits for a host function that another thread answers.
    let answers = Grants::new().function("env", "wait", || {
        let (mut waits, answered) = (true, Arc::new(AtomicUsize::new(0)));
        Async(core::future::poll_fn(move |context| {
            if !core::mem::take(&mut waits) && answered.load(Ordering::SeqCst) > 0 {
                return Poll::Ready(Ok::<(), Trap>(()));
            }
            let (waker, answered) = (context.waker().clone(), answered.clone());
            thread::spawn(move || {
                answered.store(1, Ordering::SeqCst);
                waker.wake();
            });
            Poll::Pending
        }))
    });
    let text = r#"(module (import "env" "wait" (func $wait))
        (func (export "wait") (call $wait)))"#;
    let engine = Engine::new(limits(|_| {})).with_platform(machine);
    let quick = try_load_wat(&engine, text, &answers).unwrap();
    let mut holder = slow.process_async(b"holder");
    assert_eq!(holder.step(1), Step::More);
    thread::scope(|scope| {
        for _ in 0..WAITERS {
            scope.spawn(|| assert_eq!(slow.process(b"waits"), Ok(b"waits".to_vec())));
        }
        // Each looks twice before it sleeps.
        while looks.load(Ordering::SeqCst) < 2 * WAITERS {
            thread::yield_now();
        }
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..50 {
                        assert_eq!(quick.call::<(), ()>("wait", ()), Ok(()));
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert!(
            quick.pool_figures().waits > 0,
            "they waited for one another"
        );
        assert_eq!(looks.load(Ordering::SeqCst), 2 * WAITERS);
        // Each that ends wakes one other, and no more.
        assert_eq!(holder.step(u64::MAX), Step::Done(Ok(b"holder".to_vec())));
    });
    assert_eq!(looks.load(Ordering::SeqCst), 3 * WAITERS);
}

#[test]
fn a_cancellation_wakes_the_thread_that_waits() {
    let text = r#"(module (import "env" "wait" (func $wait)) (func (export "f") (call $wait)))"#;
    let waiting = Arc::new(AtomicUsize::new(0));
    let begun = waiting.clone();
    let endless = Grants::new().function("env", "wait", move || {
        begun.fetch_add(1, Ordering::SeqCst);
        Async(core::future::pending::<Result<(), Trap>>())
    });
    let plugin = try_load_wat(&hostel::engine(), text, &endless).unwrap();
    for round in 1..=20 {
        let mut instance = plugin.instantiate(()).unwrap();
        let canceller = instance.canceller();
        let called = thread::spawn(move || instance.call::<(), ()>("f", ()));
        while waiting.load(Ordering::SeqCst) < round {
            thread::yield_now();
        }
        if round % 2 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        canceller.cancel();
        let ended = hostel_tests::must_end(|| called.join().unwrap());
        assert_eq!(ended, Err(CallError::Cancelled));
    }
}
