//! What the public test suite of WASI expects of files, told anew: each test here has the name of
//! one there.

use super::{
    EBADF, EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTCAPABLE, ENOTDIR, ENOTEMPTY, EPERM, Guest,
    SUCCESS,
    tree::{
        ADVISE, ALL, ALLOCATE, APPEND, CREATE, DATA, DIRECTORY, EXCLUSIVE, FILESTAT, FOLLOW,
        IS_FILE, READ, READDIR, RESULT, ROOT, SEEK, SET_SIZE, SYNC, Stat, TELL, TRUNCATE, Tree,
        WRITE, grant,
    },
};
use hostel::{Wasi, files::Access};

/// Runs a test with a guest that has a directory of its own.
fn with(test: impl FnOnce(&mut Guest)) {
    let tree = Tree::new();
    let mut guest = tree.guest();
    test(&mut guest);
}

/// Opens a directory with all rights that it can have.
fn open_dir(guest: &mut Guest, path: &str) -> u64 {
    let rights = (ALL & !WRITE, ALL);
    let opened = guest.open_in((ROOT, 0), path, DIRECTORY, rights, 0);
    opened.expect("it is a directory")
}

fn make_file(guest: &mut Guest, path: &str) {
    let fd = guest.open(path, CREATE | EXCLUSIVE, READ | WRITE).unwrap();
    guest.close(fd);
}

#[test]
fn close_preopen() {
    with(|guest| {
        let dir = open_dir(guest, ".");
        guest.close(ROOT);
        assert_eq!(guest.errno("fd_fdstat_get", &[ROOT, RESULT]), EBADF);
        assert_eq!(guest.errno("fd_renumber", &[dir, ROOT]), EBADF);
        assert_eq!(guest.errno("fd_fdstat_get", &[dir, RESULT]), SUCCESS);
    });
}

#[test]
fn overwrite_preopen() {
    with(|guest| {
        assert_eq!(guest.at("path_create_directory", "dir"), SUCCESS);
        let dir = open_dir(guest, "dir");
        let old = guest.stat(dir);
        assert_eq!(guest.errno("fd_renumber", &[dir, ROOT]), SUCCESS);
        let new = guest.stat(ROOT);
        assert_eq!((old.device, old.inode), (new.device, new.inode));
        assert_eq!(guest.errno("fd_fdstat_get", &[dir, RESULT]), EBADF);
    });
}

#[test]
fn dangling_fd() {
    with(|guest| {
        let file = guest.open("file", CREATE, 0).unwrap();
        assert_eq!(guest.at("path_unlink_file", "file"), SUCCESS);
        let again = guest.open("file", CREATE, 0).unwrap();
        guest.close(file);
        guest.close(again);
        assert_eq!(guest.at("path_create_directory", "sub"), SUCCESS);
        let sub = open_dir(guest, "sub");
        assert_eq!(guest.at("path_remove_directory", "sub"), SUCCESS);
        assert_eq!(guest.at("path_create_directory", "sub"), SUCCESS);
        let opened = guest.open_in((sub, 0), "x", CREATE, (WRITE, 0), 0);
        assert_eq!(opened, Err(ENOENT), "it is not the new one");
    });
}

#[test]
fn dangling_symlink() {
    with(|guest| {
        assert_eq!(guest.symlink("target", "symlink"), SUCCESS);
        let as_directory = guest.open("symlink", DIRECTORY, 0);
        assert!([Err(ENOTDIR), Err(ELOOP)].contains(&as_directory));
        assert_eq!(guest.open("symlink", 0, 0), Err(ELOOP));
    });
}

#[test]
fn directory_seek() {
    with(|guest| {
        assert_eq!(guest.at("path_create_directory", "dir"), SUCCESS);
        let dir = guest.open("dir", DIRECTORY, SEEK).unwrap();
        for whence in 0..3 {
            assert_eq!(guest.seek(dir, 0, whence), Err(EISDIR));
        }
        assert_eq!(guest.rights(dir).0 & SEEK, 0);
    });
}

#[test]
fn fd_advise_and_file_allocate() {
    with(|guest| {
        let rights = READ | WRITE | ADVISE | FILESTAT | SET_SIZE | ALLOCATE;
        let fd = guest.open("file", CREATE, rights).unwrap();
        assert_eq!(guest.errno("fd_filestat_set_size", &[fd, 100]), SUCCESS);
        assert_eq!(guest.errno("fd_advise", &[fd, 10, 50, 0]), SUCCESS);
        // As the suite allows.
        let allocate = guest.errno("fd_allocate", &[fd, 100, 100]);
        assert_eq!(allocate, super::ENOTSUP);
        assert_eq!(guest.stat(fd).size, 100);
    });
}

#[test]
fn fd_fdstat_set_rights() {
    with(|guest| {
        let fd = guest
            .open("file", CREATE, READ | WRITE | SEEK | TELL)
            .unwrap();
        assert_eq!(guest.write(fd, &[0, 1, 2, 3]), (SUCCESS, 4));
        assert_eq!(guest.seek(fd, 0, 0), Ok(0));
        assert_eq!(guest.read(fd, 4).unwrap(), [0, 1, 2, 3]);
        let args = [fd, SEEK | TELL, 0];
        assert_eq!(guest.errno("fd_fdstat_set_rights", &args), SUCCESS);
        assert_eq!(guest.rights(fd).0, SEEK | TELL);
        assert_eq!(guest.read(fd, 4), Err(ENOTCAPABLE));
        assert_eq!(guest.write(fd, b"x").0, ENOTCAPABLE);
        let args = [fd, READ | SEEK | TELL, 0];
        assert_eq!(guest.errno("fd_fdstat_set_rights", &args), ENOTCAPABLE);
    });
}

#[test]
fn fd_filestat_set() {
    with(|guest| {
        let fd = guest.create("file");
        assert_eq!(guest.stat(fd).size, 0);
        assert_eq!(guest.errno("fd_filestat_set_size", &[fd, 100]), SUCCESS);
        let old = guest.stat(fd);
        let modified = old.times[1] - 100;
        let args = [fd, modified, modified, 4];
        assert_eq!(guest.errno("fd_filestat_set_times", &args), SUCCESS);
        let new = guest.stat(fd);
        assert_eq!((new.size, new.times[0]), (100, old.times[0]));
        assert_eq!(new.times[1], modified);
    });
}

#[test]
fn fd_flags_set() {
    with(|guest| {
        let opened = guest.open_in((ROOT, 0), "file", CREATE, (ALL, 0), APPEND);
        let fd = opened.unwrap();
        assert_eq!(guest.write(fd, &[0; 100]), (SUCCESS, 100));
        guest.seek(fd, 0, 0).unwrap();
        assert_eq!(guest.read(fd, 100).unwrap(), [0; 100]);
        guest.seek(fd, 0, 0).unwrap();
        assert_eq!(guest.write(fd, &[1; 100]), (SUCCESS, 100));
        guest.seek(fd, 100, 0).unwrap();
        assert_eq!(guest.read(fd, 100).unwrap(), [1; 100]);
        assert_eq!(guest.errno("fd_fdstat_set_flags", &[fd, 0]), SUCCESS);
        guest.seek(fd, 0, 0).unwrap();
        assert_eq!(guest.write(fd, &[2; 100]), (SUCCESS, 100));
        guest.seek(fd, 0, 0).unwrap();
        assert_eq!(guest.read(fd, 100).unwrap(), [2; 100]);
        assert_eq!(guest.stat(fd).size, 200);
    });
}

#[test]
fn fd_readdir() {
    with(|guest| {
        let names = guest.list(ROOT, 256).unwrap();
        assert_eq!(names.len(), 2);
        let file = guest.create("file");
        let inode = guest.stat(file).inode;
        let args = [ROOT, DATA, 256, 0, RESULT];
        assert_eq!(guest.errno("fd_readdir", &args), SUCCESS);
        let second = DATA + 25;
        let cookie = guest.u64(second);
        // From the second one's cookie on there is the third, and only that.
        let args = [ROOT, DATA, 256, cookie, RESULT];
        assert_eq!(guest.errno("fd_readdir", &args), SUCCESS);
        assert_eq!(guest.u32(RESULT), 28);
        assert_eq!((guest.u64(DATA + 8), guest.u32(DATA + 16)), (inode, 4));
        assert_eq!(guest.get(DATA + 20, 8), b"\x04\0\0\0file");
    });
}

#[test]
fn fd_readdir_lots() {
    let tree = Tree::new();
    for count in 0..1_000 {
        tree.file(&format!("file.{count}"), "");
    }
    assert_eq!(tree.guest().list(ROOT, 256).unwrap().len(), 1_002);
}

#[test]
fn file_pread_pwrite() {
    with(|guest| {
        let fd = guest.create("file");
        guest.put(DATA, &[0, 1, 2, 3]);
        guest.buffers(0, &[(DATA, 4)]);
        assert_eq!(guest.errno("fd_pwrite", &[fd, 0, 1, 0, RESULT]), SUCCESS);
        assert_eq!(guest.errno("fd_pread", &[fd, 0, 1, 0, RESULT]), SUCCESS);
        assert_eq!(
            (guest.u32(RESULT), guest.get(DATA, 4)),
            (4, vec![0, 1, 2, 3])
        );
        // In two, from an offset, over the end.
        guest.buffers(0, &[(DATA, 2), (DATA + 50, 2)]);
        assert_eq!(guest.errno("fd_pread", &[fd, 0, 2, 1, RESULT]), SUCCESS);
        assert_eq!(guest.u32(RESULT), 3);
        assert_eq!(
            (guest.get(DATA, 2), guest.get(DATA + 50, 1)),
            (vec![1, 2], vec![3])
        );
        assert_eq!(guest.seek(fd, 0, 1), Ok(0));
    });
}

#[test]
fn file_seek_tell() {
    with(|guest| {
        let fd = guest
            .open("file", CREATE, READ | WRITE | SEEK | TELL)
            .unwrap();
        assert_eq!(guest.seek(fd, 0, 1), Ok(0));
        assert_eq!(guest.write(fd, &[0; 100]), (SUCCESS, 100));
        assert_eq!(guest.seek(fd, 0, 1), Ok(100));
        assert_eq!(guest.seek(fd, -50, 1), Ok(50));
        assert_eq!(guest.seek(fd, 0, 0), Ok(0));
        assert_eq!(guest.seek(fd, 1_000, 1), Ok(1_000));
        assert_eq!(guest.seek(fd, -2_000, 1), Err(EINVAL));
        assert_eq!(guest.seek(fd, 0, 0), Ok(0));
        assert_eq!(guest.read(fd, 100).unwrap().len(), 100);
        assert_eq!(guest.seek(fd, 0, 1), Ok(100));
    });
}

#[test]
fn file_truncation() {
    with(|guest| {
        let fd = guest.create("file");
        assert_eq!(
            guest.write(fd, b"this content will be truncated!"),
            (SUCCESS, 31)
        );
        guest.close(fd);
        let fd = guest
            .open("file", CREATE | TRUNCATE, ALL & !READDIR)
            .unwrap();
        assert_eq!(guest.read(fd, 16).unwrap(), b"");
        assert_eq!(guest.stat(fd).size, 0);
    });
}

#[test]
fn file_unbuffered_write() {
    with(|guest| {
        make_file(guest, "file");
        let reader = guest.open("file", 0, READ).unwrap();
        let writer = guest.open("file", 0, WRITE).unwrap();
        assert_eq!(guest.write(writer, &[1]), (SUCCESS, 1));
        assert_eq!(guest.read(reader, 5).unwrap(), [1]);
    });
}

#[test]
fn interesting_paths() {
    with(|guest| {
        assert_eq!(guest.at("path_create_directory", "dir"), SUCCESS);
        assert_eq!(guest.at("path_create_directory", "dir/nested"), SUCCESS);
        make_file(guest, "dir/nested/file");
        for (path, answer) in [
            ("/dir/nested/file", Some(EPERM)),
            ("dir/.//nested/../../dir/nested/../nested///./file", None),
            ("dir/nested/file\0", Some(EINVAL)),
            ("dir/nested/file/", Some(ENOTDIR)),
            ("dir/nested/file///", Some(ENOTDIR)),
            ("dir/nested/", None),
            ("dir/nested///", None),
            ("dir/nested/../../../inside/dir/nested/file", Some(EPERM)),
        ] {
            assert_eq!(guest.open(path, 0, 0).err(), answer, "{path:?}");
        }
    });
}

#[test]
fn isatty() {
    with(|guest| {
        let fd = guest.create("file");
        assert_eq!(guest.errno("fd_fdstat_get", &[fd, RESULT]), SUCCESS);
        assert_eq!(guest.get(RESULT, 1), [IS_FILE]);
    });
}

#[test]
fn nofollow_errors() {
    with(|guest| {
        assert_eq!(guest.at("path_create_directory", "target"), SUCCESS);
        assert_eq!(guest.symlink("target", "symlink"), SUCCESS);
        let as_directory = |guest: &mut Guest| guest.open("symlink", DIRECTORY, 0);
        assert!([Err(ELOOP), Err(ENOTDIR)].contains(&as_directory(guest)));
        assert_eq!(guest.open("symlink", 0, 0), Err(ELOOP));
        let followed = (ROOT, FOLLOW);
        let opened = guest.open_in(followed, "symlink", DIRECTORY, (0, 0), 0);
        assert!(opened.is_ok());
        assert_eq!(guest.at("path_unlink_file", "symlink"), SUCCESS);
        assert_eq!(guest.at("path_remove_directory", "target"), SUCCESS);
        make_file(guest, "target");
        assert_eq!(guest.symlink("target", "symlink"), SUCCESS);
        assert!([Err(ELOOP), Err(ENOTDIR)].contains(&as_directory(guest)));
        assert_eq!(guest.open("symlink", 0, 0), Err(ELOOP));
        let opened = guest.open_in(followed, "symlink", DIRECTORY, (0, 0), 0);
        assert_eq!(opened, Err(ENOTDIR));
    });
}

#[test]
fn path_exists() {
    with(|guest| {
        assert_eq!(guest.at("path_create_directory", "subdir"), SUCCESS);
        for lookup in [0, FOLLOW] {
            assert!(guest.stat_at(lookup, "subdir").is_ok());
            assert_eq!(guest.stat_at(lookup, "subdir/none"), Err(ENOENT));
        }
        assert_eq!(guest.symlink("subdir", "link"), SUCCESS);
        assert!(guest.stat_at(FOLLOW, "link/.").is_ok());
    });
}

#[test]
fn path_filestat() {
    with(|guest| {
        let opened = guest.open_in((ROOT, 0), "file", CREATE, (ALL, 0), APPEND | SYNC);
        let fd = opened.unwrap();
        assert_eq!(guest.errno("fd_fdstat_get", &[fd, RESULT]), SUCCESS);
        assert_eq!(u64::from(guest.u16(RESULT + 2)), APPEND | SYNC);
        let stat = guest.stat_at(0, "file").unwrap();
        assert_eq!(stat.size, 0);
        let modified = stat.times[1] - 100;
        for (flags, answer) in [(4, SUCCESS), (4 | 8, EINVAL), (1 | 2, EINVAL)] {
            let (ptr, len) = guest.path("file");
            let args = [ROOT, 0, ptr, len, 0, modified, flags];
            assert_eq!(guest.errno("path_filestat_set_times", &args), answer);
            assert_eq!(guest.stat_at(0, "file").unwrap().times[1], modified);
        }
    });
}

#[test]
fn path_link() {
    with(|guest| {
        let same = |a: Stat, b: Stat| assert_eq!(a, b);
        let rights = ALL & !READDIR;
        let file = guest.create("file");
        let here = (ROOT, 0, "file");
        assert_eq!(guest.link(here, (ROOT, "link")), SUCCESS);
        let link = guest.open("link", 0, rights).unwrap();
        same(guest.stat(file), guest.stat(link));
        assert_eq!(guest.rights(file), guest.rights(link));
        guest.close(link);
        assert_eq!(guest.at("path_unlink_file", "link"), SUCCESS);
        assert_eq!(guest.at("path_create_directory", "subdir"), SUCCESS);
        let subdir = open_dir(guest, "subdir");
        assert_eq!(guest.link(here, (subdir, "link")), SUCCESS);
        let link = guest.open("subdir/link", 0, rights).unwrap();
        same(guest.stat(file), guest.stat(link));
        make_file(guest, "taken");
        assert_eq!(guest.link(here, (ROOT, "taken")), EEXIST);
        assert_eq!(guest.link(here, (ROOT, "file")), EEXIST);
        assert_eq!(guest.link(here, (ROOT, "subdir")), EEXIST);
        assert_eq!(guest.link((ROOT, 0, "subdir"), (ROOT, "link")), EPERM);
        assert_eq!(guest.link(here, (ROOT, "link/")), ENOENT);
        assert_eq!(guest.symlink("target", "symlink"), SUCCESS);
        assert_eq!(guest.link((ROOT, 0, "symlink"), (ROOT, "link")), SUCCESS);
        assert_eq!(guest.read_link("link").unwrap(), b"target");
        assert_eq!(guest.symlink("loop", "loop"), SUCCESS);
        assert_eq!(guest.link((ROOT, 0, "loop"), (ROOT, "loop2")), SUCCESS);
        assert_eq!(guest.link(here, (ROOT, "symlink")), EEXIST);
        let follows = guest.link((ROOT, FOLLOW, "symlink"), (ROOT, "x"));
        assert_eq!(follows, EINVAL);
    });
}

#[test]
fn path_open() {
    with(|guest| {
        make_file(guest, "file");
        assert_eq!(guest.open("file", CREATE | EXCLUSIVE, 0), Err(EEXIST));
        assert_eq!(guest.open("none", 0, 0), Err(ENOENT));
        let file = guest.open("file", 0, READ).unwrap();
        let opened = guest.open_in((file, 0), "file", 0, (0, 0), 0);
        assert_eq!(opened, Err(ENOTDIR));
        let nonblock = guest.open_in((ROOT, 0), "file", 0, (READ, 0), 4);
        assert!(nonblock.is_ok());
    });
}

#[test]
fn path_open_preopen() {
    with(|guest| {
        let (own, inheriting) = guest.rights(ROOT);
        let named = [
            9, 10, 11, 12, 13, 14, 15, 16, 17, 24, 25, 26, 18, 20, 21, 23,
        ];
        for bit in named {
            assert_ne!(own & 1 << bit, 0, "{bit}");
        }
        for bit in named.into_iter().chain([0, 1, 2, 3, 4, 5, 6, 7, 8, 22, 27]) {
            assert_ne!(inheriting & 1 << bit, 0, "{bit}");
        }
        for (flags, rights) in [
            (0, (own, inheriting)),
            (0, (0, 0)),
            (DIRECTORY, (0, 0)),
            (DIRECTORY, (READ, 0)),
        ] {
            let opened = guest.open_in((ROOT, 0), ".", flags, rights, 0);
            assert!(opened.is_ok(), "{flags}");
        }
        assert_eq!(guest.open(".", DIRECTORY, READ | WRITE), Err(EISDIR));
    });
}

#[test]
fn path_open_read_write() {
    with(|guest| {
        make_file(guest, "file");
        let reader = guest.open("file", 0, READ).unwrap();
        assert_eq!(guest.rights(reader).0 & (READ | WRITE), READ);
        assert_eq!(guest.read(reader, 100).unwrap(), b"");
        assert_eq!(guest.write(reader, &[1; 50]).0, ENOTCAPABLE);
        let writer = guest.open("file", 0, WRITE).unwrap();
        assert_eq!(guest.rights(writer).0 & (READ | WRITE), WRITE);
        assert_eq!(guest.read(writer, 100), Err(ENOTCAPABLE));
        assert_eq!(guest.write(writer, &[1; 50]), (SUCCESS, 50));
        let both = guest.open("file", 0, READ | WRITE | FILESTAT).unwrap();
        assert_eq!(guest.read(both, 100).unwrap(), [1; 50]);
        assert_eq!(guest.write(both, &[2; 25]), (SUCCESS, 25));
        assert_eq!(guest.stat(both).size, 75);
    });
}

#[test]
fn path_rename() {
    with(|guest| {
        let make_dir = |guest: &mut Guest, path| {
            assert_eq!(guest.at("path_create_directory", path), SUCCESS);
        };
        let rename = |guest: &mut Guest, from, to| guest.rename((ROOT, from), (ROOT, to));
        make_dir(guest, "source");
        assert_eq!(rename(guest, "source", "target"), SUCCESS);
        assert_eq!(guest.open("source", DIRECTORY, 0), Err(ENOENT));
        make_dir(guest, "source");
        assert_eq!(
            rename(guest, "source", "target"),
            SUCCESS,
            "over an empty one"
        );
        make_dir(guest, "source");
        make_file(guest, "target/file");
        assert_eq!(rename(guest, "source", "target"), ENOTEMPTY);
        assert_eq!(rename(guest, "source", "target/file"), ENOTDIR);
        make_file(guest, "a");
        make_file(guest, "b");
        assert_eq!(rename(guest, "a", "c"), SUCCESS);
        assert_eq!(rename(guest, "b", "c"), SUCCESS, "over a file");
        assert_eq!(guest.open("b", 0, 0), Err(ENOENT));
        assert_eq!(rename(guest, "c", "source"), EISDIR);
        assert_eq!(rename(guest, "none", "x"), ENOENT);
    });
}

#[test]
fn path_rename_dir_trailing_slashes() {
    with(|guest| {
        assert_eq!(guest.at("path_create_directory", "source"), SUCCESS);
        for (from, to) in [
            ("source/", "target"),
            ("target", "source/"),
            ("source/", "target/"),
            ("target", "source"),
        ] {
            assert_eq!(
                guest.rename((ROOT, from), (ROOT, to)),
                SUCCESS,
                "{from} {to}"
            );
        }
        make_file(guest, "file");
        assert_eq!(guest.rename((ROOT, "file/"), (ROOT, "x")), ENOTDIR);
    });
}

#[test]
fn path_symlink_trailing_slashes() {
    with(|guest| {
        assert_eq!(guest.symlink("source", "target/"), ENOENT);
        assert_eq!(guest.symlink("source", "target"), SUCCESS);
        assert_eq!(guest.at("path_unlink_file", "target"), SUCCESS);
        assert_eq!(guest.at("path_create_directory", "target"), SUCCESS);
        assert_eq!(guest.symlink("source", "target/"), EEXIST);
        assert_eq!(guest.symlink("source", "target"), EEXIST);
        make_file(guest, "file");
        assert!([ENOTDIR, EEXIST].contains(&guest.symlink("source", "file/")));
        assert_eq!(guest.symlink("source", "file"), EEXIST);
    });
}

#[test]
fn readlink() {
    with(|guest| {
        make_file(guest, "target");
        assert_eq!(guest.symlink("target", "symlink"), SUCCESS);
        for (room, used) in [(10, 6), (6, 6), (4, 4), (0, 0)] {
            let (ptr, len) = guest.path("symlink");
            guest.put(DATA, &[0; 10]);
            let args = [ROOT, ptr, len, DATA, room, RESULT];
            assert_eq!(guest.errno("path_readlink", &args), SUCCESS);
            assert_eq!(u64::from(guest.u32(RESULT)), used);
            let mut expected = b"target"[..used as usize].to_vec();
            expected.resize(10, 0);
            assert_eq!(guest.get(DATA, 10), expected);
        }
    });
}

#[test]
fn remove_directory() {
    with(|guest| {
        for path in ["dir", "dir/"] {
            assert_eq!(guest.at("path_create_directory", "dir"), SUCCESS);
            assert_eq!(guest.at("path_remove_directory", path), SUCCESS);
        }
        make_file(guest, "file");
        for path in ["file", "file/"] {
            assert_eq!(guest.at("path_remove_directory", path), ENOTDIR);
        }
        assert_eq!(guest.at("path_create_directory", "dir"), SUCCESS);
        assert_eq!(guest.at("path_create_directory", "dir/nested"), SUCCESS);
        assert_eq!(guest.at("path_remove_directory", "dir"), ENOTEMPTY);
        assert_eq!(guest.at("path_create_directory", "dir"), EEXIST);
    });
}

#[test]
fn unlink_file_trailing_slashes() {
    with(|guest| {
        assert_eq!(guest.at("path_create_directory", "dir"), SUCCESS);
        for path in ["dir", "dir/"] {
            assert_eq!(guest.at("path_unlink_file", path), EISDIR, "{path}");
        }
        make_file(guest, "file");
        assert_eq!(guest.at("path_unlink_file", "file/"), ENOTDIR);
        assert_eq!(guest.at("path_unlink_file", "file"), SUCCESS);
        assert_eq!(guest.at("path_unlink_file", "file"), ENOENT);
    });
}

#[test]
fn symlink_create_and_loop() {
    with(|guest| {
        make_file(guest, "target");
        assert_eq!(guest.at("path_create_directory", "dir"), SUCCESS);
        for (target, path, flags) in [("target", "to_file", 0), ("dir", "to_dir", DIRECTORY)] {
            assert_eq!(guest.symlink(target, path), SUCCESS);
            let opened = guest.open_in((ROOT, FOLLOW), path, flags, (0, 0), 0);
            assert!(opened.is_ok(), "{path}");
        }
        assert_eq!(guest.symlink("loop", "loop"), SUCCESS);
        assert_eq!(guest.open("loop", 0, 0), Err(ELOOP));
    });
}

#[test]
fn truncation_rights() {
    with(|guest| {
        make_file(guest, "file");
        let (own, inheriting) = guest.rights(ROOT);
        assert_eq!(own & SET_SIZE, 0);
        let truncate = |guest: &mut Guest| guest.open("file", TRUNCATE, 0).err();
        assert_eq!(truncate(guest), None);
        let inheriting = inheriting & !SET_SIZE;
        let args = [ROOT, own, inheriting];
        assert_eq!(guest.errno("fd_fdstat_set_rights", &args), SUCCESS);
        assert_eq!(truncate(guest), None);
        let args = [ROOT, own & !(1 << 19), inheriting];
        assert_eq!(guest.errno("fd_fdstat_set_rights", &args), SUCCESS);
        assert_eq!(truncate(guest), Some(ENOTCAPABLE));
    });
}

#[test]
fn pwrite_with_append() {
    with(|guest| {
        let opened = guest.open_in((ROOT, 0), "file", CREATE, (ALL, 0), APPEND);
        let fd = opened.unwrap();
        assert_eq!(guest.write(fd, b"ab"), (SUCCESS, 2));
        assert_eq!(guest.seek(fd, 0, 0), Ok(0));
        assert_eq!(guest.write(fd, b"cd"), (SUCCESS, 2));
        assert_eq!(guest.seek(fd, 0, 1), Ok(4));
        guest.buffers(0, &[(DATA, 3)]);
        assert_eq!(guest.errno("fd_pwrite", &[fd, 0, 1, 0, RESULT]), SUCCESS);
        assert_eq!(guest.seek(fd, 0, 1), Ok(4));
        assert_eq!(guest.seek(fd, 0, 2), Ok(4), "at its place, as POSIX has it");
    });
}

#[test]
fn stat_dev_ino() {
    let (one, two) = (Tree::new(), Tree::new());
    one.file("a", "");
    one.file("b", "");
    let wasi = one.grant(Wasi::new(), Access::Read);
    let mut guest = Guest::new(grant(wasi, "/two", Access::Read, &two.inside("")));
    let [a, b] = ["a", "b"].map(|path| guest.stat_at(0, path).unwrap());
    assert_eq!(a.device, b.device);
    assert_ne!(a.inode, b.inode);
    assert_ne!(guest.stat(3).inode, guest.stat(4).inode);
}
