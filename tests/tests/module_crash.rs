//! Modules that were installed survive the kill of the process that installs and loads them (C05).
//!
//! In each round a child process watches a directory, installs numbered versions of one plugin in
//! it, and prints each number when the version is installed. It is killed at a random moment: while
//! it writes a file, renames it, loads it, or replaces the plugin. Then the directory is opened as
//! after a restart. The plugin must be the version that was printed last, or the one after it. The
//! directory is kept for all rounds. `HOSTEL_CRASH_ROUNDS` sets their number:
//!
//! ```sh
//! HOSTEL_CRASH_ROUNDS=200 cargo test -p hostel-tests --test module_crash
//! ```
//!
//! The loss of the disk's own cache, as by a loss of power, is not tested.

use hostel::{DirectoryEvent, Host, PluginDirectory, install_module};
use hostel_tests::{Random, crash, quiet, that_says};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Makes a module whose plugin returns `number`. Its length, up to 300 KB, follows from the number,
/// and most of it is unused text: writing it takes time, and half of a module shows.
fn module(number: u64) -> Vec<u8> {
    let mut wasm = that_says(&number.to_string());
    let length = 3 * 128 + (number * 7_919 % 300_000) as usize;
    // A custom section: its id, its length in three bytes, and an empty name.
    let bytes = [length, length >> 7, length >> 14].map(|bits| (bits & 0x7f) as u8);
    wasm.extend([0, bytes[0] | 0x80, bytes[1] | 0x80, bytes[2], 0]);
    wasm.extend(number.to_le_bytes().iter().cycle().take(length - 1));
    wasm
}

/// Installs the versions after `last`, until it is killed.
fn child(path: &Path, last: u64) {
    let host = Arc::new(Host::new(hostel::engine()));
    let directory = PluginDirectory::new(host, path, |_| quiet());
    let _watched = directory.watch().expect("the directory is watched");
    for number in last + 1.. {
        let path = path.join("name.wasm");
        install_module(path, &module(number)).expect("a module is installed");
        crash::tell(number);
    }
}

/// Returns the number of the version that is loaded after a restart; 0 if there is none.
fn restarted(path: &Path) -> u64 {
    let host = Arc::new(Host::new(hostel::engine()));
    let failures = Arc::new(Mutex::new(Vec::new()));
    let seen = failures.clone();
    let mut directory = PluginDirectory::new(host.clone(), path, |_| quiet());
    directory = directory.with_observer(move |event| {
        if let DirectoryEvent::Failed(error) = event {
            seen.lock().expect("nobody panics").push(error.to_string());
        }
    });
    directory.rescan();
    assert_eq!(*failures.lock().expect("nobody panics"), [""; 0]);
    match &*host.list() {
        [] => 0,
        [name] if name == "name" => {
            let answer = host.process("name", b"").expect("it answers");
            let answer = String::from_utf8(answer).expect("it is text");
            let number = answer.parse().expect("it is a number");
            let wasm = std::fs::read(path.join("name.wasm")).expect("it is there");
            assert!(wasm == module(number), "version {number} is torn");
            number
        }
        others => panic!("{others:?} are none of the plugins"),
    }
}

fn main() {
    if let Some((path, last)) = crash::in_child() {
        return child(&path, last);
    }
    let rounds = crash::rounds();
    let directory = tempfile::tempdir().expect("there is a place for files");
    let path = directory.path();
    let mut random = Random::new(20_261_127);
    let (mut last, mut unheard, mut early) = (0, 0, 0);
    for round in 0..rounds {
        // One in four is killed any time after its start, perhaps before it watches the directory.
        let (from_start, after) = (round % 4 == 0, random.below(150_000) as u64);
        let told = crash::killed(path, last, from_start, Duration::from_micros(after));
        let found = restarted(path);
        assert!(
            (told..=told + 1).contains(&found),
            "version {told} was told, {found} is served"
        );
        unheard += found - told;
        early += u64::from(told == last);
        last = found;
    }
    let files = std::fs::read_dir(path).expect("it can be read").count() - 1;
    println!(
        "killed {rounds} times ({early} before the first version); {last} versions installed, {unheard} of them not told; none lost; {files} temporary files left"
    );
    assert!(
        last >= rounds - rounds.div_ceil(4),
        "most rounds install a version"
    );
}
