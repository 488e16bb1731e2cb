//! Measures how much code a function becomes in wasmi 2.0.0.
//!
//! Follows wasmi's translator operator by operator: the operands on the stack, which of them are in a
//! register, and what each operator encodes for the operands that it finds. If the translator may
//! choose, the longer encoding counts. So the result is an upper bound for builds that encode an
//! operator as the address of its handler. With wasmi's `indirect-dispatch`, every operator is shorter.
//!
//! **An operator that rewriting inserts** is measured where [`body`](super::body) decides to insert
//! it, by calling the method of the operator here as if the module had it: [`Code::local`],
//! [`Code::constant`], [`Code::numeric`] or [`Code::operator`]. [`Code::inverted_twice`] is an example.

mod control;
mod immediate;
pub(super) mod opcode;
mod operand;
mod stack;
#[cfg(feature = "simd")]
mod vector;

pub(super) use self::{
    immediate::{block_type, read},
    operand::{Kind, value_type},
};

use self::{
    control::{Enclosing, Frame},
    opcode::{
        BLOCK, BR, BR_IF, CALL, DROP, ELSE, END, F32_CONST, F32_LOAD, F64_CONST, F64_LOAD,
        GLOBAL_GET, GLOBAL_SET, I32_ADD, I32_CONST, I32_EQZ, I32_LOAD, I32_LOAD8_S, I32_LOAD16_U,
        I32_STORE, I32_XOR, I64_ADD, I64_CONST, I64_EQZ, I64_EXTEND_I32_U, I64_EXTEND32_S,
        I64_LOAD32_U, I64_STORE32, IF, LAST_COMPARISON, LOCAL_GET, LOCAL_TEE, LOOP, REINTERPRET,
        REINTERPRET_LAST, RETURN, SELECT, UNREACHABLE, numeric,
    },
    operand::Operand,
};
use crate::base::signature::{Signature, ValType};
use alloc::vec::Vec;
use core::mem;
use wasmparser::{BlockType, Operator};

/// Bytes of code on machines of 32 and of 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes {
    pub(super) bits32: usize,
    pub(super) bits64: usize,
}

impl Bytes {
    pub(super) fn add(&mut self, other: Self) {
        self.bits32 = self.bits32.saturating_add(other.bits32);
        self.bits64 = self.bits64.saturating_add(other.bits64);
    }

    fn take(&mut self, other: Self) {
        self.bits32 = self.bits32.saturating_sub(other.bits32);
        self.bits64 = self.bits64.saturating_sub(other.bits64);
    }

    pub(super) fn max(self, other: Self) -> Self {
        Self {
            bits32: self.bits32.max(other.bits32),
            bits64: self.bits64.max(other.bits64),
        }
    }

    /// Returns the size of an operator with so many bytes of fields after the address of its handler.
    /// The next operator is aligned to an address.
    fn operator(fields: usize) -> Self {
        // The address, and the fields rounded up to a multiple of its size.
        Self {
            bits32: fields.saturating_add(7) & !3,
            bits64: fields.saturating_add(15) & !7,
        }
    }
}

/// The declarations of a module that its code refers to.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) types: &'a [Signature],
    /// The type of each function, the imported ones first.
    pub(super) functions: &'a [u32],
    /// The type of each global, the imported ones first, and whether it can change.
    pub(super) globals: &'a [(Kind, bool)],
}

impl<'a> Known<'a> {
    /// Returns the type of the function of this index.
    fn callee(self, index: u32) -> Option<&'a Signature> {
        at(self.types, *at(self.functions, index)?)
    }
}

/// Free places in a vector before each operator, more than any operator fills.
pub(super) const SPARE: usize = 16;

/// Measures functions, one after the other. Its stacks are kept for the next one.
#[derive(Default)]
pub(super) struct Code {
    stack: Vec<Operand>,
    blocks: Vec<Enclosing>,
    /// The height of the stack up to and including the value in each register, or 0 if that is free.
    registers: [usize; 3],
    /// The height of the stack below which no value stands for a local.
    settled: usize,
    /// Whether wasmi does not translate the code here, since it is never reached.
    dead: bool,
    /// The number of values pushed in such code.
    unseen: usize,
    /// The operator that wasmi may join the last one with.
    joined: Joined,
    /// The code of the function so far.
    pub(super) bytes: Bytes,
    /// The number of places that can be branched to.
    pub(super) labels: usize,
    /// The number of branches, and of targets of branch tables.
    pub(super) branches: usize,
    /// The most values on the stack.
    pub(super) deepest: usize,
    /// The most targets of a branch table.
    pub(super) targets: usize,
}

/// The operators that wasmi joins with the one right before them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Joined {
    #[default]
    Nothing,
    /// Setting a local. The last operator has so many bytes of fields; the local adds a field.
    Set(usize),
    /// A branch. The comparison before it has so many bytes of fields; the target adds a field.
    Branch(usize),
}

impl Code {
    /// Begins a function with these results.
    pub(super) fn begin(&mut self, results: &[ValType]) {
        self.stack.clear();
        self.blocks.clear();
        self.registers = [0; 3];
        (self.settled, self.dead, self.unseen) = (0, false, 0);
        self.joined = Joined::Nothing;
        self.bytes = Bytes::default();
        (self.labels, self.branches, self.deepest, self.targets) = (0, 0, 0, 0);
        self.enter(Frame::Block, results);
        self.fuel();
    }

    /// Returns the number of enclosing blocks, the function included.
    pub(super) const fn nesting(&self) -> usize {
        self.blocks.len()
    }

    /// Returns the number of values that a branch to this depth carries.
    pub(super) fn carries(&self, depth: u32) -> usize {
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        let block = self.blocks.iter().nth_back(depth);
        block.map_or(0, Enclosing::carries)
    }

    /// Whether a branch to this depth carries values that need not fit into one register: several, or
    /// a vector.
    pub(super) fn carries_in_slots(&self, depth: u32) -> bool {
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        let block = self.blocks.iter().nth_back(depth);
        block.is_some_and(|block| match block.carries() {
            0 => false,
            1 => block.one.is_none_or(|kind| kind.register.is_none()),
            _ => true,
        })
    }

    /// Returns the bytes of heap that [`reserve`](Self::reserve) takes before the next operator.
    pub(super) fn wanted(&self) -> usize {
        more(&self.stack).saturating_add(more(&self.blocks))
    }

    /// Returns the number of operators until [`wanted`](Self::wanted) has to be asked again, if they only push a
    /// value each.
    pub(super) fn room(&self) -> usize {
        let places = self.stack.capacity().saturating_sub(self.stack.len());
        places.saturating_sub(SPARE).saturating_add(1)
    }

    /// Makes room for the values and the block of the next operator.
    pub(super) fn reserve(&mut self) {
        self.stack.reserve(SPARE);
        self.blocks.reserve(SPARE);
    }

    // Operators

    /// Measures `local.get`, `local.set` or `local.tee`.
    pub(super) fn local(&mut self, opcode: u8, index: u32) {
        let joined = mem::take(&mut self.joined);
        let local = Operand::local(index);
        if self.dead || opcode == LOCAL_GET {
            return self.push(local);
        }
        let (value, in_register) = self.pop();
        if !value.is(local) {
            self.keep_values_of(local);
            match joined {
                Joined::Set(fields) if in_register && value == Operand::SLOT => {
                    self.bytes.take(Bytes::operator(fields));
                    self.emit(fields.saturating_add(4));
                }
                _ if in_register && value == Operand::SLOT => self.emit(4),
                _ => self.copy(value),
            }
        }
        if opcode == LOCAL_TEE {
            self.push(value.as_local(local));
        }
    }

    /// Measures a constant of this type. It becomes a field of the operator that uses it.
    pub(super) fn constant(&mut self, kind: Kind) {
        self.joined = Joined::Nothing;
        self.push(kind.constant);
    }

    /// Measures an operator that only computes, from [`I32_EQZ`] to [`I64_EXTEND32_S`].
    pub(super) fn numeric(&mut self, opcode: u8) {
        self.joined = Joined::Nothing;
        if self.dead {
            return self.push(Operand::SLOT);
        }
        let (binary, result) = numeric(opcode);
        match opcode {
            // No code, except to move a value between registers.
            I64_EXTEND_I32_U => return self.retype(Operand::WIDE8),
            REINTERPRET..=REINTERPRET_LAST if !self.top_in_register() => return,
            _ => {}
        }
        let (right, mut fields) = self.pop_fields();
        let mut constant = right.is_constant();
        let mut joined = Joined::Nothing;
        if binary {
            let (left, left_fields) = self.pop_fields();
            constant &= left.is_constant();
            fields = fields.saturating_add(left_fields);
            // wasmi joins a sum with the `local.set` after it, but not a value added to itself, which
            // it multiplies by 2.
            if matches!(opcode, I32_ADD | I64_ADD) && !constant && left != right {
                joined = Joined::Set(fields);
            }
        } else if matches!(opcode, I32_EQZ | I64_EQZ) {
            // Compared with a constant 0 of the operand's type.
            let zero = if opcode == I32_EQZ { 4 } else { 8 };
            fields = fields.saturating_add(zero);
        }
        if opcode <= LAST_COMPARISON {
            joined = Joined::Branch(fields);
        }
        self.result(result, constant);
        self.emit(fields);
        self.joined = joined;
    }

    /// Measures the four operators that rewriting inserts to invert the value on top twice.
    pub(super) fn inverted_twice(&mut self, kind: Kind) {
        for _ in 0..2 {
            self.constant(kind);
            self.numeric(I32_XOR);
        }
    }

    /// Measures an operator that may become a call of a function that is added: from one value to another, or on
    /// three values.
    pub(super) fn bulk_call(&mut self, grows: bool) {
        self.joined = Joined::Nothing;
        if self.dead {
            self.unseen = self.unseen.saturating_add(1);
            return;
        }
        self.keep_registers();
        self.pop_arguments(if grows { 1 } else { 3 });
        // The longest of the operators, should it stay one.
        self.emit(18);
        if grows {
            self.result(Kind::I32, false);
        }
    }

    /// Measures a common operator, which [`read`] has read, with its immediate.
    pub(super) fn common(&mut self, opcode: u8, immediate: u64, known: Known<'_>) {
        let index = u32::try_from(immediate).unwrap_or(u32::MAX);
        match opcode {
            LOCAL_GET..=LOCAL_TEE => return self.local(opcode, index),
            I32_CONST => return self.constant(Kind::I32),
            I32_EQZ..=I64_EXTEND32_S => return self.numeric(opcode),
            BLOCK..=IF => return self.block(opcode, block_type(immediate), known),
            _ => {}
        }
        let joined = mem::take(&mut self.joined);
        match opcode {
            ELSE => self.otherwise(),
            END => self.end(),
            _ if self.dead => {
                let results = match opcode {
                    CALL => known.callee(index).map_or(0, |ty| ty.results.len()),
                    _ => 1,
                };
                self.unseen(results);
            }
            UNREACHABLE => {
                self.emit(1);
                self.dead = true;
            }
            BR => self.branch(index),
            BR_IF => {
                self.branch_if(joined);
                let carried = self.target(index);
                if carried > 0 {
                    // wasmi jumps around the copies if the branch is not taken.
                    self.labels = self.labels.saturating_add(1);
                    self.copies(carried);
                    self.jump();
                }
            }
            RETURN => {
                let results = self.blocks.first().map_or(0, |block| block.results.into());
                self.leave(results);
                self.emit(0);
                self.dead = true;
            }
            CALL => {
                let ty = known.callee(index);
                self.arguments(ty);
                // The slot of the arguments, and the function: an index or an address, of equal size.
                self.emit(10);
                self.results(ty);
            }
            DROP => drop(self.pop()),
            SELECT => self.select(),
            GLOBAL_GET => {
                let (kind, mutable) = at(known.globals, index).copied().unwrap_or_default();
                self.result(kind, !mutable);
                self.emit(if cfg!(feature = "simd") { 8 } else { 4 });
            }
            GLOBAL_SET => {
                let (_, fields) = self.pop_fields();
                self.emit(fields.saturating_add(4));
            }
            I32_LOAD..=I64_LOAD32_U => {
                let kind = match opcode {
                    F32_LOAD => Kind::F32,
                    F64_LOAD => Kind::F64,
                    I32_LOAD | I32_LOAD8_S..=I32_LOAD16_U => Kind::I32,
                    _ => Kind::I64,
                };
                self.load(immediate, kind);
            }
            I32_STORE..=I64_STORE32 => {
                let (_, value) = self.pop_fields();
                let address = self.address(immediate);
                self.emit(address.saturating_add(value));
            }
            I64_CONST | F64_CONST => self.push(Operand::WIDE8),
            F32_CONST => self.push(Operand::WIDE4),
            // `nop`.
            _ => {}
        }
    }

    /// Measures `block`, `loop` or `if` of this type.
    pub(super) fn block(&mut self, opcode: u8, ty: BlockType, known: Known<'_>) {
        let joined = mem::take(&mut self.joined);
        let frame = match opcode {
            LOOP => Frame::Loop,
            IF => {
                if !self.dead {
                    self.branch_if(joined);
                    self.labels = self.labels.saturating_add(1);
                }
                Frame::If
            }
            _ => Frame::Block,
        };
        self.enter_block(frame, ty, known);
    }

    /// Measures an operator that is not common.
    pub(super) fn operator(&mut self, operator: &Operator<'_>, known: Known<'_>) {
        match operator {
            Operator::Block { blockty } => return self.block(BLOCK, *blockty, known),
            Operator::Loop { blockty } => return self.block(LOOP, *blockty, known),
            Operator::If { blockty } => return self.block(IF, *blockty, known),
            #[cfg(feature = "component")]
            Operator::Call { function_index } => {
                return self.common(CALL, (*function_index).into(), known);
            }
            _ => self.joined = Joined::Nothing,
        }
        match operator {
            Operator::CallIndirect { type_index, .. } if self.dead => {
                let ty = at(known.types, *type_index);
                self.unseen(ty.map_or(0, |ty| ty.results.len()));
            }
            _ if self.dead => self.unseen(1),
            Operator::BrTable { targets } => {
                let (_, _) = self.pop();
                // The index may have to be copied, to free its slot for a value.
                self.emit(4);
                let mut count = 1usize;
                let mut carried = self.target(targets.default());
                for target in targets.targets().flatten() {
                    carried = carried.max(self.target(target));
                    count = count.saturating_add(1);
                }
                self.leave(carried);
                self.emit(14);
                self.table(count);
                self.dead = true;
            }
            Operator::CallIndirect {
                type_index,
                table_index,
            } => {
                let ty = at(known.types, *type_index);
                let (index, _) = self.pop();
                if index.is_constant() {
                    self.copy(index);
                }
                self.arguments(ty);
                self.emit(if *table_index == 0 { 14 } else { 18 });
                self.results(ty);
            }
            Operator::TypedSelect { .. } => self.select(),
            Operator::MemorySize { .. } | Operator::TableSize { .. } => {
                self.result(Kind::I32, false);
                self.emit(4);
            }
            Operator::MemoryGrow { .. } => {
                self.pop_to_slots(1);
                self.result(Kind::I32, false);
                self.emit(6);
            }
            Operator::RefNull { .. } => self.push(Operand::WIDE4),
            Operator::RefIsNull => self.numeric(I32_EQZ),
            Operator::RefFunc { .. } => {
                self.result(Kind::I32, false);
                self.emit(4);
            }
            Operator::TableGet { .. } => {
                let (_, index) = self.pop_fields();
                self.result(Kind::I32, false);
                self.emit(index.saturating_add(4));
            }
            Operator::TableSet { .. } => {
                let (_, value) = self.pop_fields();
                let (_, index) = self.pop_fields();
                self.emit(value.saturating_add(index).saturating_add(4));
            }
            Operator::MemoryFill { .. } => self.bulk(14),
            Operator::MemoryCopy { .. } | Operator::TableFill { .. } => self.bulk(16),
            Operator::MemoryInit { .. } => self.bulk(18),
            Operator::TableCopy { .. } | Operator::TableInit { .. } => self.bulk(20),
            Operator::DataDrop { .. } | Operator::ElemDrop { .. } => self.emit(4),
            Operator::I32TruncSatF32S
            | Operator::I32TruncSatF32U
            | Operator::I32TruncSatF64S
            | Operator::I32TruncSatF64U => self.unary(Kind::I32),
            Operator::I64TruncSatF32S
            | Operator::I64TruncSatF32U
            | Operator::I64TruncSatF64S
            | Operator::I64TruncSatF64U => self.unary(Kind::I64),
            other => self.vector(other),
        }
    }

    /// Measures a `select`.
    fn select(&mut self) {
        let (_, condition) = self.pop_fields();
        let (second, second_fields) = self.pop_fields();
        let (first, first_fields) = self.pop_fields();
        for operand in [first, second] {
            if operand.bytes() > 8 {
                self.copy(operand);
            }
        }
        // The result's type, and so its register, follows from operands whose types are not kept here.
        self.keep_registers();
        self.emit(4);
        let fields = first_fields.saturating_add(second_fields);
        self.emit(fields.saturating_add(condition));
        let constant = first.is_constant() && second.is_constant();
        self.push(if constant {
            first.wider(second)
        } else {
            Operand::SLOT
        });
    }

    /// Counts the copies of a call's arguments to the slots where the callee finds them.
    fn arguments(&mut self, ty: Option<&Signature>) {
        self.keep_registers();
        self.pop_arguments(ty.map_or(0, |ty| ty.params.len()));
    }

    fn pop_arguments(&mut self, count: usize) {
        for _ in 0..count {
            let (argument, _) = self.pop();
            if argument != Operand::SLOT {
                self.copy(argument);
            }
        }
    }

    /// Pushes the results of a call.
    fn results(&mut self, ty: Option<&Signature>) {
        let results = ty.map_or(0, |ty| ty.results.len());
        (0..results).for_each(|_| self.push(Operand::SLOT));
    }

    /// Measures an operator with one operand and a result of this type.
    fn unary(&mut self, kind: Kind) {
        let (operand, fields) = self.pop_fields();
        self.result(kind, operand.is_constant());
        self.emit(fields);
    }

    /// Pops the address, and returns the bytes of its fields.
    fn address(&mut self, offset: u64) -> usize {
        let (address, fields) = self.pop_fields();
        if address.is_constant() {
            10
        } else if offset > 0xffff {
            fields.saturating_add(6)
        } else {
            fields.saturating_add(2)
        }
    }

    /// Measures a load of a value of this type.
    fn load(&mut self, offset: u64, kind: Kind) {
        let fields = self.address(offset);
        self.result(kind, false);
        self.emit(fields);
        if fields <= 6 && offset <= 0xffff {
            self.joined = Joined::Set(fields);
        }
    }

    /// Measures an operator on three values in stack slots.
    fn bulk(&mut self, fields: usize) {
        self.pop_to_slots(3);
        self.emit(fields);
    }

    /// Pops values that the next operator finds in stack slots.
    fn pop_to_slots(&mut self, count: usize) {
        for _ in 0..count {
            let (operand, in_register) = self.pop();
            if in_register || operand.is_constant() {
                self.copy(operand);
            }
        }
    }

    /// Ignores an operator that wasmi refuses.
    #[cfg(not(feature = "simd"))]
    fn vector(&mut self, _operator: &Operator<'_>) {}

    /// Follows the stack in code that wasmi validates, but does not translate: an operator with so many results.
    fn unseen(&mut self, results: usize) {
        self.unseen = self.unseen.saturating_add(results);
        self.deepest = self
            .deepest
            .max(self.stack.len().saturating_add(self.unseen));
    }

    /// Counts the operator that charges the fuel of a straight line of code.
    fn fuel(&mut self) {
        self.emit(8);
    }

    /// Counts an operator with so many bytes of fields.
    // Not inlined, here and where it says so: on devices, dozens of calls are shorter.
    #[inline(never)]
    fn emit(&mut self, fields: usize) {
        self.bytes.add(Bytes::operator(fields));
    }
}

/// Returns the bytes of heap by which `items` grow when they lack [`SPARE`] places.
pub(super) fn more<T>(items: &Vec<T>) -> usize {
    let places = items.capacity();
    if items.len().saturating_add(SPARE) > places {
        let doubled = places.max(SPARE).saturating_mul(2);
        return doubled.saturating_mul(size_of::<T>());
    }
    0
}

/// Returns the item of this index.
fn at<T>(items: &[T], index: u32) -> Option<&T> {
    items.get(usize::try_from(index).ok()?)
}
