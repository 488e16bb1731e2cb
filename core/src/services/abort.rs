//! `env.abort` of AssemblyScript: its compiler imports it for `throw`, `assert` and failures of the run time.

use super::log;
use crate::{
    base::{log::LogLevel, text::text},
    error::Trap,
    host_functions::Context,
};
use alloc::string::String;

/// Most bytes of a string that are read.
const MOST_BYTES: u32 = 2_048;

/// Bytes of a string's length, which lies before its characters.
const LENGTH: u32 = 4;

/// Writes the message and its place as one log record of the level error, and stops the guest with an
/// error that has them.
pub(crate) fn abort<T>(
    context: &mut Context<'_, T>,
    message: u32,
    file: u32,
    line: u32,
    column: u32,
) -> Result<(), Trap> {
    let (message, file) = (string(context, message)?, string(context, file)?);
    let message = message.as_deref().unwrap_or("abort");
    let text = match file {
        Some(file) => text(format_args!("{message} at {file}:{line}:{column}")),
        None => message.into(),
    };
    context.charge(text.len() as u64)?;
    let shared = context.shared();
    log::record(shared, context.meter(), LogLevel::Error, text.as_bytes());
    Err(Trap::host(text))
}

/// Reads a string in UTF-16, cut at [`MOST_BYTES`]; `None` for the pointer 0.
fn string<T>(context: &Context<'_, T>, ptr: u32) -> Result<Option<String>, Trap> {
    if ptr == 0 {
        return Ok(None);
    }
    // A pointer that is too small for a length before it reads from the memory's end, which is outside.
    let length = context.read(ptr.wrapping_sub(LENGTH), LENGTH)?;
    let length = length.first_chunk().copied().map_or(0, u32::from_le_bytes);
    let bytes = context.read(ptr, length.min(MOST_BYTES))?;
    let units = bytes.chunks_exact(2).filter_map(|unit| unit.first_chunk());
    let units = units.map(|unit| u16::from_le_bytes(*unit));
    let characters = char::decode_utf16(units);
    let characters = characters.map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER));
    Ok(Some(characters.collect()))
}
