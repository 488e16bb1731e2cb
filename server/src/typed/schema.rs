//! Types of components in JSON Schema.

use hostel::component::{Type, TypeId, Types};
use serde_json::{Map, Value as Json, json};
use std::{collections::HashMap, sync::Arc};

/// The schemas of a component's types. Each record, list and so on is described once, and referred to: types that are small
/// as a graph may be long as a tree.
pub(crate) struct Schemas<'t> {
    types: &'t Types,
    numbers: HashMap<TypeId, usize>,
    /// Types that are referred to, in the order of their numbers.
    referred: Vec<TypeId>,
}

impl<'t> Schemas<'t> {
    pub(crate) fn new(types: &'t Types) -> Self {
        Self {
            types,
            numbers: HashMap::new(),
            referred: Vec::new(),
        }
    }

    /// Returns the schema of a type, which may refer to others.
    fn of(&mut self, ty: TypeId) -> Json {
        if let Some(simple) = simple(self.types, self.types.get(ty)) {
            return simple;
        }
        let next = self.referred.len();
        let number = *self.numbers.entry(ty).or_insert(next);
        if number == next {
            self.referred.push(ty);
        }
        json!({ "$ref": format!("#/components/schemas/{}", name(number)) })
    }

    /// Returns the schema of a payload: `null` if there is none.
    fn of_payload(&mut self, ty: Option<TypeId>) -> Json {
        ty.map_or_else(|| json!({ "type": "null" }), |ty| self.of(ty))
    }

    /// Returns the schema of a function's answer: of a `result`, that of the success alone.
    pub(crate) fn of_success(&mut self, result: Option<TypeId>) -> Json {
        match result.map(|ty| self.types.get(ty)) {
            Some(Type::Result(ok, _)) => self.of_payload(*ok),
            _ => self.of_payload(result),
        }
    }

    /// Returns the schema of an object with a type for each name. Options may be missing.
    pub(crate) fn object<'f>(&mut self, fields: impl Iterator<Item = (&'f str, TypeId)>) -> Json {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for (name, ty) in fields {
            properties.insert(name.to_owned(), self.of(ty));
            if !matches!(self.types.get(ty), Type::Option(_)) {
                required.push(name);
            }
        }
        json!({
            "type": "object", "properties": properties, "required": required,
            "additionalProperties": false,
        })
    }

    /// Returns the schema of an array with a type for each element.
    pub(crate) fn array(&mut self, types: &[TypeId]) -> Json {
        let each: Vec<_> = types.iter().map(|ty| self.of(*ty)).collect();
        json!({
            "type": "array", "prefixItems": each, "items": false,
            "minItems": types.len(), "maxItems": types.len(),
        })
    }

    /// Returns all types that were referred to, by their names.
    pub(crate) fn finish(mut self) -> Map<String, Json> {
        let mut schemas = Map::new();
        // Each may refer to more.
        while let Some(ty) = self.referred.get(schemas.len()).copied() {
            let schema = self.compound(ty);
            schemas.insert(name(schemas.len()), schema);
        }
        schemas
    }

    fn compound(&mut self, ty: TypeId) -> Json {
        match self.types.get(ty) {
            Type::List(of) => json!({ "type": "array", "items": self.of(*of) }),
            Type::FixedList(of, length) => json!({
                "type": "array", "items": self.of(*of), "minItems": length, "maxItems": length,
            }),
            Type::Record(fields) => self.object(fields.iter().map(|(name, ty)| (&**name, *ty))),
            Type::Tuple(types) => self.array(types),
            Type::Variant(cases) => {
                let each = cases.iter().map(|(name, payload)| match payload {
                    None => json!({ "const": **name }),
                    Some(ty) => entry(name, &self.of(*ty)),
                });
                json!({ "oneOf": each.collect::<Vec<_>>() })
            }
            Type::Enum(cases) => json!({ "enum": texts(cases) }),
            Type::Flags(names) => json!({
                "type": "array", "items": { "enum": texts(names) }, "uniqueItems": true,
            }),
            Type::Option(of) => {
                let some = match self.types.get(*of) {
                    Type::Option(_) => entry("some", &self.of(*of)),
                    _ => self.of(*of),
                };
                json!({ "anyOf": [{ "type": "null" }, some] })
            }
            Type::Result(ok, error) => json!({ "oneOf": [
                entry("ok", &self.of_payload(*ok)),
                entry("error", &self.of_payload(*error)),
            ] }),
            // All others are simple.
            _ => json!({}),
        }
    }
}

fn name(number: usize) -> String {
    format!("Type{number}")
}

fn texts(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

/// Returns the schema of an object with one entry.
fn entry(name: &str, value: &Json) -> Json {
    json!({
        "type": "object", "properties": { name: value }, "required": [name],
        "additionalProperties": false,
    })
}

/// Returns the schema of a type that refers to no other.
fn simple(types: &Types, ty: &Type) -> Option<Json> {
    let integer =
        |least: i64, most: i64| json!({ "type": "integer", "minimum": least, "maximum": most });
    // As a text too: most programs read numbers of JSON as floats of 53 bits.
    let long = |pattern: &str, schema: Json| json!({ "anyOf": [schema, { "type": "string", "pattern": pattern }] });
    // Numbers that JSON does not have are texts.
    let float = |number: Json| json!({ "anyOf": [number, { "enum": ["NaN", "inf", "-inf"] }] });
    Some(match ty {
        Type::Bool => json!({ "type": "boolean" }),
        Type::S8 => integer(i8::MIN.into(), i8::MAX.into()),
        Type::U8 => integer(0, u8::MAX.into()),
        Type::S16 => integer(i16::MIN.into(), i16::MAX.into()),
        Type::U16 => integer(0, u16::MAX.into()),
        Type::S32 => integer(i32::MIN.into(), i32::MAX.into()),
        Type::U32 => integer(0, u32::MAX.into()),
        Type::S64 => long("^-?[0-9]{1,18}$", integer(i64::MIN, i64::MAX)),
        Type::U64 => long(
            "^[0-9]{1,18}$",
            json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX }),
        ),
        Type::F32 => float(json!({ "type": "number", "minimum": f32::MIN, "maximum": f32::MAX })),
        Type::F64 => float(json!({ "type": "number" })),
        Type::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Type::String => json!({ "type": "string" }),
        Type::List(of) if *types.get(*of) == Type::U8 => base64(None),
        Type::FixedList(of, length) if *types.get(*of) == Type::U8 => base64(Some(*length)),
        // No function with one is called.
        Type::Own(_) | Type::Borrow(_) => json!({ "not": {} }),
        _ => return None,
    })
}

fn base64(length: Option<u32>) -> Json {
    let pattern = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
    let description = match length {
        Some(length) => format!("{length} bytes in base64"),
        None => "Bytes in base64".to_owned(),
    };
    json!({
        "type": "string", "contentEncoding": "base64", "pattern": pattern,
        "description": description,
    })
}
