//! Index spaces of component instances and instance types, with all that their entries resolve to.

use super::missed;
use crate::{
    component::{
        program::{Callee, ComponentInstance, CoreItem},
        types::{FunctionTypeId, ResourceId, TypeId},
    },
    error::LoadError,
};
use alloc::vec::Vec;

/// A component's definition, and the scope that its outer aliases refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition<'a> {
    pub(super) bytes: &'a [u8],
    /// The offset of the bytes in the file.
    pub(super) at: u64,
    pub(super) scope: usize,
}

/// An entry of an index space of the component level.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    Function(Callee),
    /// The number of a list of exports.
    Instance(usize),
    Component(Definition<'a>),
    /// The number of a core module.
    Module(usize),
    Type(TypeItem),
}

/// An entry of the index space of types.
#[derive(Clone, Copy, Debug)]
pub(super) enum TypeItem {
    Value(TypeId),
    /// A value type in which there is this asynchronous one, as which nothing runs.
    AsyncValue(&'static str, TypeId),
    Function(FunctionTypeId),
    /// The type of functions that are asynchronous, or have such a value: the type that is not run.
    AsyncFunction(&'static str),
    Resource(ResourceId),
    /// The number of a declaration of an instance type.
    Instance(usize),
    /// The type of a component, which nothing needs.
    Component,
}

/// A core instance.
#[derive(Clone, Copy, Debug)]
pub(super) enum CoreInstance {
    /// Made from a module: the number of the step.
    Made(usize),
    /// Put together of exports: the number of a list.
    Loose(usize),
}

/// The index spaces of a component instance, or of an instance type.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// The scope around it.
    pub(super) parent: Option<usize>,
    pub(super) instance: ComponentInstance,
    /// What supplies its imports, by name. `None` for the root, which the embedder supplies.
    pub(super) arguments: Option<Names<'a, Item<'a>>>,
    pub(super) modules: Vec<usize>,
    pub(super) core_instances: Vec<CoreInstance>,
    pub(super) core_functions: Vec<CoreItem>,
    pub(super) core_tables: Vec<CoreItem>,
    pub(super) core_memories: Vec<CoreItem>,
    pub(super) core_globals: Vec<CoreItem>,
    pub(super) components: Vec<Definition<'a>>,
    pub(super) functions: Vec<Callee>,
    pub(super) instances: Vec<usize>,
    pub(super) types: Vec<TypeItem>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        parent: Option<usize>,
        instance: ComponentInstance,
        arguments: Option<Names<'a, Item<'a>>>,
    ) -> Self {
        Self {
            parent,
            instance,
            arguments,
            modules: Vec::new(),
            core_instances: Vec::new(),
            core_functions: Vec::new(),
            core_tables: Vec::new(),
            core_memories: Vec::new(),
            core_globals: Vec::new(),
            components: Vec::new(),
            functions: Vec::new(),
            instances: Vec::new(),
            types: Vec::new(),
        }
    }

    /// Adds an entry to the index space of its kind.
    pub(super) fn push(&mut self, item: Item<'a>) {
        match item {
            Item::Function(function) => self.functions.push(function),
            Item::Instance(instance) => self.instances.push(instance),
            Item::Component(component) => self.components.push(component),
            Item::Module(module) => self.modules.push(module),
            Item::Type(ty) => self.types.push(ty),
        }
    }
}

/// Entries by name.
#[derive(Debug)]
pub(super) struct Names<'a, T> {
    /// Sorted by name; each with its place in the order of the file.
    entries: Vec<(&'a str, usize, T)>,
}

impl<'a, T: Clone> Names<'a, T> {
    pub(super) fn new(entries: impl Iterator<Item = (&'a str, T)>) -> Self {
        let mut entries: Vec<_> = entries
            .enumerate()
            .map(|(place, (name, item))| (name, place, item))
            .collect();
        entries.sort_unstable_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));
        Self { entries }
    }

    /// Returns the entry of this name.
    pub(super) fn get(&self, name: &str) -> Result<T, LoadError> {
        let found = self.entries.binary_search_by(|(own, ..)| (*own).cmp(name));
        let found = found.ok().and_then(|at| self.entries.get(at));
        found.map(|(.., item)| item.clone()).ok_or_else(missed)
    }

    /// Returns the entries in the order of the file.
    pub(super) fn in_order(&self) -> Vec<(&'a str, T)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(_, place, _)| *place);
        let entries = entries.into_iter();
        entries
            .map(|(name, _, item)| (*name, item.clone()))
            .collect()
    }
}

/// Returns the entry of this index.
pub(super) fn entry<T: Clone>(list: &[T], index: u32) -> Result<T, LoadError> {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    list.get(index).cloned().ok_or_else(missed)
}
