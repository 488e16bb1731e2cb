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

pub(super) fn no_socket(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    call.session.descriptors.get(args.u32(0))?;
    Err(Errno::Notsock.into())
}

/// Fuel for closing a descriptor, which may be a system call.
const CLOSE: u64 = 100;

pub(super) fn fd_close(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    call.charge(CLOSE)?;
    let descriptors = &mut call.session.descriptors;
    // Closing a file or a directory runs the embedder's code.
    Ok(contained(call.shared, || descriptors.close(args.u32(0)))??)
}

pub(super) fn fd_renumber(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    call.charge(CLOSE)?;
    let descriptors = &mut call.session.descriptors;
    let (from, to) = (args.u32(0), args.u32(1));
    Ok(contained(call.shared, || descriptors.renumber(from, to))??)
}

pub(super) fn fd_fdstat_get(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let descriptor = call.session.descriptors.get(args.u32(0))?;
    let mut stat = Layout::<24>::new();
    stat.put(0, &[descriptor.kind() as u8]);
    stat.put(2, &descriptor.flags.to_le_bytes());
    stat.put(8, &descriptor.rights.to_le_bytes());
    stat.put(16, &descriptor.inheriting.to_le_bytes());
    call.put(args.u32(1), &stat.0)
}

pub(super) fn fd_fdstat_set_flags(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let descriptor = call
        .session
        .descriptors
        .allowed(args.u32(0), rights::SET_FLAGS)?;
    match u16::try_from(args.u32(1)) {
        Ok(flags) if flags & !FLAGS == 0 => descriptor.flags = flags,
        _ => return Err(Errno::Inval.into()),
    }
    Ok(())
}

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
