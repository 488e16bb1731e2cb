//! Locks of shuttle, and its condition variable with a wait that ends.

use crate::time::{Duration, Instant, Sleeper};
use shuttle::sync;

// Set once to a value that is equal in each schedule.
pub use std::sync::OnceLock;

pub use shuttle::sync::{Arc, LockResult, Mutex, MutexGuard, PoisonError};

/// Lets threads wait for one another.
#[derive(Debug, Default)]
pub struct Condvar(Arc<sync::Condvar>);

/// Whether a wait ended because its time was over.
#[derive(Clone, Copy, Debug)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Returns whether the time was over.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// Wakes one of the threads that wait.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Waits until a thread is notified while `condition` is false.
    ///
    /// # Errors
    ///
    /// If a thread panicked while it had the lock.
    pub fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait_while(guard, condition)
    }

    /// Waits until a thread is notified, or `time` has passed.
    ///
    /// # Errors
    ///
    /// If a thread panicked while it had the lock.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        // A time that the clock can't tell never comes.
        let until = Instant::now().checked_add(time);
        let guard = self.wait(guard, until)?;
        let over = until.is_some_and(|until| Instant::now() >= until);
        Ok((guard, WaitTimeoutResult(over)))
    }

    /// Waits until a thread is notified while `condition` is false, or `time` has passed.
    ///
    /// # Errors
    ///
    /// If a thread panicked while it had the lock.
    pub fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        time: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let until = Instant::now().checked_add(time);
        while condition(&mut guard) {
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            guard = self.wait(guard, until)?;
        }
        Ok((guard, WaitTimeoutResult(false)))
    }

    fn wait<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        until: Option<Instant>,
    ) -> Result<MutexGuard<'a, T>, PoisonError<(MutexGuard<'a, T>, WaitTimeoutResult)>> {
        let _sleeper = until.map(|until| Sleeper::new(until, &self.0));
        let waited = self.0.wait(guard);
        waited.map_err(|error| PoisonError::new((error.into_inner(), WaitTimeoutResult(false))))
    }
}
