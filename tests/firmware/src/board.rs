//! A board from its start to its end.

use crate::{heap, instructions, stack};

// Each locks interrupts out, for the heap.
#[cfg(target_arch = "arm")]
use cortex_m as _;
#[cfg(target_arch = "riscv32")]
use riscv as _;

/// Runs `work` on a board that is set up, and ends the emulator with whether it went well.
pub fn run(work: impl FnOnce() -> bool) -> ! {
    heap::start();
    instructions::start();
    stack::paint();
    let well = work();
    if !stack::has_held() {
        crate::println!("the stack has reached the heap");
        semihosting::process::exit(2);
    }
    semihosting::process::exit(i32::from(!well));
}

/// The board's first function, which runs `$work`.
#[macro_export]
macro_rules! main {
    ($work:path) => {
        #[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
        #[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
        fn main() -> ! {
            $crate::board::run($work)
        }
    };
}
