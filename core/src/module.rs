//! Reads a module before the interpreter sees it: what it is, and what it imports and exports.
//!
//! Everything but the functions' bodies is validated here, with the parser that wasmi uses;
//! wasmi then validates the bodies.

use crate::{
    abi::native::{self, BytesFunction},
    error::LoadError,
    start::START,
};
use alloc::{boxed::Box, format, vec::Vec};
use core::fmt;
use wasmi::ValType;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, ExternalKind, Operator, Parser, Payload, TypeRef,
    Validator, WasmFeatures,
};

/// What a module declares.
///
/// ```
/// let wasm = wat::parse_str(r#"(module (func (export "f") (param i32) (result i64) i64.const 0))"#)?;
/// let module = hostel_core::ModuleInfo::read(&wasm)?;
/// assert_eq!(module.exports[0].to_string(), "f: (i32) -> i64");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ModuleInfo {
    /// The module's size, in bytes.
    pub size: usize,
    /// What it imports, in its order.
    pub imports: Vec<Import>,
    /// What it exports, in its order.
    pub exports: Vec<Export>,
    /// Its memories, own and imported.
    pub memories: Vec<MemoryInfo>,
    /// Its tables, own and imported.
    pub tables: Vec<TableInfo>,
    /// Its sections, in their order.
    pub sections: Vec<Section>,
    /// The number of functions that it defines.
    pub functions: usize,
    /// Whether instantiating runs a start function.
    pub start: bool,
    /// The start function's index.
    pub(crate) start_function: Option<u32>,
    /// Whether a function grows a table.
    grows_table: bool,
}

/// Something that a module imports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Import {
    /// The module name, such as `env`.
    pub module: Box<str>,
    /// The field name.
    pub name: Box<str>,
    /// What it is.
    pub ty: Extern,
}

/// Something that a module exports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Export {
    /// The name.
    pub name: Box<str>,
    /// What it is.
    pub ty: Extern,
    /// Whether it is an import handed through.
    pub imported: bool,
}

/// The kinds of imports and exports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extern {
    /// A function.
    Function(Signature),
    /// A linear memory.
    Memory,
    /// A table.
    Table,
    /// A global.
    Global,
    /// An exception tag.
    Tag,
}

/// A function's type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The parameters' types.
    pub params: Box<[ValType]>,
    /// The results' types.
    pub results: Box<[ValType]>,
}

/// A memory's declared size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryInfo {
    /// Bytes at the start.
    pub min_bytes: u64,
    /// The most bytes that the module itself allows.
    pub max_bytes: Option<u64>,
}

/// A table's declared size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableInfo {
    /// Elements at the start.
    pub min: u64,
    /// The most elements that the module itself allows.
    pub max: Option<u64>,
}

/// A section of the module's file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// The section's name; a custom section's own name.
    pub name: Box<str>,
    /// Whether it is a custom section.
    pub custom: bool,
    /// Its contents' size, in bytes.
    pub size: usize,
}

impl ModuleInfo {
    /// Reads and validates all of `wasm` but its functions' bodies.
    ///
    /// # Errors
    ///
    /// Says what the bytes are, if not a module, or where and why they are invalid.
    pub fn read(wasm: &[u8]) -> Result<Self, LoadError> {
        check_preamble(wasm)?;
        let mut info = Self {
            size: wasm.len(),
            ..Self::default()
        };
        let mut types: Vec<Signature> = Vec::new();
        let mut functions: Vec<u32> = Vec::new();
        let mut imported = [0u32; 4];
        let mut validator = Validator::new_with_features(features());
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(|error| invalid(&error))?;
            validator
                .payload(&payload)
                .map_err(|error| invalid(&error))?;
            info.note_section(&payload, wasm);
            match payload {
                Payload::TypeSection(section) => {
                    for group in section {
                        for ty in group.map_err(|error| invalid(&error))?.types() {
                            types.push(signature(&ty.composite_type.inner)?);
                        }
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section {
                        let import = import.map_err(|error| invalid(&error))?;
                        info.import(&import, &types, &mut functions, &mut imported);
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        functions.push(ty.map_err(|error| invalid(&error))?);
                        info.functions = info.functions.saturating_add(1);
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        info.tables
                            .push(table_info(&table.map_err(|error| invalid(&error))?.ty));
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        info.memories
                            .push(memory_info(&memory.map_err(|error| invalid(&error))?));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(|error| invalid(&error))?;
                        info.export(&export, &types, &functions, &imported);
                    }
                }
                Payload::StartSection { func, .. } => {
                    info.start = true;
                    info.start_function = Some(func);
                }
                Payload::CodeSectionEntry(body) if !info.grows_table => {
                    info.grows_table = grows_table(&body).map_err(|error| invalid(&error))?;
                }
                _ => {}
            }
        }
        Ok(info)
    }

    /// The export of this name.
    #[must_use]
    pub fn export_named(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| &*export.name == name)
    }

    /// Whether its functions can take and give text and bytes: it exports a memory and an
    /// allocator.
    #[must_use]
    pub fn exchanges_bytes(&self) -> bool {
        native::exchanges_bytes(self)
    }

    /// The names of the functions it exports.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        self.exports
            .iter()
            .filter(|export| matches!(export.ty, Extern::Function(_)))
            .map(|export| &*export.name)
    }

    /// Refuses what hostel does not run.
    pub(crate) fn check_supported(&self) -> Result<(), LoadError> {
        // wasmi 2.0.0 does not save its position when fuel runs out in `table.grow`, so a call
        // that is resumed there would do other work twice. No mainstream compiler emits it.
        if self.grows_table {
            return Err(LoadError::Unsupported {
                what: "a function uses `table.grow`; give the table its final size instead".into(),
            });
        }
        if self.export_named(START).is_some() {
            return Err(LoadError::Unsupported {
                what: format!("it exports `{START}`, a reserved name").into(),
            });
        }
        Ok(())
    }

    fn note_section(&mut self, payload: &Payload<'_>, wasm: &[u8]) {
        let section = if let Payload::CustomSection(custom) = payload {
            Section {
                name: custom.name().into(),
                custom: true,
                size: custom.data().len(),
            }
        } else if let Some((id, range)) = payload.as_section() {
            let range = range.start..range.end.min(wasm.len());
            Section {
                name: section_name(id).into(),
                custom: false,
                size: range.len(),
            }
        } else {
            return;
        };
        self.sections.push(section);
    }

    fn import(
        &mut self,
        import: &wasmparser::Import<'_>,
        types: &[Signature],
        functions: &mut Vec<u32>,
        imported: &mut [u32; 4],
    ) {
        let [funcs, tables, memories, globals] = imported;
        let (ty, count) = match import.ty {
            TypeRef::Func(index) => {
                functions.push(index);
                (Extern::Function(type_at(types, index)), funcs)
            }
            TypeRef::Table(table) => {
                self.tables.push(table_info(&table));
                (Extern::Table, tables)
            }
            TypeRef::Memory(memory) => {
                self.memories.push(memory_info(&memory));
                (Extern::Memory, memories)
            }
            TypeRef::Global(_) => (Extern::Global, globals),
            TypeRef::Tag(_) => (Extern::Tag, &mut 0),
        };
        *count = count.saturating_add(1);
        self.imports.push(Import {
            module: import.module.into(),
            name: import.name.into(),
            ty,
        });
    }

    fn export(
        &mut self,
        export: &wasmparser::Export<'_>,
        types: &[Signature],
        functions: &[u32],
        imported: &[u32; 4],
    ) {
        let [funcs, tables, memories, globals] = *imported;
        let (ty, own_from) = match export.kind {
            ExternalKind::Func => {
                let index = usize::try_from(export.index).unwrap_or(usize::MAX);
                let ty = functions
                    .get(index)
                    .map(|&ty| type_at(types, ty))
                    .unwrap_or_default();
                (Extern::Function(ty), funcs)
            }
            ExternalKind::Table => (Extern::Table, tables),
            ExternalKind::Memory => (Extern::Memory, memories),
            ExternalKind::Global => (Extern::Global, globals),
            ExternalKind::Tag => (Extern::Tag, 0),
        };
        let imported = export.index < own_from;
        self.exports.push(Export {
            name: export.name.into(),
            ty,
            imported,
        });
    }
}

impl Extern {
    /// The word for it: `function`, `memory`, `table`, `global`, `tag`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Function(_) => "function",
            Self::Memory => "memory",
            Self::Table => "table",
            Self::Global => "global",
            Self::Tag => "tag",
        }
    }
}

impl fmt::Display for Extern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(signature) => signature.fmt(f),
            other => f.write_str(other.kind()),
        }
    }
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            crate::host::Visible::new(self.name.as_bytes()),
            self.ty
        )
    }
}

impl Signature {
    pub(crate) fn new(params: &[ValType], results: &[ValType]) -> Self {
        Self {
            params: params.into(),
            results: results.into(),
        }
    }
}

impl Signature {
    /// Whether it is that of a function from bytes to bytes, in any of the ABI's shapes.
    #[must_use]
    pub fn is_bytes(&self) -> bool {
        BytesFunction::fits(self)
    }
}

impl fmt::Display for Signature {
    /// `(i32, i32) -> i64`; several results in parentheses, none as `()`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_types(f, &self.params)?;
        f.write_str(" -> ")?;
        match &*self.results {
            [one] => f.write_str(type_name(*one)),
            several => write_types(f, several),
        }
    }
}

fn write_types(f: &mut fmt::Formatter<'_>, types: &[ValType]) -> fmt::Result {
    f.write_str("(")?;
    for (at, ty) in types.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        f.write_str(type_name(*ty))?;
    }
    f.write_str(")")
}

/// The name of a value type, as in the text format.
pub(crate) const fn type_name(ty: ValType) -> &'static str {
    match ty {
        ValType::I32 => "i32",
        ValType::I64 => "i64",
        ValType::F32 => "f32",
        ValType::F64 => "f64",
        ValType::V128 => "v128",
        ValType::FuncRef => "funcref",
        ValType::ExternRef => "externref",
    }
}

/// What a plugin may use of WebAssembly. The same for this reader and for the interpreter.
fn features() -> WasmFeatures {
    let mut features = WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::GC_TYPES
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::FLOATS;
    features.set(WasmFeatures::SIMD, cfg!(feature = "simd"));
    features
}

/// Switches on in the interpreter what [`features`] names, and no more.
pub(crate) fn configure_features(config: &mut wasmi::Config) {
    config.wasm_multi_memory(false).wasm_tail_call(false);
    #[cfg(feature = "simd")]
    config.wasm_relaxed_simd(false);
}

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

fn looks_like(bytes: &[u8]) -> &'static str {
    let start = bytes.get(..bytes.len().min(512)).unwrap_or(bytes);
    let text = match core::str::from_utf8(start) {
        Ok(text) => text,
        // A character cut in two by the end of the sample is no sign against text.
        Err(error) if error.error_len().is_none() => "text",
        Err(_) => "",
    };
    let text = text.trim_start();
    if start.starts_with(b"\x7fELF") {
        "a native ELF file: build the plugin for `wasm32-unknown-unknown`"
    } else if start.starts_with(b"\x1f\x8b") || start.starts_with(b"PK") {
        "a compressed file: unpack it first"
    } else if text.starts_with("(module") || text.starts_with(";;") || text.starts_with("(;") {
        "WebAssembly text: assemble it first, for example with `wat2wasm`"
    } else if text.is_empty() {
        "unknown binary data"
    } else {
        "text"
    }
}

fn invalid(error: &BinaryReaderError) -> LoadError {
    let reason = error.message();
    let truncated = reason.starts_with("unexpected end");
    LoadError::Invalid {
        at: error.offset(),
        reason: reason.into(),
        truncated,
    }
}

/// What wasmi's refusal of a module means.
pub(crate) fn refused(error: &wasmi::Error) -> LoadError {
    match error.kind() {
        wasmi::errors::ErrorKind::Wasm(error) => invalid(error),
        _ => LoadError::Refused {
            reason: format!("{error}").into(),
        },
    }
}

fn signature(ty: &CompositeInnerType) -> Result<Signature, LoadError> {
    let CompositeInnerType::Func(ty) = ty else {
        return Err(LoadError::Unsupported {
            what: "it declares a type that is not a function's".into(),
        });
    };
    let types = |list: &[wasmparser::ValType]| {
        list.iter()
            .map(|ty| val_type(*ty))
            .collect::<Result<Box<[_]>, _>>()
    };
    Ok(Signature {
        params: types(ty.params())?,
        results: types(ty.results())?,
    })
}

fn val_type(ty: wasmparser::ValType) -> Result<ValType, LoadError> {
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::FUNCREF => ValType::FuncRef,
        wasmparser::ValType::EXTERNREF => ValType::ExternRef,
        other => {
            return Err(LoadError::Unsupported {
                what: format!("it uses the type {other}").into(),
            });
        }
    })
}

fn type_at(types: &[Signature], index: u32) -> Signature {
    usize::try_from(index)
        .ok()
        .and_then(|index| types.get(index))
        .cloned()
        .unwrap_or_default()
}

fn memory_info(memory: &wasmparser::MemoryType) -> MemoryInfo {
    let page = 1u64 << memory.page_size_log2.unwrap_or(16).min(16);
    MemoryInfo {
        min_bytes: memory.initial.saturating_mul(page),
        max_bytes: memory.maximum.map(|pages| pages.saturating_mul(page)),
    }
}

fn table_info(table: &wasmparser::TableType) -> TableInfo {
    TableInfo {
        min: table.initial,
        max: table.maximum,
    }
}

fn grows_table(body: &wasmparser::FunctionBody<'_>) -> Result<bool, BinaryReaderError> {
    for operator in body.get_operators_reader()? {
        if matches!(operator?, Operator::TableGrow { .. }) {
            return Ok(true);
        }
    }
    Ok(false)
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
