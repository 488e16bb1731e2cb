//! Quotas by time: calls, and fuel.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The quotas of one plugin by time; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Most calls by time.
    pub rate: Option<Rate>,
    /// Most fuel by time.
    pub fuel: Option<FuelWindow>,
}

/// Most calls by time: `burst` at once, and `calls` in each `per` on average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls in each `per`.
    pub calls: u64,
    /// The time in which so many calls are added.
    pub per: Duration,
    /// Most calls that are kept for later.
    pub burst: u64,
}

/// Most fuel of all calls that end in one window of time. A call that runs when it is used up is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuelWindow {
    /// Units of fuel.
    pub units: u64,
    /// The window's length.
    pub per: Duration,
}

/// What a plugin has left of its quotas.
#[derive(Debug)]
pub(crate) struct Meter {
    quota: Quota,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Calls that may be made now, and the time of that count.
    calls: f64,
    counted: Instant,
    /// Fuel used since the window began.
    fuel: u64,
    window: Instant,
}

/// A quota that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsedUp {
    /// Whether it is the quota of fuel, and not that of calls.
    pub(crate) is_fuel: bool,
    /// The time after which a call may succeed.
    pub(crate) after: Duration,
}

impl Meter {
    pub(crate) fn new(quota: Quota, now: Instant) -> Self {
        let calls = quota.rate.map_or(0, |rate| rate.burst);
        Self {
            quota,
            state: Mutex::new(State {
                calls: calls as f64,
                counted: now,
                fuel: 0,
                window: now,
            }),
        }
    }

    /// Returns a meter with another quota, and what was used of this one.
    pub(crate) fn with_quota(&self, quota: Quota, now: Instant) -> Self {
        let next = Self::new(quota, now);
        let used = self.state();
        let mut state = next.state();
        if self.quota.rate == quota.rate {
            (state.calls, state.counted) = (used.calls, used.counted);
        }
        (state.fuel, state.window) = (used.fuel, used.window);
        drop(state);
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, unless a quota is used up.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), UsedUp> {
        if self.quota == Quota::default() {
            return Ok(());
        }
        let mut state = self.state();
        if let Some(window) = self.quota.fuel {
            state.turn(&window, now);
            if state.fuel >= window.units {
                let passed = now.saturating_duration_since(state.window);
                return Err(UsedUp {
                    is_fuel: true,
                    after: window.per.saturating_sub(passed),
                });
            }
        }
        if let Some(rate) = self.quota.rate {
            let each = rate.per.as_secs_f64() / rate.calls as f64;
            let passed = now.saturating_duration_since(state.counted).as_secs_f64();
            state.calls = (state.calls + passed / each).min(rate.burst as f64);
            state.counted = now;
            if state.calls < 1.0 {
                let after = (1.0 - state.calls) * each;
                return Err(UsedUp {
                    is_fuel: false,
                    after: Duration::try_from_secs_f64(after).unwrap_or(rate.per),
                });
            }
            state.calls -= 1.0;
        }
        Ok(())
    }

    /// Counts fuel. Returns whether there is some left.
    pub(crate) fn use_fuel(&self, fuel: u64, now: Instant) -> bool {
        let Some(window) = self.quota.fuel else {
            return true;
        };
        let mut state = self.state();
        state.turn(&window, now);
        state.fuel = state.fuel.saturating_add(fuel);
        state.fuel < window.units
    }

    /// Returns whether fuel is counted at all.
    pub(crate) const fn counts_fuel(&self) -> bool {
        self.quota.fuel.is_some()
    }

    /// Returns the fuel that is left in this window; `None` if it has no bound.
    pub(crate) fn fuel_left(&self, now: Instant) -> Option<u64> {
        let window = self.quota.fuel?;
        let mut state = self.state();
        state.turn(&window, now);
        Some(window.units.saturating_sub(state.fuel))
    }

    /// Returns the time until the window of fuel ends.
    pub(crate) fn window_left(&self, now: Instant) -> Duration {
        let Some(window) = self.quota.fuel else {
            return Duration::ZERO;
        };
        let passed = now.saturating_duration_since(self.state().window);
        window.per.saturating_sub(passed)
    }
}

impl State {
    /// Begins a new window if the last one is over.
    fn turn(&mut self, window: &FuelWindow, now: Instant) {
        if now.saturating_duration_since(self.window) >= window.per {
            self.window = now;
            self.fuel = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn calls_come_back_with_time() {
        let start = Instant::now();
        let rate = Some(Rate {
            calls: 10,
            per: SECOND,
            burst: 3,
        });
        let meter = Meter::new(Quota { rate, fuel: None }, start);
        for _ in 0..3 {
            assert_eq!(meter.admit(start), Ok(()));
        }
        let refused = meter.admit(start).unwrap_err();
        assert_eq!((refused.is_fuel, refused.after), (false, SECOND / 10));
        let later = start + SECOND / 5;
        assert_eq!(
            [(); 3].map(|()| meter.admit(later).is_ok()),
            [true, true, false]
        );
        // No more than the burst is kept.
        let much_later = start + 1_000 * SECOND;
        assert_eq!(
            (0..9).filter(|_| meter.admit(much_later).is_ok()).count(),
            3
        );
    }

    #[test]
    fn fuel_comes_back_with_the_next_window() {
        let start = Instant::now();
        let fuel = Some(FuelWindow {
            units: 100,
            per: SECOND,
        });
        let meter = Meter::new(Quota { rate: None, fuel }, start);
        assert!(meter.use_fuel(99, start));
        assert_eq!(meter.fuel_left(start), Some(1));
        assert!(!meter.use_fuel(5, start));
        let refused = meter.admit(start + SECOND / 4).unwrap_err();
        assert_eq!((refused.is_fuel, refused.after), (true, SECOND * 3 / 4));
        assert_eq!(meter.admit(start + SECOND), Ok(()));
        assert_eq!(meter.fuel_left(start + SECOND), Some(100));
    }

    #[test]
    fn another_quota_keeps_what_was_used() {
        let start = Instant::now();
        let window = |units| Quota {
            rate: None,
            fuel: Some(FuelWindow { units, per: SECOND }),
        };
        let meter = Meter::new(window(100), start);
        meter.use_fuel(80, start);
        let wider = meter.with_quota(window(200), start);
        assert_eq!(wider.fuel_left(start), Some(120));
        assert!(wider.with_quota(window(50), start).admit(start).is_err());
    }
}
