//! Answers the calls that a plugin makes of its host: those of waPC, and those of an Extism plugin's imports
//! that the environment does not have.

use hostel::{Extern, Extism, HostAnswer, HostRequest, ModuleInfo};
use std::{fs, path::PathBuf, str::FromStr};

/// The value of --callback.
#[derive(Clone, Debug)]
pub(super) enum Callback {
    /// The response is the payload, or the first argument.
    Echo,
    /// An error with this text.
    Fail(String),
    /// The response is the contents of a file.
    File(PathBuf),
}

impl FromStr for Callback {
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
        let own = |name: &str| name.starts_with(EXTISM) && name != ENVIRONMENT;
        let imports = module
            .imports
            .iter()
            .filter(|import| own(&import.module) && matches!(import.ty, Extern::Function(_)));
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
            Self::File(path) => {
                fs::read(path).map_err(|error| format!("can't read {}: {error}", path.display()))
            }
        }
    }
}
