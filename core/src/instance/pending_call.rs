//! [`PendingCall`]: a call that is run step by step, or awaited.

use crate::{base::limits::Usage, call::pace::Pace};
use alloc::{boxed::Box, sync::Arc};
use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// A call in progress. It does nothing until it is run: by [`step`](Self::step), or as a future
/// on any executor, which gets control back after each quantum of fuel (10,000 units by
/// [default](Self::with_quantum)).
///
/// Result, errors and fuel do not depend on the quantum. The deadline counts from the first step and
/// is checked in each. Dropping the call cancels it; if it had begun in an instance, that instance
/// [refuses further calls](crate::Instance::is_stopped).
///
/// A WASI guest that sleeps or waits for stdin is suspended and holds no thread. When stepping, step
/// again within 10 ms to meet the deadline. When awaiting,
/// [`Platform::wake_at`](crate::Platform::wake_at) wakes the call in time: `hostel::Std` has a timer
/// for that; the default wakes it at once, so the executor polls in a loop. A wait for an
/// [asynchronous](crate::Async) host function ends at the deadline in this way, too.
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

/// The result of one [`PendingCall::step`].
#[derive(Debug, PartialEq, Eq)]
pub enum Step<R> {
    /// The call has ended with this result. Do not step it again.
    Done(R),
    /// The quantum is used up. Step again to go on.
    More,
    /// The call waits: for an asynchronous host function, for a time or stdin in WASI, or for a free
    /// instance of its plugin. Step again when that may have ended, or await the call to be woken.
    Waiting,
}

impl<F: Future> PendingCall<F> {
    /// Puts the future that `call` makes on the heap, with the pace by which it runs.
    pub(crate) fn begin(call: impl FnOnce(Arc<Pace>) -> F) -> Self {
        let pace = Arc::new(Pace::new());
        Self {
            call: Box::pin(call(pace.clone())),
            pace,
        }
    }

    /// Runs the guest for up to `quantum` units of fuel; 0 counts as 1. An operation that can't be
    /// interrupted may use more: making an instance, one host function, a part of up to 512 KiB of a
    /// bulk operation. It is charged in full.
    ///
    /// # Panics
    ///
    /// If an earlier step returned [`Step::Done`].
    pub fn step(&mut self, quantum: u64) -> Step<F::Output> {
        self.pace.begin(Some(quantum));
        let mut context = Context::from_waker(Waker::noop());
        let polled = self.call.as_mut().poll(&mut context);
        self.pace.note_time();
        match polled {
            Poll::Ready(result) => Step::Done(result),
            Poll::Pending if self.pace.take_ended() => Step::More,
            Poll::Pending => Step::Waiting,
        }
    }

    /// Returns what the call has used up to the end of its last step or poll. Making its instance is
    /// included. Read it before you drop a call whose client has gone.
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
        self.pace.noted()
    }

    /// Sets the quantum of an awaited call, in units of fuel; the default is 10,000.
    /// [`step`](Self::step) has a quantum of its own.
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
        self.pace.note_time();
        self.pace.take_ended();
        polled
    }
}

impl<F> core::fmt::Debug for PendingCall<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PendingCall").finish_non_exhaustive()
    }
}
