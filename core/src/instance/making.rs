//! Makes the core instances of a component, and resets them.

use super::{
    image::{Image, MutableState},
    loaded::Loaded,
    written::Written,
};
use crate::{
    call::{
        StoreData, meter,
        run::{Run, stopped},
    },
    component::{
        machine::{Bound, Machine, missing},
        program::Instantiate,
    },
    error::CallError,
    module::START,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::task::{Context, Poll, ready};
use wasmi::{Extern, Func, Store};

/// Making the core instances of a component, in progress.
#[derive(Default)]
pub(crate) struct Making {
    /// Number of those that are made, and whose start function has ended.
    done: usize,
    /// The next one, once it is made.
    made: Option<wasmi::Instance>,
    /// Number of its functions that have ended: its start function, and its initializer.
    ended: usize,
    /// The one that runs.
    running: Option<Func>,
    run: Run,
}

impl Making {
    /// Makes the instances, each after the start functions of those before.
    pub(super) fn poll<T: 'static>(
        &mut self,
        loaded: &Loaded<T>,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let bound = Machine::<T>::of_store(store)?.bound.clone();
        while let Some(step) = bound.program.steps.get(self.done) {
            let instance = match self.made {
                Some(instance) => instance,
                None => *self.made.insert(make(loaded, store, &bound, step)?),
            };
            let functions = [Some(START), step.initializer.as_deref()];
            while let Some(name) = functions.get(self.ended) {
                if self.running.is_none() {
                    self.running = name.and_then(|name| instance.get_func(&*store, name));
                    if self.running.is_some() {
                        Machine::<T>::of_store(store)?.enter(step.instance)?;
                    }
                }
                if let Some(function) = self.running {
                    ready!(self.run.poll(store, context, function, &[], &mut []))
                        .map_err(|error| error.in_export("start function"))?;
                    Machine::<T>::of_store(store)?.leave(step.instance)?;
                    self.running = None;
                }
                self.ended = self.ended.saturating_add(1);
            }
            (self.made, self.ended) = (None, 0);
            self.done = self.done.saturating_add(1);
        }
        Poll::Ready(Ok(()))
    }
}

/// Makes the next core instance. No guest code runs.
fn make<T: 'static>(
    loaded: &Loaded<T>,
    store: &mut Store<StoreData<T>>,
    bound: &Arc<Bound<T>>,
    step: &Instantiate,
) -> Result<wasmi::Instance, CallError> {
    let (info, module) = bound.modules.get(step.module).ok_or_else(missing)?;
    meter::charge(store, info.instantiation_fuel())?;
    let mut imports = Vec::with_capacity(step.arguments.len().saturating_add(1));
    for argument in &step.arguments {
        imports.push(Machine::<T>::item(store, argument)?);
    }
    // Memories that are made need not be grown in parts.
    let in_parts = store.data_mut().limiter.set_in_parts(false);
    #[cfg(feature = "mappings")]
    let written = if info.changes.imports_memory {
        let made = loaded.memories.make(store, info, &loaded.limits);
        let made = made.map_err(|needed| CallError::DoesNotFit {
            needed,
            free: Some(0),
        })?;
        imports.extend(made.as_ref().map(|made| Extern::from(made.memory)));
        made.map(Written::of).unwrap_or_default()
    } else {
        Written::default()
    };
    #[cfg(not(feature = "mappings"))]
    let (_, written) = (loaded, Written::default());
    // wasmi takes them by their kinds, and those of a kind in the module's order.
    imports.sort_by_key(|import| match import {
        Extern::Func(_) => 0,
        Extern::Table(_) => 1,
        Extern::Memory(_) => 2,
        Extern::Global(_) => 3,
    });
    let instance = wasmi::Instance::new(&mut *store, module, &imports)
        .map_err(|error| stopped(store, &error))?;
    // Copying the segments can't be interrupted, so the deadline is checked after it.
    meter::check_time(store.data())?;
    let in_parts = in_parts || info.changes.grows_in_parts;
    store.data_mut().limiter.set_in_parts(in_parts);
    let machine = Machine::<T>::of_store(store)?;
    machine.instances.push(instance);
    if info.changes.has_state() {
        let part = Part {
            instance,
            written,
            mutable: None,
        };
        match machine.kept.downcast_mut::<Vec<Part>>() {
            Some(parts) => parts.push(part),
            None => machine.kept = Box::new(Vec::from([part])),
        }
    }
    Ok(instance)
}

/// A core instance that can change.
struct Part {
    instance: wasmi::Instance,
    /// Which parts of its memory were written.
    written: Written,
    /// Handles to what it can change, looked up on first use.
    mutable: Option<MutableState>,
}

/// Does `work` with the core instances that can change. Returns `None` if it does, or if the store has no component.
fn with_parts<T: 'static, R>(
    store: &mut Store<StoreData<T>>,
    work: impl FnOnce(&mut Store<StoreData<T>>, &mut [Part]) -> R,
) -> Option<R> {
    let machine = Machine::<T>::of_store(store).ok()?;
    // Taken out, since the work borrows the store.
    let mut kept = core::mem::replace(&mut machine.kept, Box::new(()));
    let mut none = Vec::new();
    let parts = kept.downcast_mut::<Vec<Part>>().unwrap_or(&mut none);
    for part in parts.iter_mut() {
        if part.mutable.is_none() {
            part.mutable = Some(MutableState::of(store, part.instance));
        }
    }
    let done = work(store, parts);
    Machine::<T>::of_store(store).ok()?.kept = kept;
    Some(done)
}

/// Copies the state of all core instances; `None` if used instances can't be reset to it.
pub(super) fn capture<T: 'static>(store: &mut Store<StoreData<T>>) -> Option<Image> {
    let machine = Machine::<T>::of_store(store).ok()?;
    // Handles that its start functions made are in no memory.
    if !machine.is_new() {
        return None;
    }
    let bound = machine.bound.clone();
    let mut infos = bound.modules.iter().map(|(info, _)| info);
    if infos.any(|info| info.changes.not_resettable) {
        return None;
    }
    with_parts(store, |store, parts| {
        let states = parts.iter().filter_map(|part| part.mutable.as_ref());
        Image::of_parts(states.map(|state| Image::capture(store, state)).collect())
    })
}

/// Resets all core instances to `image`. Returns false if that is impossible.
pub(super) fn restore<T: 'static>(store: &mut Store<StoreData<T>>, image: &Image) -> bool {
    let restored = with_parts(store, |store, parts| {
        parts.len() == image.parts().len()
            && parts.iter_mut().zip(image.parts()).all(|(part, image)| {
                let Part {
                    mutable, written, ..
                } = part;
                let restore = |state| image.restore(store, state, written);
                mutable.as_ref().is_some_and(restore)
            })
    });
    if let Ok(machine) = Machine::<T>::of_store(store) {
        machine.reset();
    }
    restored.unwrap_or(false)
}

/// Returns a hash of the memories and globals of all core instances.
pub(super) fn hash<T: 'static>(store: &mut Store<StoreData<T>>) -> u64 {
    let hashed = with_parts(store, |store, parts| {
        let states = parts.iter().filter_map(|part| part.mutable.as_ref());
        states.fold(0u64, |hash, state| hash.rotate_left(1) ^ state.hash(store))
    });
    hashed.unwrap_or(0)
}
