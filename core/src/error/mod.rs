//! One error for each operation: loading ([`LoadError`]), calling ([`CallError`]), and, for what
//! stops a guest, [`Trap`].
//!
//! Each has a stable `code()`, a short word in kebab case that programs may match on; the text of
//! `Display` is for people and may change.

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
