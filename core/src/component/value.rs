//! [`Value`]: a value of any type of the Component Model.

use super::resource::Resource;
use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

/// A value of the Component Model, for types that are known only at run time.
///
/// Rust types that implement [`Lift`](super::Lift) and [`Lower`](super::Lower) are faster, and are checked
/// when the plugin is loaded.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `bool`.
    Bool(bool),
    /// `s8`.
    S8(i8),
    /// `u8`.
    U8(u8),
    /// `s16`.
    S16(i16),
    /// `u16`.
    U16(u16),
    /// `s32`.
    S32(i32),
    /// `u32`.
    U32(u32),
    /// `s64`.
    S64(i64),
    /// `u64`.
    U64(u64),
    /// `f32`.
    F32(f32),
    /// `f64`.
    F64(f64),
    /// `char`.
    Char(char),
    /// `string`.
    String(String),
    /// `list<u8>`, also of a fixed length.
    Bytes(Vec<u8>),
    /// `list<T>` of other elements, also of a fixed length.
    List(Vec<Value>),
    /// A record: its fields' names and values, in the type's order.
    Record(Vec<(Arc<str>, Value)>),
    /// A tuple.
    Tuple(Vec<Value>),
    /// A variant: its case and payload.
    Variant(Arc<str>, Option<Box<Value>>),
    /// An enum: its case.
    Enum(Arc<str>),
    /// `option<T>`.
    Option(Option<Box<Value>>),
    /// `result<T, E>`.
    Result(Result<Option<Box<Value>>, Option<Box<Value>>>),
    /// Flags: the names of those that are set.
    Flags(Vec<Arc<str>>),
    /// A handle to a resource.
    Resource(Resource),
}

impl Value {
    /// Returns the kind of value, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a bool",
            Self::S8(_) => "an s8",
            Self::U8(_) => "a u8",
            Self::S16(_) => "an s16",
            Self::U16(_) => "a u16",
            Self::S32(_) => "an s32",
            Self::U32(_) => "a u32",
            Self::S64(_) => "an s64",
            Self::U64(_) => "a u64",
            Self::F32(_) => "an f32",
            Self::F64(_) => "an f64",
            Self::Char(_) => "a char",
            Self::String(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Record(_) => "a record",
            Self::Tuple(_) => "a tuple",
            Self::Variant(..) => "a case of a variant",
            Self::Enum(_) => "a case of an enum",
            Self::Option(_) => "an option",
            Self::Result(_) => "a result",
            Self::Flags(_) => "flags",
            Self::Resource(_) => "a resource",
        }
    }
}
