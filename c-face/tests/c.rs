//! The header is current, and a C program that uses all of it compiles without a warning, links, and
//! finds all as expected. Two tests build the library anew, as firmware has it, which takes minutes;
//! CI runs them, and so does `cargo test -p hostel-c --test c -- --include-ignored`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::multiple_unsafe_ops_per_block,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc
)]

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Says that something was left out, and how to get what it needs. In CI that is a failure.
fn skip(what: &str, how: &str) {
    let told = format!("SKIPPED: {what}. To get it: {how}\n");
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "{told}");
    // Not by a macro, whose output a test that passes does not show.
    std::io::stderr().write_all(told.as_bytes()).unwrap();
}

/// Runs a program, and gives what it said where it went well. `None` where there is no such program,
/// which is told; in CI that is a failure.
fn run(command: &mut Command, how: &str) -> Option<Output> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            skip(&format!("{command:?}: {error}"), how);
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
            "include/hostel.h is out of date: generate it, as README.md says"
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

/// The static library that cargo built for these tests: it builds all of a library's crate types
/// in one go. With other features or flags before, there are several; the newest has those of now.
fn library_of_tests() -> PathBuf {
    let tests = env::current_exe().unwrap();
    let built = fs::read_dir(tests.parent().unwrap()).unwrap();
    let libraries = built.map(|file| file.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libhostel_c-") && name.ends_with(".a")
    });
    let newest = libraries.max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    newest.unwrap()
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
    // The flags that these tests were built with, such as those of `cargo llvm-cov`, are not those of
    // firmware.
    for flags in [
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(flags);
    }
    run(cargo.args(arguments), "rustup").unwrap();
    target.join(folder).join("libhostel_c.a")
}

#[test]
fn a_c_program_finds_all_as_expected() {
    let library = library_of_tests();
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

/// On a machine that has neither an operating system nor Rust's library: a Cortex-M4F in QEMU, with
/// newlib's `malloc`, and files and the exit code by way of the debugger.
#[test]
#[ignore = "builds the library anew, which takes minutes: CI does, and `-- --include-ignored`"]
fn a_c_program_finds_all_as_expected_on_a_cortex_m4f() {
    let (target, how) = ("thumbv7em-none-eabihf", "rustup target add");
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]);
    let libraries = String::from_utf8(run(&mut rustc, how).unwrap().stdout).unwrap();
    if !Path::new(libraries.trim()).exists() {
        return skip("firmware in C", &format!("{how} {target}"));
    }
    let arguments = [
        "--release",
        "--target",
        target,
        "--no-default-features",
        "--features=c-allocator,panic-handler,portable-dispatch,indirect-dispatch",
        "--config=profile.release.opt-level='s'",
    ];
    let library = library(&arguments, &format!("{target}/release"));
    let folder = plugins();
    let program = folder.path().join("all.elf");
    let mut cc = Command::new("arm-none-eabi-gcc");
    cc.args([
        "-mcpu=cortex-m4",
        "-mthumb",
        "-mfloat-abi=hard",
        "-mfpu=fpv4-sp-d16",
    ]);
    cc.args([
        "-std=gnu11",
        "-Os",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-ffunction-sections",
    ]);
    cc.args([
        "--specs=rdimon.specs",
        "-nostartfiles",
        "-Wl,--gc-sections",
        "-T",
    ]);
    cc.arg(here("c/mps2/mps2-an386.ld"))
        .arg("-I")
        .arg(here("include"));
    cc.arg(format!("-DPLUGINS=\"{}\"", folder.path().display()));
    cc.arg("-o").arg(&program);
    cc.args([here("c/mps2/start.c"), here("c/all.c"), library]);
    let gcc = "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi";
    if run(&mut cc, gcc).is_some() {
        let mut qemu = Command::new("qemu-system-arm");
        qemu.args([
            "-machine",
            "mps2-an386",
            "-nographic",
            "-semihosting-config",
        ]);
        qemu.args(["enable=on,target=native", "-kernel"])
            .arg(&program);
        qemu.stdin(std::process::Stdio::null());
        if let Some(said) = run(&mut qemu, "apt-get install qemu-system-arm") {
            assert_eq!(said.stdout, b"all is as expected\n");
        }
    }
}

/// With what firmware uses: memory from C, no standard library, no panics.
#[test]
#[ignore = "builds the library anew, which takes minutes: CI does, and `-- --include-ignored`"]
fn the_same_with_memory_from_c_and_without_a_standard_library() {
    let arguments = [
        "--profile=optimized",
        "--no-default-features",
        "--features=c-allocator,panic-handler,portable-dispatch",
        "--config=profile.optimized.panic='abort'",
    ];
    let library = library(&arguments, "optimized");
    let folder = plugins();
    let program = folder.path().join("all");
    // Firmware's `core` is made for panics that abort; that of this machine wants to know how to
    // unwind.
    let personality = folder.path().join("personality.c");
    fs::write(
        &personality,
        "extern void rust_eh_personality(void);\nvoid rust_eh_personality(void) {}\n",
    )
    .unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-g"]);
    cc.args(["-fsanitize=address", "-I"]).arg(here("include"));
    cc.arg("-o").arg(&program);
    cc.args([here("c/all.c"), personality, library]);
    if run(&mut cc, "apt-get install gcc").is_some() {
        let said = run(Command::new(&program).arg(folder.path()), "").unwrap();
        assert_eq!(said.stdout, b"all is as expected\n");
    }
}
