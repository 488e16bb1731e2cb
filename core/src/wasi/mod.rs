//! WASI preview 1: arguments, environment, clocks, randomness, stdio, files and directories of
//! whoever has them, and the guest's end. Every other function links and answers with the error
//! number that a guest without sockets and signals expects.
//!
//! Files that the functions share: [`session`] what a call can reach, [`table`] which there are.

mod clocks;
mod descriptors;
mod directories;
mod errno;
pub mod files;
mod grant;
mod input;
mod lists;
mod opened;
mod output;
mod paths;
mod poll;
mod process;
mod random;
mod session;
mod stat;
mod streams;
mod table;
mod wait;
mod words;

pub use self::{grant::Wasi, input::WasiInput, output::WasiOutput};

use self::{
    errno::{Errno, Fail},
    session::{Args, Call, Session},
    table::{FUNCTIONS, Function, NAMES},
    wait::Wait,
};
use crate::{
    base::{
        fuel::Spending,
        shape::{FlatValues, Shape},
        signature::ValType,
    },
    call::{
        StoreData,
        access::InstanceAccess,
        meter,
        suspend::{PendingHostCall, Work},
    },
    error::CallError,
    host_functions::{Define, HostCall, HostFunction, Unfinished, definition},
    marshal::{FlatCounts, Types},
};
use alloc::{boxed::Box, sync::Arc};
use core::{cell::Cell, time::Duration};
use wasmi::{StoreContextMut, Val};

/// The names under which WASI preview 1 is imported: today's, and the one before.
const MODULES: [&str; 2] = ["wasi_snapshot_preview1", OLD];
const OLD: &str = "wasi_unstable";

/// Whether `name` in `module` is a function of WASI preview 1.
pub(crate) fn is_function(module: &str, name: &str) -> bool {
    MODULES.contains(&module) && NAMES.contains(&name)
}

/// The function `name` in `module`, under a grant.
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
        old: module == OLD,
    }))
}

/// A function under a grant.
#[derive(Clone)]
struct Granted {
    grant: Arc<Wasi>,
    function: &'static Function,
    old: bool,
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
        // Written out: so those alone are linked that give no more.
        match self.function.results {
            [] => definition(params, FlatCounts::NOTHING, shape),
            _ => definition(params, FlatCounts::of(ValType::I32), shape),
        }
    }

    fn runs_no_guest(&self) -> bool {
        true
    }

    fn call(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        call: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>> {
        let mut begun = None;
        let (spent, attempt) = self.attempt(
            InstanceAccess::of(&mut guest),
            call.params(),
            &mut begun,
            None,
        );
        meter::charge(&mut guest, spent)?;
        match attempt? {
            Attempt::Done(errno) => {
                call.give_number(errno);
                Ok(())
            }
            Attempt::Waits(wait) => {
                let waiting = Waiting {
                    granted: self.clone(),
                    params: call.params().iter().cloned().collect(),
                    begun,
                    wait: Some(wait),
                };
                Err(call.waits(Work::Wasi(Box::new(waiting))))
            }
        }
    }
}

/// How far a function has come.
enum Attempt {
    /// It is done, with this error number.
    Done(Val),
    /// It has to be called again, when this is over.
    Waits(Wait),
}

impl Granted {
    /// Calls the function, unless what it waits for is not over. `begun` is since when it waits.
    /// Answers with the fuel that is to be charged for it, too.
    fn attempt(
        &self,
        reach: InstanceAccess<'_>,
        params: &[Val],
        begun: &mut Option<Duration>,
        waits: Option<Wait>,
    ) -> (u64, Result<Attempt, CallError>) {
        let Some(session) = Session::kept(reach.resident, &self.grant) else {
            // Nothing else is ever kept there.
            return (0, Ok(Attempt::Done(Val::I32(Errno::Nosys as i32))));
        };
        let spent = Cell::new(0);
        let mut call = Call {
            memory: reach.memory,
            session,
            grant: &self.grant,
            shared: reach.shared,
            meter: reach.meter,
            canceller: reach.canceller,
            old: self.old,
            spending: Spending::new(reach.fuel, &spent),
            begun: *begun,
        };
        let done = self.run(&mut call, params, reach.blocks, waits);
        *begun = call.begun;
        let attempt = match done {
            Ok(()) => Ok(Attempt::Done(Val::I32(0))),
            Err(Fail::Errno(errno)) => Ok(Attempt::Done(Val::I32(errno as i32))),
            Err(Fail::Stop(error)) => Err(error),
            Err(Fail::Wait(wait)) => Ok(Attempt::Waits(wait)),
        };
        (spent.get(), attempt)
    }

    /// Calls the function, and again after it had to wait, if the thread `blocks` meanwhile.
    fn run(
        &self,
        call: &mut Call<'_>,
        params: &[Val],
        blocks: bool,
        waits: Option<Wait>,
    ) -> Result<(), Fail> {
        if let Some(mut wait) = waits
            && !wait.is_over(call)?
        {
            return Err(Fail::Wait(wait));
        }
        loop {
            let mut wait = match (self.function.run)(call, &Args(params)) {
                Err(Fail::Wait(wait)) => wait,
                done => return done,
            };
            if blocks {
                wait.block(call)?;
            } else if !wait.is_over(call)? {
                return Err(Fail::Wait(wait));
            }
        }
    }
}

struct Waiting {
    granted: Granted,
    params: FlatValues,
    begun: Option<Duration>,
    /// Taken while it is looked at.
    wait: Option<Wait>,
}

impl PendingHostCall for Waiting {
    fn attempt(&mut self, reach: InstanceAccess<'_>) -> (u64, Result<Option<Val>, CallError>) {
        let (waits, begun) = (self.wait.take(), &mut self.begun);
        let (spent, attempt) = self.granted.attempt(reach, &self.params, begun, waits);
        let done = attempt.map(|attempt| match attempt {
            Attempt::Done(errno) => Some(errno),
            Attempt::Waits(again) => {
                self.wait = Some(again);
                None
            }
        });
        (spent, done)
    }

    fn next(&self) -> Option<Duration> {
        self.wait.as_ref().and_then(Wait::next)
    }
}
