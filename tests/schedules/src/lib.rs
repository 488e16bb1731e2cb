//! Runs what hostel shares between threads under many schedules: the order in which threads run is
//! shuttle's choice at each lock, condition variable and start of a thread. A wake that is lost is a
//! deadlock, which shuttle reports with the schedule that led to it.
//!
//! Atomic values are not replaced: a load or store happens together with the lock operation before it, and
//! memory is sequentially consistent. `tests/races` looks for what that leaves out.

// The platform's and the timer's own source, over the stand-in for the standard library.
#[macro_use]
extern crate stand_in as std;

#[path = "../../../std-shim/src/platform.rs"]
mod platform;
#[path = "../../../std-shim/src/timer.rs"]
mod timer;

pub use platform::Std;
pub use stand_in::time::{Duration, advance, run_out};

use shuttle::{
    Config, MaxSteps, Runner,
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
};

/// Runs `body` under schedules by chance, and as many that interrupt a thread at three places. Their
/// number is 200 each, or that in the environment variable `HOSTEL_SCHEDULES`.
///
/// # Panics
///
/// If `body` panics or its threads wait for ever, under one of the schedules; the message contains it.
pub fn explore(body: impl Fn() + Clone + Send + Sync + 'static) {
    let schedules = std::env::var("HOSTEL_SCHEDULES").map_or(200, |number| {
        number.parse().expect("HOSTEL_SCHEDULES is a number")
    });
    run(RandomScheduler::new(schedules), body.clone());
    run(PctScheduler::new(3, schedules), body);
}

fn run(scheduler: impl Scheduler + 'static, body: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // wasmi's compiler needs more than the usual 32 KiB.
    config.stack_size = 1 << 20;
    config.max_steps = MaxSteps::FailAfter(200_000);
    Runner::new(scheduler, config).run(move || {
        stand_in::time::reset();
        stand_in::thread::reset();
        body();
    });
}
