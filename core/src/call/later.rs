//! [`Later`]: a future of the embedder's, for which a guest is suspended.

use super::{Shared, access::InstanceAccess, alarm::Alarm, canceller::Canceller, meter::Meter};
use crate::error::{CallError, Trap, TrapKind};
use alloc::boxed::Box;
use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A future of the embedder's, for which a guest is suspended.
pub(crate) struct Later<R> {
    future: Pin<Box<dyn Future<Output = R> + Send>>,
    /// Ends an awaited call's wait at the deadline.
    alarm: Option<Alarm>,
}

impl<R> Later<R> {
    pub(crate) fn new(future: Pin<Box<dyn Future<Output = R> + Send>>) -> Self {
        let alarm = None;
        Self { future, alarm }
    }

    /// Polls the future. Contains its panics, and fails if the call is cancelled or past its deadline.
    pub(crate) fn poll(
        &mut self,
        access: &InstanceAccess<'_>,
        context: &mut Context<'_>,
    ) -> Result<Poll<R>, CallError> {
        let call = (access.shared, &*access.meter, access.canceller);
        self.poll_for(call, access.blocks, context)
    }

    /// Polls the future for a call with this state, as [`poll`](Self::poll) does.
    pub(crate) fn poll_for(
        &mut self,
        (shared, meter, canceller): (&Shared, &Meter, Option<&Canceller>),
        blocks: bool,
        context: &mut Context<'_>,
    ) -> Result<Poll<R>, CallError> {
        let mut polled = None;
        let platform = &shared.platform;
        platform.contain(&mut || polled = Some(self.future.as_mut().poll(context)));
        let Some(polled) = polled else {
            return Err(CallError::Trap(Trap::new(TrapKind::HostPanic, "")));
        };
        // After the poll: an answer that came too late does not count.
        meter.check(canceller, &**platform)?;
        // A blocked thread wakes at the deadline by itself.
        if polled.is_pending()
            && !blocks
            && let Some(until) = meter.until()
        {
            let alarm = self
                .alarm
                .get_or_insert_with(|| Alarm::new(platform, until));
            alarm.set(context);
        }
        Ok(polled)
    }

    /// Returns the time of the next attempt: never, since the future or the alarm wakes the call.
    pub(crate) const fn next(&self) -> Option<Duration> {
        Some(Duration::MAX)
    }
}
