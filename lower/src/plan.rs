//! [`Plan`]: what a component is put together from, in terms of core modules only.

/// The core modules of a component, the order in which they are instantiated, and the names of the result.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    /// The core modules.
    pub(crate) modules: Vec<&'a [u8]>,
    /// The core instances in the order in which they are made.
    pub(crate) steps: Vec<Step>,
    /// Functions that the result exports: names, and what they run.
    pub(crate) exports: Vec<(String, Item)>,
    /// Memories in which the exports take and give values.
    pub(crate) memories: Vec<Item>,
    /// Functions that allocate for calls of the exports. They must be one.
    pub(crate) reallocs: Vec<Item>,
}

/// Makes an instance of a core module.
#[derive(Debug)]
pub(crate) struct Step {
    /// The module's number in [`Plan::modules`].
    pub(crate) module: usize,
    /// Supplies the module's imports, in their order.
    pub(crate) arguments: Vec<Item>,
}

/// A core function, memory, table or global.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// An export of an instance that an earlier step made.
    Export(usize, String),
    /// A function that the result imports.
    Import(Import),
    /// A function that a module can't have, and why. It does no harm unless it is used.
    Refused(String),
}

/// A function that the result imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) module: String,
    pub(crate) name: String,
    /// The memory in which the function takes and gives values.
    pub(crate) memory: Option<Box<Item>>,
    /// Allocates while the function runs.
    pub(crate) realloc: Option<Box<Item>>,
}
