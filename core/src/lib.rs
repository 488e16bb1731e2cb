//! Run untrusted WebAssembly plugins inside a Rust program, on a server or on a microcontroller.
//!
//! This crate is the whole host, without `std` and without `unsafe`, over the interpreter
//! [wasmi](https://docs.rs/wasmi). The crate [`hostel`](https://docs.rs/hostel) adds what needs an
//! operating system: files, clocks, threads and watched directories.
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
//!     eprintln!("{record}");
//! });
//! let plugin = engine.load("echo", &wasm, &grants)?;
//! assert_eq!(plugin.process(b"hello")?, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Concepts
//!
//! * An [`Engine`] holds [`Limits`], a default [`Budget`] and a [`Platform`]. It loads plugins.
//! * A [`Plugin`] is a checked and compiled module whose imports are bound to [`Grants`]. A guest can
//!   call the host functions that were granted, and nothing else. [`Wasi`] is one of the grants.
//! * An [`Instance`] is one sandbox of a plugin, with its own memory. [`Plugin::process`] and
//!   [`Plugin::call`] take an instance from a pool, and reset it after the call.
//! * A call has a [`Budget`]: fuel for the guest's work and the host's, bytes, host calls and time.
//!   It blocks the thread, or is a [`PendingCall`] that is stepped or awaited. An export over numbers
//!   that is called often is looked up once, as a [`TypedFunction`].
//! * Rust values are [lowered](Lower) into the guest and [lifted](Lift) out of it.
//! * A [`Host`] holds plugins by name and replaces them while they are in use.
//!
//! After most errors the instance can be called again. A trap, an exhausted budget or a deadline stops
//! the guest, and the instance refuses further calls: see [`CallError::stops`].
//!
//! # Rooms
//!
//! The source is a column of modules, the *rooms*. A room imports only from rooms below it.
//! `docs/architecture.md` draws a call's way and a module's way through them.
//!
//! | room | holds |
//! |---|---|
//! | `host` | plugins by name, replaced while in use |
//! | `snapshot` | an instance's state, written as a module |
//! | `plugin` | loading, calls in pooled instances, the pool |
//! | `instance` | one sandbox, its export calls, its reset |
//! | `engine` | limits, budget and platform; checks and compiles modules |
//! | `grants` | host functions and services handed to a plugin; checks and binds imports |
//! | `wasi` | WASI preview 1, and WASI 0.2 for components |
//! | `component` | the Component Model: reads components, lifts and lowers values with types in WIT |
//! | `abi` | calling conventions of guests: their exports, and the host functions of foreign ones |
//! | `services` | log, settings, state, HTTP |
//! | `host_functions` | closures with their types, as imports |
//! | `call` | one request: its budget and deadline, its slices, what a guest waits for |
//! | `marshal` | Rust values to core values and back |
//! | `memory` | the one place where a guest's pointer becomes bytes |
//! | `module` | reads, checks and rewrites a module before the interpreter sees it |
//! | `error` | errors of loading and of calls, with their codes, classes and traps |
//! | `base` | limits, platform, text and its escaping, log records, fuel rates, signatures |
//!
//! # The interpreter's dispatch
//!
//! wasmi has several ways to get from one instruction to the next, chosen by its cargo features. The
//! target and its optimisation decide which of them is safe and fast. This crate therefore chooses
//! none. The binary does, by a dependency on wasmi with the feature `auto-dispatch` (servers) or
//! `portable-dispatch` (safe everywhere; on Cortex-M together with `indirect-dispatch`).
//!
//! # Features
//!
//! * `postcard` – `Postcard<T>`, serialised values at the boundary.
//! * `simd` – plugins may use 128-bit SIMD instructions.
//! * `trace` – `Engine::with_call_trace`: traps name the three innermost guest functions.
//! * `slots` – `Slots`, static buffers for guests' memories.
//! * `mappings` – `Mappings`, which reset the memory that a call touched. Needs an operating system.
//! * `contract` – core modules with contracts in WIT that the host knows when it is compiled.
//! * `component` – plugins that are components, with contracts in WIT.
//! * `bindgen` – `component::bindgen!`, Rust for a world in WIT.
//! * `log`, `defmt` – sinks for plugins' log records; one of the two at most.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(not(target_has_atomic = "ptr"))]
compile_error!(
    "hostel-core needs atomic compare-and-swap: Cortex-M3 or higher, RV32IMAC or higher"
);
#[cfg(all(feature = "log", feature = "defmt"))]
compile_error!("the features `log` and `defmt` of hostel-core exclude each other: choose one");

extern crate alloc;

// The rooms, from the top down. `tests/layers.rs` reads this order and checks every import. The blank
// lines keep rustfmt from sorting them.

mod host;

mod snapshot;

mod plugin;

mod instance;

mod engine;

mod grants;

mod wasi;

#[cfg(feature = "contract")]
#[cfg_attr(not(feature = "component"), allow(dead_code))]
pub mod component;

mod abi;

mod services;

mod host_functions;

mod call;

pub mod marshal;

mod memory;

mod module;

mod error;

mod base;

#[cfg(feature = "component")]
pub use self::base::limits::ComponentLimits;
#[cfg(feature = "defmt")]
pub use self::base::log::Defmt;
#[cfg(feature = "log")]
pub use self::base::log::LogCrate;
#[cfg(feature = "profile")]
pub use self::grants::{ProfileEvent, ProfileRecord};
#[cfg(feature = "postcard")]
pub use self::marshal::Postcard;
#[cfg(feature = "component")]
pub use self::plugin::{ComponentCallee, ComponentExport, ComponentFunction, Contract};
#[cfg(feature = "contract")]
pub use self::plugin::{FixedCallee, FixedExport};
pub use self::{
    abi::{
        Convention, Extism, Wapc,
        wapc::{HostAnswer, HostRequest},
    },
    base::{
        growth::RefusedGrowth,
        limits::{Budget, Limits, ModuleLimits, Usage},
        log::{LogLevel, LogRecord, LogSink, Speaker},
        nesting::Nesting,
        platform::{NoPlatform, Platform},
        signature::{Signature, ValType},
        text::Escaped,
        value::Value,
    },
    call::canceller::Canceller,
    engine::Engine,
    error::{CallError, ErrorClass, LoadError, Mismatch, Trap, TrapKind},
    grants::{Grants, grant_for, services},
    host::{Host, HostError, Version},
    host_functions::{Async, Context, HostReturn, IntoHostFunction},
    instance::{Instance, Numbers, PendingCall, Step, TypedFunction},
    marshal::{Lift, Lower},
    module::{
        Export, Extern, Footprint, Import, Machine, MemoryInfo, ModuleInfo, Section, TableInfo,
    },
    plugin::{Plugin, PluginBytesFunction, PluginFunction, PoolFigures, Request},
    services::{
        http::{HttpClient, HttpError, HttpRequest, HttpResponse, PendingHttp},
        state::{MemoryState, StateCosts, StateError, StateLimits, StateStore, StateUse},
    },
    snapshot::{Derivable, SnapshotError},
    wasi::{Wasi, WasiInput, WasiOutput, files},
};
#[cfg(feature = "mappings")]
pub use hostel_mappings::Mappings;
#[cfg(feature = "slots")]
pub use hostel_slots::Slots;
