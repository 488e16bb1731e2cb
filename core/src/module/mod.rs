//! Reads a module before the interpreter sees it: what it is, what it imports and exports, and
//! whether it stays within the limits.
//!
//! Everything but the functions' bodies is validated here, with the parser that wasmi uses;
//! wasmi then validates the bodies.

mod body;
mod bulk;
mod code;
mod edits;
mod features;
mod footprint;
mod groups;
mod initializers;
mod lengths;
mod looks;
#[cfg(feature = "profile")]
pub(crate) mod profile;
mod proposal;
mod read;
mod rewrite;
mod scan;
#[cfg(feature = "trace")]
mod trace;

pub use self::footprint::{Footprint, Machine};
#[cfg(feature = "component")]
pub(crate) use self::proposal::invalid;
#[cfg(all(test, feature = "component"))]
pub(crate) use self::rewrite::leb128;
#[cfg(feature = "component")]
pub(crate) use self::rewrite::{next_section, section};
#[cfg(feature = "trace")]
pub(crate) use self::trace::{FunctionNames, traced};
pub(crate) use self::{
    bulk::GROWTH,
    features::{configure_features, validate},
    footprint::FIRST_STACK,
    initializers::{COMMAND, CONSTRUCTORS, EXPOSED, Initializers, REACTOR},
    read::refused,
    rewrite::{Changes, MEMORY, START, global_name, offset_before, rewrite},
};
use self::{footprint::Counts, read::Reader, rewrite::RESERVED};
use crate::{
    base::{
        fuel::{BASE, fuel_for},
        limits::ModuleLimits,
        signature::Signature,
        text::Escaped,
    },
    error::LoadError,
};
use alloc::{boxed::Box, vec::Vec};
use core::fmt;

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
    /// The module's or component's size, in bytes.
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
    /// The exports that initialise an instance.
    pub(crate) initializers: Initializers,
    /// What has to change in the module before wasmi sees it.
    pub(crate) changes: Changes,
    /// How many there are of what costs memory.
    counts: Counts,
}

/// Something that a module imports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Import {
    /// The module name, such as `env`.
    pub module: Box<str>,
    /// The field name.
    pub name: Box<str>,
    /// Its kind and type.
    pub ty: Extern,
}

/// Something that a module exports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Export {
    /// The name.
    pub name: Box<str>,
    /// Its kind and type.
    pub ty: Extern,
    /// Whether it is a re-exported import.
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
    /// A function of a component, with its type in WIT.
    #[cfg(feature = "component")]
    ComponentFunction(Box<str>),
    /// A resource type of a component.
    #[cfg(feature = "component")]
    Resource,
}

/// A memory's declared size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryInfo {
    /// Bytes by which it grows at least: 65,536, or 1 in a module for small machines.
    pub page_bytes: u64,
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
    /// Reads and validates all of `wasm` except function bodies, without limits.
    ///
    /// A module that hostel would refuse for a proposal or a feature is read too; its footprint then lacks
    /// the functions that use it.
    ///
    /// # Errors
    ///
    /// Any [`LoadError`] that names the format found, or the fault and its offset.
    pub fn read(wasm: &[u8]) -> Result<Self, LoadError> {
        Self::read_within(wasm, &ModuleLimits::none())
    }

    /// Reads `wasm` as [`read`](Self::read) does, within `limits`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and [`LoadError::OverLimit`].
    pub fn read_within(wasm: &[u8], limits: &ModuleLimits) -> Result<Self, LoadError> {
        Reader::new(wasm, limits, usize::MAX).lenient().read()
    }

    /// Reads a module to load it, within `limits` and in `room` bytes of heap.
    // Apart, so that its native stack is given back before the interpreter compiles.
    #[inline(never)]
    pub(crate) fn read_in(
        wasm: &[u8],
        limits: &ModuleLimits,
        room: usize,
    ) -> Result<Self, LoadError> {
        Reader::new(wasm, limits, room).read()
    }

    /// Reads a core module of a component to load it: other modules may share its memory, or supply one.
    #[cfg(feature = "component")]
    #[inline(never)]
    pub(crate) fn read_inner(
        wasm: &[u8],
        limits: &ModuleLimits,
        room: usize,
    ) -> Result<Self, LoadError> {
        Reader::new(wasm, limits, room).inner().read()
    }

    /// Returns the exports that initialise an instance after its start function, in their order:
    /// `_initialize` or `__wasm_call_ctors` when the instance is made, `_start` before the first call
    /// of another export.
    ///
    /// ```
    /// let wasm = wat::parse_str(r#"(module (func (export "_start")) (func (export "f")))"#)?;
    /// let module = hostel_core::ModuleInfo::read(&wasm)?;
    /// assert!(module.initializers().eq(["_start"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn initializers(&self) -> impl Iterator<Item = &'static str> {
        let Initializers { at_start, command } = self.initializers;
        at_start.into_iter().chain(command.then_some(COMMAND))
    }

    /// Returns the export named `name`.
    #[must_use]
    pub fn export_named(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| &*export.name == name)
    }

    /// Returns the fuel for instantiation, proportional to what it creates, so that no part costs the host
    /// much more than equal guest work.
    pub(crate) fn instantiation_fuel(&self) -> u64 {
        let size = self.size.saturating_add(self.first_bytes());
        let counts = &self.counts;
        let imports = self.imports.len().saturating_sub(self.profile_imports());
        let exports = self.exports.len();
        [
            (counts.globals, 5),
            // They are exported too.
            (self.changes.globals.len(), 35),
            (imports, 10),
            (exports, 10),
            (counts.segments, 5),
            (counts.elements, 1),
            (counts.expression_bytes, 1),
            (self.functions, 1),
        ]
        .iter()
        .map(|(count, price)| count.saturating_mul(*price) as u64)
        .fold(BASE.saturating_add(fuel_for(size)), u64::saturating_add)
    }

    /// Returns 1 if the module has the import of a profile, else 0. It is free: a profile does not change the fuel.
    fn profile_imports(&self) -> usize {
        #[cfg(feature = "profile")]
        let has = self
            .imports
            .iter()
            .any(|import| (&*import.module, &*import.name) == profile::EVENT);
        #[cfg(not(feature = "profile"))]
        let has = false;
        has.into()
    }

    /// Returns the bytes that instantiation sets up: memories and tables at their first size. A module
    /// whose sizes exceed the limits is not loaded.
    pub(crate) fn first_bytes(&self) -> usize {
        let memories = self.own_memories().map(|memory| memory.min_bytes);
        let tables = self.own_tables().map(|table| table.min.saturating_mul(8));
        let bytes = memories.chain(tables).fold(0, u64::saturating_add);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Returns the memories that the module defines. Another instance has those that it imports.
    pub(crate) fn own_memories(&self) -> impl Iterator<Item = &MemoryInfo> {
        self.memories.iter().skip(self.imported(&Extern::Memory))
    }

    /// Returns the tables that the module defines.
    pub(crate) fn own_tables(&self) -> impl Iterator<Item = &TableInfo> {
        self.tables.iter().skip(self.imported(&Extern::Table))
    }

    /// Returns the number of imports of this kind, which come before what the module defines.
    fn imported(&self, kind: &Extern) -> usize {
        let imports = self.imports.iter();
        imports.filter(|import| import.ty == *kind).count()
    }

    /// Returns what modules that are linked declare together: bytes of memory and elements of tables at the
    /// start, and numbers of types, imports, exports, functions, small functions, tables, globals, segments of both
    /// kinds, and their elements.
    pub(crate) fn declared(&self) -> [u64; 11] {
        let memories = self.own_memories().map(|memory| memory.min_bytes);
        let tables = self.own_tables().map(|table| table.min);
        let sum = |sizes: &mut dyn Iterator<Item = u64>| sizes.fold(0, u64::saturating_add);
        [
            sum(&mut memories.into_iter()),
            sum(&mut tables.into_iter()),
            self.counts.types as u64,
            self.imports.len() as u64,
            self.exports.len() as u64,
            self.functions as u64,
            self.functions.saturating_sub(self.size / 8) as u64,
            self.tables.len() as u64,
            self.counts.globals as u64,
            self.counts.segments as u64,
            self.counts.elements as u64,
        ]
    }

    /// Returns the names of the exported functions.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        self.exports
            .iter()
            .filter(|export| matches!(export.ty, Extern::Function(_)))
            .map(|export| &*export.name)
    }
}

impl Extern {
    /// Returns the kind as a word: `function`, `memory`, `table`, `global`, `tag`, `resource`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Function(_) => "function",
            Self::Memory => "memory",
            Self::Table => "table",
            Self::Global => "global",
            Self::Tag => "tag",
            #[cfg(feature = "component")]
            Self::ComponentFunction(_) => "function",
            #[cfg(feature = "component")]
            Self::Resource => "resource",
        }
    }
}

impl fmt::Display for Extern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(signature) => signature.fmt(f),
            #[cfg(feature = "component")]
            Self::ComponentFunction(ty) => f.write_str(ty),
            other => f.write_str(other.kind()),
        }
    }
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Escaped::new(self.name.as_bytes()), self.ty)
    }
}
