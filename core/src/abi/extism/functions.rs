//! The host functions of Extism's environment. A handle is the offset of a block; 0 stands for none.

use super::{Exchange, UserFunction, VARIABLE};
use crate::{
    abi::{
        environment::{trap, utf8},
        protocol::{Entry, EnvironmentCall, EnvironmentFunction, Outcome, foreign_session},
    },
    base::{
        fuel::fuel_for,
        log::LogLevel,
        signature::{Signature, ValType},
    },
    error::CallError,
    services::state::{StateError, StateUse},
};
use ValType::{I32, I64};
use alloc::{boxed::Box, format, vec::Vec};
use wasmi::Val;

type Answer = Result<Option<Val>, CallError>;

/// Describes a function of the environment.
const fn function(
    name: &'static str,
    params: &'static [ValType],
    results: &'static [ValType],
    run: fn(&mut EnvironmentCall<'_>, &[Val]) -> Answer,
) -> Entry {
    Entry {
        name,
        params,
        results,
        pointers: false,
        run,
    }
}

/// All functions of the environment.
pub(super) const FUNCTIONS: [Entry; 32] = [
    function("alloc", &[I64], &[I64], alloc),
    function("free", &[I64], &[], |call, params| {
        let [at] = longs(params);
        exchange(call)?.arena.free(at);
        Ok(None)
    }),
    function("length", &[I64], &[I64], length),
    function("length_unsafe", &[I64], &[I64], length),
    function("load_u8", &[I64], &[I32], |call, params| {
        let [at] = longs(params);
        byte(exchange(call)?.arena.range(at, 1))
    }),
    function("load_u64", &[I64], &[I64], |call, params| {
        let [at] = longs(params);
        long(word(exchange(call)?.arena.range(at, 8)))
    }),
    function("store_u8", &[I64, I32], &[], |call, params| {
        let [at, value] = longs(params);
        store(call, at, value.to_le_bytes().get(..1).unwrap_or_default())
    }),
    function("store_u64", &[I64, I64], &[], |call, params| {
        let [at, value] = longs(params);
        store(call, at, &value.to_le_bytes())
    }),
    function("input_offset", &[], &[I64], |call, _| {
        long(exchange(call)?.input.0)
    }),
    function("input_length", &[], &[I64], |call, _| {
        long(exchange(call)?.input_length())
    }),
    function("input_load_u8", &[I64], &[I32], |call, params| {
        let [at] = longs(params);
        byte(input(exchange(call)?, at, 1))
    }),
    function("input_load_u64", &[I64], &[I64], |call, params| {
        let [at] = longs(params);
        long(word(input(exchange(call)?, at, 8)))
    }),
    function("input_set", &[I64, I64], &[], |call, params| {
        let [at, len] = longs(params);
        let exchange = exchange(call)?;
        if exchange.arena.range(at, len).is_some() {
            exchange.input = (at, len);
        }
        Ok(None)
    }),
    function("output_set", &[I64, I64], &[], |call, params| {
        let [at, len] = longs(params);
        let exchange = exchange(call)?;
        if exchange.arena.range(at, len).is_some() {
            exchange.output = (at, len);
        }
        Ok(None)
    }),
    function("output_offset", &[], &[I64], |call, _| {
        long(exchange(call)?.output.0)
    }),
    function("output_length", &[], &[I64], |call, _| {
        long(exchange(call)?.output.1)
    }),
    function("error_set", &[I64], &[], |call, params| {
        let [at] = longs(params);
        let exchange = exchange(call)?;
        exchange.error = at;
        exchange.host_error = 0;
        Ok(None)
    }),
    function("error_get", &[], &[I64], |call, _| {
        let exchange = exchange(call)?;
        long(match exchange.error {
            0 => exchange.host_error,
            own => own,
        })
    }),
    function("reset", &[], &[], |call, _| {
        // Not returned to the heap: a guest may do this again and again.
        exchange(call)?.reset(usize::MAX);
        call.limiter.keep(0, 0, &*call.shared.platform);
        Ok(None)
    }),
    function("memory_bytes", &[], &[I64], |call, _| {
        long(exchange(call)?.arena.in_use())
    }),
    function("config_get", &[I64], &[I64], config_get),
    function("var_get", &[I64], &[I64], var_get),
    function("var_set", &[I64, I64], &[], var_set),
    function("http_request", &[I64, I64], &[I64], |_, _| {
        Err(trap("HTTP is not granted: grant it with `Extism::http`"))
    }),
    function("http_status_code", &[], &[I32], |call, _| {
        let status = exchange(call)?.last_request.status;
        Ok(Some(Val::I32(status.into())))
    }),
    function("http_headers", &[], &[I64], http_headers),
    function("log_trace", &[I64], &[], |call, params| {
        log(call, params, LogLevel::Trace)
    }),
    function("log_debug", &[I64], &[], |call, params| {
        log(call, params, LogLevel::Debug)
    }),
    function("log_info", &[I64], &[], |call, params| {
        log(call, params, LogLevel::Info)
    }),
    function("log_warn", &[I64], &[], |call, params| {
        log(call, params, LogLevel::Warn)
    }),
    function("log_error", &[I64], &[], |call, params| {
        log(call, params, LogLevel::Error)
    }),
    function("get_log_level", &[], &[I32], |call, _| {
        // Of the levels 0 to 4, all are logged if there is a sink.
        let level = if call.shared.log.is_some() {
            0
        } else {
            i32::MAX
        };
        Ok(Some(Val::I32(level)))
    }),
];

/// Returns the host's side of the instance.
pub(super) fn exchange<'a>(
    call: &'a mut EnvironmentCall<'_>,
) -> Result<&'a mut Exchange, CallError> {
    call.session.own().ok_or_else(foreign_session)
}

/// Returns the parameters as unsigned numbers.
pub(super) fn longs<const N: usize>(params: &[Val]) -> [u64; N] {
    let mut longs = [0; N];
    for (long, param) in longs.iter_mut().zip(params) {
        *long = match param {
            Val::I32(value) => value.cast_unsigned().into(),
            Val::I64(value) => value.cast_unsigned(),
            _ => 0,
        };
    }
    longs
}

fn long(value: u64) -> Answer {
    Ok(Some(Val::I64(value.cast_signed())))
}

/// Returns a byte that was found; 0 if none was.
fn byte(found: Option<&[u8]>) -> Answer {
    let byte = found.and_then(<[u8]>::first).copied();
    Ok(Some(Val::I32(byte.unwrap_or(0).into())))
}

/// Returns the number in 8 bytes that were found; 0 if none were.
fn word(found: Option<&[u8]>) -> u64 {
    let bytes = found.and_then(|found| found.first_chunk());
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Returns `len` bytes of the input from its byte `at` on.
fn input(exchange: &Exchange, at: u64, len: u64) -> Option<&[u8]> {
    if at.checked_add(len)? > exchange.input_length() {
        return None;
    }
    exchange.arena.range(exchange.input.0.checked_add(at)?, len)
}

fn alloc(call: &mut EnvironmentCall<'_>, params: &[Val]) -> Answer {
    let [len] = longs(params);
    let at = new_block(call, len)?;
    long(at)
}

/// Allocates a block, and charges for setting it to 0. Returns 0 if there is no room.
fn new_block(call: &mut EnvironmentCall<'_>, len: u64) -> Result<u64, CallError> {
    let Some(taken) = super::Arena::taken(len) else {
        return Ok(0);
    };
    let arena = &exchange(call)?.arena;
    let (all, more) = (arena.size().saturating_add(taken), arena.growth(taken));
    let limit = exchange(call)?.grant.memory_bytes;
    if all > limit || !call.limiter.keep(all, more, &*call.shared.platform) {
        return Ok(0);
    }
    call.charge(taken)?;
    Ok(exchange(call)?.arena.alloc(len, limit).unwrap_or(0))
}

/// Makes a block of the host's bytes; 0 if there are none, or no room.
pub(super) fn give(call: &mut EnvironmentCall<'_>, bytes: &[u8]) -> Result<u64, CallError> {
    call.meter.hand_to_guest(bytes.len())?;
    let at = new_block(call, bytes.len() as u64)?;
    let place = exchange(call)?.arena.range_mut(at, bytes.len() as u64);
    if let Some(place) = place {
        place.copy_from_slice(bytes);
    }
    Ok(at)
}

fn length(call: &mut EnvironmentCall<'_>, params: &[Val]) -> Answer {
    let [at] = longs(params);
    long(exchange(call)?.arena.length(at))
}

/// Writes bytes; outside the arena, does nothing.
fn store(call: &mut EnvironmentCall<'_>, at: u64, bytes: &[u8]) -> Answer {
    if let Some(place) = exchange(call)?.arena.range_mut(at, bytes.len() as u64) {
        place.copy_from_slice(bytes);
    }
    Ok(None)
}

/// Copies the bytes of a block, and frees it.
fn take_block(call: &mut EnvironmentCall<'_>, at: u64) -> Result<Vec<u8>, CallError> {
    let limit = call.meter.budget().argument_bytes;
    let bytes = copy_block(call, at, limit)?;
    exchange(call)?.arena.free(at);
    Ok(bytes)
}

/// Copies the bytes of a block, at most `limit`.
pub(super) fn copy_block(
    call: &mut EnvironmentCall<'_>,
    at: u64,
    limit: usize,
) -> Result<Vec<u8>, CallError> {
    let Some(found) = exchange(call)?.arena.block(at).map(<[u8]>::len) else {
        let text = format!("the handle {at} is no block's");
        return Err(trap(&text));
    };
    if found > limit {
        return Err(CallError::ArgumentTooLarge { limit, found });
    }
    call.charge(found)?;
    let bytes = exchange(call)?.arena.block(at);
    crate::memory::copied(bytes.unwrap_or_default())
}

fn config_get(call: &mut EnvironmentCall<'_>, params: &[Val]) -> Answer {
    let [key] = longs(params);
    let key = take_block(call, key)?;
    let key = utf8(&key, "key of a setting")?;
    let grant = exchange(call)?.grant.clone();
    let found = grant
        .config
        .binary_search_by(|(known, _)| (**known).cmp(key));
    match found.ok().and_then(|at| grant.config.get(at)) {
        Some((_, value)) => long(give(call, value.as_bytes())?),
        None => long(0),
    }
}

fn http_headers(call: &mut EnvironmentCall<'_>, _: &[Val]) -> Answer {
    // Taken out meanwhile, since the block is made in the exchange that has them.
    let headers = core::mem::take(&mut exchange(call)?.last_request.headers);
    let at = give(call, &headers);
    exchange(call)?.last_request.headers = headers;
    long(at?)
}

fn var_get(call: &mut EnvironmentCall<'_>, params: &[Val]) -> Answer {
    let [key] = longs(params);
    let key = take_block(call, key)?;
    let grant = exchange(call)?.grant.clone();
    let Some(store) = &grant.variables else {
        return long(0);
    };
    call.spending.spend(store.costs().read)?;
    let value = store.get(&call.shared.name, &key).map_err(failed)?;
    match value {
        Some(value) => long(give(call, &value)?),
        None => long(0),
    }
}

fn var_set(call: &mut EnvironmentCall<'_>, params: &[Val]) -> Answer {
    let [key_at, value_at] = longs(params);
    let limit = call.meter.budget().argument_bytes;
    let key = copy_block(call, key_at, limit)?;
    let value = match value_at {
        0 => None,
        at => Some(copy_block(call, at, limit)?),
    };
    let grant = exchange(call)?.grant.clone();
    let namespace = &*call.shared.name;
    let Some(store) = grant
        .variables
        .as_ref()
        .filter(|_| grant.variable_bytes > 0)
    else {
        return Err(trap("variables are disabled"));
    };
    call.spending.spend(store.costs().write)?;
    call.spending.spend(fuel_for(key.len()))?;
    match &value {
        None => store.delete(namespace, &key).map_err(failed)?,
        Some(value) => {
            let limit = grant.variable_bytes;
            let fits = |next: StateUse| {
                let records = next.keys.saturating_mul(VARIABLE);
                next.bytes.saturating_add(records) <= limit
            };
            let set = store.set_if(namespace, &key, value, &fits);
            if !set.map_err(failed)? {
                return Err(trap(
                    "the variables take more bytes than are allowed: raise `variable_bytes`",
                ));
            }
        }
    }
    let exchange = exchange(call)?;
    exchange.arena.free(value_at);
    exchange.arena.free(key_at);
    Ok(None)
}

/// Returns the trap for a store that refuses.
fn failed(error: StateError) -> CallError {
    trap(&format!("{error}"))
}

fn log(call: &mut EnvironmentCall<'_>, params: &[Val], level: LogLevel) -> Answer {
    let [at] = longs(params);
    let text = take_block(call, at)?;
    call.log(level, &text)?;
    Ok(None)
}

/// The text of an error without one.
const UNNAMED: &str = "the host function failed";

/// A host function of the embedder's, in the type that the import declares.
pub(super) struct User {
    function: UserFunction,
    params: Box<[ValType]>,
    results: &'static [ValType],
}

impl User {
    /// Binds `function` to an import of the type `ty`: any number of handles, and one or none as result.
    /// For another type, returns the function in the type that would fit.
    pub(super) fn new(function: UserFunction, ty: &Signature) -> Self {
        let params = ty.params.iter().map(|_| I64).collect();
        Self {
            function,
            params,
            results: if ty.results.is_empty() { &[] } else { &[I64] },
        }
    }
}

impl EnvironmentFunction for User {
    fn ty(&self) -> (&[ValType], &[ValType]) {
        (&self.params, self.results)
    }

    fn has_pointers(&self) -> bool {
        false
    }

    fn run(&self, call: &mut EnvironmentCall<'_>, params: &[Val]) -> Result<Outcome, CallError> {
        let mut limit = call.meter.budget().argument_bytes;
        let mut arguments = Vec::new();
        for param in params {
            let [at] = longs(core::slice::from_ref(param));
            let argument = copy_block(call, at, limit)?;
            limit = limit.saturating_sub(argument.len());
            arguments.push(argument);
        }
        let arguments: Vec<&[u8]> = arguments.iter().map(|argument| &**argument).collect();
        let result = (self.function.run)(&arguments);
        exchange(call)?.host_error = 0;
        let handle = match result {
            Ok(_) if self.results.is_empty() => 0,
            Ok(bytes) => give(call, &bytes)?,
            Err(text) if self.function.returns_errors => {
                // Never the handle 0, which stands for no error.
                let text = if text.is_empty() { UNNAMED } else { &*text };
                let at = give(call, text.as_bytes())?;
                exchange(call)?.host_error = at;
                0
            }
            Err(text) => return Err(trap(&text)),
        };
        let result = self.results.first().map(|_| Val::I64(handle.cast_signed()));
        Ok(Outcome::Now(result))
    }
}
