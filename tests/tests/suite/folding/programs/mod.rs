//! Programs by chance: nested blocks, branches with values, locals that are set while their old value
//! is still on the stack. Each is a tree, which is written as text and evaluated here.

mod eval;
mod text;

use hostel_tests::Random;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ty {
    I32,
    I64,
    F32,
    F64,
}

use Ty::{F32, F64, I32, I64};

const TYPES: [Ty; 4] = [I32, I64, F32, F64];

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            I32 => "i32",
            I64 => "i64",
            F32 => "f32",
            F64 => "f64",
        })
    }
}

/// A value's bits; an i32's and an f32's are the lower ones.
type Bits = u64;

/// Locals of each type, one of each a parameter; then counters of loops.
const LOCALS: usize = 3;
const COUNTERS: usize = 4;

const fn local(ty: Ty, number: usize) -> usize {
    // The parameters come first.
    if number == 0 {
        ty as usize
    } else {
        4 + (ty as usize) * (LOCALS - 1) + number - 1
    }
}

const fn counter(depth: usize) -> usize {
    4 * LOCALS + depth
}

const fn local_ty(index: usize) -> Ty {
    TYPES[if index < 4 {
        index
    } else {
        (index - 4) / (LOCALS - 1)
    }]
}

/// An operator of one or two operands.
struct Op {
    name: &'static str,
    from: &'static [Ty],
    to: Ty,
    eval: fn(Bits, Bits) -> Bits,
}

const fn op(name: &'static str, from: &'static [Ty], to: Ty, eval: fn(Bits, Bits) -> Bits) -> Op {
    Op {
        name,
        from,
        to,
        eval,
    }
}

fn i32_of(bits: Bits) -> i32 {
    (bits & 0xffff_ffff) as u32 as i32
}

fn f32_of(bits: Bits) -> f32 {
    f32::from_bits((bits & 0xffff_ffff) as u32)
}

fn of_i32(value: i32) -> Bits {
    (value as u32).into()
}

const OPS: &[Op] = &[
    op("i32.eqz", &[I32], I32, |a, _| (a == 0).into()),
    op("i32.eq", &[I32, I32], I32, |a, b| (a == b).into()),
    op("i32.ne", &[I32, I32], I32, |a, b| (a != b).into()),
    op("i32.lt_s", &[I32, I32], I32, |a, b| {
        (i32_of(a) < i32_of(b)).into()
    }),
    op("i32.gt_u", &[I32, I32], I32, |a, b| (a > b).into()),
    op("i32.le_s", &[I32, I32], I32, |a, b| {
        (i32_of(a) <= i32_of(b)).into()
    }),
    op("i32.ge_u", &[I32, I32], I32, |a, b| (a >= b).into()),
    op("i32.add", &[I32, I32], I32, |a, b| {
        of_i32(i32_of(a).wrapping_add(i32_of(b)))
    }),
    op("i32.sub", &[I32, I32], I32, |a, b| {
        of_i32(i32_of(a).wrapping_sub(i32_of(b)))
    }),
    op("i32.mul", &[I32, I32], I32, |a, b| {
        of_i32(i32_of(a).wrapping_mul(i32_of(b)))
    }),
    op("i32.and", &[I32, I32], I32, |a, b| a & b),
    op("i32.or", &[I32, I32], I32, |a, b| a | b),
    op("i32.xor", &[I32, I32], I32, |a, b| a ^ b),
    op("i32.shl", &[I32, I32], I32, |a, b| {
        of_i32(i32_of(a).wrapping_shl(b as u32))
    }),
    op("i32.shr_s", &[I32, I32], I32, |a, b| {
        of_i32(i32_of(a).wrapping_shr(b as u32))
    }),
    op("i32.rotl", &[I32, I32], I32, |a, b| {
        (a as u32).rotate_left(b as u32 & 31).into()
    }),
    op("i32.clz", &[I32], I32, |a, _| {
        (a as u32).leading_zeros().into()
    }),
    op("i32.extend8_s", &[I32], I32, |a, _| {
        of_i32((a as u8 as i8).into())
    }),
    op("i32.wrap_i64", &[I64], I32, |a, _| a & 0xffff_ffff),
    op("i64.extend_i32_u", &[I32], I64, |a, _| a),
    op("i64.extend_i32_s", &[I32], I64, |a, _| {
        i64::from(i32_of(a)) as u64
    }),
    op("i64.eqz", &[I64], I32, |a, _| (a == 0).into()),
    op("i64.eq", &[I64, I64], I32, |a, b| (a == b).into()),
    op("i64.ne", &[I64, I64], I32, |a, b| (a != b).into()),
    op("i64.lt_u", &[I64, I64], I32, |a, b| (a < b).into()),
    op("i64.ge_s", &[I64, I64], I32, |a, b| {
        (a as i64 >= b as i64).into()
    }),
    op("i64.add", &[I64, I64], I64, u64::wrapping_add),
    op("i64.sub", &[I64, I64], I64, u64::wrapping_sub),
    op("i64.mul", &[I64, I64], I64, u64::wrapping_mul),
    op("i64.and", &[I64, I64], I64, |a, b| a & b),
    op("i64.or", &[I64, I64], I64, |a, b| a | b),
    op("i64.xor", &[I64, I64], I64, |a, b| a ^ b),
    op("i64.shr_u", &[I64, I64], I64, |a, b| {
        a.wrapping_shr(b as u32)
    }),
    op("i64.extend32_s", &[I64], I64, |a, _| {
        i64::from(i32_of(a)) as u64
    }),
    op("f32.eq", &[F32, F32], I32, |a, b| {
        (f32_of(a) == f32_of(b)).into()
    }),
    op("f32.lt", &[F32, F32], I32, |a, b| {
        (f32_of(a) < f32_of(b)).into()
    }),
    op("f32.ge", &[F32, F32], I32, |a, b| {
        (f32_of(a) >= f32_of(b)).into()
    }),
    op("f32.neg", &[F32], F32, |a, _| a ^ 1 << 31),
    op("f32.abs", &[F32], F32, |a, _| a & !(1 << 31)),
    op("f32.copysign", &[F32, F32], F32, |a, b| {
        a & !(1 << 31) | b & 1 << 31
    }),
    op("f32.reinterpret_i32", &[I32], F32, |a, _| a),
    op("i32.reinterpret_f32", &[F32], I32, |a, _| a),
    op("f32.convert_i32_s", &[I32], F32, |a, _| {
        (i32_of(a) as f32).to_bits().into()
    }),
    op("f64.ne", &[F64, F64], I32, |a, b| {
        (f64::from_bits(a) != f64::from_bits(b)).into()
    }),
    op("f64.gt", &[F64, F64], I32, |a, b| {
        (f64::from_bits(a) > f64::from_bits(b)).into()
    }),
    op("f64.le", &[F64, F64], I32, |a, b| {
        (f64::from_bits(a) <= f64::from_bits(b)).into()
    }),
    op("f64.neg", &[F64], F64, |a, _| a ^ 1 << 63),
    op("f64.abs", &[F64], F64, |a, _| a & !(1 << 63)),
    op("f64.copysign", &[F64, F64], F64, |a, b| {
        a & !(1 << 63) | b & 1 << 63
    }),
    op("f64.reinterpret_i64", &[I64], F64, |a, _| a),
    op("i64.reinterpret_f64", &[F64], I64, |a, _| a),
    op("f64.convert_i64_s", &[I64], F64, |a, _| {
        (a as i64 as f64).to_bits()
    }),
];

enum Expr {
    Const(Ty, Bits),
    Get(usize),
    Tee(usize, Box<Expr>),
    Global(Ty),
    Load(Ty, u32, Box<Expr>),
    Op(&'static Op, Vec<Expr>),
    Select(Ty, bool, Box<[Expr; 3]>),
    Block(Ty, Vec<Stmt>, Box<Expr>),
    If(Ty, Box<[Expr; 3]>, [Vec<Stmt>; 2]),
    /// The function that mixes its arguments to an i64.
    Call(Vec<Expr>),
}

enum Stmt {
    Set(usize, Expr),
    SetGlobal(Ty, Expr),
    Store(Ty, u32, Box<[Expr; 2]>),
    Drop(Expr),
    Block(Vec<Stmt>),
    /// So many rounds, counted in a local of its own.
    Loop(usize, u64, Vec<Stmt>),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    /// A block with these results, which locals take.
    Results(Vec<usize>, Vec<Stmt>, Vec<Expr>),
    Br(usize, Vec<Expr>),
    /// What it carries is set in locals if it is not taken.
    BrIf(usize, Vec<(Expr, usize)>, Expr),
    BrTable(Vec<usize>, Vec<Expr>, Expr),
    Return(Vec<Expr>),
    /// Calls a function of several results, each set in a local.
    Several(Expr, [usize; 3]),
}

pub(crate) struct Program {
    results: Vec<Ty>,
    body: Vec<Stmt>,
    last: Vec<Expr>,
}

/// What a branch to an enclosing block carries; nothing if it can't be branched to.
type Label = Option<Vec<Ty>>;

struct Maker<'r> {
    random: &'r mut Random,
    labels: Vec<Label>,
    results: Vec<Ty>,
    loops: usize,
    /// How many nodes may still come.
    left: usize,
}

impl Maker<'_> {
    fn chance(&mut self, one_in: usize) -> bool {
        self.random.below(one_in) == 0
    }

    fn spend(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    fn ty(&mut self) -> Ty {
        TYPES[[0, 0, 0, 1, 1, 2, 3][self.random.below(7)]]
    }

    fn local(&mut self, ty: Ty) -> usize {
        local(ty, self.random.below(LOCALS))
    }

    fn constant(&mut self, ty: Ty) -> Expr {
        let bits = match ty {
            I32 => [0, 0, 0, 1, 2, 0xffff_ffff, 0x8000_0000, 7][self.random.below(8)],
            I64 => [0, 0, 0, 1, u64::MAX, 1 << 63, 1 << 32, 0xffff_ffff][self.random.below(8)],
            F32 => [0f32, -0.0, 1.0, -1.5, f32::INFINITY, f32::NAN][self.random.below(6)]
                .to_bits()
                .into(),
            F64 => [0f64, -0.0, 1.0, -1.5, f64::INFINITY, f64::NAN][self.random.below(6)].to_bits(),
        };
        Expr::Const(ty, bits)
    }

    fn expr(&mut self, ty: Ty) -> Expr {
        if self.spend() {
            return if self.chance(2) {
                self.constant(ty)
            } else {
                Expr::Get(self.local(ty))
            };
        }
        match self.random.below(22) {
            0..=1 => self.constant(ty),
            2..=5 => Expr::Get(self.local(ty)),
            6..=7 => Expr::Tee(self.local(ty), Box::new(self.expr(ty))),
            8 => Expr::Global(ty),
            9 => {
                let offset = [0, 8, 65_536][self.random.below(3)];
                Expr::Load(ty, offset, Box::new(self.expr(I32)))
            }
            10 => {
                let typed = self.chance(2);
                let (yes, no) = (self.expr(ty), self.expr(ty));
                Expr::Select(ty, typed, Box::new([yes, no, self.expr(I32)]))
            }
            11 => {
                self.labels.push(Some(vec![ty]));
                let body = self.stmts();
                let last = self.expr(ty);
                self.labels.pop();
                Expr::Block(ty, body, Box::new(last))
            }
            12 => {
                let condition = self.expr(I32);
                self.labels.push(Some(vec![ty]));
                let (then, yes) = (self.stmts(), self.expr(ty));
                let (other, no) = (self.stmts(), self.expr(ty));
                self.labels.pop();
                Expr::If(ty, Box::new([condition, yes, no]), [then, other])
            }
            13 if ty == I64 => Expr::Call(TYPES.map(|ty| self.expr(ty)).into()),
            _ => {
                let fit: Vec<_> = OPS.iter().filter(|op| op.to == ty).collect();
                let op = fit[self.random.below(fit.len())];
                Expr::Op(op, op.from.iter().map(|&ty| self.expr(ty)).collect())
            }
        }
    }

    fn stmts(&mut self) -> Vec<Stmt> {
        let count = self.random.below(4);
        (0..count).map(|_| self.stmt()).collect()
    }

    fn several(&mut self, types: &[Ty]) -> Vec<Expr> {
        types.iter().map(|&ty| self.expr(ty)).collect()
    }

    /// A label that can be branched to, as its depth and what it carries.
    fn label(&mut self) -> Option<(usize, Vec<Ty>)> {
        let depth = self.random.below(self.labels.len());
        let at = self.labels.len() - 1 - depth;
        Some((depth, self.labels[at].clone()?))
    }

    fn stmt(&mut self) -> Stmt {
        let ty = self.ty();
        if self.spend() {
            return Stmt::Set(self.local(ty), self.constant(ty));
        }
        match self.random.below(20) {
            0 => Stmt::SetGlobal(ty, self.expr(ty)),
            1..=2 => {
                let offset = [0, 8, 65_536][self.random.below(3)];
                Stmt::Store(ty, offset, Box::new([self.expr(I32), self.expr(ty)]))
            }
            3 => Stmt::Drop(self.expr(ty)),
            4 => {
                self.labels.push(Some(Vec::new()));
                let body = self.stmts();
                self.labels.pop();
                Stmt::Block(body)
            }
            5 if self.loops < COUNTERS - 1 => {
                let number = self.loops;
                self.loops += 1;
                self.labels.push(None);
                let rounds = 1 + self.random.below(3) as u64;
                let body = self.stmts();
                self.labels.pop();
                self.loops -= 1;
                Stmt::Loop(number, rounds, body)
            }
            6 => {
                let condition = self.expr(I32);
                self.labels.push(Some(Vec::new()));
                let (then, other) = (self.stmts(), self.stmts());
                self.labels.pop();
                Stmt::If(condition, then, other)
            }
            7..=8 => {
                let count = 1 + self.random.below(4);
                let types: Vec<_> = (0..count).map(|_| self.ty()).collect();
                let locals = types.iter().map(|&ty| self.local(ty)).collect();
                self.labels.push(Some(types.clone()));
                let body = self.stmts();
                let last = self.several(&types);
                self.labels.pop();
                Stmt::Results(locals, body, last)
            }
            9 => match self.label() {
                Some((depth, types)) => Stmt::Br(depth, self.several(&types)),
                None => Stmt::Drop(self.expr(ty)),
            },
            10..=12 => match self.label() {
                Some((depth, types)) => {
                    let carried = types
                        .iter()
                        .map(|&ty| (self.expr(ty), self.local(ty)))
                        .collect();
                    Stmt::BrIf(depth, carried, self.expr(I32))
                }
                None => Stmt::Drop(self.expr(ty)),
            },
            13 => match self.label() {
                Some((depth, types)) if types.len() < 2 => {
                    let mut depths = vec![depth];
                    for _ in 0..3 {
                        if let Some((depth, other)) = self.label()
                            && other == types
                        {
                            depths.push(depth);
                        }
                    }
                    Stmt::BrTable(depths, self.several(&types), self.expr(I32))
                }
                _ => Stmt::Drop(self.expr(ty)),
            },
            14 => Stmt::Return(self.several(&self.results.clone())),
            15 => {
                let locals = [self.local(I32), self.local(F32), self.local(I64)];
                Stmt::Several(self.expr(I64), locals)
            }
            _ => Stmt::Set(self.local(ty), self.expr(ty)),
        }
    }
}

impl Program {
    pub(crate) fn by_chance(random: &mut Random) -> Self {
        let left = 10 + random.below(120);
        let mut maker = Maker {
            random,
            labels: Vec::new(),
            results: Vec::new(),
            loops: 0,
            left,
        };
        let count = 1 + maker.random.below(5);
        maker.results = (0..count).map(|_| maker.ty()).collect();
        let results = maker.results.clone();
        maker.labels.push(Some(results.clone()));
        let mut body = maker.stmts();
        body.extend(maker.stmts());
        let last = maker.several(&results);
        Self {
            results,
            body,
            last,
        }
    }
}
