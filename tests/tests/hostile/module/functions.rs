//! M06, M07: functions with many parameters, results or locals, and long bodies.
//!
//! A row: what the function has, how many of it, the verdict.

use super::encode::{
    CODE, EXPORT, FUNCTION, I32, I64, TYPE, body, code_of, empty_code, encode_name, entries,
    export_run, function_type, leb, module, one_function, one_of_type_0, one_type, repeated,
    section,
};
use crate::case::{Case, Source, loads, out_of_fuel, refused};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    signatures(&mut cases);
    locals(&mut cases);
    bodies(&mut cases);
    cases
}

/// M06: function types. Each call would copy all their values.
fn signatures(cases: &mut Vec<Case>) {
    for (what, params, results, verdict) in [
        ("65 parameters", 65, 0, refused("over-limit params")),
        ("1,000 parameters", 1_000, 0, refused("over-limit params")),
        ("1,001 parameters", 1_001, 0, refused("invalid-module")),
        ("9 results", 0, 9, refused("over-limit results")),
        ("1,000 results", 0, 1_000, refused("over-limit results")),
        ("1,001 results", 0, 1_001, refused("invalid-module")),
        ("1,000 of both", 1_000, 1_000, refused("over-limit params")),
        ("64 parameters and 8 results", 64, 8, loads()),
    ] {
        let made = Source::made(move || {
            // The exported function has no values. No function has the type that is judged.
            let types = [
                &[2, 0x60, 0, 0][..],
                &function_type(&vec![I64; params], &vec![I32; results]),
            ];
            let types = section(TYPE, &types.concat());
            module(&[types, one_of_type_0(), export_run(), empty_code()])
        });
        cases.push(Case::load(format!("M06/type of {what}"), made, verdict));
    }
    let wide = Source::made(|| {
        let ty = function_type(&[I64; 64], &[I32; 8]);
        let types = [leb(10_000), [0x60, 0, 0].to_vec(), ty.repeat(9_999)].concat();
        let types = section(TYPE, &types);
        module(&[types, one_of_type_0(), export_run(), empty_code()])
    });
    let name = "M06/9,999 types of 64 parameters and 8 results";
    cases.push(Case::load(name, wide, loads()));
    let exported = Source::made(|| {
        let exports = entries(EXPORT, 1_000, |at| {
            [encode_name(at.to_string().as_bytes()), vec![0, 0]].concat()
        });
        let code = code_of(&body(&[0], &[0]));
        module(&[one_type(&[I64; 64], &[]), one_of_type_0(), exports, code])
    });
    let name = "M06/1,000 exports of 64 parameters";
    cases.push(Case::load(name, exported, loads()));
}

/// M07: locals. Each call sets them to zero, for which wasmi charges no fuel.
fn locals(cases: &mut Vec<Case>) {
    let one = |groups: &[(u64, u8)]| {
        let mut locals = leb(groups.len() as u64);
        for (count, ty) in groups {
            locals.extend(leb(*count));
            locals.push(*ty);
        }
        one_function(&[], &[], &locals, &[])
    };
    let most = u64::from(u32::MAX);
    #[rustfmt::skip] // a table
    let rows = [
        // The groups of locals: how many, of which type.
        ("2,001 locals", vec![(2_001, I64)], refused("over-limit locals")),
        ("2,001 locals of 2,001 groups", vec![(1, I64); 2_001], refused("over-limit locals")),
        ("30,000 locals (W8)", vec![(30_000, I64)], refused("over-limit locals")),
        ("50,000 locals", vec![(50_000, I32)], refused("over-limit locals")),
        ("50,001 locals", vec![(50_001, I32)], refused("over-limit locals")),
        ("4294967295 locals", vec![(most, I32)], refused("over-limit locals")),
        ("locals whose sum passes 32 bits",
            vec![(most, I32), (most, I64)], refused("over-limit locals")),
        ("locals whose sum wraps to 1", vec![(most, I32), (2, I64)], refused("over-limit locals")),
        ("2,000 locals of one group", vec![(2_000, I64)], loads()),
        ("2,000 groups of no locals", vec![(0, I64); 2_000], loads()),
    ];
    for (what, groups, verdict) in rows {
        cases.push(Case::load(format!("M07/{what}"), one(&groups), verdict));
    }
    let many = "i64 ".repeat(2_000);
    let loop_of_calls = format!(
        r#"(module (func $callee (local {many}))
            (func (export "run") (loop $on (call $callee) (br $on))))"#
    );
    let name = "M07/2,000 locals, called in a loop (W8)";
    cases.push(Case::run_export(name, loop_of_calls, out_of_fuel()));
    let in_each = Source::made(|| {
        let body = body(&[1, 0xd0, 0x0f, I64], &[]);
        module(&[
            one_type(&[], &[]),
            repeated(FUNCTION, 1_000, &[0]),
            export_run(),
            repeated(CODE, 1_000, &body),
        ])
    });
    let name = "M07/2,000 locals in each of 1,000 functions";
    cases.push(Case::load(name, in_each, loads()));
}

/// M07: bodies that are long, or whose values need many constants or much stack.
fn bodies(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("of 1 MiB and a byte", (1 << 20) + 1, refused("over-limit function_bytes")),
        ("of 9 MB", 9_000_000, refused("over-limit function_bytes")),
        ("of 1 MiB", 1 << 20, loads()),
    ];
    for (what, size, verdict) in rows {
        let made = Source::made(move || one_function(&[], &[], &[0], &vec![0x01; size - 2]));
        cases.push(Case::load(format!("M07/body {what}"), made, verdict));
    }
    let constants = Source::made(|| one_function(&[], &[], &[0], &[0x41, 1, 0x1a].repeat(300_000)));
    let name = "M07/body of 300,000 constants";
    cases.push(Case::load(name, constants, loads()));
    let long_constants = Source::made(|| {
        // Different numbers of 64 bits: wasmi stores each of them once more beside the code.
        let code = (0..100_000u64).flat_map(|at| {
            let value = leb(0x4000_0000_0000 + at);
            [&[0x42][..], &value, &[0x1a]].concat()
        });
        one_function(&[], &[], &[0], &code.collect::<Vec<_>>())
    });
    let name = "M07/body of 100,000 different constants";
    cases.push(Case::load(name, long_constants, loads()));
    for (what, values, verdict) in [
        ("20,000", 20_000, loads()),
        // It is wasmi that refuses so many.
        ("300,000", 300_000, refused("refused")),
    ] {
        let made = Source::made(move || {
            let code = [[0x41, 1].repeat(values), vec![0x1a; values]].concat();
            one_function(&[], &[], &[0], &code)
        });
        let name = format!("M07/{what} values on the stack");
        cases.push(Case::load(name, made, verdict));
    }
    let called = Source::made(|| {
        // A loop of calls of itself.
        let params = [0x20, 0].repeat(64);
        let code = [&[0x03, 0x40][..], &params, &[0x10, 0, 0x0b]].concat();
        let code = code_of(&body(&[0], &code));
        module(&[
            one_type(&[I64; 64], &[]),
            one_of_type_0(),
            export_run(),
            code,
        ])
    });
    cases.push(Case::load("M07/64 parameters handed on", called, loads()));
}
