//! The state of a new instance, to which used instances are reset.

use super::written::Written;
use crate::{
    base::limits::Usage,
    call::StoreData,
    module::{GROWTH, MEMORY, global_name},
};
use alloc::vec::Vec;
use core::ops::Range;
#[cfg(feature = "mappings")]
use hostel_mappings::Contents;
use spin::Once;
use wasmi::{AsContextMut, Global, Memory, Mutability, Store, Val};

/// Handles to everything that a guest can change: its memory and its globals. Tables and segments
/// are not included; a module that can change these is not resettable.
#[derive(Default)]
pub(crate) struct MutableState {
    memory: Option<Memory>,
    globals: Vec<Global>,
}

impl MutableState {
    /// Finds the handles of `instance`.
    pub(crate) fn of<T>(store: &Store<StoreData<T>>, instance: wasmi::Instance) -> Self {
        let mut globals = Vec::new();
        // The rewritten module exports each of its changing globals under a number.
        while let Some(global) = instance.get_global(store, &global_name(globals.len())) {
            globals.push(global);
        }
        Self {
            memory: instance.get_memory(store, MEMORY),
            globals,
        }
    }

    /// The bytes of the memory; `None` if the guest has none.
    pub(crate) fn memory<'a, T>(&self, store: &'a Store<StoreData<T>>) -> Option<&'a [u8]> {
        self.memory.map(|memory| memory.data(store))
    }

    /// The values of the globals, in their order.
    pub(crate) fn values<'a, T>(
        &'a self,
        store: &'a Store<StoreData<T>>,
    ) -> impl Iterator<Item = Val> + 'a {
        self.globals.iter().map(move |global| global.get(store))
    }

    /// A 64-bit hash of the memory and the globals. Not collision-resistant.
    pub(crate) fn hash<T>(&self, store: &Store<StoreData<T>>) -> u64 {
        let mut hash = Fnv::new();
        let memory = self.memory(store).unwrap_or_default();
        // The length as 64 bits on every machine, so that all compute the same hash.
        hash.write(&(memory.len() as u64).to_le_bytes());
        hash.write(memory);
        for value in self.values(store) {
            match value {
                Val::I32(value) => hash.write(&value.to_le_bytes()),
                Val::I64(value) => hash.write(&value.to_le_bytes()),
                Val::F32(value) => hash.write(&value.to_bits().to_le_bytes()),
                Val::F64(value) => hash.write(&value.to_bits().to_le_bytes()),
                Val::V128(value) => hash.write(&value.as_u128().to_le_bytes()),
                // Of references only null is portable: their identity differs from store to store.
                Val::FuncRef(value) => hash.write(&[u8::from(value.is_null())]),
                Val::ExternRef(value) => hash.write(&[u8::from(value.is_null())]),
            }
        }
        hash.0
    }
}

/// The state of a new instance of a plugin.
pub(crate) struct Image {
    memory: MemoryImage,
    /// The parts of a memory that are not 0 before the start, since its segments are copied there. Found when
    /// this is first written to a new instance.
    segments: Once<Vec<Part>>,
    /// The values of its globals, in their order.
    globals: Vec<Val>,
    /// What making the instance used, if writing the image to another new one replaces its start.
    pub(crate) start: Option<Usage>,
    /// The states of the core instances of a component, which has no state besides.
    #[cfg(feature = "component")]
    parts: Vec<Image>,
}

/// Bytes of memory that are written back in the time of a unit of fuel, at least.
const BYTES_PER_FUEL: u64 = 32;

/// The largest memory that is written to a new instance, in bytes: that can't be paused, and a start can.
const MOST_WRITTEN: usize = 16 << 20;

impl Image {
    /// Copies the state of an instance.
    pub(crate) fn capture<T>(store: &Store<StoreData<T>>, mutable: &MutableState) -> Self {
        Self {
            memory: MemoryImage::capture(mutable.memory(store).unwrap_or_default()),
            segments: Once::new(),
            globals: mutable.values(store).collect(),
            start: None,
            #[cfg(feature = "component")]
            parts: Vec::new(),
        }
    }

    /// Returns the state of a component, of its core instances'.
    #[cfg(feature = "component")]
    pub(super) fn of_parts(parts: Vec<Self>) -> Self {
        let sizes = parts.iter().map(|part| part.memory.size);
        Self {
            memory: MemoryImage {
                size: sizes.fold(0, usize::saturating_add),
                ..MemoryImage::default()
            },
            segments: Once::new(),
            globals: Vec::new(),
            start: None,
            parts,
        }
    }

    /// Returns the states of the core instances of a component.
    #[cfg(feature = "component")]
    pub(super) fn parts(&self) -> &[Self] {
        &self.parts
    }

    /// Returns whether writing this image replaces a start of `fuel`, which would take longer.
    pub(crate) const fn replaces_a_start_of(&self, fuel: u64) -> bool {
        self.memory.size <= MOST_WRITTEN && fuel > (self.memory.size as u64) / BYTES_PER_FUEL
    }

    /// Sets a new instance, whose start has not run, to this state; its memory has pages of `page`
    /// bytes. Returns false if that is impossible.
    pub(crate) fn write<T: 'static>(
        &self,
        store: &mut Store<StoreData<T>>,
        mutable: &MutableState,
        page: u64,
    ) -> bool {
        if let Some(memory) = mutable.memory {
            let segments = self.segments.call_once(|| parts_of(memory.data(&*store)));
            if !grow(store, memory, self.memory.size, page) {
                return false;
            }
            let bytes = memory.data_mut(&mut *store);
            // All else is 0 in a new memory.
            for part in segments {
                self.memory.clear(bytes, part.start..part.end);
            }
            if bytes.len() != self.memory.size || !self.memory.write(bytes) {
                return false;
            }
        }
        self.restore_globals(store, mutable)
    }

    /// Returns whether the memory of an instance is as large as in this state, by what `store` counts.
    pub(crate) const fn has_size_of<T>(&self, state: &StoreData<T>) -> bool {
        self.memory.size == state.limiter.memory_bytes()
    }

    /// Resets an instance to this state; `written` knows of its memory. Returns false if that is
    /// impossible, and the instance must be dropped: its memory has grown, and can't shrink, or a global
    /// can't be set.
    pub(crate) fn restore<T: 'static>(
        &self,
        store: &mut impl AsContextMut<Data = StoreData<T>>,
        mutable: &MutableState,
        written: &mut Written,
    ) -> bool {
        if let Some(memory) = mutable.memory {
            let bytes = memory.data_mut(store.as_context_mut());
            if !self.memory.restore(bytes, written) {
                return false;
            }
        }
        self.restore_globals(store, mutable)
    }

    /// Resets the globals. Returns false if one can't be set.
    fn restore_globals<T: 'static>(
        &self,
        store: &mut impl AsContextMut<Data = StoreData<T>>,
        mutable: &MutableState,
    ) -> bool {
        mutable
            .globals
            .iter()
            .zip(&self.globals)
            .all(|(global, value)| {
                // wasmi panics on a reference into another store.
                !matches!(value, Val::FuncRef(_) | Val::ExternRef(_))
                    && global.ty(store.as_context()).mutability() == Mutability::Var
                    && global.set(store.as_context_mut(), value.clone()).is_ok()
            })
    }
}

/// Grows `memory`, of pages of `page` bytes, to `size` bytes, as the start did. Returns false if there is no room.
fn grow<T>(store: &mut Store<StoreData<T>>, memory: Memory, size: usize, page: u64) -> bool {
    loop {
        let missing = size.saturating_sub(memory.data_size(&*store)) as u64;
        // In parts: the limiter may turn down more at once.
        let pages = missing.min(GROWTH.into()).checked_div(page).unwrap_or(0);
        if pages == 0 {
            return missing == 0;
        }
        if memory.grow(&mut *store, pages).is_err() {
            return false;
        }
    }
}

/// A copy of a memory without the parts that are 0, which are most of it: a compiler's stack, and the room
/// for a heap.
#[derive(Default)]
struct MemoryImage {
    /// The size of the memory, in bytes.
    size: usize,
    /// The parts that are not 0, in the order of their places.
    parts: Vec<Part>,
    /// The contents of all parts, one after the other.
    contents: Vec<u8>,
    /// These in a file in memory, once an instance is reset to them; `None` inside if there can't be one.
    #[cfg(feature = "mappings")]
    file: Once<Option<Contents>>,
}

/// A part of a memory that is not 0: whole chunks, but for the end of the memory.
struct Part {
    start: usize,
    end: usize,
    /// The bytes in the parts before it.
    before: usize,
}

impl Part {
    const fn size(&self) -> usize {
        self.end.saturating_sub(self.start)
    }
}

/// The bytes that are not 0 from which on they are mapped, rather than written at each reset: writing them takes as long
/// as ten faults of pages.
#[cfg(feature = "mappings")]
const MAPPED: usize = 256 << 10;

/// Memory is copied or left out by chunks of so many bytes.
const CHUNK: usize = 4_096;

impl MemoryImage {
    fn capture(memory: &[u8]) -> Self {
        Self::of_parts(memory, parts_of(memory))
    }

    /// Copies these parts of `memory`. All else of it is 0.
    fn of_parts(memory: &[u8], parts: Vec<Part>) -> Self {
        let mut contents = Vec::with_capacity(size_of_all(&parts));
        for part in &parts {
            contents.extend_from_slice(memory.get(part.start..part.end).unwrap_or_default());
        }
        Self {
            size: memory.len(),
            contents,
            parts,
            #[cfg(feature = "mappings")]
            file: Once::new(),
        }
    }

    /// Resets each byte of `memory`: a guest may have written anywhere, as far as `written` does not know
    /// better. Returns false if the memory has another size.
    // Without comparing first: writing is at least as fast as reading, and the parts are small.
    fn restore(&self, memory: &mut [u8], written: &mut Written) -> bool {
        if memory.len() != self.size {
            return false;
        }
        let content = self.contents.len();
        #[cfg(feature = "mappings")]
        if content >= MAPPED {
            let file = || self.file.call_once(|| self.to_file()).as_ref();
            if written.restore(memory, file, &mut |memory, run| self.rewrite(memory, run)) {
                return true;
            }
        }
        if !written.clear(memory, content, &mut |memory, run| self.clear(memory, run)) {
            self.clear(memory, 0..self.size);
        }
        self.write(memory)
    }

    /// Returns this in a file in memory.
    #[cfg(feature = "mappings")]
    fn to_file(&self) -> Option<Contents> {
        let parts = self.parts.iter();
        let parts = parts.map(|part| (part.start, self.content(part, part.start..part.end)));
        Contents::new(self.size, parts)
    }

    /// Returns what a part has in the bytes `run` of the memory, which are of the part.
    #[cfg(feature = "mappings")]
    fn content(&self, part: &Part, run: Range<usize>) -> &[u8] {
        let start = run.start.saturating_sub(part.start);
        let start = start.saturating_add(part.before);
        let content = self.contents.get(start..start.saturating_add(run.len()));
        content.unwrap_or_default()
    }

    /// Sets the bytes `run` of `memory` to those of this image.
    #[cfg(feature = "mappings")]
    fn rewrite(&self, memory: &mut [u8], run: Range<usize>) {
        self.clear(memory, run.clone());
        let first = self.parts.partition_point(|part| part.end <= run.start);
        let parts = self.parts.get(first..).unwrap_or_default();
        for part in parts.iter().take_while(|part| part.start < run.end) {
            let both = part.start.max(run.start)..part.end.min(run.end);
            let content = self.content(part, both.clone());
            if let Some(place) = memory.get_mut(both)
                && place.len() == content.len()
            {
                place.copy_from_slice(content);
            }
        }
    }

    /// Writes the parts that are not 0 to `memory`. Returns false if it is too small.
    fn write(&self, memory: &mut [u8]) -> bool {
        let mut contents = &*self.contents;
        for part in &self.parts {
            let Some(place) = memory.get_mut(part.start..part.end) else {
                return false;
            };
            let Some((content, others)) = contents.split_at_checked(place.len()) else {
                return false;
            };
            place.copy_from_slice(content);
            contents = others;
        }
        true
    }

    /// Sets the bytes `run` of `memory` to 0, but for the parts that are not 0 in this image.
    fn clear(&self, memory: &mut [u8], run: Range<usize>) {
        let Range { mut start, end } = run;
        let first = self.parts.partition_point(|part| part.end <= start);
        let parts = self.parts.get(first..).unwrap_or_default();
        for part in parts.iter().take_while(|part| part.start < end) {
            if let Some(gap) = memory.get_mut(start..part.start) {
                gap.fill(0);
            }
            start = part.end;
        }
        if let Some(rest) = memory.get_mut(start..end) {
            rest.fill(0);
        }
    }
}

/// Gives the pages of `memory` back that are all 0, if they are most of it: the interpreter has written all of
/// a new memory. Returns false if the memory lost its contents, which does not happen.
#[cfg(feature = "mappings")]
pub(super) fn give_back_zeros(memory: &mut [u8], written: &Written) -> bool {
    // While instances are made and dropped in turn, their mappings are used again. It would take as long as
    // making one.
    if !written.is_in_new_mapping() {
        return true;
    }
    let parts = parts_of(memory);
    // A copy of all else is needed meanwhile.
    if size_of_all(&parts) > memory.len() / 4 {
        return true;
    }
    let image = MemoryImage::of_parts(memory, parts);
    !written.give_back(memory) || image.write(memory)
}

/// Returns the parts of `memory` that are not 0.
fn parts_of(memory: &[u8]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut start = 0usize;
    for chunk in memory.chunks(CHUNK) {
        let end = start.saturating_add(chunk.len());
        if !is_zero(chunk) {
            match parts.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => parts.push(Part {
                    start,
                    end,
                    before: size_of_all(&parts),
                }),
            }
        }
        start = end;
    }
    parts
}

/// Returns the bytes in all parts.
fn size_of_all(parts: &[Part]) -> usize {
    let last = parts.last();
    last.map_or(0, |last| last.before.saturating_add(last.size()))
}

/// Returns whether all of `bytes` are 0.
fn is_zero(bytes: &[u8]) -> bool {
    // Several words at a time and no early end: the compiler makes vectors of this, which read a memory at
    // the speed of the processor's cache.
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut any = [0u64; 4];
    for block in blocks {
        for (any, word) in any.iter_mut().zip(block.as_chunks::<8>().0) {
            *any |= u64::from_ne_bytes(*word);
        }
    }
    any.iter().all(|word| *word == 0) && rest.iter().all(|byte| *byte == 0)
}

/// FNV-1a in 64 bits; not collision-resistant.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds `bytes` to the hash.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
