//! A plugin for waPC that uses the services of the kit `wapc-guest`, one in each operation.

use wapc_guest::{CallResult, console_log, host_call, register_function};

#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("reverse", reverse);
    register_function("log", log);
    register_function("ask", ask);
    register_function("try", try_host);
    register_function("fail", fail);
    register_function("panic", panic);
}

/// Returns the payload's bytes in reverse order.
fn reverse(payload: &[u8]) -> CallResult {
    Ok(payload.iter().rev().copied().collect())
}

/// Logs the payload.
fn log(payload: &[u8]) -> CallResult {
    console_log(str::from_utf8(payload)?);
    Ok(Vec::new())
}

/// Asks the host, and fails with the host's error.
fn ask(payload: &[u8]) -> CallResult {
    host_call("kit", "words", "lookup", payload)
}

/// Asks the host, and returns its answer or the text of its error.
fn try_host(payload: &[u8]) -> CallResult {
    Ok(match ask(payload) {
        Ok(answer) => [b"ok: ", &*answer].concat(),
        Err(error) => format!("refused: {error}").into_bytes(),
    })
}

/// Fails with the payload as the error's text.
fn fail(payload: &[u8]) -> CallResult {
    Err(str::from_utf8(payload)?.into())
}

/// Panics, which is a trap.
fn panic(_: &[u8]) -> CallResult {
    panic!("asked to panic");
}
