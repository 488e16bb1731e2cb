//! [`Source`]: from where lifting and lowering know the types of values.

use super::{
    ComponentType, Lifting, Lowering,
    layout::Layout,
    other_type,
    types::{Type, TypeId, Types},
};
use crate::error::CallError;

/// From where lifting and lowering know the types of values: [`InTable`] or [`Fixed`]. Implemented for these only.
#[doc(hidden)]
pub trait Source: Sized + 'static {
    /// What tells a type.
    type Id: Copy;
    /// What tells the types of several values.
    type Ids<'a>: Copy;
    /// All types.
    type Types<'a>: Copy;

    /// Whether all strings are in UTF-8.
    const UTF8: bool;

    /// Returns the layout of the type, for which `T` stands.
    fn layout<T: ComponentType>(types: Self::Types<'_>, ty: Self::Id) -> &Layout;

    /// Returns the type of a record's field, of a part of a tuple, of a list's elements, or of a case's payload;
    /// `None` if there is none.
    fn part(types: Self::Types<'_>, ty: Self::Id, at: usize) -> Option<Self::Id>;

    /// Returns the types of a tuple's parts.
    fn parts(types: Self::Types<'_>, ty: Self::Id) -> Result<Self::Ids<'_>, CallError>;

    /// Returns one of several types.
    fn id(ids: Self::Ids<'_>, at: usize) -> Result<Self::Id, CallError>;

    /// Returns the values with their types in a table, for Rust types that stand for several types in WIT. Fails if
    /// there is no table.
    fn table<'l, 'a>(
        from: &'l mut Lifting<'a, Self>,
        ty: Self::Id,
    ) -> Result<(&'l mut Lifting<'a, InTable>, TypeId), CallError>;

    /// As [`table`](Self::table), for lowering.
    fn table_to<'l, 'v, 'c>(
        to: &'l mut Lowering<'v, 'c, Self>,
        ty: Self::Id,
    ) -> Result<(&'l mut Lowering<'v, 'c, InTable>, TypeId), CallError>;
}

/// Types are in the table of a component that was read.
#[doc(hidden)]
#[derive(Debug)]
pub enum InTable {}

/// Types are those of Rust, known when the host is compiled.
#[doc(hidden)]
#[derive(Debug)]
pub enum Fixed {}

impl Source for InTable {
    type Id = TypeId;
    type Ids<'a> = &'a [TypeId];
    type Types<'a> = &'a Types;

    const UTF8: bool = false;

    #[inline]
    fn layout<T: ComponentType>(types: Self::Types<'_>, ty: TypeId) -> &Layout {
        types.layout(ty)
    }

    fn part(types: &Types, ty: TypeId, at: usize) -> Option<TypeId> {
        match types.get(ty) {
            Type::Record(fields) => fields.get(at).map(|(_, ty)| *ty),
            Type::Tuple(parts) => parts.get(at).copied(),
            Type::List(element) | Type::FixedList(element, _) => Some(*element),
            Type::Variant(cases) => cases.get(at).and_then(|(_, ty)| *ty),
            Type::Option(some) => (at == 1).then_some(*some),
            Type::Result(ok, err) => match at {
                0 => *ok,
                _ => *err,
            },
            _ => None,
        }
    }

    fn parts(types: Self::Types<'_>, ty: TypeId) -> Result<Self::Ids<'_>, CallError> {
        match types.get(ty) {
            Type::Tuple(parts) => Ok(parts),
            _ => Err(other_type()),
        }
    }

    #[inline]
    fn id(ids: &[TypeId], at: usize) -> Result<TypeId, CallError> {
        ids.get(at).copied().ok_or_else(other_type)
    }

    #[inline]
    fn table<'l, 'a>(
        from: &'l mut Lifting<'a, Self>,
        ty: TypeId,
    ) -> Result<(&'l mut Lifting<'a, Self>, TypeId), CallError> {
        Ok((from, ty))
    }

    #[inline]
    fn table_to<'l, 'v, 'c>(
        to: &'l mut Lowering<'v, 'c, Self>,
        ty: TypeId,
    ) -> Result<(&'l mut Lowering<'v, 'c, Self>, TypeId), CallError> {
        Ok((to, ty))
    }
}

impl Source for Fixed {
    type Id = ();
    type Ids<'a> = ();
    type Types<'a> = ();

    const UTF8: bool = true;

    #[inline(always)]
    fn layout<T: ComponentType>((): Self::Types<'_>, (): ()) -> &Layout {
        const {
            match &T::LAYOUT {
                Some(layout) => layout,
                None => panic!("{}", NO_LAYOUT),
            }
        }
    }

    #[inline(always)]
    fn part((): (), (): (), _: usize) -> Option<()> {
        Some(())
    }

    #[inline(always)]
    fn parts((): Self::Types<'_>, (): ()) -> Result<Self::Ids<'_>, CallError> {
        Ok(())
    }

    #[inline(always)]
    fn id((): (), _: usize) -> Result<(), CallError> {
        Ok(())
    }

    fn table<'l, 'a>(
        _: &'l mut Lifting<'a, Self>,
        (): (),
    ) -> Result<(&'l mut Lifting<'a, InTable>, TypeId), CallError> {
        Err(other_type())
    }

    fn table_to<'l, 'v, 'c>(
        _: &'l mut Lowering<'v, 'c, Self>,
        (): (),
    ) -> Result<(&'l mut Lowering<'v, 'c, InTable>, TypeId), CallError> {
        Err(other_type())
    }
}

/// The compiler's message for a type that is not known when the host is compiled.
pub(super) const NO_LAYOUT: &str = "values of any type, and handles to resources, need the contract's reader: `Engine::load_component`";
