//! Instances made ahead of calls: with the result of one made for the call, and not for ever in vain.

use core::time::Duration;
use hostel::{Budget, Grants, Host, Limits, Plugin, Usage, keep_warm};
use hostel_tests::{Lines, assemble, code, must_end, try_load_wat, with_allocator};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A guest whose start calls the host three times, logs, and gets text from the host.
fn busy_start() -> String {
    with_allocator(
        r#"(import "env" "host_log" (func $log (param i32 i32)))
           (import "env" "text" (func $text (param i32)))"#,
        r#"(data (i32.const 64) "started")
           (func (export "_initialize")
             (call $log (i32.const 64) (i32.const 7))
             (call $log (i32.const 64) (i32.const 7))
             (call $text (i32.const 128)))
           (func (export "f") (call $log (i32.const 64) (i32.const 7)))"#,
    )
}

/// Calls `f` with `budget`, in an instance that was made ahead with `ahead` or for the call. Returns
/// the result, and what was used.
fn seen(ahead: Option<Budget>, budget: Budget) -> (&'static str, Usage) {
    let mut limits = Limits::server();
    limits.warm = 1;
    let grants = Lines::default()
        .granted::<()>()
        .function("env", "text", || "some text");
    let engine = hostel::engine_with(limits);
    let plugin: Plugin = try_load_wat(&engine, &busy_start(), &grants).unwrap();
    if let Some(ahead) = ahead {
        assert_eq!(plugin.with_budget(ahead).warm_up(), Ok(1));
    }
    let plugin = plugin.with_budget(budget);
    let (result, used) = plugin.with_instance_metered(|instance| instance.call::<(), ()>("f", ()));
    (code(&result), used)
}

#[test]
fn a_call_has_the_result_and_the_use_that_it_has_in_a_new_instance() {
    type Change = fn(&mut Budget, usize);
    let changes: [(&str, Change); 6] = [
        ("fuel", |budget, at| budget.fuel = 40 * at as u64),
        ("host_calls", |budget, at| budget.host_calls = at as u32),
        ("log_records", |budget, at| budget.log_records = at as u32),
        ("log_bytes", |budget, at| budget.log_bytes = 7 * at as u32),
        ("bytes_to_guest", |budget, at| {
            budget.bytes_to_guest = 3 * at
        }),
        ("argument_bytes", |budget, at| {
            budget.argument_bytes = 2 * at
        }),
    ];
    let mut codes = Vec::new();
    for (what, change) in changes {
        for at in 0..6 {
            let mut budget = Budget::server();
            change(&mut budget, at);
            let cold = seen(None, budget);
            codes.push(cold.0);
            // Made ahead with a larger budget, and with a smaller log.
            let mut other = Budget::server();
            assert_eq!(seen(Some(other), budget), cold, "{what} {at}");
            other.log_records = 1;
            assert_eq!(seen(Some(other), budget), cold, "{what} {at}");
        }
    }
    for expected in [
        "ok",
        "out-of-fuel",
        "host-calls",
        "arena-bytes",
        "argument-too-large",
    ] {
        assert!(codes.contains(&expected), "{expected}");
    }
}

#[test]
fn an_instance_made_ahead_stays_for_calls_that_it_fits() {
    let mut limits = Limits::server();
    limits.warm = 1;
    let grants = Lines::default()
        .granted::<()>()
        .function("env", "text", || "some text");
    let plugin: Plugin =
        try_load_wat(&hostel::engine_with(limits), &busy_start(), &grants).unwrap();
    plugin.warm_up().unwrap();
    let mut small = Budget::server();
    small.host_calls = 2;
    let refused = plugin.with_budget(small).call::<(), ()>("f", ());
    assert_eq!(code(&refused), "host-calls");
    assert_eq!(plugin.pool_figures().idle, 1);
    assert_eq!(plugin.call::<(), ()>("f", ()), Ok(()));
    assert_eq!(plugin.pool_figures().idle, 0, "that call took it");
}

#[test]
fn a_start_that_never_ends_is_tried_less_and_less() {
    let endless = assemble(
        r#"(module (import "env" "began" (func $began))
            (func (export "_initialize") (call $began) (loop $on (br $on)))
            (func (export "f")))"#,
    );
    let good = assemble(r#"(module (func (export "f")))"#);
    let mut limits = Limits::server();
    limits.warm = 1;
    let engine = hostel::engine_with(limits).with_budget(Budget::device());
    let host = Arc::new(Host::new(engine));
    let began = Arc::new(AtomicUsize::new(0));
    let counter = began.clone();
    let grants = Grants::new().function("env", "began", move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    host.insert("endless", &endless, &grants).unwrap();
    host.insert("good", &good, &grants).unwrap();
    let kept = keep_warm(host.clone(), Duration::from_millis(1)).unwrap();
    let is_warm = |name: &'static str| {
        let plugin = host.get(name).unwrap();
        must_end(move || {
            while plugin.pool_figures().idle == 0 {
                thread::yield_now();
            }
        });
    };
    is_warm("good");
    thread::sleep(Duration::from_secs(1));
    // It would be tried some hundred times by now.
    let tried = began.load(Ordering::SeqCst);
    assert!((1..=16).contains(&tried), "{tried}");
    host.replace("endless", &good, &grants).unwrap();
    is_warm("endless");
    drop(kept);
}
