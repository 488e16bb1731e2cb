//! The shapes in which compilers return several values.
//!
//! A Rust signature flattens to core values: a number to itself, text and bytes to a pointer and
//! a length, both i32. Compilers return several core values in one of three shapes. The signature
//! that a module declares tells which.

use super::signature::{Signature, ValType};
use alloc::string::String;
use core::fmt::Write as _;
use heapless::Vec;
use wasmi::Val;

/// Most core values to which the parameters or the results of a signature may flatten.
pub(crate) const MAX_FLAT: usize = 16;

/// The core types of a parameter or result list.
pub(crate) type FlatTypes = Vec<ValType, MAX_FLAT>;

/// The core values of a parameter or result list.
pub(crate) type FlatValues = Vec<Val, MAX_FLAT>;

/// A shape of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// WebAssembly results: none, one or several.
    Values,
    /// Two i32 in one i64, the first in the upper half.
    Packed,
    /// A C struct in memory, at a pointer that is the first parameter.
    Pointer,
}

impl Shape {
    /// Returns the shape by which a function of type `found` takes `params` and returns `results`.
    /// `None` if no shape fits.
    pub(crate) fn find(
        params: &[ValType],
        results: &[ValType],
        found: (&[ValType], &[ValType]),
    ) -> Option<Self> {
        [Self::Values, Self::Packed, Self::Pointer]
            .into_iter()
            .find(|shape| shape.fits(params, results, found))
    }

    fn fits(
        self,
        params: &[ValType],
        results: &[ValType],
        found: (&[ValType], &[ValType]),
    ) -> bool {
        match self {
            Self::Values => found == (params, results),
            Self::Packed => {
                found == (params, &[ValType::I64]) && results == [ValType::I32, ValType::I32]
            }
            Self::Pointer => {
                results.len() > 1
                    && found.1.is_empty()
                    && found.0.split_first() == Some((&ValType::I32, params))
            }
        }
    }

    /// Lists the signatures of all shapes for `params` and `results`, for a message.
    pub(crate) fn expected(params: &[ValType], results: &[ValType]) -> String {
        let mut with_pointer = alloc::vec![ValType::I32];
        with_pointer.extend_from_slice(params);
        let mut types = alloc::vec![(params, results)];
        if results == [ValType::I32, ValType::I32] {
            types.push((params, &[ValType::I64]));
        }
        if results.len() > 1 {
            types.push((&with_pointer, &[]));
        }
        one_of(&types)
    }
}

/// Lists the signatures `types` as alternatives, for a message.
pub(crate) fn one_of(types: &[(&[ValType], &[ValType])]) -> String {
    let mut text = String::new();
    for (params, results) in types {
        if !text.is_empty() {
            text.push_str(" or ");
        }
        // Writing to a `String` can't fail.
        let _ = write!(text, "{}", Signature::new(params, results));
    }
    text
}

/// Packs two i32 into one i64, `first` in the upper half.
pub(crate) const fn pack(first: u32, second: u32) -> u64 {
    ((first as u64) << 32) | second as u64
}

/// Splits a packed i64 into its upper and its lower half.
#[allow(clippy::cast_possible_truncation)] // truncation is what cuts out each half
pub(crate) const fn unpack(packed: u64) -> (u32, u32) {
    ((packed >> 32) as u32, packed as u32)
}

/// Reinterprets an i32 as a pointer or length.
pub(crate) const fn unsigned(value: i32) -> u32 {
    value.cast_unsigned()
}

/// Reads and writes the fields of a C struct in memory, one after another.
pub(crate) struct Record {
    at: u32,
}

impl Record {
    pub(crate) const fn new() -> Self {
        Self { at: 0 }
    }

    /// Returns the size of a record with fields of `types`, in bytes, without padding at its end.
    pub(crate) fn size(types: &[ValType]) -> u32 {
        let mut record = Self::new();
        for ty in types {
            record.place(*ty);
        }
        record.at
    }

    /// Returns the offset and size of the next field, and moves past it.
    fn place(&mut self, ty: ValType) -> (u32, u32) {
        let size: u32 = match ty {
            ValType::I64 | ValType::F64 => 8,
            _ => 4,
        };
        let at = self.at.next_multiple_of(size);
        self.at = at.saturating_add(size);
        (at, size)
    }

    /// Returns the bytes of the next field, of type `ty`. `None` past the end of `bytes`.
    fn field<const N: usize>(&mut self, bytes: &[u8], ty: ValType) -> Option<[u8; N]> {
        let (at, _) = self.place(ty);
        let field = bytes.get(usize::try_from(at).ok()?..)?;
        field.first_chunk::<N>().copied()
    }

    /// Reads the next field, of type `ty`. `None` past the end of `bytes`, or if `ty` has no layout
    /// in memory.
    pub(crate) fn read(&mut self, bytes: &[u8], ty: ValType) -> Option<Val> {
        Some(match ty {
            ValType::I32 => Val::I32(i32::from_le_bytes(self.field(bytes, ty)?)),
            ValType::I64 => Val::I64(i64::from_le_bytes(self.field(bytes, ty)?)),
            ValType::F32 => Val::F32(wasmi::F32::from_bits(u32::from_le_bytes(
                self.field(bytes, ty)?,
            ))),
            ValType::F64 => Val::F64(wasmi::F64::from_bits(u64::from_le_bytes(
                self.field(bytes, ty)?,
            ))),
            _ => return None,
        })
    }

    /// Writes the next field. `None` past the end of `bytes`, or if the value's type has no layout in
    /// memory.
    pub(crate) fn write(&mut self, bytes: &mut [u8], value: &Val) -> Option<()> {
        let (at, _) = self.place(ValType::of_wasmi(value.ty()));
        let field = bytes.get_mut(usize::try_from(at).ok()?..)?;
        match value {
            Val::I32(value) => *field.first_chunk_mut()? = value.to_le_bytes(),
            Val::I64(value) => *field.first_chunk_mut()? = value.to_le_bytes(),
            Val::F32(value) => *field.first_chunk_mut()? = value.to_bits().to_le_bytes(),
            Val::F64(value) => *field.first_chunk_mut()? = value.to_bits().to_le_bytes(),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use ValType::{F64, I32, I64};

    #[test]
    fn the_declared_signature_decides_the_shape() {
        let find = |found: (&[ValType], &[ValType])| Shape::find(&[I32, I32], &[I32, I32], found);
        assert_eq!(find((&[I32, I32], &[I32, I32])), Some(Shape::Values));
        assert_eq!(find((&[I32, I32], &[I64])), Some(Shape::Packed));
        assert_eq!(find((&[I32, I32, I32], &[])), Some(Shape::Pointer));
        assert_eq!(find((&[I32, I32], &[I32])), None);
        assert_eq!(find((&[I64, I32], &[I64])), None);
        assert_eq!(find((&[I32, I32], &[])), None);
        // A single value comes as a WebAssembly result only.
        assert_eq!(Shape::find(&[], &[I32], (&[], &[I64])), None);
        assert_eq!(Shape::find(&[], &[I32], (&[I32], &[])), None);
    }

    #[test]
    fn packing_keeps_every_bit() {
        for (first, second) in [
            (0, 0),
            (1, u32::MAX),
            (u32::MAX, 1),
            (0x8000_0000, 0x7fff_ffff),
        ] {
            assert_eq!(unpack(pack(first, second)), (first, second));
        }
    }

    #[test]
    fn records_are_laid_out_like_c_structs() {
        assert_eq!(Record::size(&[I32, F64, I32]), 20);
        let mut bytes = [0u8; 20];
        let mut record = Record::new();
        for value in [Val::I32(-1), Val::F64(1.5.into()), Val::I32(7)] {
            record.write(&mut bytes, &value).unwrap();
        }
        assert_eq!(bytes[8..16], 1.5f64.to_le_bytes());
        let mut record = Record::new();
        assert_eq!(record.read(&bytes, I32).unwrap().i32(), Some(-1));
        assert_eq!(record.read(&bytes, F64).unwrap().f64(), Some(1.5.into()));
        assert_eq!(record.read(&bytes, I32).unwrap().i32(), Some(7));
        assert!(record.read(&bytes, I32).is_none());
    }
}
