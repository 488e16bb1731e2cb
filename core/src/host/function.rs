//! Typed host functions: from a guest's values to a Rust closure and back.

use super::Context;
use crate::{
    abi::shape::FlatValues,
    buffers::Delivery,
    call::{self, State},
    error::{CallError, Trap, TrapKind},
    marshal::{Lift, Lifter, Lower, Types},
    platform::Platform,
    run::{self, Work},
};
use alloc::{boxed::Box, sync::Arc};
use core::{cell::Cell, future::Future, marker::PhantomData, pin::Pin};
use wasmi::{Caller, Memory, ResumableCallOutOfFuel, Val};

/// A host function behind its types.
pub(crate) trait HostFunction<T>: Send + Sync + 'static {
    fn params(&self) -> Types;

    fn results(&self) -> Types;

    /// Whether it never runs guest code: then the guest's allocator may call it, also while the host
    /// waits for that. Go's run time can't do without the clock there.
    fn runs_no_guest(&self) -> bool {
        false
    }

    /// Lifts `params`, runs the closure, lowers its result into `results`. Or answers with what the
    /// guest has to wait for.
    fn call(
        &self,
        guest: &mut Caller<'_, State<T>>,
        memory: Option<Memory>,
        params: &[Val],
        results: &mut FlatValues,
    ) -> Result<Option<Work>, CallError>;
}

/// Closures that can be host functions; see [`Grants::function`](crate::Grants::function).
///
/// `M` tells the implementations apart and is always inferred.
pub trait IntoHostFunction<T, M> {
    #[doc(hidden)]
    fn into_host_function(self) -> Function<T>;
}

/// A host function whose types are forgotten.
#[doc(hidden)]
pub struct Function<T>(pub(crate) Arc<dyn HostFunction<T>>);

/// What a host function may return: a value for the guest, or that or a [`Trap`], at once or
/// [later](Async).
pub trait HostReturn {
    #[doc(hidden)]
    type Value: Lower + 'static;
    #[doc(hidden)]
    fn into_answer(self) -> Answer<Self::Value>;
}

/// When a host function's value comes.
#[doc(hidden)]
pub enum Answer<V> {
    Now(Result<V, Trap>),
    Later(Pin<Box<dyn Future<Output = Result<V, Trap>> + Send>>),
}

impl<V: Lower + 'static> HostReturn for V {
    type Value = V;

    fn into_answer(self) -> Answer<V> {
        Answer::Now(Ok(self))
    }
}

impl<V: Lower + 'static> HostReturn for Result<V, Trap> {
    type Value = V;

    fn into_answer(self) -> Answer<V> {
        Answer::Now(self)
    }
}

/// The result of an asynchronous host function: the guest waits for it, no thread does. What the
/// future needs of the guest's parameters has to be copied into it.
///
/// Where a call is run by [`Instance::start`](crate::Instance::start), whoever runs it gets
/// control back meanwhile; otherwise the calling thread waits as its
/// [`Platform`](crate::Platform) can. A future that never ends keeps its guest until the deadline,
/// which is looked at whenever the call is polled: who awaits a call brings a timer.
///
/// A function that a guest exports just as it was imported can't be asynchronous: there is no guest
/// code that could wait.
///
/// ```
/// use hostel_core::{Async, Grants, Trap};
/// # async fn look_up(name: String) -> Option<u32> { Some(name.len() as u32) }
/// let grants = Grants::<()>::new().function("shop", "price", |article: &str| {
///     let article = article.to_owned();
///     Async(async move {
///         look_up(article).await.ok_or_else(|| Trap::host("no such article"))
///     })
/// });
/// # drop(grants);
/// ```
pub struct Async<F>(pub F);

impl<F, V> HostReturn for Async<F>
where
    F: Future<Output = Result<V, Trap>> + Send + 'static,
    V: Lower + 'static,
{
    type Value = V;

    fn into_answer(self) -> Answer<V> {
        Answer::Later(Box::pin(self.0))
    }
}

/// A closure with its signature.
struct Typed<F, M> {
    function: F,
    signature: PhantomData<fn() -> M>,
}

/// Runs `body` with the guest's values and memory and the instance's data, all borrowed, then
/// charges what lifting and the closure spent.
fn with_guest<T, R>(
    guest: &mut Caller<'_, State<T>>,
    memory: Option<Memory>,
    params: &[Val],
    body: impl FnOnce(&mut Lifter<'_>, &mut Context<'_, T>) -> Result<R, CallError>,
) -> Result<R, CallError> {
    let fuel = call::fuel_left(guest);
    let spent = Cell::new(0);
    let result = {
        let (memory, state) = match memory {
            Some(memory) => {
                let (bytes, state) = memory.data_and_store_mut(&mut *guest);
                (Some(&*bytes), state)
            }
            None => (None, guest.data_mut()),
        };
        let most = state.meter.budget().argument_bytes;
        let mut lifter = Lifter::new(params, memory, fuel, &spent, "host function's argument");
        lifter.argument_limit = Some(most);
        let platform = &*state.shared.platform;
        let mut context = Context {
            data: &mut state.data,
            shared: &state.shared,
            meter: &mut state.meter,
            fuel,
            spent: &spent,
        };
        contained(platform, || body(&mut lifter, &mut context))
    };
    call::charge(guest, spent.get())?;
    result
}

/// Runs the embedder's code, which reading and writing serialised values is too, where a panic in
/// it may be contained.
pub(crate) fn contained<R>(
    platform: &dyn Platform,
    work: impl FnOnce() -> Result<R, CallError>,
) -> Result<R, CallError> {
    let (mut work, mut result) = (Some(work), None);
    platform.contain(&mut || result = work.take().map(|work| work()));
    result.unwrap_or_else(|| Err(CallError::Trap(Trap::new(TrapKind::HostPanic, ""))))
}

/// What the guest waits for whose allocator needs longer. Apart from the rest, since it takes native
/// stack, and is rare.
#[cold]
#[inline(never)]
fn later(paused: ResumableCallOutOfFuel, delivery: Delivery<'_>) -> Work {
    Work::Buffers(Some(paused), Box::new(delivery.into_owned()))
}

/// Lowers a closure's result into the guest, or says what it has to wait for.
fn lower<T, R: HostReturn>(
    guest: &mut Caller<'_, State<T>>,
    returned: R,
    values: &mut FlatValues,
) -> Result<Option<Work>, CallError> {
    match returned.into_answer() {
        Answer::Now(value) => {
            let value = value.map_err(CallError::Trap)?;
            if R::Value::NOTHING {
                return Ok(None);
            }
            let platform = guest.data().shared.platform.clone();
            let mut delivery = Delivery::new(None);
            contained(&*platform, || value.lower(&mut delivery.lowered))?;
            if let Some(paused) = run::deliver_in_call(guest, &mut delivery)? {
                return Ok(Some(later(paused, delivery)));
            }
            // There is room: both have the same.
            let _ = values.extend_from_slice(delivery.values());
            Ok(None)
        }
        Answer::Later(value) => Ok(Some(Work::Results(Box::pin(async {
            let value = value.await.map_err(CallError::Trap)?;
            let mut delivery = Delivery::new(None);
            value.lower(&mut delivery.lowered)?;
            Ok(Box::new(delivery.into_owned()))
        })))),
    }
}

/// Implements closures of one number of parameters, with and without a context.
macro_rules! host_function {
    ($($param:ident)*) => {
        #[allow(non_snake_case, unused_variables)] // parameters are named after their types; there may be none
        impl<T, F, R, $($param),*> HostFunction<T> for Typed<F, fn($($param),*) -> R>
        where
            T: 'static,
            F: Send + Sync + 'static,
            F: Fn($($param),*) -> R + for<'m> Fn($($param::View<'m>),*) -> R,
            R: HostReturn + 'static,
            $($param: Lift + 'static,)*
        {
            fn params(&self) -> Types {
                Types::collect(|types| { $($param::types(types);)* })
            }

            fn results(&self) -> Types {
                Types::collect(R::Value::types)
            }

            fn call(&self, guest: &mut Caller<'_, State<T>>, memory: Option<Memory>, params: &[Val], results: &mut FlatValues) -> Result<Option<Work>, CallError> {
                // Names one of the two bounds on `F`; a plain call would be ambiguous.
                fn run<$($param,)* R>(function: &impl Fn($($param),*) -> R, $($param: $param),*) -> R {
                    function($($param),*)
                }
                let returned = with_guest(guest, memory, params, |from, context| {
                    $(let $param = $param::lift(from)?;)*
                    Ok(run(&self.function, $($param),*))
                })?;
                lower(guest, returned, results)
            }
        }

        #[allow(non_snake_case, unused_variables)] // as above
        impl<T, F, R, $($param),*> HostFunction<T> for Typed<F, fn(&mut Context<'_, T>, $($param),*) -> R>
        where
            T: 'static,
            F: Send + Sync + 'static,
            F: Fn(&mut Context<'_, T>, $($param),*) -> R + for<'m> Fn(&mut Context<'_, T>, $($param::View<'m>),*) -> R,
            R: HostReturn + 'static,
            $($param: Lift + 'static,)*
        {
            fn params(&self) -> Types {
                Types::collect(|types| { $($param::types(types);)* })
            }

            fn results(&self) -> Types {
                Types::collect(R::Value::types)
            }

            fn call(&self, guest: &mut Caller<'_, State<T>>, memory: Option<Memory>, params: &[Val], results: &mut FlatValues) -> Result<Option<Work>, CallError> {
                #[allow(clippy::too_many_arguments)] // as many as a host function may have
                fn run<T, $($param,)* R>(
                    function: &impl Fn(&mut Context<'_, T>, $($param),*) -> R,
                    context: &mut Context<'_, T>,
                    $($param: $param),*
                ) -> R {
                    function(context, $($param),*)
                }
                let returned = with_guest(guest, memory, params, |from, context| {
                    $(let $param = $param::lift(from)?;)*
                    Ok(run(&self.function, context, $($param),*))
                })?;
                lower(guest, returned, results)
            }
        }

        impl<T, F, R, $($param),*> IntoHostFunction<T, fn($($param),*) -> R> for F
        where
            T: 'static,
            F: Send + Sync + 'static,
            F: Fn($($param),*) -> R + for<'m> Fn($($param::View<'m>),*) -> R,
            R: HostReturn + 'static,
            $($param: Lift + 'static,)*
        {
            fn into_host_function(self) -> Function<T> {
                Function(Arc::new(Typed { function: self, signature: PhantomData::<fn() -> fn($($param),*) -> R> }))
            }
        }

        impl<T, F, R, $($param),*> IntoHostFunction<T, fn(&mut Context<'_, T>, $($param),*) -> R> for F
        where
            T: 'static,
            F: Send + Sync + 'static,
            F: Fn(&mut Context<'_, T>, $($param),*) -> R + for<'m> Fn(&mut Context<'_, T>, $($param::View<'m>),*) -> R,
            R: HostReturn + 'static,
            $($param: Lift + 'static,)*
        {
            fn into_host_function(self) -> Function<T> {
                Function(Arc::new(Typed { function: self, signature: PhantomData::<fn() -> fn(&mut Context<'_, T>, $($param),*) -> R> }))
            }
        }
    };
}

host_function! {}
host_function! { A }
host_function! { A B }
host_function! { A B C }
host_function! { A B C D }
host_function! { A B C D E }
host_function! { A B C D E G }
