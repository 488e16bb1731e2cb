//! Typed host functions: from a guest's values to a Rust closure and back.

use super::{
    Context, HostCall,
    define::{Define, definition},
};
use crate::{
    base::{fuel::Spending, platform::Platform, shape::Shape},
    call::{
        StoreData,
        delivery::Delivery,
        meter,
        suspend::{self, Suspended, Work},
    },
    error::{CallError, Trap, TrapKind},
    marshal::{FlatCounts, Lift, Lifter, Lower, Types},
};
use alloc::{boxed::Box, sync::Arc};
use core::{future::Future, marker::PhantomData, pin::Pin};
use wasmi::{AsContextMut, Caller, ResumableCallOutOfFuel, StoreContextMut};

/// A host function behind its types.
pub(crate) trait HostFunction<T>: Send + Sync + 'static {
    fn params(&self) -> Types;

    fn results(&self) -> Types;

    /// How it is defined for an import of this shape.
    fn define(&self, shape: Shape) -> Define<T>;

    /// Whether it never runs guest code: then the guest's allocator may call it, also while the host
    /// waits for that. Go's run time can't do without the clock there.
    fn runs_no_guest(&self) -> bool {
        false
    }

    /// Lifts the parameters, runs the closure, lowers its result.
    fn call(
        &self,
        guest: StoreContextMut<'_, StoreData<T>>,
        call: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>>;
}

/// Why a host function gives no results, or none yet. Boxed, it is a word for all who hand it on.
pub(crate) enum Unfinished {
    Failed(CallError),
    /// The guest has to wait.
    Suspended(Suspended),
}

impl From<CallError> for Box<Unfinished> {
    #[cold]
    #[inline(never)]
    fn from(error: CallError) -> Self {
        Self::new(Unfinished::Failed(error))
    }
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
    Later(Later<V>),
}

/// A value that comes later.
type Later<V> = Pin<Box<dyn Future<Output = Result<V, Trap>> + Send>>;

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
/// let grants = Grants::new().function("shop", "price", |article: &str| {
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

/// What a host function may use: the guest's values and memory, which it needs if it `reads`, and
/// the instance's data.
#[inline(always)]
fn lend<'a, T>(
    guest: &'a mut StoreContextMut<'_, StoreData<T>>,
    call: &'a HostCall<'_, '_>,
    reads: bool,
) -> (Lifter<'a>, Context<'a, T>) {
    let memory = guest.data().guest.memory.filter(|_| reads);
    let (memory, state) = match memory {
        Some(memory) => {
            let (bytes, state) = memory.data_and_store_mut(guest.as_context_mut());
            (Some(&*bytes), state)
        }
        None => (None, guest.data_mut()),
    };
    // Both are of one budget: nothing wraps.
    let fuel = call.slice.wrapping_add(state.meter.reserve);
    let spending = Spending::new(fuel, &call.spent);
    let lifter =
        Lifter::new(call.params(), memory, spending).arguments(state.meter.budget().argument_bytes);
    let context = Context {
        data: &mut state.data,
        shared: &state.shared,
        meter: &mut state.meter,
        spending,
    };
    (lifter, context)
}

/// Runs the embedder's code where a panic in it may be contained.
pub(crate) fn contained<R>(
    platform: &dyn Platform,
    work: impl FnOnce() -> Result<R, CallError>,
) -> Result<R, CallError> {
    let (mut work, mut result) = (Some(work), None);
    platform.contain(&mut || result = work.take().map(|work| work()));
    result.unwrap_or_else(|| Err(panicked()))
}

pub(super) fn panicked() -> CallError {
    CallError::Trap(Trap::new(TrapKind::HostPanic, ""))
}

/// What the guest waits for whose allocator needs longer. Apart from the rest, since it takes native
/// stack, and is rare.
#[cold]
#[inline(never)]
fn later(paused: ResumableCallOutOfFuel, delivery: &mut Delivery<'_>) -> Work {
    let delivery = core::mem::replace(delivery, Delivery::new(None));
    Work::Buffers(Some(paused), Box::new(delivery.into_owned()))
}

/// Lowers a closure's result into the guest.
#[inline(always)]
fn lower<T, R: HostReturn>(
    guest: &mut StoreContextMut<'_, StoreData<T>>,
    call: &mut HostCall<'_, '_>,
    returned: R,
) -> Result<(), Box<Unfinished>> {
    let value = match returned.into_answer() {
        Answer::Now(value) => value.map_err(CallError::Trap)?,
        Answer::Later(value) => return Err(call.waits(awaited(value))),
    };
    if R::Value::CORE.is_nothing() {
        return Ok(());
    }
    match value.number() {
        Some(number) => call.give_number(number),
        None => lower_values(guest, call, &value)?,
    }
    Ok(())
}

/// Lowers a result of several values, or one that needs buffers, in the import's shape. Apart from
/// the rest, since it takes native stack.
#[inline(never)]
fn lower_values<T, V: Lower>(
    guest: &mut StoreContextMut<'_, StoreData<T>>,
    call: &mut HostCall<'_, '_>,
    value: &V,
) -> Result<(), Box<Unfinished>> {
    let mut delivery = Delivery::new(None);
    value.lower(&mut delivery.lowered)?;
    deliver(guest, call, &mut delivery)
}

/// Brings values into the guest and to its import.
#[inline(never)]
fn deliver<T>(
    guest: &mut StoreContextMut<'_, StoreData<T>>,
    call: &mut HostCall<'_, '_>,
    delivery: &mut Delivery<'_>,
) -> Result<(), Box<Unfinished>> {
    // The guest's own code may run now, with the fuel that is left.
    meter::charge(guest, call.spent.take())?;
    if let Some(paused) = suspend::deliver_in_call(&mut Caller::from(&mut *guest), delivery)? {
        return Err(call.waits(later(paused, delivery)));
    }
    call.give(guest, &mut delivery.lowered.values)?;
    Ok(())
}

/// What the guest waits for where a host function is asynchronous.
#[cold]
#[inline(never)]
fn awaited<V: Lower + 'static>(value: Later<V>) -> Work {
    Work::Results(Box::pin(async {
        let value = value.await.map_err(CallError::Trap)?;
        let mut delivery = Delivery::new(None);
        value.lower(&mut delivery.lowered)?;
        Ok(Box::new(delivery.into_owned()))
    }))
}

/// Implements closures of one number of parameters, with and without a context.
macro_rules! host_function {
    ($($param:ident)*) => {
        #[allow(non_snake_case, unused_mut, unused_variables)] // parameters are named after their types; there may be none
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

            fn define(&self, shape: Shape) -> Define<T> {
                definition(FlatCounts::NOTHING $(.and($param::CORE))*, R::Value::CORE, shape)
            }

            fn call(&self, mut guest: StoreContextMut<'_, StoreData<T>>, call: &mut HostCall<'_, '_>) -> Result<(), Box<Unfinished>> {
                // Names one of the two bounds on `F`; a plain call would be ambiguous.
                fn run<$($param,)* R>(function: &impl Fn($($param),*) -> R, $($param: $param),*) -> R {
                    function($($param),*)
                }
                let returned = {
                    let (mut from, _) = lend(&mut guest, call, false $(|| $param::READS)*);
                    $(let $param = $param::lift(&mut from)?;)*
                    run(&self.function, $($param),*)
                };
                lower(&mut guest, call, returned)
            }
        }

        #[allow(non_snake_case, unused_mut, unused_variables)] // as above
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

            fn define(&self, shape: Shape) -> Define<T> {
                definition(FlatCounts::NOTHING $(.and($param::CORE))*, R::Value::CORE, shape)
            }

            fn call(&self, mut guest: StoreContextMut<'_, StoreData<T>>, call: &mut HostCall<'_, '_>) -> Result<(), Box<Unfinished>> {
                #[allow(clippy::too_many_arguments)] // as many as a host function may have
                fn run<T, $($param,)* R>(
                    function: &impl Fn(&mut Context<'_, T>, $($param),*) -> R,
                    context: &mut Context<'_, T>,
                    $($param: $param),*
                ) -> R {
                    function(context, $($param),*)
                }
                let returned = {
                    let (mut from, mut context) = lend(&mut guest, call, false $(|| $param::READS)*);
                    $(let $param = $param::lift(&mut from)?;)*
                    run(&self.function, &mut context, $($param),*)
                };
                lower(&mut guest, call, returned)
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
