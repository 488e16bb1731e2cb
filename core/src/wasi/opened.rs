//! Functions for open files.

use super::{
    descriptors::{OpenFile, rights},
    errno::{Errno, Fail},
    files::{Stat, Times},
    lists::{Buffers, put_len},
    session::{Args, Call, contained},
};
use crate::base::fuel::fuel_for;

/// Fuel for one operation on an open file, which may be a system call.
const FUEL: u64 = 100;

/// Fuel for storing a file durably: the device may take milliseconds for it.
const SYNC: u64 = 200_000;

/// Maximum number of bytes read or written at a time. Deadline and cancellation are checked in between.
pub(super) const CHUNK: usize = 64 << 10;

/// The `fdflags` that take effect on files.
const APPEND: u16 = 1;
/// `dsync` or `sync`.
const ANY_SYNC: u16 = 1 << 1 | 1 << 4;

/// Reads from a file at an offset, without moving its position.
///
/// Parameters:
/// * `fd`: the file.
/// * `iovs`: address of the list of buffers.
/// * `iovs_len`: number of buffers, at most 1,024.
/// * `offset`: in bytes (u64).
/// * `nread`: address for the number of bytes read (u32).
///
/// Errors:
/// * `Badf`: `fd` is not open, is a directory, or was not opened for reading.
/// * `Spipe`: it is stdin, stdout or stderr.
/// * `Notcapable`: it lacks the right `fd_read` or `fd_seek`.
/// * The buffer errors of [`Buffers::check`].
/// * `Fault`: `nread` lies outside the guest's memory.
/// * Any errno of `File::read`, if nothing was read before.
///
/// In hostel: files are read in pieces of 64 KiB. Deadline and cancellation are checked in
/// between.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_pread)
pub(super) fn fd_pread(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let numbers = [0, 1, 2, 4].map(|at| args.u32(at));
    let offset = args.u64(3);
    read(call, args, numbers, Some(offset))
}

/// Writes to a file at an offset, without moving its position.
///
/// Parameters:
/// * `fd`: the file.
/// * `iovs`: address of the list of buffers.
/// * `iovs_len`: number of buffers, at most 1,024.
/// * `offset`: in bytes (u64).
/// * `nwritten`: address for the number of bytes written (u32).
///
/// Errors:
/// * `Badf`: `fd` is not open, is a directory, or was not opened for writing.
/// * `Spipe`: it is stdin, stdout or stderr.
/// * `Notcapable`: it lacks the right `fd_write` or `fd_seek`.
/// * The buffer errors of [`Buffers::check`].
/// * `Fault`: `nwritten` lies outside the guest's memory.
/// * `Dquot`: `Limits::written_bytes` leaves no room in the call, or not for the zeros up to
///   `offset`.
/// * Any errno of `File::stat`, of `File::write` if nothing was written before, or of
///   `File::sync`.
///
/// In hostel: if the file appends, writes at its end whatever `offset` says, as Linux does. What
/// exceeds the limit is cut off. Files are written in pieces of 64 KiB. Deadline and cancellation are checked in
/// between.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_pwrite)
pub(super) fn fd_pwrite(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let numbers = [0, 1, 2, 4].map(|at| args.u32(at));
    let offset = args.u64(3);
    write(call, args, numbers, Some(offset))
}

/// Reads a file into the guest's buffers, from `offset`, or from its position, which then moves.
pub(super) fn read(
    call: &mut Call<'_>,
    args: &mut Args<'_>,
    [fd, list, count, read]: [u32; 4],
    offset: Option<u64>,
) -> Result<(), Fail> {
    let needed = rights::READ | offset.map_or(0, |_| rights::SEEK);
    let (file, _) = call.session.descriptors.file(fd, needed, Errno::Spipe)?;
    let from = offset.unwrap_or(file.position);
    let buffers = Buffers::check(call, args, list, count)?;
    args.bytes(read, 4)?;
    let mut got = 0usize;
    for number in 0..buffers.count {
        let (ptr, len) = buffers.get(args, number)?;
        let into = args.bytes_mut(ptr, len)?;
        // A read into an earlier buffer may have made this one longer.
        let most = into.len().min(buffers.size.saturating_sub(got));
        let into = into.get_mut(..most).unwrap_or_default();
        let at = from.saturating_add(got as u64);
        let done = match read_at(call, fd, needed, at, into) {
            // Bytes already read are reported; the guest meets the error when it tries again.
            Err(Fail::Errno(_)) if got > 0 => break,
            done => done?,
        };
        got = got.saturating_add(done);
        if done < into.len() {
            break;
        }
    }
    if offset.is_none() {
        set_position(call, fd, from.saturating_add(got as u64))?;
    }
    put_len(args, read, got)
}

/// Writes the guest's buffers to a file: at its end if it appends, else at `offset`, or without one at
/// its position. Without `offset`, the position then moves.
pub(super) fn write(
    call: &mut Call<'_>,
    args: &mut Args<'_>,
    [fd, list, count, written]: [u32; 4],
    offset: Option<u64>,
) -> Result<(), Fail> {
    let needed = rights::WRITE | offset.map_or(0, |_| rights::SEEK);
    let (file, flags) = call.session.descriptors.file(fd, needed, Errno::Spipe)?;
    let from = offset.unwrap_or(file.position);
    let append = flags & APPEND != 0;
    let buffers = Buffers::check(call, args, list, count)?;
    args.bytes(written, 4)?;
    let mut writing = Writing::begin(call, (fd, needed), (!append).then_some(from), buffers.size)?;
    for number in 0..buffers.count {
        let (ptr, len) = buffers.get(args, number)?;
        let bytes = args.bytes(ptr, len)?;
        if writing.write(call, bytes)? < bytes.len() {
            break;
        }
    }
    let done = writing.done;
    if offset.is_none() {
        let end = match append && done > 0 {
            true => stat(call, fd)?.size,
            false => from.saturating_add(done as u64),
        };
        set_position(call, fd, end)?;
    }
    writing.end(call)?;
    put_len(args, written, done)
}

/// Reads the file `fd`, which must have the rights `needed`, from the offset `from` into `into`, in pieces
/// of at most [`CHUNK`] bytes, until one is not filled. Checks the deadline and charges before each.
/// Returns the bytes read; the file's own error if there are none.
pub(super) fn read_at(
    call: &mut Call<'_>,
    fd: u32,
    needed: u64,
    from: u64,
    into: &mut [u8],
) -> Result<usize, Fail> {
    let mut got = 0usize;
    for piece in into.chunks_mut(CHUNK) {
        let size = piece.len();
        call.check()?;
        call.charge(FUEL.saturating_add(fuel_for(size)))?;
        let (file, _) = call.session.descriptors.file(fd, needed, Errno::Spipe)?;
        let at = from.saturating_add(got as u64);
        let done = match contained(call.shared, || file.file.read(at, piece))? {
            // An embedder's file may return more than it was given room for.
            Ok(done) => done.min(size),
            Err(_) if got > 0 => return Ok(got),
            Err(errno) => return Err(errno.into()),
        };
        got = got.saturating_add(done);
        if done < size {
            break;
        }
    }
    Ok(got)
}

/// A write to a file, of one buffer or several.
pub(super) struct Writing {
    fd: u32,
    /// The rights that the file must have.
    needed: u64,
    /// The offset of the first byte; `None` to write at the file's end.
    from: Option<u64>,
    /// Zeros between the file's end and the first byte, until these are counted.
    gap: u64,
    /// Bytes that may still be written.
    left: usize,
    /// Bytes written so far.
    pub(super) done: usize,
}

impl Writing {
    /// Begins to write `size` bytes to the file `fd`, at the offset `from`, or without one at its end:
    /// `Dquot` if the call may not write any more.
    pub(super) fn begin(
        call: &mut Call<'_>,
        (fd, needed): (u32, u64),
        from: Option<u64>,
        size: usize,
    ) -> Result<Self, Fail> {
        call.session.descriptors.file(fd, needed, Errno::Spipe)?;
        let mut gap = 0;
        if let Some(from) = from
            && size > 0
        {
            // The zeros between the end and `from` count as written, since some file systems store them.
            gap = from.saturating_sub(stat(call, fd)?.size);
        }
        let room = call.written_room().checked_sub(gap).ok_or(Errno::Dquot)?;
        let left = usize::try_from(room).unwrap_or(usize::MAX).min(size);
        if left == 0 && size > 0 {
            return Err(Errno::Dquot.into());
        }
        call.charge(gap.div_ceil(64))?;
        Ok(Self {
            fd,
            needed,
            from,
            gap,
            left,
            done: 0,
        })
    }

    /// Writes as many of `bytes` as the call's limit and the file allow, in pieces of at most [`CHUNK`]
    /// bytes. Checks the deadline and charges before each. Returns their number; the file's own error if
    /// nothing was written by any buffer.
    pub(super) fn write(&mut self, call: &mut Call<'_>, bytes: &[u8]) -> Result<usize, Fail> {
        let before = self.done;
        let bytes = bytes.get(..bytes.len().min(self.left)).unwrap_or_default();
        for piece in bytes.chunks(CHUNK) {
            call.check()?;
            call.charge(FUEL.saturating_add(fuel_for(piece.len())))?;
            let descriptors = &mut call.session.descriptors;
            let (file, _) = descriptors.file(self.fd, self.needed, Errno::Spipe)?;
            // Counted before the write, since a write that fails may have stored some bytes.
            let grown = core::mem::take(&mut self.gap).saturating_add(piece.len() as u64);
            call.session.file_written = call.session.file_written.saturating_add(grown);
            let at = self.from.map(|from| from.saturating_add(self.done as u64));
            let written = contained(call.shared, || match at {
                None => file.file.append(piece),
                Some(at) => file.file.write(at, piece),
            })?;
            let done = match written {
                // An embedder's file may return more than it was given.
                Ok(done) => done.min(piece.len()),
                // Bytes already written are reported; the guest meets the error when it tries again.
                Err(_) if self.done > 0 => break,
                Err(errno) => return Err(errno.into()),
            };
            self.done = self.done.saturating_add(done);
            self.left = self.left.saturating_sub(done);
            if done < piece.len() {
                break;
            }
        }
        Ok(self.done.saturating_sub(before))
    }

    /// Stores what was written durably, if the file was opened so.
    pub(super) fn end(self, call: &mut Call<'_>) -> Result<(), Fail> {
        if self.done > 0 && call.session.descriptors.get(self.fd)?.flags & ANY_SYNC != 0 {
            sync(call, self.fd, self.needed, true)?;
        }
        Ok(())
    }
}

/// Moves a file's position to the offset `to`.
fn set_position(call: &mut Call<'_>, fd: u32, to: u64) -> Result<(), Fail> {
    let (file, _) = call.session.descriptors.file(fd, 0, Errno::Spipe)?;
    file.position = to;
    Ok(())
}

/// Charges `fuel` and passes the file `fd` to `work`. Errors as `Descriptors::file`, and those of
/// `work`.
fn with<R>(
    call: &mut Call<'_>,
    fd: u32,
    needed: u64,
    of_stdio: Errno,
    fuel: u64,
    work: impl FnOnce(&mut OpenFile) -> Result<R, Errno>,
) -> Result<R, Fail> {
    call.session.descriptors.file(fd, needed, of_stdio)?;
    call.charge(fuel)?;
    let (file, _) = call.session.descriptors.file(fd, needed, of_stdio)?;
    Ok(contained(call.shared, || work(file))??)
}

/// Returns the attributes of the file `fd`.
pub(super) fn stat(call: &mut Call<'_>, fd: u32) -> Result<Stat, Fail> {
    let stat = |file: &mut OpenFile| file.file.stat();
    with(call, fd, 0, Errno::Spipe, FUEL, stat)
}

/// Stores the file `fd` durably for a guest that asked for it: `Notcapable` if the file was opened for
/// writing and lacks the right `needed`.
pub(super) fn store(
    call: &mut Call<'_>,
    fd: u32,
    needed: u64,
    data_only: bool,
) -> Result<(), Fail> {
    let descriptors = &mut call.session.descriptors;
    descriptors.file(fd, 0, Errno::Notcapable)?;
    let descriptor = descriptors.get(fd)?;
    if descriptor.allow(needed).is_ok() {
        sync(call, fd, needed, data_only)
    } else if descriptor.is_read_only_file() {
        // Nothing was written by this descriptor, so that there is nothing to store.
        Ok(())
    } else {
        Err(Errno::Notcapable.into())
    }
}

/// Stores the file `fd` durably; with `data_only`, not its attributes.
fn sync(call: &mut Call<'_>, fd: u32, needed: u64, data_only: bool) -> Result<(), Fail> {
    call.check()?;
    let sync = |file: &mut OpenFile| file.file.sync(data_only);
    with(call, fd, needed, Errno::Notcapable, SYNC, sync)
}

/// Stores a file's contents and attributes durably.
///
/// Parameters:
/// * `fd`: the file.
///
/// Errors:
/// * `Badf`: `fd` is not open, or is a directory.
/// * `Notcapable`: it is stdin, stdout or stderr, or was opened for writing and lacks the right
///   `fd_sync`.
/// * Any errno of `File::sync`.
///
/// In hostel: a file that was opened for reading and lacks the right has nothing to store, which is
/// a success.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_sync)
pub(super) fn fd_sync(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    store(call, args.u32(0), rights::SYNC, false)
}

/// Stores a file's contents durably.
///
/// Parameters:
/// * `fd`: the file.
///
/// Errors:
/// * `Badf`: `fd` is not open, or is a directory.
/// * `Notcapable`: it is stdin, stdout or stderr, or was opened for writing and lacks the right
///   `fd_datasync`.
/// * Any errno of `File::sync`.
///
/// In hostel: a file that was opened for reading and lacks the right has nothing to store, which is
/// a success.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_datasync)
pub(super) fn fd_datasync(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    store(call, args.u32(0), rights::DATASYNC, true)
}

/// Writes a file's position.
///
/// Parameters:
/// * `fd`: the file.
/// * `offset`: address for the position in bytes (u64).
///
/// Errors:
/// * `Badf`: `fd` is not open, or is a directory.
/// * `Spipe`: it is stdin, stdout or stderr.
/// * `Notcapable`: it lacks the right `fd_tell`.
/// * `Fault`: the address lies outside the guest's memory.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_tell)
pub(super) fn fd_tell(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let fd = args.u32(0);
    let (file, _) = call
        .session
        .descriptors
        .file(fd, rights::TELL, Errno::Spipe)?;
    let at = file.position;
    args.put(args.u32(1), &at.to_le_bytes())
}

/// Moves a file's position.
///
/// Parameters:
/// * `fd`: the file.
/// * `offset`: in bytes (i64).
/// * `whence`: 0 from the start, 1 from the position, 2 from the end.
/// * `newoffset`: address for the new position in bytes (u64).
///
/// Errors:
/// * `Badf`: `fd` is not open, or is a directory.
/// * `Spipe`: it is stdin, stdout or stderr.
/// * `Notcapable`: it lacks the right `fd_seek` (to move by 0 from the position, `fd_tell`).
/// * `Inval`: an unknown `whence`, or a position below 0 or above 2⁶⁴ − 1.
/// * `Fault`: `newoffset` lies outside the guest's memory.
/// * Any errno of `File::stat`, from the end.
///
/// In hostel: the position may lie beyond the end. `wasi_unstable` numbers `whence` otherwise: 0
/// from the position, 1 from the end, 2 from the start.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_seek)
pub(super) fn fd_seek(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let (fd, delta, whence) = (args.u32(0), args.u64(1).cast_signed(), args.u32(2));
    // `wasi_unstable` numbers them current, end, set.
    let whence = match (args.unstable, whence) {
        (false, whence) => whence,
        (true, whence @ 0..=2) => whence.wrapping_add(1).checked_rem(3).unwrap_or(0),
        (true, whence) => whence,
    };
    // Moving by 0 from the current position only asks for it, which `fd_tell` allows too.
    let needed = match (whence, delta) {
        (1, 0) => rights::TELL,
        _ => rights::SEEK,
    };
    let (file, _) = call.session.descriptors.file(fd, needed, Errno::Spipe)?;
    let from = match whence {
        0 => 0,
        1 => file.position,
        2 => stat(call, fd)?.size,
        _ => return Err(Errno::Inval.into()),
    };
    let at = from.checked_add_signed(delta).ok_or(Errno::Inval)?;
    args.put(args.u32(3), &at.to_le_bytes())?;
    set_position(call, fd, at)
}

/// Accepts advice on how a file will be used.
///
/// Parameters:
/// * `fd`: the file.
/// * `offset`, `len`: the range in bytes (u64).
/// * `advice`: 0 to 5.
///
/// Errors:
/// * `Badf`: `fd` is not open, or is a directory.
/// * `Spipe`: it is stdin, stdout or stderr.
/// * `Notcapable`: it lacks the right `fd_advise`.
/// * `Inval`: `advice` is above 5, or the range ends beyond 2⁶⁴ − 1.
///
/// In hostel: the advice has no effect.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_advise)
pub(super) fn fd_advise(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    advise(call, args.u32(0), [args.u64(1), args.u64(2)], args.u32(3))
}

/// Checks advice on the range of `len` bytes at the offset `at` of the file `fd`. Errors as `fd_advise`.
pub(super) fn advise(
    call: &mut Call<'_>,
    fd: u32,
    [at, len]: [u64; 2],
    advice: u32,
) -> Result<(), Fail> {
    let descriptors = &mut call.session.descriptors;
    descriptors.file(fd, rights::ADVISE, Errno::Spipe)?;
    if advice > 5 || at.checked_add(len).is_none() {
        return Err(Errno::Inval.into());
    }
    Ok(())
}

/// Fails: hostel reserves no space for files.
///
/// Parameters:
/// * `fd`: the file.
/// * `offset`, `len`: the range in bytes (u64).
///
/// Errors:
/// * `Badf`: `fd` is not open, or is a directory.
/// * `Spipe`: it is stdin, stdout or stderr.
/// * `Notcapable`: it lacks the right `fd_allocate`.
/// * `Inval`: `len` is 0, or the range ends beyond 2⁶⁴ − 1.
/// * `Notsup`: in all other cases.
///
/// In hostel: not every file system can reserve space, so that it is not offered for any.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_allocate)
pub(super) fn fd_allocate(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let descriptors = &mut call.session.descriptors;
    descriptors.file(args.u32(0), rights::ALLOCATE, Errno::Spipe)?;
    let (at, len) = (args.u64(1), args.u64(2));
    if len == 0 || at.checked_add(len).is_none() {
        return Err(Errno::Inval.into());
    }
    Err(Errno::Notsup.into())
}

/// Sets a file's length.
///
/// Parameters:
/// * `fd`: the file.
/// * `size`: the length in bytes (u64); a longer file is filled with zeros.
///
/// Errors:
/// * `Badf`: `fd` is not open, or is a directory.
/// * `Inval`: it was not opened for writing.
/// * `Notcapable`: it is stdin, stdout or stderr, or lacks the right `fd_filestat_set_size`.
/// * `Rofs`: it belongs to a directory that was granted for reading.
/// * `Dquot`: the file would grow beyond `Limits::written_bytes` for the call.
/// * Any errno of `File::stat` or `File::set_size`.
///
/// In hostel: the bytes added count as written.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_filestat_set_size)
pub(super) fn fd_filestat_set_size(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    set_size(call, args.u32(0), args.u64(1))
}

/// Sets the length of the file `fd` to `new` bytes. Errors as `fd_filestat_set_size`.
pub(super) fn set_size(call: &mut Call<'_>, fd: u32, new: u64) -> Result<(), Fail> {
    let descriptors = &mut call.session.descriptors;
    if let Err(errno) = descriptors.file(fd, rights::SET_SIZE, Errno::Notcapable) {
        let read_only = errno == Errno::Notcapable && descriptors.get(fd)?.is_read_only_file();
        return Err(if read_only { Errno::Inval } else { errno }.into());
    }
    let grown = new.saturating_sub(stat(call, fd)?.size);
    if grown > call.written_room() {
        return Err(Errno::Dquot.into());
    }
    call.charge(grown.div_ceil(64))?;
    call.session.file_written = call.session.file_written.saturating_add(grown);
    let set = |file: &mut OpenFile| file.file.set_size(new);
    with(call, fd, rights::SET_SIZE, Errno::Notcapable, FUEL, set)
}

/// Sets the times of the file `fd`.
pub(super) fn set_times(call: &mut Call<'_>, fd: u32, times: &Times) -> Result<(), Fail> {
    let set = |file: &mut OpenFile| file.file.set_times(times);
    with(call, fd, rights::SET_TIMES, Errno::Notcapable, FUEL, set)
}
