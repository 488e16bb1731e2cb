//! Instances and calls.

use crate::{
    HostelCode, HostelMessage, HostelPlugin,
    message::{ended, failed},
    raw,
};
use alloc::format;
use core::{ffi::c_char, ptr, time::Duration};
use hostel_core::{CallError, Instance, ValType, Value};

/// One running sandbox of a plugin. Only one thread at a time may use it.
#[derive(Debug)]
pub struct HostelInstance {
    instance: Instance<()>,
    /// The budget of each call.
    budget: hostel_core::Budget,
}

/// Creates an instance of `plugin`. Free it with `hostel_instance_free`. On an error, sets `instance`
/// to null, and writes the reason to `message`, which may be null.
///
/// # Safety
///
/// `plugin` comes from `hostel_load`. `instance` may be written to. `message` is null, or fulfils the
/// contract of `HostelMessage`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_instantiate(
    plugin: *const HostelPlugin,
    instance: *mut *mut HostelInstance,
    message: *mut HostelMessage,
) -> HostelCode {
    // SAFETY: by the caller's promise.
    unsafe { HostelMessage::say(message, None) };
    let make = || {
        // SAFETY: by the caller's promise.
        unsafe { raw::put(instance, ptr::null_mut()) }?;
        // SAFETY: by the caller's promise.
        let plugin = unsafe { raw::borrowed(plugin) }?;
        let made = plugin.0.instantiate(()).map(|instance| HostelInstance {
            instance,
            budget: *plugin.0.budget(),
        });
        match made {
            // SAFETY: by the caller's promise.
            Ok(made) => unsafe { raw::put(instance, raw::hand_out(made)) },
            // SAFETY: by the caller's promise.
            Err(error) => Err(unsafe { failed(message, &error) }),
        }
    };
    // SAFETY: by the caller's promise.
    unsafe { ended(make(), message) }
}

/// Frees an instance. Does nothing for null.
///
/// # Safety
///
/// `instance` is null, or comes from `hostel_instantiate` and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_instance_free(instance: *mut HostelInstance) {
    // SAFETY: by the caller's promise.
    unsafe { raw::take_back(instance) };
}

/// Sets what each later call may use: `fuel`, about one unit for each instruction that runs, and a
/// deadline in microseconds from the call's start, or 0 for none. Deadlines need a platform with `now`.
///
/// By default a call has 1,000,000 units on a device and 1,000,000,000 on a server, and no deadline.
///
/// Returns `HOSTEL_CODE_BAD_ARGUMENT` if `instance` is null.
///
/// # Safety
///
/// `instance` is null, or comes from `hostel_instantiate`, and nobody else uses it meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_set_budget(
    instance: *mut HostelInstance,
    fuel: u64,
    deadline_micros: u64,
) -> HostelCode {
    // SAFETY: by the caller's promise.
    let set = unsafe { raw::borrowed_mut(instance) }.map(|instance| {
        let deadline = (deadline_micros > 0).then(|| Duration::from_micros(deadline_micros));
        instance.budget.fuel = fuel;
        instance.budget.deadline = deadline;
        instance.instance.set_budget(instance.budget);
    });
    raw::ended(set)
}

/// Returns the fuel that the last call used. Before the first call, it is the fuel that creating the
/// instance used. Returns 0 for null.
///
/// # Safety
///
/// As for `hostel_set_budget`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_fuel_used(instance: *const HostelInstance) -> u64 {
    // SAFETY: by the caller's promise.
    unsafe { raw::borrowed(instance) }.map_or(0, |instance| instance.instance.usage().fuel)
}

/// Returns whether an earlier call stopped the instance, so that it refuses further calls. Returns true
/// for null.
///
/// # Safety
///
/// As for `hostel_set_budget`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_is_stopped(instance: *const HostelInstance) -> bool {
    // SAFETY: by the caller's promise.
    unsafe { raw::borrowed(instance) }.map_or(true, |instance| instance.instance.is_stopped())
}

/// Calls the export `name`, a function from bytes to bytes. Passes the `size` bytes at `input`, writes
/// the answer to `output`, which has room for `capacity` bytes, and the answer's length to `length`.
/// On an error, writes the reason to `message`, which may be null.
///
/// If the answer is longer than `capacity`, returns `HOSTEL_CODE_BUFFER_TOO_SMALL`, writes nothing to
/// `output`, and sets `length` to the answer's length. The plugin has run by then. On any other error,
/// `length` is 0.
///
/// # Safety
///
/// `instance` comes from `hostel_instantiate`, and nobody else uses it meanwhile. `name` is a text that
/// ends with a zero byte. `input` points to `size` bytes and `output` to `capacity` initialised bytes,
/// and they do not overlap. `length` may be written to. `message` is null, or fulfils the contract of
/// `HostelMessage`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_call_bytes(
    instance: *mut HostelInstance,
    name: *const c_char,
    input: *const u8,
    size: usize,
    output: *mut u8,
    capacity: usize,
    length: *mut usize,
    message: *mut HostelMessage,
) -> HostelCode {
    // SAFETY: by the caller's promise.
    unsafe { HostelMessage::say(message, None) };
    let call = || {
        // SAFETY: by the caller's promise.
        unsafe { raw::put(length, 0) }?;
        // SAFETY: by the caller's promise.
        let instance = unsafe { raw::borrowed_mut(instance) }?;
        // SAFETY: by the caller's promise.
        let name = unsafe { raw::text(name) }?;
        // SAFETY: by the caller's promise.
        let input = unsafe { raw::items(input, size) }?;
        // SAFETY: by the caller's promise.
        let output = unsafe { raw::items_mut(output, capacity) }?;
        let written = instance.instance.call_bytes(name, input, |answer| {
            let needed = answer.len();
            let place = output.get_mut(..needed);
            let place = place.ok_or(CallError::BufferTooSmall {
                needed,
                found: capacity,
            })?;
            place.copy_from_slice(answer);
            Ok(needed)
        });
        match written.and_then(|written| written) {
            // SAFETY: by the caller's promise.
            Ok(written) => unsafe { raw::put(length, written) },
            Err(error) => {
                if let CallError::BufferTooSmall { needed, .. } = error {
                    // SAFETY: by the caller's promise.
                    unsafe { raw::put(length, needed) }?;
                }
                // SAFETY: by the caller's promise.
                Err(unsafe { failed(message, &error) })
            }
        }
    };
    // SAFETY: by the caller's promise.
    unsafe { ended(call(), message) }
}

/// Calls the export `name`, a function of `count` numbers of 32 bits, at most 16, and writes its result
/// to `result`; 0 if it has none. On an error, writes the reason to `message`, which may be null.
///
/// Returns `HOSTEL_CODE_EXPORT_TYPE`, before the export runs, if it has other parameters, or a result
/// that is not a number of 32 bits.
///
/// # Safety
///
/// `instance` comes from `hostel_instantiate`, and nobody else uses it meanwhile. `name` is a text that
/// ends with a zero byte. `params` points to `count` numbers. `result` may be written to. `message` is
/// null, or fulfils the contract of `HostelMessage`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_call_numbers(
    instance: *mut HostelInstance,
    name: *const c_char,
    params: *const i32,
    count: usize,
    result: *mut i32,
    message: *mut HostelMessage,
) -> HostelCode {
    // SAFETY: by the caller's promise.
    unsafe { HostelMessage::say(message, None) };
    let call = || {
        // SAFETY: by the caller's promise.
        unsafe { raw::put(result, 0) }?;
        // SAFETY: by the caller's promise.
        let instance = unsafe { raw::borrowed_mut(instance) }?;
        // SAFETY: by the caller's promise.
        let name = unsafe { raw::text(name) }?;
        // SAFETY: by the caller's promise.
        let given = unsafe { raw::items(params, count) }?;
        let mut values = [Value::I32(0); 16];
        let values = values.get_mut(..count).ok_or(HostelCode::BadArgument)?;
        for (value, number) in values.iter_mut().zip(given) {
            *value = Value::I32(*number);
        }
        match call_numbers(&mut instance.instance, name, values) {
            // SAFETY: by the caller's promise.
            Ok(number) => unsafe { raw::put(result, number) },
            // SAFETY: by the caller's promise.
            Err(error) => Err(unsafe { failed(message, &error) }),
        }
    };
    // SAFETY: by the caller's promise.
    unsafe { ended(call(), message) }
}

/// Calls an export, and returns its result, or 0 if it has none. Refuses an export with other results
/// before it runs.
fn call_numbers(
    instance: &mut Instance<()>,
    name: &str,
    values: &[Value],
) -> Result<i32, CallError> {
    let found = instance.signature(name)?;
    if !matches!(*found.results, [] | [ValType::I32]) {
        return Err(CallError::ExportType {
            name: name.into(),
            expected: "no result, or one of type i32".into(),
            found: format!("{found}").into(),
        });
    }
    match instance.call_values(name, values)?.first() {
        Some(Value::I32(number)) => Ok(*number),
        _ => Ok(0),
    }
}
