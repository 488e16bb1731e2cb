//! A guest's descriptors: closing, renumbering, inspecting, giving up rights.

use super::{EBADF, EINVAL, ENOTCAPABLE, ENOTSUP, Guest, SUCCESS};
use hostel::{Trap, Wasi, WasiInput, WasiOutput};

const READ: u64 = 1 << 1;
const SEEK: u64 = 1 << 2;
const TELL: u64 = 1 << 5;
const WRITE: u64 = 1 << 6;
/// The rights to set flags, to read attributes and to poll.
const ALWAYS: u64 = 1 << 3 | 1 << 21 | 1 << 27;

fn guest() -> Guest {
    let buffer = || WasiOutput::buffer(100);
    Guest::new(Wasi::new().stdin(*b"in").stdout(buffer()).stderr(buffer()))
}

#[test]
fn a_closed_descriptor_stays_closed() {
    let mut guest = guest();
    for fd in 0..3 {
        assert_eq!(guest.errno("fd_close", &[fd]), SUCCESS);
        assert_eq!(guest.errno("fd_close", &[fd]), EBADF);
        for name in ["fd_fdstat_get", "fd_filestat_get", "fd_tell"] {
            assert_eq!(guest.errno(name, &[fd, 64]), EBADF, "{name}");
        }
        assert_eq!(guest.errno("fd_read", &[fd, 0, 0, 8]), EBADF);
        assert_eq!(guest.errno("fd_write", &[fd, 0, 0, 8]), EBADF);
        assert_eq!(guest.errno("fd_renumber", &[fd, fd]), EBADF);
    }
    for fd in [3, 100, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        assert_eq!(guest.errno("fd_close", &[fd]), EBADF);
    }
    // Another instance has descriptors of its own.
    assert_eq!(self::guest().errno("fd_close", &[0]), SUCCESS);
}

#[test]
fn renumbering_moves_and_closes() {
    let mut guest = guest();
    for (from, to) in [(1, 3), (3, 1), (1, 0xffff_ffff), (0xffff_ffff, 1), (7, 7)] {
        assert_eq!(
            guest.errno("fd_renumber", &[from, to]),
            EBADF,
            "{from} {to}"
        );
    }
    assert_eq!(guest.errno("fd_renumber", &[1, 1]), SUCCESS);
    assert_eq!(guest.write(1, b"a"), (SUCCESS, 1));
    // stderr takes the place of stdout.
    assert_eq!(guest.errno("fd_renumber", &[2, 1]), SUCCESS);
    assert_eq!(guest.write(2, b"b").0, EBADF);
    assert_eq!(guest.write(1, b"c"), (SUCCESS, 1));
    assert_eq!(guest.errno("fd_renumber", &[2, 1]), EBADF);
    // A number that was closed can't be used as a target.
    assert_eq!(guest.errno("fd_renumber", &[1, 2]), EBADF);
    // stdin takes the place of stdout, and can't be written.
    assert_eq!(guest.errno("fd_renumber", &[0, 1]), SUCCESS);
    assert_eq!(guest.write(1, b"d").0, ENOTCAPABLE);
    guest.buffers(0, &[(128, 2)]);
    assert_eq!(guest.errno("fd_read", &[1, 0, 1, 16]), SUCCESS);
    assert_eq!(guest.get(128, 2), b"in");
    assert_eq!(
        (guest.0.take_stdout(), guest.0.take_stderr()),
        (b"a".to_vec(), b"c".to_vec())
    );
    for _ in 0..10_000 {
        assert_eq!(guest.errno("fd_renumber", &[1, 1]), SUCCESS);
    }
}

#[test]
fn each_stream_has_its_kind_and_rights() {
    let mut guest = guest();
    for (fd, rights) in [(0, READ | ALWAYS), (1, WRITE | ALWAYS), (2, WRITE | ALWAYS)] {
        guest.put(64, &[0xff; 24]);
        assert_eq!(guest.errno("fd_fdstat_get", &[fd, 64]), SUCCESS);
        assert_eq!(guest.get(64, 8), [0; 8], "no terminal, no flags");
        assert_eq!((guest.u64(72), guest.u64(80)), (rights, 0));
        // Attributes have 64 bytes under the new name, 56 under the old one.
        for (mut guest, links, size) in [(self::guest(), 24, 64), (Guest::old(Wasi::new()), 20, 56)]
        {
            guest.put(64, &[0xff; 65]);
            assert_eq!(guest.errno("fd_filestat_get", &[fd, 64]), SUCCESS);
            let mut stat = vec![0; size];
            stat[links] = 1;
            assert_eq!(guest.get(64, size as u64), stat);
            assert_eq!(guest.get(64 + size as u64, 1), [0xff]);
        }
    }
}

/// A stdin that a person types.
struct Keyboard;

impl WasiInput for Keyboard {
    fn read(&self, _: &mut [u8]) -> Result<usize, Trap> {
        Ok(0)
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

#[test]
fn a_terminal_is_a_character_device_that_can_not_be_sought() {
    let output = |terminal| WasiOutput::buffer(100).terminal(terminal);
    // The kinds of stdin, stdout and stderr.
    for (wasi, kinds) in [
        (Wasi::new().stdin_from(Keyboard), [2, 0, 0]),
        (Wasi::new().stdin_from(Keyboard).stdin(*b"in"), [0, 0, 0]),
        (Wasi::new().stdout(output(true)), [0, 2, 0]),
        (
            Wasi::new().stdout(output(false)).stderr(output(true)),
            [0, 0, 2],
        ),
    ] {
        for mut guest in [Guest::new(wasi.clone()), Guest::old(wasi)] {
            for (fd, kind) in (0..).zip(kinds) {
                assert_eq!(guest.errno("fd_fdstat_get", &[fd, 64]), SUCCESS);
                assert_eq!(guest.get(64, 1), [kind], "{fd}");
                assert_eq!(guest.u64(72) & (SEEK | TELL), 0, "{fd}");
                assert_eq!(guest.errno("fd_filestat_get", &[fd, 64]), SUCCESS);
                assert_eq!(guest.get(64 + 16, 1), [kind], "{fd}");
            }
        }
    }
}

#[test]
fn a_stream_has_no_flags() {
    let mut guest = guest();
    for (flags, answer) in [
        (0, SUCCESS),
        (1, ENOTSUP),
        (4, ENOTSUP),
        (0x1f, ENOTSUP),
        (0x20, EINVAL),
        (0x1_0000, EINVAL),
        (0xffff_ffff, EINVAL),
    ] {
        assert_eq!(
            guest.errno("fd_fdstat_set_flags", &[0, flags]),
            answer,
            "{flags:#x}"
        );
    }
    assert_eq!(guest.errno("fd_fdstat_get", &[0, 64]), SUCCESS);
    assert_eq!(guest.u16(66), 0, "a stream has none");
    assert_eq!(guest.errno("fd_fdstat_set_flags", &[3, 0]), EBADF);
}

#[test]
fn rights_can_be_given_up_and_not_taken() {
    let mut guest = guest();
    for (base, inheriting) in [(READ | WRITE, 0), (u64::MAX, 0), (WRITE, 1), (1 << 63, 0)] {
        let answer = guest.errno("fd_fdstat_set_rights", &[1, base, inheriting]);
        assert_eq!(answer, ENOTCAPABLE, "{base:#x}");
    }
    assert_eq!(guest.write(1, b"a").0, SUCCESS);
    assert_eq!(guest.errno("fd_fdstat_set_rights", &[1, 0, 0]), SUCCESS);
    assert_eq!(guest.write(1, b"a").0, ENOTCAPABLE);
    for (name, args) in [
        ("fd_fdstat_set_flags", &[1, 0][..]),
        ("fd_filestat_get", &[1, 64]),
        ("fd_fdstat_set_rights", &[1, WRITE, 0]),
    ] {
        assert_eq!(guest.errno(name, args), ENOTCAPABLE, "{name}");
    }
    assert_eq!(guest.write(2, b"a").0, SUCCESS);
    // stderr can't be read.
    assert_eq!(guest.errno("fd_read", &[2, 0, 0, 8]), ENOTCAPABLE);
    assert_eq!(guest.errno("fd_write", &[0, 0, 0, 8]), ENOTCAPABLE);
}
