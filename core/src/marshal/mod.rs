//! Lifting values out of a guest and lowering them into it.
//!
//! | Rust | core values |
//! |---|---|
//! | `i8`…`u32`, `char`, `bool` | i32 |
//! | `i64`, `u64` | i64 |
//! | `f32`, `f64` | f32, f64 |
//! | `&str`, `String`, `&[u8]`, `Vec<u8>` | pointer and length, i32 each |
//! | `Option` of text or bytes | the same; the pointer 0 means `None` |
//! | `Option<T>` otherwise | an i32, 0 for `None` or 1, then `T` |
//! | `Result<T, E>` | an i32, 0 for `Ok` or 1, then `T`, then `E`; zeros for the absent one |
//! | tuples | their parts, one after another |
//! | [`Postcard<T>`](crate::Postcard) | pointer and length of the serialised value |
//!
//! `Result<T, Trap>` is not a value: as a host function's result it is `T`, or stops the guest.

mod bytes;
mod compound;
mod numbers;
#[cfg(feature = "postcard")]
mod postcard;

#[cfg(feature = "postcard")]
pub use self::postcard::Postcard;

use crate::{
    base::signature::ValType,
    base::{
        fuel::{Spending, fuel_for},
        shape::{FlatTypes, FlatValues, unsigned},
    },
    error::CallError,
    memory,
};
use alloc::{borrow::Cow, boxed::Box, string::String};
use core::str::Utf8Error;
use heapless::Vec;
use wasmi::Val;

/// The core types that a Rust type flattens to.
pub struct Types {
    pub(crate) flat: FlatTypes,
    /// Whether more types were pushed than a signature may have.
    pub(crate) overflow: bool,
    /// Whether text or bytes are among them, which need the guest's memory.
    pub(crate) bytes: bool,
}

impl Types {
    pub(crate) fn collect(of: impl FnOnce(&mut Self)) -> Self {
        let mut types = Self {
            flat: FlatTypes::new(),
            overflow: false,
            bytes: false,
        };
        of(&mut types);
        types
    }

    pub(crate) fn push(&mut self, ty: ValType) {
        self.overflow |= self.flat.push(ty).is_err();
    }

    /// Pushes a pointer and a length.
    pub(crate) fn push_bytes(&mut self) {
        self.push(ValType::I32);
        self.push(ValType::I32);
        self.bytes = true;
    }
}

/// How many core values of each type a Rust type flattens to. What is known of a host function when
/// it is compiled decides in which ways it may be linked.
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

    pub(crate) const fn of(ty: ValType) -> Self {
        let mut core = Self::NOTHING;
        match ty {
            ValType::I32 => core.i32s = 1,
            ValType::I64 => core.i64s = 1,
            _ => core.others = 1,
        }
        core
    }

    pub(crate) fn count(types: &[ValType]) -> Self {
        let types = types.iter().map(|ty| Self::of(*ty));
        types.fold(Self::NOTHING, Self::and)
    }

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

/// A value that comes out of a guest: a host function's parameter, an export's result.
///
/// Implemented for the types in the [table](self); not to be implemented elsewhere.
pub trait Lift {
    /// The value itself, which may borrow from the guest's memory.
    type View<'m>;

    /// Whether the type is a pointer and a length, so that the pointer 0 can mean its absence.
    #[doc(hidden)]
    const NULLABLE: bool = false;

    #[doc(hidden)]
    const CORE: FlatCounts;

    /// Whether lifting it reads the guest's memory.
    #[doc(hidden)]
    const READS: bool = Self::NULLABLE;

    #[doc(hidden)]
    fn types(types: &mut Types);

    #[doc(hidden)]
    fn lift<'m>(from: &mut Lifter<'m>) -> Result<Self::View<'m>, CallError>;
}

/// A value that goes into a guest: an export's argument, a host function's result.
///
/// Implemented for the types in the [table](self); not to be implemented elsewhere.
pub trait Lower {
    #[doc(hidden)]
    const NULLABLE: bool = false;

    #[doc(hidden)]
    const CORE: FlatCounts;

    /// The value where the type is one number.
    #[doc(hidden)]
    fn number(&self) -> Option<Val> {
        None
    }

    #[doc(hidden)]
    fn types(types: &mut Types);

    #[doc(hidden)]
    fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError>;
}

/// Reads values, in order, and the memory that they point into.
pub struct Lifter<'m> {
    values: &'m [Val],
    memory: Option<&'m [u8]>,
    spending: Spending<'m>,
    /// The most bytes that a text or byte string may have.
    limit: usize,
    /// Whether the values are a guest's answer, which the guest may have marked as an error.
    answer: bool,
    /// The buffers that an answer came in, to be given back to the guest.
    received: Buffers,
}

/// What is read, for messages.
const ANSWER: &str = "plugin's result";
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
            answer: false,
            received: Buffers::new(),
        }
    }

    /// Reads a guest's answer of at most `limit` bytes for each text or byte string.
    pub(crate) fn answer(self, limit: usize) -> Self {
        Self {
            limit,
            answer: true,
            ..self
        }
    }

    /// Reads a host function's arguments of at most `limit` bytes for each text or byte string.
    #[inline]
    pub(crate) fn arguments(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The buffers that were read, none twice.
    pub(crate) fn into_received(self) -> Buffers {
        self.received
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Option<&'m Val> {
        let (first, rest) = self.values.split_first()?;
        self.values = rest;
        Some(first)
    }

    /// Whether the next two values are those of an absent text or byte string: the pointer is 0,
    /// and it is not an error message.
    pub(crate) fn is_absent(&self) -> bool {
        match self.values {
            [Val::I32(0), Val::I32(len), ..] => !self.answer || unsigned(*len) & ERROR_BIT == 0,
            _ => false,
        }
    }

    /// Passes over the values of a type that is absent.
    pub(crate) fn skip(&mut self, types: impl FnOnce(&mut Types)) -> Result<(), CallError> {
        let values = Types::collect(types).flat.len();
        let rest = self.values.get(values..);
        self.values = rest.ok_or_else(|| mistyped("a value"))?;
        Ok(())
    }

    /// The bytes that the next two values describe, charged for being read.
    ///
    /// Compiled into each host function, where the lifter then is no value in memory: that takes
    /// little more than half of the instructions.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> Result<&'m [u8], CallError> {
        let [Val::I32(ptr), Val::I32(len), rest @ ..] = self.values else {
            return Err(mistyped("i32"));
        };
        self.values = rest;
        let (ptr, len) = (unsigned(*ptr), unsigned(*len));
        if self.answer {
            return self.answered(ptr, len);
        }
        let memory = self.memory.ok_or_else(no_memory)?;
        if let Some(bytes) = memory::find(memory, ptr, len)
            && bytes.len() <= self.limit
        {
            self.charge(fuel_for(bytes.len()))?;
            return Ok(bytes);
        }
        Err(refused(memory, ptr, len, self.limit))
    }

    /// The same of an answer. Its buffer is noted, and its text may be an error's.
    #[inline(never)]
    fn answered(&mut self, ptr: u32, raw: u32) -> Result<&'m [u8], CallError> {
        let (error, len) = (raw & ERROR_BIT != 0, raw & !ERROR_BIT);
        let memory = self.memory.ok_or_else(no_memory)?;
        let bytes = memory::bytes(memory, ptr, len, ANSWER)?;
        let known = |other: &(u32, u32)| memory::overlap(*other, (ptr, len));
        if len > 0 && !self.received.iter().any(known) {
            // Where there are more than can be kept, the guest keeps the rest.
            let _ = self.received.push((ptr, len));
        }
        let (limit, found) = (self.limit, bytes.len());
        if found > limit {
            return Err(CallError::OutputTooLarge { limit, found });
        }
        self.charge(fuel_for(found))?;
        if error {
            self.charge(fuel_for(found))?;
            let message = String::from_utf8_lossy(bytes);
            return Err(CallError::Guest {
                message: Box::from(message),
            });
        }
        Ok(bytes)
    }

    /// The text that the next two values describe, charged for being read and checked.
    #[inline(always)]
    pub(crate) fn text(&mut self) -> Result<&'m str, CallError> {
        let bytes = self.bytes()?;
        self.charge(fuel_for(bytes.len()))?;
        core::str::from_utf8(bytes).map_err(|error| not_utf8(self.answer, error))
    }

    /// Charges for work on what was read.
    #[inline(always)]
    pub(crate) fn charge(&mut self, units: u64) -> Result<(), CallError> {
        Ok(self.spending.spend(units)?)
    }
}

/// A value of another type than the signature promised, which was checked.
#[cold]
pub(crate) const fn mistyped(expected: &'static str) -> CallError {
    CallError::BadValue { expected, found: 0 }
}

#[cold]
const fn no_memory() -> CallError {
    CallError::MissingExport { name: "memory" }
}

/// Why a host function's argument can't be read.
#[cold]
#[inline(never)]
fn refused(memory: &[u8], ptr: u32, len: u32, limit: usize) -> CallError {
    match memory::bytes(memory, ptr, len, ARGUMENT).map(<[u8]>::len) {
        Ok(found) => CallError::ArgumentTooLarge { limit, found },
        Err(error) => error,
    }
}

#[cold]
#[inline(never)]
const fn not_utf8(answer: bool, error: Utf8Error) -> CallError {
    CallError::NotUtf8 {
        what: if answer { ANSWER } else { ARGUMENT },
        at: error.valid_up_to(),
    }
}

/// Collects what goes into a guest: core values, and texts and byte strings that still need
/// buffers there.
#[derive(Default)]
pub struct Lowerer<'v> {
    pub(crate) values: FlatValues,
    /// Each with the index of its pointer among the values; its length comes after.
    pub(crate) bytes: Vec<(usize, Cow<'v, [u8]>), MAX_BYTES>,
}

/// Most texts and byte strings that go into a guest at once.
pub(crate) const MAX_BYTES: usize = 8;

/// Buffers that the host got from a guest: pointer and size.
pub(crate) type Buffers = Vec<(u32, u32), MAX_BYTES>;

impl<'v> Lowerer<'v> {
    pub(crate) fn push(&mut self, value: Val) -> Result<(), CallError> {
        self.values.push(value).map_err(|_| CallError::BadValue {
            expected: "at most 16 core values",
            found: 17,
        })
    }

    /// The values of a type that is absent: zeros.
    pub(crate) fn zeros(&mut self, types: impl FnOnce(&mut Types)) -> Result<(), CallError> {
        for ty in Types::collect(types).flat {
            self.push(ty.zero())?;
        }
        Ok(())
    }

    pub(crate) fn bytes(&mut self, bytes: impl Into<Cow<'v, [u8]>>) -> Result<(), CallError> {
        let bytes = bytes.into();
        let asked = bytes.len();
        let len = u32::try_from(asked).map_err(|_| CallError::NoMemory { asked })?;
        let pointer = self.values.len();
        self.push(Val::I32(0))?;
        self.push(Val::I32(len.cast_signed()))?;
        self.bytes
            .push((pointer, bytes))
            .map_err(|_| CallError::BadValue {
                expected: "at most 8 texts or byte strings",
                found: 9,
            })
    }

    /// The same with bytes of its own.
    pub(crate) fn into_owned(self) -> Lowerer<'static> {
        let bytes = self.bytes.into_iter();
        Lowerer {
            values: self.values,
            bytes: bytes
                .map(|(at, bytes)| (at, Cow::Owned(bytes.into_owned())))
                .collect(),
        }
    }

    /// An error message in the place of bytes.
    pub(crate) fn error(&mut self, message: String) -> Result<(), CallError> {
        self.bytes(message.into_bytes())?;
        if let Some(Val::I32(len)) = self.values.last_mut() {
            *len |= ERROR_BIT.cast_signed();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn counted(types: impl FnOnce(&mut Types)) -> FlatCounts {
        FlatCounts::count(&Types::collect(types).flat)
    }

    #[test]
    fn what_is_known_when_compiled_are_the_types() {
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
