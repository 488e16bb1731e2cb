//! One pass over a function's body, before wasmi compiles it.

use super::{
    bulk::{self, BLOCK, Bulk, END, I32_CONST, IF},
    code::{
        I32_EQZ, I32_NE, I32_XOR, I64_EQZ, I64_EXTEND32_S, I64_NE, Kind, Known, LOCAL_GET,
        LOCAL_TEE,
    },
    edits::Change,
    groups::Type,
    proposal::{needs, opens_unknown_block},
    read::{Fault, Reader, type_ref},
};
use crate::{
    base::signature::{Signature, ValType},
    error::LoadError,
};
use alloc::vec::Vec;
use wasmparser::{BinaryReader, BlockType, FunctionBody, Operator};

/// The offset from which on wasmi 2.0.0 has no encoding of an integer store whose address and
/// value are the same local, and panics.
const WIDE_OFFSET: u64 = 1 << 16;

impl Reader<'_> {
    /// Checks `body`, of a function of type `ty`, against the limits, and notes what has to change in
    /// it and what it becomes.
    pub(super) fn body(&mut self, body: &FunctionBody<'_>, ty: Option<u32>) -> Result<(), Fault> {
        let size = body.range().len();
        self.over("function_bytes", self.limits.function_bytes, size)?;
        let mut locals = 0usize;
        let mut operators = body.get_binary_reader();
        for _ in 0..operators.read_var_u32()? {
            let count = operators.read_var_u32()?;
            operators.read::<wasmparser::ValType>()?;
            locals = locals.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        }
        self.over("locals", self.limits.locals, locals)?;

        let declared = ty.and_then(|ty| type_ref(&self.types, ty));
        let (params, results) = declared.map_or((0, &[][..]), |ty| (ty.params.len(), &*ty.results));
        self.code.begin(results);
        let blocks = Type::with(results).or_else(|| self.type_of_groups(ty?));
        self.groups.begin(blocks);
        let mut scan = Scan {
            reader: self,
            operators,
            at: 0,
            deepest: 0,
            copies: 0,
            grows: 0,
            fresh: false,
            constant: None,
            held: Held::Other,
        };
        while !scan.operators.eof() {
            scan.operator()?;
        }
        let Scan {
            deepest,
            copies,
            grows,
            ..
        } = scan;
        if self.groups.uses_type() {
            self.keep_type_of_groups(ty, blocks);
        }
        let counts = &mut self.info.counts;
        counts.grows |= grows > 0;
        self.count_code(deepest, locals.saturating_add(params));
        // Each copy becomes code, so that many values carried by many branches make a small module
        // large. A branch of one value takes two bytes itself.
        let carried = copies.saturating_sub(size);
        self.over("carried_values", self.limits.carried_values, carried)
    }

    /// Returns the type for groups outside of all blocks of a function with several results, whose type has this
    /// index: one that was added for another function, or that has to be added if it is used.
    fn type_of_groups(&self, ty: u32) -> Option<Type> {
        let known = self.types_of_groups.get(usize::try_from(ty).ok()?);
        let (_, added) = self.info.changes.edits.types();
        let next = || Type::declared(self.types.len().saturating_add(added));
        known.copied().flatten().or_else(next)
    }

    /// Adds the type that [`type_of_groups`](Self::type_of_groups) returned, if it is new.
    fn keep_type_of_groups(&mut self, ty: Option<u32>, blocks: Option<Type>) {
        let Some(at) = ty.and_then(|ty| usize::try_from(ty).ok()) else {
            return;
        };
        let Some(declared) = self.types.get(at) else {
            return;
        };
        if declared.results.len() < 2 {
            return;
        }
        self.types_of_groups.resize(self.types.len(), None);
        if let Some(known @ None) = self.types_of_groups.get_mut(at) {
            *known = blocks;
            self.info.changes.edits.add_type(&declared.results);
            let types = &mut self.info.counts.types;
            *types = types.saturating_add(1);
        }
    }

    /// Makes room for the values, blocks and changes that the next operator adds.
    fn reserve(&mut self) -> Result<(), Fault> {
        let (blocks, edits) = (self.groups.wanted(), self.info.changes.edits.wanted());
        let wanted = self
            .code
            .wanted()
            .saturating_add(blocks)
            .saturating_add(edits);
        if wanted > 0 {
            self.take(wanted)?;
            self.code.reserve();
            self.groups.reserve();
            self.info.changes.edits.reserve();
        }
        Ok(())
    }

    /// Counts the function that was measured last: with its deepest nesting of blocks, and its locals
    /// and parameters.
    fn count_code(&mut self, nesting: usize, locals: usize) {
        let counts = &mut self.info.counts;
        counts.code.add(self.code.bytes);
        let largest = &mut counts.largest;
        largest.code = largest.code.max(self.code.bytes);
        for (most, found) in [
            (&mut largest.labels, self.code.labels),
            (&mut largest.branches, self.code.branches),
            (&mut largest.targets, self.code.targets),
            (&mut largest.values, self.code.deepest),
            (&mut largest.nesting, nesting),
            (&mut largest.locals, locals),
        ] {
            *most = (*most).max(found);
        }
    }

    /// Decides which operators become calls of functions that are added, once the memory's size and the
    /// data segments are known, and counts those functions.
    pub(super) fn split_bulk(&mut self) -> Result<(), Fault> {
        let (wasm, small) = (
            self.wasm,
            bulk::is_small(&self.info.memories, self.info.counts.grows),
        );
        let mut found = Vec::new();
        let large_data = &self.large_data;
        let mut splits = |at: u32| {
            let after = wasm.get(usize::try_from(at).unwrap_or(usize::MAX)..);
            let opcode = after.and_then(<[u8]>::first);
            if !matches!(opcode, Some(&(bulk::PREFIX | bulk::MEMORY_GROW))) {
                return true;
            }
            let bulk = after.and_then(Bulk::read).map(|(bulk, _)| bulk);
            let long = |bulk: &Bulk| match bulk {
                Bulk::Init(segment) => large_data.binary_search(segment).is_ok(),
                Bulk::Copy | Bulk::Fill | Bulk::Grow => true,
            };
            let Some(bulk) = bulk.filter(|bulk| !small && long(bulk)) else {
                return false;
            };
            if let Err(place) = found.binary_search(&bulk) {
                found.insert(place, bulk);
            }
            true
        };
        self.info.changes.edits.retain_operators(&mut splits);
        if found.is_empty() {
            return Ok(());
        }
        let memories = &self.info.memories;
        let defined = self.functions.len();
        let (_, more_types) = self.info.changes.edits.types();
        let functions = bulk::Functions::new(found, &self.types, more_types, memories, defined);
        let types = &mut self.info.counts.types;
        *types = types.saturating_add(functions.types.len());
        for (body, (bulk, _)) in functions.bodies().zip(&functions.bulk) {
            self.measure(&body, bulk.locals())?;
            self.info.changes.grows_in_parts |= *bulk == Bulk::Grow;
        }
        self.info.changes.functions = functions;
        Ok(())
    }

    /// Counts the code of a function that is added, with so many parameters and locals.
    fn measure(&mut self, body: &[u8], locals: usize) -> Result<(), Fault> {
        let mut operators = BinaryReader::new(body, 0);
        for _ in 0..operators.read_var_u32()? {
            operators.read_var_u32()?;
            operators.read::<wasmparser::ValType>()?;
        }
        // As if there were a result, which takes more.
        self.code.begin(&[ValType::I32]);
        let mut deepest = 0;
        while !operators.eof() {
            self.take(self.code.wanted())?;
            self.code.reserve();
            let start = operators.clone();
            let operator = operators.read_operator()?;
            let opcode = start.clone().read_u8()?;
            match operator {
                Operator::I32Const { .. } => self.code.constant(Kind::I32),
                Operator::LocalGet { local_index }
                | Operator::LocalSet { local_index }
                | Operator::LocalTee { local_index } => self.code.local(opcode, local_index),
                _ if (I32_EQZ..=I64_EXTEND32_S).contains(&opcode) => self.code.numeric(opcode),
                operator => {
                    let known = Known {
                        types: &self.types,
                        functions: &self.functions,
                        globals: &self.globals,
                    };
                    self.code.operator(&operator, known);
                }
            }
            deepest = deepest.max(self.code.nesting());
        }
        self.count_code(deepest, locals);
        Ok(())
    }
}

/// What is known in the middle of a body.
struct Scan<'r, 'a, 'b> {
    reader: &'r mut Reader<'a>,
    operators: BinaryReader<'b>,
    /// Where the operator begins.
    at: usize,
    /// The deepest nesting of blocks so far.
    deepest: usize,
    /// How many values all branches carry.
    copies: usize,
    /// How many operators grow the memory.
    grows: usize,
    /// Whether the last operator left a value that is certainly not a local's.
    fresh: bool,
    /// The constant that the last operator left, if it is an i32.
    constant: Option<u32>,
    /// What wasmi may still hold to join with what comes after.
    held: Held,
}

/// An operator that wasmi 2.0.0 has translated, but may yet change.
///
/// It joins a `select` with the comparison before it, if that is its `I32Eq` or `I32NotEq` with 0
/// (`try_fuse_select`): it drops the comparison, and chooses by the register, which holds what was
/// compared only if that was computed there. The two are made by its translator's
///
/// * `visit_i32_eqz`, `visit_i32_eq` and `visit_i32_ne`; and `visit_ref_is_null`, which calls the
///   first;
/// * `fuse_eqz`, of these and of `visit_i64_eqz` and `visit_i64_eq` with 0: it replaces a held
///   `I32NotEq`, `I32Eq` or `I32BitXor` (`negate_cmp_instr`), of whatever width the comparison is,
///   since `visit_i64_extend_i32_u` leaves what is held as it is;
/// * `fuse_nez`, of `visit_i32_ne` and `visit_i64_ne` with 0, in the same way
///   (`logicalize_cmp_instr`).
///
/// So i64 comparisons matter only after an i32 operator of this list. Nothing else is joined by
/// dropping: `br_if` and `if` (`fused_cmp_branch`) take over the operands, as do `local.set` and
/// `local.tee` (`fused_local_set`), and negations of floats (`try_lower_f32_abs_neg`). `br_table`,
/// stores and calls join nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    /// Nothing that matters here.
    Other,
    /// An exclusive or of two i32, which a comparison with 0 turns into a comparison of the two.
    Xor,
    /// A comparison of two i32 for being equal.
    Comparison,
}

impl Scan<'_, '_, '_> {
    /// Reads and checks the next operator.
    fn operator(&mut self) -> Result<(), Fault> {
        self.at = self.operators.original_position();
        let opcode = self.reader.wasm.get(self.at).copied().unwrap_or_default();
        if self.reader.code.nesting() == 0 {
            // wasmi 2.0.0 panics on these before it finds that they are too many.
            return Err(self.reader.refuse(LoadError::Invalid {
                at: self.at,
                reason: "operators remaining after end of function".into(),
                truncated: false,
            }));
        }
        self.reader.reserve()?;
        if self.reader.groups.is_skippable() && opcode != ELSE && opcode != END {
            self.pass(opcode)?;
        }
        let (fresh, held, constant) = (self.fresh, self.held, self.constant.take());
        // Most operators are some of these. The parser's own way to an operator is long.
        let code = &mut self.reader.code;
        match opcode {
            LOCAL_GET..=LOCAL_TEE => {
                self.operators.read_u8()?;
                code.local(opcode, self.operators.read_var_u32()?);
                self.fresh = false;
                return Ok(());
            }
            I32_CONST => {
                self.operators.read_u8()?;
                let value = self.operators.read_var_i32()?;
                self.constant = Some(value.cast_unsigned());
                code.constant(Kind::I32);
                self.fresh = true;
                return Ok(());
            }
            I32_EQZ..=I64_EXTEND32_S => {
                self.operators.read_u8()?;
                code.numeric(opcode);
                self.fresh = false;
                self.held = match opcode {
                    I32_EQZ..=I32_NE => Held::Comparison,
                    I64_EQZ..=I64_NE if held == Held::Xor => Held::Comparison,
                    I32_XOR => held.max(Held::Xor),
                    _ => held,
                };
                return Ok(());
            }
            _ => {}
        }
        let operator = self.operators.read_operator()?;
        if opens_unknown_block(&operator)
            && let Some(error) = needs("exceptions", self.at)
        {
            return Err(self.reader.refuse(error));
        }
        self.fresh = is_fresh(&operator);
        if becomes_code(&operator) {
            self.held = Held::Other;
        } else if matches!(operator, Operator::RefIsNull) {
            self.held = Held::Comparison;
        }
        self.check(&operator, fresh, held)?;
        if let Some(bulk) = Bulk::of(&operator) {
            let short = bulk.short(&self.reader.info.memories);
            if constant.is_none_or(|operand| operand > short) {
                self.edit(Change::Operator)?;
                self.reader.code.bulk_call(bulk == Bulk::Grow);
                return Ok(());
            }
        }
        let Reader {
            code,
            types,
            functions,
            globals,
            ..
        } = &mut *self.reader;
        let known = Known {
            types,
            functions,
            globals,
        };
        code.operator(&operator, known);
        Ok(())
    }

    /// Checks an operator. `fresh` and `held` say what was known before it.
    fn check(&mut self, operator: &Operator<'_>, fresh: bool, held: Held) -> Result<(), Fault> {
        match operator {
            Operator::Select | Operator::TypedSelect { .. } if held == Held::Comparison => {
                self.invert(Kind::I32)?;
            }
            Operator::Block { blockty } | Operator::If { blockty } | Operator::Loop { blockty } => {
                self.enter(*blockty)?
            }
            Operator::Else => {
                let at = self.position()?;
                let Reader { groups, info, .. } = &mut *self.reader;
                groups.otherwise(at, &mut info.changes.edits);
            }
            Operator::End => {
                let at = self.position()?;
                let Reader { groups, info, .. } = &mut *self.reader;
                groups.end(at, &mut info.changes.edits);
            }
            Operator::Return => self.reader.groups.returns(),
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth);
                // One that crosses no group yet may cross the one that begins before it.
                let groups = &mut self.reader.groups;
                let may_begin = groups.may_begin();
                let more = groups.branch(*relative_depth);
                if more > 0 || may_begin {
                    self.edit(Change::Branch(more))?;
                }
            }
            Operator::BrTable { targets } => {
                let count = usize::try_from(targets.len()).unwrap_or(usize::MAX);
                let most = self.reader.limits.branch_targets;
                self.reader.over("branch_targets", most, count)?;
                let in_slots = self.reader.code.carries_in_slots(targets.default());
                let mut most = self.reader.groups.branch(targets.default());
                for target in targets.targets() {
                    let target = target?;
                    self.branch(target);
                    most = most.max(self.reader.groups.branch(target));
                    // wasmi 2.0.0 leaves the values where they are if all targets have the same
                    // height, though the targets look elsewhere: in unset stack slots. One value
                    // travels in a register, unless it is a vector. No mainstream compiler emits
                    // such tables.
                    if in_slots && target != targets.default() {
                        return Err(self.reader.unsupported(format_args!(
                            "a branch table carries several values, or a vector; set them in locals instead"
                        )));
                    }
                }
                if most > 0 {
                    let at = self.position()?;
                    // As for numbers of three bytes, in a vector that doubles.
                    self.reader
                        .take(count.saturating_mul(3).saturating_mul(3))?;
                    let Reader { groups, info, .. } = &mut *self.reader;
                    let edits = &mut info.changes.edits;
                    let mut target = |depth| groups.target(depth);
                    edits.push_table(at, targets, &mut target)?;
                }
            }
            // Fuel is taken for a straight line of code at once, however much: see the cost of
            // growing in `engine`.
            Operator::MemoryGrow { .. } => {
                self.grows = self.grows.saturating_add(1);
                let most = self.reader.limits.memory_grows;
                self.reader.over("memory_grows", most, self.grows)?;
            }
            // wasmi 2.0.0 does not save its position when fuel runs out in `table.grow`, so a
            // call that is resumed there would do other work twice. No mainstream compiler
            // emits it.
            Operator::TableGrow { .. } => {
                return Err(self.reader.unsupported(format_args!(
                    "a function uses `table.grow`; give the table its final size instead, and don't use wasm-bindgen, whose table of `externref` grows"
                )));
            }
            // wasmi 2.0.0 encodes their offset in four bytes and decodes eight, and goes on wherever that
            // leads.
            #[cfg(feature = "simd")]
            Operator::V128Store8Lane { memarg, .. } | Operator::V128Store16Lane { memarg, .. }
                if memarg.offset >= WIDE_OFFSET =>
            {
                self.edit(Change::Operator)?;
            }
            Operator::TableSet { .. }
            | Operator::TableInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::ElemDrop { .. }
            | Operator::DataDrop { .. } => self.reader.info.changes.not_resettable = true,
            Operator::I32Store { memarg }
            | Operator::I32Store8 { memarg }
            | Operator::I32Store16 { memarg }
                if memarg.offset >= WIDE_OFFSET && !fresh =>
            {
                self.invert(Kind::I32)?;
            }
            Operator::I64Store { memarg }
            | Operator::I64Store8 { memarg }
            | Operator::I64Store16 { memarg }
            | Operator::I64Store32 { memarg }
                if memarg.offset >= WIDE_OFFSET && !fresh =>
            {
                self.invert(Kind::I64)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes an operator that an exit may skip, and begins a group if that is due.
    fn pass(&mut self, opcode: u8) -> Result<(), Fault> {
        let at = self.position()?;
        let Reader {
            code, groups, info, ..
        } = &mut *self.reader;
        if code.is_dead() {
            groups.forget();
            return Ok(());
        }
        let begins_block = matches!(opcode, BLOCK..=IF);
        let edits = &mut info.changes.edits;
        if groups.pass(at, code.has_no_values(), begins_block, edits) {
            code.group();
            let deepest = code.nesting().saturating_add(groups.open());
            self.deepest = self.deepest.max(deepest);
        }
        Ok(())
    }

    /// Notes that the operator's last operand, of type `kind`, gets inverted twice.
    fn invert(&mut self, kind: Kind) -> Result<(), Fault> {
        self.edit(Change::Operator)?;
        self.reader.code.inverted_twice(kind);
        Ok(())
    }

    /// Notes that the operator changes.
    fn edit(&mut self, change: Change) -> Result<(), Fault> {
        let at = self.position()?;
        self.reader.info.changes.edits.push(at, change);
        Ok(())
    }

    /// Returns where the operator begins.
    fn position(&mut self) -> Result<u32, Fault> {
        u32::try_from(self.at).or_else(|_| {
            // Longer than lengths in a module can tell.
            self.reader.over("module_bytes", 0xffff_ffff, self.at)?;
            Ok(u32::MAX)
        })
    }

    fn enter(&mut self, ty: BlockType) -> Result<(), Fault> {
        // wasmi 2.0.0 saves a local that is still to be used to a stack slot too late where the
        // block that sets it has parameters: a branch around that reads what the slot held
        // before, another guest's values among it. No mainstream compiler emits such blocks.
        if params(ty, &self.reader.types) > 0 {
            return Err(self.reader.unsupported(format_args!(
                "a block takes parameters; set them in locals before it instead"
            )));
        }
        let nesting = self.reader.code.nesting();
        let most = self.reader.limits.nesting;
        self.reader.over("nesting", most, nesting)?;
        let groups = &mut self.reader.groups;
        groups.enter(ty);
        let deepest = nesting.saturating_add(groups.open()).saturating_add(1);
        self.deepest = self.deepest.max(deepest);
        Ok(())
    }

    fn branch(&mut self, depth: u32) {
        let carries = self.reader.code.carries(depth);
        self.copies = self.copies.saturating_add(carries);
    }
}

const ELSE: u8 = 0x05;

/// The number of parameters of a block.
fn params(ty: BlockType, types: &[Signature]) -> usize {
    match ty {
        BlockType::FuncType(index) => type_ref(types, index).map_or(0, |ty| ty.params.len()),
        BlockType::Empty | BlockType::Type(_) => 0,
    }
}

/// Whether the operator certainly becomes code of its own, so that wasmi no longer joins what came
/// before it with what comes after. Arithmetic may be folded away. The common cases will do.
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
