//! Granted directories and their files.

use super::run;
use hostel::{
    Wasi,
    files::{Access, Limits},
};
use std::fs;

// Places in `error-code`, and 1,000 so that none is taken for a result.
const QUOTA: u32 = 1_006;
const NO_ENTRY: u32 = 1_020;
const INSUFFICIENT_MEMORY: u32 = 1_022;
const NOT_PERMITTED: u32 = 1_031;
const READ_ONLY: u32 = 1_033;

/// Opens the file `abc`, of a length within its name, in the first granted directory: sets `target` to the
/// descriptor, or returns the error. `flags` are those of opening, and of the descriptor.
fn open(target: &str, len: u32, flags: [u32; 2]) -> String {
    let [opening, of] = flags;
    format!(
        "(call $directories (i32.const 16))
         (call $open (i32.load (i32.load (i32.const 16))) (i32.const 0) (i32.const 64) (i32.const {len})
           (i32.const {opening}) (i32.const {of}) (i32.const 32))
         (if (i32.load8_u (i32.const 32)) (then (return (i32.add (i32.const 1000) (i32.load8_u (i32.const 36))))))
         (local.set ${target} (i32.load (i32.const 36)))"
    )
}

fn granted(access: Access) -> (tempfile::TempDir, Wasi) {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("abc"), b"hello").unwrap();
    let wasi = Wasi::new().directory("/", access, hostel::directory(temp.path()).unwrap());
    (temp, wasi)
}

const READ: [u32; 2] = [0, 1];
const WRITE: [u32; 2] = [0, 2];
const CREATE: [u32; 2] = [1, 2];

#[test]
fn a_stream_outlives_its_descriptor() {
    let (_temp, wasi) = granted(Access::Read);
    let body = format!(
        "{} (call $read_file (local.get $a) (i64.const 1) (i32.const 16))
         (local.set $b (i32.load (i32.const 20)))
         (call $drop_d (local.get $a))
         (call $read (local.get $b) (i64.const 9) (i32.const 16))
         (call $drop_in (local.get $b))
         (i32.load8_u (i32.load (i32.const 20)))",
        open("a", 3, READ)
    );
    assert_eq!(run(&body, wasi).0, Ok(u32::from(b'e')));
}

#[test]
fn open_files_are_limited_and_dropping_the_last_handle_closes_one() {
    let (_temp, wasi) = granted(Access::Read);
    let mut limits = Limits::server();
    limits.open = 1;
    let wasi = wasi.file_limits(limits);
    let twice = format!(
        "{} {} (i32.const 0)",
        open("a", 3, READ),
        open("b", 3, READ)
    );
    assert_eq!(run(&twice, wasi.clone()).0, Ok(QUOTA));
    let dropped = format!(
        "{} (call $drop_d (local.get $a)) {} (i32.const 7)",
        open("a", 3, READ),
        open("b", 3, READ)
    );
    assert_eq!(run(&dropped, wasi.clone()).0, Ok(7));
    // The stream still reads it.
    let streamed = format!(
        "{} (call $read_file (local.get $a) (i64.const 1) (i32.const 16)) (call $drop_d (local.get $a)) {} (i32.const 7)",
        open("a", 3, READ),
        open("b", 3, READ)
    );
    assert_eq!(run(&streamed, wasi).0, Ok(QUOTA));
}

#[test]
fn rights_are_those_of_the_grant() {
    for (access, len, flags, expected) in [
        (Access::Read, 3, READ, 7),
        (Access::Read, 3, WRITE, READ_ONLY),
        (Access::Read, 3, [8, 2], READ_ONLY),
        (Access::Read, 2, CREATE, READ_ONLY),
        (Access::Read, 2, READ, NO_ENTRY),
        (Access::ReadWrite, 3, WRITE, 7),
        (Access::ReadWrite, 2, CREATE, 7),
    ] {
        let (_temp, wasi) = granted(access);
        let body = format!("{} (i32.const 7)", open("a", len, flags));
        assert_eq!(
            run(&body, wasi).0,
            Ok(expected),
            "{access:?} {len} {flags:?}"
        );
    }
}

#[test]
fn paths_do_not_lead_out_of_the_directory() {
    for outside in ["../", "..a/../../", "/"] {
        let (_temp, wasi) = granted(Access::ReadWrite);
        let put: String = (0..)
            .zip(outside.bytes())
            .map(|(at, byte)| format!("(i32.store8 (i32.const {}) (i32.const {byte}))", 64 + at))
            .collect();
        let body = format!(
            "{put} {} (i32.const 7)",
            open("a", outside.len() as u32, READ)
        );
        assert_eq!(run(&body, wasi).0, Ok(NOT_PERMITTED), "{outside}");
    }
}

#[test]
fn a_file_that_was_opened_for_writing_is_not_read() {
    let (_temp, wasi) = granted(Access::ReadWrite);
    let body = format!(
        "{} (call $read_file (local.get $a) (i64.const 0) (i32.const 32))
         (i32.add (i32.mul (i32.load8_u (i32.const 32)) (i32.const 1000)) (i32.load8_u (i32.const 36)))",
        open("a", 3, WRITE)
    );
    assert_eq!(run(&body, wasi).0, Ok(NOT_PERMITTED));
}

#[test]
fn written_bytes_are_limited() {
    let (temp, wasi) = granted(Access::ReadWrite);
    let mut limits = Limits::server();
    limits.written_bytes = 2;
    let body = format!(
        "{} (call $write_file (local.get $a) (i32.const 64) (i32.const 3) (i64.const 0) (i32.const 32))
         (local.set $b (i32.load (i32.const 40)))
         (call $write_file (local.get $a) (i32.const 64) (i32.const 3) (i64.const 0) (i32.const 32))
         (i32.add (i32.mul (i32.load8_u (i32.const 32)) (i32.const 1000))
           (i32.add (i32.mul (local.get $b) (i32.const 100)) (i32.load8_u (i32.const 40))))",
        open("a", 3, WRITE)
    );
    assert_eq!(
        run(&body, wasi.file_limits(limits)).0,
        Ok(QUOTA + 200),
        "2 bytes, then the error"
    );
    assert_eq!(fs::read(temp.path().join("abc")).unwrap(), b"abllo");
}

#[test]
fn a_directory_is_listed_within_its_limit() {
    let (temp, wasi) = granted(Access::Read);
    fs::create_dir(temp.path().join("sub")).unwrap();
    let body = "(call $directories (i32.const 16))
        (call $list (i32.load (i32.load (i32.const 16))) (i32.const 32))
        (if (i32.load8_u (i32.const 32)) (then (return (i32.add (i32.const 1000) (i32.load8_u (i32.const 36))))))
        (local.set $a (i32.load (i32.const 36)))
        (loop $l
          (call $entry (local.get $a) (i32.const 32))
          (if (i32.load8_u (i32.const 36)) (then
            (local.set $b (i32.add (local.get $b) (i32.add (i32.load8_u (i32.const 40)) (i32.load (i32.const 48)))))
            (br $l))))
        (local.get $b)";
    // The kinds are 3 (directory) and 6 (file), and each name has 3 bytes.
    assert_eq!(run(body, wasi.clone()).0, Ok(3 + 6 + 3 + 3));
    let mut limits = Limits::server();
    limits.list_bytes = 30;
    assert_eq!(
        run(body, wasi.file_limits(limits)).0,
        Ok(INSUFFICIENT_MEMORY)
    );
}
