//! Hostile guests as named cases, each with the verdict that it must meet: refused at load (R),
//! trapped (T), out of fuel or another quota (F), an error to the caller (E), or cleaned, with a
//! right answer (C). Names begin with the threat's number.
//!
//! Each case runs twice, on this thread and on one with a native stack of 256 KiB, within a bound
//! on the host's memory; after each, a good plugin must answer. A table of all is written to
//! `hostile-guests.txt` in the target directory, and printed with `--nocapture` or on failure;
//! `--list` prints what is declared; `--export DIRECTORY` hands those that fit a device to the
//! firmware for it.
//!
//! WASI (P01-P10) has a test of its own, `wasi`. Threats that do not apply yet: S09 (no guest's: see
//! `state_crash.rs`), C04-C08 (no server).

mod abi;
mod abi_tables;
mod bytes;
mod case;
mod counting;
mod export;
mod host_calls;
mod module_bombs;
mod module_bytes;
mod module_faces;
mod module_lies;
mod module_ports;
mod module_shapes;
mod pool;
mod report;
mod run_time;
mod services;
mod state;
mod traps;

use case::{Case, Verdict};
use hostel::{Grants, LogRecord, Plugin};
use report::{Args, Report, Row};
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Command, ExitCode},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The native stack that each case must do with.
const SMALL_STACK: usize = 256 << 10;

/// The longest that one case may take before it counts as a hang.
const HANG: Duration = Duration::from_secs(60);

/// Marks the process in which one case runs by itself.
const APART: &str = "HOSTEL_HOSTILE_APART";

/// Families and their number of threats.
const FAMILIES: [(char, usize); 5] = [('M', 18), ('R', 10), ('A', 14), ('S', 8), ('C', 3)];

/// Panics since the start, and what the last one said.
static PANICS: AtomicUsize = AtomicUsize::new(0);
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Whether a case runs; a panic outside of one is this program's own.
static RUNNING: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let cases = all_cases();
    if args.list {
        report::list(cases.iter().filter(|case| args.wants(&case.name)));
        return ExitCode::SUCCESS;
    }
    if let Some(directory) = &args.export {
        return match export::export(&cases, directory) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error}", directory.display());
                ExitCode::FAILURE
            }
        };
    }
    std::panic::set_hook(Box::new(|panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        *LAST_PANIC.lock().expect("nothing panics here") = panic.to_string();
        if !RUNNING.load(Ordering::Relaxed) {
            eprintln!("{panic}");
        }
    }));
    let apart = std::env::var_os(APART).is_some();
    let good = Good::new();
    let watch = Watch::start();
    let mut report = Report::new(apart);
    for case in cases.iter().filter(|case| args.wants(&case.name)) {
        watch.note(&case.name);
        report.begin(&case.name);
        report.add(if case.apart && !apart {
            in_its_own_process(case)
        } else {
            run(case, &good)
        });
    }
    report.end(args.nocapture)
}

fn all_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for add in [
        module_bytes::cases,
        module_lies::cases,
        module_bombs::cases,
        module_shapes::cases,
        module_faces::cases,
        module_ports::cases,
        run_time::cases,
        traps::cases,
        abi::cases,
        abi_tables::cases,
        host_calls::cases,
        services::cases,
        state::cases,
        pool::cases,
    ] {
        cases.extend(add());
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    let names: BTreeSet<_> = cases.iter().map(|case| &*case.name).collect();
    if names.len() < cases.len() {
        let twice = cases
            .windows(2)
            .find(|pair| pair[0].name == pair[1].name)
            .map(|pair| &pair[0].name);
        panic!("two cases are called {twice:?}");
    }
    for (family, count) in FAMILIES {
        for number in 1..=count {
            let id = format!("{family}{number:02}/");
            assert!(
                names.iter().any(|name| name.starts_with(&id)),
                "no case for {id}"
            );
        }
    }
    cases
}

/// Runs a case on both stacks.
fn run(case: &Case, good: &Good) -> Row {
    let wasm = case.module.bytes();
    let began = Instant::now();
    let mut row = Row::new(case, &wasm);
    row.note(observed(case, good, || case.run(&wasm)));
    row.note(observed(case, good, || {
        thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name(case.name.clone())
                .stack_size(SMALL_STACK)
                .spawn_scoped(scope, || case.run(&wasm));
            let ended = thread.expect("a thread starts").join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }));
    row.took = began.elapsed();
    if let Err(fault) = good.loads() {
        row.fail(fault);
    }
    row
}

/// One run: the verdict and the peak of memory, or what went wrong beside it.
fn observed(
    case: &Case,
    good: &Good,
    work: impl FnOnce() -> Verdict,
) -> Result<(Verdict, usize), String> {
    let before = PANICS.load(Ordering::Relaxed);
    RUNNING.store(true, Ordering::Relaxed);
    let (ended, peak) = counting::peak(|| catch_unwind(AssertUnwindSafe(work)));
    RUNNING.store(false, Ordering::Relaxed);
    let panics = PANICS.load(Ordering::Relaxed) - before;
    let said = || LAST_PANIC.lock().expect("nothing panics here").clone();
    let verdict = ended.map_err(|_| format!("a panic: {}", said()))?;
    if panics != case.panics {
        let declared = case.panics;
        return Err(format!("{panics} panics, {declared} declared: {}", said()));
    }
    good.answers()?;
    Ok((verdict, peak))
}

/// Runs a case in a process of its own, which may be lost.
fn in_its_own_process(case: &Case) -> Row {
    let began = Instant::now();
    let mut row = Row::new(case, &[]);
    let output = std::env::current_exe().and_then(|test| {
        Command::new(test)
            .args(["--exact", &case.name])
            .env(APART, "1")
            .output()
    });
    row.note_apart(output.map_err(|error| error.to_string()));
    row.took = began.elapsed();
    row
}

/// A plugin that means no harm, held all the time, and loaded anew each time.
struct Good {
    wasm: Vec<u8>,
    grants: Grants<()>,
    held: Plugin,
}

impl Good {
    fn new() -> Self {
        let grants = Grants::new()
            .log(|_: &LogRecord<'_>| {})
            .config([("prefix", "CUSTOM")]);
        let wasm = hostel_tests::guest_bytes("customize");
        let held = hostel::engine().load("good", &wasm, &grants);
        Self {
            held: held.expect("a built guest loads"),
            wasm,
            grants,
        }
    }

    /// Whether the held one answers.
    fn answers(&self) -> Result<(), String> {
        that_answers(&self.held)
    }

    /// Whether it still loads, and answers.
    fn loads(&self) -> Result<(), String> {
        let fresh = hostel::engine().load("good", &self.wasm, &self.grants);
        let fresh = fresh.map_err(|error| format!("a good plugin no longer loads: {error}"))?;
        that_answers(&fresh)
    }
}

fn that_answers(plugin: &Plugin) -> Result<(), String> {
    match plugin.process(b"hello world") {
        Ok(answer) if answer == b"CUSTOM_HELLO WORLD" => Ok(()),
        other => Err(format!("a good plugin answers {other:?}")),
    }
}

/// Ends the process where a case hangs, with its name.
#[derive(Clone)]
struct Watch {
    start: Instant,
    case: Arc<Mutex<String>>,
    since: Arc<AtomicU64>,
}

impl Watch {
    fn start() -> Self {
        let watch = Self {
            start: Instant::now(),
            case: Arc::default(),
            since: Arc::default(),
        };
        let inside = watch.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_secs(1));
                let since = Duration::from_millis(inside.since.load(Ordering::Relaxed));
                if inside.start.elapsed().saturating_sub(since) > HANG {
                    let case = inside.case.lock().expect("nothing panics here");
                    eprintln!("{case} hangs");
                    std::process::exit(1);
                }
            }
        });
        watch
    }

    fn note(&self, case: &str) {
        case.clone_into(&mut self.case.lock().expect("nothing panics here"));
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(now, Ordering::Relaxed);
    }
}
