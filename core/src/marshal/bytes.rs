//! Text and bytes.

use super::{Lift, Lifter, Lower, Lowerer, Types};
use crate::error::CallError;
use alloc::{borrow::ToOwned, boxed::Box, string::String, sync::Arc, vec::Vec};

/// Implements [`Lift`] for a type made from a borrowed text or byte string.
macro_rules! lift {
    ($($type:ty => $view:ty: $read:ident, $make:expr;)*) => {$(
        impl Lift for $type {
            type View<'m> = $view;
            const NULLABLE: bool = true;

            fn types(types: &mut Types) {
                types.push_bytes();
            }

            fn lift<'m>(from: &mut Lifter<'m>) -> Result<$view, CallError> {
                from.$read().map($make)
            }
        }
    )*};
}

lift! {
    &str => &'m str: text, |text| text;
    String => String: text, ToOwned::to_owned;
    &[u8] => &'m [u8]: bytes, |bytes| bytes;
    Vec<u8> => Vec<u8>: bytes, ToOwned::to_owned;
}

/// Implements [`Lower`] for a type that can be looked at as bytes.
macro_rules! lower {
    ($($type:ty)*) => {$(
        impl Lower for $type {
            const NULLABLE: bool = true;

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

    fn types(types: &mut Types) {
        types.push_bytes();
    }

    fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError> {
        to.bytes(self.as_slice())
    }
}
