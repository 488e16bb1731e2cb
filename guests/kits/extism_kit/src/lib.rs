//! A plugin for Extism that uses the services of the kit `extism-pdk`, one in each function.

use extism_pdk::{
    Error, FnResult, HttpRequest, config, debug, error, http, info, plugin_fn, trace, var, warn,
};

/// Returns the input's bytes in reverse order.
#[plugin_fn]
pub fn reverse(mut bytes: Vec<u8>) -> FnResult<Vec<u8>> {
    bytes.reverse();
    Ok(bytes)
}

/// Returns the setting `greeting`, or `Hello`, before the input.
#[plugin_fn]
pub fn greet(name: String) -> FnResult<String> {
    let greeting = config::get("greeting")?.unwrap_or("Hello".into());
    Ok(format!("{greeting}, {name}!"))
}

/// Counts in a variable how often it was called with this input.
#[plugin_fn]
pub fn count(key: String) -> FnResult<String> {
    let before: Option<String> = var::get(&key)?;
    let count = before.map_or(Ok(0), |count| count.parse::<u32>())? + 1;
    var::set(&key, count.to_string())?;
    Ok(count.to_string())
}

/// Removes the variable in which `count` counts.
#[plugin_fn]
pub fn forget(key: String) -> FnResult<()> {
    var::remove(key)?;
    Ok(())
}

/// Logs the input once at each level.
#[plugin_fn]
pub fn log(text: String) -> FnResult<()> {
    trace!("{text}");
    debug!("{text}");
    info!("{text}");
    warn!("{text}");
    error!("{text}");
    Ok(())
}

/// Fails with the input as the error's text.
#[plugin_fn]
pub fn fail(text: String) -> FnResult<String> {
    Err(Error::msg(text).into())
}

/// Gets the URL in the input, and returns the status and the body.
#[plugin_fn]
pub fn fetch(url: String) -> FnResult<String> {
    let response = http::request::<()>(&HttpRequest::new(url), None)?;
    let body = String::from_utf8(response.body())?;
    Ok(format!("{} {body}", response.status_code()))
}

/// Panics, which is a trap.
#[plugin_fn]
pub fn panic(text: String) -> FnResult<()> {
    panic!("{text}");
}
