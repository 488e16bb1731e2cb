//! The properties of a value on the stack that decide how wasmi encodes it.

use crate::base::signature::ValType;

/// A value on the stack. The upper two bits are its size as an operator's field; the others are the
/// number of the local that it stands for, plus 1, or 0.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Operand(u16);

impl Operand {
    /// A value in a stack slot or a register.
    pub(super) const SLOT: Self = Self(0);
    /// A value that may be a constant of 4 bytes.
    pub(super) const WIDE4: Self = Self(1 << 14);
    /// A value that may be a constant of 8 bytes.
    pub(super) const WIDE8: Self = Self(2 << 14);
    /// A value that may be a constant of 16 bytes.
    #[cfg(feature = "simd")]
    pub(super) const WIDE16: Self = Self(3 << 14);
    /// The bits of the local's number.
    const LOCAL: u16 = (1 << 14) - 1;

    /// Returns a value that stands for a local.
    pub(super) fn local(index: u32) -> Self {
        let number = u16::try_from(index).unwrap_or(Self::LOCAL);
        Self(number.saturating_add(1).min(Self::LOCAL))
    }

    /// Returns whether the value stands for a local.
    pub(super) const fn is_local(self) -> bool {
        self.0 & Self::LOCAL != 0
    }

    /// Returns whether the value may stand for this local. Locals with large numbers share one.
    pub(super) const fn may_be(self, local: Self) -> bool {
        self.0 & Self::LOCAL == local.0
    }

    /// Returns whether the value certainly stands for this local.
    pub(super) const fn is(self, local: Self) -> bool {
        self.may_be(local) && local.0 < Self::LOCAL
    }

    /// Returns the value as that of a local.
    pub(super) const fn as_local(self, local: Self) -> Self {
        Self(self.0 & !Self::LOCAL | local.0 & Self::LOCAL)
    }

    /// Returns the value, copied from the local.
    pub(super) const fn width(self) -> Self {
        Self(self.0 & !Self::LOCAL)
    }

    /// Returns whether the value may be a constant.
    pub(super) const fn is_constant(self) -> bool {
        self.0 >> 14 > 0
    }

    /// Returns its bytes as a field of an operator.
    pub(super) const fn bytes(self) -> usize {
        match self.0 >> 14 {
            0 | 1 => 4,
            2 => 8,
            _ => 16,
        }
    }

    /// Returns the larger of two values, neither of a local.
    pub(super) fn wider(self, other: Self) -> Self {
        Self(self.width().0.max(other.width().0))
    }
}

/// The registers of the interpreter. References are in that for integers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    Integer,
    F32,
    F64,
}

/// The register of a type, if it has one, and a constant of it.
#[derive(Clone, Copy, Default)]
pub(in crate::module) struct Kind {
    pub(super) register: Option<Register>,
    pub(super) constant: Operand,
}

impl Kind {
    pub(in crate::module) const I32: Self = Self::new(Register::Integer, Operand::WIDE4);
    pub(in crate::module) const I64: Self = Self::new(Register::Integer, Operand::WIDE8);
    pub(super) const F32: Self = Self::new(Register::F32, Operand::WIDE4);
    pub(super) const F64: Self = Self::new(Register::F64, Operand::WIDE8);

    const fn new(register: Register, constant: Operand) -> Self {
        Self {
            register: Some(register),
            constant,
        }
    }

    pub(in crate::module) const fn of(ty: ValType) -> Self {
        match ty {
            ValType::I64 => Self::I64,
            ValType::F32 => Self::F32,
            ValType::F64 => Self::F64,
            #[cfg(feature = "simd")]
            ValType::V128 => Self {
                register: None,
                constant: Operand::WIDE16,
            },
            _ => Self::I32,
        }
    }
}

/// Converts a type of the parser's. A reference counts as an i32, which is encoded alike.
pub(in crate::module) const fn value_type(ty: wasmparser::ValType) -> ValType {
    match ty {
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        _ => ValType::I32,
    }
}
