//! Returns a host function's results to the import that the guest called.

use super::StoreData;
use crate::{
    base::shape::{FlatValues, Record, Shape, pack, unsigned},
    error::CallError,
    marshal::mistyped,
    memory,
};
use alloc::sync::Arc;
use wasmi::{AsContextMut, Val};

/// The shape in which an import returns its results.
#[derive(Clone)]
pub(crate) struct ResultShape {
    /// The import as `module.name`, for messages.
    pub(crate) name: Arc<str>,
    pub(crate) shape: Shape,
    /// Size of the results' record in memory, in bytes, if the shape is [`Shape::Pointer`].
    pub(crate) record: u32,
}

impl ResultShape {
    /// Converts a host function's values in place to those that its import returns. Writes them to
    /// the record at `at` if the shape has one.
    pub(crate) fn encode<T, C>(
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
                    // It fits: the list has just been cleared.
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

    /// Returns the bytes of the record at `at` in the guest's memory. Look it up anew for each use:
    /// the guest may run in between and grow its memory.
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
