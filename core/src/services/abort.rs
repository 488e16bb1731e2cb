//! `env.abort` of AssemblyScript: its compiler imports it for `throw`, `assert` and failures of the run time.

use super::log;
use crate::{base::log::LogLevel, error::Trap, host_functions::Context};
use alloc::string::String;
use core::fmt::Write as _;

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
    let mut text = String::new();
    if message == 0 {
        text.push_str("abort");
    }
    push(context, message, &mut text)?;
    if file != 0 {
        text.push_str(" at ");
        push(context, file, &mut text)?;
        // Writing to a `String` can't fail.
        let _ = write!(text, ":{line}:{column}");
    }
    context.charge(text.len() as u64)?;
    let shared = context.shared();
    log::record(shared, context.meter(), LogLevel::Error, text.as_bytes());
    Err(Trap::host(text))
}

/// Adds a string in UTF-16 to `text`, cut at [`MOST_BYTES`]; nothing for the pointer 0.
fn push<T>(context: &Context<'_, T>, ptr: u32, text: &mut String) -> Result<(), Trap> {
    if ptr == 0 {
        return Ok(());
    }
    // A pointer that is too small for a length before it reads from the memory's end, which is outside.
    let length = context.read(ptr.wrapping_sub(LENGTH), LENGTH)?;
    let length = length.first_chunk().copied().map_or(0, u32::from_le_bytes);
    decode(context.read(ptr, length.min(MOST_BYTES))?, text);
    Ok(())
}

/// Adds characters in UTF-16 to `text`. Others are replaced.
#[inline(never)]
fn decode(bytes: &[u8], text: &mut String) {
    let units = bytes.chunks_exact(2).filter_map(|unit| unit.first_chunk());
    let units = units.map(|unit| u16::from_le_bytes(*unit));
    for character in char::decode_utf16(units) {
        text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
}
