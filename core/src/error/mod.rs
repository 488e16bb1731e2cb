//! One error for each operation: loading ([`LoadError`]), calling ([`CallError`]), and, for what
//! stops a guest, [`Trap`].
//!
//! Each has a stable `code()`, a short word in kebab case that programs may match on; the text of
//! `Display` is for people and may change.

mod call;
mod load;

pub use self::{
    call::{CallError, Trap, TrapKind},
    load::{LoadError, Mismatch},
};
