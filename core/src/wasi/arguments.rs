//! Functions for the arguments and the environment.

use super::{
    errno::{Errno, Fail},
    grant::Strings,
    session::{Args, Call},
};
use crate::base::fuel::fuel_for;

/// Writes the number of arguments and their total size.
///
/// Parameters:
/// * `argc`: address for the number (u32).
/// * `argv_buf_size`: address for the size in bytes, NULs included (u32).
///
/// Errors:
/// * `Fault`: an address lies outside the guest's memory.
///
/// In hostel: See [`args_get`].
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#args_sizes_get)
pub(super) fn args_sizes_get(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    sizes(&call.grant.args, args)
}

/// Writes the arguments.
///
/// Parameters:
/// * `argv`: address for a list of pointers (u32), one for each argument.
/// * `argv_buf`: address for the arguments, each followed by a NUL.
///
/// Errors:
/// * `Fault`: one of the two areas lies outside the guest's memory.
///
/// In hostel: the arguments are those of `Wasi::args`, none by default.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#args_get)
pub(super) fn args_get(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    get(call, &call.grant.args, args)
}

/// Writes the number of environment variables and their total size.
///
/// Parameters:
/// * `environc`: address for the number (u32).
/// * `environ_buf_size`: address for the size in bytes, NULs included (u32).
///
/// Errors:
/// * `Fault`: an address lies outside the guest's memory.
///
/// In hostel: See [`environ_get`].
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#environ_sizes_get)
pub(super) fn environ_sizes_get(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    sizes(&call.grant.env, args)
}

/// Writes the environment variables.
///
/// Parameters:
/// * `environ`: address for a list of pointers (u32), one for each variable.
/// * `environ_buf`: address for the variables, `KEY=value`, each followed by a NUL.
///
/// Errors:
/// * `Fault`: one of the two areas lies outside the guest's memory.
///
/// In hostel: the variables are those of `Wasi::env`, none by default.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#environ_get)
pub(super) fn environ_get(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    get(call, &call.grant.env, args)
}

/// Writes the number of strings, and their size in bytes with a NUL after each.
fn sizes(strings: &Strings, args: &mut Args<'_>) -> Result<(), Fail> {
    let (count, size) = (args.u32(0), args.u32(1));
    let bytes = u32::try_from(strings.bytes.len()).map_err(|_| Errno::Fault)?;
    args.bytes(size, 4)?;
    args.put(count, &strings.count.to_le_bytes())?;
    args.put(size, &bytes.to_le_bytes())
}

/// Writes a pointer to each word, and the strings.
fn get(call: &mut Call<'_>, strings: &Strings, args: &mut Args<'_>) -> Result<(), Fail> {
    let (mut pointer, mut string) = (args.u32(0), args.u32(1));
    call.charge(fuel_for(strings.bytes.len()).saturating_add(u64::from(strings.count)))?;
    args.bytes(pointer, strings.count.checked_mul(4).ok_or(Errno::Fault)?)?;
    args.put(string, &strings.bytes)?;
    for bytes in strings.bytes.split_inclusive(|byte| *byte == 0) {
        args.put(pointer, &string.to_le_bytes())?;
        // Neither addition wraps: the checks above put both lists inside the memory.
        pointer = pointer.wrapping_add(4);
        string = string.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }
    Ok(())
}
