//! Opcodes of the common operators, and the types of those that only compute. The parser is not asked for these,
//! since reading an opcode is faster.

use super::operand::Kind;

pub(in crate::module) use crate::module::bulk::{
    BLOCK, BR_IF, END, I32_CONST, I64_CONST, IF, LOCAL_GET, LOCAL_TEE, LOOP, RETURN, UNREACHABLE,
};

pub(super) const NOP: u8 = 0x01;
pub(in crate::module) const ELSE: u8 = 0x05;
pub(in crate::module) const BR: u8 = 0x0c;
pub(in crate::module) const CALL: u8 = 0x10;
pub(super) const DROP: u8 = 0x1a;
pub(in crate::module) const SELECT: u8 = 0x1b;
pub(in crate::module) const GLOBAL_GET: u8 = 0x23;
pub(super) const GLOBAL_SET: u8 = 0x24;
pub(super) const F32_CONST: u8 = 0x43;
pub(super) const F64_CONST: u8 = 0x44;

/// The loads, in the order of their results' types, and the stores.
pub(in crate::module) const I32_LOAD: u8 = 0x28;
pub(in crate::module) const I64_LOAD: u8 = 0x29;
pub(super) const F32_LOAD: u8 = 0x2a;
pub(super) const F64_LOAD: u8 = 0x2b;
pub(in crate::module) const I32_LOAD8_S: u8 = 0x2c;
pub(in crate::module) const I32_LOAD8_U: u8 = 0x2d;
pub(in crate::module) const I32_LOAD16_U: u8 = 0x2f;
pub(super) const I64_LOAD32_U: u8 = 0x35;
pub(in crate::module) const I32_STORE: u8 = 0x36;
pub(in crate::module) const I64_STORE: u8 = 0x37;
pub(in crate::module) const I32_STORE8: u8 = 0x3a;
pub(in crate::module) const I32_STORE16: u8 = 0x3b;
pub(in crate::module) const I64_STORE8: u8 = 0x3c;
pub(in crate::module) const I64_STORE32: u8 = 0x3e;

/// The first and last opcodes of operators without immediates that only compute, and of the i32 and
/// i64 comparisons for equality among them.
pub(in crate::module) const I32_EQZ: u8 = 0x45;
pub(in crate::module) const I32_NE: u8 = 0x47;
pub(in crate::module) const I64_EQZ: u8 = 0x50;
pub(in crate::module) const I64_NE: u8 = 0x52;
pub(super) const LAST_COMPARISON: u8 = 0x66;
pub(super) const I32_ADD: u8 = 0x6a;
pub(in crate::module) const I32_XOR: u8 = 0x73;
pub(super) const I64_ADD: u8 = 0x7c;
pub(super) const I64_EXTEND_I32_U: u8 = 0xad;
pub(super) const REINTERPRET: u8 = 0xbc;
pub(super) const REINTERPRET_LAST: u8 = 0xbf;
pub(in crate::module) const I64_EXTEND32_S: u8 = 0xc4;

/// The operators that only compute, in order: the last opcode of a range, whether the operators have two
/// operands, and the type of their result.
const RANGES: [(u8, bool, u8); 22] = [
    (I32_EQZ, false, I32),
    (0x4f, true, I32),
    (I64_EQZ, false, I32),
    (LAST_COMPARISON, true, I32),
    (0x69, false, I32),
    (0x78, true, I32),
    (0x7b, false, I64),
    (0x8a, true, I64),
    (0x91, false, F32),
    (0x98, true, F32),
    (0x9f, false, F64),
    (0xa6, true, F64),
    // Conversions.
    (0xab, false, I32),
    (0xb1, false, I64),
    (0xb6, false, F32),
    (0xbb, false, F64),
    (REINTERPRET, false, I32),
    (0xbd, false, I64),
    (0xbe, false, F32),
    (REINTERPRET_LAST, false, F64),
    (0xc1, false, I32),
    (I64_EXTEND32_S, false, I64),
];

/// The types of results in [`NUMERIC`], and the bit for two operands.
const I32: u8 = 0;
const I64: u8 = 1;
const F32: u8 = 2;
const F64: u8 = 3;
const BINARY: u8 = 4;

/// The operators that only compute, by their opcodes from [`I32_EQZ`] on.
const NUMERIC: [u8; 128] = by_opcode();

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // Evaluated when compiled.
const fn by_opcode() -> [u8; 128] {
    let mut table = [0; 128];
    let (mut range, mut at) = (0, 0);
    while at < table.len() {
        if at + I32_EQZ as usize > RANGES[range].0 as usize {
            range += 1;
        }
        let (_, binary, result) = RANGES[range];
        table[at] = if binary { result | BINARY } else { result };
        at += 1;
    }
    table
}

/// Returns whether the operator with this opcode has two operands, and the type of its result.
pub(super) fn numeric(opcode: u8) -> (bool, Kind) {
    let at = usize::from(opcode.wrapping_sub(I32_EQZ));
    let entry = NUMERIC.get(at).copied().unwrap_or_default();
    let result = match entry & !BINARY {
        I32 => Kind::I32,
        I64 => Kind::I64,
        F32 => Kind::F32,
        _ => Kind::F64,
    };
    (entry & BINARY != 0, result)
}
