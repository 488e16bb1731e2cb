//! How soon control is back after a deadline, and after a cancellation from another thread, while
//! a plugin on another thread goes on serving.
//!
//! These are times, not ratios: what else the machine runs adds to them. Where it can't be still,
//! on Linux, `chrt --reset-on-fork --rr 10` before the program gives this thread its processor.

use hostel::{Budget, CallError, Engine, Grants, Instance, LogRecord, Plugin, Wasi};
use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const DEADLINE: Duration = Duration::from_millis(50);

/// When control is back at the latest.
const TARGET: Duration = Duration::from_millis(60);

const ROUNDS: usize = 10;

/// What a guest does for ever.
struct Case {
    name: &'static str,
    /// The module's memory, in pages of 64 KiB.
    pages: u32,
    /// The body of the loop.
    body: &'static str,
    /// What runs the loop: `run`, which is called, or else something that starts an instance.
    by: By,
}

#[derive(Clone, Copy, PartialEq)]
enum By {
    Call,
    Start,
    Initialize,
    /// The start function of a module with as many bytes of data as a module may have.
    StartAfterData,
}

const fn case(name: &'static str, pages: u32, body: &'static str, by: By) -> Case {
    Case {
        name,
        pages,
        body,
        by,
    }
}

const CASES: &[Case] = &[
    case("endless loop", 1, "", By::Call),
    case("endless start function", 1, "", By::Start),
    case("endless `_initialize`", 1, "", By::Initialize),
    case(
        "memory.grow by 1, up to the limit and on",
        1,
        "(drop (memory.grow (i32.const 1)))",
        By::Call,
    ),
    case(
        "memory.fill of 64 MiB",
        1024,
        "(memory.fill (i32.const 0) (i32.const 7) (i32.const 0x4000000))",
        By::Call,
    ),
    case(
        "memory.copy of 64 MiB less a byte",
        1024,
        "(memory.copy (i32.const 1) (i32.const 0) (i32.const 0x3ffffff))",
        By::Call,
    ),
    case(
        "start function after 16 MiB of data",
        1024,
        "",
        By::StartAfterData,
    ),
    case(
        "call of a function with 2,000 locals",
        1,
        "(call $locals)",
        By::Call,
    ),
    case(
        "a log record of 1 MiB, all control characters",
        1024,
        "(call $log (i32.const 0) (i32.const 0x100000))",
        By::Call,
    ),
    case(
        "bytes of 8 MiB, the most, to a host function that copies them",
        1024,
        "(call $bytes (i32.const 0) (i32.const 0x800000))",
        By::Call,
    ),
    case(
        "text of 8 MiB, the most, not ASCII, to a host function",
        1024,
        "(call $text (i32.const 0) (i32.const 0x800000))",
        By::Call,
    ),
    case(
        "poll_oneoff of a clock for 2^63 ns",
        1,
        "(i32.store (i32.const 16) (i32.const 1))
         (i64.store (i32.const 24) (i64.const 0x8000000000000000))
         (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))",
        By::Call,
    ),
];

impl Case {
    fn wasm(&self) -> Vec<u8> {
        let run = match self.by {
            By::Call => r#"(export "run" (func $run))"#,
            By::Start => "(start $run)",
            By::Initialize => r#"(export "_initialize" (func $run))"#,
            By::StartAfterData => {
                let most = Engine::default().limits().module_bytes - 1_024;
                let data = format!(
                    r#"(start $run) (data (i32.const 0) "{}")"#,
                    "d".repeat(most)
                );
                return self.with(&data);
            }
        };
        self.with(run)
    }

    fn load(&self, mut budget: Budget) -> Plugin<()> {
        budget.fuel = u64::MAX;
        budget.host_calls = u32::MAX;
        budget.log_records = u32::MAX;
        budget.log_bytes = u32::MAX;
        let plugin = hostel::engine().load("case", &self.wasm(), &grants());
        plugin.expect("the case loads").with_budget(budget)
    }

    fn with(&self, run: &str) -> Vec<u8> {
        // Two bytes of text that are one character.
        let text = if self.body.contains("$text") {
            r#"(i32.store16 (i32.const 0) (i32.const 0xa9c3))
               (memory.copy (i32.const 2) (i32.const 0) (i32.const 2))
               (local.set 0 (i32.const 4))
               (loop $double
                 (memory.copy (local.get 0) (i32.const 0) (local.get 0))
                 (br_if $double (i32.lt_u
                   (local.tee 0 (i32.shl (local.get 0) (i32.const 1))) (i32.const 0x4000000))))"#
        } else {
            ""
        };
        let text = format!(
            r#"(module
                (import "env" "host_log" (func $log (param i32 i32)))
                (import "env" "bytes" (func $bytes (param i32 i32)))
                (import "env" "text" (func $text (param i32 i32)))
                (import "wasi_snapshot_preview1" "poll_oneoff"
                  (func $poll (param i32 i32 i32 i32) (result i32)))
                (memory (export "memory") {pages})
                (func (export "prepare") (local i32) {text})
                (func $locals (local {locals}))
                (func $run (loop $on {body} (br $on)))
                {run})"#,
            pages = self.pages,
            body = self.body,
            locals = "i64 ".repeat(2_000),
        );
        wat::parse_str(text).expect("the case is well-formed")
    }
}

fn grants() -> Grants<()> {
    Grants::new()
        .log(|record: &LogRecord<'_>| {
            black_box(record.text.to_string());
        })
        .config([("prefix", "CUSTOM")])
        .wasi(Wasi::new())
        .function("env", "bytes", |bytes: Vec<u8>| {
            black_box(bytes);
        })
        .function("env", "text", |text: &str| {
            black_box(text);
        })
}

/// What the plugin beside it does meanwhile.
#[derive(Default)]
struct Sibling {
    stop: AtomicBool,
    answers: AtomicU64,
    wrong: AtomicU64,
}

impl Sibling {
    fn serve(&self, plugin: &Plugin<()>) {
        while !self.stop.load(Ordering::Relaxed) {
            let answer = plugin.process(b"hello world");
            let right = answer.as_deref() == Ok(b"CUSTOM_HELLO WORLD");
            let count = if right { &self.answers } else { &self.wrong };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Stops the sibling, also where this thread panics: its scope waits for all of its threads.
struct StopAtEnd<'a>(&'a Sibling);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// The middle one and the last.
fn median_and_worst(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}

/// Does `work` after a pause: a thread of real-time priority that takes all of a processor is
/// held up for that.
fn rested(work: impl Fn() -> Duration) -> Duration {
    thread::sleep(Duration::from_millis(10));
    work()
}

fn prepared(plugin: &Plugin<()>) -> Instance {
    let mut instance = plugin.instantiate(()).expect("it starts");
    instance.call::<(), ()>("prepare", ()).expect("it is quick");
    instance
}

/// Times from a call's start to its end by the deadline.
fn deadlines(case: &Case) -> Vec<Duration> {
    let plugin = case.load(Budget::server().with_deadline(DEADLINE));
    let error = CallError::Deadline { after: DEADLINE };
    let once = || {
        if case.by != By::Call {
            let start = Instant::now();
            let found = plugin.instantiate(()).err();
            assert_eq!(found, Some(error.clone()), "{}", case.name);
            return start.elapsed();
        }
        let mut instance = prepared(&plugin);
        let start = Instant::now();
        let found = instance.call::<(), ()>("run", ());
        assert_eq!(found, Err(error.clone()), "{}", case.name);
        start.elapsed()
    };
    (0..ROUNDS).map(|_| rested(once)).collect()
}

/// Times from `cancel` on another thread to the call's end.
fn cancellations(case: &Case) -> Vec<Duration> {
    let plugin = case.load(Budget::server());
    let once = || {
        let mut instance = prepared(&plugin);
        let canceller = instance.canceller();
        thread::scope(|scope| {
            let other = scope.spawn(move || {
                thread::sleep(Duration::from_millis(20));
                let start = Instant::now();
                canceller.cancel();
                start
            });
            let found = instance.call::<(), ()>("run", ());
            let end = Instant::now();
            assert_eq!(found, Err(CallError::Cancelled), "{}", case.name);
            end - other.join().expect("it does not panic")
        })
    };
    (0..ROUNDS).map(|_| rested(once)).collect()
}

/// Measures and prints. Whether control came back in time, and the plugin beside it was served.
pub fn run() -> bool {
    let wasm = include_bytes!("../../guests/prebuilt/customize.wasm");
    let plugin = hostel::engine()
        .load("sibling", wasm, &grants())
        .expect("the guest loads");
    let sibling = Sibling::default();
    thread::scope(|scope| {
        scope.spawn(|| sibling.serve(&plugin));
        let _stop = StopAtEnd(&sibling);
        println!(
            "control is back after a deadline of {DEADLINE:?}, {ROUNDS} rounds: median, worst, \
             answers of a plugin on another thread meanwhile"
        );
        let mut met = true;
        for case in CASES {
            let before = sibling.answers.load(Ordering::Relaxed);
            let (median, worst) = median_and_worst(deadlines(case));
            let answers = sibling.answers.load(Ordering::Relaxed) - before;
            let ok = worst <= TARGET && answers > 0;
            met &= ok;
            println!(
                "  {median:>7.1?} {worst:>7.1?} {answers:>8}  {}{}",
                case.name,
                if ok { "" } else { "  MISSED" }
            );
        }
        println!("control is back after `cancel` on another thread: median, worst");
        for case in CASES.iter().filter(|case| case.by == By::Call) {
            let (median, worst) = median_and_worst(cancellations(case));
            println!("  {median:>7.1?} {worst:>7.1?}  {}", case.name);
        }
        let wrong = sibling.wrong.load(Ordering::Relaxed);
        met &= wrong == 0;
        println!(
            "  back within {TARGET:?} and the other plugin always served, {wrong} wrong answers: {}",
            if met { "yes" } else { "NO" }
        );
        met
    })
}
