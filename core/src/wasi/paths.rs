//! Functions that take a path in a directory.

use super::{
    descriptors::{Descriptor, Node as Open, OpenDirectory, OpenFile, rights},
    errno::{Errno, Fail},
    files::{self, Access, Directory, Node},
    lists::put_len,
    session::{Args, Call, contained},
    streams::FLAGS,
};
use crate::base::fuel::fuel_for;
use alloc::{string::String, sync::Arc, vec::Vec};

/// Fuel for an operation on a directory, and for each name in a path.
pub(super) const FUEL: u64 = 1_000;
const NAME: u64 = 20;

/// Fuel for changing what is in a directory, on top.
const CHANGE: u64 = 20_000;

/// Longest path, in bytes.
const PATH: u32 = 4_096;

/// Most names in what a link points to that a guest makes. Systems follow some 40 links in a row, so
/// one short path could lead over ten thousands of names for the price of one.
const LINK_NAMES: usize = 32;

/// The directory behind `fd`, where it may be used for `needed`.
pub(super) fn directory(
    call: &mut Call<'_>,
    fd: u32,
    needed: u64,
) -> Result<Arc<dyn Directory>, Errno> {
    let open = call.session.descriptors.directory(fd, needed)?;
    Ok(open.directory.clone())
}

/// Whether flags of a look-up say that a symbolic link at a path's end is followed.
pub(super) const fn follows(flags: u32) -> Result<bool, Errno> {
    match flags {
        0 | 1 => Ok(flags == 1),
        _ => Err(Errno::Inval),
    }
}

/// A path from the guest's memory, charged for and in the form that a [`Directory`] gets.
pub(super) fn path(call: &mut Call<'_>, ptr: u32, len: u32) -> Result<String, Fail> {
    let path = text(call, ptr, len)?;
    if !stays_inside(&path) {
        return Err(Errno::Perm.into());
    }
    Ok(path)
}

/// The text of a path, charged for as one.
fn text(call: &mut Call<'_>, ptr: u32, len: u32) -> Result<String, Fail> {
    match len {
        0 => return Err(Errno::Noent.into()),
        1..=PATH => {}
        _ => return Err(Errno::Nametoolong.into()),
    }
    let size = usize::try_from(len).unwrap_or(usize::MAX);
    call.check()?;
    call.charge(FUEL.saturating_add(fuel_for(size)))?;
    let bytes = call.bytes(ptr, len)?;
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

/// Whether a path leads into a directory by its words alone; symbolic links may still lead out of it.
fn stays_inside(path: &str) -> bool {
    let depth = path.split('/').try_fold(0usize, |depth, name| match name {
        "" | "." => Some(depth),
        ".." => depth.checked_sub(1),
        _ => depth.checked_add(1),
    });
    depth.is_some() && !path.starts_with('/')
}

pub(super) fn path_open(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (fd, flags, opened) = (args.u32(0), args.u32(4), args.u32(8));
    let (asked, inheriting) = (args.u64(5), args.u64(6));
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
    let open = call.session.descriptors.directory(fd, needed)?;
    let (directory, access) = (open.directory.clone(), open.access);
    let follow = follows(args.u32(1))?;
    let fd_flags = u16::try_from(args.u32(7)).map_err(|_| Errno::Inval)?;
    let contradicts = directory_only && (create || exclusive || truncate);
    if fd_flags & !FLAGS != 0 || flags > 0b1111 || contradicts {
        return Err(Errno::Inval.into());
    }
    let may = call.session.descriptors.get(fd)?.inheriting;
    // Guests ask for more than they use, so other rights that can't be had are left out silently.
    if asked & !may & (rights::READ | rights::WRITE) != 0 {
        return Err(Errno::Notcapable.into());
    }
    let asked = asked & may;
    if asked & rights::WRITE != 0 && access == Access::Read {
        return Err(Errno::Rofs.into());
    }
    let how = files::Open {
        follow,
        directory: directory_only,
        create,
        exclusive: create && exclusive,
        truncate,
        write: create || truncate || asked & rights::WRITE != 0,
    };
    call.bytes(opened, 4)?;
    let path = path(call, args.u32(2), args.u32(3))?;
    let room = call.session.descriptors.check_room(&call.grant.file_limits);
    room?;
    if create {
        count_created(call)?;
    } else if truncate {
        change(call)?;
    }
    let node = contained(call.shared, || directory.open(&path, &how))??;
    let wrong = match &node {
        Node::File(_) if directory_only => Some(Errno::Notdir),
        Node::Directory(_) if how.write => Some(Errno::Isdir),
        _ => None,
    };
    if let Some(errno) = wrong {
        // What is closed is the embedder's.
        contained(call.shared, || drop(node))?;
        return Err(errno.into());
    }
    let (node, rights, inheriting) = match node {
        Node::File(file) => {
            let rights = match how.write {
                true => asked & rights::FILE,
                false => asked & rights::FILE & !(rights::ALLOCATE | rights::SET_SIZE),
            };
            (
                Open::File(OpenFile { file, position: 0 }),
                rights,
                inheriting & may,
            )
        }
        Node::Directory(directory) => {
            let open = OpenDirectory {
                directory,
                access,
                granted: None,
                list: Vec::new(),
            };
            // It hands on what it was given, whatever is asked: Zig asks for less than it uses.
            (Open::Directory(open), asked & rights::DIRECTORY, may)
        }
    };
    let fd = call.session.descriptors.insert(Descriptor {
        node,
        rights,
        inheriting,
        flags: fd_flags,
    })?;
    call.put(opened, &fd.to_le_bytes())
}

/// Charges for a change of what is in a directory, unless the call must end now.
fn change(call: &mut Call<'_>) -> Result<(), Fail> {
    call.check()?;
    call.charge(CHANGE)
}

/// The same for something new, which counts against a limit.
fn count_created(call: &mut Call<'_>) -> Result<(), Fail> {
    change(call)?;
    let created = &mut call.session.created;
    if *created >= call.grant.file_limits.created {
        return Err(Errno::Dquot.into());
    }
    *created = created.saturating_add(1);
    Ok(())
}

pub(super) fn path_create_directory(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let directory = directory(call, args.u32(0), rights::PATH_CREATE_DIRECTORY)?;
    let path = path(call, args.u32(1), args.u32(2))?;
    count_created(call)?;
    let create = || directory.create_directory(&path);
    Ok(contained(call.shared, create)??)
}

pub(super) fn path_remove_directory(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let directory = directory(call, args.u32(0), rights::PATH_REMOVE_DIRECTORY)?;
    let path = path(call, args.u32(1), args.u32(2))?;
    change(call)?;
    let remove = || directory.remove_directory(&path);
    Ok(contained(call.shared, remove)??)
}

pub(super) fn path_unlink_file(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let directory = directory(call, args.u32(0), rights::PATH_UNLINK_FILE)?;
    let path = path(call, args.u32(1), args.u32(2))?;
    change(call)?;
    let remove = || directory.remove_file(&path);
    Ok(contained(call.shared, remove)??)
}

/// Writes what a link points to, as far as there is room.
pub(super) fn path_readlink(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (buffer, size, used) = (args.u32(3), args.u32(4), args.u32(5));
    let directory = directory(call, args.u32(0), rights::PATH_READLINK)?;
    call.bytes(buffer, size)?;
    call.bytes(used, 4)?;
    let path = path(call, args.u32(1), args.u32(2))?;
    let target = contained(call.shared, || directory.read_link(&path))??;
    let room = usize::try_from(size).unwrap_or(usize::MAX);
    let fits = target.len().min(room);
    call.charge(fuel_for(fits))?;
    call.put(buffer, target.as_bytes().get(..fits).unwrap_or_default())?;
    put_len(call, used, fits)
}

pub(super) fn path_symlink(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let directory = directory(call, args.u32(2), rights::PATH_SYMLINK)?;
    let target = text(call, args.u32(0), args.u32(1))?;
    let path = path(call, args.u32(3), args.u32(4))?;
    // A guest is not led out of a directory by a link, but another program might be.
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

pub(super) fn path_rename(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let from = directory(call, args.u32(0), rights::PATH_RENAME_SOURCE)?;
    let to = directory(call, args.u32(3), rights::PATH_RENAME_TARGET)?;
    let path = path(call, args.u32(1), args.u32(2))?;
    let to_path = self::path(call, args.u32(4), args.u32(5))?;
    change(call)?;
    let rename = || from.rename(&path, &*to, &to_path);
    Ok(contained(call.shared, rename)??)
}

pub(super) fn path_link(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let from = directory(call, args.u32(0), rights::PATH_LINK_SOURCE)?;
    let to = directory(call, args.u32(4), rights::PATH_LINK_TARGET)?;
    if args.u32(1) != 0 {
        return Err(Errno::Inval.into());
    }
    let path = path(call, args.u32(2), args.u32(3))?;
    let to_path = self::path(call, args.u32(5), args.u32(6))?;
    count_created(call)?;
    let link = || from.link(&path, &*to, &to_path);
    Ok(contained(call.shared, link)??)
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
