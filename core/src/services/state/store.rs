//! Values that the host keeps for plugins, from call to call.

use alloc::sync::Arc;
use core::{error::Error, fmt};

/// Where plugins' values are kept. What a plugin asks of it comes through
/// [`Grants::state`](crate::Grants::state).
///
/// A value is found by its *namespace* and its *key*. The namespace is the embedder's, one for each
/// plugin, and never mixed with a key into one text: no key reaches out of its namespace. Keys are
/// any bytes, none included, and are in the order of their bytes.
///
/// Each operation is atomic, and one after another as others see them; two of them are not one. An
/// `Arc` of a store is a store, so several plugins can share one.
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
    /// What a plugin is charged for the store's own work.
    fn costs(&self) -> StateCosts;

    /// The value of a key, if it has one.
    ///
    /// # Errors
    ///
    /// [`StateError::KeyBytes`] or [`StateError::Failed`].
    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Arc<[u8]>>, StateError>;

    /// Gives a key a value, instead of the one that it has. With an error nothing has changed,
    /// though after [`StateError::Failed`] that may show only once the store is opened again.
    ///
    /// # Errors
    ///
    /// Any.
    fn set(&self, namespace: &str, key: &[u8], value: &[u8]) -> Result<(), StateError>;

    /// Takes a key's value away, if it has one.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    fn delete(&self, namespace: &str, key: &[u8]) -> Result<(), StateError>;

    /// Shows `visit` the keys that begin with `prefix` and come after `after`, in order, until it
    /// answers false. It must not use the store meanwhile.
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

    /// What a namespace holds.
    ///
    /// # Errors
    ///
    /// [`StateError::Failed`].
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

/// Fuel for a store's own work, whatever it finds; bytes are charged besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateCosts {
    /// Looking for a key: each `get`, and the start of each `list`.
    pub read: u64,
    /// MutableState what is kept, or finding nothing to change: each `set` and each `delete`.
    pub write: u64,
    /// Each key that `list` looks at.
    pub scan: u64,
}

/// What one namespace may hold.
///
/// ```
/// let mut limits = hostel_core::StateLimits::server();
/// limits.total_bytes = 4 << 20;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateLimits {
    /// Most keys.
    pub keys: usize,
    /// Longest key, in bytes.
    pub key_bytes: usize,
    /// Longest value, in bytes.
    pub value_bytes: usize,
    /// Most bytes of keys and values together.
    pub total_bytes: usize,
}

impl StateLimits {
    /// For a server: 1,000 keys of 256 bytes, values of 64 KiB, 1 MiB together.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            keys: 1_000,
            key_bytes: 256,
            value_bytes: 64 << 10,
            total_bytes: 1 << 20,
        }
    }

    /// For a microcontroller: 32 keys of 32 bytes, values of 256 bytes, 2 KiB together.
    #[must_use]
    pub const fn device() -> Self {
        Self {
            keys: 32,
            key_bytes: 32,
            value_bytes: 256,
            total_bytes: 2 << 10,
        }
    }

    /// Checks a key, or what is given in the place of one.
    ///
    /// # Errors
    ///
    /// [`StateError::KeyBytes`].
    pub const fn check_key(&self, key: &[u8]) -> Result<(), StateError> {
        let (limit, found) = (self.key_bytes, key.len());
        if found > limit {
            return Err(StateError::KeyBytes { limit, found });
        }
        Ok(())
    }

    /// Checks a value, before it is copied.
    ///
    /// # Errors
    ///
    /// [`StateError::ValueBytes`].
    pub const fn check_value(&self, value: &[u8]) -> Result<(), StateError> {
        let (limit, found) = (self.value_bytes, value.len());
        if found > limit {
            return Err(StateError::ValueBytes { limit, found });
        }
        Ok(())
    }

    /// What a namespace that holds `used` will hold with `value` for `key`, whose value had `old`
    /// bytes. One that is over a limit already, since the limit was lowered, may still shrink.
    ///
    /// # Errors
    ///
    /// [`StateError::Keys`] or [`StateError::TotalBytes`].
    pub const fn admit(
        &self,
        used: StateUse,
        key: &[u8],
        old: Option<usize>,
        value: &[u8],
    ) -> Result<StateUse, StateError> {
        let without = used.without(key, old);
        let next = StateUse {
            keys: without.keys.saturating_add(1),
            bytes: without
                .bytes
                .saturating_add(key.len())
                .saturating_add(value.len()),
        };
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

/// What one namespace holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateUse {
    /// Its keys.
    pub keys: usize,
    /// The bytes of its keys and values.
    pub bytes: usize,
}

impl StateUse {
    /// What is left without `key`, whose value had `old` bytes.
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

/// Why a store did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// The key is over [`StateLimits::key_bytes`].
    KeyBytes {
        /// The limit, in bytes.
        limit: usize,
        /// The key's length, in bytes.
        found: usize,
    },
    /// The value is over [`StateLimits::value_bytes`].
    ValueBytes {
        /// The limit, in bytes.
        limit: usize,
        /// The value's length, in bytes.
        found: usize,
    },
    /// There would be more keys than [`StateLimits::keys`].
    Keys {
        /// The limit.
        limit: usize,
        /// How many there would be.
        found: usize,
    },
    /// There would be more bytes than [`StateLimits::total_bytes`].
    TotalBytes {
        /// The limit.
        limit: usize,
        /// How many there would be.
        found: usize,
    },
    /// The store does not work, for a reason that is the host's affair and not the plugin's.
    Failed,
}

impl StateError {
    /// The stable code of this kind of error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyBytes { .. } => "state-key-bytes",
            Self::ValueBytes { .. } => "state-value-bytes",
            Self::Keys { .. } => "state-keys",
            Self::TotalBytes { .. } => "state-total-bytes",
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
            Self::Failed => f.write_str("the host's store does not work: try again later"),
        }
    }
}

impl Error for StateError {}
