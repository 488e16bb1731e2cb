//! S01, S02, S03: floods of log records, text that a terminal or a reader of the log would take for
//! something else, and forged records.

use super::guest;
use crate::case::{Case, Verdict, exceeds, out_of_fuel, returns, traps};
use hostel::{Grants, Trap, Value};
use hostel_tests::with_allocator;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    quotas(&mut cases);
    endless_floods(&mut cases);
    texts(&mut cases);
    quoted_text(&mut cases);
    forgeries(&mut cases);
    levels(&mut cases);
    cases
}

/// The record that tells how many were dropped.
fn closing(dropped: u32) -> String {
    format!("guest [host]: [{dropped} further log records dropped: over the budget]")
}

/// S01: a row says what is logged, how many records and bytes are allowed, how many records of how
/// many bytes the guest logs, and how many of them are kept and dropped.
fn quotas(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        // Allowed: records, bytes. Logged: records, bytes of each. Then: kept, dropped.
        ("1,000 records, 5 allowed", 5, 1 << 20, 1_000, 0, 5, 995),
        ("6 records, 5 allowed", 5, 1 << 20, 6, 0, 5, 1),
        ("5 records, 5 allowed", 5, 1 << 20, 5, 0, 5, 0),
        ("10 records, none allowed", 0, 1 << 20, 10, 0, 0, 10),
        ("records of 1,000 bytes, 2,500 allowed", 100, 2_500, 7, 1_000, 2, 5),
        ("records of 64 KiB, 64 KiB allowed", 100, 65_536, 3, 65_536, 1, 2),
        ("a record of a byte too much", 100, 1_000, 1, 1_001, 0, 1),
        ("records of all memory", 100, 200_000, 4, 131_072, 1, 3),
        ("records of a byte, none allowed", 100, 0, 9, 1, 0, 9),
        ("empty records, no bytes allowed", 100, 0, 9, 0, 9, 0),
    ];
    for (what, records, bytes, n, size, kept, dropped) in rows {
        let name = format!("S01/{what}");
        let case = Case::script(name, guest(""), returns("told"), move |setup| {
            let mut instance = setup.instance();
            // The quota is the call's, not the instance's.
            for _ in 0..2 {
                let flooded = instance.call::<(u32, u32), ()>("flood", (n, size));
                assert_eq!(flooded, Ok(()), "a flood does not stop it");
                let lines = setup.lines.take();
                let extra = usize::from(dropped > 0);
                assert_eq!(lines.len(), kept as usize + extra);
                if dropped > 0 {
                    assert_eq!(lines.last(), Some(&closing(dropped)));
                }
                let usage = instance.usage();
                assert_eq!((usage.log_records, usage.log_dropped), (kept, dropped));
            }
            assert_eq!(instance.call::<(), u32>("fine", ()), Ok(7));
            assert!(
                setup.lines.take().is_empty(),
                "one closing record for each call"
            );
            returns("told")
        });
        let case = case.fuel(1_000_000);
        cases.push(case.budget(|budget| {
            (budget.log_records, budget.log_bytes) = (records, bytes);
        }));
    }
}

/// S01: floods that nothing but fuel or the number of host calls ends.
fn endless_floods(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("start", "(start $on) (func $on (call $flood (i32.const 0) (i32.const 0)))"),
        ("_initialize",
            r#"(func (export "_initialize") (call $flood (i32.const 0) (i32.const 0)))"#),
    ];
    for (what, item) in rows {
        let name = format!("S01/flood without end in {what}");
        let case = Case::start(name, guest(item), out_of_fuel());
        cases.push(case.budget(|budget| budget.log_records = 3));
    }
    let name = "S01/flood without end leaves its closing record";
    let case = Case::script(name, guest(""), out_of_fuel(), |setup| {
        let mut instance = setup.instance();
        let flooded = instance.call_values("flood", &[Value::I32(0), Value::I32(0)]);
        let dropped = instance.usage().log_dropped;
        assert_eq!(
            setup.lines.take(),
            ["guest: ", "guest: ", "guest: ", &closing(dropped)]
        );
        Verdict::of_answer(flooded.map(|_| ""))
    });
    cases.push(case.budget(|budget| budget.log_records = 3));
    let by_both = guest(
        r#"(func (export "both") (loop $on (call $log (i32.const 0) (i32.const 0))
            (call $message (i32.const 0) (i32.const 0)) (br $on)))"#,
    );
    let case = Case::call(
        "S01/flood by both names",
        by_both,
        ("both", &[]),
        exceeds("host-calls"),
    );
    cases.push(case.budget(|budget| (budget.log_records, budget.host_calls) = (3, 100)));
}

/// A text in words, its bytes, and how they are shown: on one line, without control characters and
/// without characters that can't be seen or change the direction of others.
#[rustfmt::skip] // a table
const TEXTS: [(&str, &[u8], &str); 35] = [
    ("plain", b"plain", "plain"),
    ("nothing", b"", ""),
    ("a zero byte", b"a\0b", "a\\u{0}b"),
    ("a line end", b"a\nb", "a\\nb"),
    ("a carriage return", b"a\rb", "a\\rb"),
    ("a tab", b"a\tb", "a\\tb"),
    ("a backspace", b"a\x08b", "a\\u{8}b"),
    ("a bell", b"a\x07b", "a\\u{7}b"),
    ("a delete", b"a\x7fb", "a\\u{7f}b"),
    ("a form feed", b"a\x0cb", "a\\u{c}b"),
    ("a colour", b"\x1b[31mred", "\\u{1b}[31mred"),
    ("a cleared screen", b"\x1b[2J", "\\u{1b}[2J"),
    ("a clipboard", b"\x1b]52;c;AAAA\x07", "\\u{1b}]52;c;AAAA\\u{7}"),
    ("a title", b"\x1b]0;x\x1b\\", "\\u{1b}]0;x\\u{1b}\\"),
    ("a short escape of C1", b"\xc2\x9b31m", "\\u{9b}31m"),
    ("a raw byte of C1", b"\x9b31m", "\u{fffd}31m"),
    ("a next line of C1", b"a\xc2\x85b", "a\\u{85}b"),
    ("an override of direction", b"a\xe2\x80\xaeb", "a\\u{202e}b"),
    ("an isolate of direction", b"a\xe2\x81\xa6b", "a\\u{2066}b"),
    ("a mark of direction", b"a\xe2\x80\x8fb", "a\\u{200f}b"),
    ("an Arabic letter mark", b"a\xd8\x9cb", "a\\u{61c}b"),
    ("a line separator", b"a\xe2\x80\xa8b", "a\\u{2028}b"),
    ("a paragraph separator", b"a\xe2\x80\xa9b", "a\\u{2029}b"),
    ("a byte order mark", b"\xef\xbb\xbfa", "\\u{feff}a"),
    ("no width", b"a\xe2\x80\x8bb", "a\\u{200b}b"),
    ("tags", b"a\xf3\xa0\x80\x81b", "a\\u{e0001}b"),
    ("a soft hyphen", b"a\xc2\xadb", "a\\u{ad}b"),
    ("a Hangul filler", b"a\xe3\x85\xa4b", "a\\u{3164}b"),
    ("a variation selector", b"a\xef\xb8\x8fb", "a\\u{fe0f}b"),
    ("an annotation", b"a\xef\xbf\xb9b", "a\\u{fff9}b"),
    ("a variation selector of plane 14", b"a\xf3\xa0\x84\x80b", "a\\u{e0100}b"),
    ("bytes of 0xff", b"\xff\xfe", "\u{fffd}\u{fffd}"),
    ("a surrogate", b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
    ("a cut character", b"a\xf0\x9f\x98", "a\u{fffd}"),
    ("formats", b"{} {0:?} %s %n $(x) `x`", "{} {0:?} %s %n $(x) `x`"),
];

/// S02: texts that are logged, by both imports, and returned as an error.
fn texts(cases: &mut Vec<Case>) {
    for (what, bytes, shown) in TEXTS {
        for how in ["log", "message"] {
            let verdict = returns(format!("guest: {shown}"));
            let name = format!("S02/{how} of {what}");
            cases.push(Case::script(name, guest(""), verdict, move |setup| {
                let mut instance = setup.instance();
                assert_eq!(instance.call::<&[u8], ()>(how, bytes), Ok(()));
                returns(setup.lines.take().join("|"))
            }));
        }
        let verdict = returns(format!("the plugin returned an error: {shown}"));
        let name = format!("S02/error of {what}");
        cases.push(Case::script(name, guest(""), verdict, move |setup| {
            let result = setup.instance().call_bytes("error", bytes, |_| ());
            returns(result.expect_err("an error").to_string())
        }));
    }
}

/// S02: a trap by a host function of the embedder's, which quotes its argument.
fn quoted_text(cases: &mut Vec<Case>) {
    let text = r#"(module (import "host" "refuse" (func $refuse (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\1b[2J\nroot: x")
        (func (export "run") (call $refuse (i32.const 0) (i32.const 12))))"#;
    let shown = "the guest trapped: a host function stopped it: no \\u{1b}[2J\\nroot: x, \
        in host function `host.refuse`, while `run` ran";
    let name = "S02/trap of the embedder's that quotes the guest";
    cases.push(Case::script(name, text, returns(shown), |setup| {
        let refuse = |key: &str| -> Result<(), Trap> { Err(Trap::host(format!("no {key}"))) };
        let grants = Grants::new().function("host", "refuse", refuse);
        let plugin = setup.engine.load("guest", setup.wasm, &grants);
        let result = plugin.expect("it loads").call::<(), ()>("run", ());
        returns(result.expect_err("it traps").to_string())
    }));
}

/// S03: texts that look like a record of their own. A row says what is forged, and the text.
fn forgeries(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("another plugin's name", "\nother: I am another"),
        ("its own name", "\nguest: I am a second record"),
        ("a level", "ERROR hostel: all is lost"),
        ("a time and a level", "2030-01-01T00:00:00Z ERROR root: x"),
        ("a closing record", "[7 further log records dropped: over the budget]"),
        ("a structured field", "x plugin=\"root\" level=\"error\""),
        ("JSON", "\",\"level\":\"error\",\"x\":\""),
    ];
    for (what, text) in rows {
        let name = format!("S03/{what}");
        let verdict = returns("one record, under its own name");
        cases.push(Case::script(name, guest(""), verdict, move |setup| {
            let mut instance = setup.instance();
            assert_eq!(instance.call::<&str, ()>("log", text), Ok(()));
            let lines = setup.lines.take();
            let own =
                lines.len() == 1 && lines[0].starts_with("guest: ") && !lines[0].contains('\n');
            returns(if own {
                "one record, under its own name"
            } else {
                "forged"
            })
        }));
    }
}

/// S03: levels, which the guest chooses, and numbers that are none.
fn levels(cases: &mut Vec<Case>) {
    let text = with_allocator(
        r#"(import "env" "host_log_at" (func $log (param i32 i32 i32)))"#,
        r#"(func (export "at") (param i32 i32 i32)
            (call $log (local.get 0) (local.get 1) (local.get 2)))"#,
    );
    let logged = |what: &str, level: u32, verdict: Verdict| {
        Case::script(format!("S03/{what}"), text.clone(), verdict, move |setup| {
            let mut instance = setup.instance();
            let logged = instance.call::<(u32, &str), ()>("at", (level, "host: x"));
            Verdict::of_answer(logged.map(|()| setup.lines.take().join("|")))
        })
    };
    for (level, mark) in [" [trace]", " [debug]", "", " [warn]", " [error]"]
        .into_iter()
        .enumerate()
    {
        let what = format!("level {level}");
        let verdict = returns(format!("guest{mark}: host: x"));
        cases.push(logged(&what, level as u32, verdict));
    }
    for level in [5, u32::MAX] {
        let what = format!("level {level}");
        cases.push(logged(&what, level, traps("trap-host")));
    }
}
