//! Calls for a time, or up to a number.

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

/// How often the progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// How long to wait where all calls wait.
const PAUSE: Duration = Duration::from_micros(100);

/// Steps of the progress bar.
const STEPS: u64 = 1_000;

pub(super) struct Phase<'a> {
    target: &'a Target,
    concurrency: u32,
    sliced: Option<u64>,
    /// How long to begin further calls.
    time: Option<Duration>,
    /// How many to begin.
    calls: Option<u64>,
    begun: Instant,
    /// How many began, or would have.
    started: AtomicU64,
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
            begun: Instant::now(),
            started: AtomicU64::new(0),
            interrupted,
        }
    }

    /// Makes the calls, and shows how far it is on a terminal.
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

    /// The calls of one thread.
    fn work(&self) -> Tally {
        let mut tally = Tally::new();
        match self.sliced {
            Some(quantum) => self.by_steps(quantum, &mut tally),
            None => {
                while self.next() {
                    let start = Instant::now();
                    let (result, fuel) = self.target.call();
                    tally.note(start, result, fuel);
                }
            }
        }
        tally
    }

    /// Calls that take turns.
    fn by_steps(&self, quantum: u64, tally: &mut Tally) {
        let start = || self.next().then(|| (Instant::now(), self.target.start()));
        let mut calls = Vec::new();
        for _ in 0..self.concurrency {
            calls.extend(start());
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
                tally.note(*began, result.map(|_| 0), running.usage().fuel);
                let next = start();
                next.map(|next| *call = next).is_some()
            });
            if all_wait {
                thread::sleep(PAUSE);
            }
        }
    }

    /// Whether to make one more call.
    fn next(&self) -> bool {
        !self.interrupted.load(Ordering::Relaxed)
            && self.time.is_none_or(|time| self.begun.elapsed() < time)
            && {
                let before = self.started.fetch_add(1, Ordering::Relaxed);
                self.calls.is_none_or(|calls| before < calls)
            }
    }

    fn show(&self, bar: &ProgressBar) {
        let elapsed = self.begun.elapsed().as_secs_f64();
        let most = self.calls.unwrap_or(u64::MAX);
        let started = self.started.load(Ordering::Relaxed).min(most);
        let of_time = self.time.map(|time| elapsed / time.as_secs_f64());
        let of_calls = self.calls.map(|calls| started as f64 / calls as f64);
        let part = of_time.unwrap_or(0.0).max(of_calls.unwrap_or(0.0));
        bar.set_position((part.min(1.0) * STEPS as f64) as u64);
        let a_second = HumanCount((started as f64 / elapsed) as u64);
        bar.set_message(format!(
            "{} calls, {a_second} a second",
            HumanCount(started)
        ));
    }
}

/// A bar on stderr, where that is a terminal.
fn bar(what: &'static str) -> ProgressBar {
    let target = ProgressDrawTarget::stderr();
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {msg}");
    ProgressBar::with_draw_target(Some(STEPS), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(what)
}
