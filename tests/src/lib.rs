//! Shared parts of the tests: built guests, modules from their text, log sinks and clocks.

pub mod crash;

use core::time::Duration;
use hostel::{CallError, Engine, Grants, LoadError, LogRecord, Platform, Plugin};
use std::{
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// Returns the path of a built guest.
#[must_use]
pub fn guest(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../guests/prebuilt")
        .join(name)
        .with_extension("wasm")
}

/// Reads a built guest.
///
/// # Panics
///
/// If there is no guest of this name.
#[must_use]
pub fn guest_bytes(name: &str) -> Vec<u8> {
    let path = guest(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Loads a built guest.
///
/// # Panics
///
/// If there is no guest of this name, or it does not load.
#[must_use]
pub fn load_guest<T: 'static>(name: &str, grants: &Grants<T>) -> Plugin<T> {
    hostel::load_file(&hostel::engine(), guest(name), grants).expect("a built guest loads")
}

/// The names of the built guests that log, read the setting `prefix` and return `PREFIX_TEXT`.
pub const CUSTOMIZE: [&str; 6] = [
    "customize",
    "c_customize",
    "c_customize_retptr",
    "as_customize",
    "wat_customize_multi",
    "wat_customize_retptr",
];

/// Assembles a module from its text.
///
/// # Panics
///
/// If the text is not a module.
#[must_use]
pub fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Loads a module from its text, under the name `guest`.
///
/// # Panics
///
/// If the text is not a module, or the module does not load.
#[must_use]
pub fn load_wat<T: 'static>(text: &str, grants: &Grants<T>) -> Plugin<T> {
    try_load_wat(&hostel::engine(), text, grants).unwrap_or_else(|error| panic!("{error}"))
}

/// Loads a module from its text, under the name `guest`.
///
/// # Errors
///
/// Those of [`Engine::load`].
pub fn try_load_wat<T: 'static>(
    engine: &Engine,
    text: &str,
    grants: &Grants<T>,
) -> Result<Plugin<T>, LoadError> {
    engine.load("guest", &assemble(text), grants)
}

/// Makes a module whose `process` logs `text`, and returns it.
///
/// # Panics
///
/// If `text` contains characters that a string in a module's text must escape.
#[must_use]
pub fn that_says(text: &str) -> Vec<u8> {
    let len = text.len();
    assemble(&format!(
        r#"(module
            (import "env" "host_log" (func $log (param i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "{text}")
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "process") (param i32 i32) (result i32 i32)
              (call $log (i32.const 0) (i32.const {len}))
              (i32.const 0) (i32.const {len})))"#
    ))
}

/// Grants a log that is discarded.
#[must_use]
pub fn quiet() -> Grants<()> {
    Grants::new().log(|_: &LogRecord<'_>| {})
}

/// Returns the text of a module with `items`, two pages of memory and an allocator that gives each
/// byte once and frees nothing. It gives addresses from 4096 on.
#[must_use]
pub fn with_allocator(imports: &str, items: &str) -> String {
    format!(
        r#"(module
            {imports}
            (memory $memory (export "memory") 2)
            (global $top (mut i32) (i32.const 4096))
            (func $allocate (export "allocate") (param $size i32) (result i32)
              (local $ptr i32)
              (local.set $ptr (global.get $top))
              (if (i32.gt_u (local.get $size) (i32.sub (i32.const 131056) (local.get $ptr)))
                (then (return (i32.const 0))))
              (global.set $top (i32.and (i32.const -16)
                (i32.add (i32.add (local.get $ptr) (local.get $size)) (i32.const 15))))
              (local.get $ptr))
            (func $deallocate (export "deallocate") (param i32 i32))
            {items})"#
    )
}

/// Returns code that pushes a pointer and a length, packed into an i64.
#[must_use]
pub fn packed(ptr: u32, len: u32) -> String {
    format!("(i64.const {:#x})", u64::from(ptr) << 32 | u64::from(len))
}

/// A log sink that keeps its records as the lines that would be shown.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Grants this sink.
    #[must_use]
    pub fn granted<T: 'static>(&self) -> Grants<T> {
        let lines = self.0.clone();
        Grants::with_data().log(move |record: &LogRecord<'_>| {
            let line = record.to_string();
            lines.lock().expect("no sink panics").push(line);
        })
    }

    /// Adds a line.
    ///
    /// # Panics
    ///
    /// Never: no sink panics while it holds the lines.
    pub fn push(&self, line: &str) {
        self.0.lock().expect("no sink panics").push(line.into());
    }

    /// Takes the lines that were logged since the last time.
    ///
    /// # Panics
    ///
    /// Never: no sink panics while it holds the lines.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        core::mem::take(&mut *self.0.lock().expect("no sink panics"))
    }
}

/// Pseudo-random numbers that follow from a seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts with `seed`, which must not be 0.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `end`, which must not be 0.
    pub const fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }
}

/// Returns the code of a call's error, or `"ok"`.
pub fn code<R>(result: &Result<R, CallError>) -> &'static str {
    result.as_ref().err().map_or("ok", CallError::code)
}

/// Returns the code of a load's error, or `"ok"`.
pub fn load_code<R>(result: &Result<R, LoadError>) -> &'static str {
    result.as_ref().err().map_or("ok", LoadError::code)
}

/// Checks that this process still serves a plugin that does no harm.
///
/// # Panics
///
/// If it does not.
pub fn a_good_plugin_still_answers() {
    let grants = Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")]);
    let plugin = load_guest("wat_customize_multi", &grants);
    let answer = plugin.process(b"hello world");
    assert_eq!(answer.as_deref(), Ok(&b"CUSTOM_HELLO WORLD"[..]));
}

/// Does `work` on a thread of its own, so that a test fails instead of waiting for ever.
///
/// # Panics
///
/// If `work` panics, or does not end within a minute.
pub fn must_end<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    let ended = receive.recv_timeout(Duration::from_secs(60));
    ended.expect("it panicked or hangs")
}

/// Runs `body` in a process of its own, since a failure would end the whole process. `name` must be
/// the name of the calling test.
///
/// # Panics
///
/// If that process fails; the message contains what it printed.
pub fn in_its_own_process(name: &str, body: impl FnOnce()) {
    const MARK: &str = "HOSTEL_TESTS_CHILD";
    if std::env::var_os(MARK).is_some_and(|mark| *mark == *name) {
        return body();
    }
    let test = std::env::current_exe().expect("a test has a file");
    let output = std::process::Command::new(test)
        .args(["--exact", name, "--nocapture"])
        .env(MARK, name)
        .output()
        .expect("a test can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(ran, "no test is called {name}");
}

/// Prints that a test was left out because a tool is missing, and how to get the tool.
///
/// # Panics
///
/// If `CI=true`: there no test may be left out.
pub fn skip(what: &str, how: &str) {
    let told = format!("SKIPPED: {what}. To get what it needs: {how}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{told}");
    say(&told);
}

/// Writes a line to stderr. Not by a macro, whose output a test that passes does not show.
///
/// # Panics
///
/// Where stderr is closed.
pub fn say(line: &str) {
    let line = format!("{line}\n");
    let written = std::io::stderr().write_all(line.as_bytes());
    written.expect("stderr is open");
}

/// A clock that advances by a millisecond each time it is read.
#[derive(Default)]
pub struct Ticking(AtomicU64);

impl Platform for Ticking {
    fn now(&self) -> Option<Duration> {
        Some(Duration::from_millis(
            self.0.fetch_add(1, Ordering::Relaxed),
        ))
    }
}
