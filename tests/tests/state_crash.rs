//! State in a file loses no acknowledged value when its process is killed (S09, C05).
//!
//! In each round a child process opens the store, sets numbered values, and prints each number when
//! its value is set. It is killed at a random moment. Then the store is opened: each key must have
//! the value that was printed last for it, or the one that was being set. The file is kept for all
//! rounds. In as many more rounds the child is killed about when it creates a file of its own.
//! `HOSTEL_CRASH_ROUNDS` sets their number:
//!
//! ```sh
//! HOSTEL_CRASH_ROUNDS=200 cargo test -p hostel-tests --test state_crash
//! ```
//!
//! The loss of the disk's own cache, as by a loss of power, is not tested.

use hostel::{FileState, StateLimits, StateStore as _, StateUse};
use hostel_tests::{Random, crash};
use std::{path::Path, time::Duration};

/// How many keys are set in turn.
const KEYS: u64 = 7;

fn open(path: &Path) -> FileState {
    FileState::open(path, StateLimits::server()).expect("the store opens")
}

fn key(number: u64) -> Vec<u8> {
    vec![b'k'; 1 + (number % KEYS) as usize]
}

/// Makes the value of a number. Its length follows from the number, so that half of a value, or a
/// mixture of two, shows.
fn value(number: u64) -> Vec<u8> {
    let length = 8 + (number * 7_919 % 20_000) as usize;
    number
        .to_le_bytes()
        .into_iter()
        .cycle()
        .take(length)
        .collect()
}

/// Sets the values after `last`, until it is killed.
fn child(path: &Path, last: u64) {
    let store = open(path);
    for number in last + 1.. {
        store
            .set("guest", &key(number), &value(number))
            .expect("a value is set");
        crash::tell(number);
    }
}

/// Checks the values in the store. Returns the number of the last one.
fn check(path: &Path, told: u64) -> u64 {
    let store = open(path);
    let mut used = StateUse::default();
    let mut last = told;
    for place in 0..KEYS {
        // The last number for this key that was told, and the next one.
        let old = (0..KEYS)
            .map(|back| told.wrapping_sub(back))
            .find(|n| n % KEYS == place);
        let old = old.filter(|number| (1..=told).contains(number));
        let found = store.get("guest", &key(place)).expect("it can be read");
        if let Some(found) = &found {
            used.keys += 1;
            used.bytes += key(place).len() + found.len();
        }
        if found.as_deref() == old.map(value).as_deref() {
            continue;
        }
        let new = told + 1;
        assert_eq!(new % KEYS, place, "value {old:?} is lost");
        assert!(found.as_deref() == Some(&value(new)), "value {new} is torn");
        last = new;
    }
    assert_eq!(store.used("guest"), Ok(used), "the accounts are in step");
    last
}

fn main() {
    if let Some((path, last)) = crash::in_child() {
        return child(&path, last);
    }
    let rounds = crash::rounds();
    let directory = tempfile::tempdir().expect("there is a place for files");
    let path = directory.path().join("state");
    let mut random = Random::new(20_261_123);
    let (mut last, mut unheard, mut early) = (0, 0, 0);
    for round in 0..rounds {
        // One in four is killed any time after its start, perhaps before it has opened the store.
        let (from_start, after) = (round % 4 == 0, random.below(60_000) as u64);
        let told = crash::killed(&path, last, from_start, Duration::from_micros(after));
        let found = check(&path, told);
        unheard += found - told;
        early += u64::from(told == last);
        last = found;
    }
    for round in 0..rounds {
        // A file that is killed while it is created, or soon after, can always be opened.
        let path = directory.path().join(format!("state {round}"));
        let after = Duration::from_micros(random.below(20_000) as u64);
        let told = crash::killed(&path, 0, true, after);
        check(&path, told);
    }
    println!(
        "killed {rounds} times ({early} before the first value); {last} values set, {unheard} of them not told; none lost"
    );
    assert!(
        last >= rounds - rounds.div_ceil(4),
        "most rounds set a value"
    );
}
