//! Binds host functions to a module's imports, in the shape that each import declares.

use super::{
    HostFunction,
    define::{self, Define},
    function::{Unfinished, panicked},
};
#[cfg(feature = "trace")]
use crate::base::{shape::unpack, signature::ValType};
use crate::{
    base::{
        fuel::{BASE, Spending},
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

/// A host function that is bound to an import, for all instances of a plugin.
pub(crate) struct Binding<T> {
    function: Arc<dyn HostFunction<T>>,
    define: Define<T>,
    result_shape: ResultShape,
}

/// The arguments and results of an import that the guest calls.
pub(super) struct Called<'a> {
    params: &'a [Val],
    /// Address of the results' record, if the shape has one.
    at: u32,
    /// The results, if they are integers of 64 bits at most in all: an i32 in the lower half, two i32
    /// packed.
    pub(super) word: u64,
    /// The results otherwise.
    values: Option<&'a mut [Val]>,
}

impl<'a> Called<'a> {
    /// Returns a call with these arguments, whose results go to `values`, or to the word if that is
    /// `None`.
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
    /// Fuel that was in the store when the guest called.
    slice: u64,
    /// Fuel that the host call has spent and that is not charged yet: when it is done, to the slice and
    /// then to the call's reserve.
    pub(super) spent: Cell<u64>,
}

impl HostCall<'_, '_> {
    /// Returns the fuel that the function may spend. `reserve` is the meter's.
    #[inline(always)]
    pub(crate) const fn spending(&self, reserve: u64) -> Spending<'_> {
        // Can't wrap: both are parts of one budget.
        Spending::new(self.slice.wrapping_add(reserve), &self.spent)
    }

    /// Returns the function's arguments, without the pointer to the results' record.
    pub(crate) const fn params(&self) -> &[Val] {
        self.called.params
    }

    /// Returns the results that were set, of these types. `memory` is the guest's.
    #[cfg(feature = "trace")]
    pub(crate) fn results(&self, memory: &[u8], types: &[ValType]) -> alloc::vec::Vec<Val> {
        let word = self.called.word;
        let pair = |first: u32, second: u32| {
            [first, second]
                .map(|value| Val::I32(value.cast_signed()))
                .into()
        };
        match (self.result_shape.shape, &self.called.values) {
            (Shape::Pointer, _) => {
                let start = usize::try_from(self.called.at).unwrap_or(usize::MAX);
                let record = memory.get(start..).and_then(<[u8]>::first_chunk::<8>);
                match record {
                    // A record of two i32; others are not told.
                    Some([a, b, c, d, e, f, g, h]) if self.result_shape.record == 8 => pair(
                        u32::from_le_bytes([*a, *b, *c, *d]),
                        u32::from_le_bytes([*e, *f, *g, *h]),
                    ),
                    _ => alloc::vec::Vec::new(),
                }
            }
            (Shape::Packed, Some([Val::I64(word)])) => {
                let (first, second) = unpack(word.cast_unsigned());
                pair(first, second)
            }
            (_, Some(values)) => values.to_vec(),
            (_, None) => match (types, unpack(word)) {
                ([ValType::I32], (_, value)) => [Val::I32(value.cast_signed())].into(),
                ([ValType::I64], _) => [Val::I64(word.cast_signed())].into(),
                ([ValType::I32, ValType::I32], (first, second)) => pair(first, second),
                _ => alloc::vec::Vec::new(),
            },
        }
    }

    /// Returns the outcome by which the guest waits for `work`.
    #[cold]
    pub(crate) fn waits(&self, work: Work) -> Box<Unfinished> {
        Box::new(Unfinished::Suspended(Suspended {
            work,
            result_shape: self.result_shape.clone(),
            at: self.called.at,
        }))
    }

    /// Charges what the call has spent so far, before guest code runs.
    #[cfg(feature = "contract")]
    pub(crate) fn settle<T>(
        &self,
        guest: &mut StoreContextMut<'_, StoreData<T>>,
    ) -> Result<(), CallError> {
        meter::charge_slice(guest, self.slice, self.spent.take()).map(drop)
    }

    /// Sets the import's result to a number. It needs no shape: all of them return a single value
    /// directly.
    #[inline]
    pub(crate) fn give_number(&mut self, number: Val) {
        match (&mut self.called.values, number) {
            (Some([result]), number) => *result = number,
            (_, Val::I32(value)) => self.called.word = unsigned(value).into(),
            (_, Val::I64(value)) => self.called.word = value.cast_unsigned(),
            // No other type is defined to return a word; see `define`.
            _ => {}
        }
    }

    /// Sets the import's results, in its shape.
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
            // The record has them all.
            _ => {}
        }
        Ok(())
    }
}

impl<T: 'static> Binding<T> {
    /// Binds `function` to an import that returns its results in `result_shape`.
    pub(crate) fn new(function: Arc<dyn HostFunction<T>>, result_shape: ResultShape) -> Self {
        Self {
            define: function.define(result_shape.shape),
            function,
            result_shape,
        }
    }

    /// Defines the function in `store`, for an import of type `ty`.
    pub(crate) fn define(
        self: &Arc<Self>,
        store: &mut Store<StoreData<T>>,
        ty: &Signature,
    ) -> Func {
        (self.define)(store, ty, self.clone())
    }

    /// Defines the function in `store`, for an import of type `ty` of the linked module number `module`.
    pub(crate) fn define_in_module(
        self: &Arc<Self>,
        store: &mut Store<StoreData<T>>,
        ty: &Signature,
        module: usize,
    ) -> Func {
        define::in_module(store, ty, self.clone(), module)
    }

    /// Runs one call by the guest.
    #[inline(never)]
    pub(super) fn call(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        called: &mut Called<'_>,
    ) -> Result<(), wasmi::Error> {
        match self.charge_and_call(guest.as_context_mut(), called) {
            Ok(()) => Ok(()),
            Err(unfinished) => Err(self.interrupt(guest, *unfinished)),
        }
    }

    /// Checks and charges the call, then runs the function.
    #[inline(always)]
    fn charge_and_call(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        called: &mut Called<'_>,
    ) -> Result<(), Box<Unfinished>> {
        let state = guest.data_mut();
        if state.guest.nested
            && let Some(refusal) = self.function.refusal_when_nested()
        {
            return Err(refusal.into());
        }
        if !state.meter.host_call() {
            let limit = state.meter.budget().host_calls;
            return Err(stopped(|| CallError::HostCalls { limit }));
        }
        let containment = state.shared.containment;
        let slice = meter::fuel(&guest);
        if slice < BASE {
            meter::check_fuel(&mut guest, slice, BASE)?;
        }
        let mut call = HostCall {
            called,
            result_shape: &self.result_shape,
            slice,
            spent: Cell::new(BASE),
        };
        let done = match containment {
            None => self.run(guest.as_context_mut(), &mut call),
            Some(contain) => {
                let mut done = None;
                contain(&mut || {
                    // Only once, even if the embedder's containment calls it again.
                    if done.is_none() {
                        done = Some(self.run(guest.as_context_mut(), &mut call));
                    }
                });
                done.unwrap_or_else(|| Err(stopped(panicked)))
            }
        };
        let spent = call.spent.get();
        if spent > 0 {
            // `slice` still holds, because no guest code has run since. Lowering that runs the guest's
            // allocator charges and clears `spent` before.
            meter::charge_slice(&mut guest, call.slice, spent)?;
        }
        done
    }

    /// Runs the function, with the pointer to the results' record taken off its arguments.
    #[inline(always)]
    fn run(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        call: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>> {
        if self.result_shape.shape == Shape::Pointer {
            self.take_record(&mut guest, call.called)?;
        }
        self.function.call(guest, call)
    }

    /// Takes the pointer to the results' record off the arguments, and checks it before any work is
    /// done for a guest that could not receive the results.
    #[inline(never)]
    fn take_record(
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

    /// Returns the error by which the guest is stopped or suspended.
    #[cold]
    #[inline(never)]
    fn interrupt(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        unfinished: Unfinished,
    ) -> wasmi::Error {
        let nested = guest.data().guest.nested;
        let error = match unfinished {
            // The guest waits for its allocator already, and can wait for one thing only.
            Unfinished::Suspended(_) if nested => reentered(),
            Unfinished::Suspended(suspended) => {
                *guest.data_mut().suspended.get_mut() = Some(suspended);
                return wasmi::Error::host(Suspend);
            }
            Unfinished::Failed(error) => error,
        };
        error
            .into_stop()
            .in_import(&self.result_shape.name)
            .into_wasmi()
    }
}

/// Boxes an error. Not inlined: building the large error would take stack in each host call.
#[cold]
#[inline(never)]
fn stopped(error: impl FnOnce() -> CallError) -> Box<Unfinished> {
    error().into()
}

/// Returns the trap for a host call inside `allocate`.
pub(super) fn reentered() -> CallError {
    CallError::Trap(Trap::new(TrapKind::Reentered, ""))
}
