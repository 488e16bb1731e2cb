//! Functions for attributes of files and directories, and for setting their times.

use super::{
    descriptors::{Node, rights},
    errno::{Errno, Fail},
    files::{Stat, Time, Times},
    lists::Layout,
    opened,
    paths::{self, FUEL},
    session::{Args, Call, Given, contained},
};
use core::time::Duration;

/// Writes the attributes of an open descriptor.
///
/// Parameters:
/// * `fd`: any descriptor.
/// * `stat`: address for the `filestat` (64 bytes).
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notcapable`: it lacks the right `fd_filestat_get`.
/// * `Fault`: the address lies outside the guest's memory.
/// * Any errno of `File::stat` or `Directory::stat`.
///
/// In hostel: stdio has the type of `fd_fdstat_get`, zeros and one link. `wasi_unstable` has a `filestat` of 56 bytes.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_filestat_get)
pub(super) fn fd_filestat_get(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let stat = stat(call, args.u32(0))?;
    put(args, args.u32(1), &stat)
}

/// Returns the attributes of the descriptor `fd`. Errors as `fd_filestat_get`.
pub(super) fn stat(call: &mut Call<'_>, fd: u32) -> Result<Stat, Fail> {
    let descriptor = call.session.descriptors.allowed(fd, rights::FILESTAT)?;
    Ok(match &descriptor.node {
        Node::Input | Node::Output(_) => Stat::new(descriptor.kind(call.grant), 0),
        Node::File(_) => opened::stat(call, fd)?,
        Node::Directory(open) => {
            let directory = open.directory.clone();
            call.charge(FUEL)?;
            contained(call.shared, || directory.stat(".", true))??
        }
    })
}

/// Writes the attributes of the entry at a path.
///
/// Parameters:
/// * `fd`: the directory that the path starts from.
/// * `flags`: `lookupflags`: 1 follows a symbolic link at the path's end.
/// * `path`: its address.
/// * `path_len`: its length in bytes, at most 4,096.
/// * `stat`: address for the `filestat` (64 bytes).
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notdir`: it is not a directory.
/// * `Notcapable`: it lacks the right `path_filestat_get`.
/// * The path errors of [`paths::path`].
/// * `Inval`: an unknown flag.
/// * `Fault`: `stat` lies outside the guest's memory.
/// * Any errno of `Directory::stat`.
///
/// In hostel: `wasi_unstable` has a `filestat` of 56 bytes.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_filestat_get)
pub(super) fn path_filestat_get(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let stat = stat_at(call, args.u32(0), args.u32(1), args.text(2, 3))?;
    put(args, args.u32(4), &stat)
}

/// Returns the attributes of the entry at a path in the directory `fd`. Errors as `path_filestat_get`.
pub(super) fn stat_at(
    call: &mut Call<'_>,
    fd: u32,
    lookup: u32,
    path: Given<'_>,
) -> Result<Stat, Fail> {
    let directory = paths::directory(call, fd, rights::PATH_FILESTAT)?;
    let follow = paths::follows(lookup)?;
    let path = paths::path(call, path)?;
    Ok(contained(call.shared, || directory.stat(&path, follow))??)
}

/// Sets the times of an open file or directory.
///
/// Parameters:
/// * `fd`: the file or directory.
/// * `atim`: time of the last read, in nanoseconds since 1970-01-01 00:00 UTC (u64).
/// * `mtim`: time of the last write, likewise.
/// * `fst_flags`: 1 sets `atim`, 2 sets it to now, 4 sets `mtim`, 8 sets it to now.
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notcapable`: it is stdin, stdout or stderr, or lacks the right `fd_filestat_set_times`.
/// * `Rofs`: it belongs to a directory that was granted for reading.
/// * `Inval`: an unknown flag, or a time and now at once.
/// * Any errno of `File::set_times` or `Directory::set_times`.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_filestat_set_times)
pub(super) fn fd_filestat_set_times(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let times = times(args.u64(1), args.u64(2), args.u32(3));
    set_times(call, args.u32(0), times)
}

/// Sets the times of the descriptor `fd`. Errors as `fd_filestat_set_times`.
pub(super) fn set_times(
    call: &mut Call<'_>,
    fd: u32,
    times: Result<Times, Errno>,
) -> Result<(), Fail> {
    let descriptor = call.session.descriptors.allowed(fd, rights::SET_TIMES)?;
    let times = times?;
    match &descriptor.node {
        Node::Directory(open) => {
            let directory = open.directory.clone();
            call.charge(FUEL)?;
            Ok(contained(call.shared, || {
                directory.set_times(".", true, &times)
            })??)
        }
        _ => opened::set_times(call, fd, &times),
    }
}

/// Sets the times of the entry at a path.
///
/// Parameters:
/// * `fd`: the directory that the path starts from.
/// * `flags`: `lookupflags`: 1 follows a symbolic link at the path's end.
/// * `path`: its address.
/// * `path_len`: its length in bytes, at most 4,096.
/// * `atim`: time of the last read, in nanoseconds since 1970-01-01 00:00 UTC (u64).
/// * `mtim`: time of the last write, likewise.
/// * `fst_flags`: 1 sets `atim`, 2 sets it to now, 4 sets `mtim`, 8 sets it to now.
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notdir`: it is not a directory.
/// * `Notcapable`: it lacks the right `path_filestat_set_times`.
/// * `Rofs`: it was granted for reading.
/// * The path errors of [`paths::path`].
/// * `Inval`: an unknown flag, or a time and now at once.
/// * Any errno of `Directory::set_times`.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_filestat_set_times)
pub(super) fn path_filestat_set_times(
    call: &mut Call<'_>,
    args: &mut Args<'_>,
) -> Result<(), Fail> {
    let times = times(args.u64(4), args.u64(5), args.u32(6));
    set_times_at(call, args.u32(0), args.u32(1), args.text(2, 3), times)
}

/// Sets the times of the entry at a path in the directory `fd`. Errors as `path_filestat_set_times`.
pub(super) fn set_times_at(
    call: &mut Call<'_>,
    fd: u32,
    lookup: u32,
    path: Given<'_>,
    times: Result<Times, Errno>,
) -> Result<(), Fail> {
    let directory = paths::directory(call, fd, rights::PATH_SET_TIMES)?;
    let follow = paths::follows(lookup)?;
    let times = times?;
    let path = paths::path(call, path)?;
    let set = || directory.set_times(&path, follow, &times);
    Ok(contained(call.shared, set)??)
}

/// Reads WASI's `fstflags`: each time is set to the given one, or to now, or left as it is. `Inval` for
/// unknown flags, or for both at once.
fn times(accessed: u64, modified: u64, flags: u32) -> Result<Times, Errno> {
    let time = |given: u64, flags: u32| match flags & 0b11 {
        0 => Ok(None),
        1 => Ok(Some(Time::At(Duration::from_nanos(given)))),
        2 => Ok(Some(Time::Now)),
        _ => Err(Errno::Inval),
    };
    if flags > 0b1111 {
        return Err(Errno::Inval);
    }
    Ok(Times {
        accessed: time(accessed, flags)?,
        modified: time(modified, flags >> 2)?,
    })
}

/// Writes a `filestat` at the address `at`: 64 bytes, or 56 for `wasi_unstable`, which counts links in 32
/// bits.
fn put(args: &mut Args<'_>, at: u32, stat: &Stat) -> Result<(), Fail> {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let times = [stat.accessed, stat.modified, stat.changed].map(nanos);
    let mut layout = Layout::<64>::new();
    layout.put(0, &stat.device.to_le_bytes());
    layout.put(8, &stat.inode.to_le_bytes());
    layout.put(16, &[stat.kind as u8]);
    let rest = if args.unstable {
        let links = u32::try_from(stat.links).unwrap_or(u32::MAX);
        layout.put(20, &links.to_le_bytes());
        24
    } else {
        layout.put(24, &stat.links.to_le_bytes());
        32usize
    };
    let fields = [stat.size].into_iter().chain(times);
    for (field, at) in fields.zip((rest..).step_by(8)) {
        layout.put(at, &field.to_le_bytes());
    }
    let size = rest.saturating_add(32);
    args.put(at, layout.0.get(..size).unwrap_or_default())
}
