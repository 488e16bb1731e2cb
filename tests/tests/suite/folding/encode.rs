//! From the text of a chain's parts to bytes.

use super::chains::{F32, I32, I64};

/// The names of the locals in texts here, in their order.
const NAMES: [&str; 11] = ["a", "b", "c", "d", "e", "f", "t", "u", "r", "x", "y"];

/// Encodes `text`: instructions with immediates of one byte, names of locals, blocks with the type of
/// their result or none.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        match word {
            "block" | "if" => {
                bytes.push(if word == "block" { 0x02 } else { 0x04 });
                bytes.push(match words.peek().copied() {
                    Some("i32") => I32,
                    Some("i64") => I64,
                    _ => {
                        bytes.push(0x40);
                        continue;
                    }
                });
                words.next();
            }
            "select" => match words.peek().copied() {
                Some(ty @ ("i32" | "i64" | "f32")) => {
                    let ty = match ty {
                        "i32" => I32,
                        "i64" => I64,
                        _ => F32,
                    };
                    bytes.extend([0x1c, 1, ty]);
                    words.next();
                }
                _ => bytes.push(0x1b),
            },
            "f32.const" => {
                let value: f32 = words.next().unwrap().parse().unwrap();
                bytes.push(0x43);
                bytes.extend(value.to_le_bytes());
            }
            "f64.const" => {
                let value: f64 = words.next().unwrap().parse().unwrap();
                bytes.push(0x44);
                bytes.extend(value.to_le_bytes());
            }
            "i32.const" | "i64.const" => {
                let value: u8 = words.next().unwrap().parse().unwrap();
                bytes.push(if word == "i32.const" { 0x41 } else { 0x42 });
                if value < 64 {
                    bytes.push(value);
                } else {
                    bytes.extend([value | 0x80, value >> 7]);
                }
            }
            _ => bytes.extend(plain(word).unwrap_or_else(|| immediate(word))),
        }
    }
    bytes
}

/// A number, or a local's.
fn immediate(word: &str) -> &'static [u8] {
    const NUMBERS: [u8; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    let at = NAMES.iter().position(|name| *name == word);
    let at = at.unwrap_or_else(|| word.parse().unwrap_or_else(|_| panic!("{word}")));
    &NUMBERS[at..=at]
}

fn plain(word: &str) -> Option<&'static [u8]> {
    Some(match word {
        "else" => &[0x05],
        "end" => &[0x0b],
        "br_if" => &[0x0d],
        "br_table_01" => &[0x0e, 1, 0, 1],
        "br_table_012" => &[0x0e, 2, 0, 1, 2],
        "return" => &[0x0f],
        "call" => &[0x10],
        "drop" => &[0x1a],
        "local.get" => &[0x20],
        "local.set" => &[0x21],
        "local.tee" => &[0x22],
        "global.get" => &[0x23],
        "global.set" => &[0x24],
        "table.get" => &[0x25],
        "i64.load" => &[0x29, 3, 0],
        "i64.load8_u" => &[0x31, 0, 0],
        "i64.load8_u_far" => &[0x31, 0, 0x80, 0x80, 4],
        "i64.load32_u" => &[0x35, 2, 0],
        "i32.store" => &[0x36, 2, 0],
        "i64.store" => &[0x37, 3, 0],
        "f32.store" => &[0x38, 2, 0],
        "f64.store" => &[0x39, 3, 0],
        "i32.store8" => &[0x3a, 0, 0],
        "i32.store8_far" => &[0x3a, 0, 0x80, 0x80, 4],
        "i32.eqz" => &[0x45],
        "i32.eq" => &[0x46],
        "i32.ne" => &[0x47],
        "i32.lt_s" => &[0x48],
        "i32.gt_s" => &[0x4a],
        "i32.le_u" => &[0x4d],
        "i64.eqz" => &[0x50],
        "i64.eq" => &[0x51],
        "i64.ne" => &[0x52],
        "i64.lt_s" => &[0x53],
        "i64.ge_u" => &[0x5a],
        "f32.eq" => &[0x5b],
        "f32.lt" => &[0x5d],
        "f32.ge" => &[0x60],
        "f64.ne" => &[0x62],
        "f64.le" => &[0x65],
        "i32.add" => &[0x6a],
        "i32.sub" => &[0x6b],
        "i32.mul" => &[0x6c],
        "i32.and" => &[0x71],
        "i32.or" => &[0x72],
        "i32.xor" => &[0x73],
        "i32.shl" => &[0x74],
        "i64.add" => &[0x7c],
        "i64.sub" => &[0x7d],
        "i64.and" => &[0x83],
        "i64.or" => &[0x84],
        "i64.xor" => &[0x85],
        "f32.abs" => &[0x8b],
        "f32.neg" => &[0x8c],
        "f64.neg" => &[0x9a],
        "i32.wrap_i64" => &[0xa7],
        "i64.extend_i32_s" => &[0xac],
        "i64.extend_i32_u" => &[0xad],
        "f64.convert_i32_s" => &[0xb7],
        "i32.reinterpret_f32" => &[0xbc],
        "i64.reinterpret_f64" => &[0xbd],
        "f32.reinterpret_i32" => &[0xbe],
        "i32.extend8_s" => &[0xc0],
        "ref.is_null" => &[0xd1],
        _ => return None,
    })
}
