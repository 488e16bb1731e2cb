//! `--callback MODULE.NAME=VALUE`: answers an import of a core module, in each command that makes calls.

use super::{Files, hostel, path};

const SHOP: &str = r#"(module
    (import "shop" "price" (func $price (param i32 i32) (result i64)))
    (import "shop" "name" (func $name (param i32) (result i32 i32)))
    (memory (export "memory") 1)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "price") (result i64) (call $price (i32.const 0) (i32.const 0)))
    (func (export "name") (param i32 i32) (result i32 i32) (call $name (i32.const 7))))"#;

#[test]
fn an_import_of_a_core_module_is_answered() {
    let files = Files::new();
    let plugin = files.wat(SHOP);
    let name = "shop.name=\"lamp\"";
    for (price, output) in [
        // 1 in the upper half.
        ("shop.price={ some = 1999 }", "4294969295\n"),
        ("shop.price={ none = true }", "0\n"),
        ("shop.price=-5", "-5\n"),
    ] {
        let call = ["run", &plugin, "--call", "price"];
        let ended = hostel(&[&call[..], &["--callback", price, "--callback", name]].concat());
        assert_eq!(ended.expect(0).text(), output, "{price}");
    }
    let name_file = files.file("name.txt", b"a lamp");
    let from_file = format!("shop.name={{ file = '{name_file}' }}");
    let price = "shop.price=1";
    for (name, output) in [(name, "lamp"), (&from_file, "a lamp")] {
        let call = ["run", &plugin, "x", "--call", "name"];
        let ended = hostel(&[&call[..], &["--callback", price, "--callback", name]].concat());
        assert_eq!(ended.expect(0).text(), output, "{name}");
    }
    let output = files.path("fuel.folded");
    for command in [
        &["bench", "--calls", "2"][..],
        &["profile", "-o", path(&output)],
    ] {
        let call = [
            &plugin,
            "--call",
            "price",
            "--callback",
            price,
            "--callback",
            name,
        ];
        hostel(&[command, &call].concat()).expect(0);
    }
}

#[test]
fn an_answer_that_does_not_fit_is_refused() {
    let files = Files::new();
    let plugin = files.wat(SHOP);
    for (answer, part) in [
        (
            "shop.prise=1",
            "--callback: the plugin does not import `shop.prise`\nhint: did you mean `shop.price`?",
        ),
        (
            "shop.price=0.5",
            "--callback: can't answer `shop.price`: its type is (i32, i32) -> i64",
        ),
        (
            "shop.price=lamp",
            "expected a number, \"text\", { some = 1999 }",
        ),
        ("shop.price={ trap = true }", "use --stub"),
        (
            "price=1",
            "hint: name an import of a core module with its module",
        ),
    ] {
        let ended = hostel(&["run", &plugin, "--call", "price", "--callback", answer]).expect(2);
        assert!(ended.stderr.contains(part), "{answer}: {}", ended.stderr);
    }
    // Other than the answer, the file is at fault.
    let broken = files.file("broken.wasm", b"not a module");
    let ended = hostel(&["run", &broken, "x", "--callback", "shop.price=1"]).expect(3);
    assert!(ended.stderr.contains("can't load"), "{}", ended.stderr);
}
