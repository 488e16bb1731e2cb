//! A module and its instances take no more heap than `ModuleInfo::footprint` says beforehand.

use super::{customized, peak};
use hostel::{
    Convention, Engine, Extern, Extism, Footprint, Grants, Instance, Limits, MemoryState,
    ModuleInfo, StateLimits, Value, Wapc,
};
use hostel_tests::{CUSTOMIZE, Ticking, assemble, guest};

/// Loads `wasm` under `limits`, makes as many instances as they allow, and has each do `work`.
/// Returns the footprint, and the bytes of heap that it took.
fn foreseen(limits: Limits, wasm: &[u8], mut work: impl FnMut(&mut Instance)) -> (Footprint, u64) {
    let footprint = ModuleInfo::read(wasm).unwrap().footprint(&limits);
    let engine = Engine::new(limits).with_platform(Ticking::default());
    let state = MemoryState::new(StateLimits::server());
    // As many values as a host function can have.
    type Five = (u64, u64, u64, u64, u64);
    let wide = |_: Five, _: Five, _: Five, _: u64| {};
    let grants = customized().state(state).wasi(hostel::wasi());
    let answers = Extism::new().function("extism:host/user", "lookup", |_| Ok(Vec::new()));
    let grants = grants
        .extism(answers)
        .wapc(Wapc::new().callback(|_| Ok(Vec::new())));
    let grants = grants.typst().function("host", "wide", wide);
    let grants = grants.trap("shop", "*").trap("env", "host_http_request");
    let took = peak(|| {
        let plugin = engine.load("guest", wasm, &grants).unwrap();
        let mut instances: Vec<_> = (0..limits.instances)
            .map(|_| plugin.instantiate(()).unwrap())
            .collect();
        instances.iter_mut().for_each(&mut work);
    });
    (footprint, u64::try_from(took).unwrap())
}

/// Calls every export, functions over bytes with `input`.
fn call_all(instance: &mut Instance, module: &ModuleInfo, input: &[u8]) {
    for export in &module.exports {
        match &*export.name {
            // It ran when the instance was made.
            "_initialize" => continue,
            "_start" => return assert_eq!(instance.run_command(), Ok(0)),
            _ => {}
        }
        let Extern::Function(ty) = &export.ty else {
            continue;
        };
        if ty.is_bytes() {
            let answer = instance.call_bytes(&export.name, input, |_| ());
            assert_eq!(answer, Ok(()), "{export}");
        } else {
            let zero = |ty: &hostel::ValType| Value::parse("0", *ty).unwrap();
            let zeros: Vec<_> = ty.params.iter().map(zero).collect();
            instance.call_values(&export.name, &zeros).unwrap();
        }
    }
}

/// The guests made for other hosts, and those with functions that fail, with a function that each has.
const KITS: [(&str, &str); 12] = [
    ("tour", "bytes"),
    ("as_tour", "bytes"),
    ("c_tour", "bytes"),
    ("go_tour", "bytes"),
    ("zig_tour", "bytes"),
    ("as_extism_kit", "reverse"),
    ("extism_ask", "ask"),
    ("extism_customize", "process"),
    ("extism_kit", "greet"),
    ("typst_kit", "shout"),
    ("wapc_customize", "process"),
    ("wapc_kit", "ask"),
];

#[test]
fn built_guests_take_no_more_than_their_footprint_and_not_much_less() {
    let directory = guest("any");
    let files = std::fs::read_dir(directory.parent().unwrap()).unwrap();
    let names = files.map(|file| file.unwrap().path());
    let mut count = 0;
    for path in names.filter(|path| path.extension().is_some_and(|end| end == "wasm")) {
        let wasm = std::fs::read(&path).unwrap();
        let module = ModuleInfo::read(&wasm).unwrap();
        let start: u64 = module.memories.iter().map(|memory| memory.min_bytes).sum();
        let name = path.file_stem().unwrap().to_str().unwrap();
        // The limits, room for allocators that grow memory when they begin, and how many tenths of
        // the footprint the guest must take at least.
        let (mut limits, room, tenths) = match name {
            name if name.contains("go_") => (Limits::server(), 2 << 20, 2),
            // One of them takes little of this room on 32 bits.
            name if name.contains("zig") => (Limits::device(256 << 10), 512 << 10, 2),
            "libc_hello" | "panics_std" | "default_std_customize" => {
                (Limits::device(256 << 10), 64 << 10, 3)
            }
            // Its library for JSON makes buffers when it starts.
            "as_tour" => (Limits::device(256 << 10), 1_200 << 10, 3),
            name if KITS.iter().any(|(kit, _)| *kit == name) => {
                // Extism's blocks count as memory.
                (Limits::device(256 << 10), 65 << 10, 3)
            }
            // A little room for heaps that grow by what they need.
            _ => (Limits::device(256 << 10), 4 << 10, 3),
        };
        (limits.instances, limits.idle, limits.heap_bytes) = (1, 0, usize::MAX);
        limits.module_bytes = wasm.len();
        if name.ends_with("tour") && name != "go_tour" {
            // More than a device allows.
            (limits.module.segments, limits.module.functions) = (5_000, 10_000);
        }
        limits.memory_bytes = usize::try_from(start).unwrap() + room;
        // These guests trap at any other input.
        let traps = name.starts_with("panics") || ["as_throws", "as_aborts"].contains(&name);
        let input: &[u8] = if traps { b"" } else { b"processing" };
        let (footprint, took) = foreseen(limits, &wasm, |guest| {
            let Some((_, function)) = KITS.iter().find(|(kit, _)| *kit == name) else {
                assert_eq!(Convention::of(&module), Convention::Native, "{name}");
                return call_all(guest, &module, input);
            };
            assert_eq!(guest.call_bytes(function, input, |_| ()), Ok(()), "{name}");
        });
        let most = footprint.total();
        assert!(took <= most, "{name}: {took} of {footprint:?}");
        assert!(
            tenths * most <= 10 * took + (100 << 10),
            "{name}: {took} of {footprint:?}"
        );
        count += 1;
    }
    assert!(count >= CUSTOMIZE.len());
}

#[test]
fn guests_that_use_all_they_may_take_no_more_than_their_footprint() {
    // The operators that are compiled to the most code.
    let operators = "(if (local.get 0) (then) (else)) (call $f (i32.const 1))".repeat(100);
    let taking = "(func $f (param i32))";
    let functions = format!("(func (param i32) {operators})").repeat(40);
    let function = format!(
        "(func (param i32) {})",
        "(if (local.get 0) (then) (else))".repeat(1_000)
    );
    // Numbers of returns at which the compiler's buffers grow.
    let returns = |count: usize| {
        let results = "(i32.const 7)".repeat(8);
        format!(
            "(func (param i32) (result {}) {})",
            "i32 ".repeat(8),
            format!("(if (local.get 0) (then (return {results})))").repeat(count) + &results
        )
    };
    let nested = format!("(func {} {})", "block ".repeat(2_000), "end ".repeat(2_000));
    let table = format!(
        "(table 5000 funcref) (func $f) (elem (i32.const 0) {})",
        "$f ".repeat(5_000)
    );
    let grow = |by: u32| {
        format!("(loop $on (br_if $on (i32.ne (memory.grow (i32.const {by})) (i32.const -1))))")
    };
    let recursion = |locals: &str| {
        format!(
            "(func $deep (param i32) (result i32) (local {locals})
               (i32.add (call $deep (local.get 0)) (local.get 0)))"
        )
    };
    let deep = "(drop (call $deep (i32.const 0)))".to_owned();
    // The value stack is nearly full when the host calls `allocate`, which fills a second one.
    let wide = "i64 ".repeat(100);
    let twice = format!(
        r#"(import "env" "host_get_config" (func $config (param i32 i32) (result i64)))
           (memory (export "memory") 1) (data (i32.const 0) "prefix")
           (func $deep (export "allocate") (param i32) (result i32) (local {wide})
             (i32.add (call $deep (local.get 0)) (local.get 0)))
           (func $down (param i32) (result i32) (local {wide})
             (if (local.get 0)
               (then (drop (call $down (i32.sub (local.get 0) (i32.const 1)))))
               (else (drop (call $config (i32.const 0) (i32.const 6)))))
             (local.get 0))"#
    );
    let several = |item: &str| item.repeat(3_000);
    let imports = |module: &str, name: &str, ty: &str| {
        format!(r#"(import "{module}" "{name}" (func {ty}))"#).repeat(900)
            + "(memory (export \"memory\") 0)"
    };
    let opens = "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)";
    let takes = format!("(param {})", "i64 ".repeat(16));
    let wasi = "wasi_snapshot_preview1";
    for (items, run) in [
        ("(memory (export \"memory\") 1)".to_owned(), grow(1)),
        ("(memory 0)".to_owned(), grow(1)),
        ("(memory 3 40)".to_owned(), grow(7)),
        ("(memory 10)".to_owned(), grow(6)),
        ("(memory 15)".to_owned(), grow(1)),
        (recursion("i64"), deep.clone()),
        (recursion(&wide), deep),
        (twice, "(drop (call $down (i32.const 70)))".to_owned()),
        (taking.to_owned() + &functions, String::new()),
        (function, String::new()),
        (returns(1_000), String::new()),
        (returns(1_500), String::new()),
        (returns(1_900), String::new()),
        (nested, String::new()),
        (table, String::new()),
        (several("(global (mut i64) (i64.const 0))"), String::new()),
        (
            "(memory 1)".to_owned() + &several("(data \"text\")"),
            String::new(),
        ),
        (several("(func nop nop nop nop)"), String::new()),
        (imports("host", "wide", &takes), String::new()),
        (imports(wasi, "path_open", opens), String::new()),
        (imports(wasi, "sched_yield", "(result i32)"), String::new()),
    ] {
        let text = format!("(module {items} (func (export \"run\") {run}))");
        for instances in [1, 8] {
            let mut limits = Limits::server();
            (limits.memory_bytes, limits.instances) = (16 << 16, instances);
            // No more stack than is used, which would hide other memory.
            let recurses = run.contains("call");
            limits.stack_bytes = if recurses { 64 << 10 } else { 1 << 10 };
            limits.call_depth = if recurses { 100 } else { 5 };
            let (footprint, took) = foreseen(limits, &assemble(&text), |guest| {
                match guest.call::<(), ()>("run", ()) {
                    Ok(()) => {}
                    Err(error) => assert_eq!(error.code(), "trap-stack", "{text:.200}"),
                }
            });
            let most = footprint.total();
            assert!(took <= most, "{took} of {footprint:?}: {text:.200}");
        }
    }
}

#[test]
fn kept_instances_and_the_copy_of_their_state_are_in_the_footprint() {
    // Starts that leave nothing 0 of a memory that they have grown, a chunk beside each one that is 0, and
    // nothing but 0.
    let fill =
        "(memory.fill (i32.const 0) (i32.const 7) (i32.mul (memory.size) (i32.const 65536)))";
    let stripes = "(loop $on
        (i32.store (local.get $at) (i32.const 7))
        (br_if $on (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8192)))
          (i32.mul (memory.size) (i32.const 65536)))))";
    for (grow, work) in [(0, fill), (0, stripes), (5, fill), (5, stripes), (5, "")] {
        let text = format!(
            r#"(module (memory 1 6) (func $start (local $at i32)
                (drop (memory.grow (i32.const {grow}))) {work})
                (start $start) (func (export "f")))"#
        );
        let wasm = assemble(&text);
        let mut limits = Limits::server();
        (limits.instances, limits.idle) = (3, 3);
        (limits.stack_bytes, limits.call_depth) = (1 << 10, 5);
        let footprint = ModuleInfo::read(&wasm).unwrap().footprint(&limits);
        let engine = Engine::new(limits);
        let took = peak(|| {
            let plugin = engine.load("guest", &wasm, &Grants::new()).unwrap();
            for _ in 0..2 {
                let nested = plugin.with_instance(|one| {
                    plugin.with_instance(|other| {
                        plugin.call::<(), ()>("f", ())?;
                        other.call::<(), ()>("f", ())
                    })?;
                    one.call::<(), ()>("f", ())
                });
                assert_eq!(nested, Ok(()));
            }
            assert_eq!(plugin.pool_figures().idle, 3);
        });
        let (took, most) = (u64::try_from(took).unwrap(), footprint.total());
        assert!(took <= most, "{took} of {footprint:?}: {text}");
        let kept = footprint.plugin + footprint.kept;
        assert!(
            took <= kept + footprint.instance_at_most(),
            "{took} of {footprint:?}: {text}"
        );
    }
}
