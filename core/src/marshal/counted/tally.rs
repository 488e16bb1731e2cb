//! Counts the heap and the work of a value that is deserialised.

use crate::{
    base::fuel::{Spending, fuel_for},
    error::CallError,
    marshal::interrupts::Interrupts,
    memory::no_room,
};
use alloc::vec::Vec;
use core::{cell::Cell, hint::black_box};

/// Bytes of heap that must stay free beside a block. serde's collections abort if an allocation fails,
/// so that each is tried before.
const RESERVE: usize = 4 << 10;

/// Bytes that a block of the heap takes beside its contents.
const BLOCK: usize = 16;

/// Fuel between two checks of the deadline: some tenths of a millisecond.
const CHECKED: u64 = 4_096;

/// What deserialising values may take.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'a> {
    /// Most bytes of heap.
    pub(crate) bytes: usize,
    /// Most levels of values inside values.
    pub(crate) levels: usize,
    pub(crate) interrupts: Interrupts<'a>,
}

/// The heap and the work of values that are deserialised.
pub(crate) struct Tally<'a> {
    spending: Spending<'a>,
    bounds: Bounds<'a>,
    /// Bytes of heap that the values have so far.
    bytes: &'a Cell<usize>,
    /// Bytes of heap that are known to be free.
    free: Cell<usize>,
    /// Levels that enclose the value that is being read.
    level: Cell<usize>,
    /// Fuel until the next check of the deadline.
    unchecked: Cell<u64>,
    /// Whether reading was stopped, and the reason.
    stopped: Cell<bool>,
    failed: Cell<Option<CallError>>,
}

/// The error that reading must end. The tally holds the reason.
pub(crate) struct Stopped;

impl<'a> Tally<'a> {
    /// Creates a tally that adds to the `bytes` of values read before.
    pub(crate) const fn new(
        spending: Spending<'a>,
        bounds: Bounds<'a>,
        bytes: &'a Cell<usize>,
    ) -> Self {
        Self {
            spending,
            bounds,
            bytes,
            free: Cell::new(0),
            level: Cell::new(0),
            unchecked: Cell::new(CHECKED),
            stopped: Cell::new(false),
            failed: Cell::new(None),
        }
    }

    /// Returns the reason why reading was stopped, if it was.
    pub(crate) fn into_error(self) -> Option<CallError> {
        self.failed.into_inner()
    }

    /// Charges `units` for work that is about to be done. Checks the deadline from time to time.
    #[inline]
    pub(crate) fn charge(&self, units: u64) -> Result<(), Stopped> {
        let spent = self.spending.spend(units);
        let left = self.unchecked.get().checked_sub(units);
        match (spent, left) {
            (Ok(()), Some(left)) => {
                self.unchecked.set(left);
                Ok(())
            }
            (Ok(()), None) => self.check(),
            (Err(overdrawn), _) => Err(self.stop(overdrawn.into())),
        }
    }

    /// Checks the deadline. Fails once reading was stopped.
    #[cold]
    #[inline(never)]
    fn check(&self) -> Result<(), Stopped> {
        if self.stopped.get() {
            return Err(Stopped);
        }
        match self.bounds.interrupts.check() {
            Ok(()) => {
                self.unchecked.set(CHECKED);
                Ok(())
            }
            Err(error) => Err(self.stop(error)),
        }
    }

    /// Counts and charges a block of the heap with `bytes` bytes, which is about to be allocated.
    pub(crate) fn block(&self, bytes: usize) -> Result<(), Stopped> {
        self.replace_block(0, bytes.saturating_add(BLOCK))
    }

    /// Counts and charges a block with `after` bytes, to which the `before` bytes of another are about
    /// to be moved. For a moment both are in use.
    pub(crate) fn replace_block(&self, before: usize, after: usize) -> Result<(), Stopped> {
        let bytes = self.bytes.get().saturating_add(after);
        if bytes > self.bounds.bytes {
            let limit = self.bounds.bytes;
            return Err(self.stop(CallError::DeserializedTooLarge { limit }));
        }
        self.bytes.set(bytes.saturating_sub(before));
        self.charge(fuel_for(after).saturating_add(1))?;
        self.try_allocate(after)
    }

    /// Fails if the heap has no room for a block with `bytes` bytes.
    fn try_allocate(&self, bytes: usize) -> Result<(), Stopped> {
        if let Some(free) = self.free.get().checked_sub(bytes) {
            self.free.set(free);
            return Ok(());
        }
        let needed = bytes.saturating_add(RESERVE);
        let mut block = Vec::<u8>::new();
        let reserved = block.try_reserve_exact(needed);
        // A block that nobody uses could be optimised away, and so always be there.
        drop(black_box(block));
        if reserved.is_err() {
            return Err(self.stop(no_room(needed)));
        }
        self.free.set(RESERVE);
        Ok(())
    }

    /// Does `work` one level deeper.
    pub(crate) fn deeper<R, E>(
        &self,
        stopped: impl FnOnce(Stopped) -> E,
        work: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, E> {
        let (level, limit) = (self.level.get(), self.bounds.levels);
        if level >= limit {
            return Err(stopped(self.stop(CallError::NestedTooDeep { limit })));
        }
        self.level.set(level.saturating_add(1));
        let result = work();
        self.level.set(level);
        result
    }

    /// Notes why reading ends. The first reason counts.
    #[cold]
    #[inline(never)]
    fn stop(&self, error: CallError) -> Stopped {
        if !self.stopped.replace(true) {
            self.failed.set(Some(error));
        }
        // A visitor may go on after an error: let each later charge come to `check`.
        self.unchecked.set(0);
        Stopped
    }
}
