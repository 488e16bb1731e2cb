//! `wasi:io/streams`: reading and writing, of stdio and files.

use super::{
    super::{
        descriptors::rights,
        errno::{Errno, Fail},
        input::Stdin,
        opened::{self, Writing},
        session::Call,
        streams::{self, CHUNK},
    },
    Interface,
    function::{of_stream, plain},
    http,
    resources::{self, Destination, Entry, Event, Input, stop},
    types::{Borrowed, Contents, Own},
};
use crate::{
    base::fuel::fuel_for,
    component::{ComponentType, Lift, Lifting, Source, TypeId, Types},
    error::CallError,
    memory,
};
use alloc::{format, vec::Vec};
use core::fmt;

pub(super) const INTERFACE: Interface = Interface::with_resources(
    "wasi:io/streams@0.2.12",
    &[
        &of_stream(
            "[method]input-stream.read",
            "func(self: borrow<input-stream>, len: u64) -> result<list<u8>, stream-error>",
            read,
        ),
        &of_stream(
            "[method]input-stream.blocking-read",
            "func(self: borrow<input-stream>, len: u64) -> result<list<u8>, stream-error>",
            blocking_read,
        ),
        &of_stream(
            "[method]input-stream.skip",
            "func(self: borrow<input-stream>, len: u64) -> result<u64, stream-error>",
            skip,
        ),
        &of_stream(
            "[method]input-stream.blocking-skip",
            "func(self: borrow<input-stream>, len: u64) -> result<u64, stream-error>",
            blocking_skip,
        ),
        &plain(
            "[method]input-stream.subscribe",
            "func(self: borrow<input-stream>) -> pollable",
            subscribe_input,
        ),
        &of_stream(
            "[method]output-stream.check-write",
            "func(self: borrow<output-stream>) -> result<u64, stream-error>",
            check_write,
        ),
        &of_stream(
            "[method]output-stream.write",
            "func(self: borrow<output-stream>, contents: list<u8>) -> result<_, stream-error>",
            write,
        ),
        &of_stream(
            "[method]output-stream.blocking-write-and-flush",
            "func(self: borrow<output-stream>, contents: list<u8>) -> result<_, stream-error>",
            blocking_write_and_flush,
        ),
        &of_stream(
            "[method]output-stream.flush",
            "func(self: borrow<output-stream>) -> result<_, stream-error>",
            flush,
        ),
        &of_stream(
            "[method]output-stream.blocking-flush",
            "func(self: borrow<output-stream>) -> result<_, stream-error>",
            flush,
        ),
        &plain(
            "[method]output-stream.subscribe",
            "func(self: borrow<output-stream>) -> pollable",
            subscribe_output,
        ),
        &of_stream(
            "[method]output-stream.write-zeroes",
            "func(self: borrow<output-stream>, len: u64) -> result<_, stream-error>",
            write_zeroes,
        ),
        &of_stream(
            "[method]output-stream.blocking-write-zeroes-and-flush",
            "func(self: borrow<output-stream>, len: u64) -> result<_, stream-error>",
            blocking_write_zeroes_and_flush,
        ),
        &of_stream(
            "[method]output-stream.splice",
            "func(self: borrow<output-stream>, src: borrow<input-stream>, len: u64) -> result<u64, stream-error>",
            splice,
        ),
        &of_stream(
            "[method]output-stream.blocking-splice",
            "func(self: borrow<output-stream>, src: borrow<input-stream>, len: u64) -> result<u64, stream-error>",
            blocking_splice,
        ),
    ],
    &["input-stream", "output-stream"],
);

/// Maximum number of bytes that are written without asking before.
const UNASKED: usize = 4_096;

static ZEROES: [u8; UNASKED] = [0; UNASKED];

/// Returns what can be read at once: up to `len` bytes and 64 KiB, none while stdin is not ready.
fn read(
    call: &mut Call<'_>,
    (Borrowed(stream), len): &mut (Borrowed, u64),
) -> Result<Option<Vec<u8>>, Fail> {
    take(call, *stream, *len, false)
}

/// Waits until there is something to read, and reads up to `len` bytes and 64 KiB.
fn blocking_read(
    call: &mut Call<'_>,
    (Borrowed(stream), len): &mut (Borrowed, u64),
) -> Result<Option<Vec<u8>>, Fail> {
    take(call, *stream, *len, true)
}

/// Reads as [`read`] does, and returns the number of bytes alone.
fn skip(
    call: &mut Call<'_>,
    (Borrowed(stream), len): &mut (Borrowed, u64),
) -> Result<Option<u64>, Fail> {
    let bytes = take(call, *stream, *len, false)?;
    Ok(bytes.map(|bytes| bytes.len() as u64))
}

/// Reads as [`blocking_read`] does, and returns the number of bytes alone.
fn blocking_skip(
    call: &mut Call<'_>,
    (Borrowed(stream), len): &mut (Borrowed, u64),
) -> Result<Option<u64>, Fail> {
    let bytes = take(call, *stream, *len, true)?;
    Ok(bytes.map(|bytes| bytes.len() as u64))
}

/// Reads up to `len` bytes and 64 KiB of a stream; `None` at its end. If `waits`, the guest waits until stdin is
/// ready; if not, it gets no bytes then.
fn take(call: &mut Call<'_>, stream: u32, len: u64, waits: bool) -> Result<Option<Vec<u8>>, Fail> {
    let input = *resources::input(call, stream)?;
    let size = usize::try_from(len).unwrap_or(usize::MAX).min(CHUNK);
    if size == 0 {
        return Ok(Some(Vec::new()));
    }
    let (mut bytes, got);
    match input {
        Input::Stdin => match &call.grant.stdin {
            Stdin::Bytes(granted) => {
                let size = size.min(streams::left(call, granted).len());
                call.charge(fuel_for(size))?;
                bytes = zeroes(size)?;
                got = streams::take(call, granted, &mut bytes);
            }
            Stdin::Source(source) => {
                match streams::await_input(call) {
                    Err(Fail::MustWait(_)) if !waits => return Ok(Some(Vec::new())),
                    ready => ready?,
                }
                bytes = zeroes(size)?;
                got = streams::read_source(call, &**source, &mut bytes)?;
            }
        },
        Input::Body(body, at) => {
            bytes = http::body::read(call, body, at, size)?;
            got = bytes.len();
            if let Input::Body(_, at) = resources::input(call, stream)? {
                *at = at.saturating_add(got);
            }
        }
        Input::File(fd, at) => {
            bytes = zeroes(size)?;
            got = opened::read_at(call, fd, rights::READ, at, &mut bytes)?;
            if let Input::File(_, at) = resources::input(call, stream)? {
                *at = at.saturating_add(got as u64);
            }
        }
    }
    bytes.truncate(got);
    Ok((got > 0).then_some(bytes))
}

/// Returns `len` zeroes, 64 KiB at most.
pub(super) fn zeroes(len: usize) -> Result<Vec<u8>, Fail> {
    let mut bytes = Vec::new();
    let reserved = bytes.try_reserve_exact(len);
    reserved.map_err(|_| Fail::EndCall(memory::no_room(len)))?;
    bytes.resize(len, 0);
    Ok(bytes)
}

/// Returns a pollable for the time when a read returns something.
fn subscribe_input(
    call: &mut Call<'_>,
    (Borrowed(stream),): &mut (Borrowed,),
) -> Result<Own, Fail> {
    let event = match resources::input(call, *stream)? {
        Input::Stdin => Event::Input,
        Input::File(..) | Input::Body(..) => Event::Ready,
    };
    resources::add(call, Entry::Pollable(event))
}

/// Returns how many bytes the guest may write next, 1 to 65,536: an error if there is no room for any.
fn check_write(
    call: &mut Call<'_>,
    (Borrowed(stream),): &mut (Borrowed,),
) -> Result<Option<u64>, Fail> {
    let room = room(call, *stream)?;
    resources::output(call, *stream)?.permitted = room;
    Ok(Some(room))
}

/// Returns how many bytes a stream takes at once.
fn room(call: &mut Call<'_>, stream: u32) -> Result<u64, Fail> {
    match resources::output(call, stream)?.to {
        Destination::Stdio(stream) => Ok(streams::room(call, stream, CHUNK)? as u64),
        Destination::File(..) => match call.written_room() {
            0 => Err(Errno::Dquot.into()),
            room => Ok(room.min(CHUNK as u64)),
        },
        Destination::Body(_) => http::body::room(call, CHUNK),
    }
}

/// Stops the guest unless it may write `len` bytes, and takes them off what it may write.
fn use_permit(call: &mut Call<'_>, stream: u32, len: u64) -> Result<(), Fail> {
    let output = resources::output(call, stream)?;
    match output.permitted.checked_sub(len) {
        Some(rest) => {
            output.permitted = rest;
            Ok(())
        }
        None => Err(stop(&format!(
            "a write of {len} bytes, of which `check-write` permitted {}",
            output.permitted
        ))),
    }
}

/// Stops the guest if it writes more than 4,096 bytes without asking before.
fn check_unasked(len: u64) -> Result<(), Fail> {
    match len <= UNASKED as u64 {
        true => Ok(()),
        false => Err(stop(&format!(
            "a write of {len} bytes; at most 4,096 are allowed without `check-write`"
        ))),
    }
}

/// Writes the bytes, at most as many as `check-write` permitted. Waits while a queue of output is full.
fn write(
    call: &mut Call<'_>,
    (Borrowed(stream), contents): &mut (Borrowed, Contents),
) -> Result<Option<()>, Fail> {
    if !contents.permitted {
        use_permit(call, *stream, contents.bytes.len() as u64)?;
        contents.permitted = true;
    }
    put_all(call, *stream, contents)
}

/// Writes up to 4,096 bytes. Waits while a queue of output is full.
fn blocking_write_and_flush(
    call: &mut Call<'_>,
    (Borrowed(stream), contents): &mut (Borrowed, Contents),
) -> Result<Option<()>, Fail> {
    check_unasked(contents.bytes.len() as u64)?;
    put_all(call, *stream, contents)
}

/// Writes the bytes of `contents` that are not written yet.
fn put_all(call: &mut Call<'_>, stream: u32, contents: &mut Contents) -> Result<Option<()>, Fail> {
    while let Some(rest @ [_, ..]) = contents.bytes.get(contents.done..) {
        contents.done = contents.done.saturating_add(put(call, stream, rest)?);
    }
    Ok(Some(()))
}

/// Writes one or more of `bytes`, and returns their number; or returns the wait for room in a queue as an error.
fn put(call: &mut Call<'_>, stream: u32, bytes: &[u8]) -> Result<usize, Fail> {
    match resources::output(call, stream)?.to {
        Destination::Stdio(stdio) => {
            let most = streams::room(call, stdio, bytes.len())?;
            call.charge(fuel_for(most))?;
            let bytes = bytes.get(..most).unwrap_or_default();
            match streams::write(call, stdio, bytes)? {
                0 => Err(streams::wait_for_room(call)),
                wrote => Ok(wrote),
            }
        }
        Destination::File(fd, from) => {
            let mut writing = Writing::begin(call, (fd, rights::WRITE), from, bytes.len())?;
            let wrote = writing.write(call, bytes)?;
            writing.end(call)?;
            if wrote == 0 {
                return Err(Errno::Io.into());
            }
            if let Destination::File(_, Some(at)) = &mut resources::output(call, stream)?.to {
                *at = at.saturating_add(wrote as u64);
            }
            Ok(wrote)
        }
        Destination::Body(contents) => http::body::put(call, contents, bytes),
    }
}

/// Does nothing: a write is done when it returns.
fn flush(call: &mut Call<'_>, (Borrowed(stream),): &mut (Borrowed,)) -> Result<Option<()>, Fail> {
    resources::output(call, *stream)?;
    Ok(Some(()))
}

/// Returns a pollable that is always ready: a write waits itself while a queue of output is full.
fn subscribe_output(
    call: &mut Call<'_>,
    (Borrowed(stream),): &mut (Borrowed,),
) -> Result<Own, Fail> {
    resources::output(call, *stream)?;
    resources::add(call, Entry::Pollable(Event::Ready))
}

/// A number of bytes to write, and how far that is done.
struct Amount {
    len: u64,
    permitted: bool,
    /// Bytes that were read and are to be written.
    contents: Contents,
}

impl ComponentType for Amount {
    fn fits(types: &Types, ty: TypeId) -> bool {
        u64::fits(types, ty)
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("u64")
    }
}

impl Lift for Amount {
    fn lift<S: Source>(ty: S::Id, from: &mut Lifting<'_, S>) -> Result<Self, CallError> {
        let (from, ty) = S::table(from, ty)?;
        Ok(Self {
            len: u64::lift(ty, from)?,
            permitted: false,
            contents: Contents::default(),
        })
    }
}

/// Writes zeroes, at most as many as `check-write` permitted.
fn write_zeroes(
    call: &mut Call<'_>,
    (Borrowed(stream), amount): &mut (Borrowed, Amount),
) -> Result<Option<()>, Fail> {
    if !amount.permitted {
        use_permit(call, *stream, amount.len)?;
        amount.permitted = true;
    }
    put_zeroes(call, *stream, amount)
}

/// Writes up to 4,096 zeroes.
fn blocking_write_zeroes_and_flush(
    call: &mut Call<'_>,
    (Borrowed(stream), amount): &mut (Borrowed, Amount),
) -> Result<Option<()>, Fail> {
    check_unasked(amount.len)?;
    put_zeroes(call, *stream, amount)
}

/// Writes the zeroes that are not written yet.
fn put_zeroes(call: &mut Call<'_>, stream: u32, amount: &mut Amount) -> Result<Option<()>, Fail> {
    while amount.len > 0 {
        let len = usize::try_from(amount.len).unwrap_or(usize::MAX);
        let zeroes = ZEROES.get(..len.min(UNASKED)).unwrap_or_default();
        let wrote = put(call, stream, zeroes)?;
        amount.len = amount.len.saturating_sub(wrote as u64);
    }
    Ok(Some(()))
}

/// Reads from `src` what can be read at once, up to `len` bytes and as many as there is room for, and writes it.
/// Returns the number of bytes.
fn splice(
    call: &mut Call<'_>,
    (Borrowed(stream), Borrowed(src), amount): &mut (Borrowed, Borrowed, Amount),
) -> Result<Option<u64>, Fail> {
    pass(call, (*stream, *src), amount, false)
}

/// Does as [`splice`], and waits until `src` is ready.
fn blocking_splice(
    call: &mut Call<'_>,
    (Borrowed(stream), Borrowed(src), amount): &mut (Borrowed, Borrowed, Amount),
) -> Result<Option<u64>, Fail> {
    pass(call, (*stream, *src), amount, true)
}

/// Reads from `src`, unless that is done, and writes to `stream`.
fn pass(
    call: &mut Call<'_>,
    (stream, src): (u32, u32),
    amount: &mut Amount,
    waits: bool,
) -> Result<Option<u64>, Fail> {
    if amount.contents.bytes.is_empty() {
        let len = amount.len.min(room(call, stream)?);
        match take(call, src, len, waits)? {
            None => return Ok(None),
            Some(bytes) => amount.contents.bytes = bytes,
        }
    }
    put_all(call, stream, &mut amount.contents)?;
    Ok(Some(amount.contents.bytes.len() as u64))
}
