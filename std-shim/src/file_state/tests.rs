//! Faults of the disk: each operation of redb's on the file fails in turn.

use super::{FileState, opened::Current};
use hostel_core::{StateError, StateLimits, StateStore as _};
use redb::{StorageBackend, backends::InMemoryBackend};
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The operations that fail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fails {
    /// The one that the countdown reaches.
    Once,
    /// That one and all later writes, until the disk is mended.
    On,
    /// As `On`, and reads too.
    All,
}

/// A disk in memory whose operations fail from a certain one on.
#[derive(Debug)]
struct Disk {
    bytes: InMemoryBackend,
    fails: Fails,
    kind: io::ErrorKind,
    /// Number of writes, changes of length and syncs until the first that fails; 0: none will.
    countdown: AtomicU64,
    failing: AtomicBool,
}

impl Disk {
    fn new(fails: Fails, kind: io::ErrorKind) -> Arc<Self> {
        Arc::new(Self {
            bytes: InMemoryBackend::new(),
            fails,
            kind,
            countdown: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        })
    }

    /// Makes the operation after `others` other ones fail.
    fn fail_after(&self, others: u64) {
        self.countdown.store(others + 1, Ordering::SeqCst);
    }

    /// Makes everything work again. Returns whether anything has failed.
    fn mend(&self) -> bool {
        let reached = self.countdown.swap(0, Ordering::SeqCst) == 0;
        self.failing.store(false, Ordering::SeqCst);
        reached
    }

    fn writes(&self) -> io::Result<()> {
        let left = self.countdown.load(Ordering::SeqCst);
        if left > 0 {
            self.countdown.store(left - 1, Ordering::SeqCst);
            if left == 1 {
                self.failing
                    .store(self.fails != Fails::Once, Ordering::SeqCst);
                return Err(self.kind.into());
            }
        }
        if self.failing.load(Ordering::SeqCst) {
            return Err(self.kind.into());
        }
        Ok(())
    }

    fn reads(&self) -> io::Result<()> {
        if self.fails == Fails::All && self.failing.load(Ordering::SeqCst) {
            return Err(self.kind.into());
        }
        Ok(())
    }
}

/// The disk as the store gets it; a type of this file, since redb implements the trait for no `Arc`.
#[derive(Debug)]
struct Mounted(Arc<Disk>);

impl StorageBackend for Mounted {
    fn len(&self) -> io::Result<u64> {
        self.0.reads()?;
        self.0.bytes.len()
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.0.reads()?;
        self.0.bytes.read(offset, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.writes()?;
        self.0.bytes.set_len(len)
    }

    fn sync_data(&self, eventual: bool) -> io::Result<()> {
        self.0.writes()?;
        self.0.bytes.sync_data(eventual)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        // A write that fails has written a part, as on a full disk.
        if let Err(error) = self.0.writes() {
            self.0.bytes.write(offset, &data[..data.len() / 2])?;
            return Err(error);
        }
        self.0.bytes.write(offset, data)
    }
}

fn open(disk: &Arc<Disk>) -> FileState {
    FileState {
        path: PathBuf::from("state"),
        limits: StateLimits::server(),
        current: Current::open(Arc::new(Mounted(disk.clone()))).unwrap(),
        panicked: AtomicBool::new(false),
    }
}

/// The value that `round` sets; long ones make the file grow.
fn value(round: u8) -> Vec<u8> {
    vec![round; 100 + usize::from(round) * 6_000]
}

/// Writes to a disk that was mended. On a busy machine, there may be a pause after the last attempt.
fn write_again(store: &FileState) {
    let until = Instant::now() + Duration::from_secs(10);
    while store.set("ben", b"later", b"value").is_err() {
        assert!(Instant::now() < until, "writes did not go on");
        thread::sleep(Duration::from_millis(1));
    }
}

fn keys(store: &FileState, namespace: &str) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let visit = &mut |key: &[u8]| {
        keys.push(key.to_vec());
        true
    };
    store.list(namespace, b"", None, visit).unwrap();
    keys
}

/// Lets the operation after `others` others fail while `anna` writes, and checks what `ben` finds.
/// Returns whether an operation has failed, and the number of errors.
fn one_fault(fails: Fails, kind: io::ErrorKind, others: u64) -> (bool, u32) {
    let disk = Disk::new(fails, kind);
    let store = open(&disk);
    store.set("ben", b"kept", b"value").unwrap();
    disk.fail_after(others);
    let mut errors = 0;
    let mut expected = Vec::new();
    for round in 0..4u8 {
        let set = store.set("anna", &[round], &value(round));
        if let Err(error) = set {
            errors += 1;
            let full = kind == io::ErrorKind::StorageFull;
            let told = [StateError::Failed, StateError::DiskFull][usize::from(full)];
            assert_eq!(error, told, "{fails:?} after {others}");
        }
        expected.push(set.is_ok());
        if fails == Fails::All {
            continue;
        }
        // Reads go on, of what was written before the fault and of what was acknowledged.
        let found = store.get("ben", b"kept").unwrap();
        assert_eq!(found.as_deref(), Some(&b"value"[..]), "after {others}");
        for (key, set) in (0u8..).zip(&expected) {
            let found = store.get("anna", &[key]).unwrap();
            assert!(found.is_none() || found.as_deref() == Some(&value(key)[..]));
            assert!(!set || found.is_some(), "{fails:?} after {others}: {key}");
        }
    }
    let reached = disk.mend();
    write_again(&store);
    for (key, set) in (0u8..).zip(&expected) {
        let found = store.get("anna", &[key]).unwrap();
        assert!(found.is_some() || !set, "{fails:?} after {others}: {key}");
        store.set("anna", &[key], &value(key)).unwrap();
    }
    store.delete("anna", &[0]).unwrap();
    drop(store);
    let store = open(&disk);
    for key in 1..4 {
        let found = store.get("anna", &[key]).unwrap();
        assert_eq!(found.as_deref(), Some(&value(key)[..]));
    }
    assert_eq!(keys(&store, "anna"), [[1], [2], [3]]);
    assert_eq!(keys(&store, "ben"), [&b"kept"[..], b"later"]);
    let used = store.used("anna").unwrap();
    let bytes: usize = (1..4).map(|key| 1 + value(key).len()).sum();
    assert_eq!(
        (used.keys, used.bytes),
        (3, bytes),
        "{fails:?} after {others}"
    );
    (reached, errors)
}

/// A list that has to begin again visits each key once, the empty one too.
#[test]
fn a_list_goes_on_after_a_fault() {
    let disk = Disk::new(Fails::All, io::ErrorKind::Other);
    let store = open(&disk);
    for key in [&b""[..], b"a", b"b"] {
        store.set("anna", key, b"value").unwrap();
    }
    disk.fail_after(0);
    assert!(store.set("anna", b"c", b"value").is_err());
    assert_eq!(store.get("anna", b"a"), Err(StateError::Failed));
    disk.mend();
    assert_eq!(keys(&store, "anna"), [&b""[..], b"a", b"b"]);
}

/// Threads that read while others write to a full disk read on.
#[test]
fn readers_do_not_notice_that_writers_open_the_file_again() {
    let disk = Disk::new(Fails::On, io::ErrorKind::StorageFull);
    let store = open(&disk);
    store.set("ben", b"kept", b"value").unwrap();
    disk.fail_after(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut reads = 0;
                while !done.load(Ordering::SeqCst) || reads == 0 {
                    let found = store.get("ben", b"kept").unwrap();
                    assert_eq!(found.as_deref(), Some(&b"value"[..]));
                    reads += 1;
                }
            })
        });
        for _ in 0..20 {
            let set = store.set("anna", b"key", b"value");
            assert_eq!(set, Err(StateError::DiskFull));
        }
        done.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    disk.mend();
    write_again(&store);
}

#[test]
fn each_write_fails_in_turn_and_the_store_works_on() {
    for (fails, kind) in [
        (Fails::Once, io::ErrorKind::Other),
        (Fails::On, io::ErrorKind::StorageFull),
        (Fails::All, io::ErrorKind::Other),
    ] {
        let mut others = 0;
        loop {
            let (reached, errors) = one_fault(fails, kind, others);
            if !reached {
                assert_eq!(errors, 0);
                break;
            }
            match fails {
                // The second attempt, with the file opened again, hides it.
                Fails::Once => assert_eq!(errors, 0, "after {others}"),
                Fails::On | Fails::All => assert!(errors > 0, "after {others}"),
            }
            others += 1;
        }
        println!("{fails:?}: {others} operations");
        assert!(others > 30, "{others}");
    }
}

#[cfg(unix)]
#[test]
fn a_new_file_is_its_owner_s_alone() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let directory = tempfile::tempdir().unwrap();
    let mode = |name: &str| {
        let file = directory.path().join(name);
        drop(FileState::open(&file, StateLimits::server()).unwrap());
        std::fs::metadata(file).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("state"), 0o600);
    // This one is created directly.
    symlink("target", directory.path().join("link")).unwrap();
    assert_eq!(mode("link"), 0o600);
}
