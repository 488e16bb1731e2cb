//! The steps of a call that is stepped or awaited.

use super::run::SLICE;
use crate::base::{limits::Usage, platform::Platform};
use alloc::sync::Arc;
use core::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::Context,
    time::Duration,
};
use spin::{Mutex, Once};

/// The default fuel of a step.
const QUANTUM: usize = 10_000;

/// The steps of a call. Shared between the handle that steps it and the run.
pub(crate) struct Pace {
    /// The default fuel of a step, and the fuel that the running step has left for further slices.
    quantum: AtomicUsize,
    left: AtomicUsize,
    /// Whether the last step ended because its quantum was used up.
    ended: AtomicBool,
    /// The call's use so far.
    usage: Mutex<Usage>,
    /// The platform, and its time when the call began.
    began: Once<(Arc<dyn Platform>, Option<Duration>)>,
}

impl Pace {
    pub(crate) const fn new() -> Self {
        Self {
            quantum: AtomicUsize::new(QUANTUM),
            left: AtomicUsize::new(QUANTUM),
            ended: AtomicBool::new(false),
            usage: Mutex::new(Usage::ZERO),
            began: Once::new(),
        }
    }

    /// Begins to measure the call's time, unless that has begun.
    pub(crate) fn start_clock(&self, platform: &Arc<dyn Platform>) {
        self.began.call_once(|| (platform.clone(), platform.now()));
    }

    /// Sets the call's use so far.
    pub(crate) fn note(&self, usage: Usage) {
        *self.usage.lock() = usage;
    }

    /// Returns the call's use so far, without its time.
    pub(crate) fn noted(&self) -> Usage {
        *self.usage.lock()
    }

    /// Adds the call's time, after a step, to what was noted.
    pub(crate) fn note_time(&self) {
        if let Some((platform, Some(began))) = self.began.get()
            && let Some(now) = platform.now()
        {
            self.usage.lock().time = now.saturating_sub(*began);
        }
    }

    /// Sets the default fuel of a step.
    pub(crate) fn set_quantum(&self, fuel: u64) {
        self.quantum.store(positive_word(fuel), Ordering::Relaxed);
    }

    /// Begins a step of `fuel`, or of the default.
    pub(crate) fn begin(&self, fuel: Option<u64>) {
        let default = || self.quantum.load(Ordering::Relaxed);
        self.left
            .store(fuel.map_or_else(default, positive_word), Ordering::Relaxed);
    }

    /// Returns whether a step has ended with its quantum since the last call of this.
    pub(crate) fn take_ended(&self) -> bool {
        self.ended.swap(false, Ordering::Relaxed)
    }

    /// Returns whether the quantum is used up, and if so has the step end: the task is woken to be
    /// polled again.
    pub(super) fn ends_step(&self, context: &Context<'_>) -> bool {
        let ends = self.left.load(Ordering::Relaxed) == 0;
        if ends {
            self.ended.store(true, Ordering::Relaxed);
            context.waker().wake_by_ref();
        }
        ends
    }

    /// Returns the fuel for the step's next slice.
    pub(super) fn slice(&self) -> u64 {
        self.left.load(Ordering::Relaxed).min(SLICE as usize) as u64
    }

    /// Takes `fuel` from the step.
    pub(crate) fn take(&self, fuel: u64) {
        let fuel = usize::try_from(fuel).unwrap_or(usize::MAX);
        let left = self.left.load(Ordering::Relaxed).saturating_sub(fuel);
        self.left.store(left, Ordering::Relaxed);
    }
}

/// Converts `fuel` to a word of at least 1, since a step of 0 would make no progress. Larger values
/// become the largest word: 32-bit devices have no 64-bit atomics, and so long a step is as good as
/// endless.
fn positive_word(fuel: u64) -> usize {
    usize::try_from(fuel).unwrap_or(usize::MAX).max(1)
}
