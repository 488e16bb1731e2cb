//! Binds host functions to a module's imports, in the shape that each import declares.

use super::{
    HostFunction,
    define::Define,
    function::{Unfinished, panicked},
};
use crate::{
    base::{
        fuel::BASE,
        shape::{FlatValues, Shape, pack, unsigned},
        signature::Signature,
    },
    call::{
        StoreData, meter,
        result_shape::ResultShape,
        suspend::{Suspend, Suspended, Work},
    },
    error::{CallError, Trap, TrapKind},
};
use alloc::{boxed::Box, sync::Arc};
use core::cell::Cell;
use wasmi::{AsContextMut, Func, Store, StoreContextMut, Val};

/// A host function, bound to an import, for all instances.
pub(crate) struct Binding<T> {
    function: Arc<dyn HostFunction<T>>,
    define: Define<T>,
    result_shape: ResultShape,
}

/// An import that the guest calls.
pub(super) struct Called<'a> {
    params: &'a [Val],
    /// Where the results' record is, where the shape has one.
    at: u32,
    /// What it returns, where that is integers of 64 bits at most: an i32 in the lower half, two
    /// i32 as they are packed.
    pub(super) word: u64,
    /// The same as values, where it is more.
    values: Option<&'a mut [Val]>,
}

impl<'a> Called<'a> {
    #[inline(always)]
    pub(super) const fn new(params: &'a [Val], values: Option<&'a mut [Val]>) -> Self {
        Self {
            params,
            at: 0,
            word: 0,
            values,
        }
    }
}

/// One call of a host function.
pub(crate) struct HostCall<'a, 'p> {
    called: &'a mut Called<'p>,
    result_shape: &'a ResultShape,
    /// The fuel of the slice that runs, and what of it, and of the call's other fuel, lifting and
    /// the closure have spent: charged when they are done.
    pub(super) slice: u64,
    pub(super) spent: Cell<u64>,
}

impl HostCall<'_, '_> {
    /// What the function takes.
    pub(crate) const fn params(&self) -> &[Val] {
        self.called.params
    }

    /// The guest has to wait for `work`.
    #[cold]
    pub(crate) fn waits(&self, work: Work) -> Box<Unfinished> {
        Box::new(Unfinished::Suspended(Suspended {
            work,
            result_shape: self.result_shape.clone(),
            at: self.called.at,
        }))
    }

    /// Gives the import its result, a number, which comes in no shape but itself.
    #[inline]
    pub(crate) fn give_number(&mut self, number: Val) {
        match (&mut self.called.values, number) {
            (Some([result]), number) => *result = number,
            (_, Val::I32(value)) => self.called.word = unsigned(value).into(),
            (_, Val::I64(value)) => self.called.word = value.cast_unsigned(),
            _ => {}
        }
    }

    /// Gives the import its results, in its shape.
    pub(super) fn give<T>(
        &mut self,
        guest: &mut StoreContextMut<'_, StoreData<T>>,
        values: &mut FlatValues,
    ) -> Result<(), CallError> {
        self.result_shape.encode(guest, self.called.at, values)?;
        match (&mut self.called.values, &**values) {
            (_, [number]) => self.give_number(number.clone()),
            (Some(results), values) => {
                for (result, value) in results.iter_mut().zip(values) {
                    *result = value.clone();
                }
            }
            (None, [Val::I32(first), Val::I32(second)]) => {
                self.called.word = pack(unsigned(*first), unsigned(*second));
            }
            _ => {}
        }
        Ok(())
    }
}

impl<T: 'static> Binding<T> {
    pub(crate) fn new(function: Arc<dyn HostFunction<T>>, result_shape: ResultShape) -> Self {
        Self {
            define: function.define(result_shape.shape),
            function,
            result_shape,
        }
    }

    /// Makes its function for the instance in `store`; the import has this type.
    pub(crate) fn define(
        self: &Arc<Self>,
        store: &mut Store<StoreData<T>>,
        ty: &Signature,
    ) -> Func {
        (self.define)(store, ty, self.clone())
    }

    /// One call by the guest.
    #[inline(never)]
    pub(super) fn call(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        called: &mut Called<'_>,
    ) -> Result<(), wasmi::Error> {
        match self.exchange(guest.as_context_mut(), called) {
            Ok(()) => Ok(()),
            Err(halt) => Err(self.halted(guest, *halt)),
        }
    }

    /// Charged, lifted, run, lowered, in the import's shape.
    #[inline(always)]
    fn exchange(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        called: &mut Called<'_>,
    ) -> Result<(), Box<Unfinished>> {
        let state = guest.data_mut();
        if state.guest.nested && !self.function.runs_no_guest() {
            return Err(stopped(reentered));
        }
        if !state.meter.host_call() {
            let limit = state.meter.budget().host_calls;
            return Err(stopped(|| CallError::HostCalls { limit }));
        }
        let containment = state.shared.containment;
        let slice = meter::fuel(&guest);
        let slice = meter::charge_slice(&mut guest, slice, BASE)?;
        if self.result_shape.shape == Shape::Pointer {
            self.place(&mut guest, called)?;
        }
        let mut call = HostCall {
            called,
            result_shape: &self.result_shape,
            slice,
            spent: Cell::new(0),
        };
        let done = match containment {
            None => self.function.call(guest.as_context_mut(), &mut call),
            Some(contain) => {
                let mut done = None;
                contain(&mut || {
                    // Once, however often a containment calls it.
                    if done.is_none() {
                        done = Some(self.function.call(guest.as_context_mut(), &mut call));
                    }
                });
                done.unwrap_or_else(|| Err(stopped(panicked)))
            }
        };
        let spent = call.spent.get();
        if spent > 0 {
            // No guest has run since: where its allocator has to, what was spent is charged before.
            meter::charge_slice(&mut guest, slice, spent)?;
        }
        done
    }

    /// Finds the place of the results' record, before anything is done for a guest that can't get
    /// it.
    #[inline(never)]
    fn place(
        &self,
        guest: &mut StoreContextMut<'_, StoreData<T>>,
        called: &mut Called<'_>,
    ) -> Result<(), Box<Unfinished>> {
        if let [Val::I32(record), params @ ..] = called.params {
            called.at = unsigned(*record);
            called.params = params;
        }
        self.result_shape.record(guest, called.at)?;
        Ok(())
    }

    /// What stops a guest, or lets it wait.
    #[cold]
    #[inline(never)]
    fn halted(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        halt: Unfinished,
    ) -> wasmi::Error {
        let nested = guest.data().guest.nested;
        let error = match halt {
            // Who waits for it already can't wait for more.
            Unfinished::Suspended(_) if nested => reentered(),
            Unfinished::Suspended(suspended) => {
                *guest.data_mut().suspended.get_mut() = Some(suspended);
                return wasmi::Error::host(Suspend);
            }
            Unfinished::Failed(error) => error,
        };
        error.into_stop().in_import(&self.result_shape.name).into()
    }
}

/// Apart from the rest, for which an error is large.
#[cold]
#[inline(never)]
fn stopped(error: impl FnOnce() -> CallError) -> Box<Unfinished> {
    error().into()
}

fn reentered() -> CallError {
    CallError::Trap(Trap::new(TrapKind::Reentered, ""))
}
