//! Every vector operator on memory, near and far, compared with a model.
//!
//! An address is a constant, a local, or computed; so is a stored vector. wasmi encodes each kind on its own.

use super::{Words, bytes, words};
use hostel_core::Instance;

/// What an operator does with memory.
#[derive(Clone, Copy)]
enum Kind {
    /// Loads so many bytes, and makes a vector of them.
    Load(usize, fn(&[u8]) -> [u8; 16]),
    /// Loads or stores a lane of so many bytes.
    LoadLane(usize),
    StoreLane(usize),
    Store,
}

impl Kind {
    /// Number of bytes of memory.
    const fn bytes(self) -> usize {
        match self {
            Self::Load(bytes, _) | Self::LoadLane(bytes) | Self::StoreLane(bytes) => bytes,
            Self::Store => 16,
        }
    }

    /// The lanes to test: the first, the second, and the last one.
    fn lanes(self) -> Vec<Option<usize>> {
        match self {
            Self::LoadLane(bytes) | Self::StoreLane(bytes) => {
                let mut lanes = vec![Some(0), Some(1), Some(16 / bytes - 1)];
                lanes.dedup();
                lanes
            }
            Self::Load(..) | Self::Store => vec![None],
        }
    }

    const fn stores(self) -> bool {
        matches!(self, Self::Store | Self::StoreLane(_))
    }
}

/// Widens lanes of so many bytes to twice as many.
fn widen(from: &[u8], bytes: usize, signed: bool) -> [u8; 16] {
    let lanes = from.chunks(bytes).flat_map(|lane| {
        let negative = signed && lane[bytes - 1] >= 0x80;
        let more = [if negative { 0xff } else { 0 }; 4];
        [lane, &more[..bytes]].concat()
    });
    lanes.collect::<Vec<_>>().try_into().unwrap()
}

fn splat(from: &[u8]) -> [u8; 16] {
    from.repeat(16 / from.len()).try_into().unwrap()
}

fn zero(from: &[u8]) -> [u8; 16] {
    let mut all = [0; 16];
    all[..from.len()].copy_from_slice(from);
    all
}

const OPERATORS: [(&str, Kind); 22] = [
    ("v128.load", Kind::Load(16, |from| from.try_into().unwrap())),
    ("v128.load8x8_s", Kind::Load(8, |from| widen(from, 1, true))),
    (
        "v128.load8x8_u",
        Kind::Load(8, |from| widen(from, 1, false)),
    ),
    (
        "v128.load16x4_s",
        Kind::Load(8, |from| widen(from, 2, true)),
    ),
    (
        "v128.load16x4_u",
        Kind::Load(8, |from| widen(from, 2, false)),
    ),
    (
        "v128.load32x2_s",
        Kind::Load(8, |from| widen(from, 4, true)),
    ),
    (
        "v128.load32x2_u",
        Kind::Load(8, |from| widen(from, 4, false)),
    ),
    ("v128.load8_splat", Kind::Load(1, splat)),
    ("v128.load16_splat", Kind::Load(2, splat)),
    ("v128.load32_splat", Kind::Load(4, splat)),
    ("v128.load64_splat", Kind::Load(8, splat)),
    ("v128.load32_zero", Kind::Load(4, zero)),
    ("v128.load64_zero", Kind::Load(8, zero)),
    ("v128.load8_lane", Kind::LoadLane(1)),
    ("v128.load16_lane", Kind::LoadLane(2)),
    ("v128.load32_lane", Kind::LoadLane(4)),
    ("v128.load64_lane", Kind::LoadLane(8)),
    ("v128.store", Kind::Store),
    ("v128.store8_lane", Kind::StoreLane(1)),
    ("v128.store16_lane", Kind::StoreLane(2)),
    ("v128.store32_lane", Kind::StoreLane(4)),
    ("v128.store64_lane", Kind::StoreLane(8)),
];

const OFFSETS: [u64; 6] = [0, 5, 65_535, 65_536, 1 << 31, (1 << 32) - 16];

const PAGES: [u64; 2] = [3, 80];

/// Kinds of the address, by its text; `ADDRESS` is the constant.
const ADDRESSES: [(&str, &str); 4] = [
    ("constant", "(i32.const ADDRESS)"),
    ("local", "(local.get $p)"),
    ("computed", "(i32.add (local.get $p) (local.get $none))"),
    // A local whose value is also in wasmi's register.
    (
        "tee",
        "(local.tee $t (i32.add (local.get $p) (local.get $none)))",
    ),
];

/// Kinds of the operator's vector: signalling floats are among its lanes.
const VECTOR: Words = (0x7fa0_0001_ff81_fe80, 0x7ff4_0000_0000_80ff);
const VECTORS: [(&str, &str); 3] = [
    (
        "constant",
        "(v128.const i64x2 0x7fa00001ff81fe80 0x7ff40000000080ff)",
    ),
    ("local", "(local.get $v)"),
    ("computed", "(v128.xor (local.get $v) (local.get $zero))"),
];

/// The addresses that are called with `offset`: at both ends of memory, and beyond them.
fn addresses(size: u64, offset: u64, bytes: u64) -> Vec<u32> {
    let last = (size - bytes).checked_sub(offset);
    let mut all = vec![0, 1, 4_000, 0xffff_ffff, 0x8000_0000];
    for last in last.into_iter().filter_map(|last| u32::try_from(last).ok()) {
        all.extend([last, last + 1, last.saturating_sub(7)]);
    }
    all
}

/// The byte of memory at this place, before a call.
fn before(at: usize) -> u8 {
    let word = (at & !7) as u64;
    word.wrapping_mul(FILLED_WITH).to_le_bytes()[at & 7]
}

/// Each word of memory is its address times this.
const FILLED_WITH: u64 = 0x9e37_79b9_7f4a_7c15;

/// Functions to fill the memory, to count the words that have changed, and to read and write a byte.
const SUPPORT: &str = r#"
    (func (export "fill") (local $p i32)
        (loop
            (i64.store (local.get $p) (i64.mul (i64.extend_i32_u (local.get $p)) (i64.const FILLED_WITH)))
            (local.set $p (i32.add (local.get $p) (i32.const 8)))
            (br_if 0 (i32.lt_u (local.get $p) (i32.const SIZE)))))
    (func (export "changed") (result i32) (local $p i32) (local $count i32)
        (loop
            (local.set $count (i32.add (local.get $count) (i64.ne (i64.load (local.get $p))
                (i64.mul (i64.extend_i32_u (local.get $p)) (i64.const FILLED_WITH)))))
            (local.set $p (i32.add (local.get $p) (i32.const 8)))
            (br_if 0 (i32.lt_u (local.get $p) (i32.const SIZE))))
        (local.get $count))
    (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "set") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))"#;

/// One function over memory.
struct Function {
    name: String,
    kind: Kind,
    lane: Option<usize>,
    offset: u64,
    /// Its address, if it is a constant.
    constant: Option<u32>,
    /// Whether the address is left in a local that had another value.
    tees: bool,
}

/// Returns the functions with an operator over a memory of so many bytes, and their text.
fn functions(operator: &str, kind: Kind, size: u64) -> (Vec<Function>, String) {
    let mut all = Vec::new();
    let mut texts = String::new();
    let takes_vector = !matches!(kind, Kind::Load(..));
    let vectors = if takes_vector {
        &VECTORS[..]
    } else {
        &[("none", "")]
    };
    for lane in kind.lanes() {
        for offset in OFFSETS {
            for (of_address, address) in ADDRESSES {
                let constants: Vec<_> = if of_address == "constant" {
                    addresses(size, offset, kind.bytes() as u64)
                        .into_iter()
                        .map(Some)
                        .collect()
                } else {
                    vec![None]
                };
                for (constant, (of_vector, vector)) in constants
                    .into_iter()
                    .flat_map(|constant| vectors.iter().map(move |vector| (constant, vector)))
                {
                    let number = all.len();
                    let immediate = lane.map_or_else(String::new, |lane| lane.to_string());
                    let address = address.replace("ADDRESS", &constant.unwrap_or(0).to_string());
                    let applied =
                        format!("({operator} offset={offset} {immediate} {address} {vector})");
                    let body = if kind.stores() {
                        applied
                    } else {
                        format!("(local.set $v {applied})")
                    };
                    // Before it, values in each of wasmi's registers, which no operator may change.
                    texts += &format!(
                        r#"(func (export "{number}") (param $p i32) (param $low i64) (param $high i64)
                            (result i64 i64 i64)
                            (local $v v128) (local $zero v128) (local $none i32) (local $t i32) (local $e f32) (local $d f64)
                            (local.set $v (call $v (local.get $low) (local.get $high)))
                            (local.set $t (i32.add (local.get $p) (i32.const 3)))
                            (f32.neg (f32.convert_i32_u (local.get $t)))
                            (f64.neg (f64.convert_i32_u (local.get $t)))
                            (i64.extend_i32_u (i32.mul (local.get $t) (i32.const 5)))
                            {body}
                            (local.set $low)
                            (local.set $d)
                            (local.set $e)
                            (call $w (local.get $v))
                            (i64.add
                                (i64.add (local.get $low) (i64.extend_i32_u (local.get $t)))
                                (i64.xor (i64.reinterpret_f64 (local.get $d))
                                    (i64.extend_i32_u (i32.reinterpret_f32 (local.get $e))))))
                        "#
                    );
                    all.push(Function {
                        name: format!(
                            "{operator} {immediate} + {offset}, address {of_address} {constant:?}, vector {of_vector}"
                        ),
                        kind,
                        lane,
                        offset,
                        constant,
                        tees: of_address == "tee",
                    });
                }
            }
        }
    }
    (all, texts)
}

/// What a call does, unless it traps.
struct Done {
    vector: Words,
    /// The other values of the function, in one.
    others: u64,
    /// Where in memory, and the bytes there afterwards.
    place: usize,
    left: Vec<u8>,
}

fn model(function: &Function, size: u64, p: u32) -> Option<Done> {
    let place = u64::from(function.constant.unwrap_or(p)) + function.offset;
    let count = function.kind.bytes();
    if place + count as u64 > size {
        return None;
    }
    let place = place as usize;
    let found: Vec<u8> = (place..place + count).map(before).collect();
    let mut vector = bytes(VECTOR);
    let lane = function.lane.unwrap_or(0) * count;
    let left = match function.kind {
        Kind::Load(_, make) => {
            vector = make(&found);
            found
        }
        Kind::LoadLane(_) => {
            vector[lane..lane + count].copy_from_slice(&found);
            found
        }
        Kind::StoreLane(_) | Kind::Store => vector[lane..lane + count].to_vec(),
    };
    let t = p.wrapping_add(3);
    let floats = (-f64::from(t)).to_bits() ^ u64::from((-(t as f32)).to_bits());
    let others = u64::from(t.wrapping_mul(5)) + u64::from(if function.tees { p } else { t });
    Some(Done {
        vector: words(vector),
        others: others.wrapping_add(floats),
        place,
        left,
    })
}

/// Calls function number `number` and compares all that it does. Returns what is wrong.
fn check(
    instance: &mut Instance,
    number: usize,
    function: &Function,
    size: u64,
    p: u32,
) -> Option<String> {
    let found = instance.call::<_, (u64, u64, u64)>(&number.to_string(), (p, VECTOR.0, VECTOR.1));
    let wrong =
        |found: &dyn std::fmt::Debug| Some(format!("{} at {p:#x}: {found:x?}", function.name));
    let Some(done) = model(function, size, p) else {
        return match found {
            Err(error) if error.code() == "trap-memory" => None,
            found => wrong(&found),
        };
    };
    if found != Ok((done.vector.0, done.vector.1, done.others)) {
        return wrong(&(found, done.vector, done.others));
    }
    for (at, left) in (done.place..).zip(&done.left) {
        let byte = instance.call::<u32, u32>("get", at as u32);
        if byte != Ok(u32::from(*left)) {
            return wrong(&(at, byte, left));
        }
        instance
            .call::<_, ()>("set", (at as u32, u32::from(before(at))))
            .unwrap();
    }
    None
}

#[test]
fn each_operator_does_what_the_model_does_near_and_far() {
    let (mut done, mut traps, mut wrong) = (0, 0, Vec::new());
    for pages in PAGES {
        let size = pages << 16;
        let support = SUPPORT
            .replace("SIZE", &size.to_string())
            .replace("FILLED_WITH", &FILLED_WITH.to_string());
        for (operator, kind) in OPERATORS {
            let (functions, texts) = functions(operator, kind, size);
            let plugin = super::plugin(pages, &format!("{support} {texts}"));
            let mut filled = plugin.instantiate(()).unwrap();
            filled.call::<_, ()>("fill", ()).unwrap();
            for (number, function) in functions.iter().enumerate() {
                let addresses = match function.constant {
                    Some(_) => vec![9],
                    None => addresses(size, function.offset, kind.bytes() as u64),
                };
                for p in addresses {
                    if model(function, size, p).is_some() {
                        wrong.extend(check(&mut filled, number, function, size, p));
                        done += 1;
                    } else {
                        // A call that traps stops its instance.
                        let mut other = plugin.instantiate(()).unwrap();
                        wrong.extend(check(&mut other, number, function, size, p));
                        traps += 1;
                    }
                }
            }
            assert!(
                wrong.is_empty(),
                "{} {:#?}",
                wrong.len(),
                &wrong[..wrong.len().min(20)]
            );
            // No store went anywhere else.
            assert_eq!(filled.call::<_, u32>("changed", ()), Ok(0), "{operator}");
        }
    }
    println!("{done} calls return, {traps} trap");
    assert!(done > 10_000 && traps > 10_000, "{done} {traps}");
}
