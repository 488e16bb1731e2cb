//! A host for native tests: settings, state, log, HTTP and host functions, without WebAssembly.
//!
//! Code that [`Host::run`] runs has the host's settings and state, and its log is recorded. All of it is for the
//! thread that runs the code. Outside of `run`, nothing is granted. Limits, fuel and traps are those of
//! WebAssembly: `hostel test` tests a built plugin.
//!
//! ```
//! use hostel_guest::{Error, Level, config, log, state, testing::Host};
//!
//! fn process(name: &str) -> Result<String, Error> {
//!     log(&format!("greeting {name}"));
//!     let greeting = config("greeting").ok_or("the setting `greeting` is missing")?;
//!     let seen = state::get(name)?.is_some();
//!     state::set(name, "seen")?;
//!     Ok(format!("{greeting}, {name}{}", if seen { " again" } else { "" }))
//! }
//!
//! let host = Host::new().config("greeting", "Hello");
//! assert_eq!(host.run(|| process("Ann")), Ok("Hello, Ann".into()));
//! assert_eq!(host.run(|| process("Ann")), Ok("Hello, Ann again".into()));
//! assert_eq!(host.log(), [(Level::Info, "greeting Ann".into()), (Level::Info, "greeting Ann".into())]);
//! assert_eq!(host.state()[&b"Ann"[..]], b"seen");
//! ```

use crate::http::{Request, Response};
use crate::{Error, Input, Level, Output};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::any::Any;
use core::cell::RefCell;
use core::fmt;
use std::collections::BTreeMap;

std::thread_local! {
    /// The hosts of the runs that have begun on this thread, the innermost last.
    static RUNNING: RefCell<Vec<Rc<Inner>>> = const { RefCell::new(Vec::new()) };
}

/// A host that grants what a test gives it.
#[derive(Clone, Default)]
pub struct Host(Rc<Inner>);

#[derive(Default)]
struct Inner {
    config: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
    state: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// The message of each change of the state.
    state_error: RefCell<Option<String>>,
    log: RefCell<Vec<(Level, String)>>,
    functions: RefCell<Vec<Function>>,
    http: RefCell<Option<Rc<Http>>>,
}

/// What answers HTTP requests.
type Http = dyn Fn(&Request) -> Result<Response, Error>;

impl Host {
    /// Creates a host without settings, state and functions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a setting.
    #[must_use]
    pub fn config(self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let (key, value) = (key.as_ref().into(), value.as_ref().into());
        self.0.config.borrow_mut().insert(key, value);
        self
    }

    /// Sets a value of the plugin's state.
    #[must_use]
    pub fn with_state(self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let (key, value) = (key.as_ref().into(), value.as_ref().into());
        self.0.state.borrow_mut().insert(key, value);
        self
    }

    /// Lets each function of [`state`](crate::state) fail with this message from now on, such as
    /// `state-keys: at most 100 keys`.
    #[must_use]
    pub fn with_state_error(self, message: &str) -> Self {
        *self.0.state_error.borrow_mut() = Some(message.into());
        self
    }

    /// Adds a function that [`host_functions!`](crate::host_functions) declares: `NAME::with(closure)`.
    /// Replaces an earlier one of its name.
    #[must_use]
    pub fn function(self, function: Function) -> Self {
        let mut functions = self.0.functions.borrow_mut();
        functions.retain(|known| known.name != function.name);
        functions.push(function);
        drop(functions);
        self
    }

    /// Answers [HTTP requests](crate::http) by a closure, whose error the plugin receives. Replaces an earlier one.
    #[must_use]
    pub fn http(self, answer: impl Fn(&Request) -> Result<Response, Error> + 'static) -> Self {
        *self.0.http.borrow_mut() = Some(Rc::new(answer));
        self
    }

    /// Runs `code` with this host, on this thread.
    pub fn run<R>(&self, code: impl FnOnce() -> R) -> R {
        /// Ends the run, also by a panic.
        struct Ends;
        impl Drop for Ends {
            fn drop(&mut self) {
                RUNNING.with_borrow_mut(|running| running.pop());
            }
        }
        RUNNING.with_borrow_mut(|running| running.push(self.0.clone()));
        let _ends = Ends;
        code()
    }

    /// Calls a plugin's function with the bytes of an input, as [`plugin!`](crate::plugin) does.
    ///
    /// ```
    /// use hostel_guest::{Error, testing::Host};
    /// fn shout(text: &str) -> String { text.to_uppercase() }
    /// assert_eq!(Host::new().call(shout, b"hello"), Ok(b"HELLO".into()));
    /// assert_eq!(Host::new().call(shout, b"\xff"), Err(Error::new("input is not UTF-8")));
    /// ```
    ///
    /// # Errors
    ///
    /// The error that the function returns, or that its input's type does.
    pub fn call<'a, I: Input<'a>, O: Output>(
        &self,
        function: impl FnOnce(I) -> O,
        input: &'a [u8],
    ) -> Result<Vec<u8>, Error> {
        self.run(|| function(I::from_bytes(input)?).into_bytes())
    }

    /// Returns the lines that were logged.
    #[must_use]
    pub fn log(&self) -> Vec<(Level, String)> {
        self.0.log.borrow().clone()
    }

    /// Returns the plugin's whole state.
    #[must_use]
    pub fn state(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.0.state.borrow().clone()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions = self.0.functions.borrow();
        let names: Vec<_> = functions.iter().map(|function| function.name).collect();
        f.debug_struct("Host")
            .field("config", &self.0.config.borrow())
            .field("state", &self.0.state.borrow())
            .field("log", &self.0.log.borrow())
            .field("functions", &names)
            .finish_non_exhaustive()
    }
}

/// A host function of a test.
pub struct Function {
    /// Module and name.
    name: (&'static str, &'static str),
    /// A boxed closure of the declared type.
    stub: Rc<dyn Any>,
}

impl Function {
    #[doc(hidden)]
    pub fn new<F: 'static>(module: &'static str, name: &'static str, stub: F) -> Self {
        Self {
            name: (module, name),
            stub: Rc::new(stub),
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.name).finish()
    }
}

/// Runs `call` with a function of the host.
#[doc(hidden)]
pub fn with_function<F: 'static, R>(
    module: &'static str,
    name: &'static str,
    call: impl FnOnce(&F) -> R,
) -> R {
    // Cloned, so that the function may call others.
    let stub = running().and_then(|host| {
        let functions = host.functions.borrow();
        let mut functions = functions.iter();
        functions
            .find(|known| known.name == (module, name))
            .map(|known| known.stub.clone())
    });
    match stub.as_ref().and_then(|stub| stub.downcast_ref()) {
        Some(function) => call(function),
        None => panic!(
            "the host function `{module}.{name}` was called, and the test has none: add `.function({name}::with(...))` to its `Host`"
        ),
    }
}

/// Returns the host of the innermost run.
fn running() -> Option<Rc<Inner>> {
    RUNNING.with_borrow(|running| running.last().cloned())
}

pub(crate) fn config(key: &[u8]) -> Option<Vec<u8>> {
    running()?.config.borrow().get(key).cloned()
}

pub(crate) fn log(level: Level, line: &str) {
    if let Some(host) = running() {
        host.log.borrow_mut().push((level, line.into()));
    }
}

pub(crate) fn http(request: &Request) -> Result<Response, Error> {
    // Cloned, so that the closure may send requests too.
    let answer = running().and_then(|host| host.http.borrow().clone());
    let answer = answer.ok_or("http-not-allowed: the test's `Host` has no `http`")?;
    answer(request)
}

/// Runs a function of the state's; `None` without a host.
fn on_state<R>(
    work: impl FnOnce(&mut BTreeMap<Vec<u8>, Vec<u8>>) -> R,
) -> Result<Option<R>, Error> {
    let Some(host) = running() else {
        return Ok(None);
    };
    if let Some(message) = &*host.state_error.borrow() {
        return Err(Error::new(message.as_str()));
    }
    let result = work(&mut host.state.borrow_mut());
    Ok(Some(result))
}

pub(crate) fn state_get(key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    Ok(on_state(|state| state.get(key).cloned())?.flatten())
}

pub(crate) fn state_set(key: &[u8], value: &[u8]) -> Result<(), Error> {
    on_state(|state| state.insert(key.into(), value.into())).map(drop)
}

pub(crate) fn state_delete(key: &[u8]) -> Result<(), Error> {
    on_state(|state| state.remove(key)).map(drop)
}

/// Returns at most `max` keys with a prefix, after one.
pub(crate) fn state_list(
    prefix: &[u8],
    after: Option<&[u8]>,
    max: u32,
) -> Result<Vec<Vec<u8>>, Error> {
    let keys = on_state(|state| {
        let keys = state.keys().filter(|key| key.starts_with(prefix));
        let keys = keys.filter(|key| after.is_none_or(|after| ***key > *after));
        keys.take(max as usize).cloned().collect()
    });
    Ok(keys?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{Error, Host, Level, Request, Response};
    use crate::{config, config_bytes, log, log_at, log_message, state};
    use alloc::string::String;
    use alloc::vec::Vec;

    crate::host_functions! {
        "shop" {
            fn price(article: &str) -> Option<u32>;
            fn photo(key: &[u8], width: u32, exact: bool) -> Vec<u8>;
            fn open();
        }
    }

    #[test]
    fn a_run_has_settings_and_its_log_is_recorded() {
        let host = Host::new().config("prefix", "A").config("raw", b"\xff");
        host.run(|| {
            assert_eq!(config("prefix").as_deref(), Some("A"));
            assert_eq!(config_bytes("raw").as_deref(), Some(&b"\xff"[..]));
            assert_eq!(config("other"), None);
            log("one");
            log_message("two");
            log_at(Level::Error, "three");
        });
        log("outside");
        assert_eq!(config("prefix"), None);
        let lines = [
            (Level::Info, "one"),
            (Level::Info, "two"),
            (Level::Error, "three"),
        ];
        assert_eq!(host.log(), lines.map(|(level, line)| (level, line.into())));
    }

    #[test]
    fn state_is_kept_from_run_to_run() {
        let host = Host::new().with_state("a", "1");
        host.run(|| {
            assert_eq!(state::get("a"), Ok(Some(b"1".into())));
            state::set("b", "2").unwrap();
            state::set("ab", "").unwrap();
            state::delete("a").unwrap();
        });
        host.run(|| {
            assert_eq!(state::list(""), Ok(["ab", "b"].map(Vec::from).into()));
            assert_eq!(state::page("", Some(b"ab"), 9), Ok([Vec::from("b")].into()));
            assert_eq!(state::page("", None, 1), Ok([Vec::from("ab")].into()));
            assert_eq!(state::list("b"), Ok([Vec::from("b")].into()));
        });
        assert_eq!(host.state().len(), 2);
        let failing = host.with_state_error("state-keys: too many");
        failing.run(|| {
            let error = Error::new("state-keys: too many");
            assert_eq!(state::set("c", ""), Err(error.clone()));
            assert_eq!(state::get("b"), Err(error.clone()));
            assert_eq!(state::list(""), Err(error));
        });
    }

    #[test]
    fn runs_may_be_nested_and_end_by_a_panic() {
        let (outer, inner) = (Host::new().config("a", "1"), Host::new().config("a", "2"));
        outer.run(|| {
            assert_eq!(inner.run(|| config("a")), Some("2".into()));
            let panics = || inner.run(|| -> () { panic!("expected") });
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
            assert_eq!(config("a"), Some("1".into()));
        });
    }

    #[test]
    fn host_functions_are_closures() {
        let opened = alloc::rc::Rc::new(core::cell::Cell::new(0));
        let counted = opened.clone();
        let host = Host::new()
            .function(price::with(|_| None))
            .function(price::with(|article| (article == "lamp").then_some(7)))
            .function(photo::with(|key, width, exact| {
                let exact = u8::from(exact);
                // One host function may call another.
                open();
                [key, &[width as u8, exact]].concat()
            }))
            .function(open::with(move || counted.set(counted.get() + 1)));
        host.run(|| {
            assert_eq!((price("lamp"), price("sofa")), (Some(7), None));
            assert_eq!(photo(b"x", 2, true), b"x\x02\x01");
            open();
        });
        assert_eq!(opened.get(), 2);
    }

    #[test]
    #[should_panic(expected = "`shop.price` was called, and the test has none")]
    fn a_function_that_the_host_has_not_is_named() {
        Host::new().run(|| price("lamp"));
    }

    #[test]
    fn http_is_a_closure() {
        let fetch = || Request::get("http://a/").header("b", "c").send();
        let error = Error::new("http-not-allowed: the test's `Host` has no `http`");
        assert_eq!(Host::new().run(fetch), Err(error.clone()));
        assert_eq!(fetch(), Err(error));
        let host = Host::new().http(|request| match &*request.url {
            "http://a/" => Request::get("http://b/").send(),
            "http://b/" => Ok(Response::new(418, request.method.as_str())),
            _ => Err(Error::new("no")),
        });
        assert_eq!(host.run(fetch), Ok(Response::new(418, "GET")));
        let other = || Request::post("http://c/", "x").send();
        assert_eq!(host.run(other), Err(Error::new("no")));
    }

    #[test]
    fn a_function_is_called_by_bytes() {
        let reverse = |text: &str| text.chars().rev().collect::<String>();
        assert_eq!(Host::new().call(reverse, b"abc"), Ok(b"cba".into()));
        let fails = |_: &[u8]| -> Result<&str, &str> { Err("no") };
        assert_eq!(Host::new().call(fails, b""), Err(Error::new("no")));
    }
}
