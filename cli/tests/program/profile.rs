//! `hostel profile`: the fuel of a call, function by function.

use super::{Files, guest, hostel, path};

/// Profiles a call, and returns the lines of its stacks. Expects that their fuel is that of a call without a profile.
#[track_caller]
fn profiled(arguments: &[&str]) -> Vec<String> {
    let files = Files::new();
    let file = files.path("fuel.folded");
    let run = hostel(&[&["run"], arguments, &["--json"]].concat());
    let run = run.json();
    let ended = hostel(&[&["profile"], arguments, &["-o", path(&file)]].concat());
    assert_eq!(
        ended.code,
        run["code"].as_i64().map(|code| code as i32),
        "{}",
        ended.stderr
    );
    if let Some(output) = run["output"].as_str() {
        assert_eq!(ended.text(), output);
    }
    let text = std::fs::read_to_string(&file).expect("there is a profile");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let fuel = |line: &String| -> u64 {
        let (_, fuel) = line.rsplit_once(' ').expect("it ends with its fuel");
        fuel.parse().expect("fuel is a number")
    };
    let sum: u64 = lines.iter().map(fuel).sum();
    assert_eq!(
        Some(sum),
        run["fuel"]["call"].as_u64(),
        "{arguments:?}: {lines:#?}"
    );
    lines
}

#[test]
fn the_fuel_of_plugins_in_each_language_is_told_to_the_unit() {
    // But for Go, whose runtime looks at the clock: two runs differ at times.
    for name in [
        "customize",
        "c_customize",
        "c_customize_retptr",
        "zig_customize",
        "as_customize",
        "default_std_customize",
        "extism_customize",
        "wat_customize_multi",
    ] {
        let lines = profiled(&[&guest(name), "hello world", "--config", "prefix=CUSTOM"]);
        let hosts = |line: &&String| line.contains("config") || line.contains("log");
        assert!(lines.iter().any(|line| hosts(&line)), "{name}: {lines:#?}");
    }
    profiled(&[&guest("add"), "--call", "add", "1", "2"]);
    profiled(&[&guest("c_greet"), "--call", "greet", "Ann"]);
    profiled(&[&guest("typst_kit"), "--call", "join", "a", "b", "c"]);
}

#[test]
fn stacks_have_recursion_indirect_calls_and_host_functions() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module
            (import "env" "host_log" (func $log (param i32 i32)))
            (type $pair (func (param i32) (result i32 i32)))
            (memory (export "memory") 1)
            (table funcref (elem $pair $down))
            (func $pair (type $pair) (local.get 0) (local.get 0))
            (func $down (type $pair)
                (if (i32.eqz (local.get 0)) (then (return (i32.const 1) (i32.const 2))))
                (call_indirect (type $pair) (i32.sub (local.get 0) (i32.const 1)) (i32.const 1)))
            (func $early (param i32) (result i32)
                (block $out
                    (br_if $out (local.get 0))
                    (call $log (i32.const 0) (i32.const 4))
                    (return (i32.const 7)))
                (loop $again
                    (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                    (br_if $again (local.get 0)))
                (if (result i32) (local.get 0) (then (unreachable)) (else (i32.const 3))))
            (func (export "f") (param i32) (result i32)
                (drop (call $early (i32.const 0)))
                (drop (call $early (i32.const 5)))
                (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000))
                (call $pair (local.get 0)) (drop)
                (call_indirect (type $pair) (i32.const 1)) (i32.add)))"#,
    );
    let lines = profiled(&[&plugin, "--call", "f", "2"]);
    let has = |stack: &str| {
        lines
            .iter()
            .any(|line| line.starts_with(&format!("{stack} ")))
    };
    for stack in [
        "host",
        "host;f",
        "host;f;early",
        "host;f;pair",
        "host;f;early;env.host_log",
    ] {
        assert!(has(stack), "{stack}: {lines:#?}");
    }
    assert!(has("host;f;down;down;down"), "{lines:#?}");
    assert_eq!(lines, profiled(&[&plugin, "--call", "f", "2"]));
}

/// Code with groups that wasmi opens, and with what it leaves out because no code reaches it.
#[test]
fn code_that_is_never_reached_is_charged_as_without_a_profile() {
    let files = Files::new();
    for body in [
        "(unreachable) (loop (br 0)) (i32.const 1)",
        "(block (br 0) (loop (i32.const 1) (drop) (br 0))) (i32.const 1)",
        "(if (i32.const 1) (then (nop)) (else (call $g (i32.const 1)) (drop))) (i32.const 1)",
        "(if (i32.const 0) (then (call $g (i32.const 1)) (drop)) (else (loop))) (i32.const 1)",
        "(block (br_if 0 (i32.const 1)) (loop)) (i32.const 1)",
        "(block (br_if 0 (i32.const 0)) (loop)) (i32.const 1)",
        "(if (result i32) (local.get 0) (then (return (i32.const 1))) (else (call $g (i32.const 1))))",
        "(block (block (block (br_table 0 1 2 (local.get 0)) (loop)) (loop)) (loop)) (i32.const 1)",
        "(loop (result i32) (call $g (i32.const 3)) (if (then (br 1 (i32.const 9)) (loop))) (i32.const 1))",
        "(if (local.get 0) (then (unreachable)) (else (br 1 (i32.const 1)))) (loop) (i32.const 2)",
        "(block (result i32) (br 1 (i32.const 1)) (if (result i32) (then (i32.const 1)) (else (i32.const 2))))",
    ] {
        let plugin = files.wat(&format!(
            r#"(module
                (func $g (param i32) (result i32)
                    (if (result i32) (local.get 0)
                        (then (call $g (i32.sub (local.get 0) (i32.const 1))))
                        (else (i32.const 0))))
                (func (export "f") (param i32) (result i32) {body}))"#
        ));
        for argument in ["0", "1", "5"] {
            profiled(&[&plugin, "--call", "f", argument]);
        }
    }
}

#[test]
fn a_call_that_fails_has_a_profile_too() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module
            (func $inner (unreachable))
            (func (export "f") (call $inner))
            (func (export "spin") (loop $again (br $again))))"#,
    );
    let file = files.path("fuel.folded");
    let ended = hostel(&["profile", &plugin, "--call", "f", "-o", path(&file)]).expect(4);
    assert!(ended.stderr.contains("unreachable"), "{}", ended.stderr);
    let text = std::fs::read_to_string(&file).expect("there is a profile");
    assert_eq!(text, "host 20\nhost;f 2\nhost;f;inner 1\n");
    let arguments = ["profile", &plugin, "--call", "spin", "--fuel", "1000"];
    let ended = hostel(&[&arguments[..], &["-o", path(&file)]].concat());
    let ended = ended.expect(5);
    assert!(
        ended
            .stderr
            .contains("used up its fuel of 1000 units\n  at spin\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_picture_has_a_box_for_each_function() {
    let files = Files::new();
    let file = files.path("fuel.svg");
    let arguments = [&guest("customize"), "hello", "-o", path(&file)];
    hostel(&[&["profile"], &arguments[..]].concat()).expect(0);
    let picture = std::fs::read_to_string(&file).expect("there is a picture");
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert!(picture.contains("<title>env.host_log: "));
    assert_eq!(
        picture.matches("<g>").count(),
        picture.matches("</g>").count()
    );
    hostel(&[&["profile"], &arguments[..]].concat()).expect(0);
    assert_eq!(
        std::fs::read_to_string(&file).expect("there is a picture"),
        picture
    );
}

#[test]
fn calls_of_host_functions_are_traced() {
    let lines = |name: &str, arguments: &[&str]| {
        let plugin = guest(name);
        let ended = hostel(&[&["profile", &plugin, "hello"], arguments, &["--trace"]].concat());
        let ended = ended.expect(0);
        let traced = ended.stderr.lines().filter(|line| !line.starts_with(name));
        traced.map(str::to_owned).collect::<Vec<_>>()
    };
    // In all three shapes.
    for name in ["customize", "c_customize_retptr", "wat_customize_multi"] {
        let expected = [
            r#"env.host_log("processing 5 bytes")"#,
            r#"env.host_get_config("prefix") = "A\u{1b}""#,
        ];
        let found = lines(name, &["--config", "prefix=A\u{1b}"]);
        assert_eq!(
            found.last().map(|line| &**line),
            Some(expected[1]),
            "{name}: {found:#?}"
        );
        assert!(
            found.iter().any(|line| line.starts_with("env.host_log(")),
            "{found:#?}"
        );
    }
    assert!(lines("customize", &[])[1].ends_with("env.host_get_config(\"prefix\") = none"));
}

#[test]
fn what_can_not_be_profiled_is_said() {
    let files = Files::new();
    let component = guest("components/rust_small");
    let lowered = files.path("lowered.wasm");
    hostel(&["lower", &component, "-o", path(&lowered)]).expect(0);
    let module = std::fs::read(guest("customize")).expect("it is a guest");
    files.file("plugin.wasm", &module);
    for (plugin, call, output, code, message) in [
        (
            guest("customize"),
            "process",
            "fuel.png",
            2,
            ".svg or .folded",
        ),
        (
            component,
            "process",
            "fuel.svg",
            3,
            "can't observe a component",
        ),
        (
            path(&lowered).to_owned(),
            "process([1])",
            "fuel.svg",
            3,
            "can't observe a call by a contract",
        ),
        (
            files.file("m.json", b"{\"wasm\": [{\"path\": \"plugin.wasm\"}]}"),
            "process",
            "fuel.svg",
            3,
            "can't observe a manifest",
        ),
    ] {
        let output = files.path(output);
        let run = ["profile", &plugin, "--call", call, "-o", path(&output)];
        let ended = hostel(&run).expect(code);
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
        // No command makes such a plugin one that can be profiled.
        assert!(!ended.stderr.contains("hostel lower"), "{}", ended.stderr);
        assert!(!output.exists());
    }
}

#[test]
fn what_is_printed_or_written_has_to_be_asked_for() {
    let plugin = guest("customize");
    let ended = hostel(&["profile", &plugin, "x"]).expect(2);
    let asks = "<--output <FILE>|--trace>";
    assert!(ended.stderr.contains(asks), "{}", ended.stderr);
    for command in [&["profile", "--trace"][..], &["dev"]] {
        let ended = hostel(&[command, &[&plugin, "x", "--json"]].concat()).expect(2);
        let refuses = "--json has no effect on";
        assert!(ended.stderr.contains(refuses), "{}", ended.stderr);
    }
}

#[test]
fn those_who_look_for_it_in_run_are_told() {
    let plugin = guest("customize");
    for (option, part) in [
        (
            "--trace",
            "tip: `hostel profile PLUGIN INPUT --trace` prints",
        ),
        (
            "--profile",
            "tip: `hostel profile PLUGIN INPUT -o FILE.svg` draws",
        ),
        (
            "--profile=x.svg",
            "tip: `hostel profile PLUGIN INPUT -o FILE.svg` draws",
        ),
    ] {
        let ended = hostel(&["run", &plugin, "x", option]).expect(2);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
        assert!(!ended.stderr.contains("--trace-calls"), "{}", ended.stderr);
    }
}
