//! One pass over a function's body, before wasmi compiles it.

use super::{
    Changes, Signature,
    read::{invalid, over},
};
use crate::{error::LoadError, limits::ModuleLimits};
use alloc::vec::Vec;
use wasmparser::{BlockType, FunctionBody, Operator};

/// The offset from which on wasmi 2.0.0 has no encoding of an integer store whose address and
/// value are the same local, and panics.
const WIDE_OFFSET: u64 = 1 << 16;

/// Checks `body` against the limits, and notes what has to change in it.
pub(super) fn scan(
    body: &FunctionBody<'_>,
    limits: &ModuleLimits,
    types: &[Signature],
    changes: &mut Changes,
) -> Result<(), LoadError> {
    let size = body.range().len();
    over("function_bytes", limits.function_bytes, size)?;
    let mut locals = 0usize;
    for group in body.get_locals_reader().map_err(|error| invalid(&error))? {
        let (count, _) = group.map_err(|error| invalid(&error))?;
        locals = locals.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
    }
    over("locals", limits.locals, locals)?;

    // How many values a branch to each enclosing block carries. The outermost is the function:
    // what it returns is bounded by the limit on results.
    let mut carried: Vec<usize> = Vec::new();
    let mut copies = 0usize;
    let mut fresh = false;
    let mut operators = body
        .get_operators_reader()
        .map_err(|error| invalid(&error))?;
    while !operators.eof() {
        let at = operators.original_position();
        let operator = operators.read().map_err(|error| invalid(&error))?;
        match &operator {
            Operator::Block { blockty } | Operator::If { blockty } => {
                carried.push(arity(*blockty, types).1);
                over("nesting", limits.nesting, carried.len())?;
            }
            Operator::Loop { blockty } => {
                carried.push(arity(*blockty, types).0);
                over("nesting", limits.nesting, carried.len())?;
            }
            Operator::End => drop(carried.pop()),
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                copies = copies.saturating_add(at_depth(&carried, *relative_depth));
            }
            Operator::BrTable { targets } => {
                let count = usize::try_from(targets.len()).unwrap_or(usize::MAX);
                over("branch_targets", limits.branch_targets, count)?;
                for target in targets.targets() {
                    let target = target.map_err(|error| invalid(&error))?;
                    copies = copies.saturating_add(at_depth(&carried, target));
                }
            }
            // wasmi 2.0.0 does not save its position when fuel runs out in `table.grow`, so a
            // call that is resumed there would do other work twice. No mainstream compiler
            // emits it.
            Operator::TableGrow { .. } => {
                let what = "a function uses `table.grow`; give the table its final size instead";
                return Err(LoadError::Unsupported { what: what.into() });
            }
            Operator::I32Store { memarg }
            | Operator::I32Store8 { memarg }
            | Operator::I32Store16 { memarg }
                if memarg.offset >= WIDE_OFFSET && !fresh =>
            {
                changes.stores.push((at, false));
            }
            Operator::I64Store { memarg }
            | Operator::I64Store8 { memarg }
            | Operator::I64Store16 { memarg }
            | Operator::I64Store32 { memarg }
                if memarg.offset >= WIDE_OFFSET && !fresh =>
            {
                changes.stores.push((at, true));
            }
            _ => {}
        }
        fresh = is_fresh(&operator);
    }
    // Each copy becomes code, so that many values carried by many branches make a small module
    // large. A branch of one value takes two bytes itself.
    over(
        "values carried by branches for each byte of code",
        size,
        copies,
    )
}

/// The numbers of parameters and results of a block.
fn arity(ty: BlockType, types: &[Signature]) -> (usize, usize) {
    match ty {
        BlockType::Empty => (0, 0),
        BlockType::Type(_) => (0, 1),
        BlockType::FuncType(index) => usize::try_from(index)
            .ok()
            .and_then(|index| types.get(index))
            .map_or((0, 0), |ty| (ty.params.len(), ty.results.len())),
    }
}

fn at_depth(carried: &[usize], depth: u32) -> usize {
    let depth = usize::try_from(depth).unwrap_or(usize::MAX);
    carried.iter().nth_back(depth).copied().unwrap_or(0)
}

/// Whether the operator leaves a value on the stack that is certainly not a local's: then a store
/// right after it does not need to be changed. The common cases will do.
const fn is_fresh(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::I32Load { .. }
            | Operator::I32Load8U { .. }
            | Operator::I32Load8S { .. }
            | Operator::I32Load16U { .. }
            | Operator::I32Load16S { .. }
            | Operator::I64Load { .. }
            | Operator::I32Add
            | Operator::I32Sub
            | Operator::I32Mul
            | Operator::I32And
            | Operator::I32Or
            | Operator::I32Xor
            | Operator::I32Shl
            | Operator::I32ShrU
            | Operator::I32ShrS
            | Operator::I64Add
            | Operator::I64Sub
            | Operator::I64And
            | Operator::I64Or
            | Operator::I64Xor
            | Operator::GlobalGet { .. }
    )
}
