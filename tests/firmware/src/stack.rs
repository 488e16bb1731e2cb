//! The native stack, painted to see how deep it was used.

/// What a board has of it.
const SIZE: usize = 32 << 10;

/// What is near the stack's end when it is painted, and so may be in use.
const NEAR: usize = 256;

const PAINT: u32 = 0x5aa5_c33c;

unsafe extern "C" {
    /// The stack's first address, beyond its last word.
    static _stack_start: u32;
}

/// Where the stack ends, to which it grows.
fn end() -> *mut u32 {
    (&raw const _stack_start).cast_mut().wrapping_byte_sub(SIZE)
}

/// About where it has come to.
#[inline(never)]
fn here() -> *mut u32 {
    let mut word = 0;
    core::hint::black_box(&raw mut word)
}

/// Paints all that is free.
#[inline(never)]
pub fn paint() {
    let here = here().wrapping_byte_sub(NEAR);
    let mut at = end();
    while at < here {
        // It is the stack's, and below all frames.
        unsafe { at.write_volatile(PAINT) };
        at = at.wrapping_add(1);
    }
}

fn deepest() -> *mut u32 {
    let (here, mut at) = (here(), end());
    while at < here && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    at
}

/// The bytes of stack that `work` takes.
#[inline(never)]
pub fn depth<R>(work: impl FnOnce() -> R) -> (R, usize) {
    paint();
    let from = here() as usize;
    let result = work();
    (result, from.saturating_sub(deepest() as usize))
}

/// Whether what is painted has not been used up to the end.
pub(crate) fn has_held() -> bool {
    deepest() > end()
}
