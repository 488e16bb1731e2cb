//! Vector operators. Each counts as the longest one.

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
        // A load, and an operator with an immediate of 16 bytes and four slots.
        self.emit(10);
        self.emit(32);
        for _ in 0..results {
            // A result in a register may have to be copied to its slot.
            self.emit(4);
            self.push(Operand::WIDE16);
        }
    }
}

/// No module: the number of a vector operator's operands does not depend on one.
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
