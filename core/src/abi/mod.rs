//! The calling conventions between guests and host: the native one, and those of other hosts, one file
//! each.

mod environment;
pub(crate) mod extism;
pub(crate) mod native;
mod protocol;
mod typst;
pub(crate) mod wapc;

pub use self::{extism::Extism, wapc::Wapc};

pub(crate) use self::{
    environment::bind,
    protocol::{Ending, Protocol, StartFunctions},
    typst::Typst,
};

use crate::module::{Import, ModuleInfo};
use alloc::vec::Vec;
use core::fmt;

/// How a guest takes its input and returns its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Convention {
    /// hostel's own: the guest exports `memory`, `allocate`, and functions over numbers and
    /// (pointer, length) pairs.
    Native,
    /// waPC: the guest exports `__guest_call`, and imports the module `wapc`.
    Wapc,
    /// Extism: the guest exports functions without parameters, and imports `extism:host/env`.
    Extism,
    /// Typst's plugins: the guest imports `typst_env`.
    Typst,
}

/// The modules whose imports belong to a convention.
const MODULES: [(&str, Convention); 3] = [
    (wapc::MODULE, Convention::Wapc),
    (extism::MODULE, Convention::Extism),
    (typst::MODULE, Convention::Typst),
];

impl Convention {
    /// Returns its name: `native`, `wapc`, `extism` or `typst`.
    ///
    /// ```
    /// assert_eq!(hostel_core::Convention::Wapc.name(), "wapc");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wapc => "wapc",
            Self::Extism => "extism",
            Self::Typst => "typst",
        }
    }

    /// Returns the convention of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Native, Self::Wapc, Self::Extism, Self::Typst];
        all.into_iter().find(|convention| convention.name() == name)
    }

    /// Returns the convention to which the imports of `module` belong.
    pub(crate) fn of_import(module: &str) -> Option<Self> {
        let found = MODULES.iter().find(|(name, _)| *name == module);
        found.map(|(_, convention)| *convention)
    }

    /// Finds the convention of a module, by its imports and then by its exports: the first import of a
    /// convention's module decides, and the export `__guest_call` is waPC's. All else is native.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (import "extism:host/env" "input_length" (func (result i64))))"#)?;
    /// use hostel_core::{Convention, ModuleInfo};
    /// let module = ModuleInfo::read(&wasm)?;
    /// assert_eq!(Convention::of(&module), Convention::Extism);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(module: &ModuleInfo) -> Self {
        Self::deciding_import(module)
            .and_then(|import| Self::of_module(&import.module))
            .unwrap_or_else(|| match module.export_named(wapc::GUEST_CALL) {
                Some(_) => Self::Wapc,
                None => Self::Native,
            })
    }

    /// Returns the import by which [`of`](Self::of) finds the convention of a module; `None` if its exports decide.
    #[must_use]
    pub fn deciding_import(module: &ModuleInfo) -> Option<&Import> {
        let mut imports = module.imports.iter();
        imports.find(|import| Self::of_module(&import.module).is_some())
    }

    /// Returns the convention whose plugins import from `module`, also functions of the embedder's.
    fn of_module(module: &str) -> Option<Self> {
        match module.starts_with(extism::MODULES) {
            true => Some(Self::Extism),
            false => Self::of_import(module),
        }
    }
}

/// Returns the number of parameters of an export that runs when an instance is made. They are zeros of 32 bits.
pub(crate) fn start_params(name: &str) -> usize {
    if name == extism::HASKELL { 2 } else { 0 }
}

impl Convention {
    /// Returns the exports that initialise an instance of a plugin of this convention, after its start
    /// function, in order.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (func (export "wapc_init"))
    /// #   (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#)?;
    /// use hostel_core::{Convention, ModuleInfo};
    /// let module = ModuleInfo::read(&wasm)?;
    /// assert_eq!(Convention::Wapc.initializers(&module), ["wapc_init"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn initializers(self, module: &ModuleInfo) -> Vec<&'static str> {
        let starts = match self {
            Self::Native => return module.initializers().collect(),
            Self::Wapc => wapc::starts(module),
            Self::Extism => extism::starts(module),
            Self::Typst => [None; 2],
        };
        starts.into_iter().flatten().collect()
    }
}

impl fmt::Display for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
