//! Attempts to get out of a granted directory (P02), all of which fail.

use super::{
    EEXIST, EINVAL, ELOOP, ENOENT, ENOTDIR, ENOTSUP, EPERM, Guest, SUCCESS,
    tree::{
        ALL, CREATE, DIRECTORY, FOLLOW, IS_LINK, READ, RESULT, ROOT, TRUNCATE, Tree, WRITE, grant,
    },
};
use hostel::{Wasi, files::Access};
use std::{
    fs,
    os::unix::fs::symlink,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// Makes a tree with links of all kinds that lead out of it.
fn tree() -> Tree {
    let tree = Tree::new();
    tree.file("dir/sub/file", "inside");
    let outside = tree.outside("");
    let secret = tree.outside("secret");
    for (target, path) in [
        (secret.as_path(), "absolute"),
        (outside.as_path(), "absolute_dir"),
        ("../secret".as_ref(), "up"),
        ("..".as_ref(), "up_dir"),
        ("dir/../../secret".as_ref(), "around"),
        ("up".as_ref(), "chain_1"),
        ("chain_1".as_ref(), "chain_2"),
        ("chain_2".as_ref(), "chain_3"),
        ("../../../secret".as_ref(), "dir/sub/up"),
        ("../up_dir".as_ref(), "dir/to_up_dir"),
        ("/proc/self/root".as_ref(), "magic"),
        ("/proc/self/cwd".as_ref(), "magic_cwd"),
        ("loop".as_ref(), "loop"),
        ("pong".as_ref(), "ping"),
        ("ping".as_ref(), "pong"),
        ("nowhere".as_ref(), "dangling"),
        ("../new".as_ref(), "dangling_up"),
        (
            "/tmp/hostel-is-not-to-make-this".as_ref(),
            "dangling_absolute",
        ),
        ("dir/sub".as_ref(), "good"),
    ] {
        symlink(target, tree.inside(path)).expect("it is new");
    }
    tree
}

/// Paths, and the error number of each if links are followed.
const PATHS: &[(&str, u32)] = &[
    // By `..` and absolute paths.
    ("..", EPERM),
    ("../secret", EPERM),
    ("../inside/dir", EPERM),
    ("./../secret", EPERM),
    (".//..//secret", EPERM),
    ("dir/../../secret", EPERM),
    ("dir/sub/../../../secret", EPERM),
    ("dir/sub/../../../inside/dir/sub/file", EPERM),
    ("/", EPERM),
    ("//", EPERM),
    ("/secret", EPERM),
    ("/etc/passwd", EPERM),
    ("//etc/passwd", EPERM),
    ("/proc/self/root/etc/passwd", EPERM),
    // With a NUL, at which a path ends for other systems.
    ("dir\0/../../secret", EINVAL),
    ("..\0", EINVAL),
    // By links.
    ("absolute", EPERM),
    ("absolute_dir", EPERM),
    ("absolute_dir/secret", EPERM),
    ("absolute_dir/inside/dir", EPERM),
    ("up", EPERM),
    ("up_dir", EPERM),
    ("up_dir/", EPERM),
    ("up_dir/.", EPERM),
    ("up_dir/secret", EPERM),
    ("up_dir/inside/dir/sub/file", EPERM),
    ("around", EPERM),
    ("chain_1", EPERM),
    ("chain_3", EPERM),
    ("dir/sub/up", EPERM),
    ("dir/to_up_dir/secret", EPERM),
    ("good/up", EPERM),
    ("good/../../up", EPERM),
    // The parent of a link is the parent of its target.
    ("good/../sub/up", EPERM),
    ("magic/etc/passwd", EPERM),
    ("magic_cwd", EPERM),
    ("loop", ELOOP),
    ("loop/x", ELOOP),
    ("ping", ELOOP),
    ("dangling", ENOENT),
    ("dangling_up", EPERM),
    ("dangling_absolute", EPERM),
    // Names that only look like one of the above.
    ("..secret", ENOENT),
    ("...", ENOENT),
    ("dir\\..\\..\\secret", ENOENT),
    ("C:\\secret", ENOENT),
    ("~", ENOENT),
    ("%2e%2e/secret", ENOENT),
    ("dir/sub/file/..", ENOTDIR),
];

#[test]
fn no_path_leads_out() {
    let tree = tree();
    let before = tree.all();
    let mut guest = tree.guest();
    for (path, errno) in PATHS {
        for (flags, rights) in [
            (0, READ),
            (0, ALL & !WRITE),
            (DIRECTORY, ALL & !WRITE),
            (0, READ | WRITE),
        ] {
            let opened = guest.open_in((ROOT, FOLLOW), path, flags, (rights, ALL), 0);
            assert_eq!(opened, Err(*errno), "open {path:?} {flags}");
        }
        assert_eq!(guest.stat_at(FOLLOW, path), Err(*errno), "stat {path:?}");
        let (ptr, len) = guest.path(path);
        let args = [ROOT, FOLLOW, ptr, len, 0, 0, 10];
        let set = guest.errno("path_filestat_set_times", &args);
        assert_eq!(set, *errno, "set times {path:?}");
    }
    assert_eq!(tree.all(), before);
}

#[test]
fn nothing_is_made_moved_or_removed_outside() {
    let tree = tree();
    let before = tree.all();
    let mut guest = tree.guest();
    for directory in [
        "..",
        "/tmp",
        "up_dir",
        "absolute_dir",
        "dir/to_up_dir",
        "magic/tmp",
    ] {
        for name in ["secret", "new"] {
            let path = &*format!("{directory}/{name}");
            let follow = (ROOT, FOLLOW);
            for flags in [CREATE, CREATE | TRUNCATE, TRUNCATE] {
                let opened = guest.open_in(follow, path, flags, (WRITE, 0), 0);
                assert_eq!(opened, Err(EPERM), "{path}");
            }
            for function in [
                "path_create_directory",
                "path_remove_directory",
                "path_unlink_file",
            ] {
                assert_eq!(guest.at(function, path), EPERM, "{function} {path}");
            }
            let inside = "dir/sub/file";
            assert_eq!(guest.symlink("dir", path), EPERM);
            assert_eq!(guest.read_link(path), Err(EPERM));
            assert_eq!(guest.rename((ROOT, inside), (ROOT, path)), EPERM);
            assert_eq!(guest.rename((ROOT, path), (ROOT, "x")), EPERM);
            assert_eq!(guest.link((ROOT, 0, inside), (ROOT, path)), EPERM);
            assert_eq!(guest.link((ROOT, 0, path), (ROOT, "x")), EPERM);
            let (ptr, len) = guest.path(path);
            let args = [ROOT, 0, ptr, len, 0, 0, 10];
            assert_eq!(guest.errno("path_filestat_set_times", &args), EPERM);
        }
    }
    // Links to missing files outside are not followed to make the files.
    for path in ["dangling_up", "dangling_absolute"] {
        for lookup in [0, FOLLOW] {
            let opened = guest.open_in((ROOT, lookup), path, CREATE, (WRITE, 0), 0);
            assert!(opened.is_err(), "{path}");
        }
        assert_eq!(guest.at("path_create_directory", path), EEXIST);
    }
    assert_eq!(tree.all(), before);
}

#[test]
fn links_that_lead_out_are_seen_and_no_more() {
    let tree = tree();
    let mut guest = tree.guest();
    for path in ["absolute", "up", "chain_3", "dir/sub/up", "magic", "loop"] {
        assert_eq!(guest.stat_at(0, path).unwrap().kind, IS_LINK);
        assert_eq!(guest.open(path, 0, READ), Err(ELOOP), "{path}");
    }
    assert_eq!(guest.read_link("up").unwrap(), b"../secret");
    // Paths of the machine are not shown.
    assert_eq!(guest.read_link("absolute"), Err(EPERM));
    assert_eq!(guest.read_link("magic"), Err(EPERM));
    // Links can be moved to places from which they lead elsewhere, and removed. They still are not
    // followed.
    assert_eq!(guest.rename((ROOT, "up"), (ROOT, "dir/up")), SUCCESS);
    let opened = guest.open_in((ROOT, FOLLOW), "dir/up", 0, (READ, 0), 0);
    assert_eq!(opened, Err(ENOENT), "inside/secret");
    assert_eq!(guest.rename((ROOT, "dir/sub/up"), (ROOT, "up")), SUCCESS);
    let opened = guest.open_in((ROOT, FOLLOW), "up", 0, (READ, 0), 0);
    assert_eq!(opened, Err(EPERM));
    assert_eq!(guest.at("path_unlink_file", "absolute_dir"), SUCCESS);
    assert!(tree.outside("secret").exists());
}

#[test]
fn a_guest_makes_itself_no_way_out() {
    let tree = Tree::new();
    tree.file("dir/file", "inside");
    let before = tree
        .outside("secret")
        .metadata()
        .unwrap()
        .modified()
        .unwrap();
    let mut guest = tree.guest();
    assert_eq!(guest.symlink("../..", "dir/up"), SUCCESS);
    assert_eq!(guest.symlink("dir/up", "again"), SUCCESS);
    for path in ["dir/up/secret", "again/secret", "again/inside/dir/file"] {
        let opened = guest.open_in((ROOT, FOLLOW), path, 0, (READ, 0), 0);
        assert_eq!(opened, Err(EPERM), "{path}");
    }
    // A link whose target is inside leads out when it is moved up.
    assert_eq!(guest.symlink("../dir", "dir/back"), SUCCESS);
    let opened = guest.open_in((ROOT, FOLLOW), "dir/back/file", 0, (READ, 0), 0);
    assert!(opened.is_ok());
    assert_eq!(guest.rename((ROOT, "dir/back"), (ROOT, "back")), SUCCESS);
    let opened = guest.open_in((ROOT, FOLLOW), "back/file", 0, (READ, 0), 0);
    assert_eq!(opened, Err(EPERM));
    // An open directory that is moved stays usable, and its parent out of reach.
    let dir = guest.open_in((ROOT, 0), "dir", DIRECTORY, (ALL & !WRITE, ALL), 0);
    let dir = dir.unwrap();
    assert_eq!(guest.rename((ROOT, "dir"), (ROOT, "moved")), SUCCESS);
    let opened = guest.open_in((dir, 0), "file", 0, (READ, 0), 0).unwrap();
    assert_eq!(guest.read(opened, 9).unwrap(), b"inside");
    for path in ["..", "../moved", "../../secret"] {
        let opened = guest.open_in((dir, FOLLOW), path, 0, (READ, 0), 0);
        assert_eq!(opened, Err(EPERM), "{path}");
    }
    let after = tree
        .outside("secret")
        .metadata()
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
}

#[test]
fn one_granted_directory_is_no_way_to_another() {
    let (one, two) = (Tree::new(), Tree::new());
    one.file("a", "one");
    two.file("b", "two");
    let wasi = one.grant(Wasi::new(), Access::ReadWrite);
    let wasi = grant(wasi, "/two", Access::Read, &two.inside(""));
    let mut guest = Guest::new(wasi);
    let name = two.inside("b");
    symlink(&name, one.inside("to_two")).unwrap();
    let opened = guest.open_in((3, FOLLOW), "to_two", 0, (READ, 0), 0);
    assert_eq!(opened, Err(EPERM));
    assert_eq!(guest.open("b", 0, READ), Err(ENOENT));
    let opened = guest.open_in((4, 0), "b", 0, (READ, 0), 0).unwrap();
    assert_eq!(guest.read(opened, 9).unwrap(), b"two");
}

#[test]
fn pipes_and_sockets_are_not_waited_for() {
    let tree = Tree::new();
    let fifo = tree.inside("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("there is mkfifo").success());
    let _socket = std::os::unix::net::UnixListener::bind(tree.inside("socket")).unwrap();
    symlink("fifo", tree.inside("link")).unwrap();
    let mut guest = tree.guest();
    for path in ["fifo", "socket", "link"] {
        for (flags, rights) in [
            (0, READ),
            (0, WRITE),
            (0, ALL),
            (CREATE, READ),
            (TRUNCATE, 0),
        ] {
            let opened = guest.open_in((ROOT, FOLLOW), path, flags, (rights, 0), 0);
            assert_eq!(opened, Err(ENOTSUP), "{path} {flags} {rights:#x}");
        }
        let opened = guest.open_in((ROOT, FOLLOW), path, DIRECTORY, (0, 0), 0);
        assert_eq!(opened, Err(ENOTSUP), "{path}");
        let (ptr, len) = guest.path(path);
        let args = [ROOT, FOLLOW, ptr, len, 0, 0, 10];
        assert_eq!(guest.errno("path_filestat_set_times", &args), ENOTSUP);
    }
    let kinds = ["fifo", "socket"].map(|path| guest.stat_at(0, path).unwrap().kind);
    assert_eq!(kinds, [0, 6]);
    assert_eq!(guest.at("path_unlink_file", "fifo"), SUCCESS);
}

#[test]
fn devices_are_seen_and_not_opened() {
    let wasi = grant(Wasi::new(), "/dev", Access::ReadWrite, "/dev".as_ref());
    let mut guest = Guest::new(wasi);
    for path in ["zero", "full", "random", "tty"] {
        for rights in [READ, WRITE] {
            assert_eq!(guest.open(path, 0, rights), Err(ENOTSUP), "{path}");
        }
        assert_eq!(guest.stat_at(0, path).unwrap().kind, 2);
    }
}

/// Replaces a directory by a link that leads out, and back, until it is told to stop.
fn swap(tree: &Tree, stop: &AtomicBool) {
    let (dir, link) = (tree.inside("dir"), tree.inside("link"));
    let away = tree.inside("away");
    while !stop.load(Ordering::Relaxed) {
        fs::rename(&dir, &away).unwrap();
        fs::rename(&link, &dir).unwrap();
        fs::rename(&dir, &link).unwrap();
        fs::rename(&away, &dir).unwrap();
    }
}

#[test]
fn a_directory_that_becomes_a_link_meanwhile_leads_nowhere() {
    let tree = Tree::new();
    tree.file("dir/secret", "inside");
    fs::write(tree.outside("victim"), "outside").unwrap();
    symlink("..", tree.inside("link")).unwrap();
    let mut guest = tree.guest();
    guest.0.set_budget(super::SMALL);
    let (stop, mut seen) = (AtomicBool::new(false), [0u32; 2]);
    thread::scope(|scope| {
        scope.spawn(|| swap(&tree, &stop));
        for _ in 0..2_000 {
            if let Ok(fd) = guest.open_in((ROOT, FOLLOW), "dir/secret", 0, (READ, 0), 0) {
                assert_eq!(guest.read(fd, 20).unwrap(), b"inside");
                guest.close(fd);
                seen[0] += 1;
            } else {
                seen[1] += 1;
            }
            guest.at("path_unlink_file", "dir/victim");
            guest
                .open_in((ROOT, FOLLOW), "dir/victim", TRUNCATE, (WRITE, 0), 0)
                .ok();
            guest.at("path_create_directory", "dir/made");
            guest.at("path_remove_directory", "dir/made");
            let (ptr, len) = guest.path("dir/victim");
            guest.errno(
                "path_filestat_set_times",
                &[ROOT, FOLLOW, ptr, len, 0, 1, 4],
            );
            guest.errno("path_filestat_get", &[ROOT, FOLLOW, ptr, len, RESULT]);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(
        seen.iter().all(|times| *times > 0),
        "{seen:?}: there was no race"
    );
    assert_eq!(
        fs::read_to_string(tree.outside("victim")).unwrap(),
        "outside"
    );
    assert_eq!(
        fs::read_to_string(tree.outside("secret")).unwrap(),
        "secret"
    );
    assert!(!tree.outside("made").exists());
    let written = tree
        .outside("victim")
        .metadata()
        .unwrap()
        .modified()
        .unwrap();
    assert!(written > std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1));
}
