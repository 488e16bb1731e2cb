//! What a plugin takes and does on a device: the same program for hostel and for bare wasmi.

use crate::{heap, instructions, println, stack};
use alloc::{boxed::Box, vec::Vec};

/// The plugin that is measured.
const MEASURED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/measured.wasm"));
/// As little as a plugin can be.
const IDLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/idle.wasm"));
/// A plugin of 2 KiB with 4 KiB of memory.
const TYPICAL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/typical.wasm"));
/// One by a compiler, which logs and reads a setting.
const CUSTOMIZE: &[u8] = include_bytes!("../../../guests/prebuilt/wat_customize_multi.wasm");

/// How often what is counted is repeated.
const TIMES: u32 = 1_000;

/// The heap that typical plugins are to fit in.
const HEAP: usize = 256 << 10;

/// A host for plugins.
pub trait Host {
    /// A plugin, ready to be called.
    type Plugin;

    /// Loads and instantiates `wasm`, with whatever it imports.
    fn load(&self, wasm: &[u8]) -> Self::Plugin;

    /// Calls `process`, and gives its answer's length in `output`.
    fn process(&self, plugin: &mut Self::Plugin, input: &[u8], output: &mut [u8]) -> usize;

    /// Calls the export `add`, which was looked up before.
    fn add(&self, plugin: &mut Self::Plugin, a: u32, b: u32) -> u32;

    /// Looks the export `add` up, and calls it.
    fn add_by_name(&self, plugin: &mut Self::Plugin, a: u32, b: u32) -> u32;

    /// Calls an export that calls a host function `times` times.
    fn repeat(&self, plugin: &mut Self::Plugin, export: &str, times: u32);
}

/// Measures a host, made by `make`, and prints each figure on a line of its own.
pub fn measure<H: Host>(make: impl Fn() -> H) {
    smallest_heap(&make);
    answers(&make);
    idle(&make);
    calls(&make);
    loading(&make);
    many(&make);
}

fn figure(name: &str, value: usize) {
    println!("{name} {value}");
}

fn answers<H: Host>(make: &impl Fn() -> H) {
    let host = make();
    let mut output = [0; 64];
    let mut plugin = host.load(CUSTOMIZE);
    let length = host.process(&mut plugin, b"hello world", &mut output);
    assert_eq!(output.get(..length), Some(&b"CUSTOM_HELLO WORLD"[..]));
}

/// Nothing else is allocated here.
fn smallest_heap<H: Host>(make: &impl Fn() -> H) {
    assert_eq!(heap::live(), 0);
    let host = make();
    let mut plugin = host.load(MEASURED);
    let mut output = [0; 16];
    assert_eq!(host.process(&mut plugin, b"hello", &mut output), 5);
    figure("smallest-heap-bytes", heap::reach());
}

fn idle<H: Host>(make: &impl Fn() -> H) {
    let host = make();
    let before = heap::live();
    // With the handle itself.
    let plugin = Box::new(host.load(IDLE));
    figure("idle-plugin-bytes", heap::live() - before);
    drop(plugin);
    assert_eq!(heap::live(), before);
}

fn calls<H: Host>(make: &impl Fn() -> H) {
    let host = make();
    let mut plugin = host.load(MEASURED);
    let mut output = [0; 16];
    // Whatever is set up by the first of each.
    host.process(&mut plugin, b"hello", &mut output);
    host.add(&mut plugin, 1, 2);
    host.add_by_name(&mut plugin, 1, 2);
    heap::reset();
    host.process(&mut plugin, b"hello", &mut output);
    assert_eq!(host.add(&mut plugin, 1, 2), 3);
    assert_eq!(host.add_by_name(&mut plugin, 1, 2), 3);
    figure("allocations-per-guest-call", heap::allocations());
    for (export, name) in [("call_none", "none"), ("call_bytes", "bytes")] {
        heap::reset();
        host.repeat(&mut plugin, export, 1);
        println!("allocations-per-host-call-{name} {}", heap::allocations());
        let ((), once) = instructions::count(|| host.repeat(&mut plugin, export, 1));
        let ((), all) = instructions::count(|| host.repeat(&mut plugin, export, TIMES + 1));
        println!("instructions-per-host-call-{name} {}", each(all - once));
    }
    let (_, all) = instructions::count(|| sum(|sum, n| host.add(&mut plugin, sum, n)));
    println!("instructions-per-guest-call {}", each(all));
    let (_, all) = instructions::count(|| sum(|sum, n| host.add_by_name(&mut plugin, sum, n)));
    println!("instructions-per-guest-call-by-name {}", each(all));
    let ((), all) = instructions::count(|| {
        for _ in 0..TIMES {
            host.process(&mut plugin, b"hello, world 123", &mut output);
        }
    });
    println!("instructions-per-process-16-bytes {}", each(all));
    let (_, depth) = stack::depth(|| host.process(&mut plugin, b"hello", &mut output));
    figure("stack-of-process-bytes", depth);
    let (_, depth) = stack::depth(|| host.repeat(&mut plugin, "call_bytes", 1));
    figure("stack-of-host-call-bytes", depth);
}

fn sum(add: impl FnMut(u32, u32) -> u32) -> u32 {
    core::hint::black_box((0..TIMES).fold(0, add))
}

fn each(all: u64) -> u64 {
    (all + u64::from(TIMES) / 2) / u64::from(TIMES)
}

fn loading<H: Host>(make: &impl Fn() -> H) {
    let host = make();
    let (plugin, depth) = stack::depth(|| host.load(CUSTOMIZE));
    figure("stack-of-load-bytes", depth);
    drop(plugin);
    let (_, count) = instructions::count(|| drop(host.load(TYPICAL)));
    println!("instructions-per-load-2-kib {count}");
    let before = heap::live();
    let mut output = [0; 64];
    for _ in 0..TIMES {
        let mut plugin = host.load(CUSTOMIZE);
        host.process(&mut plugin, b"hello", &mut output);
    }
    figure("growth-by-1000-loads-bytes", heap::live() - before);
}

/// How many fit, by what they take from a heap that may be smaller than that.
fn many<H: Host>(make: &impl Fn() -> H) {
    println!("typical-plugin-wasm-bytes {}", TYPICAL.len());
    heap::reset();
    let host = make();
    let mut plugins = Vec::new();
    loop {
        let before = heap::reach();
        plugins.push(Box::new(host.load(TYPICAL)));
        let step = heap::reach() - before;
        if plugins.len() == 1 {
            figure("reach-by-first-typical-plugin-bytes", heap::reach());
        }
        if heap::reach() + 2 * step > heap::SIZE {
            break;
        }
    }
    let mut output = [0; 64];
    for plugin in &mut plugins {
        host.process(plugin, &[1; 64], &mut output);
    }
    figure("typical-plugins", plugins.len());
    figure("typical-plugins-heap-bytes", heap::reach());
    figure(
        "typical-plugins-in-256-kib",
        plugins.len() * HEAP / heap::reach(),
    );
}
