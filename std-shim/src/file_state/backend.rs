//! The file as redb sees it: a link that remembers the first failure, can be cut, and can keep writes
//! in memory.

use redb::StorageBackend;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
};

/// Size of the pieces in which an [`Overlay`] keeps writes, in bytes.
const PIECE: usize = 4 << 10;

/// The reason why the file can't be used at present.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// Whether the disk, or the user's share of it, is full.
    pub(super) full: bool,
    /// The operating system's message, or the storage engine's.
    pub(super) text: String,
}

impl Failure {
    pub(super) fn new(error: &io::Error) -> Self {
        Self {
            full: matches!(
                error.kind(),
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::FileTooLarge
            ),
            text: error.to_string(),
        }
    }
}

/// One database's way to the file. Databases that follow each other share the file, and so its lock,
/// but each has a link of its own.
#[derive(Clone, Debug)]
pub(super) struct Link(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: Arc<dyn StorageBackend>,
    /// Holds the writes if they are not to reach the file.
    overlay: Option<Mutex<Overlay>>,
    failure: OnceLock<Failure>,
    /// Every operation holds it for reading, so that none runs on after [`Link::cut`].
    cut: RwLock<bool>,
}

impl Link {
    /// Returns a link whose writes reach the file.
    pub(super) fn new(file: Arc<dyn StorageBackend>) -> Self {
        Self::with_overlay(file, None)
    }

    /// Returns a link that leaves the file as it is, and keeps what is written in memory. redb writes
    /// when it opens a file, also to read only.
    pub(super) fn over(file: Arc<dyn StorageBackend>) -> io::Result<Self> {
        let overlay = Overlay {
            length: file.len()?,
            pieces: BTreeMap::new(),
        };
        Ok(Self::with_overlay(file, Some(Mutex::new(overlay))))
    }

    fn with_overlay(file: Arc<dyn StorageBackend>, overlay: Option<Mutex<Overlay>>) -> Self {
        Self(Arc::new(Shared {
            file,
            overlay,
            failure: OnceLock::new(),
            cut: RwLock::new(false),
        }))
    }

    /// Returns whether writes stay in memory.
    pub(super) fn keeps_writes(&self) -> bool {
        self.0.overlay.is_some()
    }

    /// Returns the first failure of the file under this link.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.0.failure.get()
    }

    /// Returns whether another database has taken over.
    pub(super) fn is_cut(&self) -> bool {
        *self.0.cut.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps this link's database from the file: waits for its running operations, and refuses later
    /// ones.
    pub(super) fn cut(&self) {
        *self.0.cut.write().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Runs one operation, and remembers its failure.
    fn run<R>(
        &self,
        work: impl FnOnce(&dyn StorageBackend, Option<MutexGuard<'_, Overlay>>) -> io::Result<R>,
    ) -> io::Result<R> {
        let shared = &*self.0;
        let cut = shared.cut.read().unwrap_or_else(PoisonError::into_inner);
        if *cut {
            return Err(io::Error::other("the file was opened again"));
        }
        let overlay = shared.overlay.as_ref();
        let overlay = overlay.map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner));
        work(&*shared.file, overlay).inspect_err(|error| {
            shared.failure.get_or_init(|| Failure::new(error));
        })
    }
}

impl StorageBackend for Link {
    fn len(&self) -> io::Result<u64> {
        self.run(|file, overlay| match overlay {
            None => file.len(),
            Some(overlay) => Ok(overlay.length),
        })
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.run(|file, overlay| match overlay {
            // On Windows, redb reads on and on beyond the file's end, which a truncated file has it do.
            None if cfg!(windows) && offset.saturating_add(len as u64) > file.len()? => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            None => file.read(offset, len),
            Some(overlay) => overlay.read(file, offset, len),
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.run(|file, overlay| match overlay {
            None => file.set_len(len),
            Some(mut overlay) => {
                overlay.length = len;
                overlay.pieces.split_off(&len.div_ceil(PIECE as u64));
                Ok(())
            }
        })
    }

    fn sync_data(&self, eventual: bool) -> io::Result<()> {
        self.run(|file, overlay| match overlay {
            None => file.sync_data(eventual),
            Some(_) => Ok(()),
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.run(|file, overlay| match overlay {
            None => file.write(offset, data),
            Some(mut overlay) => overlay.write(file, offset, data),
        })
    }
}

/// What was written over a file that stays as it is. Little: a database over it only gets repaired.
#[derive(Debug)]
struct Overlay {
    length: u64,
    /// Pieces of the file that were written to, by their number.
    pieces: BTreeMap<u64, Box<[u8; PIECE]>>,
}

impl Overlay {
    fn read(&self, file: &dyn StorageBackend, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let end = offset.saturating_add(len as u64);
        if end > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = base(file, offset, len)?;
        let first = offset / PIECE as u64;
        for (number, piece) in self.pieces.range(first..end.div_ceil(PIECE as u64)) {
            let start = number * PIECE as u64;
            let (from, to) = (start.max(offset), end.min(start + PIECE as u64));
            let part = &piece[(from - start) as usize..(to - start) as usize];
            bytes[(from - offset) as usize..(to - offset) as usize].copy_from_slice(part);
        }
        Ok(bytes)
    }

    fn write(&mut self, file: &dyn StorageBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while written < data.len() {
            let at = offset + written as u64;
            let (number, skip) = (at / PIECE as u64, (at % PIECE as u64) as usize);
            let part = &data[written..data.len().min(written + PIECE - skip)];
            let piece = match self.pieces.entry(number) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(new) => {
                    let mut piece = Box::new([0; PIECE]);
                    piece.copy_from_slice(&base(file, number * PIECE as u64, PIECE)?);
                    new.insert(piece)
                }
            };
            piece[skip..skip + part.len()].copy_from_slice(part);
            written += part.len();
        }
        self.length = self.length.max(offset + data.len() as u64);
        Ok(())
    }
}

/// Reads from the file itself, with zeros after its end.
fn base(file: &dyn StorageBackend, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let there = file.len()?.saturating_sub(offset).min(len as u64) as usize;
    let mut bytes = if there == 0 {
        Vec::new()
    } else {
        file.read(offset, there)?
    };
    bytes.resize(len, 0);
    Ok(bytes)
}
