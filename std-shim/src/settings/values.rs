//! Reads single values of a configuration.

use super::{file::read_text, table::expected};
use crate::parse_quantity;
use std::{collections::BTreeSet, env, path::PathBuf, time::Duration};
use toml::de::DeValue;

/// Reads a text.
pub fn text(value: &DeValue<'_>) -> Result<String, String> {
    let text = value.as_str().map(ToOwned::to_owned);
    text.ok_or_else(|| expected("a text", value))
}

/// Reads a path.
pub fn path(value: &DeValue<'_>) -> Result<PathBuf, String> {
    text(value).map(PathBuf::from)
}

/// Reads `true` or `false`.
pub fn flag(value: &DeValue<'_>) -> Result<bool, String> {
    let flag = value.as_bool();
    flag.ok_or_else(|| expected("true or false", value))
}

/// Reads a list of texts.
pub fn texts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let items = value.as_array();
    let items = items.ok_or_else(|| expected("a list of texts", value))?;
    items.iter().map(|item| text(item.get_ref())).collect()
}

/// As [`texts`], of which no two are equal: the second one has no effect, or another one than was meant.
pub fn unique_texts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let texts = texts(value)?;
    let mut seen = BTreeSet::new();
    match texts.iter().find(|text| !seen.insert(*text)) {
        Some(twice) => Err(format!("\"{twice}\" is listed twice")),
        None => Ok(texts),
    }
}

/// Reads a whole number, such as `5000`, `"64KiB"` or `"5M"`.
pub fn number(value: &DeValue<'_>) -> Result<u64, String> {
    let integer = value.as_integer().and_then(|integer| {
        let digits = integer.as_str().trim_start_matches('+');
        u64::from_str_radix(digits, integer.radix()).ok()
    });
    integer
        .or_else(|| parse_quantity(value.as_str()?))
        .ok_or_else(|| expected("a whole number, such as 5000, \"64KiB\" or \"5M\"", value))
}

/// Reads a whole number within bounds.
pub fn number_in(least: u64, most: u64) -> impl Fn(&DeValue<'_>) -> Result<u64, String> + Copy {
    move |value| match number(value)? {
        found if (least..=most).contains(&found) => Ok(found),
        found => Err(format!("expected {least} to {most}, found {found}")),
    }
}

/// As [`number_in`], for sizes of this machine.
pub fn size_in(least: usize, most: usize) -> impl Fn(&DeValue<'_>) -> Result<usize, String> + Copy {
    move |value| {
        let number = number_in(least as u64, most as u64)(value)?;
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }
}

/// The units of time, longer names first: `ms` ends with `s`.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a time of at least a millisecond and at most a day, such as `"500ms"`, `"2s"`, `"5m"` or `"1h"`.
pub fn time(value: &DeValue<'_>) -> Result<Duration, String> {
    let wrong = || {
        expected(
            "a time from 1ms to 24h, such as \"500ms\", \"2s\" or \"5m\"",
            value,
        )
    };
    let text = value.as_str().ok_or_else(wrong)?;
    let mut units = UNITS.into_iter();
    let (digits, factor) = units
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .ok_or_else(wrong)?;
    let number: u64 = digits.trim_end().parse().map_err(|_| wrong())?;
    let millis = number.checked_mul(factor).ok_or_else(wrong)?;
    match millis {
        1..=86_400_000 => Ok(Duration::from_millis(millis)),
        _ => Err(wrong()),
    }
}

/// Most bytes of a file with a secret.
const SECRET_BYTES: usize = 64 << 10;

/// Reads a text, or a secret: `{ env = "NAME" }` or `{ file = "PATH" }`, of 64 KiB at most. A line break at a
/// file's end is cut.
pub fn secret(value: &DeValue<'_>) -> Result<String, String> {
    let Some(table) = value.as_table() else {
        return text(value);
    };
    let wrong = || "expected a text, { env = \"NAME\" } or { file = \"PATH\" }".to_owned();
    let mut entries = table.iter();
    let (Some((key, from)), None) = (entries.next(), entries.next()) else {
        return Err(wrong());
    };
    let from = from.get_ref().as_str().ok_or_else(wrong)?;
    match &**key.get_ref() {
        "env" => env::var(from)
            .map_err(|_| format!("the environment variable `{from}` is not set to a text")),
        "file" => {
            let read = read_text(from, SECRET_BYTES);
            let text = read.map_err(|error| format!("can't read the file `{from}`: {error}"))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
        }
        _ => Err(wrong()),
    }
}

/// Reads one of several names.
pub fn one_of<T: Copy>(
    choices: &'static [(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Result<T, String> {
    move |value| {
        let found = value.as_str();
        let chosen = choices.iter().find(|(name, _)| Some(*name) == found);
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices
                .iter()
                .map(|(name, _)| format!("\"{name}\""))
                .collect();
            expected(&format!("one of {}", names.join(", ")), value)
        })
    }
}
