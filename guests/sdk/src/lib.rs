//! Write WebAssembly plugins for the **hostel** host in Rust.
//!
//! A plugin is a function from bytes to bytes, or from text to text. The macro [`plugin!`] turns
//! such functions into exports that the host can call, together with the `allocate` and
//! `deallocate` the host needs to pass data in and out. [`log`], [`config`] and [`state`] ask the
//! host for what it grants.
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
//! /// Text in, text out. Input that is not UTF-8 is answered with an error, before this runs.
//! fn greet(name: &str) -> String {
//!     format!("Hello, {name}!")
//! }
//! ```
//!
//! Build it with `cargo build --release --target wasm32-unknown-unknown`.
//!
//! rustc reserves 1 MiB for the stack. Most plugins do with less, and then start with one page of
//! memory instead of 17; in `.cargo/config.toml`:
//!
//! ```toml
//! [target.wasm32-unknown-unknown]
//! rustflags = ["-Clink-arg=-zstack-size=16384"]
//! ```
//!
//! # Small guests
//!
//! For a microcontroller, a plugin should take what it needs instead of 64 KiB. With pages of one
//! byte its memory is as large as its stack and its data, and grows by what its heap asks for:
//!
//! ```toml
//! [target.wasm32-unknown-unknown]
//! rustflags = ["-Clink-arg=--page-size=1", "-Clink-arg=-zstack-size=1024"]
//! ```
//!
//! The linker of rustc takes it since Rust 1.91 or so. [`in_place!`] does without a heap, and
//! makes plugins of some hundred bytes; the folder `template` beside the SDK is one to copy.
//!
//! # Guests with std
//!
//! Leave both features off and drop the line with `no_std`: std has its own allocator and panic
//! handler. In a workspace with guests of both kinds, build each with a `cargo build -p` of its
//! own, for cargo gives all packages of one build the same features.
//!
//! # Numbers
//!
//! A function of numbers needs neither the macro nor memory. Any combination of `i32`, `u32`,
//! `i64`, `u64`, `f32` and `f64` works, with at most one result:
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
//! A function that returns an [`Error`] *answers*: the host hands the message to its caller, and
//! the plugin stays in use. A panic is a trap, and so is an allocation that fails: the host throws
//! this instance away. Answer errors for what the input can cause.
//!
//! # Testing a plugin
//!
//! On every target but wasm32 the macro exports nothing, and the host functions answer as a host
//! that grants nothing: [`log`] and [`log_message`] discard the line, [`config`] and
//! [`config_bytes`] give `None`, [`state`] keeps nothing. So `cargo test` runs the functions of a plugin natively, provided
//! that it is `no_std` on wasm32 only, as above.
//!
//! # Features
//!
//! All are off by default and do nothing on targets other than wasm32.
//!
//! | feature | gives |
//! |---|---|
//! | `allocator` | a small global allocator, for memories with pages of 64 KiB or of one byte |
//! | `no-heap` | a global allocator that has nothing, for plugins that never allocate |
//! | `panic-handler` | a panic handler that traps, without formatting the message |

#![no_std]
#![warn(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

extern crate alloc;

pub mod abi;
#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
mod error;
mod host;
mod in_place;
#[cfg(all(
    target_arch = "wasm32",
    feature = "no-heap",
    not(feature = "allocator")
))]
mod no_heap;
#[cfg(all(target_arch = "wasm32", feature = "panic-handler"))]
mod panic_handler;
mod plugin;
pub mod state;
mod value;

pub use error::Error;
pub use host::{config, config_bytes, log, log_message};
pub use value::{Input, Output};
