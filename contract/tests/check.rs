//! Each kind of difference between a plugin and a world, and the comparison of whole components with that of
//! wit-component.

#![allow(clippy::expect_used, clippy::panic, missing_docs)]

use hostel_contract::{Contract, Kind, Side, check};
use wit_component::{
    ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata, targets,
};
use wit_parser::{ManglingAndAbi, Resolve, WorldId};

/// Parses WIT text with one world.
fn parse(wit: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).expect("it is WIT");
    let world = resolve
        .select_world(&[package], None)
        .expect("it has a world");
    (resolve, world)
}

/// Makes a core module that has the contract in a custom section.
fn module(wit: &str) -> Vec<u8> {
    let (resolve, world) = parse(wit);
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("the contract can be embedded");
    module
}

/// Makes a component of a world.
fn component(wit: &str) -> Vec<u8> {
    let mut encoder = ComponentEncoder::default();
    let encoder = encoder.validate(true).module(&module(wit));
    encoder
        .expect("a module of the world")
        .encode()
        .expect("a component of the module")
}

/// Returns the differences of a component with the contract `plugin`. Makes sure that a core module with
/// that contract has as many, and that wit-component comes to the same decision.
#[track_caller]
fn differences(plugin: &str, wanted: &str) -> Vec<hostel_contract::Difference> {
    let world = Contract::from_wit("wanted.wit", wanted, None).expect("the wanted world is WIT");
    let component = component(plugin);
    let of_component = Contract::read(&component).expect("a component's contract");
    let found = check(&of_component, &world);
    let of_module = Contract::read(&module(plugin)).expect("a module's contract");
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    let others = check(&of_module, &world);
    assert_eq!(
        others.is_empty(),
        found.is_empty(),
        "{lines:#?}, of the module: {others:#?}"
    );
    let (resolve, world) = parse(wanted);
    let fits = targets(&resolve, world, &component, true);
    assert_eq!(
        found.is_empty(),
        fits.is_ok(),
        "{lines:#?}\nwit-component: {fits:?}"
    );
    found
}

/// Asserts that there is one difference, and how it is told.
#[track_caller]
fn one(plugin: &str, wanted: &str, side: Side, kind: Kind, text: &str) {
    let found = differences(plugin, wanted);
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(lines, [text]);
    assert_eq!((found[0].side, found[0].kind), (side, kind));
}

/// Puts an interface `shapes` with `body` into a package with a world that exports it.
fn exporting(version: &str, body: &str) -> String {
    format!(
        "package a:b@{version}; interface shapes {{ {body} }} world plugin {{ export shapes; }}"
    )
}

fn importing(version: &str, body: &str) -> String {
    format!(
        "package a:b@{version}; interface shapes {{ {body} }} world plugin {{ import shapes; }}"
    )
}

#[test]
fn equal_contracts_fit() {
    let body = "
        resource canvas { constructor(width: u32); draw: func(at: point) -> result<_, failure>; shared: static func() -> canvas; }
        record point { x: s32, y: s32, label: option<string> }
        variant failure { outside(point), full, }
        enum colour { red, green }
        flags modes { fill, smooth }
        paint: func(on: borrow<canvas>, tint: colour, how: modes) -> list<tuple<u8, f64, char>>;
        take: func(it: canvas);
    ";
    assert_eq!(
        differences(&exporting("1.0.0", body), &exporting("1.0.0", body)),
        []
    );
    assert_eq!(
        differences(&importing("1.0.0", body), &importing("1.0.0", body)),
        []
    );
}

#[test]
fn a_plugin_may_import_less_and_export_more() {
    let plugin = "package a:b; interface one { f: func(); } interface two { g: func(); }
        world plugin { import one; export one; export two; export extra: func(); }";
    let wanted =
        "package a:b; interface one { f: func(); more: func(); } interface two { g: func(); }
        world plugin { import one; import two; import log: func(text: string); export two; }";
    assert_eq!(differences(plugin, wanted), []);
}

#[test]
fn compatible_versions_fit_in_both_directions() {
    let body = "f: func();";
    for (ours, theirs) in [
        ("0.2.6", "0.2.9"),
        ("0.2.9", "0.2.6"),
        ("1.0.0", "1.4.2"),
        ("1.4.2", "1.0.0"),
        ("0.2.6", "0.2.6"),
    ] {
        assert_eq!(
            differences(&exporting(ours, body), &exporting(theirs, body)),
            []
        );
        assert_eq!(
            differences(&importing(ours, body), &importing(theirs, body)),
            []
        );
    }
}

#[test]
fn incompatible_versions_are_named() {
    for (found, wanted) in [("0.2.6", "0.3.0"), ("1.0.0", "2.0.0"), ("0.0.1", "0.0.2")] {
        let body = "f: func();";
        for (side, text) in [
            (
                Side::Export,
                format!(
                    "export `a:b/shapes@{wanted}`: expected `a:b/shapes@{wanted}`, found `a:b/shapes@{found}`: the versions are incompatible: build the plugin with `a:b/shapes@{wanted}`"
                ),
            ),
            (
                Side::Import,
                format!(
                    "import `a:b/shapes@{found}`: expected `a:b/shapes@{wanted}`, found `a:b/shapes@{found}`: the versions are incompatible: build the plugin with `a:b/shapes@{wanted}`"
                ),
            ),
        ] {
            let wit = match side {
                Side::Export => exporting,
                Side::Import => importing,
            };
            one(
                &wit(found, body),
                &wit(wanted, body),
                side,
                Kind::Version,
                &text,
            );
        }
    }
}

#[test]
fn an_interface_that_is_missing_is_named() {
    let nothing = "package a:b; interface shapes { f: func(); } world plugin { }";
    let export = "package a:b; interface shapes { f: func(); } world plugin { export shapes; }";
    let import = "package a:b; interface shapes { f: func(); } world plugin { import shapes; }";
    one(
        nothing,
        export,
        Side::Export,
        Kind::Interface,
        "export `a:b/shapes`: the plugin lacks it: implement and export it",
    );
    one(
        import,
        nothing,
        Side::Import,
        Kind::Interface,
        "import `a:b/shapes`: the world does not supply it: remove it from the plugin, or add `import a:b/shapes;` to the world",
    );
}

#[test]
fn a_function_that_is_missing_is_named() {
    one(
        &exporting("1.0.0", "f: func();"),
        &exporting("1.0.0", "f: func(); area: func(side: u32) -> u64;"),
        Side::Export,
        Kind::Function,
        "export `a:b/shapes@1.0.0`, `area`: expected `func(side: u32) -> u64`, found none: add it to the plugin",
    );
    one(
        &importing("1.2.0", "f: func(); area: func(side: u32) -> u64;"),
        &importing("1.0.0", "f: func();"),
        Side::Import,
        Kind::Function,
        "import `a:b/shapes@1.2.0`, `area`: found `func(side: u32) -> u64`, not in the world: build the plugin with the interface as the world has it, or add this to the world",
    );
}

#[test]
fn a_function_of_the_world_that_is_missing_is_named() {
    let with = |what: &str| format!("package a:b; world plugin {{ {what} }}");
    one(
        &with(""),
        &with("export run: func(args: list<string>);"),
        Side::Export,
        Kind::Function,
        "export `run`: expected `func(args: list<string>)`, found none: the plugin lacks it: implement and export it",
    );
    one(
        &with("import log: func(text: string);"),
        &with(""),
        Side::Import,
        Kind::Function,
        "import `log`: found `func(text: string)`, not in the world: the world does not supply it: remove it from the plugin, or add it to the world",
    );
}

#[test]
fn a_resource_that_is_missing_is_named() {
    let found = differences(
        &exporting("1.0.0", "f: func();"),
        &exporting("1.0.0", "f: func(); resource canvas { draw: func(); }"),
    );
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "export `a:b/shapes@1.0.0`, `canvas`: expected `resource canvas`, found none: add it to the plugin",
            "export `a:b/shapes@1.0.0`, `[method]canvas.draw`: expected `func(self: borrow<canvas>)`, found none: add it to the plugin",
        ]
    );
    assert_eq!(found[0].kind, Kind::Type);
}

#[test]
fn types_that_differ_are_named_with_their_place() {
    for (found, wanted, text) in [
        (
            "f: func(side: u32);",
            "f: func(side: u64);",
            "parameter `side`: expected `u64`, found `u32`: change it in the plugin to `u64`",
        ),
        (
            "f: func() -> list<u8>;",
            "f: func() -> list<string>;",
            "result, elements: expected `string`, found `u8`: change it in the plugin to `string`",
        ),
        (
            "f: func() -> result<u8>;",
            "f: func() -> result<u8, string>;",
            "result: expected `result<u8, string>`, found `result<u8>`: change it in the plugin to `result<u8, string>`",
        ),
        (
            "f: func() -> result<u8, string>;",
            "f: func() -> result<u8, u8>;",
            "result, err: expected `u8`, found `string`: change it in the plugin to `u8`",
        ),
        (
            "f: func() -> option<u8>;",
            "f: func() -> u8;",
            "result: expected `u8`, found `option<u8>`: change it in the plugin to `u8`",
        ),
        (
            "f: func() -> option<u8>;",
            "f: func() -> option<bool>;",
            "result, some: expected `bool`, found `u8`: change it in the plugin to `bool`",
        ),
        (
            "f: func() -> tuple<u8, u8>;",
            "f: func() -> tuple<u8, s8>;",
            "result, element 1: expected `s8`, found `u8`: change it in the plugin to `s8`",
        ),
        (
            "f: func() -> tuple<u8, u8>;",
            "f: func() -> tuple<u8>;",
            "result: expected `tuple<u8>`, found `tuple<u8, u8>`: change it in the plugin to `tuple<u8>`",
        ),
        (
            "f: func();",
            "f: func() -> u8;",
            "expected `func() -> u8`, found `func()`: change it in the plugin to `func() -> u8`",
        ),
        (
            "f: func(a: u8);",
            "f: func(b: u8);",
            "expected `func(b: u8)`, found `func(a: u8)`: change it in the plugin to `func(b: u8)`",
        ),
        (
            "f: func(a: u8, b: u8);",
            "f: func(a: u8);",
            "expected `func(a: u8)`, found `func(a: u8, b: u8)`: change it in the plugin to `func(a: u8)`",
        ),
    ] {
        let comma = if text.starts_with("expected") {
            ":"
        } else {
            ","
        };
        let expected = format!("export `a:b/shapes@1.0.0`, `f`{comma} {text}");
        one(
            &exporting("1.0.0", found),
            &exporting("1.0.0", wanted),
            Side::Export,
            Kind::Mismatch,
            &expected,
        );
        let expected = format!("import `a:b/shapes@1.0.0`, `f`{comma} {text}");
        one(
            &importing("1.0.0", found),
            &importing("1.0.0", wanted),
            Side::Import,
            Kind::Mismatch,
            &expected,
        );
    }
}

#[test]
fn a_named_type_that_differs_is_told_once() {
    for (found, wanted, text) in [
        (
            "record t { x: s32, y: s32 }",
            "record t { x: s32, y: s64 }",
            ", field `y`: expected `s64`, found `s32`: change it in the plugin to `s64`",
        ),
        (
            "record t { x: s32 }",
            "record t { x: s32, y: s32 }",
            ": expected `record t { x: s32, y: s32 }`, found `record t { x: s32 }`: change it in the plugin to `record t { x: s32, y: s32 }`",
        ),
        (
            "record t { y: s32, x: s32 }",
            "record t { x: s32, y: s32 }",
            ": expected `record t { x: s32, y: s32 }`, found `record t { y: s32, x: s32 }`: change it in the plugin to `record t { x: s32, y: s32 }`",
        ),
        (
            "variant t { a(u8), b }",
            "variant t { a(s8), b }",
            ", case `a`: expected `s8`, found `u8`: change it in the plugin to `s8`",
        ),
        (
            "variant t { a(u8), b }",
            "variant t { a(u8), b(u8) }",
            ": expected `variant t { a(u8), b(u8) }`, found `variant t { a(u8), b }`: change it in the plugin to `variant t { a(u8), b(u8) }`",
        ),
        (
            "enum t { a, b }",
            "enum t { a, c }",
            ": expected `enum t { a, c }`, found `enum t { a, b }`: change it in the plugin to `enum t { a, c }`",
        ),
        (
            "flags t { a }",
            "flags t { a, b }",
            ": expected `flags t { a, b }`, found `flags t { a }`: change it in the plugin to `flags t { a, b }`",
        ),
        (
            "enum t { a }",
            "flags t { a }",
            ": expected `flags t { a }`, found `enum t { a }`: change it in the plugin to `flags t { a }`",
        ),
        (
            "type t = u8;",
            "type t = u16;",
            ": expected `u16`, found `u8`: change it in the plugin to `u16`",
        ),
    ] {
        let users = "f: func(it: t); g: func() -> option<t>; h: func(many: list<t>) -> t;";
        let expected = format!("export `a:b/shapes@1.0.0`, `t`{text}");
        let plugin = exporting("1.0.0", &format!("{found} {users}"));
        let world = exporting("1.0.0", &format!("{wanted} {users}"));
        let lines: Vec<_> = differences(&plugin, &world)
            .iter()
            .map(ToString::to_string)
            .collect();
        // A type without a name of its own to the machine is compared wherever it is written.
        assert_eq!(lines.first(), Some(&expected));
        assert!(lines.len() == 1 || found.starts_with("type"), "{lines:#?}");
    }
}

#[test]
fn types_are_compared_through_use_and_aliases() {
    let direct = "package a:b; interface shapes { record point { x: u8 } f: func(it: point); }
        world plugin { export shapes; }";
    let used = "package a:b; interface types { record point { x: u8 } }
        interface shapes { use types.{point}; type spot = point; f: func(it: spot); }
        world plugin { export shapes; }";
    let other = "package a:b; interface types { record point { x: u16 } }
        interface shapes { use types.{point}; type spot = point; f: func(it: spot); }
        world plugin { export shapes; }";
    let of = |wit: &str| Contract::from_wit("it.wit", wit, None).expect("it is WIT");
    // `spot` is one more type that a plugin may export.
    assert_eq!(check(&of(direct), &of(direct)), []);
    let found: Vec<_> = check(&of(used), &of(direct));
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    // The plugin imports the interface of the type, as its own world says.
    assert_eq!(
        lines,
        [
            "import `a:b/types`: the world does not supply it: remove it from the plugin, or add `import a:b/types;` to the world"
        ]
    );
    let found = differences(used, other);
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "import `a:b/types`, `point`, field `x`: expected `u16`, found `u8`: change it in the plugin to `u16`"
        ]
    );
}

#[test]
fn resources_are_compared_by_name() {
    let wit = |resource: &str| {
        format!(
            "package a:b; interface types {{ resource {resource}; }}
            interface shapes {{ use types.{{{resource} as it}}; f: func(it: borrow<it>); }}
            world plugin {{ import types; import shapes; }}"
        )
    };
    assert_eq!(differences(&wit("canvas"), &wit("canvas")), []);
    let found = differences(&wit("canvas"), &wit("page"));
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "import `a:b/types`, `canvas`: found `resource canvas`, not in the world: build the plugin with the interface as the world has it, or add this to the world",
            "import `a:b/shapes`, `it`: expected `resource page`, found `resource canvas`: change it in the plugin to `resource page`",
        ]
    );
}

#[test]
fn own_and_borrowed_handles_differ() {
    one(
        &exporting("1.0.0", "resource r; f: func(it: r);"),
        &exporting("1.0.0", "resource r; f: func(it: borrow<r>);"),
        Side::Export,
        Kind::Mismatch,
        "export `a:b/shapes@1.0.0`, `f`, parameter `it`: expected `borrow<r>`, found `r`: change it in the plugin to `borrow<r>`",
    );
}

#[test]
fn an_import_of_another_kind_is_told() {
    let interface = "package a:b; world plugin { import it: interface { f: func(); } }";
    let function = "package a:b; world plugin { import it: func(); }";
    one(
        interface,
        function,
        Side::Import,
        Kind::Mismatch,
        "import `it`: expected `func`, found `interface`: declare it in the plugin as the world does",
    );
}

#[test]
fn all_differences_are_told_at_once() {
    let plugin = "package a:b; interface one { f: func(a: u8); } interface two { g: func(); }
        world plugin { import two; export one; }";
    let wanted =
        "package a:b; interface one { f: func(a: u16); h: func(); } interface two { g: func(); }
        world plugin { export one; export two; export run: func(); }";
    let found = differences(plugin, wanted);
    let found: Vec<_> = found
        .iter()
        .map(|it| (it.side.name(), it.kind.code(), it.item.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("import", "interface", None),
            ("export", "function", Some("run")),
            ("export", "mismatch", Some("f")),
            ("export", "function", Some("h")),
            ("export", "interface", None),
        ]
    );
}

#[test]
fn the_number_of_differences_is_limited() {
    let functions: String = (0..1_500)
        .map(|index| format!("act{index}: func();"))
        .collect();
    let wanted = exporting("1.0.0", &functions);
    let plugin = exporting("1.0.0", "g: func();");
    let of = |wit: &str| Contract::from_wit("it.wit", wit, None).expect("it is WIT");
    let found = check(&of(&plugin), &of(&wanted));
    assert_eq!(found.len(), hostel_contract::limits::DIFFERENCES + 1);
    let last = found.last().expect("there are differences");
    assert_eq!(last.kind, Kind::More);
    assert_eq!(
        last.to_string(),
        "there are more differences: mend these, then check again"
    );
}

#[test]
fn asynchronous_functions_differ_from_others() {
    let of = |wit: &str| Contract::from_wit("it.wit", wit, None).expect("it is WIT");
    let found = check(
        &of(&exporting("1.0.0", "f: func();")),
        &of(&exporting("1.0.0", "f: async func();")),
    );
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "export `a:b/shapes@1.0.0`, `f`: expected `async func()`, found `func()`: change it in the plugin to `async func()`"
        ]
    );
}
