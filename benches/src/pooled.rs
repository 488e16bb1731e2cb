//! A call in an instance from the pool, beside bare wasmi with a new instance for each call. The guests
//! are as compilers build them by default, but for the first.

use crate::{
    bare::{Bare, BarePlugin},
    turns::median_of,
};
use hostel::{Grants, Instance, LogRecord};
use std::{borrow::Cow, hint::black_box, time::Duration};

// Short turns: one that the system interrupts counts only as one of many.
const TURNS: usize = 301;
const CALLS: u32 = 20;
const INPUT: &[u8] = b"hello world";
const ANSWER: &[u8] = b"CUSTOM_HELLO WORLD";

/// A guest, and the most that a call in the pool may take, as a part of bare wasmi's. That writes all of the
/// memory once for each call. So does hostel if the memory has grown, since wasmi fills a new one; that leaves
/// little to gain, unless there is a start. Else it writes what the call touched, or up to 128 KiB.
struct Guest<'a> {
    name: &'static str,
    wasm: &'a [u8],
    /// Whether hostel loads a snapshot that was taken after a call, so that later ones need not grow the memory.
    snapshot: bool,
    most: f64,
}

const GUESTS: &[Guest<'static>] = &[
    Guest {
        name: "one page, which never grows (Rust, a small stack)",
        wasm: include_bytes!("../../guests/prebuilt/customize.wasm"),
        snapshot: false,
        most: 0.95,
    },
    Guest {
        name: "one page, which never grows (C)",
        wasm: include_bytes!("../../guests/prebuilt/c_customize.wasm"),
        snapshot: false,
        most: 0.95,
    },
    Guest {
        name: "17 pages, which never grow (Rust)",
        wasm: include_bytes!("../../guests/prebuilt/default_customize.wasm"),
        snapshot: false,
        most: 0.45,
    },
    Guest {
        name: "17 pages, which grow in the first call (Rust with std)",
        wasm: include_bytes!("../../guests/prebuilt/default_std_customize.wasm"),
        snapshot: false,
        most: 1.25,
    },
    Guest {
        name: "a memory that grows in the first call (Zig)",
        wasm: include_bytes!("../../guests/prebuilt/zig_customize.wasm"),
        snapshot: false,
        most: 1.25,
    },
    Guest {
        name: "17 pages, grown in a call before the snapshot (Rust with std)",
        wasm: include_bytes!("../../guests/prebuilt/default_std_customize.wasm"),
        snapshot: true,
        most: 0.45,
    },
    Guest {
        name: "a memory grown in a call before the snapshot (Zig)",
        wasm: include_bytes!("../../guests/prebuilt/zig_customize.wasm"),
        snapshot: true,
        most: 0.45,
    },
];

/// A guest whose start computes 64 KiB, and which grows in each first call.
const LEARNING: &str = r#"(module (memory (export "memory") 2 3)
    (data (i32.const 8) "CUSTOM_HELLO WORLD")
    (func $learn (local $at i32)
      (loop $on
        (i32.store (i32.add (local.get $at) (i32.const 65536))
          (i32.mul (local.get $at) (i32.const 2654435761)))
        (br_if $on (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 65536)))))
    (start $learn)
    (func (export "allocate") (param i32) (result i32) (i32.const 64))
    (func (export "deallocate") (param i32 i32))
    (func (export "process") (param i32 i32) (result i64)
      (drop (memory.grow (i32.const 1)))
      (i64.const 0x8_0000_0012)))"#;

/// Measures and prints; whether no guest takes longer than it may.
pub fn run() -> bool {
    println!("a call with \"hello world\" from the pool, median of {TURNS} turns of {CALLS} calls");
    let learning = wat::parse_str(LEARNING).expect("the guest assembles");
    let learning = Guest {
        name: "2 pages, which grow in the first call, after a start of 200,000 fuel",
        wasm: &learning,
        snapshot: false,
        most: 0.1,
    };
    let met = measure(&learning);
    GUESTS.iter().fold(met, |met, guest| measure(guest) && met)
}

fn measure(guest: &Guest<'_>) -> bool {
    let bare = BarePlugin::new(guest.wasm, "CUSTOM").expect("bare wasmi loads the guest");
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| {
            black_box(record.text.raw());
        })
        .config([("prefix", "CUSTOM")]);
    let engine = hostel::engine();
    let wasm = if guest.snapshot {
        let warm = |instance: &mut Instance| instance.process(INPUT).map(drop);
        let snapshot = engine.snapshot("customize", guest.wasm, &grants, warm);
        Cow::Owned(snapshot.expect("there is a snapshot"))
    } else {
        Cow::Borrowed(guest.wasm)
    };
    let plugin = engine
        .load("customize", &wasm, &grants)
        .expect("the guest loads");
    let mut held_bare = bare.instantiate().expect("the guest starts");
    let mut held = plugin.instantiate(()).expect("the guest starts");
    let bytes = held.memory_bytes();
    let (mut output, mut buffer) = (Vec::new(), [0; 64]);
    let (mut new_output, mut new_buffer) = (Vec::new(), [0; 64]);
    let mut call_new = || {
        let mut new: Bare = bare.instantiate().expect("the guest starts");
        new.process(black_box(INPUT), &mut new_output)
            .expect("the guest answers");
    };
    let mut call_pooled = || {
        plugin
            .with_instance(|instance| instance.process_into(black_box(INPUT), &mut new_buffer))
            .expect("the guest answers");
    };
    let [by_hand, in_instance, new, pooled] = median_of(
        TURNS,
        CALLS,
        [
            &mut || {
                held_bare
                    .process(black_box(INPUT), &mut output)
                    .expect("the guest answers");
            },
            &mut || {
                held.process_into(black_box(INPUT), &mut buffer)
                    .expect("the guest answers");
            },
            &mut call_new,
            &mut call_pooled,
        ],
    );
    assert_eq!(output, ANSWER);
    assert_eq!(new_output, ANSWER);
    assert!(buffer.starts_with(ANSWER) && new_buffer.starts_with(ANSWER));
    let ratio = |time: Duration| time.as_secs_f64() / new.as_secs_f64();
    let figures = plugin.pool_figures();
    let missed = if ratio(pooled) > guest.most {
        ", missed"
    } else {
        ""
    };
    println!(
        "{}: {bytes} bytes at first, {} after a call; {} of {} instances reused",
        guest.name,
        held.memory_bytes(),
        figures.resets,
        figures.resets + figures.discards,
    );
    println!(
        "  bare wasmi, an instance held            {by_hand:>10.1?}  {:.2}",
        ratio(by_hand)
    );
    println!(
        "  hostel, an instance held                {in_instance:>10.1?}  {:.2}",
        ratio(in_instance)
    );
    println!("  bare wasmi, instantiated for each call  {new:>10.1?}  1.00");
    println!(
        "  hostel, an instance from the pool       {pooled:>10.1?}  {:.2} (at most {:.2}{missed})",
        ratio(pooled),
        guest.most,
    );
    ratio(pooled) <= guest.most
}
