//! Numbers for callers that learn a function's type at run time.

use super::signature::ValType;
use core::fmt;
use wasmi::{F32, F64, Val};

/// A number of one of WebAssembly's four types.
///
/// ```
/// use hostel_core::{ValType, Value};
/// assert_eq!(Value::parse("-5", ValType::I32), Some(Value::I32(-5)));
/// assert_eq!(Value::parse("4294967295", ValType::I32), Some(Value::I32(-1)));
/// assert_eq!(Value::parse("0xff", ValType::I64), Some(Value::I64(255)));
/// assert_eq!(Value::parse("1e39", ValType::F32), None);
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
    /// Reads `text` as a number of type `ty`. Returns `None` if the text is not a number, if the type
    /// can't hold it, or if `ty` is not the type of a number.
    ///
    /// Integers are decimal, or hexadecimal after `0x`. They may be signed or unsigned: `-1` and
    /// `4294967295` are one i32. Floats are decimal, optionally with an exponent, or `inf` or `NaN`.
    /// They are rounded to the nearest value of their type; a decimal that would round to infinity
    /// gives `None`.
    #[must_use]
    pub fn parse(text: &str, ty: ValType) -> Option<Self> {
        match ty {
            ValType::I32 => {
                let number = integer(text)?;
                let unsigned = || u32::try_from(number).map(u32::cast_signed);
                i32::try_from(number)
                    .or_else(|_| unsigned())
                    .ok()
                    .map(Self::I32)
            }
            ValType::I64 => {
                let number = integer(text)?;
                let unsigned = || u64::try_from(number).map(u64::cast_signed);
                i64::try_from(number)
                    .or_else(|_| unsigned())
                    .ok()
                    .map(Self::I64)
            }
            ValType::F32 => {
                let number: f32 = text.parse().ok()?;
                (!overflows(text, number.is_infinite())).then_some(Self::F32(number))
            }
            ValType::F64 => {
                let number: f64 = text.parse().ok()?;
                (!overflows(text, number.is_infinite())).then_some(Self::F64(number))
            }
            _ => None,
        }
    }

    /// Returns the value's type.
    #[must_use]
    pub const fn ty(&self) -> ValType {
        match self {
            Self::I32(_) => ValType::I32,
            Self::I64(_) => ValType::I64,
            Self::F32(_) => ValType::F32,
            Self::F64(_) => ValType::F64,
        }
    }

    /// Converts a value of wasmi's. `None` if it is not a number.
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

/// Reads a decimal or hexadecimal integer whose magnitude fits in a u64.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    // `from_str_radix` would accept a second sign.
    if digits.starts_with('+') {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    if negative {
        magnitude.checked_neg()
    } else {
        Some(magnitude)
    }
}

/// Returns whether reading a finite number gave infinity. Finite numbers have digits; `inf` and
/// `infinity` have none.
fn overflows(text: &str, infinite: bool) -> bool {
    infinite && text.bytes().any(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Value {
    /// Writes the shortest text that [`parse`](Value::parse) reads as this value. Floats whose
    /// magnitude is below 1e-5 or at least 1e16 have an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I32(value) => value.fmt(f),
            Self::I64(value) => value.fmt(f),
            Self::F32(value) if needs_exponent((*value).into()) => write!(f, "{value:e}"),
            Self::F64(value) if needs_exponent(*value) => write!(f, "{value:e}"),
            Self::F32(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
        }
    }
}

/// Returns whether a float is written with an exponent. Without one it could have 300 zeros.
fn needs_exponent(value: f64) -> bool {
    value.is_finite() && value != 0.0 && !(1e-5..1e16).contains(&value.abs())
}

#[cfg(test)]
mod tests {
    use super::{ValType, Value};
    use alloc::string::ToString;

    #[test]
    fn numbers_are_read_within_their_type() {
        for (text, ty, value) in [
            ("0xff", ValType::I32, Some(Value::I32(255))),
            ("-0x80000000", ValType::I32, Some(Value::I32(i32::MIN))),
            ("0xffffffff", ValType::I32, Some(Value::I32(-1))),
            ("0x100000000", ValType::I32, None),
            ("+7", ValType::I32, Some(Value::I32(7))),
            ("-2147483649", ValType::I32, None),
            ("4294967296", ValType::I32, None),
            ("0xffffffffffffffff", ValType::I64, Some(Value::I64(-1))),
            ("-9223372036854775809", ValType::I64, None),
            ("18446744073709551616", ValType::I64, None),
            ("1e38", ValType::F32, Some(Value::F32(1e38))),
            ("1e39", ValType::F32, None),
            ("-1e39", ValType::F32, None),
            ("1e39", ValType::F64, Some(Value::F64(1e39))),
            ("1e309", ValType::F64, None),
            ("-inf", ValType::F32, Some(Value::F32(f32::NEG_INFINITY))),
            ("infinity", ValType::F64, Some(Value::F64(f64::INFINITY))),
            ("1e-320", ValType::F64, Some(Value::F64(1e-320))),
            ("0x10", ValType::F64, None),
            ("1", ValType::ExternRef, None),
        ] {
            assert_eq!(Value::parse(text, ty), value, "{text}");
        }
        for text in [
            "", "-", "+", "0x", "-0x", "+-1", "-+1", "0x+1", "0x-1", "--1", "1.0", " 1", "ff",
        ] {
            assert_eq!(Value::parse(text, ValType::I64), None, "{text}");
        }
    }

    #[test]
    fn floats_are_short_and_read_back() {
        for (value, text) in [
            (Value::F64(1e-320), "1e-320"),
            (Value::F64(1.5e300), "1.5e300"),
            (Value::F64(1e15), "1000000000000000"),
            (Value::F64(1e16), "1e16"),
            (Value::F64(0.00001), "0.00001"),
            (Value::F64(-1000.0), "-1000"),
            (Value::F64(-0.0), "-0"),
            (Value::F64(f64::NEG_INFINITY), "-inf"),
            (Value::F32(f32::MAX), "3.4028235e38"),
            (Value::F32(0.1), "0.1"),
            (Value::F32(1e-45), "1e-45"),
        ] {
            assert_eq!(value.to_string(), text);
            assert_eq!(Value::parse(text, value.ty()), Some(value));
        }
        assert_eq!(Value::F32(f32::NAN).to_string(), "NaN");
    }
}
