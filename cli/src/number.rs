//! Reads numbers for a function's parameters.

use hostel::{ValType, Value};

/// Reads a number of type `ty`: what [`Value::parse`] reads, and hexadecimal floats as in WebAssembly's
/// text. Returns the reason if the text is no such number, or if it is not zero and the nearest float is.
pub(super) fn parse(text: &str, ty: ValType) -> Result<Value, String> {
    let value = match (ty, hexadecimal(text)) {
        (ValType::F32, Some(number)) => number.round(&SINGLE).map(|value| Value::F32(value as f32)),
        (ValType::F64, Some(number)) => number.round(&DOUBLE).map(Value::F64),
        _ => Value::parse(text, ty),
    };
    match value {
        Some(Value::F32(0.0) | Value::F64(0.0)) if !is_zero(text) => Err(format!(
            "expected 0 or a number that an {ty} can tell from 0, found `{text}`"
        )),
        Some(value) => Ok(value),
        None => Err(format!("expected {}, found `{text}`", expected(ty))),
    }
}

/// Returns whether `text` is a number of any type.
pub(super) fn is_number(text: &str) -> bool {
    hexadecimal(text).is_some() || Value::parse(text, ValType::F64).is_some()
}

/// Describes the numbers of type `ty`.
const fn expected(ty: ValType) -> &'static str {
    match ty {
        ValType::I32 => "a whole number from -2147483648 to 4294967295",
        ValType::I64 => "a whole number from -9223372036854775808 to 18446744073709551615",
        ValType::F32 => "a number from -3.4028235e38 to 3.4028235e38, `inf`, `-inf` or `NaN`",
        ValType::F64 => {
            "a number from -1.7976931348623157e308 to 1.7976931348623157e308, `inf`, `-inf` or `NaN`"
        }
        ValType::V128 | ValType::FuncRef | ValType::ExternRef | ValType::OtherRef => {
            "a value that the command line can't express"
        }
    }
}

/// Returns whether a float's text, which is valid, means exactly zero.
fn is_zero(text: &str) -> bool {
    let (digits, exponent) = match text.split_once("0x") {
        Some((_, digits)) => (digits, ['p', 'P']),
        None => (text, ['e', 'E']),
    };
    let digits = digits.split(exponent).next().unwrap_or_default();
    !digits.contains(|c: char| c.is_ascii_hexdigit() && c != '0')
}

/// A hexadecimal number: `mantissa` times two to the power of `exponent`.
struct Hexadecimal {
    negative: bool,
    mantissa: u64,
    /// Whether digits that are not zero follow those of the mantissa, which then has 61 bits at least.
    more: bool,
    exponent: i64,
}

/// A type of float.
struct Format {
    /// Bits of a mantissa.
    bits: i64,
    /// The exponent of the smallest float above zero.
    least: i64,
    most: f64,
}

const SINGLE: Format = Format {
    bits: 24,
    least: -149,
    most: f32::MAX as f64,
};

const DOUBLE: Format = Format {
    bits: 53,
    least: -1074,
    most: f64::MAX,
};

/// Reads a number such as `-0x1.8p-3`.
fn hexadecimal(text: &str) -> Option<Hexadecimal> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = unsigned.strip_prefix("0x")?;
    let (digits, power) = match number.split_once(['p', 'P']) {
        Some((digits, power)) => (digits, decimal(power)?),
        None => (number, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !are_digits(whole, 16) || !(fraction.is_empty() || are_digits(fraction, 16)) {
        return None;
    }
    let mut read = Hexadecimal {
        negative,
        mantissa: 0,
        more: false,
        exponent: power,
    };
    let whole = whole.chars().map(|c| (c, 0));
    for (c, place) in whole.chain(fraction.chars().map(|c| (c, -4))) {
        let Some(digit) = c.to_digit(16) else {
            continue; // an underscore
        };
        if read.mantissa >> 60 == 0 {
            read.mantissa = read.mantissa << 4 | u64::from(digit);
            read.exponent += place;
        } else {
            read.more |= digit != 0;
            read.exponent += place + 4;
        }
    }
    Some(read)
}

/// Reads an exponent. One beyond what any float has becomes a large one.
fn decimal(text: &str) -> Option<i64> {
    const LARGE: i64 = 1 << 60;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = are_digits(digits, 10).then(|| digits.replace('_', ""))?;
    Some(
        sign * digits
            .parse()
            .map_or(LARGE, |number: i64| number.min(LARGE)),
    )
}

/// Returns whether a text consists of digits, with single underscores between them.
fn are_digits(text: &str, radix: u32) -> bool {
    text.split('_')
        .all(|part| !part.is_empty() && part.chars().all(|c| c.is_digit(radix)))
}

impl Hexadecimal {
    /// Returns the nearest float, of two that are equally near the even one. Returns `None` if it would
    /// be infinite.
    fn round(&self, format: &Format) -> Option<f64> {
        let sign = if self.negative { -1.0 } else { 1.0 };
        let bits = i64::from(u64::BITS - self.mantissa.leading_zeros());
        let top = self.exponent + bits - 1;
        if self.mantissa == 0 || top < DOUBLE.least - 1 {
            return Some(sign * 0.0);
        }
        if top > 1023 {
            return None;
        }
        // The exponent of the result's last bit.
        let last = format.least.max(top - format.bits + 1);
        // Two bits below the mantissa's stand for the rest: above, at or below a half.
        let exact = u128::from(self.mantissa) << 2 | u128::from(self.more);
        let dropped = last - self.exponent + 2;
        let rounded = if dropped <= 0 {
            exact << -dropped
        } else {
            let kept = exact.checked_shr(dropped as u32).unwrap_or(0);
            let rest = exact - kept.checked_shl(dropped as u32).unwrap_or(0);
            let half = 1_u128.checked_shl(dropped as u32 - 1).unwrap_or(u128::MAX);
            kept + u128::from(rest > half || rest == half && kept % 2 == 1)
        };
        // Both factors and their product are floats, so nothing is rounded.
        let value = rounded as f64 * power_of_two(last);
        (value <= format.most).then_some(sign * value)
    }
}

/// Returns two to the power of `exponent`, which is between those of the smallest and the largest float.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(if exponent < -1022 {
        1 << (exponent + 1074)
    } else {
        ((exponent + 1023) as u64) << 52
    })
}

#[cfg(test)]
mod tests {
    use super::{ValType, Value, parse};

    fn double(text: &str) -> Option<f64> {
        match parse(text, ValType::F64) {
            Ok(Value::F64(value)) => Some(value),
            _ => None,
        }
    }

    fn single(text: &str) -> Option<f32> {
        match parse(text, ValType::F32) {
            Ok(Value::F32(value)) => Some(value),
            _ => None,
        }
    }

    #[test]
    fn hexadecimal_floats_are_rounded_to_the_nearest() {
        for (text, value) in [
            ("0x10", 16.0),
            ("-0x5", -5.0),
            ("+0x1.8p3", 12.0),
            ("0x1.8P+3", 12.0),
            ("0x1.", 1.0),
            ("0xf_f.8_0p-0_1", 127.75),
            ("0x0.000000000000000000008p84", 8.0),
            ("0x100000000000000000000p-80", 1.0),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1.000000000000000000001p-1075", f64::from_bits(1)),
            ("0x1.8p-1074", f64::from_bits(2)),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.fffffffffffff7ffffp1023", f64::MAX),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080000000000001p0", 1.0 + f64::EPSILON),
            ("0x1.00000000000018p0", 1.0 + 2.0 * f64::EPSILON),
            ("0x0p99999999999999999999", 0.0),
            ("0", 0.0),
            ("0e5", 0.0),
            ("1e-5", 1e-5),
        ] {
            assert_eq!(double(text), Some(value), "{text}");
        }
        for (text, value) in [
            ("0x1p-149", f32::from_bits(1)),
            ("0x1.000001p0", 1.0),
            ("0x1.0000010000000001p0", 1.0 + f32::EPSILON),
            ("0x1.fffffep127", f32::MAX),
            ("0x1.fffffeffffp127", f32::MAX),
            ("1e-45", f32::from_bits(1)),
        ] {
            assert_eq!(single(text), Some(value), "{text}");
        }
        assert!(double("-0x0").is_some_and(f64::is_sign_negative));
        for bits in (0..f64::INFINITY.to_bits()).step_by(0x0001_2345_6789_abcd) {
            let value = f64::from_bits(bits);
            let (exponent, fraction) = (bits >> 52, bits & ((1 << 52) - 1));
            let (whole, power) = (u64::from(exponent > 0), exponent.max(1) as i64 - 1023);
            let text = format!("-0x{whole}.{fraction:013x}p{power}");
            assert_eq!(double(&text), Some(-value), "{text}");
        }
    }

    #[test]
    fn what_is_no_float_is_refused() {
        for text in [
            "0x",
            "0x.8",
            "0x1p",
            "0x1p+",
            "0x1.8.8",
            "0x1__0",
            "0x_1",
            "0x1_",
            "0x--1",
            "0x1g",
            "0x1p1024",
            "0x1.fffffffffffff8p1023",
            "0x1p99999999999999999999",
            "0x1p-1075",
            "0x1p-99999999999999999999",
            "1e-400",
            "1e400",
        ] {
            assert_eq!(double(text), None, "{text}");
        }
        for text in ["0x1p128", "0x1.ffffffp127", "0x1p-150", "1e-46", "-1e-46"] {
            assert_eq!(single(text), None, "{text}");
        }
    }
}
