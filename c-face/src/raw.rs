//! Turns pointers from C into references. Each function states what the caller in C must promise.

use crate::HostelCode;
use alloc::boxed::Box;
use core::{ffi::CStr, ptr, slice};

/// Returns the `size` items at `data`. Null is allowed if `size` is 0.
///
/// # Safety
///
/// `data` points to `size` items that nobody writes to during `'a`, or `size` is 0.
pub(crate) unsafe fn items<'a, T>(data: *const T, size: usize) -> Result<&'a [T], HostelCode> {
    match (data.is_null(), size) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(HostelCode::BadArgument),
        // SAFETY: by the caller's promise.
        (false, _) => Ok(unsafe { slice::from_raw_parts(data, size) }),
    }
}

/// Returns the `size` items at `data`, to write to. Null is allowed if `size` is 0.
///
/// # Safety
///
/// `data` points to `size` initialised items that nobody else uses during `'a`, or `size` is 0.
pub(crate) unsafe fn items_mut<'a, T>(
    data: *mut T,
    size: usize,
) -> Result<&'a mut [T], HostelCode> {
    match (data.is_null(), size) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(HostelCode::BadArgument),
        // SAFETY: by the caller's promise.
        (false, _) => Ok(unsafe { slice::from_raw_parts_mut(data, size) }),
    }
}

/// Returns the text at `text`. It must be UTF-8.
///
/// # Safety
///
/// `text` is null, or a text that ends with a zero byte and that nobody writes to during `'a`.
pub(crate) unsafe fn text<'a>(text: *const core::ffi::c_char) -> Result<&'a str, HostelCode> {
    if text.is_null() {
        return Err(HostelCode::BadArgument);
    }
    // SAFETY: by the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| HostelCode::BadArgument)
}

/// Returns the value behind a handle.
///
/// # Safety
///
/// `handle` is null, or comes from [`hand_out`]; it is not taken back during `'a`, and nobody changes
/// the value.
pub(crate) unsafe fn borrowed<'a, T>(handle: *const T) -> Result<&'a T, HostelCode> {
    // SAFETY: by the caller's promise.
    unsafe { handle.as_ref() }.ok_or(HostelCode::BadArgument)
}

/// Returns the value behind a handle, to change it.
///
/// # Safety
///
/// As for [`borrowed`], and nobody else uses the value during `'a`.
pub(crate) unsafe fn borrowed_mut<'a, T>(handle: *mut T) -> Result<&'a mut T, HostelCode> {
    // SAFETY: by the caller's promise.
    unsafe { handle.as_mut() }.ok_or(HostelCode::BadArgument)
}

/// Returns a handle for C. [`take_back`] frees it.
pub(crate) fn hand_out<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Drops the value behind a handle. Does nothing for null.
///
/// # Safety
///
/// `handle` is null, or comes from [`hand_out`]; it was not taken back before and is not used
/// afterwards.
pub(crate) unsafe fn take_back<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: by the caller's promise.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// Writes a result to `place`.
///
/// # Safety
///
/// `place` is null, or may be written to. It need not be initialised.
pub(crate) unsafe fn put<T>(place: *mut T, value: T) -> Result<(), HostelCode> {
    if place.is_null() {
        return Err(HostelCode::BadArgument);
    }
    // SAFETY: by the caller's promise.
    unsafe { ptr::write(place, value) };
    Ok(())
}

/// Returns the code of a result.
pub(crate) fn ended(result: Result<(), HostelCode>) -> HostelCode {
    result.err().unwrap_or(HostelCode::Ok)
}
