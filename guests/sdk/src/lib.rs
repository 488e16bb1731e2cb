//! Write WebAssembly plugins for the **hostel** host in Rust.
//!
//! A plugin is a function from bytes to bytes, or from text to text. The macro [`plugin!`] exports
//! such functions to the host, together with the functions `allocate` and `deallocate`, with which
//! the host passes data in and out. [`log`], [`config`], [`state`] and [`http`] call functions that the host may
//! grant, and [`host_functions!`] declares those of your own host.
//!
//! # Example
//!
//! `Cargo.toml`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! hostel-guest = { version = "0.1", features = ["allocator", "panic-handler"] }
//!
//! [profile.release]
//! panic = "abort"
//! opt-level = "s"
//! lto = true
//! codegen-units = 1
//! ```
//!
//! `src/lib.rs`:
//!
//! ```
//! #![cfg_attr(target_arch = "wasm32", no_std)]
//!
//! extern crate alloc;
//!
//! use alloc::{format, string::String, vec::Vec};
//! use hostel_guest::{Error, config, log};
//!
//! hostel_guest::plugin!(process, greet);
//!
//! /// Bytes in, bytes out.
//! fn process(input: &[u8]) -> Result<Vec<u8>, Error> {
//!     log(&format!("processing {} bytes", input.len()));
//!     let text = core::str::from_utf8(input)?;
//!     let prefix = config("prefix").ok_or("the setting `prefix` is missing")?;
//!     Ok(format!("{prefix}_{text}").into_bytes())
//! }
//!
//! /// Text in, text out. Input that is not UTF-8 is refused with an error before this runs.
//! fn greet(name: &str) -> String {
//!     format!("Hello, {name}!")
//! }
//! ```
//!
//! Build it with `cargo build --release --target wasm32-unknown-unknown`.
//!
//! rustc reserves 1 MiB for the stack, so a plugin starts with 17 pages of memory (1.1 MiB). Most
//! plugins need far less stack. With 16 KiB, set in `.cargo/config.toml`, they start with one page
//! (64 KiB):
//!
//! ```toml
//! [target.wasm32-unknown-unknown]
//! rustflags = ["-Clink-arg=-zstack-size=16384"]
//! ```
//!
//! # Small guests
//!
//! On a microcontroller, even one page of 64 KiB is too much. With pages of one byte, a plugin's memory
//! is exactly as large as its stack and its data, and grows by what its heap asks for:
//!
//! ```toml
//! [target.wasm32-unknown-unknown]
//! rustflags = ["-Clink-arg=--page-size=1", "-Clink-arg=-zstack-size=1024"]
//! ```
//!
//! This needs the linker of Rust 1.91 or later. [`in_place!`] does without a heap, and makes plugins of
//! a few hundred bytes. The folder `template` beside the SDK holds such a plugin, to copy and change.
//!
//! # Guests with std
//!
//! To use std, leave the features `allocator` and `panic-handler` off and drop the line with `no_std`:
//! std has its own allocator and panic handler. In a workspace with guests of both kinds, build each
//! with its own `cargo build -p`, since cargo unifies the features of all packages in one build.
//!
//! # Numbers
//!
//! A function of numbers needs neither the macro nor memory. Its parameters, and its result if it has
//! one, can be `i32`, `u32`, `i64`, `u64`, `f32` or `f64`:
//!
//! ```
//! # #![allow(dead_code)]
//! #[unsafe(no_mangle)]
//! pub extern "C" fn add(a: u32, b: u32) -> u32 {
//!     a.wrapping_add(b)
//! }
//! ```
//!
//! # Errors and traps
//!
//! * An [`Error`] is an answer: the host passes its message to the caller, and the instance stays in
//!   use. Return errors for everything that the input can cause.
//! * A panic is a trap, and so is a failed allocation: the host discards the instance. On
//!   `wasm32-unknown-unknown`, the message of a panic is lost unless the feature `panic-log` is on. Turn
//!   it on in each plugin that logs.
//!
//! # Testing a plugin
//!
//! `cargo test` runs a plugin's functions natively, provided that the crate is `no_std` on wasm32 only,
//! as above. On every other target the macros export nothing. A [`testing::Host`] gives the functions settings, state
//! and host functions, and records their log. Without one, the host functions do nothing: [`log`] discards the line,
//! [`config`] returns `None`, and [`state`] keeps no values.
//!
//! # Features
//!
//! All are off by default. All but `json` have no effect on targets other than wasm32.
//!
//! | feature | effect |
//! |---|---|
//! | `allocator` | adds a small global allocator, for memories with pages of 64 KiB or of one byte |
//! | `no-heap` | adds a global allocator that always fails, for plugins that never allocate |
//! | `panic-handler` | adds a panic handler that traps, without formatting the message |
//! | `json` | adds `Json`: parameters and results in JSON, by serde |
//! | `panic-log` | writes the message of a panic to the host's log before the trap, with `panic-handler` or with std; imports `env.host_log` |

#![no_std]
#![warn(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

extern crate alloc;
// Of wasm32 for its hook of panics, of other targets for tests.
#[cfg(any(
    not(target_arch = "wasm32"),
    all(feature = "panic-log", not(feature = "panic-handler"))
))]
extern crate std;

pub mod abi;
#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
mod error;
mod host;
mod host_functions;
pub mod http;
mod in_place;
#[cfg(feature = "json")]
mod json;
#[cfg(all(
    target_arch = "wasm32",
    feature = "no-heap",
    not(feature = "allocator")
))]
mod no_heap;
#[cfg(all(target_arch = "wasm32", feature = "panic-handler"))]
mod panic_handler;
#[cfg(any(test, all(target_arch = "wasm32", feature = "panic-log")))]
mod panic_log;
mod plugin;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod value;

pub use error::{Error, Result};
pub use host::{Level, config, config_bytes, log, log_at, log_message};
pub use host_functions::HostResult;
#[cfg(feature = "json")]
pub use json::Json;
pub use value::{Input, Output};
