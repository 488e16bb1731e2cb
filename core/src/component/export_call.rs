//! One call of an export of a component by the embedder.

use super::{
    bounds::Bounds,
    canon::{Delivery, address},
    core_call::{Calling, Entry},
    lift::Lifting,
    lower::Lowering,
    machine::{Bound, Machine, missing},
    other_type,
    resource::Passing,
    types::TypeId,
};
use crate::{
    base::fuel::Spending,
    call::{StoreData, meter},
    error::CallError,
};
use alloc::sync::Arc;
use core::{
    cell::{Cell, RefCell},
    task::{Context, Poll},
};
use wasmi::{AsContextMut, Store};

/// A call of an export, in progress.
pub(crate) struct ExportCall<'v, T: 'static> {
    bound: Arc<Bound<T>>,
    /// The number of the lifted function.
    number: usize,
    entry: Entry,
    calling: Calling<'v>,
}

impl<'v, T: 'static> ExportCall<'v, T> {
    /// Begins a call of the lifted function of this number: `lower` lowers its arguments.
    pub(crate) fn begin(
        store: &mut Store<StoreData<T>>,
        number: usize,
        lower: impl FnOnce(&[TypeId], &mut Lowering<'v, '_>) -> Result<(), CallError>,
    ) -> Result<Self, CallError> {
        let entry = Machine::entry(store, number)?;
        let machine = Machine::of_store(store)?;
        let bound = machine.bound.clone();
        machine.enter(entry.canon.instance)?;
        match Self::arguments(store, &bound, number, &entry, lower) {
            Ok(arguments) => {
                let shape = bound.lifted.get(number).ok_or_else(missing)?;
                Ok(Self {
                    calling: Calling::new(arguments, shape),
                    number,
                    entry,
                    bound,
                })
            }
            Err(error) => {
                Machine::of_store(store)?.undo_enter();
                Err(error)
            }
        }
    }

    /// Lowers the arguments, and charges for it.
    fn arguments(
        store: &mut Store<StoreData<T>>,
        bound: &Bound<T>,
        number: usize,
        entry: &Entry,
        lower: impl FnOnce(&[TypeId], &mut Lowering<'v, '_>) -> Result<(), CallError>,
    ) -> Result<Delivery<'v>, CallError> {
        let program = &bound.program;
        let shape = bound.lifted.get(number).ok_or_else(missing)?;
        let function = program.lifted.get(number).ok_or_else(missing)?;
        let available = meter::fuel_left(store);
        let spent = Cell::new(0);
        let StoreData {
            exchange,
            meter,
            canceller,
            shared,
            ..
        } = store.data_mut();
        let handles = RefCell::new(&mut Machine::<T>::of(exchange)?.handles);
        let mut passing = Passing {
            handles: &handles,
            program,
            guest: entry.canon.instance,
            with_host: true,
        };
        let check = || meter.check(canceller.as_ref(), &*shared.platform);
        let mut to = Lowering::new(
            &program.types,
            entry.canon.encoding,
            &mut passing,
            Bounds {
                spending: Spending::new(available, &spent),
                room: meter.budget().input_bytes,
                too_large: |limit, found| CallError::InputTooLarge { limit, found },
                check: &check,
            },
        );
        let spilled = match &shape.params {
            Some(layout) => to.spill(layout),
            None => Ok(()),
        };
        let lowered =
            spilled.and_then(|()| lower(&program.types.function(function.ty).params, &mut to));
        let delivery = Delivery::new(to.end());
        meter::charge(store, spent.get())?;
        lowered.map(|()| delivery)
    }

    /// Runs the function.
    pub(crate) fn poll(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let polled = self.calling.poll(store, context, &self.entry);
        polled.map_err(CallError::into_stop)
    }

    /// Lifts the result, whose type `lift` gets if there is one, and charges for it.
    pub(crate) fn lift<R>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        lift: impl FnOnce(Option<TypeId>, &mut Lifting<'_>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let program = &self.bound.program;
        let shape = self.bound.lifted.get(self.number).ok_or_else(missing)?;
        let function = program.lifted.get(self.number).ok_or_else(missing)?;
        let available = meter::fuel_left(store);
        let spent = Cell::new(0);
        let lifted = {
            let mut cx = store.as_context_mut();
            let (memory, state) = self.entry.canon.memory_and_state(&mut cx);
            let StoreData {
                exchange,
                meter,
                canceller,
                shared,
                ..
            } = state;
            let handles = RefCell::new(&mut Machine::<T>::of(exchange)?.handles);
            let mut passing = Passing {
                handles: &handles,
                program,
                guest: self.entry.canon.instance,
                with_host: true,
            };
            let check = || meter.check(canceller.as_ref(), &*shared.platform);
            let flat = self.calling.results();
            let mut from = Lifting::new(
                &program.types,
                self.entry.canon.encoding,
                memory,
                flat,
                &mut passing,
                Bounds {
                    spending: Spending::new(available, &spent),
                    room: meter.budget().output_bytes,
                    too_large: |limit, found| CallError::OutputTooLarge { limit, found },
                    check: &check,
                },
            );
            let placed = match &shape.result {
                Some(layout) => flat
                    .first()
                    .ok_or_else(other_type)
                    .and_then(address)
                    .and_then(|at| from.go_to(at, layout)),
                None => Ok(()),
            };
            placed.and_then(|()| lift(program.types.function(function.ty).result, &mut from))
        };
        meter::charge(store, spent.get())?;
        Machine::of_store(store)?.handles.check_borrows()?;
        lifted.map_err(|error| match error {
            // The guest is whole after these.
            CallError::OutputTooLarge { .. } | CallError::ValueType { .. } => error,
            error => error.into_stop(),
        })
    }

    /// Ends the call: runs `post-return`.
    pub(crate) fn poll_end(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        core::task::ready!(
            self.calling
                .poll_post_return(store, context, &self.entry.canon)
        )?;
        Machine::of_store(store)?.leave(self.entry.canon.instance)?;
        Poll::Ready(Ok(()))
    }
}
