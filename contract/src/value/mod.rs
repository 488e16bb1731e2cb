//! Values as text, in the encoding [WAVE].
//!
//! [WAVE]: https://github.com/bytecodealliance/wasm-tools/tree/main/crates/wasm-wave

#[cfg(feature = "core")]
mod host;
mod mistake;
mod wave;

pub(crate) use self::mistake::{Expected, message};

use crate::{call::CallTextError, print};
use std::{collections::HashMap, sync::Arc};
use wasm_wave::{parser::ParserError, untyped::UntypedValue};
use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId};

/// A value of a contract's type.
///
/// Its cases are those of the values that hostel passes to a component and gets from it.
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
    /// Flags: the names of those that are set, in the type's order.
    Flags(Vec<Arc<str>>),
    /// A handle, by the name of its resource. It has no text.
    Resource(Arc<str>),
}

impl Value {
    /// Writes the value as WAVE, such as `{x: 1, y: some("two")}`. Fields that are `none` are left out.
    ///
    /// # Errors
    ///
    /// [`CallTextError::Unwritable`] for a handle to a resource.
    pub fn to_wave(&self) -> Result<String, CallTextError> {
        wasm_wave::to_string(self).map_err(|_| CallTextError::Unwritable {
            ty: "a handle to a resource".to_owned(),
        })
    }
}

/// A type of a contract, with all that it is made of. Cloning shares its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueType {
    /// `bool`.
    Bool,
    /// `s8`.
    S8,
    /// `u8`.
    U8,
    /// `s16`.
    S16,
    /// `u16`.
    U16,
    /// `s32`.
    S32,
    /// `u32`.
    U32,
    /// `s64`.
    S64,
    /// `u64`.
    U64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `char`.
    Char,
    /// `string`.
    String,
    /// A list, with its length if that is fixed.
    List(Arc<ValueType>, Option<u32>),
    /// A record's fields.
    Record(Arc<[(Arc<str>, ValueType)]>),
    /// A tuple's elements.
    Tuple(Arc<[ValueType]>),
    /// A variant's cases.
    Variant(Arc<[(Arc<str>, Option<ValueType>)]>),
    /// An enum's cases.
    Enum(Arc<[Arc<str>]>),
    /// An option.
    Option(Arc<ValueType>),
    /// A result.
    Result(Arc<(Option<ValueType>, Option<ValueType>)>),
    /// The names of flags.
    Flags(Arc<[Arc<str>]>),
    /// A handle to a resource, by the resource's name. Its values have no text.
    Resource(Arc<str>),
    /// A type whose values have no text, as WIT: a stream, a future or an error context.
    Other(Arc<str>),
}

impl ValueType {
    /// Parses a value of this type from WAVE.
    ///
    /// # Errors
    ///
    /// [`CallTextError::Text`] for text that is no such value.
    pub fn parse(&self, text: &str) -> Result<Value, CallTextError> {
        if let Some(ty) = self.unwritable() {
            return Err(CallTextError::Unwritable { ty });
        }
        let mistake = |error: &ParserError, parsed: Option<&UntypedValue<'_>>| {
            let node = parsed.map(UntypedValue::node);
            CallTextError::text(error, text, Expected::Value(self), node)
        };
        let parsed = UntypedValue::parse(text).map_err(|error| mistake(&error, None))?;
        let value = parsed.to_wasm_value(self);
        value.map_err(|error| mistake(&error, Some(&parsed)))
    }

    /// Returns the part of this type whose values have no text, if there is one: such as a handle to a resource.
    pub fn unwritable(&self) -> Option<String> {
        let mut types = vec![self];
        let mut seen = std::collections::HashSet::new();
        while let Some(ty) = types.pop() {
            // Parts that are shared are looked at once.
            let mut part = |address: usize, new: &mut dyn FnMut()| {
                if seen.insert(address) {
                    new();
                }
            };
            match ty {
                Self::Resource(name) => return Some(format!("a handle to the resource `{name}`")),
                Self::Other(text) => return Some(format!("`{text}`")),
                Self::List(ty, _) | Self::Option(ty) => {
                    part(Arc::as_ptr(ty).addr(), &mut || types.push(ty));
                }
                Self::Record(fields) => part(Arc::as_ptr(fields).addr(), &mut || {
                    types.extend(fields.iter().map(|(_, ty)| ty));
                }),
                Self::Tuple(elements) => {
                    part(Arc::as_ptr(elements).addr(), &mut || {
                        types.extend(elements.iter())
                    });
                }
                Self::Variant(cases) => part(Arc::as_ptr(cases).addr(), &mut || {
                    types.extend(cases.iter().filter_map(|(_, ty)| ty.as_ref()));
                }),
                Self::Result(both) => part(Arc::as_ptr(both).addr(), &mut || {
                    types.extend(both.0.iter().chain(&both.1));
                }),
                _ => {}
            }
        }
        None
    }
}

/// Makes types of values. A type that is used several times is made once: types can contain one another so
/// often that they could not be written out.
pub(crate) struct Maker<'a> {
    resolve: &'a Resolve,
    made: HashMap<TypeId, ValueType>,
}

impl<'a> Maker<'a> {
    pub(crate) fn new(resolve: &'a Resolve) -> Self {
        Self {
            resolve,
            made: HashMap::new(),
        }
    }

    pub(crate) fn params(&mut self, function: &Function) -> Vec<ValueType> {
        let params = function.params.iter();
        params.map(|param| self.make(param.ty)).collect()
    }

    /// Makes a type. Contracts bound the nesting, and so the recursion.
    pub(crate) fn make(&mut self, ty: Type) -> ValueType {
        let id = match ty {
            Type::Bool => return ValueType::Bool,
            Type::U8 => return ValueType::U8,
            Type::U16 => return ValueType::U16,
            Type::U32 => return ValueType::U32,
            Type::U64 => return ValueType::U64,
            Type::S8 => return ValueType::S8,
            Type::S16 => return ValueType::S16,
            Type::S32 => return ValueType::S32,
            Type::S64 => return ValueType::S64,
            Type::F32 => return ValueType::F32,
            Type::F64 => return ValueType::F64,
            Type::Char => return ValueType::Char,
            Type::String => return ValueType::String,
            Type::ErrorContext => return ValueType::Other("error-context".into()),
            Type::Id(id) => id,
        };
        if let Some(made) = self.made.get(&id) {
            return made.clone();
        }
        let made = self.defined(id);
        self.made.insert(id, made.clone());
        made
    }

    fn defined(&mut self, id: TypeId) -> ValueType {
        let resolve = self.resolve;
        let ty = &resolve.types[id];
        match &ty.kind {
            TypeDefKind::Type(ty) => self.make(*ty),
            TypeDefKind::Record(record) => ValueType::Record(
                record
                    .fields
                    .iter()
                    .map(|field| (field.name.as_str().into(), self.make(field.ty)))
                    .collect(),
            ),
            TypeDefKind::Variant(variant) => ValueType::Variant(
                variant
                    .cases
                    .iter()
                    .map(|case| (case.name.as_str().into(), case.ty.map(|ty| self.make(ty))))
                    .collect(),
            ),
            TypeDefKind::Enum(it) => ValueType::Enum(
                it.cases
                    .iter()
                    .map(|case| case.name.as_str().into())
                    .collect(),
            ),
            TypeDefKind::Flags(it) => ValueType::Flags(
                it.flags
                    .iter()
                    .map(|flag| flag.name.as_str().into())
                    .collect(),
            ),
            TypeDefKind::Tuple(tuple) => {
                ValueType::Tuple(tuple.types.iter().map(|ty| self.make(*ty)).collect())
            }
            TypeDefKind::Option(ty) => ValueType::Option(self.make(*ty).into()),
            TypeDefKind::List(ty) => ValueType::List(self.make(*ty).into(), None),
            TypeDefKind::FixedLengthList(ty, length) => {
                ValueType::List(self.make(*ty).into(), Some(*length))
            }
            TypeDefKind::Result(result) => {
                let (ok, err) = (result.ok, result.err);
                let both = (ok.map(|ty| self.make(ty)), err.map(|ty| self.make(ty)));
                ValueType::Result(both.into())
            }
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
                let name = resolve.types[*resource].name.as_deref();
                ValueType::Resource(name.unwrap_or("resource").into())
            }
            TypeDefKind::Resource => {
                ValueType::Resource(ty.name.as_deref().unwrap_or("resource").into())
            }
            // Its values are those of a list of pairs.
            TypeDefKind::Map(key, value) => {
                let pair = [self.make(*key), self.make(*value)];
                ValueType::List(ValueType::Tuple(pair.into()).into(), None)
            }
            TypeDefKind::Future(_) | TypeDefKind::Stream(_) | TypeDefKind::Unknown => {
                ValueType::Other(print::ty(resolve, &Type::Id(id)).into())
            }
        }
    }
}
