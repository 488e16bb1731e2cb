//! M05-M07: a great many of something.

use crate::{
    bytes::{
        I32, I64, around, body, code, entries, export_run, function_type, functions, leb, module,
        name, one_function, one_type, repeated, section,
    },
    case::{Act, Case, Source, clean, load, refused, spent},
};
use hostel::Limits;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    many(&mut cases);
    at_the_limits(&mut cases);
    signatures(&mut cases);
    locals(&mut cases);
    cases
}

// M05

fn types(count: usize) -> Source {
    Source::made(move || module(&[repeated(1, count, &[0x60, 0, 0])]))
}

fn globals(count: usize) -> Source {
    Source::made(move || {
        let globals = repeated(6, count, &[I64, 0, 0x42, 0, 0x0b]);
        around(vec![], vec![globals], vec![code()])
    })
}

fn exports(count: usize, size: usize) -> Source {
    Source::made(move || {
        let exports = entries(7, count, |at| {
            [name(format!("{at:0size$}").as_bytes()), vec![0, 0]].concat()
        });
        module(&[one_type(&[], &[]), section(3, &[1, 0]), exports, code()])
    })
}

fn imports(count: usize) -> Source {
    Source::made(move || {
        around(
            vec![repeated(2, count, b"\x04host\x04noop\x00\x00")],
            vec![],
            vec![code()],
        )
    })
}

fn many(cases: &mut Vec<Case>) {
    for (name, module, code) in [
        ("M05/1,000,000 types", types(1_000_000), "over-limit types"),
        ("M05/10,001 types", types(10_001), "over-limit types"),
        (
            "M05/1,000,000 functions",
            functions(1_000_000, &[0]),
            "over-limit functions",
        ),
        (
            "M05/50,001 functions",
            functions(50_001, &[0]),
            "over-limit functions",
        ),
        (
            "M05/100,000 globals",
            globals(100_000),
            "over-limit globals",
        ),
        ("M05/10,001 globals", globals(10_001), "over-limit globals"),
        (
            "M05/100,000 exports",
            exports(100_000, 1),
            "over-limit exports",
        ),
        (
            "M05/1,000,000 exports",
            exports(1_000_000, 1),
            "over-limit exports",
        ),
        ("M05/1,001 exports", exports(1_001, 1), "over-limit exports"),
        (
            "M05/1,000,000 imports",
            imports(1_000_000),
            "over-limit imports",
        ),
        ("M05/1,001 imports", imports(1_001), "over-limit imports"),
    ] {
        load(cases, name, module, code);
    }
    let no_code = Source::made(|| module(&[one_type(&[], &[]), repeated(3, 1_000_000, &[0])]));
    load(
        cases,
        "M05/1,000,000 functions without code (W7)",
        no_code,
        "over-limit functions",
    );
    // A recursive group counts as one entry of the section.
    let group = Source::made(|| {
        let types = [&[0x4e][..], &leb(100_000), &[0x60, 0, 0].repeat(100_000)].concat();
        module(&[section(1, &[&[1][..], &types].concat())])
    });
    load(
        cases,
        "M05/100,000 types in one group",
        group,
        "invalid-module",
    );
    let device = |name: &str, module: Source, cap: &str| {
        let case = Case::new(
            name,
            module,
            Act::Load,
            refused(&format!("over-limit {cap}")),
        );
        case.limits(|limits| *limits = Limits::device(256 << 10))
    };
    cases.extend([
        device("M05/201 types for a device", types(201), "types"),
        device(
            "M05/1,001 functions for a device",
            functions(1_001, &[0]),
            "functions",
        ),
        device("M05/101 globals for a device", globals(101), "globals"),
        device("M05/65 exports for a device", exports(65, 1), "exports"),
        device("M05/65 imports for a device", imports(65), "imports"),
    ]);
}

fn at_the_limits(cases: &mut Vec<Case>) {
    let with_types = Source::made(|| {
        let types = repeated(1, 10_000, &[0x60, 0, 0]);
        module(&[types, section(3, &[1, 0]), export_run(), code()])
    });
    for (what, module) in [
        ("10,000 types", with_types),
        ("10,000 globals", globals(10_000)),
        ("1,000 exports of 1,024 bytes", exports(1_000, 1_024)),
        ("1,000 imports", imports(1_000)),
    ] {
        let name = format!("M05/{what} are allowed");
        // Each is charged for when an instance is made.
        let case = Case::new(name, module, Act::Start, clean("started"));
        cases.push(case.fuel(500_000));
    }
}

// M06

fn signatures(cases: &mut Vec<Case>) {
    for (what, params, results, code) in [
        ("65 parameters", 65, 0, "over-limit params"),
        ("1,000 parameters", 1_000, 0, "over-limit params"),
        ("1,001 parameters", 1_001, 0, "invalid-module"),
        ("9 results", 0, 9, "over-limit results"),
        ("1,000 results", 0, 1_000, "over-limit results"),
        ("1,001 results", 0, 1_001, "invalid-module"),
        ("1,000 of both", 1_000, 1_000, "over-limit params"),
        ("64 parameters and 8 results", 64, 8, "loaded"),
    ] {
        let made = Source::made(move || {
            // The function that is exported has no values; the other type is nobody's.
            let types = [
                &[2, 0x60, 0, 0][..],
                &function_type(&vec![I64; params], &vec![I32; results]),
            ];
            module(&[
                section(1, &types.concat()),
                section(3, &[1, 0]),
                export_run(),
                section(10, &[&[1][..], &body(&[0], &[])].concat()),
            ])
        });
        load(cases, format!("M06/type of {what}"), made, code);
    }
    let wide = Source::made(|| {
        let ty = function_type(&[I64; 64], &[I32; 8]);
        let types = [leb(10_001 - 1), [0x60, 0, 0].to_vec(), ty.repeat(9_999)].concat();
        module(&[
            section(1, &types),
            section(3, &[1, 0]),
            export_run(),
            code(),
        ])
    });
    load(
        cases,
        "M06/9,999 types of 64 parameters and 8 results",
        wide,
        "loaded",
    );
    let exported = Source::made(|| {
        let body = body(&[0], &[0]);
        module(&[
            one_type(&[I64; 64], &[]),
            section(3, &[1, 0]),
            entries(7, 1_000, |at| {
                [name(at.to_string().as_bytes()), vec![0, 0]].concat()
            }),
            section(10, &[&[1][..], &body].concat()),
        ])
    });
    load(
        cases,
        "M06/1,000 exports of 64 parameters",
        exported,
        "loaded",
    );
}

// M07

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
    for (what, groups, code) in [
        ("2,001 locals", vec![(2_001, I64)], "over-limit locals"),
        (
            "2,001 locals of 2,001 groups",
            vec![(1, I64); 2_001],
            "over-limit locals",
        ),
        (
            "30,000 locals (W8)",
            vec![(30_000, I64)],
            "over-limit locals",
        ),
        ("50,000 locals", vec![(50_000, I32)], "over-limit locals"),
        ("50,001 locals", vec![(50_001, I32)], "over-limit locals"),
        ("4294967295 locals", vec![(most, I32)], "over-limit locals"),
        (
            "locals whose sum passes 32 bits",
            vec![(most, I32), (most, I64)],
            "over-limit locals",
        ),
        (
            "locals whose sum wraps to 1",
            vec![(most, I32), (2, I64)],
            "over-limit locals",
        ),
        ("2,000 locals of one group", vec![(2_000, I64)], "loaded"),
        ("2,000 groups of no locals", vec![(0, I64); 2_000], "loaded"),
    ] {
        load(cases, format!("M07/{what}"), one(&groups), code);
    }
    // Locals are set to zero at each call, for which no fuel is charged.
    let loop_of_calls = format!(
        r#"(module (func $callee (local {})) (func (export "run") (loop $on (call $callee) (br $on))))"#,
        "i64 ".repeat(2_000)
    );
    cases.push(Case::new(
        "M07/2,000 locals, called in a loop (W8)",
        loop_of_calls,
        Act::run(),
        spent("out-of-fuel"),
    ));
    let in_each = Source::made(|| {
        let body = body(&[1, 0xd0, 0x0f, I64], &[]);
        module(&[
            one_type(&[], &[]),
            repeated(3, 1_000, &[0]),
            export_run(),
            repeated(10, 1_000, &body),
        ])
    });
    load(
        cases,
        "M07/2,000 locals in each of 1,000 functions",
        in_each,
        "loaded",
    );
    for (what, size, code) in [
        (
            "of 1 MiB and a byte",
            (1 << 20) + 1,
            "over-limit function_bytes",
        ),
        ("of 9 MB", 9_000_000, "over-limit function_bytes"),
        ("of 1 MiB", 1 << 20, "loaded"),
    ] {
        let made = Source::made(move || one_function(&[], &[], &[0], &vec![0x01; size - 2]));
        load(cases, format!("M07/body {what}"), made, code);
    }
    let constants = Source::made(|| one_function(&[], &[], &[0], &[0x41, 1, 0x1a].repeat(300_000)));
    load(cases, "M07/body of 300,000 constants", constants, "loaded");
    let long_constants = Source::made(|| {
        // Distinct numbers of 64 bits, as many as go into a body.
        let code = (0..100_000u64).flat_map(|at| {
            let value = leb(0x4000_0000_0000 + at);
            [&[0x42][..], &value, &[0x1a]].concat()
        });
        one_function(&[], &[], &[0], &code.collect::<Vec<_>>())
    });
    load(
        cases,
        "M07/body of 100,000 different constants",
        long_constants,
        "loaded",
    );
    let stack = Source::made(|| {
        one_function(
            &[],
            &[],
            &[0],
            &[[0x41, 1].repeat(20_000), vec![0x1a; 20_000]].concat(),
        )
    });
    load(cases, "M07/20,000 values on the stack", stack, "loaded");
    let stack = Source::made(|| {
        one_function(
            &[],
            &[],
            &[0],
            &[[0x41, 1].repeat(300_000), vec![0x1a; 300_000]].concat(),
        )
    });
    load(cases, "M07/300,000 values on the stack", stack, "refused");
    let called = Source::made(|| {
        let code = [[0x20, 0].repeat(64).as_slice(), &[0x10, 0, 0x0b]].concat();
        let body = body(&[0], &[&[0x03, 0x40][..], &code].concat());
        module(&[
            one_type(&[I64; 64], &[]),
            section(3, &[1, 0]),
            export_run(),
            section(10, &[&[1][..], &body].concat()),
        ])
    });
    load(cases, "M07/64 parameters handed on", called, "loaded");
}
