//! What calls of component instances inside one another take of the native stack.

#![no_std]
#![no_main]

extern crate alloc;

use firmware::{println, stack};
use hostel_core::{Engine, Grants, Limits};

firmware::main!(work);

fn work() -> bool {
    let one = depth(1, include_bytes!(concat!(env!("OUT_DIR"), "/nested1.wasm")));
    let seven = depth(7, include_bytes!(concat!(env!("OUT_DIR"), "/nested7.wasm")));
    println!("native-stack-of-a-call-bytes {one}");
    println!(
        "native-stack-of-each-nested-call-bytes {}",
        (seven - one) / 6
    );
    true
}

/// Returns the bytes of stack of `calls` calls.
fn depth(calls: u32, wasm: &[u8]) -> usize {
    let engine = Engine::new(Limits::device(256 << 10));
    let plugin = engine.load_component("nested", wasm, &Grants::new());
    let plugin = plugin.unwrap_or_else(|error| panic!("{error}"));
    let mut instance = plugin
        .instantiate(())
        .unwrap_or_else(|error| panic!("{error}"));
    let mut call = || instance.call_component::<(), u32>("run", ());
    // What is looked up once is looked up first.
    assert_eq!(call().ok(), Some(calls));
    let (called, depth) = stack::depth(call);
    assert_eq!(called.ok(), Some(calls));
    depth
}
