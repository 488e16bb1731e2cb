//! M03: files that hold no module, or are no plain files.
//!
//! A row: what the file is, the verdict, and how the file is made in an empty directory.

use crate::case::{Case, Setup, Verdict, loads, refused, returns};
use hostel::{load_file, read_module};
use std::{
    fs,
    path::{Path, PathBuf},
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = files();
    #[cfg(unix)]
    cases.extend(special_files());
    cases.push(read_within_limit());
    cases
}

/// A directory that is removed when the case ends.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("hostile-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the target directory takes files");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // If that fails, the rest stays in the target directory, which is for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file that is loaded as a module. `make` makes it and returns its path.
fn file(name: &str, verdict: Verdict, make: impl Fn(&Path) -> PathBuf + Sync + 'static) -> Case {
    let read = move |setup: &Setup<'_>| {
        let directory = Directory::new();
        match load_file(&setup.engine, make(&directory.0), &setup.grants) {
            Ok(_) => loads(),
            Err(error) => Verdict::of_file_error(&error),
        }
    };
    Case::script(format!("M03/{name}"), Vec::new(), verdict, read)
        .limits(|limits| limits.module_bytes = 64 << 10)
}

fn written(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, bytes).expect("the target directory takes files");
    path
}

fn files() -> Vec<Case> {
    vec![
        file("sparse file of 1 TiB", refused("module-too-large"), |dir| {
            let path = dir.join("sparse");
            let file = fs::File::create(&path).expect("the target directory takes files");
            file.set_len(1 << 40).expect("files may be sparse");
            path
        }),
        file(
            "file one byte too long",
            refused("module-too-large"),
            |dir| written(dir, "long", &[0; (64 << 10) + 1]),
        ),
        file("file as long as it may be", refused("not-wasm"), |dir| {
            written(dir, "full", &[0; 64 << 10])
        }),
        file("empty file", refused("empty-module"), |dir| {
            written(dir, "empty", b"")
        }),
        file("directory", refused("file-is-directory"), Path::to_owned),
        file("nothing", refused("file-missing"), |dir| {
            dir.join("nothing")
        }),
        file(
            "file with a name of control characters",
            refused("not-wasm"),
            |dir| written(dir, "\u{1b}[2J\n", b"text"),
        ),
    ]
}

/// Devices, links and pipes. Opening a device or a pipe could block, or read for ever.
#[cfg(unix)]
fn special_files() -> Vec<Case> {
    vec![
        file("device without end", refused("file-not-regular"), |_| {
            "/dev/zero".into()
        }),
        file("device that is empty", refused("file-not-regular"), |_| {
            "/dev/null".into()
        }),
        file("link to a device", refused("file-not-regular"), |dir| {
            link(dir, "/dev/zero")
        }),
        file("link to nothing", refused("file-missing"), |dir| {
            link(dir, "nothing")
        }),
        file("link to itself", refused("file-unreadable"), |dir| {
            link(dir, "link")
        }),
        file("link to a directory", refused("file-is-directory"), |dir| {
            link(dir, ".")
        }),
        file("link to a module", loads(), |dir| {
            let path = hostel_tests::guest("wat_add");
            let path = path.canonicalize().expect("a built guest is there");
            link(dir, path)
        }),
        file(
            "pipe that nobody writes to",
            refused("file-not-regular"),
            |dir| {
                let pipe = dir.join("pipe");
                let made = std::process::Command::new("mkfifo").arg(&pipe).status();
                assert!(made.expect("mkfifo is there").success());
                pipe
            },
        ),
    ]
}

fn read_within_limit() -> Case {
    let limit = Case::script(
        "M03/only as much is read as the limit allows",
        Vec::new(),
        refused("module-too-large"),
        |_| {
            let directory = Directory::new();
            let path = written(&directory.0, "large", &[0; 4 << 20]);
            match read_module(path, 1 << 20) {
                Ok(_) => returns("read"),
                Err(error) => Verdict::of_file_error(&error),
            }
        },
    );
    // The bound on the heap leaves no room for the whole file.
    limit.limits(|limits| limits.memory_bytes = 0)
}

#[cfg(unix)]
fn link(dir: &Path, to: impl AsRef<Path>) -> PathBuf {
    let link = dir.join("link");
    std::os::unix::fs::symlink(to, &link).expect("the target directory takes links");
    link
}
