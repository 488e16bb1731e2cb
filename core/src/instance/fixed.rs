//! Calls of core modules with a contract that the host knows.

use super::{Instance, loaded::Loaded, runs::stopped};
use crate::{
    base::{fuel::BASE, signature::Signature},
    call::{meter, pace::Pace, run},
    component::{
        Fixed, Lift, Lifting, LowerParts, Lowering,
        core_call::Entry,
        fixed::{ExportCall, FixedType},
    },
    error::CallError,
    module::Extern,
};
use alloc::sync::Arc;
use core::future::Future;

impl<T: 'static> Loaded<T> {
    /// Returns the number of the export `name` of a core module with a contract, which has this type.
    pub(crate) fn fixed_export(&self, name: &str, ty: &FixedType) -> Result<usize, CallError> {
        let (number, found) = self.function(name)?;
        let expected = || alloc::format!("{}", Signature::new(ty.params(), ty.results()));
        if *found.params != *ty.params() || *found.results != *ty.results() {
            return Err(CallError::export_type(name, expected(), found));
        }
        let after = ["cabi_post_", name].concat();
        if let Some(export) = self.info.export_named(&after)
            && let Extern::Function(found) = &export.ty
            && (*found.params != *ty.results() || !found.results.is_empty())
        {
            let expected = alloc::format!("{}", Signature::new(ty.results(), &[]));
            return Err(CallError::export_type(&after, expected, found));
        }
        Ok(number)
    }
}

/// Lowers the arguments of a call.
type Lowers<'l, 'v> = &'l mut dyn FnMut(&mut Lowering<'v, '_, Fixed>) -> Result<(), CallError>;

/// Lifts the result of a call.
type Lifts<'l> = &'l mut dyn FnMut(&mut Lifting<'_, Fixed>) -> Result<(), CallError>;

impl<T: 'static> Instance<T> {
    /// Calls the export `name` of a core module with a contract: lowers `params` into the guest, and lifts its result,
    /// as [`call_component`](Self::call_component) does. The contract is that of `P` and `R`, and no type is read from
    /// the plugin: only the core types are compared. Types with handles to resources don't compile.
    ///
    /// `name` is exactly that of the module's export: of a function, or `interface#function` with the interface's
    /// version, such as `hostel:example/api@0.1.0#greet`. Load the plugin with
    /// [`Grants::with_fixed_contract`](crate::Grants::with_fixed_contract).
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process); [`CallError::UnknownExport`] if no function has this name,
    /// [`CallError::ExportType`] if its core type is not that of `P` and `R`.
    pub fn call_fixed<P, R>(&mut self, name: &str, params: P) -> Result<R, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        let ty = const { &FixedType::lifted::<P, R>() };
        let export = self.loaded.fixed_export(name, ty)?;
        self.call_fixed_export(export, name, &params)
    }

    /// Calls the export of this number, whose core type was compared with `P` and `R`.
    pub(crate) fn call_fixed_export<P, R>(
        &mut self,
        export: usize,
        name: &str,
        params: &P,
    ) -> Result<R, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        let mut result = None;
        self.run_fixed(
            (export, name, const { &FixedType::lifted::<P, R>() }),
            &mut |to| params.lower_each((), to),
            &mut |from| {
                result = Some(R::lift_optional(Some(()), from)?);
                Ok(())
            },
        )?;
        result.ok_or(CallError::Stopped)
    }

    /// Calls an export on this thread.
    fn run_fixed<'v>(
        &mut self,
        export: (usize, &str, &'static FixedType),
        lower: Lowers<'_, 'v>,
        lift: Lifts<'_>,
    ) -> Result<(), CallError> {
        let _entered = self.begin_call()?;
        let result = self.finish_fixed(export, lower, lift);
        self.end_call(result.map_err(|error| error.in_export(export.1)))
    }

    fn finish_fixed<'v>(
        &mut self,
        export: (usize, &str, &'static FixedType),
        lower: Lowers<'_, 'v>,
        lift: Lifts<'_>,
    ) -> Result<(), CallError> {
        let mut call = self.begin_fixed(export, lower)?;
        let ran = self.block(|sandbox, context| call.poll(&mut sandbox.store, context));
        let answer = ran.and_then(|()| call.lift(&mut self.sandbox.store, lift));
        if !stopped(&answer) {
            self.block(|sandbox, context| call.poll_end(&mut sandbox.store, context))?;
        }
        answer
    }

    /// Begins a call of an export.
    fn begin_fixed<'v>(
        &mut self,
        (export, name, ty): (usize, &str, &'static FixedType),
        lower: Lowers<'_, 'v>,
    ) -> Result<ExportCall<'v>, CallError> {
        let store = &mut self.sandbox.store;
        run::begin(store, BASE)?;
        if store.data().pace.is_none() {
            meter::check_time(store.data())?;
        }
        let entry = self
            .sandbox
            .prepared(export, |store, instance| Entry::find(store, instance, name));
        let entry = entry.ok_or_else(|| self.loaded.unknown_export(name))?;
        ExportCall::begin(&mut self.sandbox.store, entry, ty, lower)
    }

    /// As [`call_fixed`](Self::call_fixed), at the pace that `pace` sets.
    pub(crate) async fn call_fixed_paced<P, R>(
        &mut self,
        name: &str,
        params: P,
        pace: Arc<Pace>,
    ) -> Result<R, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        let ty = const { &FixedType::lifted::<P, R>() };
        let export = self.loaded.fixed_export(name, ty)?;
        self.begin_paced_call(pace)?;
        let result = self.run_fixed_paced((export, name, ty), &params).await;
        self.end_call(result.map_err(|error| error.in_export(name)))
    }

    /// Calls an export by steps, or awaited.
    async fn run_fixed_paced<P, R>(
        &mut self,
        export: (usize, &str, &'static FixedType),
        params: &P,
    ) -> Result<R, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        let mut call = self.begin_fixed(export, &mut |to| params.lower_each((), to))?;
        let ran = self
            .paced(|sandbox, context| call.poll(&mut sandbox.store, context))
            .await;
        let mut result = None;
        let answer = ran.and_then(|()| {
            call.lift(&mut self.sandbox.store, &mut |from| {
                result = Some(R::lift_optional(Some(()), from)?);
                Ok(())
            })
        });
        if !stopped(&answer) {
            self.paced(|sandbox, context| call.poll_end(&mut sandbox.store, context))
                .await?;
        }
        answer?;
        result.ok_or(CallError::Stopped)
    }

    /// Prepares a [`call_fixed`](Self::call_fixed), to run by steps or to await: see
    /// [`PendingCall`](super::PendingCall).
    ///
    /// # Errors
    ///
    /// The call ends with the result of [`call_fixed`](Self::call_fixed).
    pub fn call_fixed_async<'a, P, R>(
        &'a mut self,
        name: &'a str,
        params: P,
    ) -> super::PendingCall<impl Future<Output = Result<R, CallError>> + use<'a, T, P, R>>
    where
        P: LowerParts,
        R: Lift,
    {
        super::PendingCall::begin(|pace| self.call_fixed_paced(name, params, pace))
    }
}
