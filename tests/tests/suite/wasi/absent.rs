//! Functions of files, directories and sockets, with descriptors of stdio, and without any
//! directory granted.

use super::{EBADF, ENOSYS, ENOTCAPABLE, ENOTDIR, ENOTSOCK, ESPIPE, FUNCTIONS, Guest, SUCCESS};
use hostel::Wasi;

/// The error number of each function, with a descriptor of stdio.
const ANSWERS: [(&str, u32); 26] = [
    ("fd_advise", ESPIPE),
    ("fd_allocate", ESPIPE),
    ("fd_datasync", ENOTCAPABLE),
    ("fd_filestat_set_size", ENOTCAPABLE),
    ("fd_filestat_set_times", ENOTCAPABLE),
    ("fd_pread", ESPIPE),
    ("fd_prestat_get", EBADF),
    ("fd_prestat_dir_name", EBADF),
    ("fd_pwrite", ESPIPE),
    ("fd_readdir", ENOTDIR),
    ("fd_seek", ESPIPE),
    ("fd_sync", ENOTCAPABLE),
    ("fd_tell", ESPIPE),
    ("path_create_directory", ENOTDIR),
    ("path_filestat_get", ENOTDIR),
    ("path_filestat_set_times", ENOTDIR),
    ("path_link", ENOTDIR),
    ("path_open", ENOTDIR),
    ("path_readlink", ENOTDIR),
    ("path_remove_directory", ENOTDIR),
    ("path_rename", ENOTDIR),
    ("path_unlink_file", ENOTDIR),
    ("sock_accept", ENOTSOCK),
    ("sock_recv", ENOTSOCK),
    ("sock_send", ENOTSOCK),
    ("sock_shutdown", ENOTSOCK),
];

#[test]
fn functions_of_files_fail_on_stdio() {
    for mut guest in [
        Guest::new(Wasi::new()),
        Guest::old(Wasi::new()),
        Guest::bare(Wasi::new()),
    ] {
        for (name, answer) in ANSWERS {
            let (_, params) = FUNCTIONS.iter().find(|(known, _)| *known == name).unwrap();
            for fd in 0..3 {
                let mut args = vec![0; params.len()];
                args[0] = fd;
                assert_eq!(guest.errno(name, &args), answer, "{name}({fd})");
            }
            for fd in [3, 4, 1_000, 0x7fff_ffff, 0xffff_ffff] {
                let mut args = vec![0; params.len()];
                args[0] = fd;
                assert_eq!(guest.errno(name, &args), EBADF, "{name}({fd:#x})");
            }
        }
        assert_eq!(guest.errno("path_symlink", &[0, 1, 2, 0, 1]), ENOTDIR);
        assert_eq!(guest.errno("path_symlink", &[0, 1, 3, 0, 1]), EBADF);
        assert_eq!(guest.errno("proc_raise", &[6]), ENOSYS);
        assert_eq!(guest.errno("sched_yield", &[]), SUCCESS);
    }
}

#[test]
fn the_largest_values_do_no_harm() {
    for extreme in [u32::MAX, i32::MAX.cast_unsigned(), i32::MIN.cast_unsigned()] {
        for (name, params) in FUNCTIONS {
            let mut guest = Guest::new(Wasi::new().random_seed(1).args(["a"]).env([("a", "b")]));
            let args: Vec<_> = params
                .chars()
                .map(|param| match param {
                    'l' => u64::from(extreme) << 32 | u64::from(extreme),
                    _ => u64::from(extreme),
                })
                .collect();
            let errno = guest.errno(name, &args);
            assert_eq!(errno == SUCCESS, name == "sched_yield", "{name}: {errno}");
        }
    }
}
