//! What the check at the door adds to the interpreter's own loading.

use crate::turns::best_of;
use hostel::{Grants, LogRecord};
use std::{hint::black_box, time::Duration};
use wasmi::{CompilationMode, Config, Engine, Module};

/// Measures and prints. There is no target.
pub fn run() -> bool {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .compilation_mode(CompilationMode::Eager)
        .ignore_custom_sections(true);
    let grants = Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")]);
    let engine = hostel::engine();
    println!("loading, eager, fuel on");
    for (name, wasm) in [
        (
            "customize (Rust)",
            &include_bytes!("../../guests/prebuilt/customize.wasm")[..],
        ),
        (
            "customize (C)",
            &include_bytes!("../../guests/prebuilt/c_customize.wasm")[..],
        ),
        (
            "customize (WAT)",
            &include_bytes!("../../guests/prebuilt/wat_customize_multi.wasm")[..],
        ),
    ] {
        let [bare, door, load] = best_of(
            40,
            50,
            [
                &mut || {
                    black_box(
                        Module::new(&Engine::new(&config), black_box(wasm)).expect("it is valid"),
                    );
                },
                &mut || {
                    black_box(
                        engine
                            .check(black_box(wasm), &grants)
                            .expect("it is let in"),
                    );
                },
                &mut || {
                    black_box(
                        engine
                            .load("customize", black_box(wasm), &grants)
                            .expect("it loads"),
                    );
                },
            ],
        );
        let ratio = |time: Duration| time.as_secs_f64() / bare.as_secs_f64();
        println!(
            "  {name}, {} bytes: bare wasmi {bare:.1?}, the door {:.2} of it, hostel in all {:.2}",
            wasm.len(),
            ratio(door),
            ratio(load)
        );
    }
    true
}
