//! A plugin that works with the functions and the resource of another.

#![cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), no_std)]

extern crate alloc;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
extern crate hostel_guest;

use alloc::{format, string::String, vec::Vec};

use hostel::example::text::{Request, Style, Tally, customize};

wit_bindgen::generate!({ world: "caller", path: "../../wit" });
export!(Caller);

struct Caller;

impl Guest for Caller {
    fn process(input: Vec<u8>) -> Result<Vec<u8>, String> {
        let input = String::from_utf8(input).map_err(|_| "input is not UTF-8")?;
        let mut tally = Tally::new("all");
        for line in input.lines() {
            let of_line = Tally::new("line");
            of_line.add(line);
            tally = Tally::merge(&tally, &of_line);
        }
        let mut output = String::new();
        for (word, count) in Tally::finish(tally) {
            let request = Request {
                text: format!("{word}: {count}\n"),
                style: Style::UPPER,
                frame: None,
            };
            let response = customize(&request).map_err(|problem| format!("{problem:?}"))?;
            output.push_str(&response.text);
        }
        Ok(output.into_bytes())
    }
}
