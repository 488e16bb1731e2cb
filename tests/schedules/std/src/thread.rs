//! Threads that are counted while they run, and what belongs to each of them.

use std::{
    cell::{Cell, RefCell},
    io,
    num::NonZero,
};

pub use shuttle::thread::{AccessError, JoinHandle};

std::thread_local! {
    static RUNNING: Cell<usize> = const { Cell::new(0) };
}

/// Returns the number of threads that a [`Builder`] started and that have not ended.
pub(crate) fn running() -> usize {
    RUNNING.get()
}

/// Sets the number of running threads to zero, for a new execution.
pub fn reset() {
    RUNNING.set(0);
}

/// Returns the number of processors, two.
///
/// # Errors
///
/// Never.
pub const fn available_parallelism() -> io::Result<NonZero<usize>> {
    Ok(NonZero::<usize>::MIN.saturating_add(1))
}

/// Starts a thread.
#[derive(Debug, Default)]
pub struct Builder(());

impl Builder {
    /// Returns one that starts a thread without a name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does nothing: a thread here has no name.
    #[must_use]
    pub fn name(self, _: String) -> Self {
        self
    }

    /// Starts a thread, which counts as running at once.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn spawn<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        struct Running;
        impl Drop for Running {
            fn drop(&mut self) {
                RUNNING.set(RUNNING.get().saturating_sub(1));
            }
        }
        RUNNING.set(RUNNING.get() + 1);
        let running = Running;
        shuttle::thread::Builder::new().spawn(move || {
            let _running = running;
            work()
        })
    }
}

/// A value for each thread. Made by [`thread_local!`](crate::thread_local).
pub struct LocalKey<T: 'static>(#[doc(hidden)] pub shuttle::thread::LocalKey<T>);

impl<T: 'static> LocalKey<T> {
    /// Gives the thread's value to `work`; not while the thread ends.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the thread's value is gone.
    pub fn try_with<R>(&'static self, work: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        self.0.try_with(work)
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Lends the thread's value to `work`.
    pub fn with_borrow_mut<R>(&'static self, work: impl FnOnce(&mut T) -> R) -> R {
        self.0.with(|value| work(&mut value.borrow_mut()))
    }
}

/// Makes a value for each thread.
#[macro_export]
macro_rules! thread_local {
    (static $name:ident: $type:ty = const { $value:expr };) => {
        $crate::thread_local! { static $name: $type = $value; }
    };
    (static $name:ident: $type:ty = $value:expr;) => {
        static $name: $crate::thread::LocalKey<$type> =
            $crate::thread::LocalKey($crate::thread::local(|| $value));
    };
}

#[doc(hidden)]
pub const fn local<T>(init: fn() -> T) -> shuttle::thread::LocalKey<T> {
    shuttle::thread::LocalKey {
        init,
        _p: std::marker::PhantomData,
    }
}
