//! WASI preview 1 without an operating system: arguments, environment, clocks, randomness, stdio,
//! and the guest's end. Every other function links and answers with the error number that a guest
//! without files and sockets expects.
//!
//! Files that the functions share: [`session`] what a call can reach, [`table`] which there are.

mod clocks;
mod descriptors;
mod errno;
mod grant;
mod input;
mod output;
mod poll;
mod process;
mod random;
mod session;
mod streams;
mod table;
mod words;

pub(crate) use self::session::Session;
pub use self::{grant::Wasi, input::WasiInput, output::WasiOutput};

use self::{
    errno::Fail,
    session::{Args, Call},
    table::{FUNCTIONS, Function},
};
use crate::{
    abi::shape::FlatValues,
    call::{self, State},
    error::CallError,
    host::HostFunction,
    marshal::Types,
    run::Work,
};
use alloc::{boxed::Box, sync::Arc};
use wasmi::{Caller, Memory, Val};

/// The names under which WASI preview 1 is imported: today's, and the one before.
const MODULES: [&str; 2] = ["wasi_snapshot_preview1", OLD];
const OLD: &str = "wasi_unstable";

/// Whether `name` in `module` is a function of WASI preview 1.
pub(crate) fn is_function(module: &str, name: &str) -> bool {
    function(module, name).is_some()
}

fn function(module: &str, name: &str) -> Option<&'static Function> {
    let known = MODULES.contains(&module);
    let mut functions = FUNCTIONS.iter().filter(|_| known);
    functions.find(|function| function.name == name)
}

/// The function `name` in `module`, under a grant.
pub(crate) fn find<T: 'static>(
    grant: &Arc<Wasi>,
    module: &str,
    name: &str,
) -> Option<Arc<dyn HostFunction<T>>> {
    let function = function(module, name)?;
    Some(Arc::new(Granted {
        grant: grant.clone(),
        function,
        old: module == OLD,
    }))
}

/// A function under a grant.
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

    fn runs_no_guest(&self) -> bool {
        true
    }

    fn call(
        &self,
        guest: &mut Caller<'_, State<T>>,
        memory: Option<Memory>,
        params: &[Val],
        results: &mut FlatValues,
    ) -> Result<Option<Work>, CallError> {
        let fuel = call::fuel_left(guest);
        let (memory, state) = match memory {
            Some(memory) => memory.data_and_store_mut(&mut *guest),
            None => (&mut [][..], guest.data_mut()),
        };
        let fresh = || Box::new(Session::new(&self.grant));
        let mut call = Call {
            memory,
            session: state.wasi.get_or_insert_with(fresh),
            grant: &self.grant,
            shared: &state.shared,
            meter: &mut state.meter,
            canceller: state.canceller.as_ref(),
            old: self.old,
            fuel,
            spent: 0,
        };
        let done = (self.function.run)(&mut call, &Args(params));
        let spent = call.spent;
        call::charge(guest, spent)?;
        let errno = match done {
            Ok(()) => 0,
            Err(Fail::Errno(errno)) => errno as i32,
            Err(Fail::Stop(error)) => return Err(error),
        };
        // There is room: a function of WASI's has one result at most.
        let _ = results.push(Val::I32(errno));
        Ok(None)
    }
}
