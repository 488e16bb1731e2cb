//! How a host function's results go back to the import that the guest called.

use super::StoreData;
use crate::{
    base::shape::{FlatValues, Record, Shape, pack, unsigned},
    error::CallError,
    marshal::mistyped,
    memory,
};
use alloc::sync::Arc;
use wasmi::{AsContextMut, Val};

/// How results go back to an import.
#[derive(Clone)]
pub(crate) struct ResultShape {
    /// `module.name`, for messages.
    pub(crate) name: Arc<str>,
    pub(crate) shape: Shape,
    /// Size of the results' record in memory, where the shape is [`Shape::Pointer`].
    pub(crate) record: u32,
}

impl ResultShape {
    /// Makes of a host function's values what its import returns; `at` is its record.
    pub(crate) fn bring<T, C>(
        &self,
        cx: &mut C,
        at: u32,
        values: &mut FlatValues,
    ) -> Result<(), CallError>
    where
        C: AsContextMut<Data = StoreData<T>>,
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
    pub(crate) fn record<'c, T, C>(&self, cx: &'c mut C, at: u32) -> Result<&'c mut [u8], CallError>
    where
        T: 'c,
        C: AsContextMut<Data = StoreData<T>>,
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
