//! Functions for stdin, stdout and stderr, and for descriptors of any kind.

use super::{
    descriptors::{Node, rights},
    errno::{Errno, Fail},
    input::{Stdin, WasiInput},
    lists::{Buffers, Layout, put_len},
    opened,
    output::Stream,
    session::{Args, Call, contained},
    wait::{self, Wait},
};
use crate::{base::fuel::fuel_for, error::CallError, host_functions};
use core::time::Duration;

/// Maximum number of bytes read from a source of stdin at a time.
pub(super) const CHUNK: usize = 64 << 10;

/// Time until a full queue of output is tried again. Short, so that a fast reader does not wait for the
/// guest.
const QUEUE_RETRY: Duration = Duration::from_millis(1);

/// All `fdflags`: append, dsync, nonblock, rsync, sync.
pub(super) const FLAGS: u16 = 0b1_1111;

/// Writes to stdout, stderr, or a file at its position, or at its end if it appends.
///
/// Parameters:
/// * `fd`: stdout, stderr or a file.
/// * `iovs`: address of the list of buffers.
/// * `iovs_len`: number of buffers, at most 1,024.
/// * `nwritten`: address for the number of bytes written (u32).
///
/// Errors:
/// * `Badf`: `fd` is not open, is a directory, or a file that was not opened for writing.
/// * `Notcapable`: it is stdin, or lacks the right `fd_write`.
/// * The buffer errors of [`Buffers::check`].
/// * `Fault`: `nwritten` lies outside the guest's memory.
/// * `Nospc`: the output buffer is full, `Budget::output_bytes` is used up, or the host has no
///   memory for the output.
/// * `Again`: the output queue is full, and the platform has no clock.
/// * `Dquot`, and errnos of `File`: as in `fd_pwrite`, or of `File::append`.
///
/// In hostel: output is cut to the room that is left. Waits while an output queue is full. Files
/// are written as in `fd_pwrite`.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_write)
pub(super) fn fd_write(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let (fd, list, count, written) = (args.u32(0), args.u32(1), args.u32(2), args.u32(3));
    let descriptor = call.session.descriptors.get(fd)?;
    let stream = match descriptor.node {
        Node::Output(stream) => stream,
        Node::Input => return Err(Errno::Notcapable.into()),
        Node::File(_) | Node::Directory(_) => {
            let numbers = [fd, list, count, written];
            return opened::write(call, args, numbers, None);
        }
    };
    descriptor.allow(rights::WRITE)?;
    let buffers = Buffers::check(call, args, list, count)?;
    args.bytes(written, 4)?;
    let most = room(call, stream, buffers.size)?;
    call.charge(fuel_for(most))?;
    let mut left = u32::try_from(most).unwrap_or(u32::MAX);
    let mut done = 0usize;
    for at in 0..buffers.count {
        let (ptr, len) = buffers.get(args, at)?;
        let len = len.min(left);
        left = left.saturating_sub(len);
        if len > 0 {
            let bytes = args.bytes(ptr, len)?;
            let wrote = write(call, stream, bytes)?;
            done = done.saturating_add(wrote);
            if wrote < bytes.len() {
                break;
            }
        }
    }
    if done == 0 && most > 0 {
        return Err(wait_for_room(call));
    }
    put_len(args, written, done)
}

/// Returns how many of `size` bytes a call may write to stdout or stderr at once: `Nospc` if there is no
/// room for any.
pub(super) fn room(call: &mut Call<'_>, stream: Stream, size: usize) -> Result<usize, Errno> {
    let to = call.grant.output(stream);
    let budget = call.meter.budget().output_bytes;
    let room = budget.saturating_sub(call.session.written);
    let most = call.session.pending(stream).room(to, size.min(room));
    if most == 0 && size > 0 {
        return Err(Errno::Nospc);
    }
    Ok(most)
}

/// Writes `bytes` to stdout or stderr, and returns how many of them were taken: fewer than all if a queue
/// is full. There must be [`room`], and the caller charges for reading them.
pub(super) fn write(call: &mut Call<'_>, stream: Stream, bytes: &[u8]) -> Result<usize, Fail> {
    // An embedder's function may take long for each buffer.
    call.check()?;
    let to = call.grant.output(stream);
    call.charge(to.fuel(bytes))?;
    let pending = call.session.pending(stream);
    let wrote = pending.write(to, bytes, call.shared, call.meter)?;
    call.session.written = call.session.written.saturating_add(wrote);
    Ok(wrote)
}

/// Returns the wait until a full queue of output is tried again, or `Again` without a clock.
pub(super) fn wait_for_room(call: &mut Call<'_>) -> Fail {
    let Some(now) = call.shared.platform.now() else {
        return Errno::Again.into();
    };
    let retry = Some(now.saturating_add(QUEUE_RETRY));
    match Wait::until(call, Some(now), retry, false) {
        Ok(wait) => Fail::MustWait(wait),
        Err(fail) => fail,
    }
}

/// Reads from stdin or from a file at its position.
///
/// Parameters:
/// * `fd`: stdin or a file.
/// * `iovs`: address of the list of buffers.
/// * `iovs_len`: number of buffers, at most 1,024.
/// * `nread`: address for the number of bytes read (u32); 0 is the end.
///
/// Errors:
/// * `Badf`: `fd` is not open, is a directory, or a file that was not opened for reading.
/// * `Notcapable`: it is stdout or stderr, or lacks the right `fd_read`.
/// * The buffer errors of [`Buffers::check`].
/// * `Fault`: `nread` lies outside the guest's memory.
/// * `Again`: stdin has nothing yet, and the platform can't wait.
/// * Any errno of `File::read`, if nothing was read before.
///
/// In hostel: waits for a source of stdin until it is ready. A read of a source fills the first
/// buffer that is not empty, at most 64 KiB, and leaves the others. Files are read as in
/// `fd_pread`.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_read)
pub(super) fn fd_read(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let (fd, list, count, read) = (args.u32(0), args.u32(1), args.u32(2), args.u32(3));
    let descriptor = call.session.descriptors.get(fd)?;
    if matches!(descriptor.node, Node::File(_) | Node::Directory(_)) {
        return opened::read(call, args, [fd, list, count, read], None);
    }
    descriptor.allow(rights::READ)?;
    let buffers = Buffers::check(call, args, list, count)?;
    args.bytes(read, 4)?;
    let got = match &call.grant.stdin {
        Stdin::Bytes(bytes) => {
            let most = buffers.size.min(left(call, bytes).len());
            call.charge(fuel_for(most))?;
            let mut got = 0usize;
            // Fewer than `most`, if a read overwrote the list with shorter buffers.
            for at in 0..count {
                let (ptr, len) = buffers.get(args, at)?;
                let into = args.bytes_mut(ptr, len)?;
                let room = into.len().min(most.saturating_sub(got));
                let into = into.get_mut(..room).unwrap_or_default();
                got = got.saturating_add(take(call, bytes, into));
            }
            got
        }
        Stdin::Source(source) => match buffers.first(args)? {
            None => 0,
            Some((ptr, len)) => {
                let len = len.min(u32::try_from(CHUNK).unwrap_or(u32::MAX));
                await_input(call)?;
                read_source(call, &**source, args.bytes_mut(ptr, len)?)?
            }
        },
    };
    put_len(args, read, got)
}

/// Returns the rest of a stdin that is granted as bytes.
pub(super) fn left<'b>(call: &Call<'_>, bytes: &'b [u8]) -> &'b [u8] {
    bytes.get(call.session.stdin_at..).unwrap_or_default()
}

/// Copies the next bytes of a stdin that is granted as bytes to `into`, and returns their number. The
/// caller charges for them.
pub(super) fn take(call: &mut Call<'_>, bytes: &[u8], into: &mut [u8]) -> usize {
    let rest = left(call, bytes);
    let got = rest.len().min(into.len());
    if let (Some(into), Some(bytes)) = (into.get_mut(..got), rest.get(..got)) {
        into.copy_from_slice(bytes);
    }
    call.session.stdin_at = call.session.stdin_at.saturating_add(got);
    got
}

/// Returns the wait for stdin as an error, unless stdin is ready.
pub(super) fn await_input(call: &mut Call<'_>) -> Result<(), Fail> {
    if wait::input_is_ready(call)? {
        return Ok(());
    }
    let now = call.shared.platform.now();
    Err(Fail::MustWait(Wait::until(call, now, None, true)?))
}

/// Reads from a source of stdin that is ready, 1 to 65,536 bytes, and returns their number. Charges for
/// all of `into`.
pub(super) fn read_source(
    call: &mut Call<'_>,
    source: &dyn WasiInput,
    into: &mut [u8],
) -> Result<usize, Fail> {
    let size = into.len();
    call.charge(fuel_for(size))?;
    let read = || source.read(into).map_err(CallError::Trap);
    let got = host_functions::contained(&*call.shared.platform, read)?;
    Ok(got.min(size))
}

/// Fuel for closing a descriptor, which may be a system call.
const CLOSE: u64 = 100;

/// Closes a descriptor.
///
/// Parameters:
/// * `fd`: any descriptor.
///
/// Errors:
/// * `Badf`: `fd` is not open.
///
/// In hostel: Stdio and granted directories can be closed too. Their numbers become free.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_close)
pub(super) fn fd_close(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    close(call, args.u32(0))
}

/// Closes the descriptor `fd`.
pub(super) fn close(call: &mut Call<'_>, fd: u32) -> Result<(), Fail> {
    call.charge(CLOSE)?;
    let descriptors = &mut call.session.descriptors;
    // Closing a file or a directory runs the embedder's code.
    Ok(contained(call.shared, || descriptors.close(fd))??)
}

/// Moves a descriptor to another number, and closes what was there.
///
/// Parameters:
/// * `fd`: the descriptor to move.
/// * `to`: the number.
///
/// Errors:
/// * `Badf`: `fd` or `to` is not open.
///
/// In hostel: Stdio and granted directories can be moved or replaced too.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_renumber)
pub(super) fn fd_renumber(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    call.charge(CLOSE)?;
    let descriptors = &mut call.session.descriptors;
    let (from, to) = (args.u32(0), args.u32(1));
    Ok(contained(call.shared, || descriptors.renumber(from, to))??)
}

/// Writes a descriptor's type, flags and rights.
///
/// Parameters:
/// * `fd`: any descriptor.
/// * `stat`: address for the `fdstat` (24 bytes).
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Fault`: the address lies outside the guest's memory.
///
/// In hostel: stdio that was granted as a terminal has the type *character device*, other stdio
/// *unknown*. Neither has the rights `fd_seek` and `fd_tell`, by which guests know a terminal.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_fdstat_get)
pub(super) fn fd_fdstat_get(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let descriptor = call.session.descriptors.get(args.u32(0))?;
    let mut stat = Layout::<24>::new();
    stat.put(0, &[descriptor.kind(call.grant) as u8]);
    stat.put(2, &descriptor.flags.to_le_bytes());
    stat.put(8, &descriptor.rights.to_le_bytes());
    stat.put(16, &descriptor.inheriting.to_le_bytes());
    args.put(args.u32(1), &stat.0)
}

/// Sets a descriptor's flags.
///
/// Parameters:
/// * `fd`: any descriptor but a directory.
/// * `flags`: `fdflags`: 1 append, 2 dsync, 4 nonblock, 8 rsync, 16 sync.
///
/// Errors:
/// * `Badf`: `fd` is not open, or is a directory.
/// * `Notcapable`: it lacks the right `fd_fdstat_set_flags`.
/// * `Inval`: an unknown flag.
/// * `Notsup`: a flag for stdin, stdout or stderr.
///
/// In hostel: append, dsync and sync take effect on files; both syncs store the contents after
/// each write. Other flags are kept without effect.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_fdstat_set_flags)
pub(super) fn fd_fdstat_set_flags(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let descriptor = call.session.descriptors.get(args.u32(0))?;
    if matches!(descriptor.node, Node::Directory(_)) {
        return Err(Errno::Badf.into());
    }
    descriptor.allow(rights::SET_FLAGS)?;
    let flags = match u16::try_from(args.u32(1)) {
        Ok(flags) if flags & !FLAGS == 0 => flags,
        _ => return Err(Errno::Inval.into()),
    };
    match descriptor.node {
        // A guest that takes a stream for non-blocking would wait where it does not expect to.
        Node::Input | Node::Output(_) if flags != 0 => Err(Errno::Notsup.into()),
        _ => {
            descriptor.flags = flags;
            Ok(())
        }
    }
}

/// Gives up rights of a descriptor.
///
/// Parameters:
/// * `fd`: any descriptor.
/// * `rights_base`: the rights to keep (u64).
/// * `rights_inheriting`: the inheritable rights to keep (u64).
///
/// Errors:
/// * `Badf`: `fd` is not open.
/// * `Notcapable`: it lacks one of these rights.
///
/// [Specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_fdstat_set_rights)
pub(super) fn fd_fdstat_set_rights(call: &mut Call<'_>, args: &mut Args<'_>) -> Result<(), Fail> {
    let descriptor = call.session.descriptors.get(args.u32(0))?;
    let (base, inheriting) = (args.u64(1), args.u64(2));
    if base & !descriptor.rights != 0 || inheriting & !descriptor.inheriting != 0 {
        return Err(Errno::Notcapable.into());
    }
    descriptor.rights = base;
    descriptor.inheriting = inheriting;
    Ok(())
}
