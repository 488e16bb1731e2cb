//! Profiles the fuel of a WebAssembly plugin by its functions, exactly: prepares a module, sums up what each stack of
//! functions uses in a call, and draws a flame graph. `hostel profile` and the page that runs plugins in a browser use it.
//!
//! ```
//! use hostel_core::{Engine, Grants, Limits, ModuleInfo};
//! use hostel_profile::{Profile, Profiled, draw};
//!
//! # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
//! #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
//! #   (func $echo (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
//! let info = ModuleInfo::read(&wasm)?;
//! let module = Profiled::new(&wasm, &info).ok_or("the module can't be written anew")?;
//!
//! let engine = Engine::new(Limits::server());
//! let profile = Profile::new(engine.budget());
//! let engine = engine.with_budget(*profile.budget());
//! let plugin = engine.load("echo", &module.wasm, &profile.grant(Grants::new()))?;
//! let mut instance = plugin.instantiate(())?;
//! profile.begin();
//! assert_eq!(instance.process(b"hello")?, b"hello");
//! profile.finish(instance.usage().fuel);
//!
//! let folded = profile.folded(&module);
//! assert!(folded.contains("host;echo "), "{folded}");
//! assert!(draw("echo", &profile.frames(&module)).starts_with("<svg"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod import;
mod svg;
mod tree;

pub use self::{import::Profiled, svg::draw, tree::Frame};

use self::tree::Tree;
use hostel_core::{Budget, Grants, ProfileRecord};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many times its fuel a call may use, since it calls the host so often.
const TIMES: u64 = 1_000;

/// The profile of a call. Clones share it.
#[derive(Clone)]
pub struct Profile {
    tree: Arc<Mutex<Tree>>,
    raised: Budget,
    most: u64,
}

impl Profile {
    /// Begins the profile of a call that may use `budget`.
    #[must_use]
    pub fn new(budget: &Budget) -> Self {
        let mut raised = *budget;
        raised.fuel = budget.fuel.saturating_mul(TIMES);
        raised.host_calls = u32::MAX;
        Self {
            tree: Arc::new(Mutex::new(Tree::new(raised.fuel, budget.fuel))),
            raised,
            most: budget.fuel,
        }
    }

    /// Returns the budget that the call needs, since a profiled plugin calls the host for each event. The fuel of the
    /// call without these events stays within that of [`new`](Self::new).
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.raised
    }

    /// Grants a [`Profiled`] module the import by which it tells its events.
    #[must_use]
    pub fn grant<T: 'static>(&self, grants: Grants<T>) -> Grants<T> {
        let profile = self.clone();
        grants.profile(move |record: ProfileRecord| profile.tree().count(record))
    }

    /// Forgets what was counted, such as the start of the instance, since only the call is to count.
    pub fn begin(&self) {
        *self.tree() = Tree::new(self.raised.fuel, self.most);
    }

    /// Ends the call, of which `fuel` was used by `Instance::usage`: the host's work before and after the guest's
    /// functions becomes the host's.
    pub fn finish(&self, fuel: u64) {
        self.tree().finish(fuel);
    }

    /// Returns the fuel of the call so far, as it is without a profile.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.tree().fuel()
    }

    /// Returns the frames of a flame graph, the whole call first.
    #[must_use]
    pub fn frames(&self, module: &Profiled) -> Vec<Frame> {
        self.tree().frames(|index| module.name(index))
    }

    /// Returns a line for each stack that has fuel of its own: the names with `;` between, and the fuel.
    #[must_use]
    pub fn folded(&self, module: &Profiled) -> String {
        self.tree().folded(|index| module.name(index))
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("fuel", &self.fuel())
            .finish_non_exhaustive()
    }
}
