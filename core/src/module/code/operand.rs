//! Values on the stack, as far as code depends on them.

use crate::base::signature::ValType;

/// A value on the stack: how many bytes it takes as an operator's field, and whether it stands for a
/// local, by its number and 1.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Operand(u16);

impl Operand {
    /// In a stack slot or a register.
    pub(super) const SLOT: Self = Self(0);
    /// May be a constant of 4, 8 or 16 bytes.
    pub(super) const WIDE4: Self = Self(1 << 14);
    pub(super) const WIDE8: Self = Self(2 << 14);
    #[cfg(feature = "simd")]
    pub(super) const WIDE16: Self = Self(3 << 14);
    const LOCAL: u16 = (1 << 14) - 1;

    pub(super) fn local(index: u32) -> Self {
        let number = u16::try_from(index).unwrap_or(Self::LOCAL);
        Self(number.saturating_add(1).min(Self::LOCAL))
    }

    pub(super) const fn is_local(self) -> bool {
        self.0 & Self::LOCAL != 0
    }

    /// Whether it may stand for this local. Beyond the last number, several locals have it.
    pub(super) const fn may_be(self, local: Self) -> bool {
        self.0 & Self::LOCAL == local.0
    }

    /// Whether it certainly does.
    pub(super) const fn is(self, local: Self) -> bool {
        self.may_be(local) && local.0 < Self::LOCAL
    }

    /// The same, as a local's value.
    pub(super) const fn as_local(self, local: Self) -> Self {
        Self(self.0 & !Self::LOCAL | local.0 & Self::LOCAL)
    }

    /// The same, no longer a local's.
    pub(super) const fn width(self) -> Self {
        Self(self.0 & !Self::LOCAL)
    }

    /// Whether it may be a constant.
    pub(super) const fn is_constant(self) -> bool {
        self.0 >> 14 > 0
    }

    /// Bytes as a field.
    pub(super) const fn bytes(self) -> usize {
        match self.0 >> 14 {
            0 | 1 => 4,
            2 => 8,
            _ => 16,
        }
    }

    pub(super) fn wider(self, other: Self) -> Self {
        Self(self.width().0.max(other.width().0))
    }
}

/// The registers of the interpreter: for integers and references, f32, f64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    Integer,
    F32,
    F64,
}

/// A type of value, as far as code depends on it.
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

/// The type, as far as it matters here.
pub(in crate::module) const fn value_type(ty: wasmparser::ValType) -> ValType {
    match ty {
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        _ => ValType::I32,
    }
}
