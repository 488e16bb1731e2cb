//! The alphabet: where a value comes from, what is done to it, and what is chosen by it. Each has its
//! text in WebAssembly, in order of the stack, and its meaning in Rust.

/// What a chain is called with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs {
    pub(crate) a: u32,
    pub(crate) b: u32,
    pub(crate) c: u64,
    pub(crate) d: u64,
    pub(crate) e: f32,
    pub(crate) f: f64,
}

impl Inputs {
    /// As they lie in the guest's memory.
    pub(crate) fn bytes(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..4].copy_from_slice(&self.a.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.b.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.c.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.d.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.e.to_le_bytes());
        bytes[32..].copy_from_slice(&self.f.to_le_bytes());
        bytes
    }
}

/// The types of [`Inputs`], and of the locals after them: t, u, r, x, y.
pub(crate) const PARAMS: [u8; 6] = [I32, I32, I64, I64, F32, F64];
pub(crate) const LOCALS: [u8; 5] = [I32, I64, FUNCREF, F32, F64];

pub(crate) const I32: u8 = 0x7f;
pub(crate) const I64: u8 = 0x7e;
pub(crate) const F32: u8 = 0x7d;
pub(crate) const F64: u8 = 0x7c;
pub(crate) const FUNCREF: u8 = 0x70;

/// Each holds what edges of the operators meet: 0, 1, all ones, the sign alone, one bit beyond 32,
/// equal and unequal pairs, what is not a number.
pub(crate) const INPUTS: [Inputs; 6] = [
    Inputs {
        a: 0,
        b: 0,
        c: 0,
        d: 0,
        e: 0.0,
        f: 0.0,
    },
    Inputs {
        a: 1,
        b: 5,
        c: 1 << 32,
        d: 1,
        e: 1.0,
        f: -0.0,
    },
    Inputs {
        a: u32::MAX,
        b: u32::MAX,
        c: u64::MAX,
        d: 1 << 63,
        e: f32::NAN,
        f: 1.5,
    },
    Inputs {
        a: 1 << 31,
        b: 0,
        c: 1 << 31,
        d: 1 << 31,
        e: -0.0,
        f: f64::NAN,
    },
    Inputs {
        a: 0,
        b: 1,
        c: 0,
        d: u64::MAX,
        e: -1.0,
        f: 1.0,
    },
    Inputs {
        a: 2,
        b: 2,
        c: 0xffff_ffff_0000_0000,
        d: 0xffff_ffff,
        e: f32::INFINITY,
        f: -2.0,
    },
];

/// A value on its way through a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Val {
    I32(u32),
    I64(u64),
    F32(f32),
    F64(f64),
}

/// How a value is made of the inputs.
pub(crate) struct Source {
    pub(crate) text: &'static str,
    pub(crate) eval: fn(&Inputs) -> Val,
}

impl Source {
    pub(crate) fn ty(&self) -> u8 {
        match (self.eval)(&INPUTS[0]) {
            Val::I32(_) => I32,
            Val::I64(_) => I64,
            Val::F32(_) => F32,
            Val::F64(_) => F64,
        }
    }
}

/// A step of a chain: what comes before the value on the stack, and after it.
pub(crate) struct Operator {
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
    pub(crate) eval: Eval,
}

/// The meaning of an operator, by its types.
#[derive(Clone, Copy)]
pub(crate) enum Eval {
    I32I32(fn(u32, &Inputs) -> u32),
    I32I64(fn(u32) -> u64),
    I32F32(fn(u32) -> f32),
    I32F64(fn(u32) -> f64),
    I64I64(fn(u64, &Inputs) -> u64),
    I64I32(fn(u64, &Inputs) -> u32),
    F32F32(fn(f32) -> f32),
    F32I32(fn(f32, &Inputs) -> u32),
    F64F64(fn(f64) -> f64),
    F64I32(fn(f64, &Inputs) -> u32),
}

impl Eval {
    pub(crate) const fn from(self) -> u8 {
        match self {
            Self::I32I32(_) | Self::I32I64(_) | Self::I32F32(_) | Self::I32F64(_) => I32,
            Self::I64I64(_) | Self::I64I32(_) => I64,
            Self::F32F32(_) | Self::F32I32(_) => F32,
            Self::F64F64(_) | Self::F64I32(_) => F64,
        }
    }

    pub(crate) const fn to(self) -> u8 {
        match self {
            Self::I32I32(_) | Self::I64I32(_) | Self::F32I32(_) | Self::F64I32(_) => I32,
            Self::I32I64(_) | Self::I64I64(_) => I64,
            Self::I32F32(_) | Self::F32F32(_) => F32,
            Self::I32F64(_) | Self::F64F64(_) => F64,
        }
    }

    pub(crate) fn of(self, value: Val, inputs: &Inputs) -> Val {
        match (self, value) {
            (Self::I32I32(eval), Val::I32(value)) => Val::I32(eval(value, inputs)),
            (Self::I32I64(eval), Val::I32(value)) => Val::I64(eval(value)),
            (Self::I32F32(eval), Val::I32(value)) => Val::F32(eval(value)),
            (Self::I32F64(eval), Val::I32(value)) => Val::F64(eval(value)),
            (Self::I64I64(eval), Val::I64(value)) => Val::I64(eval(value, inputs)),
            (Self::I64I32(eval), Val::I64(value)) => Val::I32(eval(value, inputs)),
            (Self::F32F32(eval), Val::F32(value)) => Val::F32(eval(value)),
            (Self::F32I32(eval), Val::F32(value)) => Val::I32(eval(value, inputs)),
            (Self::F64F64(eval), Val::F64(value)) => Val::F64(eval(value)),
            (Self::F64I32(eval), Val::F64(value)) => Val::I32(eval(value, inputs)),
            (_, other) => panic!("an operator of another type, on {other:?}"),
        }
    }
}

/// What is done by the value at a chain's end: everything that can be joined with what came before.
pub(crate) struct Choice {
    pub(crate) of: u8,
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
    /// What the function then gives as an i64.
    pub(crate) eval: fn(Val, &Inputs) -> u64,
}

pub(crate) const SOURCES: &[Source] = &[
    Source {
        text: "local.get a",
        eval: |i| Val::I32(i.a),
    },
    Source {
        text: "local.get a local.get b i32.add",
        eval: |i| Val::I32(i.a.wrapping_add(i.b)),
    },
    Source {
        text: "local.get a i32.const 3 i32.mul local.tee t",
        eval: |i| Val::I32(i.a.wrapping_mul(3)),
    },
    Source {
        text: "local.get c",
        eval: |i| Val::I64(i.c),
    },
    Source {
        text: "local.get c local.get d i64.xor",
        eval: |i| Val::I64(i.c ^ i.d),
    },
    Source {
        text: "local.get e",
        eval: |i| Val::F32(i.e),
    },
    Source {
        text: "local.get f",
        eval: |i| Val::F64(i.f),
    },
    // A reference is compared with null as a number with 0.
    Source {
        text: "local.get b i32.const 1 i32.and table.get 0 local.set r local.get a i32.const 3 i32.mul drop local.get r ref.is_null",
        eval: |i| Val::I32(u32::from(i.b & 1 == 0)),
    },
    Source {
        text: "local.get b i32.const 1 i32.and table.get 0 ref.is_null",
        eval: |i| Val::I32(u32::from(i.b & 1 == 0)),
    },
];

/// One that takes the value as its first operand, or as its only one.
const fn after(after: &'static str, eval: Eval) -> Operator {
    Operator {
        before: "",
        after,
        eval,
    }
}

/// One that takes the value as its second operand.
const fn around(before: &'static str, after: &'static str, eval: Eval) -> Operator {
    Operator {
        before,
        after,
        eval,
    }
}

pub(crate) const OPERATORS: &[Operator] = &[
    after("i32.eqz", Eval::I32I32(|v, _| u32::from(v == 0))),
    after("i32.const 0 i32.eq", Eval::I32I32(|v, _| u32::from(v == 0))),
    around(
        "i32.const 0",
        "i32.eq",
        Eval::I32I32(|v, _| u32::from(v == 0)),
    ),
    after("i32.const 0 i32.ne", Eval::I32I32(|v, _| u32::from(v != 0))),
    after(
        "local.get b i32.eq",
        Eval::I32I32(|v, i| u32::from(v == i.b)),
    ),
    after(
        "local.get b i32.ne",
        Eval::I32I32(|v, i| u32::from(v != i.b)),
    ),
    after("i32.const 0 i32.xor", Eval::I32I32(|v, _| v)),
    around("i32.const 0", "i32.xor", Eval::I32I32(|v, _| v)),
    after("local.get b i32.xor", Eval::I32I32(|v, i| v ^ i.b)),
    around(
        "local.get b i32.const 7 i32.mul",
        "i32.ne",
        Eval::I32I32(|v, i| u32::from(i.b.wrapping_mul(7) != v)),
    ),
    after("i32.const 1 i32.and", Eval::I32I32(|v, _| v & 1)),
    after("i32.const 0 i32.or", Eval::I32I32(|v, _| v)),
    after("i32.const 0 i32.sub", Eval::I32I32(|v, _| v)),
    after("i32.const 0 i32.shl", Eval::I32I32(|v, _| v)),
    after(
        "local.get b i32.lt_s",
        Eval::I32I32(|v, i| u32::from(v.cast_signed() < i.b.cast_signed())),
    ),
    around(
        "local.get b",
        "i32.le_u",
        Eval::I32I32(|v, i| u32::from(i.b <= v)),
    ),
    after(
        "i32.const 0 i32.gt_s",
        Eval::I32I32(|v, _| u32::from(v.cast_signed() > 0)),
    ),
    after(
        "i32.extend8_s",
        Eval::I32I32(|v, _| i32::from(v.to_le_bytes()[0].cast_signed()).cast_unsigned()),
    ),
    after("local.tee t", Eval::I32I32(|v, _| v)),
    after("i64.extend_i32_u", Eval::I32I64(u64::from)),
    after(
        "i64.extend_i32_s",
        Eval::I32I64(|v| i64::from(v.cast_signed()).cast_unsigned()),
    ),
    after("f32.reinterpret_i32", Eval::I32F32(f32::from_bits)),
    after(
        "f64.convert_i32_s",
        Eval::I32F64(|v| f64::from(v.cast_signed())),
    ),
    after("i64.eqz", Eval::I64I32(|v, _| u32::from(v == 0))),
    after("i64.const 0 i64.eq", Eval::I64I32(|v, _| u32::from(v == 0))),
    around(
        "i64.const 0",
        "i64.ne",
        Eval::I64I32(|v, _| u32::from(v != 0)),
    ),
    after("i64.const 0 i64.ne", Eval::I64I32(|v, _| u32::from(v != 0))),
    after(
        "local.get d i64.eq",
        Eval::I64I32(|v, i| u32::from(v == i.d)),
    ),
    after(
        "local.get d i64.ge_u",
        Eval::I64I32(|v, i| u32::from(v >= i.d)),
    ),
    after(
        "i64.const 0 i64.lt_s",
        Eval::I64I32(|v, _| u32::from(v.cast_signed() < 0)),
    ),
    after("i64.const 0 i64.xor", Eval::I64I64(|v, _| v)),
    after("local.get d i64.and", Eval::I64I64(|v, i| v & i.d)),
    after("i64.const 0 i64.or", Eval::I64I64(|v, _| v)),
    after("local.tee u", Eval::I64I64(|v, _| v)),
    after(
        "i32.wrap_i64",
        Eval::I64I32(|v, _| (v & 0xffff_ffff) as u32),
    ),
    after(
        "f32.const 0 f32.lt",
        Eval::F32I32(|v, _| u32::from(v < 0.0)),
    ),
    after(
        "local.get e f32.eq",
        Eval::F32I32(|v, i| u32::from(v == i.e)),
    ),
    around(
        "local.get e",
        "f32.ge",
        Eval::F32I32(|v, i| u32::from(i.e >= v)),
    ),
    after("i32.reinterpret_f32", Eval::F32I32(|v, _| v.to_bits())),
    after(
        "f32.neg",
        Eval::F32F32(|v| f32::from_bits(v.to_bits() ^ 1 << 31)),
    ),
    after(
        "f32.abs",
        Eval::F32F32(|v| f32::from_bits(v.to_bits() & !(1 << 31))),
    ),
    after(
        "f64.const 0 f64.ne",
        Eval::F64I32(|v, _| u32::from(v != 0.0)),
    ),
    after(
        "local.get f f64.le",
        Eval::F64I32(|v, i| u32::from(v <= i.f)),
    ),
    after(
        "f64.neg",
        Eval::F64F64(|v| f64::from_bits(v.to_bits() ^ 1 << 63)),
    ),
];

/// Whether an i32 chooses the first of two.
fn yes(value: Val) -> bool {
    matches!(value, Val::I32(value) if value != 0)
}

fn bits(value: Val) -> u64 {
    match value {
        Val::I32(value) => value.into(),
        Val::I64(value) => value,
        Val::F32(value) => value.to_bits().into(),
        Val::F64(value) => value.to_bits(),
    }
}

/// By an i32.
const fn by_i32(
    before: &'static str,
    after: &'static str,
    eval: fn(Val, &Inputs) -> u64,
) -> Choice {
    Choice {
        of: I32,
        before,
        after,
        eval,
    }
}

/// What gives the value itself.
const fn itself(of: u8, before: &'static str, after: &'static str) -> Choice {
    Choice {
        of,
        before,
        after,
        eval: |value, _| bits(value),
    }
}

pub(crate) const CHOICES: &[Choice] = &[
    by_i32(
        "local.get b i32.const 44",
        "select i64.extend_i32_u",
        |v, i| {
            if yes(v) { i.b.into() } else { 44 }
        },
    ),
    by_i32(
        "i32.const 33 i32.const 44",
        "select i64.extend_i32_u",
        |v, _| if yes(v) { 33 } else { 44 },
    ),
    by_i32(
        "local.get a i32.const 1 i32.add local.get b i32.const 5 i32.mul",
        "select i64.extend_i32_u",
        |v, i| {
            if yes(v) {
                i.a.wrapping_add(1).into()
            } else {
                i.b.wrapping_mul(5).into()
            }
        },
    ),
    by_i32("local.get c local.get d", "select", |v, i| {
        if yes(v) { i.c } else { i.d }
    }),
    by_i32(
        "local.get d local.get d i64.add i64.const 9",
        "select i64",
        |v, i| {
            if yes(v) { i.d.wrapping_add(i.d) } else { 9 }
        },
    ),
    by_i32(
        "local.get e f32.const 2",
        "select f32 i32.reinterpret_f32 i64.extend_i32_u",
        |v, i| {
            if yes(v) {
                i.e.to_bits().into()
            } else {
                2f32.to_bits().into()
            }
        },
    ),
    by_i32(
        "f64.const 2 local.get f f64.neg",
        "select i64.reinterpret_f64",
        |v, i| {
            if yes(v) {
                2f64.to_bits()
            } else {
                i.f.to_bits() ^ 1 << 63
            }
        },
    ),
    // A choice by a choice.
    by_i32(
        "i32.const 0 i32.const 7",
        "select i32.eqz i64.extend_i32_u",
        |v, _| u64::from(yes(v)),
    ),
    by_i32(
        "i32.const 33 local.get b i32.const 0 i32.const 7",
        "select select i64.extend_i32_u",
        |v, i| {
            if yes(v) { i.b.into() } else { 33 }
        },
    ),
    by_i32(
        "block",
        "br_if 0 i64.const 33 return end i64.const 44",
        |v, _| if yes(v) { 44 } else { 33 },
    ),
    by_i32(
        "block i32 i32.const 33",
        "br_if 0 drop local.get b end i64.extend_i32_u",
        |v, i| {
            if yes(v) { 33 } else { i.b.into() }
        },
    ),
    by_i32(
        "block i64 local.get c local.get d i64.add",
        "br_if 0 i64.const 1 i64.add end",
        |v, i| {
            let sum = i.c.wrapping_add(i.d);
            if yes(v) { sum } else { sum.wrapping_add(1) }
        },
    ),
    by_i32(
        "",
        "if i32 i32.const 33 else local.get b end i64.extend_i32_u",
        |v, i| {
            if yes(v) { 33 } else { i.b.into() }
        },
    ),
    by_i32(
        "",
        "if i32.const 33 local.set b end local.get b i64.extend_i32_u",
        |v, i| {
            if yes(v) { 33 } else { i.b.into() }
        },
    ),
    by_i32(
        "block block block",
        "br_table_012 end i64.const 33 return end i64.const 44 return end i64.const 55",
        |v, _| match v {
            Val::I32(0) => 33,
            Val::I32(1) => 44,
            _ => 55,
        },
    ),
    by_i32(
        "block i32 block i32 local.get b",
        "br_table_01 end i32.const 1 i32.add end i64.extend_i32_u",
        |v, i| {
            if matches!(v, Val::I32(0)) {
                i.b.wrapping_add(1).into()
            } else {
                i.b.into()
            }
        },
    ),
    itself(I32, "", "i64.extend_i32_u"),
    itself(I32, "i32.const 8", "i32.store i32.const 8 i64.load32_u"),
    itself(I32, "", "global.set 0 global.get 0 i64.extend_i32_u"),
    itself(I32, "", "local.set t local.get t i64.extend_i32_u"),
    itself(I32, "", "call 0 i64.extend_i32_u"),
    // Stored at itself, near and far.
    by_i32(
        "",
        "i32.const 255 i32.and local.tee t local.get t i32.store8 local.get t i64.load8_u",
        |v, _| bits(v) & 255,
    ),
    by_i32(
        "",
        "i32.const 255 i32.and local.tee t local.get t i32.store8_far local.get t i64.load8_u_far",
        |v, _| bits(v) & 255,
    ),
    itself(I64, "", ""),
    itself(I64, "i32.const 8", "i64.store i32.const 8 i64.load"),
    itself(I64, "", "local.set u local.get u"),
    Choice {
        of: I64,
        before: "local.get c",
        after: "i64.sub",
        eval: |v, i| i.c.wrapping_sub(bits(v)),
    },
    itself(F32, "", "i32.reinterpret_f32 i64.extend_i32_u"),
    itself(F32, "i32.const 8", "f32.store i32.const 8 i64.load32_u"),
    itself(
        F32,
        "",
        "local.set x local.get x i32.reinterpret_f32 i64.extend_i32_u",
    ),
    itself(F64, "i32.const 8", "f64.store i32.const 8 i64.load"),
    itself(F64, "", "local.set y local.get y i64.reinterpret_f64"),
];
