//! How a call is run by steps.

use super::run::SLICE;
use crate::base::limits::Usage;
use core::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::Context,
};
use spin::Mutex;

/// The fuel of a step where nobody says otherwise.
const QUANTUM: usize = 10_000;

/// How a call is run by steps; shared by who steps and what runs.
pub(crate) struct Pace {
    /// The fuel of a step, and what is left of it for further slices.
    quantum: AtomicUsize,
    left: AtomicUsize,
    /// Whether the last step ended with its quantum.
    ended: AtomicBool,
    /// What the call has used, once that is known.
    usage: Mutex<Usage>,
}

impl Pace {
    pub(crate) const fn new() -> Self {
        Self {
            quantum: AtomicUsize::new(QUANTUM),
            left: AtomicUsize::new(QUANTUM),
            ended: AtomicBool::new(false),
            usage: Mutex::new(Usage::ZERO),
        }
    }

    /// Notes what the call has used.
    pub(crate) fn note(&self, usage: Usage) {
        *self.usage.lock() = usage;
    }

    pub(crate) fn usage(&self) -> Usage {
        *self.usage.lock()
    }

    /// Sets the fuel of a step where nobody says otherwise.
    pub(crate) fn set_quantum(&self, fuel: u64) {
        self.quantum.store(in_a_word(fuel), Ordering::Relaxed);
    }

    /// Begins a step of so much fuel.
    pub(crate) fn begin(&self, fuel: Option<u64>) {
        let usual = || self.quantum.load(Ordering::Relaxed);
        self.left
            .store(fuel.map_or_else(usual, in_a_word), Ordering::Relaxed);
    }

    /// Whether a step has ended with its quantum since this was last asked.
    pub(crate) fn take_ended(&self) -> bool {
        self.ended.swap(false, Ordering::Relaxed)
    }

    /// Whether the quantum is used up, so that whoever runs the call by steps gets control back.
    pub(super) fn ends_step(&self, context: &Context<'_>) -> bool {
        let ends = self.left.load(Ordering::Relaxed) == 0;
        if ends {
            self.ended.store(true, Ordering::Relaxed);
            context.waker().wake_by_ref();
        }
        ends
    }

    /// Fuel for a slice of the step.
    pub(super) fn slice(&self) -> u64 {
        self.left.load(Ordering::Relaxed).min(SLICE as usize) as u64
    }

    pub(super) fn take(&self, fuel: u64) {
        let fuel = usize::try_from(fuel).unwrap_or(usize::MAX);
        let left = self.left.load(Ordering::Relaxed).saturating_sub(fuel);
        self.left.store(left, Ordering::Relaxed);
    }
}

/// More than a word holds is as good as all.
fn in_a_word(fuel: u64) -> usize {
    usize::try_from(fuel).unwrap_or(usize::MAX).max(1)
}
