//! The time, in microseconds, by the processor's own timer.

use core::{cell::RefCell, task::Waker};
use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

/// Of the processor.
const MEGAHERTZ: u32 = 25;

/// How often those who wait are looked at, in microseconds.
pub const PERIOD: u32 = 100;

struct Timer {
    periods: Mutex<RefCell<u64>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static TIMER: Timer = Timer {
    periods: Mutex::new(RefCell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// Starts it.
pub fn start(mut timer: SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(MEGAHERTZ * PERIOD - 1);
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
}

impl Driver for Timer {
    fn now(&self) -> u64 {
        critical_section::with(|cs| {
            let mut periods = *self.periods.borrow_ref(cs);
            let mut left = SYST::get_current();
            if SCB::is_pendst_pending() {
                // A period has ended that is not yet counted.
                periods += 1;
                left = SYST::get_current();
            }
            let passed = (MEGAHERTZ * PERIOD - 1 - left) / MEGAHERTZ;
            periods * u64::from(PERIOD) + u64::from(passed)
        })
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| self.queue.borrow_ref_mut(cs).schedule_wake(at, waker));
    }
}

#[cortex_m_rt::exception]
fn SysTick() {
    critical_section::with(|cs| {
        let now = {
            let mut periods = TIMER.periods.borrow_ref_mut(cs);
            *periods += 1;
            *periods * u64::from(PERIOD)
        };
        TIMER.queue.borrow_ref_mut(cs).next_expiration(now);
    });
}
