//! The macros of hostel's component layer. Use them through `hostel_core::component`, or `hostel::component`:
//! the code that they make names one of the two crates.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod derive;
mod krate;
mod names;

#[cfg(feature = "bindgen")]
mod bindgen;

use proc_macro::TokenStream;

/// Derives `ComponentType`: the Rust type stands for a type in WIT. Derive `Lift`, `Lower`, or both with it.
///
/// | Rust | WIT |
/// |---|---|
/// | a struct with named fields | a record |
/// | the same with `#[component(flags)]`, all fields of type `bool` | flags, 32 at most |
/// | a struct around one value | that value's type |
/// | an enum without values | an enum |
/// | an enum whose cases hold one value or none | a variant |
///
/// Names in WIT are the Rust names in kebab case, or those of `#[component(name = "…")]` on a field or case. Names,
/// their order and their types are compared when a plugin is loaded.
///
/// The code names the crate `hostel_core`, or `hostel` if the package depends on that alone. For other names, say
/// `#[component(crate = path)]`.
#[proc_macro_derive(ComponentType, attributes(component))]
pub fn derive_component_type(input: TokenStream) -> TokenStream {
    derive::derive(input.into(), derive::component_type).into()
}

/// Derives `Lift`: values of the type come out of a guest.
#[proc_macro_derive(Lift, attributes(component))]
pub fn derive_lift(input: TokenStream) -> TokenStream {
    derive::derive(input.into(), derive::lift).into()
}

/// Derives `Lower`: values of the type go into a guest.
#[proc_macro_derive(Lower, attributes(component))]
pub fn derive_lower(input: TokenStream) -> TokenStream {
    derive::derive(input.into(), derive::lower).into()
}

/// Makes Rust for a world in WIT.
#[cfg(feature = "bindgen")]
#[proc_macro]
pub fn bindgen(input: TokenStream) -> TokenStream {
    bindgen::bindgen(input.into()).into()
}
