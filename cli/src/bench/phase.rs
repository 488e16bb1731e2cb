//! Repeats calls for a time, or up to a number.

use super::{
    super::{arguments::Bench, failure::Failure},
    tally::Tally,
    target::Target,
};
use hostel::Step;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

/// How often the progress bar is updated.
const TICK: Duration = Duration::from_millis(100);

/// How long to wait while all calls wait for the host.
const PAUSE: Duration = Duration::from_micros(100);

/// Length of the progress bar, in steps.
const STEPS: u64 = 1_000;

pub(super) struct Phase<'a> {
    target: &'a Target,
    concurrency: u32,
    sliced: Option<u64>,
    /// How long new calls begin.
    time: Option<Duration>,
    /// The most calls to begin.
    calls: Option<u64>,
    start: Instant,
    /// The calls that began. Goes on counting beyond `calls`.
    begun: AtomicU64,
    interrupted: &'a AtomicBool,
}

impl<'a> Phase<'a> {
    pub(super) fn new(
        target: &'a Target,
        arguments: &Bench,
        time: Option<Duration>,
        calls: Option<u64>,
        interrupted: &'a AtomicBool,
    ) -> Self {
        Self {
            target,
            concurrency: arguments.concurrency,
            sliced: arguments.sliced,
            time,
            calls,
            start: Instant::now(),
            begun: AtomicU64::new(0),
            interrupted,
        }
    }

    /// Makes the calls, with a progress bar if stderr is a terminal.
    pub(super) fn run(&self, what: &'static str) -> Result<Tally, Failure> {
        let threads = match self.sliced {
            Some(_) => 1,
            None => self.concurrency,
        };
        let bar = bar(what);
        let tally = thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            for _ in 0..threads {
                let send = send.clone();
                let work = move || drop(send.send(self.work()));
                if let Err(error) = thread::Builder::new().spawn_scoped(scope, work) {
                    self.interrupted.store(true, Ordering::Relaxed);
                    return Err(Failure::threads(threads, &error));
                }
            }
            drop(send);
            let mut all = Tally::new();
            loop {
                match receive.recv_timeout(TICK) {
                    Ok(tally) => all.add(&tally),
                    Err(RecvTimeoutError::Timeout) => self.show(&bar),
                    Err(RecvTimeoutError::Disconnected) => return Ok(all),
                }
            }
        });
        bar.finish_and_clear();
        tally
    }

    /// Makes the calls of one thread.
    fn work(&self) -> Tally {
        let mut tally = Tally::new();
        match self.sliced {
            Some(quantum) => self.by_steps(quantum, &mut tally),
            None => {
                while self.next() {
                    let start = Instant::now();
                    let (result, usage) = self.target.call();
                    tally.note(start, result, usage);
                }
            }
        }
        tally
    }

    /// Makes `concurrency` calls that take turns, each for a slice of `quantum` units of fuel.
    fn by_steps(&self, quantum: u64, tally: &mut Tally) {
        let inputs = self.target.inputs();
        let begin = || {
            let start = || (Instant::now(), self.target.start(&inputs));
            self.next().then(start)
        };
        let mut calls = Vec::new();
        for _ in 0..self.concurrency {
            calls.extend(begin());
        }
        while !calls.is_empty() && !self.interrupted.load(Ordering::Relaxed) {
            let mut all_wait = true;
            calls.retain_mut(|call| {
                let (began, running) = call;
                let step = running.step(quantum);
                all_wait &= matches!(step, Step::Waiting);
                let Step::Done(result) = step else {
                    return true;
                };
                tally.note(*began, result.map(|_| 0), running.usage());
                let next = begin();
                next.map(|next| *call = next).is_some()
            });
            if all_wait {
                thread::sleep(PAUSE);
            }
        }
    }

    /// Returns whether to begin another call, and counts it.
    fn next(&self) -> bool {
        !self.interrupted.load(Ordering::Relaxed)
            && self.time.is_none_or(|time| self.start.elapsed() < time)
            && {
                let before = self.begun.fetch_add(1, Ordering::Relaxed);
                self.calls.is_none_or(|calls| before < calls)
            }
    }

    fn show(&self, bar: &ProgressBar) {
        let elapsed = self.start.elapsed().as_secs_f64();
        let most = self.calls.unwrap_or(u64::MAX);
        let begun = self.begun.load(Ordering::Relaxed).min(most);
        let of_time = self.time.map(|time| elapsed / time.as_secs_f64());
        let of_calls = self.calls.map(|calls| begun as f64 / calls as f64);
        let part = of_time.unwrap_or(0.0).max(of_calls.unwrap_or(0.0));
        bar.set_position((part.min(1.0) * STEPS as f64) as u64);
        let per_second = HumanCount((begun as f64 / elapsed) as u64);
        bar.set_message(format!(
            "{} calls, {per_second} per second",
            HumanCount(begun)
        ));
    }
}

/// Returns a progress bar on stderr, hidden unless that is a terminal.
fn bar(what: &'static str) -> ProgressBar {
    let target = ProgressDrawTarget::stderr();
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {msg}");
    ProgressBar::with_draw_target(Some(STEPS), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(what)
}
