//! Decodes contracts, on a thread whose stack is known.

use crate::{error::ReadError, guard, limits};
use std::{
    collections::{HashMap, HashSet},
    thread,
};
use wasmparser::{Parser, Payload};
use wit_component::DecodedWasm;
use wit_parser::{PackageId, PackageName, Resolve, WorldId, decoding::decode_world};

/// A decoded contract.
pub(crate) enum Decoded {
    /// The world of a component or of a core module.
    World(Resolve, WorldId),
    /// A package, whose worlds are to choose from.
    Package(Resolve, PackageId),
}

/// Decodes a component or a WIT package.
pub(crate) fn component(wasm: &[u8]) -> Result<Decoded, ReadError> {
    guard::component(wasm)?;
    match wit_component::decode(wasm).map_err(in_wit)? {
        DecodedWasm::Component(resolve, world) => Ok(Decoded::World(resolve, world)),
        DecodedWasm::WitPackage(resolve, package) => Ok(Decoded::Package(resolve, package)),
    }
}

/// Decodes the contract in the custom sections of a core module. Several are merged into a world `root`.
pub(crate) fn module(wasm: &[u8]) -> Result<Decoded, ReadError> {
    // The decoder copies every section of a module, and needs these.
    let mut only = b"\0asm\x01\0\0\0".to_vec();
    let mut packages = Packages::default();
    let mut worlds = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::CustomSection(section) = payload.map_err(ReadError::invalid)? else {
            continue;
        };
        if !section.name().starts_with(SECTION) {
            continue;
        }
        let bytes = section.data().len() as u64;
        ReadError::at_most("bytes in one section", limits::SECTION_BYTES, bytes)?;
        ReadError::at_most(
            "sections `component-type`",
            limits::SECTIONS,
            worlds.len() as u64 + 1,
        )?;
        if !section.data().starts_with(b"\0asm") {
            return Err(ReadError::Invalid {
                message: "a section `component-type` in a format of before 2024: build the plugin with a newer wit-bindgen".to_owned(),
            });
        }
        guard::section(section.data())?;
        let (resolve, world) = decode_world(section.data()).map_err(in_wit)?;
        packages.add(&resolve);
        worlds.push((resolve, world));
        let range = section.range();
        let body = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(range.end).ok());
        let body = body.and_then(|(start, end)| wasm.get(start..end));
        append(&mut only, body.ok_or(ReadError::Fault)?);
    }
    if packages.need_each_other() {
        return Err(ReadError::not_in_wit("packages that need each other"));
    }
    match worlds.pop() {
        None => Err(ReadError::NoContract),
        Some((resolve, world)) if worlds.is_empty() => Ok(Decoded::World(resolve, world)),
        Some(_) => {
            let (_, found) = wit_component::metadata::decode(&only).map_err(in_wit)?;
            Ok(Decoded::World(found.resolve, found.world))
        }
    }
}

/// First part of the name of a custom section with a contract.
const SECTION: &str = "component-type";

/// Appends a custom section to a module.
fn append(module: &mut Vec<u8>, body: &[u8]) {
    module.push(0);
    let mut rest = body.len();
    loop {
        let low = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            module.push(low);
            break;
        }
        module.push(low | 0x80);
    }
    module.extend_from_slice(body);
}

/// The packages that packages need, by name. A merge of packages that need each other never ends.
#[derive(Default)]
struct Packages {
    needs: HashMap<PackageName, HashSet<PackageName>>,
}

impl Packages {
    fn add(&mut self, resolve: &Resolve) {
        // The world that all worlds are merged into needs each package.
        let root = PackageName {
            namespace: "root".to_owned(),
            name: "root".to_owned(),
            version: None,
        };
        for (id, package) in resolve.packages.iter() {
            let all = self.needs.entry(package.name.clone()).or_default();
            let needed = resolve.package_direct_deps(id);
            all.extend(needed.map(|id| resolve.packages[id].name.clone()));
            if package.name != root {
                let all = self.needs.entry(root.clone()).or_default();
                all.insert(package.name.clone());
            }
        }
    }

    /// Removes packages that need no other, until there are none such.
    fn need_each_other(mut self) -> bool {
        loop {
            let (done, rest): (HashMap<_, _>, HashMap<_, _>) = self
                .needs
                .into_iter()
                .partition(|(_, needs)| needs.is_empty());
            if done.is_empty() || rest.is_empty() {
                return !rest.is_empty();
            }
            self.needs = rest;
            for needs in self.needs.values_mut() {
                needs.retain(|name| !done.contains_key(name));
            }
        }
    }
}

/// The component is valid by now: what the decoder refuses is not in WIT.
fn in_wit(error: impl std::fmt::Display) -> ReadError {
    ReadError::not_in_wit(format!("{error:#}"))
}

/// Runs `read` on a thread whose stack fits the deepest recursion, and contains its panics.
pub(crate) fn contained<T: Send>(
    read: impl FnOnce() -> Result<T, ReadError> + Send,
) -> Result<T, ReadError> {
    // It has neither threads nor panics that can be contained. A fault stops the whole module.
    if cfg!(target_family = "wasm") {
        return read();
    }
    thread::scope(|scope| {
        let builder = thread::Builder::new()
            .name("contract".to_owned())
            .stack_size(limits::STACK_BYTES);
        match builder.spawn_scoped(scope, read) {
            Ok(thread) => thread.join().unwrap_or(Err(ReadError::Fault)),
            Err(error) => Err(ReadError::File {
                path: "a thread with 16 MiB of stack".into(),
                error,
            }),
        }
    })
}
