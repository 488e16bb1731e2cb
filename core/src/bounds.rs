//! What one instance may hold, whatever its module asks for.

use crate::limits::Limits;
use wasmi::ResourceLimiter;
use wasmi_core::LimiterError;

/// An instance's memories and tables, each summed.
pub(crate) struct Bounds {
    memory: Held,
    table: Held,
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

impl Bounds {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
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
}

impl ResourceLimiter for Bounds {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.memory.grow(current, desired))
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
