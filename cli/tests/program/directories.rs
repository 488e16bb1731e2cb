//! `hostel run --dir`: directories of this machine for WASI plugins.

use super::{Files, hostel, hostel_with_stdin, path};
use std::fs;

const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $name (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "in.txt") (data (i32.const 16) "made")
    (data (i32.const 72) "\80\00\00\00\64\00\00\00")
    (func $in (result i32) (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 6)
        (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64)))
    (func $make (param $fd i32) (result i32) (call $open (local.get $fd) (i32.const 0) (i32.const 16)
        (i32.const 4) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 64)))"#;

/// Returns a command that prints `in.txt` of the first directory and creates `made` in the last of
/// `count` directories. Its exit code is the error number of the step that failed.
fn command(files: &Files, count: u32) -> String {
    let last = 2 + count;
    files.wat(&format!(
        r#"(module {IMPORTS}
        (func (export "_start") (local $errno i32)
            (local.set $errno (call $in))
            (if (local.get $errno) (then (call $exit (local.get $errno))))
            (drop (call $read (i32.load (i32.const 64)) (i32.const 72) (i32.const 1) (i32.const 80)))
            (i32.store (i32.const 76) (i32.load (i32.const 80)))
            (drop (call $write (i32.const 1) (i32.const 72) (i32.const 1) (i32.const 80)))
            (call $exit (call $make (i32.const {last})))))"#
    ))
}

/// Returns two directories, the first of which contains `in.txt`.
fn files() -> (Files, String, String) {
    let files = Files::new();
    let [one, two] = ["one", "two"].map(|name| {
        let directory = files.path(name);
        fs::create_dir(&directory).expect("it is new");
        path(&directory).to_owned()
    });
    fs::write(files.path("one/in.txt"), "as it is\n").expect("it is new");
    (files, one, two)
}

#[test]
fn a_command_sees_what_it_is_given() {
    let (files, one, two) = files();
    let plugin = command(&files, 1);
    // EBADF: no directory is granted.
    hostel(&["run", &plugin]).expect(8);
    // EROFS: the directory is read-only.
    for dir in [
        one.clone(),
        format!("{one}:/data"),
        format!("{one}:/data:ro"),
    ] {
        let ended = hostel(&["run", &plugin, "--dir", &dir]).expect(69);
        assert_eq!((ended.text(), &*ended.stderr), ("as it is\n", ""), "{dir}");
        assert!(!files.path("one/made").exists());
    }
    for dir in [format!("{one}:rw"), format!("{one}:/data:rw")] {
        let ended = hostel(&["run", &plugin, "--dir", &dir]).expect(0);
        assert_eq!(ended.text(), "as it is\n");
        fs::remove_file(files.path("one/made")).expect("it was made");
    }
    // ENOENT.
    hostel(&["run", &plugin, "--dir", &two]).expect(44);
    let plugin = command(&files, 2);
    let (first, second) = (format!("{one}:/in"), format!("{two}:/out:rw"));
    hostel(&["run", &plugin, "--dir", &first, "--dir", &second]).expect(0);
    assert!(files.path("two/made").exists());
}

#[test]
fn a_directory_has_the_name_that_it_is_given() {
    let (files, one, _) = files();
    let plugin = files.wat(&format!(
        r#"(module {IMPORTS}
        (func (export "_start")
            (drop (call $name (i32.const 3) (i32.const 128) (i32.const 100)))
            (drop (call $write (i32.const 1) (i32.const 72) (i32.const 1) (i32.const 80)))))"#
    ));
    for (dir, name) in [
        (one.clone(), &*one),
        (format!("{one}:/data"), "/data"),
        (format!("{one}:.:rw"), "."),
    ] {
        let ended = hostel(&["run", &plugin, "--dir", &dir]).expect(0);
        // The command prints zeros after the name.
        assert_eq!(ended.text().trim_end_matches('\0'), name);
    }
}

#[test]
fn a_reactor_has_directories_too() {
    let (files, one, _) = files();
    let plugin = files.wat(&format!(
        r#"(module {IMPORTS}
        (global $errno (mut i32) (i32.const -1))
        (func (export "_initialize") (global.set $errno (call $in)))
        (func (export "started") (result i32) (global.get $errno))
        (func (export "make") (result i32) (call $make (i32.const 3))))"#
    ));
    let run = |name, dir: &str| {
        let ended = hostel(&["run", &plugin, "--call", name, "--dir", dir]).expect(0);
        ended.text().trim_end().to_owned()
    };
    assert_eq!(run("started", &one), "0");
    assert_eq!(run("make", &one), "69");
    assert_eq!(run("make", &format!("{one}:/:rw")), "0");
    assert!(files.path("one/made").exists());
}

#[test]
fn streams_and_json_are_as_without() {
    let (files, one, _) = files();
    let plugin = command(&files, 1);
    let run = ["run", "--json", &plugin, "--dir", &format!("{one}:rw")];
    let told = hostel_with_stdin(&run, b"nobody reads this")
        .expect(0)
        .json();
    assert_eq!(
        (&told["output"], &told["code"]),
        (&"as it is\n".into(), &0.into())
    );
}

#[test]
fn what_is_no_directory_is_said() {
    let (files, one, _) = files();
    let plugin = command(&files, 1);
    let none = format!("{one}/none");
    let ended = hostel(&["run", &plugin, "--dir", &none]).expect(2);
    assert!(ended.stderr.contains(&none), "{}", ended.stderr);
    let file = format!("{one}/in.txt");
    let ended = hostel(&["run", &plugin, "--dir", &file]).expect(2);
    assert!(ended.stderr.contains(&file), "{}", ended.stderr);
    // Names of two letters, since on Windows one letter before a colon is a drive.
    for text in ["", ":", "aa:", ":/b", "aa:bb:c", "aa:bb:wr"] {
        let ended = hostel(&["run", &plugin, "--dir", text]).expect(2);
        assert!(
            ended.stderr.contains("DIR[:AS][:ro|rw]"),
            "{text}: {}",
            ended.stderr
        );
    }
    for (typo, words) in [("wo", "`:/wo`"), ("wr", "`:rw`"), ("RW", "`:ro`")] {
        let dir = format!("{one}:{typo}");
        let ended = hostel(&["run", &plugin, "--dir", &dir]).expect(2);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}
