//! The functions as C calls them, for Miri to watch: pointers in and out, handles given and taken.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::multiple_unsafe_ops_per_block,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc
)]

use core::ffi::{CStr, c_char, c_void};
use hostel_c::*;
use std::{ptr, slice};

unsafe extern "C" fn sum(
    context: *mut c_void,
    params: *const i32,
    count: usize,
    result: *mut i32,
) -> i32 {
    // SAFETY: hostel hands over `count` numbers, and the context that it was given with.
    let (params, calls) = unsafe {
        (
            slice::from_raw_parts(params, count),
            &mut *context.cast::<i32>(),
        )
    };
    *calls += 1;
    // SAFETY: hostel hands over a place for the result.
    unsafe { *result = params.iter().sum() };
    0
}

unsafe extern "C" fn reverse(
    _: *mut c_void,
    input: *const u8,
    size: usize,
    output: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    // SAFETY: hostel hands over what it says.
    let (input, output) = unsafe {
        (
            slice::from_raw_parts(input, size),
            slice::from_raw_parts_mut(output, capacity),
        )
    };
    for (to, from) in output.iter_mut().zip(input.iter().rev()) {
        *to = *from;
    }
    // SAFETY: as above.
    unsafe { *length = size };
    i32::from(size > capacity)
}

unsafe extern "C" fn log(context: *mut c_void, record: *const HostelRecord) {
    // SAFETY: hostel hands over a record with two texts, and the context that it was given with.
    let (lines, record, plugin, text) = unsafe {
        (
            &mut *context.cast::<Vec<String>>(),
            &*record,
            CStr::from_ptr((*record).plugin),
            CStr::from_ptr((*record).text),
        )
    };
    let speaker = if record.from_host { " host" } else { "" };
    lines.push(format!(
        "{}{speaker} {:?}: {}",
        plugin.to_str().unwrap(),
        record.level,
        text.to_str().unwrap()
    ));
}

const MODULE: &str = r#"(module
    (import "host" "sum" (func $sum (param i32 i32) (result i32)))
    (import "host" "reverse" (func $reverse (param i32 i32) (result i32 i32)))
    (import "env" "host_log" (func $log (param i32 i32)))
    (import "env" "host_log_at" (func $log_at (param i32 i32 i32)))
    (memory (export "memory") 256 (pagesize 1))
    (global $next (mut i32) (i32.const 64))
    (func (export "allocate") (param i32) (result i32)
      (global.set $next (i32.sub (i32.const 192) (global.get $next))) (global.get $next))
    (func (export "flood") (local $left i32)
      (local.set $left (i32.const 20))
      (loop $on
        (call $log_at (i32.const 4) (i32.const 0) (i32.const 0))
        (br_if $on (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
    (func (export "add") (param i32 i32) (result i32) (call $sum (local.get 0) (local.get 1)))
    (func (export "process") (param i32 i32) (result i32 i32)
      (call $log (local.get 0) (local.get 1))
      (call $reverse (local.get 0) (local.get 1))))"#;

#[test]
fn all_goes_in_and_out() {
    let wasm = wat::parse_str(MODULE).unwrap();
    let (mut calls, mut lines) = (0i32, Vec::<String>::new());
    let (calls_at, lines_at) = (&raw mut calls, &raw mut lines);
    let mut said = [0xffu8; 40];
    let mut message = HostelMessage {
        text: said.as_mut_ptr(),
        capacity: said.len(),
    };
    let message_at = &raw mut message;
    // SAFETY: all pointers are to live values of this function's, and each handle is used as told.
    unsafe {
        let engine = hostel_engine_new(1 << 20, ptr::null());
        let grants = hostel_grants_new();
        let ok = HostelCode::Ok;
        let (host, env) = (c"host".as_ptr(), c"sum".as_ptr());
        assert_eq!(
            hostel_grant_numbers(grants, host, env, 2, Some(sum), calls_at.cast()),
            ok
        );
        let name = c"reverse".as_ptr();
        assert_eq!(
            hostel_grant_bytes(grants, host, name, 8, Some(reverse), ptr::null_mut()),
            ok
        );
        assert_eq!(hostel_grant_log(grants, Some(log), lines_at.cast()), ok);

        let (mut plugin, mut instance) = (ptr::null_mut(), ptr::null_mut());
        let (bytes, size) = (wasm.as_ptr(), wasm.len());
        let name = c"test".as_ptr();
        let refused = hostel_load(
            engine,
            name,
            bytes,
            size,
            ptr::null(),
            &mut plugin,
            message_at,
        );
        assert_eq!(refused, HostelCode::Mismatch);
        assert!(plugin.is_null());
        let text = CStr::from_ptr(said.as_ptr().cast());
        assert_eq!(
            text.to_str(),
            Ok("the module does not fit, 4 mismatches:\n")
        );
        let loaded = hostel_load(engine, name, bytes, size, grants, &mut plugin, message_at);
        assert_eq!(loaded, ok);
        assert_eq!(hostel_instantiate(plugin, &mut instance, message_at), ok);
        hostel_grants_free(grants);
        hostel_unload(plugin);
        hostel_engine_free(engine);

        let mut result = 0;
        let (name, params) = (c"add".as_ptr(), [30, 12]);
        let added =
            hostel_call_numbers(instance, name, params.as_ptr(), 2, &mut result, message_at);
        assert_eq!((added, result, *calls_at), (ok, 42, 1));

        let name = c"flood".as_ptr();
        let flooded = hostel_call_numbers(instance, name, ptr::null(), 0, &mut result, message_at);
        assert_eq!(flooded, ok);

        let (mut output, mut length) = ([0u8; 6], 0);
        let name = c"process".as_ptr();
        let mut process = |input: &[u8]| {
            let (data, size) = (input.as_ptr(), input.len());
            let (to, room) = (output.as_mut_ptr(), output.len());
            let code = hostel_call_bytes(
                instance,
                name,
                data,
                size,
                to,
                room,
                &mut length,
                message_at,
            );
            (code, length, output)
        };
        assert_eq!(process(b"abc"), (ok, 3, *b"cba\0\0\0"));
        let (code, length, _) = process(b"1234567");
        assert_eq!((code, length), (HostelCode::BufferTooSmall, 7));
        assert_eq!(process(b"123456789").0, HostelCode::TrapHost);
        assert!(hostel_is_stopped(instance));
        hostel_instance_free(instance);
    }
    let (flood, rest) = lines.split_at(17);
    assert!(flood[..16].iter().all(|line| line == "test Error: "));
    let closing = "test host Warn: [4 further log records dropped: over the budget]";
    assert_eq!(flood[16], closing);
    let told = [
        "test Info: abc",
        "test Info: 1234567",
        "test Info: 123456789",
    ];
    assert_eq!(rest, told);
}

/// A plugin whose `bytes` passes its input to the host, whose `long` returns an i64 and `nothing`
/// nothing.
const BOUNDED: &str = r#"(module
    (import "host" "reverse" (func $reverse (param i32 i32) (result i32 i32)))
    (memory (export "memory") 1)
    (global $runs (mut i32) (i32.const 0))
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "runs") (result i32) (global.get $runs))
    (func (export "nothing"))
    (func (export "long") (result i64)
      (global.set $runs (i32.add (global.get $runs) (i32.const 1))) (i64.const 7))
    (func (export "process") (param i32 i32) (result i32 i32)
      (call $reverse (local.get 0) (local.get 1))))"#;

/// Loads [`BOUNDED`] with a host function that has room for `capacity` bytes, and passes an instance
/// and a message to `work`.
fn with_bounded(capacity: usize, work: impl FnOnce(*mut HostelInstance, *mut HostelMessage)) {
    let wasm = wat::parse_str(BOUNDED).unwrap();
    let mut said = [0xffu8; 200];
    let mut message = HostelMessage {
        text: said.as_mut_ptr(),
        capacity: said.len(),
    };
    let message_at = &raw mut message;
    let ok = HostelCode::Ok;
    let (mut plugin, mut instance) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: all pointers are to live values of this function's, and each handle is used as told.
    unsafe {
        let engine = hostel_engine_new(0, ptr::null());
        let grants = hostel_grants_new();
        let (host, name) = (c"host".as_ptr(), c"reverse".as_ptr());
        let null = ptr::null_mut();
        assert_eq!(
            hostel_grant_bytes(grants, host, name, capacity, Some(reverse), null),
            ok
        );
        let (name, bytes, size) = (c"test".as_ptr(), wasm.as_ptr(), wasm.len());
        let loaded = hostel_load(engine, name, bytes, size, grants, &mut plugin, message_at);
        assert_eq!(loaded, ok);
        assert_eq!(hostel_instantiate(plugin, &mut instance, message_at), ok);
        work(instance, message_at);
        hostel_instance_free(instance);
        hostel_unload(plugin);
        hostel_grants_free(grants);
        hostel_engine_free(engine);
    }
}

/// Returns the text of a message.
///
/// # Safety
///
/// `message` points to one whose text is set.
unsafe fn text_of(message: *mut HostelMessage) -> String {
    // SAFETY: by the caller's promise.
    let text = unsafe { CStr::from_ptr((*message).text.cast()) };
    text.to_str().unwrap().to_owned()
}

// It counts fuel, which Miri would do for a minute: the other tests take each of its paths.
#[cfg_attr(miri, ignore)]
#[test]
fn room_for_an_answer_is_paid() {
    let fuel = |capacity| {
        let mut fuel = 0;
        with_bounded(capacity, |instance, message| {
            let (mut output, mut length) = ([0u8; 3], 0);
            let (name, input, to) = (c"process".as_ptr(), b"abc".as_ptr(), output.as_mut_ptr());
            // SAFETY: all pointers are to live values.
            let code =
                unsafe { hostel_call_bytes(instance, name, input, 3, to, 3, &mut length, message) };
            assert_eq!((code, length, &output), (HostelCode::Ok, 3, b"cba"));
            // SAFETY: the instance is alive.
            fuel = unsafe { hostel_fuel_used(instance) };
        });
        fuel
    };
    let least = fuel(3);
    for (capacity, more) in [(64, 0), (65, 1), (4_096, 63)] {
        assert_eq!(fuel(capacity), least + more, "a capacity of {capacity}");
    }
}

#[test]
fn each_code_of_an_error_has_a_message() {
    with_bounded(3, |instance, message| {
        let mut result = 0;
        let mut call = |name: *const c_char, count| {
            // SAFETY: all pointers are to live values, or null; no number is read, since the functions
            // take none.
            let code = unsafe {
                let params = [0; 17];
                hostel_call_numbers(instance, name, params.as_ptr(), count, &mut result, message)
            };
            // SAFETY: the call set the text.
            (code, unsafe { text_of(message) })
        };
        let (code, text) = call(c"long".as_ptr(), 0);
        assert_eq!(code, HostelCode::ExportType);
        assert_eq!(
            text,
            "export `long` has the wrong type: expected no result, or one of type i32, found () -> i64"
        );
        let (code, text) = call(c"runs".as_ptr(), 1);
        assert_eq!(code, HostelCode::ExportType);
        assert!(text.contains("found () -> i32"), "{text}");
        let bad = "an argument is null but must not be, is not UTF-8, or is out of range";
        for (name, count) in [
            (ptr::null(), 0),
            (c"runs".as_ptr(), 17),
            (c"\xff".as_ptr(), 0),
        ] {
            assert_eq!(call(name, count), (HostelCode::BadArgument, bad.to_owned()));
        }
        assert_eq!(
            call(c"nothing".as_ptr(), 0),
            (HostelCode::Ok, String::new())
        );
        // The export whose result does not fit did not run.
        assert_eq!(call(c"runs".as_ptr(), 0), (HostelCode::Ok, String::new()));
        assert_eq!(result, 0);
        // SAFETY: as above.
        let code = unsafe { hostel_instantiate(ptr::null(), &mut ptr::null_mut(), message) };
        // SAFETY: as above.
        let text = unsafe { text_of(message) };
        assert_eq!((code, &*text), (HostelCode::BadArgument, bad));
    });
}

#[test]
fn plugins_are_initialised() {
    for name in ["_initialize", "__wasm_call_ctors", "_start"] {
        let wasm = wat::parse_str(format!(
            r#"(module (global $limit (mut i32) (i32.const 0))
                (func (export "{name}") (global.set $limit (i32.const 640)))
                (func (export "limit") (result i32) (global.get $limit)))"#
        ));
        let wasm = wasm.unwrap();
        // SAFETY: all pointers are to live values of this function's, and each handle is used as told.
        unsafe {
            let engine = hostel_engine_new(1 << 20, ptr::null());
            let (mut plugin, mut instance) = (ptr::null_mut(), ptr::null_mut());
            let (bytes, size, none) = (wasm.as_ptr(), wasm.len(), ptr::null());
            let (test, message) = (c"test".as_ptr(), ptr::null_mut());
            let loaded = hostel_load(engine, test, bytes, size, none, &mut plugin, message);
            assert_eq!(loaded, HostelCode::Ok);
            let made = hostel_instantiate(plugin, &mut instance, message);
            assert_eq!(made, HostelCode::Ok);
            let (limit, mut result) = (c"limit".as_ptr(), 0);
            for _ in 0..2 {
                let called =
                    hostel_call_numbers(instance, limit, ptr::null(), 0, &mut result, message);
                assert_eq!((called, result), (HostelCode::Ok, 640), "{name}");
            }
            hostel_instance_free(instance);
            hostel_unload(plugin);
            hostel_engine_free(engine);
        }
    }
}
