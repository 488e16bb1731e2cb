//! Values of scripts, as hostel's and compared with them.

use hostel::component::Value;
use wast::component::WastVal;

/// Returns the value. `None` if hostel has no such values.
pub(crate) fn value(from: &WastVal<'_>) -> Option<Value> {
    let boxed = |payload: &Option<Box<WastVal<'_>>>| match payload {
        None => Some(None),
        Some(payload) => Some(Some(Box::new(value(payload)?))),
    };
    Some(match from {
        WastVal::Bool(value) => Value::Bool(*value),
        WastVal::U8(value) => Value::U8(*value),
        WastVal::S8(value) => Value::S8(*value),
        WastVal::U16(value) => Value::U16(*value),
        WastVal::S16(value) => Value::S16(*value),
        WastVal::U32(value) => Value::U32(*value),
        WastVal::S32(value) => Value::S32(*value),
        WastVal::U64(value) => Value::U64(*value),
        WastVal::S64(value) => Value::S64(*value),
        WastVal::F32(value) => Value::F32(f32::from_bits(value.bits)),
        WastVal::F64(value) => Value::F64(f64::from_bits(value.bits)),
        WastVal::Char(value) => Value::Char(*value),
        WastVal::String(value) => Value::String((*value).into()),
        WastVal::List(all) => list(all.iter().map(value).collect::<Option<_>>()?),
        WastVal::Map(_) => return None,
        WastVal::Record(fields) => {
            let fields = fields
                .iter()
                .map(|(name, field)| Some(((*name).into(), value(field)?)));
            Value::Record(fields.collect::<Option<_>>()?)
        }
        WastVal::Tuple(all) => Value::Tuple(all.iter().map(value).collect::<Option<_>>()?),
        WastVal::Variant(name, payload) => Value::Variant((*name).into(), boxed(payload)?),
        WastVal::Enum(name) => Value::Enum((*name).into()),
        WastVal::Option(some) => Value::Option(boxed(some)?),
        WastVal::Result(Ok(ok)) => Value::Result(Ok(boxed(ok)?)),
        WastVal::Result(Err(error)) => Value::Result(Err(boxed(error)?)),
        WastVal::Flags(names) => Value::Flags(names.iter().map(|name| (*name).into()).collect()),
    })
}

/// Returns a list; one of bytes only is [`Value::Bytes`].
fn list(all: Vec<Value>) -> Value {
    let byte = |value: &Value| match value {
        Value::U8(byte) => Some(*byte),
        _ => None,
    };
    match all.iter().map(byte).collect::<Option<Vec<_>>>() {
        Some(bytes) if !bytes.is_empty() => Value::Bytes(bytes),
        _ => Value::List(all),
    }
}

/// Returns whether `found` is `expected`: floats by their bits, a number that is not one like any other, and
/// flags in any order.
pub(crate) fn same(expected: &Value, found: &Value) -> bool {
    let all = |expected: &[Value], found: &[Value]| {
        expected.len() == found.len()
            && expected
                .iter()
                .zip(found)
                .all(|(expected, found)| same(expected, found))
    };
    let boxed = |expected: &Option<Box<Value>>, found: &Option<Box<Value>>| match (expected, found)
    {
        (Some(expected), Some(found)) => same(expected, found),
        (expected, found) => expected.is_none() && found.is_none(),
    };
    match (expected, found) {
        (Value::F32(expected), Value::F32(found)) => {
            expected.to_bits() == found.to_bits() || expected.is_nan() && found.is_nan()
        }
        (Value::F64(expected), Value::F64(found)) => {
            expected.to_bits() == found.to_bits() || expected.is_nan() && found.is_nan()
        }
        (Value::List(expected), Value::Bytes(found)) => expected.is_empty() && found.is_empty(),
        (Value::List(expected), Value::List(found))
        | (Value::Tuple(expected), Value::Tuple(found)) => all(expected, found),
        (Value::Record(expected), Value::Record(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .zip(found)
                    .all(|(expected, found)| expected.0 == found.0 && same(&expected.1, &found.1))
        }
        (Value::Variant(name, expected), Value::Variant(other, found)) => {
            name == other && boxed(expected, found)
        }
        (Value::Option(expected), Value::Option(found))
        | (Value::Result(Ok(expected)), Value::Result(Ok(found)))
        | (Value::Result(Err(expected)), Value::Result(Err(found))) => boxed(expected, found),
        (Value::Flags(expected), Value::Flags(found)) => {
            expected.len() == found.len() && expected.iter().all(|name| found.contains(name))
        }
        (expected, found) => expected == found,
    }
}
