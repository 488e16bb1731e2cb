//! Writes the reachable parts of all core modules as one module.

use crate::{
    constant::Constant,
    error::LowerError,
    made::Op,
    reach::Kept,
    uses::in_code,
    whole::{Code, Function, Part, Place, Whole, at_index, out_of_range},
};
use std::collections::HashMap;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements,
    EntityType, ExportKind, ExportSection, FunctionSection, GlobalSection, ImportSection,
    Instruction, MemorySection, NameMap, NameSection, StartSection, TableSection, TypeSection,
    ValType,
    reencode::{Error, Reencode, RoundtripReencoder, utils},
};
use wasmparser::{FuncType, RefType};

/// What the module exports, and what runs first.
pub(crate) struct Outside<'a> {
    /// The names of exported functions, and their numbers in the whole.
    pub(crate) functions: Vec<(&'a str, usize)>,
    /// Runs when the module is instantiated.
    pub(crate) start: Option<usize>,
    /// Whether to keep the names of functions.
    pub(crate) names: bool,
}

/// Writes a module.
///
/// # Errors
///
/// [`LowerError::Unsupported`] if it has several memories.
pub(crate) fn emit(
    whole: &Whole<'_>,
    kept: &Kept,
    outside: &Outside<'_>,
) -> Result<wasm_encoder::Module, LowerError> {
    let memories = kept.memories.iter().filter(|kept| **kept).count();
    if memories > 1 {
        return Err(LowerError::unsupported(format!(
            "its code uses {memories} memories, and a module for devices has one: lower components that are not composed of others, each on its own"
        )));
    }
    let mut emitter = Emitter {
        whole,
        kept,
        numbers: Numbers::new(whole, kept),
        types: HashMap::new(),
        type_section: TypeSection::new(),
    };
    emitter.module(outside)
}

/// The indices in the written module, by the numbers of the whole.
struct Numbers {
    functions: Vec<u32>,
    tables: Vec<u32>,
    memories: Vec<u32>,
    globals: Vec<u32>,
    elements: Vec<u32>,
    data: Vec<u32>,
}

impl Numbers {
    fn new(whole: &Whole<'_>, kept: &Kept) -> Self {
        let imported = |function: &Function<'_>| matches!(function.code, Code::Import { .. });
        let is_import: Vec<_> = whole.functions.iter().map(imported).collect();
        let mut functions = vec![u32::MAX; is_import.len()];
        let mut next = 0;
        for imports in [true, false] {
            for (function, number) in functions.iter_mut().enumerate() {
                if kept.functions[function] && is_import[function] == imports {
                    *number = next;
                    next += 1;
                }
            }
        }
        Self {
            functions,
            tables: in_order(&kept.tables),
            memories: in_order(&kept.memories),
            globals: in_order(&kept.globals),
            elements: in_order(&kept.elements),
            data: in_order(&kept.data),
        }
    }
}

/// Numbers the reachable parts.
fn in_order(kept: &[bool]) -> Vec<u32> {
    let mut next = 0;
    let numbers = kept.iter().map(|kept| {
        let number = next;
        next += u32::from(*kept);
        number
    });
    numbers.collect()
}

struct Emitter<'w, 'a> {
    whole: &'w Whole<'a>,
    kept: &'w Kept,
    numbers: Numbers,
    types: HashMap<FuncType, u32>,
    type_section: TypeSection,
}

impl Emitter<'_, '_> {
    fn module(&mut self, outside: &Outside<'_>) -> Result<wasm_encoder::Module, LowerError> {
        let (whole, kept) = (self.whole, self.kept);
        let (mut imports, mut functions) = (ImportSection::new(), FunctionSection::new());
        let mut code = CodeSection::new();
        for (function, _) in of_kept(&whole.functions, &kept.functions) {
            if let Code::Import { module, name, .. } = &function.code {
                let ty = self.type_of(&function.ty)?;
                imports.import(module, name, EntityType::Function(ty));
            }
        }
        for (function, _) in of_kept(&whole.functions, &kept.functions) {
            match &function.code {
                Code::Body { part, body } => {
                    functions.function(self.type_of(&function.ty)?);
                    let part = whole.parts.get(*part).ok_or_else(out_of_range)?;
                    let mut renumber = Renumber {
                        part,
                        emitter: self,
                    };
                    renumber
                        .parse_function_body(&mut code, body.clone())
                        .map_err(in_code)?;
                }
                Code::Made(ops) => {
                    functions.function(self.type_of(&function.ty)?);
                    let mut made = wasm_encoder::Function::new([]);
                    ops.iter().for_each(|op| self.made(*op, &mut made));
                    made.instruction(&Instruction::End);
                    code.function(&made);
                }
                Code::Refused(why) => return Err(LowerError::unsupported(why.clone())),
                Code::Import { .. } | Code::Same(_) | Code::Allocating { .. } => {}
            }
        }
        let (mut tables, mut memories) = (TableSection::new(), MemorySection::new());
        let mut globals = GlobalSection::new();
        for (ty, _) in of_kept(&whole.tables, &kept.tables) {
            tables.table(RoundtripReencoder.table_type(*ty).map_err(renumbered)?);
        }
        for (ty, _) in of_kept(&whole.memories, &kept.memories) {
            memories.memory(utils::memory_type(&mut RoundtripReencoder, *ty));
        }
        for (global, _) in of_kept(&whole.globals, &kept.globals) {
            let ty = utils::global_type(&mut RoundtripReencoder, global.ty).map_err(renumbered)?;
            globals.global(ty, &self.constant(global.value)?);
        }
        let elements = self.elements(outside)?;
        let (data, passive) = self.data()?;

        let mut module = wasm_encoder::Module::new();
        module.section(&self.type_section);
        if !imports.is_empty() {
            module.section(&imports);
        }
        module.section(&functions);
        if !tables.is_empty() {
            module.section(&tables);
        }
        if !memories.is_empty() {
            module.section(&memories);
        }
        if !globals.is_empty() {
            module.section(&globals);
        }
        module.section(&self.exports(outside));
        if let Some(start) = outside.start {
            module.section(&StartSection {
                function_index: self.function(start),
            });
        }
        if !elements.is_empty() {
            module.section(&elements);
        }
        if passive {
            module.section(&DataCountSection { count: data.len() });
        }
        module.section(&code);
        if !data.is_empty() {
            module.section(&data);
        }
        if outside.names {
            module.section(&self.names());
        }
        Ok(module)
    }

    fn exports(&self, outside: &Outside<'_>) -> ExportSection {
        let mut exports = ExportSection::new();
        if self.kept.memories.contains(&true) {
            exports.export("memory", ExportKind::Memory, 0);
        }
        for (name, function) in &outside.functions {
            exports.export(name, ExportKind::Func, self.function(*function));
        }
        exports
    }

    fn elements(&self, outside: &Outside<'_>) -> Result<ElementSection, LowerError> {
        let mut section = ElementSection::new();
        let mut declared: Vec<_> = outside.functions.iter().map(|(_, of)| *of).collect();
        for (segment, _) in of_kept(&self.whole.elements, &self.kept.elements) {
            let functions: Option<Vec<_>> = segment.items.iter().map(function_of).collect();
            let items = match functions {
                Some(functions) if segment.ty == RefType::FUNCREF => {
                    declared.extend(functions.iter().copied());
                    let functions = functions.into_iter().map(|of| self.function(of));
                    Elements::Functions(functions.collect())
                }
                _ => {
                    declared.extend(segment.items.iter().filter_map(function_of));
                    let ty = RoundtripReencoder
                        .ref_type(segment.ty)
                        .map_err(renumbered)?;
                    let items = segment.items.iter().map(|item| self.constant(*item));
                    Elements::Expressions(ty, items.collect::<Result<_, _>>()?)
                }
            };
            match segment.place {
                Place::At(table, at) => {
                    let table = self.numbers.tables[table];
                    section.active((table > 0).then_some(table), &self.constant(at)?, items)
                }
                Place::Passive => section.passive(items),
                Place::Declared => section.declared(items),
            };
        }
        // Code may take a reference of functions that are named outside of code.
        let mut declared: Vec<_> = declared.iter().map(|of| self.whole.target(*of)).collect();
        declared.sort_unstable();
        let references = self.kept.references.iter();
        let others: Vec<_> = references
            .filter(|function| declared.binary_search(function).is_err())
            .map(|function| self.function(*function))
            .collect();
        if !others.is_empty() {
            section.declared(Elements::Functions(others.into()));
        }
        Ok(section)
    }

    /// Returns the data, and whether code copies one of them.
    fn data(&self) -> Result<(DataSection, bool), LowerError> {
        let (mut section, mut passive) = (DataSection::new(), false);
        for (segment, _) in of_kept(&self.whole.data, &self.kept.data) {
            let bytes = segment.bytes.iter().copied();
            match segment.place {
                Place::At(memory, at) => {
                    section.active(self.numbers.memories[memory], &self.constant(at)?, bytes);
                }
                Place::Passive | Place::Declared => {
                    passive = true;
                    section.passive(bytes);
                }
            }
        }
        Ok((section, passive))
    }

    fn names(&self) -> NameSection {
        let mut named: Vec<_> = of_kept(&self.whole.functions, &self.kept.functions)
            .filter_map(|(function, number)| Some((self.function(number), function.name?)))
            .collect();
        named.sort_unstable();
        let mut functions = NameMap::new();
        for (index, name) in named {
            functions.append(index, name);
        }
        let mut names = NameSection::new();
        names.functions(&functions);
        names
    }

    /// Returns the index of a type of functions.
    fn type_of(&mut self, ty: &FuncType) -> Result<u32, LowerError> {
        if let Some(known) = self.types.get(ty) {
            return Ok(*known);
        }
        let types = |types: &[wasmparser::ValType]| {
            let types = types.iter().map(|ty| RoundtripReencoder.val_type(*ty));
            types.collect::<Result<Vec<_>, _>>().map_err(renumbered)
        };
        let (params, results) = (types(ty.params())?, types(ty.results())?);
        let number = self.type_section.len();
        self.type_section.ty().function(params, results);
        self.types.insert(ty.clone(), number);
        Ok(number)
    }

    fn function(&self, function: usize) -> u32 {
        self.numbers.functions[self.whole.target(function)]
    }

    fn constant(&self, constant: Constant) -> Result<ConstExpr, LowerError> {
        Ok(match constant {
            Constant::I32(value) => ConstExpr::i32_const(value),
            Constant::I64(value) => ConstExpr::i64_const(value),
            Constant::F32(value) => ConstExpr::f32_const(value.into()),
            Constant::F64(value) => ConstExpr::f64_const(value.into()),
            Constant::V128(value) => ConstExpr::v128_const(value),
            Constant::Null(ty) => {
                let ty = RoundtripReencoder.ref_type(ty).map_err(renumbered)?;
                ConstExpr::ref_null(ty.heap_type)
            }
            Constant::Function(function) => ConstExpr::ref_func(self.function(function)),
        })
    }

    fn made(&self, op: Op, to: &mut wasm_encoder::Function) {
        let instruction = match op {
            Op::Local(local) => Instruction::LocalGet(local),
            Op::Number(number) => Instruction::I32Const(number),
            Op::GlobalGet(global) => Instruction::GlobalGet(self.numbers.globals[global]),
            Op::GlobalSet(global) => Instruction::GlobalSet(self.numbers.globals[global]),
            Op::Call(function) => Instruction::Call(self.function(function)),
            Op::IfEqual => {
                to.instruction(&Instruction::I32Eq);
                Instruction::If(BlockType::Result(ValType::I32))
            }
            Op::Else => Instruction::Else,
            Op::End => Instruction::End,
            Op::MemoryInit { memory, data } => Instruction::MemoryInit {
                mem: self.numbers.memories[memory],
                data_index: self.numbers.data[data],
            },
            Op::DataDrop(data) => Instruction::DataDrop(self.numbers.data[data]),
            Op::TableInit { table, elements } => Instruction::TableInit {
                elem_index: self.numbers.elements[elements],
                table: self.numbers.tables[table],
            },
            Op::ElementsDrop(elements) => Instruction::ElemDrop(self.numbers.elements[elements]),
        };
        to.instruction(&instruction);
    }
}

/// Returns those that are kept, with their numbers.
fn of_kept<'s, T>(all: &'s [T], kept: &'s [bool]) -> impl Iterator<Item = (&'s T, usize)> {
    let all = all.iter().zip(kept).enumerate();
    all.filter_map(|(number, (one, kept))| kept.then_some((one, number)))
}

fn function_of(constant: &Constant) -> Option<usize> {
    match constant {
        Constant::Function(function) => Some(*function),
        _ => None,
    }
}

/// A type that refers to no other is encoded as it is.
fn renumbered(error: Error<std::convert::Infallible>) -> LowerError {
    LowerError::invalid(error)
}

/// Encodes the code of an instance with the indices of the written module.
struct Renumber<'e, 'w, 'a> {
    part: &'e Part,
    emitter: &'e mut Emitter<'w, 'a>,
}

fn renumber(numbers: &[u32], space: &[usize], index: u32) -> Result<u32, Error<LowerError>> {
    let number = at_index(space, index).map_err(Error::UserError)?;
    Ok(numbers[*number])
}

impl Reencode for Renumber<'_, '_, '_> {
    type Error = LowerError;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        let number = at_index(&self.part.functions, index).map_err(Error::UserError)?;
        Ok(self.emitter.function(*number))
    }

    fn type_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        let ty = at_index(&self.part.types, index).map_err(Error::UserError)?;
        self.emitter.type_of(ty).map_err(Error::UserError)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        renumber(&self.emitter.numbers.tables, &self.part.tables, index)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        renumber(&self.emitter.numbers.memories, &self.part.memories, index)
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        renumber(&self.emitter.numbers.globals, &self.part.globals, index)
    }

    fn element_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        segment(
            &self.emitter.numbers.elements,
            self.part.first_element,
            index,
        )
    }

    fn data_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        segment(&self.emitter.numbers.data, self.part.first_data, index)
    }
}

/// Returns the index of a segment of an instance.
fn segment(numbers: &[u32], first: usize, index: u32) -> Result<u32, Error<LowerError>> {
    let own = numbers.get(first..).unwrap_or_default();
    at_index(own, index).copied().map_err(Error::UserError)
}
