//! Imports of core modules that --callback or a test case answers, each with one value.

use super::{
    callback::{self, Callback, GivenCallback},
    failure::Failure,
    number,
};
use hostel::{
    Extern, Extism, Grants, HostReturn, Import, ModuleInfo, Signature, Trap,
    ValType::{self, F32, F64, I32, I64},
    Value,
    settings::nearest,
};
use std::sync::Arc;

/// An import of a core module, `MODULE.NAME`, and its answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NamedAnswer {
    pub(super) name: String,
    pub(super) answer: Answer,
}

/// What a host function returns.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// A number, as text.
    Number(String),
    Bytes(Arc<[u8]>),
    /// Its first argument: of Extism's convention only.
    Echo,
    /// An error; of the native convention it stops the plugin.
    Error(String),
    /// Optional bytes that are absent.
    Absent,
    /// An optional i32.
    Optional(Option<u32>),
    Nothing,
}

/// Grants the imports of core modules that `all` answer, by their types in `modules`.
pub(super) fn grant(
    all: &[GivenCallback],
    modules: &[ModuleInfo],
    grants: Grants,
    extism: Extism,
) -> Result<(Grants, Extism), Failure> {
    let mut all = all.iter().filter_map(|given| match given {
        GivenCallback::Import(named) => Some(named),
        _ => None,
    });
    all.try_fold((grants, extism), |granted, named| {
        let imports = modules.iter().flat_map(|module| &module.imports);
        let mut named_so = imports
            .filter(|import| full_name(import) == named.name)
            .peekable();
        if named_so.peek().is_none() {
            return Err(unknown(&named.name, modules));
        }
        named_so.try_fold(granted, |(grants, extism), import| {
            let Extern::Function(ty) = &import.ty else {
                return Err(refused(&named.name, "it is no function"));
            };
            if callback::answers(&import.module) {
                let callback = named.answer.as_callback(&named.name)?;
                return Ok((grants, callback.grant_one(import, extism)));
            }
            let grants = named.answer.grant(import, ty, grants)?;
            Ok((grants, extism))
        })
    })
}

fn full_name(import: &Import) -> String {
    format!("{}.{}", import.module, import.name)
}

fn unknown(name: &str, modules: &[ModuleInfo]) -> Failure {
    let imports = modules.iter().flat_map(|module| &module.imports);
    let names: Vec<_> = imports.map(full_name).collect();
    let known: Vec<_> = names.iter().map(|name| &**name).collect();
    let failure = Failure::usage(format!("--callback: the plugin does not import `{name}`"));
    match (nearest(name, &known), &*known) {
        (Some(near), _) => failure.with_hint(format!("did you mean `{near}`?")),
        (None, []) => failure.with_hint("it imports nothing"),
        (None, known) => failure.with_hint(format!("it imports: {}", known.join(", "))),
    }
}

fn refused(name: &str, why: &str) -> Failure {
    Failure::usage(format!("--callback: can't answer `{name}`: {why}"))
}

impl Answer {
    /// Returns it as an answer of Extism's convention.
    fn as_callback(&self, name: &str) -> Result<Callback, Failure> {
        match self {
            Self::Echo => Ok(Callback::Echo),
            Self::Error(text) => Ok(Callback::Fail(text.clone())),
            Self::Bytes(bytes) => Ok(Callback::Response(bytes.clone())),
            _ => Err(refused(
                name,
                "a function of Extism's convention returns text or bytes, an error, or its input (`echo`)",
            )),
        }
    }

    /// Grants a function of the native convention, which a plugin imports with the type `ty`.
    fn grant(&self, import: &Import, ty: &Signature, grants: Grants) -> Result<Grants, Failure> {
        let fails = |why: String| {
            let why = format!("its type is {ty}, and {why}");
            refused(&full_name(import), &why)
        };
        let to = To { import, ty, grants };
        Ok(match self {
            Self::Number(text) => {
                let [result] = *ty.results else {
                    return Err(fails("it does not return one number".to_owned()));
                };
                match number::parse(text, result).map_err(fails)? {
                    Value::I32(value) => to.give(move || value),
                    Value::I64(value) => to.give(move || value),
                    Value::F32(value) => to.give(move || value),
                    Value::F64(value) => to.give(move || value),
                    // Kinds of numbers to come.
                    _ => return Err(fails("it returns no number".to_owned())),
                }
            }
            Self::Nothing if ty.results.is_empty() => to.give(|| ()),
            Self::Nothing => return Err(fails("it returns something".to_owned())),
            Self::Echo => return Err(fails("`echo` is for other conventions".to_owned())),
            Self::Error(text) => {
                let text = text.clone();
                let fail = move || Trap::host(text.clone());
                match *ty.results {
                    [] => to.give(move || Err::<(), _>(fail())),
                    [I32] => to.give(move || Err::<i32, _>(fail())),
                    [I64] => to.give(move || Err::<i64, _>(fail())),
                    [F32] => to.give(move || Err::<f32, _>(fail())),
                    [F64] => to.give(move || Err::<f64, _>(fail())),
                    [I32, I32] => to.give(move || Err::<(i32, i32), _>(fail())),
                    _ => return Err(fails("an error can't be given for it".to_owned())),
                }
            }
            // The rest are two i32.
            Self::Bytes(_) | Self::Absent | Self::Optional(_) if !is_pair(ty) => {
                return Err(fails("it does not return two i32, in any shape".to_owned()));
            }
            Self::Bytes(bytes) => {
                let bytes = bytes.clone();
                to.give_pair(move || bytes.clone())
            }
            Self::Absent => to.give_pair(|| None::<Arc<[u8]>>),
            Self::Optional(value) => {
                let value = *value;
                to.give_pair(move || value)
            }
        })
    }
}

/// Returns whether a function of type `ty` can return two i32: as they are, packed, or by a pointer.
fn is_pair(ty: &Signature) -> bool {
    match *ty.results {
        [I32, I32] | [I64] => true,
        [] => ty.params.first() == Some(&I32),
        _ => false,
    }
}

/// An import that gets an answer.
struct To<'a> {
    import: &'a Import,
    ty: &'a Signature,
    grants: Grants,
}

impl To<'_> {
    /// Grants a function whose results are returned directly.
    fn give<R: HostReturn + 'static>(
        self,
        answer: impl Fn() -> R + Send + Sync + 'static,
    ) -> Grants {
        let params = &self.ty.params;
        self.grant(params, answer)
    }

    /// Grants a function that returns two i32.
    fn give_pair<R: HostReturn + 'static>(
        self,
        answer: impl Fn() -> R + Send + Sync + 'static,
    ) -> Grants {
        let params = match *self.ty.results {
            // The first is the pointer to the results.
            [] => &self.ty.params[1..],
            _ => &self.ty.params,
        };
        self.grant(params, answer)
    }

    fn grant<R: HostReturn + 'static>(
        self,
        params: &[ValType],
        answer: impl Fn() -> R + Send + Sync + 'static,
    ) -> Grants {
        let Import { module, name, .. } = self.import;
        self.grants.answer(module, name, params, answer)
    }
}
