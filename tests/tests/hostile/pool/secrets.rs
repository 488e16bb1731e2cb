//! C01: bytes that a call leaves in its instance, for a later caller to find.

use crate::case::{Case, Verdict, returns};
use hostel::{Context, Grants};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    in_an_instance(&mut cases);
    in_its_data(&mut cases);
    after_a_trap(&mut cases);
    in_another_instance(&mut cases);
    cases
}

/// The text of a module whose `process` returns the byte that `look` finds, and then does `hide`.
fn hiding(items: &str, look: &str, hide: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1) {items}
            (func (export "allocate") (param i32) (result i32) (i32.const 4096))
            (func $secret (result i32) (i32.const 83)) (func $nothing (result i32) (i32.const 78))
            (func (export "process") (param i32 i32) (result i32 i32)
              (i32.store8 (i32.const 0) {look})
              {hide}
              (i32.const 0) (i32.const 1)))"#
    )
}

/// A row says where the secret, 83, is hidden, more items of the module, the code that looks for it
/// and the code that hides it, and what must be found: what is there at the start.
fn in_an_instance(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("memory",
            "", "(i32.load8_u (i32.const 512))", "(i32.store8 (i32.const 512) (i32.const 83))",
            "\\x00"),
        ("the last byte of memory",
            "", "(i32.load8_u (i32.const 65535))", "(i32.store8 (i32.const 65535) (i32.const 83))",
            "\\x00"),
        ("the input's buffer",
            "", "(i32.load8_u (i32.const 4200))",
            "(memory.fill (i32.const 4096) (i32.const 83) (i32.const 1000))", "\\x00"),
        ("all memory",
            "", "(i32.load8_u (i32.const 30000))",
            "(memory.fill (i32.const 8) (i32.const 83) (i32.const 65528))", "\\x00"),
        ("grown memory",
            "",
            "(if (result i32) (i32.ne (i32.const -1) (memory.grow (i32.const 1)))
               (then (i32.load8_u (i32.const 65536))) (else (i32.const 33)))",
            "(i32.store8 (i32.const 65536) (i32.const 83))", "\\x00"),
        ("memory's size", "", "(memory.size)", "(drop (memory.grow (i32.const 3)))", "\\x01"),
        ("a global",
            "(global $g (mut i32) (i32.const 78))", "(global.get $g)",
            "(global.set $g (i32.const 83))", "N"),
        ("a wide global",
            "(global $g (mut i64) (i64.const 78))", "(i32.wrap_i64 (global.get $g))",
            "(global.set $g (i64.const 83))", "N"),
        ("a table",
            "(table $t 1 funcref) (elem (i32.const 0) $nothing) (elem declare func $secret)",
            "(call_indirect (result i32) (i32.const 0))",
            "(table.set $t (i32.const 0) (ref.func $secret))", "N"),
        ("a filled table",
            "(table $t 9 funcref) (elem (i32.const 0) $nothing) (elem declare func $secret)",
            "(ref.is_null (table.get $t (i32.const 8)))",
            "(table.fill $t (i32.const 0) (ref.func $secret) (i32.const 9))", "\\x01"),
        ("dropped data",
            r#"(data $d "N")"#,
            "(block (result i32)
               (memory.init $d (i32.const 9) (i32.const 0) (i32.const 1))
               (i32.load8_u (i32.const 9)))",
            "(data.drop $d)", "N"),
        ("dropped elements",
            "(table $t 1 funcref) (elem $e func $nothing)",
            "(block (result i32)
               (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))
               (call_indirect (result i32) (i32.const 0)))",
            "(elem.drop $e)", "N"),
        ("data written over",
            r#"(data (i32.const 512) "N")"#, "(i32.load8_u (i32.const 512))",
            "(i32.store8 (i32.const 512) (i32.const 83))", "N"),
    ];
    for (what, items, look, hide, none) in rows {
        let text = hiding(items, look, hide);
        let name = format!("C01/secret in {what}");
        cases.push(Case::script(name, text, returns(none), |setup| {
            let plugin = setup.plugin();
            let first = plugin.process(b"one").expect("an answer");
            for _ in 0..5 {
                assert_eq!(
                    plugin.process(b"two").as_ref(),
                    Ok(&first),
                    "it sees another's"
                );
            }
            Verdict::of_bytes(plugin.process(b"three"))
        }));
    }
}

/// The embedder's data of an instance, which host functions reach.
fn in_its_data(cases: &mut Vec<Case>) {
    let text = r#"(module (import "host" "keep" (func $keep (result i32)))
        (func (export "run") (result i32) (call $keep)))"#;
    let name = "C01/secret in the instance's data";
    cases.push(Case::script(name, text, returns("none"), |setup| {
        let keep = |context: &mut Context<'_, u32>| {
            *context.data_mut() += 1;
            *context.data()
        };
        let grants = Grants::<u32>::with_data().function("host", "keep", keep);
        let plugin = setup
            .engine
            .load("guest", setup.wasm, &grants)
            .expect("it loads");
        let seen = [(); 3].map(|()| plugin.call::<(), u32>("run", ()));
        returns(if seen == [Ok(1), Ok(1), Ok(1)] {
            "none"
        } else {
            "another's"
        })
    }));
}

const LOOK: &str = "(i32.load8_u (i32.const 512))";
const HIDE: &str = "(i32.store8 (i32.const 512) (i32.const 83))";

fn after_a_trap(cases: &mut Vec<Case>) {
    let trapped = hiding(
        "",
        LOOK,
        &format!("{HIDE} (if (i32.eq (local.get 1) (i32.const 4)) (then (unreachable)))"),
    );
    let name = "C01/secret left by a call that trapped";
    cases.push(Case::script(name, trapped, returns("\\x00"), |setup| {
        let plugin = setup.plugin();
        assert!(plugin.process(b"trap").is_err());
        Verdict::of_bytes(plugin.process(b"one"))
    }));
}

fn in_another_instance(cases: &mut Vec<Case>) {
    let name = "C01/secret of another instance";
    let case = Case::script(name, hiding("", LOOK, HIDE), returns("\\x00"), |setup| {
        let (first, second) = (setup.plugin(), setup.plugin());
        let mut first = first.instantiate(()).expect("it starts");
        let mut second = second.instantiate(()).expect("it starts");
        assert_eq!(first.process(b"one").as_deref(), Ok(&[0][..]));
        assert_eq!(
            first.process(b"one").as_deref(),
            Ok(&[83][..]),
            "an instance keeps its own"
        );
        Verdict::of_bytes(second.process(b"one"))
    });
    cases.push(case.instances(2));
}
