//! Several modules of one plugin, linked by name.

use hostel::{
    Async, Budget, CallError, Engine, Grants, Limits, LoadError, Mismatch, Plugin, Step, Trap,
};
use hostel_tests::{Lines, assemble, code, load_code};
use std::time::Duration;

/// Links modules from their texts, by an engine with these limits.
fn try_link(
    limits: Limits,
    modules: &[(&str, &str)],
    grants: &Grants,
) -> Result<Plugin, LoadError> {
    let assembled: Vec<_> = modules.iter().map(|(_, text)| assemble(text)).collect();
    let modules: Vec<_> = modules
        .iter()
        .zip(&assembled)
        .map(|((name, _), wasm)| (*name, &**wasm))
        .collect();
    let engine = hostel::engine_with(limits);
    let checked = engine.check_linked(&modules, grants);
    let linked = engine.load_linked("plugin", &modules, grants);
    assert_eq!(load_code(&checked), load_code(&linked), "{linked:?}");
    linked
}

fn link(modules: &[(&str, &str)], grants: &Grants) -> Plugin {
    try_link(Limits::server(), modules, grants).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the message of the error of linking.
fn refused(modules: &[(&str, &str)]) -> String {
    let linked = try_link(Limits::server(), modules, &Grants::new());
    linked.map(drop).unwrap_err().to_string()
}

/// A module that exports `double`, and one that exports `next` and needs it.
const DOUBLE: &str = r#"(module (func (export "double") (param i32) (result i32)
    (i32.mul (local.get 0) (i32.const 2))))"#;
const NEXT: &str = r#"(module
    (import "math" "double" (func $double (param i32) (result i32)))
    (func (export "next") (param i32) (result i32)
      (i32.add (call $double (local.get 0)) (i32.const 1))))"#;

#[test]
fn exports_of_one_module_are_imports_of_another_in_any_order() {
    let main = r#"(module
        (import "steps" "next" (func $next (param i32) (result i32)))
        (import "math" "double" (func $double (param i32) (result i32)))
        (func (export "f") (param i32) (result i32) (call $next (call $double (local.get 0)))))"#;
    let all = [("math", DOUBLE), ("steps", NEXT), ("main", main)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let plugin = link(&order.map(|at| all[at]), &Grants::new());
        assert_eq!(plugin.call::<(u32,), u32>("f", (10,)).unwrap(), 41);
        assert_eq!(plugin.info().function_names().collect::<Vec<_>>(), ["f"]);
    }
    // Without one of this name, the last is the main one.
    let plugin = link(&[("math", DOUBLE), ("steps", NEXT)], &Grants::new());
    assert_eq!(plugin.call::<(u32,), u32>("next", (10,)).unwrap(), 21);
    let plugin = link(&[("whatever", DOUBLE)], &Grants::new());
    assert_eq!(plugin.call::<(u32,), u32>("double", (10,)).unwrap(), 20);
}

/// A module with its own name in its memory and an allocator that gives one place. `say` shows the name,
/// `fetch` a text of the host's, which it receives by its allocator.
fn speaker(name: &str, place: u32, more: &str) -> String {
    let length = name.len();
    format!(
        r#"(module
          {more}
          (import "host" "show" (func $show (param i32 i32)))
          (import "host" "give" (func $give (result i32 i32)))
          (import "host" "wait" (func $wait (result i32 i32)))
          (memory (export "memory") 1)
          (data (i32.const 8) "{name}")
          (global $given (mut i32) (i32.const 0))
          (func (export "allocate") (param i32) (result i32)
            (global.set $given (i32.add (global.get $given) (i32.const 1)))
            (i32.const {place}))
          (func $say (export "say") (call $show (i32.const 8) (i32.const {length})))
          (func $fetch (export "fetch") (call $show (call $give)))
          (func $await (export "await") (call $show (call $wait)) (call $say))
          (func $allocated (export "allocated") (result i32) (global.get $given))
          (func (export "both") (call $say) (call $fetch) (call $await)))"#
    )
}

/// Grants what speakers need; `host.show` logs by the sink.
fn host_functions(lines: &Lines) -> Grants {
    let log = lines.clone();
    Grants::new()
        .function("host", "show", move |text: &str| log.push(text))
        .function("host", "give", || String::from("given"))
        .function("host", "wait", || {
            Async(async {
                let mut polled = false;
                std::future::poll_fn(move |context| {
                    context.waker().wake_by_ref();
                    if std::mem::replace(&mut polled, true) {
                        std::task::Poll::Ready(())
                    } else {
                        std::task::Poll::Pending
                    }
                })
                .await;
                Ok::<_, Trap>(String::from("awaited"))
            })
        })
}

#[test]
fn host_functions_work_on_the_memory_of_the_module_that_calls_them() {
    let lines = Lines::default();
    let imports = r#"
        (import "lib" "say" (func $lib_say))
        (import "lib" "fetch" (func $lib_fetch))
        (import "lib" "await" (func $lib_await))
        (import "lib" "allocated" (func $lib_allocated (result i32)))"#;
    let main = speaker("main", 0x1000, imports);
    let calls = r#"
        (func (export "all")
          (call $say) (call $lib_say) (call $fetch) (call $lib_fetch) (call $say)
          (call $lib_await) (call $say) (call $await) (call $lib_say) (call $say))
        (func (export "counts") (result i32)
          (i32.add (i32.mul (i32.const 100) (call $allocated)) (call $lib_allocated))))"#;
    let main = main.trim_end().strip_suffix(')').unwrap().to_owned() + calls;
    let lib = speaker("library", 0x2000, "");
    let plugin = link(&[("lib", &lib), ("main", &main)], &host_functions(&lines));
    let expected = [
        "main", "library", "given", "given", "main", "awaited", "library", "main", "awaited",
        "main", "library", "main",
    ];
    let mut instance = plugin.instantiate(()).unwrap();
    instance.call::<(), ()>("all", ()).unwrap();
    assert_eq!(lines.take(), expected);
    assert_eq!(instance.call::<(), u32>("counts", ()).unwrap(), 202);
    let used = instance.usage().fuel;
    for quantum in [1, 100, 100_000] {
        let mut instance = plugin.instantiate(()).unwrap();
        let mut call = instance.call_async::<(), ()>("all", ());
        while !matches!(call.step(quantum), Step::Done(Ok(()))) {}
        drop(call);
        assert_eq!(lines.take(), expected, "{quantum}");
        assert_eq!(instance.call::<(), u32>("counts", ()).unwrap(), 202);
        assert_eq!(instance.usage().fuel, used, "{quantum}");
    }
}

#[test]
fn modules_that_do_not_fit_are_refused_by_name() {
    let from = |module: &str, name: &str| {
        format!(r#"(module (import "{module}" "{name}" (func)) (func (export "{name}")))"#)
    };
    let (a, b, c) = (from("b", "f"), from("c", "f"), from("a", "f"));
    for (modules, expected) in [
        (vec![], "the modules can't be linked: there is none"),
        (
            vec![("math", DOUBLE), ("math", NEXT)],
            "the modules can't be linked: two are named `math`: give each a name of its own",
        ),
        (
            vec![("a", &*a), ("b", &*b), ("c", &*c), ("main", DOUBLE)],
            "the modules can't be linked: they import from each other in a cycle: `a` → `b` → `c` → `a`",
        ),
        (
            vec![("c", &*b), ("x", DOUBLE)],
            "the modules can't be linked: they import from each other in a cycle: `c` → `c`",
        ),
        (
            vec![("main", &*a), ("b", &*from("main", "f"))],
            "the modules can't be linked: they import from each other in a cycle: `main` → `b` → `main`",
        ),
        (
            vec![
                ("math", r#"(module (func (export "triple")))"#),
                ("main", NEXT),
            ],
            "module `main`: the module does not fit, 1 mismatch:\n  import `math.double` (i32) -> i32: \
             nothing supplies it; the module of this name exports: `triple`",
        ),
        (
            vec![
                ("math", r#"(module (func (export "double")))"#),
                ("main", NEXT),
            ],
            "module `main`: the module does not fit, 1 mismatch:\n  import `math.double`: expected () -> (), \
             as the module of this name exports it, found (i32) -> i32",
        ),
        (
            vec![
                ("lib", r#"(module (memory (export "memory") 1))"#),
                (
                    "main",
                    r#"(module (import "lib" "memory" (memory 1)) (func (export "f")))"#,
                ),
            ],
            "module `main`: the module does not fit, 1 mismatch:\n  import `lib.memory` is a memory: only \
             functions can be imported, or stubbed; define the memory in the module and export it",
        ),
        (
            vec![
                (
                    "p",
                    r#"(module (table 1 funcref) (func (export "_start")) (func (export "f")
                    (table.set (i32.const 0) (ref.null func))))"#,
                ),
                (
                    "main",
                    r#"(module (import "p" "f" (func)) (func (export "g")))"#,
                ),
            ],
            "the modules can't be linked: `p` exports `_start`, so each call from another module is to run as in a \
             new instance, which can't be done since it changes tables, drops segments or keeps references: build",
        ),
        (
            vec![
                ("p", r#"(module (memory 257) (func (export "_start")))"#),
                (
                    "main",
                    r#"(module (import "p" "_start" (func)) (func (export "g")))"#,
                ),
            ],
            "the modules can't be linked: `p` exports `_start`, so each call from another module is to run as in a \
             new instance, which can't be done since it has more than 16 MiB of memory: build",
        ),
        (
            vec![
                ("math", "(module (func (export \"hostel:x\")))"),
                ("main", NEXT),
            ],
            "module `math`: ",
        ),
    ] {
        let message = refused(&modules);
        assert!(message.starts_with(expected), "{message}\n{expected}");
    }
    let names: Vec<_> = (0..65).map(|number| format!("m{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (&**name, DOUBLE)).collect();
    assert_eq!(
        refused(&many),
        "the modules can't be linked: a plugin has at most 64, found 65"
    );
    // The names of what hostel adds to a module are none of its exports.
    let inside = r#"(module (import "lib" "hostel:start" (func)))"#;
    let lib = "(module (func $f) (start $f))";
    assert!(refused(&[("lib", lib), ("main", inside)]).contains("nothing supplies it"));
    // Imports of a broken module are not told, but where it is broken.
    let error =
        hostel::engine().load_linked("m", &[("a", b"\0asm"), ("main", b"")], &Grants::<()>::new());
    assert_eq!(error.unwrap_err().code(), "truncated-module");
}

#[test]
fn a_module_that_lacks_an_export_leaves_it_to_the_grants() {
    let lines = Lines::default();
    let user = r#"(module (func (export "one") (result i32) (i32.const 1)))"#;
    let main = r#"(module
        (import "host" "one" (func $one (result i32)))
        (import "host" "two" (func $two (result i32)))
        (func (export "f") (result i32) (i32.add (call $one) (call $two))))"#;
    let grants = host_functions(&lines)
        .function("host", "one", || 100u32)
        .function("host", "two", || 20u32);
    let plugin = link(&[("host", user), ("main", main)], &grants);
    assert_eq!(plugin.call::<(), u32>("f", ()).unwrap(), 21);
    let refused = try_link(
        Limits::server(),
        &[("host", user), ("main", main)],
        &Grants::new(),
    );
    let Err(LoadError::InModule { module, error }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(&*module, "main");
    let LoadError::Mismatch(all) = *error else {
        panic!("{error:?}")
    };
    assert!(matches!(&all[..], [Mismatch::UnknownImport { name, .. }] if &**name == "two"));
}

#[test]
fn limits_hold_for_all_modules_together() {
    let page = r#"(module (memory 1) (table 10 funcref) (global (mut i32) (i32.const 0)) (func (export "f"))
        (data "a") (elem func 0))"#;
    let modules = [("a", page), ("b", page), ("main", page)];
    let size = assemble(page).len();
    let limited = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::server();
        change(&mut limits);
        try_link(limits, &modules, &Grants::new())
    };
    for (name, fits, set) in [
        (
            "memory_bytes",
            3 << 16,
            (|limits, most| limits.memory_bytes = most) as fn(&mut Limits, usize),
        ),
        ("table_elements", 30, |limits, most| {
            limits.table_elements = most
        }),
        ("functions", 3, |limits, most| {
            limits.module.functions = most
        }),
        ("exports", 3, |limits, most| limits.module.exports = most),
        ("tables", 3, |limits, most| limits.module.tables = most),
        ("globals", 3, |limits, most| limits.module.globals = most),
        ("segments", 6, |limits, most| limits.module.segments = most),
        ("elements", 3, |limits, most| limits.module.elements = most),
    ] {
        let plugin = limited(&|limits| set(limits, fits));
        plugin.unwrap().call::<(), ()>("f", ()).unwrap();
        let refused = limited(&|limits| set(limits, fits - 1)).unwrap_err();
        let (limit, found) = (fits as u64 - 1, fits as u64);
        assert_eq!(refused, LoadError::OverLimit { name, limit, found });
    }
    // Each has fewer bytes than eight for a function.
    let many = format!("(module {} (func (export \"f\")))", "(func)".repeat(50));
    let small = assemble(&many);
    let small = 51 - small.len() / 8;
    let modules = [("a", &*many), ("main", &*many)];
    let limited_small = |most: usize| {
        let mut limits = Limits::server();
        limits.module.small_functions = most;
        try_link(limits, &modules, &Grants::new()).map(drop)
    };
    assert_eq!(limited_small(2 * small), Ok(()));
    let (name, limit, found) = ("small_functions", 2 * small as u64 - 1, 2 * small as u64);
    assert_eq!(
        limited_small(2 * small - 1),
        Err(LoadError::OverLimit { name, limit, found })
    );
    assert!(limited(&|limits| limits.module_bytes = 3 * size).is_ok());
    let refused = limited(&|limits| limits.module_bytes = 3 * size - 1).unwrap_err();
    assert_eq!(refused.code(), "module-too-large");
    let refused = limited(&|limits| limits.heap_bytes = 3 << 16).unwrap_err();
    assert_eq!(refused.code(), "does-not-fit");
}

#[test]
fn memories_grow_up_to_one_limit() {
    let grower = r#"(memory (export "memory") 1)
        (func $grow (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))"#;
    let lib = format!("(module {grower})");
    let main = format!(
        r#"(module (import "lib" "grow" (func $lib_grow (param i32) (result i32))) {grower}
            (func (export "grow_lib") (param i32) (result i32) (call $lib_grow (local.get 0))))"#
    );
    let mut limits = Limits::server();
    limits.memory_bytes = 10 << 16;
    let plugin = try_link(limits, &[("lib", &lib), ("main", &main)], &Grants::new()).unwrap();
    let mut instance = plugin.instantiate(()).unwrap();
    for (name, pages, expected) in [
        ("grow", 3, 1),
        ("grow_lib", 4, 1),
        ("grow_lib", 2, -1),
        ("grow", 2, -1),
        ("grow_lib", 1, 5),
        ("grow", 1, -1),
        ("grow_lib", 1, -1),
        ("grow", 0, 4),
    ] {
        let grown = instance.call::<(i32,), i32>(name, (pages,)).unwrap();
        assert_eq!(grown, expected, "{name} {pages}");
    }
    assert_eq!(instance.usage().memory_bytes, 10 << 16);
}

#[test]
fn one_budget_bounds_the_work_of_all() {
    let endless = r#"(module (func (export "spin") (loop $l (br $l)))
        (func $deep (export "deep") (call $deep))
        (func (export "fail") unreachable))"#;
    let main = r#"(module
        (import "lib" "spin" (func $spin))
        (import "lib" "deep" (func $deep))
        (import "lib" "fail" (func $fail))
        (func (export "spins") (call $spin))
        (func (export "falls") (call $deep))
        (func (export "fails") (call $fail)))"#;
    let plugin = link(&[("lib", endless), ("main", main)], &Grants::new());
    let plugin = plugin.with_budget(Budget::server().with_fuel(1_000_000));
    for (name, expected) in [
        ("spins", "out-of-fuel"),
        ("falls", "trap-stack"),
        ("fails", "trap-unreachable"),
    ] {
        let mut instance = plugin.instantiate(()).unwrap();
        assert_eq!(code(&instance.call::<(), ()>(name, ())), expected);
        assert_eq!(code(&instance.call::<(), ()>(name, ())), "stopped");
        let mut call = plugin.call_async::<(), ()>(name, ());
        let ended = loop {
            if let Step::Done(ended) = call.step(1_000) {
                break ended;
            }
        };
        assert_eq!(code(&ended), expected);
    }
    let soon = Budget::server().with_deadline(Duration::from_millis(20));
    let ended = plugin.with_budget(soon).call::<(), ()>("spins", ());
    assert_eq!(code(&ended), "deadline");
}

#[test]
fn an_endless_start_of_a_linked_module_ends_in_the_budget() {
    let main = r#"(module (import "lib" "f" (func)) (func (export "f")))"#;
    for start in [
        "(start $spin)",
        r#"(export "_initialize" (func $spin))"#,
        r#"(export "__wasm_call_ctors" (func $spin))"#,
    ] {
        let lib = format!(r#"(module (func $spin (loop $l (br $l))) (func (export "f")) {start})"#);
        let plugin = link(&[("lib", &lib), ("main", main)], &Grants::new());
        let plugin = plugin.with_budget(Budget::server().with_fuel(100_000));
        let made = plugin.instantiate(()).map(drop);
        assert!(
            matches!(made, Err(CallError::OutOfFuel { .. })),
            "{start}: {made:?}"
        );
        assert_eq!(code(&plugin.call::<(), ()>("f", ())), "out-of-fuel");
        let ended = plugin.call_async::<(), ()>("f", ()).step(1_000_000);
        assert!(matches!(
            ended,
            Step::Done(Err(CallError::OutOfFuel { .. }))
        ));
    }
}

#[test]
fn starts_run_in_the_order_of_need() {
    let lines = Lines::default();
    let module = |name: &str, imports: &str, start: &str| {
        format!(
            r#"(module {imports}
              (import "host" "show" (func $show (param i32 i32)))
              (memory (export "memory") 1) (data (i32.const 0) "{name}")
              (func $init (call $show (i32.const 0) (i32.const {})))
              (func (export "f")) {start})"#,
            name.len()
        )
    };
    let c = module("c", "", "(start $init)");
    let b = module(
        "b",
        r#"(import "c" "f" (func))"#,
        r#"(export "_initialize" (func $init))"#,
    );
    let main = module(
        "main",
        r#"(import "b" "f" (func)) (import "c" "f" (func))"#,
        r#"(start $init) (export "_initialize" (func $init))"#,
    );
    let plugin = link(
        &[("main", &main), ("b", &b), ("c", &c)],
        &host_functions(&lines),
    );
    plugin.call::<(), ()>("f", ()).unwrap();
    assert_eq!(lines.take(), ["c", "b", "main", "main"]);
}

#[test]
fn each_request_has_new_instances_and_a_held_one_keeps_its_state() {
    let lib = r#"(module (global $n (mut i32) (i32.const 0)) (memory 1)
        (func (export "count") (result i32)
          (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
          (i32.load (i32.const 0))))"#;
    let main = r#"(module (import "lib" "count" (func $count (result i32)))
        (func (export "f") (result i32) (call $count)))"#;
    let plugin = link(&[("lib", lib), ("main", main)], &Grants::new());
    for _ in 0..3 {
        assert_eq!(plugin.call::<(), u32>("f", ()).unwrap(), 1);
    }
    let figures = plugin.pool_figures();
    assert_eq!((figures.resets, figures.discards), (0, 3));
    let mut held = plugin.instantiate(()).unwrap();
    let fresh = held.state_hash();
    assert_eq!(held.call::<(), u32>("f", ()).unwrap(), 1);
    assert_ne!(held.state_hash(), fresh);
    assert_eq!(held.call::<(), u32>("f", ()).unwrap(), 2);
}

#[test]
fn a_module_can_call_back_by_reference_and_find_its_grown_memory() {
    let lib = r#"(module (type $back (func (param i32) (result i32))) (table 1 funcref)
        (memory 1) (data (i32.const 0) "\07")
        (func (export "apply") (param $f funcref) (param $x i32) (result i32)
          (table.set (i32.const 0) (local.get $f))
          (i32.add (call_indirect (type $back) (local.get $x) (i32.const 0)) (i32.load8_u (i32.const 0)))))"#;
    let main = r#"(module (import "lib" "apply" (func $apply (param funcref i32) (result i32)))
        (memory (export "memory") 1)
        (func $back (export "back") (param $x i32) (result i32)
          (drop (memory.grow (i32.const 10)))
          (i32.store (i32.const 0xa0000) (local.get $x))
          (i32.load (i32.const 0xa0000)))
        (func (export "f") (param $x i32) (result i32) (local $sum i32)
          (local.set $sum (call $apply (ref.func $back) (local.get $x)))
          (i32.add (local.get $sum) (i32.load (i32.const 0xa0000)))))"#;
    let plugin = link(&[("lib", lib), ("main", main)], &Grants::new());
    assert_eq!(plugin.call::<(u32,), u32>("f", (100,)).unwrap(), 207);
    for quantum in [1, 10] {
        let mut call = plugin.call_async::<(u32,), u32>("f", (100,));
        let ended = loop {
            if let Step::Done(ended) = call.step(quantum) {
                break ended;
            }
        };
        assert_eq!(ended, Ok(207));
    }
}

#[test]
fn a_snapshot_begins_with_one_module() {
    // There is no way to name several: the state of one would be lost.
    let snapshot =
        Engine::default().snapshot("m", &assemble(NEXT), &Grants::<()>::new(), |_| Ok(()));
    assert!(snapshot.unwrap_err().to_string().contains("math.double"));
}

/// A program that counts its calls in a global and in its memory, and starts at 5.
const PROGRAM: &str = r#"(module
    (import "host" "show" (func $show (param i32 i32)))
    (global $calls (mut i32) (i32.const 0))
    (memory (export "memory") 1)
    (data (i32.const 100) "fresh")
    (func $begin (global.set $calls (i32.add (global.get $calls) (i32.const 5))))
    (start $begin)
    (func (export "_start") (global.set $calls (i32.const 100)))
    (func (export "count") (param $x i64) (param $y f64) (result i32 f64)
      (call $show (i32.const 100) (i32.const 5))
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
      (memory.fill (i32.const 100) (i32.const 33) (i32.const 5))
      (i32.add (global.get $calls)
        (i32.add (i32.mul (i32.const 10) (i32.load (i32.const 0))) (i32.wrap_i64 (local.get $x))))
      (local.get $y))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "spin") (loop (br 0))))"#;

#[test]
fn each_call_of_a_program_from_another_module_begins_anew() {
    let lines = Lines::default();
    let main = r#"(module
        (import "program" "_start" (func $run))
        (import "program" "count" (func $count (param i64 f64) (result i32 f64)))
        (import "program" "grow" (func $grow (result i32)))
        (import "program" "spin" (func $spin))
        (func (export "f") (result i32)
          (local $sum i32) (local $times i32)
          (loop $next
            (call $run)
            (call $count (i64.const 1000) (f64.const 0.5))
            (if (f64.ne (f64.const 0.5)) (then (unreachable)))
            (local.set $sum (i32.add (local.get $sum)))
            (local.set $times (i32.add (local.get $times) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $times) (i32.const 4))))
          (local.get $sum))
        (func (export "grow") (result i32) (call $grow))
        (func (export "spin") (call $spin)))"#;
    let plugin = link(
        &[("program", PROGRAM), ("main", main)],
        &host_functions(&lines),
    );
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(lines.take(), [""; 0]);
    for _ in 0..2 {
        assert_eq!(instance.call::<(), u32>("f", ()).unwrap(), 4 * 1_016);
        assert_eq!(lines.take(), ["fresh"; 4]);
    }
    let used = instance.usage().fuel;
    for quantum in [1, 50, 10_000] {
        let mut call = instance.call_async::<(), u32>("f", ());
        let ended = loop {
            if let Step::Done(ended) = call.step(quantum) {
                break ended;
            }
        };
        drop(call);
        assert_eq!(ended, Ok(4 * 1_016), "{quantum}");
        assert_eq!(instance.usage().fuel, used, "{quantum}");
        assert_eq!(lines.take(), ["fresh"; 4]);
    }
    // Resetting a page is charged.
    assert!(used > 8 * 1_024, "{used}");

    // A memory that has grown can't be made as new.
    assert_eq!(instance.call::<(), u32>("grow", ()).unwrap(), 1);
    let again = instance.call::<(), u32>("grow", ()).unwrap_err();
    assert_eq!(again.code(), "trap-host");
    assert!(
        again.to_string().contains("-mexec-model=reactor"),
        "{again}"
    );
    assert_eq!(code(&instance.call::<(), u32>("grow", ())), "stopped");
    let plugin = plugin.with_budget(Budget::server().with_fuel(100_000));
    assert_eq!(code(&plugin.call::<(), ()>("spin", ())), "out-of-fuel");
    assert_eq!(plugin.call::<(), u32>("f", ()).unwrap(), 4 * 1_016);
}

#[test]
fn what_stands_before_a_program_counts_as_heap() {
    let program = r#"(module (memory 100) (func (export "_start")) (func (export "f")))"#;
    let library = r#"(module (memory 100) (func (export "f")))"#;
    let main = r#"(module (import "p" "f" (func)) (func (export "g")))"#;
    let mut limits = Limits::server();
    limits.instances = 1;
    limits.idle = 0;
    limits.heap_bytes = 12 << 20;
    let fits = |other: &str| try_link(limits, &[("p", other), ("main", main)], &Grants::new());
    // A program has a copy of its memory, to be reset.
    assert_eq!(load_code(&fits(library)), "ok");
    assert_eq!(load_code(&fits(program)), "does-not-fit");
}

#[test]
fn an_endless_start_of_a_program_ends_in_the_budget_of_the_call() {
    let program = r#"(module (func $s (loop (br 0))) (start $s) (func (export "_start")))"#;
    let main = r#"(module (import "p" "_start" (func $run)) (func (export "f") (call $run)))"#;
    let plugin = link(&[("p", program), ("main", main)], &Grants::new());
    let plugin = plugin.with_budget(Budget::server().with_fuel(100_000));
    // It does not run before it is called.
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(code(&instance.call::<(), ()>("f", ())), "out-of-fuel");
}

#[test]
fn a_program_is_not_reset_while_it_runs() {
    let lib = r#"(module (type $f (func)) (table 1 funcref)
        (func (export "keep") (param funcref) (table.set (i32.const 0) (local.get 0)))
        (func (export "run") (call_indirect (type $f) (i32.const 0))))"#;
    let program = r#"(module
        (import "lib" "run" (func $run))
        (func (export "_start") (call $run))
        (func (export "idle")))"#;
    let main = r#"(module
        (import "lib" "keep" (func $keep (param funcref)))
        (import "p" "_start" (func $start))
        (import "p" "idle" (func $idle))
        (elem declare func $start $idle)
        (func (export "again") (call $keep (ref.func $idle)) (call $start))
        (func (export "idle") (call $idle) (call $idle)))"#;
    let plugin = link(
        &[("lib", lib), ("p", program), ("main", main)],
        &Grants::new(),
    );
    assert_eq!(code(&plugin.call::<(), ()>("again", ())), "trap-reentered");
    assert_eq!(code(&plugin.call::<(), ()>("idle", ())), "ok");
}

#[test]
fn an_import_that_a_module_could_supply_is_told_as_such() {
    let extism = r#"(import "extism:host/env" "input_length" (func (result i64)))"#;
    let hint = |imports: &str| {
        let main = format!(r#"(module {imports} (func (export "f")))"#);
        let grants = Grants::<()>::new().extism(hostel::Extism::new());
        let refused = try_link(Limits::server(), &[("main", &main)], &grants);
        refused.map(drop).unwrap_err().to_string()
    };
    let other = hint(&format!(r#"{extism} (import "b" "g" (func))"#));
    assert!(other.contains("link a module named `b`"), "{other}");
    assert!(other.contains("`Extism::function`"), "{other}");
    let own = hint(r#"(import "extism:host/user" "g" (func))"#);
    assert!(own.contains("`Extism::function`"), "{own}");
    let old = hint(r#"(import "env" "extism_input_offset" (func (result i64)))"#);
    assert!(old.contains("made for Extism before 1.0"), "{old}");
}
