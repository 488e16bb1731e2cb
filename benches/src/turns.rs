//! Taking turns.

use std::time::{Duration, Instant};

/// The time of one call of each in its best of `turns` turns of `calls` calls.
pub fn best_of<const N: usize>(
    turns: usize,
    calls: u32,
    mut work: [&mut dyn FnMut(); N],
) -> [Duration; N] {
    let mut best = [Duration::MAX; N];
    for _ in 0..turns {
        for (best, work) in best.iter_mut().zip(&mut work) {
            let start = Instant::now();
            for _ in 0..calls {
                work();
            }
            *best = (*best).min(start.elapsed() / calls);
        }
    }
    best
}

/// The median time of one call of each, over `turns` turns of `calls` calls.
pub fn median_of<const N: usize>(
    turns: usize,
    calls: u32,
    mut work: [&mut dyn FnMut(); N],
) -> [Duration; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..turns {
        for (times, work) in times.iter_mut().zip(&mut work) {
            let start = Instant::now();
            for _ in 0..calls {
                work();
            }
            times.push(start.elapsed() / calls);
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[turns / 2]
    })
}
