//! One running sandbox of a plugin, and the calls made to it.

use crate::{
    abi::{
        native::{self, BytesFunction},
        shape::{FlatTypes, FlatValues, Record, Shape, unpack, unsigned},
    },
    bounds::Bounds,
    buffers::{GuestBuffers, allocate, write},
    call::{self, BASE, Canceller, Deallocate, Guest, Meter, State, fuel_for},
    error::CallError,
    limits::{Budget, Usage},
    marshal::{Buffers, GiveBytes, Lift, Lifter, Lower, Lowerer, Types},
    memory,
    module::START,
    plugin::Plugin,
    value::Value,
};
use alloc::vec::Vec;
use core::cell::Cell;
use wasmi::{Store, Val, ValType};

/// Longest input, in bytes, whose buffer in the guest is kept for the next call.
const KEPT_INPUT: usize = 64 << 10;

/// The export of a WASI command.
const COMMAND: &str = "_start";

/// One running sandbox of a plugin, isolated from all others.
///
/// After a call that [stopped](CallError::stops) the guest, it refuses further calls.
///
/// The guest's buffer for input is kept from call to call, up to 64 KiB, and so is one for results
/// by pointer: a call with a longer input than any before also pays for its buffer.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
/// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
/// use hostel_core::{Engine, Grants};
/// let plugin = Engine::default().load("echo", &wasm, &Grants::<()>::new())?;
/// let mut instance = plugin.instantiate(())?;
/// assert_eq!(instance.process(b"hello")?, b"hello");
/// assert!(instance.usage().fuel > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Instance<T: 'static = ()> {
    store: Store<State<T>>,
    instance: wasmi::Instance,
    plugin: Plugin<T>,
    budget: Budget,
    /// The function that most calls are for.
    process: Option<BytesFunction>,
    /// Buffers of the guest's that are kept from call to call, each a pointer and a size: for
    /// results in memory, and for input.
    record: Option<(u32, u32)>,
    input: Option<(u32, u32)>,
    start_usage: Usage,
    stopped: bool,
}

impl<T: 'static> Instance<T> {
    /// Makes an instance: segments, start function, `_initialize`.
    pub(crate) fn new(plugin: &Plugin<T>, budget: &Budget, data: T) -> Result<Self, CallError> {
        let mut store = Store::new(
            plugin.code().0.engine(),
            State {
                data,
                shared: plugin.shared().clone(),
                guest: Guest::default(),
                meter: Meter::new(),
                bounds: Bounds::new(plugin.limits()),
                canceller: None,
                wasi: None,
            },
        );
        store.limiter(|state| &mut state.bounds);
        call::begin(&mut store, budget);
        let started = Self::start(&mut store, plugin);
        call::end(&mut store);
        let instance = started?;
        Ok(Self {
            process: BytesFunction::find(&store, instance, "process"),
            start_usage: store.data().meter.usage,
            store,
            instance,
            plugin: plugin.clone(),
            budget: *budget,
            record: None,
            input: None,
            stopped: false,
        })
    }

    fn start(
        store: &mut Store<State<T>>,
        plugin: &Plugin<T>,
    ) -> Result<wasmi::Instance, CallError> {
        let (module, linker) = plugin.code();
        call::charge(store, BASE.saturating_add(fuel_for(plugin.info().size)))?;
        let instance = linker
            .instantiate_and_start(&mut *store, module)
            .map_err(|error| call::stopped(store, &error))?;
        store.data_mut().guest = native::guest(store, instance);
        for name in [START, "_initialize"] {
            if let Ok(function) = instance.get_typed_func::<(), ()>(&*store, name) {
                call::run(store, function, ())?;
            }
        }
        Ok(instance)
    }

    /// Calls `process` with `input` and gives a copy of its answer.
    ///
    /// # Errors
    ///
    /// [`CallError::Guest`] is the guest's own answer; for the others see there.
    pub fn process(&mut self, input: &[u8]) -> Result<Vec<u8>, CallError> {
        self.process_with(input, <[u8]>::to_vec)
    }

    /// Calls `process` with `input`, copies its answer to the start of `output` and gives the
    /// answer's length.
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process), and [`CallError::BufferTooSmall`] with the length that
    /// is needed; then nothing was copied.
    pub fn process_into(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize, CallError> {
        let found = output.len();
        self.process_with(input, |answer| {
            let needed = answer.len();
            let place = output
                .get_mut(..needed)
                .ok_or_else(|| CallError::BufferTooSmall { needed, found })?;
            place.copy_from_slice(answer);
            Ok(needed)
        })?
    }

    /// Calls `process` with `input` and hands its answer to `take` where it lies, in the guest's
    /// memory, without a copy. The guest gets the buffer back when `take` is done.
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process).
    pub fn process_with<R>(
        &mut self,
        input: &[u8],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        match self.process {
            Some(function) => self.request(|instance| instance.exchange(function, input, take)),
            None => self.call_bytes("process", input, take),
        }
    }

    /// Calls the export `name`, from bytes to bytes, as [`process_with`](Self::process_with).
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process); [`CallError::UnknownExport`] or
    /// [`CallError::ExportType`] where there is no such function.
    pub fn call_bytes<R>(
        &mut self,
        name: &str,
        input: &[u8],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        self.request(|instance| {
            let ty = instance.plugin.signature(name)?;
            let function = BytesFunction::find(&instance.store, instance.instance, name);
            let function = function.ok_or_else(|| CallError::ExportType {
                name: name.into(),
                expected: BytesFunction::expected().into(),
                found: alloc::format!("{ty}").into(),
            })?;
            instance.exchange(function, input, take)
        })
    }

    /// Calls the export `name` with `params` lowered and its result lifted.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module
    /// #   (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#)?;
    /// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::<()>::new())?;
    /// let mut instance = plugin.instantiate(())?;
    /// assert_eq!(instance.call::<(u32, u32), u32>("add", (10, 20))?, 30);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallError::ExportType`] tells which signatures the asked types could have.
    pub fn call<P, R>(&mut self, name: &str, params: P) -> Result<R, CallError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        self.request(|instance| {
            let shape = instance.plugin.shape_of::<P, R>(name)?;
            let types = Types::collect(R::types).flat;
            let (mut given, mut results) = (Buffers::new(), FlatValues::new());
            let ran = instance.call_flat(name, &params, &mut given, shape, &types, &mut results);
            instance.answer(ran.map(|()| &*results), &given, |from| R::lift(from))
        })
    }

    /// Calls the export `name` with plain core values, whatever its type.
    ///
    /// # Errors
    ///
    /// [`CallError::ExportType`] where `params` are not what it takes.
    pub fn call_values(&mut self, name: &str, params: &[Value]) -> Result<Vec<Value>, CallError> {
        self.request(|instance| {
            let ty = instance.plugin.signature(name)?;
            let mistyped = |expected: &str| CallError::ExportType {
                name: name.into(),
                expected: expected.into(),
                found: alloc::format!("{ty}").into(),
            };
            if !params.iter().map(Value::ty).eq(ty.params.iter().copied()) {
                let given: Vec<_> = params.iter().map(Value::ty).collect();
                return Err(mistyped(&alloc::format!(
                    "{}",
                    crate::Signature::new(&given, &ty.results)
                )));
            }
            let mut values = FlatValues::new();
            for param in params {
                values
                    .push((*param).into())
                    .map_err(|_| mistyped("at most 16 parameters"))?;
            }
            let mut results = FlatValues::new();
            for result in &ty.results {
                results
                    .push(Val::default_for_ty(*result))
                    .map_err(|_| mistyped("at most 16 results"))?;
            }
            call::charge(&mut instance.store, BASE)?;
            instance.run_export(name, &values, &mut results)?;
            results
                .iter()
                .map(|value| Value::new(value).ok_or_else(|| mistyped("numbers as results")))
                .collect()
        })
    }

    /// Runs a WASI command: calls its `_start`, once, and gives its exit code, 0 where it just
    /// returned. The instance can't be used again.
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`] or [`CallError::ExportType`] where the plugin is no command;
    /// for the others see there.
    pub fn run_command(&mut self) -> Result<u32, CallError> {
        let ended = self.request(|instance| {
            instance.plugin.shape_of::<(), ()>(COMMAND)?;
            call::charge(&mut instance.store, BASE)?;
            let (params, mut results) = (FlatValues::new(), FlatValues::new());
            instance.run_export(COMMAND, &params, &mut results)
        });
        // What a command leaves behind is not made to be started twice.
        self.stopped |= ended.is_ok();
        match ended {
            Ok(()) => Ok(0),
            Err(CallError::Exited { code }) => Ok(code),
            Err(error) => Err(error),
        }
    }

    /// What the guest has written to stdout since the last time, where that goes to a
    /// [buffer](crate::WasiOutput::buffer).
    pub fn take_stdout(&mut self) -> Vec<u8> {
        let wasi = self.store.data_mut().wasi.as_mut();
        wasi.map(|wasi| wasi.take_stdout()).unwrap_or_default()
    }

    /// What the guest has written to stderr since the last time, as for
    /// [`take_stdout`](Self::take_stdout).
    pub fn take_stderr(&mut self) -> Vec<u8> {
        let wasi = self.store.data_mut().wasi.as_mut();
        wasi.map(|wasi| wasi.take_stderr()).unwrap_or_default()
    }

    /// A handle by which another thread, or an interrupt, can stop what this instance runs.
    pub fn canceller(&mut self) -> Canceller {
        let canceller = &mut self.store.data_mut().canceller;
        canceller.get_or_insert_default().clone()
    }

    /// Sets the budget of each further call.
    pub fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// What the last call used; before the first, what instantiating did.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.store.data().meter.usage
    }

    /// What instantiating used: start function and `_initialize`.
    #[must_use]
    pub const fn start_usage(&self) -> Usage {
        self.start_usage
    }

    /// The instance's data.
    #[must_use]
    pub fn data(&self) -> &T {
        &self.store.data().data
    }

    /// The instance's data, to be changed.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.store.data_mut().data
    }

    /// Bytes of linear memory that the instance holds.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.store
            .data()
            .guest
            .memory
            .map_or(0, |memory| memory.data_size(&self.store))
    }

    /// Whether an earlier call stopped it, so that it refuses further ones.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// One call: a budget before, and after it whatever the result means for the instance.
    fn request<R>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        if self.stopped {
            return Err(CallError::Stopped);
        }
        // Also where `work` unwinds, out of the caller's code.
        self.stopped = true;
        call::begin(&mut self.store, &self.budget);
        let result = work(self);
        call::end(&mut self.store);
        self.stopped = result.as_ref().is_err_and(CallError::stops);
        result
    }

    /// Bytes in, bytes out.
    fn exchange<R>(
        &mut self,
        function: BytesFunction,
        input: &[u8],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        call::charge(&mut self.store, BASE)?;
        let mut given = Buffers::new();
        let pair = self.exchange_pair(function, input, &mut given);
        let values = pair.map(|(ptr, len)| [ptr, len].map(|value| Val::I32(value.cast_signed())));
        let values = values
            .as_ref()
            .map(|values| &values[..])
            .map_err(Clone::clone);
        self.answer(values, &given, |from| Ok(take(from.bytes()?)))
    }

    /// Bytes in, and where the answer lies.
    fn exchange_pair(
        &mut self,
        function: BytesFunction,
        input: &[u8],
        given: &mut Buffers,
    ) -> Result<(u32, u32), CallError> {
        let limit = self.budget.input_bytes;
        if input.len() > limit {
            return Err(CallError::InputTooLarge {
                limit,
                found: input.len(),
            });
        }
        let (ptr, len) = self.give_input(input, given)?;
        match function {
            BytesFunction::Packed(function) => {
                call::run(&mut self.store, function, (ptr, len)).map(unpack)
            }
            BytesFunction::Values(function) => call::run(&mut self.store, function, (ptr, len)),
            BytesFunction::Pointer(function) => {
                let record = self.record(8)?;
                call::run(&mut self.store, function, (record, ptr, len))?;
                let mut pair = FlatValues::new();
                self.read_record(record, &[ValType::I32, ValType::I32], &mut pair)?;
                match *pair {
                    [Val::I32(ptr), Val::I32(len)] => Ok((unsigned(ptr), unsigned(len))),
                    _ => Ok((0, 0)),
                }
            }
        }
    }

    /// Runs the export with lowered parameters, and gives its results in order, whatever the
    /// shape. Buffers for the parameters are noted in `given`, also where this fails.
    fn call_flat<P: Lower>(
        &mut self,
        name: &str,
        params: &P,
        given: &mut Buffers,
        shape: Shape,
        types: &FlatTypes,
        results: &mut FlatValues,
    ) -> Result<(), CallError> {
        call::charge(&mut self.store, BASE)?;
        let mut values = FlatValues::new();
        let record = match shape {
            Shape::Pointer => Some(self.record(Record::size(types))?),
            Shape::Values | Shape::Packed => None,
        };
        let mut guest = GuestBuffers::for_arguments(&mut self.store, &self.budget, given);
        let mut lowerer = Lowerer {
            guest: &mut guest,
            values: &mut values,
        };
        if let Some(record) = record {
            lowerer.push(Val::I32(record.cast_signed()))?;
        }
        params.lower(&mut lowerer)?;
        match shape {
            Shape::Values => {
                results.extend(types.iter().map(|ty| Val::default_for_ty(*ty)));
                self.run_export(name, &values, results)
            }
            Shape::Packed => {
                results.extend([Val::I64(0)]);
                self.run_export(name, &values, results)?;
                if let [Val::I64(packed)] = **results {
                    let (first, second) = unpack(packed.cast_unsigned());
                    results.clear();
                    results.extend([first, second].map(|value| Val::I32(value.cast_signed())));
                }
                Ok(())
            }
            Shape::Pointer => {
                self.run_export(name, &values, results)?;
                self.read_record(record.unwrap_or(0), types, results)
            }
        }
    }

    fn run_export(
        &mut self,
        name: &str,
        params: &FlatValues,
        results: &mut FlatValues,
    ) -> Result<(), CallError> {
        let function = self.instance.get_func(&self.store, name);
        let function = function.ok_or_else(|| self.plugin.unknown_export(name))?;
        call::run_untyped(&mut self.store, function, params, results)
    }

    /// Lifts what the guest answered, and gives it back the buffers of the call. Where the guest
    /// was stopped, its buffers go with it.
    fn answer<R>(
        &mut self,
        values: Result<&[Val], CallError>,
        given: &Buffers,
        lift: impl FnOnce(&mut Lifter<'_>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let mut received = Buffers::new();
        let answer = values.and_then(|values| {
            let fuel = call::fuel_left(&mut self.store);
            let spent = Cell::new(0);
            let memory = self
                .store
                .data()
                .guest
                .memory
                .map(|memory| memory.data(&self.store));
            let mut lifter = Lifter::new(values, memory, fuel, &spent, "plugin's result")
                .answer(self.budget.output_bytes);
            let answer = lift(&mut lifter);
            received = lifter.into_received();
            call::charge(&mut self.store, spent.get())?;
            answer
        });
        if !answer.as_ref().is_err_and(CallError::stops) {
            for buffer in given {
                self.deallocate(*buffer)?;
            }
            for buffer in &received {
                // A guest may answer with its input's own bytes: that buffer is not its answer's.
                if !given
                    .iter()
                    .chain(&self.input)
                    .any(|own| memory::overlap(*own, *buffer))
                {
                    self.deallocate(*buffer)?;
                }
            }
        }
        answer
    }

    fn deallocate(&mut self, (ptr, size): (u32, u32)) -> Result<(), CallError> {
        match self.store.data().guest.deallocate {
            Some(Deallocate::Sized(function)) => call::run(&mut self.store, function, (ptr, size)),
            Some(Deallocate::Plain(function)) => call::run(&mut self.store, function, ptr),
            None => Ok(()),
        }
    }

    /// The guest's buffer for results in memory.
    fn record(&mut self, size: u32) -> Result<u32, CallError> {
        let kept = self.record.take();
        let kept = self.at_least(kept, size)?;
        self.record = Some(kept);
        Ok(kept.0)
    }

    /// The kept buffer where it is large enough, else a new one in its place.
    fn at_least(&mut self, kept: Option<(u32, u32)>, size: u32) -> Result<(u32, u32), CallError> {
        if let Some(kept) = kept {
            if kept.1 >= size {
                return Ok(kept);
            }
            self.deallocate(kept)?;
        }
        allocate(&mut self.store, size).map(|ptr| (ptr, size))
    }

    /// Writes `input` into the guest: into the kept buffer, or, where it is too long to be kept,
    /// into one that is noted in `given`.
    fn give_input(&mut self, input: &[u8], given: &mut Buffers) -> Result<(u32, u32), CallError> {
        if input.len() > KEPT_INPUT {
            return GuestBuffers::for_arguments(&mut self.store, &self.budget, given).give(input);
        }
        call::charge(&mut self.store, fuel_for(input.len()))?;
        let len = u32::try_from(input.len()).unwrap_or(u32::MAX);
        let kept = self.input.take();
        let kept = self.at_least(kept, len.max(1))?;
        self.input = Some(kept);
        write(&mut self.store, kept.0, input)?;
        Ok((kept.0, len))
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

impl<T: 'static> core::fmt::Debug for Instance<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Instance")
            .field("plugin", &self.plugin.name())
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}
