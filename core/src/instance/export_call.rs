//! One call of an export: copies the arguments into the guest, runs the export, reads its results, and
//! returns the guest's buffers to its allocator.
//!
//! Guest code may run in each of these stages, and may be suspended there. So a function whose name
//! begins with `poll` is called again until it is ready: it goes on after the stages that are done.

use super::sandbox::Sandbox;
use crate::{
    abi::native::{BytesFunction, PackedFunction},
    base::{
        fuel::{BASE, Spending, fuel_for},
        shape::{FlatTypes, FlatValues, MAX_FLAT, Record, Shape, unpack, unsigned},
        signature::ValType,
    },
    call::{
        StoreData,
        delivery::{Delivery, no_memory, write},
        meter,
        run::{self, Run, word},
    },
    error::CallError,
    marshal::{AnsweredCall, Lifter, Lower, MAX_BYTES},
    memory,
};
use core::{
    cell::Cell,
    task::{Context, Poll, ready},
};
use heapless::Vec;
use wasmi::{Func, Store, Val};

/// Longest input, in bytes, whose buffer in the guest is reused by the next call.
const REUSED_INPUT_BYTES: usize = 64 << 10;

/// Number of results that suffices for most exports. Native stack for more is used only by exports
/// with more.
const USUAL_RESULTS: usize = 2;

/// A buffer from the guest's allocator: its pointer and its size in bytes.
pub(crate) type Buffer = (u32, u32);

/// Buffers from the guest's allocator that later calls use again.
#[derive(Default)]
pub(crate) struct ReusedBuffers {
    /// For a record of results.
    pub(crate) record: Option<Buffer>,
    /// For an input of up to [`REUSED_INPUT_BYTES`].
    pub(crate) input: Option<Buffer>,
}

/// A call of an export, in progress.
pub(crate) struct ExportCall<'a> {
    /// The export's name.
    name: &'a str,
    target: Target,
    /// The input, if it goes into the reused buffer.
    input: Option<&'a [u8]>,
    /// The other arguments; once the export has run, its results.
    delivery: Delivery<'a>,
    /// The guest's buffers that are returned to its allocator at the end.
    borrowed: Vec<Buffer, { 2 * MAX_BYTES }>,
    /// The argument's buffer that is being filled.
    filling: Option<u32>,
    /// Number of `borrowed` buffers that were returned.
    returned: usize,
    stage: Stage,
    /// The guest function that runs in this stage.
    run: Run,
}

/// An export, and how it is called.
pub(crate) struct Target {
    pub(crate) function: Func,
    pub(crate) shape: Shape,
    /// The function by its type, if that is known and its shape is [`Shape::Packed`].
    pub(crate) packed: Option<PackedFunction>,
    /// The core types of its results, independent of the shape.
    pub(crate) types: FlatTypes,
}

impl Target {
    /// Returns a function from bytes to bytes.
    pub(crate) fn of_bytes(found: BytesFunction) -> Self {
        Self {
            function: found.function,
            shape: found.shape,
            packed: found.packed,
            types: [ValType::I32, ValType::I32].into_iter().collect(),
        }
    }
}

/// The next stage of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Checks the deadline. A call by steps skips this: its first slice checks it.
    TimeCheck,
    /// Runs `_start` of a command, unless it has run.
    Command,
    /// Allocates the record for the results in the guest's memory.
    Record,
    /// Allocates and fills the buffers for the arguments.
    Arguments,
    /// Runs the export.
    Export,
    /// Returns the buffers.
    Return,
}

impl<'a> ExportCall<'a> {
    /// Creates a call of the export `name`, still without arguments.
    // Inlined: the struct is large, and would be moved to the caller.
    #[inline]
    pub(crate) fn new<T>(sandbox: &Sandbox<T>, name: &'a str, target: Target) -> Self {
        let limit = sandbox.store.data().meter.budget().input_bytes;
        Self {
            name,
            target,
            input: None,
            delivery: Delivery::new(Some(limit)),
            borrowed: Vec::new(),
            filling: None,
            returned: 0,
            stage: Stage::TimeCheck,
            run: Run::New,
        }
    }

    /// Begins the call: charges `units` of fuel, and reserves the first argument for the pointer to
    /// the record of results, if there is one.
    fn begin<T>(&mut self, sandbox: &mut Sandbox<T>, units: u64) -> Result<(), CallError> {
        run::begin(&mut sandbox.store, units)?;
        if self.target.shape == Shape::Pointer {
            self.delivery.lowered.push(Val::I32(0))?;
        }
        Ok(())
    }

    /// Begins the call with bytes as its one argument. Returns [`CallError::InputTooLarge`] if they
    /// exceed the budget.
    pub(crate) fn begin_with_bytes<T>(
        &mut self,
        sandbox: &mut Sandbox<T>,
        input: &'a [u8],
    ) -> Result<(), CallError> {
        let found = input.len();
        let limit = sandbox.store.data().meter.budget().input_bytes;
        if found > limit {
            self.begin(sandbox, BASE)?;
            return Err(CallError::InputTooLarge { limit, found });
        }
        if found > REUSED_INPUT_BYTES {
            self.begin(sandbox, BASE)?;
            return self.delivery.lowered.bytes(input);
        }
        self.begin(sandbox, BASE.saturating_add(fuel_for(found)))?;
        self.input = Some(input);
        Ok(())
    }

    /// Begins the call with `params` as its arguments.
    pub(crate) fn begin_with<T>(
        &mut self,
        sandbox: &mut Sandbox<T>,
        params: &'a impl Lower,
    ) -> Result<(), CallError> {
        self.begin(sandbox, BASE)?;
        params.lower(&mut self.delivery.lowered)
    }

    /// Runs all stages up to the export's results.
    pub(crate) fn poll_results<T: 'static>(
        &mut self,
        sandbox: &mut Sandbox<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let ran = ready!(self.poll_stages(sandbox, context));
        // Traps in the guest's allocator name it already; all others happened in the export.
        Poll::Ready(ran.map_err(|error| error.in_export(self.name)))
    }

    /// Runs the stages that are left, up to the export's results.
    fn poll_stages<T: 'static>(
        &mut self,
        sandbox: &mut Sandbox<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        if self.stage == Stage::TimeCheck {
            if sandbox.store.data().pace.is_none() {
                meter::check_time(sandbox.store.data())?;
            }
            self.stage = Stage::Command;
        }
        if self.stage == Stage::Command {
            if sandbox.command_pending {
                ready!(sandbox.poll_command(&mut self.run, context, self.name))?;
            }
            self.stage = match self.target.shape {
                Shape::Pointer => Stage::Record,
                _ => Stage::Arguments,
            };
        }
        let Sandbox { store, reused, .. } = sandbox;
        if self.stage == Stage::Record {
            let size = Record::size(&self.target.types);
            let record = ready!(poll_reused(
                &mut self.run,
                store,
                context,
                &mut reused.record,
                size
            ))?;
            if let Some(first) = self.delivery.lowered.values.first_mut() {
                *first = word(record);
            }
            self.stage = Stage::Arguments;
        }
        if self.stage == Stage::Arguments {
            if let Some(input) = self.input {
                let len = u32::try_from(input.len()).unwrap_or(u32::MAX);
                let buffer = &mut reused.input;
                let ptr = ready!(poll_reused(
                    &mut self.run,
                    store,
                    context,
                    buffer,
                    len.max(1)
                ))?;
                write(store, ptr, input)?;
                self.delivery.lowered.push(word(ptr))?;
                self.delivery.lowered.push(word(len))?;
            }
            while let Some(size) = self.delivery.next(store, 0)? {
                let ptr = match self.filling {
                    Some(ptr) => ptr,
                    None => ready!(self.run.poll_allocate(store, context, size))?,
                };
                if ptr != 0 && self.filling.is_none() {
                    // Can't be full: a delivery holds at most `MAX_BYTES` byte strings.
                    let _ = self.borrowed.push((ptr, size));
                }
                self.filling = Some(ptr);
                ready!(self.delivery.poll_got(store, context, ptr))?;
                self.filling = None;
            }
            self.stage = Stage::Export;
        }
        if self.stage == Stage::Export {
            let results = match self.target.shape {
                Shape::Values => self.target.types.len(),
                Shape::Packed => 1,
                Shape::Pointer => 0,
            };
            let ran = if let Some(packed) = self.target.packed {
                self.poll_packed(store, context, packed)
            } else if results <= USUAL_RESULTS {
                self.poll_export::<T, USUAL_RESULTS>(store, context, results)
            } else {
                self.poll_export::<T, MAX_FLAT>(store, context, results)
            };
            ready!(ran)?;
            self.stage = Stage::Return;
        }
        Poll::Ready(Ok(()))
    }

    /// Runs the export, a function over bytes, and replaces its parameters with its results.
    // Not inlined, as below.
    #[inline(never)]
    fn poll_packed<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        packed: PackedFunction,
    ) -> Poll<Result<(), CallError>> {
        let flat = &mut self.delivery.lowered.values;
        let params = match **flat {
            [Val::I32(ptr), Val::I32(len)] => (unsigned(ptr), unsigned(len)),
            // Can't happen: it has these parameters.
            _ => (0, 0),
        };
        let result = ready!(self.run.poll_typed(store, context, packed, params))?;
        let (ptr, len) = unpack(result);
        flat.clear();
        flat.extend([ptr, len].map(word));
        Poll::Ready(Ok(()))
    }

    /// Runs the export, and replaces its parameters with its results, of which there are at most `N`.
    // Not inlined, so that a call with few results does not use the native stack for many.
    #[inline(never)]
    fn poll_export<T: 'static, const N: usize>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        results: usize,
    ) -> Poll<Result<(), CallError>> {
        let mut values = [const { Val::I32(0) }; N];
        let values = values.get_mut(..results).unwrap_or_default();
        let flat = &mut self.delivery.lowered.values;
        ready!(
            self.run
                .poll(store, context, self.target.function, flat, values)
        )?;
        let record = match flat.first() {
            Some(Val::I32(record)) => unsigned(*record),
            _ => 0,
        };
        flat.clear();
        match (self.target.shape, values) {
            (Shape::Pointer, _) => read_record(store, record, &self.target.types, flat)?,
            (Shape::Packed, [Val::I64(packed)]) => {
                let (first, second) = unpack(packed.cast_unsigned());
                flat.extend([first, second].map(word));
            }
            (_, values) => flat.extend(values.iter().cloned()),
        }
        Poll::Ready(Ok(()))
    }

    /// Lifts the results, and charges for it.
    pub(crate) fn lift<T, R>(
        &mut self,
        sandbox: &mut Sandbox<T>,
        lift: impl FnOnce(&mut Lifter<'_>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let store = &mut sandbox.store;
        let fuel = meter::fuel_left(store);
        let spent = Cell::new(0);
        let state = store.data();
        let memory = state.guest.memory.map(|memory| memory.data(&*store));
        let values = self.delivery.values();
        let call = AnsweredCall {
            budget: state.meter.budget(),
            check: &|| meter::check_time(state),
        };
        let mut lifter = Lifter::new(values, memory, Spending::new(fuel, &spent)).answer(call);
        #[cfg(feature = "postcard")]
        {
            let (canceller, platform) = (state.canceller.as_ref(), &*state.shared.platform);
            lifter = lifter.deserializing(state.meter.deserializing(canceller, platform));
        }
        let answer = lift(&mut lifter);
        self.record_received(&lifter.into_received(), sandbox.reused.input);
        meter::charge(&mut sandbox.store, spent.get())?;
        answer
    }

    /// Records the buffers of the results, to return them. A guest may return its result in the
    /// buffer of its input, which must not be freed twice: a buffer that overlaps one of the call's
    /// own is left out.
    fn record_received(&mut self, buffers: &[Buffer], input: Option<Buffer>) {
        // Compared with the arguments' buffers only, not with those that are added here.
        let own = self.borrowed.len();
        for buffer in buffers {
            let borrowed = self.borrowed.iter().take(own);
            if !borrowed
                .chain(&input)
                .any(|own| memory::overlap(*own, *buffer))
            {
                // Can't be full: there is as much room for results as for arguments.
                let _ = self.borrowed.push(*buffer);
            }
        }
    }

    /// Returns the buffers of the call to the guest's allocator.
    pub(crate) fn poll_return<T: 'static>(
        &mut self,
        sandbox: &mut Sandbox<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        while let Some(buffer) = self.borrowed.get(self.returned) {
            let run = &mut self.run;
            ready!(run.poll_deallocate(&mut sandbox.store, context, *buffer))?;
            self.returned = self.returned.saturating_add(1);
        }
        Poll::Ready(Ok(()))
    }
}

/// Returns the pointer of the reused buffer if that has `size` bytes; else frees it and allocates a
/// larger one in its place.
fn poll_reused<T: 'static>(
    run: &mut Run,
    store: &mut Store<StoreData<T>>,
    context: &mut Context<'_>,
    reused: &mut Option<Buffer>,
    size: u32,
) -> Poll<Result<u32, CallError>> {
    if let Some(small) = *reused {
        if small.1 >= size {
            return Poll::Ready(Ok(small.0));
        }
        let freed = ready!(run.poll_deallocate(store, context, small));
        // Forgotten also if `deallocate` failed: it must not be freed again.
        *reused = None;
        freed?;
    }
    match ready!(run.poll_allocate(store, context, size))? {
        0 => Poll::Ready(Err(no_memory(size))),
        ptr => {
            *reused = Some((ptr, size));
            Poll::Ready(Ok(ptr))
        }
    }
}

/// Reads the results from their record at `at` in the guest's memory.
fn read_record<T>(
    store: &Store<StoreData<T>>,
    at: u32,
    types: &[ValType],
    values: &mut FlatValues,
) -> Result<(), CallError> {
    let memory = store.data().guest.memory;
    let memory = memory.ok_or_else(|| CallError::MissingExport { name: "memory" })?;
    let size = Record::size(types);
    let bytes = memory::bytes(memory.data(store), at, size, "plugin's result record")?;
    let mut fields = Record::new();
    for ty in types {
        values.extend([fields.read(bytes, *ty).unwrap_or(ty.zero())]);
    }
    Ok(())
}
