//! `hostel bench`.

use super::{Ended, Files, guest, hostel};
use serde_json::{Value, json};

/// Runs `hostel bench` and returns the measurements.
#[track_caller]
fn measured(code: i32, arguments: &[&str]) -> Value {
    let arguments = [&["bench", "--json"], arguments].concat();
    let told = hostel(&arguments).expect(code).json();
    assert_eq!(
        (&told["code"], &told["error"]),
        (&json!(code), &Value::Null),
        "{told}"
    );
    told["measured"].clone()
}

/// Returns the text with each number replaced by `0`, and each unit by `u`.
fn shape(ended: &Ended) -> String {
    let mut shape = String::new();
    for word in ended.text().split_inclusive([' ', '\n']) {
        let unit = ["ns", "µs", "ms", "s", "KiB", "MiB", "B"];
        let (text, end) = word.split_at(word.trim_end_matches([',', ':', ' ', '\n']).len());
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit() || ",.".contains(c));
        let number = rest.len() < text.len();
        match (number, unit.contains(&rest)) {
            (true, true) => shape.push_str("0u"),
            (true, false) => shape.push_str(&format!("0{rest}")),
            (false, true) => shape.push('u'),
            (false, false) => shape.push_str(text),
        }
        shape.push_str(end);
    }
    shape
}

#[test]
fn what_was_measured_is_shown() {
    let customize = guest("customize");
    let ended = hostel(&["bench", &customize, "hello", "--calls", "20"]).expect(0);
    assert_eq!(ended.stderr, "");
    let expected = format!(
        "{customize}
  function  process
  calls     0 in 0u, 0 at a time
  rate      0 calls per second
  time      p50 0u, p90 0u, p99 0u, max 0u
  fuel      0 per call, from 0 to 0
  memory    0 u linear memory per instance, at most 0 u besides
  errors    none
"
    );
    assert_eq!(shape(&ended), expected);
    let sliced = ["bench", &customize, "--calls=20", "--sliced"];
    let ended = hostel(&sliced).expect(0);
    assert!(
        ended
            .text()
            .contains(", 1 at a time in slices of 10,000 fuel\n")
    );
}

#[test]
fn all_of_it_is_told_as_json() {
    let customize = guest("customize");
    let run = ["run", "--json", &customize, "hello", "--config=prefix=A"];
    let one = hostel(&run).expect(0).json();
    let fuel = one["fuel"]["start"].as_u64().expect("a number")
        + one["fuel"]["call"].as_u64().expect("a number");
    let [at_once, threads] = ["--calls=50", "--concurrency=3"];
    for (how, sliced) in [(None, Value::Null), (Some("--sliced=500"), json!(500))] {
        let arguments = [&customize, "hello", "--config=prefix=A", at_once, threads];
        let told = measured(0, &[&arguments[..], how.as_slice()].concat());
        for (name, value) in [
            ("calls", json!(50)),
            ("concurrency", json!(3)),
            ("sliced", sliced),
            ("function", json!("process")),
            ("interrupted", json!(false)),
            ("errors", json!([])),
            ("fuel", json!({ "least": fuel, "mean": fuel, "most": fuel })),
        ] {
            assert_eq!(told[name], value, "{name}: {told}");
        }
        assert_eq!(told["memory"]["linear"], 65_536);
        assert!(told["memory"]["besides"].as_u64() > Some(0), "{told}");
        assert!(told["seconds"].as_f64() > Some(0.0), "{told}");
        assert!(told["calls_per_second"].as_f64() > Some(0.0), "{told}");
        let micros = ["p50", "p90", "p99", "max"].map(|name| told["micros"][name].as_f64());
        assert!(micros.is_sorted() && micros[0] > Some(0.0), "{told}");
        assert_eq!(told.as_object().expect("an object").len(), 11);
    }
}

#[test]
fn it_ends_after_the_time_or_the_calls() {
    let add = guest("add");
    let add = [&*add, "--call=add", "1", "2"];
    let within = |limits: &[&str]| measured(0, &[&add[..], limits].concat())["calls"].clone();
    assert!(within(&["--seconds=0.05"]).as_u64() > Some(0));
    assert_eq!(within(&["--seconds=600", "--calls=7"]), 7);
    assert!(within(&["--seconds=0.05", "--calls=1000000000000"]).as_u64() > Some(0));
    let none = measured(0, &[&add[..], &["--seconds=0"]].concat());
    assert_eq!(none["calls"], 0);
    for field in ["seconds", "calls_per_second"] {
        assert_eq!(none[field], Value::Null, "{none}");
    }
    for field in ["micros", "fuel"] {
        let values = none[field].as_object().expect("an object").values();
        assert!(values.into_iter().all(Value::is_null), "{none}");
    }
    let none = [&["bench"], &add[..], &["--seconds=0"]].concat();
    let none = hostel(&none).expect(0);
    assert!(none.text().contains("calls     0 in"), "{}", none.text());
}

#[test]
fn calls_have_an_instance_each_and_share_the_state() {
    let (files, counter) = (Files::new(), guest("counter"));
    let state = super::path(&files.path("state")).to_owned();
    let told = measured(0, &[&counter, "--state", &state, "x", "--calls=20"]);
    assert_eq!(told["errors"], json!([]));
    // The measured calls follow a first one and the warm-up.
    let next = hostel(&["run", &counter, "--state", &state, "x"]).expect(0);
    assert!(next.text().contains("24"), "{}", next.text());
}

#[test]
fn a_command_is_run() {
    let report = guest("wasi_rust_report");
    let ended = hostel(&["bench", &report, "--arg=a", "--calls=3"]).expect(0);
    assert!(ended.text().contains("  function  _start\n"));
    assert!(ended.text().ends_with("  errors    none\n"));
    let files = Files::new();
    let fails = files.wat(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const 7))))"#,
    );
    let told = measured(7, &[&fails, "--calls=3"]);
    let message = "the command ended with exit code 7";
    let errors = json!([{ "code": "exit-code", "message": message, "count": 3 }]);
    assert_eq!(told["errors"], errors);
    hostel(&["bench", &report, "input"]).expect(2);
}

#[test]
fn calls_that_fail_are_counted_by_kind() {
    let customize = guest("customize");
    for how in [None, Some("--sliced")] {
        let arguments = [&*customize, "--fuel=2k", "--calls=9", "--concurrency=2"];
        let told = measured(5, &[&arguments[..], how.as_slice()].concat());
        let message = "the call used up its fuel of 2000 units: raise `fuel` if that is expected";
        let errors = json!([{ "code": "out-of-fuel", "message": message, "count": 9 }]);
        assert_eq!((&told["errors"], &told["calls"]), (&errors, &json!(9)));
        assert_eq!(told["fuel"]["most"], 2000);
    }
    let files = Files::new();
    let fails = files.process(
        r#"(call $log (i32.const 0) (i32.const 14))
            (if (i32.eqz (local.get $size)) (then (unreachable)))
            (i32.const 65536) (i32.const 1)"#,
    );
    let ended = hostel(&["bench", &fails, "--calls=3"]).expect(4);
    let trapped = "  errors    3 trap-unreachable: the guest trapped: it executed `unreachable`";
    assert!(ended.text().contains(trapped), "{}", ended.text());
    assert_eq!(ended.stderr, "");
    let ended = hostel(&["bench", &fails, "a", "--calls=3"]).expect(1);
    assert!(
        ended.text().contains("3 out-of-bounds: "),
        "{}",
        ended.text()
    );
}

#[test]
fn the_deadline_is_each_call_s() {
    let files = Files::new();
    let endless = files.process("(loop $l (br $l)) unreachable");
    let time = ["--timeout=20ms", "--fuel=1_000_000G", "--calls=3"];
    let told = measured(6, &[&[&*endless][..], &time].concat());
    assert_eq!(told["errors"][0]["code"], "deadline");
    assert_eq!(told["errors"][0]["count"], 3);
}

#[test]
fn what_can_t_be_measured_is_told_as_for_run() {
    let (add, customize) = (guest("add"), guest("customize"));
    for (code, word, arguments) in [
        (3, "file-missing", &["missing.wasm"][..]),
        (3, "unknown-export", &[&add]),
        (3, "unknown-export", &[&customize, "--call=_start"]),
        (2, "usage", &[&customize, "two", "words"]),
        (2, "usage", &[&add, "--call=add", "1", "2", "--sliced"]),
    ] {
        let told = hostel(&[&["bench", "--json"], arguments].concat())
            .expect(code)
            .json();
        assert_eq!(told["error"]["code"], word, "{told}");
        assert_eq!(
            (&told["code"], &told["measured"]),
            (&json!(code), &Value::Null)
        );
        let ended = hostel(&[&["bench"], arguments].concat()).expect(code);
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
        assert_eq!(ended.text(), "");
    }
    for wrong in [
        "--concurrency=0",
        "--concurrency=10001",
        "--sliced=0",
        "--seconds=-1",
        "--seconds=long",
        "--calls=-1",
    ] {
        let ended = hostel(&["bench", &customize, wrong]).expect(2);
        let option = wrong.split('=').next().expect("it has one");
        assert!(ended.stderr.contains(option), "{}", ended.stderr);
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_with_the_report() {
    use std::{
        process::{Command, Stdio},
        thread,
        time::{Duration, Instant},
    };
    let (files, counter) = (Files::new(), guest("counter"));
    let state = files.path("state");
    let arguments = [
        "bench",
        &counter,
        "--state",
        super::path(&state),
        "--seconds=600",
        "--json",
    ];
    let child = super::command(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.expect("the program starts");
    // The program handles interrupts before it creates the state file.
    let start = Instant::now();
    while !state.exists() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "it opens no state"
        );
        thread::sleep(Duration::from_millis(5));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill starts").success());
    let ended = Ended::from(child.wait_with_output().expect("it ends")).expect(0);
    assert_eq!(ended.json()["measured"]["interrupted"], true);
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_a_progress_bar_and_a_file_none() {
    let bench = format!("bench {} --seconds=0.5 --call=add 1 2", guest("add"));
    let Some(terminal) = super::on_a_terminal(&bench, 80) else {
        return;
    };
    let terminal = terminal.expect(0);
    assert!(
        terminal.text().contains("measuring ["),
        "{}",
        terminal.text()
    );
    assert!(terminal.text().contains(" calls, "), "{}", terminal.text());
    let file = hostel(&[
        "bench",
        &guest("add"),
        "--call=add",
        "1",
        "2",
        "--seconds=0.5",
    ]);
    assert_eq!(file.expect(0).stderr, "");
}

#[test]
fn calls_of_any_function_over_bytes_run_in_slices() {
    let files = Files::new();
    let typst = files.wat(
        r#"(module
            (import "typst_env" "wasm_minimal_protocol_write_args_to_buffer" (func $args (param i32)))
            (import "typst_env" "wasm_minimal_protocol_send_result_to_host" (func $send (param i32 i32)))
            (memory (export "memory") 1)
            (func (export "join") (param $a i32) (param $b i32) (result i32)
              (call $args (i32.const 0))
              (call $send (i32.const 0) (i32.add (local.get $a) (local.get $b))) (i32.const 0)))"#,
    );
    let greet = guest("greet");
    for call in [
        &[&*greet, "--call=greet", "Ann"][..],
        &[&*typst, "--call=join", "one", "two"],
    ] {
        let fuel = |how: &[&str]| {
            let report =
                hostel(&[&["bench", "--json", "--calls=20"], call, how].concat()).expect(0);
            let measured = &report.json()["measured"];
            assert_eq!(measured["calls"], 20);
            measured["fuel"].clone()
        };
        assert_eq!(fuel(&["--sliced=50", "--concurrency=4"]), fuel(&[]));
    }
}
