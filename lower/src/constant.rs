//! Constant expressions, evaluated.

use crate::error::LowerError;
use wasmparser::{ConstExpr, HeapType, Ieee32, Ieee64, Operator, RefType};

/// The value of a constant expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    I32(i32),
    I64(i64),
    F32(Ieee32),
    F64(Ieee64),
    V128(i128),
    /// No function, or no object of the host.
    Null(RefType),
    /// A function, by its number in the whole.
    Function(usize),
}

/// Evaluates an expression of a valid module. `function` and `global` give the function and the value of a
/// number in that module.
///
/// # Errors
///
/// [`LowerError::Invalid`].
pub(crate) fn evaluate(
    expression: &ConstExpr<'_>,
    function: impl Fn(u32) -> Option<usize>,
    global: impl Fn(u32) -> Option<Constant>,
) -> Result<Constant, LowerError> {
    let not_constant = || LowerError::invalid("an expression that is not constant");
    let mut stack = Vec::new();
    for operator in expression.get_operators_reader() {
        let value = match operator? {
            Operator::I32Const { value } => Constant::I32(value),
            Operator::I64Const { value } => Constant::I64(value),
            Operator::F32Const { value } => Constant::F32(value),
            Operator::F64Const { value } => Constant::F64(value),
            Operator::V128Const { value } => Constant::V128(value.i128()),
            Operator::RefNull { hty } => Constant::Null(reference(hty)?),
            Operator::RefFunc { function_index } => {
                Constant::Function(function(function_index).ok_or_else(not_constant)?)
            }
            Operator::GlobalGet { global_index } => {
                global(global_index).ok_or_else(not_constant)?
            }
            Operator::End => break,
            operator => {
                let right = stack.pop();
                let operands = stack.pop().zip(right);
                operands
                    .and_then(|(left, right)| combine(&operator, left, right))
                    .ok_or_else(not_constant)?
            }
        };
        stack.push(value);
    }
    stack.pop().ok_or_else(not_constant)
}

fn combine(operator: &Operator<'_>, left: Constant, right: Constant) -> Option<Constant> {
    Some(match (operator, left, right) {
        (Operator::I32Add, Constant::I32(left), Constant::I32(right)) => {
            Constant::I32(left.wrapping_add(right))
        }
        (Operator::I32Sub, Constant::I32(left), Constant::I32(right)) => {
            Constant::I32(left.wrapping_sub(right))
        }
        (Operator::I32Mul, Constant::I32(left), Constant::I32(right)) => {
            Constant::I32(left.wrapping_mul(right))
        }
        (Operator::I64Add, Constant::I64(left), Constant::I64(right)) => {
            Constant::I64(left.wrapping_add(right))
        }
        (Operator::I64Sub, Constant::I64(left), Constant::I64(right)) => {
            Constant::I64(left.wrapping_sub(right))
        }
        (Operator::I64Mul, Constant::I64(left), Constant::I64(right)) => {
            Constant::I64(left.wrapping_mul(right))
        }
        _ => return None,
    })
}

fn reference(heap: HeapType) -> Result<RefType, LowerError> {
    match heap {
        HeapType::FUNC => Ok(RefType::FUNCREF),
        HeapType::EXTERN => Ok(RefType::EXTERNREF),
        _ => Err(LowerError::unsupported(
            "it has references to neither functions nor objects of the host",
        )),
    }
}
