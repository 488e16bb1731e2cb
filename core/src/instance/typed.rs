//! Functions that are looked up and checked once, for calls at nearly the speed of the interpreter's
//! own.

use super::{Instance, runs::Waits};
use crate::{
    abi::shape::FlatValues,
    call,
    error::CallError,
    module::Signature,
    run::{self, Suspended},
};
use alloc::boxed::Box;
use wasmi::{TypedFunc, TypedResumableCall, ValType, WasmParams, WasmResults};

/// An export of an [`Instance`] from numbers to numbers, looked up and checked once, to be called
/// often. A call is the same as [`Instance::call`], at less cost.
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
    /// Whose it is.
    sandbox: u32,
}

impl<P: WasmParams, R: WasmResults> TypedFunction<P, R> {
    /// Calls it in the instance that it was looked up in.
    ///
    /// # Errors
    ///
    /// As for [`Instance::call`], and [`CallError::OtherInstance`].
    pub fn call<T>(&self, instance: &mut Instance<T>, params: P) -> Result<R, CallError> {
        if instance.sandbox.id() != self.sandbox {
            return Err(CallError::OtherInstance {
                name: self.name.clone(),
            });
        }
        let waits = instance.enter()?;
        let result = self.run(instance, &waits, params);
        let result = result.map_err(|error| error.in_export(&self.name));
        instance.leave(result)
    }

    fn run<T>(&self, instance: &mut Instance<T>, waits: &Waits, params: P) -> Result<R, CallError> {
        let store = &mut instance.sandbox.store;
        run::begin(store)?;
        call::check_time(store.data())?;
        match self.function.call_resumable(&mut *store, params) {
            Ok(TypedResumableCall::Finished(results)) => Ok(results),
            outcome => go_on(instance, waits, outcome),
        }
    }
}

/// Runs what did not end in its first slice to its end.
#[cold]
#[inline(never)]
fn go_on<T, R: WasmResults>(
    instance: &mut Instance<T>,
    waits: &Waits,
    mut outcome: Result<TypedResumableCall<R>, wasmi::Error>,
) -> Result<R, CallError> {
    loop {
        outcome = match outcome {
            Ok(TypedResumableCall::Finished(results)) => return Ok(results),
            Ok(TypedResumableCall::OutOfFuel(paused)) => {
                instance.refuel(waits, paused.required_fuel())?;
                paused.resume(&mut instance.sandbox.store)
            }
            Ok(TypedResumableCall::HostTrap(paused)) => {
                let values = instance.settle(waits, paused.host_error())?;
                paused.resume(&mut instance.sandbox.store, &values)
            }
            Err(error) => return Err(run::stopped(&mut instance.sandbox.store, &error)),
        }
    }
}

impl<T: 'static> Instance<T> {
    /// Hands the guest fuel for its next slice, at least `required`.
    fn refuel(&mut self, waits: &Waits, required: u64) -> Result<(), CallError> {
        self.block(waits, |sandbox, context| {
            run::next_slice(&mut sandbox.store, context, required)
        })
    }

    /// Does what the guest waits for that left by `error`.
    fn settle(&mut self, waits: &Waits, error: &wasmi::Error) -> Result<FlatValues, CallError> {
        let mut suspended = Suspended::take(&mut self.sandbox.store, error)?;
        let mut values = FlatValues::new();
        self.block(waits, |sandbox, context| {
            suspended.poll(&mut sandbox.store, context, &mut values)
        })?;
        Ok(values)
    }

    /// Looks the export `name` up, to be called often.
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`], or [`CallError::ExportType`] where it has another type, or one
    /// with references.
    pub fn typed<P, R>(&self, name: &str) -> Result<TypedFunction<P, R>, CallError>
    where
        P: WasmParams,
        R: WasmResults,
    {
        let found = self.plugin.signature(name)?;
        let expected = Signature::new(P::types().as_ref(), R::types().as_ref());
        let mistyped = || CallError::export_type(name, alloc::format!("{expected}"), &found);
        // References would be to what is in another store, perhaps.
        let mut types = found.params.iter().chain(&found.results);
        if found != expected || !types.all(ValType::is_num) {
            return Err(mistyped());
        }
        let function = self.function(name)?.typed(&self.sandbox.store);
        let function = function.map_err(|_| mistyped())?;
        Ok(TypedFunction {
            name: name.into(),
            function,
            sandbox: self.sandbox.id(),
        })
    }
}
