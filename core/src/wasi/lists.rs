//! Records, and lists of buffers, in a guest's memory.

use super::{
    errno::{Errno, Fail},
    session::{Args, Call},
};
use crate::base::fuel::BASE;

/// Maximum number of buffers in one read or write.
const BUFFERS: u32 = 1_024;

/// A record of `N` bytes that is built field by field; zeros at first.
pub(super) struct Layout<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Layout<N> {
    pub(super) const fn new() -> Self {
        Self([0; N])
    }

    /// Sets the field at the byte `at`. Ignores a field that does not fit; no caller passes one.
    pub(super) fn put(&mut self, at: usize, field: &[u8]) {
        if let Some(place) = self.0.get_mut(at..at.saturating_add(field.len())) {
            place.copy_from_slice(field);
        }
    }
}

/// A list of buffers (`iovec` or `ciovec`: pointer and length, u32 each), checked to lie in memory.
#[derive(Clone, Copy)]
pub(super) struct Buffers {
    /// The list's address.
    list: u32,
    pub(super) count: u32,
    /// Total length of all buffers in bytes.
    pub(super) size: usize,
}

impl Buffers {
    /// Charges for a list of `count` buffers and checks it.
    ///
    /// Errors, called "buffer errors" at the functions: `Inval` for more than 1,024 buffers or a total
    /// above 2³² − 1 bytes; `Fault` if the list or a buffer lies outside the guest's memory.
    pub(super) fn check(
        call: &mut Call<'_>,
        args: &Args<'_>,
        list: u32,
        count: u32,
    ) -> Result<Self, Fail> {
        if count > BUFFERS {
            return Err(Errno::Inval.into());
        }
        call.charge(u64::from(count).saturating_mul(BASE))?;
        args.bytes(list, count.saturating_mul(8))?;
        let mut buffers = Self {
            list,
            count,
            size: 0,
        };
        let mut sum = 0u32;
        for at in 0..count {
            let (ptr, len) = buffers.get(args, at)?;
            args.bytes(ptr, len)?;
            sum = sum.checked_add(len).ok_or(Errno::Inval)?;
        }
        buffers.size = usize::try_from(sum).map_err(|_| Errno::Inval)?;
        Ok(buffers)
    }

    /// Returns pointer and length of the buffer number `at`. Callers must check both again: a read into
    /// an earlier buffer may have overwritten the list.
    pub(super) fn get(self, args: &Args<'_>, at: u32) -> Result<(u32, u32), Fail> {
        let bytes = args.bytes(self.list.wrapping_add(at.wrapping_mul(8)), 8)?;
        match bytes {
            [a, b, c, d, e, f, g, h] => Ok((
                u32::from_le_bytes([*a, *b, *c, *d]),
                u32::from_le_bytes([*e, *f, *g, *h]),
            )),
            _ => Err(Errno::Fault.into()),
        }
    }

    /// Returns the first buffer that is not empty.
    pub(super) fn first(self, args: &Args<'_>) -> Result<Option<(u32, u32)>, Fail> {
        for at in 0..self.count {
            let found = self.get(args, at)?;
            if found.1 > 0 {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Writes `len` as a u32 at the address `at`.
pub(super) fn put_len(args: &mut Args<'_>, at: u32, len: usize) -> Result<(), Fail> {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    args.put(at, &len.to_le_bytes())
}
