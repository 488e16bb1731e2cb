//! Calls of plugins: each runs in its plugin's lane, within its budget, its deadline and its plugin's quota of fuel.

mod scheduler;
mod task;

pub(crate) use self::{
    scheduler::{Lane, Scheduler},
    task::{Lost, Running, spawn, spawn_here},
};

use crate::{direct::Around, quota::Meter, tenants::Tenant};
use bytes::Bytes;
use hostel::{Budget, CallError, PendingCall, Plugin, Usage, Value};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};
use tracing::Span;

/// Fuel of a slice: some tens of microseconds.
const QUANTUM: u64 = 10_000;

/// A call to be made.
pub(crate) struct Call {
    pub(crate) plugin: Plugin,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) export: Box<str>,
    pub(crate) input: Input,
    /// The time at which the request arrived.
    pub(crate) began: Instant,
    /// Entered while the guest runs, so that its log records tell their request.
    pub(crate) span: Span,
    /// Runs each slice of the guest, if it is given.
    pub(crate) around: Option<Around>,
}

/// The arguments of a call.
pub(crate) enum Input {
    Bytes(Bytes),
    Numbers(Vec<Value>),
}

/// The results of a call.
pub(crate) enum Output {
    Bytes(Vec<u8>),
    Numbers(Vec<Value>),
}

/// A call that has ended.
pub(crate) struct Ended {
    pub(crate) result: Result<Output, Failure>,
    pub(crate) usage: Usage,
}

/// Why a call has no result.
pub(crate) enum Failure {
    Call(CallError),
    /// The plugin's quota of fuel is used up until so much later.
    FuelWindow(Duration),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl Call {
    /// Begins the call in its plugin's lane; its first slice on this thread, if an instance is at hand, no guest waits for
    /// a thread, and no host function can wait for a disk.
    pub(crate) fn start(self) -> Running<Ended> {
        let lane = self.tenant.lane.clone();
        // Making an instance can't be sliced.
        match !self.tenant.may_block && self.plugin.pool_figures().idle > 0 {
            true => spawn_here(lane, self.run()),
            false => spawn(lane, self.run()),
        }
    }

    async fn run(self) -> Ended {
        let Self {
            plugin,
            tenant,
            export,
            input,
            began,
            span,
            around,
        } = self;
        let meter = &tenant.meter;
        let budget = match budget_now(plugin.budget(), began, meter) {
            Ok(budget) => budget,
            Err(failure) => {
                return Ended {
                    result: Err(failure),
                    usage: Usage::default(),
                };
            }
        };
        let narrowed = budget.fuel < plugin.budget().fuel;
        let whole = plugin.budget().deadline;
        let plugin = plugin.with_budget(budget);
        let (result, usage) = match &input {
            Input::Bytes(bytes) => {
                let inputs = [&**bytes];
                let call = plugin.call_arguments_async(&export, &inputs);
                let (result, usage) = metered(call, &tenant, &span, around.as_ref()).await;
                (result.map(Output::Bytes), usage)
            }
            Input::Numbers(numbers) => {
                let call = plugin.call_values_async(&export, numbers);
                let (result, usage) = metered(call, &tenant, &span, around.as_ref()).await;
                (result.map(Output::Numbers), usage)
            }
        };
        let result = result.map_err(|failure| match failure {
            // The budget of this call is what the quota had left.
            Failure::Call(CallError::OutOfFuel { .. }) if narrowed => {
                Failure::FuelWindow(meter.window_left(Instant::now()))
            }
            // It names the deadline that is configured, not the time that was left when the guest began.
            Failure::Call(CallError::Deadline { after }) => Failure::Call(CallError::Deadline {
                after: whole.unwrap_or(after),
            }),
            failure => failure,
        });
        Ended { result, usage }
    }
}

/// Returns the budget of a call that begins now, after its request waited since `began`.
fn budget_now(budget: &Budget, began: Instant, meter: &Meter) -> Result<Budget, Failure> {
    let now = Instant::now();
    let mut budget = *budget;
    if let Some(after) = budget.deadline {
        let left = after.checked_sub(now.saturating_duration_since(began));
        let left = left.filter(|left| !left.is_zero());
        budget.deadline = Some(left.ok_or(CallError::Deadline { after })?);
    }
    if let Some(left) = meter.fuel_left(now) {
        if left == 0 {
            return Err(Failure::FuelWindow(meter.window_left(now)));
        }
        budget.fuel = budget.fuel.min(left);
    }
    Ok(budget)
}

/// Runs a call slice by slice, and counts its fuel after each: also that of a call whose client goes.
async fn metered<R, F>(
    call: PendingCall<F>,
    tenant: &Tenant,
    span: &Span,
    around: Option<&Around>,
) -> (Result<R, Failure>, Usage)
where
    F: Future<Output = Result<R, CallError>>,
{
    let mut call = pin!(call.with_quantum(QUANTUM));
    let mut counted = 0;
    let result = poll_fn(|context| {
        let polled = {
            let _entered = span.enter();
            match around {
                None => call.as_mut().poll(context),
                Some(around) => {
                    let mut polled = Poll::Pending;
                    around(&mut || polled = call.as_mut().poll(context));
                    polled
                }
            }
        };
        let used = call.usage().fuel;
        let more = used.saturating_sub(counted);
        counted = used;
        tenant.figures.fuel(more);
        if tenant.meter.counts_fuel() {
            let now = Instant::now();
            let left = tenant.meter.use_fuel(more, now);
            if polled.is_pending() && !left {
                return Poll::Ready(Err(Failure::FuelWindow(tenant.meter.window_left(now))));
            }
        }
        polled.map_err(Failure::Call)
    })
    .await;
    (result, call.usage())
}
