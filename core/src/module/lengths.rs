//! Lengths that wrap around in 32 bits, refused before the parser sees them.
//!
//! wasmparser 0.228 adds a length to a position without a check: on a machine of 32 bits a length
//! near 4 GiB wraps, and it panics or reads again what it has read. Only sections, bodies and data
//! have lengths that it does not limit itself. Such a module is refused alike on every machine.

use crate::error::LoadError;
use wasmparser::{BinaryReader, BinaryReaderError, ConstExpr};

const CODE_SECTION: u8 = 10;
const DATA_SECTION: u8 = 11;

/// Refuses `wasm` for a length that wraps. What else is wrong is for the parser to tell.
pub(super) fn check(wasm: &[u8]) -> Result<(), LoadError> {
    let mut reader = BinaryReader::new(wasm.get(8..).unwrap_or_default(), 8);
    match sections(&mut reader) {
        Err(Fault::Wraps { at }) => Err(LoadError::Invalid {
            at,
            reason: "unexpected end-of-file".into(),
            truncated: true,
        }),
        Ok(()) | Err(Fault::Other) => Ok(()),
    }
}

pub(super) enum Fault {
    Wraps { at: usize },
    Other,
}

impl From<BinaryReaderError> for Fault {
    fn from(_: BinaryReaderError) -> Self {
        Self::Other
    }
}

fn sections(reader: &mut BinaryReader<'_>) -> Result<(), Fault> {
    while !reader.eof() {
        let id = reader.read_u8()?;
        let mut section = take(reader)?;
        if id != CODE_SECTION && id != DATA_SECTION {
            continue;
        }
        section.read_var_u32()?;
        while !section.eof() {
            if id == DATA_SECTION {
                place(&mut section)?;
            }
            take(&mut section)?;
        }
    }
    Ok(())
}

/// Passes over where a data segment goes.
fn place(section: &mut BinaryReader<'_>) -> Result<(), Fault> {
    let kind = section.read_var_u32()?;
    if kind == 2 {
        section.read_var_u32()?;
    }
    if kind != 1 {
        section.read::<ConstExpr<'_>>()?;
    }
    Ok(())
}

/// What has its length before it.
pub(super) fn take<'a>(reader: &mut BinaryReader<'a>) -> Result<BinaryReader<'a>, Fault> {
    let length = reader.read_var_u32()?;
    let at = reader.original_position();
    if (at as u64).saturating_add(length.into()) > u32::MAX.into() {
        return Err(Fault::Wraps { at });
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Ok(BinaryReader::new(reader.read_bytes(length)?, at))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_wrap_are_refused_where_the_parser_does_not_limit_them() {
        const HUGE: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let module = |parts: &[&[u8]]| [b"\0asm\x01\0\0\0", parts.concat().as_slice()].concat();
        for wasm in [
            module(&[&[10], &HUGE]),
            module(&[&[10, 7, 1], &HUGE, &[0]]),
            module(&[&[11, 7, 1, 1], &HUGE]),
            module(&[&[11, 10, 1, 0, 0x41, 0, 0x0b], &HUGE]),
        ] {
            assert_eq!(
                check(&wasm).unwrap_err().code(),
                "truncated-module",
                "{wasm:?}"
            );
        }
        for wasm in [
            module(&[]),
            module(&[&[10, 0x80, 0x80, 0x01]]),
            module(&[&[10, 4, 1, 2, 0, 0x0b], &[11, 4, 1, 1, 1, 7]]),
        ] {
            assert_eq!(check(&wasm), Ok(()), "{wasm:?}");
        }
    }
}
