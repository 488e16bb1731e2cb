//! The values on the stack, and whether wasmi keeps them in slots, registers or locals.

use super::{
    Code,
    operand::{Kind, Operand},
};
use core::mem;

/// The most values on the stack; wasmi refuses a function with more.
const DEEPEST: usize = 0xffff;

/// The number of values on top that are searched for a local that is set.
const WINDOW: usize = 32;

impl Code {
    /// Pushes a value.
    pub(super) fn push(&mut self, operand: Operand) {
        if self.dead {
            self.unseen = self.unseen.saturating_add(1);
        } else if self.stack.len() < DEEPEST {
            self.stack.push(operand);
            self.unseen = 0;
        }
        let values = self.stack.len().saturating_add(self.unseen);
        self.deepest = self.deepest.max(values);
    }

    /// Pushes a result of this type, in its register if it has one.
    pub(super) fn result(&mut self, kind: Kind, constant: bool) {
        if let Some(register) = kind.register {
            self.keep_register(register as usize);
        }
        self.push(if constant || kind.register.is_none() {
            kind.constant
        } else {
            Operand::SLOT
        });
        if let Some(register) = kind.register
            && let Some(place) = self.registers.get_mut(register as usize)
        {
            *place = self.stack.len();
        }
    }

    /// Pops a value, and returns whether it was in a register.
    pub(super) fn pop(&mut self) -> (Operand, bool) {
        let height = self.blocks.last().map_or(0, |block| block.height);
        let in_register = self.top_in_register();
        if self.stack.len() <= usize::try_from(height).unwrap_or(0) {
            return (Operand::SLOT, false);
        }
        let operand = self.stack.pop().unwrap_or(Operand::SLOT);
        self.forget();
        (operand, in_register)
    }

    /// Pops a value, and returns its bytes as a field. A value in a register takes none.
    pub(super) fn pop_fields(&mut self) -> (Operand, usize) {
        let (operand, in_register) = self.pop();
        let fields = if in_register && operand == Operand::SLOT {
            0
        } else {
            operand.bytes()
        };
        (operand, fields)
    }

    /// Returns whether the value on top is in a register.
    pub(super) fn top_in_register(&self) -> bool {
        let top = self.stack.len();
        top > 0 && self.registers.contains(&top)
    }

    /// Makes a constant on top one of another type.
    pub(super) fn retype(&mut self, constant: Operand) {
        if let Some(top) = self.stack.last_mut()
            && top.is_constant()
        {
            *top = constant;
        }
    }

    /// Drops all values above this height.
    pub(super) fn truncate(&mut self, height: u32) {
        self.stack.truncate(usize::try_from(height).unwrap_or(0));
        self.unseen = 0;
        self.forget();
    }

    /// Forgets where values above the top were.
    #[inline(never)]
    fn forget(&mut self) {
        let top = self.stack.len();
        for place in &mut self.registers {
            if *place > top {
                *place = 0;
            }
        }
        self.settled = self.settled.min(top);
    }

    /// Counts a copy from a register in use to the value's slot.
    fn keep_register(&mut self, register: usize) {
        if let Some(place) = self.registers.get_mut(register)
            && mem::take(place) > 0
        {
            self.emit(4);
        }
    }

    /// Counts copies from all registers in use.
    pub(super) fn keep_registers(&mut self) {
        (0..3).for_each(|register| self.keep_register(register));
    }

    /// Counts copies to their slots of all values that stand for locals.
    pub(super) fn settle(&mut self) {
        self.settle_below(self.stack.len());
    }

    /// Counts those copies below a height.
    fn settle_below(&mut self, end: usize) {
        let mut copies = 0usize;
        for operand in self.stack.get_mut(self.settled..end).unwrap_or_default() {
            if operand.is_local() {
                *operand = operand.width();
                copies = copies.saturating_add(1);
            }
        }
        self.settled = self.settled.max(end);
        (0..copies).for_each(|_| self.emit(8));
    }

    /// Counts copies to their slots of the values that stand for a local about to be set. Far below the
    /// top, values of all locals count, so that none is searched twice and time stays linear.
    pub(super) fn keep_values_of(&mut self, local: Operand) {
        let near = self.stack.len().saturating_sub(WINDOW);
        if near > self.settled {
            self.settle_below(near);
        }
        let mut copies = 0usize;
        for operand in self.stack.get_mut(self.settled..).unwrap_or_default() {
            if operand.may_be(local) {
                *operand = operand.width();
                copies = copies.saturating_add(1);
            }
        }
        (0..copies).for_each(|_| self.emit(8));
    }

    /// Counts a copy of each of the values on top to the slots that a branch carries them to.
    pub(super) fn copies(&mut self, values: usize) {
        let from = self.stack.len().saturating_sub(values);
        for at in from..self.stack.len() {
            let operand = self.stack.get(at).copied();
            self.copy(operand.unwrap_or(Operand::SLOT));
        }
    }

    /// Counts a copy of a value.
    pub(super) fn copy(&mut self, operand: Operand) {
        self.emit(operand.bytes().saturating_add(4));
    }
}
