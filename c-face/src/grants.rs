//! Grants: host functions of the caller, the log, settings.

use crate::{HostelCode, raw};
use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{
    ffi::{CStr, c_char, c_void},
    fmt::{self, Display, Write},
};
use hostel_core::{Context, Grants, LogLevel, LogRecord, Speaker, Trap};

/// The host functions that a plugin may call. Nothing is granted by default.
#[derive(Debug)]
pub struct HostelGrants {
    grants: Grants<()>,
    /// Settings so far. Each new setting grants all of them again.
    config: BTreeMap<String, String>,
}

impl HostelGrants {
    pub(crate) const fn grants(&self) -> &Grants<()> {
        &self.grants
    }

    /// Applies a builder method to the grants.
    fn change(&mut self, change: impl FnOnce(Grants<()>) -> Grants<()>) {
        self.grants = change(core::mem::take(&mut self.grants));
    }
}

/// A host function of numbers. Reads `count` numbers at `params` and writes one to `result`. Returns 0
/// for success; any other number stops the plugin with `HOSTEL_CODE_TRAP_HOST`.
pub type HostelNumbersFunction = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        params: *const i32,
        count: usize,
        result: *mut i32,
    ) -> i32,
>;

/// A host function of bytes. Reads `size` bytes at `input`, writes its answer to `output`, which has
/// room for `capacity` bytes, and the answer's length to `length`. Returns 0 for success; any other
/// number stops the plugin with `HOSTEL_CODE_TRAP_HOST`, and so does a length over `capacity`. The
/// plugin is charged 1 unit of fuel for each 64 bytes of `capacity`, since all of them are zeros before
/// the call.
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

/// The importance of a log record, from least to most. The numbers are those of `env.host_log_at`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostelLevel {
    /// Each step.
    Trace = 0,
    /// For finding errors.
    Debug = 1,
    /// What happens in normal use.
    Info = 2,
    /// May be wrong; also what the host says.
    Warn = 3,
    /// Is wrong.
    Error = 4,
}

/// One record of a plugin's log. Its texts end with a zero byte, and are valid until the function that
/// receives it returns. Later versions may add fields at the end.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HostelRecord {
    /// The plugin's name, which the plugin can't choose.
    pub plugin: *const c_char,
    /// One line of text without control characters.
    pub text: *const c_char,
    /// The importance.
    pub level: HostelLevel,
    /// Whether hostel wrote the text, not the plugin. A plugin can write any text, also one of hostel's.
    pub from_host: bool,
}

/// Receives one record of a plugin's log.
pub type HostelLog =
    Option<unsafe extern "C" fn(context: *mut c_void, record: *const HostelRecord)>;

/// A function of the caller, not null, with its context.
#[derive(Clone, Copy)]
struct Callback<F> {
    function: F,
    context: *mut c_void,
}

// SAFETY: the caller who grants it promises that any thread may call it.
unsafe impl<F> Send for Callback<F> {}
// SAFETY: as above.
unsafe impl<F> Sync for Callback<F> {}

impl Callback<HostelNumbersFunction> {
    fn call(&self, params: &[i32]) -> Result<i32, Trap> {
        let mut result = 0;
        let code = self.function.map(|function| {
            // SAFETY: the caller promised that the function is safe to call with its context. The
            // numbers and the result outlive the call.
            unsafe { function(self.context, params.as_ptr(), params.len(), &mut result) }
        });
        stopped(code).map(|()| result)
    }
}

impl Callback<HostelLog> {
    fn call(&self, record: &HostelRecord) {
        if let Some(function) = self.function {
            // SAFETY: the caller promised that the function is safe to call with its context. The
            // record and its texts outlive the call.
            unsafe { function(self.context, record) };
        }
    }
}

impl Callback<HostelBytesFunction> {
    fn call(&self, input: &[u8], capacity: usize) -> Result<Vec<u8>, Trap> {
        let mut output = Vec::new();
        let reserved = output.try_reserve_exact(capacity);
        reserved.map_err(|_| {
            Trap::host(format!(
                "the machine has no {capacity} bytes of memory for its answer"
            ))
        })?;
        output.resize(capacity, 0);
        let mut length = 0;
        let (given, size, place) = (input.as_ptr(), input.len(), output.as_mut_ptr());
        let code = self.function.map(|function| {
            // SAFETY: the caller promised that the function is safe to call with its context. The
            // input, the output and the length outlive the call.
            unsafe { function(self.context, given, size, place, capacity, &mut length) }
        });
        stopped(code)?;
        if length > capacity {
            return Err(Trap::host(format!(
                "it gave an answer of {length} bytes, expected at most its capacity of {capacity}"
            )));
        }
        output.truncate(length);
        Ok(output)
    }
}

/// A text for C, which ends with a zero byte. Cut if the heap has no room for all of it: a log record is
/// no reason to abort.
#[derive(Default)]
struct CText(Vec<u8>);

impl CText {
    /// Writes `text`. It must hold no zero: a record's text has it escaped, and a plugin's name comes
    /// from a text that ends at its first zero.
    fn write(&mut self, text: &dyn Display) -> &CStr {
        // Fails where the text is cut.
        let _ = write!(self, "{text}");
        // `write_str` has reserved room for it, unless nothing was written.
        if self.0.try_reserve(1).is_err() {
            return c"";
        }
        self.0.push(0);
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

impl Write for CText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let reserved = self.0.try_reserve(text.len().saturating_add(1));
        reserved.map_err(|_| fmt::Error)?;
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Turns a number other than 0 from a host function into a trap.
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

/// Creates grants of nothing. Free them with `hostel_grants_free`. Plugins loaded with them keep what
/// was granted.
#[unsafe(no_mangle)]
pub extern "C" fn hostel_grants_new() -> *mut HostelGrants {
    raw::hand_out(HostelGrants {
        grants: Grants::new(),
        config: BTreeMap::new(),
    })
}

/// Frees grants. Does nothing for null.
///
/// # Safety
///
/// `grants` is null, or comes from `hostel_grants_new` and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_grants_free(grants: *mut HostelGrants) {
    // SAFETY: by the caller's promise.
    unsafe { raw::take_back(grants) };
}

/// Grants `function` as the import `module.name`: `count` numbers of 32 bits, at most 4, to one number
/// of 32 bits.
///
/// Returns `HOSTEL_CODE_BAD_ARGUMENT` if a pointer is null, a text is not UTF-8, or `count` is over 4.
///
/// # Safety
///
/// `grants` comes from `hostel_grants_new`. `module` and `name` are texts that end with a zero byte.
/// Any thread may call `function` with `context`, as long as a plugin with the grant exists.
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

/// Grants `function` as the import `module.name`: bytes to bytes, with an answer of at most `capacity`
/// bytes. Each call allocates `capacity` bytes, sets them to zero, and charges the plugin 1 unit of fuel
/// for each 64 of them.
///
/// Returns `HOSTEL_CODE_BAD_ARGUMENT` if a pointer is null, or a text is not UTF-8.
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
        let function = move |plugin: &mut Context<'_, ()>, input: &[u8]| {
            plugin.charge(capacity.div_ceil(64) as u64)?;
            host.call(input, capacity)
        };
        grants.change(|g| g.function(module, name, function));
        Ok(())
    };
    raw::ended(grant())
}

/// Grants the log: the imports `env.host_log`, `env.host_log_message`, `env.host_log_at` and `env.abort`,
/// whose records go to `log`.
///
/// Returns `HOSTEL_CODE_BAD_ARGUMENT` if `grants` or `log` is null.
///
/// # Safety
///
/// `grants` comes from `hostel_grants_new`. Any thread may call `log` with `context`, as long as a
/// plugin with the grant exists.
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
            let (mut plugin, mut text) = (CText::default(), CText::default());
            host.call(&HostelRecord {
                plugin: plugin.write(&record.plugin).as_ptr(),
                text: text.write(&record.text).as_ptr(),
                level: match record.level {
                    LogLevel::Trace => HostelLevel::Trace,
                    LogLevel::Debug => HostelLevel::Debug,
                    LogLevel::Info => HostelLevel::Info,
                    LogLevel::Warn => HostelLevel::Warn,
                    LogLevel::Error => HostelLevel::Error,
                },
                from_host: record.speaker == Speaker::Host,
            });
        };
        grants.change(|g| g.log(sink));
        Ok(())
    };
    raw::ended(grant())
}

/// Grants one setting, which the plugin reads with the import `env.host_get_config`. Call it once for
/// each setting. A later value for a key replaces an earlier one.
///
/// Returns `HOSTEL_CODE_BAD_ARGUMENT` if a pointer is null, or a text is not UTF-8.
///
/// # Safety
///
/// `grants` comes from `hostel_grants_new`. `key` and `value` are texts that end with a zero byte.
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
