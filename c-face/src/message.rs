//! Messages, into the caller's buffer.

use crate::{HostelCode, raw};
use core::fmt::{self, Write};

/// Where a message goes: a buffer of the caller's. It gets a text in UTF-8, cut to what has room,
/// with a zero at its end; an empty one where there was no error.
#[repr(C)]
#[derive(Debug)]
pub struct HostelMessage {
    /// The buffer, or null for no message.
    pub text: *mut u8,
    /// Its size in bytes.
    pub capacity: usize,
}

impl HostelMessage {
    /// Writes what `error` says, or nothing for none.
    ///
    /// # Safety
    ///
    /// `message` is null, or its buffer has initialised bytes that nobody else uses.
    pub(crate) unsafe fn say(message: *mut Self, error: Option<&dyn fmt::Display>) {
        // SAFETY: by the caller's promise.
        let Ok(message) = (unsafe { raw::borrowed_mut(message) }) else {
            return;
        };
        // SAFETY: by the caller's promise.
        let buffer = unsafe { raw::items_mut(message.text, message.capacity) };
        let Ok(buffer) = buffer else {
            return;
        };
        let mut text = Text { buffer, used: 0 };
        if let Some(error) = error {
            // It ends early where there is no more room: that is no failure.
            let _ = write!(text, "{error}");
        }
        text.end();
    }
}

/// A text that is cut to what has room, before a zero.
struct Text<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl Text<'_> {
    fn end(self) {
        if let Some(end) = self.buffer.get_mut(self.used) {
            *end = 0;
        }
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.buffer.len().saturating_sub(self.used + 1);
        let mut fits = room.min(text.len());
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        let (Some(place), Some(bytes)) = (
            self.buffer.get_mut(self.used..self.used + fits),
            text.as_bytes().get(..fits),
        ) else {
            return Err(fmt::Error);
        };
        place.copy_from_slice(bytes);
        self.used += fits;
        if fits < text.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

/// Says an error of hostel's, and gives its number.
///
/// # Safety
///
/// As for [`HostelMessage::say`].
pub(crate) unsafe fn failed<E>(message: *mut HostelMessage, error: &E) -> HostelCode
where
    E: fmt::Display,
    for<'a> HostelCode: From<&'a E>,
{
    // SAFETY: by the caller's promise.
    unsafe { HostelMessage::say(message, Some(error)) };
    HostelCode::from(error)
}
