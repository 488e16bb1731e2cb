//! Lifts and lowers serialised values.

use super::{FlatCounts, Lift, Lifter, Lower, Lowerer, Types, counted, mistyped};
use crate::{base::fuel::fuel_for, error::CallError, memory::no_room};
use ::postcard::{Deserializer, Error, ser_flavors::Flavor, serialize_with_flavor};
use alloc::{format, vec::Vec};
use serde::{Serialize, de::DeserializeOwned};

/// A value that crosses the boundary serialised: by serde, in the postcard format.
///
/// A few bytes can become a large value. So each call's
/// [`Budget::deserialized_bytes`](crate::Budget::deserialized_bytes) bounds the heap that a guest's
/// values take, and [`Budget::deserialized_levels`](crate::Budget::deserialized_levels) how deeply they
/// nest, recursive types included. Heap is foreseen from the sizes of the Rust types that serde asks
/// for; what a `Deserialize` of your own allocates besides is not counted.
///
/// Reading a value costs fuel:
///
/// * 1 unit for each 64 bytes, twice: for the bytes and for deserialising;
/// * 1 unit for each element, field, key and value, and 4 more in a collection other than a `Vec`;
/// * 1 unit for each block of the heap, and 1 for each 64 bytes of it.
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
fn serialization(error: Error) -> CallError {
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
        from.charge(fuel_for(bytes.len()))?;
        let tally = from.tally().ok_or_else(|| mistyped("a serialised value"))?;
        let value = counted::read(&mut Deserializer::from_bytes(bytes), &tally);
        match tally.into_error() {
            Some(error) => Err(error),
            None => value.map(Self).map_err(serialization),
        }
    }
}

/// Collects serialised bytes. Fails instead of aborting if the heap has no room.
#[derive(Default)]
struct Collected(Vec<u8>);

impl Flavor for Collected {
    type Output = Vec<u8>;

    fn try_extend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let reserved = self.0.try_reserve(bytes.len());
        reserved.map_err(|_| Error::SerializeBufferFull)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> Result<(), Error> {
        self.try_extend(&[byte])
    }

    fn finalize(self) -> Result<Vec<u8>, Error> {
        Ok(self.0)
    }
}

impl<T: Serialize> Lower for Postcard<T> {
    const NULLABLE: bool = true;
    const CORE: FlatCounts = FlatCounts::BYTES;

    fn types(types: &mut Types) {
        <Vec<u8> as Lower>::types(types);
    }

    fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError> {
        let bytes = serialize_with_flavor(&self.0, Collected::default());
        to.bytes(bytes.map_err(|error| match error {
            Error::SerializeBufferFull => no_room(size_of::<T>()),
            error => serialization(error),
        })?)
    }
}
