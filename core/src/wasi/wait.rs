//! Waiting for a time and for stdin, never past the call's deadline, and paid for. Where the call is
//! run by steps or awaited, the guest is suspended meanwhile; otherwise its thread waits.

use super::{
    clocks,
    errno::{Errno, Fail},
    input::Stdin,
    session::{Call, contained},
};
use crate::{call::canceller::Canceller, error::CallError};
use core::time::Duration;

/// How long the platform is asked to wait at a time: a canceller does not wake it.
const PIECE: Duration = Duration::from_millis(10);

/// Fuel for each millisecond that begins while the guest waits.
const FUEL_PER_MS: u64 = 100;

/// What a guest waits for.
#[derive(Debug)]
pub(super) struct Wait {
    /// A time on the platform's clock.
    wake: Option<Duration>,
    /// Whether for stdin.
    input: bool,
    /// Until when waiting is paid for; nothing where there is no clock.
    paid: Option<Duration>,
    /// When to look again.
    next: Option<Duration>,
}

impl Wait {
    /// A wait from `now` until `wake` or, with `input`, until stdin has something. Pays for all of it,
    /// where it is known how long that is.
    pub(super) fn until(
        call: &mut Call<'_>,
        now: Option<Duration>,
        wake: Option<Duration>,
        input: bool,
    ) -> Result<Self, Fail> {
        let mut wait = Self {
            wake,
            input,
            paid: now,
            next: None,
        };
        if let Some(wake) = wake
            && !input
        {
            let deadline = call.meter.until().unwrap_or(Duration::MAX);
            wait.pay(call, wake.min(deadline))?;
        }
        Ok(wait)
    }

    /// Whether it is over. If not, pays for waiting until it is to be looked at again.
    pub(super) fn is_over(&mut self, call: &mut Call<'_>) -> Result<bool, Fail> {
        call.check()?;
        if self.input && input_is_ready(call)? {
            return Ok(true);
        }
        if self.paid.is_none() {
            return Ok(false);
        }
        let now = clocks::platform_now(call.shared)?;
        if self.wake.is_some_and(|wake| now >= wake) {
            return Ok(true);
        }
        let ends = [
            self.wake,
            call.meter.until(),
            Some(now.saturating_add(PIECE)),
        ];
        self.next = ends.into_iter().flatten().min();
        self.pay(call, self.next.unwrap_or(now))?;
        Ok(false)
    }

    /// When to look again, on the platform's clock, if it has one.
    pub(super) const fn next(&self) -> Option<Duration> {
        self.next
    }

    /// Blocks the thread until it is over.
    pub(super) fn block(&mut self, call: &mut Call<'_>) -> Result<(), Fail> {
        while !self.is_over(call)? {
            // What went wrong there is told when it is looked at again.
            let came = || self.input && input_is_ready(call).unwrap_or(true);
            let stop = || call.canceller.is_some_and(Canceller::is_cancelled) || came();
            let stopped = call.shared.platform.wait_until(&stop, self.next);
            if self.next.is_none() && !stopped {
                // Without a clock there is stdin only, and the platform can't wait for it.
                return Err(Errno::Again.into());
            }
        }
        Ok(())
    }

    /// Charges for waiting until `until`, as far as that is not paid for.
    fn pay(&mut self, call: &mut Call<'_>, until: Duration) -> Result<(), Fail> {
        if let Some(paid) = self.paid
            && until > paid
        {
            let ms = until.saturating_sub(paid).as_micros().div_ceil(1_000);
            let ms = u64::try_from(ms).unwrap_or(u64::MAX);
            call.charge(ms.saturating_mul(FUEL_PER_MS))?;
            self.paid = Some(until);
        }
        Ok(())
    }
}

/// Whether a read of stdin would find something at once, its end included.
pub(super) fn input_is_ready(call: &Call<'_>) -> Result<bool, CallError> {
    match &call.grant.stdin {
        Stdin::Bytes(_) => Ok(true),
        Stdin::Source(source) => contained(call.shared, || source.ready()),
    }
}
