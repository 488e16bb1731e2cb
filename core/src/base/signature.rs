//! Types of core values and of functions.

use alloc::boxed::Box;
use core::fmt;

/// The type of a core WebAssembly value.
///
/// ```
/// assert_eq!(hostel_core::ValType::I32.to_string(), "i32");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
    /// A vector of 128 bits.
    V128,
    /// A reference to a function, or null.
    FuncRef,
    /// A reference to a host object, or null.
    ExternRef,
    /// Another reference, of a proposal that hostel does not run. Only in modules that can't be loaded.
    OtherRef,
}

impl ValType {
    /// Returns whether values of this type are numbers.
    pub(crate) const fn is_num(&self) -> bool {
        matches!(self, Self::I32 | Self::I64 | Self::F32 | Self::F64)
    }

    /// Returns its name in the text format of WebAssembly, such as `i32`; `ref` for a reference of another kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::FuncRef => "funcref",
            Self::ExternRef => "externref",
            Self::OtherRef => "ref",
        }
    }

    /// Returns the initial value of a local of this type: zero or null.
    pub(crate) fn zero(self) -> wasmi::Val {
        wasmi::Val::default_for_ty(self.into_wasmi())
    }
}

impl fmt::Display for ValType {
    /// Writes the type's name in the text format, such as `i32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ValType {
    /// Converts the type to the interpreter's. A method, since an `impl From` would be public.
    pub(crate) const fn into_wasmi(self) -> wasmi::ValType {
        match self {
            Self::I32 => wasmi::ValType::I32,
            Self::I64 => wasmi::ValType::I64,
            Self::F32 => wasmi::ValType::F32,
            Self::F64 => wasmi::ValType::F64,
            Self::V128 => wasmi::ValType::V128,
            Self::FuncRef => wasmi::ValType::FuncRef,
            Self::ExternRef | Self::OtherRef => wasmi::ValType::ExternRef,
        }
    }

    /// Converts a type of the interpreter's.
    pub(crate) const fn of_wasmi(ty: wasmi::ValType) -> Self {
        match ty {
            wasmi::ValType::I32 => Self::I32,
            wasmi::ValType::I64 => Self::I64,
            wasmi::ValType::F32 => Self::F32,
            wasmi::ValType::F64 => Self::F64,
            wasmi::ValType::V128 => Self::V128,
            wasmi::ValType::FuncRef => Self::FuncRef,
            wasmi::ValType::ExternRef => Self::ExternRef,
        }
    }
}

/// A function's type. Displays as `(i32, i32) -> i64`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The types of the parameters, in order.
    pub params: Box<[ValType]>,
    /// The types of the results, in order.
    pub results: Box<[ValType]>,
}

impl Signature {
    pub(crate) fn new(params: &[ValType], results: &[ValType]) -> Self {
        Self {
            params: params.into(),
            results: results.into(),
        }
    }
}

impl fmt::Display for Signature {
    /// Writes `(i32, i32) -> i64`. Several results are in parentheses; no results are `()`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_types(f, &self.params)?;
        f.write_str(" -> ")?;
        match &*self.results {
            [one] => f.write_str(one.name()),
            several => write_types(f, several),
        }
    }
}

fn write_types(f: &mut fmt::Formatter<'_>, types: &[ValType]) -> fmt::Result {
    f.write_str("(")?;
    for (at, ty) in types.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        f.write_str(ty.name())?;
    }
    f.write_str(")")
}
