//! Manifests of Extism plugins: several modules, hashes, limits, settings, and what they ask for.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hostel::{
    Budget, CallError, Engine, Extism, Grants, Limits, Manifest, ManifestError, ManifestGrants,
    ManifestReason, Plugin, files::Access,
};
use hostel_tests::{assemble, code};
use std::{fs, path::Path, time::Duration};
use tempfile::TempDir;

/// Extism's functions, as imports.
const ENVIRONMENT: &str = r#"
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "load_u8" (func $load (param i64) (result i32)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (import "extism:host/env" "config_get" (func $config (param i64) (result i64)))
    (import "extism:host/env" "var_set" (func $set (param i64 i64)))
    (func $all (param i64) (call $output (local.get 0) (call $length (local.get 0))))"#;

/// A module with these items.
fn module(imports: &str, items: &str) -> String {
    format!("(module {imports} {ENVIRONMENT} {items})")
}

/// Supplies `shout`, which returns a block like that of a handle, in capital letters, and keeps the handle.
fn shouter() -> String {
    module(
        "",
        r#"(global $kept (mut i64) (i64.const 0))
        (func (export "shout") (param $from i64) (result i64) (local $to i64) (local $at i64)
          (global.set $kept (local.get $from))
          (local.set $to (call $alloc (call $length (local.get $from))))
          (loop $next
            (if (i64.lt_u (local.get $at) (call $length (local.get $from)))
              (then
                (call $store (i64.add (local.get $to) (local.get $at))
                  (i32.and (i32.const 0xdf) (call $load (i64.add (local.get $from) (local.get $at)))))
                (local.set $at (i64.add (local.get $at) (i64.const 1)))
                (br $next))))
          (local.get $to))
        (func (export "kept") (result i64) (global.get $kept))"#,
    )
}

/// Calls `shout` of `extism:host/user`.
fn caller() -> String {
    module(
        r#"(import "extism:host/user" "shout" (func $shout (param i64) (result i64)))
           (import "extism:host/user" "kept" (func $kept (result i64)))"#,
        r#"(func (export "f") (result i32) (call $all (call $shout (call $input))) (i32.const 0))
        (func (export "before") (result i32)
          ;; A handle of an earlier call, and one that was never given.
          (i32.wrap_i64 (i64.add
            (call $length (call $kept))
            (call $length (call $shout (i64.const 0x7fff_ffff_0000))))))
        (func (export "setting") (local $key i64)
          (local.set $key (call $alloc (i64.const 1)))
          (call $store (local.get $key) (i32.const 107))
          (call $all (call $config (local.get $key))))
        (func (export "keep") (local $key i64)
          (local.set $key (call $alloc (i64.const 1)))
          (call $set (local.get $key) (call $alloc (i64.const 100))))"#,
    )
}

/// A folder with the modules `shouter.wasm` and `caller.wasm`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("shouter", shouter()), ("caller", caller())] {
        fs::write(folder.path().join(format!("{name}.wasm")), assemble(&text)).unwrap();
    }
    folder
}

fn load(text: &str, folder: &Path) -> Result<Plugin, ManifestError> {
    let manifest = Manifest::parse(text, folder)?;
    manifest.load(
        &hostel::engine(),
        "plugin",
        Grants::new(),
        ManifestGrants::new(),
    )
}

const BOTH: &str = r#""wasm": [
    { "path": "shouter.wasm", "name": "extism:host/user" }, { "path": "caller.wasm", "name": "main" }]"#;

#[test]
fn json_and_toml_name_modules_by_path_data_and_hash() {
    let folder = folder();
    let data = BASE64.encode(assemble(&shouter()));
    let toml = format!(
        "timeout_ms = 5000\n[[wasm]]\ndata = '{data}'\nname = 'extism:host/user'\n[[wasm]]\npath = 'caller.wasm'\n"
    );
    let absolute = folder.path().join("caller.wasm").display().to_string();
    let absolute = format!(
        r#"{{"wasm": [{{"path": "shouter.wasm", "name": "extism:host/user"}}, {{"path": {absolute:?}}}]}}"#
    );
    for text in [&format!("\n {{ {BOTH} }}"), &toml, &absolute] {
        let plugin = load(text, folder.path()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(plugin.call_bytes("f", b"hello").unwrap(), b"HELLO");
        assert_eq!(plugin.call_arguments("f", &[b""]).unwrap(), b"");
    }
    // By itself, a module is the main one, whatever its name.
    let one = r#"{"wasm": [{"path": "shouter.wasm", "name": "x"}]}"#;
    let plugin = load(one, folder.path()).unwrap();
    assert!(plugin.info().export_named("shout").is_some());
    let file = folder.path().join("plugin.toml");
    fs::write(&file, &toml).unwrap();
    let manifest = Manifest::read(&file, &Limits::server()).unwrap();
    assert_eq!(
        manifest.module_names().collect::<Vec<_>>(),
        ["extism:host/user", "main"]
    );
}

#[test]
fn what_a_manifest_may_not_have_is_refused_with_its_place() {
    let folder = folder();
    let known = "expected one of `wasm`, `memory`, `config`, `allowed_hosts`, `allowed_paths`, `timeout_ms`";
    let module = |fields: &str| format!(r#"{{"wasm": [{{{fields}}}]}}"#);
    let hash = "0".repeat(64);
    let found = "expected the SHA-256 0000";
    for (text, code, expected) in [
        (
            "{\"wasn\": []}",
            "manifest",
            &*format!("unknown field `wasn`, {known} at line 1 column 7"),
        ),
        (
            "wasn = []",
            "manifest",
            &format!("unknown field `wasn`, {known} at line 1 column 1"),
        ),
        ("x", "manifest", "not a manifest: "),
        ("[]", "manifest", "not a manifest: "),
        (
            "{}",
            "manifest",
            "`wasm`: expected at least one module, found none",
        ),
        (
            &module(r#""path": "a", "sha": """#),
            "manifest",
            "unknown field `sha`, expected one of `path`, `data`, `url`",
        ),
        (
            r#"{"memory": {"pages": 1}}"#,
            "manifest",
            "unknown field `pages`, expected one of `max_pages`",
        ),
        (
            r#"{"config": {"k": 1}}"#,
            "manifest",
            "invalid type: integer `1`, expected a string",
        ),
        (r#"{"timeout_ms": -1}"#, "manifest", "-1"),
        (
            &module(r#""data": {"ptr": 4096, "len": 8}"#),
            "manifest",
            "an address in memory, which is never read",
        ),
        (
            "[[wasm]]\ndata = {ptr = 4096, len = 8}",
            "manifest",
            "an address in memory, which is never read",
        ),
        (
            &module(r#""data": "AA*A""#),
            "manifest",
            "`data of the module `main``: expected base64",
        ),
        (
            &module(r#""url": "https://example.com/a.wasm""#),
            "manifest",
            "`wasm[0].url`: modules are not fetched",
        ),
        (
            &module(r#""url": "u", "headers": {"a": "b"}, "method": "GET""#),
            "manifest",
            "`wasm[0].url`",
        ),
        (
            &module(r#""path": "a", "data": """#),
            "manifest",
            "`wasm[0].path`: expected either",
        ),
        (
            &module(r#""name": "a""#),
            "manifest",
            "`wasm[0].path`: expected `path` or `data`",
        ),
        (
            &module(r#""path": "a", "name": "extism:host/env""#),
            "manifest",
            "`wasm[0].name`",
        ),
        (
            &module(r#""path": "a", "hash": "ABC""#),
            "manifest",
            "`wasm[0].hash`: expected 64 lower-case",
        ),
        (
            &module(&format!(r#""path": "caller.wasm", "hash": "{hash}""#)),
            "manifest-hash",
            found,
        ),
        (
            &module(r#""path": "missing.wasm""#),
            "file-missing",
            "missing.wasm",
        ),
        (&module(r#""path": ".""#), "file-is-directory", ""),
        (&module(r#""data": """#), "empty-module", "empty"),
        (
            r#"{"wasm": [{"path": "shouter.wasm"}, {"path": "caller.wasm"}]}"#,
            "linking",
            "two are named `main`",
        ),
    ] {
        let error = load(text, folder.path()).map(drop).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(expected), "{text}: {message}");
        assert_eq!(error.code(), code, "{text}: {message}");
    }
    let many = vec![r#"{"path": "a"}"#; 65].join(",");
    let error = load(&format!(r#"{{"wasm": [{many}]}}"#), folder.path());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("a list of at most 64 items, found more")
    );
    let error = Manifest::from_bytes(b"a = '\xff'".to_vec(), "plugin.toml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "plugin.toml: not a manifest: it is not UTF-8, at byte 5"
    );
    let deep = format!("{{\"config\": {}", "[".repeat(100_000));
    assert_eq!(load(&deep, folder.path()).unwrap_err().code(), "manifest");
    let deep = format!("config = {}", "[".repeat(60_000));
    assert_eq!(load(&deep, folder.path()).unwrap_err().code(), "manifest");
}

#[test]
fn the_hash_of_the_right_module_fits() {
    let data = BASE64.encode(b"");
    let none = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text = format!(r#"{{"wasm": [{{"data": "{data}", "hash": "{none}"}}]}}"#);
    let modules = Manifest::parse(&text, "").unwrap();
    assert_eq!(
        modules.read_modules(0, &ManifestGrants::new()).unwrap(),
        [("main", vec![])]
    );
}

#[test]
fn manifests_and_modules_are_bounded_before_they_are_read() {
    let folder = folder();
    let size = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len() as usize;
    let all = size("shouter.wasm") + size("caller.wasm");
    let none = ManifestGrants::new();
    let data = BASE64.encode(fs::read(folder.path().join("caller.wasm")).unwrap());
    let by_data =
        format!(r#"{{"wasm": [{{"path": "shouter.wasm", "name": "a"}}, {{"data": "{data}"}}]}}"#);
    for text in [&format!("{{{BOTH}}}"), &by_data] {
        let manifest = Manifest::parse(text, folder.path()).unwrap();
        assert_eq!(manifest.read_modules(all, &none).unwrap().len(), 2);
        let error = manifest.read_modules(all - 1, &none).unwrap_err();
        assert_eq!(error.code(), "module-too-large", "{error}");
        assert!(
            error
                .to_string()
                .contains(&format!("{all} bytes, the limits allow {}", all - 1))
        );
    }
    let file = folder.path().join("plugin.json");
    fs::write(&file, format!("{{{BOTH}}}{}", " ".repeat(70_000))).unwrap();
    let mut limits = Limits::server();
    limits.module_bytes = 10_000;
    assert!(Manifest::read(&file, &limits).is_ok());
    let long = format!("[[wasm]]\npath = 'caller.wasm'\n#{}", " ".repeat(65_536));
    let error = load(&long, folder.path())
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("TOML may have 65536 bytes, found 65567"),
        "{error}"
    );
    let name = "x".repeat(100_000);
    let error = Manifest::parse(&format!("{{\"{name}\": 0}}"), "").unwrap_err();
    assert!(error.to_string().len() < 600, "{error}");
    assert!(
        error.to_string().ends_with("line 1 column 100003"),
        "{error}"
    );
    limits.module_bytes = 1_000;
    let error = Manifest::read(&file, &limits).unwrap_err();
    assert!(
        matches!(
            error.reason(),
            ManifestReason::TooLarge { limit: 67_536, .. }
        ),
        "{error}"
    );
}

#[test]
fn limits_narrow_those_of_the_embedder_and_never_widen_them() {
    let folder = folder();
    let with = |fields: &str, engine: &Engine, extism: Extism| {
        let manifest = Manifest::parse(&format!("{{ {BOTH}, {fields} }}"), folder.path()).unwrap();
        let permitted = ManifestGrants::new().extism(extism);
        manifest
            .load(engine, "plugin", Grants::new(), permitted)
            .unwrap()
    };
    let engine = hostel::engine();
    let plugin = with(
        r#""memory": {"max_pages": 3}, "timeout_ms": 70"#,
        &engine,
        Extism::new(),
    );
    assert_eq!(plugin.limits().memory_bytes, 3 << 16);
    assert_eq!(plugin.budget().deadline, Some(Duration::from_millis(70)));
    assert_eq!(plugin.budget().fuel, Budget::server().fuel);
    let tight = Budget::server().with_deadline(Duration::from_millis(9));
    let plugin = with(
        r#""memory": {"max_pages": 4294967295}, "timeout_ms": 18446744073709551615"#,
        &engine.clone().with_budget(tight),
        Extism::new(),
    );
    assert_eq!(plugin.limits(), &Limits::server());
    assert_eq!(plugin.budget().deadline, tight.deadline);

    let kept = |plugin: &Plugin| code(&plugin.call_bytes("keep", b""));
    let variables = |most: usize| format!(r#""memory": {{"max_var_bytes": {most}}}"#);
    assert_eq!(kept(&with(&variables(149), &engine, Extism::new())), "ok");
    assert_eq!(
        kept(&with(&variables(148), &engine, Extism::new())),
        "trap-host"
    );
    assert_eq!(
        kept(&with(&variables(0), &engine, Extism::new())),
        "trap-host"
    );
    let none = Extism::new().variable_bytes(0);
    assert_eq!(kept(&with(&variables(1 << 30), &engine, none)), "trap-host");
    // Blocks count as memory.
    let plugin = with(r#""memory": {"max_pages": 1}"#, &engine, Extism::new());
    let mut instance = plugin.instantiate(()).unwrap();
    let long = vec![b'a'; 40_000];
    let answer = instance.call_bytes("f", &long, <[u8]>::to_vec);
    // `alloc` has returned 0, and the module goes on without a block.
    assert_eq!(answer.unwrap(), b"");
}

#[test]
fn settings_of_the_embedder_come_before_those_of_the_manifest() {
    let folder = folder();
    let text = format!(r#"{{ {BOTH}, "config": {{"k": "of the manifest", "l": "x"}} }}"#);
    let manifest = Manifest::parse(&text, folder.path()).unwrap();
    assert_eq!(manifest.config().len(), 2);
    let setting = |extism: Extism| {
        let permitted = ManifestGrants::new().extism(extism);
        let plugin = manifest
            .load(&hostel::engine(), "p", Grants::new(), permitted)
            .unwrap();
        plugin.call_bytes("setting", b"").unwrap()
    };
    assert_eq!(setting(Extism::new()), b"of the manifest");
    assert_eq!(setting(Extism::new().config([("k", "own")])), b"own");
}

#[test]
fn handles_of_other_modules_and_calls_are_no_blocks() {
    let folder = folder();
    let plugin = load(&format!("{{{BOTH}}}"), folder.path()).unwrap();
    let mut instance = plugin.instantiate(()).unwrap();
    let copied = |answer: &[u8]| answer.to_vec();
    assert_eq!(instance.call_bytes("f", b"abc", copied).unwrap(), b"ABC");
    // It returns the sum of their lengths, and 0 is no error.
    assert_eq!(instance.call_bytes("before", b"", copied).unwrap(), b"");
}

/// Opens the file `f` in the first directory for reading or writing, and returns the errno.
const OPENER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "extism:host/env" "input_length" (func $input (result i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "f")
    (func (export "open") (result i32)
      ;; With input it creates the file, for the right to write.
      (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1)
        (i32.wrap_i64 (call $input))
        (select (i64.const 2) (i64.const 64) (i64.eqz (call $input)))
        (i64.const 0) (i32.const 0) (i32.const 16))))"#;

#[test]
fn directories_are_opened_only_where_the_embedder_permits_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("f"), "").unwrap();
    fs::write(folder.path().join("opener.wasm"), assemble(OPENER)).unwrap();
    let manifest = |path: &str| {
        let text = format!(
            r#"{{"wasm": [{{"path": "opener.wasm"}}], "allowed_paths": {{{path:?}: "/data"}}}}"#
        );
        Manifest::parse(&text, folder.path()).unwrap()
    };
    let load = |path: &str, permitted: ManifestGrants| {
        manifest(path).load(&hostel::engine(), "p", Grants::new(), permitted)
    };
    let none = load("data", ManifestGrants::new()).unwrap_err();
    assert_eq!(none.code(), "manifest-directory");
    assert!(
        none.to_string()
            .contains("the directory `data` is not permitted"),
        "{none}"
    );
    let permit = |path: &Path, access: Access| ManifestGrants::new().directory(path, access);
    let opened = |plugin: Result<Plugin, ManifestError>, input: &[u8]| match plugin
        .unwrap()
        .call_bytes("open", input)
    {
        Ok(_) => String::from("ok"),
        Err(CallError::Guest { message }) => message.to_string(),
        Err(error) => panic!("{error}"),
    };
    let read_only = "it returned the code 69, and set no error text";
    for (path, permitted, expected) in [
        ("data", permit(folder.path(), Access::ReadWrite), "ok"),
        ("data", permit(&data, Access::ReadWrite), "ok"),
        ("ro:data", permit(&data, Access::ReadWrite), read_only),
        ("data", permit(&data, Access::Read), read_only),
        ("data", ManifestGrants::new().all_directories(), "ok"),
        (
            "ro:data",
            ManifestGrants::new().all_directories(),
            read_only,
        ),
        (
            "data",
            permit(&data, Access::Read).directory(folder.path(), Access::ReadWrite),
            "ok",
        ),
    ] {
        let reading = load(path, permitted);
        let permitted = reading
            .as_ref()
            .map(|plugin| plugin.call_bytes("open", b"").map(drop));
        assert_eq!(permitted.unwrap(), Ok(()), "{path}");
        assert_eq!(opened(reading, b"+"), expected, "{path}");
    }
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    for path in [
        "data/..",
        ".",
        "data/../other",
        "missing",
        &other.display().to_string(),
    ] {
        let refused = load(path, permit(&data, Access::ReadWrite)).unwrap_err();
        assert_eq!(refused.code(), "manifest-directory", "{path}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&other, data.join("link")).unwrap();
        let refused = load("data/link", permit(&data, Access::ReadWrite)).unwrap_err();
        assert!(refused.to_string().contains("not permitted"), "{refused}");
    }
    // WASI itself is not granted to a plugin that names no directory.
    let bare = Manifest::parse(r#"{"wasm": [{"path": "opener.wasm"}]}"#, folder.path()).unwrap();
    let refused = bare.load(&hostel::engine(), "p", Grants::new(), ManifestGrants::new());
    assert_eq!(refused.unwrap_err().code(), "mismatch");
}

#[test]
fn modules_are_read_only_in_the_manifests_folder_or_where_the_embedder_permits() {
    let folder = folder();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::copy(
        folder.path().join("shouter.wasm"),
        inner.join("shouter.wasm"),
    )
    .unwrap();
    let outside = folder.path().join("shouter.wasm").display().to_string();
    let wrong = "0".repeat(64);
    let load = |path: &str, permitted: ManifestGrants| {
        let text = format!(r#"{{"wasm": [{{"path": {path:?}, "hash": "{wrong}"}}]}}"#);
        let manifest = Manifest::parse(&text, &inner).unwrap();
        let loaded = manifest.load(&hostel::engine(), "p", Grants::<()>::new(), permitted);
        loaded.unwrap_err()
    };
    // One that is read is refused by its hash.
    for path in ["shouter.wasm", "./shouter.wasm", "../inner/shouter.wasm"] {
        assert_eq!(
            load(path, ManifestGrants::new()).code(),
            "manifest-hash",
            "{path}"
        );
    }
    for path in ["../shouter.wasm", &outside] {
        let refused = load(path, ManifestGrants::new());
        assert_eq!(refused.code(), "manifest-outside", "{refused}");
        assert!(refused.to_string().contains(path), "{refused}");
        for permitted in [
            ManifestGrants::new().all_directories(),
            ManifestGrants::new().directory(folder.path(), Access::Read),
        ] {
            assert_eq!(load(path, permitted).code(), "manifest-hash", "{path}");
        }
        let other = ManifestGrants::new().directory(&inner, Access::ReadWrite);
        assert_eq!(load(path, other).code(), "manifest-outside", "{path}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&outside, inner.join("link.wasm")).unwrap();
        let refused = load("link.wasm", ManifestGrants::new());
        assert_eq!(refused.code(), "manifest-outside", "{refused}");
    }
    // A file that is no module does not tell its hash, wherever it is.
    fs::write(inner.join("secret"), "a secret").unwrap();
    let refused = load("secret", ManifestGrants::new());
    assert_eq!(refused.code(), "not-wasm", "{refused}");
    assert!(
        refused
            .to_string()
            .contains("secret: not a WebAssembly module"),
        "{refused}"
    );
    assert!(!refused.to_string().contains("SHA"), "{refused}");
}

#[test]
fn cycles_endless_starts_and_sums_over_the_limit_end_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let add = |name: &str, text: &str| {
        fs::write(folder.path().join(name), assemble(text)).unwrap();
    };
    add(
        "a.wasm",
        r#"(module (import "b" "f" (func)) (func (export "f")))"#,
    );
    add(
        "b.wasm",
        r#"(module (import "a" "f" (func)) (func (export "f")))"#,
    );
    add(
        "spin.wasm",
        r#"(module (memory 2) (func $s (loop (br 0))) (start $s) (func (export "f")))"#,
    );
    let named = |modules: &[&str], more: &str| {
        let modules = modules
            .iter()
            .map(|name| format!(r#"{{"path": "{name}.wasm", "name": "{name}"}}"#));
        format!(
            r#"{{"wasm": [{}]{more}}}"#,
            modules.collect::<Vec<_>>().join(",")
        )
    };
    let cycle = load(&named(&["a", "b"], ""), folder.path()).unwrap_err();
    assert_eq!(cycle.code(), "linking");
    assert!(cycle.to_string().contains("`a` → `b` → `a`"), "{cycle}");
    add(
        "uses.wasm",
        r#"(module (import "spin" "f" (func)) (memory 2) (func (export "f")))"#,
    );
    let plugin = load(
        &named(&["spin", "uses"], r#", "timeout_ms": 50"#),
        folder.path(),
    )
    .unwrap();
    assert_eq!(code(&plugin.call_bytes("f", b"")), "deadline");
    let over = load(
        &named(&["spin", "uses"], r#", "memory": {"max_pages": 3}"#),
        folder.path(),
    );
    assert_eq!(over.unwrap_err().code(), "over-limit");
    // A manifest is no module.
    fs::write(
        folder.path().join("self.json"),
        r#"{"wasm": [{"path": "self.json"}]}"#,
    )
    .unwrap();
    let own = Manifest::read(folder.path().join("self.json"), &Limits::server()).unwrap();
    let loaded = own.load(
        &hostel::engine(),
        "p",
        Grants::<()>::new(),
        ManifestGrants::new(),
    );
    assert_eq!(loaded.unwrap_err().code(), "not-wasm");
}
