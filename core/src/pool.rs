//! How many instances of a plugin run at once, and those that wait for the next call.

use crate::{
    error::CallError,
    image::Image,
    limits::{Limits, Usage},
    platform::Platform,
    sandbox::Sandbox,
};
use alloc::vec::Vec;
use core::time::Duration;
use spin::{Mutex, Once};

/// Counts the instances in use, up to a limit, and keeps some that were made as new.
///
/// No lock is held while a guest runs, nor while one is made as new.
pub(crate) struct Pool<T: 'static> {
    limit: usize,
    figures: Mutex<PoolFigures>,
    idle: Mutex<Vec<Sandbox<T>>>,
    most_idle: usize,
    /// What a fresh instance holds and what making it used, once one was made; nothing where used
    /// ones can't be made like it.
    fresh: Once<Option<Fresh>>,
}

/// What a plugin's pool of instances does, and has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolFigures {
    /// Instances that calls run in now.
    pub in_use: usize,
    /// Instances that are kept, as new, for later calls.
    pub idle: usize,
    /// Calls that found no place at once.
    pub waits: u64,
    /// Instances that were used, made as new and kept.
    pub resets: u64,
    /// Instances that were used and given up: stopped, not to be made as new, or too many.
    pub discards: u64,
}

/// A fresh instance's state, and what making it used.
pub(crate) struct Fresh {
    pub(crate) image: Image,
    pub(crate) usage: Usage,
}

impl<T> Pool<T> {
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self {
            limit: limits.instances,
            figures: Mutex::new(PoolFigures {
                in_use: 0,
                idle: 0,
                waits: 0,
                resets: 0,
                discards: 0,
            }),
            idle: Mutex::new(Vec::new()),
            most_idle: limits.idle,
            fresh: Once::new(),
        }
    }

    /// Takes a place, waiting for one as long as the platform can wait, at most until `until`.
    pub(crate) fn enter<'a>(
        &'a self,
        platform: &'a dyn Platform,
        until: Option<Duration>,
    ) -> Result<Place<'a, T>, CallError> {
        match self.try_enter(platform) {
            Err(CallError::Busy { .. }) if self.wait(platform, until) => Ok(self.place(platform)),
            place => place,
        }
    }

    /// Takes a place if one is free.
    pub(crate) fn try_enter<'a>(
        &'a self,
        platform: &'a dyn Platform,
    ) -> Result<Place<'a, T>, CallError> {
        if self.take() {
            Ok(self.place(platform))
        } else {
            Err(CallError::Busy { limit: self.limit })
        }
    }

    const fn place<'a>(&'a self, platform: &'a dyn Platform) -> Place<'a, T> {
        Place {
            pool: self,
            platform,
        }
    }

    fn wait(&self, platform: &dyn Platform, until: Option<Duration>) -> bool {
        let mut figures = self.figures.lock();
        figures.waits = figures.waits.saturating_add(1);
        drop(figures);
        platform.wait_until(&|| self.take(), until)
    }

    fn take(&self) -> bool {
        let mut figures = self.figures.lock();
        let free = figures.in_use < self.limit;
        figures.in_use = figures.in_use.saturating_add(usize::from(free));
        free
    }

    pub(crate) fn figures(&self) -> PoolFigures {
        let idle = self.idle.lock().len();
        PoolFigures {
            idle,
            ..*self.figures.lock()
        }
    }

    /// An instance that is as new, if there is one, and what making it used.
    pub(crate) fn idle(&self) -> Option<(Sandbox<T>, Usage)> {
        let fresh = self.fresh.get()?.as_ref()?;
        let sandbox = self.idle.lock().pop()?;
        Some((sandbox, fresh.usage))
    }

    /// Notes what a fresh instance is, unless that is known.
    pub(crate) fn note(&self, fresh: impl FnOnce() -> Option<Fresh>) {
        if self.most_idle > 0 {
            self.fresh.call_once(fresh);
        }
    }

    /// Makes a used instance as new, with `data`, and keeps it for the next call, if it can be and
    /// there is room. `None` is one that was stopped.
    pub(crate) fn give_back(&self, sandbox: Option<Sandbox<T>>, data: T) {
        let kept = sandbox.is_some_and(|sandbox| self.keep(sandbox, data));
        let mut figures = self.figures.lock();
        figures.resets = figures.resets.saturating_add(kept.into());
        figures.discards = figures.discards.saturating_add((!kept).into());
    }

    fn keep(&self, mut sandbox: Sandbox<T>, data: T) -> bool {
        let Some(Some(fresh)) = self.fresh.get() else {
            return false;
        };
        if self.idle.lock().len() >= self.most_idle || !sandbox.reset(&fresh.image, data) {
            return false;
        }
        let mut idle = self.idle.lock();
        // Others may have been faster meanwhile.
        let room = idle.len() < self.most_idle;
        if room {
            idle.push(sandbox);
        }
        room
    }

    /// Gives up the instances that are kept.
    pub(crate) fn clear(&self) {
        let idle = core::mem::take(&mut *self.idle.lock());
        drop(idle);
    }
}

/// A place in a [`Pool`], given back when it goes.
pub(crate) struct Place<'a, T: 'static> {
    pool: &'a Pool<T>,
    platform: &'a dyn Platform,
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        {
            let mut figures = self.pool.figures.lock();
            figures.in_use = figures.in_use.saturating_sub(1);
        }
        self.platform.wake();
    }
}
