//! A clock that stands still until a test sets it.

use crate::thread;
use shuttle::sync::Condvar;
use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

pub use std::time::Duration;

/// A time on the clock: how long after its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    /// Returns the time of the clock.
    pub fn now() -> Self {
        CLOCK.with_borrow(|clock| Self(clock.now))
    }

    /// Returns the time since this one.
    pub fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    /// Returns the time `after` this one.
    pub fn checked_add(&self, after: Duration) -> Option<Self> {
        self.0.checked_add(after).map(Self)
    }

    /// Returns how long this is after `earlier`; zero if it is before.
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

#[derive(Default)]
struct Clock {
    now: Duration,
    /// The threads that wait for a time, in its order; each with a number of its own.
    sleepers: BTreeMap<(Duration, u64), Arc<Condvar>>,
    last: u64,
}

std::thread_local! {
    /// One for each execution, whose threads shuttle runs on one thread.
    static CLOCK: RefCell<Clock> = RefCell::default();
}

/// A thread that waits for a time, listed until this is dropped.
pub(crate) struct Sleeper((Duration, u64));

impl Sleeper {
    pub(crate) fn new(at: Instant, condvar: &Arc<Condvar>) -> Self {
        CLOCK.with_borrow_mut(|clock| {
            clock.last += 1;
            let key = (at.0, clock.last);
            clock.sleepers.insert(key, condvar.clone());
            Self(key)
        })
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        CLOCK.with_borrow_mut(|clock| clock.sleepers.remove(&self.0));
    }
}

/// Sets the clock to its start, for a new execution.
pub fn reset() {
    let before = CLOCK.take();
    drop(before);
}

/// Has time pass, and returns when all threads are awake that waited for a time until then.
pub fn advance(by: Duration) {
    let now = CLOCK.with_borrow_mut(|clock| {
        clock.now += by;
        clock.now
    });
    let due = || {
        CLOCK.with_borrow(|clock| {
            let first = clock.sleepers.first_key_value();
            first.and_then(|((at, _), condvar)| (*at <= now).then(|| condvar.clone()))
        })
    };
    // Again and again, since a thread may be listed that does not wait yet.
    while let Some(condvar) = due() {
        condvar.notify_all();
        shuttle::thread::yield_now();
    }
}

/// Has time pass until all threads have ended that were [started](thread::Builder).
pub fn run_out() {
    while thread::running() > 0 {
        let next = CLOCK.with_borrow(|clock| {
            let first = clock.sleepers.first_key_value();
            first.map(|((at, _), _)| at.saturating_sub(clock.now))
        });
        match next {
            Some(by) => advance(by),
            None => shuttle::thread::yield_now(),
        }
    }
}
