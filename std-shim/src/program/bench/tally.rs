//! What was measured.

use super::super::exit::Exit;
use hdrhistogram::Histogram;
use hostel::CallError;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The longest time that is told apart, in nanoseconds: an hour.
const LONGEST: u64 = 3_600_000_000_000;

/// What was measured of some calls.
pub(super) struct Tally {
    /// How long each took, in nanoseconds.
    pub(super) times: Histogram<u64>,
    /// From the first one's start to the last one's end.
    span: Option<(Instant, Instant)>,
    pub(super) used: Used,
    /// Those that failed, by the error's code.
    pub(super) errors: BTreeMap<&'static str, Failed>,
}

/// The calls that failed in one way.
#[derive(Clone)]
pub(super) struct Failed {
    pub(super) count: u64,
    /// What the first of them said.
    pub(super) message: String,
    pub(super) exit: Exit,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            // Three digits of each time are kept.
            times: Histogram::new_with_max(LONGEST, 3).expect("the bounds are in order"),
            span: None,
            used: Used::NONE,
            errors: BTreeMap::new(),
        }
    }

    /// Notes a call that began at `start` and ended now, as a command with this exit code.
    pub(super) fn note(&mut self, start: Instant, result: Result<u32, CallError>) {
        let now = Instant::now();
        let took = (now - start).as_nanos().try_into().unwrap_or(LONGEST);
        self.times.saturating_record(took);
        self.widen((start, now));
        let (code, exit) = match &result {
            Ok(0) => return,
            Ok(code) => ("exit-code", Exit::from(*code)),
            Err(error) => (error.code(), Exit::from(error)),
        };
        let new = || Failed {
            count: 0,
            message: match &result {
                Ok(code) => format!("the command ended with exit code {code}"),
                Err(error) => error.to_string(),
            },
            exit,
        };
        self.errors.entry(code).or_insert_with(new).count += 1;
    }

    /// Adds what another thread measured at the same time.
    pub(super) fn add(&mut self, other: &Self) {
        self.times += &other.times;
        self.used.add(other.used);
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

    /// How long all took together, if there was one.
    pub(super) fn elapsed(&self) -> Option<Duration> {
        self.span.map(|(start, end)| end - start)
    }
}

/// What calls used.
#[derive(Clone, Copy)]
pub(super) struct Used {
    calls: u64,
    fuel: u128,
    pub(super) least_fuel: u64,
    pub(super) most_fuel: u64,
    /// Bytes of linear memory, of the one that had most.
    pub(super) memory: usize,
}

impl Used {
    /// That of no call.
    const NONE: Self = Self {
        calls: 0,
        fuel: 0,
        least_fuel: u64::MAX,
        most_fuel: 0,
        memory: 0,
    };

    /// What one call used.
    pub(super) fn new(fuel: u64, memory: usize) -> Self {
        Self {
            calls: 1,
            fuel: fuel.into(),
            least_fuel: fuel,
            most_fuel: fuel,
            memory,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.least_fuel = self.least_fuel.min(other.least_fuel);
        self.calls += other.calls;
        self.fuel += other.fuel;
        self.most_fuel = self.most_fuel.max(other.most_fuel);
        self.memory = self.memory.max(other.memory);
    }

    /// Fuel that a call used on the average; `None` where there was none.
    pub(super) fn mean_fuel(&self) -> Option<u64> {
        let mean = self.fuel.checked_div(self.calls.into())?;
        u64::try_from(mean).ok()
    }
}
