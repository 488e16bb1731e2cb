//! `proc_exit` in every place where a guest may call it (P07), and commands that end in other ways.

use super::{EBADF, SMALL};
use hostel::{CallError, Grants, Instance, Plugin, Wasi, WasiOutput};
use hostel_tests::{Lines, a_good_plugin_still_answers, code, load_wat, with_allocator};

const IMPORT: &str = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
const CODES: [i32; 9] = [0, 1, 2, 125, 126, 127, 256, i32::MAX, -1];

fn load(text: &str) -> Plugin {
    load_wat(text, &Grants::new().wasi(Wasi::new())).with_budget(SMALL)
}

fn exited(code: i32) -> CallError {
    CallError::Exited {
        code: code.cast_unsigned(),
    }
}

#[test]
fn running_a_command_returns_its_exit_code() {
    for code in CODES {
        let plugin = load(&format!(
            r#"(module {IMPORT} (func (export "_start") (call $exit (i32.const {code})) (unreachable)))"#
        ));
        assert_eq!(plugin.run_command(), Ok(code.cast_unsigned()));
        let mut instance = plugin.instantiate(()).unwrap();
        assert_eq!(instance.run_command(), Ok(code.cast_unsigned()));
        assert!(instance.usage().fuel > 0);
        assert_eq!(instance.run_command(), Err(CallError::Stopped), "once");
    }
}

#[test]
fn a_command_that_returns_has_exit_code_0() {
    let plugin = load(&format!(
        r#"(module {IMPORT} (func (export "_start")) (func (export "f")))"#
    ));
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.run_command(), Ok(0));
    assert!(instance.is_stopped());
    assert_eq!(instance.call::<(), ()>("f", ()), Err(CallError::Stopped));
}

#[test]
fn a_module_that_is_no_command_is_not_run() {
    for (text, expected) in [
        (r#"(module (func (export "f")))"#, "unknown-export"),
        (
            r#"(module (func (export "_start") (result i32) (i32.const 0)))"#,
            "export-type",
        ),
    ] {
        let plugin = load(text);
        let mut instance = plugin.instantiate(()).unwrap();
        assert_eq!(code(&instance.run_command()), expected);
        let name = plugin.info().function_names().next().unwrap();
        let called = instance.call_values(name, &[]);
        assert!(called.is_ok(), "it is as it was");
    }
}

#[test]
fn a_command_that_traps_has_no_code() {
    for (body, expected) in [
        ("(unreachable)", "trap-unreachable"),
        ("(loop $on (br $on))", "out-of-fuel"),
    ] {
        let plugin = load(&format!(r#"(module (func (export "_start") {body}))"#));
        assert_eq!(code(&plugin.run_command()), expected);
    }
}

#[test]
fn proc_exit_ends_a_call_anywhere() {
    let process = r#"(func (export "process") (param i32 i32) (result i32 i32)
        (local.get 0) (local.get 1))"#;
    for code in CODES {
        let exit = format!("(call $exit (i32.const {code}))");
        // In `process`.
        let text = with_allocator(
            IMPORT,
            &format!(
                r#"(func (export "process") (param i32 i32) (result i32 i32) {exit} (unreachable))"#
            ),
        );
        let mut instance = load(&text).instantiate(()).unwrap();
        assert_eq!(instance.process(b"text"), Err(exited(code)));
        assert_eq!(instance.process(b"text"), Err(CallError::Stopped));
        // In `allocate`.
        let text = format!(
            r#"(module {IMPORT} (memory (export "memory") 1)
                (func (export "allocate") (param i32) (result i32) {exit} (unreachable)) {process})"#
        );
        assert_eq!(load(&text).process(b"text"), Err(exited(code)));
        // In `deallocate`, for a result that does not lie at the input.
        let text = format!(
            r#"(module {IMPORT} (memory (export "memory") 1)
                (func (export "allocate") (param i32) (result i32) (i32.const 8))
                (func (export "deallocate") (param i32 i32) {exit})
                (func (export "process") (param i32 i32) (result i32 i32) (i32.const 99) (i32.const 1)))"#
        );
        assert_eq!(load(&text).process(b"text"), Err(exited(code)));
        // In the start function and in `_initialize`.
        let text =
            format!(r#"(module {IMPORT} (func $start {exit}) (start $start) (func (export "f")))"#);
        assert_eq!(load(&text).instantiate(()).map(drop), Err(exited(code)));
        let text = format!(
            r#"(module {IMPORT} (func (export "_initialize") {exit}) (func (export "_start")))"#
        );
        assert_eq!(load(&text).run_command(), Err(exited(code)));
        a_good_plugin_still_answers();
    }
    assert!(exited(-1).to_string().contains("4294967295"));
    assert_eq!(exited(0).code(), "exited");
    assert!(exited(0).stops());
}

/// Makes an instance of a guest whose `allocate` does `work` while it asks for a setting.
fn allocating(work: &str) -> Instance {
    let text = format!(
        r#"(module {IMPORT}
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "env" "host_log" (func $log (param i32 i32)))
            (import "env" "host_get_config" (func $get (param i32 i32) (result i64)))
            (memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\03\00\00\00one")
            (func (export "allocate") (param i32) (result i32) (local $n i32) {work} (i32.const 1024))
            (func (export "f") (result i64) (call $get (i32.const 0) (i32.const 0))))"#
    );
    let grants = Lines::default()
        .granted::<()>()
        .config([("", "value")])
        .wasi(Wasi::new().stdout(WasiOutput::buffer(100)));
    load_wat(&text, &grants).instantiate(()).unwrap()
}

#[test]
fn an_allocator_that_the_host_waits_for_has_wasi() {
    let write = "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))";
    // The second work takes longer than a slice, so that `allocate` is resumed outside of the
    // guest's call.
    let long = "(local.set $n (i32.const 40000))
        (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";
    for work in [write.to_owned(), format!("{long} {write}")] {
        let work = format!("{work} (drop (call $time (i32.const 1) (i64.const 0) (i32.const 64)))");
        let mut instance = allocating(&work);
        assert_eq!(instance.call::<(), u64>("f", ()), Ok(1024 << 32 | 5));
        assert_eq!(instance.take_stdout(), b"one");
        assert_eq!(instance.usage().host_calls, 3);
    }
    let mut instance = allocating("(call $exit (i32.const 3))");
    let ended = instance.call::<(), u64>("f", ());
    assert_eq!(ended, Err(CallError::Exited { code: 3 }));
    assert!(instance.is_stopped());
    for work in [
        "(call $log (i32.const 0) (i32.const 1))",
        "(drop (call $get (i32.const 0) (i32.const 0)))",
        // A subscription to the monotonic clock, for 10 ms from now.
        "(i32.store (i32.const 144) (i32.const 1)) (i64.store (i32.const 152) (i64.const 10000000))
         (drop (call $poll (i32.const 128) (i32.const 256) (i32.const 1) (i32.const 320)))",
    ] {
        let ended = allocating(work).call::<(), u64>("f", ());
        assert_eq!(code(&ended), "trap-reentered");
    }
}

#[test]
fn start_functions_have_wasi() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\03\00\00\00one")
        (func $one (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))
        (start $one)
        (func (export "_initialize") (call $one) (drop (call $close (i32.const 2))))
        (func (export "close") (param i32) (result i32) (call $close (local.get 0))))"#;
    let wasi = Wasi::new().stdout(WasiOutput::buffer(100));
    let mut instance = load_wat(text, &Grants::new().wasi(wasi))
        .instantiate(())
        .unwrap();
    assert_eq!(instance.take_stdout(), b"oneone");
    assert_eq!(instance.call::<u32, u32>("close", 2), Ok(EBADF));
}
