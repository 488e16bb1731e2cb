//! M: what can be wrong with a module's bytes, from those that are no module to valid ones that ask
//! for too much.

mod code_size;
mod constants;
mod counts;
mod custom_sections;
mod encode;
mod exports;
mod features;
mod files;
mod functions;
mod imports;
mod malformed;
mod not_a_module;
mod reloads;
mod sections;
mod sizes;
mod start;

use crate::case::Case;

pub(crate) fn cases() -> Vec<Case> {
    let files = [
        not_a_module::cases(),
        files::cases(),
        sections::cases(),
        malformed::cases(),
        counts::cases(),
        functions::cases(),
        code_size::cases(),
        sizes::cases(),
        constants::cases(),
        custom_sections::cases(),
        start::cases(),
        imports::cases(),
        exports::cases(),
        reloads::cases(),
        features::cases(),
    ];
    files.into_iter().flatten().collect()
}

/// Returns the text of a module with `items`, and an export `run` that does nothing: without one it
/// would be refused for exporting no function.
fn with_run(items: &str) -> String {
    format!(r#"(module {items} (func (export "run")))"#)
}
