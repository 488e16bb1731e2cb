//! The function or command that is measured.

use super::super::{
    arguments::Bench,
    failure::Failure,
    input::{self, Input},
    plugin::{self, Contents, Module},
};
use hostel::{
    CallError, Instance, LogRecord, Machine, PendingCall, Plugin, Std, Usage, WasiOutput,
};

/// A plugin's function with its input, or a WASI command.
pub(super) struct Target {
    plugin: Plugin,
    pub(super) function: String,
    /// `None` for a command.
    input: Option<Input>,
    /// Linear memory of an instance at its start, in bytes, of a component: an instance does not tell the sum of its
    /// modules' memories.
    memory_at_start: Option<usize>,
    /// What [`bytes_besides`](Self::bytes_besides) returns.
    bytes_besides: u64,
}

impl Target {
    pub(super) fn load(arguments: &Bench) -> Result<Self, Failure> {
        let run = &arguments.run;
        // All calls that run at a time get an instance, and keep it for the next call.
        let module = Module::read(run, |bounds| {
            let at_once = arguments.concurrency as usize;
            bounds.limits.instances = at_once;
            bounds.limits.idle = at_once;
        })?;
        let budget = module.bounds.budget;
        let mut wasi = plugin::wasi(run, &module)?;
        if module.command {
            wasi = wasi
                .stdout(WasiOutput::discard())
                .stderr(WasiOutput::discard());
        }
        let engine = run.engine(&module.bounds).with_platform(Std::new());
        let granted = plugin::grants(run, &module, |_: &LogRecord<'_>| {})?;
        let plugin = plugin::load(run, &engine, &module, granted, wasi)?;
        let default = match module.command {
            true if module.component => "wasi:cli/run#run",
            true => plugin::COMMAND,
            false => plugin::FUNCTION,
        };
        let function = run.call.as_deref().unwrap_or(default);
        let footprint = match &module.contents {
            Contents::Module(wasm) if module.component => {
                let footprint = engine.component_footprint(wasm, plugin.limits(), Machine::HERE);
                footprint.map_err(|error| Failure::load(&run.plugin, &error))?
            }
            _ => plugin.info().footprint(plugin.limits()),
        };
        let input = match module.command {
            true => None,
            false => Some(Input::new(
                &plugin,
                module.contract.as_ref(),
                function,
                run,
                budget.input_bytes,
            )?),
        };
        let over_bytes = matches!(input, Some(Input::Bytes(_) | Input::Arguments(_)));
        if arguments.sliced.is_some() && !over_bytes {
            let why = format!("--sliced can call functions over bytes only, not `{function}`");
            return Err(Failure::usage(why));
        }
        Ok(Self {
            function: function.to_owned(),
            memory_at_start: module
                .component
                .then(|| usize::try_from(footprint.memory_at_start).unwrap_or(usize::MAX)),
            bytes_besides: footprint.instance_at_start() - footprint.memory_at_start,
            plugin,
            input,
        })
    }

    /// Makes one call. Returns a command's exit code, or 0 of a function, and what was used.
    pub(super) fn call(&self) -> (Result<u32, CallError>, Usage) {
        self.plugin
            .with_instance_metered(|instance| self.call_in(instance))
    }

    /// Makes one call. Returns as [`call`](Self::call) does, with the instance's linear memory after
    /// the call in bytes instead of what was used.
    pub(super) fn call_and_weigh(&self) -> (Result<u32, CallError>, usize) {
        let mut memory = 0;
        let result = self.plugin.with_instance(|instance| {
            let result = self.call_in(instance);
            memory = self
                .memory_at_start
                .unwrap_or_else(|| instance.memory_bytes());
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
            Some(Input::Arguments(inputs)) => {
                input::call_arguments(instance, name, inputs).map(|_| 0)
            }
            Some(Input::Numbers(numbers)) => instance.call_values(name, numbers).map(|_| 0),
            Some(Input::Typed(call)) => call.call(instance).map(|_| 0),
            None => instance.run_command(),
        }
    }

    /// Returns the inputs of a call that runs by steps.
    pub(super) fn inputs(&self) -> Vec<&[u8]> {
        match &self.input {
            Some(Input::Bytes(bytes)) => vec![bytes],
            Some(Input::Arguments(inputs)) => inputs.iter().map(|input| &**input).collect(),
            // `load` refuses these with --sliced.
            Some(Input::Numbers(_) | Input::Typed(_)) | None => Vec::new(),
        }
    }

    /// Begins a call with `inputs` that runs by steps.
    pub(super) fn start<'a>(
        &'a self,
        inputs: &'a [&'a [u8]],
    ) -> PendingCall<impl Future<Output = Result<Vec<u8>, CallError>> + use<'a>> {
        self.plugin.call_arguments_async(&self.function, inputs)
    }

    /// Returns an upper bound of an idle instance's memory besides its linear memory, in bytes.
    pub(super) const fn bytes_besides(&self) -> u64 {
        self.bytes_besides
    }
}
