//! Validates a component, after a look for what the parser and the validator do not bound: lengths that wrap
//! around, and how deep components and types are nested.

use super::{Bounds, does_not_fit, invalid, over, weigh::Weigher};
use crate::{base::limits::ComponentLimits, error::LoadError};
use alloc::vec::Vec;
use component_parser::{
    BinaryReader, ComponentAlias, ComponentExternName, ComponentImport, ComponentType,
    ComponentTypeRef, CoreType, Parser, Payload, Validator, WasmFeatures,
};
use core::ops::Range;

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
pub(super) fn check<'a>(wasm: &'a [u8], bounds: Bounds<'_>) -> Result<Vec<Module<'a>>, LoadError> {
    let limits = bounds.limits;
    let bytes = sections(wasm, limits)?;
    let needed = bytes.saturating_mul(VALIDATING);
    if needed > bounds.room {
        return Err(does_not_fit(needed, bounds.room));
    }
    let mut validator = Validator::new_with_features(features());
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
                    range: place(&unchecked_range),
                    imports: Vec::new(),
                });
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
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

/// Returns the features of WebAssembly that components may use. Their core modules are checked once more, by the
/// version of the parser that the interpreter has.
fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::GC_TYPES
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::FLOATS
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::SIMD
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::CM_FIXED_LENGTH_LISTS
        | WasmFeatures::CM_MAP
        | WasmFeatures::CM_IMPLEMENTS
        // Told in words of this crate where an instance has them.
        | WasmFeatures::CM_ASYNC
        | WasmFeatures::CM_ASYNC_STACKFUL
        | WasmFeatures::CM_MORE_ASYNC_BUILTINS
        | WasmFeatures::CM_ERROR_CONTEXT
        | WasmFeatures::CM_THREADING
}

/// Returns a range of a file that is in memory.
pub(super) fn place(range: &Range<u64>) -> Range<usize> {
    let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
    at(range.start)..at(range.end)
}

/// Bytes of heap that the validator and the reader take for a byte of a section. For the components of usual tools
/// it is 20 to 30.
const VALIDATING: usize = 64;

const CUSTOM_SECTION: u8 = 0;
const MODULE_SECTION: u8 = 1;
const COMPONENT_SECTION: u8 = 4;
const TYPE_SECTION: u8 = 7;

/// Bounds the nesting of components and types: the parser and the validator follow it by recursion. Faults
/// are theirs to tell. Returns the bytes of all sections but core modules and custom ones.
fn sections(wasm: &[u8], limits: &ComponentLimits) -> Result<usize, LoadError> {
    let mut bytes = 0usize;
    let mut reader = BinaryReader::new(wasm.get(8..).unwrap_or_default(), 8);
    // Where each component ends that the reader is in.
    let mut ends: Vec<usize> = Vec::new();
    loop {
        let at = position(&reader);
        while ends.last().is_some_and(|end| *end <= at) {
            ends.pop();
        }
        if reader.eof() {
            return Ok(bytes);
        }
        let Ok(id) = reader.read_u8() else {
            return Ok(bytes);
        };
        let Ok(len) = reader.read_var_u32() else {
            return Ok(bytes);
        };
        let start = position(&reader);
        let end = (start as u64).saturating_add(len.into());
        let Some(end) = usize::try_from(end).ok().filter(|end| *end <= wasm.len()) else {
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
                return Ok(bytes);
            }
            continue;
        }
        let Ok(contents) = reader.read_bytes(end.saturating_sub(start)) else {
            return Ok(bytes);
        };
        if id != CUSTOM_SECTION && id != MODULE_SECTION {
            bytes = bytes.saturating_add(contents.len());
        }
        if id == TYPE_SECTION {
            let mut types = BinaryReader::new(contents, start as u64);
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

fn position(reader: &BinaryReader<'_>) -> usize {
    usize::try_from(reader.original_position()).unwrap_or(usize::MAX)
}

/// Why the nesting of types is not known.
enum Fault {
    TooDeep,
    Malformed,
}

impl From<component_parser::BinaryReaderError> for Fault {
    fn from(_: component_parser::BinaryReaderError) -> Self {
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
                reader.read::<ComponentExternName<'_>>()?;
                reader.read::<ComponentTypeRef>()?;
            }
            _ => return Err(Fault::Malformed),
        }
    }
    Ok(())
}
