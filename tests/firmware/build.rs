//! Tells the linker the board's memory, and assembles the guests.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

const BOARDS: [&str; 4] = ["mps2-an386", "netduinoplus2", "musca-b1", "virt"];

fn main() {
    println!("cargo::rerun-if-changed=boards");
    println!("cargo::rerun-if-changed=guests");
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    for board in BOARDS {
        let feature = board.replace('-', "_").to_uppercase();
        if env::var_os(format!("CARGO_FEATURE_{feature}")).is_some() {
            let directory = here.join("boards").join(board);
            println!("cargo::rustc-link-search={}", directory.display());
        }
    }
    let out = PathBuf::from(variable("OUT_DIR"));
    for file in fs::read_dir(here.join("guests")).expect("guests are there") {
        let path = file.expect("a directory can be read").path();
        let text = fs::read_to_string(&path).expect("a guest is text");
        assemble(&text, &out, path.file_stem().expect("it has a name"));
    }
    assemble(&typical(), &out, "typical".as_ref());
    for calls in [1, 7] {
        assemble(&nested(calls), &out, format!("nested{calls}").as_ref());
    }
}

/// A component whose `run` makes so many calls of component instances, the embedder's included, one inside another.
fn nested(calls: usize) -> String {
    let links: String = (1..calls)
        .map(|at| {
            let before = at - 1;
            format!(r#"(instance $i{at} (instantiate $Link (with "run" (func $i{before} "run"))))"#)
        })
        .collect();
    format!(
        r#"(component
            (component $Last
              (core module $M (func (export "run") (result i32) (i32.const 1)))
              (core instance $m (instantiate $M))
              (func (export "run") (result u32) (canon lift (core func $m "run"))))
            (component $Link
              (import "run" (func $f (result u32)))
              (core func $f (canon lower (func $f)))
              (core module $M (import "h" "f" (func $f (result i32)))
                (func (export "run") (result i32) (i32.add (call $f) (i32.const 1))))
              (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f))))))
              (func (export "run") (result u32) (canon lift (core func $m "run"))))
            (instance $i0 (instantiate $Last))
            {links}
            (export "run" (func $i{} "run")))"#,
        calls - 1
    )
}

fn variable(name: &str) -> String {
    env::var(name).expect("cargo sets it")
}

fn assemble(text: &str, out: &Path, name: &std::ffi::OsStr) {
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{name:?}: {error}"));
    let path = out.join(name).with_extension("wasm");
    fs::write(path, wasm).expect("the output directory can be written");
}

/// A plugin of 2 KiB with 4 KiB of memory: ten filters over samples, each with numbers of its own.
fn typical() -> String {
    let filters: String = (1..=12)
        .map(|n| {
            format!(
                r#"(func $filter{n} (param $at i32) (param $count i32) (result i32)
                    (local $last i32) (local $sum i32) (local $sample i32)
                    (block $done
                      (loop $on
                        (br_if $done (i32.eqz (local.get $count)))
                        (local.set $sample (i32.load16_s (local.get $at)))
                        (if (i32.gt_s (local.get $sample) (i32.const {high}))
                          (then (local.set $sample (i32.const {high}))))
                        (if (i32.lt_s (local.get $sample) (i32.const -{high}))
                          (then (local.set $sample (i32.const -{high}))))
                        (local.set $last (i32.shr_s
                          (i32.add (i32.mul (local.get $last) (i32.const {n})) (local.get $sample))
                          (i32.const 4)))
                        (i32.store16 (local.get $at) (local.get $last))
                        (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $last) (local.get $last))))
                        (local.set $at (i32.add (local.get $at) (i32.const 2)))
                        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                        (br $on)))
                    (local.get $sum))"#,
                high = 1000 * n
            )
        })
        .collect();
    let calls: String = (1..=12)
        .map(|n| {
            format!(
                "(drop (call $filter{n} (local.get 0) (i32.shr_u (local.get 1) (i32.const 1))))"
            )
        })
        .collect();
    format!(
        r#"(module
            (memory (export "memory") 4096 (pagesize 1))
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "deallocate") (param i32 i32))
            {filters}
            (func (export "process") (param i32 i32) (result i64)
              {calls}
              (i64.or
                (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32))
                (i64.extend_i32_u (local.get 1)))))"#
    )
}
