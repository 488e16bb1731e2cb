//! Deadlines: on platforms with and without a clock, and in calls that wait.

use core::{future::Future, pin::pin, time::Duration};
use hostel::{
    Async, Budget, CallError, Engine, Grants, Limits, Platform, Std, Step, Trap, TypedFunction,
};
use hostel_tests::{code, load_code, must_end, try_load_wat};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker},
    time::Instant,
};

/// A guest that ends at once, and one that never does.
const GUEST: &str = r#"(module
    (func (export "f"))
    (func (export "spin") (loop $on (br $on))))"#;

const DEADLINE: Duration = Duration::from_millis(20);

fn hasty() -> Budget {
    Budget::server().with_fuel(u64::MAX).with_deadline(DEADLINE)
}

#[test]
fn an_engine_with_any_limits_has_a_clock_where_the_machine_has_one() {
    let mut limits = Limits::server();
    limits.memory_bytes = 1 << 20;
    let engines = [
        hostel::engine(),
        hostel::engine_with(limits),
        hostel::engine().with_limits(limits),
    ];
    for (at, engine) in engines.into_iter().enumerate() {
        let expected = if at == 0 { 64 << 20 } else { 1 << 20 };
        assert_eq!(engine.limits().memory_bytes, expected);
        let engine = engine.with_budget(hasty());
        let ended = must_end(move || {
            let plugin = try_load_wat(&engine, GUEST, &Grants::<()>::new()).unwrap();
            plugin.call::<(), ()>("spin", ())
        });
        assert_eq!(ended, Err(CallError::Deadline { after: DEADLINE }));
    }
}

#[test]
fn a_deadline_that_no_clock_enforces_is_refused_when_loading() {
    let engine = Engine::new(Limits::server()).with_budget(hasty());
    let refused = try_load_wat::<()>(&engine, GUEST, &Grants::new());
    assert_eq!(load_code(&refused), "no-clock");
    let message = refused.unwrap_err().to_string();
    for word in ["deadline", "clock", "engine_with", "Platform::now"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_deadline_that_no_clock_enforces_is_refused_by_every_call() {
    let engine = Engine::new(Limits::server());
    let plain = try_load_wat::<()>(&engine, GUEST, &Grants::new()).unwrap();
    let plugin = plain.with_budget(hasty());
    assert_eq!(code(&plugin.call::<(), ()>("f", ())), "no-clock");
    assert_eq!(code(&plugin.instantiate(())), "no-clock");
    let stepped = plugin.call_async::<(), ()>("f", ()).step(1_000);
    assert_eq!(stepped, Step::Done(Err(CallError::NoClock)));
    let (metered, used) = plugin.with_instance_metered(|_| Ok(()));
    assert_eq!((metered, used.fuel), (Err(CallError::NoClock), 0));

    let mut instance = plain.instantiate(()).unwrap();
    let f: TypedFunction<(), ()> = instance.typed("f").unwrap();
    instance.set_budget(hasty());
    assert_eq!(code(&instance.call::<(), ()>("f", ())), "no-clock");
    assert_eq!(code(&f.call(&mut instance, ())), "no-clock");
    let stepped = instance.call_async::<(), ()>("f", ()).step(1_000);
    assert_eq!(stepped, Step::Done(Err(CallError::NoClock)));
    // Nothing has run, so the instance serves a call without a deadline.
    instance.set_budget(Budget::server());
    assert_eq!(instance.call::<(), ()>("f", ()), Ok(()));
    assert_eq!(plain.pool_figures().in_use, 0);
}

/// A guest that calls a host function, which may be slow.
const CALLER: &str = r#"(module
    (import "env" "slow" (func $slow (result i32)))
    (memory (export "memory") 1)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "f") (result i32) (call $slow))
    (func (export "process") (param i32 i32) (result i32 i32)
      (drop (call $slow)) (local.get 0) (local.get 1)))"#;

/// A clock that stands still until it is set.
#[derive(Clone, Default)]
struct Clock(Arc<Hands>);

#[derive(Default)]
struct Hands {
    ms: AtomicU64,
    /// The wakers that the platform keeps for a time.
    alarms: Mutex<HashMap<usize, (Duration, Waker)>>,
    /// Those of futures that wait for the clock to move.
    waiting: Mutex<Vec<Waker>>,
}

impl Clock {
    fn advance(&self, ms: u64) {
        self.0.ms.fetch_add(ms, Ordering::SeqCst);
        let waiting = core::mem::take(&mut *self.0.waiting.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The times that are waited for.
    fn times(&self) -> Vec<u128> {
        let wakers = self.0.alarms.lock().unwrap();
        wakers.values().map(|(at, _)| at.as_millis()).collect()
    }
}

impl Platform for Clock {
    fn now(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.0.ms.load(Ordering::SeqCst)))
    }

    fn wait_until(&self, ready: &dyn Fn() -> bool, until: Option<Duration>) -> bool {
        while !ready() {
            if until.is_some_and(|until| self.now() >= Some(until)) {
                return false;
            }
            self.advance(1);
        }
        true
    }

    fn wake_at(&self, at: Option<Duration>, waker: &Waker) {
        let entry = (at.expect("it is a deadline"), waker.clone());
        let mut alarms = self.0.alarms.lock().unwrap();
        alarms.insert(waker.data().addr(), entry);
    }

    fn forget_wake(&self, waker: &Waker) {
        let mut alarms = self.0.alarms.lock().unwrap();
        alarms.remove(&waker.data().addr());
    }
}

/// A future that is ready once the clock shows a time.
fn at(clock: &Clock, ms: u128) -> impl Future<Output = Result<u32, Trap>> + Send + use<> {
    let clock = clock.clone();
    core::future::poll_fn(move |context| {
        if clock.now().is_some_and(|now| now.as_millis() >= ms) {
            Poll::Ready(Ok(7))
        } else {
            let waker = context.waker().clone();
            clock.0.waiting.lock().unwrap().push(waker);
            Poll::Pending
        }
    })
}

/// The ways to make a call of [`CALLER`], and its result as a code.
fn every_way(engine: &Engine, grants: &Grants<()>, clock: &Clock) -> Vec<&'static str> {
    let plugin = try_load_wat(engine, CALLER, grants).unwrap();
    let step = |call: &mut dyn FnMut() -> Step<&'static str>| {
        loop {
            match call() {
                Step::Done(code) => return code,
                Step::More => {}
                Step::Waiting => clock.advance(1),
            }
        }
    };
    let done = |step: Step<Result<u32, CallError>>| match step {
        Step::Done(result) => Step::Done(code(&result)),
        Step::More => Step::More,
        Step::Waiting => Step::Waiting,
    };
    let start = || clock.0.ms.store(0, Ordering::SeqCst);
    let mut found = Vec::new();
    start();
    found.push(code(&plugin.call::<(), u32>("f", ())));
    start();
    found.push(code(&plugin.process(b"input")));
    start();
    let mut call = plugin.call_async::<(), u32>("f", ());
    found.push(step(&mut || done(call.step(1_000))));
    let mut instance = plugin.instantiate(()).unwrap();
    start();
    let f: TypedFunction<(), u32> = instance.typed("f").unwrap();
    found.push(code(&f.call(&mut instance, ())));
    let mut instance = plugin.instantiate(()).unwrap();
    start();
    found.push(code(&instance.call_values("f", &[])));
    let mut instance = plugin.instantiate(()).unwrap();
    start();
    let mut call = instance.call_async::<(), u32>("f", ());
    found.push(step(&mut || done(call.step(1_000))));
    drop(call);
    let expected = found.last() == Some(&"deadline");
    assert_eq!(instance.is_stopped(), expected);
    found
}

#[test]
fn after_the_deadline_no_answer_counts() {
    for (answered, expected) in [(5, "ok"), (19, "ok"), (20, "deadline"), (3_000, "deadline")] {
        let clock = Clock::default();
        let engine = Engine::default()
            .with_platform(clock.clone())
            .with_budget(hasty());
        // A host function that holds up its thread, and one for which the guest waits.
        let blocks = Grants::new().function("env", "slow", {
            let clock = clock.clone();
            move || {
                clock.advance(answered);
                7u32
            }
        });
        let waits = Grants::new().function("env", "slow", {
            let clock = clock.clone();
            move || Async(at(&clock, answered.into()))
        });
        for grants in [blocks, waits] {
            let found = every_way(&engine, &grants, &clock);
            assert_eq!(found, [expected; 6], "answered after {answered} ms");
        }
    }
}

#[test]
fn a_late_answer_at_the_first_step_after_the_deadline_does_not_count() {
    let clock = Clock::default();
    let engine = Engine::default()
        .with_platform(clock.clone())
        .with_budget(hasty());
    let grants = Grants::new().function("env", "slow", {
        let clock = clock.clone();
        move || Async(at(&clock, 3_000))
    });
    let plugin = try_load_wat(&engine, CALLER, &grants).unwrap();
    let mut call = plugin.call_async::<(), u32>("f", ());
    assert_eq!(call.step(1_000), Step::Waiting);
    clock.advance(3_000);
    let late = Err(CallError::Deadline { after: DEADLINE });
    assert_eq!(call.step(1_000), Step::Done(late));
}

#[test]
fn the_deadline_wakes_an_awaited_call_that_waits_in_a_host_function() {
    let grants = Grants::new().function("env", "slow", || {
        Async(core::future::pending::<Result<u32, Trap>>())
    });
    let started = Instant::now();
    let ended = must_end(move || {
        let engine = hostel::engine().with_budget(hasty());
        let plugin = try_load_wat(&engine, CALLER, &grants).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        // The executor has no timer: only hostel's can wake the task.
        runtime
            .unwrap()
            .block_on(plugin.call_async::<(), u32>("f", ()))
    });
    assert_eq!(ended, Err(CallError::Deadline { after: DEADLINE }));
    assert!(started.elapsed() >= DEADLINE);
}

/// A waker that does nothing, unlike that of a call that is stepped.
struct Idle;

impl Wake for Idle {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_call_that_ended_leaves_no_timer_behind() {
    let clock = Clock::default();
    let mut limits = Limits::server();
    limits.instances = 1;
    let engine = Engine::new(limits)
        .with_platform(clock.clone())
        .with_budget(hasty());
    let grants = Grants::new().function("env", "slow", {
        let clock = clock.clone();
        move || Async(at(&clock, 10))
    });
    let plugin = try_load_wat(&engine, CALLER, &grants).unwrap();
    let waker = Waker::from(Arc::new(Idle));
    let mut context = Context::from_waker(&waker);
    let mut waits = pin!(plugin.call_async::<(), u32>("f", ()));
    assert_eq!(waits.as_mut().poll(&mut context), Poll::Pending);
    assert_eq!(clock.times(), [20]);
    // Two calls of one task, which share its waker: the second waits for the instance.
    clock.advance(1);
    {
        let mut queued = pin!(plugin.call_async::<(), u32>("f", ()));
        assert_eq!(queued.as_mut().poll(&mut context), Poll::Pending);
        let mut times = clock.times();
        times.sort_unstable();
        assert_eq!(times, [20, 21]);
    }
    assert_eq!(clock.times(), [20], "dropped");
    clock.advance(9);
    assert_eq!(waits.as_mut().poll(&mut context), Poll::Ready(Ok(7)));
    assert_eq!(clock.times(), [0; 0], "ended");
}

#[test]
fn a_time_that_is_forgotten_is_not_held() {
    let platform = Std::new();
    let task = Arc::new(Idle);
    let waker = Waker::from(task.clone());
    for _ in 0..3 {
        platform.wake_at(Some(Duration::from_secs(3_600)), &waker);
    }
    assert_eq!(Arc::strong_count(&task), 3);
    platform.forget_wake(&waker);
    assert_eq!(Arc::strong_count(&task), 2);
    // Of a time that never comes nothing is kept.
    platform.wake_at(Some(Duration::MAX), &waker);
    assert_eq!(Arc::strong_count(&task), 2);
}

/// Returns a waker that counts in its task how often it is woken, and whose clones have another table of
/// functions. That of `Wake` is so too where the compiler makes its table twice.
fn with_other_clones(task: &Arc<AtomicU64>) -> Waker {
    static ORIGINAL: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_one);
    static CLONE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_one);
    unsafe fn clone(task: *const ()) -> RawWaker {
        // SAFETY: `task` is from `Arc::into_raw`, and the waker that is cloned holds a count.
        unsafe { Arc::increment_strong_count(task.cast::<AtomicU64>()) };
        RawWaker::new(task, &CLONE)
    }
    unsafe fn wake(task: *const ()) {
        // SAFETY: as for the two that it calls; the waker is gone after it.
        unsafe {
            wake_by_ref(task);
            drop_one(task);
        }
    }
    unsafe fn wake_by_ref(task: *const ()) {
        // SAFETY: the waker holds a count.
        let task = unsafe { &*task.cast::<AtomicU64>() };
        task.fetch_add(1, Ordering::SeqCst);
    }
    unsafe fn drop_one(task: *const ()) {
        // SAFETY: the waker that is dropped holds a count.
        unsafe { Arc::decrement_strong_count(task.cast::<AtomicU64>()) };
    }
    let data = Arc::into_raw(task.clone()).cast();
    // SAFETY: the functions keep the contract of `RawWakerVTable` for a pointer from `Arc::into_raw`.
    unsafe { Waker::from_raw(RawWaker::new(data, &ORIGINAL)) }
}

#[test]
fn a_task_is_known_by_any_of_its_wakers() {
    let platform = Std::new();
    let task = Arc::new(AtomicU64::new(0));
    let waker = with_other_clones(&task);
    let copy = waker.clone();
    let later = Some(Duration::from_secs(3_600));
    for waker in [&waker, &copy, &waker] {
        platform.wake_at(later, waker);
    }
    assert_eq!(task.load(Ordering::SeqCst), 0, "taken for several tasks");
    assert_eq!(Arc::strong_count(&task), 4);
    platform.forget_wake(&waker);
    assert_eq!(Arc::strong_count(&task), 3, "not forgotten");
    platform.wake_at(later, &waker);
    platform.forget_wake(&copy);
    assert_eq!(Arc::strong_count(&task), 3, "not forgotten");
    assert_eq!(task.load(Ordering::SeqCst), 0);
}
