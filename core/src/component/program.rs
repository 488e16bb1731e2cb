//! [`Program`]: a component, read into one list of steps.
//!
//! It is public for `hostel-lower`, which makes a module of it, and may change with any version.
//!
//! Nested components are inlined with their arguments, and each name of the inside is resolved. So making an
//! instance goes through a list once, and no step looks anything up but exports of core instances.

#[cfg(feature = "component")]
use super::read;
use super::types::{FunctionTypeId, ResourceId, Types};
use crate::base::{shape::FlatTypes, signature::ValType};
#[cfg(feature = "component")]
use crate::{base::limits::ComponentLimits, error::LoadError};
use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;

/// A component that was read and validated.
#[derive(Debug)]
pub struct Program {
    pub types: Types,
    /// Resource types, by [`ResourceId`].
    pub resources: Vec<Resource>,
    /// What the embedder has to supply, in the component's order.
    pub imports: Vec<Import>,
    /// Imported resource types that the component takes for others.
    pub equal_resources: Vec<EqualResource>,
    /// The core modules, as ranges of the component's bytes.
    pub modules: Vec<Range<usize>>,
    /// The core instances, in the order in which they are made: their numbers are the places in this list.
    pub steps: Vec<Instantiate>,
    /// Component-level functions that the component defines.
    pub lifted: Vec<Lifted>,
    /// Core functions that call component-level functions.
    pub lowered: Vec<Lowered>,
    /// Core functions for tasks, threads, streams, futures and errors.
    pub built_ins: Vec<BuiltIn>,
    /// Functions that the embedder can call, in the component's order.
    pub exports: Vec<Export>,
    /// Number of component instances, nested ones and the root included.
    pub instances: u32,
}

#[cfg(feature = "component")]
impl Program {
    /// Reads and validates a component, except for the bodies of its core functions.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn read(wasm: &[u8], limits: &ComponentLimits) -> Result<Self, LoadError> {
        let room = usize::MAX;
        read::read(wasm, read::Bounds { limits, room })
    }
}

/// The number of a component instance; the root is 0. Each has handles of its own, and runs one call at a
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComponentInstance(pub u32);

/// Makes an instance of a core module.
#[derive(Debug)]
pub struct Instantiate {
    /// The module's number in [`Program::modules`].
    pub module: usize,
    /// Supplies the module's imports, in their order.
    pub arguments: Vec<CoreItem>,
    /// The component instance to which it belongs.
    pub instance: ComponentInstance,
    /// An export that runs after the module's start function.
    pub initializer: Option<Box<str>>,
}

/// A core function, memory, table or global.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreItem {
    /// An export of a core instance, which an earlier step made.
    Export(usize, Box<str>),
    /// A function of [`Program::lowered`].
    Lowered(usize),
    /// `resource.new`: makes a handle that owns a resource, in the given component instance.
    ResourceNew(ResourceId, ComponentInstance),
    /// `resource.rep`: returns the number that a resource was made with.
    ResourceRep(ResourceId, ComponentInstance),
    /// `resource.drop`: drops a handle.
    ResourceDrop(ResourceId, ComponentInstance),
    /// A function of [`Program::built_ins`].
    BuiltIn(usize),
}

/// The encoding of strings in a guest's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Utf8,
    Utf16,
    /// Latin-1, or UTF-16 if the length's top bit is set.
    Latin1OrUtf16,
}

/// How values of a function get in and out of a guest.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub encoding: Encoding,
    pub memory: Option<CoreItem>,
    pub realloc: Option<CoreItem>,
    pub post_return: Option<CoreItem>,
}

/// A component-level function that runs a core function.
#[derive(Debug)]
pub struct Lifted {
    pub core: CoreItem,
    pub ty: FunctionTypeId,
    pub options: Options,
    pub instance: ComponentInstance,
}

/// A core function that calls a component-level function.
#[derive(Debug)]
pub struct Lowered {
    pub callee: Callee,
    /// The type as the caller sees it: its resources are those of the caller's component.
    pub ty: FunctionTypeId,
    pub options: Options,
    /// The component instance that calls.
    pub instance: ComponentInstance,
}

/// A core function for tasks, threads, streams, futures or errors.
#[derive(Debug)]
pub struct BuiltIn {
    /// Its name, such as `waitable-set.new`.
    pub name: &'static str,
    pub(crate) does: Does,
    pub(crate) params: FlatTypes,
    pub(crate) result: Option<ValType>,
    /// The component instance that calls.
    pub instance: ComponentInstance,
}

/// What a [`BuiltIn`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// It traps, since it is for asynchronous functions.
    Trap,
    /// Returns this one of the numbers that a call keeps for its guest.
    ContextGet(usize),
    /// Sets it.
    ContextSet(usize),
    /// Counts one reason more why asynchronous calls have to wait.
    BackpressureInc,
    /// Counts one less.
    BackpressureDec,
}

/// A component-level function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// An import of the root: its number in [`Program::imports`].
    Import(usize),
    /// A function of [`Program::lifted`].
    Lifted(usize),
}

/// A resource type.
#[derive(Debug)]
pub enum Resource {
    /// The embedder supplies it: the number in [`Program::imports`].
    Imported(usize),
    /// A component instance defines it.
    Defined {
        instance: ComponentInstance,
        /// Runs with the resource's number when its owner drops it.
        destructor: Option<CoreItem>,
    },
}

/// A function or resource that the root component imports.
#[derive(Debug)]
pub struct Import {
    /// The interface's name with its version, such as `wasi:cli/environment@0.2.6`. `None` for an import that
    /// is in no interface.
    pub interface: Option<Box<str>>,
    /// The function's name as in WIT's canonical form, such as `get-environment` or `[method]file.read`; or
    /// the resource's name.
    pub name: Box<str>,
    pub kind: ImportKind,
}

/// A resource type of an imported interface that has to be one which is imported or defined before.
#[derive(Debug)]
pub struct EqualResource {
    /// The interface's name with its version.
    pub interface: Option<Box<str>>,
    pub name: Box<str>,
    /// The type that it has to be.
    pub resource: ResourceId,
}

/// A kind of import.
#[derive(Clone, Copy, Debug)]
pub enum ImportKind {
    Function(FunctionTypeId),
    Resource(ResourceId),
}

/// A function that the root component exports.
#[derive(Debug)]
pub struct Export {
    pub interface: Option<Box<str>>,
    pub name: Box<str>,
    pub function: Callee,
    pub ty: FunctionTypeId,
}
