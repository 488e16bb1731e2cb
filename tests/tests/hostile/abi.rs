//! A03-A07: allocators that do more than allocate, re-entering, answers that move and overlap.

use crate::case::{Act, Case, Verdict, by_code, clean, error, spent};
use hostel_tests::with_allocator;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    bad_allocate(&mut cases);
    re_entering(&mut cases);
    moving(&mut cases);
    overlapping(&mut cases);
    bad_deallocate(&mut cases);
    cases
}

pub(crate) const IMPORTS: &str = r#"
    (import "env" "host_log" (func $log (param i32 i32)))
    (import "env" "host_get_config" (func $get (param i32 i32) (result i32 i32)))
    (import "host" "noop" (func $noop))
    (import "host" "give" (func $give (result i32 i32)))
    (import "host" "echo" (func $echo (param i32 i32) (result i32 i32)))
    (import "host" "pair" (func $pair (param i32)))"#;

pub(crate) const FINE: &str = r#"(func (export "fine") (result i32) (i32.const 7))"#;

/// A module whose `allocate` is `body`; `process` answers its input, `run` asks for a setting.
pub(crate) fn with_allocate(body: &str) -> String {
    format!(
        r#"(module {IMPORTS} (memory (export "memory") 2) (table 1 funcref) (elem (i32.const 0) $process)
            (data (i32.const 64) "key") (global $calls (mut i32) (i32.const 0)) {FINE}
            (func $allocate (export "allocate") (param $size i32) (result i32) {body})
            (func $process (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))
            (func (export "run") (result i32) (local i32)
              (call $get (i32.const 64) (i32.const 3)) (drop) (local.set 0) (i32.load8_u (local.get 0))))"#
    )
}

/// The first letter of the setting.
pub(crate) const V: &str = "118";

// A03

fn bad_allocate(cases: &mut Vec<Case>) {
    for (what, body, code) in [
        ("traps", "(unreachable)", "trap-unreachable"),
        (
            "stores outside",
            "(i32.store (i32.const -1) (i32.const 0)) (i32.const 1024)",
            "trap-memory",
        ),
        (
            "divides by zero",
            "(i32.div_u (i32.const 1) (global.get $calls))",
            "trap-division",
        ),
        ("loops", "(loop $on (br $on)) (unreachable)", "out-of-fuel"),
        (
            "calls itself",
            "(call $allocate (local.get $size))",
            "trap-stack",
        ),
        (
            "grows memory by one",
            "(drop (memory.grow (i32.const 1))) (i32.const 1024)",
            "ok",
        ),
        (
            "answers a new page",
            "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))",
            "ok",
        ),
        (
            "grows as far as it goes",
            "(loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (i32.const 1))))) (i32.const 1024)",
            "ok",
        ),
        (
            "grows for ever",
            "(loop $on (drop (memory.grow (i32.const 1))) (br $on)) (unreachable)",
            "out-of-fuel",
        ),
        (
            "answers a growth that failed",
            "(memory.grow (i32.const 1000))",
            "bad",
        ),
        (
            "wipes memory",
            "(memory.fill (i32.const 1024) (i32.const 0) (i32.const 65536)) (i32.const 1024)",
            "ok",
        ),
        (
            "calls through an empty table",
            "(call_indirect (type 0) (i32.const 7)) (i32.const 1024)",
            "trap-table",
        ),
        (
            "needs all fuel",
            "(memory.fill (i32.const 1024) (i32.const 0) (i32.const 65536)) (loop $on (br $on)) (unreachable)",
            "out-of-fuel",
        ),
    ] {
        // Type 0 has to be one that takes nothing.
        let text = with_allocate(body).replacen("(module", "(module (type (func))", 1);
        let input = if code == "bad" { "out-of-bounds" } else { code };
        cases.push(Case::new(
            format!("A03/allocate that {what}, for the input"),
            text.clone(),
            Act::hello(),
            by_code(input, "hello"),
        ));
        let setting = if code == "bad" {
            "trap-host-call"
        } else {
            code
        };
        cases.push(Case::new(
            format!("A03/allocate that {what}, for a setting"),
            text,
            Act::run(),
            by_code(setting, V),
        ));
    }
}

// A04

fn re_entering(cases: &mut Vec<Case>) {
    let get = "(call $get (i32.const 64) (i32.const 3)) (drop) (drop)";
    for (what, body, for_input, for_setting) in [
        ("asks for a setting (W6)", get.to_owned(), "trap-reentered", "trap-reentered"),
        ("logs", "(call $log (i32.const 64) (i32.const 3))".into(), "ok", "trap-reentered"),
        ("calls a host function", "(call $noop)".into(), "ok", "trap-reentered"),
        ("takes bytes", "(call $give) (drop) (drop)".into(), "trap-reentered", "trap-reentered"),
        ("echoes", "(call $echo (i32.const 64) (i32.const 3)) (drop) (drop)".into(), "trap-reentered", "trap-reentered"),
        ("has a record filled", "(call $pair (i32.const 128))".into(), "ok", "trap-reentered"),
        ("calls process", "(call $process (i32.const 0) (i32.const 0)) (drop) (drop)".into(), "ok", "ok"),
        ("calls process through a table", "(call_indirect (param i32 i32) (result i32 i32) (i32.const 0) (i32.const 0) (i32.const 0)) (drop) (drop)".into(), "ok", "ok"),
        ("asks only when asked again", format!("(if (global.get $calls) (then {get})) (global.set $calls (i32.const 1))"), "ok", "ok"),
    ] {
        let text = with_allocate(&format!("{body} (i32.const 1024)"));
        cases.push(Case::new(format!("A04/allocate that {what}, for the input"), text.clone(), Act::hello(), by_code(for_input, "hello")));
        cases.push(Case::new(format!("A04/allocate that {what}, for a setting"), text, Act::run(), by_code(for_setting, V)));
    }
    // After a nested allocate that answered 0, the guest may call imports again.
    let again = format!(
        r#"(module {IMPORTS} (memory (export "memory") 1) (data (i32.const 64) "emptykey") {FINE}
            (func (export "allocate") (param i32) (result i32) (select (i32.const 1024) (i32.const 0) (local.get 0)))
            (func (export "run") (result i32) (local i32 i32)
              (call $get (i32.const 64) (i32.const 5)) (local.set 0) (local.set 1)
              (call $log (i32.const 64) (i32.const 5))
              (call $get (i32.const 69) (i32.const 3)) (drop) (local.set 1) (i32.load8_u (local.get 1))))"#
    );
    cases.push(Case::new(
        "A04/imports are open again after allocate",
        again,
        Act::run(),
        clean(V),
    ));
    let deep = with_allocator(
        IMPORTS,
        r#"(data (i32.const 64) "key") (func $down (param i32)
              (if (local.get 0) (then (call $get (i32.const 64) (i32.const 3)) (drop) (drop)
                (call $down (i32.sub (local.get 0) (i32.const 1))))))
           (func (export "run") (call $down (i32.const 300)))"#,
    );
    cases.push(Case::new(
        "A04/300 settings, each a call deeper",
        deep,
        Act::run(),
        clean(""),
    ));
    for (what, body, verdict) in [
        ("asks for a setting", get, clean("hello")),
        (
            "logs",
            "(call $log (i32.const 64) (i32.const 3))",
            clean("hello"),
        ),
        (
            "calls process",
            "(call $process (i32.const 0) (i32.const 0)) (drop) (drop)",
            clean("hello"),
        ),
        (
            "asks for ever",
            "(loop $on (call $get (i32.const 64) (i32.const 3)) (drop) (drop) (br $on))",
            spent("out-of-fuel"),
        ),
    ] {
        let text = with_allocate("(i32.const 1024)").replace(
            "(func $process",
            &format!(r#"(func (export "deallocate") (param i32 i32) {body}) (func $process"#),
        );
        let act = Act::that(|kit| Verdict::of_bytes(kit.instance().call("process", "hello")));
        cases.push(Case::new(
            format!("A04/deallocate that {what}"),
            text,
            act,
            verdict,
        ));
    }
}

// A05

fn moving(cases: &mut Vec<Case>) {
    let page = "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))";
    let with = |export: &str| {
        format!(
            r#"(module {IMPORTS} (memory (export "memory") 1) (data (i32.const 64) "key") {FINE}
                (func (export "allocate") (param i32) (result i32) {page}) {export})"#
        )
    };
    for (what, ty, run) in [
        (
            "values",
            "(param i32 i32) (result i32 i32)",
            "(call $it (i32.const 64) (i32.const 3)) (drop) (local.set 0) (i32.load8_u (local.get 0))",
        ),
        (
            "packed",
            "(param i32 i32) (result i64)",
            "(i32.load8_u (i32.wrap_i64 (i64.shr_u (call $it (i32.const 64) (i32.const 3)) (i64.const 32))))",
        ),
        (
            "pointer",
            "(param i32 i32 i32)",
            "(call $it (i32.const 65528) (i32.const 64) (i32.const 3)) (i32.load8_u (i32.load (i32.const 65528)))",
        ),
    ] {
        let import = format!(r#"(import "env" "host_get_config" (func $it {ty}))"#);
        let text = with(&format!(
            r#"(func (export "run") (result i32) (local i32) {run})"#
        ));
        let text = text.replace(IMPORTS, &import);
        cases.push(Case::new(
            format!("A05/memory moves under a setting, {what}"),
            text,
            Act::run(),
            clean(V),
        ));
    }
    let echo = r#"(func (export "run") (result i32) (local i32)
        (call $echo (i32.const 64) (i32.const 3)) (drop) (local.set 0) (i32.load8_u offset=2 (local.get 0)))"#;
    cases.push(Case::new(
        "A05/memory moves under an argument",
        with(echo),
        Act::run(),
        clean("121"),
    ));
    let process = format!(
        r#"(func (export "process") (param i32 i32) (result i32 i32) (local $to i32)
            (local.set $to {page}) (memory.copy (local.get $to) (local.get 0) (local.get 1))
            (local.get $to) (local.get 1))"#
    );
    cases.push(Case::new(
        "A05/memory moves under the input and the answer",
        with(&process),
        Act::hello(),
        clean("hello"),
    ));
    let two = r#"(func (export "two") (param i32 i32 i32 i32) (result i32) (i32.add (i32.load8_u (local.get 0)) (i32.load8_u (local.get 2))))"#;
    let act = Act::that(|kit| Verdict::of(kit.instance().call::<_, u32>("two", ("a", "b"))));
    cases.push(Case::new(
        "A05/memory moves between two arguments",
        with(two),
        act,
        clean("195"),
    ));
    let record = r#"(func (export "process") (param i32 i32 i32)
        (i32.store (local.get 0) (local.get 1)) (i32.store offset=4 (local.get 0) (local.get 2)))"#;
    cases.push(Case::new(
        "A05/memory moves between the record and the input",
        with(record),
        Act::hello(),
        clean("hello"),
    ));
}

// A06

fn overlapping(cases: &mut Vec<Case>) {
    let answers = |answer: &str| {
        with_allocator(
            "",
            &format!(
                r#"{FINE} (func (export "process") (param i32 i32) (result i32 i32) {answer})"#
            ),
        )
    };
    for (what, answer, text) in [
        ("the input", "(local.get 0) (local.get 1)", "hello"),
        (
            "the input's tail",
            "(i32.add (local.get 0) (i32.const 1)) (i32.sub (local.get 1) (i32.const 1))",
            "ello",
        ),
        (
            "over the input's end",
            "(i32.add (local.get 0) (i32.const 4)) (i32.const 2)",
            "o\\x00",
        ),
        (
            "a block freed before",
            "(call $deallocate (local.get 0) (local.get 1)) (local.get 0) (local.get 1)",
            "hello",
        ),
        (
            "all memory",
            "(i32.const 0) (i32.const 131072)",
            "131072 bytes",
        ),
        (
            "nothing, at the end",
            "(i32.const 131072) (i32.const 0)",
            "",
        ),
    ] {
        cases.push(Case::new(
            format!("A06/answer that is {what}"),
            answers(answer),
            Act::hello(),
            clean(text),
        ));
    }
    let twice = with_allocator(
        "",
        r#"(func (export "both") (param i32 i32) (result i32 i32 i32 i32)
        (local.get 0) (local.get 1) (local.get 0) (local.get 1))"#,
    );
    let act = Act::that(|kit| {
        let both = kit.instance().call::<_, (String, String)>("both", "hello");
        Verdict::of(both.map(|(a, b)| format!("{a} {b}")))
    });
    cases.push(Case::new(
        "A06/two answers that are one",
        twice,
        act,
        clean("hello hello"),
    ));
    let message = answers("(local.get 0) (i32.or (local.get 1) (i32.const 0x80000000))");
    let act = Act::that(|kit| {
        let error = kit
            .instance()
            .process(b"a\x1b\xff")
            .expect_err("it is an error");
        clean(error.to_string())
    });
    let shown = "the plugin answered with an error: a\\u{1b}\u{fffd}";
    cases.push(Case::new(
        "A06/error that is rubbish",
        message.clone(),
        act,
        clean(shown),
    ));
    for (what, input) in [
        ("empty", &b""[..]),
        ("one byte", b"\xff"),
        ("a cut character", b"\xf0\x9f"),
        ("control characters", b"\x1b]52;c;\x07"),
        ("zeros", &[0; 300]),
    ] {
        cases.push(Case::new(
            format!("A06/error of {what}"),
            message.clone(),
            Act::Process(input.to_vec()),
            error("guest-error"),
        ));
    }
    for (what, bytes) in [
        ("a byte of 0xff", "\\ff"),
        ("a surrogate", "\\ed\\a0\\80"),
        ("a cut character", "\\f0\\9f\\98"),
        ("an over-long slash", "\\c0\\af"),
    ] {
        let text = with_allocator(
            "",
            &format!(
                r#"(data (i32.const 64) "{bytes}")
            (func (export "text") (result i32 i32) (i32.const 64) (i32.const {}))"#,
                bytes.len() / 3
            ),
        );
        let act = Act::that(|kit| Verdict::of(kit.instance().call::<(), String>("text", ())));
        cases.push(Case::new(
            format!("A06/text that is {what}"),
            text,
            act,
            error("not-utf8"),
        ));
    }
}

// A07

fn bad_deallocate(cases: &mut Vec<Case>) {
    for (what, body, code) in [
        ("traps", "(unreachable)", "trap-unreachable"),
        (
            "stores outside",
            "(i32.store (i32.const -1) (i32.const 0))",
            "trap-memory",
        ),
        ("loops", "(loop $on (br $on))", "out-of-fuel"),
        ("calls itself", "SELF", "trap-stack"),
        (
            "calls process",
            "(call $process (i32.const 0) (i32.const 0)) (drop) (drop)",
            "ok",
        ),
        (
            "calls allocate",
            "(drop (call $allocate (i32.const 1)))",
            "ok",
        ),
        ("grows memory", "(drop (memory.grow (i32.const 1)))", "ok"),
        (
            "wipes memory",
            "(memory.fill (i32.const 0) (i32.const 0) (i32.const 131072))",
            "ok",
        ),
        (
            "frees twice",
            "(if (i32.eq (local.get 0) (global.get $last)) (then (unreachable))) (global.set $last (local.get 0))",
            "ok",
        ),
    ] {
        for (how, params, itself) in [
            (
                "deallocate",
                "(param i32 i32)",
                "(call $deallocate (local.get 0) (local.get 1))",
            ),
            ("free", "(param i32)", "(call $deallocate (local.get 0))"),
        ] {
            let body = if body == "SELF" { itself } else { body };
            let text = format!(
                r#"(module (memory (export "memory") 2) (global $last (mut i32) (i32.const 0)) {FINE}
                    (func $allocate (export "allocate") (param i32) (result i32) (i32.const 4096))
                    (func $deallocate (export "{how}") {params} {body})
                    (func $process (export "process") (param i32 i32) (result i32 i32)
                      (memory.copy (i32.const 8192) (local.get 0) (local.get 1)) (i32.const 8192) (local.get 1)))"#
            );
            // The answer was taken before.
            let act = Act::that(move |kit| {
                let mut instance = kit.instance();
                let mut taken = Vec::new();
                let result = instance.process_with(b"hello", |answer| taken = answer.to_vec());
                assert_eq!(taken, b"hello");
                assert_eq!(instance.is_stopped(), result.is_err());
                Verdict::of(result.map(|()| "hello"))
            });
            cases.push(Case::new(
                format!("A07/{how} that {what}"),
                text,
                act,
                by_code(code, "hello"),
            ));
        }
    }
}
