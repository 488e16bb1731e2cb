//! Open files (P03): their limit, their numbers, and that none stays open on the machine.

use super::{
    EBADF, EMFILE, Guest, NEW, SUCCESS,
    tree::{ALL, CREATE, DIRECTORY, READ, ROOT, Tree, WRITE},
};
use hostel::{Grants, Wasi, files::Access};
use hostel_tests::in_its_own_process;
use std::fs;

/// Counts, on Linux, the open handles of this process that lead into the tree.
fn handles(tree: &Tree) -> usize {
    let root = fs::canonicalize(tree.outside("")).expect("it is there");
    let open = fs::read_dir("/proc/self/fd").expect("Linux shows them");
    open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.starts_with(&root))
        .count()
}

#[cfg(target_os = "linux")]
#[test]
fn no_more_files_are_open_than_the_limit() {
    let tree = Tree::new();
    tree.file("a", "");
    for limit in [0, 1, 5] {
        let mut guest = tree.limited(|limits| limits.open = limit);
        let granted = handles(&tree);
        for at in 0..limit {
            let fd = guest.open(if at % 2 == 0 { "a" } else { "." }, 0, READ);
            assert_eq!(fd, Ok(4 + at as u64));
        }
        for (path, flags) in [("a", 0), (".", 0), ("new", CREATE)] {
            assert_eq!(guest.open(path, flags, READ), Err(EMFILE));
        }
        assert!(!tree.inside("new").exists(), "nothing is made either");
        assert_eq!(handles(&tree), granted + limit);
        // Closing stdio and the granted directory makes no room for more files.
        for fd in 0..4 {
            guest.close(fd);
        }
        assert_eq!(guest.open("a", 0, READ), Err(EBADF), "the way in is closed");
        drop(guest);
        assert_eq!(handles(&tree), 0);
    }
}

#[test]
fn a_file_gets_the_lowest_free_number() {
    let tree = Tree::new();
    tree.file("a", "");
    let mut guest = tree.guest();
    let open = |guest: &mut Guest| guest.open("a", 0, READ).unwrap();
    assert_eq!([(); 3].map(|()| open(&mut guest)), [4, 5, 6]);
    guest.close(5);
    guest.close(0);
    assert_eq!([(); 3].map(|()| open(&mut guest)), [0, 5, 7]);
    for _ in 0..1_000 {
        guest.close(7);
        assert_eq!(open(&mut guest), 7);
    }
    assert_eq!(guest.read(0, 1).unwrap(), b"");
}

#[cfg(target_os = "linux")]
#[test]
fn renumbering_closes_the_target_and_leaks_nothing() {
    let tree = Tree::new();
    tree.file("a", "file a");
    tree.file("b", "file b");
    let mut guest = tree.limited(|limits| limits.open = 4);
    let granted = handles(&tree);
    let (a, b) = (guest.create("a"), guest.create("b"));
    // To itself, over another file, over stdin, over the granted directory.
    assert_eq!(guest.errno("fd_renumber", &[a, a]), SUCCESS);
    assert_eq!(guest.errno("fd_renumber", &[a, b]), SUCCESS);
    assert_eq!(handles(&tree), granted + 1, "b was closed");
    assert_eq!(guest.errno("fd_renumber", &[a, b]), EBADF);
    assert_eq!(guest.errno("fd_renumber", &[b, a]), EBADF);
    assert_eq!(guest.read(b, 9).unwrap(), b"file a");
    assert_eq!(guest.errno("fd_renumber", &[b, 0]), SUCCESS);
    assert_eq!(guest.seek(0, 0, 0), Ok(0));
    assert_eq!(guest.read(0, 9).unwrap(), b"file a");
    for to in [4, 70, 1_000, 0x7fff_ffff, 0xffff_ffff] {
        assert_eq!(guest.errno("fd_renumber", &[0, to]), EBADF, "{to}");
    }
    // Stdout is no file, whatever its number: the limit is on files that were opened.
    assert_eq!(guest.errno("fd_renumber", &[1, 2]), SUCCESS);
    let opened = [(); 4].map(|()| guest.open("b", 0, READ));
    assert_eq!(opened, [Ok(1), Ok(4), Ok(5), Err(EMFILE)]);
    assert_eq!(guest.errno("fd_renumber", &[1, ROOT]), SUCCESS);
    assert_eq!(guest.open("b", 0, READ), Err(super::ENOTDIR));
    assert_eq!(guest.errno("fd_prestat_get", &[ROOT, 64]), EBADF);
    assert_eq!(
        handles(&tree),
        granted + 4,
        "the plugin keeps its directory"
    );
    drop(guest);
    assert_eq!(handles(&tree), 0);
}

#[test]
fn closing_and_failing_leaves_nothing_open() {
    let tree = Tree::new();
    tree.file("dir/a", "");
    let mut guest = tree.guest();
    let granted = handles(&tree);
    for _ in 0..200 {
        let fd = guest.open("dir", DIRECTORY, ALL & !WRITE).unwrap();
        assert_eq!(guest.list(fd, 4_096).unwrap().len(), 3);
        guest.close(fd);
        assert!(guest.open("dir/a", DIRECTORY, 0).is_err());
        assert!(guest.open("dir", 0, WRITE).is_err());
        assert!(guest.open("dir/none", 0, READ).is_err());
        assert_eq!(handles(&tree), granted);
    }
}

/// Returns the text of a guest that opens a file, and then does `end`.
fn leaves_open(end: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (data (i32.const 0) "a")
        (func (export "allocate") (param i32) (result i32) (i32.const 64))
        (func (export "process") (param i32 i32) (result i32 i32)
          (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0)
            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)) (then unreachable))
          (i32.store8 (i32.const 40) (i32.load8_u (i32.const 32)))
          {end}
          (i32.const 40) (i32.const 1)))"#
    )
}

#[test]
fn files_go_with_their_call() {
    // In a process of its own: other tests open files in their own trees only, but may close
    // handles while they are counted here.
    in_its_own_process("wasi::open_files::files_go_with_their_call", || {
        let tree = Tree::new();
        tree.file("a", "");
        for end in [
            "",
            "unreachable",
            "(call $exit (i32.const 0))",
            "(loop (br 0))",
        ] {
            let grants = Grants::new().wasi(tree.grant(Wasi::new(), Access::Read));
            let budget = super::SMALL.with_fuel(100_000);
            let plugin = hostel_tests::load_wat(&leaves_open(end), &grants).with_budget(budget);
            drop(grants);
            let granted = handles(&tree);
            for _ in 0..20 {
                // Each call opens the file at one number: an instance that is used again is reset.
                assert_eq!(plugin.process(b"").ok(), end.is_empty().then(|| vec![4]));
                assert_eq!(handles(&tree), granted, "{end}");
            }
            let used_again = plugin.pool_figures().resets;
            assert_eq!(used_again > 0, end.is_empty(), "{end}");
            drop(plugin);
            assert_eq!(handles(&tree), 0, "{end}");
        }
    });
}

#[test]
fn instances_have_their_own_files() {
    let tree = Tree::new();
    tree.file("a", "text");
    let grants = Grants::new().wasi(tree.grant(Wasi::new(), Access::Read));
    let plugin = super::load(&hostel::engine(), NEW, 1, grants);
    let mut guests = [(); 2].map(|()| Guest(plugin.instantiate(()).unwrap()));
    assert_eq!(guests[0].open("a", 0, READ), Ok(4));
    assert_eq!(guests[0].read(4, 2).unwrap(), b"te");
    assert_eq!(guests[1].read(4, 2), Err(EBADF));
    assert_eq!(guests[1].open("a", 0, READ), Ok(4));
    assert_eq!(guests[1].read(4, 2).unwrap(), b"te");
}
