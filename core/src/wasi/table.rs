//! All functions of WASI preview 1: name, type, and what each does.

use super::{
    arguments, clocks, directories,
    errno::Fail,
    opened, paths, poll, process, random,
    session::{Args, Call},
    stat,
    streams::{self, no_socket},
};
use crate::base::signature::ValType;
use ValType::{I32, I64};

/// A function of WASI's.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) params: &'static [ValType],
    pub(super) results: &'static [ValType],
    /// Whether some of the parameters point into memory.
    pub(super) pointers: bool,
    pub(super) run: Run,
}

type Run = fn(&mut Call<'_>, &Args<'_>) -> Result<(), Fail>;

/// One that answers with an error number, and takes pointers.
const fn with_pointers(name: &'static str, params: &'static [ValType], run: Run) -> Function {
    Function {
        name,
        params,
        results: &[I32],
        pointers: true,
        run,
    }
}

/// One that answers with an error number, and takes no pointers.
const fn plain(name: &'static str, params: &'static [ValType], run: Run) -> Function {
    Function {
        pointers: false,
        ..with_pointers(name, params, run)
    }
}

/// In the specification's order.
pub(super) static FUNCTIONS: [Function; 46] = TABLE;

/// Their names alone: who does not grant WASI links nothing else of it.
pub(super) const NAMES: [&str; 46] = names(&TABLE);

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // the compiler does it
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
    with_pointers("args_get", &[I32, I32], arguments::args_get),
    with_pointers("args_sizes_get", &[I32, I32], arguments::args_sizes_get),
    with_pointers("environ_get", &[I32, I32], arguments::environ_get),
    with_pointers(
        "environ_sizes_get",
        &[I32, I32],
        arguments::environ_sizes_get,
    ),
    with_pointers("clock_res_get", &[I32, I32], clocks::clock_res_get),
    with_pointers("clock_time_get", &[I32, I64, I32], clocks::clock_time_get),
    plain("fd_advise", &[I32, I64, I64, I32], opened::fd_advise),
    plain("fd_allocate", &[I32, I64, I64], opened::fd_allocate),
    plain("fd_close", &[I32], streams::fd_close),
    plain("fd_datasync", &[I32], opened::fd_datasync),
    with_pointers("fd_fdstat_get", &[I32, I32], streams::fd_fdstat_get),
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
    with_pointers("fd_prestat_get", &[I32, I32], directories::fd_prestat_get),
    with_pointers(
        "fd_prestat_dir_name",
        &[I32, I32, I32],
        directories::fd_prestat_dir_name,
    ),
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
        paths::path_link,
    ),
    with_pointers(
        "path_open",
        &[I32, I32, I32, I32, I32, I64, I64, I32, I32],
        paths::path_open,
    ),
    with_pointers(
        "path_readlink",
        &[I32, I32, I32, I32, I32, I32],
        paths::path_readlink,
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
        paths::path_symlink,
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
    plain("sched_yield", &[], process::sched_yield),
    with_pointers("random_get", &[I32, I32], random::random_get),
    // The old name does not have this one; a guest that imports it from there gets it all the same.
    with_pointers("sock_accept", &[I32, I32, I32], no_socket),
    with_pointers("sock_recv", &[I32, I32, I32, I32, I32, I32], no_socket),
    with_pointers("sock_send", &[I32, I32, I32, I32, I32], no_socket),
    plain("sock_shutdown", &[I32, I32], no_socket),
];
