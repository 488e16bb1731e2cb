//! Extism: exports without parameters, whose input and output are blocks of a memory that the host
//! keeps.

mod arena;
mod functions;
mod http;
mod json;

use self::{arena::Arena, http::LastRequest};
use super::{
    Convention,
    environment::host_error,
    protocol::{
        Ending, EnvironmentFunction, Protocol, Session, StartFunctions, entry, exports_function,
        foreign_session,
    },
};
use crate::{
    base::{
        platform::NoPlatform,
        signature::{Signature, ValType},
    },
    call::limiter::InstanceLimiter,
    error::{CallError, ErrorClass, Mismatch},
    memory,
    module::{CONSTRUCTORS, ModuleInfo, REACTOR},
    services::{
        http::HttpClient,
        state::{MemoryState, StateLimits, StateStore},
    },
};
use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use wasmi::Val;

/// The module name under which its guests import.
pub(super) const MODULE: &str = "extism:host/env";

/// How the names of its modules begin.
pub(crate) const MODULES: &str = "extism:host/";

/// The function that sends an HTTP request.
pub(crate) const HTTP_REQUEST: &str = "http_request";

/// The export that initialises Haskell's runtime; its two parameters are the arguments of a program.
pub(super) const HASKELL: &str = "hs_init";

/// Most bytes of blocks by default.
const MEMORY_BYTES: usize = 64 << 20;

/// Most bytes of blocks for which an idle instance keeps the heap's memory.
const KEPT_BYTES: usize = 64 << 10;

/// Most bytes of a response's body by default.
const HTTP_RESPONSE_BYTES: usize = 50 << 20;

/// Most bytes of variables by default, and the bytes that each counts besides its key and value.
const VARIABLE_BYTES: usize = 1 << 20;
const VARIABLE: usize = 48;

/// A function of the embedder.
#[derive(Clone)]
struct UserFunction {
    run: Arc<RunUser>,
    /// Whether the guest gets its error. If not, the error stops the guest.
    returns_errors: bool,
}

/// Byte strings in, one out.
type RunUser = dyn Fn(&[&[u8]]) -> Result<Vec<u8>, String> + Send + Sync;

/// The grant of Extism's environment. Grant it by [`Grants::extism`](crate::Grants::extism).
///
/// Plugins log to the sink of [`Grants::log`](crate::Grants::log). They have no HTTP unless
/// [`http`](Self::http) grants it: a call of `http_request` traps.
///
/// ```
/// use hostel_core::{Extism, Grants};
/// let extism = Extism::new()
///     .config([("vowels", "aeiou")])
///     .function("extism:host/user", "reverse", |arguments| {
///         let [text] = arguments else { return Err("expected one argument".into()) };
///         Ok(text.iter().rev().copied().collect())
///     });
/// let grants = Grants::new().extism(extism);
/// # drop(grants);
/// ```
pub struct Extism {
    /// Sorted by key.
    config: Vec<(Box<str>, Box<str>)>,
    functions: Vec<(Box<str>, Box<str>, UserFunction)>,
    variables: Option<Arc<dyn StateStore>>,
    variable_bytes: usize,
    memory_bytes: usize,
    /// The function `http_request`, if it is granted.
    http: Option<Arc<dyn EnvironmentFunction>>,
    http_response_bytes: usize,
    /// Patterns of the only hosts that its requests may reach.
    http_hosts: Option<Arc<[Box<str>]>>,
}

impl Extism {
    /// Creates a grant without settings and functions. A plugin's blocks take at most 64 MiB. Its variables
    /// take at most 1 MiB, in memory, and outlive its instances.
    #[must_use]
    pub fn new() -> Self {
        // Bounded by `variable_bytes` alone.
        let mut limits = StateLimits::server();
        limits.keys = usize::MAX;
        limits.key_bytes = usize::MAX;
        limits.value_bytes = usize::MAX;
        limits.total_bytes = usize::MAX;
        Self {
            config: Vec::new(),
            functions: Vec::new(),
            variables: Some(Arc::new(MemoryState::new(limits))),
            variable_bytes: VARIABLE_BYTES,
            memory_bytes: MEMORY_BYTES,
            http: None,
            http_response_bytes: HTTP_RESPONSE_BYTES,
            http_hosts: None,
        }
    }

    /// Sets what `config_get` finds. If a key occurs several times, its last value counts.
    #[must_use]
    pub fn config<K, V>(mut self, values: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        for (key, value) in values {
            let (key, value) = (key.into().into_boxed_str(), value.into().into_boxed_str());
            match self.config.binary_search_by(|(known, _)| known.cmp(&key)) {
                Ok(at) => {
                    if let Some((_, known)) = self.config.get_mut(at) {
                        *known = value;
                    }
                }
                Err(at) => self.config.insert(at, (key, value)),
            }
        }
        self
    }

    /// Sets what `config_get` finds for keys that are not set. A later [`config`](Self::config) replaces it.
    #[must_use]
    pub fn config_defaults<K, V>(mut self, values: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        for (key, value) in values {
            let key = key.into().into_boxed_str();
            if let Err(at) = self.config.binary_search_by(|(known, _)| known.cmp(&key)) {
                let value = value.into().into_boxed_str();
                self.config.insert(at, (key, value));
            }
        }
        self
    }

    /// Grants the host function `name` of `module`, by custom `extism:host/user`. Each parameter of the
    /// import is a block, whose bytes the function gets; the handle 0 stands for none. Its bytes become a
    /// new block, if the import has a result. An error stops the guest, as in Extism's own hosts; see
    /// [`function_with_errors`](Self::function_with_errors).
    #[must_use]
    pub fn function(
        self,
        module: &str,
        name: &str,
        function: impl Fn(&[&[u8]]) -> Result<Vec<u8>, String> + Send + Sync + 'static,
    ) -> Self {
        self.user_function(module, name, Arc::new(function), false)
    }

    /// As [`function`](Self::function), but the guest gets an error and goes on. The import then returns the
    /// handle 0, and the environment's `error_get` a block with the text, until the guest calls a function of
    /// the embedder's again, or `error_set`. After success `error_get` returns 0, which tells an error from
    /// an empty result. The error does not become the call's: a guest that gives up passes it to `error_set`.
    ///
    /// ```
    /// use hostel_core::Extism;
    /// let extism = Extism::new().function_with_errors("extism:host/user", "price", |arguments| {
    ///     match arguments {
    ///         [b"lamp"] => Ok(b"1999".to_vec()),
    ///         _ => Err("no such article".into()),
    ///     }
    /// });
    /// # drop(extism);
    /// ```
    #[must_use]
    pub fn function_with_errors(
        self,
        module: &str,
        name: &str,
        function: impl Fn(&[&[u8]]) -> Result<Vec<u8>, String> + Send + Sync + 'static,
    ) -> Self {
        self.user_function(module, name, Arc::new(function), true)
    }

    /// Grants a function of the embedder's, whose errors go to the guest or stop it.
    fn user_function(
        mut self,
        module: &str,
        name: &str,
        run: Arc<RunUser>,
        returns_errors: bool,
    ) -> Self {
        let function = UserFunction {
            run,
            returns_errors,
        };
        self.functions.push((module.into(), name.into(), function));
        self
    }

    /// Keeps variables in `store`, under the plugin's name.
    #[must_use]
    pub fn variables(mut self, store: impl StateStore) -> Self {
        self.variables = Some(Arc::new(store));
        self
    }

    /// Sets the most bytes of a plugin's variables. Each counts 48 bytes besides its key and value. With 0,
    /// setting one stops the guest. Default: 1 MiB.
    #[must_use]
    pub const fn variable_bytes(mut self, bytes: usize) -> Self {
        self.variable_bytes = bytes;
        self
    }

    /// Lowers the most bytes of a plugin's variables to `bytes`, if they are more.
    #[must_use]
    pub const fn variable_bytes_at_most(mut self, bytes: usize) -> Self {
        if bytes < self.variable_bytes {
            self.variable_bytes = bytes;
        }
        self
    }

    /// Sets the most bytes of blocks in one call, input, padding and freed blocks included. Together with the
    /// guest's own memory they are within [`Limits::memory_bytes`](crate::Limits::memory_bytes) too.
    /// [`Footprint`](crate::Footprint) does not count them. Default: 64 MiB.
    #[must_use]
    pub const fn memory_bytes(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Grants `http_request`: the guest's requests are sent by `client`. The guest is suspended until the
    /// response is there, as for an [`Async`](crate::Async) host function: a deadline or a canceller ends the
    /// wait.
    ///
    /// A request's JSON has at most 64 KiB and 100 headers, and is within
    /// [`Budget::argument_bytes`](crate::Budget::argument_bytes) with its body. A request costs
    /// [`HttpClient::cost`] units of fuel, and one for each byte of its JSON. An error of the client stops the
    /// guest; a status of 400 or more is no error.
    #[must_use]
    pub fn http(mut self, client: impl HttpClient) -> Self {
        self.http = Some(Arc::new(http::SendRequest(client)));
        self
    }

    /// Sets the most bytes of the body of a response. It also becomes a block, so
    /// [`memory_bytes`](Self::memory_bytes) and
    /// [`Budget::bytes_to_guest`](crate::Budget::bytes_to_guest) bound it too. Default: 50 MiB.
    #[must_use]
    pub const fn http_response_bytes(mut self, bytes: usize) -> Self {
        self.http_response_bytes = bytes;
        self
    }

    /// Lowers the most bytes of the body of a response to `bytes`, if they are more.
    #[must_use]
    pub const fn http_response_bytes_at_most(mut self, bytes: usize) -> Self {
        if bytes < self.http_response_bytes {
            self.http_response_bytes = bytes;
        }
        self
    }

    /// Narrows the hosts that the client allows to those whose names match one of these patterns, in which `*`
    /// stands for any characters and `?` for one: see [`HttpRequest::hosts`](crate::HttpRequest::hosts). Without
    /// any pattern, `http_request` is not granted.
    #[must_use]
    pub fn http_hosts<H: Into<String>>(mut self, patterns: impl IntoIterator<Item = H>) -> Self {
        let patterns = patterns.into_iter();
        let patterns = patterns.map(|pattern| pattern.into().into_boxed_str());
        self.http_hosts = Some(patterns.collect());
        self
    }
}

impl Extism {
    /// Returns whether it is not narrowed to no host.
    fn has_hosts(&self) -> bool {
        self.http_hosts
            .as_ref()
            .is_none_or(|hosts| !hosts.is_empty())
    }
}

impl Default for Extism {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Extism {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Extism")
            .field("config", &self.config.len())
            .field("functions", &self.functions.len())
            .field("http", &self.http.is_some())
            .finish_non_exhaustive()
    }
}

/// The grant as plugins share it.
pub(crate) struct Granted(Arc<Extism>);

impl Granted {
    pub(crate) fn new(extism: Extism) -> Self {
        Self(Arc::new(extism))
    }
}

/// Returns the exports that run when an instance is made.
pub(super) fn starts(module: &ModuleInfo) -> StartFunctions {
    let has = |name| exports_function(module, name);
    let reactor = has(REACTOR).then_some(REACTOR);
    if has(HASKELL) {
        [reactor, Some(HASKELL)]
    } else if has(CONSTRUCTORS) {
        [Some(CONSTRUCTORS), None]
    } else {
        [reactor, None]
    }
}

/// The host's side of an instance.
struct Exchange {
    grant: Arc<Extism>,
    arena: Arena,
    /// The input, an offset and a length.
    input: (u64, u64),
    /// The output, a range of the arena.
    output: (u64, u64),
    /// The offset of the error's text; 0 if there is none.
    error: u64,
    /// The offset of the text of the error that the embedder's function returned last; 0 if it succeeded.
    host_error: u64,
    last_request: LastRequest,
}

impl Exchange {
    /// Forgets all that belongs to a call. Keeps the heap's memory if that is at most `kept` bytes.
    fn reset(&mut self, kept: usize) {
        self.arena.reset(kept);
        self.input = (0, 0);
        self.output = (0, 0);
        self.error = 0;
        self.host_error = 0;
    }

    /// Returns the length of the input, 0 if its block was freed.
    fn input_length(&self) -> u64 {
        let (at, len) = self.input;
        if self.arena.length(at) == 0 { 0 } else { len }
    }
}

impl Session for Exchange {
    fn output(&self) -> &[u8] {
        let (at, len) = self.output;
        self.arena.range(at, len).unwrap_or_default()
    }
}

impl Protocol for Granted {
    fn convention(&self) -> Convention {
        Convention::Extism
    }

    fn check_exports(&self, _: &ModuleInfo, _: &mut Vec<Mismatch>) {
        // Any function without parameters can be called, and nothing else is needed.
    }

    fn start(&self, module: &ModuleInfo) -> StartFunctions {
        starts(module)
    }

    fn function(
        &self,
        module: &str,
        name: &str,
        ty: &Signature,
    ) -> Option<Arc<dyn EnvironmentFunction>> {
        let named = |(m, n, _): &&(Box<str>, Box<str>, _)| (&**m, &**n) == (module, name);
        if let Some((_, _, function)) = self.0.functions.iter().rfind(named) {
            let function = function.clone();
            return Some(Arc::new(functions::User::new(function, ty)));
        }
        if module != MODULE {
            return None;
        }
        match &self.0.http {
            Some(http) if name == HTTP_REQUEST && self.0.has_hosts() => Some(http.clone()),
            _ => entry(&functions::FUNCTIONS, name),
        }
    }

    fn session(&self) -> Box<dyn Session> {
        Box::new(Exchange {
            grant: self.0.clone(),
            arena: Arena::default(),
            input: (0, 0),
            output: (0, 0),
            error: 0,
            host_error: 0,
            last_request: LastRequest::default(),
        })
    }

    fn begin(
        &self,
        session: &mut dyn Session,
        limiter: &mut InstanceLimiter,
        name: &str,
        inputs: &[&[u8]],
        ty: &Signature,
    ) -> Result<Vec<Val>, CallError> {
        let exchange: &mut Exchange = session.own().ok_or_else(foreign_session)?;
        let [input] = inputs else {
            return Err(CallError::export_type(name, "one input", ty));
        };
        if !ty.params.is_empty() || !matches!(*ty.results, [] | [ValType::I32]) {
            return Err(CallError::export_type(name, "() or () -> i32", ty));
        }
        exchange.reset(KEPT_BYTES);
        exchange.last_request = LastRequest::default();
        let no_room = || memory::no_room(input.len());
        let limit = self.0.memory_bytes.min(limiter.memory_left());
        let at = exchange.arena.add(input, limit).ok_or_else(no_room)?;
        // Its room on the heap was found.
        if !limiter.keep(exchange.arena.size(), 0, &NoPlatform) {
            return Err(no_room());
        }
        exchange.input = (at, input.len() as u64);
        Ok(Vec::new())
    }

    fn end(
        &self,
        session: &mut dyn Session,
        ran: Result<(), CallError>,
        results: &[Val],
        ending: &Ending<'_>,
    ) -> Result<(), CallError> {
        let exchange: &mut Exchange = session.own().ok_or_else(foreign_session)?;
        let trapped = |error: &CallError| error.class() == ErrorClass::Trap;
        // A guest's own text tells more than the trap after it. A used-up budget tells more than the text.
        if ran.as_ref().err().is_none_or(trapped)
            && let Some(text) = exchange.arena.block(exchange.error)
            && !text.is_empty()
        {
            return Err(ending.guest_error(text));
        }
        match ran {
            Ok(()) | Err(CallError::Exited { code: 0 }) => {}
            Err(error) => return Err(error),
        }
        match results {
            [Val::I32(code)] if *code != 0 => {
                let text = format!("it returned the code {code}, and set no error text");
                Err(host_error(text.as_bytes()))
            }
            _ => Ok(()),
        }
    }
}
