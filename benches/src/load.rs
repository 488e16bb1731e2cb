//! What hostel adds to the interpreter's own loading, up to a plugin's first answer.

use crate::{bare::BarePlugin, turns::best_of};
use hostel::{Engine, Grants, LogRecord, Plugin};
use std::{hint::black_box, time::Duration};
use wasmi::{CompilationMode, Config, Linker, Module};

/// Measures and prints. There is no target.
pub fn run() -> bool {
    println!("loading, fuel on, to one of bare wasmi's eager loads");
    for (name, wasm) in [
        (
            "customize (Rust)",
            &include_bytes!("../../guests/prebuilt/customize.wasm")[..],
        ),
        (
            "customize (Rust, default layout, std)",
            &include_bytes!("../../guests/prebuilt/default_std_customize.wasm")[..],
        ),
        (
            "customize (C)",
            &include_bytes!("../../guests/prebuilt/c_customize.wasm")[..],
        ),
    ] {
        guest(name, wasm);
    }
    go();
    imports();
    true
}

fn grants() -> Grants {
    Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")])
}

fn guest(name: &str, wasm: &[u8]) {
    let grants = grants();
    let cached = hostel::engine();
    let engine = cached.clone().without_code_cache();
    let lazy = engine.clone().with_lazy_translation();
    let load = |engine: &Engine| -> Plugin {
        let plugin = engine.load("customize", black_box(wasm), &grants);
        plugin.expect("it loads")
    };
    let answer = |engine: &Engine| {
        black_box(load(engine).process(b"hello").expect("it answers"));
    };
    let _kept = load(&cached);
    let [
        eager,
        door,
        loaded,
        found,
        bare,
        bare_lazy,
        first,
        first_lazy,
        again,
    ] = best_of(
        20,
        20,
        [
            &mut || {
                let engine = wasmi::Engine::new(&config(CompilationMode::Eager));
                black_box(Module::new(&engine, black_box(wasm)).expect("it is valid"));
            },
            &mut || {
                black_box(
                    engine
                        .check(black_box(wasm), &grants)
                        .expect("it is let in"),
                );
            },
            &mut || drop(black_box(load(&engine))),
            &mut || drop(black_box(load(&cached))),
            &mut || bare_answer(wasm, CompilationMode::Eager),
            &mut || bare_answer(wasm, CompilationMode::LazyTranslation),
            &mut || answer(&engine),
            &mut || answer(&lazy),
            &mut || answer(&cached),
        ],
    );
    let ratio = |time: Duration, to: Duration| time.as_secs_f64() / to.as_secs_f64();
    println!(
        "  {name}, {} bytes: bare wasmi {eager:.1?}; the door {:.2}, hostel in all {:.2}, of a module that is \
         loaded already {:.3}",
        wasm.len(),
        ratio(door, eager),
        ratio(loaded, eager),
        ratio(found, eager),
    );
    let best = bare.min(bare_lazy);
    println!(
        "    to the first answer: bare wasmi eager {bare:.1?}, lazy translation {bare_lazy:.1?}; to the better one, \
         hostel {:.2}, with lazy translation {:.2}, of a module that is loaded already {:.3}",
        ratio(first, best),
        ratio(first_lazy, best),
        ratio(again, best),
    );
}

fn config(mode: CompilationMode) -> Config {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .compilation_mode(mode)
        .ignore_custom_sections(true);
    config
}

/// Loads a large module, whose start alone takes longer than loading the others.
fn go() {
    let wasm = &include_bytes!("../../guests/prebuilt/go_customize.wasm")[..];
    let grants = grants().wasi(hostel::wasi());
    let cached = hostel::engine();
    let engine = cached.clone().without_code_cache();
    let lazy = engine.clone().with_lazy_translation();
    let load = |engine: &Engine| -> Plugin {
        let plugin = engine.load("customize", black_box(wasm), &grants);
        plugin.expect("it loads")
    };
    let bare = |mode| {
        let engine = wasmi::Engine::new(&config(mode));
        black_box(Module::new(&engine, black_box(wasm)).expect("it is valid"));
    };
    let _kept = load(&cached);
    let [eager, translated_later, loaded, loaded_lazy, found] = best_of(
        5,
        1,
        [
            &mut || bare(CompilationMode::Eager),
            &mut || bare(CompilationMode::LazyTranslation),
            &mut || drop(black_box(load(&engine))),
            &mut || drop(black_box(load(&lazy))),
            &mut || drop(black_box(load(&cached))),
        ],
    );
    println!(
        "  customize (Go), {} bytes: bare wasmi eager {eager:.1?}, lazy translation {translated_later:.1?}; hostel \
         {loaded:.1?}, with lazy translation {loaded_lazy:.1?}, of a module that is loaded already {found:.1?}",
        wasm.len(),
    );
}

/// Loads and calls the guest by hand.
fn bare_answer(wasm: &[u8], mode: CompilationMode) {
    let plugin = BarePlugin::compiled(black_box(wasm), "CUSTOM", mode).expect("it is valid");
    let mut answer = Vec::new();
    let mut instance = plugin.instantiate().expect("it starts");
    instance.process(b"hello", &mut answer).expect("it answers");
    black_box(answer);
}

/// Loads a module of 900 imports, each of a function of its own.
fn imports() {
    let names: Vec<String> = (0..900)
        .map(|number| format!("function_{number}"))
        .collect();
    let mut text = String::from("(module\n");
    for name in &names {
        text += &format!("(import \"env\" \"{name}\" (func (param i32) (result i32)))\n");
    }
    let wasm = wat::parse_str(text + r#"(func (export "f")))"#).expect("it is a module");
    let mut grants = Grants::<()>::new();
    for name in &names {
        grants = grants.function("env", name, |number: u32| number);
    }
    let engine = hostel::engine().without_code_cache();
    let [bare, loaded] = best_of(
        20,
        10,
        [
            &mut || {
                let engine = wasmi::Engine::new(&config(CompilationMode::Eager));
                let module = Module::new(&engine, black_box(&wasm)).expect("it is valid");
                let mut linker = Linker::<()>::new(&engine);
                for name in &names {
                    let defined = linker.func_wrap("env", name, |number: u32| number);
                    defined.expect("it is defined once");
                }
                black_box((module, linker));
            },
            &mut || {
                drop(black_box(
                    engine.load("imports", &wasm, &grants).expect("it loads"),
                ))
            },
        ],
    );
    println!(
        "  900 imports: bare wasmi, with its linker, {bare:.1?}; hostel {:.2}",
        loaded.as_secs_f64() / bare.as_secs_f64()
    );
}
