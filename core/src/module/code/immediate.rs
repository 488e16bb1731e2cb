//! Reads common operators by their opcodes. The parser's own way to an operator is several times as long.

use super::opcode::{
    BLOCK, BR, BR_IF, CALL, DROP, ELSE, END, F32_CONST, F64_CONST, GLOBAL_SET, I32_CONST, I32_EQZ,
    I32_LOAD, I64_CONST, I64_EXTEND32_S, I64_STORE32, IF, LOCAL_GET, NOP, RETURN, SELECT,
    UNREACHABLE,
};
use wasmparser::{BlockType, ValType};

/// An operator that was read: its immediate, and the bytes that it takes in all.
pub(in crate::module) struct Read {
    /// The index, the depth, the type of a block as it is written, the offset of a load or store, or the bits of an
    /// i32 constant. 0 for other operators.
    pub(in crate::module) immediate: u64,
    pub(in crate::module) length: usize,
}

/// Reads the operator at the start of `bytes`. Returns `None` if it is not a common one, or not valid: then the parser
/// reads it, or tells what is wrong.
#[inline]
pub(in crate::module) fn read(bytes: &[u8]) -> Option<Read> {
    let (opcode, rest) = bytes.split_first()?;
    // Most are a local's number or a constant of one byte.
    if let (LOCAL_GET..=GLOBAL_SET | I32_CONST, Some(byte @ 0..0x40)) = (*opcode, rest.first()) {
        return Some(Read {
            immediate: u64::from(*byte),
            length: 2,
        });
    }
    long(*opcode, bytes, rest)
}

/// Reads any of the common operators.
#[inline(never)]
fn long(opcode: u8, bytes: &[u8], rest: &[u8]) -> Option<Read> {
    let (immediate, left) = match opcode {
        I32_EQZ..=I64_EXTEND32_S | UNREACHABLE | NOP | ELSE | END | RETURN | DROP | SELECT => {
            return Some(Read {
                immediate: 0,
                length: 1,
            });
        }
        LOCAL_GET..=GLOBAL_SET | BR | BR_IF | CALL => {
            let (index, left) = unsigned(rest, 32)?;
            (index, left)
        }
        I32_CONST => signed(rest, 32)?,
        I64_CONST => (0, signed(rest, 64)?.1),
        I32_LOAD..=I64_STORE32 => memory_access(rest)?,
        BLOCK..=IF => {
            let (ty, left) = rest.split_first()?;
            if !matches!(*ty, EMPTY | F64..=I32) {
                return None;
            }
            (u64::from(*ty), left)
        }
        F32_CONST => (0, rest.get(4..)?),
        F64_CONST => (0, rest.get(8..)?),
        _ => return None,
    };
    Some(Read {
        immediate,
        length: bytes.len().saturating_sub(left.len()),
    })
}

/// The types of blocks that are read here, as they are written. i64 and f32 are between the last two.
const EMPTY: u8 = 0x40;
const F64: u8 = 0x7c;
const I32: u8 = 0x7f;

/// Returns the type of a block from its immediate.
pub(in crate::module) fn block_type(immediate: u64) -> BlockType {
    BlockType::Type(match immediate {
        0x7f => ValType::I32,
        0x7e => ValType::I64,
        0x7d => ValType::F32,
        0x7c => ValType::F64,
        _ => return BlockType::Empty,
    })
}

/// The bit of a load or store that says that the index of a memory follows.
const HAS_MEMORY: u64 = 1 << 6;

/// Reads the offset of a load or store, after its alignment.
fn memory_access(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (flags, mut left) = unsigned(bytes, 32)?;
    if flags & HAS_MEMORY != 0 {
        (_, left) = unsigned(left, 32)?;
    }
    if flags & !HAS_MEMORY >= HAS_MEMORY {
        return None;
    }
    unsigned(left, 64)
}

/// Reads an unsigned number of at most so many bits. Returns it with what follows.
#[inline]
fn unsigned(bytes: &[u8], bits: u32) -> Option<(u64, &[u8])> {
    let (byte, left) = bytes.split_first()?;
    if *byte < 0x80 {
        return Some((u64::from(*byte), left));
    }
    number(bytes, bits, false)
}

/// Reads a signed number of at most so many bits. Returns its lowest so many bits, with what follows.
#[inline]
fn signed(bytes: &[u8], bits: u32) -> Option<(u64, &[u8])> {
    let (byte, left) = bytes.split_first()?;
    if *byte < 0x40 {
        return Some((u64::from(*byte), left));
    }
    number(bytes, bits, true)
}

/// Reads a number of any length.
#[inline(never)]
fn number(bytes: &[u8], bits: u32, signed: bool) -> Option<(u64, &[u8])> {
    let mut number = 0u64;
    let mut left = bytes;
    let mut shift = 0u32;
    loop {
        let (byte, after) = left.split_first()?;
        left = after;
        let value = u64::from(byte & 0x7f);
        number |= value.checked_shl(shift)?;
        let room = bits.saturating_sub(shift);
        shift = shift.saturating_add(7);
        if room < 7 {
            // The last byte that there may be. Its bits beyond the number have to be 0, or copies of the sign.
            let sign = if signed { room.saturating_sub(1) } else { room };
            let beyond = value >> sign;
            let all = 0x7f >> sign;
            if *byte >= 0x80 || beyond != 0 && !(signed && beyond == all) {
                return None;
            }
        }
        if *byte < 0x80 {
            if signed && *byte & 0x40 != 0 {
                number |= u64::MAX.checked_shl(shift).unwrap_or(0);
            }
            let unused = u64::BITS.saturating_sub(bits);
            return Some((number << unused >> unused, left));
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]
mod tests {
    use super::*;
    use wasmparser::{BinaryReader, Operator};

    /// What the parser reads, if it is an operator that is read here: its immediate and its length.
    fn parsed(bytes: &[u8]) -> Option<(u64, usize)> {
        let mut reader = BinaryReader::new(bytes, 0);
        let operator = reader.read_operator().ok()?;
        let immediate = match operator {
            Operator::LocalGet { local_index: index }
            | Operator::LocalSet { local_index: index }
            | Operator::LocalTee { local_index: index }
            | Operator::GlobalGet {
                global_index: index,
            }
            | Operator::GlobalSet {
                global_index: index,
            }
            | Operator::Call {
                function_index: index,
            }
            | Operator::Br {
                relative_depth: index,
            }
            | Operator::BrIf {
                relative_depth: index,
            } => index.into(),
            Operator::I32Const { value } => value.cast_unsigned().into(),
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                let types = [0x40, 0x7c, 0x7d, 0x7e, 0x7f];
                types.into_iter().find(|ty| block_type(*ty) == blockty)?
            }
            Operator::I32Load { memarg }
            | Operator::I64Load { memarg }
            | Operator::F32Load { memarg }
            | Operator::F64Load { memarg }
            | Operator::I32Load8S { memarg }
            | Operator::I32Load8U { memarg }
            | Operator::I32Load16S { memarg }
            | Operator::I32Load16U { memarg }
            | Operator::I64Load8S { memarg }
            | Operator::I64Load8U { memarg }
            | Operator::I64Load16S { memarg }
            | Operator::I64Load16U { memarg }
            | Operator::I64Load32S { memarg }
            | Operator::I64Load32U { memarg }
            | Operator::I32Store { memarg }
            | Operator::I64Store { memarg }
            | Operator::F32Store { memarg }
            | Operator::F64Store { memarg }
            | Operator::I32Store8 { memarg }
            | Operator::I32Store16 { memarg }
            | Operator::I64Store8 { memarg }
            | Operator::I64Store16 { memarg }
            | Operator::I64Store32 { memarg } => memarg.offset,
            Operator::I64Const { .. }
            | Operator::F32Const { .. }
            | Operator::F64Const { .. }
            | Operator::Unreachable
            | Operator::Nop
            | Operator::Else
            | Operator::End
            | Operator::Return
            | Operator::Drop
            | Operator::Select => 0,
            _ if (I32_EQZ..=I64_EXTEND32_S).contains(bytes.first()?) => 0,
            _ => return None,
        };
        Some((immediate, reader.original_position()))
    }

    #[test]
    fn operators_are_read_as_the_parser_reads_them() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut common = 0;
        for round in 0..400_000u32 {
            let mut bytes = [0; 14];
            // Bytes at which numbers end, go on and overflow.
            for byte in &mut bytes {
                let random = next();
                *byte = match random % 5 {
                    0 => [0, 1, 0x3f, 0x40, 0x7f][(random >> 8) as usize % 5],
                    1 => 0x80 | (random >> 8) as u8,
                    2 => 0x80,
                    3 => 0xff,
                    _ => (random >> 8) as u8,
                };
            }
            bytes[0] = (round % 256) as u8;
            let cut = if next() % 4 == 0 {
                next() as usize % 14
            } else {
                14
            };
            let bytes = &bytes[..cut];
            let found = read(bytes).map(|read| (read.immediate, read.length));
            common += usize::from(found.is_some());
            assert_eq!(found, parsed(bytes), "{bytes:02x?}");
        }
        assert!(common > 100_000, "{common}");
    }
}
