//! Guests of Extism, waPC and Typst that call the functions of their environments in any order, with
//! whatever the fuzzer says and with what earlier calls returned: they stay within their limits, and
//! end alike in one go and by steps.
#![no_main]

use arbitrary::Arbitrary;
use hostel_core::{
    CallError, Extism, Grants, HttpClient, HttpError, HttpRequest, HttpResponse, Limits, LogRecord,
    PendingHttp, Plugin, Step, Wapc,
};
use hostel_fuzz::{FUEL, named, said};
use libfuzzer_sys::fuzz_target;
use std::{fmt::Write as _, future::poll_fn, task::Poll};

#[derive(Arbitrary, Debug)]
struct Case {
    convention: u8,
    input: Vec<u8>,
    calls: Vec<Call>,
    /// What the guest returns.
    code: i8,
}

#[derive(Arbitrary, Debug)]
struct Call {
    function: u8,
    arguments: [Argument; 8],
    /// Which local keeps the result.
    keep: u8,
}

#[derive(Arbitrary, Debug)]
enum Argument {
    Any(i64),
    Small(u8),
    /// What a local keeps, and a bit more or less.
    Kept(u8, i8),
}

/// Calls in a guest, at most.
const CALLS: usize = 60;
/// Locals that keep results.
const KEPT: u8 = 4;
/// Bytes that a guest's memory and its blocks may take.
const MEMORY: usize = 256 << 10;

/// A convention's functions: the name, a letter for each parameter and one for the result. `i` is an i32,
/// `l` an i64.
struct Environment {
    module: &'static str,
    functions: &'static [(&'static str, &'static str, &'static str)],
    /// The export's name, and its parameters.
    export: &'static str,
    params: &'static str,
}

const ENVIRONMENTS: [Environment; 3] = [
    Environment {
        module: "extism:host/env",
        functions: &[
            ("alloc", "l", "l"),
            ("free", "l", ""),
            ("length", "l", "l"),
            ("length_unsafe", "l", "l"),
            ("load_u8", "l", "i"),
            ("load_u64", "l", "l"),
            ("store_u8", "li", ""),
            ("store_u64", "ll", ""),
            ("input_offset", "", "l"),
            ("input_length", "", "l"),
            ("input_load_u8", "l", "i"),
            ("input_load_u64", "l", "l"),
            ("output_set", "ll", ""),
            ("error_set", "l", ""),
            ("error_get", "", "l"),
            ("config_get", "l", "l"),
            ("var_get", "l", "l"),
            ("var_set", "ll", ""),
            ("http_request", "ll", "l"),
            ("http_status_code", "", "i"),
            ("http_headers", "", "l"),
            ("log_trace", "l", ""),
            ("log_error", "l", ""),
            ("get_log_level", "", "i"),
            ("input_set", "ll", ""),
            ("reset", "", ""),
            ("output_offset", "", "l"),
            ("output_length", "", "l"),
            ("memory_bytes", "", "l"),
        ],
        export: "run",
        params: "",
    },
    Environment {
        module: "wapc",
        functions: &[
            ("__guest_request", "ii", ""),
            ("__guest_response", "ii", ""),
            ("__guest_error", "ii", ""),
            ("__host_call", "iiiiiiii", "i"),
            ("__host_response_len", "", "i"),
            ("__host_response", "i", ""),
            ("__host_error_len", "", "i"),
            ("__host_error", "i", ""),
            ("__console_log", "ii", ""),
        ],
        export: "__guest_call",
        params: "(param i32 i32)",
    },
    Environment {
        module: "typst_env",
        functions: &[
            ("wasm_minimal_protocol_write_args_to_buffer", "i", ""),
            ("wasm_minimal_protocol_send_result_to_host", "ii", ""),
        ],
        export: "run",
        params: "(param i32)",
    },
];

fuzz_target!(|case: Case| {
    let environment = &ENVIRONMENTS[usize::from(case.convention) % ENVIRONMENTS.len()];
    let wasm = wat::parse_str(guest(environment, &case)).expect("the guest is well-formed");
    let mut limits = Limits::device(1 << 20);
    limits.memory_bytes = MEMORY;
    let plugin = hostel_fuzz::engine(limits)
        .load("guest", &wasm, &grants())
        .expect("the guest loads");
    let at_once = twice(&plugin, &case.input);
    let by_steps: Vec<_> = (0..2)
        .map(|_| {
            let inputs = [&*case.input];
            let mut call = plugin.call_arguments_async("run", &inputs);
            loop {
                if let Step::Done(result) = call.step(700) {
                    return result;
                }
            }
        })
        .collect();
    // Each stepped call has an instance as new; variables are kept in the first convention alone.
    if case.convention % 3 != 0 {
        assert_eq!(at_once[0], by_steps[0]);
        assert_eq!(by_steps[0], by_steps[1]);
    }
    for result in at_once.into_iter().chain(by_steps) {
        named(result);
    }
});

/// Makes two calls in an instance, the second as far as it goes on, and checks what each took.
fn twice(plugin: &Plugin, input: &[u8]) -> Vec<Result<Vec<u8>, CallError>> {
    let mut instance = plugin.instantiate(()).expect("the guest starts");
    (0..2)
        .map(|_| {
            let result = instance.call_bytes("run", input, <[u8]>::to_vec);
            if let Err(error) = &result {
                said(error);
            }
            assert!(instance.usage().fuel <= FUEL, "each call is bounded");
            assert!(instance.memory_bytes() <= MEMORY, "memory is bounded");
            result
        })
        .collect()
}

/// A setting that a guest can send as request.
const REQUEST: &str = r#"{"url":"http://a/","headers":{"x-\u0061":"b"}}"#;

/// Answers by the request's size, after it was polled once: also with more than is allowed.
struct Client;

impl HttpClient for Client {
    fn cost(&self) -> u64 {
        10
    }

    fn send(&self, request: HttpRequest) -> PendingHttp {
        let mut polled = false;
        Box::pin(poll_fn(move |context| {
            if !std::mem::replace(&mut polled, true) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let size = request.url.len() + request.body.len();
            Poll::Ready(match size % 4 {
                0 => Err(HttpError::NotAllowed {
                    reason: request.url.clone(),
                    entry: None,
                }),
                _ => {
                    let mut response = HttpResponse::new(200);
                    response.body = vec![7; size * 10];
                    response.headers = request.headers.clone();
                    Ok(response)
                }
            })
        }))
    }
}

fn grants() -> Grants {
    Grants::new()
        .log(|record: &LogRecord<'_>| {
            let shown = record.text.to_string();
            assert!(!shown.contains(char::is_control), "a record is one line");
        })
        .extism(
            Extism::new()
                .config([("", REQUEST), ("key", "value"), ("\0", "zero")])
                .http(Client)
                .http_response_bytes(1_000),
        )
        .wapc(
            Wapc::new().callback(|request| match request.payload.len() % 3 {
                0 => Ok(request.payload.to_vec()),
                1 => Ok(vec![7; request.payload.len() * 2]),
                _ => Err("it is refused".into()),
            }),
        )
        .typst()
}

/// A guest that makes the calls of `case`.
fn guest(environment: &Environment, case: &Case) -> String {
    let Environment {
        module,
        functions,
        export,
        params,
    } = environment;
    let ty = |letters: &str| {
        let types = letters
            .chars()
            .map(|letter| if letter == 'l' { "i64 " } else { "i32 " });
        types.collect::<String>()
    };
    let mut text = String::from("(module\n");
    for (name, takes, gives) in *functions {
        let _ = writeln!(
            text,
            r#"(import "{module}" "{name}" (func ${name} (param {}) (result {})))"#,
            ty(takes),
            ty(gives)
        );
    }
    let locals: String = (0..KEPT)
        .map(|at| format!("(local $kept{at} i64)"))
        .collect();
    let _ = writeln!(
        text,
        r#"(memory (export "memory") 1) (data (i32.const 0) "key\00\ff")
        (func (export "{export}") {params} (result i32) {locals}"#
    );
    for call in case.calls.iter().take(CALLS) {
        let (name, takes, gives) = functions[usize::from(call.function) % functions.len()];
        let arguments: String = takes
            .chars()
            .zip(&call.arguments)
            .map(|(letter, argument)| argument.expression(letter == 'l'))
            .collect();
        let called = format!("(call ${name} {arguments})");
        let keep = call.keep % KEPT;
        let _ = match gives {
            "" => writeln!(text, "{called}"),
            "l" => writeln!(text, "(local.set $kept{keep} {called})"),
            _ => writeln!(text, "(local.set $kept{keep} (i64.extend_i32_u {called}))"),
        };
    }
    let _ = write!(text, "(i32.const {})))", case.code);
    text
}

impl Argument {
    fn expression(&self, wide: bool) -> String {
        let value = match self {
            Self::Any(value) => format!("(i64.const {value})"),
            Self::Small(value) => format!("(i64.const {value})"),
            Self::Kept(at, more) => format!(
                "(i64.add (local.get $kept{}) (i64.const {more}))",
                at % KEPT
            ),
        };
        if wide {
            value
        } else {
            format!("(i32.wrap_i64 {value})")
        }
    }
}
