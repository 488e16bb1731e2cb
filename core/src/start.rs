//! Turns a module's start function into an export.
//!
//! wasmi runs a start function while instantiating, all at once: it could not be paused at a
//! deadline, nor in slices. As an export it is called like any other function, right after.

use alloc::vec::Vec;
use wasmparser::{BinaryReader, Parser};

/// The export's name; modules that use it themselves are refused.
pub(crate) const START: &str = "hostel:start";

const EXPORT_SECTION: u8 = 7;
const START_SECTION: u8 = 8;

/// `wasm` without its start section, and with `function` exported as [`START`]. `None` where it
/// is not a module.
pub(crate) fn expose(wasm: &[u8], function: u32) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(wasm.len().saturating_add(32));
    out.extend_from_slice(wasm.get(..8)?);
    let mut exported = false;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.ok()?;
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        let contents = wasm.get(range)?;
        match id {
            EXPORT_SECTION => {
                let mut reader = BinaryReader::new(contents, 0);
                let count = reader.read_var_u32().ok()?;
                let entries = contents.get(reader.original_position()..)?;
                section(&mut out, id, &exports(count, entries, function));
                exported = true;
            }
            START_SECTION => {
                // Sections are in order: with none so far, there is no export section.
                if !exported {
                    section(&mut out, EXPORT_SECTION, &exports(0, &[], function));
                }
            }
            _ => section(&mut out, id, contents),
        }
    }
    Some(out)
}

/// An export section's contents: `count` entries, and one more.
fn exports(count: u32, entries: &[u8], function: u32) -> Vec<u8> {
    let mut contents = Vec::with_capacity(entries.len().saturating_add(32));
    leb128(&mut contents, count.saturating_add(1));
    contents.extend_from_slice(entries);
    leb128(&mut contents, length(START.as_bytes()));
    contents.extend_from_slice(START.as_bytes());
    contents.push(0);
    leb128(&mut contents, function);
    contents
}

fn section(out: &mut Vec<u8>, id: u8, contents: &[u8]) {
    out.push(id);
    leb128(out, length(contents));
    out.extend_from_slice(contents);
}

/// The length of a part of a module, which was read with 32-bit lengths.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn leb128(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::module::ModuleInfo;
    use alloc::string::ToString;

    #[test]
    fn the_start_function_becomes_an_export() {
        for (text, expected) in [
            (
                "(module (func) (func) (start 1))",
                &["hostel:start: () -> ()"][..],
            ),
            (
                r#"(module (func $f) (func (export "a") (param i32)) (memory (export "m") 1) (start $f)
                    (data (i32.const 0) "x"))"#,
                &["a: (i32) -> ()", "m: memory", "hostel:start: () -> ()"],
            ),
        ] {
            let wasm = wat::parse_str(text).unwrap();
            let info = ModuleInfo::read(&wasm).unwrap();
            assert!(info.start);
            let exposed = expose(&wasm, info.start_function.unwrap()).unwrap();
            let info = ModuleInfo::read(&exposed).unwrap();
            assert!(!info.start);
            let exports: Vec<_> = info.exports.iter().map(ToString::to_string).collect();
            assert_eq!(exports, expected);
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for value in [0, 1, 127, 128, 300, 16_384, u32::MAX] {
            let mut bytes = Vec::new();
            leb128(&mut bytes, value);
            assert_eq!(BinaryReader::new(&bytes, 0).read_var_u32().unwrap(), value);
        }
    }
}
