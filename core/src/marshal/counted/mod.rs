//! Wraps a serde deserializer, so that all that it makes of a guest's bytes is counted, charged and
//! bounded before it is made.
//!
//! A few bytes can become many: an `Option<[u64; 4]>` has one byte or 40, and a length of 2^64 units has
//! ten bytes and no elements. So each value costs fuel, and each block of the heap is counted by the
//! sizes of the Rust types. The blocks are foreseen from what a visitor makes:
//!
//! * texts and byte strings: their length;
//! * a `Vec`: its capacity, which doubles;
//! * other collections: as much as the greediest of the standard library takes, since one can't tell
//!   which it is;
//! * a value that is larger than its place in the value around it: a block of its own, as in a `Box`.

mod access;
mod tally;

pub(crate) use self::tally::{Bounds, Tally};

use self::{
    access::{Elements, Holder},
    tally::Stopped,
};
use core::fmt;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor,
};

/// Reads a value of type `T` from `inner`. If the tally was stopped, its error is the reason, whatever
/// this returns.
pub(crate) fn read<'de, T, D>(inner: D, tally: &Tally<'_>) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(Counted {
        inner,
        tally,
        place: size_of::<T>(),
        holder: Holder::Value,
    })
}

/// A part of serde's machinery, with the tally.
struct Counted<'t, I> {
    inner: I,
    tally: &'t Tally<'t>,
    /// Bytes that the value around has for the value that is read.
    place: usize,
    /// What a visitor keeps its elements in.
    holder: Holder,
}

/// Converts the tally's error to the deserializer's.
#[cold]
fn stopped<E: Error>(_: Stopped) -> E {
    E::custom("stopped")
}

impl<'t, I> Counted<'t, I> {
    /// Wraps `visitor`, which makes the value that this deserializer reads, and keeps its elements in
    /// `holder`. Counts the block for a value that has no place in the one around it.
    fn visitor<'de, V, E>(&self, visitor: V, holder: Holder) -> Result<Counted<'t, V>, E>
    where
        V: Visitor<'de>,
        E: Error,
    {
        let size = size_of::<V::Value>();
        if size > self.place {
            self.tally.block(size).map_err(stopped)?;
        }
        Ok(Counted {
            inner: visitor,
            tally: self.tally,
            place: size,
            holder,
        })
    }

    /// Wraps `inner`, which reads a part of this value.
    fn part<J>(&self, inner: J, place: usize) -> Counted<'t, J> {
        Counted {
            inner,
            tally: self.tally,
            place,
            holder: Holder::Value,
        }
    }
}

/// Implements methods of a deserializer: the name, further arguments with their types, and what the
/// visitor keeps elements in.
macro_rules! deserialize {
    ($($name:ident($($argument:ident: $type:ty),*): $holder:expr;)*) => {$(
        #[inline]
        fn $name<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.visitor(visitor, $holder)?;
            self.inner.$name($($argument,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Counted<'_, D> {
    type Error = D::Error;

    deserialize! {
        deserialize_any(): Holder::of::<V::Value>();
        deserialize_bool(): Holder::of::<V::Value>();
        deserialize_i8(): Holder::of::<V::Value>();
        deserialize_i16(): Holder::of::<V::Value>();
        deserialize_i32(): Holder::of::<V::Value>();
        deserialize_i64(): Holder::of::<V::Value>();
        deserialize_i128(): Holder::of::<V::Value>();
        deserialize_u8(): Holder::of::<V::Value>();
        deserialize_u16(): Holder::of::<V::Value>();
        deserialize_u32(): Holder::of::<V::Value>();
        deserialize_u64(): Holder::of::<V::Value>();
        deserialize_u128(): Holder::of::<V::Value>();
        deserialize_f32(): Holder::of::<V::Value>();
        deserialize_f64(): Holder::of::<V::Value>();
        deserialize_char(): Holder::of::<V::Value>();
        deserialize_str(): Holder::of::<V::Value>();
        deserialize_string(): Holder::of::<V::Value>();
        deserialize_bytes(): Holder::of::<V::Value>();
        deserialize_byte_buf(): Holder::of::<V::Value>();
        deserialize_option(): Holder::of::<V::Value>();
        deserialize_unit(): Holder::of::<V::Value>();
        deserialize_unit_struct(name: &'static str): Holder::of::<V::Value>();
        deserialize_newtype_struct(name: &'static str): Holder::of::<V::Value>();
        deserialize_seq(): Holder::of::<V::Value>();
        deserialize_tuple(len: usize): Holder::Value;
        deserialize_tuple_struct(name: &'static str, len: usize): Holder::Value;
        deserialize_map(): Holder::of::<V::Value>();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]): Holder::Value;
        deserialize_enum(name: &'static str, variants: &'static [&'static str]): Holder::Value;
        deserialize_identifier(): Holder::Value;
        deserialize_ignored_any(): Holder::Value;
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Implements methods of a visitor for values without parts.
macro_rules! visit {
    ($($name:ident($type:ty);)*) => {$(
        #[inline]
        fn $name<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$name(value)
        }
    )*};
}

/// Implements methods of a visitor for texts and byte strings, which it may copy.
macro_rules! visit_bytes {
    ($($name:ident($type:ty);)*) => {$(
        fn $name<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.tally.block(value.len()).map_err(stopped)?;
            self.inner.$name(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Counted<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
    }

    visit_bytes! {
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(alloc::string::String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(alloc::vec::Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let part = self.part(inner, self.place);
        self.tally.deeper(stopped, || self.inner.visit_some(part))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let part = self.part(inner, self.place);
        self.tally
            .deeper(stopped, || self.inner.visit_newtype_struct(part))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let elements = Elements::new(inner, self.tally, self.holder);
        self.tally
            .deeper(stopped, || self.inner.visit_seq(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        // The parts of an entry are counted apart, so that the capacity of a `Vec` is unknown.
        let holder = match self.holder {
            Holder::Vec => Holder::Other,
            holder => holder,
        };
        let elements = Elements::new(inner, self.tally, holder);
        self.tally
            .deeper(stopped, || self.inner.visit_map(elements))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let part = self.part(inner, self.place);
        self.tally.deeper(stopped, || self.inner.visit_enum(part))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Counted<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        let part = self.part(inner, size_of::<S::Value>());
        self.inner.deserialize(part)
    }
}
