//! M18: proposals to WebAssembly that are switched off.
//!
//! A row: the feature, the items of a module that uses it.

use super::encode::one_function;
use super::with_run;
use crate::case::{Case, refused};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    #[rustfmt::skip] // a table
    let rows = [
        ("relaxed vectors",
            "(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))"),
        ("tail calls", "(func $f (return_call $f))"),
        ("indirect tail calls", "(table 1 funcref) (func (return_call_indirect (i32.const 0)))"),
        ("structs", "(type (struct))"),
        ("arrays", "(type (array i8))"),
        ("31-bit references", "(func (drop (ref.i31 (i32.const 0))))"),
        ("subtypes", "(type (sub (func)))"),
        ("typed references", "(func (param (ref func)))"),
        ("calls of references",
            "(type $t (func)) (func (param (ref null $t)) (call_ref $t (local.get 0)))"),
        ("any references", "(func (param anyref))"),
        ("exception tags", "(tag)"),
        ("throwing", "(tag $t) (func (throw $t))"),
        ("catching", "(func (try_table (catch_all 0)))"),
        ("atomic fences", "(func (atomic.fence))"),
        ("atomic loads", "(memory 1 1 shared) (func (drop (i32.atomic.load (i32.const 0))))"),
        ("memory of 64 bits", "(memory i64 1)"),
        ("several memories", "(memory 1) (memory 1)"),
        ("wide arithmetic",
            "(func (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))
               (drop) (drop))"),
        ("continuations", "(type $f (func)) (type (cont $f))"),
        ("memory discarding", "(memory 1) (func (memory.discard (i32.const 0) (i32.const 0)))"),
        ("tables with a first value", "(table 1 (ref null func) (ref.null func))"),
    ];
    for (what, items) in rows {
        let name = format!("M18/{what}");
        cases.push(Case::load(name, with_run(items), refused("needs-proposal")));
    }
    // Exceptions as they were proposed first.
    let catching = one_function(&[], &[], &[0], &[0x06, 0x40, 0x19, 0x0b]);
    let name = "M18/old catching";
    cases.push(Case::load(name, catching, refused("needs-proposal")));
    // Part of the standard, but wasmi 2.0.0 may loop for ever in it.
    let grows =
        with_run("(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))");
    let name = "M18/growing tables";
    cases.push(Case::load(name, grows, refused("unsupported")));
    cases
}
