//! 128-bit SIMD, with the feature `simd`.

#![cfg(feature = "simd")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)] // A test may panic.

mod choices;
mod memory;
mod suite;

use hostel_core::{Engine, Grants, Instance, LoadError, Plugin};

fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn try_load_wat(text: &str) -> Result<Plugin, LoadError> {
    Engine::default().load("guest", &assemble(text), &Grants::new())
}

fn load_wat(text: &str) -> Plugin {
    try_load_wat(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A generator of numbers (xorshift).
struct Random(u64);

/// Functions over vectors: of two i64 words each, since a call takes no vectors itself.
fn instance(functions: &str) -> Instance {
    plugin(3, functions).instantiate(()).unwrap()
}

/// A plugin with a memory of so many pages, and functions over vectors.
fn plugin(pages: u64, functions: &str) -> Plugin {
    let text = format!(
        r#"(module (memory (export "memory") {pages})
            (global $kept (mut v128) (v128.const i64x2 3 4))
            (func $v (param i64 i64) (result v128)
                (i64x2.replace_lane 1 (i64x2.splat (local.get 0)) (local.get 1)))
            (func $w (param v128) (result i64 i64)
                (i64x2.extract_lane 0 (local.get 0)) (i64x2.extract_lane 1 (local.get 0)))
            {functions})"#
    );
    load_wat(&text)
}

type Words = (u64, u64);

fn bytes((low, high): Words) -> [u8; 16] {
    (u128::from(low) | u128::from(high) << 64).to_le_bytes()
}

fn words(bytes: [u8; 16]) -> Words {
    let both = u128::from_le_bytes(bytes);
    (both as u64, (both >> 64) as u64)
}

fn by_bytes(a: Words, b: Words, f: impl Fn(u8, u8) -> u8) -> Words {
    let (a, b) = (bytes(a), bytes(b));
    words(core::array::from_fn(|at| f(a[at], b[at])))
}

fn by_words32(a: Words, b: Words, f: impl Fn(u32, u32) -> u32) -> Words {
    let word = |of: Words, at: usize| {
        let bytes = bytes(of);
        u32::from_le_bytes(core::array::from_fn(|byte| bytes[4 * at + byte]))
    };
    let all: Vec<u8> = (0..4)
        .flat_map(|at| f(word(a, at), word(b, at)).to_le_bytes())
        .collect();
    words(all.try_into().unwrap())
}

fn word(random: &mut Random) -> u64 {
    random.0 ^= random.0 << 13;
    random.0 ^= random.0 >> 7;
    random.0 ^= random.0 << 17;
    random.0
}

/// The operators with their evaluation here.
type Binary = (&'static str, fn(Words, Words) -> Words);

const BINARY: [Binary; 14] = [
    ("v128.and", |a, b| (a.0 & b.0, a.1 & b.1)),
    ("v128.andnot", |a, b| (a.0 & !b.0, a.1 & !b.1)),
    ("v128.xor", |a, b| (a.0 ^ b.0, a.1 ^ b.1)),
    ("i8x16.add", |a, b| by_bytes(a, b, u8::wrapping_add)),
    ("i8x16.sub_sat_u", |a, b| by_bytes(a, b, u8::saturating_sub)),
    ("i8x16.max_s", |a, b| {
        by_bytes(a, b, |a, b| {
            a.cast_signed().max(b.cast_signed()).cast_unsigned()
        })
    }),
    ("i8x16.avgr_u", |a, b| {
        by_bytes(a, b, |a, b| (u16::from(a) + u16::from(b)).div_ceil(2) as u8)
    }),
    ("i8x16.lt_u", |a, b| {
        by_bytes(a, b, |a, b| if a < b { 255 } else { 0 })
    }),
    ("i8x16.swizzle", |a, b| {
        let from = bytes(a);
        by_bytes(a, b, |_, at| {
            from.get(usize::from(at)).copied().unwrap_or(0)
        })
    }),
    ("i32x4.mul", |a, b| by_words32(a, b, u32::wrapping_mul)),
    ("i32x4.eq", |a, b| {
        by_words32(a, b, |a, b| if a == b { !0 } else { 0 })
    }),
    ("i32x4.min_u", |a, b| by_words32(a, b, u32::min)),
    ("i64x2.add", |a, b| {
        (a.0.wrapping_add(b.0), a.1.wrapping_add(b.1))
    }),
    ("f32x4.add", |a, b| {
        by_words32(a, b, |a, b| {
            (f32::from_bits(a) + f32::from_bits(b)).to_bits()
        })
    }),
];

#[test]
fn operators_compute_as_rust_does() {
    let functions: String = BINARY
        .iter()
        .map(|(name, _)| {
            format!(
                r#"(func (export "{name}") (param i64 i64 i64 i64) (result i64 i64)
                    (call $w ({name} (call $v (local.get 0) (local.get 1))
                        (call $v (local.get 2) (local.get 3)))))"#
            )
        })
        .collect();
    let mut instance = instance(&functions);
    let mut random = Random(5);
    let mut different = 0;
    for round in 0..200 {
        // Small floats, equal parts and indices of lanes too.
        let mut next = || match round % 4 {
            0 => word(&mut random),
            1 => word(&mut random) & 0x0f0f_0f0f_0f0f_0f0f,
            2 => word(&mut random) & 0x3fff_ffff_3fff_ffff,
            _ => (word(&mut random) & 3) * 0x1_0000_0001,
        };
        let (a, b) = ((next(), next()), (next(), next()));
        for (name, eval) in BINARY {
            let expected = eval(a, b);
            if name.starts_with('f') && [a.0, a.1, b.0, b.1].iter().any(|bits| bits >> 62 & 1 == 1)
            {
                // Large exponents may give what is not a number, whose bits Rust does not fix.
                continue;
            }
            let found: Words = instance.call(name, (a.0, a.1, b.0, b.1)).unwrap();
            assert_eq!(found, expected, "{name} {a:x?} {b:x?}");
            different += u64::from(expected != a);
        }
    }
    assert!(different > 1_000, "{different}");
}

#[test]
fn vectors_pass_through_locals_globals_blocks_choices_and_memory() {
    let mut instance = instance(
        r#"(func (export "run") (param $a i64) (param $b i64) (param $c i32) (result i64 i64)
            (local $x v128) (local $y v128)
            (local.set $x (call $v (local.get $a) (local.get $b)))
            (local.set $y (local.get $x))
            (local.set $x (i64x2.add (local.get $x) (local.get $x)))
            (local.set $x (select (local.get $x) (local.get $y) (i32.eqz (local.get $c))))
            (local.set $x (block (result v128)
                (br_if 0 (local.get $y) (i32.eq (local.get $c) (i32.const 2)))
                (drop) (local.get $x)))
            (global.set $kept (i64x2.add (global.get $kept) (local.get $x)))
            (v128.store offset=100000 (local.get $c) (global.get $kept))
            (v128.store8_lane offset=34464 0 (i32.add (local.get $c) (i32.const 65536)) (local.get $y))
            (call $w (v128.load offset=100000 (local.get $c))))"#,
    );
    let mut kept = (3u64, 4u64);
    for (a, b, c) in [(1u64, 2u64, 0u32), (5, 6, 1), (7, 8, 2), (u64::MAX, 9, 0)] {
        let added = if c == 0 {
            (a.wrapping_add(a), b.wrapping_add(b))
        } else {
            (a, b)
        };
        kept = (kept.0.wrapping_add(added.0), kept.1.wrapping_add(added.1));
        let expected = (kept.0 & !255 | a & 255, kept.1);
        assert_eq!(instance.call::<_, Words>("run", (a, b, c)), Ok(expected));
    }
}

#[test]
fn a_reset_instance_has_the_first_value_of_a_vector() {
    let text = r#"(module (global $kept (mut v128) (v128.const i64x2 3 4))
        (func (export "take") (result i64)
            (i64x2.extract_lane 1 (global.get $kept))
            (global.set $kept (i64x2.splat (i64.const 9)))))"#;
    let plugin = load_wat(text);
    for _ in 0..3 {
        assert_eq!(plugin.call::<(), u64>("take", ()), Ok(4));
    }
    assert!(plugin.pool_figures().idle > 0);
    // A snapshot keeps what the global has.
    let wasm = assemble(text);
    let (engine, grants) = (Engine::default(), Grants::new());
    let taken = engine.snapshot("m", &wasm, &grants, |instance| {
        instance.call::<(), u64>("take", ()).map(drop)
    });
    let plugin = engine.load("m", &taken.unwrap(), &grants).unwrap();
    assert_eq!(plugin.call::<(), u64>("take", ()), Ok(9));
}

#[test]
fn a_branch_table_that_carries_a_vector_is_refused_and_one_of_a_number_is_not() {
    let with = |ty: &str, value: &str| {
        let text = format!(
            r#"(module (func (export "f") (param i32)
                (drop (block (result {ty}) (block (result {ty})
                    (br_table 0 1 {value} (local.get 0)))))))"#
        );
        try_load_wat(&text).map(drop)
    };
    assert_eq!(with("i64", "(i64.const 1)"), Ok(()));
    assert_eq!(with("f32", "(f32.const 1)"), Ok(()));
    let error = with("v128", "(v128.const i64x2 1 2)").unwrap_err();
    assert_eq!(error.code(), "unsupported");
    assert!(error.to_string().contains("or a vector"), "{error}");
}

#[test]
fn a_vector_load_outside_of_memory_traps() {
    let mut instance = instance(
        r#"(func (export "load") (param i32) (result i32)
            (i32x4.extract_lane 0 (v128.load (local.get 0))))"#,
    );
    assert_eq!(instance.call("load", (3 << 16) - 16), Ok(0));
    let result = instance.call::<u32, i32>("load", (3 << 16) - 15);
    assert_eq!(result.unwrap_err().code(), "trap-memory");
}
