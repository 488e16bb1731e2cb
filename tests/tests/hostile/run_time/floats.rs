//! R09: floating-point results that are not a number. Their bits must not differ from run to run.
//!
//! A row: where the result comes from, its type once its bits are an integer, the code.

use crate::case::{Case, returns};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    #[rustfmt::skip] // a table
    let rows = [
        ("zero by zero", "i32", "(i32.reinterpret_f32 (f32.div (f32.const 0) (local.get $f)))"),
        ("a signalling one",
            "i32", "(i32.reinterpret_f32 (f32.add (f32.const nan:0x200000) (local.get $f)))"),
        ("two of them",
            "i32",
            "(i32.reinterpret_f32 (f32.add (f32.const nan:0x200001) (f32.const -nan:0x300001)))"),
        ("a root", "i32", "(i32.reinterpret_f32 (f32.sqrt (f32.const -1)))"),
        ("a minimum", "i32", "(i32.reinterpret_f32 (f32.min (f32.const nan) (local.get $f)))"),
        ("a wide quotient",
            "i64",
            "(i64.reinterpret_f64 (f64.div (f64.const 0) (f64.promote_f32 (local.get $f))))"),
    ];
    for (what, ty, body) in rows {
        let text = format!(r#"(module (func (export "run") (result {ty}) (local $f f32) {body}))"#);
        let name = format!("R09/not a number, from {what}");
        cases.push(Case::script(name, text, returns("the same"), |setup| {
            let plugin = setup.plugin();
            let run = || plugin.instantiate(())?.call_values("run", &[]);
            let [first, second] = [(); 2].map(|()| run().expect("a result"));
            returns(if first == second {
                "the same"
            } else {
                "another"
            })
        }));
    }
    cases
}
