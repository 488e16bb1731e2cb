//! [`TypedFunction`]: an export that is looked up and checked once, then called at nearly the speed of
//! the interpreter's own calls.

use super::{Instance, Loaded};
use crate::{
    base::{
        fuel::BASE,
        signature::{Signature, ValType},
    },
    call::{
        meter,
        paused::{Paused, settle},
        run,
    },
    error::CallError,
};
use alloc::boxed::Box;
use wasmi::{TypedFunc, TypedResumableCall};

/// An export of one [`Instance`], from numbers to numbers, looked up and checked once. A call behaves
/// as [`Instance::call`] and charges the same fuel, but takes less time: use it for exports that
/// are called often.
///
/// `P` and `R` are core values: `i32`, `u32`, `i64`, `u64`, `f32`, `f64`, and tuples of these.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module
/// #   (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#)?;
/// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::new())?;
/// let mut instance = plugin.instantiate(())?;
/// let add = instance.typed::<(u32, u32), u32>("add")?;
/// let sum = (1..=10).try_fold(0, |sum, n| add.call(&mut instance, (sum, n)))?;
/// assert_eq!(sum, 55);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TypedFunction<P, R> {
    name: Box<str>,
    function: TypedFunc<P, R>,
    /// The number of the sandbox that it belongs to.
    sandbox: u32,
}

impl<P: Numbers, R: Numbers> TypedFunction<P, R> {
    /// Calls the function. `instance` must be the one that [`Instance::typed`] was called on.
    ///
    /// # Errors
    ///
    /// As for [`Instance::call`], and [`CallError::OtherInstance`] if `instance` is another one;
    /// then nothing has run.
    pub fn call<T>(&self, instance: &mut Instance<T>, params: P) -> Result<R, CallError> {
        if instance.sandbox.id() != self.sandbox {
            return Err(CallError::OtherInstance {
                name: self.name.clone(),
            });
        }
        instance.call_function(&self.name, self.function, params)
    }
}

/// Numbers that a [`TypedFunction`] takes or returns: `i32`, `u32`, `i64`, `u64`, `f32`, `f64`, and
/// tuples of up to 16 of them, the empty one included. Implemented for these types only.
pub trait Numbers: sealed::Numbers + 'static {}

impl<N: sealed::Numbers + 'static> Numbers for N {}

mod sealed {
    use wasmi::{WasmParams, WasmResults};

    pub trait Numbers: WasmParams + WasmResults {}

    impl<N: WasmParams + WasmResults> Numbers for N {}
}

/// Converts wasmi's types.
fn own(types: &[wasmi::ValType]) -> Box<[ValType]> {
    types.iter().map(|ty| ValType::of_wasmi(*ty)).collect()
}

/// Runs a call that did not end in its first slice to its end.
#[cold]
#[inline(never)]
fn run_remaining<T, R: Numbers>(
    instance: &mut Instance<T>,
    outcome: Result<TypedResumableCall<R>, wasmi::Error>,
) -> Result<R, CallError> {
    let mut paused = None;
    match settle(&mut instance.sandbox.store, outcome, &mut paused)? {
        Some(results) => Ok(results),
        None => instance
            .block(|sandbox, context| Paused::poll(&mut paused, &mut sandbox.store, context)),
    }
}

impl<T: 'static> Instance<T> {
    /// Looks up the export `name` and checks its type, for calls that skip both.
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`] if no function has this name; [`CallError::ExportType`] if its
    /// type differs, or contains references.
    pub fn typed<P, R>(&self, name: &str) -> Result<TypedFunction<P, R>, CallError>
    where
        P: Numbers,
        R: Numbers,
    {
        self.loaded.typed_export::<P, R>(name)?;
        let function = self.function(name)?.typed(&self.sandbox.store);
        Ok(TypedFunction {
            name: name.into(),
            // Can't fail: its type has just been compared.
            function: function.map_err(|_| self.loaded.unknown_export(name))?,
            sandbox: self.sandbox.id(),
        })
    }

    /// Calls the export `name` of this number, whose type was compared with `P` and `R`.
    pub(crate) fn call_typed_export<P, R>(
        &mut self,
        export: usize,
        name: &str,
        params: P,
    ) -> Result<R, CallError>
    where
        P: Numbers,
        R: Numbers,
    {
        let function = self.sandbox.prepared(export, |store, instance| {
            instance.get_typed_func(store, name).ok()
        });
        let function = function.ok_or_else(|| self.loaded.unknown_export(name))?;
        self.call_function(name, function, params)
    }

    /// Calls `function`, the export `name`.
    #[inline]
    fn call_function<P, R>(
        &mut self,
        name: &str,
        function: TypedFunc<P, R>,
        params: P,
    ) -> Result<R, CallError>
    where
        P: Numbers,
        R: Numbers,
    {
        let _entered = self.begin_call_here()?;
        let result = self.run_function(name, function, params);
        let result = result.map_err(|error| error.in_export(name));
        self.end_call_here(result)
    }

    /// Runs the first slice of `function`, and the others if the call did not end in it.
    #[inline]
    fn run_function<P, R>(
        &mut self,
        name: &str,
        function: TypedFunc<P, R>,
        params: P,
    ) -> Result<R, CallError>
    where
        P: Numbers,
        R: Numbers,
    {
        let store = &mut self.sandbox.store;
        run::begin(store, BASE)?;
        meter::check_time(store.data())?;
        if self.sandbox.command_pending {
            self.run_pending_command(name)?;
        }
        let store = &mut self.sandbox.store;
        match function.call_resumable(&mut *store, params) {
            Ok(TypedResumableCall::Finished(results)) => Ok(results),
            outcome => run_remaining(self, outcome),
        }
    }
}

impl<T> Loaded<T> {
    /// Returns the number of the exported function `name` if it takes `P` and returns `R`.
    pub(crate) fn typed_export<P, R>(&self, name: &str) -> Result<usize, CallError>
    where
        P: Numbers,
        R: Numbers,
    {
        let (export, found) = self.function(name)?;
        let expected = Signature {
            params: own(P::types().as_ref()),
            results: own(R::types().as_ref()),
        };
        // A reference may come from another store, on which wasmi panics.
        let mut types = found.params.iter().chain(&found.results);
        if *found != expected || !types.all(ValType::is_num) {
            let expected = alloc::format!("{expected}");
            return Err(CallError::export_type(name, expected, found));
        }
        Ok(export)
    }
}
