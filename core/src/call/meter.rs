//! What the running call may still use, and what it has used.

use super::{StoreData, canceller::Canceller};
use crate::{
    base::{
        limits::{Budget, Usage},
        log::write_dropped,
        platform::Platform,
    },
    error::CallError,
};
use core::time::Duration;
use wasmi::{AsContextMut, StoreContextMut};

/// What the running call may still use. The store holds one slice of the fuel, this the rest.
pub(crate) struct Meter {
    budget: Budget,
    pub(crate) reserve: u64,
    until: Option<Duration>,
    pub(crate) usage: Usage,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            budget: Budget::device(),
            reserve: 0,
            until: None,
            usage: Usage::default(),
        }
    }

    pub(crate) fn out_of_fuel(&mut self) -> CallError {
        self.reserve = 0;
        CallError::OutOfFuel {
            fuel: self.budget.fuel,
        }
    }

    pub(crate) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// When the call has to be over, on the platform's clock.
    pub(crate) const fn until(&self) -> Option<Duration> {
        self.until
    }

    /// Fails where the call must end now: it was cancelled, or its time is up.
    pub(crate) fn check(
        &self,
        canceller: Option<&Canceller>,
        platform: &dyn Platform,
    ) -> Result<(), CallError> {
        if canceller.is_some_and(Canceller::is_cancelled) {
            return Err(CallError::Cancelled);
        }
        if let Some(until) = self.until
            && platform.now().is_some_and(|now| now >= until)
        {
            return Err(CallError::Deadline {
                after: self.budget.deadline.unwrap_or_default(),
            });
        }
        Ok(())
    }

    /// Counts one host call; answers whether the budget allows it.
    pub(crate) fn host_call(&mut self) -> bool {
        let allowed = self.usage.host_calls < self.budget.host_calls;
        if allowed {
            self.usage.host_calls = self.usage.host_calls.saturating_add(1);
        }
        allowed
    }

    /// Counts `bytes` that a host function has for the guest.
    pub(crate) fn hand_to_guest(&mut self, bytes: usize) -> Result<(), CallError> {
        let limit = self.budget.bytes_to_guest;
        let total = self.usage.bytes_to_guest.saturating_add(bytes);
        if total > limit {
            return Err(CallError::BytesToGuest { limit });
        }
        self.usage.bytes_to_guest = total;
        Ok(())
    }

    /// Whether a log record of `bytes` bytes may still be written; counts it either way.
    pub(crate) fn log(&mut self, bytes: usize) -> bool {
        let total = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| self.usage.log_bytes.checked_add(bytes));
        match total {
            Some(total)
                if total <= self.budget.log_bytes
                    && self.usage.log_records < self.budget.log_records =>
            {
                self.usage.log_bytes = total;
                self.usage.log_records = self.usage.log_records.saturating_add(1);
                true
            }
            _ => {
                self.usage.log_dropped = self.usage.log_dropped.saturating_add(1);
                false
            }
        }
    }
}

/// When a call with `budget` that begins now has to be over, on the platform's clock.
pub(crate) fn until(budget: &Budget, platform: &dyn Platform) -> Option<Duration> {
    let after = budget.deadline?;
    Some(platform.now()?.saturating_add(after))
}

/// Begins a call with `budget`, which ends at `until`.
pub(crate) fn begin<T, C>(cx: &mut C, budget: &Budget, until: Option<Duration>)
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let mut cx = cx.as_context_mut();
    let meter = &mut cx.data_mut().meter;
    meter.budget = *budget;
    meter.reserve = budget.fuel;
    meter.until = until;
    meter.usage = Usage::ZERO;
    set_fuel(&mut cx, 0);
}

/// What the call has used so far.
pub(crate) fn usage<T, C>(cx: &mut C) -> Usage
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let left = fuel_left(cx);
    let cx = cx.as_context();
    let meter = &cx.data().meter;
    Usage {
        fuel: meter.budget.fuel.saturating_sub(left),
        ..meter.usage
    }
}

/// Ends a call: what it has used becomes final, and one closing record tells of log records that
/// the budget did not allow.
pub(crate) fn end<T, C>(cx: &mut C)
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let usage = usage(cx);
    let mut cx = cx.as_context_mut();
    let state = cx.data_mut();
    state.meter.usage = usage;
    if let Some(wasi) = &mut state.wasi {
        wasi.end_call(&state.shared, &mut state.meter);
    }
    let (shared, dropped) = (&state.shared, state.meter.usage.log_dropped);
    if dropped > 0
        && let Some(sink) = &shared.log
    {
        let platform = &*shared.platform;
        platform.contain(&mut || write_dropped(&**sink, &shared.name, dropped));
    }
}

/// Ends the call with an error if it was cancelled or is past its deadline.
pub(crate) fn check_time<T>(state: &StoreData<T>) -> Result<(), CallError> {
    let platform = &*state.shared.platform;
    state.meter.check(state.canceller.as_ref(), platform)
}

/// Fuel in the store, of the slice that runs. Every engine of ours meters, so wasmi never refuses.
///
/// Only here, and in [`set_fuel`], wasmi is asked: called from one place alone, its part is compiled
/// into this.
#[inline(never)]
pub(crate) fn fuel<T>(cx: &StoreContextMut<'_, StoreData<T>>) -> u64 {
    cx.get_fuel().unwrap_or(0)
}

#[inline(never)]
pub(crate) fn set_fuel<T>(cx: &mut StoreContextMut<'_, StoreData<T>>, fuel: u64) {
    // As above: the error means that metering is off.
    let _ = cx.set_fuel(fuel);
}

/// Fuel that the call may still use.
pub(crate) fn fuel_left<T, C>(cx: &mut C) -> u64
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let cx = cx.as_context_mut();
    fuel(&cx).saturating_add(cx.data().meter.reserve)
}

/// Charges `units` for host work, before it is done.
pub(crate) fn charge<T, C>(cx: &mut C, units: u64) -> Result<(), CallError>
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let mut cx = cx.as_context_mut();
    let slice = fuel(&cx);
    charge_slice(&mut cx, slice, units).map(drop)
}

/// The same where the slice that runs has `slice`. Answers with what is left of that.
#[inline(always)]
pub(crate) fn charge_slice<T>(
    cx: &mut StoreContextMut<'_, StoreData<T>>,
    slice: u64,
    units: u64,
) -> Result<u64, CallError> {
    match slice.overflowing_sub(units) {
        (left, false) => {
            set_fuel(cx, left);
            Ok(left)
        }
        _ => charge_reserve(cx, units.saturating_sub(slice)),
    }
}

/// Charges what a slice has not.
#[cold]
#[inline(never)]
fn charge_reserve<T>(
    cx: &mut StoreContextMut<'_, StoreData<T>>,
    units: u64,
) -> Result<u64, CallError> {
    set_fuel(cx, 0);
    let meter = &mut cx.data_mut().meter;
    match meter.reserve.checked_sub(units) {
        Some(left) => {
            meter.reserve = left;
            Ok(0)
        }
        None => Err(meter.out_of_fuel()),
    }
}
