//! `hostel lower`: one core module of a component.

use super::{Files, hostel, path};
use serde_json::json;

/// A component of two modules.
const COMPONENT: &str = r#"(component
    (core module $areas (func $square (export "square") (param i32) (result i32)
        local.get 0 local.get 0 i32.mul))
    (core instance $i (instantiate $areas))
    (core module $main (import "areas" "square" (func $square (param i32) (result i32)))
        (func $run_square (export "run") (param i32) (result i32) local.get 0 call $square))
    (core instance $main (instantiate $main (with "areas" (instance $i))))
    (func $square (param "side" u32) (result u32) (canon lift (core func $main "run")))
    (instance $it (export "square" (func $square)))
    (export "demo:shapes/areas@1.0.0" (instance $it)))"#;

const WORLD: &str = "
    package demo:shapes@1.0.0;
    interface areas { square: func(side: u32) -> u32; }
    world plugin { export areas; }
";

#[test]
fn a_component_becomes_a_module_with_its_contract() {
    let files = Files::new();
    let plugin = files.wat(COMPONENT);
    let size = std::fs::metadata(&plugin).expect("it is there").len();
    let output = files.path("module.wasm");
    let output = path(&output);
    let lowered = hostel(&["lower", &plugin, "-o", output]).expect(0);
    let module = std::fs::read(output).expect("it was written");
    let told = format!("{output}: {} bytes, of {size}\n", module.len());
    assert_eq!((lowered.text(), &*lowered.stderr), (&*told, ""));
    assert!(module.starts_with(b"\0asm\x01\0\0\0"));
    let has = |module: &[u8]| module.windows(10).any(|part| part == b"run_square");
    assert!(has(&module));

    let shown = hostel(&["inspect", output]).expect(0);
    let contract = "export demo:shapes/areas@1.0.0;";
    assert!(shown.text().contains(contract), "{}", shown.text());
    let exported = "demo:shapes/areas@1.0.0#square";
    assert!(shown.text().contains(exported), "{}", shown.text());
    let wit = files.file("world.wit", WORLD.as_bytes());
    hostel(&["check", output, "--wit", &wit]).expect(0);
    let other = WORLD.replace("side: u32", "side: u64");
    let wit = files.file("world.wit", other.as_bytes());
    let differs = hostel(&["check", output, "--wit", &wit]).expect(3);
    assert!(differs.stderr.contains("found `u32`"), "{}", differs.stderr);

    let told = hostel(&["lower", &plugin, "-o", output, "--strip", "--json"]).expect(0);
    let stripped = std::fs::read(output).expect("it was written");
    assert!(stripped.len() < module.len() && !has(&stripped));
    let expected = json!({
        "bytes": stripped.len(), "code": 0, "component_bytes": size, "error": null, "path": output,
    });
    assert_eq!(told.json(), expected);
}

#[test]
fn what_can_not_be_lowered_leaves_the_file_as_it_is() {
    let files = Files::new();
    let output = files.file("module.wasm", b"as it was");
    let two_memories = r#"(component
        (core module $m (memory 1) (func (export "f") (drop (i32.load (i32.const 0)))))
        (core instance $a (instantiate $m))
        (core instance $b (instantiate $m))
        (func (export "f") (canon lift (core func $a "f")))
        (func (export "g") (canon lift (core func $b "f"))))"#;
    for (plugin, code, part) in [
        (
            wat::parse_str(two_memories).expect("it is WAT"),
            "not-lowerable",
            "its code uses 2 memories",
        ),
        (
            wat::parse_str("(module)").expect("it is WAT"),
            "not-component",
            "a core module needs no lowering",
        ),
        (b"\0asm\x0d\0\x01\0\x05".to_vec(), "invalid-contract", ""),
    ] {
        let plugin = files.file("plugin.wasm", &plugin);
        let refused = hostel(&["lower", &plugin, "-o", &output]).expect(3);
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
        let told = hostel(&["lower", &plugin, "-o", &output, "--json"]).expect(3);
        assert_eq!(told.json()["error"]["code"], code, "{}", refused.stderr);
    }
    let missing = files.path("missing.wasm");
    hostel(&["lower", path(&missing), "-o", &output]).expect(3);
    assert_eq!(std::fs::read(&output).expect("it is there"), b"as it was");
    let nowhere = files.path("no/such/folder.wasm");
    let component = files.wat(COMPONENT);
    hostel(&["lower", &component, "-o", path(&nowhere)]).expect(2);
}
