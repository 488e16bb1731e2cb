//! Plugins that are called, replaced and removed at once.

use super::{GUEST, engine, grants, threads};
use hostel_core::{CallError, Host, HostError, Version};
use hostel_schedules::{Std, explore};
use std::sync::Arc;

/// Returns a host whose plugin `guest` has one instance.
fn host() -> Arc<Host> {
    let host = Arc::new(Host::new(engine(1, Std::new())));
    let wasm = wat::parse_str(GUEST).unwrap();
    host.insert("guest", &wasm, &grants(1)).unwrap();
    host
}

/// A version, and the one that it replaced.
type Replaced = (Option<Version>, Version);

/// Tries to replace the plugin by a new version of it, which is called first.
fn replace(host: &Host) -> Result<Replaced, HostError> {
    let wasm = wat::parse_str(GUEST).unwrap();
    let before = host.version("guest").ok();
    let smoke = |plugin: &hostel_core::Plugin| plugin.process(b"b").map(drop);
    let version = host.replace_version("guest", before, &wasm, &grants(1), smoke)?;
    Ok((before, version))
}

/// Asserts that each version replaced another one, and that the plugin is the last, if it is loaded.
fn are_in_order(host: &Host, replaced: &[Option<Replaced>]) {
    let (mut before, mut numbers): (Vec<_>, Vec<_>) = replaced
        .iter()
        .flatten()
        .filter_map(|(before, version)| Some((before.as_ref()?.number, version.number)))
        .unzip();
    for list in [&mut before, &mut numbers] {
        list.sort_unstable();
        assert!(list.is_sorted_by(|a, b| a < b), "{replaced:?}");
    }
    if let Ok(version) = host.version("guest") {
        let last = replaced
            .iter()
            .flatten()
            .map(|(_, version)| version.number)
            .max();
        assert_eq!(version.number, last.unwrap_or(1));
    }
}

#[test]
fn each_call_is_answered_while_its_plugin_is_replaced() {
    explore(|| {
        let host = host();
        let shared = host.clone();
        let replaced = threads(5, move |number| match number {
            0..3 => {
                assert_eq!(shared.process("guest", b"a").unwrap(), b"a");
                None
            }
            _ => match replace(&shared) {
                Ok(replaced) => Some(replaced),
                Err(error) => {
                    assert_eq!(error.code(), "superseded");
                    None
                }
            },
        });
        assert!(replaced.iter().any(Option::is_some), "nobody came first");
        are_in_order(&host, &replaced);
    });
}

#[test]
fn a_plugin_that_is_removed_answers_or_is_gone() {
    explore(|| {
        let host = host();
        let shared = host.clone();
        let replaced = threads(5, move |number| match number {
            0 | 1 => {
                match shared.process("guest", b"a") {
                    Ok(output) => assert_eq!(output, b"a"),
                    // Found before it was removed, and called after.
                    Err(HostError::Call(CallError::Closed)) => {}
                    Err(error) => assert_eq!(error.code(), "unknown-plugin"),
                }
                None
            }
            2 | 3 => match replace(&shared) {
                Ok(replaced) => Some(replaced),
                Err(error) => {
                    let code = error.code();
                    let lost = ["superseded", "unknown-plugin", "name-taken"];
                    assert!(lost.contains(&code), "{code}");
                    None
                }
            },
            _ => {
                shared.remove("guest").unwrap();
                None
            }
        });
        are_in_order(&host, &replaced);
    });
}
