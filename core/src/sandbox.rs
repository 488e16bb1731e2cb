//! One instance of a module in the interpreter, and the exchange of values with it.

use crate::{
    abi::{
        native::{self, BytesFunction},
        shape::{FlatTypes, FlatValues, Record, Shape, unpack, unsigned},
    },
    bounds::Bounds,
    buffers::{Delivery, write},
    call::{self, BASE, Deallocate, Guest, Meter, State, fuel_for},
    error::CallError,
    image::{Changing, Image},
    limits::Budget,
    marshal::{Buffers, Lift, Lifter, Lower, MAX_BYTES, Types},
    memory,
    module::{ModuleInfo, START},
    plugin::{Code, Plugin},
    run::{Pace, allocate, ask, run, stopped, word},
};
use alloc::sync::Arc;
use core::{cell::Cell, time::Duration};
use spin::Mutex;
use wasmi::{Func, Ref, Store, Val, ValType};

/// Longest input, in bytes, whose buffer in the guest is kept for the next call.
const KEPT_INPUT: usize = 64 << 10;

/// A guest in its store.
pub(crate) struct Sandbox<T: 'static> {
    pub(crate) store: Store<State<T>>,
    instance: wasmi::Instance,
    /// The function that most calls are for.
    process: Option<BytesFunction>,
    /// Buffers of the guest's that are kept from call to call, each a pointer and a size: for
    /// results in memory, and for input.
    record: Option<(u32, u32)>,
    input: Option<(u32, u32)>,
    /// What the guest can change, once that was asked for.
    changing: Option<Changing>,
}

/// A store without a guest, whose first call has begun.
pub(crate) fn open<T: 'static>(
    plugin: &Plugin<T>,
    code: &Code<T>,
    budget: &Budget,
    until: Option<Duration>,
    pace: Option<Arc<Pace>>,
    data: T,
) -> Store<State<T>> {
    let state = State {
        data,
        shared: plugin.shared().clone(),
        guest: Guest::default(),
        meter: Meter::new(),
        bounds: Bounds::new(plugin.limits()),
        canceller: None,
        pace,
        suspended: Mutex::new(None),
        wasi: None,
    };
    let mut store = Store::new(code.module.engine(), state);
    store.limiter(|state| &mut state.bounds);
    call::begin(&mut store, budget, until);
    store
}

/// Makes an instance in `store`: segments, start function, `_initialize`.
pub(crate) async fn instantiate<T>(
    store: &mut Store<State<T>>,
    info: &ModuleInfo,
    code: &Code<T>,
) -> Result<wasmi::Instance, CallError> {
    call::charge(store, info.making())?;
    let linker = &code.linker;
    #[cfg(feature = "slots")]
    let with_memory = code.with_memory(store, info)?;
    #[cfg(feature = "slots")]
    let linker = with_memory.as_ref().unwrap_or(linker);
    let instance = linker
        .instantiate_and_start(&mut *store, &code.module)
        .map_err(|error| stopped(store, &error))?;
    // The segments were copied in one go.
    call::check_time(store.data())?;
    store.data_mut().guest = native::guest(store, instance);
    for (export, name) in [(START, "start function"), ("_initialize", "_initialize")] {
        if let Some(function) = instance.get_func(&*store, export) {
            let ran = run(store, function, &[], &mut []).await;
            ran.map_err(|error| error.in_export(name))?;
        }
    }
    Ok(instance)
}

impl<T: 'static> Sandbox<T> {
    pub(crate) fn new(store: Store<State<T>>, instance: wasmi::Instance) -> Self {
        Self {
            process: BytesFunction::find(&store, instance, "process"),
            store,
            instance,
            record: None,
            input: None,
            changing: None,
        }
    }

    /// What the guest can change, in its store.
    pub(crate) fn changing(&mut self) -> (&mut Store<State<T>>, &Changing) {
        let (store, instance) = (&mut self.store, self.instance);
        let changing = self
            .changing
            .get_or_insert_with(|| Changing::find(store, instance));
        (store, changing)
    }

    /// Makes the instance as new, with `data`; whether that went well. One that was stopped must
    /// not be.
    pub(crate) fn reset(&mut self, image: &Image, data: T) -> bool {
        self.record = None;
        self.input = None;
        let state = self.store.data_mut();
        state.data = data;
        state.canceller = None;
        state.wasi = None;
        let (store, changing) = self.changing();
        image.restore(store, changing)
    }

    /// Gives the guest back the buffers that are kept from call to call.
    pub(crate) async fn release(&mut self) -> Result<(), CallError> {
        for kept in [self.record.take(), self.input.take()]
            .into_iter()
            .flatten()
        {
            self.deallocate(kept).await?;
        }
        Ok(())
    }

    pub(crate) fn function(&self, name: &str) -> Option<Func> {
        self.instance.get_func(&self.store, name)
    }

    /// What the exported table `name` holds.
    pub(crate) fn references(&self, name: &str) -> impl Iterator<Item = Ref> {
        let table = self.instance.get_table(&self.store, name);
        let size = table.map_or(0, |table| table.size(&self.store));
        (0..size).map_while(move |at| table?.get(&self.store, at))
    }

    /// The export `name`, if it is a function from bytes to bytes.
    pub(crate) fn bytes_function(&self, name: &str) -> Option<BytesFunction> {
        match self.process {
            Some(process) if name == "process" => Some(process),
            _ => BytesFunction::find(&self.store, self.instance, name),
        }
    }

    /// Bytes in, bytes out.
    pub(crate) async fn exchange<R>(
        &mut self,
        name: &str,
        function: BytesFunction,
        input: &[u8],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        let (mut given, mut results) = (Buffers::new(), FlatValues::new());
        let ran = self
            .exchange_flat(name, function, input, &mut given, &mut results)
            .await;
        let (answer, received) = self.lift(ran, &results, |from| Ok(take(from.bytes()?)));
        self.end(answer, &given, &received).await
    }

    /// Bytes in, and where the answer lies.
    async fn exchange_flat(
        &mut self,
        name: &str,
        function: BytesFunction,
        input: &[u8],
        given: &mut Buffers,
        results: &mut FlatValues,
    ) -> Result<(), CallError> {
        call::charge(&mut self.store, BASE)?;
        let limit = self.store.data().meter.budget().input_bytes;
        if input.len() > limit {
            return Err(CallError::InputTooLarge {
                limit,
                found: input.len(),
            });
        }
        let BytesFunction { function, shape } = function;
        // What has no place yet did not happen in the guest's allocator.
        let located = |error: CallError| error.in_export(name);
        let (ptr, len) = self.give_input(input, given).await.map_err(located)?;
        let types = [ValType::I32, ValType::I32];
        let (record, values) = match shape {
            Shape::Pointer => {
                let record = self.record(8).await.map_err(located)?;
                (record, &[word(record), word(ptr), word(len)][..])
            }
            _ => (0, &[word(ptr), word(len)][..]),
        };
        self.run_shaped(name, function, shape, record, values, &types, results)
            .await
    }

    /// Values in, a value out. `shape` is that of the export `name`.
    pub(crate) async fn call<P, R>(
        &mut self,
        name: &str,
        params: &P,
        shape: Shape,
    ) -> Result<R, CallError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        let types = Types::collect(R::types).flat;
        let (mut given, mut results) = (Buffers::new(), FlatValues::new());
        let mut delivery = self.arguments();
        let ran = match self.begin(shape, &types, &mut delivery).await {
            Ok(record) => match params.lower(&mut delivery.lowered) {
                Ok(()) => {
                    let place = (shape, record);
                    self.call_flat(name, &mut delivery, &mut given, place, &types, &mut results)
                        .await
                }
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let (answer, received) = self.lift(ran, &results, |from| R::lift(from));
        self.end(answer, &given, &received).await
    }

    /// Begins a call: charged, and with the results' record, where the shape has one, as the first
    /// value.
    async fn begin(
        &mut self,
        shape: Shape,
        types: &FlatTypes,
        delivery: &mut Delivery<'_>,
    ) -> Result<u32, CallError> {
        call::charge(&mut self.store, BASE)?;
        if shape != Shape::Pointer {
            return Ok(0);
        }
        let record = self.record(Record::size(types)).await?;
        delivery.lowered.push(word(record))?;
        Ok(record)
    }

    /// Runs the export with lowered parameters, and gives its results in order, whatever the
    /// shape. Buffers for the parameters are noted in `given`, also where this fails.
    async fn call_flat(
        &mut self,
        name: &str,
        delivery: &mut Delivery<'_>,
        given: &mut Buffers,
        (shape, record): (Shape, u32),
        types: &FlatTypes,
        results: &mut FlatValues,
    ) -> Result<(), CallError> {
        self.give(delivery, given).await?;
        let Some(function) = self.instance.get_func(&self.store, name) else {
            return Ok(());
        };
        let values = delivery.values();
        self.run_shaped(name, function, shape, record, values, types, results)
            .await
    }

    /// Runs the export `name`, which is `function`, and gives its results in order, whatever the
    /// shape.
    #[allow(clippy::too_many_arguments)] // all that a call is
    async fn run_shaped(
        &mut self,
        name: &str,
        function: Func,
        shape: Shape,
        record: u32,
        values: &[Val],
        types: &[ValType],
        results: &mut FlatValues,
    ) -> Result<(), CallError> {
        match shape {
            Shape::Values => results.extend(types.iter().map(|ty| Val::default_for_ty(*ty))),
            Shape::Packed => results.extend([Val::I64(0)]),
            Shape::Pointer => {}
        }
        let ran = run(&mut self.store, function, values, results).await;
        ran.map_err(|error| error.in_export(name))?;
        match shape {
            Shape::Values => Ok(()),
            Shape::Packed => {
                if let [Val::I64(packed)] = **results {
                    let (first, second) = unpack(packed.cast_unsigned());
                    results.clear();
                    results.extend([first, second].map(word));
                }
                Ok(())
            }
            Shape::Pointer => self.read_record(record, types, results),
        }
    }

    /// Runs the export `name`, which there is. `results` must have its results' number and types.
    pub(crate) async fn run_export(
        &mut self,
        name: &str,
        params: &FlatValues,
        results: &mut FlatValues,
    ) -> Result<(), CallError> {
        let Some(function) = self.function(name) else {
            return Ok(());
        };
        let ran = run(&mut self.store, function, params, results).await;
        ran.map_err(|error| error.in_export(name))
    }

    /// Gives the guest back the buffers of a call. Where the guest was stopped, its buffers go with
    /// it.
    async fn end<R>(
        &mut self,
        answer: Result<R, CallError>,
        given: &Buffers,
        received: &Buffers,
    ) -> Result<R, CallError> {
        if !answer.as_ref().is_err_and(CallError::stops) {
            self.give_back(given, received).await?;
        }
        answer
    }

    async fn give_back(&mut self, given: &Buffers, received: &Buffers) -> Result<(), CallError> {
        let own = given.iter().chain(&self.input).copied();
        // A guest may answer with its input's own bytes: that buffer is not its answer's.
        let theirs = |buffer: &&(u32, u32)| !own.clone().any(|own| memory::overlap(own, **buffer));
        let all = given.iter().chain(received.iter().filter(theirs));
        let all: heapless::Vec<_, { 2 * MAX_BYTES }> = all.copied().collect();
        for buffer in all {
            self.deallocate(buffer).await?;
        }
        Ok(())
    }

    /// Lifts what the guest answered, charged, and tells the buffers that it came in.
    fn lift<R>(
        &mut self,
        ran: Result<(), CallError>,
        values: &[Val],
        lift: impl FnOnce(&mut Lifter<'_>) -> Result<R, CallError>,
    ) -> (Result<R, CallError>, Buffers) {
        if let Err(error) = ran {
            return (Err(error), Buffers::new());
        }
        let fuel = call::fuel_left(&mut self.store);
        let spent = Cell::new(0);
        let state = self.store.data();
        let memory = state.guest.memory.map(|memory| memory.data(&self.store));
        let mut lifter =
            Lifter::new(values, memory, fuel, &spent).answer(state.meter.budget().output_bytes);
        let answer = lift(&mut lifter);
        let received = lifter.into_received();
        let charged = call::charge(&mut self.store, spent.get());
        (charged.and(answer), received)
    }

    async fn deallocate(&mut self, (ptr, size): (u32, u32)) -> Result<(), CallError> {
        let Some(Deallocate { function, params }) = self.store.data().guest.deallocate else {
            return Ok(());
        };
        let values = [word(ptr), word(size)];
        let values = values.get(..params).unwrap_or_default();
        let ran = run(&mut self.store, function, values, &mut []).await;
        ran.map_err(|error| error.in_export("deallocate"))
    }

    /// The guest's buffer for results in memory.
    async fn record(&mut self, size: u32) -> Result<u32, CallError> {
        let kept = self.record.take();
        let kept = self.at_least(kept, size).await?;
        self.record = Some(kept);
        Ok(kept.0)
    }

    /// The kept buffer where it is large enough, else a new one in its place.
    async fn at_least(
        &mut self,
        kept: Option<(u32, u32)>,
        size: u32,
    ) -> Result<(u32, u32), CallError> {
        if let Some(kept) = kept {
            if kept.1 >= size {
                return Ok(kept);
            }
            self.deallocate(kept).await?;
        }
        let ptr = allocate(&mut self.store, size).await?;
        Ok((ptr, size))
    }

    /// Writes `input` into the guest: into the kept buffer, or, where it is too long to be kept,
    /// into one that is noted in `given`.
    async fn give_input(
        &mut self,
        input: &[u8],
        given: &mut Buffers,
    ) -> Result<(u32, u32), CallError> {
        if input.len() > KEPT_INPUT {
            let mut delivery = self.arguments();
            delivery.lowered.bytes(input)?;
            self.give(&mut delivery, given).await?;
            return match **delivery.values() {
                [Val::I32(ptr), Val::I32(len)] => Ok((unsigned(ptr), unsigned(len))),
                _ => Ok((0, 0)),
            };
        }
        call::charge(&mut self.store, fuel_for(input.len()))?;
        let len = u32::try_from(input.len()).unwrap_or(u32::MAX);
        let kept = self.input.take();
        let kept = self.at_least(kept, len.max(1)).await?;
        self.input = Some(kept);
        write(&mut self.store, kept.0, input)?;
        Ok((kept.0, len))
    }

    fn arguments<'v>(&self) -> Delivery<'v> {
        Delivery::new(Some(self.store.data().meter.budget().input_bytes))
    }

    /// Brings an export's arguments into the guest. Their buffers are noted in `given`.
    async fn give(
        &mut self,
        delivery: &mut Delivery<'_>,
        given: &mut Buffers,
    ) -> Result<(), CallError> {
        while let Some(size) = delivery.next(&mut self.store)? {
            let ptr = ask(&mut self.store, size).await?;
            if ptr != 0 {
                // There is room: a delivery holds no more byte strings.
                let _ = given.push((ptr, size));
            }
            delivery.got(&mut self.store, ptr)?;
        }
        Ok(())
    }

    fn read_record(
        &mut self,
        at: u32,
        types: &[ValType],
        values: &mut FlatValues,
    ) -> Result<(), CallError> {
        let memory = self.store.data().guest.memory;
        let memory = memory.ok_or_else(|| CallError::MissingExport { name: "memory" })?;
        let size = Record::size(types);
        let bytes = memory::bytes(memory.data(&self.store), at, size, "plugin's result record")?;
        let mut fields = Record::new();
        for ty in types {
            values.extend([fields.read(bytes, *ty).unwrap_or(Val::default_for_ty(*ty))]);
        }
        Ok(())
    }
}
