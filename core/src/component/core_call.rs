//! A call of the core function of a component-level one: its arguments are delivered, it runs, and `post-return` runs.

use super::{
    broken,
    canon::{Canon, Delivery, Shape},
};
use crate::{
    call::{
        StoreData,
        run::{Run, word},
    },
    error::CallError,
};
use core::task::{Context, Poll, ready};
use wasmi::{Func, Store, Val};

/// Fails if the guest must not call imports now, since its `realloc` or `post-return` runs.
pub(super) fn check_may_leave<T>(state: &StoreData<T>) -> Result<(), CallError> {
    match state.guest.nested {
        true => Err(cannot_leave()),
        false => Ok(()),
    }
}

/// Returns the trap of a guest that calls an import in `realloc` or `post-return`.
#[cold]
pub(super) fn cannot_leave() -> CallError {
    broken("cannot leave component instance")
}

/// A function that a component defines, looked up in an instance.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(super) function: Func,
    pub(super) canon: Canon,
}

/// A run of the core function of a lifted one, in progress.
pub(crate) struct Calling<'v> {
    arguments: Delivery<'v>,
    /// Whether the arguments are delivered.
    delivered: bool,
    run: Run,
    /// The result: a core value, or a pointer to it.
    result: [Val; 1],
    /// Number of core results.
    results: usize,
}

impl<'v> Calling<'v> {
    /// Returns a call with these arguments of a function of this shape.
    pub(super) fn new(arguments: Delivery<'v>, shape: &Shape) -> Self {
        Self {
            arguments,
            delivered: false,
            run: Run::default(),
            result: [word(0)],
            results: match shape.result {
                Some(_) => 1,
                None => shape.results,
            },
        }
    }

    /// Delivers the arguments and runs the core function.
    pub(super) fn poll<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        entry: &Entry,
    ) -> Poll<Result<(), CallError>> {
        if !self.delivered {
            ready!(self.arguments.poll(store, context, &entry.canon))?;
            self.delivered = true;
        }
        let results = self.result.get_mut(..self.results).unwrap_or_default();
        let params = self.arguments.flat();
        self.run
            .poll(store, context, entry.function, params, results)
    }

    /// Returns the core results.
    pub(super) fn results(&self) -> &[Val] {
        self.result.get(..self.results).unwrap_or_default()
    }

    /// Runs `post-return`, if there is one, after [`poll`](Self::poll) was ready.
    pub(super) fn poll_post_return<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        canon: &Canon,
    ) -> Poll<Result<(), CallError>> {
        let Some(function) = canon.post_return else {
            return Poll::Ready(Ok(()));
        };
        store.data_mut().guest.nested = true;
        let params = self.result.get(..self.results).unwrap_or_default();
        let polled = self.run.poll(store, context, function, params, &mut []);
        store.data_mut().guest.nested = false;
        polled.map_err(|error| error.in_export("post-return"))
    }
}
