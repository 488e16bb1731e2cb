//! A function of WASI 0.2 with its types, and one call of it.

use super::{
    super::{
        errno::{Errno, Fail},
        session::Call,
    },
    resources::{self, Entry},
    types::{ErrorCode, StreamError},
};
use crate::{
    component::{
        ComponentType, FunctionType, LiftParts, Lifting, Lower, Lowering, Source, TypeId, Types,
    },
    error::{CallError, Trap, TrapKind},
};
use alloc::{boxed::Box, format};
use core::{fmt, marker::PhantomData};

/// A function of WASI 0.2.
pub(super) trait Function: Sync {
    /// Returns its name in WIT's canonical form, such as `[method]input-stream.read`.
    fn name(&self) -> &'static str;

    /// Returns its type, as WIT.
    fn shown(&self) -> &'static str;

    /// Returns whether it is one for imports of type `ty`.
    fn fits(&self, types: &Types, ty: &FunctionType) -> bool;

    /// Returns whether it has the same result in each new instance of a plugin, and no effect but that: see
    /// preview 1's functions of this kind.
    fn is_repeatable(&self) -> bool {
        false
    }

    /// Lifts the arguments, which are of the types `parts`.
    fn begin(
        &'static self,
        parts: &[TypeId],
        from: &mut Lifting<'_>,
    ) -> Result<Box<dyn Operation>, CallError>;
}

/// One call of a function, with its arguments.
pub(super) trait Operation: Send {
    /// Does the work, or returns what the guest waits for as an error. Then it is called again, and goes on
    /// where it was.
    fn attempt(&mut self, call: &mut Call<'_>) -> Result<Box<dyn Answer>, Fail>;
}

/// A result of any type.
pub(super) trait Answer: Send {
    /// Lowers it.
    fn lower<'v>(&'v self, ty: TypeId, to: &mut Lowering<'v, '_>) -> Result<(), CallError>;
}

impl<R: Lower + Send> Answer for R {
    fn lower<'v>(&'v self, ty: TypeId, to: &mut Lowering<'v, '_>) -> Result<(), CallError> {
        Lower::lower(self, ty, to)
    }
}

/// A result of any type, for the call that it goes to.
pub(super) struct AnyAnswer(pub(super) Box<dyn Answer>);

impl ComponentType for AnyAnswer {
    fn fits(_: &Types, _: TypeId) -> bool {
        true
    }

    fn wit(to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("a result")
    }
}

impl Lower for AnyAnswer {
    fn lower<'v, S: Source>(
        &'v self,
        ty: S::Id,
        to: &mut Lowering<'v, '_, S>,
    ) -> Result<(), CallError> {
        let (to, ty) = S::table_to(to, ty)?;
        self.0.lower(ty, to)
    }
}

/// What a guest gets of an error number.
pub(super) trait Failure<R>: 'static {
    /// The function's result.
    type Result: Lower + Send + 'static;

    /// Returns the result for the outcome `done`.
    fn result(call: &mut Call<'_>, done: Result<R, Errno>) -> Result<Self::Result, Fail>;
}

/// The guest is stopped: the function's type has no error.
pub(super) struct Stops;

impl<R: Lower + Send + 'static> Failure<R> for Stops {
    type Result = R;

    fn result(_: &mut Call<'_>, done: Result<R, Errno>) -> Result<R, Fail> {
        done.map_err(|errno| {
            let why = match errno {
                Errno::Notsup => "not granted to the plugin".into(),
                errno => format!("{errno:?}"),
            };
            Fail::EndCall(CallError::Trap(Trap::new(TrapKind::HostFunction, why)))
        })
    }
}

/// The guest gets the `error-code` of the filesystem.
pub(super) struct GivesCode;

impl<R: Lower + Send + 'static> Failure<R> for GivesCode {
    type Result = Result<R, ErrorCode>;

    fn result(_: &mut Call<'_>, done: Result<R, Errno>) -> Result<Self::Result, Fail> {
        Ok(done.map_err(ErrorCode::from))
    }
}

/// The guest gets a `stream-error` with a resource that tells the error.
pub(super) struct GivesStreamError;

/// A stream's result, or `None` if the stream is closed.
impl<R: Lower + Send + 'static> Failure<Option<R>> for GivesStreamError {
    type Result = Result<R, StreamError>;

    fn result(call: &mut Call<'_>, done: Result<Option<R>, Errno>) -> Result<Self::Result, Fail> {
        Ok(match done {
            Ok(Some(result)) => Ok(result),
            Ok(None) => Err(StreamError::Closed),
            Err(errno) => {
                let error = match call.session.resources.refused_body.take() {
                    Some(size) => Entry::BodySize(size),
                    None => Entry::Error(errno),
                };
                let error = resources::add(call, error)?;
                Err(StreamError::Failed(error))
            }
        })
    }
}

/// A function from the parameters `P` to `R`, whose errors the guest gets as `F` says.
pub(super) struct Typed<P, R, F> {
    name: &'static str,
    shown: &'static str,
    run: Run<P, R>,
    repeatable: bool,
    failure: PhantomData<fn() -> F>,
}

type Run<P, R> = fn(&mut Call<'_>, &mut P) -> Result<R, Fail>;

impl<P, R, F> Typed<P, R, F> {
    const fn new(name: &'static str, shown: &'static str, run: Run<P, R>) -> Self {
        Self {
            name,
            shown,
            run,
            repeatable: false,
            failure: PhantomData,
        }
    }
}

/// Returns a function whose type has no error.
pub(super) const fn plain<P, R>(
    name: &'static str,
    shown: &'static str,
    run: Run<P, R>,
) -> Typed<P, R, Stops> {
    Typed::new(name, shown, run)
}

/// Returns a function that tells what was granted, and nothing else.
pub(super) const fn repeatable<P, R>(
    name: &'static str,
    shown: &'static str,
    run: Run<P, R>,
) -> Typed<P, R, Stops> {
    Typed {
        repeatable: true,
        ..Typed::new(name, shown, run)
    }
}

/// Returns a function whose errors are those of the filesystem.
pub(super) const fn of_files<P, R>(
    name: &'static str,
    shown: &'static str,
    run: Run<P, R>,
) -> Typed<P, R, GivesCode> {
    Typed::new(name, shown, run)
}

/// Returns a function whose errors are those of streams.
pub(super) const fn of_stream<P, R>(
    name: &'static str,
    shown: &'static str,
    run: Run<P, Option<R>>,
) -> Typed<P, Option<R>, GivesStreamError> {
    Typed::new(name, shown, run)
}

impl<P, R, F> Function for Typed<P, R, F>
where
    P: LiftParts + Send + 'static,
    R: 'static,
    F: Failure<R>,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn shown(&self) -> &'static str {
        self.shown
    }

    fn fits(&self, types: &Types, ty: &FunctionType) -> bool {
        P::fit(types, &ty.params) && F::Result::fits_optional(types, ty.result)
    }

    fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    fn begin(
        &'static self,
        parts: &[TypeId],
        from: &mut Lifting<'_>,
    ) -> Result<Box<dyn Operation>, CallError> {
        let params = P::lift_each(parts, from)?;
        Ok(Box::new(Begun {
            function: self,
            params,
        }))
    }
}

/// A call of a typed function.
struct Begun<P: 'static, R: 'static, F: 'static> {
    function: &'static Typed<P, R, F>,
    params: P,
}

impl<P: Send, R, F: Failure<R>> Operation for Begun<P, R, F> {
    fn attempt(&mut self, call: &mut Call<'_>) -> Result<Box<dyn Answer>, Fail> {
        let done = match (self.function.run)(call, &mut self.params) {
            Ok(result) => Ok(result),
            Err(Fail::Errno(errno)) => Err(errno),
            Err(fail) => return Err(fail),
        };
        Ok(Box::new(F::result(call, done)?))
    }
}
