//! Calls as text: `interface#function(arguments…)`.

use crate::{
    contract::Contract,
    print,
    value::{Maker, Value, ValueType},
};
use std::fmt;
use wasm_wave::{parser::ParserError, untyped::UntypedFuncCall};
use wit_parser::{Function, WorldItem};

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
    /// Several interfaces export the function.
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
    pub(crate) fn text(error: &ParserError, text: &str) -> Self {
        let span = error.span();
        let message = error.to_string();
        // The span, in bytes, follows the message.
        let message = message
            .rsplit_once(" at ")
            .map_or(&*message, |(message, _)| message);
        let before = text.get(..span.start).unwrap_or(text);
        Self::Text {
            message: message.to_owned(),
            character: before.chars().count() + 1,
        }
    }

    /// Returns the stable code of this kind of error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form => "call-form",
            Self::Unknown { .. } => "unknown-function",
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
            Self::Ambiguous { name, exported } => {
                write!(f, "several interfaces export `{name}`: choose one of")?;
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

/// A function that a world exports, with its full names.
struct Exported<'a> {
    /// The interface's name with its version.
    interface: Option<String>,
    /// The interface's names for which it can be called.
    names: Vec<String>,
    function: &'a Function,
}

impl Exported<'_> {
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
        let mistake = |error: ParserError| CallTextError::text(&error, text);
        let call = UntypedFuncCall::parse(&call).map_err(mistake)?;
        let is_option = |ty: &ValueType| matches!(ty, ValueType::Option(_));
        let arguments = match call.params_node() {
            None if params.iter().all(is_option) => {
                params.iter().map(|_| Value::Option(None)).collect()
            }
            _ => call.to_wasm_params(&params).map_err(mistake)?,
        };
        Ok(Call {
            interface: exported.interface,
            function: exported.function.name.clone(),
            arguments,
            result: exported.function.result.map(|ty| types.make(ty)),
        })
    }

    /// Lists the functions that the world exports, each as `interface#function` with its type.
    pub fn exported_functions(&self) -> Vec<(String, String)> {
        let all = self.all_exported().into_iter();
        all.map(|it| (it.full_name(), print::function(&self.resolve, it.function)))
            .collect()
    }

    fn exported(&self, name: &str) -> Result<Exported<'_>, CallTextError> {
        let all = self.all_exported();
        let list =
            |all: &[Exported<'_>]| all.iter().take(LISTED).map(Exported::full_name).collect();
        let unknown = CallTextError::Unknown {
            name: name.to_owned(),
            exported: list(&all),
        };
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
            Some(index) => Ok(found.swap_remove(index)),
            None if found.len() > 1 => Err(CallTextError::Ambiguous {
                name: name.to_owned(),
                exported: list(&found),
            }),
            None => found.pop().ok_or(unknown),
        }
    }

    fn all_exported(&self) -> Vec<Exported<'_>> {
        let mut all = Vec::new();
        for (key, item) in &self.resolve.worlds[self.world].exports {
            match item {
                WorldItem::Function(function) => all.push(Exported {
                    interface: None,
                    names: Vec::new(),
                    function,
                }),
                WorldItem::Interface { id, .. } => {
                    let full = self.resolve.name_world_key(key);
                    let unversioned = full.split('@').next().unwrap_or(&full).to_owned();
                    let bare = unversioned.rsplit('/').next().unwrap_or(&full).to_owned();
                    let functions = self.resolve.interfaces[*id].functions.values();
                    all.extend(functions.map(|function| Exported {
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
}
