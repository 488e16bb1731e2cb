//! Guests that break the canonical ABI, exceed budgets or have the host wait: they end as by a contract that is read.

use super::with_fuel;
use hostel::{
    Async, Budget, Engine, Grants, Plugin, Step,
    component::{FixedInterface, Interface, IntoFunction},
};
use hostel_lower::{Names, lower};

/// A guest whose `realloc`, `give`, `post-return` and `run` do what is told. `run` calls functions of the host.
fn hostile(realloc: &str, give: &str, post: &str, run: &str) -> String {
    let options = r#"(memory (core memory $memory "memory")) (realloc (core func $r "realloc"))"#;
    let lift = |name: &str, result: &str| {
        format!(
            r#"(func (export "{name}") (result {result}) (canon lift (core func $m "give") {options}))"#
        )
    };
    let lifts = [
        lift("text", "string"),
        lift("list", "(list (tuple u64 u64))"),
        lift("char", "char"),
        lift("kind", "(result string (error u64))"),
    ]
    .concat();
    format!(
        r#"(component
  (import "f" (func $f (param "n" u32) (result u32)))
  (import "g" (func $g (param "text" string) (param "all" (list (tuple u64 u64))) (param "kind" (option char))))
  (import "h" (func $h (result (list string))))
  (core module $Memory (memory (export "memory") 1) (data (i32.const 8) "\ff\fe\fd\fc"))
  (core instance $memory (instantiate $Memory))
  (core func $f (canon lower (func $f)))
  (core module $R
    (import "h" "f" (func $f (param i32) (result i32)))
    (global $at (mut i32) (i32.const 0x4000))
    (func $next (param i32) (result i32)
      (global.set $at (i32.add (global.get $at) (i32.const 64)))
      (global.get $at))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc}))
  (core instance $r (instantiate $R (with "h" (instance (export "f" (func $f))))))
  (core func $g (canon lower (func $g) {options}))
  (core func $h (canon lower (func $h) {options}))
  (core module $M
    (import "m" "memory" (memory 1))
    (import "h" "f" (func $f (param i32) (result i32)))
    (import "h" "g" (func $g (param i32 i32 i32 i32 i32 i32)))
    (import "h" "h" (func $h (param i32)))
    (func (export "give") (result i32) {give})
    (func (export "post") (param i32) {post})
    (func (export "take") (param i32 i32))
    (func (export "run") {run}))
  (core instance $m (instantiate $M
    (with "m" (instance $memory))
    (with "h" (instance (export "f" (func $f)) (export "g" (func $g)) (export "h" (func $h))))))
  {lifts}
  (func (export "leave") (result string)
    (canon lift (core func $m "give") {options} (post-return (core func $m "post"))))
  (func (export "take") (param "text" string) (canon lift (core func $m "take") {options}))
  (func (export "numbers") (param "all" (list u64)) (canon lift (core func $m "take") {options}))
  (func (export "run") (canon lift (core func $m "run"))))"#
    )
}

// The host's functions of such a guest.
fn g(_: String, _: Vec<(u64, u64)>, _: Option<char>) {}
fn h() -> Vec<String> {
    vec!["one".into(), "two".into()]
}

/// Returns such a guest, by a contract that is read and by that of Rust.
fn both<M>(text: &str, h: impl IntoFunction<(), M> + Copy) -> [Plugin; 2] {
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let wasm = lower(&wasm, Names::Kept).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let f = |n: u32| n;
    let read = Interface::root()
        .function("f", f)
        .function("g", g)
        .function("h", h);
    let fixed = FixedInterface::root()
        .function("f", f)
        .function("g", g)
        .function("h", h);
    let engine = Engine::default();
    [
        engine.load_component("hostile", &wasm, &Grants::new().interface(read)),
        engine.load("hostile", &wasm, &Grants::new().fixed(fixed)),
    ]
    .map(|plugin| plugin.unwrap_or_else(|error| panic!("{error}\n{text}")))
}

/// Calls `name` of both, and returns the message of the error if both end alike, for equal fuel.
fn ends(plugins: &[Plugin; 2], budget: Budget, name: &str) -> String {
    macro_rules! call {
        ($instance:expr, $call:ident) => {
            match name {
                "take" => $instance
                    .$call::<_, ()>(name, ("text",))
                    .map(|_| String::new()),
                "numbers" => $instance
                    .$call::<_, ()>(name, ([1u64].to_vec(),))
                    .map(|_| String::new()),
                "list" => $instance
                    .$call::<_, Vec<(u64, u64)>>(name, ())
                    .map(|all| format!("{all:?}")),
                "char" => $instance
                    .$call::<_, char>(name, ())
                    .map(|all| format!("{all:?}")),
                "kind" => $instance
                    .$call::<_, Result<String, u64>>(name, ())
                    .map(|all| format!("{all:?}")),
                "run" => $instance.$call::<_, ()>(name, ()).map(|_| String::new()),
                _ => $instance
                    .$call::<_, String>(name, ())
                    .map(|all| format!("{all:?}")),
            }
        };
    }
    let [mut one, mut other] = plugins
        .each_ref()
        .map(|plugin| plugin.instantiate(()).unwrap());
    one.set_budget(budget);
    other.set_budget(budget);
    let expected = call!(one, call_component);
    let found = call!(other, call_fixed);
    assert_eq!(found, expected, "{name}");
    assert_eq!(other.usage(), one.usage(), "{name}: {expected:?}");
    assert_eq!(other.is_stopped(), one.is_stopped(), "{name}: {expected:?}");
    match expected {
        Ok(result) => result,
        Err(error) => error.to_string(),
    }
}

const NEXT: &str = "(call $next (i32.const 0))";

#[test]
fn guests_that_break_the_canonical_abi_trap_as_by_a_contract_that_is_read() {
    let at = |ptr: u32, len: u32| {
        format!(
            "(i32.store (i32.const 32) (i32.const {ptr})) (i32.store (i32.const 36) (i32.const {len})) (i32.const 32)"
        )
    };
    let kind = |kind: u32| {
        format!(
            "(i32.store (i32.const 32) (i32.const {kind})) (i64.store (i32.const 40) (i64.const 7)) (i32.const 32)"
        )
    };
    let gives = |give: &str, name| {
        (
            NEXT.to_owned(),
            give.to_owned(),
            String::new(),
            String::new(),
            name,
        )
    };
    let runs = |run: &str| {
        let run = format!("(call $g {run})");
        (
            NEXT.to_owned(),
            "(i32.const 0)".to_owned(),
            String::new(),
            run,
            "run",
        )
    };
    let allocates = |realloc: &str, name| {
        let run = "(call $h (i32.const 64))".to_owned();
        (
            realloc.to_owned(),
            "(i32.const 0)".to_owned(),
            String::new(),
            run,
            name,
        )
    };
    let cases = [
        (gives(&at(8, 4), "text"), "not UTF-8"),
        (gives(&at(65_533, 4), "text"), "outside"),
        (gives(&at(0, u32::MAX), "text"), "2 GiB"),
        (gives("(i32.const 2)", "text"), "not aligned"),
        (gives("(i32.const 65536)", "text"), "outside"),
        (gives(&at(0, 1 << 31), "list"), "4 GiB"),
        (gives(&at(4, 1), "list"), "not aligned"),
        (gives(&at(65_528, 1), "list"), "outside"),
        (gives("(i32.const 0xd800)", "char"), "no character"),
        (gives("(i32.const 0x110000)", "char"), "no character"),
        (gives(&kind(1), "kind"), "Err(7)"),
        (
            gives(&kind(2), "kind"),
            "a case that its type does not have",
        ),
        // Only the first byte is the case.
        (gives(&kind(0xfff01), "kind"), "Err(7)"),
        (
            (
                NEXT.into(),
                at(0, 0),
                "(drop (call $f (i32.const 0)))".into(),
                String::new(),
                "leave",
            ),
            "cannot leave component instance",
        ),
        (
            (
                NEXT.into(),
                at(0, 0),
                "unreachable".into(),
                String::new(),
                "leave",
            ),
            "post-return",
        ),
        (
            (NEXT.into(), at(0, 0), String::new(), String::new(), "leave"),
            "\"\"",
        ),
        (
            runs(
                "(i32.const 8) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)",
            ),
            "not UTF-8",
        ),
        (
            runs(
                "(i32.const 65533) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)",
            ),
            "outside",
        ),
        (
            runs(
                "(i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)",
            ),
            "2 GiB",
        ),
        (
            runs(
                "(i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1) (i32.const 0) (i32.const 0)",
            ),
            "not aligned",
        ),
        (
            runs(
                "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0x80000000) (i32.const 0) (i32.const 0)",
            ),
            "4 GiB",
        ),
        (
            runs(
                "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0xfffffff) (i32.const 0) (i32.const 0)",
            ),
            "outside",
        ),
        (
            runs(
                "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 0)",
            ),
            "a case that its type does not have",
        ),
        (
            runs(
                "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0xd800)",
            ),
            "no character",
        ),
        (
            runs(
                "(i32.const 0) (i32.const 3) (i32.const 0) (i32.const 2) (i32.const 1) (i32.const 65)",
            ),
            "",
        ),
        (allocates(NEXT, "run"), ""),
        (allocates("(i32.const -1)", "take"), "beyond end of memory"),
        (
            allocates("(i32.const 65533)", "take"),
            "beyond end of memory",
        ),
        (allocates("(i32.const 12)", "numbers"), "result not aligned"),
        (
            allocates("(call $f (i32.const 64))", "take"),
            "cannot leave component instance",
        ),
        (allocates("(unreachable)", "take"), "realloc"),
        (allocates("(i32.const -1)", "run"), "not aligned"),
        (
            allocates("(i32.const 65536)", "run"),
            "beyond end of memory",
        ),
        (
            allocates("(call $f (i32.const 64))", "run"),
            "cannot leave component instance",
        ),
        (allocates("(unreachable)", "run"), "realloc"),
        (allocates("(loop (br 0)) (i32.const 0)", "run"), "fuel"),
    ];
    for ((realloc, give, post, run, name), reason) in cases {
        let plugins = both(&hostile(&realloc, &give, &post, &run), h);
        let budget = with_fuel(300_000);
        let message = ends(&plugins, budget, name);
        assert!(
            message.contains(reason),
            "{realloc} {give} {post} {run}: {message}"
        );
    }
}

#[test]
fn budgets_bound_what_passes_as_by_a_contract_that_is_read() {
    let plugins = both(
        &hostile(
            NEXT,
            "(i32.store (i32.const 36) (i32.const 3)) (i32.const 32)",
            "",
            "(call $g (i32.const 64) (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0))
             (call $h (i32.const 64))",
        ),
        h,
    );
    type Change = fn(&mut Budget);
    let bounds: [(Change, &str, &str); 6] = [
        (|budget| budget.input_bytes = 3, "take", "input_bytes"),
        (|budget| budget.argument_bytes = 18, "run", "argument_bytes"),
        (|budget| budget.bytes_to_guest = 20, "run", "bytes_to_guest"),
        (|budget| budget.output_bytes = 2, "text", "output_bytes"),
        (|budget| budget.host_calls = 1, "run", "host_calls"),
        (|budget| budget.fuel = 50, "run", "fuel"),
    ];
    for (change, name, reason) in bounds {
        let mut budget = Budget::server();
        assert!(!ends(&plugins, budget, name).contains(reason), "{reason}");
        change(&mut budget);
        let message = ends(&plugins, budget, name);
        assert!(message.contains(reason), "{reason}: {message}");
    }
}

#[test]
fn a_guest_waits_for_a_future_and_for_its_allocator_as_by_a_contract_that_is_read() {
    let later = || {
        Async(async {
            tokio::task::yield_now().await;
            Ok(vec!["one".to_owned(), "two".to_owned()])
        })
    };
    let slow = "(local $n i32)
        (loop (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100))))
        (call $next (i32.const 0))";
    let run = "(call $h (i32.const 64))
        (if (i32.ne (i32.load (i32.load (i32.const 64))) (i32.const 0x4080)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.load (i32.load (i32.const 64)))) (i32.const 111)) (then unreachable))";
    let text = hostile(slow, "(i32.const 0)", "", run);
    let mut fuel = Vec::new();
    for plugins in [both(&text, h), both(&text, later)] {
        for quantum in [100, 1_000_000] {
            for fixed in [false, true] {
                let plugin = &plugins[usize::from(fixed)];
                let mut instance = plugin.instantiate(()).unwrap();
                let mut steps = 0;
                macro_rules! run {
                    ($call:ident) => {{
                        let mut call = instance.$call::<(), ()>("run", ());
                        loop {
                            steps += 1;
                            if let Step::Done(ended) = call.step(quantum) {
                                assert_eq!(ended, Ok(()));
                                break;
                            }
                        }
                    }};
                }
                match fixed {
                    true => run!(call_fixed_async),
                    false => run!(call_component_async),
                }
                assert!(!instance.is_stopped());
                assert_eq!(steps > 5, quantum == 100, "{steps}");
                fuel.push(instance.usage());
            }
        }
    }
    assert!(fuel.windows(2).all(|pair| pair[0] == pair[1]), "{fuel:?}");
    let [read, fixed] = both(&text, later);
    assert_eq!(read.call_component("run", ()), Ok(()));
    assert_eq!(fixed.call_fixed("run", ()), Ok(()));
}
