//! Assembles the guests that are written in WAT: `wat2wasm IN.wat OUT.wasm`.
//!
//! A tool of our own, with the encoder pinned by `Cargo.lock`, so that everybody gets the same
//! bytes.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(input), Some(output), None) = (args.next(), args.next(), args.next()) else {
        return Err("usage: wat2wasm IN.wat OUT.wasm".into());
    };
    std::fs::write(output, wat::parse_file(input)?)?;
    Ok(())
}
