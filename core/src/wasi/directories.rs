//! Functions for open directories: the names of granted ones, and lists of entries.

use super::{
    descriptors::{Node, rights},
    errno::{Errno, Fail},
    files::{Entry, Kind},
    lists::{Layout, put_len},
    paths::FUEL,
    session::{Args, Call, contained},
};
use crate::base::fuel::fuel_for;
use alloc::{sync::Arc, vec::Vec};

/// Fuel for each entry listed.
const ENTRY: u64 = 20;

/// Size of a `dirent` in bytes, without the name that follows it.
const HEAD: usize = 24;

/// Returns the name under which the directory `fd` was granted, or `Badf` for any other descriptor.
fn granted(call: &mut Call<'_>, fd: u32) -> Result<Arc<str>, Errno> {
    match &call.session.descriptors.get(fd)?.node {
        Node::Directory(directory) => directory.granted.clone().ok_or(Errno::Badf),
        _ => Err(Errno::Badf),
    }
}

/// Writes the length of a granted directory's name.
///
/// Parameters:
/// * `fd`: the granted directory.
/// * `prestat`: address for the `prestat` (8 bytes): 0 for a directory, and the name's length in
///   bytes without a NUL (u32).
///
/// Errors:
/// * `Badf`: `fd` is not a granted directory.
/// * `Fault`: the address lies outside the guest's memory.
///
/// In hostel: directories are granted from the descriptor 3 on, so that the first `Badf` ends the
/// guest's search.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_prestat_get)
pub(super) fn fd_prestat_get(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let name = granted(call, args.u32(0))?;
    let len = u32::try_from(name.len()).map_err(|_| Errno::Nametoolong)?;
    let mut stat = Layout::<8>::new();
    stat.put(4, &len.to_le_bytes());
    args.put(args.u32(1), &stat.0)
}

/// Writes a granted directory's name.
///
/// Parameters:
/// * `fd`: the granted directory.
/// * `path`: address for the name, without a NUL.
/// * `path_len`: room there in bytes.
///
/// Errors:
/// * `Badf`: `fd` is not a granted directory.
/// * `Nametoolong`: the name is longer than `path_len`.
/// * `Fault`: the name's place lies outside the guest's memory.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_prestat_dir_name)
pub(super) fn fd_prestat_dir_name(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let name = granted(call, args.u32(0))?;
    let room = usize::try_from(args.u32(2)).unwrap_or(usize::MAX);
    if room < name.len() {
        return Err(Errno::Nametoolong.into());
    }
    call.charge(fuel_for(name.len()))?;
    args.put(args.u32(1), name.as_bytes())
}

/// Lists a directory.
///
/// Parameters:
/// * `fd`: the directory.
/// * `buf`: address for the entries: `dirent` of 24 bytes and the name, the last entry perhaps cut
///   off.
/// * `buf_len`: room there in bytes.
/// * `cookie`: 0 to begin, or the `d_next` of the last entry read (u64).
/// * `bufused`: address for the number of bytes written (u32); fewer than `buf_len` is the end.
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notdir`: it is not a directory.
/// * `Notcapable`: it lacks the right `fd_readdir`.
/// * `Fault`: `buf` or `bufused` lies outside the guest's memory.
/// * `Nomem`: the list exceeds `Limits::list_bytes`, or the host has no memory for it.
/// * Any errno of `Directory::stat` or `Directory::list`.
///
/// In hostel: the list is made when the guest begins, and a cookie is an offset in it. So entries
/// do not shift while the guest removes what it reads. `..` has the number (inode) of `.`, so that
/// nothing shows of the directory around. Names that are not UTF-8 are left out.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_readdir)
pub(super) fn fd_readdir(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let [fd, buffer, room, used] = [0, 1, 2, 4].map(|at| args.u32(at));
    let cookie = usize::try_from(args.u64(3)).unwrap_or(usize::MAX);
    let open = call.session.descriptors.directory(fd, rights::READDIR)?;
    let begins = cookie == 0 || open.list.is_empty();
    args.bytes(buffer, room)?;
    args.bytes(used, 4)?;
    if begins {
        call.session
            .descriptors
            .directory(fd, rights::READDIR)?
            .list = Vec::new();
        let list = list(call, fd, true)?;
        call.session
            .descriptors
            .directory(fd, rights::READDIR)?
            .list = list;
    }
    let list = &call
        .session
        .descriptors
        .directory(fd, rights::READDIR)?
        .list;
    let skipped = cookie.min(list.len());
    let most = usize::try_from(room).unwrap_or(usize::MAX);
    let most = most.min(list.len().saturating_sub(skipped));
    call.charge(fuel_for(skipped).saturating_add(fuel_for(most)))?;
    let open = call.session.descriptors.directory(fd, rights::READDIR)?;
    let rest = from_entry(&open.list, skipped);
    let bytes = rest.get(..most.min(rest.len())).unwrap_or_default();
    let (len, whole) = (bytes.len(), bytes.len() == rest.len());
    let size = u32::try_from(len).unwrap_or(u32::MAX);
    let into = crate::memory::bytes_mut(args.memory, buffer, size, "buffer for entries")?;
    into.copy_from_slice(bytes);
    if whole && size < room {
        // A list shorter than the buffer tells the guest that it has read everything.
        open.list = Vec::new();
    }
    put_len(args, used, len)
}

/// Returns the rest of the list, from the first entry that begins at `at` or later.
fn from_entry(list: &[u8], at: usize) -> &[u8] {
    let mut rest = list;
    while list.len().saturating_sub(rest.len()) < at {
        let next = rest
            .first_chunk()
            .and_then(|next| usize::try_from(u64::from_le_bytes(*next)).ok());
        rest = next.and_then(|next| list.get(next..)).unwrap_or_default();
    }
    rest
}

/// Lists the directory `fd`, with the names `.` and `..` if `dots`, in the layout of `fd_readdir`. Errors as
/// `fd_readdir`.
pub(super) fn list(call: &mut Call<'_>, fd: u32, dots: bool) -> Result<Vec<u8>, Fail> {
    let open = call.session.descriptors.directory(fd, rights::READDIR)?;
    let directory = open.directory.clone();
    call.charge(FUEL.saturating_mul(2))?;
    let shared = call.shared;
    let inode = contained(shared, || directory.stat(".", true))??.inode;
    let limit = call.grant.file_limits.list_bytes;
    let room = limit.saturating_sub(call.session.list_bytes());
    let (mut list, mut done) = (Vec::new(), Ok(()));
    for name in [".", ".."].into_iter().filter(|_| dots) {
        let kind = Kind::Directory;
        add(call, &mut list, room, &Entry { name, kind, inode })?;
    }
    let mut visit = |entry: Entry<'_>| {
        // An embedder's directory may go on after `false`: then nothing more is added or charged.
        if done.is_ok() {
            done = add(call, &mut list, room, &entry);
        }
        done.is_ok()
    };
    contained(shared, || directory.list(&mut visit))??;
    done?;
    list.shrink_to_fit();
    Ok(list)
}

/// An entry in the list of a directory.
#[cfg(feature = "component")]
pub(super) struct Listed<'l> {
    pub(super) kind: Kind,
    pub(super) name: &'l str,
    /// The offset of the next entry.
    pub(super) next: usize,
}

/// Returns the entry of a list at an offset; `None` at the end.
#[cfg(feature = "component")]
pub(super) fn entry(list: &[u8], at: usize) -> Option<Listed<'_>> {
    let entry = list.get(at..)?;
    let next = u64::from_le_bytes(*entry.first_chunk()?);
    let next = usize::try_from(next).ok()?;
    let kind = match entry.get(20)? {
        1 => Kind::BlockDevice,
        2 => Kind::CharacterDevice,
        3 => Kind::Directory,
        4 => Kind::File,
        6 => Kind::Socket,
        7 => Kind::SymbolicLink,
        _ => Kind::Unknown,
    };
    let name = list.get(at.checked_add(HEAD)?..next)?;
    let name = core::str::from_utf8(name).ok()?;
    Some(Listed { kind, name, next })
}

/// Charges for an entry and adds it to `list`: `Nomem` if the list would exceed `room` bytes.
fn add(
    call: &mut Call<'_>,
    list: &mut Vec<u8>,
    room: usize,
    entry: &Entry<'_>,
) -> Result<(), Fail> {
    let len = u32::try_from(entry.name.len()).map_err(|_| Errno::Nametoolong)?;
    let size = HEAD.saturating_add(entry.name.len());
    let end = list.len().saturating_add(size);
    call.check()?;
    call.charge(ENTRY.saturating_add(fuel_for(size)))?;
    if end > room {
        return Err(Errno::Nomem.into());
    }
    list.try_reserve(size).map_err(|_| Errno::Nomem)?;
    let mut head = Layout::<HEAD>::new();
    head.put(0, &(end as u64).to_le_bytes());
    head.put(8, &entry.inode.to_le_bytes());
    head.put(16, &len.to_le_bytes());
    head.put(20, &[entry.kind as u8]);
    list.extend_from_slice(&head.0);
    list.extend_from_slice(entry.name.as_bytes());
    Ok(())
}
