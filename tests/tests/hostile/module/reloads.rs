//! M17: modules that are loaded, used and dropped again and again. Afterwards as much heap is in
//! use as before.

use super::encode::{CODE, FUNCTION, export_run, leb, module, one_type, repeated, section};
use super::with_run;
use crate::case::{Case, Setup, Source, returns};
use crate::heap;
use hostel::{Budget, Host};
use hostel_tests::guest_bytes;

/// How often each round is repeated. A first round, which sets up what lasts, does not count.
const ROUNDS: usize = 60;

/// How many bytes of heap all rounds together may leave behind.
const SLACK: usize = 1_000;

/// A case that repeats `round` with its module.
fn repeated_rounds(name: &str, module: Source, round: fn(&Setup<'_>)) -> Case {
    Case::script(
        format!("M17/{name}"),
        module,
        returns("flat"),
        move |setup| {
            round(setup);
            let before = heap::live();
            (0..ROUNDS).for_each(|_| round(setup));
            let grown = heap::live().saturating_sub(before);
            returns(if grown < SLACK {
                "flat".into()
            } else {
                format!("{grown} bytes more")
            })
        },
    )
}

pub(super) fn cases() -> Vec<Case> {
    let good = || Source::made(|| guest_bytes("c_customize"));
    vec![
        repeated_rounds("loaded again and again", good(), |setup| {
            drop(setup.plugin())
        }),
        repeated_rounds("called, and loaded again", good(), |setup| {
            assert_eq!(
                setup.plugin().process(b"x").as_deref(),
                Ok(&b"CUSTOM_X"[..])
            );
            let _ = setup.lines.take();
        }),
        repeated_rounds(
            "replaced by name, every other time by rubbish",
            good(),
            |setup| {
                let host = Host::new(setup.engine.clone());
                host.insert("it", setup.wasm, &setup.grants)
                    .expect("it loads");
                for wasm in [setup.wasm, b"rubbish", setup.wasm, &setup.wasm[..100]] {
                    let replaced = host.replace("it", wasm, &setup.grants);
                    assert_eq!(replaced.is_ok(), wasm.len() == setup.wasm.len());
                    assert_eq!(host.process("it", b"x").as_deref(), Ok(&b"CUSTOM_X"[..]));
                }
                host.remove("it").expect("it is there");
                let _ = setup.lines.take();
            },
        ),
        repeated_rounds(
            "invalid in its last function (W7)",
            Source::made(|| {
                let bodies = [leb(501), [2, 0, 0x0b].repeat(500), vec![3, 0, 0x1a, 0x0b]].concat();
                module(&[
                    one_type(&[], &[]),
                    repeated(FUNCTION, 501, &[0]),
                    export_run(),
                    section(CODE, &bodies),
                ])
            }),
            |setup| assert!(setup.load().is_err()),
        ),
        repeated_rounds(
            "trapping at start",
            with_run("(func $s (unreachable)) (start $s)").into(),
            |setup| {
                assert!(setup.plugin().instantiate(()).is_err());
            },
        ),
        repeated_rounds(
            "out of fuel",
            r#"(module (memory 4) (func (export "run") (loop $on (br $on))))"#.into(),
            |setup| {
                let plugin = setup
                    .plugin()
                    .with_budget(Budget::device().with_fuel(1_000));
                assert!(plugin.call::<(), ()>("run", ()).is_err());
            },
        ),
    ]
}
