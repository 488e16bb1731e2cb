//! What the firmware for tests shares: a board's start, its heap, stack and count of instructions,
//! and what it measures.

#![no_std]

extern crate alloc;
#[cfg(not(target_os = "none"))]
extern crate std;

#[cfg(target_os = "none")]
pub mod board;
#[cfg(target_os = "none")]
pub mod figures;
#[cfg(target_os = "none")]
pub mod heap;
#[cfg(target_os = "none")]
pub mod instructions;
#[cfg(target_os = "none")]
pub mod stack;

#[cfg(target_os = "none")]
pub use semihosting::println;
#[cfg(not(target_os = "none"))]
pub use std::println;
