//! Splits what wasmi charges at once.
//!
//! wasmi charges fuel in groups: it opens one at a function's entry, a `loop`, an `if` and an `else`, and
//! charges all of it there, also what an exit skips. So what an exit may skip gets a group of its own: it
//! is put into a `loop` to which nothing branches back. That is done if
//!
//! * the code is [`LONG`] or has blocks, since each group costs wasmi an operator. In a loop whose exits all
//!   leave it, only the last round skips anything, but each round would pay for the group: then the code has
//!   to be [`LONG_ONCE`];
//! * no value is on the stack before it, since a block can't use the values below it.
//!
//! A group begins behind the last exit: what lies between two exits that are close to each other stays in the
//! group before it.
//!
//! A block's groups follow one another, so that they make its nesting deeper by one at most. A branch out
//! of a group counts it as one more block.

use super::{
    code::{SPARE, more, value_type},
    edits::{Change, Edits},
    rewrite::leb128_i64,
};
use crate::base::signature::ValType;
use alloc::vec::Vec;
use wasmparser::BlockType;

/// The number of operators from which on code that an exit may skip gets a group.
const LONG: u8 = 4;

/// The number for code that is skipped at most once while its loop runs.
const LONG_ONCE: u8 = 16;

/// The type of a block: below 0x80 the byte that it is written as, else the index of a type, plus 0x80.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Type(u16);

impl Type {
    pub(super) const EMPTY: Self = Self(0x40);

    /// Returns a block's type. `None` if a group can't have it.
    fn of(ty: BlockType) -> Option<Self> {
        match ty {
            BlockType::Empty => Some(Self::EMPTY),
            BlockType::Type(wasmparser::ValType::FUNCREF) => Self::value(ValType::FuncRef),
            BlockType::Type(wasmparser::ValType::EXTERNREF) => Self::value(ValType::ExternRef),
            BlockType::Type(wasmparser::ValType::Ref(_)) => None,
            BlockType::Type(ty) => Self::value(value_type(ty)),
            BlockType::FuncType(index) => Self::declared(usize::try_from(index).ok()?),
        }
    }

    /// Returns the type of a block with these results. `None` if only a declared type has them.
    pub(super) fn with(results: &[ValType]) -> Option<Self> {
        match results {
            [] => Some(Self::EMPTY),
            [result] => Self::value(*result),
            _ => None,
        }
    }

    /// Returns the declared type of this index. `None` if the index is too large.
    pub(super) fn declared(index: usize) -> Option<Self> {
        u16::try_from(index).ok()?.checked_add(0x80).map(Self)
    }

    fn value(ty: ValType) -> Option<Self> {
        encoded(ty).map(|byte| Self(byte.into()))
    }

    /// Writes it, as in a module.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self.0.checked_sub(0x80) {
            None => out.push(self.0.to_le_bytes()[0]),
            Some(index) => leb128_i64(out, index.into()),
        }
    }
}

/// Returns the byte that a type of values is written as.
pub(super) const fn encoded(ty: ValType) -> Option<u8> {
    Some(match ty {
        ValType::I32 => 0x7f,
        ValType::I64 => 0x7e,
        ValType::F32 => 0x7d,
        ValType::F64 => 0x7c,
        ValType::V128 => 0x7b,
        ValType::FuncRef => 0x70,
        ValType::ExternRef => 0x6f,
        ValType::OtherRef => return None,
    })
}

/// An enclosing block, or the function.
#[derive(Clone, Copy)]
struct Frame {
    /// The type that its last group has. `None` if it has no groups.
    ty: Option<Type>,
    /// The change that begins the group which is open in it.
    open: Option<usize>,
    /// How many groups are open outside of it.
    outside: u16,
    /// The innermost loop that it is in, or is, by its number from outside.
    within: Option<u32>,
    /// Whether an exit that skips what follows stays in that loop, or there is none.
    repeats: bool,
    /// Whether an exit may skip what follows, though it is charged.
    skippable: bool,
    /// Where a group may begin, behind the last exit.
    begin: Option<Begin>,
    /// Operators that may be skipped since the last group began.
    passed: u8,
    /// The outermost block that an exit leaves or begins again, by its number from outside.
    exit: u32,
    /// The outermost one that an exit leaves which stays in the innermost loop.
    stays: u32,
}

/// Where a group may begin.
#[derive(Clone, Copy)]
struct Begin {
    at: u32,
    /// The number of changes before it.
    changes: usize,
}

/// Follows the blocks of functions, one function after the other, and decides where groups begin and end.
pub(super) struct Groups {
    inner: Frame,
    outer: Vec<Frame>,
    /// How many groups are open.
    open: u16,
    /// Whether a group began outside of all blocks of the function.
    uses_type: bool,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            inner: Frame::new(None, 0, None),
            outer: Vec::new(),
            open: 0,
            uses_type: false,
        }
    }
}

impl Frame {
    const fn new(ty: Option<Type>, outside: u16, within: Option<u32>) -> Self {
        Self {
            ty,
            open: None,
            outside,
            within,
            repeats: false,
            skippable: false,
            begin: None,
            passed: 0,
            exit: u32::MAX,
            stays: u32::MAX,
        }
    }
}

impl Groups {
    /// Begins a function. Its groups have the type `ty`; it has none without a type.
    pub(super) fn begin(&mut self, ty: Option<Type>) {
        self.outer.clear();
        self.open = 0;
        self.uses_type = false;
        self.inner = Frame::new(ty, 0, None);
    }

    /// Returns whether a group began outside of all blocks of the function.
    pub(super) const fn uses_type(&self) -> bool {
        self.uses_type
    }

    /// Returns the bytes of heap that [`reserve`](Self::reserve) takes before the next operator.
    pub(super) fn wanted(&self) -> usize {
        more(&self.outer)
    }

    /// Makes room for the block of the next operator.
    pub(super) fn reserve(&mut self) {
        self.outer.reserve(SPARE);
    }

    /// Returns the number of groups that are open.
    pub(super) const fn open(&self) -> usize {
        self.open as usize
    }

    /// Returns whether an exit may skip the next operator, though it is charged.
    pub(super) const fn is_skippable(&self) -> bool {
        self.inner.skippable
    }

    /// Takes an operator that an exit may skip: where it begins, whether no value is on the stack before it, and
    /// whether it begins a block. Returns whether a group was begun.
    pub(super) fn pass(
        &mut self,
        at: u32,
        no_values: bool,
        begins_block: bool,
        edits: &mut Edits,
    ) -> bool {
        let inner = &mut self.inner;
        if inner.begin.is_none() && no_values && inner.ty.is_some() && self.open < u16::MAX {
            inner.begin = Some(Begin {
                at,
                changes: edits.len(),
            });
        }
        let long = if inner.repeats { LONG } else { LONG_ONCE };
        match inner.begin {
            Some(begin) if begins_block || inner.passed >= long => {
                self.split(begin, edits);
                true
            }
            _ => {
                inner.passed = inner.passed.saturating_add(1);
                false
            }
        }
    }

    /// Begins a group, and ends the one before it.
    fn split(&mut self, begin: Begin, edits: &mut Edits) {
        let inner = &mut self.inner;
        let Some(ty) = inner.ty else { return };
        let ends = if let Some(open) = inner.open {
            // It turned out not to be the last one.
            edits.begin_without_results(open);
            true
        } else {
            self.open = self.open.saturating_add(1);
            false
        };
        edits.insert(begin.changes, begin.at, Change::Begin { ends, ty });
        inner.open = Some(begin.changes);
        self.uses_type |= self.outer.is_empty();
        self.forget();
    }

    /// Enters a block, which may be a loop.
    pub(super) fn enter(&mut self, ty: BlockType, is_loop: bool) {
        self.outer.push(self.inner);
        let number = self.number();
        let within = is_loop.then_some(number).or(self.inner.within);
        self.inner = Frame::new(Type::of(ty), self.open, within);
    }

    /// Leaves the first part of an `if` for the second one.
    pub(super) fn otherwise(&mut self, at: u32, edits: &mut Edits) {
        self.close(at, edits);
        self.forget();
    }

    /// Leaves a block, at the `end` that begins here.
    pub(super) fn end(&mut self, at: u32, edits: &mut Edits) {
        self.close(at, edits);
        let left = self.inner;
        if let Some(outer) = self.outer.pop() {
            self.inner = outer;
            self.leave(left.exit);
            // Of the exits of a loop, only the outermost is known.
            self.leave(if left.within == outer.within {
                left.stays
            } else {
                left.exit.max(outer.within.unwrap_or(0))
            });
        }
    }

    /// Ends the group that is open in the innermost block.
    fn close(&mut self, at: u32, edits: &mut Edits) {
        if self.inner.open.take().is_some() {
            self.open = self.open.saturating_sub(1);
            edits.push(at, Change::End);
        }
    }

    /// Notes an exit to the block of this number, which skips what follows.
    fn leave(&mut self, exit: u32) {
        if exit <= self.number() {
            let inner = &mut self.inner;
            inner.skippable = true;
            inner.begin = None;
            inner.exit = inner.exit.min(exit);
            if inner.within.is_none_or(|innermost| exit >= innermost) {
                inner.repeats = true;
                inner.stays = inner.stays.min(exit);
            }
        }
    }

    /// Notes a `return`.
    pub(super) fn returns(&mut self) {
        self.leave(0);
    }

    /// Notes a branch to this depth. Returns how many blocks more it has to count.
    pub(super) fn branch(&mut self, depth: u32) -> u16 {
        self.leave(self.number().saturating_sub(depth));
        self.within(depth)
    }

    /// Forgets what may be skipped, since it is never reached.
    pub(super) const fn forget(&mut self) {
        let inner = &mut self.inner;
        (inner.skippable, inner.repeats) = (false, false);
        (inner.begin, inner.passed) = (None, 0);
    }

    /// Returns the depth that a branch to this one has once there are groups.
    pub(super) fn target(&self, depth: u32) -> u32 {
        depth.saturating_add(self.within(depth).into())
    }

    /// Returns the number of groups that are open within the block of this depth. A depth without a block
    /// has to stay one.
    fn within(&self, depth: u32) -> u16 {
        let frame = match self.number().checked_sub(depth) {
            _ if depth == 0 => Some(&self.inner),
            Some(number) => usize::try_from(number)
                .ok()
                .and_then(|at| self.outer.get(at)),
            None => None,
        };
        let outside = frame.map_or(0, |frame| frame.outside);
        self.open.saturating_sub(outside)
    }

    /// Returns the number of the innermost block, from outside.
    fn number(&self) -> u32 {
        u32::try_from(self.outer.len()).unwrap_or(u32::MAX)
    }
}
