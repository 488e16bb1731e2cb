//! What a plugin with a contract takes: one that `hostel lower` made of a component. With the feature `contract`, the
//! firmware knows the contract; with `component`, it reads it. Without either, the plugin is one in the native ABI that
//! does the same.

#![no_std]
#![no_main]

extern crate alloc;

use firmware::{heap, instructions, println};
use hostel_core::{Engine, Grants, Instance, Limits};

firmware::main!(work);

/// How often the call is repeated.
const TIMES: u64 = 1_000;

fn work() -> bool {
    let mut instance = load();
    println!("heap-of-the-plugin-bytes {}", heap::live());
    for _ in 0..2 {
        assert_eq!(shout(&mut instance), 11);
    }
    let (_, count) = instructions::count(|| {
        for _ in 0..TIMES {
            core::hint::black_box(shout(&mut instance));
        }
    });
    let each = count / TIMES;
    println!("instructions-of-a-call {each}");
    true
}

#[cfg(feature = "component")]
fn load() -> Instance {
    use hostel_core::component::Interface;
    let log =
        Interface::new("demo:device/log@0.1.0").function("line", |text: alloc::string::String| {
            core::hint::black_box(text);
        });
    let engine = Engine::new(Limits::device(256 << 10));
    let wasm = include_bytes!("../../typed/shout.wasm");
    let plugin = engine.load_component("shout", wasm, &Grants::new().interface(log));
    let plugin = plugin.unwrap_or_else(|error| panic!("{error}"));
    plugin
        .instantiate(())
        .unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(feature = "component")]
fn shout(instance: &mut Instance) -> usize {
    let text = instance.call_component::<_, alloc::string::String>("shout", ("hello world",));
    text.unwrap_or_else(|error| panic!("{error}")).len()
}

#[cfg(all(feature = "contract", not(feature = "component")))]
fn load() -> Instance {
    use hostel_core::component::FixedInterface;
    let log = FixedInterface::new("demo:device/log@0.1.0").function(
        "line",
        |text: alloc::string::String| {
            core::hint::black_box(text);
        },
    );
    let engine = Engine::new(Limits::device(256 << 10));
    let wasm = include_bytes!("../../typed/shout.wasm");
    let plugin = engine.load("shout", wasm, &Grants::new().fixed(log));
    let plugin = plugin.unwrap_or_else(|error| panic!("{error}"));
    plugin
        .instantiate(())
        .unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(all(feature = "contract", not(feature = "component")))]
fn shout(instance: &mut Instance) -> usize {
    let text = instance.call_fixed::<_, alloc::string::String>("shout", ("hello world",));
    text.unwrap_or_else(|error| panic!("{error}")).len()
}

#[cfg(not(feature = "contract"))]
fn load() -> Instance {
    let grants = Grants::new().log(|record: &hostel_core::LogRecord<'_>| {
        core::hint::black_box(&record.text);
    });
    let engine = Engine::new(Limits::device(256 << 10));
    let wasm = include_bytes!(concat!(env!("OUT_DIR"), "/shout.wasm"));
    let plugin = engine.load("shout", wasm, &grants);
    let plugin = plugin.unwrap_or_else(|error| panic!("{error}"));
    plugin
        .instantiate(())
        .unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(not(feature = "contract"))]
fn shout(instance: &mut Instance) -> usize {
    let text = instance.process(b"hello world");
    text.unwrap_or_else(|error| panic!("{error}")).len()
}
