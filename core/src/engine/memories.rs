//! Where the memories of instances live: on the heap, or outside of it. Outside, a module is changed to
//! import its memory.

use crate::{base::limits::Limits, module::ModuleInfo};
use wasmi::{Memory, Store};

/// Where the memories of instances live.
#[derive(Clone, Default)]
pub(crate) enum Memories {
    /// On the heap: wasmi makes them with the instance.
    #[default]
    Heap,
    /// In static buffers.
    #[cfg(feature = "slots")]
    Slots(hostel_slots::Slots),
    /// In mappings of the operating system, unless they are small.
    #[cfg(feature = "mappings")]
    Mappings(hostel_mappings::Mappings),
}

/// The largest first memory that stays on the heap although there are mappings, in bytes. A reset of 64 KiB on
/// the heap takes 0.6 µs of 2.0 for a short call; in a mapping that call takes 3.0 µs. They meet at 192 KiB.
#[cfg(feature = "mappings")]
const SMALL: u64 = 128 << 10;

/// A memory that is made before its instance, which imports it.
pub(crate) struct Placed {
    pub(crate) memory: Memory,
    #[cfg(feature = "mappings")]
    pub(crate) mapped: Option<hostel_mappings::Mapped>,
}

impl Memories {
    /// Returns whether the memory of a module is made before its instance.
    #[cfg(any(feature = "slots", feature = "mappings"))]
    pub(crate) fn place(&self, info: &ModuleInfo) -> bool {
        match self {
            Self::Heap => false,
            #[cfg(feature = "slots")]
            Self::Slots(_) => !info.memories.is_empty(),
            #[cfg(feature = "mappings")]
            Self::Mappings(_) => info.memory_at_start() > SMALL,
        }
    }

    /// Makes the memory of a module in `store`, if it is made before its instance. Returns `Err` with the
    /// bytes that it needs if no slot is free.
    #[cfg_attr(
        not(any(feature = "slots", feature = "mappings")),
        allow(unused_variables)
    )]
    pub(crate) fn make<T: 'static>(
        &self,
        store: &mut Store<T>,
        info: &ModuleInfo,
        limits: &Limits,
    ) -> Result<Option<Placed>, u64> {
        match self {
            Self::Heap => Ok(None),
            #[cfg(any(feature = "slots", feature = "mappings"))]
            placing if placing.place(info) => placing.placed(store, info, limits).map(Some),
            #[cfg(any(feature = "slots", feature = "mappings"))]
            _ => Ok(None),
        }
    }

    /// Makes the memory of a module that has one.
    #[cfg(any(feature = "slots", feature = "mappings"))]
    #[cfg_attr(not(feature = "mappings"), allow(unused_variables))]
    fn placed<T: 'static>(
        &self,
        store: &mut Store<T>,
        info: &ModuleInfo,
        limits: &Limits,
    ) -> Result<Placed, u64> {
        let needed = info.memory_at_start();
        let memory = info.memories.first().ok_or(needed)?;
        let page = memory.page_bytes;
        let pages = |bytes: u64| bytes.checked_div(page).unwrap_or(0);
        let (first, most) = (pages(memory.min_bytes), memory.max_bytes.map(pages));
        match self {
            Self::Heap => Err(needed),
            #[cfg(feature = "slots")]
            Self::Slots(slots) => {
                let made = slots.memory(store, first, most, page);
                Ok(Placed {
                    memory: made.map_err(|_| needed)?,
                    #[cfg(feature = "mappings")]
                    mapped: None,
                })
            }
            #[cfg(feature = "mappings")]
            Self::Mappings(mappings) => {
                // The limiter refuses growing beyond the limit, so the room need not be larger.
                let room = (limits.memory_bytes as u64).min(1 << 32);
                let room = usize::try_from(room).unwrap_or(usize::MAX);
                if let Ok(mapped) = mappings.memory(store, first, most, page, room) {
                    return Ok(Placed {
                        memory: mapped.memory(),
                        mapped: Some(mapped),
                    });
                }
                // Without address space for all that it may become, there may be some for its first size.
                let mut ty = wasmi::MemoryTypeBuilder::new();
                ty.min(first).max(most);
                ty.page_size_log2(u8::try_from(page.trailing_zeros()).unwrap_or(16));
                let ty = ty.build().map_err(|_| needed)?;
                Ok(Placed {
                    memory: Memory::new(store, ty).map_err(|_| needed)?,
                    mapped: None,
                })
            }
        }
    }

    /// Returns whether memories are apart from the heap, so that its free bytes don't bound them.
    pub(crate) const fn are_apart(&self) -> bool {
        match self {
            Self::Heap => false,
            #[cfg(feature = "slots")]
            Self::Slots(_) => true,
            // The system takes their pages from where it takes those of the heap.
            #[cfg(feature = "mappings")]
            Self::Mappings(_) => false,
        }
    }
}
