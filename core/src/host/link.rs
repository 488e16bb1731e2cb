//! Binds host functions to a module's imports, in the shape that each import declares.

use super::{
    Grants, HostFunction,
    define::Define,
    function::{Halt, panicked},
};
use crate::{
    abi::{
        native,
        shape::{FlatValues, Record, Shape, pack, unsigned},
    },
    call::{self, State},
    error::{CallError, Trap, TrapKind},
    marshal::mistyped,
    memory,
    module::{Extern, Import, Signature},
    run::{Suspend, Suspended, Work},
};
use alloc::{boxed::Box, sync::Arc};
use core::cell::Cell;
use wasmi::{AsContextMut, Func, Store, StoreContextMut, Val};

/// A host function, bound to an import, for all instances.
pub(crate) struct Binding<T> {
    function: Arc<dyn HostFunction<T>>,
    define: Define<T>,
    back: Back,
}

/// How results go back to an import.
#[derive(Clone)]
pub(crate) struct Back {
    /// `module.name`, for messages.
    pub(crate) name: Arc<str>,
    shape: Shape,
    /// Size of the results' record in memory, where the shape is [`Shape::Pointer`].
    record: u32,
}

/// Binds the import to what was granted. `None` where that does not fit.
pub(crate) fn bind<T: 'static>(import: &Import, grants: &Grants<T>) -> Option<Arc<Binding<T>>> {
    let Extern::Function(ty) = &import.ty else {
        return None;
    };
    let function = grants.find(&import.module, &import.name)?;
    let results = function.results();
    let shape = native::shape_of(&function.params(), &results, ty)?;
    Some(Arc::new(Binding {
        define: function.define(shape),
        function,
        back: Back {
            name: alloc::format!("{}.{}", import.module, import.name).into(),
            shape,
            record: Record::size(&results.flat),
        },
    }))
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
    back: &'a Back,
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
    pub(crate) fn waits(&self, work: Work) -> Box<Halt> {
        Box::new(Halt::Waits(Suspended {
            work,
            back: self.back.clone(),
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
        guest: &mut StoreContextMut<'_, State<T>>,
        values: &mut FlatValues,
    ) -> Result<(), CallError> {
        self.back.bring(guest, self.called.at, values)?;
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
    /// Makes its function for the instance in `store`; the import has this type.
    pub(crate) fn define(self: &Arc<Self>, store: &mut Store<State<T>>, ty: &Signature) -> Func {
        (self.define)(store, ty, self.clone())
    }

    /// One call by the guest.
    #[inline(never)]
    pub(super) fn call(
        &self,
        mut guest: StoreContextMut<'_, State<T>>,
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
        mut guest: StoreContextMut<'_, State<T>>,
        called: &mut Called<'_>,
    ) -> Result<(), Box<Halt>> {
        let state = guest.data_mut();
        if state.guest.nested && !self.function.runs_no_guest() {
            return Err(stopped(reentered));
        }
        if !state.meter.host_call() {
            let limit = state.meter.budget().host_calls;
            return Err(stopped(|| CallError::HostCalls { limit }));
        }
        let containment = state.shared.containment;
        let slice = call::fuel(&guest);
        let slice = call::charge_slice(&mut guest, slice, call::BASE)?;
        if self.back.shape == Shape::Pointer {
            self.place(&mut guest, called)?;
        }
        let mut call = HostCall {
            called,
            back: &self.back,
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
            call::charge_slice(&mut guest, slice, spent)?;
        }
        done
    }

    /// Finds the place of the results' record, before anything is done for a guest that can't get
    /// it.
    #[inline(never)]
    fn place(
        &self,
        guest: &mut StoreContextMut<'_, State<T>>,
        called: &mut Called<'_>,
    ) -> Result<(), Box<Halt>> {
        if let [Val::I32(record), params @ ..] = called.params {
            called.at = unsigned(*record);
            called.params = params;
        }
        self.back.record(guest, called.at)?;
        Ok(())
    }

    /// What stops a guest, or lets it wait.
    #[cold]
    #[inline(never)]
    fn halted(&self, mut guest: StoreContextMut<'_, State<T>>, halt: Halt) -> wasmi::Error {
        let nested = guest.data().guest.nested;
        let error = match halt {
            // Who waits for it already can't wait for more.
            Halt::Waits(_) if nested => reentered(),
            Halt::Waits(suspended) => {
                *guest.data_mut().suspended.get_mut() = Some(suspended);
                return wasmi::Error::host(Suspend);
            }
            Halt::Error(error) => error,
        };
        error.into_stop().in_import(&self.back.name).into()
    }
}

/// Apart from the rest, for which an error is large.
#[cold]
#[inline(never)]
fn stopped(error: impl FnOnce() -> CallError) -> Box<Halt> {
    error().into()
}

fn reentered() -> CallError {
    CallError::Trap(Trap::new(TrapKind::Reentered, ""))
}

impl Back {
    /// Makes of a host function's values what its import returns; `at` is its record.
    pub(crate) fn bring<T, C>(
        &self,
        cx: &mut C,
        at: u32,
        values: &mut FlatValues,
    ) -> Result<(), CallError>
    where
        C: AsContextMut<Data = State<T>>,
    {
        match self.shape {
            Shape::Values => {}
            Shape::Packed => {
                if let [Val::I32(first), Val::I32(second)] = **values {
                    let packed = pack(unsigned(first), unsigned(second));
                    values.clear();
                    // There is room: it has just been cleared.
                    let _ = values.push(Val::I64(packed.cast_signed()));
                }
            }
            Shape::Pointer => {
                let bytes = self.record(cx, at)?;
                let mut fields = Record::new();
                for value in values.drain(..) {
                    fields
                        .write(bytes, &value)
                        .ok_or_else(|| mistyped("a value with a layout"))?;
                }
            }
        }
        Ok(())
    }

    /// Where the results go in the guest's memory. Looked up anew each time: the guest may have
    /// run, and its memory grown, in between.
    fn record<'c, T, C>(&self, cx: &'c mut C, at: u32) -> Result<&'c mut [u8], CallError>
    where
        T: 'c,
        C: AsContextMut<Data = State<T>>,
    {
        let memory = cx.as_context().data().guest.memory;
        let memory = memory.ok_or_else(|| CallError::MissingExport { name: "memory" })?;
        memory::bytes_mut(
            memory.data_mut(cx.as_context_mut()),
            at,
            self.record,
            "host function's result pointer",
        )
    }
}
