//! The compiled code of a module, in as many copies as calls need at a time.

use super::Engine;
use crate::error::LoadError;
use alloc::{borrow::Cow, boxed::Box, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::{Mutex, Once};
use wasmi::Module;

/// Most bytes of a module's copies together, as bytes of Wasm. Calls of large modules are rarely so
/// short that wasmi's lock matters, and their code takes many times this memory.
const MOST_BYTES: usize = 4 << 20;

/// The compiled code of a module.
///
/// wasmi takes a lock of its engine as a call begins and ends, so short calls on several processors
/// wait for each other. Each copy is compiled in an engine of its own. The first is there from the
/// start. Another one is made when an instance is, while each copy has an instance already, up to the
/// number of processors.
pub(crate) struct Code {
    first: Compiled,
    /// Further copies, in the order in which they were made.
    more: Box<[Once<Compiled>]>,
    /// What further copies are made of. Taken out while one is made, and at last.
    source: Mutex<Option<Source>>,
}

/// One copy of the code.
struct Compiled {
    module: Module,
    /// Number of instances that use it.
    instances: AtomicUsize,
}

/// What a copy of the code is made of.
struct Source {
    engine: Engine,
    wasm: Vec<u8>,
}

impl Compiled {
    const fn new(module: Module) -> Self {
        Self {
            module,
            instances: AtomicUsize::new(0),
        }
    }

    fn instances(&self) -> usize {
        self.instances.load(Ordering::Relaxed)
    }
}

impl Code {
    /// Compiles `wasm` once.
    pub(super) fn compile(engine: &Engine, wasm: Cow<'_, [u8]>) -> Result<Self, LoadError> {
        let module = engine.compile_once(&wasm)?;
        let most = MOST_BYTES.checked_div(wasm.len()).unwrap_or(1);
        let more: Box<[_]> = (1..engine.copies().min(most))
            .map(|_| Once::new())
            .collect();
        let source = (!more.is_empty()).then(|| Source {
            engine: engine.clone(),
            wasm: wasm.into_owned(),
        });
        Ok(Self {
            first: Compiled::new(module),
            more,
            source: Mutex::new(source),
        })
    }

    /// Returns the code of the main module of several, which are compiled in one engine. It has no further
    /// copies.
    pub(crate) fn of_linked(main: Module) -> Self {
        Self {
            first: Compiled::new(main),
            more: Box::default(),
            source: Mutex::new(None),
        }
    }

    /// Returns the copies that are made, in order.
    fn copies(&self) -> impl Iterator<Item = &Compiled> {
        let more = self.more.iter().map_while(Once::get);
        core::iter::once(&self.first).chain(more)
    }

    /// Returns the number of copies that are made.
    pub(crate) fn len(&self) -> usize {
        self.copies().count()
    }

    /// Returns the copy for one more instance: the one that the fewest use. If all are in use, begins
    /// to make another one.
    pub(crate) fn lease(self: &Arc<Self>) -> Lease {
        if self.copies().all(|copy| copy.instances() > 0) {
            self.make_another();
        }
        let copies = self.copies().map(Compiled::instances).enumerate();
        let fewest = copies.min_by_key(|(_, instances)| *instances);
        let index = fewest.map_or(0, |(index, _)| index);
        let lease = Lease {
            code: self.clone(),
            index,
        };
        lease.copy().instances.fetch_add(1, Ordering::Relaxed);
        lease
    }

    /// Begins to make another copy, unless all are made, one is being made, or the engine's plugins make as
    /// many as there are processors.
    #[cold]
    fn make_another(self: &Arc<Self>) {
        if self.more.is_empty() {
            return;
        }
        let mut kept = self.source.lock();
        let permit = kept
            .as_ref()
            .and_then(|source| source.engine.compile_in_background());
        let Some(permit) = permit else {
            // The source stays: the next instance asks again.
            return;
        };
        let Some(source) = kept.take() else {
            return;
        };
        drop(kept);
        let platform = source.engine.platform().clone();
        let code = Arc::downgrade(self);
        platform.run_in_background(Box::new(move || {
            if let Some(code) = code.upgrade() {
                code.add_copy(source);
            }
            drop(permit);
        }));
    }

    /// Makes a copy of `source`. If that fails, none is tried again.
    fn add_copy(&self, source: Source) {
        let Ok(module) = source.engine.compile_once(&source.wasm) else {
            return;
        };
        // Only the owner of `source` gets here, so no other copy takes this room meanwhile.
        let mut room = self.more.iter().filter(|room| room.get().is_none());
        if let Some(room) = room.next() {
            room.call_once(|| Compiled::new(module));
        }
        if room.next().is_some() {
            *self.source.lock() = Some(source);
        }
    }
}

/// One instance's use of a copy of the code.
pub(crate) struct Lease {
    code: Arc<Code>,
    /// The copy's index.
    index: usize,
}

impl Lease {
    fn copy(&self) -> &Compiled {
        let more = self
            .index
            .checked_sub(1)
            .and_then(|at| self.code.more.get(at));
        more.and_then(Once::get).unwrap_or(&self.code.first)
    }

    /// Returns the copy.
    pub(crate) fn module(&self) -> &Module {
        &self.copy().module
    }

    /// Returns whether another copy has at least two instances fewer: then a new instance is better
    /// than one more call in this one.
    pub(crate) fn is_crowded(&self) -> bool {
        let own = self.copy().instances();
        // Without a look at the others in the usual case of one instance a copy.
        own > 1 && (self.code.copies()).any(|other| other.instances().saturating_add(1) < own)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.copy().instances.fetch_sub(1, Ordering::Relaxed);
    }
}
