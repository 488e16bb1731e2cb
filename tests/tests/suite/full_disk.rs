//! State in a file on a disk that is full, of which there is a small one in memory.

use hostel::{FileState, Grants, StateError, StateLimits, StateStore as _};
use hostel_tests::{load_guest, skip};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A file system of 2 MiB, mounted until it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Returns `None` if nothing can be mounted; in CI that is a failure.
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "hostel-test"])
            .arg(directory.path())
            .output();
        match mounted {
            Ok(ended) if ended.status.success() => Some(Self(directory)),
            _ => {
                skip(
                    "state on a full disk",
                    "run the tests as root, where `mount -t tmpfs` works",
                );
                None
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file until nothing fits any more.
    fn fill(&self) {
        let taken = fs::write(self.path("ballast"), vec![1; 4 << 20]).unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        fs::remove_file(self.path("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let path = self.0.path();
        let unmounted = Command::new("umount").arg("--lazy").arg(path).status();
        assert!(unmounted.unwrap().success(), "{} stays", path.display());
    }
}

fn open(path: &Path) -> FileState {
    FileState::open(path, StateLimits::server()).unwrap()
}

/// Sets values until the disk is full, and returns how many there are then.
fn until_full(store: &FileState) -> u8 {
    for key in 0..=250u8 {
        if let Err(error) = store.set("greedy", &[key], &[key; 60_000]) {
            assert_eq!(error, StateError::DiskFull);
            return key;
        }
    }
    panic!("the disk is larger than 2 MiB");
}

#[test]
fn after_a_full_disk_reads_go_on_and_writes_go_on_when_there_is_space() {
    let Some(disk) = SmallDisk::new() else { return };
    for round in 0..3 {
        let path = disk.path(&format!("state{round}"));
        let mut limits = StateLimits::server();
        limits.total_bytes = 16 << 20;
        let store = FileState::open(&path, limits).unwrap();
        store.set("modest", b"kept", b"value").unwrap();
        disk.fill();
        let full = until_full(&store);
        for _ in 0..3 {
            let found = store.get("modest", b"kept").unwrap();
            assert_eq!(found.as_deref(), Some(&b"value"[..]));
            for key in 0..full {
                let found = store.get("greedy", &[key]).unwrap();
                assert_eq!(found.as_deref(), Some(&[key; 60_000][..]));
            }
            let used = store.used("greedy").unwrap();
            assert_eq!(used.keys, usize::from(full));
            let error = store.set("greedy", &[full], &[full; 60_000]).unwrap_err();
            assert_eq!(error, StateError::DiskFull);
        }
        disk.free();
        store.set("modest", b"later", b"value").unwrap();
        store.set("greedy", &[full], &[full; 60_000]).unwrap();
        drop(store);
        let store = open(&path);
        let found = store.get("greedy", &[full]).unwrap();
        assert_eq!(found.as_deref(), Some(&[full; 60_000][..]));
        assert!(store.get("modest", b"later").unwrap().is_some());
        drop(store);
        fs::remove_file(path).unwrap();
    }
}

/// A store that fills its disk itself, and is the only one who can make room.
#[test]
fn a_store_that_filled_the_disk_is_read_and_written_when_the_disk_grows() {
    let Some(disk) = SmallDisk::new() else { return };
    let path = disk.path("state");
    let mut limits = StateLimits::server();
    limits.total_bytes = 16 << 20;
    let store = FileState::open(&path, limits).unwrap();
    let full = until_full(&store);
    assert!(full > 5, "{full}");
    for key in 0..full {
        assert!(store.get("greedy", &[key]).unwrap().is_some(), "{key}");
    }
    let larger = Command::new("mount")
        .args(["-o", "remount,size=8m"])
        .arg(disk.0.path())
        .status();
    assert!(larger.unwrap().success());
    store.set("greedy", &[full], &[full; 60_000]).unwrap();
    assert_eq!(store.used("greedy").unwrap().keys, usize::from(full) + 1);
}

/// A plugin is told what happened, and other plugins of the store work on.
#[test]
fn plugins_go_on_after_a_full_disk() {
    let Some(disk) = SmallDisk::new() else { return };
    let store = std::sync::Arc::new(open(&disk.path("state")));
    let plugin = load_guest("counter", &Grants::new().state(store.clone()));
    assert_eq!(plugin.process(b"Gopher").unwrap(), b"Gopher: visit 1");
    disk.fill();
    until_full(&store);
    // Small values still fit into what the file has left.
    let error = (0..900)
        .find_map(|number| plugin.process(format!("{number:0>250}").as_bytes()).err())
        .expect("the file grows no more")
        .to_string();
    let told =
        "state-disk-full: the host's disk is full: reading still works, try to write again later";
    assert!(error.contains(told), "{error}");
    disk.free();
    assert_eq!(plugin.process(b"Gopher").unwrap(), b"Gopher: visit 2");
}
