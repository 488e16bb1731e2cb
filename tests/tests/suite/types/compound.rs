//! `Option`, `Result`, tuples and serialised values.

use super::{Order, guest, instances, round_trips};
use hostel::Postcard;
use hostel_tests::code;

#[test]
fn an_option_of_a_number_has_a_flag() {
    round_trips("Option<u32>", [None, Some(0), Some(1), Some(u32::MAX)]);
    round_trips("Option<f64>", [None, Some(-0.5), Some(f64::INFINITY)]);
    round_trips("Option<bool>", [None, Some(false), Some(true)]);
    let mut instance = guest("values").instantiate(()).unwrap();
    let mut lift = |flag: i32, value: i32| {
        instance.call::<(i32, i32), Option<bool>>("own Option<bool>", (flag, value))
    };
    assert_eq!(lift(0, 99), Ok(None), "what is absent is not looked at");
    assert_eq!(code(&lift(2, 0)), "bad-value");
    assert_eq!(code(&lift(1, 2)), "bad-value");
}

#[test]
fn an_absent_text_differs_from_an_empty_one() {
    let some = |text: &str| Some(String::from(text));
    round_trips("Option<String>", [None, some(""), some("text")]);
    round_trips("Option<Vec>", [None, Some(vec![]), Some(vec![0; 9])]);
    round_trips(
        "Option<Option<String>>",
        [None, Some(None), Some(some("")), Some(some("text"))],
    );
}

#[test]
fn the_pointer_0_means_that_a_text_is_absent() {
    for (shape, mut instance) in instances("Option<String>") {
        for len in [0, 1, 5] {
            let found = instance.call::<(u32, u32), Option<String>>("own Option<String>", (0, len));
            assert_eq!(found, Ok(None), "a length of {len}, as {shape}");
        }
    }
}

#[test]
fn a_result_is_a_flag_and_both_values() {
    round_trips(
        "Result<u32,String>",
        [Ok(0u32), Ok(7), Err("no".into()), Err(String::new())],
    );
    round_trips(
        "Result<String,u64>",
        [Ok(String::new()), Ok("yes".into()), Err(0), Err(u64::MAX)],
    );
    round_trips("Result<(),String>", [Ok(()), Err(String::from("no"))]);
    let mut instance = guest("values").instantiate(()).unwrap();
    let error =
        instance.call::<(i32, i32, i32), Result<(), String>>("own Result<(),String>", (2, 0, 0));
    assert_eq!(code(&error), "bad-value");
}

#[test]
fn tuples_are_their_parts() {
    round_trips("(u8,f64,char)", [(0, -0.5, 'a'), (255, 1e300, '😀')]);
    round_trips(
        "(u32,u32)",
        [(0, 0), (1, u32::MAX), (u32::MAX, 0x8000_0000)],
    );
    round_trips(
        "(String,i64,Vec)",
        [
            (String::new(), i64::MIN, vec![]),
            ("text".into(), -1, vec![0, 1, 2]),
        ],
    );
}

#[test]
fn a_serialised_value_is_a_pointer_and_a_length() {
    let order = Order {
        article: "lamp".into(),
        price: Some(19.99),
        tags: [("sizes".into(), vec![1, u64::MAX])].into(),
    };
    round_trips("Postcard", [Postcard(order)]);
    let mut instance = guest("values").instantiate(()).unwrap();
    let error = instance.call::<&[u8], Postcard<Order>>("own Postcard", b"\xff\xff");
    assert_eq!(code(&error), "serialization");
    assert!(!instance.is_stopped());
    let trap = instance.call::<&[u8], Vec<u8>>("host Postcard", b"\xff\xff");
    assert_eq!(code(&trap), "trap-host-call");
}
