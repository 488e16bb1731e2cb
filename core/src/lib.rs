//! A small, strict house for guests you don't trust: the whole host for WebAssembly plugins, over
//! the pure interpreter [wasmi](https://docs.rs/wasmi), without `std`, without `unsafe`.
//!
//! ```
//! use hostel_core::{Engine, Grants, Limits, LogRecord};
//!
//! # let wasm = wat::parse_str(r#"(module (import "env" "host_log" (func $log (param i32 i32)))
//! #   (memory (export "memory") 1)
//! #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
//! #   (func (export "process") (param i32 i32) (result i32 i32)
//! #     (call $log (local.get 0) (local.get 1)) (local.get 0) (local.get 1)))"#)?;
//! let engine = Engine::new(Limits::server());
//! let grants = Grants::new().log(|record: &LogRecord<'_>| {
//!     eprintln!("{}: {}", record.plugin, record.text);
//! });
//! let plugin = engine.load("echo", &wasm, &grants)?;
//! assert_eq!(plugin.process(b"hello")?, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The rooms
//!
//! An [`Engine`] has [`Limits`], a [`Budget`] and a [`Platform`]; from it a [`Plugin`] is loaded:
//! its module checked, its imports bound to [`Grants`]. From a plugin come [`Instance`]s, each an
//! isolated sandbox, and each call of one is charged for the guest's work and the host's. An export
//! over numbers that is called often is looked up once, as a [`TypedFunction`].
//! A guest of [WASI](Wasi) is granted what it may see, and a command is [run](Plugin::run_command).
//! Values are [lifted](Lift) out of a guest and [lowered](Lower) into it. A [`Host`] holds
//! plugins by name.
//!
//! An *error* is an answer, and its instance goes on; a *trap* stops the guest, and its instance
//! is not used again ([`CallError::stops`]).
//!
//! # The interpreter's dispatch
//!
//! wasmi has several ways to go from one instruction to the next, chosen by its cargo features,
//! and which one is right and safe depends on the target and its optimisation. So this crate
//! names none: the binary does, by a dependency on wasmi with the feature `auto-dispatch`
//! (servers) or `portable-dispatch` (everywhere safe; on Cortex-M with `indirect-dispatch`).
//!
//! # Features
//!
//! * `postcard` – `Postcard<T>`, serialised values at the boundary.
//! * `simd` – plugins may use 128-bit SIMD instructions.
//! * `slots` – `Slots`, static buffers for guests' memories.
//! * `log`, `defmt` – sinks for plugins' log records; one of the two at most.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(not(target_has_atomic = "ptr"))]
compile_error!(
    "hostel-core needs atomic compare-and-swap: Cortex-M3 or higher, RV32IMAC or higher"
);
#[cfg(all(feature = "log", feature = "defmt"))]
compile_error!("the features `log` and `defmt` of hostel-core exclude each other: choose one");

extern crate alloc;

mod abi;
mod bounds;
mod buffers;
mod call;
mod engine;
mod error;
mod exchange;
mod host;
mod host;
mod image;
mod instance;
mod limits;
pub mod marshal;
mod memory;
mod module;
mod platform;
mod plugin;
mod pool;
mod run;
mod running;
mod sandbox;
mod snapshot;
mod state;
mod value;
mod wasi;

#[cfg(feature = "defmt")]
pub use self::host::Defmt;
#[cfg(feature = "log")]
pub use self::host::LogCrate;
#[cfg(feature = "postcard")]
pub use self::marshal::Postcard;
pub use self::{
    call::Canceller,
    engine::Engine,
    error::{CallError, LoadError, Mismatch, Trap, TrapKind},
    host::{
        Async, Context, Escaped, Grants, HostReturn, IntoHostFunction, LogRecord, LogSink,
        grant_for, services,
    },
    host::{Host, HostError, Version},
    instance::{Instance, TypedFunction},
    limits::{Budget, Limits, ModuleLimits, Usage},
    marshal::{Lift, Lower},
    module::{
        Export, Extern, Footprint, Import, Machine, MemoryInfo, ModuleInfo, Section, Signature,
        TableInfo,
    },
    platform::{NoPlatform, Platform},
    plugin::Plugin,
    pool::PoolFigures,
    running::{PendingCall, Step},
    snapshot::SnapshotError,
    state::{MemoryState, StateCosts, StateError, StateLimits, StateStore, StateUse},
    value::Value,
    wasi::{Wasi, WasiInput, WasiOutput, files},
};
#[cfg(feature = "slots")]
pub use hostel_slots::Slots;
/// The types of core values, and what a [`TypedFunction`] may take and give.
pub use wasmi::{ValType, WasmParams, WasmResults};
