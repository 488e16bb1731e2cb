//! The contracts of plugins: `hostel check`, and what `hostel inspect` shows of components.

use super::{Ended, Files, guest, hostel};
use serde_json::json;

/// A component with a nested one. It imports a function, and exports an interface.
const COMPONENT: &str = r#"(component $shapes
    (import "log" (func $log (param "text" string)))
    (core module $areas
        (func (export "square") (param i32) (result i64) local.get 0 i64.extend_i32_u)
        (memory 1) (data (i32.const 0) "0123456789"))
    (core instance $i (instantiate $areas))
    (component (core module))
    (func $square (param "side" u32) (result u64) (canon lift (core func $i "square")))
    (instance $it (export "square" (func $square)))
    (export "demo:shapes/areas@1.0.0" (instance $it)))"#;

const CONTRACT: &str = "\
package root:component;

world root {
  import log: func(text: string);

  export demo:shapes/areas@1.0.0;
}
package demo:shapes@1.0.0 {
  interface areas {
    square: func(side: u32) -> u64;
  }
}
";

/// A world that the component fits.
const WORLD: &str = "
    package demo:shapes@1.2.0;
    interface areas { square: func(side: u32) -> u64; }
    world plugin { import log: func(text: string); export areas; }
";

fn component(files: &Files, text: &str) -> String {
    files.file("plugin.wasm", &wat::parse_str(text).expect("it is WAT"))
}

/// Makes a core module with a contract: the type of a component, as wit-bindgen leaves it.
fn module_with_contract(contract: &str) -> Vec<u8> {
    let contract = wat::parse_str(contract).expect("it is WAT");
    let mut module = std::fs::read(guest("add")).expect("the guest is there");
    let mut body = b"\x17component-type:plugin-1".to_vec();
    body.extend(contract);
    module.push(0);
    let size = body.len();
    module.extend([
        (size & 0x7f) as u8 | 0x80,
        u8::try_from(size >> 7).expect("a short section"),
    ]);
    module.extend(body);
    module
}

const OF_MODULE: &str = r#"(component (type (export "plugin") (component
    (export "demo:shapes/plugin@1.0.0" (component
        (export "demo:shapes/areas@1.0.0" (instance
            (export "square" (func (param "side" u32) (result u32))))))))))"#;

fn check(plugin: &str, wit: &str) -> Ended {
    hostel(&["check", plugin, "--wit", wit])
}

#[test]
fn a_component_is_shown_with_its_contract() {
    let files = Files::new();
    let plugin = component(&files, COMPONENT);
    let size = std::fs::metadata(&plugin).expect("the file is there").len();
    let shown = hostel(&["inspect", &plugin, "--stub", "$root#log"]).expect(0);
    assert_eq!(shown.stderr, "");
    let words: Vec<Vec<&str>> = shown
        .text()
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let shows = |line: &str| words.contains(&line.split_whitespace().collect());
    assert!(shows(&format!("size {size} bytes")), "{}", shown.text());
    for line in [
        "name shapes",
        "components in it 1",
        "memory 65536 bytes at most 65536",
        "1 8 bytes code 0, data 0, custom 0, other 0",
    ] {
        assert!(shows(line), "{line}: {}", shown.text());
    }
    assert!(shown.text().contains("  0 areas "), "{}", shown.text());
    assert!(
        shown.text().contains(", data 16, custom "),
        "{}",
        shown.text()
    );
    let contract = CONTRACT
        .lines()
        .map(|line| format!("  {line}").trim_end().to_owned() + "\n");
    let contract: String = contract.collect();
    assert!(
        shown.text().ends_with(&format!("contract\n{contract}")),
        "{}",
        shown.text()
    );

    let told = hostel(&["inspect", &plugin, "--json"]).expect(3).json();
    assert_eq!(told["contract"], CONTRACT);
    assert_eq!(told["bytes"], size);
    assert_eq!((&told["code"], &told["loads"]), (&json!(3), &json!(false)));
    let lacks = &told["error"]["details"][0];
    assert_eq!(
        lacks,
        "import `$root#log` func(text: string): nothing supplies it"
    );
    let hint = told["error"]["hint"].as_str().expect("a text");
    assert!(hint.contains("--callback 'log=VALUE'"), "{hint}");
    let stubbed = ["inspect", &plugin, "--stub", "$root.log", "--json"];
    let told = hostel(&stubbed).expect(0).json();
    assert_eq!(
        (&told["code"], &told["error"], &told["loads"]),
        (&json!(0), &json!(null), &json!(true))
    );
    let component = &told["component"];
    assert_eq!(component["name"], "shapes");
    assert_eq!(component["components"], 1);
    let sha256 = component["sha256"].as_str().expect("a text");
    assert!(sha256.len() == 64 && shows(&format!("SHA-256 {sha256}")));
    let modules = component["modules"].as_array().expect("an array");
    assert_eq!(modules.len(), 2);
    assert_eq!(
        (&modules[0]["name"], &modules[1]["name"]),
        (&json!("areas"), &json!(null))
    );
    assert_eq!(
        (&modules[1]["bytes"], &modules[1]["code_bytes"]),
        (&json!(8), &json!(0))
    );
    // One byte each for the number of functions, the body's size and its locals, and four for its code.
    assert_eq!(modules[0]["code_bytes"], 7);
}

#[test]
fn a_core_module_is_shown_with_its_contract() {
    let files = Files::new();
    let plugin = files.file("plugin.wasm", &module_with_contract(OF_MODULE));
    let shown = hostel(&["inspect", &plugin]).expect(3);
    // It is loaded by its contract, and does not export what that says.
    let lacks = "export `demo:shapes/areas@1.0.0#square` is missing";
    assert!(shown.stderr.contains(lacks), "{}", shown.stderr);
    let contract = "contract\n  package demo:shapes@1.0.0;\n\n  interface areas {\n    square: func(side: u32) -> u32;\n  }\n";
    assert!(shown.text().contains(contract), "{}", shown.text());
    assert!(
        shown.text().contains("component-type:plugin-1"),
        "{}",
        shown.text()
    );
    let told = hostel(&["inspect", &plugin, "--json"]).expect(3).json();
    assert!(
        told["contract"]
            .as_str()
            .is_some_and(|text| text.contains("world plugin")),
        "{told}"
    );
    assert_eq!(
        (&told["loads"], &told["component"]),
        (&json!(false), &json!(null))
    );
    // A plugin without one is shown as before.
    let told = hostel(&["inspect", &guest("add"), "--json"])
        .expect(0)
        .json();
    assert_eq!(
        (&told["contract"], &told["contract_error"]),
        (&json!(null), &json!(null))
    );
}

#[test]
fn a_contract_that_can_t_be_read_is_told() {
    let files = Files::new();
    let plugin = files.file("plugin.wasm", &module_with_contract("(component)"));
    let shown = hostel(&["inspect", &plugin]).expect(3);
    let section = "a section `component-type` of another version than 4";
    assert!(shown.stderr.contains(section), "{}", shown.stderr);
    let told = hostel(&["inspect", &plugin, "--json"]).expect(3).json();
    assert_eq!(told["contract_error"]["code"], "invalid-contract");
    let deep = format!("{}{}", "(component ".repeat(60), ")".repeat(60));
    let plugin = component(&files, &deep);
    let shown = hostel(&["inspect", &plugin]).expect(3);
    assert!(
        shown
            .stderr
            .contains("50 nested components allowed, 51 found"),
        "{}",
        shown.stderr
    );
    let told = hostel(&["inspect", &plugin, "--json"]).expect(3).json();
    assert_eq!(told["error"]["code"], "contract-too-large");
}

#[test]
fn names_of_a_component_control_no_terminal() {
    let files = Files::new();
    let plugin = component(
        &files,
        r#"(component (@name "\1b[2Jred") (core module (@name "\u{202e}x")))"#,
    );
    let shown = hostel(&["inspect", &plugin]).expect(0);
    assert!(shown.text().contains("\\u{1b}[2Jred"), "{}", shown.text());
    assert!(shown.text().contains("0 \\u{202e}x"), "{}", shown.text());
    assert!(!shown.text().contains('\x1b'));
}

#[test]
fn a_plugin_that_fits_is_0() {
    let files = Files::new();
    let plugin = component(&files, COMPONENT);
    let wit = files.file("plugin.wit", WORLD.as_bytes());
    let ended = check(&plugin, &wit).expect(0);
    assert_eq!(
        ended.text(),
        format!("{plugin} fits the world `demo:shapes/plugin@1.2.0`\n")
    );
    assert_eq!(ended.stderr, "");
    let told = hostel(&["check", &plugin, "--wit", &wit, "--json"])
        .expect(0)
        .json();
    assert_eq!(
        told,
        json!({
            "code": 0,
            "differences": [],
            "error": null,
            "fits": true,
            "native": false,
            "path": plugin,
            "world": "demo:shapes/plugin@1.2.0",
        })
    );
}

#[test]
fn all_differences_are_listed_with_what_to_change() {
    let files = Files::new();
    let plugin = component(&files, COMPONENT);
    let wit = files.file(
        "plugin.wit",
        b"package demo:shapes@1.0.0;
          interface areas { square: func(side: u64) -> u64; circle: func(radius: f64) -> f64; }
          world plugin { export areas; export run: func(); }",
    );
    let ended = check(&plugin, &wit).expect(3);
    assert_eq!(ended.text(), "");
    assert_eq!(ended.stderr, format!("\
error: {plugin} does not fit the world `demo:shapes/plugin@1.0.0`: 4 differences
  import `log`: found `func(text: string)`, not in the world: the world does not supply it: remove it from the plugin, or add it to the world
  export `run`: expected `func()`, found none: the plugin lacks it: implement and export it
  export `demo:shapes/areas@1.0.0`, `square`, parameter `side`: expected `u64`, found `u32`: change it in the plugin to `u64`
  export `demo:shapes/areas@1.0.0`, `circle`: expected `func(radius: f64) -> f64`, found none: add it to the plugin
"));
    let told = hostel(&["check", &plugin, "--wit", &wit, "--json"])
        .expect(3)
        .json();
    assert_eq!((&told["code"], &told["fits"]), (&json!(3), &json!(false)));
    assert_eq!(told["error"]["code"], "contract-mismatch");
    assert_eq!(told["differences"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        told["differences"][2],
        json!({
            "expected": "u64",
            "found": "u32",
            "interface": "demo:shapes/areas@1.0.0",
            "item": "square",
            "kind": "mismatch",
            "place": "parameter `side`",
            "remedy": "change it in the plugin to `u64`",
            "side": "export",
        })
    );
}

#[test]
fn a_core_module_with_a_contract_is_checked() {
    let files = Files::new();
    let plugin = files.file("plugin.wasm", &module_with_contract(OF_MODULE));
    let wit = files.file("plugin.wit", WORLD.as_bytes());
    let ended = check(&plugin, &wit).expect(3);
    assert!(ended.stderr.contains("1 difference\n"), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("`square`, result: expected `u64`, found `u32`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_directory_has_packages_in_deps_and_worlds_to_choose_from() {
    let files = Files::new();
    let plugin = component(&files, COMPONENT);
    std::fs::create_dir_all(files.path("wit/deps/shapes")).expect("directories can be made");
    files.file(
        "wit/deps/shapes/areas.wit",
        b"package demo:shapes@1.0.0; interface areas { square: func(side: u32) -> u64; }",
    );
    let world = "world plugin { import log: func(text: string); export demo:shapes/areas@1.0.0; } world other { }";
    let file = files.file(
        "wit/app.wit",
        format!("package demo:app; {world}").as_bytes(),
    );
    let wit = files.path("wit");
    let wit = super::path(&wit);
    let with_world = |world: &str| hostel(&["check", &plugin, "--wit", wit, "--world", world]);
    with_world("plugin").expect(0);
    with_world("demo:app/plugin").expect(0);
    with_world("other").expect(3);
    for ended in [with_world("nothing"), check(&plugin, wit)] {
        let ended = ended.expect(2);
        assert!(
            ended
                .stderr
                .contains("hint: choose a world with --world NAME"),
            "{}",
            ended.stderr
        );
    }
    let ended = check(&plugin, &file).expect(2);
    assert!(
        ended.stderr.contains("folder `deps` beside it"),
        "{}",
        ended.stderr
    );
}

#[test]
fn files_that_are_no_contract_are_told_apart() {
    let files = Files::new();
    let plugin = component(&files, COMPONENT);
    let wit = files.file("plugin.wit", WORLD.as_bytes());
    // The plugin's file: 3.
    for (file, words) in [
        (
            files.file("text.wasm", b"text"),
            "expected a WebAssembly component or module",
        ),
        (
            files.file("cut.wasm", b"\0asm\x0d\0\x01\0\x07"),
            "invalid component or contract",
        ),
        (
            super::path(&files.path("missing.wasm")).to_owned(),
            "can't read",
        ),
    ] {
        let ended = check(&file, &wit).expect(3);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    // The world's: 2.
    for (file, words) in [
        (
            files.file("bad.wit", b"package a:b;\nworld w { export f: fun(); }"),
            "bad.wit:2:24: expected",
        ),
        (
            files.file("bytes.wit", b"\xff"),
            "expected WIT text or a binary WIT package",
        ),
        (
            super::path(&files.path("missing.wit")).to_owned(),
            "can't read",
        ),
    ] {
        let ended = check(&plugin, &file).expect(2);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
        let told = hostel(&["check", &plugin, "--wit", &file, "--json"])
            .expect(2)
            .json();
        assert_eq!(
            (&told["fits"], &told["world"]),
            (&json!(false), &json!(null))
        );
    }
}

#[test]
fn a_module_without_a_contract_is_compared_by_names_and_core_types() {
    let files = Files::new();
    let fitting = "package demo:it; world it { export process: func(input: list<u8>) -> result<list<u8>, string>; }";
    let wit = files.file("it.wit", fitting.as_bytes());
    let plugin = guest("customize");
    let ended = check(&plugin, &wit).expect(0);
    assert!(
        ended.text().ends_with(
            "fits the world `demo:it/it`, by the names and core types of its functions: it has no contract\n"
        ),
        "{}",
        ended.text()
    );
    let told = hostel(&["check", &plugin, "--wit", &wit, "--json"])
        .expect(0)
        .json();
    assert_eq!(
        (&told["fits"], &told["native"]),
        (&json!(true), &json!(true))
    );
    let wit = files.file(
        "other.wit",
        b"package demo:it; world it { export process: func(side: u32) -> u64; export area: func(); }",
    );
    let ended = check(&plugin, &wit).expect(3);
    for line in [
        "export `process`: expected `(i32) -> i64`, found `(i32, i32) -> ",
        "export `area`: expected `() -> ()`, found none: the plugin lacks it: export `area`",
    ] {
        assert!(ended.stderr.contains(line), "{}", ended.stderr);
    }
    let told = hostel(&["check", &plugin, "--wit", &wit, "--json"])
        .expect(3)
        .json();
    assert_eq!(told["differences"].as_array().map(Vec::len), Some(2));
    assert_eq!(told["error"]["code"], "contract-mismatch");
}

#[test]
fn hostile_components_are_refused_within_limits() {
    let files = Files::new();
    let wit = files.file("plugin.wit", WORLD.as_bytes());
    let mut types = "(component (type $t0 (tuple u8 u8))".to_owned();
    for index in 0..60 {
        types.push_str(&format!(
            "(type $t{} (tuple $t{index} $t{index}))",
            index + 1
        ));
    }
    let mut deep = "(component (type $t0 u8)".to_owned();
    for index in 0..10_000 {
        deep.push_str(&format!("(type $t{} (list $t{index}))", index + 1));
    }
    let imports: String = (0..10_001)
        .map(|index| format!(r#"(import "f{index}" (func))"#))
        .collect();
    for (text, words) in [
        (format!("{types})"), "effective type size exceeds the limit"),
        (format!("{deep})"), "type nesting is too deep"),
        (format!("(component {imports})"), "20000 types, imports and exports allowed"),
        (format!("(component {})", "(component)".repeat(1_000)), "1000 components and modules allowed"),
        (r#"(component (import "a:b/c" (instance $i (type $r (record (field "x" u8))) (export "r" (type (eq $r))))) (export "a:b/c" (instance $i)))"#.to_owned(), "WIT can't say"),
    ] {
        let plugin = component(&files, &text);
        for ended in [check(&plugin, &wit), hostel(&["inspect", &plugin])] {
            let ended = ended.expect(3);
            assert!(ended.stderr.contains(words), "{}", ended.stderr);
            assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        }
    }
}
