//! `path_open`: what it opens, with which rights, and what it refuses.

use super::{
    EBADF, EEXIST, EILSEQ, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTCAPABLE, ENOTDIR,
    EPERM, EROFS, Guest, SUCCESS,
    tree::{
        ALL, ALLOCATE, CREATE, DIRECTORY, EXCLUSIVE, FILE_RIGHTS, FILESTAT, FOLLOW, IS_DIRECTORY,
        IS_FILE, READ, READDIR, ROOT, SEEK, SET_SIZE, TRUNCATE, Tree, WRITE, grant,
    },
};
use hostel::{Wasi, files::Access};

#[test]
fn a_granted_directory_is_found_by_its_name() {
    let (one, two) = (Tree::new(), Tree::new());
    let wasi = one.grant(Wasi::new(), Access::Read);
    let wasi = grant(wasi, "data\0x", Access::ReadWrite, &two.inside(""));
    let mut guest = Guest::new(wasi);
    for (fd, name) in [(3, "/"), (4, "data")] {
        guest.put(64, &[0xff; 8]);
        assert_eq!(guest.errno("fd_prestat_get", &[fd, 64]), SUCCESS);
        assert_eq!((guest.get(64, 4)[0], guest.u32(68)), (0, name.len() as u32));
        let len = name.len() as u64;
        for room in [len, len + 1, 1_000] {
            guest.put(64, &[0xff; 5]);
            assert_eq!(guest.errno("fd_prestat_dir_name", &[fd, 64, room]), SUCCESS);
            assert_eq!(guest.get(64, len), name.as_bytes());
            assert_eq!(guest.get(64 + len, 1), [0xff], "the name and no more");
        }
        let short = guest.errno("fd_prestat_dir_name", &[fd, 64, len - 1]);
        assert_eq!(short, ENAMETOOLONG);
        assert_eq!(guest.stat(fd).kind, IS_DIRECTORY);
    }
    for fd in [0, 2, 5] {
        assert_eq!(guest.errno("fd_prestat_get", &[fd, 64]), super::EBADF);
        let name = guest.errno("fd_prestat_dir_name", &[fd, 64, 9]);
        assert_eq!(name, super::EBADF);
    }
    // A directory that was opened is not one that was granted.
    let opened = guest.open(".", DIRECTORY, ALL & !WRITE).unwrap();
    assert_eq!(guest.errno("fd_prestat_get", &[opened, 64]), super::EBADF);
}

#[test]
fn files_are_made_opened_and_made_empty_by_flags() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let rights = READ | WRITE;
    assert_eq!(guest.open("a", 0, rights), Err(ENOENT));
    let fd = guest.open("a", CREATE | EXCLUSIVE, rights).unwrap();
    assert_eq!(guest.write(fd, b"text"), (SUCCESS, 4));
    assert_eq!(guest.open("a", CREATE | EXCLUSIVE, rights), Err(EEXIST));
    let again = guest.open("a", CREATE, rights).unwrap();
    assert_ne!(fd, again);
    assert_eq!(guest.read(again, 10).unwrap(), b"text");
    guest.open("a", TRUNCATE, 0).unwrap();
    assert_eq!(tree.text("a"), "");
    // Also by a guest that asks for neither reading nor writing.
    let made = guest.open("b", CREATE, FILESTAT).unwrap();
    assert_eq!(guest.read(made, 1), Err(EBADF));
    assert_eq!(guest.write(made, b"x").0, EBADF);
    assert_eq!(guest.errno("fd_filestat_set_size", &[made, 1]), EINVAL);
    assert_eq!(tree.text("b"), "");
}

#[test]
fn a_guest_that_asks_for_no_rights_gets_all_that_the_directory_has() {
    let tree = Tree::new();
    tree.file("dir/a", "text");
    let mut guest = tree.guest();
    let all = guest.rights(ROOT);
    // The directory, with and without the flag for one; it passes on all of its rights.
    for (path, flags) in [(".", 0), (".", DIRECTORY), ("dir", 0), ("dir", DIRECTORY)] {
        let dir = guest.open(path, flags, 0).unwrap();
        assert_eq!(guest.rights(dir), all, "{path} {flags}");
    }
    let dir = guest.open("dir", DIRECTORY, 0).unwrap();
    let file = guest.open_in((dir, 0), "a", 0, (0, 0), 0).unwrap();
    assert_eq!(guest.rights(file).0, all.1 & FILE_RIGHTS);
    assert_eq!(guest.read(file, 10).unwrap(), b"text");
    assert_eq!(guest.write(file, b" more"), (SUCCESS, 5));
    assert_eq!(tree.text("dir/a"), "text more");
    for name in ["fd_sync", "fd_datasync"] {
        assert_eq!(guest.errno(name, &[file]), SUCCESS, "{name}");
    }
    // Opening alone changes nothing.
    let made = guest.open("made", CREATE | EXCLUSIVE, 0).unwrap();
    assert_eq!(guest.write(made, b"x"), (SUCCESS, 1));
    guest.open("made", 0, 0).unwrap();
    assert_eq!(tree.text("made"), "x");
    // Errors are those of opening to read.
    assert_eq!(guest.open("none", 0, 0), Err(ENOENT));
    assert_eq!(guest.open("dir/a", DIRECTORY, 0), Err(ENOTDIR));
    assert_eq!(guest.open("../secret", 0, 0), Err(EPERM));
    // A directory granted for reading has no right to write.
    let mut guest = tree.reader();
    let file = guest.open("dir/a", 0, 0).unwrap();
    assert_eq!(guest.rights(file).0 & (READ | WRITE), READ);
    assert_eq!(guest.read(file, 20).unwrap(), b"text more");
    assert_eq!(guest.write(file, b"x").0, EBADF);
    // Rights that the guest gave up before are not among them.
    let mut guest = tree.guest();
    let dir = guest.open("dir", DIRECTORY, 0).unwrap();
    let (own, _) = guest.rights(dir);
    let given_up = guest.errno("fd_fdstat_set_rights", &[dir, own, READ]);
    assert_eq!(given_up, SUCCESS);
    let file = guest.open_in((dir, 0), "a", 0, (0, 0), 0).unwrap();
    assert_eq!(guest.rights(file).0, READ);
}

#[test]
fn a_guest_that_asks_for_reading_gets_all_other_rights_too() {
    let tree = Tree::new();
    tree.file("a", "text");
    let mut guest = tree.guest();
    let all = guest.rights(ROOT).1 & FILE_RIGHTS;
    let sizes = ALLOCATE | SET_SIZE;
    for (asked, given) in [
        (READ, all & !(WRITE | sizes)),
        (WRITE, all & !READ),
        (READ | WRITE, all),
        (SEEK, all & !(READ | WRITE | sizes)),
    ] {
        let file = guest.open("a", 0, asked).unwrap();
        assert_eq!(guest.rights(file).0, given, "{asked:#x}");
        assert_eq!(guest.seek(file, 0, 2), Ok(4));
        for name in ["fd_sync", "fd_datasync"] {
            assert_eq!(guest.errno(name, &[file]), SUCCESS, "{name} {asked:#x}");
        }
    }
}

#[test]
fn directories_are_no_files_and_the_other_way_round() {
    let tree = Tree::new();
    tree.file("dir/file", "x");
    let mut guest = tree.guest();
    let dir = guest.open("dir", DIRECTORY, ALL & !WRITE).unwrap();
    assert_eq!(guest.stat(dir).kind, IS_DIRECTORY);
    let same = guest.open("dir", 0, READ | FILESTAT).unwrap();
    assert_eq!(guest.stat(same).inode, guest.stat(dir).inode);
    let file = guest.open_in((dir, 0), "file", 0, (READ, 0), 0);
    assert!(
        file.is_ok(),
        "all are handed on, though none were asked for"
    );
    for flags in [0, DIRECTORY] {
        assert_eq!(guest.open("dir", flags, READ | WRITE), Err(EISDIR));
    }
    assert_eq!(guest.open("dir", TRUNCATE, 0), Err(EISDIR));
    assert_eq!(guest.open("dir", CREATE | EXCLUSIVE, 0), Err(EEXIST));
    assert_eq!(guest.open("dir/file", DIRECTORY, 0), Err(ENOTDIR));
    for path in ["dir/file/", "dir/file/.", "dir/file/x"] {
        if cfg!(windows) && path.ends_with('.') {
            continue; // Windows takes the dot away before it looks.
        }
        assert_eq!(guest.open(path, 0, 0), Err(ENOTDIR), "{path}");
    }
    // A file can't stand for a directory.
    let file = guest.open("dir/file", 0, READ | FILESTAT).unwrap();
    assert_eq!(guest.stat(file).kind, IS_FILE);
    assert_eq!(guest.open_in((file, 0), "x", 0, (READ, 0), 0), Err(ENOTDIR));
}

#[test]
fn unknown_flags_are_refused() {
    let tree = Tree::new();
    tree.file("a", "x");
    let mut guest = tree.guest();
    for flags in [
        16,
        0xffff,
        0x1_0000,
        DIRECTORY | CREATE,
        DIRECTORY | TRUNCATE,
        DIRECTORY | EXCLUSIVE,
    ] {
        assert_eq!(guest.open("a", flags, 0), Err(EINVAL), "{flags:#x}");
    }
    for lookup in [2, 3, 0xffff_ffff] {
        let opened = guest.open_in((ROOT, lookup), "a", 0, (0, 0), 0);
        assert_eq!(opened, Err(EINVAL), "{lookup:#x}");
    }
    for fd_flags in [32, 0xffff, 0x1_0000] {
        let opened = guest.open_in((ROOT, 0), "a", 0, (0, 0), fd_flags);
        assert_eq!(opened, Err(EINVAL), "{fd_flags:#x}");
    }
    let every_flag = guest.open_in((ROOT, FOLLOW), "a", 0, (READ, 0), 0x1f);
    assert!(every_flag.is_ok());
}

#[test]
fn bad_paths_are_refused() {
    let tree = Tree::new();
    tree.file("a", "x");
    let mut guest = tree.guest();
    assert_eq!(guest.open("", 0, 0), Err(ENOENT));
    assert_eq!(guest.open("a\0", 0, 0), Err(EINVAL));
    assert_eq!(guest.open("\0", 0, 0), Err(EINVAL));
    let too_long = if cfg!(unix) { ENAMETOOLONG } else { ENOENT };
    assert_eq!(guest.open(&"a".repeat(256), 0, 0), Err(too_long));
    let long = format!("{}a", "./".repeat(2_047));
    assert!(guest.open(&long, 0, 0).is_ok(), "4,095 bytes");
    assert_eq!(guest.open(&format!("./{long}"), 0, 0), Err(ENAMETOOLONG));
    guest.put(super::tree::PATH, &[b'a', 0xff, 0xfe]);
    let args = [ROOT, 0, super::tree::PATH, 3, 0, 0, 0, 0, 64];
    assert_eq!(guest.errno("path_open", &args), EILSEQ);
    // The length is refused before a byte is read.
    let args = [ROOT, 0, super::tree::PATH, 0xffff_ffff, 0, 0, 0, 0, 64];
    assert_eq!(guest.errno("path_open", &args), ENAMETOOLONG);
    assert!(guest.0.usage().fuel < 100);
}

#[test]
fn rights_are_those_of_the_directory_at_most() {
    let tree = Tree::new();
    tree.file("dir/a", "x");
    let mut guest = tree.guest();
    // Rights that guests ask for by habit, and can't have, are left out.
    let file = guest.open("dir/a", 0, ALL).unwrap();
    assert_eq!(guest.rights(file).0 & READDIR, 0);
    assert_ne!(guest.rights(file).0 & (READ | WRITE | SEEK), 0);
    let read = (READ | READDIR, READ | SEEK);
    let dir = guest.open_in((ROOT, 0), "dir", 0, (ALL & !WRITE, read.1), 0);
    let dir = dir.unwrap();
    // A directory hands on the rights that it has, whatever was asked, until they are given up.
    let (own, inheriting) = guest.rights(dir);
    assert_eq!(inheriting, guest.rights(ROOT).1);
    let given_up = guest.errno("fd_fdstat_set_rights", &[dir, own, read.1]);
    assert_eq!((given_up, guest.rights(dir).1), (SUCCESS, read.1));
    let opened = guest.open_in((dir, 0), "a", 0, (READ | WRITE, 0), 0);
    assert_eq!(opened, Err(ENOTCAPABLE));
    let opened = guest.open_in((dir, 0), "a", 0, (READ | SEEK, ALL), 0);
    assert_eq!(guest.rights(opened.unwrap()), (READ | SEEK, read.1));
}

#[test]
fn a_read_only_directory_is_not_changed() {
    let tree = Tree::new();
    tree.file("dir/a", "text");
    let before = tree.all();
    let mut guest = tree.reader();
    let fd = guest.open("dir/a", 0, ALL & !WRITE).unwrap();
    assert_eq!(guest.read(fd, 10).unwrap(), b"text");
    for (name, args, answer) in [
        ("fd_write", &[fd, 0, 0, 64][..], EBADF),
        ("fd_pwrite", &[fd, 0, 0, 0, 64], EBADF),
        ("fd_filestat_set_size", &[fd, 0], EROFS),
        ("fd_filestat_set_times", &[fd, 0, 0, 10], EROFS),
        ("fd_filestat_set_times", &[ROOT, 0, 0, 10], EROFS),
        ("fd_allocate", &[fd, 0, 1], EROFS),
        // There is nothing to store.
        ("fd_sync", &[fd], SUCCESS),
        ("fd_datasync", &[fd], SUCCESS),
    ] {
        assert_eq!(guest.errno(name, args), answer, "{name}");
    }
    for flags in [CREATE, CREATE | EXCLUSIVE, TRUNCATE, CREATE | TRUNCATE] {
        for rights in [0, READ, READ | WRITE] {
            assert_eq!(guest.open("dir/a", flags, rights), Err(EROFS));
            assert_eq!(guest.open("new", flags, rights), Err(EROFS));
        }
    }
    // The directory says that files in it may have the right to write. So that guest has to get an
    // error.
    assert_ne!(guest.rights(ROOT).1 & WRITE, 0);
    assert_eq!(guest.open("dir/a", 0, READ | WRITE), Err(EROFS));
    for name in [
        "path_create_directory",
        "path_remove_directory",
        "path_unlink_file",
    ] {
        assert_eq!(guest.at(name, "dir/a"), EROFS, "{name}");
    }
    assert_eq!(guest.rename((ROOT, "dir/a"), (ROOT, "b")), EROFS);
    assert_eq!(guest.link((ROOT, 0, "dir/a"), (ROOT, "b")), EROFS);
    assert_eq!(guest.symlink("dir/a", "b"), EROFS);
    let (ptr, len) = guest.path("dir/a");
    let args = [ROOT, 0, ptr, len, 0, 0, 10];
    assert_eq!(guest.errno("path_filestat_set_times", &args), EROFS);
    // A directory that is opened in it is no detour.
    let dir = guest.open_in((ROOT, 0), "dir", 0, (ALL & !WRITE, ALL), 0);
    let opened = guest.open_in((dir.unwrap(), 0), "a", 0, (WRITE, 0), 0);
    assert_eq!(opened, Err(EROFS));
    // A right that the guest gave up is another matter.
    let given_up = guest.errno("fd_fdstat_set_rights", &[ROOT, 0, 0]);
    assert_eq!(given_up, SUCCESS);
    assert_eq!(guest.open("dir/a", 0, READ), Err(ENOTCAPABLE));
    assert_eq!(tree.all(), before);
}

#[test]
fn a_file_of_a_read_only_directory_gets_no_name_in_another() {
    let (readable, writable) = (Tree::new(), Tree::new());
    readable.file("a", "text");
    let wasi = readable.grant(Wasi::new(), Access::Read);
    let wasi = grant(wasi, "/rw", Access::ReadWrite, &writable.inside(""));
    let mut guest = Guest::new(wasi);
    assert_eq!(guest.link((3, 0, "a"), (4, "a")), EPERM);
    assert_eq!(guest.rename((3, "a"), (4, "a")), EPERM);
    writable.file("b", "");
    assert_eq!(guest.link((4, 0, "b"), (3, "b")), EROFS);
    assert_eq!(guest.rename((4, "b"), (3, "b")), EROFS);
    // Between two directories that may be changed, both work.
    let wasi = readable.grant(Wasi::new(), Access::ReadWrite);
    let wasi = grant(wasi, "/rw", Access::ReadWrite, &writable.inside(""));
    let mut guest = Guest::new(wasi);
    assert_eq!(guest.link((3, 0, "a"), (4, "c")), SUCCESS);
    assert_eq!(guest.rename((3, "a"), (4, "a")), SUCCESS);
    assert_eq!(
        (&*writable.text("a"), &*writable.text("c")),
        ("text", "text")
    );
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_followed_if_the_guest_says_so() {
    let tree = Tree::new();
    tree.file("dir/a", "text");
    let mut guest = tree.guest();
    assert_eq!(guest.symlink("dir", "to_dir"), SUCCESS);
    assert_eq!(guest.symlink("dir/../to_dir/a", "to_file"), SUCCESS);
    for (path, target) in [("to_dir", "dir"), ("to_file", "dir/../to_dir/a")] {
        assert_eq!(guest.open(path, 0, READ), Err(ELOOP));
        assert_eq!(guest.open(path, CREATE | EXCLUSIVE, READ), Err(EEXIST));
        assert!(guest.open_in((ROOT, FOLLOW), path, 0, (READ, 0), 0).is_ok());
        assert_eq!(guest.read_link(path).unwrap(), target.as_bytes());
    }
    // Links before the last name are always followed.
    let fd = guest.open("to_dir/a", 0, READ).unwrap();
    assert_eq!(guest.read(fd, 9).unwrap(), b"text");
    assert_eq!(guest.read_link("dir"), Err(EINVAL));
    assert_eq!(guest.symlink("/etc", "absolute"), EPERM);
    assert_eq!(guest.read_link("absolute"), Err(ENOENT));
    assert_eq!(
        guest.symlink(&format!("{}a", "./".repeat(31)), "long"),
        SUCCESS
    );
    let longer = guest.symlink(&format!("{}a", "./".repeat(32)), "longer");
    assert_eq!(longer, ENAMETOOLONG);
}
