//! The values on the stack, and where wasmi has them.

use super::{
    Code,
    operand::{Kind, Operand},
};
use core::mem;

/// Most values on the stack: wasmi refuses more in a function.
const DEEPEST: usize = 0xffff;

/// How many values are looked at for one that a local must be kept for.
const WINDOW: usize = 32;

impl Code {
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

    /// Pushes a result of this type, which is in a register if there is one.
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

    /// The value on top, taken, and whether it was in a register.
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

    /// The value on top, taken, and its bytes as a field.
    pub(super) fn pop_fields(&mut self) -> (Operand, usize) {
        let (operand, in_register) = self.pop();
        let fields = if in_register && operand == Operand::SLOT {
            0
        } else {
            operand.bytes()
        };
        (operand, fields)
    }

    pub(super) fn top_in_register(&self) -> bool {
        let top = self.stack.len();
        top > 0 && self.registers.contains(&top)
    }

    pub(super) fn retype(&mut self, constant: Operand) {
        if let Some(top) = self.stack.last_mut()
            && top.is_constant()
        {
            *top = constant;
        }
    }

    pub(super) fn truncate(&mut self, height: u32) {
        self.stack.truncate(usize::try_from(height).unwrap_or(0));
        self.unseen = 0;
        self.forget();
    }

    /// Forgets what was known of values that are no longer there.
    fn forget(&mut self) {
        let top = self.stack.len();
        for place in &mut self.registers {
            if *place > top {
                *place = 0;
            }
        }
        self.settled = self.settled.min(top);
    }

    /// Copies what is in a register to its slot.
    fn keep_register(&mut self, register: usize) {
        if let Some(place) = self.registers.get_mut(register)
            && mem::take(place) > 0
        {
            self.emit(4);
        }
    }

    pub(super) fn keep_registers(&mut self) {
        (0..3).for_each(|register| self.keep_register(register));
    }

    /// Copies all values that stand for a local to their slots.
    pub(super) fn settle(&mut self) {
        self.settle_below(self.stack.len());
    }

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

    /// Copies the values that stand for a local, which is about to be set, to their slots. Of those
    /// far below the top, all do, so that they are not looked at again and again.
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

    /// Copies each of the values on top to where a branch wants it.
    pub(super) fn copies(&mut self, values: usize) {
        let from = self.stack.len().saturating_sub(values);
        for at in from..self.stack.len() {
            let operand = self.stack.get(at).copied();
            self.copy(operand.unwrap_or(Operand::SLOT));
        }
    }

    pub(super) fn copy(&mut self, operand: Operand) {
        self.emit(operand.bytes().saturating_add(4));
    }
}
