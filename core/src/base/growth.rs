//! [`RefusedGrowth`]: a growth of its memory that a guest did not get.

use core::fmt;

/// A growth of its memory that a guest asked for and did not get: its `memory.grow` returned -1.
///
/// [`Usage::refused_growth`](crate::Usage::refused_growth) and
/// [`Trap::refused_growth`](crate::Trap::refused_growth) tell of it, since a guest that gets no memory
/// often fails later, with a panic, an exit code or an error of its own. A growth beyond the maximum
/// that the module itself declares is not recorded: no limit of the host has refused it.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory 1) (func (export "work")
/// #   (if (i32.eq (memory.grow (i32.const 2000)) (i32.const -1)) (then unreachable))))"#)?;
/// use hostel_core::{CallError, Engine, Grants};
/// let plugin = Engine::default().load("m", &wasm, &Grants::new())?;
/// let Err(CallError::Trap(trap)) = plugin.call::<(), ()>("work", ()) else { panic!() };
/// let refused = trap.refused_growth().unwrap();
/// assert_eq!((refused.asked, refused.limit), (2001 << 16, Some(64 << 20)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RefusedGrowth {
    /// The size that the memory would have had, in bytes.
    pub asked: usize,
    /// [`Limits::memory_bytes`](crate::Limits::memory_bytes), if that is what refused it. `None` if
    /// the machine had no room: its heap, or the memory's slot.
    pub limit: Option<usize>,
}

impl fmt::Display for RefusedGrowth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.asked;
        write!(f, "a growth of its memory to {asked} bytes was refused by ")?;
        match self.limit {
            Some(limit) => write!(f, "the limit `memory_bytes` of {limit}"),
            None => f.write_str("the machine, which has no room for it"),
        }
    }
}
