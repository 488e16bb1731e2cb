//! Handles to resources as Rust types, and a table for the embedder's resources.

use super::{
    ComponentType, Lift, Lifting, Lower, Lowering, other_type,
    resource::Resource,
    source::Source,
    types::{Type, TypeId, Types},
};
use crate::error::{CallError, Trap};
use alloc::vec::Vec;
use core::{any, fmt, marker::PhantomData, ops::Deref};

/// A handle that borrows a resource of the embedder's, during one call.
///
/// `R` is the type that was named when the resource was granted:
/// [`Interface::resource`](super::Interface::resource). So a handle to a resource of another type is refused when
/// the plugin is loaded.
pub struct Borrow<R> {
    number: u32,
    of: PhantomData<fn() -> R>,
}

/// A handle that owns a resource of the embedder's: the guest has given it away, or is given it.
///
/// It can be used as a [`Borrow`]. Dropping the Rust value does nothing: the embedder's data is where the
/// embedder keeps it, for example in a [`Table`].
pub struct Own<R>(Borrow<R>);

impl<R> Borrow<R> {
    /// Returns the number by which the embedder knows the resource.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Returns a handle to the resource that the embedder knows by `number`.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self {
            number,
            of: PhantomData,
        }
    }
}

impl<R> Own<R> {
    /// Returns a handle to the resource that the embedder knows by `number`.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(Borrow::new(number))
    }
}

impl<R> Deref for Own<R> {
    type Target = Borrow<R>;

    fn deref(&self) -> &Borrow<R> {
        &self.0
    }
}

impl<R> fmt::Debug for Borrow<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", rust_name::<R>(), self.number)
    }
}

impl<R> fmt::Debug for Own<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns the name of a Rust type, without its path.
fn rust_name<R>() -> &'static str {
    let path = any::type_name::<R>();
    path.rsplit("::").next().unwrap_or(path)
}

/// The embedder's resources of one type, each with a number: a place for them in the data of an instance.
///
/// ```
/// use hostel_core::component::{Borrow, Own, Table};
/// struct Counter(u32);
/// let mut counters = Table::new(100);
/// let counter: Own<Counter> = counters.insert(Counter(1))?;
/// counters.get_mut(&counter)?.0 += 1;
/// assert_eq!(counters.remove(counter)?.0, 2);
/// # Ok::<(), hostel_core::Trap>(())
/// ```
#[derive(Debug)]
pub struct Table<R> {
    entries: Vec<Option<R>>,
    /// Numbers of entries that are free.
    free: Vec<u32>,
    most: u32,
}

impl<R> Table<R> {
    /// Returns an empty table for `most` resources.
    #[must_use]
    pub const fn new(most: u32) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            most,
        }
    }

    /// Number of resources.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len().saturating_sub(self.free.len())
    }

    /// Returns whether there are no resources.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a resource, and returns the handle that owns it, for the guest.
    ///
    /// # Errors
    ///
    /// A trap if the table is full.
    pub fn insert(&mut self, resource: R) -> Result<Own<R>, Trap> {
        if let Some(number) = self.free.pop() {
            if let Some(entry) = self.entry(number) {
                *entry = Some(resource);
            }
            return Ok(Own::new(number));
        }
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        if number >= self.most {
            return Err(Trap::host("the table of the host's resources is full"));
        }
        self.entries.push(Some(resource));
        Ok(Own::new(number))
    }

    /// Returns the resource of a handle.
    ///
    /// # Errors
    ///
    /// A trap if it was removed.
    pub fn get(&self, handle: &Borrow<R>) -> Result<&R, Trap> {
        let at = usize::try_from(handle.number).unwrap_or(usize::MAX);
        let found = self.entries.get(at).and_then(Option::as_ref);
        found.ok_or_else(removed::<R>)
    }

    /// Returns the resource of a handle, for changing it.
    ///
    /// # Errors
    ///
    /// A trap if it was removed.
    pub fn get_mut(&mut self, handle: &Borrow<R>) -> Result<&mut R, Trap> {
        let found = self.entry(handle.number).and_then(Option::as_mut);
        found.ok_or_else(removed::<R>)
    }

    /// Takes the resource of a handle out of the table.
    ///
    /// # Errors
    ///
    /// A trap if it was removed.
    // By value, since the handle is of no use afterwards.
    #[expect(clippy::needless_pass_by_value)]
    pub fn remove(&mut self, handle: Own<R>) -> Result<R, Trap> {
        let found = self.entry(handle.number).and_then(Option::take);
        let found = found.ok_or_else(removed::<R>)?;
        self.free.push(handle.number);
        Ok(found)
    }

    fn entry(&mut self, number: u32) -> Option<&mut Option<R>> {
        self.entries.get_mut(usize::try_from(number).ok()?)
    }
}

#[cold]
fn removed<R>() -> Trap {
    Trap::host(alloc::format!("a `{}` that was removed", rust_name::<R>()))
}

impl<R: 'static> ComponentType for Own<R> {
    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::Own(of) if types.is_supplied_as::<R>(*of))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        write!(to, "own<{}>", rust_name::<R>())
    }
}

impl<R: 'static> Lift for Own<R> {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let (from, ty) = S::table(from, ty)?;
        let Type::Own(of) = from.types().get(ty) else {
            return Err(other_type());
        };
        Ok(Self::new(from.handle(*of, true)?.number))
    }
}

impl<R: 'static> Lower for Own<R> {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let (to, ty) = S::table_to(to, ty)?;
        let Type::Own(of) = to.types().get(ty) else {
            return Err(other_type());
        };
        let resource = Resource {
            ty: *of,
            number: self.number,
            of: 0,
            owned: true,
        };
        to.handle(*of, &resource, true)
    }
}

impl<R: 'static> ComponentType for Borrow<R> {
    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::Borrow(of) if types.is_supplied_as::<R>(*of))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        write!(to, "borrow<{}>", rust_name::<R>())
    }
}

impl<R: 'static> Lift for Borrow<R> {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let (from, ty) = S::table(from, ty)?;
        let Type::Borrow(of) = from.types().get(ty) else {
            return Err(other_type());
        };
        Ok(Self::new(from.handle(*of, false)?.number))
    }
}

impl<R: 'static> Lower for Borrow<R> {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let (to, ty) = S::table_to(to, ty)?;
        let Type::Borrow(of) = to.types().get(ty) else {
            return Err(other_type());
        };
        let resource = Resource {
            ty: *of,
            number: self.number,
            of: 0,
            owned: false,
        };
        to.handle(*of, &resource, false)
    }
}

impl ComponentType for Resource {
    fn fits(types: &Types, ty: TypeId) -> bool {
        matches!(types.get(ty), Type::Own(_) | Type::Borrow(_))
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("a resource")
    }
}

impl Lift for Resource {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let (from, ty) = S::table(from, ty)?;
        match from.types().get(ty) {
            Type::Own(of) => from.handle(*of, true),
            Type::Borrow(of) => from.handle(*of, false),
            _ => Err(other_type()),
        }
    }
}

impl Lower for Resource {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let (to, ty) = S::table_to(to, ty)?;
        match to.types().get(ty) {
            Type::Own(of) => to.handle(*of, self, true),
            Type::Borrow(of) => to.handle(*of, self, false),
            _ => Err(other_type()),
        }
    }
}
