//! Building blocks of hostel's native ABI, for exports that [`plugin!`](crate::plugin) can't make.
//!
//! Data crosses the boundary as a pointer and a size in the guest's linear memory. A function receives
//! them as two `i32` and returns them *packed* in one `i64`: the pointer in the upper half, the size in
//! the lower.
//!
//! 1. The host calls `allocate(n)` and writes the input there.
//! 2. The host calls the function with that pointer and `n`.
//! 3. The guest returns an answer in a buffer of its own. It does not free the input.
//! 4. The host copies the answer and calls `deallocate` for it. It frees the input's buffer too, or
//!    keeps it for the next call.
//!
//! An answer whose size has [`ERROR_BIT`] set is an error: the other 31 bits are the length of a
//! UTF-8 message at the pointer. The host frees it with that length.
//!
//! # Example
//!
//! An export with two arguments, made by hand. The macro exports `allocate` and `deallocate` alone here.
//!
//! ```
//! # #![allow(dead_code)]
//! use hostel_guest::abi;
//!
//! hostel_guest::plugin!();
//!
//! /// Returns the input, repeated `times` times.
//! ///
//! /// # Safety
//! ///
//! /// `ptr` and `size` describe a buffer that the host got from `allocate` and filled.
//! #[unsafe(no_mangle)]
//! pub unsafe extern "C" fn repeat(ptr: *const u8, size: usize, times: u32) -> i64 {
//!     let repeat = |input: &[u8]| Ok(input.repeat(times as usize));
//!     // SAFETY: this function's own contract.
//!     unsafe { abi::respond(ptr, size, repeat) }
//! }
//! ```

use crate::Error;
pub use crate::in_place::Place;
use alloc::alloc::Layout;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr;

/// The bit of an answer's size that marks an error.
pub const ERROR_BIT: u32 = 1 << 31;

/// Packs a pointer and a size into one result.
///
/// ```
/// assert_eq!(hostel_guest::abi::pack(0x10, 5), 0x10_0000_0005);
/// ```
pub const fn pack(ptr: u32, size: u32) -> i64 {
    ((ptr as u64) << 32 | size as u64) as i64
}

/// Unpacks a result into pointer and size.
///
/// ```
/// assert_eq!(hostel_guest::abi::unpack(0x10_0000_0005), (0x10, 5));
/// ```
pub const fn unpack(packed: i64) -> (u32, u32) {
    ((packed as u64 >> 32) as u32, packed as u32)
}

/// Allocates a buffer of `size` bytes for the host to fill. The export `allocate` calls this.
///
/// Returns null if memory is short, or if `size` is over `isize::MAX`. For a size of 0, returns a
/// pointer that is not null and must not be read or written.
pub fn allocate(size: usize) -> *mut u8 {
    match Layout::array::<u8>(size) {
        Err(_) => ptr::null_mut(),
        Ok(_) if size == 0 => ptr::dangling_mut(),
        // SAFETY: the layout's size is not zero.
        Ok(layout) => unsafe { alloc::alloc::alloc(layout) },
    }
}

/// Frees a buffer. The export `deallocate` calls this. Does nothing for a size of 0.
///
/// # Safety
///
/// `ptr` comes from [`allocate`] with this `size`, or is the pointer of an answer with this size
/// (without [`ERROR_BIT`]). It was not freed before.
pub unsafe fn deallocate(ptr: *mut u8, size: usize) {
    if size != 0 {
        // SAFETY: by the caller's promise, the buffer is a live allocation of `size` bytes with
        // alignment 1, as the box of a byte slice is.
        drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(ptr, size)) });
    }
}

/// Runs `function` on the input at `ptr`, and returns its answer, packed, in memory that the host
/// frees. The exports of [`plugin!`](crate::plugin) call this.
///
/// The result is meaningful on wasm32 only: elsewhere a pointer does not fit into half of an `i64`.
///
/// # Safety
///
/// `ptr` points to `size` initialised bytes, and nothing writes to them until this returns. If `size`
/// is 0, `ptr` may have any value.
pub unsafe fn respond(
    ptr: *const u8,
    size: usize,
    function: impl FnOnce(&[u8]) -> Result<Vec<u8>, Error>,
) -> i64 {
    #[cfg(all(
        target_arch = "wasm32",
        feature = "panic-log",
        not(feature = "panic-handler")
    ))]
    crate::panic_log::install();
    let input = match size {
        0 => &[],
        // SAFETY: by the caller's promise.
        _ => unsafe { core::slice::from_raw_parts(ptr, size) },
    };
    answer(function(input))
}

/// Leaks an answer, for the host to read and free, and returns it packed.
fn answer(result: Result<Vec<u8>, Error>) -> i64 {
    let (bytes, mark) = match result {
        Ok(bytes) => (bytes, 0),
        Err(error) => (error.into_message().into_bytes(), ERROR_BIT),
    };
    // A boxed slice has no spare capacity, so the host can free it by its length alone. The length
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
        // SAFETY: the buffer has 64 bytes and is freed once.
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
