//! [`Protocol`]: what sets a convention apart whose input and output do not pass through the guest's
//! exports.

use super::Convention;
use crate::{
    base::{
        fuel::Spending,
        limits::Budget,
        signature::{Signature, ValType},
    },
    call::{Shared, limiter::InstanceLimiter, meter::Meter, suspend::PendingHostCall},
    error::{CallError, Mismatch},
    module::{Extern, ModuleInfo},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use wasmi::Val;

pub(crate) use crate::call::access::Session;

/// A convention whose guests fetch their input, and hand over their output, by host functions.
pub(crate) trait Protocol: Send + Sync + 'static {
    /// Returns the convention.
    fn convention(&self) -> Convention;

    /// Adds to `found` every export that the convention needs and the module lacks.
    fn check_exports(&self, module: &ModuleInfo, found: &mut Vec<Mismatch>);

    /// Returns the functions that initialise an instance, in order, after the start function.
    fn start(&self, module: &ModuleInfo) -> StartFunctions;

    /// Finds the host function for the import `name` of `module`, which has the type `ty`.
    fn function(
        &self,
        module: &str,
        name: &str,
        ty: &Signature,
    ) -> Option<Arc<dyn EnvironmentFunction>>;

    /// Creates the host's side of an instance.
    fn session(&self) -> Box<dyn Session>;

    /// Returns the export to call for the function or operation `name`.
    fn export<'a>(&self, name: &'a str) -> &'a str {
        name
    }

    /// Begins a call: keeps the inputs for the guest, as far as `limiter` admits them, and returns the
    /// arguments of the export, which has the type `ty`.
    fn begin(
        &self,
        session: &mut dyn Session,
        limiter: &mut InstanceLimiter,
        name: &str,
        inputs: &[&[u8]],
        ty: &Signature,
    ) -> Result<Vec<Val>, CallError>;

    /// Ends a call whose export `ran` and returned `results`. If this returns `Ok`, the session has the
    /// output.
    fn end(
        &self,
        session: &mut dyn Session,
        ran: Result<(), CallError>,
        results: &[Val],
        ending: &Ending<'_>,
    ) -> Result<(), CallError>;
}

/// The budget of a call that ends, and the fuel that is left of it.
pub(crate) struct Ending<'a> {
    pub(crate) budget: &'a Budget,
    pub(crate) spending: Spending<'a>,
}

/// The names of the exports that run when an instance is made, in order. Each instance has a copy of them.
pub(crate) type StartFunctions = [Option<&'static str>; 2];

/// Returns whether the module exports a function `name`.
pub(super) fn exports_function(module: &ModuleInfo, name: &str) -> bool {
    let export = module.export_named(name);
    export.is_some_and(|export| matches!(export.ty, Extern::Function(_)))
}

/// Returns the error of a session of another convention's, which can't occur.
pub(super) fn foreign_session() -> CallError {
    use crate::error::{Trap, TrapKind};
    CallError::Trap(Trap::new(
        TrapKind::Other,
        "the session belongs to another convention",
    ))
}

/// A host function of a convention.
pub(crate) trait EnvironmentFunction: Send + Sync + 'static {
    /// Returns the types of the parameters and of the result, of which there is at most one.
    fn ty(&self) -> (&[ValType], &[ValType]);

    /// Returns whether a parameter is an address in the guest's memory.
    fn has_pointers(&self) -> bool;

    /// Runs the function.
    fn run(&self, call: &mut EnvironmentCall<'_>, params: &[Val]) -> Result<Outcome, CallError>;
}

/// What a function of a convention returns.
pub(crate) enum Outcome {
    /// Nothing, or this number.
    Now(Option<Val>),
    /// The guest has to wait.
    Later(Box<dyn PendingHostCall>),
}

/// What a function of a convention can reach.
pub(crate) struct EnvironmentCall<'a> {
    /// The guest's memory; empty if it has none.
    pub(super) memory: &'a mut [u8],
    pub(super) session: &'a mut dyn Session,
    pub(super) shared: &'a Shared,
    pub(super) meter: &'a mut Meter,
    pub(super) limiter: &'a mut InstanceLimiter,
    pub(super) spending: Spending<'a>,
}

/// A function of a convention that is described by a table.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) params: &'static [ValType],
    pub(super) results: &'static [ValType],
    pub(super) pointers: bool,
    pub(super) run: fn(&mut EnvironmentCall<'_>, &[Val]) -> Result<Option<Val>, CallError>,
}

impl EnvironmentFunction for Entry {
    fn ty(&self) -> (&[ValType], &[ValType]) {
        (self.params, self.results)
    }

    fn has_pointers(&self) -> bool {
        self.pointers
    }

    fn run(&self, call: &mut EnvironmentCall<'_>, params: &[Val]) -> Result<Outcome, CallError> {
        (self.run)(call, params).map(Outcome::Now)
    }
}

/// Finds the function `name` in `table`.
pub(super) fn entry(table: &[Entry], name: &str) -> Option<Arc<dyn EnvironmentFunction>> {
    let found = table.iter().find(|entry| entry.name == name)?;
    Some(Arc::new(*found))
}
