//! The function for random bytes.

use super::{
    errno::{Errno, Fail},
    grant::Random,
    session::{Args, Call},
};
use crate::{base::fuel::fuel_for, error::CallError, host_functions::contained, memory};

/// Maximum number of bytes made at a time. Deadline and cancellation are checked in between.
const CHUNK: u32 = 64 << 10;

/// Fuel for random bytes, as a multiple of that for copied bytes.
const COST_FACTOR: u64 = 8;

/// Writes random bytes.
///
/// Parameters:
/// * `buf`: address for the bytes.
/// * `buf_len`: their number.
///
/// Errors:
/// * `Fault`: the area lies outside the guest's memory.
/// * `Notsup`: no random bytes are granted.
///
/// In hostel: with `Wasi::random_seed` the bytes are predictable. They are made in pieces of 64
/// KiB. Deadline and cancellation are checked in between.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#random_get)
pub(super) fn random_get(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (mut at, mut left) = (args.u32(0), args.u32(1));
    call.bytes(at, left)?;
    let random = call.grant.random.as_ref().ok_or(Errno::Notsup)?;
    while left > 0 {
        let len = left.min(CHUNK);
        let size = usize::try_from(len).unwrap_or(usize::MAX);
        call.check()?;
        call.charge(fuel_for(size).saturating_mul(COST_FACTOR))?;
        let bytes = memory::bytes_mut(call.memory, at, len, "buffer for random bytes")?;
        match random {
            Random::Seed(_) => fill(&mut call.session.random, bytes),
            Random::Source(source) => contained(&*call.shared.platform, || {
                source(bytes).map_err(CallError::Trap)
            })?,
        }
        at = at.wrapping_add(len);
        left = left.saturating_sub(len);
    }
    Ok(())
}

/// Fills `bytes` by SplitMix64, which is small and repeatable. It is not cryptographic.
fn fill(state: &mut u64, bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(8) {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = *state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        for (byte, random) in chunk.iter_mut().zip(word.to_le_bytes()) {
            *byte = random;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let (mut state, mut bytes) = (1_234_567, [0; 16]);
        fill(&mut state, &mut bytes);
        let first = 6_457_827_717_110_365_317u64.to_le_bytes();
        let second = 3_203_168_211_198_807_973u64.to_le_bytes();
        assert_eq!(bytes, *[first, second].concat());
    }
}
