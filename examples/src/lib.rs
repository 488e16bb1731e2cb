//! Programs that run plugins for a real job. Each is a file of `src/bin`.

use std::{env, path::PathBuf};

/// Returns the file of one of the examples' own plugins, or the one that the variable `PLUGIN` names.
pub fn plugin(name: &str) -> PathBuf {
    match env::var_os("PLUGIN") {
        Some(file) => file.into(),
        None => PathBuf::from(env!("PLUGINS"))
            .join(name)
            .with_extension("wasm"),
    }
}

/// Splits arguments into those of the form `name=value`, which are the plugin's settings, and all others.
pub fn arguments() -> (Vec<(String, String)>, Vec<String>) {
    let (settings, others): (Vec<_>, Vec<_>) = env::args().skip(1).partition(|it| it.contains('='));
    let settings = settings.iter().filter_map(|it| it.split_once('='));
    (
        settings
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        others,
    )
}
