//! Prints worlds and types as WIT, within a bound.

use crate::{error::ReadError, limits};
use std::collections::HashMap;
use wit_component::WitPrinter;
use wit_parser::{
    Docs, Function, Handle, InterfaceId, PackageId, Resolve, Type, TypeDef, TypeDefKind, TypeId,
    WorldItem,
};

/// Prints a package, and after it all others.
pub(crate) fn package(resolve: &Resolve, package: PackageId) -> Result<String, ReadError> {
    let mut lengths = Lengths {
        resolve,
        anonymous: HashMap::new(),
    };
    ReadError::at_most("bytes of WIT", limits::TEXT_BYTES, lengths.all())?;
    let others = resolve.packages.iter().filter(|(id, _)| *id != package);
    let mut others: Vec<_> = others.map(|(id, other)| (&other.name, id)).collect();
    others.sort();
    let others: Vec<PackageId> = others.into_iter().map(|(_, id)| id).collect();
    let mut printer = WitPrinter::default();
    let printed = printer.print(resolve, package, &others);
    printed.map_err(|error| ReadError::not_in_wit(format!("{error:#}")))?;
    let text = printer.output.to_string();
    Ok(format!("{}\n", text.trim_end()))
}

/// Upper bounds of the length of printed text.
struct Lengths<'a> {
    resolve: &'a Resolve,
    /// Of types without a name, which are printed in full wherever they are used.
    anonymous: HashMap<TypeId, u64>,
}

/// Most bytes around a name: indentation, keywords and punctuation.
const AROUND: u64 = 32;

impl Lengths<'_> {
    fn all(&mut self) -> u64 {
        let resolve = self.resolve;
        let mut all = 0_u64;
        let mut add = |more: u64| all = all.saturating_add(more);
        for (_, package) in resolve.packages.iter() {
            add(docs(&package.docs) + name(&package.name.to_string()));
        }
        for (_, interface) in resolve.interfaces.iter() {
            add(docs(&interface.docs) + name(interface.name.as_deref().unwrap_or_default()));
            for function in interface.functions.values() {
                add(self.function(function));
            }
        }
        for (_, ty) in resolve.types.iter() {
            add(self.declared(ty));
        }
        for (_, world) in resolve.worlds.iter() {
            add(docs(&world.docs) + name(&world.name));
            for (key, item) in world.imports.iter().chain(&world.exports) {
                add(match item {
                    WorldItem::Function(function) => self.function(function),
                    WorldItem::Interface { id, docs: text, .. } => {
                        docs(text) + name(&key_name(resolve, key, *id))
                    }
                    WorldItem::Type { .. } => AROUND,
                });
            }
        }
        all
    }

    fn function(&mut self, function: &Function) -> u64 {
        let mut length = docs(&function.docs)
            + name(&function.name)
            + name(function.external_id.as_deref().unwrap_or_default());
        for param in &function.params {
            length = length
                .saturating_add(name(&param.name))
                .saturating_add(self.used(&param.ty));
        }
        if let Some(ty) = &function.result {
            length = length.saturating_add(self.used(ty));
        }
        length
    }

    fn declared(&mut self, ty: &TypeDef) -> u64 {
        let Some(own) = &ty.name else {
            return 0;
        };
        docs(&ty.docs)
            .saturating_add(name(own))
            .saturating_add(name(ty.external_id.as_deref().unwrap_or_default()))
            .saturating_add(self.parts(&ty.kind))
    }

    fn parts(&mut self, kind: &TypeDefKind) -> u64 {
        let names: u64 = match kind {
            TypeDefKind::Record(it) => it
                .fields
                .iter()
                .map(|it| name(&it.name) + docs(&it.docs))
                .sum(),
            TypeDefKind::Variant(it) => it
                .cases
                .iter()
                .map(|it| name(&it.name) + docs(&it.docs))
                .sum(),
            TypeDefKind::Enum(it) => it
                .cases
                .iter()
                .map(|it| name(&it.name) + docs(&it.docs))
                .sum(),
            TypeDefKind::Flags(it) => it
                .flags
                .iter()
                .map(|it| name(&it.name) + docs(&it.docs))
                .sum(),
            _ => AROUND,
        };
        let parts = parts(kind);
        parts
            .iter()
            .fold(names, |all, part| all.saturating_add(self.used(part)))
    }

    fn used(&mut self, ty: &Type) -> u64 {
        let Type::Id(id) = ty else {
            return AROUND;
        };
        let ty = &self.resolve.types[*id];
        if let Some(own) = &ty.name {
            return name(own);
        }
        if let Some(length) = self.anonymous.get(id) {
            return *length;
        }
        let length = self.parts(&ty.kind);
        self.anonymous.insert(*id, length);
        length
    }
}

fn name(name: &str) -> u64 {
    name.len() as u64 + AROUND
}

/// Each line of a comment begins with its indentation.
fn docs(docs: &Docs) -> u64 {
    let text = docs.contents.as_deref().unwrap_or_default();
    text.len() as u64 + text.lines().count() as u64 * AROUND
}

fn key_name(resolve: &Resolve, key: &wit_parser::WorldKey, id: InterfaceId) -> String {
    match key {
        wit_parser::WorldKey::Name(name) => name.clone(),
        wit_parser::WorldKey::Interface(_) => resolve.id_of(id).unwrap_or_default(),
    }
}

/// Returns the types that a type is made of, or that it is another name of.
pub(crate) fn parts(kind: &TypeDefKind) -> Vec<Type> {
    match kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| field.ty).collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().filter_map(|case| case.ty).collect(),
        TypeDefKind::Tuple(tuple) => tuple.types.clone(),
        TypeDefKind::Option(ty)
        | TypeDefKind::List(ty)
        | TypeDefKind::FixedLengthList(ty, _)
        | TypeDefKind::Type(ty) => vec![*ty],
        TypeDefKind::Map(key, value) => vec![*key, *value],
        TypeDefKind::Result(result) => result.ok.into_iter().chain(result.err).collect(),
        TypeDefKind::Future(ty) | TypeDefKind::Stream(ty) => ty.iter().copied().collect(),
        TypeDefKind::Handle(_)
        | TypeDefKind::Flags(_)
        | TypeDefKind::Enum(_)
        | TypeDefKind::Resource
        | TypeDefKind::Unknown => Vec::new(),
    }
}

/// Returns a function's type as WIT on one line, such as `func(side: u32) -> u64`.
pub(crate) fn function(resolve: &Resolve, function: &Function) -> String {
    let mut text = Text::new(resolve);
    if function.kind.is_async() {
        text.add("async ");
    }
    text.add("func(");
    for (index, param) in function.params.iter().enumerate() {
        if index > 0 {
            text.add(", ");
        }
        text.add(&param.name);
        text.add(": ");
        text.ty(&param.ty);
    }
    text.add(")");
    if let Some(ty) = &function.result {
        text.add(" -> ");
        text.ty(ty);
    }
    text.end()
}

/// Returns a type as WIT on one line: a named type with its definition, and the types in it by their names.
pub(crate) fn ty(resolve: &Resolve, ty: &Type) -> String {
    let mut text = Text::new(resolve);
    match ty {
        Type::Id(id) => text.definition(&resolve.types[*id]),
        _ => text.ty(ty),
    }
    text.end()
}

/// Text of a limited length.
struct Text<'a> {
    resolve: &'a Resolve,
    text: String,
}

impl<'a> Text<'a> {
    fn new(resolve: &'a Resolve) -> Self {
        Self {
            resolve,
            text: String::new(),
        }
    }

    /// Whether nothing more is kept.
    fn full(&self) -> bool {
        self.text.len() > limits::TYPE_TEXT
    }

    fn add(&mut self, text: &str) {
        if !self.full() {
            self.text.push_str(text);
        }
    }

    fn end(mut self) -> String {
        if self.full() {
            let mut end = limits::TYPE_TEXT;
            while !self.text.is_char_boundary(end) {
                end -= 1;
            }
            self.text.truncate(end);
            self.text.push('…');
        }
        self.text
    }

    /// Adds a type by its name, or in full if it has none.
    fn ty(&mut self, ty: &Type) {
        let word = match ty {
            Type::Bool => "bool",
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::S8 => "s8",
            Type::S16 => "s16",
            Type::S32 => "s32",
            Type::S64 => "s64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::ErrorContext => "error-context",
            Type::Id(id) => {
                let ty = &self.resolve.types[*id];
                match &ty.name {
                    Some(name) => self.add(name),
                    None => self.definition(ty),
                }
                return;
            }
        };
        self.add(word);
    }

    fn definition(&mut self, ty: &TypeDef) {
        if self.full() {
            return;
        }
        let own = ty.name.as_deref().unwrap_or_default();
        match &ty.kind {
            TypeDefKind::Record(it) => {
                let fields = it.fields.iter().map(|it| (&*it.name, Some(it.ty)));
                self.braces("record", own, ": ", fields);
            }
            TypeDefKind::Variant(it) => {
                let cases = it.cases.iter().map(|it| (&*it.name, it.ty));
                self.braces("variant", own, "(", cases);
            }
            TypeDefKind::Enum(it) => {
                let cases = it.cases.iter().map(|it| (&*it.name, None));
                self.braces("enum", own, "", cases);
            }
            TypeDefKind::Flags(it) => {
                let flags = it.flags.iter().map(|it| (&*it.name, None));
                self.braces("flags", own, "", flags);
            }
            TypeDefKind::Resource => {
                self.add("resource ");
                self.add(own);
            }
            TypeDefKind::Type(ty) => self.ty(ty),
            TypeDefKind::Handle(Handle::Own(id)) => self.ty(&Type::Id(*id)),
            TypeDefKind::Handle(Handle::Borrow(id)) => self.angles("borrow", [Some(Type::Id(*id))]),
            TypeDefKind::Tuple(it) => self.angles("tuple", it.types.iter().map(|ty| Some(*ty))),
            TypeDefKind::Option(ty) => self.angles("option", [Some(*ty)]),
            TypeDefKind::List(ty) => self.angles("list", [Some(*ty)]),
            TypeDefKind::Map(key, value) => self.angles("map", [Some(*key), Some(*value)]),
            TypeDefKind::FixedLengthList(ty, length) => {
                self.add("list<");
                self.ty(ty);
                self.add(&format!(", {length}>"));
            }
            TypeDefKind::Result(it) => match (it.ok, it.err) {
                (None, None) => self.add("result"),
                (ok, None) => self.angles("result", [ok]),
                (ok, err) => self.angles("result", [ok, err]),
            },
            TypeDefKind::Future(None) => self.add("future"),
            TypeDefKind::Future(ty) => self.angles("future", [*ty]),
            TypeDefKind::Stream(None) => self.add("stream"),
            TypeDefKind::Stream(ty) => self.angles("stream", [*ty]),
            TypeDefKind::Unknown => self.add("unknown"),
        }
    }

    fn braces<'n>(
        &mut self,
        word: &str,
        own: &str,
        open: &str,
        parts: impl Iterator<Item = (&'n str, Option<Type>)>,
    ) {
        self.add(word);
        self.add(" ");
        self.add(own);
        self.add(" {");
        for (index, (name, ty)) in parts.enumerate() {
            if self.full() {
                return;
            }
            self.add(if index > 0 { ", " } else { " " });
            self.add(name);
            if let Some(ty) = ty {
                self.add(open);
                self.ty(&ty);
                if open == "(" {
                    self.add(")");
                }
            }
        }
        self.add(" }");
    }

    fn angles(&mut self, word: &str, parts: impl IntoIterator<Item = Option<Type>>) {
        self.add(word);
        for (index, ty) in parts.into_iter().enumerate() {
            if self.full() {
                return;
            }
            self.add(if index > 0 { ", " } else { "<" });
            match ty {
                Some(ty) => self.ty(&ty),
                None => self.add("_"),
            }
        }
        self.add(">");
    }
}
