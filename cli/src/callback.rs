//! Answers the calls that a plugin makes of its host: those of waPC, and those of an Extism plugin's imports
//! that the environment does not have. Answers the imports of components and of core modules, each with one value.

use super::{answer::NamedAnswer, failure::Failure, input, testing};
use hostel::{
    Extern, Extism, Grants, HostAnswer, HostRequest, Import, ModuleInfo,
    component::{self, Interface},
};
use hostel_contract::{CallTextError, Contract};
use std::{path::PathBuf, str::FromStr, sync::Arc};

/// The value of --callback.
#[derive(Clone, Debug)]
pub(super) enum GivenCallback {
    /// For all functions of a convention.
    General(GivenAnswer),
    /// A value for an import of a component.
    Function { name: String, value: String },
    /// A value for an import of a core module.
    Import(NamedAnswer),
}

/// An answer of the host by waPC's or Extism's convention.
#[derive(Clone, Debug)]
pub(super) enum GivenAnswer {
    Echo,
    Fail(String),
    File(PathBuf),
    /// The bytes themselves, of a test.
    Bytes(Arc<[u8]>),
}

impl FromStr for GivenCallback {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "echo" {
            Ok(Self::General(GivenAnswer::Echo))
        } else if let Some(text) = text.strip_prefix("fail:") {
            Ok(Self::General(GivenAnswer::Fail(text.to_owned())))
        } else if let Some(path) = text.strip_prefix('@') {
            Ok(Self::General(GivenAnswer::File(path.into())))
        } else {
            let (name, value) = text
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or("expected echo, fail:TEXT, @FILE, FUNCTION=VALUE or MODULE.NAME=VALUE")?;
            if is_of_module(name) {
                return testing::named_answer(name, value).map(Self::Import);
            }
            Ok(Self::Function {
                name: name.to_owned(),
                value: value.to_owned(),
            })
        }
    }
}

impl GivenCallback {
    /// Returns the function for which it is; none if it is for all.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::General(_) => None,
            Self::Function { name, .. } | Self::Import(NamedAnswer { name, .. }) => Some(name),
        }
    }
}

/// Returns whether a name is that of a core module's import, `MODULE.NAME`.
pub(super) fn is_of_module(name: &str) -> bool {
    name.contains('.') && !name.contains('#')
}

/// Returns the answer to all calls of the host by waPC's or Extism's convention, if one is given.
pub(super) fn general(given: &[GivenCallback]) -> Result<Option<&GivenAnswer>, Failure> {
    let mut all = given.iter().filter_map(|given| match given {
        GivenCallback::General(answer) => Some(answer),
        _ => None,
    });
    let first = all.next();
    match all.next() {
        Some(_) => Err(Failure::usage(
            "--callback has several answers: expected one of echo, fail:TEXT and @FILE",
        )),
        None => Ok(first),
    }
}

/// Grants the functions that a component imports and --callback answers, each with its one value.
pub(super) fn answer_functions(
    grants: Grants,
    contract: Option<&Contract>,
    given: &[GivenCallback],
) -> Result<Grants, Failure> {
    given.iter().try_fold(grants, |grants, given| {
        let GivenCallback::Function { name, value } = given else {
            return Ok(grants);
        };
        let Some(contract) = contract else {
            return Err(Failure::usage(format!(
                "--callback {name}=... answers imports of a component: the plugin has no contract"
            ))
            .with_hint(
                "name an import of a core module with its module: --callback MODULE.NAME=VALUE",
            ));
        };
        let answer = contract.parse_answer(name, value).map_err(|mut error| {
            // The message has the name before the value.
            if let CallTextError::Text { character, .. } = &mut error {
                *character += name.chars().count() + 1;
            }
            Failure::call_text(&format!("{name}={value}"), &error)
        })?;
        let value = answer.value.map(component::Value::try_from).transpose();
        let value = value.map_err(|error| Failure::call_text(name, &error))?;
        let interface = match &answer.interface {
            Some(name) => Interface::new(name),
            None => Interface::root(),
        };
        let interface = interface.dynamic(&answer.function, move |_, _| Ok(value.clone()));
        Ok(grants.interface(interface))
    })
}

/// Returns whether --callback answers the functions of a module of Extism's convention.
pub(super) fn answers(module: &str) -> bool {
    module.starts_with(EXTISM) && module != ENVIRONMENT
}

/// Returns whether an import's module is an interface of WIT, or stands for a world.
pub(super) fn is_interface(module: &str) -> bool {
    let named = module.contains(':') && module.contains('/') && !module.starts_with(EXTISM);
    named || module == "$root"
}

impl GivenAnswer {
    /// Reads its file, if it names one: at most `limit` bytes.
    pub(super) fn read(&self, limit: usize) -> Result<Callback, Failure> {
        Ok(match self {
            Self::Echo => Callback::Echo,
            Self::Fail(text) => Callback::Fail(text.clone()),
            Self::Bytes(bytes) => Callback::Response(bytes.clone()),
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

    /// Grants the imports of `module` that are the embedder's functions by Extism's convention.
    pub(super) fn grant(&self, module: &ModuleInfo, extism: Extism) -> Extism {
        let imports = module
            .imports
            .iter()
            .filter(|import| answers(&import.module) && matches!(import.ty, Extern::Function(_)));
        imports.fold(extism, |extism, import| self.grant_one(import, extism))
    }

    /// Grants one import by Extism's convention. It gets one argument or several, of which the first is what the
    /// guest passes.
    pub(super) fn grant_one(&self, import: &Import, extism: Extism) -> Extism {
        let callback = self.clone();
        extism.function(&import.module, &import.name, move |arguments| {
            callback.answer_to(arguments.first().copied().unwrap_or_default())
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
