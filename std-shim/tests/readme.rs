//! The README's example is the example `readme`, and it runs.

/// The example, as a module.
mod example {
    include!("../examples/readme.rs");

    pub(super) fn run() -> Result<(), Box<dyn std::error::Error>> {
        main()
    }
}

#[test]
fn the_readme_shows_the_example() {
    let readme = include_str!("../../README.md");
    let shown = readme
        .split("```rust\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    assert_eq!(shown, Some(include_str!("../examples/readme.rs")));
}

#[test]
fn the_example_runs_from_the_root() {
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .expect("the root is there");
    example::run().expect("the example runs");
}
