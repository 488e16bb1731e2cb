//! Lifts and lowers serialised values.

use super::{FlatCounts, Lift, Lifter, Lower, Lowerer, Types};
use crate::error::CallError;
use alloc::{format, vec::Vec};
use serde::{Serialize, de::DeserializeOwned};

/// A value that crosses the boundary serialised: by serde, in the postcard format.
///
/// Don't lift a recursive type (one that contains itself) from guests that you don't trust. serde
/// reads it by recursion, as deep as the guest likes, until the native stack overflows.
///
/// Reading it costs 1 unit of fuel for each 64 bytes, twice: for the bytes and for deserialising.
///
/// ```
/// use hostel_core::{Grants, Postcard};
/// #[derive(serde::Deserialize)]
/// struct Point { x: i32, y: i32 }
/// let grants = Grants::new()
///     .function("geometry", "norm1", |point: Postcard<Point>| point.0.x.abs() + point.0.y.abs());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Postcard<T>(pub T);

/// Converts an error of the serialiser.
fn serialization(error: ::postcard::Error) -> CallError {
    CallError::Serialization {
        reason: format!("{error}").into(),
    }
}

impl<T: DeserializeOwned> Lift for Postcard<T> {
    type View<'m> = Self;
    const NULLABLE: bool = true;
    const CORE: FlatCounts = FlatCounts::BYTES;

    fn types(types: &mut Types) {
        <&[u8] as Lift>::types(types);
    }

    fn lift<'m>(from: &mut Lifter<'m>) -> Result<Self, CallError> {
        let bytes = from.bytes()?;
        from.charge(crate::base::fuel::fuel_for(bytes.len()))?;
        ::postcard::from_bytes(bytes)
            .map(Self)
            .map_err(serialization)
    }
}

impl<T: Serialize> Lower for Postcard<T> {
    const NULLABLE: bool = true;
    const CORE: FlatCounts = FlatCounts::BYTES;

    fn types(types: &mut Types) {
        <Vec<u8> as Lower>::types(types);
    }

    fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError> {
        to.bytes(::postcard::to_allocvec(&self.0).map_err(serialization)?)
    }
}
