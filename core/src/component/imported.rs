//! The core functions that the host supplies to a component's modules: lowered imports, lowered functions of other
//! component instances, and those for resources.

use super::{
    calling::{Dropping, GuestCall},
    canon::{Canon, Delivery, Shape},
    core_call::check_may_leave,
    host_call::{Answered, HostCall, Pending},
    machine::{Bound, Machine, Supply, missing},
    program::{Callee, ComponentInstance, Does, Lowered, Resource},
    resource::{Holder, Kind},
    types::{MAX_FLAT_PARAMS, ResourceId},
};
use crate::{
    base::{fuel::BASE, shape::FlatValues, signature::ValType},
    call::{
        StoreData, meter,
        result_shape::ResultShape,
        run::word,
        suspend::{Aside, Suspend, Suspended, Work},
    },
    error::{CallError, Trap, TrapKind},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::task::{Context, Poll, ready};
use wasmi::{AsContextMut, Caller, Func, FuncType, Store, StoreContextMut, Val};

/// Returns the core function of [`Program::lowered`](super::program::Program::lowered) of this number.
pub(super) fn lowered<T: 'static>(
    store: &mut Store<StoreData<T>>,
    bound: &Arc<Bound<T>>,
    number: usize,
) -> Result<Func, CallError> {
    let function = bound.program.lowered.get(number).ok_or_else(missing)?;
    let (shape, _) = bound.lowered.get(number).ok_or_else(missing)?;
    let canon = Machine::<T>::canon_of_lowered(store, function)?;
    let ty = core_type(bound, function, shape)?;
    let bound = bound.clone();
    Ok(Func::new(
        &mut *store,
        ty,
        move |mut caller: Caller<'_, StoreData<T>>, params: &[Val], results: &mut [Val]| {
            let mut guest = caller.as_context_mut();
            let canon = match canon {
                Some(canon) => canon,
                None => Machine::late_canon(&mut guest, number)
                    .map_err(|error| error.into_stop().into_wasmi())?,
            };
            call_lowered(guest, &bound, number, canon, params, results)
        },
    ))
}

/// Returns the core type of a function that calls a component-level one.
fn core_type<T>(
    bound: &Bound<T>,
    function: &Lowered,
    shape: &Shape,
) -> Result<FuncType, CallError> {
    let types = &bound.program.types;
    let ty = types.function(function.ty);
    let mut params: heapless::Vec<ValType, { MAX_FLAT_PARAMS + 1 }> = heapless::Vec::new();
    if shape.params.is_some() {
        let _ = params.push(ValType::I32);
    } else {
        for param in &ty.params {
            for flat in types.layout(*param).flat_types() {
                params.push(*flat).map_err(|_| missing())?;
            }
        }
    }
    let mut result = None;
    if shape.result.is_some() {
        let _ = params.push(ValType::I32);
    } else if let Some(ty) = ty.result {
        result = types.layout(ty).flat_types().first().copied();
    }
    Ok(FuncType::new(
        params.iter().copied().map(core),
        result.map(core),
    ))
}

/// Returns the interpreter's type of numbers.
const fn core(ty: ValType) -> wasmi::ValType {
    match ty {
        ValType::I64 => wasmi::ValType::I64,
        ValType::F32 => wasmi::ValType::F32,
        ValType::F64 => wasmi::ValType::F64,
        // Values are flat as numbers only.
        _ => wasmi::ValType::I32,
    }
}

/// Runs a call of a lowered function.
fn call_lowered<T: 'static>(
    mut guest: StoreContextMut<'_, StoreData<T>>,
    bound: &Arc<Bound<T>>,
    number: usize,
    canon: Canon,
    params: &[Val],
    results: &mut [Val],
) -> Result<(), wasmi::Error> {
    let Some((function, (shape, named))) = bound
        .program
        .lowered
        .get(number)
        .zip(bound.lowered.get(number))
    else {
        return Err(missing().into_wasmi());
    };
    let left = check_may_leave(guest.data());
    let called = left.and_then(|()| match function.callee {
        Callee::Lifted(callee) => {
            meter::charge(&mut guest, BASE)?;
            Ok(Outcome::Waits(Box::new(GuestCall::new(
                number, callee, canon, params,
            ))))
        }
        Callee::Import(import) => {
            let site = Site {
                bound: bound.clone(),
                number,
                import,
                canon,
            };
            site.call(guest.as_context_mut(), function, shape, params, results)
        }
    });
    match called {
        Ok(Outcome::Done) => Ok(()),
        Ok(Outcome::Waits(aside)) => Err(suspend(&mut guest, aside, named)),
        Err(error) => Err(error.into_stop().in_import(&named.name).into_wasmi()),
    }
}

/// Returns the error by which a guest leaves the interpreter to wait for `aside`.
fn suspend<T: 'static>(
    guest: &mut StoreContextMut<'_, StoreData<T>>,
    aside: Box<dyn Aside<T>>,
    named: &ResultShape,
) -> wasmi::Error {
    *guest.data_mut().suspended.get_mut() = Some(Suspended {
        work: Work::Aside(Box::new(aside)),
        result_shape: named.clone(),
        at: 0,
    });
    wasmi::Error::host(Suspend)
}

/// What became of a call.
enum Outcome<T> {
    Done,
    Waits(Box<dyn Aside<T>>),
}

/// A place where a guest calls a host function.
struct Site<T: 'static> {
    bound: Arc<Bound<T>>,
    /// The number of the lowered function.
    number: usize,
    /// The number of the import.
    import: usize,
    canon: Canon,
}

impl<T: 'static> Site<T> {
    /// Calls the host function.
    fn call(
        self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        function: &Lowered,
        shape: &Shape,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<Outcome<T>, CallError> {
        let host = match self.bound.supplies.get(self.import) {
            Some(Supply::Function(host)) => &**host,
            Some(Supply::Trap) => return Err(CallError::Trap(Trap::new(TrapKind::Stub, ""))),
            _ => return Err(missing()),
        };
        count(&mut guest)?;
        Machine::<T>::of(&mut guest.data_mut().exchange)?
            .handles
            .begin_call();
        let program = &self.bound.program;
        let available = meter::fuel_left(&mut guest);
        let contain = guest.data().shared.containment;
        let mut call = HostCall::new(
            guest.as_context_mut(),
            program,
            function.ty,
            shape,
            self.canon,
            params,
            available,
        );
        let done = contained(contain, &mut || host.call(&mut call));
        let (spent, answer) = call.end();
        meter::charge(&mut guest, spent)?;
        let stage = match done? {
            Answered::Later(pending) => Stage::Pending(pending),
            Answered::Now => {
                let mut answer = answered(program, function, answer)?;
                if !answer.needs_realloc() || answer.finish_in_call(&mut guest, &self.canon)? {
                    for (result, value) in results.iter_mut().zip(answer.flat()) {
                        *result = value.clone();
                    }
                    end_host_call(&mut guest)?;
                    return Ok(Outcome::Done);
                }
                Stage::Delivering(Box::new(answer))
            }
        };
        Ok(Outcome::Waits(Box::new(HostWait {
            site: self,
            params: params.into(),
            stage,
        })))
    }
}

/// Counts and charges a call of the host.
fn count<T>(guest: &mut StoreContextMut<'_, StoreData<T>>) -> Result<(), CallError> {
    let state = guest.data_mut();
    if !state.meter.host_call() {
        let limit = state.meter.budget().host_calls;
        return Err(CallError::HostCalls { limit });
    }
    meter::charge(guest, BASE)
}

/// Runs `work`, and contains its panics if the platform can.
fn contained<R>(
    contain: Option<fn(&mut dyn FnMut())>,
    work: &mut dyn FnMut() -> Result<R, CallError>,
) -> Result<R, CallError> {
    let Some(contain) = contain else {
        return work();
    };
    let mut done = None;
    contain(&mut || {
        // Only once, even if the embedder's containment calls it again.
        if done.is_none() {
            done = Some(work());
        }
    });
    let panicked = || Err(CallError::Trap(Trap::new(TrapKind::HostPanic, "")));
    done.unwrap_or_else(panicked)
}

/// Returns the result of a host function, none of a function that has none.
fn answered(
    program: &super::program::Program,
    function: &Lowered,
    answer: Option<Delivery<'static>>,
) -> Result<Delivery<'static>, CallError> {
    match (program.types.function(function.ty).result, answer) {
        (Some(_), Some(answer)) => Ok(answer),
        (None, None) => Ok(Delivery::new(super::lower::Lowered::default())),
        _ => Err(CallError::ValueType {
            reason: "a host function returned a result, or none, against its type".into(),
        }),
    }
}

/// Ends a call of a host function.
fn end_host_call<T: 'static>(
    guest: &mut StoreContextMut<'_, StoreData<T>>,
) -> Result<(), CallError> {
    Machine::<T>::of(&mut guest.data_mut().exchange)?
        .handles
        .end_call();
    Ok(())
}

/// A host function for which a guest waits.
struct HostWait<T: 'static> {
    site: Site<T>,
    params: Vec<Val>,
    stage: Stage<T>,
}

/// The stage of a call of a host function.
enum Stage<T: 'static> {
    /// It has no result yet.
    Pending(Box<dyn Pending<T>>),
    /// The result needs buffers of the guest.
    Delivering(Box<Delivery<'static>>),
}

impl<T: 'static> Aside<T> for HostWait<T> {
    fn poll(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        values: &mut FlatValues,
    ) -> Poll<Result<(), CallError>> {
        let Site {
            bound,
            number,
            canon,
            ..
        } = &self.site;
        if let Stage::Pending(pending) = &mut self.stage {
            let function = bound.program.lowered.get(*number).ok_or_else(missing)?;
            let (shape, _) = bound.lowered.get(*number).ok_or_else(missing)?;
            let available = meter::fuel_left(store);
            let contain = store.data().shared.containment;
            let mut call = HostCall::new(
                store.as_context_mut(),
                &bound.program,
                function.ty,
                shape,
                *canon,
                &self.params,
                available,
            );
            let polled = contained(contain, &mut || Ok(pending.poll(&mut call, context)));
            let (spent, answer) = call.end();
            meter::charge(store, spent)?;
            ready!(polled?)?;
            let answer = answered(&bound.program, function, answer)?;
            self.stage = Stage::Delivering(Box::new(answer));
        }
        if let Stage::Delivering(delivery) = &mut self.stage {
            ready!(delivery.poll(store, context, canon))?;
            values.extend(delivery.flat().iter().cloned());
        }
        end_host_call(&mut store.as_context_mut())?;
        Poll::Ready(Ok(()))
    }
}

/// Returns the function that makes handles to resources of type `ty`.
pub(super) fn resource_new<T: 'static>(
    store: &mut Store<StoreData<T>>,
    ty: ResourceId,
    instance: ComponentInstance,
) -> Func {
    Func::wrap(
        store,
        move |mut caller: Caller<'_, StoreData<T>>, rep: u32| {
            with_machine(&mut caller, true, |machine| {
                let guest = Holder::Guest(instance);
                machine.handles.add(guest, ty, rep, Kind::Own)
            })
        },
    )
}

/// Returns the function that tells the number with which a resource was made.
pub(super) fn resource_rep<T: 'static>(
    store: &mut Store<StoreData<T>>,
    ty: ResourceId,
    instance: ComponentInstance,
) -> Func {
    Func::wrap(
        store,
        move |mut caller: Caller<'_, StoreData<T>>, index: u32| {
            with_machine(&mut caller, false, |machine| {
                let guest = Holder::Guest(instance);
                machine
                    .handles
                    .get(guest, ty, index)
                    .map(|handle| handle.rep)
            })
        },
    )
}

/// Returns the function of [`Program::built_ins`](super::program::Program::built_ins) of this number.
pub(super) fn built_in<T: 'static>(
    store: &mut Store<StoreData<T>>,
    bound: &Arc<Bound<T>>,
    number: usize,
) -> Result<Func, CallError> {
    let function = bound.program.built_ins.get(number).ok_or_else(missing)?;
    let ty = FuncType::new(
        function.params.iter().copied().map(core),
        function.result.map(core),
    );
    let leaves = function.does == Does::Trap;
    let bound = bound.clone();
    Ok(Func::new(
        &mut *store,
        ty,
        move |mut caller: Caller<'_, StoreData<T>>, params: &[Val], results: &mut [Val]| {
            let param = match params.first() {
                Some(Val::I32(param)) => param.cast_unsigned(),
                _ => 0,
            };
            let done = with_machine(&mut caller, leaves, |machine| {
                let function = bound.program.built_ins.get(number).ok_or_else(missing)?;
                machine.run_built_in(function, param)
            })?;
            if let Some((result, done)) = results.first_mut().zip(done) {
                *result = word(done);
            }
            Ok(())
        },
    ))
}

/// Charges a call of the machine, and makes it. Fails if it `leaves` the component instance and the guest must not.
fn with_machine<T: 'static, R>(
    caller: &mut Caller<'_, StoreData<T>>,
    leaves: bool,
    work: impl FnOnce(&mut Machine<T>) -> Result<R, CallError>,
) -> Result<R, wasmi::Error> {
    let charged = meter::charge(caller, BASE);
    let left = charged.and_then(|()| match leaves {
        true => check_may_leave(caller.data()),
        false => Ok(()),
    });
    let done = left
        .and_then(|()| Machine::<T>::of(&mut caller.data_mut().exchange))
        .and_then(work);
    done.map_err(|error| error.into_stop().into_wasmi())
}

/// Returns the function that drops handles to resources of type `ty`.
pub(super) fn resource_drop<T: 'static>(
    store: &mut Store<StoreData<T>>,
    bound: &Arc<Bound<T>>,
    ty: ResourceId,
    instance: ComponentInstance,
) -> Result<Func, CallError> {
    let number = usize::try_from(ty.0).unwrap_or(usize::MAX);
    let resource = bound.program.resources.get(number).ok_or_else(missing)?;
    let dropped = match resource {
        Resource::Imported(import) => match bound.supplies.get(*import) {
            Some(Supply::Resource(host)) => Dropped::Host(host.clone()),
            _ => Dropped::Host(None),
        },
        Resource::Defined {
            instance,
            destructor,
        } => Dropped::Guest(*instance, destructor.is_some()),
    };
    let (bound, named) = (
        bound.clone(),
        ResultShape {
            name: "resource.drop".into(),
            shape: crate::base::shape::Shape::Values,
            record: 0,
        },
    );
    Ok(Func::wrap(
        &mut *store,
        move |mut caller: Caller<'_, StoreData<T>>, index: u32| -> Result<(), wasmi::Error> {
            let rep = with_machine(&mut caller, true, |machine| {
                let guest = Holder::Guest(instance);
                let handle = machine.handles.remove(guest, ty, index)?;
                Ok((handle.kind == Kind::Own).then_some(handle.rep))
            })?;
            let Some(rep) = rep else {
                return Ok(());
            };
            match &dropped {
                Dropped::Host(None) => Ok(()),
                Dropped::Host(Some(host)) => {
                    let mut guest = caller.as_context_mut();
                    let available = meter::fuel_left(&mut guest);
                    let contain = guest.data().shared.containment;
                    let done = count(&mut guest).and_then(|()| {
                        let shape = Shape::none();
                        let canon = Canon::none(instance);
                        let mut call = HostCall::new(
                            guest.as_context_mut(),
                            &bound.program,
                            bound.program.types.nothing(),
                            &shape,
                            canon,
                            &[],
                            available.saturating_sub(BASE),
                        );
                        let done = contained(contain, &mut || host.dropped(&mut call, rep));
                        let (spent, _) = call.end();
                        meter::charge(&mut guest, spent)?;
                        done
                    });
                    done.map_err(|error| error.into_stop().in_import(&named.name).into_wasmi())
                }
                Dropped::Guest(definer, destructor) => {
                    // Entered even without a destructor, so that whether it has one makes no difference.
                    let enters = *definer != instance;
                    if !*destructor && !enters {
                        return Ok(());
                    }
                    let aside = Dropping::new(ty, rep, enters.then_some(*definer));
                    let mut guest = caller.as_context_mut();
                    Err(suspend(&mut guest, Box::new(aside), &named))
                }
            }
        },
    ))
}

/// What happens when the owner of a resource drops it.
enum Dropped<T> {
    /// It is the embedder's.
    Host(Option<Arc<dyn super::host_call::HostResource<T>>>),
    /// A component instance defines it, which may have a destructor.
    Guest(ComponentInstance, bool),
}
