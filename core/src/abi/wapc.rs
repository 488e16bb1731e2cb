//! waPC: an operation's name and a payload go in, a response or an error comes out. The guest can call
//! the host in the same way.

use super::{
    Convention,
    environment::{host_error, length, utf8, words, write},
    protocol::{
        Ending, Entry, EnvironmentCall, EnvironmentFunction, Outcome, Protocol, Session,
        StartFunctions, entry, exports_function, foreign_session,
    },
};
use crate::{
    abi::native,
    base::{
        fuel::fuel_for,
        log::LogLevel,
        signature::{Signature, ValType},
    },
    call::{
        access::InstanceAccess, later::Later, limiter::InstanceLimiter, run::word,
        suspend::PendingHostCall,
    },
    error::{CallError, Mismatch},
    memory,
    module::{COMMAND, ModuleInfo},
};
use ValType::I32;
use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use wasmi::Val;

/// The module name under which its guests import.
pub(super) const MODULE: &str = "wapc";

/// The export that runs an operation.
pub(crate) const GUEST_CALL: &str = "__guest_call";

/// The export that runs once, after `_start`.
const INIT: &str = "wapc_init";

/// A guest's call of the host.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HostRequest<'a> {
    /// The name under which the plugin was loaded.
    pub plugin: &'a str,
    /// The binding, by which a guest chooses among implementations of one capability.
    pub binding: &'a str,
    /// The namespace of the operation, often the name of a capability.
    pub namespace: &'a str,
    /// The operation.
    pub operation: &'a str,
    /// The payload, MessagePack by custom.
    pub payload: &'a [u8],
}

/// The answer to a [`HostRequest`]: a response, or the text of an error. The guest gets either.
pub type HostAnswer = Result<Vec<u8>, String>;

/// The future of an answer.
type LaterAnswer = Pin<Box<dyn Future<Output = HostAnswer> + Send>>;

type Callback = dyn Fn(&HostRequest<'_>) -> HostAnswer + Send + Sync;
type AsyncCallback = dyn Fn(&HostRequest<'_>) -> LaterAnswer + Send + Sync;

/// The grant of waPC: what its guests may call. Grant it by [`Grants::wapc`](crate::Grants::wapc).
///
/// Without a callback, each call of the host returns an error to the guest.
///
/// ```
/// use hostel_core::{Grants, Wapc};
/// let wapc = Wapc::new().callback(|request| match request.operation {
///     "echo" => Ok(request.payload.to_vec()),
///     other => Err(format!("there is no operation {other}")),
/// });
/// let grants = Grants::new().wapc(wapc);
/// # drop(grants);
/// ```
#[derive(Default)]
pub struct Wapc {
    host: Option<HostSide>,
}

/// The embedder's callback.
enum HostSide {
    Now(Box<Callback>),
    Later(Box<AsyncCallback>),
}

impl Wapc {
    /// Creates a grant without a callback.
    #[must_use]
    pub const fn new() -> Self {
        Self { host: None }
    }

    /// Answers the guest's calls of the host by `callback`.
    #[must_use]
    pub fn callback(
        mut self,
        callback: impl Fn(&HostRequest<'_>) -> HostAnswer + Send + Sync + 'static,
    ) -> Self {
        self.host = Some(HostSide::Now(Box::new(callback)));
        self
    }

    /// Answers the guest's calls of the host by the future that `callback` returns. The guest is
    /// suspended until then, as for an [`Async`](crate::Async) host function.
    #[must_use]
    pub fn callback_async<F>(
        mut self,
        callback: impl Fn(&HostRequest<'_>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = HostAnswer> + Send + 'static,
    {
        let callback = move |request: &HostRequest<'_>| Box::pin(callback(request)) as LaterAnswer;
        self.host = Some(HostSide::Later(Box::new(callback)));
        self
    }
}

impl core::fmt::Debug for Wapc {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Wapc")
            .field("callback", &self.host.is_some())
            .finish()
    }
}

/// The grant as plugins share it.
pub(crate) struct Granted(Arc<Wapc>);

impl Granted {
    pub(crate) fn new(wapc: Wapc) -> Self {
        Self(Arc::new(wapc))
    }
}

/// Returns the exports that run when an instance is made.
pub(super) fn starts(module: &ModuleInfo) -> StartFunctions {
    [COMMAND, INIT].map(|name| exports_function(module, name).then_some(name))
}

/// The host's side of an instance.
#[derive(Default)]
struct Exchange {
    operation: Vec<u8>,
    payload: Vec<u8>,
    response: Option<Vec<u8>>,
    error: Option<Vec<u8>>,
    host_response: Option<Vec<u8>>,
    host_error: Option<Vec<u8>>,
}

impl Session for Exchange {
    fn output(&self) -> &[u8] {
        self.response.as_deref().unwrap_or_default()
    }
}

/// Describes a function without a result.
const fn nothing(name: &'static str, params: &'static [ValType], run: Run) -> Entry {
    Entry {
        name,
        params,
        results: &[],
        pointers: true,
        run,
    }
}

/// Describes a function that returns a length.
const fn number(name: &'static str, run: Run) -> Entry {
    Entry {
        name,
        params: &[],
        results: &[I32],
        pointers: false,
        run,
    }
}

type Run = fn(&mut EnvironmentCall<'_>, &[Val]) -> Result<Option<Val>, CallError>;

const FUNCTIONS: [Entry; 8] = [
    nothing("__guest_request", &[I32, I32], guest_request),
    nothing("__guest_response", &[I32, I32], guest_response),
    nothing("__guest_error", &[I32, I32], guest_says_error),
    number("__host_response_len", |call, _| {
        len(call, |e| &e.host_response)
    }),
    nothing("__host_response", &[I32], |call, params| {
        answer(call, params, |e| &e.host_response)
    }),
    number("__host_error_len", |call, _| len(call, |e| &e.host_error)),
    nothing("__host_error", &[I32], |call, params| {
        answer(call, params, |e| &e.host_error)
    }),
    nothing("__console_log", &[I32, I32], console_log),
];

impl Protocol for Granted {
    fn convention(&self) -> Convention {
        Convention::Wapc
    }

    fn check_exports(&self, module: &ModuleInfo, found: &mut Vec<Mismatch>) {
        let needed = "operations pass through it";
        native::check_function(
            module,
            GUEST_CALL,
            &[(&[I32, I32], &[I32])],
            Some(needed),
            found,
        );
        for name in [COMMAND, INIT] {
            native::check_function(module, name, &[(&[], &[])], None, found);
        }
        found.extend(native::check_memory(module, Some(needed.into())));
    }

    fn start(&self, module: &ModuleInfo) -> StartFunctions {
        starts(module)
    }

    fn function(
        &self,
        module: &str,
        name: &str,
        _: &Signature,
    ) -> Option<Arc<dyn EnvironmentFunction>> {
        if module != MODULE {
            return None;
        }
        if name == "__host_call" {
            return Some(Arc::new(HostCallback(self.0.clone())));
        }
        entry(&FUNCTIONS, name)
    }

    fn session(&self) -> Box<dyn Session> {
        Box::new(Exchange::default())
    }

    fn export<'a>(&self, _: &'a str) -> &'a str {
        GUEST_CALL
    }

    fn begin(
        &self,
        session: &mut dyn Session,
        _: &mut InstanceLimiter,
        name: &str,
        inputs: &[&[u8]],
        ty: &Signature,
    ) -> Result<Vec<Val>, CallError> {
        let exchange: &mut Exchange = session.own().ok_or_else(foreign_session)?;
        let [payload] = inputs else {
            return Err(CallError::export_type(name, "one payload", ty));
        };
        *exchange = Exchange {
            operation: memory::copied(name.as_bytes())?,
            payload: memory::copied(payload)?,
            ..Exchange::default()
        };
        Ok([name.as_bytes(), payload]
            .map(|bytes| word(length(bytes)))
            .into())
    }

    fn end(
        &self,
        session: &mut dyn Session,
        ran: Result<(), CallError>,
        results: &[Val],
        ending: &Ending<'_>,
    ) -> Result<(), CallError> {
        let exchange: &mut Exchange = session.own().ok_or_else(foreign_session)?;
        ran?;
        let succeeded = !matches!(results, [Val::I32(0)]);
        match &exchange.error {
            _ if succeeded && exchange.response.is_some() => Ok(()),
            Some(error) => Err(ending.guest_error(error)),
            None if succeeded => Err(host_error(b"it reported success, and set no response")),
            None => Err(host_error(b"it reported failure, and set no error text")),
        }
    }
}

/// `__guest_request(op_ptr, ptr)`: writes the payload, and then the operation's name.
fn guest_request(call: &mut EnvironmentCall<'_>, params: &[Val]) -> Result<Option<Val>, CallError> {
    let [operation_at, payload_at] = words(params);
    let exchange: &mut Exchange = call.session.own().ok_or_else(foreign_session)?;
    for (at, bytes) in [
        (payload_at, &exchange.payload),
        (operation_at, &exchange.operation),
    ] {
        let what = "buffer for the request";
        write(call.memory, call.meter, call.spending, at, bytes, what)?;
    }
    Ok(None)
}

/// `__guest_response(ptr, len)`: takes the response. The last one counts.
fn guest_response(
    call: &mut EnvironmentCall<'_>,
    params: &[Val],
) -> Result<Option<Val>, CallError> {
    let [ptr, len] = words(params);
    let limit = call.meter.budget().output_bytes;
    let too_large = |limit, found| CallError::OutputTooLarge { limit, found };
    let response = call.copy(ptr, len, "response", limit, too_large)?;
    let exchange: &mut Exchange = call.session.own().ok_or_else(foreign_session)?;
    exchange.response = Some(response);
    Ok(None)
}

/// `__guest_error(ptr, len)`: takes the text of an error. The last one counts.
fn guest_says_error(
    call: &mut EnvironmentCall<'_>,
    params: &[Val],
) -> Result<Option<Val>, CallError> {
    let [ptr, len] = words(params);
    let limit = call.meter.budget().error_bytes;
    let too_large = |limit, found| CallError::ErrorTooLarge { limit, found };
    let error = call.copy(ptr, len, "error text", limit, too_large)?;
    utf8(&error, "error text")?;
    let exchange: &mut Exchange = call.session.own().ok_or_else(foreign_session)?;
    exchange.error = Some(error);
    Ok(None)
}

/// `__host_response_len()` and `__host_error_len()`: 0 if there is none.
fn len(
    call: &mut EnvironmentCall<'_>,
    part: fn(&Exchange) -> &Option<Vec<u8>>,
) -> Result<Option<Val>, CallError> {
    let exchange: &mut Exchange = call.session.own().ok_or_else(foreign_session)?;
    let bytes = part(exchange).as_deref().unwrap_or_default();
    Ok(Some(word(length(bytes))))
}

/// `__host_response(ptr)` and `__host_error(ptr)`: write nothing if there is none.
fn answer(
    call: &mut EnvironmentCall<'_>,
    params: &[Val],
    part: fn(&Exchange) -> &Option<Vec<u8>>,
) -> Result<Option<Val>, CallError> {
    let [at] = words(params);
    let exchange: &mut Exchange = call.session.own().ok_or_else(foreign_session)?;
    if let Some(bytes) = part(exchange) {
        let what = "buffer for the host's answer";
        write(call.memory, call.meter, call.spending, at, bytes, what)?;
    }
    Ok(None)
}

/// `__console_log(ptr, len)`: writes a log record of the level info.
fn console_log(call: &mut EnvironmentCall<'_>, params: &[Val]) -> Result<Option<Val>, CallError> {
    let [ptr, len] = words(params);
    let limit = call.meter.budget().argument_bytes;
    let too_large = |limit, found| CallError::ArgumentTooLarge { limit, found };
    let text = call.copy(ptr, len, "log text", limit, too_large)?;
    utf8(&text, "log text")?;
    call.log(LogLevel::Info, &text)?;
    Ok(None)
}

/// `__host_call`: runs the embedder's callback. Returns 1 if it succeeded.
struct HostCallback(Arc<Wapc>);

impl EnvironmentFunction for HostCallback {
    fn ty(&self) -> (&[ValType], &[ValType]) {
        (&[I32; 8], &[I32])
    }

    fn has_pointers(&self) -> bool {
        true
    }

    fn run(&self, call: &mut EnvironmentCall<'_>, params: &[Val]) -> Result<Outcome, CallError> {
        let exchange: &mut Exchange = call.session.own().ok_or_else(foreign_session)?;
        exchange.host_response = None;
        exchange.host_error = None;
        let [b, b_len, n, n_len, o, o_len, p, p_len] = words(params);
        let found = [b_len, n_len, o_len, p_len]
            .into_iter()
            .fold(0usize, |sum, len| {
                sum.saturating_add(usize::try_from(len).unwrap_or(usize::MAX))
            });
        let limit = call.meter.budget().argument_bytes;
        if found > limit {
            return Err(CallError::ArgumentTooLarge { limit, found });
        }
        let text = |ptr, len, what| utf8(call.bytes(ptr, len, what)?, what);
        let request = HostRequest {
            plugin: &call.shared.name,
            binding: text(b, b_len, "binding")?,
            namespace: text(n, n_len, "namespace")?,
            operation: text(o, o_len, "operation")?,
            payload: call.bytes(p, p_len, "payload")?,
        };
        match &self.0.host {
            Some(HostSide::Now(callback)) => {
                let answer = callback(&request);
                let limit = call.meter.budget().bytes_to_guest;
                Ok(Outcome::Now(Some(answered(call, limit, answer)?)))
            }
            Some(HostSide::Later(callback)) => {
                let waiting = Later::new(callback(&request));
                Ok(Outcome::Later(Box::new(Pending(waiting))))
            }
            None => {
                let none = Err(String::from("the host grants no callback"));
                Ok(Outcome::Now(Some(answered(call, usize::MAX, none)?)))
            }
        }
    }
}

/// Keeps the host's answer for the guest, and charges for it: the guest need not fetch it. Returns whether it
/// is a response.
fn answered(
    call: &mut EnvironmentCall<'_>,
    limit: usize,
    answer: HostAnswer,
) -> Result<Val, CallError> {
    let exchange: &mut Exchange = call.session.own().ok_or_else(foreign_session)?;
    let (kept, bytes, done) = match answer {
        Ok(response) => (&mut exchange.host_response, response, 1),
        Err(text) => (&mut exchange.host_error, text.into_bytes(), 0),
    };
    if bytes.len() > limit {
        return Err(CallError::BytesToGuest { limit });
    }
    call.spending.spend(fuel_for(bytes.len()))?;
    *kept = Some(bytes);
    Ok(Val::I32(done))
}

/// A guest that waits for the embedder's answer.
struct Pending(Later<HostAnswer>);

impl PendingHostCall for Pending {
    fn attempt(
        &mut self,
        access: InstanceAccess<'_>,
        context: &mut Context<'_>,
    ) -> Result<Option<Val>, CallError> {
        let Poll::Ready(answer) = self.0.poll(&access, context)? else {
            return Ok(None);
        };
        let limit = access.meter.budget().bytes_to_guest;
        answered(&mut EnvironmentCall::of(access)?, limit, answer).map(Some)
    }

    fn next(&self) -> Option<Duration> {
        self.0.next()
    }
}
