//! One call of an export of a core module with a contract.

use super::{
    super::{
        bounds::Bounds,
        canon::{Delivery, address},
        core_call::{Calling, Entry},
        lift::Lifting,
        lower::Lowering,
        other_type,
        program::Encoding,
        source::Fixed,
    },
    FixedType, NoHandles,
    function::canon,
};
use crate::{
    base::fuel::Spending,
    call::{StoreData, meter},
    error::CallError,
};
use core::{
    cell::Cell,
    task::{Context, Poll},
};
use wasmi::{AsContextMut, Store};

/// A call of an export, in progress.
pub(crate) struct ExportCall<'v> {
    entry: Entry,
    ty: &'static FixedType,
    calling: Calling<'v>,
}

impl Entry {
    /// Returns the export `name` of an instance, with what runs after it.
    pub(crate) fn find<T>(
        store: &Store<StoreData<T>>,
        instance: wasmi::Instance,
        name: &str,
    ) -> Option<Self> {
        let mut canon = canon(&store.data().guest);
        canon.post_return = instance.get_func(store, &["cabi_post_", name].concat());
        Some(Self {
            function: instance.get_func(store, name)?,
            canon,
        })
    }
}

impl<'v> ExportCall<'v> {
    /// Begins a call: `lower` lowers its arguments.
    pub(crate) fn begin<T: 'static>(
        store: &mut Store<StoreData<T>>,
        entry: Entry,
        ty: &'static FixedType,
        lower: &mut dyn FnMut(&mut Lowering<'v, '_, Fixed>) -> Result<(), CallError>,
    ) -> Result<Self, CallError> {
        let available = meter::fuel_left(store);
        let spent = Cell::new(0);
        let StoreData {
            meter,
            canceller,
            shared,
            ..
        } = store.data();
        let check = || meter.check(canceller.as_ref(), &*shared.platform);
        let mut handles = NoHandles;
        let mut to = Lowering::new(
            (),
            Encoding::Utf8,
            &mut handles,
            Bounds {
                spending: Spending::new(available, &spent),
                room: meter.budget().input_bytes,
                too_large: |limit, found| CallError::InputTooLarge { limit, found },
                check: &check,
            },
        );
        let spilled = match &ty.shape.params {
            Some(layout) => to.spill(layout),
            None => Ok(()),
        };
        let lowered = spilled.and_then(|()| lower(&mut to));
        let arguments = Delivery::new(to.end());
        meter::charge(store, spent.get())?;
        lowered?;
        Ok(Self {
            calling: Calling::new(arguments, &ty.shape),
            entry,
            ty,
        })
    }

    /// Runs the function.
    pub(crate) fn poll<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let polled = self.calling.poll(store, context, &self.entry);
        polled.map_err(CallError::into_stop)
    }

    /// Lifts the result by `lift`, and charges for it.
    pub(crate) fn lift<T: 'static>(
        &self,
        store: &mut Store<StoreData<T>>,
        lift: &mut dyn FnMut(&mut Lifting<'_, Fixed>) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let available = meter::fuel_left(store);
        let spent = Cell::new(0);
        let lifted = {
            let mut cx = store.as_context_mut();
            let (memory, state) = self.entry.canon.memory_and_state(&mut cx);
            let StoreData {
                meter,
                canceller,
                shared,
                ..
            } = state;
            let check = || meter.check(canceller.as_ref(), &*shared.platform);
            let flat = self.calling.results();
            let mut handles = NoHandles;
            let mut from = Lifting::new(
                (),
                Encoding::Utf8,
                memory,
                flat,
                &mut handles,
                Bounds {
                    spending: Spending::new(available, &spent),
                    room: meter.budget().output_bytes,
                    too_large: |limit, found| CallError::OutputTooLarge { limit, found },
                    check: &check,
                },
            );
            let placed = match &self.ty.shape.result {
                Some(layout) => flat
                    .first()
                    .ok_or_else(other_type)
                    .and_then(address)
                    .and_then(|at| from.go_to(at, layout)),
                None => Ok(()),
            };
            placed.and_then(|()| lift(&mut from))
        };
        meter::charge(store, spent.get())?;
        lifted.map_err(|error| match error {
            // The guest is whole after these.
            CallError::OutputTooLarge { .. } | CallError::ValueType { .. } => error,
            error => error.into_stop(),
        })
    }

    /// Ends the call: runs `post-return`.
    pub(crate) fn poll_end<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        self.calling
            .poll_post_return(store, context, &self.entry.canon)
    }
}
