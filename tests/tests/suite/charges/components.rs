//! Components: lifting and lowering, resources, and functions of WASI 0.2 that are not preview 1's.
//!
//! The guest's own fuel is that of its core module on bare wasmi, where no import does anything.

use super::{BASE, SIZES, TEXT, pass};
use hostel::{
    Budget, Context, Grants, Trap, Wasi,
    component::{Borrow, Interface, Own},
};
use hostel_tests::assemble;
use wasmi::{CompilationMode, Config, Linker, Module, Store, Val};

/// The module with the memory, 1 MiB of `a`s at [`TEXT`], and an allocator that returns a place behind them.
const MEMORY: &str = r#"(module
    (memory (export "memory") 96)
    (func $fill (memory.fill (i32.const 65536) (i32.const 97) (i32.const 1048576)))
    (start $fill)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x200000)))"#;

/// A component that calls functions of the host once, and what these calls are charged.
struct Row {
    /// What it imports.
    imports: &'static str,
    /// The functions that it calls: their names in its core module, how they are made, and their core types.
    functions: &'static [(&'static str, &'static str, &'static str)],
    /// How its core module calls them. Local 0 is the address of the `a`s, and local 1 is `n`.
    code: &'static str,
    /// How often it is asked for a buffer.
    buffers: u64,
    /// Returns the charge for `n`, [`BASE`] for each call of the host included.
    charge: fn(n: u64) -> u64,
}

const fn row(
    imports: &'static str,
    functions: &'static [(&'static str, &'static str, &'static str)],
    code: &'static str,
    buffers: u64,
    charge: fn(n: u64) -> u64,
) -> Row {
    Row {
        imports,
        functions,
        code,
        buffers,
        charge,
    }
}

/// How a function is lowered, with text in UTF-8, UTF-16, or in Latin-1 or UTF-16.
const UTF8: &str = r#"(canon lower (func $f) (memory (core memory $m "memory")) (realloc (core func $m "realloc")))"#;
const UTF16: &str = r#"(canon lower (func $f) string-encoding=utf16 (memory (core memory $m "memory")) (realloc (core func $m "realloc")))"#;
const LATIN1: &str = r#"(canon lower (func $f) string-encoding=latin1+utf16 (memory (core memory $m "memory")) (realloc (core func $m "realloc")))"#;

/// Fuel for making a resource of WASI.
const RESOURCE: u64 = 20;

/// Bytes that an entry of `fields` counts besides name and value.
const ENTRY: u64 = 48;

#[rustfmt::skip] // a table
const ROWS: &[Row] = &[
    // From the guest. Core values are free; a value in memory is a unit, and so is each compound one around it.
    row(r#"(import "numbers" (func $f (param "a" u32) (param "b" u64)))"#,
        &[("f", "(canon lower (func $f))", "(param i32 i64)")],
        "(call $f (local.get 1) (i64.const 7))", 0, |_| BASE),
    row(r#"(import "many" (func $f (param "v" (tuple (tuple u32 u32 u32 u32 u32 u32 u32 u32) (tuple u8 u8 u8 u8 u8 u8 u8 u8) u64))))"#,
        &[("f", UTF8, "(param i32)")],
        "(call $f (i32.const 64))", 0, |_| BASE + 3 + 17),
    row(r#"(import "bytes" (func $f (param "v" (list u8))))"#,
        &[("f", UTF8, "(param i32 i32)")],
        "(call $f (local.get 0) (local.get 1))", 0, |n| BASE + pass(n)),
    row(r#"(import "words" (func $f (param "v" (list u32))))"#,
        &[("f", UTF8, "(param i32 i32)")],
        "(call $f (local.get 0) (i32.shr_u (local.get 1) (i32.const 2)))", 0, |n| BASE + pass(n / 4 * 4)),
    row(r#"(import "pairs" (func $f (param "v" (list (tuple u8 u32)))))"#,
        &[("f", UTF8, "(param i32 i32)")],
        "(call $f (local.get 0) (i32.shr_u (local.get 1) (i32.const 3)))", 0, |n| BASE + n / 8 * 3),
    row(r#"(import "nested" (func $f (param "v" (list (tuple (tuple (tuple (tuple u8))))))))"#,
        &[("f", UTF8, "(param i32 i32)")],
        "(call $f (local.get 0) (local.get 1))", 0, |n| BASE + n * 5),
    row(r#"(import "text" (func $f (param "v" string)))"#,
        &[("f", UTF8, "(param i32 i32)")],
        "(call $f (local.get 0) (local.get 1))", 0, |n| BASE + 2 * pass(n)),
    row(r#"(import "text" (func $f (param "v" string)))"#,
        &[("f", UTF16, "(param i32 i32)")],
        "(call $f (local.get 0) (i32.shr_u (local.get 1) (i32.const 1)))", 0, |n| BASE + 2 * pass(n / 2 * 2)),
    row(r#"(import "text" (func $f (param "v" string)))"#,
        &[("f", LATIN1, "(param i32 i32)")],
        "(call $f (local.get 0) (local.get 1))", 0, |n| BASE + 2 * pass(n)),
    row(r#"(import "option" (func $f (param "v" (option string))))"#,
        &[("f", UTF8, "(param i32 i32 i32)")],
        "(call $f (i32.const 1) (local.get 0) (local.get 1))", 0, |n| BASE + 2 * pass(n)),

    // To the guest. The result's pointer and length take 8 bytes of memory, in two values.
    row(r#"(import "number" (func $f (param "n" u32) (result u32)))"#,
        &[("f", "(canon lower (func $f))", "(param i32) (result i32)")],
        "(drop (call $f (local.get 1)))", 0, |_| BASE),
    row(r#"(import "make-bytes" (func $f (param "n" u32) (result (list u8))))"#,
        &[("f", UTF8, "(param i32 i32)")],
        "(call $f (local.get 1) (i32.const 64))", 1, |n| BASE + RETURNED + pass(n)),
    row(r#"(import "make-text" (func $f (param "n" u32) (result string)))"#,
        &[("f", UTF8, "(param i32 i32)")],
        "(call $f (local.get 1) (i32.const 64))", 1, |n| BASE + RETURNED + 2 * pass(n)),
    row(r#"(import "make-text" (func $f (param "n" u32) (result string)))"#,
        &[("f", UTF16, "(param i32 i32)")],
        "(call $f (local.get 1) (i32.const 64))", 1, |n| BASE + RETURNED + 3 * pass(n) + pass(2 * n)),
    row(r#"(import "make-text" (func $f (param "n" u32) (result string)))"#,
        &[("f", LATIN1, "(param i32 i32)")],
        "(call $f (local.get 1) (i32.const 64))", 1, |n| BASE + RETURNED + 3 * pass(n) + pass(n)),
    row(r#"(import "make-pairs" (func $f (param "n" u32) (result (list (tuple u8 u32)))))"#,
        &[("f", UTF8, "(param i32 i32)")],
        "(call $f (i32.shr_u (local.get 1) (i32.const 3)) (i32.const 64))", 1,
        |n| BASE + RETURNED + pass(n / 8 * 8) + n / 8 * 3),
    row(r#"(import "maybe" (func $f (param "n" u32) (result (option u32))))"#,
        &[("f", UTF8, "(param i32 i32)")],
        "(call $f (local.get 1) (i32.const 64))", 0, |_| BASE + RETURNED + 1),

    // Resources of the embedder's: made, lent, given back, dropped.
    row(RESOURCES, &[("make", "(canon lower (func $make))", "(result i32)"), ("lend", "(canon lower (func $lend))", "(param i32)"),
          ("drop", "(canon resource.drop $r)", "(param i32)")],
        "(local.set 0 (call $make)) (call $lend (local.get 0)) (call $drop (local.get 0))", 0, |_| 2 * BASE + DROP),
    row(RESOURCES, &[("make", "(canon lower (func $make))", "(result i32)"), ("give", "(canon lower (func $give))", "(param i32)")],
        "(call $give (call $make))", 0, |_| 2 * BASE),

    // WASI 0.2. What preview 1 has too is charged as there.
    row(r#"(import "wasi:random/random@0.2.0" (instance $i (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
           (alias export $i "get-random-bytes" (func $f))"#,
        &[("f", UTF8, "(param i64 i32)")],
        "(call $f (i64.extend_i32_u (local.get 1)) (i32.const 64))", 1, |n| BASE + RETURNED + pass(n) + random(n) + pass(n)),
    row(POLLABLES, &[("f", r#"(canon lower (func $after))"#, "(param i64) (result i32)"), ("ready", "(canon lower (func $ready))", "(param i32) (result i32)"),
          ("drop", "(canon resource.drop $p)", "(param i32)")],
        "(local.set 0 (call $f (i64.const 0))) (drop (call $ready (local.get 0))) (call $drop (local.get 0))", 0,
        |_| 2 * BASE + RESOURCE + 5 + DROP),
    row(FIELDS, &[("f", "(canon lower (func $new))", "(result i32)"), ("append", APPEND, "(param i32 i32 i32 i32 i32 i32)"),
          ("has", HAS, "(param i32 i32 i32) (result i32)"), ("drop", "(canon resource.drop $r)", "(param i32)")],
        "(local.set 1 (select (local.get 1) (i32.const 64) (i32.lt_u (local.get 1) (i32.const 64))))
         (local.set 2 (call $f))
         (call $append (local.get 2) (i32.const 65536) (i32.const 1) (i32.const 65536) (local.get 1) (i32.const 64))
         (drop (call $has (local.get 2) (i32.const 65536) (i32.const 2)))
         (call $drop (local.get 2))", 0,
        |n| 3 * BASE + RESOURCE + DROP
            // The name `a` and the value are lifted; the entry is checked; the result is in memory.
            + 2 * pass(1) + pass(n.min(64)) + pass(ENTRY + 1 + n.min(64)) + 1 + CASE
            // The name `aa` is lifted; all entries are looked at.
            + 2 * pass(2) + pass(ENTRY + 1 + n.min(64)) + 1),
];

/// The charge for a result of two values in memory, whose 8 bytes are written.
const RETURNED: u64 = 2 + 1;

/// The charge for a result without a payload: itself, its case, and writing it.
const CASE: u64 = 1 + 1 + 1;

/// The charge for dropping a resource of the host's: the call, and what the host does for it.
const DROP: u64 = 2 * BASE;

/// The charge for `n` random bytes.
fn random(n: u64) -> u64 {
    8 * pass(n)
}

const RESOURCES: &str = r#"
    (import "host:r/r" (instance $i
      (export "r" (type $r (sub resource)))
      (export "make" (func (result (own $r))))
      (export "lend" (func (param "r" (borrow $r))))
      (export "give" (func (param "r" (own $r))))))
    (alias export $i "r" (type $r))
    (alias export $i "make" (func $make))
    (alias export $i "lend" (func $lend))
    (alias export $i "give" (func $give))"#;

const POLLABLES: &str = r#"
    (import "wasi:io/poll@0.2.0" (instance $poll
      (export "pollable" (type $p (sub resource)))
      (export "[method]pollable.ready" (func (param "self" (borrow $p)) (result bool)))))
    (alias export $poll "pollable" (type $p))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
      (alias outer 1 $p (type $t)) (export "pollable" (type $pol (eq $t)))
      (export "subscribe-duration" (func (param "when" u64) (result (own $pol))))))
    (alias export $poll "[method]pollable.ready" (func $ready))
    (alias export $clock "subscribe-duration" (func $after))"#;

const FIELDS: &str = r#"
    (import "wasi:http/types@0.2.0" (instance $i
      (export "fields" (type $r (sub resource)))
      (type $e0 (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
      (export "header-error" (type $e (eq $e0)))
      (export "[constructor]fields" (func (result (own $r))))
      (export "[method]fields.has" (func (param "self" (borrow $r)) (param "name" string) (result bool)))
      (export "[method]fields.append" (func (param "self" (borrow $r)) (param "name" string) (param "value" (list u8))
        (result (result (error $e)))))))
    (alias export $i "fields" (type $r))
    (alias export $i "[constructor]fields" (func $new))
    (alias export $i "[method]fields.has" (func $has))
    (alias export $i "[method]fields.append" (func $append))"#;

const APPEND: &str = r#"(canon lower (func $append) (memory (core memory $m "memory")))"#;
const HAS: &str = r#"(canon lower (func $has) (memory (core memory $m "memory")))"#;

struct Thing;

/// The types of `many`.
type Many = (
    (u32, u32, u32, u32, u32, u32, u32, u32),
    (u8, u8, u8, u8, u8, u8, u8, u8),
    u64,
);

/// Grants all that the rows import.
fn granted() -> Grants {
    let root = Interface::root()
        .function("numbers", |_: u32, _: u64| Ok::<_, Trap>(()))
        .function("many", |_: Many| Ok::<_, Trap>(()))
        .function("bytes", |_: Vec<u8>| Ok::<_, Trap>(()))
        .function("words", |_: Vec<u32>| Ok::<_, Trap>(()))
        .function("pairs", |_: Vec<(u8, u32)>| Ok::<_, Trap>(()))
        .function("nested", |_: Vec<((((u8,),),),)>| Ok::<_, Trap>(()))
        .function("text", |_: String| Ok::<_, Trap>(()))
        .function("option", |_: Option<String>| Ok::<_, Trap>(()))
        .function("number", |n: u32| Ok::<_, Trap>(n))
        .function("make-bytes", |n: u32| Ok::<_, Trap>(vec![7_u8; n as usize]))
        .function("make-text", |n: u32| Ok::<_, Trap>("a".repeat(n as usize)))
        .function("make-pairs", |n: u32| {
            Ok::<_, Trap>(vec![(7_u8, 8_u32); n as usize])
        })
        .function("maybe", |n: u32| Ok::<_, Trap>(Some(n)));
    let resources = Interface::new("host:r/r")
        .resource("r", |_: &mut Context<'_, ()>, _: Own<Thing>| Ok(()))
        .function("make", || Ok::<_, Trap>(Own::<Thing>::new(1)))
        .function("lend", |_: Borrow<Thing>| Ok::<_, Trap>(()))
        .function("give", |_: Own<Thing>| Ok::<_, Trap>(()));
    Grants::new()
        .interface(root)
        .interface(resources)
        .wasi(Wasi::new().random_seed(1))
}

/// Returns the core module of a row, and the component around it.
fn texts(row: &Row) -> (String, String) {
    let (mut imported, mut made, mut given) = (String::new(), String::new(), String::new());
    for (name, how, ty) in row.functions {
        imported.push_str(&format!("(import \"w\" \"{name}\" (func ${name} {ty}))"));
        made.push_str(&format!("(core func $core_{name} {how})"));
        given.push_str(&format!("(export \"{name}\" (func $core_{name}))"));
    }
    let main = format!(
        r#"(module {imported} (import "m" "memory" (memory 96))
            (func (export "run") (param i32 i32) (local i32) {}))"#,
        row.code
    );
    let imports = row.imports;
    let component = format!(
        r#"(component {imports} {} (core instance $m (instantiate $Memory)) {made} {}
            (core instance $main (instantiate $Main (with "m" (instance $m)) (with "w" (instance {given}))))
            (func (export "run") (param "ptr" u32) (param "len" u32) (canon lift (core func $main "run"))))"#,
        MEMORY.replacen("(module", "(core module $Memory", 1),
        main.replacen("(module", "(core module $Main", 1)
    );
    (main, component)
}

/// The two modules of a row on bare wasmi.
struct Bare {
    store: Store<()>,
    memory: wasmi::Instance,
    main: wasmi::Instance,
}

impl Bare {
    fn new(main: &str) -> Self {
        let mut config = Config::default();
        config
            .consume_fuel(true)
            .compilation_mode(CompilationMode::Eager);
        let engine = wasmi::Engine::new(&config);
        let module = |text: &str| Module::new(&engine, assemble(text)).unwrap();
        let (memory, main) = (module(MEMORY), module(main));
        let mut store = Store::new(&engine, ());
        store.set_fuel(u64::MAX).unwrap();
        let mut linker = Linker::new(&engine);
        let memory = linker.instantiate_and_start(&mut store, &memory).unwrap();
        let export = memory.get_memory(&store, "memory").unwrap();
        linker.define("m", "memory", export).unwrap();
        for import in main.imports() {
            if let Some(ty) = import.ty().func() {
                let nothing = |_: wasmi::Caller<'_, ()>, _: &[Val], _: &mut [Val]| Ok(());
                linker
                    .func_new(import.module(), import.name(), ty.clone(), nothing)
                    .unwrap();
            }
        }
        let main = linker.instantiate_and_start(&mut store, &main).unwrap();
        Self {
            store,
            memory,
            main,
        }
    }

    /// Returns the fuel of `run`, and that of `realloc`.
    fn fuel(&mut self, n: u32) -> (u64, u64) {
        let run = self.main.get_func(&self.store, "run").unwrap();
        let realloc = self.memory.get_func(&self.store, "realloc").unwrap();
        let mut call = |function: wasmi::Func, params: &[u32], results: &mut [Val]| {
            let params: Vec<_> = params.iter().map(|param| Val::I32(*param as i32)).collect();
            let before = self.store.get_fuel().unwrap();
            function.call(&mut self.store, &params, results).unwrap();
            before - self.store.get_fuel().unwrap()
        };
        let ran = call(run, &[TEXT, n], &mut []);
        (ran, call(realloc, &[0; 4], &mut [Val::I32(0)]))
    }
}

#[test]
fn calls_of_the_host_by_components_are_charged_to_the_unit() {
    let grants = granted();
    let mut budget = Budget::server();
    budget.argument_bytes = 64 << 20;
    budget.bytes_to_guest = 64 << 20;
    let mut wrong = Vec::new();
    for row in ROWS {
        let (main, text) = texts(row);
        let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let plugin = hostel::engine()
            .load_component("component", &wasm, &grants)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut instance = plugin.with_budget(budget).instantiate(()).unwrap();
        let mut bare = Bare::new(&main);
        for n in SIZES {
            let ran = instance.call_component::<_, ()>("run", (TEXT, n));
            ran.unwrap_or_else(|error| panic!("{error}\n{text}"));
            let (guest, realloc) = bare.fuel(n);
            // The call of the export is charged too; its arguments are core values.
            let host = instance.usage().fuel - BASE - guest - row.buffers * realloc;
            let expected = (row.charge)(n.into());
            if host != expected {
                wrong.push(format!(
                    "{n}: {host}, not {expected}: {}",
                    row.imports.trim()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
