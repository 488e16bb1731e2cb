//! What is called.

use super::super::{arguments::Bench, failure::Failure, input::Input, run};
use hostel::{CallError, Engine, Instance, LogRecord, PendingCall, Plugin, Std, WasiOutput};
use std::{num::NonZero, thread};

/// A plugin's function with its input, or a WASI command.
pub(super) struct Target {
    plugin: Plugin,
    pub(super) function: String,
    /// `None` for a command.
    input: Option<Input>,
}

impl Target {
    pub(super) fn load(arguments: &Bench) -> Result<Self, Failure> {
        let run = &arguments.run;
        let mut limits = run::limits(run);
        let at_once = arguments.concurrency as usize;
        // As who wants so many at once would set them.
        limits.instances = at_once;
        limits.idle = at_once;
        if arguments.sliced.is_none() {
            let processors = thread::available_parallelism().map_or(1, NonZero::get);
            limits.copies = at_once.min(processors);
        }
        let wasm = hostel::read_module(&run.plugin, limits.module_bytes)?;
        let command = run::runs_command(run, &wasm)?;
        let mut wasi = run::wasi(run)?;
        if command {
            wasi = wasi
                .stdout(WasiOutput::discard())
                .stderr(WasiOutput::discard());
        }
        let mut budget = run::budget(run);
        budget.deadline = run.timeout.map(Into::into);
        let engine = Engine::new(limits)
            .with_budget(budget)
            .with_platform(Std::new());
        let grants = run::grants(run, |_: &LogRecord<'_>| {})?.wasi(wasi);
        let plugin = run::load(&run.plugin, &engine, &wasm, &grants)?;
        let usual = if command { run::COMMAND } else { run::FUNCTION };
        let function = run.call.as_deref().unwrap_or(usual);
        let input = match command {
            true => None,
            false => Some(Input::new(
                &plugin,
                function,
                &run.input,
                budget.input_bytes,
            )?),
        };
        let by_steps = function == run::FUNCTION && matches!(input, Some(Input::Bytes(_)));
        if arguments.sliced.is_some() && !by_steps {
            let why =
                format!("--sliced is for `process` from bytes to bytes, not for `{function}`");
            return Err(Failure::usage(why, None));
        }
        Ok(Self {
            function: function.to_owned(),
            plugin,
            input,
        })
    }

    /// One call: an exit code, 0 where it was no command's, and the fuel that it used.
    pub(super) fn call(&self) -> (Result<u32, CallError>, u64) {
        let (result, usage) = self
            .plugin
            .with_instance_metered(|instance| self.call_in(instance));
        (result, usage.fuel)
    }

    /// The same, and the bytes of linear memory that the instance then had.
    pub(super) fn call_and_weigh(&self) -> (Result<u32, CallError>, usize) {
        let mut memory = 0;
        let result = self.plugin.with_instance(|instance| {
            let result = self.call_in(instance);
            memory = instance.memory_bytes();
            result
        });
        (result, memory)
    }

    fn call_in(&self, instance: &mut Instance) -> Result<u32, CallError> {
        let name = &self.function;
        match &self.input {
            Some(Input::Bytes(bytes)) => {
                instance.call_bytes(name, bytes, <[u8]>::to_vec).map(|_| 0)
            }
            Some(Input::Numbers(numbers)) => instance.call_values(name, numbers).map(|_| 0),
            None => instance.run_command(),
        }
    }

    /// One call by steps.
    pub(super) fn start(
        &self,
    ) -> PendingCall<impl Future<Output = Result<Vec<u8>, CallError>> + use<'_>> {
        let input = match &self.input {
            Some(Input::Bytes(bytes)) => &**bytes,
            // Was refused.
            _ => &[],
        };
        self.plugin.process_async(input)
    }

    /// Bytes that an instance which waits takes besides its linear memory, estimated from above.
    pub(super) fn bytes_besides(&self) -> u64 {
        let footprint = self.plugin.info().footprint(self.plugin.limits());
        footprint.instance_at_start() - footprint.memory_at_start
    }
}
