//! Guests whose results or allocators lie about pointers and lengths. Their host calls are in
//! `bad_host_calls.rs`, their traps and endless loops in `runaway_guests.rs`.

use hostel::{Budget, CallError, Grants, Instance};
use hostel_tests::{a_good_plugin_still_answers, code, load_wat, packed, with_allocator};

/// The end of the memory of a module from `with_allocator`.
const END: u32 = 2 << 16;

/// The bit of a result's length that marks it as an error.
const ERROR: u32 = 1 << 31;

/// A budget for guests that never end.
const SMALL: Budget = Budget::server().with_fuel(100_000);

fn start(text: &str) -> Instance {
    load_wat(text, &Grants::new())
        .with_budget(SMALL)
        .instantiate(())
        .expect("it starts")
}

/// Returns the text of a module whose `allocate`, of parameter `$size`, does `body`, and whose
/// `process` returns its input.
fn with_allocate(body: &str) -> String {
    format!(
        r#"(module
            (memory (export "memory") 2)
            (data (i32.const 16) "precious")
            (global $calls (mut i32) (i32.const 0))
            (func (export "allocate") (param $size i32) (result i32)
              (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
              {body})
            (func (export "process") (param i32 i32) (result i32 i32)
              (local.get 0) (local.get 1))
            (func (export "calls") (result i32) (global.get $calls)))"#
    )
}

/// Returns the text of a module whose `deallocate`, of parameters `$ptr` and `$size`, does `body`.
fn with_deallocate(body: &str) -> String {
    format!(
        r#"(module
            (memory (export "memory") 2)
            (func (export "allocate") (param i32) (result i32) (i32.const 4096))
            (func (export "deallocate") (param $ptr i32) (param $size i32) {body})
            (func (export "process") (param i32 i32) (result i32 i32)
              (memory.copy (i32.const 8192) (local.get 0) (local.get 1))
              (i32.const 8192) (local.get 1)))"#
    )
}

/// Returns the texts of modules whose result is always `(ptr, len)`, in each of the three shapes.
fn that_answer(ptr: u32, len: u32) -> [String; 3] {
    let values = format!(
        r#"(func (export "process") (param i32 i32) (result i32 i32)
            (i32.const {ptr}) (i32.const {len}))"#
    );
    let packed = format!(
        r#"(func (export "process") (param i32 i32) (result i64) {})"#,
        packed(ptr, len)
    );
    let pointer = format!(
        r#"(func (export "process") (param i32 i32 i32)
            (i32.store (local.get 0) (i32.const {ptr}))
            (i32.store offset=4 (local.get 0) (i32.const {len})))"#
    );
    [values, packed, pointer].map(|item| with_allocator("", &item))
}

// Results

#[test]
fn a_result_is_taken_only_from_inside_memory() {
    for (ptr, len, expected) in [
        (0, 0, "ok"),
        (0, 1, "ok"),
        (1, 1, "ok"),
        (0, END, "ok"),
        (1, END - 1, "ok"),
        (END - 1, 1, "ok"),
        (END, 0, "ok"),
        (END + 1, 0, "out-of-bounds"),
        (u32::MAX, 0, "out-of-bounds"),
        (0, END + 1, "out-of-bounds"),
        (1, END, "out-of-bounds"),
        (END - 1, 2, "out-of-bounds"),
        (END, 1, "out-of-bounds"),
        (0x7fff_ffff, 1, "out-of-bounds"),
        (0x8000_0000, 1, "out-of-bounds"),
        (u32::MAX, 1, "out-of-bounds"),
        (u32::MAX - 3, 8, "out-of-bounds"),
        (0, ERROR - 1, "out-of-bounds"),
        (1, ERROR - 1, "out-of-bounds"),
        (u32::MAX, ERROR - 1, "out-of-bounds"),
        (0, ERROR, "guest-error"),
        (0, ERROR | 1, "guest-error"),
        (END, ERROR, "guest-error"),
        // The record of the result, which is not UTF-8, may lie in it.
        (0, ERROR | (END / 2 - 64), "guest-error"),
        (0, ERROR | (END / 2 + 1), "error-too-large"),
        (0, ERROR | END, "error-too-large"),
        (0, ERROR | (END + 1), "out-of-bounds"),
        (END + 1, ERROR, "out-of-bounds"),
        (END, ERROR | 1, "out-of-bounds"),
        (0, u32::MAX, "out-of-bounds"),
        (u32::MAX, u32::MAX, "out-of-bounds"),
    ] {
        for text in that_answer(ptr, len) {
            let mut instance = start(&text);
            for _ in 0..2 {
                let answer = instance.process(b"input");
                assert_eq!(code(&answer), expected, "({ptr:#x}, {len:#x}) {text}");
                assert!(!instance.is_stopped(), "({ptr:#x}, {len:#x})");
                if let Ok(answer) = answer {
                    assert_eq!(answer.len(), len as usize);
                }
            }
        }
        a_good_plugin_still_answers();
    }
}

#[test]
fn the_message_for_a_result_outside_of_memory_has_its_figures() {
    let [text, ..] = that_answer(END - 1, 2);
    assert_eq!(
        start(&text).process(b"input").unwrap_err().to_string(),
        "the plugin's result lies outside the guest's memory: 2 bytes at 0x1ffff, but the \
         memory has 131072 bytes"
    );
}

#[test]
fn a_result_over_the_budget_is_an_error_and_goes_back_to_the_guest() {
    let item = r#"
        (global $freed (mut i32) (i32.const 0))
        (func (export "freed") (result i32) (global.get $freed))
        (func (export "process") (param i32 i32) (result i32 i32)
          (i32.const 8192) (i32.add (i32.const 100) (local.get 1)))"#;
    let counting = "(global.set $freed (i32.add (global.get $freed) (local.get 1)))";
    let text = with_allocator("", item).replace(
        r#"(func $deallocate (export "deallocate") (param i32 i32))"#,
        &format!(r#"(func (export "deallocate") (param i32 i32) {counting})"#),
    );
    let mut instance = start(&text);
    let mut budget = SMALL;
    for (limit, answer, freed) in [
        (101, Ok(101), 101),
        (
            100,
            Err(CallError::OutputTooLarge {
                limit: 100,
                found: 101,
            }),
            202,
        ),
        (
            0,
            Err(CallError::OutputTooLarge {
                limit: 0,
                found: 101,
            }),
            303,
        ),
    ] {
        budget.output_bytes = limit;
        instance.set_budget(budget);
        assert_eq!(instance.process(b"i").map(|answer| answer.len()), answer);
        assert_eq!(instance.call::<(), u32>("freed", ()), Ok(freed));
    }
    a_good_plugin_still_answers();
}

#[test]
fn an_error_over_the_budget_is_not_read() {
    let [text, ..] = that_answer(0, ERROR | 1001);
    let mut instance = start(&text);
    for (output_bytes, error_bytes, expected) in [
        (1000, 1001, "output-too-large"),
        (1001, 1000, "error-too-large"),
        (1001, 1001, "guest-error"),
    ] {
        let mut budget = SMALL;
        budget.output_bytes = output_bytes;
        budget.error_bytes = error_bytes;
        instance.set_budget(budget);
        let error = instance.process(b"input");
        assert_eq!(code(&error), expected);
        assert!(!instance.is_stopped());
    }
}

#[test]
fn errors_of_guests_are_shown_without_control_characters() {
    let text = with_allocator(
        "",
        &format!(
            r#"(data (i32.const 64) "a\1b[2J\nroot: b\e2\80\ae\ff")
            (func (export "process") (param i32 i32) (result i32 i32)
              (i32.const 64) (i32.const {}))"#,
            ERROR | 17
        ),
    );
    let error = start(&text).process(b"input").unwrap_err();
    let raw = "a\x1b[2J\nroot: b\u{202e}\u{fffd}".into();
    assert_eq!(error, CallError::Guest { message: raw });
    let shown = error.to_string();
    assert!(
        !shown.contains(['\x1b', '\n', '\u{202e}']),
        "a guest speaks to the terminal: {shown:?}"
    );
}

#[test]
fn results_may_alias_the_input_which_is_not_freed_with_them() {
    for (what, answer, expected, freed) in [
        ("the input", "(local.get 0) (local.get 1)", &b"hello"[..], 0),
        (
            "its tail",
            "(i32.add (local.get 0) (i32.const 2)) (i32.const 3)",
            b"llo",
            0,
        ),
        (
            "over its end",
            "(i32.add (local.get 0) (i32.const 4)) (i32.const 3)",
            b"o\0\0",
            0,
        ),
        ("over all", "(i32.const 0) (i32.const 65536)", &[], 0),
        (
            "behind it",
            "(i32.add (local.get 0) (i32.const 5)) (i32.const 2)",
            b"\0\0",
            2,
        ),
    ] {
        let text = format!(
            r#"(module (memory (export "memory") 1) (global $freed (mut i32) (i32.const 0))
                (func (export "allocate") (param i32) (result i32) (i32.const 1024))
                (func (export "deallocate") (param i32 i32)
                  (global.set $freed (i32.add (global.get $freed) (local.get 1))))
                (func (export "freed") (result i32) (global.get $freed))
                (func (export "process") (param i32 i32) (result i32 i32) {answer}))"#
        );
        let good = |found: Result<Vec<u8>, CallError>| {
            let found = found.unwrap();
            assert!(
                found == expected || found.len() == 1 << 16,
                "{what}: {found:?}"
            );
        };
        // An instance keeps the buffer for the input of `process`,
        let mut instance = start(&text);
        good(instance.process(b"hello"));
        assert_eq!(instance.call::<(), u32>("freed", ()), Ok(freed), "{what}");
        // and gives those for other arguments back, once.
        let mut instance = start(&text);
        good(instance.call("process", b"hello"));
        assert_eq!(
            instance.call::<(), u32>("freed", ()),
            Ok(5 + freed),
            "{what}"
        );
    }
}

#[test]
fn a_result_in_memory_that_process_grew_is_found() {
    let text = with_allocator(
        "",
        r#"(func (export "process") (param i32 i32) (result i32 i32)
            (local $at i32)
            (local.set $at (i32.mul (memory.grow (i32.const 3)) (i32.const 65536)))
            (memory.copy (local.get $at) (local.get 0) (local.get 1))
            (local.get $at) (local.get 1))"#,
    );
    let mut instance = start(&text);
    assert_eq!(instance.process(b"hello").as_deref(), Ok(&b"hello"[..]));
    assert_eq!(instance.memory_bytes(), 5 << 16);
    assert_eq!(instance.process(b"again").as_deref(), Ok(&b"again"[..]));
}

#[test]
fn an_export_of_another_shape_is_an_error() {
    let text = with_allocator(
        "",
        r#"(func (export "one") (param i32 i32) (result i32) (i32.const 0))
           (func (export "three") (param i32 i32) (result i32 i32 i32)
             (i32.const 0) (i32.const 0) (i32.const 0))
           (func (export "wide") (param i64 i64) (result i64) (i64.const 0))
           (func (export "none") (param i32 i32))"#,
    );
    let mut instance = start(&text);
    for name in ["one", "three", "wide", "none"] {
        let error = instance.call_bytes(name, b"input", |_| ()).unwrap_err();
        assert_eq!(error.code(), "export-type", "{name}");
        let expected = "expected (i32, i32) -> (i32, i32) or (i32, i32) -> i64 or \
            (i32, i32, i32) -> (), found (";
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(code(&instance.process(b"input")), "unknown-export");
    assert!(!instance.is_stopped());
}

// Inputs

#[test]
fn an_input_over_the_budget_never_reaches_the_guest() {
    let mut instance = start(&with_allocate("(i32.const 1024)"));
    let mut budget = SMALL;
    budget.input_bytes = 100;
    instance.set_budget(budget);
    let limit_and_found = CallError::InputTooLarge {
        limit: 100,
        found: 101,
    };
    assert_eq!(instance.process(&[0; 101]), Err(limit_and_found));
    assert_eq!(instance.call::<(), u32>("calls", ()), Ok(0));
    assert_eq!(instance.process(&[7; 100]), Ok(vec![7; 100]));
    assert_eq!(instance.process(b""), Ok(vec![]));
    a_good_plugin_still_answers();
}

// `allocate`

#[test]
fn bad_addresses_from_allocate_harm_the_guest_alone() {
    for (body, expected) in [
        ("(i32.const 0)", "no-memory"),
        ("(i32.const -1)", "out-of-bounds"),
        ("(i32.const 0x7fffffff)", "out-of-bounds"),
        ("(i32.const 0x80000000)", "out-of-bounds"),
        ("(i32.const 131072)", "out-of-bounds"),
        ("(i32.const 131068)", "out-of-bounds"),
        ("(i32.const 131067)", "ok"),
        // Inside of its own data, misaligned, one block each time.
        ("(i32.const 17)", "ok"),
        ("(unreachable)", "trap-unreachable"),
        ("(i32.load (i32.const -1))", "trap-memory"),
        ("(loop $on (br $on)) (unreachable)", "out-of-fuel"),
        (
            "(i32.add (memory.grow (i32.const 1)) (i32.const 1000))",
            "ok",
        ),
        (
            "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))",
            "ok",
        ),
    ] {
        let mut instance = start(&with_allocate(body));
        let answer = instance.process(b"hello");
        assert_eq!(code(&answer), expected, "{body}");
        let stops = answer.as_ref().is_err_and(CallError::stops);
        assert_eq!(instance.is_stopped(), stops, "{body}");
        match answer {
            Ok(answer) => assert_eq!(answer, b"hello", "{body}"),
            Err(error) if error.stops() => {
                assert_eq!(
                    instance.process(b"hello"),
                    Err(CallError::Stopped),
                    "{body}"
                );
            }
            Err(error) => assert_eq!(instance.process(b"hello"), Err(error), "{body}"),
        }
        a_good_plugin_still_answers();
    }
}

#[test]
fn an_allocator_that_ran_out_is_an_error_until_it_has_memory_again() {
    let body = "(select (i32.const 1024) (i32.const 0) (i32.le_u (local.get $size) (i32.const 8)))";
    let mut instance = start(&with_allocate(body));
    let error = instance.process(b"more than eight");
    assert_eq!(error, Err(CallError::NoMemory { asked: 15 }));
    assert_eq!(instance.process(b"eight").as_deref(), Ok(&b"eight"[..]));
}

#[test]
fn two_arguments_in_one_block_are_both_the_last_one() {
    let text = with_allocate("(i32.const 1024)").replace(
        r#"(func (export "calls")"#,
        r#"(func (export "first") (param i32 i32 i32 i32) (result i32 i32)
             (local.get 0) (local.get 1))
           (func (export "calls")"#,
    );
    let mut instance = start(&text);
    let first = instance.call::<(&str, &str), String>("first", ("hello", "world"));
    assert_eq!(first.as_deref(), Ok("world"));
}

#[test]
fn a_result_pointer_from_a_lying_allocator_is_checked() {
    let process = r#"(func (export "process") (param i32 i32 i32))"#;
    for (answer, expected) in [
        ("0", "no-memory"),
        ("-1", "out-of-bounds"),
        ("131065", "out-of-bounds"),
        // Room for the record, and for the input of five bytes.
        ("131064", "ok"),
        ("4093", "ok"),
    ] {
        let text = format!(
            r#"(module (memory (export "memory") 2)
                (func (export "allocate") (param i32) (result i32)
                  (select (i32.const {answer}) (i32.const 1024)
                    (i32.eq (local.get 0) (i32.const 8))))
                {process})"#
        );
        let mut instance = start(&text);
        assert_eq!(code(&instance.process(b"hello")), expected, "{answer}");
        assert!(!instance.is_stopped());
        a_good_plugin_still_answers();
    }
}

// `deallocate`

#[test]
fn a_deallocate_that_fails_stops_the_guest_after_the_result_was_taken() {
    for (body, expected) in [
        ("(unreachable)", "trap-unreachable"),
        ("(i32.store (i32.const -1) (i32.const 0))", "trap-memory"),
        ("(loop $on (br $on))", "out-of-fuel"),
        ("(drop (memory.grow (i32.const 1)))", "ok"),
        // It wipes the result, which was copied before.
        (
            "(memory.fill (local.get $ptr) (i32.const 0) (local.get $size))",
            "ok",
        ),
    ] {
        let mut instance = start(&with_deallocate(body));
        let mut taken = Vec::new();
        let result = instance.process_with(b"hello", |answer| taken = answer.to_vec());
        assert_eq!(code(&result), expected, "{body}");
        assert_eq!(taken, b"hello", "{body}");
        assert_eq!(instance.is_stopped(), expected != "ok", "{body}");
        a_good_plugin_still_answers();
    }
}

#[test]
fn one_budget_covers_allocate_process_and_deallocate() {
    let burn = "(local $n i32) (local.set $n (i32.const 1000))
        (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";
    let text = format!(
        r#"(module (memory (export "memory") 1)
            (func (export "allocate") (param i32) (result i32) {burn} (i32.const 1024))
            (func (export "deallocate") (param i32 i32) {burn})
            (func (export "process") (param i32 i32) (result i32 i32) {burn}
              (local.get 0) (local.get 1)))"#
    );
    let mut instance = start(&text);
    instance.process(b"hello").unwrap();
    let needed = instance.usage().fuel;
    assert!(needed > 3 * 1000, "{needed}");
    for (fuel, expected) in [
        (needed, "ok"),
        (needed - 1, "out-of-fuel"),
        (needed / 2, "out-of-fuel"),
        (needed / 6, "out-of-fuel"),
        (1, "out-of-fuel"),
        (0, "out-of-fuel"),
    ] {
        let mut instance = start(&text);
        instance.set_budget(SMALL.with_fuel(fuel));
        assert_eq!(code(&instance.process(b"hello")), expected, "{fuel}");
        assert_eq!(instance.usage().fuel, fuel);
    }
}
