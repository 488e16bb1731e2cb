//! Bytes as a file of tests gives them.

use crate::input::read_plain;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hostel::settings::{DeTable, DeValue, expected, nearest};
use serde_json::Value;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Most bytes of all files that a file of tests names, each read again if it is named again.
const MOST_BYTES: usize = 256 << 20;

/// The folder of a file of tests, and the files in it that were read.
pub(super) struct Folder {
    path: PathBuf,
    /// Whether the file of tests may name what is outside of its folder.
    trusted: bool,
    bytes: Cell<usize>,
    read: RefCell<BTreeSet<PathBuf>>,
}

/// The kinds of bytes, as keys of a table.
const KINDS: [&str; 5] = ["text", "base64", "hex", "file", "json"];

impl Folder {
    pub(super) fn of(file: &Path, trusted: bool) -> Self {
        Self {
            path: file.parent().unwrap_or(Path::new("")).to_owned(),
            trusted,
            bytes: Cell::default(),
            read: RefCell::default(),
        }
    }

    /// Returns the path of a file or directory that the file of tests names. Refuses one outside of the folder, also
    /// through a link, unless the file is trusted.
    pub(super) fn place(&self, named: &Path) -> Result<PathBuf, String> {
        let path = self.path.join(named);
        if self.trusted {
            return Ok(path);
        }
        let real = |path: &Path| {
            let found = fs::canonicalize(path);
            found.map_err(|error| format!("can't read {}: {error}", path.display()))
        };
        match real(&path)?.starts_with(real(&self.path.join("."))?) {
            true => Ok(path),
            false => Err(format!(
                "{} is outside of the folder of the tests: move it there, or add --trust-tests if you trust the tests",
                named.display()
            )),
        }
    }

    fn read(&self, named: &Path) -> Result<Vec<u8>, String> {
        let path = self.place(named)?;
        let bytes = read_plain(&path, MOST_BYTES - self.bytes.get());
        let bytes = bytes.map_err(|error| format!("can't read {}: {error}", path.display()));
        self.read.borrow_mut().insert(path);
        let bytes = bytes?;
        self.bytes.set(self.bytes.get() + bytes.len());
        Ok(bytes)
    }

    /// Returns the files that were read.
    pub(super) fn into_files(self) -> BTreeSet<PathBuf> {
        self.read.into_inner()
    }

    /// Reads a text, or a table of one key of [`KINDS`].
    pub(super) fn bytes(&self, value: &DeValue<'_>) -> Result<Vec<u8>, String> {
        if let Some(text) = value.as_str() {
            return Ok(text.as_bytes().to_vec());
        }
        let (kind, value) = single(value, &KINDS)?;
        self.kind(kind, value)
    }

    /// Reads the value of the key `kind`, one of [`KINDS`].
    pub(super) fn kind(&self, kind: &str, value: &DeValue<'_>) -> Result<Vec<u8>, String> {
        if kind == "json" {
            // A value of serde_json can be written.
            return json(value).map(|value| value.to_string().into_bytes());
        }
        let text = value.as_str().ok_or_else(|| expected("a text", value))?;
        match kind {
            "base64" => BASE64
                .decode(text)
                .map_err(|error| format!("invalid base64: {error}")),
            "hex" => hex(text),
            "file" => self.read(Path::new(text)),
            _ => Ok(text.as_bytes().to_vec()),
        }
    }
}

/// Returns the one key of a table, one of `known`, with its value.
pub(super) fn single<'k, 'v, 't>(
    value: &'v DeValue<'t>,
    known: &[&'k str],
) -> Result<(&'k str, &'v DeValue<'t>), String> {
    let all = known.join(", ");
    let wrong = || expected(&format!("a text, or a table with one key of {all}"), value);
    let mut entries = value.as_table().ok_or_else(wrong)?.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        return Err(wrong());
    };
    let name = &**key.get_ref();
    match known.iter().find(|known| **known == name) {
        Some(known) => Ok((known, value.get_ref())),
        None => Err(match nearest(name, known) {
            Some(near) => format!("there is no key `{name}`: did you mean `{near}`?"),
            None => format!("there is no key `{name}`; known are {all}"),
        }),
    }
}

/// Reads a JSON value: of a text, its contents.
pub(super) fn json(value: &DeValue<'_>) -> Result<Value, String> {
    match value {
        DeValue::String(text) => {
            serde_json::from_str(text).map_err(|error| format!("invalid JSON: {error}"))
        }
        DeValue::Table(table) => object(table),
        other => inner(other),
    }
}

fn object(table: &DeTable<'_>) -> Result<Value, String> {
    let fields = table
        .iter()
        .map(|(key, value)| Ok((key.get_ref().to_string(), inner(value.get_ref())?)));
    fields.collect::<Result<_, String>>().map(Value::Object)
}

/// Converts a value of TOML.
fn inner(value: &DeValue<'_>) -> Result<Value, String> {
    let wrong = || expected("a value that JSON has", value);
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().trim_start_matches('+');
            let number = i64::from_str_radix(digits, number.radix());
            number.map_err(|_| wrong())?.into()
        }
        DeValue::Float(number) => {
            let number: f64 = number.as_str().parse().map_err(|_| wrong())?;
            serde_json::Number::from_f64(number)
                .ok_or_else(wrong)?
                .into()
        }
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| inner(item.get_ref()));
            items.collect::<Result<_, _>>().map(Value::Array)?
        }
        DeValue::Table(table) => object(table)?,
        DeValue::Datetime(_) => return Err(wrong()),
    })
}

/// Reads pairs of hexadecimal digits, with spaces anywhere between them.
fn hex(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || "expected pairs of hexadecimal digits, such as \"00 ff 1b\"".to_owned();
    let digits: Option<Vec<_>> = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| character.to_digit(16))
        .collect();
    let digits = digits.ok_or_else(wrong)?;
    let (pairs, []) = digits.as_chunks() else {
        return Err(wrong());
    };
    // A digit is below 16.
    Ok(pairs
        .iter()
        .map(|[high, low]| (high << 4 | low) as u8)
        .collect())
}
