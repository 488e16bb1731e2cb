//! Writes to stdout and stderr.

use super::{exit::Exit, failure::Failure, wrap};
use anstyle::{AnsiColor, Style};
use hostel::Escaped;
use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};
use std::{
    fmt::{self, Write as _},
    fs::{self, OpenOptions},
    io::{self, BufWriter, IsTerminal as _, Write},
    path::Path,
};

/// Prints a plugin's result. If stdout is a terminal, control characters are made visible.
pub(super) fn answer(bytes: &[u8]) -> Result<Exit, Failure> {
    if io::stdout().is_terminal() {
        let mut to = BufWriter::new(io::stdout().lock());
        ended(show(&mut to, bytes).and_then(|()| to.flush()))
    } else {
        write(io::stdout(), bytes)
    }
}

/// Prints bytes that contain nothing from a plugin.
pub(super) fn bytes(bytes: &[u8]) -> Result<Exit, Failure> {
    write(io::stdout(), bytes)
}

/// Prints styled text. The styles are stripped if stdout is not a terminal.
pub(super) fn text(text: &str) -> Result<Exit, Failure> {
    write(anstream::stdout(), text.as_bytes())
}

/// Prints the styled text that `write` writes. The text is never held as a whole: a hostile module
/// can declare millions of things.
pub(super) fn stream(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Exit, Failure> {
    let mut to = BufWriter::new(anstream::stdout());
    ended(write(&mut to).and_then(|()| to.flush()))
}

/// Prints a value as JSON on one line. Escapes make it up to six times as long as a plugin's result, so
/// it is never held as a whole.
pub(super) fn json(value: &impl Serialize) -> Result<Exit, Failure> {
    let mut to = BufWriter::new(io::stdout().lock());
    let mut serializer = Serializer::with_formatter(&mut to, OneLine);
    let written = value.serialize(&mut serializer).map_err(io::Error::from);
    ended(
        written
            .and_then(|()| to.write_all(b"\n"))
            .and_then(|()| to.flush()),
    )
}

/// A JSON array of the items that the function's iterator returns. One item exists at a time.
pub(super) struct Each<F>(pub(super) F);

impl<F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: IntoIterator<Item: Serialize>,
{
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0())
    }
}

/// Checks that a report can be written to the file `path`, before the work that it reports.
pub(super) fn check_file(path: &Path) -> Result<(), Failure> {
    let found = fs::metadata(path);
    // The reader of a pipe would take the check for its end.
    if found.as_ref().is_ok_and(|found| !found.is_file()) {
        return Ok(());
    }
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|error| Failure::unwritable(path, &error))?;
    if found.is_err() {
        // If it stays, the report replaces it.
        let _ = fs::remove_file(path);
    }
    Ok(())
}

/// Prints a failure on stderr.
pub(super) fn failure(failure: &Failure) {
    let mut text = format!("error: {}\n", escaped(&failure.message));
    // Writing to a String does not fail.
    for detail in &failure.details {
        let _ = writeln!(text, "  {}", escaped(detail));
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(text, "hint: {}", escaped(hint));
    }
    error(&text);
}

/// Prints a hint on stderr.
pub(super) fn hint(text: &str) {
    error(&format!("hint: {}\n", escaped(text)));
}

/// Prints a line on stderr as it is.
pub(super) fn note(line: &str) {
    // If stderr can't be written, there is no other place for the line.
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Prints an error message on stderr, wrapped between words if that is a terminal. Lines may begin
/// with `error:` and `hint:`.
pub(super) fn error(text: &str) {
    let (red, bold) = (AnsiColor::Red.on_default().bold(), Style::new().bold());
    let mut styled = String::new();
    for line in wrap::for_stderr(text).split_inclusive('\n') {
        let labels = [("error:", red), ("hint:", bold)];
        let label = |(label, style)| Some((label, style, line.strip_prefix(label)?));
        // Writing to a String does not fail.
        let _ = match labels.into_iter().find_map(label) {
            Some((label, style, rest)) => write!(styled, "{style}{label}{style:#}{rest}"),
            None => write!(styled, "{line}"),
        };
    }
    // If stderr can't be written, there is no other place for the message.
    let _ = anstream::stderr().write_all(styled.as_bytes());
}

/// Makes `text` from a plugin or a file name visible: one line, control characters escaped.
pub(super) fn escaped(text: &str) -> Escaped<'_> {
    Escaped::new(text.as_bytes())
}

fn write(mut to: impl Write, bytes: &[u8]) -> Result<Exit, Failure> {
    ended(to.write_all(bytes).and_then(|()| to.flush()))
}

/// Returns the exit after the output was written, or not.
fn ended(written: io::Result<()>) -> Result<Exit, Failure> {
    match written {
        Ok(()) => Ok(Exit::Ok),
        // The reader closed the pipe, as `head` does: not worth a message.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Own),
        Err(error) => Err(Failure::output(&error)),
    }
}

/// Writes what [`hostel::escaped_lines`] returns, with a newline at the end. Never holds it as a whole:
/// it may be ten times as long as `bytes`.
fn show(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\t')) {
        match part.split_last() {
            Some((end @ (b'\n' | b'\t'), part)) => {
                write!(to, "{}", Escaped::new(part))?;
                to.write_all(&[*end])?;
            }
            _ => write!(to, "{}", Escaped::new(part))?,
        }
    }
    match bytes.last() {
        None | Some(b'\n') => Ok(()),
        Some(_) => to.write_all(b"\n"),
    }
}

/// Compact JSON that escapes every character that could act on a terminal. JSON itself requires it
/// only below U+0020; serde_json escapes those before the text reaches this [`Formatter`].
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        for part in fragment.split_inclusive(|c: char| !c.is_ascii() || c == '\x7f') {
            let mut before = part.chars();
            match before.next_back() {
                Some(last) if !is_visible(last) => {
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

/// Returns whether `c` is shown as itself.
fn is_visible(c: char) -> bool {
    let mut bytes = [0; 4];
    let text = &*c.encode_utf8(&mut bytes);
    write!(Rest(text), "{}", escaped(text)).is_ok()
}

/// A text of which all that is written here must be the next part.
struct Rest<'a>(&'a str);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{is_visible, show};

    #[test]
    fn a_result_controls_no_terminal() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"one", "one\n"),
            (b"one\n", "one\n"),
            (b"\n\n", "\n\n"),
            (b"a\tb\nc\r\n", "a\tb\nc\\r\n"),
            (b"\x1b[2J\xff\n\x07", "\\u{1b}[2J\u{fffd}\n\\u{7}\n"),
        ] {
            let mut shown = Vec::new();
            show(&mut shown, bytes).unwrap();
            assert_eq!(String::from_utf8(shown).unwrap(), text);
        }
    }

    #[test]
    fn characters_that_act_on_a_terminal_are_not_visible() {
        for c in [' ', 'a', '~', '\u{e9}', '\u{1f600}'] {
            assert!(is_visible(c), "{c:?}");
        }
        for c in ['\x1b', '\x7f', '\u{9b}', '\u{202e}', '\u{feff}'] {
            assert!(!is_visible(c), "{c:?}");
        }
    }
}
