//! Copies values from one guest for another, without Rust values in between, and in parts: a list can be long.

use super::{
    Lifting, Lowering,
    lift::Position,
    lower::Place,
    other_type,
    types::{Type, TypeId},
};
use crate::{error::CallError, memory};
use alloc::{borrow::Cow, vec::Vec};
use core::cell::Cell;

/// Units of fuel after which a copy pauses: as many as a part of bytes takes that are written at once.
const PART: u64 = 8_192;

/// The type of a value in the guest that it comes from, and in the one that it goes to. They differ in their
/// resources at most.
type Pair = (TypeId, TypeId);

/// A copy of values, in progress.
#[derive(Default)]
pub(super) struct Transfer {
    /// Values of the outermost level that are copied, or of which the copy has begun.
    begun: usize,
    /// The values in one another that are being copied.
    frames: Vec<Frame>,
}

/// A value with parts that is being copied, and the positions after it.
struct Frame {
    kind: Kind,
    from: Option<Position>,
}

enum Kind {
    /// A record or tuple: the number of the next part.
    Parts(Pair, usize, Option<Place>),
    /// Elements of a list: their number.
    List(Pair, u32, Option<Place>),
    /// A variant, option or result of this type: the payload, until its copy has begun.
    Case(TypeId, Option<Pair>, Place),
}

impl Transfer {
    /// Copies values of these types, until all are copied or [`PART`] units of fuel are `spent`. Returns whether all
    /// are copied.
    pub(super) fn run(
        &mut self,
        (types, others): (&[TypeId], &[TypeId]),
        from: &mut Lifting<'_>,
        to: &mut Lowering<'_, '_>,
        spent: &Cell<u64>,
    ) -> Result<bool, CallError> {
        let most = spent.get().saturating_add(PART);
        while spent.get() < most {
            let Some(frame) = self.frames.last_mut() else {
                let next = types.get(self.begun).copied();
                let Some(pair) = next.zip(others.get(self.begun).copied()) else {
                    return Ok(true);
                };
                self.begun = self.begun.saturating_add(1);
                self.value(pair, from, to)?;
                continue;
            };
            match frame.kind.next(from)? {
                Some(pair) => self.value(pair, from, to)?,
                None => {
                    if let Some(Frame { kind, from: end }) = self.frames.pop() {
                        from.leave(end);
                        match kind {
                            Kind::Parts(.., end) | Kind::List(.., end) => to.leave(end),
                            Kind::Case(ty, _, end) => to.end_case(from.types().layout(ty), end)?,
                        }
                    }
                }
            }
        }
        Ok(false)
    }

    /// Copies the next value if it has no parts. Else begins to copy it.
    fn value(
        &mut self,
        (ty, other): Pair,
        from: &mut Lifting<'_>,
        to: &mut Lowering<'_, '_>,
    ) -> Result<(), CallError> {
        let types = from.types();
        let (kind, end) = match (types.get(ty), types.get(other)) {
            (Type::Record(_), Type::Record(_)) | (Type::Tuple(_), Type::Tuple(_)) => {
                let end = from.begin(types.layout(ty))?;
                let after = to.begin(types.layout(other))?;
                (Kind::Parts((ty, other), 0, after), end)
            }
            (Type::FixedList(one, len), Type::FixedList(other_one, _)) => {
                let end = from.begin(types.layout(ty))?;
                let after = to.begin(types.layout(other))?;
                (Kind::List((*one, *other_one), *len, after), end)
            }
            (Type::List(one), Type::List(other_one)) => {
                let (len, end) = from.begin_list(types.layout(*one))?;
                if let Some(size) = number_bytes(types.get(*one)) {
                    // Each of its bit patterns is a value.
                    let bytes = from.copied(len.saturating_mul(size))?;
                    from.leave(end);
                    return to.bytes(Cow::Owned(bytes), size, len as usize);
                }
                let after = to.begin_list(types.layout(*other_one), len as usize)?;
                (Kind::List((*one, *other_one), len, Some(after)), end)
            }
            (Type::Variant(cases), Type::Variant(others)) => {
                let (case, end) = from.begin_case(types.layout(ty))?;
                let both = cases.get(case).zip(others.get(case));
                let ((_, payload), (_, other_payload)) = both.ok_or_else(other_type)?;
                let payload = payload.zip(*other_payload);
                (
                    Kind::Case(other, payload, to.begin_case(types.layout(other), case)?),
                    end,
                )
            }
            (Type::Option(one), Type::Option(other_one)) => {
                let (case, end) = from.begin_case(types.layout(ty))?;
                let payload = (case == 1).then_some((*one, *other_one));
                (
                    Kind::Case(other, payload, to.begin_case(types.layout(other), case)?),
                    end,
                )
            }
            (Type::Result(ok, err), Type::Result(other_ok, other_err)) => {
                let (case, end) = from.begin_case(types.layout(ty))?;
                let payload = match case {
                    0 => ok.zip(*other_ok),
                    _ => err.zip(*other_err),
                };
                (
                    Kind::Case(other, payload, to.begin_case(types.layout(other), case)?),
                    end,
                )
            }
            _ => return whole((ty, other), from, to),
        };
        self.frames
            .try_reserve(1)
            .map_err(|_| memory::no_room(size_of::<Frame>()))?;
        self.frames.push(Frame { kind, from: end });
        Ok(())
    }
}

impl Kind {
    /// Returns the next part. `None` if there are no further ones.
    fn next(&mut self, from: &Lifting<'_>) -> Result<Option<Pair>, CallError> {
        Ok(match self {
            Self::Case(_, payload, _) => payload.take(),
            Self::List(_, 0, _) => None,
            Self::List(pair, left, _) => {
                *left = left.saturating_sub(1);
                Some(*pair)
            }
            Self::Parts((ty, other), at, _) => {
                let number = *at;
                *at = number.saturating_add(1);
                let types = from.types();
                match (types.get(*ty), types.get(*other)) {
                    (Type::Record(parts), Type::Record(others)) => {
                        let both = parts.get(number).zip(others.get(number));
                        both.map(|((_, one), (_, other))| (*one, *other))
                    }
                    (Type::Tuple(parts), Type::Tuple(others)) => {
                        parts.get(number).copied().zip(others.get(number).copied())
                    }
                    _ => return Err(other_type()),
                }
            }
        })
    }
}

/// Copies the next value, which has no parts.
fn whole(
    (ty, other): Pair,
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
        (Type::Enum(cases), Type::Enum(_)) => {
            let case = from.discriminant(cases.len())?;
            to.discriminant(case, cases.len())
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

/// Returns the bytes of a number of this type; `None` if it is none.
const fn number_bytes(ty: &Type) -> Option<u32> {
    match ty {
        Type::U8 | Type::S8 => Some(1),
        Type::U16 | Type::S16 => Some(2),
        Type::U32 | Type::S32 | Type::F32 => Some(4),
        Type::U64 | Type::S64 | Type::F64 => Some(8),
        _ => None,
    }
}
