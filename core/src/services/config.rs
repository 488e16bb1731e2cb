//! `env.host_get_config`: a read-only map of a plugin's own.

use crate::host_functions::{Function, IntoHostFunction as _};
use alloc::{string::String, sync::Arc, vec::Vec};

/// The host function over `values`. A key that is not UTF-8 is as absent as one that is unset.
pub(crate) fn lookup<T: 'static, K, V>(values: impl IntoIterator<Item = (K, V)>) -> Function<T>
where
    K: Into<String>,
    V: Into<String>,
{
    // In the order of their keys; of several with one key, the last counts.
    let mut map: Vec<(String, Arc<str>)> = Vec::new();
    for (key, value) in values {
        let (key, value) = (key.into(), Arc::from(value.into()));
        let found = map.binary_search_by(|known| known.0.cmp(&key));
        match found.map(|at| map.get_mut(at)) {
            Ok(known) => known
                .into_iter()
                .for_each(|known| known.1 = Arc::clone(&value)),
            Err(at) => map.insert(at, (key, value)),
        }
    }
    let lookup = move |key: &[u8]| {
        let at = map.binary_search_by(|known| known.0.as_bytes().cmp(key));
        map.get(at.ok()?).map(|(_, value)| value.clone())
    };
    lookup.into_host_function()
}
