//! The calling instance as a host function sees it.

use crate::{
    base::fuel::{Spending, fuel_for},
    call::{Shared, meter::Meter},
    error::{CallError, Trap, TrapKind},
    memory,
};
use alloc::format;

/// The calling instance, as a host function sees it: its data, its plugin's name, its fuel and its memory.
///
/// A closure that takes `&mut Context<'_, T>` as its first parameter receives it.
///
/// ```
/// use hostel_core::{Context, Grants, Trap};
/// let grants = Grants::<Vec<String>>::with_data().function(
///     "shop",
///     "order",
///     |context: &mut Context<'_, Vec<String>>, article: &str| -> Result<u32, Trap> {
///         context.charge(500)?; // pays for the order's work
///         context.data_mut().push(article.to_owned());
///         Ok(context.data().len() as u32)
///     },
/// );
/// # drop(grants);
/// ```
pub struct Context<'a, T> {
    pub(super) data: &'a mut T,
    pub(super) shared: &'a Shared,
    pub(super) meter: &'a mut Meter,
    pub(super) spending: Spending<'a>,
    pub(super) memory: GuestMemory<'a>,
}

/// The guest's memory; no bytes if it exports none.
pub(super) enum GuestMemory<'a> {
    /// The function's parameters borrow from it.
    Lent(&'a [u8]),
    Whole(&'a mut [u8]),
}

impl<'a, T> Context<'a, T> {
    /// Returns the context of a host function that has nothing to do with the guest's memory.
    #[cfg(feature = "contract")]
    pub(crate) const fn without_memory(
        data: &'a mut T,
        shared: &'a Shared,
        meter: &'a mut Meter,
        spending: Spending<'a>,
    ) -> Self {
        Self {
            data,
            shared,
            meter,
            spending,
            memory: GuestMemory::Lent(&[]),
        }
    }

    /// Returns the instance's data.
    #[must_use]
    pub fn data(&self) -> &T {
        self.data
    }

    /// Returns the instance's data for changing it.
    pub fn data_mut(&mut self) -> &mut T {
        self.data
    }

    /// Returns the name under which the embedder loaded the plugin.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.shared.name
    }

    /// Charges the call `fuel` units, on top of the base charge and that for the arguments. Call it
    /// before the work.
    ///
    /// # Errors
    ///
    /// A trap if the call has less fuel left. Return it: the call then ends with
    /// [`OutOfFuel`](crate::CallError::OutOfFuel), also if you don't.
    pub fn charge(&mut self, fuel: u64) -> Result<(), Trap> {
        self.spend(fuel)
    }

    /// Returns `len` bytes of the guest's memory from the address `ptr` on. Use it for pointers and
    /// lengths that the guest passes as numbers or keeps in its memory. Charges one unit of fuel for each 64
    /// bytes.
    ///
    /// # Errors
    ///
    /// A trap if the bytes lie outside the guest's memory, if they are more than
    /// [`Budget::argument_bytes`](crate::Budget::argument_bytes), or if the call has too little fuel left.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module
    /// #   (import "proxy" "reverse" (func $reverse (param i32 i32)))
    /// #   (memory (export "memory") 1) (data (i32.const 8) "abc")
    /// #   (func (export "f") (result i32) (call $reverse (i32.const 8) (i32.const 3))
    /// #     (i32.load8_u (i32.const 8))))"#)?;
    /// use hostel_core::{Context, Engine, Grants, Trap};
    /// let grants = Grants::new().function(
    ///     "proxy",
    ///     "reverse",
    ///     |context: &mut Context<'_, ()>, ptr: u32, len: u32| -> Result<(), Trap> {
    ///         let mut bytes = context.read(ptr, len)?.to_vec();
    ///         bytes.reverse();
    ///         context.write(ptr, &bytes)
    ///     },
    /// );
    /// let plugin = Engine::default().load("m", &wasm, &grants)?;
    /// assert_eq!(plugin.call::<(), u32>("f", ())?, u32::from(b'c'));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&self, ptr: u32, len: u32) -> Result<&[u8], Trap> {
        let memory = match &self.memory {
            GuestMemory::Lent(memory) => memory,
            GuestMemory::Whole(memory) => &**memory,
        };
        let bytes = memory::bytes(memory, ptr, len, "range that a host function reads");
        let bytes = bytes.map_err(bad_range)?;
        let (limit, found) = (self.meter.budget().argument_bytes, bytes.len());
        if found > limit {
            return Err(bad_range(CallError::ArgumentTooLarge { limit, found }));
        }
        self.spend(fuel_for(found))?;
        Ok(bytes)
    }

    /// Writes `bytes` to the guest's memory from the address `ptr` on. The bytes count to
    /// [`Budget::bytes_to_guest`](crate::Budget::bytes_to_guest). Charges one unit of fuel for each 64 bytes.
    ///
    /// # Errors
    ///
    /// A trap if the place lies outside the guest's memory, if the call's host functions wrote too many
    /// bytes, or if it has too little fuel left. Also if a parameter of the host function is text or bytes, which
    /// borrow from the guest's memory: declare a pointer and a length as two `u32` instead. With any
    /// error, nothing was written.
    pub fn write(&mut self, ptr: u32, bytes: &[u8]) -> Result<(), Trap> {
        let GuestMemory::Whole(memory) = &mut self.memory else {
            return Err(Trap::host(
                "a host function with a parameter of text or bytes can't write to the guest's memory: \
                 declare a pointer and a length as two `u32`",
            ));
        };
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let place = memory::bytes_mut(memory, ptr, len, "range that a host function writes");
        let place = place.map_err(bad_range)?;
        let spent = self.spending.spend(fuel_for(bytes.len()));
        spent.map_err(|_| too_little_fuel())?;
        let counted = self.meter.hand_to_guest(bytes.len());
        counted.map_err(bad_range)?;
        place.copy_from_slice(bytes);
        Ok(())
    }

    fn spend(&self, fuel: u64) -> Result<(), Trap> {
        let spent = self.spending.spend(fuel);
        spent.map_err(|_| too_little_fuel())
    }

    /// Returns the meter of the running call.
    pub(crate) const fn meter(&mut self) -> &mut Meter {
        self.meter
    }

    /// Returns the data that all instances of the plugin share.
    pub(crate) fn shared(&self) -> &'a Shared {
        self.shared
    }
}

/// Returns the trap for a range of the guest's memory that a host function can't use.
#[cold]
fn bad_range(error: CallError) -> Trap {
    Trap::new(TrapKind::BadHostCall, format!("{error}"))
}

#[cold]
fn too_little_fuel() -> Trap {
    Trap::host("the call has too little fuel left for this host function")
}
