//! The system's memory that an idle instance takes, beside an instance of bare wasmi after a call. Each is
//! measured in a process of its own: what others have freed would be used again.

use crate::bare::BarePlugin;
use hostel::{Grants, Limits, LogRecord, Plugin};
use std::process::Command;

const INSTANCES: usize = 64;
const INPUT: &[u8] = b"hello world";

/// A guest, and the most that an idle instance may take, as a part of bare wasmi's.
struct Guest {
    name: &'static str,
    wasm: &'static [u8],
    most: f64,
}

const GUESTS: &[Guest] = &[
    Guest {
        name: "one page (Rust, a small stack)",
        wasm: include_bytes!("../../guests/prebuilt/customize.wasm"),
        most: 1.2,
    },
    Guest {
        name: "17 pages (Rust)",
        wasm: include_bytes!("../../guests/prebuilt/default_customize.wasm"),
        most: 0.1,
    },
];

/// The argument by which this program measures one of them: `hostel NAME` or `bare NAME` follows.
pub const MEASURE: &str = "idle-instances-of";

/// Measures and prints; whether no guest takes more than it may.
pub fn run() -> bool {
    if resident().is_none() {
        println!("the system does not tell how much memory idle instances take");
        return true;
    }
    println!("what one of {INSTANCES} instances takes of the system's memory after two calls");
    GUESTS.iter().fold(true, |met, guest| {
        let [bare, hostel] = ["bare", "hostel"].map(|host| in_a_process(host, guest.name));
        let ratio = hostel as f64 / bare as f64;
        let missed = if ratio > guest.most { ", missed" } else { "" };
        println!(
            "{}: bare wasmi, held {bare} bytes; hostel, idle {hostel} bytes, {ratio:.2} (at most {:.2}{missed})",
            guest.name, guest.most
        );
        met && missed.is_empty()
    })
}

/// Starts this program to measure a guest on a host, and returns the bytes.
fn in_a_process(host: &str, name: &str) -> usize {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program)
        .args([MEASURE, &format!("{host} {name}")])
        .output()
        .expect("this program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("it prints a number of bytes")
}

/// Measures what `host NAME` says, and prints the bytes.
pub fn measure(what: &str) {
    let (host, name) = what.split_once(' ').expect("a host and a guest");
    let guest = GUESTS.iter().find(|guest| guest.name == name);
    let guest = guest.expect("a guest of the list");
    let held = if host == "bare" {
        of_bare(guest)
    } else {
        of_hostel(guest)
    };
    println!("{held}");
}

fn of_bare(guest: &Guest) -> usize {
    let bare = BarePlugin::new(guest.wasm, "CUSTOM").expect("bare wasmi loads the guest");
    let mut output = Vec::new();
    let mut instances = Vec::with_capacity(INSTANCES);
    // Of the first, also what there is but once.
    let mut before = 0;
    for _ in 0..=INSTANCES {
        let mut instance = bare.instantiate().expect("the guest starts");
        for _ in 0..2 {
            instance
                .process(INPUT, &mut output)
                .expect("the guest answers");
        }
        instances.push(instance);
        if instances.len() == 1 {
            before = resident().unwrap_or(0);
        }
    }
    resident().unwrap_or(0).saturating_sub(before) / INSTANCES
}

fn of_hostel(guest: &Guest) -> usize {
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| {
            std::hint::black_box(record.text.raw());
        })
        .config([("prefix", "CUSTOM")]);
    let mut limits = Limits::server();
    (limits.idle, limits.instances) = (INSTANCES + 1, INSTANCES + 1);
    let plugin: Plugin = hostel::engine_with(limits)
        .load("customize", guest.wasm, &grants)
        .expect("the guest loads");
    for _ in 0..2 {
        plugin.process(INPUT).expect("the guest answers");
    }
    let before = resident().unwrap_or(0);
    for _ in 0..2 {
        call_within_calls(&plugin, INSTANCES);
    }
    assert_eq!(plugin.pool_figures().idle, INSTANCES + 1);
    resident().unwrap_or(0).saturating_sub(before) / INSTANCES
}

/// Calls the plugin in so many more instances than one, all in use at once.
fn call_within_calls(plugin: &Plugin, more: usize) {
    let called = plugin.with_instance(|instance| {
        if more > 0 {
            call_within_calls(plugin, more - 1);
        }
        instance.process(INPUT)
    });
    called.expect("the guest answers");
}

/// Returns the bytes of memory that this process holds; `None` if the system does not tell.
fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = pages.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4_096)
}
