//! Wraps messages for a terminal.

use std::io;

/// Wraps `text` between words, for stderr if that is a terminal. Returns other text as it is: files
/// and pipes get whole lines.
pub(super) fn for_stderr(text: &str) -> String {
    match terminal_size::terminal_size_of(io::stderr()) {
        Some((width, _)) => wrapped(text, width.0.into()),
        None => text.to_owned(),
    }
}

/// Wraps each line of more than `width` characters between words. The rest of a line is indented by
/// two more than its start. A word longer than a line is not broken.
fn wrapped(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        let length = line.chars().count();
        let words = line.trim_start_matches(' ');
        let indent = line.len() - words.len();
        if length <= width {
            out.push_str(line);
        } else {
            out.push_str(&" ".repeat(indent));
            let mut column = indent;
            for (at, word) in words.split(' ').enumerate() {
                let length = word.chars().count();
                if at > 0 && column + 1 + length > width {
                    out.push('\n');
                    column = indent + 2;
                    out.push_str(&" ".repeat(column));
                } else if at > 0 {
                    out.push(' ');
                    column += 1;
                }
                out.push_str(word);
                column += length;
            }
        }
        out.push_str(end);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words() {
        for (text, expected) in [
            ("", ""),
            ("short\n", "short\n"),
            ("exactly ten", "exactly\n  ten"),
            ("exactly 10\n", "exactly 10\n"),
            ("error: one two three\n", "error: one\n  two\n  three\n"),
            ("  a detail of it\n", "  a detail\n    of it\n"),
            ("a incomprehensibilities\n", "a\n  incomprehensibilities\n"),
            ("äöü äöü äö\n", "äöü äöü äö\n"),
            ("one\n\ntwo three four\n", "one\n\ntwo three\n  four\n"),
        ] {
            assert_eq!(wrapped(text, 10), expected);
        }
        // Narrower than the indentation.
        assert_eq!(wrapped("    a b", 1), "    a\n      b");
        assert_eq!(wrapped("a b", 0), "a\n  b");
    }
}
