//! Exports: bytes and values that are passed to a guest and come back, and making an instance.

use super::{BASE, SIZES, guest, pass, start};
use hostel::{Grants, Instance};
use hostel_tests::{assemble, load_wat};

#[test]
fn bytes_to_and_from_a_guest_are_charged_to_the_unit() {
    // The result lies where no input does, and there is no `deallocate` to call.
    let parts = r#"(global $len (mut i32) (i32.const 0))
        (func (export "set") (param i32) (global.set $len (local.get 0)))"#;
    #[rustfmt::skip] // a table
    let shapes = [
        // The type and code of `process`, the number of its parameters, how many buffers it needs.
        ("(param i32 i32) (result i32 i32) (i32.const 65536) (global.get $len)", 2, 1),
        ("(param i32 i32) (result i64)
          (i64.or (i64.const 0x1000000000000) (i64.extend_i32_u (global.get $len)))", 2, 1),
        ("(param i32 i32 i32) (i32.store (local.get 0) (i32.const 65536))
          (i32.store offset=4 (local.get 0) (global.get $len))", 3, 2),
    ];
    for (process, params, buffers) in shapes {
        let items = format!(r#"{parts} (func (export "process") {process})"#);
        let text = guest("", &items);
        for input in SIZES {
            for output in SIZES {
                // A new instance, since buffers are kept from call to call.
                let (mut instance, mut bare) = start(&text, &Grants::new());
                let allocate = bare.fuel("allocate", &[1]);
                let guest = bare.fuel("process", &[64; 3][..params]) + buffers * allocate;
                let bytes = vec![b'a'; input as usize];
                let (n, m) = (u64::from(input), u64::from(output));
                let case = format!("{input} bytes in, {output} bytes out, {process}");

                instance.call::<u32, ()>("set", output).unwrap();
                let answer = instance.process(&bytes).unwrap();
                assert_eq!(answer.len(), output as usize);
                let host = instance.usage().fuel - guest;
                assert_eq!(host, BASE + pass(n) + pass(m), "{case}");

                // The text of an error is checked to be UTF-8, too.
                let error = output | 0x8000_0000;
                instance.call::<u32, ()>("set", error).unwrap();
                let error = instance.process(&bytes).unwrap_err();
                assert_eq!(error.code(), "guest-error", "{case}");
                // The buffers of the first call are used again: the input's up to 64 KiB, and the
                // record's.
                let reused = u64::from(input <= 65_536) + (buffers - 1);
                let host = instance.usage().fuel + reused * allocate - guest;
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
    let (mut instance, mut bare) = start(&guest("", exports), &Grants::new());
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
        let larger = format!(r#"(module (@custom "x" "{}")"#, "x".repeat(n as usize));
        let module = base.replacen("(module", &larger, 1);
        let size = assemble(&module).len() as u64;
        assert!(size > n.into());
        let plugin = load_wat::<()>(&module, &Grants::new());
        let memory = plugin.info().memories[0].min_bytes;
        let started = plugin.instantiate(()).unwrap().start_usage();
        // Three exports, two functions.
        let parts = 3 * 10 + 2;
        let expected = BASE + parts + pass(size + memory);
        assert_eq!(started.fuel, expected, "{size} bytes");
    }
}
