//! Brings values into a guest, with their texts and byte strings in buffers from its allocator.

use super::{Allocate, StoreData, meter, run};
use crate::{
    base::{fuel::fuel_for, shape::FlatValues},
    error::CallError,
    marshal::Lowerer,
    memory,
};
use core::task::{Context, Poll, ready};
use wasmi::{AsContextMut, Store, Val};

/// The most bytes that are written at once in a stepped or awaited call: 8,192 units of fuel.
const PART: usize = 512 << 10;

/// Values for a guest, and their progress into it. The caller alternates between
/// [`next`](Self::next), a run of the guest's allocator, and [`got`](Self::got).
pub(crate) struct Delivery<'v> {
    pub(crate) lowered: Lowerer<'v>,
    /// Number of byte strings that are in their buffers.
    done: usize,
    /// The size of the next buffer, once it is charged.
    asked: Option<u32>,
    /// Number of bytes of the next byte string that are in its buffer.
    written: usize,
    /// Most bytes of each of an export's arguments. `None` for a host function's results, which count
    /// against `Budget::bytes_to_guest` instead.
    input_bytes: Option<usize>,
}

impl<'v> Delivery<'v> {
    /// Returns an empty delivery: of an export's arguments, with `input_bytes` at most for each, or of
    /// a host function's results. Lower the values into it; it is too large to move cheaply.
    pub(crate) fn new(input_bytes: Option<usize>) -> Self {
        Self {
            lowered: Lowerer::default(),
            done: 0,
            asked: None,
            written: 0,
            input_bytes,
        }
    }

    /// Returns the size of the next buffer to allocate, or `None` if all values are delivered.
    /// Charges for the bytes that will be written to it, and what the call owes besides.
    pub(crate) fn next<T, C>(&mut self, cx: &mut C, owed: u64) -> Result<Option<u32>, CallError>
    where
        C: AsContextMut<Data = StoreData<T>>,
    {
        let Some((_, bytes)) = self.lowered.bytes.get(self.done) else {
            return Ok(None);
        };
        if self.asked.is_none() {
            let found = bytes.len();
            meter::charge(cx, owed.saturating_add(fuel_for(found)))?;
            let len = u32::try_from(found).unwrap_or(u32::MAX);
            self.asked = match self.input_bytes {
                Some(limit) if found > limit => {
                    return Err(CallError::InputTooLarge { limit, found });
                }
                // Never 0: allocators differ in what they return then, and the buffer is given back
                // with the size that was allocated.
                Some(_) => Some(len.max(1)),
                None => {
                    cx.as_context_mut().data_mut().meter.hand_to_guest(found)?;
                    Some(len)
                }
            };
        }
        Ok(self.asked)
    }

    /// Writes the next byte string to the buffer at `ptr` as [`got`](Self::got) does. In a stepped or
    /// awaited call, a long one is written in parts, each of which counts towards the step.
    pub(crate) fn poll_got<T>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &Context<'_>,
        ptr: u32,
    ) -> Poll<Result<(), CallError>> {
        while ptr != 0
            && store.data().pace.is_some()
            && let Some((_, bytes)) = self.lowered.bytes.get(self.done)
            && let Some((part, rest)) = bytes
                .get(self.written..)
                .and_then(|left| left.split_at_checked(PART))
            && !rest.is_empty()
        {
            ready!(run::poll_step(store, context))?;
            write_at(store, ptr, bytes.len(), self.written, part)?;
            self.written = self.written.saturating_add(PART);
            if let Some(pace) = &store.data().pace {
                pace.take(fuel_for(PART));
            }
        }
        Poll::Ready(self.got(store, ptr))
    }

    /// Writes what is left of the next byte string to the buffer at `ptr`, which the guest's allocator
    /// returned.
    pub(crate) fn got<T, C>(&mut self, cx: &mut C, ptr: u32) -> Result<(), CallError>
    where
        C: AsContextMut<Data = StoreData<T>>,
    {
        match (ptr, self.asked.take()) {
            // A present empty text must differ from an absent one, whose pointer is 0: allocate a
            // byte instead.
            (0, Some(0)) => {
                self.asked = Some(1);
                return Ok(());
            }
            (0, asked) => {
                return Err(no_memory(asked.unwrap_or(0)));
            }
            _ => {}
        }
        if let Some((pointer, bytes)) = self.lowered.bytes.get(self.done) {
            let left = bytes.get(self.written..).unwrap_or_default();
            write_at(cx, ptr, bytes.len(), self.written, left)?;
            self.written = 0;
            if let Some(value) = self.lowered.values.get_mut(*pointer) {
                *value = Val::I32(ptr.cast_signed());
            }
        }
        self.done = self.done.saturating_add(1);
        Ok(())
    }

    /// Returns the core values. Complete once [`next`](Self::next) has returned `None`.
    pub(crate) const fn values(&self) -> &FlatValues {
        &self.lowered.values
    }

    /// Copies the borrowed bytes, so that the delivery outlives their source. Fails if the heap has no
    /// room.
    pub(crate) fn into_owned(self) -> Result<Delivery<'static>, CallError> {
        Ok(Delivery {
            lowered: self.lowered.into_owned()?,
            done: self.done,
            asked: self.asked,
            written: self.written,
            input_bytes: self.input_bytes,
        })
    }
}

/// Returns the error that the guest's allocator returned 0 for a buffer of `asked` bytes.
pub(crate) fn no_memory(asked: u32) -> CallError {
    CallError::NoMemory {
        asked: usize::try_from(asked).unwrap_or(usize::MAX),
    }
}

/// Returns the guest's allocator, or an error if it exports none.
pub(crate) fn allocator<T>(state: &StoreData<T>) -> Result<Allocate, CallError> {
    let allocate = state.guest.allocate;
    allocate.ok_or_else(|| CallError::MissingExport { name: "allocate" })
}

/// Writes `bytes` at `ptr`, a buffer from the guest's allocator. Checks the bounds: the allocator may
/// return any pointer.
pub(crate) fn write<T, C>(cx: &mut C, ptr: u32, bytes: &[u8]) -> Result<(), CallError>
where
    C: AsContextMut<Data = StoreData<T>>,
{
    write_at(cx, ptr, bytes.len(), 0, bytes)
}

/// Writes `part` at the offset `at` of the buffer of `len` bytes at `ptr`. Checks the bounds of the whole
/// buffer, so that nothing is written to one that does not lie in the memory.
fn write_at<T, C>(cx: &mut C, ptr: u32, len: usize, at: usize, part: &[u8]) -> Result<(), CallError>
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let memory = cx.as_context().data().guest.memory;
    let memory = memory.ok_or_else(|| CallError::MissingExport { name: "memory" })?;
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    let buffer = memory::bytes_mut(
        memory.data_mut(cx.as_context_mut()),
        ptr,
        len,
        "buffer from the guest's allocator",
    )?;
    let place = buffer.get_mut(at..);
    if let Some(place) = place.and_then(|place| place.get_mut(..part.len())) {
        place.copy_from_slice(part);
    }
    Ok(())
}
