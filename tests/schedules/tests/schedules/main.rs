//! The queue of a plugin's pool, the host of plugins, the canceller and the timer under many schedules.

mod canceller;
mod host;
mod pool;
mod timer;

use core::{future::poll_fn, task::Poll};
use hostel_core::{Async, Engine, Grants, Limits, Platform, Plugin, Trap};
use hostel_schedules::Std;
use shuttle::sync::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

/// Echoes its input after other threads may have run; asks another thread twice; waits for ever; traps.
const GUEST: &str = r#"(module
    (import "test" "pause" (func $pause))
    (import "test" "never" (func $never))
    (import "test" "ask" (func $ask (result i32)))
    (memory (export "memory") 1)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "never") (call $never))
    (func (export "ask") (result i32) (i32.add (call $ask) (call $ask)))
    (func (export "trap") (call $pause) unreachable)
    (func (export "process") (param i32 i32) (result i32 i32)
      (call $pause) (local.get 0) (local.get 1)))"#;

/// Returns the grants of a guest of which at most `instances` run at once.
fn grants(instances: usize) -> Grants {
    grants_and(instances, || {})
}

/// As [`grants`]. `begins` is called when the guest begins to wait for ever.
fn grants_and(instances: usize, begins: impl Fn() + Send + Sync + 'static) -> Grants {
    let running = AtomicUsize::new(0);
    Grants::new()
        .function("test", "pause", move || {
            let others = running.fetch_add(1, Ordering::SeqCst);
            assert!(others < instances, "more run at once than the limit allows");
            shuttle::thread::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
        })
        .function("test", "never", move || {
            begins();
            Async(core::future::pending::<Result<(), Trap>>())
        })
        .function("test", "ask", || Async(ask()))
}

/// Asks another thread, which answers 7.
async fn ask() -> Result<u32, Trap> {
    let question = Arc::new(Mutex::new((None, None::<Waker>)));
    let asked = question.clone();
    shuttle::thread::spawn(move || {
        let waker = {
            let mut question = asked.lock().unwrap();
            question.0 = Some(7);
            question.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    });
    poll_fn(move |context| {
        let mut question = question.lock().unwrap();
        question.1 = Some(context.waker().clone());
        question
            .0
            .map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer)))
    })
    .await
}

/// Returns an engine whose plugins run `instances` at once.
fn engine(instances: usize, platform: impl Platform + 'static) -> Engine {
    let mut limits = Limits::server();
    limits.instances = instances;
    Engine::new(limits).with_platform(platform)
}

fn load(engine: &Engine) -> Plugin {
    load_with(engine, &grants(engine.limits().instances))
}

fn load_with(engine: &Engine, grants: &Grants) -> Plugin {
    let wasm = wat::parse_str(GUEST).unwrap();
    engine.load("guest", &wasm, grants).unwrap()
}

/// A platform that can only wake all threads, as one without wakers of its own.
struct WakesAll(Std);

impl Platform for WakesAll {
    fn now(&self) -> Option<Duration> {
        self.0.now()
    }

    fn wait_until(&self, ready: &dyn Fn() -> bool, until: Option<Duration>) -> bool {
        self.0.wait_until(ready, until)
    }

    fn wake(&self) {
        self.0.wake();
    }

    fn wake_at(&self, at: Option<Duration>, waker: &Waker) {
        self.0.wake_at(at, waker);
    }

    fn forget_wake(&self, waker: &Waker) {
        self.0.forget_wake(waker);
    }

    fn nesting(&self) -> Option<fn(&mut dyn FnMut(&mut hostel_core::Nesting))> {
        self.0.nesting()
    }
}

/// Runs `work` in threads of its own, each with its number, and waits for them.
fn threads<R: Send + 'static>(
    number: usize,
    work: impl Fn(usize) -> R + Send + Sync + 'static,
) -> Vec<R> {
    let work = Arc::new(work);
    let threads: Vec<_> = (0..number)
        .map(|number| {
            let work = work.clone();
            shuttle::thread::spawn(move || work(number))
        })
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}
