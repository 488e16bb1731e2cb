//! What the core needs of the world around it, as one trait.

use alloc::sync::Arc;
use core::{task::Waker, time::Duration};

/// Clock, waiting, free memory and panic containment, as far as the machine has them.
///
/// Every method has a default that is right where there is neither an operating system nor a
/// clock, so a device starts with [`NoPlatform`] and implements only what it has.
///
/// ```
/// use core::time::Duration;
/// struct Board;
/// impl hostel_core::Platform for Board {
///     fn now(&self) -> Option<Duration> {
///         Some(Duration::from_millis(42)) // read a hardware timer here
///     }
/// }
/// ```
pub trait Platform: Send + Sync + 'static {
    /// Time since any fixed moment; never goes back. `None` without a clock: then deadlines are
    /// not enforced.
    fn now(&self) -> Option<Duration> {
        None
    }

    /// Bytes of the heap that are free, where that is known: then a plugin, an instance or a call for
    /// which they are too few is refused, instead of failing in the middle of an allocation.
    fn free_bytes(&self) -> Option<usize> {
        None
    }

    /// Blocks the caller until `ready` answers true or `until` (on the clock of
    /// [`now`](Self::now)) has passed; answers what `ready` said last.
    ///
    /// By default asks once and does not wait.
    fn wait_until(&self, ready: &dyn Fn() -> bool, until: Option<Duration>) -> bool {
        let _ = until;
        ready()
    }

    /// Called when something that [`wait_until`](Self::wait_until) may wait for has changed.
    fn wake(&self) {}

    /// Wakes `waker`, once, no later than `at` on the clock of [`now`](Self::now), without blocking
    /// the caller: a guest of WASI waits until then in a call that is run by steps or
    /// [awaited](crate::PendingCall). Without `at`, it waits for input alone.
    ///
    /// By default wakes at once: right everywhere, but an executor then polls the call again and
    /// again. Whoever has a timer sets it here.
    fn wake_at(&self, at: Option<Duration>, waker: &Waker) {
        let _ = at;
        waker.wake_by_ref();
    }

    /// What stops a panic, where the machine can: a function that runs what it is given, and
    /// returns also where that has panicked. Host functions run in it, and a guest whose host
    /// function did not finish is trapped. The answer must always be the same.
    ///
    /// By default there is none, and a panic is what it is on the machine.
    ///
    /// ```
    /// use std::panic::{AssertUnwindSafe, catch_unwind};
    /// struct Machine;
    /// impl hostel_core::Platform for Machine {
    ///     fn containment(&self) -> Option<fn(&mut dyn FnMut())> {
    ///         Some(|work| drop(catch_unwind(AssertUnwindSafe(work))))
    ///     }
    /// }
    /// ```
    fn containment(&self) -> Option<fn(&mut dyn FnMut())> {
        None
    }
}

impl dyn Platform {
    /// Runs the embedder's code, which does not finish where it panics and that is contained.
    pub(crate) fn contain(&self, work: &mut dyn FnMut()) {
        match self.containment() {
            Some(contain) => contain(work),
            None => work(),
        }
    }
}

impl<P: Platform + ?Sized> Platform for Arc<P> {
    fn now(&self) -> Option<Duration> {
        (**self).now()
    }

    fn free_bytes(&self) -> Option<usize> {
        (**self).free_bytes()
    }

    fn wait_until(&self, ready: &dyn Fn() -> bool, until: Option<Duration>) -> bool {
        (**self).wait_until(ready, until)
    }

    fn wake(&self) {
        (**self).wake();
    }

    fn wake_at(&self, at: Option<Duration>, waker: &Waker) {
        (**self).wake_at(at, waker);
    }

    fn containment(&self) -> Option<fn(&mut dyn FnMut())> {
        (**self).containment()
    }
}

/// The platform of a machine with nothing: no clock, no waiting, no unwinding.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPlatform;

impl Platform for NoPlatform {}
