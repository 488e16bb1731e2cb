//! A02: what `allocate` returns: 0, addresses outside of memory, and addresses with too little room
//! behind them. Any address with enough room will do: memory that overlaps harms the guest only.

use super::{FINE, pointers::END};
use crate::case::{Case, Verdict, fails, returns, traps};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (address, room) in ADDRESSES {
        for_the_input(&mut cases, address, room);
        for_the_record(&mut cases, address, room);
        for_a_setting(&mut cases, address, room);
    }
    cases
}

/// An address that `allocate` returns, and how many bytes of memory there are from there on.
const ADDRESSES: [(u32, u32); 17] = [
    (0, 0),
    (1, END - 1),
    (3, END - 3),
    (17, END - 17),
    (1024, END - 1024),
    (END - 9, 9),
    (END - 8, 8),
    (END - 7, 7),
    (END - 5, 5),
    (END - 4, 4),
    (END - 1, 1),
    (END, 0),
    (END + 1, 0),
    (0x7fff_ffff, 0),
    (0x8000_0000, 0),
    (u32::MAX - 4, 0),
    (u32::MAX, 0),
];

/// The text of a module whose `allocate` returns `address` if `condition` holds, and 2048 if not.
fn module(imports: &str, address: u32, condition: &str, items: &str) -> String {
    format!(
        r#"(module {imports} (memory (export "memory") 2) {FINE}
            (data (i32.const 64) "key")
            (func (export "allocate") (param $size i32) (result i32)
              (select (i32.const {address}) (i32.const 2048) {condition}))
            {items})"#
    )
}

const ALWAYS: &str = "(i32.const 1)";

/// Judges a call that needs `size` bytes at `address`. 0 says that the guest has no memory left.
fn verdict(address: u32, room: u32, size: u32) -> Verdict {
    match address {
        0 => fails("no-memory"),
        _ if room >= size => returns("hello"),
        _ => fails("out-of-bounds"),
    }
}

fn for_the_input(cases: &mut Vec<Case>, address: u32, room: u32) {
    let echo =
        r#"(func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))"#;
    cases.push(Case::process(
        format!("A02/allocate returns {address:#x} for the input"),
        module("", address, ALWAYS, echo),
        "hello",
        verdict(address, room, 5),
    ));
}

/// The record of eight bytes in which a guest of the pointer shape returns its result.
fn for_the_record(cases: &mut Vec<Case>, address: u32, room: u32) {
    let echo = r#"(func (export "process") (param i32 i32 i32)
        (i32.store (local.get 0) (local.get 1)) (i32.store offset=4 (local.get 0) (local.get 2)))"#;
    let verdict = match verdict(address, room, 8) {
        // The guest writes to it before the host reads it.
        Verdict::Fails(code) if code == "out-of-bounds" => traps("trap-memory"),
        verdict => verdict,
    };
    let of_the_record = "(i32.eq (local.get $size) (i32.const 8))";
    cases.push(Case::process(
        format!("A02/allocate returns {address:#x} for the record"),
        module("", address, of_the_record, echo),
        "hello",
        verdict,
    ));
}

/// The value that a host function gives to the guest, in each shape.
fn for_a_setting(cases: &mut Vec<Case>, address: u32, room: u32) {
    #[rustfmt::skip] // a table
    let shapes = [
        ("values",
            "(param i32 i32) (result i32 i32)",
            "(call $get (i32.const 64) (i32.const 3)) (drop) (local.set 0)
             (i32.load (local.get 0))"),
        ("packed",
            "(param i32 i32) (result i64)",
            "(i32.load (i32.wrap_i64 (i64.shr_u
               (call $get (i32.const 64) (i32.const 3)) (i64.const 32))))"),
        ("pointer",
            "(param i32 i32 i32)",
            "(call $get (i32.const 128) (i32.const 64) (i32.const 3))
             (i32.load (i32.load (i32.const 128)))"),
    ];
    for (shape, ty, run) in shapes {
        let import = format!(r#"(import "env" "host_get_config" (func $get {ty}))"#);
        let items = format!(r#"(func (export "run") (result i32) (local i32) {run})"#);
        // The value is `value`, of five bytes; the guest returns the first four as a number.
        let verdict = if address != 0 && room >= 5 {
            returns(u32::from_le_bytes(*b"valu").to_string())
        } else {
            traps("trap-host-call")
        };
        let name = format!("A02/allocate returns {address:#x} for a setting {shape}");
        let text = module(&import, address, ALWAYS, &items);
        cases.push(Case::run_export(name, text, verdict));
    }
}
