//! Typed host functions: pass a guest's values to a Rust closure and its result back.

use super::{
    Context, HostCall,
    binding::reentered,
    context::GuestMemory,
    define::{Define, definition},
};
use crate::{
    base::{platform::Platform, shape::Shape},
    call::{
        StoreData,
        delivery::Delivery,
        later,
        suspend::{self, PausedAllocator, Suspended, Work},
    },
    error::{CallError, Trap, TrapKind},
    marshal::{FlatCounts, Lift, Lifter, Lower, Types},
};
use alloc::{boxed::Box, sync::Arc};
use core::{future::Future, marker::PhantomData, pin::Pin};
use wasmi::{AsContextMut, Caller, StoreContextMut};

/// A host function of any type.
pub(crate) trait HostFunction<T>: Send + Sync + 'static {
    /// Returns the types of the parameters.
    fn params(&self) -> Types;

    /// Returns the types of the results.
    fn results(&self) -> Types;

    /// Returns its definition for an import of `shape`.
    fn define(&self, shape: Shape) -> Define<T>;

    /// Returns the error by which it refuses calls while a host function waits for the guest's allocator. `None` if
    /// it never runs guest code: Go's runtime reads the clock there.
    #[cold]
    fn refusal_when_nested(&self) -> Option<CallError> {
        Some(reentered())
    }

    /// Lifts the parameters, runs the closure and lowers its result.
    fn call(
        &self,
        guest: StoreContextMut<'_, StoreData<T>>,
        call: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>>;
}

/// The reason why a host function returned no results. Boxed where it is passed on, so that results
/// stay small.
pub(crate) enum Unfinished {
    Failed(CallError),
    /// The guest has to wait for them.
    Suspended(Suspended),
}

impl From<CallError> for Box<Unfinished> {
    #[cold]
    #[inline(never)]
    fn from(error: CallError) -> Self {
        Self::new(Unfinished::Failed(error))
    }
}

/// A closure that can be a host function; see [`Grants::function`](crate::Grants::function).
///
/// Implemented for closures of up to 6 parameters that implement [`Lift`](crate::Lift), with or
/// without a [`&mut Context<'_, T>`](crate::Context) before them, whose result implements
/// [`HostReturn`]. `M` tells the implementations apart and is always inferred.
pub trait IntoHostFunction<T, M> {
    #[doc(hidden)]
    fn into_host_function(self) -> Function<T>;
}

/// A host function with its types erased.
#[doc(hidden)]
pub struct Function<T>(pub(crate) Arc<dyn HostFunction<T>>);

/// A result of a host function: a value that implements [`Lower`](crate::Lower), a
/// `Result<value, Trap>` whose [`Trap`] stops the guest, or an [`Async`] of the latter.
pub trait HostReturn {
    #[doc(hidden)]
    type Value: Lower + 'static;
    #[doc(hidden)]
    fn into_answer(self) -> Answer<Self::Value>;
}

/// A host function's result, or the future of it.
#[doc(hidden)]
pub enum Answer<V> {
    Now(Result<V, Trap>),
    Later(Later<V>),
}

/// The future of an asynchronous host function.
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

/// The result of an asynchronous host function. The guest is suspended until the future returns.
///
/// The future can't borrow the guest's parameters: copy them into it.
///
/// In a call that is stepped or awaited (such as
/// [`Instance::process_async`](crate::Instance::process_async)), no thread waits. In a blocking call,
/// the calling thread waits by [`Platform::wait_until`](crate::Platform::wait_until). A future that
/// never returns holds its guest until the deadline: set one. An awaited call is woken then by
/// [`Platform::wake_at`](crate::Platform::wake_at), a stepped one ends in the first step after it. An
/// answer that comes later does not count.
///
/// A guest must not re-export the import and have the host call that export: no guest code runs then
/// that could wait, and the call traps.
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

/// A closure and its signature.
struct Typed<F, M> {
    function: F,
    signature: PhantomData<fn() -> M>,
}

/// Borrows the guest's values and memory for lifting, and the rest of the instance for the closure.
/// Looks the memory up only if lifting `reads` it, or the closure has a context and `reaches` it.
#[inline(always)]
fn borrow_guest<'a, T>(
    guest: &'a mut StoreContextMut<'_, StoreData<T>>,
    call: &'a HostCall<'_, '_>,
    reads: bool,
    reaches: bool,
) -> (Lifter<'a>, Context<'a, T>) {
    let memory = guest.data().guest.memory.filter(|_| reads || reaches);
    let (lent, memory, state) = match memory {
        Some(memory) => {
            let (bytes, state) = memory.data_and_store_mut(guest.as_context_mut());
            if reads {
                (Some(&*bytes), GuestMemory::Lent(bytes), state)
            } else {
                (None, GuestMemory::Whole(bytes), state)
            }
        }
        None => (None, GuestMemory::Whole(&mut []), guest.data_mut()),
    };
    let spending = call.spending(state.meter.reserve);
    let lifter =
        Lifter::new(call.params(), lent, spending).arguments(state.meter.budget().argument_bytes);
    #[cfg(feature = "postcard")]
    let lifter = {
        let (canceller, platform) = (state.canceller.as_ref(), &*state.shared.platform);
        lifter.deserializing(state.meter.deserializing(canceller, platform))
    };
    let context = Context {
        data: &mut state.data,
        shared: &state.shared,
        meter: &mut state.meter,
        spending,
        memory,
    };
    (lifter, context)
}

/// Runs the embedder's code. If it panics and the platform contains that, returns a trap.
pub(crate) fn contained<R>(
    platform: &dyn Platform,
    work: impl FnOnce() -> Result<R, CallError>,
) -> Result<R, CallError> {
    let (mut work, mut result) = (Some(work), None);
    platform.contain(&mut || result = work.take().map(|work| work()));
    result.unwrap_or_else(|| Err(panicked()))
}

/// Returns the trap for a panic in a host function.
pub(super) fn panicked() -> CallError {
    CallError::Trap(Trap::new(TrapKind::HostPanic, ""))
}

/// Returns the pending work of a guest whose allocator used up the slice. Not inlined: it is rare and
/// takes native stack.
#[cold]
#[inline(never)]
fn pending_buffers(
    paused: PausedAllocator,
    delivery: &mut Delivery<'_>,
) -> Result<Work, CallError> {
    let delivery = core::mem::replace(delivery, Delivery::new(None));
    let delivery = Box::new(delivery.into_owned()?);
    Ok(Work::Buffers(Some(Box::new(paused)), delivery))
}

/// Lowers a closure's result into the guest.
#[inline(always)]
pub(crate) fn lower<T, R: HostReturn>(
    guest: &mut StoreContextMut<'_, StoreData<T>>,
    call: &mut HostCall<'_, '_>,
    returned: R,
) -> Result<(), Box<Unfinished>> {
    let value = match returned.into_answer() {
        Answer::Now(value) => value.map_err(CallError::Trap)?,
        Answer::Later(value) => return Err(call.waits(pending_results(value))),
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

/// Lowers a result of several values, or one that needs buffers. Not inlined: it takes native stack,
/// which host functions that return a number then don't.
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

/// Brings the values into the guest, and returns them to its import.
#[inline(never)]
fn deliver<T>(
    guest: &mut StoreContextMut<'_, StoreData<T>>,
    call: &mut HostCall<'_, '_>,
    delivery: &mut Delivery<'_>,
) -> Result<(), Box<Unfinished>> {
    if !delivery.lowered.bytes.is_empty() {
        // The guest's allocator runs next, and must not use fuel that is spent already.
        let owed = call.spent.take();
        let guest = &mut Caller::from(&mut *guest);
        if let Some(paused) = suspend::deliver_in_call(guest, delivery, owed)? {
            return Err(call.waits(pending_buffers(paused, delivery)?));
        }
    }
    call.give(guest, &mut delivery.lowered.values)?;
    Ok(())
}

/// Returns the pending work of a guest that called an asynchronous host function.
#[cold]
#[inline(never)]
fn pending_results<V: Lower + 'static>(value: Later<V>) -> Work {
    let results = Box::pin(async {
        let value = value.await.map_err(CallError::Trap)?;
        let mut delivery = Delivery::new(None);
        value.lower(&mut delivery.lowered)?;
        Ok(Box::new(delivery.into_owned()?))
    });
    Work::Results(later::Later::new(results))
}

/// Implements the traits for closures with one number of parameters, with and without a context. Only
/// a macro can repeat the parameters.
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
                // Names one of the two bounds on `F`. A plain call would be ambiguous.
                fn run<$($param,)* R>(function: &impl Fn($($param),*) -> R, $($param: $param),*) -> R {
                    function($($param),*)
                }
                let returned = {
                    let (mut from, _) = borrow_guest(&mut guest, call, false $(|| $param::READS)*, false);
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
                    let (mut from, mut context) = borrow_guest(&mut guest, call, false $(|| $param::READS)*, true);
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
