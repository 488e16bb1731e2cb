//! Contracts read from components, core modules, packages and text, printed as WIT; and hostile ones.

#![allow(clippy::expect_used, clippy::panic, missing_docs)]

use hostel_contract::{Contract, Parts, ReadError, is_component, limits, wit_of};
use std::fmt::Write as _;
use wit_component::{
    ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata, encode,
};
use wit_parser::{ManglingAndAbi, PackageId, Resolve, WorldId};

const WIT: &str = "
    package demo:shapes@1.2.0;
    interface types {
        record point { x: s32, y: s32 }
        resource canvas { constructor(width: u32); draw: func(at: point); }
    }
    interface areas {
        use types.{point};
        variant problem { outside(point), full }
        area: func(corners: list<point>) -> result<u64, problem>;
    }
    world plugin {
        import types;
        import log: func(text: string);
        export areas;
    }
";

const PRINTED: &str = "\
package root:NAME;

world root {
  import demo:shapes/types@1.2.0;
  import log: func(text: string);

  export demo:shapes/areas@1.2.0;
}
package demo:shapes@1.2.0 {
  interface types {
    record point {
      x: s32,
      y: s32,
    }

    resource canvas {
      constructor(width: u32);
      draw: func(at: point);
    }
  }
  interface areas {
    use types.{point};

    variant problem {
      outside(point),
      full,
    }

    area: func(corners: list<point>) -> result<u64, problem>;
  }
}
";

fn parse(wit: &str) -> (Resolve, PackageId, WorldId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).expect("it is WIT");
    let world = resolve
        .select_world(&[package], None)
        .expect("it has a world");
    (resolve, package, world)
}

fn module(wit: &str) -> Vec<u8> {
    let (resolve, _, world) = parse(wit);
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("the contract can be embedded");
    module
}

fn component(wit: &str) -> Vec<u8> {
    let mut encoder = ComponentEncoder::default();
    let encoder = encoder.validate(true).module(&module(wit));
    encoder
        .expect("a module of the world")
        .encode()
        .expect("a component")
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("it is WAT")
}

fn printed(wasm: &[u8]) -> String {
    let contract = Contract::read(wasm).expect("there is a contract");
    contract.to_wit().expect("it can be printed")
}

#[track_caller]
fn refused(wasm: &[u8], code: &str, part: &str) {
    let error = Contract::read(wasm)
        .and_then(|it| it.to_wit())
        .expect_err("it is refused");
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

/// Returns the declaration in [`PRINTED`] that begins with `word`.
fn part(word: &str) -> &str {
    let start = PRINTED.find(&format!("    {word}")).expect("it is there");
    let rest = &PRINTED[start..];
    let end = rest.find("\n    }\n").expect("it has an end") + 7;
    &rest[..end]
}

#[test]
fn a_component_is_printed() {
    let wasm = component(WIT);
    assert!(is_component(&wasm));
    // wit-component writes resources first.
    let (record, resource) = (part("record"), part("resource"));
    let both = format!("{record}\n{resource}");
    let expected = PRINTED.replace("NAME", "component");
    assert_eq!(
        printed(&wasm),
        expected.replace(&both, &format!("{resource}\n{record}"))
    );
    let contract = Contract::read(&wasm).expect("there is a contract");
    assert_eq!(contract.name(), "root:component/root");
}

#[test]
fn a_core_module_with_a_contract_is_printed() {
    let wasm = module(WIT);
    assert!(!is_component(&wasm));
    let contract = Contract::read(&wasm).expect("there is a contract");
    assert_eq!(contract.name(), "demo:shapes/plugin@1.2.0");
    let types = part("record").replace("\n  ", "\n");
    let text = contract.to_wit().expect("it can be printed");
    assert!(text.starts_with("package demo:shapes@1.2.0;\n"), "{text}");
    assert!(text.contains(types.trim_start()), "{text}");
    assert!(text.ends_with("  export areas;\n}\n"), "{text}");
}

#[test]
fn a_core_module_may_have_its_contract_in_several_sections() {
    let mut wasm = module("package a:b; world one { import f: func(); }");
    let (resolve, _, world) = parse("package a:b; world two { export g: func() -> string; }");
    embed_component_metadata(&mut wasm, &resolve, world, StringEncoding::UTF8, false)
        .expect("the contract can be embedded");
    let text = printed(&wasm);
    assert!(
        text.contains("import f: func();") && text.contains("export g: func() -> string;"),
        "{text}"
    );
}

#[test]
fn a_package_is_read_from_its_binary_form() {
    let (resolve, package, _) = parse(WIT);
    let wasm = encode(&resolve, package, false).expect("a package can be encoded");
    let contract = Contract::read(&wasm).expect("there is a contract");
    assert_eq!(contract.name(), "demo:shapes/plugin@1.2.0");
    let text = contract.to_wit().expect("it can be printed");
    assert!(text.starts_with("package demo:shapes@1.2.0;\n"), "{text}");
    assert!(text.contains("world plugin {\n  import types;\n"), "{text}");
}

#[test]
fn a_package_of_several_worlds_is_printed_as_a_whole() {
    let (resolve, package) = {
        let mut resolve = Resolve::default();
        let wit = "package a:b; world one { } world two { import f: func(); }";
        let package = resolve.push_str("test.wit", wit).expect("it is WIT");
        (resolve, package)
    };
    let wasm = encode(&resolve, package, false).expect("a package can be encoded");
    assert_eq!(
        wit_of(&wasm).expect("it can be printed"),
        "package a:b;\n\nworld one {\n}\nworld two {\n  import f: func();\n}\n"
    );
    refused(&wasm, "unknown-world", "two");
    let two = Contract::read_world(&wasm, Some("two")).expect("it is there");
    assert_eq!(two.name(), "a:b/two");
    assert_eq!(
        wit_of(&component(WIT)).expect("it can be printed"),
        printed(&component(WIT))
    );
}

#[test]
fn the_printed_text_is_wit_and_prints_alike() {
    let text = printed(&component(WIT));
    let again = Contract::from_wit("again.wit", &text, None).expect("it is WIT");
    assert_eq!(again.to_wit().expect("it can be printed"), text);
}

#[test]
fn packages_are_printed_by_name_and_version() {
    let wit = "
        package q:q;
        package z:z { interface i { f: func(); } }
        package a:a@0.2.10 { interface i { f: func(); } }
        package a:a@0.1.9 { interface i { f: func(); } }
        world w { import z:z/i; import a:a/i@0.2.10; import a:a/i@0.1.9; }
    ";
    let contract = Contract::from_wit("it.wit", wit, None).expect("it is WIT");
    let text = contract.to_wit().expect("it can be printed");
    let packages = text.lines().filter(|line| line.starts_with("package"));
    let packages: Vec<_> = packages.collect();
    assert_eq!(
        packages,
        [
            "package q:q;",
            "package a:a@0.1.9 {",
            "package a:a@0.2.10 {",
            "package z:z {",
        ]
    );
}

#[test]
fn a_world_is_chosen_by_name() {
    let wit = "package a:b@1.0.0; world one { } world two { import f: func(); }";
    let named = |world| Contract::from_wit("it.wit", wit, world);
    assert_eq!(
        named(Some("two")).expect("it is there").name(),
        "a:b/two@1.0.0"
    );
    assert_eq!(
        named(Some("a:b/one@1.0.0")).expect("it is there").name(),
        "a:b/one@1.0.0"
    );
    for (world, part) in [(Some("three"), "three"), (None, "two")] {
        let error = named(world).expect_err("there is no such world");
        assert_eq!(error.code(), "unknown-world");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

#[test]
fn a_mistake_in_text_is_told_with_its_place() {
    let error = Contract::from_wit("it.wit", "package a:b;\nworld w { import f: fun(); }", None)
        .expect_err("it is no WIT");
    assert_eq!(error.code(), "invalid-wit");
    assert!(error.to_string().starts_with("it.wit:2:"), "{error}");
}

#[test]
fn files_and_directories_are_read() {
    let folder = std::env::temp_dir().join(format!("hostel-contract-{}", std::process::id()));
    let deps = folder.join("deps/other");
    std::fs::create_dir_all(&deps).expect("a directory can be made");
    let write =
        |path: std::path::PathBuf, text: &[u8]| std::fs::write(path, text).expect("written");
    write(
        folder.join("world.wit"),
        b"package a:b; world w { import c:d/other; }",
    );
    write(
        deps.join("other.wit"),
        b"package c:d; interface other { f: func(); }",
    );
    write(folder.join("plugin.wasm"), &component(WIT));
    write(folder.join("bytes"), b"\xff\xfe");
    let of = |name: &str| Contract::from_path(&folder.join(name), None);
    let directory = Contract::from_path(&folder, None).expect("a directory of WIT");
    assert_eq!(directory.name(), "a:b/w");
    assert_eq!(
        of("plugin.wasm").expect("a component").name(),
        "root:component/root"
    );
    assert_eq!(
        of("world.wit").expect_err("it lacks a package").code(),
        "invalid-wit"
    );
    assert_eq!(of("bytes").expect_err("no text").code(), "invalid-wit");
    assert_eq!(
        of("nothing").expect_err("no file").code(),
        "file-unreadable"
    );
    // No more is read than a contract may have.
    let too_large = |name: &str| {
        let error = of(name).expect_err("it has too many bytes");
        assert_eq!(error.code(), "contract-too-large", "{name}: {error}");
    };
    let long = std::fs::File::create(deps.join("long.wit")).expect("written");
    long.set_len(65 << 20).expect("it has a size");
    too_large("deps/other/long.wit");
    too_large("");
    #[cfg(unix)]
    {
        std::fs::remove_file(deps.join("long.wit")).expect("it is removed");
        std::os::unix::fs::symlink("/dev/zero", deps.join("endless.wit")).expect("a link");
        too_large("deps/other/endless.wit");
        assert_eq!(of("").expect_err("no file").code(), "file-unreadable");
    }
    std::fs::remove_dir_all(&folder).expect("the directory is removed");
}

#[test]
fn parts_are_listed_with_their_sizes() {
    let inner = "(component (core module (memory 1)))";
    let wasm = wat(&format!(
        r#"(component $outer
            (core module $first (func (export "f") (result i32) i32.const 1)
                (memory 1) (data (i32.const 0) "0123456789"))
            {inner}
            {inner})"#
    ));
    let parts = Parts::read(&wasm).expect("a component");
    assert_eq!((parts.components, parts.modules.len()), (2, 3));
    assert_eq!(parts.name.as_deref(), Some("outer"));
    let first = &parts.modules[0];
    assert_eq!(first.name.as_deref(), Some("first"));
    // One byte for the number of functions, one for the body's size, four for the body.
    assert_eq!(first.code_bytes, 6);
    assert!(first.data_bytes > 10 && first.custom_bytes > 0 && first.other_bytes > 0);
    let sections = first.code_bytes + first.data_bytes + first.custom_bytes + first.other_bytes;
    assert!(first.bytes > sections && first.bytes < sections + 64);
    assert_eq!(parts.modules[1].name, None);
}

#[test]
fn other_bytes_are_refused() {
    refused(b"", "not-wasm", "other bytes");
    refused(b"\0asm", "not-wasm", "other bytes");
    refused(b"package a:b;", "not-wasm", "other bytes");
    refused(&wat("(module)"), "no-contract", "component-type");
}

#[test]
fn a_component_cut_at_any_place_is_read_or_refused() {
    let wasm = component(WIT);
    let mut refused = 0;
    for end in 0..wasm.len() {
        match Contract::read(&wasm[..end]) {
            // Cut between two sections it is a component all the same.
            Ok(_) => {}
            Err(error) => {
                refused += 1;
                assert!(
                    matches!(error.code(), "not-wasm" | "invalid-contract"),
                    "{end}: {error}"
                );
            }
        }
    }
    assert!(refused > wasm.len() / 2);
}

#[test]
fn sections_with_other_contents_are_refused() {
    let with = |bytes: &[u8]| {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        let mut body = b"\x0ecomponent-type".to_vec();
        body.extend_from_slice(bytes);
        module.extend([0, u8::try_from(body.len()).expect("a short section")]);
        module.extend(body);
        module
    };
    refused(&with(b"\x03\0"), "invalid-contract", "before 2024");
    refused(&with(&wat("(component)")), "invalid-contract", "one world");
    refused(&with(&wat("(module)")), "invalid-contract", "");
    // What the decoder asserts: no imports, one export, and that of a component.
    for text in [
        r#"(component (type (component (import "a" (func)) (export "a:b/c" (component)))) (export "c" (type 0)))"#,
        r#"(component (type (component)) (export "c" (type 0)))"#,
        r#"(component (type (component (export "f" (func)))) (export "c" (type 0)))"#,
        r#"(component (type (func)) (export "c" (type 0)))"#,
    ] {
        refused(&with(&wat(text)), "invalid-contract", "one world");
    }
}

#[test]
fn packages_that_need_each_other_are_refused() {
    let changed = |wit: &str, from: &str, to: &str| {
        let mut module = module(wit);
        let at = |module: &[u8]| {
            module
                .windows(from.len())
                .rposition(|it| it == from.as_bytes())
        };
        let start = module
            .windows(14)
            .position(|it| it == b"component-type")
            .expect("a contract");
        let place = at(&module[start..]).expect("it is there") + start;
        module[place..place + to.len()].copy_from_slice(to.as_bytes());
        module
    };
    // The exported interface becomes one of another package, which uses a type of the world's.
    let wasm = changed(WIT, "demo:shapes/areas", "deso:shapes/areas");
    refused(&wasm, "not-in-wit", "packages that need each other");
}

#[test]
fn valid_components_that_the_decoder_panics_on_are_refused() {
    for (text, part) in [
        // A type that is none of values.
        (
            r#"(component (type $f (func)) (import "a:b/c" (instance (type $f (func)) (export "t" (type (eq $f))))))"#,
            "not a type of values",
        ),
        (
            r#"(component (type $c (component)) (import "t" (type (eq $c))))"#,
            "not a type of values",
        ),
        // An import that is exported again.
        (
            r#"(component (import "a:b/c" (instance $i (type $r (record (field "x" u8))) (export "r" (type (eq $r))))) (export "a:b/c" (instance $i)))"#,
            "declared twice",
        ),
        // One name for a record and for a resource, in what is one interface.
        (
            r#"(component
            (import "a:b/c" (instance (type $r (record (field "x" u8))) (export "r" (type (eq $r)))))
            (component $c (import "t" (type $t (sub resource))) (export "r" (type $t)))
            (type $res (resource (rep i32)))
            (instance $i (instantiate $c (with "t" (type $res))))
            (export "a:b/c" (instance $i)))"#,
            "declared twice",
        ),
        // A field of a number, and then of a list, in what is one interface.
        (
            r#"(component
            (import "a:b/c" (instance (type $l (list u8)) (type $r (record (field "x" $l))) (export "r" (type (eq $r)))))
            (type $r (record (field "x" u8)))
            (component $c (type $r (record (field "x" u8))) (export "r" (type $r)))
            (instance $i (instantiate $c))
            (export "a:b/c" (instance $i)))"#,
            "declared twice",
        ),
    ] {
        refused(&wat(text), "not-in-wit", part);
    }
}

#[test]
fn a_method_of_another_interfaces_resource_is_refused() {
    let text = r#"(component
        (import "a:b/c" (instance $i (export "r" (type (sub resource)))))
        (alias export $i "r" (type $r))
        (import "a:b/d" (instance
            (alias outer 1 $r (type $r))
            (export "r" (type $own (eq $r)))
            (export "[method]r.f" (func (param "self" (borrow $own)))))))"#;
    refused(&wat(text), "not-in-wit", "does not define");
}

#[test]
fn deep_types_are_refused() {
    let deep = |depth: usize| {
        let mut text = "(component (type $t0 u8)".to_owned();
        for index in 0..depth {
            write!(text, "(type $t{} (list $t{index}))", index + 1).expect("text grows");
        }
        write!(text, r#"(import "f" (func (param "it" $t{depth}))))"#).expect("text grows");
        wat(&text)
    };
    assert!(printed(&deep(97)).contains(&"list<".repeat(97)));
    refused(&deep(98), "invalid-contract", "nesting is too deep");
    refused(
        &deep(21_000),
        "contract-too-large",
        "20000 types, imports and exports allowed",
    );
}

#[test]
fn deep_types_in_text_are_refused() {
    let deep = |depth: usize| {
        let mut text = "package a:b; interface i { type t0 = u8;".to_owned();
        for index in 0..depth {
            write!(text, "type t{} = list<t{index}>;", index + 1).expect("text grows");
        }
        Contract::from_wit(
            "it.wit",
            &format!("{text} }} world w {{ export i; }}"),
            None,
        )
    };
    assert!(deep(100).expect("it is WIT").to_wit().is_ok());
    for depth in [101, 5_000] {
        assert_eq!(
            deep(depth).expect_err("it is deep").code(),
            "contract-too-large"
        );
    }
}

#[test]
fn types_that_explode_when_printed_are_refused() {
    let wide = |levels: usize, users: usize| {
        let mut text = "(component (type $t0 (tuple u8 u8))".to_owned();
        for index in 0..levels {
            write!(text, "(type $t{} (tuple $t{index} $t{index}))", index + 1).expect("text grows");
        }
        for user in 0..users {
            write!(text, r#"(import "f{user}" (func (param "it" $t{levels})))"#)
                .expect("text grows");
        }
        text.push(')');
        wat(&text)
    };
    printed(&wide(10, 1));
    refused(&wide(12, 40), "contract-too-large", "bytes of WIT");
    // wasmparser refuses a type of a million parts.
    refused(&wide(60, 1), "invalid-contract", "type size");
}

#[test]
fn types_that_explode_are_compared_once() {
    let mut wit = "package a:b; interface i { type t0 = tuple<u8, u8>;".to_owned();
    for index in 0..60 {
        write!(wit, "type t{} = tuple<t{index}, t{index}>;", index + 1).expect("text grows");
    }
    wit.push_str("f: func(it: t60); } world w { export i; }");
    let ours = Contract::from_wit("it.wit", &wit, None).expect("it is WIT");
    let theirs = wit.replace("tuple<u8, u8>", "tuple<u8, s8>");
    let theirs = Contract::from_wit("it.wit", &theirs, None).expect("it is WIT");
    assert_eq!(hostel_contract::check(&ours, &ours), []);
    let found = hostel_contract::check(&theirs, &ours);
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "export `a:b/i`, `t0`, element 1: expected `u8`, found `s8`: change it in the plugin to `u8`"
        ]
    );
    // Their types are made once too.
    let error = ours.parse_call("f(1)").expect_err("no tuple");
    assert_eq!(error.code(), "call-text");
}

#[test]
fn nested_components_are_limited() {
    let nested = |depth: usize| {
        wat(&format!(
            "{}{}",
            "(component ".repeat(depth),
            ")".repeat(depth)
        ))
    };
    printed(&nested(50));
    refused(
        &nested(51),
        "contract-too-large",
        "50 nested components allowed",
    );
    assert_eq!(
        Parts::read(&nested(51)).expect_err("it is too deep").code(),
        "contract-too-large"
    );
    let many = wat(&format!("(component {})", "(component)".repeat(1_000)));
    refused(
        &many,
        "contract-too-large",
        "1000 components and modules allowed",
    );
    assert_eq!(
        Parts::read(&many).expect_err("there are too many").code(),
        "contract-too-large"
    );
}

#[test]
fn ten_thousand_imports_are_read() {
    let many = |count: usize| {
        let imports = (0..count).map(|index| format!(r#"(import "f{index}" (func))"#));
        wat(&format!("(component {})", imports.collect::<String>()))
    };
    // Each is a type and an import.
    assert_eq!(printed(&many(9_000)).matches(": func();").count(), 9_000);
    let error = Contract::read(&many(20_001)).expect_err("there are too many");
    assert!(matches!(
        error,
        ReadError::TooLarge {
            limit: limits::DECLARATIONS,
            ..
        }
    ));
}

#[test]
fn changed_bytes_never_cause_a_panic() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).expect("it is below")
    };
    let rounds =
        std::env::var("HOSTEL_CONTRACT_ROUNDS").map_or(300, |text| text.parse().expect("a number"));
    let (resolve, package, _) = parse(WIT);
    let package = encode(&resolve, package, false).expect("a package can be encoded");
    let mut read = 0;
    for wasm in [component(WIT), module(WIT), package] {
        for _ in 0..rounds {
            let mut changed = wasm.clone();
            for _ in 0..=random(3) {
                let place = random(changed.len());
                match random(4) {
                    0 => changed[place] = u8::try_from(random(256)).expect("a byte"),
                    1 => changed[place] ^= 1 << random(8),
                    2 => {
                        let from = random(changed.len());
                        changed[place] = changed[from];
                    }
                    _ => changed[place] = changed[place].wrapping_add(1),
                }
            }
            match Contract::read(&changed).and_then(|it| it.to_wit()) {
                Ok(_) => read += 1,
                Err(ReadError::Fault) => panic!("the decoder panics on {changed:?}"),
                Err(_) => {}
            }
        }
    }
    assert!(read > 0);
}
