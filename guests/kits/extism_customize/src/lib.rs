//! hostel's example `customize`, for Extism: upper-cases its input behind a prefix that the host configures.

use extism_pdk::{FnResult, config, info, plugin_fn};

#[plugin_fn]
pub fn process(text: String) -> FnResult<String> {
    info!("processing {} bytes", text.len());
    let prefix = config::get("prefix")?.unwrap_or("DEFAULT_PREFIX".into());
    Ok(format!("{prefix}_{}", text.to_ascii_uppercase()))
}
