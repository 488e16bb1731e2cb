//! The resources of one instance: what the handles of a component stand for.

use super::{
    super::{
        errno::{Errno, Fail},
        output::Stream,
        session::Call,
        streams,
    },
    http::{self, Exchanges, HttpEntry},
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
pub(in crate::wasi) enum Entry {
    /// An open file or directory: its descriptor.
    Descriptor(u32),
    Input(Input),
    Output(Output),
    Pollable(Event),
    /// Why an operation on a stream failed.
    Error(Errno),
    /// A write failed that would have made an HTTP body this long, in bytes.
    BodySize(u64),
    /// The entries of a directory, in the layout of `fd_readdir`, and the offset of the next.
    Entries(Vec<u8>, usize),
    TerminalInput,
    TerminalOutput,
    Network,
    Http(HttpEntry),
}

/// An input stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::wasi) enum Input {
    Stdin,
    /// A file: its descriptor, and the offset of the next byte.
    File(u32, u64),
    /// An HTTP body: its number, and the offset of the next byte.
    Body(u32, usize),
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
    /// The contents of an HTTP message, by their number.
    Body(u32),
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
    /// The HTTP response of this number is there.
    Response(u32),
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

    /// Returns the bytes of HTTP headers and bodies that the resource holds.
    const fn http_bytes(&self) -> usize {
        match self {
            Self::Http(entry) => entry.bytes(),
            _ => 0,
        }
    }
}

/// A resource, and how it belongs to others.
struct Slot {
    entry: Entry,
    /// The resource that must not be dropped before this one.
    parent: Option<u32>,
    /// Number of resources that must be dropped before this one.
    children: u32,
}

/// The resources of an instance, by number.
#[derive(Default)]
pub(in crate::wasi) struct Resources {
    slots: Vec<Option<Slot>>,
    /// Numbers that are free, of `slots`.
    free: Vec<u32>,
    /// Bytes of the lists of directories.
    list_bytes: usize,
    /// The bytes that the body would have had whose write was refused last.
    pub(super) refused_body: Option<u64>,
    pub(super) exchanges: Exchanges,
}

impl Resources {
    /// Returns the bytes that the lists of all directories take which the guest is reading.
    pub(in crate::wasi) const fn list_bytes(&self) -> usize {
        self.list_bytes
    }

    /// Gives up the requests that are on their way: they don't outlive the call.
    pub(in crate::wasi) fn end_call(&mut self) {
        while let Some(number) = self.exchanges.last_sent() {
            if let Some(Entry::Http(HttpEntry::Future(future))) = self.get(number) {
                future.give_up();
            }
            self.exchanges.ended(number);
        }
    }

    /// Returns the resource of this number.
    pub(super) fn get(&mut self, number: u32) -> Option<&mut Entry> {
        self.slot(number).map(|slot| &mut slot.entry)
    }

    fn slot(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(number).ok()?)?.as_mut()
    }

    /// Adds a resource, and returns its number; `None` if there is no room for it.
    fn add(&mut self, slot: Slot) -> Option<u32> {
        let bytes = match &slot.entry {
            Entry::Entries(list, _) => list.capacity(),
            _ => 0,
        };
        let held = slot.entry.http_bytes();
        let number = self.place(slot)?;
        self.list_bytes = self.list_bytes.saturating_add(bytes);
        self.exchanges.held = self.exchanges.held.saturating_add(held);
        Some(number)
    }

    fn place(&mut self, slot: Slot) -> Option<u32> {
        if let Some(number) = self.free.pop() {
            *self.slots.get_mut(usize::try_from(number).ok()?)? = Some(slot);
            return Some(number);
        }
        if self.slots.len() >= MOST {
            return None;
        }
        // Room for its number too, so that dropping it never fails.
        self.free
            .try_reserve(self.slots.len().saturating_add(1))
            .ok()?;
        self.slots.try_reserve(1).ok()?;
        let number = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(Some(slot));
        Some(number)
    }

    /// Takes the resource of this number away. Its parent has a child less.
    fn remove(&mut self, number: u32) -> Option<Entry> {
        let slot = self.slots.get_mut(usize::try_from(number).ok()?)?.take()?;
        self.free.push(number);
        let Slot { entry, parent, .. } = slot;
        if let Some(parent) = parent.and_then(|parent| self.slot(parent)) {
            parent.children = parent.children.saturating_sub(1);
        }
        if let Entry::Entries(list, _) = &entry {
            self.list_bytes = self.list_bytes.saturating_sub(list.capacity());
        }
        self.exchanges.held = self.exchanges.held.saturating_sub(entry.http_bytes());
        Some(entry)
    }
}

/// Charges for a resource and adds it.
pub(super) fn add(call: &mut Call<'_>, entry: Entry) -> Result<Own, Fail> {
    add_child(call, entry, None).map(Own::new)
}

/// Charges for a resource and adds it. While it exists, dropping `parent` stops the guest. Returns its number.
pub(super) fn add_child(
    call: &mut Call<'_>,
    entry: Entry,
    parent: Option<u32>,
) -> Result<u32, Fail> {
    call.charge(FUEL)?;
    let session = &mut *call.session;
    if let Some(fd) = entry.descriptor()
        && let Ok(descriptor) = session.descriptors.get(fd)
    {
        descriptor.resources = descriptor.resources.saturating_add(1);
    }
    let slot = Slot {
        entry,
        parent,
        children: 0,
    };
    let number = session.resources.add(slot).ok_or_else(|| {
        stop("more than 4,096 resources of WASI: drop streams, pollables and descriptors that are done with")
    })?;
    if let Some(parent) = parent.and_then(|parent| session.resources.slot(parent)) {
        parent.children = parent.children.saturating_add(1);
    }
    Ok(number)
}

/// Takes the resource of this number away, without closing what it stands for. Stops the guest if it has children.
pub(super) fn take(call: &mut Call<'_>, number: u32) -> Result<Entry, Fail> {
    let resources = &mut call.session.resources;
    if resources.slot(number).is_some_and(|slot| slot.children > 0) {
        return Err(stop(
            "a resource is dropped before its child: drop a body's stream and the pollables first",
        ));
    }
    resources.remove(number).ok_or_else(other)
}

/// Drops the resource of this number, and closes its descriptor if it was the last one of it that the guest
/// had opened.
pub(super) fn remove(call: &mut Call<'_>, number: u32) -> Result<(), Fail> {
    let entry = take(call, number)?;
    if let Entry::Http(entry) = entry {
        return http::dropped(call, number, entry);
    }
    let Some(fd) = entry.descriptor() else {
        return Ok(());
    };
    let Ok(descriptor) = call.session.descriptors.get(fd) else {
        return Ok(());
    };
    descriptor.resources = descriptor.resources.saturating_sub(1);
    match descriptor.resources == 0 && descriptor.was_opened() {
        true => streams::close(call, fd),
        false => Ok(()),
    }
}

/// Returns the resource of this number. A trap if there is none, which can't be: a component has handles only to
/// resources that it was given.
pub(super) fn get<'c>(call: &'c mut Call<'_>, number: u32) -> Result<&'c mut Entry, Fail> {
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
        Entry::BodySize(_) => Ok(Errno::Fbig),
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
pub(super) fn other() -> Fail {
    stop("a resource of another type")
}

/// Returns the trap of a guest that breaks the rules of WASI 0.2.
#[cold]
pub(super) fn stop(why: &str) -> Fail {
    Fail::EndCall(CallError::Trap(Trap::new(TrapKind::HostFunction, why)))
}
