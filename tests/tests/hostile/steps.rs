//! Runs each hostile guest by steps, and reports the longest step of each.

use crate::case::{Action, Case};
use core::{future::Future, time::Duration};
use hostel::{CallError, LogRecord, Lower, PendingCall, Plugin, Step, ValType, Value};
use std::{collections::BTreeMap, process::ExitCode};

/// Fuel of a step.
const QUANTUM: u64 = 10_000;

/// The longest that a step may take the processor.
const LONGEST: Duration = Duration::from_millis(1);

/// How often each guest is run. The shortest of its longest steps counts: whatever else the machine
/// does can only make a step longer.
const ROUNDS: usize = 3;

/// How many guests are printed, those with the longest steps.
const PRINTED: usize = 30;

/// After so many steps a call is dropped: a script would have cancelled it.
const MOST_STEPS: u64 = 5_000;

/// Runs `cases` by steps of 10,000 fuel, loading not included, and prints those with the longest
/// steps. Fails if a step took longer than a millisecond of processor.
pub(crate) fn measure<'a>(cases: impl Iterator<Item = &'a Case>) -> ExitCode {
    // Host functions panic on purpose.
    std::panic::set_hook(Box::new(|_| {}));
    let mut found = Vec::new();
    let mut left = BTreeMap::<_, usize>::new();
    for case in cases {
        let wasm = case.module.bytes();
        let mut longest = Err("are refused when they are loaded");
        for _ in 0..ROUNDS {
            let mut setup = case.setup(&wasm);
            // A sink's time is the embedder's.
            setup.grants = setup.grants.log(|_: &LogRecord<'_>| {});
            let Ok(plugin) = setup.load() else {
                break;
            };
            let round = Stepped::run(case, &plugin);
            longest = match (longest, round) {
                (Ok(longest), Ok(round)) => Ok(Stepped::min(longest, round)),
                (_, round) => round,
            };
        }
        match longest {
            Ok(longest) => found.push((longest, &case.name)),
            Err(reason) => *left.entry(reason).or_default() += 1,
        }
    }
    found.sort();
    println!("longest step, at its number of all steps");
    for (Stepped { longest, at, steps }, name) in found.iter().rev().take(PRINTED) {
        println!(
            "{:>9.3} ms {at:>6} of {steps:<6} {name}",
            longest.as_secs_f64() * 1e3
        );
    }
    println!("{} guests were stepped", found.len());
    for (reason, count) in left {
        println!("{count} {reason}");
    }
    let over = found
        .iter()
        .filter(|(stepped, _)| stepped.longest > LONGEST);
    let over = over.count();
    println!(
        "{over} took longer than {} ms for a step",
        LONGEST.as_millis()
    );
    ExitCode::from(u8::from(over > 0))
}

/// A guest's longest step, its number, and the number of all steps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stepped {
    longest: Duration,
    at: u64,
    steps: u64,
}

impl Stepped {
    /// Makes an instance of the case's guest and calls it, in steps, or says why it can't.
    fn run(case: &Case, plugin: &Plugin) -> Result<Self, &'static str> {
        match &case.action {
            Action::Load | Action::Start => Self::call(plugin, "allocate", &[Value::I32(1)]),
            Action::Process(input) => Ok(Self::of(plugin.process_async(input))),
            Action::Call(export, params) => Self::call(plugin, export, params),
            Action::Script(_) => Self::call(plugin, "run", &[])
                .or_else(|_| Self::call(plugin, "process", &[Value::I32(64), Value::I32(0)])),
        }
    }

    /// Calls an export.
    fn call(plugin: &Plugin, export: &str, params: &[Value]) -> Result<Self, &'static str> {
        match *params {
            [Value::I32(a)] => Self::returning(plugin, export, a),
            [Value::I64(a)] => Self::returning(plugin, export, a),
            [Value::I32(a), Value::I32(b)] => Self::returning(plugin, export, (a, b)),
            [Value::I32(a), Value::I32(b), Value::I32(c)] => {
                Self::returning(plugin, export, (a, b, c))
            }
            [Value::I32(a), Value::I32(b), Value::I32(c), Value::I32(d)] => {
                Self::returning(plugin, export, (a, b, c, d))
            }
            _ => Self::returning(plugin, export, ()),
        }
    }

    /// Calls an export with `params`, whatever numbers it returns. If it takes others, its instance is
    /// made and no more.
    fn returning<P: Lower>(plugin: &Plugin, export: &str, params: P) -> Result<Self, &'static str> {
        use ValType::{F32, F64, I32, I64};
        let results = plugin.info().export_named(export).map(|export| &export.ty);
        let results = match results {
            Some(hostel::Extern::Function(ty)) => &*ty.results,
            _ => &[],
        };
        Ok(match *results {
            [I32] => Self::of(plugin.call_async::<P, u32>(export, params)),
            [I64] => Self::of(plugin.call_async::<P, u64>(export, params)),
            [F32] => Self::of(plugin.call_async::<P, f32>(export, params)),
            [F64] => Self::of(plugin.call_async::<P, f64>(export, params)),
            [I32, I32] => Self::of(plugin.call_async::<P, (u32, u32)>(export, params)),
            _ => Self::of(plugin.call_async::<P, ()>(export, params)),
        })
    }

    /// Steps a call to its end.
    fn of<R>(mut call: PendingCall<impl Future<Output = Result<R, CallError>>>) -> Self {
        let (mut longest, mut at, mut steps) = (Duration::ZERO, 0, 0);
        loop {
            steps += 1;
            let began = processor_time();
            let step = call.step(QUANTUM);
            let took = processor_time() - began;
            if took > longest {
                (longest, at) = (took, steps);
            }
            if matches!(step, Step::Done(_)) || steps == MOST_STEPS {
                return Self { longest, at, steps };
            }
        }
    }
}

/// How long this thread has had a processor; the time of day where only that is known.
fn processor_time() -> Duration {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    #[cfg(not(target_os = "linux"))]
    {
        std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default()
    }
}
