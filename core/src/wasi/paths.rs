//! Functions that take a path in an open directory.

use super::{
    descriptors::{Descriptor, Node as Open, OpenDirectory, OpenFile, rights},
    errno::{Errno, Fail},
    files::{self, Access, Directory, Node},
    session::{Args, Call, Given, contained},
    streams::FLAGS,
};
use crate::base::fuel::fuel_for;
use alloc::{string::String, sync::Arc, vec::Vec};

/// Fuel for an operation on a directory, and for a path.
pub(super) const FUEL: u64 = 1_000;

/// Fuel for each name in a path.
const NAME: u64 = 20;

/// Additional fuel for creating, removing, renaming or emptying an entry.
const CHANGE: u64 = 20_000;

/// Maximum length of a path in bytes.
pub(super) const PATH: u32 = 4_096;

/// Returns the directory `fd`: `Badf` if nothing is open there, `Notdir` for a file or a stream,
/// `Notcapable` or `Rofs` if it lacks a right in `needed`.
pub(super) fn directory(
    call: &mut Call<'_>,
    fd: u32,
    needed: u64,
) -> Result<Arc<dyn Directory>, Errno> {
    let open = call.session.descriptors.directory(fd, needed)?;
    Ok(open.directory.clone())
}

/// Returns the directories of a move or a link, each with its descriptor and the right that it needs.
/// Errors as [`directory`], but `Perm` if only `from` was granted for reading: with a name in `to`, the
/// guest could write a file that it may only read.
pub(super) fn two(
    call: &mut Call<'_>,
    from: (u32, u64),
    to: (u32, u64),
) -> Result<[Arc<dyn Directory>; 2], Errno> {
    let from = match directory(call, from.0, from.1) {
        Err(Errno::Rofs) => None,
        from => Some(from?),
    };
    let to = directory(call, to.0, to.1)?;
    Ok([from.ok_or(Errno::Perm)?, to])
}

/// Returns whether `lookupflags` say that a symbolic link at a path's end is followed; `Inval` for
/// unknown flags.
pub(super) const fn follows(flags: u32) -> Result<bool, Errno> {
    match flags {
        0 | 1 => Ok(flags == 1),
        _ => Err(Errno::Inval),
    }
}

/// Checks and charges for a path, and returns it in the form that a [`Directory`] gets.
///
/// Errors, called "path errors" at the functions:
///
/// * `Noent` for an empty path, `Nametoolong` above 4,096 bytes.
/// * `Inval` for a NUL in it, `Ilseq` if it is not UTF-8, `Fault` outside the guest's memory.
/// * `Perm` for an absolute path, or one with more `..` than names before them.
/// * `Nomem` if the host has no memory for it.
pub(super) fn path(call: &mut Call<'_>, given: Given<'_>) -> Result<String, Fail> {
    let path = text(call, given)?;
    if !stays_inside(&path) {
        return Err(Errno::Perm.into());
    }
    Ok(path)
}

/// Checks and charges for the text of a path or of a link's target, which may lead anywhere. Errors as
/// [`path`], without `Perm`.
pub(super) fn text(call: &mut Call<'_>, given: Given<'_>) -> Result<String, Fail> {
    let bytes = given?;
    let size = bytes.len();
    match u32::try_from(size) {
        Ok(0) => return Err(Errno::Noent.into()),
        Ok(1..=PATH) => {}
        _ => return Err(Errno::Nametoolong.into()),
    }
    call.check()?;
    call.charge(FUEL.saturating_add(fuel_for(size)))?;
    if bytes.contains(&0) {
        return Err(Errno::Inval.into());
    }
    let path = core::str::from_utf8(bytes).map_err(|_| Errno::Ilseq)?;
    let names = path.split('/').count() as u64;
    let mut own = String::new();
    own.try_reserve_exact(size).map_err(|_| Errno::Nomem)?;
    own.push_str(path);
    call.charge(names.saturating_mul(NAME))?;
    Ok(own)
}

/// Returns whether the names in a path stay in its directory; a symbolic link may still lead out of it.
fn stays_inside(path: &str) -> bool {
    let depth = path.split('/').try_fold(0usize, |depth, name| match name {
        "" | "." => Some(depth),
        ".." => depth.checked_sub(1),
        _ => depth.checked_add(1),
    });
    depth.is_some() && !path.starts_with('/')
}

/// Opens a file or a directory, or creates a file, at the lowest free descriptor.
///
/// Parameters:
/// * `fd`: the directory that the path starts from.
/// * `dirflags`: `lookupflags`: 1 follows a symbolic link at the path's end.
/// * `path`: its address.
/// * `path_len`: its length in bytes, at most 4,096.
/// * `oflags`: 1 create, 2 directory, 4 exclusive, 8 truncate.
/// * `fs_rights_base`: the rights requested (u64).
/// * `fs_rights_inheriting`: the rights to pass on (u64).
/// * `fdflags`: as in `fd_fdstat_set_flags`.
/// * `opened`: address for the descriptor (u32).
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notdir`: it is not a directory, or the path is not one and `oflags` has directory.
/// * `Notcapable`: it lacks the right `path_open`, `path_create_file` to create,
///   `path_filestat_set_size` to truncate, or can't pass on a requested `fd_read` or `fd_write`.
/// * `Inval`: an unknown flag, or directory with create, exclusive or truncate.
/// * `Rofs`: `fd_write`, create or truncate in a directory that was granted for reading.
/// * `Fault`: `opened` lies outside the guest's memory.
/// * The path errors of [`path`].
/// * `Mfile`: the guest has `Limits::open` descriptors open.
/// * `Dquot`: the call has created as many entries as `Limits::created` allows, with create.
/// * `Isdir`: a directory, opened for writing.
/// * `Nomem`: the host has no memory for the descriptor.
/// * Any errno of `Directory::open`: `Loop` for a link that is not followed, `Perm` for one that
///   leads out, `Notsup` for pipes and devices.
///
/// In hostel: as in other runtimes, guests choose only between reading and writing. `opened` gets all
/// other rights that the directory passes on, whatever was requested, since many guests ignore
/// rights; a directory passes on all of them. If no rights are requested (0), a file gets both
/// `fd_read` and `fd_write`: it is opened for writing, and if that fails with `Isdir`, `Acces`,
/// `Perm`, `Rofs` or `Busy`, for reading. A file without `fd_write` also lacks
/// `fd_allocate` and `fd_filestat_set_size`.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_open)
pub(super) fn path_open(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let (fd, opened) = (args.u32(0), args.u32(8));
    let how = Opening {
        lookup: args.u32(1),
        flags: args.u32(4),
        rights: args.u64(5),
        inheriting: args.u64(6),
        fd_flags: args.u32(7),
    };
    args.bytes(opened, 4)?;
    let fd = open(call, fd, &how, args.text(2, 3))?;
    args.put(opened, &fd.to_le_bytes())
}

/// How a guest opens a path: parameters of `path_open`.
pub(super) struct Opening {
    pub(super) lookup: u32,
    /// `oflags`.
    pub(super) flags: u32,
    pub(super) rights: u64,
    pub(super) inheriting: u64,
    pub(super) fd_flags: u32,
}

/// Opens a path in the directory `fd`, and returns the descriptor. Errors as `path_open`.
pub(super) fn open(
    call: &mut Call<'_>,
    fd: u32,
    how: &Opening,
    path: Given<'_>,
) -> Result<u32, Fail> {
    let (flags, asked, inheriting) = (how.flags, how.rights, how.inheriting);
    let flag = |bit: u32| flags & (1 << bit) != 0;
    let (create, directory_only) = (flag(0), flag(1));
    let (exclusive, truncate) = (flag(2), flag(3));
    let mut needed = rights::PATH_OPEN;
    if create {
        needed |= rights::PATH_CREATE_FILE;
    }
    if truncate {
        needed |= rights::PATH_SET_SIZE;
    }
    let directory = directory(call, fd, needed)?;
    let follow = follows(how.lookup)?;
    let fd_flags = u16::try_from(how.fd_flags).map_err(|_| Errno::Inval)?;
    let contradicts = directory_only && (create || exclusive || truncate);
    if fd_flags & !FLAGS != 0 || flags > 0b1111 || contradicts {
        return Err(Errno::Inval.into());
    }
    let Descriptor {
        access,
        inheriting: may,
        ..
    } = *call.session.descriptors.get(fd)?;
    // Guests request more rights than they use, so others that the directory lacks are left out
    // silently.
    if asked & !may & (rights::READ | rights::WRITE) != 0 {
        return Err(Errno::Notcapable.into());
    }
    let must_write = create || truncate || asked & rights::WRITE != 0;
    if must_write && access == Access::Read {
        return Err(Errno::Rofs.into());
    }
    // Only reading and writing are chosen by the guest; it gets the other rights whatever it requests.
    let mut rights = may
        & match asked {
            0 => u64::MAX,
            asked => asked | !(rights::READ | rights::WRITE),
        };
    if access == Access::Read {
        // A directory granted for reading names it among the rights that it passes on.
        rights &= !rights::WRITE;
    }
    let mut how = files::Open {
        follow,
        directory: directory_only,
        create,
        exclusive: create && exclusive,
        truncate,
        write: must_write || (!directory_only && rights & rights::WRITE != 0),
    };
    let path = self::path(call, path)?;
    let room = call.session.descriptors.check_room(&call.grant.file_limits);
    room?;
    if create {
        count_created(call)?;
    } else if truncate {
        change(call)?;
    }
    let mut opened_node = contained(call.shared, || directory.open(&path, &how))?;
    if let Err(Errno::Isdir | Errno::Acces | Errno::Perm | Errno::Rofs | Errno::Busy) = opened_node
        && how.write
        && !must_write
    {
        how.write = false;
        call.charge(FUEL)?;
        opened_node = contained(call.shared, || directory.open(&path, &how))?;
    }
    let node = opened_node?;
    let wrong = match &node {
        Node::File(_) if directory_only => Some(Errno::Notdir),
        Node::Directory(_) if must_write => Some(Errno::Isdir),
        _ => None,
    };
    if let Some(errno) = wrong {
        // Closing the node runs the embedder's code.
        contained(call.shared, || drop(node))?;
        return Err(errno.into());
    }
    let (node, rights, inheriting) = match node {
        Node::File(file) => {
            if !how.write || rights & rights::WRITE == 0 {
                rights &= !rights::NEEDS_WRITE;
            }
            let open = OpenFile {
                file,
                position: 0,
                opened_for: rights & (rights::READ | rights::WRITE),
            };
            (Open::File(open), rights & rights::FILE, inheriting & may)
        }
        Node::Directory(directory) => {
            let open = OpenDirectory {
                directory,
                granted: None,
                list: Vec::new(),
            };
            (Open::Directory(open), rights & rights::DIRECTORY, may)
        }
    };
    let descriptor = Descriptor {
        node,
        access,
        rights,
        inheriting,
        flags: fd_flags,
        #[cfg(feature = "component")]
        resources: 0,
    };
    Ok(call.session.descriptors.insert(descriptor)?)
}

/// Checks the deadline and charges for changing a directory.
fn change(call: &mut Call<'_>) -> Result<(), Fail> {
    call.check()?;
    call.charge(CHANGE)
}

/// Checks, charges and counts a new entry of a directory: `Dquot` beyond the limit for one call.
pub(super) fn count_created(call: &mut Call<'_>) -> Result<(), Fail> {
    change(call)?;
    let created = &mut call.session.created;
    if *created >= call.grant.file_limits.created {
        return Err(Errno::Dquot.into());
    }
    *created = created.saturating_add(1);
    Ok(())
}

/// Creates a directory.
///
/// Parameters:
/// * `fd`: the directory that the path starts from.
/// * `path`: its address.
/// * `path_len`: its length in bytes, at most 4,096.
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notdir`: it is not a directory.
/// * `Notcapable`: it lacks the right `path_create_directory`.
/// * `Rofs`: it was granted for reading.
/// * The path errors of [`path`].
/// * `Dquot`: the call has created as many entries as `Limits::created` allows.
/// * Any errno of `Directory::create_directory`.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_create_directory)
pub(super) fn path_create_directory(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    create_directory(call, args.u32(0), args.text(1, 2))
}

/// Creates the directory at a path in the directory `fd`. Errors as `path_create_directory`.
pub(super) fn create_directory(call: &mut Call<'_>, fd: u32, path: Given<'_>) -> Result<(), Fail> {
    let directory = directory(call, fd, rights::PATH_CREATE_DIRECTORY)?;
    let path = self::path(call, path)?;
    count_created(call)?;
    let create = || directory.create_directory(&path);
    Ok(contained(call.shared, create)??)
}

/// Removes an empty directory.
///
/// Parameters:
/// * `fd`: the directory that the path starts from.
/// * `path`: its address.
/// * `path_len`: its length in bytes, at most 4,096.
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notdir`: it is not a directory.
/// * `Notcapable`: it lacks the right `path_remove_directory`.
/// * `Rofs`: it was granted for reading.
/// * The path errors of [`path`].
/// * Any errno of `Directory::remove_directory`.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_remove_directory)
pub(super) fn path_remove_directory(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    remove_directory(call, args.u32(0), args.text(1, 2))
}

/// Removes the directory at a path in the directory `fd`. Errors as `path_remove_directory`.
pub(super) fn remove_directory(call: &mut Call<'_>, fd: u32, path: Given<'_>) -> Result<(), Fail> {
    let directory = directory(call, fd, rights::PATH_REMOVE_DIRECTORY)?;
    let path = self::path(call, path)?;
    change(call)?;
    let remove = || directory.remove_directory(&path);
    Ok(contained(call.shared, remove)??)
}

/// Removes a file or a symbolic link.
///
/// Parameters:
/// * `fd`: the directory that the path starts from.
/// * `path`: its address.
/// * `path_len`: its length in bytes, at most 4,096.
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notdir`: it is not a directory.
/// * `Notcapable`: it lacks the right `path_unlink_file`.
/// * `Rofs`: it was granted for reading.
/// * The path errors of [`path`].
/// * Any errno of `Directory::remove_file`.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_unlink_file)
pub(super) fn path_unlink_file(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    remove_file(call, args.u32(0), args.text(1, 2))
}

/// Removes the file at a path in the directory `fd`. Errors as `path_unlink_file`.
pub(super) fn remove_file(call: &mut Call<'_>, fd: u32, path: Given<'_>) -> Result<(), Fail> {
    let directory = directory(call, fd, rights::PATH_UNLINK_FILE)?;
    let path = self::path(call, path)?;
    change(call)?;
    let remove = || directory.remove_file(&path);
    Ok(contained(call.shared, remove)??)
}

/// Moves a file or a directory, perhaps to another directory.
///
/// Parameters:
/// * `fd`: the directory that the old path starts from.
/// * `old_path`, `old_path_len`: address of the old path, and its length in bytes.
/// * `new_fd`: the directory that the new path starts from.
/// * `new_path`, `new_path_len`: address of the new path, and its length in bytes.
///
/// Errors:
/// * `Badf`: `fd` or `new_fd` is not open.
/// * `Notdir`: one is not a directory.
/// * `Notcapable`: they lack the right `path_rename_source` or `path_rename_target`.
/// * `Rofs`: the new directory was granted for reading.
/// * `Perm`: only the old one was.
/// * The path errors of [`path`], for both paths.
/// * Any errno of `Directory::rename`: `Xdev` for directories of two types.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_rename)
pub(super) fn path_rename(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let from = (args.u32(0), args.text(1, 2));
    rename(call, from, (args.u32(3), args.text(4, 5)))
}

/// Moves what is at the one path, of a directory, to the other. Errors as `path_rename`.
pub(super) fn rename(
    call: &mut Call<'_>,
    (from, path): (u32, Given<'_>),
    (to, to_path): (u32, Given<'_>),
) -> Result<(), Fail> {
    let [from, to] = two(
        call,
        (from, rights::PATH_RENAME_SOURCE),
        (to, rights::PATH_RENAME_TARGET),
    )?;
    let path = self::path(call, path)?;
    let to_path = self::path(call, to_path)?;
    change(call)?;
    let rename = || from.rename(&path, &*to, &to_path);
    Ok(contained(call.shared, rename)??)
}

#[cfg(test)]
mod tests {
    use super::stays_inside;

    #[test]
    fn words_alone_lead_out_or_not() {
        for inside in [
            ".",
            "a",
            "a/",
            "./a//b/../c",
            "a/..",
            "..a",
            "...",
            "a/b/../../c",
            " ",
        ] {
            assert!(stays_inside(inside), "{inside}");
        }
        for outside in [
            "/",
            "/a",
            "..",
            "../a",
            "a/../..",
            "./..",
            "a/../../b",
            "//",
        ] {
            assert!(!stays_inside(outside), "{outside}");
        }
    }
}
