//! The table of all functions of WASI preview 1: name, type, implementation.
//!
//! Rules that hold for each of them, and are not repeated in their descriptions:
//!
//! * A parameter is a u32 (i32 in WebAssembly) unless its description says otherwise. An address is one
//!   in the guest's memory. Integers there are little-endian, and need not be aligned.
//! * The function returns an errno, `0` for success; the values are in [`Errno`](super::errno::Errno).
//!   Results other than the errno go to the addresses that the guest passes.
//! * An errno that the arguments cause is returned before anything is done. The embedder's directories
//!   and files may return any errno.
//! * Each function costs fuel before the work is done. The guest is stopped, and gets no errno, if its
//!   fuel or a budget is used up, if it is past its deadline or cancelled at one of the checks, or if
//!   the embedder's code traps or panics.

use super::{
    arguments, clocks, directories,
    errno::Fail,
    links, opened, paths, poll, process, random,
    session::{Args, Call},
    sockets, stat, streams,
};
use crate::base::signature::ValType;
use ValType::{I32, I64};

/// A WASI function.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) params: &'static [ValType],
    pub(super) results: &'static [ValType],
    /// Whether a parameter is an address: then the guest must export its memory.
    pub(super) pointers: bool,
    /// Whether it has the same result in each new instance of a plugin, and no effect but that: a start
    /// that calls no other functions leads to the same state each time.
    pub(super) repeatable: bool,
    pub(super) run: Run,
}

type Run = fn(&mut Call<'_>, &mut Args<'_>) -> Result<(), Fail>;

/// Describes a function that returns an errno and takes addresses.
const fn with_pointers(name: &'static str, params: &'static [ValType], run: Run) -> Function {
    Function {
        name,
        params,
        results: &[I32],
        pointers: true,
        repeatable: false,
        run,
    }
}

/// Describes a function that returns an errno and takes no addresses.
const fn plain(name: &'static str, params: &'static [ValType], run: Run) -> Function {
    Function {
        pointers: false,
        ..with_pointers(name, params, run)
    }
}

/// Describes a function that tells what was granted, and nothing else. It reads no descriptor's contents
/// and no clock, not even to begin it.
const fn repeatable(function: Function) -> Function {
    Function {
        repeatable: true,
        ..function
    }
}

/// All functions, in the specification's order.
pub(super) static FUNCTIONS: [Function; 46] = TABLE;

/// The names alone, so that a program which does not grant WASI links none of the functions.
pub(super) const NAMES: [&str; 46] = names(&TABLE);

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // evaluated by the compiler alone
const fn names<const N: usize>(table: &[Function; N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = table[at].name;
        at += 1;
    }
    names
}

const TABLE: [Function; 46] = [
    repeatable(with_pointers("args_get", &[I32, I32], arguments::args_get)),
    repeatable(with_pointers(
        "args_sizes_get",
        &[I32, I32],
        arguments::args_sizes_get,
    )),
    repeatable(with_pointers(
        "environ_get",
        &[I32, I32],
        arguments::environ_get,
    )),
    repeatable(with_pointers(
        "environ_sizes_get",
        &[I32, I32],
        arguments::environ_sizes_get,
    )),
    with_pointers("clock_res_get", &[I32, I32], clocks::clock_res_get),
    with_pointers("clock_time_get", &[I32, I64, I32], clocks::clock_time_get),
    plain("fd_advise", &[I32, I64, I64, I32], opened::fd_advise),
    plain("fd_allocate", &[I32, I64, I64], opened::fd_allocate),
    plain("fd_close", &[I32], streams::fd_close),
    plain("fd_datasync", &[I32], opened::fd_datasync),
    repeatable(with_pointers(
        "fd_fdstat_get",
        &[I32, I32],
        streams::fd_fdstat_get,
    )),
    plain(
        "fd_fdstat_set_flags",
        &[I32, I32],
        streams::fd_fdstat_set_flags,
    ),
    plain(
        "fd_fdstat_set_rights",
        &[I32, I64, I64],
        streams::fd_fdstat_set_rights,
    ),
    with_pointers("fd_filestat_get", &[I32, I32], stat::fd_filestat_get),
    plain(
        "fd_filestat_set_size",
        &[I32, I64],
        opened::fd_filestat_set_size,
    ),
    plain(
        "fd_filestat_set_times",
        &[I32, I64, I64, I32],
        stat::fd_filestat_set_times,
    ),
    with_pointers("fd_pread", &[I32, I32, I32, I64, I32], opened::fd_pread),
    repeatable(with_pointers(
        "fd_prestat_get",
        &[I32, I32],
        directories::fd_prestat_get,
    )),
    repeatable(with_pointers(
        "fd_prestat_dir_name",
        &[I32, I32, I32],
        directories::fd_prestat_dir_name,
    )),
    with_pointers("fd_pwrite", &[I32, I32, I32, I64, I32], opened::fd_pwrite),
    with_pointers("fd_read", &[I32, I32, I32, I32], streams::fd_read),
    with_pointers(
        "fd_readdir",
        &[I32, I32, I32, I64, I32],
        directories::fd_readdir,
    ),
    plain("fd_renumber", &[I32, I32], streams::fd_renumber),
    with_pointers("fd_seek", &[I32, I64, I32, I32], opened::fd_seek),
    plain("fd_sync", &[I32], opened::fd_sync),
    with_pointers("fd_tell", &[I32, I32], opened::fd_tell),
    with_pointers("fd_write", &[I32, I32, I32, I32], streams::fd_write),
    with_pointers(
        "path_create_directory",
        &[I32, I32, I32],
        paths::path_create_directory,
    ),
    with_pointers(
        "path_filestat_get",
        &[I32, I32, I32, I32, I32],
        stat::path_filestat_get,
    ),
    with_pointers(
        "path_filestat_set_times",
        &[I32, I32, I32, I32, I64, I64, I32],
        stat::path_filestat_set_times,
    ),
    with_pointers(
        "path_link",
        &[I32, I32, I32, I32, I32, I32, I32],
        links::path_link,
    ),
    with_pointers(
        "path_open",
        &[I32, I32, I32, I32, I32, I64, I64, I32, I32],
        paths::path_open,
    ),
    with_pointers(
        "path_readlink",
        &[I32, I32, I32, I32, I32, I32],
        links::path_readlink,
    ),
    with_pointers(
        "path_remove_directory",
        &[I32, I32, I32],
        paths::path_remove_directory,
    ),
    with_pointers(
        "path_rename",
        &[I32, I32, I32, I32, I32, I32],
        paths::path_rename,
    ),
    with_pointers(
        "path_symlink",
        &[I32, I32, I32, I32, I32],
        links::path_symlink,
    ),
    with_pointers(
        "path_unlink_file",
        &[I32, I32, I32],
        paths::path_unlink_file,
    ),
    with_pointers("poll_oneoff", &[I32, I32, I32, I32], poll::poll_oneoff),
    Function {
        results: &[],
        ..plain("proc_exit", &[I32], process::proc_exit)
    },
    plain("proc_raise", &[I32], process::proc_raise),
    repeatable(plain("sched_yield", &[], process::sched_yield)),
    with_pointers("random_get", &[I32, I32], random::random_get),
    // `wasi_unstable` does not define `sock_accept`; a guest that imports it from there gets it too.
    with_pointers("sock_accept", &[I32, I32, I32], sockets::sock_accept),
    with_pointers(
        "sock_recv",
        &[I32, I32, I32, I32, I32, I32],
        sockets::sock_recv,
    ),
    with_pointers("sock_send", &[I32, I32, I32, I32, I32], sockets::sock_send),
    plain("sock_shutdown", &[I32, I32], sockets::sock_shutdown),
];
