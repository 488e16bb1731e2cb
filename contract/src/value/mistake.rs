//! What is wrong with a text: the type that is expected at a place, as WIT, and what is found there.

use super::ValueType;
use crate::limits;
use std::fmt::Write as _;
use wasm_wave::{
    ast::{Node, NodeType},
    parser::{ParserError, ParserErrorKind},
};

/// Most characters of a text that a message repeats.
const FOUND: usize = 60;

/// Describes a mistake in `text`, which as a whole stands for what is `expected`. `parsed` is the text as a tree, if it
/// is one.
pub(crate) fn message(
    error: &ParserError,
    text: &str,
    expected: Expected<'_>,
    parsed: Option<&Node>,
) -> String {
    let located = parsed.and_then(|node| match expected {
        Expected::Value(ty) => type_at(ty, node, error, text),
        Expected::Arguments(types) => {
            let mut both = types.iter().zip(node.as_tuple().ok()?);
            both.find_map(|(ty, node)| type_at(ty, node, error, text))
        }
    });
    let mut message = match (located, expected) {
        (Some((ty, _)), _) | (None, Expected::Value(ty)) => format!("expected `{}`", shown(ty)),
        (None, Expected::Arguments(types)) => {
            let mut all = Text::default();
            all.separated(types.iter().map(Some));
            let (count, types) = (types.len(), all.end());
            let arguments = if count == 1 { "argument" } else { "arguments" };
            format!("expected {count} {arguments}, `({types})`")
        }
    };
    if error.kind() == ParserErrorKind::InvalidParams {
        let found = parsed.and_then(|node| node.as_tuple().ok());
        let found = found.map_or(0, |nodes| nodes.len());
        let _ = write!(message, ", found {found}");
        return message;
    }
    match text.get(error.span()).unwrap_or_default() {
        "" => message.push_str(", found the end of the text"),
        found => {
            let _ = write!(message, ", found `{}`", shortened(found));
        }
    }
    if let Some(why) = why(error, located, text) {
        let _ = write!(message, ": {why}");
    }
    message
}

/// What a whole text stands for.
#[derive(Clone, Copy)]
pub(crate) enum Expected<'a> {
    Value(&'a ValueType),
    Arguments(&'a [ValueType]),
}

/// Returns more about a mistake than that another type was expected.
fn why(error: &ParserError, located: Option<(&ValueType, &Node)>, text: &str) -> Option<String> {
    let kind = error.kind();
    match (kind, located) {
        (ParserErrorKind::InvalidType, _) => error.detail().map(str::to_owned),
        (ParserErrorKind::InvalidValue, Some((ValueType::Record(fields), node))) => {
            let mut given = node.as_record(text).ok()?;
            let unknown =
                given.find(|(name, _)| !fields.iter().any(|(known, _)| **known == **name));
            unknown.map(|(name, _)| format!("there is no field `{name}`"))
        }
        // The number is none of the type.
        (ParserErrorKind::InvalidValue, Some(_)) => None,
        (ParserErrorKind::WasmValueError, _) => {
            std::error::Error::source(error).map(ToString::to_string)
        }
        // The detail is a name within the parser.
        (ParserErrorKind::UnexpectedToken, _) => Some(kind.to_string()),
        _ => Some(match error.detail() {
            Some(detail) => detail.to_owned(),
            None => kind.to_string(),
        }),
    }
}

/// Returns the smallest node that the error is in, and its type: `node`, of the type `ty`, or one below. Of `some(x)`
/// that is written as `x`, returns the option.
fn type_at<'a>(
    ty: &'a ValueType,
    node: &'a Node,
    error: &ParserError,
    text: &str,
) -> Option<(&'a ValueType, &'a Node)> {
    let (own, place) = (node.span(), error.span());
    if place.start < own.start || own.end < place.end {
        return None;
    }
    match own == place {
        true => None,
        false => type_below(ty, node, error, text),
    }
    .or(Some((ty, node)))
}

/// Does as [`type_at`], for the parts of `node`.
fn type_below<'a>(
    ty: &'a ValueType,
    node: &'a Node,
    error: &ParserError,
    text: &str,
) -> Option<(&'a ValueType, &'a Node)> {
    let below = |ty: &'a ValueType, node: &'a Node| type_at(ty, node, error, text);
    match ty {
        ValueType::List(element, _) => node.as_list().ok()?.find_map(|node| below(element, node)),
        ValueType::Tuple(types) => {
            let mut both = types.iter().zip(node.as_tuple().ok()?);
            both.find_map(|(ty, node)| below(ty, node))
        }
        ValueType::Record(fields) => node.as_record(text).ok()?.find_map(|(name, node)| {
            let (_, ty) = fields.iter().find(|(known, _)| **known == *name)?;
            below(ty, node)
        }),
        ValueType::Variant(cases) => {
            let (name, payload) = node.as_variant(text).ok()?;
            let (_, ty) = cases.iter().find(|(known, _)| **known == *name)?;
            below(ty.as_ref()?, payload?)
        }
        // `some` and `ok` may be left out.
        ValueType::Option(ty) => match node.ty() {
            NodeType::OptionSome | NodeType::OptionNone => below(ty, node.as_option().ok()??),
            _ => below(ty, node),
        },
        ValueType::Result(both) => match node.as_result() {
            Ok(Ok(payload)) => below(both.0.as_ref()?, payload?),
            Ok(Err(payload)) => below(both.1.as_ref()?, payload?),
            Err(_) => below(both.0.as_ref()?, node),
        },
        _ => None,
    }
}

/// Returns the first characters of a text on one line.
fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters.by_ref().take(FOUND).collect();
    match characters.next() {
        Some(_) => format!("{first}…"),
        None => first,
    }
}

/// Returns a type as WIT on one line, with all that it is made of.
fn shown(ty: &ValueType) -> String {
    let mut text = Text::default();
    text.ty(ty);
    text.end()
}

/// Text of a limited length: types can contain one another so often that they could not be written out.
#[derive(Default)]
struct Text(String);

impl Text {
    /// Whether nothing more is kept.
    fn full(&self) -> bool {
        self.0.len() > limits::TYPE_TEXT
    }

    fn add(&mut self, text: &str) {
        if !self.full() {
            self.0.push_str(text);
        }
    }

    fn end(self) -> String {
        match self.full() {
            true => {
                // Names in WIT are ASCII.
                format!("{}…", self.0.get(..limits::TYPE_TEXT).unwrap_or_default())
            }
            false => self.0,
        }
    }

    fn ty(&mut self, ty: &ValueType) {
        if self.full() {
            return;
        }
        let word = match ty {
            ValueType::Bool => "bool",
            ValueType::S8 => "s8",
            ValueType::U8 => "u8",
            ValueType::S16 => "s16",
            ValueType::U16 => "u16",
            ValueType::S32 => "s32",
            ValueType::U32 => "u32",
            ValueType::S64 => "s64",
            ValueType::U64 => "u64",
            ValueType::F32 => "f32",
            ValueType::F64 => "f64",
            ValueType::Char => "char",
            ValueType::String => "string",
            ValueType::List(element, None) => return self.angles("list", [Some(&**element)]),
            ValueType::List(element, Some(length)) => {
                self.add("list<");
                self.ty(element);
                return self.add(&format!(", {length}>"));
            }
            ValueType::Record(fields) => {
                let fields = fields.iter().map(|(name, ty)| (&**name, Some(ty)));
                return self.braces("record", fields, [": ", ""]);
            }
            ValueType::Tuple(types) => return self.angles("tuple", types.iter().map(Some)),
            ValueType::Variant(cases) => {
                let cases = cases.iter().map(|(name, ty)| (&**name, ty.as_ref()));
                return self.braces("variant", cases, ["(", ")"]);
            }
            ValueType::Enum(names) => {
                let names = names.iter().map(|name| (&**name, None));
                return self.braces("enum", names, ["", ""]);
            }
            ValueType::Flags(names) => {
                let names = names.iter().map(|name| (&**name, None));
                return self.braces("flags", names, ["", ""]);
            }
            ValueType::Option(ty) => return self.angles("option", [Some(&**ty)]),
            ValueType::Result(both) => match &**both {
                (None, None) => "result",
                (ok, None) => return self.angles("result", [ok.as_ref()]),
                (ok, err) => return self.angles("result", [ok.as_ref(), err.as_ref()]),
            },
            ValueType::Resource(text) | ValueType::Other(text) => text,
        };
        self.add(word);
    }

    fn angles<'a>(&mut self, word: &str, types: impl IntoIterator<Item = Option<&'a ValueType>>) {
        self.add(word);
        self.add("<");
        self.separated(types);
        self.add(">");
    }

    /// Adds types with commas between them.
    fn separated<'a>(&mut self, types: impl IntoIterator<Item = Option<&'a ValueType>>) {
        for (index, ty) in types.into_iter().enumerate() {
            if self.full() {
                return;
            }
            if index > 0 {
                self.add(", ");
            }
            match ty {
                Some(ty) => self.ty(ty),
                None => self.add("_"),
            }
        }
    }

    /// Adds named parts. `around` stands before and after the type of each.
    fn braces<'a>(
        &mut self,
        word: &str,
        parts: impl Iterator<Item = (&'a str, Option<&'a ValueType>)>,
        around: [&str; 2],
    ) {
        self.add(word);
        self.add(" {");
        for (index, (name, ty)) in parts.enumerate() {
            if self.full() {
                return;
            }
            self.add(if index > 0 { ", " } else { " " });
            self.add(name);
            if let Some(ty) = ty {
                self.add(around[0]);
                self.ty(ty);
                self.add(around[1]);
            }
        }
        self.add(" }");
    }
}
