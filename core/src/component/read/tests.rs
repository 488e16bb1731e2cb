mod limits;

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
            "it imports a core module, `a:b/i#inner`",
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
