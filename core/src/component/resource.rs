//! Handles to resources, by component instance.
//!
//! A guest knows a resource by the number of a handle in the table of its component instance. The host knows it by
//! the number with which it was made, or if a guest defines it, by a handle in the host's own table.

use super::{
    broken,
    lift::TakeHandle,
    lower::GiveHandle,
    program::{self, ComponentInstance, Program},
    types::ResourceId,
};
use crate::{error::CallError, memory};
use alloc::vec::Vec;
use core::{
    cell::{RefCell, RefMut},
    sync::atomic::{AtomicU32, Ordering},
};

/// A handle to a resource, as the embedder holds it.
///
/// A resource of the embedder has the number that its host functions gave it. A resource of the guest has the
/// number of an entry in the instance's table of handles that the host holds. Such a handle is valid until it
/// is passed to the guest as its own, dropped, or the instance is reset. Another instance refuses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub(crate) ty: ResourceId,
    pub(crate) number: u32,
    /// The number of the [`Handles`] that have it; 0 for a resource of the embedder.
    pub(crate) of: u32,
    /// Whether the holder owns the resource.
    pub(crate) owned: bool,
}

impl Resource {
    /// Returns a resource of the embedder, of this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self {
            ty: ResourceId(u32::MAX),
            number,
            of: 0,
            owned: true,
        }
    }

    /// Returns its number.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Returns whether the holder owns the resource; if not, it is lent until the call ends.
    #[must_use]
    pub const fn is_owned(&self) -> bool {
        self.owned
    }
}

/// A handle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle {
    pub(crate) ty: ResourceId,
    /// The number with which the resource was made.
    pub(crate) rep: u32,
    pub(crate) kind: Kind,
    /// Number of running calls to which it is lent.
    lends: u32,
}

/// What a handle allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It owns the resource.
    Own,
    /// It borrows the resource until the call of this depth ends.
    Borrow(usize),
}

/// The handles of a component instance, or of the host.
#[derive(Debug, Default)]
struct Table {
    /// Those of the numbers 1 and up. `Err` holds the next free place.
    entries: Vec<Result<Handle, usize>>,
    /// The first free place, if it is one of `entries`.
    free: usize,
}

impl Table {
    fn add(&mut self, handle: Handle) -> Result<u32, CallError> {
        let place = self.free;
        match self.entries.get_mut(place) {
            Some(entry) => {
                self.free = entry.err().unwrap_or(usize::MAX);
                *entry = Ok(handle);
            }
            None => {
                self.entries
                    .try_reserve(1)
                    .map_err(|_| memory::no_room(size_of::<Handle>()))?;
                self.entries.push(Ok(handle));
                self.free = self.entries.len();
            }
        }
        u32::try_from(place.saturating_add(1)).map_err(|_| unknown(0))
    }

    fn get(&mut self, index: u32) -> Option<&mut Handle> {
        let place = usize::try_from(index).ok()?.checked_sub(1)?;
        self.entries.get_mut(place)?.as_mut().ok()
    }

    fn remove(&mut self, index: u32) -> Option<Handle> {
        let place = usize::try_from(index).ok()?.checked_sub(1)?;
        let entry = self.entries.get_mut(place)?;
        let removed = entry.ok()?;
        *entry = Err(self.free);
        self.free = place;
        Some(removed)
    }
}

/// One of the calls that run inside one another.
#[derive(Debug, Default)]
struct Scope {
    /// Number of handles that borrow from it and are not dropped yet.
    borrows: u32,
    /// Handles that are lent to it, each with the table that has it.
    lent: Vec<(Holder, u32)>,
    /// Handles by which the host borrows until it ends.
    held: Vec<u32>,
}

/// What holds handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Guest(ComponentInstance),
    Host,
}

/// All handles of an instance, from its start or reset on.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    /// Unique among the last 2³² of them, and not 0: by it, a [`Resource`] knows where it is from.
    number: u32,
    guests: Vec<Table>,
    host: Table,
    calls: Vec<Scope>,
    /// Number of handles, and how many there may be.
    count: usize,
    most: usize,
    /// Whether handles moved between a guest and the embedder in the call that runs, in a way that ending the call
    /// does not undo.
    passed: bool,
}

impl Handles {
    /// Returns the tables of `instances` component instances, and the host's, all empty, for `most` handles in all.
    pub(crate) fn new(instances: u32, most: usize) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed).max(1),
            most,
            guests: (0..instances).map(|_| Table::default()).collect(),
            ..Self::default()
        }
    }

    /// Number of calls that run inside one another.
    pub(crate) const fn depth(&self) -> usize {
        self.calls.len()
    }

    /// Fails if a resource of a guest's is from the handles of another instance, or from before a reset.
    pub(crate) fn check_origin(&self, resource: &Resource) -> Result<(), CallError> {
        match resource.of == self.number {
            true => Ok(()),
            false => Err(of_another(resource.of)),
        }
    }

    /// Returns whether there are none.
    pub(crate) const fn are_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the type of a handle that is held, and its holder; `None` if there are none.
    pub(crate) fn first(&self) -> Option<(Holder, ResourceId)> {
        let guests = (0..).map(|at| Holder::Guest(ComponentInstance(at)));
        let tables = guests.zip(&self.guests).chain([(Holder::Host, &self.host)]);
        tables.into_iter().find_map(|(holder, table)| {
            let mut held = table.entries.iter().flatten();
            Some((holder, held.next()?.ty))
        })
    }

    /// Returns whether handles moved between a guest and the embedder in the last call, in a way that its end did not
    /// undo.
    pub(crate) const fn were_passed(&self) -> bool {
        self.passed
    }

    /// Begins a call inside those that run.
    pub(crate) fn begin_call(&mut self) {
        self.passed &= !self.calls.is_empty();
        self.calls.push(Scope::default());
    }

    /// Fails if the innermost call has handles left that borrow.
    pub(crate) fn check_borrows(&self) -> Result<(), CallError> {
        match self.calls.last() {
            Some(Scope { borrows: 1.., .. }) => {
                Err(broken("borrow handles still remain at the end of the call"))
            }
            _ => Ok(()),
        }
    }

    /// Ends the innermost call: what was lent to it is not any more.
    pub(crate) fn end_call(&mut self) {
        let Some(scope) = self.calls.pop() else {
            return;
        };
        for (holder, index) in scope.lent {
            let handle = self.table(holder).and_then(|table| table.get(index));
            if let Some(handle) = handle {
                handle.lends = handle.lends.saturating_sub(1);
            }
        }
        for index in scope.held {
            if self.host.remove(index).is_some() {
                self.count = self.count.saturating_sub(1);
            }
        }
    }

    /// Ends all calls after an error, which came before any guest code ran.
    pub(crate) fn forget_calls(&mut self) {
        while !self.calls.is_empty() {
            self.end_call();
        }
    }

    fn table(&mut self, holder: Holder) -> Option<&mut Table> {
        match holder {
            Holder::Host => Some(&mut self.host),
            Holder::Guest(ComponentInstance(at)) => self.guests.get_mut(usize::try_from(at).ok()?),
        }
    }

    fn of(&mut self, holder: Holder) -> Result<&mut Table, CallError> {
        self.table(holder).ok_or_else(|| unknown(0))
    }

    /// Adds a handle to the table of `holder`.
    pub(crate) fn add(
        &mut self,
        holder: Holder,
        ty: ResourceId,
        rep: u32,
        kind: Kind,
    ) -> Result<u32, CallError> {
        if self.count >= self.most {
            return Err(too_many(self.most));
        }
        let index = self.of(holder)?.add(Handle {
            ty,
            rep,
            kind,
            lends: 0,
        })?;
        self.count = self.count.saturating_add(1);
        if let Kind::Borrow(depth) = kind
            && let Some(scope) = self.calls.get_mut(depth)
        {
            match holder {
                Holder::Guest(_) => scope.borrows = scope.borrows.saturating_add(1),
                Holder::Host => scope.held.push(index),
            }
        }
        Ok(index)
    }

    /// Returns the handle of this number and type.
    pub(crate) fn get(
        &mut self,
        holder: Holder,
        ty: ResourceId,
        index: u32,
    ) -> Result<&mut Handle, CallError> {
        let handle = self.of(holder)?.get(index).ok_or_else(|| unknown(index))?;
        if handle.ty != ty {
            return Err(broken("a handle to a resource of another type"));
        }
        Ok(handle)
    }

    /// Takes the handle of this number and type away from its holder.
    pub(crate) fn remove(
        &mut self,
        holder: Holder,
        ty: ResourceId,
        index: u32,
    ) -> Result<Handle, CallError> {
        let handle = *self.get(holder, ty, index)?;
        if handle.lends > 0 {
            return Err(broken("a resource is lent: its handle can't be removed"));
        }
        if let (Kind::Borrow(depth), Holder::Guest(_)) = (handle.kind, holder)
            && let Some(scope) = self.calls.get_mut(depth)
        {
            scope.borrows = scope.borrows.saturating_sub(1);
        }
        self.of(holder)?.remove(index);
        self.count = self.count.saturating_sub(1);
        Ok(handle)
    }

    /// Returns the kind of a handle that is given in the innermost call.
    const fn kind(&self, owned: bool) -> Kind {
        match owned {
            true => Kind::Own,
            false => Kind::Borrow(self.depth().saturating_sub(1)),
        }
    }

    /// Takes a handle out of the table of `holder` to pass it on: takes it away if `owned`, else lends it to
    /// the innermost call. Returns the number with which the resource was made.
    fn pass(
        &mut self,
        holder: Holder,
        ty: ResourceId,
        index: u32,
        owned: bool,
    ) -> Result<u32, CallError> {
        if owned {
            let handle = self.get(holder, ty, index)?;
            if handle.kind != Kind::Own {
                return Err(broken("a borrowed resource can't be given away"));
            }
            return Ok(self.remove(holder, ty, index)?.rep);
        }
        let handle = self.get(holder, ty, index)?;
        let rep = handle.rep;
        handle.lends = handle.lends.saturating_add(1);
        let most = self.most;
        if let Some(scope) = self.calls.last_mut() {
            if scope.lent.len() >= most {
                return Err(too_many(most));
            }
            scope.lent.try_reserve(1).map_err(|_| memory::no_room(8))?;
            scope.lent.push((holder, index));
        }
        Ok(rep)
    }
}

/// Handles as one call between a guest and another side takes and gives them.
pub(crate) struct Passing<'a> {
    pub(crate) handles: &'a RefCell<&'a mut Handles>,
    pub(crate) program: &'a Program,
    /// The guest.
    pub(crate) guest: ComponentInstance,
    /// Whether the other side is the host. If not, resources are told by the numbers with which they were made.
    pub(crate) with_host: bool,
}

impl<'a> Passing<'a> {
    /// Returns the component instance that defines a resource type; `None` for one of the embedder's.
    fn definer(&self, ty: ResourceId) -> Option<ComponentInstance> {
        let number = usize::try_from(ty.0).ok()?;
        match self.program.resources.get(number)? {
            program::Resource::Defined { instance, .. } => Some(*instance),
            program::Resource::Imported(_) => None,
        }
    }

    /// Borrows the handles. Nothing else does meanwhile.
    fn handles(&self) -> Result<RefMut<'a, &'a mut Handles>, CallError> {
        self.handles.try_borrow_mut().map_err(|_| unknown(0))
    }
}

impl TakeHandle for Passing<'_> {
    fn take(&mut self, ty: ResourceId, index: u32, owned: bool) -> Result<Resource, CallError> {
        let guest = Holder::Guest(self.guest);
        let mut handles = self.handles()?;
        let rep = handles.pass(guest, ty, index, owned)?;
        handles.passed |= self.with_host && owned;
        let (number, of) = if self.with_host && self.definer(ty).is_some() {
            let kind = handles.kind(owned);
            (handles.add(Holder::Host, ty, rep, kind)?, handles.number)
        } else {
            (rep, 0)
        };
        Ok(Resource {
            ty,
            number,
            of,
            owned,
        })
    }
}

impl GiveHandle for Passing<'_> {
    fn give(&mut self, ty: ResourceId, resource: &Resource, owned: bool) -> Result<u32, CallError> {
        let definer = self.definer(ty);
        let mut handles = self.handles()?;
        let rep = if self.with_host && definer.is_some() {
            handles.check_origin(resource)?;
            let passed = handles.pass(Holder::Host, ty, resource.number, owned);
            passed.map_err(|_| not_held())?
        } else {
            resource.number
        };
        if !owned && definer == Some(self.guest) {
            return Ok(rep);
        }
        handles.passed |= self.with_host;
        let kind = handles.kind(owned);
        handles.add(Holder::Guest(self.guest), ty, rep, kind)
    }
}

#[cold]
fn too_many(most: usize) -> CallError {
    broken(&alloc::format!(
        "more than {most} handles to resources, which is the limit `component.handles`"
    ))
}

#[cold]
fn unknown(index: u32) -> CallError {
    broken(&alloc::format!("unknown handle index {index}"))
}

/// Returns the error for a resource of the guest's that the host does not hold.
#[cold]
pub(super) fn not_held() -> CallError {
    CallError::ValueType {
        reason:
            "the host does not hold this resource: it was given away or dropped, or is lent in this call"
                .into(),
    }
}

/// Returns the error for a resource of the guest's that the host does not hold by these handles.
#[cold]
fn of_another(of: u32) -> CallError {
    CallError::ValueType {
        reason: match of {
            0 => {
                "the guest defines this resource: pass one that an export of this instance returned"
            }
            _ => "the resource is of another instance, or of this one before it was reset",
        }
        .into(),
    }
}
