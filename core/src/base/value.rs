//! Core values, for callers that know a function's type only at run time.

use super::signature::ValType;
use core::fmt;
use wasmi::{F32, F64, Val};

/// A number as WebAssembly has them.
///
/// ```
/// use hostel_core::{ValType, Value};
/// assert_eq!(Value::parse("-5", ValType::I32), Some(Value::I32(-5)));
/// assert_eq!(Value::parse("4294967295", ValType::I32), Some(Value::I32(-1)));
/// assert_eq!(Value::parse("1.5", ValType::F64).unwrap().to_string(), "1.5");
/// assert_eq!(Value::parse("five", ValType::I32), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A 32-bit integer.
    I32(i32),
    /// A 64-bit integer.
    I64(i64),
    /// A 32-bit float.
    F32(f32),
    /// A 64-bit float.
    F64(f64),
}

impl Value {
    /// Reads `text` as a number of type `ty`, signed or unsigned. `None` where it is not one, or
    /// `ty` is not a number's type.
    #[must_use]
    pub fn parse(text: &str, ty: ValType) -> Option<Self> {
        match ty {
            ValType::I32 => text
                .parse()
                .or_else(|_| text.parse::<u32>().map(u32::cast_signed))
                .ok()
                .map(Self::I32),
            ValType::I64 => text
                .parse()
                .or_else(|_| text.parse::<u64>().map(u64::cast_signed))
                .ok()
                .map(Self::I64),
            ValType::F32 => text.parse().ok().map(Self::F32),
            ValType::F64 => text.parse().ok().map(Self::F64),
            _ => None,
        }
    }

    /// The value's type.
    #[must_use]
    pub const fn ty(&self) -> ValType {
        match self {
            Self::I32(_) => ValType::I32,
            Self::I64(_) => ValType::I64,
            Self::F32(_) => ValType::F32,
            Self::F64(_) => ValType::F64,
        }
    }

    pub(crate) fn new(value: &Val) -> Option<Self> {
        Some(match value {
            Val::I32(value) => Self::I32(*value),
            Val::I64(value) => Self::I64(*value),
            Val::F32(value) => Self::F32(value.to_float()),
            Val::F64(value) => Self::F64(value.to_float()),
            _ => return None,
        })
    }
}

impl From<Value> for Val {
    fn from(value: Value) -> Self {
        match value {
            Value::I32(value) => Self::I32(value),
            Value::I64(value) => Self::I64(value),
            Value::F32(value) => Self::F32(F32::from_float(value)),
            Value::F64(value) => Self::F64(F64::from_float(value)),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I32(value) => value.fmt(f),
            Self::I64(value) => value.fmt(f),
            Self::F32(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
        }
    }
}
