//! Functions for sockets. hostel grants none, so each fails, and none looks at its other parameters.

use super::{
    errno::{Errno, Fail},
    session::{Args, Call},
};

/// Fails: there are no sockets.
///
/// Parameters:
/// * `fd`: any descriptor.
/// * `flags`, `opened`: ignored.
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notsock`: it is open; hostel grants no sockets.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#sock_accept)
pub(super) fn sock_accept(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    no_socket(call, args)
}

/// Fails: there are no sockets.
///
/// Parameters:
/// * `fd`: any descriptor.
/// * `ri_data`, `ri_data_len`, `ri_flags`, `ro_datalen`, `ro_flags`: ignored.
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notsock`: it is open; hostel grants no sockets.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#sock_recv)
pub(super) fn sock_recv(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    no_socket(call, args)
}

/// Fails: there are no sockets.
///
/// Parameters:
/// * `fd`: any descriptor.
/// * `si_data`, `si_data_len`, `si_flags`, `so_datalen`: ignored.
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notsock`: it is open; hostel grants no sockets.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#sock_send)
pub(super) fn sock_send(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    no_socket(call, args)
}

/// Fails: there are no sockets.
///
/// Parameters:
/// * `fd`: any descriptor.
/// * `how`: ignored.
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notsock`: it is open; hostel grants no sockets.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#sock_shutdown)
pub(super) fn sock_shutdown(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    no_socket(call, args)
}

/// Fails for the descriptor in the first parameter: `Notsock` if it is open, else `Badf`.
fn no_socket(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    call.session.descriptors.get(args.u32(0))?;
    Err(Errno::Notsock.into())
}
