//! hostel in a browser: loads a plugin, tells what it declares, and calls it by steps.
//!
//! This crate is itself a module of hostel's native ABI, and the page is its host: `page/engine.js` passes bytes in and
//! gets JSON or bytes out. A panic traps; the page then makes a new instance of this module.

mod call;
mod facts;
mod grants;

use self::call::Calling;
use serde_json::{Value, json};
use std::cell::RefCell;

hostel_guest::plugin!(
    load,
    argument,
    call,
    step,
    output,
    flame_graph,
    folded,
    cancel
);

/// What the page works on: one plugin, and one call of it at a time.
#[derive(Default)]
struct Page {
    plugin: Vec<u8>,
    arguments: Vec<Vec<u8>>,
    calling: Option<Calling>,
}

thread_local! {
    static PAGE: RefCell<Page> = RefCell::default();
}

fn with<R>(work: impl FnOnce(&mut Page) -> R) -> R {
    PAGE.with_borrow_mut(work)
}

/// An error with its stable code, as the page shows it.
fn failure(code: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}

/// Takes a plugin, in place of the one before. Returns what it declares, or an error.
fn load(wasm: &[u8]) -> String {
    with(|page| {
        *page = Page {
            plugin: wasm.to_vec(),
            ..Page::default()
        };
    });
    facts::of(wasm).unwrap_or_else(|error| error).to_string()
}

/// Adds an argument for the next call.
fn argument(bytes: &[u8]) -> &'static str {
    with(|page| page.arguments.push(bytes.to_vec()));
    ""
}

/// Begins a call, which [`step`] runs. Returns an error, or an empty object.
fn call(request: &str) -> String {
    with(|page| {
        let arguments = std::mem::take(&mut page.arguments);
        let begun = serde_json::from_str(request)
            .map_err(|error| failure("usage", &error.to_string()))
            .and_then(|request| Calling::begin(&page.plugin, &request, arguments));
        match begun {
            Ok(calling) => {
                page.calling = Some(calling);
                json!({}).to_string()
            }
            Err(error) => error.to_string(),
        }
    })
}

/// Runs the call for one quantum of fuel. The input is the time, in milliseconds since 1970. Returns how far it is.
fn step(now: &str) -> String {
    let now = now.parse().unwrap_or(0.0);
    with(|page| match &mut page.calling {
        Some(calling) => calling.step(now).to_string(),
        None => failure("usage", "no call has begun").to_string(),
    })
}

/// Returns the output of the call that has ended.
fn output(_: &[u8]) -> Vec<u8> {
    with(|page| {
        page.calling
            .as_mut()
            .map(Calling::output)
            .unwrap_or_default()
    })
}

/// Returns the flame graph of the call, as SVG. Empty without a profile.
fn flame_graph(name: &str) -> String {
    with(|page| {
        let calling = page.calling.as_ref();
        calling
            .map(|calling| calling.flame_graph(name))
            .unwrap_or_default()
    })
}

/// Returns the stacks of the call with their fuel. Empty without a profile.
fn folded(_: &[u8]) -> String {
    with(|page| {
        page.calling
            .as_ref()
            .map(Calling::folded)
            .unwrap_or_default()
    })
}

/// Drops the call, so that it runs no further.
fn cancel(_: &[u8]) -> &'static str {
    with(|page| page.calling = None);
    ""
}
