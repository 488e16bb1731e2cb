//! A12: inputs of every size, up to more than the guest's memory and more than the budget allows.
//!
//! A row: the input in words, its length in bytes, the verdict.

use super::with_allocate;
use crate::case::{Case, fails, out_of_fuel, returns};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let echo = with_allocate(
        "(select (i32.const 1024) (i32.const 1) (i32.le_u (local.get $size) (i32.const 130048)))",
    );
    #[rustfmt::skip] // a table
    let rows = [
        ("no bytes", 0, returns("")),
        ("one byte", 1, returns("A")),
        ("64 KiB", 65_536, returns("65536 bytes")),
        ("64 KiB and a byte", 65_537, returns("65537 bytes")),
        ("all memory but a byte", 131_071, returns("131071 bytes")),
        ("all memory", 131_072, fails("out-of-bounds")),
        ("more than memory", 131_073, fails("out-of-bounds")),
        ("as much as allowed", 200_000, fails("out-of-bounds")),
        ("a byte more than allowed", 200_001, fails("input-too-large")),
    ];
    for (what, size, verdict) in rows {
        let name = format!("A12/input of {what}");
        let case = Case::process(name, echo.clone(), vec![b'A'; size], verdict);
        cases.push(case.budget(|budget| budget.input_bytes = 200_000));
    }
    let name = "A12/input that is paid before it is written";
    let case = Case::process(name, echo.clone(), vec![b'A'; 65_000], out_of_fuel());
    cases.push(case.fuel(1_000));
    let name = "A12/input of a byte, none allowed";
    let case = Case::process(name, echo, "A", fails("input-too-large"));
    cases.push(case.budget(|budget| budget.input_bytes = 0));
    cases
}
