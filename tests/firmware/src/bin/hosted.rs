//! Measures hostel.

#![no_std]
#![no_main]

use firmware::{figures, println};
use hostel_core::{Budget, CallError, Engine, Grants, Instance, Limits, LogRecord, TypedFunction};

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
        let grants = Grants::new()
            .log(|record: &LogRecord<'_>| println!("{record}"))
            .config([("prefix", "CUSTOM")])
            .function("host", "none", || {})
            .function("host", "bytes", |bytes: &[u8]| {
                core::hint::black_box(bytes);
            });
        #[cfg(feature = "wasi")]
        let grants = grants.wasi(hostel_core::Wasi::new());
        #[cfg(feature = "extism")]
        let grants = grants.extism(hostel_core::Extism::new());
        #[cfg(feature = "typst")]
        let grants = grants.typst();
        #[cfg(feature = "wapc")]
        let grants = grants.wapc(hostel_core::Wapc::new());
        Self {
            engine: Engine::new(Limits::device(256 << 10)).with_budget(budget),
            grants,
        }
    }
}

fn fine<R>(result: Result<R, CallError>) -> R {
    result.unwrap_or_else(|error| panic!("{error}"))
}

struct Plugin {
    instance: Instance,
    add: Option<TypedFunction<(u32, u32), u32>>,
}

impl figures::Host for Hostel {
    type Plugin = Plugin;

    fn load(&self, wasm: &[u8]) -> Plugin {
        let plugin = self.engine.load("guest", wasm, &self.grants);
        let plugin = plugin.unwrap_or_else(|error| panic!("{error}"));
        let instance = fine(plugin.instantiate(()));
        Plugin {
            add: instance.typed("add").ok(),
            instance,
        }
    }

    fn process(&self, plugin: &mut Plugin, input: &[u8], output: &mut [u8]) -> usize {
        fine(plugin.instance.process_into(input, output))
    }

    fn add(&self, plugin: &mut Plugin, a: u32, b: u32) -> u32 {
        let add = plugin.add.as_ref().expect("it has one");
        fine(add.call(&mut plugin.instance, (a, b)))
    }

    fn add_by_name(&self, plugin: &mut Plugin, a: u32, b: u32) -> u32 {
        fine(plugin.instance.call("add", (a, b)))
    }

    fn repeat(&self, plugin: &mut Plugin, export: &str, times: u32) {
        fine(plugin.instance.call(export, times))
    }
}
