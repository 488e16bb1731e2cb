//! Making, listing and removing directories, and opening them.

use super::super::{
    EBADF, EEXIST, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, SUCCESS,
    tree::{CREATE, DATA, DIRECTORY, EXCLUSIVE, READ, RESULT, ROOT, SEEK, Tree, WRITE},
};
use super::{make_file, with};

#[test]
fn directory_seek() {
    with(|guest| {
        assert_eq!(guest.at("path_create_directory", "dir"), SUCCESS);
        let dir = guest.open("dir", DIRECTORY, SEEK).unwrap();
        for whence in 0..3 {
            assert_eq!(guest.seek(dir, 0, whence), Err(EBADF));
        }
        assert_eq!(guest.rights(dir).0 & SEEK, 0);
    });
}

#[test]
fn fd_readdir() {
    with(|guest| {
        let names = guest.list(ROOT, 256).unwrap();
        assert_eq!(names.len(), 2);
        let file = guest.create("file");
        // Windows lists no inode numbers.
        let inode = if cfg!(unix) {
            guest.stat(file).inode
        } else {
            0
        };
        let args = [ROOT, DATA, 256, 0, RESULT];
        assert_eq!(guest.errno("fd_readdir", &args), SUCCESS);
        let second = DATA + 25;
        let cookie = guest.u64(second);
        // From the second entry's cookie on there is only the third entry.
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
