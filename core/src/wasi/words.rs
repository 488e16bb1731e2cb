//! Arguments and environment.

use super::{
    errno::{Errno, Fail},
    grant::Words,
    session::{Args, Call},
};
use crate::base::fuel::fuel_for;

pub(super) fn args_sizes_get(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    sizes(call, &call.grant.args, args)
}

pub(super) fn args_get(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    get(call, &call.grant.args, args)
}

pub(super) fn environ_sizes_get(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    sizes(call, &call.grant.env, args)
}

pub(super) fn environ_get(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    get(call, &call.grant.env, args)
}

/// Writes how many words there are, and how many bytes.
fn sizes(call: &mut Call<'_>, words: &Words, args: &Args<'_>) -> Result<(), Fail> {
    let (count, size) = (args.u32(0), args.u32(1));
    let bytes = u32::try_from(words.bytes.len()).map_err(|_| Errno::Fault)?;
    call.bytes(size, 4)?;
    call.put(count, &words.count.to_le_bytes())?;
    call.put(size, &bytes.to_le_bytes())
}

/// Writes a pointer to each word, and the words.
fn get(call: &mut Call<'_>, words: &Words, args: &Args<'_>) -> Result<(), Fail> {
    let (mut pointer, mut word) = (args.u32(0), args.u32(1));
    call.charge(fuel_for(words.bytes.len()).saturating_add(u64::from(words.count)))?;
    call.bytes(pointer, words.count.checked_mul(4).ok_or(Errno::Fault)?)?;
    call.put(word, &words.bytes)?;
    for bytes in words.bytes.split_inclusive(|byte| *byte == 0) {
        call.put(pointer, &word.to_le_bytes())?;
        // Neither wraps: all of both lies in memory.
        pointer = pointer.wrapping_add(4);
        word = word.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }
    Ok(())
}
