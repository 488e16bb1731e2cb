use super::*;
use crate::{
    component::{
        program::{Callee, ComponentInstance, CoreItem, Encoding, ImportKind, Resource},
        types::{ResourceId, Type},
    },
    error::LoadError,
};
use alloc::{format, string::String, vec, vec::Vec};

fn read(wasm: &[u8], limits: &ComponentLimits) -> Result<Program, LoadError> {
    let room = usize::MAX;
    super::read(wasm, Bounds { limits, room })
}

fn read_text(text: &str) -> Result<Program, LoadError> {
    read(&wat::parse_str(text).unwrap(), &ComponentLimits::server())
}

fn program(text: &str) -> Program {
    read_text(text).unwrap()
}

fn error(text: &str) -> String {
    format!("{}", read_text(text).unwrap_err())
}

/// The names of exports, each with its interface and its type's parameters and result as WIT.
fn exports(program: &Program) -> Vec<String> {
    let exports = program.exports.iter().map(|export| {
        let ty = program.types.function(export.ty);
        let params = ty.names.iter().zip(&ty.params);
        let params: Vec<_> = params
            .map(|(name, ty)| format!("{name}: {}", program.types.shown(*ty)))
            .collect();
        let result = ty
            .result
            .map(|ty| format!(" -> {}", program.types.shown(ty)));
        format!(
            "{}{}({}){}",
            export
                .interface
                .as_ref()
                .map_or(String::new(), |name| format!("{name}#")),
            export.name,
            params.join(", "),
            result.unwrap_or_default()
        )
    });
    exports.collect()
}

#[test]
fn a_lifted_function_has_its_core_function_options_and_type() {
    let program = program(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
                (func (export "f") (param i32 i32) (result i32) i32.const 0)
                (func (export "after") (param i32)))
            (core instance $i (instantiate $m))
            (type $point (record (field "x" u32) (field "y" (option string))))
            (export $exported "point" (type $point))
            (func (export "f") (param "name" string) (result (list $exported))
                (canon lift (core func $i "f") string-encoding=utf16
                    (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
                    (post-return (core func $i "after")))))"#,
    );
    assert_eq!(
        exports(&program),
        ["f(name: string) -> list<record { x: u32, y: option<string> }>"]
    );
    let [lifted] = &*program.lifted else {
        panic!("{program:?}")
    };
    let export = |name: &str| CoreItem::Export(0, name.into());
    assert_eq!(lifted.core, export("f"));
    assert_eq!(lifted.options.encoding, Encoding::Utf16);
    assert_eq!(lifted.options.memory, Some(export("memory")));
    assert_eq!(lifted.options.realloc, Some(export("realloc")));
    assert_eq!(lifted.options.post_return, Some(export("after")));
    assert_eq!(program.exports[0].function, Callee::Lifted(0));
    assert_eq!((program.steps.len(), program.instances), (1, 1));
}

#[test]
fn imports_are_flattened_to_functions_and_resources() {
    let program = program(
        r#"(component
            (import "wasi:io/streams@0.2.6" (instance $streams
                (export "stream" (type $stream (sub resource)))
                (type $pair (tuple (own $stream) u8))
                (export "pair" (type (eq $pair)))
                (export "[method]stream.read" (func (param "self" (borrow $stream)) (result u64)))))
            (alias export $streams "stream" (type $stream))
            (import "log" (func (param "of" (own $stream))))
            (import "kind" (type $kind (sub resource)))
            (core func $read (canon lower (func $streams "[method]stream.read")))
            (core func $drop (canon resource.drop $kind))
            (core module $m (import "a" "read" (func (param i32) (result i64)))
                (import "a" "drop" (func (param i32))))
            (core instance (instantiate $m (with "a" (instance
                (export "drop" (func $drop)) (export "read" (func $read)))))))"#,
    );
    let imports = program.imports.iter();
    let imports: Vec<_> = imports
        .map(|import| (import.interface.as_deref(), &*import.name))
        .collect();
    let streams = Some("wasi:io/streams@0.2.6");
    assert_eq!(
        imports,
        [
            (streams, "stream"),
            (streams, "[method]stream.read"),
            (None, "log"),
            (None, "kind")
        ]
    );
    assert!(matches!(
        program.imports[3].kind,
        ImportKind::Resource(ResourceId(1))
    ));
    let ImportKind::Function(log) = program.imports[2].kind else {
        panic!("{:?}", program.imports)
    };
    let param = program.types.function(log).params[0];
    assert_eq!(*program.types.get(param), Type::Own(ResourceId(0)));
    assert!(matches!(
        program.resources[..],
        [Resource::Imported(0), Resource::Imported(3)]
    ));
    assert_eq!(program.lowered[0].callee, Callee::Import(1));
    assert_eq!(
        program.steps[0].arguments,
        [
            CoreItem::Lowered(0),
            CoreItem::ResourceDrop(ResourceId(1), ComponentInstance(0))
        ]
    );
}

#[test]
fn a_nested_component_is_inlined_once_for_each_of_its_instances() {
    let program = program(
        r#"(component
            (component $c
                (import "double" (func $double (param "x" u32) (result u32)))
                (core module $m (func (export "f") (param i32) (result i32) i32.const 0)
                    (func (export "destroy") (param i32)))
                (core instance $i (instantiate $m))
                (type $r (resource (rep i32) (dtor (core func $i "destroy"))))
                (export $exported "r" (type $r))
                (core func $new (canon resource.new $r))
                (core func $rep (canon resource.rep $r))
                (core module $user (import "" "new" (func (param i32) (result i32)))
                    (import "" "rep" (func (param i32) (result i32))))
                (core instance (instantiate $user (with "" (instance
                    (export "new" (func $new)) (export "rep" (func $rep))))))
                (func (export "f") (param "x" u32) (result (own $exported))
                    (canon lift (core func $i "f"))))
            (import "double" (func $double (param "x" u32) (result u32)))
            (instance $one (instantiate $c (with "double" (func $double))))
            (instance $two (instantiate $c (with "double" (func $double))))
            (export "one" (instance $one))
            (export "a:b/two@1.0.0" (instance $two)))"#,
    );
    assert_eq!(program.instances, 3);
    assert_eq!(program.modules.len(), 2);
    let steps = program.steps.iter();
    let steps: Vec<_> = steps.map(|step| (step.module, step.instance.0)).collect();
    assert_eq!(steps, [(0, 1), (1, 1), (0, 2), (1, 2)]);
    for (number, resource) in program.resources.iter().enumerate() {
        let Resource::Defined {
            instance,
            destructor,
        } = resource
        else {
            panic!("{resource:?}")
        };
        assert_eq!(usize::try_from(instance.0).unwrap(), number + 1);
        assert_eq!(
            *destructor,
            Some(CoreItem::Export(2 * number, "destroy".into()))
        );
    }
    assert_eq!(
        program.steps[3].arguments,
        [
            CoreItem::ResourceNew(ResourceId(1), ComponentInstance(2)),
            CoreItem::ResourceRep(ResourceId(1), ComponentInstance(2))
        ]
    );
    assert_eq!(
        exports(&program),
        [
            "one#f(x: u32) -> own<resource 0>",
            "a:b/two@1.0.0#f(x: u32) -> own<resource 1>"
        ]
    );
}

#[test]
fn core_instances_share_what_their_modules_export() {
    let program = program(
        r#"(component
            (core module $owner (memory (export "m") 1) (table (export "t") 1 funcref)
                (global (export "g") (mut i32) (i32.const 0)) (func (export "f")))
            (core module $user (import "x" "memory" (memory 1)) (import "y" "g" (global (mut i32)))
                (import "x" "table" (table 1 funcref)) (import "y" "f" (func)))
            (core instance $o (instantiate $owner))
            (alias core export $o "m" (core memory $m))
            (alias core export $o "t" (core table $t))
            (core instance $loose (export "table" (table $t)) (export "memory" (memory $m)))
            (core instance (instantiate $user (with "y" (instance $o)) (with "x" (instance $loose)))))"#,
    );
    let export = |name: &str| CoreItem::Export(0, name.into());
    assert_eq!(
        program.steps[1].arguments,
        [export("m"), export("g"), export("t"), export("f")]
    );
}

#[test]
fn outer_aliases_reach_modules_types_and_components_around() {
    let program = program(
        r#"(component $root
            (core module $m (func (export "f") (result i32) i32.const 7))
            (type $t u16)
            (component $middle
                (component $inner
                    (alias outer $root $m (core module $m))
                    (alias outer $root $t (type $t))
                    (core instance $i (instantiate $m))
                    (func (export "f") (result $t) (canon lift (core func $i "f"))))
                (instance $i (instantiate $inner))
                (export "f" (func $i "f")))
            (instance $i (instantiate $middle))
            (export "f" (func $i "f")))"#,
    );
    assert_eq!(exports(&program), ["f() -> u16"]);
    assert_eq!(program.lifted[0].instance, ComponentInstance(2));
    assert_eq!((program.steps[0].module, program.instances), (0, 3));
}

#[test]
fn a_component_and_a_module_can_be_arguments_of_an_instance() {
    let program = program(
        r#"(component
            (core module $m (func (export "f") (result i32) i32.const 7))
            (component $c
                (import "module" (core module $m (export "f" (func (result i32)))))
                (core instance $i (instantiate $m))
                (func (export "f") (result u32) (canon lift (core func $i "f"))))
            (component $d
                (import "component" (component $c
                    (import "module" (core module (export "f" (func (result i32)))))
                    (export "f" (func (result u32)))))
                (import "module" (core module $m (export "f" (func (result i32)))))
                (instance $i (instantiate $c (with "module" (core module $m))))
                (export "g" (func $i "f")))
            (instance $i (instantiate $d (with "component" (component $c)) (with "module" (core module $m))))
            (export "h" (func $i "g")))"#,
    );
    assert_eq!(exports(&program), ["h() -> u32"]);
    assert_eq!((program.steps[0].module, program.instances), (0, 3));
}

#[test]
fn an_instance_that_is_exported_with_a_type_has_no_other_exports() {
    let program = program(
        r#"(component
            (import "f" (func $f))
            (instance $i (export "a" (func $f)) (export "b" (func $f)) (export "c" (func $f)))
            (export "all" (instance $i))
            (export "some" (instance $i) (instance (export "c" (func)) (export "a" (func)))))"#,
    );
    assert_eq!(
        exports(&program),
        ["all#a()", "all#b()", "all#c()", "some#c()", "some#a()"]
    );
    assert!(matches!(program.exports[3].function, Callee::Import(0)));
}

#[test]
fn what_no_embedder_can_supply_is_refused_by_name() {
    for (text, expected) in [
        (
            r#"(component (import "m" (core module)))"#,
            "it imports a core module, `m`",
        ),
        (
            r#"(component (import "c" (component)))"#,
            "it imports a component, `c`",
        ),
        (
            r#"(component (import "a:b/i" (instance (export "inner" (core module)))))"#,
            "it imports a core module, `a:b/i.inner`",
        ),
    ] {
        let message = error(text);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn asynchronous_parts_and_values_are_refused() {
    for (sections, expected) in [
        // Imports of an asynchronous function, and of functions that take a future and a list of streams.
        (
            [
                section(7, &[1, 0x43, 0, 1, 0]),
                section(10, &[1, 0, 1, b'f', 1, 0]),
            ]
            .concat(),
            "the import `f` with the type `async func`",
        ),
        (
            [
                section(7, &[2, 0x65, 0, 0x40, 1, 1, b'x', 0, 1, 0]),
                section(10, &[1, 0, 1, b'f', 1, 1]),
            ]
            .concat(),
            "the import `f` with the type `future`",
        ),
        (
            [
                section(7, &[3, 0x66, 0, 0x70, 0, 0x40, 1, 1, b'x', 1, 1, 0]),
                section(10, &[1, 0, 1, b'f', 1, 2]),
            ]
            .concat(),
            "the import `f` with the type `stream`",
        ),
    ] {
        let error = read(&component(&sections), &ComponentLimits::server()).unwrap_err();
        let message = format!("{error}");
        assert_eq!(error.code(), "unsupported", "{message}");
        assert!(message.contains("not run yet"), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    // An import of a value, and a start function of the component.
    for sections in [
        section(10, &[1, 0, 1, b'v', 2, 0x73]),
        section(9, &[0, 0, 0]),
    ] {
        let error = read(&component(&sections), &ComponentLimits::server()).unwrap_err();
        assert!(format!("{error}").contains("value"), "{error}");
    }
}

#[test]
fn asynchronous_types_and_built_ins_that_no_function_has_are_read() {
    // The types `future` and `stream`, a list of the latter, and `thread.yield`.
    let types = section(7, &[3, 0x65, 0, 0x66, 0, 0x70, 1]);
    let built_in = section(8, &[1, 0x0c, 0]);
    let wasm = component(&[types, built_in].concat());
    let program = read(&wasm, &ComponentLimits::server()).unwrap();
    let names = program.built_ins.iter().map(|function| function.name);
    assert_eq!(names.collect::<Vec<_>>(), ["thread.yield"]);
}

#[test]
fn functions_of_nested_instances_have_the_names_of_these() {
    let program = read_text(
        r#"(component (import "host" (instance
             (export "f" (func))
             (export "inner" (instance (export "g" (func)) (export "deep" (instance (export "h" (func)))))))))"#,
    );
    let program = program.unwrap();
    let imports = program.imports.iter();
    let imports = imports.map(|import| (import.interface.as_deref(), &*import.name));
    let expected = ["f", "inner.g", "inner.deep.h"].map(|name| (Some("host"), name));
    assert_eq!(imports.collect::<Vec<_>>(), expected);
}

/// Wraps contents as a section.
fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    let mut section = vec![id];
    crate::module::leb128(&mut section, u32::try_from(contents.len()).unwrap());
    section.extend_from_slice(contents);
    section
}

fn component(sections: &[u8]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0", sections].concat()
}

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
        let fits = |room| super::read(wasm, Bounds { limits, room });
        assert!(fits(needed).is_ok());
        let error = fits(too_little).unwrap_err();
        assert!(matches!(error, LoadError::DoesNotFit { .. }), "{error}");
    }
}

#[test]
fn what_refers_to_itself_or_to_nothing_is_invalid() {
    for sections in [
        // An instance of the component that it is in, of itself, and an alias of itself.
        section(5, &[1, 0, 0, 0]),
        section(2, &[1, 0, 0, 0]),
        section(6, &[1, 5, 0, 0, 1, b'a']),
        section(7, &[1, 0x70, 0]),
        section(11, &[1, 0, 1, b'a', 1, 0, 0]),
    ] {
        let error = read(&component(&sections), &ComponentLimits::server()).unwrap_err();
        assert_eq!(error.code(), "invalid-module", "{error}");
    }
}

#[test]
fn damaged_components_are_refused_or_read_but_never_panic() {
    let text = r#"(component
        (import "a:b/c@1.0.0" (instance $c (export "r" (type $r (sub resource)))
            (export "f" (func (param "x" (borrow $r)) (result (option string))))))
        (core module $m (import "" "d" (func (param i32))) (memory (export "memory") 1)
            (func (export "f") (result i32) i32.const 0))
        (alias export $c "r" (type $r))
        (core func $d (canon resource.drop $r))
        (core instance $i (instantiate $m (with "" (instance (export "d" (func $d))))))
        (component $n (import "f" (func $f (result u32))) (export "g" (func $f)))
        (func $f (result u32) (canon lift (core func $i "f")))
        (instance $n (instantiate $n (with "f" (func $f))))
        (export "n" (instance $n)))"#;
    let wasm = wat::parse_str(text).unwrap();
    let limits = ComponentLimits::server();
    assert!(read(&wasm, &limits).is_ok());
    for end in 8..wasm.len() {
        // Ends between sections are read.
        let _ = read(&wasm[..end], &limits);
    }
    for at in 8..wasm.len() {
        for bit in 0..8 {
            let mut damaged = wasm.clone();
            damaged[at] ^= 1 << bit;
            if let Err(error) = read(&damaged, &limits) {
                assert_ne!(error.code(), "refused", "byte {at}, bit {bit}: {error}");
            }
        }
    }
}
