//! Plugins made with other hosts' own kits: `extism-pdk` and `wapc-guest` in Rust, `@extism/as-pdk` in
//! AssemblyScript, `wasm-minimal-protocol` for Typst. Results and fuel are compared between blocking and
//! stepped calls, in pooled and held instances.

use hostel::{CallError, Extism, Grants, HostAnswer, HostRequest, LogRecord, Plugin, Step, Wapc};
use hostel_tests::{Lines, code, load_guest};
use std::sync::{Arc, Mutex};

type Answer = Result<Vec<u8>, CallError>;

/// Runs a call of the pool by steps of 1,000 fuel, and returns its result and fuel.
fn stepped(plugin: &Plugin, function: &str, inputs: &[&[u8]]) -> (Answer, u64) {
    let mut call = plugin.call_arguments_async(function, inputs);
    let mut steps = 0;
    loop {
        steps += 1;
        assert!(steps < 10_000, "{function} does not end");
        if let Step::Done(result) = call.step(1_000) {
            return (result, call.usage().fuel);
        }
    }
}

/// Calls `function` of new plugins: blocking and by steps in instances of the pool, and in an instance that
/// is held. Checks that results are equal, and the fuel of the pooled calls. Returns the result.
fn in_every_way(load: impl Fn() -> Plugin, function: &str, inputs: &[&[u8]]) -> Answer {
    let (first, second) = (load(), load());
    let blocking = || {
        first.with_instance_metered(|instance| {
            instance.call_arguments(function, inputs, <[u8]>::to_vec)
        })
    };
    let (expected, used) = blocking();
    let by_steps = stepped(&second, function, inputs);
    assert_eq!(
        by_steps,
        (expected.clone(), used.fuel),
        "{function}, stepped"
    );
    // Out of the pool now, unless the guest stopped.
    let (again, by_steps) = (blocking(), stepped(&second, function, inputs));
    assert_eq!(
        (&again.0, again.1.fuel),
        (&by_steps.0, by_steps.1),
        "{function}, pooled"
    );
    let mut held = load().instantiate(()).unwrap();
    let answer = held.call_arguments(function, inputs, <[u8]>::to_vec);
    assert_eq!(answer, expected, "{function}, held");
    expected
}

/// As [`in_every_way`], for functions whose answer does not depend on earlier calls.
fn each_time(load: impl Fn() -> Plugin, function: &str, inputs: &[&[u8]]) -> Answer {
    let expected = in_every_way(&load, function, inputs);
    let plugin = load();
    for _ in 0..3 {
        assert_eq!(
            plugin.call_arguments(function, inputs),
            expected,
            "{function}, again"
        );
    }
    let mut held = plugin.instantiate(()).unwrap();
    for _ in 0..3 {
        let answer = held.call_arguments(function, inputs, <[u8]>::to_vec);
        assert_eq!(answer, expected, "{function}, held again");
        if held.is_stopped() {
            break;
        }
    }
    expected
}

/// Returns the text of a guest's own error.
fn error_text(answer: Answer) -> String {
    match answer {
        Err(CallError::Guest { message }) => message.into(),
        other => panic!("expected a guest's error, found {other:?}"),
    }
}

fn extism(name: &str) -> Plugin {
    let grant = Extism::new().config([("greeting", "Moin"), ("prefix", "CUSTOM")]);
    load_guest(name, &Grants::new().extism(grant))
}

const EXTISM: [&str; 2] = ["extism_kit", "as_extism_kit"];

#[test]
fn extism_kits_take_and_return_bytes() {
    for name in EXTISM {
        // Sizes around the eight bytes that kits move at once.
        for len in [0, 1, 7, 8, 9, 64, 1_000] {
            let input: Vec<u8> = (0..=255).cycle().take(len).collect();
            let expected: Vec<u8> = input.iter().rev().copied().collect();
            let answer = each_time(|| extism(name), "reverse", &[&input]);
            assert_eq!(answer.unwrap(), expected, "{name}: {len}");
        }
    }
}

#[test]
fn extism_kits_read_settings() {
    for name in EXTISM {
        let greets =
            |load: &dyn Fn() -> Plugin| each_time(load, "greet", &["Jörg".as_bytes()]).unwrap();
        assert_eq!(greets(&|| extism(name)), "Moin, Jörg!".as_bytes(), "{name}");
        let unset = || load_guest(name, &Grants::new().extism(Extism::new()));
        assert_eq!(greets(&unset), "Hello, Jörg!".as_bytes(), "{name}");
    }
    let customized = each_time(|| extism("extism_customize"), "process", &[b"hello"]);
    assert_eq!(customized.unwrap(), b"CUSTOM_HELLO");
}

#[test]
fn variables_of_extism_kits_outlive_calls_and_instances() {
    for name in EXTISM {
        assert_eq!(
            in_every_way(|| extism(name), "count", &[b"a"]).unwrap(),
            b"1"
        );
        let plugin = extism(name);
        let pooled = |function: &str, key: &[u8]| plugin.call_bytes(function, key).unwrap();
        assert_eq!(pooled("count", b"a"), b"1", "{name}");
        assert_eq!(pooled("count", b"a"), b"2", "{name}");
        assert_eq!(pooled("count", b"b"), b"1", "{name}");
        let mut held = plugin.instantiate(()).unwrap();
        for expected in [b"3", b"4"] {
            let answer = held.call_bytes("count", b"a", <[u8]>::to_vec);
            assert_eq!(answer.unwrap(), expected, "{name}");
        }
        assert_eq!(stepped(&plugin, "count", &[b"a"]).0.unwrap(), b"5");
        assert_eq!(pooled("forget", b"a"), b"");
        assert_eq!(pooled("count", b"a"), b"1", "{name}");
        assert_eq!(pooled("count", b"b"), b"2", "{name}");
    }
}

#[test]
fn kits_whose_memory_has_not_grown_are_reset_and_used_again() {
    let plugin = extism("as_extism_kit");
    for input in [b"one", b"two"] {
        let reversed: Vec<u8> = input.iter().rev().copied().collect();
        assert_eq!(plugin.call_bytes("reverse", input).unwrap(), reversed);
    }
    assert_eq!(plugin.pool_figures().resets, 2);
    // Those in Rust grow theirs by the first allocation.
    let plugin = extism("extism_kit");
    plugin.call_bytes("reverse", b"one").unwrap();
    assert_eq!(plugin.pool_figures().discards, 1);
}

#[test]
fn extism_kits_log_at_their_level() {
    let records = Arc::new(Mutex::new(Vec::new()));
    let kept = records.clone();
    let sink = move |record: &LogRecord<'_>| kept.lock().unwrap().push(record.to_string());
    let take = || core::mem::take(&mut *records.lock().unwrap());
    let grants = Grants::<()>::new().log(sink).extism(Extism::new());
    let plugin = load_guest("extism_kit", &grants);
    let expected = ["trace", "debug", "info", "warn", "error"].map(|level| match level {
        "info" => "extism_kit: hello".to_owned(),
        level => format!("extism_kit [{level}]: hello"),
    });
    plugin.call_bytes("log", b"hello").unwrap();
    assert_eq!(take(), expected);
    stepped(&plugin, "log", &[b"hello"]).0.unwrap();
    assert_eq!(take(), expected);
    // Without a sink, the kit asks for the level and makes no record.
    assert_eq!(
        each_time(|| extism("extism_kit"), "log", &[b"hello"]).unwrap(),
        b""
    );

    let plugin = load_guest("as_extism_kit", &grants);
    plugin.call_bytes("greet", b"Ann").unwrap();
    assert_eq!(take(), ["as_extism_kit: greets Ann"]);
}

#[test]
fn errors_of_extism_kits_are_the_guests_own() {
    let fails = |name: &str, text: &[u8]| each_time(|| extism(name), "fail", &[text]);
    assert_eq!(error_text(fails("extism_kit", b"too late")), "too late");
    // The message of a `throw`, which traps after it.
    assert_eq!(error_text(fails("as_extism_kit", b"too late")), "too late");
    let no_text = each_time(|| extism("extism_kit"), "greet", &[b"\xff"]);
    assert!(error_text(no_text).contains("utf-8"));
    let plugin = extism("extism_kit");
    let missing = plugin.call_bytes("missing", b"");
    assert_eq!(code(&missing), "unknown-export");
}

#[test]
fn a_panic_in_a_kit_traps_and_the_next_call_is_served() {
    for (load, function) in [
        ((|| extism("extism_kit")) as fn() -> Plugin, "panic"),
        (wapc, "panic"),
    ] {
        let answer = each_time(load, function, &[b"now"]);
        assert_eq!(code(&answer), "trap-unreachable", "{answer:?}");
        let plugin = load();
        plugin.call_bytes(function, b"now").unwrap_err();
        assert_eq!(plugin.pool_figures().idle, 0);
        assert_eq!(plugin.call_bytes("reverse", b"abc").unwrap(), b"cba");
    }
    let answer = each_time(typst, "panic", &[]);
    assert_eq!(code(&answer), "trap-unreachable", "{answer:?}");
    assert_eq!(
        typst().call_arguments("hello", &[]).unwrap(),
        b"Hello from the plugin"
    );
}

#[test]
fn an_extism_kit_asks_a_function_of_the_embedder() {
    let load = || {
        let lookup = |arguments: &[&[u8]]| match arguments {
            [b"one", _] => Ok(b"eins".to_vec()),
            [b"refused", _] => Err("the dictionary is closed".to_owned()),
            [_, fallback] => Ok(fallback.to_vec()),
            other => Err(format!("expected two arguments, found {}", other.len())),
        };
        let grant = Extism::new().function("extism:host/user", "lookup", lookup);
        load_guest("extism_ask", &Grants::new().extism(grant))
    };
    let ask = |key: &[u8]| each_time(load, "ask", &[key]);
    assert_eq!(ask(b"one").unwrap(), b"the host says: eins");
    assert_eq!(ask(b"two").unwrap(), b"the host says: nothing");
    let refused = ask(b"refused").unwrap_err();
    assert!(
        refused.to_string().contains("the dictionary is closed"),
        "{refused}"
    );
}

#[test]
fn an_extism_kit_has_no_http_without_a_grant() {
    let answer = each_time(|| extism("extism_kit"), "fetch", &[b"http://localhost/"]);
    assert_eq!(code(&answer), "trap-host");
    let error = answer.unwrap_err().to_string();
    assert!(error.contains("HTTP"), "{error}");
}

fn words(request: &HostRequest<'_>) -> HostAnswer {
    let place = (request.binding, request.namespace, request.operation);
    assert_eq!(place, ("kit", "words", "lookup"));
    match request.payload {
        b"one" => Ok(b"eins".to_vec()),
        b"none" => Ok(Vec::new()),
        _ => Err("no such word".to_owned()),
    }
}

fn wapc() -> Plugin {
    load_guest("wapc_kit", &Grants::new().wapc(Wapc::new().callback(words)))
}

#[test]
fn the_wapc_kit_serves_operations_and_refuses_others() {
    for len in [0, 1, 1_000] {
        let input: Vec<u8> = (0..=255).cycle().take(len).collect();
        let expected: Vec<u8> = input.iter().rev().copied().collect();
        assert_eq!(each_time(wapc, "reverse", &[&input]).unwrap(), expected);
    }
    let unknown = error_text(each_time(wapc, "dance", &[b""]));
    assert!(unknown.contains("dance"), "{unknown}");
    assert_eq!(
        error_text(each_time(wapc, "fail", &[b"too late"])),
        "too late"
    );
}

#[test]
fn the_wapc_kit_calls_the_host() {
    let ask = |word: &[u8]| each_time(wapc, "ask", &[word]);
    assert_eq!(ask(b"one").unwrap(), b"eins");
    assert_eq!(ask(b"none").unwrap(), b"");
    let refused = error_text(ask(b"two"));
    assert!(refused.contains("no such word"), "{refused}");
    // The guest can go on after an error of the host's.
    let tried = each_time(wapc, "try", &[b"two"]).unwrap();
    let tried = String::from_utf8(tried).unwrap();
    assert!(
        tried.starts_with("refused: ") && tried.contains("no such word"),
        "{tried}"
    );
    assert_eq!(each_time(wapc, "try", &[b"one"]).unwrap(), b"ok: eins");

    let get = |_: &HostRequest<'_>| Ok(b"CUSTOM".to_vec());
    let grants = Grants::new().wapc(Wapc::new().callback(get));
    let customized = each_time(
        || load_guest("wapc_customize", &grants),
        "process",
        &[b"hello"],
    );
    assert_eq!(customized.unwrap(), b"CUSTOM_HELLO");
}

#[test]
fn the_wapc_kit_is_suspended_while_a_future_answers() {
    let later = |request: &HostRequest<'_>| {
        let answer = words(request);
        let mut polls = 0;
        core::future::poll_fn(move |context| {
            polls += 1;
            if polls < 3 {
                context.waker().wake_by_ref();
                return core::task::Poll::Pending;
            }
            core::task::Poll::Ready(answer.clone())
        })
    };
    let load = || {
        load_guest(
            "wapc_kit",
            &Grants::new().wapc(Wapc::new().callback_async(later)),
        )
    };
    assert_eq!(each_time(load, "ask", &[b"one"]).unwrap(), b"eins");
    assert!(error_text(each_time(load, "ask", &[b"two"])).contains("no such word"));
}

#[test]
fn the_wapc_kit_logs() {
    let lines = Lines::default();
    let plugin = load_guest::<()>("wapc_kit", &lines.granted().wapc(Wapc::new()));
    plugin.call_bytes("log", b"hello").unwrap();
    stepped(&plugin, "log", &[b"again"]).0.unwrap();
    assert_eq!(lines.take(), ["wapc_kit: hello", "wapc_kit: again"]);
}

fn typst() -> Plugin {
    load_guest("typst_kit", &Grants::new().typst())
}

#[test]
fn the_typst_kit_takes_arguments_and_returns_results_or_errors() {
    assert_eq!(
        each_time(typst, "hello", &[]).unwrap(),
        b"Hello from the plugin"
    );
    assert_eq!(
        each_time(typst, "join", &[b"one", b"", b"three"]).unwrap(),
        b"one**three"
    );
    assert_eq!(each_time(typst, "shout", &[b"quiet"]).unwrap(), b"QUIET");
    let no_text = error_text(each_time(typst, "shout", &[b"\xff"]));
    assert!(no_text.starts_with("the argument is no text"), "{no_text}");
    let few = each_time(typst, "join", &[b"one"]);
    assert_eq!(code(&few), "export-type");
}

#[test]
fn calls_of_the_typst_kit_are_pure() {
    let plugin = typst();
    for _ in 0..3 {
        assert_eq!(plugin.call_arguments("count", &[]).unwrap(), b"1");
        assert_eq!(stepped(&plugin, "count", &[]).0.unwrap(), b"1");
    }
}
