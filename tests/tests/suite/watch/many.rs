//! Many directories that one thread watches.

use super::{Place, soon};
use hostel::{DirectoryEvent, Grants, Host, Limits, PluginDirectory, install_module};
use hostel_tests::{quiet, that_says};
use std::{fs, sync::Arc};

/// Number of threads of this process that watch directories.
#[cfg(target_os = "linux")]
fn watching_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("the system tells its threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "hostel-watch").count()
}

#[test]
fn one_thread_watches_all_directories() {
    let mut places: Vec<_> = (0..20).map(|_| Place::new()).collect();
    let mut watched: Vec<_> = places.iter_mut().map(Place::watch).collect();
    // A thread of an earlier test may be about to end.
    #[cfg(target_os = "linux")]
    soon(|| watching_threads() == 1);
    for (at, place) in places.iter().enumerate() {
        place.install("a.wasm", &format!("says {at}"));
    }
    for (at, place) in places.iter().enumerate() {
        assert_eq!(place.until("loaded a"), [""; 0]);
        assert_eq!(place.says("a"), format!("says {at}"));
    }
    // Of those that are watched no more, nothing is loaded; the others go on.
    let others = watched.split_off(10);
    drop(watched);
    for place in &places {
        place.install("b.wasm", "b");
    }
    for (at, place) in places.iter().enumerate() {
        if at >= 10 {
            place.until("loaded b");
        } else {
            assert_eq!(place.says("b"), "unknown-plugin");
            assert_eq!(place.rest(), [""; 0]);
        }
    }
    drop(others);
}

#[test]
fn a_directory_can_be_watched_twice() {
    let mut place = Place::new();
    let first = place.watch();
    let other = Arc::new(Host::new(hostel::engine()));
    let second = PluginDirectory::new(other.clone(), place.plugins(), |_| quiet());
    let second = second.watch().expect("it is a directory");
    place.install("a.wasm", "a");
    place.until("loaded a");
    soon(|| other.list() == ["a"]);
    drop(first);
    place.install("b.wasm", "b");
    soon(|| other.list() == ["a", "b"]);
    assert_eq!(place.says("b"), "unknown-plugin");
    drop(second);
}

#[test]
fn an_observer_may_end_another_watch() {
    let mut place = Place::new();
    let mut watched = Some(place.watch());
    let other = Place::new();
    let directory = PluginDirectory::new(other.host.clone(), other.plugins(), |_| quiet());
    let directory = directory.with_observer(move |event| {
        if matches!(event, DirectoryEvent::Loaded { .. }) {
            drop(watched.take());
        }
    });
    let own = directory.watch().expect("it is a directory");
    other.install("a.wasm", "a");
    soon(|| other.says("a") == "a");
    drop(own);
    place.install("a.wasm", "a");
    assert_eq!(place.says("a"), "unknown-plugin");
}

#[test]
fn each_plugin_of_a_directory_has_limits_of_its_own() {
    let place = Place::new();
    let host = Arc::new(Host::new(hostel::engine()));
    let grants = |name: &str| {
        let mut limits = Limits::server();
        if name == "small" {
            limits.module_bytes = 10;
        } else {
            limits.instances = 3;
        }
        quiet().with_limits(limits)
    };
    let mut directory = PluginDirectory::new(host.clone(), place.plugins(), grants);
    for name in ["small.wasm", "large.wasm"] {
        install_module(place.file(name), &that_says(name)).unwrap();
    }
    directory.rescan();
    assert_eq!(host.list(), ["large"]);
    assert_eq!(host.get("large").unwrap().limits().instances, 3);
    let small = Grants::<()>::new().with_limits({
        let mut limits = Limits::server();
        limits.module_bytes = 10;
        limits
    });
    let refused = hostel::load_file(&hostel::engine(), place.file("large.wasm"), &small);
    assert_eq!(refused.unwrap_err().code(), "module-too-large");
}
