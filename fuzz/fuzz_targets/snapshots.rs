//! Snapshots of made-up modules after some of their functions ran: their instances go on as the one
//! did that the snapshot was taken of.
#![no_main]

use arbitrary::Unstructured;
use hostel_core::{Engine, Grants, Instance, Value};
use hostel_fuzz::{functions, modules, number, said};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| hostel_fuzz::engine(modules::limits()));

type Call = (String, Vec<Value>);

fuzz_target!(|bytes: &[u8]| {
    let Ok(module) = modules::valid(&mut Unstructured::new(bytes), None, true) else {
        return;
    };
    let (wasm, grants) = (module.to_bytes(), Grants::with_data());
    let Ok(plugin) = ENGINE.load("fuzzed", &wasm, &grants) else {
        return;
    };
    let calls = |round| -> Vec<Call> {
        let functions = functions(&plugin).filter_map(|(name, ty)| {
            let params = ty.params.iter().map(|ty| number(*ty, round));
            Some((name.to_owned(), params.collect::<Option<_>>()?))
        });
        functions.collect()
    };
    // Only what stops no instance comes before the snapshot.
    let mut before = calls(0);
    let original = loop {
        let Ok(mut instance) = plugin.instantiate(0) else {
            return;
        };
        let stops = |(name, params): &Call| {
            let result = instance.call_values(name, params);
            result.is_err_and(|error| error.stops())
        };
        match before.iter().position(stops) {
            Some(stops) => drop(before.remove(stops)),
            None => break instance,
        }
    };
    let init = |instance: &mut Instance<u64>| {
        for (name, params) in &before {
            // Results that are not numbers are not told.
            let _ = instance.call_values(name, params);
        }
        Ok(())
    };
    let snapshot = match ENGINE.snapshot("fuzzed", &wasm, &grants, init) {
        Ok(snapshot) => snapshot,
        Err(error) => panic!("there is a snapshot of what runs: {}", said(&error)),
    };
    let warmed = ENGINE.load("fuzzed", &snapshot, &grants);
    let warmed = warmed.unwrap_or_else(|error| panic!("it loads: {}", said(&error)));
    let warmed = warmed.instantiate(0).expect("it starts, having no start");
    let mut pair = [original, warmed];
    same(&mut pair, Instance::state_hash);
    for (name, params) in calls(1).iter().chain(&calls(0)) {
        same(&mut pair, |instance| {
            let result = instance.call_values(name, params);
            format!("{result:?}, {:?}", instance.usage())
        });
        same(&mut pair, Instance::state_hash);
        if pair[0].is_stopped() {
            break;
        }
    }
});

/// Asks both; they must say the same.
fn same<R: PartialEq + std::fmt::Debug>(
    pair: &mut [Instance<u64>; 2],
    ask: impl FnMut(&mut Instance<u64>) -> R,
) {
    let [one, other] = pair.each_mut().map(ask);
    assert_eq!(one, other);
}
