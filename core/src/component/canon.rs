//! The canonical ABI between values and a guest: options, and lowered values on their way into its memory.

use super::{
    broken,
    layout::Layout,
    lower::{Block, Lowered, Place},
    other_type, outside,
    program::{ComponentInstance, Encoding},
    types::{FunctionType, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Types},
};
use crate::{
    base::{fuel::fuel_for, shape::unsigned},
    call::{
        StoreData, meter,
        run::{self, Run, stopped, word},
    },
    error::{CallError, LoadError},
    memory,
};
use alloc::{borrow::Cow, vec::Vec};
use core::{
    mem,
    task::{Context, Poll, ready},
};
use wasmi::{AsContextMut, Func, Memory, ResumableCall, Store, StoreContextMut, Val};

/// How values of a function get in and out of a guest: the options, looked up in an instance.
#[derive(Clone, Copy)]
pub(crate) struct Canon {
    pub(crate) encoding: Encoding,
    pub(crate) memory: Option<Memory>,
    pub(crate) realloc: Option<Func>,
    pub(crate) post_return: Option<Func>,
    /// The guest.
    pub(crate) instance: ComponentInstance,
}

impl Canon {
    /// Returns the options of a function without values.
    pub(crate) const fn none(instance: ComponentInstance) -> Self {
        Self {
            encoding: Encoding::Utf8,
            memory: None,
            realloc: None,
            post_return: None,
            instance,
        }
    }

    /// Returns the guest's memory, empty if the function needs none, and the store's data.
    pub(crate) fn memory_and_state<'a, T>(
        &self,
        cx: &'a mut StoreContextMut<'_, StoreData<T>>,
    ) -> (&'a mut [u8], &'a mut StoreData<T>) {
        match self.memory {
            Some(memory) => memory.data_and_store_mut(cx),
            None => (&mut [], cx.data_mut()),
        }
    }
}

/// Which values of a function are in memory, since they are too many for core values.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The layout of all parameters together, if they are in memory.
    pub(crate) params: Option<Layout>,
    /// The layout of the result, if it is in memory.
    pub(crate) result: Option<Layout>,
    /// Number of core values of a result that is not in memory.
    pub(crate) results: usize,
}

impl Shape {
    /// Returns the shape of a function without parameters and result.
    pub(crate) const fn none() -> Self {
        Self {
            params: None,
            result: None,
            results: 0,
        }
    }

    /// Returns the shape of a function of type `ty`.
    pub(crate) fn of(types: &Types, ty: &FunctionType) -> Result<Self, LoadError> {
        let params = types.tuple(ty.params.iter().copied())?;
        let result = ty.result.map(|result| types.layout(result));
        Ok(Self::in_core(&params, result))
    }

    /// Returns the shape of a function with these layouts: of all parameters together, and of the result if there is
    /// one.
    pub(crate) const fn in_core(params: &Layout, result: Option<&Layout>) -> Self {
        let (result, results) = match result {
            Some(result) if result.fits_core(MAX_FLAT_RESULTS) => (None, result.flat_types().len()),
            Some(result) => (Some(*result), 0),
            None => (None, 0),
        };
        Self {
            params: match params.fits_core(MAX_FLAT_PARAMS) {
                true => None,
                false => Some(*params),
            },
            result,
            results,
        }
    }
}

/// Returns the address that a core value holds.
pub(crate) fn address(value: &Val) -> Result<u32, CallError> {
    match value {
        Val::I32(address) => Ok(unsigned(*address)),
        _ => Err(other_type()),
    }
}

/// Most bytes that are written at once in a stepped or awaited call: 8,192 units of fuel.
const PART: usize = 512 << 10;

/// Lowered values, and their progress into a guest.
pub(crate) struct Delivery<'v> {
    lowered: Lowered<'v>,
    /// The addresses of the blocks that have one.
    addresses: Vec<u32>,
    /// The guest's `realloc`, for the next block.
    run: Run,
    /// Number of blocks that are written, and of bytes of the next one.
    done: usize,
    written: usize,
}

impl<'v> Delivery<'v> {
    pub(crate) fn new(lowered: Lowered<'v>) -> Self {
        let mut addresses = Vec::new();
        addresses.extend(lowered.placed);
        Self {
            lowered,
            addresses,
            run: Run::default(),
            done: 0,
            written: 0,
        }
    }

    /// Returns whether blocks lack addresses.
    pub(crate) fn needs_realloc(&self) -> bool {
        self.addresses.len() < self.lowered.blocks.len()
    }

    /// Copies borrowed bytes, so that it outlives their source. Fails if the heap has no room.
    pub(crate) fn into_owned(self) -> Result<Delivery<'static>, CallError> {
        Ok(Delivery {
            lowered: self.lowered.into_owned()?,
            addresses: self.addresses,
            run: self.run,
            done: self.done,
            written: self.written,
        })
    }

    /// Returns the core values; complete once all blocks have addresses.
    pub(crate) fn flat(&self) -> &[Val] {
        &self.lowered.flat
    }

    /// Returns the core values alone, after all is written.
    pub(crate) fn finished(self) -> Delivery<'static> {
        Delivery::new(Lowered {
            flat: self.lowered.flat,
            ..Lowered::default()
        })
    }

    /// Writes all blocks to `memory`, of a delivery whose blocks have addresses.
    pub(crate) fn write_all(&mut self, memory: &mut [u8]) -> Result<(), CallError> {
        for (block, address) in self.lowered.blocks.iter().zip(&self.addresses) {
            place(memory, *address, block.bytes.len())?.copy_from_slice(&block.bytes);
        }
        Ok(())
    }

    /// Has the guest give each block its address, and writes the blocks. Ready when the core values are complete.
    pub(crate) fn poll<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        canon: &Canon,
    ) -> Poll<Result<(), CallError>> {
        while let Some(block) = self.lowered.blocks.get(self.addresses.len()) {
            let realloc = canon
                .realloc
                .ok_or_else(|| broken("values that need `realloc`, which it does not have"))?;
            let (align, params) = (block.align, realloc_params(block));
            let mut result = [word(0)];
            let before = mem::replace(&mut store.data_mut().guest.nested, true);
            let polled = self.run.poll(store, context, realloc, &params, &mut result);
            store.data_mut().guest.nested = before;
            ready!(polled).map_err(|error| error.in_export("realloc"))?;
            let [address] = &result;
            self.give(address_for(address, align)?, store, canon)?;
        }
        while let Some(block) = self.lowered.blocks.get(self.done)
            && let Some(address) = self.addresses.get(self.done)
        {
            let bytes = block.bytes.get(self.written..).unwrap_or_default();
            let mut part = bytes;
            if store.data().pace.is_some()
                && let Some((first, _)) = bytes.split_at_checked(PART)
            {
                ready!(run::poll_step(store, context))?;
                part = first;
                if let Some(pace) = &store.data().pace {
                    pace.take(fuel_for(PART));
                }
            }
            let memory = canon
                .memory
                .map_or(&mut [][..], |memory| memory.data_mut(&mut *store));
            let whole = place(memory, *address, block.bytes.len())?;
            let at = whole.get_mut(self.written..);
            if let Some(at) = at.and_then(|at| at.get_mut(..part.len())) {
                at.copy_from_slice(part);
            }
            if part.len() == bytes.len() {
                self.done = self.done.saturating_add(1);
                self.written = 0;
            } else {
                self.written = self.written.saturating_add(part.len());
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Does what [`poll`](Self::poll) does inside the guest's call of a host function, as far as the slice's fuel goes:
    /// that takes less than leaving the interpreter. Returns whether it is done; if not, `poll` goes on.
    ///
    /// `realloc` can't call the host meanwhile, so no further native stack is taken.
    pub(crate) fn finish_in_call<T: 'static>(
        &mut self,
        guest: &mut StoreContextMut<'_, StoreData<T>>,
        canon: &Canon,
    ) -> Result<bool, CallError> {
        while let Some(block) = self.lowered.blocks.get(self.addresses.len()) {
            let Some(realloc) = canon.realloc else {
                return Ok(false);
            };
            if meter::fuel(guest) == 0 {
                return Ok(false);
            }
            let align = block.align;
            let params = realloc_params(block);
            let mut result = [word(0)];
            let before = mem::replace(&mut guest.data_mut().guest.nested, true);
            let outcome = realloc.call_resumable(&mut *guest, &params, &mut result);
            guest.data_mut().guest.nested = before;
            match outcome {
                Ok(ResumableCall::Finished) => {}
                Ok(ResumableCall::OutOfFuel(paused)) => {
                    self.run = Run::OutOfFuel(paused);
                    return Ok(false);
                }
                // Not a suspension: it can't call what could wait.
                Ok(ResumableCall::HostTrap(trap)) => {
                    return Err(stopped(guest, trap.host_error()).in_export("realloc"));
                }
                Err(error) => return Err(stopped(guest, &error).in_export("realloc")),
            }
            let [address] = &result;
            self.give(address_for(address, align)?, guest, canon)?;
        }
        let sizes = self.lowered.blocks.iter().map(|block| block.bytes.len());
        if guest.data().pace.is_some() && sizes.fold(0, usize::saturating_add) > PART {
            return Ok(false);
        }
        let (memory, _) = canon.memory_and_state(guest);
        self.write_all(memory)?;
        Ok(true)
    }

    /// Gives the next block its address.
    fn give<T>(
        &mut self,
        address: u32,
        store: &mut impl AsContextMut<Data = StoreData<T>>,
        canon: &Canon,
    ) -> Result<(), CallError> {
        let next = self.addresses.len();
        let Some(block) = self.lowered.blocks.get(next) else {
            return Ok(());
        };
        // Checked now, so that a guest that gives a wrong address gets no further calls.
        let memory = canon.memory.map_or(&[][..], |memory| memory.data(&*store));
        let size = u32::try_from(block.bytes.len()).unwrap_or(u32::MAX);
        memory::find(memory, address, size)
            .ok_or_else(|| broken("realloc return: beyond end of memory"))?;
        match block.pointer {
            Place::Flat(at) => {
                // Among the cases of a variant, a pointer may share a wider core value.
                match self.lowered.flat.get_mut(at) {
                    Some(Val::I64(value)) => *value = address.into(),
                    Some(value) => *value = word(address),
                    None => {}
                }
            }
            Place::Block(parent, at) => {
                let parent = self.lowered.blocks.get_mut(parent);
                let bytes = parent.and_then(|parent| parent.bytes.to_mut().get_mut(at..));
                if let Some(pointer) = bytes.and_then(|bytes| bytes.get_mut(..4)) {
                    pointer.copy_from_slice(&address.to_le_bytes());
                }
            }
        }
        self.addresses
            .try_reserve(1)
            .map_err(|_| memory::no_room(4))?;
        self.addresses.push(address);
        Ok(())
    }
}

impl Lowered<'_> {
    /// Copies borrowed bytes. Fails if the heap has no room.
    fn into_owned(self) -> Result<Lowered<'static>, CallError> {
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in self.blocks {
            blocks.push(Block {
                bytes: match block.bytes {
                    Cow::Owned(bytes) => Cow::Owned(bytes),
                    Cow::Borrowed(bytes) => Cow::Owned(memory::copied(bytes)?),
                },
                align: block.align,
                pointer: block.pointer,
            });
        }
        Ok(Lowered {
            flat: self.flat,
            blocks,
            placed: self.placed,
        })
    }
}

/// Returns the arguments of `realloc` for a block.
fn realloc_params(block: &Block<'_>) -> [Val; 4] {
    let size = u32::try_from(block.bytes.len()).unwrap_or(u32::MAX);
    [word(0), word(0), word(block.align), word(size)]
}

/// Returns the address that `realloc` returned, if it is aligned.
fn address_for(value: &Val, align: u32) -> Result<u32, CallError> {
    let found = address(value)?;
    match found.checked_rem(align) {
        Some(0) => Ok(found),
        _ => Err(broken("realloc return: result not aligned")),
    }
}

/// Returns the place of a block in the guest's memory.
fn place(memory: &mut [u8], address: u32, len: usize) -> Result<&mut [u8], CallError> {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    memory::bytes_mut(memory, address, len, "value that a component receives").map_err(outside)
}
