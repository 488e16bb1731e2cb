//! Filters a log: drops lines of level DEBUG, hides what follows `password=` or `token=`, and joins lines that repeat.

use hostel_guest::config;
use std::cell::RefCell;

hostel_guest::plugin!(process);

thread_local! {
    /// The line before, and how often it repeated. The host keeps one instance for all lines.
    static BEFORE: RefCell<(String, u32)> = RefCell::default();
}

/// Takes a line, or nothing at the end of the log. Returns the lines to print.
fn process(line: &str) -> String {
    let keep_debug = config("debug").is_some_and(|debug| debug == "keep");
    if line.contains(" DEBUG ") && !keep_debug {
        return String::new();
    }
    let line = hide(line);
    BEFORE.with_borrow_mut(|(before, repeated)| {
        if !line.is_empty() && *before == line {
            *repeated += 1;
            return String::new();
        }
        let mut lines = String::new();
        if *repeated > 0 {
            lines = format!("(repeated {repeated} times)\n");
        }
        if !line.is_empty() {
            lines += &format!("{line}\n");
        }
        (*before, *repeated) = (line, 0);
        lines
    })
}

/// Replaces secrets by stars, each up to the next space.
fn hide(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let secret = ["password=", "token="].iter().find_map(|name| {
            let at = word.find(name)?;
            Some(&word[..at + name.len()])
        });
        secret.map_or(word.to_owned(), |shown| format!("{shown}***"))
    });
    words.collect::<Vec<_>>().join(" ")
}
