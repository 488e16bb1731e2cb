//! What it costs to call a function of two numbers in each of the ways.

use crate::turns::best_of;
use hostel::Grants;
use std::hint::black_box;
use wasmi::{CompilationMode, Config, Engine, Linker, Module, Store};

const TURNS: usize = 60;
const CALLS: u32 = 20_000;
const GUEST: &str = r#"(module
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#;

/// The most that a call of an export prepared on a plugin may take, against wasmi's own.
const TARGET: f64 = 8.0;

/// Measures and prints. Whether the target is met.
pub fn run() -> bool {
    let wasm = wat::parse_str(GUEST).expect("the guest is text");
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .compilation_mode(CompilationMode::Eager);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, &wasm[..]).expect("bare wasmi loads the guest");
    let mut store = Store::new(&engine, ());
    store.set_fuel(u64::MAX / 2).expect("fuel is on");
    let bare = Linker::new(&engine)
        .instantiate_and_start(&mut store, &module)
        .expect("the guest starts")
        .get_typed_func::<(u32, u32), u32>(&store, "add")
        .expect("it is exported");

    let plugin = hostel::engine()
        .load("add", &wasm, &Grants::new())
        .expect("the guest loads");
    let (mut held, mut named) = (
        plugin.instantiate(()).expect("the guest starts"),
        plugin.instantiate(()).expect("the guest starts"),
    );
    let in_instance = held
        .typed::<(u32, u32), u32>("add")
        .expect("it is exported");
    let in_plugin = plugin
        .typed::<(u32, u32), u32>("add")
        .expect("it is exported");
    let params = || black_box((10, 20));
    let times = best_of(
        TURNS,
        CALLS,
        [
            &mut || assert_eq!(bare.call(&mut store, params()).expect("it adds"), 30),
            &mut || assert_eq!(in_instance.call(&mut held, params()).expect("it adds"), 30),
            &mut || assert_eq!(named.call::<_, u32>("add", params()).expect("it adds"), 30),
            &mut || assert_eq!(in_plugin.call(params()).expect("it adds"), 30),
            &mut || assert_eq!(plugin.call::<_, u32>("add", params()).expect("it adds"), 30),
        ],
    );
    println!("add(10, 20), fuel on in all, best of {TURNS} turns of {CALLS} calls");
    let mut ratios = [0.0; 5];
    for ((ratio, time), name) in ratios.iter_mut().zip(times).zip([
        "bare wasmi, typed",
        "hostel, TypedFunction of an instance held",
        "hostel, an instance held, by name",
        "hostel, Plugin::typed, an instance of its own",
        "hostel, Plugin::call, an instance of its own",
    ]) {
        *ratio = time.as_secs_f64() / times[0].as_secs_f64();
        println!("  {name:<46}{time:>10.1?}  {ratio:.2}");
    }
    let met = ratios[3] <= TARGET;
    let verdict = if met { "yes" } else { "NO" };
    println!("  Plugin::typed at most {TARGET}: {verdict}");
    met
}
