//! Lifts values out of a guest and lowers them into it.
//!
//! | Rust | core values |
//! |---|---|
//! | `i8`…`u32`, `char`, `bool` | i32 |
//! | `i64`, `u64` | i64 |
//! | `f32`, `f64` | f32, f64 |
//! | `&str`, `String`, `&[u8]`, `Vec<u8>` | pointer and length, i32 each |
//! | `Option` of text or bytes | pointer and length; the pointer is 0 for `None` |
//! | `Option<T>` otherwise | an i32, 0 for `None` or 1 for `Some`, then `T` or zeros |
//! | `Result<T, E>` | an i32, 0 for `Ok` or 1 for `Err`, then `T`, then `E`; zeros for the absent one |
//! | tuples | their parts in order |
//! | `Postcard<T>`, with the feature `postcard` | pointer and length of the serialised value |
//!
//! Parameters, and results, flatten to 16 core values at most. A host function returns, and a caller
//! passes, 8 texts or byte strings at most.
//!
//! `Result<T, Trap>` is not a value but a host function's result: `T`, or a trap that stops the
//! guest.

mod bytes;
mod compound;
#[cfg(feature = "postcard")]
pub(crate) mod counted;
pub(crate) mod interrupts;
mod lowerer;
mod numbers;
#[cfg(feature = "postcard")]
mod postcard;

pub use self::lowerer::Lowerer;
pub(crate) use self::lowerer::{Buffers, MAX_BYTES};
#[cfg(feature = "postcard")]
pub use self::postcard::Postcard;

use crate::{
    base::signature::ValType,
    base::{
        fuel::{Spending, fuel_for},
        limits::Budget,
        shape::{FlatTypes, unsigned},
    },
    error::CallError,
    memory,
};
use alloc::string::String;
#[cfg(feature = "postcard")]
use core::cell::Cell;
use wasmi::Val;

/// The core types to which a Rust type flattens.
#[doc(hidden)]
pub struct Types {
    pub(crate) flat: FlatTypes,
    /// Whether more types were pushed than a signature may have.
    pub(crate) overflow: bool,
    /// Which of them begin text or bytes, as bits.
    #[cfg(feature = "trace")]
    pub(crate) texts: u32,
    /// Whether text or bytes are among them. They need the guest's memory.
    pub(crate) bytes: bool,
    /// Whether each type fits, by what the module declares.
    pub(crate) any: bool,
}

impl Types {
    /// Returns the types of a function that fits each declaration.
    pub(crate) fn of_any() -> Self {
        Self {
            any: true,
            ..Self::collect(|_| {})
        }
    }

    /// Returns the types that `of` pushes.
    pub(crate) fn collect(of: impl FnOnce(&mut Self)) -> Self {
        let mut types = Self {
            flat: FlatTypes::new(),
            overflow: false,
            #[cfg(feature = "trace")]
            texts: 0,
            bytes: false,
            any: false,
        };
        of(&mut types);
        types
    }

    /// Pushes a type, or notes that there are too many.
    pub(crate) fn push(&mut self, ty: ValType) {
        self.overflow |= self.flat.push(ty).is_err();
    }

    /// Pushes a pointer and a length.
    pub(crate) fn push_bytes(&mut self) {
        #[cfg(feature = "trace")]
        if let Ok(at) = u32::try_from(self.flat.len()) {
            self.texts |= 1_u32.checked_shl(at).unwrap_or(0);
        }
        self.push(ValType::I32);
        self.push(ValType::I32);
        self.bytes = true;
    }
}

/// The numbers of core values of each type to which a Rust type flattens. Known when the host
/// function is compiled, so that only the code for its signature is linked.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FlatCounts {
    pub(crate) i32s: usize,
    pub(crate) i64s: usize,
    pub(crate) others: usize,
}

impl FlatCounts {
    pub(crate) const NOTHING: Self = Self {
        i32s: 0,
        i64s: 0,
        others: 0,
    };

    /// A pointer and a length.
    pub(crate) const BYTES: Self = Self {
        i32s: 2,
        ..Self::NOTHING
    };

    /// Returns the counts of one value of type `ty`.
    pub(crate) const fn of(ty: ValType) -> Self {
        let mut core = Self::NOTHING;
        match ty {
            ValType::I32 => core.i32s = 1,
            ValType::I64 => core.i64s = 1,
            _ => core.others = 1,
        }
        core
    }

    /// Returns the counts of `types`.
    pub(crate) const fn count(mut types: &[ValType]) -> Self {
        let mut counts = Self::NOTHING;
        while let Some((ty, rest)) = types.split_first() {
            counts = counts.and(Self::of(*ty));
            types = rest;
        }
        counts
    }

    /// Returns the sum of both counts.
    pub(crate) const fn and(self, more: Self) -> Self {
        Self {
            i32s: self.i32s.saturating_add(more.i32s),
            i64s: self.i64s.saturating_add(more.i64s),
            others: self.others.saturating_add(more.others),
        }
    }

    pub(crate) const fn is_nothing(self) -> bool {
        self.i32s == 0 && self.i64s == 0 && self.others == 0
    }
}

/// A value that comes out of a guest: a host function's parameter or an export's result.
///
/// Implemented for the types in the [table](self). Don't implement it for others: its items are
/// private to hostel and may change.
pub trait Lift {
    /// The Rust value. It may borrow from the guest's memory: `&str` and `&[u8]` are read without a
    /// copy.
    type View<'m>;

    /// Whether the type is a pointer and a length, so that the pointer 0 can mean `None`.
    #[doc(hidden)]
    const NULLABLE: bool = false;

    #[doc(hidden)]
    const CORE: FlatCounts;

    /// Whether lifting reads the guest's memory.
    #[doc(hidden)]
    const READS: bool = Self::NULLABLE;

    #[doc(hidden)]
    fn types(types: &mut Types);

    #[doc(hidden)]
    fn lift<'m>(from: &mut Lifter<'m>) -> Result<Self::View<'m>, CallError>;
}

/// A value that goes into a guest: an export's argument or a host function's result.
///
/// Implemented for the types in the [table](self). Don't implement it for others: its items are
/// private to hostel and may change.
pub trait Lower {
    #[doc(hidden)]
    const NULLABLE: bool = false;

    #[doc(hidden)]
    const CORE: FlatCounts;

    /// Returns the core value, if the type is one number.
    #[doc(hidden)]
    fn number(&self) -> Option<Val> {
        None
    }

    #[doc(hidden)]
    fn types(types: &mut Types);

    #[doc(hidden)]
    fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError>;
}

/// The call whose results are lifted.
#[derive(Clone, Copy)]
pub(crate) struct AnsweredCall<'a> {
    pub(crate) budget: &'a Budget,
    /// Fails if the call was cancelled or has passed its deadline.
    pub(crate) check: &'a dyn Fn() -> Result<(), CallError>,
}

/// Reads core values in order, and the memory to which they point.
#[doc(hidden)]
pub struct Lifter<'m> {
    values: &'m [Val],
    memory: Option<&'m [u8]>,
    spending: Spending<'m>,
    /// Most bytes of a host function's text or byte string, or of all that an export returns.
    limit: usize,
    /// The call, if the values are an export's results. The guest may have marked those as an error.
    answers: Option<AnsweredCall<'m>>,
    /// Bytes so far of the export's results, or of the arguments that are copied.
    copied: usize,
    /// The buffers of an export's results, which the host gives back to the guest.
    received: Buffers,
    /// Bounds of serialised values.
    #[cfg(feature = "postcard")]
    deserializing: Option<counted::Bounds<'m>>,
    /// Bytes of heap that serialised values took so far.
    #[cfg(feature = "postcard")]
    deserialized: Cell<usize>,
}

/// The values that are read, for messages.
const RESULT: &str = "plugin's result";
const ARGUMENT: &str = "host function's argument";

/// The bit of a length that marks the bytes as an error message.
pub(crate) const ERROR_BIT: u32 = 1 << 31;

impl<'m> Lifter<'m> {
    #[inline]
    pub(crate) fn new(values: &'m [Val], memory: Option<&'m [u8]>, spending: Spending<'m>) -> Self {
        Self {
            values,
            memory,
            spending,
            limit: usize::MAX,
            answers: None,
            copied: 0,
            received: Buffers::new(),
            #[cfg(feature = "postcard")]
            deserializing: None,
            #[cfg(feature = "postcard")]
            deserialized: Cell::new(0),
        }
    }

    /// Bounds serialised values.
    #[cfg(feature = "postcard")]
    #[inline]
    pub(crate) fn deserializing(self, bounds: counted::Bounds<'m>) -> Self {
        Self {
            deserializing: Some(bounds),
            ..self
        }
    }

    /// Returns the tally for a serialised value; `None` if there are no bounds for it.
    #[cfg(feature = "postcard")]
    fn tally(&self) -> Option<counted::Tally<'_>> {
        let bounds = self.deserializing?;
        Some(counted::Tally::new(
            self.spending,
            bounds,
            &self.deserialized,
        ))
    }

    /// Expects the results of `call`.
    pub(crate) fn answer(self, call: AnsweredCall<'m>) -> Self {
        Self {
            limit: call.budget.output_bytes,
            answers: Some(call),
            ..self
        }
    }

    /// Expects a host function's arguments, with at most `limit` bytes for each text or byte string.
    #[inline]
    pub(crate) fn arguments(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Returns the buffers that were read, without overlaps: giving one back twice would corrupt the
    /// guest's heap.
    pub(crate) fn into_received(self) -> Buffers {
        self.received
    }

    /// Returns the next core value.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<&'m Val> {
        let (first, rest) = self.values.split_first()?;
        self.values = rest;
        Some(first)
    }

    /// Returns whether the next two values are an absent text or byte string: the pointer is 0, and
    /// it is not an error message.
    pub(crate) fn is_absent(&self) -> bool {
        match self.values {
            [Val::I32(0), Val::I32(len), ..] => {
                self.answers.is_none() || unsigned(*len) & ERROR_BIT == 0
            }
            _ => false,
        }
    }

    /// Skips the core values of an absent value.
    pub(crate) fn skip(&mut self, types: impl FnOnce(&mut Types)) -> Result<(), CallError> {
        let values = Types::collect(types).flat.len();
        let rest = self.values.get(values..);
        self.values = rest.ok_or_else(|| mistyped("a value"))?;
        Ok(())
    }

    /// Returns the bytes that the next two values describe, and charges for reading them.
    ///
    /// Inlined into each host function: the lifter then stays in registers, which takes little more
    /// than half of the instructions.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> Result<&'m [u8], CallError> {
        let [Val::I32(ptr), Val::I32(len), rest @ ..] = self.values else {
            return Err(mistyped("i32"));
        };
        self.values = rest;
        let (ptr, len) = (unsigned(*ptr), unsigned(*len));
        if let Some(call) = self.answers {
            return self.result_bytes(call.budget, ptr, len);
        }
        let memory = self.memory.ok_or_else(no_memory)?;
        if let Some(bytes) = memory::find(memory, ptr, len)
            && bytes.len() <= self.limit
        {
            self.charge(fuel_for(bytes.len()))?;
            return Ok(bytes);
        }
        Err(unreadable(memory, ptr, len, self.limit))
    }

    /// Returns the bytes of an export's result and notes their buffer. Fails if the guest marked them
    /// as an error message.
    #[inline(never)]
    fn result_bytes(&mut self, budget: &Budget, ptr: u32, raw: u32) -> Result<&'m [u8], CallError> {
        let (is_error, len) = (raw & ERROR_BIT != 0, raw & !ERROR_BIT);
        let memory = self.memory.ok_or_else(no_memory)?;
        let bytes = memory::bytes(memory, ptr, len, RESULT)?;
        let known = |other: &(u32, u32)| memory::overlap(*other, (ptr, len));
        if len > 0 && !self.received.iter().any(known) {
            // Buffers beyond the first eight are not given back: they only cost the guest memory.
            let _ = self.received.push((ptr, len));
        }
        // Summed, since a guest may return one buffer several times, and each is copied.
        self.copied = self.copied.saturating_add(bytes.len());
        let (limit, found) = (self.limit, self.copied);
        if found > limit {
            return Err(CallError::OutputTooLarge { limit, found });
        }
        if is_error {
            return Err(self.guest_error(budget, bytes)?);
        }
        self.charge(fuel_for(bytes.len()))?;
        Ok(bytes)
    }

    /// Copies the message of an error that the guest returned, and charges for it: as for text, and if
    /// it is not UTF-8, 1 unit for each byte too.
    #[cold]
    fn guest_error(&mut self, budget: &Budget, bytes: &[u8]) -> Result<CallError, CallError> {
        let limit = budget.error_bytes;
        let within = |found| match found > limit {
            true => Err(CallError::ErrorTooLarge { limit, found }),
            false => Ok(found),
        };
        // Before the text is looked at. Replacing invalid UTF-8 never makes it shorter.
        let mut needed = within(bytes.len())?;
        let pass = fuel_for(needed);
        self.charge(pass.saturating_add(pass))?;
        if core::str::from_utf8(bytes).is_err() {
            self.charge(needed as u64)?;
            needed = within(replaced(bytes).map(str::len).sum())?;
        }
        let mut message = String::new();
        let reserved = message.try_reserve_exact(needed);
        reserved.map_err(|_| memory::no_room(needed))?;
        message.extend(replaced(bytes));
        Ok(CallError::Guest {
            message: message.into(),
        })
    }

    /// Returns the text that the next two values describe, and charges for reading and checking it.
    #[inline(always)]
    pub(crate) fn text(&mut self) -> Result<&'m str, CallError> {
        let bytes = self.bytes()?;
        self.charge(fuel_for(bytes.len()))?;
        core::str::from_utf8(bytes)
            .map_err(|error| not_utf8(self.answers.is_some(), error.valid_up_to()))
    }

    /// Copies the text that the next two values describe, and charges for reading and checking it.
    ///
    /// Text that is not ASCII takes long to check: some tens of milliseconds for 16 MiB. So it is
    /// copied in pieces, with a look at the deadline before each.
    #[inline(never)]
    pub(crate) fn string(&mut self) -> Result<String, CallError> {
        let bytes = self.bytes()?;
        self.charge(fuel_for(bytes.len()))?;
        self.count_copy(bytes.len())?;
        let mut text = String::new();
        let reserved = text.try_reserve_exact(bytes.len());
        reserved.map_err(|_| memory::no_room(bytes.len()))?;
        let mut rest = bytes;
        while !rest.is_empty() {
            if let Some(call) = self.answers {
                (call.check)()?;
            }
            let (piece, after) = rest.split_at(whole_characters(rest, PIECE));
            let piece = core::str::from_utf8(piece).map_err(|error| {
                let at = text.len().saturating_add(error.valid_up_to());
                not_utf8(self.answers.is_some(), at)
            })?;
            text.push_str(piece);
            rest = after;
        }
        Ok(text)
    }

    /// Copies the bytes that the next two values describe, and charges for reading them.
    #[inline(never)]
    pub(crate) fn vec(&mut self) -> Result<alloc::vec::Vec<u8>, CallError> {
        let bytes = self.bytes()?;
        self.count_copy(bytes.len())?;
        memory::copied(bytes)
    }

    /// Counts a copy of an argument. A guest may pass one text several times, and each copy takes heap.
    fn count_copy(&mut self, bytes: usize) -> Result<(), CallError> {
        if self.answers.is_some() {
            // Results are counted as they are read.
            return Ok(());
        }
        self.copied = self.copied.saturating_add(bytes);
        let (limit, found) = (self.limit, self.copied);
        if found > limit {
            return Err(CallError::ArgumentTooLarge { limit, found });
        }
        Ok(())
    }

    /// Charges `units` for work on the bytes that were read. Call it before the work.
    #[inline(always)]
    pub(crate) fn charge(&mut self, units: u64) -> Result<(), CallError> {
        Ok(self.spending.spend(units)?)
    }
}

/// Returns the pieces of `bytes` as text, in order, each invalid sequence replaced by U+FFFD.
fn replaced(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let replacement = match chunk.invalid() {
            [] => "",
            _ => "\u{fffd}",
        };
        [chunk.valid(), replacement]
    })
}

/// Returns the error for a value of another type than its signature has. Signatures are checked
/// before, so it is a fault of hostel's.
#[cold]
pub(crate) const fn mistyped(expected: &'static str) -> CallError {
    CallError::BadValue { expected, found: 0 }
}

/// Returns the error that the guest exports no memory.
#[cold]
const fn no_memory() -> CallError {
    CallError::MissingExport { name: "memory" }
}

/// Returns the reason why a host function's argument can't be read: outside the memory or too long.
#[cold]
#[inline(never)]
fn unreadable(memory: &[u8], ptr: u32, len: u32, limit: usize) -> CallError {
    match memory::bytes(memory, ptr, len, ARGUMENT).map(<[u8]>::len) {
        Ok(found) => CallError::ArgumentTooLarge { limit, found },
        Err(error) => error,
    }
}

/// Returns the error for text that is not UTF-8 from byte `at`.
#[cold]
#[inline(never)]
const fn not_utf8(is_result: bool, at: usize) -> CallError {
    CallError::NotUtf8 {
        what: if is_result { RESULT } else { ARGUMENT },
        at,
    }
}

/// Most bytes of text that are checked between two looks at the deadline: a fraction of a millisecond.
const PIECE: usize = 64 << 10;

/// Returns the length of the first at most `most` bytes of `text` that do not cut a character.
fn whole_characters(text: &[u8], most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    let begins = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xc0 != 0x80);
    let mut ends = (most.saturating_sub(3)..=most).rev();
    // Four bytes without a character's first byte are not UTF-8: cut anywhere.
    ends.find(begins).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn counted(types: impl FnOnce(&mut Types)) -> FlatCounts {
        FlatCounts::count(&Types::collect(types).flat)
    }

    #[test]
    fn pieces_of_text_end_between_characters() {
        for (text, most, length) in [
            ("", 4, 0),
            ("abc", 4, 3),
            ("abcdef", 4, 4),
            ("abc\u{e9}", 4, 3),
            ("ab\u{e9}f", 4, 4),
            ("a\u{1f600}", 4, 1),
            ("\u{1f600}a", 4, 4),
        ] {
            assert_eq!(whole_characters(text.as_bytes(), most), length, "{text}");
        }
        assert_eq!(whole_characters(&[0x80; 9], 4), 4);
    }

    #[test]
    fn the_counts_known_at_compile_time_are_those_of_the_types() {
        macro_rules! same {
            ($($type:ty),*) => {$(
                let (lift, lower) = (<$type as Lift>::CORE, <$type as Lower>::CORE);
                assert!(lift == counted(<$type as Lift>::types), stringify!($type));
                assert!(lower == counted(<$type as Lower>::types), stringify!($type));
            )*};
        }
        same! {
            (), u8, i32, u32, i64, u64, f32, f64, bool, char, (u32, u64), (f64, (i32,)),
            &str, String, &[u8], Vec<u8>, Option<u64>, Option<&str>, Option<Option<&str>>,
            Result<u32, String>, (Option<u8>, Result<f32, ()>)
        }
    }
}
