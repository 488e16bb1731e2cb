//! Exports of core modules with a contract that the host knows.

use super::Plugin;
use crate::{
    component::{Lift, LowerParts, fixed::FixedType},
    error::CallError,
    instance::Instance,
};
use alloc::{boxed::Box, sync::Arc, sync::Weak};
use core::{any::Any, fmt};

/// An export of a core module with a contract, looked up once. The code of `bindgen!` with `fixed: true` calls exports
/// by it.
#[derive(Clone)]
pub struct FixedExport {
    /// The plugin to which it belongs. Weak, so that it does not keep an unloaded plugin's code.
    plugin: Weak<dyn Any + Send + Sync>,
    name: Box<str>,
    /// Its number among the module's exports.
    number: usize,
    ty: &'static FixedType,
}

impl FixedExport {
    /// Fails unless the export is one of this plugin, and has this core type.
    fn check<T: 'static>(&self, instance: &Instance<T>, ty: &FixedType) -> Result<(), CallError> {
        if core::ptr::addr_eq(self.plugin.as_ptr(), Arc::as_ptr(instance.loaded()))
            && (self.ty.params(), self.ty.results()) == (ty.params(), ty.results())
        {
            return Ok(());
        }
        Err(CallError::OtherInstance {
            name: self.name.clone(),
        })
    }
}

impl fmt::Debug for FixedExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FixedExport").field(&self.name).finish()
    }
}

/// Where an export of a core module with a contract is called: in a `&mut` [`Instance`], or in a `&` [`Plugin`], whose
/// pool has an instance for the call. Implemented for these two.
pub trait FixedCallee: sealed::Callee {
    /// Calls the export. The types of `params` are those with which it was looked up, or references to these.
    ///
    /// # Errors
    ///
    /// As for [`Instance::call_fixed`] and [`Plugin::call_fixed`]; [`CallError::OtherInstance`] if the export is another
    /// plugin's, or if its core type is not that of `P` and `R`: then nothing has run.
    fn call_fixed_export<P: LowerParts, R: Lift>(
        self,
        export: &FixedExport,
        params: &P,
    ) -> Result<R, CallError>;
}

mod sealed {
    pub trait Callee {}
}

impl<T: 'static> sealed::Callee for &mut Instance<T> {}
impl<T: Default + 'static> sealed::Callee for &Plugin<T> {}

impl<T: 'static> FixedCallee for &mut Instance<T> {
    fn call_fixed_export<P: LowerParts, R: Lift>(
        self,
        export: &FixedExport,
        params: &P,
    ) -> Result<R, CallError> {
        export.check(self, const { &FixedType::lifted::<P, R>() })?;
        Instance::call_fixed_export(self, export.number, &export.name, params)
    }
}

impl<T: Default + 'static> FixedCallee for &Plugin<T> {
    fn call_fixed_export<P: LowerParts, R: Lift>(
        self,
        export: &FixedExport,
        params: &P,
    ) -> Result<R, CallError> {
        self.with_instance(|instance| FixedCallee::call_fixed_export(instance, export, params))
    }
}

impl<T: 'static> Plugin<T> {
    /// Looks up the export `name` of a core module with a contract, and checks that its core type is that of a function
    /// that takes `P` and returns `R`; see [`Instance::call_fixed`].
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`] if no function has this name; [`CallError::ExportType`] if its core type is another.
    pub fn fixed_export<P, R>(&self, name: &str) -> Result<FixedExport, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        let ty = const { &FixedType::lifted::<P, R>() };
        Ok(FixedExport {
            plugin: Arc::downgrade(&self.loaded) as _,
            name: name.into(),
            number: self.loaded.fixed_export(name, ty)?,
            ty,
        })
    }
}

impl<T: Default + 'static> Plugin<T> {
    /// Calls the export `name` of a core module with a contract in an instance of its own; see
    /// [`Instance::call_fixed`].
    ///
    /// # Errors
    ///
    /// As for [`Instance::call_fixed`] and [`Plugin::process`].
    pub fn call_fixed<P, R>(&self, name: &str, params: P) -> Result<R, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        let ty = const { &FixedType::lifted::<P, R>() };
        let export = self.loaded.fixed_export(name, ty)?;
        self.with_instance(|instance| instance.call_fixed_export(export, name, &params))
    }
}
