//! The grants that `inspect` and `probe` load a plugin with, without running it, and the stubs of all
//! commands.

use hostel::{
    AllowedHosts, Extism, Grants, HttpAccess, MemoryState, ModuleInfo, StateLimits, Tracing, Wapc,
    grant_for,
};
use hostel_contract::Contract;
use std::collections::BTreeSet;

/// Grants everything that hostel can supply.
pub(super) fn everything() -> Grants {
    let no_settings: [(&str, &str); 0] = [];
    Grants::new()
        .log(Tracing)
        .config(no_settings)
        .state(MemoryState::new(StateLimits::server()))
        .http(HttpAccess::new(AllowedHosts::default()))
        .wasi(hostel::wasi())
        .extism(Extism::new())
        .wapc(Wapc::new())
        .typst()
}

/// Returns the names of the grants that supply a module's imports, in alphabetical order.
pub(super) fn needed(module: &ModuleInfo) -> BTreeSet<&'static str> {
    let imports = module.imports.iter();
    let grants = imports.filter_map(|import| grant_of(&import.module, &import.name));
    grants.collect()
}

/// Returns the names of the grants that supply a component's imports; `None` if its contract can't be read.
pub(super) fn needed_by_component(wasm: &[u8]) -> Option<BTreeSet<&'static str>> {
    let contract = Contract::read(wasm).ok()?;
    let imports = contract.imported_functions();
    let interface = |name: &str| name.split('#').next().and_then(of_interface);
    Some(
        imports
            .iter()
            .filter_map(|(name, _)| interface(name))
            .collect(),
    )
}

/// Returns the name of the grant that supplies an import of a core module, which may be a function of an interface.
pub(super) fn grant_of(module: &str, name: &str) -> Option<&'static str> {
    of_interface(module).or_else(|| grant_for(module, name))
}

/// Returns the name of the grant that supplies an interface of WASI 0.2.
fn of_interface(name: &str) -> Option<&'static str> {
    if name.starts_with("wasi:http/") {
        Some("http")
    } else if name.starts_with("wasi:") {
        Some("wasi")
    } else {
        None
    }
}

/// The value of --stub: an import as errors name it.
#[derive(Clone, Debug)]
pub(super) struct Stub(String);

impl Stub {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        match text.split_once(['.', '#']) {
            Some((module, name)) if !module.is_empty() && !name.is_empty() => {
                Ok(Self(text.to_owned()))
            }
            _ => Err("expected MODULE.NAME or MODULE.*, such as env.fork"),
        }
    }
}

/// Stubs these imports. A `#` separates an interface from a function. A dot may belong to the module's name or to the
/// function's: each way of reading the text is stubbed.
pub(super) fn stubbed(grants: Grants, stubs: &[Stub]) -> Grants {
    stubs.iter().fold(grants, |grants, Stub(text)| {
        let dots = text.match_indices(['.', '#']);
        dots.fold(grants, |grants, (at, _)| {
            grants.trap(&text[..at], &text[at + 1..])
        })
    })
}
