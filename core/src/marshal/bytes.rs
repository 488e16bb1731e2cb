//! Lifts and lowers text and bytes.

use super::{FlatCounts, Lift, Lifter, Lower, Lowerer, Types};
use crate::error::CallError;
use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

/// Implements [`Lift`] for types made from a borrowed text or byte string: the type, its view, the
/// method that reads it and the function that makes the view.
macro_rules! lift {
    ($($type:ty => $view:ty: $read:ident, $make:expr;)*) => {$(
        impl Lift for $type {
            type View<'m> = $view;
            const NULLABLE: bool = true;
            const CORE: FlatCounts = FlatCounts::BYTES;

            fn types(types: &mut Types) {
                types.push_bytes();
            }

            #[inline(always)]
            fn lift<'m>(from: &mut Lifter<'m>) -> Result<$view, CallError> {
                from.$read().and_then($make)
            }
        }
    )*};
}

lift! {
    &str => &'m str: text, Ok;
    String => String: string, Ok;
    &[u8] => &'m [u8]: bytes, Ok;
    Vec<u8> => Vec<u8>: vec, Ok;
}

/// Implements [`Lower`] for types that dereference to text or bytes.
macro_rules! lower {
    ($($type:ty)*) => {$(
        impl Lower for $type {
            const NULLABLE: bool = true;
            const CORE: FlatCounts = FlatCounts::BYTES;

            fn types(types: &mut Types) {
                types.push_bytes();
            }

            fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError> {
                to.bytes(AsRef::<[u8]>::as_ref(&**self))
            }
        }
    )*};
}

lower! { &str String Box<str> Arc<str> &[u8] Vec<u8> Box<[u8]> Arc<[u8]> }

impl<const N: usize> Lower for &[u8; N] {
    const NULLABLE: bool = true;
    const CORE: FlatCounts = FlatCounts::BYTES;

    fn types(types: &mut Types) {
        types.push_bytes();
    }

    fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError> {
        to.bytes(self.as_slice())
    }
}
