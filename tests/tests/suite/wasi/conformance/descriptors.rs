//! Descriptors: rights, flags, preopened directories, renumbering, and files that were removed.

use super::super::{
    EBADF, ENOENT, ENOTCAPABLE, ENOTSUP, Guest, SUCCESS,
    tree::{
        ADVISE, ALL, ALLOCATE, APPEND, CREATE, FILESTAT, IS_FILE, READ, RESULT, ROOT, SEEK,
        SET_SIZE, TELL, TRUNCATE, WRITE,
    },
};
use super::{make_file, open_dir, with};

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

#[cfg(unix)] // On Windows, an open directory is not removed.
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
fn fd_advise_and_file_allocate() {
    with(|guest| {
        let rights = READ | WRITE | ADVISE | FILESTAT | SET_SIZE | ALLOCATE;
        let fd = guest.open("file", CREATE, rights).unwrap();
        assert_eq!(guest.errno("fd_filestat_set_size", &[fd, 100]), SUCCESS);
        assert_eq!(guest.errno("fd_advise", &[fd, 10, 50, 0]), SUCCESS);
        // The suite allows this error.
        let allocate = guest.errno("fd_allocate", &[fd, 100, 100]);
        assert_eq!(allocate, ENOTSUP);
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
fn isatty() {
    with(|guest| {
        let fd = guest.create("file");
        assert_eq!(guest.errno("fd_fdstat_get", &[fd, RESULT]), SUCCESS);
        assert_eq!(guest.get(RESULT, 1), [IS_FILE]);
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
