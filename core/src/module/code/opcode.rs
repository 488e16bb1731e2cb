//! Opcodes of the operators that only compute, and their types. The parser is not asked for these,
//! since reading an opcode is faster.

use super::operand::Kind;

/// The opcodes of operators with a local's number and nothing else.
pub(in crate::module) const LOCAL_GET: u8 = 0x20;
pub(in crate::module) const LOCAL_TEE: u8 = 0x22;

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
/// operands, and the type of their result. A table, since it is shorter than code on devices.
const NUMERIC: [(u8, bool, Kind); 22] = [
    (I32_EQZ, false, Kind::I32),
    (0x4f, true, Kind::I32),
    (I64_EQZ, false, Kind::I32),
    (LAST_COMPARISON, true, Kind::I32),
    (0x69, false, Kind::I32),
    (0x78, true, Kind::I32),
    (0x7b, false, Kind::I64),
    (0x8a, true, Kind::I64),
    (0x91, false, Kind::F32),
    (0x98, true, Kind::F32),
    (0x9f, false, Kind::F64),
    (0xa6, true, Kind::F64),
    // Conversions.
    (0xab, false, Kind::I32),
    (0xb1, false, Kind::I64),
    (0xb6, false, Kind::F32),
    (0xbb, false, Kind::F64),
    (REINTERPRET, false, Kind::I32),
    (0xbd, false, Kind::I64),
    (0xbe, false, Kind::F32),
    (REINTERPRET_LAST, false, Kind::F64),
    (0xc1, false, Kind::I32),
    (I64_EXTEND32_S, false, Kind::I64),
];

/// Returns whether the operator with this opcode has two operands, and the type of its result.
pub(super) fn numeric(opcode: u8) -> (bool, Kind) {
    let mut ranges = NUMERIC.iter();
    let found = ranges.find(|(last, ..)| opcode <= *last);
    found.map_or((false, Kind::I32), |&(_, binary, result)| (binary, result))
}
