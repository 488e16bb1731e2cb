//! Adds the import by which a module is profiled, behind its imported functions.

use hostel_core::{Extern, ModuleInfo};
use std::convert::Infallible;
use wasm_encoder::{
    EntityType, ImportSection, Module, SectionId, TypeSection, ValType,
    reencode::{Error, Reencode, utils},
};
use wasmparser::{
    ImportSectionReader, KnownCustom, Name, Parser, Payload, TypeRef, TypeSectionReader,
};

/// The module and the name of the import.
const EVENT: (&str, &str) = ("hostel-profile", "event");

/// A module that tells its events, and the names of its functions.
#[derive(Debug)]
pub struct Profiled {
    /// The module with the import, to be loaded.
    pub wasm: Vec<u8>,
    /// By the functions' new indices.
    names: Vec<Option<String>>,
    /// The number of functions, the import included.
    functions: usize,
}

impl Profiled {
    /// Adds the import to `wasm`, of which `info` tells. `None` if it can't be read, or is a component.
    #[must_use]
    pub fn new(wasm: &[u8], info: &ModuleInfo) -> Option<Self> {
        let read = Read::of(wasm).ok()?;
        let mut added = Added {
            at: read.imported,
            ty: read.types,
            has_types: false,
            has_imports: false,
        };
        let mut module = Module::new();
        added
            .parse_core_module(&mut module, Parser::new(0), wasm)
            .ok()?;
        let at = usize::try_from(read.imported).ok()?;
        let mut names = read.names;
        let count = at.checked_add(read.own)?;
        names.resize(count, None);
        for (name, import) in names.iter_mut().zip(imported(info)) {
            *name = Some(import);
        }
        names.insert(at, None);
        Some(Self {
            wasm: module.finish(),
            names,
            functions: count + 1,
        })
    }

    /// Returns the name of the function of an index.
    pub(crate) fn name(&self, index: u32) -> String {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        match self.names.get(index) {
            Some(Some(name)) => name.clone(),
            // Without the import, as the module has it.
            _ if index < self.functions => format!("function {}", index - 1),
            _ => "[memory operation]".to_owned(),
        }
    }
}

/// Returns the names of the imported functions.
fn imported(info: &ModuleInfo) -> impl Iterator<Item = String> {
    let functions = info
        .imports
        .iter()
        .filter(|import| matches!(import.ty, Extern::Function(_)));
    functions.map(|import| format!("{}.{}", import.module, import.name))
}

/// What is read of a module first.
#[derive(Default)]
struct Read {
    types: u32,
    imported: u32,
    own: usize,
    /// The names of functions, by their indices.
    names: Vec<Option<String>>,
}

impl Read {
    fn of(wasm: &[u8]) -> wasmparser::Result<Self> {
        let mut read = Self::default();
        let mut exports = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        read.types += u32::try_from(group?.types().len()).unwrap_or(u32::MAX);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        read.imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(section) => {
                    read.own = usize::try_from(section.count()).unwrap_or(usize::MAX);
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == wasmparser::ExternalKind::Func {
                            exports.push((export.index, export.name.to_owned()));
                        }
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        read.own_names(names);
                    }
                }
                _ => {}
            }
        }
        // A function's own name comes before those of its exports.
        for (index, name) in exports {
            read.put(index, &name);
        }
        Ok(read)
    }

    /// Reads the names of functions. Those that can't be read are left out.
    fn own_names(&mut self, names: wasmparser::NameSectionReader<'_>) {
        for names in names.into_iter().map_while(Result::ok) {
            if let Name::Function(map) = names {
                for naming in map.into_iter().map_while(Result::ok) {
                    self.put(naming.index, naming.name);
                }
            }
        }
    }

    fn put(&mut self, index: u32, name: &str) {
        let count = usize::try_from(self.imported).unwrap_or(usize::MAX) + self.own;
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        // The name section comes after the functions, and may name what there is not.
        if index >= count {
            return;
        }
        if self.names.len() <= index {
            self.names.resize(index + 1, None);
        }
        self.names[index].get_or_insert_with(|| name.to_owned());
    }
}

/// Writes a module anew with the import.
struct Added {
    /// The import's index.
    at: u32,
    /// The index of its type.
    ty: u32,
    has_types: bool,
    has_imports: bool,
}

impl Added {
    fn add_type(&mut self, types: &mut TypeSection) {
        types.ty().function([ValType::I32; 3], []);
        self.has_types = true;
    }

    fn add_import(&mut self, imports: &mut ImportSection) {
        imports.import(EVENT.0, EVENT.1, EntityType::Function(self.ty));
        self.has_imports = true;
    }
}

impl Reencode for Added {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(match index < self.at {
            true => index,
            false => index + 1,
        })
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        utils::parse_type_section(self, types, section)?;
        self.add_type(types);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        utils::parse_import_section(self, imports, section)?;
        self.add_import(imports);
        Ok(())
    }

    /// Writes the sections that the module lacks.
    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<(), Error<Infallible>> {
        let before_types = matches!(before, Some(SectionId::Type));
        if !self.has_types && !before_types {
            let mut types = TypeSection::new();
            self.add_type(&mut types);
            module.section(&types);
        }
        if !self.has_imports && !before_types && before != Some(SectionId::Import) {
            let mut imports = ImportSection::new();
            self.add_import(&mut imports);
            module.section(&imports);
        }
        Ok(())
    }
}
