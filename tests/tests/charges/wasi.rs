//! The functions of WASI, one row each at least. Files are those of a directory that does nothing, so
//! that all that is charged is the host's.

use super::{BASE, Bare, SIZES, pass};
use hostel::{
    Grants, Value, Wasi,
    files::{Access, Directory, Entry, Errno, File, Kind, Node, Open, Stat, Times},
};
use hostel_tests::{assemble, load_wat};
use std::collections::BTreeSet;

/// An operation on an open file, one on a path, and for each name in it.
const FILE: u64 = 100;
const PATH: u64 = 1_000;
const NAME: u64 = 20;

/// Changing what is in a directory, on top.
const CHANGE: u64 = 20_000;

/// Bringing a file to the disk.
const SYNC: u64 = 200_000;

/// What is charged for a path of one name of `n` bytes: nothing for one that is none.
fn path(n: u64) -> u64 {
    match n {
        1..=4_096 => PATH + pass(n) + NAME,
        _ => 0,
    }
}

/// What is charged for changing what is at a path of `n` bytes.
fn change(n: u64) -> u64 {
    if path(n) > 0 { CHANGE } else { 0 }
}

/// What is charged for reading or writing `n` bytes of a file, 64 KiB at a time.
fn file(n: u64) -> u64 {
    let chunk = 64 << 10;
    n.div_ceil(chunk) * FILE + pass(n)
}

/// The error number of a function that takes a path of `n` bytes.
fn of_path(n: u64) -> u32 {
    match n {
        0 => 44,
        1..=4_096 => 0,
        _ => 37,
    }
}

fn fine(_: u64) -> u32 {
    0
}

/// A function, its type, how a guest calls it with `n` bytes, what it answers, what it is charged.
struct Row(
    &'static str,
    &'static str,
    &'static str,
    fn(n: u64) -> u32,
    fn(n: u64) -> u64,
);

#[rustfmt::skip] // a table
const ROWS: &[Row] = &[
    Row("args_get", "i32 i32", "(i32.const 64) (i32.const 128)", fine, |_| BASE + pass(5) + 1),
    Row("args_sizes_get", "i32 i32", "(i32.const 64) (i32.const 128)", fine, |_| BASE),
    Row("environ_get", "i32 i32", "(i32.const 64) (i32.const 128)", fine, |_| BASE + pass(4) + 1),
    Row("environ_sizes_get", "i32 i32", "(i32.const 64) (i32.const 128)", fine, |_| BASE),
    Row("clock_res_get", "i32 i32", "(i32.const 1) (i32.const 64)", fine, |_| BASE),
    Row("clock_time_get", "i32 i64 i32", "(i32.const 0) (i64.const 0) (i32.const 64)", fine, |_| BASE),
    Row("fd_advise", "i32 i64 i64 i32", "(i32.const 4) (i64.const 0) (i64.const 0) (i32.const 0)", fine, |_| BASE),
    Row("fd_allocate", "i32 i64 i64", "(i32.const 4) (i64.const 0) (i64.const 1)", |_| 58, |_| BASE),
    Row("fd_close", "i32", "(i32.const 4)", fine, |_| BASE + FILE),
    Row("fd_datasync", "i32", "(i32.const 4)", fine, |_| BASE + SYNC),
    Row("fd_fdstat_get", "i32 i32", "(i32.const 4) (i32.const 64)", fine, |_| BASE),
    Row("fd_fdstat_set_flags", "i32 i32", "(i32.const 4) (i32.const 0)", fine, |_| BASE),
    Row("fd_fdstat_set_rights", "i32 i64 i64", "(i32.const 4) (i64.const 0) (i64.const 0)", fine, |_| BASE),
    Row("fd_filestat_get", "i32 i32", "(i32.const 0) (i32.const 64)", fine, |_| BASE),
    Row("fd_filestat_get", "i32 i32", "(i32.const 3) (i32.const 64)", fine, |_| BASE + PATH),
    Row("fd_filestat_get", "i32 i32", "(i32.const 4) (i32.const 64)", fine, |_| BASE + FILE),
    Row("fd_filestat_set_size", "i32 i64", "(i32.const 4) (i64.extend_i32_u (local.get 1))", fine, |n| BASE + 2 * FILE + pass(n)),
    Row("fd_filestat_set_times", "i32 i64 i64 i32", "(i32.const 3) (i64.const 0) (i64.const 0) (i32.const 10)", fine, |_| BASE + PATH),
    Row("fd_filestat_set_times", "i32 i64 i64 i32", "(i32.const 4) (i64.const 0) (i64.const 0) (i32.const 10)", fine, |_| BASE + FILE),
    Row("fd_pread", "i32 i32 i32 i64 i32", "(i32.const 4) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 64)", fine, |n| BASE + BASE + file(n)),
    Row("fd_prestat_get", "i32 i32", "(i32.const 3) (i32.const 64)", fine, |_| BASE),
    Row("fd_prestat_dir_name", "i32 i32 i32", "(i32.const 3) (i32.const 64) (i32.const 9)", fine, |_| BASE + pass(1)),
    // Where it ends is looked at first, and what it grows by until there counts as written.
    Row("fd_pwrite", "i32 i32 i32 i64 i32", "(i32.const 4) (i32.const 0) (i32.const 1) (i64.const 129) (i32.const 64)", fine, |n| BASE + BASE + if n > 0 { FILE + 3 + file(n) } else { 0 }),
    Row("fd_read", "i32 i32 i32 i32", "(i32.const 4) (i32.const 0) (i32.const 1) (i32.const 64)", fine, |n| BASE + BASE + file(n)),
    Row("fd_read", "i32 i32 i32 i32", "(i32.const 0) (i32.const 0) (i32.const 1) (i32.const 64)", fine, |n| BASE + BASE + pass(n.min(1_000))),
    // Itself, its parent, and one whose name has ten letters.
    Row("fd_readdir", "i32 i32 i32 i64 i32", "(i32.const 3) (local.get 0) (local.get 1) (i64.const 0) (i32.const 64)", fine, |n| BASE + 2 * PATH + 3 * 20 + pass(25) + pass(26) + pass(34) + pass(n.min(85))),
    Row("fd_renumber", "i32 i32", "(i32.const 4) (i32.const 3)", fine, |_| BASE + FILE),
    Row("fd_seek", "i32 i64 i32 i32", "(i32.const 4) (i64.const 1) (i32.const 1) (i32.const 64)", fine, |_| BASE),
    Row("fd_seek", "i32 i64 i32 i32", "(i32.const 4) (i64.const 1) (i32.const 2) (i32.const 64)", fine, |_| BASE + FILE),
    Row("fd_sync", "i32", "(i32.const 4)", fine, |_| BASE + SYNC),
    Row("fd_tell", "i32 i32", "(i32.const 4) (i32.const 64)", fine, |_| BASE),
    Row("fd_write", "i32 i32 i32 i32", "(i32.const 4) (i32.const 0) (i32.const 1) (i32.const 64)", fine, |n| BASE + BASE + if n > 0 { FILE + file(n) } else { 0 }),
    Row("fd_write", "i32 i32 i32 i32", "(i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)", fine, |n| BASE + BASE + pass(n)),
    Row("path_create_directory", "i32 i32 i32", "(i32.const 3) (local.get 0) (local.get 1)", of_path, |n| BASE + path(n) + change(n)),
    Row("path_filestat_get", "i32 i32 i32 i32 i32", "(i32.const 3) (i32.const 0) (local.get 0) (local.get 1) (i32.const 64)", of_path, |n| BASE + path(n)),
    Row("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32", "(i32.const 3) (i32.const 0) (local.get 0) (local.get 1) (i64.const 0) (i64.const 0) (i32.const 0)", of_path, |n| BASE + path(n)),
    Row("path_link", "i32 i32 i32 i32 i32 i32 i32", "(i32.const 3) (i32.const 0) (local.get 0) (local.get 1) (i32.const 3) (local.get 0) (local.get 1)", of_path, |n| BASE + 2 * path(n) + change(n)),
    Row("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32", "(i32.const 3) (i32.const 0) (local.get 0) (local.get 1) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 64)", of_path, |n| BASE + path(n)),
    Row("path_readlink", "i32 i32 i32 i32 i32 i32", "(i32.const 3) (local.get 0) (local.get 1) (i32.const 128) (i32.const 65) (i32.const 64)", of_path, |n| BASE + path(n) + if path(n) > 0 { pass(65) } else { 0 }),
    Row("path_remove_directory", "i32 i32 i32", "(i32.const 3) (local.get 0) (local.get 1)", of_path, |n| BASE + path(n) + change(n)),
    Row("path_rename", "i32 i32 i32 i32 i32 i32", "(i32.const 3) (local.get 0) (local.get 1) (i32.const 3) (local.get 0) (local.get 1)", of_path, |n| BASE + 2 * path(n) + change(n)),
    Row("path_symlink", "i32 i32 i32 i32 i32", "(local.get 0) (local.get 1) (i32.const 3) (local.get 0) (local.get 1)", of_path, |n| BASE + 2 * path(n) + change(n)),
    Row("path_unlink_file", "i32 i32 i32", "(i32.const 3) (local.get 0) (local.get 1)", of_path, |n| BASE + path(n) + change(n)),
    // A clock's time that has come: zeros.
    Row("poll_oneoff", "i32 i32 i32 i32", "(i32.const 512) (i32.const 1024) (i32.const 1) (i32.const 64)", fine, |_| BASE + 5),
    Row("proc_raise", "i32", "(i32.const 0)", |_| 52, |_| BASE),
    Row("sched_yield", "", "", fine, |_| BASE),
    Row("random_get", "i32 i32", "(local.get 0) (local.get 1)", fine, |n| BASE + 8 * pass(n)),
    Row("sock_accept", "i32 i32 i32", "(i32.const 0) (i32.const 0) (i32.const 0)", |_| 57, |_| BASE),
    Row("sock_recv", "i32 i32 i32 i32 i32 i32", "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)", |_| 57, |_| BASE),
    Row("sock_send", "i32 i32 i32 i32 i32", "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)", |_| 57, |_| BASE),
    Row("sock_shutdown", "i32 i32", "(i32.const 0) (i32.const 0)", |_| 57, |_| BASE),
];

/// A directory that has whatever it is asked for, and a file that has whatever is read of it.
struct Nothing;

impl Directory for Nothing {
    fn open(&self, _: &str, _: &Open) -> Result<Node, Errno> {
        Ok(Node::File(Box::new(Self)))
    }

    fn stat(&self, _: &str, _: bool) -> Result<Stat, Errno> {
        Ok(Stat::new(Kind::Directory, 0))
    }

    fn list(&self, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        visit(Entry {
            name: "ten_letter",
            kind: Kind::File,
            inode: 0,
        });
        Ok(())
    }

    fn create_directory(&self, _: &str) -> Result<(), Errno> {
        Ok(())
    }

    fn remove_directory(&self, _: &str) -> Result<(), Errno> {
        Ok(())
    }

    fn remove_file(&self, _: &str) -> Result<(), Errno> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &dyn Directory, _: &str) -> Result<(), Errno> {
        Ok(())
    }

    fn link(&self, _: &str, _: &dyn Directory, _: &str) -> Result<(), Errno> {
        Ok(())
    }

    fn symlink(&self, _: &str, _: &str) -> Result<(), Errno> {
        Ok(())
    }

    fn read_link(&self, _: &str) -> Result<String, Errno> {
        Ok("a".repeat(65))
    }

    fn set_times(&self, _: &str, _: bool, _: &Times) -> Result<(), Errno> {
        Ok(())
    }
}

impl File for Nothing {
    fn read(&mut self, _: u64, into: &mut [u8]) -> Result<usize, Errno> {
        Ok(into.len())
    }

    fn stat(&mut self) -> Result<Stat, Errno> {
        Ok(Stat::new(Kind::File, 0))
    }

    fn write(&mut self, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
        Ok(bytes.len())
    }

    fn set_size(&mut self, _: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn set_times(&mut self, _: &Times) -> Result<(), Errno> {
        Ok(())
    }

    fn sync(&mut self, _: bool) -> Result<(), Errno> {
        Ok(())
    }
}

/// A guest that opens a file, at 4, and then calls the row's function.
fn guest(row: &Row) -> String {
    let Row(name, params, arguments, ..) = row;
    let open = "i32 i32 i32 i32 i32 i64 i64 i32 i32";
    format!(
        r#"(module
            (import "wasi_unstable" "path_open" (func $open (param {open}) (result i32)))
            (import "wasi_snapshot_preview1" "{name}" (func $f (param {params}) (result i32)))
            (memory (export "memory") 96)
            (func (export "open") (param i32 i32) (result i32)
                (memory.fill (i32.const 65536) (i32.const 97) (i32.const 1048576))
                (call $open (i32.const 3) (i32.const 0) (local.get 0) (i32.const 1) (i32.const 0)
                    (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 64)))
            (func (export "run") (param i32 i32) (result i32)
                (i32.store (i32.const 0) (local.get 0))
                (i32.store (i32.const 4) (local.get 1))
                (call $f {arguments})))"#
    )
}

fn wasi() -> Wasi {
    hostel::wasi()
        .args(["arg1"])
        .env([("a", "b")])
        .stdin([b'a'; 1_000])
        .directory("/", Access::ReadWrite, Nothing)
}

#[test]
fn every_function_of_wasi_is_charged_to_the_unit() {
    for row in ROWS {
        let Row(name, _, arguments, errno, charge) = row;
        let text = guest(row);
        let plugin = load_wat(&text, &Grants::<()>::new().wasi(wasi()));
        let mut bare = Bare::new(&assemble(&text));
        for n in SIZES {
            let mut instance = plugin.instantiate(()).unwrap();
            let arguments_of = [65_536, n].map(|value| Value::I32(value as i32));
            let opened = instance.call_values("open", &arguments_of);
            assert_eq!(opened, Ok(vec![Value::I32(0)]));
            let answer = instance.call_values("run", &arguments_of);
            let case = format!("{name} {arguments}, {n} bytes");
            let expected = errno(n.into()).cast_signed();
            assert_eq!(answer, Ok(vec![Value::I32(expected)]), "{case}");
            let host = instance.usage().fuel - BASE - bare.fuel("run", &[65_536, n]);
            assert_eq!(host, charge(n.into()), "{case}");
        }
    }
}

#[test]
fn a_path_is_charged_for_each_of_its_names() {
    let row = |path: &str| {
        let text = format!(
            r#"(module
            (import "wasi_snapshot_preview1" "path_unlink_file" (func $f (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (data (i32.const 0) "{path}")
            (func (export "run") (result i32)
                (call $f (i32.const 3) (i32.const 0) (i32.const {}))))"#,
            path.len()
        );
        let plugin = load_wat(&text, &Grants::<()>::new().wasi(wasi()));
        let mut instance = plugin.instantiate(()).unwrap();
        let errno = instance.call::<(), u32>("run", ()).unwrap();
        let guest = Bare::new(&assemble(&text)).fuel("run", &[]);
        (errno, instance.usage().fuel - BASE - guest - BASE)
    };
    let names = |names: u64, len: u64| PATH + pass(len) + names * NAME;
    assert_eq!(row("a"), (0, names(1, 1) + CHANGE));
    assert_eq!(row("a/b/c"), (0, names(3, 5) + CHANGE));
    assert_eq!(row(&"a/".repeat(500)), (0, names(501, 1_000) + CHANGE));
    // One that leads out is charged too: it was looked at.
    assert_eq!(row("a/../.."), (63, names(3, 7)));
}

#[test]
fn ending_is_charged_as_any_call() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $f (param i32)))
        (func (export "run") (param i32) (call $f (local.get 0))))"#;
    let plugin = load_wat(text, &Grants::<()>::new().wasi(wasi()));
    let mut instance = plugin.instantiate(()).unwrap();
    let ended = instance.call::<u32, ()>("run", 3);
    assert_eq!(ended.unwrap_err().code(), "exited");
    let guest = Bare::new(&assemble(text)).fuel("run", &[3]);
    assert_eq!(instance.usage().fuel - BASE - guest, BASE);
}

#[test]
fn every_function_has_a_row() {
    let rows: BTreeSet<_> = ROWS.iter().map(|row| row.0).collect();
    assert_eq!(rows.len(), 45, "and `proc_exit` its own test");
    for name in rows {
        let grant = hostel::grant_for("wasi_snapshot_preview1", name);
        assert_eq!(grant, Some("wasi"), "{name}");
    }
}
