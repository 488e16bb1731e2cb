//! The resources of one instance: what the handles of a component stand for.

use super::{
    super::{
        errno::{Errno, Fail},
        output::Stream,
        session::Call,
        streams,
    },
    types::Own,
};
use crate::error::{CallError, Trap, TrapKind};
use alloc::vec::Vec;
use core::time::Duration;

/// Maximum number of resources of an instance.
const MOST: usize = 4_096;

/// Fuel for making a resource.
const FUEL: u64 = 20;

/// A resource.
#[derive(Debug)]
pub(in crate::wasi) enum Entry {
    /// An open file or directory: its descriptor.
    Descriptor(u32),
    Input(Input),
    Output(Output),
    Pollable(Event),
    /// Why an operation on a stream failed.
    Error(Errno),
    /// The entries of a directory, in the layout of `fd_readdir`, and the offset of the next.
    Entries(Vec<u8>, usize),
    TerminalInput,
    TerminalOutput,
    Network,
}

/// An input stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::wasi) enum Input {
    Stdin,
    /// A file: its descriptor, and the offset of the next byte.
    File(u32, u64),
}

/// An output stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::wasi) struct Output {
    pub(in crate::wasi) to: Destination,
    /// Bytes that the guest may write since it asked for the last time.
    pub(in crate::wasi) permitted: u64,
}

/// The destination of an output stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::wasi) enum Destination {
    Stdio(Stream),
    /// A file: its descriptor, and the offset of the next byte; `None` for the file's end.
    File(u32, Option<u64>),
}

/// What a guest can wait for.
#[derive(Clone, Copy, Debug)]
pub(in crate::wasi) enum Event {
    /// Something that never blocks.
    Ready,
    /// Stdin has bytes or is at its end.
    Input,
    /// The platform's clock reaches this time.
    At(Duration),
}

impl Entry {
    /// Returns the descriptor by which the resource reaches a file or directory.
    const fn descriptor(&self) -> Option<u32> {
        match self {
            Self::Descriptor(fd)
            | Self::Input(Input::File(fd, _))
            | Self::Output(Output {
                to: Destination::File(fd, _),
                ..
            }) => Some(*fd),
            _ => None,
        }
    }
}

/// The resources of an instance, by number.
#[derive(Default)]
pub(in crate::wasi) struct Resources {
    entries: Vec<Option<Entry>>,
    /// Numbers that are free, of `entries`.
    free: Vec<u32>,
}

impl Resources {
    /// Returns the bytes that the lists of all directories take which the guest is reading.
    pub(in crate::wasi) fn list_bytes(&self) -> usize {
        let lists = self.entries.iter().flatten().map(|entry| match entry {
            Entry::Entries(list, _) => list.capacity(),
            _ => 0,
        });
        lists.fold(0, usize::saturating_add)
    }

    /// Returns the resource of this number.
    fn get(&mut self, number: u32) -> Option<&mut Entry> {
        self.entries
            .get_mut(usize::try_from(number).ok()?)?
            .as_mut()
    }

    /// Adds a resource, and returns its number; `None` if there is no room for it.
    fn add(&mut self, entry: Entry) -> Option<u32> {
        if let Some(number) = self.free.pop() {
            *self.entries.get_mut(usize::try_from(number).ok()?)? = Some(entry);
            return Some(number);
        }
        if self.entries.len() >= MOST {
            return None;
        }
        // Room for its number too, so that dropping it never fails.
        self.free
            .try_reserve(self.entries.len().saturating_add(1))
            .ok()?;
        self.entries.try_reserve(1).ok()?;
        let number = u32::try_from(self.entries.len()).ok()?;
        self.entries.push(Some(entry));
        Some(number)
    }

    /// Takes the resource of this number away.
    fn remove(&mut self, number: u32) -> Option<Entry> {
        let entry = self
            .entries
            .get_mut(usize::try_from(number).ok()?)?
            .take()?;
        self.free.push(number);
        Some(entry)
    }
}

/// Charges for a resource and adds it.
pub(super) fn add(call: &mut Call<'_>, entry: Entry) -> Result<Own, Fail> {
    call.charge(FUEL)?;
    let added = call.session.resources.add(entry);
    added.map(Own::new).ok_or_else(|| {
        stop("more than 4,096 resources of WASI: drop streams, pollables and descriptors that are done with")
    })
}

/// Drops the resource of this number, and closes its descriptor if it was the last one of it that the guest
/// had opened.
pub(super) fn remove(call: &mut Call<'_>, number: u32) -> Result<(), Fail> {
    let resources = &mut call.session.resources;
    let Some(fd) = resources
        .remove(number)
        .and_then(|entry| entry.descriptor())
    else {
        return Ok(());
    };
    let mut others = resources.entries.iter().flatten();
    if others.any(|other| other.descriptor() == Some(fd)) {
        return Ok(());
    }
    match call.session.descriptors.get(fd) {
        Ok(descriptor) if descriptor.was_opened() => streams::close(call, fd),
        _ => Ok(()),
    }
}

/// Returns the resource of this number. A trap if there is none, which can't be: a component has handles only to
/// resources that it was given.
fn get<'c>(call: &'c mut Call<'_>, number: u32) -> Result<&'c mut Entry, Fail> {
    call.session.resources.get(number).ok_or_else(other)
}

/// Returns the descriptor that a resource stands for.
pub(super) fn descriptor(call: &mut Call<'_>, number: u32) -> Result<u32, Fail> {
    match get(call, number)? {
        Entry::Descriptor(fd) => Ok(*fd),
        _ => Err(other()),
    }
}

/// Returns the input stream that a resource stands for.
pub(super) fn input<'c>(call: &'c mut Call<'_>, number: u32) -> Result<&'c mut Input, Fail> {
    match get(call, number)? {
        Entry::Input(input) => Ok(input),
        _ => Err(other()),
    }
}

/// Returns the output stream that a resource stands for.
pub(super) fn output<'c>(call: &'c mut Call<'_>, number: u32) -> Result<&'c mut Output, Fail> {
    match get(call, number)? {
        Entry::Output(output) => Ok(output),
        _ => Err(other()),
    }
}

/// Returns the event that a resource stands for.
pub(super) fn event(call: &mut Call<'_>, number: u32) -> Result<Event, Fail> {
    match get(call, number)? {
        Entry::Pollable(event) => Ok(*event),
        _ => Err(other()),
    }
}

/// Returns the error that a resource stands for.
pub(super) fn error(call: &mut Call<'_>, number: u32) -> Result<Errno, Fail> {
    match get(call, number)? {
        Entry::Error(errno) => Ok(*errno),
        _ => Err(other()),
    }
}

/// Returns the entries of a directory that a resource stands for, and the offset of the next.
pub(super) fn entries<'c>(
    call: &'c mut Call<'_>,
    number: u32,
) -> Result<(&'c [u8], &'c mut usize), Fail> {
    match get(call, number)? {
        Entry::Entries(list, at) => Ok((list, at)),
        _ => Err(other()),
    }
}

/// Returns the trap for a resource of another type: a component may declare types for its imports under which it
/// passes one for the other.
fn other() -> Fail {
    stop("a resource of another type")
}

/// Returns the trap of a guest that breaks the rules of WASI 0.2.
#[cold]
pub(super) fn stop(why: &str) -> Fail {
    Fail::EndCall(CallError::Trap(Trap::new(TrapKind::HostFunction, why)))
}
