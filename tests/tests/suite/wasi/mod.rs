//! WASI preview 1, function by function: right answers, wrong pointers, huge counts. The threats
//! are P01 to P10 in docs/threats.md.

mod absent;
mod attributes;
#[cfg(unix)] // It makes symbolic links, which on Windows take a privilege.
mod bad_arguments;
mod clocks;
mod commands;
mod conformance;
mod contents;
mod descriptors;
mod embedder_faults;
mod embedders;
mod endings;
#[cfg(unix)] // It makes symbolic links, which on Windows take a privilege.
mod escapes;
mod listing;
mod open_files;
mod opening;
mod plugins;
mod polling;
mod randomness;
mod reading;
mod suspended;
mod tree;
mod words;
mod writing;

use hostel::{Budget, CallError, Engine, Grants, Instance, LoadError, Plugin, Value, Wasi};
use hostel_tests::{assemble, code};
use std::fmt::Write as _;

const NEW: &str = "wasi_snapshot_preview1";
const OLD: &str = "wasi_unstable";

/// The end of the guest's memory.
const END: u64 = 1 << 16;

// Error numbers, as in WASI's specification.
const SUCCESS: u32 = 0;
const EAGAIN: u32 = 6;
const EBADF: u32 = 8;
const EDQUOT: u32 = 19;
const EEXIST: u32 = 20;
const EFAULT: u32 = 21;
const EILSEQ: u32 = 25;
const EINVAL: u32 = 28;
const EISDIR: u32 = 31;
const ELOOP: u32 = 32;
const EMFILE: u32 = 33;
const ENAMETOOLONG: u32 = 37;
const ENOENT: u32 = 44;
const ENOMEM: u32 = 48;
const ENOSPC: u32 = 51;
const ENOSYS: u32 = 52;
const ENOTDIR: u32 = 54;
const ENOTEMPTY: u32 = 55;
const ENOTSOCK: u32 = 57;
const ENOTSUP: u32 = 58;
const EPERM: u32 = 63;
const EROFS: u32 = 69;
const ESPIPE: u32 = 70;
const ENOTCAPABLE: u32 = 76;

/// All functions except `proc_exit`, with a letter for each parameter: `i` for an i32, `l` for an
/// i64, `p` for an i32 that points into memory.
const FUNCTIONS: [(&str, &str); 45] = [
    ("args_get", "pp"),
    ("args_sizes_get", "pp"),
    ("environ_get", "pp"),
    ("environ_sizes_get", "pp"),
    ("clock_res_get", "ip"),
    ("clock_time_get", "ilp"),
    ("fd_advise", "illi"),
    ("fd_allocate", "ill"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ip"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "ill"),
    ("fd_filestat_get", "ip"),
    ("fd_filestat_set_size", "il"),
    ("fd_filestat_set_times", "illi"),
    ("fd_pread", "ipilp"),
    ("fd_prestat_get", "ip"),
    ("fd_prestat_dir_name", "ipi"),
    ("fd_pwrite", "ipilp"),
    ("fd_read", "ipip"),
    ("fd_readdir", "ipilp"),
    ("fd_renumber", "ii"),
    ("fd_seek", "ilip"),
    ("fd_sync", "i"),
    ("fd_tell", "ip"),
    ("fd_write", "ipip"),
    ("path_create_directory", "ipi"),
    ("path_filestat_get", "iipip"),
    ("path_filestat_set_times", "iipilli"),
    ("path_link", "iipiipi"),
    ("path_open", "iipiillip"),
    ("path_readlink", "ipipip"),
    ("path_remove_directory", "ipi"),
    ("path_rename", "ipiipi"),
    ("path_symlink", "piipi"),
    ("path_unlink_file", "ipi"),
    ("poll_oneoff", "ppip"),
    ("proc_raise", "i"),
    ("sched_yield", ""),
    ("random_get", "pi"),
    ("sock_accept", "iip"),
    ("sock_recv", "ipiipp"),
    ("sock_send", "ipiip"),
    ("sock_shutdown", "ii"),
];

/// A budget with so little fuel that no test waits long.
const SMALL: Budget = Budget::server().with_fuel(10_000_000);

/// Returns the text of a guest that imports every function from `module` and exports it, with a
/// memory of `pages` pages that the test can read and write.
fn text(module: &str, pages: u32) -> String {
    let (mut imports, mut exports) = (String::new(), String::new());
    for (name, params) in FUNCTIONS {
        let types: String = params
            .chars()
            .map(|param| if param == 'l' { " i64" } else { " i32" })
            .collect();
        let params =
            (0..params.len()).fold(String::new(), |all, at| format!("{all}(local.get {at})"));
        let ty = format!("(param{types}) (result i32)");
        let _ = writeln!(
            imports,
            r#"(import "{module}" "{name}" (func ${name} {ty}))"#
        );
        let _ = writeln!(
            exports,
            r#"(func (export "{name}") {ty} (call ${name} {params}))"#
        );
    }
    format!(
        r#"(module {imports}
            (import "{module}" "proc_exit" (func $proc_exit (param i32)))
            (memory (export "memory") {pages})
            {exports}
            (func (export "proc_exit") (param i32) (call $proc_exit (local.get 0)))
            (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "store8") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))"#
    )
}

/// A guest that calls the function that the test names.
struct Guest(Instance);

impl Guest {
    fn new(wasi: Wasi) -> Self {
        Self::start(&hostel::engine(), NEW, 1, wasi)
    }

    /// Makes a guest that imports from the old module.
    fn old(wasi: Wasi) -> Self {
        Self::start(&hostel::engine(), OLD, 1, wasi)
    }

    /// Makes a guest on a platform without a clock, which can't wait.
    fn bare(wasi: Wasi) -> Self {
        Self::start(&Engine::default(), NEW, 1, wasi)
    }

    fn start(engine: &Engine, module: &str, pages: u32, wasi: Wasi) -> Self {
        let plugin = load(engine, module, pages, Grants::new().wasi(wasi));
        Self(plugin.instantiate(()).expect("it starts"))
    }

    /// Calls a function. Returns its error number.
    #[track_caller]
    fn errno(&mut self, name: &str, args: &[u64]) -> u32 {
        self.call(name, args)
            .unwrap_or_else(|error| panic!("{name}{args:?}: {error}"))
    }

    fn call(&mut self, name: &str, args: &[u64]) -> Result<u32, CallError> {
        let (_, params) = FUNCTIONS
            .iter()
            .find(|(known, _)| *known == name)
            .expect("the name is known");
        assert_eq!(params.len(), args.len(), "{name}");
        let values: Vec<_> = params
            .chars()
            .zip(args)
            .map(|(param, arg)| match param {
                'l' => Value::I64(arg.cast_signed()),
                _ => Value::I32(u32::try_from(*arg).expect("an i32").cast_signed()),
            })
            .collect();
        let results = self.0.call_values(name, &values)?;
        match results[..] {
            [Value::I32(errno)] => Ok(errno.cast_unsigned()),
            _ => panic!("{name} gave {results:?}"),
        }
    }

    fn put(&mut self, at: u64, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            let args = (u32::try_from(at).unwrap(), u32::from(*byte));
            self.0
                .call::<_, ()>("store8", args)
                .expect("it is in memory");
        }
    }

    fn get(&mut self, at: u64, len: u64) -> Vec<u8> {
        let load = |at| self.0.call::<u32, u8>("load8", u32::try_from(at).unwrap());
        let bytes = (at..at + len).map(load).collect::<Result<_, _>>();
        bytes.expect("it is in memory")
    }

    fn put_u32(&mut self, at: u64, value: u64) {
        self.put(at, &u32::try_from(value).unwrap().to_le_bytes());
    }

    fn u16(&mut self, at: u64) -> u16 {
        u16::from_le_bytes(self.get(at, 2).try_into().unwrap())
    }

    fn u32(&mut self, at: u64) -> u32 {
        u32::from_le_bytes(self.get(at, 4).try_into().unwrap())
    }

    fn u64(&mut self, at: u64) -> u64 {
        u64::from_le_bytes(self.get(at, 8).try_into().unwrap())
    }

    /// Puts a list of buffers at `at`.
    fn buffers(&mut self, at: u64, buffers: &[(u64, u64)]) {
        for (at, (ptr, len)) in (at..).step_by(8).zip(buffers) {
            self.put_u32(at, *ptr);
            self.put_u32(at + 4, *len);
        }
    }

    /// Writes `bytes` to `fd`. Returns the error number and how many bytes were taken.
    fn write(&mut self, fd: u64, bytes: &[u8]) -> (u32, u32) {
        self.put(1_024, bytes);
        self.buffers(0, &[(1_024, bytes.len() as u64)]);
        self.put_u32(16, 0);
        let errno = self.errno("fd_write", &[fd, 0, 1, 16]);
        (errno, self.u32(16))
    }
}

fn load(engine: &Engine, module: &str, pages: u32, grants: Grants) -> Plugin {
    let plugin = engine.load("guest", &assemble(&text(module, pages)), &grants);
    plugin.expect("it loads").with_budget(SMALL)
}

#[test]
fn all_functions_link_under_both_names() {
    for module in [NEW, OLD] {
        load(
            &Engine::default(),
            module,
            1,
            Grants::new().wasi(Wasi::new()),
        );
        let ungranted =
            Engine::default().load("guest", &assemble(&text(module, 1)), &Grants::new());
        let LoadError::Mismatch(all) = ungranted.unwrap_err() else {
            panic!("nothing is granted");
        };
        assert_eq!(all.len(), FUNCTIONS.len() + 1);
        for mismatch in all {
            let message = mismatch.to_string();
            assert!(message.ends_with("the grant `wasi` would"), "{message}");
        }
    }
}

#[test]
fn unknown_functions_of_wasi_are_refused() {
    let grants = Grants::new().wasi(Wasi::new());
    for (import, words) in [
        (
            r#""wasi_snapshot_preview1" "fd_open" (func)"#,
            "preview 1 only",
        ),
        (
            r#""wasi_snapshot_preview2" "fd_write" (func)"#,
            "preview 1 only",
        ),
        (
            r#""wasi_snapshot_preview1" "fd_write" (func)"#,
            "expected (i32, i32, i32, i32) -> i32, found () -> ()",
        ),
        (
            r#""wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32))"#,
            "expected (i32) -> i32",
        ),
        (
            r#""wasi_snapshot_preview1" "proc_exit" (func (param i32) (result i32))"#,
            "expected (i32) -> ()",
        ),
        (
            r#""wasi_snapshot_preview1" "fd_write" (memory 1)"#,
            "is a memory",
        ),
        // Functions with pointers need a memory.
        (
            r#""wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32))"#,
            "export `memory` is missing",
        ),
    ] {
        let text = format!(r#"(module (import {import}) (func (export "f")))"#);
        let error = Engine::default().load("guest", &assemble(&text), &grants);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    // A function without pointers needs no memory.
    let text = r#"(module (import "wasi_unstable" "sched_yield" (func $f (result i32)))
        (func (export "f") (result i32) (call $f)))"#;
    let plugin = Engine::default()
        .load("guest", &assemble(text), &grants)
        .unwrap();
    assert_eq!(plugin.call::<(), u32>("f", ()), Ok(SUCCESS));
}

#[test]
fn a_function_of_the_embedder_replaces_that_of_wasi() {
    let grants = Grants::new()
        .function(NEW, "sched_yield", || 7u32)
        .wasi(Wasi::new());
    let mut instance = load(&Engine::default(), NEW, 1, grants)
        .instantiate(())
        .unwrap();
    assert_eq!(instance.call::<(), u32>("sched_yield", ()), Ok(7));
    assert_eq!(instance.call::<u32, u32>("fd_close", 0), Ok(SUCCESS));
}

#[test]
fn pointers_out_of_memory_are_faults() {
    // Arguments with which each function uses its pointers: an open descriptor, counts of 1.
    let calls: [(&str, &[Option<u64>]); 14] = [
        ("args_get", &[None, Some(8)]),
        ("args_get", &[Some(8), None]),
        ("args_sizes_get", &[None, Some(8)]),
        ("args_sizes_get", &[Some(8), None]),
        ("environ_get", &[None, Some(8)]),
        ("environ_sizes_get", &[Some(8), None]),
        ("clock_res_get", &[Some(1), None]),
        ("clock_time_get", &[Some(1), Some(0), None]),
        ("fd_fdstat_get", &[Some(0), None]),
        ("fd_filestat_get", &[Some(0), None]),
        ("fd_read", &[Some(0), None, Some(1), Some(8)]),
        ("fd_write", &[Some(1), None, Some(1), Some(8)]),
        ("random_get", &[None, Some(1)]),
        ("poll_oneoff", &[None, Some(8), Some(1), Some(8)]),
    ];
    let wasi = || {
        Wasi::new()
            .args(["a"])
            .env([("a", "b")])
            .random_seed(0)
            .stdin(*b"in")
    };
    for module in [NEW, OLD] {
        let mut guest = Guest::start(&hostel::engine(), module, 1, wasi());
        for (name, args) in calls {
            for bad in [END, 0x7fff_fffc, 0x8000_0000, 0xffff_fffc, 0xffff_ffff] {
                let args: Vec<_> = args.iter().map(|arg| arg.unwrap_or(bad)).collect();
                assert_eq!(guest.errno(name, &args), EFAULT, "{name} {bad:#x}");
            }
        }
        // Pointers to results, and those in lists.
        guest.buffers(64, &[(END - 1, 2)]);
        for bad in [END - 3, END, 0xffff_ffff] {
            assert_eq!(guest.errno("fd_read", &[0, 8, 0, bad]), EFAULT);
            assert_eq!(guest.errno("fd_write", &[1, 8, 0, bad]), EFAULT);
            assert_eq!(guest.errno("poll_oneoff", &[8, 128, 1, bad]), EFAULT);
            assert_eq!(guest.errno("poll_oneoff", &[8, bad, 1, 128]), EFAULT);
        }
        assert_eq!(guest.errno("fd_read", &[0, 64, 1, 0]), EFAULT);
        assert_eq!(guest.errno("fd_write", &[1, 64, 1, 0]), EFAULT);
        assert_eq!(guest.errno("random_get", &[0, 0xffff_ffff]), EFAULT);
        assert_eq!(guest.errno("random_get", &[1, END]), EFAULT);
    }
}

#[test]
fn each_call_costs_fuel() {
    let mut guest = Guest::new(Wasi::new());
    for (name, params) in FUNCTIONS {
        let args = vec![0; params.len()];
        guest.errno(name, &args);
        assert!(guest.0.usage().fuel >= 40, "{name}");
        guest
            .0
            .set_budget(SMALL.with_fuel(guest.0.usage().fuel - 1));
        assert_eq!(code(&guest.call(name, &args)), "out-of-fuel", "{name}");
        guest = Guest::new(Wasi::new());
    }
}
