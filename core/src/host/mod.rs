//! Host functions and services, handed to a plugin by grant.

mod config;
mod context;
mod define;
mod function;
mod link;
mod log;
mod state;

use self::function::Function;
#[cfg(feature = "defmt")]
pub use self::log::Defmt;
#[cfg(feature = "log")]
pub use self::log::LogCrate;
pub use self::{
    context::Context,
    function::{Async, HostReturn, IntoHostFunction},
    log::{Escaped, LogRecord, LogSink},
};
pub(crate) use self::{
    define::{Define, definition},
    function::{Halt, HostFunction, contained},
    link::{Back, Binding, HostCall, bind},
    log::write_dropped,
};

use crate::{
    module::in_order,
    state::StateStore,
    wasi::{self, Wasi},
};
use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

/// Host functions, each with its module and name. There are few.
type Functions<T> = Vec<(Box<str>, Box<str>, Arc<dyn HostFunction<T>>)>;

/// The built-in host functions, and the grant that supplies each.
const SERVICES: [(&str, &str, &str); 7] = [
    ("env", "host_log", "log"),
    ("env", "host_log_message", "log"),
    ("env", "host_get_config", "config"),
    ("env", "host_state_get", "state"),
    ("env", "host_state_set", "state"),
    ("env", "host_state_delete", "state"),
    ("env", "host_state_list", "state"),
];

/// What an embedder hands a plugin: host functions and services. Empty at first; whatever a
/// plugin imports and nobody granted is named in the [`LoadError`](crate::LoadError).
///
/// `T` is the type of per-instance data that host functions can reach through [`Context`].
///
/// ```
/// use hostel_core::{Context, Grants, LogRecord};
///
/// let grants = Grants::<u32>::with_data()
///     .log(|record: &LogRecord<'_>| println!("{}: {}", record.plugin, record.text))
///     .config([("prefix", "CUSTOM")])
///     .function("shop", "price", |article: &str| -> Option<u32> {
///         (article == "lamp").then_some(1999)
///     })
///     .function("shop", "count", |context: &mut Context<'_, u32>, more: u32| {
///         *context.data_mut() += more;
///         *context.data_mut()
///     });
/// # drop(grants);
/// ```
pub struct Grants<T = ()> {
    functions: Functions<T>,
    log: Option<Arc<dyn LogSink>>,
    wasi: Option<WasiGrant<T>>,
}

/// A grant of WASI, and how its functions are found: who does not grant it links none of them.
type WasiGrant<T> = (Arc<Wasi>, FindWasi<T>);
type FindWasi<T> = fn(&Arc<Wasi>, &str, &str) -> Option<Arc<dyn HostFunction<T>>>;

impl<T: 'static> Grants<T> {
    /// Nothing granted.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            functions: Vec::new(),
            log: None,
            wasi: None,
        }
    }

    /// Grants a function of the embedder's under `module` and `name`, replacing any of that name.
    ///
    /// `function` is a closure of up to six parameters that can be [lifted](crate::Lift), after a
    /// first `&mut Context<'_, T>` if it wants one; its parameters' types must be written out. It
    /// returns a value that can be [lowered](crate::Lower): text and bytes go into a buffer from
    /// the guest's allocator, which the guest then owns. With `Result<_, E>` the guest sees the
    /// error, with `Result<_, `[`Trap`](crate::Trap)`>` the error stops it.
    ///
    /// A call allocates nothing where parameters and result are integers of up to 32 bits, text or
    /// bytes, up to six and two core values; with others the interpreter allocates once.
    #[must_use]
    pub fn function<F, M>(mut self, module: &str, name: &str, function: F) -> Self
    where
        F: IntoHostFunction<T, M>,
    {
        self.insert(module, name, function.into_host_function());
        self
    }

    /// Grants `env.host_log` and `env.host_log_message`: text from the plugin goes to `sink`.
    #[must_use]
    pub fn log(mut self, sink: impl LogSink) -> Self {
        self.log = Some(Arc::new(sink));
        self.function("env", "host_log", log::write::<T>).function(
            "env",
            "host_log_message",
            log::write::<T>,
        )
    }

    /// Grants `env.host_get_config`: the plugin can look these values up, and no others.
    #[must_use]
    pub fn config<K, V>(mut self, values: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        self.insert("env", "host_get_config", config::lookup(values));
        self
    }

    /// Grants `env.host_state_get`, `_set`, `_delete` and `_list`: the plugin can keep values in
    /// `store`, in the namespace of its name.
    ///
    /// They outlive its instances, and what a call has set stays also if the call then fails. Where
    /// plugins of several owners may have the same name, choose the namespace:
    /// [`state_in`](Self::state_in).
    #[must_use]
    pub fn state(self, store: impl StateStore) -> Self {
        state::grant(self, store, None)
    }

    /// As [`state`](Self::state), in a namespace of the embedder's choice. Plugins with one
    /// namespace share its values and its limits.
    ///
    /// ```
    /// use hostel_core::{Grants, MemoryState, StateLimits};
    /// use std::sync::Arc;
    /// let store = Arc::new(MemoryState::new(StateLimits::server()));
    /// let anna = Grants::new().state_in("anna/counter", store.clone());
    /// let ben = Grants::new().state_in("ben/counter", store);
    /// # drop((anna, ben));
    /// ```
    #[must_use]
    pub fn state_in(self, namespace: &str, store: impl StateStore) -> Self {
        state::grant(self, store, Some(namespace))
    }

    /// Grants WASI preview 1, under `wasi_snapshot_preview1` and its old name `wasi_unstable`. A
    /// [`function`](Self::function) of the same name goes before.
    #[must_use]
    pub fn wasi(mut self, wasi: Wasi) -> Self {
        self.wasi = Some((Arc::new(wasi), wasi::find::<T>));
        self
    }

    fn insert(&mut self, module: &str, name: &str, function: Function<T>) {
        let named = |(m, n, _): &(Box<str>, Box<str>, _)| (&**m, &**n) == (module, name);
        match self.functions.iter_mut().find(|known| named(known)) {
            Some((_, _, known)) => *known = function.0,
            None => self
                .functions
                .push((module.into(), name.into(), function.0)),
        }
    }

    pub(crate) fn find(&self, module: &str, name: &str) -> Option<Arc<dyn HostFunction<T>>> {
        self.functions
            .iter()
            .find(|(m, n, _)| **m == *module && **n == *name)
            .map(|(_, _, function)| function.clone())
            .or_else(|| {
                let (grant, find) = self.wasi.as_ref()?;
                find(grant, module, name)
            })
    }

    pub(crate) fn sink(&self) -> Option<Arc<dyn LogSink>> {
        self.log.clone()
    }

    /// What would supply an import that nothing supplies.
    pub(crate) fn hint(&self, module: &str, name: &str) -> String {
        if let Some(grant) = grant_for(module, name) {
            return format!("the grant `{grant}` would");
        }
        let known = || {
            let services = SERVICES.iter().map(|(m, n, _)| (*m, *n));
            services.chain(self.names())
        };
        if let Some((m, n)) = known().find(|(_, n)| *n == name) {
            return format!("the same name is known as `{m}.{n}`");
        }
        if module.starts_with("wasi_") {
            return String::from(
                "of WASI, preview 1 alone is supported: build the plugin for `wasm32-wasip1`",
            );
        }
        // `log` is meant for `host_log`. One letter or two are in many names.
        let near = |n: &str| {
            let (short, long) = if n.len() < name.len() {
                (n, name)
            } else {
                (name, n)
            };
            // `str::contains` is made for long texts, and long itself.
            let mut parts = long.as_bytes().windows(short.len().max(1));
            short.len() > 2 && parts.any(|part| part == short.as_bytes())
        };
        if let Some((m, n)) = known().find(|(_, n)| near(n)) {
            return format!("the nearest known name is `{m}.{n}`");
        }
        let granted = |at: usize| self.functions.get(at).map(|(m, n, _)| (&**m, &**n));
        let compare = |one, other| granted(one).cmp(&granted(other));
        let order = in_order(self.functions.len(), &compare, &mut |_, _| {});
        let granted = order.into_iter().filter_map(granted);
        let granted = crate::error::listed(granted.map(|(m, n)| format!("{m}.{n}")));
        format!("granted are: {granted}")
    }

    fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.functions
            .iter()
            .map(|(module, name, _)| (&**module, &**name))
    }
}

/// The grant that supplies a built-in host function, if it is one.
///
/// ```
/// assert_eq!(hostel_core::grant_for("env", "host_log"), Some("log"));
/// assert_eq!(hostel_core::grant_for("wasi_snapshot_preview1", "fd_write"), Some("wasi"));
/// assert_eq!(hostel_core::grant_for("env", "open"), None);
/// ```
#[must_use]
pub fn grant_for(module: &str, name: &str) -> Option<&'static str> {
    SERVICES
        .iter()
        .find(|(m, n, _)| (*m, *n) == (module, name))
        .map(|(_, _, grant)| *grant)
        .or_else(|| wasi::is_function(module, name).then_some("wasi"))
}

/// The built-in host functions: module, name, and the grant that supplies each.
///
/// ```
/// assert!(hostel_core::services().any(|service| service == ("env", "host_log", "log")));
/// ```
pub fn services() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    SERVICES.into_iter()
}

impl<T: 'static> Default for Grants<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Grants<T> {
    fn clone(&self) -> Self {
        Self {
            functions: self.functions.clone(),
            log: self.log.clone(),
            wasi: self.wasi.clone(),
        }
    }
}

impl<T: 'static> core::fmt::Debug for Grants<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set()
            .entries(self.names().map(|(m, n)| format!("{m}.{n}")))
            .finish()
    }
}
