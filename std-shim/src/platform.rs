//! The platform of a machine with an operating system.

use crate::timer::Timer;
use hostel_core::{Nesting, Platform};
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::{Duration, Instant},
};

/// The [`Platform`] of a machine with an operating system.
///
/// * A monotonic clock, for deadlines.
/// * Blocking waits, for guests that sleep or wait in blocking calls.
/// * A timer thread, for awaited calls that sleep or have a deadline. It runs only while such calls
///   wait.
/// * At most 16 calls inside one another on a thread, if host functions call plugins.
/// * A panic in a host function traps the guest, instead of ending the process.
///
/// ```
/// use hostel::{Engine, Limits, Std};
/// let engine = Engine::new(Limits::server()).with_platform(Std::new());
/// # drop(engine);
/// ```
#[derive(Debug)]
pub struct Std {
    start: Instant,
    /// Number of calls of `wake`.
    changes: Mutex<u64>,
    changed: Condvar,
    timer: Timer,
}

impl Std {
    /// Creates a platform whose clock starts now.
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
            // Called without the lock: `ready` may be slow, and may call `wake`.
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
        let at = match at {
            None => Some(Instant::now()),
            Some(at) => self.start.checked_add(at),
        };
        // A time that the system can't tell never comes.
        if let Some(at) = at {
            self.timer.wake_at(at, waker);
        }
    }

    fn forget_wake(&self, waker: &Waker) {
        self.timer.forget(waker);
    }

    fn nesting(&self) -> Option<fn(&mut dyn FnMut(&mut Nesting))> {
        thread_local! {
            static NESTING: RefCell<Nesting> = const { RefCell::new(Nesting::new(usize::MAX)) };
        }
        Some(|change| NESTING.with_borrow_mut(change))
    }

    fn containment(&self) -> Option<fn(&mut dyn FnMut())> {
        // Unwind safety is asserted: a panic leaves the guest's data half changed, but the guest traps
        // and is never used again. The embedder's own data is the embedder's to protect.
        Some(|work| drop(catch_unwind(AssertUnwindSafe(work))))
    }
}
