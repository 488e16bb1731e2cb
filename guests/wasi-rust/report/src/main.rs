//! A WASI command: reports what it was given, and ends as its last argument says.

use std::{
    collections::{BTreeMap, hash_map::RandomState},
    env,
    fs::{self, File},
    hash::BuildHasher as _,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    process, thread,
    time::{Duration, Instant, SystemTime},
};

fn main() {
    for arg in env::args() {
        println!("arg {arg}");
    }
    for (key, value) in env::vars().collect::<BTreeMap<_, _>>() {
        println!("env {key}={value}");
    }
    io::copy(&mut io::stdin(), &mut io::stdout()).expect("stdin can be copied to stdout");
    match env::args().next_back().as_deref() {
        Some("panic") => panic!("as asked"),
        Some("random") => println!("random {:016x}", RandomState::new().hash_one(0)),
        Some("time") => {
            let start = Instant::now();
            thread::sleep(Duration::from_millis(2));
            println!("slept {}", start.elapsed() >= Duration::from_millis(2));
            println!("since 1970 {}", SystemTime::now() > SystemTime::UNIX_EPOCH);
        }
        Some("files") => {
            if let Err(error) = files(Path::new("/data")) {
                eprintln!("files: {error}");
                process::exit(1);
            }
        }
        Some(code) => process::exit(code.parse().unwrap_or(0)),
        None => {}
    }
}

/// Does with files what programs do, and says what came of it.
fn files(folder: &Path) -> io::Result<()> {
    let input = folder.join("input");
    let size = fs::metadata(&input)?.len();
    println!("input {size} bytes: {}", fs::read_to_string(input)?);
    println!("list {}", list(folder)?);
    let outside = fs::read_to_string(folder.join("../outside"));
    println!("outside {}", outside.as_deref().unwrap_or("refused"));

    let output = folder.join("output");
    fs::write(&output, "first\n")?;
    File::options()
        .append(true)
        .open(&output)?
        .write_all(b"second\n")?;
    let mut file = File::open(&output)?;
    file.seek(SeekFrom::Start(6))?;
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    print!("output {} bytes, then {rest}", file.metadata()?.len());

    let made = folder.join("made");
    fs::create_dir(&made)?;
    fs::rename(&output, made.join("moved"))?;
    println!("made {}", list(&made)?);
    fs::copy(made.join("moved"), &output)?;
    fs::remove_file(made.join("moved"))?;
    fs::remove_dir(&made)?;
    println!("list {}", list(folder)?);
    Ok(())
}

/// The names in a directory, in order, those of directories with a slash.
fn list(folder: &Path) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(entry.file_name().to_string_lossy().into_owned() + slash);
    }
    names.sort();
    Ok(names.join(" "))
}
