//! Stubs: imports that are supplied by their name alone, and stop the guest if it calls them.

use crate::{
    base::{
        shape::Shape,
        signature::{Signature, ValType},
    },
    call::StoreData,
    error::{CallError, Trap, TrapKind},
    host_functions::{Define, HostCall, HostFunction, Unfinished, definition},
    marshal::{FlatCounts, Types},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use wasmi::StoreContextMut;

/// The name that stands for every function of a module.
const ALL: &str = "*";

/// The imports that are stubbed, and the function that makes a stub. By pointer, so that a program
/// that stubs nothing links none of this.
pub(super) struct Stubs<T> {
    names: Vec<(Box<str>, Box<str>)>,
    make: fn(&Signature) -> Arc<dyn HostFunction<T>>,
}

impl<T: 'static> Stubs<T> {
    pub(super) const fn new() -> Self {
        Self {
            names: Vec::new(),
            make: stub::<T>,
        }
    }

    /// Adds an import; all functions of the module if `name` is `*`.
    pub(super) fn add(&mut self, module: &str, name: &str) {
        self.names.push((module.into(), name.into()));
    }

    /// Returns the stub for an import of the type `ty`, if it is stubbed.
    pub(super) fn find(
        &self,
        module: &str,
        name: &str,
        ty: &Signature,
    ) -> Option<Arc<dyn HostFunction<T>>> {
        let named = |(m, n): &(Box<str>, Box<str>)| &**m == module && (&**n == ALL || &**n == name);
        self.names.iter().any(named).then(|| (self.make)(ty))
    }
}

impl<T> Clone for Stubs<T> {
    fn clone(&self) -> Self {
        Self {
            names: self.names.clone(),
            make: self.make,
        }
    }
}

fn stub<T: 'static>(ty: &Signature) -> Arc<dyn HostFunction<T>> {
    Arc::new(Stub(ty.clone()))
}

/// A host function of any type, which stops the guest.
struct Stub(Signature);

impl<T: 'static> HostFunction<T> for Stub {
    fn params(&self) -> Types {
        types(&self.0.params)
    }

    fn results(&self) -> Types {
        types(&self.0.results)
    }

    fn define(&self, _: Shape) -> Define<T> {
        let [params, results] = [&self.0.params, &self.0.results].map(|it| FlatCounts::count(it));
        definition(params, results, Shape::Values)
    }

    // Then the guest's allocator gets the same error for it as all other code.
    fn runs_no_guest(&self) -> bool {
        true
    }

    fn call(
        &self,
        _: StoreContextMut<'_, StoreData<T>>,
        _: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>> {
        Err(CallError::Trap(Trap::new(TrapKind::Stub, "")).into())
    }
}

fn types(all: &[ValType]) -> Types {
    Types::collect(|types| all.iter().for_each(|ty| types.push(*ty)))
}
