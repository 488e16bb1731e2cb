//! Evaluates a program without WebAssembly.

use super::{Bits, COUNTERS, Expr, F32, I32, LOCALS, Program, Stmt};

impl Program {
    /// Returns what `run` should: the results and the globals after it, mixed.
    pub(crate) fn eval(&self, params: [Bits; 4]) -> Bits {
        let mut state = State {
            locals: [0; 4 * LOCALS + COUNTERS],
            globals: [0; 4],
            memory: vec![0; 2 << 16],
        };
        state.locals[..4].copy_from_slice(&params);
        let results = state.run(self);
        let mut mixed = 0u64;
        for value in results.iter().chain(&state.globals) {
            mixed = mixed.wrapping_mul(31).wrapping_add(*value);
        }
        mixed
    }
}

/// A branch or a return, with the values that it carries.
enum Leap {
    Label(usize, Vec<Bits>),
    Return(Vec<Bits>),
}

struct State {
    locals: [Bits; 4 * LOCALS + COUNTERS],
    globals: [Bits; 4],
    memory: Vec<u8>,
}

impl State {
    fn run(&mut self, program: &Program) -> Vec<Bits> {
        match self.body(&program.body, &program.last) {
            Ok(results) | Err(Leap::Return(results) | Leap::Label(_, results)) => results,
        }
    }

    fn body(&mut self, body: &[Stmt], last: &[Expr]) -> Result<Vec<Bits>, Leap> {
        self.stmts(body)?;
        self.exprs(last)
    }

    fn exprs(&mut self, exprs: &[Expr]) -> Result<Vec<Bits>, Leap> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    fn expr(&mut self, expr: &Expr) -> Result<Bits, Leap> {
        Ok(match expr {
            Expr::Const(_, bits) => *bits,
            Expr::Get(local) => self.locals[*local],
            Expr::Tee(local, value) => {
                self.locals[*local] = self.expr(value)?;
                self.locals[*local]
            }
            Expr::Global(ty) => self.globals[*ty as usize],
            Expr::Load(ty, offset, address) => {
                let at = self.place(address, *offset)?;
                let bytes = self.memory[at..at + 8].try_into().unwrap();
                let bits = u64::from_le_bytes(bytes);
                if matches!(ty, I32 | F32) {
                    bits & 0xffff_ffff
                } else {
                    bits
                }
            }
            Expr::Op(op, operands) => {
                let operands = self.exprs(operands)?;
                (op.eval)(operands[0], *operands.last().unwrap())
            }
            Expr::Select(_, _, operands) => {
                let operands = self.exprs(&operands[..])?;
                operands[usize::from(operands[2] == 0)]
            }
            Expr::Block(_, body, last) => enclosed(self.body(body, std::slice::from_ref(last)))?[0],
            Expr::If(_, exprs, [then, other]) => {
                let (body, last) = match self.expr(&exprs[0])? {
                    0 => (other, &exprs[2]),
                    _ => (then, &exprs[1]),
                };
                enclosed(self.body(body, std::slice::from_ref(last)))?[0]
            }
            Expr::Call(operands) => {
                let operands = self.exprs(operands)?;
                operands[0]
                    .wrapping_add(operands[1].wrapping_mul(3))
                    .wrapping_add(operands[2].wrapping_mul(5))
                    .wrapping_add(operands[3].wrapping_mul(7))
            }
        })
    }

    fn place(&mut self, address: &Expr, offset: u32) -> Result<usize, Leap> {
        Ok((self.expr(address)? & 248) as usize + offset as usize)
    }

    fn set(&mut self, locals: &[usize], values: &[Bits]) {
        // As the text has it: the last first.
        for (local, value) in locals.iter().zip(values).rev() {
            self.locals[*local] = *value;
        }
    }

    fn stmts(&mut self, stmts: &[Stmt]) -> Result<(), Leap> {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &Stmt) -> Result<(), Leap> {
        match stmt {
            Stmt::Set(local, value) => self.locals[*local] = self.expr(value)?,
            Stmt::SetGlobal(ty, value) => self.globals[*ty as usize] = self.expr(value)?,
            Stmt::Store(ty, offset, operands) => {
                let at = self.place(&operands[0], *offset)?;
                let bytes = self.expr(&operands[1])?.to_le_bytes();
                let size = if matches!(ty, I32 | F32) { 4 } else { 8 };
                self.memory[at..at + size].copy_from_slice(&bytes[..size]);
            }
            Stmt::Drop(value) => drop(self.expr(value)?),
            Stmt::Block(body) => drop(enclosed(self.body(body, &[]))?),
            Stmt::Loop(_, rounds, body) => {
                for _ in 0..*rounds {
                    enclosed(self.body(body, &[]))?;
                }
            }
            Stmt::If(condition, then, other) => {
                let body = if self.expr(condition)? == 0 {
                    other
                } else {
                    then
                };
                enclosed(self.body(body, &[]))?;
            }
            Stmt::Results(locals, body, last) => {
                let values = enclosed(self.body(body, last))?;
                self.set(locals, &values);
            }
            Stmt::Br(depth, carried) => return Err(Leap::Label(*depth, self.exprs(carried)?)),
            Stmt::BrIf(depth, carried, condition) => {
                let mut values = Vec::new();
                for (expr, _) in carried {
                    values.push(self.expr(expr)?);
                }
                if self.expr(condition)? != 0 {
                    return Err(Leap::Label(*depth, values));
                }
                let locals: Vec<_> = carried.iter().map(|(_, local)| *local).collect();
                self.set(&locals, &values);
            }
            Stmt::BrTable(depths, carried, index) => {
                let values = self.exprs(carried)?;
                let index = self.expr(index)? as usize;
                let depth = depths[index.min(depths.len() - 1)];
                return Err(Leap::Label(depth, values));
            }
            Stmt::Return(carried) => return Err(Leap::Return(self.exprs(carried)?)),
            Stmt::Several(value, locals) => {
                let value = self.expr(value)?;
                self.set(
                    locals,
                    &[value & 0xffff_ffff ^ 1, value >> 32, value.wrapping_mul(9)],
                );
            }
        }
        Ok(())
    }
}

/// Ends a block whose body ended so: a branch to it is its result.
fn enclosed(ended: Result<Vec<Bits>, Leap>) -> Result<Vec<Bits>, Leap> {
    match ended {
        Err(Leap::Label(0, values)) => Ok(values),
        Err(Leap::Label(depth, values)) => Err(Leap::Label(depth - 1, values)),
        other => other,
    }
}
