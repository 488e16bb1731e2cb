//! Makes thumbnails of images. They are decoded inside the sandbox, since decoders of images from strangers are what an
//! attacker tries first.
//!
//! `cargo run --manifest-path examples/Cargo.toml --bin thumbnails -- photo.jpg side=200` writes `photo.thumbnail.png`.

use hostel::{Budget, Grants, Limits, LogRecord, load_file};
use hostel_examples::{arguments, plugin};
use std::{error::Error, fs, path::Path, process::ExitCode, time::Duration};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (settings, files) = arguments();
    if files.is_empty() {
        return Err("expected PNG or JPEG files".into());
    }
    let mut limits = Limits::server();
    limits.memory_bytes = 256 << 20;
    let budget = Budget::server()
        .with_fuel(20_000_000_000)
        .with_deadline(Duration::from_secs(60));
    let engine = hostel::engine_with(limits).with_budget(budget);
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| eprintln!("{record}"))
        .config(settings);
    let plugin = load_file(&engine, plugin("thumbnail"), &grants)?;

    let mut failed = false;
    for file in &files {
        // A file that is no image, or was made to do harm, spoils its own thumbnail alone.
        let made = fs::read(file)
            .map_err(Box::<dyn Error>::from)
            .and_then(|image| {
                let thumbnail = plugin.process(&image)?;
                let to = Path::new(file).with_extension("thumbnail.png");
                fs::write(&to, thumbnail)?;
                Ok(to)
            });
        match made {
            Ok(to) => println!("{}", to.display()),
            Err(error) => {
                failed = true;
                eprintln!("{file}: {error}");
            }
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
