//! The state of an instance as a module: what was done once to come there is not done again.
//!
//! The module is run, its state is read out ([`Captured`]), and a module is [written](write) that
//! starts with that state. Tables, and segments that were dropped, can't be read through the
//! interpreter unless the module exports them: so where a module can change these, it is one with
//! more exports that is run ([`expose`]).

mod expose;
mod sections;
mod write;

use self::{expose::Exposed, write::Captured};
use crate::{
    engine::Engine,
    error::{CallError, LoadError},
    grants::Grants,
    instance::Instance,
    module,
    plugin::Plugin,
};
use alloc::vec::Vec;
use core::{error::Error, fmt};

impl Engine {
    /// Runs `init` in a new instance of `wasm`, after its start, and gives a module that starts
    /// where that ended: memory, globals and tables, exported or not, and which segments were
    /// dropped. It is an ordinary `.wasm` file, for this host or another.
    ///
    /// The start function and `_initialize` are not in it, as they were run; nor is what is on the
    /// host's side: an instance of it has its own data, log, state and WASI descriptors. What host
    /// functions answered meanwhile is kept as the guest kept it. Each call in `init` has the
    /// engine's budget, and host functions find `T::default()`.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (global $n (mut i32) (i32.const 0))
    /// #   (func (export "learn") (global.set $n (i32.const 42)))
    /// #   (func (export "known") (result i32) (global.get $n)))"#)?;
    /// use hostel_core::{Engine, Grants};
    /// let (engine, grants) = (Engine::default(), Grants::new());
    /// let learned = engine.snapshot("oracle", &wasm, &grants, |instance| {
    ///     instance.call::<(), ()>("learn", ())
    /// })?;
    /// let plugin = engine.load("oracle", &learned, &grants)?;
    /// assert_eq!(plugin.call::<(), u32>("known", ())?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]: the module can't be loaded, its start or `init` failed, or it holds what
    /// a module can't start with; [`SnapshotError::Load`] also where it has grown over the limits.
    pub fn snapshot<T: Default + 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
        init: impl FnOnce(&mut Instance<T>) -> Result<(), CallError>,
    ) -> Result<Vec<u8>, SnapshotError> {
        let info = self.check(wasm, grants).map_err(SnapshotError::Load)?;
        let exposed = (info.changes.not_resettable)
            .then(|| expose::expose(wasm))
            .flatten();
        let plugin = match &exposed {
            Some(exposed) => self
                .with_room_for(exposed)
                .load(name, &exposed.wasm, grants),
            None => self.load(name, wasm, grants),
        };
        let plugin = plugin.map_err(SnapshotError::Load)?;
        let mut instance = plugin
            .instantiate(T::default())
            .map_err(SnapshotError::Call)?;
        init(&mut instance).map_err(SnapshotError::Call)?;
        if !plugin.owns(&instance) {
            return Err(SnapshotError::Unsupported {
                what: "`init` has put another plugin's instance in the place of this one's",
            });
        }
        let mut sandbox = instance.into_sandbox().map_err(SnapshotError::Call)?;
        let captured = Captured::capture(&mut sandbox, exposed.as_ref())?;
        let segments = self.limits().module.segments;
        let unwritten = || SnapshotError::Unsupported {
            what: "a part of the module can't be written anew",
        };
        let snapshot = captured.write(wasm, segments).ok_or_else(unwritten)?;
        // Whoever gets it may keep it long before it is loaded.
        let valid = module::validate(&snapshot);
        let fits = valid.and_then(|()| self.check(&snapshot, grants));
        fits.map_err(SnapshotError::Load)?;
        Ok(snapshot)
    }

    /// Loads a plugin whose instances each start from the state after `init`, which is run once:
    /// [`snapshot`](Self::snapshot), and [`load`](Self::load) of what it gives.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (global $n (mut i32) (i32.const 0))
    /// #   (func (export "learn") (global.set $n (i32.const 42)))
    /// #   (func (export "known") (result i32) (global.get $n)))"#)?;
    /// use hostel_core::{Engine, Grants};
    /// let warmed = Engine::default().load_warmed("oracle", &wasm, &Grants::new(), |instance| {
    ///     instance.call::<(), ()>("learn", ())
    /// })?;
    /// assert_eq!(warmed.call::<(), u32>("known", ())?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`snapshot`](Self::snapshot).
    pub fn load_warmed<T: Default + 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
        init: impl FnOnce(&mut Instance<T>) -> Result<(), CallError>,
    ) -> Result<Plugin<T>, SnapshotError> {
        let snapshot = self.snapshot(name, wasm, grants, init)?;
        self.load(name, &snapshot, grants)
            .map_err(SnapshotError::Load)
    }

    /// The same engine, with room for what was added to the module, which was checked before.
    fn with_room_for(&self, exposed: &Exposed) -> Self {
        let mut limits = *self.limits();
        limits.module_bytes = limits.module_bytes.max(exposed.wasm.len());
        limits.module.exports = usize::MAX;
        limits.module.globals = usize::MAX;
        limits.module.name_bytes = limits.module.name_bytes.max(64);
        limits.module.function_bytes = usize::MAX;
        self.with_limits(limits)
    }
}

/// Why there is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The module can't be loaded, or the snapshot of it.
    Load(LoadError),
    /// Its start, the initialisation, or its `deallocate` after that failed.
    Call(CallError),
    /// The instance holds what a module can't start with.
    Unsupported {
        /// What it is.
        what: &'static str,
    },
}

impl SnapshotError {
    /// The stable code of this kind of error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Load(error) => error.code(),
            Self::Call(error) => error.code(),
            Self::Unsupported { .. } => "snapshot-unsupported",
        }
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(error) => error.fmt(f),
            Self::Call(error) => write!(f, "no snapshot, the initialisation failed: {error}"),
            Self::Unsupported { what } => write!(f, "no snapshot can be taken: {what}"),
        }
    }
}

impl Error for SnapshotError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Load(error) => error.source(),
            Self::Call(error) => error.source(),
            Self::Unsupported { .. } => None,
        }
    }
}

/// A segment, which code can drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Data(u32),
    Element(u32),
}
