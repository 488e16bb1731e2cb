//! One call of an export: its arguments are brought into the guest, it runs, its answer is read, and
//! the guest gets its buffers back.
//!
//! Guest code runs at each of these, and may have to be left and gone on with. So each function here
//! whose name begins with `poll` can be called again where it was not ready: what is done is not done
//! anew.

use super::sandbox::Sandbox;
use crate::{
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
    marshal::{Lifter, Lower, MAX_BYTES},
    memory,
};
use core::{
    cell::Cell,
    task::{Context, Poll, ready},
};
use heapless::Vec;
use wasmi::{Func, Store, Val};

/// Longest input, in bytes, whose buffer in the guest is kept for the next call.
const REUSED_INPUT_BYTES: usize = 64 << 10;

/// As many results as most exports have. Room for more is taken only where there are.
const USUAL_RESULTS: usize = 2;

/// A buffer of the guest's: a pointer and a size.
pub(crate) type Buffer = (u32, u32);

/// The guest's buffers that are kept from call to call.
#[derive(Default)]
pub(crate) struct ReusedBuffers {
    /// For results in memory.
    pub(crate) record: Option<Buffer>,
    pub(crate) input: Option<Buffer>,
}

/// A call of an export.
pub(crate) struct ExportCall<'a> {
    /// The export's name.
    name: &'a str,
    target: Target,
    /// What goes into the guest's kept buffer for input.
    input: Option<&'a [u8]>,
    /// What else goes in; once the export has run, its results.
    delivery: Delivery<'a>,
    /// The guest's buffers that go back to it in the end.
    borrowed: Vec<Buffer, { 2 * MAX_BYTES }>,
    /// How many of them have.
    returned: usize,
    stage: Stage,
    run: Run,
}

/// An export as it is called.
pub(crate) struct Target {
    pub(crate) function: Func,
    pub(crate) shape: Shape,
    /// The core types of its results, in whatever shape.
    pub(crate) types: FlatTypes,
}

/// What a call comes to next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A look at the time. Where it is run by steps, the first slice has one.
    TimeCheck,
    /// The results' record in the guest's memory.
    Record,
    /// Buffers for the arguments.
    Arguments,
    /// The export itself.
    Export,
    /// The buffers' return.
    Return,
}

impl<'a> ExportCall<'a> {
    /// A call of the export `name`, whose arguments are to be lowered into it. It is large to be
    /// moved.
    #[inline]
    pub(crate) fn new<T>(sandbox: &Sandbox<T>, name: &'a str, target: Target) -> Self {
        let limit = sandbox.store.data().meter.budget().input_bytes;
        Self {
            name,
            target,
            input: None,
            delivery: Delivery::new(Some(limit)),
            borrowed: Vec::new(),
            returned: 0,
            stage: Stage::TimeCheck,
            run: Run::New,
        }
    }

    /// Begins it: charged, and with the results' record, where the shape has one, as the first
    /// value.
    fn begin<T>(&mut self, sandbox: &mut Sandbox<T>, units: u64) -> Result<(), CallError> {
        run::begin(&mut sandbox.store, units)?;
        if self.target.shape == Shape::Pointer {
            self.delivery.lowered.push(Val::I32(0))?;
        }
        Ok(())
    }

    /// Begins it with bytes as its one argument.
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

    /// Begins it with values.
    pub(crate) fn begin_with<T>(
        &mut self,
        sandbox: &mut Sandbox<T>,
        params: &'a impl Lower,
    ) -> Result<(), CallError> {
        self.begin(sandbox, BASE)?;
        params.lower(&mut self.delivery.lowered)
    }

    /// Runs the export, with its arguments brought in.
    pub(crate) fn poll_results<T>(
        &mut self,
        sandbox: &mut Sandbox<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let ran = ready!(self.poll_stages(sandbox, context));
        // What has no place yet did not happen in the guest's allocator.
        Poll::Ready(ran.map_err(|error| error.in_export(self.name)))
    }

    fn poll_stages<T>(
        &mut self,
        sandbox: &mut Sandbox<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let Sandbox { store, reused, .. } = sandbox;
        if self.stage == Stage::TimeCheck {
            if store.data().pace.is_none() {
                meter::check_time(store.data())?;
            }
            self.stage = match self.target.shape {
                Shape::Pointer => Stage::Record,
                _ => Stage::Arguments,
            };
        }
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
            while let Some(size) = self.delivery.next(store)? {
                let ptr = ready!(self.run.poll_allocate(store, context, size))?;
                if ptr != 0 {
                    // There is room: a delivery holds no more byte strings.
                    let _ = self.borrowed.push((ptr, size));
                }
                self.delivery.got(store, ptr)?;
            }
            self.stage = Stage::Export;
        }
        if self.stage == Stage::Export {
            let results = match self.target.shape {
                Shape::Values => self.target.types.len(),
                Shape::Packed => 1,
                Shape::Pointer => 0,
            };
            let ran = if results <= USUAL_RESULTS {
                self.poll_export::<T, USUAL_RESULTS>(store, context, results)
            } else {
                self.poll_export::<T, MAX_FLAT>(store, context, results)
            };
            ready!(ran)?;
            self.stage = Stage::Return;
        }
        Poll::Ready(Ok(()))
    }

    /// Runs the export, and puts its results, of which there are at most `N`, in the place of its
    /// parameters.
    // Apart, so that the room for many is not taken for few.
    #[inline(never)]
    fn poll_export<T, const N: usize>(
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

    /// Lifts what the guest answered, charged.
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
        let mut lifter = Lifter::new(values, memory, Spending::new(fuel, &spent))
            .answer(state.meter.budget().output_bytes);
        let answer = lift(&mut lifter);
        self.record_received(&lifter.into_received(), sandbox.reused.input);
        meter::charge(&mut sandbox.store, spent.get())?;
        answer
    }

    /// Notes the buffers that an answer came in. One that is its input's own is not to go back
    /// twice.
    fn record_received(&mut self, buffers: &[Buffer], input: Option<Buffer>) {
        let own = self.borrowed.len();
        for buffer in buffers {
            let borrowed = self.borrowed.iter().take(own);
            if !borrowed
                .chain(&input)
                .any(|own| memory::overlap(*own, *buffer))
            {
                // There is room: it has as much for these as for the arguments.
                let _ = self.borrowed.push(*buffer);
            }
        }
    }

    /// Gives the guest back the buffers of the call.
    pub(crate) fn poll_return<T>(
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

/// The kept buffer where it is large enough, else a new one in its place.
fn poll_reused<T>(
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
        let given = ready!(run.poll_deallocate(store, context, small));
        *reused = None;
        given?;
    }
    match ready!(run.poll_allocate(store, context, size))? {
        0 => Poll::Ready(Err(no_memory(size))),
        ptr => {
            *reused = Some((ptr, size));
            Poll::Ready(Ok(ptr))
        }
    }
}

/// Reads the results' record.
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
