//! [`Grants`]: the host functions and services that a plugin may use.

mod answers;
mod built_in;
#[cfg(feature = "trace")]
mod calls;
mod check;
#[cfg(feature = "contract")]
mod fixed;
#[cfg(feature = "component")]
mod interfaces;
#[cfg(feature = "profile")]
mod profile;
mod stubs;

pub use self::built_in::{grant_for, services};
pub(crate) use self::check::{check_imports, conflicting_imports};
#[cfg(feature = "profile")]
pub use self::profile::{ProfileEvent, ProfileRecord};

use self::stubs::Stubs;
#[cfg(feature = "contract")]
use crate::component::fixed::ROOT as FIXED_ROOT;
#[cfg(feature = "component")]
use crate::component::{Interface, host_call::HostInterface};
use crate::{
    abi::{self, Convention, Extism, Protocol, Typst, Wapc, native},
    base::{
        limits::{Budget, Limits},
        log::LogSink,
        shape::Record,
        signature::Signature,
        text::separator,
    },
    call::result_shape::ResultShape,
    error::LoadError,
    host_functions::{Binding, Function, HostFunction, IntoHostFunction},
    module::{Extern, Import, ModuleInfo},
    services::{abort, config, http::HttpClient, log, request, state, state::StateStore},
    wasi::{self, Wasi},
};
use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

/// Host functions, each with its module and name, in the order of names and then of modules.
type Functions<T> = Vec<(Box<str>, Box<str>, Arc<dyn HostFunction<T>>)>;

/// The host functions and services that a plugin may use. Nothing is granted by default. Loading a
/// plugin that imports anything else fails with a [`LoadError`] that lists all such imports.
///
/// Clones share the functions and stores. `T` is the type of the data of each instance,
/// which host functions reach through [`Context`](crate::Context).
///
/// ```
/// use hostel_core::{Context, Grants, LogRecord};
///
/// let grants = Grants::<u32>::with_data()
///     .log(|record: &LogRecord<'_>| println!("{record}"))
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
    log: Option<LogGrant<T>>,
    wasi: Option<WasiGrant<T>>,
    protocols: Vec<ProtocolGrant<T>>,
    stubs: Option<Stubs<T>>,
    #[cfg(feature = "component")]
    interfaces: Vec<Arc<dyn HostInterface<T>>>,
    /// Whether plugins have the canonical ABI's exports.
    #[cfg(feature = "contract")]
    fixed: bool,
    convention: Option<Convention>,
    limits: Option<Arc<Limits>>,
    budget: Option<Arc<Budget>>,
    /// Where calls of host functions are told.
    #[cfg(feature = "trace")]
    calls: Option<calls::CallSink>,
}

/// A grant of the log: the sink, and the functions that make [`LOG_AT`] and [`ABORT`]. They are made only
/// for plugins that import them: on a device, the memory for each function counts.
type LogGrant<T> = (Arc<dyn LogSink>, [fn() -> Function<T>; 2]);

/// Module and name of the host function that logs at a level.
const LOG_AT: (&str, &str) = ("env", "host_log_at");

/// Module and name of AssemblyScript's function for failures.
const ABORT: (&str, &str) = ("env", "abort");

/// A grant of WASI, and the functions that find its host functions. By pointer, so that a program
/// that grants no WASI does not link it.
struct WasiGrant<T> {
    wasi: Arc<Wasi>,
    find: FindWasi<T>,
    #[cfg(feature = "component")]
    find_interface: FindInterface<T>,
}

impl<T> Clone for WasiGrant<T> {
    fn clone(&self) -> Self {
        Self {
            wasi: self.wasi.clone(),
            ..*self
        }
    }
}

/// Finds a function of preview 1.
type FindWasi<T> = fn(&Arc<Wasi>, &str, &str) -> Option<Arc<dyn HostFunction<T>>>;

/// Finds an interface of WASI 0.2.
#[cfg(feature = "component")]
type FindInterface<T> = fn(&Arc<Wasi>, &str) -> Option<Arc<dyn HostInterface<T>>>;

/// A grant of a convention, and the function that binds its host functions. By pointer, as for WASI.
type ProtocolGrant<T> = (Arc<dyn Protocol>, BindProtocol<T>);
type BindProtocol<T> =
    fn(&Arc<dyn Protocol>, &str, &str, &Signature) -> Option<Arc<dyn HostFunction<T>>>;

impl Grants<()> {
    /// Creates an empty set of grants, for host functions that need no data of the instance.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_data()
    }
}

impl<T: 'static> Grants<T> {
    /// Creates an empty set of grants, for host functions that reach a `T` of the calling instance
    /// through [`Context`](crate::Context).
    ///
    /// ```
    /// use hostel_core::{Context, Grants};
    /// let grants = Grants::<u32>::with_data().function("shop", "count", |context: &mut Context<'_, u32>| {
    ///     *context.data_mut() += 1;
    /// });
    /// # drop(grants);
    /// ```
    #[must_use]
    pub const fn with_data() -> Self {
        Self {
            functions: Vec::new(),
            log: None,
            wasi: None,
            protocols: Vec::new(),
            stubs: None,
            #[cfg(feature = "component")]
            interfaces: Vec::new(),
            #[cfg(feature = "contract")]
            fixed: false,
            convention: None,
            limits: None,
            budget: None,
            #[cfg(feature = "trace")]
            calls: None,
        }
    }

    /// Grants a function of the embedder as the import `module`.`name`. Replaces an earlier function
    /// of that name.
    ///
    /// `function` is a closure of up to six parameters that can be [lifted](crate::Lift), preceded by
    /// a `&mut Context<'_, T>` if it needs one. Write out its parameters' types. It returns a value
    /// that can be [lowered](crate::Lower): text and bytes go into a buffer from the guest's
    /// allocator, which the guest then owns. Of a `Result<_, E>`, the guest receives the error; of a
    /// `Result<_, `[`Trap`](crate::Trap)`>`, the error stops the guest.
    ///
    /// A call allocates nothing on the host if parameters and result are integers of up to 32 bits,
    /// text or bytes, and take at most six and two core values. With other types the interpreter
    /// allocates once.
    #[must_use]
    pub fn function<F, M>(mut self, module: &str, name: &str, function: F) -> Self
    where
        F: IntoHostFunction<T, M>,
    {
        self.insert(module, name, function.into_host_function());
        self
    }

    /// Grants `env.host_log`, `env.host_log_message` and `env.host_log_at`: the plugin writes log records
    /// to `sink`, up to [`Budget::log_records`](crate::Budget::log_records) and
    /// [`Budget::log_bytes`](crate::Budget::log_bytes) in one call.
    ///
    /// Also grants `env.abort`, which AssemblyScript's compiler imports for `throw` and `assert`: it writes one
    /// record of the level error, and stops the guest with an error that has the message and its place.
    /// A [`function`](Self::function) granted under this name takes precedence.
    #[must_use]
    pub fn log(mut self, sink: impl LogSink) -> Self {
        self.functions.retain(|(m, n, _)| (&**m, &**n) != LOG_AT);
        let made: [fn() -> Function<T>; 2] = [
            || log::write_at::<T>.into_host_function(),
            || abort::abort::<T>.into_host_function(),
        ];
        self.log = Some((Arc::new(sink), made));
        self.function("env", "host_log", log::write::<T>).function(
            "env",
            "host_log_message",
            log::write::<T>,
        )
    }

    /// Grants `env.host_get_config`: the plugin can read these values, and no others. If a key occurs
    /// several times, its last value counts.
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
    /// `store`, in the namespace that is the plugin's name.
    ///
    /// Values outlive the instance. A value that was set stays set if the call fails later. If plugins
    /// of several customers may share a name, use [`state_in`](Self::state_in): else they share their
    /// values too.
    #[must_use]
    pub fn state(self, store: impl StateStore) -> Self {
        self.state_functions(store, None)
    }

    /// As [`state`](Self::state), in the namespace `namespace`. Plugins in one namespace share its
    /// values and its limits.
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
        self.state_functions(store, Some(namespace))
    }

    /// Grants `env.host_http_request`: the plugin sends HTTP requests by `client`, which decides the hosts that it
    /// may reach. The plugin is suspended meanwhile. A response may have as many bytes as are left of
    /// [`Budget::bytes_to_guest`](crate::Budget::bytes_to_guest).
    ///
    /// Plugins of Extism and components get their client from [`Extism::http`](crate::Extism::http) and
    /// [`Wasi::http`](crate::Wasi::http).
    #[must_use]
    pub fn http(mut self, client: impl HttpClient) -> Self {
        self.insert("env", "host_http_request", request::send(client));
        self
    }

    /// Grants WASI preview 1, under the module names `wasi_snapshot_preview1` and `wasi_unstable`, its
    /// old name, and WASI 0.2 to components. A [`function`](Self::function) granted under a name of WASI's takes
    /// precedence.
    #[must_use]
    pub fn wasi(mut self, wasi: Wasi) -> Self {
        self.wasi = Some(WasiGrant {
            wasi: Arc::new(wasi),
            find: wasi::find::<T>,
            #[cfg(feature = "component")]
            find_interface: wasi::find_interface::<T>,
        });
        self
    }

    /// Grants the functions and resources of an interface to components that import it. Of functions with one
    /// name that were granted for compatible versions, the one that was granted last takes precedence.
    #[cfg(feature = "component")]
    #[must_use]
    pub fn interface(mut self, interface: Interface<T>) -> Self {
        self.interfaces.push(Arc::new(interface));
        self
    }

    /// Grants waPC: plugins of that convention load, and call the host as `wapc` allows.
    #[must_use]
    pub fn wapc(self, wapc: Wapc) -> Self {
        self.protocol(Arc::new(abi::wapc::Granted::new(wapc)))
    }

    /// Grants Extism's environment: plugins of that convention load.
    #[must_use]
    pub fn extism(self, extism: Extism) -> Self {
        self.protocol(Arc::new(abi::extism::Granted::new(extism)))
    }

    /// Grants the convention of Typst's plugins: these load.
    #[must_use]
    pub fn typst(self) -> Self {
        self.protocol(Arc::new(Typst))
    }

    /// Grants a convention. Replaces an earlier grant of it.
    fn protocol(mut self, protocol: Arc<dyn Protocol>) -> Self {
        let convention = protocol.convention();
        self.protocols
            .retain(|(known, _)| known.convention() != convention);
        self.protocols.push((protocol, abi::bind::<T>));
        self
    }

    /// Supplies the import `module`.`name`, a function of any type, by a stub: a plugin that can do
    /// without the function loads. A call of it stops the guest with a trap of the kind
    /// [`Stub`](crate::TrapKind::Stub), which names it. The name `*` stands for all functions of the
    /// module. A function that is granted under the name, in a type that fits, takes precedence. If `module` is an
    /// interface of a component, its version may be left out, or be a compatible one; `$root` stands for the functions
    /// that the world imports directly.
    ///
    /// Memories, tables and globals can't be stubbed.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (import "env" "fork" (func $fork (result i32)))
    /// #   (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    /// #   (func (export "spawn") (drop (call $fork))))"#)?;
    /// use hostel_core::{Engine, Grants};
    /// let grants = Grants::new().trap("env", "fork");
    /// let plugin = Engine::default().load("m", &wasm, &grants)?;
    /// assert_eq!(plugin.call::<(u32, u32), u32>("add", (10, 20))?, 30);
    /// let stopped = plugin.call::<(), ()>("spawn", ()).unwrap_err();
    /// assert_eq!(stopped.code(), "trap-stub");
    /// assert!(stopped.to_string().contains("`env.fork`"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn trap(mut self, module: &str, name: &str) -> Self {
        self.stubs.get_or_insert_with(Stubs::new).add(module, name);
        self
    }

    /// Sets the convention of the plugin, instead of [finding](Convention::of) it.
    #[must_use]
    pub fn with_convention(mut self, convention: Convention) -> Self {
        self.convention = Some(convention);
        self
    }

    /// Returns the protocol of a module; `None` if its convention is native, or is not granted.
    pub(crate) fn protocol_of(&self, module: &ModuleInfo) -> Option<Arc<dyn Protocol>> {
        let granted = self.granted(self.convention_of(module));
        granted.map(|(protocol, _)| protocol.clone())
    }

    /// Returns the convention of a module.
    fn convention_of(&self, module: &ModuleInfo) -> Convention {
        self.convention.unwrap_or_else(|| Convention::of(module))
    }

    /// Returns the convention of modules that are linked: the first that is not native, or the native one.
    pub(crate) fn convention_of_all<'a>(
        &self,
        modules: impl Iterator<Item = &'a ModuleInfo>,
    ) -> Convention {
        let mut found = modules.map(|module| self.convention_of(module));
        let foreign = found.find(|convention| *convention != Convention::Native);
        foreign.unwrap_or(Convention::Native)
    }

    /// Returns the grant of a convention.
    fn granted(&self, convention: Convention) -> Option<&ProtocolGrant<T>> {
        let mut known = self.protocols.iter();
        known.find(|(protocol, _)| protocol.convention() == convention)
    }

    /// Sets the limits of a plugin that is loaded with these grants; by default the engine's. So the
    /// plugins of one [`Host`](crate::Host), or of one directory, can have limits of their own.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (memory 2) (func (export "f")))"#)?;
    /// use hostel_core::{Engine, Grants, Host, Limits};
    /// let host = Host::new(Engine::default());
    /// let mut limits = Limits::server();
    /// limits.memory_bytes = 64 << 10;
    /// let refused = host.insert("small", &wasm, &Grants::new().with_limits(limits));
    /// assert_eq!(refused.unwrap_err().code(), "over-limit");
    /// host.insert("large", &wasm, &Grants::new())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(Arc::new(limits));
        self
    }

    /// Sets the budget of calls of a plugin that is loaded with these grants; by default the engine's.
    /// A call, or a handle of the plugin, can still have one of its own.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(Arc::new(budget));
        self
    }

    /// Returns the limits that were set for the plugin.
    #[must_use]
    pub fn limits(&self) -> Option<&Limits> {
        self.limits.as_deref()
    }

    /// Returns the budget that was set for the plugin.
    #[must_use]
    pub fn budget(&self) -> Option<&Budget> {
        self.budget.as_deref()
    }

    /// Returns these grants without limits and budget, for an engine that has them.
    pub(crate) fn without_bounds(&self) -> Self {
        Self {
            limits: None,
            budget: None,
            ..self.clone()
        }
    }

    /// Grants the functions of a store.
    fn state_functions(mut self, store: impl StateStore, namespace: Option<&str>) -> Self {
        for (name, function) in state::functions(store, namespace) {
            self.insert("env", name, function);
        }
        self
    }

    /// Adds a function, or replaces the one of that name.
    fn insert(&mut self, module: &str, name: &str, function: Function<T>) {
        match self.position(module, name) {
            Ok(at) => {
                if let Some((_, _, known)) = self.functions.get_mut(at) {
                    *known = function.0;
                }
            }
            Err(at) => {
                let named = (module.into(), name.into(), function.0);
                self.functions.insert(at, named);
            }
        }
    }

    /// Returns the position of the function under a name, or where it would be.
    fn position(&self, module: &str, name: &str) -> Result<usize, usize> {
        self.functions
            .binary_search_by(|(m, n, _)| (&**n, &**m).cmp(&(name, module)))
    }

    /// Returns the function that was granted under a name to plugins of this convention, or else a stub.
    fn find(
        &self,
        convention: Convention,
        module: &str,
        name: &str,
        ty: &Signature,
    ) -> Option<Arc<dyn HostFunction<T>>> {
        let found = self.position(module, name).ok();
        let found = found
            .and_then(|at| self.functions.get(at))
            .map(|(_, _, function)| function.clone())
            .or_else(|| {
                let (_, made) = self.log.as_ref()?;
                let named = [LOG_AT, ABORT].into_iter().zip(made);
                let mut found = named.filter(|(known, _)| *known == (module, name));
                found.next().map(|(_, make)| make().0)
            })
            .or_else(|| {
                let grant = self.wasi.as_ref()?;
                (grant.find)(&grant.wasi, module, name)
            })
            .or_else(|| {
                let (protocol, bind) = self.granted(convention)?;
                bind(protocol, module, name, ty)
            });
        match &self.stubs {
            Some(stubs) => stubs.choose(found, module, name, ty),
            None => found,
        }
    }

    /// Returns the sink of log records.
    pub(crate) fn sink(&self) -> Option<Arc<dyn LogSink>> {
        self.log.as_ref().map(|(sink, _)| sink.clone())
    }

    /// Binds each import of the module to the function that was granted for it, in their order.
    ///
    /// # Errors
    ///
    /// [`LoadError::Refused`] for an import that does not fit; [`check_imports`] finds these before.
    // Not inlined, so that its native stack does not stay in use while the module is compiled.
    #[inline(never)]
    pub(crate) fn bind_all(&self, info: &ModuleInfo) -> Result<Vec<Arc<Binding<T>>>, LoadError> {
        let convention = self.convention_of(info);
        let mut bindings = Vec::with_capacity(info.imports.len());
        for import in &info.imports {
            bindings.push(self.bind_import(convention, import)?);
        }
        Ok(bindings)
    }

    /// Binds one import of a plugin of this convention to the function that was granted for it.
    pub(crate) fn bind_import(
        &self,
        convention: Convention,
        import: &Import,
    ) -> Result<Arc<Binding<T>>, LoadError> {
        // An error, since leaving one out would bind all later imports to the wrong function.
        let binding = self.bind(convention, import);
        binding.ok_or_else(|| LoadError::refused("an import is bound to nothing"))
    }

    /// Binds one import; `None` if nothing fits it.
    fn bind(&self, convention: Convention, import: &Import) -> Option<Arc<Binding<T>>> {
        let Extern::Function(ty) = &import.ty else {
            return None;
        };
        let function = self.find(convention, &import.module, &import.name, ty)?;
        #[cfg(feature = "trace")]
        let function = self.told(function, &import.module, &import.name);
        let results = function.results();
        let shape = native::shape_of(&function.params(), &results, ty)?;
        let result_shape = ResultShape {
            name: match &*import.module {
                // A function of a world itself.
                #[cfg(feature = "contract")]
                FIXED_ROOT if self.fixed => import.name.clone().into(),
                module => [module, separator(module), &import.name].concat().into(),
            },
            shape,
            record: Record::size(&results.flat),
        };
        Some(Arc::new(Binding::new(function, result_shape)))
    }

    /// Returns module and name of each granted function. WASI's are excluded, and [`ABORT`], which
    /// compilers import by themselves.
    fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let functions = self.functions.iter();
        let functions = functions.map(|(module, name, _)| (&**module, &**name));
        // An embedder's function may have taken its place.
        let replaced = functions.clone().any(|known| known == LOG_AT);
        let log_at = self.log.iter().filter(move |_| !replaced);
        functions.chain(log_at.map(|_| LOG_AT))
    }
}

impl<T: 'static> Default for Grants<T> {
    fn default() -> Self {
        Self::with_data()
    }
}

impl<T> Clone for Grants<T> {
    fn clone(&self) -> Self {
        Self {
            functions: self.functions.clone(),
            log: self.log.clone(),
            wasi: self.wasi.clone(),
            protocols: self.protocols.clone(),
            stubs: self.stubs.clone(),
            #[cfg(feature = "component")]
            interfaces: self.interfaces.clone(),
            #[cfg(feature = "contract")]
            fixed: self.fixed,
            convention: self.convention,
            limits: self.limits.clone(),
            budget: self.budget.clone(),
            #[cfg(feature = "trace")]
            calls: self.calls.clone(),
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
