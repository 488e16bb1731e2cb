//! The type of a function.

use alloc::boxed::Box;
use core::fmt;
use wasmi::ValType;

/// A function's type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The parameters' types.
    pub params: Box<[ValType]>,
    /// The results' types.
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
    /// `(i32, i32) -> i64`; several results in parentheses, none as `()`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_types(f, &self.params)?;
        f.write_str(" -> ")?;
        match &*self.results {
            [one] => f.write_str(type_name(*one)),
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
        f.write_str(type_name(*ty))?;
    }
    f.write_str(")")
}

/// The name of a value type, as in the text format.
pub(crate) const fn type_name(ty: ValType) -> &'static str {
    match ty {
        ValType::I32 => "i32",
        ValType::I64 => "i64",
        ValType::F32 => "f32",
        ValType::F64 => "f64",
        ValType::V128 => "v128",
        ValType::FuncRef => "funcref",
        ValType::ExternRef => "externref",
    }
}
