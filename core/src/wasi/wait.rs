//! Waiting for a time or for stdin. A wait costs fuel and ends at the call's deadline at the latest. If
//! the call is stepped or awaited, the guest is suspended meanwhile; otherwise its thread sleeps.

#[cfg(feature = "component")]
use super::p2::http;
use super::{
    clocks,
    errno::{Errno, Fail},
    input::Stdin,
    session::{Call, contained},
};
use crate::{call::canceller::Canceller, error::CallError};
#[cfg(feature = "component")]
use alloc::vec::Vec;
use core::time::Duration;

/// Maximum time that the platform waits at once, since a canceller does not wake it.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Fuel for each millisecond, begun or complete, that the guest waits.
const FUEL_PER_MS: u64 = 100;

/// A wait of a guest.
#[derive(Debug)]
pub(super) struct Wait {
    /// The platform's time at which it ends; `None` for stdin alone.
    wake: Option<Duration>,
    /// Whether it also ends when stdin is ready.
    input: bool,
    /// The platform's time up to which waiting is charged; `None` without a clock.
    charged: Option<Duration>,
    /// The platform's time of the next check.
    next: Option<Duration>,
    /// Numbers of the HTTP responses any of which ends it.
    #[cfg(feature = "component")]
    responses: Vec<u32>,
}

impl Wait {
    /// Begins a wait at `now`, which ends at `wake` or, with `input`, when stdin is ready. Charges at once
    /// for a wait of known length, so that a guest with too little fuel does not begin it.
    pub(super) fn until(
        call: &mut Call<'_>,
        now: Option<Duration>,
        wake: Option<Duration>,
        input: bool,
    ) -> Result<Self, Fail> {
        let mut wait = Self {
            wake,
            input,
            charged: now,
            next: None,
            #[cfg(feature = "component")]
            responses: Vec::new(),
        };
        if let Some(wake) = wake
            && !input
        {
            let deadline = call.meter.until().unwrap_or(Duration::MAX);
            wait.charge_until(call, wake.min(deadline))?;
        }
        Ok(wait)
    }

    /// Begins a wait that also ends when one of these HTTP responses is there. A wait for them alone costs nothing.
    #[cfg(feature = "component")]
    pub(super) fn for_responses(
        now: Option<Duration>,
        wake: Option<Duration>,
        input: bool,
        responses: Vec<u32>,
    ) -> Self {
        Self {
            wake,
            input,
            charged: now.filter(|_| wake.is_some() || input),
            next: None,
            responses,
        }
    }

    /// Returns whether HTTP responses end it.
    #[cfg(feature = "component")]
    pub(super) const fn is_for_responses(&self) -> bool {
        !self.responses.is_empty()
    }

    #[cfg(not(feature = "component"))]
    const fn is_for_responses(&self) -> bool {
        false
    }

    /// Returns whether one of the HTTP responses is there.
    #[cfg(feature = "component")]
    fn has_response(&self, call: &mut Call<'_>) -> Result<bool, Fail> {
        for number in &self.responses {
            if !matches!(http::arrival(call, *number)?, http::Arrival::OnItsWay) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns whether the wait is over. If not, charges for waiting until the next check.
    pub(super) fn is_over(&mut self, call: &mut Call<'_>) -> Result<bool, Fail> {
        call.check()?;
        #[cfg(feature = "component")]
        if self.has_response(call)? {
            return Ok(true);
        }
        if self.input && input_is_ready(call)? {
            return Ok(true);
        }
        if self.charged.is_none() {
            return Ok(false);
        }
        let now = clocks::platform_now(call.shared)?;
        if self.wake.is_some_and(|wake| now >= wake) {
            return Ok(true);
        }
        let ends = [
            self.wake,
            call.meter.until(),
            Some(now.saturating_add(CHECK_INTERVAL)),
        ];
        self.next = ends.into_iter().flatten().min();
        self.charge_until(call, self.next.unwrap_or(now))?;
        Ok(false)
    }

    /// Returns the platform's time of the next check; `None` without a clock.
    pub(super) const fn next(&self) -> Option<Duration> {
        self.next
    }

    /// Blocks the thread until the wait is over: `Again` for stdin on a platform that can't wait.
    pub(super) fn block(&mut self, call: &mut Call<'_>) -> Result<(), Fail> {
        if let Some(canceller) = call.canceller {
            canceller.wakes_this_thread();
        }
        while !self.is_over(call)? {
            // An error counts as ready here; `is_over` meets it again and reports it.
            let input_ready = || self.input && input_is_ready(call).unwrap_or(true);
            let stop = || call.canceller.is_some_and(Canceller::is_cancelled) || input_ready();
            let stopped = call.shared.platform.wait_until(&stop, self.next);
            if self.next.is_none() && !stopped {
                // There is no clock, and the platform did not wait for stdin.
                return Err(Errno::Again.into());
            }
        }
        Ok(())
    }

    /// Charges for waiting until `until`, as far as that is not charged yet.
    fn charge_until(&mut self, call: &mut Call<'_>, until: Duration) -> Result<(), Fail> {
        if let Some(charged) = self.charged
            && until > charged
        {
            let ms = until.saturating_sub(charged).as_micros().div_ceil(1_000);
            let ms = u64::try_from(ms).unwrap_or(u64::MAX);
            call.charge(ms.saturating_mul(FUEL_PER_MS))?;
            self.charged = Some(until);
        }
        Ok(())
    }
}

/// Does `work` once the wait `pending`, if any, is over, and again after each wait. If `blocks`, the thread
/// sleeps meanwhile; otherwise returns [`Fail::MustWait`].
pub(super) fn repeat<R>(
    call: &mut Call<'_>,
    blocks: bool,
    pending: Option<Wait>,
    work: &mut dyn FnMut(&mut Call<'_>) -> Result<R, Fail>,
) -> Result<R, Fail> {
    if let Some(mut wait) = pending
        && !wait.is_over(call)?
    {
        return Err(Fail::MustWait(wait));
    }
    loop {
        let mut wait = match work(call) {
            Err(Fail::MustWait(wait)) => wait,
            done => return done,
        };
        // A response wakes a suspended guest.
        if blocks && !wait.is_for_responses() {
            wait.block(call)?;
        } else if !wait.is_over(call)? {
            return Err(Fail::MustWait(wait));
        }
    }
}

/// Returns whether a read of stdin would return at once, with bytes or with the end.
pub(super) fn input_is_ready(call: &Call<'_>) -> Result<bool, CallError> {
    match &call.grant.stdin {
        Stdin::Bytes(_) => Ok(true),
        Stdin::Source(source) => contained(call.shared, || source.ready()),
    }
}
