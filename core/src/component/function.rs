//! Typed host functions for components: pass a guest's values to a Rust closure and its result back.

use super::{
    ComponentType, Lift, Lower,
    host_call::{Answered, HostCall, HostFunction, Pending},
    parts::{LiftParts, Parts},
    types::{FunctionType, Types},
    value::Value,
    wit::shown_rust,
};
use crate::{
    call::later::Later,
    error::{CallError, Trap},
    host_functions::{self, Answer, Async, Context},
};
use alloc::{boxed::Box, string::String, sync::Arc};
use core::{
    future::Future,
    marker::PhantomData,
    task::{self, Poll},
};

/// A closure that can be a function of an interface; see [`Interface::function`](super::Interface::function).
///
/// Implemented for closures of up to 16 parameters that implement [`Lift`], with or without a
/// [`&mut Context<'_, T>`](crate::Context) before them, whose result implements [`Returned`]. `M` tells the
/// implementations apart and is always inferred.
pub trait IntoFunction<T, M> {
    #[doc(hidden)]
    fn into_function(self) -> Function<T>;

    /// Returns the function for core modules with a contract.
    #[doc(hidden)]
    fn into_fixed(self) -> host_functions::Function<T>;
}

/// A function of an interface with its types erased.
#[doc(hidden)]
pub struct Function<T>(pub(super) Arc<dyn HostFunction<T>>);

/// A result of a function of an interface: a value that implements [`Lower`], such as `()` or the
/// `Result<value, error>` of WIT's `result`; a `Result<value, Trap>` whose [`Trap`] stops the guest; or an
/// [`Async`] of the latter.
pub trait Returned {
    #[doc(hidden)]
    type Value: Lower + 'static;
    #[doc(hidden)]
    fn into_answer(self) -> Answer<Self::Value>;
}

impl<V: Lower + 'static> Returned for V {
    type Value = V;

    fn into_answer(self) -> Answer<V> {
        Answer::Now(Ok(self))
    }
}

impl<V: Lower + 'static> Returned for Result<V, Trap> {
    type Value = V;

    fn into_answer(self) -> Answer<V> {
        Answer::Now(self)
    }
}

impl<F, V> Returned for Async<F>
where
    F: Future<Output = Result<V, Trap>> + Send + 'static,
    V: Lower + 'static,
{
    type Value = V;

    fn into_answer(self) -> Answer<V> {
        Answer::Later(Box::pin(self.0))
    }
}

/// Gives a closure's result to the call, or returns the work for which the guest waits.
fn answer<T: 'static, R: Returned>(
    call: &mut HostCall<'_, T>,
    returned: R,
) -> Result<Answered<T>, CallError> {
    match returned.into_answer() {
        Answer::Now(value) => {
            give(call, &value.map_err(CallError::Trap)?)?;
            Ok(Answered::Now)
        }
        Answer::Later(value) => Ok(Answered::Later(Box::new(Later::new(value)))),
    }
}

/// Gives a result to the call, if there is one.
fn give<T: 'static, V: Lower>(call: &mut HostCall<'_, T>, value: &V) -> Result<(), CallError> {
    if V::IS_NOTHING {
        return Ok(());
    }
    call.answer(value)
}

impl<T: 'static, V: Lower> Pending<T> for Later<Result<V, Trap>> {
    fn poll(
        &mut self,
        call: &mut HostCall<'_, T>,
        context: &mut task::Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        match Later::poll(self, &call.access(), context) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Err(trap))) => Poll::Ready(Err(CallError::Trap(trap))),
            Ok(Poll::Ready(Ok(value))) => Poll::Ready(give(call, &value)),
        }
    }
}

/// A function over Rust types.
pub(super) struct Typed<C>(pub(super) C);

/// What a function over Rust types takes and returns.
pub(super) trait Closure<T>: Send + Sync + 'static {
    type Params: LiftParts;
    type Result: Returned;

    fn run(&self, context: &mut Context<'_, T>, params: Self::Params) -> Self::Result;
}

/// A closure and its signature.
struct Signed<F, M> {
    function: F,
    signature: PhantomData<fn() -> M>,
}

impl<T: 'static, C: Closure<T>> HostFunction<T> for Typed<C> {
    fn fits(&self, types: &Types, ty: &FunctionType) -> bool {
        C::Params::fit(types, &ty.params)
            && <C::Result as Returned>::Value::fits_optional(types, ty.result)
    }

    fn shown(&self) -> String {
        shown_rust::<C::Params, <C::Result as Returned>::Value>().into()
    }

    fn call(&self, call: &mut HostCall<'_, T>) -> Result<Answered<T>, CallError> {
        let params = call.params()?;
        let returned = self.0.run(&mut call.context(), params);
        answer(call, returned)
    }
}

/// A closure over values of any types.
struct Dynamic<F>(F);

/// Returns the function of a closure over values of any types.
pub(super) fn dynamic<T: 'static, F>(function: F) -> Function<T>
where
    F: Fn(&mut Context<'_, T>, &[Value]) -> Result<Option<Value>, Trap> + Send + Sync + 'static,
{
    Function(Arc::new(Dynamic(function)))
}

impl<T: 'static, F> HostFunction<T> for Dynamic<F>
where
    F: Fn(&mut Context<'_, T>, &[Value]) -> Result<Option<Value>, Trap> + Send + Sync + 'static,
{
    fn fits(&self, _: &Types, _: &FunctionType) -> bool {
        true
    }

    fn shown(&self) -> String {
        "any function".into()
    }

    fn call(&self, call: &mut HostCall<'_, T>) -> Result<Answered<T>, CallError> {
        let values = call.values()?;
        let result = (self.0)(&mut call.context(), &values).map_err(CallError::Trap)?;
        call.answer_value(result.as_ref())?;
        Ok(Answered::Now)
    }
}

/// Implements the traits for closures with one number of parameters, with and without a context. Only
/// a macro can repeat the parameters.
macro_rules! function {
    ($($param:ident)*) => {
        #[allow(non_snake_case)] // parameters are named after their types
        impl<T, F, R, $($param),*> Closure<T> for Signed<F, fn($($param),*) -> R>
        where
            T: 'static,
            F: Fn($($param),*) -> R + Send + Sync + 'static,
            R: Returned + 'static,
            $($param: Lift + 'static,)*
        {
            type Params = ($($param,)*);
            type Result = R;

            fn run(&self, _: &mut Context<'_, T>, ($($param,)*): Self::Params) -> R {
                (self.function)($($param),*)
            }
        }

        #[allow(non_snake_case)] // as above
        impl<T, F, R, $($param),*> Closure<T> for Signed<F, fn(&mut Context<'_, T>, $($param),*) -> R>
        where
            T: 'static,
            F: Fn(&mut Context<'_, T>, $($param),*) -> R + Send + Sync + 'static,
            R: Returned + 'static,
            $($param: Lift + 'static,)*
        {
            type Params = ($($param,)*);
            type Result = R;

            fn run(&self, context: &mut Context<'_, T>, ($($param,)*): Self::Params) -> R {
                (self.function)(context, $($param),*)
            }
        }

        impl<T, F, R, $($param),*> IntoFunction<T, fn($($param),*) -> R> for F
        where
            T: 'static,
            F: Fn($($param),*) -> R + Send + Sync + 'static,
            R: Returned + 'static,
            $($param: Lift + 'static,)*
        {
            fn into_function(self) -> Function<T> {
                Function(Arc::new(Typed(Signed { function: self, signature: PhantomData::<fn() -> fn($($param),*) -> R> })))
            }

            fn into_fixed(self) -> host_functions::Function<T> {
                host_functions::Function(Arc::new(Typed(Signed { function: self, signature: PhantomData::<fn() -> fn($($param),*) -> R> })))
            }
        }

        impl<T, F, R, $($param),*> IntoFunction<T, fn(&mut Context<'_, T>, $($param),*) -> R> for F
        where
            T: 'static,
            F: Fn(&mut Context<'_, T>, $($param),*) -> R + Send + Sync + 'static,
            R: Returned + 'static,
            $($param: Lift + 'static,)*
        {
            fn into_function(self) -> Function<T> {
                Function(Arc::new(Typed(Signed { function: self, signature: PhantomData::<fn() -> fn(&mut Context<'_, T>, $($param),*) -> R> })))
            }

            fn into_fixed(self) -> host_functions::Function<T> {
                host_functions::Function(Arc::new(Typed(Signed { function: self, signature: PhantomData::<fn() -> fn(&mut Context<'_, T>, $($param),*) -> R> })))
            }
        }
    };
}

function! {}
function! { A }
function! { A B }
function! { A B C }
function! { A B C D }
function! { A B C D E }
function! { A B C D E G }
function! { A B C D E G H }
function! { A B C D E G H I }
function! { A B C D E G H I J }
function! { A B C D E G H I J K }
function! { A B C D E G H I J K L }
function! { A B C D E G H I J K L M }
function! { A B C D E G H I J K L M N }
function! { A B C D E G H I J K L M N O }
function! { A B C D E G H I J K L M N O P }
function! { A B C D E G H I J K L M N O P Q }
