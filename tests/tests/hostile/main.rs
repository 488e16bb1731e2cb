//! Hostile guests, each with the verdict that it must meet.
//!
//! A case is named by the id of a threat in docs/threats.md and by the attack. It runs twice, on
//! this thread and on one with 256 KiB of native stack. Both times it must end as its verdict says,
//! with no more heap than its bound, and a good plugin must be served after it.
//!
//! The folders hold the cases, a file for each threat or for a few that belong together: `module`
//! what can be wrong with a module, `run_time` what guest code can do by itself, `abi` what passes
//! between guest and host, `services` what host functions offer, `conventions` what the environments
//! of other hosts' conventions offer, `http` their requests, `component` what components pass, `pool` what instances
//! leave to each other. A file says how a row of its tables reads; words for the verdicts are in `case`.
//!
//! A table of all cases is written to `hostile-guests.txt` in the target directory, and printed
//! with `--nocapture` or if a case fails. `--list` prints the verdicts that are declared.
//! `--steps` runs them by steps of 10,000 fuel instead, and prints the longest steps.
//! `--export DIRECTORY` writes the cases that fit a device, for the firmware's tests.

mod abi;
mod case;
mod catalogue;
mod component;
mod conventions;
mod export;
mod heap;
mod http;
mod module;
mod pool;
mod report;
mod run_time;
mod services;
mod steps;

use case::{Case, Verdict};
use hostel::{Grants, LogRecord, Plugin};
use report::{Args, Report, Row};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Command, ExitCode},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The native stack that each case must do with, in bytes.
const SMALL_STACK: usize = 256 << 10;

/// The longest that one case may take before it counts as a hang.
const HANG: Duration = Duration::from_secs(60);

/// The environment variable that marks the process of a case that runs alone.
const OWN_PROCESS: &str = "HOSTEL_HOSTILE_OWN_PROCESS";

/// How many panics there were since the start, and the message of the last one.
static PANICS: AtomicUsize = AtomicUsize::new(0);
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Whether a case is running. A panic outside of one is this program's own.
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
    if args.steps {
        return steps::measure(cases.iter().filter(|case| args.wants(&case.name)));
    }
    let own_process = std::env::var_os(OWN_PROCESS).is_some();
    if !own_process && !is_catalogue_right(&cases) {
        return ExitCode::FAILURE;
    }
    std::panic::set_hook(Box::new(|panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        *LAST_PANIC.lock().expect("nothing panics here") = panic.to_string();
        if !RUNNING.load(Ordering::Relaxed) {
            eprintln!("{panic}");
        }
    }));
    let good = GoodPlugin::new();
    let watchdog = Watchdog::start();
    let mut report = Report::new(own_process);
    for case in cases.iter().filter(|case| args.wants(&case.name)) {
        watchdog.watch(&case.name);
        report.begin(&case.name);
        report.add(if case.own_process && !own_process {
            in_own_process(case)
        } else {
            run(case, &good)
        });
    }
    report.end(args.nocapture)
}

/// Every case, by name, of which no two may be equal.
fn all_cases() -> Vec<Case> {
    let mut cases = module::cases();
    cases.extend(run_time::cases());
    cases.extend(abi::cases());
    cases.extend(services::cases());
    cases.extend(conventions::cases());
    cases.extend(http::cases());
    cases.extend(component::cases());
    cases.extend(pool::cases());
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in cases.windows(2) {
        assert_ne!(pair[0].name, pair[1].name, "two cases have one name");
    }
    cases
}

/// Whether docs/threats.md has the threats that tests name; prints what differs.
fn is_catalogue_right(cases: &[Case]) -> bool {
    let differences = catalogue::differences(cases)
        .unwrap_or_else(|error| vec![format!("the catalogue of threats: {error}")]);
    for difference in &differences {
        eprintln!("{difference}");
    }
    differences.is_empty()
}

/// Runs a case on both stacks.
fn run(case: &Case, good: &GoodPlugin) -> Row {
    let wasm = case.module.bytes();
    let began = Instant::now();
    let mut row = Row::new(case, &wasm);
    row.note(observe(case, good, || case.run(&wasm)));
    row.note(observe(case, good, || {
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

/// Runs a case once. Returns its verdict and the peak of heap in bytes, or what else went wrong.
fn observe(
    case: &Case,
    good: &GoodPlugin,
    work: impl FnOnce() -> Verdict,
) -> Result<(Verdict, usize), String> {
    let before = PANICS.load(Ordering::Relaxed);
    RUNNING.store(true, Ordering::Relaxed);
    let (ended, peak) = heap::peak(|| catch_unwind(AssertUnwindSafe(work)));
    RUNNING.store(false, Ordering::Relaxed);
    let panics = PANICS.load(Ordering::Relaxed) - before;
    let message = || LAST_PANIC.lock().expect("nothing panics here").clone();
    let verdict = ended.map_err(|_| format!("a panic: {}", message()))?;
    if panics != case.panics {
        let declared = case.panics;
        return Err(format!(
            "{panics} panics, {declared} declared: {}",
            message()
        ));
    }
    good.answers()?;
    Ok((verdict, peak))
}

/// Runs a case in a process of its own, which may be lost.
fn in_own_process(case: &Case) -> Row {
    let began = Instant::now();
    let mut row = Row::new(case, &[]);
    let output = std::env::current_exe().and_then(|test| {
        Command::new(test)
            .args(["--exact", &case.name])
            .env(OWN_PROCESS, "1")
            .output()
    });
    row.note_own_process(output.map_err(|error| error.to_string()));
    row.took = began.elapsed();
    row
}

/// A plugin that does no harm. It must answer after each case: one that is held all the time, and
/// one that is loaded anew.
struct GoodPlugin {
    wasm: Vec<u8>,
    grants: Grants<()>,
    held: Plugin,
}

impl GoodPlugin {
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

    /// Checks that the plugin that is held answers.
    fn answers(&self) -> Result<(), String> {
        check_answer(&self.held)
    }

    /// Checks that the plugin still loads, and answers.
    fn loads(&self) -> Result<(), String> {
        let fresh = hostel::engine().load("good", &self.wasm, &self.grants);
        let fresh = fresh.map_err(|error| format!("a good plugin no longer loads: {error}"))?;
        check_answer(&fresh)
    }
}

fn check_answer(plugin: &Plugin) -> Result<(), String> {
    match plugin.process(b"hello world") {
        Ok(answer) if answer == b"CUSTOM_HELLO WORLD" => Ok(()),
        other => Err(format!("a good plugin gives {other:?}")),
    }
}

/// A thread that ends the process if a case hangs, and says which.
#[derive(Clone)]
struct Watchdog {
    start: Instant,
    case: Arc<Mutex<String>>,
    /// When the case began, in milliseconds after `start`.
    since: Arc<AtomicU64>,
}

impl Watchdog {
    fn start() -> Self {
        let watchdog = Self {
            start: Instant::now(),
            case: Arc::default(),
            since: Arc::default(),
        };
        let on_thread = watchdog.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_secs(1));
                let since = Duration::from_millis(on_thread.since.load(Ordering::Relaxed));
                if on_thread.start.elapsed().saturating_sub(since) > HANG {
                    let case = on_thread.case.lock().expect("nothing panics here");
                    eprintln!("{case} hangs");
                    std::process::exit(1);
                }
            }
        });
        watchdog
    }

    /// Begins to watch a case.
    fn watch(&self, case: &str) {
        case.clone_into(&mut self.case.lock().expect("nothing panics here"));
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(now, Ordering::Relaxed);
    }
}
