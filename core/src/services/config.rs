//! `env.host_get_config`: the plugin's read-only configuration.

use crate::host_functions::{Function, IntoHostFunction as _};
use alloc::{string::String, sync::Arc, vec::Vec};

/// Returns the host function that looks up `values`. Keys are compared as bytes, so a key that is not
/// UTF-8 is just not found.
pub(crate) fn lookup<T: 'static, K, V>(values: impl IntoIterator<Item = (K, V)>) -> Function<T>
where
    K: Into<String>,
    V: Into<String>,
{
    // Sorted by key, for binary search. If a key occurs several times, its last value counts.
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
