//! Collects what a guest receives.

use super::{ERROR_BIT, Types};
use crate::{base::shape::FlatValues, error::CallError, memory};
use alloc::{borrow::Cow, string::String};
use heapless::Vec;
use wasmi::Val;

/// Collects core values for a guest, and the texts and byte strings that still need buffers in its
/// memory.
#[doc(hidden)]
#[derive(Default)]
pub struct Lowerer<'v> {
    pub(crate) values: FlatValues,
    /// Each text or byte string with the index of its pointer in `values`; its length follows there.
    pub(crate) bytes: Vec<(usize, Cow<'v, [u8]>), MAX_BYTES>,
}

/// Most texts and byte strings of one call's arguments or one host function's results.
pub(crate) const MAX_BYTES: usize = 8;

/// Buffers in a guest's memory: pointer and size.
pub(crate) type Buffers = Vec<(u32, u32), MAX_BYTES>;

impl<'v> Lowerer<'v> {
    /// Adds a core value.
    pub(crate) fn push(&mut self, value: Val) -> Result<(), CallError> {
        self.values.push(value).map_err(|_| CallError::BadValue {
            expected: "at most 16 core values",
            found: 17,
        })
    }

    /// Adds zeros for an absent value.
    pub(crate) fn zeros(&mut self, types: impl FnOnce(&mut Types)) -> Result<(), CallError> {
        for ty in Types::collect(types).flat {
            self.push(ty.zero())?;
        }
        Ok(())
    }

    /// Adds a text or byte string. Its pointer is 0 until it has a buffer.
    pub(crate) fn bytes(&mut self, bytes: impl Into<Cow<'v, [u8]>>) -> Result<(), CallError> {
        let bytes = bytes.into();
        let asked = bytes.len();
        let len = u32::try_from(asked).map_err(|_| CallError::NoMemory { asked })?;
        let pointer = self.values.len();
        self.push(Val::I32(0))?;
        self.push(Val::I32(len.cast_signed()))?;
        self.bytes
            .push((pointer, bytes))
            .map_err(|_| CallError::BadValue {
                expected: "at most 8 texts or byte strings",
                found: 9,
            })
    }

    /// Copies the borrowed bytes, so that the values outlive their source. Fails instead of aborting if
    /// the heap has no room.
    pub(crate) fn into_owned(self) -> Result<Lowerer<'static>, CallError> {
        let mut owned = Lowerer {
            values: self.values,
            bytes: Vec::new(),
        };
        for (at, bytes) in self.bytes {
            let bytes = match bytes {
                Cow::Owned(bytes) => bytes,
                Cow::Borrowed(bytes) => memory::copied(bytes)?,
            };
            // It fits: the list is as long as the one that it is copied from.
            let _ = owned.bytes.push((at, Cow::Owned(bytes)));
        }
        Ok(owned)
    }

    /// Adds an error message instead of bytes.
    pub(crate) fn error(&mut self, message: String) -> Result<(), CallError> {
        self.bytes(message.into_bytes())?;
        if let Some(Val::I32(len)) = self.values.last_mut() {
            *len |= ERROR_BIT.cast_signed();
        }
        Ok(())
    }
}
