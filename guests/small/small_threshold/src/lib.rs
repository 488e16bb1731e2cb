//! Which samples are too high: a plugin that needs less than 1 KiB of memory.

#![cfg_attr(target_arch = "wasm32", no_std)]

// Room for 128 samples.
hostel_guest::in_place!(256: process);

/// Of samples of 16 bits, little-endian, the numbers of those over 1,000 remain, a byte each.
fn process(buffer: &mut [u8], length: usize) -> Result<usize, &'static str> {
    if length % 2 != 0 {
        return Err("half a sample at the end");
    }
    let mut found = 0;
    for number in 0..length / 2 {
        if i16::from_le_bytes([buffer[2 * number], buffer[2 * number + 1]]) > 1_000 {
            buffer[found] = number as u8;
            found += 1;
        }
    }
    Ok(found)
}
