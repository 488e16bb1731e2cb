//! Values convert to those of the host, and back.

#![allow(clippy::expect_used, missing_docs)]

use hostel_contract::{Contract, Value};
use hostel_core::component::{Resource, Value as HostValue};

#[test]
fn values_convert_to_the_hosts_and_back() {
    let wit = "package a:b; world w {
        record r { a: option<u8>, b: tuple<s8, s16, s32, s64, f32, f64, char, bool> }
        variant v { one(r), two }
        enum e { x, y }
        flags f { p, q }
        export call: func(a: list<v>, b: e, c: f, d: list<u8>, e: result<string, u16>,
            f: result<u32, u64>);
    }";
    let contract = Contract::from_wit("it.wit", wit, None).expect("it is WIT");
    let text = "call([one({a: some(1), b: (-1, -2, -3, -4, 0.5, -0.5, 'c', true)}), two], y, {q}, [7], \
        ok(\"x\"), err(9))";
    let call = contract.parse_call(text).expect("it is a call");
    for value in call.arguments {
        let host = HostValue::try_from(value.clone()).expect("it has no handle");
        assert_eq!(Value::from(host), value);
    }
    let host = HostValue::try_from(Value::Option(Some(Value::Bytes(vec![7]).into())));
    let bytes = HostValue::Option(Some(HostValue::Bytes(vec![7]).into()));
    assert_eq!(host.expect("it has no handle"), bytes);
}

#[test]
fn handles_are_the_hosts_alone() {
    let list = HostValue::List(vec![HostValue::Resource(Resource::new(3))]);
    let value = Value::from(list);
    assert_eq!(value, Value::List(vec![Value::Resource("3".into())]));
    let error = HostValue::try_from(value).expect_err("there is a handle");
    assert_eq!(error.code(), "value-without-text");
}
