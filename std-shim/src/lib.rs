//! Runs WebAssembly plugins that you don't trust.
//!
//! This crate re-exports [`hostel_core`], the whole host, and adds the parts that need an operating
//! system: plugins from files and watched directories, a clock and blocking waits ([`Std`]), logging
//! ([`Tracing`]), and for WASI guests the process's streams and granted directories. The command-line
//! program `hostel` is the crate `hostel-cli`.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/prebuilt/customize.wasm");
//! use hostel::{Grants, Tracing};
//!
//! let grants = Grants::new().log(Tracing).config([("prefix", "CUSTOM")]);
//! let plugin = hostel::load_file(&hostel::engine(), file, &grants)?;
//! assert_eq!(plugin.process(b"hello world")?, b"CUSTOM_HELLO WORLD");
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]

#[cfg(feature = "files")]
mod directory;
mod file;
#[cfg(feature = "redb")]
mod file_state;
#[cfg(any(feature = "http", feature = "manifest"))]
mod host_pattern;
#[cfg(feature = "http")]
mod http;
mod install;
mod keep_warm;
mod limit_fields;
#[cfg(feature = "manifest")]
mod manifest;
mod platform;
mod plugin_directory;
mod quantity;
// Not part of the API: its types are those of toml, whose versions may change.
#[cfg(feature = "settings")]
#[doc(hidden)]
pub mod settings;
mod stdio;
mod timer;
mod tracing_sink;
mod wasi;
#[cfg(feature = "watch")]
mod watch;

#[cfg(feature = "files")]
pub use self::directory::{HostDirectory, directory};
#[cfg(feature = "redb")]
pub use self::file_state::{FileState, StateFileError, StateFileReason};
#[cfg(feature = "http")]
pub use self::http::{AllowedHosts, HttpAccess, HttpAccessError};
#[cfg(feature = "manifest")]
pub use self::manifest::{
    AllowedPath, Manifest, ManifestError, ManifestGrants, ManifestReason, is_manifest,
};
#[cfg(feature = "watch")]
pub use self::watch::WatchedDirectory;
pub use self::{
    file::{FileError, FileReason, load_file, read_module},
    install::install_module,
    keep_warm::{KeptWarm, keep_warm},
    limit_fields::limit_fields,
    platform::Std,
    plugin_directory::{DirectoryEvent, PluginDirectory},
    quantity::parse_quantity,
    stdio::{WasiStdio, escaped_lines},
    tracing_sink::Tracing,
    wasi::wasi,
};
pub use hostel_core::*;

/// Returns an engine for this machine, with [`Limits::server`], [`Budget::server`], the platform
/// [`Std`] and a [cache of code](Engine::with_code_cache).
#[must_use]
pub fn engine() -> Engine {
    engine_with(Limits::server())
}

/// Returns an engine for this machine with other limits, [`Budget::server`], the platform [`Std`] and a
/// [cache of code](Engine::with_code_cache). Unlike [`Engine::new`], it has a clock, so its calls can have
/// deadlines. On Linux, with the feature `mappings`, memories are in mappings of the system: see
/// `Engine::with_mapped_memories`.
///
/// ```
/// use hostel::{Budget, Grants, Limits};
/// use std::time::Duration;
///
/// # let wasm = wat::parse_str(r#"(module (func (export "spin") (loop $l (br $l))))"#)?;
/// let mut limits = Limits::server();
/// limits.memory_bytes = 4 << 20;
/// let budget = Budget::server().with_deadline(Duration::from_millis(50));
/// let engine = hostel::engine_with(limits).with_budget(budget);
/// let plugin = engine.load("spin", &wasm, &Grants::new())?;
/// assert_eq!(plugin.call::<(), ()>("spin", ()).unwrap_err().code(), "deadline");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn engine_with(limits: Limits) -> Engine {
    let engine = Engine::new(limits)
        .with_platform(Std::new())
        .with_code_cache();
    #[cfg(feature = "mappings")]
    if let Some(mappings) = mappings() {
        return engine.with_mapped_memories(mappings);
    }
    engine
}

/// Returns the process's mappings, which all engines share: one list of those kept for reuse. `None` if the
/// system has none.
#[cfg(feature = "mappings")]
fn mappings() -> Option<Mappings> {
    static MAPPINGS: std::sync::OnceLock<Option<Mappings>> = std::sync::OnceLock::new();
    MAPPINGS.get_or_init(Mappings::new).clone()
}
