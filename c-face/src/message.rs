//! Messages in the caller's buffer.

use crate::{HostelCode, raw};
use core::fmt::{self, Write};

/// A buffer of the caller for an error message. It receives UTF-8 text, cut to fit, that ends with a
/// zero byte. After a success it holds an empty text.
///
/// `text` is null, or points to `capacity` initialised bytes that nobody else uses during the call.
#[repr(C)]
#[derive(Debug)]
pub struct HostelMessage {
    /// The buffer, or null if no message is wanted.
    pub text: *mut u8,
    /// Size of the buffer in bytes.
    pub capacity: usize,
}

impl HostelMessage {
    /// Writes the text of `error`, or an empty text for `None`.
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
            // Fails when the buffer is full: a cut message is no failure.
            let _ = write!(text, "{error}");
        }
        text.end();
    }
}

/// Writes text into a buffer, cut so that a zero byte fits after it.
struct Text<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl Text<'_> {
    /// Writes the zero byte. A buffer of no bytes stays as it is.
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
        // Half a character would not be UTF-8.
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

/// Writes an error to `message`, and returns its number.
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

/// Returns the code of a result, and writes a message for a bad argument, for which no error has written
/// one.
///
/// # Safety
///
/// As for [`HostelMessage::say`].
pub(crate) unsafe fn ended(
    result: Result<(), HostelCode>,
    message: *mut HostelMessage,
) -> HostelCode {
    if result == Err(HostelCode::BadArgument) {
        let text = "an argument is null but must not be, is not UTF-8, or is out of range";
        // SAFETY: by the caller's promise.
        unsafe { HostelMessage::say(message, Some(&text)) };
    }
    raw::ended(result)
}
