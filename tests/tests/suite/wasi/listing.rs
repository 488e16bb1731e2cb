//! `fd_readdir`.

use super::{
    EBADF, EFAULT, END, ENOMEM, ENOTCAPABLE, ENOTDIR, SUCCESS,
    tree::{ALL, DATA, DIRECTORY, IS_DIRECTORY, IS_FILE, IS_LINK, RESULT, ROOT, Tree, WRITE},
};

#[test]
fn an_empty_directory_has_itself_and_its_parent() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    for room in [25, 100, 4_096] {
        // 25 bytes hold an entry whose name has one letter; the second entry never fits.
        if room == 25 {
            let args = [ROOT, DATA, room, 0, RESULT];
            assert_eq!(guest.errno("fd_readdir", &args), SUCCESS);
            assert_eq!(
                (guest.u32(RESULT), guest.get(DATA + 24, 1)),
                (25, b".".to_vec())
            );
            continue;
        }
        let names = guest.list(ROOT, room).unwrap();
        let expected = [".", ".."].map(|name| (name.to_owned(), IS_DIRECTORY));
        assert_eq!(names, expected);
    }
    // Nothing of the parent directory shows.
    guest.errno("fd_readdir", &[ROOT, DATA, 4_096, 0, RESULT]);
    let own = guest.stat(ROOT).inode;
    guest.errno("fd_readdir", &[ROOT, DATA, 4_096, 0, RESULT]);
    assert_eq!((guest.u64(DATA + 8), guest.u64(DATA + 25 + 8)), (own, own));
}

#[test]
fn entries_come_once_each_in_pieces_of_any_size() {
    let tree = Tree::new();
    let mut expected = vec![
        (".".to_owned(), IS_DIRECTORY),
        ("..".to_owned(), IS_DIRECTORY),
    ];
    for at in 0..200 {
        let name = format!("file {at} {}_", "x".repeat(at % 50));
        tree.file(&name, "");
        expected.push((name, IS_FILE));
    }
    std::fs::create_dir(tree.inside("dir")).unwrap();
    expected.push(("dir".to_owned(), IS_DIRECTORY));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("dir", tree.inside("link")).unwrap();
        expected.push(("link".to_owned(), IS_LINK));
    }
    expected.sort();
    let mut guest = tree.reader();
    for room in [90, 100, 256, 1_000, 4_096, 30_000] {
        let mut names = guest.list(ROOT, room).unwrap();
        names.sort();
        assert_eq!(names, expected, "{room}");
    }
    if cfg!(windows) {
        return; // It lists no inode numbers.
    }
    // Inode numbers equal those in the attributes.
    let args = [ROOT, DATA, 30_000, 0, RESULT];
    assert_eq!(guest.errno("fd_readdir", &args), SUCCESS);
    let at = DATA + 25 + 26;
    let len = guest.u32(at + 16).into();
    let name = String::from_utf8(guest.get(at + 24, len)).unwrap();
    let inode = guest.u64(at + 8);
    assert_eq!(guest.stat_at(0, &name).unwrap().inode, inode);
}

#[test]
fn a_guest_that_removes_what_it_reads_misses_nothing() {
    let tree = Tree::new();
    for at in 0..100 {
        tree.file(&format!("file {at}"), "");
    }
    let mut guest = tree.guest();
    let (mut cookie, mut removed) = (0, 0);
    loop {
        let args = [ROOT, DATA, 120, cookie, RESULT];
        assert_eq!(guest.errno("fd_readdir", &args), SUCCESS);
        let used = u64::from(guest.u32(RESULT));
        let (mut at, end) = (DATA, DATA + used);
        while at + 24 <= end {
            let len = u64::from(guest.u32(at + 16));
            if at + 24 + len > end {
                break;
            }
            cookie = guest.u64(at);
            let name = String::from_utf8(guest.get(at + 24, len)).unwrap();
            if !name.starts_with('.') {
                assert_eq!(guest.at("path_unlink_file", &name), SUCCESS);
                removed += 1;
            }
            at += 24 + len;
        }
        if used < 120 {
            break;
        }
    }
    assert_eq!(removed, 100);
    assert_eq!(guest.list(ROOT, 4_096).unwrap().len(), 2, "seen anew");
}

#[test]
fn unknown_cookies_give_whole_entries_or_none() {
    let tree = Tree::new();
    for at in 0..9 {
        tree.file(&format!("file {at}"), "");
    }
    let mut guest = tree.guest();
    for cookie in [
        1,
        24,
        26,
        100,
        330,
        331,
        1 << 31,
        1 << 32,
        1 << 63,
        u64::MAX,
    ] {
        for _ in 0..2 {
            let args = [ROOT, DATA, 4_096, cookie, RESULT];
            assert_eq!(guest.errno("fd_readdir", &args), SUCCESS);
            // Entries come whole or not at all.
            let used = u64::from(guest.u32(RESULT));
            let (mut at, mut count) = (DATA, 0);
            while at < DATA + used {
                at += 24 + u64::from(guest.u32(at + 16));
                count += 1;
            }
            assert_eq!(at, DATA + used, "{cookie}");
            assert!(count < 11);
        }
    }
}

#[test]
fn a_directory_that_is_too_long_to_list() {
    let tree = Tree::new();
    for at in 0..50 {
        tree.file(&format!("dir/{at:010}"), "");
        tree.file(&format!("same/{at:010}"), "");
    }
    let entries = 25 + 26 + 50 * 34;
    let mut guest = tree.limited(|limits| limits.list_bytes = entries - 1);
    let open = |guest: &mut super::Guest, path| guest.open(path, DIRECTORY, ALL & !WRITE).unwrap();
    let dir = open(&mut guest, "dir");
    assert_eq!(guest.list(dir, 4_096), Err(ENOMEM));
    let mut guest = tree.limited(|limits| limits.list_bytes = 2 * entries);
    let (dir, same) = (open(&mut guest, "dir"), open(&mut guest, "same"));
    let (again, args) = (open(&mut guest, "dir"), [DATA, 100, 0, RESULT]);
    // Lists that were not read to their end count against the limit.
    for (fd, answer) in [(dir, SUCCESS), (same, SUCCESS), (again, ENOMEM)] {
        let args = [&[fd], &args[..]].concat();
        assert_eq!(guest.errno("fd_readdir", &args), answer, "{fd}");
    }
    assert_eq!(guest.list(dir, 4_096).unwrap().len(), 52);
    assert_eq!(guest.list(again, 4_096).unwrap().len(), 52);
    // Closing the directory frees its list.
    assert_eq!(
        guest.errno("fd_readdir", &[&[dir], &args[..]].concat()),
        SUCCESS
    );
    assert_eq!(guest.list(again, 4_096), Err(ENOMEM));
    guest.close(dir);
    assert_eq!(guest.list(again, 4_096).unwrap().len(), 52);
}

#[test]
fn files_and_bad_pointers_are_refused() {
    let tree = Tree::new();
    let mut guest = tree.guest();
    let file = guest.create("a");
    let blind = guest.open(".", DIRECTORY, 0).unwrap();
    let given_up = guest.errno("fd_fdstat_set_rights", &[blind, 0, 0]);
    assert_eq!(given_up, SUCCESS);
    for (fd, answer) in [
        (file, ENOTDIR),
        (1, ENOTDIR),
        (99, EBADF),
        (blind, ENOTCAPABLE),
    ] {
        let args = [fd, DATA, 100, 0, RESULT];
        assert_eq!(guest.errno("fd_readdir", &args), answer);
    }
    for args in [
        [ROOT, END - 99, 100, 0, RESULT],
        [ROOT, DATA, 0xffff_ffff, 0, RESULT],
        [ROOT, DATA, 100, 0, END - 3],
    ] {
        assert_eq!(guest.errno("fd_readdir", &args), EFAULT);
        assert!(guest.0.usage().fuel < 100, "before it is read");
    }
}
