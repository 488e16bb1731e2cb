//! Changes a module before wasmi compiles it, where wasmi alone would not do.
//!
//! * wasmi runs a start function while instantiating, all at once: it could not be paused at a
//!   deadline, nor in slices. So it becomes an export, and is called like any other function.
//! * An instance is made as new by resetting its memory and globals, which wasmi lets nobody do
//!   who can't name them. So they become exports too.
//! * wasmi 2.0.0 panics on an integer store with an offset of 64 KiB or more whose address and
//!   value are the same local, which ordinary compilers emit. So such a store's value is first
//!   inverted twice, which makes it a value of its own.
//! * wasmi 2.0.0 joins a comparison with 0, or of a reference with null, and a `select` by it
//!   wrongly. So such a condition is inverted twice, which keeps the two apart.
//! * wasmi 2.0.0 encodes the store of a vector's lane of 8 or 16 bits with an offset of 64 KiB or more
//!   otherwise than it decodes it. So the lane is extracted first, and stored as a number.
//! * wasmi can't pause in an operator that works on many bytes. So it becomes a call of a function
//!   that is added, and that works in chunks ([`bulk`]).
//! * wasmi charges for code that an exit skips. So what may be skipped is charged by itself
//!   ([`groups`](super::groups)).
//! * wasmi puts a module's own memory on the heap. Where memories are to be in static buffers, it
//!   becomes an import.

use super::{bulk, edits::Edits, lengths};
use alloc::{format, string::String, vec::Vec};
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
    /// Whether the guest may change something that can't be reset: a table, a segment by dropping it, or a
    /// reference in a global.
    pub(crate) not_resettable: bool,
    /// What changes in the code of functions.
    pub(super) edits: Edits,
    /// The functions that are added.
    pub(super) functions: bulk::Functions,
    /// Whether one of them grows the memory, in parts.
    pub(crate) grows_in_parts: bool,
    /// Whether the memory becomes an import.
    #[cfg(any(feature = "slots", feature = "mappings"))]
    pub(crate) imports_memory: bool,
}

impl Changes {
    /// Whether the memory becomes an import.
    const fn imports_memory(&self) -> bool {
        #[cfg(any(feature = "slots", feature = "mappings"))]
        return self.imports_memory;
        #[cfg(not(any(feature = "slots", feature = "mappings")))]
        false
    }

    /// Forgets what changes in the code of functions, once that is compiled: a plugin keeps the rest.
    pub(crate) fn forget_code(&mut self) {
        self.edits = Edits::default();
        self.functions = bulk::Functions::default();
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
        let edits = self.edits.most_bytes();
        let exports = self.exports().saturating_mul(EXPORT);
        size.saturating_add(edits)
            .saturating_add(exports)
            .saturating_add(self.functions.most_bytes())
            .saturating_add(SECTIONS)
    }

    /// Returns the number of changes in the code of functions.
    #[cfg(all(test, feature = "component"))]
    pub(crate) const fn edits(&self) -> usize {
        self.edits.len()
    }

    /// Returns whether the module has a memory, or globals that can change.
    #[cfg(feature = "component")]
    pub(crate) const fn has_state(&self) -> bool {
        self.memory || !self.globals.is_empty()
    }

    /// Returns whether the module has a memory of its own.
    #[cfg(all(feature = "component", feature = "mappings"))]
    pub(crate) const fn has_memory(&self) -> bool {
        self.memory
    }

    /// Returns the number of globals that can change.
    #[cfg(feature = "trace")]
    pub(crate) const fn globals(&self) -> usize {
        self.globals.len()
    }

    /// Returns the indices of the globals that can change.
    #[cfg(feature = "profile")]
    pub(crate) fn changing_globals(&self) -> &[u32] {
        &self.globals
    }

    /// Returns the number of exports that are added.
    const fn exports(&self) -> usize {
        self.globals
            .len()
            .saturating_add(self.start.is_some() as usize)
            .saturating_add(self.memory as usize)
    }
}

/// How names begin that modules may not use for exports of their own, unless they have a slash.
pub(super) const RESERVED: &str = "hostel:";

/// The names under which the start function and the memory are exported.
pub(crate) const START: &str = "hostel:start";
pub(crate) const MEMORY: &str = "hostel:memory";

/// Returns the name under which changing global number `at` is exported.
pub(crate) fn global_name(number: usize) -> String {
    format!("{RESERVED}{number}")
}

/// The module and the name under which a memory is imported.
pub(crate) const MADE_BEFORE: (&str, &str) = ("hostel:memories", "memory");

const TYPE_SECTION: u8 = 1;
const IMPORT_SECTION: u8 = 2;
const FUNCTION_SECTION: u8 = 3;
const MEMORY_SECTION: u8 = 5;
const EXPORT_SECTION: u8 = 7;
const START_SECTION: u8 = 8;
const CODE_SECTION: u8 = 10;

/// The most bytes of an export that is added, and of what else sections may take more.
const EXPORT: usize = 32;
const SECTIONS: usize = 128;

/// Returns `wasm` with the changes made, or `None` if it is not a module.
pub(crate) fn rewrite(wasm: &[u8], changes: &Changes) -> Option<Vec<u8>> {
    rewrite_pieces(wasm, changes, &mut |_, _, _| {})
}

/// Returns the offset in `wasm` of the code that is `at` an offset once the changes are made.
pub(crate) fn offset_before(wasm: &[u8], changes: &Changes, at: usize) -> usize {
    let mut before = at;
    let mut piece = |after: usize, start: usize, length: usize| {
        if let Some(inside) = at.checked_sub(after) {
            before = start.saturating_add(inside.min(length));
        }
    };
    rewrite_pieces(wasm, changes, &mut piece);
    before
}

/// Returns the offsets that code has once the changes are made, by its offsets in `wasm`, which ascend. That of an
/// operator which becomes another one is the other's.
#[cfg(feature = "profile")]
pub(super) fn offsets_after(wasm: &[u8], changes: &Changes, offsets: Vec<usize>) -> Vec<usize> {
    if changes.is_none() || offsets.is_empty() {
        return offsets;
    }
    let mut pieces = Vec::new();
    rewrite_pieces(wasm, changes, &mut |after, start, length| {
        pieces.push((start, length, after));
    });
    let after = |at: usize| {
        let piece = pieces.partition_point(|(start, ..)| *start <= at);
        let (start, length, after) = pieces.get(piece.checked_sub(1)?)?;
        after.checked_add(at.checked_sub(*start)?.min(*length))
    };
    // Those in front of the code come before all of it.
    offsets
        .into_iter()
        .map(|at| after(at).unwrap_or(0))
        .collect()
}

/// Takes a piece of code that does not change: its offset with the changes made, its offset in the module, and
/// its length.
pub(super) type Pieces<'a> = dyn FnMut(usize, usize, usize) + 'a;

/// Returns `wasm` with the changes made, and passes the pieces of its code to `piece`, in their order.
fn rewrite_pieces(wasm: &[u8], changes: &Changes, piece: &mut Pieces<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(changes.written(wasm.len()));
    let Changes {
        edits, functions, ..
    } = changes;
    let mut reader = BinaryReader::new(wasm, 0);
    out.extend_from_slice(reader.read_bytes(8).ok()?);
    let memory = changes
        .imports_memory()
        .then(|| memory_type(wasm))
        .flatten();
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
            TYPE_SECTION => {
                let (for_groups, count) = edits.types();
                let types = [for_groups, &functions.types.concat()].concat();
                let count = count.saturating_add(functions.types.len());
                longer(&mut out, id, contents, count, &types)?;
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
                edits.write(&mut out, contents, start, functions, piece)?;
            }
            CODE_SECTION => {
                section(&mut out, id, contents);
                let written = out.len().saturating_sub(contents.len());
                piece(written, start, contents.len());
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
pub(crate) fn next_section<'a>(reader: &mut BinaryReader<'a>) -> Option<(u8, usize, &'a [u8])> {
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
    for name in [MADE_BEFORE.0, MADE_BEFORE.1] {
        leb128(&mut import, length(name.as_bytes()));
        import.extend_from_slice(name.as_bytes());
    }
    import.push(2);
    import.extend_from_slice(ty);
    import
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

pub(crate) fn section(out: &mut Vec<u8>, id: u8, contents: &[u8]) {
    out.push(id);
    leb128(out, length(contents));
    out.extend_from_slice(contents);
}

/// Returns the length of a part of a module, which was read with 32-bit lengths.
pub(super) fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

pub(crate) fn leb128(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Writes a signed number that is not negative, such as an operand of `i64.const` or the index of a block's type.
pub(super) fn leb128_i64(out: &mut Vec<u8>, mut value: u64) {
    // The highest of the seven bits of its last byte is the sign.
    while value >= 0x40 {
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
            assert_eq!(bytes.len(), usize::try_from(leb128_length(value)).unwrap());
            assert_eq!(BinaryReader::new(&bytes, 0).read_var_u32().unwrap(), value);
        }
    }
}
