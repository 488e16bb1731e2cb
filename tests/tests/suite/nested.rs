//! Host functions that call plugins, and how deep a guest can drive them (C09).

use core::{
    future::{Future, poll_fn},
    pin::Pin,
    time::Duration,
};
use hostel::{
    Async, Budget, CallError, Engine, Grants, Limits, LogRecord, NoPlatform, Plugin, Trap,
};
use hostel_tests::{code, in_its_own_process, must_end, try_load_wat};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Barrier, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A guest that has the host call `f` again, as often as its parameter says.
const GUEST: &str = r#"(module
    (import "env" "again" (func $again (param i32) (result i32)))
    (func (export "f") (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
      (i32.add (i32.const 1) (call $again (i32.sub (local.get 0) (i32.const 1))))))"#;

/// Plugins that can be found from their own host functions, and the codes of calls that failed.
#[derive(Clone, Default)]
struct Ring(Arc<Members>);

#[derive(Default)]
struct Members {
    plugins: OnceLock<Vec<Plugin>>,
    codes: Mutex<Vec<&'static str>>,
}

impl Ring {
    fn plugin(&self, at: usize) -> &Plugin {
        let plugins = self.0.plugins.get().expect("it is filled");
        &plugins[at % plugins.len()]
    }

    /// Calls `f` of the plugin `at`, and notes the error if there is one.
    fn call(&self, at: usize, rounds: u32) -> Result<u32, Trap> {
        let result = self.plugin(at).call::<u32, u32>("f", rounds);
        self.note(result)
    }

    fn note(&self, result: Result<u32, CallError>) -> Result<u32, Trap> {
        result.map_err(|error| {
            self.0.codes.lock().unwrap().push(error.code());
            Trap::host(error.to_string())
        })
    }

    /// The first code that was noted, which is that of the innermost call.
    fn innermost(&self) -> &'static str {
        self.0
            .codes
            .lock()
            .unwrap()
            .first()
            .copied()
            .unwrap_or("ok")
    }

    /// Loads `count` plugins, each of which calls the next.
    fn fill(&self, engine: &Engine, count: usize) {
        let plugins = (0..count).map(|at| {
            let ring = self.clone();
            let again = move |rounds: u32| ring.call(at + 1, rounds);
            let grants = Grants::new().function("env", "again", again);
            try_load_wat(engine, GUEST, &grants).unwrap()
        });
        let filled = self.0.plugins.set(plugins.collect());
        assert!(filled.is_ok(), "it was empty");
    }
}

fn limits(instances: usize) -> Limits {
    let mut limits = Limits::server();
    limits.instances = instances;
    limits
}

/// Makes a call whose guest drives calls as deep as it can. Returns the innermost error.
fn driven_deep(engine: Engine, plugins: usize) -> &'static str {
    must_end(move || {
        let ring = Ring::default();
        ring.fill(&engine, plugins);
        let result = ring.plugin(0).call::<u32, u32>("f", u32::MAX);
        assert_eq!(code(&result), "trap-host");
        let innermost = ring.innermost();
        // All have ended, and the plugins serve further calls.
        for _ in 0..3 {
            assert_eq!(ring.plugin(0).call::<u32, u32>("f", 0), Ok(0));
        }
        for at in 0..plugins {
            assert_eq!(ring.plugin(at).pool_figures().in_use, 0);
        }
        innermost
    })
}

#[test]
fn a_plugin_that_is_called_from_its_own_host_function_ends_whatever_the_limits() {
    for (instances, expected) in [
        (1, "nested-wait"),
        (2, "nested-wait"),
        (15, "nested-wait"),
        // All places are taken before the 17th call is counted.
        (16, "nested-wait"),
        (17, "too-nested"),
        (100_000, "too-nested"),
    ] {
        let engine = hostel::engine_with(limits(instances));
        assert_eq!(driven_deep(engine, 1), expected, "{instances}");
    }
}

#[test]
fn several_plugins_that_call_one_another_end_too() {
    for plugins in [2, 3, 5] {
        let engine = hostel::engine_with(limits(1));
        assert_eq!(driven_deep(engine, plugins), "nested-wait");
        let engine = hostel::engine_with(limits(100_000));
        assert_eq!(driven_deep(engine, plugins), "too-nested");
    }
}

#[test]
fn without_a_platform_nested_calls_end_too() {
    for (instances, expected) in [(1, "busy"), (100_000, "too-nested")] {
        let engine = Engine::new(limits(instances)).with_platform(NoPlatform);
        assert_eq!(driven_deep(engine, 1), expected);
    }
}

#[test]
fn without_a_platform_64_calls_run_at_a_time() {
    // Calls of all threads are counted together there.
    in_its_own_process("nested::without_a_platform_64_calls_run_at_a_time", || {
        let ring = Ring::default();
        let engine = Engine::new(limits(100_000)).with_platform(NoPlatform);
        ring.fill(&engine, 1);
        assert_eq!(ring.call(0, 63), Ok(63));
        assert!(ring.call(0, 64).is_err());
        assert_eq!(ring.innermost(), "too-nested");
        assert_eq!(ring.call(0, 63), Ok(63));
    });
}

#[test]
fn calls_nest_a_few_times() {
    let ring = Ring::default();
    ring.fill(&hostel::engine(), 2);
    for rounds in [0, 1, 5, 15] {
        assert_eq!(ring.call(0, rounds), Ok(rounds));
    }
    assert!(ring.call(0, 16).is_err());
    assert_eq!(ring.innermost(), "too-nested");
}

#[test]
fn a_nested_call_of_another_plugin_waits_if_it_has_a_deadline() {
    for (deadline, expected) in [(None, "nested-wait"), (Some(60), "ok")] {
        let ring = Ring::default();
        let mut budget = Budget::server();
        budget.deadline = deadline.map(Duration::from_secs);
        let engine = hostel::engine_with(limits(1)).with_budget(budget);
        ring.fill(&engine, 2);
        let other = ring.plugin(1).clone();
        let holds = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                other.with_instance(|_| {
                    holds.wait();
                    // Until the other call waits, or was refused.
                    while other.pool_figures().waiting == 0 && ring.innermost() == "ok" {
                        thread::yield_now();
                    }
                    Ok(())
                })
            });
            holds.wait();
            let _ = ring.call(0, 1);
        });
        assert_eq!(ring.innermost(), expected);
    }
}

#[test]
fn awaited_calls_that_nest_end_too() {
    type Later = Pin<Box<dyn Future<Output = Result<u32, Trap>> + Send>>;
    for (instances, expected) in [(1, "nested-wait"), (100_000, "too-nested")] {
        let innermost = must_end(move || {
            let ring = Ring::default();
            let inner = ring.clone();
            let again = move |rounds: u32| {
                let ring = inner.clone();
                let later: Later = Box::pin(async move {
                    let result = ring.plugin(0).call_async::<u32, u32>("f", rounds).await;
                    ring.note(result)
                });
                Async(later)
            };
            let grants = Grants::new().function("env", "again", again);
            let engine = hostel::engine_with(limits(instances));
            let plugin = try_load_wat(&engine, GUEST, &grants).unwrap();
            assert!(ring.0.plugins.set(vec![plugin]).is_ok());
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let plugin = ring.plugin(0).clone();
            let call = plugin.call_async::<u32, u32>("f", u32::MAX);
            let result = runtime.unwrap().block_on(call);
            assert_eq!(code(&result), "trap-host");
            assert_eq!(plugin.pool_figures().in_use, 0);
            ring.innermost()
        });
        assert_eq!(innermost, expected);
    }
}

#[test]
fn starts_that_nest_end_too() {
    let text = r#"(module
        (import "env" "again" (func $again))
        (func (export "_initialize") (call $again)))"#;
    let innermost = must_end(move || {
        let ring = Ring::default();
        let inner = ring.clone();
        let again = move || {
            let made = inner.plugin(0).instantiate(());
            inner.note(made.map(|_| 0)).map(drop)
        };
        let grants = Grants::new().function("env", "again", again);
        let plugin = try_load_wat(&hostel::engine(), text, &grants).unwrap();
        assert!(ring.0.plugins.set(vec![plugin]).is_ok());
        assert_eq!(code(&ring.plugin(0).instantiate(())), "trap-host");
        ring.innermost()
    });
    assert_eq!(innermost, "too-nested");
}

#[test]
fn a_log_that_calls_the_plugin_that_logs_ends_too() {
    let text = r#"(module
        (import "env" "host_log" (func $log (param i32 i32)))
        (memory (export "memory") 1)
        (func (export "f") (param i32) (result i32)
          (call $log (i32.const 0) (i32.const 1)) (i32.const 0)))"#;
    let innermost = must_end(move || {
        let ring = Ring::default();
        let inner = ring.clone();
        let grants = Grants::new().log(move |_: &LogRecord<'_>| {
            let _ = inner.call(0, 0);
        });
        let engine = hostel::engine_with(limits(100_000));
        let plugin = try_load_wat(&engine, text, &grants).unwrap();
        assert!(ring.0.plugins.set(vec![plugin]).is_ok());
        assert_eq!(ring.call(0, 0), Ok(0));
        ring.innermost()
    });
    assert_eq!(innermost, "too-nested");
}

#[test]
fn calls_of_many_threads_are_not_nested() {
    const THREADS: usize = 40;
    let all = Arc::new(Barrier::new(THREADS));
    let grants = Grants::new().function("env", "again", move |rounds: u32| {
        // All of them are in the middle of a call now.
        all.wait();
        rounds
    });
    let plugin = try_load_wat(&hostel::engine_with(limits(THREADS)), GUEST, &grants).unwrap();
    thread::scope(|scope| {
        let calls: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| plugin.call::<u32, u32>("f", 8)))
            .collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), Ok(8));
        }
    });
}

#[test]
fn calls_that_unwind_or_are_dropped_no_longer_count() {
    let asked = Arc::new(AtomicUsize::new(0));
    let grants = Grants::new().function("env", "again", {
        let asked = asked.clone();
        move |_: u32| {
            asked.fetch_add(1, Ordering::Relaxed);
            Async(poll_fn(|_| core::task::Poll::<Result<u32, Trap>>::Pending))
        }
    });
    let plugin = try_load_wat(&hostel::engine(), GUEST, &grants).unwrap();
    for _ in 0..100 {
        let mut call = plugin.call_async::<u32, u32>("f", 1);
        assert_eq!(call.step(1_000), hostel::Step::Waiting);
    }
    for _ in 0..100 {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            plugin.with_instance(|instance| -> Result<(), CallError> {
                instance.call::<u32, u32>("f", 0)?;
                panic!("the embedder's own")
            })
        }));
        assert!(unwound.is_err());
    }
    assert_eq!(plugin.call::<u32, u32>("f", 0), Ok(0));
    assert_eq!(asked.load(Ordering::Relaxed), 100);
}
