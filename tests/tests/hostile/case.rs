//! A hostile guest: its module, the action that it is given, and the verdict that must follow.

use core::fmt::{self, Display, Formatter};
use hostel::{Budget, CallError, Engine, Grants, Instance, Limits, LoadError, Mismatch, Plugin};
use hostel::{Extism, FileError, FileReason, MemoryState, ModuleInfo, StateLimits, Value, Wapc};
use hostel::{Step, Trap, TrapKind, component, component::Interface};
use hostel_tests::{Lines, assemble};

/// How a case ends.
///
/// [`Case::run`] compares more than the code: it also checks that the instance is stopped or goes
/// on as each variant says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The module is refused when it is loaded, with this code.
    ///
    /// Behind `over-limit` follows the limit's name, behind `mismatch` the kind of each import and
    /// export that does not fit, joined by `+`.
    Refused(String),
    /// The guest traps with this code. Its instance refuses every later call.
    Traps(String),
    /// The guest exceeds its fuel, its deadline or another part of its budget, which the code
    /// names. Its instance refuses every later call.
    Exceeds(String),
    /// The caller gets an error with this code. The instance goes on, and the same call fails the
    /// same way again.
    Fails(String),
    /// The attack achieves nothing: the call returns this answer, and the instance goes on.
    Returns(String),
}

/// The module is refused at load, with this code.
pub(crate) fn refused(code: impl Into<String>) -> Verdict {
    Verdict::Refused(code.into())
}

/// The guest traps with this code, and is stopped for good.
pub(crate) fn traps(code: impl Into<String>) -> Verdict {
    Verdict::Traps(code.into())
}

/// The guest is stopped for good because it exceeds this part of its budget.
pub(crate) fn exceeds(code: impl Into<String>) -> Verdict {
    Verdict::Exceeds(code.into())
}

/// The guest is stopped for good because its fuel is used up, to the last unit.
pub(crate) fn out_of_fuel() -> Verdict {
    exceeds("out-of-fuel")
}

/// The caller gets an error with this code; the instance goes on.
pub(crate) fn fails(code: impl Into<String>) -> Verdict {
    Verdict::Fails(code.into())
}

/// The call returns this answer; the instance goes on.
pub(crate) fn returns(answer: impl Into<String>) -> Verdict {
    Verdict::Returns(answer.into())
}

/// The module is accepted, and nothing of it is run.
pub(crate) fn loads() -> Verdict {
    returns("loaded")
}

/// The module is accepted and an instance of it is made; its start function ends well.
pub(crate) fn starts() -> Verdict {
    returns("started")
}

impl Verdict {
    /// The first word of a verdict, as reports show it, in the order of the variants.
    pub(crate) const WORDS: [&str; 5] = ["refused", "traps", "exceeds", "fails", "returns"];

    /// The place of this verdict's word in [`Self::WORDS`].
    pub(crate) const fn word(&self) -> usize {
        match self {
            Self::Refused(_) => 0,
            Self::Traps(_) => 1,
            Self::Exceeds(_) => 2,
            Self::Fails(_) => 3,
            Self::Returns(_) => 4,
        }
    }

    /// The error's code, or the answer.
    pub(crate) fn code(&self) -> &str {
        let (Self::Refused(code)
        | Self::Traps(code)
        | Self::Exceeds(code)
        | Self::Fails(code)
        | Self::Returns(code)) = self;
        code
    }

    /// Whether the instance must refuse all later calls.
    const fn stops(&self) -> bool {
        matches!(self, Self::Traps(_) | Self::Exceeds(_))
    }

    /// Judges a call that failed.
    ///
    /// # Panics
    ///
    /// If the error's text contains a control character: a guest could forge log lines with it.
    pub(crate) fn of_call_error(error: &CallError) -> Self {
        let shown = error.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        let code = error.code();
        match error {
            CallError::OutOfFuel { .. }
            | CallError::Deadline { .. }
            | CallError::Cancelled
            | CallError::HostCalls { .. }
            | CallError::ArgumentTooLarge { .. }
            | CallError::BytesToGuest { .. } => exceeds(code),
            error if error.stops() => traps(code),
            _ => fails(code),
        }
    }

    /// Judges a refusal to load, with the limit or the mismatches that it names.
    ///
    /// # Panics
    ///
    /// If the error's text contains a control character, or more lines than it has mismatches.
    pub(crate) fn of_load_error(error: &LoadError) -> Self {
        let shown = error.to_string();
        let code = match error {
            LoadError::OverLimit {
                name: cap,
                limit,
                found,
            } => {
                assert!(found > limit, "{shown}");
                format!("over-limit {cap}")
            }
            LoadError::Mismatch(all) => {
                let lines = format!("{error:#}").lines().count();
                assert_eq!(lines, all.len() + 1, "a forged line in {shown:?}");
                // One line more may advise to stub an import.
                assert!(shown.lines().count() <= lines + 1, "{shown:?}");
                let kinds: Vec<_> = all.iter().map(kind).collect();
                format!("mismatch {}", kinds.join("+"))
            }
            error => error.code().to_owned(),
        };
        let hidden = |c: char| c.is_control() && c != '\n';
        assert!(!shown.contains(hidden), "{shown:?}");
        refused(code)
    }

    /// Judges a file that could not be loaded.
    pub(crate) fn of_file_error(error: &FileError) -> Self {
        match error.reason() {
            FileReason::Load(error) => Self::of_load_error(error),
            _ => refused(error.code()),
        }
    }

    /// Judges a call that returns bytes: up to 64 are shown escaped, more by their number.
    pub(crate) fn of_bytes(result: Result<Vec<u8>, CallError>) -> Self {
        match result {
            Ok(bytes) if bytes.len() > 64 => returns(format!("{} bytes", bytes.len())),
            Ok(bytes) => returns(bytes.escape_ascii().to_string()),
            Err(error) => Self::of_call_error(&error),
        }
    }

    /// Judges a call of a component. Behind `trap-abi` follows what the guest did.
    pub(crate) fn of_component(result: Result<Option<component::Value>, CallError>) -> Self {
        match result {
            Ok(value) => returns(value.map_or_else(String::new, |value| format!("{value:?}"))),
            Err(CallError::Trap(trap)) if trap.kind() == TrapKind::Abi => {
                traps(format!("trap-abi {}", trap.message()))
            }
            Err(CallError::Trap(trap)) if trap.kind() == TrapKind::Instantiation => {
                traps(format!("trap-instantiation {}", trap.message()))
            }
            Err(error) => Self::of_call_error(&error),
        }
    }

    /// Judges a call whose answer is text.
    pub(crate) fn of_answer<A: Display>(result: Result<A, CallError>) -> Self {
        match result {
            Ok(answer) => returns(answer.to_string()),
            Err(error) => Self::of_call_error(&error),
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", Self::WORDS[self.word()], self.code()))
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

/// A module: its text, or a function that makes its bytes, so that large ones exist only while
/// their case runs.
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

/// The action that a module is given.
pub(crate) enum Action {
    /// It is loaded.
    Load,
    /// It is loaded, and an instance is made.
    Start,
    /// An instance processes these bytes.
    Process(Vec<u8>),
    /// An export of an instance is called with these values.
    Call(&'static str, Vec<Value>),
    /// A function or operation of an instance whose convention is another host's is called with bytes.
    Bytes(&'static str, Vec<u8>),
    /// The module is a component, and is loaded.
    LoadComponent,
    /// The module is a component, whose export is called with these values: at once in one instance, and by
    /// steps in another.
    Component(&'static str, Vec<component::Value>),
    /// Code of the test does what the other actions can't.
    Script(Box<dyn Fn(&Setup<'_>) -> Verdict + Sync>),
}

/// The engine, grants and module of a [script](Action::Script).
pub(crate) struct Setup<'a> {
    /// An engine with the limits and the budget of the case.
    pub engine: Engine,
    /// The grants of every hostile guest.
    pub grants: Grants<()>,
    /// The records that the guest logged.
    pub lines: Lines,
    /// The module.
    pub wasm: &'a [u8],
}

impl Setup<'_> {
    pub(crate) fn load(&self) -> Result<Plugin, LoadError> {
        self.engine.load("guest", self.wasm, &self.grants)
    }

    /// Loads a component.
    pub(crate) fn load_component(&self) -> Result<Plugin, LoadError> {
        self.engine.load_component("guest", self.wasm, &self.grants)
    }

    /// Loads a module that must load.
    pub(crate) fn plugin(&self) -> Plugin {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Loads a module that must load, and makes an instance of it, which must start.
    pub(crate) fn instance(&self) -> Instance {
        let instance = self.plugin().instantiate(());
        instance.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// One hostile guest.
pub(crate) struct Case {
    /// The threat's id in docs/threats.md, a slash, and the attack.
    pub name: String,
    pub module: Source,
    pub action: Action,
    pub verdict: Verdict,
    pub limits: Limits,
    pub budget: Budget,
    /// How many instances exist at once.
    pub instances: usize,
    /// Bytes of Extism's blocks that a script has its guest fill.
    pub blocks: usize,
    /// How many panics of a host function the case causes on purpose. Each must be contained.
    pub panics: usize,
    /// Whether the case runs in a process of its own: if it failed, it would end the whole process.
    pub own_process: bool,
}

/// Fuel of each call, unless a case says otherwise.
pub(crate) const FUEL: u64 = 50_000;

/// Most pages of 64 KiB that an instance's memory may have, unless a case says otherwise.
pub(crate) const PAGES: usize = 16;

impl Case {
    fn new(name: impl Into<String>, module: Source, action: Action, verdict: Verdict) -> Self {
        // Under tail dispatch each growth leaves native stack in use until a slice of fuel ends.
        let grows = matches!(&module, Source::Text(text) if text.contains("memory.grow"));
        let own_process = grows && matches!(verdict, Verdict::Exceeds(_));
        let mut limits = Limits::server();
        limits.memory_bytes = PAGES << 16;
        Self {
            name: name.into(),
            module,
            action,
            verdict,
            limits,
            budget: Budget::server().with_fuel(FUEL),
            instances: 1,
            blocks: 0,
            panics: 0,
            own_process,
        }
    }

    /// A module that is loaded.
    pub(crate) fn load(
        name: impl Into<String>,
        module: impl Into<Source>,
        verdict: Verdict,
    ) -> Self {
        Self::new(name, module.into(), Action::Load, verdict)
    }

    /// A module of which an instance is made.
    pub(crate) fn start(
        name: impl Into<String>,
        module: impl Into<Source>,
        verdict: Verdict,
    ) -> Self {
        Self::new(name, module.into(), Action::Start, verdict)
    }

    /// A guest that processes `input`.
    pub(crate) fn process(
        name: impl Into<String>,
        module: impl Into<Source>,
        input: impl Into<Vec<u8>>,
        verdict: Verdict,
    ) -> Self {
        let action = Action::Process(input.into());
        Self::new(name, module.into(), action, verdict)
    }

    /// A guest whose export is called with `params`. Its results are shown with a space between.
    pub(crate) fn call(
        name: impl Into<String>,
        module: impl Into<Source>,
        (export, params): (&'static str, &[Value]),
        verdict: Verdict,
    ) -> Self {
        let action = Action::Call(export, params.to_vec());
        Self::new(name, module.into(), action, verdict)
    }

    /// A guest whose export `run` is called without parameters.
    pub(crate) fn run_export(
        name: impl Into<String>,
        module: impl Into<Source>,
        verdict: Verdict,
    ) -> Self {
        Self::call(name, module, ("run", &[]), verdict)
    }

    /// A guest of another host's convention, whose function or operation `run` is called with `input`.
    pub(crate) fn foreign(
        name: impl Into<String>,
        module: impl Into<Source>,
        input: impl Into<Vec<u8>>,
        verdict: Verdict,
    ) -> Self {
        let action = Action::Bytes("run", input.into());
        Self::new(name, module.into(), action, verdict)
    }

    /// A component that is loaded.
    pub(crate) fn load_component(
        name: impl Into<String>,
        module: impl Into<Source>,
        verdict: Verdict,
    ) -> Self {
        Self::new(name, module.into(), Action::LoadComponent, verdict)
    }

    /// A component whose export `run` is called with `params`.
    pub(crate) fn component(
        name: impl Into<String>,
        module: impl Into<Source>,
        params: &[component::Value],
        verdict: Verdict,
    ) -> Self {
        let action = Action::Component("run", params.to_vec());
        Self::new(name, module.into(), action, verdict)
    }

    /// A guest that code of the test attacks with.
    pub(crate) fn script(
        name: impl Into<String>,
        module: impl Into<Source>,
        verdict: Verdict,
        script: impl Fn(&Setup<'_>) -> Verdict + Sync + 'static,
    ) -> Self {
        let action = Action::Script(Box::new(script));
        Self::new(name, module.into(), action, verdict)
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

    /// Sets the bytes of Extism's blocks that a script has its guest fill, and of what the host makes of them.
    pub(crate) fn blocks(mut self, bytes: usize) -> Self {
        self.blocks = bytes;
        self
    }

    pub(crate) fn panics(mut self, panics: usize) -> Self {
        self.panics = panics;
        self
    }

    pub(crate) fn own_process(mut self) -> Self {
        self.own_process = true;
        self
    }

    /// The id of the threat: the part of the name before the slash.
    pub(crate) fn threat(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Returns the most bytes of heap that the host may use for the case: the footprint told of its
    /// module, what its environment may hold, and 64 KiB for inputs, outputs and messages. Bytes that are no module have no
    /// footprint; for them it is 32 times their number, and 1 MiB.
    pub(crate) fn heap_bound(&self, wasm: &[u8]) -> usize {
        let Ok(module) = ModuleInfo::read(wasm) else {
            let memory = match &self.action {
                Action::Component(..) => self.limits.memory_bytes,
                _ => 0,
            };
            return 32 * wasm.len() + (1 << 20) + memory;
        };
        let mut limits = self.limits;
        limits.instances = self.instances;
        let most = module.footprint(&limits).total();
        // Blocks of Extism's environment lie beside the guest's memory, within the same limit.
        let blocks = match &self.action {
            Action::Bytes(..) => self.limits.memory_bytes,
            _ => self.blocks,
        };
        usize::try_from(most).expect("a small module") + blocks + (64 << 10)
    }

    /// Returns the engine and the grants of the case, with its module `wasm`.
    pub(crate) fn setup<'a>(&self, wasm: &'a [u8]) -> Setup<'a> {
        let lines = Lines::default();
        let engine = Engine::new(self.limits)
            .with_budget(self.budget)
            .with_platform(hostel::Std::new());
        Setup {
            engine,
            grants: granted(&lines),
            lines,
            wasm,
        }
    }

    /// Runs the case and judges how it ended.
    ///
    /// # Panics
    ///
    /// If an instance is not in the state that the verdict says.
    pub(crate) fn run(&self, wasm: &[u8]) -> Verdict {
        let setup = self.setup(wasm);
        if let Action::Script(script) = &self.action {
            return script(&setup);
        }
        if let Action::LoadComponent | Action::Component(..) = &self.action {
            return self.run_component(&setup);
        }
        let plugin = match setup.load() {
            Ok(plugin) => plugin,
            Err(error) => return Verdict::of_load_error(&error),
        };
        if let Action::Load = &self.action {
            return loads();
        }
        let mut instance = match plugin.instantiate(()) {
            Ok(instance) => instance,
            Err(error) => return Verdict::of_call_error(&error),
        };
        let verdict = self.act(&mut instance);
        self.check_aftermath(&plugin, &mut instance, &verdict);
        verdict
    }

    /// Loads a component and calls its export: at once, and by steps in another instance, which must end alike
    /// and use equal fuel.
    fn run_component(&self, setup: &Setup<'_>) -> Verdict {
        let plugin = match setup.load_component() {
            Ok(plugin) => plugin,
            Err(error) => return Verdict::of_load_error(&error),
        };
        let Action::Component(export, params) = &self.action else {
            return loads();
        };
        let mut instance = match plugin.instantiate(()) {
            Ok(instance) => instance,
            Err(error) => return Verdict::of_component(Err(error)),
        };
        let verdict = Verdict::of_component(instance.call_component_values(export, params));
        let used = self.check_component(&mut instance, export, &verdict);
        drop(instance);
        let mut instance = plugin.instantiate(()).expect("it did before");
        let mut call = instance.call_component_values_async(export, params);
        let stepped = loop {
            match call.step(1_000) {
                Step::Done(ended) => break Verdict::of_component(ended),
                Step::More => {}
                Step::Waiting => panic!("it waits for nothing"),
            }
        };
        drop(call);
        assert_eq!(stepped, verdict, "by steps");
        let stepped = self.check_component(&mut instance, export, &verdict);
        assert_eq!(stepped, used, "fuel by steps, and at once");
        verdict
    }

    /// Checks that a component's instance is stopped or goes on as the verdict says, and used no more than it may.
    /// Returns the fuel that the call used.
    fn check_component(&self, instance: &mut Instance, export: &str, verdict: &Verdict) -> u64 {
        let used = instance.usage();
        assert!(used.fuel <= self.budget.fuel, "{used:?}");
        assert!(used.host_calls <= self.budget.host_calls, "{used:?}");
        assert!(instance.memory_bytes() <= self.limits.memory_bytes);
        assert_eq!(instance.is_stopped(), verdict.stops(), "{verdict}");
        if verdict.code() == "out-of-fuel" {
            assert_eq!(used.fuel, self.budget.fuel);
        }
        if verdict.stops() {
            let again = instance.call_component_values(export, &[]);
            assert_eq!(again, Err(CallError::Stopped));
        }
        used.fuel
    }

    fn act(&self, instance: &mut Instance) -> Verdict {
        match &self.action {
            Action::Process(input) => Verdict::of_bytes(instance.process(input)),
            Action::Call(export, params) => {
                let values = instance.call_values(export, params);
                Verdict::of_answer(values.map(|values| {
                    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                    values.join(" ")
                }))
            }
            Action::Bytes(export, input) => {
                Verdict::of_bytes(instance.call_bytes(export, input, <[u8]>::to_vec))
            }
            _ => starts(),
        }
    }

    /// Checks that a stopped instance refuses calls, that another goes on as if nothing had
    /// happened, and that neither used more than it was allowed to.
    fn check_aftermath(&self, plugin: &Plugin, instance: &mut Instance, verdict: &Verdict) {
        assert_eq!(instance.is_stopped(), verdict.stops());
        let used = instance.usage();
        assert!(used.fuel <= self.budget.fuel, "{used:?}");
        assert!(used.host_calls <= self.budget.host_calls, "{used:?}");
        assert!(instance.memory_bytes() <= self.limits.memory_bytes);
        if verdict.code() == "out-of-fuel" {
            // Fuel that is left must not serve the next call.
            assert_eq!(used.fuel, self.budget.fuel);
        }
        if verdict.stops() {
            assert_eq!(instance.call_values("fine", &[]), Err(CallError::Stopped));
            assert_eq!(instance.process(b""), Err(CallError::Stopped));
        } else {
            if let Verdict::Fails(_) = verdict {
                assert_eq!(self.act(instance), *verdict, "the second time");
            }
            if plugin.info().export_named("fine").is_some() {
                assert_eq!(instance.call("fine", ()), Ok(7u32), "it goes on");
            }
        }
    }
}

/// Grants all that a hostile guest may import.
fn granted(lines: &Lines) -> Grants<()> {
    let text = "hello";
    let interface = Interface::root()
        .dynamic("sink", |_, _| Ok(None))
        .function("give", move || Ok::<_, Trap>(text))
        .function("number", || Ok::<_, Trap>(7u32))
        .function("boom", || -> Result<u32, Trap> { panic!("on purpose") });
    lines
        .granted()
        .interface(interface)
        .config([("key", "value"), ("empty", ""), ("prefix", "CUSTOM")])
        .state(MemoryState::new(StateLimits::server()))
        .extism(Extism::new().config([("key", "value")]))
        .wapc(Wapc::new().callback(|request| Ok(request.payload.to_vec())))
        .typst()
        .function("host", "noop", || {})
        .function("host", "text", |_: &str| {})
        .function("host", "bytes", |_: &[u8]| {})
        .function("host", "give", || "hello")
        .function("host", "echo", |text: &str| -> String { text.into() })
        .function("host", "pair", || (7u32, 8u32))
        .function("host", "boom", || -> u32 { panic!("on purpose") })
}
