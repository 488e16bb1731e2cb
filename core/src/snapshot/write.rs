//! Reads the state of an instance, and writes a module that starts with it.

use super::{Segment, SnapshotError, expose::Exposed, sections::Sections};
use crate::{
    abi::StartFunctions,
    instance::Sandbox,
    module::{COMMAND, CONSTRUCTORS, REACTOR},
};
#[cfg(feature = "component")]
use crate::{call::StoreData, instance::MutableState};
use alloc::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::ops::Range;
use wasm_encoder::{
    ConstExpr, DataCountSection, DataSection, DataSegment, DataSegmentMode, ElementMode,
    ElementSection, ElementSegment, Elements, ExportSection, GlobalSection, HeapType,
    MemorySection, RefType, SectionId,
};
#[cfg(feature = "component")]
use wasmi::Store;
use wasmi::{Func, Nullable, Ref, Val};
use wasmparser::{DataKind, Element, ElementItems, ElementKind, ExternalKind, Parser, Payload};

/// Highest number of segments for the memory's contents.
const MOST_SEGMENTS: usize = 1_000;

/// The state of an instance.
pub(super) struct Captured<'a> {
    memory: Option<&'a [u8]>,
    /// The values of the globals that can change.
    globals: Vec<ConstExpr>,
    /// The functions in each table, by index; empty if the module can't change tables.
    tables: Vec<Vec<Option<u32>>>,
    /// Whether the instance ran with additional exports, so that tables and segments were read.
    exposed: bool,
    /// Whether all exports stay, since other parts of a component refer to them.
    keeps_exports: bool,
    /// Whether `_start` would initialise the instance again.
    past_command: bool,
    /// The exports that ran when the instance was made.
    starts: StartFunctions,
    /// The segments that code has dropped.
    dropped: BTreeSet<Segment>,
}

impl<'a> Captured<'a> {
    /// Reads the state of an instance; `exposed` if it ran with additional exports.
    pub(super) fn capture<T>(
        sandbox: &'a mut Sandbox<T>,
        exposed: Option<&Exposed>,
    ) -> Result<Self, SnapshotError> {
        let functions = exposed.map_or_else(BTreeMap::new, |exposed| {
            let named = exposed.functions.iter().filter_map(|index| {
                let function = sandbox.function(&exposed.function_name(*index))?;
                Some((identity(&function), *index))
            });
            named.collect()
        });
        let mut tables = Vec::new();
        if let Some(exposed) = exposed {
            for index in 0..exposed.tables {
                let name = exposed.table_name(index);
                let references = sandbox.references(&name);
                let references = references.map(|reference| function_of(reference, &functions));
                tables.push(references.collect::<Result<_, _>>()?);
            }
        }
        let (past_command, starts) = (sandbox.is_past_command(), sandbox.starts());
        let (store, mutable) = sandbox.mutable_state();
        let mut values: Vec<Val> = mutable.values(store).collect();
        let mut dropped = BTreeSet::new();
        if let Some(exposed) = exposed {
            // The last globals were added, one for each segment that can be dropped.
            let own = values.len().saturating_sub(exposed.droppable.len());
            for (value, segment) in values.drain(own..).zip(&exposed.droppable) {
                if !matches!(value, Val::I32(0)) {
                    dropped.insert(*segment);
                }
            }
        }
        let values = values.iter().map(|value| constant(value, &functions));
        Ok(Self {
            globals: values.collect::<Result<_, _>>()?,
            memory: mutable.memory(store),
            tables,
            exposed: exposed.is_some(),
            keeps_exports: false,
            past_command,
            starts,
            dropped,
        })
    }

    /// Reads the state of a core instance of a component. Its module changes no tables, and drops no segments.
    #[cfg(feature = "component")]
    pub(super) fn capture_part<T>(
        store: &'a Store<StoreData<T>>,
        mutable: &MutableState,
        keeps_exports: bool,
    ) -> Result<Self, SnapshotError> {
        let values = mutable.values(store);
        let values = values.map(|value| constant(&value, &BTreeMap::new()));
        Ok(Self {
            globals: values.collect::<Result<_, _>>()?,
            memory: mutable.memory(store),
            tables: Vec::new(),
            exposed: false,
            keeps_exports,
            past_command: false,
            starts: StartFunctions::default(),
            dropped: BTreeSet::new(),
        })
    }

    /// Writes the module `wasm` with this state as its start, in at most `segments` data segments.
    /// `None` if a part of it can't be read or written.
    pub(super) fn write(&self, wasm: &[u8], segments: usize) -> Option<Vec<u8>> {
        let mut sections = Sections::parse(wasm)?;
        let mut data_count = None;
        let mut data = DataSection::new();
        let mut elements = ElementSection::new();
        let mut declared = BTreeSet::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.ok()? {
                Payload::MemorySection(section) => {
                    sections.set(&self.memories(section.into_iter())?);
                }
                Payload::GlobalSection(section) => {
                    sections.set(&self.globals(wasm, section, &mut declared)?);
                }
                Payload::ExportSection(section) => {
                    sections.set(&self.exports(section, &mut declared)?);
                }
                Payload::ElementSection(section) => {
                    for (index, element) in (0..).zip(section) {
                        let element = element.ok()?;
                        let active = matches!(element.kind, ElementKind::Active { .. });
                        let dropped = self.dropped.contains(&Segment::Element(index));
                        if dropped || active && self.exposed {
                            write_emptied(&mut elements, element, &mut declared)?;
                        } else {
                            elements.raw(wasm.get(element.range)?);
                        }
                    }
                }
                Payload::DataCountSection { count, .. } => data_count = Some(count),
                // Without a data count, code can't refer to data segments: all are left out.
                Payload::DataSection(section) if data_count.is_some() => {
                    for (index, segment) in (0..).zip(section) {
                        let segment = segment.ok()?;
                        let dropped = self.dropped.contains(&Segment::Data(index));
                        match segment.kind {
                            // Copied into memory at the start, and so dropped. An empty segment keeps
                            // the index.
                            DataKind::Active { .. } => drop(data.passive([])),
                            DataKind::Passive if dropped => drop(data.passive([])),
                            DataKind::Passive => drop(data.passive(segment.data.iter().copied())),
                        }
                    }
                }
                _ => {}
            }
        }
        sections.remove(SectionId::Start.into());
        self.write_tables(&mut elements);
        if !declared.is_empty() {
            elements.declared(Elements::Functions(declared.into_iter().collect()));
        }
        sections.set_or_remove(&elements, elements.is_empty());
        let memory = self.memory.unwrap_or_default();
        let most = segments.saturating_sub(usize::try_from(data.len()).ok()?);
        for run in nonzero_ranges(memory, most.min(MOST_SEGMENTS)) {
            let start = u32::try_from(run.start).ok()?.cast_signed();
            data.segment(DataSegment {
                mode: DataSegmentMode::Active {
                    memory_index: 0,
                    offset: &ConstExpr::i32_const(start),
                },
                data: memory.get(run)?.iter().copied(),
            });
        }
        if data_count.is_some() {
            let count = data.len();
            sections.set(&DataCountSection { count });
        }
        sections.set_or_remove(&data, data.is_empty());
        Some(sections.into_module())
    }

    /// Writes the exports without those that would initialise again. Adds their functions to
    /// `declared`.
    fn exports(
        &self,
        exports: wasmparser::ExportSectionReader<'_>,
        declared: &mut BTreeSet<u32>,
    ) -> Option<ExportSection> {
        let mut section = ExportSection::new();
        for export in exports {
            let export = export.ok()?;
            let initialises = match export.name {
                _ if self.keeps_exports => false,
                REACTOR | CONSTRUCTORS => true,
                COMMAND => self.past_command,
                // Of other conventions, such as `wapc_init`.
                name => self.starts.contains(&Some(name)),
            };
            if !initialises {
                super::expose::copy_export(&mut section, &export);
            } else if export.kind == ExternalKind::Func {
                declared.insert(export.index);
            }
        }
        Some(section)
    }

    /// Writes the memory's type, with its present size as the minimum.
    fn memories<E>(
        &self,
        memories: impl Iterator<Item = Result<wasmparser::MemoryType, E>>,
    ) -> Option<MemorySection> {
        let mut section = MemorySection::new();
        for memory in memories {
            let memory = memory.ok()?;
            let page = memory.page_size_log2.unwrap_or(16);
            let size = u64::try_from(self.memory?.len()).ok()?;
            section.memory(wasm_encoder::MemoryType {
                minimum: size.checked_shr(page)?,
                maximum: memory.maximum,
                memory64: memory.memory64,
                shared: memory.shared,
                page_size_log2: memory.page_size_log2,
            });
        }
        Some(section)
    }

    /// Writes the globals with their present values. Adds the functions that their initial values
    /// referred to, to `declared`: code may refer only to functions that are declared somewhere.
    fn globals(
        &self,
        wasm: &[u8],
        globals: wasmparser::GlobalSectionReader<'_>,
        declared: &mut BTreeSet<u32>,
    ) -> Option<GlobalSection> {
        let mut values = self.globals.iter();
        let mut section = GlobalSection::new();
        for global in globals.into_iter_with_offsets() {
            let (start, global) = global.ok()?;
            let initial = global.init_expr.get_binary_reader().range();
            if global.ty.mutable {
                let ty = wasm.get(start..initial.start)?;
                let mut bytes = ty.to_vec();
                wasm_encoder::Encode::encode(values.next()?, &mut bytes);
                section.raw(&bytes);
                super::expose::referenced(&global.init_expr, declared)?;
            } else {
                section.raw(wasm.get(start..initial.end)?);
            }
        }
        Some(section)
    }

    /// Writes the tables' contents as active segments.
    fn write_tables(&self, elements: &mut ElementSection) {
        for (index, table) in (0..).zip(&self.tables) {
            let Some(first) = table.iter().position(Option::is_some) else {
                continue;
            };
            let held = table.get(first..).unwrap_or_default();
            let items: Vec<_> = held
                .iter()
                .map(|function| match function {
                    Some(function) => ConstExpr::ref_func(*function),
                    None => ConstExpr::ref_null(HeapType::FUNC),
                })
                .collect();
            let offset = u32::try_from(first).unwrap_or(u32::MAX).cast_signed();
            elements.segment(ElementSegment {
                mode: ElementMode::Active {
                    table: Some(index),
                    offset: &ConstExpr::i32_const(offset),
                },
                elements: Elements::Expressions(RefType::FUNCREF, Cow::Owned(items)),
            });
        }
    }
}

/// Writes a dropped element segment as an empty one, which keeps its index. Adds its functions to
/// `declared`.
fn write_emptied(
    elements: &mut ElementSection,
    element: Element<'_>,
    declared: &mut BTreeSet<u32>,
) -> Option<()> {
    let mut ty = RefType::FUNCREF;
    match element.items {
        ElementItems::Functions(items) => {
            for item in items {
                declared.insert(item.ok()?);
            }
        }
        ElementItems::Expressions(of, items) => {
            if of.is_extern_ref() {
                ty = RefType::EXTERNREF;
            }
            for item in items {
                super::expose::referenced(&item.ok()?, declared)?;
            }
        }
    }
    elements.passive(Elements::Expressions(ty, Cow::Borrowed(&[])));
    Some(())
}

/// Returns at most `most` ranges that cover all of `memory` that is not 0. They may contain zeros.
fn nonzero_ranges(memory: &[u8], most: usize) -> Vec<Range<usize>> {
    let most = most.max(1);
    // Doubled until the ranges are few enough. The header of a segment is shorter than 32 bytes.
    let mut chunk = 32usize;
    loop {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut start = 0usize;
        for bytes in memory.chunks(chunk) {
            let end = start.saturating_add(bytes.len());
            if bytes.iter().any(|byte| *byte != 0) {
                match runs.last_mut() {
                    Some(last) if last.end == start => last.end = end,
                    _ => runs.push(start..end),
                }
                if runs.len() > most {
                    break;
                }
            }
            start = end;
        }
        if runs.len() <= most {
            return runs;
        }
        chunk = chunk.saturating_mul(2);
    }
}

/// Returns a text that is unique to a function in its store. wasmi can't compare functions, but its
/// `Debug` output contains their index.
fn identity(function: &Func) -> String {
    format!("{function:?}")
}

/// Returns the index of the function that a reference points to; `None` if it is null.
fn function_of(
    reference: Ref,
    functions: &BTreeMap<String, u32>,
) -> Result<Option<u32>, SnapshotError> {
    match reference {
        Ref::Func(Nullable::Null) | Ref::Extern(Nullable::Null) => Ok(None),
        Ref::Func(Nullable::Val(function)) => {
            let known = functions.get(&identity(&function)).copied();
            known.map(Some).ok_or(SnapshotError::Unsupported {
                what:
                    "the instance holds a reference to a function of another instance or the host"
                        .into(),
            })
        }
        Ref::Extern(Nullable::Val(_)) => Err(SnapshotError::Unsupported {
            what: "the instance holds a reference to an object of the host".into(),
        }),
    }
}

/// Writes a global's value as the constant expression that initialises it.
fn constant(value: &Val, functions: &BTreeMap<String, u32>) -> Result<ConstExpr, SnapshotError> {
    Ok(match value {
        Val::I32(value) => ConstExpr::i32_const(*value),
        Val::I64(value) => ConstExpr::i64_const(*value),
        Val::F32(value) => ConstExpr::f32_const(wasm_encoder::Ieee32::new(value.to_bits())),
        Val::F64(value) => ConstExpr::f64_const(wasm_encoder::Ieee64::new(value.to_bits())),
        Val::V128(value) => ConstExpr::v128_const(value.as_u128().cast_signed()),
        Val::FuncRef(function) => match function_of(Ref::Func(*function), functions)? {
            Some(function) => ConstExpr::ref_func(function),
            None => ConstExpr::ref_null(HeapType::FUNC),
        },
        Val::ExternRef(reference) => {
            function_of(Ref::Extern(*reference), functions)?;
            ConstExpr::ref_null(HeapType::EXTERN)
        }
    })
}
