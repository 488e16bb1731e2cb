//! The cases: what every host is asked to do.

use crate::guests::{BLOCKS, EXAMPLES, Guest, HOST_CALLS, KERNELS};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// The example in an instance that is kept between calls, with an input of so many bytes.
    Held(Guest, usize),
    /// The example in an instance that is as new, by the host's means to make that cheap.
    Reused(Guest, usize),
    /// The example in a new instance.
    New(Guest, usize),
    /// `add(10, 20)` in an instance that is kept.
    AddHeld,
    /// `add(10, 20)` in an instance that is as new.
    AddReused,
    /// Host calls that pass a number.
    HostNumbers,
    /// Host calls that read 32 bytes of the guest's.
    HostBytes,
    /// Host calls that make a block of memory.
    Blocks,
    /// Loading a module that the host has not seen, and a first call.
    Load(Guest),
    /// Loading a module while it is loaded already, and a first call.
    LoadAgain(Guest),
    /// The example on so many threads at once, each time in an instance that is as new.
    Threads(Guest, u32),
    /// A computation.
    Kernel(usize),
}

/// A row of a table.
pub struct Case {
    /// The table and chart that it belongs to.
    pub group: &'static str,
    pub name: String,
    pub work: Work,
    /// By how much the time of a round is divided.
    pub parts: u32,
}

/// What the groups are called in the report, in its order, and what they show.
pub const GROUPS: &[(&str, &str, &str)] = &[
    (
        "calls",
        "A call with 11 bytes",
        "The plugin upper-cases `hello world` behind a prefix that it asks the host for, and logs a line. *held*: in an \
        instance that is kept, so that a call sees what earlier ones left. *as new*: no call sees another's state, by the \
        host's own means: hostel's pool, wasmtime's pooling allocator. *new*: a new instance for each call.",
    ),
    (
        "sizes",
        "Larger inputs",
        "Rust with std, in an instance that is kept.",
    ),
    (
        "numbers",
        "Numbers and host calls",
        "`add(10, 20)`; and a host call, of which one call of the guest makes 1,000, or 10,000 for blocks.",
    ),
    (
        "load",
        "From the module to the first answer",
        "Loading, an instance and a call with 11 bytes. *again*: while the module is loaded already.",
    ),
    (
        "threads",
        "Two threads",
        "A call as new on each of the threads, by the clock; the time is that of one call, so that half of it is twice \
        the calls in a second.",
    ),
    (
        "kernels",
        "Where a compiler wins",
        "Computation alone. Interpreters, hostel among them, are many times slower than compilers here: a plugin that \
        computes for milliseconds belongs on a compiler.",
    ),
];

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |group, name: &str, work, parts| {
        cases.push(Case {
            group,
            name: name.into(),
            work,
            parts,
        });
    };
    for (guest, name) in EXAMPLES {
        add("calls", &format!("{name}: held"), Work::Held(*guest, 11), 1);
        add(
            "calls",
            &format!("{name}: as new"),
            Work::Reused(*guest, 11),
            1,
        );
        add("calls", &format!("{name}: new"), Work::New(*guest, 11), 1);
    }
    for (bytes, name) in [
        (11, "11 B"),
        (1 << 10, "1 KiB"),
        (64 << 10, "64 KiB"),
        (1 << 20, "1 MiB"),
    ] {
        add("sizes", name, Work::Held(Guest::RustStd, bytes), 1);
    }
    add("numbers", "add: held", Work::AddHeld, 1);
    add("numbers", "add: as new", Work::AddReused, 1);
    add(
        "numbers",
        "host call, a number",
        Work::HostNumbers,
        HOST_CALLS,
    );
    add(
        "numbers",
        "host call, 32 bytes",
        Work::HostBytes,
        HOST_CALLS,
    );
    add(
        "numbers",
        "a block of 32 bytes from Extism's environment",
        Work::Blocks,
        BLOCKS,
    );
    for guest in [
        Guest::Small,
        Guest::Rust,
        Guest::RustStd,
        Guest::AssemblyScript,
        Guest::Go,
        Guest::Hand,
    ] {
        let (_, name) = EXAMPLES
            .iter()
            .find(|(example, _)| *example == guest)
            .expect("it is an example");
        add("load", name, Work::Load(guest), 1);
        add("load", &format!("{name}: again"), Work::LoadAgain(guest), 1);
    }
    for guest in [Guest::Small, Guest::RustStd] {
        let (_, name) = EXAMPLES
            .iter()
            .find(|(example, _)| *example == guest)
            .expect("it is an example");
        add(
            "threads",
            &format!("{name}: 1 thread"),
            Work::Threads(guest, 1),
            1,
        );
        add(
            "threads",
            &format!("{name}: 2 threads"),
            Work::Threads(guest, 2),
            1,
        );
    }
    for (index, (name, _)) in KERNELS.iter().enumerate() {
        add("kernels", name, Work::Kernel(index), 1);
    }
    cases
}
