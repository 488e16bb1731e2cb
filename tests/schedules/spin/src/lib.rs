//! The locks of the crate spin, as far as hostel and wasmi use them, made of shuttle's: a thread that
//! takes or frees one may be interrupted by the others.

use shuttle::sync::{self, MutexGuard, PoisonError, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::sync::OnceLock;

/// A lock for one thread.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Returns a free lock that guards `value`.
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock, and takes it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        // As spin's, which nothing poisons.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Returns the value, which nobody else can have locked.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock for one thread that writes, or many that read.
#[derive(Debug, Default)]
pub struct RwLock<T: ?Sized>(sync::RwLock<T>);

impl<T> RwLock<T> {
    /// Returns a free lock that guards `value`.
    pub const fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until no thread writes.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other thread reads or writes.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A value that the first thread makes while the others wait.
#[derive(Debug)]
pub struct Once<T> {
    making: sync::Mutex<()>,
    value: OnceLock<T>,
}

impl<T> Once<T> {
    /// Returns one without a value.
    pub const fn new() -> Self {
        Self {
            making: sync::Mutex::new(()),
            value: OnceLock::new(),
        }
    }

    /// Returns the value, and makes it if there is none.
    pub fn call_once(&self, make: impl FnOnce() -> T) -> &T {
        let _guard = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.value.get_or_init(make)
    }

    /// Returns the value if it was made.
    pub fn get(&self) -> Option<&T> {
        // Lets other threads run before. While one of them makes the value, it is not there yet.
        drop(self.making.try_lock());
        self.value.get()
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}
