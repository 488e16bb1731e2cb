//! Exports that are added to a module, so that what it leaves behind can be read from outside.

use wasm_encoder::{Encode, Instruction, Module};
use wasmparser::{BinaryReader, ExternalKind, Parser, Payload, TypeRef, ValType};

/// Answers the whole memory, as a pointer and a length.
pub const MEMORY: &str = "fuzz:memory";
/// Begins the names of functions that answer a global's value, of a vector its halves.
pub const GLOBAL: &str = "fuzz:global";

/// A module's sections, without custom ones, and what its indices are.
#[derive(Default)]
struct Sections {
    /// Ids and contents, in their order.
    all: Vec<(u8, Vec<u8>)>,
    types: u32,
    functions: u32,
    globals: Vec<ValType>,
    memories: u32,
    exports: Vec<(String, ExternalKind)>,
}

/// `wasm` with functions that read its memory and globals, and, where it has a memory, with the
/// exports `memory` and `allocate`. `None` where it is not a module that this understands.
#[must_use]
pub fn add(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut sections = Sections::read(wasm)?;
    let mut exported = Vec::new();
    if sections.memories > 0 {
        if !sections.exports("memory") {
            exported.push(export("memory", 2, 0));
        }
        if !sections.exports("allocate") {
            let body = [Instruction::I32Const(16)];
            exported.push(sections.function("allocate", &[ValType::I32], &[ValType::I32], &body));
        }
        let body = [
            Instruction::I32Const(0),
            Instruction::MemorySize(0),
            Instruction::I32Const(16),
            Instruction::I32Shl,
        ];
        exported.push(sections.function(MEMORY, &[], &[ValType::I32; 2], &body));
    }
    for (index, ty) in (0..).zip(sections.globals.clone()) {
        if matches!(
            ty,
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64
        ) {
            let body = [Instruction::GlobalGet(index)];
            exported.push(sections.function(&format!("{GLOBAL}{index}"), &[], &[ty], &body));
        } else if ty == ValType::V128 {
            let body = [
                Instruction::GlobalGet(index),
                Instruction::I64x2ExtractLane(0),
                Instruction::GlobalGet(index),
                Instruction::I64x2ExtractLane(1),
            ];
            let halves = [ValType::I64; 2];
            exported.push(sections.function(&format!("{GLOBAL}{index}"), &[], &halves, &body));
        }
    }
    for entry in exported {
        sections.append(EXPORTS, &entry)?;
    }
    Some(sections.written())
}

const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;

/// The ids of sections, in the order in which they come.
const ORDER: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];

fn export(name: &str, kind: u8, index: u32) -> Vec<u8> {
    let mut entry = Vec::new();
    name.encode(&mut entry);
    entry.push(kind);
    index.encode(&mut entry);
    entry
}

impl Sections {
    fn read(wasm: &[u8]) -> Option<Self> {
        let mut read = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.ok()?;
            if let Some((id, range)) = payload.as_section()
                && id != 0
            {
                read.all.push((id, wasm.get(range)?.to_vec()));
            }
            match payload {
                Payload::TypeSection(section) => read.types = section.count(),
                Payload::FunctionSection(section) => read.functions += section.count(),
                Payload::MemorySection(section) => read.memories += section.count(),
                Payload::ImportSection(section) => {
                    for import in section {
                        match import.ok()?.ty {
                            TypeRef::Func(_) => read.functions += 1,
                            TypeRef::Memory(_) => read.memories += 1,
                            TypeRef::Global(ty) => read.globals.push(ty.content_type),
                            _ => {}
                        }
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        read.globals.push(global.ok()?.ty.content_type);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.ok()?;
                        read.exports.push((export.name.to_owned(), export.kind));
                    }
                }
                _ => {}
            }
        }
        Some(read)
    }

    fn exports(&self, name: &str) -> bool {
        self.exports.iter().any(|(other, _)| other == name)
    }

    /// Adds a function, and gives the export of it.
    fn function(
        &mut self,
        name: &str,
        params: &[ValType],
        results: &[ValType],
        body: &[Instruction<'_>],
    ) -> Vec<u8> {
        let mut ty = vec![0x60];
        for types in [params, results] {
            types.len().encode(&mut ty);
            ty.extend(types.iter().map(|ty| match ty {
                ValType::I32 => 0x7f,
                ValType::I64 => 0x7e,
                ValType::F32 => 0x7d,
                _ => 0x7c,
            }));
        }
        let mut index = Vec::new();
        self.types.encode(&mut index);
        let mut code = vec![0];
        for instruction in body.iter().chain([&Instruction::End]) {
            instruction.encode(&mut code);
        }
        let mut sized = Vec::new();
        code.encode(&mut sized);
        for (id, entry) in [(TYPES, &ty), (FUNCTIONS, &index), (CODE, &sized)] {
            self.append(id, entry);
        }
        self.types += 1;
        self.functions += 1;
        export(name, 0, self.functions - 1)
    }

    /// Appends an entry to a section, which is made where there is none.
    fn append(&mut self, id: u8, entry: &[u8]) -> Option<()> {
        let rank = |id| ORDER.iter().position(|other| *other == id);
        let at = self
            .all
            .partition_point(|(other, _)| rank(*other) < rank(id));
        if self.all.get(at).is_none_or(|(other, _)| *other != id) {
            self.all.insert(at, (id, vec![0]));
        }
        let contents = &mut self.all.get_mut(at)?.1;
        let mut reader = BinaryReader::new(contents, 0);
        let count = reader.read_var_u32().ok()?;
        let entries = contents.get(reader.original_position()..)?;
        let mut longer = Vec::new();
        (count + 1).encode(&mut longer);
        longer.extend_from_slice(entries);
        longer.extend_from_slice(entry);
        *contents = longer;
        Some(())
    }

    fn written(&self) -> Vec<u8> {
        let mut wasm = Module::HEADER.to_vec();
        for (id, contents) in &self.all {
            wasm.push(*id);
            contents.encode(&mut wasm);
        }
        wasm
    }
}
