//! What all instances of a plugin share.

use crate::{
    abi::native,
    base::{
        limits::Limits, log::LogSink, order::in_order, platform::Platform, shape::Shape,
        signature::Signature, text::listed,
    },
    call::Shared,
    engine::Engine,
    error::CallError,
    host_functions::Binding,
    marshal::Types,
    module::{Extern, ModuleInfo},
};
use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use wasmi::Module;

/// A validated module with its code, its imports bound.
pub(crate) struct Loaded<T: 'static> {
    pub(crate) info: ModuleInfo,
    /// Its code, each compiled in an engine of its own.
    copies: Vec<Module>,
    /// The copy that the next instance is made of, modulo their number.
    next_copy: AtomicUsize,
    /// One for each import, in the module's order.
    pub(super) bindings: Vec<Arc<Binding<T>>>,
    /// Where memories are, if not on the heap.
    #[cfg(feature = "slots")]
    pub(super) slots: Option<hostel_slots::Slots>,
    /// Where each export is among the exports, in the order of their names.
    by_name: Vec<usize>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) limits: Limits,
    /// Bytes of the heap that an instance, and that a call, may take before the guest runs.
    pub(super) needs: (u64, u64),
    pub(crate) closed: AtomicBool,
}

impl<T: 'static> Loaded<T> {
    pub(crate) fn new(
        engine: &Engine,
        name: &str,
        info: ModuleInfo,
        copies: Vec<Module>,
        bindings: Vec<Arc<Binding<T>>>,
        log: Option<Arc<dyn LogSink>>,
    ) -> Self {
        let export = |at: usize| info.exports.get(at).map(|export| &*export.name);
        let compare = |one, other| export(one).cmp(&export(other));
        let by_name = in_order(info.exports.len(), &compare, &mut |_, _| {});
        let shared = Arc::new(Shared {
            name: name.into(),
            platform: engine.platform().clone(),
            containment: engine.platform().containment(),
            log,
        });
        let footprint = engine.footprint(&info);
        Self {
            needs: (footprint.instance_to_run(), footprint.frames),
            info,
            copies,
            next_copy: AtomicUsize::new(0),
            bindings,
            #[cfg(feature = "slots")]
            slots: engine.slots().cloned(),
            by_name,
            shared,
            limits: *engine.limits(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn platform(&self) -> &Arc<dyn Platform> {
        &self.shared.platform
    }

    pub(crate) fn check_open(&self) -> Result<(), CallError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(CallError::Closed);
        }
        Ok(())
    }

    /// The code for one more instance.
    pub(super) fn code(&self) -> Option<&Module> {
        let next = self.next_copy.fetch_add(1, Ordering::Relaxed);
        let copies = &self.copies;
        copies.get(next.checked_rem(copies.len())?)
    }

    /// Refuses what the heap has no room for.
    pub(super) fn admit(&self, needed: u64) -> Result<(), CallError> {
        let free = self.platform().free_bytes().map(|free| free as u64);
        if free.is_some_and(|free| needed > free) {
            return Err(CallError::DoesNotFit { needed, free });
        }
        Ok(())
    }

    /// The type of the exported function `name`.
    #[inline]
    pub(super) fn signature(&self, name: &str) -> Result<&Signature, CallError> {
        let Self { info, by_name, .. } = self;
        let export = |at: &usize| info.exports.get(*at);
        let found =
            by_name.binary_search_by(|at| export(at).map(|export| &*export.name).cmp(&Some(name)));
        let found = found.ok().and_then(|at| by_name.get(at)).and_then(export);
        match found.map(|export| &export.ty) {
            Some(Extern::Function(ty)) => Ok(ty),
            _ => Err(self.unknown_export(name)),
        }
    }

    /// The shape in which the export `name` takes and gives such values.
    #[inline]
    pub(crate) fn shape_of(
        &self,
        name: &str,
        params: &Types,
        results: &Types,
    ) -> Result<Shape, CallError> {
        let found = self.signature(name)?;
        native::shape_of(params, results, found).ok_or_else(|| {
            CallError::export_type(name, Shape::expected(&params.flat, &results.flat), found)
        })
    }

    pub(super) fn unknown_export(&self, name: &str) -> CallError {
        CallError::UnknownExport {
            name: name.into(),
            exports: listed(self.info.function_names()).into(),
        }
    }
}
