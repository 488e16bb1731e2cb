//! The fuel that host work costs, and a tally of it that is charged when the work is done.

use core::cell::Cell;

/// Fuel for one call of a host function or of an export, besides the charge for its bytes.
pub(crate) const BASE: u64 = 20;

/// Returns the fuel for reading, writing or scanning `bytes` bytes: 1 unit for each 64, rounded up,
/// as wasmi charges a guest's own bulk operations.
pub(crate) const fn fuel_for(bytes: usize) -> u64 {
    bytes.div_ceil(64) as u64
}

/// The fuel that host work may spend, and has spent. The caller charges it when the work is done:
/// until then the work borrows the store, which holds the fuel.
#[derive(Clone, Copy)]
pub(crate) struct Spending<'a> {
    available: u64,
    spent: &'a Cell<u64>,
}

/// The error that the fuel does not suffice. It carries no figures: charging the tally then fails
/// with an error that has them.
pub(crate) struct Overdrawn;

impl<'a> Spending<'a> {
    #[inline(always)]
    pub(crate) const fn new(available: u64, spent: &'a Cell<u64>) -> Self {
        Self { available, spent }
    }

    /// Spends `units`. Call it before the work that they pay for.
    #[inline(always)]
    pub(crate) fn spend(&self, units: u64) -> Result<(), Overdrawn> {
        match self.spent.get().checked_add(units) {
            Some(spent) if spent <= self.available => {
                self.spent.set(spent);
                Ok(())
            }
            _ => Err(self.overdraw()),
        }
    }

    /// Returns the fuel that is left.
    #[cfg(feature = "profile")]
    pub(crate) const fn left(&self) -> u64 {
        self.available.saturating_sub(self.spent.get())
    }

    #[cold]
    #[inline(never)]
    fn overdraw(&self) -> Overdrawn {
        // More than any call has, so that charging it fails even if the error is dropped.
        self.spent.set(u64::MAX);
        Overdrawn
    }
}
