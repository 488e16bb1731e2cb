//! One request to a guest: what it may still use, and how guest code is run in slices of fuel.
//!
//! Guest code runs a quantum at a time and is resumed until it is done. Between two slices the
//! deadline is looked at, and wasmi gives back native stack that a guest's failing `memory.grow`
//! leaves in use under tail-call dispatch.

use crate::{
    abi::shape::FlatValues,
    bounds::Bounds,
    error::{CallError, Trap, TrapKind},
    host::{self, LogSink},
    limits::{Budget, Usage},
    platform::Platform,
    wasi::Session,
};
use alloc::{boxed::Box, sync::Arc};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use wasmi::{
    AsContextMut, Func, Memory, ResumableCall, TypedFunc, TypedResumableCall, WasmParams,
    WasmResults,
};

/// The fuel of one slice. Ten times as much costs nothing less to run, but lets a loop of failing
/// `memory.grow` use up a 2 MiB native stack.
const QUANTUM: u64 = 10_000;

/// Fuel for one host call, and for one exchange of bytes with a guest, whatever its size.
pub(crate) const BASE: u64 = 20;

/// Fuel for reading, writing or scanning `bytes` bytes: one unit for each 64, rounded up, as
/// wasmi charges a guest's own bulk operations.
pub(crate) const fn fuel_for(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(64)
}

/// What all instances of a plugin share.
pub(crate) struct Shared {
    pub(crate) name: Box<str>,
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) log: Option<Arc<dyn LogSink>>,
}

/// What a store holds: one instance's side of the host.
pub(crate) struct State<T> {
    pub(crate) data: T,
    pub(crate) shared: Arc<Shared>,
    pub(crate) guest: Guest,
    pub(crate) meter: Meter,
    pub(crate) bounds: Bounds,
    /// Set once somebody asked for a [`Canceller`].
    pub(crate) canceller: Option<Canceller>,
    /// Set once the instance called a function of WASI's. Without it, the next such call finds
    /// WASI as in a new instance.
    pub(crate) wasi: Option<Box<Session>>,
}

/// Stops the call that an instance runs, or its next one, from another thread or an interrupt.
///
/// Acts within one slice of 10,000 fuel, on this instance alone; a host function that runs is not
/// interrupted. It can't be taken back.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (func (export "spin") (loop $l (br $l))))"#)?;
/// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::<()>::new())?;
/// let mut instance = plugin.instantiate(())?;
/// let canceller = instance.canceller();
/// std::thread::spawn(move || canceller.cancel());
/// let error = instance.call::<(), ()>("spin", ()).unwrap_err();
/// assert_eq!(error.code(), "cancelled");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Canceller(Arc<AtomicBool>);

impl Canceller {
    /// Asks for the stop. Cheap; safe in an interrupt.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the stop was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The guest's memory and allocator, found once.
#[derive(Clone, Copy, Default)]
pub(crate) struct Guest {
    pub(crate) memory: Option<Memory>,
    pub(crate) allocate: Option<TypedFunc<u32, u32>>,
    pub(crate) deallocate: Option<Deallocate>,
    /// Whether the guest runs `allocate` for a host function that waits for it.
    pub(crate) nested: bool,
}

/// How a guest takes a buffer back.
#[derive(Clone, Copy)]
pub(crate) enum Deallocate {
    /// `(ptr, size)`.
    Sized(TypedFunc<(u32, u32), ()>),
    /// `(ptr)`, as C's `free`.
    Plain(TypedFunc<u32, ()>),
}

/// What the running call may still use. The store holds one slice of the fuel, this the rest.
pub(crate) struct Meter {
    budget: Budget,
    reserve: u64,
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

    fn out_of_fuel(&mut self) -> CallError {
        self.reserve = 0;
        CallError::OutOfFuel {
            fuel: self.budget.fuel,
        }
    }

    /// When the call must end, on the platform's clock.
    pub(crate) const fn until(&self) -> Option<Duration> {
        self.until
    }

    /// Most bytes of output.
    pub(crate) const fn output_bytes(&self) -> usize {
        self.budget.output_bytes
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

    /// Counts one host call.
    pub(crate) fn host_call(&mut self) -> Result<(), CallError> {
        if self.usage.host_calls >= self.budget.host_calls {
            return Err(CallError::HostCalls {
                limit: self.budget.host_calls,
            });
        }
        self.usage.host_calls = self.usage.host_calls.saturating_add(1);
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

/// Begins a call with `budget`.
pub(crate) fn begin<T, C>(cx: &mut C, budget: &Budget)
where
    C: AsContextMut<Data = State<T>>,
{
    let mut cx = cx.as_context_mut();
    let state = cx.data_mut();
    state.meter = Meter {
        budget: *budget,
        reserve: budget.fuel,
        until: budget
            .deadline
            .and_then(|after| Some(state.shared.platform.now()?.saturating_add(after))),
        usage: Usage::default(),
    };
    set_fuel(&mut cx, 0);
}

/// Ends a call: what it has used becomes final, and one closing record tells of log records that
/// the budget did not allow.
pub(crate) fn end<T, C>(cx: &mut C)
where
    C: AsContextMut<Data = State<T>>,
{
    let mut cx = cx.as_context_mut();
    let left = fuel(&cx).saturating_add(cx.data().meter.reserve);
    let state = cx.data_mut();
    state.meter.usage.fuel = state.meter.budget.fuel.saturating_sub(left);
    if let Some(wasi) = &mut state.wasi {
        wasi.end_call(&state.shared, &mut state.meter);
    }
    let (shared, dropped) = (&state.shared, state.meter.usage.log_dropped);
    if dropped > 0
        && let Some(sink) = &shared.log
    {
        let platform = &*shared.platform;
        platform.contain(&mut || host::write_dropped(&**sink, &shared.name, dropped));
    }
}

/// Fuel in the slice that runs.
pub(crate) fn slice<T, C>(cx: &mut C) -> u64
where
    C: AsContextMut<Data = State<T>>,
{
    fuel(&cx.as_context_mut())
}

/// Puts back into the reserve what the slice has beyond `before`: a nested run may have been
/// handed slices of its own, and the run around it must end its slice as if there had been none.
pub(crate) fn end_nested<T, C>(cx: &mut C, before: u64)
where
    C: AsContextMut<Data = State<T>>,
{
    let mut cx = cx.as_context_mut();
    let slice = fuel(&cx);
    if let Some(more) = slice.checked_sub(before) {
        let reserve = &mut cx.data_mut().meter.reserve;
        *reserve = reserve.saturating_add(more);
        set_fuel(&mut cx, before);
    }
}

/// Fuel in the store. Every engine of ours meters, so wasmi never refuses.
fn fuel<T>(cx: &wasmi::StoreContextMut<'_, State<T>>) -> u64 {
    cx.get_fuel().unwrap_or(0)
}

fn set_fuel<T>(cx: &mut wasmi::StoreContextMut<'_, State<T>>, fuel: u64) {
    // As above: the error means that metering is off.
    let _ = cx.set_fuel(fuel);
}

/// Fuel that the call may still use.
pub(crate) fn fuel_left<T, C>(cx: &mut C) -> u64
where
    C: AsContextMut<Data = State<T>>,
{
    let cx = cx.as_context_mut();
    fuel(&cx).saturating_add(cx.data().meter.reserve)
}

/// Charges `units` for host work, before it is done.
pub(crate) fn charge<T, C>(cx: &mut C, units: u64) -> Result<(), CallError>
where
    C: AsContextMut<Data = State<T>>,
{
    let mut cx = cx.as_context_mut();
    let slice = fuel(&cx);
    if let Some(left) = slice.checked_sub(units) {
        set_fuel(&mut cx, left);
        return Ok(());
    }
    set_fuel(&mut cx, 0);
    let meter = &mut cx.data_mut().meter;
    match meter.reserve.checked_sub(units.saturating_sub(slice)) {
        Some(left) => {
            meter.reserve = left;
            Ok(())
        }
        None => Err(meter.out_of_fuel()),
    }
}

/// Hands the store fuel for the next slice, at least `required`.
fn next_slice<T, C>(cx: &mut C, required: u64) -> Result<(), CallError>
where
    C: AsContextMut<Data = State<T>>,
{
    let mut cx = cx.as_context_mut();
    let slice = fuel(&cx);
    let state = cx.data_mut();
    let platform = &*state.shared.platform;
    state.meter.check(state.canceller.as_ref(), platform)?;
    if slice >= required && required > 0 {
        let why = "it was stopped for fuel that it had: a resumed call would make no progress";
        return Err(CallError::Trap(Trap::new(TrapKind::Other, why)));
    }
    let all = slice.saturating_add(state.meter.reserve);
    if all < required {
        let error = state.meter.out_of_fuel();
        set_fuel(&mut cx, 0);
        return Err(error);
    }
    let next = QUANTUM.max(required).min(all);
    state.meter.reserve = all.saturating_sub(next);
    set_fuel(&mut cx, next);
    Ok(())
}

/// The first slice of a run of guest code; a nested run goes on with the fuel that is there.
fn first_slice<T, C>(cx: &mut C) -> Result<(), CallError>
where
    C: AsContextMut<Data = State<T>>,
{
    if fuel(&cx.as_context_mut()) < QUANTUM {
        next_slice(cx, 0)
    } else {
        Ok(())
    }
}

pub(crate) fn stopped<T, C>(cx: &mut C, error: &wasmi::Error) -> CallError
where
    C: AsContextMut<Data = State<T>>,
{
    let mut cx = cx.as_context_mut();
    let error = CallError::from_wasmi(error, cx.data().meter.budget.fuel);
    if matches!(error, CallError::OutOfFuel { .. }) {
        // What wasmi left over was too little; the call has no further use for it.
        set_fuel(&mut cx, 0);
        cx.data_mut().meter.reserve = 0;
    }
    error
}

/// Runs a guest function whose type is known.
pub(crate) fn run<T, C, P, R>(
    cx: &mut C,
    function: TypedFunc<P, R>,
    params: P,
) -> Result<R, CallError>
where
    C: AsContextMut<Data = State<T>>,
    P: WasmParams,
    R: WasmResults,
{
    first_slice(cx)?;
    let mut outcome = function.call_resumable(&mut *cx, params);
    loop {
        match outcome {
            Ok(TypedResumableCall::Finished(results)) => return Ok(results),
            Ok(TypedResumableCall::OutOfFuel(paused)) => {
                next_slice(cx, paused.required_fuel())?;
                outcome = paused.resume(&mut *cx);
            }
            Ok(TypedResumableCall::HostTrap(trap)) => return Err(stopped(cx, trap.host_error())),
            Err(error) => return Err(stopped(cx, &error)),
        }
    }
}

/// Runs a guest function of any type. `results` must have its results' number and types.
pub(crate) fn run_untyped<T, C>(
    cx: &mut C,
    function: Func,
    params: &FlatValues,
    results: &mut FlatValues,
) -> Result<(), CallError>
where
    C: AsContextMut<Data = State<T>>,
{
    first_slice(cx)?;
    let mut outcome = function.call_resumable(&mut *cx, params, results);
    loop {
        match outcome {
            Ok(ResumableCall::Finished) => return Ok(()),
            Ok(ResumableCall::OutOfFuel(paused)) => {
                next_slice(cx, paused.required_fuel())?;
                outcome = paused.resume(&mut *cx, results);
            }
            Ok(ResumableCall::HostTrap(trap)) => return Err(stopped(cx, trap.host_error())),
            Err(error) => return Err(stopped(cx, &error)),
        }
    }
}
