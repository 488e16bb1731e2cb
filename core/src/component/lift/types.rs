//! The Rust types that can be lifted.

use super::{Lift, Lifting, width};
use crate::{
    base::{fuel::fuel_for, signature::ValType},
    component::{
        ComponentType, Parts, Type, TypeId, Types, Value,
        layout::Layout,
        other_type,
        source::{InTable, Source},
    },
    error::CallError,
};
use alloc::{boxed::Box, collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use core::fmt;

/// Implements [`ComponentType`] and [`Lift`] for numbers, of which many are lifted at once.
macro_rules! number {
    ($($type:ty: $kind:ident, $core:ident, $wit:literal, $read:ident, $from:expr;)*) => {$(
        impl ComponentType for $type {
            const LAYOUT: Option<Layout> = Some(Layout::scalar(width::<{ size_of::<$type>() }>(), ValType::$core));

            fn fits(types: &Types, ty: TypeId) -> bool {
                matches!(types.get(ty), Type::$kind)
            }

            fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
                to.write_str($wit)
            }
        }

        impl Lift for $type {
            #[inline]
            fn lift<S: Source>(_: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
                from.$read().map($from)
            }

            fn lift_all<S: Source>(_: S::Id, len: u32, from: &mut Lifting<'_, S>) -> Result<Vec<Self>, CallError> {
                const BYTES: usize = size_of::<$type>();
                let mut all = from.vec(len)?;
                // Can't wrap: the list lies in the memory.
                let bytes = from.bytes(len.saturating_mul(width::<BYTES>()))?;
                let numbers = bytes.chunks_exact(BYTES).filter_map(<[u8]>::first_chunk);
                all.extend(numbers.map(|bytes| Self::from_le_bytes(*bytes)));
                Ok(all)
            }
        }
    )*};
}

number! {
    u8: U8, I32, "u8", u8, |value| value;
    i8: S8, I32, "s8", u8, u8::cast_signed;
    u16: U16, I32, "u16", u16, |value| value;
    i16: S16, I32, "s16", u16, u16::cast_signed;
    u32: U32, I32, "u32", u32, |value| value;
    i32: S32, I32, "s32", u32, u32::cast_signed;
    u64: U64, I64, "u64", u64, |value| value;
    i64: S64, I64, "s64", u64, u64::cast_signed;
    f32: F32, F32, "f32", u32, f32::from_bits;
    f64: F64, F64, "f64", f64, f64::from_bits;
}

/// Implements [`ComponentType`] and [`Lift`] for types that are lifted one by one.
macro_rules! scalar {
    ($($type:ty: $kind:ident, $layout:expr, $wit:literal, $read:ident;)*) => {$(
        impl ComponentType for $type {
            const LAYOUT: Option<Layout> = Some($layout);

            fn fits(types: &Types, ty: TypeId) -> bool {
                matches!(types.get(ty), Type::$kind)
            }

            fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
                to.write_str($wit)
            }
        }

        impl Lift for $type {
            fn lift<S: Source>(_: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
                from.$read()
            }
        }
    )*};
}

scalar! {
    bool: Bool, Layout::scalar(1, ValType::I32), "bool", bool;
    char: Char, Layout::scalar(4, ValType::I32), "char", char;
    String: String, Layout::POINTER, "string", string;
}

impl<T: ComponentType> ComponentType for Vec<T> {
    const LAYOUT: Option<Layout> = match T::LAYOUT {
        Some(_) => Some(Layout::POINTER),
        None => None,
    };

    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::List(element) if T::fits(types, *element))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("list<")?;
        T::wit(to)?;
        to.write_str(">")
    }
}

impl<T: Lift> Lift for Vec<T> {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        from.list(from.part(ty, 0)?)
    }
}

impl<T: ComponentType, const N: usize> ComponentType for [T; N] {
    const LAYOUT: Option<Layout> = Layout::array(T::LAYOUT, N);

    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::FixedList(element, len) if usize::try_from(*len) == Ok(N) && T::fits(types, *element))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("list<")?;
        T::wit(to)?;
        write!(to, ", {N}>")
    }
}

impl<T: Lift, const N: usize> Lift for [T; N] {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let element = from.part(ty, 0)?;
        let len = u32::try_from(N).unwrap_or(u32::MAX);
        let all: Vec<T> = from.parts::<Self, _>(ty, |from| from.repeated(element, len))?;
        Self::try_from(all).map_err(|_| other_type())
    }
}

impl<K: ComponentType + Ord, V: ComponentType> ComponentType for BTreeMap<K, V> {
    const LAYOUT: Option<Layout> = Vec::<(K, V)>::LAYOUT;

    /// A map has the values of a list of pairs.
    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::List(pair) if <(K, V)>::fits(types, *pair))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("map<")?;
        <(K, V) as Parts>::wit(to)?;
        to.write_str(">")
    }
}

/// Of several entries with equal keys, the last is kept.
impl<K: Lift + Ord, V: Lift> Lift for BTreeMap<K, V> {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let pair = from.part(ty, 0)?;
        let before = from.tally.taken();
        let all: Vec<(K, V)> = from.list(pair)?;
        // The map is made beside the list, and its nodes may be half full.
        from.take(size_of_val(all.as_slice()).saturating_mul(2))?;
        let bytes = from.tally.taken().saturating_sub(before);
        // Each entry is compared with as many others as its number has bits.
        let rounds = all.len().checked_ilog2().unwrap_or(0);
        from.spend(fuel_for(bytes).saturating_mul(rounds.into()))?;
        Ok(all.into_iter().collect())
    }
}

impl<T: ComponentType> ComponentType for Option<T> {
    const LAYOUT: Option<Layout> = Layout::variant(&[None, Some(T::LAYOUT)]);

    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::Option(some) if T::fits(types, *some))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("option<")?;
        T::wit(to)?;
        to.write_str(">")
    }
}

impl<T: Lift> Lift for Option<T> {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let some = from.part(ty, 1)?;
        from.variant::<Self, _>(ty, |from, case| match case {
            0 => Ok(None),
            _ => T::lift(some, from).map(Some),
        })
    }
}

impl<T: ComponentType, E: ComponentType> ComponentType for Result<T, E> {
    const LAYOUT: Option<Layout> = Layout::variant(&[payload::<T>(), payload::<E>()]);

    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::Result(ok, err) if T::fits_optional(types, *ok) && E::fits_optional(types, *err))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        if T::IS_NOTHING && E::IS_NOTHING {
            return to.write_str("result");
        }
        to.write_str("result<")?;
        T::wit(to)?;
        if !E::IS_NOTHING {
            to.write_str(", ")?;
            E::wit(to)?;
        }
        to.write_str(">")
    }
}

/// Returns the layout of a payload, for [`Layout::variant`].
const fn payload<T: ComponentType>() -> Option<Option<Layout>> {
    if T::IS_NOTHING { None } else { Some(T::LAYOUT) }
}

impl<T: Lift, E: Lift> Lift for Result<T, E> {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let (ok, err) = (from.payload(ty, 0), from.payload(ty, 1));
        from.variant::<Self, _>(ty, |from, case| match case {
            0 => T::lift_optional(ok, from).map(Ok),
            _ => E::lift_optional(err, from).map(Err),
        })
    }
}

impl ComponentType for () {
    fn fits(_: &Types, _: TypeId) -> bool {
        false
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("_")
    }

    const IS_NOTHING: bool = true;

    fn fits_optional(_: &Types, ty: Option<TypeId>) -> bool {
        ty.is_none()
    }
}

impl Lift for () {
    fn lift<S: Source>(_: S::Id, _: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        Err(other_type())
    }

    fn lift_optional<S: Source>(
        _: Option<S::Id>,
        _: &mut Lifting<'_, S>,
    ) -> Result<Self, CallError> {
        Ok(())
    }
}

impl ComponentType for Value {
    fn fits(_: &Types, _: TypeId) -> bool {
        true
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("any type")
    }
}

impl Lift for Value {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let (from, ty) = S::table(from, ty)?;
        let types = from.types;
        Ok(match types.get(ty) {
            Type::Bool => Self::Bool(bool::lift(ty, from)?),
            Type::S8 => Self::S8(i8::lift(ty, from)?),
            Type::U8 => Self::U8(u8::lift(ty, from)?),
            Type::S16 => Self::S16(i16::lift(ty, from)?),
            Type::U16 => Self::U16(u16::lift(ty, from)?),
            Type::S32 => Self::S32(i32::lift(ty, from)?),
            Type::U32 => Self::U32(u32::lift(ty, from)?),
            Type::S64 => Self::S64(i64::lift(ty, from)?),
            Type::U64 => Self::U64(u64::lift(ty, from)?),
            Type::F32 => Self::F32(f32::lift(ty, from)?),
            Type::F64 => Self::F64(f64::lift(ty, from)?),
            Type::Char => Self::Char(from.char()?),
            Type::String => Self::String(from.string()?),
            Type::List(element) if *types.get(*element) == Type::U8 => {
                Self::Bytes(from.list(*element)?)
            }
            Type::List(element) => Self::List(from.list(*element)?),
            Type::FixedList(element, len) => from
                .parts::<Self, _>(ty, |from| from.repeated(*element, *len))
                .map(Self::List)?,
            Type::Record(fields) => from.parts::<Self, _>(ty, |from| {
                let mut all = from.vec(u32::try_from(fields.len()).unwrap_or(u32::MAX))?;
                for (name, ty) in fields {
                    all.push((name.clone(), Self::lift(*ty, from)?));
                }
                Ok(Self::Record(all))
            })?,
            Type::Tuple(parts) => from.parts::<Self, _>(ty, |from| {
                let mut all = from.vec(u32::try_from(parts.len()).unwrap_or(u32::MAX))?;
                for ty in parts {
                    all.push(Self::lift(*ty, from)?);
                }
                Ok(Self::Tuple(all))
            })?,
            Type::Variant(cases) => from.variant::<Self, _>(ty, |from, case| {
                let (name, payload) = cases.get(case).ok_or_else(other_type)?;
                Ok(Self::Variant(name.clone(), Self::boxed(*payload, from)?))
            })?,
            Type::Enum(cases) => {
                let case = cases.get(from.discriminant(cases.len())?);
                Self::Enum(case.ok_or_else(other_type)?.clone())
            }
            Type::Option(some) => from.variant::<Self, _>(ty, |from, case| {
                Self::boxed((case != 0).then_some(*some), from).map(Self::Option)
            })?,
            Type::Result(ok, err) => from.variant::<Self, _>(ty, |from, case| {
                Ok(Self::Result(match case {
                    0 => Ok(Self::boxed(*ok, from)?),
                    _ => Err(Self::boxed(*err, from)?),
                }))
            })?,
            Type::Flags(names) => {
                let bits = from.flags(names.len())?;
                from.take(names.len().saturating_mul(size_of::<Arc<str>>()))?;
                let set = names
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| bits >> at & 1 != 0);
                Self::Flags(set.map(|(_, name)| name.clone()).collect())
            }
            Type::Own(resource) => Self::Resource(from.handle(*resource, true)?),
            Type::Borrow(resource) => Self::Resource(from.handle(*resource, false)?),
        })
    }
}

impl Value {
    /// Lifts a payload, if there is one.
    fn boxed(
        ty: Option<TypeId>,
        from: &mut Lifting<'_, InTable>,
    ) -> Result<Option<Box<Self>>, CallError> {
        let Some(ty) = ty else {
            return Ok(None);
        };
        from.take(size_of::<Self>())?;
        Ok(Some(Box::new(Self::lift(ty, from)?)))
    }
}
