//! Serialised values that are small as bytes and large, many, deep or endless as Rust values.

use super::{BOUND, Found, MOST, MOST_ELEMENTS, length, lifted, start};
use hostel::{Budget, CallError, Grants, Postcard};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque},
    thread,
};

/// The heap that a refused value may have taken before: the limit, and the instance's own.
const REFUSED: i64 = Budget::server().deserialized_bytes as i64 + (64 << 10);

#[derive(Deserialize)]
#[allow(dead_code)] // its size matters, not its contents; so for the other types
enum Expression {
    Number(u8),
    Negative(Box<Expression>),
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Node {
    children: Vec<Node>,
}

/// One value of each kind of field.
#[derive(Deserialize)]
#[allow(dead_code)]
struct Record {
    name: String,
    tags: BTreeMap<String, Option<u16>>,
    points: Vec<(f32, f32)>,
    next: Option<Box<Expression>>,
}

/// Returns `size` bytes: a length, and as many elements as follow of the bytes `element`.
fn many(size: usize, element: &[u8]) -> Vec<u8> {
    let count = (size - 8) / element.len();
    [length(count as u64), element.repeat(count)].concat()
}

/// A value's type, and how to pass it: as an export's result, or to a host function.
struct Row {
    name: &'static str,
    result: fn(Budget, &[u8]) -> Found<()>,
    argument: fn(Budget, &[u8]) -> Found<()>,
    /// The bytes of an element.
    element: &'static [u8],
}

fn result<T: serde::de::DeserializeOwned>(budget: Budget, bytes: &[u8]) -> Found<()> {
    let found = lifted::<Postcard<T>>(budget, "value", bytes);
    Found {
        result: found.result.map(drop),
        fuel: found.fuel,
        peak: found.peak,
    }
}

/// Makes a row for a type. A macro, because a generic function can't name a host function's parameter.
macro_rules! row {
    ($type:ty, $element:expr) => {
        Row {
            name: stringify!($type),
            result: result::<$type>,
            argument: |budget, bytes| {
                let grants = Grants::new().function("host", "take", |_: Postcard<$type>| {});
                passed(&grants, budget, bytes)
            },
            element: $element,
        }
    };
}

fn passed(grants: &Grants<()>, budget: Budget, bytes: &[u8]) -> Found<()> {
    let mut instance = start(grants, budget);
    let (mut result, mut fuel) = (Ok(()), 0);
    let peak = super::peak(|| {
        result = instance.call::<&[u8], ()>("give", bytes);
        fuel = instance.usage().fuel;
    });
    Found { result, fuel, peak }
}

#[rustfmt::skip] // a table
const ROWS: &[Row] = &[
    row!(Vec<u8>, &[7]),
    row!(Vec<u64>, &[7]),
    row!(Vec<[u64; 4]>, &[1, 2, 3, 4]),
    row!(Vec<Option<[u64; 4]>>, &[0]),
    row!(Vec<Vec<u8>>, &[0]),
    row!(Vec<Vec<u8>>, &[1, 7]),
    row!(Vec<Vec<Vec<u8>>>, &[1, 1, 7]),
    row!(Vec<String>, &[0]),
    row!(Vec<String>, &[1, b'a']),
    row!(Vec<char>, &[1, b'a']),
    row!(Vec<Box<u8>>, &[7]),
    row!(Vec<Box<[u64; 4]>>, &[1, 2, 3, 4]),
    row!(Vec<Option<Box<(u64, [Option<[u64; 4]>; 8])>>>, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    row!(Vec<Box<[u8]>>, &[1, 7]),
    row!(Vec<VecDeque<u8>>, &[1, 7]),
    row!(Vec<LinkedList<u8>>, &[1, 7]),
    row!(Vec<BTreeSet<u64>>, &[1, 7]),
    row!(Vec<BTreeSet<[u64; 4]>>, &[1, 1, 2, 3, 4]),
    row!(Vec<HashSet<u64>>, &[1, 7]),
    row!(Vec<BTreeMap<u8, [u64; 4]>>, &[1, 7, 1, 2, 3, 4]),
    row!(Vec<HashMap<u8, u64>>, &[1, 7, 7]),
    row!(Vec<BinaryHeap<u32>>, &[1, 7]),
    row!(VecDeque<u8>, &[7]),
    row!(LinkedList<u8>, &[7]),
    row!(BTreeSet<u8>, &[7]),
    row!(HashSet<u8>, &[7]),
    row!(BTreeMap<u8, [u64; 4]>, &[7, 1, 2, 3, 4]),
    row!(HashMap<u8, u8>, &[7, 7]),
    row!(Vec<Expression>, &[1, 0, 7]),
    row!(Vec<Node>, &[0]),
    row!(Vec<Node>, &[1, 1, 0]),
    row!(Vec<Record>, &[1, b'a', 1, 1, b'a', 1, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 7]),
];

/// Checks that a row's value was made within the bound, or refused at it.
fn check(row: &Row, way: &str, size: usize, found: &Found<()>) {
    let (name, peak) = (row.name, found.peak);
    match &found.result {
        Ok(()) => assert!(peak <= BOUND, "{name}, {way}: {peak} bytes"),
        Err(error) => {
            assert_eq!(error.code(), "deserialized-too-large", "{name}, {way}");
            let message = error.to_string();
            assert!(message.contains("raise `deserialized_bytes`"), "{message}");
            assert!(peak <= REFUSED, "{name}, {way}: {peak} bytes");
        }
    }
    // What was allocated is paid, the bytes are read twice, and each element has its unit. A refusal
    // may come at the first element.
    let least = 2 * (size as u64 / 64) + u64::try_from(peak).unwrap() / 64 / 4;
    assert!(
        found.fuel >= least,
        "{name}, {way}: {} fuel for {peak}",
        found.fuel
    );
}

#[test]
fn what_expands_most_stays_within_its_bound_and_is_paid() {
    for row in ROWS {
        let size = MOST / 4;
        let found = (row.result)(Budget::server(), &many(size, row.element));
        check(row, "a result", size, &found);
        let size = 1 << 20;
        let found = (row.argument)(Budget::server(), &many(size, row.element));
        check(row, "an argument", size, &found);
        // A few elements are no expansion that anybody has to refuse, also on a device.
        let found = (row.result)(Budget::device(), &many(48, row.element));
        assert!(found.result.is_ok(), "{}: {}", row.name, found.error());
    }
}

#[test]
fn a_raised_limit_lets_a_large_value_through() {
    let mut budget = Budget::server();
    budget.deserialized_bytes = 1 << 30;
    let input = many(1 << 20, &[0]);
    let found = result::<Vec<Option<[u64; 4]>>>(budget, &input);
    assert!(found.result.is_ok(), "{}", found.error());
    // Half of its heap may be unused room of a `Vec` that has just grown.
    assert!(found.peak >= 40 << 20, "{}", found.peak);
    assert!(found.fuel >= (1 << 20) + (40 << 20) / 64, "{}", found.fuel);
}

#[test]
fn values_without_a_size_end_by_a_bound_however_many_they_are() {
    fn code<T: serde::de::DeserializeOwned>(budget: Budget, count: u64) -> String {
        let found = result::<T>(budget, &length(count));
        assert!(found.peak <= REFUSED, "{}", found.peak);
        found.error().code().to_owned()
    }
    let budget = Budget::server().with_fuel(3_000_000);
    for count in [u64::from(u32::MAX), MOST_ELEMENTS] {
        assert_eq!(code::<Vec<()>>(budget, count), "out-of-fuel");
        assert_eq!(code::<Vec<[u64; 0]>>(budget, count), "out-of-fuel");
        assert_eq!(
            code::<BTreeSet<()>>(budget, count),
            "deserialized-too-large"
        );
        assert_eq!(code::<HashSet<()>>(budget, count), "deserialized-too-large");
        assert_eq!(
            code::<LinkedList<()>>(budget, count),
            "deserialized-too-large"
        );
        assert_eq!(
            code::<BTreeMap<(), ()>>(budget, count),
            "deserialized-too-large"
        );
        assert_eq!(code::<Vec<u8>>(budget, count), "serialization");
    }
}

/// Deep in `Expression`: a number inside so many signs.
fn deep(levels: usize) -> Vec<u8> {
    [vec![1; levels], vec![0, 7]].concat()
}

#[test]
fn a_value_nests_as_deep_as_the_budget_says() {
    // As little native stack as a thread of a small server may have.
    let small = thread::Builder::new().stack_size(256 << 10);
    let work = || {
        let levels = Budget::server().deserialized_levels;
        // Each sign is one level, and the number is one.
        let found = result::<Expression>(Budget::server(), &deep(levels - 1));
        assert!(found.result.is_ok(), "{}", found.error());
        for levels in [levels, 1_000_000] {
            let found = result::<Expression>(Budget::server(), &deep(levels));
            assert_eq!(found.error().code(), "nested-too-deep");
            found.refused_for("deserialized_levels");
        }
        let mut budget = Budget::server();
        budget.deserialized_levels = 2;
        assert!(result::<Expression>(budget, &deep(1)).result.is_ok());
        assert_eq!(
            result::<Expression>(budget, &deep(2)).error(),
            &CallError::NestedTooDeep { limit: 2 }
        );
    };
    small.spawn(work).unwrap().join().unwrap();
}

#[test]
fn the_values_of_one_call_count_together() {
    let mut budget = Budget::server();
    budget.deserialized_bytes = 2 * (1_024 + 16);
    type Four = (
        Postcard<Vec<u8>>,
        Postcard<Vec<u8>>,
        Postcard<Vec<u8>>,
        Postcard<Vec<u8>>,
    );
    let input = [length(600), vec![7; 600]].concat();
    let found = lifted::<Postcard<Vec<u8>>>(budget, "value", &input);
    assert!(found.result.is_ok());
    let found = lifted::<Four>(budget, "four", &input);
    assert_eq!(found.error().code(), "deserialized-too-large");
}

#[test]
fn nobody_goes_on_after_the_tally_has_stopped() {
    /// Reads elements, whatever they end with, and is content.
    struct Stubborn;
    impl<'de> Deserialize<'de> for Stubborn {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Stubborn;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("units")
                }
                fn visit_seq<A: serde::de::SeqAccess<'de>>(
                    self,
                    mut units: A,
                ) -> Result<Stubborn, A::Error> {
                    while let Ok(Some(())) = units.next_element() {}
                    for _ in 0..10_000 {
                        assert!(units.next_element::<()>().is_err());
                    }
                    Ok(Stubborn)
                }
            }
            from.deserialize_seq(Visitor)
        }
    }
    let found = result::<Stubborn>(Budget::server(), &length(MOST_ELEMENTS));
    assert_eq!(found.error().code(), "deserialized-too-large");
    let found = result::<Stubborn>(Budget::server().with_fuel(300_000), &length(MOST_ELEMENTS));
    assert_eq!(found.error(), &CallError::OutOfFuel { fuel: 300_000 });
}
