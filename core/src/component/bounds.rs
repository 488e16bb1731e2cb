//! [`Tally`]: what lifting and lowering take from the call that they belong to.

use super::broken;
use crate::{base::fuel::Spending, error::CallError};

/// Units of fuel for which values are lifted or lowered without a look at the deadline.
const UNCHECKED: u64 = 8_192;

/// What lifting or lowering may take from its call.
pub(crate) struct Bounds<'a> {
    pub(crate) spending: Spending<'a>,
    /// Most bytes: of the host's heap that lifted values take, or of the blocks of lowered ones.
    pub(crate) room: usize,
    /// Returns the error for values that need that many bytes, and more than `room`.
    pub(crate) too_large: fn(limit: usize, found: usize) -> CallError,
    /// Fails if the call was cancelled or has passed its deadline.
    pub(crate) check: &'a dyn Fn() -> Result<(), CallError>,
}

/// What lifting or lowering has taken so far.
pub(super) struct Tally<'a> {
    bounds: Bounds<'a>,
    /// Bytes.
    taken: usize,
    /// Units of fuel until the next look at the deadline.
    unchecked: u64,
}

impl<'a> Tally<'a> {
    pub(super) const fn new(bounds: Bounds<'a>) -> Self {
        Self {
            bounds,
            taken: 0,
            unchecked: UNCHECKED,
        }
    }

    /// Returns the bytes that were taken.
    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    /// Goes on after bytes were taken.
    pub(super) const fn resume(&mut self, taken: usize) {
        self.taken = taken;
    }

    /// Spends fuel before the work that it pays for.
    pub(super) fn spend(&mut self, units: u64) -> Result<(), CallError> {
        if self.bounds.spending.spend(units).is_err() {
            // Charging the tally fails with an error that has the figures.
            return Err(broken("out of fuel"));
        }
        match self.unchecked.checked_sub(units) {
            Some(left) => self.unchecked = left,
            None => {
                self.unchecked = UNCHECKED;
                (self.bounds.check)()?;
            }
        }
        Ok(())
    }

    /// Counts bytes before they are taken. Fails if all so far, and `besides`, are more than there is room for.
    pub(super) fn take(&mut self, bytes: usize, besides: usize) -> Result<(), CallError> {
        self.taken = self.taken.saturating_add(bytes);
        let all = self.taken.saturating_add(besides);
        if all > self.bounds.room {
            return Err((self.bounds.too_large)(self.bounds.room, all));
        }
        Ok(())
    }
}
