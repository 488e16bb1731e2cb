//! One pass over a function's body, before wasmi compiles it.

use super::{
    Changes, Counts, Signature,
    read::{invalid, over},
};
use crate::{error::LoadError, limits::ModuleLimits};
use alloc::vec::Vec;
use wasmparser::{BlockType, FunctionBody, Operator, VisitOperator};

/// The offset from which on wasmi 2.0.0 has no encoding of an integer store whose address and
/// value are the same local, and panics.
const WIDE_OFFSET: u64 = 1 << 16;

/// How many values a branch surely carries in registers.
const IN_REGISTER: usize = if cfg!(feature = "simd") { 0 } else { 1 };

/// Most operators of one function that grow its memory. An allocator has one or two.
const MAX_GROWS: usize = 100;

/// Checks `body`, of a function with so many `results`, against the limits, and notes what has to
/// change in it and what it adds to the module's size. `carried` is working memory, kept from body
/// to body.
pub(super) fn scan(
    body: &FunctionBody<'_>,
    limits: &ModuleLimits,
    types: &[Signature],
    changes: &mut Changes,
    counts: &mut Counts,
    carried: &mut Vec<usize>,
    results: usize,
) -> Result<(), LoadError> {
    let size = body.range().len();
    over("function_bytes", limits.function_bytes, size)?;
    let mut locals = 0usize;
    for group in body.get_locals_reader().map_err(|error| invalid(&error))? {
        let (count, _) = group.map_err(|error| invalid(&error))?;
        locals = locals.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
    }
    over("locals", limits.locals, locals)?;

    carried.clear();
    carried.push(results);
    let mut scan = Scan {
        limits,
        types,
        changes,
        at: 0,
        carried,
        deepest: 0,
        operators: 0,
        branches: 0,
        copies: 0,
        grows: 0,
        fresh: false,
        compared: false,
        failed: None,
    };
    let mut operators = body
        .get_operators_reader()
        .map_err(|error| invalid(&error))?;
    while !operators.eof() {
        scan.at = operators.original_position();
        let fine = operators
            .visit_operator(&mut scan)
            .map_err(|error| invalid(&error))?;
        if !fine {
            break;
        }
    }
    if let Some(error) = scan.failed {
        return Err(error);
    }
    let operations = scan.operators.saturating_add(scan.copies);
    counts.operations = counts.operations.saturating_add(operations);
    counts.branches = counts.branches.saturating_add(scan.branches);
    counts.largest.0 = counts.largest.0.max(operations);
    counts.largest.1 = counts.largest.1.max(scan.branches);
    counts.locals = counts.locals.max(locals);
    counts.nesting = counts.nesting.max(scan.deepest);
    counts.grows |= scan.grows > 0;
    // Each copy becomes code, so that many values carried by many branches make a small module
    // large. A branch of one value takes two bytes itself.
    over(
        "values carried by branches for each byte of code",
        size,
        scan.copies,
    )
}

/// What is known in the middle of a body.
struct Scan<'a> {
    limits: &'a ModuleLimits,
    types: &'a [Signature],
    changes: &'a mut Changes,
    /// Where the operator begins.
    at: usize,
    /// How many values a branch to each enclosing block carries, the function's own first.
    carried: &'a mut Vec<usize>,
    /// The deepest nesting of blocks so far.
    deepest: usize,
    /// How many operators there are, each target of a branch table counted as one.
    operators: usize,
    /// How many of them branch or call, counted for what they become.
    branches: usize,
    /// How many values all branches carry.
    copies: usize,
    /// How many operators grow the memory.
    grows: usize,
    /// Whether the last operator left a value that is certainly not a local's.
    fresh: bool,
    /// Whether two i32 were compared for being equal, and nothing that certainly becomes code has
    /// come since.
    compared: bool,
    /// Why the module is refused. Kept here because an error is large to be handed on for each
    /// operator that has none.
    failed: Option<LoadError>,
}

/// What an operator means for the one after it: see [`is_fresh`], [`becomes_code`] and
/// [`Scan::compared`].
#[derive(Clone, Copy)]
enum Next {
    Nothing,
    Fresh,
    Code,
    FreshCode,
    Compared,
}

impl Scan<'_> {
    /// Called with an operator that is known where this is inlined, so that little is left of it:
    /// most are alike.
    #[inline(always)]
    fn note(&mut self, operator: &Operator<'_>) -> bool {
        let compares = matches!(
            operator,
            Operator::I32Eqz | Operator::I32Eq | Operator::I32Ne
        );
        let next = if compares {
            Next::Compared
        } else if is_fresh(operator) && becomes_code(operator) {
            Next::FreshCode
        } else if becomes_code(operator) {
            Next::Code
        } else if is_fresh(operator) {
            Next::Fresh
        } else {
            Next::Nothing
        };
        let weight = weight(operator);
        if weight > 0 {
            self.branches = self.branches.saturating_add(weight);
        }
        if is_plain(operator) {
            self.pass(next)
        } else {
            self.look(operator, next)
        }
    }

    /// An operator of which nothing else is to be known.
    #[inline(never)]
    fn pass(&mut self, next: Next) -> bool {
        if self.carried.is_empty() {
            // wasmi 2.0.0 panics on these before it finds that they are too many.
            self.failed = Some(LoadError::Invalid {
                at: self.at,
                reason: "operators remaining after end of function".into(),
                truncated: false,
            });
            return false;
        }
        self.operators = self.operators.saturating_add(1);
        self.fresh = matches!(next, Next::Fresh | Next::FreshCode);
        self.compared = match next {
            Next::Compared => true,
            Next::Code | Next::FreshCode => false,
            Next::Fresh | Next::Nothing => self.compared,
        };
        true
    }

    #[inline(never)]
    fn look(&mut self, operator: &Operator<'_>, next: Next) -> bool {
        let (fresh, compared) = (self.fresh, self.compared);
        if !self.pass(next) {
            return false;
        }
        match self.check(operator, fresh, compared) {
            Ok(()) => true,
            Err(error) => {
                self.failed = Some(error);
                false
            }
        }
    }

    /// Checks an operator. `fresh` and `compared` say what was known before it.
    fn check(
        &mut self,
        operator: &Operator<'_>,
        fresh: bool,
        compared: bool,
    ) -> Result<(), LoadError> {
        match operator {
            // wasmi 2.0.0 makes one instruction of a comparison with 0 and a choice by it, and
            // then looks for what was compared in the wrong place.
            Operator::Select | Operator::TypedSelect { .. } if compared => {
                self.invert()?;
            }
            Operator::Block { blockty } | Operator::If { blockty } => {
                self.enter(*blockty, arity(*blockty, self.types).1)?;
            }
            Operator::Loop { blockty } => self.enter(*blockty, 0)?,
            Operator::End => drop(self.carried.pop()),
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth);
            }
            Operator::BrTable { targets } => {
                let count = usize::try_from(targets.len()).unwrap_or(usize::MAX);
                over("branch_targets", self.limits.branch_targets, count)?;
                self.operators = self.operators.saturating_add(count);
                self.branches = self.branches.saturating_add(count);
                let carries = self.carries(targets.default());
                for target in targets.targets() {
                    let target = target.map_err(|error| invalid(&error))?;
                    self.branch(target);
                    // wasmi 2.0.0 leaves the values where they are if all targets have the same
                    // height, though the targets look elsewhere: in unset stack slots. One value
                    // travels in a register, unless it is a vector. No mainstream compiler emits
                    // such tables.
                    if carries > IN_REGISTER && target != targets.default() {
                        let what =
                            "a branch table carries several values; set them in locals instead";
                        return Err(LoadError::Unsupported { what: what.into() });
                    }
                }
            }
            // Fuel is taken for a straight line of code at once, however much: see the cost of
            // growing in `engine`.
            Operator::MemoryGrow { .. } => {
                self.grows = self.grows.saturating_add(1);
                over("memory.grow in one function", MAX_GROWS, self.grows)?;
            }
            // wasmi 2.0.0 does not save its position when fuel runs out in `table.grow`, so a
            // call that is resumed there would do other work twice. No mainstream compiler
            // emits it.
            Operator::TableGrow { .. } => {
                let what = "a function uses `table.grow`; give the table its final size instead";
                return Err(LoadError::Unsupported { what: what.into() });
            }
            Operator::TableSet { .. }
            | Operator::TableInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::ElemDrop { .. }
            | Operator::DataDrop { .. } => self.changes.drifts = true,
            Operator::I32Store { memarg }
            | Operator::I32Store8 { memarg }
            | Operator::I32Store16 { memarg }
            | Operator::I64Store { memarg }
            | Operator::I64Store8 { memarg }
            | Operator::I64Store16 { memarg }
            | Operator::I64Store32 { memarg }
                if memarg.offset >= WIDE_OFFSET && !fresh =>
            {
                self.invert()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes that the operator's last operand is to be inverted twice.
    fn invert(&mut self) -> Result<(), LoadError> {
        let Ok(at) = u32::try_from(self.at) else {
            // Longer than lengths in a module can tell.
            return over("module_bytes", 0xffff_ffff, self.at);
        };
        self.changes.inversions.push(at);
        Ok(())
    }

    fn enter(&mut self, ty: BlockType, carries: usize) -> Result<(), LoadError> {
        // wasmi 2.0.0 saves a local that is still to be used to a stack slot too late where the
        // block that sets it has parameters: a branch around that reads what the slot held
        // before, another guest's values among it. No mainstream compiler emits such blocks.
        if arity(ty, self.types).0 > 0 {
            let what = "a block takes parameters; set them in locals before it instead";
            return Err(LoadError::Unsupported { what: what.into() });
        }
        over("nesting", self.limits.nesting, self.carried.len())?;
        self.carried.push(carries);
        self.deepest = self.deepest.max(self.carried.len());
        Ok(())
    }

    fn branch(&mut self, depth: u32) {
        self.copies = self.copies.saturating_add(self.carries(depth));
    }

    /// How many values a branch to this depth carries.
    fn carries(&self, depth: u32) -> usize {
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        self.carried.iter().nth_back(depth).copied().unwrap_or(0)
    }
}

/// Makes each visiting method call [`Scan::note`].
macro_rules! note {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {$(
        fn $visit(&mut self $($(, $arg: $argty)*)?) -> Self::Output {
            self.note(&Operator::$op $({ $($arg),* })?)
        }
    )*};
}

impl<'a> VisitOperator<'a> for Scan<'_> {
    /// Whether the module is fine so far.
    type Output = bool;

    #[cfg(feature = "simd")]
    fn simd_visitor(
        &mut self,
    ) -> Option<&mut dyn wasmparser::VisitSimdOperator<'a, Output = Self::Output>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(note);
}

#[cfg(feature = "simd")]
impl wasmparser::VisitSimdOperator<'_> for Scan<'_> {
    wasmparser::for_each_visit_simd_operator!(note);
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

/// How much code an operator becomes beyond what any may, in that of a branch.
#[inline(always)]
const fn weight(operator: &Operator<'_>) -> usize {
    match operator {
        Operator::CallIndirect { .. } => 2,
        Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::If { .. }
        | Operator::Else
        | Operator::Br { .. }
        | Operator::BrIf { .. }
        | Operator::BrTable { .. }
        | Operator::Return
        | Operator::Call { .. } => 1,
        _ => 0,
    }
}

/// Whether [`Scan::check`] has nothing to look at in the operator.
#[inline(always)]
const fn is_plain(operator: &Operator<'_>) -> bool {
    !matches!(
        operator,
        Operator::Select
            | Operator::TypedSelect { .. }
            | Operator::Block { .. }
            | Operator::If { .. }
            | Operator::Loop { .. }
            | Operator::End
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::MemoryGrow { .. }
            | Operator::TableGrow { .. }
            | Operator::TableSet { .. }
            | Operator::TableInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::ElemDrop { .. }
            | Operator::DataDrop { .. }
            | Operator::I32Store { .. }
            | Operator::I32Store8 { .. }
            | Operator::I32Store16 { .. }
            | Operator::I64Store { .. }
            | Operator::I64Store8 { .. }
            | Operator::I64Store16 { .. }
            | Operator::I64Store32 { .. }
    )
}

/// Whether the operator certainly becomes code of its own, so that wasmi no longer joins what came
/// before it with what comes after. Arithmetic may be folded away. The common cases will do.
#[inline(always)]
const fn becomes_code(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::I32Load { .. }
            | Operator::I32Load8U { .. }
            | Operator::I64Load { .. }
            | Operator::I32Store { .. }
            | Operator::I32Store8 { .. }
            | Operator::I64Store { .. }
    )
}

/// Whether the operator leaves a value on the stack that is certainly not a local's: then a store
/// right after it does not need to be changed. Not so for arithmetic, of which wasmi leaves out
/// what changes nothing, such as adding 0.
#[inline(always)]
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
            | Operator::GlobalGet { .. }
    )
}
