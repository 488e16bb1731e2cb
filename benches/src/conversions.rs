//! How long a unit of fuel can be made to take by what the host makes of a guest's result: texts,
//! errors and serialised values, with the bytes that expand most.

use hostel::{Budget, CallError, Grants, Instance, Lift, Postcard};
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, LinkedList, VecDeque},
    time::{Duration, Instant},
};

const TURNS: usize = 5;

/// The most nanoseconds for a unit of fuel.
const TARGET: f64 = 100.0;

/// The longest time of a conversion that looks at no deadline: what a call may take after it.
const LONGEST: Duration = Duration::from_millis(10);

/// The most bytes that a guest returns by default.
const MOST: usize = 16 << 20;

/// Keeps the bytes that `put` passes, and returns them: as a value, as an error, as four values.
const GUEST: &str = r#"(module
    (memory (export "memory") 258 258)
    (global $size (mut i32) (i32.const 0))
    (func (export "allocate") (param i32) (result i32) (i32.const 65536))
    (func (export "put") (param i32 i32) (global.set $size (local.get 1)))
    (func (export "value") (result i32 i32) (i32.const 65536) (global.get $size))
    (func (export "error") (result i32 i32)
      (i32.const 65536) (i32.or (global.get $size) (i32.const 0x80000000)))
    (func (export "four") (result i32 i32 i32 i32 i32 i32 i32 i32)
      (i32.const 65536) (global.get $size) (i32.const 65536) (global.get $size)
      (i32.const 65536) (global.get $size) (i32.const 65536) (global.get $size)))"#;

/// The fuel and the time of a conversion, whether it succeeded or was refused, and how it ended.
struct Taken {
    fuel: u64,
    time: Duration,
    end: &'static str,
}

impl Taken {
    fn per_unit(&self) -> f64 {
        self.time.as_nanos() as f64 / self.fuel as f64
    }
}

/// Converts `bytes` from `export`, and drops what came of them.
fn converted<R>(export: &str, bytes: &[u8]) -> Taken
where
    R: for<'m> Lift<View<'m> = R>,
{
    let mut budget = Budget::server().with_fuel(100_000_000);
    budget.error_bytes = MOST * 3;
    let wasm = wat::parse_str(GUEST).expect("the guest assembles");
    let plugin = hostel::engine()
        .load::<()>("guest", &wasm, &Grants::new())
        .expect("the guest loads")
        .with_budget(budget);
    let turn = || {
        let mut instance: Instance = plugin.instantiate(()).expect("it starts");
        instance
            .call::<&[u8], ()>("put", bytes)
            .expect("it keeps the bytes");
        let start = Instant::now();
        let result = instance.call::<(), R>(export, ());
        let end = result.as_ref().err().map_or("ok", CallError::code);
        drop(result);
        let (time, fuel) = (start.elapsed(), instance.usage().fuel);
        Taken { fuel, time, end }
    };
    let turns = (0..TURNS).map(|_| turn());
    turns.min_by_key(|taken| taken.time).expect("some turns")
}

fn serialised<T: DeserializeOwned>(bytes: &[u8]) -> Taken {
    converted::<Postcard<T>>("value", bytes)
}

/// Writes `value` as postcard writes a length.
fn length(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Returns 16 MiB: a length, and as many elements as follow of the bytes `element`.
fn many(element: &[u8]) -> Vec<u8> {
    let count = (MOST - 8) / element.len();
    [length(count as u64), element.repeat(count)].concat()
}

/// Returns 16 MiB: a length, and elements that differ, each of six bytes.
fn different() -> Vec<u8> {
    let count = (MOST - 8) / 6;
    let element = |number: usize| {
        // Spread, so that neighbours in the input are far from each other in a table or a tree.
        let mut bytes = length((number as u64 * 0x9e37_79b1) & 0x7fff_ffff | 1 << 28);
        bytes.push(0);
        bytes
    };
    [length(count as u64), (0..count).flat_map(element).collect()].concat()
}

/// A row: what it is, its measure, and whether the deadline is looked at meanwhile.
type Row = (&'static str, fn() -> Taken, bool);

#[rustfmt::skip] // a table
const ROWS: &[Row] = &[
    ("bytes of 16 MiB", || converted::<Vec<u8>>("value", &vec![7; MOST]), false),
    ("text of 16 MiB, ASCII", || converted::<String>("value", &vec![b'a'; MOST]), true),
    ("text of 16 MiB, of two bytes each", || converted::<String>("value", &"é".repeat(MOST / 2).into_bytes()), true),
    ("text of 16 MiB, of four bytes each", || converted::<String>("value", &"😀".repeat(MOST / 4).into_bytes()), true),
    ("four texts of 4 MiB in one place", || {
        type Four = (String, String, String, String);
        converted::<Four>("four", &vec![b'a'; MOST / 4])
    }, false),
    ("error of 64 KiB, ASCII", || converted::<Vec<u8>>("error", &[b'a'; 64 << 10]), false),
    ("error of 64 KiB, not UTF-8", || converted::<Vec<u8>>("error", &[0xff; 64 << 10]), false),
    ("error of 64 KiB, of cut characters", || converted::<Vec<u8>>("error", &[0xf0; 64 << 10]), false),
    ("error of 64 KiB, every second byte not UTF-8", || converted::<Vec<u8>>("error", &b"a\xff".repeat(32 << 10)), false),
    ("Vec<u8>", || serialised::<Vec<u8>>(&many(&[7])), true),
    ("Vec<u64>", || serialised::<Vec<u64>>(&many(&[7])), true),
    ("Vec<[u64; 4]>", || serialised::<Vec<[u64; 4]>>(&many(&[1, 2, 3, 4])), true),
    ("Vec<Option<[u64; 4]>>", || serialised::<Vec<Option<[u64; 4]>>>(&many(&[0])), true),
    ("Vec<(u8, u8, u8, u8, u8, u8)>", || serialised::<Vec<(u8, u8, u8, u8, u8, u8)>>(&many(&[7])), true),
    ("Vec<Vec<u8>>, empty", || serialised::<Vec<Vec<u8>>>(&many(&[0])), true),
    ("Vec<Vec<u8>>, of one", || serialised::<Vec<Vec<u8>>>(&many(&[1, 7])), true),
    ("Vec<Vec<Vec<u8>>>, of one", || serialised::<Vec<Vec<Vec<u8>>>>(&many(&[1, 1, 7])), true),
    ("Vec<String>, of one", || serialised::<Vec<String>>(&many(&[1, b'a'])), true),
    ("Vec<char>", || serialised::<Vec<char>>(&many(&[1, b'a'])), true),
    ("String", || serialised::<String>(&[length(4 << 20), vec![b'a'; 4 << 20]].concat()), true),
    ("Vec<Box<[u64; 4]>>", || serialised::<Vec<Box<[u64; 4]>>>(&many(&[1, 2, 3, 4])), true),
    ("LinkedList<u8>", || serialised::<LinkedList<u8>>(&many(&[7])), true),
    ("VecDeque<u64>", || serialised::<VecDeque<u64>>(&many(&[7])), true),
    ("BTreeSet<u64>, one value", || serialised::<BTreeSet<u64>>(&many(&[7])), true),
    ("BTreeSet<u64>, spread", || serialised::<BTreeSet<u64>>(&different()), true),
    ("HashSet<u64>, spread", || serialised::<HashSet<u64>>(&different()), true),
    ("HashMap<u64, ()>, spread", || serialised::<HashMap<u64, ()>>(&different()), true),
    ("BTreeMap<u64, ()>, spread", || serialised::<BTreeMap<u64, ()>>(&different()), true),
    ("Vec<BTreeSet<u64>>, of one", || serialised::<Vec<BTreeSet<u64>>>(&many(&[1, 7])), true),
    ("Vec<HashMap<u8, u64>>, of one", || serialised::<Vec<HashMap<u8, u64>>>(&many(&[1, 7, 7])), true),
    ("Vec<()>, without end", || serialised::<Vec<()>>(&length(u64::MAX)), true),
    ("BTreeSet<()>, without end", || serialised::<BTreeSet<()>>(&length(u64::MAX)), true),
    ("LinkedList<()>, without end", || serialised::<LinkedList<()>>(&length(u64::MAX)), true),
];

/// Measures and prints. Whether no unit of fuel takes longer than the target, and no conversion that
/// looks at no deadline too long.
pub fn run() -> bool {
    println!("conversions of a guest's result: ns for a unit of fuel, ms, fuel, end");
    let mut met = true;
    for (name, measure, looks) in ROWS {
        let taken = measure();
        let ok = taken.per_unit() <= TARGET && (*looks || taken.time <= LONGEST);
        met &= ok;
        println!(
            "  {:>6.1} {:>8.2} {:>10}  {:<24} {name}{}",
            taken.per_unit(),
            taken.time.as_secs_f64() * 1_000.0,
            taken.fuel,
            taken.end,
            if ok { "" } else { "  MISSED" }
        );
    }
    met
}
