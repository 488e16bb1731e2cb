//! What a user relies on, a subject a module. One program, because what many programs would build
//! and link anew is most of what tests cost. Tests that measure their whole process, replace its
//! allocator, or kill it stand beside this folder as programs of their own.

#![cfg_attr(not(unix), allow(dead_code, unused_imports))] // Some tests are for Unix alone.

mod abort;
mod bad_guests;
mod bad_host_calls;
mod bad_modules;
mod bulk;
mod cached;
mod call_trace;
mod charges;
mod component;
mod conventions;
mod copies;
mod deadlines;
mod executors;
mod folding;
#[cfg(target_os = "linux")]
mod full_disk;
mod guest_traps;
mod guests;
mod host;
mod http;
mod initialisers;
mod instances;
mod intake;
mod interpreter_faults;
mod interrupted;
mod lazy;
mod lecture;
mod linking;
#[cfg(target_os = "linux")]
mod mappings;
mod memory_access;
mod mismatches;
mod native_abi;
mod native_http;
mod nested;
mod prepared;
mod refused_growth;
mod requests;
mod reuse;
mod rewriting;
mod runaway_guests;
mod skipped_code;
mod snapshot;
mod starts;
mod state;
mod state_file;
mod state_model;
mod steps;
mod stubs;
mod typed;
mod types;
mod usage;
mod waiting;
mod warm;
mod wasi;
mod watch;

use std::{fs, path::Path};

/// Collects the files below `folder` that its `main.rs` or `mod.rs` has not made part of a program.
fn forgotten(folder: &Path, root: &str, found: &mut Vec<String>) {
    let root = fs::read_to_string(folder.join(root)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy();
        let is_root = matches!(&*name, "main" | "mod");
        if !is_root && !root.contains(&format!("\nmod {name};")) {
            found.push(path.display().to_string());
        }
        if path.is_dir() {
            forgotten(&path, "mod.rs", found);
        }
    }
}

/// The compiler does not miss a file that no module names, and its tests would never run.
#[test]
fn each_file_is_part_of_a_program() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut found = Vec::new();
    for program in fs::read_dir(tests).unwrap() {
        let program = program.unwrap().path();
        if program.is_dir() {
            forgotten(&program, "main.rs", &mut found);
        }
    }
    assert_eq!(found, [""; 0]);
}
