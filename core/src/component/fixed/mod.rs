//! Contracts that are fixed when the host is compiled: its Rust types tell all of them, so that nothing reads them from
//! the plugin. For devices, whose flash the reader would take.
//!
//! A plugin is a core module with the names and the flat form of the canonical ABI, such as `hostel lower` makes and
//! wit-bindgen leaves. It is loaded as any module. What it can do with its imports and exports is checked as in a
//! component: each value when it is lifted.
//!
//! | file | holds |
//! |---|---|
//! | `ty` | core types and layouts, from those of Rust |
//! | `function` | host functions |
//! | `call` | calls of exports |

mod call;
mod function;
mod ty;

pub(crate) use self::{call::ExportCall, ty::FixedType};

use super::{
    function::IntoFunction, lift::TakeHandle, lower::GiveHandle, other_type, resource::Resource,
    types::ResourceId,
};
use crate::{error::CallError, host_functions::Function};
use alloc::{boxed::Box, vec::Vec};
use core::fmt;

/// The functions of an interface that the embedder supplies to core modules with a contract; see
/// [`Grants::fixed`](crate::Grants::fixed).
///
/// The contract is that of the closures' types: no type is read from the plugin. Its core types are compared when the
/// plugin is loaded, and each value is checked when it is passed.
///
/// ```
/// use hostel_core::{Engine, Grants, component::FixedInterface};
///
/// let log = FixedInterface::new("demo:device/log@0.1.0").function("line", |text: String| println!("{text}"));
/// # let wasm = wat::parse_str(r#"(module
/// #   (import "demo:device/log@0.1.0" "line" (func $line (param i32 i32)))
/// #   (memory (export "memory") 1)
/// #   (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
/// #   (func (export "shout") (param i32 i32) (result i32)
/// #     (call $line (local.get 0) (local.get 1))
/// #     (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1)) (i32.const 0)))"#)?;
/// let plugin = Engine::default().load("shout", &wasm, &Grants::new().fixed(log))?;
/// let text: String = plugin.instantiate(())?.call_fixed("shout", ("hello",))?;
/// assert_eq!(text, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FixedInterface<T> {
    name: Box<str>,
    functions: Functions<T>,
}

/// Functions by their names.
type Functions<T> = Vec<(Box<str>, Function<T>)>;

/// The module from which a plugin imports the functions that its world imports directly.
pub(crate) const ROOT: &str = "$root";

impl<T: 'static> FixedInterface<T> {
    /// Returns an interface without functions. `name` is exactly that from which plugins import: with the package, and
    /// with the version if that has one, such as `shop:catalogue/prices@0.1.0`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            functions: Vec::new(),
        }
    }

    /// Returns a place for the functions that a world imports directly, outside of any interface.
    #[must_use]
    pub fn root() -> Self {
        Self::new(ROOT)
    }

    /// Adds a function under its name in WIT, as [`Interface::function`](super::Interface::function) does. Its
    /// parameters, and a pointer to its result if that is not a number, are at most 16 core values. Types with handles
    /// to resources don't compile:
    ///
    /// ```compile_fail
    /// use hostel_core::component::{FixedInterface, Resource};
    /// let interface = FixedInterface::<()>::new("a:b/c").function("f", |_: Resource| ());
    /// ```
    #[must_use]
    pub fn function<F, M>(mut self, name: &str, function: F) -> Self
    where
        F: IntoFunction<T, M>,
    {
        self.functions.push((name.into(), function.into_fixed()));
        self
    }

    /// Returns the interface's name, and its functions.
    pub(crate) fn into_parts(self) -> (Box<str>, Functions<T>) {
        (self.name, self.functions)
    }
}

impl<T> fmt::Debug for FixedInterface<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.functions.iter().map(|(name, _)| name);
        write!(f, "{} ", self.name)?;
        f.debug_set().entries(names).finish()
    }
}

/// There are no handles: their types don't compile.
struct NoHandles;

impl TakeHandle for NoHandles {
    fn take(&mut self, _: ResourceId, _: u32, _: bool) -> Result<Resource, CallError> {
        Err(other_type())
    }
}

impl GiveHandle for NoHandles {
    fn give(&mut self, _: ResourceId, _: &Resource, _: bool) -> Result<u32, CallError> {
        Err(other_type())
    }
}
