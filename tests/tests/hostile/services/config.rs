//! S04, S05: settings that a guest should not find, and settings larger than it can take.

use super::{IMPORTS, guest};
use crate::case::{Case, Setup, Verdict, exceeds, fails, out_of_fuel, returns, traps};
use hostel::{Budget, Grants, Instance, LogRecord};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    keys(&mut cases);
    scans(&mut cases);
    large_settings(&mut cases);
    room_for_a_setting(&mut cases);
    cases
}

/// Looks `key` up. Returns what the guest finds, and the fuel of the call.
fn look_up(instance: &mut Instance, key: &[u8]) -> (Option<String>, u64) {
    let found = instance.call::<&[u8], Option<String>>("get", key);
    let found = found.expect("looking up is no error");
    (found, instance.usage().fuel)
}

/// S04: a row says what the key is, the key, and what is found.
fn keys(cases: &mut Vec<Case>) {
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
        let name = format!("S04/key {what}");
        cases.push(Case::script(
            name,
            guest(""),
            returns(answer),
            move |setup| {
                let (found, _) = look_up(&mut setup.instance(), key);
                returns(found.unwrap_or_else(|| "absent".into()))
            },
        ));
    }
}

/// S04: keys that are tried one after the other, by their fuel or by their number.
fn scans(cases: &mut Vec<Case>) {
    let name = "S04/keys that are absent have one price";
    cases.push(Case::script(
        name,
        guest(""),
        returns("one price"),
        |setup| {
            let mut instance = setup.instance();
            // The first call asks for its buffers.
            let _ = look_up(&mut instance, b"warm up");
            let prices =
                [b"kez", b"KEY", b"\xff\xff\xff", b"zzz"].map(|key| look_up(&mut instance, key));
            assert!(prices.iter().all(|(found, _)| found.is_none()));
            returns(if prices.iter().all(|(_, fuel)| *fuel == prices[0].1) {
                "one price"
            } else {
                "several"
            })
        },
    ));
    let scan = guest(
        r#"(func (export "scan") (local $n i32) (loop $on
        (i32.store (i32.const 64) (local.tee $n (i32.add (local.get $n) (i32.const 1))))
        (call $get (i32.const 64) (i32.const 4)) (drop) (drop) (br $on)))"#,
    );
    let name = "S04/scan of all keys of four bytes";
    cases.push(Case::call(name, scan.clone(), ("scan", &[]), out_of_fuel()));
    let name = "S04/scan of more keys than host calls";
    let quota = Case::call(name, scan, ("scan", &[]), exceeds("host-calls"));
    cases.push(quota.budget(|budget| budget.host_calls = 1_000));
}

/// Looks up a setting of `size` bytes.
fn look_up_large(setup: &Setup<'_>, size: usize) -> Verdict {
    let grants = Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("key", "x".repeat(size))]);
    let plugin = setup
        .engine
        .load("guest", setup.wasm, &grants)
        .expect("it loads");
    // The case's budget is the call's. Making the instance sets up memory, which may cost more.
    let generous = plugin.with_budget(Budget::server());
    let mut instance = generous.instantiate(()).expect("it starts");
    instance.set_budget(*setup.engine.budget());
    let found = instance.call::<&str, Option<String>>("get", "key");
    Verdict::of_answer(found.map(|found| format!("{} bytes", found.map_or(0, |text| text.len()))))
}

/// S05: a row says how large the setting is, in words and in bytes, and the verdict.
fn large_settings(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("100,000 bytes", 100_000, returns("100000 bytes")),
        ("as much as there is room", 131_056 - 4_096 - 16, returns("126944 bytes")),
        ("more than there is room", 131_056, traps("trap-host-call")),
        ("1 MB", 1_000_000, traps("trap-host-call")),
    ];
    for (what, size, verdict) in rows {
        let name = format!("S05/setting of {what}");
        cases.push(Case::script(name, guest(""), verdict, move |setup| {
            look_up_large(setup, size)
        }));
    }
    let name = "S05/setting that is too expensive";
    let case = Case::script(name, guest(""), out_of_fuel(), |setup| {
        look_up_large(setup, 100_000)
    });
    cases.push(case.fuel(1_500));
    let name = "S05/setting over what host functions may hand over";
    let case = Case::script(name, guest(""), exceeds("arena-bytes"), |setup| {
        look_up_large(setup, 100_000)
    });
    cases.push(case.budget(|budget| budget.bytes_to_guest = 99_999));
    let name = "S05/setting over the output's limit comes in, and not out";
    let case = Case::script(name, guest(""), fails("output-too-large"), |setup| {
        look_up_large(setup, 10_000)
    });
    cases.push(case.budget(|budget| budget.output_bytes = 9_999));
}

/// S05: an `allocate` that returns too little room for a setting of 100 bytes.
fn room_for_a_setting(cases: &mut Vec<Case>) {
    for (what, answer) in [
        ("at the end", 131_072 - 50),
        ("outside", -1),
        ("over the edge", 131_000),
    ] {
        let text = format!(
            r#"(module {IMPORTS} (memory (export "memory") 2)
                (func (export "allocate") (param i32) (result i32)
                  (select (i32.const {answer}) (i32.const 64)
                    (i32.eq (local.get 0) (i32.const 100))))
                (func (export "get") (param i32 i32) (result i32 i32)
                  (call $get (local.get 0) (local.get 1))))"#
        );
        let name = format!("S05/room for a setting {what}, none of it written");
        cases.push(Case::script(name, text, traps("trap-host-call"), |setup| {
            look_up_large(setup, 100)
        }));
    }
}
