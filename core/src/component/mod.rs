//! The Component Model: plugins whose imports and exports have types in WIT.
//!
//! | file | holds |
//! |---|---|
//! | `types`, `layout` | value types, each once; their sizes and flat forms |
//! | `source` | from where lifting and lowering know the types of values |
//! | `program` | a component as one list of steps, nested components inlined |
//! | `read` | bytes to a program |
//! | `value` | values whose types are known only at run time |
//! | `bounds` | what both take from their call: fuel, bytes, looks at the deadline |
//! | `lift`, `lower` | the canonical ABI: values out of a guest, and into it |
//! | `parts` | several values one after the other: parameters, and the parts of tuples |
//! | `resource` | handles to resources, by component instance |
//! | `machine` | the state of a component's instance, in the store |
//! | `canon` | lowered values on their way into a guest's memory, by its `realloc` |
//! | `host_call`, `imported` | calls of host functions; the core functions that guests import |
//! | `calling`, `transfer` | calls of one component instance by another, and destructors; values from guest to guest |
//! | `core_call` | calls of core functions with delivered arguments |
//! | `export_call`, `contract` | calls of exports; the functions of a component by their names |
//! | `interface`, `function` | the embedder's functions, as closures over Rust types |
//! | `fixed` | contracts that are fixed when the host is compiled, without a reader |
//! | `handle` | handles as Rust types, and a table for the embedder's resources |
//! | `derived` | what the derive macros' code calls |
//! | `wit` | types as WIT writes them, for messages |

pub(crate) mod bounds;
pub(crate) mod calling;
pub(crate) mod canon;
pub(crate) mod contract;
pub(crate) mod core_call;
#[doc(hidden)]
pub mod derived;
pub(crate) mod export_call;
pub(crate) mod fixed;
mod function;
mod handle;
pub(crate) mod host_call;
mod imported;
pub(crate) mod interface;
pub(crate) mod layout;
pub(crate) mod lift;
pub(crate) mod lower;
pub(crate) mod machine;
mod parts;
#[doc(hidden)]
pub mod program;
#[cfg(feature = "component")]
pub(crate) mod read;
pub(crate) mod resource;
mod source;
mod transfer;
pub(crate) mod types;
pub(crate) mod value;
pub(crate) mod wit;

#[cfg(feature = "component")]
pub use self::read::{has_contract, is_component};
pub use self::{
    contract::Function,
    fixed::FixedInterface,
    function::{IntoFunction, Returned},
    handle::{Borrow, Own, Table},
    interface::Interface,
    layout::Layout,
    lift::{Lift, Lifting},
    lower::{Lower, Lowering},
    parts::{LiftParts, LowerParts, Parts},
    resource::Resource,
    source::{Fixed, InTable, Source},
    types::{FunctionType, FunctionTypeId, ResourceId, Type, TypeId, Types},
    value::Value,
};

/// Makes Rust for a world in WIT: a trait for each interface that a plugin imports, and methods for the functions that it
/// exports. `docs/components.md` has the options, and what is made.
///
/// ```
/// use hostel_core::{Context, Engine, Grants, Trap};
///
/// hostel_core::component::bindgen!({
///     inline: "
///         package shop:tools@0.1.0;
///         interface prices { price: func(of: u32) -> result<u32, string>; }
///         world shop {
///             import prices;
///             export total: func(of: u32, pieces: u32) -> u32;
///         }",
/// });
///
/// #[derive(Default)]
/// struct Prices;
///
/// impl prices::Host for Prices {
///     fn price(context: &mut Context<'_, Self>, of: u32) -> Result<Result<u32, String>, Trap> {
///         context.charge(100)?;
///         Ok(if of == 7 { Ok(1999) } else { Err("unknown".into()) })
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let wasm = wat::parse_str(r#"(component
/// #   (import "shop:tools/prices@0.1.0" (instance $prices
/// #     (export "price" (func (param "of" u32) (result (result u32 (error string)))))))
/// #   (core module $L (memory (export "memory") 1)
/// #     (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
/// #   (core instance $l (instantiate $L))
/// #   (core func $price (canon lower (func $prices "price")
/// #     (memory (core memory $l "memory")) (realloc (core func $l "realloc"))))
/// #   (core module $M (import "l" "memory" (memory 1)) (import "h" "price" (func $price (param i32 i32)))
/// #     (func (export "total") (param i32 i32) (result i32)
/// #       (call $price (local.get 0) (i32.const 0))
/// #       (i32.mul (i32.load (i32.const 4)) (local.get 1))))
/// #   (core instance $m (instantiate $M (with "l" (instance $l))
/// #     (with "h" (instance (export "price" (func $price))))))
/// #   (func (export "total") (param "of" u32) (param "pieces" u32) (result u32)
/// #     (canon lift (core func $m "total"))))"#)?;
/// let grants = Shop::grant(Grants::<Prices>::with_data());
/// let plugin = Engine::default().load_component("shop", &wasm, &grants)?;
/// let shop = Shop::of(&plugin)?;
/// assert_eq!(shop.total(&plugin, 7, 3)?, 3 * 1999);
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "bindgen")]
pub use hostel_macros::bindgen;
pub use hostel_macros::{ComponentType, Lift, Lower};

use crate::{
    base::text::text,
    error::{CallError, Trap, TrapKind},
};
use core::fmt;

/// A Rust type whose values have a type of the Component Model.
///
/// Derive it together with [`Lift`], [`Lower`], or both. The macro's page says which types in WIT there are for
/// which in Rust.
///
/// ```
/// use hostel_core::component::{ComponentType, Lift, Lower};
///
/// /// `flags style { upper, reverse }`
/// #[derive(Default, ComponentType, Lift, Lower)]
/// #[component(flags)]
/// struct Style {
///     upper: bool,
///     reverse: bool,
/// }
///
/// /// `record request { text: string, style: style, max-len: option<u32> }`
/// #[derive(ComponentType, Lift, Lower)]
/// struct Request {
///     text: String,
///     style: Style,
///     #[component(name = "max-len")]
///     most: Option<u32>,
/// }
///
/// /// `variant problem { empty, not-ascii(char) }`
/// #[derive(ComponentType, Lift, Lower)]
/// enum Problem {
///     Empty,
///     NotAscii(char),
/// }
///
/// let mut wit = String::new();
/// Result::<Request, Problem>::wit(&mut wit)?;
/// assert_eq!(
///     wit,
///     "result<record { text: string, style: flags { upper, reverse }, max-len: option<u32> }, \
///      variant { empty, not-ascii(char) }>"
/// );
/// # Ok::<(), core::fmt::Error>(())
/// ```
pub trait ComponentType {
    /// Returns whether this Rust type is one for values of type `ty`.
    fn fits(types: &Types, ty: TypeId) -> bool;

    /// Writes the type as WIT does, for messages.
    ///
    /// # Errors
    ///
    /// Those of `to`, which may refuse more text.
    fn wit(to: &mut dyn fmt::Write) -> fmt::Result;

    /// The layout of values; `None` if that differs by component, or if they have handles.
    #[doc(hidden)]
    const LAYOUT: Option<Layout> = None;

    /// Whether this is `()`, which stands for no value.
    #[doc(hidden)]
    const IS_NOTHING: bool = false;

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

/// Returns the trap of a guest whose pointer leads out of its memory, as `error` says.
#[cold]
#[inline(never)]
pub(crate) fn outside(error: CallError) -> CallError {
    broken(&text(format_args!("{error}")))
}

/// Returns the error for a Rust type that was not compared with the component's.
#[cold]
#[inline(never)]
pub(crate) fn other_type() -> CallError {
    CallError::ValueType {
        reason: "the Rust type does not fit the component's type".into(),
    }
}
