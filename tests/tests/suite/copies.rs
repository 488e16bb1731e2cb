//! Copies of a plugin's code, made when several instances are in use.

use hostel::{Engine, Grants, Instance, Limits, Platform};
use hostel_tests::{try_load_wat, with_allocator};
use std::{
    mem,
    sync::{Arc, Barrier, Mutex},
    thread,
    time::{Duration, Instant},
};

/// A guest that keeps a number.
const KEEPER: &str = r#"
    (global $kept (mut i64) (i64.const 0))
    (func (export "keep") (param i64) (global.set $kept (local.get 0)))
    (func (export "found") (result i64) (global.get $kept))"#;

#[test]
fn instances_of_several_copies_of_the_code_are_equal() {
    struct FourProcessors;
    // Copies are made at once, on this thread.
    impl Platform for FourProcessors {
        fn processors(&self) -> usize {
            4
        }
    }
    for (copies, made) in [(0, 1), (1, 1), (3, 3), (256, 4)] {
        let mut limits = Limits::server();
        limits.copies = copies;
        let text = with_allocator("", KEEPER);
        let engine = Engine::new(limits).with_platform(FourProcessors);
        let plugin = try_load_wat(&engine, &text, &Grants::new()).unwrap();
        assert_eq!(plugin.pool_figures().copies, 1);
        let mut instances: Vec<_> = (0..5).map(|_| plugin.instantiate(()).unwrap()).collect();
        let mut usages = Vec::new();
        for (secret, instance) in (1..).zip(&mut instances) {
            instance.call::<i64, ()>("keep", secret).unwrap();
            usages.push(instance.usage());
        }
        for (secret, instance) in (1..).zip(&mut instances) {
            assert_eq!(instance.call::<(), i64>("found", ()), Ok(secret));
        }
        assert!(usages.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(plugin.pool_figures().copies, made);
    }
}

#[test]
fn no_further_copy_is_made_for_calls_one_after_another_or_with_a_bounded_heap() {
    let text = with_allocator("", KEEPER);
    let plugin = try_load_wat(&hostel::engine(), &text, &Grants::new()).unwrap();
    for secret in 0..20 {
        plugin.call::<i64, ()>("keep", secret).unwrap();
    }
    assert_eq!(plugin.pool_figures().copies, 1);

    let mut limits = Limits::server();
    limits.heap_bytes = 100 << 20;
    let plugin = try_load_wat(&hostel::engine_with(limits), &text, &Grants::new()).unwrap();
    let held = [(); 20].map(|()| plugin.instantiate(()).unwrap());
    assert_eq!(plugin.pool_figures().copies, 1);
    drop(held);
}

#[test]
fn calls_on_several_threads_get_copies_of_the_code_in_the_background() {
    let processors = hostel::Std::new().processors();
    let text = with_allocator("", KEEPER);
    let plugin = try_load_wat(&hostel::engine(), &text, &Grants::new()).unwrap();
    let enough = || plugin.pool_figures().copies >= processors.min(4);
    let began = Instant::now();
    while !enough() && began.elapsed() < Duration::from_secs(60) {
        let meet = Barrier::new(4);
        thread::scope(|scope| {
            for secret in 0..4 {
                let (plugin, meet) = (&plugin, &meet);
                scope.spawn(move || {
                    let work = |instance: &mut Instance| {
                        meet.wait();
                        assert_eq!(instance.call::<(), i64>("found", ()), Ok(0));
                        instance.call::<i64, ()>("keep", secret + 1)
                    };
                    plugin.with_instance(work).unwrap();
                });
            }
        });
    }
    assert!(enough(), "{:?}", plugin.pool_figures());
}

/// Work for the background.
type Work = Box<dyn FnOnce() + Send>;

/// A platform with two processors that keeps the work for the background until it is run.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Work>>>);

impl Platform for Kept {
    fn processors(&self) -> usize {
        2
    }

    fn run_in_background(&self, work: Work) {
        self.0.lock().unwrap().push(work);
    }
}

impl Kept {
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn take(&self) -> Vec<Work> {
        mem::take(&mut self.0.lock().unwrap())
    }
}

#[test]
fn the_plugins_of_an_engine_compile_in_the_background_as_many_at_a_time_as_there_are_processors() {
    let kept = Kept::default();
    let engine = Engine::new(Limits::server()).with_platform(kept.clone());
    let text = with_allocator("", KEEPER);
    let plugins = [(); 5].map(|()| try_load_wat(&engine, &text, &Grants::new()).unwrap());
    let copies = || {
        plugins
            .each_ref()
            .map(|plugin| plugin.pool_figures().copies)
    };
    // The second instance of a plugin asks for a copy.
    let ask = || {
        plugins
            .each_ref()
            .map(|plugin| [(); 2].map(|()| plugin.instantiate(()).unwrap()))
    };
    drop(ask());
    assert_eq!(kept.len(), 2);
    drop(ask());
    assert_eq!(kept.len(), 2, "none has ended");
    // An engine with other limits is the same one for this.
    let other = engine.clone().with_limits(Limits::server());
    let another = try_load_wat(&other, &text, &Grants::new()).unwrap();
    drop([(); 2].map(|()| another.instantiate(()).unwrap()));
    assert_eq!(kept.len(), 2);
    for work in kept.take() {
        work();
    }
    assert_eq!(copies(), [2, 2, 1, 1, 1]);
    // Those that found no room ask again. Work that is dropped makes room too.
    drop(ask());
    assert_eq!(kept.len(), 2);
    drop(kept.take());
    assert_eq!(copies(), [2, 2, 1, 1, 1]);
    drop(ask());
    for work in kept.take() {
        work();
    }
    assert_eq!(copies().iter().sum::<usize>(), 8);
}
