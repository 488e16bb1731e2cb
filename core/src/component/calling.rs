//! Calls of functions that a component defines: by another component instance, by the embedder, and destructors.
//!
//! A guest that calls another one leaves the interpreter, and both calls are driven from outside of it: so they run
//! in slices of one budget, and no call of a guest takes native stack of the interpreter's.

use super::{
    bounds::Bounds,
    canon::{Canon, Delivery, address},
    core_call::{Calling, Entry},
    layout::Layout,
    lift::{Lifting, Position},
    lower::{Lowering, Paused},
    machine::{Bound, Machine, missing},
    other_type,
    program::{self, ComponentInstance, Lifted, Program},
    resource::{Holder, Passing, Resource, not_held},
    transfer::Transfer,
    types::{ResourceId, TypeId},
};
use crate::{
    base::{fuel::Spending, shape::FlatValues},
    call::{
        StoreData, meter,
        run::{self, Run, word},
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
    /// The copy of the arguments or of the result, if it is paused.
    paused: Option<Box<PausedCopy>>,
}

/// The next stage of a call of one component instance by another. In boxes, since each call inside another one takes
/// native stack for them.
enum Stage {
    /// Copies the arguments.
    Arguments,
    /// Runs the callee.
    Call(Box<Calling<'static>>),
    /// Copies the result.
    Copy(Box<Calling<'static>>),
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
            paused: None,
        }
    }

    /// Copies the arguments from the caller, and begins the call. Returns `None` if the copy pauses.
    // Not inlined, as `end`: its native stack is given back before the callee runs.
    #[inline(never)]
    fn begin<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        bound: &Bound<T>,
        callee: &Lifted,
        entry: &Entry,
    ) -> Result<Option<Box<Calling<'static>>>, CallError> {
        let lowered = bound.program.lowered.get(self.number).ok_or_else(missing)?;
        let (from, _) = bound.lowered.get(self.number).ok_or_else(missing)?;
        let to = bound.lifted.get(self.callee).ok_or_else(missing)?;
        if self.paused.is_none() {
            Machine::of_store(store)?.enter(callee.instance)?;
        }
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
            &mut self.paused,
        )?;
        Ok(arguments.map(|arguments| Box::new(Calling::new(arguments, to))))
    }

    /// Copies the result from the callee. Returns `None` if the copy pauses.
    #[inline(never)]
    fn end<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        bound: &Bound<T>,
        callee: &Lifted,
        entry: &Entry,
        results: &[Val],
    ) -> Result<Option<Box<Delivery<'static>>>, CallError> {
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
        let copied = copy(store, &bound.program, &source, &target, &mut self.paused)?;
        let Some(delivery) = copied else {
            return Ok(None);
        };
        Machine::of_store(store)?.handles.check_borrows()?;
        Ok(Some(Box::new(delivery)))
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
            match core::mem::replace(&mut self.stage, Stage::Ended) {
                Stage::Arguments => match self.begin(store, &bound, callee, &entry)? {
                    Some(calling) => self.stage = Stage::Call(calling),
                    None => {
                        self.stage = Stage::Arguments;
                        ready!(run::poll_step(store, context))?;
                    }
                },
                Stage::Call(mut calling) => match calling.poll(store, context, &entry)? {
                    Poll::Ready(()) => self.stage = Stage::Copy(calling),
                    Poll::Pending => {
                        self.stage = Stage::Call(calling);
                        return Poll::Pending;
                    }
                },
                Stage::Copy(calling) => {
                    let copied = self.end(store, &bound, callee, &entry, calling.results())?;
                    match copied {
                        Some(result) => self.stage = Stage::Result(calling, result),
                        None => {
                            self.stage = Stage::Copy(calling);
                            ready!(run::poll_step(store, context))?;
                        }
                    }
                }
                Stage::Result(calling, mut delivery) => {
                    match delivery.poll(store, context, &self.caller)? {
                        Poll::Ready(()) => {
                            let result = delivery.flat().first().cloned();
                            self.stage = Stage::PostReturn(calling, result);
                        }
                        Poll::Pending => {
                            self.stage = Stage::Result(calling, delivery);
                            return Poll::Pending;
                        }
                    }
                }
                Stage::PostReturn(mut calling, result) => {
                    match calling.poll_post_return(store, context, &entry.canon)? {
                        Poll::Ready(()) => {
                            values.extend(result);
                            Machine::of_store(store)?.leave(callee.instance)?;
                        }
                        Poll::Pending => {
                            self.stage = Stage::PostReturn(calling, result);
                            return Poll::Pending;
                        }
                    }
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

/// A copy of values that is paused.
struct PausedCopy {
    transfer: Transfer,
    /// The position in the source, and the bytes of the host's heap that were taken so far.
    from: (Position, usize),
    to: Paused<'static>,
}

/// Copies values from one guest for another, or a part of them. Charges for it. Returns `None` if it is not done: then
/// it is `paused`, and goes on with the next call.
fn copy<T: 'static>(
    store: &mut Store<StoreData<T>>,
    program: &Program,
    source: &Source<'_>,
    target: &Target<'_>,
    paused: &mut Option<Box<PausedCopy>>,
) -> Result<Option<Delivery<'static>>, CallError> {
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
        let copied = copy_part(source, target, &mut from, &mut to, paused.take(), &spent);
        copied.map(|rest| match rest {
            None => Some(Delivery::new(to.end())),
            Some(transfer) => {
                *paused = Some(Box::new(PausedCopy {
                    transfer,
                    from: (from.position(), from.taken()),
                    to: to.pause(),
                }));
                None
            }
        })
    };
    let slice = meter::fuel(&store.as_context_mut());
    meter::charge(store, spent.get())?;
    if let Some(pace) = &store.data().pace {
        // The slice counts towards the step already.
        pace.take(spent.get().saturating_sub(slice));
    }
    copied
}

/// Begins a copy, or goes on with a paused one. Returns the paused copy if parts remain.
fn copy_part(
    source: &Source<'_>,
    target: &Target<'_>,
    from: &mut Lifting<'_>,
    to: &mut Lowering<'static, '_>,
    paused: Option<Box<PausedCopy>>,
    spent: &Cell<u64>,
) -> Result<Option<Transfer>, CallError> {
    let mut transfer = match paused {
        Some(paused) => {
            let (position, taken) = paused.from;
            from.resume(position, taken);
            to.resume(paused.to);
            paused.transfer
        }
        None => {
            go_to_first(source, target, from, to)?;
            Transfer::default()
        }
    };
    let done = transfer.run((source.types, target.types), from, to, spent)?;
    Ok((!done).then_some(transfer))
}

/// Goes to the places of the first values.
fn go_to_first(
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
        Some((Some(address), layout)) => to.place(address, layout),
        Some((None, layout)) => to.spill(layout),
        None => Ok(()),
    }
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
