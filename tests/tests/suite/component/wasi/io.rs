//! Streams, and waiting for them and for clocks.

use super::{load_in, run, stopped};
use hostel::{Budget, Engine, Platform, Step, Trap, Wasi, WasiInput, WasiOutput};
use hostel_tests::code;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

/// The place in `error-code`.
const INSUFFICIENT_SPACE: u32 = 23;

fn buffered(limit: usize) -> Wasi {
    Wasi::new().stdout(WasiOutput::buffer(limit))
}

#[test]
fn a_permitted_write_arrives() {
    let (returned, mut instance) = run(
        "(local.set $a (call $stdout))
         (call $check_write (local.get $a) (i32.const 16))
         (call $write (local.get $a) (i32.const 64) (i32.const 3) (i32.const 32))
         (i32.add (i32.wrap_i64 (i64.load (i32.const 24))) (i32.load8_u (i32.const 32)))",
        buffered(5),
    );
    assert_eq!(returned, Ok(5), "5 permitted, and no error");
    assert_eq!(instance.take_stdout(), b"abc");
}

#[test]
fn a_write_beyond_the_permit_stops_the_guest() {
    for (asks, permitted) in [
        ("", 0),
        ("(call $check_write (local.get $a) (i32.const 16))", 2),
    ] {
        let body = format!(
            "(local.set $a (call $stdout)) {asks}
             (call $write (local.get $a) (i32.const 64) (i32.const 3) (i32.const 32)) (i32.const 0)"
        );
        let (code, message) = stopped(&body, buffered(2));
        assert_eq!(code, "trap-host");
        let expected = format!("a write of 3 bytes, of which `check-write` permitted {permitted}");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn a_permit_is_used_once() {
    let (code, _) = stopped(
        "(local.set $a (call $stdout)) (call $check_write (local.get $a) (i32.const 16))
         (call $write (local.get $a) (i32.const 64) (i32.const 3) (i32.const 32))
         (call $write (local.get $a) (i32.const 64) (i32.const 3) (i32.const 32)) (i32.const 0)",
        buffered(5),
    );
    assert_eq!(code, "trap-host");
}

#[test]
fn full_output_is_an_error_that_tells_its_code() {
    let body = "(local.set $a (call $stdout))
         (call $write_now (local.get $a) (i32.const 64) (i32.const 3) (i32.const 16))
         (call $write_now (local.get $a) (i32.const 64) (i32.const 3) (i32.const 16))
         (if (i32.ne (i32.load8_u (i32.const 16)) (i32.const 1)) (then (return (i32.const 1000))))
         (if (i32.ne (i32.load8_u (i32.const 20)) (i32.const 0)) (then (return (i32.const 1001))))
         (call $code (i32.load (i32.const 24)) (i32.const 32))
         (i32.load8_u (i32.const 33))";
    assert_eq!(run(body, buffered(3)).0, Ok(INSUFFICIENT_SPACE));
    // So is a call that has used up its budget for output.
    let mut instance = load_in(&hostel::engine(), body, buffered(100))
        .instantiate(())
        .unwrap();
    let mut budget = Budget::server();
    budget.output_bytes = 3;
    instance.set_budget(budget);
    assert_eq!(instance.call_component("test", ()), Ok(INSUFFICIENT_SPACE));
    assert_eq!(instance.take_stdout(), b"abc");
}

#[test]
fn at_most_4_kib_are_written_without_asking() {
    for (len, ends) in [(4_096, None), (4_097, Some("trap-host"))] {
        for write in [
            format!(
                "(call $write_now (call $stdout) (i32.const 0) (i32.const {len}) (i32.const 16))"
            ),
            format!("(call $zeroes (call $stdout) (i64.const {len}) (i32.const 16))"),
        ] {
            let body = format!("{write} (i32.load8_u (i32.const 16))");
            let (returned, mut instance) = run(&body, buffered(10_000));
            assert_eq!(
                returned.as_ref().err().map(hostel::CallError::code),
                ends,
                "{body}"
            );
            assert_eq!(
                instance.take_stdout().len(),
                if ends.is_none() { len } else { 0 }
            );
        }
    }
}

#[test]
fn stdin_is_read_to_its_end() {
    let body = "(local.set $a (call $stdin))
        (call $read (local.get $a) (i64.const 2) (i32.const 16))
        (local.set $b (i32.load (i32.const 24)))
        (call $skip (local.get $a) (i64.const 100) (i32.const 16))
        (local.set $b (i32.add (i32.mul (local.get $b) (i32.const 10)) (i32.load (i32.const 24))))
        (call $read (local.get $a) (i64.const 0) (i32.const 16))
        (if (i32.load8_u (i32.const 16)) (then (return (i32.const 1000))))
        (call $blocking_read (local.get $a) (i64.const 1) (i32.const 16))
        (if (i32.eqz (i32.load8_u (i32.const 16))) (then (return (i32.const 1001))))
        (i32.add (i32.mul (local.get $b) (i32.const 10)) (i32.load8_u (i32.const 20)))";
    // 2 bytes, 3 bytes, none when none are asked for, and then `closed`.
    assert_eq!(run(body, Wasi::new().stdin(*b"hello")).0, Ok(231));
}

#[test]
fn a_read_is_cut_to_64_kib_whatever_is_asked_for() {
    let body = "(call $read (call $stdin) (i64.const -1) (i32.const 16)) (i32.load (i32.const 24))";
    assert_eq!(run(body, Wasi::new().stdin(vec![1; 100_000])).0, Ok(65_536));
}

#[test]
fn splice_passes_stdin_to_stdout() {
    let (returned, mut instance) = run(
        "(call $splice (call $stdout) (call $stdin) (i64.const 100) (i32.const 16))
         (i32.load (i32.const 24))",
        buffered(4).stdin(*b"hello"),
    );
    assert_eq!(returned, Ok(4), "as many as there is room for");
    assert_eq!(instance.take_stdout(), b"hell");
}

#[test]
fn a_poll_of_nothing_stops_the_guest() {
    let (code, message) = stopped(
        "(call $poll (i32.const 0) (i32.const 0) (i32.const 16)) (i32.const 0)",
        Wasi::new(),
    );
    assert_eq!(code, "trap-host");
    assert!(message.contains("a poll of no pollables"), "{message}");
}

/// A clock that stands still until it is set; a guest's thread never waits.
#[derive(Clone, Default)]
struct Still(Arc<(AtomicU64, Mutex<Option<Duration>>)>);

impl Still {
    fn set(&self, millis: u64) {
        self.0.0.store(millis, Ordering::Relaxed);
    }
}

impl Platform for Still {
    fn now(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.0.0.load(Ordering::Relaxed)))
    }

    fn wait_until(&self, _: &dyn Fn() -> bool, _: Option<Duration>) -> bool {
        panic!("no thread waits in a call that is stepped")
    }

    fn wake_at(&self, at: Option<Duration>, _: &Waker) {
        *self.0.1.lock().unwrap() = at;
    }
}

/// A source and a queue that open when the test says so.
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

#[test]
fn a_timeout_suspends_the_guest() {
    for wait in [
        "(call $block (call $timeout (i64.const 20000000)))",
        "(i32.store (i32.const 8) (call $timeout (i64.const 20000000)))
         (i32.store (i32.const 12) (call $timeout (i64.const 30000000)))
         (call $poll (i32.const 8) (i32.const 2) (i32.const 16))",
    ] {
        let clock = Still::default();
        let engine = Engine::default().with_platform(clock.clone());
        let plugin = load_in(&engine, &format!("{wait} (i32.const 7)"), Wasi::new());
        let mut instance = plugin.instantiate(()).unwrap();
        let mut call = instance.call_component_async::<(), u32>("test", ());
        for now in [0, 0, 5, 19, 19] {
            clock.set(now);
            assert_eq!(call.step(100_000), Step::Waiting, "{now} ms");
        }
        let next = clock.0.1.lock().unwrap().expect("it asks to be woken");
        assert!(next <= Duration::from_millis(29), "{next:?}");
        clock.set(20);
        assert_eq!(call.step(100_000), Step::Done(Ok(7)));
    }
}

#[test]
fn a_deadline_ends_a_wait() {
    let clock = Still::default();
    let budget = Budget::server().with_deadline(Duration::from_millis(100));
    let engine = Engine::default()
        .with_platform(clock.clone())
        .with_budget(budget);
    let body = "(call $block (call $timeout (i64.const -1))) (i32.const 0)";
    let mut instance = load_in(&engine, body, Wasi::new()).instantiate(()).unwrap();
    instance.set_budget(budget.with_fuel(u64::MAX));
    let mut call = instance.call_component_async::<(), u32>("test", ());
    assert_eq!(call.step(100_000), Step::Waiting);
    clock.set(100);
    let Step::Done(result) = call.step(100_000) else {
        panic!("it is over");
    };
    assert_eq!(code(&result), "deadline");
}

#[test]
fn stdin_and_a_full_queue_suspend_the_guest() {
    let read = "(call $blocking_read (call $stdin) (i64.const 9) (i32.const 16))
                (i32.load8_u (i32.load (i32.const 20)))";
    let subscribed = "(local.set $a (call $stdin)) (call $block (call $subscribe (local.get $a)))
                (call $read (local.get $a) (i64.const 9) (i32.const 16))
                (i32.load8_u (i32.load (i32.const 20)))";
    let write = "(call $write_now (call $stdout) (i32.const 64) (i32.const 3) (i32.const 16))
                 (i32.add (i32.load8_u (i32.const 16)) (i32.const 104))";
    for body in [read, subscribed, write] {
        let (clock, gate) = (Still::default(), Gate::default());
        let engine = Engine::default().with_platform(clock.clone());
        let (open, taken) = (gate.clone(), Arc::new(Mutex::new(Vec::new())));
        let queue = taken.clone();
        let wasi = Wasi::new()
            .stdin_from(gate.clone())
            .stdout(WasiOutput::queue(move |bytes: &[u8]| {
                // One byte at a time, so that a write takes several attempts.
                let room = usize::from(open.ready()).min(bytes.len());
                queue.lock().unwrap().extend_from_slice(&bytes[..room]);
                Ok(room)
            }));
        let mut instance = load_in(&engine, body, wasi).instantiate(()).unwrap();
        let mut call = instance.call_component_async::<(), u32>("test", ());
        for now in 0..3 {
            clock.set(now);
            assert_eq!(call.step(100_000), Step::Waiting, "{body}");
        }
        gate.0.store(true, Ordering::Relaxed);
        clock.set(20);
        assert_eq!(call.step(100_000), Step::Done(Ok(104)), "{body}");
        drop(call);
        let expected: &[u8] = if body == write { b"abc" } else { b"" };
        assert_eq!(*taken.lock().unwrap(), expected);
    }
}

#[test]
fn a_read_that_does_not_wait_returns_nothing() {
    let body = "(call $read (call $stdin) (i64.const 9) (i32.const 16))
         (i32.add (i32.load8_u (i32.const 16)) (i32.load (i32.const 24)))";
    assert_eq!(run(body, Wasi::new().stdin_from(Gate::default())).0, Ok(0));
}
