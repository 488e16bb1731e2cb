//! Choices of vectors and by vectors, compared with an evaluation in Rust.
//!
//! wasmi joins a comparison with the choice that follows. A chain here makes an i32, mostly of vectors; changes it by
//! operators that wasmi may leave out or join; puts vectors' operators in between; and chooses by it. All chains of at
//! most one operator run, and longer ones by chance.

use super::{Random, Words, by_bytes, bytes, plugin, word};

/// What a function takes.
#[derive(Clone, Copy, Debug)]
struct Inputs {
    a: u32,
    b: u32,
    v: Words,
    w: Words,
}

/// Where the i32 comes from.
type Source = (&'static str, fn(&Inputs) -> u32);

const SOURCES: [Source; 12] = [
    ("local.get $a", |i| i.a),
    ("local.get $a local.get $b i32.xor", |i| i.a ^ i.b),
    ("local.get $a local.get $b i32.eq", |i| (i.a == i.b).into()),
    ("local.get $v v128.any_true", |i| (i.v != (0, 0)).into()),
    ("local.get $v local.get $w v128.xor v128.any_true", |i| {
        (i.v != i.w).into()
    }),
    ("local.get $v i8x16.all_true", |i| {
        bytes(i.v).iter().all(|byte| *byte != 0).into()
    }),
    ("local.get $v local.get $w i64x2.eq i64x2.all_true", |i| {
        (i.v == i.w).into()
    }),
    ("local.get $v i32x4.extract_lane 2", |i| i.v.1 as u32),
    ("local.get $v i8x16.extract_lane_s 15", |i| {
        i32::from(bytes(i.v)[15].cast_signed()).cast_unsigned()
    }),
    ("local.get $v i8x16.bitmask", |i| {
        (0..16).map(|at| u32::from(bytes(i.v)[at] >> 7) << at).sum()
    }),
    ("local.get $v i64x2.extract_lane 1 i64.eqz", |i| {
        (i.v.1 == 0).into()
    }),
    (
        "local.get $v local.get $w i8x16.eq i64x2.extract_lane 0 i32.wrap_i64",
        |i| by_bytes(i.v, i.w, |v, w| if v == w { 255 } else { 0 }).0 as u32,
    ),
];

/// How the i32 changes.
type Operator = (&'static str, fn(u32, &Inputs) -> u32);

const OPERATORS: [Operator; 17] = [
    ("i32.eqz", |c, _| (c == 0).into()),
    ("i32.const 0 i32.eq", |c, _| (c == 0).into()),
    ("i32.const 0 i32.ne", |c, _| (c != 0).into()),
    ("i32.const 0 i32.xor", |c, _| c),
    ("i32.const 0 i32.or", |c, _| c),
    ("i32.const 1 i32.and", |c, _| c & 1),
    ("local.get $b i32.eq", |c, i| (c == i.b).into()),
    ("local.get $b i32.ne", |c, i| (c != i.b).into()),
    ("local.get $b i32.xor", |c, i| c ^ i.b),
    ("i64.extend_i32_u i64.eqz", |c, _| (c == 0).into()),
    ("i64.extend_i32_u i64.const 0 i64.ne", |c, _| {
        (c != 0).into()
    }),
    ("local.tee $t", |c, _| c),
    ("i32x4.splat i32x4.extract_lane 1", |c, _| c),
    ("i32x4.splat v128.any_true", |c, _| (c != 0).into()),
    ("i8x16.splat i8x16.all_true", |c, _| (c & 255 != 0).into()),
    (
        "i64.extend_i32_u i64x2.splat i64x2.extract_lane 0 i32.wrap_i64",
        |c, _| c,
    ),
    (
        "i32x4.splat local.get $w v128.and i32x4.extract_lane 3",
        |c, i| c & (i.w.1 >> 32) as u32,
    ),
];

/// What stands between the i32 and the choice, and changes nothing. A shift by the width of a lane is left out by wasmi.
const BETWEEN: [&str; 13] = [
    "",
    "local.get $v i32.const 0 i8x16.shl drop",
    "local.get $w i32.const 64 i64x2.shr_s local.set $w",
    "local.get $w i32.const 32 i32x4.shr_u local.tee $x drop",
    "v128.const i64x2 1 2 drop",
    "local.get $v local.get $w i8x16.add drop",
    "local.get $v local.get $w v128.or local.set $x",
    "local.get $v i8x16.extract_lane_s 3 drop",
    "local.get $v v128.any_true i32.eqz drop",
    "i32.const 32 v128.load32_zero drop",
    "i32.const 32 local.get $v v128.load8_lane 5 local.set $x",
    "i32.const 32 local.get $v v128.store16_lane offset=65536 3",
    "i32.const 32 v128.load8_splat local.get $v local.get $w v128.bitselect drop",
];

/// The choice: what comes before the i32, what comes after it and leaves a vector, and that vector.
type Choice = (&'static str, &'static str, fn(u32, &Inputs) -> Words);

const A: Words = (0x1111_2222_3333_4444, 0x8000_0000_0000_0001);

fn added(i: &Inputs) -> Words {
    by_bytes(i.v, i.w, u8::wrapping_add)
}

const fn either(c: u32, yes: Words, no: Words) -> Words {
    if c != 0 { yes } else { no }
}

const CHOICES: [Choice; 19] = [
    ("local.get $v local.get $w", "select", |c, i| {
        either(c, i.v, i.w)
    }),
    (
        "local.get $v v128.not v128.const i64x2 0x1111222233334444 0x8000000000000001",
        "select (result v128)",
        |c, i| either(c, (!i.v.0, !i.v.1), A),
    ),
    (
        "v128.const i64x2 0x1111222233334444 0x8000000000000001 local.get $w",
        "select",
        |c, i| either(c, A, i.w),
    ),
    (
        "v128.const i64x2 0x1111222233334444 0x8000000000000001 v128.const i64x2 5 6",
        "select",
        |c, _| either(c, A, (5, 6)),
    ),
    (
        "local.get $v local.get $w i8x16.add local.get $v local.get $w v128.xor",
        "select",
        |c, i| either(c, added(i), (i.v.0 ^ i.w.0, i.v.1 ^ i.w.1)),
    ),
    ("local.get $v local.get $v", "select", |_, i| i.v),
    (
        "i32.const 0 v128.load local.get $w",
        "select local.set $w local.get $w",
        |c, i| either(c, (7, 8), i.w),
    ),
    (
        "local.get $v local.get $w local.get $v local.get $w",
        "select v128.any_true select",
        |c, i| either((either(c, i.v, i.w) != (0, 0)).into(), i.v, i.w),
    ),
    (
        "local.get $v i32.const 33 i32.const 0",
        "select i32x4.splat v128.and",
        |c, i| either(c, (i.v.0 & 0x21_0000_0021, i.v.1 & 0x21_0000_0021), (0, 0)),
    ),
    (
        "local.get $v i64x2.extract_lane 1 i64.const 7",
        "select i64x2.splat",
        |c, i| either(c, (i.v.1, i.v.1), (7, 7)),
    ),
    (
        "local.get $w f32x4.extract_lane 0 f32.const 2",
        "select i32.reinterpret_f32 i32x4.splat i64x2.extract_lane 0 i64x2.splat",
        |c, i| {
            let bits = if c != 0 {
                i.w.0 & 0xffff_ffff
            } else {
                0x4000_0000
            };
            (bits | bits << 32, bits | bits << 32)
        },
    ),
    (
        "block (result v128) local.get $v",
        "br_if 0 drop local.get $w end",
        |c, i| either(c, i.v, i.w),
    ),
    (
        "block (result v128) local.get $v local.get $w i8x16.add",
        "br_if 0 v128.not end",
        |c, i| {
            let sum = added(i);
            either(c, sum, (!sum.0, !sum.1))
        },
    ),
    (
        "block",
        "br_if 0 local.get $w call $w return end local.get $v",
        |c, i| either(c, i.v, i.w),
    ),
    (
        "",
        "if (result v128) local.get $v else local.get $w local.get $w i64x2.add end",
        |c, i| {
            either(
                c,
                i.v,
                (i.w.0.wrapping_add(i.w.0), i.w.1.wrapping_add(i.w.1)),
            )
        },
    ),
    (
        "",
        "if local.get $v local.set $w end local.get $w",
        |c, i| either(c, i.v, i.w),
    ),
    (
        "local.get $w",
        "if local.get $v local.set $w end",
        |_, i| i.w,
    ),
    ("", "i32x4.splat", |c, _| {
        let twice = u64::from(c) | u64::from(c) << 32;
        (twice, twice)
    }),
    (
        "local.get $v local.get $w",
        "i64.extend_i32_u i64x2.splat v128.bitselect",
        |c, i| {
            let mask = u64::from(c);
            (i.v.0 & mask | i.w.0 & !mask, i.v.1 & mask | i.w.1 & !mask)
        },
    ),
];

#[derive(Clone)]
struct Chain {
    source: Source,
    operators: Vec<Operator>,
    between: &'static str,
    choice: Choice,
}

impl Chain {
    fn text(&self) -> String {
        let operators: Vec<_> = self.operators.iter().map(|(text, _)| *text).collect();
        let (before, after, _) = self.choice;
        [
            before,
            self.source.0,
            &operators.join(" "),
            self.between,
            after,
        ]
        .join(" ")
    }

    fn eval(&self, inputs: &Inputs) -> Words {
        let first = (self.source.1)(inputs);
        let operators = self.operators.iter();
        let chosen = operators.fold(first, |c, (_, eval)| eval(c, inputs));
        (self.choice.2)(chosen, inputs)
    }
}

/// Chains that run as one module.
const BATCH: usize = 990;

const BY_CHANCE: usize = 6_000;

const ZERO: Words = (0, 0);

fn inputs() -> [Inputs; 10] {
    let mut random = Random(11);
    let mut next = || (word(&mut random), word(&mut random));
    let (x, y) = (next(), next());
    let of = |a, b, v, w| Inputs { a, b, v, w };
    [
        of(0, 0, ZERO, ZERO),
        of(0, 1, ZERO, x),
        of(1, 0, x, ZERO),
        of(1, 1, x, x),
        of(7, 1, (1, 0), (0, 1)),
        of(0x100, 0x100, (!0, !0), x),
        of(0x8000_0000, 0, (0, 1 << 63), (!0, !0)),
        of(2, 0xffff_ffff, y, x),
        of(3, 255, (0x0101_0101_0101_0101, 0x0101_0101_0001_0101), y),
        of(u32::MAX, u32::MAX, (0, 0x0000_0001_0000_0000), (!0, 0)),
    ]
}

/// Runs the chains with all inputs; returns how many results differ from those of `v`, and adds what is wrong.
fn run(chains: &[Chain], wrong: &mut Vec<String>) -> usize {
    let functions: String = (chains.iter().enumerate())
        .map(|(number, chain)| {
            format!(
                r#"(func (export "{number}") (param $a i32) (param $b i32) (param i64 i64 i64 i64) (result i64 i64)
                    (local $t i32) (local $v v128) (local $w v128) (local $x v128)
                    local.get 2 local.get 3 call $v local.set $v local.get 4 local.get 5 call $v local.set $w
                    {} call $w)"#,
                chain.text()
            )
        })
        .collect();
    let plugin = plugin(
        3,
        &format!("(data (i32.const 0) \"\\07\\00\\00\\00\\00\\00\\00\\00\\08\") {functions}"),
    );
    let mut instance = plugin.instantiate(()).unwrap();
    let mut different = 0;
    for (number, chain) in chains.iter().enumerate() {
        for i in inputs() {
            let params = (i.a, i.b, i.v.0, i.v.1, i.w.0, i.w.1);
            let found = instance.call::<_, Words>(&number.to_string(), params);
            let expected = chain.eval(&i);
            different += usize::from(expected != i.v);
            if found != Ok(expected) {
                wrong.push(format!(
                    "{}: {i:x?} give {found:x?}, not {expected:x?}",
                    chain.text()
                ));
                break;
            }
        }
    }
    different
}

#[test]
fn chains_of_operators_choose_as_the_standard_says() {
    let mut chains = Vec::new();
    for source in SOURCES {
        for operator in [None].into_iter().chain(OPERATORS.map(Some)) {
            for between in BETWEEN {
                for choice in CHOICES {
                    chains.push(Chain {
                        source,
                        operators: operator.into_iter().collect(),
                        between,
                        choice,
                    });
                }
            }
        }
    }
    // All of the first kinds in between; of the rest one in some.
    let all = chains.len();
    let mut random = Random(17);
    let mut below = |most: usize| word(&mut random) as usize % most;
    chains.retain(|chain| chain.between.is_empty() || below(6) == 0);
    for _ in 0..BY_CHANCE {
        let length = 2 + below(3);
        chains.push(Chain {
            source: SOURCES[below(SOURCES.len())],
            operators: (0..length)
                .map(|_| OPERATORS[below(OPERATORS.len())])
                .collect(),
            between: BETWEEN[below(BETWEEN.len())],
            choice: CHOICES[below(CHOICES.len())],
        });
    }
    let mut wrong = Vec::new();
    let different: usize = chains
        .chunks(BATCH)
        .map(|batch| run(batch, &mut wrong))
        .sum();
    println!(
        "{} chains of {all} and more, {} wrong",
        chains.len(),
        wrong.len()
    );
    wrong.sort_by_key(String::len);
    assert!(
        wrong.is_empty(),
        "{}",
        wrong[..wrong.len().min(20)].join("\n")
    );
    assert!(
        chains.len() > 15_000 && different > 50_000,
        "{} {different}",
        chains.len()
    );
}
