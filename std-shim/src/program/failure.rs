//! Why the program did not do what it was asked, in words for people and for programs.

use super::exit::Exit;
use hostel::{
    CallError, FileError, FileReason, LoadError, Mismatch, SnapshotError, StateFileError, grant_for,
};
use serde_json::{Value, json};
use std::{fmt::Display, path::Path};

/// A failure. Its texts may hold what a guest or a file said, as it was said.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// The stable code of the kind of failure.
    code: &'static str,
    pub(super) message: String,
    /// The single faults, where there may be several.
    pub(super) details: Vec<String>,
    /// What to do about it.
    pub(super) hint: Option<&'static str>,
}

impl Failure {
    fn new(exit: Exit, code: &'static str, message: String) -> Self {
        Self {
            exit,
            code,
            message,
            details: Vec::new(),
            hint: None,
        }
    }

    pub(super) fn usage(message: String, hint: Option<&'static str>) -> Self {
        Self {
            hint,
            ..Self::new(Exit::Usage, "usage", message)
        }
    }

    /// The module in the file `path` did not load.
    pub(super) fn load(path: &Path, error: &LoadError) -> Self {
        let message = format!("can't load {}", path.display());
        let mut failure = Self::new(Exit::Load, error.code(), format!("{message}: {error}"));
        match error {
            LoadError::Mismatch(all) => {
                failure.message = format!("{message}: it does not fit ({} found)", all.len());
                failure.details = all.iter().map(ToString::to_string).collect();
                let needs_state = |one: &Mismatch| {
                    matches!(one, Mismatch::UnknownImport { module, name, .. }
                        if grant_for(module, name) == Some("state"))
                };
                if all.iter().any(needs_state) {
                    failure.hint = Some("let it keep state in a file with --state FILE");
                }
            }
            LoadError::OverLimit {
                name: "memory_bytes",
                ..
            } => {
                failure.hint = Some("allow more with `hostel run --memory`");
            }
            _ => {}
        }
        failure
    }

    /// The module in the file `path` is refused by `all`, and perhaps by more unless that is
    /// `complete`.
    pub(super) fn refused(path: &Path, all: &[LoadError], complete: bool) -> Self {
        let is_limit = |error: &LoadError| {
            matches!(
                error,
                LoadError::OverLimit { .. }
                    | LoadError::TooLarge { .. }
                    | LoadError::DoesNotFit { .. }
            )
        };
        let mut failure = match all {
            [error] if !is_limit(error) => Self::load(path, error),
            _ => {
                let code = all.first().map_or("refused", LoadError::code);
                let details: Vec<_> = all.iter().flat_map(reasons).collect();
                let message = format!("can't run {}: {} in the way", path.display(), details.len());
                Self {
                    details,
                    ..Self::new(Exit::Load, code, message)
                }
            }
        };
        failure.hint = match all.last() {
            Some(LoadError::Unsupported { .. } | LoadError::OverLimit { .. }) if !complete => {
                Some("the last one hides what may come after it: mend it, then probe again")
            }
            _ if all.iter().any(is_limit) => Some("allow more with --limit NAME=N"),
            _ => None,
        };
        failure
    }

    pub(super) fn output(error: &std::io::Error) -> Self {
        let message = format!("can't write the output: {error}");
        Self::new(Exit::Own, "output", message)
    }

    pub(super) fn threads(many: u32, error: &std::io::Error) -> Self {
        let message = format!("can't start {many} threads: {error}");
        Self {
            hint: Some("ask for less with --concurrency, or for one thread with --sliced"),
            ..Self::new(Exit::Own, "threads", message)
        }
    }

    pub(super) fn snapshot(error: &SnapshotError) -> Self {
        Self::new(Exit::Load, error.code(), error.to_string())
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "code": self.code,
            "message": self.message,
            "details": self.details,
            "hint": self.hint,
        })
    }
}

/// What one error says, in few words.
fn reasons(error: &LoadError) -> Vec<String> {
    match error {
        LoadError::Mismatch(all) => all.iter().map(ToString::to_string).collect(),
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

fn over(cap: &str, limit: impl Display, found: impl Display) -> String {
    format!("limit `{cap}`: {limit} allowed, {found} found")
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let hint = match &error {
            CallError::UnknownExport { .. } => Some("choose a function with --call NAME"),
            CallError::OutOfFuel { .. } => Some("allow more with --fuel, if that is expected"),
            CallError::Deadline { .. } => Some("allow more with --timeout, if that is expected"),
            CallError::NoMemory { .. } => Some("allow more with --memory, if it ran into that"),
            _ => None,
        };
        Self {
            hint,
            ..Self::new(Exit::from(&error), error.code(), error.to_string())
        }
    }
}

impl From<StateFileError> for Failure {
    fn from(error: StateFileError) -> Self {
        Self::new(Exit::Usage, error.code(), error.to_string())
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
