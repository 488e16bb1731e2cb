//! Instances, and calls of them.

use crate::{HostelCode, HostelMessage, HostelPlugin, message::failed, raw};
use core::{ffi::c_char, ptr, time::Duration};
use hostel_core::{CallError, Instance, Value};

/// One running sandbox of a plugin. Only one thread at a time may use it.
#[derive(Debug)]
pub struct HostelInstance {
    instance: Instance<()>,
    budget: hostel_core::Budget,
}

/// Makes an instance of `plugin`. Where that fails, `instance` becomes null, and `message`, which may
/// be null, says why.
///
/// # Safety
///
/// `plugin` is a handle; `instance` may be written to; `message` is as it says.
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
    raw::ended(make())
}

/// Gives an instance back. Null is fine.
///
/// # Safety
///
/// `instance` is null, or from `hostel_instantiate` and not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_instance_free(instance: *mut HostelInstance) {
    // SAFETY: by the caller's promise.
    unsafe { raw::take_back(instance) };
}

/// Sets what each further call may use: `fuel`, about one unit for an instruction, and a deadline of
/// so many microseconds from its start, or none for 0, which needs a platform with a clock.
///
/// # Safety
///
/// `instance` is a handle that nobody else uses meanwhile.
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

/// The fuel that the last call used, or making the instance before the first one.
///
/// # Safety
///
/// `instance` is null, for which it is 0, or a handle that nobody else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_fuel_used(instance: *const HostelInstance) -> u64 {
    // SAFETY: by the caller's promise.
    unsafe { raw::borrowed(instance) }.map_or(0, |instance| instance.instance.usage().fuel)
}

/// Whether a call stopped the instance, which then refuses further ones.
///
/// # Safety
///
/// As for `hostel_fuel_used`; null is as one that was stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_is_stopped(instance: *const HostelInstance) -> bool {
    // SAFETY: by the caller's promise.
    unsafe { raw::borrowed(instance) }.map_or(true, |instance| instance.instance.is_stopped())
}

/// Calls the export `name`, from bytes to bytes, with `input`, and writes its answer to `output`, which
/// has room for `capacity` bytes, and its length to `length`. Where the room is too little, that is
/// the error, nothing is written, and `length` says how much it takes. `message` may be null.
///
/// # Safety
///
/// `instance` is a handle that nobody else uses meanwhile; `name` is a text with a zero at its end;
/// `input` points at `size` bytes and `output` at `capacity`, which don't overlap; `length` may be
/// written to; `message` is as it says.
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
    raw::ended(call())
}

/// Calls the export `name`, of `count` numbers of 32 bits, 16 at most, and writes its result, if it has
/// one, to `result`. `message` may be null.
///
/// # Safety
///
/// `instance` is a handle that nobody else uses meanwhile; `name` is a text with a zero at its end;
/// `params` points at `count` numbers; `result` may be written to; `message` is as it says.
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
        match instance.instance.call_values(name, values) {
            Ok(results) => match results.first() {
                // SAFETY: by the caller's promise.
                Some(Value::I32(number)) => unsafe { raw::put(result, *number) },
                None => Ok(()),
                Some(_) => Err(HostelCode::ExportType),
            },
            // SAFETY: by the caller's promise.
            Err(error) => Err(unsafe { failed(message, &error) }),
        }
    };
    raw::ended(call())
}
