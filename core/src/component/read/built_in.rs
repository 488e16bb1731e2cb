//! Built-in functions for tasks, threads, streams, futures and errors: their names, types, and what they do here.

use super::{asynchronous, inline::Inliner};
use crate::{
    base::{shape::FlatTypes, signature::ValType},
    component::program::{BuiltIn, ComponentInstance, Does},
    error::LoadError,
};
use component_parser::{CanonicalFunction, ComponentValType};

impl Inliner<'_> {
    /// Returns the built-in function that a component has of `function`.
    pub(super) fn built_in(
        &mut self,
        scope: usize,
        function: CanonicalFunction,
        instance: ComponentInstance,
    ) -> Result<BuiltIn, LoadError> {
        use CanonicalFunction as Of;
        let does = match function {
            Of::ContextGet { slot, .. } => Does::ContextGet(place(slot)),
            Of::ContextSet { slot, .. } => Does::ContextSet(place(slot)),
            Of::BackpressureInc => Does::BackpressureInc,
            Of::BackpressureDec => Does::BackpressureDec,
            _ => Does::Trap,
        };
        // The number of parameters and of results, all of them of type i32.
        let (name, params, results) = match function {
            Of::TaskReturn { result, .. } => {
                return Ok(BuiltIn {
                    name: "task.return",
                    does,
                    params: self.returned(scope, result)?,
                    result: None,
                    instance,
                });
            }
            Of::StreamNew { .. } | Of::FutureNew { .. } => {
                let name = match function {
                    Of::StreamNew { .. } => "stream.new",
                    _ => "future.new",
                };
                return Ok(BuiltIn {
                    name,
                    does,
                    params: FlatTypes::new(),
                    // Both ends.
                    result: Some(ValType::I64),
                    instance,
                });
            }
            Of::BackpressureInc => ("backpressure.inc", 0, 0),
            Of::BackpressureDec => ("backpressure.dec", 0, 0),
            Of::ContextGet { .. } => ("context.get", 0, 1),
            Of::ContextSet { .. } => ("context.set", 1, 0),
            Of::TaskCancel => ("task.cancel", 0, 0),
            Of::SubtaskDrop => ("subtask.drop", 1, 0),
            Of::SubtaskCancel { .. } => ("subtask.cancel", 1, 1),
            Of::StreamRead { .. } => ("stream.read", 3, 1),
            Of::StreamWrite { .. } => ("stream.write", 3, 1),
            Of::StreamForward { .. } => ("stream.forward", 2, 0),
            Of::StreamCancelRead { .. } => ("stream.cancel-read", 1, 1),
            Of::StreamCancelWrite { .. } => ("stream.cancel-write", 1, 1),
            Of::StreamDropReadable { .. } => ("stream.drop-readable", 1, 0),
            Of::StreamDropWritable { .. } => ("stream.drop-writable", 1, 0),
            Of::FutureRead { .. } => ("future.read", 2, 1),
            Of::FutureWrite { .. } => ("future.write", 2, 1),
            Of::FutureForward { .. } => ("future.forward", 2, 0),
            Of::FutureCancelRead { .. } => ("future.cancel-read", 1, 1),
            Of::FutureCancelWrite { .. } => ("future.cancel-write", 1, 1),
            Of::FutureDropReadable { .. } => ("future.drop-readable", 1, 0),
            Of::FutureDropWritable { .. } => ("future.drop-writable", 1, 0),
            Of::ErrorContextNew { .. } => ("error-context.new", 2, 1),
            Of::ErrorContextDebugMessage { .. } => ("error-context.debug-message", 2, 0),
            Of::ErrorContextDrop => ("error-context.drop", 1, 0),
            Of::WaitableSetNew => ("waitable-set.new", 0, 1),
            Of::WaitableSetWait { .. } => ("waitable-set.wait", 2, 1),
            Of::WaitableSetPoll { .. } => ("waitable-set.poll", 2, 1),
            Of::WaitableSetDrop => ("waitable-set.drop", 1, 0),
            Of::WaitableJoin => ("waitable.join", 2, 0),
            Of::ThreadIndex => ("thread.index", 0, 1),
            Of::ThreadNewIndirect { .. } => ("thread.new-indirect", 2, 1),
            Of::ThreadResumeLater => ("thread.resume-later", 1, 0),
            Of::ThreadSuspend => ("thread.suspend", 0, 1),
            Of::ThreadYield => ("thread.yield", 0, 1),
            Of::ThreadSuspendThenResume => ("thread.suspend-then-resume", 1, 1),
            Of::ThreadYieldThenResume => ("thread.yield-then-resume", 1, 1),
            Of::ThreadSuspendThenPromote => ("thread.suspend-then-promote", 1, 1),
            Of::ThreadYieldThenPromote => ("thread.yield-then-promote", 1, 1),
            // Threads that run at the same time have functions of types that no module here can have.
            _ => return Err(asynchronous("a built-in function for shared threads")),
        };
        Ok(BuiltIn {
            name,
            does,
            params: (0..params).map(|_| ValType::I32).collect(),
            result: (results == 1).then_some(ValType::I32),
            instance,
        })
    }

    /// Returns the core types in which `task.return` takes a result.
    fn returned(
        &mut self,
        scope: usize,
        result: Option<ComponentValType>,
    ) -> Result<FlatTypes, LoadError> {
        let Some(result) = self.payload(scope, result)? else {
            return Ok(FlatTypes::new());
        };
        let layout = self.program.types.layout(result);
        Ok(match layout.flat {
            Some(_) => layout.flat_types().iter().copied().collect(),
            // A pointer, if they are too many.
            None => [ValType::I32].into_iter().collect(),
        })
    }
}

fn place(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}
