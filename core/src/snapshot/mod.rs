//! Snapshots: the state of an initialised instance, written as a module that starts with it.
//!
//! The module is run, its state is read ([`Captured`]), and a module with that state is
//! [written](write). The interpreter shows tables and dropped segments only if the module exports
//! them. So a module that can change these is run with additional exports ([`expose`]).
//!
//! In a [component], each core module gets the state of its instance.

#[cfg(feature = "component")]
mod component;
mod expose;
mod sections;
mod transition;
mod write;

pub use self::transition::Derivable;

use self::{expose::Exposed, write::Captured};
use crate::{
    engine::Engine,
    error::{CallError, LoadError},
    grants::Grants,
    instance::{Instance, Sandbox},
    module,
    plugin::Plugin,
};
use alloc::{borrow::Cow, boxed::Box, vec::Vec};
use core::{error::Error, fmt};

impl Engine {
    /// Runs `init` in a new instance of `wasm`, after its start, and returns a module whose instances
    /// start from the resulting state, so that slow initialisation runs only once. The result is an
    /// ordinary `.wasm` file, for this host or another. Of a component, it is a component: see
    /// `Engine::snapshot_component`.
    ///
    /// The state consists of memory, globals and tables, exported or not, and of which segments were
    /// dropped. Start function, `_initialize` or `__wasm_call_ctors`, and the start exports of another
    /// [convention](crate::Convention::initializers) are left out, since they have run; so is `_start`, if
    /// `init` called a function of a command. Nothing on the host's side is included: data, log, state and
    /// WASI descriptors are those of each new instance.
    /// What host functions returned stays in the guest's memory, secrets and random seeds included.
    /// Each call in `init` has the engine's budget; the instance's data is `T::default()`.
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
    /// [`SnapshotError::Load`] if the module is refused, or has grown above the limits;
    /// [`SnapshotError::Call`] if its start or `init` fails; [`SnapshotError::Unsupported`] if it
    /// holds something that a module can't start with.
    pub fn snapshot<T: Default + 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
        init: impl FnOnce(&mut Instance<T>) -> Result<(), CallError>,
    ) -> Result<Vec<u8>, SnapshotError> {
        #[cfg(feature = "component")]
        if crate::component::is_component(wasm) {
            return self.snapshot_component(name, wasm, grants, init);
        }
        if let Some(own) = self.bounded_by(grants) {
            return own.snapshot(name, wasm, &grants.without_bounds(), init);
        }
        let info = self.check(wasm, grants).map_err(SnapshotError::Load)?;
        let exposed = (info.changes.not_resettable)
            .then(|| expose::expose(wasm))
            .flatten();
        let plugin = match &exposed {
            Some(exposed) => {
                self.with_room_for(exposed)
                    .untraced()
                    .load(name, &exposed.wasm, grants)
            }
            None => self.untraced().load(name, wasm, grants),
        };
        let plugin = plugin.map_err(SnapshotError::Load)?;
        let mut sandbox = initialised(&plugin, init)?;
        let captured = Captured::capture(&mut sandbox, exposed.as_ref())?;
        let segments = self.limits().module.segments;
        let unwritten = || unsupported("a part of the module can't be rewritten");
        let snapshot = captured.write(wasm, segments).ok_or_else(unwritten)?;
        // Checked now, since it may be stored for long before it is loaded.
        let valid = module::validate(&snapshot);
        let fits = valid.and_then(|()| self.check(&snapshot, grants));
        fits.map_err(SnapshotError::Load)?;
        Ok(snapshot)
    }

    /// Loads a plugin whose instances start from the state after `init`, which runs once. Equals
    /// [`snapshot`](Self::snapshot), then [`load_any`](Self::load_any) of its result.
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
        self.load_any(name, &snapshot, grants)
            .map_err(SnapshotError::Load)
    }

    /// Returns this engine with limits that allow for the additional exports. The module itself was
    /// checked against the limits before.
    fn with_room_for(&self, exposed: &Exposed) -> Self {
        let mut limits = *self.limits();
        limits.module_bytes = limits.module_bytes.max(exposed.wasm.len());
        limits.module.exports = usize::MAX;
        limits.module.globals = usize::MAX;
        limits.module.name_bytes = limits.module.name_bytes.max(64);
        limits.module.function_bytes = usize::MAX;
        self.clone().with_limits(limits)
    }
}

/// Runs `init` in a new instance of `plugin`, and returns its sandbox.
fn initialised<T: Default + 'static>(
    plugin: &Plugin<T>,
    init: impl FnOnce(&mut Instance<T>) -> Result<(), CallError>,
) -> Result<Box<Sandbox<T>>, SnapshotError> {
    let mut instance = plugin
        .instantiate(T::default())
        .map_err(SnapshotError::Call)?;
    init(&mut instance).map_err(SnapshotError::Call)?;
    if !plugin.owns(&instance) {
        return Err(unsupported(
            "`init` swapped in an instance of another plugin",
        ));
    }
    instance.into_sandbox().map_err(SnapshotError::Call)
}

#[cold]
fn unsupported(what: impl Into<Cow<'static, str>>) -> SnapshotError {
    SnapshotError::Unsupported { what: what.into() }
}

/// An error of [`Engine::snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The module, or the snapshot of it, was refused.
    Load(LoadError),
    /// The module's start, the initialisation, or `deallocate` after it failed.
    Call(CallError),
    /// The state can't be written as a module.
    Unsupported {
        /// The reason, for people.
        what: Cow<'static, str>,
    },
}

impl SnapshotError {
    /// Returns the stable code of this kind of error.
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

/// A segment that code can drop, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Data(u32),
    Element(u32),
}
