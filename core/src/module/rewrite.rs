//! Changes a module before wasmi compiles it, where wasmi alone would not do.
//!
//! * wasmi runs a start function while instantiating, all at once: it could not be paused at a
//!   deadline, nor in slices. So it becomes an export, and is called like any other function.
//! * An instance is made as new by setting its memory and globals back, which wasmi lets nobody do
//!   who can't name them. So they become exports too.
//! * wasmi 2.0.0 panics on an integer store with an offset of 64 KiB or more whose address and
//!   value are the same local, which ordinary compilers emit. So such a store's value is first
//!   inverted twice, which makes it a value of its own.
//! * wasmi 2.0.0 joins a comparison with 0, or of a reference with null, and a `select` by it
//!   wrongly. So such a condition is inverted twice, which keeps the two apart.
//! * wasmi can't pause in an operator that works on many bytes. So it becomes a call of a function
//!   that is added, and that works in chunks ([`bulk`]).
//! * wasmi puts a module's own memory on the heap. Where memories are to be in static buffers, it
//!   becomes an import.

use super::{
    bulk::{self, Bulk},
    lengths,
};
use alloc::{format, string::String, vec::Vec};
use core::mem;
use wasmparser::{BinaryReader, ExternalKind};

/// What has to change in a module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// The start function, which becomes an export.
    pub(super) start: Option<u32>,
    /// The globals that can change, which become exports.
    pub(super) globals: Vec<u32>,
    /// Whether there is a memory, which becomes an export.
    pub(super) memory: bool,
    /// Whether the guest may change what can't be set back: a table, what is left of a segment, a
    /// reference in a global.
    pub(crate) not_resettable: bool,
    /// Where the operators begin that become a call of one of [`functions`](Self::functions), or whose
    /// last operand gets inverted twice, in the module's order. A position takes four bytes: a
    /// hostile module can be made of little else.
    pub(super) edits: Vec<u32>,
    /// The functions that are added.
    pub(super) functions: bulk::Functions,
    /// Whether one of them grows the memory, in parts.
    pub(crate) grows_in_parts: bool,
    /// Whether the memory becomes an import.
    #[cfg(feature = "slots")]
    pub(crate) slotted: bool,
}

impl Changes {
    /// Whether the memory becomes an import.
    const fn slotted(&self) -> bool {
        #[cfg(feature = "slots")]
        return self.slotted;
        #[cfg(not(feature = "slots"))]
        false
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.exports() == 0 && self.edits.is_empty()
    }

    /// Returns the most bytes that [`rewrite`] takes for a module of `size` bytes.
    pub(super) fn copied(&self, size: usize) -> usize {
        if self.is_none() {
            0
        } else {
            let exports = self.exports().saturating_mul(EXPORT);
            self.written(size).saturating_add(exports)
        }
    }

    /// Returns the most bytes of a module of `size` bytes with the changes made.
    fn written(&self, size: usize) -> usize {
        // What is inserted, and what a longer function's length takes more.
        let edits = self.edits.len().saturating_mul(EDIT);
        let exports = self.exports().saturating_mul(EXPORT);
        size.saturating_add(edits)
            .saturating_add(exports)
            .saturating_add(self.functions.most_bytes())
            .saturating_add(SECTIONS)
    }

    /// Returns the number of globals that can change.
    #[cfg(feature = "trace")]
    pub(crate) const fn globals(&self) -> usize {
        self.globals.len()
    }

    /// Returns the number of exports that are added.
    const fn exports(&self) -> usize {
        self.globals
            .len()
            .saturating_add(self.start.is_some() as usize)
            .saturating_add(self.memory as usize)
    }
}

/// How names begin that modules may not use for exports of their own.
pub(super) const RESERVED: &str = "hostel:";

/// The names under which the start function and the memory are exported.
pub(crate) const START: &str = "hostel:start";
pub(crate) const MEMORY: &str = "hostel:memory";

/// Returns the name under which changing global number `at` is exported.
pub(crate) fn global_name(number: usize) -> String {
    format!("{RESERVED}{number}")
}

/// The module and the name under which a memory is imported.
pub(crate) const SLOT: (&str, &str) = ("hostel:slots", "memory");

const TYPE_SECTION: u8 = 1;
const IMPORT_SECTION: u8 = 2;
const FUNCTION_SECTION: u8 = 3;
const MEMORY_SECTION: u8 = 5;
const EXPORT_SECTION: u8 = 7;
const START_SECTION: u8 = 8;
const CODE_SECTION: u8 = 10;

const CALL: u8 = 0x10;

/// `i32.const -1`, `i32.xor`, both twice.
const INVERT_TWICE_I32: [u8; 6] = [0x41, 0x7f, 0x73, 0x41, 0x7f, 0x73];
/// `i64.const -1`, `i64.xor`, both twice.
const INVERT_TWICE_I64: [u8; 6] = [0x42, 0x7f, 0x85, 0x42, 0x7f, 0x85];

/// The most bytes that an edit adds to a function and to its length; of an export that is added; and of
/// what else sections may take more.
const EDIT: usize = 10;
const EXPORT: usize = 32;
const SECTIONS: usize = 128;

/// Returns `wasm` with the changes made, or `None` if it is not a module. What is known of changes in
/// functions is given back, since a plugin keeps the rest.
pub(crate) fn rewrite(wasm: &[u8], changes: &mut Changes) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(changes.written(wasm.len()));
    let edits = mem::take(&mut changes.edits);
    let functions = mem::take(&mut changes.functions);
    let mut reader = BinaryReader::new(wasm, 0);
    out.extend_from_slice(reader.read_bytes(8).ok()?);
    let memory = changes.slotted().then(|| memory_type(wasm)).flatten();
    let mut imported = memory.is_none();
    let mut exported = changes.exports() == 0;
    while !reader.eof() {
        let (id, start, contents) = next_section(&mut reader)?;
        // Sections are in order, but for custom ones, which are 0: where one comes that belongs
        // after the exports, there are none.
        if let Some(ty) = memory
            && !imported
            && id > IMPORT_SECTION
        {
            longer(&mut out, IMPORT_SECTION, &[0], 1, &import(ty))?;
            imported = true;
        }
        if !exported && id > EXPORT_SECTION {
            add_exports(&mut out, &[0], changes)?;
            exported = true;
        }
        match id {
            TYPE_SECTION if !functions.types.is_empty() => {
                let types = functions.types.concat();
                longer(&mut out, id, contents, functions.types.len(), &types)?;
            }
            FUNCTION_SECTION if !functions.bulk.is_empty() => {
                let mut types = Vec::new();
                (functions.bulk.iter()).for_each(|(_, ty)| leb128(&mut types, *ty));
                longer(&mut out, id, contents, functions.bulk.len(), &types)?;
            }
            IMPORT_SECTION if !imported => {
                longer(&mut out, id, contents, 1, &import(memory?))?;
                imported = true;
            }
            MEMORY_SECTION if memory.is_some() => {}
            EXPORT_SECTION if !exported => {
                add_exports(&mut out, contents, changes)?;
                exported = true;
            }
            START_SECTION => {}
            CODE_SECTION if !edits.is_empty() => {
                out.push(id);
                code(&mut out, contents, start, &edits, &functions)?;
            }
            _ => section(&mut out, id, contents),
        }
    }
    if !exported {
        add_exports(&mut out, &[0], changes)?;
    }
    Some(out)
}

/// Reads the next section; returns its number, the offset of its contents, and the contents.
pub(super) fn next_section<'a>(reader: &mut BinaryReader<'a>) -> Option<(u8, usize, &'a [u8])> {
    let id = reader.read_u8().ok()?;
    let (start, contents) = sized(reader)?;
    Some((id, start, contents))
}

/// Reads a length-prefixed part; returns its offset and bytes.
pub(super) fn sized<'a>(reader: &mut BinaryReader<'a>) -> Option<(usize, &'a [u8])> {
    let mut taken = lengths::take(reader).ok()?;
    let start = taken.original_position();
    Some((start, taken.read_bytes(taken.bytes_remaining()).ok()?))
}

/// Returns a section's contents, after the number of its entries.
fn counted(contents: &[u8]) -> Option<(u32, &[u8])> {
    let mut reader = BinaryReader::new(contents, 0);
    let count = reader.read_var_u32().ok()?;
    Some((count, contents.get(reader.original_position()..)?))
}

/// Returns the bytes of the memory's type; a module has one memory at most.
fn memory_type(wasm: &[u8]) -> Option<&[u8]> {
    let mut reader = BinaryReader::new(wasm.get(8..)?, 8);
    while !reader.eof() {
        let (id, _, contents) = next_section(&mut reader)?;
        if id == MEMORY_SECTION {
            return counted(contents).map(|(_, ty)| ty);
        }
    }
    None
}

/// Returns a memory of type `ty`, as an import.
fn import(ty: &[u8]) -> Vec<u8> {
    let mut import = Vec::with_capacity(SECTIONS);
    for name in [SLOT.0, SLOT.1] {
        leb128(&mut import, length(name.as_bytes()));
        import.extend_from_slice(name.as_bytes());
    }
    import.push(2);
    import.extend_from_slice(ty);
    import
}

/// Writes a code section, after its number, with `edits` made and `functions` added. Its contents
/// start at `start`.
fn code(
    out: &mut Vec<u8>,
    contents: &[u8],
    start: usize,
    edits: &[u32],
    functions: &bulk::Functions,
) -> Option<()> {
    // Lengths come before what they measure, so that each function is gone through twice.
    let mut reader = BinaryReader::new(contents, start);
    let count = reader.read_var_u32().ok()?;
    let count = count.checked_add(u32::try_from(functions.bulk.len()).ok()?)?;
    let mut size = leb128_length(count);
    let mut add = |length: u32| {
        size = size
            .checked_add(leb128_length(length))?
            .checked_add(length)?;
        Some(())
    };
    let mut left = edits;
    while !reader.eof() {
        let (start, body) = sized(&mut reader)?;
        add(changed(body, start, &mut left, functions)?)?;
    }
    for body in functions.bodies() {
        add(length(&body))?;
    }
    leb128(out, size);
    leb128(out, count);
    let mut reader = BinaryReader::new(contents, start);
    reader.read_var_u32().ok()?;
    let mut left = edits;
    while !reader.eof() {
        let (start, body) = sized(&mut reader)?;
        leb128(out, changed(body, start, &mut { left }, functions)?);
        let mut write = |bytes: &[u8]| out.extend_from_slice(bytes);
        edit(body, start, &mut left, functions, &mut write)?;
    }
    for body in functions.bodies() {
        leb128(out, length(&body));
        out.extend_from_slice(&body);
    }
    Some(())
}

/// Returns the length of a function's body once the `edits` inside it are made, and takes those from
/// `edits`.
fn changed(
    body: &[u8],
    start: usize,
    edits: &mut &[u32],
    functions: &bulk::Functions,
) -> Option<u32> {
    let mut size = 0usize;
    let mut count = |bytes: &[u8]| size = size.saturating_add(bytes.len());
    edit(body, start, edits, functions, &mut count)?;
    u32::try_from(size).ok()
}

/// Passes a function's body, which starts at `start`, to `write` in parts, with the `edits` inside it
/// made, and takes those from `edits`.
fn edit(
    mut body: &[u8],
    start: usize,
    edits: &mut &[u32],
    functions: &bulk::Functions,
    write: &mut dyn FnMut(&[u8]),
) -> Option<()> {
    let mut from = start;
    while let Some((&at, rest)) = edits.split_first() {
        let at = usize::try_from(at).ok()?;
        let length = at.checked_sub(from)?;
        if length >= body.len() {
            break;
        }
        let (before, mut after) = body.split_at_checked(length)?;
        write(before);
        from = at;
        match after.first() {
            Some(&(bulk::PREFIX | bulk::MEMORY_GROW)) => {
                let (bulk, length) = Bulk::read(after)?;
                let mut call = Vec::with_capacity(6);
                call.push(CALL);
                leb128(&mut call, functions.index(bulk)?);
                write(&call);
                after = after.get(length..)?;
                from = from.checked_add(length)?;
            }
            // The opcodes of i64.store, i64.store8, i64.store16, i64.store32.
            Some(0x37 | 0x3c..=0x3e) => write(&INVERT_TWICE_I64),
            _ => write(&INVERT_TWICE_I32),
        }
        (body, *edits) = (after, rest);
    }
    write(body);
    Some(())
}

/// Writes the export section with those of `contents` and the exports that are added.
fn add_exports(out: &mut Vec<u8>, contents: &[u8], changes: &Changes) -> Option<()> {
    let added = exports(changes);
    longer(out, EXPORT_SECTION, contents, changes.exports(), &added)
}

/// Returns the exports that are added.
fn exports(changes: &Changes) -> Vec<u8> {
    let mut added = Vec::with_capacity(changes.exports().saturating_mul(EXPORT));
    if let Some(function) = changes.start {
        export(&mut added, START, ExternalKind::Func, function);
    }
    if changes.memory {
        export(&mut added, MEMORY, ExternalKind::Memory, 0);
    }
    for (number, global) in changes.globals.iter().enumerate() {
        export(
            &mut added,
            &global_name(number),
            ExternalKind::Global,
            *global,
        );
    }
    added
}

fn export(contents: &mut Vec<u8>, name: &str, kind: ExternalKind, index: u32) {
    leb128(contents, length(name.as_bytes()));
    contents.extend_from_slice(name.as_bytes());
    contents.push(match kind {
        ExternalKind::Memory => 2,
        ExternalKind::Global => 3,
        _ => 0,
    });
    leb128(contents, index);
}

/// Writes a section with `count` entries more than in `contents`, which are `added`.
pub(super) fn longer(
    out: &mut Vec<u8>,
    id: u8,
    contents: &[u8],
    count: usize,
    added: &[u8],
) -> Option<()> {
    let (before, entries) = counted(contents)?;
    let count = before.checked_add(u32::try_from(count).ok()?)?;
    let size = leb128_length(count)
        .checked_add(length(entries))?
        .checked_add(length(added))?;
    out.push(id);
    leb128(out, size);
    leb128(out, count);
    out.extend_from_slice(entries);
    out.extend_from_slice(added);
    Some(())
}

pub(super) fn section(out: &mut Vec<u8>, id: u8, contents: &[u8]) {
    out.push(id);
    leb128(out, length(contents));
    out.extend_from_slice(contents);
}

/// Returns the length of a part of a module, which was read with 32-bit lengths.
pub(super) fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

pub(super) fn leb128(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Returns the number of bytes that [`leb128`] writes.
fn leb128_length(value: u32) -> u32 {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
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
                &["a", "hostel:memory", "hostel:start", "m"],
            ),
        ] {
            let wasm = wat::parse_str(text).unwrap();
            let mut info = ModuleInfo::read(&wasm).unwrap();
            assert!(info.start);
            let exposed = rewrite(&wasm, &mut info.changes).unwrap();
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
            assert_eq!(bytes.len(), usize::try_from(leb128_length(value)).unwrap());
            assert_eq!(BinaryReader::new(&bytes, 0).read_var_u32().unwrap(), value);
        }
    }
}
