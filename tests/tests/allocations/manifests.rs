//! The heap that parsing a manifest takes, which others than the embedder may write.

use super::peak;
use hostel::Manifest;

/// Returns `text` around as many copies of `part` as make `bytes`.
fn filled(start: &str, part: impl Fn(usize) -> String, end: &str, bytes: usize) -> String {
    let mut text = start.to_owned();
    for at in 0.. {
        if text.len() >= bytes {
            break;
        }
        text += &part(at);
    }
    text + end
}

#[test]
fn parsing_a_manifest_takes_no_more_than_a_few_times_its_bytes() {
    const LARGE: usize = 2 << 20;
    const SMALL: usize = 63 << 10;
    let same = |part: &'static str| move |_: usize| part.to_owned();
    let tables = |at: usize| format!("[config.a{at}.b]\n");
    let entry = |at: usize| format!("\"{at:x}\":\"\",");
    for (what, text) in [
        ("tables", filled("", tables, "", LARGE)),
        ("a list", filled("x=[", same("1,"), "1]", LARGE)),
        ("lists", filled("x=", same("["), "", LARGE)),
        ("few tables", filled("", tables, "", SMALL)),
        ("a short list", filled("x=[", same("1,"), "1]", SMALL)),
        ("short lists", filled("x=[", same("[],"), "1]", SMALL)),
        ("modules", filled("{\"wasm\":[", same("{},"), "{}]}", LARGE)),
        (
            "hosts",
            filled("{\"allowed_hosts\":[", same("\"\","), "\"\"]}", LARGE),
        ),
        (
            "settings",
            filled("{\"config\":{", entry, "\"k\":\"\"}}", LARGE),
        ),
        (
            "paths",
            filled("{\"allowed_paths\":{", entry, "\"k\":\"\"}}", LARGE),
        ),
        (
            "headers",
            filled(
                "{\"wasm\":[{\"url\":\"\",\"headers\":{",
                entry,
                "\"k\":\"\"}}]}",
                LARGE,
            ),
        ),
        (
            "an unknown field",
            filled("{\"x\":[", same("1,"), "1]}", LARGE),
        ),
        ("a long name", filled("{\"", same("x"), "\":1}", LARGE)),
        ("nesting", filled("{\"config\":", same("["), "", LARGE)),
        (
            "nested headers",
            filled("{\"wasm\":[{\"headers\":", same("["), "", LARGE),
        ),
        (
            "data as a list",
            filled("{\"wasm\":[{\"data\":[", same("1,"), "1]}]}", LARGE),
        ),
    ] {
        let taken = peak(|| {
            assert!(Manifest::parse(&text, "").is_err(), "{what}");
        });
        let most = match text.starts_with('{') {
            true => 4 * text.len() + (4 << 20),
            false => 32 << 20,
        };
        assert!(
            taken <= most as i64,
            "{what}: {taken} bytes, expected {most}"
        );
    }
}
