//! V: components: their bytes, and what passes by the canonical ABI.

mod calls;
mod destructors;
mod handles;
mod http;
mod load;
mod realloc;
mod values;

use crate::case::{Case, Verdict, traps};

pub(crate) fn cases() -> Vec<Case> {
    let files = [
        load::cases(),
        handles::cases(),
        http::cases(),
        destructors::cases(),
        values::cases(),
        realloc::cases(),
        calls::cases(),
    ];
    files.into_iter().flatten().collect()
}

/// The guest breaks the canonical ABI in this way, and is stopped for good.
fn breaks(how: &str) -> Verdict {
    traps(format!("trap-abi {how}"))
}

/// The guest gives a pointer that leads out of its memory, which has a page.
fn outside(what: &str, len: u32, at: u32) -> Verdict {
    breaks(&format!(
        "the {what} lies outside the guest's memory: {len} bytes at {at:#x}, but the memory has 65536 bytes"
    ))
}

/// A core module with a memory of a page and an allocator that never gives a place twice, and its instance.
const LIBC: &str = r#"(core module $Libc
    (memory (export "memory") 1)
    (global $at (mut i32) (i32.const 0x1000))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $p i32)
      (local.set $p (i32.and (i32.add (global.get $at) (i32.sub (local.get 2) (i32.const 1)))
                             (i32.sub (i32.const 0) (local.get 2))))
      (global.set $at (i32.add (local.get $p) (local.get 3)))
      (local.get $p)))
  (core instance $libc (instantiate $Libc))"#;

/// The options of functions that use [`LIBC`].
const OPTIONS: &str =
    r#"(memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))"#;
