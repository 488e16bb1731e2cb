//! S01-S05: floods and forgeries of log, and settings that are scanned for or too large.

use crate::case::{Act, Case, Kit, Verdict, clean, error, spent, trap};
use hostel::{Grants, Instance, Trap, Value};
use hostel_tests::with_allocator;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    floods(&mut cases);
    texts(&mut cases);
    quoted(&mut cases);
    forgeries(&mut cases);
    scans(&mut cases);
    large_settings(&mut cases);
    cases
}

const IMPORTS: &str = r#"
    (import "env" "host_log" (func $log (param i32 i32)))
    (import "env" "host_log_message" (func $message (param i32 i32)))
    (import "env" "host_get_config" (func $get (param i32 i32) (result i32 i32)))"#;

const ITEMS: &str = r#"
    (func (export "fine") (result i32) (i32.const 7))
    (func (export "log") (param i32 i32) (call $log (local.get 0) (local.get 1)))
    (func (export "message") (param i32 i32) (call $message (local.get 0) (local.get 1)))
    (func (export "get") (param i32 i32) (result i32 i32) (call $get (local.get 0) (local.get 1)))
    (func (export "error") (param i32 i32) (result i32 i32)
      (local.get 0) (i32.or (local.get 1) (i32.const 0x80000000)))
    (func $flood (export "flood") (param $n i32) (param $size i32)
      (loop $on (call $log (i32.const 0) (local.get $size))
        (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"#;

fn guest(more: &str) -> String {
    with_allocator(IMPORTS, &format!("{ITEMS} {more}"))
}

// S01

fn closing(dropped: u32) -> String {
    format!("guest: [{dropped} further log records dropped: over the budget]")
}

fn floods(cases: &mut Vec<Case>) {
    for (what, records, bytes, n, size, kept, dropped) in [
        (
            "1,000 records where 5 are allowed",
            5,
            1 << 20,
            1_000,
            0,
            5,
            995,
        ),
        ("6 records where 5 are allowed", 5, 1 << 20, 6, 0, 5, 1),
        ("5 records where 5 are allowed", 5, 1 << 20, 5, 0, 5, 0),
        ("10 records where none is allowed", 0, 1 << 20, 10, 0, 0, 10),
        (
            "records of 1,000 bytes where 2,500 are allowed",
            100,
            2_500,
            7,
            1_000,
            2,
            5,
        ),
        (
            "records of 64 KiB where 64 KiB are allowed",
            100,
            65_536,
            3,
            65_536,
            1,
            2,
        ),
        ("a record of a byte too much", 100, 1_000, 1, 1_001, 0, 1),
        ("records of all memory", 100, 200_000, 4, 131_072, 1, 3),
        (
            "records of bytes where none are allowed",
            100,
            0,
            9,
            1,
            0,
            9,
        ),
        (
            "empty records where no bytes are allowed",
            100,
            0,
            9,
            0,
            9,
            0,
        ),
    ] {
        let act = Act::that(move |kit| {
            let mut instance = kit.instance();
            for _ in 0..2 {
                let flooded = instance.call::<(u32, u32), ()>("flood", (n, size));
                assert_eq!(flooded, Ok(()), "a flood does not stop it");
                let lines = kit.lines.take();
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
                kit.lines.take().is_empty(),
                "one closing record for each call"
            );
            clean("told")
        });
        let case = Case::new(format!("S01/{what}"), guest(""), act, clean("told"));
        let case = case.fuel(1_000_000);
        cases.push(case.budget(|budget| {
            (budget.log_records, budget.log_bytes) = (records, bytes);
        }));
    }
    for (what, item) in [
        (
            "start",
            "(start $on) (func $on (call $flood (i32.const 0) (i32.const 0)))",
        ),
        (
            "_initialize",
            r#"(func (export "_initialize") (call $flood (i32.const 0) (i32.const 0)))"#,
        ),
    ] {
        let case = Case::new(
            format!("S01/flood without end in {what}"),
            guest(item),
            Act::Start,
            spent("out-of-fuel"),
        );
        cases.push(case.budget(|budget| budget.log_records = 3));
    }
    let without_end = Act::that(|kit| {
        let mut instance = kit.instance();
        let verdict = Verdict::of(
            instance
                .call_values("flood", &[Value::I32(0), Value::I32(0)])
                .map(|_| ""),
        );
        let dropped = instance.usage().log_dropped;
        assert_eq!(
            kit.lines.take(),
            ["guest: ", "guest: ", "guest: ", &closing(dropped)]
        );
        verdict
    });
    let case = Case::new(
        "S01/flood without end leaves its closing record",
        guest(""),
        without_end,
        spent("out-of-fuel"),
    );
    cases.push(case.budget(|budget| budget.log_records = 3));
    let by_both = guest(
        r#"(func (export "both") (loop $on (call $log (i32.const 0) (i32.const 0)) (call $message (i32.const 0) (i32.const 0)) (br $on)))"#,
    );
    let case = Case::new(
        "S01/flood by both names",
        by_both,
        Act::Call("both", vec![]),
        spent("host-calls"),
    );
    cases.push(case.budget(|budget| (budget.log_records, budget.host_calls) = (3, 100)));
}

// S02

const TEXTS: [(&str, &[u8], &str); 30] = [
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
    (
        "a clipboard",
        b"\x1b]52;c;AAAA\x07",
        "\\u{1b}]52;c;AAAA\\u{7}",
    ),
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
    ("bytes of 0xff", b"\xff\xfe", "\u{fffd}\u{fffd}"),
    ("a surrogate", b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
    ("a cut character", b"a\xf0\x9f\x98", "a\u{fffd}"),
    (
        "formats",
        b"{} {0:?} %s %n $(x) `x`",
        "{} {0:?} %s %n $(x) `x`",
    ),
];

fn texts(cases: &mut Vec<Case>) {
    for (what, bytes, shown) in TEXTS {
        for how in ["log", "message"] {
            let act = Act::that(move |kit| {
                let mut instance = kit.instance();
                assert_eq!(instance.call::<&[u8], ()>(how, bytes), Ok(()));
                clean(kit.lines.take().join("|"))
            });
            let verdict = clean(format!("guest: {shown}"));
            cases.push(Case::new(
                format!("S02/{how} of {what}"),
                guest(""),
                act,
                verdict,
            ));
        }
        let act = Act::that(move |kit| {
            let result = kit.instance().call_bytes("error", bytes, |_| ());
            clean(result.expect_err("it answers with an error").to_string())
        });
        // The text of an error is decoded first, so that a raw byte is one character.
        let verdict = clean(format!("the plugin answered with an error: {shown}"));
        cases.push(Case::new(
            format!("S02/error of {what}"),
            guest(""),
            act,
            verdict,
        ));
    }
}

/// An embedder's trap that quotes what the guest gave it.
fn quoted(cases: &mut Vec<Case>) {
    let act = Act::that(|kit| {
        let refuse = |key: &str| -> Result<(), Trap> { Err(Trap::host(format!("no {key}"))) };
        let grants = Grants::<()>::new().function("host", "refuse", refuse);
        let plugin = kit.engine.load("guest", kit.wasm, &grants);
        let result = plugin.expect("it loads").call::<(), ()>("run", ());
        clean(result.expect_err("it traps").to_string())
    });
    let text = r#"(module (import "host" "refuse" (func $refuse (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\1b[2J\nroot: x")
        (func (export "run") (call $refuse (i32.const 0) (i32.const 12))))"#;
    let shown = "the guest trapped: a host function stopped it: no \\u{1b}[2J\\nroot: x, \
        in host function `host.refuse`, while `run` ran";
    cases.push(Case::new(
        "S02/trap of the embedder's that quotes the guest",
        text,
        act,
        clean(shown),
    ));
}

// S03

fn forgeries(cases: &mut Vec<Case>) {
    for (what, text) in [
        ("another plugin's name", "\nother: I am another"),
        ("its own name", "\nguest: I am a second record"),
        ("a level", "ERROR hostel: all is lost"),
        ("a time and a level", "2030-01-01T00:00:00Z ERROR root: x"),
        (
            "a closing record",
            "[7 further log records dropped: over the budget]",
        ),
        ("a structured field", "x plugin=\"root\" level=\"error\""),
        ("JSON", "\",\"level\":\"error\",\"x\":\""),
    ] {
        let act = Act::that(move |kit| {
            let mut instance = kit.instance();
            assert_eq!(instance.call::<&str, ()>("log", text), Ok(()));
            let lines = kit.lines.take();
            let own =
                lines.len() == 1 && lines[0].starts_with("guest: ") && !lines[0].contains('\n');
            clean(if own {
                "one record, under its own name"
            } else {
                "forged"
            })
        });
        let verdict = clean("one record, under its own name");
        cases.push(Case::new(format!("S03/{what}"), guest(""), act, verdict));
    }
}

// S04

/// What a guest finds under `key`, and what it paid.
fn look_up(instance: &mut Instance, key: &[u8]) -> (Option<String>, u64) {
    let found = instance.call::<&[u8], Option<String>>("get", key);
    let found = found.expect("looking up is no error");
    (found, instance.usage().fuel)
}

fn scans(cases: &mut Vec<Case>) {
    for (what, key, answer) in [
        ("that is set", &b"key"[..], "value"),
        ("that is set to nothing", b"empty", ""),
        ("that is not", b"kez", "absent"),
        ("of nothing", b"", "absent"),
        ("in capitals", b"KEY", "absent"),
        ("with a zero byte", b"key\0", "absent"),
        ("with a space", b"key ", "absent"),
        ("that is part of one", b"ke", "absent"),
        ("that begins with one", b"key2", "absent"),
        ("of a path", b"../key", "absent"),
        ("of an absolute path", b"/etc/passwd", "absent"),
        ("of the environment", b"PATH", "absent"),
        ("with a star", b"k*", "absent"),
        ("with a line end", b"key\nprefix", "absent"),
        ("that is not text", b"key\xff", "absent"),
        ("of a surrogate", b"\xed\xa0\x80", "absent"),
        ("of 60,000 bytes", &[b'k'; 60_000], "absent"),
    ] {
        let act = Act::that(move |kit| {
            let (found, _) = look_up(&mut kit.instance(), key);
            clean(found.unwrap_or_else(|| "absent".into()))
        });
        cases.push(Case::new(
            format!("S04/key {what}"),
            guest(""),
            act,
            clean(answer),
        ));
    }
    let prices = Act::that(|kit| {
        let mut instance = kit.instance();
        let _ = look_up(&mut instance, b"warm up");
        let prices = [&b"kez"[..], b"key\0", b"KEY", b"\xff\xff\xff", b"zzz"]
            .map(|key| look_up(&mut instance, &key[..3]).1);
        // One of them is set once its last byte is cut.
        let absent = [prices[0], prices[2], prices[3], prices[4]];
        clean(if absent.iter().all(|price| *price == absent[0]) {
            "one price"
        } else {
            "several"
        })
    });
    cases.push(Case::new(
        "S04/keys that are absent have one price",
        guest(""),
        prices,
        clean("one price"),
    ));
    let scan = guest(
        r#"(func (export "scan") (local $n i32) (loop $on
        (i32.store (i32.const 64) (local.tee $n (i32.add (local.get $n) (i32.const 1))))
        (call $get (i32.const 64) (i32.const 4)) (drop) (drop) (br $on)))"#,
    );
    let act = || Act::Call("scan", vec![]);
    cases.push(Case::new(
        "S04/scan of all keys of four bytes",
        scan.clone(),
        act(),
        spent("out-of-fuel"),
    ));
    let quota = Case::new(
        "S04/scan of more keys than host calls",
        scan,
        act(),
        spent("host-calls"),
    );
    cases.push(quota.budget(|budget| budget.host_calls = 1_000));
}

// S05

/// Looks up a setting of so many bytes.
fn large(kit: &Kit<'_>, size: usize) -> Verdict {
    let grants = Grants::<()>::new()
        .log(|_: &hostel::LogRecord<'_>| {})
        .config([("key", "x".repeat(size))]);
    let plugin = kit
        .engine
        .load("guest", kit.wasm, &grants)
        .expect("it loads");
    // Making it has the library's budget: it sets up memory, which costs more than the call.
    let making = plugin.with_budget(hostel::Budget::server());
    let mut instance = making.instantiate(()).expect("it starts");
    instance.set_budget(*kit.engine.budget());
    let found = instance.call::<&str, Option<String>>("get", "key");
    Verdict::of(found.map(|found| format!("{} bytes", found.map_or(0, |text| text.len()))))
}

fn large_settings(cases: &mut Vec<Case>) {
    for (what, size, verdict) in [
        ("100,000 bytes", 100_000, clean("100000 bytes")),
        (
            "as much as there is room",
            131_056 - 4_096 - 16,
            clean("126944 bytes"),
        ),
        ("more than there is room", 131_056, trap("trap-host-call")),
        ("1 MB", 1_000_000, trap("trap-host-call")),
    ] {
        let case = Case::new(
            format!("S05/setting of {what}"),
            guest(""),
            Act::that(move |kit| large(kit, size)),
            verdict,
        );
        cases.push(case);
    }
    let dear = Case::new(
        "S05/setting that is too dear",
        guest(""),
        Act::that(|kit| large(kit, 100_000)),
        spent("out-of-fuel"),
    );
    cases.push(dear.fuel(1_500));
    let over = Case::new(
        "S05/setting over what host functions may hand over",
        guest(""),
        Act::that(|kit| large(kit, 100_000)),
        spent("arena-bytes"),
    );
    cases.push(over.budget(|budget| budget.arena_bytes = 99_999));
    let long = Case::new(
        "S05/setting over the output's limit comes in, and not out",
        guest(""),
        Act::that(|kit| large(kit, 10_000)),
        error("output-too-large"),
    );
    cases.push(long.budget(|budget| budget.output_bytes = 9_999));
    for (what, answer) in [
        ("at the end", 131_072 - 50),
        ("outside", -1),
        ("over the edge", 131_000),
    ] {
        let text = format!(
            r#"(module {IMPORTS} (memory (export "memory") 2)
                (func (export "allocate") (param i32) (result i32)
                  (select (i32.const {answer}) (i32.const 64) (i32.eq (local.get 0) (i32.const 100))))
                (func (export "get") (param i32 i32) (result i32 i32) (call $get (local.get 0) (local.get 1))))"#
        );
        let act = Act::that(|kit| large(kit, 100));
        cases.push(Case::new(
            format!("S05/room for a setting {what}, none of it written"),
            text,
            act,
            trap("trap-host-call"),
        ));
    }
}
