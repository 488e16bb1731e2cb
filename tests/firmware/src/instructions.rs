//! Counts instructions, in an emulator whose clock goes on by a nanosecond with each
//! (`-icount shift=0`).
//!
//! The cycle counter of a Cortex-M is not there in QEMU, but its system timer is, and goes by that
//! clock. It counts in steps of several instructions: what is measured is repeated.

#[cfg(target_arch = "arm")]
mod timer {
    use cortex_m::peripheral::{SYST, syst::SystClkSource};

    /// Of the processor's clock, to which the timer is set.
    const HERTZ: u64 = if cfg!(feature = "netduinoplus2") {
        168_000_000
    } else if cfg!(feature = "musca-b1") {
        40_000_000
    } else {
        25_000_000
    };
    const RELOAD: u32 = 0x00ff_ffff;

    pub(crate) fn start() {
        // The board has just started, and nobody else uses it.
        let mut timer = unsafe { cortex_m::Peripherals::steal() }.SYST;
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_counter();
    }

    /// Ticks, downwards.
    pub(super) fn now() -> u64 {
        SYST::get_current().into()
    }

    pub(super) fn between(start: u64, end: u64) -> u64 {
        let ticks = start.wrapping_sub(end) & u64::from(RELOAD);
        ticks * 1_000_000_000 / HERTZ
    }
}

#[cfg(target_arch = "riscv32")]
mod timer {
    pub(crate) fn start() {}

    pub(super) fn now() -> u64 {
        riscv::register::minstret::read64()
    }

    pub(super) fn between(start: u64, end: u64) -> u64 {
        end - start
    }
}

pub(crate) use timer::start;

/// How many instructions `work` takes: below 400 million, by the narrowest timer.
pub fn count<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let start = timer::now();
    let result = work();
    (result, timer::between(start, timer::now()))
}
