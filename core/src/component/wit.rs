//! Types as WIT writes them, for messages.

use super::{
    ComponentType,
    parts::Parts,
    types::{FunctionType, Types},
};
use alloc::{boxed::Box, string::String};
use core::fmt::{self, Write};

/// Most bytes of a type that are shown. Types that are small as a graph may be long as a text.
const MOST_SHOWN: usize = 400;

/// Text that ends at [`MOST_SHOWN`] bytes.
pub(crate) struct Cut {
    text: String,
}

impl Cut {
    /// Returns what `write` writes, or its start if it is too long.
    pub(crate) fn of(write: impl FnOnce(&mut Self) -> fmt::Result) -> String {
        let mut cut = Self {
            text: String::new(),
        };
        // It fails where the text is cut.
        let _ = write(&mut cut);
        cut.text
    }
}

impl fmt::Write for Cut {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.text.len().saturating_add(more.len()) > MOST_SHOWN {
            self.text.push('…');
            return Err(fmt::Error);
        }
        self.text.push_str(more);
        Ok(())
    }
}

/// Writes values of a list, with ", " between.
pub(crate) fn list<V>(
    to: &mut dyn Write,
    values: impl IntoIterator<Item = V>,
    mut write: impl FnMut(&mut dyn Write, V) -> fmt::Result,
) -> fmt::Result {
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            to.write_str(", ")?;
        }
        write(to, value)?;
    }
    Ok(())
}

/// Returns the type of a function of Rust, as WIT without the parameters' names.
pub(crate) fn shown_rust<P: Parts, R: ComponentType>() -> Box<str> {
    Cut::of(|to| {
        to.write_str("func(")?;
        P::wit(to)?;
        to.write_str(")")?;
        if R::IS_NOTHING {
            return Ok(());
        }
        to.write_str(" -> ")?;
        R::wit(to)
    })
    .into()
}

/// Returns the type of a component's function, as WIT.
pub(crate) fn shown_function(types: &Types, ty: &FunctionType) -> Box<str> {
    Cut::of(|to| {
        to.write_str("func(")?;
        list(to, ty.names.iter().zip(&ty.params), |to, (name, ty)| {
            write!(to, "{name}: {}", types.shown(*ty))
        })?;
        to.write_str(")")?;
        match ty.result {
            Some(result) => write!(to, " -> {}", types.shown(result)),
            None => Ok(()),
        }
    })
    .into()
}
