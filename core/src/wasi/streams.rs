//! Reading and writing stdio, and what else can be done with a descriptor.

use super::{
    descriptors::{File, rights},
    errno::{Errno, Fail},
    input::Stdin,
    session::{Args, Call},
};
use crate::{
    call::{BASE, fuel_for},
    error::CallError,
    host, memory,
};

/// Most buffers in one read or write.
const BUFFERS: u32 = 1_024;

/// Most bytes that a source of stdin is asked for at a time.
const CHUNK: usize = 64 << 10;

/// The flags that `fd_fdstat_set_flags` may set, append to sync.
const FLAGS: u16 = 0b1_1111;

pub(super) fn fd_write(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (fd, buffers, count, written) = (args.u32(0), args.u32(1), args.u32(2), args.u32(3));
    let stream = call.output(fd, rights::WRITE)?;
    let size = check_buffers(call, buffers, count)?;
    call.bytes(written, 4)?;
    let to = call.grant.output(stream);
    let room = call
        .meter
        .budget()
        .output_bytes
        .saturating_sub(call.session.written);
    let most = call.session.pending(stream).room(to, size.min(room));
    if most == 0 && size > 0 {
        return Err(Errno::Nospc.into());
    }
    call.charge(fuel_for(most))?;
    let mut left = u32::try_from(most).unwrap_or(u32::MAX);
    for at in 0..count {
        let (ptr, len) = buffer(call, buffers, at)?;
        let len = len.min(left);
        left = left.saturating_sub(len);
        if len > 0 {
            // A sink takes its time.
            call.check()?;
            let fuel = to.fuel(call.bytes(ptr, len)?);
            call.charge(fuel)?;
            let bytes = memory::bytes(call.memory, ptr, len, "buffer to write")?;
            let pending = call.session.pending(stream);
            pending.write(to, bytes, call.shared, call.meter)?;
        }
    }
    call.session.written = call.session.written.saturating_add(most);
    put_len(call, written, most)
}

pub(super) fn fd_read(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (fd, buffers, count, read) = (args.u32(0), args.u32(1), args.u32(2), args.u32(3));
    call.descriptor(fd, rights::READ)?;
    let size = check_buffers(call, buffers, count)?;
    call.bytes(read, 4)?;
    let got = match &call.grant.stdin {
        Stdin::Bytes(bytes) => {
            let rest = bytes.get(call.session.stdin_at..).unwrap_or_default();
            let most = rest.len().min(size);
            call.charge(fuel_for(most))?;
            let mut from = rest.get(..most).unwrap_or_default();
            for at in 0..count {
                let (ptr, len) = buffer(call, buffers, at)?;
                let to = memory::bytes_mut(call.memory, ptr, len, "buffer to read into")?;
                let (head, tail) = from.split_at(to.len().min(from.len()));
                if let Some(to) = to.get_mut(..head.len()) {
                    to.copy_from_slice(head);
                }
                from = tail;
            }
            // A guest may have had its list of buffers overwritten by what was read.
            most.saturating_sub(from.len())
        }
        Stdin::Source(source) => {
            let mut got = 0;
            if let Some((ptr, len)) = first_buffer(call, buffers, count)? {
                super::poll::wait(call, None, true)?;
                let len = len.min(u32::try_from(CHUNK).unwrap_or(u32::MAX));
                let size = usize::try_from(len).unwrap_or(CHUNK);
                call.charge(fuel_for(size))?;
                let into = memory::bytes_mut(call.memory, ptr, len, "buffer to read into")?;
                got = host::contained(&*call.shared.platform, || {
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

/// Reading and writing at a place, and asking for it: stdio has none.
pub(super) fn no_place(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    call.session.descriptors.get(args.u32(0))?;
    Err(Errno::Spipe.into())
}

/// What only files can do.
pub(super) fn no_file(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    call.session.descriptors.get(args.u32(0))?;
    Err(Errno::Notcapable.into())
}

/// What only directories can do; the descriptor is the first parameter.
pub(super) fn no_directory(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    call.session.descriptors.get(args.u32(0))?;
    Err(Errno::Notdir.into())
}

/// `path_symlink`, whose descriptor is the third parameter.
pub(super) fn path_symlink(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    call.session.descriptors.get(args.u32(2))?;
    Err(Errno::Notdir.into())
}

/// Directories that are open from the start: there are none.
pub(super) fn no_prestat(_: &mut Call<'_>, _: &Args<'_>) -> Result<(), Fail> {
    Err(Errno::Badf.into())
}

pub(super) fn no_socket(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    call.session.descriptors.get(args.u32(0))?;
    Err(Errno::Notsock.into())
}

pub(super) fn fd_close(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    Ok(call.session.descriptors.close(args.u32(0))?)
}

pub(super) fn fd_renumber(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (from, to) = (args.u32(0), args.u32(1));
    Ok(call.session.descriptors.renumber(from, to)?)
}

/// Writes what a descriptor is: of no known type (so no terminal either), its flags, its rights.
pub(super) fn fd_fdstat_get(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let descriptor = *call.session.descriptors.get(args.u32(0))?;
    let mut stat = Layout::<24>::new();
    stat.put(2, &descriptor.flags.to_le_bytes());
    stat.put(8, &descriptor.rights.to_le_bytes());
    stat.put(16, &descriptor.inheriting.to_le_bytes());
    call.put(args.u32(1), &stat.0)
}

pub(super) fn fd_fdstat_set_flags(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let descriptor = call.descriptor(args.u32(0), rights::SET_FLAGS)?;
    match u16::try_from(args.u32(1)) {
        Ok(flags) if flags & !FLAGS == 0 => descriptor.flags = flags,
        _ => return Err(Errno::Inval.into()),
    }
    Ok(())
}

/// Drops rights. More than there are can't be had.
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

/// Writes the attributes of a stream: no device, no number, no known type, no size, no times.
pub(super) fn fd_filestat_get(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    call.descriptor(args.u32(0), rights::FILESTAT)?;
    if call.old {
        // Links are counted in 32 bits there.
        let mut stat = Layout::<56>::new();
        stat.put(20, &1u32.to_le_bytes());
        call.put(args.u32(1), &stat.0)
    } else {
        let mut stat = Layout::<64>::new();
        stat.put(24, &1u64.to_le_bytes());
        call.put(args.u32(1), &stat.0)
    }
}

/// A record in memory, of zeros at first.
pub(super) struct Layout<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Layout<N> {
    pub(super) const fn new() -> Self {
        Self([0; N])
    }

    /// Puts a field at `at`, where there is room for it.
    pub(super) fn put(&mut self, at: usize, field: &[u8]) {
        if let Some(place) = self.0.get_mut(at..at.saturating_add(field.len())) {
            place.copy_from_slice(field);
        }
    }
}

/// Checks a list of buffers and charges for it; gives their size together.
fn check_buffers(call: &mut Call<'_>, list: u32, count: u32) -> Result<usize, Fail> {
    if count > BUFFERS {
        return Err(Errno::Inval.into());
    }
    call.charge(u64::from(count).saturating_mul(BASE))?;
    call.bytes(list, count.saturating_mul(8))?;
    let mut sum = 0u32;
    for at in 0..count {
        let (ptr, len) = buffer(call, list, at)?;
        call.bytes(ptr, len)?;
        sum = sum.checked_add(len).ok_or(Errno::Inval)?;
    }
    Ok(usize::try_from(sum).map_err(|_| Errno::Inval)?)
}

/// The buffer number `at` of a list whose place in memory was checked.
fn buffer(call: &Call<'_>, list: u32, at: u32) -> Result<(u32, u32), Fail> {
    let bytes = call.bytes(list.wrapping_add(at.wrapping_mul(8)), 8)?;
    match bytes {
        [a, b, c, d, e, f, g, h] => Ok((
            u32::from_le_bytes([*a, *b, *c, *d]),
            u32::from_le_bytes([*e, *f, *g, *h]),
        )),
        _ => Err(Errno::Fault.into()),
    }
}

/// The first buffer of a list that is not empty.
fn first_buffer(call: &Call<'_>, list: u32, count: u32) -> Result<Option<(u32, u32)>, Fail> {
    for at in 0..count {
        let found = buffer(call, list, at)?;
        if found.1 > 0 {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn put_len(call: &mut Call<'_>, at: u32, len: usize) -> Result<(), Fail> {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    call.put(at, &len.to_le_bytes())
}

/// Whether a read of `file` would find something at once, its end included.
pub(super) fn is_ready(call: &Call<'_>, file: File) -> bool {
    match (file, &call.grant.stdin) {
        (File::Input, Stdin::Source(source)) => {
            let mut ready = false;
            let platform = &*call.shared.platform;
            platform.contain(&mut || ready = source.ready());
            ready
        }
        _ => true,
    }
}
