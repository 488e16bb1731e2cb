//! Calls that own all that they need, and bring data of their own.

use hostel::{
    Async, Budget, CallError, Context, Engine, Grants, Host, Limits, Plugin, Request, Step, Trap,
};
use hostel_tests::{code, try_load_wat, with_allocator};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tokio::{runtime::Builder, task::JoinSet};

/// What the host functions know of a client.
#[derive(Default)]
struct Client {
    id: u32,
    asked: Arc<AtomicU32>,
}

/// A guest that asks who the client is: at its start, at once, and after a wait.
fn text() -> String {
    with_allocator(
        r#"(import "client" "id" (func $id (result i32)))
           (import "client" "later" (func $later (result i32)))"#,
        r#"(global $first (mut i32) (i32.const -1))
           (func (export "_initialize") (global.set $first (call $id)))
           (func (export "first") (result i32) (global.get $first))
           (func (export "id") (result i32) (call $id))
           (func (export "process") (param $ptr i32) (param $len i32) (result i32 i32)
             (i32.store8 (local.get $ptr)
               (i32.add (call $later) (i32.load8_u (local.get $ptr))))
             (local.get $ptr) (local.get $len))"#,
    )
}

fn plugin(instances: usize) -> Plugin<Client> {
    let asks = |context: &mut Context<'_, Client>| {
        context.data().asked.fetch_add(1, Ordering::Relaxed);
        context.data().id
    };
    let grants = Grants::with_data().function("client", "id", asks).function(
        "client",
        "later",
        move |context: &mut Context<'_, Client>| {
            let id = asks(context);
            Async(async move {
                tokio::task::yield_now().await;
                Ok::<_, Trap>(id)
            })
        },
    );
    let mut limits = Limits::server();
    limits.instances = instances;
    try_load_wat(&hostel::engine_with(limits), &text(), &grants).unwrap()
}

#[test]
fn calls_are_spawned_each_with_its_own_data() {
    let runtime = Builder::new_multi_thread().worker_threads(2).build();
    let asked = Arc::new(AtomicU32::new(0));
    let figures = runtime.unwrap().block_on(async {
        let plugin = plugin(4);
        let mut calls = JoinSet::new();
        for n in 0..200u32 {
            let request: Request<Client> = plugin.request().with_data(Client {
                id: n % 100,
                asked: asked.clone(),
            });
            // Nothing is borrowed: neither the plugin, nor the input.
            let call = request.process_async(vec![(n % 50) as u8]);
            calls.spawn(async move { (n, call.await) });
        }
        while let Some(done) = calls.join_next().await {
            let (n, answer) = done.unwrap();
            assert_eq!(answer, Ok(vec![(n % 50 + n % 100) as u8]));
        }
        plugin.pool_figures()
    });
    assert_eq!(asked.load(Ordering::Relaxed), 200);
    assert_eq!((figures.in_use, figures.waiting), (0, 0));
}

#[test]
fn a_request_outlives_the_handle_that_it_was_made_from() {
    let request = plugin(1).request().with_data(Client {
        id: 5,
        ..Client::default()
    });
    let mut call = request.call_async::<(), u32>("id", ());
    assert_eq!(call.step(10_000), Step::Done(Ok(5)));
}

#[test]
fn the_start_has_the_default_and_no_data_are_left_for_the_next_call() {
    let plugin = plugin(1);
    let seven = || {
        plugin.request().with_data(Client {
            id: 7,
            ..Client::default()
        })
    };
    assert_eq!(seven().call::<(), u32>("id", ()), Ok(7));
    assert_eq!(seven().call::<(), u32>("first", ()), Ok(0));
    assert_eq!(plugin.request().call::<(), u32>("id", ()), Ok(0));
    assert_eq!(plugin.call::<(), u32>("id", ()), Ok(0));
    let mut call = seven().call_async::<(), u32>("first", ());
    assert_eq!(call.step(10_000), Step::Done(Ok(0)));
}

#[test]
fn a_request_has_a_budget_and_uses_what_any_call_uses() {
    let plugin = plugin(1);
    let (answer, used) =
        plugin.with_instance_metered(|instance| instance.call::<(), u32>("id", ()));
    assert_eq!(answer, Ok(0));
    let mut call = plugin.request().call_async::<(), u32>("id", ());
    assert_eq!(call.step(10_000), Step::Done(Ok(0)));
    assert_eq!(call.usage(), used);
    let starved = plugin.request().with_budget(Budget::server().with_fuel(3));
    let starved = starved.call::<(), u32>("id", ());
    assert_eq!(starved, Err(CallError::OutOfFuel { fuel: 3 }));
    assert_eq!(plugin.budget().fuel, Budget::server().fuel);
}

/// A guest with a memory of 128 KiB that spins if it is told to.
const TENANT: &str = r#"(module
    (memory (export "memory") 2)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "spin") (loop $on (br $on))))"#;

#[test]
fn plugins_of_one_host_have_limits_and_budgets_of_their_own() {
    let host = Host::new(Engine::default());
    let wasm = hostel_tests::assemble(TENANT);
    let granted = |kib: usize| {
        let mut limits = Limits::server();
        limits.memory_bytes = kib << 10;
        limits.instances = kib;
        let budget = Budget::server().with_fuel(kib as u64 * 1_000);
        Grants::new().with_limits(limits).with_budget(budget)
    };
    let refused = host.insert("tiny", &wasm, &granted(64));
    assert_eq!(refused.unwrap_err().code(), "over-limit");
    for (name, kib, fits) in [("small", 128, 0), ("large", 256, 2)] {
        let plugin = host.insert(name, &wasm, &granted(kib)).unwrap();
        assert_eq!(plugin.limits().memory_bytes, kib << 10);
        assert_eq!(plugin.limits().instances, kib);
        for more in 1..4 {
            let grown = plugin.call::<u32, i32>("grow", more);
            assert_eq!(
                grown,
                Ok(if more <= fits { 2 } else { -1 }),
                "{name} {more}"
            );
        }
        let fuel = kib as u64 * 1_000;
        let ended = host.call::<(), ()>(name, "spin", ());
        assert_eq!(
            ended.unwrap_err(),
            hostel::HostError::Call(CallError::OutOfFuel { fuel })
        );
    }
    // The others have the engine's.
    let plain = host.insert("plain", &wasm, &Grants::new()).unwrap();
    assert_eq!(plain.limits(), host.engine().limits());
    assert_eq!(plain.budget(), host.engine().budget());
    assert_eq!(code(&plain.call::<u32, i32>("grow", 4)), "ok");
    // A new version keeps to the limits that come with it.
    let refused = host.replace("large", &wasm, &granted(64));
    assert_eq!(refused.unwrap_err().code(), "over-limit");
}

#[test]
fn a_snapshot_keeps_to_the_limits_of_its_grants() {
    let engine = Engine::default();
    let wasm = hostel_tests::assemble(TENANT);
    let mut limits = Limits::server();
    for (bytes, expected) in [(64 << 10, "over-limit"), (128 << 10, "ok")] {
        limits.memory_bytes = bytes;
        let grants = Grants::<()>::new().with_limits(limits);
        let snapshot = engine.snapshot("guest", &wasm, &grants, |_| Ok(()));
        assert_eq!(
            snapshot.as_ref().err().map_or("ok", |error| error.code()),
            expected
        );
    }
}
