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
    buffers::{Delivery, allocator, no_memory},
    call::{self, Canceller, State},
    error::{CallError, Trap, TrapKind},
    host::Back,
    limits::Usage,
    platform::Platform,
    wasi::Waiting,
};
use alloc::{boxed::Box, sync::Arc, task::Wake};
use core::{
    fmt,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};
use spin::Mutex;
use wasmi::{AsContextMut, Caller, Func, ResumableCall, ResumableCallOutOfFuel, Store, Val};

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

    /// Gives control to whoever runs the call by steps, once the quantum is used up.
    async fn step(&self) {
        if self.left.load(Ordering::Relaxed) > 0 {
            return;
        }
        self.ended.store(true, Ordering::Relaxed);
        let mut came_back = false;
        core::future::poll_fn(|context| {
            if core::mem::replace(&mut came_back, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
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
    /// Its own allocator, which has used up the slice, for the host function's results.
    Allocate(ResumableCallOutOfFuel, Box<Delivery<'static>>),
    /// The results themselves.
    Results(Results),
    /// A time, or input.
    Wasi(Box<Waiting>),
}

/// A host function's results that come later.
pub(crate) type Results =
    Pin<Box<dyn Future<Output = Result<Delivery<'static>, CallError>> + Send>>;

/// The error by which a host function leaves a guest that has to wait.
#[derive(Debug)]
pub(crate) struct Suspend;

impl fmt::Display for Suspend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the guest waits")
    }
}

impl wasmi::errors::HostError for Suspend {}

/// Runs a guest function. `params` must have its parameters' number and types, `results` its
/// results' number.
pub(crate) async fn run<T>(
    store: &mut Store<State<T>>,
    function: Func,
    params: &[Val],
    results: &mut [Val],
) -> Result<(), CallError> {
    first_slice(store).await?;
    let mut outcome = function.call_resumable(&mut *store, params, results);
    loop {
        match outcome {
            Ok(ResumableCall::Finished) => return Ok(()),
            Ok(ResumableCall::OutOfFuel(paused)) => {
                next_slice(store, paused.required_fuel()).await?;
                outcome = paused.resume(&mut *store, results);
            }
            Ok(ResumableCall::HostTrap(paused)) => {
                let suspended = suspended(store, paused.host_error())?;
                let values = settle_apart(store, suspended).await?;
                outcome = paused.resume(&mut *store, &values, results);
            }
            Err(error) => return Err(stopped(store, &error)),
        }
    }
}

/// A buffer of `size` bytes from the guest's allocator.
pub(crate) async fn allocate<T>(store: &mut Store<State<T>>, size: u32) -> Result<u32, CallError> {
    match ask(store, size).await? {
        0 => Err(no_memory(size)),
        ptr => Ok(ptr),
    }
}

/// What the guest's allocator answers; 0 where it has no memory.
pub(crate) async fn ask<T>(store: &mut Store<State<T>>, size: u32) -> Result<u32, CallError> {
    let allocate = allocator(store.data())?;
    let mut ptr = [Val::I32(0)];
    match run(store, allocate, &[word(size)], &mut ptr).await {
        Ok(()) => Ok(pointer(&ptr)),
        Err(error) => Err(error.in_export("allocate")),
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

/// What the guest waits for, if it was not stopped.
fn suspended<T>(store: &mut Store<State<T>>, error: &wasmi::Error) -> Result<Suspended, CallError> {
    let waits = error.downcast_ref::<Suspend>().is_some();
    let suspended = store.data_mut().suspended.get_mut().take();
    let suspended = suspended.filter(|_| waits);
    suspended.ok_or_else(|| stopped(store, error))
}

/// The same as [`settle`], which is rare and large: on the heap it is no part of every call.
#[cold]
#[inline(never)]
fn settle_apart<'a, T>(
    store: &'a mut Store<State<T>>,
    suspended: Suspended,
) -> Pin<Box<impl Future<Output = Result<FlatValues, CallError>> + use<'a, T>>> {
    Box::pin(settle(store, suspended))
}

/// Does what the guest waits for, and gives what its import returns.
async fn settle<T>(
    store: &mut Store<State<T>>,
    suspended: Suspended,
) -> Result<FlatValues, CallError> {
    let Suspended { work, back, at } = suspended;
    let delivered = deliver(store, work).await;
    let results = delivered.and_then(|mut values| {
        back.bring(store, at, &mut values)?;
        Ok(values)
    });
    results.map_err(|error| error.into_stop().in_import(&back.name))
}

/// The same as [`deliver_in_call`], from outside of the guest's call.
async fn deliver<T>(store: &mut Store<State<T>>, work: Work) -> Result<FlatValues, CallError> {
    let (mut paused, mut delivery) = match work {
        Work::Allocate(paused, delivery) => (Some(paused), *delivery),
        Work::Results(results) => (None, wait(store, results).await?),
        Work::Wasi(waiting) => return waiting.finish(store).await,
    };
    while let Some(size) = delivery.next(store)? {
        let mut ptr = [Val::I32(0)];
        let outcome = match paused.take() {
            Some(paused) => {
                next_slice(store, paused.required_fuel()).await?;
                store.data_mut().guest.nested = true;
                paused.resume(&mut *store, &mut ptr)
            }
            None => {
                first_slice(store).await?;
                let allocate = allocator(store.data())?;
                store.data_mut().guest.nested = true;
                allocate.call_resumable(&mut *store, &[word(size)], &mut ptr)
            }
        };
        store.data_mut().guest.nested = false;
        paused = in_allocate(store, outcome)?;
        if paused.is_none() {
            delivery.got(store, pointer(&ptr))?;
        }
    }
    Ok(delivery.values().clone())
}

/// Waits for an asynchronous host function, no longer than the call may last. Its code is the
/// embedder's.
async fn wait<T>(
    store: &mut Store<State<T>>,
    mut results: Results,
) -> Result<Delivery<'static>, CallError> {
    core::future::poll_fn(|context| {
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
    })
    .await
}

/// Hands the store fuel for the next slice, at least `required`; before that, control to whoever
/// runs the call by steps, if its step is over.
async fn next_slice<T>(store: &mut Store<State<T>>, required: u64) -> Result<(), CallError> {
    let pace = store.data().pace.clone();
    if let Some(pace) = &pace {
        pace.step().await;
    }
    let mut cx = store.as_context_mut();
    let slice = call::fuel(&mut cx);
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
    let most = pace.as_ref().map_or(SLICE.into(), |pace| pace.slice());
    let next = most.max(required).min(all);
    if let Some(pace) = &pace {
        pace.take(next.saturating_sub(slice));
    }
    state.meter.reserve = all.saturating_sub(next);
    call::set_fuel(&mut cx, next);
    Ok(())
}

/// A slice for a run of guest code that begins. What an earlier run of the call left goes on.
async fn first_slice<T>(store: &mut Store<State<T>>) -> Result<(), CallError> {
    if call::fuel(&mut store.as_context_mut()) == 0 {
        next_slice(store, 0).await?;
    }
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

/// Runs `future`, pinned by the caller since it is large to be moved, to its end on this thread.
/// Without steps it is only ever not ready where an
/// asynchronous host function waits: then the platform waits, until `until` at most between two
/// looks.
pub(crate) fn block<R>(
    platform: &Arc<dyn Platform>,
    until: Option<Duration>,
    canceller: Option<Canceller>,
    mut future: Pin<&mut impl Future<Output = R>>,
) -> R {
    let mut context = Context::from_waker(Waker::noop());
    if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
        return result;
    }
    let signal = Arc::new(Signal {
        woken: AtomicBool::new(true),
        platform: platform.clone(),
    });
    let waker = Waker::from(signal.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        let cancelled = || canceller.as_ref().is_some_and(Canceller::is_cancelled);
        platform.wait_until(
            &|| signal.woken.swap(false, Ordering::AcqRel) || cancelled(),
            until,
        );
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
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
