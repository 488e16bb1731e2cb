//! The data that all instances of a plugin share.

#[cfg(feature = "component")]
use super::component::Component;
use super::linked::Linked;
#[cfg(feature = "trace")]
use crate::module::FunctionNames;
use crate::{
    abi::{
        Protocol, StartFunctions,
        native::{self, BytesFunction},
    },
    base::{
        limits::Limits, log::LogSink, order::in_order, platform::Platform, shape::Shape,
        signature::Signature, text::listed,
    },
    call::{Shared, nested::Entered},
    engine::{Code, Engine, Memories},
    error::CallError,
    host_functions::Binding,
    marshal::Types,
    module::{Extern, Footprint, ModuleInfo},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};

/// A validated module with its compiled code and its imports bound to grants.
pub(crate) struct Loaded<T: 'static> {
    pub(crate) info: Arc<ModuleInfo>,
    /// Its compiled code.
    pub(crate) code: Arc<Code>,
    /// One binding for each import, in the module's order.
    pub(super) bindings: Vec<Arc<Binding<T>>>,
    /// The other modules, if the plugin has several.
    pub(crate) linked: Option<Box<Linked<T>>>,
    /// The component that the plugin runs, if it is one. It has no module of its own then.
    #[cfg(feature = "component")]
    pub(crate) component: Option<Box<Component<T>>>,
    /// Where the instances' memories live.
    pub(super) memories: Memories,
    /// Its convention, if that is not the native one.
    pub(crate) protocol: Option<Arc<dyn Protocol>>,
    /// The exports that run when an instance is made.
    pub(super) starts: StartFunctions,
    /// The names of its functions, if it keeps a trace of those that run.
    #[cfg(feature = "trace")]
    pub(crate) functions: Option<FunctionNames>,
    /// Indices of the exports, sorted by the exports' names.
    by_name: Vec<usize>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) limits: Limits,
    /// Bytes of heap that making an instance and starting it may take.
    pub(super) instance_heap: u64,
    /// Bytes of heap that a call may take before the guest runs.
    pub(super) call_heap: u64,
    /// Whether further calls and instances are refused.
    pub(crate) closed: AtomicBool,
}

impl<T: 'static> Loaded<T> {
    /// Puts the parts of a loaded plugin together.
    pub(crate) fn new(
        engine: &Engine,
        name: &str,
        info: Arc<ModuleInfo>,
        code: Arc<Code>,
        bindings: Vec<Arc<Binding<T>>>,
        protocol: Option<Arc<dyn Protocol>>,
        log: Option<Arc<dyn LogSink>>,
    ) -> Self {
        let export = |at: usize| info.exports.get(at).map(|export| &*export.name);
        let compare = |one, other| export(one).cmp(&export(other));
        let by_name = in_order(info.exports.len(), &compare, &mut |_, _| {});
        let shared = Arc::new(Shared {
            name: name.into(),
            platform: engine.platform().clone(),
            containment: engine.platform().containment(),
            nesting: engine.platform().nesting(),
            imports: !bindings.is_empty(),
            log,
        });
        let footprint = engine.footprint(&info);
        let starts = match &protocol {
            Some(protocol) => protocol.start(&info),
            None => [info.initializers.at_start, None],
        };
        Self {
            instance_heap: footprint.instance_to_run(),
            call_heap: footprint.frames,
            info,
            code,
            bindings,
            linked: None,
            #[cfg(feature = "component")]
            component: None,
            memories: engine.memories().clone(),
            starts,
            protocol,
            #[cfg(feature = "trace")]
            functions: None,
            by_name,
            shared,
            limits: *engine.limits(),
            closed: AtomicBool::new(false),
        }
    }

    /// Adds the modules with which its own is linked. `footprint` is that of all.
    pub(crate) fn link(&mut self, linked: Linked<T>, footprint: &Footprint) {
        self.instance_heap = footprint.instance_to_run();
        self.call_heap = footprint.frames;
        self.linked = Some(Box::new(linked));
    }

    /// Sets the bytes of heap that instances and calls take, and whether the guest can call the host.
    #[cfg(feature = "component")]
    pub(crate) fn bound(&mut self, footprint: &Footprint, imports: bool) {
        self.instance_heap = footprint.instance_to_run();
        self.call_heap = footprint.frames;
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.imports = imports;
        }
    }

    /// Returns the platform of the engine that loaded the plugin.
    pub(crate) fn platform(&self) -> &Arc<dyn Platform> {
        &self.shared.platform
    }

    /// Returns [`CallError::Closed`] if the plugin was closed.
    pub(crate) fn check_open(&self) -> Result<(), CallError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(CallError::Closed);
        }
        Ok(())
    }

    /// Counts a poll of a running call as a call of this thread. If there are too many, the guest can
    /// only be stopped: it is in the middle of something.
    pub(super) fn enter_poll(&self) -> Result<Entered, CallError> {
        self.shared.enter().map_err(CallError::into_stop)
    }

    /// Returns [`CallError::DoesNotFit`] if fewer than `needed` bytes of the heap are free.
    pub(super) fn check_fits(&self, needed: u64) -> Result<(), CallError> {
        let free = self.platform().free_bytes().map(|free| free as u64);
        if free.is_some_and(|free| needed > free) {
            return Err(CallError::DoesNotFit { needed, free });
        }
        Ok(())
    }

    /// Returns the type of the exported function `name`.
    #[inline]
    pub(super) fn signature(&self, name: &str) -> Result<&Signature, CallError> {
        self.function(name).map(|(_, ty)| ty)
    }

    /// Returns the number of the exported function `name` among the module's exports, and its type.
    #[inline]
    pub(super) fn function(&self, name: &str) -> Result<(usize, &Signature), CallError> {
        self.find(name).ok_or_else(|| self.unknown_export(name))
    }

    /// As [`function`](Self::function); `None` if no function has this name.
    #[inline]
    pub(super) fn find(&self, name: &str) -> Option<(usize, &Signature)> {
        let Self { info, by_name, .. } = self;
        let export = |at: &usize| info.exports.get(*at);
        let found =
            by_name.binary_search_by(|at| export(at).map(|export| &*export.name).cmp(&Some(name)));
        let at = by_name.get(found.ok()?)?;
        match &export(at)?.ty {
            Extern::Function(ty) => Some((*at, ty)),
            _ => None,
        }
    }

    /// Checks that the exported function `name` is one from bytes to bytes.
    pub(crate) fn check_bytes(&self, name: &str) -> Result<(), CallError> {
        let (_, found) = self.function(name)?;
        if !BytesFunction::fits(found) {
            let expected = BytesFunction::expected();
            return Err(CallError::export_type(name, expected, found));
        }
        Ok(())
    }

    /// Returns the number of the export `name`, and how it takes `params` and returns `results`: as
    /// values, packed, or through a pointer.
    #[inline]
    pub(crate) fn shape_of(
        &self,
        name: &str,
        params: &Types,
        results: &Types,
    ) -> Result<(usize, Shape), CallError> {
        let (export, found) = self.function(name)?;
        let shape = native::shape_of(params, results, found).ok_or_else(|| {
            CallError::export_type(name, Shape::expected(&params.flat, &results.flat), found)
        })?;
        Ok((export, shape))
    }

    /// The error for an export that does not exist; lists those that do.
    pub(super) fn unknown_export(&self, name: &str) -> CallError {
        #[cfg(feature = "component")]
        if self.component.is_some() {
            return self.unknown_component_export(name);
        }
        CallError::UnknownExport {
            name: name.into(),
            exports: listed(self.info.function_names()).into(),
        }
    }
}
