//! WASI preview 1: arguments, environment, clocks, randomness, stdio, files and directories that the
//! embedder grants, and the guest's exit. Functions for sockets and signals link too, and return the
//! error number that a guest on a machine without them expects.
//!
//! All functions share [`session`], the state that a call can access, and [`table`], the list of
//! functions with the rules that hold for all of them.
//!
//! `p2` has WASI 0.2, for components. It does its work by the functions that those of preview 1 call too:
//! they take Rust values, and only preview 1's own have to do with addresses in the guest's memory.

mod arguments;
mod clocks;
mod descriptors;
mod directories;
mod errno;
pub mod files;
mod grant;
mod input;
mod links;
mod lists;
mod opened;
mod output;
#[cfg(feature = "component")]
mod p2;
mod paths;
mod poll;
mod process;
mod random;
mod session;
mod sockets;
mod stat;
mod streams;
mod table;
mod wait;

#[cfg(feature = "component")]
pub(crate) use self::p2::find as find_interface;
#[cfg(feature = "component")]
pub(crate) use self::session::{begin_http, end_http};
pub use self::{grant::Wasi, input::WasiInput, output::WasiOutput};

use self::{
    errno::{Errno, Fail},
    session::{Args, Call, Session},
    table::{FUNCTIONS, Function, NAMES},
    wait::Wait,
};
use crate::{
    base::{
        shape::{FlatValues, Shape},
        signature::ValType,
    },
    call::{
        StoreData,
        access::InstanceAccess,
        suspend::{PendingHostCall, Work},
    },
    error::CallError,
    host_functions::{Define, HostCall, HostFunction, Unfinished, definition},
    marshal::{FlatCounts, Types},
};
use alloc::{boxed::Box, sync::Arc};
#[cfg(feature = "component")]
use core::task::Waker;
use core::{task::Context, time::Duration};
use wasmi::{StoreContextMut, Val};

/// The module names under which guests import WASI preview 1: the current one, and its predecessor.
const MODULES: [&str; 2] = ["wasi_snapshot_preview1", UNSTABLE];
const UNSTABLE: &str = "wasi_unstable";

/// Returns whether the import `name` of `module` is a function of WASI preview 1.
pub(crate) fn is_function(module: &str, name: &str) -> bool {
    MODULES.contains(&module) && NAMES.contains(&name)
}

/// Returns whether the interface is in a package of WASI 0.2 that hostel has. By name alone, so that a program
/// that does not grant WASI links none of the functions.
#[cfg(feature = "component")]
pub(crate) fn is_interface(interface: &str) -> bool {
    const PACKAGES: [&str; 7] = [
        "cli",
        "clocks",
        "filesystem",
        "http",
        "io",
        "random",
        "sockets",
    ];
    let name = interface.strip_prefix("wasi:");
    let package = name.and_then(|name| name.split('/').next());
    let version = interface.rsplit_once('@');
    package.is_some_and(|package| PACKAGES.contains(&package))
        && version.is_some_and(|(_, version)| version.starts_with("0.2."))
}

/// Returns the function for the import `name` of `module`, bound to `grant`.
pub(crate) fn find<T: 'static>(
    grant: &Arc<Wasi>,
    module: &str,
    name: &str,
) -> Option<Arc<dyn HostFunction<T>>> {
    let known = FUNCTIONS.iter().filter(|_| MODULES.contains(&module));
    let function = { known }.find(|function| function.name == name)?;
    Some(Arc::new(Granted {
        grant: grant.clone(),
        function,
        unstable: module == UNSTABLE,
    }))
}

/// A WASI function bound to a grant.
#[derive(Clone)]
struct Granted {
    grant: Arc<Wasi>,
    function: &'static Function,
    unstable: bool,
}

impl<T: 'static> HostFunction<T> for Granted {
    fn params(&self) -> Types {
        Types::collect(|types| {
            self.function.params.iter().for_each(|ty| types.push(*ty));
            types.bytes = self.function.pointers;
        })
    }

    fn results(&self) -> Types {
        Types::collect(|types| self.function.results.iter().for_each(|ty| types.push(*ty)))
    }

    fn define(&self, shape: Shape) -> Define<T> {
        let params = FlatCounts::count(self.function.params);
        // Two constants, so that the linker keeps only the code for no result and for one `i32`.
        match self.function.results {
            [] => definition(params, FlatCounts::NOTHING, shape),
            _ => definition(params, FlatCounts::of(ValType::I32), shape),
        }
    }

    fn refusal_when_nested(&self) -> Option<CallError> {
        None
    }

    fn call(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        call: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>> {
        let mut waiting_since = None;
        let spending = call.spending(guest.data().meter.reserve);
        let access = InstanceAccess::of(&mut guest, spending);
        match self.attempt(access, call.params(), &mut waiting_since, None)? {
            Attempt::Done(errno) => {
                call.give_number(errno);
                Ok(())
            }
            Attempt::Waiting(wait) => {
                let function = PendingFunction {
                    granted: self.clone(),
                    params: call.params().iter().cloned().collect(),
                    waiting_since,
                    wait: Some(wait),
                };
                Err(call.waits(Work::Wasi(Box::new(function))))
            }
        }
    }
}

/// The result of one attempt to run a function.
enum Attempt {
    /// The function returned this error number.
    Done(Val),
    /// The function must be called again when this wait is over.
    Waiting(Wait),
}

impl Granted {
    /// Calls the function once the wait `pending`, if any, is over. `waiting_since` keeps the time at
    /// which the function first waited, from attempt to attempt.
    fn attempt(
        &self,
        access: InstanceAccess<'_>,
        params: &[Val],
        waiting_since: &mut Option<Duration>,
        pending: Option<Wait>,
    ) -> Result<Attempt, CallError> {
        let Some(session) = Session::of_instance(access.session, &self.grant) else {
            // Unreachable: only this module stores a session in an instance.
            return Ok(Attempt::Done(Val::I32(Errno::Nosys as i32)));
        };
        if self.function.repeatable {
            let meter = &mut *access.meter;
            meter.repeatable_calls = meter.repeatable_calls.saturating_add(1);
        }
        let mut args = Args {
            values: params,
            memory: access.memory,
            unstable: self.unstable,
        };
        let mut call = Call {
            session,
            grant: &self.grant,
            shared: access.shared,
            meter: access.meter,
            canceller: access.canceller,
            spending: access.spending,
            waiting_since: *waiting_since,
            #[cfg(feature = "component")]
            blocks: access.blocks,
            #[cfg(feature = "component")]
            waker: Waker::noop(),
            #[cfg(feature = "component")]
            memory_left: access.limiter.memory_left(),
        };
        let mut run = |call: &mut Call<'_>| (self.function.run)(call, &mut args);
        let done = wait::repeat(&mut call, access.blocks, pending, &mut run);
        *waiting_since = call.waiting_since;
        match done {
            Ok(()) => Ok(Attempt::Done(Val::I32(0))),
            Err(Fail::Errno(errno)) => Ok(Attempt::Done(Val::I32(errno as i32))),
            Err(Fail::EndCall(error)) => Err(error),
            Err(Fail::MustWait(wait)) => Ok(Attempt::Waiting(wait)),
        }
    }
}

/// A function that waits while its guest is suspended.
struct PendingFunction {
    granted: Granted,
    params: FlatValues,
    waiting_since: Option<Duration>,
    /// The wait; `None` only during an attempt.
    wait: Option<Wait>,
}

impl PendingHostCall for PendingFunction {
    fn attempt(
        &mut self,
        access: InstanceAccess<'_>,
        _: &mut Context<'_>,
    ) -> Result<Option<Val>, CallError> {
        let (pending, since) = (self.wait.take(), &mut self.waiting_since);
        let attempt = self.granted.attempt(access, &self.params, since, pending)?;
        Ok(match attempt {
            Attempt::Done(errno) => Some(errno),
            Attempt::Waiting(again) => {
                self.wait = Some(again);
                None
            }
        })
    }

    fn next(&self) -> Option<Duration> {
        self.wait.as_ref().and_then(Wait::next)
    }
}
