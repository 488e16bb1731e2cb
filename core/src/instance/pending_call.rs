//! A call in progress, run step by step or awaited.

use crate::{base::limits::Usage, call::pace::Pace};
use alloc::{boxed::Box, sync::Arc};
use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// A call in progress. It does nothing until it is run: by [`step`](Self::step), or as a future,
/// on any executor, which then gets control back after each quantum of fuel.
///
/// Dropping it cancels the call; its instance, where it has begun there, then [refuses further
/// calls](crate::Instance::is_stopped). Its result, its errors and the fuel that it uses do not
/// depend on the quantum. A deadline counts from the first step, and is looked at in each.
///
/// A guest of WASI that sleeps or waits for stdin is suspended; no thread waits with it. Whoever
/// steps the call steps it again later, at most 10 ms if it is to be in time. Where the call is
/// awaited, [`Platform::wake_at`](crate::Platform::wake_at) has it polled in time: `hostel::Std` has
/// a timer for that, and by default it is polled at once, again and again. For an
/// [asynchronous](crate::Async) host function that has not ended at the deadline, a timer of the
/// executor's is needed.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
/// #   (func (export "process") (param i32 i32) (result i32 i32) (local $n i32)
/// #     (local.set $n (i32.const 50000))
/// #     (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
/// #     (local.get 0) (local.get 1)))"#)?;
/// use hostel_core::{Engine, Grants, Step};
/// let plugin = Engine::default().load("echo", &wasm, &Grants::new())?;
/// let mut instance = plugin.instantiate(())?;
/// let mut call = instance.process_async(b"hello");
/// let mut steps = 1;
/// let answer = loop {
///     match call.step(10_000) {
///         Step::Done(result) => break result?,
///         Step::More => steps += 1, // other work may be done here
///         Step::Waiting => unreachable!("no host function here is asynchronous"),
///     }
/// };
/// assert_eq!(answer, b"hello");
/// assert!(steps > 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a call does nothing until it is stepped or awaited"]
pub struct PendingCall<F> {
    call: Pin<Box<F>>,
    pace: Arc<Pace>,
}

/// How far a step has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<R> {
    /// The call is over.
    Done(R),
    /// The quantum is used up; there is more to run.
    More,
    /// It waits for an asynchronous host function, for a time or stdin with WASI, or for a place among
    /// its plugin's instances. Step again when that may have ended; who wants to be woken awaits the
    /// call instead.
    Waiting,
}

impl<F: Future> PendingCall<F> {
    pub(crate) fn begin(call: impl FnOnce(Arc<Pace>) -> F) -> Self {
        let pace = Arc::new(Pace::new());
        Self {
            call: Box::pin(call(pace.clone())),
            pace,
        }
    }

    /// Runs the guest for up to `quantum` units of fuel, at least 1. What can't be interrupted, such
    /// as one bulk operation in memory, may use more, but none of it at no charge.
    ///
    /// # Panics
    ///
    /// If it has ended before.
    pub fn step(&mut self, quantum: u64) -> Step<F::Output> {
        self.pace.begin(Some(quantum));
        let mut context = Context::from_waker(Waker::noop());
        match self.call.as_mut().poll(&mut context) {
            Poll::Ready(result) => Step::Done(result),
            Poll::Pending if self.pace.take_ended() => Step::More,
            Poll::Pending => Step::Waiting,
        }
    }

    /// What the call used, its instance's making included, once it is over; nothing before.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (func (export "f")))"#)?;
    /// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::new())?;
    /// let mut call = plugin.call_async::<(), ()>("f", ());
    /// assert_eq!(call.usage().fuel, 0);
    /// call.step(1_000);
    /// assert!(call.usage().fuel > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.pace.usage()
    }

    /// The same call with another quantum where it is awaited; 10,000 units of fuel at first.
    pub fn with_quantum(self, fuel: u64) -> Self {
        self.pace.set_quantum(fuel);
        self
    }
}

impl<F: Future> Future for PendingCall<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.pace.begin(None);
        let polled = self.call.as_mut().poll(context);
        self.pace.take_ended();
        polled
    }
}

impl<F> core::fmt::Debug for PendingCall<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PendingCall").finish_non_exhaustive()
    }
}
