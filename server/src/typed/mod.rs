//! Functions of components: found by the name in a path, called with JSON, and described in JSON Schema.
//!
//! `docs/server.md` has the JSON of each type. A resource has none: a function that takes or returns one is not called.

mod interface;
mod read;
mod schema;
mod write;

pub(crate) use self::{
    interface::{Interface, Named},
    read::{Stop, Unreadable, arguments},
    schema::Schemas,
    write::{Answer, answer},
};

use hostel::{
    CallError, Contract,
    component::{Function, FunctionType, Type, TypeId, Types},
};
use std::collections::HashMap;

/// Most names in a message.
const MOST_NAMES: usize = 20;

/// The largest f32, rounded up: what JSON writes of it is no larger.
const MOST_F32: f64 = 3.402_823_5e38;

/// How a function of a component is called over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `func(list<u8>) -> result<list<u8>, string>`: by bytes.
    Bytes,
    /// By JSON.
    Json {
        /// Whether it has parameters.
        takes_any: bool,
    },
    /// Not at all: its type has resources.
    Resources,
}

/// Why a name is not that of one function.
pub(crate) enum NotFound {
    Unknown(CallError),
    /// Several interfaces have such a function: their full names.
    Ambiguous(String),
}

/// Finds an exported function by its name, by its interface's name and its own with `#` between, or by its own name alone
/// if one interface has it. The interface's package and version may be left out.
pub(crate) fn find(
    contract: Contract<'_>,
    functions: &Interface,
    name: &str,
) -> Result<Named, NotFound> {
    let known = |function: Function<'_>| functions.function(&function.to_string()).cloned();
    if let Some(named) = functions.function(name) {
        return Ok(named.clone());
    }
    // With another version that is compatible.
    if let Some(named) = contract.export(name).and_then(known) {
        return Ok(named);
    }
    let (interface, own) = match name.split_once('#') {
        Some((interface, own)) => (Some(interface), own),
        None => (None, name),
    };
    let fits = |function: &Function<'_>| {
        let full = function.interface.unwrap_or_default();
        function.name == own && interface.is_none_or(|asked| asked == short(full))
    };
    let found: Vec<_> = contract.exports().filter(fits).collect();
    match &*found {
        [function] if let Some(named) = known(*function) => Ok(named),
        [] => Err(NotFound::Unknown(CallError::UnknownExport {
            name: name.into(),
            exports: names(contract.exports()).into(),
        })),
        _ => Err(NotFound::Ambiguous(names(found.into_iter()))),
    }
}

/// Returns the functions that a component exports, each with the shortest name by which [`find`] finds it.
pub(crate) fn named<'p>(contract: Contract<'p>) -> Vec<(String, Function<'p>)> {
    let mut alone: HashMap<&str, usize> = HashMap::new();
    let mut within: HashMap<(&str, &str), usize> = HashMap::new();
    let interface = |function: &Function<'p>| short(function.interface.unwrap_or_default());
    for function in contract.exports() {
        *alone.entry(function.name).or_default() += 1;
        *within
            .entry((interface(&function), function.name))
            .or_default() += 1;
    }
    let each = contract.exports().map(|function| {
        let own = (interface(&function), function.name);
        let name = match function.interface {
            None => function.name.to_owned(),
            Some(_) if alone.get(function.name) == Some(&1) => function.name.to_owned(),
            Some(_) if within.get(&own) == Some(&1) => format!("{}#{}", own.0, own.1),
            Some(_) => function.to_string(),
        };
        (name, function)
    });
    each.collect()
}

/// Returns an interface's name without package and version.
fn short(interface: &str) -> &str {
    let name = interface.rsplit('/').next().unwrap_or(interface);
    name.split_once('@').map_or(name, |(name, _)| name)
}

fn names<'a>(functions: impl Iterator<Item = Function<'a>>) -> String {
    let names: Vec<_> = functions
        .take(MOST_NAMES + 1)
        .map(|function| function.to_string())
        .collect();
    listed(names.iter().map(|name| &**name))
}

/// Lists names for a message.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for (at, name) in names.enumerate() {
        if at == MOST_NAMES {
            text.push_str(", …");
            break;
        }
        let comma = if at == 0 { "" } else { ", " };
        text.push_str(&format!("{comma}`{name}`"));
    }
    text
}

/// Returns whether a function is `func(list<u8>) -> result<list<u8>, string>`.
fn is_of_bytes(types: &Types, ty: &FunctionType) -> bool {
    let is_bytes =
        |ty: TypeId| matches!(types.get(ty), Type::List(of) if *types.get(*of) == Type::U8);
    let result = ty.result.map(|ty| types.get(ty));
    matches!(&*ty.params, [input] if is_bytes(*input))
        && matches!(result, Some(Type::Result(Some(output), Some(error)))
            if is_bytes(*output) && *types.get(*error) == Type::String)
}

/// Returns the types in a type.
fn parts(ty: &Type) -> Vec<TypeId> {
    match ty {
        Type::List(of) | Type::FixedList(of, _) | Type::Option(of) => vec![*of],
        Type::Record(fields) => fields.iter().map(|(_, ty)| *ty).collect(),
        Type::Tuple(types) => types.to_vec(),
        Type::Variant(cases) => cases.iter().filter_map(|(_, ty)| *ty).collect(),
        Type::Result(ok, error) => [*ok, *error].into_iter().flatten().collect(),
        _ => Vec::new(),
    }
}
