//! What the macros' code calls.

use super::{
    ComponentType, other_type,
    types::{Type, TypeId, Types},
};
pub use super::{layout::Layout, source::Source};
use crate::error::CallError;
use alloc::{boxed::Box, sync::Arc};
pub use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::{
    fmt::{self, Write},
    pin::Pin,
};

/// The type of a record's field, or of a case's payload: how it is compared, and how it is written.
#[derive(Clone, Copy)]
pub struct Part {
    fits: fn(&Types, TypeId) -> bool,
    wit: fn(&mut dyn Write) -> fmt::Result,
}

impl Part {
    /// Returns the part of the Rust type `C`.
    #[must_use]
    pub const fn of<C: ComponentType>() -> Self {
        Self {
            fits: C::fits,
            wit: C::wit,
        }
    }
}

/// A record's fields, or the cases of a variant: their names and types.
pub type Named = [(&'static str, Option<Part>)];

/// Returns whether `ty` is a record of these fields, in this order.
#[must_use]
pub fn is_record(types: &Types, ty: TypeId, own: &Named) -> bool {
    let Type::Record(fields) = types.get(ty) else {
        return false;
    };
    let mut pairs = own.iter().zip(fields);
    own.len() == fields.len()
        && pairs.all(|(own, (name, ty))| is_named(types, own, name, Some(*ty)))
}

/// Returns whether `ty` is a variant or enum of these cases, in this order.
#[must_use]
pub fn is_variant(types: &Types, ty: TypeId, own: &Named) -> bool {
    match types.get(ty) {
        Type::Variant(cases) => {
            let mut pairs = own.iter().zip(cases);
            own.len() == cases.len()
                && pairs.all(|(own, (name, ty))| is_named(types, own, name, *ty))
        }
        Type::Enum(cases) => {
            let mut pairs = own.iter().zip(cases);
            own.len() == cases.len() && pairs.all(|(own, name)| is_named(types, own, name, None))
        }
        _ => false,
    }
}

/// Returns whether `ty` is flags of these names, in this order.
#[must_use]
pub fn is_flags(types: &Types, ty: TypeId, own: &[&str]) -> bool {
    matches!(types.get(ty), Type::Flags(names) if names.iter().map(|name| &**name).eq(own.iter().copied()))
}

fn is_named(
    types: &Types,
    own: &(&str, Option<Part>),
    name: &Arc<str>,
    ty: Option<TypeId>,
) -> bool {
    let fits = match (own.1, ty) {
        (Some(own), Some(ty)) => (own.fits)(types, ty),
        (None, None) => true,
        _ => false,
    };
    fits && *own.0 == **name
}

/// Writes a record as WIT does.
///
/// # Errors
///
/// Those of `to`.
pub fn write_record(to: &mut dyn Write, fields: &Named) -> fmt::Result {
    write_named(to, "record", ": ", "", fields)
}

/// Writes a variant or enum as WIT does.
///
/// # Errors
///
/// Those of `to`.
pub fn write_variant(to: &mut dyn Write, cases: &Named) -> fmt::Result {
    let has_payload = cases.iter().any(|(_, part)| part.is_some());
    let kind = if has_payload { "variant" } else { "enum" };
    write_named(to, kind, "(", ")", cases)
}

/// Writes flags as WIT does.
///
/// # Errors
///
/// Those of `to`.
pub fn write_flags(to: &mut dyn Write, names: &[&str]) -> fmt::Result {
    to.write_str("flags { ")?;
    super::wit::list(to, names, |to, name| to.write_str(name))?;
    to.write_str(" }")
}

fn write_named(
    to: &mut dyn Write,
    kind: &str,
    open: &str,
    close: &str,
    named: &Named,
) -> fmt::Result {
    write!(to, "{kind} {{ ")?;
    super::wit::list(to, named, |to, (name, part)| {
        to.write_str(name)?;
        let Some(part) = part else {
            return Ok(());
        };
        to.write_str(open)?;
        (part.wit)(to)?;
        to.write_str(close)
    })?;
    to.write_str(" }")
}

/// Returns the error for a case that the Rust type does not have.
#[must_use]
pub fn no_case() -> CallError {
    other_type()
}

/// Boxes a future of the embedder's.
#[must_use]
pub fn boxed<F: Future + Send + 'static>(
    future: F,
) -> Pin<Box<dyn Future<Output = F::Output> + Send>> {
    Box::pin(future)
}
