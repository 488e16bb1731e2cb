//! The native ABI: the built guests in every language and shape, the ways to take a result, and who
//! frees which buffer.

use hostel::{Budget, CallError, Grants, Instance, LogRecord, Value};
use hostel_tests::{CUSTOMIZE, Lines, code, load_guest, load_wat, with_allocator};

fn quiet() -> Grants<()> {
    Grants::new().log(|_: &LogRecord<'_>| {})
}

fn customized() -> Grants<()> {
    quiet().config([("prefix", "CUSTOM")])
}

// The built guests

#[test]
fn each_guest_declares_the_shape_that_its_compiler_gives_it() {
    for (name, export, signature) in [
        ("customize", "process", "(i32, i32) -> i64"),
        ("c_customize", "process", "(i32, i32) -> i64"),
        ("c_customize_retptr", "process", "(i32, i32, i32) -> ()"),
        ("wat_customize_multi", "process", "(i32, i32) -> (i32, i32)"),
        ("wat_customize_retptr", "process", "(i32, i32, i32) -> ()"),
        ("greet", "greet", "(i32, i32) -> i64"),
        ("c_greet", "greet", "(i32, i32, i32) -> ()"),
        ("wat_greet_multi", "greet", "(i32, i32) -> (i32, i32)"),
        ("add", "add", "(i32, i32) -> i32"),
        ("c_add", "add", "(i32, i32) -> i32"),
        ("wat_add", "add", "(i32, i32) -> i32"),
        ("c_malloc_free", "malloc", "(i32) -> i32"),
        ("c_malloc_free", "free", "(i32) -> ()"),
        ("c_malloc_free", "process", "(i32, i32) -> i64"),
        ("wat_no_dealloc", "process", "(i32, i32) -> i64"),
        ("wat_reactor", "_initialize", "() -> ()"),
    ] {
        let plugin = load_guest(name, &customized());
        let found = plugin.info().export_named(export).map(ToString::to_string);
        assert_eq!(found, Some(format!("{export}: {signature}")), "{name}");
        assert_eq!(plugin.name(), name);
    }
}

#[test]
fn customize_logs_and_returns_its_prefix_in_every_shape() {
    for name in CUSTOMIZE {
        for (settings, input, answer) in [
            (
                &[("prefix", "CUSTOM")][..],
                "hello world",
                "CUSTOM_HELLO WORLD",
            ),
            (&[], "hello world", "DEFAULT_PREFIX_HELLO WORLD"),
            (&[("prefix", "")], "hello world", "_HELLO WORLD"),
            (&[("prefix", "Ü"), ("other", "x")], "grüße", "Ü_GRüßE"),
            (&[("prefix", "CUSTOM")], "", "CUSTOM_"),
        ] {
            let lines = Lines::default();
            let grants = lines.granted().config(settings.iter().copied());
            let plugin = load_guest::<()>(name, &grants);
            let found = plugin.process(input.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(found).as_deref(), Ok(answer), "{name}");
            let line = format!("{name}: processing {} bytes", input.len());
            assert_eq!(lines.take(), [line]);
        }
    }
}

#[test]
fn customize_returns_an_error_of_its_own_and_goes_on() {
    for name in CUSTOMIZE {
        let lines = Lines::default();
        let grants = lines.granted().config([("prefix", "CUSTOM")]);
        let mut instance = load_guest::<()>(name, &grants).instantiate(()).unwrap();
        for _ in 0..3 {
            let message = "input is not UTF-8".into();
            assert_eq!(
                instance.process(b"\xff"),
                Err(CallError::Guest { message }),
                "{name}"
            );
            assert_eq!(lines.take(), [""; 0], "{name}");
            assert!(!instance.is_stopped());
            let answer = instance.process(b"fine");
            assert_eq!(answer.as_deref(), Ok(&b"CUSTOM_FINE"[..]), "{name}");
            assert_eq!(lines.take().len(), 1);
        }
    }
}

#[test]
fn greet_greets_by_name_in_every_shape() {
    for guest in ["greet", "c_greet", "wat_greet_multi"] {
        let plugin = load_guest::<()>(guest, &Grants::new());
        for (name, greeting) in [
            ("Gopher", "Hello, Gopher!"),
            ("", "Hello, !"),
            ("Zoë 😀", "Hello, Zoë 😀!"),
        ] {
            let found = plugin.call::<&str, String>("greet", name);
            assert_eq!(found.as_deref(), Ok(greeting), "{guest}");
            let mut instance = plugin.instantiate(()).unwrap();
            let found = instance.call_bytes("greet", name.as_bytes(), <[u8]>::to_vec);
            assert_eq!(found.as_deref(), Ok(greeting.as_bytes()), "{guest}");
        }
        let error = plugin.call::<&[u8], String>("greet", b"\xc3");
        assert_eq!(code(&error), "guest-error", "{guest}");
    }
}

#[test]
fn add_adds_without_any_memory() {
    for guest in ["add", "c_add", "wat_add"] {
        let plugin = load_guest::<()>(guest, &Grants::new());
        for (a, b, sum) in [
            (10u32, 20u32, 30u32),
            (0, 0, 0),
            (u32::MAX, 2, 1),
            (0x7fff_ffff, 1, 0x8000_0000),
        ] {
            assert_eq!(plugin.call("add", (a, b)), Ok(sum), "{guest}");
            let mut instance = plugin.instantiate(()).unwrap();
            let values = [a, b].map(|value| Value::I32(value.cast_signed()));
            let sum = Value::I32(sum.cast_signed());
            assert_eq!(
                instance.call_values("add", &values),
                Ok(vec![sum]),
                "{guest}"
            );
        }
    }
}

#[test]
fn a_trap_in_an_allocator_names_it_as_the_module_does() {
    for (allocate, free) in [("allocate", "deallocate"), ("malloc", "free")] {
        let text = format!(
            r#"(module (import "env" "name" (func $name (param i32)))
                (memory (export "memory") 1)
                (global $left (mut i32) (i32.const 0))
                (func (export "room") (param i32) (global.set $left (local.get 0)))
                (func (export "ask") (call $name (i32.const 64)))
                (func (export "{allocate}") (param i32) (result i32)
                    (if (i32.eqz (global.get $left)) (then unreachable))
                    (global.set $left (i32.sub (global.get $left) (i32.const 1)))
                    (i32.const 1024))
                (func (export "{free}") (param i32 i32) unreachable)
                (func (export "process") (param i32 i32) (result i64) (i64.const 0)))"#
        );
        let grants = Grants::new().function("env", "name", || -> &'static str { "a name" });
        let plugin = load_wat(&text, &grants);
        let stopped_in = |room: u32, call: &str| {
            let mut instance = plugin.instantiate(()).unwrap();
            instance.call::<u32, ()>("room", room).unwrap();
            let result = match call {
                "process" => instance.process(&[1; 100_000]).map(drop),
                name => instance.call::<(), ()>(name, ()),
            };
            match result {
                Err(CallError::Trap(trap)) => trap.export().unwrap().to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(stopped_in(0, "process"), allocate);
        assert_eq!(stopped_in(0, "ask"), allocate);
        assert_eq!(stopped_in(1, "process"), free);
    }
}

#[test]
fn malloc_and_free_serve_as_allocate_and_deallocate() {
    let mut instance = load_guest("c_malloc_free", &Grants::new())
        .instantiate(())
        .unwrap();
    assert_eq!(
        instance.process(b"stressed").as_deref(),
        Ok(&b"desserts"[..])
    );
    assert_eq!(instance.process(b"").as_deref(), Ok(&b""[..]));
    let before = instance.memory_bytes();
    let long: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let reversed: Vec<u8> = long.iter().rev().copied().collect();
    for _ in 0..30 {
        assert_eq!(instance.process(&long).as_ref(), Ok(&reversed));
    }
    // 600 KB were passed in all, so that they must have been freed.
    assert!(instance.memory_bytes() <= before + (1 << 16));
}

#[test]
fn without_deallocate_nothing_is_freed_and_all_else_works() {
    let mut instance = load_guest("wat_no_dealloc", &Grants::new())
        .instantiate(())
        .unwrap();
    for _ in 0..3 {
        let found = instance.call::<&[u8], Vec<u8>>("process", &[7; 65_536]);
        assert_eq!(found, Ok(vec![7; 65_536]));
    }
    assert!(instance.memory_bytes() >= 3 << 16);
}

#[test]
fn a_reactor_is_initialized_once_for_each_instance() {
    let plugin = load_guest("wat_reactor", &Grants::new());
    for _ in 0..2 {
        let mut instance = plugin.instantiate(()).unwrap();
        assert!(instance.start_usage().fuel > 0);
        for _ in 0..3 {
            let answer = instance.process(b"");
            assert_eq!(answer.as_deref(), Ok(&b"initialized 1 times"[..]));
        }
    }
    let answer = plugin.process(b"");
    assert_eq!(answer.as_deref(), Ok(&b"initialized 1 times"[..]));
}

#[test]
fn a_commands_start_is_run_before_its_functions_only() {
    let item = r#"(func (export "_start") (unreachable))
        (func (export "seven") (result i32) (i32.const 7))"#;
    let plugin = load_wat::<()>(&with_allocator("", item), &Grants::new());
    let instance = plugin.instantiate(()).unwrap();
    assert!(!instance.is_stopped());
    let called = plugin.call::<(), u32>("seven", ());
    assert_eq!(code(&called), "trap-unreachable");
}

// Taking the answer

#[test]
fn a_result_comes_by_value_into_a_buffer_or_as_a_view() {
    for name in CUSTOMIZE {
        let mut instance = load_guest(name, &customized()).instantiate(()).unwrap();
        let answer = b"CUSTOM_HELLO";
        assert_eq!(instance.process(b"hello").as_deref(), Ok(&answer[..]));

        let mut roomy = [0xaa; 20];
        assert_eq!(instance.process_into(b"hello", &mut roomy), Ok(12));
        assert_eq!(&roomy[..12], answer);
        assert_eq!(roomy[12..], [0xaa; 8], "the rest is left as it was");

        let mut exact = [0; 12];
        assert_eq!(instance.process_into(b"hello", &mut exact), Ok(12));
        assert_eq!(&exact, answer);

        let seen = instance.process_with(b"hello", |view| (view.len(), view[0], view[11]));
        assert_eq!(seen, Ok((12, b'C', b'O')), "{name}");
    }
}

#[test]
fn the_error_for_a_small_buffer_names_the_length_and_leaves_it_alone() {
    for name in CUSTOMIZE {
        let mut instance = load_guest(name, &customized()).instantiate(()).unwrap();
        for found in [0, 1, 11] {
            let mut small = [0xaa; 11];
            let result = instance.process_into(b"hello", &mut small[..found]);
            let needed = 12;
            assert_eq!(result, Err(CallError::BufferTooSmall { needed, found }));
            assert_eq!(small, [0xaa; 11], "{name}");
            assert!(!instance.is_stopped());
        }
        let mut exact = [0; 12];
        assert_eq!(
            instance.process_into(b"hello", &mut exact),
            Ok(12),
            "{name}"
        );
    }
}

#[test]
fn an_empty_result_needs_no_buffer() {
    let mut instance = load_guest("c_malloc_free", &Grants::new())
        .instantiate(())
        .unwrap();
    assert_eq!(instance.process_into(b"", &mut []), Ok(0));
    assert_eq!(instance.process_with(b"", <[u8]>::len), Ok(0));
}

#[test]
fn an_error_touches_no_buffer() {
    let mut instance = load_guest("customize", &customized())
        .instantiate(())
        .unwrap();
    let mut buffer = [0xaa; 64];
    let result = instance.process_into(b"\xff", &mut buffer);
    assert_eq!(code(&result), "guest-error");
    assert_eq!(buffer, [0xaa; 64]);
    let result = instance.process_with(b"\xff", |_| unreachable!("there is no answer"));
    assert_eq!(code(&result), "guest-error");
}

// Who frees what

/// A guest whose allocator counts its live blocks and bytes; blocks of 0 bytes do not count. Its
/// exports have every shape, and `text` gets a host function's result, which the guest owns.
const COUNTING: &str = r#"(module
    (import "host" "text" (func $text (result i64)))
    (memory (export "memory") 1)
    (data (i32.const 16) "\ff error")
    (global $next (mut i32) (i32.const 1024))
    (global $blocks (mut i32) (i32.const 0))
    (global $bytes (mut i32) (i32.const 0))
    (func $allocate (export "allocate") (param $size i32) (result i32)
      (if (i32.eqz (local.get $size)) (then (return (i32.const 8))))
      (global.set $blocks (i32.add (global.get $blocks) (i32.const 1)))
      (global.set $bytes (i32.add (global.get $bytes) (local.get $size)))
      ;; Somewhere else each time, so that no two blocks of one call overlap.
      (global.set $next
        (i32.add (i32.const 1024) (i32.rem_u (i32.add (global.get $next) (i32.const 200)) (i32.const 50000))))
      (global.get $next))
    (func $deallocate (export "deallocate") (param $ptr i32) (param $size i32)
      (if (i32.eqz (local.get $size)) (then (return)))
      (global.set $blocks (i32.sub (global.get $blocks) (i32.const 1)))
      (global.set $bytes (i32.sub (global.get $bytes) (local.get $size))))
    (func (export "live") (result i32 i32) (global.get $blocks) (global.get $bytes))

    ;; A copy of the input in a block of its own.
    (func $copy (param i32 i32) (result i32 i32) (local $out i32)
      (local.set $out (call $allocate (local.get 1)))
      (memory.copy (local.get $out) (local.get 0) (local.get 1))
      (local.get $out) (local.get 1))
    (func $store (param $at i32) (param i32 i32)
      (i32.store (local.get $at) (local.get 1))
      (i32.store offset=4 (local.get $at) (local.get 2)))
    (func (export "process") (param i32 i32) (result i32 i32)
      (call $copy (local.get 0) (local.get 1)))
    (func (export "packed") (param i32 i32) (result i64)
      (call $copy (local.get 0) (local.get 1)) (local.set 1) (local.set 0)
      (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1))))
    (func (export "pointer") (param i32 i32 i32)
      (call $copy (local.get 1) (local.get 2)) (local.set 2) (local.set 1)
      (call $store (local.get 0) (local.get 1) (local.get 2)))
    (func (export "same") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))
    (func (export "error") (param i32 i32) (result i32 i32)
      (call $copy (i32.const 17) (i32.const 6)) (i32.or (i32.const 0x80000000)))
    (func (export "garbage") (param i32 i32) (result i32 i32)
      (call $copy (i32.const 16) (i32.const 7)))
    (func (export "far") (param i32 i32) (result i32 i32) (i32.const -1) (i32.const 7))
    (func (export "join") (param i32 i32 i32 i32) (result i32 i32 i32 i32)
      (call $copy (local.get 0) (local.get 1)) (call $copy (local.get 2) (local.get 3)))
    (func (export "text") (local $pair i64)
      (local.set $pair (call $text))
      (call $deallocate
        (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32)))
        (i32.wrap_i64 (local.get $pair)))))"#;

fn counting() -> Instance {
    let grants = Grants::new().function("host", "text", || "from the host");
    load_wat(COUNTING, &grants).instantiate(()).unwrap()
}

/// Checks that no block is live except one of at most `most` bytes: an instance may keep the buffer
/// for the input of `process`.
fn assert_balanced(instance: &mut Instance, most: u32, when: &str) {
    let (blocks, bytes) = instance.call::<(), (u32, u32)>("live", ()).unwrap();
    assert!(
        blocks <= 1 && bytes <= most * blocks,
        "{when}: {blocks} blocks, {bytes} bytes"
    );
}

#[test]
fn every_block_is_given_back_with_its_size_over_10_000_calls() {
    let mut instance = counting();
    let mut out = [0; 8];
    for round in 0..10_000u32 {
        let number = round.to_le_bytes();
        let input = &number[..round as usize % 5];
        let text = &"text"[..round as usize % 5];
        match round % 10 {
            0 => assert_eq!(instance.process(input).as_deref(), Ok(input)),
            1 => assert_eq!(instance.process_into(input, &mut out), Ok(input.len())),
            2 => assert_eq!(
                instance.call_bytes("packed", input, <[u8]>::len),
                Ok(input.len())
            ),
            3 => assert_eq!(
                instance.call::<&str, String>("packed", text).as_deref(),
                Ok(text)
            ),
            4 => {
                let pair = (String::from(text), input.to_vec());
                let found =
                    instance.call::<(&str, &[u8]), (String, Vec<u8>)>("join", (text, input));
                assert_eq!(found, Ok(pair));
            }
            5 => assert_eq!(
                code(&instance.call::<&str, String>("error", text)),
                "guest-error"
            ),
            6 => assert_eq!(
                code(&instance.call::<&str, String>("garbage", text)),
                "not-utf8"
            ),
            7 => assert_eq!(
                code(&instance.call::<&str, String>("far", text)),
                "out-of-bounds"
            ),
            8 => assert_eq!(
                instance.call::<&str, String>("same", text).as_deref(),
                Ok(text)
            ),
            _ => assert_eq!(instance.call::<(), ()>("text", ()), Ok(())),
        }
        assert_balanced(&mut instance, 4, &format!("round {round}"));
    }
}

#[test]
fn no_byte_of_several_results_is_given_back_twice() {
    let text = r#"(module (memory (export "memory") 1)
        (global $freed (mut i32) (i32.const 0))
        (func (export "deallocate") (param i32 i32)
          (global.set $freed (i32.add (global.get $freed) (i32.const 1))))
        (func (export "freed") (result i32) (global.get $freed))
        (func (export "two") (param i32 i32 i32 i32) (result i32 i32 i32 i32)
          (local.get 0) (local.get 1) (local.get 2) (local.get 3)))"#;
    let plugin = load_wat::<()>(text, &Grants::new());
    for (first, second, freed) in [
        ((64, 4), (68, 4), 2),
        ((64, 4), (64, 4), 1),
        ((64, 4), (67, 4), 1),
        ((64, 4), (60, 5), 1),
        ((64, 4), (32, 0), 1),
        ((64, 0), (64, 0), 0),
    ] {
        let mut instance = plugin.instantiate(()).unwrap();
        let results: (Vec<u8>, Vec<u8>) = instance.call("two", (first, second)).unwrap();
        let lengths: (u32, u32) = (first.1, second.1);
        assert_eq!((results.0.len() as u32, results.1.len() as u32), lengths);
        let found = instance.call::<(), u32>("freed", ());
        assert_eq!(found, Ok(freed), "{first:?} {second:?}");
    }
}

#[test]
fn errors_before_and_after_the_guest_give_its_blocks_back_too() {
    let mut instance = counting();
    let mut budget = Budget::server();
    (budget.input_bytes, budget.output_bytes) = (100, 50);
    instance.set_budget(budget);
    for (len, expected) in [
        (50, "ok"),
        (51, "output-too-large"),
        (101, "input-too-large"),
    ] {
        assert_eq!(code(&instance.process(&vec![7; len])), expected);
        assert_balanced(&mut instance, 100, expected);
    }
    // The second argument is too large, after the first one got its buffer.
    let large = [7; 101];
    let result = instance.call::<(&[u8], &[u8]), (Vec<u8>, Vec<u8>)>("join", (&[7; 10], &large));
    assert_eq!(code(&result), "input-too-large");
    assert_balanced(&mut instance, 100, "a second argument too large");
    assert_eq!(
        code(&instance.process_into(&[7; 9], &mut [0; 8])),
        "buffer-too-small"
    );
    assert_balanced(&mut instance, 100, "into too small a buffer");
    assert!(!instance.is_stopped());
}

#[test]
fn the_record_for_results_by_pointer_is_allocated_once() {
    let mut instance = counting();
    for _ in 0..100 {
        let found = instance.call::<&str, String>("pointer", "text");
        assert_eq!(found.as_deref(), Ok("text"));
        assert_eq!(instance.call::<(), (u32, u32)>("live", ()), Ok((1, 8)));
    }
}

#[test]
fn the_built_guests_keep_their_memory_over_many_calls() {
    for name in CUSTOMIZE {
        let mut instance = load_guest(name, &customized()).instantiate(()).unwrap();
        let mut call = |len: usize| {
            let input = vec![b'a'; len];
            assert_eq!(
                instance.process(&input).map(|answer| answer.len()),
                Ok(len + 7),
                "{name}"
            );
            assert_eq!(code(&instance.process(b"\xff")), "guest-error", "{name}");
            instance.memory_bytes()
        };
        let after_one = call(1000);
        let after_many = (0..200).map(|round| call(round * 5)).max();
        assert_eq!(after_many, Some(after_one), "{name}");
    }
}

// Missing exports, and text that is not UTF-8

#[test]
fn text_needs_memory_and_an_allocator() {
    for item in [
        "",
        r#"(memory (export "memory") 1)"#,
        r#"(memory 1) (func (export "allocate") (param i32) (result i32) (i32.const 8))"#,
    ] {
        let text = format!(
            r#"(module {item} (func (export "f") (param i32 i32) (result i32 i32)
                (local.get 0) (local.get 1)))"#
        );
        let plugin = load_wat::<()>(&text, &Grants::new());
        let mut instance = plugin.instantiate(()).unwrap();
        let result = instance.call::<&str, String>("f", "text");
        assert_eq!(code(&result), "missing-export", "{item}");
        assert!(!instance.is_stopped());
        let same = instance.call_bytes("f", b"text", |_| ());
        assert_eq!(code(&same), "missing-export", "{item}");
        // As a function of numbers it needs neither.
        assert_eq!(instance.call("f", (1u32, 2u32)), Ok((1u32, 2u32)));
        let checked = plugin.check::<&str, String>("f");
        assert_eq!(
            code(&checked),
            "missing-export",
            "`check` foretells it: {item}"
        );
        assert!(!plugin.info().passes_bytes(), "{item}");
    }
    let complete = load_wat::<()>(&with_allocator("", ""), &Grants::new());
    assert!(complete.info().passes_bytes());
}

#[test]
fn the_error_for_an_unknown_export_lists_the_known_ones() {
    let mut instance = load_guest("greet", &Grants::new()).instantiate(()).unwrap();
    let error = instance.process(b"").unwrap_err();
    assert_eq!(error.code(), "unknown-export");
    let message = error.to_string();
    assert!(message.starts_with("the plugin exports no function `process`; it exports `"));
    assert!(message.contains("`greet`"), "{message}");
    assert_eq!(code(&instance.call_values("great", &[])), "unknown-export");
    assert_eq!(
        code(&instance.call_bytes("great", b"", |_| ())),
        "unknown-export"
    );
    assert_eq!(
        code(&instance.call::<(), ()>("memory", ())),
        "unknown-export"
    );
}

#[test]
fn a_text_that_is_not_utf8_is_an_error() {
    let mut instance = counting();
    let result = instance.call::<&str, String>("garbage", "x");
    let (what, at) = ("plugin's result", 0);
    assert_eq!(result, Err(CallError::NotUtf8 { what, at }));
    let bytes = instance.call::<&str, Vec<u8>>("garbage", "x");
    assert_eq!(bytes.as_deref(), Ok(&b"\xff error"[..]));
}
