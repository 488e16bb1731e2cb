//! The plugin of the example's contract. For `wasm32-wasip2` it becomes a component; for `wasm32-unknown-unknown` a module
//! without std that carries its contract in a custom section.

#![cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), no_std)]

extern crate alloc;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
extern crate hostel_guest;

use alloc::{format, string::String, vec::Vec};
use core::cell::RefCell;

use exports::hostel::example::text::{
    self, Frame, GuestTally, Problem, Request, Response, Style, Tally, TallyBorrow,
};
use hostel::example::host::{self, Level};

wit_bindgen::generate!({ world: "plugin", path: "../../wit" });
export!(Plugin);

struct Plugin;

impl Guest for Plugin {
    fn process(input: Vec<u8>) -> Result<Vec<u8>, String> {
        let text = String::from_utf8(input).map_err(|_| "input is not UTF-8")?;
        Ok(change(text, Style::UPPER, Some(Frame::Configured)).into_bytes())
    }
}

impl text::Guest for Plugin {
    type Tally = Words;

    fn customize(request: Request) -> Result<Response, Problem> {
        let Request { text, style, frame } = request;
        if text.is_empty() {
            return Err(Problem::Empty);
        }
        if style.contains(Style::ASCII)
            && let Some(other) = text.chars().find(|character| !character.is_ascii())
        {
            return Err(Problem::NotAscii(other));
        }
        let text = change(text, style, frame);
        let length = text.chars().count() as u32;
        Ok(Response { text, length })
    }
}

fn change(mut text: String, style: Style, frame: Option<Frame>) -> String {
    host::log(Level::Info, &format!("processing {} bytes", text.len()));
    if style.contains(Style::UPPER) {
        text.make_ascii_uppercase();
    }
    if style.contains(Style::REVERSE) {
        text = text.chars().rev().collect();
    }
    match frame {
        None => text,
        Some(Frame::Configured) => {
            let prefix = host::config("prefix").unwrap_or("DEFAULT_PREFIX".into());
            format!("{prefix}_{text}")
        }
        Some(Frame::Prefix(prefix)) => prefix + &text,
        Some(Frame::Quotes((open, close))) => format!("{open}{text}{close}"),
    }
}

/// The counts of words, sorted by word.
struct Words {
    name: String,
    counts: RefCell<Vec<(String, u32)>>,
}

impl Words {
    fn count(&self, word: &str, times: u32) {
        let mut counts = self.counts.borrow_mut();
        match counts.binary_search_by(|(known, _)| known.as_str().cmp(word)) {
            Ok(index) => counts[index].1 += times,
            Err(index) => counts.insert(index, (word.into(), times)),
        }
    }
}

impl GuestTally for Words {
    fn new(name: String) -> Self {
        let counts = RefCell::default();
        Self { name, counts }
    }

    fn add(&self, text: String) -> u32 {
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            self.count(word, 1);
        }
        self.counts.borrow().len() as u32
    }

    fn counts(&self) -> Vec<(String, u32)> {
        self.counts.borrow().clone()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn merge(left: TallyBorrow<'_>, right: TallyBorrow<'_>) -> Tally {
        let (left, right) = (left.get::<Self>(), right.get::<Self>());
        let merged = Self::new(format!("{}+{}", left.name, right.name));
        for words in [left, right] {
            for (word, times) in words.counts.borrow().iter() {
                merged.count(word, *times);
            }
        }
        Tally::new(merged)
    }

    fn finish(tally: Tally) -> Vec<(String, u32)> {
        tally.into_inner::<Self>().counts.into_inner()
    }
}
