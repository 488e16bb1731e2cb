//! Each feature of the SDK, in one plugin. `guests/tour/tests.toml` says what the functions do.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{format, string::String, vec::Vec};
use hostel_guest::{Error, Json, Level, Result, config, http::Request, log_at, state};
use serde::{Deserialize, Serialize};

hostel_guest::plugin!(
    bytes, text, json, fail, setting, levels, count, keys, forget, fetch, buy, crash
);

hostel_guest::host_functions! { "shop" { fn price(article: &str) -> Option<u32>; } }

fn bytes(input: &[u8]) -> Vec<u8> {
    input.iter().rev().copied().collect()
}

fn text(input: &str) -> String {
    input.to_uppercase()
}

#[derive(Deserialize)]
struct Order {
    article: String,
    count: u32,
}

#[derive(Serialize)]
struct Bill {
    article: String,
    count: u32,
    total: u32,
}

fn json(Json(order): Json<Order>) -> Json<Bill> {
    let Order { article, count } = order;
    let total = count * 1999;
    Json(Bill {
        article,
        count,
        total,
    })
}

/// `?` takes every error.
fn fail(input: &str) -> Result<String> {
    let number: u32 = input
        .parse()
        .map_err(|_| format!("`{input}` is no number"))?;
    Ok(format!("{number}"))
}

fn setting(key: &str) -> String {
    config(key).unwrap_or("unset".into())
}

fn levels(line: &str) -> &'static str {
    for level in [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
    ] {
        log_at(level, line);
    }
    ""
}

fn count(key: &str) -> Result<String> {
    let before = match state::get(key)? {
        Some(value) => String::from_utf8(value)?.parse()?,
        None => 0,
    };
    let count = format!("{}", before + 1);
    state::set(key, &count)?;
    Ok(count)
}

fn keys(prefix: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(state::list(prefix)?.join(&b","[..]))
}

fn forget(key: &[u8]) -> Result<&'static str, Error> {
    state::delete(key)?;
    Ok("")
}

fn fetch(url: &str) -> Result<String> {
    let response = Request::get(url).header("accept", "text/plain").send()?;
    let kind = response.header("Content-Type").unwrap_or("none");
    let body = core::str::from_utf8(&response.body)?;
    Ok(format!("{} {kind} {body}", response.status))
}

fn buy(article: &str) -> Result<String, &'static str> {
    let price = price(article).ok_or("there is no such article")?;
    Ok(format!("{price}"))
}

fn crash(input: &str) -> &'static str {
    panic!("the input is {input}");
}
