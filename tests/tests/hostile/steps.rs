//! Runs each hostile guest by steps, and reports the longest step of each.

use crate::case::{Action, Case};
use core::{cmp::Reverse, future::Future, time::Duration};
use hostel::{CallError, Engine, Extern, Instance, LogRecord, Lower, PendingCall, Plugin, Step};
use hostel::{ValType, Value};
use std::{collections::BTreeMap, process::ExitCode};

/// Fuel of a step.
const QUANTUM: u64 = 10_000;

/// The longest that a step may take the processor.
const LONGEST: Duration = Duration::from_millis(1);

/// How much longer the step that makes an instance may take, for each MiB of its first memory: the
/// interpreter sets that up at once.
const LONGEST_FOR_MIB: Duration = Duration::from_millis(2);

/// The beginnings of names of guests whose steps may take longer, and why.
const LONGER: [(&str, &str); 2] = [
    (
        "R11/growth",
        "the allocator may have to move a memory that grows, all at once",
    ),
    (
        "R11/a long argument that is given back",
        "a result of 16 MiB is copied at once",
    ),
];

/// How often each guest is run. The shortest of its longest steps counts: whatever else the machine
/// does can only make a step longer.
const ROUNDS: usize = 3;

/// How many guests are printed, those with the longest steps.
const PRINTED: usize = 25;

/// After so many steps a call is dropped: a script would have cancelled it.
const MOST_STEPS: u64 = 5_000;

/// Runs `cases` by steps of 10,000 fuel, and prints those with the longest steps: of making an instance,
/// and of calling it. Fails if a step took the processor longer than it may.
pub(crate) fn measure<'a>(cases: impl Iterator<Item = &'a Case>) -> ExitCode {
    // One host function panics on purpose, and says so.
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        if !text.contains("on purpose") {
            eprintln!("{text}");
        }
    }));
    let (mut made, mut called) = (Vec::new(), Vec::new());
    let mut refused = 0;
    for case in cases {
        let wasm = case.module.bytes();
        let mut setup = case.setup(&wasm);
        // A sink's time is the embedder's.
        setup.grants = setup.grants.log(|_: &LogRecord<'_>| {});
        let loaded = match &case.action {
            Action::LoadComponent | Action::Component(..) => setup.load_component(),
            _ => setup.load(),
        };
        let Ok(plugin) = loaded else {
            refused += 1;
            continue;
        };
        if let Action::Component(export, params) = &case.action {
            let calls = (0..ROUNDS).filter_map(|_| {
                let mut instance = plugin.instantiate(()).ok()?;
                let call = instance.call_component_values_async(export, params);
                Some(Longest::of(call))
            });
            called.extend(calls.min().map(|longest| (longest, case, 0)));
            continue;
        }
        // Its instances are not kept and reset: each call makes one.
        let mut limits = case.limits;
        limits.idle = 0;
        setup.engine = Engine::new(limits)
            .with_budget(case.budget)
            .with_platform(hostel::Std::new());
        let fresh = setup.plugin();
        let rounds = (0..ROUNDS).map(|_| Longest::of(fresh.call_async::<(), ()>("", ())));
        let longest_made = rounds.min();
        made.extend(longest_made.map(|longest| (longest, case, first_memory(&plugin))));
        let rounds = (0..ROUNDS).filter_map(|_| call(case, &plugin));
        called.extend(rounds.min().map(|longest| (longest, case, 0)));
    }
    println!("{refused} guests are refused when they are loaded");
    let over = report("making an instance", made) + report("calling it", called);
    ExitCode::from(u8::from(over > 0))
}

/// Bytes of the memory of an instance at the start.
fn first_memory(plugin: &Plugin) -> u64 {
    let memories = plugin.info().memories.iter();
    memories.map(|memory| memory.min_bytes).sum()
}

/// Prints the longest steps, each with its guest and bytes that it sets up. Returns how many are too
/// long.
fn report(what: &str, mut found: Vec<(Longest, &Case, u64)>) -> usize {
    found.sort_by_key(|(longest, ..)| Reverse(*longest));
    println!("\nlongest step of {what}, and its number among all steps");
    let (mut over, mut excused) = (0, BTreeMap::<_, usize>::new());
    for (place, (longest, case, bytes)) in found.iter().enumerate() {
        let mib = u32::try_from(bytes >> 20).expect("a small memory");
        let long = longest.took > LONGEST + LONGEST_FOR_MIB * mib;
        let excuse = LONGER.iter().find(|(name, _)| case.name.starts_with(name));
        if let Some((_, why)) = excuse.filter(|_| long) {
            *excused.entry(why).or_default() += 1;
        }
        let fails = long && excuse.is_none();
        over += usize::from(fails);
        if place < PRINTED || fails {
            let Longest { took, at, steps } = longest;
            let (took, mark) = (took.as_secs_f64() * 1e3, if long { '!' } else { ' ' });
            println!("{took:>9.3} ms{mark} {at:>6} of {steps:<6} {}", case.name);
        }
    }
    println!("{} guests, {over} with too long a step", found.len());
    for (why, count) in excused {
        println!("{count} more: {why}");
    }
    over
}

/// A call's longest step, its number, and the number of all steps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Longest {
    took: Duration,
    at: u64,
    steps: u64,
}

impl Longest {
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
                return Self {
                    took: longest,
                    at,
                    steps,
                };
            }
        }
    }

    /// Runs an export with `params` by steps, and drops its result.
    fn call<P: Lower>(instance: &mut Instance, ty: &Extern, export: &str, params: P) -> Self {
        use ValType::{F32, F64, I32, I64};
        let Extern::Function(ty) = ty else {
            return Self::of(instance.call_async::<P, ()>(export, params));
        };
        match *ty.results {
            [I32] => Self::of(instance.call_async::<P, u32>(export, params)),
            [I64] => Self::of(instance.call_async::<P, u64>(export, params)),
            [F32] => Self::of(instance.call_async::<P, f32>(export, params)),
            [F64] => Self::of(instance.call_async::<P, f64>(export, params)),
            [I32, I32] => Self::of(instance.call_async::<P, (u32, u32)>(export, params)),
            _ => Self::of(instance.call_async::<P, ()>(export, params)),
        }
    }
}

/// Steps the call that the case makes. `None` if its guest has nothing to call, or in another way.
fn call(case: &Case, plugin: &Plugin) -> Option<Longest> {
    let instance = &mut plugin.instantiate(()).ok()?;
    let (export, params) = match &case.action {
        Action::Process(input) => return Some(Longest::of(instance.process_async(input))),
        Action::Bytes(export, input) => {
            return Some(Longest::of(plugin.call_arguments_async(export, &[input])));
        }
        Action::Call(export, params) => (*export, params.as_slice()),
        // What a script does to the instance is most often this.
        Action::Script(_) => ("run", &[][..]),
        // Components are called by `measure`.
        Action::Load | Action::Start | Action::LoadComponent | Action::Component(..) => {
            return None;
        }
    };
    let ty = &plugin.info().export_named(export)?.ty;
    match *params {
        [] => Some(Longest::call(instance, ty, export, ())),
        [Value::I32(a)] => Some(Longest::call(instance, ty, export, a)),
        [Value::I64(a)] => Some(Longest::call(instance, ty, export, a)),
        [Value::I32(a), Value::I32(b)] => Some(Longest::call(instance, ty, export, (a, b))),
        _ => None,
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
