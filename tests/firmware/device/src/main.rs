//! A device that runs plugins beside its own work.
//!
//! One task has to be on time, every 5 ms. Beside it, a plugin works through samples a slice at a
//! time; one that never ends is stopped; one is replaced while the device runs. All of it on one
//! stack, with embassy's executor: a call is a future that gives control back after each quantum of
//! fuel.

#![no_std]
#![no_main]

extern crate alloc;

mod time;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use defmt_semihosting as _;
use embassy_executor::Spawner;
use embassy_sync::{blocking_mutex::raw::ThreadModeRawMutex, signal::Signal};
use embassy_time::{Duration, Instant, Ticker, Timer};
use hostel_core::{Budget, CallError, Defmt, Engine, Grants, Host, Limits, Plugin};

/// Fuel that a plugin uses before the other tasks have their turn.
const QUANTUM: u64 = 2_000;

/// The longest that a quantum takes here, in microseconds: up to 50 instructions a unit of fuel, a
/// nanosecond each, and what the executor does.
const QUANTUM_TAKES: u32 = 150;

#[global_allocator]
static HEAP: embedded_alloc::LlffHeap = embedded_alloc::LlffHeap::empty();

/// How late the task that has to be on time was at most, in microseconds.
static LATEST: AtomicU32 = AtomicU32::new(0);

/// A plugin's work that is done.
type Done = Signal<ThreadModeRawMutex, ()>;
static FILTERED: Done = Signal::new();
static STOPPED: Done = Signal::new();
static REPLACED: Done = Signal::new();

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    const SIZE: usize = 128 << 10;
    static mut MEMORY: [u64; SIZE / 8] = [0; SIZE / 8];
    // It is for the heap alone, and made only once.
    unsafe { HEAP.init(&raw mut MEMORY as usize, SIZE) };
    let core = cortex_m::Peripherals::take();
    time::start(core.expect("it is taken only once").SYST);

    let mut limits = Limits::device(256 << 10);
    limits.stack_bytes = 2 << 10;
    let engine = Engine::new(limits).with_budget(Budget::device());
    let grants = Grants::new().log(Defmt);
    let load = |name, wasm| match engine.load(name, wasm, &grants) {
        Ok(plugin) => plugin,
        Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
    };
    let filter = load(
        "filter",
        include_bytes!(concat!(env!("OUT_DIR"), "/filter.wasm")),
    );
    let runaway = load(
        "runaway",
        include_bytes!(concat!(env!("OUT_DIR"), "/runaway.wasm")),
    );
    let host = Host::new(engine.clone());

    spawner.spawn(on_time().expect("there is one"));
    spawner.spawn(smooth(filter).expect("there is one"));
    spawner.spawn(stop(runaway).expect("there is one"));
    spawner.spawn(replace(host).expect("there is one"));
    FILTERED.wait().await;
    STOPPED.wait().await;
    REPLACED.wait().await;

    let latest = LATEST.load(Relaxed);
    let allowed = QUANTUM_TAKES + time::PERIOD;
    defmt::info!("{=u32} us late at most, {=u32} allowed", latest, allowed);
    semihosting::process::exit(i32::from(latest > allowed));
}

/// Has to be on time.
#[embassy_executor::task]
async fn on_time() {
    let period = Duration::from_millis(5);
    let mut ticker = Ticker::every(period);
    let mut due = Instant::now() + period;
    loop {
        ticker.next().await;
        let late = Instant::now().duration_since(due).as_micros();
        LATEST.fetch_max(late.try_into().unwrap_or(u32::MAX), Relaxed);
        due += period;
    }
}

/// Has a plugin work through samples, ten times.
#[embassy_executor::task]
async fn smooth(plugin: Plugin) {
    let samples: Vec<u8> = (0..256u16).flat_map(|n| (n * 100).to_le_bytes()).collect();
    for _ in 0..10 {
        let began = Instant::now();
        match plugin.process_async(&samples).with_quantum(QUANTUM).await {
            Ok(smooth) => defmt::info!(
                "{=usize} bytes smoothed in {=u64} us",
                smooth.len(),
                began.elapsed().as_micros()
            ),
            Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
        }
    }
    FILTERED.signal(());
}

/// Stops a plugin that never ends, after a while.
#[embassy_executor::task]
async fn stop(plugin: Plugin) {
    let plugin = plugin.with_budget(Budget::device().with_fuel(u64::MAX));
    let mut instance = match plugin.instantiate(()) {
        Ok(instance) => instance,
        Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
    };
    let canceller = instance.canceller();
    let call = instance.process_async(b"").with_quantum(QUANTUM);
    let watch = async {
        Timer::after_millis(50).await;
        canceller.cancel();
        core::future::pending::<()>().await
    };
    let ended = embassy_futures::select::select(call, watch).await;
    match ended {
        embassy_futures::select::Either::First(Err(CallError::Cancelled)) => {
            defmt::info!("the runaway plugin was stopped");
        }
        _ => defmt::panic!("the runaway plugin came to an end"),
    }
    STOPPED.signal(());
}

/// Uses a plugin whose next version comes while the device runs.
#[embassy_executor::task]
async fn replace(host: Host) {
    let versions: [&[u8]; 2] = [
        include_bytes!(concat!(env!("OUT_DIR"), "/gain_1.wasm")),
        include_bytes!(concat!(env!("OUT_DIR"), "/gain_2.wasm")),
    ];
    for (version, wasm) in (1..).zip(versions) {
        let replaced = match version {
            1 => host.insert("gain", wasm, &Grants::new()),
            _ => host.replace("gain", wasm, &Grants::new()),
        };
        if let Err(error) = replaced {
            defmt::panic!("{}", defmt::Display2Format(&error));
        }
        match host.call::<u32, u32>("gain", "gain", 21) {
            Ok(answer) if answer == 21 * version => {
                defmt::info!("version {=u32} answers {=u32}", version, answer);
            }
            Ok(answer) => defmt::panic!("version {=u32} answers {=u32}", version, answer),
            Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
        }
        Timer::after_millis(20).await;
    }
    REPLACED.signal(());
}

#[panic_handler]
fn panicked(panic: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("{}", defmt::Display2Format(panic));
    semihosting::process::exit(1)
}
