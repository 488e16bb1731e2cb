//! WASI's functions, at least one row for each. They work on a directory that does nothing, so that
//! all that is charged is the host's work.

use super::{Arguments, BASE, Bare, SIZES, TEXT, pass};
use hostel::{
    Grants, Value, Wasi,
    files::{Access, Directory, Entry, Errno, File, Kind, Node, Open, Stat, Times},
};
use hostel_tests::{assemble, load_wat};
use std::collections::BTreeSet;

/// The charge for an operation on an open file.
const FILE: u64 = 100;

/// The charge for an operation on a path, and for each name in the path.
const PATH: u64 = 1_000;
const NAME: u64 = 20;

/// The charge for changing a directory, beside that for the path.
const CHANGE: u64 = 20_000;

/// The charge for bringing a file to the disk.
const SYNC: u64 = 200_000;

/// The charge for listing the directory: itself, its parent, and one whose name has ten letters.
const LISTED: u64 = 3 * 20 + 25_u64.div_ceil(64) + 26_u64.div_ceil(64) + 34_u64.div_ceil(64);

// Error numbers, as in WASI's specification.
const SUCCESS: u32 = 0;
const ENAMETOOLONG: u32 = 37;
const ENOENT: u32 = 44;
const ENOSYS: u32 = 52;
const ENOTSOCK: u32 = 57;
const ENOTSUP: u32 = 58;

/// The charge for reading or writing `n` bytes of a file, 64 KiB at a time.
fn file(n: u64) -> u64 {
    let chunk = 64 << 10;
    n.div_ceil(chunk) * FILE + pass(n)
}

/// The charge for writing `n` bytes of a file, whose end is looked up first.
fn written(n: u64) -> u64 {
    if n > 0 { FILE + file(n) } else { 0 }
}

/// The charge for the 129 bytes by which a file grows up to the place where bytes are written.
fn gap(n: u64) -> u64 {
    if n > 0 { pass(129) } else { 0 }
}

/// Whether a path of one name of `n` bytes is looked at: it is not empty, and not too long.
fn is_path(n: u64) -> bool {
    (1..=4_096).contains(&n)
}

/// The charge for a path of one name of `n` bytes.
fn path(n: u64) -> u64 {
    if is_path(n) { PATH + pass(n) + NAME } else { 0 }
}

/// The charge for changing the directory at a path of `n` bytes.
fn change(n: u64) -> u64 {
    if is_path(n) { CHANGE } else { 0 }
}

/// The charge for the 65 bytes that the link at a path of `n` bytes points to.
fn target(n: u64) -> u64 {
    if is_path(n) { pass(65) } else { 0 }
}

/// A function, a call of it by a guest, what it returns, and what it is charged.
struct Row {
    function: &'static str,
    arguments: Arguments,
    errno: fn(n: u64) -> u32,
    /// Returns the charge for `n` bytes beside [`BASE`].
    charge: fn(n: u64) -> u64,
}

/// A function that succeeds.
const fn row(function: &'static str, arguments: &'static str, charge: fn(n: u64) -> u64) -> Row {
    let arguments = Arguments(arguments);
    Row {
        function,
        arguments,
        errno: |_| SUCCESS,
        charge,
    }
}

/// A function that takes a path of `n` bytes, and succeeds unless that is no path.
const fn of_path(
    function: &'static str,
    arguments: &'static str,
    charge: fn(n: u64) -> u64,
) -> Row {
    let errno = |n| match n {
        0 => ENOENT,
        n if is_path(n) => SUCCESS,
        _ => ENAMETOOLONG,
    };
    Row {
        errno,
        ..row(function, arguments, charge)
    }
}

/// A function that always fails with this error number, and is charged [`BASE`].
const fn failing(errno: fn(n: u64) -> u32, function: &'static str, arguments: &'static str) -> Row {
    Row {
        errno,
        ..row(function, arguments, |_| 0)
    }
}

#[rustfmt::skip] // a table
const ROWS: &[Row] = &[
    // function, arguments, charge for `n` bytes beside `BASE`

    // Arguments and environment: one word of five bytes, one of four.
    row("args_get",          "64 128", |_| pass(5) + 1),
    row("args_sizes_get",    "64 128", |_| 0),
    row("environ_get",       "64 128", |_| pass(4) + 1),
    row("environ_sizes_get", "64 128", |_| 0),

    // Clocks. The one that is waited for has come: its subscription is zeros.
    row("clock_res_get",  "1 64",          |_| 0),
    row("clock_time_get", "0 0_i64 64",    |_| 0),
    row("poll_oneoff",    "512 1024 1 64", |_| 5),

    // Descriptors: 0 and 1 are streams, 3 is the directory, 4 the open file.
    row("fd_close",             "4",             |_| FILE),
    row("fd_fdstat_get",        "4 64",          |_| 0),
    row("fd_fdstat_set_flags",  "4 0",           |_| 0),
    row("fd_fdstat_set_rights", "4 0_i64 0_i64", |_| 0),
    row("fd_prestat_get",       "3 64",          |_| 0),
    row("fd_prestat_dir_name",  "3 64 9",        |_| pass(1)),
    row("fd_renumber",          "4 3",           |_| FILE),
    row("fd_tell",              "4 64",          |_| 0),
    row("fd_seek",              "4 1_i64 1 64",  |_| 0),
    row("fd_seek",              "4 1_i64 2 64",  |_| FILE),

    // Attributes of open files and directories.
    row("fd_filestat_get",       "0 64",             |_| 0),
    row("fd_filestat_get",       "3 64",             |_| PATH),
    row("fd_filestat_get",       "4 64",             |_| FILE),
    row("fd_filestat_set_size",  "4 len_i64",        |n| 2 * FILE + pass(n)),
    row("fd_filestat_set_times", "3 0_i64 0_i64 10", |_| PATH),
    row("fd_filestat_set_times", "4 0_i64 0_i64 10", |_| FILE),
    row("fd_advise",             "4 0_i64 0_i64 0",  |_| 0),
    failing(|_| ENOTSUP, "fd_allocate", "4 0_i64 1_i64"),

    // Reading and writing `n` bytes, by a list of one buffer.
    row("fd_read",     "4 0 1 64",         |n| BASE + file(n)),
    row("fd_read",     "0 0 1 64",         |n| BASE + pass(n.min(1_000))),
    row("fd_pread",    "4 0 1 0_i64 64",   |n| BASE + file(n)),
    row("fd_write",    "4 0 1 64",         |n| BASE + written(n)),
    row("fd_write",    "1 0 1 64",         |n| BASE + pass(n)),
    // It looks the end of the file up first. The bytes up to its place count as written.
    row("fd_pwrite",   "4 0 1 129_i64 64", |n| BASE + gap(n) + written(n)),
    row("fd_datasync", "4",                |_| SYNC),
    row("fd_sync",     "4",                |_| SYNC),

    // A list of three entries.
    row("fd_readdir", "3 ptr len 0_i64 64", |n| 2 * PATH + LISTED + pass(n.min(85))),

    // Paths of `n` bytes.
    of_path("path_open",               "3 0 ptr len 0 0_i64 0_i64 0 64", path),
    of_path("path_filestat_get",       "3 0 ptr len 64",                 path),
    of_path("path_filestat_set_times", "3 0 ptr len 0_i64 0_i64 0",      path),
    of_path("path_readlink",           "3 ptr len 128 65 64",            |n| path(n) + target(n)),
    of_path("path_create_directory",   "3 ptr len",                      |n| path(n) + change(n)),
    of_path("path_remove_directory",   "3 ptr len",                      |n| path(n) + change(n)),
    of_path("path_unlink_file",        "3 ptr len",                      |n| path(n) + change(n)),

    // Two paths of `n` bytes each.
    of_path("path_link",    "3 0 ptr len 3 ptr len", |n| 2 * path(n) + change(n)),
    of_path("path_rename",  "3 ptr len 3 ptr len",   |n| 2 * path(n) + change(n)),
    of_path("path_symlink", "ptr len 3 ptr len",     |n| 2 * path(n) + change(n)),

    // The rest.
    row("random_get",  "ptr len", |n| 8 * pass(n)),
    row("sched_yield", "",        |_| 0),
    failing(|_| ENOSYS, "proc_raise", "0"),
    failing(|_| ENOTSOCK, "sock_accept", "0 0 0"),
    failing(|_| ENOTSOCK, "sock_recv", "0 0 0 0 0 0"),
    failing(|_| ENOTSOCK, "sock_send", "0 0 0 0 0"),
    failing(|_| ENOTSOCK, "sock_shutdown", "0 0"),
];

/// A directory that has every path, and a file that has every byte that is read.
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

/// Returns the text of a guest that opens a file, as descriptor 4, and then calls the row's
/// function with a list of one buffer of `n` bytes.
fn guest(row: &Row) -> String {
    let Row {
        function,
        arguments,
        ..
    } = row;
    let (params, arguments) = (arguments.types(), arguments.code());
    let open = "i32 i32 i32 i32 i32 i64 i64 i32 i32";
    format!(
        r#"(module
            (import "wasi_unstable" "path_open" (func $open (param {open}) (result i32)))
            (import "wasi_snapshot_preview1" "{function}" (func $f (param {params}) (result i32)))
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
        let Row {
            function,
            arguments: Arguments(arguments),
            errno,
            charge,
        } = row;
        let text = guest(row);
        let plugin = load_wat(&text, &Grants::new().wasi(wasi()));
        let mut bare = Bare::new(&assemble(&text));
        for n in SIZES {
            let mut instance = plugin.instantiate(()).unwrap();
            let arguments_of = [TEXT, n].map(|value| Value::I32(value as i32));
            let opened = instance.call_values("open", &arguments_of);
            assert_eq!(opened, Ok(vec![Value::I32(0)]));
            let answer = instance.call_values("run", &arguments_of);
            let case = format!("{function} {arguments}, {n} bytes");
            let expected = errno(n.into()).cast_signed();
            assert_eq!(answer, Ok(vec![Value::I32(expected)]), "{case}");
            let host = instance.usage().fuel - BASE - bare.fuel("run", &[TEXT, n]);
            assert_eq!(host, BASE + charge(n.into()), "{case}");
        }
    }
}

#[test]
fn a_path_is_charged_for_each_of_its_names() {
    let row = |path: &str| {
        let text = format!(
            r#"(module
            (import "wasi_snapshot_preview1" "path_unlink_file"
                (func $f (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (data (i32.const 0) "{path}")
            (func (export "run") (result i32)
                (call $f (i32.const 3) (i32.const 0) (i32.const {}))))"#,
            path.len()
        );
        let plugin = load_wat(&text, &Grants::new().wasi(wasi()));
        let mut instance = plugin.instantiate(()).unwrap();
        let errno = instance.call::<(), u32>("run", ()).unwrap();
        let guest = Bare::new(&assemble(&text)).fuel("run", &[]);
        (errno, instance.usage().fuel - BASE - guest - BASE)
    };
    let names = |names: u64, len: u64| PATH + pass(len) + names * NAME;
    assert_eq!(row("a"), (0, names(1, 1) + CHANGE));
    assert_eq!(row("a/b/c"), (0, names(3, 5) + CHANGE));
    assert_eq!(row(&"a/".repeat(500)), (0, names(501, 1_000) + CHANGE));
    // A path that leads out of the directory is charged, too: it was looked at.
    assert_eq!(row("a/../.."), (63, names(3, 7)));
}

#[test]
fn ending_is_charged_as_any_call() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $f (param i32)))
        (func (export "run") (param i32) (call $f (local.get 0))))"#;
    let plugin = load_wat(text, &Grants::new().wasi(wasi()));
    let mut instance = plugin.instantiate(()).unwrap();
    let ended = instance.call::<u32, ()>("run", 3);
    assert_eq!(ended.unwrap_err().code(), "exited");
    let guest = Bare::new(&assemble(text)).fuel("run", &[3]);
    assert_eq!(instance.usage().fuel - BASE - guest, BASE);
}

#[test]
fn every_function_has_a_row() {
    let rows: BTreeSet<_> = ROWS.iter().map(|row| row.function).collect();
    assert_eq!(rows.len(), 45, "and `proc_exit` its own test");
    for name in rows {
        let grant = hostel::grant_for("wasi_snapshot_preview1", name);
        assert_eq!(grant, Some("wasi"), "{name}");
    }
}
