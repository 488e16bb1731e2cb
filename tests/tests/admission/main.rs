//! Heaps that are too small for a plugin, an instance or a call. hostel refuses before it
//! allocates, since an allocation that fails would end the process.
//!
//! Each thread here has a heap of its own, whose size the test sets.

mod footprint;
mod patterns;
mod vectors;

use hostel::{
    Budget, Engine, Grants, Instance, Limits, LoadError, LogRecord, Machine, MemoryState,
    ModuleInfo, Platform, Plugin, StateLimits,
};
use hostel_tests::{assemble, code, guest_bytes, load_code};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The system's allocator, limited to this thread's heap.
struct Small;

#[global_allocator]
static SMALL: Small = Small;

thread_local! {
    static HEAP: Cell<usize> = const { Cell::new(usize::MAX) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    /// Whether blocks grow in place.
    static IN_PLACE: Cell<bool> = const { Cell::new(false) };
}

/// Takes `bytes` of this thread's heap. Returns whether there were as many.
fn take(bytes: usize) -> bool {
    let taken = LIVE.try_with(|live| {
        let now = live.get().saturating_add(bytes);
        let fits = HEAP.try_with(|heap| now <= heap.get()).unwrap_or(true);
        if fits {
            live.set(now);
            let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now)));
        }
        fits
    });
    taken.unwrap_or(true)
}

fn give_back(bytes: usize) {
    // Another thread's blocks were never counted here.
    let _ = LIVE.try_with(|live| live.set(live.get().saturating_sub(bytes)));
}

// SAFETY: each call goes on to the system's allocator unchanged, or returns null.
unsafe impl GlobalAlloc for Small {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps this method's contract, which is also `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // As if the block moved each time, so that both are in use for a moment, or as if it never
        // did.
        let more = size.saturating_sub(layout.size());
        if !take(if IN_PLACE.get() { more } else { size }) {
            return std::ptr::null_mut();
        }
        give_back(if IN_PLACE.get() {
            (layout.size() + more) - size
        } else {
            layout.size()
        });
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// Runs `work` with a heap of `bytes` more than are in use now.
fn with_heap<R>(bytes: usize, work: impl FnOnce() -> R) -> R {
    /// Lifts the limit, also if the test fails: its message needs memory.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            HEAP.set(usize::MAX);
        }
    }
    let _end = End;
    HEAP.set(LIVE.get() + bytes);
    work()
}

/// A platform that knows how much is left of this thread's heap.
struct Device;

impl Platform for Device {
    fn free_bytes(&self) -> Option<usize> {
        Some(HEAP.get() - LIVE.get())
    }
}

/// A platform that reports what the test tells it.
#[derive(Clone)]
struct Told(Arc<AtomicUsize>);

impl Platform for Told {
    fn free_bytes(&self) -> Option<usize> {
        Some(self.0.load(Relaxed))
    }
}

fn granted() -> Grants<()> {
    Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")])
}

fn device(heap: usize) -> Engine {
    Engine::new(Limits::device(heap))
        .with_budget(Budget::device())
        .with_platform(Device)
}

#[test]
fn a_plugin_that_does_not_fit_is_refused_with_both_numbers() {
    let wasm = guest_bytes("wat_customize_multi");
    let limits = Limits::device(256 << 10);
    let needed = ModuleInfo::read(&wasm).unwrap().footprint(&limits).to_run();
    let exact = usize::try_from(needed).unwrap();
    for (heap, free, fits) in [
        (exact, usize::MAX, true),
        (exact - 1, usize::MAX, false),
        (exact, exact - 1, false),
        (usize::MAX, exact, true),
        (usize::MAX, exact - 1, false),
    ] {
        let mut limits = limits;
        limits.heap_bytes = heap;
        let told = Told(Arc::new(AtomicUsize::new(free)));
        let engine = Engine::new(limits).with_platform(told);
        let loaded = engine.load("guest", &wasm, &granted());
        if fits {
            assert_eq!(load_code(&loaded), "ok", "{heap}, {free}");
            continue;
        }
        let free = heap.min(free) as u64;
        let error = loaded.unwrap_err();
        assert_eq!(error, LoadError::DoesNotFit { needed, free });
        assert_eq!(error.code(), "does-not-fit");
        let said = error.to_string();
        assert!(said.contains(&format!("needs {needed} bytes")), "{said}");
        assert!(said.contains(&format!("{free} are free")), "{said}");
        let checked = engine.check(&wasm, &granted()).unwrap_err();
        assert_eq!(checked, error);
    }
    // Without memory to read the module, its needs can't be told.
    let engine = Engine::new(limits).with_platform(Told(Arc::default()));
    let error = engine.check(&wasm, &granted()).unwrap_err();
    assert!(matches!(error, LoadError::DoesNotFit { needed, free: 0 } if needed > 0));
}

#[test]
fn servers_have_no_limit_on_the_heap() {
    let wasm = guest_bytes("customize");
    let engine = Engine::new(Limits::server());
    assert_eq!(load_code(&engine.load("guest", &wasm, &granted())), "ok");
}

#[test]
fn instances_and_calls_are_refused_too_and_go_on_when_there_is_room_again() {
    let free = Arc::new(AtomicUsize::new(1 << 20));
    let engine = Engine::new(Limits::device(256 << 10)).with_platform(Told(free.clone()));
    let wasm = guest_bytes("wat_no_dealloc");
    let plugin: Plugin = engine.load("guest", &wasm, &Grants::new()).unwrap();
    let footprint = plugin.info().footprint(plugin.limits());
    let mut instance = plugin.instantiate(()).unwrap();

    let call = usize::try_from(footprint.frames).unwrap();
    for _ in 0..2 {
        free.store(call - 1, Relaxed);
        assert_eq!(code(&instance.process(b"hello")), "does-not-fit");
        free.store(call, Relaxed);
        assert_eq!(instance.process(b"hello").unwrap(), b"hello");
    }
    let made = usize::try_from(footprint.instance_to_run()).unwrap();
    free.store(made - 1, Relaxed);
    let error = plugin.instantiate(()).unwrap_err();
    assert_eq!(error.code(), "does-not-fit");
    assert!(!error.stops());
    let said = error.to_string();
    assert!(said.contains(&format!("{made} bytes")), "{said}");
    assert!(said.contains(&format!("{} are free", made - 1)), "{said}");
    assert_eq!(code(&plugin.process(b"hello")), "does-not-fit");
    free.store(made, Relaxed);
    assert_eq!(plugin.process(b"hello").unwrap(), b"hello");
}

/// Fills a heap with plugins, each with an instance that has run. Returns how many there are when
/// the next one is refused.
fn fill(heap: usize, wasm: &[u8], export: &str) -> usize {
    with_heap(heap, || {
        let engine = device(heap);
        let mut held: Vec<Instance> = Vec::with_capacity(32);
        loop {
            let loaded = engine.load::<()>("guest", wasm, &Grants::new());
            let Ok(plugin) = loaded else {
                assert_eq!(load_code(&loaded), "does-not-fit");
                return held.len();
            };
            let mut instance = plugin.instantiate(()).unwrap();
            instance.call_bytes(export, b"even", |_| ()).unwrap();
            held.push(instance);
        }
    })
}

#[test]
fn a_heap_is_filled_with_plugins_until_one_is_refused() {
    let heap = 256 << 10;
    for (name, export, bits32, bits64) in [
        ("small_filter", "process", 14, 8),
        ("small_c_reverse", "process", 11, 6),
    ] {
        let found = fill(heap, &guest_bytes(name), export);
        println!("{name}: {found} plugins in {heap} bytes");
        let least = match Machine::HERE {
            Machine::Bits32 => bits32,
            Machine::Bits64 => bits64,
        };
        assert!(found >= least, "{name}: {found}");
    }
}

#[test]
fn every_heap_has_room_for_the_error() {
    // With every size of heap the plugin answers, or an error says that memory is short.
    let grower = assemble(
        r#"(module (memory (export "memory") 1)
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func $deep (param i32) (result i32)
              (if (result i32) (local.get 0)
                (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
                (else (i32.const 0))))
            (func (export "process") (param i32 i32) (result i32 i32)
              (loop $on (br_if $on (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
              (drop (call $deep (i32.const 1000)))
              (local.get 0) (local.get 1)))"#,
    );
    let mut answers = 0;
    for (wasm, export) in [
        (guest_bytes("small_filter"), "process"),
        (guest_bytes("small_greet"), "greet"),
        (guest_bytes("small_c_reverse"), "process"),
        (guest_bytes("c_greet"), "greet"),
        (guest_bytes("customize"), "process"),
        (grower, "process"),
    ] {
        let grants = granted();
        let mut refused = 0;
        for heap in (1..512).map(|step| step << 10) {
            let result = with_heap(heap, || {
                let engine = device(heap);
                let plugin = match engine.load("guest", &wasm, &grants) {
                    Ok(plugin) => plugin,
                    Err(error) => return error.code(),
                };
                let result = plugin
                    .instantiate(())
                    .and_then(|mut instance| instance.call_bytes(export, b"in", |_| ()));
                code(&result)
            });
            match result {
                "ok" => answers += 1,
                "does-not-fit" => refused += 1,
                // The heap's size is also the limit on the module's.
                "module-too-large" | "over-limit" => refused += 1,
                "trap-stack" | "trap-out-of-memory" | "no-memory" => {}
                other => panic!("{heap}: {other}"),
            }
        }
        assert!(refused > 8, "{export}: {refused}");
    }
    assert!(answers > 1_000, "{answers}");
}

#[test]
fn a_guest_that_takes_the_last_byte_stops_no_other_guest() {
    // With pages of a byte the guest takes the last byte of the heap. Then each export runs.
    let wasm = assemble(
        r#"(module
            (import "env" "host_log" (func $log (param i32 i32)))
            (import "env" "host_state_set" (func $set (param i32 i32 i32 i32) (result i32 i32)))
            (memory (export "memory") 256 (pagesize 1))
            (func (export "allocate") (param i32) (result i32) (i32.const 16))
            (func $grow (local $size i32)
              (local.set $size (i32.const 4096))
              (loop $on
                (if (i32.eq (memory.grow (local.get $size)) (i32.const -1))
                  (then (local.set $size (i32.shr_u (local.get $size) (i32.const 1)))))
                (br_if $on (local.get $size))))
            (func (export "return") (call $grow))
            (func (export "trap") (call $grow) (unreachable))
            (func (export "log") (call $grow) (call $log (i32.const 0) (i32.const 200)))
            (func (export "state") (local $n i32)
              (call $grow)
              (loop $on
                (i32.store (i32.const 0) (local.get $n))
                (call $set (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 100)) (drop) (drop)
                (br_if $on (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 30))))))"#,
    );
    IN_PLACE.set(true);
    let mut ended = [0; 2];
    for export in ["return", "trap", "log", "state"] {
        for heap in (6_000..80_000).step_by(331) {
            let result = with_heap(heap, || {
                let grants = granted().state(MemoryState::new(StateLimits::device()));
                let engine = device(heap);
                let plugin = match engine.load("guest", &wasm, &grants) {
                    Ok(plugin) => plugin,
                    Err(error) => return error.code(),
                };
                let called = plugin
                    .instantiate(())
                    .and_then(|mut instance| instance.call::<(), ()>(export, ()));
                code(&called)
            });
            match (export, result) {
                ("trap", "trap-unreachable") | ("return" | "log" | "state", "ok") => ended[0] += 1,
                (_, "does-not-fit" | "module-too-large" | "over-limit") => ended[1] += 1,
                (_, other) => panic!("{export} with {heap}: {other}"),
            }
        }
    }
    assert!(ended[0] > 200 && ended[1] > 50, "{ended:?}");
}
