//! What one instance may hold, whatever its module asks for.

use crate::base::{limits::Limits, platform::Platform};
use alloc::sync::Arc;
use wasmi::ResourceLimiter;
use wasmi_core::LimiterError;

/// Bytes of the heap that a growing memory leaves, where the machine knows what it has: for errors,
/// records of the log, the stack of an allocator that a host function calls, and the interpreter's own
/// small things, none of which can be refused.
const RESERVE: usize = 4 << 10;

/// An instance's memories and tables, each summed.
pub(crate) struct InstanceLimiter {
    memory: Held,
    table: Held,
    /// The heap, once the guest itself makes its memory grow: what it begins with was admitted.
    heap: Option<Heap>,
}

/// The heap that a memory is on.
struct Heap {
    platform: Arc<dyn Platform>,
    /// What the memory takes of it. The interpreter doubles that where it grows, if that is enough.
    capacity: usize,
    last: usize,
}

impl Heap {
    /// Whether the memory can grow to so many bytes, as far as the machine knows.
    fn grow(&mut self, desired: usize) -> bool {
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

/// An amount with a limit. The last growth is kept, to be taken back should it fail.
#[derive(Default)]
struct Held {
    limit: usize,
    now: usize,
    last: usize,
}

impl Held {
    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current);
        match self.now.checked_add(more) {
            Some(now) if now <= self.limit => {
                self.now = now;
                self.last = more;
                true
            }
            _ => false,
        }
    }

    fn take_back(&mut self) {
        self.now = self.now.saturating_sub(self.last);
        self.last = 0;
    }
}

impl InstanceLimiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            heap: None,
            memory: Held {
                limit: limits.memory_bytes,
                ..Held::default()
            },
            table: Held {
                limit: limits.table_elements,
                ..Held::default()
            },
        }
    }

    /// From now on the guest itself makes its memory grow, on this heap.
    pub(crate) fn watch(&mut self, platform: Arc<dyn Platform>) {
        self.heap = Some(Heap {
            platform,
            capacity: self.memory.now,
            last: self.memory.now,
        });
    }
}

impl ResourceLimiter for InstanceLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        let allowed = maximum.is_none_or(|maximum| desired <= maximum);
        if !allowed || !self.memory.grow(current, desired) {
            return Ok(false);
        }
        let fits = self.heap.as_mut().is_none_or(|heap| heap.grow(desired));
        if !fits {
            self.memory.take_back();
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.table.grow(current, desired))
    }

    fn memory_grow_failed(
        &mut self,
        _error: &wasmi::errors::MemoryError,
    ) -> Result<(), LimiterError> {
        self.memory.take_back();
        if let Some(heap) = &mut self.heap {
            heap.capacity = heap.last;
        }
        Ok(())
    }

    fn table_grow_failed(
        &mut self,
        _error: &wasmi::errors::TableError,
    ) -> Result<(), LimiterError> {
        self.table.take_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        // A module has one at most. wasmi counts one that is imported, from a slot, twice.
        if cfg!(feature = "slots") { 2 } else { 1 }
    }
}
