//! Host functions for core modules with a contract.

use super::{
    super::{
        ComponentType,
        bounds::Bounds,
        canon::{Canon, Delivery, address},
        core_call::cannot_leave,
        function::{Closure, Returned, Typed},
        layout::Layout,
        lift::Lifting,
        lower::{Lower, Lowering},
        other_type,
        parts::LiftParts,
        program::{ComponentInstance, Encoding},
        source::Fixed,
    },
    FixedType, NoHandles,
};
use crate::{
    base::{
        fuel::Spending,
        shape::{FlatValues, Shape},
        signature::ValType,
    },
    call::{
        Guest, StoreData,
        access::InstanceAccess,
        later::Later,
        meter,
        suspend::{Aside, Work},
    },
    error::{CallError, Trap},
    host_functions::{Answer, Context, Define, HostCall, HostFunction, Unfinished, definition},
    marshal::{FlatCounts, Types},
};
use alloc::boxed::Box;
use core::{
    cell::Cell,
    task::{self, Poll, ready},
};
use wasmi::{AsContextMut, Store, StoreContextMut, Val};

/// A closure as a function that guests import.
trait FixedClosure<T>: Closure<T> {
    const TYPE: &'static FixedType;
}

impl<T, C: Closure<T>> FixedClosure<T> for C {
    const TYPE: &'static FixedType =
        &FixedType::lowered::<C::Params, <C::Result as Returned>::Value>();
}

impl<T: 'static, C: Closure<T>> HostFunction<T> for Typed<C> {
    fn params(&self) -> Types {
        types(C::TYPE.params())
    }

    fn results(&self) -> Types {
        types(C::TYPE.results())
    }

    fn define(&self, shape: Shape) -> Define<T> {
        definition(
            const { FlatCounts::count(C::TYPE.params()) },
            const { FlatCounts::count(C::TYPE.results()) },
            shape,
        )
    }

    fn refusal_when_nested(&self) -> Option<CallError> {
        Some(cannot_leave())
    }

    fn call(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        call: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>> {
        let mut params = None;
        lift_params(&mut guest, call, C::TYPE, &mut |from| {
            params = Some(C::Params::lift_each((), from)?);
            Ok(())
        })?;
        let params = params.ok_or_else(other_type)?;
        let returned = {
            let StoreData {
                data,
                shared,
                meter,
                ..
            } = guest.data_mut();
            let spending = call.spending(meter.reserve);
            let context = &mut Context::without_memory(data, shared, meter, spending);
            self.0.run(context, params)
        };
        let place = result_place(C::TYPE, call.params())?;
        let value = match returned.into_answer() {
            Answer::Now(value) => value.map_err(CallError::Trap)?,
            Answer::Later(later) => {
                let later = Later::new(later);
                let pending = Pending {
                    later,
                    place,
                    delivering: None,
                };
                return Err(waits::<T>(call, Box::new(pending)));
            }
        };
        if <C::Result as Returned>::Value::IS_NOTHING {
            return Ok(());
        }
        give(&mut guest, call, place, &mut |to| value.lower((), to))
    }
}

/// Returns core types as those of host functions.
fn types(core: &[ValType]) -> Types {
    Types::collect(|types| core.iter().for_each(|ty| types.push(*ty)))
}

/// The address to which a result goes, and its layout.
type Place = Option<(u32, &'static Layout)>;

/// Returns the place of a result; `None` if it is a core value.
fn result_place(ty: &'static FixedType, params: &[Val]) -> Result<Place, CallError> {
    let Some(layout) = &ty.shape.result else {
        return Ok(None);
    };
    let at = address(params.last().ok_or_else(other_type)?)?;
    Ok(Some((at, layout)))
}

/// Returns how values get in and out of a guest.
pub(super) fn canon(guest: &Guest) -> Canon {
    Canon {
        memory: guest.memory,
        realloc: guest.realloc,
        ..Canon::none(ComponentInstance(0))
    }
}

/// Lifts the arguments of a call.
#[inline(never)]
fn lift_params<T>(
    guest: &mut StoreContextMut<'_, StoreData<T>>,
    call: &HostCall<'_, '_>,
    ty: &FixedType,
    lift: &mut dyn FnMut(&mut Lifting<'_, Fixed>) -> Result<(), CallError>,
) -> Result<(), CallError> {
    let canon = canon(&guest.data().guest);
    let (memory, state) = canon.memory_and_state(guest);
    let StoreData {
        meter,
        canceller,
        shared,
        ..
    } = state;
    let check = || meter.check(canceller.as_ref(), &*shared.platform);
    let mut handles = NoHandles;
    let mut from = Lifting::new(
        (),
        Encoding::Utf8,
        memory,
        call.params(),
        &mut handles,
        Bounds {
            spending: call.spending(meter.reserve),
            room: meter.budget().argument_bytes,
            too_large: |limit, found| CallError::ArgumentTooLarge { limit, found },
            check: &check,
        },
    );
    if let Some(layout) = &ty.shape.params {
        let at = call.params().first().ok_or_else(other_type)?;
        from.go_to(address(at)?, layout)?;
    }
    lift(&mut from)
}

/// Lowers a value.
type Lowers<'l, 'v> = &'l mut dyn FnMut(&mut Lowering<'v, '_, Fixed>) -> Result<(), CallError>;

/// Lowers a result, and writes it if that needs no `realloc`.
#[inline(never)]
fn lower_result<'v, T>(
    guest: &mut StoreContextMut<'_, StoreData<T>>,
    spending: Spending<'_>,
    place: Place,
    lower: Lowers<'_, 'v>,
) -> Result<Delivery<'v>, CallError> {
    let canon = canon(&guest.data().guest);
    let (memory, state) = canon.memory_and_state(guest);
    let StoreData {
        meter,
        canceller,
        shared,
        ..
    } = state;
    let limit = meter.budget().bytes_to_guest;
    let room = limit.saturating_sub(meter.usage.bytes_to_guest);
    let check = || meter.check(canceller.as_ref(), &*shared.platform);
    let mut handles = NoHandles;
    let mut to = Lowering::new(
        (),
        Encoding::Utf8,
        &mut handles,
        Bounds {
            spending,
            room,
            too_large: |_, _| CallError::BytesToGuest { limit: 0 },
            check: &check,
        },
    );
    if let Some((address, layout)) = place {
        to.place(address, layout)?;
    }
    let lowered = lower(&mut to);
    let found = to.taken();
    let mut delivery = Delivery::new(to.end());
    lowered.map_err(|error| match error {
        // With the limit's figure.
        CallError::BytesToGuest { .. } => CallError::BytesToGuest { limit },
        error => error,
    })?;
    meter.hand_to_guest(found)?;
    if !delivery.needs_realloc() {
        delivery.write_all(memory)?;
        return Ok(delivery.finished());
    }
    Ok(delivery)
}

/// Lowers a result, and gives it to the guest; or returns why the guest waits for it.
#[inline(never)]
fn give<'v, T: 'static>(
    guest: &mut StoreContextMut<'_, StoreData<T>>,
    call: &mut HostCall<'_, '_>,
    place: Place,
    lower: Lowers<'_, 'v>,
) -> Result<(), Box<Unfinished>> {
    let spending = call.spending(guest.data().meter.reserve);
    let mut delivery = lower_result(guest, spending, place, lower)?;
    if delivery.needs_realloc() {
        // Guest code runs next, and must not use fuel that is spent already.
        call.settle(guest)?;
        let canon = canon(&guest.data().guest);
        if !delivery.finish_in_call(guest, &canon)? {
            let delivering = Delivering(delivery.into_owned()?);
            return Err(waits::<T>(call, Box::new(delivering)));
        }
    }
    if let [number] = delivery.flat() {
        call.give_number(number.clone());
    }
    Ok(())
}

/// Returns the outcome by which a guest waits.
#[cold]
fn waits<T: 'static>(call: &HostCall<'_, '_>, aside: Box<dyn Aside<T>>) -> Box<Unfinished> {
    call.waits(Work::Aside(Box::new(aside)))
}

/// A result that needs the guest's `realloc`.
struct Delivering(Delivery<'static>);

impl<T: 'static> Aside<T> for Delivering {
    fn poll(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut task::Context<'_>,
        values: &mut FlatValues,
    ) -> Poll<Result<(), CallError>> {
        let canon = canon(&store.data().guest);
        ready!(self.0.poll(store, context, &canon))?;
        values.extend(self.0.flat().iter().cloned());
        Poll::Ready(Ok(()))
    }
}

/// A result that is not there yet.
struct Pending<V> {
    later: Later<Result<V, Trap>>,
    place: Place,
    delivering: Option<Delivering>,
}

impl<T: 'static, V: Lower> Aside<T> for Pending<V> {
    fn poll(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut task::Context<'_>,
        values: &mut FlatValues,
    ) -> Poll<Result<(), CallError>> {
        if self.delivering.is_none() {
            let spent = Cell::new(0);
            // Waiting costs no fuel.
            let spending = Spending::new(0, &spent);
            let access = InstanceAccess::without_memory(store.data_mut(), spending);
            let value = ready!(self.later.poll(&access, context)?).map_err(CallError::Trap)?;
            if V::IS_NOTHING {
                return Poll::Ready(Ok(()));
            }
            let spending = Spending::new(meter::fuel_left(store), &spent);
            let guest = &mut store.as_context_mut();
            let lowered = lower_result(guest, spending, self.place, &mut |to| value.lower((), to));
            let lowered = lowered.and_then(Delivery::into_owned);
            meter::charge(store, spent.get())?;
            self.delivering = Some(Delivering(lowered?));
        }
        match &mut self.delivering {
            Some(delivering) => delivering.poll(store, context, values),
            None => Poll::Ready(Ok(())),
        }
    }
}
