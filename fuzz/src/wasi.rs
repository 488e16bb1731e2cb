//! A guest with all of WASI's functions, the machine under it, and directories that do not mean well.

use hostel_core::{
    Platform, Trap, Wasi, WasiOutput,
    files::{Access, Directory, Entry, Errno, File, Kind, Limits, Node, Open, Stat, Times},
};
use std::{cell::Cell, fmt::Write as _, sync::Arc, task::Waker, time::Duration};

/// Bytes of the guest's memory, which does not grow.
pub const MEMORY: u32 = 1 << 16;

/// Each function, and a letter for each parameter. Of 64 bits are `l` and `r`, a place in a file and
/// rights. The others: `f` is a descriptor, `d` a directory's, `o` where something is to be written, `z` a size, `n` some
/// other number; `b` and `c` a list of buffers, `p` and `k` a path, `s` and `m` subscriptions.
pub const FUNCTIONS: [(&str, &str); 46] = [
    ("args_get", "oo"),
    ("args_sizes_get", "oo"),
    ("environ_get", "oo"),
    ("environ_sizes_get", "oo"),
    ("clock_res_get", "no"),
    ("clock_time_get", "nlo"),
    ("fd_advise", "flln"),
    ("fd_allocate", "fll"),
    ("fd_close", "f"),
    ("fd_datasync", "f"),
    ("fd_fdstat_get", "fo"),
    ("fd_fdstat_set_flags", "fn"),
    ("fd_fdstat_set_rights", "frr"),
    ("fd_filestat_get", "fo"),
    ("fd_filestat_set_size", "fl"),
    ("fd_filestat_set_times", "flln"),
    ("fd_pread", "fbclo"),
    ("fd_prestat_get", "do"),
    ("fd_prestat_dir_name", "doz"),
    ("fd_pwrite", "fbclo"),
    ("fd_read", "fbco"),
    ("fd_readdir", "dozlo"),
    ("fd_renumber", "ff"),
    ("fd_seek", "flno"),
    ("fd_sync", "f"),
    ("fd_tell", "fo"),
    ("fd_write", "fbco"),
    ("path_create_directory", "dpk"),
    ("path_filestat_get", "dnpko"),
    ("path_filestat_set_times", "dnpklln"),
    ("path_link", "dnpkdpk"),
    ("path_open", "dnpknrrno"),
    ("path_readlink", "dpkozo"),
    ("path_remove_directory", "dpk"),
    ("path_rename", "dpkdpk"),
    ("path_symlink", "pkdpk"),
    ("path_unlink_file", "dpk"),
    ("poll_oneoff", "somo"),
    ("proc_exit", "n"),
    ("proc_raise", "n"),
    ("sched_yield", ""),
    ("random_get", "oz"),
    ("sock_accept", "fno"),
    ("sock_recv", "fbcnoo"),
    ("sock_send", "fbcno"),
    ("sock_shutdown", "fn"),
];

/// Whether a parameter has 64 bits.
#[must_use]
pub const fn is_wide(letter: char) -> bool {
    matches!(letter, 'l' | 'r')
}

/// A guest that imports each function from `module`, exports it as `bare_NAME`, and as `NAME` one
/// that calls it. `fill` copies its input to the start of memory, `dump` answers all of it.
#[must_use]
pub fn guest(module: &str) -> String {
    let (mut imports, mut exports) = (String::new(), String::new());
    for (name, letters) in FUNCTIONS {
        let types: String = letters
            .chars()
            .map(|letter| if is_wide(letter) { " i64" } else { " i32" })
            .collect();
        let result = if name == "proc_exit" {
            ""
        } else {
            "(result i32)"
        };
        let ty = format!("(param{types}) {result}");
        let passed: String = (0..letters.len())
            .map(|at| format!("(local.get {at})"))
            .collect();
        let _ = write!(
            imports,
            r#"(import "{module}" "{name}" (func ${name} {ty}))"#
        );
        let _ = write!(
            exports,
            r#"(export "bare_{name}" (func ${name}))
            (func (export "{name}") {ty} {passed} (call ${name}))"#
        );
    }
    format!(
        r#"(module {imports}
        (memory (export "memory") 1 1)
        (func (export "allocate") (param i32) (result i32) (i32.const 0x8000))
        (func (export "fill") (param i32 i32)
            (memory.copy (i32.const 0) (local.get 0) (local.get 1)))
        (func (export "dump") (param i32 i32) (result i32 i32)
            (i32.const 0) (i32.const {MEMORY}))
        {exports})"#
    )
}

thread_local! {
    /// The machine's time, which goes on where somebody waits.
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// Files and directories that guests have open, besides those that they were granted.
    static OPEN: Cell<usize> = const { Cell::new(0) };
    /// Bytes that guests wrote to files.
    static WRITTEN: Cell<u64> = const { Cell::new(0) };
}

/// What can be seen of the machine.
#[must_use]
pub fn now() -> Duration {
    NOW.get()
}

/// How many files and directories are open.
#[must_use]
pub fn open() -> usize {
    OPEN.get()
}

/// Bytes written to files since this was last asked.
#[must_use]
pub fn take_written() -> u64 {
    WRITTEN.take()
}

/// A machine with a clock that stands still until somebody waits for it.
pub struct Machine;

impl Platform for Machine {
    fn now(&self) -> Option<Duration> {
        Some(NOW.get())
    }

    fn wait_until(&self, ready: &dyn Fn() -> bool, until: Option<Duration>) -> bool {
        NOW.set(NOW.get().max(until.unwrap_or_default()));
        ready()
    }

    fn wake_at(&self, at: Option<Duration>, waker: &Waker) {
        NOW.set(NOW.get().max(at.unwrap_or_default()));
        waker.wake_by_ref();
    }
}

/// Most bytes in a stream's buffer.
pub const BUFFER: usize = 1_000;

/// A grant of the functions and of nothing that they could show.
#[must_use]
pub fn bare() -> Wasi {
    Wasi::new()
}

/// A grant of everything, from memory.
#[must_use]
pub fn whole() -> Wasi {
    Wasi::new()
        .args(["guest", "", "an argument"])
        .env([("KEY", "value"), ("", "")])
        .stdin(*b"some bytes that can be read")
        .stdout(WasiOutput::buffer(BUFFER))
        .stderr(WasiOutput::log())
        .realtime(|| Duration::from_secs(1_800_000_000) + NOW.get())
        .random_seed(1)
        .file_limits(file_limits())
        .directory("/data", Access::ReadWrite, Folder { writable: true })
        .directory("/docs", Access::Read, Folder { writable: false })
}

/// A grant of functions of the embedder's, which do what they may and lie where they can.
#[must_use]
pub fn lying() -> Wasi {
    Wasi::new()
        .stdin_from(|into: &mut [u8]| {
            let first = into.first_mut().expect("there is room for a byte");
            *first = b'x';
            match NOW.get().subsec_millis() % 4 {
                0 => Err(Trap::host("the device failed")),
                1 => Ok(usize::MAX),
                _ => Ok(into.len() / 2),
            }
        })
        .stdout(WasiOutput::to(|bytes: &[u8]| match bytes.first() {
            Some(b'!') => Err(Trap::host("nobody listens")),
            _ => Ok(()),
        }))
        .stderr(WasiOutput::buffer(0))
        .resolution(Duration::ZERO)
        .random(|bytes: &mut [u8]| {
            bytes.fill(7);
            Ok(())
        })
        .directory(".", Access::Read, Folder { writable: false })
}

/// What a guest may have of files.
#[must_use]
pub fn file_limits() -> Limits {
    let mut limits = Limits::device();
    (limits.open, limits.written_bytes, limits.list_bytes) = (5, 5_000, 600);
    limits
}

/// A directory in which every path leads somewhere: its letters say where.
struct Folder {
    writable: bool,
}

impl Folder {
    /// Fails as the path says, and checks that hostel lets no guest ask for it that may not.
    fn at(&self, path: &str, writes: bool) -> Result<(), Errno> {
        assert!(self.writable || !writes, "no grant to change {path:?}");
        assert!(!path.is_empty() && !path.contains('\0') && !path.starts_with('/'));
        let depth = path.split('/').try_fold(0i32, |depth, name| match name {
            "" | "." => Some(depth),
            ".." => depth.checked_sub(1).filter(|depth| *depth >= 0),
            _ => Some(depth + 1),
        });
        assert!(depth.is_some(), "{path:?} leads outside");
        match path.as_bytes() {
            [b'n', ..] => Err(Errno::Noent),
            [b'e', ..] => Err(Errno::Io),
            _ => Ok(()),
        }
    }
}

/// Counts as open while it lives.
struct Opened;

impl Opened {
    fn new() -> Self {
        OPEN.set(OPEN.get() + 1);
        Self
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        OPEN.set(OPEN.get() - 1);
    }
}

impl Directory for Folder {
    fn open(&self, path: &str, how: &Open) -> Result<Node, Errno> {
        self.at(path, how.write || how.create || how.truncate)?;
        let writable = self.writable;
        if how.directory || path.ends_with(['/', '.', 'd']) {
            return Ok(Node::Directory(Arc::new(Inner {
                folder: Self { writable },
                _open: Opened::new(),
            })));
        }
        Ok(Node::File(Box::new(Page {
            bytes: path.as_bytes().repeat(10),
            writable: how.write,
            lies: path.starts_with('l'),
            _open: Opened::new(),
        })))
    }

    fn stat(&self, path: &str, _: bool) -> Result<Stat, Errno> {
        self.at(path, false)?;
        Ok(Stat::new(Kind::File, u64::MAX))
    }

    fn list(&self, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        let long = "long ".repeat(30);
        for name in ["", "file", "directory", &long, &long, &long] {
            let entry = Entry {
                name,
                kind: Kind::Unknown,
                inode: 1,
            };
            if !visit(entry) {
                return Ok(());
            }
        }
        // On and on, once it was told to stop.
        Ok(())
    }

    fn create_directory(&self, path: &str) -> Result<(), Errno> {
        self.at(path, true)
    }

    fn remove_directory(&self, path: &str) -> Result<(), Errno> {
        self.at(path, true)
    }

    fn remove_file(&self, path: &str) -> Result<(), Errno> {
        self.at(path, true)
    }

    fn rename(&self, path: &str, _: &dyn Directory, to_path: &str) -> Result<(), Errno> {
        self.at(path, true)?;
        self.at(to_path, true)
    }

    fn link(&self, path: &str, _: &dyn Directory, to_path: &str) -> Result<(), Errno> {
        self.at(path, true)?;
        self.at(to_path, true)
    }

    fn symlink(&self, target: &str, path: &str) -> Result<(), Errno> {
        assert!(!target.starts_with('/'), "{target:?}");
        self.at(path, true)
    }

    fn read_link(&self, path: &str) -> Result<String, Errno> {
        self.at(path, false)?;
        Ok(path.repeat(3))
    }

    fn set_times(&self, path: &str, _: bool, _: &Times) -> Result<(), Errno> {
        self.at(path, true)
    }
}

/// A directory that was opened.
struct Inner {
    folder: Folder,
    _open: Opened,
}

impl Directory for Inner {
    fn open(&self, path: &str, how: &Open) -> Result<Node, Errno> {
        self.folder.open(path, how)
    }

    fn stat(&self, path: &str, follow: bool) -> Result<Stat, Errno> {
        self.folder.stat(path, follow)
    }

    fn list(&self, _: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        Err(Errno::Io)
    }
}

/// A file.
struct Page {
    bytes: Vec<u8>,
    writable: bool,
    lies: bool,
    _open: Opened,
}

/// Longest file.
const LONGEST: u64 = 1 << 20;

impl File for Page {
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let rest = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..));
        let rest = rest.unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(if self.lies { usize::MAX } else { len })
    }

    fn stat(&mut self) -> Result<Stat, Errno> {
        let size = if self.lies {
            u64::MAX
        } else {
            self.bytes.len() as u64
        };
        Ok(Stat::new(Kind::File, size))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
        assert!(self.writable, "it was opened to be read");
        let end = at.saturating_add(bytes.len() as u64);
        if end > LONGEST {
            return Err(Errno::Fbig);
        }
        let before = self.bytes.len() as u64;
        WRITTEN.set(WRITTEN.get() + bytes.len() as u64 + at.saturating_sub(before));
        self.bytes.resize(end.max(before) as usize, 0);
        self.bytes[at as usize..end as usize].copy_from_slice(bytes);
        Ok(if self.lies { usize::MAX } else { bytes.len() })
    }

    fn set_size(&mut self, size: u64) -> Result<(), Errno> {
        assert!(self.writable, "it was opened to be read");
        if size > LONGEST {
            return Err(Errno::Fbig);
        }
        WRITTEN.set(WRITTEN.get() + size.saturating_sub(self.bytes.len() as u64));
        self.bytes.resize(size as usize, 0);
        Ok(())
    }

    fn set_times(&mut self, _: &Times) -> Result<(), Errno> {
        Ok(())
    }

    fn sync(&mut self, _: bool) -> Result<(), Errno> {
        Ok(())
    }
}
