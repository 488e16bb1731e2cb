//! Characters that can't be seen are escaped: all that Unicode's data has, by its properties.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::std_instead_of_core
)]

use hostel_core::Escaped;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory},
};
use std::{fmt::Write as _, fs};

/// Where the table is.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/base/invisible.rs");

/// As in the file.
const LENGTH_BITS: u32 = 11;

fn is_invisible(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointSetData::new::<BidiControl>().contains(c)
        || matches!(
            category,
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        )
}

#[test]
fn each_character_that_unicode_calls_invisible_is_escaped_and_no_other() {
    let (mut shown, mut count) = (String::new(), 0);
    for c in '\0'..=char::MAX {
        shown.clear();
        let (mut utf8, mut escaped) = ([0; 4], String::new());
        let text = c.encode_utf8(&mut utf8);
        write!(shown, "{}", Escaped::new(text.as_bytes())).unwrap();
        if is_invisible(c) {
            escaped.extend(c.escape_default());
            count += 1;
        } else {
            escaped.push(c);
        }
        assert_eq!(shown, escaped, "{c:?}");
    }
    assert!(count > 4_000, "{count}");
}

/// Returns the table in Rust.
fn table() -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    let most = (1 << LENGTH_BITS) - 1;
    for c in ('\0'..=char::MAX).filter(|c| is_invisible(*c)) {
        let c = u32::from(c);
        match ranges.last_mut() {
            Some((start, more)) if *start + *more + 1 == c && *more < most => *more += 1,
            _ => ranges.push((c, 0)),
        }
    }
    let mut rust = format!(
        "#[rustfmt::skip]\nconst RANGES: [u32; {}] = [\n",
        ranges.len()
    );
    for (start, more) in ranges {
        writeln!(rust, "    range(0x{start:x}, 0x{:x}),", start + more).unwrap();
    }
    rust + "];\n"
}

/// After a change of Unicode's data, write the table with `HOSTEL_WRITE_TABLE=1 cargo test -p
/// hostel-core --test invisible`.
#[test]
fn the_table_is_that_of_unicode() {
    let source = fs::read_to_string(FILE).unwrap();
    let (before, rest) = source.split_once("// TABLE\n").unwrap();
    let (found, after) = rest.split_once("// END\n").unwrap();
    if std::env::var_os("HOSTEL_WRITE_TABLE").is_some() {
        fs::write(
            FILE,
            format!("{before}// TABLE\n{}// END\n{after}", table()),
        )
        .unwrap();
    } else {
        assert_eq!(found, table(), "write it anew, as the comment above says");
    }
}
