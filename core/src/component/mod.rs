//! The Component Model: plugins whose imports and exports have types in WIT.
//!
//! | file | holds |
//! |---|---|
//! | `types` | value types, each once, with their sizes and flat forms |
//! | `program` | a component as one list of steps, nested components inlined |
//! | `read` | bytes to a program |
//! | `value` | values whose types are known only at run time |
//! | `lift`, `lower` | the canonical ABI: values out of a guest, and into it |
//! | `parts` | several values one after the other: parameters, and the parts of tuples |
//! | `resource` | handles to resources, by component instance |

#![allow(dead_code)]

mod calling;
pub(crate) mod canon;
pub(crate) mod contract;
pub(crate) mod export_call;
pub(crate) mod host_call;
mod imported;
pub(crate) mod lift;
pub(crate) mod lower;
pub(crate) mod machine;
mod parts;
#[doc(hidden)]
pub mod program;
pub(crate) mod read;
pub(crate) mod resource;
mod transfer;
pub(crate) mod types;
pub(crate) mod value;

pub use self::{
    contract::Function,
    lift::{Lift, Lifting},
    lower::{Lower, Lowering},
    parts::{LiftParts, LowerParts, Parts},
    resource::Resource,
    types::{FunctionType, FunctionTypeId, ResourceId, Type, TypeId, Types},
    value::Value,
};

use crate::error::{CallError, Trap, TrapKind};

/// A Rust type whose values have a type of the Component Model.
///
/// Derive it together with [`Lift`] or [`Lower`].
pub trait ComponentType {
    /// Returns whether this Rust type is one for values of type `ty`.
    fn fits(types: &Types, ty: TypeId) -> bool;

    /// Returns whether this is a type for the payload `ty`, or `()` if there is none.
    #[doc(hidden)]
    fn fits_optional(types: &Types, ty: Option<TypeId>) -> bool {
        ty.is_some_and(|ty| Self::fits(types, ty))
    }
}

/// Returns the trap of a guest that breaks the canonical ABI.
#[cold]
#[inline(never)]
pub(crate) fn broken(why: &str) -> CallError {
    CallError::Trap(Trap::new(TrapKind::Abi, why))
}

/// Returns the error for a Rust type that was not compared with the component's.
#[cold]
#[inline(never)]
pub(crate) fn other_type() -> CallError {
    CallError::ValueType {
        reason: "the Rust type does not fit the component's type".into(),
    }
}
