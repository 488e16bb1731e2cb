use hostel::{Grants, LogRecord, load_file};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| eprintln!("{record}"))
        .config([("prefix", "CUSTOM")])
        .function("shop", "price", |article: &str| {
            (article == "lamp").then_some(1999)
        });

    let plugin = load_file(&hostel::engine(), "guests/prebuilt/customize.wasm", &grants)?;
    let answer = plugin.process(b"hello world")?;
    println!("{}", String::from_utf8(answer)?);
    Ok(())
}
