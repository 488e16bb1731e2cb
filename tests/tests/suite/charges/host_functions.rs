//! Host functions: those that hostel has, and an embedder's by the types that they take and return.

use super::{Arguments, BASE, SIZES, TEXT, guest, pass, start};
use hostel::{
    Budget, Context, Grants, HttpClient, HttpRequest, LogRecord, PendingHttp, Postcard, StateCosts,
    StateError, StateStore, StateUse, Trap, Value,
};
use std::{collections::BTreeSet, sync::Arc};

/// A host function, a call of it by a guest, and what that call is charged.
struct Row {
    /// The module and the name of the import, with a dot between them.
    function: &'static str,
    arguments: Arguments,
    /// The types of its results.
    results: &'static str,
    /// How often it asks the guest for a buffer of `n` bytes.
    buffers: u64,
    /// Returns the charge for `n` bytes beside [`BASE`].
    charge: fn(n: u64) -> u64,
}

const fn row(
    function: &'static str,
    arguments: &'static str,
    results: &'static str,
    buffers: u64,
    charge: fn(n: u64) -> u64,
) -> Row {
    let arguments = Arguments(arguments);
    Row {
        function,
        arguments,
        results,
        buffers,
        charge,
    }
}

#[rustfmt::skip] // a table
const ROWS: &[Row] = &[
    // function, arguments, results, buffers of `n` bytes, charge for `n` bytes beside `BASE`

    // The log. Showing a byte costs more than reading it.
    row("env.host_log",         "ptr len", "", 0, |n| pass(n) + n),
    row("env.host_log_message", "ptr len", "", 0, |n| pass(n) + n),
    row("env.host_log_at",      "0 ptr len", "", 0, |n| pass(n) + n),

    // Settings: a key, and a value of its length.
    row("env.host_get_config", "ptr len", "i32 i32", 1, |n| pass(n) + pass(n)),

    // State: a key, and a value or a listed key of its length.
    row("env.host_state_get",    "ptr len",         "i32 i32", 1, |n| pass(n) + READ + pass(n)),
    row("env.host_state_set",    "ptr len ptr len", "i32 i32", 0, |n| 2 * pass(n) + WRITE),
    row("env.host_state_delete", "ptr len",         "i32 i32", 0, |n| pass(n) + WRITE),
    row("env.host_state_list",   "ptr len 0 0 9",   "i32 i32", 1, |n| pass(n) + LIST + listed(n)),

    // HTTP: a text without an end to its first line, and the error for it.
    row("env.host_http_request", "ptr len", "i32 i32", 1, |n| pass(n) + SEND + n + pass(refusal(n))),

    // Numbers: the call's base, and what the function charges itself.
    row("number.none",     "",        "",        0, |_| 0),
    row("number.in",       "ptr len", "",        0, |_| 0),
    row("number.out",      "",        "i32 i64", 0, |_| 0),
    row("number.out",      "0",       "",        0, |_| 0),
    row("number.charging", "len",     "",        0, |n| n),

    // From the guest: bytes are read, and text is checked to be UTF-8, too.
    row("in.str",      "ptr len",           "", 0, |n| 2 * pass(n)),
    row("in.string",   "ptr len",           "", 0, |n| 2 * pass(n)),
    row("in.bytes",    "ptr len",           "", 0, pass),
    row("in.vec",      "ptr len",           "", 0, pass),
    row("in.optional", "ptr len",           "", 0, |n| 2 * pass(n)),
    row("in.optional", "0 len",             "", 0, |_| 0),
    row("in.result",   "0 ptr len ptr len", "", 0, |n| 2 * pass(n)),
    row("in.result",   "1 ptr len ptr len", "", 0, pass),
    row("in.postcard", "ptr len",           "", 0, |n| 2 * pass(n)),

    // To the guest: bytes are written.
    row("out.string",   "len",   "i32 i32",         1, pass),
    row("out.string",   "len",   "i64",             1, pass),
    row("out.string",   "0 len", "",                1, pass),
    row("out.vec",      "len",   "i32 i32",         1, pass),
    row("out.absent",   "",      "i32 i32",         0, |_| 0),
    row("out.result",   "len",   "i32 i32 i32 i32", 1, pass),
    row("out.or_trap",  "len",   "i32 i32",         1, pass),
    row("out.postcard", "len",   "i32 i32",         1, |n| pass(serialised(n))),

    // Several values: each is rounded up by itself.
    row("several.in",   "ptr len 7_i64 ptr len", "",                0, |n| 2 * pass(n) + pass(n)),
    row("several.out",  "len",                   "i32 i32 i32 i32", 2, |n| 2 * pass(n)),
    row("several.both", "ptr len ptr len", "i32 i32", 1, |n| 3 * pass(n) + pass(2 * n)),
];

/// The length of `bytes` bytes once they are serialised: their number goes first, with seven bits
/// in each byte.
fn serialised(bytes: u64) -> u64 {
    bytes + u64::from((bytes | 1).ilog2() / 7 + 1)
}

/// The charges of the store of state for its own work.
const READ: u64 = 1_009;
const WRITE: u64 = 10_007;
const SCAN: u64 = 101;
/// Its charge for a list of one key.
const LIST: u64 = READ + SCAN;

/// The charge for a list of one key of `bytes` bytes, with its length: made, and written.
fn listed(bytes: u64) -> u64 {
    2 * pass(4 + bytes)
}

/// The charge of the client for a request.
const SEND: u64 = 3_001;

/// The length of the error for a request that is `bytes` times `a`.
fn refusal(bytes: u64) -> u64 {
    let what = match bytes {
        0..=65_536 => "its first line is not `METHOD URL`".to_owned(),
        _ => format!("its lines before the body have {bytes} bytes, 65536 are allowed"),
    };
    format!("http-invalid: the HTTP request is invalid: {what}").len() as u64
}

/// A client that is never asked.
struct Unasked;

impl HttpClient for Unasked {
    fn cost(&self) -> u64 {
        SEND
    }

    fn send(&self, _: HttpRequest) -> PendingHttp {
        unreachable!("no request is valid")
    }
}

/// A store of state that returns the key as its value, and lists the prefix as the only key.
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

/// Grants every function of the table.
fn granted() -> Grants<()> {
    let text = |n: u32| "v".repeat(n as usize);
    let bytes = move |n| text(n).into_bytes();
    let charging = |context: &mut Context<'_, ()>, n: u32| context.charge(n.into());
    Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config(SIZES.map(|n| ("a".repeat(n as usize), text(n))))
        .state(Mirror)
        .http(Unasked)
        .function("number", "none", || {})
        .function("number", "in", |_: u32, _: i32| {})
        .function("number", "out", || (1u32, 2u64))
        .function("number", "charging", charging)
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

/// Calls the row's function with every size.
fn check(row: &Row, grants: &Grants<()>) {
    let Row {
        function,
        arguments,
        results,
        ..
    } = row;
    let (module, name) = function.split_once('.').unwrap();
    let ty = format!("(param {}) (result {results})", arguments.types());
    let import = format!(r#"(import "{module}" "{name}" (func $f {ty}))"#);
    let drops = "(drop)".repeat(results.split_whitespace().count());
    let call = format!("(call $f {}) {drops}", arguments.code());
    let run = format!(r#"(func (export "run") (param i32 i32) {call})"#);
    let (mut instance, mut bare) = start(&guest(&import, &run), grants);
    for n in SIZES {
        let params = [TEXT, n];
        instance
            .call_values("run", &params.map(|value| Value::I32(value as i32)))
            .unwrap_or_else(|error| panic!("{function} {ty}: {error}"));
        let guest = bare.fuel("run", &params) + row.buffers * bare.fuel("allocate", &[n]);
        let host = instance.usage().fuel - BASE - guest;
        let expected = BASE + (row.charge)(n.into());
        assert_eq!(host, expected, "{function} {ty}, {n} bytes");
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
    let absent = row("env.host_get_config", "ptr len", "i32 i32", 0, pass);
    check(&absent, &granted().config([("b", "value")]));
}

#[test]
fn every_built_in_host_function_has_a_row() {
    // It stops the guest: `an_abort_is_charged_by_its_bytes` has its charge.
    let returns = |function: &String| function != "env.abort";
    let offered: BTreeSet<_> = hostel::services()
        .map(|(module, name, _)| format!("{module}.{name}"))
        .filter(returns)
        .collect();
    let embedders = ["number.", "in.", "out.", "several."];
    let built_in = ROWS
        .iter()
        .map(|row| row.function)
        .filter(|function| !embedders.iter().any(|module| function.starts_with(module)));
    assert_eq!(offered, built_in.map(String::from).collect());
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
