//! Tells an embedder what a plugin's functions do, for a profile of its fuel.

use super::Grants;
use crate::{
    base::{
        fuel::BASE,
        shape::{Shape, unsigned},
        signature::ValType,
    },
    call::StoreData,
    error::{CallError, Trap},
    host_functions::{Define, Function, HostCall, HostFunction, Unfinished, definition},
    marshal::{FlatCounts, Types},
    module::profile::{CALL_HOST, ENTER, EVENT, EXIT, GROUP, HOST_RETURNS, INDEX_BITS, POSITION},
};
use alloc::{boxed::Box, sync::Arc};
use wasmi::StoreContextMut;

/// The types of the import's parameters.
const PARAMS: [ValType; 3] = [ValType::I32; 3];

/// What happened in a profiled plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileEvent {
    /// The guest function of this index began.
    Enter {
        /// Index in the module, imported functions first.
        function: u32,
        /// The part of the fuel that was charged as it began.
        cost: u64,
    },
    /// It returned.
    Exit,
    /// Fuel was charged for a part of it.
    Charge,
    /// It calls the host function of this index.
    CallHost {
        /// Index among the imported functions.
        function: u32,
    },
    /// That returned.
    HostReturned,
    /// The code at one of the module's positions runs next: see [`Grants::profile`].
    Position {
        /// Number of the position in the module's list, from 0 on.
        number: u32,
    },
}

/// An event, and the fuel at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfileRecord {
    /// What happened.
    pub event: ProfileEvent,
    /// The fuel that the call has left.
    pub fuel_left: u64,
    /// The part of the fuel that was charged since the event before, and would not be without a profile.
    pub added: u64,
    /// The calls of host functions so far, events included.
    pub host_calls: u32,
}

impl<T: 'static> Grants<T> {
    /// Grants `hostel-profile.event`, of type `(i32, i32, i32) -> ()`. A plugin that imports it, and need not call it, is
    /// changed as it is loaded: `sink` is told when each function begins and ends, and what is charged for it. An error
    /// of `sink` stops the guest. Its fuel, time and host calls are many times those of a plugin that is not profiled:
    /// raise the budget. Without [`ProfileRecord::added`], the fuel is the same to the unit.
    ///
    /// A custom section `hostel-profile.positions` lists operators whose execution `sink` is told too: their number, and
    /// for each the bytes from the one before, or from the module's start, in ascending order. All are u32 in LEB128.
    /// Code that can't be reached is left out.
    ///
    /// Components, plugins of several modules and tail calls are not supported.
    #[must_use]
    pub fn profile(
        mut self,
        sink: impl Fn(ProfileRecord) -> Result<(), Trap> + Send + Sync + 'static,
    ) -> Self {
        self.insert(EVENT.0, EVENT.1, Function(Arc::new(Profiler(sink))));
        self
    }
}

struct Profiler<F>(F);

impl<T, F> HostFunction<T> for Profiler<F>
where
    T: 'static,
    F: Fn(ProfileRecord) -> Result<(), Trap> + Send + Sync + 'static,
{
    fn params(&self) -> Types {
        Types::collect(|types| PARAMS.into_iter().for_each(|ty| types.push(ty)))
    }

    fn results(&self) -> Types {
        Types::collect(|_| {})
    }

    fn define(&self, shape: Shape) -> Define<T> {
        definition(FlatCounts::count(&PARAMS), FlatCounts::NOTHING, shape)
    }

    // The guest's allocator is profiled too.
    fn refusal_when_nested(&self) -> Option<CallError> {
        None
    }

    fn call(
        &self,
        guest: StoreContextMut<'_, StoreData<T>>,
        call: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>> {
        let [
            wasmi::Val::I32(kind),
            wasmi::Val::I32(added),
            wasmi::Val::I32(cost),
        ] = *call.params()
        else {
            return Ok(());
        };
        let [kind, added, cost] = [kind, added, cost].map(unsigned);
        let function = kind & !(u32::MAX << INDEX_BITS);
        let event = match kind >> INDEX_BITS {
            ENTER => ProfileEvent::Enter {
                function,
                cost: cost.into(),
            },
            EXIT => ProfileEvent::Exit,
            GROUP => ProfileEvent::Charge,
            CALL_HOST => ProfileEvent::CallHost { function },
            HOST_RETURNS => ProfileEvent::HostReturned,
            POSITION => ProfileEvent::Position { number: function },
            // The guest's own call.
            _ => return Ok(()),
        };
        let meter = &guest.data().meter;
        let record = ProfileRecord {
            event,
            fuel_left: call.spending(meter.reserve).left(),
            host_calls: meter.usage.host_calls,
            added: u64::from(added).saturating_add(BASE),
        };
        (self.0)(record).map_err(|trap| CallError::Trap(trap).into())
    }
}
