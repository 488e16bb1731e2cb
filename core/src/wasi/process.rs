//! Functions for the guest's exit, for signals, and for scheduling.

use super::{
    errno::{Errno, Fail},
    session::{Args, Call},
};
use crate::error::CallError;

pub(super) fn proc_exit(_: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let code = args.u32(0);
    Err(Fail::EndCall(CallError::Exited { code }))
}

pub(super) fn proc_raise(_: &mut Call<'_>, _: &Args<'_>) -> Result<(), Fail> {
    Err(Errno::Nosys.into())
}

pub(super) fn sched_yield(_: &mut Call<'_>, _: &Args<'_>) -> Result<(), Fail> {
    Ok(())
}
