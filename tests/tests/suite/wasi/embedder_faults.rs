//! An embedder's sources, directories and executors that panic, call back, or take long. A guest
//! that waits ends as it should, and others go on.

use core::{
    future::Future,
    task::{Context, Waker},
    time::Duration,
};
use hostel::{
    Budget, CallError, Canceller, Engine, Grants, Limits, Plugin, Std, Trap, TrapKind, Wasi,
    WasiInput,
    files::{self, Access, Directory, Entry, Errno, File, Kind, Node, Open, Stat},
};
use hostel_tests::{assemble, code, must_end};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    task::Wake,
};

const GUEST: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff"
      (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_create_directory"
      (func $create (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func $clock (param i64)
      (i64.store (i32.const 0) (i64.const 7))
      (i32.store (i32.const 16) (i32.const 1))
      (i64.store (i32.const 24) (local.get 0)))
    (func (export "sleep") (param i64) (result i32)
      (call $clock (local.get 0))
      (call $poll (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 512)))
    ;; For a time or stdin.
    (func (export "either") (param i64) (result i32)
      (call $clock (local.get 0))
      (i64.store (i32.const 48) (i64.const 8))
      (i32.store8 (i32.const 56) (i32.const 1))
      (call $poll (i32.const 0) (i32.const 256) (i32.const 2) (i32.const 512)))
    (func (export "open directory") (result i32)
      (i32.store8 (i32.const 0) (i32.const 97))
      (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
    ;; How many can be made.
    (func (export "create") (param i32) (result i32 i32) (local $made i32) (local $errno i32)
      (loop $on
        (i32.store8 (i32.const 0) (i32.add (i32.const 97) (local.get $made)))
        (local.set $errno (call $create (i32.const 3) (i32.const 0) (i32.const 1)))
        (if (i32.eqz (local.get $errno)) (then
          (local.set $made (i32.add (local.get $made) (i32.const 1)))
          (br_if $on (i32.lt_u (local.get $made) (local.get 0))))))
      (local.get $made) (local.get $errno)))"#;

struct Input<F>(F);

impl<F: Fn() -> bool + Send + Sync + 'static> WasiInput for Input<F> {
    fn read(&self, _: &mut [u8]) -> Result<usize, Trap> {
        Ok(0)
    }

    fn ready(&self) -> bool {
        (self.0)()
    }
}

/// A waker that does something when it is woken.
struct Woken<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Woken<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn waker(work: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Woken(work)))
}

fn load(engine: &Engine, wasi: Wasi) -> Plugin {
    let grants = Grants::new().wasi(wasi);
    engine.load("guest", &assemble(GUEST), &grants).unwrap()
}

fn engine(budget: Budget) -> Engine {
    Engine::new(Limits::server())
        .with_platform(Std::new())
        .with_budget(budget)
}

fn within(deadline: u64) -> Budget {
    Budget::server()
        .with_fuel(u64::MAX)
        .with_deadline(Duration::from_millis(deadline))
}

#[test]
fn a_source_may_cancel_the_guest_that_waits_for_it() {
    let canceller = Arc::<OnceLock<Canceller>>::default();
    let gone = canceller.clone();
    let asked = AtomicU32::new(0);
    let source = Input(move || {
        if asked.fetch_add(1, Ordering::Relaxed) > 1 {
            gone.get().unwrap().cancel();
        }
        false
    });
    let plugin = load(&engine(within(60_000)), Wasi::new().stdin_from(source));
    let ended = must_end(move || {
        let mut instance = plugin.instantiate(()).unwrap();
        canceller.set(instance.canceller()).ok();
        instance.call::<u64, u32>("either", 1 << 60)
    });
    assert_eq!(ended, Err(CallError::Cancelled));
}

#[test]
fn a_slow_source_delays_no_other_guest() {
    let (asks, asked) = mpsc::channel();
    let (answer, answers) = mpsc::channel::<()>();
    let answers = std::sync::Mutex::new(answers);
    let source = Input(move || {
        let _ = asks.send(());
        // It blocks until the other guest has ended.
        answers.lock().unwrap().recv().is_err()
    });
    let engine = engine(within(60_000));
    let slow = load(&engine, Wasi::new().stdin_from(source));
    let other = load(&engine, Wasi::new()).with_budget(within(20));
    must_end(move || {
        let slow = std::thread::spawn(move || slow.call::<u64, u32>("either", 1 << 60));
        answer.send(()).unwrap();
        asked.recv().unwrap();
        // Now the source is asked while the guest waits.
        asked.recv().unwrap();
        let ended = other.call::<u64, u32>("sleep", 1 << 60);
        assert_eq!(code(&ended), "deadline");
        drop(answer);
        assert_eq!(slow.join().unwrap(), Ok(0));
    });
}

#[test]
fn a_source_that_panics_stops_its_guest() {
    let source = Input(|| panic!("this panic belongs to the test"));
    let plugin = load(&engine(within(60_000)), Wasi::new().stdin_from(source));
    let ended = plugin.call::<u64, u32>("either", 1 << 60);
    assert!(
        matches!(&ended, Err(CallError::Trap(trap)) if trap.kind() == TrapKind::HostPanic),
        "{ended:?}"
    );
}

#[test]
fn a_waker_that_panics_does_not_end_the_timer() {
    let plugin = load(&engine(within(60_000)), Wasi::new());
    must_end(move || {
        let mut one = Box::pin(plugin.call_async::<u64, u32>("sleep", 5_000_000));
        let broken = waker(|| panic!("this panic belongs to the test"));
        let polled = one.as_mut().poll(&mut Context::from_waker(&broken));
        assert!(polled.is_pending());
        let (wakes, woken) = mpsc::channel();
        let waker = waker(move || _ = wakes.send(()));
        let mut other = Box::pin(plugin.call_async::<u64, u32>("sleep", 60_000_000));
        while other
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            woken.recv().unwrap();
        }
    });
}

#[test]
fn a_wait_for_stdin_is_charged_for_its_length() {
    let asked = AtomicU32::new(0);
    let source = Input(move || asked.fetch_add(1, Ordering::Relaxed) >= 2);
    let plugin = load(&engine(Budget::server()), Wasi::new().stdin_from(source));
    let mut instance = plugin.instantiate(()).unwrap();
    // Waits for an hour or for stdin.
    assert_eq!(
        instance.call::<u64, u32>("either", 3_600_000_000_000),
        Ok(0)
    );
    let fuel = instance.usage().fuel;
    assert!(fuel < 100_000, "{fuel}");
}

#[test]
fn an_awaited_call_waits_for_a_place_no_longer_than_its_deadline() {
    let mut limits = Limits::server();
    limits.instances = 1;
    let engine = Engine::new(limits)
        .with_platform(Std::new())
        .with_budget(within(60_000));
    let plugin = load(&engine, Wasi::new());
    must_end(move || {
        let mut sleeper = Box::pin(plugin.call_async::<u64, u32>("sleep", 1 << 60));
        let mut context = Context::from_waker(Waker::noop());
        assert!(sleeper.as_mut().poll(&mut context).is_pending());
        let hurried = plugin.with_budget(within(20));
        let mut call = Box::pin(hurried.call_async::<u64, u32>("sleep", 1));
        let (wakes, woken) = mpsc::channel();
        let waker = waker(move || _ = wakes.send(()));
        let ended = loop {
            match call.as_mut().poll(&mut Context::from_waker(&waker)) {
                core::task::Poll::Ready(ended) => break ended,
                // Only the timer wakes it.
                core::task::Poll::Pending => woken.recv().unwrap(),
            }
        };
        assert_eq!(ended, Err(CallError::Busy { limit: 1 }));
    });
}

/// A directory whose files panic when they are closed.
struct Spiteful;

impl Directory for Spiteful {
    fn open(&self, _: &str, _: &Open) -> Result<Node, Errno> {
        Ok(Node::File(Box::new(Spiteful)))
    }

    fn stat(&self, _: &str, _: bool) -> Result<Stat, Errno> {
        Ok(Stat::new(Kind::Directory, 0))
    }

    fn list(&self, _: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        Ok(())
    }

    fn create_directory(&self, _: &str) -> Result<(), Errno> {
        Ok(())
    }
}

impl File for Spiteful {
    fn read(&mut self, _: u64, _: &mut [u8]) -> Result<usize, Errno> {
        Ok(0)
    }

    fn stat(&mut self) -> Result<Stat, Errno> {
        Ok(Stat::new(Kind::File, 0))
    }
}

impl Drop for Spiteful {
    fn drop(&mut self) {
        if !std::thread::panicking() && std::thread::current().name() == Some("spite") {
            panic!("this panic belongs to the test");
        }
    }
}

#[test]
fn a_file_that_panics_when_it_is_refused_stops_its_guest() {
    let wasi = Wasi::new().directory("/", Access::Read, Spiteful);
    let plugin = load(&engine(within(60_000)), wasi);
    let called = std::thread::Builder::new()
        .name("spite".into())
        .spawn({
            let plugin = plugin.clone();
            move || {
                let mut instance = plugin.instantiate(()).unwrap();
                instance.call::<(), u32>("open directory", ())
            }
        })
        .unwrap();
    let ended = called.join().unwrap();
    assert!(
        matches!(&ended, Err(CallError::Trap(trap)) if trap.kind() == TrapKind::HostPanic),
        "{ended:?}"
    );
}

#[test]
fn no_more_files_are_made_in_a_call_than_the_limit() {
    let mut limits = files::Limits::server();
    limits.created = 7;
    let wasi = Wasi::new()
        .directory("/", Access::ReadWrite, Spiteful)
        .file_limits(limits);
    let plugin = load(&engine(within(60_000)), wasi);
    let mut instance = plugin.instantiate(()).unwrap();
    for _ in 0..2 {
        // Then EDQUOT. The next call may make as many.
        let made = instance.call::<u32, (u32, u32)>("create", 20);
        assert_eq!(made, Ok((7, 19)));
    }
    assert_eq!(instance.call::<u32, (u32, u32)>("create", 5), Ok((5, 0)));
}
