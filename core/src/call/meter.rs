//! Meters a call: its budget, and its use of fuel, time, host calls and log.

use super::{StoreData, canceller::Canceller};
#[cfg(feature = "postcard")]
use crate::marshal::counted::Bounds;
use crate::{
    base::{
        growth::RefusedGrowth,
        limits::{Budget, Usage},
        log::write_dropped,
        platform::Platform,
    },
    error::CallError,
    marshal::interrupts::Interrupts,
};
use core::time::Duration;
use wasmi::{AsContextMut, StoreContextMut};

/// The budget and the use of the running call.
pub(crate) struct Meter {
    budget: Budget,
    /// Fuel of the call that is not in the store. The store holds that of the running slice.
    pub(crate) reserve: u64,
    /// The deadline, on the platform's clock.
    until: Option<Duration>,
    pub(crate) usage: Usage,
    /// Host calls since the instance was made that have the same result for each new instance, and no
    /// effect but that result.
    pub(crate) repeatable_calls: u32,
}

impl Meter {
    /// Returns the meter of an instance without calls, the first of which have `budget`.
    pub(crate) fn new(budget: &Budget) -> Self {
        Self {
            budget: *budget,
            reserve: 0,
            until: None,
            usage: Usage::default(),
            repeatable_calls: 0,
        }
    }

    /// Drops the remaining fuel and returns the error that it does not suffice.
    pub(crate) fn out_of_fuel(&mut self) -> CallError {
        self.reserve = 0;
        CallError::OutOfFuel {
            fuel: self.budget.fuel,
        }
    }

    /// Sets the budget of the calls that begin from now on.
    pub(crate) const fn set_budget(&mut self, budget: &Budget) {
        self.budget = *budget;
    }

    pub(crate) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Returns the call's deadline, on the platform's clock.
    pub(crate) const fn until(&self) -> Option<Duration> {
        self.until
    }

    /// Fails if the call was cancelled or has passed its deadline.
    pub(crate) fn check(
        &self,
        canceller: Option<&Canceller>,
        platform: &dyn Platform,
    ) -> Result<(), CallError> {
        self.interrupts(canceller, platform).check()
    }

    /// Returns the deadline and the canceller, for host work that checks them.
    pub(crate) fn interrupts<'a>(
        &self,
        canceller: Option<&'a Canceller>,
        platform: &'a dyn Platform,
    ) -> Interrupts<'a> {
        Interrupts {
            until: self.until,
            after: self.budget.deadline.unwrap_or_default(),
            cancelled: canceller.map(Canceller::flag),
            platform,
        }
    }

    /// Returns the bounds of serialised values from the guest.
    #[cfg(feature = "postcard")]
    pub(crate) fn deserializing<'a>(
        &self,
        canceller: Option<&'a Canceller>,
        platform: &'a dyn Platform,
    ) -> Bounds<'a> {
        Bounds {
            bytes: self.budget.deserialized_bytes,
            levels: self.budget.deserialized_levels,
            interrupts: self.interrupts(canceller, platform),
        }
    }

    /// Returns whether the deadline has passed, if there is one.
    fn is_past(&self, platform: &dyn Platform) -> bool {
        let now = platform.now();
        now.zip(self.until).is_some_and(|(now, until)| now >= until)
    }

    /// Returns the error for a call that has passed its deadline.
    #[cold]
    #[inline(never)]
    pub(crate) fn deadline_passed(&self) -> CallError {
        CallError::Deadline {
            after: self.budget.deadline.unwrap_or_default(),
        }
    }

    /// Counts one host call. Returns false if the budget has none left.
    pub(crate) fn host_call(&mut self) -> bool {
        let allowed = self.usage.host_calls < self.budget.host_calls;
        if allowed {
            self.usage.host_calls = self.usage.host_calls.saturating_add(1);
        }
        allowed
    }

    /// Counts `bytes` that a host function returns to the guest. Fails if they exceed the budget.
    pub(crate) fn hand_to_guest(&mut self, bytes: usize) -> Result<(), CallError> {
        let limit = self.budget.bytes_to_guest;
        let total = self.usage.bytes_to_guest.saturating_add(bytes);
        if total > limit {
            return Err(CallError::BytesToGuest { limit });
        }
        self.usage.bytes_to_guest = total;
        Ok(())
    }

    /// Counts a log record of `bytes` bytes, as dropped if it exceeds the budget. Returns whether to
    /// write it.
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

/// Returns the deadline, on the platform's clock, of a call with `budget` that begins now. Fails if
/// there is a deadline, but no clock to enforce it.
pub(crate) fn until(
    budget: &Budget,
    platform: &dyn Platform,
) -> Result<Option<Duration>, CallError> {
    let Some(after) = budget.deadline else {
        return Ok(None);
    };
    let now = platform.now().ok_or(CallError::NoClock)?;
    Ok(Some(now.saturating_add(after)))
}

/// Begins a call with the meter's budget and the deadline `until`.
pub(crate) fn begin<T, C>(cx: &mut C, until: Option<Duration>)
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let mut cx = cx.as_context_mut();
    let StoreData { meter, limiter, .. } = cx.data_mut();
    limiter.begin_call();
    meter.reserve = meter.budget.fuel;
    meter.until = until;
    meter.usage = Usage::ZERO;
    set_fuel(&mut cx, 0);
}

/// Returns the call's use, as it was when it was brought up to date.
pub(crate) fn usage<T>(state: &StoreData<T>) -> Usage {
    Usage {
        // Looked up here rather than at the end of each call: memories never shrink.
        memory_bytes: state.limiter.memory_bytes(),
        refused_growth: refused_growth(state),
        ..state.meter.usage
    }
}

/// Brings the fuel of the call's use up to date.
pub(crate) fn update<T, C>(cx: &mut C)
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let left = fuel_left(cx);
    let mut cx = cx.as_context_mut();
    let state = cx.data_mut();
    state.meter.usage.fuel = state.meter.budget.fuel.saturating_sub(left);
}

/// Returns the last growth of its memory that the guest did not get, in the call or in making its
/// instance.
pub(crate) fn refused_growth<T>(state: &StoreData<T>) -> Option<RefusedGrowth> {
    state.limiter.refused.or(state.meter.usage.refused_growth)
}

/// Ends a call: makes its use final, and writes one last log record if the budget dropped any.
pub(crate) fn end<T, C>(cx: &mut C)
where
    C: AsContextMut<Data = StoreData<T>>,
{
    update(cx);
    let mut cx = cx.as_context_mut();
    let state = cx.data_mut();
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

/// Fails if the call was cancelled or has passed its deadline.
#[inline]
pub(crate) fn check_time<T>(state: &StoreData<T>) -> Result<(), CallError> {
    if state.canceller.is_none() && state.meter.until.is_none() {
        return Ok(());
    }
    check_interrupts(state)
}

/// As [`check_time`], of a call that has a deadline or a canceller.
// Not inlined, so that its native stack does not stay in use while the guest runs.
#[inline(never)]
fn check_interrupts<T>(state: &StoreData<T>) -> Result<(), CallError> {
    let platform = &*state.shared.platform;
    state.meter.check(state.canceller.as_ref(), platform)
}

/// Returns whether the call has passed its deadline.
#[inline]
pub(crate) fn is_late<T>(state: &StoreData<T>) -> bool {
    let meter = &state.meter;
    meter.until.is_some() && meter.is_past(&*state.shared.platform)
}

/// Returns the fuel in the store, which is that of the running slice.
///
/// Only this function and [`set_fuel`] call wasmi's: with one caller each, those are inlined.
#[inline(never)]
pub(crate) fn fuel<T>(cx: &StoreContextMut<'_, StoreData<T>>) -> u64 {
    // An error would mean that metering is off; hostel's engines all meter.
    cx.get_fuel().unwrap_or(0)
}

/// Sets the fuel in the store.
#[inline(never)]
pub(crate) fn set_fuel<T>(cx: &mut StoreContextMut<'_, StoreData<T>>, fuel: u64) {
    // As in `fuel`: the error can't occur.
    let _ = cx.set_fuel(fuel);
}

/// Returns the fuel that the call may still use.
pub(crate) fn fuel_left<T, C>(cx: &mut C) -> u64
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let cx = cx.as_context_mut();
    fuel(&cx).saturating_add(cx.data().meter.reserve)
}

/// Charges `units` for host work. Call it before the work.
pub(crate) fn charge<T, C>(cx: &mut C, units: u64) -> Result<(), CallError>
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let mut cx = cx.as_context_mut();
    let slice = fuel(&cx);
    charge_slice(&mut cx, slice, units).map(drop)
}

/// Charges `units` for host work, given the fuel of the running slice. Returns the slice's remaining
/// fuel.
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

/// Fails if the call has less fuel left than `units`, given the fuel of the running slice.
#[cold]
#[inline(never)]
pub(crate) fn check_fuel<T>(
    cx: &mut StoreContextMut<'_, StoreData<T>>,
    slice: u64,
    units: u64,
) -> Result<(), CallError> {
    match slice.saturating_add(cx.data().meter.reserve) < units {
        true => charge_slice(cx, slice, units).map(drop),
        false => Ok(()),
    }
}

/// Uses up the slice and charges `units` to the reserve.
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
