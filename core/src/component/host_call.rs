//! One call of a host function by a component.

use super::{
    Lower,
    bounds::Bounds,
    canon::{Canon, Delivery, Shape, address},
    lift::{Lift, Lifting},
    lower::Lowering,
    machine::Machine,
    other_type,
    parts::LiftParts,
    program::Program,
    resource::Passing,
    source::InTable,
    types::{FunctionType, FunctionTypeId, Types},
    value::Value,
};
use crate::{
    base::fuel::Spending,
    call::{StoreData, access::InstanceAccess},
    error::CallError,
    host_functions::Context,
};
use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{
    any,
    cell::{Cell, RefCell},
    task::{self, Poll},
};
use wasmi::{StoreContextMut, Val};

/// Host functions and resources of one interface, by their names.
pub(crate) trait HostInterface<T>: Send + Sync + 'static {
    /// Returns its name with a version, such as `wasi:io/streams@0.2.0`; empty for functions that are in no
    /// interface. An import of another version fits if both are compatible: see [`compatible`].
    fn name(&self) -> &str;

    /// Returns the function of this name in WIT's canonical form, such as `[method]file.read`.
    fn function(&self, name: &str) -> Option<Arc<dyn HostFunction<T>>>;

    /// Returns what becomes of the resource of this name when a guest drops its last handle.
    fn resource(&self, name: &str) -> Option<Arc<dyn HostResource<T>>>;
}

/// A resource type of the embedder.
pub(crate) trait HostResource<T>: Send + Sync + 'static {
    /// Returns the Rust type that stands for it in [`Own`](super::Own) and [`Borrow`](super::Borrow). `()` if
    /// none does.
    fn rust_type(&self) -> any::TypeId {
        any::TypeId::of::<()>()
    }

    /// Drops the resource of this number, which its owner has dropped. `call` has no arguments and no result.
    fn dropped(&self, call: &mut HostCall<'_, T>, number: u32) -> Result<(), CallError>;
}

/// A host function for components, of any type.
pub(crate) trait HostFunction<T>: Send + Sync + 'static {
    /// Returns whether it is one for imports of type `ty`. If not, loading fails and names both types.
    fn fits(&self, types: &Types, ty: &FunctionType) -> bool;

    /// Returns the type that it has, as WIT, for the message if it does not fit.
    fn shown(&self) -> String;

    /// Lifts the arguments, does the work, and gives the result to `call`; or returns what the guest waits for.
    fn call(&self, call: &mut HostCall<'_, T>) -> Result<Answered<T>, CallError>;
}

/// Whether a host function has its result.
pub(crate) enum Answered<T> {
    /// It was given to the call, or there is none.
    Now,
    /// The guest is suspended until this is ready.
    Later(Box<dyn Pending<T>>),
}

/// Work of a host function for which a guest is suspended.
pub(crate) trait Pending<T>: Send {
    /// Tries again. Gives the result to `call` if it is ready. If not, it has the context woken when it may be:
    /// a thread that blocks waits for that too.
    fn poll(
        &mut self,
        call: &mut HostCall<'_, T>,
        context: &mut task::Context<'_>,
    ) -> Poll<Result<(), CallError>>;
}

/// One call of a host function by a component.
pub(crate) struct HostCall<'a, T: 'static> {
    guest: StoreContextMut<'a, StoreData<T>>,
    program: &'a Program,
    ty: FunctionTypeId,
    shape: &'a Shape,
    canon: Canon,
    /// Core values of the arguments, or a pointer to them.
    flat: &'a [Val],
    /// Fuel that the call may spend, and has spent.
    available: u64,
    spent: Cell<u64>,
    /// The result, once it is given.
    answer: Option<Delivery<'static>>,
}

impl<'a, T: 'static> HostCall<'a, T> {
    /// Returns a call with these core values as arguments.
    pub(super) fn new(
        guest: StoreContextMut<'a, StoreData<T>>,
        program: &'a Program,
        ty: FunctionTypeId,
        shape: &'a Shape,
        canon: Canon,
        flat: &'a [Val],
        available: u64,
    ) -> Self {
        Self {
            guest,
            program,
            ty,
            shape,
            canon,
            flat,
            available,
            spent: Cell::new(0),
            answer: None,
        }
    }

    /// Returns the import's type.
    pub(crate) fn ty(&self) -> &'a FunctionType {
        self.program.types.function(self.ty)
    }

    /// Lifts the arguments. Call it once: handles to resources can be taken once.
    pub(crate) fn params<P: LiftParts>(&mut self) -> Result<P, CallError> {
        let parts = &*self.ty().params;
        self.lift(|from| P::lift_each(parts, from))
    }

    /// Lifts the arguments to values of any types, as [`params`](Self::params) does.
    pub(crate) fn values(&mut self) -> Result<Vec<Value>, CallError> {
        let parts = &*self.ty().params;
        self.lift(|from| parts.iter().map(|ty| Value::lift(*ty, from)).collect())
    }

    pub(crate) fn lift<R>(
        &mut self,
        lift: impl FnOnce(&mut Lifting<'_>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let (memory, state) = self.canon.memory_and_state(&mut self.guest);
        let StoreData {
            exchange,
            meter,
            canceller,
            shared,
            ..
        } = state;
        let handles = RefCell::new(&mut Machine::<T>::of(exchange)?.handles);
        let check = || meter.check(canceller.as_ref(), &*shared.platform);
        let mut passing = Passing {
            handles: &handles,
            program: self.program,
            guest: self.canon.instance,
            with_host: true,
        };
        let limit = meter.budget().argument_bytes;
        let too_large = |limit, found| CallError::ArgumentTooLarge { limit, found };
        let spending = Spending::new(self.available, &self.spent);
        let mut from = Lifting::new(
            &self.program.types,
            self.canon.encoding,
            memory,
            self.flat,
            &mut passing,
            Bounds {
                spending,
                room: limit,
                too_large,
                check: &check,
            },
        );
        if let Some(layout) = &self.shape.params {
            let at = self.flat.first().ok_or_else(other_type)?;
            from.go_to(address(at)?, layout)?;
        }
        lift(&mut from)
    }

    /// Gives the result, of a function that has one. Call it once.
    pub(crate) fn answer<R: Lower>(&mut self, result: &R) -> Result<(), CallError> {
        let ty = self.ty().result.ok_or_else(other_type)?;
        let (memory, state) = self.canon.memory_and_state(&mut self.guest);
        let StoreData {
            exchange,
            meter,
            canceller,
            shared,
            ..
        } = state;
        let handles = RefCell::new(&mut Machine::<T>::of(exchange)?.handles);
        let room = meter
            .budget()
            .bytes_to_guest
            .saturating_sub(meter.usage.bytes_to_guest);
        let check = || meter.check(canceller.as_ref(), &*shared.platform);
        let mut passing = Passing {
            handles: &handles,
            program: self.program,
            guest: self.canon.instance,
            with_host: true,
        };
        let too_large = |_, _| CallError::BytesToGuest { limit: 0 };
        let spending = Spending::new(self.available, &self.spent);
        let mut to = Lowering::<InTable>::new(
            &self.program.types,
            self.canon.encoding,
            &mut passing,
            Bounds {
                spending,
                room,
                too_large,
                check: &check,
            },
        );
        if let Some(layout) = &self.shape.result {
            let at = self.flat.last().ok_or_else(other_type)?;
            to.place(address(at)?, layout)?;
        }
        let lowered = result.lower(ty, &mut to);
        let found = to.taken();
        let mut delivery = Delivery::new(to.end());
        let limit = meter.budget().bytes_to_guest;
        lowered.map_err(|error| match error {
            // With the limit's figure.
            CallError::BytesToGuest { .. } => CallError::BytesToGuest { limit },
            error => error,
        })?;
        meter.hand_to_guest(found)?;
        self.answer = Some(if delivery.needs_realloc() {
            delivery.into_owned()?
        } else {
            delivery.write_all(memory)?;
            delivery.finished()
        });
        Ok(())
    }

    /// Gives a result of any type, or none.
    pub(crate) fn answer_value(&mut self, result: Option<&Value>) -> Result<(), CallError> {
        match (self.ty().result, result) {
            (None, None) => Ok(()),
            (Some(_), Some(value)) => self.answer(value),
            _ => Err(CallError::ValueType {
                reason: "a host function returned a result, or none, against its type".into(),
            }),
        }
    }

    /// Returns the calling instance as host functions see it. It has no memory: a component's values come
    /// lifted.
    pub(crate) fn context(&mut self) -> Context<'_, T> {
        let StoreData {
            data,
            shared,
            meter,
            ..
        } = self.guest.data_mut();
        let spending = Spending::new(self.available, &self.spent);
        Context::without_memory(data, shared, meter, spending)
    }

    /// Returns the parts of the calling instance that WASI's functions work on, without its memory.
    pub(crate) fn access(&mut self) -> InstanceAccess<'_> {
        let spending = Spending::new(self.available, &self.spent);
        InstanceAccess::without_memory(self.guest.data_mut(), spending)
    }

    /// Ends the call. Returns the fuel to charge, and the result.
    pub(super) fn end(self) -> (u64, Option<Delivery<'static>>) {
        (self.spent.get(), self.answer)
    }
}

/// Returns whether an import of the interface `import` can be supplied by `granted`: both have one name, and their
/// versions are equal or compatible by semver.
pub(crate) fn compatible(import: &str, granted: &str) -> bool {
    if import == granted {
        return true;
    }
    let split = |name: &str| -> Option<(String, String)> {
        let (name, version) = name.split_once('@')?;
        Some((name.into(), String::from(track(version)?)))
    };
    split(import).is_some_and(|one| split(granted) == Some(one))
}

/// Returns the part of a version that compatible ones share: `1` of 1.2.3, `0.2` of 0.2.6, `0.0.3` of 0.0.3. `None` for a
/// preview, which is compatible with itself only.
fn track(version: &str) -> Option<&str> {
    let version = version.split('+').next()?;
    if version.contains('-') {
        return None;
    }
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    let end = match (major, minor) {
        ("0", "0") => version.len(),
        ("0", minor) => minor.len().checked_add(2)?,
        _ => major.len(),
    };
    version.get(..end)
}
