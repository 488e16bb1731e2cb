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

/// The types of an operator that only computes.
pub(super) struct Numeric {
    pub(super) binary: bool,
    pub(super) input: Kind,
    pub(super) result: Kind,
}

/// Returns the types of the operator with this opcode.
pub(super) const fn numeric(opcode: u8) -> Numeric {
    let (binary, input, result) = match opcode {
        I32_EQZ => (false, Kind::I32, Kind::I32),
        0x46..=0x4f => (true, Kind::I32, Kind::I32),
        I64_EQZ => (false, Kind::I64, Kind::I32),
        0x51..=0x5a => (true, Kind::I64, Kind::I32),
        0x5b..=0x60 => (true, Kind::F32, Kind::I32),
        0x61..=LAST_COMPARISON => (true, Kind::F64, Kind::I32),
        0x67..=0x69 => (false, Kind::I32, Kind::I32),
        I32_ADD..=0x78 => (true, Kind::I32, Kind::I32),
        0x79..=0x7b => (false, Kind::I64, Kind::I64),
        I64_ADD..=0x8a => (true, Kind::I64, Kind::I64),
        0x8b..=0x91 => (false, Kind::F32, Kind::F32),
        0x92..=0x98 => (true, Kind::F32, Kind::F32),
        0x99..=0x9f => (false, Kind::F64, Kind::F64),
        0xa0..=0xa6 => (true, Kind::F64, Kind::F64),
        // Conversions, by their result.
        0xac..=0xb1 | 0xbd | 0xc2..=I64_EXTEND32_S => (false, Kind::I64, Kind::I64),
        0xb2..=0xb6 | 0xbe => (false, Kind::F32, Kind::F32),
        0xb7..=0xbb | REINTERPRET_LAST => (false, Kind::F64, Kind::F64),
        _ => (false, Kind::I32, Kind::I32),
    };
    Numeric {
        binary,
        input,
        result,
    }
}
