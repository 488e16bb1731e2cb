//! Binds host functions to a module's imports, in the shape that each import declares.

use super::HostFunction;
use crate::{
    abi::shape::{FlatValues, Record, Shape, pack, unpack, unsigned},
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
                binding.call_words(&mut guest, &[$(Val::I32($param)),*]).map($result)
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
    let all = |params: &[ValType]| params.iter().all(|param| *param == ValType::I32);
    if ty.params.len() <= 6 && all(&ty.params) {
        match &*ty.results {
            [] => {
                wrap_any!(|_| ());
                return Ok(());
            }
            [ValType::I32] => {
                wrap_any!(|word| unpack(word).1);
                return Ok(());
            }
            [ValType::I64] => {
                wrap_any!(|word| word);
                return Ok(());
            }
            [ValType::I32, ValType::I32] => {
                wrap_any!(unpack);
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

impl<T: 'static> Binding<T> {
    /// One call by the guest, whose results are integers of 64 bits at most: an i32 in the lower
    /// half, two i32 as they are packed.
    #[inline(never)]
    fn call_words(
        &self,
        guest: &mut Caller<'_, State<T>>,
        params: &[Val],
    ) -> Result<u64, wasmi::Error> {
        let mut values = FlatValues::new();
        self.call(guest, params, &mut values)?;
        match *values {
            [] => Ok(0),
            [Val::I32(value)] => Ok(unsigned(value).into()),
            [Val::I64(value)] => Ok(value.cast_unsigned()),
            [Val::I32(first), Val::I32(second)] => Ok(pack(unsigned(first), unsigned(second))),
            _ => Err(CallError::BadValue {
                expected: "other results",
                found: 0,
            }
            .into()),
        }
    }

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
