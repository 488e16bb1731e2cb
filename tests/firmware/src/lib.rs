#![no_std]
#[cfg(not(target_os = "none"))]
extern crate std;
extern crate alloc;

// Locks interrupts out.
#[cfg(target_arch = "arm")]
use cortex_m as _;
#[cfg(target_arch = "riscv32")]
use riscv as _;

pub mod board;
pub mod heap;
