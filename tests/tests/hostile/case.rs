//! What a case is, and how one is run.

use hostel::{Budget, CallError, Engine, Grants, Instance, Limits, LoadError, Mismatch, Plugin};
use hostel::{FileError, FileReason, MemoryState, ModuleInfo, StateLimits, Value};
use hostel_tests::{Lines, assemble};

/// How a hostile guest has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letter {
    /// Refused at load.
    R,
    /// Trapped; the instance is not used again.
    T,
    /// Out of fuel, or of another quota.
    F,
    /// An error to the caller; the instance goes on.
    E,
    /// Clamped or cleaned; the call goes on, to a right answer.
    C,
}

/// How a case ended, or has to: with a code, or for [`Letter::C`] an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub letter: Letter,
    pub code: String,
}

impl Verdict {
    fn new(letter: Letter, code: impl Into<String>) -> Self {
        Self {
            letter,
            code: code.into(),
        }
    }

    /// What a call's error is.
    pub(crate) fn of_call(error: &CallError) -> Self {
        let shown = error.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        let code = error.code();
        let letter = match error {
            CallError::OutOfFuel { .. }
            | CallError::Deadline { .. }
            | CallError::Cancelled
            | CallError::HostCalls { .. }
            | CallError::ArgumentTooLarge { .. }
            | CallError::ArenaBytes { .. } => Letter::F,
            error if error.stops() => Letter::T,
            _ => Letter::E,
        };
        Self::new(letter, code)
    }

    /// What a refusal to load is, with the limit or the mismatches that it names.
    pub(crate) fn of_load(error: &LoadError) -> Self {
        let shown = error.to_string();
        let code = match error {
            LoadError::OverLimit { cap, limit, found } => {
                assert!(found > limit, "{shown}");
                format!("over-limit {cap}")
            }
            LoadError::Mismatch(all) => {
                let lines = shown.lines().count();
                assert_eq!(lines, all.len() + 1, "a forged line in {shown:?}");
                let kinds: Vec<_> = all.iter().map(kind).collect();
                format!("mismatch {}", kinds.join("+"))
            }
            error => error.code().to_owned(),
        };
        let hidden = |c: char| c.is_control() && c != '\n';
        assert!(!shown.contains(hidden), "{shown:?}");
        Self::new(Letter::R, code)
    }

    /// What a file that is no plugin is.
    pub(crate) fn of_file(error: &FileError) -> Self {
        match error.reason() {
            FileReason::Load(error) => Self::of_load(error),
            _ => Self::new(Letter::R, error.code()),
        }
    }

    /// What a result of bytes is.
    pub(crate) fn of_bytes(result: Result<Vec<u8>, CallError>) -> Self {
        match result {
            Ok(bytes) if bytes.len() > 64 => clean(format!("{} bytes", bytes.len())),
            Ok(bytes) => clean(bytes.escape_ascii().to_string()),
            Err(error) => Self::of_call(&error),
        }
    }

    /// What a result that is told by its own words is.
    pub(crate) fn of<R: core::fmt::Display>(result: Result<R, CallError>) -> Self {
        match result {
            Ok(answer) => clean(answer.to_string()),
            Err(error) => Self::of_call(&error),
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

pub(crate) fn refused(code: &str) -> Verdict {
    Verdict::new(Letter::R, code)
}

pub(crate) fn trap(code: &str) -> Verdict {
    Verdict::new(Letter::T, code)
}

pub(crate) fn spent(code: &str) -> Verdict {
    Verdict::new(Letter::F, code)
}

pub(crate) fn error(code: &str) -> Verdict {
    Verdict::new(Letter::E, code)
}

pub(crate) fn clean(answer: impl Into<String>) -> Verdict {
    Verdict::new(Letter::C, answer)
}

/// The verdict with this code, by the code's own letter. `ok` stands for the answer `answer`.
pub(crate) fn by_code(code: &str, answer: &str) -> Verdict {
    match code {
        "ok" => clean(answer),
        "out-of-fuel" | "deadline" | "cancelled" | "host-calls" => spent(code),
        _ if code.starts_with("trap") => trap(code),
        _ => error(code),
    }
}

/// A module: its text, or how its bytes are made.
pub(crate) enum Source {
    Text(String),
    Made(Box<dyn Fn() -> Vec<u8> + Sync>),
}

impl Source {
    pub(crate) fn made(make: impl Fn() -> Vec<u8> + Sync + 'static) -> Self {
        Self::Made(Box::new(make))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => assemble(text),
            Self::Made(make) => make(),
        }
    }
}

impl From<&str> for Source {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Source {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Self {
        Self::made(move || bytes.clone())
    }
}

/// What is done with the module.
pub(crate) enum Act {
    Load,
    Start,
    Process(Vec<u8>),
    Call(&'static str, Vec<Value>),
    Do(Box<dyn Fn(&Kit<'_>) -> Verdict + Sync>),
}

impl Act {
    pub(crate) fn hello() -> Self {
        Self::Process(b"hello".to_vec())
    }

    pub(crate) fn run() -> Self {
        Self::Call("run", Vec::new())
    }

    pub(crate) fn that(work: impl Fn(&Kit<'_>) -> Verdict + Sync + 'static) -> Self {
        Self::Do(Box::new(work))
    }
}

/// What a case is run with.
pub(crate) struct Kit<'a> {
    pub engine: Engine,
    pub grants: Grants<()>,
    pub lines: Lines,
    pub wasm: &'a [u8],
}

impl Kit<'_> {
    pub(crate) fn load(&self) -> Result<Plugin, LoadError> {
        self.engine.load("guest", self.wasm, &self.grants)
    }

    /// The plugin of a module that is said to load.
    pub(crate) fn plugin(&self) -> Plugin {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// An instance of a module that is said to load and to start.
    pub(crate) fn instance(&self) -> Instance {
        let instance = self.plugin().instantiate(());
        instance.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// One hostile guest.
pub(crate) struct Case {
    pub name: String,
    pub module: Source,
    pub act: Act,
    pub verdict: Verdict,
    pub limits: Limits,
    pub budget: Budget,
    /// Instances that are there at once.
    pub instances: usize,
    /// Panics of the embedder's own code, in a host function: contained, and counted here.
    pub panics: usize,
    /// Whether it is run in a process of its own: gone wrong, it would end the whole process.
    pub apart: bool,
}

/// Fuel of a call, where a case says nothing else.
pub(crate) const FUEL: u64 = 50_000;

/// Pages of memory that an instance may have, where a case says nothing else.
pub(crate) const PAGES: usize = 16;

impl Case {
    pub(crate) fn new(
        name: impl Into<String>,
        module: impl Into<Source>,
        act: Act,
        verdict: Verdict,
    ) -> Self {
        let module = module.into();
        // Under tail dispatch each growth leaves native stack in use until a slice of fuel ends.
        let grows = matches!(&module, Source::Text(text) if text.contains("memory.grow"));
        let apart = grows && verdict.letter == Letter::F;
        let mut limits = Limits::server();
        limits.memory_bytes = PAGES << 16;
        Self {
            name: name.into(),
            module,
            act,
            verdict,
            limits,
            budget: Budget::server().fuel(FUEL),
            instances: 1,
            panics: 0,
            apart,
        }
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub(crate) fn budget(mut self, change: impl FnOnce(&mut Budget)) -> Self {
        change(&mut self.budget);
        self
    }

    pub(crate) fn fuel(self, fuel: u64) -> Self {
        self.budget(|budget| budget.fuel = fuel)
    }

    pub(crate) fn instances(mut self, instances: usize) -> Self {
        self.instances = instances;
        self
    }

    pub(crate) fn panics(mut self, panics: usize) -> Self {
        self.panics = panics;
        self
    }

    pub(crate) fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    /// Returns the most bytes that the host may take for it: what is foreseen of its module, and a
    /// little for inputs, outputs and messages. Of what is no module, nothing is foreseen: 32 times
    /// its bytes, and 1 MiB.
    pub(crate) fn bound(&self, wasm: &[u8]) -> usize {
        let Ok(module) = ModuleInfo::read(wasm) else {
            return 32 * wasm.len() + (1 << 20);
        };
        let mut limits = self.limits;
        limits.instances = self.instances;
        let most = module.footprint(&limits).total();
        usize::try_from(most).expect("it is small") + (64 << 10)
    }

    /// Does what is to be done, and says how it ended.
    pub(crate) fn run(&self, wasm: &[u8]) -> Verdict {
        let lines = Lines::default();
        let engine = Engine::new(self.limits)
            .with_budget(self.budget)
            .with_platform(hostel::Std::new());
        let kit = Kit {
            engine,
            grants: granted(&lines),
            lines,
            wasm,
        };
        if let Act::Do(work) = &self.act {
            return work(&kit);
        }
        let plugin = match kit.load() {
            Ok(plugin) => plugin,
            Err(error) => return Verdict::of_load(&error),
        };
        if let Act::Load = &self.act {
            return clean("loaded");
        }
        let mut instance = match plugin.instantiate(()) {
            Ok(instance) => instance,
            Err(error) => return Verdict::of_call(&error),
        };
        let verdict = self.call(&mut instance);
        self.check(&plugin, &mut instance, &verdict);
        verdict
    }

    fn call(&self, instance: &mut Instance) -> Verdict {
        match &self.act {
            Act::Process(input) => Verdict::of_bytes(instance.process(input)),
            Act::Call(name, params) => {
                let values = instance.call_values(name, params);
                Verdict::of(values.map(|values| {
                    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                    values.join(" ")
                }))
            }
            _ => clean("started"),
        }
    }

    /// An instance that was stopped refuses; another one goes on as if nothing had been.
    fn check(&self, plugin: &Plugin, instance: &mut Instance, verdict: &Verdict) {
        let stops = matches!(verdict.letter, Letter::T | Letter::F);
        assert_eq!(instance.is_stopped(), stops);
        let used = instance.usage();
        assert!(used.fuel <= self.budget.fuel, "{used:?}");
        assert!(used.host_calls <= self.budget.host_calls, "{used:?}");
        assert!(instance.memory_bytes() <= self.limits.memory_bytes);
        if verdict.code == "out-of-fuel" {
            assert_eq!(used.fuel, self.budget.fuel);
        }
        if stops {
            assert_eq!(instance.call_values("fine", &[]), Err(CallError::Stopped));
            assert_eq!(instance.process(b""), Err(CallError::Stopped));
        } else {
            if verdict.letter == Letter::E {
                assert_eq!(self.call(instance), *verdict, "the second time");
            }
            if plugin.info().export_named("fine").is_some() {
                assert_eq!(instance.call("fine", ()), Ok(7u32), "it goes on");
            }
        }
    }
}

/// Adds a case of a module that is refused with `code`, or `loaded`.
pub(crate) fn load(
    cases: &mut Vec<Case>,
    name: impl Into<String>,
    module: impl Into<Source>,
    code: &str,
) {
    let verdict = if code == "loaded" {
        clean(code)
    } else {
        refused(code)
    };
    cases.push(Case::new(name, module, Act::Load, verdict));
}

/// What every hostile guest may import.
fn granted(lines: &Lines) -> Grants<()> {
    lines
        .granted()
        .config([("key", "value"), ("empty", ""), ("prefix", "CUSTOM")])
        .state(MemoryState::new(StateLimits::server()))
        .function("host", "noop", || {})
        .function("host", "text", |_: &str| {})
        .function("host", "bytes", |_: &[u8]| {})
        .function("host", "give", || "hello")
        .function("host", "echo", |text: &str| -> String { text.into() })
        .function("host", "pair", || (7u32, 8u32))
        .function("host", "boom", || -> u32 { panic!("on purpose") })
}
