//! Changes a module before wasmi compiles it, where wasmi alone would not do.
//!
//! * wasmi runs a start function while instantiating, all at once: it could not be paused at a
//!   deadline, nor in slices. So it becomes an export, and is called like any other function.
//! * wasmi 2.0.0 panics on an integer store with an offset of 64 KiB or more whose address and
//!   value are the same local, which ordinary compilers emit. So such a store's value is first
//!   inverted twice, which makes it a value of its own.
//! * wasmi 2.0.0 joins a comparison with 0 and a `select` by it wrongly. So such a condition is
//!   inverted twice, which keeps the two apart.

use alloc::vec::Vec;
use wasmparser::{BinaryReader, FunctionBody, Parser, Payload};

/// What has to change in a module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// The start function, which becomes an export.
    pub(super) start: Option<u32>,
    /// Where the operators begin whose last operand is to be inverted twice, in the module's order.
    /// A position takes four bytes: a hostile module can be made of little else.
    pub(super) inversions: Vec<u32>,
}

impl Changes {
    pub(crate) const fn is_none(&self) -> bool {
        self.start.is_none() && self.inversions.is_empty()
    }
}

/// The export's name; modules that use it themselves are refused.
pub(crate) const START: &str = "hostel:start";

const EXPORT_SECTION: u8 = 7;
const START_SECTION: u8 = 8;

const CODE_SECTION: u8 = 10;

/// `i32.const -1`, `i32.xor`, both twice.
const INVERT_TWICE_I32: [u8; 6] = [0x41, 0x7f, 0x73, 0x41, 0x7f, 0x73];
/// `i64.const -1`, `i64.xor`, both twice.
const INVERT_TWICE_I64: [u8; 6] = [0x42, 0x7f, 0x85, 0x42, 0x7f, 0x85];

/// `wasm` with the changes made. `None` where it is not a module.
pub(crate) fn rewrite(wasm: &[u8], changes: &Changes) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(wasm.len().saturating_add(256));
    out.extend_from_slice(wasm.get(..8)?);
    let mut start = changes.start;
    let mut code = Vec::new();
    let mut bodies_left = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.ok()?;
        match &payload {
            Payload::CodeSectionStart { count, .. } if !changes.inversions.is_empty() => {
                bodies_left = *count;
                leb128(&mut code, *count);
                continue;
            }
            Payload::CodeSectionEntry(body) if bodies_left > 0 => {
                let body = invert(wasm, body, &changes.inversions)?;
                leb128(&mut code, length(&body));
                code.extend_from_slice(&body);
                bodies_left = bodies_left.saturating_sub(1);
                if bodies_left == 0 {
                    section(&mut out, CODE_SECTION, &code);
                }
                continue;
            }
            _ => {}
        }
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        let contents = wasm.get(range)?;
        match (id, start) {
            (EXPORT_SECTION, Some(function)) => {
                let mut reader = BinaryReader::new(contents, 0);
                let count = reader.read_var_u32().ok()?;
                let entries = contents.get(reader.original_position()..)?;
                section(&mut out, id, &exports(count, entries, function));
                start = None;
            }
            // Sections are in order: where none came before, there is no export section.
            (START_SECTION, Some(function)) => {
                section(&mut out, EXPORT_SECTION, &exports(0, &[], function));
            }
            (START_SECTION, None) => {}
            _ => section(&mut out, id, contents),
        }
    }
    Some(out)
}

/// A function's body, with the last operands of those of `inversions` that are in it inverted
/// twice.
fn invert(wasm: &[u8], body: &FunctionBody<'_>, inversions: &[u32]) -> Option<Vec<u8>> {
    let range = body.range();
    let mut out = Vec::with_capacity(range.len());
    let mut copied = range.start;
    let (start, end) = (
        u32::try_from(range.start).ok()?,
        u32::try_from(range.end).ok()?,
    );
    let from = inversions.partition_point(|at| *at < start);
    for at in inversions.get(from..)?.iter().take_while(|at| **at < end) {
        let at = usize::try_from(*at).ok()?;
        out.extend_from_slice(wasm.get(copied..at)?);
        out.extend_from_slice(match wasm.get(at)? {
            // The opcodes of i64.store, i64.store8, i64.store16, i64.store32.
            0x37 | 0x3c..=0x3e => &INVERT_TWICE_I64,
            _ => &INVERT_TWICE_I32,
        });
        copied = at;
    }
    out.extend_from_slice(wasm.get(copied..range.end)?);
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

    #[test]
    fn the_start_function_becomes_an_export() {
        for (text, expected) in [
            ("(module (func) (func) (start 1))", &["hostel:start"][..]),
            (
                r#"(module (func $f) (func (export "a") (param i32)) (memory (export "m") 1) (start $f)
                    (data (i32.const 0) "x"))"#,
                &["a", "hostel:start", "m"],
            ),
        ] {
            let wasm = wat::parse_str(text).unwrap();
            let info = ModuleInfo::read(&wasm).unwrap();
            assert!(info.start);
            let exposed = rewrite(&wasm, &info.changes).unwrap();
            let module = wasmi::Module::new(&wasmi::Engine::default(), &exposed).unwrap();
            let exports: Vec<_> = module.exports().map(|export| export.name()).collect();
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
