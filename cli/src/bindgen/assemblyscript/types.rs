//! WIT's types in AssemblyScript.

use super::names::{class, member, space};
use anyhow::{Result, bail};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use wit_bindgen_core::{
    abi::WasmType,
    wit_parser::{
        Docs, Function, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldId,
        WorldItem,
    },
};

/// The types of a world.
pub(super) struct Types<'a> {
    resolve: &'a Resolve,
    /// The namespaces of interfaces.
    spaces: HashMap<InterfaceId, String>,
    /// The numbers of values in tuples.
    tuples: BTreeSet<usize>,
}

impl<'a> Types<'a> {
    /// Reads the types of a world. Fails with the first one that the bindings don't support.
    pub(super) fn new(resolve: &'a Resolve, world: WorldId) -> Result<Self> {
        let mut types = Self {
            resolve,
            spaces: HashMap::new(),
            tuples: BTreeSet::new(),
        };
        let world = &resolve.worlds[world];
        for (key, item) in world.imports.iter().chain(&world.exports) {
            match item {
                WorldItem::Function(function) => types.check_function(function)?,
                WorldItem::Type { id, .. } => {
                    types.check(&Type::Id(*id), &resolve.name_world_key(key))?;
                }
                WorldItem::Interface { id, .. } => {
                    types.spaces.insert(*id, space(resolve, key));
                    let interface = &resolve.interfaces[*id];
                    for (name, ty) in &interface.types {
                        types.check(&Type::Id(*ty), name)?;
                    }
                    for function in interface.functions.values() {
                        types.check_function(function)?;
                    }
                }
            }
        }
        Ok(types)
    }

    fn check_function(&mut self, function: &Function) -> Result<()> {
        let params = function.params.iter().map(|param| &param.ty);
        for ty in params.chain(&function.result) {
            self.check(ty, &function.name)?;
        }
        Ok(())
    }

    /// Refuses a type, of `place`, that the bindings don't support. Types with names are looked at by themselves too.
    fn check(&mut self, ty: &Type, place: &str) -> Result<()> {
        let Type::Id(id) = ty else {
            if matches!(ty, Type::ErrorContext) {
                return unsupported("error contexts", place);
            }
            return Ok(());
        };
        match &self.resolve.types[*id].kind {
            TypeDefKind::Resource | TypeDefKind::Handle(_) => unsupported("resources", place),
            TypeDefKind::Future(_) | TypeDefKind::Stream(_) => {
                unsupported("futures and streams", place)
            }
            TypeDefKind::Map(..) => unsupported("maps", place),
            TypeDefKind::FixedLengthList(..) => unsupported("lists of fixed length", place),
            TypeDefKind::Flags(flags) if flags.flags.len() > 32 => {
                unsupported("flags with more than 32 names", place)
            }
            TypeDefKind::Tuple(tuple) => {
                self.tuples.insert(tuple.types.len());
                tuple.types.iter().try_for_each(|ty| self.check(ty, place))
            }
            TypeDefKind::Type(ty) | TypeDefKind::List(ty) | TypeDefKind::Option(ty) => {
                self.check(ty, place)
            }
            TypeDefKind::Result(result) => {
                let mut parts = result.ok.iter().chain(&result.err);
                parts.try_for_each(|ty| self.check(ty, place))
            }
            TypeDefKind::Record(record) => {
                let mut fields = record.fields.iter();
                fields.try_for_each(|field| self.check(&field.ty, place))
            }
            TypeDefKind::Variant(variant) => {
                let mut cases = variant.cases.iter().filter_map(|case| case.ty.as_ref());
                cases.try_for_each(|ty| self.check(ty, place))
            }
            TypeDefKind::Enum(_) | TypeDefKind::Flags(_) | TypeDefKind::Unknown => Ok(()),
        }
    }

    pub(super) fn tuples(&self) -> impl Iterator<Item = usize> + '_ {
        self.tuples.iter().copied()
    }

    /// Returns how a type is written.
    pub(super) fn name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::U8 => "u8".to_owned(),
            Type::S8 => "i8".to_owned(),
            Type::U16 => "u16".to_owned(),
            Type::S16 => "i16".to_owned(),
            Type::U32 | Type::Char => "u32".to_owned(),
            Type::S32 => "i32".to_owned(),
            Type::U64 => "u64".to_owned(),
            Type::S64 => "i64".to_owned(),
            Type::F32 => "f32".to_owned(),
            Type::F64 => "f64".to_owned(),
            Type::String => "string".to_owned(),
            Type::ErrorContext => "void".to_owned(),
            Type::Id(id) => self.named(*id),
        }
    }

    fn named(&self, id: TypeId) -> String {
        let ty = &self.resolve.types[id];
        if let Some(name) = &ty.name {
            let space = match ty.owner {
                TypeOwner::Interface(id) => self.spaces.get(&id),
                _ => None,
            };
            return match space {
                Some(space) => format!("{space}.{}", class(name)),
                None => class(name),
            };
        }
        self.structure(id)
    }

    /// Returns how a type is written without its name.
    pub(super) fn structure(&self, id: TypeId) -> String {
        let part = |ty: &Option<Type>| match ty {
            Some(ty) => self.name(ty),
            None => "Unit".to_owned(),
        };
        match &self.resolve.types[id].kind {
            TypeDefKind::Type(ty) => self.name(ty),
            TypeDefKind::List(Type::U8) => "Uint8Array".to_owned(),
            TypeDefKind::List(ty) => format!("Array<{}>", self.name(ty)),
            TypeDefKind::Option(ty) => format!("Option<{}>", self.name(ty)),
            TypeDefKind::Result(result) => {
                format!("Result<{}, {}>", part(&result.ok), part(&result.err))
            }
            TypeDefKind::Tuple(tuple) => {
                let parts: Vec<_> = tuple.types.iter().map(|ty| self.name(ty)).collect();
                match parts.is_empty() {
                    true => "Tuple0".to_owned(),
                    false => format!("Tuple{}<{}>", parts.len(), parts.join(", ")),
                }
            }
            // Has a name, or was refused.
            _ => "void".to_owned(),
        }
    }

    /// Returns the declaration of a type that has a name.
    pub(super) fn declaration(&self, id: TypeId) -> String {
        let ty = &self.resolve.types[id];
        let name = class(ty.name.as_deref().unwrap_or_default());
        let mut text = format!("\n{}", docs(&ty.docs));
        let written = match &ty.kind {
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter().map(|field| {
                    let docs = docs(&field.docs).replace('\n', "\n    ");
                    let name = member(&field.name);
                    format!("    {docs}public {name}: {},\n", self.name(&field.ty))
                });
                let fields: String = fields.collect();
                write!(
                    text,
                    "export class {name} {{\n  constructor(\n{fields}  ) {{}}\n}}\n"
                )
            }
            TypeDefKind::Enum(it) => {
                let cases = it.cases.iter().map(|case| {
                    let docs = docs(&case.docs).replace('\n', "\n  ");
                    format!("  {docs}{},\n", member(&case.name))
                });
                write!(
                    text,
                    "export enum {name} {{\n{}}}\n",
                    cases.collect::<String>()
                )
            }
            TypeDefKind::Flags(it) => {
                let flags = it.flags.iter().enumerate().map(|(bit, flag)| {
                    let docs = docs(&flag.docs).replace('\n', "\n  ");
                    format!("  {docs}{} = 1 << {bit},\n", member(&flag.name))
                });
                write!(
                    text,
                    "export enum {name} {{\n{}}}\n",
                    flags.collect::<String>()
                )
            }
            TypeDefKind::Variant(variant) => {
                let mut tags = String::new();
                let mut fields = String::new();
                let mut members = String::new();
                for case in &variant.cases {
                    let docs = docs(&case.docs).replace('\n', "\n  ");
                    let case_name = member(&case.name);
                    tags.push_str(&format!("  {docs}{case_name},\n"));
                    let make = format!("const it = new {name}({name}Tag.{case_name});");
                    match &case.ty {
                        None => members.push_str(&format!(
                            "\n  static {case_name}(): {name} {{\n    {make}\n    return it;\n  }}\n"
                        )),
                        Some(ty) => {
                            let (ty, field) = (self.name(ty), content(&case.name));
                            fields.push_str(&format!("  private {field}: {ty} = zero<{ty}>();\n"));
                            members.push_str(&format!(
                                "\n  static {case_name}(value: {ty}): {name} {{\n    {make}\n    it.{field} = value;\n    return it;\n  }}\n\n  /** Traps if it is another case. */\n  get {}(): {ty} {{\n    if (this.tag != {name}Tag.{case_name}) unreachable();\n    return this.{field};\n  }}\n",
                                getter(&case.name),
                            ));
                        }
                    }
                }
                write!(
                    text,
                    "export enum {name}Tag {{\n{tags}}}\n\nexport class {name} {{\n{fields}\n  constructor(readonly tag: {name}Tag) {{}}\n{members}}}\n"
                )
            }
            _ => writeln!(text, "export type {name} = {};", self.structure(id)),
        };
        debug_assert!(written.is_ok(), "a string takes everything");
        text
    }
}

fn unsupported(what: &str, place: &str) -> Result<()> {
    bail!(
        "`{place}` has {what}, which bindings for AssemblyScript don't support: use other types, or another language"
    )
}

/// Returns the field for the value of a variant's case.
fn content(case: &str) -> String {
    format!("of{}", class(case))
}

/// Returns the property that returns the value of a variant's case.
pub(super) fn getter(case: &str) -> String {
    format!("as{}", class(case))
}

/// Returns the class of tuples of so many values.
pub(super) fn tuple(count: usize) -> String {
    let letters: Vec<_> = (0..count).map(|nth| format!("T{nth}")).collect();
    let fields = (0..count).map(|nth| format!("public _{nth}: T{nth}"));
    let fields = fields.collect::<Vec<_>>().join(", ");
    let generic = match count {
        0 => String::new(),
        _ => format!("<{}>", letters.join(", ")),
    };
    format!("\nexport class Tuple{count}{generic} {{\n  constructor({fields}) {{}}\n}}\n")
}

/// Returns the comment for what the WIT says.
pub(super) fn docs(docs: &Docs) -> String {
    let Some(text) = &docs.contents else {
        return String::new();
    };
    let text = text.trim().replace("*/", "* /");
    match text.contains('\n') {
        false => format!("/** {text} */\n"),
        true => {
            let lines = text
                .lines()
                .map(|line| format!(" * {line}").trim_end().to_owned() + "\n");
            format!("/**\n{} */\n", lines.collect::<String>())
        }
    }
}

/// Returns the AssemblyScript zero of a core type.
pub(super) fn zero(ty: WasmType) -> String {
    format!("<{}>0", super::core(ty))
}
