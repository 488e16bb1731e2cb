//! Functions for symbolic links, and for further names of files.

use super::{
    descriptors::rights,
    errno::{Errno, Fail},
    lists::put_len,
    paths::{self, count_created, directory, text, two},
    session::{Args, Call, Given, contained},
};
use crate::base::fuel::fuel_for;
use alloc::string::String;

/// Maximum number of names in the target of a symbolic link that a guest creates. Systems follow about
/// 40 links in a row, so that without it one short path could lead through tens of thousands of names
/// and be charged for one.
const LINK_NAMES: usize = 32;

/// Writes the target of a symbolic link, cut off at the end of the buffer.
///
/// Parameters:
/// * `fd`: the directory that the path starts from.
/// * `path`: its address.
/// * `path_len`: its length in bytes, at most 4,096.
/// * `buf`: address for the target, without a NUL.
/// * `buf_len`: room there in bytes.
/// * `bufused`: address for the number of bytes written (u32).
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notdir`: it is not a directory.
/// * `Notcapable`: it lacks the right `path_readlink`.
/// * The path errors of [`path`](paths::path).
/// * `Fault`: `buf` or `bufused` lies outside the guest's memory.
/// * Any errno of `Directory::read_link`.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_readlink)
pub(super) fn path_readlink(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let (buffer, size, used) = (args.u32(3), args.u32(4), args.u32(5));
    args.bytes(buffer, size)?;
    args.bytes(used, 4)?;
    let target = read_link(call, args.u32(0), args.text(1, 2))?;
    let room = usize::try_from(size).unwrap_or(usize::MAX);
    let fits = target.len().min(room);
    call.charge(fuel_for(fits))?;
    args.put(buffer, target.as_bytes().get(..fits).unwrap_or_default())?;
    put_len(args, used, fits)
}

/// Returns the target of the link at a path in the directory `fd`; the caller charges for it. Errors as
/// `path_readlink`.
pub(super) fn read_link(call: &mut Call<'_>, fd: u32, path: Given<'_>) -> Result<String, Fail> {
    let directory = directory(call, fd, rights::PATH_READLINK)?;
    let path = paths::path(call, path)?;
    Ok(contained(call.shared, || directory.read_link(&path))??)
}

/// Creates a symbolic link.
///
/// Parameters:
/// * `old_path`, `old_path_len`: address of the target, and its length in bytes, at most 4,096.
/// * `fd`: the directory that the new path starts from.
/// * `new_path`, `new_path_len`: address of the link's path, and its length in bytes.
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notdir`: it is not a directory.
/// * `Notcapable`: it lacks the right `path_symlink`.
/// * `Rofs`: it was granted for reading.
/// * The path errors of [`path`](paths::path), for the target too.
/// * `Perm`: the target is absolute.
/// * `Nametoolong`: the target has more than 32 names.
/// * `Dquot`: the call has created as many entries as `Limits::created` allows.
/// * Any errno of `Directory::symlink`.
///
/// In hostel: unlike other paths, the target may lead out of the directory by `..`. Guests can't
/// follow such a link.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_symlink)
pub(super) fn path_symlink(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    symlink(call, args.u32(2), args.text(0, 1), args.text(3, 4))
}

/// Creates a link to `target` at a path in the directory `fd`. Errors as `path_symlink`.
pub(super) fn symlink(
    call: &mut Call<'_>,
    fd: u32,
    target: Given<'_>,
    path: Given<'_>,
) -> Result<(), Fail> {
    let directory = directory(call, fd, rights::PATH_SYMLINK)?;
    let target = text(call, target)?;
    let path = paths::path(call, path)?;
    // Guests can't follow a link out of their directory, but other programs might.
    if target.starts_with('/') {
        return Err(Errno::Perm.into());
    }
    if target.split('/').count() > LINK_NAMES {
        return Err(Errno::Nametoolong.into());
    }
    count_created(call)?;
    let link = || directory.symlink(&target, &path);
    Ok(contained(call.shared, link)??)
}

/// Creates another name (a hard link) of a file.
///
/// Parameters:
/// * `old_fd`: the directory that the old path starts from.
/// * `old_flags`: 0.
/// * `old_path`, `old_path_len`: address of the old path, and its length in bytes.
/// * `new_fd`: the directory that the new path starts from.
/// * `new_path`, `new_path_len`: address of the new path, and its length in bytes.
///
/// Errors:
/// * `Badf`: `old_fd` or `new_fd` is not open.
/// * `Notdir`: one is not a directory.
/// * `Notcapable`: they lack the right `path_link_source` or `path_link_target`.
/// * `Rofs`: the new directory was granted for reading.
/// * `Perm`: only the old one was.
/// * `Inval`: `old_flags` is not 0.
/// * The path errors of [`path`](paths::path), for both paths.
/// * `Dquot`: the call has created as many entries as `Limits::created` allows.
/// * Any errno of `Directory::link`: `Xdev` for directories of two types.
///
/// In hostel: symbolic links are never followed, so that the flag for it is refused.
/// `path_link_source` belongs to directories that may be changed: no link leads from one granted
/// for reading to one granted for writing.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_link)
pub(super) fn path_link(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let from = (args.u32(0), args.text(2, 3));
    link(call, args.u32(1), from, (args.u32(4), args.text(5, 6)))
}

/// Makes the one path, of a directory, a name of what is at the other. Errors as `path_link`.
pub(super) fn link(
    call: &mut Call<'_>,
    lookup: u32,
    (from, path): (u32, Given<'_>),
    (to, to_path): (u32, Given<'_>),
) -> Result<(), Fail> {
    let [from, to] = two(
        call,
        (from, rights::PATH_LINK_SOURCE),
        (to, rights::PATH_LINK_TARGET),
    )?;
    if lookup != 0 {
        return Err(Errno::Inval.into());
    }
    let path = paths::path(call, path)?;
    let to_path = paths::path(call, to_path)?;
    count_created(call)?;
    let link = || from.link(&path, &*to, &to_path);
    Ok(contained(call.shared, link)??)
}
