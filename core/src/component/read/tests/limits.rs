//! Limits on what a component may be.

use super::*;

/// The limit that a component exceeds.
fn over_limit(wasm: &[u8]) -> &'static str {
    match read(wasm, &ComponentLimits::server()) {
        Err(LoadError::OverLimit { name, .. }) => name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn deep_nesting_is_refused_before_it_is_followed() {
    let mut nested = component(&[]);
    for _ in 0..10_000 {
        nested = component(&section(4, &nested));
    }
    assert_eq!(over_limit(&nested), "component.depth");

    // Types of instances and of components in one another, each a declaration of the one around it.
    for kind in [0x41, 0x42] {
        let mut ty = vec![kind, 0];
        for _ in 0..10_000 {
            let mut outer = vec![kind, 1, 1];
            outer.extend_from_slice(&ty);
            ty = outer;
        }
        let mut types = vec![1];
        types.extend_from_slice(&ty);
        assert_eq!(
            over_limit(&component(&section(7, &types))),
            "component.depth"
        );
    }

    // Each of a row of components instantiates the one before it.
    let mut row = String::from("(component (component $c0)");
    for at in 1..100 {
        row.push_str(&format!(
            "(component $c{at} (alias outer 1 $c{} (component $c)) (instance (instantiate $c)))",
            at - 1
        ));
    }
    row.push_str("(instance (instantiate $c99)))");
    assert_eq!(over_limit(&wat::parse_str(row).unwrap()), "component.depth");
}

/// Returns a component in which each of so many nested ones has two instances of the one before.
fn doubling(levels: usize) -> String {
    let mut text = String::from("(component (component $c0)");
    for at in 1..levels {
        text.push_str(&format!(
            "(component $c{at} (alias outer 1 $c{} (component $c)) (instance (instantiate $c)) (instance (instantiate $c)))",
            at - 1
        ));
    }
    text.push_str(&format!("(instance (instantiate $c{})))", levels - 1));
    text
}

#[test]
fn instances_that_double_at_each_level_are_refused() {
    let wasm = wat::parse_str(doubling(30)).unwrap();
    assert_eq!(over_limit(&wasm), "component.components");
    let module = "(core module $m) (core instance (instantiate $m))".repeat(1_001);
    let module = module.replace("(core module $m)", "");
    let wasm = component_of(&format!("(core module $m) {module}"));
    assert_eq!(over_limit(&wasm), "component.instances");
}

/// Returns a component with this text in it.
fn component_of(text: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {text})")).unwrap()
}

/// Returns definitions of `$t0` to `$t{levels}`, each a pair of the one before.
fn pairs(prefix: &str, levels: usize) -> String {
    let mut text = format!("(type ${prefix}0 (tuple u8 u8))");
    for at in 1..=levels {
        let before = at - 1;
        text.push_str(&format!(
            "(type ${prefix}{at} (tuple ${prefix}{before} ${prefix}{before}))"
        ));
    }
    text
}

#[test]
fn comparing_types_that_are_long_when_written_out_is_bounded() {
    // Equal types of 2^17 parts each, compared for each export.
    let mut text = pairs("a", 16) + &pairs("b", 16);
    for at in 0..200 {
        text.push_str(&format!(r#"(export "e{at}" (type $a16) (type (eq $b16)))"#));
    }
    assert_eq!(over_limit(&component_of(&text)), "component.compared_parts");

    // Exports that are copied for each instance, in a component of which there is none.
    let exports: String = (0..20_000)
        .map(|at| format!(r#"(export "e{at}" (func $f))"#))
        .collect();
    let instances = "(instance (instantiate $c))".repeat(900);
    let text = format!(
        r#"(component (component $c (import "f" (func $f)) {exports})
            (import "f" (func $f)) {})"#,
        instances.replace("$c)", r#"$c (with "f" (func $f)))"#)
    );
    assert_eq!(over_limit(&component_of(&text)), "component.compared_parts");
}

#[test]
fn deep_and_large_value_types_are_refused() {
    let mut text = String::from("(type $t0 (option u8))");
    for at in 1..1_000 {
        text.push_str(&format!("(type $t{at} (option $t{}))", at - 1));
    }
    assert_eq!(over_limit(&component_of(&text)), "component.type_depth");
    // Also if the way leads through aliases of instances.
    let mut text = String::from(
        r#"(import "i0" (instance $i0 (type $t (option u8)) (export "t" (type (eq $t)))))"#,
    );
    for at in 1..200 {
        let before = at - 1;
        text.push_str(&format!(
            r#"(alias export $i{before} "t" (type $t{at})) (import "i{at}" (instance $i{at}
                (alias outer 1 $t{at} (type $of)) (type $t (option $of)) (export "t" (type (eq $t)))))"#
        ));
    }
    assert_eq!(over_limit(&component_of(&text)), "component.type_depth");

    let error = error(&format!("(component {})", pairs("t", 40)));
    assert!(error.contains("type"), "{error}");
}

#[test]
fn many_imports_exports_and_long_names_are_refused() {
    let imports = |count: usize| -> String {
        let import = |at| format!(r#"(import "f{at}" (func))"#);
        (0..count).map(import).collect()
    };
    assert_eq!(
        over_limit(&component_of(&imports(10_000))),
        "component.imports"
    );
    assert!(read(&component_of(&imports(2_000)), &ComponentLimits::server()).is_ok());
    let exports: String = (0..2_001)
        .map(|at| format!(r#"(export "e{at}" (func $f))"#))
        .collect();
    let wasm = component_of(&format!(r#"(import "f" (func $f)) {exports}"#));
    assert_eq!(over_limit(&wasm), "component.exports");

    // A megabyte in one name; and much in many, inlined for each of many instances.
    let long = component_of(&format!(r#"(import "{}" (func))"#, "a".repeat(1 << 20)));
    let error = read(&long, &ComponentLimits::server()).unwrap_err();
    assert_eq!(error.code(), "invalid-module", "{error}");
    let names: String = (0..20)
        .map(|at| format!(r#"(field "{}{at}" u8)"#, "a".repeat(50_000)))
        .collect();
    let instances = "(instance (instantiate $c))".repeat(100);
    let wasm = component_of(&format!(
        "(component $c (type (record {names}))) {instances}"
    ));
    assert_eq!(over_limit(&wasm), "component.inlined_bytes");
}

#[test]
fn a_component_that_the_heap_has_no_room_to_read_is_refused() {
    let limits = &ComponentLimits::server();
    let doubling = wat::parse_str(doubling(6)).unwrap();
    let small = component_of("(type (record (field \"a\" u8)))");
    for (wasm, needed, too_little) in [(&small, 8 << 10, 100), (&doubling, 64 << 10, 12 << 10)] {
        let fits = |room| super::super::read(wasm, Bounds { limits, room });
        assert!(fits(needed).is_ok());
        let error = fits(too_little).unwrap_err();
        assert!(matches!(error, LoadError::DoesNotFit { .. }), "{error}");
    }
}
