//! Several values one after the other: parameters of a function, and the parts of tuples.

use super::{
    ComponentType, Lift, Lifting, Lower, Lowering,
    layout::Layout,
    source::Source,
    types::{Type, TypeId, Types},
    wit,
};
use crate::error::CallError;
use core::fmt;

/// Rust types of several values: tuples of up to 16 parts, `()` included.
pub trait Parts {
    /// Returns whether these are Rust types for values of the types `parts`.
    #[doc(hidden)]
    fn fit(types: &Types, parts: &[TypeId]) -> bool;

    /// The layout of each.
    #[doc(hidden)]
    const LAYOUTS: &'static [Option<Layout>];

    /// Writes the types as WIT does, with ", " between.
    #[doc(hidden)]
    fn wit(to: &mut dyn fmt::Write) -> fmt::Result;
}

/// Several values that come out of a guest.
pub trait LiftParts: Parts + Sized {
    #[doc(hidden)]
    fn lift_each<S: Source>(
        parts: S::Ids<'_>,
        from: &mut Lifting<'_, S>,
    ) -> Result<Self, CallError>;
}

/// Several values that go into a guest.
pub trait LowerParts: Parts {
    #[doc(hidden)]
    fn lower_each<'v, S: Source>(
        &'v self,
        parts: S::Ids<'_>,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError>;
}

impl Parts for () {
    const LAYOUTS: &'static [Option<Layout>] = &[];

    fn fit(_: &Types, parts: &[TypeId]) -> bool {
        parts.is_empty()
    }

    fn wit(_: &mut dyn fmt::Write) -> fmt::Result {
        Ok(())
    }
}

impl LiftParts for () {
    fn lift_each<S: Source>(_: S::Ids<'_>, _: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        Ok(())
    }
}

impl LowerParts for () {
    fn lower_each<'v, S: Source>(
        &'v self,
        _: S::Ids<'_>,
        _: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        Ok(())
    }
}

/// Writes a type as WIT does.
type Writes = fn(&mut dyn fmt::Write) -> fmt::Result;

/// Implements the traits for tuples.
macro_rules! tuples {
    ($($($part:ident $at:tt)+;)*) => {$(
        impl<$($part: ComponentType),+> Parts for ($($part,)+) {
            const LAYOUTS: &'static [Option<Layout>] = &[$($part::LAYOUT),+];

            fn fit(types: &Types, parts: &[TypeId]) -> bool {
                parts.len() == [$($at),+].len()
                    $(&& parts.get($at).is_some_and(|part| $part::fits(types, *part)))+
            }

            fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
                wit::list(to, [$($part::wit as Writes),+], |to, part| part(to))
            }
        }

        impl<$($part: Lift),+> LiftParts for ($($part,)+) {
            fn lift_each<S: Source>(parts: S::Ids<'_>, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
                Ok(($($part::lift(S::id(parts, $at)?, from)?,)+))
            }
        }

        impl<$($part: Lower),+> LowerParts for ($($part,)+) {
            fn lower_each<'v, S: Source>(&'v self, parts: S::Ids<'_>, to: &mut Lowering<'v, '_, S>) -> Result<(), CallError> {
                $(self.$at.lower(S::id(parts, $at)?, to)?;)+
                Ok(())
            }
        }

        impl<$($part: ComponentType),+> ComponentType for ($($part,)+) {
            const LAYOUT: Option<Layout> = Layout::record(Self::LAYOUTS);

            fn fits(types: &Types, ty: TypeId) -> bool {
                matches!(types.get(ty), Type::Tuple(parts) if Self::fit(types, parts))
            }

            fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
                to.write_str("tuple<")?;
                <Self as Parts>::wit(to)?;
                to.write_str(">")
            }
        }

        impl<$($part: Lift),+> Lift for ($($part,)+) {
            fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
                let parts = S::parts(from.types(), ty)?;
                from.parts::<Self, _>(ty, |from| Self::lift_each(parts, from))
            }
        }

        impl<$($part: Lower),+> Lower for ($($part,)+) {
            fn lower<'v, S: Source>(&'v self, ty: S::Id, to: &mut Lowering<'v, '_, S>) -> Result<(), CallError> {
                let parts = S::parts(to.types(), ty)?;
                to.parts::<Self>(ty, |to| self.lower_each(parts, to))
            }
        }
    )*};
}

tuples! {
    A 0;
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 E 4;
    A 0 B 1 C 2 D 3 E 4 F 5;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14 P 15;
}
