//! Hard and symbolic links, and renaming.

use super::super::{
    EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, Guest, SUCCESS,
    tree::{ALL, DATA, DIRECTORY, FOLLOW, READDIR, RESULT, ROOT, Stat},
};
use super::{make_file, open_dir, with};

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
