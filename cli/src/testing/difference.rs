//! Shows how bytes differ from those that were expected.

use crate::output::escaped;
use serde_json::Value;
use std::{collections::BTreeSet, fmt::Write as _};

/// Most characters of a text, and bytes of others, that are shown of one value.
const SHOWN: usize = 100;

/// Most lines, or places of JSON, that are shown as different.
const MOST: usize = 5;

/// Returns bytes on one line: a text in quotes, others in hexadecimal; cut if they are long.
pub(super) fn shown(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => quoted(text),
        Err(_) => hex(bytes, 0),
    }
}

fn quoted(text: &str) -> String {
    let count = text.chars().count();
    if count <= SHOWN {
        return format!("\"{}\"", escaped(text));
    }
    let head: String = text.chars().take(SHOWN).collect();
    format!("\"{}…\" ({count} characters)", escaped(&head))
}

/// Returns bytes from a position on in hexadecimal.
fn hex(bytes: &[u8], from: usize) -> String {
    let part = bytes.iter().skip(from).take(16);
    let mut text = String::new();
    for byte in part {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x} ");
    }
    let more = if bytes.len() > from + 16 { "… " } else { "" };
    format!("{text}{more}({} bytes)", bytes.len())
}

/// Returns the lines that tell how `found` differs from `expected`; none if it does not.
pub(super) fn bytes(what: &str, expected: &[u8], found: &[u8]) -> Vec<String> {
    if expected == found {
        return Vec::new();
    }
    match (str::from_utf8(expected), str::from_utf8(found)) {
        (Ok(expected), Ok(found)) if expected.contains('\n') || found.contains('\n') => {
            lines(what, expected, found)
        }
        (Ok(expected), Ok(found)) => text(what, expected, found),
        _ => {
            let pairs = expected.iter().zip(found);
            let at = pairs.take_while(|(one, other)| one == other).count();
            vec![
                format!("{what}: byte {at} differs"),
                format!("expected {}", hex(expected, at)),
                format!("found    {}", hex(found, at)),
            ]
        }
    }
}

/// Compares texts of one line. Of long ones, shows the part that begins shortly before the first difference.
fn text(what: &str, expected: &str, found: &str) -> Vec<String> {
    let pairs = expected.chars().zip(found.chars());
    let at = pairs.take_while(|(one, other)| one == other).count();
    let skip = if at > SHOWN / 2 { at - 20 } else { 0 };
    let part = |text: &str| {
        let rest: String = text.chars().skip(skip).collect();
        let cut = if skip > 0 { "…" } else { "" };
        format!("{cut}{}", quoted(&rest))
    };
    vec![
        format!("{what}: character {} differs", at + 1),
        format!("expected {}", part(expected)),
        format!("found    {}", part(found)),
    ]
}

/// Compares texts line by line.
fn lines(what: &str, expected: &str, found: &str) -> Vec<String> {
    let [expected, found]: [Vec<&str>; 2] =
        [expected, found].map(|text| text.split('\n').collect());
    let count = expected.len().max(found.len());
    let differ: Vec<_> = (0..count)
        .filter(|at| expected.get(*at) != found.get(*at))
        .collect();
    let mut shown = vec![format!("{what}: {} of {count} lines differ", differ.len())];
    for at in differ.iter().take(MOST) {
        let line = |all: &[&str]| all.get(*at).map_or("none".to_owned(), |line| quoted(line));
        shown.push(format!("line {}: expected {}", at + 1, line(&expected)));
        shown.push(format!("line {}: found    {}", at + 1, line(&found)));
    }
    shown
}

/// Compares JSON. Objects may have their fields in any order; `1` equals `1.0`.
pub(super) fn json(expected: &Value, found: &Value) -> Vec<String> {
    let mut all = Vec::new();
    compare("$", expected, found, &mut all);
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    if more > 0 {
        all.push(format!("{more} more places of the output differ"));
    }
    all
}

fn compare(at: &str, expected: &Value, found: &Value, all: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let names = expected.keys().chain(found.keys());
            // A name of both comes twice.
            for name in names.collect::<BTreeSet<_>>() {
                let at = format!("{at}.{}", escaped(name));
                either(&at, expected.get(name), found.get(name), all);
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            for index in 0..expected.len().max(found.len()) {
                let at = format!("{at}[{index}]");
                either(&at, expected.get(index), found.get(index), all);
            }
        }
        (expected, found) if equal(expected, found) => {}
        (expected, found) => all.push(differs(at, Some(expected), Some(found))),
    }
}

/// Compares values of which one may be absent.
fn either(at: &str, expected: Option<&Value>, found: Option<&Value>, all: &mut Vec<String>) {
    match (expected, found) {
        (Some(expected), Some(found)) => compare(at, expected, found, all),
        (expected, found) => all.push(differs(at, expected, found)),
    }
}

fn differs(at: &str, expected: Option<&Value>, found: Option<&Value>) -> String {
    let [expected, found] = [expected, found].map(|value| match value.map(Value::to_string) {
        None => "none".to_owned(),
        Some(text) if text.chars().count() <= SHOWN => escaped(&text).to_string(),
        Some(text) => quoted(&text),
    });
    format!("output {at}: expected {expected}, found {found}")
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        // Large integers that differ can be equal as floats.
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            a.as_f64() == b.as_f64()
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, json, shown};
    use serde_json::json as value;

    #[test]
    fn the_first_difference_is_shown() {
        assert!(bytes("output", b"same", b"same").is_empty());
        assert_eq!(
            bytes("output", b"grey", b"gray\x1b"),
            [
                "output: character 3 differs",
                "expected \"grey\"",
                "found    \"gray\\u{1b}\"",
            ]
        );
        assert_eq!(
            bytes("output", b"a\nb\nc", b"a\nB"),
            [
                "output: 2 of 3 lines differ",
                "line 2: expected \"b\"",
                "line 2: found    \"B\"",
                "line 3: expected \"c\"",
                "line 3: found    none",
            ]
        );
        assert_eq!(
            bytes("output", b"\0\xff\x01", b"\0\xff\x02"),
            [
                "output: byte 2 differs",
                "expected 01 (3 bytes)",
                "found    02 (3 bytes)",
            ]
        );
        let long = "x".repeat(1000);
        let [_, expected, found] =
            &*bytes("output", format!("{long}a").as_bytes(), long.as_bytes())
        else {
            panic!("three lines");
        };
        assert!(expected.contains("…\"xxxx") && expected.ends_with("a\""));
        assert!(found.len() < 60);
        assert!(shown(long.as_bytes()).ends_with("(1000 characters)"));
    }

    #[test]
    fn json_differs_by_its_values() {
        let one = value!({ "a": [1, 2.0], "b": { "c": "x" }, "d": null });
        let equal = value!({ "d": null, "b": { "c": "x" }, "a": [1.0, 2] });
        assert!(json(&one, &equal).is_empty());
        let other = value!({ "a": [1, 3, 4], "b": { "c": "y" }, "e": true });
        assert_eq!(
            json(&one, &other),
            [
                "output $.a[1]: expected 2.0, found 3",
                "output $.a[2]: expected none, found 4",
                "output $.b.c: expected \"x\", found \"y\"",
                "output $.d: expected null, found none",
                "output $.e: expected none, found true",
            ]
        );
        let large = |last: u64| value!(9_007_199_254_740_992_u64 + last);
        assert_eq!(json(&large(0), &large(1)).len(), 1);
        let many = value!([0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(json(&many, &value!([])).len(), 6);
    }
}
