//! [`Lift`]: values out of a guest.

mod types;

use super::{
    ComponentType,
    bounds::{Bounds, Tally},
    broken,
    layout::Layout,
    other_type, outside,
    program::Encoding,
    resource::Resource,
    source::{InTable, Source},
    types::{ResourceId, discriminant_bytes, flag_bytes},
};
use crate::{
    base::{fuel::fuel_for, shape::unsigned},
    error::CallError,
    memory,
};
use alloc::{string::String, vec::Vec};
use wasmi::Val;

/// A value that comes out of a guest: a host function's parameter or an export's result.
pub trait Lift: ComponentType + Sized {
    /// Lifts the next value, which is of type `ty`.
    ///
    /// # Errors
    ///
    /// A trap if the guest breaks the canonical ABI, and errors of budgets and limits.
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError>;

    /// Lifts a payload, or `()` if there is none.
    #[doc(hidden)]
    fn lift_optional<S: Source>(
        ty: Option<S::Id>,
        from: &mut Lifting<'_, S>,
    ) -> Result<Self, CallError> {
        Self::lift(ty.ok_or_else(other_type)?, from)
    }

    /// Lifts `len` values that follow each other in memory, of type `ty`.
    ///
    /// # Errors
    ///
    /// Those of [`lift`](Self::lift).
    #[doc(hidden)]
    fn lift_all<S: Source>(
        ty: S::Id,
        len: u32,
        from: &mut Lifting<'_, S>,
    ) -> Result<Vec<Self>, CallError> {
        let mut all = from.vec(len)?;
        for _ in 0..len {
            all.push(Self::lift(ty, from)?);
        }
        Ok(all)
    }
}

/// Takes resources' handles from guests.
pub(crate) trait TakeHandle {
    /// Returns the resource whose handle has the number `index` in the guest's table: takes the handle away if
    /// `owned`, else lends it until the call ends.
    fn take(&mut self, ty: ResourceId, index: u32, owned: bool) -> Result<Resource, CallError>;
}

/// The values that come out of a guest, and the place of the next one: among core values, or in memory.
///
/// `S` is from where their types are known.
pub struct Lifting<'a, S: Source = InTable> {
    types: S::Types<'a>,
    encoding: Encoding,
    memory: &'a [u8],
    /// Core values that are left.
    flat: &'a [Val],
    /// Address of the next value, if it is in memory.
    at: Option<u32>,
    handles: &'a mut dyn TakeHandle,
    /// Its bytes are of the host's heap.
    tally: Tally<'a>,
}

/// The position of a value among those that come out of a guest.
#[derive(Clone, Copy)]
pub(super) struct Position {
    /// Its address, if it is in memory.
    at: Option<u32>,
    /// Number of core values from there on.
    flat: usize,
}

impl<'a, S: Source> Lifting<'a, S> {
    /// Returns the values `flat`.
    pub(crate) fn new(
        types: S::Types<'a>,
        encoding: Encoding,
        memory: &'a [u8],
        flat: &'a [Val],
        handles: &'a mut dyn TakeHandle,
        bounds: Bounds<'a>,
    ) -> Self {
        Self {
            types,
            encoding,
            memory,
            flat,
            at: None,
            handles,
            tally: Tally::new(bounds),
        }
    }

    /// Goes on with the values of this layout in the memory at `address`.
    pub(crate) fn go_to(&mut self, address: u32, layout: &Layout) -> Result<(), CallError> {
        self.enter(address, layout.size, layout.align)
    }

    /// Returns the component's types.
    #[must_use]
    pub const fn types(&self) -> S::Types<'a> {
        self.types
    }

    /// Returns the type of a part of the value of type `ty`: of a record's field, or a case's payload.
    ///
    /// # Errors
    ///
    /// If it has none.
    #[doc(hidden)]
    #[inline]
    pub fn part(&self, ty: S::Id, at: usize) -> Result<S::Id, CallError> {
        self.payload(ty, at).ok_or_else(other_type)
    }

    /// Returns the type of a case's payload, if it has one.
    #[inline]
    pub(crate) fn payload(&self, ty: S::Id, at: usize) -> Option<S::Id> {
        S::part(self.types, ty, at)
    }

    /// Returns the encoding of strings.
    #[inline]
    const fn encoding(&self) -> Encoding {
        if S::UTF8 {
            Encoding::Utf8
        } else {
            self.encoding
        }
    }

    /// Spends fuel before the work that it pays for.
    fn spend(&mut self, units: u64) -> Result<(), CallError> {
        self.tally.spend(units)
    }

    /// Returns the bytes of the host's heap that were taken.
    pub(super) const fn taken(&self) -> usize {
        self.tally.taken()
    }

    /// Goes on at a position, after `taken` bytes of the host's heap were taken.
    pub(super) fn resume(&mut self, position: Position, taken: usize) {
        self.leave(Some(position));
        self.tally.resume(taken);
    }

    /// Counts `bytes` of the host's heap before they are taken.
    fn take(&mut self, bytes: usize) -> Result<(), CallError> {
        self.tally.take(bytes, 0)
    }

    /// Checks the place of a value in memory, and goes there.
    fn enter(&mut self, address: u32, size: u32, align: u32) -> Result<(), CallError> {
        if address.checked_rem(align) != Some(0) {
            return Err(unaligned());
        }
        memory::bytes(self.memory, address, size, "value").map_err(outside)?;
        self.at = Some(address);
        Ok(())
    }

    /// Returns the next bytes of memory, if the next value is there: a scalar, aligned to its size.
    fn scalar<const N: usize>(&mut self) -> Result<Option<[u8; N]>, CallError> {
        let Some(at) = self.at else {
            return Ok(None);
        };
        self.spend(1)?;
        let size = width::<N>();
        let at = at.checked_next_multiple_of(size).unwrap_or(u32::MAX);
        let bytes = memory::bytes(self.memory, at, size, "value").map_err(outside)?;
        self.at = at.checked_add(size);
        Ok(bytes.first_chunk().copied())
    }

    /// Returns the next core value, if the next value is one.
    fn core(&mut self) -> Result<Val, CallError> {
        let (first, rest) = self
            .flat
            .split_first()
            .ok_or_else(|| broken("too few core values"))?;
        self.flat = rest;
        Ok(first.clone())
    }

    /// Returns the next truth value. Of a core value, each bit counts.
    pub(crate) fn bool(&mut self) -> Result<bool, CallError> {
        match self.scalar()? {
            Some([byte]) => Ok(byte != 0),
            None => Ok(self.flat_u32()? != 0),
        }
    }

    /// Returns the next integer of 8 bits.
    pub(crate) fn u8(&mut self) -> Result<u8, CallError> {
        match self.scalar()? {
            Some([byte]) => Ok(byte),
            None => Ok(low_byte(self.flat_u32()?)),
        }
    }

    /// Returns the next integer of 16 bits.
    pub(crate) fn u16(&mut self) -> Result<u16, CallError> {
        match self.scalar()? {
            Some(bytes) => Ok(u16::from_le_bytes(bytes)),
            None => {
                let [low, next, ..] = self.flat_u32()?.to_le_bytes();
                Ok(u16::from_le_bytes([low, next]))
            }
        }
    }

    /// Returns the next integer of 32 bits.
    pub(crate) fn u32(&mut self) -> Result<u32, CallError> {
        match self.scalar()? {
            Some(bytes) => Ok(u32::from_le_bytes(bytes)),
            None => self.flat_u32(),
        }
    }

    /// Returns the next integer of 64 bits.
    pub(crate) fn u64(&mut self) -> Result<u64, CallError> {
        match self.scalar()? {
            Some(bytes) => Ok(u64::from_le_bytes(bytes)),
            None => match self.core()? {
                Val::I64(value) => Ok(value.cast_unsigned()),
                _ => Err(broken("a core value of another type")),
            },
        }
    }

    /// Returns the bits of the next float of 64 bits.
    pub(crate) fn f64(&mut self) -> Result<u64, CallError> {
        match self.scalar()? {
            Some(bytes) => Ok(u64::from_le_bytes(bytes)),
            None => match self.core()? {
                Val::F64(value) => Ok(value.to_bits()),
                // A case of a variant, in a core value that holds all cases.
                Val::I64(value) => Ok(value.cast_unsigned()),
                _ => Err(broken("a core value of another type")),
            },
        }
    }

    /// Returns the bits of the next float of 32 bits, or the next integer of 32 bits, from a core value.
    fn flat_u32(&mut self) -> Result<u32, CallError> {
        match self.core()? {
            Val::I32(value) => Ok(unsigned(value)),
            // Cases of variants, in core values that hold all cases.
            Val::F32(value) => Ok(value.to_bits()),
            Val::I64(value) => {
                let [a, b, c, d, ..] = value.to_le_bytes();
                Ok(u32::from_le_bytes([a, b, c, d]))
            }
            _ => Err(broken("a core value of another type")),
        }
    }

    /// Returns a number of as many bytes as tell which of `cases` cases a value is. Traps if there are fewer
    /// cases.
    pub(crate) fn discriminant(&mut self, cases: usize) -> Result<usize, CallError> {
        let found = match discriminant_bytes(cases) {
            _ if self.at.is_none() => self.u32()?,
            1 => self.u8()?.into(),
            2 => self.u16()?.into(),
            _ => self.u32()?,
        };
        let found = usize::try_from(found).unwrap_or(usize::MAX);
        if found >= cases {
            return Err(broken("a case that its type does not have"));
        }
        Ok(found)
    }

    /// Returns the next flags, of which there are `names`: one bit each, from the lowest. Bits beyond these are
    /// dropped.
    ///
    /// # Errors
    ///
    /// A trap if the guest breaks the canonical ABI, and errors of budgets and limits.
    pub fn flags(&mut self, names: usize) -> Result<u32, CallError> {
        let bits = match flag_bytes(names) {
            1 => self.u8()?.into(),
            2 => self.u16()?.into(),
            _ => self.u32()?,
        };
        let unused = u32::try_from(names)
            .ok()
            .and_then(|names| 32u32.checked_sub(names));
        Ok(bits & u32::MAX.checked_shr(unused.unwrap_or(0)).unwrap_or(0))
    }

    /// Returns the next character.
    pub(crate) fn char(&mut self) -> Result<char, CallError> {
        char::from_u32(self.u32()?).ok_or_else(|| broken("a number that is no character"))
    }

    /// Lifts the parts of a value of type `ty`, a record or tuple for which `T` stands, by `parts`.
    ///
    /// # Errors
    ///
    /// Those of `parts`.
    pub fn parts<T: ComponentType, R>(
        &mut self,
        ty: S::Id,
        parts: impl FnOnce(&mut Self) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let end = self.begin(S::layout::<T>(self.types, ty))?;
        let lifted = parts(self)?;
        self.leave(end);
        Ok(lifted)
    }

    /// Lifts a value of type `ty`, a variant for which `T` stands, by `case`, which gets the number of the case.
    ///
    /// # Errors
    ///
    /// Those of `case`; a trap if the type has no such case.
    pub fn variant<T: ComponentType, R>(
        &mut self,
        ty: S::Id,
        case: impl FnOnce(&mut Self, usize) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let (number, end) = self.begin_case(S::layout::<T>(self.types, ty))?;
        let lifted = case(self, number)?;
        self.leave(end);
        Ok(lifted)
    }

    /// Goes to the start of a compound value of this layout. Returns the position after it, if it is in memory: among
    /// core values, its parts lead there.
    pub(super) fn begin(&mut self, layout: &Layout) -> Result<Option<Position>, CallError> {
        let Some(at) = self.at else {
            return Ok(None);
        };
        // One number can be within many values, each of which is work.
        self.spend(1)?;
        let start = at
            .checked_next_multiple_of(layout.align)
            .unwrap_or(u32::MAX);
        self.enter(start, layout.size, layout.align)?;
        Ok(Some(Position {
            at: start.checked_add(layout.size),
            flat: self.flat.len(),
        }))
    }

    /// Goes to the payload of a variant of this layout. Returns the number of the case, and the position after the
    /// value.
    pub(super) fn begin_case(
        &mut self,
        layout: &Layout,
    ) -> Result<(usize, Option<Position>), CallError> {
        let cases = usize::try_from(layout.cases).unwrap_or(usize::MAX);
        if self.at.is_some() {
            let end = self.begin(layout)?;
            let number = self.discriminant(cases)?;
            let align = layout.payload_align;
            self.at = self.at.and_then(|at| at.checked_next_multiple_of(align));
            return Ok((number, end));
        }
        // After the core values that this case does not use.
        let width = layout.flat_types().len();
        let end = Position {
            at: None,
            flat: self.flat.len().saturating_sub(width),
        };
        Ok((self.discriminant(cases)?, Some(end)))
    }

    /// Goes to the elements of a list, which have this layout. Returns their number, and the position after the list's
    /// pointer and length.
    pub(super) fn begin_list(
        &mut self,
        element: &Layout,
    ) -> Result<(u32, Option<Position>), CallError> {
        let (ptr, len) = (self.u32()?, self.u32()?);
        let size = u64::from(element.size).saturating_mul(len.into());
        let size = u32::try_from(size).map_err(|_| broken("a list of 4 GiB or more"))?;
        let end = self.position();
        self.enter(ptr, size, element.align)?;
        Ok((len, Some(end)))
    }

    /// Goes to the position after a value, unless its parts have led there.
    pub(super) fn leave(&mut self, end: Option<Position>) {
        if let Some(Position { at, flat }) = end {
            self.at = at;
            let used = self.flat.len().saturating_sub(flat);
            self.flat = self.flat.get(used..).unwrap_or_default();
        }
    }

    /// Returns the position of the next value.
    pub(super) const fn position(&self) -> Position {
        Position {
            at: self.at,
            flat: self.flat.len(),
        }
    }

    /// Returns the next string.
    pub(crate) fn string(&mut self) -> Result<String, CallError> {
        let (ptr, len) = (self.u32()?, self.u32()?);
        let (bytes, utf16) = self.string_bytes(ptr, len)?;
        self.spend(fuel_for(bytes.len()).saturating_mul(2))?;
        match (self.encoding(), utf16) {
            (Encoding::Utf8, _) => {
                self.take(bytes.len())?;
                let text = core::str::from_utf8(bytes)
                    .map_err(|_| broken("a string that is not UTF-8"))?;
                let mut copy = String::new();
                copy.try_reserve_exact(text.len())
                    .map_err(|_| memory::no_room(text.len()))?;
                copy.push_str(text);
                Ok(copy)
            }
            (_, true) => {
                // A unit of 2 bytes takes 3 bytes of UTF-8 at most.
                let units = bytes
                    .chunks_exact(2)
                    .filter_map(|unit| unit.first_chunk().copied().map(u16::from_le_bytes));
                self.collect(
                    bytes.len().div_ceil(2).saturating_mul(3),
                    char::decode_utf16(units).map(|unit| unit.ok()),
                )
            }
            (_, false) => self.collect(
                bytes.len().saturating_mul(2),
                bytes.iter().map(|byte| Some(char::from(*byte))),
            ),
        }
    }

    /// Returns the bytes of a string, and whether they are UTF-16.
    fn string_bytes(&self, ptr: u32, len: u32) -> Result<(&'a [u8], bool), CallError> {
        const UTF16: u32 = 1 << 31;
        let (len, utf16) = match self.encoding() {
            Encoding::Utf8 => (Some(len), false),
            Encoding::Utf16 => (len.checked_mul(2), true),
            Encoding::Latin1OrUtf16 if len & UTF16 != 0 => ((len ^ UTF16).checked_mul(2), true),
            Encoding::Latin1OrUtf16 => (Some(len), false),
        };
        if self.encoding() != Encoding::Utf8 && !ptr.is_multiple_of(2) {
            return Err(unaligned());
        }
        let len = len
            .filter(|len| *len < UTF16)
            .ok_or_else(|| broken("a string of 2 GiB or more"))?;
        let bytes = memory::bytes(self.memory, ptr, len, "string").map_err(outside)?;
        Ok((bytes, utf16))
    }

    /// Collects the characters of a string that takes `most` bytes at most.
    fn collect(
        &mut self,
        most: usize,
        chars: impl Iterator<Item = Option<char>>,
    ) -> Result<String, CallError> {
        self.take(most)?;
        let mut text = String::new();
        text.try_reserve_exact(most)
            .map_err(|_| memory::no_room(most))?;
        for next in chars {
            text.push(next.ok_or_else(|| broken("a string that is not UTF-16"))?);
        }
        Ok(text)
    }

    /// Returns a vector with room for `len` values of `T`.
    fn vec<T>(&mut self, len: u32) -> Result<Vec<T>, CallError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let bytes = len.saturating_mul(size_of::<T>());
        self.take(bytes)?;
        let mut all = Vec::new();
        all.try_reserve_exact(len)
            .map_err(|_| memory::no_room(bytes))?;
        Ok(all)
    }

    /// Lifts the next list, whose elements are of type `element`.
    pub(crate) fn list<T: Lift>(&mut self, element: S::Id) -> Result<Vec<T>, CallError> {
        let (len, end) = self.begin_list(S::layout::<T>(self.types, element))?;
        let all = T::lift_all(element, len, self)?;
        self.leave(end);
        Ok(all)
    }

    /// Returns a copy of the next `len` bytes of memory.
    pub(crate) fn copied(&mut self, len: u32) -> Result<Vec<u8>, CallError> {
        let bytes = self.bytes(len)?;
        self.take(bytes.len())?;
        memory::copied(bytes)
    }

    /// Returns the next `len` bytes of memory.
    fn bytes(&mut self, len: u32) -> Result<&'a [u8], CallError> {
        let Some(at) = self.at else {
            return Err(broken("too few core values"));
        };
        let bytes = memory::bytes(self.memory, at, len, "list").map_err(outside)?;
        self.spend(fuel_for(bytes.len()))?;
        self.at = at.checked_add(len);
        Ok(bytes)
    }

    /// Lifts the next handle, of a resource of type `ty`.
    pub(crate) fn handle(&mut self, ty: ResourceId, owned: bool) -> Result<Resource, CallError> {
        let index = self.u32()?;
        self.handles.take(ty, index, owned)
    }

    /// Returns `len` further values that follow each other, where each is lifted by itself: a list of fixed
    /// length is flat as its elements are.
    fn repeated<T: Lift>(&mut self, element: S::Id, len: u32) -> Result<Vec<T>, CallError> {
        if self.at.is_some() {
            return T::lift_all(element, len, self);
        }
        let mut all = self.vec(len)?;
        for _ in 0..len {
            all.push(T::lift(element, self)?);
        }
        Ok(all)
    }
}

/// Returns the bytes of a scalar, of which there are 1 to 8.
#[expect(clippy::cast_possible_truncation)]
pub(crate) const fn width<const BYTES: usize>() -> u32 {
    BYTES as u32
}

/// Returns the lowest byte of a number.
const fn low_byte(number: u32) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}

pub(super) fn unaligned() -> CallError {
    broken("a pointer that is not aligned")
}
