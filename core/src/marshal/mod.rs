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
    abi::shape::{FlatTypes, FlatValues, unsigned},
    call::fuel_for,
    error::CallError,
    memory,
};
use alloc::{borrow::Cow, boxed::Box, string::String};
use core::cell::Cell;
use heapless::Vec;
use wasmi::{Val, ValType};

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

    /// Whether the type is no value at all.
    #[doc(hidden)]
    const NOTHING: bool = false;

    #[doc(hidden)]
    fn types(types: &mut Types);

    #[doc(hidden)]
    fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError>;
}

/// Reads values, in order, and the memory that they point into.
pub struct Lifter<'m> {
    values: &'m [Val],
    memory: Option<&'m [u8]>,
    /// Fuel that may be spent, and what has been: charged by whoever made the lifter.
    fuel: u64,
    spent: &'m Cell<u64>,
    /// For a guest's answer, which the guest may have marked as an error: the most bytes it may
    /// have.
    answer_limit: Option<usize>,
    /// For a host function's argument, the most bytes it may have.
    pub(crate) argument_limit: Option<usize>,
    /// The buffers that an answer came in, to be given back to the guest.
    received: Buffers,
    /// What is read, for messages.
    what: &'static str,
}

/// The bit of a length that marks the bytes as an error message.
pub(crate) const ERROR_BIT: u32 = 1 << 31;

impl<'m> Lifter<'m> {
    pub(crate) fn new(
        values: &'m [Val],
        memory: Option<&'m [u8]>,
        fuel: u64,
        spent: &'m Cell<u64>,
        what: &'static str,
    ) -> Self {
        Self {
            values,
            memory,
            fuel,
            spent,
            answer_limit: None,
            argument_limit: None,
            received: Buffers::new(),
            what,
        }
    }

    /// Reads a guest's answer of at most `limit` bytes for each text or byte string.
    pub(crate) fn answer(self, limit: usize) -> Self {
        Self {
            answer_limit: Some(limit),
            ..self
        }
    }

    /// The buffers that were read, none twice.
    pub(crate) fn into_received(self) -> Buffers {
        self.received
    }

    pub(crate) fn next(&mut self) -> Result<Val, CallError> {
        match self.values.split_first() {
            Some((first, rest)) => {
                self.values = rest;
                Ok(first.clone())
            }
            None => Err(CallError::BadValue {
                expected: "a value",
                found: 0,
            }),
        }
    }

    pub(crate) fn next_u32(&mut self) -> Result<u32, CallError> {
        match self.next()? {
            Val::I32(value) => Ok(unsigned(value)),
            _ => Err(CallError::BadValue {
                expected: "i32",
                found: 0,
            }),
        }
    }

    /// Whether the next two values are those of an absent text or byte string: the pointer is 0,
    /// and it is not an error message.
    pub(crate) fn is_absent(&self) -> bool {
        match self.values {
            [Val::I32(0), Val::I32(len), ..] => {
                self.answer_limit.is_none() || unsigned(*len) & ERROR_BIT == 0
            }
            _ => false,
        }
    }

    /// Passes over the values of a type that is absent.
    pub(crate) fn skip(&mut self, types: impl FnOnce(&mut Types)) -> Result<(), CallError> {
        for _ in Types::collect(types).flat {
            self.next()?;
        }
        Ok(())
    }

    fn spend(&mut self, units: u64) -> Result<(), CallError> {
        let spent = self.spent.get().saturating_add(units);
        self.spent.set(spent);
        // Whoever charges what was spent says how much fuel there was.
        if spent > self.fuel {
            Err(CallError::OutOfFuel { fuel: self.fuel })
        } else {
            Ok(())
        }
    }

    /// The bytes that the next two values describe, charged for being read.
    pub(crate) fn bytes(&mut self) -> Result<&'m [u8], CallError> {
        let (ptr, raw) = (self.next_u32()?, self.next_u32()?);
        let error = self.answer_limit.is_some() && raw & ERROR_BIT != 0;
        let len = if error { raw & !ERROR_BIT } else { raw };
        let memory = self
            .memory
            .ok_or_else(|| CallError::MissingExport { name: "memory" })?;
        let bytes = memory::bytes(memory, ptr, len, self.what)?;
        let size = bytes.len();
        if self.answer_limit.is_some()
            && len > 0
            && !self
                .received
                .iter()
                .any(|other| memory::overlap(*other, (ptr, len)))
        {
            // Where there are more than can be kept, the guest keeps the rest.
            let _ = self.received.push((ptr, len));
        }
        if let Some(limit) = self.answer_limit
            && size > limit
        {
            return Err(CallError::OutputTooLarge { limit, found: size });
        }
        if let Some(limit) = self.argument_limit
            && size > limit
        {
            return Err(CallError::ArgumentTooLarge { limit, found: size });
        }
        self.spend(fuel_for(size))?;
        if error {
            self.spend(fuel_for(size))?;
            let message = alloc::string::String::from_utf8_lossy(bytes);
            return Err(CallError::Guest {
                message: Box::from(message),
            });
        }
        Ok(bytes)
    }

    /// The text that the next two values describe, charged for being read and checked.
    pub(crate) fn text(&mut self) -> Result<&'m str, CallError> {
        let bytes = self.bytes()?;
        self.spend(fuel_for(bytes.len()))?;
        core::str::from_utf8(bytes).map_err(|error| CallError::NotUtf8 {
            what: self.what,
            at: error.valid_up_to(),
        })
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
            self.push(Val::default_for_ty(ty))?;
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
