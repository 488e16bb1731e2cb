//! Components: their instances, and the calls made to these.

use super::{
    Instance,
    image::Image,
    loaded::Loaded,
    making,
    runs::stopped,
    sandbox::{Sandbox, Start},
};
use crate::{
    base::{fuel::BASE, text::listed},
    call::{StoreData, meter, pace::Pace, run},
    component::{
        Lift, Lifting, LowerParts, Lowering, Resource, TypeId, Value,
        calling::Dropping,
        export_call::ExportCall,
        machine::{Bound, Machine},
        program::Program,
        wit::shown_rust,
    },
    error::CallError,
    module::ModuleInfo,
};
use alloc::{boxed::Box, string::ToString, sync::Arc};
use core::task::{Context, Poll};
use spin::Once;
use wasmi::Store;

/// A component that a plugin runs. Its functions are by pointer, so that a program that loads no components is linked
/// without them.
pub(crate) struct Component<T: 'static> {
    pub(crate) bound: Arc<Bound<T>>,
    /// The size of its file, in bytes.
    pub(crate) size: usize,
    /// What it declares, once that was asked for.
    pub(crate) info: Once<ModuleInfo>,
    /// Begins an instance.
    pub(super) open: fn(&Arc<Bound<T>>, &mut Sandbox<T>),
    /// Makes its core instances, and runs their start functions.
    pub(super) poll_start: PollStart<T>,
    pub(super) capture: fn(&mut Store<StoreData<T>>) -> Option<Image>,
    pub(super) restore: fn(&mut Store<StoreData<T>>, &Image) -> bool,
    pub(super) hash: fn(&mut Store<StoreData<T>>) -> u64,
}

type PollStart<T> =
    fn(&Loaded<T>, &mut Start, &mut Sandbox<T>, &mut Context<'_>) -> Poll<Result<(), CallError>>;

impl<T: 'static> Component<T> {
    pub(crate) fn new(bound: Bound<T>, size: usize) -> Self {
        Self {
            bound: Arc::new(bound),
            size,
            info: Once::new(),
            open: |bound, sandbox| {
                let state = sandbox.store.data_mut();
                // Its modules are instances of one store, and a memory that another one imports counts again.
                let modules = bound.program.steps.len().saturating_add(1);
                state.limiter.expect_modules(modules);
                state.exchange = Some(Box::new(Machine::new(bound)));
            },
            poll_start: |loaded, start, sandbox, context| {
                start.making.poll(loaded, &mut sandbox.store, context)
            },
            capture: making::capture,
            restore: making::restore,
            hash: making::hash,
        }
    }
}

impl<T: 'static> Loaded<T> {
    /// Makes the plugin run a component.
    pub(crate) fn run_component(&mut self, component: Component<T>) {
        self.component = Some(Box::new(component));
    }

    /// Returns the component that the plugin runs; `None` if it is a module.
    pub(crate) fn program(&self) -> Option<&Program> {
        self.component
            .as_ref()
            .map(|component| &component.bound.program)
    }

    /// Returns the number of the export `name` of a component.
    pub(crate) fn component_export(&self, name: &str) -> Result<usize, CallError> {
        let found = self
            .program()
            .and_then(|program| program.export_named(name));
        found.ok_or_else(|| self.unknown_export(name))
    }

    /// The error for an export that a component does not have; lists those that it has.
    #[cold]
    pub(super) fn unknown_component_export(&self, name: &str) -> CallError {
        let exported = self.program().into_iter().flat_map(Program::exported);
        let names: alloc::vec::Vec<_> = exported.map(|function| function.to_string()).collect();
        CallError::UnknownExport {
            name: name.into(),
            exports: listed(names.iter().map(|name| &**name)).into(),
        }
    }

    /// Returns the number of the export `name`, which takes `P` and returns `R`.
    pub(crate) fn typed_component_export<P: LowerParts, R: Lift>(
        &self,
        name: &str,
    ) -> Result<usize, CallError> {
        let number = self.component_export(name)?;
        let Some((program, export)) = self
            .program()
            .and_then(|program| Some((program, program.exports.get(number)?)))
        else {
            return Err(self.unknown_export(name));
        };
        let (types, ty) = (&program.types, program.types.function(export.ty));
        if P::fit(types, &ty.params) && R::fits_optional(types, ty.result) {
            return Ok(number);
        }
        Err(CallError::ExportType {
            name: name.into(),
            expected: shown_rust::<P, R>(),
            found: types.show_function(ty),
        })
    }
}

/// The function that runs a component as a command.
const RUN: &str = "wasi:cli/run#run";

impl<T: 'static> Instance<T> {
    /// Calls the export `name` of a component: lowers `params` into the guest, and lifts its result.
    ///
    /// `name` is that of a function, or `interface#function`, such as `hostel:example/api@0.1.0#greet`. The version
    /// may be left out, or be a compatible one.
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process); [`CallError::UnknownExport`] if no function has this name,
    /// [`CallError::ExportType`] if its type is not one for `P` and `R`.
    pub fn call_component<P, R>(&mut self, name: &str, params: P) -> Result<R, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        let export = self.loaded.typed_component_export::<P, R>(name)?;
        self.call_component_export(export, name, &params)
    }

    /// Calls the export of this number, whose type was compared with `P` and `R`.
    pub(crate) fn call_component_export<P, R>(
        &mut self,
        export: usize,
        name: &str,
        params: &P,
    ) -> Result<R, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        let _entered = self.begin_call()?;
        let result = self.run_component(
            export,
            |types, to| params.lower_each(types, to),
            |ty, from| R::lift_optional(ty, from),
        );
        self.end_component_call(name, result)
    }

    /// Runs the component as a WASI command, once.
    pub(super) fn run_component_command(&mut self) -> Result<u32, CallError> {
        let export = self
            .loaded
            .typed_component_export::<(), Result<(), ()>>(RUN)?;
        let ended = self.call_component_export(export, RUN, &());
        self.end_command(ended.map(|ran: Result<(), ()>| ran.is_err().into()))
    }

    /// As [`call_component`](Self::call_component), with values whose types are known only at run time.
    ///
    /// # Errors
    ///
    /// As for [`call_component`](Self::call_component); [`CallError::ValueType`] if a value is not of its
    /// parameter's type.
    pub fn call_component_values(
        &mut self,
        name: &str,
        params: &[Value],
    ) -> Result<Option<Value>, CallError> {
        let export = self.loaded.component_export(name)?;
        let _entered = self.begin_call()?;
        let result = self.run_component(
            export,
            |types, to| lower_values(params, types, to),
            lift_value,
        );
        self.end_component_call(name, result)
    }

    /// Drops a resource of the guest's that an export gave to the host: the guest's destructor runs, in a call with a
    /// budget of its own. A resource that is not dropped stays in the instance.
    ///
    /// # Errors
    ///
    /// [`CallError::ValueType`] if the host does not hold the resource, and the traps and exhausted budgets of the
    /// destructor.
    pub fn drop_resource(&mut self, resource: &Resource) -> Result<(), CallError> {
        let _entered = self.begin_call()?;
        let result = self.run_drop(resource);
        self.end_call(result)
    }

    /// Ends a call of the export `name`. If it failed, handles may have been on their way, so that neither side knows
    /// them: the instance is not called again.
    fn end_component_call<R>(
        &mut self,
        name: &str,
        result: Result<R, CallError>,
    ) -> Result<R, CallError> {
        if result.is_err()
            && let Ok(machine) = Machine::of_store(&mut self.sandbox.store)
        {
            self.broken |= machine.handles.were_passed();
        }
        self.end_call(result.map_err(|error| error.in_export(name)))
    }

    fn run_drop(&mut self, resource: &Resource) -> Result<(), CallError> {
        let store = &mut self.sandbox.store;
        run::begin(store, BASE)?;
        meter::check_time(store.data())?;
        let mut dropping = Dropping::of_host(store, resource)?;
        self.block(|sandbox, context| dropping.poll(&mut sandbox.store, context))
    }

    /// Begins a call of an export.
    fn begin_component_call<'v>(
        &mut self,
        export: usize,
        lower: impl FnOnce(&[TypeId], &mut Lowering<'v, '_>) -> Result<(), CallError>,
    ) -> Result<ExportCall<'v, T>, CallError> {
        let store = &mut self.sandbox.store;
        run::begin(store, BASE)?;
        if store.data().pace.is_none() {
            meter::check_time(store.data())?;
        }
        let program = self.loaded.program();
        let export = program.and_then(|program| program.exports.get(export));
        let number = export.and_then(Program::runs);
        let number = number.ok_or_else(|| CallError::ValueType {
            reason: "the export is an import that the component exports again: call the host function itself".into(),
        })?;
        ExportCall::begin(store, number, lower)
    }

    /// Calls an export on this thread.
    fn run_component<'v, R>(
        &mut self,
        export: usize,
        lower: impl FnOnce(&[TypeId], &mut Lowering<'v, '_>) -> Result<(), CallError>,
        lift: impl FnOnce(Option<TypeId>, &mut Lifting<'_>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let mut call = self.begin_component_call(export, lower)?;
        let ran = self.block(|sandbox, context| call.poll(&mut sandbox.store, context));
        let answer = ran.and_then(|()| call.lift(&mut self.sandbox.store, lift));
        if !stopped(&answer) {
            self.block(|sandbox, context| call.poll_end(&mut sandbox.store, context))?;
        }
        answer
    }

    /// Calls an export by steps, or awaited.
    async fn run_component_paced<'v, R>(
        &mut self,
        export: usize,
        lower: impl FnOnce(&[TypeId], &mut Lowering<'v, '_>) -> Result<(), CallError>,
        lift: impl FnOnce(Option<TypeId>, &mut Lifting<'_>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let mut call = self.begin_component_call(export, lower)?;
        let ran = self
            .paced(|sandbox, context| call.poll(&mut sandbox.store, context))
            .await;
        let answer = ran.and_then(|()| call.lift(&mut self.sandbox.store, lift));
        if !stopped(&answer) {
            self.paced(|sandbox, context| call.poll_end(&mut sandbox.store, context))
                .await?;
        }
        answer
    }

    /// As [`call_component`](Self::call_component), at the pace that `pace` sets.
    pub(crate) async fn call_component_paced<P, R>(
        &mut self,
        name: &str,
        params: P,
        pace: Arc<Pace>,
    ) -> Result<R, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        let export = self.loaded.typed_component_export::<P, R>(name)?;
        self.call_component_export_paced(export, name, params, pace)
            .await
    }

    /// As [`call_component_paced`](Self::call_component_paced), of an export that was looked up.
    pub(crate) async fn call_component_export_paced<P, R>(
        &mut self,
        export: usize,
        name: &str,
        params: P,
        pace: Arc<Pace>,
    ) -> Result<R, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        self.begin_paced_call(pace)?;
        let result = self
            .run_component_paced(
                export,
                |types, to| params.lower_each(types, to),
                |ty, from| R::lift_optional(ty, from),
            )
            .await;
        self.end_component_call(name, result)
    }

    /// As [`call_component_values`](Self::call_component_values), at the pace that `pace` sets.
    pub(crate) async fn call_component_values_paced(
        &mut self,
        name: &str,
        params: &[Value],
        pace: Arc<Pace>,
    ) -> Result<Option<Value>, CallError> {
        let export = self.loaded.component_export(name)?;
        self.begin_paced_call(pace)?;
        let result = self
            .run_component_paced(
                export,
                |types, to| lower_values(params, types, to),
                lift_value,
            )
            .await;
        self.end_component_call(name, result)
    }

    /// Prepares a [`call_component`](Self::call_component), to run by steps or to await: see
    /// [`PendingCall`](super::PendingCall).
    ///
    /// # Errors
    ///
    /// The call ends with the result of [`call_component`](Self::call_component).
    pub fn call_component_async<'a, P, R>(
        &'a mut self,
        name: &'a str,
        params: P,
    ) -> super::PendingCall<impl Future<Output = Result<R, CallError>> + use<'a, T, P, R>>
    where
        P: LowerParts,
        R: Lift,
    {
        super::PendingCall::begin(|pace| self.call_component_paced(name, params, pace))
    }

    /// Prepares a [`call_component_values`](Self::call_component_values), to run by steps or to await: see
    /// [`PendingCall`](super::PendingCall).
    ///
    /// # Errors
    ///
    /// The call ends with the result of [`call_component_values`](Self::call_component_values).
    pub fn call_component_values_async<'a>(
        &'a mut self,
        name: &'a str,
        params: &'a [Value],
    ) -> super::PendingCall<impl Future<Output = Result<Option<Value>, CallError>> + use<'a, T>>
    {
        super::PendingCall::begin(|pace| self.call_component_values_paced(name, params, pace))
    }
}

/// Lowers a call's arguments.
fn lower_values<'v>(
    params: &'v [Value],
    types: &[TypeId],
    to: &mut Lowering<'v, '_>,
) -> Result<(), CallError> {
    use crate::component::Lower as _;
    if params.len() != types.len() {
        return Err(CallError::ValueType {
            reason: alloc::format!("expected {} arguments, found {}", types.len(), params.len())
                .into(),
        });
    }
    let mut pairs = params.iter().zip(types);
    pairs.try_for_each(|(value, ty)| value.lower(*ty, to))
}

/// Lifts a call's result, if it has one.
fn lift_value(ty: Option<TypeId>, from: &mut Lifting<'_>) -> Result<Option<Value>, CallError> {
    ty.map(|ty| Value::lift(ty, from)).transpose()
}
