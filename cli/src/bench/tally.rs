//! Measurements of calls.

use super::super::{exit::Exit, failure};
use hdrhistogram::Histogram;
use hostel::{CallError, Usage};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The longest time that is recorded exactly, in nanoseconds: one hour.
const LONGEST: u64 = 3_600_000_000_000;

/// Measurements of a number of calls.
pub(super) struct Tally {
    /// The time of each call, in nanoseconds.
    pub(super) times: Histogram<u64>,
    /// From the start of the first call to the end of the last.
    span: Option<(Instant, Instant)>,
    pub(super) fuel: Fuel,
    /// The failed calls, by the error's code.
    pub(super) errors: BTreeMap<&'static str, Failed>,
}

/// The calls that failed with one error code.
#[derive(Clone)]
pub(super) struct Failed {
    pub(super) count: u64,
    /// The error of the first of them.
    pub(super) message: String,
    pub(super) exit: Exit,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            // Keeps three digits of each time.
            times: Histogram::new_with_max(LONGEST, 3).expect("the bounds are in order"),
            span: None,
            fuel: Fuel::NONE,
            errors: BTreeMap::new(),
        }
    }

    /// Records a call that began at `start` and ends now. `Ok` has a command's exit code, or 0.
    pub(super) fn note(&mut self, start: Instant, result: Result<u32, CallError>, usage: Usage) {
        let now = Instant::now();
        let took = (now - start).as_nanos().try_into().unwrap_or(LONGEST);
        self.times.saturating_record(took);
        self.widen((start, now));
        self.fuel.add(Fuel::of(usage.fuel));
        let (code, exit) = match &result {
            Ok(0) => return,
            Ok(code) => ("exit-code", Exit::from(*code)),
            Err(error) => (error.code(), Exit::from(error)),
        };
        let message = || {
            let message = match &result {
                Ok(code) => format!("the command ended with exit code {code}"),
                // Says itself what was refused before it.
                Err(error @ CallError::Trap(_)) => return error.to_string(),
                Err(error) => error.to_string(),
            };
            match usage.refused_growth {
                Some(refused) => format!("{message}; {}", failure::refusal(refused)),
                None => message,
            }
        };
        let new = || Failed {
            count: 0,
            message: message(),
            exit,
        };
        self.errors.entry(code).or_insert_with(new).count += 1;
    }

    /// Adds the measurements of another thread, made during the same time.
    pub(super) fn add(&mut self, other: &Self) {
        self.times += &other.times;
        self.fuel.add(other.fuel);
        if let Some(span) = other.span {
            self.widen(span);
        }
        for (code, failed) in &other.errors {
            let new = || Failed {
                count: 0,
                ..failed.clone()
            };
            self.errors.entry(code).or_insert_with(new).count += failed.count;
        }
    }

    fn widen(&mut self, (start, end): (Instant, Instant)) {
        let (first, last) = self.span.unwrap_or((start, end));
        self.span = Some((first.min(start), last.max(end)));
    }

    /// Returns the time from the first call's start to the last one's end, or `None` without calls.
    pub(super) fn elapsed(&self) -> Option<Duration> {
        self.span.map(|(start, end)| end - start)
    }
}

/// The fuel that calls used.
#[derive(Clone, Copy)]
pub(super) struct Fuel {
    total: u128,
    pub(super) least: u64,
    pub(super) most: u64,
}

impl Fuel {
    /// No calls.
    const NONE: Self = Self {
        total: 0,
        least: u64::MAX,
        most: 0,
    };

    const fn of(call: u64) -> Self {
        Self {
            total: call as u128,
            least: call,
            most: call,
        }
    }

    fn add(&mut self, other: Self) {
        self.total += other.total;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }

    /// Returns the mean over `calls` calls, or `None` without calls.
    pub(super) fn mean(&self, calls: u64) -> Option<u64> {
        let mean = self.total.checked_div(calls.into())?;
        u64::try_from(mean).ok()
    }
}
