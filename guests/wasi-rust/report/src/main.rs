//! A WASI command: reports what it was given, and ends as its last argument says.

use std::{
    collections::{BTreeMap, hash_map::RandomState},
    env,
    hash::BuildHasher as _,
    io, process, thread,
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
        Some("file") => eprintln!("file: {}", std::fs::read("file").unwrap_err()),
        Some(code) => process::exit(code.parse().unwrap_or(0)),
        None => {}
    }
}
