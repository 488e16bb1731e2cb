//! Calls of plugins: each runs in its plugin's lane, within its budget, its deadline and its plugin's quota of fuel.

mod scheduler;
mod task;

pub(crate) use self::{
    scheduler::{Lane, Scheduler},
    task::{Lost, Running, spawn, spawn_here},
};

use crate::{
    direct::Around,
    logs::OfRequest,
    quota::Meter,
    tenants::Tenant,
    typed::{self, Answer, Interface, Stop, Unreadable},
};
use bytes::Bytes;
use hostel::{Budget, CallError, PendingCall, Plugin, Usage, Value};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

/// Fuel of a slice: some tens of microseconds.
const QUANTUM: u64 = 10_000;

/// Most bytes of JSON that are read within a slice. Longer bodies are read on threads apart.
const LONG: usize = 4 << 10;

/// A call to be made.
pub(crate) struct Call {
    pub(crate) plugin: Plugin,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) export: Box<str>,
    pub(crate) input: Input,
    /// The time at which the request arrived.
    pub(crate) began: Instant,
    /// Entered while the guest runs.
    pub(crate) request: OfRequest,
    /// Runs each slice of the guest, if it is given.
    pub(crate) around: Option<Around>,
}

/// The arguments of a call.
pub(crate) enum Input {
    Bytes(Bytes),
    Numbers(Vec<Value>),
    /// Bytes for a component's function of the form [`Form::Bytes`](typed::Form::Bytes).
    ComponentBytes(Bytes),
    /// JSON for a component's function.
    Json(Bytes, Arc<Interface>),
}

/// The results of a call.
pub(crate) enum Output {
    Bytes(Vec<u8>),
    Numbers(Vec<Value>),
    /// The text of JSON.
    Json(String),
}

/// Tells a call that its client has gone, when it is dropped.
pub(crate) struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
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
    /// The body is not the JSON of the function's parameters.
    Json(String),
    /// A component's function returned the error of its `result`, as JSON.
    Function(serde_json::Value),
    /// The server ended the call.
    Lost,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl Call {
    /// Begins the call in its plugin's lane; its first slice on this thread, if an instance is at hand, no guest waits for
    /// a thread, and no host function can wait for a disk.
    pub(crate) fn start(self) -> (Running<Ended>, Gone) {
        let gone = Arc::new(AtomicBool::new(false));
        let lane = self.tenant.lane.clone();
        // Making an instance can't be sliced.
        let begin = match !self.tenant.may_block && self.plugin.pool_figures().idle > 0 {
            true => spawn_here,
            false => spawn,
        };
        (begin(lane, self.run(gone.clone())), Gone(gone))
    }

    async fn run(self, gone: Arc<AtomicBool>) -> Ended {
        let Self {
            plugin,
            tenant,
            export,
            input,
            began,
            request,
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
        let (result, usage) = match input {
            Input::Bytes(bytes) => {
                let inputs = [&*bytes];
                let call = plugin.call_arguments_async(&export, &inputs);
                let (result, usage) = metered(call, &tenant, &request, around.as_ref()).await;
                (result.map(Output::Bytes), usage)
            }
            Input::Numbers(numbers) => {
                let call = plugin.call_values_async(&export, &numbers);
                let (result, usage) = metered(call, &tenant, &request, around.as_ref()).await;
                (result.map(Output::Numbers), usage)
            }
            Input::ComponentBytes(bytes) => {
                let call = plugin.call_component_async(&export, (&*bytes,));
                let (result, usage) = metered(call, &tenant, &request, around.as_ref()).await;
                (result.and_then(of_bytes), usage)
            }
            Input::Json(body, interface) => {
                let reading = Reading {
                    plugin: plugin.clone(),
                    export: export.clone(),
                    body,
                    interface,
                    at: whole.and_then(|after| began.checked_add(after)),
                    gone,
                };
                match reading.read(&tenant).await {
                    Ok(arguments) => {
                        let call = plugin.call_component_values_async(&export, &arguments);
                        let (result, usage) =
                            metered(call, &tenant, &request, around.as_ref()).await;
                        (result.and_then(of_json), usage)
                    }
                    Err(failure) => (Err(failure), Usage::default()),
                }
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

/// The arguments of a component's function, to be read.
struct Reading {
    plugin: Plugin,
    export: Box<str>,
    body: Bytes,
    interface: Arc<Interface>,
    /// The call's deadline.
    at: Option<Instant>,
    gone: Arc<AtomicBool>,
}

impl Reading {
    /// Reads the arguments. A thread apart reads long ones, since that can't be sliced; the time counts for the plugin's lane.
    async fn read(self, tenant: &Tenant) -> Result<Vec<hostel::component::Value>, Failure> {
        if self.body.len() <= LONG {
            return self.read_here();
        }
        let lane = tenant.lane.clone();
        let read = async move {
            let began = Instant::now();
            let read = self.read_here();
            lane.charge(began.elapsed());
            read
        };
        let read = spawn(tenant.reading.clone(), read).await;
        read.unwrap_or(Err(Failure::Lost))
    }

    fn read_here(&self) -> Result<Vec<hostel::component::Value>, Failure> {
        let budget = self.plugin.budget();
        let contract = self.plugin.contract();
        let found =
            contract.and_then(|contract| Some((contract.export(&self.export)?, contract.types())));
        let Some((function, types)) = found else {
            // The call tells which functions there are.
            return Ok(Vec::new());
        };
        let (body, limit) = (&self.body, budget.input_bytes);
        let stop = Stop {
            at: self.at,
            gone: &self.gone,
        };
        let read = typed::arguments(body, types, &self.interface, function.ty, limit, stop);
        read.map_err(|unreadable| match unreadable {
            Unreadable::Json(reason) => Failure::Json(reason),
            Unreadable::TooLarge(error) => Failure::Call(error),
            // A client that has gone learns nothing.
            Unreadable::Stopped => Failure::Call(CallError::Deadline {
                after: budget.deadline.unwrap_or_default(),
            }),
        })
    }
}

/// Returns the output of a component's function over bytes.
fn of_bytes(result: Result<Vec<u8>, String>) -> Result<Output, Failure> {
    let result = result.map_err(|message| CallError::Guest {
        message: message.into(),
    });
    Ok(Output::Bytes(result?))
}

/// Writes the result of a component's function.
fn of_json(result: Option<hostel::component::Value>) -> Result<Output, Failure> {
    match typed::answer(result.as_ref()) {
        Ok(Answer::Success(text)) => Ok(Output::Json(text)),
        Ok(Answer::Error(error)) => Err(Failure::Function(error)),
        // Every value has JSON: no text as a key is anything else.
        Err(error) => Err(Failure::Json(error.to_string())),
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
    request: &OfRequest,
    around: Option<&Around>,
) -> (Result<R, Failure>, Usage)
where
    F: Future<Output = Result<R, CallError>>,
{
    let mut call = pin!(call.with_quantum(QUANTUM));
    let mut counted = 0;
    let result = poll_fn(|context| {
        let polled = {
            let _entered = request.enter();
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
