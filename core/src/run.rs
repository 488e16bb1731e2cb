//! Runs guest code, in slices of fuel, and waits with it for what host functions wait for.
//!
//! Guest code runs a quantum at a time and is resumed until it is done. Between two slices the
//! deadline is looked at, and wasmi gives back native stack that a guest's failing `memory.grow`
//! leaves in use under tail-call dispatch. Who runs a call by steps gets control back there.
//!
//! A host function that can't answer at once, because it is asynchronous or because the guest's
//! allocator needs longer than its slice, leaves the guest by an error of ours. What it waits for
//! is then done here, outside of the guest, which goes on with the answer.

use crate::{
    abi::shape::{FlatValues, unsigned},
    buffers::{Delivery, allocator},
    call::{self, Canceller, Deallocate, State},
    error::{CallError, Trap, TrapKind},
    host::Back,
    limits::Usage,
    platform::Platform,
    wasi::{Reach, Waits},
};
use alloc::{boxed::Box, sync::Arc, task::Wake};
use core::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use spin::Mutex;
use wasmi::{
    AsContextMut, Caller, Func, ResumableCall, ResumableCallHostTrap, ResumableCallOutOfFuel,
    Store, Val,
};

/// The most fuel of one slice, whatever a step's quantum is. Longer ones cost nothing less to run,
/// but a hundred times as much lets a loop of failing `memory.grow` use up a native stack of 256 KiB.
const SLICE: u32 = 50_000;

/// The fuel of a step where nobody says otherwise.
const QUANTUM: usize = 10_000;

/// How a call is run by steps; shared by who steps and what runs.
pub(crate) struct Pace {
    /// The fuel of a step, and what is left of it for further slices.
    quantum: AtomicUsize,
    left: AtomicUsize,
    /// Whether the last step ended with its quantum.
    ended: AtomicBool,
    /// What the call has used, once that is known.
    usage: Mutex<Usage>,
}

impl Pace {
    pub(crate) const fn new() -> Self {
        Self {
            quantum: AtomicUsize::new(QUANTUM),
            left: AtomicUsize::new(QUANTUM),
            ended: AtomicBool::new(false),
            usage: Mutex::new(Usage::ZERO),
        }
    }

    /// Notes what the call has used.
    pub(crate) fn note(&self, usage: Usage) {
        *self.usage.lock() = usage;
    }

    pub(crate) fn usage(&self) -> Usage {
        *self.usage.lock()
    }

    /// Sets the fuel of a step where nobody says otherwise.
    pub(crate) fn set_quantum(&self, fuel: u64) {
        self.quantum.store(in_a_word(fuel), Ordering::Relaxed);
    }

    /// Begins a step of so much fuel.
    pub(crate) fn begin(&self, fuel: Option<u64>) {
        let usual = || self.quantum.load(Ordering::Relaxed);
        self.left
            .store(fuel.map_or_else(usual, in_a_word), Ordering::Relaxed);
    }

    /// Whether a step has ended with its quantum since this was last asked.
    pub(crate) fn take_ended(&self) -> bool {
        self.ended.swap(false, Ordering::Relaxed)
    }

    /// Whether the quantum is used up, so that whoever runs the call by steps gets control back.
    fn ends_step(&self, context: &Context<'_>) -> bool {
        let ends = self.left.load(Ordering::Relaxed) == 0;
        if ends {
            self.ended.store(true, Ordering::Relaxed);
            context.waker().wake_by_ref();
        }
        ends
    }

    /// Fuel for a slice of the step.
    fn slice(&self) -> u64 {
        self.left.load(Ordering::Relaxed).min(SLICE as usize) as u64
    }

    fn take(&self, fuel: u64) {
        let fuel = usize::try_from(fuel).unwrap_or(usize::MAX);
        let left = self.left.load(Ordering::Relaxed).saturating_sub(fuel);
        self.left.store(left, Ordering::Relaxed);
    }
}

/// More than a word holds is as good as all.
fn in_a_word(fuel: u64) -> usize {
    usize::try_from(fuel).unwrap_or(usize::MAX).max(1)
}

/// A guest that waits in a host function.
pub(crate) struct Suspended {
    pub(crate) work: Work,
    pub(crate) back: Back,
    /// Where its results' record is, where the shape has one.
    pub(crate) at: u32,
}

/// What a guest waits for.
pub(crate) enum Work {
    /// Buffers for the host function's results; its own allocator may have used up the slice.
    Buffers(Option<ResumableCallOutOfFuel>, Box<Delivery<'static>>),
    /// The results themselves.
    Results(Results),
    /// A time, or input.
    Wasi(Box<dyn Waits>),
}

/// A host function's results that come later.
pub(crate) type Results =
    Pin<Box<dyn Future<Output = Result<Box<Delivery<'static>>, CallError>> + Send>>;

/// The error by which a host function leaves a guest that has to wait.
#[derive(Debug)]
pub(crate) struct Suspend;

impl fmt::Display for Suspend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the guest waits")
    }
}

impl wasmi::errors::HostError for Suspend {}

/// A run of guest code, as far as it has come.
#[derive(Default)]
pub(crate) enum Run {
    /// It has not begun.
    #[default]
    New,
    /// It has used up its slice.
    OutOfFuel(ResumableCallOutOfFuel),
    /// It waits in a host function.
    Waits(Box<(ResumableCallHostTrap, Suspended)>),
}

impl Run {
    /// Runs `function` to its end, from wherever the run is. `params` must have its parameters'
    /// number and types, `results` its results' number. They must be the same until it is ready.
    pub(crate) fn poll<T>(
        &mut self,
        store: &mut Store<State<T>>,
        context: &mut Context<'_>,
        function: Func,
        params: &[Val],
        results: &mut [Val],
    ) -> Poll<Result<(), CallError>> {
        if let Self::New = self {
            ready!(first_slice(store, context))?;
            match function.call_resumable(&mut *store, params, results) {
                Ok(ResumableCall::Finished) => return Poll::Ready(Ok(())),
                outcome => self.note(store, outcome)?,
            }
        }
        self.go_on(store, context, results)
    }

    /// Goes on with what has begun, and did not end at once.
    #[cold]
    #[inline(never)]
    fn go_on<T>(
        &mut self,
        store: &mut Store<State<T>>,
        context: &mut Context<'_>,
        results: &mut [Val],
    ) -> Poll<Result<(), CallError>> {
        loop {
            let mut values = FlatValues::new();
            match self {
                Self::New => return Poll::Ready(Ok(())),
                Self::OutOfFuel(paused) => {
                    ready!(next_slice(store, context, paused.required_fuel()))?;
                }
                Self::Waits(waits) => ready!(waits.1.poll(store, context, &mut values))?,
            }
            let outcome = match mem::take(self) {
                Self::New => Ok(ResumableCall::Finished),
                Self::OutOfFuel(paused) => paused.resume(&mut *store, results),
                Self::Waits(waits) => waits.0.resume(&mut *store, &values, results),
            };
            self.note(store, outcome)?;
        }
    }

    /// Notes how far it has come by `outcome`.
    #[cold]
    #[inline(never)]
    fn note<T>(
        &mut self,
        store: &mut Store<State<T>>,
        outcome: Result<ResumableCall, wasmi::Error>,
    ) -> Result<(), CallError> {
        *self = match outcome {
            Ok(ResumableCall::Finished) => Self::New,
            Ok(ResumableCall::OutOfFuel(paused)) => Self::OutOfFuel(paused),
            Ok(ResumableCall::HostTrap(paused)) => {
                let suspended = Suspended::take(store, paused.host_error())?;
                Self::Waits(Box::new((paused, suspended)))
            }
            Err(error) => return Err(stopped(store, &error)),
        };
        Ok(())
    }

    /// What the guest's allocator answers for a buffer of `size` bytes; 0 where it has no memory.
    pub(crate) fn poll_allocate<T>(
        &mut self,
        store: &mut Store<State<T>>,
        context: &mut Context<'_>,
        size: u32,
    ) -> Poll<Result<u32, CallError>> {
        let allocate = allocator(store.data())?;
        let mut ptr = [Val::I32(0)];
        let ran = ready!(self.poll(store, context, allocate, &[word(size)], &mut ptr));
        Poll::Ready(match ran {
            Ok(()) => Ok(pointer(&ptr)),
            Err(error) => Err(error.in_export("allocate")),
        })
    }

    /// Gives the guest a buffer back, a pointer and a size, if it takes any.
    pub(crate) fn poll_deallocate<T>(
        &mut self,
        store: &mut Store<State<T>>,
        context: &mut Context<'_>,
        (ptr, size): (u32, u32),
    ) -> Poll<Result<(), CallError>> {
        let Some(Deallocate { function, params }) = store.data().guest.deallocate else {
            return Poll::Ready(Ok(()));
        };
        let values = [word(ptr), word(size)];
        let values = values.get(..params).unwrap_or_default();
        let ran = ready!(self.poll(store, context, function, values, &mut []));
        Poll::Ready(ran.map_err(|error| error.in_export("deallocate")))
    }
}

/// Brings a host function's results into the guest that waits for them, in its call: runs its
/// allocator with what is left of the slice. Answers with what is still to be run, if that is not
/// enough.
///
/// The guest's imports that may run guest code are refused meanwhile: each level of re-entry would
/// take native stack that no limit of wasmi's counts.
pub(crate) fn deliver_in_call<T>(
    guest: &mut Caller<'_, State<T>>,
    delivery: &mut Delivery<'_>,
) -> Result<Option<ResumableCallOutOfFuel>, CallError> {
    while let Some(size) = delivery.next(guest)? {
        let allocate = allocator(guest.data())?;
        guest.data_mut().guest.nested = true;
        let mut ptr = [Val::I32(0)];
        let outcome = allocate.call_resumable(&mut *guest, &[word(size)], &mut ptr);
        guest.data_mut().guest.nested = false;
        match in_allocate(guest, outcome)? {
            None => delivery.got(guest, pointer(&ptr))?,
            paused => return Ok(paused),
        }
    }
    Ok(None)
}

/// What is still to be run of an allocator that runs while its guest waits.
fn in_allocate<T, C>(
    cx: &mut C,
    outcome: Result<ResumableCall, wasmi::Error>,
) -> Result<Option<ResumableCallOutOfFuel>, CallError>
where
    C: AsContextMut<Data = State<T>>,
{
    let error = match outcome {
        Ok(ResumableCall::Finished) => return Ok(None),
        Ok(ResumableCall::OutOfFuel(paused)) => return Ok(Some(paused)),
        // Not to wait: imports that could are refused.
        Ok(ResumableCall::HostTrap(trap)) => stopped(cx, trap.host_error()),
        Err(error) => stopped(cx, &error),
    };
    Err(error.in_export("allocate"))
}

/// A pointer or length as a guest's function takes it.
pub(crate) const fn word(value: u32) -> Val {
    Val::I32(value.cast_signed())
}

/// What `allocate` answered.
fn pointer(results: &[Val]) -> u32 {
    match results {
        [Val::I32(ptr)] => unsigned(*ptr),
        _ => 0,
    }
}

impl Suspended {
    /// What the guest waits for, if it was not stopped by `error`.
    pub(crate) fn take<T>(
        store: &mut Store<State<T>>,
        error: &wasmi::Error,
    ) -> Result<Self, CallError> {
        let waits = error.downcast_ref::<Suspend>().is_some();
        let suspended = store.data_mut().suspended.get_mut().take();
        let suspended = suspended.filter(|_| waits);
        suspended.ok_or_else(|| stopped(store, error))
    }

    /// Does what the guest waits for, and puts what its import returns in `values`.
    pub(crate) fn poll<T>(
        &mut self,
        store: &mut Store<State<T>>,
        context: &mut Context<'_>,
        values: &mut FlatValues,
    ) -> Poll<Result<(), CallError>> {
        let done = ready!(self.work.poll(store, context, values));
        let brought = done.and_then(|()| self.back.bring(store, self.at, values));
        let located = |error: CallError| error.into_stop().in_import(&self.back.name);
        Poll::Ready(brought.map_err(located))
    }
}

impl Work {
    /// The host function's results, in the guest.
    fn poll<T>(
        &mut self,
        store: &mut Store<State<T>>,
        context: &mut Context<'_>,
        values: &mut FlatValues,
    ) -> Poll<Result<(), CallError>> {
        if let Self::Results(results) = self {
            let delivery = ready!(poll_results(store, context, results))?;
            *self = Self::Buffers(None, delivery);
        }
        match self {
            Self::Buffers(paused, delivery) => {
                ready!(poll_deliver(store, context, paused, delivery))?;
                values.extend(delivery.values().iter().cloned());
            }
            Self::Wasi(waiting) => {
                let reach = &mut store.as_context_mut();
                let (spent, done) = waiting.attempt(Reach::of(reach));
                call::charge(store, spent)?;
                let Some(done) = done? else {
                    let platform = &store.data().shared.platform;
                    platform.wake_at(waiting.next(), context.waker());
                    return Poll::Pending;
                };
                values.extend([done]);
            }
            Self::Results(_) => {}
        }
        Poll::Ready(Ok(()))
    }
}

/// The same as [`deliver_in_call`], from outside of the guest's call. `paused` is its allocator.
fn poll_deliver<T>(
    store: &mut Store<State<T>>,
    context: &mut Context<'_>,
    paused: &mut Option<ResumableCallOutOfFuel>,
    delivery: &mut Delivery<'_>,
) -> Poll<Result<(), CallError>> {
    while let Some(size) = delivery.next(store)? {
        match paused {
            Some(paused) => ready!(next_slice(store, context, paused.required_fuel()))?,
            None => ready!(first_slice(store, context))?,
        }
        let allocate = allocator(store.data())?;
        let mut ptr = [Val::I32(0)];
        store.data_mut().guest.nested = true;
        let outcome = match paused.take() {
            Some(paused) => paused.resume(&mut *store, &mut ptr),
            None => allocate.call_resumable(&mut *store, &[word(size)], &mut ptr),
        };
        store.data_mut().guest.nested = false;
        *paused = in_allocate(store, outcome)?;
        if paused.is_none() {
            delivery.got(store, pointer(&ptr))?;
        }
    }
    Poll::Ready(Ok(()))
}

/// The results of an asynchronous host function, no longer than the call may last. Its code is the
/// embedder's.
fn poll_results<T>(
    store: &Store<State<T>>,
    context: &mut Context<'_>,
    results: &mut Results,
) -> Poll<Result<Box<Delivery<'static>>, CallError>> {
    let mut polled = None;
    let platform = &store.data().shared.platform;
    platform.contain(&mut || polled = Some(results.as_mut().poll(context)));
    match polled {
        Some(Poll::Ready(results)) => Poll::Ready(results),
        Some(Poll::Pending) => match call::check_time(store.data()) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        },
        None => Poll::Ready(Err(CallError::Trap(Trap::new(TrapKind::HostPanic, "")))),
    }
}

/// Begins a call: charged, and with its first slice, where it is not run by steps. Before guest code
/// runs the time is to be looked at.
pub(crate) fn begin<T>(store: &mut Store<State<T>>) -> Result<(), CallError> {
    let mut cx = store.as_context_mut();
    if cx.data().pace.is_some() || call::fuel(&cx) > 0 {
        return call::charge(&mut cx, call::BASE);
    }
    let meter = &mut cx.data_mut().meter;
    let Some(left) = meter.reserve.checked_sub(call::BASE) else {
        return Err(meter.out_of_fuel());
    };
    let slice = left.min(SLICE.into());
    meter.reserve = left.saturating_sub(slice);
    call::set_fuel(&mut cx, slice);
    Ok(())
}

/// A slice for a run of guest code that begins. What an earlier run of the call left goes on.
fn first_slice<T>(
    store: &mut Store<State<T>>,
    context: &Context<'_>,
) -> Poll<Result<(), CallError>> {
    if call::fuel(&store.as_context_mut()) == 0 {
        next_slice(store, context, 0)
    } else {
        Poll::Ready(Ok(()))
    }
}

/// Hands the store fuel for the next slice, at least `required`; before that, control to whoever
/// runs the call by steps, if its step is over.
pub(crate) fn next_slice<T>(
    store: &mut Store<State<T>>,
    context: &Context<'_>,
    required: u64,
) -> Poll<Result<(), CallError>> {
    let pace = store.data().pace.as_deref();
    if pace.is_some_and(|pace| pace.ends_step(context)) {
        return Poll::Pending;
    }
    Poll::Ready(refuel(store, required))
}

fn refuel<T>(store: &mut Store<State<T>>, required: u64) -> Result<(), CallError> {
    let mut cx = store.as_context_mut();
    let slice = call::fuel(&cx);
    let state = cx.data_mut();
    call::check_time(state)?;
    if slice >= required && required > 0 {
        let why = "it was stopped for fuel that it had: a resumed call would make no progress";
        return Err(CallError::Trap(Trap::new(TrapKind::Other, why)));
    }
    let all = slice.saturating_add(state.meter.reserve);
    if all < required {
        let error = state.meter.out_of_fuel();
        call::set_fuel(&mut cx, 0);
        return Err(error);
    }
    let pace = state.pace.as_deref();
    let most = pace.map_or(SLICE.into(), Pace::slice);
    let next = most.max(required).min(all);
    if let Some(pace) = pace {
        pace.take(next.saturating_sub(slice));
    }
    state.meter.reserve = all.saturating_sub(next);
    call::set_fuel(&mut cx, next);
    Ok(())
}

/// What the interpreter's error means.
pub(crate) fn stopped<T, C>(cx: &mut C, error: &wasmi::Error) -> CallError
where
    C: AsContextMut<Data = State<T>>,
{
    let mut cx = cx.as_context_mut();
    if error.downcast_ref::<Suspend>().is_some() {
        // Where the host calls an import that the guest hands on, no guest is there to wait.
        drop(cx.data_mut().suspended.get_mut().take());
        let why = "a host function that has to wait can be called by guest code alone";
        return CallError::Trap(Trap::new(TrapKind::Other, why));
    }
    let budget = cx.data().meter.budget().fuel;
    let error = CallError::from_wasmi(error, budget);
    if matches!(error, CallError::OutOfFuel { .. }) {
        // What wasmi left over was too little; the call has no further use for it.
        call::set_fuel(&mut cx, 0);
        cx.data_mut().meter.reserve = 0;
    }
    error
}

/// Runs what `poll` does to its end on this thread. Without steps it is only ever not ready where an
/// asynchronous host function waits: then the platform waits, until `until` at most between two
/// looks.
pub(crate) fn block<R>(
    platform: &Arc<dyn Platform>,
    until: Option<Duration>,
    canceller: Option<&Canceller>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> R {
    let mut polled = poll(&mut Context::from_waker(Waker::noop()));
    loop {
        match polled {
            Poll::Ready(result) => return result,
            Poll::Pending => wait(platform, until, canceller, &mut |context| {
                polled = poll(context);
                polled.is_ready()
            }),
        }
    }
}

/// Waits until `is_ready`, which is asked whenever it has been woken.
#[cold]
#[inline(never)]
fn wait(
    platform: &Arc<dyn Platform>,
    until: Option<Duration>,
    canceller: Option<&Canceller>,
    is_ready: &mut dyn FnMut(&mut Context<'_>) -> bool,
) {
    let signal = Arc::new(Signal {
        woken: AtomicBool::new(true),
        platform: platform.clone(),
    });
    let waker = Waker::from(signal.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        let cancelled = || canceller.is_some_and(Canceller::is_cancelled);
        platform.wait_until(
            &|| signal.woken.swap(false, Ordering::AcqRel) || cancelled(),
            until,
        );
        if is_ready(&mut context) {
            return;
        }
    }
}

/// Wakes a thread that blocks.
struct Signal {
    woken: AtomicBool,
    platform: Arc<dyn Platform>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.platform.wake();
    }
}
