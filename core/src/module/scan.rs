//! Reads a function's operators, and decides what has to change.

use super::{
    bulk::Bulk,
    code::{
        Kind, block_type,
        opcode::{
            BLOCK, BR, BR_IF, CALL, ELSE, END, GLOBAL_GET, I32_CONST, I32_EQZ, I32_LOAD,
            I32_LOAD8_S, I32_LOAD8_U, I32_LOAD16_U, I32_NE, I32_STORE, I32_STORE8, I32_STORE16,
            I32_XOR, I64_CONST, I64_EQZ, I64_EXTEND32_S, I64_LOAD, I64_NE, I64_STORE, I64_STORE8,
            I64_STORE32, IF, LOCAL_GET, LOCAL_TEE, LOOP, RETURN, SELECT,
        },
        read,
    },
    edits::Change,
    proposal::{needs, opens_unknown_block},
    read::{Fault, Reader, type_ref},
};
use crate::{base::signature::Signature, error::LoadError};
use wasmparser::{BinaryReader, BlockType, Operator};

/// The offset from which on wasmi 2.0.0 has no encoding of an integer store whose address and
/// value are the same local, and panics.
const WIDE_OFFSET: u64 = 1 << 16;

/// What is known in the middle of a body.
pub(super) struct Scan<'r, 'a, 'b> {
    reader: &'r mut Reader<'a>,
    /// The operators that are left to read.
    left: &'b [u8],
    /// Where the next operator begins.
    at: usize,
    /// How many more operators there is room for that only push a value.
    room: usize,
    found: Found,
    /// Whether the last operator left a value that is certainly not a local's.
    fresh: bool,
    /// The constant that the last operator left, if it is an i32.
    constant: Option<u32>,
    /// What wasmi may still hold to join with what comes after.
    held: Held,
}

/// What a body has.
#[derive(Default)]
pub(super) struct Found {
    /// The deepest nesting of blocks.
    pub(super) deepest: usize,
    /// How many values all branches carry.
    pub(super) copies: usize,
    /// How many operators grow the memory.
    pub(super) grows: usize,
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

impl<'r, 'a, 'b> Scan<'r, 'a, 'b> {
    /// Begins to read a function's operators, the first of which begins at this offset of the module.
    pub(super) const fn new(reader: &'r mut Reader<'a>, left: &'b [u8], at: usize) -> Self {
        Self {
            reader,
            left,
            at,
            room: 0,
            found: Found {
                deepest: 0,
                copies: 0,
                grows: 0,
            },
            fresh: false,
            constant: None,
            held: Held::Other,
        }
    }

    /// Reads and checks all operators.
    pub(super) fn read(mut self) -> Result<Found, Fault> {
        while let Some(opcode) = self.left.first().copied() {
            self.operator(opcode)?;
        }
        Ok(self.found)
    }

    /// Reads and checks the next operator.
    fn operator(&mut self, opcode: u8) -> Result<(), Fault> {
        if self.reader.code.nesting() == 0 {
            // wasmi 2.0.0 panics on these before it finds that they are too many.
            return Err(self.reader.refuse(LoadError::Invalid {
                at: self.at,
                reason: "operators remaining after end of function".into(),
                truncated: false,
            }));
        }
        if self.room == 0 {
            self.room = self.reader.reserve()?;
        }
        self.room = self.room.saturating_sub(1);
        if self.reader.groups.is_skippable() && opcode != ELSE && opcode != END {
            self.pass(opcode)?;
        }
        if let I32_EQZ..=I64_EXTEND32_S = opcode {
            self.constant = None;
            self.fresh = false;
            self.held = match opcode {
                I32_EQZ..=I32_NE => Held::Comparison,
                I64_EQZ..=I64_NE if self.held == Held::Xor => Held::Comparison,
                I32_XOR => self.held.max(Held::Xor),
                _ => self.held,
            };
            self.reader.code.numeric(opcode);
            self.skip(1);
            return Ok(());
        }
        let Some(found) = read(self.left) else {
            return self.rare();
        };
        self.constant = None;
        let code = &mut self.reader.code;
        match opcode {
            LOCAL_GET..=LOCAL_TEE => {
                code.local(opcode, low_word(found.immediate));
                self.fresh = false;
            }
            I32_CONST => {
                self.constant = Some(low_word(found.immediate));
                code.constant(Kind::I32);
                self.fresh = true;
            }
            _ => {
                self.room = 0;
                self.check_common(opcode, found.immediate)?;
                self.fresh = is_fresh(opcode);
                if becomes_code(opcode) {
                    self.held = Held::Other;
                }
                let (code, known) = self.reader.measuring();
                code.common(opcode, found.immediate, known);
            }
        }
        self.skip(found.length);
        Ok(())
    }

    /// Goes on after an operator of so many bytes.
    fn skip(&mut self, length: usize) {
        self.left = self.left.get(length..).unwrap_or_default();
        self.at = self.at.saturating_add(length);
    }

    /// Checks a common operator, with its immediate.
    fn check_common(&mut self, opcode: u8, immediate: u64) -> Result<(), Fault> {
        match opcode {
            SELECT if self.held == Held::Comparison => self.invert(Kind::I32)?,
            BLOCK..=IF => self.enter(block_type(immediate), opcode == LOOP)?,
            ELSE => {
                let at = self.position()?;
                let Reader { groups, info, .. } = &mut *self.reader;
                groups.otherwise(at, &mut info.changes.edits);
            }
            END => {
                let at = self.position()?;
                let Reader { groups, info, .. } = &mut *self.reader;
                groups.end(at, &mut info.changes.edits);
            }
            RETURN => self.reader.groups.returns(),
            BR | BR_IF => {
                let depth = low_word(immediate);
                self.branch(depth);
                let more = self.reader.groups.branch(depth);
                if more > 0 {
                    self.edit(Change::Branch(more))?;
                }
            }
            I32_STORE..=I64_STORE32 if immediate >= WIDE_OFFSET && !self.fresh => match opcode {
                I32_STORE | I32_STORE8 | I32_STORE16 => self.invert(Kind::I32)?,
                I64_STORE | I64_STORE8..=I64_STORE32 => self.invert(Kind::I64)?,
                // Of floats, which have other registers.
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    /// Reads and checks an operator that is not common, or not valid.
    #[inline(never)]
    fn rare(&mut self) -> Result<(), Fault> {
        self.room = 0;
        // From the module's start, since one error of the parser's tells the offset in what it was given.
        let end = self.at.saturating_add(self.left.len());
        let body = self.reader.wasm.get(..end).unwrap_or_default();
        let mut reader = BinaryReader::new(body, 0);
        reader.read_bytes(self.at)?;
        let operator = reader.read_operator()?;
        if opens_unknown_block(&operator)
            && let Some(error) = needs("exceptions", self.at)
        {
            return Err(self.reader.refuse(error));
        }
        let constant = self.constant.take();
        self.check(&operator)?;
        self.fresh = false;
        match &operator {
            Operator::CallIndirect { .. } => self.held = Held::Other,
            Operator::RefIsNull => self.held = Held::Comparison,
            _ => {}
        }
        let length = reader.original_position().saturating_sub(self.at);
        #[cfg(feature = "component")]
        if self.reader.is_inner()
            && let Some(call) = tail_call(&operator)
        {
            // It becomes a call and a return.
            self.edit(Change::Operator)?;
            self.held = Held::Other;
            self.reader.groups.returns();
            let (code, known) = self.reader.measuring();
            code.operator(&call, known);
            code.common(RETURN, 0, known);
            self.skip(length);
            return Ok(());
        }
        if let Some(bulk) = Bulk::of(&operator) {
            let short = bulk.short(&self.reader.info.memories);
            if constant.is_none_or(|operand| operand > short) {
                self.edit(Change::Operator)?;
                self.reader.code.bulk_call(bulk == Bulk::Grow);
                self.skip(length);
                return Ok(());
            }
        }
        let (code, known) = self.reader.measuring();
        code.operator(&operator, known);
        self.skip(length);
        Ok(())
    }

    /// Checks an operator that is not common.
    fn check(&mut self, operator: &Operator<'_>) -> Result<(), Fault> {
        match operator {
            Operator::TypedSelect { .. } if self.held == Held::Comparison => {
                self.invert(Kind::I32)?;
            }
            Operator::Block { blockty } | Operator::If { blockty } | Operator::Loop { blockty } => {
                self.enter(*blockty, matches!(operator, Operator::Loop { .. }))?
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
                self.found.grows = self.found.grows.saturating_add(1);
                let most = self.reader.limits.memory_grows;
                self.reader.over("memory_grows", most, self.found.grows)?;
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
            self.room = 0;
            code.group();
            let deepest = code.nesting().saturating_add(groups.open());
            self.found.deepest = self.found.deepest.max(deepest);
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

    fn enter(&mut self, ty: BlockType, is_loop: bool) -> Result<(), Fault> {
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
        groups.enter(ty, is_loop);
        let deepest = nesting.saturating_add(groups.open()).saturating_add(1);
        self.found.deepest = self.found.deepest.max(deepest);
        Ok(())
    }

    fn branch(&mut self, depth: u32) {
        let carries = self.reader.code.carries(depth);
        self.found.copies = self.found.copies.saturating_add(carries);
    }
}

/// Returns the call that takes the place of a tail call.
#[cfg(feature = "component")]
const fn tail_call(operator: &Operator<'_>) -> Option<Operator<'static>> {
    match *operator {
        Operator::ReturnCall { function_index } => Some(Operator::Call { function_index }),
        Operator::ReturnCallIndirect {
            type_index,
            table_index,
        } => Some(Operator::CallIndirect {
            type_index,
            table_index,
        }),
        _ => None,
    }
}

/// The number of parameters of a block.
fn params(ty: BlockType, types: &[Signature]) -> usize {
    match ty {
        BlockType::FuncType(index) => type_ref(types, index).map_or(0, |ty| ty.params.len()),
        BlockType::Empty | BlockType::Type(_) => 0,
    }
}

/// Returns the lowest 32 bits: an index, a depth, or an i32.
fn low_word(immediate: u64) -> u32 {
    let [a, b, c, d, ..] = immediate.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Returns whether a common operator certainly becomes code of its own, so that wasmi no longer joins what came
/// before it with what comes after. Arithmetic may be folded away. The most frequent ones will do.
const fn becomes_code(opcode: u8) -> bool {
    matches!(
        opcode,
        CALL | I32_LOAD | I32_LOAD8_U | I64_LOAD | I32_STORE | I32_STORE8 | I64_STORE
    )
}

/// Returns whether a common operator leaves a value on the stack that is certainly not a local's: then a store
/// right after it does not need to be changed. Not so for arithmetic, of which wasmi leaves out
/// what changes nothing, such as adding 0.
const fn is_fresh(opcode: u8) -> bool {
    matches!(
        opcode,
        I64_CONST | I32_LOAD | I32_LOAD8_S..=I32_LOAD16_U | I64_LOAD | GLOBAL_GET
    )
}
