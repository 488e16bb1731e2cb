//! Conversion to the values that `hostel-core` passes to a component, and back.

use super::Value;
use crate::call::CallTextError;
use hostel_core::component::Value as HostValue;

impl TryFrom<Value> for HostValue {
    type Error = CallTextError;

    /// Converts a value.
    ///
    /// # Errors
    ///
    /// [`CallTextError::Unwritable`] for a handle to a resource: only the host has one.
    fn try_from(value: Value) -> Result<Self, CallTextError> {
        let boxed = |value: Option<Box<Value>>| match value {
            Some(value) => Self::try_from(*value).map(|it| Some(Box::new(it))),
            None => Ok(None),
        };
        let all = |values: Vec<Value>| {
            values
                .into_iter()
                .map(Self::try_from)
                .collect::<Result<_, _>>()
        };
        Ok(match value {
            Value::Bool(it) => Self::Bool(it),
            Value::S8(it) => Self::S8(it),
            Value::U8(it) => Self::U8(it),
            Value::S16(it) => Self::S16(it),
            Value::U16(it) => Self::U16(it),
            Value::S32(it) => Self::S32(it),
            Value::U32(it) => Self::U32(it),
            Value::S64(it) => Self::S64(it),
            Value::U64(it) => Self::U64(it),
            Value::F32(it) => Self::F32(it),
            Value::F64(it) => Self::F64(it),
            Value::Char(it) => Self::Char(it),
            Value::String(it) => Self::String(it),
            Value::Bytes(it) => Self::Bytes(it),
            Value::List(it) => Self::List(all(it)?),
            Value::Record(fields) => {
                let fields = fields.into_iter();
                let fields = fields.map(|(name, value)| Ok((name, Self::try_from(value)?)));
                Self::Record(fields.collect::<Result<_, _>>()?)
            }
            Value::Tuple(it) => Self::Tuple(all(it)?),
            Value::Variant(case, it) => Self::Variant(case, boxed(it)?),
            Value::Enum(it) => Self::Enum(it),
            Value::Option(it) => Self::Option(boxed(it)?),
            Value::Result(Ok(it)) => Self::Result(Ok(boxed(it)?)),
            Value::Result(Err(it)) => Self::Result(Err(boxed(it)?)),
            Value::Flags(it) => Self::Flags(it),
            Value::Resource(name) => {
                return Err(CallTextError::Unwritable {
                    ty: format!("a handle to the resource `{name}`"),
                });
            }
        })
    }
}

impl From<HostValue> for Value {
    /// Converts a value. Of a handle, its number is kept as the name.
    fn from(value: HostValue) -> Self {
        let boxed = |value: Option<Box<HostValue>>| value.map(|it| Box::new(Self::from(*it)));
        let all = |values: Vec<HostValue>| values.into_iter().map(Self::from).collect();
        match value {
            HostValue::Bool(it) => Self::Bool(it),
            HostValue::S8(it) => Self::S8(it),
            HostValue::U8(it) => Self::U8(it),
            HostValue::S16(it) => Self::S16(it),
            HostValue::U16(it) => Self::U16(it),
            HostValue::S32(it) => Self::S32(it),
            HostValue::U32(it) => Self::U32(it),
            HostValue::S64(it) => Self::S64(it),
            HostValue::U64(it) => Self::U64(it),
            HostValue::F32(it) => Self::F32(it),
            HostValue::F64(it) => Self::F64(it),
            HostValue::Char(it) => Self::Char(it),
            HostValue::String(it) => Self::String(it),
            HostValue::Bytes(it) => Self::Bytes(it),
            HostValue::List(it) => Self::List(all(it)),
            HostValue::Record(fields) => {
                let fields = fields.into_iter();
                Self::Record(fields.map(|(name, value)| (name, value.into())).collect())
            }
            HostValue::Tuple(it) => Self::Tuple(all(it)),
            HostValue::Variant(case, it) => Self::Variant(case, boxed(it)),
            HostValue::Enum(it) => Self::Enum(it),
            HostValue::Option(it) => Self::Option(boxed(it)),
            HostValue::Result(it) => Self::Result(it.map(boxed).map_err(boxed)),
            HostValue::Flags(it) => Self::Flags(it),
            HostValue::Resource(it) => Self::Resource(it.number().to_string().into()),
        }
    }
}
