//! Makes components of modules. The crates behind `wit-bindgen`, `wasm-tools` and `wac`, pinned by `Cargo.lock`, so that
//! everybody gets the same bytes.

use std::{env, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use wac_graph::{CompositionGraph, EncodeOptions, plug};
use wac_types::Package;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Parser, Payload};
use wit_bindgen_core::{
    Files, WorldGenerator,
    wit_parser::{Resolve, WorldId},
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

const USAGE: &str = "usage:
  tool bindings WIT WORLD FOLDER  writes what `wit-bindgen c` makes of a world
  tool go WIT WORLD PKG FOLDER    writes what `wit-bindgen go` makes of a world, for the module PKG
  tool embed WIT WORLD MODULE OUT adds a world to a module, as `wasm-tools component embed` does
  tool new MODULE COMPONENT       makes a component of a module, as `wasm-tools component new` does
  tool plug CALLER PLUGIN OUT     gives the exports of a component to the imports of another, as `wac plug` does";

fn main() -> Result<()> {
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["bindings", wit, world, folder] => bindings(wit, world, Path::new(folder)),
        ["go", wit, world, package, folder] => go(wit, world, package, Path::new(folder)),
        ["embed", wit, world, module, out] => embed(wit, world, module, out),
        ["new", module, component] => new(module, component),
        ["plug", caller, plugin, out] => compose(caller, plugin, out),
        _ => bail!(USAGE),
    }
}

fn bindings(wit: &str, world: &str, folder: &Path) -> Result<()> {
    generate(
        &mut *wit_bindgen_c::Opts::default().build(),
        wit,
        world,
        folder,
    )
}

fn go(wit: &str, world: &str, package: &str, folder: &Path) -> Result<()> {
    let options = wit_bindgen_go::Opts {
        pkg_name: Some(package.to_owned()),
        ..wit_bindgen_go::Opts::default()
    };
    generate(&mut *options.build(), wit, world, folder)
}

/// Writes what a generator makes of a world.
fn generate(
    generator: &mut dyn WorldGenerator,
    wit: &str,
    world: &str,
    folder: &Path,
) -> Result<()> {
    let (mut resolve, world) = read(wit, world)?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    for (name, content) in files.iter() {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, content)?;
    }
    Ok(())
}

/// Reads a world.
fn read(wit: &str, world: &str) -> Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    Ok((resolve, world))
}

/// Adds a world to a module, whose compiler has left none.
fn embed(wit: &str, world: &str, module: &str, out: &str) -> Result<()> {
    let mut bytes = fs::read(module).context(module.to_owned())?;
    let (resolve, world) = read(wit, world)?;
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8, false)?;
    fs::write(out, bytes)?;
    Ok(())
}

fn new(module: &str, component: &str) -> Result<()> {
    let bytes = fs::read(module).context(module.to_owned())?;
    let mut encoder = ComponentEncoder::default();
    encoder.module(&bytes)?.validate(true);
    if let Some(adapter) = adapter(&bytes)? {
        encoder.adapter(PREVIEW1, adapter)?;
    }
    fs::write(component, encoder.encode()?)?;
    Ok(())
}

/// The adapter that implements WASI preview 1 by WASI 0.2, if the module imports preview 1: one for programs, one for
/// plugins.
fn adapter(module: &[u8]) -> Result<Option<&'static [u8]>> {
    let (mut imports, mut program) = (false, false);
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imports |= import?.module == PREVIEW1;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    program |= export?.name == "_start";
                }
            }
            _ => {}
        }
    }
    let adapter = if program {
        WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
    } else {
        WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
    };
    Ok(imports.then_some(adapter))
}

fn compose(caller: &str, plugin: &str, out: &str) -> Result<()> {
    let mut graph = CompositionGraph::new();
    let mut packages = Vec::new();
    for (name, file) in [("hostel:caller", caller), ("hostel:plugin", plugin)] {
        let package = Package::from_file(name, None, file, graph.types_mut())?;
        packages.push(graph.register_package(package)?);
    }
    plug(&mut graph, vec![packages[1]], packages[0])?;
    fs::write(out, graph.encode(EncodeOptions::default())?)?;
    Ok(())
}
