//! Functions of components, by JSON and by bytes.

use super::{
    client::Answer,
    serving::{Serving, prebuilt, token},
};
use serde_json::{Value as Json, json};

/// A component whose functions have most kinds of types.
pub(crate) fn kit() -> Vec<u8> {
    wat::parse_str(include_str!("kit.wat")).expect("it is WAT")
}

/// The tests that call the program itself take the component as a file.
#[test]
fn the_kit_s_file_is_current() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/kit.wasm");
    if std::env::var_os("HOSTEL_RECORD").is_some() {
        std::fs::write(file, kit()).unwrap();
    }
    let found = std::fs::read(file).unwrap();
    assert!(found == kit(), "write it again with HOSTEL_RECORD=1");
}

fn call(serving: &Serving, export: &str, body: &str) -> Answer {
    let headers = [("content-type", "application/json")];
    let line = format!("POST /v1/plugins/kit/{export}");
    serving.ask(&line, &headers, body.as_bytes())
}

fn item() -> Json {
    json!({
        "name": "a \u{1f600}", "style": ["reverse"], "level": "high", "frame": { "pair": ["«", "»"] },
        "bytes": "AAH/", "twice": { "some": null }, "outcome": { "ok": 18446744073709551615u64 },
        "done": { "error": null }, "ratio": 0.1, "small": 0.25, "yes": true,
    })
}

#[test]
fn values_come_back_as_they_went() {
    let serving = Serving::plainly(&[("kit", &kit())]);
    let both = |given: Json, expected: Json| {
        for body in [json!([[given]]), json!({ "items": [given] })] {
            let answer = call(&serving, "echo", &body.to_string());
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.headers["content-type"], "application/json");
            assert_eq!(answer.json(), json!([expected]));
        }
    };
    both(item(), item());
    let change = |name: &str, value: Json| {
        let mut changed = item();
        changed[name] = value;
        changed
    };
    for (name, value) in [
        ("style", json!([])),
        ("style", json!(["upper", "reverse"])),
        ("frame", json!(null)),
        ("frame", json!("none")),
        ("frame", json!({ "prefix": "x" })),
        ("twice", json!(null)),
        ("twice", json!({ "some": 5 })),
        ("outcome", json!({ "error": "no" })),
        ("done", json!({ "ok": null })),
        ("ratio", json!("NaN")),
        ("small", json!("-inf")),
        ("bytes", json!("")),
    ] {
        both(change(name, value.clone()), change(name, value));
    }
    // What has several forms comes back in one.
    both(
        change("outcome", json!({ "ok": "7" })),
        change("outcome", json!({ "ok": 7 })),
    );
    both(change("ratio", json!(3)), change("ratio", json!(3.0)));
    let mut without = item();
    without.as_object_mut().unwrap().remove("frame");
    both(without, change("frame", json!(null)));
}

#[test]
fn a_body_of_another_type_is_refused() {
    let serving = Serving::plainly(&[("kit", &kit())]);
    for (name, value, expected) in [
        ("name", json!(5), "a text"),
        ("style", json!(["upper", "upper"]), "`upper`, `reverse`"),
        ("style", json!(["bold"]), "`upper`, `reverse`"),
        ("level", json!("middle"), "`low`, `high`"),
        ("frame", json!({ "prefix": "x", "none": null }), "`prefix`"),
        ("frame", json!("prefix"), "a case"),
        ("frame", json!({ "pair": ["a"] }), "an array of 2"),
        ("frame", json!({ "pair": ["ab", "c"] }), "one character"),
        ("bytes", json!("%%"), "base64"),
        ("bytes", json!([1, 2]), "base64"),
        ("twice", json!(5), "`some`"),
        ("twice", json!({ "some": 256 }), "(u8)"),
        ("outcome", json!({ "ok": -1 }), "(u64)"),
        ("outcome", json!({}), "`ok` or `error`"),
        ("done", json!({ "ok": 1 }), "unit"),
        ("ratio", json!("much"), "(f64)"),
        ("small", json!(1e300), "(f32)"),
        ("yes", json!(1), "true or false"),
        ("other", json!(1), "no field \"other\""),
    ] {
        let mut changed = item();
        changed[name] = value;
        let answer = call(&serving, "echo", &json!([[changed]]).to_string());
        answer.is(400, "bad-json");
        let text = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(text.contains(expected), "{expected}: {text}");
    }
    for body in [
        "",
        "[",
        "5",
        "[]",
        "[1, 2]",
        "{}",
        "[[1], 2]",
        "[[]] x",
        "{\"all\": [], \"all\": []}",
    ] {
        call(&serving, "numbers", body).is(400, "bad-json");
    }
    call(&serving, "numbers", "[[1.5]]").is(400, "bad-json");
    call(&serving, "numbers", "[[1, 2.0]]").says("[1,2]");
    serving
        .post("kit/numbers", b"[[1]]")
        .is(415, "bad-media-type");
    let text = [
        ("content-type", "application/json"),
        ("accept", "text/plain"),
    ];
    serving
        .ask("POST /v1/plugins/kit/numbers", &text, b"[[1]]")
        .is(406, "not-acceptable");
}

#[test]
fn an_error_of_a_result_has_one_shape() {
    let serving = Serving::plainly(&[("kit", &kit())]);
    call(&serving, "half", "[8]").says("4");
    let odd = call(&serving, "half", "{\"of\": 7}");
    odd.is(422, "guest-error");
    assert_eq!(odd.json()["error"], "odd");
    let large = call(&serving, "half", "[101]");
    large.is(422, "guest-error");
    assert_eq!(large.json()["error"], json!({ "too-large": 101 }));
    assert_eq!(
        serving.metric("hostel_calls_total{plugin=\"kit\",code=\"guest-error\"}"),
        2.0
    );
    call(&serving, "nothing", "").says("null");
    call(&serving, "nothing", "[]").says("null");
    serving.post("kit/nothing", b"").says("null");
}

#[test]
fn bytes_pass_as_they_are() {
    let serving = Serving::plainly(&[("kit", &kit())]);
    let answer = serving.post("kit", b"\0hello");
    answer.says("\0hello");
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    let empty = serving.post("kit/process", b"");
    empty.is(422, "guest-error");
    assert_eq!(
        empty.json()["detail"],
        "the plugin returned an error: empty"
    );
}

#[test]
fn functions_are_found_by_their_names() {
    let serving = Serving::plainly(&[("kit", &kit())]);
    call(&serving, "add", "[1, \"2\"]").says("3");
    call(&serving, "only", "").says("null");
    for name in [
        "one%23sum",
        "demo:kit%2fone%23sum",
        "demo:kit%2ftwo@1.0.0%23sum",
    ] {
        call(&serving, name, "{\"b\": 5, \"a\": -6}").says("-1");
    }
    let several = call(&serving, "sum", "[1, 2]");
    several.is(400, "ambiguous-export");
    assert!(
        several.text().contains("demo:kit/two@1.0.0#sum"),
        "{}",
        several.text()
    );
    call(&serving, "difference", "[1, 2]").is(404, "unknown-export");
    call(&serving, "three%23sum", "[1, 2]").is(404, "unknown-export");
    for name in ["make", "take"] {
        call(&serving, name, "[1]").is(400, "resource-type");
    }
}

#[test]
fn limits_and_deadlines_hold() {
    let config = "
        [plugin.kit]
        deadline = \"200ms\"
        budget = { fuel = \"1000G\", input_bytes = 1000 }
        [plugin.fuel]
        budget = { fuel = \"1M\" }
    ";
    let serving = Serving::with(config, &[("kit", &kit()), ("fuel", &kit())]);
    call(&serving, "spin", "").is(504, "deadline");
    call(&serving, "trap", "").is(502, "trap-unreachable");
    serving.post("fuel/spin", b"").is(422, "out-of-fuel");
    // A short text that is a long list.
    let zeros = |count: usize| json!([vec![0; count]]).to_string();
    call(&serving, "numbers", &zeros(10)).says("[0,0,0,0,0,0,0,0,0,0]");
    assert!(zeros(200).len() < 1_000);
    call(&serving, "numbers", &zeros(200)).is(413, "input-too-large");
    call(&serving, "numbers", &zeros(1_000)).is(413, "body-too-large");
    let deep = "[".repeat(900);
    call(&serving, "numbers", &deep).is(400, "bad-json");
    let used = serving.metric("hostel_call_fuel_total{plugin=\"fuel\"}");
    assert!(used >= 1e6, "{used}");
}

#[test]
fn the_contract_is_shown_and_described() {
    let serving = Serving::plainly(&[("kit", &kit()), ("customize", &prebuilt("customize"))]);
    let shown = serving.get("/v1/plugins/kit").json();
    assert_eq!(shown["abi"], "component");
    let exports = shown["exports"].as_array().unwrap();
    let takes = |name: &str| {
        let found = exports.iter().find(|it| it["name"] == name);
        found.map(|it| (it["takes"].as_str().unwrap(), it["type"].as_str().unwrap()))
    };
    assert_eq!(takes("add"), Some(("json", "func(a: s64, b: s64) -> s64")));
    assert_eq!(takes("process").unwrap().0, "bytes");
    assert_eq!(takes("make").unwrap().0, "resources");
    assert_eq!(takes("two#sum").unwrap().0, "json");
    assert_eq!(takes("only").unwrap().0, "json");

    let document = serving.get("/v1/openapi/kit").json();
    let paths = document["paths"].as_object().unwrap();
    assert!(!paths.contains_key("/v1/plugins/kit/make"));
    let resolve = |schema: &Json| match schema["$ref"].as_str() {
        Some(name) => document
            .pointer(name.strip_prefix('#').unwrap())
            .unwrap()
            .clone(),
        None => schema.clone(),
    };
    let echo = &paths["/v1/plugins/kit/echo"]["post"];
    let forms = &echo["requestBody"]["content"]["application/json"]["schema"]["oneOf"];
    let list = resolve(&forms[0]["properties"]["items"]);
    assert_eq!(list["type"], "array");
    let item = resolve(&list["items"]);
    assert_eq!(item["properties"]["name"], json!({ "type": "string" }));
    let required = item["required"].as_array().unwrap();
    assert!(required.contains(&json!("name")) && !required.contains(&json!("frame")));
    assert_eq!(
        resolve(&item["properties"]["level"]),
        json!({ "enum": ["low", "high"] })
    );
    let twice = resolve(&item["properties"]["twice"]);
    assert_eq!(twice["anyOf"][1]["required"], json!(["some"]));
    let half = &paths["/v1/plugins/kit/half"]["post"]["responses"]["200"];
    assert_eq!(
        half["content"]["application/json"]["schema"]["maximum"],
        u32::MAX
    );
    // Each described function is there.
    for path in paths.keys() {
        let answer = serving.ask(&format!("POST {path}"), &[], b"");
        assert!(
            !["unknown-export", "unknown-route", "ambiguous-export"]
                .iter()
                .any(|code| answer.text().contains(code)),
            "{path}: {}",
            answer.text()
        );
    }
    let module = serving.get("/v1/openapi/customize").json();
    assert!(module["paths"]["/v1/plugins/customize/process"].is_object());
    serving.get("/v1/openapi/nobody").is(404, "unknown-plugin");
}

#[test]
fn components_are_put_and_watched() {
    let admin = token("root", "role = \"admin\"");
    let caller = token("anna", "role = \"caller\"\nplugins = [\"kit\"]");
    let config = format!(
        "[server]\nanonymous = true\n{}{}",
        admin.section, caller.section
    );
    let serving = Serving::with(&config, &[]);
    let auth = [("authorization", &*admin.header)];
    let put = serving.ask("PUT /v1/plugins/kit", &auth, &kit());
    assert_eq!(put.status, 201, "{}", put.text());
    assert_eq!(put.json()["abi"], "component");
    call(&serving, "half", "[8]").says("4");
    // A module takes its place, and the component comes back.
    let module = serving.ask("PUT /v1/plugins/kit", &auth, &prebuilt("small_greet"));
    assert_eq!(module.status, 200, "{}", module.text());
    let back = serving.ask("POST /v1/versions/kit/rollback", &auth, b"");
    assert_eq!(back.status, 200, "{}", back.text());
    call(&serving, "half", "[8]").says("4");
    let refused = serving.ask("PUT /v1/plugins/other", &auth, b"\0asm\x0d\0\x01\0\0");
    assert_eq!(refused.status, 422, "{}", refused.text());
    // By hand.
    hostel_server::hostel::install_module(serving.file("second.wasm"), &kit()).unwrap();
    super::serving::eventually("component", || serving.post("second", b"x").status == 200);
    // A caller sees its own alone.
    let anna = [("authorization", &*caller.header)];
    assert_eq!(serving.ask("GET /v1/openapi/kit", &anna, b"").status, 200);
    serving
        .ask("GET /v1/openapi/second", &anna, b"")
        .is(403, "forbidden");
}

/// A core module with a world in a section, as wit-bindgen leaves it, is called as the component that it would be.
#[test]
fn a_module_with_a_contract_is_a_component() {
    let module = prebuilt("components/rust_module");
    assert!(!hostel_server::hostel::component::is_component(&module));
    let admin = token("root", "role = \"admin\"");
    let serving = Serving::with(&admin.section, &[]);
    let auth = [("authorization", &*admin.header)];
    // Its world imports an interface that no configuration grants: as a module it would lack other functions.
    let refused = serving.ask("PUT /v1/plugins/text", &auth, &module);
    refused.is(422, "mismatch");
    assert!(
        refused.text().contains("hostel:example/host@0.1.0"),
        "{}",
        refused.text()
    );
    assert!(
        refused.text().contains("func(level: enum"),
        "{}",
        refused.text()
    );
}
