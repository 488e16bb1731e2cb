//! What the arguments after the plugin mean: bytes, or numbers.

use super::{
    abi::{self, Calling},
    failure::Failure,
};
use hostel::{CallError, Instance, Plugin, Value};
use std::{
    fs::File,
    io::{self, Read},
};

/// The input of a call.
pub(super) enum Input {
    Bytes(Vec<u8>),
    Numbers(Vec<Value>),
}

impl Input {
    /// Reads the arguments `texts` for the function `name`, whose declared type decides.
    pub(super) fn new(
        plugin: &Plugin,
        name: &str,
        texts: &[String],
        limit: usize,
    ) -> Result<Self, Failure> {
        let module = plugin.info();
        let Some(ty) = abi::signature(module, name) else {
            // It is the core that says which functions there are.
            plugin.check::<(), ()>(name)?;
            return Ok(Self::Numbers(Vec::new()));
        };
        let hint = match (abi::calling(module, ty), texts) {
            (Some(Calling::Bytes), []) => return Ok(Self::Bytes(Vec::new())),
            (Some(Calling::Bytes), [text]) => return read(text, limit).map(Self::Bytes),
            (Some(Calling::Bytes), _) => Some("for a text of several words, put quotes around it"),
            _ => None,
        };
        let wrong = |why: String| Failure::usage(format!("`{name}` is {ty}: {why}"), hint);
        let (takes, given) = (ty.params.len(), texts.len());
        if takes != given {
            return Err(wrong(format!("it takes {takes} numbers, {given} given")));
        }
        let numbers = texts.iter().zip(&ty.params).map(|(text, ty)| {
            let bytes = read(text, limit)?;
            let text = String::from_utf8_lossy(&bytes);
            Value::parse(text.trim(), *ty)
                .ok_or_else(|| wrong(format!("`{}` is not one of its numbers", text.trim())))
        });
        numbers.collect::<Result<_, _>>().map(Self::Numbers)
    }

    /// Makes the call. Numbers come back as text, one a line.
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

/// The bytes that one argument stands for.
fn read(text: &str, limit: usize) -> Result<Vec<u8>, Failure> {
    let (from, read, hint) = match text.strip_prefix('@') {
        None if text == "-" => ("stdin", read_all(io::stdin().lock(), limit), None),
        None => return Ok(text.as_bytes().to_vec()),
        Some(text) if text.starts_with('@') => return Ok(text.as_bytes().to_vec()),
        Some(path) => (
            path,
            File::open(path).and_then(|file| read_all(file, limit)),
            Some("for text that begins with `@`, write `@@`"),
        ),
    };
    read.map_err(|error| {
        // What is too long was found, and is no text.
        let hint = hint.filter(|_| error.kind() != io::ErrorKind::FileTooLarge);
        Failure::usage(format!("can't read INPUT from {from}: {error}"), hint)
    })
}

/// Reads to the end, but no more than a call takes anyway.
fn read_all(from: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        let message = format!("it has more than {limit} bytes, the most that a call takes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}
