//! Programs among linked modules: each call of one from another module runs as in a new instance.
//!
//! wasmi keeps the instances of a store until that goes, so one instance is reset before each call. A module
//! that is added stands between a program and those that import from it. Each of its functions calls the host to
//! set the program back, the program's start function, the function itself, and the host again. All of it
//! is WebAssembly, so the calls are metered, run by steps, and count towards the depth like any others.

use crate::{
    base::signature::{Signature, ValType},
    error::LoadError,
};
use alloc::{boxed::Box, vec::Vec};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    Module, TypeSection,
};

/// The module that stands before a program.
pub(crate) struct Gate {
    pub(crate) module: wasmi::Module,
    /// Whether it calls the program's start function.
    pub(crate) starts: bool,
    /// The program's functions that other modules import, in the order of the gate's imports.
    pub(crate) functions: Vec<Box<str>>,
}

/// The module name of the gate's imports.
const PROGRAM: &str = "program";

/// Returns a gate, not compiled, for these functions of a program, each with its type. It imports a function of the
/// host that is called before, one that is called after, the start function if the program `starts`, and then
/// these functions.
pub(super) fn gate(functions: &[(&str, &Signature)], starts: bool) -> Result<Vec<u8>, LoadError> {
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    let mut defined = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    types.ty().function([], []);
    let mut imported = 0u32;
    for name in ["enter", "leave", "start"]
        .iter()
        .take(if starts { 3 } else { 2 })
    {
        imports.import(PROGRAM, name, EntityType::Function(0));
        imported = imported.saturating_add(1);
    }
    let count = u32::try_from(functions.len()).unwrap_or(u32::MAX);
    let first = imported.saturating_add(count);
    for (number, (name, ty)) in (0..count).zip(functions) {
        let encoded = |types: &[ValType]| {
            types
                .iter()
                .map(|ty| encoded(*ty))
                .collect::<Option<Vec<_>>>()
        };
        let (Some(params), Some(results)) = (encoded(&ty.params), encoded(&ty.results)) else {
            return Err(LoadError::refused(
                "a program has a function of a type that is not known",
            ));
        };
        let (of_type, called) = (number.saturating_add(1), imported.saturating_add(number));
        types.ty().function(params, results);
        imports.import(PROGRAM, name, EntityType::Function(of_type));
        defined.function(of_type);
        exports.export(name, ExportKind::Func, first.saturating_add(number));
        let mut body = Function::new([]);
        let mut operators = body.instructions();
        operators.call(0);
        if starts {
            operators.call(2);
        }
        for (local, _) in (0..).zip(&ty.params) {
            operators.local_get(local);
        }
        // The results stay on the stack.
        operators.call(called).call(1).end();
        code.function(&body);
    }
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&defined)
        .section(&exports)
        .section(&code);
    Ok(module.finish())
}

fn encoded(ty: ValType) -> Option<wasm_encoder::ValType> {
    Some(match ty {
        ValType::I32 => wasm_encoder::ValType::I32,
        ValType::I64 => wasm_encoder::ValType::I64,
        ValType::F32 => wasm_encoder::ValType::F32,
        ValType::F64 => wasm_encoder::ValType::F64,
        ValType::V128 => wasm_encoder::ValType::V128,
        ValType::FuncRef => wasm_encoder::ValType::FUNCREF,
        ValType::ExternRef => wasm_encoder::ValType::EXTERNREF,
        ValType::OtherRef => return None,
    })
}
