//! The Rust types that can be lowered.

use super::{Lower, Lowering};
use crate::{
    base::text::text,
    component::{
        ComponentType, Type, TypeId, Types, Value, layout::Layout, lift::width, other_type,
        source::Source,
    },
    error::CallError,
};
use alloc::{borrow::Cow, boxed::Box, collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use core::fmt;
use wasmi::{F32, F64, Val};

/// Implements [`Lower`] for numbers, of which many are lowered at once.
macro_rules! number {
    ($($type:ty: $core:expr;)*) => {$(
        impl Lower for $type {
            #[inline]
            fn lower<'v, S: Source>(&'v self, _: S::Id, to: &mut Lowering<'v, '_, S>) -> Result<(), CallError> {
                to.number(self.to_le_bytes(), $core(*self))
            }

            fn lower_all<'v, S: Source>(all: &'v [Self], _: S::Id, to: &mut Lowering<'v, '_, S>) -> Result<(), CallError> {
                const BYTES: usize = size_of::<$type>();
                let size = BYTES.saturating_mul(all.len());
                let after = to.list(Cow::Owned(Vec::new()), size, width::<BYTES>(), all.len())?;
                let block = to.lowered.blocks.last_mut().ok_or_else(other_type)?;
                let places = block.bytes.to_mut().chunks_exact_mut(BYTES);
                for (place, number) in places.zip(all) {
                    place.copy_from_slice(&number.to_le_bytes());
                }
                to.at = after;
                Ok(())
            }
        }
    )*};
}

number! {
    i8: |value: i8| Val::I32(value.into());
    u16: |value: u16| Val::I32(value.into());
    i16: |value: i16| Val::I32(value.into());
    u32: |value: u32| Val::I32(value.cast_signed());
    i32: Val::I32;
    u64: |value: u64| Val::I64(value.cast_signed());
    i64: Val::I64;
    f32: |value: f32| Val::F32(F32::from_float(value));
    f64: |value: f64| Val::F64(F64::from_float(value));
}

impl Lower for u8 {
    #[inline]
    fn lower<'v, S: Source>(
        &'v self,
        _: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        to.word((*self).into(), 1)
    }

    fn lower_all<'v, S: Source>(
        all: &'v [Self],
        _: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        to.bytes(Cow::Borrowed(all), 1, all.len())
    }
}

impl Lower for bool {
    fn lower<'v, S: Source>(
        &'v self,
        _: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        to.word((*self).into(), 1)
    }
}

impl Lower for char {
    fn lower<'v, S: Source>(
        &'v self,
        _: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        to.word((*self).into(), 4)
    }
}

/// Implements [`Lower`], and [`ComponentType`] where the type can't be lifted, for text.
macro_rules! text {
    ($($type:ty),*) => {$(
        impl ComponentType for $type {
            const LAYOUT: Option<Layout> = Some(Layout::POINTER);

            fn fits(types: &Types, ty: TypeId) -> bool {
                matches!(types.get(ty), Type::String)
            }

            fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
                to.write_str("string")
            }
        }

        impl Lower for $type {
            fn lower<'v, S: Source>(&'v self, _: S::Id, to: &mut Lowering<'v, '_, S>) -> Result<(), CallError> {
                to.string(self)
            }
        }
    )*};
}

text! { &str, Box<str>, Arc<str>, Cow<'_, str> }

impl Lower for String {
    fn lower<'v, S: Source>(
        &'v self,
        _: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        to.string(self)
    }
}

impl<T: ComponentType> ComponentType for &[T] {
    const LAYOUT: Option<Layout> = Vec::<T>::LAYOUT;

    fn fits(types: &Types, ty: TypeId) -> bool {
        Vec::<T>::fits(types, ty)
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        Vec::<T>::wit(to)
    }
}

impl<T: Lower> Lower for &[T] {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        T::lower_all(self, to.part(ty, 0)?, to)
    }
}

impl<T: ComponentType> ComponentType for &T {
    const LAYOUT: Option<Layout> = T::LAYOUT;

    fn fits(types: &Types, ty: TypeId) -> bool {
        T::fits(types, ty)
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        T::wit(to)
    }
}

impl<T: Lower> Lower for &T {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        (**self).lower(ty, to)
    }
}

impl<T: Lower> Lower for Vec<T> {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        T::lower_all(self, to.part(ty, 0)?, to)
    }
}

impl<T: Lower, const N: usize> Lower for [T; N] {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let element = to.part(ty, 0)?;
        to.parts::<Self>(ty, |to| {
            self.iter().try_for_each(|value| value.lower(element, to))
        })
    }
}

impl<K: Lower + Ord, V: Lower> Lower for BTreeMap<K, V> {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let pair = to.part(ty, 0)?;
        let parts = S::parts(to.types(), pair)?;
        let (of_key, of_value) = (S::id(parts, 0)?, S::id(parts, 1)?);
        to.block::<(K, V)>(pair, self.len(), |to| {
            self.iter().try_for_each(|(key, value)| {
                to.parts::<(K, V)>(pair, |to| {
                    key.lower(of_key, to)?;
                    value.lower(of_value, to)
                })
            })
        })
    }
}

impl<T: Lower> Lower for Option<T> {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let some = to.part(ty, 1)?;
        to.variant::<Self>(ty, self.is_some().into(), |to| match self {
            Some(value) => value.lower(some, to),
            None => Ok(()),
        })
    }
}

impl<T: Lower, E: Lower> Lower for Result<T, E> {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let (ok, err) = (to.payload(ty, 0), to.payload(ty, 1));
        to.variant::<Self>(ty, self.is_err().into(), |to| match self {
            Ok(value) => value.lower_optional(ok, to),
            Err(error) => error.lower_optional(err, to),
        })
    }
}

impl Lower for () {
    fn lower<'v, S: Source>(
        &'v self,
        _: S::Id,
        _: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        Err(other_type())
    }

    fn lower_optional<'v, S: Source>(
        &'v self,
        _: Option<S::Id>,
        _: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        Ok(())
    }
}

impl Lower for Value {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let (to, ty) = S::table_to(to, ty)?;
        let types = to.types;
        match (self, types.get(ty)) {
            (Self::Bool(value), Type::Bool) => value.lower(ty, to),
            (Self::S8(value), Type::S8) => value.lower(ty, to),
            (Self::U8(value), Type::U8) => value.lower(ty, to),
            (Self::S16(value), Type::S16) => value.lower(ty, to),
            (Self::U16(value), Type::U16) => value.lower(ty, to),
            (Self::S32(value), Type::S32) => value.lower(ty, to),
            (Self::U32(value), Type::U32) => value.lower(ty, to),
            (Self::S64(value), Type::S64) => value.lower(ty, to),
            (Self::U64(value), Type::U64) => value.lower(ty, to),
            (Self::F32(value), Type::F32) => value.lower(ty, to),
            (Self::F64(value), Type::F64) => value.lower(ty, to),
            (Self::Char(value), Type::Char) => value.lower(ty, to),
            (Self::String(value), Type::String) => to.string(value),
            (Self::Bytes(bytes), Type::List(element)) if *types.get(*element) == Type::U8 => {
                u8::lower_all(bytes, *element, to)
            }
            (Self::List(all), Type::List(element)) => Self::lower_all(all, *element, to),
            (Self::Bytes(all), Type::FixedList(element, len))
                if *types.get(*element) == Type::U8 && all.len() == *len as usize =>
            {
                to.parts::<Self>(ty, |to| {
                    all.iter().try_for_each(|value| value.lower(*element, to))
                })
            }
            (Self::List(all), Type::FixedList(element, len)) if all.len() == *len as usize => {
                to.parts::<Self>(ty, |to| {
                    all.iter().try_for_each(|value| value.lower(*element, to))
                })
            }
            (Self::Record(all), Type::Record(fields)) if all.len() == fields.len() => to
                .parts::<Self>(ty, |to| {
                    for ((name, value), (field, ty)) in all.iter().zip(fields) {
                        if name != field {
                            return Err(mistyped(types, ty, value));
                        }
                        value.lower(*ty, to)?;
                    }
                    Ok(())
                }),
            (Self::Tuple(all), Type::Tuple(parts)) if all.len() == parts.len() => {
                to.parts::<Self>(ty, |to| {
                    let mut all = all.iter().zip(parts);
                    all.try_for_each(|(value, ty)| value.lower(*ty, to))
                })
            }
            (Self::Variant(name, payload), Type::Variant(cases)) => {
                let found = cases.iter().enumerate().find(|(_, (case, _))| case == name);
                let Some((case, (_, of))) = found else {
                    return Err(mistyped(types, &ty, self));
                };
                to.spend_search(case)?;
                to.variant::<Self>(ty, case, |to| lower_payload(payload.as_deref(), *of, to))
            }
            (Self::Enum(name), Type::Enum(cases)) => {
                let case = cases.iter().position(|case| case == name);
                let case = case.ok_or_else(|| mistyped(types, &ty, self))?;
                to.spend_search(case)?;
                to.discriminant(case, cases.len())
            }
            (Self::Option(value), Type::Option(some)) => {
                to.variant::<Self>(ty, value.is_some().into(), |to| {
                    lower_payload(value.as_deref(), value.as_ref().map(|_| *some), to)
                })
            }
            (Self::Result(Ok(value)), Type::Result(ok, _)) => {
                to.variant::<Self>(ty, 0, |to| lower_payload(value.as_deref(), *ok, to))
            }
            (Self::Result(Err(value)), Type::Result(_, err)) => {
                to.variant::<Self>(ty, 1, |to| lower_payload(value.as_deref(), *err, to))
            }
            (Self::Flags(set), Type::Flags(names)) => {
                let mut bits = 0u32;
                for flag in set {
                    let at = names.iter().position(|name| name == flag);
                    let at = at.ok_or_else(|| mistyped(types, &ty, self))?;
                    // A component's flags are at most 32.
                    let at = u32::try_from(at).unwrap_or(u32::MAX);
                    bits |= 1u32.checked_shl(at).unwrap_or(0);
                }
                to.flags(bits, names.len())
            }
            (Self::Resource(resource), Type::Own(of)) => to.handle(*of, resource, true),
            (Self::Resource(resource), Type::Borrow(of)) => to.handle(*of, resource, false),
            _ => Err(mistyped(types, &ty, self)),
        }
    }
}

/// Lowers the payload of a case, if it has one.
fn lower_payload<'v>(
    value: Option<&'v Value>,
    ty: Option<TypeId>,
    to: &mut Lowering<'v, '_>,
) -> Result<(), CallError> {
    match (value, ty) {
        (Some(value), Some(ty)) => value.lower(ty, to),
        (None, None) => Ok(()),
        _ => Err(other_type()),
    }
}

/// Returns the error for a value that is not of type `ty`.
#[cold]
fn mistyped(types: &Types, ty: &TypeId, value: &Value) -> CallError {
    CallError::ValueType {
        reason: text(format_args!(
            "expected {}, found {}",
            types.shown(*ty),
            value.kind()
        )),
    }
}
