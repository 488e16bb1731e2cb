//! WASI with this machine's clock and randomness.

use hostel_core::{Trap, Wasi};
use std::time::{Duration, SystemTime};

/// Returns [`Wasi::new`] with this machine's time of day and random bytes. Add arguments, environment,
/// streams and directories as needed: none is granted by default.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (func (export "_start")))"#)?;
/// use hostel::{Grants, WasiOutput};
/// let wasi = hostel::wasi().args(["greet"]).stderr(WasiOutput::log());
/// let plugin = hostel::engine().load("greet", &wasm, &Grants::new().wasi(wasi))?;
/// assert_eq!(plugin.run_command()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn wasi() -> Wasi {
    Wasi::new().realtime(now).random(|bytes| {
        getrandom::fill(bytes).map_err(|error| Trap::host(format!("no random bytes: {error}")))
    })
}

fn now() -> Duration {
    // A clock set before 1970 counts as 1970: WASI's time is unsigned.
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
