//! The function for random bytes.

use super::{
    errno::{Errno, Fail},
    grant::Random,
    session::{Args, Call},
};
use crate::{base::fuel::fuel_for, error::CallError, host_functions::contained};

/// Maximum number of bytes made at a time. Deadline and cancellation are checked in between.
const CHUNK: usize = 64 << 10;

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
pub(super) fn random_get(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let (at, len) = (args.u32(0), args.u32(1));
    let into = args.bytes_mut(at, len)?;
    random(call, into)
}

/// Fills `into` with random bytes; `Notsup` if none are granted.
pub(super) fn random(call: &mut Call<'_>, into: &mut [u8]) -> Result<(), Fail> {
    let random = call.grant.random.as_ref().ok_or(Errno::Notsup)?;
    for bytes in into.chunks_mut(CHUNK) {
        call.check()?;
        call.charge(fuel_for(bytes.len()).saturating_mul(COST_FACTOR))?;
        match random {
            Random::Seed(_) => fill(&mut call.session.random, bytes),
            Random::Source(source) => contained(&*call.shared.platform, || {
                source(bytes).map_err(CallError::Trap)
            })?,
        }
    }
    Ok(())
}

/// Fills `into` with bytes that follow from the grant's seed, or from 0 without one.
#[cfg(feature = "component")]
pub(super) fn predictable(call: &mut Call<'_>, into: &mut [u8]) -> Result<(), Fail> {
    for bytes in into.chunks_mut(CHUNK) {
        call.check()?;
        call.charge(fuel_for(bytes.len()).saturating_mul(COST_FACTOR))?;
        fill(&mut call.session.random, bytes);
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
