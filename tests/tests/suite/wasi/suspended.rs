//! Guests that wait in calls that are stepped or awaited. No thread waits with them.

use super::{EAGAIN, SMALL, SUCCESS};
use hostel::{Budget, Engine, Grants, Platform, Plugin, Step, Trap, Wasi, WasiInput, WasiOutput};
use hostel_tests::{code, load_wat};
use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

/// A guest that polls a clock for a number of nanoseconds, stdin, or both; that reads stdin; that
/// writes to stdout.
const GUEST: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 96) "\80\00\00\00\08\00\00\00")
    (func $clock (param i64)
        (i32.store8 (i32.const 8) (i32.const 0))
        (i64.store (i32.const 0) (i64.const 7))
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (local.get 0)))
    (func (export "sleep") (param i64) (result i32 i64)
        (call $clock (local.get 0))
        (call $poll (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 512))
        (i64.load (i32.const 256)))
    (func (export "either") (param i64) (result i32 i64)
        (call $clock (local.get 0))
        (i64.store (i32.const 48) (i64.const 8))
        (i32.store8 (i32.const 56) (i32.const 1))
        (call $poll (i32.const 0) (i32.const 256) (i32.const 2) (i32.const 512))
        (i64.load (i32.const 256)))
    (func (export "read") (result i32 i32)
        (call $read (i32.const 0) (i32.const 96) (i32.const 1) (i32.const 104))
        (i32.load (i32.const 104)))
    (func (export "write") (result i32 i32)
        (call $write (i32.const 1) (i32.const 96) (i32.const 1) (i32.const 104))
        (i32.load (i32.const 104))))"#;

/// A clock that stands still until it is set.
#[derive(Default)]
struct Hand {
    millis: AtomicU64,
    waits: AtomicBool,
    asked: Mutex<Option<(Option<Duration>, Waker)>>,
}

impl Hand {
    fn set(&self, millis: u64) {
        self.millis.store(millis, Ordering::Relaxed);
    }
}

/// A platform that can't block.
#[derive(Clone, Default)]
struct Machine(Arc<Hand>);

impl Platform for Machine {
    fn now(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.0.millis.load(Ordering::Relaxed)))
    }

    fn wait_until(&self, ready: &dyn Fn() -> bool, _: Option<Duration>) -> bool {
        self.0.waits.store(true, Ordering::Relaxed);
        ready()
    }

    fn wake_at(&self, at: Option<Duration>, waker: &Waker) {
        *self.0.asked.lock().unwrap() = Some((at, waker.clone()));
    }
}

/// A source whose input comes when the test says so.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicBool>);

impl WasiInput for Gate {
    fn read(&self, into: &mut [u8]) -> Result<usize, Trap> {
        assert!(self.ready(), "it was not ready");
        into[..2].copy_from_slice(b"hi");
        Ok(2)
    }

    fn ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

fn guest(machine: &Machine, gate: &Gate, budget: Budget) -> Plugin {
    let opens = gate.clone();
    let output = WasiOutput::queue(move |_| Ok(if opens.ready() { 2 } else { 0 }));
    let wasi = Wasi::new().stdin_from(gate.clone()).stdout(output);
    let grants = Grants::new().wasi(wasi);
    let engine = Engine::default().with_platform(machine.clone());
    let plugin = engine.load("guest", &hostel_tests::assemble(GUEST), &grants);
    plugin.expect("it loads").with_budget(budget)
}

const MS: u64 = 1_000_000;

#[test]
fn a_guest_that_sleeps_gives_control_back() {
    let (machine, gate) = (Machine::default(), Gate::default());
    let plugin = guest(&machine, &gate, SMALL);
    let mut instance = plugin.instantiate(()).unwrap();
    let mut call = instance.call_async::<u64, (u32, u64)>("sleep", 20 * MS);
    for now in [0, 0, 5, 10, 19, 19] {
        machine.0.set(now);
        assert_eq!(call.step(1_000), Step::Waiting, "{now} ms");
    }
    machine.0.set(20);
    assert_eq!(call.step(1_000), Step::Done(Ok((SUCCESS, 7))));
    drop(call);
    assert!(!machine.0.waits.load(Ordering::Relaxed), "no thread waited");
    // The charge equals that of a thread that waits, however often the call was stepped.
    let stepped = instance.usage().fuel;
    let plugin = load_wat(GUEST, &Grants::new().wasi(Wasi::new()));
    let mut instance = plugin.instantiate(()).unwrap();
    instance.call::<u64, (u32, u64)>("sleep", 20 * MS).unwrap();
    // The real clock goes on meanwhile, so that one more tick of 1 ms may begin.
    assert!(instance.usage().fuel.abs_diff(stepped) <= 100);
}

#[test]
fn a_deadline_ends_a_sleep() {
    for timeout in [200 * MS, 1 << 63, u64::MAX] {
        let (machine, gate) = (Machine::default(), Gate::default());
        let budget = SMALL
            .with_fuel(u64::MAX)
            .with_deadline(Duration::from_millis(100));
        let plugin = guest(&machine, &gate, budget);
        let mut instance = plugin.instantiate(()).unwrap();
        let mut call = instance.call_async::<u64, (u32, u64)>("sleep", timeout);
        assert_eq!(call.step(1_000), Step::Waiting);
        machine.0.set(99);
        assert_eq!(call.step(1_000), Step::Waiting);
        let asked = machine.0.asked.lock().unwrap().take().unwrap().0;
        assert_eq!(asked, Some(Duration::from_millis(100)));
        machine.0.set(100);
        let Step::Done(result) = call.step(1_000) else {
            panic!("it is over");
        };
        assert_eq!(code(&result), "deadline");
        drop(call);
        assert!(instance.is_stopped());
    }
}

#[test]
fn a_sleep_can_be_cancelled_dropped_and_not_paid_for() {
    let (machine, gate) = (Machine::default(), Gate::default());
    let plugin = guest(&machine, &gate, SMALL);
    let mut instance = plugin.instantiate(()).unwrap();
    let canceller = instance.canceller();
    let mut call = instance.call_async::<u64, (u32, u64)>("sleep", 20 * MS);
    assert_eq!(call.step(1_000), Step::Waiting);
    canceller.cancel();
    let Step::Done(result) = call.step(1_000) else {
        panic!("it is over");
    };
    assert_eq!(code(&result), "cancelled");
    drop(call);
    let mut instance = plugin.instantiate(()).unwrap();
    let mut call = instance.call_async::<u64, (u32, u64)>("sleep", 20 * MS);
    assert_eq!(call.step(1_000), Step::Waiting);
    drop(call);
    assert!(instance.is_stopped());
    let mut instance = plugin.instantiate(()).unwrap();
    let mut call = instance.call_async::<u64, (u32, u64)>("sleep", 1 << 60);
    let Step::Done(result) = call.step(1_000) else {
        panic!("it does not begin");
    };
    assert_eq!(code(&result), "out-of-fuel");
}

#[test]
fn input_and_time_are_waited_for_together() {
    for (input, first) in [(true, 8), (false, 7)] {
        let (machine, gate) = (Machine::default(), Gate::default());
        let plugin = guest(&machine, &gate, SMALL);
        let mut instance = plugin.instantiate(()).unwrap();
        let mut call = instance.call_async::<u64, (u32, u64)>("either", 50 * MS);
        assert_eq!(call.step(1_000), Step::Waiting);
        machine.0.set(49);
        assert_eq!(call.step(1_000), Step::Waiting);
        gate.0.store(input, Ordering::Relaxed);
        machine.0.set(if input { 49 } else { 50 });
        assert_eq!(call.step(1_000), Step::Done(Ok((SUCCESS, first))));
    }
}

#[test]
fn a_read_of_stdin_is_suspended() {
    let (machine, gate) = (Machine::default(), Gate::default());
    let plugin = guest(&machine, &gate, SMALL);
    let mut instance = plugin.instantiate(()).unwrap();
    let mut call = instance.call_async::<(), (u32, u32)>("read", ());
    for now in [0, 3, 100, 1_000] {
        machine.0.set(now);
        assert_eq!(call.step(1_000), Step::Waiting);
        let asked = machine.0.asked.lock().unwrap().take().unwrap().0;
        assert_eq!(asked, Some(Duration::from_millis(now + 10)));
    }
    gate.0.store(true, Ordering::Relaxed);
    assert_eq!(call.step(1_000), Step::Done(Ok((SUCCESS, 2))));
    drop(call);
    // Waiting is charged while it lasts.
    gate.0.store(false, Ordering::Relaxed);
    instance.set_budget(SMALL.with_fuel(5_000));
    let mut call = instance.call_async::<(), (u32, u32)>("read", ());
    let ended = (1_000..2_000).step_by(10).find_map(|now| {
        machine.0.set(now);
        match call.step(1_000) {
            Step::Done(result) => Some(code(&result)),
            step => {
                assert_eq!(step, Step::Waiting);
                None
            }
        }
    });
    assert_eq!(ended, Some("out-of-fuel"));
}

#[test]
fn a_write_to_a_full_queue_is_suspended() {
    let (machine, gate) = (Machine::default(), Gate::default());
    let plugin = guest(&machine, &gate, SMALL);
    let mut instance = plugin.instantiate(()).unwrap();
    let mut call = instance.call_async::<(), (u32, u32)>("write", ());
    for now in [0, 1, 2, 100] {
        machine.0.set(now);
        assert_eq!(call.step(1_000), Step::Waiting);
        let asked = machine.0.asked.lock().unwrap().take().unwrap().0;
        assert_eq!(asked, Some(Duration::from_millis(now + 1)));
    }
    gate.0.store(true, Ordering::Relaxed);
    machine.0.set(101);
    assert_eq!(call.step(1_000), Step::Done(Ok((SUCCESS, 2))));
    drop(call);
    assert!(!machine.0.waits.load(Ordering::Relaxed), "no thread waited");
}

#[test]
fn without_a_clock_input_is_waited_for_too() {
    let gate = Gate::default();
    let grants = Grants::new().wasi(Wasi::new().stdin_from(gate.clone()));
    let plugin = Engine::default()
        .load("guest", &hostel_tests::assemble(GUEST), &grants)
        .unwrap();
    let mut instance = plugin.instantiate(()).unwrap();
    let blocking = instance.call::<(), (u32, u32)>("read", ());
    assert_eq!(blocking, Ok((EAGAIN, 0)), "there is nobody who could wait");
    let mut call = instance.call_async::<(), (u32, u32)>("read", ());
    assert_eq!(call.step(1_000), Step::Waiting);
    assert_eq!(call.step(1_000), Step::Waiting);
    gate.0.store(true, Ordering::Relaxed);
    assert_eq!(call.step(1_000), Step::Done(Ok((SUCCESS, 2))));
}

/// A waker that counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_awaited_call_is_woken_by_the_timer_of_the_platform() {
    let (machine, gate) = (Machine::default(), Gate::default());
    let plugin = guest(&machine, &gate, SMALL);
    let mut instance = plugin.instantiate(()).unwrap();
    let mut call = pin!(instance.call_async::<u64, (u32, u64)>("sleep", 5 * MS));
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut context = Context::from_waker(&waker);
    assert!(call.as_mut().poll(&mut context).is_pending());
    assert_eq!(bell.0.load(Ordering::Relaxed), 0, "not before the time");
    let (at, asked) = machine.0.asked.lock().unwrap().take().unwrap();
    assert_eq!(at, Some(Duration::from_millis(5)));
    machine.0.set(5);
    asked.wake();
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    let done = call.as_mut().poll(&mut context);
    assert_eq!(done, Poll::Ready(Ok((SUCCESS, 7))));
}

#[test]
fn without_a_timer_an_awaited_call_is_woken_at_once() {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    hostel::NoPlatform.wake_at(Some(Duration::MAX), &waker);
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
}

#[test]
fn many_guests_sleep_on_one_thread() {
    let (machine, gate) = (Machine::default(), Gate::default());
    let plugin = guest(&machine, &gate, SMALL);
    let mut instances: Vec<_> = (0..100).map(|_| plugin.instantiate(()).unwrap()).collect();
    let mut calls: Vec<_> = (0u64..)
        .zip(&mut instances)
        .map(|(at, instance)| instance.call_async::<u64, (u32, u64)>("sleep", (at + 1) * MS))
        .collect();
    for now in 0..=100 {
        machine.0.set(now);
        calls.retain_mut(|call| call.step(1_000) == Step::Waiting);
        assert_eq!(calls.len() as u64, 100 - now, "those whose time has come");
    }
}

/// A waker that unparks a thread, and counts how often.
struct Unpark(std::thread::Thread, AtomicU64);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.unpark();
    }
}

#[test]
fn with_threads_an_executor_needs_no_timer() {
    let plugin = load_wat(GUEST, &Grants::new().wasi(Wasi::new()));
    let mut instances = [(); 3].map(|()| plugin.instantiate(()).unwrap());
    let deadline = SMALL
        .with_fuel(u64::MAX)
        .with_deadline(Duration::from_millis(30));
    instances[2].set_budget(deadline);
    let unpark = Arc::new(Unpark(std::thread::current(), AtomicU64::new(0)));
    let waker = Waker::from(unpark.clone());
    let mut context = Context::from_waker(&waker);
    let mut calls = Vec::from_iter(
        instances
            .iter_mut()
            .zip([1, 40 * MS, 1 << 63])
            .map(|(instance, nanos)| {
                Box::pin(instance.call_async::<u64, (u32, u64)>("sleep", nanos))
            }),
    );
    let mut results = Vec::new();
    while !calls.is_empty() {
        calls.retain_mut(|call| match call.as_mut().poll(&mut context) {
            Poll::Ready(result) => {
                results.push(code(&result));
                false
            }
            Poll::Pending => true,
        });
        if !calls.is_empty() {
            std::thread::park();
        }
    }
    results.sort();
    assert_eq!(results, ["deadline", "ok", "ok"]);
    // About ten wakes. A call that is woken at once would be woken thousands of times.
    assert!(unpark.1.load(Ordering::Relaxed) < 200);
}
