//! Adds exports to a module, so that everything that it can change can be read.
//!
//! It exports the tables, and each function that a reference can point to. For each segment that code
//! can drop, it adds a global that the code sets right before it drops the segment.

use super::{Segment, sections::Sections};
use crate::module::EXPOSED;
use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, GlobalSection, GlobalType, ValType,
};
use wasmparser::{ElementItems, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef};

/// A module with additional exports.
pub(super) struct Exposed {
    pub(super) wasm: Vec<u8>,
    /// The beginning of the additional exports' names, and of no other export's.
    prefix: String,
    /// The number of tables.
    pub(super) tables: u32,
    /// Each function that a reference can point to, in ascending order.
    pub(super) functions: Vec<u32>,
    /// Each segment that code drops, in the order of their globals, which follow all others.
    pub(super) droppable: Vec<Segment>,
}

impl Exposed {
    /// Returns the name under which a table is exported.
    pub(super) fn table_name(&self, index: u32) -> String {
        format!("{}table {index}", self.prefix)
    }

    /// Returns the name under which a function is exported.
    pub(super) fn function_name(&self, index: u32) -> String {
        format!("{}function {index}", self.prefix)
    }
}

/// The parts of a module that the additions depend on.
#[derive(Default)]
struct Found<'a> {
    tables: u32,
    /// Functions that a reference can point to.
    functions: BTreeSet<u32>,
    /// The number of globals, imported ones included.
    globals: u32,
    /// The encoded globals that are not imported.
    own_globals: Vec<&'a [u8]>,
    exports: Vec<wasmparser::Export<'a>>,
    bodies: Vec<FunctionBody<'a>>,
}

/// Adds the exports to `wasm`, which must be valid. `None` if a part of it can't be read.
pub(super) fn expose(wasm: &[u8]) -> Option<Exposed> {
    let found = find(wasm)?;
    let mut droppable = BTreeSet::new();
    for body in &found.bodies {
        drops(body, |_, segment| droppable.extend([segment]))?;
    }
    let droppable: Vec<_> = droppable.into_iter().collect();
    // Lengthened until no export of the module begins with it.
    let mut prefix = EXPOSED.to_string();
    while found.exports.iter().any(|e| e.name.starts_with(&prefix)) {
        prefix.insert(0, '_');
    }
    let mut exposed = Exposed {
        wasm: Vec::new(),
        prefix,
        tables: found.tables,
        functions: found.functions.iter().copied().collect(),
        droppable,
    };
    let mut sections = Sections::parse(wasm)?;
    sections.set(&exports(&found, &exposed));
    if !exposed.droppable.is_empty() {
        sections.set(&globals(&found, &exposed));
        sections.set(&code(wasm, &found, &exposed)?);
    }
    exposed.wasm = sections.into_module();
    Some(exposed)
}

/// Reads the parts of a module that the additions depend on.
fn find(wasm: &[u8]) -> Option<Found<'_>> {
    let mut found = Found::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::ImportSection(section) => {
                for import in section {
                    let global = matches!(import.ok()?.ty, TypeRef::Global(_));
                    found.globals = found.globals.saturating_add(global.into());
                }
            }
            Payload::TableSection(section) => found.tables = section.count(),
            Payload::GlobalSection(section) => {
                found.globals = found.globals.saturating_add(section.count());
                for global in section.into_iter_with_offsets() {
                    let (start, global) = global.ok()?;
                    let end = global.init_expr.get_binary_reader().range().end;
                    found.own_globals.push(wasm.get(start..end)?);
                    referenced(&global.init_expr, &mut found.functions)?;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.ok()?;
                    if export.kind == ExternalKind::Func {
                        found.functions.insert(export.index);
                    }
                    found.exports.push(export);
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    match element.ok()?.items {
                        ElementItems::Functions(items) => {
                            for item in items {
                                found.functions.insert(item.ok()?);
                            }
                        }
                        ElementItems::Expressions(_, items) => {
                            for item in items {
                                referenced(&item.ok()?, &mut found.functions)?;
                            }
                        }
                    }
                }
            }
            Payload::CodeSectionEntry(body) => found.bodies.push(body),
            _ => {}
        }
    }
    Some(found)
}

/// Adds the functions that a constant expression refers to.
pub(super) fn referenced(
    expression: &wasmparser::ConstExpr<'_>,
    functions: &mut BTreeSet<u32>,
) -> Option<()> {
    for operator in expression.get_operators_reader() {
        if let Operator::RefFunc { function_index } = operator.ok()? {
            functions.insert(function_index);
        }
    }
    Some(())
}

/// Calls `each` for each operator in `body` that drops a segment, with the operator's offset.
fn drops(body: &FunctionBody<'_>, mut each: impl FnMut(usize, Segment)) -> Option<()> {
    for operator in body.get_operators_reader().ok()?.into_iter_with_offsets() {
        match operator.ok()? {
            (Operator::DataDrop { data_index }, at) => each(at, Segment::Data(data_index)),
            (Operator::ElemDrop { elem_index }, at) => each(at, Segment::Element(elem_index)),
            _ => {}
        }
    }
    Some(())
}

/// Writes the module's exports, followed by the additional ones.
fn exports(found: &Found<'_>, exposed: &Exposed) -> ExportSection {
    let mut exports = ExportSection::new();
    for export in &found.exports {
        copy_export(&mut exports, export);
    }
    for index in 0..exposed.tables {
        exports.export(&exposed.table_name(index), ExportKind::Table, index);
    }
    for index in &exposed.functions {
        exports.export(&exposed.function_name(*index), ExportKind::Func, *index);
    }
    exports
}

/// Copies one export.
pub(super) fn copy_export(exports: &mut ExportSection, export: &wasmparser::Export<'_>) {
    let kind = match export.kind {
        ExternalKind::Func => ExportKind::Func,
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag => ExportKind::Tag,
    };
    exports.export(export.name, kind, export.index);
}

/// Writes the module's globals, followed by one for each segment that can be dropped: 0 until it is.
fn globals(found: &Found<'_>, exposed: &Exposed) -> GlobalSection {
    let mut globals = GlobalSection::new();
    for global in &found.own_globals {
        globals.raw(global);
    }
    for _ in &exposed.droppable {
        let ty = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        globals.global(ty, &ConstExpr::i32_const(0));
    }
    globals
}

/// Writes the module's code, with each drop of a segment preceded by setting its global.
fn code(wasm: &[u8], found: &Found<'_>, exposed: &Exposed) -> Option<CodeSection> {
    let mut code = CodeSection::new();
    let mut bytes = Vec::new();
    for body in &found.bodies {
        bytes.clear();
        let range = body.range();
        let (mut copied, mut complete) = (range.start, true);
        drops(body, |at, segment| {
            let number = exposed.droppable.binary_search(&segment).ok();
            let number = number.and_then(|number| u32::try_from(number).ok());
            let added = wasm.get(copied..at).zip(number);
            complete &= added.is_some();
            if let Some((before, number)) = added {
                bytes.extend_from_slice(before);
                let global = found.globals.saturating_add(number);
                wasm_encoder::InstructionSink::new(&mut bytes)
                    .i32_const(1)
                    .global_set(global);
                copied = at;
            }
        })?;
        bytes.extend_from_slice(wasm.get(copied..range.end)?);
        complete.then(|| code.raw(&bytes))?;
    }
    Some(code)
}
