//! A house that is kept in step with a directory, by a thread that watches it or by asking.

use core::time::Duration;
use hostel::{
    CallError, DirectoryEvent, Grants, House, LogRecord, Plugin, PluginDirectory, WatchedDirectory,
    install_module,
};
use hostel_tests::{assemble, guest_bytes, quiet, that_says};
use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver},
    },
    thread,
    time::Instant,
};
use tempfile::TempDir;

/// Far longer than anything takes, so that a test fails instead of waiting for ever.
const FOR_EVER: Duration = Duration::from_secs(60);

/// A directory of plugins, its house, and what is told of it.
struct Place {
    root: TempDir,
    house: Arc<House>,
    events: Receiver<String>,
    directory: Option<PluginDirectory>,
}

impl Place {
    /// Plugins that answer `bad` fail their smoke call, and those that answer `panic` make it panic.
    fn new() -> Self {
        Self::granting(|_| quiet())
    }

    fn granting(grants: impl Fn(&str) -> Grants<()> + Send + 'static) -> Self {
        let root = TempDir::new().expect("there is a place for files");
        let house = Arc::new(House::new(hostel::engine()));
        let (send, events) = mpsc::channel();
        let plugins = root.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        let directory = PluginDirectory::new(house.clone(), plugins, grants)
            .smoke(smoke)
            .observer(move |event| {
                let _ = send.send(told(&event));
            });
        Self {
            root,
            house,
            events,
            directory: Some(directory),
        }
    }

    fn watch(&mut self) -> WatchedDirectory {
        let directory = self.directory.take().expect("it is watched once");
        directory.watch().expect("a directory can be watched")
    }

    fn plugins(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.plugins().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.file(name), bytes).expect("a file can be written");
    }

    fn install(&self, name: &str, text: &str) {
        install_module(self.file(name), &that_says(text)).expect("a module can be installed");
    }

    fn says(&self, name: &str) -> String {
        match self.house.process(name, b"") {
            Ok(answer) => String::from_utf8(answer).unwrap(),
            Err(error) => error.code().to_owned(),
        }
    }

    /// Waits until it is told; gives what was told before.
    #[track_caller]
    fn until(&self, event: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let next = self.events.recv_timeout(FOR_EVER);
            let next = next.unwrap_or_else(|_| panic!("no `{event}` after {before:?}"));
            if next == event {
                return before;
            }
            before.push(next);
        }
    }

    /// What was told and not waited for.
    fn rest(&self) -> Vec<String> {
        self.events.try_iter().collect()
    }
}

fn smoke(plugin: &Plugin) -> Result<(), CallError> {
    match &*plugin.process(b"ping")? {
        b"bad" => Err(CallError::Guest {
            message: "bad".into(),
        }),
        b"panic" => panic!("as asked"),
        _ => Ok(()),
    }
}

/// An event in a few words.
fn told(event: &DirectoryEvent) -> String {
    match event {
        DirectoryEvent::Loaded { name, .. } => format!("loaded {name}"),
        DirectoryEvent::Replaced { name, .. } => format!("replaced {name}"),
        DirectoryEvent::Unloaded { name } => format!("unloaded {name}"),
        DirectoryEvent::Failed(error) => {
            let name = error.path().file_name().unwrap_or_default();
            format!("{}: {}", name.to_string_lossy(), error.code())
        }
        _ => format!("{event:?}"),
    }
}

#[track_caller]
fn soon(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < FOR_EVER, "it does not come true");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_is_there_is_loaded_and_other_files_are_left_alone() {
    let mut place = Place::new();
    for name in ["beta.wasm", "alpha.wasm", "one.two.wasm"] {
        place.write(name, &that_says(name));
    }
    let other = [
        ".hidden.wasm",
        "~open.wasm",
        "#open.wasm",
        "kept.wasm~",
        "half.wasm.tmp",
        "notes.txt",
        "LOUD.WASM",
        "wasm",
        ".wasm",
    ];
    for name in other {
        place.write(name, &that_says("other"));
    }
    let _watched = place.watch();
    let loaded = ["loaded alpha", "loaded beta", "loaded one.two"];
    assert_eq!(place.rest(), loaded);
    assert_eq!(place.house.list(), ["alpha", "beta", "one.two"]);
    assert_eq!(place.says("one.two"), "one.two.wasm");
}

#[test]
fn what_is_new_changed_or_gone_is_taken_in() {
    let mut place = Place::new();
    let _watched = place.watch();
    assert_eq!(place.rest(), [""; 0]);
    place.write("name.wasm", &that_says("one"));
    place.until("loaded name");
    assert_eq!(place.says("name"), "one");
    place.write("name.wasm", &that_says("two, in place"));
    place.until("replaced name");
    assert_eq!(place.says("name"), "two, in place");
    place.install("name.wasm", "three, renamed");
    place.until("replaced name");
    assert_eq!(place.says("name"), "three, renamed");
    fs::rename(place.file("name.wasm"), place.file("other.wasm")).unwrap();
    assert_eq!(place.until("loaded other"), ["unloaded name"]);
    fs::remove_file(place.file("other.wasm")).unwrap();
    place.until("unloaded other");
    assert_eq!(place.house.list(), [""; 0]);
}

#[test]
fn a_file_that_is_written_in_two_halves_is_taken_when_it_is_whole() {
    let mut place = Place::new();
    place.install("old.wasm", "old");
    let _watched = place.watch();
    place.until("loaded old");
    for (name, taken) in [("new", "loaded new"), ("old", "replaced old")] {
        let wasm = that_says("whole");
        // In the middle of the last section.
        let (half, rest) = wasm.split_at(wasm.len() - 3);
        let mut file = File::create(place.file(&format!("{name}.wasm"))).unwrap();
        file.write_all(half).unwrap();
        place.until(&format!("{name}.wasm: truncated-module"));
        let meanwhile = if name == "old" {
            "old"
        } else {
            "unknown-plugin"
        };
        assert_eq!(place.says(name), meanwhile);
        file.write_all(rest).unwrap();
        place.until(taken);
        assert_eq!(place.says(name), "whole");
    }
}

#[test]
fn a_storm_of_writes_ends_on_the_last() {
    let mut place = Place::new();
    let _watched = place.watch();
    for round in 0..500 {
        place.write("name.wasm", &that_says(&format!("in place {round}")));
        place.install("other.wasm", &format!("renamed {round}"));
    }
    soon(|| place.says("name") == "in place 499" && place.says("other") == "renamed 499");
    // It was settled: nothing older comes after.
    place.install("fence.wasm", "fence");
    place.until("loaded fence");
    assert_eq!(place.says("name"), "in place 499");
    assert_eq!(place.says("other"), "renamed 499");
}

#[test]
fn many_files_that_change_at_once_are_all_taken_in() {
    let mut place = Place::new();
    let watched = place.watch();
    // More names than are kept one by one.
    for number in 0..1_200 {
        place.write(&format!("{number}.wasm"), &that_says("many"));
    }
    soon(|| place.house.list().len() == 1_200);
    fs::remove_dir_all(place.plugins()).unwrap();
    soon(|| place.house.list().is_empty());
    drop(watched);
}

/// A plugin that waits in the middle of a call until it is let go on, and answers `old`.
fn that_waits() -> Vec<u8> {
    assemble(
        r#"(module
            (import "host" "wait" (func $wait))
            (memory (export "memory") 1)
            (data (i32.const 0) "old")
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "process") (param i32 i32) (result i32 i32)
              (if (i32.eqz (local.get 1)) (then (call $wait)))
              (i32.const 0) (i32.const 3)))"#,
    )
}

#[test]
fn calls_that_run_end_on_the_plugin_that_they_began_on() {
    let (inside, is_inside) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Arc::new(Mutex::new(may_go_on));
    let mut place = Place::granting(move |_| {
        let (inside, may_go_on) = (inside.clone(), may_go_on.clone());
        quiet().function("host", "wait", move || {
            inside.send(()).unwrap();
            let go_on = may_go_on.lock().unwrap().recv_timeout(FOR_EVER);
            go_on.expect("it is let go on");
        })
    });
    let _watched = place.watch();
    for replaced in [true, false] {
        place.write("name.wasm", &that_waits());
        place.until("loaded name");
        thread::scope(|scope| {
            let call = scope.spawn(|| place.house.process("name", b""));
            is_inside.recv_timeout(FOR_EVER).unwrap();
            if replaced {
                place.install("name.wasm", "new");
                place.until("replaced name");
                assert_eq!(place.says("name"), "new");
            }
            fs::remove_file(place.file("name.wasm")).unwrap();
            place.until("unloaded name");
            assert_eq!(place.says("name"), "unknown-plugin");
            go_on.send(()).unwrap();
            assert_eq!(call.join().unwrap().as_deref(), Ok(&b"old"[..]));
        });
    }
}

#[test]
fn what_can_t_be_taken_in_keeps_the_old_plugin() {
    let mut place = Place::new();
    place.install("name.wasm", "old");
    let _watched = place.watch();
    place.until("loaded name");
    for (wasm, code) in [
        (&b""[..], "empty-module"),
        (b"some text", "not-wasm"),
        (&guest_bytes("customize"), "mismatch"),
        (&that_says("bad"), "guest-error"),
        (&that_says("panic"), "host-panicked"),
    ] {
        place.write("name.wasm", wasm);
        place.until(&format!("name.wasm: {code}"));
        assert_eq!(place.says("name"), "old");
    }
    place.install("name.wasm", "new");
    place.until("replaced name");
    assert_eq!(place.says("name"), "new");
}

#[test]
fn a_file_with_the_same_bytes_is_not_loaded_again() {
    let mut place = Place::new();
    place.install("name.wasm", "same");
    let watched = place.watch();
    place.until("loaded name");
    let version = place.house.version("name").unwrap();
    place.install("name.wasm", "same");
    place.write("fence.wasm", &that_says("fence"));
    let before = place.until("loaded fence");
    watched.rescan();
    fs::remove_file(place.file("fence.wasm")).unwrap();
    let then = place.until("unloaded fence");
    assert_eq!([before, then].concat(), [""; 0]);
    assert_eq!(place.house.version("name").unwrap(), version);
}

#[test]
fn what_takes_the_place_while_a_file_is_loaded_stays() {
    let mut place = Place::new();
    let house = place.house.clone();
    let mut directory = place.directory.take().unwrap().smoke(move |plugin| {
        if plugin.process(b"")? == b"second" {
            house.unload("name").unwrap();
            let theirs = house.load("name", &that_says("theirs"), &quiet());
            theirs.unwrap();
        }
        Ok(())
    });
    place.install("name.wasm", "first");
    directory.rescan();
    place.install("name.wasm", "second");
    directory.rescan();
    assert_eq!(place.rest(), ["loaded name", "name.wasm: superseded"]);
    assert_eq!(place.says("name"), "theirs");
    // Nor is it unloaded with the file.
    fs::remove_file(place.file("name.wasm")).unwrap();
    directory.rescan();
    assert_eq!(place.says("name"), "theirs");
}

#[test]
fn a_name_that_the_house_has_from_elsewhere_is_left_to_it() {
    let mut place = Place::new();
    let load = |text| place.house.load("name", &that_says(text), &quiet());
    load("from elsewhere").unwrap();
    place.install("name.wasm", "from here");
    let mut directory = place.directory.take().unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["name.wasm: name-taken"]);
    fs::remove_file(place.file("name.wasm")).unwrap();
    directory.rescan();
    assert_eq!(place.rest(), [""; 0]);
    assert_eq!(place.says("name"), "from elsewhere");
    // So is one that was put in place of the directory's own.
    place.house.unload("name").unwrap();
    place.install("name.wasm", "from here");
    directory.rescan();
    let replacement = that_says("by hand");
    place.house.replace("name", &replacement, &quiet()).unwrap();
    place.install("name.wasm", "from here again");
    directory.rescan();
    fs::remove_file(place.file("name.wasm")).unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["loaded name", "name.wasm: name-taken"]);
    assert_eq!(place.says("name"), "by hand");
    // And one that was unloaded by hand comes back with its file.
    place.house.unload("name").unwrap();
    place.install("name.wasm", "from here");
    directory.rescan();
    place.house.unload("name").unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["loaded name", "loaded name"]);
}

#[test]
fn a_directory_that_vanishes_is_empty_and_one_that_comes_back_is_watched() {
    let mut place = Place::new();
    place.install("name.wasm", "one");
    let _watched = place.watch();
    place.until("loaded name");
    let (plugins, away) = (place.plugins(), place.root.path().join("away"));
    // Moved away and back.
    fs::rename(&plugins, &away).unwrap();
    let before = place.until("unloaded name");
    assert_eq!(before, ["plugins: file-missing"]);
    fs::rename(&away, &plugins).unwrap();
    place.until("loaded name");
    place.install("name.wasm", "two");
    place.until("replaced name");
    // Removed and made anew.
    fs::remove_dir_all(&plugins).unwrap();
    place.until("unloaded name");
    fs::create_dir(&plugins).unwrap();
    place.install("name.wasm", "three");
    place.until("loaded name");
    place.install("name.wasm", "four");
    place.until("replaced name");
    // The same so fast that it may get the number of the old one.
    fs::remove_dir_all(&plugins).unwrap();
    fs::create_dir(&plugins).unwrap();
    place.install("name.wasm", "at once");
    soon(|| place.says("name") == "at once");
    place.install("name.wasm", "and again");
    soon(|| place.says("name") == "and again");
    // Replaced by another.
    fs::create_dir(&away).unwrap();
    fs::write(away.join("name.wasm"), that_says("five")).unwrap();
    fs::rename(&plugins, place.root.path().join("old")).unwrap();
    fs::rename(&away, &plugins).unwrap();
    soon(|| place.says("name") == "five");
    place.install("name.wasm", "six");
    soon(|| place.says("name") == "six");
}

#[test]
fn a_directory_that_can_t_be_read_changes_nothing() {
    let mut place = Place::new();
    place.install("name.wasm", "one");
    let mut directory = place.directory.take().unwrap();
    directory.rescan();
    fs::remove_dir_all(place.plugins()).unwrap();
    fs::write(place.plugins(), "no directory").unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["loaded name", "plugins: file-unreadable"]);
    assert_eq!(place.says("name"), "one");
    fs::remove_file(place.plugins()).unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["plugins: file-missing", "unloaded name"]);
}

#[test]
fn a_directory_that_is_not_there_can_t_be_watched() {
    let house = Arc::new(House::<()>::new(hostel::engine()));
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [root.path().join("missing"), file] {
        let directory = PluginDirectory::new(house.clone(), &path, |_| quiet());
        let error = directory.watch().unwrap_err();
        assert_eq!((error.code(), error.path()), ("file-missing", &*path));
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_what_is_no_file_is_refused() {
    use std::os::unix::fs::symlink;
    let mut place = Place::new();
    // As volumes of settings are swapped: a hidden link to a directory, and links through it.
    for (version, text) in [("..1", "one"), ("..2", "two")] {
        fs::create_dir(place.file(version)).unwrap();
        install_module(place.file(version).join("name.wasm"), &that_says(text)).unwrap();
    }
    symlink("..1", place.file("..data")).unwrap();
    symlink("..data/name.wasm", place.file("name.wasm")).unwrap();
    symlink("nowhere", place.file("dangling.wasm")).unwrap();
    fs::create_dir(place.file("directory.wasm")).unwrap();
    let pipe = place.file("pipe.wasm");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.expect("mkfifo starts").success());
    let _watched = place.watch();
    let expected = [
        "dangling.wasm: file-missing",
        "directory.wasm: file-is-directory",
        "loaded name",
        "pipe.wasm: file-not-regular",
    ];
    assert_eq!(place.rest(), expected);
    symlink("..2", place.file("..new")).unwrap();
    fs::rename(place.file("..new"), place.file("..data")).unwrap();
    place.until("replaced name");
    assert_eq!(place.says("name"), "two");
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_text_is_refused() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let mut place = Place::new();
    let path = place.plugins().join(OsStr::from_bytes(b"\xff.wasm"));
    fs::write(&path, that_says("it")).unwrap();
    let mut directory = place.directory.take().unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["\u{fffd}.wasm: file-name"]);
    fs::remove_file(path).unwrap();
    directory.rescan();
    assert_eq!((place.rest(), place.house.list()), (vec![], vec![]));
}

#[test]
fn a_panic_of_the_embedder_s_does_not_end_the_watch() {
    let root = TempDir::new().unwrap();
    let house = Arc::new(House::<()>::new(hostel::engine()));
    let grants = |name: &str| {
        assert_ne!(name, "unlucky");
        quiet()
    };
    let (send, events) = mpsc::channel();
    let watched = PluginDirectory::new(house.clone(), root.path(), grants)
        .observer(move |event| {
            send.send(told(&event)).unwrap();
            panic!("at each event");
        })
        .watch()
        .unwrap();
    for (name, expected) in [
        ("unlucky", "unlucky.wasm: host-panicked"),
        ("lucky", "loaded lucky"),
    ] {
        let path = root.path().join(name).with_extension("wasm");
        install_module(path, &that_says("it")).unwrap();
        assert_eq!(events.recv_timeout(FOR_EVER).as_deref(), Ok(expected));
    }
    drop(watched);
    // The thread has ended, and holds nothing any more.
    assert_eq!(Arc::strong_count(&house), 1);
    assert_eq!(house.list(), ["lucky"]);
}

#[test]
fn the_observer_can_end_the_watch() {
    let mut place = Place::new();
    let slot = Arc::new(Mutex::new(None::<WatchedDirectory>));
    let (inside, (send, dropped)) = (slot.clone(), mpsc::channel());
    let directory = PluginDirectory::new(place.house.clone(), place.plugins(), |_| quiet());
    let directory = directory.observer(move |_| {
        let watched = inside.lock().unwrap().take();
        drop(watched);
        send.send(()).unwrap();
    });
    place.directory = None;
    *slot.lock().unwrap() = Some(directory.watch().unwrap());
    place.install("name.wasm", "it");
    dropped.recv_timeout(FOR_EVER).unwrap();
    soon(|| Arc::strong_count(&place.house) == 1);
}

#[test]
fn grants_are_each_plugin_s_own() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = lines.clone();
    let mut place = Place::granting(move |name| {
        let (name, log) = (name.to_owned(), log.clone());
        Grants::new().log(move |record: &LogRecord<'_>| {
            assert_eq!(record.plugin, name);
            log.lock().unwrap().push(name.clone());
        })
    });
    place.install("one.wasm", "1");
    place.install("two.wasm", "2");
    place.directory.take().unwrap().rescan();
    // The smoke calls log, too.
    assert_eq!(*lines.lock().unwrap(), ["one", "two"]);
    assert_eq!(place.says("one") + &place.says("two"), "12");
    assert_eq!(*lines.lock().unwrap(), ["one", "two", "one", "two"]);
}

#[test]
fn an_installed_module_is_whole_and_alone() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("name.wasm");
    for text in ["one", "another"] {
        install_module(&path, &that_says(text)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), that_says(text));
    }
    let in_root = || fs::read_dir(root.path()).unwrap().count();
    assert_eq!(in_root(), 1);
    let inside = |name: &str| root.path().join(name);
    fs::create_dir(inside("directory.wasm")).unwrap();
    for path in [
        inside("missing").join("name.wasm"),
        inside("directory.wasm"),
        PathBuf::from("/"),
    ] {
        let error = install_module(&path, b"x").unwrap_err();
        assert_eq!((error.code(), error.path()), ("file-unwritable", &*path));
    }
    assert_eq!(in_root(), 2);
    // Others at the same time write other temporary files.
    thread::scope(|scope| {
        for text in ["a", "b"] {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..20 {
                    install_module(path, &that_says(text)).unwrap();
                }
            });
        }
    });
    let found = fs::read(&path).unwrap();
    assert!(found == that_says("a") || found == that_says("b"));
    assert_eq!(in_root(), 2);
}

#[cfg(unix)]
#[test]
fn a_link_is_replaced_and_what_it_led_to_stays() {
    let root = TempDir::new().unwrap();
    let (target, link) = (root.path().join("target"), root.path().join("link.wasm"));
    fs::write(&target, "stays").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    install_module(&link, b"new").unwrap();
    assert_eq!(fs::read_to_string(target).unwrap(), "stays");
    assert_eq!(fs::read_to_string(&link).unwrap(), "new");
    assert!(!is_link(&link));
}

#[cfg(unix)]
fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).unwrap().is_symlink()
}
