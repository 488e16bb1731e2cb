//! Directories that an embedder implements, with and without an operating system, right and wrong
//! ones.

use super::{
    EBADF, EINVAL, EISDIR, ENOENT, ENOTSUP, EPERM, Guest, NEW, SUCCESS,
    tree::{ALL, CREATE, DATA, DIRECTORY, READ, RESULT, ROOT, TRUNCATE, Tree, WRITE, grant},
};
use hostel::{
    Engine, Grants, Wasi,
    files::{Access, Directory, Entry, Errno, File, Kind, Node, Open, Stat, Times},
};
use hostel_tests::{a_good_plugin_still_answers, code};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A directory in memory, as a device might have: files only, without times.
#[derive(Clone, Default)]
struct Table(Arc<Mutex<BTreeMap<String, Content>>>);

/// A file's bytes, kept while the file exists or is open.
type Content = Arc<Mutex<Vec<u8>>>;

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Directory for Table {
    fn open(&self, path: &str, how: &Open) -> Result<Node, Errno> {
        if path == "." {
            return Ok(Node::Directory(Arc::new(self.clone())));
        }
        let mut files = lock(&self.0);
        let bytes = match files.get(path) {
            Some(_) if how.exclusive => return Err(Errno::Exist),
            Some(bytes) => bytes.clone(),
            None if how.create => files.entry(path.to_owned()).or_default().clone(),
            None => return Err(Errno::Noent),
        };
        if how.truncate {
            lock(&bytes).clear();
        }
        Ok(Node::File(Box::new(Bytes(bytes))))
    }

    fn stat(&self, path: &str, _: bool) -> Result<Stat, Errno> {
        if path == "." {
            return Ok(Stat::new(Kind::Directory, 0));
        }
        let files = lock(&self.0);
        let bytes = files.get(path).ok_or(Errno::Noent)?;
        let size = lock(bytes).len() as u64;
        Ok(Stat::new(Kind::File, size))
    }

    fn list(&self, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        let files = lock(&self.0);
        let kind = Kind::File;
        for name in files.keys() {
            if !visit(Entry {
                name,
                kind,
                inode: 0,
            }) {
                break;
            }
        }
        Ok(())
    }

    fn remove_file(&self, path: &str) -> Result<(), Errno> {
        lock(&self.0).remove(path).map(drop).ok_or(Errno::Noent)
    }
}

struct Bytes(Content);

impl File for Bytes {
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let bytes = lock(&self.0);
        let rest = bytes.get(at as usize..).unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn stat(&mut self) -> Result<Stat, Errno> {
        Ok(Stat::new(Kind::File, lock(&self.0).len() as u64))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let (mut own, at) = (lock(&self.0), at as usize);
        let end = own.len().max(at + bytes.len());
        own.resize(end, 0);
        own[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

/// Has a guest use a directory. Returns what it read and listed, and the fuel of each call.
fn journey(mut guest: Guest) -> (Vec<u8>, Vec<(String, u8)>, Vec<u64>) {
    let mut fuel = Vec::new();
    let mut note = |guest: &Guest| fuel.push(guest.0.usage().fuel);
    let fd = guest.open("b", CREATE, READ | WRITE | 1 << 2).unwrap();
    guest.buffers(0, &[(DATA, 5)]);
    guest.put(DATA, b"hello");
    assert_eq!(guest.errno("fd_write", &[fd, 0, 1, RESULT]), SUCCESS);
    note(&guest);
    assert_eq!(guest.errno("fd_seek", &[fd, 1, 0, RESULT]), SUCCESS);
    note(&guest);
    assert_eq!(guest.errno("fd_read", &[fd, 0, 1, RESULT]), SUCCESS);
    note(&guest);
    let bytes = guest.get(DATA, 4);
    assert_eq!(guest.at("path_unlink_file", "a"), SUCCESS);
    note(&guest);
    let names = guest.list(ROOT, 4_096).unwrap();
    assert_eq!(guest.open("a", 0, READ), Err(ENOENT));
    assert_eq!(guest.open("../b", 0, READ), Err(EPERM));
    (bytes, names, fuel)
}

#[test]
fn a_directory_in_memory_behaves_like_one_on_the_disk() {
    let tree = Tree::new();
    tree.file("a", "");
    let disk = journey(tree.guest());
    let table = Table::default();
    lock(&table.0).insert("a".to_owned(), Arc::default());
    // It needs no operating system.
    let wasi = Wasi::new().directory("/", Access::ReadWrite, table);
    let memory = journey(Guest::start(&Engine::default(), NEW, 1, wasi));
    assert_eq!(disk, memory);
    assert_eq!(disk.0, b"ello");
}

#[test]
fn functions_that_a_directory_lacks_are_not_supported() {
    let table = Table::default();
    lock(&table.0).insert("a".to_owned(), Arc::default());
    let mut guest = Guest::new(Wasi::new().directory("/", Access::ReadWrite, table));
    assert_eq!(guest.at("path_create_directory", "b"), ENOTSUP);
    assert_eq!(guest.at("path_remove_directory", "b"), ENOTSUP);
    assert_eq!(guest.rename((ROOT, "a"), (ROOT, "b")), ENOTSUP);
    assert_eq!(guest.link((ROOT, 0, "a"), (ROOT, "b")), ENOTSUP);
    assert_eq!(guest.symlink("a", "b"), ENOTSUP);
    assert_eq!(guest.read_link("a"), Err(ENOTSUP));
    let fd = guest.create("a");
    for (name, args) in [
        ("fd_sync", &[fd][..]),
        ("fd_datasync", &[fd]),
        ("fd_filestat_set_size", &[fd, 9]),
        ("fd_filestat_set_times", &[fd, 0, 0, 10]),
        ("fd_filestat_set_times", &[ROOT, 0, 0, 10]),
    ] {
        assert_eq!(guest.errno(name, args), ENOTSUP, "{name}");
    }
    // Appending writes at the end.
    assert_eq!(guest.write(fd, b"one"), (SUCCESS, 3));
    assert_eq!(guest.errno("fd_fdstat_set_flags", &[fd, 1]), SUCCESS);
    assert_eq!(guest.seek(fd, 0, 0), Ok(0));
    assert_eq!(guest.write(fd, b"two"), (SUCCESS, 3));
    assert_eq!(guest.stat(fd).size, 6);
}

#[test]
fn files_do_not_move_between_kinds_of_directories() {
    let (tree, other) = (Tree::new(), Tree::new());
    tree.file("a", "");
    let wasi = tree.grant(Wasi::new(), Access::ReadWrite);
    let wasi = wasi.directory("/memory", Access::ReadWrite, Table::default());
    let mut guest = Guest::new(grant(wasi, "/x", Access::ReadWrite, &other.inside("")));
    const EXDEV: u32 = 75;
    assert_eq!(guest.rename((3, "a"), (4, "a")), EXDEV);
    assert_eq!(guest.link((3, 0, "a"), (4, "a")), EXDEV);
    assert_eq!(guest.rename((3, "a"), (5, "a")), SUCCESS);
    assert_eq!(other.text("a"), "");
}

/// How a directory or a file is wrong.
#[derive(Clone, Copy)]
enum Ill {
    Panics,
    /// It says that it read and wrote more than it did.
    TellsTooMuch,
    /// It opens a file whatever was asked for.
    OpensAFile,
    OpensADirectory,
    /// It lists entries without end, also after it was told to stop.
    ListsForEver,
}

impl Directory for Ill {
    fn open(&self, _: &str, _: &Open) -> Result<Node, Errno> {
        match self {
            Self::Panics => panic!("expected"),
            Self::OpensADirectory => Ok(Node::Directory(Arc::new(*self))),
            _ => Ok(Node::File(Box::new(*self))),
        }
    }

    fn stat(&self, _: &str, _: bool) -> Result<Stat, Errno> {
        Ok(Stat::new(Kind::Directory, u64::MAX))
    }

    fn list(&self, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        let name = &*"x".repeat(5_000);
        let kind = Kind::Unknown;
        while visit(Entry {
            name,
            kind,
            inode: 0,
        }) {}
        // It ignores that it was told to stop.
        visit(Entry {
            name,
            kind,
            inode: 0,
        });
        visit(Entry {
            name: "",
            kind,
            inode: 0,
        });
        Ok(())
    }

    fn read_link(&self, _: &str) -> Result<String, Errno> {
        Ok("x".repeat(1 << 20))
    }

    fn set_times(&self, _: &str, _: bool, _: &Times) -> Result<(), Errno> {
        panic!("expected")
    }
}

impl File for Ill {
    fn read(&mut self, _: u64, _: &mut [u8]) -> Result<usize, Errno> {
        Ok(usize::MAX)
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<usize, Errno> {
        Ok(usize::MAX)
    }

    fn stat(&mut self) -> Result<Stat, Errno> {
        Ok(Stat::new(Kind::File, u64::MAX))
    }

    fn sync(&mut self, _: bool) -> Result<(), Errno> {
        panic!("expected")
    }
}

fn ill(how: Ill) -> Guest {
    Guest::new(Wasi::new().directory("/", Access::ReadWrite, how))
}

#[test]
fn a_panic_stops_the_guest_alone() {
    let mut guest = ill(Ill::Panics);
    let (ptr, len) = guest.path("a");
    let args = [ROOT, 0, ptr, len, 0, 0, 0, 0, RESULT];
    assert_eq!(code(&guest.call("path_open", &args)), "trap-host-panic");
    let mut guest = ill(Ill::TellsTooMuch);
    let fd = guest.create("a");
    assert_eq!(code(&guest.call("fd_sync", &[fd])), "trap-host-panic");
    let mut guest = ill(Ill::TellsTooMuch);
    let result = guest.call("fd_filestat_set_times", &[ROOT, 0, 0, 10]);
    assert_eq!(code(&result), "trap-host-panic");
    a_good_plugin_still_answers();
}

#[test]
fn a_file_that_lies_gets_no_way_past_a_buffer() {
    let mut guest = ill(Ill::TellsTooMuch);
    let fd = guest.create("a");
    assert_eq!(guest.read(fd, 7).unwrap().len(), 7);
    assert_eq!(guest.write(fd, b"seven!!"), (SUCCESS, 7));
    assert_eq!(guest.seek(fd, 0, 1), Ok(14));
    assert_eq!(guest.seek(fd, 1, 2), Err(EINVAL), "beyond 64 bits");
    assert_eq!(guest.seek(fd, 0, 2), Ok(u64::MAX));
    assert_eq!(guest.read(fd, 7).unwrap().len(), 7);
    assert_eq!(guest.read_link("a").unwrap().len(), 1_000);
    assert_eq!(guest.stat(fd).size, u64::MAX);
}

#[test]
fn a_directory_that_opens_another_kind_is_refused() {
    let mut guest = ill(Ill::OpensAFile);
    assert_eq!(guest.open("a", DIRECTORY, ALL), Err(super::ENOTDIR));
    let mut guest = ill(Ill::OpensADirectory);
    assert_eq!(guest.open("a", CREATE, ALL & !WRITE), Err(EISDIR));
    let fd = guest.open("a", 0, ALL & !WRITE).unwrap();
    assert_eq!(guest.read(fd, 1), Err(EBADF));
    assert!(guest.open_in((fd, 0), "b", 0, (READ, 0), 0).is_ok());
}

/// A directory of files that can't be opened for writing, with the error of trying. Counts the tries.
struct Locked(Errno, Arc<Mutex<u32>>);

impl Directory for Locked {
    fn open(&self, _: &str, how: &Open) -> Result<Node, Errno> {
        *lock(&self.1) += 1;
        match how.write {
            true => Err(self.0),
            false => Ok(Node::File(Box::new(Bytes(Arc::default())))),
        }
    }

    fn stat(&self, _: &str, _: bool) -> Result<Stat, Errno> {
        Ok(Stat::new(Kind::File, 0))
    }

    fn list(&self, _: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        Ok(())
    }
}

#[test]
fn a_file_that_can_not_be_written_is_opened_for_reading_if_the_guest_asks_for_neither() {
    use Errno::{Acces, Busy, Io, Isdir, Noent, Notsup, Perm, Rofs};
    for (errno, reads) in [
        (Isdir, true),
        (Acces, true),
        (Perm, true),
        (Rofs, true),
        (Busy, true),
        (Noent, false),
        (Io, false),
        (Notsup, false),
    ] {
        let tries = Arc::default();
        let locked = Locked(errno, Arc::clone(&tries));
        let wasi = Wasi::new().directory("/", Access::ReadWrite, locked);
        let mut guest = Guest::new(wasi);
        let opened = guest.open("a", 0, 0);
        assert_eq!(*lock(&tries), 1 + u32::from(reads), "{errno:?}");
        if reads {
            let fd = opened.unwrap();
            assert_eq!(guest.read(fd, 1).unwrap(), b"");
            assert_eq!(guest.write(fd, b"x").0, EBADF);
        } else {
            assert_eq!(opened, Err(errno as u32));
        }
        // A guest that has to write gets the error, and no second try.
        for (flags, rights) in [(0, WRITE), (0, READ | WRITE), (CREATE, 0), (TRUNCATE, 0)] {
            *lock(&tries) = 0;
            assert_eq!(guest.open("a", flags, rights), Err(errno as u32));
            assert_eq!(*lock(&tries), 1);
        }
    }
}

#[test]
fn a_list_without_end_is_ended() {
    let mut guest = ill(Ill::ListsForEver);
    assert_eq!(guest.list(ROOT, 4_096), Err(super::ENOMEM));
    let mut limits = hostel::files::Limits::server();
    limits.list_bytes = usize::MAX;
    let wasi = Wasi::new()
        .file_limits(limits)
        .directory("/", Access::ReadWrite, Ill::ListsForEver);
    let plugin = super::load(&hostel::engine(), NEW, 1, Grants::new().wasi(wasi));
    let mut guest = Guest(plugin.instantiate(()).unwrap());
    guest.0.set_budget(super::SMALL.with_fuel(100_000));
    let args = [ROOT, DATA, 100, 0, RESULT];
    assert_eq!(code(&guest.call("fd_readdir", &args)), "out-of-fuel");
}
