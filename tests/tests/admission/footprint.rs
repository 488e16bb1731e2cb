//! Loading a module, making an instance and calling it take at most the footprint told beforehand,
//! whatever the module. Real guests take at least a third of it.

use crate::{LIVE, PEAK, granted, patterns, vectors, with_heap};
use hostel::{
    Budget, Engine, Extism, Footprint, Grants, Limits, MemoryState, ModuleInfo, StateLimits, Wapc,
};
use hostel_tests::{assemble, code, guest};
use std::fs;

/// About how many bytes of code a module has.
const CODE: usize = 3 << 10;

/// Limits for one instance, and no more stack than is used.
fn limits() -> Limits {
    let mut limits = Limits::server();
    (limits.instances, limits.idle) = (1, 0);
    (limits.stack_bytes, limits.call_depth) = (1 << 10, 5);
    limits
}

/// Bytes of the heap that a plugin took, and those told beforehand.
struct Taken {
    told: Footprint,
    /// Held by the plugin, once it is loaded.
    held: u64,
    /// The most while it was loaded.
    loading: u64,
    /// The most until an instance was made, and `run` was called.
    running: u64,
}

impl Taken {
    /// Loads a module, and runs it if it exports `run`.
    fn by(name: &str, wasm: &[u8]) -> Self {
        let module = ModuleInfo::read(wasm).unwrap();
        let told = module.footprint(&limits());
        let runs = module.export_named("run").is_some();
        drop(module);
        let grants = granted()
            .state(MemoryState::new(StateLimits::server()))
            .wasi(hostel::wasi())
            .extism(Extism::new())
            .wapc(Wapc::new())
            .typst()
            .trap("extism:host/user", "*")
            .trap("shop", "*")
            .trap("env", "host_http_request")
            .function("host", "take", |_: u32, _: u64| {});
        let engine = Engine::new(limits());
        let before = LIVE.get();
        PEAK.set(before);
        let since = |now: usize| (now - before) as u64;
        let loaded = engine.load("guest", wasm, &grants);
        let plugin = loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
        let (held, loading) = (since(LIVE.get()), since(PEAK.get()));
        if runs {
            let mut instance = plugin.instantiate(()).unwrap();
            instance.call::<(), ()>("run", ()).unwrap();
        }
        Self {
            told,
            held,
            loading,
            running: since(PEAK.get()),
        }
    }

    /// Returns the figures if more was taken than was told.
    fn over(&self, name: &str) -> Option<String> {
        let Self {
            told,
            held,
            loading,
            running,
        } = *self;
        let fits = held <= told.plugin
            && loading <= told.plugin + told.loading
            && running <= told.to_run();
        (!fits).then(|| format!("{name}: {held}, {loading}, {running} of {told:?}"))
    }
}

/// How a pattern is distributed over functions.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// All repetitions in one function.
    Whole,
    /// One repetition in each function.
    Spread,
    /// Ten repetitions in each function, inside blocks, with many locals and with values below.
    Deep,
}

impl Shape {
    /// Returns a module with about `size` bytes of this pattern, and all that the pattern needs.
    fn module(self, pattern: &patterns::Pattern, size: usize) -> Vec<u8> {
        // Three bytes an operator, about.
        let operators = pattern.code.matches(['(', '\n']).count();
        let count = size.div_ceil(3 * operators);
        let code = &pattern.code;
        let locals = format!(
            "(local $k i32) (local $j i64) (local $l i64) (local $e f32) (local $d f64) {}",
            pattern.locals
        );
        let functions = match self {
            Self::Whole => format!("(func (param $i i32) {locals} {})", code.repeat(count)),
            Self::Spread => format!("(func (param $i i32) {locals} {code})").repeat(count),
            Self::Deep => {
                let wide = "i64 ".repeat(12);
                let code = code.repeat(10);
                let one = format!(
                    "(func (param {wide}) (local $i i32) {locals}
                      (block (loop (local.get 1) (local.get 2) (if (local.get $i) (then {code})) drop drop)))"
                );
                one.repeat(count.div_ceil(10))
            }
        };
        assemble(&format!(
            r#"(module
                (import "host" "take" (func $imported (param i32 i64)))
                (memory (export "memory") 2)
                (global $gi (mut i32) (i32.const 0)) (global $gj (mut i64) (i64.const 0))
                (global $ge (mut f32) (f32.const 0)) (global $gd (mut f64) (f64.const 0))
                (global $cj i64 (i64.const 5))
                (table $t 4 funcref) (table $s 4 funcref)
                (elem $elem func $target) (data $data "text")
                (func $target) {} {functions}
                (func (export "run")))"#,
            pattern.items
        ))
    }
}

/// Takes every pattern, and every fourth one of vectors. `HOSTEL_PATTERNS=1` takes all of them,
/// `HOSTEL_PATTERNS=4` every fourth one, for machines that are emulated.
#[test]
fn code_takes_at_most_what_was_told() {
    let chosen = std::env::var("HOSTEL_PATTERNS").ok();
    let chosen: Option<usize> = chosen.map(|every| every.parse().unwrap());
    let mut over = Vec::new();
    let mut nearest = (0, String::new());
    let mut count = 0;
    let every = chosen.unwrap_or(1);
    let mut patterns: Vec<_> = patterns::code().into_iter().step_by(every).collect();
    let mut least = 900 / every;
    if vectors::are_on() {
        let every = chosen.unwrap_or(4);
        patterns.extend(vectors::code().into_iter().step_by(every));
        least += 900 / every;
    }
    for pattern in patterns {
        for shape in [Shape::Whole, Shape::Spread, Shape::Deep] {
            let name = format!("{shape:?} {}", pattern.name);
            let none = Taken::by(&name, &shape.module(&pattern, 0));
            let taken = Taken::by(&name, &shape.module(&pattern, CODE));
            over.extend(taken.over(&name));
            // The part told for any module must not hide what code takes.
            let (held, told) = (taken.held - none.held, taken.told.plugin - none.told.plugin);
            if held > told {
                over.push(format!("{name}: {held} more, of {told}"));
            }
            nearest = nearest.max((held * 100 / told.max(1), name));
            count += 1;
        }
    }
    println!(
        "{count} modules; nearest, with {} %: {}",
        nearest.0, nearest.1
    );
    assert!(over.is_empty(), "{}\n{}", over.len(), over.join("\n"));
    assert!(count > least, "{count}");
}

#[test]
fn declarations_take_at_most_what_was_told() {
    let mut over = Vec::new();
    let mut modules = patterns::declarations();
    if vectors::are_on() {
        modules.extend(vectors::declarations());
    }
    assert!(modules.len() > 100);
    for (name, items) in modules {
        let wasm = assemble(&format!(r#"(module {items} (func (export "run")))"#));
        over.extend(Taken::by(&name, &wasm).over(&name));
    }
    assert!(over.is_empty(), "{}\n{}", over.len(), over.join("\n"));
}

#[test]
fn real_guests_hold_at_least_a_third_of_what_was_told() {
    let mut count = 0;
    for file in fs::read_dir(guest("any").parent().unwrap()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|end| end != "wasm") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let taken = Taken::by(name, &fs::read(&path).unwrap());
        let Taken { told, held, .. } = taken;
        println!("{name}: {held} of {}", told.plugin);
        assert_eq!(taken.over(name), None);
        assert!(told.plugin <= 3 * held, "{name}: {held} of {told:?}");
        let loading = told.plugin + told.loading;
        assert!(
            loading <= 3 * taken.loading,
            "{name}: {}, {told:?}",
            taken.loading
        );
        count += 1;
    }
    assert!(count > 20, "{count}");
}

#[test]
fn a_device_refuses_or_loads_what_becomes_most_code() {
    // About 68 KB of a pattern that becomes more code than others. An allocation beyond the heap's end
    // fails, which would end the process.
    let size = 68 << 10;
    let mut results = [0; 2];
    for name in [
        "(call $callee) of 64 (global.get $gj)",
        "(call $callee) of 64 (i64.const 100000)",
        "i64.store at (local.get $i) + 70000 of (local.get $j)",
        "if else",
    ] {
        let mut patterns = patterns::code().into_iter();
        let pattern = patterns.find(|pattern| pattern.name == name).unwrap();
        for shape in [Shape::Whole, Shape::Spread, Shape::Deep] {
            let wasm = shape.module(&pattern, size);
            let mut limits = Limits::device(1 << 20);
            (limits.module_bytes, limits.module) = (usize::MAX, Limits::server().module);
            let module = ModuleInfo::read(&wasm).unwrap();
            let told = usize::try_from(module.footprint(&limits).to_run()).unwrap();
            for heap in [told / 2, told - 1, told, told + 1, 1 << 20] {
                limits.heap_bytes = heap;
                let result = with_heap(heap, || {
                    let engine = Engine::new(limits).with_budget(Budget::device());
                    let take = |_: u32, _: u64| {};
                    let grants = Grants::new().function("host", "take", take);
                    let plugin = match engine.load("guest", &wasm, &grants) {
                        Ok(plugin) => plugin,
                        Err(error) => return error.code(),
                    };
                    let called = plugin
                        .instantiate(())
                        .and_then(|mut instance| instance.call::<(), ()>("run", ()));
                    code(&called)
                });
                let expected = if heap < told { "does-not-fit" } else { "ok" };
                assert_eq!(result, expected, "{shape:?} {name}: {heap} of {told}");
                results[usize::from(heap < told)] += 1;
            }
        }
    }
    assert!(results.iter().all(|&count| count > 12), "{results:?}");
}
