//! A call that is under way while its plugin is replaced or unloaded.

use super::{FOR_EVER, Place};
use hostel_tests::{assemble, quiet};
use std::{
    fs,
    sync::{Arc, Mutex, mpsc},
    thread,
};

/// Makes a plugin that waits in the middle of a call until the test lets it go on, and returns
/// `old`.
fn that_waits() -> Vec<u8> {
    assemble(
        r#"(module
            (import "host" "wait" (func $wait))
            (memory (export "memory") 1)
            (data (i32.const 0) "old")
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "process") (param i32 i32) (result i32 i32)
              (if (i32.eqz (local.get 1)) (then (call $wait)))
              (i32.const 0) (i32.const 3)))"#,
    )
}

#[test]
fn calls_that_run_end_on_the_plugin_that_they_began_on() {
    let (inside, is_inside) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Arc::new(Mutex::new(may_go_on));
    let mut place = Place::granting(move |_| {
        let (inside, may_go_on) = (inside.clone(), may_go_on.clone());
        quiet().function("host", "wait", move || {
            inside.send(()).unwrap();
            let go_on = may_go_on.lock().unwrap().recv_timeout(FOR_EVER);
            go_on.expect("it is let go on");
        })
    });
    let _watched = place.watch();
    for replaced in [true, false] {
        place.write("name.wasm", &that_waits());
        place.until("loaded name");
        thread::scope(|scope| {
            let call = scope.spawn(|| place.host.process("name", b""));
            is_inside.recv_timeout(FOR_EVER).unwrap();
            if replaced {
                place.install("name.wasm", "new");
                place.until("replaced name");
                assert_eq!(place.says("name"), "new");
            }
            fs::remove_file(place.file("name.wasm")).unwrap();
            place.until("unloaded name");
            assert_eq!(place.says("name"), "unknown-plugin");
            go_on.send(()).unwrap();
            assert_eq!(call.join().unwrap().as_deref(), Ok(&b"old"[..]));
        });
    }
}
