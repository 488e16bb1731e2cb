//! Limits the memories and tables of one instance.

use crate::{
    base::{growth::RefusedGrowth, limits::Limits, platform::Platform},
    module::GROWTH,
};
use alloc::sync::Arc;
use wasmi::{ResourceLimiter, errors::MemoryError};
use wasmi_core::LimiterError;

/// Bytes of the heap that a growing memory leaves free, if the platform knows how many are. They are
/// for allocations that can't fail cleanly: errors, log records, the stack of an allocator that a host
/// function calls, and small ones of the interpreter.
const RESERVE: usize = 4 << 10;

/// The sizes of an instance's memories and of its tables, each summed, with their limits.
pub(crate) struct InstanceLimiter {
    memory: Amount,
    table: Amount,
    /// The heap, once the guest itself can grow its memory. Its first memory was admitted before.
    heap: Option<Heap>,
    /// The last growth of a memory that was refused in this call.
    pub(crate) refused: Option<RefusedGrowth>,
    /// The size that a memory is growing to, in bytes, in case that fails.
    growing: usize,
    /// How the guest's code grows its memory.
    parts: Parts,
    /// Number of modules, each of which has one memory at most.
    modules: u16,
    /// Bytes that the host keeps for the guest in this call. They count against the limit of memory.
    kept: u32,
}

/// How the guest's code grows its memory by more than [`GROWTH`] bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    /// At once.
    No,
    /// In parts, after it has asked for all of it: see [`bulk`](crate::module).
    Yes,
    /// In parts, and it has asked for more than it may have: the part that follows is turned down too.
    Refused,
}

/// The heap that holds a guest's memory.
struct Heap {
    platform: Arc<dyn Platform>,
    /// Bytes allocated for the memory. The interpreter grows them to twice as many, or to the size
    /// that is needed if that is more.
    capacity: usize,
    /// The capacity before the last growth, in case that fails.
    last: usize,
}

impl Heap {
    /// Returns whether the heap has room for the memory to grow to `desired` bytes, as far as the
    /// platform knows, and notes the growth. `unknown` tells of one of several memories that has
    /// `current` bytes: what is allocated for it is not known.
    fn grow(&mut self, unknown: Option<usize>, desired: usize) -> bool {
        if let Some(current) = unknown {
            let block = current.saturating_mul(2).max(desired);
            let needed = block.saturating_add(RESERVE);
            return self.platform.free_bytes().is_none_or(|free| needed <= free);
        }
        self.last = self.capacity;
        if desired <= self.capacity {
            return true;
        }
        let capacity = self.capacity.saturating_mul(2).max(desired);
        let more = capacity.saturating_sub(self.capacity);
        let needed = more.saturating_add(RESERVE);
        let fits = self.platform.free_bytes().is_none_or(|free| needed <= free);
        if fits {
            self.capacity = capacity;
        }
        fits
    }
}

/// An amount with a limit. Keeps the last growth, which is undone if the allocation fails.
#[derive(Default)]
struct Amount {
    limit: usize,
    now: usize,
    last: usize,
}

impl Amount {
    /// Adds the growth from `current` to `desired`. Returns false if that exceeds what the limit leaves
    /// beside `kept`.
    fn grow(&mut self, current: usize, desired: usize, kept: usize) -> bool {
        let more = desired.saturating_sub(current);
        match self.now.checked_add(more) {
            Some(now) if now.saturating_add(kept) <= self.limit => {
                self.now = now;
                self.last = more;
                true
            }
            _ => false,
        }
    }

    fn undo_growth(&mut self) {
        self.now = self.now.saturating_sub(self.last);
        self.last = 0;
    }
}

impl InstanceLimiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            heap: None,
            parts: Parts::No,
            refused: None,
            growing: 0,
            modules: 1,
            kept: 0,
            memory: Amount {
                limit: limits.memory_bytes,
                ..Amount::default()
            },
            table: Amount {
                limit: limits.table_elements,
                ..Amount::default()
            },
        }
    }

    /// Expects the memories and tables of so many modules.
    pub(crate) fn expect_modules(&mut self, modules: usize) {
        // Of linked modules there are at most 64, and as many gates.
        self.modules = u16::try_from(modules).unwrap_or(u16::MAX);
    }

    /// Returns the bytes of the instance's memories. They never shrink.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.memory.now
    }

    /// Records that a memory can't grow to `asked` bytes because of `limit`, or for lack of room.
    const fn refuse(&mut self, asked: usize, limit: Option<usize>) {
        self.refused = Some(RefusedGrowth { asked, limit });
    }

    /// Admits `bytes` bytes in all that the host keeps for the guest besides its memory, for which `more` bytes
    /// of the heap are needed now. Returns false if the limit of memory or the heap has no room.
    pub(crate) fn keep(&mut self, bytes: usize, more: usize, platform: &dyn Platform) -> bool {
        let all = self.memory.now.saturating_add(bytes);
        let needed = more.saturating_add(RESERVE);
        let kept = u32::try_from(bytes).ok().filter(|_| {
            all <= self.memory.limit && platform.free_bytes().is_none_or(|free| needed <= free)
        });
        self.kept = kept.unwrap_or(self.kept);
        kept.is_some()
    }

    /// Begins a call, for which the host keeps nothing yet.
    pub(crate) const fn begin_call(&mut self) {
        self.refused = None;
        self.kept = 0;
    }

    /// Returns the bytes that the limit of memory leaves for the host to keep for the guest, in all.
    pub(crate) const fn memory_left(&self) -> usize {
        self.memory.limit.saturating_sub(self.memory.now)
    }

    /// Checks the platform's free heap at each growth from now on, when the guest itself may grow its
    /// memory.
    pub(crate) fn watch(&mut self, platform: Arc<dyn Platform>) {
        self.heap = Some(Heap {
            platform,
            capacity: self.memory.now,
            last: self.memory.now,
        });
    }
}

impl InstanceLimiter {
    /// Expects the guest's code to grow its memory in parts from now on.
    pub(crate) const fn grow_in_parts(&mut self) {
        self.parts = Parts::Yes;
    }

    /// Sets whether the guest's code grows its memory in parts. Returns what was set before.
    #[cfg(feature = "component")]
    pub(crate) fn set_in_parts(&mut self, in_parts: bool) -> bool {
        let parts = if in_parts { Parts::Yes } else { Parts::No };
        core::mem::replace(&mut self.parts, parts) != Parts::No
    }

    /// Returns whether a memory may grow, and if so counts it as grown.
    fn grow_memory(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        let kept = usize::try_from(self.kept).unwrap_or(usize::MAX);
        if !self.memory.grow(current, desired, kept) {
            self.refuse(desired, Some(self.memory.limit));
            return false;
        }
        let unknown = (self.modules > 1).then_some(current);
        let heap = self.heap.as_mut();
        let fits = heap.is_none_or(|heap| heap.grow(unknown, desired));
        if !fits {
            self.memory.undo_growth();
            self.refuse(desired, None);
        }
        self.growing = desired;
        fits
    }

    fn undo_memory_growth(&mut self) {
        self.memory.undo_growth();
        if let Some(heap) = &mut self.heap {
            heap.capacity = heap.last;
        }
    }
}

impl ResourceLimiter for InstanceLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        let part = desired.saturating_sub(current) <= GROWTH as usize;
        if self.parts == Parts::Refused && part {
            self.parts = Parts::Yes;
            return Ok(false);
        }
        let mut allowed = self.grow_memory(current, desired, maximum);
        if self.parts != Parts::No && !part {
            self.parts = if allowed { Parts::Yes } else { Parts::Refused };
            if allowed {
                self.undo_memory_growth();
            }
            allowed = false;
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(
            maximum.is_none_or(|maximum| desired <= maximum)
                && self.table.grow(current, desired, 0),
        )
    }

    fn memory_grow_failed(&mut self, error: &MemoryError) -> Result<(), LimiterError> {
        self.undo_memory_growth();
        // A growth that lacks fuel is tried again in the next slice.
        if !matches!(error, MemoryError::OutOfFuel { .. }) {
            self.refuse(self.growing, None);
        }
        Ok(())
    }

    fn instances(&self) -> usize {
        self.modules.into()
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        // A module has one memory at most, but wasmi counts an imported one twice: where it is made, too.
        let each = if cfg!(any(feature = "slots", feature = "mappings")) {
            2
        } else {
            1
        };
        usize::from(self.modules).saturating_mul(each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A platform with so many bytes of heap free.
    struct Free(usize);

    impl Platform for Free {
        fn free_bytes(&self) -> Option<usize> {
            Some(self.0)
        }
    }

    #[test]
    fn a_memory_that_grows_leaves_4_kib_of_the_heap_free() {
        for (free, allowed) in [(0x1_1000, true), (0x1_0fff, false)] {
            let mut limiter = InstanceLimiter::new(&Limits::server());
            limiter.watch(Arc::new(Free(free)));
            let grown = limiter.memory_growing(0, 0x1_0000, None);
            assert!(matches!(grown, Ok(is) if is == allowed), "{free}");
        }
    }

    #[test]
    fn tables_are_counted_together_and_each_up_to_its_maximum() {
        let mut limits = Limits::server();
        limits.table_elements = 10;
        let mut limiter = InstanceLimiter::new(&limits);
        for (desired, maximum, allowed) in [
            (6, None, true),
            (5, None, false),
            (3, Some(2), false),
            (2, Some(2), true),
            (3, None, false),
            (2, None, true),
            (1, None, false),
        ] {
            let grown = limiter.table_growing(0, desired, maximum);
            assert!(matches!(grown, Ok(is) if is == allowed), "{desired}");
        }
    }
}
