//! The trait by which the core uses the machine that it runs on.

use super::nesting::Nesting;
use alloc::{boxed::Box, sync::Arc};
use core::{task::Waker, time::Duration};

/// A machine's clock, waiting, free memory and panic containment, as far as it has them.
///
/// Every method has a default for a machine without operating system and clock. So a device starts
/// with [`NoPlatform`] and implements only the methods that it can. `hostel::Std` implements all of
/// them for servers.
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
    /// Returns the time since a fixed moment of the implementer's choice. It must never decrease.
    ///
    /// By default `None`: there is no clock, and a call with a deadline fails with
    /// [`NoClock`](crate::CallError::NoClock).
    fn now(&self) -> Option<Duration> {
        None
    }

    /// Returns the bytes of the heap that are free. A plugin, an instance or a call that needs more
    /// is refused with `DoesNotFit`, instead of failing in the middle of an allocation.
    ///
    /// By default `None`: the figure is unknown, and nothing is refused for it.
    fn free_bytes(&self) -> Option<usize> {
        None
    }

    /// Blocks the calling thread until `ready` returns true or `until` (on the clock of
    /// [`now`](Self::now)) has passed. Returns the last result of `ready`.
    ///
    /// By default calls `ready` once and does not wait.
    fn wait_until(&self, ready: &dyn Fn() -> bool, until: Option<Duration>) -> bool {
        let _ = until;
        ready()
    }

    /// Makes all threads in [`wait_until`](Self::wait_until) call `ready` again. hostel calls it
    /// whenever a result of `ready` may have changed and the thread that waits for it has no
    /// [waker](Self::thread_waker), also from an interrupt in which
    /// [`Canceller::cancel`](crate::Canceller::cancel) is called.
    ///
    /// By default does nothing, as fits a `wait_until` that does not wait.
    fn wake(&self) {}

    /// Returns a waker that makes the calling thread alone, while it is in
    /// [`wait_until`](Self::wait_until), call `ready` again. A wake between a call of `ready` and the
    /// wait after it must not be lost.
    ///
    /// By default `None`: all threads are woken instead, by [`wake`](Self::wake). If thousands
    /// wait, that delays each of them.
    fn thread_waker(&self) -> Option<Waker> {
        None
    }

    /// Wakes `waker` once, no later than `at` on the clock of [`now`](Self::now), without blocking.
    /// Without `at`, the guest waits for input alone. Used for a call that is
    /// [awaited](crate::PendingCall): while its WASI guest waits, and to end its wait for an
    /// [asynchronous](crate::Async) host function or a free instance at the deadline.
    ///
    /// By default wakes at once. That is correct everywhere, but makes an executor poll the call
    /// again and again; set a timer instead if there is one.
    fn wake_at(&self, at: Option<Duration>, waker: &Waker) {
        let _ = at;
        waker.wake_by_ref();
    }

    /// Forgets the time that was set with [`wake_at`](Self::wake_at) for a waker that
    /// [wakes](Waker::will_wake) the same task: its call has ended, or no longer waits.
    ///
    /// By default does nothing. The waker is then woken in vain, and held until then.
    fn forget_wake(&self, waker: &Waker) {
        let _ = waker;
    }

    /// Returns the number of threads that can run at the same time. hostel keeps as many
    /// [copies](crate::Limits::copies) of a plugin's code, if that many of its instances are in use.
    ///
    /// By default 1.
    fn processors(&self) -> usize {
        1
    }

    /// Runs `work` on another thread, without blocking. hostel compiles further copies of a plugin's
    /// code in it, at most [`processors`](Self::processors) at a time for all plugins of an engine. `work` may be dropped instead, if no thread can be had.
    ///
    /// By default runs `work` at once, on the calling thread.
    fn run_in_background(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    /// Returns a function that calls its argument with the calling thread's [`Nesting`], the list of calls
    /// that run on it. hostel bounds how deep calls nest, when host functions call plugins, and refuses a
    /// wait for an instance that the waiting thread itself holds. Must return the same function every
    /// time.
    ///
    /// By default `None`: threads can't be told apart. hostel then allows 64 calls at a time in all
    /// threads together, of plugins that import functions. So a server should implement this with a
    /// thread-local variable. On a machine with one thread, a `static` serves:
    ///
    /// ```
    /// use hostel_core::{Nesting, Platform};
    /// use std::sync::Mutex; // on a device `critical_section::Mutex`
    /// struct Board;
    /// impl Platform for Board {
    ///     fn nesting(&self) -> Option<fn(&mut dyn FnMut(&mut Nesting))> {
    ///         static NESTING: Mutex<Nesting> = Mutex::new(Nesting::new(2));
    ///         Some(|change| change(&mut NESTING.lock().unwrap()))
    ///     }
    /// }
    /// ```
    #[allow(clippy::type_complexity)] // A name for it would tell less.
    fn nesting(&self) -> Option<fn(&mut dyn FnMut(&mut Nesting))> {
        None
    }

    /// Returns a function that runs its argument once and returns even if that panics. Host
    /// functions run in it; if one panics, the guest traps with
    /// [`HostPanic`](crate::TrapKind::HostPanic). Must return the same function every time.
    ///
    /// By default `None`: a panic in a host function unwinds or aborts as the program is built to.
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
    /// Runs `work`, the embedder's code. If a panic in it is contained, this returns with `work`
    /// unfinished.
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

    fn thread_waker(&self) -> Option<Waker> {
        (**self).thread_waker()
    }

    fn wake_at(&self, at: Option<Duration>, waker: &Waker) {
        (**self).wake_at(at, waker);
    }

    fn forget_wake(&self, waker: &Waker) {
        (**self).forget_wake(waker);
    }

    fn processors(&self) -> usize {
        (**self).processors()
    }

    fn run_in_background(&self, work: Box<dyn FnOnce() + Send>) {
        (**self).run_in_background(work);
    }

    fn nesting(&self) -> Option<fn(&mut dyn FnMut(&mut Nesting))> {
        (**self).nesting()
    }

    fn containment(&self) -> Option<fn(&mut dyn FnMut())> {
        (**self).containment()
    }
}

/// The platform of a bare machine: no clock, no waiting, no unwinding.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPlatform;

impl Platform for NoPlatform {}
