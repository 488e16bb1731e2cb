//! Which parts of an instance's memory were written, as far as that is known.

use crate::engine::Placed;
use core::ops::Range;
#[cfg(feature = "mappings")]
use hostel_mappings::{Contents, Mapped};

/// What is known of the parts of a memory that are not 0. Of a memory on the heap or in a slot, nothing.
#[derive(Default)]
pub(crate) struct Written {
    #[cfg(feature = "mappings")]
    mapped: Option<Mapped>,
    /// How many times it was cleared, modulo 256.
    #[cfg(feature = "mappings")]
    cleared: u8,
    /// Whether the first state is mapped, so that a page that was not written is as in that.
    #[cfg(feature = "mappings")]
    placed: bool,
}

/// The most bytes of a mapping that stay with an idle instance, besides those that are not 0 in its first state.
/// More are given back to the system: each of
/// their pages then costs the next call a fault, which takes as long as setting 30 pages to 0.
#[cfg(feature = "mappings")]
const KEPT: usize = 4 << 20;

impl Written {
    /// Returns what is known of a memory that was made.
    #[cfg_attr(not(feature = "mappings"), allow(unused_variables))]
    pub(crate) fn of(made: Placed) -> Self {
        Self {
            #[cfg(feature = "mappings")]
            mapped: made.mapped,
            #[cfg(feature = "mappings")]
            cleared: 0,
            #[cfg(feature = "mappings")]
            placed: false,
        }
    }

    /// Sets `memory` to the first state `contents`, which it maps the first time. Later, only what was written is set
    /// back: by `rewrite`, which is passed the memory and a run of its bytes. Returns false if that is impossible: then
    /// any byte may be another one.
    #[cfg(feature = "mappings")]
    pub(crate) fn restore<'c>(
        &mut self,
        memory: &mut [u8],
        contents: impl FnOnce() -> Option<&'c Contents>,
        rewrite: &mut dyn FnMut(&mut [u8], Range<usize>),
    ) -> bool {
        let Some(mapped) = &self.mapped else {
            return false;
        };
        if !self.placed {
            let placed = contents().is_some_and(|contents| mapped.place(memory, contents));
            self.placed = placed;
            return placed;
        }
        // As in `clear`.
        self.cleared = self.cleared.wrapping_add(1);
        if self.cleared == 0 {
            return mapped.release(memory);
        }
        let mut bytes = 0usize;
        let told = mapped.written(memory.len(), &mut |run| {
            bytes = bytes.saturating_add(run.len());
            if bytes <= KEPT {
                rewrite(memory, run);
            }
        });
        told && (bytes <= KEPT || mapped.release(memory))
    }

    /// Sets all of `memory` to 0, except where `clear`, which is passed it and a run of its bytes, leaves
    /// some of these as they are: `content` bytes in all. Returns false if nothing is known of it: then some may be 0
    /// and some not.
    #[cfg(feature = "mappings")]
    pub(crate) fn clear(
        &mut self,
        memory: &mut [u8],
        content: usize,
        clear: &mut dyn FnMut(&mut [u8], Range<usize>),
    ) -> bool {
        let Some(mapped) = self.mapped.as_ref().filter(|_| !self.placed) else {
            return false;
        };
        // The first time, since the interpreter has written all of it, though nearly all is 0. And every 256th
        // time, so that a page that one call touched is not set to 0 after all others.
        let gives_back = self.cleared == 0;
        self.cleared = self.cleared.wrapping_add(1);
        if gives_back {
            return mapped.release(memory);
        }
        let kept = KEPT.saturating_add(content);
        let mut bytes = 0usize;
        let told = mapped.written(memory.len(), &mut |run| {
            bytes = bytes.saturating_add(run.len());
            if bytes <= kept {
                clear(memory, run);
            }
        });
        told && (bytes <= kept || mapped.release(memory))
    }

    /// Sets all of `memory` to 0 by giving its pages back. Returns false if nothing was done.
    #[cfg(feature = "mappings")]
    pub(crate) fn give_back(&self, memory: &mut [u8]) -> bool {
        let mapped = self.mapped.as_ref();
        mapped.is_some_and(|mapped| mapped.release(memory))
    }

    /// Returns whether the memory is in a mapping that was made for it.
    #[cfg(feature = "mappings")]
    pub(crate) fn is_in_new_mapping(&self) -> bool {
        self.mapped.as_ref().is_some_and(Mapped::is_new)
    }

    /// Tells how large the memory has become, in bytes, before it is dropped.
    #[cfg_attr(not(feature = "mappings"), allow(unused_variables))]
    pub(crate) fn note_size(&self, bytes: usize) {
        #[cfg(feature = "mappings")]
        if let Some(mapped) = &self.mapped {
            mapped.note_size(bytes);
        }
    }

    /// Returns false: nothing is known.
    #[cfg(not(feature = "mappings"))]
    pub(crate) const fn clear(
        &mut self,
        _memory: &mut [u8],
        _content: usize,
        _clear: &mut dyn FnMut(&mut [u8], Range<usize>),
    ) -> bool {
        false
    }
}
