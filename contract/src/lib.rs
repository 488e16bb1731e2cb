//! Reads the contracts of WebAssembly plugins: the world that a plugin imports and exports, in
//! [WIT](https://component-model.bytecodealliance.org/design/wit.html).
//!
//! A contract is read from a component, from a WIT package in binary form, from a core module with the
//! custom section `component-type` that wit-bindgen leaves, or from WIT text. It can be printed as WIT,
//! compared with the world that a host wants, and it gives the types of calls that are written as text.
//!
//! ```
//! use hostel_contract::{Contract, check};
//!
//! let wanted = Contract::from_wit("shapes.wit", "
//!     package demo:shapes@1.2.0;
//!     interface areas { square: func(side: u32) -> u64; }
//!     world plugin { export areas; }
//! ", None)?;
//! let plugin = Contract::from_wit("plugin.wit", "
//!     package demo:shapes@1.0.0;
//!     interface areas { square: func(side: u32) -> u32; }
//!     world plugin { export areas; }
//! ", None)?;
//! let differences = check(&plugin, &wanted);
//! assert_eq!(differences.len(), 1);
//! assert_eq!(differences[0].item.as_deref(), Some("square"));
//! assert_eq!(differences[0].expected.as_deref(), Some("u64"));
//! assert_eq!(differences[0].found.as_deref(), Some("u32"));
//! # Ok::<(), hostel_contract::ReadError>(())
//! ```
//!
//! # Hostile input
//!
//! A plugin's author wrote its contract too. [`Contract::read`] bounds the bytes, the declared things,
//! the nesting, and the length of the printed text; [`limits`] has the figures. It validates a component
//! before decoding it, and refuses those valid components on which the decoder is known to panic. It reads
//! on a thread of its own, whose stack fits the deepest component that it permits, and reports a panic of
//! the decoder as [`ReadError::Fault`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod call;
mod check;
mod contract;
mod decode;
mod difference;
mod error;
mod guard;
pub mod limits;
mod native;
mod page;
mod parts;
mod print;
mod value;

pub use self::{
    call::{Answer, Call, CallTextError},
    check::check,
    contract::{Contract, exports, is_component, wit_of},
    difference::{Difference, Kind, Side},
    error::ReadError,
    native::check_native,
    parts::{CoreModule, Parts},
    value::{Value, ValueType},
};
pub use wit_component::StringEncoding;
