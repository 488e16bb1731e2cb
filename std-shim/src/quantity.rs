//! Parses numbers and sizes with units.

/// The units by which a number can be multiplied, in lower case. Longer ones first: `kib` ends with `b`.
const UNITS: [(&str, u64); 17] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("ki", 1 << 10),
    ("mi", 1 << 20),
    ("gi", 1 << 30),
    ("ti", 1 << 40),
    ("k", 1_000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("t", 1_000_000_000_000),
    ("b", 1),
];

/// Parses a whole number with an optional unit. K, M, G and T are powers of 1000, Ki, Mi, Gi and Ti
/// of 1024, in either case and with or without a B. The number may have underscores, and a fraction if the
/// result is whole: `1.5KiB` is 1536. Returns `None` for any other text, and above 64 bits.
///
/// ```
/// assert_eq!(hostel::parse_quantity("16MiB"), Some(16 << 20));
/// assert_eq!(hostel::parse_quantity("5M"), Some(5_000_000));
/// assert_eq!(hostel::parse_quantity("some"), None);
/// ```
#[must_use]
pub fn parse_quantity(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let with_unit = |(unit, factor): (&str, u64)| Some((text.strip_suffix(unit)?, factor));
    let (number, factor) = UNITS.into_iter().find_map(with_unit).unwrap_or((&text, 1));
    let number = number.trim_end().replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // More digits of a fraction are never whole with these units.
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 30 {
        return None;
    }
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = u128::from(factor).checked_mul(fraction.parse().ok()?)?;
    if parts % scale != 0 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    whole.checked_add(u64::try_from(parts / scale).ok()?)
}

#[cfg(test)]
mod tests {
    use super::parse_quantity;

    #[test]
    fn numbers_have_units_of_1000_and_of_1024() {
        for (text, number) in [
            ("0", 0),
            ("5_000", 5_000),
            ("10k", 10_000),
            ("10K", 10_000),
            ("10KB", 10_000),
            ("10Ki", 10_240),
            ("10KiB", 10_240),
            ("10 kib", 10_240),
            ("2M", 2_000_000),
            ("2MiB", 2 << 20),
            ("1G", 1_000_000_000),
            ("1GiB", 1 << 30),
            ("1000T", 1_000_000_000_000_000),
            ("1TiB", 1 << 40),
            ("7B", 7),
            ("1.5K", 1_500),
            ("1.5KiB", 1_536),
            ("0.25 GiB", 256 << 20),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_quantity(text), Some(number), "{text}");
        }
        for text in [
            "",
            "K",
            "-1",
            "+1",
            "1kk",
            "1x",
            "lots",
            "1.",
            ".5K",
            "1.5",
            "1.0001K",
            "1e3",
            "0x10",
            "1 2",
            "18446744073709551616",
            "99999999999G",
            "inf",
            "1.5.5K",
            "\u{661}",
        ] {
            assert_eq!(parse_quantity(text), None, "{text}");
        }
    }
}
