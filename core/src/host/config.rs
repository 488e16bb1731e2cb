//! `env.host_get_config`: a read-only map of a plugin's own.

use super::function::{Function, IntoHostFunction};
use alloc::{collections::BTreeMap, string::String, sync::Arc};

/// The host function over `values`. A key that is not UTF-8 is as absent as one that is unset.
pub(super) fn lookup<T: 'static, K, V>(values: impl IntoIterator<Item = (K, V)>) -> Function<T>
where
    K: Into<String>,
    V: Into<String>,
{
    let values: BTreeMap<String, Arc<str>> = values
        .into_iter()
        .map(|(key, value)| (key.into(), Arc::from(value.into())))
        .collect();
    let lookup = move |key: &[u8]| values.get(core::str::from_utf8(key).ok()?).cloned();
    lookup.into_host_function()
}
