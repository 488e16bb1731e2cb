//! The limits of WASI commands, which a person runs, beside those of plugins.

use super::{Files, hostel, path};

/// Writes a module that calls its function `$work` as a command, or as the export `work`.
fn module(files: &Files, name: &str, body: &str) -> String {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            {body}
            (func (export "{name}") (call $work)))"#
    );
    let file = format!("{name}.wasm");
    files.file(&file, &wat::parse_str(text).expect("it is WAT"))
}

/// Runs `$work` as a command and as a plugin's function, and checks both exit codes.
#[track_caller]
fn both(body: &str, options: &[&str], command: i32, plugin: i32) -> [String; 2] {
    let files = Files::new();
    let as_command = module(&files, "_start", body);
    let as_plugin = module(&files, "work", body);
    let run = |arguments: &[&str], code| {
        let ended = hostel(&[&["run"], arguments, options].concat()).expect(code);
        ended.stderr
    };
    [
        run(&[&as_command], command),
        run(&[&as_plugin, "--call", "work"], plugin),
    ]
}

#[test]
fn a_command_nests_calls_ten_times_as_deep() {
    let body = |depth: u32| {
        format!(
            r"(func $deep (param $n i32) (param i64 i64 i64 i64) (result i64)
                (if (result i64) (local.get $n)
                    (then (i64.add (local.get 1) (call $deep (i32.sub (local.get $n) (i32.const 1))
                        (local.get 4) (local.get 3) (local.get 2) (local.get 1))))
                    (else (i64.const 0))))
            (func $work (drop (call $deep (i32.const {depth})
                (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4))))"
        )
    };
    both(&body(900), &[], 0, 0);
    let [_, plugin] = both(&body(9_900), &[], 0, 4);
    assert!(plugin.contains("--limit call_depth=N"), "{plugin}");
    both(
        &body(9_900),
        &["--limit", "call_depth=10K", "--limit", "stack_bytes=2MiB"],
        0,
        0,
    );
    let [command, _] = both(&body(11_000), &[], 4, 4);
    assert!(command.contains("--limit call_depth=N"), "{command}");
}

#[test]
fn a_command_has_a_gibibyte_of_memory() {
    let body = |pages: u32| {
        format!(
            "(func $work (if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1))
                (then (unreachable))))"
        )
    };
    both(&body(1_000), &[], 0, 0);
    both(&body(2_000), &[], 0, 4);
    both(&body(16_384), &[], 4, 4);
    both(&body(2_000), &["--memory", "100MiB"], 4, 4);
}

#[test]
fn a_command_works_until_its_time_is_up() {
    // One call of a host function more than a plugin may make.
    let body = "(func $work (local $i i32) (loop $on
        (drop (call $yield))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $on (i32.lt_u (local.get $i) (i32.const 1000001)))))";
    let [_, plugin] = both(body, &[], 0, 5);
    assert!(plugin.contains("--limit host_calls=N"), "{plugin}");
    both(body, &["--limit", "host_calls=2M"], 0, 0);
    both(body, &["--fuel", "1M"], 5, 5);
    let endless = "(func $work (loop $on (br $on)))";
    let [command, plugin] = both(endless, &["--timeout", "200ms"], 6, 6);
    assert!(command.contains("--timeout"), "{command}");
    assert!(plugin.contains("--timeout"), "{plugin}");
}

#[test]
fn a_command_may_be_a_large_module() {
    let files = Files::new();
    // In many small pieces, each at the start of the memory.
    let piece = format!(r#"(data (i32.const 0) "{}")"#, "x".repeat(60_000));
    let body = format!("{} (func $work)", piece.repeat(300));
    let as_command = module(&files, "_start", &body);
    let as_plugin = module(&files, "work", &body);
    hostel(&["run", &as_command]).expect(0);
    hostel(&["inspect", &as_command]).expect(0);
    let told = hostel(&["probe", &as_command, "--json"]).expect(0).json();
    assert_eq!(told["limits"]["module_bytes"], 128 << 20);
    assert_eq!(told["footprint"]["instances"], 1);
    hostel(&["probe", &as_command, "--limits", "server"]).expect(3);
    hostel(&["run", &as_plugin, "--call", "work"]).expect(3);
    hostel(&["inspect", &as_plugin]).expect(3);
    let ended = hostel(&["run", &as_command, "--limit", "module_bytes=1MiB"]).expect(3);
    assert!(
        ended.stderr.contains("limits allow 1048576"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_command_opens_256_files() {
    let files = Files::new();
    std::fs::write(files.path("in.txt"), "text").expect("a file can be written");
    let body = |count: u32| {
        format!(
            r#"(data (i32.const 0) "in.txt")
            (func $work (local $i i32) (local $errno i32) (loop $on
                (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 6)
                    (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64)))
                (if (local.get $errno) (then (unreachable)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $on (i32.lt_u (local.get $i) (i32.const {count})))))"#
        )
    };
    let root = files.path("");
    let dir = ["--dir", path(&root)];
    both(&body(64), &dir, 0, 0);
    both(&body(65), &dir, 0, 4);
    both(&body(256), &dir, 0, 4);
    both(&body(257), &dir, 4, 4);
    let more = [&dir[..], &["--limit", "open_files=300"]].concat();
    both(&body(257), &more, 0, 0);
}
