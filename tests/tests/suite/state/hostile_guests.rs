//! Guests that give bad pointers, have no memory for an answer, or spend more than they have.

use super::{Forward, forwarding, memory};
use hostel::{Budget, Grants, StateStore as _, StateUse};
use hostel_tests::{a_good_plugin_still_answers, code, load_wat};

#[test]
fn pointers_outside_of_memory_trap() {
    const END: u32 = 2 << 16;
    let store = memory();
    let plugin = Forward::to(store.clone()).0;
    let fine = (0u32, 4u32);
    for bad in [
        (END, 1),
        (END - 1, 2),
        (END + 1, 0),
        (1, END),
        (u32::MAX, 1),
        (0, u32::MAX),
        (0x8000_0000, 0x8000_0000),
        (0, 0x8000_0001),
    ] {
        for result in [
            plugin.call::<_, (u32, u32)>("get", bad),
            plugin.call("delete", bad),
            plugin.call("set", (fine, bad)),
            plugin.call("set", (bad, fine)),
            plugin.call("list", (fine, bad, 1u32)),
            plugin.call("list", (bad, fine, 1u32)),
        ] {
            // An absent `after` has a pointer of 0, whatever its length.
            let absent = bad.0 == 0 && matches!(result, Ok((0, 0)));
            assert!(
                absent || code(&result) == "trap-host-call",
                "{bad:?} {result:?}"
            );
        }
    }
    assert_eq!(
        store.used("guest"),
        Ok(StateUse::default()),
        "nothing was set"
    );
    a_good_plugin_still_answers();
}

#[test]
fn a_guest_without_memory_for_the_answer_is_trapped() {
    let room = "(i32.sub (i32.const 131056) (local.get $ptr))";
    let text = forwarding().replace(room, "(i32.const 0)");
    let plugin = load_wat::<()>(&text, &Grants::new().state(memory()));
    let set = plugin.call("set", (0u32, 1u32, 0u32, 1u32));
    assert_eq!(set, Ok((0u32, 0u32)), "nothing to give");
    for key in [1, 257] {
        let got = plugin.call::<_, (u32, u32)>("get", (0u32, key));
        assert_eq!(code(&got), "trap-host-call", "a value, and an error");
    }
}

#[test]
fn work_that_costs_too_much_is_not_done() {
    let store = memory();
    let plugin = Forward::to(store.clone()).0;
    let key = [1; 100];
    let with = |fuel: u64| plugin.with_budget(Budget::server().with_fuel(fuel));
    let (mut least, mut most) = (0, 10_000);
    // Bisects the least fuel with which the value is set.
    while least + 1 < most {
        let middle = (least + most) / 2;
        store.delete("guest", &key).unwrap();
        let done = with(middle).call::<_, Option<Vec<u8>>>("set", (&key, &[2u8; 1_000]));
        assert!(matches!(code(&done), "ok" | "out-of-fuel"), "{done:?}");
        let kept = store.get("guest", &key).unwrap().is_some();
        assert!(kept || done.is_err(), "an acknowledged value is kept");
        *(if kept { &mut most } else { &mut least }) = middle;
    }
    assert!(most > 20 + 2 + 16 + 40, "{most}");

    for number in 0..1_000u32 {
        store.set("many", &number.to_be_bytes(), b"").unwrap();
    }
    let many = load_wat::<()>(&forwarding(), &Grants::new().state_in("many", store));
    let list = ("", None::<&str>, u32::MAX);
    let short = many
        .with_budget(Budget::server().with_fuel(2_000))
        .call::<_, Option<Vec<u8>>>("list", list);
    assert_eq!(code(&short), "out-of-fuel");
    let page: Option<Vec<u8>> = many.call("list", list).unwrap();
    assert_eq!(page.unwrap().len(), 8_000);
}
