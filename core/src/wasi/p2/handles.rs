//! Handles to the resources of WASI 0.2: what functions take and give.

use crate::{
    component::{
        ComponentType, Lift, Lifting, Lower, Lowering, Resource, Source, Type, TypeId, Types,
        other_type,
    },
    error::CallError,
};
use core::fmt;

/// A resource that a guest lends to a function: its number in the instance's table.
pub(super) struct Borrowed(pub(super) u32);

impl ComponentType for Borrowed {
    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::Borrow(_))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("borrow<resource>")
    }
}

impl Lift for Borrowed {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let (from, ty) = S::table(from, ty)?;
        match from.types().get(ty) {
            Type::Borrow(of) => Ok(Self(from.handle(*of, false)?.number())),
            _ => Err(other_type()),
        }
    }
}

/// A resource that a function gives to a guest, or a guest to a function.
pub(super) struct Own(Resource);

impl Own {
    /// Returns the resource of this number in the instance's table.
    pub(super) const fn new(number: u32) -> Self {
        Self(Resource::new(number))
    }

    /// Returns the resource's number.
    pub(super) const fn number(&self) -> u32 {
        self.0.number()
    }
}

impl Lift for Own {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let (from, ty) = S::table(from, ty)?;
        match from.types().get(ty) {
            Type::Own(of) => Ok(Self(from.handle(*of, true)?)),
            _ => Err(other_type()),
        }
    }
}

impl ComponentType for Own {
    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::Own(_))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("own<resource>")
    }
}

impl Lower for Own {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let (to, ty) = S::table_to(to, ty)?;
        match to.types().get(ty) {
            Type::Own(of) => to.handle(*of, &self.0, true),
            _ => Err(other_type()),
        }
    }
}
