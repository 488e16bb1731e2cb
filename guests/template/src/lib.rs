#![cfg_attr(target_arch = "wasm32", no_std)]

// The buffer's size in bytes, and the functions that the host may call.
hostel_guest::in_place!(512: process);

/// Answers the sum of its input's bytes, in four bytes.
fn process(buffer: &mut [u8], length: usize) -> Result<usize, &'static str> {
    let (input, _) = buffer.split_at(length);
    if input.is_empty() {
        return Err("the input is empty");
    }
    let sum: u32 = input.iter().map(|byte| u32::from(*byte)).sum();
    buffer[..4].copy_from_slice(&sum.to_le_bytes());
    Ok(4)
}
