//! Attributes of files and directories, and their times.

use super::{
    EBADF, EINVAL, ENOENT, ENOTCAPABLE, SUCCESS,
    tree::{
        ALL, ALLOCATE, APPEND, CREATE, FILE_RIGHTS, FILESTAT, FOLLOW, IS_DIRECTORY, IS_FILE,
        IS_LINK, READ, RESULT, ROOT, SET_SIZE, SET_TIMES, Tree, WRITE,
    },
};
use std::time::{Duration, SystemTime};

const SET_ACCESSED: u64 = 1;
const ACCESSED_NOW: u64 = 2;
const SET_MODIFIED: u64 = 4;
const MODIFIED_NOW: u64 = 8;

#[cfg(unix)]
#[test]
fn attributes_are_those_of_the_disk() {
    use std::os::unix::fs::MetadataExt as _;
    let tree = Tree::new();
    tree.file("a", "text");
    tree.file("dir/b", "");
    std::fs::hard_link(tree.inside("a"), tree.inside("dir/c")).unwrap();
    std::os::unix::fs::symlink("a", tree.inside("link")).unwrap();
    let mut guest = tree.guest();
    for (path, lookup, kind) in [
        ("a", 0, IS_FILE),
        ("dir", 0, IS_DIRECTORY),
        ("dir/c", FOLLOW, IS_FILE),
        ("link", 0, IS_LINK),
        ("link", FOLLOW, IS_FILE),
        (".", 0, IS_DIRECTORY),
    ] {
        let found = guest.stat_at(lookup, path).unwrap();
        let real = if lookup == FOLLOW {
            std::fs::metadata(tree.inside(path)).unwrap()
        } else {
            std::fs::symlink_metadata(tree.inside(path)).unwrap()
        };
        let nanos = |seconds: i64, nanos: i64| (seconds * 1_000_000_000 + nanos).cast_unsigned();
        let expected = super::tree::Stat {
            device: real.dev(),
            inode: real.ino(),
            kind,
            links: real.nlink(),
            size: real.size(),
            times: [
                nanos(real.atime(), real.atime_nsec()),
                nanos(real.mtime(), real.mtime_nsec()),
                nanos(real.ctime(), real.ctime_nsec()),
            ],
        };
        assert_eq!(found, expected, "{path}");
    }
    let fd = guest.create("a");
    assert_eq!(guest.stat(fd), guest.stat_at(0, "a").unwrap());
    assert_eq!(guest.stat(ROOT), guest.stat_at(0, ".").unwrap());
    assert_eq!(guest.stat_at(0, "none"), Err(ENOENT));
    let (ptr, len) = guest.path("a");
    let args = [ROOT, 2, ptr, len, RESULT];
    assert_eq!(guest.errno("path_filestat_get", &args), EINVAL);
}

#[test]
fn a_descriptor_has_the_kind_flags_and_rights_of_its_opening() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    // A guest chooses between reading and writing alone.
    let rights = (FILESTAT | SET_TIMES, 0);
    let fd = guest.open_in((ROOT, 0), "a", CREATE, rights, APPEND | 4);
    let fd = fd.unwrap();
    let others = guest.rights(ROOT).1 & FILE_RIGHTS & !(READ | WRITE | ALLOCATE | SET_SIZE);
    guest.put(64, &[0xff; 24]);
    assert_eq!(guest.errno("fd_fdstat_get", &[fd, 64]), SUCCESS);
    assert_eq!(guest.get(64, 8), [IS_FILE, 0, 5, 0, 0, 0, 0, 0]);
    assert_eq!((guest.u64(72), guest.u64(80)), (others, 0));
    assert_eq!(guest.errno("fd_fdstat_get", &[ROOT, 64]), SUCCESS);
    assert_eq!(guest.get(64, 4), [IS_DIRECTORY, 0, 0, 0]);
    // Setting flags needs the right to do so, and no directory has any.
    let given_up = guest.errno("fd_fdstat_set_rights", &[fd, FILESTAT, 0]);
    let errno = guest.errno("fd_fdstat_set_flags", &[fd, 0]);
    assert_eq!((given_up, errno), (SUCCESS, ENOTCAPABLE));
    assert_eq!(guest.errno("fd_fdstat_set_flags", &[ROOT, 0]), EBADF);
}

#[test]
fn times_are_set_or_left() {
    let tree = Tree::new();
    tree.file("a", "");
    tree.file("dir/b", "");
    let mut guest = tree.guest();
    let file = guest.create("a");
    let dir = guest.open("dir", 2, ALL & !64).unwrap();
    for (fd, path) in [(file, "a"), (dir, "dir")] {
        let old = guest.stat(fd).times;
        let set = |guest: &mut super::Guest, by_path: bool, accessed, modified, flags| {
            let (ptr, len) = guest.path(path);
            let errno = if by_path {
                let args = [ROOT, FOLLOW, ptr, len, accessed, modified, flags];
                guest.errno("path_filestat_set_times", &args)
            } else {
                guest.errno("fd_filestat_set_times", &[fd, accessed, modified, flags])
            };
            assert_eq!(errno, SUCCESS, "{path} {flags}");
            guest.stat(fd).times
        };
        for by_path in [false, true] {
            let times = set(&mut guest, by_path, 1, 2, 0);
            assert_eq!(times[..2], old[..2], "nothing is set");
            let times = set(&mut guest, by_path, 1_000_000_700, 2, SET_ACCESSED);
            assert_eq!(times[..2], [1_000_000_700, old[1]]);
            let times = set(&mut guest, by_path, 3, 12_300, SET_MODIFIED);
            assert_eq!(times[..2], [1_000_000_700, 12_300]);
            let times = set(&mut guest, by_path, 0, 0, ACCESSED_NOW | MODIFIED_NOW);
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let year = Duration::from_secs(365 * 24 * 3_600).as_nanos() as u64;
            let recent = now.unwrap().as_nanos() as u64 - year;
            assert!(times[0] > recent && times[1] > recent);
            set(
                &mut guest,
                by_path,
                old[0],
                old[1],
                SET_ACCESSED | SET_MODIFIED,
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn the_times_of_a_link_are_set_unless_it_is_followed() {
    let tree = Tree::new();
    tree.file("a", "");
    let mut guest = tree.guest();
    assert_eq!(guest.symlink("a", "link"), SUCCESS);
    let file = guest.stat_at(0, "a").unwrap();
    let set = |guest: &mut super::Guest, lookup, time| {
        let (ptr, len) = guest.path("link");
        let args = [ROOT, lookup, ptr, len, 0, time, SET_MODIFIED];
        assert_eq!(guest.errno("path_filestat_set_times", &args), SUCCESS);
    };
    set(&mut guest, 0, 777);
    assert_eq!(guest.stat_at(0, "link").unwrap().times[1], 777);
    assert_eq!(guest.stat_at(0, "a").unwrap().times[1], file.times[1]);
    set(&mut guest, FOLLOW, 888);
    assert_eq!(guest.stat_at(0, "link").unwrap().times[1], 777);
    assert_eq!(guest.stat_at(0, "a").unwrap().times[1], 888);
}

#[test]
fn a_time_is_set_to_one_thing() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let fd = guest.create("a");
    for flags in [3, 12, 15, 16, 0xffff_ffff] {
        let errno = guest.errno("fd_filestat_set_times", &[fd, 1, 1, flags]);
        assert_eq!(errno, EINVAL, "{flags}");
        let (ptr, len) = guest.path("a");
        let args = [ROOT, 0, ptr, len, 1, 1, flags];
        assert_eq!(guest.errno("path_filestat_set_times", &args), EINVAL);
    }
}
