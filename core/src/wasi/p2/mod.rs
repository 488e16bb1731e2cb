//! WASI 0.2: the interfaces that components import, over the descriptors, streams, clocks and limits that
//! preview 1's functions work on.
//!
//! | file | holds |
//! |---|---|
//! | `function` | a function with its types, and one call of it |
//! | `handles` | handles to resources, as functions take and give them |
//! | `types` | records, variants, enums and flags of the interfaces |
//! | `resources` | what a component's handles stand for |
//! | `cli`, `clocks`, `filesystem`, `http`, `io`, `random`, `sockets` | the functions, by package |
//!
//! Rules that hold for each function, and are not repeated at them:
//!
//! * It costs fuel before the work is done, as much as preview 1's function for that work. The guest is
//!   stopped if its fuel or a budget is used up, if it is past its deadline or cancelled at one of the
//!   checks, or if the embedder's code traps or panics.
//! * A function whose type has no error stops the guest if the grant lacks what it asks for.

mod cli;
mod clocks;
mod filesystem;
mod function;
mod handles;
pub(super) mod http;
mod io;
mod random;
pub(super) mod resources;
mod sockets;
mod streams;
mod types;

use self::function::{AnyAnswer, Function, Operation};
use super::{
    errno::Fail,
    grant::Wasi,
    session::{Call, Session},
    wait::{self, Wait},
};
use crate::{
    call::access::WasiState,
    component::{
        FunctionType, Types,
        host_call::{
            Answered, HostCall, HostFunction, HostInterface, HostResource, Pending, compatible,
        },
    },
    error::CallError,
};
use alloc::{boxed::Box, string::String, sync::Arc};
use core::task::{Context, Poll, Waker};

/// An interface of WASI 0.2.
struct Interface {
    /// Its name with its version.
    name: &'static str,
    functions: &'static [&'static dyn Function],
    resources: &'static [&'static str],
    /// Stands for all functions that are not in the list.
    others: Option<&'static dyn Function>,
}

impl Interface {
    /// Returns an interface of functions alone.
    const fn new(name: &'static str, functions: &'static [&'static dyn Function]) -> Self {
        Self::with_resources(name, functions, &[])
    }

    /// Returns an interface that also defines resources.
    const fn with_resources(
        name: &'static str,
        functions: &'static [&'static dyn Function],
        resources: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            functions,
            resources,
            others: None,
        }
    }
}

/// All interfaces, by package.
static INTERFACES: [&[Interface]; 7] = [
    &cli::INTERFACES,
    &clocks::INTERFACES,
    &filesystem::INTERFACES,
    &http::INTERFACES,
    &io::INTERFACES,
    &random::INTERFACES,
    &sockets::INTERFACES,
];

/// Returns the interface of this name, of any version that is compatible with 0.2.12, bound to `grant`.
pub(crate) fn find<T: 'static>(
    grant: &Arc<Wasi>,
    interface: &str,
) -> Option<Arc<dyn HostInterface<T>>> {
    let mut all = INTERFACES.iter().copied().flatten();
    let interface = all.find(|known| compatible(interface, known.name))?;
    let grant = grant.clone();
    Some(Arc::new(GrantedInterface { grant, interface }))
}

/// An interface bound to a grant.
struct GrantedInterface {
    grant: Arc<Wasi>,
    interface: &'static Interface,
}

impl<T: 'static> HostInterface<T> for GrantedInterface {
    fn name(&self) -> &str {
        self.interface.name
    }

    fn function(&self, name: &str) -> Option<Arc<dyn HostFunction<T>>> {
        let mut functions = self.interface.functions.iter().copied();
        let found = functions.find(|function| function.name() == name);
        let function = found.or(self.interface.others)?;
        let grant = self.grant.clone();
        Some(Arc::new(GrantedFunction { grant, function }))
    }

    fn resource(&self, name: &str) -> Option<Arc<dyn HostResource<T>>> {
        let known = self.interface.resources.contains(&name);
        known.then(|| Arc::new(GrantedResource(self.grant.clone())) as _)
    }
}

/// A function bound to a grant.
struct GrantedFunction {
    grant: Arc<Wasi>,
    function: &'static dyn Function,
}

impl<T: 'static> HostFunction<T> for GrantedFunction {
    fn fits(&self, types: &Types, ty: &FunctionType) -> bool {
        self.function.fits(types, ty)
    }

    fn shown(&self) -> String {
        self.function.shown().into()
    }

    fn call(&self, call: &mut HostCall<'_, T>) -> Result<Answered<T>, CallError> {
        let parts = &*call.ty().params;
        if self.function.is_repeatable() {
            let meter = call.access().meter;
            meter.repeatable_calls = meter.repeatable_calls.saturating_add(1);
        }
        let mut begun = BegunOperation {
            grant: self.grant.clone(),
            operation: call.lift(|from| self.function.begin(parts, from))?,
            wait: None,
        };
        Ok(match begun.attempt(call, Waker::noop())? {
            true => Answered::Now,
            false => Answered::Later(Box::new(begun)),
        })
    }
}

/// A function's work, perhaps while its guest is suspended.
struct BegunOperation {
    grant: Arc<Wasi>,
    operation: Box<dyn Operation>,
    /// What the guest waits for; `None` at first and during an attempt.
    wait: Option<Wait>,
}

impl BegunOperation {
    /// Goes on with the work once the wait, if any, is over. Returns whether it is done, and its result given
    /// to `call`.
    fn attempt<T: 'static>(
        &mut self,
        call: &mut HostCall<'_, T>,
        waker: &Waker,
    ) -> Result<bool, CallError> {
        let (operation, wait) = (&mut self.operation, self.wait.take());
        let done = with_session(&self.grant, call, waker, |call| {
            wait::repeat(call, call.blocks, wait, &mut |call| operation.attempt(call))
        });
        match done {
            Ok(answer) => {
                if call.ty().result.is_some() {
                    call.answer(&AnyAnswer(answer))?;
                }
                Ok(true)
            }
            Err(Fail::MustWait(wait)) => {
                self.wait = Some(wait);
                Ok(false)
            }
            Err(Fail::EndCall(error)) => Err(error),
            Err(Fail::Errno(_)) => Err(ended(resources::stop(
                "it waits, and the platform has no clock and does not wait for stdin",
            ))),
        }
    }
}

impl<T: 'static> Pending<T> for BegunOperation {
    fn poll(
        &mut self,
        call: &mut HostCall<'_, T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        if self.attempt(call, context.waker())? {
            return Poll::Ready(Ok(()));
        }
        let wait = self.wait.as_ref();
        let next = wait.and_then(Wait::next);
        // A wait for responses alone ends when one of them wakes the context, or the call's deadline.
        if next.is_some() || !wait.is_some_and(Wait::is_for_responses) {
            let access = call.access();
            access.shared.platform.wake_at(next, context.waker());
        }
        Poll::Pending
    }
}

/// The resources of an interface: a guest drops one of them.
struct GrantedResource(Arc<Wasi>);

impl<T: 'static> HostResource<T> for GrantedResource {
    fn new_session(&self) -> Option<Box<dyn WasiState>> {
        Some(Box::new(Session::new(&self.0)))
    }

    fn dropped(&self, call: &mut HostCall<'_, T>, number: u32) -> Result<(), CallError> {
        let removed = with_session(&self.0, call, Waker::noop(), |call| {
            resources::remove(call, number)
        });
        match removed {
            // A file's own error while it is closed is nobody's.
            Ok(()) | Err(Fail::Errno(_)) => Ok(()),
            Err(fail) => Err(ended(fail)),
        }
    }
}

/// Returns the error that ends the call.
fn ended(fail: Fail) -> CallError {
    match fail {
        Fail::EndCall(error) => error,
        // Unreachable: nothing waits where this is called.
        Fail::Errno(_) | Fail::MustWait(_) => CallError::Stopped,
    }
}

/// Passes the state of the calling instance to `work`. `waker` is woken when a response that it waits for is there.
fn with_session<T: 'static, R>(
    grant: &Arc<Wasi>,
    call: &mut HostCall<'_, T>,
    waker: &Waker,
    work: impl FnOnce(&mut Call<'_>) -> Result<R, Fail>,
) -> Result<R, Fail> {
    let access = call.access();
    let session = Session::of_instance(access.session, grant);
    // Unreachable: only this module stores a session in an instance.
    let session = session.ok_or(Fail::EndCall(CallError::Stopped))?;
    let mut call = Call {
        session,
        grant,
        shared: access.shared,
        meter: access.meter,
        canceller: access.canceller,
        spending: access.spending,
        waiting_since: None,
        blocks: access.blocks,
        waker,
        memory_left: access.limiter.memory_left(),
    };
    work(&mut call)
}
