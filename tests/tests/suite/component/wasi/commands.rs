//! Programs for WASI 0.2 beside the same programs for preview 1.

use hostel::{CallError, Engine, Grants, Instance, Wasi, WasiOutput, files::Access};
use hostel_tests::guest_bytes;
use std::fs;

/// A program as a module for preview 1, and as a component.
const TWINS: [(&str, &str); 2] = [
    ("wasi_rust_report", "components/rust_report"),
    ("wasi_c_report", "components/c_report"),
];

/// How a program ended, and what it wrote to stdout and stderr.
type Ended = (Result<u32, CallError>, String, String);

fn instance(engine: &Engine, name: &str, wasi: &Wasi) -> Instance {
    let buffer = || WasiOutput::buffer(64 << 10);
    let grants = Grants::new().wasi(wasi.clone().stdout(buffer()).stderr(buffer()));
    let wasm = guest_bytes(name);
    let plugin = match hostel::component::is_component(&wasm) {
        true => engine.load_component(name, &wasm, &grants),
        false => engine.load(name, &wasm, &grants),
    };
    plugin
        .unwrap_or_else(|error| panic!("{error}"))
        .instantiate(())
        .unwrap()
}

fn run(engine: &Engine, name: &str, wasi: &Wasi) -> Ended {
    let mut instance = instance(engine, name, wasi);
    let ended = instance.run_command();
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    let (out, errors) = (instance.take_stdout(), instance.take_stderr());
    (ended, text(out), text(errors))
}

#[test]
fn a_program_ends_alike_as_a_module_and_as_a_component() {
    for (module, component) in TWINS {
        // A component's `run` tells success or failure alone; its `exit` is that of preview 1's adapter.
        for code in [0, 1] {
            let last = code.to_string();
            let wasi = Wasi::new()
                .args(["report", "two words", &last])
                .env([("A", "1"), ("B", "x=y")])
                .stdin(*b"first\nsecond");
            let expected = run(&hostel::engine(), module, &wasi);
            assert_eq!(expected.0, Ok(code), "{module}");
            for engine in [hostel::engine(), Engine::default()] {
                assert_eq!(run(&engine, component, &wasi), expected, "{component}");
            }
        }
    }
}

#[test]
fn a_program_does_with_files_what_its_twin_does() {
    for (module, component) in TWINS {
        if cfg!(windows) && module == "wasi_rust_report" {
            // It removes a file that it has open, whose name Windows then keeps until it is closed.
            continue;
        }
        let [expected, ended] = [module, component].map(|name| {
            let temp = tempfile::tempdir().unwrap();
            let data = temp.path().join("data");
            fs::create_dir(&data).unwrap();
            fs::write(data.join("input"), "some text").unwrap();
            fs::write(temp.path().join("outside"), "a secret").unwrap();
            let directory = hostel::directory(&data).unwrap();
            let wasi = hostel::wasi().args(["report", "files"]).directory(
                "/data",
                Access::ReadWrite,
                directory,
            );
            let ended = run(&hostel::engine(), name, &wasi);
            let mut left: Vec<_> = fs::read_dir(&data)
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            left.sort();
            (ended, left)
        });
        assert_eq!(expected.0.0, Ok(0), "{}", expected.0.2);
        assert!(expected.0.1.contains("outside refused"), "{}", expected.0.1);
        assert_eq!(ended, expected, "{component}");
    }
}

#[test]
fn a_program_sleeps_and_panics_as_its_twin_does() {
    let (module, component) = TWINS[0];
    for (last, code) in [("time", Ok(0)), ("panic", Err("trap-unreachable"))] {
        let [expected, ended] = [module, component].map(|name| {
            let wasi = hostel::wasi().args(["report", last]);
            let (ended, out, errors) = run(&hostel::engine(), name, &wasi);
            assert_eq!(
                ended.as_ref().map_err(CallError::code),
                code.as_ref().map_err(|code| *code)
            );
            (out, errors.contains("as asked"))
        });
        assert_eq!(ended, expected);
    }
}

#[test]
fn a_component_runs_as_a_command_once() {
    let wasi = Wasi::new().args(["report", "0"]);
    let mut instance = instance(&hostel::engine(), "components/rust_report", &wasi);
    assert_eq!(instance.run_command(), Ok(0));
    assert_eq!(instance.run_command(), Err(CallError::Stopped));
}

#[test]
fn a_component_without_run_is_no_command() {
    let wasm = hostel_tests::assemble("(component)");
    let plugin = hostel::engine().load_component("empty", &wasm, &Grants::new());
    let error = plugin.unwrap().instantiate(()).unwrap().run_command();
    assert_eq!(error.unwrap_err().code(), "unknown-export");
}

#[test]
fn exit_ends_the_call_with_its_code() {
    for (status, code) in [(0, 0), (1, 1)] {
        let body = format!("(call $exit (i32.const {status})) (i32.const 9)");
        let (ended, instance) = super::run(&body, Wasi::new());
        assert_eq!(ended, Err(CallError::Exited { code }));
        assert!(instance.is_stopped());
    }
}
