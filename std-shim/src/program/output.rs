//! Writing to stdout and stderr.

use super::{exit::Exit, failure::Failure};
use anstyle::{AnsiColor, Style};
use hostel::Escaped;
use serde_json::{Serializer, Value, ser::Formatter};
use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write},
};

/// Prints a plugin's answer: as it is, or so that a terminal shows it and obeys nothing in it.
pub(super) fn answer(bytes: &[u8]) -> Result<Exit, Failure> {
    if io::stdout().is_terminal() {
        write(io::stdout(), shown(bytes).as_bytes())
    } else {
        write(io::stdout(), bytes)
    }
}

/// Prints bytes of hostel's own.
pub(super) fn bytes(bytes: &[u8]) -> Result<Exit, Failure> {
    write(io::stdout(), bytes)
}

/// Prints text with styles, which are left out where colours are not wanted.
pub(super) fn text(text: &str) -> Result<Exit, Failure> {
    write(anstream::stdout(), text.as_bytes())
}

/// Prints a JSON value on a line.
pub(super) fn json(value: &Value) -> Result<Exit, Failure> {
    let mut line = Vec::new();
    serde::Serialize::serialize(value, &mut Serializer::with_formatter(&mut line, OneLine))
        .map_err(|error| Failure::output(&error.into()))?;
    line.push(b'\n');
    bytes(&line)
}

/// Prints a failure on stderr.
pub(super) fn failure(failure: &Failure) {
    let (red, bold) = (AnsiColor::Red.on_default().bold(), Style::new().bold());
    let mut text = format!("{red}error:{red:#} {}\n", visible(&failure.message));
    // Writing to a String does not fail.
    for detail in &failure.details {
        let _ = writeln!(text, "  {}", visible(detail));
    }
    if let Some(hint) = failure.hint {
        let _ = writeln!(text, "{bold}hint:{bold:#} {hint}");
    }
    // Where this can't be written, there is nowhere left to say so.
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// `text` as one line without control characters, whoever wrote it.
pub(super) fn visible(text: &str) -> Escaped<'_> {
    Escaped::new(text.as_bytes())
}

fn write(mut to: impl Write, bytes: &[u8]) -> Result<Exit, Failure> {
    match to.write_all(bytes).and_then(|()| to.flush()) {
        Ok(()) => Ok(Exit::Ok),
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Own),
        Err(error) => Err(Failure::output(&error)),
    }
}

/// As [`hostel::escaped_lines`], and the last line ends.
fn shown(bytes: &[u8]) -> String {
    let mut text = hostel::escaped_lines(bytes);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Compact JSON in which everything that could act on a terminal is escaped, not only what is
/// below U+0020, as JSON asks. Those reach [`Formatter`] by another way.
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        for part in fragment.split_inclusive(|c: char| !c.is_ascii() || c == '\x7f') {
            let mut before = part.chars();
            match before.next_back() {
                Some(last) if visible(part).to_string() != part => {
                    writer.write_all(before.as_str().as_bytes())?;
                    for unit in last.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
                _ => writer.write_all(part.as_bytes())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_terminal_obeys_nothing_in_an_answer() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"one", "one\n"),
            (b"one\n", "one\n"),
            (b"\n\n", "\n\n"),
            (b"a\tb\nc\r\n", "a\tb\nc\\r\n"),
            (b"\x1b[2J\xff\n\x07", "\\u{1b}[2J\u{fffd}\n\\u{7}\n"),
        ] {
            assert_eq!(shown(bytes), text);
        }
    }
}
