//! Validates a component, after a look for what the parser and the validator do not bound: lengths that wrap
//! around, and how deep components and types are nested.

use super::{invalid, over, weigh::Weigher};
use crate::{base::limits::ComponentLimits, error::LoadError, module};
use alloc::vec::Vec;
use core::ops::Range;
use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExportName, ComponentImport, ComponentType,
    ComponentTypeRef, CoreType, Parser, Payload, Validator, WasmFeatures,
};

/// A core module of a component.
#[derive(Debug)]
pub(super) struct Module<'a> {
    /// Its place in the component.
    pub(super) range: Range<usize>,
    /// The names of its imports, in its order.
    pub(super) imports: Vec<(&'a str, &'a str)>,
}

/// Validates a component, except for the bodies of core functions. Returns its core modules in the order of
/// the file.
pub(super) fn check<'a>(
    wasm: &'a [u8],
    limits: &ComponentLimits,
) -> Result<Vec<Module<'a>>, LoadError> {
    sections(wasm, limits)?;
    let features = module::features() | WasmFeatures::COMPONENT_MODEL;
    let mut validator = Validator::new_with_features(features);
    let mut weigher = Weigher::new(limits);
    let mut modules: Vec<Module<'a>> = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|error| invalid(&error))?;
        weigher.payload(&payload)?;
        validator
            .payload(&payload)
            .map_err(|error| invalid(&error))?;
        match payload {
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                let found = modules.len().saturating_add(1);
                if found > limits.modules {
                    return Err(over("component.modules", limits.modules, found));
                }
                modules.push(Module {
                    range: unchecked_range,
                    imports: Vec::new(),
                });
            }
            Payload::ImportSection(section) => {
                for import in section {
                    let import = import.map_err(|error| invalid(&error))?;
                    if let Some(module) = modules.last_mut() {
                        module.imports.push((import.module, import.name));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(modules)
}

const COMPONENT_SECTION: u8 = 4;
const TYPE_SECTION: u8 = 7;

/// Bounds the nesting of components and types: the parser and the validator follow it by recursion. Faults
/// are theirs to tell.
fn sections(wasm: &[u8], limits: &ComponentLimits) -> Result<(), LoadError> {
    let mut reader = BinaryReader::new(wasm.get(8..).unwrap_or_default(), 8);
    // Where each component ends that the reader is in.
    let mut ends: Vec<usize> = Vec::new();
    loop {
        let at = reader.original_position();
        while ends.last().is_some_and(|end| *end <= at) {
            ends.pop();
        }
        if reader.eof() {
            return Ok(());
        }
        let Ok(id) = reader.read_u8() else {
            return Ok(());
        };
        let Ok(len) = reader.read_var_u32() else {
            return Ok(());
        };
        let start = reader.original_position();
        let end = (start as u64).saturating_add(len.into());
        let Some(end) = usize::try_from(end).ok().filter(|end| *end <= wasm.len()) else {
            // The parser adds the length to the position, which may wrap on a machine of 32 bits.
            return Err(LoadError::Invalid {
                at: start,
                reason: "unexpected end-of-file".into(),
                truncated: true,
            });
        };
        if id == COMPONENT_SECTION {
            let found = ends.len().saturating_add(1);
            if found > limits.depth {
                return Err(over("component.depth", limits.depth, found));
            }
            ends.push(end);
            if reader.read_bytes(8).is_err() {
                return Ok(());
            }
            continue;
        }
        let Ok(contents) = reader.read_bytes(end.saturating_sub(start)) else {
            return Ok(());
        };
        if id == TYPE_SECTION {
            let mut types = BinaryReader::new(contents, start);
            if let Err(Fault::TooDeep) = types_of(&mut types, limits.depth) {
                return Err(over(
                    "component.depth",
                    limits.depth,
                    limits.depth.saturating_add(1),
                ));
            }
        }
    }
}

/// Why the nesting of types is not known.
enum Fault {
    TooDeep,
    Malformed,
}

impl From<wasmparser::BinaryReaderError> for Fault {
    fn from(_: wasmparser::BinaryReaderError) -> Self {
        Self::Malformed
    }
}

/// Reads the types of a section.
fn types_of(reader: &mut BinaryReader<'_>, depth: usize) -> Result<(), Fault> {
    for _ in 0..reader.read_var_u32()? {
        type_of(reader, depth)?;
    }
    Ok(())
}

/// Reads a type in which others are nested as deep as `depth` at most.
fn type_of(reader: &mut BinaryReader<'_>, depth: usize) -> Result<(), Fault> {
    const COMPONENT: u8 = 0x41;
    const INSTANCE: u8 = 0x42;
    let mut next = reader.clone();
    if !matches!(next.read_u8()?, COMPONENT | INSTANCE) {
        reader.read::<ComponentType<'_>>()?;
        return Ok(());
    }
    *reader = next;
    let depth = depth.checked_sub(1).ok_or(Fault::TooDeep)?;
    for _ in 0..reader.read_var_u32()? {
        match reader.read_u8()? {
            0 => drop(reader.read::<CoreType<'_>>()?),
            1 => type_of(reader, depth)?,
            2 => {
                reader.read::<ComponentAlias<'_>>()?;
            }
            3 => drop(reader.read::<ComponentImport<'_>>()?),
            4 => {
                reader.read::<ComponentExportName<'_>>()?;
                reader.read::<ComponentTypeRef>()?;
            }
            _ => return Err(Fault::Malformed),
        }
    }
    Ok(())
}
