//! R10: instances that were stopped, and are called again. They refuse; a new instance goes on.
//!
//! A row: what stopped the instance, the code that does it, the error's code.

use super::{run, with_run};
use crate::case::{Case, Verdict, traps};
use hostel::CallError;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    #[rustfmt::skip] // a table
    let rows = [
        ("a trap", "(unreachable)", "trap-unreachable"),
        ("half a bulk operation",
            "(memory.copy (i32.const 65530) (i32.const 0) (i32.const 16))", "trap-memory"),
        ("no fuel", "(loop $on (br $on))", "out-of-fuel"),
        ("a full stack", "(call $run)", "trap-stack"),
        ("a wrong host call", "(call $log (i32.const -1) (i32.const 1))", "trap-host-call"),
        ("a host panic", "(drop (call $boom))", "trap-host-panic"),
    ];
    for (what, body, code) in rows {
        let (name, text) = (format!("R10/called again after {what}"), with_run("", body));
        let case = Case::script(name, text, traps("stopped"), move |setup| {
            let plugin = setup.plugin();
            let mut instance = plugin.instantiate(()).expect("it starts");
            let first = instance.call_values("run", &[]);
            assert_eq!(first.map_err(|error| error.code()), Err(code));
            for _ in 0..3 {
                let number = instance.call::<(), u32>("fine", ());
                assert_eq!(number, Err(CallError::Stopped));
                assert_eq!(instance.process(b"x"), Err(CallError::Stopped));
                let bytes = instance.call_bytes("run", b"x", |_| ());
                assert_eq!(bytes, Err(CallError::Stopped));
            }
            let new = plugin.call::<(), u32>("fine", ());
            assert_eq!(new, Ok(7), "a new instance goes on");
            Verdict::of_bytes(instance.process(b"x"))
        });
        let panics = usize::from(code == "trap-host-panic");
        cases.push(case.panics(panics).instances(2));
    }
    let name = "R10/code of the trap stays the first's";
    cases.push(run(name, "(unreachable)", traps("trap-unreachable")));
    cases
}
