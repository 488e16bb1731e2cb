//! Vector operators, which are not told apart: each counts as the longest one.

use super::{Code, operand::Operand};
use wasmparser::{
    BlockType, ContType, FrameKind, FuncType, ModuleArity, Operator, RefType, SubType,
};

impl Code {
    pub(super) fn vector(&mut self, operator: &Operator<'_>) {
        let (operands, results) = operator.operator_arity(&Nothing).unwrap_or_default();
        self.keep_registers();
        for _ in 0..operands {
            let (operand, _) = self.pop();
            self.copy(operand);
        }
        // What is loaded, and what is made of it: of 16 bytes that tell how, and four slots.
        self.emit(10);
        self.emit(32);
        for _ in 0..results {
            // It may be in a register, from which it may have to be copied.
            self.emit(4);
            self.push(Operand::WIDE16);
        }
    }
}

/// Knows nothing of a module, since how many operands a vector operator has does not depend on it.
struct Nothing;

impl ModuleArity for Nothing {
    fn sub_type_at(&self, _: u32) -> Option<&SubType> {
        None
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, _: u32) -> Option<u32> {
        None
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        0
    }

    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}
