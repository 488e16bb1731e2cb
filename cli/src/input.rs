//! Reads the INPUT arguments: bytes, or numbers.

use super::{
    abi::{self, Calling},
    arguments::Run,
    failure::Failure,
    number, plugin,
    typed::TypedCall,
};
use hostel::{CallError, Convention, Instance, Plugin, Signature, ValType, Value};
use hostel_contract::Contract;
use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// One INPUT as it is given.
#[derive(Clone, Debug)]
pub(super) enum GivenInput {
    /// An argument: text, `@FILE`, or `-` for stdin.
    Argument(String),
    /// The bytes themselves, of a test.
    Bytes(Vec<u8>),
}

impl GivenInput {
    /// Returns the bytes, or those of the text.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Argument(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Returns it as a text for a message.
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Argument(text) => text.into(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes),
        }
    }
}

/// The result of a call.
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// Whether they are values that are printed as lines, and not the plugin's own bytes.
    pub(super) printed: bool,
}

impl Answer {
    pub(super) const fn own(bytes: Vec<u8>) -> Self {
        let printed = false;
        Self { bytes, printed }
    }

    pub(super) fn printed(text: String) -> Self {
        let bytes = text.into_bytes();
        let printed = true;
        Self { bytes, printed }
    }
}

/// A call's input.
pub(super) enum Input {
    Bytes(Vec<u8>),
    /// Of a plugin whose convention is not the native one.
    Arguments(Vec<Vec<u8>>),
    Numbers(Vec<Value>),
    /// By the contract of a component.
    Typed(TypedCall),
}

impl Input {
    /// Reads the INPUTs for the function `name`. Its declared type decides between bytes and numbers,
    /// unless --numbers does; of a plugin that is called by its `contract`, that decides. `limit` bounds each INPUT,
    /// in bytes.
    pub(super) fn new(
        plugin: &Plugin,
        contract: Option<&Contract>,
        name: &str,
        arguments: &Run,
        limit: usize,
    ) -> Result<Self, Failure> {
        if let Some(contract) = contract {
            return typed(contract, name, arguments, limit).map(Self::Typed);
        }
        if plugin.convention() != Convention::Native {
            check_count(plugin, name, arguments.input.len())?;
            return foreign(plugin.convention(), name, &arguments.input, limit);
        }
        let module = plugin.info();
        let Some(ty) = abi::signature(module, name) else {
            // The core's error lists the exported functions.
            plugin.check::<(), ()>(name)?;
            return Ok(Self::Numbers(Vec::new()));
        };
        let bytes = abi::calling(module, ty) == Some(Calling::Bytes) && !arguments.numbers;
        match &*arguments.input {
            [] if bytes => Ok(Self::Bytes(Vec::new())),
            [text] if bytes => read_given(text, limit).map(Self::Bytes),
            // Never taken for a pointer and a length, even if they are two numbers.
            texts if bytes => Err(several(name, texts)),
            texts => read_numbers(name, ty, texts, limit).map(Self::Numbers),
        }
    }

    /// Calls the function `name`. Returns numbers as text, one per line.
    pub(super) fn call(self, instance: &mut Instance, name: &str) -> Result<Answer, CallError> {
        match self {
            Self::Bytes(bytes) => {
                let answer = instance.call_bytes(name, &bytes, <[u8]>::to_vec);
                answer.map(Answer::own)
            }
            Self::Arguments(inputs) => call_arguments(instance, name, &inputs).map(Answer::own),
            Self::Typed(call) => call.call(instance),
            Self::Numbers(numbers) => {
                let results = instance.call_values(name, &numbers)?;
                let lines = results.iter().map(|number| format!("{number}\n"));
                Ok(Answer::printed(lines.collect()))
            }
        }
    }
}

/// Reads the call of a function by its contract: with its arguments in WAVE, or with one INPUT as bytes.
fn typed(
    contract: &Contract,
    call: &str,
    arguments: &Run,
    limit: usize,
) -> Result<TypedCall, Failure> {
    if arguments.numbers {
        return Err(
            Failure::usage("--numbers is for functions without a contract in WIT").with_hint(
                format!("write numbers into the call: --call '{call}(1, 2)'"),
            ),
        );
    }
    let inputs = &*arguments.input;
    if plugin::has_arguments(call) {
        return match inputs {
            [] => TypedCall::parse(contract, call),
            _ => Err(Failure::usage(
                "a call that is written with its arguments takes no INPUT",
            )),
        };
    }
    match inputs {
        [] => TypedCall::bare(contract, call, None),
        [text] => TypedCall::bare(contract, call, Some(read_given(text, limit)?)),
        texts => Err(several(call, texts)),
    }
}

/// Calls the function or operation `name` with byte strings.
pub(super) fn call_arguments(
    instance: &mut Instance,
    name: &str,
    inputs: &[Vec<u8>],
) -> Result<Vec<u8>, CallError> {
    let inputs: Vec<&[u8]> = inputs.iter().map(|input| &**input).collect();
    instance.call_arguments(name, &inputs, <[u8]>::to_vec)
}

/// Refuses another number of INPUTs than a Typst plugin's function takes.
fn check_count(plugin: &Plugin, name: &str, found: usize) -> Result<(), Failure> {
    let Some(ty) = abi::signature(plugin.info(), name) else {
        return Ok(());
    };
    let takes = abi::is_typst(ty).then_some(ty.params.len());
    match takes {
        Some(takes) if plugin.convention() == Convention::Typst && takes != found => {
            let inputs = if takes == 1 { "INPUT" } else { "INPUTs" };
            Err(Failure::usage(format!(
                "`{name}` takes {takes} {inputs}: found {found}"
            )))
        }
        _ => Ok(()),
    }
}

/// Reads the INPUTs for a plugin of another convention: any number for Typst's, else one, by default empty.
fn foreign(
    convention: Convention,
    name: &str,
    texts: &[GivenInput],
    limit: usize,
) -> Result<Input, Failure> {
    let inputs = match (convention, texts) {
        (Convention::Typst, texts) => texts,
        (_, []) => return Ok(Input::Arguments(vec![Vec::new()])),
        (_, [_]) => texts,
        (_, texts) => return Err(several(name, texts)),
    };
    let inputs = inputs.iter().map(|text| read_given(text, limit));
    inputs.collect::<Result<_, _>>().map(Input::Arguments)
}

/// Refuses several INPUTs for a function over bytes.
fn several(name: &str, texts: &[GivenInput]) -> Failure {
    let count = texts.len();
    let failure = Failure::usage(format!(
        "`{name}` takes one INPUT, a text or bytes: found {count}"
    ));
    let texts: Vec<_> = texts.iter().map(GivenInput::text).collect();
    let text = texts.join(" ");
    let is_plain = |c: char| c.is_alphanumeric() || " .,:;=+-_/@%".contains(c);
    let quote = if text.chars().count() <= 40 && text.chars().all(is_plain) {
        format!("put quotes around the text: \"{text}\"")
    } else {
        "put quotes around the text".to_owned()
    };
    failure.with_hint(if texts.iter().all(|text| number::is_number(text)) {
        format!("{quote}; or add --numbers to pass {count} numbers")
    } else {
        quote
    })
}

/// Reads one number per parameter of a function of type `ty`.
fn read_numbers(
    name: &str,
    ty: &Signature,
    texts: &[GivenInput],
    limit: usize,
) -> Result<Vec<Value>, Failure> {
    let wrong = |why: String| Failure::usage(format!("`{name}` has the type {ty}: {why}"));
    let numbers = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
    if let Some(other) = ty.params.iter().find(|ty| !numbers.contains(ty)) {
        let other = match other {
            ValType::V128 => "a v128",
            ValType::FuncRef => "a funcref",
            ValType::ExternRef => "an externref",
            _ => "a reference",
        };
        return Err(wrong(format!(
            "{other} can't be passed on the command line; choose a function of numbers or bytes"
        )));
    }
    let (takes, given) = (ty.params.len(), texts.len());
    if takes != given {
        let failure = wrong(format!("expected {takes} numbers, found {given}"));
        // As an Extism plugin that imports nothing.
        return Err(if takes == 0 && given == 1 {
            failure.with_hint("add --abi extism if the plugin was made for Extism")
        } else {
            failure
        });
    }
    let numbers = texts.iter().zip(&ty.params).map(|(text, ty)| {
        let bytes = read_given(text, limit)?;
        let text = String::from_utf8_lossy(&bytes);
        number::parse(text.trim(), *ty).map_err(&wrong)
    });
    numbers.collect()
}

/// Returns the bytes that one INPUT stands for.
fn read_given(given: &GivenInput, limit: usize) -> Result<Vec<u8>, Failure> {
    match given {
        GivenInput::Argument(text) => read(text, limit),
        GivenInput::Bytes(bytes) => Ok(bytes.clone()),
    }
}

/// Returns the bytes that an argument INPUT stands for.
pub(super) fn read(text: &str, limit: usize) -> Result<Vec<u8>, Failure> {
    let (from, read) = match text.strip_prefix('@') {
        None if text == "-" => ("stdin", read_all(io::stdin().lock(), limit)),
        None => return Ok(text.as_bytes().to_vec()),
        Some(text) if text.starts_with('@') => return Ok(text.as_bytes().to_vec()),
        Some(path) => (
            path,
            File::open(path).and_then(|file| read_all(file, limit)),
        ),
    };
    read.map_err(|error| {
        let failure = Failure::usage(format!("can't read INPUT from {from}: {error}"));
        // A file that is too long exists, so the user did not mean a text.
        if error.kind() == io::ErrorKind::FileTooLarge {
            hint_at_limit(failure, &error, "input_bytes")
        } else if from == "stdin" {
            failure
        } else {
            failure.with_hint("write `@@` for a text that begins with `@`")
        }
    })
}

/// Reads a plain file, at most `limit` bytes of it. Others, such as pipes and devices, may never end.
pub(super) fn read_plain(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // Looked at by its name: opening a pipe waits for a writer.
    if !fs::metadata(path)?.is_file() {
        let message = "expected a plain file, found a directory, pipe or device";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    read_all(File::open(path)?, limit)
}

/// Adds the limit to raise to the failure of reading more bytes than `limit` allows.
pub(super) fn hint_at_limit(failure: Failure, error: &io::Error, limit: &str) -> Failure {
    match error.kind() {
        io::ErrorKind::FileTooLarge => {
            failure.with_hint(format!("raise the limit with --limit {limit}=N"))
        }
        _ => failure,
    }
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
