//! The feature `panic-log`: hands the text of a panic to the host's log, before the trap.

use core::fmt::{Display, Write as _};

/// The longest text of a panic, in bytes. The rest is cut off.
const LONGEST: usize = 256;

/// Writes the text of a panic to the plugin's log, as one line. Allocates nothing: a panic may be due
/// to a heap without memory.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))] // Tests are native, and have no host's log.
pub(crate) fn log(panic: &impl Display) {
    let mut text = Text {
        bytes: [0; LONGEST],
        len: 0,
    };
    // Fails if the text is cut off.
    let _ = write!(text, "{panic}");
    let bytes = text.bytes.get(..text.len).unwrap_or_default();
    crate::log(core::str::from_utf8(bytes).unwrap_or_default());
}

/// The beginning of a text, with spaces instead of line breaks.
struct Text {
    bytes: [u8; LONGEST],
    len: usize,
}

impl core::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for character in text.chars() {
            let character = if character == '\n' { ' ' } else { character };
            let end = self.len + character.len_utf8();
            let room = self.bytes.get_mut(self.len..end).ok_or(core::fmt::Error)?;
            character.encode_utf8(room);
            self.len = end;
        }
        Ok(())
    }
}

/// Sets a panic hook of std, once: the handler of the feature `panic-handler` needs none.
#[cfg(all(
    target_arch = "wasm32",
    feature = "panic-log",
    not(feature = "panic-handler")
))]
pub(crate) fn install() {
    use core::sync::atomic::{AtomicBool, Ordering};
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if !INSTALLED.swap(true, Ordering::Relaxed) {
        let former = std::panic::take_hook();
        std::panic::set_hook(std::boxed::Box::new(move |panic| {
            log(panic);
            former(panic);
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_and_cut_off_between_characters() {
        let mut text = Text {
            bytes: [0; LONGEST],
            len: 0,
        };
        assert!(write!(text, "panicked at src/lib.rs:1:2:\n{}", "é".repeat(100)).is_ok());
        let start = "panicked at src/lib.rs:1:2: é";
        assert!(text.bytes.starts_with(start.as_bytes()));
        assert!(write!(text, "{}", "é".repeat(100)).is_err());
        assert_eq!(text.len, 256);
        assert!(core::str::from_utf8(&text.bytes[..text.len]).is_ok());
    }
}
