//! `hostel run`: calls a plugin once.

use super::{
    abi, arguments::Run, directories, exit::Exit, failure::Failure, input::Input, log, output,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hostel::{
    Budget, CallError, Engine, FileState, Grants, Instance, Limits, LogRecord, LogSink, ModuleInfo,
    Plugin, StateLimits, Std, Tracing, Usage, Wasi, WasiOutput, WasiStdio,
};
use serde_json::{Value, json};
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How long a run whose timeout expired may still take to write its output and error.
const GRACE: Duration = Duration::from_millis(100);

pub(super) fn run(arguments: &Run) -> Result<Exit, Failure> {
    let mut report = Report::new();
    if !arguments.json {
        log::show();
        let result = report.run(arguments, Tracing);
        return match report.output {
            Output::Written => Ok(output::answer(&result?)?.or(report.exit)),
            // The reader closed the pipe, as `head` does: not worth a message.
            Output::Unwanted => Ok(Exit::Own),
            Output::Stuck => Ok(result.map_or_else(report_in_time, |_| report.exit)),
        };
    }
    let logs = report.logs.clone();
    let log = move |record: &LogRecord<'_>| {
        let text = String::from_utf8_lossy(record.text.raw()).into_owned();
        logs.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    };
    let result = report.run(arguments, log);
    let exit = result
        .as_ref()
        .map_or_else(|failure| failure.exit, |_| report.exit);
    Ok(output::json(&report.json(result, exit))?.or(exit))
}

/// The facts about a run. Those of steps that it did not reach are `None`.
struct Report {
    exit: Exit,
    output: Output,
    start: Option<Usage>,
    call: Option<Usage>,
    micros: Micros,
    logs: Arc<Mutex<Vec<String>>>,
}

/// The fate of a command's output.
enum Output {
    Written,
    /// The reader closed the pipe.
    Unwanted,
    /// The reader does not read, and the timeout expired.
    Stuck,
}

/// The duration of each step, in microseconds.
#[derive(Default)]
struct Micros {
    load: Option<u128>,
    instantiate: Option<u128>,
    call: Option<u128>,
}

impl Report {
    fn new() -> Self {
        Self {
            exit: Exit::Ok,
            output: Output::Written,
            start: None,
            call: None,
            micros: Micros::default(),
            logs: Arc::default(),
        }
    }

    fn run(&mut self, arguments: &Run, log: impl LogSink) -> Result<Vec<u8>, Failure> {
        let timeout = Timeout::new(arguments);
        let grants = grants(arguments, log)?;
        let platform = Arc::new(Std::new());
        let mut budget = budget(arguments);
        let limits = limits(arguments);
        let path = &arguments.plugin;
        let wasm = hostel::read_module(path, limits.module_bytes)?;
        let command = runs_command(arguments, &wasm)?;
        let stdio = WasiStdio::new(platform.clone());
        let mut wasi = wasi(arguments)?;
        if command && arguments.json {
            wasi = wasi
                .stdin_from(stdio.stdin())
                .stdout(WasiOutput::buffer(budget.output_bytes));
        } else if command {
            wasi = stdio.inherit(wasi);
            budget.output_bytes = usize::MAX;
        }
        let engine = Engine::new(limits)
            .with_budget(budget)
            .with_platform(platform);
        let grants = grants.wasi(wasi);
        let plugin = timed(&mut self.micros.load, || {
            load(path, &engine, &wasm, &grants)
        })?;
        if command {
            let result = self.command(&plugin, &engine, &timeout);
            return self.written(stdio.flush(timeout.left()), result, &timeout);
        }
        let name = arguments.call.as_deref().unwrap_or(FUNCTION);
        let input = Input::new(&plugin, name, arguments, engine.budget().input_bytes)?;
        let mut instance = self.instantiate(&plugin, &engine, &timeout)?;
        let answer = timed(&mut self.micros.call, || input.call(&mut instance, name));
        self.call = Some(instance.usage());
        Ok(answer.map_err(|error| timeout.whole(error))?)
    }

    /// Runs the plugin as a command. Returns its stdout, which is empty if it was passed through.
    fn command(
        &mut self,
        plugin: &Plugin,
        engine: &Engine,
        timeout: &Timeout,
    ) -> Result<Vec<u8>, Failure> {
        let mut instance = self.instantiate(plugin, engine, timeout)?;
        let ended = timed(&mut self.micros.call, || instance.run_command());
        self.call = Some(instance.usage());
        self.exit = Exit::from(ended.map_err(|error| timeout.whole(error))?);
        Ok(instance.take_stdout())
    }

    /// Combines a command's result with that of writing its output.
    fn written(
        &mut self,
        flushed: io::Result<()>,
        result: Result<Vec<u8>, Failure>,
        timeout: &Timeout,
    ) -> Result<Vec<u8>, Failure> {
        let Err(error) = flushed else {
            return result;
        };
        let failure = match error.kind() {
            io::ErrorKind::BrokenPipe => {
                self.output = Output::Unwanted;
                return result;
            }
            io::ErrorKind::TimedOut => {
                self.output = Output::Stuck;
                let after = timeout.after.unwrap_or_default();
                CallError::Deadline { after }.into()
            }
            _ => Failure::output(&error),
        };
        result.and(Err(failure))
    }

    /// Makes an instance. Its start code, and then its call, get the time that is left.
    fn instantiate(
        &mut self,
        plugin: &Plugin,
        engine: &Engine,
        timeout: &Timeout,
    ) -> Result<Instance, Failure> {
        let plugin = plugin.with_budget(timeout.limit(engine.budget())?);
        let instance = timed(&mut self.micros.instantiate, || plugin.instantiate(()));
        let mut instance = instance.map_err(|error| timeout.whole(error))?;
        self.start = Some(instance.start_usage());
        instance.set_budget(timeout.limit(engine.budget())?);
        Ok(instance)
    }

    fn json(&self, result: Result<Vec<u8>, Failure>, exit: Exit) -> Value {
        let (output, error) = match result {
            Ok(output) => (Some(output), None),
            Err(failure) => (None, Some(failure.json())),
        };
        let (text, base64) = match output.map(String::from_utf8) {
            Some(Ok(text)) => (Some(text), None),
            Some(Err(error)) => (None, Some(BASE64.encode(error.as_bytes()))),
            None => (None, None),
        };
        let host_calls = [self.start, self.call].map(|usage| usage.map_or(0, |u| u.host_calls));
        json!({
            "output": text,
            "output_base64": base64,
            "error": error,
            "code": exit.code(),
            "fuel": {
                "start": self.start.map(|usage| usage.fuel),
                "call": self.call.map(|usage| usage.fuel),
            },
            "host_calls": host_calls[0].saturating_add(host_calls[1]),
            "logs": *self.logs.lock().unwrap_or_else(PoisonError::into_inner),
            "micros": {
                "load": self.micros.load,
                "instantiate": self.micros.instantiate,
                "call": self.micros.call,
            },
        })
    }
}

/// The time for a whole run. Each step gets the time that the steps before it left.
struct Timeout {
    start: Instant,
    after: Option<Duration>,
}

impl Timeout {
    fn new(arguments: &Run) -> Self {
        Self {
            start: Instant::now(),
            after: arguments.timeout.map(Into::into),
        }
    }

    /// Returns `budget` with the time that is left as its deadline.
    fn limit(&self, budget: &Budget) -> Result<Budget, CallError> {
        let Some(after) = self.after else {
            return Ok(*budget);
        };
        match after.checked_sub(self.start.elapsed()) {
            Some(left) if !left.is_zero() => Ok(budget.deadline(left)),
            _ => Err(CallError::Deadline { after }),
        }
    }

    /// Returns the time that is left for writing, at least [`GRACE`].
    fn left(&self) -> Option<Duration> {
        let left = self.after?.saturating_sub(self.start.elapsed());
        Some(left.max(GRACE))
    }

    /// Makes a deadline error name the whole timeout instead of the step's share.
    fn whole(&self, error: CallError) -> CallError {
        match (error, self.after) {
            (CallError::Deadline { .. }, Some(after)) => CallError::Deadline { after },
            (error, _) => error,
        }
    }
}

/// Prints a failure on stderr, but gives up after [`GRACE`]: nobody may read stderr either.
fn report_in_time(failure: Failure) -> Exit {
    let exit = failure.exit;
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        output::failure(&failure);
        // Fails if the receiver gave up.
        let _ = send.send(());
    });
    let _ = receive.recv_timeout(GRACE);
    exit
}

/// Grants the log, the settings of --config and the state of --state.
pub(super) fn grants(arguments: &Run, log: impl LogSink) -> Result<Grants, Failure> {
    let grants = Grants::new()
        .log(log)
        .config(arguments.config.iter().cloned());
    Ok(match &arguments.state {
        Some(file) => grants.state(FileState::open(file, StateLimits::server())?),
        None => grants,
    })
}

/// Loads `wasm`, the contents of the file `path`, under the file's name.
pub(super) fn load(
    path: &Path,
    engine: &Engine,
    wasm: &[u8],
    grants: &Grants,
) -> Result<Plugin, Failure> {
    let name = path.file_stem().unwrap_or(path.as_os_str());
    let plugin = engine.load(&name.to_string_lossy(), wasm, grants);
    plugin.map_err(|error| Failure::load(path, &error))
}

pub(super) fn limits(arguments: &Run) -> Limits {
    let mut limits = Limits::server();
    limits.memory_bytes = usize::try_from(arguments.memory.as_u64()).unwrap_or(usize::MAX);
    limits
}

pub(super) fn budget(arguments: &Run) -> Budget {
    Budget::server().fuel(arguments.fuel)
}

/// Returns WASI with the arguments, environment and directories, and with its output in the log.
pub(super) fn wasi(arguments: &Run) -> Result<Wasi, Failure> {
    let name = arguments.plugin.file_name().unwrap_or_default();
    let wasi = hostel::wasi()
        .args([name.to_string_lossy()])
        .args(&arguments.arg)
        .env(arguments.env.iter().map(|(key, value)| (key, value)))
        .stdout(WasiOutput::log())
        .stderr(WasiOutput::log());
    directories::grant(wasi, &arguments.dir)
}

/// The function that is called without --call.
pub(super) const FUNCTION: &str = "process";

/// The function that runs a WASI command.
pub(super) const COMMAND: &str = "_start";

/// Returns whether to run the plugin as a WASI command.
///
/// # Errors
///
/// Refuses INPUT for a command.
pub(super) fn runs_command(arguments: &Run, wasm: &[u8]) -> Result<bool, Failure> {
    let command = match arguments.call.as_deref() {
        Some(name) => name == COMMAND,
        None => is_command(wasm),
    };
    if command && !arguments.input.is_empty() {
        return Err(Failure::usage("a WASI command takes no INPUT")
            .with_hint("pass arguments with --arg TEXT, and stdin with < FILE"));
    }
    Ok(command)
}

/// Returns whether a module is a WASI command and has no `process`.
fn is_command(wasm: &[u8]) -> bool {
    ModuleInfo::read(wasm).is_ok_and(|module| {
        abi::signature(&module, COMMAND).is_some() && abi::signature(&module, FUNCTION).is_none()
    })
}

fn timed<R>(micros: &mut Option<u128>, work: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = work();
    *micros = Some(start.elapsed().as_micros());
    result
}
