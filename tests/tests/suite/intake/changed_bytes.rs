//! Modules with bytes changed at random: loading and calling them breaks no bound.

use super::{engine, suite::MODULES};
use hostel::{Grants, LogRecord, Plugin, Value};
use hostel_tests::{code, guest_bytes, load_code};
use std::collections::BTreeMap;

/// Pseudo-random numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).expect("it is less than a usize")
    }

    /// Returns a short range from `at` on.
    fn some(&mut self, at: usize, bytes: &[u8]) -> core::ops::Range<usize> {
        at..(at + self.below(32)).min(bytes.len())
    }

    /// Returns `module` with one to three changes, some of which insert a part of `other`.
    fn changed(&mut self, module: &[u8], other: &[u8]) -> Vec<u8> {
        const EDGES: [u8; 12] = [
            0, 1, 2, 0x0b, 0x40, 0x60, 0x7f, 0x80, 0xc0, 0xfc, 0xfe, 0xff,
        ];
        let mut bytes = module.to_vec();
        for _ in 0..=self.below(3) {
            // Seldom in the first bytes: if they are wrong, no other byte is read.
            let from = if self.below(32) == 0 { 0 } else { 8 };
            let at = (from + self.below(bytes.len().saturating_sub(from))).min(bytes.len());
            match self.below(8) {
                0 | 1 => {
                    let bit = 1 << self.below(8);
                    bytes
                        .iter_mut()
                        .skip(at)
                        .take(1)
                        .for_each(|byte| *byte ^= bit);
                }
                2 | 3 => {
                    let edge = EDGES[self.below(EDGES.len())];
                    bytes
                        .iter_mut()
                        .skip(at)
                        .take(1)
                        .for_each(|byte| *byte = edge);
                }
                4 => bytes.insert(at, EDGES[self.below(EDGES.len())]),
                5 => drop(bytes.drain(self.some(at, &bytes))),
                6 => {
                    let start = self.below(other.len());
                    let part = other[self.some(start, other)].to_vec();
                    bytes.splice(self.some(at, &bytes), part);
                }
                _ if self.below(8) == 0 => bytes.truncate(at),
                _ => {
                    let part = bytes[self.some(at, &bytes)].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        bytes
    }
}

#[test]
fn changed_modules_break_neither_loading_nor_bounds() {
    const FUEL: u64 = 20_000;
    const GUESTS: [&str; 8] = [
        "customize",
        "greet",
        "c_customize_retptr",
        "c_malloc_free",
        "wat_customize_multi",
        "wat_customize_retptr",
        "wat_greet_multi",
        "wat_reactor",
    ];
    let engine = engine(FUEL);
    let grants = Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")]);
    let small = MODULES.iter().filter(|case| case.wasm.len() < 4_000);
    let guests = GUESTS.map(guest_bytes);
    let originals: Vec<&[u8]> = small
        .map(|case| &*case.wasm)
        .chain(guests.iter().map(|guest| &**guest))
        .collect();

    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut at_the_door = BTreeMap::<&str, usize>::new();
    let mut loaded = BTreeMap::<&str, usize>::new();
    let mut called = BTreeMap::<&str, usize>::new();
    for round in 0..50_000 {
        // The guests are few, but only they call the host, so that every fourth round takes one.
        let from = if round % 4 == 0 {
            originals.len() - GUESTS.len()
        } else {
            0
        };
        let original = originals[from + random.below(originals.len() - from)];
        let other = originals[random.below(originals.len())];
        let wasm = random.changed(original, other);
        let checked = engine.check(&wasm, &grants);
        *at_the_door.entry(load_code(&checked)).or_default() += 1;
        if checked.is_err() {
            continue;
        }
        let plugin = engine.load("changed", &wasm, &grants);
        *loaded.entry(load_code(&plugin)).or_default() += 1;
        if let Ok(plugin) = plugin {
            call_all(&plugin, FUEL, &mut called);
        }
    }
    println!("at the door: {at_the_door:#?}\nloaded: {loaded:#?}\ncalled: {called:#?}");
    let enough = |counts: &BTreeMap<&str, usize>| counts["ok"] >= 1_000;
    assert!([&at_the_door, &loaded, &called].into_iter().all(enough));
    hostel_tests::a_good_plugin_still_answers();
}

/// Calls what a plugin exports with numbers and with text, and counts the codes of the results.
fn call_all(plugin: &Plugin, fuel: u64, called: &mut BTreeMap<&'static str, usize>) {
    let info = plugin.info();
    for name in info.function_names() {
        let started = plugin.instantiate(());
        let Ok(mut instance) = started else {
            *called.entry(code(&started)).or_default() += 1;
            return;
        };
        let text = instance.call_bytes(name, b"text", |answer| answer.len());
        *called.entry(code(&text)).or_default() += 1;
        for params in [
            &[][..],
            &[Value::I32(-1)],
            &[Value::I32(8), Value::I32(1 << 16)],
        ] {
            let result = instance.call_values(name, params);
            *called.entry(code(&result)).or_default() += 1;
            assert!(instance.usage().fuel <= fuel && instance.start_usage().fuel <= fuel);
            assert!(instance.memory_bytes() <= plugin.limits().memory_bytes);
        }
    }
}
