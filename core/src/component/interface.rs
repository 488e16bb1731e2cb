//! [`Interface`]: host functions and resources for components, by the names of an interface in WIT.

use super::{
    function::{self, IntoFunction},
    handle::Own,
    host_call::{HostCall, HostFunction, HostInterface, HostResource},
    value::Value,
};
use crate::{
    error::{CallError, Trap},
    host_functions::Context,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{any, fmt, marker::PhantomData};

/// The functions and resources of an interface that the embedder supplies to components; see
/// [`Grants::interface`](crate::Grants::interface).
///
/// Types are compared when a plugin is loaded. A `Result<T, E>` is WIT's `result<T, E>`, unless `E` is a
/// [`Trap`], which stops the guest.
///
/// ```
/// use hostel_core::{Context, Grants, Trap, component::Interface};
///
/// let host = Interface::new("shop:catalogue/prices@0.1.0")
///     .function("price", |article: String| -> Result<u32, String> {
///         match &*article {
///             "lamp" => Ok(1999),
///             _ => Err(format!("no `{article}` here")),
///         }
///     })
///     .function("order", |context: &mut Context<'_, Vec<String>>, article: String| {
///         context.charge(500)?; // pays for the order's work
///         context.data_mut().push(article);
///         Ok::<(), Trap>(())
///     });
/// let grants = Grants::with_data().interface(host);
/// # drop(grants);
/// ```
pub struct Interface<T> {
    name: Box<str>,
    functions: Vec<(Box<str>, Arc<dyn HostFunction<T>>)>,
    resources: Vec<(Box<str>, Arc<dyn HostResource<T>>)>,
}

impl<T: 'static> Interface<T> {
    /// Returns an interface without functions. `name` has the package, and its version if that has one, such as
    /// `shop:catalogue/prices@0.1.0`.
    ///
    /// A plugin may be made for another version if both are compatible by semver: for 0.1.3, but not for
    /// 0.2.0.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            functions: Vec::new(),
            resources: Vec::new(),
        }
    }

    /// Returns a place for the functions that a world imports directly, outside of any interface.
    #[must_use]
    pub fn root() -> Self {
        Self::new("")
    }

    /// Adds a function under its name in WIT. Replaces an earlier function of that name.
    ///
    /// A function of a resource has the name `[constructor]file`, `[method]file.read` or `[static]file.open`.
    ///
    /// `function` is a closure of up to 16 parameters that can be [lifted](super::Lift), preceded by a
    /// `&mut Context<'_, T>` if it needs one. Write out its parameters' types. For its result, see
    /// [`Returned`](super::Returned).
    #[must_use]
    pub fn function<F, M>(self, name: &str, function: F) -> Self
    where
        F: IntoFunction<T, M>,
    {
        self.with(name, function.into_function())
    }

    /// Adds a function for imports of any type under this name. It gets the arguments as values, and returns a
    /// value of the import's type: another one stops the call with
    /// [`CallError::ValueType`](crate::CallError::ValueType).
    #[must_use]
    pub fn dynamic<F>(self, name: &str, function: F) -> Self
    where
        F: Fn(&mut Context<'_, T>, &[Value]) -> Result<Option<Value>, Trap> + Send + Sync + 'static,
    {
        self.with(name, function::dynamic(function))
    }

    /// Adds a resource of the embedder's under its name in WIT. `R` stands for it among the parameters and
    /// results of functions, as [`Own<R>`] and [`Borrow<R>`](super::Borrow).
    ///
    /// `drop` runs when a guest drops the handle that owns a resource.
    ///
    /// ```
    /// use hostel_core::{Context, Grants, Trap, component::{Borrow, Interface, Own, Table}};
    ///
    /// struct Counter(u32);
    /// type State = Table<Counter>;
    ///
    /// let counters = Interface::new("shop:tools/counters")
    ///     .resource("counter", |context: &mut Context<'_, State>, counter: Own<Counter>| {
    ///         context.data_mut().remove(counter).map(drop)
    ///     })
    ///     .function("[constructor]counter", |context: &mut Context<'_, State>| {
    ///         context.data_mut().insert(Counter(0))
    ///     })
    ///     .function("[method]counter.add", |context: &mut Context<'_, State>, this: Borrow<Counter>, more: u32| {
    ///         let counter = context.data_mut().get_mut(&this)?;
    ///         counter.0 += more;
    ///         Ok::<_, Trap>(counter.0)
    ///     });
    /// let grants = Grants::with_data().interface(counters);
    /// # drop(grants);
    /// ```
    #[must_use]
    pub fn resource<R, F>(mut self, name: &str, drop: F) -> Self
    where
        R: 'static,
        F: Fn(&mut Context<'_, T>, Own<R>) -> Result<(), Trap> + Send + Sync + 'static,
    {
        self.resources.retain(|(known, _)| &**known != name);
        let resource = Dropped {
            drop,
            of: PhantomData,
        };
        self.resources.push((name.into(), Arc::new(resource)));
        self
    }

    fn with(mut self, name: &str, function: function::Function<T>) -> Self {
        self.functions.retain(|(known, _)| &**known != name);
        self.functions.push((name.into(), function.0));
        self
    }
}

impl<T> fmt::Debug for Interface<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.functions.iter().map(|(name, _)| name);
        write!(f, "{} ", self.name)?;
        f.debug_set().entries(names).finish()
    }
}

impl<T: 'static> HostInterface<T> for Interface<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn function(&self, name: &str) -> Option<Arc<dyn HostFunction<T>>> {
        let mut known = self.functions.iter();
        let found = known.find(|(known, _)| &**known == name);
        found.map(|(_, function)| function.clone())
    }

    fn resource(&self, name: &str) -> Option<Arc<dyn HostResource<T>>> {
        let mut known = self.resources.iter();
        let found = known.find(|(known, _)| &**known == name);
        found.map(|(_, resource)| resource.clone())
    }
}

/// A resource of the embedder's, with what runs when a guest drops it.
struct Dropped<F, R> {
    drop: F,
    of: PhantomData<fn() -> R>,
}

impl<T, F, R> HostResource<T> for Dropped<F, R>
where
    T: 'static,
    R: 'static,
    F: Fn(&mut Context<'_, T>, Own<R>) -> Result<(), Trap> + Send + Sync + 'static,
{
    fn rust_type(&self) -> any::TypeId {
        any::TypeId::of::<R>()
    }

    fn dropped(&self, call: &mut HostCall<'_, T>, number: u32) -> Result<(), CallError> {
        (self.drop)(&mut call.context(), Own::new(number)).map_err(CallError::Trap)
    }
}
