//! Functions that write their answer over their input, for plugins without a heap.

use crate::abi::{ERROR_BIT, pack};
use core::{cell::UnsafeCell, ptr};

/// The one buffer of a plugin made by [`in_place!`](crate::in_place), aligned to 8 bytes.
#[repr(C, align(8))]
#[derive(Debug)]
pub struct Place<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: safe functions only return the address. The caller of `respond` promises exclusive use.
unsafe impl<const N: usize> Sync for Place<N> {}

impl<const N: usize> Place<N> {
    /// Creates a buffer of zeros.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; N]))
    }

    /// Returns the buffer for an input of `size` bytes, or null if it is too small.
    pub const fn allocate(&self, size: usize) -> *mut u8 {
        if size > N {
            return ptr::null_mut();
        }
        self.0.get().cast()
    }

    /// Runs `function` on the buffer, whose first `size` bytes are the input, and returns its answer,
    /// packed.
    ///
    /// # Safety
    ///
    /// Nothing else uses the buffer meanwhile.
    pub unsafe fn respond(
        &self,
        size: usize,
        function: impl FnOnce(&mut [u8], usize) -> Result<usize, &'static str>,
    ) -> i64 {
        #[cfg(all(
            target_arch = "wasm32",
            feature = "panic-log",
            not(feature = "panic-handler")
        ))]
        crate::panic_log::install();
        // SAFETY: the buffer lives as long as `self`, and the caller promises exclusive use.
        let buffer = unsafe { &mut *self.0.get() };
        let (start, length) = match function(buffer, size.min(N)) {
            Ok(length) => (buffer.as_ptr(), length.min(N) as u32),
            Err(message) => (message.as_ptr(), message.len() as u32 | ERROR_BIT),
        };
        pack(start as usize as u32, length)
    }
}

/// Exports functions that share one static buffer for input and answer, and an `allocate` that returns
/// that buffer. The number before the colon is its size in bytes. The plugin needs no heap, hence
/// neither the feature `allocator` nor its 5 KB of code.
///
/// Each function receives the whole buffer and the length of the input at its start. It returns the
/// length of the answer at its start, or an error message. The host refuses an input that is longer
/// than the buffer. The buffer is aligned to 8 bytes.
///
/// Do not use it if a host function returns bytes to the plugin: they would overwrite the buffer. Use
/// [`plugin!`](crate::plugin) instead, never both in one plugin.
///
/// ```
/// hostel_guest::in_place!(256: process);
///
/// /// Returns each byte twice.
/// fn process(buffer: &mut [u8], length: usize) -> Result<usize, &'static str> {
///     let twice = length * 2;
///     if twice > buffer.len() {
///         return Err("the input is over 128 bytes");
///     }
///     for at in (0..twice).rev() {
///         buffer[at] = buffer[at / 2];
///     }
///     Ok(twice)
/// }
/// ```
#[macro_export]
macro_rules! in_place {
    ($bytes:literal: $($function:ident),+ $(,)?) => {
        const _: () = {
            static PLACE: $crate::abi::Place<$bytes> = $crate::abi::Place::new();

            #[allow(dead_code)]
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "allocate"))]
            extern "C" fn allocate(size: usize) -> *mut u8 {
                PLACE.allocate(size)
            }
            $(
                const _: () = {
                    #[allow(dead_code)]
                    #[cfg_attr(target_arch = "wasm32", unsafe(export_name = stringify!($function)))]
                    unsafe extern "C" fn __hostel_export(_: *const u8, size: usize) -> i64 {
                        // SAFETY: the host runs one function at a time, and copies the answer before
                        // it writes to the buffer again.
                        unsafe { PLACE.respond(size, $function) }
                    }
                };
            )+
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::unpack;

    #[test]
    fn only_what_fits_gets_the_buffer() {
        let place = Place::<16>::new();
        assert_eq!(place.allocate(17), ptr::null_mut());
        for size in [0, 1, 16] {
            let buffer = place.allocate(size);
            assert_eq!(buffer as usize % 8, 0);
            assert_eq!(buffer, place.allocate(16));
            assert!(!buffer.is_null());
        }
    }

    #[test]
    fn an_answer_is_no_longer_than_the_buffer_and_an_error_is_marked() {
        let place = Place::<16>::new();
        // SAFETY: nothing else uses this buffer.
        let respond = |answer| unsafe {
            place.respond(20, |_, size| {
                assert_eq!(size, 16);
                answer
            })
        };
        assert_eq!(unpack(respond(Ok(5))).1, 5);
        assert_eq!(unpack(respond(Ok(17))).1, 16);
        assert_eq!(unpack(respond(Err("no"))).1, ERROR_BIT | 2);
    }
}
