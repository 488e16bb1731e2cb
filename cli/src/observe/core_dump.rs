//! Writes the state of a stopped instance in the format of WebAssembly's tool conventions:
//! <https://github.com/WebAssembly/tool-conventions/blob/main/Coredump.md>.

use super::{Observed, recorder::Frame};
use hostel::{Instance, Value};
use std::{collections::BTreeMap, path::Path};
use wasm_encoder::{
    ConstExpr, CoreDumpInstancesSection, CoreDumpModulesSection, CoreDumpSection,
    CoreDumpStackSection, DataSection, GlobalSection, GlobalType, Ieee32, Ieee64, MemorySection,
    MemoryType, Module, ValType,
    reencode::{Reencode as _, RoundtripReencoder},
};
use wasmparser::{Parser, Payload, TypeRef};

/// Memory is written without the parts of this size that are 0.
const CHUNK: usize = 4_096;

/// Returns the core dump of an instance that was stopped in these functions.
pub(super) fn write(
    observed: &Observed,
    plugin: &Path,
    frames: &[Frame],
    instance: &mut Instance,
) -> Vec<u8> {
    let name = plugin.display().to_string();
    let declared = Declared::read(&observed.wasm);
    let mut module = Module::new();
    module.section(&CoreDumpSection::new(&*name));
    let mut modules = CoreDumpModulesSection::new();
    modules.module(&*name);
    module.section(&modules);
    let (bytes, globals) = instance.memory_and_globals();
    let (globals, indices) = declared.globals(globals.into_iter().collect());
    let memories = declared.memory.iter().map(|_| 0);
    let mut instances = CoreDumpInstancesSection::new();
    instances.instance(0, memories, indices);
    module.section(&instances);
    let mut stack = CoreDumpStackSection::new("main");
    // The host's functions have no place in the module.
    let own = |frame: &&Frame| observed.profiled.is_own(frame.function);
    for frame in frames.iter().rev().filter(own) {
        let function = observed.profiled.original(frame.function);
        let at = frame.position.and_then(|number| observed.position(number));
        let offset = at.and_then(|at| at.checked_sub(observed.code.body(at)?));
        let offset = u32::try_from(offset.unwrap_or(0)).unwrap_or(0);
        // The interpreter does not show locals and operands.
        stack.frame(0, function, offset, [], []);
    }
    module.section(&stack);
    if let Some(mut memory) = declared.memory {
        let page = 1u64 << memory.page_size_log2.unwrap_or(16);
        memory.minimum = bytes.len() as u64 / page;
        let mut memories = MemorySection::new();
        memories.memory(memory);
        module.section(&memories);
    }
    module.section(&globals);
    let mut data = DataSection::new();
    for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
        if chunk.iter().any(|byte| *byte != 0) {
            let at = u32::try_from(number * CHUNK).unwrap_or(u32::MAX);
            data.active(
                0,
                &ConstExpr::i32_const(at.cast_signed()),
                chunk.iter().copied(),
            );
        }
    }
    module.section(&data);
    module.finish()
}

/// What a module declares that its dump has.
#[derive(Default)]
struct Declared {
    imported_globals: u32,
    memory: Option<MemoryType>,
    /// The types and first values of its own globals.
    globals: Vec<(ValType, ConstExpr)>,
}

impl Declared {
    fn read(wasm: &[u8]) -> Self {
        let mut declared = Self::default();
        let mut same = RoundtripReencoder;
        for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
            match payload {
                Payload::ImportSection(section) => {
                    for import in section.into_imports().map_while(Result::ok) {
                        match import.ty {
                            TypeRef::Global(_) => declared.imported_globals += 1,
                            TypeRef::Memory(ty) => declared.memory = same.memory_type(ty).ok(),
                            _ => {}
                        }
                    }
                }
                Payload::MemorySection(section) => {
                    let mut memories = section.into_iter().map_while(Result::ok);
                    let memory = memories.next().and_then(|ty| same.memory_type(ty).ok());
                    declared.memory = memory.or(declared.memory);
                }
                Payload::GlobalSection(section) => {
                    for global in section.into_iter().map_while(Result::ok) {
                        let ty = same.val_type(global.ty.content_type);
                        let value = same.const_expr(global.init_expr);
                        declared.globals.extend(ty.ok().zip(value.ok()));
                    }
                }
                _ => {}
            }
        }
        declared
    }

    /// Returns the globals as constants, and their indices in the dump: numbers with their `values`, or as they began if
    /// they can't change. What is no number is left out.
    fn globals(&self, values: BTreeMap<u32, Option<Value>>) -> (GlobalSection, Vec<u32>) {
        let mut section = GlobalSection::new();
        let mut indices = Vec::new();
        for (index, (ty, first)) in (self.imported_globals..).zip(&self.globals) {
            let value = match (values.get(&index), ty) {
                (Some(Some(value)), _) => constant(*value),
                (None, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64) => first.clone(),
                _ => continue,
            };
            indices.push(section.len());
            let ty = GlobalType {
                val_type: *ty,
                mutable: false,
                shared: false,
            };
            section.global(ty, &value);
        }
        (section, indices)
    }
}

fn constant(value: Value) -> ConstExpr {
    match value {
        Value::I32(value) => ConstExpr::i32_const(value),
        Value::I64(value) => ConstExpr::i64_const(value),
        Value::F32(value) => ConstExpr::f32_const(Ieee32::from(value)),
        Value::F64(value) => ConstExpr::f64_const(Ieee64::from(value)),
        // Types of numbers to come.
        _ => ConstExpr::i32_const(0),
    }
}
