//! [`StateStore`]: the trait of stores that keep plugins' values from call to call, with its limits
//! and errors.

use alloc::sync::Arc;
use core::{error::Error, fmt};

/// A store of plugins' values, which outlive calls and instances. Plugins reach it through
/// [`Grants::state`](crate::Grants::state); [`MemoryState`](crate::MemoryState) is one in memory.
///
/// A value is found by its *namespace* and its *key*. The embedder chooses the namespace, by default
/// the plugin's name; the plugin chooses the key. A store must not join the two into one text, so
/// that no key can reach into another namespace. Keys are any bytes, the empty key included, and are
/// ordered byte by byte.
///
/// Each function is atomic, and all callers see the functions take effect in one order. A sequence
/// of functions is not atomic. An [`Arc`] of a store is a store, so that several plugins can share
/// one.
///
/// ```
/// use hostel_core::{MemoryState, StateLimits, StateStore as _};
/// let store = MemoryState::new(StateLimits::device());
/// store.set("lamp", b"colour", b"warm")?;
/// assert_eq!(store.get("lamp", b"colour")?.as_deref(), Some(&b"warm"[..]));
/// assert_eq!(store.get("door", b"colour")?, None);
/// # Ok::<(), hostel_core::StateError>(())
/// ```
pub trait StateStore: Send + Sync + 'static {
    /// Returns the fuel that a plugin is charged for the store's own work.
    fn costs(&self) -> StateCosts;

    /// Returns the value of `key`; `None` if it has none.
    ///
    /// # Errors
    ///
    /// [`StateError::KeyBytes`] if the key is too long, [`StateError::Failed`] if the store does not
    /// work.
    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Arc<[u8]>>, StateError>;

    /// Sets the value of `key`, replacing an earlier one. An error means that nothing has changed,
    /// except [`StateError::DiskFull`] and [`StateError::Failed`]: after these, `key` has either its old
    /// value or the new one.
    ///
    /// # Errors
    ///
    /// Any [`StateError`].
    fn set(&self, namespace: &str, key: &[u8], value: &[u8]) -> Result<(), StateError>;

    /// As [`set`](Self::set), but only if what the namespace would then hold `fits`. Returns false if it does
    /// not; then nothing has changed.
    ///
    /// Two calls at a time must not both pass `fits` by values that fit only one by one. The default compares
    /// and then sets, which does not prevent that: a store that several threads use has to do both under its
    /// lock.
    ///
    /// # Errors
    ///
    /// As for [`set`](Self::set).
    fn set_if(
        &self,
        namespace: &str,
        key: &[u8],
        value: &[u8],
        fits: &dyn Fn(StateUse) -> bool,
    ) -> Result<bool, StateError> {
        let old = self.get(namespace, key)?.map(|old| old.len());
        let next = self.used(namespace)?.without(key, old).with(key, value);
        if !fits(next) {
            return Ok(false);
        }
        self.set(namespace, key, value)?;
        Ok(true)
    }

    /// Removes `key` and its value. A key without a value is no error.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get), and [`StateError::DiskFull`].
    fn delete(&self, namespace: &str, key: &[u8]) -> Result<(), StateError>;

    /// Calls `visit` with each key that begins with `prefix` and is greater than `after`, in order,
    /// until it returns false. The store may hold a lock meanwhile, so `visit` must not use the store.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    fn list(
        &self,
        namespace: &str,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), StateError>;

    /// Returns the number and size of the values in a namespace.
    ///
    /// # Errors
    ///
    /// [`StateError::Failed`] if the store does not work.
    fn used(&self, namespace: &str) -> Result<StateUse, StateError>;
}

impl<S: StateStore + ?Sized> StateStore for Arc<S> {
    fn costs(&self) -> StateCosts {
        (**self).costs()
    }

    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Arc<[u8]>>, StateError> {
        (**self).get(namespace, key)
    }

    fn set(&self, namespace: &str, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        (**self).set(namespace, key, value)
    }

    fn set_if(
        &self,
        namespace: &str,
        key: &[u8],
        value: &[u8],
        fits: &dyn Fn(StateUse) -> bool,
    ) -> Result<bool, StateError> {
        (**self).set_if(namespace, key, value, fits)
    }

    fn delete(&self, namespace: &str, key: &[u8]) -> Result<(), StateError> {
        (**self).delete(namespace, key)
    }

    fn list(
        &self,
        namespace: &str,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), StateError> {
        (**self).list(namespace, prefix, after, visit)
    }

    fn used(&self, namespace: &str) -> Result<StateUse, StateError> {
        (**self).used(namespace)
    }
}

/// Units of fuel for a store's own work, whether or not a key is found. The bytes of keys and values
/// are charged in addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateCosts {
    /// For each `get`, and for the start of each `list`.
    pub read: u64,
    /// For each `set` and each `delete`, also if nothing changes.
    pub write: u64,
    /// For each key that a `list` visits.
    pub scan: u64,
}

/// The limits of one namespace. The default is [`server`](Self::server).
///
/// ```
/// let mut limits = hostel_core::StateLimits::server();
/// limits.total_bytes = 4 << 20;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateLimits {
    /// Highest number of keys.
    pub keys: usize,
    /// Longest key, in bytes.
    pub key_bytes: usize,
    /// Longest value, in bytes.
    pub value_bytes: usize,
    /// Highest sum of the bytes of all keys and values.
    pub total_bytes: usize,
}

impl StateLimits {
    /// Limits for a server: 1,000 keys of up to 256 bytes, values of up to 64 KiB, 1 MiB in all.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            keys: 1_000,
            key_bytes: 256,
            value_bytes: 64 << 10,
            total_bytes: 1 << 20,
        }
    }

    /// Limits for a microcontroller: 32 keys of up to 32 bytes, values of up to 256 bytes, 2 KiB in
    /// all.
    #[must_use]
    pub const fn device() -> Self {
        Self {
            keys: 32,
            key_bytes: 32,
            value_bytes: 256,
            total_bytes: 2 << 10,
        }
    }

    /// Checks the length of a key, a prefix or a start of a list.
    ///
    /// # Errors
    ///
    /// [`StateError::KeyBytes`] if it exceeds [`key_bytes`](Self::key_bytes).
    pub const fn check_key(&self, key: &[u8]) -> Result<(), StateError> {
        let (limit, found) = (self.key_bytes, key.len());
        if found > limit {
            return Err(StateError::KeyBytes { limit, found });
        }
        Ok(())
    }

    /// Checks the length of a value. Call this before copying the value.
    ///
    /// # Errors
    ///
    /// [`StateError::ValueBytes`] if it exceeds [`value_bytes`](Self::value_bytes).
    pub const fn check_value(&self, value: &[u8]) -> Result<(), StateError> {
        let (limit, found) = (self.value_bytes, value.len());
        if found > limit {
            return Err(StateError::ValueBytes { limit, found });
        }
        Ok(())
    }

    /// Returns what a namespace that holds `used` will hold after `key` is set to `value`. `old` is the
    /// length of the key's present value. A namespace above a limit that was lowered may still shrink.
    ///
    /// # Errors
    ///
    /// [`StateError::Keys`] or [`StateError::TotalBytes`] if that limit would be exceeded.
    pub const fn admit(
        &self,
        used: StateUse,
        key: &[u8],
        old: Option<usize>,
        value: &[u8],
    ) -> Result<StateUse, StateError> {
        let next = used.without(key, old).with(key, value);
        if next.keys > self.keys && next.keys > used.keys {
            let (limit, found) = (self.keys, next.keys);
            return Err(StateError::Keys { limit, found });
        }
        if next.bytes > self.total_bytes && next.bytes > used.bytes {
            let (limit, found) = (self.total_bytes, next.bytes);
            return Err(StateError::TotalBytes { limit, found });
        }
        Ok(next)
    }
}

impl Default for StateLimits {
    /// [`StateLimits::server`].
    fn default() -> Self {
        Self::server()
    }
}

/// The number and size of the values in one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateUse {
    /// Number of keys.
    pub keys: usize,
    /// Sum of the bytes of all keys and values.
    pub bytes: usize,
}

impl StateUse {
    /// Returns the use after `key`, which has no value, is set to `value`.
    const fn with(self, key: &[u8], value: &[u8]) -> Self {
        Self {
            keys: self.keys.saturating_add(1),
            bytes: self
                .bytes
                .saturating_add(key.len())
                .saturating_add(value.len()),
        }
    }

    /// Returns the use after `key` is deleted. `old` is the length of its value in bytes, or `None` if
    /// it has no value.
    #[must_use]
    pub const fn without(self, key: &[u8], old: Option<usize>) -> Self {
        match old {
            None => self,
            Some(old) => Self {
                keys: self.keys.saturating_sub(1),
                bytes: self.bytes.saturating_sub(key.len()).saturating_sub(old),
            },
        }
    }
}

/// An error of a [`StateStore`]. The plugin receives its code and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// The key is longer than [`StateLimits::key_bytes`].
    KeyBytes {
        /// The limit, in bytes.
        limit: usize,
        /// The key's length, in bytes.
        found: usize,
    },
    /// The value is longer than [`StateLimits::value_bytes`].
    ValueBytes {
        /// The limit, in bytes.
        limit: usize,
        /// The value's length, in bytes.
        found: usize,
    },
    /// The namespace would hold more keys than [`StateLimits::keys`].
    Keys {
        /// The limit.
        limit: usize,
        /// The number of keys that it would hold.
        found: usize,
    },
    /// The namespace would hold more bytes than [`StateLimits::total_bytes`].
    TotalBytes {
        /// The limit, in bytes.
        limit: usize,
        /// The bytes that it would hold.
        found: usize,
    },
    /// The host's disk is full, or the share of it that the host may use. Reading still works.
    DiskFull,
    /// The store does not work. The plugin is not told why; see the host's log.
    Failed,
}

impl StateError {
    /// Returns the stable code of this kind of error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyBytes { .. } => "state-key-bytes",
            Self::ValueBytes { .. } => "state-value-bytes",
            Self::Keys { .. } => "state-keys",
            Self::TotalBytes { .. } => "state-total-bytes",
            Self::DiskFull => "state-disk-full",
            Self::Failed => "state-failed",
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyBytes { limit, found } => write!(
                f,
                "the key has {found} bytes, {limit} are allowed: use a shorter one"
            ),
            Self::ValueBytes { limit, found } => write!(
                f,
                "the value has {found} bytes, {limit} are allowed: use several keys"
            ),
            Self::Keys { limit, found } => write!(
                f,
                "there would be {found} keys, {limit} are allowed: delete some first"
            ),
            Self::TotalBytes { limit, found } => write!(
                f,
                "there would be {found} bytes of keys and values, {limit} are allowed: delete some first"
            ),
            Self::DiskFull => f.write_str(
                "the host's disk is full: reading still works, try to write again later",
            ),
            Self::Failed => f.write_str("the host's store does not work: try again later"),
        }
    }
}

impl Error for StateError {}
