//! How paths are resolved, and the attributes of the files at them.

use super::super::{
    EINVAL, ENOENT, ENOTDIR, EPERM, Guest, SUCCESS,
    tree::{ALL, APPEND, CREATE, FOLLOW, RESULT, ROOT, SYNC, Tree, grant},
};
use super::{make_file, with};
use hostel::{Wasi, files::Access};

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
fn path_exists() {
    with(|guest| {
        assert_eq!(guest.at("path_create_directory", "subdir"), SUCCESS);
        for lookup in [0, FOLLOW] {
            assert!(guest.stat_at(lookup, "subdir").is_ok());
            assert_eq!(guest.stat_at(lookup, "subdir/none"), Err(ENOENT));
        }
        if cfg!(unix) {
            assert_eq!(guest.symlink("subdir", "link"), SUCCESS);
            assert!(guest.stat_at(FOLLOW, "link/.").is_ok());
        }
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
