//! What functions use, and functions that do nothing but run another.

use crate::{
    error::LowerError,
    made::Op,
    whole::{Code, Part, Whole, at_index, out_of_range},
};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasmparser::{FunctionBody, Operator};

/// What a function's code uses, by the numbers of the whole.
#[derive(Default)]
pub(crate) struct Uses {
    pub(crate) functions: Vec<usize>,
    /// Functions of which the code takes a reference.
    pub(crate) references: Vec<usize>,
    pub(crate) tables: Vec<usize>,
    /// Tables that the code changes.
    pub(crate) changed_tables: Vec<usize>,
    pub(crate) memories: Vec<usize>,
    pub(crate) globals: Vec<usize>,
    pub(crate) elements: Vec<usize>,
    pub(crate) data: Vec<usize>,
}

impl Uses {
    /// Returns what each function uses.
    ///
    /// # Errors
    ///
    /// [`LowerError::Invalid`].
    pub(crate) fn of_all(whole: &Whole<'_>) -> Result<Vec<Self>, LowerError> {
        let functions = whole.functions.iter();
        let uses = functions.map(|function| Self::of(whole, &function.code));
        uses.collect()
    }

    /// Looks again at functions that are no module's, and at those that are new.
    pub(crate) fn update(all: &mut Vec<Self>, whole: &Whole<'_>) -> Result<(), LowerError> {
        all.resize_with(whole.functions.len(), Self::default);
        for (uses, function) in all.iter_mut().zip(&whole.functions) {
            if !matches!(function.code, Code::Body { .. }) {
                *uses = Self::of(whole, &function.code)?;
            }
        }
        Ok(())
    }

    fn of(whole: &Whole<'_>, code: &Code<'_>) -> Result<Self, LowerError> {
        let mut uses = Self::default();
        match code {
            Code::Body { part, body } => {
                let part = whole.parts.get(*part).ok_or_else(out_of_range)?;
                let mut recorder = Recorder {
                    part,
                    uses: &mut uses,
                };
                recorder.read(body).map_err(in_code)?;
            }
            Code::Import { memories, .. } => uses.memories.clone_from(memories),
            Code::Made(ops) => ops.iter().for_each(|op| uses.made(*op)),
            Code::Same(function) => uses.functions.push(*function),
            Code::Allocating { import, realloc } => uses.functions.extend([*import, *realloc]),
            Code::Refused(_) => {}
        }
        let Self {
            functions,
            references,
            tables,
            changed_tables,
            memories,
            globals,
            elements,
            data,
        } = &mut uses;
        for list in [
            functions,
            references,
            tables,
            changed_tables,
            memories,
            globals,
            elements,
            data,
        ] {
            list.sort_unstable();
            list.dedup();
            list.shrink_to_fit();
        }
        Ok(uses)
    }

    fn made(&mut self, op: Op) {
        match op {
            Op::Call(function) => self.functions.push(function),
            Op::GlobalGet(global) | Op::GlobalSet(global) => self.globals.push(global),
            // A start function fills what is kept, and keeps nothing.
            Op::MemoryInit { .. } | Op::DataDrop(_) => {}
            Op::TableInit { .. } | Op::ElementsDrop(_) => {}
            Op::Local(_) | Op::Number(_) => {}
            Op::IfEqual | Op::Else | Op::End => {}
        }
    }
}

/// Notes the indices of a body. The encoder calls a method for each index, whatever the instruction.
struct Recorder<'a> {
    part: &'a Part,
    uses: &'a mut Uses,
}

impl Recorder<'_> {
    fn read(&mut self, body: &FunctionBody<'_>) -> Result<(), Error<LowerError>> {
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let operator = operators.read()?;
            match operator {
                Operator::RefFunc { function_index } => {
                    let function = at_index(&self.part.functions, function_index);
                    self.uses
                        .references
                        .push(*function.map_err(Error::UserError)?);
                }
                Operator::TableSet { table }
                | Operator::TableGrow { table }
                | Operator::TableFill { table }
                | Operator::TableInit { table, .. }
                | Operator::TableCopy {
                    dst_table: table, ..
                } => {
                    let table = at_index(&self.part.tables, table);
                    self.uses
                        .changed_tables
                        .push(*table.map_err(Error::UserError)?);
                }
                _ => {}
            }
            utils::instruction(self, operator)?;
        }
        Ok(())
    }
}

/// Notes an index and returns it unchanged.
fn note(space: &[usize], index: u32, to: &mut Vec<usize>) -> Result<u32, Error<LowerError>> {
    to.push(*at_index(space, index).map_err(Error::UserError)?);
    Ok(index)
}

/// Returns the number of a segment.
fn segment(first: usize, index: u32) -> usize {
    first.saturating_add(usize::try_from(index).unwrap_or(usize::MAX))
}

impl Reencode for Recorder<'_> {
    type Error = LowerError;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        note(&self.part.functions, index, &mut self.uses.functions)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        note(&self.part.tables, index, &mut self.uses.tables)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        note(&self.part.memories, index, &mut self.uses.memories)
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        note(&self.part.globals, index, &mut self.uses.globals)
    }

    fn element_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        self.uses
            .elements
            .push(segment(self.part.first_element, index));
        Ok(index)
    }

    fn data_index(&mut self, index: u32) -> Result<u32, Error<LowerError>> {
        self.uses.data.push(segment(self.part.first_data, index));
        Ok(index)
    }
}

/// Returns the error for code that can't be read again.
pub(crate) fn in_code(error: Error<LowerError>) -> LowerError {
    match error {
        Error::UserError(error) => error,
        Error::ParseError(error) => LowerError::invalid(error),
        error => LowerError::invalid(error),
    }
}
