//! What can be done with an open file.

use super::{
    descriptors::{OpenFile, rights},
    errno::{Errno, Fail},
    files::{Stat, Times},
    lists::{Buffers, put_len},
    session::{Args, Call, contained},
};
use crate::{base::fuel::fuel_for, memory};

/// Fuel for one operation on an open file: it may be a call of the operating system.
const FUEL: u64 = 100;

/// Fuel for bringing a file to where it outlives a loss of power.
const SYNC: u64 = 200_000;

/// Most bytes that are read or written at a time; between two, deadline and cancellation are looked
/// at.
const CHUNK: u32 = 64 << 10;

/// The flags that matter for files.
const APPEND: u16 = 1;
const ANY_SYNC: u16 = 1 << 1 | 1 << 4;

pub(super) fn fd_pread(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (fd, list, count) = (args.u32(0), args.u32(1), args.u32(2));
    read(call, fd, list, count, args.u32(4), Some(args.u64(3)))
}

pub(super) fn fd_pwrite(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (fd, list, count) = (args.u32(0), args.u32(1), args.u32(2));
    write(call, fd, list, count, args.u32(4), Some(args.u64(3)))
}

/// Reads from a file: from `place`, or from where the guest stands, who then stands behind.
pub(super) fn read(
    call: &mut Call<'_>,
    fd: u32,
    list: u32,
    count: u32,
    read: u32,
    place: Option<u64>,
) -> Result<(), Fail> {
    let needed = rights::READ | place.map_or(0, |_| rights::SEEK);
    let (file, _) = call.session.descriptors.file(fd, needed, Errno::Spipe)?;
    let mut at = place.unwrap_or(file.at);
    let buffers = Buffers::check(call, list, count)?;
    call.bytes(read, 4)?;
    let (mut left, mut got) = (buffers.size, 0usize);
    'all: for number in 0..count {
        let (mut ptr, mut len) = buffers.get(call, number)?;
        while len > 0 && left > 0 {
            let part = len.min(CHUNK).min(u32::try_from(left).unwrap_or(u32::MAX));
            let size = usize::try_from(part).unwrap_or(usize::MAX);
            call.check()?;
            call.charge(FUEL.saturating_add(fuel_for(size)))?;
            let into = memory::bytes_mut(call.memory, ptr, part, "buffer to read into")?;
            let (file, _) = call.session.descriptors.file(fd, needed, Errno::Spipe)?;
            let done = match contained(call.shared, || file.file.read(at, into))? {
                Ok(done) => done.min(size),
                // What came before is the guest's.
                Err(_) if got > 0 => break 'all,
                Err(errno) => return Err(errno.into()),
            };
            got = got.saturating_add(done);
            at = at.saturating_add(done as u64);
            if done < size {
                break 'all;
            }
            left = left.saturating_sub(size);
            ptr = ptr.wrapping_add(part);
            len = len.saturating_sub(part);
        }
    }
    if place.is_none() {
        stand(call, fd, at)?;
    }
    put_len(call, read, got)
}

/// Writes to a file: at `place`, or at its end, or where the guest stands, who then stands behind.
pub(super) fn write(
    call: &mut Call<'_>,
    fd: u32,
    list: u32,
    count: u32,
    written: u32,
    place: Option<u64>,
) -> Result<(), Fail> {
    let needed = rights::WRITE | place.map_or(0, |_| rights::SEEK);
    let (file, flags) = call.session.descriptors.file(fd, needed, Errno::Spipe)?;
    let mut at = place.unwrap_or(file.at);
    let append = flags & APPEND != 0 && place.is_none();
    let buffers = Buffers::check(call, list, count)?;
    call.bytes(written, 4)?;
    let mut gap = 0;
    if !append && buffers.size > 0 {
        // Zeros up to where it is written are written too, as some file systems have it.
        gap = at.saturating_sub(stat(call, fd)?.size);
    }
    let room = call.written_room().checked_sub(gap).ok_or(Errno::Dquot)?;
    let mut left = usize::try_from(room)
        .unwrap_or(usize::MAX)
        .min(buffers.size);
    if left == 0 && buffers.size > 0 {
        return Err(Errno::Dquot.into());
    }
    call.charge(gap.div_ceil(64))?;
    let mut done = 0usize;
    'all: for number in 0..count {
        let (mut ptr, mut len) = buffers.get(call, number)?;
        while len > 0 && left > 0 {
            let part = len.min(CHUNK).min(u32::try_from(left).unwrap_or(u32::MAX));
            let size = usize::try_from(part).unwrap_or(usize::MAX);
            call.check()?;
            call.charge(FUEL.saturating_add(fuel_for(size)))?;
            let bytes = memory::bytes(call.memory, ptr, part, "buffer to write")?;
            let (file, _) = call.session.descriptors.file(fd, needed, Errno::Spipe)?;
            // Before it is done: what failed half way may have written.
            let grown = gap.saturating_add(size as u64);
            call.session.file_written = call.session.file_written.saturating_add(grown);
            gap = 0;
            let wrote = contained(call.shared, || match append {
                true => file.file.append(bytes),
                false => file.file.write(at, bytes),
            })?;
            let wrote = match wrote {
                Ok(wrote) => wrote.min(size),
                Err(_) if done > 0 => break 'all,
                Err(errno) => return Err(errno.into()),
            };
            done = done.saturating_add(wrote);
            at = at.saturating_add(wrote as u64);
            if wrote < size {
                break 'all;
            }
            left = left.saturating_sub(size);
            ptr = ptr.wrapping_add(part);
            len = len.saturating_sub(part);
        }
    }
    if append && done > 0 {
        at = stat(call, fd)?.size;
    }
    if place.is_none() {
        stand(call, fd, at)?;
    }
    if flags & ANY_SYNC != 0 && done > 0 {
        sync(call, fd, needed, true)?;
    }
    put_len(call, written, done)
}

/// Notes where the guest stands in a file.
fn stand(call: &mut Call<'_>, fd: u32, at: u64) -> Result<(), Fail> {
    let (file, _) = call.session.descriptors.file(fd, 0, Errno::Spipe)?;
    file.at = at;
    Ok(())
}

/// Does `work` with the file behind `fd`, at a charge.
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

pub(super) fn stat(call: &mut Call<'_>, fd: u32) -> Result<Stat, Fail> {
    let stat = |file: &mut OpenFile| file.file.stat();
    with(call, fd, 0, Errno::Spipe, FUEL, stat)
}

fn sync(call: &mut Call<'_>, fd: u32, needed: u64, data_only: bool) -> Result<(), Fail> {
    call.check()?;
    let sync = |file: &mut OpenFile| file.file.sync(data_only);
    with(call, fd, needed, Errno::Notcapable, SYNC, sync)
}

pub(super) fn fd_sync(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    sync(call, args.u32(0), rights::SYNC, false)
}

pub(super) fn fd_datasync(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    sync(call, args.u32(0), rights::DATASYNC, true)
}

pub(super) fn fd_tell(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let fd = args.u32(0);
    let (file, _) = call
        .session
        .descriptors
        .file(fd, rights::TELL, Errno::Spipe)?;
    let at = file.at;
    call.put(args.u32(1), &at.to_le_bytes())
}

pub(super) fn fd_seek(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (fd, delta, whence) = (args.u32(0), args.u64(1).cast_signed(), args.u32(2));
    // The old name numbers them in another order.
    let whence = match (call.old, whence) {
        (false, whence) => whence,
        (true, whence @ 0..=2) => whence.wrapping_add(1).checked_rem(3).unwrap_or(0),
        (true, whence) => whence,
    };
    // Who asks where it stands may also do that in this way.
    let needed = match (whence, delta) {
        (1, 0) => rights::TELL,
        _ => rights::SEEK,
    };
    let (file, _) = call.session.descriptors.file(fd, needed, Errno::Spipe)?;
    let from = match whence {
        0 => 0,
        1 => file.at,
        2 => stat(call, fd)?.size,
        _ => return Err(Errno::Inval.into()),
    };
    let at = from.checked_add_signed(delta).ok_or(Errno::Inval)?;
    call.put(args.u32(3), &at.to_le_bytes())?;
    stand(call, fd, at)
}

/// Advice is heard and not followed.
pub(super) fn fd_advise(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let descriptors = &mut call.session.descriptors;
    descriptors.file(args.u32(0), rights::ADVISE, Errno::Spipe)?;
    let end = args.u64(1).checked_add(args.u64(2));
    if args.u32(3) > 5 || end.is_none() {
        return Err(Errno::Inval.into());
    }
    Ok(())
}

/// No space can be kept free for a file in every file system, so it is in none.
pub(super) fn fd_allocate(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let descriptors = &mut call.session.descriptors;
    descriptors.file(args.u32(0), rights::ALLOCATE, Errno::Spipe)?;
    let (at, len) = (args.u64(1), args.u64(2));
    if len == 0 || at.checked_add(len).is_none() {
        return Err(Errno::Inval.into());
    }
    Err(Errno::Notsup.into())
}

pub(super) fn fd_filestat_set_size(call: &mut Call<'_>, args: &Args<'_>) -> Result<(), Fail> {
    let (fd, new) = (args.u32(0), args.u64(1));
    let descriptors = &mut call.session.descriptors;
    descriptors.file(fd, rights::SET_SIZE, Errno::Notcapable)?;
    let grown = new.saturating_sub(stat(call, fd)?.size);
    if grown > call.written_room() {
        return Err(Errno::Dquot.into());
    }
    call.charge(grown.div_ceil(64))?;
    call.session.file_written = call.session.file_written.saturating_add(grown);
    let set = |file: &mut OpenFile| file.file.set_size(new);
    with(call, fd, rights::SET_SIZE, Errno::Notcapable, FUEL, set)
}

pub(super) fn set_times(call: &mut Call<'_>, fd: u32, times: &Times) -> Result<(), Fail> {
    let set = |file: &mut OpenFile| file.file.set_times(times);
    with(call, fd, rights::SET_TIMES, Errno::Notcapable, FUEL, set)
}
