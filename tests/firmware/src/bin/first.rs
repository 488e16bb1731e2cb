#![no_std]
#![no_main]
extern crate alloc;
use hostel_core::*;
use semihosting::println;

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    firmware::board::start();
    let heap = &firmware::board::HEAP;
    println!("boot");
    let engine = Engine::new(Limits::device()).with_budget(Budget::device());
    let mut limits = Limits::device();
    limits.memory_bytes = 128 << 10;
    let engine = Engine::new(limits).with_budget(Budget::device());
    let grants = Grants::<()>::new()
        .log(|r: &LogRecord<'_>| println!("{}: {}", r.plugin, r.text))
        .config([("prefix", "CUSTOM")]);
    for wasm in [&include_bytes!("../../../../guests/prebuilt/wat_customize_multi.wasm")[..], &include_bytes!("../../../../guests/prebuilt/customize.wasm")[..]] {
        heap.reset();
        match engine.load("guest", wasm, &grants) {
            Ok(plugin) => {
                println!("loaded: {} live {} peak {}", heap.live(), heap.peak(), heap.allocations());
                println!("{:?}", plugin.process(b"hello world").map(|b| alloc::string::String::from_utf8(b)));
                println!("live {} peak {} reach {}", heap.live(), heap.peak(), heap.reach());
            }
            Err(error) => println!("{error}"),
        }
    }
    semihosting::process::exit(0)
}
