//! Buffers in a guest's memory, from its own allocator.

use crate::{
    call::{self, State, fuel_for},
    error::CallError,
    limits::Budget,
    marshal::{Buffers, GiveBytes},
    memory,
};
use wasmi::{AsContextMut, Caller, Store};

/// A buffer of `size` bytes from the guest's allocator.
pub(crate) fn allocate<T, C>(cx: &mut C, size: u32) -> Result<u32, CallError>
where
    C: AsContextMut<Data = State<T>>,
{
    let allocate = cx
        .as_context()
        .data()
        .guest
        .allocate
        .ok_or_else(|| CallError::MissingExport { name: "allocate" })?;
    let ran = call::run(cx, allocate, size).map_err(|error| error.in_export("allocate"));
    match ran? {
        0 => Err(CallError::NoMemory {
            asked: usize::try_from(size).unwrap_or(usize::MAX),
        }),
        ptr => Ok(ptr),
    }
}

/// Writes `bytes` to a buffer from the guest's allocator, which may be a lie.
pub(crate) fn write<T, C>(cx: &mut C, ptr: u32, bytes: &[u8]) -> Result<(), CallError>
where
    C: AsContextMut<Data = State<T>>,
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

/// Puts bytes into the guest, in buffers from its own allocator.
pub(crate) struct GuestBuffers<'a, C> {
    cx: &'a mut C,
    /// For an export's arguments, which the host takes back: the most bytes, and the buffers.
    /// The results of a host function are the guest's.
    arguments: Option<(usize, &'a mut Buffers)>,
}

impl<'a, T> GuestBuffers<'a, Store<State<T>>> {
    pub(crate) fn for_arguments(
        store: &'a mut Store<State<T>>,
        budget: &Budget,
        given: &'a mut Buffers,
    ) -> Self {
        Self {
            cx: store,
            arguments: Some((budget.input_bytes, given)),
        }
    }
}

impl<'a, 'c, T> GuestBuffers<'a, Caller<'c, State<T>>> {
    pub(crate) fn for_host_call(caller: &'a mut Caller<'c, State<T>>) -> Self {
        Self {
            cx: caller,
            arguments: None,
        }
    }
}

impl<T, C> GiveBytes for GuestBuffers<'_, C>
where
    C: AsContextMut<Data = State<T>>,
{
    fn give(&mut self, bytes: &[u8]) -> Result<(u32, u32), CallError> {
        let asked = bytes.len();
        let len = u32::try_from(asked).map_err(|_| CallError::NoMemory { asked })?;
        call::charge(self.cx, fuel_for(asked))?;
        let ptr = match &mut self.arguments {
            Some((limit, _)) if asked > *limit => {
                return Err(CallError::InputTooLarge {
                    limit: *limit,
                    found: asked,
                });
            }
            Some((_, given)) => {
                // Never 0: allocators differ in what they answer then, and it is given back with
                // the size that was asked for.
                let size = len.max(1);
                let ptr = allocate(self.cx, size)?;
                given.push((ptr, size)).map_err(|_| CallError::BadValue {
                    expected: "at most 8 texts or byte strings as arguments",
                    found: 9,
                })?;
                ptr
            }
            None => {
                self.cx.as_context_mut().data_mut().meter.arena(asked)?;
                self.allocate_nested(len)?
            }
        };
        write(self.cx, ptr, bytes)?;
        Ok((ptr, len))
    }
}

impl<T, C> GuestBuffers<'_, C>
where
    C: AsContextMut<Data = State<T>>,
{
    /// A buffer that the guest will own, asked for while the guest waits in a host call. The
    /// guest's imports are refused meanwhile: each level of re-entry would take native stack that
    /// no limit of wasmi's counts.
    fn allocate_nested(&mut self, len: u32) -> Result<u32, CallError> {
        let slice = call::slice(self.cx);
        self.cx.as_context_mut().data_mut().guest.nested = true;
        let mut ptr = allocate(self.cx, len);
        if len == 0 && matches!(ptr, Err(CallError::NoMemory { .. })) {
            // An empty text that is there must differ from one that is absent, whose pointer is 0.
            ptr = allocate(self.cx, 1);
        }
        self.cx.as_context_mut().data_mut().guest.nested = false;
        call::end_nested(self.cx, slice);
        ptr
    }
}
