//! Host functions and services, handed to a plugin by grant.

mod config;
mod context;
mod function;
mod link;
mod log;

use self::function::Function;
#[cfg(feature = "defmt")]
pub use self::log::Defmt;
#[cfg(feature = "log")]
pub use self::log::LogCrate;
pub use self::{
    context::Context,
    function::{HostReturn, IntoHostFunction},
    log::{LogRecord, LogSink, Visible},
};
pub(crate) use self::{
    function::{HostFunction, contained},
    link::link,
    log::write_dropped,
};

use crate::wasi::{self, Wasi};
use alloc::{boxed::Box, collections::BTreeMap, format, string::String, sync::Arc};

/// Host functions by module and name.
type Functions<T> = BTreeMap<(Box<str>, Box<str>), Arc<dyn HostFunction<T>>>;

/// The built-in host functions, and the grant that supplies each.
const SERVICES: [(&str, &str, &str); 3] = [
    ("env", "host_log", "log"),
    ("env", "host_log_message", "log"),
    ("env", "host_get_config", "config"),
];

/// What an embedder hands a plugin: host functions and services. Empty at first; whatever a
/// plugin imports and nobody granted is named in the [`LoadError`](crate::LoadError).
///
/// `T` is the type of per-instance data that host functions can reach through [`Context`].
///
/// ```
/// use hostel_core::{Context, Grants, LogRecord};
///
/// let grants = Grants::<u32>::new()
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
    wasi: Option<Arc<Wasi>>,
}

impl<T: 'static> Grants<T> {
    /// Nothing granted.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            functions: BTreeMap::new(),
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

    /// Grants WASI preview 1, under `wasi_snapshot_preview1` and its old name `wasi_unstable`. A
    /// [`function`](Self::function) of the same name goes before.
    #[must_use]
    pub fn wasi(mut self, wasi: Wasi) -> Self {
        self.wasi = Some(Arc::new(wasi));
        self
    }

    fn insert(&mut self, module: &str, name: &str, function: Function<T>) {
        self.functions
            .insert((module.into(), name.into()), function.0);
    }

    pub(crate) fn find(&self, module: &str, name: &str) -> Option<Arc<dyn HostFunction<T>>> {
        // A map with owned pairs as keys cannot be searched by borrowed ones; there are few.
        self.functions
            .iter()
            .find(|((m, n), _)| **m == *module && **n == *name)
            .map(|(_, function)| function.clone())
            .or_else(|| wasi::find(self.wasi.as_ref()?, module, name))
    }

    pub(crate) fn sink(&self) -> Option<Arc<dyn LogSink>> {
        self.log.clone()
    }

    /// What would supply an import that nothing supplies.
    pub(crate) fn hint(&self, module: &str, name: &str) -> String {
        if let Some(grant) = grant_for(module, name) {
            return format!("the grant `{grant}` would");
        }
        let same_name = SERVICES
            .iter()
            .map(|(m, n, _)| (*m, *n))
            .chain(self.names())
            .find(|(_, n)| *n == name);
        if let Some((m, n)) = same_name {
            return format!("the same name is known as `{m}.{n}`");
        }
        if module.starts_with("wasi_") {
            return String::from(
                "of WASI, preview 1 alone is supported: build the plugin for `wasm32-wasip1`",
            );
        }
        let granted = crate::error::listed(self.names().map(|(m, n)| format!("{m}.{n}")));
        format!("granted are: {granted}")
    }

    fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.functions
            .keys()
            .map(|(module, name)| (&**module, &**name))
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

impl<T> core::fmt::Debug for Grants<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set()
            .entries(self.functions.keys().map(|(m, n)| format!("{m}.{n}")))
            .finish()
    }
}
