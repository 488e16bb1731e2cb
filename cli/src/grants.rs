//! The grants that `inspect` and `probe` load a plugin with, without running it.

use hostel::{Extism, Grants, MemoryState, ModuleInfo, StateLimits, Tracing, Wapc, grant_for};
use std::collections::BTreeSet;

/// Grants everything that hostel can supply.
pub(super) fn everything() -> Grants {
    let no_settings: [(&str, &str); 0] = [];
    Grants::new()
        .log(Tracing)
        .config(no_settings)
        .state(MemoryState::new(StateLimits::server()))
        .wasi(hostel::wasi())
        .extism(Extism::new())
        .wapc(Wapc::new())
        .typst()
}

/// Returns the names of the grants that supply a module's imports, in alphabetical order.
pub(super) fn needed(module: &ModuleInfo) -> BTreeSet<&'static str> {
    let imports = module.imports.iter();
    let grants = imports.filter_map(|import| grant_for(&import.module, &import.name));
    grants.collect()
}
