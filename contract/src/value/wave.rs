//! What wasm-wave asks of a value and of its type. It calls a method only for the kinds it is meant for; for
//! others these return something empty, so that none panics.

use super::{Value, ValueType};
use std::{borrow::Cow, sync::Arc};
use wasm_wave::wasm::{WasmType, WasmTypeKind as Kind, WasmValue, WasmValueError};

type Boxed<'a, T> = Box<dyn Iterator<Item = T> + 'a>;

impl WasmType for ValueType {
    fn kind(&self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::S8 => Kind::S8,
            Self::U8 => Kind::U8,
            Self::S16 => Kind::S16,
            Self::U16 => Kind::U16,
            Self::S32 => Kind::S32,
            Self::U32 => Kind::U32,
            Self::S64 => Kind::S64,
            Self::U64 => Kind::U64,
            Self::F32 => Kind::F32,
            Self::F64 => Kind::F64,
            Self::Char => Kind::Char,
            Self::String => Kind::String,
            // The text of both is equal; `make_list` checks a fixed length.
            Self::List(..) => Kind::List,
            Self::Record(_) => Kind::Record,
            Self::Tuple(_) => Kind::Tuple,
            Self::Variant(_) => Kind::Variant,
            Self::Enum(_) => Kind::Enum,
            Self::Option(_) => Kind::Option,
            Self::Result(_) => Kind::Result,
            Self::Flags(_) => Kind::Flags,
            Self::Resource(_) | Self::Other(_) => Kind::Unsupported,
        }
    }

    fn list_element_type(&self) -> Option<Self> {
        match self {
            Self::List(ty, _) => Some((**ty).clone()),
            _ => None,
        }
    }

    fn record_fields(&self) -> Boxed<'_, (Cow<'_, str>, Self)> {
        let fields = match self {
            Self::Record(fields) => &**fields,
            _ => &[],
        };
        let fields = fields.iter();
        Box::new(fields.map(|(name, ty)| (Cow::Borrowed(&**name), ty.clone())))
    }

    fn tuple_element_types(&self) -> Boxed<'_, Self> {
        match self {
            Self::Tuple(types) => Box::new(types.iter().cloned()),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn variant_cases(&self) -> Boxed<'_, (Cow<'_, str>, Option<Self>)> {
        let cases = match self {
            Self::Variant(cases) => &**cases,
            _ => &[],
        };
        let cases = cases.iter();
        Box::new(cases.map(|(name, ty)| (Cow::Borrowed(&**name), ty.clone())))
    }

    fn enum_cases(&self) -> Boxed<'_, Cow<'_, str>> {
        match self {
            Self::Enum(names) => strings(names),
            _ => strings(&[]),
        }
    }

    fn option_some_type(&self) -> Option<Self> {
        match self {
            Self::Option(ty) => Some((**ty).clone()),
            _ => None,
        }
    }

    fn result_types(&self) -> Option<(Option<Self>, Option<Self>)> {
        match self {
            Self::Result(both) => Some((**both).clone()),
            _ => None,
        }
    }

    fn flags_names(&self) -> Boxed<'_, Cow<'_, str>> {
        match self {
            Self::Flags(names) => strings(names),
            _ => strings(&[]),
        }
    }

    fn map_key_value_types(&self) -> Option<(Self, Self)> {
        None
    }
}

fn strings(names: &[Arc<str>]) -> Boxed<'_, Cow<'_, str>> {
    Box::new(names.iter().map(|name| Cow::Borrowed(&**name)))
}

/// Returns the one of `names` that equals `name`.
fn known(names: &[Arc<str>], name: &str) -> Result<Arc<str>, WasmValueError> {
    let found = names.iter().find(|known| ***known == *name);
    found
        .cloned()
        .ok_or_else(|| WasmValueError::UnknownCase(name.to_owned()))
}

fn wrong(expected: &str) -> WasmValueError {
    WasmValueError::Other(format!("expected {expected}"))
}

impl WasmValue for Value {
    type Type = ValueType;

    fn kind(&self) -> Kind {
        match self {
            Self::Bool(_) => Kind::Bool,
            Self::S8(_) => Kind::S8,
            Self::U8(_) => Kind::U8,
            Self::S16(_) => Kind::S16,
            Self::U16(_) => Kind::U16,
            Self::S32(_) => Kind::S32,
            Self::U32(_) => Kind::U32,
            Self::S64(_) => Kind::S64,
            Self::U64(_) => Kind::U64,
            Self::F32(_) => Kind::F32,
            Self::F64(_) => Kind::F64,
            Self::Char(_) => Kind::Char,
            Self::String(_) => Kind::String,
            Self::Bytes(_) | Self::List(_) => Kind::List,
            Self::Record(_) => Kind::Record,
            Self::Tuple(_) => Kind::Tuple,
            Self::Variant(..) => Kind::Variant,
            Self::Enum(_) => Kind::Enum,
            Self::Option(_) => Kind::Option,
            Self::Result(_) => Kind::Result,
            Self::Flags(_) => Kind::Flags,
            Self::Resource(_) => Kind::Unsupported,
        }
    }

    fn make_bool(value: bool) -> Self {
        Self::Bool(value)
    }

    fn make_s8(value: i8) -> Self {
        Self::S8(value)
    }

    fn make_s16(value: i16) -> Self {
        Self::S16(value)
    }

    fn make_s32(value: i32) -> Self {
        Self::S32(value)
    }

    fn make_s64(value: i64) -> Self {
        Self::S64(value)
    }

    fn make_u8(value: u8) -> Self {
        Self::U8(value)
    }

    fn make_u16(value: u16) -> Self {
        Self::U16(value)
    }

    fn make_u32(value: u32) -> Self {
        Self::U32(value)
    }

    fn make_u64(value: u64) -> Self {
        Self::U64(value)
    }

    fn make_f32(value: f32) -> Self {
        Self::F32(value)
    }

    fn make_f64(value: f64) -> Self {
        Self::F64(value)
    }

    fn make_char(value: char) -> Self {
        Self::Char(value)
    }

    fn make_string(value: Cow<'_, str>) -> Self {
        Self::String(value.into_owned())
    }

    fn make_list(
        ty: &ValueType,
        values: impl IntoIterator<Item = Self>,
    ) -> Result<Self, WasmValueError> {
        let ValueType::List(element, length) = ty else {
            return Err(wrong("a list"));
        };
        let values: Vec<_> = values.into_iter().collect();
        if let Some(length) = length
            && u32::try_from(values.len()).ok() != Some(*length)
        {
            let found = values.len();
            return Err(wrong(&format!("{length} elements, found {found}")));
        }
        if **element != ValueType::U8 {
            return Ok(Self::List(values));
        }
        let bytes = values.iter().map(|value| match value {
            Self::U8(byte) => Ok(*byte),
            _ => Err(wrong("bytes")),
        });
        bytes.collect::<Result<_, _>>().map(Self::Bytes)
    }

    fn make_record<'a>(
        ty: &ValueType,
        fields: impl IntoIterator<Item = (&'a str, Self)>,
    ) -> Result<Self, WasmValueError> {
        let ValueType::Record(declared) = ty else {
            return Err(wrong("a record"));
        };
        let fields = fields.into_iter().map(|(name, value)| {
            let field = declared.iter().find(|(known, _)| **known == *name);
            let (name, _) = field.ok_or_else(|| WasmValueError::UnknownField(name.to_owned()))?;
            Ok((name.clone(), value))
        });
        fields.collect::<Result<_, _>>().map(Self::Record)
    }

    fn make_tuple(
        _: &ValueType,
        values: impl IntoIterator<Item = Self>,
    ) -> Result<Self, WasmValueError> {
        Ok(Self::Tuple(values.into_iter().collect()))
    }

    fn make_variant(
        ty: &ValueType,
        case: &str,
        value: Option<Self>,
    ) -> Result<Self, WasmValueError> {
        let ValueType::Variant(cases) = ty else {
            return Err(wrong("a variant"));
        };
        let found = cases.iter().find(|(known, _)| **known == *case);
        let (name, _) = found.ok_or_else(|| WasmValueError::UnknownCase(case.to_owned()))?;
        Ok(Self::Variant(name.clone(), value.map(Box::new)))
    }

    fn make_enum(ty: &ValueType, case: &str) -> Result<Self, WasmValueError> {
        match ty {
            ValueType::Enum(cases) => known(cases, case).map(Self::Enum),
            _ => Err(wrong("an enum")),
        }
    }

    fn make_option(_: &ValueType, value: Option<Self>) -> Result<Self, WasmValueError> {
        Ok(Self::Option(value.map(Box::new)))
    }

    fn make_result(
        _: &ValueType,
        value: Result<Option<Self>, Option<Self>>,
    ) -> Result<Self, WasmValueError> {
        let value = value.map(|it| it.map(Box::new));
        Ok(Self::Result(value.map_err(|it| it.map(Box::new))))
    }

    fn make_flags<'a>(
        ty: &ValueType,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, WasmValueError> {
        let ValueType::Flags(flags) = ty else {
            return Err(wrong("flags"));
        };
        let mut names: Vec<_> = names
            .into_iter()
            .map(|name| known(flags, name))
            .collect::<Result<_, _>>()?;
        // wasm-wave has sorted them.
        names.dedup();
        Ok(Self::Flags(names))
    }

    fn make_map(
        _: &ValueType,
        _: impl IntoIterator<Item = (Self, Self)>,
    ) -> Result<Self, WasmValueError> {
        Err(WasmValueError::UnsupportedType("map".to_owned()))
    }

    fn unwrap_bool(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    fn unwrap_s8(&self) -> i8 {
        match self {
            Self::S8(value) => *value,
            _ => 0,
        }
    }

    fn unwrap_s16(&self) -> i16 {
        match self {
            Self::S16(value) => *value,
            _ => 0,
        }
    }

    fn unwrap_s32(&self) -> i32 {
        match self {
            Self::S32(value) => *value,
            _ => 0,
        }
    }

    fn unwrap_s64(&self) -> i64 {
        match self {
            Self::S64(value) => *value,
            _ => 0,
        }
    }

    fn unwrap_u8(&self) -> u8 {
        match self {
            Self::U8(value) => *value,
            _ => 0,
        }
    }

    fn unwrap_u16(&self) -> u16 {
        match self {
            Self::U16(value) => *value,
            _ => 0,
        }
    }

    fn unwrap_u32(&self) -> u32 {
        match self {
            Self::U32(value) => *value,
            _ => 0,
        }
    }

    fn unwrap_u64(&self) -> u64 {
        match self {
            Self::U64(value) => *value,
            _ => 0,
        }
    }

    fn unwrap_f32(&self) -> f32 {
        match self {
            Self::F32(value) => *value,
            _ => 0.0,
        }
    }

    fn unwrap_f64(&self) -> f64 {
        match self {
            Self::F64(value) => *value,
            _ => 0.0,
        }
    }

    fn unwrap_char(&self) -> char {
        match self {
            Self::Char(value) => *value,
            _ => '\0',
        }
    }

    fn unwrap_string(&self) -> Cow<'_, str> {
        match self {
            Self::String(value) => Cow::Borrowed(value),
            _ => Cow::Borrowed(""),
        }
    }

    fn unwrap_list(&self) -> Boxed<'_, Cow<'_, Self>> {
        match self {
            Self::Bytes(bytes) => Box::new(bytes.iter().map(|byte| Cow::Owned(Self::U8(*byte)))),
            Self::List(values) => Box::new(values.iter().map(Cow::Borrowed)),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn unwrap_record(&self) -> Boxed<'_, (Cow<'_, str>, Cow<'_, Self>)> {
        let fields = match self {
            Self::Record(fields) => &**fields,
            _ => &[],
        };
        let fields = fields.iter();
        Box::new(fields.map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(value))))
    }

    fn unwrap_tuple(&self) -> Boxed<'_, Cow<'_, Self>> {
        match self {
            Self::Tuple(values) => Box::new(values.iter().map(Cow::Borrowed)),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn unwrap_variant(&self) -> (Cow<'_, str>, Option<Cow<'_, Self>>) {
        match self {
            Self::Variant(case, value) => {
                (Cow::Borrowed(&**case), value.as_deref().map(Cow::Borrowed))
            }
            _ => (Cow::Borrowed(""), None),
        }
    }

    fn unwrap_enum(&self) -> Cow<'_, str> {
        match self {
            Self::Enum(case) => Cow::Borrowed(case),
            _ => Cow::Borrowed(""),
        }
    }

    fn unwrap_option(&self) -> Option<Cow<'_, Self>> {
        match self {
            Self::Option(value) => value.as_deref().map(Cow::Borrowed),
            _ => None,
        }
    }

    fn unwrap_result(&self) -> Result<Option<Cow<'_, Self>>, Option<Cow<'_, Self>>> {
        match self {
            Self::Result(Ok(value)) => Ok(value.as_deref().map(Cow::Borrowed)),
            Self::Result(Err(value)) => Err(value.as_deref().map(Cow::Borrowed)),
            _ => Ok(None),
        }
    }

    fn unwrap_flags(&self) -> Boxed<'_, Cow<'_, str>> {
        match self {
            Self::Flags(names) => strings(names),
            _ => strings(&[]),
        }
    }

    fn unwrap_map(&self) -> Boxed<'_, (Cow<'_, Self>, Cow<'_, Self>)> {
        Box::new(std::iter::empty())
    }
}
