//! The guest's own end, signals, and its turn on the processor.

use super::{
    errno::{Errno, Fail},
    session::{Args, Call},
};
use crate::error::CallError;

pub(super) fn proc_exit(_: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let code = args.u32(0);
    Err(Fail::Stop(CallError::Exited { code }))
}

pub(super) fn proc_raise(_: &mut Call<'_>, _: &Args<'_>) -> Result<(), Fail> {
    Err(Errno::Nosys.into())
}

/// A guest has one thread, and the host none to give its turn to.
pub(super) fn sched_yield(_: &mut Call<'_>, _: &Args<'_>) -> Result<(), Fail> {
    Ok(())
}
