//! A reset instance against a fresh one, and a snapshot against its original, over the modules of
//! the test suite.

use super::{
    engine, of_type,
    suite::{Kind, MODULES},
};
use hostel::{CallError, Extern, Grants, Instance, Plugin, Value};

#[test]
fn a_reset_instance_is_in_the_state_of_a_fresh_one() {
    let engine = engine(200_000);
    let (mut changed, mut reset, mut calls) = (0, 0, 0);
    let own = MODULES.iter().filter(|case| case.kind == Kind::Valid);
    for case in own {
        let wasm = case.callable.as_ref().unwrap_or(&case.wasm);
        let Ok(plugin) = engine.load("module", wasm, &Grants::new()) else {
            continue;
        };
        let fresh = plugin.instantiate(()).unwrap().state_hash();
        for seed in [0i64, 3, -1] {
            let found = plugin.with_instance(|instance| {
                let before = instance.state_hash();
                for export in plugin.info().exports.iter() {
                    let Extern::Function(ty) = &export.ty else {
                        continue;
                    };
                    let params: Option<Vec<_>> =
                        ty.params.iter().map(|ty| of_type(*ty, seed)).collect();
                    if let Some(params) = params {
                        let result = instance.call_values(&export.name, &params);
                        calls += 1;
                        // The instance would not be reset.
                        if result.as_ref().is_err_and(CallError::stops) {
                            break;
                        }
                    }
                }
                changed += usize::from(instance.state_hash() != before);
                Ok(before)
            });
            assert_eq!(found, Ok(fresh), "{}", case.name);
        }
        reset += usize::from(plugin.pool_figures().resets > 0);
    }
    println!(
        "{reset} modules' instances were made as new, {changed} of them after {calls} calls had changed them"
    );
    assert!(reset >= 200 && changed >= 50);
}

/// Returns the functions that a plugin exports, with parameters that follow from `seed`.
fn calls_of(plugin: &Plugin, seed: i64) -> Vec<(String, Vec<Value>)> {
    let exports = plugin.info().exports.iter().filter_map(|export| {
        let Extern::Function(ty) = &export.ty else {
            return None;
        };
        let params = ty.params.iter().map(|ty| of_type(*ty, seed));
        Some((export.name.to_string(), params.collect::<Option<_>>()?))
    });
    exports.collect()
}

#[test]
fn a_snapshot_goes_on_as_its_module_would() {
    let engine = engine(200_000);
    let grants = Grants::new();
    let (mut snapshots, mut drifting, mut compared) = (0, 0, 0);
    for case in MODULES.iter().filter(|case| case.kind == Kind::Valid) {
        let wasm = case.callable.as_ref().unwrap_or(&case.wasm);
        let Ok(plugin) = engine.load("module", wasm, &grants) else {
            continue;
        };
        // The calls before the snapshot: all that stop no instance.
        let mut before = calls_of(&plugin, 3);
        let original = loop {
            let mut instance = plugin.instantiate(()).unwrap();
            let stops = before.iter().position(|(name, params)| {
                let result = instance.call_values(name, params);
                result.is_err_and(|error| error.stops())
            });
            match stops {
                Some(stops) => drop(before.remove(stops)),
                None => break instance,
            }
        };
        let init = |instance: &mut Instance| {
            for (name, params) in &before {
                // Results of types that can't be shown are no matter.
                let _ = instance.call_values(name, params);
            }
            Ok(())
        };
        let snapshot = engine
            .snapshot("module", wasm, &grants, init)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let warmed = engine
            .load("module", &snapshot, &grants)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        snapshots += 1;
        // Instances of modules that change tables or drop segments are not reset.
        plugin.with_instance(|_| Ok(())).unwrap();
        drifting += usize::from(plugin.pool_figures().resets == 0);
        let mut pair = [original, warmed.instantiate(()).unwrap()];
        let hashes = pair.each_mut().map(Instance::state_hash);
        assert_eq!(hashes[0], hashes[1], "{}", case.name);
        for (name, params) in calls_of(&plugin, -1)
            .into_iter()
            .chain(calls_of(&plugin, 1))
        {
            let results = pair
                .each_mut()
                .map(|instance| instance.call_values(&name, &params));
            let [one, other] = results.map(|result| format!("{result:?}"));
            assert_eq!(one, other, "{name} of {}", case.name);
            let hashes = pair.each_mut().map(Instance::state_hash);
            assert_eq!(hashes[0], hashes[1], "{} after {name}", case.name);
            compared += 1;
            if pair[0].is_stopped() {
                break;
            }
        }
    }
    println!(
        "{snapshots} snapshots, {drifting} of modules that change tables or drop segments; {compared} calls compared"
    );
    assert!(snapshots > 500 && drifting > 20 && compared > 1_000);
}
