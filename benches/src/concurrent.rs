//! Many calls at once: on one thread by steps, and on two threads.

use hostel::{Budget, CallError, Engine, Grants, Limits, Plugin, Step};
use std::{
    cell::Cell,
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

/// Calls at once on one thread.
const CALLS: usize = 10_000;
/// Fuel of a step.
const QUANTUM: u64 = 10_000;

/// A guest that works for as many rounds as its input says, four units of fuel or so each.
const GUEST: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "tiny") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "process") (param $ptr i32) (param $len i32) (result i64) (local $n i32)
      (local.set $n (i32.load (local.get $ptr)))
      (if (local.get $n) (then
        (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
      (i64.or (i64.shl (i64.extend_i32_u (local.get $ptr)) (i64.const 32))
        (i64.extend_i32_u (local.get $len)))))"#;

fn plugin() -> Plugin {
    let mut limits = Limits::server();
    limits.instances = CALLS + 2;
    let engine = Engine::new(limits).with_budget(Budget::server());
    let wasm = wat::parse_str(GUEST).expect("the guest assembles");
    engine
        .load("guest", &wasm, &Grants::new())
        .expect("the guest loads")
}

/// The most quanta of a busy guest that a short call may wait for.
const FEW: u32 = 3;

/// Measures and prints; whether short calls don't wait long.
pub fn run() -> bool {
    println!("many calls at once");
    on_one_thread();
    let waited = beside_a_busy_one();
    on_two_threads();
    waited <= FEW
}

/// All calls take turns; the time is set against running them one after another.
fn on_one_thread() {
    let plugin = plugin();
    let input = 20_000u32.to_le_bytes();
    let begin = Instant::now();
    for _ in 0..CALLS {
        assert_eq!(plugin.process(&input).expect("it answers"), input);
    }
    let in_turn = begin.elapsed();
    let begin = Instant::now();
    let mut calls: VecDeque<_> = (0..CALLS).map(|_| plugin.process_async(&input)).collect();
    let mut steps = 0u64;
    while let Some(mut call) = calls.pop_front() {
        steps += 1;
        match call.step(QUANTUM) {
            Step::Done(result) => assert_eq!(result.expect("it answers"), input),
            _ => calls.push_back(call),
        }
    }
    let at_once = begin.elapsed();
    println!(
        "  {CALLS} calls at once on one thread, {steps} steps: {:.2} of the time one after another",
        at_once.as_secs_f64() / in_turn.as_secs_f64()
    );
}

/// Tasks that are to be polled, in the order in which they were woken.
#[derive(Default)]
struct Queue(Mutex<VecDeque<usize>>);

/// Puts a task into the queue.
struct Woken {
    queue: Arc<Queue>,
    task: usize,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.queue
            .0
            .lock()
            .expect("nobody panics")
            .push_back(self.task);
    }
}

/// How many quanta a busy guest gets while a short call runs, at most, among all calls at once on an
/// executor of one thread.
fn beside_a_busy_one() -> u32 {
    let plugin = plugin();
    let endless = plugin.with_budget(Budget::server().with_fuel(u64::MAX));
    let (quanta, worst, left) = (Cell::new(0u32), Cell::new(0u32), Cell::new(CALLS));
    let (most, few) = (u32::MAX.to_le_bytes(), 10u32.to_le_bytes());
    let busy = async {
        let mut call = pin!(endless.process_async(&most).with_quantum(QUANTUM));
        let call = poll_fn(|context| {
            quanta.set(quanta.get() + 1);
            call.as_mut().poll(context)
        });
        call.await.expect("it runs longer than all others");
    };
    let short = async || {
        let before = quanta.get();
        let call = plugin.process_async(&few).with_quantum(QUANTUM);
        assert_eq!(call.await.expect("it answers"), few);
        worst.set(worst.get().max(quanta.get() - before));
        left.set(left.get() - 1);
    };
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = vec![Box::pin(busy)];
    tasks.extend((0..CALLS).map(|_| Box::pin(short()) as Pin<Box<dyn Future<Output = ()> + '_>>));
    let queue = Arc::new(Queue::default());
    let wakers: Vec<Waker> = (0..tasks.len())
        .map(|task| {
            let queue = queue.clone();
            Waker::from(Arc::new(Woken { queue, task }))
        })
        .collect();
    wakers.iter().for_each(Waker::wake_by_ref);
    while left.get() > 0 {
        let next = queue.0.lock().expect("nobody panics").pop_front();
        let next = next.expect("somebody was woken");
        let polled = tasks[next]
            .as_mut()
            .poll(&mut Context::from_waker(&wakers[next]));
        // What is ready is not woken again.
        let _ = polled.is_ready();
    }
    let (quanta, worst) = (quanta.get(), worst.get());
    println!(
        "  {CALLS} short calls on an executor of one thread, beside a guest that is busy for ever: \
        each waits for {worst} of its {quanta} quanta at most"
    );
    worst
}

/// Calls of one plugin with the default settings, as many as one thread and two make.
fn on_two_threads() {
    let wasm = wat::parse_str(GUEST).expect("the guest assembles");
    let load = || {
        hostel::engine()
            .load("guest", &wasm, &Grants::new())
            .expect("the guest loads")
    };
    let plugin = load();
    compare("each thread in an instance that it holds", || {
        let mut instance = plugin.instantiate(()).expect("it starts");
        count(|n| instance.call("tiny", n))
    });
    let plugin = load();
    compare("each call in an instance of the pool", || {
        count(|n| plugin.call("tiny", n))
    });
}

/// Counts calls for half a second.
fn count(mut tiny: impl FnMut(u32) -> Result<u32, CallError>) -> u64 {
    let (mut calls, begin) = (0u64, Instant::now());
    while begin.elapsed() < Duration::from_millis(500) {
        for n in 0..1_000u32 {
            assert_eq!(tiny(n), Ok(n + 1));
        }
        calls += 1_000;
    }
    calls
}

/// Runs `work` on one thread and on two, and prints the ratio of the calls that it counts.
fn compare(what: &str, work: impl Fn() -> u64 + Sync) {
    let (mut one, mut two) = (0, 0);
    for _ in 0..5 {
        one = one.max(work());
        let both: u64 = thread::scope(|scope| {
            let threads = [scope.spawn(&work), scope.spawn(&work)];
            let calls = threads.map(|thread| thread.join().expect("it ends"));
            calls.iter().sum()
        });
        two = two.max(both);
    }
    println!(
        "  tiny calls of one plugin, {what}: {one} on one thread in 0.5 s, on two {:.2} times as many",
        two as f64 / one as f64
    );
}
