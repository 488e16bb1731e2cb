//! A call in an instance from the pool, beside bare wasmi with a new instance for each call. The guests
//! are as compilers build them by default, but for the first.

use crate::{
    bare::{Bare, BarePlugin},
    turns::median_of,
};
use hostel::{Grants, LogRecord};
use std::{hint::black_box, time::Duration};

const TURNS: usize = 41;
const CALLS: u32 = 200;
const INPUT: &[u8] = b"hello world";
const ANSWER: &[u8] = b"CUSTOM_HELLO WORLD";

/// A guest, and the most that a call in the pool may take, as a part of bare wasmi's.
struct Guest {
    name: &'static str,
    wasm: &'static [u8],
    target: f64,
}

const GUESTS: &[Guest] = &[
    Guest {
        name: "one page, which never grows (Rust, a small stack)",
        wasm: include_bytes!("../../guests/prebuilt/customize.wasm"),
        target: 0.6,
    },
    Guest {
        name: "one page, which never grows (C)",
        wasm: include_bytes!("../../guests/prebuilt/c_customize.wasm"),
        target: 0.6,
    },
    Guest {
        name: "17 pages, which never grow (Rust)",
        wasm: include_bytes!("../../guests/prebuilt/default_customize.wasm"),
        target: 0.35,
    },
    Guest {
        name: "17 pages, which grow in the first call (Rust with std)",
        wasm: include_bytes!("../../guests/prebuilt/default_std_customize.wasm"),
        target: 0.35,
    },
    Guest {
        name: "a memory that grows in the first call (Zig)",
        wasm: include_bytes!("../../guests/prebuilt/zig_customize.wasm"),
        target: 0.35,
    },
];

/// Measures and prints; whether each guest met its target.
pub fn run() -> bool {
    println!("a call with \"hello world\" from the pool, median of {TURNS} turns of {CALLS} calls");
    GUESTS.iter().fold(true, |met, guest| measure(guest) && met)
}

fn measure(guest: &Guest) -> bool {
    let bare = BarePlugin::new(guest.wasm, "CUSTOM").expect("bare wasmi loads the guest");
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| {
            black_box(record.text.raw());
        })
        .config([("prefix", "CUSTOM")]);
    let plugin = hostel::engine()
        .load("customize", guest.wasm, &grants)
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
    let missed = if ratio(pooled) > guest.target {
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
        "  hostel, an instance from the pool       {pooled:>10.1?}  {:.2} (target {:.2}{missed})",
        ratio(pooled),
        guest.target,
    );
    ratio(pooled) <= guest.target
}
