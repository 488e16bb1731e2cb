//! One instance of a module in the interpreter, in a store of its own.

#[cfg(feature = "mappings")]
use super::image::give_back_zeros;
#[cfg(feature = "component")]
use super::making::Making;
use super::{
    export_call::ReusedBuffers,
    image::{Image, MutableState},
    loaded::Loaded,
    written::Written,
};
#[cfg(feature = "trace")]
use crate::module::global_name;
use crate::{
    abi::{
        StartFunctions,
        native::{self, BytesFunction},
        start_params,
    },
    base::{limits::Budget, signature::Signature},
    call::{
        Guest, StoreData,
        limiter::InstanceLimiter,
        meter::{self, Meter},
        pace::Pace,
        run::{Run, stopped},
    },
    engine::Lease,
    error::CallError,
    module::{COMMAND, Extern, REACTOR, START},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    any::Any,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};
use spin::Mutex;
use wasmi::{Func, Ref, Store, Val};

/// A guest in its store.
pub(crate) struct Sandbox<T: 'static> {
    pub(crate) store: Store<StoreData<T>>,
    pub(crate) code: Lease,
    /// Unique among the last 2³² sandboxes.
    id: u32,
    /// `None` until it is instantiated.
    instance: Option<wasmi::Instance>,
    /// The export `process`, looked up once: most calls are for it.
    process: Option<BytesFunction>,
    /// The export that was called last by its name, and its number in the module: the next call is
    /// often for it.
    called: Option<(usize, Func)>,
    /// Exports that were looked up by their types, and their numbers.
    prepared: Vec<(usize, Box<dyn Any + Send + Sync>)>,
    pub(crate) reused: ReusedBuffers,
    /// Handles to what the guest can change, looked up on first use.
    mutable: Option<MutableState>,
    /// The exports that run when the instance is made.
    starts: StartFunctions,
    /// Which parts of its memory were written.
    written: Written,
    /// `_start`, if it has to run before another export is called.
    command: Option<Func>,
    /// Whether it has not run yet.
    pub(super) command_pending: bool,
}

/// The functions that run when an instance is made, in progress: the start function, and
/// `_initialize` or `__wasm_call_ctors`.
#[derive(Default)]
pub(crate) struct Start {
    /// Number of those of linked modules that have ended.
    linked: usize,
    /// Number of these functions that have ended, or that the module does not have.
    done: usize,
    /// The function that runs now.
    run: Run,
    /// The core instances of a component.
    #[cfg(feature = "component")]
    pub(super) making: Making,
}

impl Start {
    /// Runs these functions until they end or are suspended.
    pub(crate) fn poll<T: 'static>(
        &mut self,
        #[cfg_attr(not(feature = "component"), allow(unused_variables))] loaded: &Loaded<T>,
        sandbox: &mut Sandbox<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        #[cfg(feature = "component")]
        if let Some(component) = &loaded.component {
            return (component.poll_start)(loaded, self, sandbox, context);
        }
        while let Some(linked) = &sandbox.store.data().linked
            && let Some((name, function)) = linked.starts.get(self.linked)
        {
            let (name, function) = (*name, *function);
            let ran = self
                .run
                .poll(&mut sandbox.store, context, function, &[], &mut []);
            ready!(ran).map_err(|error| error.in_export(shown(name)))?;
            self.linked = self.linked.saturating_add(1);
        }
        let [first, second] = sandbox.starts;
        let functions = [Some(START), first, second];
        while let Some(function) = functions.get(self.done) {
            if let Some(export) = *function
                && let Some(function) = sandbox.function(export)
            {
                let store = &mut sandbox.store;
                let zeros = [const { Val::I32(0) }; 2];
                let params = zeros.get(..start_params(export)).unwrap_or_default();
                match ready!(self.run.poll(store, context, function, params, &mut [])) {
                    Ok(()) => {}
                    // A command may end itself by its exit code.
                    Err(CallError::Exited { code: 0 }) if export == COMMAND => {}
                    Err(error) => {
                        return Poll::Ready(Err(error.in_export(shown(export))));
                    }
                }
            }
            self.done = self.done.saturating_add(1);
        }
        Poll::Ready(Ok(()))
    }
}

/// Returns the name of a function that runs at the start, as messages tell it.
fn shown(export: &'static str) -> &'static str {
    if export == START {
        "start function"
    } else {
        export
    }
}

impl<T: 'static> Sandbox<T> {
    /// Creates a store without a guest, and begins to meter it: making the instance is charged to
    /// `budget`.
    // Boxed, since it is large to move. Not inlined, so that the native stack on which it is built
    // does not stay in use.
    #[inline(never)]
    pub(crate) fn open(
        loaded: &Loaded<T>,
        budget: &Budget,
        until: Option<Duration>,
        pace: Option<Arc<Pace>>,
        data: T,
    ) -> Box<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let state = StoreData {
            data,
            shared: loaded.shared.clone(),
            guest: Guest::default(),
            meter: Meter::new(budget),
            limiter: InstanceLimiter::new(&loaded.limits),
            canceller: None,
            pace,
            suspended: Mutex::new(None),
            wasi: None,
            exchange: None,
            linked: None,
        };
        let code = loaded.code.lease();
        let mut sandbox = Box::new(Self {
            store: Store::new(code.module().engine(), state),
            code,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            instance: None,
            process: None,
            called: None,
            prepared: Vec::new(),
            reused: ReusedBuffers::default(),
            mutable: None,
            starts: loaded.starts,
            written: Written::default(),
            command: None,
            command_pending: false,
        });
        let store = &mut sandbox.store;
        store.limiter(|state| &mut state.limiter);
        meter::begin(store, until);
        sandbox
    }

    /// Instantiates the module: binds its imports and copies its segments. Its [`Start`] runs
    /// afterwards.
    pub(crate) fn instantiate(&mut self, loaded: &Loaded<T>) -> Result<(), CallError> {
        #[cfg(feature = "component")]
        if let Some(component) = &loaded.component {
            (component.open)(&component.bound, self);
            let limiter = &mut self.store.data_mut().limiter;
            limiter.watch(loaded.platform().clone());
            return Ok(());
        }
        let instance = match &loaded.linked {
            Some(linked) => (linked.instantiate)(loaded, linked, self)?,
            None => self.instance_of(loaded)?,
        };
        let store = &mut self.store;
        store.data_mut().guest = native::guest(store, instance);
        // A memory in a slot does not grow on the heap, so the heap's free bytes don't bound it.
        if !loaded.memories.are_apart() {
            let limiter = &mut store.data_mut().limiter;
            limiter.watch(loaded.platform().clone());
            // In a slot, only growing by all of it tells whether there is room.
            if loaded.info.changes.grows_in_parts {
                limiter.grow_in_parts();
            }
        }
        #[cfg(feature = "trace")]
        if loaded.functions.is_some() {
            let last = loaded.info.changes.globals().checked_sub(1);
            let trace = last.and_then(|last| instance.get_global(&*store, &global_name(last)));
            store.data_mut().guest.trace = trace;
        }
        self.process = loaded
            .find("process")
            .and_then(|(_, ty)| BytesFunction::find(store, instance, "process", ty));
        if loaded.info.initializers.command && loaded.protocol.is_none() {
            self.command = instance.get_func(&*store, COMMAND);
            self.command_pending = self.command.is_some();
        }
        self.instance = Some(instance);
        Ok(())
    }

    /// Makes the instance of the plugin's one module.
    #[inline(always)]
    fn instance_of(&mut self, loaded: &Loaded<T>) -> Result<wasmi::Instance, CallError> {
        let store = &mut self.store;
        meter::charge(store, loaded.info.instantiation_fuel())?;
        let (imported, written) = imported(loaded, store)?;
        self.written = written;
        let instance = wasmi::Instance::new(&mut *store, self.code.module(), &imported)
            .map_err(|error| stopped(store, &error))?;
        // Copying the segments can't be interrupted, so the deadline is checked after it.
        meter::check_time(store.data())?;
        Ok(instance)
    }

    /// Returns the sandbox's number, by which a [`TypedFunction`](super::TypedFunction) knows its own.
    pub(crate) const fn id(&self) -> u32 {
        self.id
    }

    /// Returns the store, and handles to what the guest can change.
    pub(crate) fn mutable_state(&mut self) -> (&mut Store<StoreData<T>>, &MutableState) {
        let (store, instance) = (&mut self.store, self.instance);
        let find = |instance| MutableState::of(store, instance);
        let mutable = self
            .mutable
            .get_or_insert_with(|| instance.map(find).unwrap_or_default());
        (store, mutable)
    }

    /// Returns a hash of the memories and globals of all modules.
    pub(crate) fn state_hash(
        &mut self,
        #[cfg_attr(not(feature = "component"), allow(unused_variables))] loaded: &Loaded<T>,
    ) -> u64 {
        #[cfg(feature = "component")]
        if let Some(component) = &loaded.component {
            return (component.hash)(&mut self.store);
        }
        let (store, mutable) = self.mutable_state();
        let mut hash = mutable.hash(store);
        let linked = &self.store.data().linked;
        for instance in linked.iter().flat_map(|linked| &linked.others) {
            let other = MutableState::of(&self.store, *instance).hash(&self.store);
            hash = hash.rotate_left(1) ^ other;
        }
        hash
    }

    /// Gives the pages of its memory that are all 0 back to the system, if they can be. Returns false if the
    /// memory lost its contents, which does not happen.
    #[cfg(feature = "mappings")]
    pub(crate) fn give_back_zeros(&mut self) -> bool {
        let memory = self.store.data().guest.memory;
        memory.is_none_or(|memory| give_back_zeros(memory.data_mut(&mut self.store), &self.written))
    }

    /// Resets the instance to `image`, with `data`. Returns false if that is impossible. An instance
    /// that was stopped must not be reset.
    pub(crate) fn reset(
        &mut self,
        #[cfg_attr(not(feature = "component"), allow(unused_variables))] loaded: &Loaded<T>,
        image: &Image,
        data: T,
    ) -> bool {
        // Known without a look at the memory. Many guests grow theirs in each first call.
        if !image.has_size_of(self.store.data()) {
            self.written
                .note_size(self.store.data().limiter.memory_bytes());
            return false;
        }
        // After the reset, the guest's allocator does not know these buffers.
        self.reused = ReusedBuffers::default();
        self.command_pending = self.command.is_some();
        let state = self.store.data_mut();
        state.data = data;
        state.canceller = None;
        state.wasi = None;
        #[cfg(feature = "component")]
        if let Some(component) = &loaded.component {
            return (component.restore)(&mut self.store, image);
        }
        state.exchange = None;
        let mut written = core::mem::take(&mut self.written);
        let (store, mutable) = self.mutable_state();
        let restored = image.restore(store, mutable, &mut written);
        self.written = written;
        restored
    }

    /// Runs `_start` of a command, as far as it has not run, before the export `name` is called. The
    /// exit code 0 is an end like any other.
    // Apart, since few modules are commands with exports.
    #[cold]
    #[inline(never)]
    pub(super) fn poll_command(
        &mut self,
        run: &mut Run,
        context: &mut Context<'_>,
        name: &str,
    ) -> Poll<Result<(), CallError>> {
        if let Some(command) = self.command
            && self.command_pending
            && name != COMMAND
        {
            match ready!(run.poll(&mut self.store, context, command, &[], &mut [])) {
                Ok(()) | Err(CallError::Exited { code: 0 }) => {}
                Err(error) => return Poll::Ready(Err(error.in_export(COMMAND))),
            }
        }
        self.command_pending = false;
        Poll::Ready(Ok(()))
    }

    /// Returns whether a module that begins with this instance's state must have no `_start`, since it
    /// would run before the next call.
    pub(crate) fn is_past_command(&self) -> bool {
        let mut starts = self.starts.into_iter().flatten();
        starts.any(|name| [REACTOR, COMMAND].contains(&name)) || self.command_has_run()
    }

    /// Returns the exports that ran when it was made, in order.
    pub(crate) const fn starts(&self) -> StartFunctions {
        self.starts
    }

    /// Returns whether `_start` has run before another export.
    pub(super) const fn command_has_run(&self) -> bool {
        self.command.is_some() && !self.command_pending
    }

    /// Returns the reused buffers to the guest's allocator.
    pub(crate) fn poll_release(
        &mut self,
        run: &mut Run,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        for reused in [&mut self.reused.record, &mut self.reused.input] {
            if let Some(buffer) = *reused {
                ready!(run.poll_deallocate(&mut self.store, context, buffer))?;
                *reused = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Returns the exported function `name`.
    pub(crate) fn function(&self, name: &str) -> Option<Func> {
        self.instance?.get_func(&self.store, name)
    }

    /// Returns the elements of the exported table `name`.
    pub(crate) fn references(&self, name: &str) -> impl Iterator<Item = Ref> {
        let table = self
            .instance
            .and_then(|instance| instance.get_table(&self.store, name));
        let size = table.map_or(0, |table| table.size(&self.store));
        (0..size).map_while(move |at| table?.get(&self.store, at))
    }

    /// Returns the export `process` if it is a function from bytes to bytes.
    pub(super) const fn process(&self) -> Option<BytesFunction> {
        self.process
    }

    /// Returns the export `name` if it is a function from bytes to bytes. `ty` is its signature.
    pub(super) fn bytes_function(&self, name: &str, ty: &Signature) -> Option<BytesFunction> {
        BytesFunction::find(&self.store, self.instance?, name, ty)
    }

    /// Returns the exported function `name` of this number in the module.
    pub(super) fn exported(&mut self, export: usize, name: &str) -> Option<Func> {
        if let Some((number, function)) = self.called
            && number == export
        {
            return Some(function);
        }
        let function = self.function(name)?;
        self.called = Some((export, function));
        Some(function)
    }

    /// Returns the export of this number in the module as `look_up` finds it. Looks it up once: a reset
    /// keeps the store, and with it the function.
    pub(super) fn prepared<F: Copy + Send + Sync + 'static>(
        &mut self,
        export: usize,
        look_up: impl FnOnce(&Store<StoreData<T>>, wasmi::Instance) -> Option<F>,
    ) -> Option<F> {
        let mut kept = self.prepared.iter().filter(|(number, _)| *number == export);
        // Kept once for each type by which it is called: u32 and i32 are two.
        if let Some(found) = kept.find_map(|(_, function)| function.downcast_ref()) {
            return Some(*found);
        }
        let function = look_up(&self.store, self.instance?)?;
        self.prepared.push((export, Box::new(function)));
        Some(function)
    }
}

/// Defines the module's imports in `store`, in their order. The rewritten module may import its memory after
/// all its other imports.
fn imported<T: 'static>(
    loaded: &Loaded<T>,
    store: &mut Store<StoreData<T>>,
) -> Result<(Vec<wasmi::Extern>, Written), CallError> {
    let imports = &loaded.info.imports;
    let mut imported = Vec::with_capacity(imports.len());
    for (import, binding) in imports.iter().zip(&loaded.bindings) {
        if let Extern::Function(ty) = &import.ty {
            imported.push(binding.define(store, ty).into());
        }
    }
    let made = loaded.memories.make(store, &loaded.info, &loaded.limits);
    let made = made.map_err(|needed| CallError::DoesNotFit {
        needed,
        free: Some(0),
    })?;
    imported.extend(made.as_ref().map(|made| wasmi::Extern::from(made.memory)));
    Ok((imported, made.map(Written::of).unwrap_or_default()))
}
