//! Values of components as JSON.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hostel::component::Value;
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeSeq as _},
};

/// The result of a function, as JSON.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// A success: the text of its JSON.
    Success(String),
    /// The function returned the error of its `result`.
    Error(serde_json::Value),
}

/// Writes the result of a function. Of a `result`, the success stands alone.
pub(crate) fn answer(result: Option<&Value>) -> Result<Answer, serde_json::Error> {
    Ok(match result {
        None => Answer::Success("null".to_owned()),
        Some(Value::Result(Ok(value))) => Answer::Success(text(&Payload(value.as_deref()))?),
        Some(Value::Result(Err(value))) => {
            Answer::Error(serde_json::to_value(Payload(value.as_deref()))?)
        }
        Some(value) => Answer::Success(text(&Shown(value))?),
    })
}

fn text(value: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(value)
}

/// A value that may be missing, which is `null`.
struct Payload<'v>(Option<&'v Value>);

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(value) => Shown(value).serialize(to),
            None => to.serialize_unit(),
        }
    }
}

struct Shown<'v>(&'v Value);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(it) => to.serialize_bool(*it),
            Value::S8(it) => to.serialize_i8(*it),
            Value::U8(it) => to.serialize_u8(*it),
            Value::S16(it) => to.serialize_i16(*it),
            Value::U16(it) => to.serialize_u16(*it),
            Value::S32(it) => to.serialize_i32(*it),
            Value::U32(it) => to.serialize_u32(*it),
            Value::S64(it) => to.serialize_i64(*it),
            Value::U64(it) => to.serialize_u64(*it),
            // Numbers that JSON does not have are texts.
            Value::F32(it) if !it.is_finite() => to.collect_str(it),
            Value::F64(it) if !it.is_finite() => to.collect_str(it),
            Value::F32(it) => to.serialize_f32(*it),
            Value::F64(it) => to.serialize_f64(*it),
            Value::Char(it) => to.serialize_char(*it),
            Value::String(it) => to.serialize_str(it),
            Value::Bytes(it) => to.serialize_str(&BASE64_STANDARD.encode(it)),
            Value::List(all) | Value::Tuple(all) => {
                let mut to = to.serialize_seq(Some(all.len()))?;
                for value in all {
                    to.serialize_element(&Shown(value))?;
                }
                to.end()
            }
            Value::Record(fields) => {
                let mut to = to.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    to.serialize_entry(&**name, &Shown(value))?;
                }
                to.end()
            }
            Value::Variant(case, None) | Value::Enum(case) => to.serialize_str(case),
            Value::Variant(case, Some(value)) => entry(to, case, Payload(Some(value))),
            Value::Option(None) => to.serialize_unit(),
            // Else `none` and `some(none)` would both be `null`.
            Value::Option(Some(value)) if matches!(**value, Value::Option(_)) => {
                entry(to, "some", Payload(Some(value)))
            }
            Value::Option(Some(value)) => Shown(value).serialize(to),
            Value::Result(Ok(value)) => entry(to, "ok", Payload(value.as_deref())),
            Value::Result(Err(value)) => entry(to, "error", Payload(value.as_deref())),
            Value::Flags(set) => to.collect_seq(set.iter().map(|name| &**name)),
            // No function that returns one is called.
            Value::Resource(_) => to.serialize_unit(),
        }
    }
}

/// Writes an object with one entry.
fn entry<S: Serializer>(to: S, name: &str, value: Payload<'_>) -> Result<S::Ok, S::Error> {
    let mut to = to.serialize_map(Some(1))?;
    to.serialize_entry(name, &value)?;
    to.end()
}
