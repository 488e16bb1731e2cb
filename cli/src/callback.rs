//! Answers the calls that a plugin makes of its host: those of waPC, and those of an Extism plugin's imports
//! that the environment does not have.

use super::{failure::Failure, input};
use hostel::{Extern, Extism, HostAnswer, HostRequest, ModuleInfo};
use std::{path::PathBuf, str::FromStr, sync::Arc};

/// The value of --callback.
#[derive(Clone, Debug)]
pub(super) enum GivenCallback {
    Echo,
    Fail(String),
    File(PathBuf),
}

impl FromStr for GivenCallback {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "echo" {
            Ok(Self::Echo)
        } else if let Some(text) = text.strip_prefix("fail:") {
            Ok(Self::Fail(text.to_owned()))
        } else if let Some(path) = text.strip_prefix('@') {
            Ok(Self::File(path.into()))
        } else {
            Err("expected echo, fail:TEXT or @FILE")
        }
    }
}

/// Returns whether --callback answers the functions of a module of Extism's convention.
pub(super) fn answers(module: &str) -> bool {
    module.starts_with(EXTISM) && module != ENVIRONMENT
}

impl GivenCallback {
    /// Reads its file, if it names one: at most `limit` bytes.
    pub(super) fn read(&self, limit: usize) -> Result<Callback, Failure> {
        Ok(match self {
            Self::Echo => Callback::Echo,
            Self::Fail(text) => Callback::Fail(text.clone()),
            Self::File(path) => {
                let bytes = input::read_plain(path, limit).map_err(|error| {
                    let path = path.display();
                    let failure =
                        Failure::usage(format!("can't read --callback from {path}: {error}"));
                    input::hint_at_limit(failure, &error, "bytes_to_guest")
                })?;
                Callback::Response(bytes.into())
            }
        })
    }
}

/// What a plugin's calls of its host return.
#[derive(Clone, Debug)]
pub(super) enum Callback {
    /// The payload, or the first argument.
    Echo,
    /// An error with this text.
    Fail(String),
    /// These bytes.
    Response(Arc<[u8]>),
}

/// How the names of the modules of Extism's convention begin, and the name of its environment.
const EXTISM: &str = "extism:host/";
const ENVIRONMENT: &str = "extism:host/env";

impl Callback {
    /// Answers one call of waPC.
    pub(super) fn answer(&self, request: &HostRequest<'_>) -> HostAnswer {
        self.answer_to(request.payload)
    }

    /// Grants the imports of `module` that are the embedder's functions by Extism's convention. They get one
    /// argument or several, of which the first is what the guest passes.
    pub(super) fn grant(&self, module: &ModuleInfo, extism: Extism) -> Extism {
        let imports = module
            .imports
            .iter()
            .filter(|import| answers(&import.module) && matches!(import.ty, Extern::Function(_)));
        imports.fold(extism, |extism, import| {
            let callback = self.clone();
            extism.function(&import.module, &import.name, move |arguments| {
                callback.answer_to(arguments.first().copied().unwrap_or_default())
            })
        })
    }

    fn answer_to(&self, payload: &[u8]) -> HostAnswer {
        match self {
            Self::Echo => Ok(payload.to_vec()),
            Self::Fail(text) => Err(text.clone()),
            Self::Response(bytes) => Ok(bytes.to_vec()),
        }
    }
}
