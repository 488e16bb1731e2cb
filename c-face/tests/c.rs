//! The header is current, and a C program that uses all of it compiles without a warning, links, and
//! finds all as expected.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a program, and gives what it said where it went well. `None` where there is no such program,
/// which is told; in CI that is a failure.
fn run(command: &mut Command, how: &str) -> Option<Output> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            let told = format!("SKIPPED: {command:?}: {error}. To get it: {how}");
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "{told}");
            eprintln!("{told}");
            return None;
        }
    };
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{command:?}: {said}");
    Some(output)
}

#[test]
fn the_header_is_current() {
    let made = tempfile::tempdir().unwrap();
    let made = made.path().join("hostel.h");
    let mut cbindgen = Command::new("cbindgen");
    cbindgen.args(["--quiet", "--config", "cbindgen.toml", "--output"]);
    cbindgen.arg(&made).current_dir(here(""));
    if run(&mut cbindgen, "cargo install --locked cbindgen").is_some() {
        let [kept, made] = [here("include/hostel.h"), made].map(|h| fs::read_to_string(h).unwrap());
        assert!(
            kept == made,
            "make include/hostel.h anew, as README.md says"
        );
    }
}

/// The plugins of the C program, in a folder.
fn plugins() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["host", "loop"] {
        let text = here("c/plugins").join(name).with_extension("wat");
        let wasm = wat::parse_file(text).unwrap();
        fs::write(folder.path().join(name).with_extension("wasm"), wasm).unwrap();
    }
    let customize = here("../guests/prebuilt/wat_customize_retptr.wasm");
    fs::copy(customize, folder.path().join("customize.wasm")).unwrap();
    folder
}

/// Builds the static library with `arguments`, and says where it is.
fn library(arguments: &[&str], folder: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "rustc",
        "--quiet",
        "--crate-type",
        "staticlib",
        "--manifest-path",
    ]);
    cargo
        .arg(here("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    run(cargo.args(arguments), "rustup").unwrap();
    target.join(folder).join("libhostel_c.a")
}

#[test]
fn a_c_program_finds_all_as_expected() {
    let library = library(&[], "debug");
    let folder = plugins();
    let program = folder.path().join("all");
    let mut cc = Command::new("cc");
    cc.args([
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        "-O1",
        "-g",
    ]);
    cc.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
    cc.arg("-I").arg(here("include")).arg("-o").arg(&program);
    cc.arg(here("c/all.c")).arg(&library);
    cc.args(["-lpthread", "-ldl", "-lm"]);
    if run(&mut cc, "apt-get install gcc").is_some() {
        let said = run(Command::new(&program).arg(folder.path()), "").unwrap();
        assert_eq!(said.stdout, b"all is as expected\n");
    }
}

/// With what firmware uses: memory from C, no standard library, no panics.
#[test]
fn the_same_with_memory_from_c_and_without_a_standard_library() {
    let arguments = [
        "--release",
        "--no-default-features",
        "--features=c-allocator,panic-handler,portable-dispatch",
        "--config=profile.release.panic='abort'",
    ];
    let library = library(&arguments, "release");
    let folder = plugins();
    let program = folder.path().join("all");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-g"]);
    cc.args(["-fsanitize=address", "-I"]).arg(here("include"));
    cc.arg("-o")
        .arg(&program)
        .arg(here("c/all.c"))
        .arg(&library);
    if run(&mut cc, "apt-get install gcc").is_some() {
        let said = run(Command::new(&program).arg(folder.path()), "").unwrap();
        assert_eq!(said.stdout, b"all is as expected\n");
    }
}
