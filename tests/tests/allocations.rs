//! What the host takes from the machine's heap: nothing per call in steady state, and nothing that
//! outlives a plugin.

use hostel::{
    Budget, Engine, Extern, Footprint, Grants, Instance, Limits, LoadError, LogRecord, MemoryState,
    ModuleInfo, StateLimits, StateStore as _, StateUse, Value,
};
use hostel_tests::{CUSTOMIZE, Ticking, assemble, guest, guest_bytes, load_guest, load_wat};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// The system's allocator, counting for each thread, since tests run side by side.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

impl Counting {
    fn note(calls: u64, more: usize, less: usize) {
        // A thread that ends may free what it has no counters for any more.
        let _ = CALLS.try_with(|count| count.set(count.get() + calls));
        let _ = LIVE.try_with(|live| {
            live.set(live.get() + more as i64 - less as i64);
            let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
        });
    }
}

// SAFETY: each call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(1, layout.size(), 0);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::note(1, layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // As if it moved each time: for a moment both blocks are live.
        Self::note(1, size, 0);
        Self::note(0, 0, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        Self::note(0, 0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// How often `work` allocates in 1,000 rounds, after a warm-up of 10.
fn allocations(mut work: impl FnMut()) -> u64 {
    (0..10).for_each(|_| work());
    let before = CALLS.get();
    (0..1_000).for_each(|_| work());
    CALLS.get() - before
}

/// The most bytes that were live at once in `work`, over what was before it.
fn peak(work: impl FnOnce()) -> i64 {
    let before = LIVE.get();
    PEAK.set(before);
    work();
    PEAK.get() - before
}

#[test]
fn the_counters_count() {
    assert_eq!(
        allocations(|| drop(std::hint::black_box(Box::new(7)))),
        1_000
    );
    assert_eq!(peak(|| drop(std::hint::black_box(vec![0u8; 5_000]))), 5_000);
}

// Per call

fn customized() -> Grants<()> {
    Grants::new()
        .log(|record: &LogRecord<'_>| assert!(record.text.raw().starts_with(b"processing")))
        .config([("prefix", "CUSTOM")])
}

#[test]
fn bytes_in_and_out_of_a_held_instance_allocate_nothing() {
    for name in CUSTOMIZE {
        let mut instance = load_guest(name, &customized()).instantiate(()).unwrap();
        let mut output = [0; 64];
        let found = allocations(|| {
            let length = instance.process_into(b"hello world", &mut output).unwrap();
            assert_eq!(&output[..length], b"CUSTOM_HELLO WORLD");
        });
        assert_eq!(found, 0, "{name}");
    }
}

#[test]
fn an_instance_made_as_new_for_each_call_allocates_nothing() {
    for name in CUSTOMIZE {
        let plugin = load_guest(name, &customized());
        let mut output = [0; 64];
        let found = allocations(|| {
            let length = plugin.lend(|instance| instance.process_into(b"hello world", &mut output));
            assert_eq!(&output[..length.unwrap()], b"CUSTOM_HELLO WORLD");
        });
        assert_eq!(found, 0, "{name}");
        assert!(plugin.pool_figures().resets > 1_000);
    }
}

/// Bytes of the heap that one more instance takes, less its linear memory.
fn per_instance<I>(memory: usize, mut make: impl FnMut() -> I) -> i64 {
    let first = make();
    let before = LIVE.get();
    let instances: Vec<I> = Vec::from_iter([make(), make(), make(), make()]);
    let vec = (instances.capacity() * size_of::<I>()) as i64;
    let all = LIVE.get() - before - vec;
    drop((first, instances));
    all / 4 - memory as i64
}

#[test]
fn an_idle_instance_takes_little_more_than_in_bare_wasmi() {
    let text = format!(
        r#"(module (memory (export "memory") 1) (global $n (mut i32) (i32.const 0)) {}
            (func (export "f")))"#,
        "(func (global.set $n (i32.const 1)))".repeat(100)
    );
    let wasm = assemble(&text);
    let engine = wasmi::Engine::default();
    let module = wasmi::Module::new(&engine, &wasm).unwrap();
    let bare = per_instance(1 << 16, || {
        let mut store = Box::new(wasmi::Store::new(&engine, ()));
        let linker = wasmi::Linker::new(&engine);
        let instance = linker.instantiate_and_start(&mut *store, &module);
        (store, instance.unwrap())
    });
    let plugin = load_wat::<()>(&text, &Grants::new());
    let hostel = per_instance(1 << 16, || Box::new(plugin.instantiate(()).unwrap()));
    println!("an idle instance of 100 functions: {bare} bytes in bare wasmi, {hostel} in hostel");
    assert!(hostel <= bare + 1_024, "{hostel} over {bare}");
}

#[test]
fn a_view_of_the_answer_allocates_nothing() {
    let mut instance = load_guest("customize", &customized())
        .instantiate(())
        .unwrap();
    let found = allocations(|| {
        let first = instance.process_with(b"hello", |view| view[7]).unwrap();
        assert_eq!(first, b'H');
    });
    assert_eq!(found, 0);
}

#[test]
fn numbers_allocate_nothing() {
    let text = r#"(module
        (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
        (func (export "wide") (param i64 f32 f64) (result f64)
          (f64.add (local.get 2) (f64.convert_i64_s (local.get 0))))
        (func (export "swap") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
        (func (export "none")))"#;
    let mut instance = load_wat::<()>(text, &Grants::new())
        .instantiate(())
        .unwrap();
    let found = allocations(|| {
        assert_eq!(instance.call("add", (10u32, 20u32)), Ok(30u32));
        assert_eq!(instance.call("wide", (2i64, 1.0f32, 0.5f64)), Ok(2.5f64));
        assert_eq!(instance.call("swap", (true, 7u64)), Ok((7u64, true)));
        assert_eq!(instance.call("none", ()), Ok(()));
    });
    assert_eq!(found, 0);
}

#[test]
fn a_text_as_argument_allocates_nothing() {
    let text = hostel_tests::with_allocator(
        "",
        r#"(func (export "length") (param i32 i32) (result i32) (global.set $top (local.get 0)) (local.get 1))"#,
    );
    let mut instance = load_wat::<()>(&text, &Grants::new())
        .instantiate(())
        .unwrap();
    let found = allocations(|| assert_eq!(instance.call("length", "hello"), Ok(5u32)));
    assert_eq!(found, 0);
}

/// A guest that calls `host.f`, of this type, and drops what it gives.
fn calling(ty: &str, arguments: &str, drops: &str, grants: &Grants<()>) -> Instance {
    let import = format!(r#"(import "host" "f" (func $f {ty}))"#);
    let item = format!(r#"(func (export "run") (call $f {arguments}) {drops})"#);
    let text = hostel_tests::with_allocator(&import, &item);
    load_wat(&text, grants).instantiate(()).unwrap()
}

#[test]
fn host_calls_over_i32_alone_allocate_nothing() {
    const ONE: &str = "(i32.const 1)";
    let grants = |grants: fn(Grants<()>) -> Grants<()>| grants(Grants::new());
    for (ty, arguments, drops, grants) in [
        ("", 0, 0, grants(|g| g.function("host", "f", || {}))),
        (
            "(result i32)",
            0,
            1,
            grants(|g| g.function("host", "f", || 7u32)),
        ),
        (
            "(param i32) (result i32)",
            1,
            1,
            grants(|g| g.function("host", "f", |a: u8| a)),
        ),
        (
            "(param i32 i32)",
            2,
            0,
            grants(|g| g.function("host", "f", |_: &str| {})),
        ),
        (
            "(param i32 i32) (result i32)",
            2,
            1,
            grants(|g| g.function("host", "f", |text: &[u8]| text.len() as u32)),
        ),
        (
            "(param i32 i32 i32 i32 i32 i32)",
            6,
            0,
            grants(|g| g.function("host", "f", |_: &str, _: &str, _: &str| {})),
        ),
        (
            "(result i32 i32)",
            0,
            2,
            grants(|g| g.function("host", "f", || (1u32, 2u32))),
        ),
        (
            "(result i64)",
            0,
            1,
            grants(|g| g.function("host", "f", || (1u32, 2u32))),
        ),
        (
            "(param i32)",
            1,
            0,
            grants(|g| g.function("host", "f", || (1u32, 2u32))),
        ),
    ] {
        let mut instance = calling(ty, &ONE.repeat(arguments), &"(drop)".repeat(drops), &grants);
        let found = allocations(|| instance.call::<(), ()>("run", ()).unwrap());
        assert_eq!(found, 0, "{ty}");
    }
}

// For good

/// What is live after `rounds` of `work` over what was before, where a first round, for whatever
/// is set up once in a process, does not count.
fn left_behind(rounds: u32, mut work: impl FnMut(u32)) -> i64 {
    work(0);
    let before = LIVE.get();
    (1..=rounds).for_each(work);
    LIVE.get() - before
}

#[test]
fn loading_and_unloading_gives_everything_back() {
    let good = guest_bytes("wat_customize_multi");
    let cut_off = &good[..good.len() / 2];
    let unfit = guest_bytes("c_customize_retptr");
    let unfit_import = assemble(r#"(module (import "env" "nope" (func)) (func (export "f")))"#);
    let left = left_behind(200, |round| {
        let engine = hostel::engine();
        match round % 4 {
            0 | 2 => {
                let plugin = engine.load("guest", &good, &customized()).unwrap();
                let mut held = plugin.instantiate(()).unwrap();
                held.process(b"hello").unwrap();
                plugin.process(b"hello").unwrap();
                plugin.process(b"\xff").unwrap_err();
            }
            1 => {
                let error = engine.load("guest", cut_off, &customized()).unwrap_err();
                assert!(matches!(error, LoadError::Invalid { .. }), "{error}");
            }
            _ => {
                engine
                    .load("guest", &unfit, &Grants::<()>::new())
                    .unwrap_err();
                engine
                    .load("guest", &unfit_import, &customized())
                    .unwrap_err();
            }
        }
    });
    assert_eq!(left, 0, "bytes");
}

#[test]
fn instances_give_everything_back_however_they_end() {
    let text = hostel_tests::with_allocator(
        r#"(import "env" "host_log" (func $log (param i32 i32)))"#,
        r#"(table 100 funcref)
           (func (export "process") (param i32 i32) (result i32 i32)
             (drop (memory.grow (i32.const 2)))
             (call $log (i32.const -1) (i32.const 1))
             (unreachable))
           (func (export "loop") (loop $on (br $on)))"#,
    );
    let plugin = load_wat(&text, &customized()).with_budget(Budget::server().fuel(30_000));
    let left = left_behind(200, |_| {
        plugin.process(b"hello").unwrap_err();
        plugin.call::<(), ()>("loop", ()).unwrap_err();
        let mut held = plugin.instantiate(()).unwrap();
        held.call::<(), ()>("loop", ()).unwrap_err();
        assert!(held.is_stopped());
    });
    assert_eq!(left, 0, "bytes");
}

#[test]
fn a_house_gives_back_what_it_replaces_and_unloads() {
    let wasm = guest_bytes("wat_customize_multi");
    let house = hostel::House::<()>::new(hostel::engine());
    let left = left_behind(50, |_| {
        house.load("guest", &wasm, &customized()).unwrap();
        house.replace("guest", &wasm, &customized()).unwrap();
        house
            .replace("guest", b"not a module", &customized())
            .unwrap_err();
        house.process("guest", b"hello").unwrap();
        house.unload("guest").unwrap();
    });
    assert_eq!(left, 0, "bytes");
}

#[test]
fn a_million_overwrites_leave_nothing_behind() {
    let store = MemoryState::new(StateLimits::server());
    let value = [7; 300];
    let overwrite = |round: usize| {
        let key = [round as u8 % 10];
        store.set("guest", &key, &value[..round % 300]).unwrap();
    };
    (0..3_000).for_each(overwrite);
    let before = LIVE.get();
    // As many as are needed to come back to the same values.
    (0..1_002_000).for_each(overwrite);
    assert_eq!(LIVE.get() - before, 0, "bytes");
    for key in 0..10 {
        store.delete("guest", &[key]).unwrap();
    }
    assert_eq!(store.used("guest"), Ok(StateUse::default()));
}

// By a module's will

#[test]
fn what_a_module_claims_is_not_reserved_before_it_is_there() {
    // Each section claims to hold a million things, and ends there.
    let mut reserved = Vec::new();
    for id in 1..=13u8 {
        let wasm = [b"\0asm\x01\0\0\0", &[id, 3][..], &[0xc0, 0x84, 0x3d]].concat();
        let found = peak(|| {
            let result = Engine::default().load::<()>("guest", &wasm, &Grants::new());
            assert!(result.is_err(), "section {id}");
        });
        if found > 64 << 10 {
            reserved.push(format!("section {id}: {found} bytes"));
        }
    }
    assert_eq!(reserved, [""; 0], "for modules of 13 bytes");
}

#[test]
fn a_small_module_cannot_make_a_long_message() {
    // 490 imports of one type, of 1,000 parameters and results, in 4 KB.
    let number = |value: u32| [value as u8 | 0x80, (value >> 7) as u8];
    let section = |id: u8, contents: &[u8]| {
        let size = number(u32::try_from(contents.len()).unwrap());
        [&[id][..], &size, contents].concat()
    };
    let wide = [&number(1_000)[..], &[0x7f; 1_000]].concat();
    let types = section(1, &[&[1, 0x60], &wide[..], &wide].concat());
    let imports = section(2, &[&number(490)[..], &[0; 4 * 490]].concat());
    let wasm = [b"\0asm\x01\0\0\0", &types[..], &imports].concat();
    let found = peak(|| {
        let error = Engine::default().load::<()>("guest", &wasm, &Grants::new());
        let message = error.unwrap_err().to_string();
        assert!(
            message.len() < 64 << 10,
            "a message of {} bytes",
            message.len()
        );
    });
    assert!(
        found < 4 << 20,
        "{found} bytes for a module of {}",
        wasm.len()
    );
}

// Known ahead

/// Loads `wasm` under `limits`, and has as many instances as there may be do `work`, all kept.
/// Gives what that was to take at most, and what it took.
fn foreseen(limits: Limits, wasm: &[u8], mut work: impl FnMut(&mut Instance)) -> (Footprint, u64) {
    let footprint = ModuleInfo::read(wasm).unwrap().footprint(&limits);
    let engine = Engine::new(limits).with_platform(Ticking::default());
    let state = MemoryState::new(StateLimits::server());
    // As many values as a host function can take.
    type Five = (u64, u64, u64, u64, u64);
    let wide = |_: Five, _: Five, _: Five, _: u64| {};
    let grants = customized().state(state).wasi(hostel::wasi());
    let grants = grants.function("host", "wide", wide);
    let took = peak(|| {
        let plugin = engine.load("guest", wasm, &grants).unwrap();
        let mut instances: Vec<_> = (0..limits.instances)
            .map(|_| plugin.instantiate(()).unwrap())
            .collect();
        instances.iter_mut().for_each(&mut work);
    });
    (footprint, u64::try_from(took).unwrap())
}

/// Calls all that it exports.
fn call_all(instance: &mut Instance, module: &ModuleInfo) {
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
            let answer = instance.call_bytes(&export.name, b"processing", |_| ());
            assert_eq!(answer, Ok(()), "{export}");
        } else {
            let zero = |ty: &hostel::ValType| Value::parse("0", *ty).unwrap();
            let zeros: Vec<_> = ty.params.iter().map(zero).collect();
            instance.call_values(&export.name, &zeros).unwrap();
        }
    }
}

#[test]
fn built_guests_take_what_was_foreseen_and_no_small_part_of_it() {
    let directory = guest("any");
    let files = std::fs::read_dir(directory.parent().unwrap()).unwrap();
    let names = files.map(|file| file.unwrap().path());
    let mut count = 0;
    for path in names.filter(|path| path.extension().is_some_and(|end| end == "wasm")) {
        let wasm = std::fs::read(&path).unwrap();
        let module = ModuleInfo::read(&wasm).unwrap();
        let start: u64 = module.memories.iter().map(|memory| memory.min_bytes).sum();
        let name = path.file_stem().unwrap().to_str().unwrap();
        // Room for allocators that begin with memory that is yet to grow; and how many tenths of
        // what is foreseen it takes at least.
        let (mut limits, room, tenths) = match name {
            name if name.contains("zig") => (Limits::device(256 << 10), 512 << 10, 3),
            name if name.contains("go_") => (Limits::server(), 2 << 20, 2),
            // A little more for heaps that grow by what they need.
            _ => (Limits::device(256 << 10), 4 << 10, 3),
        };
        (limits.instances, limits.idle, limits.heap_bytes) = (1, 0, usize::MAX);
        limits.module_bytes = wasm.len();
        limits.memory_bytes = usize::try_from(start).unwrap() + room;
        let (footprint, took) = foreseen(limits, &wasm, |guest| call_all(guest, &module));
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
fn guests_that_want_all_take_what_was_foreseen() {
    // Of the operators that become most code.
    let operators = "(if (local.get 0) (then) (else)) (call $f (i32.const 1))".repeat(100);
    let taking = "(func $f (param i32))";
    let functions = format!("(func (param i32) {operators})").repeat(40);
    let function = format!(
        "(func (param i32) {})",
        "(if (local.get 0) (then) (else))".repeat(1_000)
    );
    // As many as make the compiler's buffers grow once more.
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
    // The value stack is nearly full when the host calls `allocate`, which fills another one.
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
            // No more than is used, that nothing hides behind it.
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
