//! `hostel probe`.

use super::{Ended, Files, guest, hostel};
use serde_json::{Value, json};

/// Returns the lines of stdout, with one space between words.
fn lines(ended: &Ended) -> Vec<String> {
    let lines = ended.text().lines();
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Writes a module that the limits of a device refuse for several reasons. Its two functions have
/// `locals`.
fn refused(files: &Files, locals: [usize; 2]) -> String {
    let [first, second] = locals.map(|count| "i32 ".repeat(count));
    files.wat(&format!(
        r#"(module
            (import "env" "log" (func (param i32 i32)))
            (import "e\n\1b[2J" "open" (func))
            (import "env" "host_get_config" (func (param i32 i32) (result i64)))
            (memory (export "memory") 3 5)
            (table 1000 funcref)
            (func (local {first}))
            (func (local {second}) (drop (memory.grow (i32.const 1))))
            (func (export "process")))"#
    ))
}

#[test]
fn a_plugin_that_can_run() {
    let customize = guest("customize");
    let ended = hostel(&["probe", &customize]).expect(0);
    assert_eq!(ended.stderr, "");
    let found = lines(&ended);
    for line in [
        "can run yes, it compiles and stays within the limits",
        "needs grants config, log",
        "memory to run at most",
        "linear memory 64.0 KiB 64.0 MiB",
    ] {
        assert!(found.iter().any(|found| found == line), "{found:?}");
    }
    assert!(ended.text().lines().skip(1).all(|line| line.len() < 80));

    let ended = hostel(&["probe", &customize, "--json"]).expect(0);
    let told = ended.json();
    assert_eq!(told["path"], *customize);
    let size = std::fs::metadata(&customize).expect("it is there").len();
    assert_eq!(told["bytes"], size);
    assert_eq!((&told["can_run"], &told["code"]), (&json!(true), &json!(0)));
    assert_eq!(
        (&told["error"], &told["refusals"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(told["all_refusals"], true);
    assert_eq!(told["grants"], json!(["config", "log"]));
    assert_eq!(told["limits"]["memory_bytes"], 64 << 20);
    assert_eq!(told["limits"]["locals"], 2_000);
    let footprint = &told["footprint"];
    let number = |value: &Value| value.as_u64().expect("a number");
    let instance = &footprint["instance"];
    assert_eq!(instance["memory_at_start"], 65_536);
    assert_eq!(instance["memory_at_most"], 64 << 20);
    let sum: u64 = [
        "memory_at_most",
        "memory_growth",
        "tables",
        "globals",
        "stacks",
        "overhead",
    ]
    .map(|part| number(&instance[part]))
    .iter()
    .sum();
    assert_eq!(instance["at_most"], sum);
    let [plugin, kept] = ["plugin", "kept"].map(|part| number(&footprint[part]));
    // Four idle instances, and the image that instances are reset from.
    let idle = number(&instance["at_start"]);
    assert_eq!(kept, 4 * idle + 65_536);
    assert_eq!(footprint["total"], plugin + kept + 16 * sum);
}

#[test]
fn every_guest_can_run_with_the_grants_that_it_needs() {
    let with_wasi = |name: &str| {
        name.starts_with("wasi_") || name.starts_with("libc_") || name.starts_with("go_")
    };
    let prebuilt = std::path::PathBuf::from(guest("add"));
    let prebuilt = prebuilt.parent().expect("it is in a directory");
    let mut count = 0;
    for entry in std::fs::read_dir(prebuilt).expect("the guests are there") {
        let path = entry.expect("the guests are there").path();
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        count += 1;
        let name = path.file_name().expect("it has a name").to_string_lossy();
        let path = super::path(&path);
        if name == "extism_ask.wasm" {
            // It calls a function that only an embedder can supply.
            let told = hostel(&["probe", path]).expect(3);
            assert!(
                told.stderr.contains("`extism:host/user.lookup`"),
                "{}",
                told.stderr
            );
            continue;
        }
        // The tours call a function of the README's shop.
        let stub: &[&str] = match name.contains("tour") {
            true => &["--stub", "shop.price"],
            false => &[],
        };
        let with = |command| [&[command, path, "--json"][..], stub].concat();
        let told = hostel(&with("probe")).expect(0).json();
        let loads = hostel(&with("inspect")).expect(0).json();
        assert_eq!(
            (&told["can_run"], &loads["loads"]),
            (&json!(true), &json!(true))
        );
        let grants = told["grants"].as_array().expect("an array");
        let needs = |grant: &str| grants.contains(&json!(grant));
        assert_eq!(needs("wasi"), with_wasi(&name), "{name}: {told}");
        let has_state = name.contains("counter") || name.contains("tour");
        assert_eq!(needs("state"), has_state, "{name}: {told}");
        let for_other_host = ["extism", "wapc", "typst"].map(|convention| {
            let made_for_it = name.contains(convention);
            assert_eq!(needs(convention), made_for_it, "{name}: {told}");
            made_for_it
        });
        let customizes = name.contains("customize") && for_other_host == [false; 3];
        let has_settings = customizes || name.contains("tour");
        assert_eq!(needs("config"), has_settings, "{name}: {told}");
        assert!(needs("log") || !customizes, "{name}: {told}");
    }
    assert!(count > 25, "{count} guests");
    let ended = hostel(&["probe", &guest("wasi_rust_report")]).expect(0);
    assert!(lines(&ended).contains(&"needs grants wasi".to_owned()));
}

#[test]
fn memory_is_told_for_the_limits_given() {
    let files = Files::new();
    let module = |memory: &str, grow: &str| {
        files.wat(&format!(
            r#"(module (memory {memory}) (func (export "f") {grow}))"#
        ))
    };
    let grow = "(drop (memory.grow (i32.const 1)))";
    for (memory, code, limit, most) in [
        ("1", grow, "memory_bytes=192KiB", 3 << 16),
        ("1", grow, "memory_bytes=196_608", 3 << 16),
        ("1", "", "memory_bytes=192KiB", 1 << 16),
        ("1 2", grow, "memory_bytes=192KiB", 2 << 16),
        // A quarter of the heap is the limit of memory.
        ("1", grow, "instances=7", 4 << 16),
    ] {
        let plugin = module(memory, code);
        let device = [
            "probe", &plugin, "--json", "--limits", "device", "--heap", "1MiB", "--limit", limit,
        ];
        let told = hostel(&device).expect(0).json();
        let footprint = &told["footprint"];
        assert_eq!(
            footprint["instance"]["memory_at_most"], most,
            "{memory} {limit}"
        );
        let instances = if limit == "instances=7" { 7 } else { 1 };
        assert_eq!(footprint["instances"], instances);
        assert_eq!(told["limits"]["instances"], instances);
        assert_eq!(told["grants"], json!([]));
    }
}

#[test]
fn all_that_refuses_a_plugin_is_told() {
    let files = Files::new();
    let plugin = refused(&files, [300, 400]);
    let ended = hostel(&["probe", &plugin, "--limits", "device"]).expect(3);
    let found = lines(&ended);
    for line in [
        "can run no",
        "needs grants config, 2 imports that the embedder supplies",
        "linear memory 192.0 KiB 192.0 KiB",
    ] {
        assert!(found.iter().any(|found| found == line), "{found:?}");
    }
    let mut told = ended.stderr.lines();
    let first = told.next().expect("an error");
    assert!(first.starts_with("error: can't run ") && first.ends_with(": 7 problems"));
    let details: Vec<_> = told.collect();
    let expected = [
        "  limit `locals`: 256 allowed, 400 found",
        "  limit `memory_bytes`: 65536 allowed, 196608 found",
        "  limit `table_elements`: 512 allowed, 1000 found",
        "  import `env.log` (i32, i32) -> (): nothing supplies it; the nearest known name is `env.host_log`",
        "  import `e\\n\\u{1b}[2J.open` () -> (): nothing supplies it; granted are: `env.host_get_config`, \
         `env.host_http_request`, `env.host_log`, `env.host_log_at`, `env.host_log_message`, `env.host_state_delete`, `env.host_state_get`, `env.host_state_list`, \
         `env.host_state_set`",
        "  export `process`: expected (i32, i32) -> (i32, i32) or (i32, i32) -> i64 or (i32, i32, i32) -> (), found () -> ()",
        "  export `allocate` is missing: expected (i32) -> i32, as `allocate` or `malloc`; the result of `env.host_get_config` needs a buffer",
        "hint: raise the limits with --limit locals=400 --limit memory_bytes=196608 --limit table_elements=1000",
    ];
    assert_eq!(details, expected);

    let told = hostel(&["probe", &plugin, "--limits", "device", "--json"])
        .expect(3)
        .json();
    assert_eq!(
        (&told["can_run"], &told["code"]),
        (&json!(false), &json!(3))
    );
    assert_eq!(told["error"]["code"], "over-limit");
    assert_eq!(told["all_refusals"], true);
    let refusals = told["refusals"].as_array().expect("an array");
    assert_eq!(refusals.len(), 7);
    assert_eq!(refusals[0]["cap"], "locals");
    assert_eq!(
        (&refusals[0]["limit"], &refusals[0]["found"]),
        (&json!(256), &json!(400))
    );
    assert_eq!(
        (&refusals[3]["code"], &refusals[3]["cap"]),
        (&json!("mismatch"), &Value::Null)
    );

    // With higher limits, only the mismatches are left.
    let allowed = ["locals=400", "memory_bytes=192KiB", "table_elements=1000"];
    let allowed = allowed.iter().flat_map(|limit| ["--limit", limit]);
    let arguments: Vec<_> = ["probe", &plugin, "--limits=device"]
        .into_iter()
        .chain(allowed)
        .collect();
    let ended = hostel(&arguments).expect(3);
    assert!(
        ended.stderr.contains("4 problems with imports and exports"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("limit"), "{}", ended.stderr);
}

#[test]
fn a_module_too_large_for_a_device_is_looked_at() {
    let files = Files::new();
    let data = "x".repeat(70_000);
    let plugin = files.wat(&format!(
        r#"(module (memory 2) (data (i32.const 0) "{data}") (func (export "f")))"#
    ));
    let ended = hostel(&["probe", &plugin, "--limits", "device"]).expect(3);
    for words in [
        "limit `module_bytes`: 65536 allowed, 70",
        "limit `memory_bytes`: ",
    ] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn what_hides_the_rest_is_told_as_that() {
    let files = Files::new();
    let locals = "i32 ".repeat(300);
    let body = "(drop (table.grow (ref.null func) (i32.const 1)))";
    let plugin = files.wat(&format!(
        r#"(module (memory 1) (table 1 funcref) (func (local {locals}))
            (func (export "f") {body}) (func (local {locals} {locals})))"#
    ));
    let device = ["probe", &plugin, "--limits", "device"];
    let ended = hostel(&device).expect(3);
    for words in [
        ": 2 problems",
        "300 found",
        "grow",
        "hint: the last problem may hide others",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    let told = hostel(&[&device[..], &["--json"]].concat())
        .expect(3)
        .json();
    assert_eq!(told["all_refusals"], false);
}

#[test]
fn what_a_plugin_takes_on_a_device_is_told_on_the_desk() {
    let plugin = guest("small_filter");
    let take = |target: &str, more: &[&str], code| {
        let told = hostel(&[&["probe", &plugin, "--json", "--target", target], more].concat());
        told.expect(code).json()
    };
    let total = |told: &Value| told["footprint"]["to_run"].as_u64().expect("a number");
    let server = take("server", &["--limits", "device"], 0);
    for target in ["cortex-m3", "cortex-m4", "cortex-m33", "riscv32imac"] {
        let told = take(target, &[], 0);
        assert_eq!(told["limits"]["heap_bytes"], 256 << 10);
        assert_eq!(told["footprint"]["instance"]["memory_at_most"], 1_568);
        assert!(total(&told) < total(&server), "{target}: {told}");
    }
    assert_eq!(take("server", &[], 0)["limits"]["heap_bytes"], Value::Null);

    let heap = total(&take("cortex-m4", &["--heap", "32KiB"], 0));
    let exact = format!("heap_bytes={heap}");
    take("cortex-m4", &["--heap", "32KiB", "--limit", &exact], 0);
    let less = format!("heap_bytes={}", heap - 1);
    let told = take("cortex-m4", &["--heap", "32KiB", "--limit", &less], 3);
    assert_eq!(told["error"]["code"], "does-not-fit");
    let refusal = &told["refusals"][0];
    assert_eq!(refusal["cap"], "heap_bytes");
    assert_eq!(refusal["limit"], heap - 1);
    assert_eq!(refusal["found"], heap);
    let told = told["error"]["details"][0].as_str().expect("a text");
    assert_eq!(
        told,
        format!("limit `heap_bytes`: {} allowed, {heap} found", heap - 1)
    );
}

#[test]
fn faults_in_function_bodies_are_found() {
    let module = b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x04\x01\x02\0\x0b";
    let files = Files::new();
    let file = files.file("body.wasm", module);
    let told = hostel(&["probe", &file, "--json"]).expect(3).json();
    assert_eq!(told["error"]["code"], "invalid-module", "{told}");
    assert_eq!(told["refusals"][0]["code"], "invalid-module");
    assert!(told["footprint"]["total"].is_u64());
}

#[cfg(unix)]
#[test]
fn names_forge_no_message() {
    let files = Files::new();
    let plugin = refused(&files, [1, 1]);
    let odd = files.path("a\nerror: \x1b[2J.wasm");
    std::fs::rename(plugin, &odd).expect("a file can be renamed");
    let ended = hostel(&["probe", super::path(&odd)]).expect(3);
    let printed = format!("{}{}", ended.text(), ended.stderr);
    assert!(printed.contains("a\\nerror: \\u{1b}[2J.wasm"), "{printed}");
    assert!(!printed.chars().any(|c| c != '\n' && c.is_control()));
    let ended = hostel(&["probe", "--json", super::path(&odd)]).expect(3);
    assert!(!ended.text().trim_end().chars().any(char::is_control));
}

#[test]
fn a_heap_is_that_of_any_preset() {
    let plugin = guest("small_filter");
    for limits in ["server", "device", "command"] {
        let probe = ["probe", &plugin, "--json", "--limits", limits, "--heap"];
        let told = hostel(&[&probe[..], &["16MiB"]].concat()).expect(0).json();
        assert_eq!(told["limits"]["heap_bytes"], 16 << 20, "{limits}");
        let ended = hostel(&[&probe[..], &["16KiB"]].concat()).expect(3);
        let told = ended.json()["refusals"].clone();
        let told = told
            .as_array()
            .and_then(|all| all.last())
            .expect("a heap that is too small");
        assert_eq!(told["code"], "does-not-fit", "{limits}: {told}");
        assert_eq!(told["limit"], 16 << 10, "{limits}: {told}");
    }
}

#[test]
fn a_proposal_that_a_module_needs_is_named_beside_what_else_is_in_it() {
    let files = Files::new();
    for (proposal, function) in [
        (
            "relaxed-simd",
            "(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))",
        ),
        ("tail-call", "(func $g (return_call $g))"),
        ("exception-handling", "(func try catch_all end)"),
        ("threads", "(func (drop (i32.atomic.load (i32.const 0))))"),
        ("multi-memory", "(memory 1)"),
        ("gc", "(type (struct))"),
    ] {
        let plugin = files.wat(&format!(
            r#"(module (import "env" "host_log" (func (param i32 i32)))
                (memory (export "memory") 1) {function}
                (func (export "found") (param i64) (result f32) (f32.const 1)))"#
        ));
        let says = format!("needs the proposal `{proposal}`");
        let ended = hostel(&["inspect", &plugin]).expect(3);
        assert!(ended.text().contains("(i64) -> f32"), "{}", ended.text());
        assert!(ended.text().contains("grant `log`"), "{}", ended.text());
        assert!(ended.stderr.contains(&says), "{}", ended.stderr);
        let hint = ended.stderr.lines().last().expect("there is a hint");
        assert!(hint.starts_with("hint: "), "{hint}");
        for command in ["inspect", "probe", "run"] {
            let told = hostel(&[command, &plugin, "--json"]).expect(3).json();
            assert_eq!(told["error"]["code"], "needs-proposal", "{command}: {told}");
        }
        let ended = hostel(&["probe", &plugin]).expect(3);
        assert!(ended.stderr.contains(&says), "{}", ended.stderr);
    }
}
