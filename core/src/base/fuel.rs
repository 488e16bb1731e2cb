//! What host work costs, and what of it is spent before it is charged.

use core::cell::Cell;

/// Fuel for one host call, and for one exchange of bytes with a guest, whatever its size.
pub(crate) const BASE: u64 = 20;

/// Fuel for reading, writing or scanning `bytes` bytes: one unit for each 64, rounded up, as
/// wasmi charges a guest's own bulk operations.
pub(crate) const fn fuel_for(bytes: usize) -> u64 {
    bytes.div_ceil(64) as u64
}

/// The fuel that host work may spend, and what it has spent. Charged to the call once the work is
/// done, since the store, which holds the fuel, is borrowed meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Spending<'a> {
    available: u64,
    spent: &'a Cell<u64>,
}

/// There is too little fuel for the work. Charging what was spent then fails, and says how much
/// there was.
pub(crate) struct Overdrawn;

impl<'a> Spending<'a> {
    #[inline(always)]
    pub(crate) const fn new(available: u64, spent: &'a Cell<u64>) -> Self {
        Self { available, spent }
    }

    /// Spends `units` for work that is about to be done.
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

    #[cold]
    #[inline(never)]
    fn overdraw(&self) -> Overdrawn {
        self.spent.set(u64::MAX);
        Overdrawn
    }
}
