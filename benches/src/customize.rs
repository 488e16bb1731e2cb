//! A whole call of the plugin `customize` with "hello world".

use crate::{bare::BarePlugin, turns::best_of};
use hostel::{Grants, LogRecord};
use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const TURNS: usize = 60;
const CALLS: u32 = 5_000;
const INPUT: &[u8] = b"hello world";
const ANSWER: &[u8] = b"CUSTOM_HELLO WORLD";

/// Measures and prints. There is no target.
pub fn run() -> bool {
    for (name, wasm) in [
        (
            "customize (Rust)",
            &include_bytes!("../../guests/prebuilt/customize.wasm")[..],
        ),
        (
            "customize (C)",
            &include_bytes!("../../guests/prebuilt/c_customize.wasm")[..],
        ),
    ] {
        let bare_plugin = BarePlugin::new(wasm, "CUSTOM").expect("bare wasmi loads the guest");
        let mut bare = bare_plugin.instantiate().expect("the guest starts");
        let logged = Arc::new(AtomicU64::new(0));
        let seen = logged.clone();
        let grants = Grants::new()
            .log(move |record: &LogRecord<'_>| {
                seen.fetch_add(record.text.raw().len() as u64, Ordering::Relaxed);
            })
            .config([("prefix", "CUSTOM")]);
        let plugin = hostel::engine()
            .load("customize", wasm, &grants)
            .expect("the guest loads");
        let mut held = plugin.instantiate(()).expect("the guest starts");

        let mut output = Vec::new();
        let mut buffer = [0; 64];
        bare.process(INPUT, &mut output).expect("the guest answers");
        assert_eq!(output, ANSWER);
        assert_eq!(held.process(INPUT).expect("the guest answers"), ANSWER);

        let (mut new_output, mut new_buffer) = (Vec::new(), [0; 64]);
        let [by_hand, in_instance, by_hand_new, in_plugin] = best_of(
            TURNS,
            CALLS,
            [
                &mut || {
                    bare.process(black_box(INPUT), &mut output)
                        .expect("the guest answers")
                },
                &mut || {
                    held.process_into(black_box(INPUT), &mut buffer)
                        .expect("the guest answers");
                },
                &mut || {
                    let mut new = bare_plugin.instantiate().expect("the guest starts");
                    new.process(black_box(INPUT), &mut new_output)
                        .expect("the guest answers");
                },
                &mut || {
                    plugin
                        .with_instance(|instance| {
                            instance.process_into(black_box(INPUT), &mut new_buffer)
                        })
                        .expect("the guest answers");
                },
            ],
        );
        let ratio = |time: Duration| time.as_secs_f64() / by_hand.as_secs_f64();
        println!("{name}, \"hello world\", fuel on in all, best of {TURNS} turns of {CALLS} calls");
        println!("  bare wasmi, five guest calls by hand  {by_hand:>10.1?}  1.00");
        println!(
            "  hostel, an instance held              {in_instance:>10.1?}  {:.2}",
            ratio(in_instance)
        );
        println!(
            "  bare wasmi, instantiated for each call{by_hand_new:>10.1?}  {:.2}",
            ratio(by_hand_new)
        );
        println!(
            "  hostel, lent, called, made as new     {in_plugin:>10.1?}  {:.2}, {:.2} of a held one's; \
            so lending and making as new take {:.1?}",
            ratio(in_plugin),
            in_plugin.as_secs_f64() / in_instance.as_secs_f64(),
            in_plugin.saturating_sub(in_instance),
        );
        println!("  bytes logged {}", logged.load(Ordering::Relaxed));
    }
    true
}
