//! Records and lists of buffers in a guest's memory.

use super::{
    errno::{Errno, Fail},
    session::Call,
};
use crate::base::fuel::BASE;

/// Most buffers in one read or write.
const BUFFERS: u32 = 1_024;

/// A record in memory, of zeros at first.
pub(super) struct Layout<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Layout<N> {
    pub(super) const fn new() -> Self {
        Self([0; N])
    }

    /// Puts a field at `at`, where there is room for it.
    pub(super) fn put(&mut self, at: usize, field: &[u8]) {
        if let Some(place) = self.0.get_mut(at..at.saturating_add(field.len())) {
            place.copy_from_slice(field);
        }
    }
}

/// A list of buffers whose places in memory were checked.
#[derive(Clone, Copy)]
pub(super) struct Buffers {
    list: u32,
    pub(super) count: u32,
    /// All of them together, in bytes.
    pub(super) size: usize,
}

impl Buffers {
    /// Checks a list and charges for it.
    pub(super) fn check(call: &mut Call<'_>, list: u32, count: u32) -> Result<Self, Fail> {
        if count > BUFFERS {
            return Err(Errno::Inval.into());
        }
        call.charge(u64::from(count).saturating_mul(BASE))?;
        call.bytes(list, count.saturating_mul(8))?;
        let mut buffers = Self {
            list,
            count,
            size: 0,
        };
        let mut sum = 0u32;
        for at in 0..count {
            let (ptr, len) = buffers.get(call, at)?;
            call.bytes(ptr, len)?;
            sum = sum.checked_add(len).ok_or(Errno::Inval)?;
        }
        buffers.size = usize::try_from(sum).map_err(|_| Errno::Inval)?;
        Ok(buffers)
    }

    /// The buffer number `at`. What was read may have overwritten the list: it is bytes of the
    /// guest's again.
    pub(super) fn get(self, call: &Call<'_>, at: u32) -> Result<(u32, u32), Fail> {
        let bytes = call.bytes(self.list.wrapping_add(at.wrapping_mul(8)), 8)?;
        match bytes {
            [a, b, c, d, e, f, g, h] => Ok((
                u32::from_le_bytes([*a, *b, *c, *d]),
                u32::from_le_bytes([*e, *f, *g, *h]),
            )),
            _ => Err(Errno::Fault.into()),
        }
    }

    /// The first one that is not empty.
    pub(super) fn first(self, call: &Call<'_>) -> Result<Option<(u32, u32)>, Fail> {
        for at in 0..self.count {
            let found = self.get(call, at)?;
            if found.1 > 0 {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Writes a length at `at`.
pub(super) fn put_len(call: &mut Call<'_>, at: u32, len: usize) -> Result<(), Fail> {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    call.put(at, &len.to_le_bytes())
}
