//! One guest, what is done with it, and what is seen of that.

use alloc::{
    borrow::Cow,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{ffi::CStr, fmt};
use hostel_core::{
    Budget, CallError, Engine, Extism, Grants, Instance, Limits, LoadError, LogRecord, MemoryState,
    Mismatch, Plugin, StateLimits, Step, Usage, Value, Wapc, Wasi, WasiOutput,
};
use spin::Mutex;

/// One guest.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) module: Module,
    pub(super) action: Action,
    /// Changes a device's budget to the guest's.
    pub(super) budget: fn(&mut Budget),
    /// How it must end, in the words of the workspace's hostile guests: `refused`, `traps`,
    /// `exceeds` or `fails` and the error's code, or `returns` and the answer.
    pub(super) verdict: &'static str,
}

/// Where a guest's module is.
pub(super) enum Module {
    Here(&'static [u8]),
    /// In a file of the machine that emulates the device: flash has no room for all of them.
    File(&'static CStr),
}

impl Module {
    fn read(&self) -> Cow<'static, [u8]> {
        match self {
            Self::Here(bytes) => Cow::Borrowed(bytes),
            Self::File(path) => Cow::Owned(read(path)),
        }
    }
}

#[cfg(target_os = "none")]
fn read(path: &CStr) -> Vec<u8> {
    use semihosting::{fs::File, io::Read as _};
    let mut file = File::open(path).expect("the file is there");
    let (mut bytes, mut part) = (Vec::new(), [0; 512]);
    loop {
        match file.read(&mut part).expect("the file can be read") {
            0 => return bytes,
            read => {
                bytes.reserve_exact(read);
                bytes.extend_from_slice(&part[..read]);
            }
        }
    }
}

#[cfg(not(target_os = "none"))]
fn read(path: &CStr) -> Vec<u8> {
    std::fs::read(path.to_str().expect("a path is text")).expect("the file is there")
}

/// What hostile guests get: little fuel, but more host calls than it allows.
pub(super) fn usual(budget: &mut Budget) {
    budget.fuel = 50_000;
    budget.host_calls = 1_000_000;
}

/// What is done with a guest.
pub(super) enum Action {
    Load,
    Start,
    Process(&'static [u8]),
    Call(&'static str, &'static [Value]),
    Bytes(&'static str, &'static [u8]),
    Command,
}

/// What is seen of a guest from outside.
#[derive(PartialEq)]
pub(super) struct Seen {
    verdict: String,
    message: String,
    usage: Usage,
    state: Option<u64>,
    log: Vec<String>,
}

impl Seen {
    /// Whether it ended as declared.
    pub(super) fn meets(&self, declared: &str) -> bool {
        self.verdict == declared
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict)?;
        for line in self.message.lines() {
            write!(f, " | {line}")?;
        }
        let usage = &self.usage;
        write!(f, " | fuel {}", usage.fuel)?;
        for (what, count) in [
            ("host calls", usage.host_calls as usize),
            ("arena bytes", usage.bytes_to_guest),
            ("records dropped", usage.log_dropped as usize),
        ] {
            if count > 0 {
                write!(f, ", {what} {count}")?;
            }
        }
        if let Some(state) = self.state {
            write!(f, ", state {state:016x}")?;
        }
        for line in &self.log {
            write!(f, " | log {line}")?;
        }
        Ok(())
    }
}

impl Case {
    /// Does what is to be done, in steps of `quantum` fuel if that is said.
    pub(super) fn run(&self, quantum: Option<u64>) -> Seen {
        let mut limits = Limits::device(256 << 10);
        limits.memory_bytes = 128 << 10;
        // What fits depends on the machine; its answers do not.
        limits.heap_bytes = usize::MAX;
        let mut budget = Budget::device();
        (self.budget)(&mut budget);
        let engine = Engine::new(limits).with_budget(budget);
        let log = Arc::new(Mutex::new(Vec::new()));
        let plugin = engine.load("guest", &self.module.read(), &self.grants(&log));
        let mut seen = match plugin {
            Err(error) => Seen::refused(&error),
            Ok(plugin) => match plugin.instantiate(()) {
                Err(error) => Seen::of(Err(error), Usage::default(), None),
                Ok(mut instance) => {
                    let result = self.act(&plugin, &mut instance, quantum);
                    let stdout = instance.take_stdout();
                    let result = result.map(|answer| answer + &shown(&stdout));
                    Seen::of(result, instance.usage(), Some(instance.state_hash()))
                }
            },
        };
        if matches!(self.action, Action::Load) && seen.state.is_some() {
            seen.verdict = "returns loaded".into();
        }
        seen.log = core::mem::take(&mut log.lock());
        seen
    }

    fn act(
        &self,
        plugin: &Plugin,
        instance: &mut Instance,
        quantum: Option<u64>,
    ) -> Result<String, CallError> {
        match (&self.action, quantum) {
            (Action::Load | Action::Start, _) => Ok("started".into()),
            (Action::Bytes(name, input), _) => instance.call_bytes(name, input, shown),
            (Action::Command, _) => instance.run_command().map(|code| format!("exit {code} ")),
            (Action::Process(input), None) => instance.process(input).map(|answer| shown(&answer)),
            (Action::Process(input), Some(quantum)) => {
                let mut call = instance.process_async(input);
                loop {
                    if let Step::Done(result) = call.step(quantum) {
                        return result.map(|answer| shown(&answer));
                    }
                }
            }
            (Action::Call(name, []), Some(quantum)) if plugin.check::<(), ()>(name).is_ok() => {
                let mut call = instance.call_async::<(), ()>(name, ());
                loop {
                    if let Step::Done(result) = call.step(quantum) {
                        return result.map(|()| String::new());
                    }
                }
            }
            (Action::Call(name, params), _) => {
                let values = instance.call_values(name, params)?;
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                Ok(values.join(" "))
            }
        }
    }

    /// What every guest may import, and commands WASI.
    fn grants(&self, log: &Arc<Mutex<Vec<String>>>) -> Grants<()> {
        let log = log.clone();
        let grants = Grants::new()
            .log(move |record: &LogRecord<'_>| log.lock().push(record.to_string()))
            .config([("key", "value"), ("empty", ""), ("prefix", "CUSTOM")])
            .extism(Extism::new().config([("key", "value")]))
            .wapc(Wapc::new().callback(|request| Ok(request.payload.to_vec())))
            .typst()
            .state(MemoryState::new(StateLimits::device()))
            .function("host", "noop", || {})
            .function("host", "text", |_: &str| {})
            .function("host", "bytes", |_: &[u8]| {})
            .function("host", "give", || "hello")
            .function("host", "echo", |text: &str| -> String { text.into() })
            .function("host", "pair", || (7u32, 8u32))
            .function("host", "boom", || 0u32);
        match self.action {
            Action::Command => grants.wasi(
                Wasi::new()
                    .args(["guest", "hello"])
                    .stdin(*b"one\ntwo\n")
                    .stdout(WasiOutput::buffer(1_000))
                    .random_seed(42),
            ),
            _ => grants,
        }
    }
}

/// Bytes as a verdict shows them.
fn shown(bytes: &[u8]) -> String {
    if bytes.len() > 64 {
        format!("{} bytes", bytes.len())
    } else {
        bytes.escape_ascii().to_string()
    }
}

impl Seen {
    fn of(result: Result<String, CallError>, usage: Usage, state: Option<u64>) -> Self {
        let (verdict, message) = match result {
            Ok(answer) => (format!("returns {answer}"), String::new()),
            Err(error) => {
                let word = match error {
                    CallError::OutOfFuel { .. }
                    | CallError::HostCalls { .. }
                    | CallError::ArgumentTooLarge { .. }
                    | CallError::BytesToGuest { .. } => "exceeds",
                    _ if error.stops() => "traps",
                    _ => "fails",
                };
                (format!("{word} {}", error.code()), error.to_string())
            }
        };
        Self {
            verdict,
            message,
            usage,
            state,
            log: Vec::new(),
        }
    }

    fn refused(error: &LoadError) -> Self {
        let code = match error {
            LoadError::OverLimit { name: cap, .. } => format!("over-limit {cap}"),
            LoadError::Mismatch(all) => {
                let kinds: Vec<_> = all.iter().map(kind).collect();
                format!("mismatch {}", kinds.join("+"))
            }
            error => error.code().into(),
        };
        Self {
            verdict: format!("refused {code}"),
            message: error.to_string(),
            usage: Usage::default(),
            state: None,
            log: Vec::new(),
        }
    }
}

const fn kind(mismatch: &Mismatch) -> &'static str {
    match mismatch {
        Mismatch::UnknownImport { .. } => "unknown-import",
        Mismatch::ImportType { .. } => "import-type",
        Mismatch::ImportKind { .. } => "import-kind",
        Mismatch::MissingExport { .. } => "missing-export",
        Mismatch::ExportType { .. } => "export-type",
        Mismatch::ReexportedImport { .. } => "reexported-import",
        _ => "other",
    }
}
