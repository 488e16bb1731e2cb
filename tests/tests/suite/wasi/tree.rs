//! Directories on the disk that are granted to guests, and functions that use them as a guest does.

use super::{Guest, NEW, SUCCESS};
use hostel::{
    Grants, Wasi,
    files::{Access, Limits},
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Flags of `path_open`, and of lookups.
pub(super) const CREATE: u64 = 1;
pub(super) const DIRECTORY: u64 = 2;
pub(super) const EXCLUSIVE: u64 = 4;
pub(super) const TRUNCATE: u64 = 8;
pub(super) const FOLLOW: u64 = 1;

/// Flags of descriptors.
pub(super) const APPEND: u64 = 1;
pub(super) const SYNC: u64 = 16;

/// Rights, by the numbers of their bits.
pub(super) const READ: u64 = 1 << 1;
pub(super) const SEEK: u64 = 1 << 2;
pub(super) const TELL: u64 = 1 << 5;
pub(super) const WRITE: u64 = 1 << 6;
pub(super) const ADVISE: u64 = 1 << 7;
pub(super) const ALLOCATE: u64 = 1 << 8;
pub(super) const READDIR: u64 = 1 << 14;
pub(super) const FILESTAT: u64 = 1 << 21;
pub(super) const SET_SIZE: u64 = 1 << 22;
pub(super) const SET_TIMES: u64 = 1 << 23;
/// All rights of the first version of preview 1, which include all for files.
pub(super) const ALL: u64 = (1 << 28) - 1;
/// The rights that a file can have: 0 to 8, attributes, size, times, polling.
pub(super) const FILE_RIGHTS: u64 = 0x1ff | 0b111 << 21 | 1 << 27;

/// Where the tests put paths, contents and results in the guest's memory.
pub(super) const PATH: u64 = 40_000;
pub(super) const OTHER_PATH: u64 = 48_000;
pub(super) const DATA: u64 = 2_048;
pub(super) const RESULT: u64 = 1_024;

/// The first granted directory's descriptor.
pub(super) const ROOT: u64 = 3;

/// A directory that is granted to a guest, `inside`, with files around it that are not.
pub(super) struct Tree(TempDir);

impl Tree {
    pub(super) fn new() -> Self {
        let tree = Self(TempDir::new().expect("a directory can be made"));
        fs::create_dir(tree.0.path().join("inside")).expect("it is new");
        fs::write(tree.outside("secret"), "secret").expect("it is new");
        tree
    }

    pub(super) fn inside(&self, path: &str) -> PathBuf {
        self.0.path().join("inside").join(path)
    }

    pub(super) fn outside(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Makes a file, and the directories above it.
    pub(super) fn file(&self, path: &str, text: &str) {
        let path = self.inside(path);
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("it can be made");
        fs::write(path, text).expect("it can be written");
    }

    pub(super) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.inside(path)).expect("it can be read")
    }

    pub(super) fn grant(&self, wasi: Wasi, access: Access) -> Wasi {
        grant(wasi, "/", access, &self.inside(""))
    }

    /// Makes a guest that may read and write.
    pub(super) fn guest(&self) -> Guest {
        Guest::new(self.grant(Wasi::new(), Access::ReadWrite))
    }

    /// Makes a guest that may only read.
    pub(super) fn reader(&self) -> Guest {
        Guest::new(self.grant(Wasi::new(), Access::Read))
    }

    /// Makes a guest that may read and write within limits.
    pub(super) fn limited(&self, change: impl FnOnce(&mut Limits)) -> Guest {
        let mut limits = Limits::server();
        change(&mut limits);
        let wasi = Wasi::new().file_limits(limits);
        let grants = Grants::new().wasi(self.grant(wasi, Access::ReadWrite));
        let plugin = super::load(&hostel::engine(), NEW, 4, grants);
        Guest(plugin.instantiate(()).expect("it starts"))
    }

    /// Lists all that is inside and outside, with the contents of files and the targets of links.
    pub(super) fn all(&self) -> Vec<String> {
        fn walk(directory: &Path, all: &mut Vec<String>) {
            for entry in fs::read_dir(directory).expect("it can be read") {
                let path = entry.expect("it can be read").path();
                let shown = path.display();
                let kind = fs::symlink_metadata(&path)
                    .expect("it is there")
                    .file_type();
                all.push(match kind {
                    kind if kind.is_dir() => format!("{shown}/"),
                    kind if kind.is_symlink() => format!("{shown} -> {:?}", fs::read_link(&path)),
                    kind if kind.is_file() => format!("{shown}: {:?}", fs::read(&path)),
                    kind => format!("{shown} {kind:?}"),
                });
                if kind.is_dir() {
                    walk(&path, all);
                }
            }
        }
        let mut all = Vec::new();
        walk(self.0.path(), &mut all);
        all.sort();
        all
    }
}

pub(super) fn grant(wasi: Wasi, name: &str, access: Access, path: &Path) -> Wasi {
    let directory = hostel::directory(path).expect("it is a directory");
    wasi.directory(name, access, directory)
}

impl Guest {
    /// Writes a path to memory. Returns its address and length.
    pub(super) fn path(&mut self, path: &str) -> (u64, u64) {
        self.put(PATH, path.as_bytes());
        (PATH, path.len() as u64)
    }

    fn other_path(&mut self, path: &str) -> (u64, u64) {
        self.put(OTHER_PATH, path.as_bytes());
        (OTHER_PATH, path.len() as u64)
    }

    /// Opens `path` in `directory`. Returns the descriptor, or the error number.
    pub(super) fn open_in(
        &mut self,
        (directory, lookup): (u64, u64),
        path: &str,
        flags: u64,
        (rights, inheriting): (u64, u64),
        fd_flags: u64,
    ) -> Result<u64, u32> {
        let (ptr, len) = self.path(path);
        let args = [
            directory, lookup, ptr, len, flags, rights, inheriting, fd_flags, RESULT,
        ];
        match self.errno("path_open", &args) {
            SUCCESS => Ok(self.u32(RESULT).into()),
            errno => Err(errno),
        }
    }

    /// Opens `path` in the first granted directory, without following a symbolic link.
    pub(super) fn open(&mut self, path: &str, flags: u64, rights: u64) -> Result<u64, u32> {
        self.open_in((ROOT, 0), path, flags, (rights, 0), 0)
    }

    /// Opens a file to read and write. Makes it if there is none.
    #[track_caller]
    pub(super) fn create(&mut self, path: &str) -> u64 {
        // With the right to write, only a file can be opened.
        let rights = ALL & !READDIR;
        self.open(path, CREATE, rights).expect("it can be made")
    }

    #[track_caller]
    pub(super) fn close(&mut self, fd: u64) {
        assert_eq!(self.errno("fd_close", &[fd]), SUCCESS);
    }

    /// Calls a function with the first granted directory and a path.
    #[track_caller]
    pub(super) fn at(&mut self, name: &str, path: &str) -> u32 {
        let (ptr, len) = self.path(path);
        self.errno(name, &[ROOT, ptr, len])
    }

    pub(super) fn rename(&mut self, from: (u64, &str), to: (u64, &str)) -> u32 {
        let ((ptr, len), (to_ptr, to_len)) = (self.path(from.1), self.other_path(to.1));
        self.errno("path_rename", &[from.0, ptr, len, to.0, to_ptr, to_len])
    }

    pub(super) fn link(&mut self, from: (u64, u64, &str), to: (u64, &str)) -> u32 {
        let ((ptr, len), (to_ptr, to_len)) = (self.path(from.2), self.other_path(to.1));
        self.errno(
            "path_link",
            &[from.0, from.1, ptr, len, to.0, to_ptr, to_len],
        )
    }

    pub(super) fn symlink(&mut self, target: &str, path: &str) -> u32 {
        let ((ptr, len), (to_ptr, to_len)) = (self.path(target), self.other_path(path));
        self.errno("path_symlink", &[ptr, len, ROOT, to_ptr, to_len])
    }

    pub(super) fn read_link(&mut self, path: &str) -> Result<Vec<u8>, u32> {
        let (ptr, len) = self.path(path);
        match self.errno("path_readlink", &[ROOT, ptr, len, DATA, 1_000, RESULT]) {
            SUCCESS => {
                let used = self.u32(RESULT).into();
                Ok(self.get(DATA, used))
            }
            errno => Err(errno),
        }
    }

    /// Reads up to `len` bytes.
    pub(super) fn read(&mut self, fd: u64, len: u64) -> Result<Vec<u8>, u32> {
        self.buffers(0, &[(DATA, len)]);
        match self.errno("fd_read", &[fd, 0, 1, RESULT]) {
            SUCCESS => {
                let got = self.u32(RESULT).into();
                Ok(self.get(DATA, got))
            }
            errno => Err(errno),
        }
    }

    /// Seeks. Returns the new position.
    pub(super) fn seek(&mut self, fd: u64, delta: i64, whence: u64) -> Result<u64, u32> {
        let args = [fd, delta.cast_unsigned(), whence, RESULT];
        match self.errno("fd_seek", &args) {
            SUCCESS => Ok(self.u64(RESULT)),
            errno => Err(errno),
        }
    }

    /// Returns the attributes of a descriptor.
    #[track_caller]
    pub(super) fn stat(&mut self, fd: u64) -> Stat {
        assert_eq!(self.errno("fd_filestat_get", &[fd, RESULT]), SUCCESS);
        self.stat_there()
    }

    pub(super) fn stat_at(&mut self, lookup: u64, path: &str) -> Result<Stat, u32> {
        let (ptr, len) = self.path(path);
        match self.errno("path_filestat_get", &[ROOT, lookup, ptr, len, RESULT]) {
            SUCCESS => Ok(self.stat_there()),
            errno => Err(errno),
        }
    }

    fn stat_there(&mut self) -> Stat {
        Stat {
            device: self.u64(RESULT),
            inode: self.u64(RESULT + 8),
            kind: self.get(RESULT + 16, 1)[0],
            links: self.u64(RESULT + 24),
            size: self.u64(RESULT + 32),
            times: [40, 48, 56].map(|at| self.u64(RESULT + at)),
        }
    }

    /// Returns the rights of a descriptor, and those that it hands on.
    pub(super) fn rights(&mut self, fd: u64) -> (u64, u64) {
        assert_eq!(self.errno("fd_fdstat_get", &[fd, RESULT]), SUCCESS);
        (self.u64(RESULT + 8), self.u64(RESULT + 16))
    }

    /// Lists the names and kinds in a directory, read in pieces of `room` bytes.
    pub(super) fn list(&mut self, fd: u64, room: u64) -> Result<Vec<(String, u8)>, u32> {
        let (mut names, mut cookie) = (Vec::new(), 0);
        loop {
            match self.errno("fd_readdir", &[fd, DATA, room, cookie, RESULT]) {
                SUCCESS => {}
                errno => return Err(errno),
            }
            let used = u64::from(self.u32(RESULT));
            let mut at = DATA;
            while at + 24 <= DATA + used {
                let len = u64::from(self.u32(at + 16));
                if at + 24 + len > DATA + used {
                    break;
                }
                let name = String::from_utf8(self.get(at + 24, len)).expect("it is text");
                names.push((name, self.get(at + 20, 1)[0]));
                cookie = self.u64(at);
                at += 24 + len;
            }
            if used < room {
                return Ok(names);
            }
        }
    }
}

/// Attributes, as a guest reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) kind: u8,
    pub(super) links: u64,
    pub(super) size: u64,
    /// When the file was last read, written, and changed.
    pub(super) times: [u64; 3],
}

pub(super) const IS_DIRECTORY: u8 = 3;
pub(super) const IS_FILE: u8 = 4;
pub(super) const IS_LINK: u8 = 7;
