//! The plugin that docs/abi.md shows loads and does what its comments say.

use hostel::{CallError, Grants};

#[test]
fn the_plugin_in_abi_md_runs() -> Result<(), Box<dyn std::error::Error>> {
    let doc = include_str!("../../docs/abi.md");
    let text = doc.split("```wat\n").nth(1).expect("it shows a plugin");
    let text = text.split("```").next().expect("a split has a first part");
    let wasm = wat::parse_str(text)?;

    let engine = hostel::engine();
    let refused = engine
        .load("half", &wasm, &Grants::new())
        .expect_err("the log is not granted");
    assert_eq!(refused.code(), "mismatch");

    let plugin = engine.load("half", &wasm, &Grants::new().log(hostel::Tracing))?;
    assert_eq!(plugin.process(b"abcdef")?, b"abc");
    match plugin.process(b"") {
        Err(CallError::Guest { message }) => assert_eq!(&*message, "the input is empty"),
        other => panic!("expected the plugin's own error, found {other:?}"),
    }
    let large = plugin
        .process(&[0; 40_000])
        .expect_err("the buffer is smaller");
    assert_eq!(large.code(), "no-memory");
    Ok(())
}
