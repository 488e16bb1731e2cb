//! The characters that can't be seen, from Unicode's tables.

/// Number of bits for a range's length.
const LENGTH_BITS: u32 = 11;

// Written by the test `the_table_is_that_of_unicode`, which says how.
// TABLE
#[rustfmt::skip]
const RANGES: [u32; 28] = [
    0x0 << LENGTH_BITS | 31, // to 0x1f
    0x7f << LENGTH_BITS | 32, // to 0x9f
    0xad << LENGTH_BITS | 0, // to 0xad
    0x34f << LENGTH_BITS | 0, // to 0x34f
    0x600 << LENGTH_BITS | 5, // to 0x605
    0x61c << LENGTH_BITS | 0, // to 0x61c
    0x6dd << LENGTH_BITS | 0, // to 0x6dd
    0x70f << LENGTH_BITS | 0, // to 0x70f
    0x890 << LENGTH_BITS | 1, // to 0x891
    0x8e2 << LENGTH_BITS | 0, // to 0x8e2
    0x115f << LENGTH_BITS | 1, // to 0x1160
    0x17b4 << LENGTH_BITS | 1, // to 0x17b5
    0x180b << LENGTH_BITS | 4, // to 0x180f
    0x200b << LENGTH_BITS | 4, // to 0x200f
    0x2028 << LENGTH_BITS | 6, // to 0x202e
    0x2060 << LENGTH_BITS | 15, // to 0x206f
    0x3164 << LENGTH_BITS | 0, // to 0x3164
    0xfe00 << LENGTH_BITS | 15, // to 0xfe0f
    0xfeff << LENGTH_BITS | 0, // to 0xfeff
    0xffa0 << LENGTH_BITS | 0, // to 0xffa0
    0xfff0 << LENGTH_BITS | 11, // to 0xfffb
    0x110bd << LENGTH_BITS | 0, // to 0x110bd
    0x110cd << LENGTH_BITS | 0, // to 0x110cd
    0x13430 << LENGTH_BITS | 15, // to 0x1343f
    0x1bca0 << LENGTH_BITS | 3, // to 0x1bca3
    0x1d173 << LENGTH_BITS | 7, // to 0x1d17a
    0xe0000 << LENGTH_BITS | 2047, // to 0xe07ff
    0xe0800 << LENGTH_BITS | 2047, // to 0xe0fff
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
