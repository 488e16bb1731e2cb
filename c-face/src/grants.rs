//! What a plugin is granted: functions of the caller's, its log, settings.

use crate::{HostelCode, raw};
use alloc::{
    collections::BTreeMap,
    ffi::CString,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::ffi::{CStr, c_char, c_void};
use hostel_core::{Grants, LogRecord, Trap};

/// What a plugin may do beyond its own memory. Nothing at first.
#[derive(Debug)]
pub struct HostelGrants {
    grants: Grants<()>,
    config: BTreeMap<String, String>,
}

impl HostelGrants {
    pub(crate) const fn grants(&self) -> &Grants<()> {
        &self.grants
    }

    fn change(&mut self, change: impl FnOnce(Grants<()>) -> Grants<()>) {
        self.grants = change(core::mem::take(&mut self.grants));
    }
}

/// A host function of numbers: gets `count` of them and writes one to `result`. What it returns is 0,
/// or any other number to stop the plugin.
pub type HostelNumbersFunction = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        params: *const i32,
        count: usize,
        result: *mut i32,
    ) -> i32,
>;

/// A host function of bytes: gets `input`, writes its answer to `output`, which has room for
/// `capacity` bytes, and the answer's length to `length`. What it returns is 0, or any other number
/// to stop the plugin.
pub type HostelBytesFunction = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        input: *const u8,
        size: usize,
        output: *mut u8,
        capacity: usize,
        length: *mut usize,
    ) -> i32,
>;

/// Takes one record of a plugin's log: its name, and a line of text without control characters,
/// both with a zero at their end and valid until it returns.
pub type HostelLog =
    Option<unsafe extern "C" fn(context: *mut c_void, plugin: *const c_char, text: *const c_char)>;

/// A function of the caller's, not null, with what belongs to it.
#[derive(Clone, Copy)]
struct Callback<F> {
    function: F,
    context: *mut c_void,
}

// SAFETY: who hands it over promises that it may be called from any thread.
unsafe impl<F> Send for Callback<F> {}
// SAFETY: as above.
unsafe impl<F> Sync for Callback<F> {}

impl Callback<HostelNumbersFunction> {
    fn call(&self, params: &[i32]) -> Result<i32, Trap> {
        let mut result = 0;
        let code = self.function.map(|function| {
            // SAFETY: the function is the caller's, with the context that belongs to it; the numbers
            // and the result outlive the call.
            unsafe { function(self.context, params.as_ptr(), params.len(), &mut result) }
        });
        stopped(code).map(|()| result)
    }
}

impl Callback<HostelLog> {
    fn call(&self, plugin: &CStr, text: &CStr) {
        if let Some(function) = self.function {
            // SAFETY: the function is the caller's, with the context that belongs to it; both texts
            // outlive the call.
            unsafe { function(self.context, plugin.as_ptr(), text.as_ptr()) };
        }
    }
}

impl Callback<HostelBytesFunction> {
    fn call(&self, input: &[u8], capacity: usize) -> Result<Vec<u8>, Trap> {
        let mut output = Vec::new();
        let reserved = output.try_reserve_exact(capacity);
        reserved.map_err(|_| Trap::host("the machine has no memory for its answer"))?;
        output.resize(capacity, 0);
        let mut length = 0;
        let (given, size, place) = (input.as_ptr(), input.len(), output.as_mut_ptr());
        let code = self.function.map(|function| {
            // SAFETY: the function is the caller's, with the context that belongs to it; the input,
            // the output and the length outlive the call.
            unsafe { function(self.context, given, size, place, capacity, &mut length) }
        });
        stopped(code)?;
        if length > capacity {
            return Err(Trap::host("it gave more bytes than there is room for"));
        }
        output.truncate(length);
        Ok(output)
    }
}

fn stopped(code: Option<i32>) -> Result<(), Trap> {
    match code {
        None | Some(0) => Ok(()),
        Some(code) => Err(Trap::host(format!("it returned {code}"))),
    }
}

/// Refuses a function that is null.
fn callback<F>(
    function: Option<F>,
    context: *mut c_void,
) -> Result<Callback<Option<F>>, HostelCode> {
    if function.is_none() {
        return Err(HostelCode::BadArgument);
    }
    Ok(Callback { function, context })
}

/// Grants of nothing. Give them back with `hostel_grants_free`; plugins that were loaded with them
/// keep what they got.
#[unsafe(no_mangle)]
pub extern "C" fn hostel_grants_new() -> *mut HostelGrants {
    raw::hand_out(HostelGrants {
        grants: Grants::new(),
        config: BTreeMap::new(),
    })
}

/// Gives grants back. Null is fine.
///
/// # Safety
///
/// `grants` is null, or from `hostel_grants_new` and not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_grants_free(grants: *mut HostelGrants) {
    // SAFETY: by the caller's promise.
    unsafe { raw::take_back(grants) };
}

/// Grants `function` as `module.name`, of `count` numbers of 32 bits, 4 at most, with one as result.
///
/// # Safety
///
/// `grants` is from `hostel_grants_new`; `module` and `name` are texts with a zero at their end;
/// `function` may be called with `context`, from any thread, for as long as a plugin has the grant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_grant_numbers(
    grants: *mut HostelGrants,
    module: *const c_char,
    name: *const c_char,
    count: usize,
    function: HostelNumbersFunction,
    context: *mut c_void,
) -> HostelCode {
    let grant = || {
        // SAFETY: by the caller's promise.
        let grants = unsafe { raw::borrowed_mut(grants) }?;
        // SAFETY: by the caller's promise.
        let module = unsafe { raw::text(module) }?;
        // SAFETY: by the caller's promise.
        let name = unsafe { raw::text(name) }?;
        let host = callback(function, context)?;
        match count {
            0 => grants.change(|g| g.function(module, name, move || host.call(&[]))),
            1 => grants.change(|g| g.function(module, name, move |a: i32| host.call(&[a]))),
            2 => grants
                .change(|g| g.function(module, name, move |a: i32, b: i32| host.call(&[a, b]))),
            3 => grants.change(|g| {
                let function = move |a: i32, b: i32, c: i32| host.call(&[a, b, c]);
                g.function(module, name, function)
            }),
            4 => grants.change(|g| {
                let function = move |a: i32, b: i32, c: i32, d: i32| host.call(&[a, b, c, d]);
                g.function(module, name, function)
            }),
            _ => return Err(HostelCode::BadArgument),
        }
        Ok(())
    };
    raw::ended(grant())
}

/// Grants `function` as `module.name`, from bytes to bytes, with an answer of `capacity` bytes at
/// most.
///
/// # Safety
///
/// As for `hostel_grant_numbers`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_grant_bytes(
    grants: *mut HostelGrants,
    module: *const c_char,
    name: *const c_char,
    capacity: usize,
    function: HostelBytesFunction,
    context: *mut c_void,
) -> HostelCode {
    let grant = || {
        // SAFETY: by the caller's promise.
        let grants = unsafe { raw::borrowed_mut(grants) }?;
        // SAFETY: by the caller's promise.
        let module = unsafe { raw::text(module) }?;
        // SAFETY: by the caller's promise.
        let name = unsafe { raw::text(name) }?;
        let host = callback(function, context)?;
        grants.change(|g| g.function(module, name, move |input: &[u8]| host.call(input, capacity)));
        Ok(())
    };
    raw::ended(grant())
}

/// Grants the log: `env.host_log` and `env.host_log_message`.
///
/// # Safety
///
/// `grants` is from `hostel_grants_new`; `log` may be called with `context`, from any thread, for as
/// long as a plugin has the grant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_grant_log(
    grants: *mut HostelGrants,
    log: HostelLog,
    context: *mut c_void,
) -> HostelCode {
    let grant = || {
        // SAFETY: by the caller's promise.
        let grants = unsafe { raw::borrowed_mut(grants) }?;
        let host = callback(log, context)?;
        let sink = move |record: &LogRecord<'_>| {
            // Neither has a zero of its own: it is a control character, and shown as one; names are
            // from texts that end with theirs.
            let plugin = CString::new(record.plugin).unwrap_or_default();
            let text = CString::new(record.text.to_string()).unwrap_or_default();
            host.call(&plugin, &text);
        };
        grants.change(|g| g.log(sink));
        Ok(())
    };
    raw::ended(grant())
}

/// Grants `env.host_get_config`, with the value of one setting. Can be called for several.
///
/// # Safety
///
/// `grants` is from `hostel_grants_new`; `key` and `value` are texts with a zero at their end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_grant_config(
    grants: *mut HostelGrants,
    key: *const c_char,
    value: *const c_char,
) -> HostelCode {
    let grant = || {
        // SAFETY: by the caller's promise.
        let grants = unsafe { raw::borrowed_mut(grants) }?;
        // SAFETY: by the caller's promise.
        let key = unsafe { raw::text(key) }?;
        // SAFETY: by the caller's promise.
        let value = unsafe { raw::text(value) }?;
        grants.config.insert(key.to_string(), value.to_string());
        let all = grants.config.clone();
        grants.change(|g| g.config(all));
        Ok(())
    };
    raw::ended(grant())
}
