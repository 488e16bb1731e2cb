//! Ranges of the guest's memory that the embedder reads and writes: in its host functions, and through an
//! instance between calls.

use hostel::{Budget, CallError, Context, Extism, Grants, Plugin, Step, Trap};
use hostel_tests::{code, load_wat};

/// A guest with one buffer that both sides use, in the way of dprint's plugins: the host passes text in pieces
/// through the buffer, asks for the result, and fetches it by the same way. While it formats, the guest asks the
/// host for a word, by an address and a length, and the host writes it there.
const FORMATTER: &str = r#"(module
    (import "dprint" "host_read_buffer" (func $host_take (param i32 i32)))
    (import "dprint" "host_write_buffer" (func $host_fill (param i32) (result i32)))
    (memory (export "memory") 1)
    (global $len (mut i32) (i32.const 0))
    (func (export "get_wasm_memory_buffer") (result i32) (i32.const 1024))
    (func (export "get_wasm_memory_buffer_size") (result i32) (i32.const 64))
    (func (export "grow") (drop (memory.grow (i32.const 3))))
    ;; Sends the text to the host, and gets another one from it.
    (func (export "format") (param $len i32) (result i32)
      (call $host_take (i32.const 1024) (local.get $len))
      (call $host_fill (i32.const 1024))))"#;

/// The host's side of the formatter: what it was sent.
#[derive(Default)]
struct Sent(Vec<u8>);

fn formatter() -> Plugin<Sent> {
    let grants = Grants::<Sent>::with_data()
        .function(
            "dprint",
            "host_read_buffer",
            |context: &mut Context<'_, Sent>, ptr: u32, len: u32| -> Result<(), Trap> {
                context.data_mut().0 = Vec::new();
                let bytes = context.read(ptr, len)?.to_vec();
                context.data_mut().0 = bytes;
                Ok(())
            },
        )
        .function(
            "dprint",
            "host_write_buffer",
            |context: &mut Context<'_, Sent>, ptr: u32| -> Result<u32, Trap> {
                let mut bytes = context.data().0.to_ascii_uppercase();
                bytes.push(b'!');
                context.write(ptr, &bytes)?;
                Ok(u32::try_from(bytes.len()).unwrap())
            },
        );
    load_wat(FORMATTER, &grants)
}

#[test]
fn a_host_speaks_an_abi_of_its_own() {
    let plugin = formatter();
    let mut instance = plugin.instantiate(Sent::default()).unwrap();
    let buffer = instance
        .call::<(), u32>("get_wasm_memory_buffer", ())
        .unwrap();
    let format = instance.typed::<u32, u32>("format").unwrap();
    for text in [&b"hello"[..], b"", b"a longer text"] {
        instance.write_memory(buffer, text).unwrap();
        let len = format
            .call(&mut instance, u32::try_from(text.len()).unwrap())
            .unwrap();
        let formatted = [&text.to_ascii_uppercase()[..], b"!"].concat();
        assert_eq!(instance.read_memory(buffer, len).unwrap(), formatted);
    }
    // Growing may move the memory.
    instance.call::<(), ()>("grow", ()).unwrap();
    instance.write_memory(4 * 65_536 - 3, b"end").unwrap();
    assert_eq!(instance.read_memory(4 * 65_536 - 3, 3).unwrap(), b"end");
}

#[test]
fn a_call_in_the_pool_can_do_the_same_and_leaves_nothing() {
    let plugin = formatter();
    for _ in 0..3 {
        let result = plugin.with_instance(|instance| {
            assert_eq!(instance.read_memory(1024, 3)?, [0, 0, 0]);
            instance.write_memory(1024, b"abc")?;
            let len = instance.call::<(u32,), u32>("format", (3,))?;
            Ok(instance.read_memory(1024, len)?.to_vec())
        });
        assert_eq!(result.unwrap(), b"ABC!");
    }
    assert!(plugin.pool_figures().resets > 0);
}

#[test]
fn stepped_and_awaited_calls_reach_memory_for_the_same_fuel() {
    let plugin = formatter();
    let mut instance = plugin.instantiate(Sent::default()).unwrap();
    instance.write_memory(1024, b"abc").unwrap();
    assert_eq!(instance.call::<(u32,), u32>("format", (3,)), Ok(4));
    let fuel = instance.usage().fuel;
    instance.write_memory(1024, b"abc").unwrap();
    let mut call = instance.call_async::<(u32,), u32>("format", (3,));
    let mut ended = call.step(1);
    while !matches!(ended, Step::Done(_)) {
        ended = call.step(10);
    }
    assert_eq!(ended, Step::Done(Ok(4)));
    assert_eq!(call.usage().fuel, fuel);
    drop(call);
    let awaited = instance.call_async::<(u32,), u32>("format", (3,));
    assert_eq!(polled(awaited), Ok(4));
    assert_eq!(instance.usage().fuel, fuel);
    assert_eq!(instance.read_memory(1024, 4).unwrap(), b"ABC!");
}

/// Polls a future that does not wait until it ends.
fn polled<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// Calls `read` and `write` of the host with any range.
const REACHES: &str = r#"(module
    (import "host" "read" (func $read (param i32 i32) (result i32)))
    (import "host" "write" (func $write (param i32 i32)))
    (memory (export "memory") 1)
    (func (export "reads") (param i32 i32) (result i32) (call $read (local.get 0) (local.get 1)))
    (func (export "writes") (param i32 i32) (call $write (local.get 0) (local.get 1))))"#;

fn reaching() -> Plugin {
    load_wat(REACHES, &reaching_grants())
}

fn reaching_grants() -> Grants {
    Grants::new()
        .function(
            "host",
            "read",
            |context: &mut Context<'_, ()>, ptr: u32, len: u32| -> Result<u32, Trap> {
                Ok(u32::try_from(context.read(ptr, len)?.len()).unwrap())
            },
        )
        .function(
            "host",
            "write",
            |context: &mut Context<'_, ()>, ptr: u32, len: u32| -> Result<(), Trap> {
                context.write(ptr, &vec![7; len as usize])
            },
        )
}

#[test]
fn a_range_outside_stops_the_guest_and_names_the_host_function() {
    let plugin = reaching();
    for (ptr, len) in [
        (65_536, 1),
        (65_530, 7),
        (u32::MAX, 1),
        (65_537, 0),
        (u32::MAX, 2),
    ] {
        for name in ["reads", "writes"] {
            let error = plugin
                .with_instance(|instance| match name {
                    "reads" => instance.call::<_, u32>(name, (ptr, len)).map(drop),
                    _ => instance.call::<_, ()>(name, (ptr, len)),
                })
                .unwrap_err();
            assert_eq!(error.code(), "trap-host-call", "{ptr} {len}: {error}");
            let text = error.to_string();
            assert!(
                text.contains("65536 bytes") && text.contains("`host."),
                "{text}"
            );
        }
    }
    let most = plugin.call::<_, u32>("reads", (0u32, u32::MAX));
    assert_eq!(code(&most), "trap-host-call");
    for (ptr, len) in [(65_536, 0), (0, 65_536), (65_535, 1)] {
        assert_eq!(plugin.call::<_, u32>("reads", (ptr, len)), Ok(len));
        assert_eq!(plugin.call::<_, ()>("writes", (ptr, len)), Ok(()));
    }
}

#[test]
fn ranges_are_within_the_budget_and_charged() {
    let plugin = reaching();
    let mut budget = Budget::server();
    budget.argument_bytes = 100;
    budget.bytes_to_guest = 100;
    let bounded = plugin.with_budget(budget);
    assert_eq!(bounded.call::<_, u32>("reads", (0u32, 100u32)), Ok(100));
    assert_eq!(bounded.call::<_, ()>("writes", (0u32, 100u32)), Ok(()));
    let read = bounded.call::<_, u32>("reads", (0u32, 101u32)).unwrap_err();
    assert!(read.to_string().contains("`argument_bytes`"), "{read}");
    let written = bounded.call::<_, ()>("writes", (0u32, 101u32)).unwrap_err();
    assert!(
        written.to_string().contains("`bytes_to_guest`"),
        "{written}"
    );

    let fuel = |name: &str, len: u32| {
        let (result, used) = plugin.with_instance_metered(|instance| match name {
            "reads" => instance.call::<_, u32>(name, (0u32, len)).map(drop),
            _ => instance.call::<_, ()>(name, (0u32, len)),
        });
        result.unwrap();
        used.fuel
    };
    for name in ["reads", "writes"] {
        assert_eq!(fuel(name, 6_400) - fuel(name, 0), 100, "{name}");
    }
    budget = Budget::server();
    budget.fuel = fuel("reads", 6_400) - 1;
    let short = plugin.with_budget(budget);
    for name in ["reads", "writes"] {
        let ended = short.with_instance(|instance| match name {
            "reads" => instance.call::<_, u32>(name, (0u32, 6_400u32)).map(drop),
            _ => instance.call::<_, ()>(name, (0u32, 6_400u32)),
        });
        assert_eq!(code(&ended), "out-of-fuel", "{name}");
    }
}

#[test]
fn a_function_that_borrows_text_reads_but_does_not_write() {
    let text = r#"(module (import "host" "f" (func $f (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "text\07")
        (func (export "f") (param i32) (result i32) (call $f (i32.const 0) (i32.const 4) (local.get 0))))"#;
    let grants = Grants::new().function(
        "host",
        "f",
        |context: &mut Context<'_, ()>, text: &str, writes: bool| -> Result<u32, Trap> {
            assert_eq!(text, "text");
            if writes {
                context.write(0, b"x")?;
            }
            Ok(context.read(4, 1)?[0].into())
        },
    );
    let plugin = load_wat(text, &grants);
    assert_eq!(plugin.call::<_, u32>("f", (0u32,)), Ok(7));
    let error = plugin.call::<_, u32>("f", (1u32,)).unwrap_err();
    assert_eq!(error.code(), "trap-host");
    assert!(error.to_string().contains("as two `u32`"), "{error}");
}

#[test]
fn plugins_of_other_conventions_are_reached_too() {
    let text = REACHES.replace(
        r#"(func (export "reads")"#,
        r#"(func (export "both") (call $write (i32.const 5) (i32.const 9)) (drop (call $read (i32.const 5) (i32.const 9))))
           (func (export "reads")"#,
    );
    let text = text.replacen(
        "(import",
        r#"(import "extism:host/env" "input_length" (func (result i64))) (import"#,
        1,
    );
    let plugin = load_wat(&text, &reaching_grants().extism(Extism::new()));
    let mut instance = plugin.instantiate(()).unwrap();
    instance.call_bytes("both", b"", <[u8]>::len).unwrap();
    assert_eq!(
        instance.read_memory(4, 11).unwrap(),
        [0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0]
    );
}

#[test]
fn an_instance_refuses_ranges_outside_its_bounds() {
    let plugin = reaching();
    let mut instance = plugin.instantiate(()).unwrap();
    for (ptr, len) in [
        (65_536, 1),
        (65_530, 7),
        (u32::MAX, u32::MAX),
        (0, u32::MAX),
    ] {
        let error = instance.read_memory(ptr, len).unwrap_err();
        assert!(
            matches!(error, CallError::OutOfBounds { memory: 65_536, .. }),
            "{error}"
        );
    }
    let error = instance.write_memory(65_530, b"1234567").unwrap_err();
    assert_eq!(error.code(), "out-of-bounds");
    assert_eq!(instance.read_memory(65_530, 6).unwrap(), [0; 6]);

    let mut budget = Budget::server();
    (budget.input_bytes, budget.output_bytes) = (10, 20);
    instance.set_budget(budget);
    instance.write_memory(0, &[1; 10]).unwrap();
    assert_eq!(code(&instance.write_memory(0, &[1; 11])), "input-too-large");
    instance.read_memory(0, 20).unwrap();
    assert_eq!(
        instance.read_memory(0, 21).unwrap_err().code(),
        "output-too-large"
    );
    budget.fuel = 20;
    instance.set_budget(budget);
    assert_eq!(code(&instance.write_memory(0, &[1])), "out-of-fuel");
    // As after any call that used up its fuel.
    assert_eq!(instance.read_memory(0, 0).unwrap_err().code(), "stopped");
}

#[test]
fn an_instance_charges_for_its_memory_as_for_a_call() {
    let plugin = reaching();
    let mut instance = plugin.instantiate(()).unwrap();
    for (len, fuel) in [(0, 20), (1, 21), (64, 21), (65, 22)] {
        instance.read_memory(0, len).unwrap();
        assert_eq!(instance.usage().fuel, fuel);
        instance.write_memory(0, &vec![0; len as usize]).unwrap();
        assert_eq!(instance.usage().fuel, fuel);
    }
    let none = load_wat(r#"(module (func (export "f")))"#, &Grants::new());
    let mut none = none.instantiate(()).unwrap();
    assert_eq!(none.read_memory(0, 0).unwrap_err().code(), "missing-export");
    assert_eq!(code(&none.write_memory(0, b"")), "missing-export");
}
