//! Makes text from guests safe to show, and builds messages.

use super::invisible::is_invisible;
use alloc::{boxed::Box, fmt::format, string::String};
use core::fmt;

/// Bytes from a guest that print as one line of text without control characters.
///
/// Line ends, escapes, other control characters, and characters that Unicode calls invisible (categories
/// Cc, Cf, Zl and Zp, `Bidi_Control`, `Default_Ignorable_Code_Point`) are written as `\n` or `\u{1b}`, and
/// invalid UTF-8 as U+FFFD. So a guest can neither forge a second log record nor control a terminal.
///
/// ```
/// use hostel_core::Escaped;
/// assert_eq!(Escaped::new(b"a\nb\x1b[2J\xff").to_string(), "a\\nb\\u{1b}[2J\u{fffd}");
/// ```
#[derive(Clone, Copy)]
pub struct Escaped<'a> {
    bytes: &'a [u8],
}

impl<'a> Escaped<'a> {
    /// Wraps `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Returns the guest's bytes unchanged. Not safe to print.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Several escapes are written at once: each write would cost more than the escape.
        let mut escapes = heapless::String::<ESCAPES>::new();
        for chunk in self.bytes.utf8_chunks() {
            let text = chunk.valid();
            let mut written = 0;
            for (at, c) in text.char_indices() {
                // Most text is plain ASCII: skip the longer check.
                if matches!(c, ' '..='~') || !is_invisible(c) {
                    continue;
                }
                let before = text.get(written..at).unwrap_or_default();
                if !before.is_empty() || escapes.len() > ESCAPES - LONGEST_ESCAPE {
                    f.write_str(&escapes)?;
                    f.write_str(before)?;
                    escapes.clear();
                }
                // Can't fail: there is room for the longest.
                c.escape_default().for_each(|c| drop(escapes.push(c)));
                written = at.saturating_add(c.len_utf8());
            }
            f.write_str(&escapes)?;
            escapes.clear();
            f.write_str(text.get(written..).unwrap_or_default())?;
            if !chunk.invalid().is_empty() {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}

/// Length of the longest escape, `\u{10ffff}`, and of those that are written at once, in bytes.
const LONGEST_ESCAPE: usize = 10;
const ESCAPES: usize = 64;

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Wraps text from a module or a guest, to be shown in a message.
pub(crate) fn shown(text: &str) -> Escaped<'_> {
    Escaped::new(text.as_bytes())
}

/// Formats the text of an error. A function of its own, not inlined: `format!` would compile to more
/// code in each of the many places.
#[inline(never)]
pub(crate) fn text(words: fmt::Arguments<'_>) -> Box<str> {
    format(words).into()
}

/// Returns the separator of an import's module and name in messages: `#` if the module is an interface of WIT, or stands
/// for a world, otherwise `.`.
pub(crate) fn separator(module: &str) -> &'static str {
    let is_interface = || module.contains('/') && module.contains(':');
    // Extism's modules only look like interfaces.
    let is_of_wit = || module == "$root" || (is_interface() && !module.starts_with("extism:"));
    if cfg!(any(feature = "component", feature = "contract")) && is_of_wit() {
        "#"
    } else {
        "."
    }
}

/// Lists `parts` in backquotes, separated by commas, for a message; `none` if there are none.
pub(crate) fn listed<S: AsRef<str>>(parts: impl IntoIterator<Item = S>) -> String {
    let mut list = String::new();
    for part in parts {
        let comma = if list.is_empty() { "" } else { ", " };
        for piece in [comma, "`", part.as_ref(), "`"] {
            list.push_str(piece);
        }
    }
    if list.is_empty() {
        String::from("none")
    } else {
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_of_a_guest_stays_one_line() {
        for (bytes, shown) in [
            (&b"plain text"[..], "plain text"),
            (b"", ""),
            (
                "Gr\u{fc}\u{df}e \u{1f600}".as_bytes(),
                "Gr\u{fc}\u{df}e \u{1f600}",
            ),
            (b"one\ntwo\r\n", "one\\ntwo\\r\\n"),
            (b"\x1b]52;c;AAAA\x07", "\\u{1b}]52;c;AAAA\\u{7}"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            (b"\x9b31m", "\u{fffd}31m"),
            (
                "a\u{202e}b\u{2028}c\u{feff}".as_bytes(),
                "a\\u{202e}b\\u{2028}c\\u{feff}",
            ),
            (b"nul\0del\x7f", "nul\\u{0}del\\u{7f}"),
            (b"\xf0\x9f\x98", "\u{fffd}"),
            (b"\x01\x02\n\x7f", "\\u{1}\\u{2}\\n\\u{7f}"),
            ("\u{e0001}".repeat(30).as_bytes(), &"\\u{e0001}".repeat(30)),
            (
                "\u{e0001}a".repeat(30).as_bytes(),
                &"\\u{e0001}a".repeat(30),
            ),
        ] {
            assert_eq!(Escaped::new(bytes).to_string(), shown);
        }
    }
}
