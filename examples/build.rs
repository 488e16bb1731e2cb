//! Builds the examples' plugins. A program of your own would get them as files.

use std::{env, path::PathBuf, process::Command};

fn main() {
    for source in ["plugins", "../guests/sdk"] {
        println!("cargo::rerun-if-changed={source}");
    }
    let variable = |name| PathBuf::from(env::var_os(name).expect("cargo sets it"));
    let target = variable("OUT_DIR").join("plugins");
    let built = Command::new(variable("CARGO"))
        .args([
            "build",
            "--quiet",
            "--locked",
            "--release",
            "--target",
            "wasm32-unknown-unknown",
        ])
        .arg("--target-dir")
        .arg(&target)
        .current_dir("plugins")
        // They are those of the host.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status()
        .expect("cargo can be started");
    assert!(
        built.success(),
        "the plugins can't be built; do you have `rustup target add wasm32-unknown-unknown`?"
    );
    let plugins = target.join("wasm32-unknown-unknown/release");
    println!("cargo::rustc-env=PLUGINS={}", plugins.display());
}
