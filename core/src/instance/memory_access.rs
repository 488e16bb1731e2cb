//! Reading and writing the guest's memory between its calls.

use super::Instance;
use crate::{
    base::fuel::{BASE, fuel_for},
    call::{meter, run},
    error::CallError,
    memory,
};

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
