//! [`Types`]: the value types of a component, each once, with its size, alignment and flat form.

use super::{
    layout::{Layout, Sum, Union},
    wit::Cut,
};
use crate::{
    base::{signature::ValType, text::text},
    error::LoadError,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    any,
    fmt::{self, Write as _},
};
use hashbrown::HashMap;

/// Most core values in which a function takes its parameters; more are passed in memory.
pub(crate) const MAX_FLAT_PARAMS: usize = 16;

/// Most core values in which a function returns its result; more are passed in memory.
pub(crate) const MAX_FLAT_RESULTS: usize = 1;

/// The number of a type in [`Types`]. Types that are equal have one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(u32);

/// The number of a function's type in [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunctionTypeId(u32);

/// The number of a resource type in a component. Each component instance that defines one has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(pub(crate) u32);

impl ResourceId {
    /// Returns the number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// A value type of the Component Model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
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
    /// `list<T>`.
    List(TypeId),
    /// `list<T, N>`: a list of a fixed length.
    FixedList(TypeId, u32),
    /// A record: its fields' names and types.
    Record(Box<[(Arc<str>, TypeId)]>),
    /// A tuple.
    Tuple(Box<[TypeId]>),
    /// A variant: its cases' names and payloads.
    Variant(Box<[(Arc<str>, Option<TypeId>)]>),
    /// An enum: its cases.
    Enum(Box<[Arc<str>]>),
    /// `option<T>`.
    Option(TypeId),
    /// `result<T, E>`.
    Result(Option<TypeId>, Option<TypeId>),
    /// Flags: their names.
    Flags(Box<[Arc<str>]>),
    /// A handle that owns a resource.
    Own(ResourceId),
    /// A handle that borrows a resource.
    Borrow(ResourceId),
}

/// The type of a function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FunctionType {
    /// The parameters' names.
    pub names: Box<[Arc<str>]>,
    /// The parameters' types.
    pub params: Box<[TypeId]>,
    /// The result, if there is one.
    pub result: Option<TypeId>,
}

/// The value types and function types of a component, each once.
#[derive(Debug)]
pub struct Types {
    entries: Vec<(Type, Layout)>,
    numbers: HashMap<Type, TypeId>,
    functions: Vec<FunctionType>,
    /// What [`function`](Self::function) returns for a number of another table.
    no_function: FunctionType,
    function_numbers: HashMap<FunctionType, FunctionTypeId>,
    /// Resource types that the embedder supplies.
    supplied: Vec<Supplied>,
}

/// A resource type that the embedder supplies.
#[derive(Debug)]
struct Supplied {
    resource: ResourceId,
    name: Box<str>,
    /// The Rust type that stands for it.
    rust: any::TypeId,
}

impl Types {
    /// Returns a table without types.
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            numbers: HashMap::new(),
            functions: Vec::new(),
            no_function: FunctionType {
                names: Box::default(),
                params: Box::default(),
                result: None,
            },
            function_numbers: HashMap::new(),
            supplied: Vec::new(),
        }
    }

    /// Notes that the embedder supplies a resource type, by a Rust type that stands for it.
    pub(crate) fn supply(&mut self, resource: ResourceId, name: &str, rust: any::TypeId) {
        self.supplied.push(Supplied {
            resource,
            name: name.into(),
            rust,
        });
    }

    /// Returns whether the Rust type `R` stands for the resource type.
    pub(crate) fn is_supplied_as<R: 'static>(&self, resource: ResourceId) -> bool {
        self.is_supplied_by(resource, any::TypeId::of::<R>())
    }

    /// Returns whether this Rust type stands for the resource type.
    pub(crate) fn is_supplied_by(&self, resource: ResourceId, rust: any::TypeId) -> bool {
        let of = self.supplied_at(resource);
        of.is_some_and(|of| of.rust == rust)
    }

    /// Returns the name under which the embedder supplies the resource type, in quotes; another description if it
    /// does not.
    pub(crate) fn resource_name(&self, resource: ResourceId) -> Box<str> {
        match self.supplied_at(resource) {
            Some(of) => text(format_args!("`{}`", of.name)),
            None => "that the component defines".into(),
        }
    }

    fn supplied_at(&self, resource: ResourceId) -> Option<&Supplied> {
        self.supplied.iter().find(|of| of.resource == resource)
    }

    /// Adds a type, unless it is there, and returns its number. The types in it must be of this table.
    ///
    /// # Errors
    ///
    /// [`LoadError::Unsupported`] if a value of it takes more than 256 MiB.
    pub(crate) fn add(&mut self, ty: Type) -> Result<TypeId, LoadError> {
        if let Some(known) = self.numbers.get(&ty) {
            return Ok(*known);
        }
        let layout = self.layout_of(&ty)?;
        let number = TypeId(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        self.entries.push((ty.clone(), layout));
        self.numbers.insert(ty, number);
        Ok(number)
    }

    /// Adds a function's type, unless it is there, and returns its number.
    pub(crate) fn add_function(&mut self, ty: FunctionType) -> FunctionTypeId {
        if let Some(known) = self.function_numbers.get(&ty) {
            return *known;
        }
        let number = FunctionTypeId(u32::try_from(self.functions.len()).unwrap_or(u32::MAX));
        self.functions.push(ty.clone());
        self.function_numbers.insert(ty, number);
        number
    }

    /// Returns the type of a function without parameters and result.
    pub(crate) const fn nothing(&self) -> FunctionTypeId {
        FunctionTypeId(u32::MAX)
    }

    /// Returns the type of this number.
    #[must_use]
    pub fn get(&self, ty: TypeId) -> &Type {
        self.entry(ty).map_or(&Type::Bool, |(ty, _)| ty)
    }

    /// Returns the function type of this number.
    #[must_use]
    pub fn function(&self, ty: FunctionTypeId) -> &FunctionType {
        let at = usize::try_from(ty.0).unwrap_or(usize::MAX);
        self.functions.get(at).unwrap_or(&self.no_function)
    }

    /// Returns the layout of the type of this number.
    pub(crate) fn layout(&self, ty: TypeId) -> &Layout {
        static NONE: Layout = Layout {
            size: 0,
            align: 1,
            cases: 0,
            payload_align: 1,
            flat: None,
            is_plain: false,
        };
        self.entry(ty).map_or(&NONE, |(_, layout)| layout)
    }

    /// Returns the entry of this number. There is one: numbers are given out by [`add`](Self::add) only.
    fn entry(&self, ty: TypeId) -> Option<&(Type, Layout)> {
        self.entries.get(usize::try_from(ty.0).ok()?)
    }

    /// Returns a value that displays the type as WIT does.
    pub(crate) const fn shown(&self, ty: TypeId) -> Shown<'_> {
        Shown { types: self, ty }
    }

    /// Returns the layout of a tuple of these types, as parameters are laid out in memory.
    pub(crate) fn tuple(&self, types: impl Iterator<Item = TypeId>) -> Result<Layout, LoadError> {
        let sum = types.fold(Sum::new(), |sum, ty| sum.with(self.layout(ty)));
        sum.end().ok_or_else(too_large)
    }

    fn layout_of(&self, ty: &Type) -> Result<Layout, LoadError> {
        Ok(match ty {
            Type::Bool | Type::S8 | Type::U8 => Layout::scalar(1, ValType::I32),
            Type::S16 | Type::U16 => Layout::scalar(2, ValType::I32),
            Type::S32 | Type::U32 | Type::Char => Layout::scalar(4, ValType::I32),
            Type::S64 | Type::U64 => Layout::scalar(8, ValType::I64),
            Type::F32 => Layout::scalar(4, ValType::F32),
            Type::F64 => Layout::scalar(8, ValType::F64),
            Type::Own(_) | Type::Borrow(_) => Layout::HANDLE,
            Type::String | Type::List(_) => Layout::POINTER,
            Type::FixedList(element, len) => {
                let repeated = self.layout(*element).repeated(*len);
                repeated.ok_or_else(too_large)?
            }
            Type::Record(fields) => self.tuple(fields.iter().map(|(_, ty)| *ty))?,
            Type::Tuple(fields) => self.tuple(fields.iter().copied())?,
            Type::Enum(cases) => Layout::cases(cases.len()),
            Type::Flags(names) => Layout::flags(names.len()),
            Type::Variant(cases) => self.union(cases.len(), cases.iter().map(|(_, ty)| *ty))?,
            Type::Option(some) => self.union(2, [None, Some(*some)].into_iter())?,
            Type::Result(ok, err) => self.union(2, [*ok, *err].into_iter())?,
        })
    }

    /// Returns the layout of a value that is one of several cases.
    fn union(
        &self,
        cases: usize,
        payloads: impl Iterator<Item = Option<TypeId>>,
    ) -> Result<Layout, LoadError> {
        let with = |union: Union, payload| union.with(self.layout(payload));
        let union = payloads.flatten().fold(Union::new(cases), with);
        union.end().ok_or_else(too_large)
    }
}

/// Returns the error for a value type that is too large.
#[cold]
fn too_large() -> LoadError {
    LoadError::unsupported("a value type of more than 256 MiB: use a list, whose length may vary")
}

/// Returns the number of bytes that tell which of `cases` cases a value is: 1, 2 or 4.
pub(crate) const fn discriminant_bytes(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Returns the number of bytes that hold `names` flags, of which a component has 1 to 32: 1, 2 or 4.
pub(crate) const fn flag_bytes(names: usize) -> u32 {
    match names {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}

/// Displays a type as WIT does; records, variants, enums and flags with what is in them.
pub(crate) struct Shown<'a> {
    types: &'a Types,
    ty: TypeId,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A type that is small as a graph may be long as a text.
        f.write_str(&Cut::of(|to| self.types.write(self.ty, to)))
    }
}

impl Types {
    fn write(&self, ty: TypeId, to: &mut Cut) -> fmt::Result {
        match self.get(ty) {
            Type::Bool => to.write_str("bool"),
            Type::S8 => to.write_str("s8"),
            Type::U8 => to.write_str("u8"),
            Type::S16 => to.write_str("s16"),
            Type::U16 => to.write_str("u16"),
            Type::S32 => to.write_str("s32"),
            Type::U32 => to.write_str("u32"),
            Type::S64 => to.write_str("s64"),
            Type::U64 => to.write_str("u64"),
            Type::F32 => to.write_str("f32"),
            Type::F64 => to.write_str("f64"),
            Type::Char => to.write_str("char"),
            Type::String => to.write_str("string"),
            Type::List(element) => {
                to.write_str("list<")?;
                self.write(*element, to)?;
                to.write_str(">")
            }
            Type::FixedList(element, len) => {
                to.write_str("list<")?;
                self.write(*element, to)?;
                write!(to, ", {len}>")
            }
            Type::Option(some) => {
                to.write_str("option<")?;
                self.write(*some, to)?;
                to.write_str(">")
            }
            Type::Result(None, None) => to.write_str("result"),
            Type::Result(ok, err) => {
                to.write_str("result<")?;
                match ok {
                    Some(ok) => self.write(*ok, to)?,
                    None => to.write_str("_")?,
                }
                if let Some(err) = err {
                    to.write_str(", ")?;
                    self.write(*err, to)?;
                }
                to.write_str(">")
            }
            Type::Tuple(parts) => {
                to.write_str("tuple<")?;
                for (at, part) in parts.iter().enumerate() {
                    to.write_str(if at == 0 { "" } else { ", " })?;
                    self.write(*part, to)?;
                }
                to.write_str(">")
            }
            Type::Record(fields) => {
                let fields = fields.iter().map(|(name, ty)| (name, Some(*ty)));
                self.write_named("record", fields, ": ", "", to)
            }
            Type::Variant(cases) => {
                let cases = cases.iter().map(|(name, ty)| (name, *ty));
                self.write_named("variant", cases, "(", ")", to)
            }
            Type::Enum(cases) => {
                self.write_named("enum", cases.iter().map(|name| (name, None)), "", "", to)
            }
            Type::Flags(names) => {
                self.write_named("flags", names.iter().map(|name| (name, None)), "", "", to)
            }
            Type::Own(resource) => self.write_handle("own", *resource, to),
            Type::Borrow(resource) => self.write_handle("borrow", *resource, to),
        }
    }

    fn write_handle(&self, kind: &str, resource: ResourceId, to: &mut Cut) -> fmt::Result {
        match self.supplied_at(resource) {
            Some(of) => write!(to, "{kind}<{}>", of.name),
            None => write!(to, "{kind}<resource {}>", resource.0),
        }
    }

    /// Writes a type with names in braces, each with its type between `open` and `close`.
    fn write_named<'a>(
        &self,
        kind: &str,
        names: impl Iterator<Item = (&'a Arc<str>, Option<TypeId>)>,
        open: &str,
        close: &str,
        to: &mut Cut,
    ) -> fmt::Result {
        write!(to, "{kind} {{ ")?;
        for (at, (name, ty)) in names.enumerate() {
            to.write_str(if at == 0 { "" } else { ", " })?;
            to.write_str(name)?;
            if let Some(ty) = ty {
                to.write_str(open)?;
                self.write(ty, to)?;
                to.write_str(close)?;
            }
        }
        to.write_str(" }")
    }
}
