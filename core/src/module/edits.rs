//! Changes in the code of functions, and the code section with them made.

#[cfg(feature = "component")]
use super::code::opcode::RETURN;
use super::{
    bulk::{self, Bulk, END, FUNCTION, LOOP},
    code::{SPARE, more, opcode::CALL},
    groups::{Type, encoded},
    rewrite::{Pieces, leb128, length, sized},
};
use crate::base::signature::ValType;
use alloc::vec::Vec;
#[cfg(feature = "simd")]
use wasmparser::Operator;
use wasmparser::{BinaryReader, BrTable};

/// Changes, in the module's order.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits {
    list: Vec<Edit>,
    /// The branch tables that change, as they are written.
    tables: Vec<u8>,
    /// The types that are added for groups, as they are written, and their number.
    types: Vec<u8>,
    type_count: usize,
}

/// A change. It takes eight bytes: a hostile module can be made of little else than what changes.
#[derive(Clone, Copy, Debug)]
struct Edit {
    /// Where the operator begins that changes, or that something is inserted before.
    at: u32,
    change: Change,
}

/// How an operator changes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// It becomes a call of a function that is added, or a store of the lane of a vector becomes one of a number, or
    /// a tail call becomes a call and a return, or its last operand gets inverted twice, according to the operator.
    Operator,
    /// Before it, a group begins with results of this type. Another one may end there.
    Begin { ends: bool, ty: Type },
    /// Before it, a group ends.
    End,
    /// The branch counts so many blocks more.
    Branch(u16),
    /// The branch table is replaced by the next one of those that change.
    Table,
}

const BR_TABLE: u8 = 0x0e;

/// The tail calls, each two more than the call that it becomes.
#[cfg(feature = "component")]
const RETURN_CALL: u8 = 0x12;
#[cfg(feature = "component")]
const RETURN_CALL_INDIRECT: u8 = 0x13;

/// The first byte of vector operators, and the second of two of them.
#[cfg(feature = "simd")]
const VECTOR: u8 = 0xfd;
#[cfg(feature = "simd")]
const I8X16_EXTRACT_LANE_U: u8 = 0x16;
#[cfg(feature = "simd")]
const I16X8_EXTRACT_LANE_U: u8 = 0x19;
#[cfg(feature = "simd")]
const I32_STORE8: u8 = 0x3a;
#[cfg(feature = "simd")]
const I32_STORE16: u8 = 0x3b;

/// `i32.const -1`, `i32.xor`, both twice.
const INVERT_TWICE_I32: [u8; 6] = [0x41, 0x7f, 0x73, 0x41, 0x7f, 0x73];
/// `i64.const -1`, `i64.xor`, both twice.
const INVERT_TWICE_I64: [u8; 6] = [0x42, 0x7f, 0x85, 0x42, 0x7f, 0x85];

/// The most bytes that a change adds to a function and to its length, but for a branch table.
const MOST_BYTES: usize = 10;

impl Edits {
    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the number of changes.
    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns the most bytes that the changes add to a module.
    pub(super) fn most_bytes(&self) -> usize {
        let changes = self.list.len().saturating_mul(MOST_BYTES);
        changes
            .saturating_add(self.tables.len())
            .saturating_add(self.types.len())
    }

    /// Returns the bytes of heap that the changes take at most. A vector that grows has old and new places
    /// at once.
    pub(super) fn heap_bytes(&self) -> usize {
        let changes = self.list.len().saturating_mul(size_of::<Edit>());
        changes
            .saturating_add(self.tables.len())
            .saturating_add(self.types.len())
            .saturating_mul(3)
    }

    /// Returns the bytes of heap that [`reserve`](Self::reserve) takes before the next operator.
    pub(super) fn wanted(&self) -> usize {
        more(&self.list)
    }

    /// Makes room for the changes of the next operator, but for a branch table.
    pub(super) fn reserve(&mut self) {
        self.list.reserve(SPARE);
    }

    /// Adds a type of blocks with these results.
    pub(super) fn add_type(&mut self, results: &[ValType]) {
        self.types.extend_from_slice(&[FUNCTION, 0]);
        leb128(
            &mut self.types,
            u32::try_from(results.len()).unwrap_or(u32::MAX),
        );
        self.types
            .extend(results.iter().copied().filter_map(encoded));
        self.type_count = self.type_count.saturating_add(1);
    }

    /// Returns the types that are added, as they are written, and their number.
    pub(super) fn types(&self) -> (&[u8], usize) {
        (&self.types, self.type_count)
    }

    /// Adds a change of the operator that begins `at` this offset.
    pub(super) fn push(&mut self, at: u32, change: Change) {
        self.list.push(Edit { at, change });
    }

    /// Adds a change before all but the first `index`.
    pub(super) fn insert(&mut self, index: usize, at: u32, change: Change) {
        let index = index.min(self.list.len());
        self.list.insert(index, Edit { at, change });
    }

    /// Takes the results from the type of a group that begins with change number `index`.
    pub(super) fn begin_without_results(&mut self, index: usize) {
        let edit = self.list.get_mut(index);
        if let Some(Change::Begin { ty, .. }) = edit.map(|edit| &mut edit.change) {
            *ty = Type::EMPTY;
        }
    }

    /// Adds a change of the branch table that begins `at` this offset, to one with these targets and default.
    pub(super) fn push_table(
        &mut self,
        at: u32,
        table: &BrTable<'_>,
        target: &mut dyn FnMut(u32) -> u32,
    ) -> Result<(), wasmparser::BinaryReaderError> {
        self.tables.push(BR_TABLE);
        leb128(&mut self.tables, table.len());
        for depth in table.targets() {
            leb128(&mut self.tables, target(depth?));
        }
        leb128(&mut self.tables, target(table.default()));
        self.push(at, Change::Table);
        Ok(())
    }

    /// Keeps the changes of operators themselves for which `kept` says so, by their offset; and all others.
    pub(super) fn retain_operators(&mut self, kept: &mut dyn FnMut(u32) -> bool) {
        self.list
            .retain(|edit| !matches!(edit.change, Change::Operator) || kept(edit.at));
    }

    /// Writes a code section, after its number, with the changes made and `functions` added. Its contents
    /// start at `start`. Passes the pieces that don't change to `piece`.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        contents: &[u8],
        start: usize,
        functions: &bulk::Functions,
        piece: &mut Pieces<'_>,
    ) -> Option<()> {
        let mut reader = BinaryReader::new(contents, start);
        let count = reader.read_var_u32().ok()?;
        let section = begin_sized(out);
        leb128(
            out,
            count.checked_add(u32::try_from(functions.bulk.len()).ok()?)?,
        );
        let mut left = Left {
            edits: &self.list,
            tables: &self.tables,
            functions,
        };
        while !reader.eof() {
            let (start, body) = sized(&mut reader)?;
            left.write_body(out, body, start, piece)?;
        }
        for body in functions.bodies() {
            leb128(out, length(&body));
            out.extend_from_slice(&body);
        }
        end_sized(out, section)
    }
}

/// The bytes of a length that is written before what it measures is known.
const LENGTH_BYTES: usize = 5;

/// Leaves room for a length, and returns where it is.
fn begin_sized(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    at
}

/// Writes the length of all that was written since [`begin_sized`].
fn end_sized(out: &mut [u8], at: usize) -> Option<()> {
    let (room, written) = out.get_mut(at..)?.split_at_mut_checked(LENGTH_BYTES)?;
    let mut length = length(written);
    for byte in &mut *room {
        *byte = length.to_le_bytes()[0] | 0x80;
        length >>= 7;
    }
    *room.last_mut()? &= 0x7f;
    Some(())
}

/// The changes that are still to be made.
struct Left<'a> {
    edits: &'a [Edit],
    tables: &'a [u8],
    functions: &'a bulk::Functions,
}

impl Left<'_> {
    /// Makes the changes inside a function's body, which starts at `start`, and writes it with its length.
    fn write_body(
        &mut self,
        out: &mut Vec<u8>,
        mut body: &[u8],
        start: usize,
        piece: &mut Pieces<'_>,
    ) -> Option<()> {
        let end = start.checked_add(body.len())?;
        let next = |edits: &[Edit]| {
            let at = usize::try_from(edits.first()?.at).ok()?;
            (at < end).then_some(at)
        };
        if next(self.edits).is_none() {
            leb128(out, length(body));
            piece(out.len(), start, body.len());
            out.extend_from_slice(body);
            return Some(());
        }
        let room = begin_sized(out);
        let mut from = start;
        while let Some(at) = next(self.edits) {
            let (edit, rest) = self.edits.split_first()?;
            let (before, operator) = body.split_at_checked(at.checked_sub(from)?)?;
            piece(out.len(), from, before.len());
            out.extend_from_slice(before);
            let replaced = self.change(edit.change, operator, out)?;
            body = operator.get(replaced..)?;
            from = at.checked_add(replaced)?;
            self.edits = rest;
        }
        piece(out.len(), from, body.len());
        out.extend_from_slice(body);
        end_sized(out, room)
    }

    /// Writes what a change inserts before the operator at the start of `bytes`, or what it becomes. Returns
    /// how many of its bytes that replaces.
    fn change(&mut self, change: Change, bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        Some(match change {
            Change::Begin { ends, ty } => {
                if ends {
                    out.push(END);
                }
                out.push(LOOP);
                ty.write(out);
                0
            }
            Change::End => {
                out.push(END);
                0
            }
            Change::Branch(more) => {
                let mut reader = BinaryReader::new(bytes, 0);
                out.push(reader.read_u8().ok()?);
                let depth = reader.read_var_u32().ok()?;
                leb128(out, depth.checked_add(more.into())?);
                reader.original_position()
            }
            Change::Table => {
                let (table, rest) = self.tables.split_at_checked(table_length(self.tables)?)?;
                self.tables = rest;
                out.extend_from_slice(table);
                table_length(bytes)?
            }
            Change::Operator => match bytes.first() {
                Some(&(bulk::PREFIX | bulk::MEMORY_GROW)) => {
                    let (bulk, length) = Bulk::read(bytes)?;
                    out.push(CALL);
                    leb128(out, self.functions.index(bulk)?);
                    length
                }
                #[cfg(feature = "simd")]
                Some(&VECTOR) => store_lane(bytes, out)?,
                #[cfg(feature = "component")]
                Some(&(RETURN_CALL | RETURN_CALL_INDIRECT)) => call_and_return(bytes, out)?,
                // The opcodes of i64.store, i64.store8, i64.store16, i64.store32.
                Some(0x37 | 0x3c..=0x3e) => {
                    out.extend_from_slice(&INVERT_TWICE_I64);
                    0
                }
                _ => {
                    out.extend_from_slice(&INVERT_TWICE_I32);
                    0
                }
            },
        })
    }
}

/// Writes the store of a vector's lane at the start of `bytes` as the lane's extraction and the store of a number.
/// Returns its length.
#[cfg(feature = "simd")]
fn store_lane(bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let mut reader = BinaryReader::new(bytes, 0);
    let (extract, store, memarg, lane) = match reader.read_operator().ok()? {
        Operator::V128Store8Lane { memarg, lane } => {
            (I8X16_EXTRACT_LANE_U, I32_STORE8, memarg, lane)
        }
        Operator::V128Store16Lane { memarg, lane } => {
            (I16X8_EXTRACT_LANE_U, I32_STORE16, memarg, lane)
        }
        _ => return None,
    };
    out.extend_from_slice(&[VECTOR, extract, lane, store, memarg.align]);
    leb128(out, u32::try_from(memarg.offset).ok()?);
    Some(reader.original_position())
}

/// Writes the tail call at the start of `bytes` as a call and a return. Returns its length.
#[cfg(feature = "component")]
fn call_and_return(bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let mut reader = BinaryReader::new(bytes, 0);
    reader.read_operator().ok()?;
    let length = reader.original_position();
    let (opcode, immediates) = bytes.get(..length)?.split_first()?;
    out.push(opcode.checked_sub(RETURN_CALL.checked_sub(CALL)?)?);
    out.extend_from_slice(immediates);
    out.push(RETURN);
    Some(length)
}

/// Returns the length of the branch table at the start of `bytes`.
fn table_length(bytes: &[u8]) -> Option<usize> {
    let mut reader = BinaryReader::new(bytes, 0);
    reader.read_u8().ok()?;
    let targets = reader.read_var_u32().ok()?;
    for _ in 0..=targets {
        reader.read_var_u32().ok()?;
    }
    Some(reader.original_position())
}
