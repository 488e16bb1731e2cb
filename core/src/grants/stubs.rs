//! Stubs: imports that are supplied by their name alone, and stop the guest if it calls them.

#[cfg(feature = "component")]
use crate::component::contract;
use crate::{
    abi::native,
    base::{shape::Shape, signature::Signature},
    call::StoreData,
    error::{CallError, Trap, TrapKind},
    host_functions::{Define, HostCall, HostFunction, Unfinished, definition},
    marshal::{FlatCounts, Types},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use wasmi::StoreContextMut;

/// The name that stands for every function of a module.
const ALL: &str = "*";

/// Returns whether a stub's module is that of an import.
fn stands_for(stubbed: &str, module: &str) -> bool {
    #[cfg(feature = "component")]
    if contract::names(stubbed, module) {
        return true;
    }
    stubbed == module
}

/// The imports that are stubbed, and the function that stubs one. By pointer, so that a program that
/// stubs nothing links none of this.
pub(super) struct Stubs<T> {
    names: Vec<(Box<str>, Box<str>)>,
    stub: Choose<T>,
}

/// Returns the function for an import of this module, name and type, for which grants supply `found`.
type Choose<T> = fn(&Stubs<T>, Found<T>, &str, &str, &Signature) -> Found<T>;
type Found<T> = Option<Arc<dyn HostFunction<T>>>;

impl<T: 'static> Stubs<T> {
    pub(super) const fn new() -> Self {
        Self {
            names: Vec::new(),
            stub: Self::stub,
        }
    }

    /// Adds an import; all functions of the module if `name` is `*`.
    pub(super) fn add(&mut self, module: &str, name: &str) {
        self.names.push((module.into(), name.into()));
    }

    /// Returns whether the import is stubbed. An interface's version may be left out of the stub, or be a compatible
    /// one.
    pub(super) fn has(&self, module: &str, name: &str) -> bool {
        let mut names = self.names.iter();
        names.any(|(m, n)| stands_for(m, module) && (&**n == ALL || &**n == name))
    }

    /// Returns the function for an import for which grants supply `found`.
    pub(super) fn choose(
        &self,
        found: Found<T>,
        module: &str,
        name: &str,
        ty: &Signature,
    ) -> Found<T> {
        (self.stub)(self, found, module, name, ty)
    }

    /// Returns a stub if the import is stubbed, and `found` does not fit its type.
    fn stub(&self, found: Found<T>, module: &str, name: &str, ty: &Signature) -> Found<T> {
        let fits = |function: &Arc<dyn HostFunction<T>>| {
            native::shape_of(&function.params(), &function.results(), ty).is_some()
        };
        if found.as_ref().is_some_and(fits) || !self.has(module, name) {
            return found;
        }
        Some(Arc::new(Stub(ty.clone())))
    }
}

impl<T> Clone for Stubs<T> {
    fn clone(&self) -> Self {
        Self {
            names: self.names.clone(),
            stub: self.stub,
        }
    }
}

/// A host function of any type, which stops the guest.
struct Stub(Signature);

impl<T: 'static> HostFunction<T> for Stub {
    fn params(&self) -> Types {
        Types::of_any()
    }

    fn results(&self) -> Types {
        Types::of_any()
    }

    fn define(&self, _: Shape) -> Define<T> {
        let [params, results] = [&self.0.params, &self.0.results].map(|it| FlatCounts::count(it));
        definition(params, results, Shape::Values)
    }

    // Then the guest's allocator gets the same error for it as all other code.
    fn refusal_when_nested(&self) -> Option<CallError> {
        None
    }

    fn call(
        &self,
        _: StoreContextMut<'_, StoreData<T>>,
        _: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>> {
        Err(CallError::Trap(Trap::new(TrapKind::Stub, "")).into())
    }
}
