//! Plugins, instances and state that are unloaded, replaced or overwritten leave nothing on the
//! heap.

use super::{LIVE, customized, one_copy};
use hostel::{
    Budget, Engine, Grants, LoadError, MemoryState, Platform, StateLimits, StateStore as _,
    StateUse,
};
use hostel_tests::{assemble, guest_bytes, load_wat};

/// Does `work` `rounds` times. Returns how many more bytes are in use then. A first round, which
/// sets up what a process sets up once, does not count.
fn left_behind(rounds: u32, mut work: impl FnMut(u32)) -> i64 {
    work(0);
    let before = LIVE.get();
    (1..=rounds).for_each(work);
    LIVE.get() - before
}

#[test]
fn loading_and_unloading_gives_everything_back() {
    let good = guest_bytes("wat_customize_multi");
    let cut_off = &good[..good.len() / 2];
    let unfit = guest_bytes("c_customize_retptr");
    let unfit_import = assemble(r#"(module (import "env" "nope" (func)) (func (export "f")))"#);
    let left = left_behind(200, |round| {
        let engine = one_copy();
        match round % 4 {
            0 | 2 => {
                let plugin = engine.load("guest", &good, &customized()).unwrap();
                let mut held = plugin.instantiate(()).unwrap();
                held.process(b"hello").unwrap();
                plugin.process(b"hello").unwrap();
                plugin.process(b"\xff").unwrap_err();
            }
            1 => {
                let error = engine.load("guest", cut_off, &customized()).unwrap_err();
                assert!(matches!(error, LoadError::Invalid { .. }), "{error}");
            }
            _ => {
                engine.load("guest", &unfit, &Grants::new()).unwrap_err();
                engine
                    .load("guest", &unfit_import, &customized())
                    .unwrap_err();
            }
        }
    });
    assert_eq!(left, 0, "bytes");
}

#[test]
fn copies_of_the_code_are_given_back_with_the_plugin() {
    /// Copies are made on the calling thread.
    struct ThreeProcessors;
    impl Platform for ThreeProcessors {
        fn processors(&self) -> usize {
            3
        }
    }
    let wasm = guest_bytes("wat_customize_multi");
    let left = left_behind(20, |_| {
        let engine = Engine::default().with_platform(ThreeProcessors);
        let plugin = engine.load("guest", &wasm, &customized()).unwrap();
        let held = [(); 4].map(|()| plugin.instantiate(()).unwrap());
        assert_eq!(plugin.pool_figures().copies, 3);
        drop(held);
    });
    assert_eq!(left, 0, "bytes");
}

#[test]
fn instances_give_everything_back_however_they_end() {
    let text = hostel_tests::with_allocator(
        r#"(import "env" "host_log" (func $log (param i32 i32)))"#,
        r#"(table 100 funcref)
           (func (export "process") (param i32 i32) (result i32 i32)
             (drop (memory.grow (i32.const 2)))
             (call $log (i32.const -1) (i32.const 1))
             (unreachable))
           (func (export "loop") (loop $on (br $on)))"#,
    );
    let plugin = load_wat(&text, &customized()).with_budget(Budget::server().with_fuel(30_000));
    let left = left_behind(200, |_| {
        plugin.process(b"hello").unwrap_err();
        plugin.call::<(), ()>("loop", ()).unwrap_err();
        let mut held = plugin.instantiate(()).unwrap();
        held.call::<(), ()>("loop", ()).unwrap_err();
        assert!(held.is_stopped());
    });
    assert_eq!(left, 0, "bytes");
}

#[test]
fn a_host_gives_back_what_it_replaces_and_unloads() {
    let wasm = guest_bytes("wat_customize_multi");
    let host = hostel::Host::new(hostel::engine());
    let left = left_behind(50, |_| {
        host.insert("guest", &wasm, &customized()).unwrap();
        host.replace("guest", &wasm, &customized()).unwrap();
        host.replace("guest", b"not a module", &customized())
            .unwrap_err();
        host.process("guest", b"hello").unwrap();
        host.remove("guest").unwrap();
    });
    assert_eq!(left, 0, "bytes");
}

#[test]
fn a_million_overwrites_leave_nothing_behind() {
    let store = MemoryState::new(StateLimits::server());
    let value = [7; 300];
    let overwrite = |round: usize| {
        let key = [round as u8 % 10];
        store.set("guest", &key, &value[..round % 300]).unwrap();
    };
    (0..3_000).for_each(overwrite);
    let before = LIVE.get();
    // As many rounds as lead back to equal values.
    (0..1_002_000).for_each(overwrite);
    assert_eq!(LIVE.get() - before, 0, "bytes");
    for key in 0..10 {
        store.delete("guest", &[key]).unwrap();
    }
    assert_eq!(store.used("guest"), Ok(StateUse::default()));
}
