//! The derive macros: what they read ([`shape`]) and what they make ([`code`]).

mod code;
pub(crate) mod shape;

pub(crate) use self::code::{component_type, lift, lower};

use self::shape::Shape;
use proc_macro2::TokenStream;

/// Reads a type and returns the code that `make` makes for it, or the error as code.
pub(crate) fn derive(input: TokenStream, make: fn(&Shape) -> TokenStream) -> TokenStream {
    let shape = syn::parse2(input).and_then(|input| Shape::read(&input));
    shape.map_or_else(syn::Error::into_compile_error, |shape| make(&shape))
}
