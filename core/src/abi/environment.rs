//! Binds the host functions of a convention, and reads a guest's memory for them.

use super::protocol::{Ending, EnvironmentCall, EnvironmentFunction, Outcome, Protocol};
use crate::{
    base::{
        fuel::{Spending, fuel_for},
        log::LogLevel,
        shape::{Shape, unsigned},
        signature::Signature,
    },
    call::{StoreData, access::InstanceAccess, meter::Meter, suspend::Work},
    error::{CallError, Trap},
    host_functions::{Define, HostCall, HostFunction, Unfinished, definition_by_types},
    marshal::Types,
    memory,
    services::log,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use wasmi::{StoreContextMut, Val};

/// Returns the host function for the import `name` of `module`, if `protocol` has it.
pub(crate) fn bind<T: 'static>(
    protocol: &Arc<dyn Protocol>,
    module: &str,
    name: &str,
    ty: &Signature,
) -> Option<Arc<dyn HostFunction<T>>> {
    let function = protocol.function(module, name, ty)?;
    let protocol = protocol.clone();
    Some(Arc::new(Granted { protocol, function }))
}

/// A function of a convention, bound to its grant.
struct Granted {
    protocol: Arc<dyn Protocol>,
    function: Arc<dyn EnvironmentFunction>,
}

impl<T: 'static> HostFunction<T> for Granted {
    fn params(&self) -> Types {
        Types::collect(|types| {
            self.function.ty().0.iter().for_each(|ty| types.push(*ty));
            types.bytes = self.function.has_pointers();
        })
    }

    fn results(&self) -> Types {
        Types::collect(|types| self.function.ty().1.iter().for_each(|ty| types.push(*ty)))
    }

    fn define(&self, shape: Shape) -> Define<T> {
        let (params, results) = self.function.ty();
        definition_by_types(params, results, shape)
    }

    fn call(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        call: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>> {
        let spending = call.spending(guest.data().meter.reserve);
        let access = InstanceAccess::of(&mut guest, spending);
        access
            .exchange
            .get_or_insert_with(|| self.protocol.session());
        let mut environment = EnvironmentCall::of(access)?;
        match self.function.run(&mut environment, call.params())? {
            Outcome::Now(number) => {
                if let Some(number) = number {
                    call.give_number(number);
                }
                Ok(())
            }
            Outcome::Later(pending) => Err(call.waits(Work::Wasi(pending))),
        }
    }
}

impl<'a> EnvironmentCall<'a> {
    /// Returns what a function reaches of an instance, of which it needs the session.
    // Inlined, since all of it would be copied in each call otherwise.
    #[inline(always)]
    pub(super) fn of(access: InstanceAccess<'a>) -> Result<Self, CallError> {
        let session = access.exchange.as_deref_mut();
        Ok(Self {
            memory: access.memory,
            session: session.ok_or_else(|| trap("the call has no session"))?,
            shared: access.shared,
            meter: access.meter,
            limiter: access.limiter,
            spending: access.spending,
        })
    }

    /// Charges `bytes` bytes of host work.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), CallError> {
        Ok(self.spending.spend(fuel_for(bytes))?)
    }

    /// Returns the guest's bytes at a pointer and a length, and charges for reading them.
    pub(super) fn bytes(&self, ptr: u32, len: u32, what: &'static str) -> Result<&[u8], CallError> {
        let bytes = memory::bytes(self.memory, ptr, len, what)?;
        self.charge(bytes.len())?;
        Ok(bytes)
    }

    /// Copies the guest's bytes at a pointer and a length, of which at most `limit` are allowed.
    pub(super) fn copy(
        &self,
        ptr: u32,
        len: u32,
        what: &'static str,
        limit: usize,
        too_large: impl FnOnce(usize, usize) -> CallError,
    ) -> Result<Vec<u8>, CallError> {
        let bytes = self.bytes(ptr, len, what)?;
        if bytes.len() > limit {
            return Err(too_large(limit, bytes.len()));
        }
        memory::copied(bytes)
    }

    /// Writes one log record. Charges one unit of fuel per byte, as `env.host_log` does.
    pub(super) fn log(&mut self, level: LogLevel, text: &[u8]) -> Result<(), CallError> {
        self.spending.spend(text.len() as u64)?;
        log::record(self.shared, self.meter, level, text);
        Ok(())
    }
}

/// Writes `bytes` to the guest's memory at `at`: checks the place, and charges and counts them before.
pub(super) fn write(
    memory: &mut [u8],
    meter: &mut Meter,
    spending: Spending<'_>,
    at: u32,
    bytes: &[u8],
    what: &'static str,
) -> Result<(), CallError> {
    let place = memory::bytes_mut(memory, at, length(bytes), what)?;
    spending.spend(fuel_for(bytes.len()))?;
    meter.hand_to_guest(bytes.len())?;
    place.copy_from_slice(bytes);
    Ok(())
}

/// Returns the length of `bytes` as guests get it. One that does not fit is more than any memory has.
pub(super) fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Returns the parameters of a host function that are pointers or lengths.
pub(super) fn words<const N: usize>(params: &[Val]) -> [u32; N] {
    let mut words = [0; N];
    for (word, param) in words.iter_mut().zip(params) {
        if let Val::I32(value) = param {
            *word = unsigned(*value);
        }
    }
    words
}

/// Checks that bytes from a guest are UTF-8.
pub(super) fn utf8<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, CallError> {
    core::str::from_utf8(bytes).map_err(|error| CallError::NotUtf8 {
        what,
        at: error.valid_up_to(),
    })
}

/// Returns a trap with a text of the host's.
pub(super) fn trap(text: &str) -> CallError {
    CallError::Trap(Trap::host(text))
}

impl Ending<'_> {
    /// Returns the error that a guest reported by `text`, which is bounded and charged as that of a native
    /// plugin is.
    pub(super) fn guest_error(&self, text: &[u8]) -> CallError {
        let (limit, found) = (self.budget.error_bytes, text.len());
        if found > limit {
            return CallError::ErrorTooLarge { limit, found };
        }
        let units = match core::str::from_utf8(text) {
            Ok(_) => fuel_for(found),
            Err(_) => found as u64,
        };
        match self.spending.spend(fuel_for(found).saturating_add(units)) {
            Ok(()) => host_error(text),
            Err(overdrawn) => overdrawn.into(),
        }
    }
}

/// Returns a guest's error in short words of the host's.
pub(super) fn host_error(text: &[u8]) -> CallError {
    CallError::Guest {
        message: alloc::string::String::from_utf8_lossy(text).into(),
    }
}
