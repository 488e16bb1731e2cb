//! Every function of files, with pointers outside of memory (P01), and without the right that it
//! needs.

use super::{
    EBADF, EFAULT, END, ENOTCAPABLE, Guest, NEW, OLD, SUCCESS,
    tree::{ALL, PATH, Tree},
};
use hostel::{Wasi, files::Access};

/// Where the tests put the path of a file, a path of none, and a list of one buffer of 4 bytes.
const THERE: u64 = PATH;
const NEW_PATH: u64 = PATH + 16;
const LIST: u64 = 256;

/// The descriptors of an open file and of a directory.
const FILE: u64 = 4;
const DIR: u64 = 3;

/// A function, arguments with which it works, the positions of those that are pointers, and the
/// right that it needs.
struct Row(&'static str, &'static [u64], &'static [usize], u64);

#[rustfmt::skip] // a table
const ROWS: &[Row] = &[
    Row("fd_advise", &[FILE, 0, 0, 0], &[], 7),
    Row("fd_datasync", &[FILE], &[], 0),
    Row("fd_fdstat_set_flags", &[FILE, 0], &[], 3),
    Row("fd_filestat_get", &[FILE, 8], &[1], 21),
    Row("fd_filestat_get", &[DIR, 8], &[1], 21),
    Row("fd_filestat_set_size", &[FILE, 4], &[], 22),
    Row("fd_filestat_set_times", &[FILE, 0, 0, 0], &[], 23),
    Row("fd_filestat_set_times", &[DIR, 0, 0, 0], &[], 23),
    Row("fd_pread", &[FILE, LIST, 1, 0, 8], &[1, 4], 1),
    Row("fd_pread", &[FILE, LIST, 1, 0, 8], &[1, 4], 2),
    Row("fd_pwrite", &[FILE, LIST, 1, 0, 8], &[1, 4], 6),
    Row("fd_pwrite", &[FILE, LIST, 1, 0, 8], &[1, 4], 2),
    Row("fd_read", &[FILE, LIST, 1, 8], &[1, 3], 1),
    Row("fd_readdir", &[DIR, 512, 100, 0, 8], &[1, 4], 14),
    Row("fd_seek", &[FILE, 0, 0, 8], &[3], 2),
    Row("fd_sync", &[FILE], &[], 4),
    Row("fd_tell", &[FILE, 8], &[1], 5),
    Row("fd_write", &[FILE, LIST, 1, 8], &[1, 3], 6),
    Row("path_create_directory", &[DIR, NEW_PATH, 3], &[1], 9),
    Row("path_filestat_get", &[DIR, 0, THERE, 4, 8], &[2, 4], 18),
    Row("path_filestat_set_times", &[DIR, 0, THERE, 4, 0, 0, 10], &[2], 20),
    Row("path_link", &[DIR, 0, THERE, 4, DIR, NEW_PATH, 3], &[2, 5], 11),
    Row("path_link", &[DIR, 0, THERE, 4, DIR, NEW_PATH, 3], &[2, 5], 12),
    Row("path_open", &[DIR, 0, THERE, 4, 0, 0, 0, 0, 8], &[2, 8], 13),
    Row("path_open", &[DIR, 0, NEW_PATH, 3, 1, 0, 0, 0, 8], &[2, 8], 10),
    Row("path_open", &[DIR, 0, THERE, 4, 8, 0, 0, 0, 8], &[2, 8], 19),
    Row("path_readlink", &[DIR, PATH + 32, 4, 512, 100, 8], &[1, 3, 5], 15),
    Row("path_remove_directory", &[DIR, PATH + 48, 5], &[1], 25),
    Row("path_rename", &[DIR, THERE, 4, DIR, NEW_PATH, 3], &[1, 4], 16),
    Row("path_rename", &[DIR, THERE, 4, DIR, NEW_PATH, 3], &[1, 4], 17),
    Row("path_symlink", &[THERE, 4, DIR, NEW_PATH, 3], &[0, 3], 24),
    Row("path_unlink_file", &[DIR, THERE, 4], &[1], 26),
];

fn tree() -> Tree {
    let tree = Tree::new();
    tree.file("file", "text");
    std::fs::create_dir(tree.inside("empty")).unwrap();
    std::os::unix::fs::symlink("file", tree.inside("link")).unwrap();
    tree
}

fn guest(tree: &Tree, module: &str) -> Guest {
    let wasi = tree.grant(Wasi::new(), Access::ReadWrite);
    let mut guest = Guest::start(&hostel::engine(), module, 1, wasi);
    assert_eq!(guest.create("file"), FILE);
    guest.put(THERE, b"file");
    guest.put(NEW_PATH, b"new");
    guest.put(PATH + 32, b"link");
    guest.put(PATH + 48, b"empty");
    guest.buffers(LIST, &[(512, 4)]);
    guest
}

#[test]
fn each_function_works_with_good_arguments() {
    for module in [NEW, OLD] {
        for Row(name, args, ..) in ROWS {
            let tree = tree();
            assert_eq!(guest(&tree, module).errno(name, args), SUCCESS, "{name}");
        }
    }
}

#[test]
fn a_pointer_out_of_memory_is_a_fault_and_changes_nothing() {
    let tree = tree();
    let before = tree.all();
    for module in [NEW, OLD] {
        let mut guest = guest(&tree, module);
        for Row(name, args, pointers, _) in ROWS {
            for pointer in *pointers {
                for bad in [
                    END,
                    END - 2,
                    0x7fff_fffc,
                    0x8000_0000,
                    0xffff_fffc,
                    0xffff_ffff,
                ] {
                    let mut args = args.to_vec();
                    args[*pointer] = bad;
                    // Two bytes before the end of memory are too few for any of them.
                    assert_eq!(guest.errno(name, &args), EFAULT, "{name}{args:x?}");
                }
            }
        }
        // A buffer of a list lies outside.
        guest.buffers(LIST, &[(END - 1, 2)]);
        for Row(name, args, ..) in ROWS.iter().filter(|row| row.1.contains(&LIST)) {
            assert_eq!(guest.errno(name, args), EFAULT, "{name}");
        }
        guest.close(FILE);
        assert_eq!(tree.all(), before);
    }
}

#[test]
fn lengths_that_run_over_memory_are_refused() {
    let tree = tree();
    let before = tree.all();
    let mut guest = guest(&tree, NEW);
    for Row(name, args, pointers, _) in ROWS {
        // The length of a path or list is the argument after its pointer.
        for pointer in pointers.iter().filter(|at| args[**at] >= LIST) {
            for huge in [END, 1 << 29, 1 << 31, 0xffff_ffff] {
                let mut args = args.to_vec();
                args[pointer + 1] = huge;
                let errno = guest.errno(name, &args);
                let refused = [EFAULT, super::EINVAL, super::ENAMETOOLONG].contains(&errno);
                assert!(refused, "{name}{args:x?}: {errno}");
                // Only a valid first path is charged.
                assert!(guest.0.usage().fuel < 1_200, "{name}");
            }
        }
    }
    guest.close(FILE);
    assert_eq!(tree.all(), before);
}

#[test]
fn each_function_is_refused_without_its_right() {
    for Row(name, args, _, right) in ROWS {
        let tree = tree();
        let mut guest = guest(&tree, NEW);
        let fd = if args[0] == FILE { FILE } else { DIR };
        let (own, inheriting) = guest.rights(fd);
        assert_ne!(own & 1 << right, 0, "{name}");
        let before = tree.all();
        let drop = |guest: &mut Guest, rights| {
            let args = [fd, rights, inheriting];
            assert_eq!(guest.errno("fd_fdstat_set_rights", &args), SUCCESS);
        };
        drop(&mut guest, own & !(1 << right));
        assert_eq!(guest.errno(name, args), ENOTCAPABLE, "{name}, {right}");
        assert_eq!(tree.all(), before, "{name}");
        drop(&mut guest, 0);
        assert_eq!(guest.errno(name, args), ENOTCAPABLE, "{name}");
        let regained = guest.errno("fd_fdstat_set_rights", &[fd, own, inheriting]);
        assert_eq!(regained, ENOTCAPABLE);
    }
}

#[test]
fn each_function_is_refused_with_a_closed_descriptor() {
    let tree = tree();
    let before = tree.all();
    let mut guest = guest(&tree, NEW);
    guest.close(FILE);
    for Row(name, args, ..) in ROWS {
        for bad in [FILE, 5, 0x7fff_ffff, 0xffff_ffff] {
            let places = args.iter().enumerate();
            let at = places.filter(|(at, arg)| match *name {
                "path_symlink" => *at == 2,
                "path_link" => [0, 4].contains(at),
                "path_rename" => [0, 3].contains(at),
                _ => *at == 0 && **arg != LIST,
            });
            for (at, _) in at {
                let mut args = args.to_vec();
                args[at] = bad;
                assert_eq!(guest.errno(name, &args), EBADF, "{name}{args:x?}");
            }
        }
    }
    assert_eq!(tree.all(), before);
    assert_eq!(guest.rights(DIR).1 & !ALL, 0);
}
