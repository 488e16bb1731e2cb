//! The characters that can't be seen, from Unicode's tables.

/// Number of bits for a range's length.
const LENGTH_BITS: u32 = 11;

/// Packs the characters from `first` to `last` into one number, to halve the table.
const fn range(first: u32, last: u32) -> u32 {
    first << LENGTH_BITS | last.wrapping_sub(first)
}

// Written by the test `the_table_is_that_of_unicode`, which says how.
// TABLE
#[rustfmt::skip]
const RANGES: [u32; 28] = [
    range(0x0, 0x1f),
    range(0x7f, 0x9f),
    range(0xad, 0xad),
    range(0x34f, 0x34f),
    range(0x600, 0x605),
    range(0x61c, 0x61c),
    range(0x6dd, 0x6dd),
    range(0x70f, 0x70f),
    range(0x890, 0x891),
    range(0x8e2, 0x8e2),
    range(0x115f, 0x1160),
    range(0x17b4, 0x17b5),
    range(0x180b, 0x180f),
    range(0x200b, 0x200f),
    range(0x2028, 0x202e),
    range(0x2060, 0x206f),
    range(0x3164, 0x3164),
    range(0xfe00, 0xfe0f),
    range(0xfeff, 0xfeff),
    range(0xffa0, 0xffa0),
    range(0xfff0, 0xfffb),
    range(0x110bd, 0x110bd),
    range(0x110cd, 0x110cd),
    range(0x13430, 0x1343f),
    range(0x1bca0, 0x1bca3),
    range(0x1d173, 0x1d17a),
    range(0xe0000, 0xe07ff),
    range(0xe0800, 0xe0fff),
];
// END

/// Returns whether `c` acts on a terminal or on the text around it, or shows nothing: a control, a
/// format character, a line or paragraph separator, a control of direction, or one that Unicode says to
/// ignore where a font lacks it.
pub(crate) fn is_invisible(c: char) -> bool {
    let c = u32::from(c);
    // The table is in order, and ranges do not overlap: only the last that begins at or before `c` can
    // hold it.
    let after = RANGES.partition_point(|range| range >> LENGTH_BITS <= c);
    let range = after.checked_sub(1).and_then(|index| RANGES.get(index));
    range.is_some_and(|range| {
        let more = range & ((1 << LENGTH_BITS) - 1);
        c.wrapping_sub(range >> LENGTH_BITS) <= more
    })
}
