//! Reads the INPUT arguments: bytes, or numbers.

use super::{
    abi::{self, Calling},
    failure::Failure,
};
use hostel::{CallError, Instance, Plugin, Value};
use std::{
    fs::File,
    io::{self, Read},
};

/// A call's input.
pub(super) enum Input {
    Bytes(Vec<u8>),
    Numbers(Vec<Value>),
}

impl Input {
    /// Reads `texts` as input for the function `name`. The function's declared type decides between
    /// bytes and numbers. `limit` bounds each INPUT, in bytes.
    pub(super) fn new(
        plugin: &Plugin,
        name: &str,
        texts: &[String],
        limit: usize,
    ) -> Result<Self, Failure> {
        let module = plugin.info();
        let Some(ty) = abi::signature(module, name) else {
            // The core's error lists the exported functions.
            plugin.check::<(), ()>(name)?;
            return Ok(Self::Numbers(Vec::new()));
        };
        let hint = match (abi::calling(module, ty), texts) {
            (Some(Calling::Bytes), []) => return Ok(Self::Bytes(Vec::new())),
            (Some(Calling::Bytes), [text]) => return read(text, limit).map(Self::Bytes),
            (Some(Calling::Bytes), _) => Some("put quotes around a text of several words"),
            _ => None,
        };
        let wrong =
            |why: String| Failure::usage(format!("`{name}` has the type {ty}: {why}"), hint);
        let (takes, given) = (ty.params.len(), texts.len());
        if takes != given {
            return Err(wrong(format!("expected {takes} numbers, found {given}")));
        }
        let numbers = texts.iter().zip(&ty.params).map(|(text, ty)| {
            let bytes = read(text, limit)?;
            let text = String::from_utf8_lossy(&bytes);
            Value::parse(text.trim(), *ty)
                .ok_or_else(|| wrong(format!("`{}` is not a number of its type", text.trim())))
        });
        numbers.collect::<Result<_, _>>().map(Self::Numbers)
    }

    /// Calls the function `name`. Returns numbers as text, one per line.
    pub(super) fn call(self, instance: &mut Instance, name: &str) -> Result<Vec<u8>, CallError> {
        match self {
            Self::Bytes(bytes) => instance.call_bytes(name, &bytes, <[u8]>::to_vec),
            Self::Numbers(numbers) => {
                let results = instance.call_values(name, &numbers)?;
                let lines = results.iter().map(|number| format!("{number}\n"));
                Ok(lines.collect::<String>().into_bytes())
            }
        }
    }
}

/// Returns the bytes that one INPUT stands for.
fn read(text: &str, limit: usize) -> Result<Vec<u8>, Failure> {
    let (from, read, hint) = match text.strip_prefix('@') {
        None if text == "-" => ("stdin", read_all(io::stdin().lock(), limit), None),
        None => return Ok(text.as_bytes().to_vec()),
        Some(text) if text.starts_with('@') => return Ok(text.as_bytes().to_vec()),
        Some(path) => (
            path,
            File::open(path).and_then(|file| read_all(file, limit)),
            Some("write `@@` for a text that begins with `@`"),
        ),
    };
    read.map_err(|error| {
        // A file that is too long exists, so the user did not mean a text.
        let hint = hint.filter(|_| error.kind() != io::ErrorKind::FileTooLarge);
        Failure::usage(format!("can't read INPUT from {from}: {error}"), hint)
    })
}

/// Reads to the end, at most `limit` bytes.
fn read_all(from: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        let message = format!("expected at most {limit} bytes, found more");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}
