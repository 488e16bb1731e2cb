//! Reading and writing the guest's memory between its calls.

use super::Instance;
#[cfg(feature = "profile")]
use crate::base::value::Value;
use crate::{
    base::fuel::{BASE, fuel_for},
    call::{meter, run},
    error::CallError,
    memory,
};
#[cfg(feature = "profile")]
use alloc::vec::Vec;
#[cfg(feature = "profile")]
use wasmi::Val;

/// The names of the ranges, for messages.
const READ: &str = "range to read";
const WRITTEN: &str = "range to write";

impl<T: 'static> Instance<T> {
    /// Returns `len` bytes of the guest's memory from the address `ptr` on. With
    /// [`write_memory`](Self::write_memory) and calls of exports over numbers, an embedder speaks an ABI of
    /// its own with the guest.
    ///
    /// Counts as a call, with a [budget](Self::set_budget) of its own: it costs 20 units of fuel and one for
    /// each 64 bytes.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
    /// #   (func (export "alloc") (param i32) (result i32) (i32.const 64))
    /// #   (func (export "shout") (param $ptr i32) (param i32)
    /// #     (i32.store8 (local.get $ptr) (i32.xor (i32.load8_u (local.get $ptr)) (i32.const 32)))))"#)?;
    /// use hostel_core::{Engine, Grants};
    /// let plugin = Engine::default().load("m", &wasm, &Grants::new())?;
    /// let mut instance = plugin.instantiate(())?;
    /// let ptr = instance.call::<(u32,), u32>("alloc", (5,))?;
    /// instance.write_memory(ptr, b"hello")?;
    /// instance.call::<(u32, u32), ()>("shout", (ptr, 5))?;
    /// assert_eq!(instance.read_memory(ptr, 5)?, b"Hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallError::OutOfBounds`] if the bytes lie outside the memory, [`CallError::OutputTooLarge`] if they
    /// are more than [`Budget::output_bytes`](crate::Budget::output_bytes), [`CallError::MissingExport`] if the
    /// plugin exports no memory, and [`CallError::Stopped`] after a call that stopped the guest.
    pub fn read_memory(&mut self, ptr: u32, len: u32) -> Result<&[u8], CallError> {
        let _entered = self.begin_call()?;
        let limit = self.sandbox.store.data().meter.budget().output_bytes;
        let too_large = |found| CallError::OutputTooLarge { limit, found };
        let charged = self.charge_range(ptr, len, READ, limit, too_large);
        self.end_call(charged)?;
        memory::bytes(self.memory()?, ptr, len, READ)
    }

    /// Writes `bytes` to the guest's memory from the address `ptr` on. Write only where the guest expects it,
    /// such as to a buffer from its allocator. Counts as a call, as [`read_memory`](Self::read_memory) does.
    ///
    /// # Errors
    ///
    /// As for [`read_memory`](Self::read_memory), but [`CallError::InputTooLarge`] if the bytes are more than
    /// [`Budget::input_bytes`](crate::Budget::input_bytes). With any error, nothing was written.
    pub fn write_memory(&mut self, ptr: u32, bytes: &[u8]) -> Result<(), CallError> {
        let _entered = self.begin_call()?;
        let limit = self.sandbox.store.data().meter.budget().input_bytes;
        let too_large = |found| CallError::InputTooLarge { limit, found };
        // A length that does not fit lies outside each memory.
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let charged = self.charge_range(ptr, len, WRITTEN, limit, too_large);
        self.end_call(charged)?;
        let store = &mut self.sandbox.store;
        let Some(memory) = store.data().guest.memory else {
            return Err(NO_MEMORY);
        };
        memory::bytes_mut(memory.data_mut(store), ptr, len, WRITTEN)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Returns all of the guest's memory, and the values of the globals that it can change, each with its index in the
    /// module; `None` for a vector or a reference. It works after a trap too, for a debugger. Of a plugin of several
    /// modules, it is the state of the first; of a component, there is none.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
    /// #   (global i32 (i32.const 1)) (global $n (mut i64) (i64.const 0))
    /// #   (func (export "f") (global.set $n (i64.const 7)) unreachable))"#)?;
    /// use hostel_core::{Engine, Grants, Value};
    /// let plugin = Engine::default().load("m", &wasm, &Grants::new())?;
    /// let mut instance = plugin.instantiate(())?;
    /// assert!(instance.call::<(), ()>("f", ()).is_err());
    /// let (memory, globals) = instance.memory_and_globals();
    /// assert_eq!((memory.len(), globals), (65_536, vec![(1, Some(Value::I64(7)))]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "profile")]
    pub fn memory_and_globals(&mut self) -> (&[u8], Vec<(u32, Option<Value>)>) {
        let indices = self.loaded.info.changes.changing_globals().iter();
        let (store, mutable) = self.sandbox.mutable_state();
        let values = mutable.values(store).map(|value| match value {
            Val::I32(value) => Some(Value::I32(value)),
            Val::I64(value) => Some(Value::I64(value)),
            Val::F32(value) => Some(Value::F32(value.to_float())),
            Val::F64(value) => Some(Value::F64(value.to_float())),
            _ => None,
        });
        let globals = indices.copied().zip(values).collect();
        (mutable.memory(store).unwrap_or_default(), globals)
    }

    /// Checks a range of the memory, and charges for it.
    fn charge_range(
        &mut self,
        ptr: u32,
        len: u32,
        what: &'static str,
        limit: usize,
        too_large: impl FnOnce(usize) -> CallError,
    ) -> Result<(), CallError> {
        let found = memory::bytes(self.memory()?, ptr, len, what)?.len();
        if found > limit {
            return Err(too_large(found));
        }
        let store = &mut self.sandbox.store;
        run::begin(store, BASE.saturating_add(fuel_for(found)))?;
        meter::check_time(store.data())
    }

    /// Returns the guest's memory.
    fn memory(&self) -> Result<&[u8], CallError> {
        let store = &self.sandbox.store;
        let memory = store.data().guest.memory.ok_or(NO_MEMORY)?;
        Ok(memory.data(store))
    }
}

/// The error of a plugin without a memory that the host can reach.
const NO_MEMORY: CallError = CallError::MissingExport { name: "memory" };
