//! Parses numbers and sizes with units.

pub(super) use hostel::parse_quantity as parse;

/// Parses an amount of fuel.
pub(super) fn fuel(text: &str) -> Result<u64, &'static str> {
    parse(text).ok_or("expected a whole number, such as 5000000, 5_000_000 or 5M")
}

/// Parses a size in bytes.
pub(super) fn bytes(text: &str) -> Result<u64, &'static str> {
    parse(text).ok_or("expected a size in bytes, such as 65536, 64KiB or 16MiB")
}
