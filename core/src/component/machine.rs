//! [`Machine`]: the state of a component's instance, in the store.
//!
//! All core instances of a component live in one store. The machine makes them one after the other, and keeps
//! what the component model adds: handles to resources, and which component instances run.

use super::{
    broken,
    canon::{Canon, Shape},
    core_call::Entry,
    host_call::{HostFunction, HostResource},
    imported,
    program::{
        BuiltIn, Callee, ComponentInstance, CoreItem, Does, Lowered, Options, Program, Resource,
    },
    resource::Handles,
};
use crate::{
    base::limits::ComponentLimits,
    call::{StoreData, access::Session, result_shape::ResultShape},
    error::{CallError, LoadError, Trap},
    module::ModuleInfo,
};
use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use core::any::Any;
use wasmi::{Extern, Func, Memory, Store, StoreContextMut};

/// Most calls of component instances inside one another, the embedder's included, whatever the limit `component.depth`
/// says. Without optimisation each takes 10 KB of native stack, of which a thread may have 256 KiB.
const MOST_CALLS: usize = 16;

/// A component whose imports are supplied, for all its instances.
pub(crate) struct Bound<T: 'static> {
    pub(crate) program: Program,
    /// The core modules, compiled in one engine of wasmi's.
    pub(crate) modules: Vec<(Arc<ModuleInfo>, wasmi::Module)>,
    /// By import of the program.
    pub(crate) supplies: Vec<Supply<T>>,
    /// Most handles of an instance, and most calls of component instances inside one another.
    limits: ComponentLimits,
    /// By function of [`Program::lifted`].
    pub(super) lifted: Vec<Shape>,
    /// By function of [`Program::lowered`]: its shape, and its name for messages.
    pub(super) lowered: Vec<(Shape, ResultShape)>,
}

/// What supplies an import.
pub(crate) enum Supply<T: 'static> {
    Function(Arc<dyn HostFunction<T>>),
    /// `None` for a resource that the host does nothing for when it is dropped.
    Resource(Option<Arc<dyn HostResource<T>>>),
    /// A stub, which traps.
    Trap,
}

impl<T: 'static> Bound<T> {
    /// Puts a component and what supplies its imports together.
    pub(crate) fn new(
        program: Program,
        modules: Vec<(Arc<ModuleInfo>, wasmi::Module)>,
        supplies: Vec<Supply<T>>,
        limits: ComponentLimits,
    ) -> Result<Self, LoadError> {
        let shape = |ty| Shape::of(&program.types, program.types.function(ty));
        let mut lifted = Vec::with_capacity(program.lifted.len());
        for function in &program.lifted {
            lifted.push(shape(function.ty)?);
        }
        let mut lowered = Vec::with_capacity(program.lowered.len());
        for function in &program.lowered {
            let name = match function.callee {
                Callee::Import(at) => program.imports.get(at).map(|import| {
                    let interface = import.interface.as_deref();
                    match interface {
                        Some(interface) => format!("{interface}#{}", import.name),
                        None => import.name.clone().into(),
                    }
                }),
                Callee::Lifted(_) => None,
            };
            let named = ResultShape {
                name: name.unwrap_or_else(|| "another component".into()).into(),
                shape: crate::base::shape::Shape::Values,
                record: 0,
            };
            lowered.push((shape(function.ty)?, named));
        }
        Ok(Self {
            program,
            modules,
            supplies,
            limits,
            lifted,
            lowered,
        })
    }
}

/// The state of a component's instance.
pub(crate) struct Machine<T: 'static> {
    pub(crate) bound: Arc<Bound<T>>,
    /// The core instances that are made.
    pub(crate) instances: Vec<wasmi::Instance>,
    pub(crate) handles: Handles,
    /// By component instance.
    flags: Vec<Flags>,
    /// Functions that were looked up, by their number in [`Program::lifted`].
    entries: Vec<Option<Entry>>,
    /// Destructors that were looked up, by their resource's number in [`Program::resources`]. A destructor may be a
    /// function of the host's, and looking that up adds it to the store for good.
    destructors: Vec<Option<Func>>,
    /// What a reset needs, of the room above.
    pub(crate) kept: Box<dyn Any + Send + Sync>,
    /// Options of functions of [`Program::lowered`] that use exports of the module that imports the function, by
    /// their number.
    late: Vec<Option<Canon>>,
}

/// The state of a component instance.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Flags {
    /// Whether a call of it runs.
    entered: bool,
    /// Numbers that its guest keeps for the call that runs.
    context: [u32; 2],
    /// Number of reasons why asynchronous calls of it have to wait. There are no such calls yet.
    backpressure: u16,
}

impl<T: 'static> Session for Machine<T> {
    fn output(&self) -> &[u8] {
        &[]
    }
}

impl<T: 'static> Machine<T> {
    /// Returns the machine of an instance of which nothing is made yet.
    pub(crate) fn new(bound: &Arc<Bound<T>>) -> Self {
        let program = &bound.program;
        let instances = usize::try_from(program.instances).unwrap_or(usize::MAX);
        Self {
            bound: bound.clone(),
            instances: Vec::with_capacity(program.steps.len()),
            handles: Handles::new(program.instances, bound.limits.handles),
            flags: alloc::vec![Flags::default(); instances],
            entries: alloc::vec![None; program.lifted.len()],
            destructors: alloc::vec![None; program.resources.len()],
            kept: Box::new(()),
            late: Vec::new(),
        }
    }

    /// Returns whether there are no handles and no calls: those are all that a [`reset`](Self::reset) brings back.
    pub(crate) fn is_new(&self) -> bool {
        let mut flags = self.flags.iter();
        self.handles.are_empty() && flags.all(|flags| *flags == Flags::default())
    }

    /// Returns whether no component instance has set `backpressure`.
    pub(crate) fn is_balanced(&self) -> bool {
        self.flags.iter().all(|flags| flags.backpressure == 0)
    }

    /// Forgets all handles and calls, of an instance whose guests are reset.
    pub(crate) fn reset(&mut self) {
        self.handles = Handles::new(self.bound.program.instances, self.bound.limits.handles);
        self.flags.fill(Flags::default());
    }

    /// Returns the machine that a store keeps.
    pub(crate) fn of(exchange: &mut Option<Box<dyn Session>>) -> Result<&mut Self, CallError> {
        let machine = exchange.as_mut().and_then(|session| session.own());
        machine.ok_or_else(|| CallError::Stopped)
    }

    /// Returns the machine of `store`.
    pub(crate) fn of_store(store: &mut Store<StoreData<T>>) -> Result<&mut Self, CallError> {
        Self::of(&mut store.data_mut().exchange)
    }

    fn flags(&mut self, instance: ComponentInstance) -> Result<&mut Flags, CallError> {
        let at = usize::try_from(instance.0).unwrap_or(usize::MAX);
        self.flags.get_mut(at).ok_or_else(|| CallError::Stopped)
    }

    /// Runs a built-in function with its first parameter. Returns its result, if it has one.
    pub(super) fn run_built_in(
        &mut self,
        function: &BuiltIn,
        param: u32,
    ) -> Result<Option<u32>, CallError> {
        let flags = self.flags(function.instance)?;
        let unbalanced = || broken("a count of `backpressure` below 0 or above 65535");
        match function.does {
            Does::Trap => {
                let why = format!(
                    "`{}` is for asynchronous functions, which are not run yet",
                    function.name
                );
                return Err(CallError::Trap(Trap::host(why)));
            }
            Does::ContextGet(at) => return Ok(flags.context.get(at).copied()),
            Does::ContextSet(at) => {
                if let Some(place) = flags.context.get_mut(at) {
                    *place = param;
                }
            }
            Does::BackpressureInc => {
                let more = flags.backpressure.checked_add(1);
                flags.backpressure = more.ok_or_else(unbalanced)?;
            }
            Does::BackpressureDec => {
                let less = flags.backpressure.checked_sub(1);
                flags.backpressure = less.ok_or_else(unbalanced)?;
            }
        }
        Ok(None)
    }

    /// Begins a call of a component instance inside those that run.
    pub(crate) fn enter(&mut self, instance: ComponentInstance) -> Result<(), CallError> {
        if self.flags(instance)?.entered {
            return Err(broken("cannot enter component instance"));
        }
        self.nest()?;
        let flags = self.flags(instance)?;
        flags.entered = true;
        flags.context = [0; 2];
        Ok(())
    }

    /// Begins a call inside those that run, of a component instance that runs already.
    pub(super) fn nest(&mut self) -> Result<(), CallError> {
        let most = self.bound.limits.depth.min(MOST_CALLS);
        if self.handles.depth() >= most {
            return Err(broken(&format!(
                "more than {most} calls of component instances inside one another"
            )));
        }
        self.handles.begin_call();
        Ok(())
    }

    /// Ends the call of a component instance that began last.
    pub(crate) fn leave(&mut self, instance: ComponentInstance) -> Result<(), CallError> {
        self.handles.end_call();
        self.flags(instance)?.entered = false;
        Ok(())
    }

    /// Ends a call that failed before any guest code ran.
    pub(super) fn undo_enter(&mut self) {
        self.handles.forget_calls();
        self.flags.fill(Flags::default());
    }

    /// Returns a function of [`Program::lifted`].
    pub(super) fn entry(
        store: &mut Store<StoreData<T>>,
        number: usize,
    ) -> Result<Entry, CallError> {
        let machine = Self::of_store(store)?;
        if let Some(Some(entry)) = machine.entries.get(number) {
            return Ok(*entry);
        }
        let bound = machine.bound.clone();
        let lifted = bound.program.lifted.get(number).ok_or_else(missing)?;
        let entry = Entry {
            function: Self::function(store, &lifted.core)?,
            canon: Self::canon(store, &lifted.options, lifted.instance)?,
        };
        if let Some(place) = Self::of_store(store)?.entries.get_mut(number) {
            *place = Some(entry);
        }
        Ok(entry)
    }

    /// Returns the destructor of the resource of this number in [`Program::resources`]; `None` if it has none.
    pub(super) fn destructor(
        store: &mut Store<StoreData<T>>,
        number: usize,
    ) -> Result<Option<Func>, CallError> {
        let machine = Self::of_store(store)?;
        if let Some(Some(function)) = machine.destructors.get(number) {
            return Ok(Some(*function));
        }
        let bound = machine.bound.clone();
        let Some(Resource::Defined {
            destructor: Some(destructor),
            ..
        }) = bound.program.resources.get(number)
        else {
            return Ok(None);
        };
        let function = Self::function(store, destructor)?;
        if let Some(place) = Self::of_store(store)?.destructors.get_mut(number) {
            *place = Some(function);
        }
        Ok(Some(function))
    }

    /// Looks up the options of a function.
    pub(super) fn canon(
        store: &mut Store<StoreData<T>>,
        options: &Options,
        instance: ComponentInstance,
    ) -> Result<Canon, CallError> {
        let function = |store: &mut Store<_>, item: &Option<CoreItem>| {
            let item = item.as_ref();
            item.map(|item| Self::function(store, item)).transpose()
        };
        let memory = match &options.memory {
            Some(item) => Some(Self::memory(store, item)?),
            None => None,
        };
        Ok(Canon {
            encoding: options.encoding,
            memory,
            realloc: function(store, &options.realloc)?,
            post_return: function(store, &options.post_return)?,
            instance,
        })
    }

    /// Returns the options of the function of [`Program::lowered`] of this number: `None` if they use exports of an
    /// instance that is not made yet, since its module imports the function.
    pub(super) fn canon_of_lowered(
        store: &mut Store<StoreData<T>>,
        function: &Lowered,
    ) -> Result<Option<Canon>, CallError> {
        let made = Self::of_store(store)?.instances.len();
        match function.options.memory {
            Some(CoreItem::Export(step, _)) if step >= made => Ok(None),
            _ => Self::canon(store, &function.options, function.instance).map(Some),
        }
    }

    /// Returns these options in a call of the function, after the instance was made.
    pub(super) fn late_canon(
        guest: &mut StoreContextMut<'_, StoreData<T>>,
        number: usize,
    ) -> Result<Canon, CallError> {
        let machine = Self::of(&mut guest.data_mut().exchange)?;
        if let Some(Some(canon)) = machine.late.get(number) {
            return Ok(*canon);
        }
        let bound = machine.bound.clone();
        let instances = machine.instances.clone();
        let Lowered {
            options, instance, ..
        } = bound.program.lowered.get(number).ok_or_else(missing)?;
        let item = |item: &Option<CoreItem>| match item {
            Some(CoreItem::Export(step, name)) => {
                let instance = instances.get(*step)?;
                instance.get_export(&*guest, name)
            }
            _ => None,
        };
        let canon = Canon {
            encoding: options.encoding,
            memory: item(&options.memory).and_then(Extern::into_memory),
            realloc: item(&options.realloc).and_then(Extern::into_func),
            post_return: None,
            instance: *instance,
        };
        let late = &mut Self::of(&mut guest.data_mut().exchange)?.late;
        if late.is_empty() {
            late.resize(bound.program.lowered.len(), None);
        }
        if let Some(place) = late.get_mut(number) {
            *place = Some(canon);
        }
        Ok(canon)
    }

    fn memory(store: &mut Store<StoreData<T>>, item: &CoreItem) -> Result<Memory, CallError> {
        Self::item(store, item)?.into_memory().ok_or_else(missing)
    }

    /// Returns a core function.
    pub(super) fn function(
        store: &mut Store<StoreData<T>>,
        item: &CoreItem,
    ) -> Result<Func, CallError> {
        Self::item(store, item)?.into_func().ok_or_else(missing)
    }

    /// Returns a core item, whose instance is made.
    pub(crate) fn item(
        store: &mut Store<StoreData<T>>,
        item: &CoreItem,
    ) -> Result<Extern, CallError> {
        let bound = Self::of_store(store)?.bound.clone();
        Ok(match item {
            CoreItem::Export(step, name) => {
                let instances = &Self::of_store(store)?.instances;
                let instance = *instances.get(*step).ok_or_else(missing)?;
                return instance.get_export(&*store, name).ok_or_else(missing);
            }
            CoreItem::Lowered(number) => imported::lowered(store, &bound, *number)?,
            CoreItem::ResourceNew(ty, instance) => {
                imported::resource_new::<T>(store, *ty, *instance)
            }
            CoreItem::ResourceRep(ty, instance) => {
                imported::resource_rep::<T>(store, *ty, *instance)
            }
            CoreItem::ResourceDrop(ty, instance) => {
                imported::resource_drop(store, &bound, *ty, *instance)?
            }
            CoreItem::BuiltIn(number) => imported::built_in(store, &bound, *number)?,
        }
        .into())
    }
}

/// Returns the error for an item that reading the component has found, and that is not there.
#[cold]
pub(crate) fn missing() -> CallError {
    broken("a part of the component is missing")
}
