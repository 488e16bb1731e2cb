//! The operating system, as the core asks for it.

use crate::timer::Timer;
use hostel_core::Platform;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::{Duration, Instant},
};

/// A machine with an operating system: a monotonic clock, threads that can wait, a timer for guests
/// that sleep in awaited calls, which is a thread while there are some, and panics of host functions
/// contained, so that they trap the guest instead of ending the process.
///
/// ```
/// use hostel::{Engine, Limits, Std};
/// let engine = Engine::new(Limits::server()).with_platform(Std::new());
/// # drop(engine);
/// ```
#[derive(Debug)]
pub struct Std {
    start: Instant,
    /// How often something has changed that is waited for.
    changes: Mutex<u64>,
    changed: Condvar,
    timer: Timer,
}

impl Std {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            changes: Mutex::new(0),
            changed: Condvar::new(),
            timer: Timer::default(),
        }
    }
}

impl Std {
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Std {
    fn default() -> Self {
        Self::new()
    }
}

impl Platform for Std {
    fn now(&self) -> Option<Duration> {
        Some(self.start.elapsed())
    }

    fn wait_until(&self, ready: &dyn Fn() -> bool, until: Option<Duration>) -> bool {
        loop {
            let before = *self.lock();
            // Without the lock: it is the embedder's, may take its time, and wake others.
            if ready() {
                return true;
            }
            let changes = self.lock();
            let same = |changes: &mut u64| *changes == before;
            match until {
                None => drop(self.changed.wait_while(changes, same)),
                Some(until) => {
                    let left = until.saturating_sub(self.start.elapsed());
                    if left.is_zero() {
                        return false;
                    }
                    drop(self.changed.wait_timeout_while(changes, left, same));
                }
            }
        }
    }

    fn wake(&self) {
        let mut changes = self.lock();
        *changes = changes.wrapping_add(1);
        drop(changes);
        self.changed.notify_all();
    }

    fn wake_at(&self, at: Option<Duration>, waker: &Waker) {
        let at = at.and_then(|at| self.start.checked_add(at));
        self.timer.wake_at(at.unwrap_or_else(Instant::now), waker);
    }

    fn containment(&self) -> Option<fn(&mut dyn FnMut())> {
        // What the closure leaves half done is the guest's, which is trapped and not used again,
        // or the embedder's, whose data should be fit for panics as anywhere else.
        Some(|work| drop(catch_unwind(AssertUnwindSafe(work))))
    }
}
