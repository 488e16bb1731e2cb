//! Blocks and branches.

use super::{
    Bytes, Code, Joined, Known, at,
    operand::{Kind, Operand, value_type},
};
use crate::base::signature::ValType;
use wasmparser::BlockType;

/// The most results of a block that are in registers.
const IN_REGISTERS: usize = 3;

/// The kinds of enclosing blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    Block,
    Loop,
    If,
    /// The second part of an `if`, and whether the first one reaches its end.
    Else(bool),
    /// Any block in code that wasmi does not translate.
    Dead,
}

/// An enclosing block, or the function.
pub(super) struct Enclosing {
    pub(super) frame: Frame,
    /// Whether any branch leads to its end.
    pub(super) branched: bool,
    /// The number of its results.
    pub(super) results: u16,
    /// The type of its result, if it has exactly one.
    pub(super) one: Option<Kind>,
    /// The number of values on the stack where it begins.
    pub(super) height: u32,
}

impl Code {
    /// Enters a block of type `ty`.
    pub(super) fn enter_block(&mut self, frame: Frame, ty: BlockType, known: Known<'_>) {
        if self.dead {
            return self.enter(Frame::Dead, &[]);
        }
        self.settle();
        self.keep_registers();
        match ty {
            BlockType::Type(ty) => self.enter(frame, &[value_type(ty)]),
            BlockType::FuncType(index) => {
                let ty = at(known.types, index);
                self.enter(frame, ty.map_or(&[], |ty| &ty.results));
            }
            BlockType::Empty => self.enter(frame, &[]),
        }
        if frame != Frame::Block {
            self.fuel();
        }
    }

    /// Returns whether no value of the innermost block is on the stack.
    pub(in crate::module) fn has_no_values(&self) -> bool {
        let block = self.blocks.last();
        block.is_some_and(|block| block.height as usize == self.stack.len())
    }

    /// Returns whether wasmi does not translate the code here, since it is never reached.
    pub(in crate::module) const fn is_dead(&self) -> bool {
        self.dead
    }

    /// Measures a `loop` around code, with no value on the stack, to which nothing branches back.
    pub(in crate::module) fn group(&mut self) {
        self.labels = self.labels.saturating_add(1);
        self.fuel();
    }

    /// Enters a block with these results, the function itself included.
    pub(super) fn enter(&mut self, frame: Frame, results: &[ValType]) {
        self.labels = self.labels.saturating_add(1);
        self.blocks.push(Enclosing {
            frame,
            branched: false,
            results: u16::try_from(results.len()).unwrap_or(u16::MAX),
            one: match results {
                [ty] => Some(Kind::of(*ty)),
                _ => None,
            },
            height: u32::try_from(self.stack.len()).unwrap_or(u32::MAX),
        });
    }

    /// Leaves the first part of an `if` for the second, at `else`.
    pub(super) fn otherwise(&mut self) {
        let Some(block) = self.blocks.last_mut() else {
            return;
        };
        if block.frame == Frame::Dead {
            return;
        }
        block.frame = Frame::Else(!self.dead);
        let (results, height) = (block.results.into(), block.height);
        if !self.dead {
            self.copies(results);
            self.jump();
        }
        self.fuel();
        self.truncate(height);
        self.dead = false;
    }

    /// Leaves a block, at `end`.
    pub(super) fn end(&mut self) {
        let Some(block) = self.blocks.pop() else {
            return;
        };
        let results = usize::from(block.results);
        let goes_on = match block.frame {
            Frame::Dead => return,
            Frame::Loop => return,
            Frame::Block => {
                if !block.branched {
                    if self.blocks.is_empty() && !self.dead {
                        self.leave(results);
                        self.emit(0);
                    }
                    return;
                }
                true
            }
            Frame::If => {
                if !self.dead && results > 0 {
                    self.copies(results);
                    self.jump();
                    self.fuel();
                }
                true
            }
            Frame::Else(first) => first || !self.dead || block.branched,
        };
        // A result may still be a constant, since wasmi sees if no branch leads here.
        let mut width = Operand::SLOT;
        if !self.dead {
            self.copies(results);
            let top = self.stack.iter().rev().take(results);
            width = top.fold(width, |width, operand| width.wider(*operand));
        }
        self.truncate(block.height);
        self.dead = !goes_on;
        if self.dead {
            return;
        }
        if let Some(kind) = block.one {
            self.result(kind, false);
            if let Some(top) = self.stack.last_mut() {
                *top = width;
            }
        } else {
            // The last ones are in registers, and each may have to be copied to its slot.
            for _ in 0..results.min(IN_REGISTERS) {
                self.emit(4);
            }
            (0..results).for_each(|_| self.push(width));
        }
        if self.blocks.is_empty() {
            self.leave(results);
            self.emit(0);
        }
    }

    /// Counts the copies of a return, or of a branch, with so many values.
    pub(super) fn leave(&mut self, values: usize) {
        if values > 1 {
            // A local that another value overwrites is copied twice.
            let top = self.stack.iter().rev().take(values);
            let locals = top.filter(|operand| operand.is_local()).count();
            (0..locals).for_each(|_| self.emit(8));
        }
        self.copies(values);
    }

    /// Counts a `br` to this depth.
    pub(super) fn branch(&mut self, depth: u32) {
        let carried = self.target(depth);
        self.leave(carried);
        self.jump();
        self.dead = true;
    }

    /// Notes a branch to this depth, and returns the number of values that it carries.
    pub(super) fn target(&mut self, depth: u32) -> usize {
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        let block = self.blocks.iter_mut().nth_back(depth);
        block.map_or(0, |block| {
            block.branched = true;
            block.carries()
        })
    }

    /// Counts an operator that jumps.
    pub(super) fn jump(&mut self) {
        self.emit(4);
        self.branches = self.branches.saturating_add(1);
    }

    /// Counts an operator that jumps if the value on top says so. A comparison before it is joined
    /// with it.
    pub(super) fn branch_if(&mut self, joined: Joined) {
        let (_, fields) = self.pop_fields();
        let fields = if let Joined::Branch(fields) = joined {
            self.bytes.take(Bytes::operator(fields));
            fields
        } else {
            fields.saturating_add(4)
        };
        self.emit(fields.saturating_add(4));
        self.branches = self.branches.saturating_add(1);
    }

    /// Counts the targets of a branch table.
    pub(super) fn table(&mut self, targets: usize) {
        let each = if cfg!(feature = "simd") { 8 } else { 4 };
        let bytes = targets.saturating_mul(each).saturating_add(8);
        self.bytes.add(Bytes {
            bits32: bytes,
            bits64: bytes,
        });
        self.branches = self.branches.saturating_add(targets);
        self.targets = self.targets.max(targets);
    }
}

impl Enclosing {
    /// Returns the number of values that a branch to it carries.
    pub(super) fn carries(&self) -> usize {
        if self.frame == Frame::Loop {
            0
        } else {
            self.results.into()
        }
    }
}
