//! [`Lower`]: values into a guest.
//!
//! Lowering runs no guest code. It makes the core values, and blocks of bytes for what goes to memory: strings,
//! lists, and values that are too wide to be flat. Afterwards the guest's `realloc` gives each block its address,
//! in the order of the blocks, and the addresses are written where they belong.

mod types;

use super::{
    ComponentType,
    bounds::{Bounds, Tally},
    layout::Layout,
    lift::unaligned,
    other_type,
    program::Encoding,
    resource::Resource,
    source::{InTable, Source},
    types::{MAX_FLAT_PARAMS, ResourceId, discriminant_bytes, flag_bytes},
};
use crate::{
    base::{fuel::fuel_for, signature::ValType},
    error::CallError,
    memory,
};
use alloc::{borrow::Cow, string::String, vec::Vec};
use wasmi::{F32, F64, Val};

/// A value that goes into a guest: an export's argument or a host function's result.
pub trait Lower: ComponentType {
    /// Lowers the value, which is of type `ty`.
    ///
    /// # Errors
    ///
    /// Errors of budgets and limits, and if the value is not of the type.
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError>;

    /// Lowers a payload, or nothing if there is none.
    #[doc(hidden)]
    fn lower_optional<'v, S: Source>(
        &'v self,
        ty: Option<S::Id>,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        self.lower(ty.ok_or_else(other_type)?, to)
    }

    /// Lowers `all` to a block of their own, one after the other.
    #[doc(hidden)]
    fn lower_all<'v, S: Source>(
        all: &'v [Self],
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError>
    where
        Self: Sized,
    {
        to.block::<Self>(ty, all.len(), |to| {
            all.iter().try_for_each(|value| value.lower(ty, to))
        })
    }
}

/// Gives resources' handles to guests.
pub(crate) trait GiveHandle {
    /// Returns the number of a new handle to `resource` in the guest's table, or the resource's own number if
    /// the guest defines it and only borrows it.
    fn give(&mut self, ty: ResourceId, resource: &Resource, owned: bool) -> Result<u32, CallError>;
}

/// The core values of a list of parameters, with a pointer for the results.
pub(crate) type Flat = heapless::Vec<Val, { MAX_FLAT_PARAMS + 1 }>;

/// Bytes that go to the guest's memory.
#[derive(Debug)]
pub(crate) struct Block<'v> {
    pub(crate) bytes: Cow<'v, [u8]>,
    pub(crate) align: u32,
    /// Where its address goes.
    pub(crate) pointer: Place,
}

/// A place for a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// The core value of this number.
    Flat(usize),
    /// This block, at this offset.
    Block(usize, usize),
}

/// Bytes of the host's heap that each block counts besides its own, but for the first.
const BLOCK: usize = 64;

/// Values on their way into a guest.
///
/// `S` is from where their types are known.
pub struct Lowering<'v, 'c, S: Source = InTable> {
    types: S::Types<'c>,
    encoding: Encoding,
    lowered: Lowered<'v>,
    /// The place of the next value.
    at: Place,
    handles: &'c mut dyn GiveHandle,
    /// Its bytes are those of the blocks.
    tally: Tally<'c>,
}

/// Values that were lowered.
#[derive(Debug, Default)]
pub(crate) struct Lowered<'v> {
    /// Core values.
    pub(crate) flat: Flat,
    /// What goes to memory, each block before those to which it points.
    pub(crate) blocks: Vec<Block<'v>>,
    /// The address of the first block, if that is given.
    pub(crate) placed: Option<u32>,
}

/// A lowering that is paused.
pub(super) struct Paused<'v> {
    lowered: Lowered<'v>,
    at: Place,
    taken: usize,
}

impl<'v, 'c, S: Source> Lowering<'v, 'c, S> {
    /// Returns an empty lowering, whose values become core values.
    pub(crate) fn new(
        types: S::Types<'c>,
        encoding: Encoding,
        handles: &'c mut dyn GiveHandle,
        bounds: Bounds<'c>,
    ) -> Self {
        Self {
            types,
            encoding,
            lowered: Lowered::default(),
            at: Place::Flat(0),
            handles,
            tally: Tally::new(bounds),
        }
    }

    /// Returns the values.
    pub(crate) fn end(self) -> Lowered<'v> {
        self.lowered
    }

    /// Returns the values so far, and the place of the next.
    pub(super) fn pause(self) -> Paused<'v> {
        Paused {
            taken: self.taken(),
            lowered: self.lowered,
            at: self.at,
        }
    }

    /// Goes on with values that were lowered before.
    pub(super) fn resume(&mut self, paused: Paused<'v>) {
        self.lowered = paused.lowered;
        self.at = paused.at;
        self.tally.resume(paused.taken);
    }

    /// Returns the component's types.
    #[must_use]
    pub const fn types(&self) -> S::Types<'c> {
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

    /// Puts the following values into a block with this layout, and its pointer here.
    pub(crate) fn spill(&mut self, layout: &Layout) -> Result<(), CallError> {
        let pointer = self.pointer()?;
        self.begin_block(Cow::Owned(Vec::new()), layout.size, layout.align, pointer)
    }

    /// Puts the following values into the guest's memory at `address`.
    pub(crate) fn place(&mut self, address: u32, layout: &Layout) -> Result<(), CallError> {
        if address.checked_rem(layout.align) != Some(0) {
            return Err(unaligned());
        }
        self.lowered.placed = Some(address);
        let none = Place::Block(usize::MAX, 0);
        self.begin_block(Cow::Owned(Vec::new()), layout.size, layout.align, none)
    }

    /// Returns the bytes of the blocks so far.
    pub(crate) const fn taken(&self) -> usize {
        self.tally.taken()
    }

    /// Spends fuel before the work that it pays for.
    fn spend(&mut self, units: u64) -> Result<(), CallError> {
        self.tally.spend(units)
    }

    /// Adds a core value.
    fn push(&mut self, value: Val) -> Result<(), CallError> {
        self.lowered.flat.push(value).map_err(|_| other_type())
    }

    /// Lowers a number that takes `N` bytes in memory, and is `core` as a core value.
    fn number<const N: usize>(&mut self, bytes: [u8; N], core: Val) -> Result<(), CallError> {
        let Place::Block(block, at) = self.at else {
            return self.push(core);
        };
        self.spend(1)?;
        let at = at.next_multiple_of(N);
        self.write(block, at, &bytes)?;
        self.at = Place::Block(block, at.saturating_add(N));
        Ok(())
    }

    /// Writes bytes to a block.
    fn write(&mut self, block: usize, at: usize, bytes: &[u8]) -> Result<(), CallError> {
        let block = self.lowered.blocks.get_mut(block).ok_or_else(other_type)?;
        let place = block.bytes.to_mut().get_mut(at..);
        let place = place.and_then(|place| place.get_mut(..bytes.len()));
        place.ok_or_else(other_type)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Lowers an integer of up to 32 bits that takes `bytes` bytes in memory.
    pub(crate) fn word(&mut self, value: u32, bytes: u32) -> Result<(), CallError> {
        let core = Val::I32(value.cast_signed());
        let [a, b, c, d] = value.to_le_bytes();
        match bytes {
            1 => self.number([a], core),
            2 => self.number([a, b], core),
            _ => self.number([a, b, c, d], core),
        }
    }

    /// Lowers an integer of 64 bits.
    pub(crate) fn long(&mut self, value: u64) -> Result<(), CallError> {
        self.number(value.to_le_bytes(), Val::I64(value.cast_signed()))
    }

    /// Lowers a float of 32 bits.
    pub(crate) fn float(&mut self, bits: u32) -> Result<(), CallError> {
        self.number(bits.to_le_bytes(), Val::F32(F32::from_bits(bits)))
    }

    /// Lowers a float of 64 bits.
    pub(crate) fn double(&mut self, bits: u64) -> Result<(), CallError> {
        self.number(bits.to_le_bytes(), Val::F64(F64::from_bits(bits)))
    }

    /// Lowers flags, of which there are `names`: one bit each, from the lowest.
    ///
    /// # Errors
    ///
    /// Errors of budgets and limits.
    pub fn flags(&mut self, bits: u32, names: usize) -> Result<(), CallError> {
        self.word(bits, flag_bytes(names))
    }

    /// Lowers the number of one of `cases` cases.
    pub(crate) fn discriminant(&mut self, case: usize, cases: usize) -> Result<(), CallError> {
        let case = u32::try_from(case).map_err(|_| other_type())?;
        self.word(case, discriminant_bytes(cases))
    }

    /// Spends fuel for the search of the case with the number `case` by its name.
    pub(super) fn spend_search(&mut self, case: usize) -> Result<(), CallError> {
        // As many bytes as a name's pointer and length have.
        self.spend(fuel_for(case.saturating_mul(16)))
    }

    /// Lowers the parts of a value of type `ty`, a record or tuple for which `T` stands, by `parts`.
    ///
    /// # Errors
    ///
    /// Those of `parts`.
    pub fn parts<T: ComponentType>(
        &mut self,
        ty: S::Id,
        parts: impl FnOnce(&mut Self) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let end = self.begin(S::layout::<T>(self.types, ty))?;
        parts(self)?;
        self.leave(end);
        Ok(())
    }

    /// Lowers a value of type `ty`, a variant for which `T` stands, whose case has the number `case` and the payload
    /// that `payload` lowers.
    ///
    /// # Errors
    ///
    /// Those of `payload`.
    pub fn variant<T: ComponentType>(
        &mut self,
        ty: S::Id,
        case: usize,
        payload: impl FnOnce(&mut Self) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let layout = S::layout::<T>(self.types, ty);
        let end = self.begin_case(layout, case)?;
        payload(self)?;
        self.end_case(layout, end)
    }

    /// Goes to the payload of a variant of this layout, whose case has the number `case`. Returns the place after the
    /// value or, of one that is not in memory, that of its first core value.
    pub(super) fn begin_case(&mut self, layout: &Layout, case: usize) -> Result<Place, CallError> {
        let cases = usize::try_from(layout.cases).unwrap_or(usize::MAX);
        if case >= cases {
            return Err(other_type());
        }
        let start = Place::Flat(self.lowered.flat.len());
        let end = self.begin(layout)?;
        self.discriminant(case, cases)?;
        if let Place::Block(block, at) = self.at {
            let align = layout.payload_align as usize;
            self.at = Place::Block(block, at.next_multiple_of(align));
        }
        Ok(end.unwrap_or(start))
    }

    /// Ends a variant, of which `end` is what [`begin_case`](Self::begin_case) returned.
    pub(super) fn end_case(&mut self, layout: &Layout, end: Place) -> Result<(), CallError> {
        match end {
            Place::Flat(start) => return self.join(layout, start),
            Place::Block(..) => self.at = end,
        }
        Ok(())
    }

    /// Converts the core values from number `start` on, a case of a variant of this layout, to those that hold all of
    /// its cases.
    fn join(&mut self, layout: &Layout, start: usize) -> Result<(), CallError> {
        let joined = layout.flat.as_ref().ok_or_else(other_type)?.as_slice();
        for (at, ty) in joined.iter().enumerate() {
            match self.lowered.flat.get_mut(start.saturating_add(at)) {
                Some(value) => *value = widened(value, *ty),
                None => self.push(ty.zero())?,
            }
        }
        Ok(())
    }

    /// Goes to the place after a compound value, if it is in memory.
    pub(super) fn leave(&mut self, end: Option<Place>) {
        self.at = end.unwrap_or(self.at);
    }

    /// Aligns the place of a compound value. Returns the place after it, if it is in memory.
    pub(super) fn begin(&mut self, layout: &Layout) -> Result<Option<Place>, CallError> {
        let Place::Block(block, at) = self.at else {
            return Ok(None);
        };
        // As for lifting.
        self.spend(1)?;
        let at = at.next_multiple_of(layout.align as usize);
        self.at = Place::Block(block, at);
        let end = at.saturating_add(layout.size as usize);
        Ok(Some(Place::Block(block, end)))
    }

    /// Makes room for a pointer, and returns its place.
    fn pointer(&mut self) -> Result<Place, CallError> {
        self.word(0, 4)?;
        Ok(match self.at {
            Place::Flat(_) => Place::Flat(self.lowered.flat.len().saturating_sub(1)),
            Place::Block(block, at) => Place::Block(block, at.saturating_sub(4)),
        })
    }

    /// Adds a block with these bytes, or with `size` zeros if they are fewer, and goes there.
    fn begin_block(
        &mut self,
        bytes: Cow<'v, [u8]>,
        size: u32,
        align: u32,
        pointer: Place,
    ) -> Result<(), CallError> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.take(size)?;
        let bytes = if bytes.len() < size {
            let mut zeros = Vec::new();
            zeros
                .try_reserve_exact(size)
                .map_err(|_| memory::no_room(size))?;
            zeros.resize(size, 0);
            Cow::Owned(zeros)
        } else {
            bytes
        };
        let number = self.lowered.blocks.len();
        self.lowered.blocks.push(Block {
            bytes,
            align,
            pointer,
        });
        self.at = Place::Block(number, 0);
        Ok(())
    }

    /// Counts `bytes` for the guest before they are put together, and charges for writing them.
    fn take(&mut self, bytes: usize) -> Result<(), CallError> {
        let blocks = self.lowered.blocks.len().saturating_mul(BLOCK);
        self.tally.take(bytes, blocks)?;
        self.spend(fuel_for(bytes))
    }

    /// Lowers a list of `len` elements of type `element`, for which `T` stands: `elements` lowers them, one after the
    /// other.
    pub(crate) fn block<T: ComponentType>(
        &mut self,
        element: S::Id,
        len: usize,
        elements: impl FnOnce(&mut Self) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let after = self.begin_list(S::layout::<T>(self.types, element), len)?;
        elements(self)?;
        self.at = after;
        Ok(())
    }

    /// Lowers the pointer and length of a list of `len` elements of this layout, and goes to the first. Returns the place
    /// after the length.
    pub(super) fn begin_list(&mut self, element: &Layout, len: usize) -> Result<Place, CallError> {
        let size = (element.size as usize).saturating_mul(len);
        self.list(Cow::Owned(Vec::new()), size, element.align, len)
    }

    /// Lowers a list whose bytes are known.
    pub(crate) fn bytes(
        &mut self,
        bytes: Cow<'v, [u8]>,
        align: u32,
        len: usize,
    ) -> Result<(), CallError> {
        let size = bytes.len();
        self.at = self.list(bytes, size, align, len)?;
        Ok(())
    }

    /// Lowers the pointer and length of a list, and goes to its elements. Returns the place after the length.
    fn list(
        &mut self,
        bytes: Cow<'v, [u8]>,
        size: usize,
        align: u32,
        len: usize,
    ) -> Result<Place, CallError> {
        let too_long = || CallError::ValueType {
            reason: "a list or string of 4 GiB or more".into(),
        };
        let size = u32::try_from(size).map_err(|_| too_long())?;
        let len = u32::try_from(len).map_err(|_| too_long())?;
        let pointer = self.pointer()?;
        self.word(len, 4)?;
        let after = self.at;
        self.begin_block(bytes, size, align, pointer)?;
        Ok(after)
    }

    /// Lowers a string.
    pub(crate) fn string(&mut self, text: &'v str) -> Result<(), CallError> {
        if self.encoding() == Encoding::Utf8 {
            // Reading it costs as much as writing it.
            self.spend(fuel_for(text.len()))?;
            return self.bytes(Cow::Borrowed(text.as_bytes()), 1, text.len());
        }
        let (bytes, len) = self.converted(text)?;
        self.bytes(Cow::Owned(bytes), 2, len)
    }

    /// Returns the text in the guest's encoding, which is not UTF-8, and the length by which the guest knows it.
    fn converted(&mut self, text: &str) -> Result<(Vec<u8>, usize), CallError> {
        const UTF16: usize = 1 << 31;
        // Three ways through the text: to find the encoding, to measure it, and to convert it.
        self.spend(fuel_for(text.len()).saturating_mul(3))?;
        let latin1 = self.encoding() == Encoding::Latin1OrUtf16;
        let is_latin1 = latin1 && text.chars().all(|letter| u8::try_from(letter).is_ok());
        let units = match is_latin1 {
            true => text.chars().count(),
            false => text.encode_utf16().count(),
        };
        let size = match is_latin1 {
            true => units,
            false => units.saturating_mul(2),
        };
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(size)
            .map_err(|_| memory::no_room(size))?;
        if is_latin1 {
            bytes.extend(text.chars().filter_map(|letter| u8::try_from(letter).ok()));
            return Ok((bytes, units));
        }
        bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        Ok((bytes, if latin1 { units | UTF16 } else { units }))
    }

    /// Lowers a string that is not kept elsewhere.
    pub(crate) fn owned_string(&mut self, text: String) -> Result<(), CallError> {
        if self.encoding() == Encoding::Utf8 {
            self.spend(fuel_for(text.len()))?;
            let len = text.len();
            return self.bytes(Cow::Owned(text.into_bytes()), 1, len);
        }
        let (bytes, len) = self.converted(&text)?;
        self.bytes(Cow::Owned(bytes), 2, len)
    }

    /// Lowers a handle to a resource of type `ty`.
    pub(crate) fn handle(
        &mut self,
        ty: ResourceId,
        resource: &Resource,
        owned: bool,
    ) -> Result<(), CallError> {
        let index = self.handles.give(ty, resource, owned)?;
        self.word(index, 4)
    }
}

/// Returns the core value as one of type `ty`, which is as wide or wider.
fn widened(value: &Val, ty: ValType) -> Val {
    match (value, ty) {
        (Val::F32(value), ValType::I32) => Val::I32(value.to_bits().cast_signed()),
        (Val::F32(value), ValType::I64) => Val::I64(i64::from(value.to_bits())),
        (Val::I32(value), ValType::I64) => Val::I64(i64::from(value.cast_unsigned())),
        (Val::F64(value), ValType::I64) => Val::I64(value.to_bits().cast_signed()),
        (value, _) => value.clone(),
    }
}
