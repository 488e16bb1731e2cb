//! The file descriptors of one instance: stdio, the granted directories, and the files and directories
//! that the guest opens.

use super::{
    errno::Errno,
    files::{Access, Directory, File, Kind, Limits},
    grant::{Preopen, Wasi},
    output::Stream,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};

/// Rights of a descriptor: the operations that it allows, as bits of WASI's `rights`.
pub(super) mod rights {
    pub(in crate::wasi) const DATASYNC: u64 = 1;
    pub(in crate::wasi) const READ: u64 = 1 << 1;
    pub(in crate::wasi) const SEEK: u64 = 1 << 2;
    pub(in crate::wasi) const SET_FLAGS: u64 = 1 << 3;
    pub(in crate::wasi) const SYNC: u64 = 1 << 4;
    pub(in crate::wasi) const TELL: u64 = 1 << 5;
    pub(in crate::wasi) const WRITE: u64 = 1 << 6;
    pub(in crate::wasi) const ADVISE: u64 = 1 << 7;
    pub(in crate::wasi) const ALLOCATE: u64 = 1 << 8;
    pub(in crate::wasi) const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
    pub(in crate::wasi) const PATH_CREATE_FILE: u64 = 1 << 10;
    pub(in crate::wasi) const PATH_LINK_SOURCE: u64 = 1 << 11;
    pub(in crate::wasi) const PATH_LINK_TARGET: u64 = 1 << 12;
    pub(in crate::wasi) const PATH_OPEN: u64 = 1 << 13;
    pub(in crate::wasi) const READDIR: u64 = 1 << 14;
    pub(in crate::wasi) const PATH_READLINK: u64 = 1 << 15;
    pub(in crate::wasi) const PATH_RENAME_SOURCE: u64 = 1 << 16;
    pub(in crate::wasi) const PATH_RENAME_TARGET: u64 = 1 << 17;
    pub(in crate::wasi) const PATH_FILESTAT: u64 = 1 << 18;
    pub(in crate::wasi) const PATH_SET_SIZE: u64 = 1 << 19;
    pub(in crate::wasi) const PATH_SET_TIMES: u64 = 1 << 20;
    pub(in crate::wasi) const FILESTAT: u64 = 1 << 21;
    pub(in crate::wasi) const SET_SIZE: u64 = 1 << 22;
    pub(in crate::wasi) const SET_TIMES: u64 = 1 << 23;
    pub(in crate::wasi) const PATH_SYMLINK: u64 = 1 << 24;
    pub(in crate::wasi) const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
    pub(in crate::wasi) const PATH_UNLINK_FILE: u64 = 1 << 26;
    pub(in crate::wasi) const POLL: u64 = 1 << 27;

    /// Rights of a directory granted for reading, and of the files in it.
    const READ_DIRECTORY: u64 = PATH_OPEN | READDIR | PATH_READLINK | PATH_FILESTAT | FILESTAT;
    const READ_FILE: u64 = READ | SEEK | SET_FLAGS | TELL | ADVISE | FILESTAT | POLL;

    /// Rights that change a directory or a file. Without them, neither can be changed.
    const CHANGE_DIRECTORY: u64 = PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_SET_SIZE
        | PATH_SET_TIMES
        | SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE;
    const CHANGE_FILE: u64 = WRITE | DATASYNC | SYNC | ALLOCATE | SET_SIZE | SET_TIMES;
    pub(super) const CHANGE: u64 = CHANGE_DIRECTORY | CHANGE_FILE;

    /// Rights that a file has only together with `WRITE`.
    pub(in crate::wasi) const NEEDS_WRITE: u64 = WRITE | ALLOCATE | SET_SIZE;

    /// All rights that a directory can have, and all that a file can have.
    pub(in crate::wasi) const DIRECTORY: u64 = READ_DIRECTORY | CHANGE_DIRECTORY;
    pub(in crate::wasi) const FILE: u64 = READ_FILE | CHANGE_FILE;

    /// Returns the rights of a granted directory: its own, and those that the guest may request for
    /// what it opens there. `WRITE` may always be requested, and opening then fails with `Rofs`. Guests
    /// that request only the inheritable rights would otherwise open the file, and fail at the first
    /// write.
    pub(super) const fn of(access: super::Access) -> (u64, u64) {
        match access {
            super::Access::Read => (READ_DIRECTORY, READ_DIRECTORY | READ_FILE | WRITE),
            super::Access::ReadWrite => (DIRECTORY, DIRECTORY | FILE),
        }
    }
}

/// The object that a descriptor refers to.
pub(super) enum Node {
    Input,
    Output(Stream),
    File(OpenFile),
    Directory(OpenDirectory),
}

/// An open file.
pub(super) struct OpenFile {
    pub(super) file: Box<dyn File>,
    /// The offset in bytes at which the next read or write starts.
    pub(super) position: u64,
    /// What it was opened for: `READ`, `WRITE` or both. The guest may give up these rights later.
    pub(super) opened_for: u64,
}

/// An open directory.
pub(super) struct OpenDirectory {
    pub(super) directory: Arc<dyn Directory>,
    /// The guest's name for the directory if it was granted; `None` if the guest opened it.
    pub(super) granted: Option<Arc<str>>,
    /// The entries at the time when the guest began to list them, in the layout of `fd_readdir`.
    pub(super) list: Vec<u8>,
}

/// One open descriptor.
pub(super) struct Descriptor {
    pub(super) node: Node,
    /// The access to the granted directory that it belongs to; `ReadWrite` for stdio.
    pub(super) access: Access,
    /// The operations that it allows.
    pub(super) rights: u64,
    /// The rights that the guest may request for what it opens in this directory.
    pub(super) inheriting: u64,
    /// WASI's `fdflags`.
    pub(super) flags: u16,
    /// Number of a component's resources that reach it.
    #[cfg(feature = "component")]
    pub(super) resources: u32,
}

impl Descriptor {
    fn stdio(node: Node, transfer: u64) -> Self {
        Self {
            node,
            access: Access::ReadWrite,
            rights: transfer | rights::SET_FLAGS | rights::FILESTAT | rights::POLL,
            inheriting: 0,
            flags: 0,
            #[cfg(feature = "component")]
            resources: 0,
        }
    }

    fn granted(preopen: &Preopen) -> Self {
        let (rights, inheriting) = rights::of(preopen.access);
        Self {
            node: Node::Directory(OpenDirectory {
                directory: preopen.directory.clone(),
                granted: Some(preopen.name.clone()),
                list: Vec::new(),
            }),
            access: preopen.access,
            rights,
            inheriting,
            flags: 0,
            #[cfg(feature = "component")]
            resources: 0,
        }
    }

    /// Returns an error unless the descriptor has all the rights in `needed`: `Rofs` if it lacks one
    /// that changes something, in a directory that was granted for reading, else `Notcapable`.
    pub(super) fn allow(&self, needed: u64) -> Result<(), Errno> {
        let missing = needed & !self.rights;
        if missing == 0 {
            Ok(())
        } else if self.access == Access::Read && missing & rights::CHANGE != 0 {
            Err(Errno::Rofs)
        } else {
            Err(Errno::Notcapable)
        }
    }

    /// Returns the kind. A stream is a `CharacterDevice` if `grant` says that it is a terminal, else
    /// `Unknown`.
    pub(super) fn kind(&self, grant: &Wasi) -> Kind {
        let terminal = match self.node {
            Node::Input => grant.stdin_is_terminal,
            Node::Output(stream) => grant.output(stream).is_terminal(),
            Node::File(_) | Node::Directory(_) => false,
        };
        match self.node {
            Node::Input | Node::Output(_) if terminal => Kind::CharacterDevice,
            Node::Input | Node::Output(_) => Kind::Unknown,
            Node::File(_) => Kind::File,
            Node::Directory(_) => Kind::Directory,
        }
    }

    /// Returns whether it is a file that was not opened for writing.
    pub(super) const fn is_read_only_file(&self) -> bool {
        matches!(&self.node, Node::File(file) if file.opened_for & rights::WRITE == 0)
    }

    /// Returns whether the guest opened it. Only such descriptors count against the limit.
    pub(super) fn was_opened(&self) -> bool {
        match &self.node {
            Node::Input | Node::Output(_) => false,
            Node::File(_) => true,
            Node::Directory(directory) => directory.granted.is_none(),
        }
    }
}

/// The table of descriptors; a descriptor is an index. A closed one leaves an empty slot.
pub(super) struct Descriptors(Vec<Option<Descriptor>>);

impl Descriptors {
    /// Creates the table of a new instance: stdin, stdout, stderr, then the granted directories.
    pub(super) fn new(preopens: &[Preopen]) -> Self {
        let stdio = [
            Descriptor::stdio(Node::Input, rights::READ),
            Descriptor::stdio(Node::Output(Stream::Stdout), rights::WRITE),
            Descriptor::stdio(Node::Output(Stream::Stderr), rights::WRITE),
        ];
        let granted = preopens.iter().map(Descriptor::granted);
        Self(stdio.into_iter().chain(granted).map(Some).collect())
    }

    /// Returns the slot of `fd`, open or closed: `Badf` beyond the end of the table.
    fn slot(&mut self, fd: u32) -> Result<&mut Option<Descriptor>, Errno> {
        let at = usize::try_from(fd).map_err(|_| Errno::Badf)?;
        self.0.get_mut(at).ok_or(Errno::Badf)
    }

    /// Returns the open descriptor `fd`, or `Badf`.
    pub(super) fn get(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.slot(fd)?.as_mut().ok_or(Errno::Badf)
    }

    /// Returns the open descriptor `fd`: `Badf` if there is none, `Notcapable` if it lacks a right in
    /// `needed`.
    pub(super) fn allowed(&mut self, fd: u32, needed: u64) -> Result<&mut Descriptor, Errno> {
        let descriptor = self.get(fd)?;
        descriptor.allow(needed)?;
        Ok(descriptor)
    }

    /// Returns the file `fd` and its flags: `Badf` if nothing is open there, or a directory, or a file
    /// that was not opened for what `needed` names of `READ` and `WRITE`; `of_stdio` for a stream;
    /// `Notcapable` or `Rofs` if it lacks a right in `needed`.
    pub(super) fn file(
        &mut self,
        fd: u32,
        needed: u64,
        of_stdio: Errno,
    ) -> Result<(&mut OpenFile, u16), Errno> {
        let descriptor = self.get(fd)?;
        let transfer = needed & (rights::READ | rights::WRITE);
        match &descriptor.node {
            Node::Input | Node::Output(_) => return Err(of_stdio),
            Node::Directory(_) => return Err(Errno::Badf),
            Node::File(file) if transfer & !file.opened_for != 0 => return Err(Errno::Badf),
            Node::File(_) => descriptor.allow(needed)?,
        }
        match &mut descriptor.node {
            Node::File(file) => Ok((file, descriptor.flags)),
            _ => Err(Errno::Badf),
        }
    }

    /// Returns the directory `fd`: `Badf` if nothing is open there, `Notdir` for a file or a stream,
    /// `Notcapable` if it lacks a right in `needed`.
    pub(super) fn directory(&mut self, fd: u32, needed: u64) -> Result<&mut OpenDirectory, Errno> {
        let descriptor = self.get(fd)?;
        if !matches!(descriptor.node, Node::Directory(_)) {
            return Err(Errno::Notdir);
        }
        descriptor.allow(needed)?;
        match &mut descriptor.node {
            Node::Directory(directory) => Ok(directory),
            _ => Err(Errno::Notdir),
        }
    }

    /// Returns `Mfile` if the guest has as many files and directories open as `limits` allow.
    pub(super) fn check_room(&self, limits: &Limits) -> Result<(), Errno> {
        let open = self.0.iter().flatten();
        if open.filter(|open| open.was_opened()).count() < limits.open {
            Ok(())
        } else {
            Err(Errno::Mfile)
        }
    }

    /// Inserts a descriptor at the lowest free number, and returns that.
    pub(super) fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        let free = self.0.iter().position(Option::is_none);
        let at = free.unwrap_or(self.0.len());
        let fd = u32::try_from(at).map_err(|_| Errno::Mfile)?;
        match self.0.get_mut(at) {
            Some(slot) => *slot = Some(descriptor),
            None => {
                self.0.try_reserve(1).map_err(|_| Errno::Nomem)?;
                self.0.push(Some(descriptor));
            }
        }
        Ok(fd)
    }

    /// Returns the granted directories that are open, with their names.
    #[cfg(feature = "component")]
    pub(super) fn granted_directories(&self) -> Vec<(u32, Arc<str>)> {
        let numbered = (0u32..).zip(&self.0);
        let granted = numbered.filter_map(|(fd, open)| match &open.as_ref()?.node {
            Node::Directory(directory) => Some((fd, directory.granted.clone()?)),
            _ => None,
        });
        granted.collect()
    }

    /// Returns the bytes that the lists of all open directories take.
    pub(super) fn list_bytes(&self) -> usize {
        let lists = self.0.iter().flatten().map(|open| match &open.node {
            Node::Directory(directory) => directory.list.capacity(),
            _ => 0,
        });
        lists.fold(0, usize::saturating_add)
    }

    /// Closes `fd`: `Badf` if it is not open.
    pub(super) fn close(&mut self, fd: u32) -> Result<(), Errno> {
        self.slot(fd)?.take().map(drop).ok_or(Errno::Badf)
    }

    /// Moves the descriptor `from` to the number `to`, and closes what was there: `Badf` unless both are
    /// open.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let moved = self.slot(from)?.take();
            *self.slot(to)? = moved;
        }
        Ok(())
    }
}
