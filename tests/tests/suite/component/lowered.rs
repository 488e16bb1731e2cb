//! Components that `hostel-lower` made one module of: they do what the component does.

use hostel::{
    Context, Grants, Plugin,
    component::{Interface, Value},
};
use hostel_lower::{LowerError, Names, lower};

/// Guests under version control that import no more than the interface `host`, and their modules before they were wrapped.
const GUESTS: [(&str, &[u8], &[u8]); 2] = [
    (
        "Rust",
        include_bytes!("../../../../guests/prebuilt/components/rust_small.wasm"),
        include_bytes!("../../../../guests/prebuilt/components/rust_module.wasm"),
    ),
    (
        "C",
        include_bytes!("../../../../guests/prebuilt/components/c_plugin.wasm"),
        include_bytes!("../../../../guests/prebuilt/components/c_module.wasm"),
    ),
];

/// Grants the interface `host`, which logs into the data, and has one setting.
fn host() -> Grants<Vec<String>> {
    let host = Interface::new("hostel:example/host@0.1.0")
        .dynamic(
            "log",
            |context: &mut Context<'_, Vec<String>>, values: &[Value]| {
                context.data_mut().push(format!("{values:?}"));
                Ok(None)
            },
        )
        .function("config", |key: String| {
            (key == "prefix").then(|| "CUSTOM".to_owned())
        });
    Grants::with_data().interface(host)
}

/// What a guest does in some calls: the results, and what it logged. Its handles are not compared: they are hostel's.
fn story(plugin: &Plugin<Vec<String>>) -> (Vec<String>, u64) {
    let text = |text: &str| Value::String(text.to_owned());
    let mut instance = plugin.instantiate(Vec::new()).unwrap();
    let (mut told, mut fuel) = (Vec::new(), 0);
    let mut call = |name: &str, values: &[Value]| {
        let result = instance.call_component_values(name, values);
        fuel += instance.usage().fuel;
        told.push(match &result {
            Ok(Some(Value::Resource(_))) => format!("{name}: a handle"),
            result => format!("{name}: {result:?}"),
        });
        result.ok().flatten()
    };
    for input in [&b"hello world"[..], b"", "Grüße".as_bytes(), b"h\xff"] {
        call("process", &[Value::Bytes(input.to_vec())]);
    }
    let request = |of: &str, frame: Option<Value>| {
        Value::Record(vec![
            ("text".into(), text(of)),
            (
                "style".into(),
                Value::Flags(vec!["ascii".into(), "reverse".into()]),
            ),
            ("frame".into(), Value::Option(frame.map(Box::new))),
        ])
    };
    let quotes = Value::Tuple(vec![Value::Char('«'), Value::Char('🦀')]);
    let quotes = Value::Variant("quotes".into(), Some(Box::new(quotes)));
    for request in [request("quoted", Some(quotes)), request("naïve", None)] {
        call("hostel:example/text@0.1.0#customize", &[request]);
    }
    let function = |name: &str| format!("hostel:example/text@0.1.0#{name}");
    let left = call(&function("[constructor]tally"), &[text("left")]).unwrap();
    let right = call(&function("[constructor]tally"), &[text("right")]).unwrap();
    let words = text("to be or not to be");
    call(&function("[method]tally.add"), &[left.clone(), words]);
    call(&function("[method]tally.add"), &[right.clone(), text("be")]);
    let both = call(&function("[static]tally.merge"), &[left.clone(), right]).unwrap();
    call(
        &function("[method]tally.counts"),
        std::slice::from_ref(&both),
    );
    call(
        &function("[static]tally.finish"),
        std::slice::from_ref(&both),
    );
    // It was given away.
    call(&function("[method]tally.name"), &[both]);
    call(&function("[method]tally.name"), std::slice::from_ref(&left));
    if let Value::Resource(left) = &left {
        instance.drop_resource(left).unwrap();
    }
    told.extend(instance.data().iter().cloned());
    (told, fuel)
}

#[test]
fn guests_do_what_their_components_do() {
    for (name, component, module) in GUESTS {
        let lowered = lower(component, Names::Stripped).unwrap();
        let load = |wasm: &[u8]| {
            hostel::engine()
                .load_component("text", wasm, &host())
                .unwrap()
        };
        let (expected, whole) = story(&load(component));
        assert!(
            expected
                .iter()
                .any(|told| told.contains("processing 11 bytes")),
            "{name}"
        );
        let (told, fuel) = story(&load(&lowered));
        assert_eq!(told, expected, "{name}");
        let (told, bare) = story(&load(module));
        assert_eq!(told, expected, "{name}");
        // Calls of imports go through no table any more: as in the module before it was wrapped.
        assert!(fuel < whole, "{name}: {fuel} of {whole}");
        assert_eq!(fuel, bare, "{name}");
        assert!(lowered.len() < component.len(), "{name}");
    }
}

/// Returns plugins of a component as it is, and lowered.
fn both(text: &str) -> [Plugin; 2] {
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let module = lower(&wasm, Names::Kept).unwrap_or_else(|error| panic!("{error}\n{text}"));
    [wasm, module].map(|wasm| {
        let interface = Interface::root()
            .function("host-text", |text: String| format!("{text}!"))
            .function("host-other", |text: String| format!("{text}?"));
        let grants = Grants::new().interface(interface);
        let plugin = hostel::engine().load_component("lowered", &wasm, &grants);
        plugin.unwrap_or_else(|error| panic!("{error}\n{text}"))
    })
}

/// Checks that the export `run` returns this number, as it is and lowered.
fn returns(text: &str, expected: u32) {
    for (plugin, which) in both(text).iter().zip(["component", "module"]) {
        let found = plugin.call_component::<_, u32>("run", ());
        assert_eq!(found.unwrap(), expected, "{which}");
    }
}

/// The end of a component whose instance `$main` exports `run`.
const RUN: &str = r#"(func (export "run") (result u32) (canon lift (core func $main "run"))))"#;

#[test]
fn instances_share_functions_memories_tables_and_globals() {
    returns(
        &format!(
            r#"(component
  (core module $Base
    (memory (export "memory") 1)
    (table (export "table") 4 funcref)
    (global (export "base") i32 (i32.const 100))
    (global (export "count") (mut i32) (i32.const 5))
    (func $seven (export "seven") (result i32) i32.const 7)
    (elem (i32.const 1) func $seven)
    (data (i32.const 8) "\03"))
  (core module $Main
    (import "base" "memory" (memory 1))
    (import "base" "table" (table 4 funcref))
    (import "base" "base" (global $base i32))
    (import "base" "count" (global $count (mut i32)))
    (import "base" "seven" (func $seven (result i32)))
    (type $number (func (result i32)))
    (global $next i32 (i32.add (global.get $base) (i32.const 4)))
    (func $eleven (result i32) i32.const 11)
    (elem (i32.const 2) func $eleven)
    (data (global.get $base) "\01\02")
    (data (i32.add (global.get $base) (i32.const 2)) "\04")
    (func (export "run") (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (call $seven)
      (i32.add (call_indirect (type $number) (i32.const 1)))
      (i32.add (call_indirect (type $number) (i32.const 2)))
      (i32.add (i32.load8_u (i32.const 8)))
      (i32.add (i32.load8_u (i32.const 101)))
      (i32.add (i32.load8_u (i32.const 102)))
      (i32.add (global.get $next))
      (i32.add (global.get $count))))
  (core instance $base (instantiate $Base))
  (core instance $main (instantiate $Main (with "base" (instance $base))))
  {RUN}"#
        ),
        7 + 7 + 11 + 3 + 2 + 4 + 104 + 6,
    );
}

#[test]
fn a_module_instantiated_twice_has_two_states() {
    returns(
        &format!(
            r#"(component
  (core module $Counter
    (global $count (mut i32) (i32.const 0))
    (func (export "count") (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (global.get $count)))
  (core module $Main
    (import "one" "count" (func $one (result i32)))
    (import "two" "count" (func $two (result i32)))
    (func (export "run") (result i32)
      (drop (call $one)) (drop (call $one))
      (i32.add (i32.mul (call $one) (i32.const 10)) (call $two))))
  (core instance $one (instantiate $Counter))
  (core instance $two (instantiate $Counter))
  (core instance $main (instantiate $Main (with "one" (instance $one)) (with "two" (instance $two))))
  {RUN}"#
        ),
        31,
    );
}

#[test]
fn start_functions_and_segments_keep_their_order() {
    // The first start function reads what is there before the segments of the second instance, which overwrite what it
    // writes; the second reads both.
    returns(
        &format!(
            r#"(component
  (core module $One
    (memory (export "memory") 1)
    (table (export "table") 2 funcref)
    (func $start
      (i32.store8 (i32.const 2) (i32.load8_u (i32.const 0)))
      (i32.store8 (i32.const 1) (i32.const 50)))
    (func $first (export "f") (result i32) i32.const 1000)
    (elem (i32.const 0) func $first)
    (data (i32.const 0) "\05")
    (start $start))
  (core module $Main
    (import "one" "memory" (memory 1))
    (import "one" "table" (table 2 funcref))
    (type $number (func (result i32)))
    (data (i32.const 0) "\07\08")
    (func $second (result i32) i32.const 2000)
    (elem (i32.const 0) func $second)
    (func $start (i32.store8 (i32.const 3) (i32.add (i32.load8_u (i32.const 0)) (i32.load8_u (i32.const 1)))))
    (start $start)
    (func (export "run") (result i32)
      (i32.add (call_indirect (type $number) (i32.const 0))
        (i32.add (i32.mul (i32.load8_u (i32.const 2)) (i32.const 100)) (i32.load8_u (i32.const 3))))))
  (core instance $one (instantiate $One))
  (core instance $main (instantiate $Main (with "one" (instance $one))))
  {RUN}"#
        ),
        2000 + 500 + 15,
    );
}

#[test]
fn a_table_that_changes_is_still_called_through() {
    let component = |change: &str| {
        format!(
            r#"(component
  (core module $Shim
    (type $number (func (result i32)))
    (table (export "table") 2 funcref)
    (func (export "0") (result i32) (call_indirect (type $number) (i32.const 0))))
  (core module $Main
    (import "shim" "0" (func $shim (result i32)))
    (import "shim" "table" (table $table 2 funcref))
    (func $other (result i32) i32.const 9)
    (elem declare func $other)
    (func (export "run") (result i32) {change} (call $shim)))
  (core module $Fill
    (import "shim" "table" (table 2 funcref))
    (func $four (result i32) i32.const 4)
    (elem (i32.const 0) func $four))
  (core instance $shim (instantiate $Shim))
  (core instance $main (instantiate $Main (with "shim" (instance $shim))))
  (core instance $fill (instantiate $Fill (with "shim" (instance $shim))))
  {RUN}"#
        )
    };
    let still = component("");
    returns(&still, 4);
    let changes = component("(table.set $table (i32.const 0) (ref.func $other))");
    returns(&changes, 9);
    let tables = |text: &str| {
        let module = lower(&wat::parse_str(text).unwrap(), Names::Stripped).unwrap();
        sections(&module).contains(&4)
    };
    assert!(!tables(&still));
    assert!(tables(&changes));
}

#[test]
fn host_functions_allocate_as_the_component_says() {
    // Each allocator has a range of its own. The host function `host-text` is called with each.
    let [component, module] = both(
        r#"(component
  (import "host-text" (func $text (param "text" string) (result string)))
  (import "host-other" (func $other (param "text" string) (result string)))
  (core module $Libc
    (memory (export "memory") 1)
    (data (i32.const 0) "abc")
    (func (export "low") (param i32 i32 i32 i32) (result i32) i32.const 0x1000)
    (func (export "high") (param i32 i32 i32 i32) (result i32) i32.const 0x2000)
    (func (export "own") (param i32 i32 i32 i32) (result i32) i32.const 0x3000))
  (core module $Main
    (import "host" "low" (func $low (param i32 i32 i32)))
    (import "host" "high" (func $high (param i32 i32 i32)))
    (import "host" "own" (func $own (param i32 i32 i32)))
    (import "libc" "memory" (memory 1))
    (func (export "run") (param i32 i32) (result i32)
      (call $low (i32.const 0) (i32.const 1) (i32.const 256))
      (call $high (i32.const 0) (i32.const 2) (i32.const 264))
      (call $own (i32.const 0) (i32.const 3) (i32.const 272))
      (i32.store (i32.const 280) (i32.const 256))
      (i32.store (i32.const 284) (i32.const 3))
      ;; A list of the three strings, and the argument.
      (i32.store (i32.const 288) (local.get 0))
      (i32.store (i32.const 292) (local.get 1))
      (i32.store (i32.const 280) (i32.const 256))
      (i32.store (i32.const 296) (i32.load (i32.const 256)))
      (i32.store (i32.const 300) (i32.load (i32.const 264)))
      (i32.store (i32.const 304) (i32.load (i32.const 272)))
      (i32.const 280)))
  (core instance $libc (instantiate $Libc))
  (core func $low (canon lower (func $text) (memory (core memory $libc "memory")) (realloc (core func $libc "low"))))
  (core func $high (canon lower (func $text) (memory (core memory $libc "memory")) (realloc (core func $libc "high"))))
  (core func $own (canon lower (func $other) (memory (core memory $libc "memory")) (realloc (core func $libc "own"))))
  (core instance $main (instantiate $Main
    (with "host" (instance (export "low" (func $low)) (export "high" (func $high)) (export "own" (func $own))))
    (with "libc" (instance $libc))))
  (type $result (tuple (list string) string u32 u32 u32))
  (func (export "run") (param "text" string) (result $result)
    (canon lift (core func $main "run") (memory (core memory $libc "memory")) (realloc (core func $libc "own")))))"#,
    );
    for (plugin, which) in [(component, "component"), (module, "module")] {
        type Told = (Vec<String>, String, u32, u32, u32);
        let told = plugin.call_component::<_, Told>("run", ("xyz",)).unwrap();
        let texts = ["a!", "ab!", "abc?"].map(str::to_owned).to_vec();
        // The last allocation took the argument's place.
        assert_eq!(
            told,
            (texts, "abc".into(), 0x1000, 0x2000, 0x3000),
            "{which}"
        );
    }
}

/// Returns the numbers of a module's sections.
fn sections(module: &[u8]) -> Vec<u8> {
    let (mut at, mut found) = (8, Vec::new());
    while at < module.len() {
        found.push(module[at]);
        let (mut size, mut shift) = (0, 0);
        loop {
            at += 1;
            size |= usize::from(module[at] & 0x7f) << shift;
            shift += 7;
            if module[at] & 0x80 == 0 {
                break;
            }
        }
        at += 1 + size;
    }
    found
}

#[test]
fn what_no_export_reaches_is_dropped() {
    let large = "x".repeat(10_000);
    let component = format!(
        r#"(component
  (import "host-text" (func $text (param "text" string) (result string)))
  (core module $Unused
    (memory (export "memory") 1)
    (data (i32.const 0) "{large}")
    (table 1 funcref)
    (global (mut i32) (i32.const 0))
    (func $f) (elem (i32.const 0) func $f)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $unused (instantiate $Unused))
  (core func $text (canon lower (func $text) (memory (core memory $unused "memory")) (realloc (core func $unused "realloc"))))
  (core module $Main
    (import "host" "text" (func $text (param i32 i32 i32)))
    (memory 1)
    (func $calls (call $text (i32.const 0) (i32.const 0) (i32.const 0)))
    (func (export "run") (result i32) (i32.store (i32.const 0) (i32.const 3)) (i32.load (i32.const 0))))
  (core instance $main (instantiate $Main (with "host" (instance (export "text" (func $text))))))
  {RUN}"#
    );
    returns(&component, 3);
    let module = lower(&wat::parse_str(&component).unwrap(), Names::Stripped).unwrap();
    // Types, a function, a memory, exports, code and the contract.
    assert_eq!(sections(&module), [1, 3, 5, 7, 10, 0]);
    assert!(module.len() < 600, "{}", module.len());
}

#[test]
fn names_are_kept_on_demand() {
    let wasm = wat::parse_str(format!(
        r#"(component (core module $M
            (func $unused) (func $runs_this (export "run") (result i32) unreachable))
          (core instance $main (instantiate $M)) {RUN}"#
    ));
    let wasm = wasm.unwrap();
    let has = |module: &[u8], name: &[u8]| module.windows(name.len()).any(|part| part == name);
    let kept = lower(&wasm, Names::Kept).unwrap();
    assert!(has(&kept, b"runs_this") && !has(&kept, b"unused"));
    let stripped = lower(&wasm, Names::Stripped).unwrap();
    assert!(!has(&stripped, b"runs_this"));
}

/// Returns the message and the code of the refusal of a component.
fn refused(text: &str) -> (String, &'static str) {
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let error: LowerError = lower(&wasm, Names::Kept).unwrap_err();
    (error.to_string(), error.code())
}

#[test]
fn refusals_say_why() {
    let lift = |options: &str| {
        format!(
            r#"(core module $Libc (memory (export "memory") 1)
                (func (export "one") (param i32 i32 i32 i32) (result i32) unreachable)
                (func (export "two") (param i32 i32 i32 i32) (result i32) unreachable)
                (func (export "f") (param i32 i32)))
              (core instance $i (instantiate $Libc))
              (func (export "f") (param "v" string) (canon lift (core func $i "f")
                (memory (core memory $i "memory")) (realloc (core func $i "one"))))
              (func (export "g") (param "v" string) (canon lift (core func $i "f")
                (memory (core memory $i "memory")) {options}))"#
        )
    };
    for (text, part) in [
        (
            r#"(core module $M (memory 1) (func (export "f") (drop (i32.load (i32.const 0)))))
               (core module $N (import "m" "f" (func $f)) (memory 1)
                 (func (export "run") (result i32) (call $f) (i32.load (i32.const 0))))
               (core instance $m (instantiate $M))
               (core instance $main (instantiate $N (with "m" (instance $m))))
               (func (export "run") (result u32) (canon lift (core func $main "run")))"#
                .to_owned(),
            "2 memories",
        ),
        (
            r#"(component $C
                 (core module $M (func (export "run") (result i32) i32.const 1))
                 (core instance $main (instantiate $M))
                 (func (export "run") (result u32) (canon lift (core func $main "run"))))
               (instance $c (instantiate $C))
               (core func $run (canon lower (func $c "run")))
               (core module $M (import "c" "run" (func $run (result i32)))
                 (func (export "run") (result i32) (call $run)))
               (core instance $main (instantiate $M (with "c" (instance (export "run" (func $run))))))
               (func (export "run") (result u32) (canon lift (core func $main "run")))"#
                .to_owned(),
            "one component in it calls another",
        ),
        (
            r#"(type $r (resource (rep i32)))
               (core func $new (canon resource.new $r))
               (core module $M (import "r" "new" (func $new (param i32) (result i32)))
                 (func (export "run") (result i32) (call $new (i32.const 1))))
               (core instance $main (instantiate $M (with "r" (instance (export "new" (func $new))))))
               (func (export "run") (result u32) (canon lift (core func $main "run")))"#
                .to_owned(),
            "a resource that it defines and does not export",
        ),
        (lift(r#"(realloc (core func $i "two"))"#), "allocate by several functions"),
        (
            lift(r#"(realloc (core func $i "one")) string-encoding=utf16"#),
            "several encodings",
        ),
    ] {
        let (message, code) = refused(&format!("(component {text})"));
        assert!(message.contains(part), "{message}");
        assert_eq!(code, "not-lowerable", "{message}");
    }
    assert_eq!(refused("(module)").1, "not-component");
    let error = lower(b"\0asm\x0d\0\x01\0\xff", Names::Kept).unwrap_err();
    assert_eq!(error.code(), "invalid-contract", "{error}");
    assert_eq!(lower(b"", Names::Kept).unwrap_err().code(), "not-component");
}

#[test]
fn copies_of_a_large_module_are_bounded() {
    let data = "x".repeat(1 << 20);
    let instances = "(core instance (instantiate $M))".repeat(100);
    let (message, code) = refused(&format!(
        r#"(component (core module $M (memory 16) (data (i32.const 0) "{data}")) {instances})"#
    ));
    assert_eq!(code, "too-large", "{message}");
}

#[test]
fn the_firmware_has_what_lowering_makes() {
    let component = wat::parse_str(include_str!("../../../firmware/typed/shout.wat")).unwrap();
    let module = lower(&component, Names::Stripped).unwrap();
    assert_eq!(module, include_bytes!("../../../firmware/typed/shout.wasm"));
}
