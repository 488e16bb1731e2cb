//! Failures of the program, as text for people and as JSON for programs.

use super::{callback, exit::Exit, limits, plugin::STATE_WAIT};
use hostel::{
    CallError, FileError, FileReason, LoadError, ManifestError, ManifestReason, Mismatch,
    RefusedGrowth, SnapshotError, StateFileError, StateFileReason, TrapKind, grant_for,
};
use hostel_contract::{CallTextError, Difference, ReadError};
use hostel_lower::LowerError;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use std::{fmt::Display, io, iter, path::Path};

/// A failure. Its texts may contain control characters from a plugin or a file name.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// The stable code of this kind of failure.
    code: &'static str,
    pub(super) message: String,
    /// The individual problems, if there can be several.
    pub(super) details: Vec<String>,
    /// How to solve the problem.
    pub(super) hint: Option<String>,
    /// The first import that nothing supplies, as the hint names it.
    missing: Option<String>,
    /// Whether the message says that a growth of memory was refused.
    told_refusal: bool,
}

impl Failure {
    pub(super) fn new(exit: Exit, code: &'static str, message: String) -> Self {
        Self {
            exit,
            code,
            message: translated(message),
            details: Vec::new(),
            hint: None,
            missing: None,
            told_refusal: false,
        }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message.into())
    }

    /// Says of which test case the failure is. Its advice names keys of the file, in place of options of `run`.
    pub(super) fn in_case(mut self, name: &str) -> Self {
        if let Some(import) = &self.missing {
            let name = import.strip_prefix("$root#").unwrap_or(import);
            self.hint = Some(format!(
                "answer it in the table `host`: \"{name}\" = ANSWER, or, if the plugin can do without the function, \"{import}\" = {{ trap = true }}"
            ));
        }
        let texts = self.details.iter_mut().chain(&mut self.hint);
        for text in iter::once(&mut self.message).chain(texts) {
            for (option, key) in KEYS {
                *text = text.replace(option, key);
            }
        }
        self.message = format!("case `{name}`: {}", self.message);
        self
    }

    /// Gives the advice of a command that has `--stub`, and no option that answers imports.
    pub(super) fn of_plugin_at_rest(mut self) -> Self {
        if let Some(import) = &self.missing {
            let stub = quoted(import);
            let answer = answer_for(import);
            self.hint = Some(format!(
                "the program that embeds the plugin supplies it, or `hostel run {answer}`; if the plugin can do without the function, add --stub {stub}"
            ));
        }
        self
    }

    /// Reports the faults of a file, each in one line.
    pub(super) fn faults(file: &Path, details: Vec<String>) -> Self {
        let faults = match details.len() {
            1 => "1 fault".to_owned(),
            count => format!("{count} faults"),
        };
        let message = format!("{faults} in {}", file.display());
        Self {
            details,
            ..Self::usage(message)
        }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the growth of memory that was refused before the failure, unless the message has it.
    pub(super) fn after_refusal(self, refused: Option<RefusedGrowth>) -> Self {
        match refused.map(refusal) {
            Some(hint) if !self.told_refusal => self.with_hint(hint),
            _ => self,
        }
    }

    /// Reports that the module in the file `path` can't be loaded.
    pub(super) fn load(path: &Path, error: &LoadError) -> Self {
        Self::loading(format!("can't load {}", path.display()), error)
    }

    /// Reports a module that can't be loaded, after `message`.
    fn loading(mut message: String, error: &LoadError) -> Self {
        let error = match error {
            LoadError::InModule { module, error } => {
                message = format!("{message}, module `{module}`");
                &**error
            }
            error => error,
        };
        // The hint has the option that raises a limit.
        let mut failure = Self::new(Exit::Load, error.code(), format!("{message}: {error:#}"));
        match error {
            LoadError::Mismatch(all) => {
                failure.message = format!(
                    "{message}: {} with imports and exports",
                    problems(all.len())
                );
                failure.details = all.iter().map(mismatch).collect();
                let needs_state = |one: &Mismatch| {
                    matches!(one, Mismatch::UnknownImport { module, name, .. }
                        if grant_for(module, name) == Some("state"))
                };
                if all.iter().any(needs_state) {
                    return failure
                        .with_hint("give the plugin a file for its state with --state FILE");
                }
                if let Some(Mismatch::UnknownImport { module, name, .. }) =
                    all.iter().find(|one| one.could_be_stubbed())
                {
                    let separator = match callback::is_interface(module) {
                        true => '#',
                        false => '.',
                    };
                    let import = format!("{module}{separator}{name}");
                    let (answer, stub) = (answer_for(&import), quoted(&import));
                    failure.missing = Some(import);
                    return failure.with_hint(format!(
                        "answer it with {answer}, or, if the plugin can do without the function, add --stub {stub}"
                    ));
                }
            }
            error => {
                if let Some(option) = raise(error) {
                    return failure.with_hint(format!("raise the limit with {option}"));
                }
                if let LoadError::NeedsProposal { remedy, .. } = error {
                    return failure.with_hint(*remedy);
                }
            }
        }
        failure
    }

    /// Reports all problems that keep the module in the file `path` from running. If not
    /// `complete`, the last of them may hide further ones.
    pub(super) fn refused(path: &Path, all: &[LoadError], complete: bool) -> Self {
        let mut options: Vec<String> = Vec::new();
        for option in all.iter().filter_map(raise) {
            // Of a component a limit can be exceeded by a module, and more by the sum.
            let name = |option: &str| option.split('=').next().map(str::to_owned);
            options.retain(|known| name(known) != name(&option));
            options.push(option);
        }
        let failure = match all {
            [error] if options.is_empty() => Self::load(path, error),
            _ => {
                let code = all.first().map_or("refused", LoadError::code);
                let details: Vec<_> = all.iter().flat_map(reasons).collect();
                let problems = problems(details.len());
                let message = format!("can't run {}: {problems}", path.display());
                Self {
                    details,
                    ..Self::new(Exit::Load, code, message)
                }
            }
        };
        match all.last() {
            Some(
                LoadError::Unsupported { .. }
                | LoadError::NeedsProposal { .. }
                | LoadError::OverLimit { .. },
            ) if !complete => failure
                .with_hint("the last problem may hide others: fix it and run `hostel probe` again"),
            _ => match &*options {
                [] => failure,
                [option] => failure.with_hint(format!("raise the limit with {option}")),
                several => {
                    failure.with_hint(format!("raise the limits with {}", several.join(" ")))
                }
            },
        }
    }

    pub(super) fn output(error: &io::Error) -> Self {
        let message = format!("can't write the output: {error}");
        Self::new(Exit::Own, "output", message)
    }

    pub(super) fn unwritable(path: &Path, error: &io::Error) -> Self {
        let message = format!("can't write {}: {error}", path.display());
        Self::new(Exit::Usage, "file-unwritable", message)
    }

    pub(super) fn threads(many: u32, error: &io::Error) -> Self {
        let message = format!("can't start {many} threads: {error}");
        Self::new(Exit::Own, "threads", message)
            .with_hint("lower --concurrency, or use one thread with --sliced")
    }

    /// Reports that the contract of the plugin in the file `path` can't be read.
    pub(super) fn contract(path: &Path, error: &ReadError) -> Self {
        let message = format!("can't read the contract of {}: {error}", path.display());
        Self::new(Exit::Load, error.code(), message)
    }

    /// Reports that `text` is no call, or no answer, that the contract has.
    pub(super) fn call_text(text: &str, error: &CallTextError) -> Self {
        let exit = match error {
            CallTextError::Unknown { .. } => Exit::Load,
            _ => Exit::Usage,
        };
        let message = match error {
            CallTextError::Unknown { .. }
            | CallTextError::UnknownImport { .. }
            | CallTextError::Ambiguous { .. } => error.to_string(),
            _ => format!("`{text}`: {error}"),
        };
        Self::new(exit, error.code(), message)
    }

    /// Reports that the world in the file or directory `path` can't be read.
    pub(super) fn wit(path: &Path, error: &ReadError) -> Self {
        let shown = path.display().to_string();
        let message = match error {
            // It names the file.
            ReadError::File { .. } => error.to_string(),
            ReadError::Wit { message } if message.starts_with(&shown) => {
                format!("invalid WIT: {message}")
            }
            _ => format!("can't read the WIT of {shown}: {error}"),
        };
        let failure = Self::new(Exit::Usage, error.code(), message);
        match error {
            ReadError::World { .. } => failure.with_hint("choose a world with --world NAME"),
            ReadError::Wit { .. } if path.is_file() => failure.with_hint(
                "if it uses other packages, put them into a folder `deps` beside it, and give the directory",
            ),
            _ => failure,
        }
    }

    /// Reports that no files can be made of the world in the file or directory `path`.
    #[cfg(feature = "bindgen")]
    pub(super) fn bindings(path: &Path, reason: &str) -> Self {
        let message = format!("can't write bindings of {}: {reason}", path.display());
        Self::new(Exit::Usage, "bindings", message)
    }

    /// Reports a plugin that does not fit a world.
    pub(super) fn differences(path: &Path, world: &str, all: &[Difference]) -> Self {
        let count = match all.len() {
            1 => "1 difference".to_owned(),
            count => format!("{count} differences"),
        };
        let message = format!(
            "{} does not fit the world `{world}`: {count}",
            path.display()
        );
        Self {
            details: all.iter().map(ToString::to_string).collect(),
            ..Self::new(Exit::Load, "contract-mismatch", message)
        }
    }

    /// Reports that the component in the file `path` can't be lowered.
    pub(super) fn lower(path: &Path, error: &LowerError) -> Self {
        match error {
            LowerError::Load(error) => Self {
                hint: None,
                ..Self::load(path, error)
            },
            LowerError::Contract(error) => Self::contract(path, error),
            error => {
                let message = format!("can't lower {}: {error}", path.display());
                Self::new(Exit::Load, error.code(), message)
            }
        }
    }

    /// Reports that the plugin in the file `path` is a component, of which there are no snapshots.
    pub(super) fn snapshot(error: &SnapshotError) -> Self {
        Self::new(Exit::Load, error.code(), error.to_string())
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("code", self.code)?;
        map.serialize_entry("details", &self.details)?;
        map.serialize_entry("hint", &self.hint)?;
        map.serialize_entry("message", &self.message)?;
        map.end()
    }
}

/// Advice of the library's, and in its place that of the program.
const REMEDIES: [(&str, &str); 2] = [
    // The program always grants it: only a manifest takes it away.
    (
        "grant it with `Extism::http`",
        "name the hosts in `allowed_hosts` of the manifest, and allow them with --allow-host HOST",
    ),
    (
        "raise `http_response_bytes`, `memory_bytes` or `bytes_to_guest`",
        "up to 50 MiB are possible with --memory SIZE and --limit bytes_to_guest=N",
    ),
];

/// Advice for `run`, and in its place that for a case of `hostel test`.
const KEYS: [(&str, &str); 19] = [
    ("--abi has no effect", "`abi` has no effect"),
    ("--config has no effect", "`settings` has no effect"),
    ("--state has no effect", "`state` has no effect"),
    (
        "by --env KEY=VALUE and files by --dir",
        "in the key `env` and files in the key `dirs`",
    ),
    ("by --callback FUNCTION=VALUE", "in the table `host`"),
    ("--callback: ", "`host`: "),
    (
        "write --callback 'INTERFACE#FUNCTION=VALUE'",
        "name each function in the table `host`: \"INTERFACE#FUNCTION\" = VALUE",
    ),
    (
        "--callback ANSWER of `hostel run` answers it",
        "answer it in the table `host`",
    ),
    ("--allow-host HOST", "`hostel run --allow-host HOST`"),
    (
        "pass arguments with --arg TEXT, and stdin with < FILE",
        "pass arguments in the key `args`",
    ),
    (
        "give the plugin a file for its state with --state FILE",
        "give the plugin the key `state`",
    ),
    (
        "the function with --call NAME",
        "the function in the key `call`",
    ),
    (
        "a function with --call NAME",
        "a function in the key `call`",
    ),
    ("add --abi extism", "add `abi = \"extism\"`"),
    ("add --numbers", "add `numbers = true`"),
    ("with --fuel N", "in the key `fuel`"),
    ("with --memory SIZE", "in the key `memory`"),
    ("with --timeout TIME", "in the key `timeout`"),
    ("with --limit ", "in the key `limits`: "),
];

/// Returns an import for a command line: that of an interface has characters of the shell.
fn quoted(import: &str) -> String {
    match import.contains('#') {
        true => format!("'{import}'"),
        false => import.to_owned(),
    }
}

/// Returns the option that answers an import.
fn answer_for(import: &str) -> String {
    let module = import.split_once('.').map_or(import, |(module, _)| module);
    let name = import.strip_prefix("$root#").unwrap_or(import);
    match callback::answers(module) {
        true => "--callback ANSWER".to_owned(),
        false => format!("--callback '{name}=VALUE'"),
    }
}

fn translated(message: String) -> String {
    let mut all = REMEDIES.iter();
    match all.find(|(library, _)| message.contains(library)) {
        Some((library, program)) => message.replace(library, program),
        None => message,
    }
}

/// Describes an import or export that does not fit.
pub(super) fn mismatch(one: &Mismatch) -> String {
    let program = match one {
        Mismatch::UnknownImport { module, .. } if callback::answers(module) => {
            "--callback ANSWER of `hostel run` answers it"
        }
        _ => "the program can't supply it",
    };
    one.to_string()
        .replace("grant it with `Extism::function`", program)
}

/// Says that a growth of memory was refused, and how to raise the limit.
pub(super) fn refusal(refused: RefusedGrowth) -> String {
    let remedy = match refused.limit {
        Some(_) => ": raise it with --memory SIZE",
        None => "",
    };
    format!("{refused}{remedy}")
}

fn problems(count: usize) -> String {
    match count {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    }
}

/// Returns the problems in one error, each in one line.
fn reasons(error: &LoadError) -> Vec<String> {
    match error {
        LoadError::InModule { module, error } => reasons(error)
            .iter()
            .map(|reason| format!("module `{module}`: {reason}"))
            .collect(),
        LoadError::Mismatch(all) => all.iter().map(mismatch).collect(),
        LoadError::TooLarge { limit, found } => vec![over("module_bytes", *limit, *found)],
        LoadError::OverLimit {
            name: cap,
            limit,
            found,
        } => vec![over(cap, *limit, *found)],
        LoadError::DoesNotFit { needed, free } => vec![over("heap_bytes", *free, *needed)],
        error => vec![error.to_string()],
    }
}

/// Returns the option that raises the limit which a module exceeds, if it exceeds one.
fn raise(error: &LoadError) -> Option<String> {
    match error {
        LoadError::InModule { error, .. } => raise(error),
        LoadError::TooLarge { found, .. } => Some(limit("module_bytes", found)),
        LoadError::OverLimit {
            name: cap, found, ..
        } => limits::option(cap).map(|name| limit(name, enough(name, *found))),
        LoadError::DoesNotFit { needed, .. } => Some(limit("heap_bytes", needed)),
        _ => None,
    }
}

/// Returns a value of the limit `name` that the module may be within. Some things are only counted until they
/// exceed the limit, so that there may be many more of them than `found`.
fn enough(name: &str, found: u64) -> u64 {
    match name {
        "custom_sections" | "nesting" | "memory_grows" => found.saturating_mul(2),
        _ => found,
    }
}

fn limit(name: &str, value: impl Display) -> String {
    format!("--limit {name}={value}")
}

fn over(cap: &str, limit: impl Display, found: impl Display) -> String {
    format!("limit `{cap}`: {limit} allowed, {found} found")
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let option = match &error {
            CallError::OutOfFuel { .. } => Some("--fuel N".to_owned()),
            CallError::Deadline { .. } => Some("--timeout TIME".to_owned()),
            CallError::InputTooLarge { found, .. } => Some(limit("input_bytes", found)),
            CallError::ErrorTooLarge { found, .. } => Some(limit("error_bytes", found)),
            CallError::OutputTooLarge { found, .. } => Some(limit("output_bytes", found)),
            CallError::ArgumentTooLarge { found, .. } => Some(limit("argument_bytes", found)),
            CallError::DoesNotFit { needed, .. } => Some(limit("heap_bytes", needed)),
            CallError::BytesToGuest { .. } => Some(limit("bytes_to_guest", "N")),
            CallError::HostCalls { .. } => Some(limit("host_calls", "N")),
            CallError::Busy { .. } => Some(limit("instances", "N")),
            CallError::Trap(trap) if trap.refused_growth().is_some_and(|it| it.limit.is_some()) => {
                Some("--memory SIZE".to_owned())
            }
            CallError::Trap(trap) if trap.kind() == TrapKind::StackOverflow => Some(format!(
                "{} or {}",
                limit("call_depth", "N"),
                limit("stack_bytes", "N")
            )),
            _ => None,
        };
        let hint = match (&error, option) {
            (CallError::UnknownExport { .. }, _) => {
                Some("choose a function with --call NAME".to_owned())
            }
            (CallError::NoMemory { .. }, _) => Some(
                "if the plugin reached its memory limit, raise it with --memory SIZE".to_owned(),
            ),
            (_, Some(option)) => Some(format!(
                "if the plugin needs more, raise the limit with {option}"
            )),
            _ => None,
        };
        let told_refusal =
            matches!(&error, CallError::Trap(trap) if trap.refused_growth().is_some());
        let failure = Self {
            told_refusal,
            ..Self::new(Exit::from(&error), error.code(), format!("{error:#}"))
        };
        match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl From<StateFileError> for Failure {
    fn from(error: StateFileError) -> Self {
        let failure = Self::new(Exit::Usage, error.code(), error.to_string());
        match error.reason() {
            StateFileReason::Locked => failure.with_hint(format!(
                "it was still open after {} s: run the programs that use it one after the other, or give each a file of its own",
                STATE_WAIT.as_secs()
            )),
            _ => failure,
        }
    }
}

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        let code = error.code();
        let failure = Self::new(Exit::Load, code, error.to_string());
        match (error.path(), error.reason()) {
            (Some(path), ManifestReason::Load(reason)) => Self::load(path, reason),
            (Some(path), ManifestReason::File(file)) => match file.reason() {
                FileReason::Load(reason) => {
                    let (path, file) = (path.display(), file.path().display());
                    Self::loading(format!("can't load {path}, module {file}"), reason)
                }
                _ => failure,
            },
            (_, ManifestReason::Outside { .. }) => failure.with_hint(
                "if you trust the manifest, add --trust-manifest, or --dir DIR with `run`",
            ),
            (_, ManifestReason::Directory { .. }) => failure.with_hint(
                "permit the directory with --dir DIR:rw or --dir DIR, or all that the manifest names with --trust-manifest",
            ),
            _ => failure,
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        match error.reason() {
            FileReason::Load(reason) => Self::load(error.path(), reason),
            FileReason::Write(_) => Self::new(Exit::Usage, error.code(), error.to_string()),
            _ => Self::new(Exit::Load, error.code(), error.to_string()),
        }
    }
}
