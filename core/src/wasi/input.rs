//! Where a guest's stdin comes from.

use crate::error::Trap;
use alloc::sync::Arc;

/// Bytes for a guest's stdin, as they come. Any
/// `Fn(&mut [u8]) -> Result<usize, `[`Trap`]`>` is one.
pub trait WasiInput: Send + Sync + 'static {
    /// Copies bytes to the start of `into`, which is not empty and has at most 64 KiB, and
    /// answers how many; 0 is the end. Called when [`ready`](Self::ready) said so; while it blocks,
    /// neither deadline nor cancellation act.
    ///
    /// # Errors
    ///
    /// An error stops the guest.
    fn read(&self, into: &mut [u8]) -> Result<usize, Trap>;

    /// Whether a read would not block. While it would, the guest waits, no longer than its
    /// deadline and its fuel allow. Asked every 10 ms, and sooner after
    /// [`Platform::wake`](crate::Platform::wake).
    fn ready(&self) -> bool {
        true
    }
}

impl<F> WasiInput for F
where
    F: Fn(&mut [u8]) -> Result<usize, Trap> + Send + Sync + 'static,
{
    fn read(&self, into: &mut [u8]) -> Result<usize, Trap> {
        self(into)
    }
}

/// What stdin is.
#[derive(Clone)]
pub(super) enum Stdin {
    Bytes(Arc<[u8]>),
    Source(Arc<dyn WasiInput>),
}
