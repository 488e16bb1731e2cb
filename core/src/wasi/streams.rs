//! Functions for stdin, stdout and stderr, and for descriptors of any kind.

use super::{
    descriptors::{Node, rights},
    errno::{Errno, Fail},
    input::Stdin,
    lists::{Buffers, Layout, put_len},
    opened,
    output::Stream,
    session::{Args, Call, contained},
    wait::{self, Wait},
};
use crate::{base::fuel::fuel_for, error::CallError, host_functions, memory};
use core::time::Duration;

/// Maximum number of bytes read from a source of stdin at a time.
const CHUNK: usize = 64 << 10;

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
pub(super) fn fd_write(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (fd, list, count, written) = (args.u32(0), args.u32(1), args.u32(2), args.u32(3));
    let descriptor = call.session.descriptors.get(fd)?;
    let stream = match descriptor.node {
        Node::Output(stream) => stream,
        Node::Input => return Err(Errno::Notcapable.into()),
        Node::File(_) | Node::Directory(_) => {
            return opened::write(call, fd, list, count, written, None);
        }
    };
    descriptor.allow(rights::WRITE)?;
    write(call, stream, list, count, written)
}

/// Writes to stdout or stderr.
fn write(
    call: &mut Call<'_>,
    stream: Stream,
    list: u32,
    count: u32,
    written: u32,
) -> Result<(), Fail> {
    let buffers = Buffers::check(call, list, count)?;
    call.bytes(written, 4)?;
    let to = call.grant.output(stream);
    let room = call
        .meter
        .budget()
        .output_bytes
        .saturating_sub(call.session.written);
    let most = call
        .session
        .pending(stream)
        .room(to, buffers.size.min(room));
    if most == 0 && buffers.size > 0 {
        return Err(Errno::Nospc.into());
    }
    call.charge(fuel_for(most))?;
    let mut left = u32::try_from(most).unwrap_or(u32::MAX);
    let mut done = 0usize;
    for at in 0..buffers.count {
        let (ptr, len) = buffers.get(call, at)?;
        let len = len.min(left);
        left = left.saturating_sub(len);
        if len > 0 {
            // An embedder's function may take long for each buffer.
            call.check()?;
            let fuel = to.fuel(call.bytes(ptr, len)?);
            call.charge(fuel)?;
            let bytes = memory::bytes(call.memory, ptr, len, "buffer to write")?;
            let pending = call.session.pending(stream);
            let size = bytes.len();
            let wrote = pending.write(to, bytes, call.shared, call.meter)?;
            done = done.saturating_add(wrote);
            if wrote < size {
                break;
            }
        }
    }
    if done == 0 && most > 0 {
        let now = call.shared.platform.now().ok_or(Errno::Again)?;
        let retry = Some(now.saturating_add(QUEUE_RETRY));
        return Err(Fail::MustWait(Wait::until(call, Some(now), retry, false)?));
    }
    call.session.written = call.session.written.saturating_add(done);
    put_len(call, written, done)
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
pub(super) fn fd_read(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (fd, list, count, read) = (args.u32(0), args.u32(1), args.u32(2), args.u32(3));
    let descriptor = call.session.descriptors.get(fd)?;
    if matches!(descriptor.node, Node::File(_) | Node::Directory(_)) {
        return opened::read(call, fd, list, count, read, None);
    }
    descriptor.allow(rights::READ)?;
    let buffers = Buffers::check(call, list, count)?;
    call.bytes(read, 4)?;
    let got = match &call.grant.stdin {
        Stdin::Bytes(bytes) => {
            let rest = bytes.get(call.session.stdin_at..).unwrap_or_default();
            let most = rest.len().min(buffers.size);
            call.charge(fuel_for(most))?;
            let mut from = rest.get(..most).unwrap_or_default();
            for at in 0..count {
                let (ptr, len) = buffers.get(call, at)?;
                let to = memory::bytes_mut(call.memory, ptr, len, "buffer to read into")?;
                let (head, tail) = from.split_at(to.len().min(from.len()));
                if let Some(to) = to.get_mut(..head.len()) {
                    to.copy_from_slice(head);
                }
                from = tail;
            }
            // Fewer than `most`, if a read overwrote the list with shorter buffers.
            most.saturating_sub(from.len())
        }
        Stdin::Source(source) => {
            let mut got = 0;
            if let Some((ptr, len)) = buffers.first(call)? {
                if !wait::input_is_ready(call)? {
                    let now = call.shared.platform.now();
                    return Err(Fail::MustWait(Wait::until(call, now, None, true)?));
                }
                let len = len.min(u32::try_from(CHUNK).unwrap_or(u32::MAX));
                let size = usize::try_from(len).unwrap_or(CHUNK);
                call.charge(fuel_for(size))?;
                let into = memory::bytes_mut(call.memory, ptr, len, "buffer to read into")?;
                got = host_functions::contained(&*call.shared.platform, || {
                    source.read(into).map_err(CallError::Trap)
                })?
                .min(size);
            }
            got
        }
    };
    call.session.stdin_at = call.session.stdin_at.saturating_add(got);
    put_len(call, read, got)
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
pub(super) fn fd_close(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    call.charge(CLOSE)?;
    let descriptors = &mut call.session.descriptors;
    // Closing a file or a directory runs the embedder's code.
    Ok(contained(call.shared, || descriptors.close(args.u32(0)))??)
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
pub(super) fn fd_renumber(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
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
pub(super) fn fd_fdstat_get(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let descriptor = call.session.descriptors.get(args.u32(0))?;
    let mut stat = Layout::<24>::new();
    stat.put(0, &[descriptor.kind(call.grant) as u8]);
    stat.put(2, &descriptor.flags.to_le_bytes());
    stat.put(8, &descriptor.rights.to_le_bytes());
    stat.put(16, &descriptor.inheriting.to_le_bytes());
    call.put(args.u32(1), &stat.0)
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
pub(super) fn fd_fdstat_set_flags(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
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
pub(super) fn fd_fdstat_set_rights(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let descriptor = call.session.descriptors.get(args.u32(0))?;
    let (base, inheriting) = (args.u64(1), args.u64(2));
    if base & !descriptor.rights != 0 || inheriting & !descriptor.inheriting != 0 {
        return Err(Errno::Notcapable.into());
    }
    descriptor.rights = base;
    descriptor.inheriting = inheriting;
    Ok(())
}
