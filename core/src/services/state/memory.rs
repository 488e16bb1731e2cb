//! [`MemoryState`]: a store in memory.

use super::{StateCosts, StateError, StateLimits, StateStore, StateUse};
use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::ops::Bound;
use spin::Mutex;

/// Bytes of heap that must stay free besides a new key and value: for the nodes of the trees, and for
/// later allocations in the call that can't fail cleanly.
const RESERVE: usize = 5 << 10;

/// A store of plugins' values in the host's memory. The values are lost when the store is dropped.
///
/// ```
/// use hostel_core::{Grants, MemoryState, StateLimits};
/// let grants = Grants::new().state(MemoryState::new(StateLimits::server()));
/// # drop(grants);
/// ```
#[derive(Debug)]
pub struct MemoryState {
    limits: StateLimits,
    // Trees, not hash maps: a plugin can't choose keys that make them slow. A namespace without keys
    // is removed, so that the map does not grow with names that were used once.
    namespaces: Mutex<BTreeMap<Box<str>, Namespace>>,
}

/// The values of one namespace, and their number and size.
#[derive(Debug, Default)]
struct Namespace {
    values: BTreeMap<Box<[u8]>, Arc<[u8]>>,
    used: StateUse,
}

impl MemoryState {
    /// Creates an empty store, in which each namespace may hold up to `limits`.
    #[must_use]
    pub const fn new(limits: StateLimits) -> Self {
        Self {
            limits,
            namespaces: Mutex::new(BTreeMap::new()),
        }
    }
}

impl StateStore for MemoryState {
    fn costs(&self) -> StateCosts {
        StateCosts {
            read: 20,
            write: 40,
            scan: 2,
        }
    }

    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Arc<[u8]>>, StateError> {
        self.limits.check_key(key)?;
        let namespaces = self.namespaces.lock();
        let held = namespaces.get(namespace);
        Ok(held.and_then(|held| held.values.get(key).cloned()))
    }

    fn set(&self, namespace: &str, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.set_if(namespace, key, value, &|_| true).map(drop)
    }

    fn set_if(
        &self,
        namespace: &str,
        key: &[u8],
        value: &[u8],
        fits: &dyn Fn(StateUse) -> bool,
    ) -> Result<bool, StateError> {
        self.limits.check_key(key)?;
        self.limits.check_value(value)?;
        // Tried first, since the allocations below abort if they fail.
        let needed = value
            .len()
            .saturating_add(key.len())
            .saturating_add(RESERVE);
        let room = Vec::<u8>::new().try_reserve_exact(needed);
        room.map_err(|_| StateError::Failed)?;
        // Copied before the lock is taken, and the old value is freed after it is released: others
        // wait for the lock.
        let copy = Arc::from(value);
        let mut namespaces = self.namespaces.lock();
        let empty = Namespace::default();
        let held = namespaces.get(namespace).unwrap_or(&empty);
        let old = held.values.get(key).map(|value| value.len());
        let used = self.limits.admit(held.used, key, old, value)?;
        if !fits(used) {
            return Ok(false);
        }
        let held = match namespaces.get_mut(namespace) {
            Some(held) => held,
            None => namespaces.entry(namespace.into()).or_default(),
        };
        held.used = used;
        let old = match held.values.get_mut(key) {
            Some(value) => Some(core::mem::replace(value, copy)),
            None => held.values.insert(key.into(), copy),
        };
        drop(namespaces);
        drop(old);
        Ok(true)
    }

    fn delete(&self, namespace: &str, key: &[u8]) -> Result<(), StateError> {
        self.limits.check_key(key)?;
        let mut namespaces = self.namespaces.lock();
        let Some(held) = namespaces.get_mut(namespace) else {
            return Ok(());
        };
        let old = held.values.remove(key);
        held.used = held.used.without(key, old.as_ref().map(|old| old.len()));
        if held.values.is_empty() {
            namespaces.remove(namespace);
        }
        drop(namespaces);
        drop(old);
        Ok(())
    }

    fn list(
        &self,
        namespace: &str,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), StateError> {
        self.limits.check_key(prefix)?;
        self.limits.check_key(after.unwrap_or_default())?;
        let namespaces = self.namespaces.lock();
        let Some(held) = namespaces.get(namespace) else {
            return Ok(());
        };
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        for (key, _) in held.values.range::<[u8], _>((from, Bound::Unbounded)) {
            if !key.starts_with(prefix) || !visit(key) {
                break;
            }
        }
        Ok(())
    }

    fn used(&self, namespace: &str) -> Result<StateUse, StateError> {
        let namespaces = self.namespaces.lock();
        Ok(namespaces
            .get(namespace)
            .map_or(StateUse::default(), |held| held.used))
    }
}
