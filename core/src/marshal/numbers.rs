//! Lifts and lowers numbers, `bool` and `char`.

use super::{FlatCounts, Lift, Lifter, Lower, Lowerer, Types, mistyped};
use crate::{
    base::{shape::unsigned, signature::ValType},
    error::CallError,
};
use wasmi::Val;

/// Implements [`Lift`] and [`Lower`] for types that are one core value: the type, its core type, its
/// name for messages, and the conversions from and to the core value.
macro_rules! number {
    ($($type:ty: $core:ident, $name:literal, $lift:expr, $lower:expr;)*) => {$(
        impl Lift for $type {
            type View<'m> = Self;
            const CORE: FlatCounts = FlatCounts::of(ValType::$core);

            fn types(types: &mut Types) {
                types.push(ValType::$core);
            }

            #[inline]
            fn lift<'m>(from: &mut Lifter<'m>) -> Result<Self, CallError> {
                match from.next() {
                    Some(Val::$core(value)) => $lift(*value),
                    _ => Err(mistyped($name)),
                }
            }
        }

        impl Lower for $type {
            const CORE: FlatCounts = FlatCounts::of(ValType::$core);

            fn number(&self) -> Option<Val> {
                Some(Val::$core($lower(*self)))
            }

            fn types(types: &mut Types) {
                types.push(ValType::$core);
            }

            fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError> {
                to.push(Val::$core($lower(*self)))
            }
        }
    )*};
}

/// Returns a conversion that refuses values outside the range of `N`. Truncating them instead would
/// hide a guest's fault.
fn narrow<N: TryFrom<i32>>(expected: &'static str) -> impl Fn(i32) -> Result<N, CallError> {
    move |value| {
        N::try_from(value).map_err(|_| CallError::BadValue {
            expected,
            found: value.into(),
        })
    }
}

number! {
    i8: I32, "an i8", narrow("an i8"), i32::from;
    u8: I32, "a u8", narrow("a u8"), i32::from;
    i16: I32, "an i16", narrow("an i16"), i32::from;
    u16: I32, "a u16", narrow("a u16"), i32::from;
    i32: I32, "an i32", Ok, |value| value;
    u32: I32, "a u32", |value| Ok(unsigned(value)), u32::cast_signed;
    i64: I64, "an i64", Ok, |value| value;
    u64: I64, "a u64", |value: i64| Ok(value.cast_unsigned()), u64::cast_signed;
    f32: F32, "an f32", |value: wasmi::F32| Ok(value.to_float()), wasmi::F32::from_float;
    f64: F64, "an f64", |value: wasmi::F64| Ok(value.to_float()), wasmi::F64::from_float;
    bool: I32, "a bool", |value| match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(CallError::BadValue { expected: "a bool (0 or 1)", found: other.into() }),
    }, i32::from;
    char: I32, "a char", |value: i32| char::from_u32(unsigned(value))
        .ok_or_else(|| CallError::BadValue { expected: "a char", found: value.into() }), |value| u32::from(value).cast_signed();
}
