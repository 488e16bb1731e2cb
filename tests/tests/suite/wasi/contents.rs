//! The contents of files: reading, writing, positions, sizes.

use super::{
    EBADF, EDQUOT, EINVAL, ENOTCAPABLE, ENOTSUP, ESPIPE, Guest, NEW, OLD, SMALL, SUCCESS,
    tree::{
        ADVISE, ALL, ALLOCATE, APPEND, CREATE, DATA, READ, RESULT, ROOT, SEEK, SET_SIZE, SYNC,
        TELL, Tree, WRITE,
    },
};
use hostel::{
    Engine, Platform, Wasi,
    files::{Access, Directory, Entry, Errno, File, Kind, Node, Open, Stat},
};
use hostel_tests::code;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

#[test]
fn bytes_are_written_and_read_over_several_buffers() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let fd = guest.create("a");
    guest.put(DATA, b"Hello, world!");
    guest.buffers(0, &[(DATA, 5), (DATA, 0), (DATA + 5, 8), (DATA, 1)]);
    assert_eq!(guest.errno("fd_write", &[fd, 0, 4, RESULT]), SUCCESS);
    assert_eq!(guest.u32(RESULT), 14);
    assert_eq!(tree.text("a"), "Hello, world!H");
    assert_eq!(guest.read(fd, 10).unwrap(), b"", "it stands at the end");
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    guest.buffers(0, &[(DATA, 3), (DATA + 100, 0), (DATA + 3, 60)]);
    assert_eq!(guest.errno("fd_read", &[fd, 0, 3, RESULT]), SUCCESS);
    assert_eq!(guest.u32(RESULT), 14);
    assert_eq!(guest.get(DATA, 14), b"Hello, world!H");
    for (count, name) in [(0, "fd_read"), (0, "fd_write")] {
        assert_eq!(guest.errno(name, &[fd, 0, count, RESULT]), SUCCESS);
        assert_eq!(guest.u32(RESULT), 0);
    }
}

#[test]
fn more_than_64_kib_go_in_pieces() {
    let tree = Tree::new();
    let bytes: Vec<u8> = (0..=250).cycle().take(150_000).collect();
    std::fs::write(tree.inside("a"), &bytes).unwrap();
    let mut guest = tree.limited(|_| {});
    let fd = guest.create("a");
    let copy = guest.create("b");
    guest.buffers(0, &[(DATA, 100_000), (DATA + 100_000, 80_000)]);
    assert_eq!(guest.errno("fd_read", &[fd, 0, 2, RESULT]), SUCCESS);
    assert_eq!(guest.u32(RESULT), 150_000);
    guest.buffers(0, &[(DATA, 100_000), (DATA + 100_000, 50_000)]);
    assert_eq!(guest.errno("fd_write", &[copy, 0, 2, RESULT]), SUCCESS);
    assert_eq!(guest.u32(RESULT), 150_000);
    assert!(std::fs::read(tree.inside("b")).unwrap() == bytes);
}

#[test]
fn reading_over_its_own_list_of_buffers_does_no_harm() {
    let tree = Tree::new();
    std::fs::write(tree.inside("a"), [0xff; 3_000]).unwrap();
    let mut guest = tree.guest();
    let fd = guest.create("a");
    guest.buffers(0, &[(0, 16), (32, 16)]);
    let args = [fd, 0, 2, RESULT];
    assert_eq!(guest.errno("fd_read", &args), super::EFAULT);
    // A list that becomes larger while it is read reads no more than was asked for.
    let mut bytes = [0; 3_000];
    bytes[8..16].copy_from_slice(&[0, 4, 0, 0, 0, 8, 0, 0]);
    std::fs::write(tree.inside("a"), bytes).unwrap();
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    guest.buffers(0, &[(0, 16), (32, 16)]);
    assert_eq!(guest.errno("fd_read", &[fd, 0, 2, 512]), SUCCESS);
    assert_eq!(guest.u32(512), 32);
}

#[test]
fn seeking_counts_from_start_position_and_end() {
    let tree = Tree::new();
    tree.file("a", "0123456789");
    let mut guest = tree.guest();
    let fd = guest.create("a");
    for (delta, whence, place) in [
        (4, 0, 4),
        (0, 1, 4),
        (3, 1, 7),
        (-7, 1, 0),
        (-1, 2, 9),
        (0, 2, 10),
        (1_000, 2, 1_010),
        (i64::MAX, 0, u64::MAX / 2),
    ] {
        assert_eq!(guest.seek(fd, delta, whence), Ok(place), "{delta} {whence}");
        assert_eq!(guest.errno("fd_tell", &[fd, RESULT]), SUCCESS);
        assert_eq!(guest.u64(RESULT), place);
    }
    assert_eq!(guest.read(fd, 1), Err(EINVAL), "no place of a file");
    guest.seek(fd, 5, 0).unwrap();
    for (delta, whence) in [(-1, 0), (-6, 1), (-11, 2), (i64::MIN, 1), (0, 3), (0, 255)] {
        assert_eq!(guest.seek(fd, delta, whence), Err(EINVAL));
        assert_eq!(guest.seek(fd, 0, 1), Ok(5), "it stands where it stood");
    }
    assert_eq!(guest.read(fd, 2).unwrap(), b"56");
}

#[test]
fn the_old_name_orders_whences_otherwise() {
    let tree = Tree::new();
    tree.file("a", "0123456789");
    let wasi = tree.grant(Wasi::new(), Access::ReadWrite);
    let mut guest = Guest::start(&hostel::engine(), OLD, 1, wasi);
    let fd = guest.create("a");
    // From the position, from the end, from the start.
    for (delta, whence, place) in [(3, 0, 3), (3, 0, 6), (-3, 1, 7), (2, 2, 2)] {
        assert_eq!(guest.seek(fd, delta, whence), Ok(place), "{delta} {whence}");
    }
    assert_eq!(guest.seek(fd, 0, 3), Err(EINVAL));
    // Attributes have 56 bytes, with the number of links in 32 bits.
    guest.put(RESULT, &[0xff; 65]);
    assert_eq!(guest.errno("fd_filestat_get", &[fd, RESULT]), SUCCESS);
    assert_eq!((guest.u32(RESULT + 20), guest.u64(RESULT + 24)), (1, 10));
    assert_eq!(guest.get(RESULT + 56, 1), [0xff]);
}

#[test]
fn reading_and_writing_at_an_offset_moves_no_position() {
    let tree = Tree::new();
    tree.file("a", "0123456789");
    let mut guest = tree.guest();
    let fd = guest.create("a");
    guest.buffers(0, &[(DATA, 4)]);
    guest.put(DATA, b"abcd");
    let args = [fd, 0, 1, 8, RESULT];
    assert_eq!(guest.errno("fd_pwrite", &args), SUCCESS);
    assert_eq!(tree.text("a"), "01234567abcd");
    let args = [fd, 0, 1, 6, RESULT];
    assert_eq!(guest.errno("fd_pread", &args), SUCCESS);
    assert_eq!(
        (guest.u32(RESULT), guest.get(DATA, 4)),
        (4, b"67ab".to_vec())
    );
    let beyond = [fd, 0, 1, 1_000, RESULT];
    assert_eq!(guest.errno("fd_pread", &beyond), SUCCESS);
    assert_eq!(guest.u32(RESULT), 0);
    for place in [1 << 63, u64::MAX] {
        let args = [fd, 0, 1, place, RESULT];
        assert_eq!(guest.errno("fd_pread", &args), EINVAL);
        assert_eq!(guest.errno("fd_pwrite", &args), EDQUOT);
    }
    assert_eq!(guest.seek(fd, 0, 1), Ok(0));
    // It needs the right to seek, too.
    let plain = guest.open("a", 0, READ | WRITE).unwrap();
    let given_up = guest.errno("fd_fdstat_set_rights", &[plain, READ | WRITE, 0]);
    assert_eq!(given_up, SUCCESS);
    let args = [plain, 0, 1, 0, RESULT];
    assert_eq!(guest.errno("fd_pread", &args), ENOTCAPABLE);
    assert_eq!(guest.errno("fd_pwrite", &args), ENOTCAPABLE);
}

#[test]
fn appending_goes_to_the_end_wherever_that_is() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let rights = (ALL, 0);
    let fd = guest.open_in((ROOT, 0), "log", CREATE, rights, APPEND);
    let fd = fd.unwrap();
    assert_eq!(guest.write(fd, b"one "), (SUCCESS, 4));
    // Another program writes to the file, too.
    tree.file("log", "one, two ");
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    assert_eq!(guest.write(fd, b"three"), (SUCCESS, 5));
    assert_eq!(tree.text("log"), "one, two three");
    assert_eq!(guest.seek(fd, 0, 1), Ok(14), "it stands behind");
    // Without the flag it writes at its position; with the flag at the end again.
    assert_eq!(guest.errno("fd_fdstat_set_flags", &[fd, 0]), SUCCESS);
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    assert_eq!(guest.write(fd, b"ONE"), (SUCCESS, 3));
    assert_eq!(guest.errno("fd_fdstat_set_flags", &[fd, APPEND]), SUCCESS);
    assert_eq!(guest.write(fd, b"!"), (SUCCESS, 1));
    assert_eq!(tree.text("log"), "ONE, two three!");
}

#[test]
fn sizes_are_set_and_nothing_is_reserved() {
    let tree = Tree::new();
    tree.file("a", "text");
    let mut guest = tree.guest();
    let fd = guest.create("a");
    assert_eq!(guest.errno("fd_filestat_set_size", &[fd, 2]), SUCCESS);
    assert_eq!(tree.text("a"), "te");
    assert_eq!(guest.errno("fd_filestat_set_size", &[fd, 5]), SUCCESS);
    assert_eq!(tree.text("a"), "te\0\0\0");
    for size in [1 << 40, 1 << 63, u64::MAX] {
        assert_eq!(guest.errno("fd_filestat_set_size", &[fd, size]), EDQUOT);
    }
    assert_eq!(guest.errno("fd_allocate", &[fd, 0, 9]), ENOTSUP);
    assert_eq!(guest.errno("fd_allocate", &[fd, 0, 0]), EINVAL);
    assert_eq!(guest.errno("fd_allocate", &[fd, u64::MAX, 1]), EINVAL);
    assert_eq!(guest.errno("fd_advise", &[fd, 0, 0, 5]), SUCCESS);
    assert_eq!(guest.errno("fd_advise", &[fd, 0, 0, 6]), EINVAL);
    assert_eq!(guest.errno("fd_advise", &[fd, u64::MAX, 1, 0]), EINVAL);
    assert_eq!(tree.text("a").len(), 5);
}

#[test]
fn what_is_written_is_limited_for_each_call() {
    let tree = Tree::new();
    let mut guest = tree.limited(|limits| limits.written_bytes = 10);
    let fd = guest.create("a");
    assert_eq!(guest.write(fd, b"0123456789ab"), (SUCCESS, 10), "as far as");
    // Each call of the test is a call of the instance, with a budget of its own.
    assert_eq!(guest.write(fd, b"cdef"), (SUCCESS, 4));
    assert_eq!(tree.text("a"), "0123456789cdef");
    // A hole counts, and so do bytes by which a file is made longer.
    assert_eq!(guest.seek(fd, 23, 0), Ok(23));
    assert_eq!(guest.write(fd, b"xy"), (SUCCESS, 1));
    assert_eq!(guest.seek(fd, 100, 0), Ok(100));
    assert_eq!(guest.write(fd, b"x").0, EDQUOT);
    assert_eq!(guest.errno("fd_filestat_set_size", &[fd, 34]), SUCCESS);
    assert_eq!(guest.errno("fd_filestat_set_size", &[fd, 45]), EDQUOT);
    assert_eq!(guest.errno("fd_filestat_set_size", &[fd, 1]), SUCCESS);
    assert_eq!(tree.text("a"), "0");
}

#[test]
fn one_call_that_writes_without_end_is_ended() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 2) (data (i32.const 0) "a")
        (data (i32.const 16) "\00\00\00\00\00\00\01\00")
        (func (export "run") (result i32) (local $errno i32)
          (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1)
            (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)))
          (loop $on
            (local.set $errno (call $write (i32.load (i32.const 32)) (i32.const 16) (i32.const 1) (i32.const 8)))
            (br_if $on (i32.eqz (local.get $errno))))
          (local.get $errno)))"#;
    let tree = Tree::new();
    let run = |bytes| {
        let mut limits = hostel::files::Limits::server();
        limits.written_bytes = bytes;
        let wasi = tree.grant(Wasi::new().file_limits(limits), Access::ReadWrite);
        let plugin = hostel_tests::load_wat(text, &hostel::Grants::new().wasi(wasi));
        plugin
            .with_budget(SMALL)
            .instantiate(())
            .unwrap()
            .call::<(), u32>("run", ())
    };
    assert_eq!(run(1_000_000), Ok(EDQUOT));
    assert_eq!(tree.text("a").len(), 1_000_000);
    assert_eq!(code(&run(u64::MAX)), "out-of-fuel");
    let size = std::fs::metadata(tree.inside("a")).unwrap().len();
    assert!(size <= SMALL.fuel * 64, "{size}");
}

#[test]
fn bringing_a_file_to_the_disk_is_expensive() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let fd = guest.create("a");
    for name in ["fd_sync", "fd_datasync"] {
        assert_eq!(guest.errno(name, &[fd]), SUCCESS);
        assert!(guest.0.usage().fuel > 200_000);
    }
    let fd = guest.open_in((ROOT, 0), "a", 0, (WRITE, 0), SYNC).unwrap();
    assert_eq!(guest.write(fd, b""), (SUCCESS, 0));
    guest.buffers(0, &[(DATA, 1)]);
    assert_eq!(guest.errno("fd_write", &[fd, 0, 1, RESULT]), SUCCESS);
    assert!(guest.0.usage().fuel > 200_000, "so each write does");
    guest.0.set_budget(SMALL.with_fuel(100_000));
    let result = guest.call("fd_write", &[fd, 0, 1, RESULT]);
    assert_eq!(code(&result), "out-of-fuel");
}

/// A clock that advances by 10 ms each time a piece is read or written, and counts the pieces.
#[derive(Clone, Default)]
struct Slow(Arc<AtomicU32>);

impl Slow {
    fn piece(&self, bytes: usize) -> Result<usize, Errno> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(bytes)
    }
}

impl Platform for Slow {
    fn now(&self) -> Option<Duration> {
        Some(Duration::from_millis(10) * self.0.load(Ordering::Relaxed))
    }
}

impl Directory for Slow {
    fn open(&self, _: &str, _: &Open) -> Result<Node, Errno> {
        Ok(Node::File(Box::new(self.clone())))
    }

    fn stat(&self, _: &str, _: bool) -> Result<Stat, Errno> {
        Ok(Stat::new(Kind::File, 0))
    }

    fn list(&self, _: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        Ok(())
    }
}

impl File for Slow {
    fn read(&mut self, _: u64, into: &mut [u8]) -> Result<usize, Errno> {
        self.piece(into.len())
    }

    fn write(&mut self, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
        self.piece(bytes.len())
    }

    fn stat(&mut self) -> Result<Stat, Errno> {
        Ok(Stat::new(Kind::File, 0))
    }
}

#[test]
fn a_deadline_ends_a_long_read_and_a_long_write_in_the_middle() {
    for name in ["fd_read", "fd_write"] {
        for (deadline, pieces) in [(25, 3), (1_000, 4)] {
            let slow = Slow::default();
            let wasi = Wasi::new().directory("/", Access::ReadWrite, slow.clone());
            let engine = Engine::default().with_platform(slow.clone());
            let mut guest = Guest::start(&engine, NEW, 4, wasi);
            let fd = guest.create("a");
            guest.buffers(0, &[(DATA, 200_000)]);
            let deadline = SMALL.with_deadline(Duration::from_millis(deadline));
            guest.0.set_budget(deadline);
            let result = guest.call(name, &[fd, 0, 1, RESULT]);
            // 200,000 bytes are read in four pieces.
            let expected = if pieces < 4 { "deadline" } else { "ok" };
            assert_eq!(code(&result), expected, "{name}");
            assert_eq!(slow.0.load(Ordering::Relaxed), pieces, "{name}");
        }
    }
}

#[test]
fn a_removed_file_stays_until_it_is_closed() {
    let tree = Tree::new();
    tree.file("a", "text");
    let mut guest = tree.guest();
    let fd = guest.create("a");
    assert_eq!(guest.at("path_unlink_file", "a"), SUCCESS);
    assert_eq!(guest.read(fd, 9).unwrap(), b"text");
    if cfg!(unix) {
        assert_eq!(guest.stat(fd).links, 0);
    }
}

#[test]
fn directories_and_streams_have_no_contents_to_seek() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    for (name, args) in [
        ("fd_read", &[ROOT, 0, 0, 64][..]),
        ("fd_write", &[ROOT, 0, 0, 64]),
        ("fd_pread", &[ROOT, 0, 0, 0, 64]),
        ("fd_pwrite", &[ROOT, 0, 0, 0, 64]),
        ("fd_seek", &[ROOT, 0, 0, 64]),
        ("fd_tell", &[ROOT, 64]),
        ("fd_advise", &[ROOT, 0, 0, 0]),
        ("fd_allocate", &[ROOT, 0, 1]),
        ("fd_filestat_set_size", &[ROOT, 0]),
        ("fd_sync", &[ROOT]),
        ("fd_datasync", &[ROOT]),
    ] {
        assert_eq!(guest.errno(name, args), EBADF, "{name}");
    }
    assert_eq!(guest.seek(1, 0, 0), Err(ESPIPE));
}

#[test]
fn each_function_needs_its_right() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    for (name, args, right) in [
        ("fd_tell", &[64][..], TELL),
        ("fd_seek", &[0, 1, 64], TELL),
        ("fd_seek", &[1, 1, 64], SEEK),
        ("fd_seek", &[0, 2, 64], SEEK),
        ("fd_advise", &[0, 0, 0], ADVISE),
        ("fd_allocate", &[0, 0], ALLOCATE),
        ("fd_filestat_set_size", &[0], SET_SIZE),
    ] {
        let call = |guest: &mut Guest, rights| {
            let fd = guest.open("a", CREATE, READ | WRITE).unwrap();
            let kept = guest.rights(fd).0 & rights;
            let given_up = guest.errno("fd_fdstat_set_rights", &[fd, kept, 0]);
            assert_eq!(given_up, SUCCESS);
            let errno = guest.errno(name, &[&[fd], args].concat());
            guest.close(fd);
            errno
        };
        assert_eq!(call(&mut guest, ALL & !right), ENOTCAPABLE, "{name}");
        assert_ne!(call(&mut guest, right), ENOTCAPABLE, "{name}");
    }
}
