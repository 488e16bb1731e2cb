//! What the host charges for its work, to the unit: the guest's own fuel is measured on bare wasmi
//! and taken off.

mod wasi;

use hostel::{
    Budget, Context, Grants, Instance, LogRecord, Postcard, StateCosts, StateError, StateStore,
    StateUse, Trap, Value,
};
use hostel_tests::{assemble, load_wat};
use std::{collections::BTreeSet, sync::Arc};
use wasmi::{CompilationMode, Config, Engine, Linker, Module, Store, Val};

/// How many bytes are exchanged.
const SIZES: [u32; 8] = [0, 1, 63, 64, 65, 4_095, 4_096, 1 << 20];

/// For each call, of a host function or of an export.
const BASE: u64 = 20;

/// For going over `bytes` bytes once.
fn pass(bytes: u64) -> u64 {
    bytes.div_ceil(64)
}

/// The bytes that serialising `bytes` bytes gives: their number goes first, seven bits a byte.
fn serialised(bytes: u64) -> u64 {
    bytes + u64::from((bytes | 1).ilog2() / 7 + 1)
}

/// A host function, how a guest calls it with `n` bytes, and what that is charged.
struct Row {
    module: &'static str,
    name: &'static str,
    ty: &'static str,
    /// What the guest hands over, where local 0 points to `n` bytes and local 1 is `n`.
    arguments: &'static str,
    /// How many core values the guest drops, and how many buffers it is asked for.
    results: usize,
    buffers: u64,
    charge: fn(n: u64) -> u64,
}

const PTR_LEN: &str = "(local.get 0) (local.get 1)";
const LEN: &str = "(local.get 1)";

#[rustfmt::skip] // a table
const ROWS: &[Row] = &[
    // The built-in ones. Showing a byte of log is dearer than reading it.
    Row { module: "env", name: "host_log", ty: "(param i32 i32)", arguments: PTR_LEN, results: 0, buffers: 0, charge: |n| BASE + pass(n) + n },
    Row { module: "env", name: "host_log_message", ty: "(param i32 i32)", arguments: PTR_LEN, results: 0, buffers: 0, charge: |n| BASE + pass(n) + n },
    // A key, and a value of the same length.
    Row { module: "env", name: "host_get_config", ty: "(param i32 i32) (result i32 i32)", arguments: PTR_LEN, results: 2, buffers: 1, charge: |n| BASE + pass(n) + pass(n) },
    // State: a value, or one key in the list, of the same length as the key asked for.
    Row { module: "env", name: "host_state_get", ty: "(param i32 i32) (result i32 i32)", arguments: PTR_LEN, results: 2, buffers: 1, charge: |n| BASE + pass(n) + READ + pass(n) },
    Row { module: "env", name: "host_state_set", ty: "(param i32 i32 i32 i32) (result i32 i32)", arguments: "(local.get 0) (local.get 1) (local.get 0) (local.get 1)", results: 2, buffers: 0, charge: |n| BASE + 2 * pass(n) + WRITE },
    Row { module: "env", name: "host_state_delete", ty: "(param i32 i32) (result i32 i32)", arguments: PTR_LEN, results: 2, buffers: 0, charge: |n| BASE + pass(n) + WRITE },
    Row { module: "env", name: "host_state_list", ty: "(param i32 i32 i32 i32 i32) (result i32 i32)", arguments: "(local.get 0) (local.get 1) (i32.const 0) (i32.const 0) (i32.const 9)", results: 2, buffers: 1, charge: |n| BASE + pass(n) + READ + SCAN + 2 * pass(4 + n) },

    // Numbers.
    Row { module: "number", name: "none", ty: "", arguments: "", results: 0, buffers: 0, charge: |_| BASE },
    Row { module: "number", name: "in", ty: "(param i32 i32)", arguments: PTR_LEN, results: 0, buffers: 0, charge: |_| BASE },
    Row { module: "number", name: "out", ty: "(result i32 i64)", arguments: "", results: 2, buffers: 0, charge: |_| BASE },
    Row { module: "number", name: "out", ty: "(param i32)", arguments: "(i32.const 0)", results: 0, buffers: 0, charge: |_| BASE },
    Row { module: "number", name: "dear", ty: "(param i32)", arguments: LEN, results: 0, buffers: 0, charge: |n| BASE + n },

    // Out of the guest: read, and text is scanned too.
    Row { module: "in", name: "str", ty: "(param i32 i32)", arguments: PTR_LEN, results: 0, buffers: 0, charge: |n| BASE + 2 * pass(n) },
    Row { module: "in", name: "string", ty: "(param i32 i32)", arguments: PTR_LEN, results: 0, buffers: 0, charge: |n| BASE + 2 * pass(n) },
    Row { module: "in", name: "bytes", ty: "(param i32 i32)", arguments: PTR_LEN, results: 0, buffers: 0, charge: |n| BASE + pass(n) },
    Row { module: "in", name: "vec", ty: "(param i32 i32)", arguments: PTR_LEN, results: 0, buffers: 0, charge: |n| BASE + pass(n) },
    Row { module: "in", name: "optional", ty: "(param i32 i32)", arguments: PTR_LEN, results: 0, buffers: 0, charge: |n| BASE + 2 * pass(n) },
    Row { module: "in", name: "optional", ty: "(param i32 i32)", arguments: "(i32.const 0) (local.get 1)", results: 0, buffers: 0, charge: |_| BASE },
    Row { module: "in", name: "result", ty: "(param i32 i32 i32 i32 i32)", arguments: "(i32.const 0) (local.get 0) (local.get 1) (local.get 0) (local.get 1)", results: 0, buffers: 0, charge: |n| BASE + 2 * pass(n) },
    Row { module: "in", name: "result", ty: "(param i32 i32 i32 i32 i32)", arguments: "(i32.const 1) (local.get 0) (local.get 1) (local.get 0) (local.get 1)", results: 0, buffers: 0, charge: |n| BASE + pass(n) },
    Row { module: "in", name: "postcard", ty: "(param i32 i32)", arguments: PTR_LEN, results: 0, buffers: 0, charge: |n| BASE + 2 * pass(n) },

    // Into the guest: written.
    Row { module: "out", name: "string", ty: "(param i32) (result i32 i32)", arguments: LEN, results: 2, buffers: 1, charge: |n| BASE + pass(n) },
    Row { module: "out", name: "string", ty: "(param i32) (result i64)", arguments: LEN, results: 1, buffers: 1, charge: |n| BASE + pass(n) },
    Row { module: "out", name: "string", ty: "(param i32 i32)", arguments: "(i32.const 0) (local.get 1)", results: 0, buffers: 1, charge: |n| BASE + pass(n) },
    Row { module: "out", name: "vec", ty: "(param i32) (result i32 i32)", arguments: LEN, results: 2, buffers: 1, charge: |n| BASE + pass(n) },
    Row { module: "out", name: "absent", ty: "(result i32 i32)", arguments: "", results: 2, buffers: 0, charge: |_| BASE },
    Row { module: "out", name: "result", ty: "(param i32) (result i32 i32 i32 i32)", arguments: LEN, results: 4, buffers: 1, charge: |n| BASE + pass(n) },
    Row { module: "out", name: "or_trap", ty: "(param i32) (result i32 i32)", arguments: LEN, results: 2, buffers: 1, charge: |n| BASE + pass(n) },
    Row { module: "out", name: "postcard", ty: "(param i32) (result i32 i32)", arguments: LEN, results: 2, buffers: 1, charge: |n| BASE + pass(serialised(n)) },

    // Several: each is rounded up by itself.
    Row { module: "several", name: "in", ty: "(param i32 i32 i64 i32 i32)", arguments: "(local.get 0) (local.get 1) (i64.const 7) (local.get 0) (local.get 1)", results: 0, buffers: 0, charge: |n| BASE + 2 * pass(n) + pass(n) },
    Row { module: "several", name: "out", ty: "(param i32) (result i32 i32 i32 i32)", arguments: LEN, results: 4, buffers: 2, charge: |n| BASE + 2 * pass(n) },
    Row { module: "several", name: "both", ty: "(param i32 i32 i32 i32) (result i32 i32)", arguments: "(local.get 0) (local.get 1) (local.get 0) (local.get 1)", results: 2, buffers: 1, charge: |n| BASE + 3 * pass(n) + pass(2 * n) },
];

/// What a store of state asks for its own work.
const READ: u64 = 1_009;
const WRITE: u64 = 10_007;
const SCAN: u64 = 101;

/// A store that has a value for each key, which is the key.
struct Mirror;

impl StateStore for Mirror {
    fn costs(&self) -> StateCosts {
        StateCosts {
            read: READ,
            write: WRITE,
            scan: SCAN,
        }
    }

    fn get(&self, _: &str, key: &[u8]) -> Result<Option<Arc<[u8]>>, StateError> {
        Ok(Some(key.into()))
    }

    fn set(&self, _: &str, _: &[u8], _: &[u8]) -> Result<(), StateError> {
        Ok(())
    }

    fn delete(&self, _: &str, _: &[u8]) -> Result<(), StateError> {
        Ok(())
    }

    fn list(
        &self,
        _: &str,
        prefix: &[u8],
        _: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), StateError> {
        visit(prefix);
        Ok(())
    }

    fn used(&self, _: &str) -> Result<StateUse, StateError> {
        Ok(StateUse::default())
    }
}

/// Every service, and every embedder's function of the table.
fn granted() -> Grants<()> {
    let text = |n: u32| "v".repeat(n as usize);
    let bytes = move |n| text(n).into_bytes();
    let dear = |context: &mut Context<'_, ()>, n: u32| context.charge(n.into());
    Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config(SIZES.map(|n| ("a".repeat(n as usize), text(n))))
        .state(Mirror)
        .function("number", "none", || {})
        .function("number", "in", |_: u32, _: i32| {})
        .function("number", "out", || (1u32, 2u64))
        .function("number", "dear", dear)
        .function("in", "str", |_: &str| {})
        .function("in", "string", |_: String| {})
        .function("in", "bytes", |_: &[u8]| {})
        .function("in", "vec", |_: Vec<u8>| {})
        .function("in", "optional", |_: Option<&str>| {})
        .function("in", "result", |_: Result<&str, &[u8]>| {})
        .function("in", "postcard", |_: Postcard<()>| {})
        .function("out", "string", text)
        .function("out", "vec", bytes)
        .function("out", "absent", || None::<String>)
        .function("out", "result", move |n: u32| Ok::<_, u32>(text(n)))
        .function("out", "or_trap", move |n: u32| Ok::<_, Trap>(text(n)))
        .function("out", "postcard", move |n: u32| Postcard(text(n)))
        .function("several", "in", |_: &str, _: u64, _: &[u8]| {})
        .function("several", "out", move |n: u32| (text(n), bytes(n)))
        .function("several", "both", |a: &str, b: &[u8]| {
            [a.as_bytes(), b].concat()
        })
}

/// 6 MiB of memory: one of `a`s from 64 KiB on, and buffers behind it.
fn guest(import: &str, items: &str) -> String {
    format!(
        r#"(module
            {import}
            (memory (export "memory") 96)
            (func (export "fill") (memory.fill (i32.const 65536) (i32.const 97) (i32.const 1048576)))
            (func (export "allocate") (param i32) (result i32) (i32.const 0x200000))
            {items})"#
    )
}

/// What guest code costs by itself: the same module where no host does anything.
struct Bare {
    store: Store<()>,
    instance: wasmi::Instance,
}

impl Bare {
    fn new(wasm: &[u8]) -> Self {
        let mut config = Config::default();
        config
            .consume_fuel(true)
            .compilation_mode(CompilationMode::Eager);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, wasm).unwrap();
        let mut linker = Linker::new(&engine);
        for import in module.imports() {
            let ty = import.ty().func().expect("functions alone are imported");
            let nothing = |_: wasmi::Caller<'_, ()>, _: &[Val], _: &mut [Val]| Ok(());
            linker
                .func_new(import.module(), import.name(), ty.clone(), nothing)
                .unwrap();
        }
        let mut store = Store::new(&engine, ());
        store.set_fuel(u64::MAX).unwrap();
        let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
        Self { store, instance }
    }

    /// The fuel of calling an export whose parameters and results are i32, or one i64.
    fn fuel(&mut self, name: &str, params: &[u32]) -> u64 {
        let function = self.instance.get_func(&self.store, name).unwrap();
        let results = function.ty(&self.store).results().len();
        let params: Vec<_> = params.iter().map(|param| Val::I32(*param as i32)).collect();
        let mut results = vec![Val::I32(0); results];
        let before = self.store.get_fuel().unwrap();
        function
            .call(&mut self.store, &params, &mut results)
            .unwrap();
        before - self.store.get_fuel().unwrap()
    }
}

/// An instance of the module with room for every size, and the same on bare wasmi.
fn start(text: &str, grants: &Grants<()>) -> (Instance, Bare) {
    let mut budget = Budget::server();
    budget.log_bytes = u32::MAX;
    let plugin = load_wat(text, grants).with_budget(budget);
    let mut instance = plugin.instantiate(()).unwrap();
    instance.call::<(), ()>("fill", ()).unwrap();
    (instance, Bare::new(&assemble(text)))
}

/// Calls the row's function with every size.
fn check(row: &Row, grants: &Grants<()>) {
    let Row {
        module,
        name,
        ty,
        arguments,
        ..
    } = row;
    let import = format!(r#"(import "{module}" "{name}" (func $f {ty}))"#);
    let drops = "(drop)".repeat(row.results);
    let run = format!(r#"(func (export "run") (param i32 i32) (call $f {arguments}) {drops})"#);
    let (mut instance, mut bare) = start(&guest(&import, &run), grants);
    for n in SIZES {
        let arguments = [65_536, n];
        instance
            .call_values("run", &arguments.map(|value| Value::I32(value as i32)))
            .unwrap_or_else(|error| panic!("{module}.{name} {ty}: {error}"));
        let guest = bare.fuel("run", &arguments) + row.buffers * bare.fuel("allocate", &[n]);
        let host = instance.usage().fuel - BASE - guest;
        let expected = (row.charge)(n.into());
        assert_eq!(host, expected, "{module}.{name} {ty}, {n} bytes");
    }
}

#[test]
fn every_host_function_is_charged_to_the_unit() {
    let grants = granted();
    for row in ROWS {
        check(row, &grants);
    }
}

#[test]
fn a_setting_that_is_absent_is_charged_for_its_key() {
    let row = Row {
        module: "env",
        name: "host_get_config",
        ty: "(param i32 i32) (result i32 i32)",
        arguments: PTR_LEN,
        results: 2,
        buffers: 0,
        charge: |n| BASE + pass(n),
    };
    check(&row, &granted().config([("b", "value")]));
}

#[test]
fn every_built_in_host_function_has_a_row() {
    let offered: BTreeSet<_> = hostel::services().map(|(m, n, _)| (m, n)).collect();
    let env: BTreeSet<_> = ROWS
        .iter()
        .map(|row| (row.module, row.name))
        .filter(|(module, _)| !["number", "in", "out", "several"].contains(module))
        .collect();
    assert_eq!(offered, env);
}

#[test]
fn a_log_record_that_is_dropped_is_charged_as_one_that_is_written() {
    let import = r#"(import "env" "host_log" (func $f (param i32 i32)))"#;
    let run = r#"(func (export "run") (call $f (i32.const 65536) (i32.const 65)))"#;
    let (mut instance, _) = start(&guest(import, run), &granted());
    let mut used = [0, 1].map(|log_records| {
        let mut budget = Budget::server();
        budget.log_records = log_records;
        instance.set_budget(budget);
        instance.call::<(), ()>("run", ()).unwrap();
        instance.usage()
    });
    assert_eq!(used.each_ref().map(|used| used.log_dropped), [1, 0]);
    used[0].log_dropped = 0;
    assert_eq!(used[0].fuel, used[1].fuel);
}

#[test]
fn bytes_to_and_from_a_guest_are_charged_to_the_unit() {
    // The answer lies where no input does, and nothing takes buffers back.
    let parts = r#"(global $len (mut i32) (i32.const 0))
        (func (export "set") (param i32) (global.set $len (local.get 0)))"#;
    for (process, params, buffers) in [
        (
            r#"(param i32 i32) (result i32 i32) (i32.const 65536) (global.get $len)"#,
            2,
            1,
        ),
        (
            r#"(param i32 i32) (result i64)
               (i64.or (i64.const 0x1000000000000) (i64.extend_i32_u (global.get $len)))"#,
            2,
            1,
        ),
        (
            r#"(param i32 i32 i32) (i32.store (local.get 0) (i32.const 65536))
               (i32.store offset=4 (local.get 0) (global.get $len))"#,
            3,
            2,
        ),
    ] {
        let text = guest(
            "",
            &format!(r#"{parts} (func (export "process") {process})"#),
        );
        for input in SIZES {
            for output in SIZES {
                // Anew, since buffers are kept from call to call.
                let (mut instance, mut bare) = start(&text, &Grants::new());
                let guest = bare.fuel("process", &[64; 3][..params])
                    + buffers * bare.fuel("allocate", &[1]);
                let (input_bytes, n, m) = (
                    vec![b'a'; input as usize],
                    u64::from(input),
                    u64::from(output),
                );
                let case = format!("{input} bytes in, {output} bytes out, {process}");

                instance.call::<u32, ()>("set", output).unwrap();
                let answer = instance.process(&input_bytes).unwrap();
                assert_eq!(answer.len(), output as usize);
                let host = instance.usage().fuel - guest;
                assert_eq!(host, BASE + pass(n) + pass(m), "{case}");

                // An error is a text: scanned too.
                instance
                    .call::<u32, ()>("set", output | 0x8000_0000)
                    .unwrap();
                let error = instance.process(&input_bytes).unwrap_err();
                assert_eq!(error.code(), "guest-error", "{case}");
                let kept = u64::from(input <= 65_536) + (buffers - 1);
                let host = instance.usage().fuel + kept * bare.fuel("allocate", &[1]) - guest;
                assert_eq!(host, BASE + pass(n) + 2 * pass(m), "an error: {case}");
            }
        }
    }
}

#[test]
fn arguments_and_results_of_exports_are_charged_to_the_unit() {
    let exports = r#"
        (func (export "number") (param i32) (result i32) (local.get 0))
        (func (export "in") (param i32 i32))
        (func (export "two") (param i32 i32 i32 i32))
        (func (export "out") (param i32) (result i32 i32) (i32.const 65536) (local.get 0))"#;
    let (mut instance, mut bare) = start(&guest("", exports), &granted());
    for n in SIZES {
        let (text, size) = ("a".repeat(n as usize), u64::from(n));
        let allocate = bare.fuel("allocate", &[n]);
        let check = |what: &str, instance: &Instance, guest: u64, expected: u64| {
            let host = instance.usage().fuel - guest;
            assert_eq!(host, BASE + expected, "{what}, {n} bytes");
        };

        instance.call::<u32, u32>("number", n).unwrap();
        check("a number", &instance, bare.fuel("number", &[n]), 0);

        let guest = bare.fuel("in", &[64, n]) + allocate;
        instance.call::<_, ()>("in", &*text).unwrap();
        check("text", &instance, guest, pass(size));
        instance.call::<_, ()>("in", text.as_bytes()).unwrap();
        check("bytes", &instance, guest, pass(size));

        let guest = bare.fuel("two", &[64, n, 64, n]) + 2 * allocate;
        let two = (&*text, text.as_bytes());
        instance.call::<_, ()>("two", two).unwrap();
        check("both", &instance, guest, 2 * pass(size));

        let guest = bare.fuel("out", &[n]);
        assert_eq!(instance.call::<u32, String>("out", n).as_ref(), Ok(&text));
        check("a text as result", &instance, guest, 2 * pass(size));
        instance.call::<u32, Vec<u8>>("out", n).unwrap();
        check("bytes as result", &instance, guest, pass(size));
    }
}

#[test]
fn instantiating_is_charged_by_the_sizes_of_module_and_memory() {
    let base = guest("", "");
    for n in SIZES {
        let module = base.replacen(
            "(module",
            &format!(r#"(module (@custom "x" "{}")"#, "x".repeat(n as usize)),
            1,
        );
        let size = assemble(&module).len() as u64;
        assert!(size > n.into());
        let plugin = load_wat::<()>(&module, &Grants::new());
        let memory = plugin.info().memories[0].min_bytes;
        let started = plugin.instantiate(()).unwrap().start_usage();
        // Three exports, two functions.
        let parts = 3 * 10 + 2;
        assert_eq!(
            started.fuel,
            BASE + parts + pass(size + memory),
            "{size} bytes"
        );
    }
}
