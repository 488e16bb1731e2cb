//! Arguments of a component's function, from JSON. They are read by their types, without a tree in between, and what they
//! take on the heap is bounded: a short text can be a list of many elements.

use super::{
    Interface, MOST_F32,
    interface::{Names, Order},
    listed,
};
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hostel::{
    CallError,
    component::{FunctionType, Type, TypeId, Types, Value},
};
use serde::de::{
    self, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor,
};
use std::{
    cell::Cell,
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// Takes base64 with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why there are no arguments.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The text is not the JSON of the function's parameters.
    Json(String),
    /// They take more heap than a call's input may.
    TooLarge(CallError),
    /// The call's deadline has passed, or its client has gone.
    Stopped,
}

/// Number of values between two looks at the clock.
const STRIDE: u32 = 4096;

/// When reading ends early.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop<'s> {
    /// The call's deadline, if it has one.
    pub(crate) at: Option<Instant>,
    /// Whether the client has gone.
    pub(crate) gone: &'s AtomicBool,
}

impl Stop<'_> {
    fn is_now(self) -> bool {
        self.gone.load(Ordering::Acquire) || self.at.is_some_and(|at| Instant::now() >= at)
    }
}

/// Reads the arguments of a function: an array in the parameters' order, or an object by their names. Without parameters,
/// the body may be empty. The arguments take at most `limit` bytes.
pub(crate) fn arguments(
    body: &[u8],
    types: &Types,
    interface: &Interface,
    ty: &FunctionType,
    limit: usize,
    stop: Stop<'_>,
) -> Result<Vec<Value>, Unreadable> {
    if body.is_empty() && ty.params.is_empty() {
        return Ok(Vec::new());
    }
    let reading = Reading {
        types,
        interface,
        room: &Cell::new(Some(limit)),
        values: &Cell::new(0),
        stop,
        stopped: &Cell::new(false),
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Arguments { reading, ty }.deserialize(&mut json);
    let read = read.and_then(|read| json.end().map(|()| read));
    read.map_err(|error| match reading.room.get() {
        _ if reading.stopped.get() => Unreadable::Stopped,
        Some(_) => Unreadable::Json(error.to_string()),
        None => Unreadable::TooLarge(CallError::InputTooLarge {
            limit,
            found: limit.saturating_add(1),
        }),
    })
}

/// What all values of one body are read with.
#[derive(Clone, Copy)]
struct Reading<'t> {
    types: &'t Types,
    interface: &'t Interface,
    /// The bytes that are left; `None` once they were not enough.
    room: &'t Cell<Option<usize>>,
    /// The number of values that were begun.
    values: &'t Cell<u32>,
    stop: Stop<'t>,
    /// Whether reading ended early.
    stopped: &'t Cell<bool>,
}

impl<'t> Reading<'t> {
    /// Takes the bytes of a value: its own, and `more` on the heap.
    fn take<E: Error>(self, more: usize) -> Result<(), E> {
        let values = self.values.get().wrapping_add(1);
        self.values.set(values);
        if values.is_multiple_of(STRIDE) && self.stop.is_now() {
            self.stopped.set(true);
            return Err(E::custom("the call has ended"));
        }
        let bytes = size_of::<(Arc<str>, Value)>().saturating_add(more);
        let left = self.room.get().and_then(|left| left.checked_sub(bytes));
        self.room.set(left);
        match left {
            Some(_) => Ok(()),
            None => Err(E::custom("the arguments are too large")),
        }
    }

    fn of(self, ty: TypeId) -> Typed<'t> {
        Typed { reading: self, ty }
    }
}

/// Reads the arguments of a function.
struct Arguments<'t> {
    reading: Reading<'t>,
    ty: &'t FunctionType,
}

impl<'de> DeserializeSeed<'de> for Arguments<'_> {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Vec<Value>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Arguments<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FunctionType { names, .. } = self.ty;
        let count = names.len();
        let names = listed(names.iter().map(|name| &**name));
        write!(
            f,
            "an array of {count} arguments, or an object with them: {names}"
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, from: A) -> Result<Vec<Value>, A::Error> {
        elements(self.reading, &self.ty.params, from, &self)
    }

    fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<Vec<Value>, A::Error> {
        let FunctionType { names, params, .. } = self.ty;
        let fields = names.iter().zip(params).map(|(name, ty)| (name, *ty));
        let names = Names::Alone(names);
        let order = Order::of(names);
        let find = |name: &str| order.position(names, name);
        let read = fields_of(self.reading, fields.collect(), find, from)?;
        Ok(read.into_iter().map(|(_, value)| value).collect())
    }
}

/// Reads a value of a type.
#[derive(Clone, Copy)]
struct Typed<'t> {
    reading: Reading<'t>,
    ty: TypeId,
}

impl<'t> Typed<'t> {
    fn get(self) -> &'t Type {
        self.reading.types.get(self.ty)
    }

    /// Returns the place of a name among those of the type.
    fn position(self, names: Names<'_>, name: &str) -> Option<usize> {
        self.reading.interface.position(self.ty, names, name)
    }

    /// Returns the variant's case of a name.
    fn case(
        self,
        cases: &'t [(Arc<str>, Option<TypeId>)],
        name: &str,
    ) -> Option<&'t (Arc<str>, Option<TypeId>)> {
        cases.get(self.position(Names::Cases(cases), name)?)
    }

    /// Returns an integer as a value of the type, if it is one.
    fn integer(self, number: i128) -> Option<Value> {
        Some(match self.get() {
            Type::S8 => Value::S8(number.try_into().ok()?),
            Type::U8 => Value::U8(number.try_into().ok()?),
            Type::S16 => Value::S16(number.try_into().ok()?),
            Type::U16 => Value::U16(number.try_into().ok()?),
            Type::S32 => Value::S32(number.try_into().ok()?),
            Type::U32 => Value::U32(number.try_into().ok()?),
            Type::S64 => Value::S64(number.try_into().ok()?),
            Type::U64 => Value::U64(number.try_into().ok()?),
            _ => return None,
        })
    }

    /// Returns a float as a value of the type. One that is too large for an f32 is none.
    fn float(self, number: f64) -> Option<Value> {
        match self.get() {
            Type::F64 => Some(Value::F64(number)),
            Type::F32 => {
                let fits = number.abs() <= MOST_F32 || !number.is_finite();
                fits.then_some(Value::F32(number as f32))
            }
            _ => None,
        }
    }

    /// Returns a text as a value of the type.
    fn text(self, text: &str) -> Option<Value> {
        Some(match self.get() {
            Type::String => Value::String(text.to_owned()),
            Type::Char => {
                let mut chars = text.chars();
                let (Some(char), None) = (chars.next(), chars.next()) else {
                    return None;
                };
                Value::Char(char)
            }
            Type::List(of) if *self.reading.types.get(*of) == Type::U8 => {
                Value::Bytes(BASE64.decode(text).ok()?)
            }
            Type::FixedList(of, length) if *self.reading.types.get(*of) == Type::U8 => {
                let bytes = BASE64.decode(text).ok()?;
                let fits = u32::try_from(bytes.len()).ok() == Some(*length);
                Value::Bytes(fits.then_some(bytes)?)
            }
            Type::Enum(cases) => {
                let at = self.position(Names::Alone(cases), text)?;
                Value::Enum(cases.get(at)?.clone())
            }
            Type::Variant(cases) => {
                let (case, payload) = self.case(cases, text)?;
                payload
                    .is_none()
                    .then(|| Value::Variant(case.clone(), None))?
            }
            // Most programs read numbers of JSON as floats of 53 bits.
            Type::S64 | Type::U64 => self.integer(text.parse().ok()?)?,
            // Numbers that JSON does not have.
            Type::F32 | Type::F64 => {
                let number: f64 = text.parse().ok()?;
                (!number.is_finite()).then(|| self.float(number))??
            }
            _ => return None,
        })
    }
}

impl Typed<'_> {
    /// Returns the type of the value in an object with the one entry `name`; `Some(None)` if that is `null`.
    fn payload(self, name: &str) -> Option<Option<TypeId>> {
        match self.get() {
            Type::Variant(cases) => {
                let (_, payload) = self.case(cases, name)?;
                payload.map(Some)
            }
            Type::Result(ok, _) if name == "ok" => Some(*ok),
            Type::Result(_, error) if name == "error" => Some(*error),
            // Else `none` and `some(none)` would both be `null`.
            Type::Option(of) if name == "some" => Some(Some(*of)),
            _ => None,
        }
    }

    /// Returns the value of an object with the one entry `name`.
    fn entry(self, name: &str, value: Option<Box<Value>>) -> Value {
        match self.get() {
            Type::Variant(cases) => {
                let case = self.case(cases, name);
                Value::Variant(
                    case.map_or_else(|| name.into(), |(case, _)| case.clone()),
                    value,
                )
            }
            Type::Option(_) => Value::Option(value),
            _ if name == "ok" => Value::Result(Ok(value)),
            _ => Value::Result(Err(value)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Typed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        match self.get() {
            Type::Option(_) => from.deserialize_option(self),
            _ => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Typed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_u8 = |of: &TypeId| *self.reading.types.get(*of) == Type::U8;
        match self.get() {
            Type::Bool => f.write_str("true or false"),
            Type::S8 => f.write_str("an integer of 8 bits (s8)"),
            Type::U8 => f.write_str("an integer from 0 to 255 (u8)"),
            Type::S16 => f.write_str("an integer of 16 bits (s16)"),
            Type::U16 => f.write_str("an integer from 0 to 65535 (u16)"),
            Type::S32 => f.write_str("an integer of 32 bits (s32)"),
            Type::U32 => f.write_str("an integer from 0 to 4294967295 (u32)"),
            Type::S64 => f.write_str("an integer of 64 bits (s64)"),
            Type::U64 => f.write_str("an integer of 64 bits, 0 or more (u64)"),
            Type::F32 => f.write_str("a number (f32)"),
            Type::F64 => f.write_str("a number (f64)"),
            Type::Char => f.write_str("a text of one character"),
            Type::String => f.write_str("a text"),
            Type::List(of) if is_u8(of) => f.write_str("bytes as a text in base64"),
            Type::FixedList(of, length) if is_u8(of) => {
                write!(f, "{length} bytes as a text in base64")
            }
            Type::List(_) => f.write_str("an array"),
            Type::FixedList(_, length) => write!(f, "an array of {length} elements"),
            Type::Tuple(parts) => write!(f, "an array of {} elements", parts.len()),
            Type::Record(fields) => {
                let names = listed(fields.iter().map(|(name, _)| &**name));
                write!(f, "an object with {names}")
            }
            Type::Variant(cases) => {
                let names = listed(cases.iter().map(|(name, _)| &**name));
                write!(
                    f,
                    "a case, as a text or an object with one entry, of {names}"
                )
            }
            Type::Enum(cases) => {
                let names = listed(cases.iter().map(|name| &**name));
                write!(f, "one of the texts {names}")
            }
            Type::Flags(names) => {
                let names = listed(names.iter().map(|name| &**name));
                write!(f, "an array of different ones of the texts {names}")
            }
            Type::Option(of) if matches!(self.reading.types.get(*of), Type::Option(_)) => {
                f.write_str("null, or an object with the entry `some`")
            }
            Type::Option(_) => f.write_str("null or a value"),
            Type::Result(..) => f.write_str("an object with the entry `ok` or `error`"),
            Type::Own(_) | Type::Borrow(_) => f.write_str("a resource, which JSON does not have"),
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        match self.get() {
            Type::Bool => self.reading.take(0).map(|()| Value::Bool(value)),
            _ => Err(E::invalid_type(Unexpected::Bool(value), &self)),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.reading.take(0)?;
        // JSON does not tell integers from floats.
        let read = self
            .integer(value.into())
            .or_else(|| self.float(value as f64));
        read.ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.reading.take(0)?;
        let read = self
            .integer(value.into())
            .or_else(|| self.float(value as f64));
        read.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.reading.take(0)?;
        let whole = || (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i128);
        let read = self.float(value).or_else(|| self.integer(whole()?));
        read.ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.reading.take(value.len())?;
        let read = self.text(value);
        read.ok_or_else(|| {
            // A long text would make a long message.
            let found = match value.len() {
                0..=100 => Unexpected::Str(value),
                _ => Unexpected::Other("a text"),
            };
            E::invalid_value(found, &self)
        })
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        match self.get() {
            Type::Option(_) => self.reading.take(0).map(|()| Value::Option(None)),
            _ => Err(E::invalid_type(Unexpected::Unit, &self)),
        }
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        let Type::Option(of) = self.get() else {
            return Err(D::Error::invalid_type(Unexpected::Option, &self));
        };
        self.reading.take(0)?;
        // Else `none` and `some(none)` would both be `null`.
        match self.reading.types.get(*of) {
            Type::Option(_) => from.deserialize_map(self),
            _ => {
                let value = self.reading.of(*of).deserialize(from)?;
                Ok(Value::Option(Some(Box::new(value))))
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.reading.take(0)?;
        let is_u8 = |of: &TypeId| *self.reading.types.get(*of) == Type::U8;
        match self.get() {
            Type::List(of) if !is_u8(of) => {
                let mut all = Vec::new();
                while let Some(value) = from.next_element_seed(self.reading.of(*of))? {
                    all.push(value);
                }
                Ok(Value::List(all))
            }
            Type::FixedList(of, length) if !is_u8(of) => {
                let mut all = Vec::new();
                while let Some(value) = from.next_element_seed(self.reading.of(*of))? {
                    all.push(value);
                }
                match u32::try_from(all.len()).ok() == Some(*length) {
                    true => Ok(Value::List(all)),
                    false => Err(A::Error::invalid_length(all.len(), &self)),
                }
            }
            Type::Tuple(parts) => elements(self.reading, parts, from, &self).map(Value::Tuple),
            Type::Flags(names) => {
                let mut set: Vec<Arc<str>> = Vec::new();
                let mut places = HashSet::new();
                while let Some(text) = from.next_element::<String>()? {
                    self.reading.take(0)?;
                    let wrong = || A::Error::invalid_value(Unexpected::Str(&text), &self);
                    let at = self.position(Names::Alone(names), &text);
                    let at = at.filter(|at| places.insert(*at)).ok_or_else(wrong)?;
                    set.push(names.get(at).ok_or_else(wrong)?.clone());
                }
                Ok(Value::Flags(set))
            }
            _ => Err(A::Error::invalid_type(Unexpected::Seq, &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.reading.take(0)?;
        let wrong = |name: &str| A::Error::invalid_value(Unexpected::Str(name), &self);
        match self.get() {
            Type::Record(fields) => {
                let find = |name: &str| self.position(Names::Fields(fields), name);
                let fields = fields.iter().map(|(name, ty)| (name, *ty));
                fields_of(self.reading, fields.collect(), find, from).map(Value::Record)
            }
            Type::Variant(_) | Type::Result(..) | Type::Option(_) => {
                let name: Option<String> = from.next_key()?;
                let name = name.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let value = match self.payload(&name).ok_or_else(|| wrong(&name))? {
                    Some(ty) => {
                        let value = from.next_value_seed(self.reading.of(ty))?;
                        Some(Box::new(value))
                    }
                    None => from.next_value::<()>().map(|()| None)?,
                };
                match from.next_key::<String>()? {
                    None => Ok(self.entry(&name, value)),
                    Some(second) => Err(wrong(&second)),
                }
            }
            _ => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}

/// Reads an array with an element for each type.
fn elements<'de, A: SeqAccess<'de>>(
    reading: Reading<'_>,
    types: &[TypeId],
    mut from: A,
    expected: &dyn de::Expected,
) -> Result<Vec<Value>, A::Error> {
    let mut read = Vec::new();
    for ty in types {
        let next = from.next_element_seed(reading.of(*ty))?;
        read.push(next.ok_or_else(|| A::Error::invalid_length(read.len(), expected))?);
    }
    match from.next_element::<de::IgnoredAny>()? {
        None => Ok(read),
        Some(_) => Err(A::Error::invalid_length(
            types.len().saturating_add(1),
            expected,
        )),
    }
}

/// Reads an object by its fields, of which `find` returns the place of one. An option that is missing is `none`.
fn fields_of<'de, A: MapAccess<'de>>(
    reading: Reading<'_>,
    fields: Vec<(&Arc<str>, TypeId)>,
    find: impl Fn(&str) -> Option<usize>,
    mut from: A,
) -> Result<Vec<(Arc<str>, Value)>, A::Error> {
    let mut read: Vec<Option<Value>> = fields.iter().map(|_| None).collect();
    while let Some(name) = from.next_key::<String>()? {
        let known = find(&name).and_then(|at| Some((fields.get(at)?, read.get_mut(at)?)));
        let Some(((_, ty), place)) = known else {
            let known = listed(fields.iter().map(|(name, _)| &***name));
            return Err(A::Error::custom(format_args!(
                "there is no field {name:?}, expected {known}"
            )));
        };
        if place.is_some() {
            return Err(A::Error::custom(format_args!(
                "the field `{name}` is there twice"
            )));
        }
        *place = Some(from.next_value_seed(reading.of(*ty))?);
    }
    let each = fields.into_iter().zip(read).map(|((name, ty), value)| {
        let value = match (value, reading.types.get(ty)) {
            (Some(value), _) => value,
            (None, Type::Option(_)) => reading.take(0).map(|()| Value::Option(None))?,
            (None, _) => {
                let missing = format_args!("the field `{name}` is missing");
                return Err(A::Error::custom(missing));
            }
        };
        Ok((name.clone(), value))
    });
    each.collect()
}
