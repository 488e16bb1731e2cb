//! `env.host_state_get`, `_set`, `_delete` and `_list`: values that outlive the instance.

mod memory;
mod store;

pub use self::{
    memory::MemoryState,
    store::{StateCosts, StateError, StateLimits, StateStore, StateUse},
};

use super::answer::Answer;
use crate::{
    base::fuel::fuel_for,
    error::Trap,
    host_functions::{Context, Function, IntoHostFunction as _},
};
use alloc::{boxed::Box, format, sync::Arc, vec::Vec};

/// Largest page of keys that one `host_state_list` returns, in bytes. One key may exceed it. The
/// plugin asks for the next page with the last key.
const PAGE_BYTES: usize = 64 << 10;

/// Returns the answer to a guest: bytes, nothing, or the error's code and text.
fn answer<B>(result: Result<Option<B>, StateError>) -> Answer<B> {
    Answer(result.map_err(|error| format!("{}: {error}", error.code())))
}

/// The namespace of a store that one grant gives access to.
#[derive(Clone)]
struct GrantedStore {
    store: Arc<dyn StateStore>,
    /// `None` for the name of the calling plugin.
    namespace: Option<Box<str>>,
}

impl GrantedStore {
    /// Returns the namespace for the calling plugin.
    fn namespace<'a, T>(&'a self, context: &Context<'a, T>) -> &'a str {
        self.namespace.as_deref().unwrap_or(&context.shared().name)
    }

    /// Reads the value of a key.
    fn get<T>(&self, context: &mut Context<'_, T>, key: &[u8]) -> Result<Answer<Arc<[u8]>>, Trap> {
        context.charge(self.store.costs().read)?;
        Ok(answer(self.store.get(self.namespace(context), key)))
    }

    /// Sets the value of a key.
    fn set<T>(
        &self,
        context: &mut Context<'_, T>,
        key: &[u8],
        value: &[u8],
    ) -> Result<Answer<Vec<u8>>, Trap> {
        context.charge(self.store.costs().write)?;
        let done = self.store.set(self.namespace(context), key, value);
        Ok(answer(done.map(|()| None)))
    }

    /// Removes a key.
    fn delete<T>(&self, context: &mut Context<'_, T>, key: &[u8]) -> Result<Answer<Vec<u8>>, Trap> {
        context.charge(self.store.costs().write)?;
        let done = self.store.delete(self.namespace(context), key);
        Ok(answer(done.map(|()| None)))
    }

    /// Returns a page of keys, each after its length as a little-endian `u32`: at most `max`, that
    /// begin with `prefix` and follow `after`.
    fn list<T>(
        &self,
        context: &mut Context<'_, T>,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: u32,
    ) -> Result<Answer<Vec<u8>>, Trap> {
        let costs = self.store.costs();
        context.charge(costs.read)?;
        let namespace = self.namespace(context);
        let (mut page, mut left, mut charged) = (Vec::new(), max, Ok(()));
        let mut room = true;
        let listed = self.store.list(namespace, prefix, after, &mut |key| {
            let len = u32::try_from(key.len()).unwrap_or(u32::MAX);
            let bytes = key.len().saturating_add(size_of_val(&len));
            // Charged key by key while the store is read, so that a long list stops in time.
            charged = context.charge(costs.scan.saturating_add(fuel_for(bytes)));
            let full = !page.is_empty() && page.len().saturating_add(bytes) > PAGE_BYTES;
            if charged.is_err() || left == 0 || full {
                return false;
            }
            // Without room for more, the page ends here: the plugin asks for the next one.
            room = page.try_reserve(bytes).is_ok();
            if !room {
                return false;
            }
            page.extend(len.to_le_bytes());
            page.extend(key);
            left = left.saturating_sub(1);
            left > 0
        });
        charged?;
        if !room && page.is_empty() {
            return Ok(answer(Err(StateError::Failed)));
        }
        Ok(answer(listed.map(|()| (!page.is_empty()).then_some(page))))
    }
}

/// Returns the host functions over a store, with their names.
pub(crate) fn functions<T: 'static>(
    store: impl StateStore,
    namespace: Option<&str>,
) -> [(&'static str, Function<T>); 4] {
    let granted = GrantedStore {
        store: Arc::new(store),
        namespace: namespace.map(Box::from),
    };
    let [get, set, delete, list] = [(); 4].map(|()| granted.clone());
    let get = move |context: &mut Context<'_, T>, key: &[u8]| get.get(context, key);
    let set =
        move |context: &mut Context<'_, T>, key: &[u8], value: &[u8]| set.set(context, key, value);
    let delete = move |context: &mut Context<'_, T>, key: &[u8]| delete.delete(context, key);
    let list = move |context: &mut Context<'_, T>,
                     prefix: &[u8],
                     after: Option<&[u8]>,
                     max: u32| { list.list(context, prefix, after, max) };
    [
        ("host_state_get", get.into_host_function()),
        ("host_state_set", set.into_host_function()),
        ("host_state_delete", delete.into_host_function()),
        ("host_state_list", list.into_host_function()),
    ]
}
