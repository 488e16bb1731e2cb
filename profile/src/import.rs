//! Adds the import by which a module is observed, behind its imported functions, and the positions of which it tells.

use hostel_core::{Extern, ModuleInfo};
use std::{convert::Infallible, error, fmt};
use wasm_encoder::{
    CustomSection, Encode as _, EntityType, ImportSection, Module, SectionId, TypeSection, ValType,
    reencode::{Error, Reencode, utils},
};
use wasmparser::{
    CustomSectionReader, FunctionBody, ImportSectionReader, KnownCustom, Name,
    OperatorsIteratorWithOffsets, Parser, Payload, TypeRef, TypeSectionReader,
};

/// The module and the name of the import.
const MODULE: &str = "hostel-profile";
const EVENT: &str = "event";

/// The custom section with the positions.
const POSITIONS: &str = "hostel-profile.positions";

/// A custom section without a name and contents.
const EMPTY: [u8; 3] = [0, 1, 0];

/// A module that tells its events, and the names of its functions.
///
/// Functions have the indices of [`ProfileEvent`](hostel_core::ProfileEvent): those of this module, which has one import
/// more than the original.
#[derive(Debug)]
pub struct Profiled {
    /// The module, to be loaded. It is as long as the original, if that has custom sections to leave out: then the fuel
    /// for instantiation is equal too, else some units more.
    pub wasm: Vec<u8>,
    /// By the functions' indices.
    names: Vec<Option<String>>,
    /// The number of functions, the import included.
    functions: usize,
    /// The import's index.
    at: u32,
}

impl Profiled {
    /// Makes a module of `wasm` that tells when functions begin and end. `info` describes `wasm`.
    ///
    /// # Errors
    ///
    /// If `wasm` imports `hostel-profile` already, or can't be rewritten, as a component can't.
    pub fn new(wasm: &[u8], info: &ModuleInfo) -> Result<Self, Unprofilable> {
        Self::with_positions(wasm, info, &[])
    }

    /// Makes a module that also tells when it reaches `positions`: the offsets of operators in `wasm`, in ascending
    /// order. A position's number is its place in this list.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new). An offset at which no operator begins is [`Unprofilable::Module`].
    pub fn with_positions(
        wasm: &[u8],
        info: &ModuleInfo,
        positions: &[u64],
    ) -> Result<Self, Unprofilable> {
        // Its own calls could not be told from those that are added.
        if info.imports.iter().any(|import| &*import.module == MODULE) {
            return Err(Unprofilable::Import);
        }
        Self::rewrite(wasm, info, positions).ok_or(Unprofilable::Module)
    }

    fn rewrite(wasm: &[u8], info: &ModuleInfo, positions: &[u64]) -> Option<Self> {
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
        let section = |contents: &[u8]| {
            let mut module = module.clone();
            module.section(&CustomSection {
                name: POSITIONS.into(),
                data: contents.into(),
            });
            module.finish()
        };
        // Behind the code, whose offsets it does not change.
        let mut moved = moved(wasm, &section(&[0]), positions)?;
        // As long as without the changes, if it can be: making an instance costs fuel by the module's size.
        let list = moved.len();
        moved.resize(list + wasm.len().saturating_sub(section(&moved).len()), 0);
        let longer = section(&moved).len().saturating_sub(wasm.len());
        moved.truncate(list.max(moved.len().saturating_sub(longer)));
        // One byte can be missing: one more of contents can make their length a byte longer too.
        let missing = section(&moved).len() + 1 == wasm.len() && moved.len() >= list + 2;
        if missing {
            moved.truncate(moved.len() - 2);
        }
        let mut changed = section(&moved);
        if missing {
            changed.extend(EMPTY);
        }
        Some(Self {
            wasm: changed,
            names,
            functions: count + 1,
            at: read.imported,
        })
    }

    /// Returns whether the module defines the function of an index, and it is not one that was added.
    #[must_use]
    pub fn is_own(&self, index: u32) -> bool {
        index > self.at && usize::try_from(index).is_ok_and(|index| index < self.functions)
    }

    /// Returns the index of the function that the module defines at `number` of its own.
    #[must_use]
    pub fn defined(&self, number: usize) -> u32 {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.at.saturating_add(1).saturating_add(number)
    }

    /// Returns the index that a function has in the original module.
    #[must_use]
    pub fn original(&self, index: u32) -> u32 {
        index - u32::from(index > self.at)
    }

    /// Returns the name of the function of an index: its own, that of its export, or `function N` by its index in the
    /// original module. A plugin's author chose it: escape it before you show it.
    #[must_use]
    pub fn name(&self, index: u32) -> String {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        match self.names.get(index) {
            Some(Some(name)) => name.clone(),
            // Without the import, as the module has it.
            _ if index < self.functions => format!("function {}", index - 1),
            _ => "[memory operation]".to_owned(),
        }
    }
}

/// Why a module can't be profiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unprofilable {
    /// The module imports `hostel-profile`, the module of the import that a profile adds.
    Import,
    /// The module can't be rewritten: it is a component, or invalid.
    Module,
}

impl fmt::Display for Unprofilable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Import => "a module that imports `hostel-profile` can't be profiled",
            Self::Module => "this module can't be profiled: it can't be rewritten",
        })
    }
}

impl error::Error for Unprofilable {}

/// Returns the positions in `wasm`, which has the operators of `original`, as the custom section lists them.
fn moved(original: &[u8], wasm: &[u8], positions: &[u64]) -> Option<Vec<u8>> {
    let mut left = positions.iter().peekable();
    let mut list = Vec::new();
    u32::try_from(positions.len()).ok()?.encode(&mut list);
    let mut before = 0;
    for (old, new) in bodies(original)?.iter().zip(bodies(wasm)?) {
        for (old, new) in operators(old)?.zip(operators(&new)?) {
            let ((_, old), (_, new)) = (old.ok()?, new.ok()?);
            if left.next_if_eq(&&old).is_some() {
                u32::try_from(new - before).ok()?.encode(&mut list);
                before = new;
            }
        }
    }
    left.next().is_none().then_some(list)
}

/// Returns the bodies of a module's functions.
fn bodies(wasm: &[u8]) -> Option<Vec<FunctionBody<'_>>> {
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload.ok()? {
            bodies.push(body);
        }
    }
    Some(bodies)
}

fn operators<'a>(body: &FunctionBody<'a>) -> Option<OperatorsIteratorWithOffsets<'a>> {
    let reader = body.get_operators_reader().ok()?;
    Some(reader.into_iter_with_offsets())
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
        imports.import(MODULE, EVENT, EntityType::Function(self.ty));
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

    /// Leaves out what debuggers read: the interpreter does not, and it can be most of a module.
    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
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
