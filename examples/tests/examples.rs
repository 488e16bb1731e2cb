//! Runs the examples as a user does.

use image::{DynamicImage, Rgb, RgbImage};
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    run_with(program, arguments, input, None)
}

/// Runs an example, with another plugin if one is given.
fn run_with(program: &str, arguments: &[&str], input: &[u8], plugin: Option<&Path>) -> Output {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(plugin) = plugin {
        command.env("PLUGIN", plugin);
    }
    let mut child = command.spawn().unwrap();
    // A program that ends early reads no more.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn csv_becomes_json_by_a_plugin() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sales.csv");
    fs::copy("data/sales.csv", &file).unwrap();
    let name = file.to_str().unwrap();
    let ended = run(
        env!("CARGO_BIN_EXE_csv_to_json"),
        &[name, "currency=USD"],
        b"",
    );
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert_eq!(text(&ended.stdout), format!("{name}: 3 rows, 1 left out\n"));
    let lines = fs::read_to_string(folder.path().join("sales.jsonl")).unwrap();
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(
        lines,
        [
            r#"{"date":"2026-03-01","article":"lamp","price":19.99,"count":3.0,"status":"paid","total":59.97,"currency":"USD"}"#,
            r#"{"date":"2026-03-02","article":"chair, oak","price":89.5,"count":4.0,"status":"paid","total":358.0,"currency":"USD"}"#,
            r#"{"date":"2026-03-04","article":"lamp","price":19.99,"count":12.0,"status":"paid","total":239.88,"currency":"USD"}"#,
        ]
    );
}

#[test]
fn a_row_that_does_not_fit_is_named_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.csv");
    fs::write(&file, "article,price,count\nlamp,1.5,2\nsofa,cheap,1\n").unwrap();
    let ended = run(
        env!("CARGO_BIN_EXE_csv_to_json"),
        &[file.to_str().unwrap()],
        b"",
    );
    assert!(!ended.status.success());
    let said = text(&ended.stderr);
    assert!(
        said.contains("line 3") && said.contains("`price` is `cheap`"),
        "{said}"
    );
    assert!(!folder.path().join("bad.jsonl").exists());
}

#[test]
fn a_log_is_filtered() {
    let log = "10:00 INFO start password=hunter2 user=anna\n10:01 DEBUG noise\n\n10:02 WARN slow\n10:02 WARN slow\n10:02 WARN slow\n10:03 INFO token=abc\n10:03 INFO token=xyz";
    let filtered = "10:00 INFO start password=*** user=anna\n\n10:02 WARN slow\n(repeated 2 times)\n10:03 INFO token=***\n(repeated 1 times)\n";
    let ended = run(env!("CARGO_BIN_EXE_log_filter"), &[], log.as_bytes());
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert_eq!(text(&ended.stdout), filtered);
    let ended = run(
        env!("CARGO_BIN_EXE_log_filter"),
        &["debug=keep"],
        log.as_bytes(),
    );
    assert!(text(&ended.stdout).contains("10:01 DEBUG noise"));
}

#[test]
fn a_line_of_any_length_is_bounded() {
    let mut log = vec![b'x'; 1 << 20];
    log.extend_from_slice(b"\nnext\n");
    let ended = run(env!("CARGO_BIN_EXE_log_filter"), &[], &log);
    let lines: Vec<_> = text(&ended.stdout).lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[0].len(), lines[1]), (64 << 10, "next"));
}

#[test]
fn a_plugin_that_traps_prints_no_line_and_does_not_stop_the_filter() {
    // It panics at each line, but returns nothing for an empty one.
    let panics = Path::new("../guests/prebuilt/panics.wasm");
    let ended = run_with(
        env!("CARGO_BIN_EXE_log_filter"),
        &[],
        b"secret\nmore\n",
        Some(panics),
    );
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert_eq!(text(&ended.stdout), "");
    let said = text(&ended.stderr);
    assert_eq!(said.matches("a line is not printed").count(), 2, "{said}");
    let lines = "x\n".repeat(50);
    let ended = run_with(
        env!("CARGO_BIN_EXE_log_filter"),
        &[],
        lines.as_bytes(),
        Some(panics),
    );
    assert!(!ended.status.success());
    assert!(text(&ended.stderr).contains("10 lines in a row failed"));
}

/// An image whose left half is red and whose right half is blue.
fn halves(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, _| {
        if x < width / 2 {
            Rgb([255, 0, 0])
        } else {
            Rgb([0, 0, 255])
        }
    })
    .into()
}

#[test]
fn images_are_decoded_and_scaled_in_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    halves(400, 200).save(path("photo.jpg")).unwrap();
    halves(90, 120).save(path("drawing.png")).unwrap();
    fs::write(
        path("hostile.png"),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff",
    )
    .unwrap();
    let files = ["photo.jpg", "hostile.png", "drawing.png"]
        .map(|name| path(name).to_str().unwrap().to_owned());
    let arguments = [&*files[0], &files[1], &files[2], "side=40"];
    let ended = run(env!("CARGO_BIN_EXE_thumbnails"), &arguments, b"");
    // One file fails, and is named; the others are made.
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        text(&ended.stderr).contains("hostile.png: "),
        "{}",
        text(&ended.stderr)
    );
    for (name, size) in [("photo", (40, 20)), ("drawing", (30, 40))] {
        let thumbnail = image::open(path(name).with_extension("thumbnail.png"))
            .unwrap()
            .to_rgb8();
        assert_eq!(thumbnail.dimensions(), size, "{name}");
        let [left, right] = [2, size.0 - 3].map(|x| thumbnail.get_pixel(x, size.1 / 2).0);
        assert!(left[0] > 240 && left[2] < 15, "{name}: {left:?}");
        assert!(right[2] > 240 && right[0] < 15, "{name}: {right:?}");
    }
    assert!(!path("hostile.thumbnail.png").exists());
}

#[test]
fn rules_ask_the_database() {
    let decide = |customer: &str, article: &str, count: u32| {
        let order = format!(r#"{{"customer":"{customer}","article":"{article}","count":{count}}}"#);
        let ended = run(env!("CARGO_BIN_EXE_rules"), &[&order], b"");
        match ended.status.success() {
            true => text(&ended.stdout).trim_end().to_owned(),
            false => text(&ended.stderr).to_owned(),
        }
    };
    assert_eq!(
        decide("Anna", "lamp", 2),
        r#"{"accepted":true,"discount":10,"reason":"has spent 1,000 or more"}"#
    );
    assert_eq!(
        decide("Ben", "lamp", 2),
        r#"{"accepted":true,"discount":0,"reason":"no rule applies"}"#
    );
    assert_eq!(
        decide("Ben", "lamp", 12),
        r#"{"accepted":true,"discount":3,"reason":"ten pieces or more"}"#
    );
    assert_eq!(
        decide("Carl", "lamp", 2),
        r#"{"accepted":true,"discount":5,"reason":"a new customer"}"#
    );
    assert_eq!(
        decide("Ben", "sofa", 3),
        r#"{"accepted":false,"reason":"2 left"}"#
    );
    assert!(decide("Ben", "table", 1).contains("there is no article `table`"));
    // A name is a parameter: it can't change the query.
    let injected = decide("x' OR '1'='1", "lamp", 2);
    assert_eq!(
        injected,
        r#"{"accepted":true,"discount":5,"reason":"a new customer"}"#
    );
}

#[test]
fn rules_ask_a_database_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let shop = rusqlite::Connection::open(&file).unwrap();
    shop.execute_batch(
        "CREATE TABLE purchase (customer TEXT NOT NULL, cents INTEGER NOT NULL);
         CREATE TABLE article (name TEXT PRIMARY KEY, stock INTEGER NOT NULL);
         INSERT INTO purchase VALUES ('Dora', 100000);
         INSERT INTO article VALUES ('rug', 7);",
    )
    .unwrap();
    let order = r#"{"customer":"Dora","article":"rug","count":7}"#;
    let ended = run(
        env!("CARGO_BIN_EXE_rules"),
        &[order, file.to_str().unwrap()],
        b"",
    );
    assert_eq!(
        text(&ended.stdout),
        "{\"accepted\":true,\"discount\":10,\"reason\":\"has spent 1,000 or more\"}\n",
        "{}",
        text(&ended.stderr)
    );
}
