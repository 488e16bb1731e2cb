//! Tells the linker the memory, and assembles the plugins. A device gets its plugins by other ways.

use std::{env, fs, path::PathBuf};

fn main() {
    for file in ["memory.x", "guests"] {
        println!("cargo::rerun-if-changed={file}");
    }
    let variable = |name| PathBuf::from(env::var_os(name).expect("cargo sets it"));
    let here = variable("CARGO_MANIFEST_DIR");
    println!("cargo::rustc-link-search={}", here.display());
    println!("cargo::rustc-link-arg=-Tdefmt.x");
    for file in fs::read_dir(here.join("guests")).expect("plugins are there") {
        let path = file.expect("a directory can be read").path();
        let wasm = wat::parse_file(&path).unwrap_or_else(|error| panic!("{error}"));
        let name = path.file_stem().expect("it has a name");
        let out = variable("OUT_DIR").join(name).with_extension("wasm");
        fs::write(out, wasm).expect("the output directory can be written");
    }
}
