//! A call in progress: loads the plugin with the limits that the page names, and runs it by quanta of fuel.

use crate::{
    facts, failure,
    grants::{self, Clock, Log},
};
use hostel_contract::{Contract, Value as Typed, is_component};
use hostel_core::{
    Budget, CallError, Engine, Extern, Grants, Limits, LoadError, ModuleInfo, PendingCall, Plugin,
    Usage, component, grant_for,
};
use hostel_profile::{Profile, Profiled, draw};
use serde_json::{Value, json};
use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Fuel of one step: some milliseconds in a browser.
const QUANTUM: u64 = 100_000;

type Running = Pin<Box<dyn Future<Output = Result<Vec<u8>, CallError>>>>;

/// A call, until the next one.
pub(crate) struct Calling {
    /// `None` once it has ended.
    running: Option<Running>,
    usage: Rc<RefCell<Usage>>,
    log: Log,
    clock: Clock,
    profile: Option<(Arc<Mutex<Profile>>, Profiled)>,
    output: Vec<u8>,
}

/// The arguments of a call, by what its function takes.
enum Arguments {
    Bytes(Vec<Vec<u8>>),
    Numbers(Vec<hostel_core::Value>),
    Values(String, Vec<component::Value>),
}

impl Calling {
    /// Loads the plugin, and prepares the call that `request` names.
    pub(crate) fn begin(
        wasm: &[u8],
        request: &Value,
        arguments: Vec<Vec<u8>>,
    ) -> Result<Self, Value> {
        let function = request["function"].as_str().unwrap_or("process");
        let (log, clock) = (Log::default(), Clock::default());
        clock.set(request["now"].as_f64().unwrap_or(0.0));
        let (limits, budget) = bounds(request, wasm);
        let mut grants = grants::all(&settings(request), &log, &clock);
        let mut engine = Engine::new(limits)
            .with_budget(budget)
            .with_platform(clock.clone());
        let is_component = is_component(wasm);
        let refused = |error: LoadError| failure(error.code(), &error.to_string());
        let mut profile = None;
        let (plugin, arguments) = if is_component {
            let contract = facts::read_contract(wasm)?;
            if request["stub"] == true {
                grants = stub(
                    grants,
                    contract
                        .imported_functions()
                        .into_iter()
                        .filter_map(|(name, _)| {
                            let (of, name) = name.split_once('#').unwrap_or(("$root", &name));
                            (!of.starts_with("wasi:")).then(|| (of.to_owned(), name.to_owned()))
                        }),
                );
            }
            let text = String::from_utf8_lossy(arguments.first().map_or(b"", |bytes| bytes));
            let arguments = values(&contract, function, &text)?;
            (
                engine
                    .load_component("plugin", wasm, &grants)
                    .map_err(refused)?,
                arguments,
            )
        } else {
            let info = ModuleInfo::read_within(wasm, &limits.module).map_err(refused)?;
            if request["stub"] == true {
                let functions = info
                    .imports
                    .iter()
                    .filter(|import| matches!(import.ty, Extern::Function(_)));
                let unknown =
                    functions.filter(|import| grant_for(&import.module, &import.name).is_none());
                grants = stub(
                    grants,
                    unknown.map(|import| (import.module.to_string(), import.name.to_string())),
                );
            }
            let mut changed = None;
            if request["profile"] == true {
                let profiled = Profiled::new(wasm, &info)
                    .map_err(|error| failure("unsupported", &error.to_string()))?;
                let counted = Profile::new(budget);
                engine = engine.with_budget(counted.raised_budget());
                let counted = Arc::new(Mutex::new(counted));
                let counting = counted.clone();
                grants = grants.profile(move |record| lock(&counting).count(record));
                changed = Some((counted, profiled));
            }
            let wasm = changed
                .as_ref()
                .map_or(wasm, |(_, profiled)| &profiled.wasm);
            let plugin = engine.load("plugin", wasm, &grants).map_err(refused)?;
            profile = changed;
            let arguments = module_arguments(&info, function, arguments)?;
            (plugin, arguments)
        };
        let usage = Rc::new(RefCell::new(Usage::default()));
        Ok(Self {
            running: Some(Box::pin(run(
                plugin,
                function.to_owned(),
                arguments,
                usage.clone(),
            ))),
            usage,
            log,
            clock,
            profile,
            output: Vec::new(),
        })
    }

    /// Runs one quantum. Returns the log's new lines and what was used so far; at the end also the error, or the size of
    /// the output.
    pub(crate) fn step(&mut self, now: f64) -> Value {
        self.clock.set(now);
        let Some(running) = &mut self.running else {
            return failure("usage", "the call has ended");
        };
        let polled = running
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        let mut usage = *self.usage.borrow();
        let profile = self.profile.as_ref().map(|(profile, _)| lock(profile));
        let polled = match profile {
            None => polled,
            Some(mut profile) => match polled {
                Poll::Ready(result) => {
                    let (used, result) = profile.end(usage, result);
                    usage = used;
                    Poll::Ready(result)
                }
                Poll::Pending => {
                    usage.fuel = profile.fuel();
                    usage.host_calls = usage.host_calls.saturating_sub(profile.events());
                    Poll::Pending
                }
            },
        };
        let mut told = json!({
            "done": polled.is_ready(),
            "fuel": usage.fuel,
            "memory": usage.memory_bytes,
            "host_calls": usage.host_calls,
            "log": [],
        });
        if let Poll::Ready(result) = polled {
            self.running = None;
            match result {
                Ok(output) => self.output = output,
                Err(CallError::Exited { code }) => told["exit"] = code.into(),
                Err(error) => {
                    told["error"] = failure(error.code(), &error.to_string())["error"].take()
                }
            }
            told["output_bytes"] = self.output.len().into();
        }
        told["log"] = self.log.take().into();
        told
    }

    pub(crate) fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    pub(crate) fn flame_graph(&self, name: &str) -> String {
        self.profile
            .as_ref()
            .map_or_else(String::new, |(profile, profiled)| {
                let profile = lock(profile);
                let title = format!("{name}: {} fuel", profile.fuel());
                draw(&title, &profile.frames(profiled))
            })
    }

    pub(crate) fn folded(&self) -> String {
        let profile = self.profile.as_ref();
        profile.map_or_else(String::new, |(profile, profiled)| {
            lock(profile).folded(profiled)
        })
    }
}

fn lock(profile: &Mutex<Profile>) -> MutexGuard<'_, Profile> {
    profile.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the limits of a server with those that the page names. A component may be larger: it has the libraries of its
/// language in it.
fn bounds(request: &Value, wasm: &[u8]) -> (Limits, Budget) {
    let mut limits = Limits::server();
    limits.instances = 1;
    limits.copies = 1;
    limits.idle = 0;
    if is_component(wasm) {
        limits.module_bytes = 64 << 20;
    }
    if let Some(bytes) = request["memory_bytes"].as_u64() {
        limits.memory_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    let mut budget = Budget::server();
    if let Some(fuel) = request["fuel"].as_u64() {
        budget.fuel = fuel;
    }
    if let Some(milliseconds) = request["deadline_ms"].as_u64() {
        budget = budget.with_deadline(Duration::from_millis(milliseconds));
    }
    (limits, budget)
}

fn settings(request: &Value) -> Vec<(String, String)> {
    let settings = request["settings"].as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    settings
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

/// Makes imports that hostel does not supply trap when they are called.
fn stub(grants: Grants, unknown: impl Iterator<Item = (String, String)>) -> Grants {
    unknown.fold(grants, |grants, (module, name)| grants.trap(&module, &name))
}

/// Reads the arguments of a core module's function.
fn module_arguments(
    info: &ModuleInfo,
    function: &str,
    given: Vec<Vec<u8>>,
) -> Result<Arguments, Value> {
    let export = info.export_named(function);
    let Some(Extern::Function(ty)) = export.map(|export| &export.ty) else {
        // An operation of waPC. The core's error lists the functions of other plugins.
        return Ok(Arguments::Bytes(given));
    };
    if facts::takes(info, function, ty) != Some("numbers") {
        return Ok(Arguments::Bytes(given));
    }
    let text = String::from_utf8_lossy(given.first().map_or(b"", |bytes| bytes));
    let texts: Vec<_> = text.split_whitespace().collect();
    let wrong = |why: String| failure("usage", &format!("`{function}` has the type {ty}: {why}"));
    if texts.len() != ty.params.len() {
        let (expected, found) = (ty.params.len(), texts.len());
        return Err(wrong(format!(
            "expected {expected} numbers with spaces between, found {found}"
        )));
    }
    let numbers = texts.iter().zip(&ty.params).map(|(text, ty)| {
        hostel_core::Value::parse(text, *ty)
            .ok_or_else(|| wrong(format!("`{text}` is not of type {ty}")))
    });
    numbers.collect::<Result<_, _>>().map(Arguments::Numbers)
}

/// Reads the arguments of a component's function, written as values of its contract with commas between.
fn values(contract: &Contract, function: &str, text: &str) -> Result<Arguments, Value> {
    let wrong = |error: hostel_contract::CallTextError| failure(error.code(), &error.to_string());
    let call = contract
        .parse_call(&format!("{function}({text})"))
        .map_err(wrong)?;
    let values = call.arguments.into_iter().map(component::Value::try_from);
    let name = match call.interface {
        Some(interface) => format!("{interface}#{}", call.function),
        None => call.function,
    };
    Ok(Arguments::Values(
        name,
        values.collect::<Result<_, _>>().map_err(wrong)?,
    ))
}

/// Makes an instance, and calls its function. Numbers and values become text.
async fn run(
    plugin: Plugin,
    function: String,
    arguments: Arguments,
    usage: Rc<RefCell<Usage>>,
) -> Result<Vec<u8>, CallError> {
    match arguments {
        Arguments::Bytes(given) => {
            let given: Vec<&[u8]> = given.iter().map(|bytes| &**bytes).collect();
            watched(plugin.call_arguments_async(&function, &given), &usage).await
        }
        Arguments::Numbers(numbers) => {
            let results = watched(plugin.call_values_async(&function, &numbers), &usage).await?;
            let lines: String = results.iter().map(|number| format!("{number}\n")).collect();
            Ok(lines.into_bytes())
        }
        Arguments::Values(name, values) => {
            let call = plugin.call_component_values_async(&name, &values);
            let Some(value) = watched(call, &usage).await? else {
                return Ok(Vec::new());
            };
            let text = Typed::from(value).to_wave();
            let text = text.map_err(|error| CallError::ValueType {
                reason: error.to_string().into(),
            })?;
            Ok(text.into_bytes())
        }
    }
}

/// Runs a call, and tells what it has used after each quantum.
async fn watched<F: Future>(call: PendingCall<F>, usage: &RefCell<Usage>) -> F::Output {
    let mut call = call.with_quantum(QUANTUM);
    poll_fn(|context| {
        let polled = Pin::new(&mut call).poll(context);
        *usage.borrow_mut() = call.usage();
        polled
    })
    .await
}
