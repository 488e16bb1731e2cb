//! From bytes to what they declare.

use super::{
    Export, Extern, Import, Initializers, MemoryInfo, ModuleInfo, RESERVED, Section, TableInfo,
    bulk,
    code::{Code, Kind, value_type},
    features::features,
    groups::{Groups, Type},
    lengths,
    looks::looks_like,
    proposal::{invalid_at, needs},
};
use crate::{
    base::{
        limits::ModuleLimits,
        signature::{Signature, ValType},
        text::text,
    },
    error::LoadError,
};
use alloc::{boxed::Box, vec::Vec};
use core::fmt;
use wasmparser::{
    BinaryReaderError, Chunk, CompositeInnerType, ConstExpr, DataKind, Element, ElementItems,
    ElementKind, ExternalKind, Parser, Payload, TableInit, TypeRef, Validator, WasmFeatures,
};

/// Why reading stops. Small, for it is handed on at each step.
pub(super) enum Fault {
    /// In the parser's words.
    Invalid(BinaryReaderError),
    /// For what the reader keeps.
    Refused,
}

impl From<BinaryReaderError> for Fault {
    fn from(error: BinaryReaderError) -> Self {
        Self::Invalid(error)
    }
}

/// Reads one module.
pub(super) struct Reader<'a> {
    pub(super) wasm: &'a [u8],
    pub(super) limits: &'a ModuleLimits,
    pub(super) info: ModuleInfo,
    /// Whether to read on where the module uses what hostel does not run. It can't be loaded then.
    lenient: bool,
    /// Whether it is a core module of a component, whose memory others may grow.
    #[cfg(feature = "component")]
    inner: bool,
    pub(super) types: Vec<Signature>,
    /// The type of each function, the imported ones first.
    pub(super) functions: Vec<u32>,
    /// How many functions, tables, memories and globals are imported.
    imported: [u32; 4],
    custom_sections: usize,
    /// How many bodies of functions were read.
    bodies: usize,
    /// Bytes of the heap that reading may take, and may have taken so far.
    room: usize,
    taken: usize,
    /// The type of each global, the imported ones first, and whether it can change.
    pub(super) globals: Vec<(Kind, bool)>,
    /// Measures functions.
    pub(super) code: Code,
    /// Decides what is charged by itself.
    pub(super) groups: Groups,
    /// For each type of functions with several results, the type that is added for its groups.
    pub(super) types_of_groups: Vec<Option<Type>>,
    /// The indices of the data segments that are longer than a chunk.
    pub(super) large_data: Vec<u32>,
    /// What the module is refused for, where [`Fault`] does not tell.
    refusal: LoadError,
}

impl<'a> Reader<'a> {
    pub(super) fn new(wasm: &'a [u8], limits: &'a ModuleLimits, room: usize) -> Self {
        Self {
            wasm,
            limits,
            lenient: false,
            #[cfg(feature = "component")]
            inner: false,
            info: ModuleInfo {
                size: wasm.len(),
                ..ModuleInfo::default()
            },
            types: Vec::new(),
            functions: Vec::new(),
            imported: [0; 4],
            custom_sections: 0,
            bodies: 0,
            room,
            taken: 0,
            globals: Vec::new(),
            code: Code::default(),
            groups: Groups::default(),
            types_of_groups: Vec::new(),
            large_data: Vec::new(),
            refusal: LoadError::Empty,
        }
    }

    /// Reads on where the module needs a proposal that is switched off, or uses what is refused in a
    /// function's body.
    pub(super) const fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Expects a core module of a component.
    #[cfg(feature = "component")]
    pub(super) const fn inner(mut self) -> Self {
        self.inner = true;
        self
    }

    /// Returns whether it is a core module of a component.
    #[cfg(feature = "component")]
    pub(super) const fn is_inner(&self) -> bool {
        self.inner
    }

    pub(super) fn read(mut self) -> Result<ModuleInfo, LoadError> {
        check_preamble(self.wasm)?;
        lengths::check(self.wasm)?;
        match self.sections() {
            Ok(()) => {
                self.info.initializers = Initializers::find(self.wasm, &self.info);
                Ok(self.info)
            }
            Err(Fault::Invalid(error)) => Err(invalid_at(&error)),
            Err(Fault::Refused) => Err(self.refusal),
        }
    }

    fn sections(&mut self) -> Result<(), Fault> {
        self.take(READING)?;
        let features = match self.lenient {
            true => WasmFeatures::all(),
            false => features(),
        };
        let mut validator = Validator::new_with_features(features);
        let (mut parser, mut rest) = (Parser::new(0), self.wasm);
        let mut validates = true;
        loop {
            let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
                // It asks for no more, as it is told that this is all.
                return Err(self.unsupported(format_args!("it has no end")));
            };
            rest = rest.get(consumed..).unwrap_or_default();
            self.count(&payload)?;
            if validates {
                let validated = validator.payload(&payload);
                // What comes after may refer to what the validator has not seen.
                validates = validated.is_ok();
                self.tolerate(validated.map(drop).map_err(Fault::from))?;
            }
            self.section(&payload);
            if matches!(payload, Payload::End(_)) {
                #[cfg(feature = "component")]
                {
                    self.info.counts.grows |= self.inner && self.shares_memory();
                }
                return self.split_bulk();
            }
            let read = self.payload(payload);
            self.tolerate(read)?;
        }
    }

    /// Returns whether the module imports or exports its memory: then code of other modules may grow it.
    #[cfg(feature = "component")]
    fn shares_memory(&self) -> bool {
        let imports = self.info.imports.iter().map(|import| &import.ty);
        let exports = self.info.exports.iter().map(|export| &export.ty);
        imports.chain(exports).any(|ty| *ty == Extern::Memory)
    }

    pub(super) fn refuse(&mut self, error: LoadError) -> Fault {
        self.refusal = error;
        Fault::Refused
    }

    pub(super) fn unsupported(&mut self, what: fmt::Arguments<'_>) -> Fault {
        self.refuse(LoadError::Unsupported { what: text(what) })
    }

    /// Passes a fault on, unless it is that hostel does not run what the module uses, and reading is
    /// lenient.
    fn tolerate(&self, result: Result<(), Fault>) -> Result<(), Fault> {
        let unsupported = match &result {
            Ok(()) => true,
            Err(Fault::Invalid(error)) => needs(error.message(), 0).is_some(),
            Err(Fault::Refused) => matches!(
                self.refusal,
                LoadError::Unsupported { .. } | LoadError::NeedsProposal { .. }
            ),
        };
        if self.lenient && unsupported {
            return Ok(());
        }
        result
    }

    /// Refuses more than a limit allows.
    pub(super) fn over(
        &mut self,
        name: &'static str,
        limit: usize,
        found: usize,
    ) -> Result<(), Fault> {
        if found > limit {
            return Err(self.refuse(LoadError::OverLimit {
                name,
                limit: limit as u64,
                found: found as u64,
            }));
        }
        Ok(())
    }

    /// Checks the number of a section's entries, and that there is room for them, before they are
    /// read.
    fn count(&mut self, payload: &Payload<'_>) -> Result<(), Fault> {
        let limits = self.limits;
        let (name, limit, found, each) = match payload {
            Payload::TypeSection(section) => ("types", limits.types, section.count(), 500),
            Payload::ImportSection(section) => ("imports", limits.imports, section.count(), 400),
            Payload::FunctionSection(section) => {
                ("functions", limits.functions, section.count(), 50)
            }
            Payload::TableSection(section) => ("tables", limits.tables, section.count(), 100),
            Payload::GlobalSection(section) => ("globals", limits.globals, section.count(), 100),
            Payload::ExportSection(section) => ("exports", limits.exports, section.count(), 400),
            Payload::ElementSection(section) => ("segments", limits.segments, section.count(), 20),
            Payload::DataSection(section) => ("segments", limits.segments, section.count(), 20),
            Payload::CustomSection(_) => {
                self.custom_sections = self.custom_sections.saturating_add(1);
                let (limit, found) = (limits.custom_sections, self.custom_sections);
                self.over("custom_sections", limit, found)?;
                return self.take(READING_SECTION);
            }
            _ => return Ok(()),
        };
        let found = usize::try_from(found).unwrap_or(usize::MAX);
        self.over(name, limit, found)?;
        if name == "functions" {
            // Empty functions cost wasmi far more memory than the few bytes that they have.
            let small = found.saturating_sub(self.wasm.len() / 8);
            self.over("small_functions", limits.small_functions, small)?;
        }
        let size = payload.as_section().map_or(0, |(_, range)| range.len());
        // Claims are checked against what is there: an entry has a byte at least.
        let entries = found.min(size).saturating_mul(each);
        self.take(entries.saturating_add(size).saturating_add(READING_SECTION))
    }

    /// Counts what reading may take, and refuses what the heap has no room for.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken > self.room {
            return Err(self.refuse(LoadError::DoesNotFit {
                needed: self.taken as u64,
                free: self.room as u64,
            }));
        }
        Ok(())
    }

    fn section(&mut self, payload: &Payload<'_>) {
        let (name, custom, size) = if let Payload::CustomSection(custom) = payload {
            (custom.name(), true, custom.data().len())
        } else if let Some((id, range)) = payload.as_section() {
            (
                section_name(id),
                false,
                range.end.min(self.wasm.len()).saturating_sub(range.start),
            )
        } else {
            return;
        };
        self.info.sections.push(Section {
            name: name.into(),
            custom,
            size,
        });
    }

    fn payload(&mut self, payload: Payload<'_>) -> Result<(), Fault> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.types() {
                        let ty = self.signature(&ty.composite_type.inner)?;
                        self.over("params", self.limits.params, ty.params.len())?;
                        self.over("results", self.limits.results, ty.results.len())?;
                        self.types.push(ty);
                        self.info.counts.types = self.types.len();
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section {
                    self.import(&import?)?;
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.functions.push(ty?);
                    self.info.functions = self.info.functions.saturating_add(1);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    if let TableInit::Expr(expression) = &table.init {
                        self.expression(expression)?;
                    }
                    self.table(&table.ty);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory?;
                    self.memory(&memory);
                    self.info.changes.memory = true;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    self.export(&export?)?;
                }
            }
            Payload::GlobalSection(section) => {
                let [_, _, _, imported] = self.imported;
                for (index, global) in (imported..).zip(section) {
                    let global = global?;
                    self.info.counts.globals = self.info.counts.globals.saturating_add(1);
                    self.globals.push(global_type(&global.ty));
                    self.expression(&global.init_expr)?;
                    if global.ty.mutable {
                        self.info.changes.globals.push(index);
                        // A reference is one into its own instance's store.
                        let reference = global.ty.content_type.is_reference_type();
                        self.info.changes.not_resettable |= reference;
                    }
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    self.element(element?)?;
                }
            }
            Payload::DataSection(section) => {
                for (index, data) in (0..).zip(section) {
                    let data = data?;
                    if data.data.len() > bulk::CHUNK as usize {
                        self.large_data.push(index);
                    }
                    self.info.counts.segments = self.info.counts.segments.saturating_add(1);
                    if let DataKind::Active { offset_expr, .. } = data.kind {
                        self.expression(&offset_expr)?;
                    }
                }
            }
            Payload::StartSection { func, .. } => {
                self.info.start = true;
                self.info.changes.start = Some(func);
            }
            Payload::CodeSectionEntry(body) => {
                let [imported_functions, ..] = self.imported;
                let ty = usize::try_from(imported_functions)
                    .ok()
                    .and_then(|imported| self.functions.get(imported.checked_add(self.bodies)?))
                    .copied();
                self.bodies = self.bodies.saturating_add(1);
                self.body(&body, ty)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn element(&mut self, element: Element<'_>) -> Result<(), Fault> {
        if let ElementKind::Active { offset_expr, .. } = &element.kind {
            self.expression(offset_expr)?;
        }
        let count = match &element.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let counts = &mut self.info.counts;
        counts.segments = counts.segments.saturating_add(1);
        counts.elements = counts.elements.saturating_add(count);
        let elements = counts.elements;
        self.over("elements", self.limits.elements, elements)?;
        if let ElementItems::Expressions(_, items) = element.items {
            for item in items {
                self.expression(&item?)?;
            }
        }
        Ok(())
    }

    /// wasmi 2.0.0 computes constant expressions by recursion, on the native stack.
    fn expression(&mut self, expression: &ConstExpr<'_>) -> Result<(), Fault> {
        let size = expression.get_binary_reader().bytes_remaining();
        let bytes = &mut self.info.counts.expression_bytes;
        *bytes = bytes.saturating_add(size);
        // An operator that computes takes a byte, and its second operand two at least. The first
        // operand and the end take three.
        let sums = size.saturating_sub(3) / 3;
        self.info.counts.sums = self.info.counts.sums.saturating_add(sums);
        self.over("expression_bytes", self.limits.expression_bytes, size)
    }

    fn import(&mut self, import: &wasmparser::Import<'_>) -> Result<(), Fault> {
        let most = import.module.len().max(import.name.len());
        self.over("name_bytes", self.limits.name_bytes, most)?;
        let (ty, kind) = match import.ty {
            TypeRef::Func(index) => {
                self.functions.push(index);
                (Extern::Function(type_at(&self.types, index)), 0)
            }
            TypeRef::Table(table) => {
                self.table(&table);
                (Extern::Table, 1)
            }
            TypeRef::Memory(memory) => {
                self.memory(&memory);
                (Extern::Memory, 2)
            }
            TypeRef::Global(ty) => {
                self.globals.push(global_type(&ty));
                (Extern::Global, 3)
            }
            TypeRef::Tag(_) => (Extern::Tag, 4),
        };
        if let Some(count) = self.imported.get_mut(kind) {
            *count = count.saturating_add(1);
        }
        self.info.imports.push(Import {
            module: import.module.into(),
            name: import.name.into(),
            ty,
        });
        Ok(())
    }

    #[inline(never)]
    fn memory(&mut self, memory: &wasmparser::MemoryType) {
        let page = 1u64 << memory.page_size_log2.unwrap_or(16).min(16);
        self.info.memories.push(MemoryInfo {
            page_bytes: page,
            min_bytes: memory.initial.saturating_mul(page),
            max_bytes: memory.maximum.map(|pages| pages.saturating_mul(page)),
        });
    }

    #[inline(never)]
    fn table(&mut self, table: &wasmparser::TableType) {
        self.info.tables.push(TableInfo {
            min: table.initial,
            max: table.maximum,
        });
    }

    fn export(&mut self, export: &wasmparser::Export<'_>) -> Result<(), Fault> {
        self.over("name_bytes", self.limits.name_bytes, export.name.len())?;
        let [funcs, tables, memories, globals] = self.imported;
        let (ty, own_from) = match export.kind {
            ExternalKind::Func => {
                let index = usize::try_from(export.index).unwrap_or(usize::MAX);
                let ty = self
                    .functions
                    .get(index)
                    .map(|&ty| type_at(&self.types, ty));
                (Extern::Function(ty.unwrap_or_default()), funcs)
            }
            ExternalKind::Table => (Extern::Table, tables),
            ExternalKind::Memory => (Extern::Memory, memories),
            ExternalKind::Global => (Extern::Global, globals),
            ExternalKind::Tag => (Extern::Tag, 0),
        };
        // Names of interfaces in WIT have a slash.
        if export.name.starts_with(RESERVED) && !export.name.contains('/') {
            return Err(self.unsupported(format_args!(
                "it exports a name that begins with `{RESERVED}` and has no `/`, which is reserved"
            )));
        }
        let imported = export.index < own_from;
        self.info.exports.push(Export {
            name: export.name.into(),
            ty,
            imported,
        });
        Ok(())
    }

    fn signature(&mut self, ty: &CompositeInnerType) -> Result<Signature, Fault> {
        let ty = match ty {
            CompositeInnerType::Func(ty) => ty,
            // In its place, so that the types keep their numbers.
            _ if self.lenient => return Ok(Signature::default()),
            _ => {
                let what = format_args!("it declares a type that is not a function's");
                return Err(self.unsupported(what));
            }
        };
        Ok(Signature {
            params: self.val_types(ty.params())?,
            results: self.val_types(ty.results())?,
        })
    }

    fn val_types(&mut self, types: &[wasmparser::ValType]) -> Result<Box<[ValType]>, Fault> {
        let mut known = Vec::with_capacity(types.len());
        for ty in types {
            known.push(match *ty {
                wasmparser::ValType::I32 => ValType::I32,
                wasmparser::ValType::I64 => ValType::I64,
                wasmparser::ValType::F32 => ValType::F32,
                wasmparser::ValType::F64 => ValType::F64,
                wasmparser::ValType::V128 => ValType::V128,
                wasmparser::ValType::FUNCREF => ValType::FuncRef,
                wasmparser::ValType::EXTERNREF => ValType::ExternRef,
                wasmparser::ValType::Ref(_) if self.lenient => ValType::OtherRef,
                other => return Err(self.unsupported(format_args!("it uses the type {other}"))),
            });
        }
        Ok(known.into())
    }
}

/// Bytes that reading any module may take, and each of its sections.
const READING: usize = 6_000;
const READING_SECTION: usize = 200;

fn check_preamble(wasm: &[u8]) -> Result<(), LoadError> {
    const MAGIC: &[u8] = b"\0asm";
    if wasm.is_empty() {
        return Err(LoadError::Empty);
    }
    if !wasm.starts_with(MAGIC) {
        if MAGIC.starts_with(wasm) {
            return Err(LoadError::Invalid {
                at: wasm.len(),
                reason: "it ends within the first four bytes".into(),
                truncated: true,
            });
        }
        return Err(LoadError::NotWasm {
            looks_like: looks_like(wasm),
        });
    }
    match wasm.get(4..8) {
        Some([_, _, 1, 0]) => Err(LoadError::Component),
        _ => Ok(()),
    }
}

/// What wasmi's refusal of a module means.
pub(crate) fn refused(error: &wasmi::Error) -> LoadError {
    match error.kind() {
        wasmi::errors::ErrorKind::Wasm(error) => invalid_at(error),
        _ => LoadError::Refused {
            reason: text(format_args!("{error}")),
        },
    }
}

fn global_type(ty: &wasmparser::GlobalType) -> (Kind, bool) {
    (Kind::of(value_type(ty.content_type)), ty.mutable)
}

pub(super) fn type_ref(types: &[Signature], index: u32) -> Option<&Signature> {
    types.get(usize::try_from(index).ok()?)
}

fn type_at(types: &[Signature], index: u32) -> Signature {
    type_ref(types, index).cloned().unwrap_or_default()
}

const fn section_name(id: u8) -> &'static str {
    match id {
        1 => "type",
        2 => "import",
        3 => "function",
        4 => "table",
        5 => "memory",
        6 => "global",
        7 => "export",
        8 => "start",
        9 => "element",
        10 => "code",
        11 => "data",
        12 => "data count",
        13 => "tag",
        _ => "unknown",
    }
}
