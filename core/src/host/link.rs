//! Binds host functions to a module's imports, in the shape that each import declares.

use super::HostFunction;
use crate::{
    abi::shape::{FlatValues, Record, Shape, pack, unsigned},
    call::{self, State},
    error::{CallError, Trap, TrapKind},
    memory,
    module::{Import, Signature},
    run::{Suspend, Suspended},
};
use alloc::sync::Arc;
use wasmi::{AsContextMut, Caller, FuncType, Linker, Val, ValType, errors::LinkerError};

/// A host function, bound to an import.
struct Binding<T> {
    function: Arc<dyn HostFunction<T>>,
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

/// Defines `function` under the import's name.
pub(crate) fn link<T: 'static>(
    linker: &mut Linker<State<T>>,
    import: &Import,
    ty: &Signature,
    function: Arc<dyn HostFunction<T>>,
    shape: Shape,
) -> Result<(), LinkerError> {
    let back = Back {
        name: alloc::format!("{}.{}", import.module, import.name).into(),
        shape,
        record: Record::size(&function.results().flat),
    };
    let binding = Binding { function, back };
    let (module, name) = (&*import.module, &*import.name);

    /// Defines a function of i32 parameters alone, which wasmi calls without an allocation.
    macro_rules! wrap {
        ($result:expr $(, $param:ident)*) => {
            linker.func_wrap(module, name, move |mut guest: Caller<'_, State<T>> $(, $param: i32)*| {
                let mut values = FlatValues::new();
                binding.call(&mut guest, &[$(Val::I32($param)),*], &mut values)?;
                $result(&values)
            })?
        };
    }
    /// Picks by the number of parameters.
    macro_rules! wrap_any {
        ($result:expr) => {
            match ty.params.len() {
                0 => wrap!($result),
                1 => wrap!($result, a),
                2 => wrap!($result, a, b),
                3 => wrap!($result, a, b, c),
                4 => wrap!($result, a, b, c, d),
                5 => wrap!($result, a, b, c, d, e),
                _ => wrap!($result, a, b, c, d, e, f),
            }
        };
    }
    if ty.params.len() <= 6 && ty.params.iter().all(|param| *param == ValType::I32) {
        match &*ty.results {
            [] => {
                wrap_any!(|_: &FlatValues| Ok(()));
                return Ok(());
            }
            [ValType::I32] => {
                wrap_any!(|values: &FlatValues| i32_at(values, 0));
                return Ok(());
            }
            [ValType::I64] => {
                wrap_any!(i64_of);
                return Ok(());
            }
            [ValType::I32, ValType::I32] => {
                wrap_any!(|values: &FlatValues| Ok((i32_at(values, 0)?, i32_at(values, 1)?)));
                return Ok(());
            }
            _ => {}
        }
    }
    let ty = FuncType::new(ty.params.iter().copied(), ty.results.iter().copied());
    linker.func_new(module, name, ty, move |mut guest, params, results| {
        let mut values = FlatValues::new();
        binding.call(&mut guest, params, &mut values)?;
        for (result, value) in results.iter_mut().zip(&values) {
            *result = value.clone();
        }
        Ok(())
    })?;
    Ok(())
}

fn i32_at(values: &FlatValues, at: usize) -> Result<i32, wasmi::Error> {
    match values.get(at) {
        Some(Val::I32(value)) => Ok(*value),
        _ => Err(CallError::BadValue {
            expected: "an i32 result",
            found: 0,
        }
        .into()),
    }
}

fn i64_of(values: &FlatValues) -> Result<i64, wasmi::Error> {
    match values.first() {
        Some(Val::I64(value)) => Ok(*value),
        _ => Err(CallError::BadValue {
            expected: "an i64 result",
            found: 0,
        }
        .into()),
    }
}

impl<T: 'static> Binding<T> {
    /// One call by the guest.
    fn call(
        &self,
        guest: &mut Caller<'_, State<T>>,
        params: &[Val],
        values: &mut FlatValues,
    ) -> Result<(), wasmi::Error> {
        match self.exchange(guest, params, values) {
            Ok(None) => Ok(()),
            Ok(Some(suspended)) => {
                *guest.data_mut().suspended.get_mut() = Some(suspended);
                Err(wasmi::Error::host(Suspend))
            }
            Err(error) => Err(error.into_stop().in_import(&self.back.name).into()),
        }
    }

    /// Charged, lifted, run, lowered, in the import's shape; or what the guest has to wait for.
    fn exchange(
        &self,
        guest: &mut Caller<'_, State<T>>,
        params: &[Val],
        values: &mut FlatValues,
    ) -> Result<Option<Suspended>, CallError> {
        let state = guest.data_mut();
        let nested = state.guest.nested;
        let reentered = || CallError::Trap(Trap::new(TrapKind::Reentered, ""));
        if nested && !self.function.runs_no_guest() {
            return Err(reentered());
        }
        state.meter.host_call()?;
        let memory = state.guest.memory;
        call::charge(guest, call::BASE)?;
        let (at, params) = match (self.back.shape, params) {
            (Shape::Pointer, [Val::I32(record), params @ ..]) => (unsigned(*record), params),
            (_, params) => (0, params),
        };
        if self.back.shape == Shape::Pointer {
            // Before anything is done for a guest that can't get it.
            self.back.record(guest, at)?;
        }
        if let Some(work) = self.function.call(guest, memory, params, values)? {
            if nested {
                // Who waits for it already can't wait for more.
                return Err(reentered());
            }
            let back = self.back.clone();
            return Ok(Some(Suspended { work, back, at }));
        }
        self.back.bring(guest, at, values)?;
        Ok(None)
    }
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
                        .ok_or_else(|| CallError::BadValue {
                            expected: "a value with a layout",
                            found: 0,
                        })?;
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
