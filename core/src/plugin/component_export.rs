//! [`ComponentExport`]: an export of a component that is looked up and checked once, for any instance of its plugin.

use super::Plugin;
use crate::{
    call::pace::Pace,
    component::{Lift, LowerParts},
    error::CallError,
    instance::{Instance, PendingCall},
};
use alloc::{
    boxed::Box,
    sync::{Arc, Weak},
};
use core::{any::Any, fmt};

/// An export of a component, looked up and checked once. The code of
/// [`bindgen!`](crate::component::bindgen) calls exports by it.
#[derive(Clone)]
pub struct ComponentExport {
    /// The plugin to which it belongs. Weak, so that it does not keep an unloaded plugin's code.
    plugin: Weak<dyn Any + Send + Sync>,
    name: Box<str>,
    /// Its number among the component's exports.
    number: usize,
}

impl ComponentExport {
    /// Fails unless the export is one of this plugin.
    fn check<T: 'static>(&self, instance: &Instance<T>) -> Result<(), CallError> {
        if core::ptr::addr_eq(self.plugin.as_ptr(), Arc::as_ptr(instance.loaded())) {
            return Ok(());
        }
        Err(CallError::OtherInstance {
            name: self.name.clone(),
        })
    }

    /// Calls the export in an instance of its plugin, at the pace that `pace` sets.
    async fn call_paced<T: 'static, P: LowerParts, R: Lift>(
        &self,
        instance: &mut Instance<T>,
        params: P,
        pace: Arc<Pace>,
    ) -> Result<R, CallError> {
        self.check(instance)?;
        let call = instance.call_component_export_paced(self.number, &self.name, params, pace);
        call.await
    }
}

impl fmt::Debug for ComponentExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ComponentExport").field(&self.name).finish()
    }
}

/// Where an export of a component is called: in a `&mut` [`Instance`], or in a `&` [`Plugin`], whose pool has an
/// instance for the call. Implemented for these two.
pub trait ComponentCallee: sealed::Callee {
    /// Calls the export. The types of `params` are those with which it was looked up, or references to these.
    ///
    /// # Errors
    ///
    /// As for [`Instance::call_component`] and [`Plugin::call_component`]; [`CallError::OtherInstance`] if the export
    /// is another plugin's: then nothing has run.
    fn call_export<P: LowerParts, R: Lift>(
        self,
        export: &ComponentExport,
        params: &P,
    ) -> Result<R, CallError>;

    /// Prepares a [`call_export`](Self::call_export), to run by steps or to await: see [`PendingCall`]. In a plugin, it
    /// includes the wait for an instance.
    ///
    /// # Errors
    ///
    /// The call ends with the result of [`call_export`](Self::call_export).
    fn call_export_async<'a, P, R>(
        self,
        export: &'a ComponentExport,
        params: P,
    ) -> PendingCall<impl Future<Output = Result<R, CallError>>>
    where
        Self: 'a,
        P: LowerParts + 'a,
        R: Lift + 'a;
}

mod sealed {
    pub trait Callee {}
}

impl<T: 'static> sealed::Callee for &mut Instance<T> {}
impl<T: Default + 'static> sealed::Callee for &Plugin<T> {}

impl<T: 'static> ComponentCallee for &mut Instance<T> {
    fn call_export<P: LowerParts, R: Lift>(
        self,
        export: &ComponentExport,
        params: &P,
    ) -> Result<R, CallError> {
        export.check(self)?;
        self.call_component_export(export.number, &export.name, params)
    }

    fn call_export_async<'a, P, R>(
        self,
        export: &'a ComponentExport,
        params: P,
    ) -> PendingCall<impl Future<Output = Result<R, CallError>>>
    where
        Self: 'a,
        P: LowerParts + 'a,
        R: Lift + 'a,
    {
        PendingCall::begin(|pace| async move { export.call_paced(self, params, pace).await })
    }
}

impl<T: Default + 'static> ComponentCallee for &Plugin<T> {
    fn call_export<P: LowerParts, R: Lift>(
        self,
        export: &ComponentExport,
        params: &P,
    ) -> Result<R, CallError> {
        self.with_instance(|instance| instance.call_export(export, params))
    }

    fn call_export_async<'a, P, R>(
        self,
        export: &'a ComponentExport,
        params: P,
    ) -> PendingCall<impl Future<Output = Result<R, CallError>>>
    where
        Self: 'a,
        P: LowerParts + 'a,
        R: Lift + 'a,
    {
        PendingCall::begin(|pace| async move {
            let mut taken = self.take_paced(&pace, None).await?;
            let result = export.call_paced(&mut taken.instance, params, pace).await;
            self.return_to_pool(taken);
            result
        })
    }
}

impl<T: 'static> Plugin<T> {
    /// Looks up the export `name` of a component and checks that it takes `P` and returns `R`.
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`] if no function has this name; [`CallError::ExportType`] if its type is not one
    /// for `P` and `R`.
    pub fn component_export<P, R>(&self, name: &str) -> Result<ComponentExport, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        let plugin: Weak<dyn Any + Send + Sync> = Arc::downgrade(&self.loaded) as _;
        Ok(ComponentExport {
            plugin,
            name: name.into(),
            number: self.loaded.typed_component_export::<P, R>(name)?,
        })
    }
}
