//! Lifts and lowers `Option`, `Result` and tuples.

use super::{FlatCounts, Lift, Lifter, Lower, Lowerer, Types};
use crate::{base::signature::ValType, error::CallError};
use wasmi::Val;

/// Returns the core values of an optional value: those of `value`, after an i32 that says whether
/// it is present. A nullable value needs none, since its pointer says so.
const fn optional(value: FlatCounts, nullable: bool) -> FlatCounts {
    if nullable {
        return value;
    }
    FlatCounts::of(ValType::I32).and(value)
}

impl<T: Lift> Lift for Option<T> {
    type View<'m> = Option<T::View<'m>>;
    const CORE: FlatCounts = optional(T::CORE, T::NULLABLE);
    const READS: bool = T::READS;

    fn types(types: &mut Types) {
        if !T::NULLABLE {
            types.push(ValType::I32);
        }
        T::types(types);
    }

    fn lift<'m>(from: &mut Lifter<'m>) -> Result<Self::View<'m>, CallError> {
        let present = if T::NULLABLE {
            !from.is_absent()
        } else {
            bool::lift(from)?
        };
        if present {
            return T::lift(from).map(Some);
        }
        // An absent value takes up its place.
        from.skip(T::types)?;
        Ok(None)
    }
}

impl<T: Lower> Lower for Option<T> {
    const CORE: FlatCounts = optional(T::CORE, T::NULLABLE);

    fn types(types: &mut Types) {
        if !T::NULLABLE {
            types.push(ValType::I32);
        }
        T::types(types);
    }

    fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError> {
        if !T::NULLABLE {
            to.push(Val::I32(self.is_some().into()))?;
        }
        match self {
            Some(value) => value.lower(to),
            None => to.zeros(T::types),
        }
    }
}

impl<T: Lift, E: Lift> Lift for Result<T, E> {
    type View<'m> = Result<T::View<'m>, E::View<'m>>;
    const CORE: FlatCounts = optional(T::CORE, false).and(E::CORE);
    const READS: bool = T::READS || E::READS;

    fn types(types: &mut Types) {
        types.push(ValType::I32);
        T::types(types);
        E::types(types);
    }

    fn lift<'m>(from: &mut Lifter<'m>) -> Result<Self::View<'m>, CallError> {
        if bool::lift(from)? {
            from.skip(T::types)?;
            return E::lift(from).map(Err);
        }
        let value = T::lift(from)?;
        from.skip(E::types)?;
        Ok(Ok(value))
    }
}

impl<T: Lower, E: Lower> Lower for Result<T, E> {
    const CORE: FlatCounts = optional(T::CORE, false).and(E::CORE);

    fn types(types: &mut Types) {
        types.push(ValType::I32);
        T::types(types);
        E::types(types);
    }

    fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError> {
        to.push(Val::I32(self.is_err().into()))?;
        match self {
            Ok(value) => {
                value.lower(to)?;
                to.zeros(E::types)
            }
            Err(error) => {
                to.zeros(T::types)?;
                error.lower(to)
            }
        }
    }
}

/// Implements [`Lift`] and [`Lower`] for a tuple. Only a macro can repeat its parts.
macro_rules! tuple {
    ($($part:ident)*) => {
        #[allow(non_snake_case, unused_variables)] // the parts are named after their types; `()` has none
        impl<$($part: Lift),*> Lift for ($($part,)*) {
            type View<'m> = ($($part::View<'m>,)*);
            const CORE: FlatCounts = FlatCounts::NOTHING $(.and($part::CORE))*;
            const READS: bool = false $(|| $part::READS)*;

            fn types(types: &mut Types) {
                $($part::types(types);)*
            }

            fn lift<'m>(from: &mut Lifter<'m>) -> Result<Self::View<'m>, CallError> {
                Ok(($($part::lift(from)?,)*))
            }
        }

        #[allow(non_snake_case, unused_variables)] // as above
        impl<$($part: Lower),*> Lower for ($($part,)*) {
            const CORE: FlatCounts = FlatCounts::NOTHING $(.and($part::CORE))*;

            fn types(types: &mut Types) {
                $($part::types(types);)*
            }

            fn lower<'v>(&'v self, to: &mut Lowerer<'v>) -> Result<(), CallError> {
                let ($($part,)*) = self;
                $($part.lower(to)?;)*
                Ok(())
            }
        }
    };
}

tuple! {}
tuple! { A }
tuple! { A B }
tuple! { A B C }
tuple! { A B C D }
tuple! { A B C D E }
tuple! { A B C D E F }
