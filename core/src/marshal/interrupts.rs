//! What ends a call early: its deadline and its canceller.

use crate::{base::platform::Platform, error::CallError};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// The deadline and the canceller of the running call. Host work that takes long checks it.
#[derive(Clone, Copy)]
pub(crate) struct Interrupts<'a> {
    /// The deadline, on the platform's clock.
    pub(crate) until: Option<Duration>,
    /// The deadline as the budget has it, for the error.
    pub(crate) after: Duration,
    /// Whether the call is cancelled, if there is a canceller.
    pub(crate) cancelled: Option<&'a AtomicBool>,
    pub(crate) platform: &'a dyn Platform,
}

impl Interrupts<'_> {
    /// Fails if the call was cancelled or has passed its deadline.
    pub(crate) fn check(&self) -> Result<(), CallError> {
        let cancelled = self.cancelled;
        if cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Acquire)) {
            return Err(CallError::Cancelled);
        }
        if let Some(until) = self.until
            && self.platform.now().is_some_and(|now| now >= until)
        {
            return Err(CallError::Deadline { after: self.after });
        }
        Ok(())
    }
}
