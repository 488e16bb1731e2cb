//! Measures hostel.

#![no_std]
#![no_main]

use firmware::{figures, println};
use hostel_core::{Budget, CallError, Engine, Grants, Instance, Limits, LogRecord};

firmware::main!(work);

fn work() -> bool {
    figures::measure(Hostel::new);
    true
}

struct Hostel {
    engine: Engine,
    grants: Grants<()>,
}

impl Hostel {
    fn new() -> Self {
        let mut budget = Budget::device();
        budget.host_calls = 10_000;
        Self {
            engine: Engine::new(Limits::device(256 << 10)).with_budget(budget),
            grants: Grants::new()
                .log(|record: &LogRecord<'_>| println!("{}", record.text))
                .config([("prefix", "CUSTOM")])
                .function("host", "none", || {})
                .function("host", "bytes", |bytes: &[u8]| {
                    core::hint::black_box(bytes);
                }),
        }
    }
}

fn fine<R>(result: Result<R, CallError>) -> R {
    result.unwrap_or_else(|error| panic!("{error}"))
}

impl figures::Host for Hostel {
    type Plugin = Instance;

    fn load(&self, wasm: &[u8]) -> Instance {
        let plugin = self.engine.load("guest", wasm, &self.grants);
        let plugin = plugin.unwrap_or_else(|error| panic!("{error}"));
        fine(plugin.instantiate(()))
    }

    fn process(&self, plugin: &mut Instance, input: &[u8], output: &mut [u8]) -> usize {
        fine(plugin.process_into(input, output))
    }

    fn add(&self, plugin: &mut Instance, a: u32, b: u32) -> u32 {
        fine(plugin.call("add", (a, b)))
    }

    fn repeat(&self, plugin: &mut Instance, export: &str, times: u32) {
        fine(plugin.call(export, times))
    }
}
