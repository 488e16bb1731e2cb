//! The memory side of hostel's native ABI, for exports that [`plugin!`](crate::plugin) does not
//! cover.
//!
//! Data crosses as a pointer and a size in the guest's linear memory. A function takes them as two
//! `i32` and returns them *packed* in one `i64`: the pointer in the upper half, the size in the
//! lower.
//!
//! | who | does |
//! |---|---|
//! | host | calls `allocate(n)` and writes the input there |
//! | host | calls the function with the pointer and `n` |
//! | guest | returns a buffer of its own, and leaves the input alone |
//! | host | reads the answer, and calls `deallocate` for it; gives the input's buffer back or keeps it for the next call |
//!
//! An answer whose size has [`ERROR_BIT`] set is an error: the other 31 bits are the length of a
//! UTF-8 message at the pointer. The host frees it with that length.
//!
//! An export with more than one argument, by hand. The macro is there for `allocate` and
//! `deallocate`; it can name further functions.
//!
//! ```
//! # #![allow(dead_code)]
//! use hostel_guest::abi;
//!
//! hostel_guest::plugin!();
//!
//! /// The input, `times` times.
//! ///
//! /// # Safety
//! ///
//! /// `ptr` and `size` are those of a buffer that the host got from `allocate` and filled.
//! #[unsafe(no_mangle)]
//! pub unsafe extern "C" fn repeat(ptr: *const u8, size: usize, times: u32) -> i64 {
//!     let repeat = |input: &[u8]| Ok(input.repeat(times as usize));
//!     // SAFETY: as this function's own contract.
//!     unsafe { abi::respond(ptr, size, repeat) }
//! }
//! ```

use crate::Error;
pub use crate::in_place::Place;
use alloc::alloc::Layout;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr;

/// The bit of an answer's size that says it is an error.
pub const ERROR_BIT: u32 = 1 << 31;

/// Puts a pointer and a size into one result.
///
/// ```
/// assert_eq!(hostel_guest::abi::pack(0x10, 5), 0x10_0000_0005);
/// ```
pub const fn pack(ptr: u32, size: u32) -> i64 {
    ((ptr as u64) << 32 | size as u64) as i64
}

/// Takes a result apart into pointer and size.
///
/// ```
/// assert_eq!(hostel_guest::abi::unpack(0x10_0000_0005), (0x10, 5));
/// ```
pub const fn unpack(packed: i64) -> (u32, u32) {
    ((packed as u64 >> 32) as u32, packed as u32)
}

/// A buffer of `size` bytes for the host to fill; what the export `allocate` does.
///
/// Null if memory is short or `size` is over `isize::MAX`. For a size of 0 the pointer is not null,
/// and points at nothing.
pub fn allocate(size: usize) -> *mut u8 {
    match Layout::array::<u8>(size) {
        Err(_) => ptr::null_mut(),
        Ok(_) if size == 0 => ptr::dangling_mut(),
        // SAFETY: the layout's size is not zero.
        Ok(layout) => unsafe { alloc::alloc::alloc(layout) },
    }
}

/// Gives a buffer back; what the export `deallocate` does. A size of 0 is a no-op.
///
/// # Safety
///
/// `ptr` came from [`allocate`] with this `size`, or is the pointer of an answer with this size
/// (without [`ERROR_BIT`]), and was not given back before.
pub unsafe fn deallocate(ptr: *mut u8, size: usize) {
    if size != 0 {
        // SAFETY: by the caller's promise, the buffer is a live allocation of `size` bytes with
        // alignment 1, which is what a box of such a slice is.
        drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(ptr, size)) });
    }
}

/// Runs `function` on the input at `ptr`, and leaves its answer in memory for the host; what an
/// export of [`plugin!`](crate::plugin) does.
///
/// The answer is meaningful on wasm32 only, for elsewhere a pointer does not fit into half of an
/// `i64`.
///
/// # Safety
///
/// `ptr` points at `size` bytes that are initialised and that nothing writes to until this returns.
/// It may be anything if `size` is 0.
pub unsafe fn respond(
    ptr: *const u8,
    size: usize,
    function: impl FnOnce(&[u8]) -> Result<Vec<u8>, Error>,
) -> i64 {
    let input = match size {
        0 => &[],
        // SAFETY: by the caller's promise.
        _ => unsafe { core::slice::from_raw_parts(ptr, size) },
    };
    answer(function(input))
}

/// Leaves an answer in memory for the host, which frees it.
fn answer(result: Result<Vec<u8>, Error>) -> i64 {
    let (bytes, mark) = match result {
        Ok(bytes) => (bytes, 0),
        Err(error) => (error.into_message().into_bytes(), ERROR_BIT),
    };
    // A boxed slice has no spare capacity, so the host can give it back by its length alone. That
    // fits into 31 bits, because no allocation is over `isize::MAX`.
    let bytes = Box::leak(bytes.into_boxed_slice());
    pack(
        bytes.as_mut_ptr() as usize as u32,
        bytes.len() as u32 | mark,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn packing_keeps_every_bit() {
        for ptr in [0, 1, 0x8000_0000, u32::MAX] {
            for size in [0, 1, ERROR_BIT, ERROR_BIT | 7, u32::MAX] {
                assert_eq!(unpack(pack(ptr, size)), (ptr, size));
            }
        }
        assert_eq!(pack(0, u32::MAX), 0xffff_ffff);
        assert_eq!(pack(u32::MAX, 0), -1 << 32);
    }

    #[test]
    fn buffers_come_and_go() {
        let buffer = allocate(64);
        assert!(!buffer.is_null());
        // SAFETY: the buffer has 64 bytes and is given back once.
        unsafe {
            buffer.write_bytes(1, 64);
            deallocate(buffer, 64);
        }
    }

    #[test]
    fn nothing_is_allocated_for_a_size_of_zero() {
        let buffer = allocate(0);
        assert!(!buffer.is_null());
        // SAFETY: a size of 0 is a no-op.
        unsafe { deallocate(buffer, 0) };
    }

    #[test]
    fn absurd_sizes_are_refused() {
        assert!(allocate(usize::MAX).is_null());
        assert!(allocate(isize::MAX as usize + 1).is_null());
    }

    #[test]
    fn an_input_of_no_bytes_may_have_any_pointer() {
        let upper = |input: &[u8]| Ok(input.to_ascii_uppercase());
        // SAFETY: the size is 0.
        let packed = unsafe { respond(ptr::null(), 0, upper) };
        assert_eq!(unpack(packed).1, 0);
        assert_ne!(unpack(packed).0, 0);
    }

    #[test]
    fn a_response_has_its_length_or_the_error_bit() {
        let size = |result: Result<Vec<u8>, Error>| {
            let input = b"input";
            // SAFETY: the input lives until the end of this closure.
            unpack(unsafe { respond(input.as_ptr(), input.len(), |_| result) }).1
        };
        let mut spare = Vec::with_capacity(100);
        spare.extend(b"abc");
        assert_eq!(size(Ok(spare)), 3);
        assert_eq!(size(Ok(vec![])), 0);
        assert_eq!(size(Err(Error::new("no"))), ERROR_BIT | 2);
        assert_eq!(size(Err(Error::new(""))), ERROR_BIT);
    }
}
