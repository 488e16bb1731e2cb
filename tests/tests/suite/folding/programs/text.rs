//! Writes a program as a module's text.

use super::{
    COUNTERS, Expr, F32, F64, I32, I64, LOCALS, Program, Stmt, TYPES, Ty, counter, local_ty,
};
use std::fmt::Write;

impl Program {
    /// Returns the text of a module whose `run` calls the program, and mixes its results and the
    /// globals after it to one number.
    pub(crate) fn text(&self) -> String {
        let mut body = String::new();
        for stmt in &self.body {
            write_stmt(&mut body, stmt);
        }
        for expr in &self.last {
            write_expr(&mut body, expr);
        }
        let mut results = String::new();
        let mut mixed = String::new();
        for (at, ty) in self.results.iter().enumerate() {
            write!(results, "{ty} ").unwrap();
            let as_i64 = as_i64(*ty);
            let keep = format!("{as_i64} local.set {} ", 4 + at);
            mixed.insert_str(0, &keep);
            write!(
                mixed,
                "local.get 20 i64.const 31 i64.mul local.get {} i64.add local.set 20 ",
                4 + at
            )
            .unwrap();
        }
        for ty in TYPES {
            let as_i64 = as_i64(ty);
            write!(
                mixed,
                "local.get 20 i64.const 31 i64.mul global.get ${ty} {as_i64} i64.add local.set 20 "
            )
            .unwrap();
        }
        let locals: String = TYPES
            .iter()
            .map(|ty| format!("{ty} ").repeat(LOCALS - 1))
            .collect();
        let counters = "i32 ".repeat(COUNTERS);
        format!(
            "(module (memory (export \"memory\") 2)
  (global $i32 (mut i32) (i32.const 0)) (global $i64 (mut i64) (i64.const 0))
  (global $f32 (mut f32) (f32.const 0)) (global $f64 (mut f64) (f64.const 0))
  (func $mix (param i32 i64 f32 f64) (result i64)
    local.get 0 i64.extend_i32_u local.get 1 i64.const 3 i64.mul i64.add
    local.get 2 i32.reinterpret_f32 i64.extend_i32_u i64.const 5 i64.mul i64.add
    local.get 3 i64.reinterpret_f64 i64.const 7 i64.mul i64.add)
  (func $several (param i64) (result i32 f32 i64)
    local.get 0 i32.wrap_i64 i32.const 1 i32.xor
    local.get 0 i64.const 32 i64.shr_u i32.wrap_i64 f32.reinterpret_i32
    local.get 0 i64.const 9 i64.mul)
  (func $program (param i32 i64 f32 f64) (result {results}) (local {locals} {counters})
    {body})
  (func (export \"run\") (param i32 i64 f32 f64) (result i64) (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    local.get 0 local.get 1 local.get 2 local.get 3 call $program
    {mixed} local.get 20))"
        )
    }
}

fn as_i64(ty: Ty) -> &'static str {
    match ty {
        I32 => "i64.extend_i32_u",
        I64 => "",
        F32 => "i32.reinterpret_f32 i64.extend_i32_u",
        F64 => "i64.reinterpret_f64",
    }
}

fn write_expr(out: &mut String, expr: &Expr) {
    match expr {
        Expr::Const(I32, bits) => write!(out, "i32.const {bits} "),
        Expr::Const(I64, bits) => write!(out, "i64.const {bits} "),
        Expr::Const(F32, bits) => write!(out, "i32.const {bits} f32.reinterpret_i32 "),
        Expr::Const(F64, bits) => write!(out, "i64.const {bits} f64.reinterpret_i64 "),
        Expr::Get(local) => write!(out, "local.get {local} "),
        Expr::Tee(local, value) => {
            write_expr(out, value);
            write!(out, "local.tee {local} ")
        }
        Expr::Global(ty) => write!(out, "global.get ${ty} "),
        Expr::Load(ty, offset, address) => {
            write_expr(out, address);
            write!(out, "i32.const 248 i32.and {ty}.load offset={offset} ")
        }
        Expr::Op(op, operands) => {
            operands.iter().for_each(|operand| write_expr(out, operand));
            write!(out, "{} ", op.name)
        }
        Expr::Select(ty, typed, operands) => {
            operands.iter().for_each(|operand| write_expr(out, operand));
            if *typed {
                write!(out, "select (result {ty}) ")
            } else {
                write!(out, "select ")
            }
        }
        Expr::Block(ty, body, last) => {
            write!(out, "block (result {ty}) ").unwrap();
            body.iter().for_each(|stmt| write_stmt(out, stmt));
            write_expr(out, last);
            writeln!(out, "end")
        }
        Expr::If(ty, exprs, [then, other]) => {
            write_expr(out, &exprs[0]);
            write!(out, "if (result {ty}) ").unwrap();
            then.iter().for_each(|stmt| write_stmt(out, stmt));
            write_expr(out, &exprs[1]);
            write!(out, "else ").unwrap();
            other.iter().for_each(|stmt| write_stmt(out, stmt));
            write_expr(out, &exprs[2]);
            writeln!(out, "end")
        }
        Expr::Call(operands) => {
            operands.iter().for_each(|operand| write_expr(out, operand));
            write!(out, "call $mix ")
        }
    }
    .unwrap();
}

fn write_stmt(out: &mut String, stmt: &Stmt) {
    match stmt {
        Stmt::Set(local, value) => {
            write_expr(out, value);
            writeln!(out, "local.set {local}")
        }
        Stmt::SetGlobal(ty, value) => {
            write_expr(out, value);
            writeln!(out, "global.set ${ty}")
        }
        Stmt::Store(ty, offset, operands) => {
            write_expr(out, &operands[0]);
            write!(out, "i32.const 248 i32.and ").unwrap();
            write_expr(out, &operands[1]);
            writeln!(out, "{ty}.store offset={offset}")
        }
        Stmt::Drop(value) => {
            write_expr(out, value);
            writeln!(out, "drop")
        }
        Stmt::Block(body) => {
            writeln!(out, "block").unwrap();
            body.iter().for_each(|stmt| write_stmt(out, stmt));
            writeln!(out, "end")
        }
        Stmt::Loop(number, rounds, body) => {
            let counter = counter(*number);
            writeln!(out, "i32.const {rounds} local.set {counter} loop").unwrap();
            body.iter().for_each(|stmt| write_stmt(out, stmt));
            writeln!(
                out,
                "local.get {counter} i32.const 1 i32.sub local.tee {counter} br_if 0 end"
            )
        }
        Stmt::If(condition, then, other) => {
            write_expr(out, condition);
            writeln!(out, "if").unwrap();
            then.iter().for_each(|stmt| write_stmt(out, stmt));
            if !other.is_empty() {
                writeln!(out, "else").unwrap();
                other.iter().for_each(|stmt| write_stmt(out, stmt));
            }
            writeln!(out, "end")
        }
        Stmt::Results(locals, body, last) => {
            write!(out, "block (result").unwrap();
            for local in locals {
                write!(out, " {}", local_ty(*local)).unwrap();
            }
            writeln!(out, ")").unwrap();
            body.iter().for_each(|stmt| write_stmt(out, stmt));
            last.iter().for_each(|expr| write_expr(out, expr));
            write!(out, "end").unwrap();
            for local in locals.iter().rev() {
                write!(out, " local.set {local}").unwrap();
            }
            writeln!(out)
        }
        Stmt::Br(depth, carried) => {
            carried.iter().for_each(|expr| write_expr(out, expr));
            writeln!(out, "br {depth}")
        }
        Stmt::BrIf(depth, carried, condition) => {
            carried.iter().for_each(|(expr, _)| write_expr(out, expr));
            write_expr(out, condition);
            write!(out, "br_if {depth}").unwrap();
            for (_, local) in carried.iter().rev() {
                write!(out, " local.set {local}").unwrap();
            }
            writeln!(out)
        }
        Stmt::BrTable(depths, carried, index) => {
            carried.iter().for_each(|expr| write_expr(out, expr));
            write_expr(out, index);
            write!(out, "br_table").unwrap();
            for depth in depths {
                write!(out, " {depth}").unwrap();
            }
            writeln!(out)
        }
        Stmt::Return(carried) => {
            carried.iter().for_each(|expr| write_expr(out, expr));
            writeln!(out, "return")
        }
        Stmt::Several(value, [first, second, third]) => {
            write_expr(out, value);
            writeln!(
                out,
                "call $several local.set {third} local.set {second} local.set {first}"
            )
        }
    }
    .unwrap();
}
