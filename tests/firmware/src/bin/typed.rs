//! What a plugin with a contract takes: one that `hostel lower` made of a component. With the feature `contract`, the
//! firmware knows the contract; with `component`, it reads it. Without either, the plugin is one in the native ABI that
//! does the same. With `both`, the firmware runs one in the native ABI, too.

#![no_std]
#![no_main]

extern crate alloc;

#[cfg(all(feature = "contract", not(feature = "component")))]
use self::known as measured;
#[cfg(not(feature = "contract"))]
use self::native as measured;
#[cfg(feature = "component")]
use self::read as measured;
use firmware::{heap, instructions, println};
use hostel_core::{Engine, Limits, LoadError, Plugin};

firmware::main!(work);

/// How often the call is repeated.
const TIMES: u64 = 1_000;

fn work() -> bool {
    let plugin = measured::load().unwrap_or_else(|error| panic!("{error}"));
    let instance = plugin.instantiate(());
    let mut instance = instance.unwrap_or_else(|error| panic!("{error}"));
    println!("heap-of-the-plugin-bytes {}", heap::live());
    for _ in 0..2 {
        assert_eq!(measured::shout(&mut instance), 11);
    }
    let (_, count) = instructions::count(|| {
        for _ in 0..TIMES {
            core::hint::black_box(measured::shout(&mut instance));
        }
    });
    let each = count / TIMES;
    println!("instructions-of-a-call {each}");
    #[cfg(feature = "both")]
    {
        let plugin = native::load().unwrap_or_else(|error| panic!("{error}"));
        let instance = plugin.instantiate(());
        let mut instance = instance.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(native::shout(&mut instance), 11);
    }
    true
}

fn engine() -> Engine {
    Engine::new(Limits::device(256 << 10))
}

/// The plugin with a contract.
#[cfg(feature = "contract")]
const WASM: &[u8] = include_bytes!("../../typed/shout.wasm");

/// The name of its imported interface.
#[cfg(feature = "contract")]
const LOG: &str = "demo:device/log@0.1.0";

/// A contract that is read.
#[cfg(feature = "component")]
mod read {
    use super::{LOG, LoadError, Plugin, WASM, engine};
    use alloc::string::String;
    use hostel_core::{Grants, Instance, component::Interface};

    pub(super) fn load() -> Result<Plugin, LoadError> {
        let log = Interface::new(LOG).function("line", |text: String| {
            core::hint::black_box(text);
        });
        engine().load_component("shout", WASM, &Grants::new().interface(log))
    }

    pub(super) fn shout(instance: &mut Instance) -> usize {
        let text = instance.call_component::<_, String>("shout", ("hello world",));
        text.unwrap_or_else(|error| panic!("{error}")).len()
    }
}

/// A contract that the firmware knows.
#[cfg(all(feature = "contract", not(feature = "component")))]
mod known {
    use super::{LOG, LoadError, Plugin, WASM, engine};
    use alloc::string::String;
    use hostel_core::{Grants, Instance, component::FixedInterface};

    pub(super) fn load() -> Result<Plugin, LoadError> {
        let log = FixedInterface::new(LOG).function("line", |text: String| {
            core::hint::black_box(text);
        });
        engine().load("shout", WASM, &Grants::new().fixed(log))
    }

    pub(super) fn shout(instance: &mut Instance) -> usize {
        let text = instance.call_fixed::<_, String>("shout", ("hello world",));
        text.unwrap_or_else(|error| panic!("{error}")).len()
    }
}

/// The native ABI.
#[cfg(any(not(feature = "contract"), feature = "both"))]
mod native {
    use super::{LoadError, Plugin, engine};
    use hostel_core::{Grants, Instance, LogRecord};

    pub(super) fn load() -> Result<Plugin, LoadError> {
        let grants = Grants::new().log(|record: &LogRecord<'_>| {
            core::hint::black_box(&record.text);
        });
        let wasm = include_bytes!(concat!(env!("OUT_DIR"), "/shout.wasm"));
        engine().load("shout", wasm, &grants)
    }

    pub(super) fn shout(instance: &mut Instance) -> usize {
        let text = instance.process(b"hello world");
        text.unwrap_or_else(|error| panic!("{error}")).len()
    }
}
