//! How to call a plugin's functions, by the types that its module declares.

use hostel::{
    Convention, Extern, ModuleInfo, Signature,
    ValType::{self, F32, F64, I32, I64},
};

/// The ways of calling a function from the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calling {
    /// One INPUT, as bytes in the guest's memory. The result is bytes too.
    Bytes,
    /// One INPUT for each parameter.
    Numbers,
    /// One INPUT for each parameter, as bytes: of a Typst plugin.
    Arguments,
    /// An operation and one INPUT: of a waPC plugin.
    Operations,
}

impl Calling {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Numbers => "numbers",
            Self::Arguments => "arguments",
            Self::Operations => "operations",
        }
    }
}

/// Returns the type of the exported function `name`.
pub(super) fn signature<'a>(module: &'a ModuleInfo, name: &str) -> Option<&'a Signature> {
    match &module.export_named(name)?.ty {
        Extern::Function(ty) => Some(ty),
        _ => None,
    }
}

/// Returns how to call a function of this type, or `None` if it takes or returns neither bytes nor
/// numbers.
pub(super) fn calling(module: &ModuleInfo, ty: &Signature) -> Option<Calling> {
    let is_number = |ty: &ValType| matches!(ty, I32 | I64 | F32 | F64);
    if ty.is_bytes() && module.passes_bytes() {
        Some(Calling::Bytes)
    } else if ty.params.iter().chain(&ty.results).all(is_number) {
        Some(Calling::Numbers)
    } else {
        None
    }
}

/// Returns how to call the export `name` of this type, in the convention that the module's imports and exports
/// show.
pub(super) fn calling_export(module: &ModuleInfo, name: &str, ty: &Signature) -> Option<Calling> {
    match Convention::of(module) {
        Convention::Wapc => (name == "__guest_call").then_some(Calling::Operations),
        Convention::Extism => {
            let fits = ty.params.is_empty() && matches!(*ty.results, [] | [I32]);
            fits.then_some(Calling::Bytes)
        }
        Convention::Typst => is_typst(ty).then_some(Calling::Arguments),
        _ => calling(module, ty),
    }
}

/// Returns whether a function of this type can be called in Typst's convention.
pub(super) fn is_typst(ty: &Signature) -> bool {
    ty.params.iter().all(|ty| *ty == I32) && *ty.results == [I32]
}
