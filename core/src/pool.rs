//! How many instances of a plugin run at once.

use crate::{error::CallError, platform::Platform};
use core::time::Duration;
use spin::Mutex;

/// Counts the instances in use, up to a limit.
pub(crate) struct Pool {
    limit: usize,
    in_use: Mutex<usize>,
}

impl Pool {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            in_use: Mutex::new(0),
        }
    }

    /// Takes a place, waiting for one as long as the platform can wait, at most until `until`.
    pub(crate) fn enter<'a>(
        &'a self,
        platform: &'a dyn Platform,
        until: Option<Duration>,
    ) -> Result<Place<'a>, CallError> {
        if self.take() || platform.wait_until(&|| self.take(), until) {
            Ok(Place {
                pool: self,
                platform,
            })
        } else {
            Err(CallError::Busy { limit: self.limit })
        }
    }

    fn take(&self) -> bool {
        let mut in_use = self.in_use.lock();
        let free = *in_use < self.limit;
        *in_use = in_use.saturating_add(usize::from(free));
        free
    }
}

/// A place in a [`Pool`], given back when it goes.
pub(crate) struct Place<'a> {
    pool: &'a Pool,
    platform: &'a dyn Platform,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        {
            let mut in_use = self.pool.in_use.lock();
            *in_use = in_use.saturating_sub(1);
        }
        self.platform.wake();
    }
}
