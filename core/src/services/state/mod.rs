//! `env.host_state_get`, `_set`, `_delete` and `_list`: values that outlive the instance.

mod memory;
mod store;

pub use self::{
    memory::MemoryState,
    store::{StateCosts, StateError, StateLimits, StateStore, StateUse},
};

use crate::{
    base::fuel::fuel_for,
    error::{CallError, Trap},
    host_functions::{Context, Function, IntoHostFunction as _},
    marshal::{ERROR_BIT, FlatCounts, Lower, Lowerer, Types},
};
use alloc::{boxed::Box, format, sync::Arc, vec::Vec};

/// Largest page of keys that one `host_state_list` returns, in bytes. One key may exceed it. The
/// plugin asks for the next page with the last key.
const PAGE_BYTES: usize = 64 << 10;

/// The result of a store's function: bytes, nothing, or an error. Lowered as a guest's own results
/// are: an error has [`ERROR_BIT`] set in its length.
struct Answer<B>(Result<Option<B>, StateError>);

impl<B: AsRef<[u8]>> Lower for Answer<B> {
    const CORE: FlatCounts = FlatCounts::BYTES;

    fn types(types: &mut Types) {
        types.push_bytes();
    }

    fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError> {
        match &self.0 {
            Ok(None) => to.zeros(Self::types),
            Ok(Some(bytes)) => {
                let asked = bytes.as_ref().len();
                // Such a length has the error bit set, so the guest would read an error.
                if asked >= ERROR_BIT as usize {
                    return Err(CallError::NoMemory { asked });
                }
                to.bytes(bytes.as_ref())
            }
            Err(error) => to.error(format!("{}: {error}", error.code())),
        }
    }
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
        Ok(Answer(self.store.get(self.namespace(context), key)))
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
        Ok(Answer(done.map(|()| None)))
    }

    /// Removes a key.
    fn delete<T>(&self, context: &mut Context<'_, T>, key: &[u8]) -> Result<Answer<Vec<u8>>, Trap> {
        context.charge(self.store.costs().write)?;
        let done = self.store.delete(self.namespace(context), key);
        Ok(Answer(done.map(|()| None)))
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
            return Ok(Answer(Err(StateError::Failed)));
        }
        Ok(Answer(listed.map(|()| (!page.is_empty()).then_some(page))))
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
