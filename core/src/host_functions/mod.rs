//! Host functions: the embedder's closures, typed and bound to a module's imports.

mod binding;
mod context;
mod define;
mod function;

#[cfg(feature = "contract")]
pub(crate) use self::function::Answer;
pub(crate) use self::{
    binding::{Binding, HostCall},
    define::{Define, definition, definition_by_types},
    function::{Function, HostFunction, Unfinished, contained, lower},
};
pub use self::{
    context::Context,
    function::{Async, HostReturn, IntoHostFunction},
};
