//! `wasi:random`: random bytes, and predictable ones for guests that need no secret.

use super::{
    super::{
        errno::{Errno, Fail},
        random,
        session::Call,
    },
    Interface,
    function::plain,
};
use crate::{base::fuel::fuel_for, error::CallError, memory};
use alloc::vec::Vec;

pub(super) static INTERFACES: [Interface; 3] = [
    Interface::new(
        "wasi:random/random@0.2.12",
        &[
            &plain(
                "get-random-bytes",
                "func(len: u64) -> list<u8>",
                get_random_bytes,
            ),
            &plain("get-random-u64", "func() -> u64", get_random_u64),
        ],
    ),
    Interface::new(
        "wasi:random/insecure@0.2.12",
        &[
            &plain(
                "get-insecure-random-bytes",
                "func(len: u64) -> list<u8>",
                get_insecure_random_bytes,
            ),
            &plain(
                "get-insecure-random-u64",
                "func() -> u64",
                get_insecure_random_u64,
            ),
        ],
    ),
    Interface::new(
        "wasi:random/insecure-seed@0.2.12",
        &[&plain(
            "insecure-seed",
            "func() -> tuple<u64, u64>",
            insecure_seed,
        )],
    ),
];

/// Fills a buffer, or returns an error.
type Fill = fn(&mut Call<'_>, &mut [u8]) -> Result<(), Fail>;

/// Returns `len` random bytes of `Wasi::random`; as many as `Budget::bytes_to_guest` allows at most.
fn get_random_bytes(call: &mut Call<'_>, (len,): &mut (u64,)) -> Result<Vec<u8>, Fail> {
    bytes(call, *len, random::random)
}

/// Returns a random number.
fn get_random_u64(call: &mut Call<'_>, (): &mut ()) -> Result<u64, Fail> {
    number(call, random::random)
}

/// Returns `len` bytes: random ones if these are granted, else a sequence that is the same in each instance.
fn get_insecure_random_bytes(call: &mut Call<'_>, (len,): &mut (u64,)) -> Result<Vec<u8>, Fail> {
    bytes(call, *len, insecure)
}

/// Returns the next number of that sequence.
fn get_insecure_random_u64(call: &mut Call<'_>, (): &mut ()) -> Result<u64, Fail> {
    number(call, insecure)
}

/// Returns two numbers of that sequence, for the hash functions of a guest's tables: the same ones each time.
fn insecure_seed(call: &mut Call<'_>, (): &mut ()) -> Result<(u64, u64), Fail> {
    if let Some(seed) = call.session.insecure_seed {
        return Ok(seed);
    }
    let seed = (number(call, insecure)?, number(call, insecure)?);
    call.session.insecure_seed = Some(seed);
    Ok(seed)
}

/// Fills `into` with random bytes, or if none are granted, with predictable ones.
fn insecure(call: &mut Call<'_>, into: &mut [u8]) -> Result<(), Fail> {
    match random::random(call, into) {
        Err(Fail::Errno(Errno::Notsup)) => random::predictable(call, into),
        done => done,
    }
}

fn bytes(call: &mut Call<'_>, len: u64, fill: Fill) -> Result<Vec<u8>, Fail> {
    let limit = call.meter.budget().bytes_to_guest;
    let room = limit.saturating_sub(call.meter.usage.bytes_to_guest);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > room {
        return Err(Fail::EndCall(CallError::BytesToGuest { limit }));
    }
    // Before the memory is taken: `fill` charges for the random bytes alone, and in pieces.
    call.charge(fuel_for(len))?;
    let mut bytes = Vec::new();
    let reserved = bytes.try_reserve_exact(len);
    reserved.map_err(|_| Fail::EndCall(memory::no_room(len)))?;
    bytes.resize(len, 0);
    fill(call, &mut bytes)?;
    Ok(bytes)
}

fn number(call: &mut Call<'_>, fill: Fill) -> Result<u64, Fail> {
    let mut bytes = [0; 8];
    fill(call, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
