//! 10,000 plugins loaded and unloaded in one process, half of them broken. They leave no memory, no
//! handle and no thread behind. The test is alone in its program, since it measures the whole
//! process.
//!
//! `cargo test -p hostel-tests --test loading_for_ever -- --nocapture` shows the figures.

use hostel::{Grants, Host, HostError, LoadError, LogRecord, read_module};
use hostel_tests::{assemble, guest_bytes, say};
use std::{fs, path::PathBuf, time::Instant};

/// How many modules are loaded, half of them good and half of them broken.
const LOADS: u32 = 10_000;

/// How many loads set up what a process sets up once.
const WARM_UP: u32 = 1_000;

/// By how many KiB the process may grow after the warm-up.
const GROWTH: u64 = 2 << 10;

/// The memory, handles and threads of the process.
struct Held {
    resident_kib: u64,
    handles: usize,
    threads: usize,
}

/// Reads it from `/proc`; `None` if the system has none.
fn held() -> Option<Held> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let count = |folder| fs::read_dir(folder).ok().map(Iterator::count);
    Some(Held {
        resident_kib: resident.trim().strip_suffix(" kB")?.parse().ok()?,
        handles: count("/proc/self/fd")?,
        threads: count("/proc/self/task")?,
    })
}

/// Pseudo-random numbers by Marsaglia's xorshift, from a fixed seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// A host with one plugin, which is always loaded from a file, and the plugin's grants.
struct Loader {
    host: Host<()>,
    grants: Grants<()>,
    file: PathBuf,
    random: Random,
}

impl Loader {
    fn load(&self, wasm: &[u8]) -> Result<(), HostError> {
        // The file is made anew: some file systems wait for the disk when contents are replaced.
        let _ = fs::remove_file(&self.file);
        fs::write(&self.file, wasm).expect("a file can be written");
        let limit = self.host.engine().limits().module_bytes;
        let read = read_module(&self.file, limit).expect("the file can be read");
        self.host.insert("guest", &read, &self.grants).map(drop)
    }

    fn remove(&self) {
        self.host.remove("guest").expect("the guest was loaded");
    }

    /// Loads a module, calls it and unloads it.
    fn serve(&self, wasm: &[u8], answer: &[u8]) {
        self.load(wasm).expect("a good module loads");
        let found = self.host.process("guest", b"hello");
        assert_eq!(found.as_deref(), Ok(answer));
        self.remove();
    }

    /// Damages the module again and again until it is refused.
    fn refuse_damaged(&mut self, wasm: &[u8], damage: fn(&mut Vec<u8>, &mut Random)) {
        let mut damaged = wasm.to_vec();
        loop {
            damage(&mut damaged, &mut self.random);
            match self.load(&damaged) {
                Ok(()) => self.remove(),
                Err(HostError::Load(_)) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn round(&mut self, number: u32, modules: &Modules) {
        let (good, answer) = &modules.good[self.random.below(modules.good.len())];
        match number % 6 {
            0 => self.refuse_damaged(good, |wasm, random| wasm.truncate(random.below(wasm.len()))),
            2 => self.refuse_damaged(good, |wasm, random| {
                let at = random.below(wasm.len());
                wasm[at] = random.below(256) as u8;
            }),
            4 => match self.load(&modules.unfit) {
                Err(HostError::Load(LoadError::Mismatch(found))) => assert_eq!(found.len(), 2),
                other => panic!("two imports do not fit: {other:?}"),
            },
            _ => self.serve(good, answer),
        }
    }
}

struct Modules {
    /// Good modules, and what they return for `hello`.
    good: Vec<(Vec<u8>, &'static [u8])>,
    /// A module with an import that is not granted.
    unfit: Vec<u8>,
}

#[test]
fn ten_thousand_loads_leave_nothing_behind() {
    let mut host = Loader {
        host: Host::new(hostel::engine()),
        grants: Grants::new()
            .log(|_: &LogRecord<'_>| {})
            .config([("prefix", "CUSTOM")]),
        file: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("loading_for_ever.wasm"),
        random: Random(0x5eed),
    };
    let modules = Modules {
        good: vec![
            (guest_bytes("wat_customize_multi"), b"CUSTOM_HELLO"),
            (guest_bytes("wat_customize_retptr"), b"CUSTOM_HELLO"),
            (
                assemble(&hostel_tests::with_allocator(
                    "",
                    r#"(func (export "process") (param i32 i32) (result i32 i32)
                        (local.get 0) (local.get 1))"#,
                )),
                b"hello",
            ),
        ],
        unfit: assemble(
            r#"(module (import "env" "host_log" (func (param i64)))
                (import "env" "nobody_granted_this" (func))
                (memory (export "memory") 1) (func (export "f")))"#,
        ),
    };
    let start = Instant::now();
    (0..WARM_UP).for_each(|number| host.round(number, &modules));
    let Some(before) = held() else {
        return say("SKIPPED: what a process holds is read from /proc, which this system lacks");
    };
    (WARM_UP..LOADS).for_each(|number| host.round(number, &modules));
    let after = held().expect("it was there before");
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    println!(
        "{LOADS} loads and unloads, half of broken modules: {:.1?}; after the first {WARM_UP}, \
         resident {} KiB grew by {grown} KiB, handles {} -> {}, threads {} -> {}",
        start.elapsed(),
        before.resident_kib,
        before.handles,
        after.handles,
        before.threads,
        after.threads,
    );
    assert!(grown <= GROWTH, "{grown} KiB");
    assert_eq!(after.handles, before.handles);
    assert_eq!(after.threads, before.threads);
}
