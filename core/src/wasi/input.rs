//! The source of a guest's stdin.

use crate::error::Trap;
use alloc::sync::Arc;

/// A source of bytes for a guest's stdin, granted with
/// [`Wasi::stdin_from`](crate::Wasi::stdin_from). Any `Fn(&mut [u8]) -> Result<usize, `[`Trap`]`>`
/// is one, and is always [ready](Self::ready).
///
/// A source has no offsets: each read continues where the one before ended. All instances of a plugin
/// share it, and may call it from several threads at once. It returns no
/// [`Errno`](super::files::Errno): either the read succeeds, or the guest is stopped.
///
/// ```
/// use hostel_core::{Trap, Wasi, WasiInput};
/// use std::sync::Mutex;
///
/// /// Bytes that another thread puts here. `None` is the end.
/// struct Inbox(Mutex<Option<Vec<u8>>>);
///
/// impl WasiInput for Inbox {
///     fn read(&self, into: &mut [u8]) -> Result<usize, Trap> {
///         let mut bytes = self.0.lock().unwrap();
///         let Some(bytes) = &mut *bytes else { return Ok(0) };
///         let len = bytes.len().min(into.len());
///         into[..len].copy_from_slice(&bytes[..len]);
///         bytes.drain(..len);
///         Ok(len)
///     }
///
///     fn ready(&self) -> bool {
///         self.0.lock().unwrap().as_ref().is_none_or(|bytes| !bytes.is_empty())
///     }
/// }
///
/// let wasi = Wasi::new().stdin_from(Inbox(Mutex::new(Some(b"hello".to_vec()))));
/// # drop(wasi);
/// ```
pub trait WasiInput: Send + Sync + 'static {
    /// Copies the next bytes to the start of `into`, which has 1 to 65,536 bytes, and returns their
    /// number, at most `into.len()`. 0 is the end of stdin.
    ///
    /// hostel calls it after [`ready`](Self::ready) returned `true`. It should not block: meanwhile
    /// neither deadline nor cancellation take effect.
    ///
    /// # Errors
    ///
    /// An error stops the guest, and its call ends with
    /// [`CallError::Trap`](crate::CallError::Trap).
    fn read(&self, into: &mut [u8]) -> Result<usize, Trap>;

    /// Returns whether a read would return at once, with bytes or with the end. `true` by default.
    ///
    /// While it returns `false`, the guest waits, until its deadline or until its fuel is used up.
    /// hostel asks every 10 ms, and sooner after [`Platform::wake`](crate::Platform::wake).
    fn ready(&self) -> bool {
        true
    }

    /// Returns whether a person types the bytes. `false` by default. If `true`, the guest sees a
    /// character device (`isatty`), and an interpreter shows its prompt.
    ///
    /// hostel asks once, when the source is granted.
    fn is_terminal(&self) -> bool {
        false
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

/// The granted stdin.
#[derive(Clone)]
pub(super) enum Stdin {
    Bytes(Arc<[u8]>),
    Source(Arc<dyn WasiInput>),
}
