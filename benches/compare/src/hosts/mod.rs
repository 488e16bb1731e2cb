//! The hosts.

mod extism;
mod hostel;
mod tinywasm;
mod wapc;
#[cfg(feature = "wasm3")]
mod wasm3;
mod wasmi;
mod wasmtime;
mod wazero;

use crate::host::Host;

/// The hosts of this process, hostel first.
pub fn local() -> Vec<&'static dyn Host> {
    vec![
        &hostel::Hostel::NATIVE,
        &hostel::Hostel::EXTISM,
        &hostel::Hostel::WAPC,
        leaked(wasmi::Wasmi::eager()),
        leaked(wasmi::Wasmi::lazy()),
        leaked(wasmtime::Wasmtime::cranelift_epoch()),
        leaked(wasmtime::Wasmtime::cranelift_fuel()),
        leaked(wasmtime::Wasmtime::pulley_epoch()),
        &extism::Extism,
        &wapc::Wapc,
        &tinywasm::Tinywasm,
        #[cfg(feature = "wasm3")]
        &wasm3::Wasm3,
    ]
}

/// All hosts, and which are left out and why.
pub fn all() -> (Vec<&'static dyn Host>, Vec<String>) {
    let mut hosts = local();
    let mut left_out = Vec::new();
    if cfg!(not(feature = "wasm3")) {
        left_out.push("wasm3: this program was built without the feature `wasm3`".into());
    }
    for engine in ["compiler", "interpreter"] {
        match wazero::Wazero::start(engine) {
            Ok(wazero) => hosts.push(leaked(wazero)),
            Err(error) => left_out.push(format!("wazero, {engine}: {error}")),
        }
    }
    (hosts, left_out)
}

/// A host that lives as long as the program.
fn leaked<H>(host: H) -> &'static H {
    Box::leak(Box::new(host))
}

/// The version of a package that this program is built with.
fn version(package: &str) -> &'static str {
    let name = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = include_str!("../../Cargo.lock")
        .split_once(&name)
        .expect("the package is locked");
    rest.split_once('"').expect("the version ends").0
}
