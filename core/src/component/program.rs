//! [`Program`]: a component, read into one list of steps.
//!
//! Nested components are inlined with their arguments, and each name of the inside is resolved. So making an
//! instance goes through a list once, and no step looks anything up but exports of core instances.

use super::types::{FunctionTypeId, ResourceId, Types};
use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;

/// A component that was read and validated.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) types: Types,
    /// Resource types, by [`ResourceId`].
    pub(crate) resources: Vec<Resource>,
    /// What the embedder has to supply, in the component's order.
    pub(crate) imports: Vec<Import>,
    /// The core modules, as ranges of the component's bytes.
    pub(crate) modules: Vec<Range<usize>>,
    /// The core instances, in the order in which they are made: their numbers are the places in this list.
    pub(crate) steps: Vec<Instantiate>,
    /// Component-level functions that the component defines.
    pub(crate) lifted: Vec<Lifted>,
    /// Core functions that call component-level functions.
    pub(crate) lowered: Vec<Lowered>,
    /// Functions that the embedder can call, in the component's order.
    pub(crate) exports: Vec<Export>,
    /// Number of component instances, nested ones and the root included.
    pub(crate) instances: u32,
}

/// The number of a component instance; the root is 0. Each has handles of its own, and runs one call at a
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ComponentInstance(pub(crate) u32);

/// Makes an instance of a core module.
#[derive(Debug)]
pub(crate) struct Instantiate {
    /// The module's number in [`Program::modules`].
    pub(crate) module: usize,
    /// Supplies the module's imports, in their order.
    pub(crate) arguments: Vec<CoreItem>,
    /// The component instance to which it belongs.
    pub(crate) instance: ComponentInstance,
    /// An export that runs after the module's start function.
    pub(crate) initializer: Option<Box<str>>,
}

/// A core function, memory, table or global.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CoreItem {
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
}

/// The encoding of strings in a guest's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    #[default]
    Utf8,
    Utf16,
    /// Latin-1, or UTF-16 if the length's top bit is set.
    Latin1OrUtf16,
}

/// How values of a function get in and out of a guest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) encoding: Encoding,
    pub(crate) memory: Option<CoreItem>,
    pub(crate) realloc: Option<CoreItem>,
    pub(crate) post_return: Option<CoreItem>,
}

/// A component-level function that runs a core function.
#[derive(Debug)]
pub(crate) struct Lifted {
    pub(crate) core: CoreItem,
    pub(crate) ty: FunctionTypeId,
    pub(crate) options: Options,
    pub(crate) instance: ComponentInstance,
}

/// A core function that calls a component-level function.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) callee: Callee,
    /// The type as the caller sees it: its resources are those of the caller's component.
    pub(crate) ty: FunctionTypeId,
    pub(crate) options: Options,
    /// The component instance that calls.
    pub(crate) instance: ComponentInstance,
}

/// A component-level function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callee {
    /// An import of the root: its number in [`Program::imports`].
    Import(usize),
    /// A function of [`Program::lifted`].
    Lifted(usize),
}

/// A resource type.
#[derive(Debug)]
pub(crate) enum Resource {
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
pub(crate) struct Import {
    /// The interface's name with its version, such as `wasi:cli/environment@0.2.6`. `None` for an import that
    /// is in no interface.
    pub(crate) interface: Option<Box<str>>,
    /// The function's name as in WIT's canonical form, such as `get-environment` or `[method]file.read`; or
    /// the resource's name.
    pub(crate) name: Box<str>,
    pub(crate) kind: ImportKind,
}

/// A kind of import.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ImportKind {
    Function(FunctionTypeId),
    Resource(ResourceId),
}

/// A function that the root component exports.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) interface: Option<Box<str>>,
    pub(crate) name: Box<str>,
    pub(crate) function: Callee,
    pub(crate) ty: FunctionTypeId,
}
