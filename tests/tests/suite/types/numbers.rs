//! Integers, floats, `bool`, `char` and unit.

use super::{guest, refuses, round_trips};

#[test]
fn i8_is_an_i32() {
    round_trips("i8", [0, 1, -1, i8::MIN, i8::MAX]);
    refuses::<i8>("i8", "an i8", &[128, -129, 255, i32::MIN, i32::MAX]);
}

#[test]
fn u8_is_an_i32() {
    round_trips("u8", [0, 1, 127, 128, u8::MAX]);
    refuses::<u8>("u8", "a u8", &[-1, 256, 300, i32::MIN, i32::MAX]);
}

#[test]
fn i16_is_an_i32() {
    round_trips("i16", [0, 1, -1, i16::MIN, i16::MAX]);
    refuses::<i16>("i16", "an i16", &[32_768, -32_769, i32::MIN, i32::MAX]);
}

#[test]
fn u16_is_an_i32() {
    round_trips("u16", [0, 1, 32_768, u16::MAX]);
    refuses::<u16>("u16", "a u16", &[-1, 65_536, i32::MIN, i32::MAX]);
}

#[test]
fn i32_is_an_i32() {
    round_trips("i32", [0, 1, -1, i32::MIN, i32::MAX]);
}

#[test]
fn u32_is_an_i32() {
    round_trips("u32", [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
}

#[test]
fn i64_is_an_i64() {
    round_trips("i64", [0, 1, -1, 1 << 32, i64::MIN, i64::MAX]);
}

#[test]
fn u64_is_an_i64() {
    round_trips("u64", [0, 1, 1 << 32, 1 << 63, u64::MAX]);
}

// Floats are compared by their bits: NaN equals nothing, and -0.0 equals 0.0.

#[test]
fn f32_keeps_every_bit() {
    let values = [
        0.0,
        -0.0,
        1.5,
        f32::MIN,
        f32::MAX,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        -f32::NAN,
        f32::from_bits(0x7fc1_2345),
    ];
    let mut instance = guest("values").instantiate(()).unwrap();
    for value in values {
        for name in ["own f32", "host f32"] {
            let found = instance.call::<f32, f32>(name, value).unwrap();
            assert_eq!(found.to_bits(), value.to_bits(), "{name} {value}");
        }
    }
}

#[test]
fn f64_keeps_every_bit() {
    let values = [
        0.0,
        -0.0,
        1.5,
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        -f64::NAN,
        f64::from_bits(0x7ff8_1234_5678_9abc),
    ];
    let mut instance = guest("values").instantiate(()).unwrap();
    for value in values {
        for name in ["own f64", "host f64"] {
            let found = instance.call::<f64, f64>(name, value).unwrap();
            assert_eq!(found.to_bits(), value.to_bits(), "{name} {value}");
        }
    }
}

#[test]
fn bool_is_0_or_1() {
    round_trips("bool", [false, true]);
    refuses::<bool>("bool", "a bool (0 or 1)", &[2, -1, 256, i32::MIN]);
}

#[test]
fn char_is_a_scalar_value() {
    round_trips("char", ['\0', 'a', '\u{d7ff}', '\u{e000}', '😀', char::MAX]);
    refuses::<char>("char", "a char", &[0xd800, 0xdfff, 0x11_0000, -1]);
}

#[test]
fn unit_is_nothing() {
    round_trips("unit", [()]);
}
