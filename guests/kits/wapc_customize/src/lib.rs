//! hostel's example `customize`, for waPC: upper-cases its input behind a prefix that the host configures.

use wapc_guest::{CallResult, console_log, host_call, register_function};

#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("process", process);
}

fn process(text: &[u8]) -> CallResult {
    let text = std::str::from_utf8(text)?;
    console_log(&format!("processing {} bytes", text.len()));
    let prefix = host_call("", "config", "get", b"prefix")?;
    let prefix = String::from_utf8(prefix)?;
    Ok(format!("{prefix}_{}", text.to_ascii_uppercase()).into_bytes())
}
