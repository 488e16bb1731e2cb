//! Copies values from one guest for another, without Rust values in between.

use super::{
    Lifting, Lowering, Value, other_type,
    types::{Type, TypeId},
};
use crate::error::CallError;
use alloc::borrow::Cow;

/// Copies the next value, which is of type `ty` in the guest that it comes from, and of type `other` in the one
/// that it goes to. The types differ in their resources at most.
pub(super) fn transfer(
    ty: TypeId,
    other: TypeId,
    from: &mut Lifting<'_>,
    to: &mut Lowering<'_, '_>,
) -> Result<(), CallError> {
    let types = from.types();
    match (types.get(ty), types.get(other)) {
        (Type::Bool, Type::Bool) => to.word(from.bool()?.into(), 1),
        (Type::S8, Type::S8) => to.word(i32::from(from.u8()?.cast_signed()).cast_unsigned(), 1),
        (Type::U8, Type::U8) => to.word(from.u8()?.into(), 1),
        (Type::S16, Type::S16) => to.word(i32::from(from.u16()?.cast_signed()).cast_unsigned(), 2),
        (Type::U16, Type::U16) => to.word(from.u16()?.into(), 2),
        (Type::S32, Type::S32) | (Type::U32, Type::U32) => to.word(from.u32()?, 4),
        (Type::S64, Type::S64) | (Type::U64, Type::U64) => to.long(from.u64()?),
        (Type::F32, Type::F32) => to.float(from.u32()?),
        (Type::F64, Type::F64) => to.double(from.f64()?),
        (Type::Char, Type::Char) => to.word(from.char()?.into(), 4),
        (Type::String, Type::String) => {
            let text = from.string()?;
            to.owned_string(text)
        }
        (Type::List(one), Type::List(other)) => list(*one, *other, from, to),
        (Type::FixedList(one, len), Type::FixedList(other_one, _)) => {
            from.parts::<Value, _>(ty, |from| {
                to.parts::<Value>(other, |to| {
                    (0..*len).try_for_each(|_| transfer(*one, *other_one, from, to))
                })
            })
        }
        (Type::Record(fields), Type::Record(others)) => from.parts::<Value, _>(ty, |from| {
            to.parts::<Value>(other, |to| {
                let mut pairs = fields.iter().zip(others);
                pairs.try_for_each(|((_, one), (_, other))| transfer(*one, *other, from, to))
            })
        }),
        (Type::Tuple(parts), Type::Tuple(others)) => from.parts::<Value, _>(ty, |from| {
            to.parts::<Value>(other, |to| {
                let mut pairs = parts.iter().zip(others);
                pairs.try_for_each(|(one, other)| transfer(*one, *other, from, to))
            })
        }),
        (Type::Variant(cases), Type::Variant(others)) => {
            from.variant::<Value, _>(ty, |from, case| {
                let (one, other_one) = (cases.get(case), others.get(case));
                let payloads = one.zip(other_one).ok_or_else(other_type)?;
                let ((_, one), (_, other_one)) = payloads;
                to.variant::<Value>(other, case, |to| payload(*one, *other_one, from, to))
            })
        }
        (Type::Enum(cases), Type::Enum(_)) => {
            let case = from.discriminant(cases.len())?;
            to.discriminant(case, cases.len())
        }
        (Type::Option(one), Type::Option(other_one)) => {
            from.variant::<Value, _>(ty, |from, case| {
                to.variant::<Value>(other, case, |to| match case {
                    0 => Ok(()),
                    _ => transfer(*one, *other_one, from, to),
                })
            })
        }
        (Type::Result(ok, err), Type::Result(other_ok, other_err)) => {
            from.variant::<Value, _>(ty, |from, case| {
                to.variant::<Value>(other, case, |to| match case {
                    0 => payload(*ok, *other_ok, from, to),
                    _ => payload(*err, *other_err, from, to),
                })
            })
        }
        (Type::Flags(names), Type::Flags(_)) => {
            let flags = from.flags(names.len())?;
            to.flags(flags, names.len())
        }
        (Type::Own(one), Type::Own(other)) => {
            let resource = from.handle(*one, true)?;
            to.handle(*other, &resource, true)
        }
        (Type::Borrow(one), Type::Borrow(other)) => {
            let resource = from.handle(*one, false)?;
            to.handle(*other, &resource, false)
        }
        _ => Err(other_type()),
    }
}

/// Copies a payload, if there is one.
fn payload(
    ty: Option<TypeId>,
    other: Option<TypeId>,
    from: &mut Lifting<'_>,
    to: &mut Lowering<'_, '_>,
) -> Result<(), CallError> {
    match (ty, other) {
        (Some(ty), Some(other)) => transfer(ty, other, from, to),
        (None, None) => Ok(()),
        _ => Err(other_type()),
    }
}

/// Copies a list.
fn list(
    element: TypeId,
    other: TypeId,
    from: &mut Lifting<'_>,
    to: &mut Lowering<'_, '_>,
) -> Result<(), CallError> {
    let size = match from.types().get(element) {
        Type::U8 | Type::S8 => 1,
        Type::U16 | Type::S16 => 2,
        Type::U32 | Type::S32 | Type::F32 => 4,
        Type::U64 | Type::S64 | Type::F64 => 8,
        _ => 0,
    };
    from.elements::<Value, _>(element, |from, len| {
        if size > 0 {
            // Each of its bit patterns is a value.
            let bytes = from.copied(len.saturating_mul(size))?;
            return to.bytes(Cow::Owned(bytes), size, len as usize);
        }
        to.block::<Value>(other, len as usize, |to| {
            (0..len).try_for_each(|_| transfer(element, other, from, to))
        })
    })
}
