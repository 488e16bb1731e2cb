//! State in a file: what the file survives, and which files are refused.

use hostel::{FileState, Grants, StateFileReason, StateLimits, StateStore as _};
use hostel_tests::{Random, load_guest};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn open(path: &Path) -> Result<FileState, hostel::StateFileError> {
    FileState::open(path, StateLimits::server())
}

fn code(path: &Path) -> &'static str {
    open(path).err().map_or("ok", |error| error.code())
}

/// Makes a directory. Returns it with the path of a file in it.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    (directory, path)
}

#[test]
fn state_outlives_the_store() {
    let (_directory, path) = place();
    for visit in 1..=3 {
        let grants = Grants::new().state(open(&path).unwrap());
        let answer = load_guest("counter", &grants).process(b"Gopher").unwrap();
        assert_eq!(answer, format!("Gopher: visit {visit}").into_bytes());
    }
    let used = open(&path).unwrap().used("counter").unwrap();
    assert_eq!((used.keys, used.bytes), (1, 14));
}

#[test]
fn a_file_is_open_once() {
    let (_directory, path) = place();
    let first = open(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert_eq!(error.code(), "state-file-locked");
    assert_eq!(error.path(), path);
    assert!(matches!(error.reason(), StateFileReason::Locked));
    assert!(
        error
            .to_string()
            .ends_with("state: it is open already, in this process or another: close it first")
    );
    first.set("a", b"key", b"value").unwrap();
    drop(first);
    assert!(open(&path).unwrap().get("a", b"key").unwrap().is_some());
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let (directory, path) = place();
    assert_eq!(code(directory.path()), "state-file-not-regular");
    #[cfg(unix)]
    assert_eq!(code(Path::new("/dev/null")), "state-file-not-regular");
    assert_eq!(code(&path.join("no/such/folder")), "state-file-unusable");
    for bytes in [
        &b"a"[..],
        b"some text that somebody wants to keep\n",
        b"redb",
        b"redb\x1a\x0a\xa9\x0d\x0a",
        &[0; 5_000],
        &[0xff; 5_000],
        &[b"redb\x1a\x0a\xa9\x0d\x0a", &[0; 5_000][..]].concat(),
        &[b"redb\x1a\x0a\xa9\x0d\x0a", &[0xff; 5_000][..]].concat(),
        include_bytes!("state_file.rs"),
    ] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(
            code(&path),
            "state-file-corrupt",
            "{:?}",
            &bytes[..bytes.len().min(9)]
        );
        assert!(fs::read(&path).unwrap() == bytes, "it was changed");
    }
    fs::write(&path, b"").unwrap();
    assert_eq!(code(&path), "ok", "an empty file becomes a store");
}

/// A damaged file gives errors, but no panic and no hang.
#[test]
fn a_damaged_file_is_an_error_or_still_works() {
    let (_directory, path) = place();
    let store = open(&path).unwrap();
    for number in 0..60u8 {
        store.set("guest", &[number], &[number; 700]).unwrap();
    }
    drop(store);
    let sound = fs::read(&path).unwrap();
    // The end of the bytes in use; the rest of the file is free.
    let end = sound.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut random = Random::new(20_261_123);
    let (mut refused, mut failed, mut worked) = (0, 0, 0);
    for round in 0..24 {
        let mut bytes = sound.clone();
        match round % 4 {
            0 => bytes.truncate(random.below(end)),
            1 => {
                let from = random.below(end);
                let to = (from + random.below(5_000)).min(end);
                bytes[from..to].fill([0, 0xff][random.below(2)]);
            }
            // The first page says where all others are.
            2 => bytes[random.below(400)] ^= 1 << random.below(8),
            _ => {
                for _ in 0..=random.below(20) {
                    bytes[random.below(end)] ^= 1 << random.below(8);
                }
            }
        }
        fs::write(&path, &bytes).unwrap();
        let Ok(store) = open(&path) else {
            refused += 1;
            continue;
        };
        let mut sound = true;
        for number in 0..60u8 {
            sound &= store.get("guest", &[number]).is_ok();
        }
        sound &= store.list("guest", b"", None, &mut |_| true).is_ok();
        sound &= store.set("guest", b"new", &[1; 700]).is_ok();
        *(if sound { &mut worked } else { &mut failed }) += 1;
    }
    println!("refused {refused}, failed {failed}, worked {worked}");
    assert!(refused > 2 && worked > 2, "{refused} {failed} {worked}");
}

#[test]
fn overwriting_does_not_grow_the_file() {
    let (_directory, path) = place();
    let store = open(&path).unwrap();
    let mut sizes = Vec::new();
    for round in 0..120u32 {
        let value = vec![round as u8; 1_000 + (round as usize * 7_919) % 60_000];
        store.set("guest", &[round as u8 % 10], &value).unwrap();
        if round % 30 == 29 {
            sizes.push(fs::metadata(&path).unwrap().len());
        }
    }
    assert!(sizes[3] <= 2 * sizes[0] && sizes[3] < 16 << 20, "{sizes:?}");
}

#[test]
fn making_a_file_leaves_no_other_file_behind() {
    let (directory, path) = place();
    drop(open(&path).unwrap());
    let names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["state"]);
}

#[test]
fn of_many_that_create_a_file_one_gets_it() {
    for _ in 0..20 {
        let (_directory, path) = place();
        let ready = std::sync::Barrier::new(4);
        let opened: Vec<_> = std::thread::scope(|scope| {
            let open = || {
                ready.wait();
                open(&path)
            };
            let threads = [(); 4].map(|()| scope.spawn(open));
            threads.map(|thread| thread.join().unwrap()).into()
        });
        let (open, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        assert_eq!((open.len(), refused.len()), (1, 3));
        for error in refused {
            assert_eq!(error.unwrap_err().code(), "state-file-locked");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_file_is_made_at_the_target_of_a_link() {
    let (directory, path) = place();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    open(&link).unwrap().set("guest", b"k", b"v").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let value = open(&path).unwrap().get("guest", b"k").unwrap();
    assert_eq!(value.as_deref(), Some(&b"v"[..]));
}
