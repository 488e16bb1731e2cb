//! `wasi:filesystem`: granted directories, and the files and directories in them.

use super::{
    super::{
        descriptors::{Node, rights},
        directories,
        errno::{Errno, Fail},
        files::Times,
        links,
        opened::{self, CHUNK, Writing},
        paths::{self, Opening},
        session::Call,
        stat,
    },
    Interface,
    function::{of_files, plain},
    resources::{self, Destination, Entry, Input, Output},
    streams::zeroes,
    types::{
        Advice, Borrowed, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
        ErrorCode, MetadataHash, NewTimestamp, OpenFlags, Own, PathFlags,
    },
};
use crate::base::fuel::fuel_for;
use alloc::{string::String, sync::Arc, vec::Vec};

pub(super) static INTERFACES: [Interface; 2] = [
    Interface::new(
        "wasi:filesystem/preopens@0.2.12",
        &[&plain(
            "get-directories",
            "func() -> list<tuple<descriptor, string>>",
            get_directories,
        )],
    ),
    Interface::with_resources(
        "wasi:filesystem/types@0.2.12",
        &[
            &of_files(
                "[method]descriptor.read-via-stream",
                "func(self: borrow<descriptor>, offset: u64) -> result<input-stream, error-code>",
                read_via_stream,
            ),
            &of_files(
                "[method]descriptor.write-via-stream",
                "func(self: borrow<descriptor>, offset: u64) -> result<output-stream, error-code>",
                write_via_stream,
            ),
            &of_files(
                "[method]descriptor.append-via-stream",
                "func(self: borrow<descriptor>) -> result<output-stream, error-code>",
                append_via_stream,
            ),
            &of_files(
                "[method]descriptor.advise",
                "func(self: borrow<descriptor>, offset: u64, length: u64, advice: advice) -> result<_, error-code>",
                advise,
            ),
            &of_files(
                "[method]descriptor.sync-data",
                "func(self: borrow<descriptor>) -> result<_, error-code>",
                sync_data,
            ),
            &of_files(
                "[method]descriptor.get-flags",
                "func(self: borrow<descriptor>) -> result<descriptor-flags, error-code>",
                get_flags,
            ),
            &of_files(
                "[method]descriptor.get-type",
                "func(self: borrow<descriptor>) -> result<descriptor-type, error-code>",
                get_type,
            ),
            &of_files(
                "[method]descriptor.set-size",
                "func(self: borrow<descriptor>, size: u64) -> result<_, error-code>",
                set_size,
            ),
            &of_files(
                "[method]descriptor.set-times",
                "func(self: borrow<descriptor>, data-access-timestamp: new-timestamp, data-modification-timestamp: new-timestamp) -> result<_, error-code>",
                set_times,
            ),
            &of_files(
                "[method]descriptor.read",
                "func(self: borrow<descriptor>, length: u64, offset: u64) -> result<tuple<list<u8>, bool>, error-code>",
                read,
            ),
            &of_files(
                "[method]descriptor.write",
                "func(self: borrow<descriptor>, buffer: list<u8>, offset: u64) -> result<u64, error-code>",
                write,
            ),
            &of_files(
                "[method]descriptor.read-directory",
                "func(self: borrow<descriptor>) -> result<directory-entry-stream, error-code>",
                read_directory,
            ),
            &of_files(
                "[method]descriptor.sync",
                "func(self: borrow<descriptor>) -> result<_, error-code>",
                sync,
            ),
            &of_files(
                "[method]descriptor.create-directory-at",
                "func(self: borrow<descriptor>, path: string) -> result<_, error-code>",
                create_directory_at,
            ),
            &of_files(
                "[method]descriptor.stat",
                "func(self: borrow<descriptor>) -> result<descriptor-stat, error-code>",
                get_stat,
            ),
            &of_files(
                "[method]descriptor.stat-at",
                "func(self: borrow<descriptor>, path-flags: path-flags, path: string) -> result<descriptor-stat, error-code>",
                stat_at,
            ),
            &of_files(
                "[method]descriptor.set-times-at",
                "func(self: borrow<descriptor>, path-flags: path-flags, path: string, data-access-timestamp: new-timestamp, data-modification-timestamp: new-timestamp) -> result<_, error-code>",
                set_times_at,
            ),
            &of_files(
                "[method]descriptor.link-at",
                "func(self: borrow<descriptor>, old-path-flags: path-flags, old-path: string, new-descriptor: borrow<descriptor>, new-path: string) -> result<_, error-code>",
                link_at,
            ),
            &of_files(
                "[method]descriptor.open-at",
                "func(self: borrow<descriptor>, path-flags: path-flags, path: string, open-flags: open-flags, flags: descriptor-flags) -> result<descriptor, error-code>",
                open_at,
            ),
            &of_files(
                "[method]descriptor.readlink-at",
                "func(self: borrow<descriptor>, path: string) -> result<string, error-code>",
                readlink_at,
            ),
            &of_files(
                "[method]descriptor.remove-directory-at",
                "func(self: borrow<descriptor>, path: string) -> result<_, error-code>",
                remove_directory_at,
            ),
            &of_files(
                "[method]descriptor.rename-at",
                "func(self: borrow<descriptor>, old-path: string, new-descriptor: borrow<descriptor>, new-path: string) -> result<_, error-code>",
                rename_at,
            ),
            &of_files(
                "[method]descriptor.symlink-at",
                "func(self: borrow<descriptor>, old-path: string, new-path: string) -> result<_, error-code>",
                symlink_at,
            ),
            &of_files(
                "[method]descriptor.unlink-file-at",
                "func(self: borrow<descriptor>, path: string) -> result<_, error-code>",
                unlink_file_at,
            ),
            &plain(
                "[method]descriptor.is-same-object",
                "func(self: borrow<descriptor>, other: borrow<descriptor>) -> bool",
                is_same_object,
            ),
            &of_files(
                "[method]descriptor.metadata-hash",
                "func(self: borrow<descriptor>) -> result<metadata-hash-value, error-code>",
                metadata_hash,
            ),
            &of_files(
                "[method]descriptor.metadata-hash-at",
                "func(self: borrow<descriptor>, path-flags: path-flags, path: string) -> result<metadata-hash-value, error-code>",
                metadata_hash_at,
            ),
            &of_files(
                "[method]directory-entry-stream.read-directory-entry",
                "func(self: borrow<directory-entry-stream>) -> result<option<directory-entry>, error-code>",
                read_directory_entry,
            ),
            &plain(
                "filesystem-error-code",
                "func(err: borrow<error>) -> option<error-code>",
                filesystem_error_code,
            ),
        ],
        &["descriptor", "directory-entry-stream"],
    ),
];

/// Flags of descriptors: their bits here, and in preview 1's `fdflags`.
const SYNCS: [(u32, u32); 3] = [(1 << 2, 1 << 4), (1 << 3, 1 << 1), (1 << 4, 1 << 3)];
const READ: u32 = 1;
const WRITE: u32 = 1 << 1;
const MUTATE_DIRECTORY: u32 = 1 << 5;

/// Returns the granted directories, with the names under which they were granted.
fn get_directories(call: &mut Call<'_>, (): &mut ()) -> Result<Vec<(Own, Arc<str>)>, Fail> {
    let mut all = Vec::new();
    for (fd, name) in call.session.descriptors.granted_directories() {
        call.charge(fuel_for(name.len()))?;
        all.push((resources::add(call, Entry::Descriptor(fd))?, name));
    }
    Ok(all)
}

/// Returns the descriptor of a file that was opened for what `needed` names of `READ` and `WRITE`: `Isdir` for
/// a directory, `Perm` for a file that was not opened for it.
fn file(call: &mut Call<'_>, descriptor: u32, needed: u64) -> Result<u32, Fail> {
    let fd = resources::descriptor(call, descriptor)?;
    match &call.session.descriptors.get(fd)?.node {
        Node::Directory(_) => Err(Errno::Isdir.into()),
        Node::File(file) if needed & !file.opened_for != 0 => Err(Errno::Perm.into()),
        _ => Ok(fd),
    }
}

/// Returns a stream that reads the file from an offset on.
fn read_via_stream(
    call: &mut Call<'_>,
    (Borrowed(descriptor), offset): &mut (Borrowed, u64),
) -> Result<Own, Fail> {
    let fd = file(call, *descriptor, rights::READ)?;
    resources::add(call, Entry::Input(Input::File(fd, *offset)))
}

/// Returns a stream that writes to the file from an offset on.
fn write_via_stream(
    call: &mut Call<'_>,
    (Borrowed(descriptor), offset): &mut (Borrowed, u64),
) -> Result<Own, Fail> {
    output(call, *descriptor, Some(*offset))
}

/// Returns a stream that writes to the file's end.
fn append_via_stream(
    call: &mut Call<'_>,
    (Borrowed(descriptor),): &mut (Borrowed,),
) -> Result<Own, Fail> {
    output(call, *descriptor, None)
}

fn output(call: &mut Call<'_>, descriptor: u32, from: Option<u64>) -> Result<Own, Fail> {
    let fd = file(call, descriptor, rights::WRITE)?;
    let output = Output {
        to: Destination::File(fd, from),
        permitted: 0,
    };
    resources::add(call, Entry::Output(output))
}

/// Accepts advice, which has no effect.
fn advise(
    call: &mut Call<'_>,
    (Borrowed(descriptor), offset, length, advice): &mut (Borrowed, u64, u64, Advice),
) -> Result<(), Fail> {
    let fd = file(call, *descriptor, 0)?;
    let advice = u32::try_from(advice.number()).unwrap_or(u32::MAX);
    opened::advise(call, fd, [*offset, *length], advice)
}

/// Stores the file's contents durably; `is-directory` for a directory.
fn sync_data(call: &mut Call<'_>, (Borrowed(descriptor),): &mut (Borrowed,)) -> Result<(), Fail> {
    let fd = file(call, *descriptor, 0)?;
    opened::store(call, fd, rights::DATASYNC, true)
}

/// Stores the file's contents and attributes durably; `is-directory` for a directory.
fn sync(call: &mut Call<'_>, (Borrowed(descriptor),): &mut (Borrowed,)) -> Result<(), Fail> {
    let fd = file(call, *descriptor, 0)?;
    opened::store(call, fd, rights::SYNC, false)
}

/// Returns what the descriptor allows.
fn get_flags(
    call: &mut Call<'_>,
    (Borrowed(descriptor),): &mut (Borrowed,),
) -> Result<DescriptorFlags, Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    let open = call.session.descriptors.get(fd)?;
    let mut bits = 0;
    match &open.node {
        Node::Directory(_) => {
            bits |= READ;
            if open.allow(rights::PATH_CREATE_FILE).is_ok() {
                bits |= MUTATE_DIRECTORY;
            }
        }
        Node::File(file) => {
            let opened_for = [(READ, rights::READ), (WRITE, rights::WRITE)].into_iter();
            let set = opened_for.filter(|(_, right)| file.opened_for & right != 0);
            set.for_each(|(bit, _)| bits |= bit);
        }
        Node::Input | Node::Output(_) => {}
    }
    let flags = u32::from(open.flags);
    let set = SYNCS.into_iter().filter(|(_, flag)| flags & flag != 0);
    set.for_each(|(bit, _)| bits |= bit);
    Ok(DescriptorFlags::new(bits))
}

/// Returns the kind.
fn get_type(
    call: &mut Call<'_>,
    (Borrowed(descriptor),): &mut (Borrowed,),
) -> Result<DescriptorType, Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    let kind = call.session.descriptors.get(fd)?.kind(call.grant);
    Ok(kind.into())
}

/// Sets the file's length. The bytes added count as written.
fn set_size(
    call: &mut Call<'_>,
    (Borrowed(descriptor), size): &mut (Borrowed, u64),
) -> Result<(), Fail> {
    let fd = file(call, *descriptor, 0)?;
    opened::set_size(call, fd, *size)
}

fn times(accessed: &NewTimestamp, modified: &NewTimestamp) -> Result<Times, Errno> {
    Ok(Times {
        accessed: accessed.time()?,
        modified: modified.time()?,
    })
}

/// Sets times of the file or directory.
fn set_times(
    call: &mut Call<'_>,
    (Borrowed(descriptor), accessed, modified): &mut (Borrowed, NewTimestamp, NewTimestamp),
) -> Result<(), Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    stat::set_times(call, fd, times(accessed, modified))
}

/// Reads up to `length` bytes and 64 KiB at an offset. Also returns whether the file ends there: whether there
/// was nothing to read.
fn read(
    call: &mut Call<'_>,
    (Borrowed(descriptor), length, offset): &mut (Borrowed, u64, u64),
) -> Result<(Vec<u8>, bool), Fail> {
    let fd = file(call, *descriptor, rights::READ)?;
    let size = usize::try_from(*length).unwrap_or(usize::MAX).min(CHUNK);
    let mut bytes = zeroes(size)?;
    let needed = rights::READ | rights::SEEK;
    let got = opened::read_at(call, fd, needed, *offset, &mut bytes)?;
    bytes.truncate(got);
    Ok((bytes, got == 0 && size > 0))
}

/// Writes at an offset, and returns how many of the bytes were written.
fn write(
    call: &mut Call<'_>,
    (Borrowed(descriptor), buffer, offset): &mut (Borrowed, Vec<u8>, u64),
) -> Result<u64, Fail> {
    let fd = file(call, *descriptor, rights::WRITE)?;
    let needed = rights::WRITE | rights::SEEK;
    let mut writing = Writing::begin(call, (fd, needed), Some(*offset), buffer.len())?;
    let done = writing.write(call, buffer)?;
    writing.end(call)?;
    Ok(done as u64)
}

/// Returns a stream of the directory's entries, without `.` and `..`. The list is made at once.
fn read_directory(
    call: &mut Call<'_>,
    (Borrowed(descriptor),): &mut (Borrowed,),
) -> Result<Own, Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    let list = directories::list(call, fd, false)?;
    resources::add(call, Entry::Entries(list, 0))
}

/// Returns the next entry, or none at the end.
fn read_directory_entry(
    call: &mut Call<'_>,
    (Borrowed(entries),): &mut (Borrowed,),
) -> Result<Option<DirectoryEntry>, Fail> {
    let (list, at) = resources::entries(call, *entries)?;
    let Some(entry) = directories::entry(list, *at) else {
        return Ok(None);
    };
    *at = entry.next;
    let (kind, name) = (entry.kind, String::from(entry.name));
    call.charge(fuel_for(name.len()))?;
    Ok(Some(DirectoryEntry::new((kind.into(), name))))
}

/// Creates a directory.
fn create_directory_at(
    call: &mut Call<'_>,
    (Borrowed(descriptor), path): &mut (Borrowed, String),
) -> Result<(), Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    paths::create_directory(call, fd, Ok(path.as_bytes()))
}

/// Returns the attributes.
fn get_stat(
    call: &mut Call<'_>,
    (Borrowed(descriptor),): &mut (Borrowed,),
) -> Result<DescriptorStat, Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    stat::stat(call, fd).map(DescriptorStat::from)
}

/// Returns the attributes of the entry at a path.
fn stat_at(
    call: &mut Call<'_>,
    (Borrowed(descriptor), flags, path): &mut (Borrowed, PathFlags, String),
) -> Result<DescriptorStat, Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    stat::stat_at(call, fd, flags.bits, Ok(path.as_bytes())).map(DescriptorStat::from)
}

/// Parameters of `set-times-at`.
type TimesAt = (Borrowed, PathFlags, String, NewTimestamp, NewTimestamp);

/// Sets times of the entry at a path.
fn set_times_at(
    call: &mut Call<'_>,
    (Borrowed(descriptor), flags, path, accessed, modified): &mut TimesAt,
) -> Result<(), Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    let times = times(accessed, modified);
    stat::set_times_at(call, fd, flags.bits, Ok(path.as_bytes()), times)
}

/// Creates another name (a hard link) of a file. Symbolic links are never followed: `invalid` if the guest asks
/// for it.
fn link_at(
    call: &mut Call<'_>,
    (Borrowed(from), flags, path, Borrowed(to), to_path): &mut (
        Borrowed,
        PathFlags,
        String,
        Borrowed,
        String,
    ),
) -> Result<(), Fail> {
    let from = (resources::descriptor(call, *from)?, Ok(path.as_bytes()));
    let to = (resources::descriptor(call, *to)?, Ok(to_path.as_bytes()));
    links::link(call, flags.bits, from, to)
}

/// Opens a file or a directory, or creates a file.
fn open_at(
    call: &mut Call<'_>,
    (Borrowed(descriptor), path_flags, path, open_flags, flags): &mut (
        Borrowed,
        PathFlags,
        String,
        OpenFlags,
        DescriptorFlags,
    ),
) -> Result<Own, Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    let directory = call.session.descriptors.directory(fd, rights::PATH_OPEN);
    directory?;
    let mutable = rights::PATH_CREATE_FILE;
    if flags.bits & MUTATE_DIRECTORY != 0 {
        call.session.descriptors.directory(fd, mutable)?;
    }
    let write = match flags.bits & WRITE {
        0 => 0,
        _ => rights::WRITE,
    };
    // A file that is opened for neither is opened for reading: no one can open it for nothing.
    let read = match flags.bits & READ {
        0 if write != 0 => 0,
        _ => rights::READ,
    };
    let syncs = SYNCS.into_iter().filter(|(bit, _)| flags.bits & bit != 0);
    let how = Opening {
        lookup: path_flags.bits,
        flags: open_flags.bits,
        rights: read | write,
        inheriting: u64::MAX,
        fd_flags: syncs.fold(0, |flags, (_, flag)| flags | flag),
    };
    let opened = paths::open(call, fd, &how, Ok(path.as_bytes()))?;
    let added = resources::add(call, Entry::Descriptor(opened));
    if added.is_err() {
        // Closing runs the embedder's code, whose error would hide this one.
        drop(super::super::streams::close(call, opened));
    }
    added
}

/// Returns the target of a symbolic link.
fn readlink_at(
    call: &mut Call<'_>,
    (Borrowed(descriptor), path): &mut (Borrowed, String),
) -> Result<String, Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    let target = links::read_link(call, fd, Ok(path.as_bytes()))?;
    call.charge(fuel_for(target.len()))?;
    Ok(target)
}

/// Removes an empty directory.
fn remove_directory_at(
    call: &mut Call<'_>,
    (Borrowed(descriptor), path): &mut (Borrowed, String),
) -> Result<(), Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    paths::remove_directory(call, fd, Ok(path.as_bytes()))
}

/// Moves a file or a directory, perhaps to another directory.
fn rename_at(
    call: &mut Call<'_>,
    (Borrowed(from), path, Borrowed(to), to_path): &mut (Borrowed, String, Borrowed, String),
) -> Result<(), Fail> {
    let from = (resources::descriptor(call, *from)?, Ok(path.as_bytes()));
    let to = (resources::descriptor(call, *to)?, Ok(to_path.as_bytes()));
    paths::rename(call, from, to)
}

/// Creates a symbolic link to the first path at the second one.
fn symlink_at(
    call: &mut Call<'_>,
    (Borrowed(descriptor), target, path): &mut (Borrowed, String, String),
) -> Result<(), Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    links::symlink(call, fd, Ok(target.as_bytes()), Ok(path.as_bytes()))
}

/// Removes a file or a symbolic link.
fn unlink_file_at(
    call: &mut Call<'_>,
    (Borrowed(descriptor), path): &mut (Borrowed, String),
) -> Result<(), Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    paths::remove_file(call, fd, Ok(path.as_bytes()))
}

/// Returns whether both are one file or directory: one descriptor, or equal device and inode.
fn is_same_object(
    call: &mut Call<'_>,
    (Borrowed(one), Borrowed(other)): &mut (Borrowed, Borrowed),
) -> Result<bool, Fail> {
    let one = resources::descriptor(call, *one)?;
    let other = resources::descriptor(call, *other)?;
    if one == other {
        return Ok(true);
    }
    let mut hash = |fd| match stat::stat(call, fd) {
        Ok(stat) => Ok(Some((stat.device, stat.inode))),
        Err(Fail::Errno(_)) => Ok(None),
        Err(fail) => Err(fail),
    };
    Ok(hash(one)?.is_some_and(|(_, inode)| inode != 0) && hash(one)? == hash(other)?)
}

/// Returns the inode and the device, which tell files apart.
fn metadata_hash(
    call: &mut Call<'_>,
    (Borrowed(descriptor),): &mut (Borrowed,),
) -> Result<MetadataHash, Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    let stat = stat::stat(call, fd)?;
    Ok(MetadataHash::new((stat.inode, stat.device)))
}

/// Returns the inode and the device of the entry at a path.
fn metadata_hash_at(
    call: &mut Call<'_>,
    (Borrowed(descriptor), flags, path): &mut (Borrowed, PathFlags, String),
) -> Result<MetadataHash, Fail> {
    let fd = resources::descriptor(call, *descriptor)?;
    let stat = stat::stat_at(call, fd, flags.bits, Ok(path.as_bytes()))?;
    Ok(MetadataHash::new((stat.inode, stat.device)))
}

/// Returns the code of an error of a stream.
fn filesystem_error_code(
    call: &mut Call<'_>,
    (Borrowed(error),): &mut (Borrowed,),
) -> Result<Option<ErrorCode>, Fail> {
    let errno = resources::error(call, *error)?;
    Ok(Some(errno.into()))
}
