//! Calls of functions that a component defines: by another component instance, by the embedder, and destructors.
//!
//! A guest that calls another one leaves the interpreter, and both calls are driven from outside of it: so they run
//! in slices of one budget, and no call of a guest takes native stack of the interpreter's.

use super::{
    bounds::Bounds,
    canon::{Canon, Delivery, address},
    core_call::{Calling, Entry},
    layout::Layout,
    lift::Lifting,
    lower::Lowering,
    machine::{Bound, Machine, missing},
    other_type,
    program::{self, ComponentInstance, Lifted, Program},
    resource::{Holder, Passing, Resource, not_held},
    transfer::transfer,
    types::{ResourceId, TypeId},
};
use crate::{
    base::{fuel::Spending, shape::FlatValues},
    call::{
        StoreData, meter,
        run::{Run, word},
        suspend::Aside,
    },
    error::CallError,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    task::{Context, Poll, ready},
};
use wasmi::{AsContextMut, Store, Val};

/// A call of one component instance by another.
pub(super) struct GuestCall {
    /// The number of the lowered function, and of the lifted one that it calls.
    number: usize,
    callee: usize,
    /// How the caller passes values.
    caller: Canon,
    params: Vec<Val>,
    stage: Stage,
}

/// The next stage of a call of one component instance by another. In boxes, since each call inside another one takes
/// native stack for them.
enum Stage {
    /// Copies the arguments.
    Arguments,
    /// Runs the callee.
    Call(Box<Calling<'static>>),
    /// Gives the result to the caller.
    Result(Box<Calling<'static>>, Box<Delivery<'static>>),
    /// Runs the callee's `post-return`.
    PostReturn(Box<Calling<'static>>, Option<Val>),
    Ended,
}

impl GuestCall {
    pub(super) fn new(number: usize, callee: usize, caller: Canon, params: &[Val]) -> Self {
        Self {
            number,
            callee,
            caller,
            params: params.into(),
            stage: Stage::Arguments,
        }
    }

    /// Copies the arguments from the caller, and begins the call.
    // Not inlined, as `end`: its native stack is given back before the callee runs.
    #[inline(never)]
    fn begin<T: 'static>(
        &self,
        store: &mut Store<StoreData<T>>,
        bound: &Bound<T>,
        callee: &Lifted,
        entry: &Entry,
    ) -> Result<Box<Calling<'static>>, CallError> {
        let lowered = bound.program.lowered.get(self.number).ok_or_else(missing)?;
        let (from, _) = bound.lowered.get(self.number).ok_or_else(missing)?;
        let to = bound.lifted.get(self.callee).ok_or_else(missing)?;
        Machine::of_store(store)?.enter(callee.instance)?;
        let types = &bound.program.types;
        let source = Source {
            canon: self.caller,
            types: &types.function(lowered.ty).params,
            flat: &self.params,
            at: from.params.as_ref(),
        };
        let arguments = copy(
            store,
            &bound.program,
            &source,
            &Target {
                canon: entry.canon,
                types: &types.function(callee.ty).params,
                place: to.params.as_ref().map(|layout| (None, layout)),
            },
        )?;
        Ok(Box::new(Calling::new(arguments, to)))
    }

    /// Copies the result from the callee.
    #[inline(never)]
    fn end<T: 'static>(
        &self,
        store: &mut Store<StoreData<T>>,
        bound: &Bound<T>,
        callee: &Lifted,
        entry: &Entry,
        results: &[Val],
    ) -> Result<Box<Delivery<'static>>, CallError> {
        let lowered = bound.program.lowered.get(self.number).ok_or_else(missing)?;
        let (to, _) = bound.lowered.get(self.number).ok_or_else(missing)?;
        let from = bound.lifted.get(self.callee).ok_or_else(missing)?;
        let types = &bound.program.types;
        let place = match &to.result {
            Some(layout) => {
                let at = self.params.last().ok_or_else(other_type)?;
                Some((Some(address(at)?), layout))
            }
            None => None,
        };
        let source = Source {
            canon: entry.canon,
            types: types.function(callee.ty).result.as_slice(),
            flat: results,
            at: from.result.as_ref(),
        };
        let target = Target {
            canon: self.caller,
            types: types.function(lowered.ty).result.as_slice(),
            place,
        };
        let delivery = copy(store, &bound.program, &source, &target)?;
        Machine::of_store(store)?.handles.check_borrows()?;
        Ok(Box::new(delivery))
    }
}

impl<T: 'static> Aside<T> for GuestCall {
    fn poll(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        values: &mut FlatValues,
    ) -> Poll<Result<(), CallError>> {
        let bound: Arc<Bound<T>> = Machine::of_store(store)?.bound.clone();
        let callee = bound.program.lifted.get(self.callee).ok_or_else(missing)?;
        let entry = Machine::entry(store, self.callee)?;
        loop {
            match &mut self.stage {
                Stage::Arguments => {
                    let calling = self.begin(store, &bound, callee, &entry)?;
                    self.stage = Stage::Call(calling);
                }
                Stage::Call(calling) => {
                    ready!(calling.poll(store, context, &entry))?;
                    let Stage::Call(calling) = core::mem::replace(&mut self.stage, Stage::Ended)
                    else {
                        return Poll::Ready(Err(missing()));
                    };
                    let result = self.end(store, &bound, callee, &entry, calling.results())?;
                    self.stage = Stage::Result(calling, result);
                }
                Stage::Result(_, delivery) => {
                    ready!(delivery.poll(store, context, &self.caller))?;
                    let Stage::Result(calling, delivery) =
                        core::mem::replace(&mut self.stage, Stage::Ended)
                    else {
                        return Poll::Ready(Err(missing()));
                    };
                    self.stage = Stage::PostReturn(calling, delivery.flat().first().cloned());
                }
                Stage::PostReturn(calling, result) => {
                    ready!(calling.poll_post_return(store, context, &entry.canon))?;
                    values.extend(result.take());
                    Machine::of_store(store)?.leave(callee.instance)?;
                    self.stage = Stage::Ended;
                }
                Stage::Ended => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// Where values come from.
struct Source<'a> {
    canon: Canon,
    types: &'a [TypeId],
    /// Core values, the first of which is a pointer to the values if `at` is their layout.
    flat: &'a [Val],
    at: Option<&'a Layout>,
}

/// Where values go to.
struct Target<'a> {
    canon: Canon,
    types: &'a [TypeId],
    /// Their layout if they go to memory, at this address or in a block of their own.
    place: Option<(Option<u32>, &'a Layout)>,
}

/// Copies values from one guest for another. Charges for it.
fn copy<T: 'static>(
    store: &mut Store<StoreData<T>>,
    program: &Program,
    source: &Source<'_>,
    target: &Target<'_>,
) -> Result<Delivery<'static>, CallError> {
    let available = meter::fuel_left(store);
    let spent = Cell::new(0);
    let copied = {
        let mut cx = store.as_context_mut();
        let (memory, state) = source.canon.memory_and_state(&mut cx);
        let StoreData {
            exchange,
            meter,
            canceller,
            shared,
            ..
        } = state;
        let handles = RefCell::new(&mut Machine::<T>::of(exchange)?.handles);
        let check = || meter.check(canceller.as_ref(), &*shared.platform);
        let limit = meter.budget().argument_bytes;
        let too_large = |limit, found| CallError::ArgumentTooLarge { limit, found };
        let spending = Spending::new(available, &spent);
        let passing = |canon: &Canon| Passing {
            handles: &handles,
            program,
            guest: canon.instance,
            with_host: false,
        };
        let (mut taken, mut given) = (passing(&source.canon), passing(&target.canon));
        let mut from = Lifting::new(
            &program.types,
            source.canon.encoding,
            memory,
            source.flat,
            &mut taken,
            Bounds {
                spending,
                room: limit,
                too_large,
                check: &check,
            },
        );
        let mut to = Lowering::new(
            &program.types,
            target.canon.encoding,
            &mut given,
            Bounds {
                spending,
                room: limit,
                too_large,
                check: &check,
            },
        );
        let copied = copy_values(source, target, &mut from, &mut to);
        copied.map(|()| Delivery::new(to.end()))
    };
    meter::charge(store, spent.get())?;
    copied
}

fn copy_values(
    source: &Source<'_>,
    target: &Target<'_>,
    from: &mut Lifting<'_>,
    to: &mut Lowering<'_, '_>,
) -> Result<(), CallError> {
    if let Some(layout) = source.at {
        from.go_to(
            address(source.flat.first().ok_or_else(other_type)?)?,
            layout,
        )?;
    }
    match target.place {
        Some((Some(address), layout)) => to.place(address, layout)?,
        Some((None, layout)) => to.spill(layout)?,
        None => {}
    }
    for (one, other) in source.types.iter().zip(target.types) {
        transfer(*one, *other, from, to)?;
    }
    Ok(())
}

/// A destructor of a resource, in progress.
pub(crate) struct Dropping {
    ty: ResourceId,
    rep: u32,
    /// The component instance that defines the resource, if another one drops it.
    enters: Option<ComponentInstance>,
    /// Whether the call has begun.
    entered: bool,
    run: Run,
}

impl Dropping {
    /// Returns the drop of the resource with the number `rep`, which `enters` the instance that defines it if that
    /// is given.
    pub(super) fn new(ty: ResourceId, rep: u32, enters: Option<ComponentInstance>) -> Self {
        Self {
            ty,
            rep,
            enters,
            entered: false,
            run: Run::default(),
        }
    }
}

impl Dropping {
    /// Takes a resource of the guest's away from the host, and returns its drop.
    pub(crate) fn of_host<T: 'static>(
        store: &mut Store<StoreData<T>>,
        resource: &Resource,
    ) -> Result<Self, CallError> {
        let machine = Machine::of_store(store)?;
        let number = usize::try_from(resource.ty.0).unwrap_or(usize::MAX);
        let definer = match machine.bound.program.resources.get(number) {
            Some(program::Resource::Defined { instance, .. }) => *instance,
            _ => return Err(not_held()),
        };
        machine.handles.check_origin(resource)?;
        let removed = machine
            .handles
            .remove(Holder::Host, resource.ty, resource.number);
        let handle = removed.map_err(|_| not_held())?;
        Ok(Self::new(resource.ty, handle.rep, Some(definer)))
    }

    /// Runs the destructor, if there is one.
    pub(crate) fn poll<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        if !self.entered {
            let machine = Machine::of_store(store)?;
            match self.enters {
                Some(definer) => machine.enter(definer)?,
                // Counted, since a destructor may drop the next resource, and each takes native stack.
                None => machine.nest()?,
            }
            self.entered = true;
        }
        let number = usize::try_from(self.ty.0).unwrap_or(usize::MAX);
        if let Some(function) = Machine::destructor(store, number)? {
            let params = [word(self.rep)];
            ready!(self.run.poll(store, context, function, &params, &mut []))
                .map_err(|error| error.in_export("destructor"))?;
        }
        let machine = Machine::of_store(store)?;
        match self.enters {
            Some(definer) => {
                machine.handles.check_borrows()?;
                machine.leave(definer)?;
            }
            None => machine.handles.end_call(),
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: 'static> Aside<T> for Dropping {
    fn poll(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        _: &mut FlatValues,
    ) -> Poll<Result<(), CallError>> {
        Self::poll(self, store, context)
    }
}
