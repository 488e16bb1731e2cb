//! Calls as text: `interface#function(arguments…)`.

use crate::{
    contract::Contract,
    print,
    value::{Expected, Maker, Value, ValueType, message},
};
use std::fmt;
use wasm_wave::{ast::Node, parser::ParserError, untyped::UntypedFuncCall};
use wit_parser::{Function, IndexMap, Resolve, WorldItem, WorldKey};

/// A call of a function that a world exports, parsed from text.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Call {
    /// The interface's full name, such as `demo:shapes/areas@1.0.0`. `None` for a function of the world.
    pub interface: Option<String>,
    /// The function's name in the interface.
    pub function: String,
    /// A value for each parameter.
    pub arguments: Vec<Value>,
    /// The type of the result, if the function has one.
    pub result: Option<ValueType>,
}

/// The result of a function that a world imports, parsed from text.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The interface's full name. `None` for a function of the world.
    pub interface: Option<String>,
    /// The function's name in the interface.
    pub function: String,
    /// The result, if the function has one.
    pub value: Option<Value>,
}

/// The reason why text is no call of a contract, or why a value has no text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallTextError {
    /// The text is not of the form `interface#function(arguments…)`.
    Form,
    /// The world exports no such function.
    Unknown {
        /// The name in the text.
        name: String,
        /// The functions that the world exports, twenty at most.
        exported: Vec<String>,
    },
    /// The world imports no such function.
    UnknownImport {
        /// The name in the text.
        name: String,
        /// The functions that the world imports, twenty at most.
        imported: Vec<String>,
    },
    /// Several interfaces have the function.
    Ambiguous {
        /// The name in the text.
        name: String,
        /// The full names of the function.
        exported: Vec<String>,
    },
    /// The arguments are not written as WAVE, or do not fit the function's type.
    Text {
        /// The mistake.
        message: String,
        /// The character of the text at which it is, from 1.
        character: usize,
    },
    /// Values of this type have no text.
    Unwritable {
        /// The type.
        ty: String,
    },
}

impl CallTextError {
    /// Tells a mistake in `text`, as [`message`] does.
    pub(crate) fn text(
        error: &ParserError,
        text: &str,
        expected: Expected<'_>,
        parsed: Option<&Node>,
    ) -> Self {
        let before = text.get(..error.span().start).unwrap_or(text);
        Self::Text {
            message: message(error, text, expected, parsed),
            character: before.chars().count() + 1,
        }
    }

    /// Returns the stable code of this kind of error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form => "call-form",
            Self::Unknown { .. } => "unknown-function",
            Self::UnknownImport { .. } => "unknown-import",
            Self::Ambiguous { .. } => "ambiguous-function",
            Self::Text { .. } => "call-text",
            Self::Unwritable { .. } => "value-without-text",
        }
    }
}

impl fmt::Display for CallTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, names: &[String]| {
            for (index, name) in names.iter().enumerate() {
                write!(f, "{}`{name}`", if index > 0 { ", " } else { " " })?;
            }
            Ok(())
        };
        match self {
            Self::Form => f.write_str(
                "expected a call such as `interface#function(1, \"two\")` or `function()`",
            ),
            Self::Unknown { name, exported } if exported.is_empty() => {
                write!(f, "the world exports no function `{name}`, nor any other")
            }
            Self::Unknown { name, exported } => {
                write!(f, "the world exports no function `{name}`; it exports")?;
                list(f, exported)
            }
            Self::UnknownImport { name, imported } if imported.is_empty() => {
                write!(f, "the world imports no function `{name}`, nor any other")
            }
            Self::UnknownImport { name, imported } => {
                write!(f, "the world imports no function `{name}`; it imports")?;
                list(f, imported)
            }
            Self::Ambiguous { name, exported } => {
                write!(
                    f,
                    "several interfaces have a function `{name}`: choose one of"
                )?;
                list(f, exported)
            }
            Self::Text { message, character } => {
                write!(f, "{message}, at character {character}")
            }
            Self::Unwritable { ty } => write!(f, "{ty} has no text: call the function from Rust"),
        }
    }
}

impl std::error::Error for CallTextError {}

/// Most functions that an error lists.
const LISTED: usize = 20;

/// A function that a world exports or imports, with its full names.
struct Named<'a> {
    /// The interface's name with its version.
    interface: Option<String>,
    /// The interface's names for which it can be called.
    names: Vec<String>,
    function: &'a Function,
}

impl Named<'_> {
    fn full_name(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.function.name),
            None => self.function.name.clone(),
        }
    }
}

impl Contract {
    /// Parses a call of a function that the world exports. Values are written as WAVE:
    /// `demo:shapes/areas@1.0.0#rectangle({width: 3, height: 4})`.
    ///
    /// The interface's version may be left out, and its package too: `areas#rectangle(…)`. The interface
    /// itself may be left out if it is the only one with such a function. Arguments of the type `option` at
    /// the end may be left out.
    ///
    /// # Errors
    ///
    /// [`CallTextError`].
    pub fn parse_call(&self, text: &str) -> Result<Call, CallTextError> {
        let open = text.find('(').ok_or(CallTextError::Form)?;
        let (name, arguments) = text.split_at(open);
        let name = name.trim();
        if name.is_empty() || !arguments.trim_end().ends_with(')') {
            return Err(CallTextError::Form);
        }
        let exported = self.exported(name)?;
        let mut types = Maker::new(&self.resolve);
        let params = types.params(exported.function);
        if let Some(ty) = params.iter().find_map(ValueType::unwritable) {
            return Err(CallTextError::Unwritable { ty });
        }
        // wasm-wave knows no `#`. Blanks for the name leave the places in its messages right.
        let call = format!("f{}{arguments}", " ".repeat(open - 1));
        let mistake = |error: &ParserError, parsed: Option<&Node>| {
            CallTextError::text(error, text, Expected::Arguments(&params), parsed)
        };
        let call = UntypedFuncCall::parse(&call).map_err(|error| mistake(&error, None))?;
        let is_option = |ty: &ValueType| matches!(ty, ValueType::Option(_));
        let arguments = match call.params_node() {
            None if params.iter().all(is_option) => {
                params.iter().map(|_| Value::Option(None)).collect()
            }
            node => call
                .to_wasm_params(&params)
                .map_err(|error| mistake(&error, node))?,
        };
        Ok(Call {
            interface: exported.interface,
            function: exported.function.name.clone(),
            arguments,
            result: exported.function.result.map(|ty| types.make(ty)),
        })
    }

    /// Parses the result of a function that the world imports: `value` is WAVE, and empty for a function without
    /// a result. `name` is written as for [`parse_call`](Self::parse_call).
    ///
    /// # Errors
    ///
    /// [`CallTextError`].
    pub fn parse_answer(&self, name: &str, value: &str) -> Result<Answer, CallTextError> {
        let all = all_named(&self.resolve, &self.resolve.worlds[self.world].imports);
        let imported = listed(&all);
        let found = choose(all, name)?.ok_or_else(|| CallTextError::UnknownImport {
            name: name.to_owned(),
            imported,
        })?;
        let result = found.function.result;
        let value = match result.map(|ty| Maker::new(&self.resolve).make(ty)) {
            Some(ty) => Some(ty.parse(value)?),
            None if value.trim().is_empty() => None,
            None => {
                return Err(CallTextError::Text {
                    message: format!("expected nothing: `{name}` has no result"),
                    character: 1,
                });
            }
        };
        Ok(Answer {
            interface: found.interface,
            function: found.function.name.clone(),
            value,
        })
    }

    /// Lists the functions that the world exports, each as `interface#function` with its type.
    pub fn exported_functions(&self) -> Vec<(String, String)> {
        let all = self.all_exported().into_iter();
        all.map(|it| (it.full_name(), print::function(&self.resolve, it.function)))
            .collect()
    }

    /// Lists the functions that the world imports, as [`exported_functions`](Self::exported_functions) does.
    pub fn imported_functions(&self) -> Vec<(String, String)> {
        let all = all_named(&self.resolve, &self.resolve.worlds[self.world].imports);
        let all = all.into_iter();
        all.map(|it| (it.full_name(), print::function(&self.resolve, it.function)))
            .collect()
    }

    fn exported(&self, name: &str) -> Result<Named<'_>, CallTextError> {
        let all = self.all_exported();
        let exported = listed(&all);
        choose(all, name)?.ok_or_else(|| CallTextError::Unknown {
            name: name.to_owned(),
            exported,
        })
    }

    fn all_exported(&self) -> Vec<Named<'_>> {
        all_named(&self.resolve, &self.resolve.worlds[self.world].exports)
    }
}

/// Returns the full names of the first functions, for an error.
fn listed(all: &[Named<'_>]) -> Vec<String> {
    all.iter().take(LISTED).map(Named::full_name).collect()
}

/// Returns the function that is called `name` or `interface#name`. `None` if there is none; an error if there are
/// several.
fn choose<'a>(all: Vec<Named<'a>>, name: &str) -> Result<Option<Named<'a>>, CallTextError> {
    let (interface, function) = match name.split_once('#') {
        Some((interface, function)) => (Some(interface), function),
        None => (None, name),
    };
    let mut found: Vec<_> = all
        .into_iter()
        .filter(|it| it.function.name == function)
        .filter(|it| interface.is_none_or(|name| it.names.iter().any(|it| it == name)))
        .collect();
    // The world's own function, or the interface of the full name, comes before others.
    let exact = found
        .iter()
        .position(|it| it.interface.as_deref() == interface);
    match exact {
        Some(index) => Ok(Some(found.swap_remove(index))),
        None if found.len() > 1 => Err(CallTextError::Ambiguous {
            name: name.to_owned(),
            exported: listed(&found),
        }),
        None => Ok(found.pop()),
    }
}

/// Returns the functions among a world's imports or exports.
fn all_named<'a>(resolve: &'a Resolve, items: &'a IndexMap<WorldKey, WorldItem>) -> Vec<Named<'a>> {
    let mut all = Vec::new();
    for (key, item) in items {
        match item {
            WorldItem::Function(function) => all.push(Named {
                interface: None,
                names: Vec::new(),
                function,
            }),
            WorldItem::Interface { id, .. } => {
                let full = resolve.name_world_key(key);
                let unversioned = full.split('@').next().unwrap_or(&full).to_owned();
                let bare = unversioned.rsplit('/').next().unwrap_or(&full).to_owned();
                let functions = resolve.interfaces[*id].functions.values();
                all.extend(functions.map(|function| Named {
                    interface: Some(full.clone()),
                    names: vec![full.clone(), unversioned.clone(), bare.clone()],
                    function,
                }));
            }
            WorldItem::Type { .. } => {}
        }
    }
    all
}
