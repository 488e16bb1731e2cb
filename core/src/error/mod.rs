//! The errors of loading ([`LoadError`]) and of calling ([`CallError`]), and the [`Trap`] that stops
//! a guest.
//!
//! Each has a stable `code()` in kebab case, on which programs may match. The text of `Display` is
//! for people and may change.

mod call;
mod class;
mod interpreter;
mod load;
mod trap;

pub use self::{
    call::CallError,
    class::ErrorClass,
    load::{LoadError, Mismatch},
    trap::{Trap, TrapKind},
};
