//! Values on their way into a guest, their texts and byte strings into buffers from its allocator.

use super::{StoreData, meter};
use crate::{
    base::{fuel::fuel_for, shape::FlatValues},
    error::CallError,
    marshal::Lowerer,
    memory,
};
use wasmi::{AsContextMut, Func, Val};

/// What goes into a guest, and how far it has come. Whoever runs the guest asks it for each
/// buffer in turn.
pub(crate) struct Delivery<'v> {
    pub(crate) lowered: Lowerer<'v>,
    /// How many of the byte strings are in their buffers.
    done: usize,
    /// The size asked for, for the one that comes next.
    asked: Option<u32>,
    /// For an export's arguments, the most bytes that each may have. The results of a host function
    /// count against `Budget::bytes_to_guest` instead.
    input_bytes: Option<usize>,
}

impl<'v> Delivery<'v> {
    /// Arguments of an export, each of `input_bytes` at most, or results of a host function. They
    /// are to be lowered into it: it is large to be moved.
    pub(crate) fn new(input_bytes: Option<usize>) -> Self {
        Self {
            lowered: Lowerer::default(),
            done: 0,
            asked: None,
            input_bytes,
        }
    }

    /// The size of the buffer that is needed next, charged for what will be written to it.
    pub(crate) fn next<T, C>(&mut self, cx: &mut C) -> Result<Option<u32>, CallError>
    where
        C: AsContextMut<Data = StoreData<T>>,
    {
        let Some((_, bytes)) = self.lowered.bytes.get(self.done) else {
            return Ok(None);
        };
        if self.asked.is_none() {
            let found = bytes.len();
            meter::charge(cx, fuel_for(found))?;
            let len = u32::try_from(found).unwrap_or(u32::MAX);
            self.asked = match self.input_bytes {
                Some(limit) if found > limit => {
                    return Err(CallError::InputTooLarge { limit, found });
                }
                // Never 0: allocators differ in what they answer then, and it is given back with
                // the size that was asked for.
                Some(_) => Some(len.max(1)),
                None => {
                    cx.as_context_mut().data_mut().meter.hand_to_guest(found)?;
                    Some(len)
                }
            };
        }
        Ok(self.asked)
    }

    /// Puts what comes next into the buffer that the guest's allocator answered with.
    pub(crate) fn got<T, C>(&mut self, cx: &mut C, ptr: u32) -> Result<(), CallError>
    where
        C: AsContextMut<Data = StoreData<T>>,
    {
        match (ptr, self.asked.take()) {
            // An empty text that is there must differ from one that is absent, whose pointer is 0.
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
            write(cx, ptr, bytes)?;
            if let Some(value) = self.lowered.values.get_mut(*pointer) {
                *value = Val::I32(ptr.cast_signed());
            }
        }
        self.done = self.done.saturating_add(1);
        Ok(())
    }

    /// The values, once no more buffers are needed.
    pub(crate) const fn values(&self) -> &FlatValues {
        &self.lowered.values
    }

    /// The same with bytes of its own.
    pub(crate) fn into_owned(self) -> Delivery<'static> {
        Delivery {
            lowered: self.lowered.into_owned(),
            done: self.done,
            asked: self.asked,
            input_bytes: self.input_bytes,
        }
    }
}

pub(crate) fn no_memory(asked: u32) -> CallError {
    CallError::NoMemory {
        asked: usize::try_from(asked).unwrap_or(usize::MAX),
    }
}

/// The guest's allocator.
pub(crate) fn allocator<T>(state: &StoreData<T>) -> Result<Func, CallError> {
    let allocate = state.guest.allocate;
    allocate.ok_or_else(|| CallError::MissingExport { name: "allocate" })
}

/// Writes `bytes` to a buffer from the guest's allocator, which may be a lie.
pub(crate) fn write<T, C>(cx: &mut C, ptr: u32, bytes: &[u8]) -> Result<(), CallError>
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let memory = cx.as_context().data().guest.memory;
    let memory = memory.ok_or_else(|| CallError::MissingExport { name: "memory" })?;
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    memory::bytes_mut(
        memory.data_mut(cx.as_context_mut()),
        ptr,
        len,
        "buffer from `allocate`",
    )?
    .copy_from_slice(bytes);
    Ok(())
}
