//! Functions for the guest's exit, for signals, and for scheduling.

use super::{
    errno::{Errno, Fail},
    session::{Args, Call},
};
use crate::error::CallError;

/// Ends the guest; does not return to it.
///
/// Parameters:
/// * `rval`: the exit code (u32).
///
/// No errors.
///
/// In hostel: the call ends with [`CallError::Exited`], also for the code 0; `run_command` returns
/// the code. The instance is not used again.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#proc_exit)
pub(super) fn proc_exit(_: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let code = args.u32(0);
    Err(Fail::EndCall(CallError::Exited { code }))
}

/// Fails: hostel has no signals.
///
/// Parameters:
/// * `sig`: ignored.
///
/// Errors:
/// * `Nosys`: always.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#proc_raise)
pub(super) fn proc_raise(_: &mut Call<'_>, _: &mut Args<'_>) -> Result<(), Fail> {
    Err(Errno::Nosys.into())
}

/// Does nothing.
///
/// No parameters.
///
/// No errors.
///
/// In hostel: a guest has one thread, and the host none to yield to.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#sched_yield)
pub(super) fn sched_yield(_: &mut Call<'_>, _: &mut Args<'_>) -> Result<(), Fail> {
    Ok(())
}
