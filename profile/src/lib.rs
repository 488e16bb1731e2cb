//! Profiles the fuel of a WebAssembly plugin by its functions, exactly: prepares a module, sums up the fuel of each stack
//! of functions in a call, and draws a flame graph. `hostel profile` and the page that runs plugins in a browser use it.
//!
//! ```
//! use hostel_core::{Engine, Grants, Limits, ModuleInfo};
//! use hostel_profile::{Profile, Profiled, draw};
//! use std::sync::{Arc, Mutex};
//!
//! # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
//! #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
//! #   (func $echo (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
//! let info = ModuleInfo::read(&wasm)?;
//! let module = Profiled::new(&wasm, &info)?;
//!
//! let engine = Engine::new(Limits::server());
//! let profile = Profile::new(*engine.budget());
//! let engine = engine.with_budget(profile.raised_budget());
//! let profile = Arc::new(Mutex::new(profile));
//! let counting = profile.clone();
//! let grants = Grants::new().profile(move |record| counting.lock().unwrap().count(record));
//! let plugin = engine.load("echo", &module.wasm, &grants)?;
//! let mut instance = plugin.instantiate(())?;
//!
//! profile.lock().unwrap().begin();
//! let output = instance.process(b"hello");
//! let mut profile = profile.lock().unwrap();
//! let (usage, output) = profile.end(instance.usage(), output);
//! assert_eq!(output?, b"hello");
//! assert_eq!(usage.fuel, profile.fuel());
//!
//! let folded = profile.folded(&module);
//! assert!(folded.contains("host;echo "), "{folded}");
//! assert!(draw("echo", &profile.frames(&module)).starts_with("<svg"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod import;
mod svg;
mod tree;

pub use self::{
    import::{Profiled, Unprofilable},
    svg::draw,
    tree::Frame,
};

use self::tree::Tree;
use hostel_core::{Budget, CallError, ProfileEvent, ProfileRecord, Trap, Usage};
use std::fmt;

/// How many times its fuel a call may use, since it calls the host so often.
const TIMES: u64 = 1_000;

/// The fuel of a call by its functions. It keeps the call within the budget that it has without a profile.
pub struct Profile {
    budget: Budget,
    tree: Tree,
    /// The events of the call, which are calls of a host function too.
    events: u32,
    exceeded: Option<CallError>,
}

impl Profile {
    /// Begins the profile of a call that may use `budget`.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self {
            tree: Tree::new(raised(&budget).fuel),
            budget,
            events: 0,
            exceeded: None,
        }
    }

    /// Returns the budget to load the plugin with. It has more fuel and host calls, since a profiled plugin calls the host
    /// for each event.
    #[must_use]
    pub fn raised_budget(&self) -> Budget {
        raised(&self.budget)
    }

    /// Begins a call. What was counted before is forgotten.
    pub fn begin(&mut self) {
        *self = Self::new(self.budget);
    }

    /// Counts an event: call this in the sink that you give to [`Grants::profile`](hostel_core::Grants::profile).
    ///
    /// # Errors
    ///
    /// If the call has used up its budget. Return the trap, so that the call ends.
    pub fn count(&mut self, record: ProfileRecord) -> Result<(), Trap> {
        self.events = self.events.saturating_add(1);
        self.tree.count(record);
        let limit = self.budget.host_calls;
        let host_calls = record.host_calls.saturating_sub(self.events);
        // The next one is announced, unless it is made through a table.
        let is_next = matches!(record.event, ProfileEvent::CallHost { .. });
        if self.tree.fuel() > self.budget.fuel {
            self.exceeded = Some(CallError::OutOfFuel {
                fuel: self.budget.fuel,
            });
        } else if host_calls > limit || (is_next && host_calls == limit) {
            self.exceeded = Some(CallError::HostCalls { limit });
        }
        match self.exceeded {
            Some(_) => Err(Trap::host(
                "the budget of a call that is not observed is used up",
            )),
            None => Ok(()),
        }
    }

    /// Ends a call, or the making of an instance. Returns its usage and its result as they are without a profile.
    pub fn end<R>(
        &mut self,
        mut usage: Usage,
        result: Result<R, CallError>,
    ) -> (Usage, Result<R, CallError>) {
        self.tree.finish(usage.fuel);
        usage.host_calls = usage.host_calls.saturating_sub(self.events);
        usage.fuel = self.tree.fuel();
        let most = self.budget.fuel;
        if usage.fuel > most {
            self.exceeded = Some(CallError::OutOfFuel { fuel: most });
            usage.fuel = most;
        }
        (usage, self.exceeded.clone().map_or(result, Err))
    }

    /// Returns the fuel of the call so far, in the units of [`Budget::fuel`], as it is without a profile.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.tree.fuel()
    }

    /// Returns the number of events so far. Each is a host call in [`Usage::host_calls`] until [`end`](Self::end).
    #[must_use]
    pub fn events(&self) -> u32 {
        self.events
    }

    /// Returns the frames of a flame graph, the whole call first.
    #[must_use]
    pub fn frames(&self, module: &Profiled) -> Vec<Frame> {
        self.tree.frames(|index| module.name(index))
    }

    /// Returns a line for each stack that has fuel of its own: the names with `;` between, a space, and the fuel. Tools
    /// for flame graphs read this format.
    #[must_use]
    pub fn folded(&self, module: &Profiled) -> String {
        self.tree.folded(|index| module.name(index))
    }
}

fn raised(budget: &Budget) -> Budget {
    let mut raised = *budget;
    raised.fuel = budget.fuel.saturating_mul(TIMES);
    raised.host_calls = u32::MAX;
    raised
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("fuel", &self.fuel())
            .finish_non_exhaustive()
    }
}
