//! A core module, parsed.

use crate::error::LowerError;
use std::collections::HashMap;
use wasmparser::{
    CompositeInnerType, ConstExpr, Data, Element, ExternalKind, FuncType, FunctionBody, GlobalType,
    KnownCustom, MemoryType, Name, Parser, Payload, TableInit, TableType, TypeRef, Validator,
    WasmFeatures,
};

/// What a module may use. Hostel's interpreter has no garbage collection, exceptions, threads or memories of
/// 64 bits.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::WIDE_ARITHMETIC);

/// The sections of a valid core module.
#[derive(Default)]
pub(crate) struct Module<'a> {
    pub(crate) types: Vec<FuncType>,
    pub(crate) imports: Vec<TypeRef>,
    /// The types' numbers of the functions that the module defines.
    pub(crate) functions: Vec<u32>,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    pub(crate) tables: Vec<TableType>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) globals: Vec<(GlobalType, ConstExpr<'a>)>,
    pub(crate) exports: HashMap<&'a str, (ExternalKind, u32)>,
    pub(crate) start: Option<u32>,
    pub(crate) elements: Vec<Element<'a>>,
    pub(crate) data: Vec<Data<'a>>,
    /// Names of functions, from the section `name`.
    pub(crate) names: HashMap<u32, &'a str>,
}

impl<'a> Module<'a> {
    /// Validates and parses a module.
    ///
    /// # Errors
    ///
    /// [`LowerError::Invalid`], also if the module uses what hostel's interpreter does not have.
    pub(crate) fn parse(wasm: &'a [u8]) -> Result<Self, LowerError> {
        Validator::new_with_features(FEATURES).validate_all(wasm)?;
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            module.section(payload?)?;
        }
        Ok(module)
    }

    fn section(&mut self, payload: Payload<'a>) -> Result<(), LowerError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.into_types() {
                        let CompositeInnerType::Func(ty) = ty.composite_type.inner else {
                            return Err(LowerError::unsupported(
                                "it has types of the garbage collector",
                            ));
                        };
                        self.types.push(ty);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.imports.push(import?.ty);
                }
            }
            Payload::FunctionSection(section) => {
                self.functions = section.into_iter().collect::<Result<_, _>>()?;
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    if matches!(table.init, TableInit::Expr(_)) {
                        return Err(LowerError::unsupported(
                            "it has a table whose entries begin with a value",
                        ));
                    }
                    self.tables.push(table.ty);
                }
            }
            Payload::MemorySection(section) => {
                self.memories = section.into_iter().collect::<Result<_, _>>()?;
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    self.globals.push((global.ty, global.init_expr));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports
                        .insert(export.name, (export.kind, export.index));
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(section) => {
                self.elements = section.into_iter().collect::<Result<_, _>>()?;
            }
            Payload::DataSection(section) => {
                self.data = section.into_iter().collect::<Result<_, _>>()?;
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    // Names are for people: a section that is broken has none.
                    for part in names.into_iter().map_while(Result::ok) {
                        if let Name::Function(functions) = part {
                            let functions = functions.into_iter().map_while(Result::ok);
                            self.names
                                .extend(functions.map(|naming| (naming.index, naming.name)));
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
