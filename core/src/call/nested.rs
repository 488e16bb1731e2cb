//! Bounds calls that host functions make while their guest's call runs.

use super::Shared;
use crate::{base::nesting::Nesting, error::CallError};
use core::{
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// A function that lends its argument the calls of the calling thread.
pub(crate) type WithNesting = fn(&mut dyn FnMut(&mut Nesting));

/// Most calls at a time in all threads together, if the platform can't tell the threads apart.
const MOST_UNKNOWN: usize = 64;

/// Number of calls that run on platforms that can't tell their threads apart.
static UNKNOWN: AtomicUsize = AtomicUsize::new(0);

/// A call that runs on this thread, until this is dropped.
#[must_use]
pub(crate) enum Entered {
    /// Its guest imports nothing, so no call can begin inside it.
    Leaf,
    /// It is counted in the thread's list.
    OnThread(WithNesting),
    /// It is counted among the calls of all threads.
    Unknown,
}

impl Shared {
    /// Counts a call, or a start, of the plugin's guest on this thread. Fails if too many calls run
    /// inside one another.
    #[inline]
    pub(crate) fn enter(&self) -> Result<Entered, CallError> {
        if !self.imports {
            return Ok(Entered::Leaf);
        }
        let Some(with_nesting) = self.nesting else {
            return enter_unknown();
        };
        match self.enter_thread(with_nesting) {
            None => Ok(Entered::OnThread(with_nesting)),
            Some(limit) => Err(CallError::TooNested { limit }),
        }
    }

    /// Adds a call to the thread's list. Returns the limit if there are as many already.
    #[inline(never)]
    fn enter_thread(&self, with_nesting: WithNesting) -> Option<usize> {
        let mut refused = None;
        with_nesting(&mut |nesting| refused = nesting.enter(self.number()).err());
        refused
    }

    /// Fails if a call on this thread must not wait, with the deadline `until`, for one of the
    /// plugin's instances, all `instances` of which are in use. The wait could last for ever: calls
    /// that run on this thread hold instances, and end only after it.
    pub(crate) fn may_wait(
        &self,
        until: Option<Duration>,
        instances: usize,
    ) -> Result<(), CallError> {
        let mut refused = false;
        if let Some(with_nesting) = self.nesting {
            with_nesting(&mut |nesting| {
                refused =
                    nesting.contains(self.number()) || (until.is_none() && !nesting.is_empty());
            });
        }
        if refused {
            return Err(CallError::NestedWait { limit: instances });
        }
        Ok(())
    }

    /// Returns a number that no other plugin has at this time.
    fn number(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        match self {
            Self::Leaf => {}
            Self::OnThread(with_nesting) => with_nesting(&mut Nesting::leave),
            Self::Unknown => {
                UNKNOWN.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// Counts a call on a platform that can't tell its threads apart.
#[inline]
fn enter_unknown() -> Result<Entered, CallError> {
    let before = UNKNOWN.fetch_add(1, Ordering::Relaxed);
    let entered = Entered::Unknown;
    if before < MOST_UNKNOWN {
        return Ok(entered);
    }
    let limit = MOST_UNKNOWN;
    Err(CallError::TooNested { limit })
}
