//! What pointers from C become. Each function says what the caller in C has promised.

use crate::HostelCode;
use alloc::boxed::Box;
use core::{ffi::CStr, ptr, slice};

/// The items at `data`; null is fine for none.
///
/// # Safety
///
/// `data` points at `size` items that nobody writes to during `'a`, or `size` is 0.
pub(crate) unsafe fn items<'a, T>(data: *const T, size: usize) -> Result<&'a [T], HostelCode> {
    match (data.is_null(), size) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(HostelCode::BadArgument),
        // SAFETY: by the caller's promise.
        (false, _) => Ok(unsafe { slice::from_raw_parts(data, size) }),
    }
}

/// The items at `data`, to be written; null is fine for none.
///
/// # Safety
///
/// `data` points at `size` initialised items that nobody else uses during `'a`, or `size` is 0.
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

/// The text at `text`.
///
/// # Safety
///
/// `text` is null, or a text with a zero at its end that nobody writes to during `'a`.
pub(crate) unsafe fn text<'a>(text: *const core::ffi::c_char) -> Result<&'a str, HostelCode> {
    if text.is_null() {
        return Err(HostelCode::BadArgument);
    }
    // SAFETY: by the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| HostelCode::BadArgument)
}

/// What a handle stands for.
///
/// # Safety
///
/// `handle` is null, or from [`hand_out`] and not taken back during `'a`, and nobody changes it.
pub(crate) unsafe fn borrowed<'a, T>(handle: *const T) -> Result<&'a T, HostelCode> {
    // SAFETY: by the caller's promise.
    unsafe { handle.as_ref() }.ok_or(HostelCode::BadArgument)
}

/// The same, to be changed.
///
/// # Safety
///
/// As there, and nobody else uses it during `'a`.
pub(crate) unsafe fn borrowed_mut<'a, T>(handle: *mut T) -> Result<&'a mut T, HostelCode> {
    // SAFETY: by the caller's promise.
    unsafe { handle.as_mut() }.ok_or(HostelCode::BadArgument)
}

/// A handle for C, which gives it back by [`take_back`].
pub(crate) fn hand_out<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Drops what a handle stands for.
///
/// # Safety
///
/// `handle` is null, or from [`hand_out`] and not taken back before, and nobody uses it any more.
pub(crate) unsafe fn take_back<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: by the caller's promise.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// Writes to where C wants a result.
///
/// # Safety
///
/// `place` is null, or may be written to; what is there need not be initialised.
pub(crate) unsafe fn put<T>(place: *mut T, value: T) -> Result<(), HostelCode> {
    if place.is_null() {
        return Err(HostelCode::BadArgument);
    }
    // SAFETY: by the caller's promise.
    unsafe { ptr::write(place, value) };
    Ok(())
}

/// The code of a result.
pub(crate) fn ended(result: Result<(), HostelCode>) -> HostelCode {
    result.err().unwrap_or(HostelCode::Ok)
}
