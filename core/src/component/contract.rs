//! The functions of a component by their names, and their types as text.

use super::{
    host_call::compatible,
    program::{Callee, Export, ImportKind, Program},
    types::{FunctionType, Types},
    wit::shown_function,
};
use alloc::boxed::Box;

/// A function that a component exports or imports.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    /// The interface's name with its version, such as `wasi:cli/environment@0.2.6`; `None` for a function that is
    /// in no interface.
    pub interface: Option<&'a str>,
    /// The function's name as in WIT's canonical form, such as `get-environment` or `[method]file.read`.
    pub name: &'a str,
    /// Its type.
    pub ty: &'a FunctionType,
}

impl Program {
    /// Returns the functions that the component exports, in its order.
    pub(crate) fn exported(&self) -> impl Iterator<Item = Function<'_>> {
        self.exports.iter().map(|export| Function {
            interface: export.interface.as_deref(),
            name: &export.name,
            ty: self.types.function(export.ty),
        })
    }

    /// Returns the functions that the component imports, in its order.
    pub(crate) fn imported(&self) -> impl Iterator<Item = Function<'_>> {
        self.imports.iter().filter_map(|import| match import.kind {
            ImportKind::Function(ty) => Some(Function {
                interface: import.interface.as_deref(),
                name: &import.name,
                ty: self.types.function(ty),
            }),
            ImportKind::Resource(_) => None,
        })
    }

    /// Returns the number of the export `name`: a function's name, or `interface#function`. The interface's version
    /// may be left out, or be another compatible one; an exact one takes precedence.
    pub(crate) fn export_named(&self, name: &str) -> Option<usize> {
        let (interface, function) = match name.split_once('#') {
            Some((interface, function)) => (Some(interface), function),
            None => (None, name),
        };
        let find = |fits: &dyn Fn(&str, &str) -> bool| {
            self.exports.iter().position(|export| {
                *export.name == *function
                    && match (export.interface.as_deref(), interface) {
                        (Some(own), Some(asked)) => fits(own, asked),
                        (own, asked) => own == asked,
                    }
            })
        };
        find(&|own, asked| own == asked).or_else(|| find(&|own, asked| names(asked, own)))
    }

    /// Returns the number of the function that an export runs; `None` for an import that is exported again.
    pub(crate) fn runs(export: &Export) -> Option<usize> {
        match export.function {
            Callee::Lifted(number) => Some(number),
            Callee::Import(_) => None,
        }
    }
}

/// Returns whether `asked` stands for the interface `own`: with its version, with a compatible one, or without any.
pub(crate) fn names(asked: &str, own: &str) -> bool {
    compatible(own, asked) || versionless(own) == asked
}

/// Returns the name of an interface without its version.
fn versionless(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

/// Returns the name by which a function is called: `interface#function`, or the function's name alone.
impl core::fmt::Display for Function<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.interface {
            Some(interface) => write!(f, "{interface}#{}", self.name),
            None => f.write_str(self.name),
        }
    }
}

impl Types {
    /// Returns a function's type as WIT writes it.
    #[must_use]
    pub fn show_function(&self, ty: &FunctionType) -> Box<str> {
        shown_function(self, ty)
    }
}
