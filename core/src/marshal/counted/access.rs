//! Counts elements, entries and variants as they are read.

use super::{
    Counted, stopped,
    tally::{Stopped, Tally},
};
use core::any::type_name;
use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

/// What a visitor keeps its elements in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// The value itself: a tuple, an array or a struct.
    Value,
    /// A `Vec`.
    Vec,
    /// Another collection.
    Other,
}

impl Holder {
    /// Returns the holder of a collection of type `T`.
    #[inline]
    pub(super) fn of<T>() -> Self {
        // Only a name tells a `Vec` from a list of nodes, which takes 40 times as much for bytes. If the
        // name is written otherwise some day, more is counted for a `Vec`, not less.
        if type_name::<T>().starts_with("alloc::vec::Vec<") {
            Self::Vec
        } else {
            Self::Other
        }
    }
}

/// Fuel for an element of a collection other than a `Vec`: it may be compared, hashed and moved.
const KEPT: u64 = 4;

/// Bytes of heap for an element of such a collection, beside three times its size: the pointers of a
/// list's or a tree's nodes.
const NODE: usize = 48;

/// Bytes, and elements, of heap for the first node or table of such a collection, in addition.
const FIRST: (usize, usize) = (96, 12);

/// The elements or the entries of a value.
pub(super) struct Elements<'t, A> {
    inner: A,
    tally: &'t Tally<'t>,
    holder: Holder,
    length: usize,
    capacity: usize,
}

impl<'t, A> Elements<'t, A> {
    pub(super) const fn new(inner: A, tally: &'t Tally<'t>, holder: Holder) -> Self {
        Self {
            inner,
            tally,
            holder,
            length: 0,
            capacity: 0,
        }
    }

    /// Wraps the seed of a part that has a place of `place` bytes.
    fn part<S>(&self, seed: S, place: usize) -> Counted<'t, S> {
        Counted {
            inner: seed,
            tally: self.tally,
            place,
            holder: Holder::Value,
        }
    }

    /// Counts an element of `size` bytes, or an entry's key, which the visitor is about to keep.
    #[inline]
    fn keep(&mut self, size: usize) -> Result<(), Stopped> {
        match self.holder {
            Holder::Value => return Ok(()),
            Holder::Vec if self.length < self.capacity || size == 0 => {}
            Holder::Vec => self.grow(size)?,
            Holder::Other => self.node(size, self.length == 0)?,
        }
        self.length = self.length.saturating_add(1);
        Ok(())
    }

    /// Counts an entry's value of `size` bytes, whose key is counted.
    fn keep_value(&self, size: usize) -> Result<(), Stopped> {
        match self.holder {
            Holder::Value => Ok(()),
            _ => self.node(size, self.length == 1),
        }
    }

    /// Counts `size` bytes in a collection of unknown kind; `first` if they are its first.
    fn node(&self, size: usize, first: bool) -> Result<(), Stopped> {
        let (bytes, elements) = if first { FIRST } else { (0, 0) };
        let elements = size.saturating_mul(elements.saturating_add(3));
        self.tally.charge(KEPT)?;
        self.tally
            .block(elements.saturating_add(NODE).saturating_add(bytes))
    }

    /// Counts the next capacity of a `Vec`.
    #[inline(never)]
    fn grow(&mut self, size: usize) -> Result<(), Stopped> {
        let bytes = |capacity: usize| capacity.saturating_mul(size);
        let before = self.capacity;
        // As the standard library does it.
        self.capacity = match (before, size) {
            (0, 1) => 8,
            (0, 2..=1_024) => 4,
            (0, _) => 1,
            _ => before.saturating_mul(2),
        };
        if before == 0 {
            return self.tally.block(bytes(self.capacity));
        }
        self.tally
            .replace_block(bytes(before), bytes(self.capacity))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        self.tally.charge(1).map_err(stopped)?;
        let size = size_of::<S::Value>();
        let element = self.inner.next_element_seed(self.part(seed, size))?;
        if element.is_some() {
            self.keep(size).map_err(stopped)?;
        }
        Ok(element)
    }

    /// Returns `None`: a collection would allocate for as many elements as the guest claims.
    fn size_hint(&self) -> Option<usize> {
        None
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        self.tally.charge(1).map_err(stopped)?;
        let size = size_of::<S::Value>();
        let key = self.inner.next_key_seed(self.part(seed, size))?;
        if key.is_some() {
            self.keep(size).map_err(stopped)?;
        }
        Ok(key)
    }

    #[inline]
    fn next_value_seed<S>(&mut self, seed: S) -> Result<S::Value, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        self.tally.charge(1).map_err(stopped)?;
        let size = size_of::<S::Value>();
        let value = self.inner.next_value_seed(self.part(seed, size))?;
        self.keep_value(size).map_err(stopped)?;
        Ok(value)
    }

    /// Returns `None`, as for a sequence.
    fn size_hint(&self) -> Option<usize> {
        None
    }
}

impl<'de, 't, A: EnumAccess<'de>> EnumAccess<'de> for Counted<'t, A> {
    type Error = A::Error;
    type Variant = Counted<'t, A::Variant>;

    fn variant_seed<S>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        // Its number or name, which has no place in the value.
        let variant = self.part(seed, size_of::<S::Value>());
        let (variant, inner) = self.inner.variant_seed(variant)?;
        let contents = Counted {
            inner,
            tally: self.tally,
            place: self.place,
            holder: Holder::Value,
        };
        Ok((variant, contents))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S>(self, seed: S) -> Result<S::Value, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        let seed = self.part(seed, size_of::<S::Value>());
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V>(self, len: usize, visitor: V) -> Result<V::Value, A::Error>
    where
        V: Visitor<'de>,
    {
        let visitor = self.visitor(visitor, Holder::Value)?;
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error>
    where
        V: Visitor<'de>,
    {
        let visitor = self.visitor(visitor, Holder::Value)?;
        self.inner.struct_variant(fields, visitor)
    }
}
