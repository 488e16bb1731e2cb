//! Components that are made up, or changed at random: loaded and, if that works, all exports called with values that are
//! made up.

use crate::{FUEL, canonical::value, said};
use arbitrary::{Result, Unstructured};
use hostel_core::{Budget, Engine, Grants, Limits, LoadError, Mismatch, Plugin, Step};
use std::{fmt, sync::LazyLock};
use wasm_smith::{Component, Config};

/// Most bytes of all memories of an instance.
const MEMORY_BYTES: usize = 2 << 20;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut limits = Limits::server();
    limits.memory_bytes = MEMORY_BYTES;
    Engine::new(limits).with_budget(Budget::device().with_fuel(FUEL))
});

/// Components that tools made, to be changed.
const TOOLS: [&[u8]; 4] = [
    include_bytes!("../../guests/prebuilt/components/rust_small.wasm"),
    include_bytes!("../../guests/prebuilt/components/c_plugin.wasm"),
    include_bytes!("../../guests/prebuilt/components/composed.wasm"),
    include_bytes!("../../guests/prebuilt/components/rust_module.wasm"),
];

/// Small components, to be changed.
const TEXTS: [&str; 4] = [
    r#"(component
  (type $t (resource (rep i32)))
  (core func $new (canon resource.new $t)) (core func $drop (canon resource.drop $t))
  (core module $M (import "h" "new" (func $new (param i32) (result i32))) (import "h" "drop" (func $drop (param i32)))
    (func (export "f") (param i32) (result i32) (call $new (local.get 0)))
    (func (export "g") (param i32) (call $drop (local.get 0))))
  (core instance $m (instantiate $M (with "h" (instance (export "new" (func $new)) (export "drop" (func $drop))))))
  (export $r "r" (type $t))
  (func (export "f") (param "n" u32) (result (own $r)) (canon lift (core func $m "f")))
  (func (export "g") (param "r" (own $r)) (canon lift (core func $m "g"))))"#,
    r#"(component
  (core module $M (memory (export "m") 1)
    (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "f") (param i32 i32) (result i32) (i32.const 8)) (func (export "p") (param i32)))
  (core instance $m (instantiate $M))
  (func (export "f") (param "v" (list (tuple u8 string))) (result (option (list (result string (error char)))))
    (canon lift (core func $m "f") (memory (core memory $m "m")) (realloc (core func $m "r")) (post-return (core func $m "p")))))"#,
    r#"(component
  (component $C (import "f" (func $f (param "s" string) (result u64)))
    (core module $L (memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $l (instantiate $L))
    (core func $f (canon lower (func $f) (memory (core memory $l "m"))))
    (core module $M (import "h" "f" (func $f (param i32 i32) (result i64))) (func (export "g") (param i32 i32) (result i64)
      (call $f (local.get 0) (local.get 1))))
    (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f))))))
    (func (export "g") (param "s" string) (result u64) (canon lift (core func $m "g") (memory (core memory $l "m"))
      (realloc (core func $l "r")) string-encoding=utf16)))
  (import "f" (func $f (param "s" string) (result u64)))
  (instance $a (instantiate $C (with "f" (func $f))))
  (instance $b (instantiate $C (with "f" (func $a "g"))))
  (export "g" (func $b "g")))"#,
    r#"(component
  (type $r' (record (field "a" u8) (field "b" f64))) (export $r "rec" (type $r'))
  (type $v' (variant (case "a" $r) (case "b") (case "c" float32))) (export $v "var" (type $v'))
  (type $f' (flags "a" "b" "c")) (export $f "fl" (type $f'))
  (core module $M (memory (export "m") 1) (func (export "f") (param i32 i64 f64 i32) (result i32) (i32.const 16)))
  (core instance $m (instantiate $M))
  (func (export "f") (param "v" $v) (param "f" $f) (result (tuple $v $f $r)) (canon lift (core func $m "f") (memory (core memory $m "m")))))"#,
];

static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let small = TEXTS.iter().filter_map(|text| wat::parse_str(text).ok());
    small
        .chain(TOOLS.iter().map(|bytes| bytes.to_vec()))
        .collect()
});

/// Makes up a component, loads it, and calls all that it exports.
///
/// # Errors
///
/// If `bytes` end.
pub fn check(bytes: &mut Unstructured<'_>) -> Result<()> {
    let wasm = match bytes.ratio(1u8, 3u8)? {
        true => Component::new(config(), bytes)?.to_bytes(),
        false => changed(bytes)?,
    };
    if let Some(plugin) = load(&wasm) {
        call_all(&plugin, bytes)?;
    }
    Ok(())
}

fn config() -> Config {
    Config {
        max_memory32_bytes: MEMORY_BYTES as u64,
        ..Config::default()
    }
}

/// Returns a seed with a few changes.
fn changed(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut wasm = bytes.choose(&SEEDS)?.clone();
    for _ in 0..bytes.int_in_range(1..=4)? {
        let at = bytes.choose_index(wasm.len())?;
        match bytes.int_in_range(0u8..=5)? {
            0 => wasm[at] = bytes.arbitrary()?,
            1 => wasm[at] ^= 1 << bytes.int_in_range(0u8..=7)?,
            2 => wasm[at] = wasm[at].wrapping_add(bytes.arbitrary()?),
            3 => wasm.truncate(at.max(8)),
            4 => {
                let len = bytes.int_in_range(1..=40)?.min(wasm.len() - at);
                let part = wasm[at..at + len].to_vec();
                let to = bytes.choose_index(wasm.len())?;
                wasm.splice(to..to, part);
            }
            _ => {
                let end = (at + bytes.int_in_range(1..=8)?).min(wasm.len());
                wasm.drain(at..end);
            }
        }
        if wasm.is_empty() {
            break;
        }
    }
    Ok(wasm)
}

/// Returns a call's end as text, without the instances that resources name: these differ.
fn told(ended: &impl fmt::Debug) -> String {
    let text = format!("{ended:?}");
    let mut parts = text.split("of: ");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        told += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    told
}

/// Loads a component, with a stub for each of its imports.
fn load(wasm: &[u8]) -> Option<Plugin> {
    let refused = match ENGINE.load_component("fuzzed", wasm, &Grants::new()) {
        Ok(plugin) => return Some(plugin),
        Err(error) => error,
    };
    assert!(!said(&refused).is_empty() && !refused.code().is_empty());
    let LoadError::Mismatch(all) = refused else {
        return None;
    };
    let grants = all
        .iter()
        .fold(Grants::new(), |grants, mismatch| match mismatch {
            Mismatch::UnknownImport { module, name, .. } => grants.trap(module, name),
            _ => grants,
        });
    let loaded = ENGINE.load_component("fuzzed", wasm, &grants);
    assert!(loaded.is_ok(), "each import has a stub: {loaded:?}");
    loaded.ok()
}

/// Calls each export, at once and by steps, which must end alike.
fn call_all(plugin: &Plugin, bytes: &mut Unstructured<'_>) -> Result<()> {
    let contract = plugin.contract().expect("it is a component");
    for export in contract.exports() {
        let name = export.to_string();
        let params = export
            .ty
            .params
            .iter()
            .map(|ty| value(contract.types(), *ty, bytes));
        let params = params.collect::<Result<Vec<_>>>()?;
        let Ok(mut instance) = plugin.instantiate(()) else {
            return Ok(());
        };
        let Ok(mut stepped) = plugin.instantiate(()) else {
            panic!("an instance started, and another does not");
        };
        for _ in 0..2 {
            let at_once = instance.call_component_values(&name, &params);
            if let Err(error) = &at_once {
                assert!(!said(error).is_empty() && !error.code().is_empty());
            }
            let mut call = stepped.call_component_values_async(&name, &params);
            let by_steps = loop {
                if let Step::Done(ended) = call.step(700) {
                    break ended;
                }
            };
            drop(call);
            assert_eq!(told(&at_once), told(&by_steps), "by steps");
            assert_eq!(instance.usage().fuel, stepped.usage().fuel, "by steps");
            assert!(instance.usage().fuel <= FUEL, "each call is bounded");
            assert!(instance.memory_bytes() <= MEMORY_BYTES, "memory is bounded");
            assert_eq!(instance.is_stopped(), stepped.is_stopped());
        }
    }
    Ok(())
}
