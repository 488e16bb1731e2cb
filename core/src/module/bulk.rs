//! Operators that work on many bytes at once, as functions that work in chunks.
//!
//! wasmi charges `memory.copy`, `memory.fill`, `memory.init` and `memory.grow` by their bytes, but can't
//! pause in the middle of one: a slice of fuel, however short, would last as long as the operator. So a long one
//! becomes a call of a function that is added to the module. It does the work in a loop, a chunk at a
//! time, and wasmi can pause before each chunk.
//!
//! The function checks the whole range first. If a part of it is out of bounds, it runs the operator
//! that it stands for, which traps and has written nothing.
//!
//! Growth can't be undone, so it is asked for as a whole first. The instance's limiter turns that down,
//! but remembers whether all of it may be had: only then does it allow the parts that follow.

use super::{
    MemoryInfo,
    rewrite::{leb128, leb128_i64},
};
use crate::base::signature::{Signature, ValType};
use alloc::vec::Vec;
use wasmparser::{BinaryReader, Operator};

/// The most bytes that an operator works on at once: 1,024 units of fuel.
pub(super) const CHUNK: u32 = 64 << 10;

/// The most bytes by which a memory grows at once: 8,192 units of fuel.
pub(crate) const GROWTH: u32 = 512 << 10;

/// The largest memory in which no operator is split: one over all of it takes 4,096 units of fuel.
const SMALL_MEMORY: u64 = 256 << 10;

/// The first byte of these operators, and of others; and of `memory.grow`.
pub(super) const PREFIX: u8 = 0xfc;
pub(super) const MEMORY_GROW: u8 = 0x40;

/// The most bytes of a function, its length included.
pub(super) const MOST_BYTES: usize = 256;

/// An operator that works on many bytes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bulk {
    /// `memory.copy`
    Copy,
    /// `memory.fill`
    Fill,
    /// `memory.init` from the data segment of this index.
    Init(u32),
    /// `memory.grow`
    Grow,
}

/// The functions that are added to a module, after all others.
#[derive(Clone, Debug, Default)]
pub(super) struct Functions {
    /// The operators that they stand for, in ascending order, each with the index of its type.
    pub(super) bulk: Vec<(Bulk, u32)>,
    /// The types that the module lacks, as they are written after its own.
    pub(super) types: Vec<&'static [u8]>,
    /// The index of the first function.
    first: u32,
    memory: Pages,
}

/// A memory's size, as far as the functions depend on it.
#[derive(Clone, Copy, Debug, Default)]
struct Pages {
    /// Bytes of a page.
    bytes: u64,
    /// The most pages.
    most: u64,
}

impl Functions {
    /// Returns the functions for `bulk` in a module with these types, so many types that are added for other
    /// things, these memories and so many functions.
    pub(super) fn new(
        bulk: Vec<Bulk>,
        types: &[Signature],
        more_types: usize,
        memories: &[MemoryInfo],
        functions: usize,
    ) -> Self {
        let memory = memories.first().map_or_else(Pages::default, |memory| {
            let bytes = memory.page_bytes.max(1);
            let most = memory.max_bytes.unwrap_or(1 << 32);
            // Sizes are i32: a memory of 4 GiB with pages of a byte has no size.
            let most = most.checked_div(bytes).unwrap_or(0).min(u32::MAX.into());
            Pages { bytes, most }
        });
        let index = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let mut added = Self {
            first: index(functions),
            memory,
            ..Self::default()
        };
        for bulk in bulk {
            let (encoded, params, results) = bulk.ty();
            let same = |ty: &Signature| *ty.params == *params && *ty.results == *results;
            let known = types.iter().position(same);
            let ty = known.unwrap_or_else(|| {
                let known = added.types.iter().position(|ty| *ty == encoded);
                let at = known.unwrap_or_else(|| {
                    added.types.push(encoded);
                    added.types.len().saturating_sub(1)
                });
                types.len().saturating_add(more_types).saturating_add(at)
            });
            added.bulk.push((bulk, index(ty)));
        }
        added
    }

    /// Returns the index of the function for `bulk`, if there is one.
    pub(super) fn index(&self, bulk: Bulk) -> Option<u32> {
        let at = self.bulk.binary_search_by_key(&bulk, |(bulk, _)| *bulk);
        let at = at.ok()?;
        self.first.checked_add(u32::try_from(at).ok()?)
    }

    /// Returns the bodies of the functions, without their lengths.
    pub(super) fn bodies(&self) -> impl Iterator<Item = Vec<u8>> {
        let bulk = self.bulk.iter();
        bulk.map(|(bulk, _)| bulk.body(self.memory))
    }

    /// Returns the bytes that the functions take in a module at most.
    pub(super) fn most_bytes(&self) -> usize {
        self.bulk.len().saturating_mul(MOST_BYTES)
    }
}

/// Returns whether no operator has to be split, since the memory is small and stays so.
pub(super) fn is_small(memories: &[MemoryInfo], grows: bool) -> bool {
    memories.iter().all(|memory| {
        let most = if grows {
            memory.max_bytes.unwrap_or(u64::MAX)
        } else {
            memory.min_bytes
        };
        most <= SMALL_MEMORY
    })
}

const I32: u8 = 0x7f;
pub(super) const FUNCTION: u8 = 0x60;
pub(super) const UNREACHABLE: u8 = 0x00;
const EMPTY: u8 = 0x40;
pub(super) const BLOCK: u8 = 0x02;
pub(super) const LOOP: u8 = 0x03;
pub(super) const IF: u8 = 0x04;
pub(super) const END: u8 = 0x0b;
pub(super) const BR_IF: u8 = 0x0d;
pub(super) const RETURN: u8 = 0x0f;
pub(super) const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
pub(super) const LOCAL_TEE: u8 = 0x22;
const MEMORY_SIZE: u8 = 0x3f;
pub(super) const I32_CONST: u8 = 0x41;
pub(super) const I64_CONST: u8 = 0x42;
const I32_EQZ: u8 = 0x45;
const I32_EQ: u8 = 0x46;
const I32_NE: u8 = 0x47;
const I32_GT_U: u8 = 0x4b;
const I64_GT_U: u8 = 0x56;
const I32_ADD: u8 = 0x6a;
const I32_SUB: u8 = 0x6b;
const I32_OR: u8 = 0x72;
const I64_ADD: u8 = 0x7c;
const I64_SHL: u8 = 0x86;
const I64_EXTEND_I32_U: u8 = 0xad;

/// The parameters: the operator's operands. The second one is a value if it is `memory.fill`.
const TO: u8 = 0;
const FROM: u8 = 1;
const LENGTH: u8 = 2;

/// [`CHUNK`] as the operand of `i32.const`.
const CHUNK_LEB128: [u8; 3] = [0x80, 0x80, 0x04];
/// [`GROWTH`] divided by 64 KiB, and whole, as operands of `i32.const`: in pages of a byte.
const GROWTH_LEB128: ([u8; 1], [u8; 3]) = ([8], [0x80, 0x80, 0x20]);
/// The largest i32 as the operand of `i64.const`.
const LAST_LEB128: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];

impl Bulk {
    /// Reads the operator at the start of `bytes`. Returns it with its length, or `None` if it is
    /// another one.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut reader = BinaryReader::new(bytes, 0);
        let operator = reader.read_operator().ok()?;
        Some((Self::of(&operator)?, reader.original_position()))
    }

    /// Returns `operator` if it is one of these.
    pub(super) const fn of(operator: &Operator<'_>) -> Option<Self> {
        match operator {
            Operator::MemoryCopy { .. } => Some(Self::Copy),
            Operator::MemoryFill { .. } => Some(Self::Fill),
            Operator::MemoryInit { data_index, .. } => Some(Self::Init(*data_index)),
            Operator::MemoryGrow { .. } => Some(Self::Grow),
            _ => None,
        }
    }

    /// Returns the most that a constant last operand may be, if the operator stays as it is.
    pub(super) fn short(self, memories: &[MemoryInfo]) -> u32 {
        match (self, memories.first()) {
            (Self::Grow, Some(memory)) if memory.page_bytes > 1 => GROWTH >> 16,
            (Self::Grow, _) => GROWTH,
            _ => CHUNK,
        }
    }

    /// Returns the function's type: as it is written, its parameters and its results.
    const fn ty(self) -> (&'static [u8], &'static [ValType], &'static [ValType]) {
        const ONE: &[ValType] = &[ValType::I32];
        match self {
            Self::Grow => (&[FUNCTION, 1, I32, 1, I32], ONE, ONE),
            _ => (&[FUNCTION, 3, I32, I32, I32, 0], &[ValType::I32; 3], &[]),
        }
    }

    /// Returns how many parameters and locals the function has.
    pub(super) const fn locals(self) -> usize {
        match self {
            Self::Grow => 2,
            _ => 3,
        }
    }

    /// Returns the function's body.
    fn body(self, memory: Pages) -> Vec<u8> {
        if self == Self::Grow {
            return grow(memory);
        }
        let mut body = Body {
            bulk: self,
            // No locals.
            bytes: Vec::from([0]),
        };
        // Short ranges come first. All outside of the loop is charged together at the entry, so what
        // only long ranges need is in it: a `loop` has a charge of its own, also if nothing branches
        // back to it.
        body.put(&[BLOCK, EMPTY]);
        body.is_long();
        body.put(&[BR_IF, 0]);
        body.run_whole();
        body.put(&[RETURN, END, LOOP, EMPTY]);
        body.check(memory.bytes);
        if self == Self::Copy {
            body.copy_forward();
        }
        body.backward();
        body.put(&[END, END]);
        body.bytes
    }
}

/// A function's body, as far as it is written.
struct Body {
    bulk: Bulk,
    bytes: Vec<u8>,
}

impl Body {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes the operator.
    fn operator(&mut self) {
        match self.bulk {
            Bulk::Copy => self.put(&[PREFIX, 10, 0, 0]),
            Bulk::Fill => self.put(&[PREFIX, 11, 0]),
            Bulk::Init(segment) => {
                self.put(&[PREFIX, 8]);
                leb128(&mut self.bytes, segment);
                self.put(&[0]);
            }
            Bulk::Grow => self.put(&[MEMORY_GROW, 0]),
        }
    }

    /// Runs the operator on all that is left.
    fn run_whole(&mut self) {
        self.put(&[LOCAL_GET, TO, LOCAL_GET, FROM, LOCAL_GET, LENGTH]);
        self.operator();
    }

    fn chunk(&mut self) {
        self.put(&[I32_CONST]);
        self.put(&CHUNK_LEB128);
    }

    /// Pushes whether more than a chunk is left.
    fn is_long(&mut self) {
        self.put(&[LOCAL_GET, LENGTH]);
        self.chunk();
        self.put(&[I32_GT_U]);
    }

    /// Pushes the end of the range that begins at this parameter, as an i64.
    fn end(&mut self, start: u8) {
        self.put(&[LOCAL_GET, start, I64_EXTEND_I32_U]);
        self.put(&[LOCAL_GET, LENGTH, I64_EXTEND_I32_U, I64_ADD]);
    }

    /// Pushes whether the range that begins at this parameter ends outside of the memory.
    fn is_outside(&mut self, start: u8, page_bytes: u64) {
        self.end(start);
        self.put(&[MEMORY_SIZE, 0, I64_EXTEND_I32_U, I64_CONST]);
        // At most 16.
        self.put(&[page_bytes.trailing_zeros().to_le_bytes()[0]]);
        self.put(&[I64_SHL, I64_GT_U]);
    }

    /// Runs the operator, which traps, if a range is out of bounds.
    fn check(&mut self, page_bytes: u64) {
        self.is_outside(TO, page_bytes);
        match self.bulk {
            Bulk::Copy => {
                self.is_outside(FROM, page_bytes);
                self.put(&[I32_OR]);
            }
            Bulk::Fill | Bulk::Grow => {}
            Bulk::Init(_) => {
                self.end(FROM);
                self.put(&[I64_CONST]);
                self.put(&LAST_LEB128);
                self.put(&[I64_GT_U, I32_OR]);
            }
        }
        self.put(&[IF, EMPTY]);
        self.run_whole();
        self.put(&[RETURN, END]);
        if let Bulk::Init(_) = self.bulk {
            // Nothing tells the length of a segment, which may have been dropped. Copying no bytes
            // from the range's end traps if that is beyond the segment's.
            self.put(&[LOCAL_GET, TO, LOCAL_GET, FROM, LOCAL_GET, LENGTH, I32_ADD]);
            self.put(&[I32_CONST, 0]);
            self.operator();
        }
    }

    /// Copies in chunks from the start, if the destination is not behind the source: they may overlap.
    fn copy_forward(&mut self) {
        self.put(&[LOCAL_GET, TO, LOCAL_GET, FROM, I32_GT_U, I32_EQZ]);
        self.put(&[IF, EMPTY]);
        // The parameters become the ends of the ranges.
        for end in [TO, FROM] {
            self.put(&[LOCAL_GET, end, LOCAL_GET, LENGTH, I32_ADD, LOCAL_SET, end]);
        }
        self.put(&[LOOP, EMPTY]);
        self.before_ends();
        self.chunk();
        self.operator();
        self.put(&[LOCAL_GET, LENGTH]);
        self.chunk();
        self.put(&[I32_SUB, LOCAL_TEE, LENGTH]);
        self.chunk();
        self.put(&[I32_GT_U, BR_IF, 0, END]);
        self.before_ends();
        self.put(&[LOCAL_GET, LENGTH]);
        self.operator();
        self.put(&[RETURN, END]);
    }

    /// Pushes where the bytes begin that are left, if the parameters are the ends of the ranges.
    fn before_ends(&mut self) {
        for end in [TO, FROM] {
            self.put(&[LOCAL_GET, end, LOCAL_GET, LENGTH, I32_SUB]);
        }
    }

    /// Works in chunks from the end.
    fn backward(&mut self) {
        self.put(&[LOOP, EMPTY, LOCAL_GET, LENGTH]);
        self.chunk();
        self.put(&[I32_SUB, LOCAL_TEE, LENGTH, LOCAL_GET, TO, I32_ADD]);
        self.put(&[LOCAL_GET, FROM]);
        if self.bulk != Bulk::Fill {
            self.put(&[LOCAL_GET, LENGTH, I32_ADD]);
        }
        self.chunk();
        self.operator();
        self.is_long();
        self.put(&[BR_IF, 0, END]);
        self.run_whole();
    }
}

/// Returns the body of the function for `memory.grow`. Its parameter is the pages to add, its local the
/// size before.
fn grow(memory: Pages) -> Vec<u8> {
    const DELTA: u8 = 0;
    const BEFORE: u8 = 1;
    // -1 as the operand of `i32.const`.
    const FAILED: u8 = 0x7f;
    let part: &[u8] = if memory.bytes > 1 {
        &GROWTH_LEB128.0
    } else {
        &GROWTH_LEB128.1
    };
    let mut most = Vec::new();
    leb128_i64(&mut most, memory.most);
    let is_long: &[&[u8]] = &[&[LOCAL_GET, DELTA, I32_CONST], part, &[I32_GT_U, BR_IF, 0]];
    let whole: &[u8] = &[LOCAL_GET, DELTA, MEMORY_GROW, 0];
    let fails: &[u8] = &[
        I32_CONST, FAILED, I32_EQ, IF, EMPTY, I32_CONST, FAILED, RETURN, END,
    ];
    let parts: &[&[u8]] = &[
        // One local. A short growth is done at once.
        &[1, 1, I32, BLOCK, EMPTY],
        &is_long.concat(),
        whole,
        &[RETURN, END, LOOP, EMPTY],
        // Beyond the maximum it fails without the limiter.
        &[LOCAL_GET, DELTA, I64_EXTEND_I32_U, MEMORY_SIZE, 0],
        &[LOCAL_TEE, BEFORE, I64_EXTEND_I32_U, I64_ADD, I64_CONST],
        &most,
        &[I64_GT_U, IF, EMPTY, I32_CONST, FAILED, RETURN, END],
        // All of it is asked for. If nothing turns it down, it is done.
        whole,
        &[
            I32_CONST, FAILED, I32_NE, IF, EMPTY, LOCAL_GET, BEFORE, RETURN, END,
        ],
        &[LOOP, EMPTY, I32_CONST],
        part,
        &[MEMORY_GROW, 0],
        fails,
        &[LOCAL_GET, DELTA, I32_CONST],
        part,
        &[I32_SUB, LOCAL_SET, DELTA],
        &is_long.concat(),
        // The rest, with a charge of its own.
        &[END, LOOP, EMPTY],
        whole,
        fails,
        &[LOCAL_GET, BEFORE, RETURN, END, END, UNREACHABLE, END],
    ];
    parts.concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_no_more_bytes_than_are_foreseen() {
        let memory = Pages {
            bytes: 1,
            most: u32::MAX.into(),
        };
        for bulk in [Bulk::Copy, Bulk::Fill, Bulk::Init(u32::MAX), Bulk::Grow] {
            let body = bulk.body(memory);
            // A length of two bytes.
            assert!(body.len() + 2 <= MOST_BYTES, "{bulk:?}: {}", body.len());
        }
    }

    #[test]
    fn operators_are_read_with_their_length() {
        for (bytes, expected) in [
            (&[0xfc, 10, 0, 0, 1][..], Some((Bulk::Copy, 4))),
            (&[0xfc, 11, 0, 1], Some((Bulk::Fill, 3))),
            (&[0xfc, 8, 0x80, 1, 0], Some((Bulk::Init(128), 5))),
            (&[0xfc, 0x8b, 0, 0], Some((Bulk::Fill, 4))),
            (&[0xfc, 12, 0, 0], None),
            (&[0x0b], None),
            (&[0xfc], None),
        ] {
            assert_eq!(Bulk::read(bytes), expected, "{bytes:?}");
        }
    }
}
