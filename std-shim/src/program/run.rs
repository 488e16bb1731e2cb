//! `hostel run`: one call of one plugin.

use super::{arguments::Run, exit::Exit, failure::Failure, input::Input, log, output};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hostel::{
    Budget, CallError, Engine, FileState, Grants, Limits, LogRecord, StateLimits, Std, Tracing,
    Usage,
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

pub(super) fn run(arguments: &Run) -> Result<Exit, Failure> {
    let grants = Grants::new().config(arguments.config.iter().cloned());
    let mut report = Report::default();
    if !arguments.json {
        log::show();
        return output::answer(&report.run(arguments, grants.log(Tracing))?);
    }
    let logs = report.logs.clone();
    let grants = grants.log(move |record: &LogRecord<'_>| {
        let text = String::from_utf8_lossy(record.text.raw()).into_owned();
        logs.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    });
    let result = report.run(arguments, grants);
    let exit = result
        .as_ref()
        .map_or_else(|failure| failure.exit, |_| Exit::Ok);
    Ok(output::json(&report.json(result, exit))?.or(exit))
}

/// What is known of a run, as far as it came.
#[derive(Default)]
struct Report {
    start: Option<Usage>,
    call: Option<Usage>,
    micros: Micros,
    logs: Arc<Mutex<Vec<String>>>,
}

/// How long each part took, in microseconds.
#[derive(Default)]
struct Micros {
    load: Option<u128>,
    instantiate: Option<u128>,
    call: Option<u128>,
}

impl Report {
    fn run(&mut self, arguments: &Run, mut grants: Grants) -> Result<Vec<u8>, Failure> {
        let timeout = Timeout::new(arguments);
        if let Some(file) = &arguments.state {
            grants = grants.state(FileState::open(file, StateLimits::server())?);
        }
        let engine = engine(arguments);
        let plugin = timed(&mut self.micros.load, || {
            hostel::load_file(&engine, &arguments.plugin, &grants)
        })?;
        let name = &arguments.call;
        let input = Input::new(&plugin, name, &arguments.input, engine.budget().input_bytes)?;
        let plugin = plugin.with_budget(timeout.limit(engine.budget())?);
        let instance = timed(&mut self.micros.instantiate, || plugin.instantiate(()));
        let mut instance = instance.map_err(|error| timeout.whole(error))?;
        self.start = Some(instance.start_usage());
        instance.set_budget(timeout.limit(engine.budget())?);
        let answer = timed(&mut self.micros.call, || input.call(&mut instance, name));
        self.call = Some(instance.usage());
        Ok(answer.map_err(|error| timeout.whole(error))?)
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

/// The time for all of a run, of which each step gets what the steps before it left.
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

    /// The budget of the next step.
    fn limit(&self, budget: &Budget) -> Result<Budget, CallError> {
        let Some(after) = self.after else {
            return Ok(*budget);
        };
        match after.checked_sub(self.start.elapsed()) {
            Some(left) if !left.is_zero() => Ok(budget.deadline(left)),
            _ => Err(CallError::Deadline { after }),
        }
    }

    /// The error of a step, told of the whole time and not of what was left for the step.
    fn whole(&self, error: CallError) -> CallError {
        match (error, self.after) {
            (CallError::Deadline { .. }, Some(after)) => CallError::Deadline { after },
            (error, _) => error,
        }
    }
}

fn engine(arguments: &Run) -> Engine {
    let (mut limits, mut budget) = (Limits::server(), Budget::server());
    limits.memory_bytes = usize::try_from(arguments.memory.as_u64()).unwrap_or(usize::MAX);
    budget.fuel = arguments.fuel;
    Engine::new(limits)
        .with_budget(budget)
        .with_platform(Std::new())
}

fn timed<R>(micros: &mut Option<u128>, work: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = work();
    *micros = Some(start.elapsed().as_micros());
    result
}
