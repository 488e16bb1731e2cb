//! Operators that work on many bytes at once, as functions that work in chunks.
//!
//! wasmi charges `memory.copy`, `memory.fill` and `memory.init` by their bytes, but can't pause in the
//! middle of one: a slice of fuel, however short, would last as long as the operator. So a long one
//! becomes a call of a function that is added to the module. It does the work in a loop, a chunk at a
//! time, and wasmi can pause before each chunk.
//!
//! The function checks the whole range first. If a part of it is out of bounds, it runs the operator
//! that it stands for, which traps and has written nothing.

use super::{MemoryInfo, rewrite::leb128};
use alloc::vec::Vec;
use wasmparser::{BinaryReader, Operator};

/// The most bytes that an operator works on at once: 1,024 units of fuel.
pub(super) const CHUNK: u32 = 64 << 10;

/// The largest memory in which no operator is split: one over all of it takes 4,096 units of fuel.
const SMALL_MEMORY: u64 = 256 << 10;

/// The first byte of these operators, and of others.
pub(super) const PREFIX: u8 = 0xfc;

/// The type of the functions: three i32, no result.
pub(super) const TYPE: [u8; 6] = [0x60, 3, I32, I32, I32, 0];

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
}

/// The functions that are added to a module, after all others.
#[derive(Clone, Debug, Default)]
pub(super) struct Functions {
    /// The operators that they stand for, in ascending order.
    pub(super) bulk: Vec<Bulk>,
    /// The index of the first one.
    pub(super) first: u32,
    /// The index of their type, and whether the module lacks it.
    pub(super) ty: u32,
    pub(super) adds_type: bool,
    /// Bytes of a page of the memory.
    page_bytes: u64,
}

impl Functions {
    /// Returns the functions for `bulk` in a module with these memories and so many functions.
    pub(super) fn new(bulk: Vec<Bulk>, memories: &[MemoryInfo], first: u32) -> Self {
        Self {
            bulk,
            first,
            page_bytes: memories.first().map_or(1, |memory| memory.page_bytes),
            ..Self::default()
        }
    }

    /// Returns the index of the function for `bulk`, if there is one.
    pub(super) fn index(&self, bulk: Bulk) -> Option<u32> {
        let at = self.bulk.binary_search(&bulk).ok()?;
        self.first.checked_add(u32::try_from(at).ok()?)
    }

    /// Returns the bodies of the functions, without their lengths.
    pub(super) fn bodies(&self) -> impl Iterator<Item = Vec<u8>> {
        let bulk = self.bulk.iter();
        bulk.map(|bulk| bulk.body(self.page_bytes))
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
const EMPTY: u8 = 0x40;
const BLOCK: u8 = 0x02;
const LOOP: u8 = 0x03;
const IF: u8 = 0x04;
const END: u8 = 0x0b;
const BR_IF: u8 = 0x0d;
const RETURN: u8 = 0x0f;
const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const LOCAL_TEE: u8 = 0x22;
const MEMORY_SIZE: u8 = 0x3f;
const I32_CONST: u8 = 0x41;
const I64_CONST: u8 = 0x42;
const I32_EQZ: u8 = 0x45;
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
            _ => None,
        }
    }

    /// Returns the function's body, for a memory with pages of so many bytes.
    fn body(self, page_bytes: u64) -> Vec<u8> {
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
        body.check(page_bytes);
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
            Bulk::Fill => {}
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_no_more_bytes_than_are_foreseen() {
        for bulk in [Bulk::Copy, Bulk::Fill, Bulk::Init(u32::MAX)] {
            let body = bulk.body(65_536);
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
