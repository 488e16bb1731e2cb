//! [`Request`]: a call of a plugin that owns all that it needs.

use super::Plugin;
use crate::{
    base::limits::Budget,
    error::CallError,
    instance::{Instance, PendingCall},
    marshal::{Lift, Lower},
};
use alloc::{boxed::Box, vec::Vec};
use core::future::Future;

/// A call of a plugin that owns all that it needs: the plugin's handle, the input, and data for the
/// host functions. Made by [`Plugin::request`].
///
/// Its awaited calls borrow nothing, so a task of their own can run them (`tokio::spawn`) if `T`, the
/// input and the result can be sent to another thread.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (import "shop" "user" (func $user (result i32)))
/// #   (func (export "who") (result i32) (call $user)))"#)?;
/// use hostel_core::{Context, Engine, Grants, Step};
/// /// What the host functions know of the client.
/// #[derive(Default)]
/// struct Client { id: u32 }
///
/// let grants = Grants::with_data()
///     .function("shop", "user", |context: &mut Context<'_, Client>| context.data().id);
/// let plugin = Engine::default().load("shop", &wasm, &grants)?;
/// let request = plugin.request().with_data(Client { id: 7 });
/// let mut call = request.call_async::<(), u32>("who", ());
/// drop(plugin); // the call has a handle of its own
/// assert_eq!(call.step(10_000), Step::Done(Ok(7)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a request does nothing until it is made"]
pub struct Request<T: 'static = ()> {
    plugin: Plugin<T>,
    data: Option<T>,
}

impl<T: Default + 'static> Plugin<T> {
    /// Prepares a call that owns a handle of the plugin, and may bring data of its own.
    pub fn request(&self) -> Request<T> {
        Request {
            plugin: self.clone(),
            data: None,
        }
    }
}

impl<T: Default + 'static> Request<T> {
    /// Sets the instance's data for this call; by default `T::default()`. The guest's start, which may
    /// have run long before, has `T::default()` in any case.
    pub fn with_data(mut self, data: T) -> Self {
        self.data = Some(data);
        self
    }

    /// Sets the budget of this call; by default that of the plugin's handle.
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.plugin = self.plugin.with_budget(budget);
        self
    }

    /// Calls `process` with `input`; see [`Plugin::process`].
    ///
    /// # Errors
    ///
    /// As for [`Plugin::process`].
    pub fn process(self, input: &[u8]) -> Result<Vec<u8>, CallError> {
        self.run(|instance| instance.process(input))
    }

    /// Calls the export `name`; see [`Plugin::call`].
    ///
    /// # Errors
    ///
    /// As for [`Plugin::call`].
    pub fn call<P, R>(self, name: &str, params: P) -> Result<R, CallError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        self.run(|instance| instance.call(name, params))
    }

    /// Runs `work` with an instance that has this call's data.
    fn run<R>(
        self,
        work: impl FnOnce(&mut Instance<T>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let Self { plugin, data } = self;
        plugin.with_instance(|instance| {
            if let Some(data) = data {
                *instance.data_mut() = data;
            }
            work(instance)
        })
    }

    /// Prepares a call of `process` with `input`, such as a `Vec<u8>`, to run by steps, to await or to
    /// spawn; see [`Plugin::process_async`].
    ///
    /// # Errors
    ///
    /// The call ends with the result of [`process`](Self::process).
    pub fn process_async<I>(
        self,
        input: I,
    ) -> PendingCall<impl Future<Output = Result<Vec<u8>, CallError>> + use<T, I>>
    where
        I: AsRef<[u8]> + 'static,
    {
        PendingCall::begin(|pace| async move {
            let Self { plugin, data } = self;
            let mut taken = plugin.take_paced(&pace, data).await?;
            let result = taken.instance.process_paced(input.as_ref(), pace).await;
            plugin.return_to_pool(taken);
            result
        })
    }

    /// Prepares a call of the export `name`, to run by steps, to await or to spawn; see
    /// [`Plugin::call_async`].
    ///
    /// # Errors
    ///
    /// The call ends with the result of [`call`](Self::call).
    pub fn call_async<P, R>(
        self,
        name: &str,
        params: P,
    ) -> PendingCall<impl Future<Output = Result<R, CallError>> + use<T, P, R>>
    where
        P: Lower + 'static,
        R: for<'m> Lift<View<'m> = R> + 'static,
    {
        let name: Box<str> = name.into();
        PendingCall::begin(|pace| async move {
            let Self { plugin, data } = self;
            let mut taken = plugin.take_paced(&pace, data).await?;
            let result = taken.instance.call_paced(&name, params, pace).await;
            plugin.return_to_pool(taken);
            result
        })
    }
}

impl<T: 'static> core::fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Request")
            .field("plugin", &self.plugin.name())
            .finish_non_exhaustive()
    }
}
