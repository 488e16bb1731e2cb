//! Calls of plugins without HTTP: by the same queues, quotas, deadlines and figures.

use crate::{
    calls::{Call, Ended, Output},
    http::{
        call::{Calling, FUNCTION, Noted, until},
        media,
    },
    logs::OfRequest,
    metrics::OK,
    problem::Problem,
    service::PluginService,
    trace_context::TraceContext,
};
use bytes::Bytes;
use hostel::Usage;
use std::{error::Error, fmt, sync::Arc, time::Instant};

/// Runs one slice of a guest: it must call the function that it is given, once, on its own thread.
pub type Around = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// A call to make.
pub struct DirectCall {
    /// The plugin's name.
    pub plugin: String,
    /// The function or operation; `process` if it is empty.
    pub export: String,
    /// Its input: bytes, or a JSON array for a function over numbers.
    pub input: Bytes,
    /// The time from which the deadline counts.
    pub began: Instant,
    /// The `traceparent` of the request, if it has one.
    pub traceparent: Option<String>,
    /// Runs each slice of the guest; by default nothing does.
    pub around: Option<Around>,
}

/// Why a call has no output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectError {
    /// The stable code.
    pub code: &'static str,
    /// The explanation.
    pub detail: String,
    /// The status that it has over HTTP.
    pub status: u16,
}

impl fmt::Display for DirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, detail, .. } = self;
        write!(f, "{code}: {detail}")
    }
}

impl Error for DirectError {}

impl From<Problem> for DirectError {
    fn from(problem: Problem) -> Self {
        Self {
            code: problem.code(),
            status: problem.status(),
            detail: problem.detail().to_owned(),
        }
    }
}

impl PluginService {
    /// Calls a plugin of the service, as a request over HTTP would. The caller has seen to it that this is allowed:
    /// tokens are those of HTTP.
    ///
    /// # Errors
    ///
    /// [`DirectError`], with the codes that HTTP has.
    pub async fn call(&self, call: DirectCall) -> Result<Vec<u8>, DirectError> {
        let shared = &self.shared;
        let world = shared.world();
        let plugin = world.host.get_with_version(&call.plugin);
        let (plugin, version) = plugin.map_err(|error| Problem::from(&error))?;
        let tenant = shared.tenant(&world, &call.plugin);
        let mut noted = Noted {
            tenant: tenant.clone(),
            began: call.began,
            usage: Usage::default(),
            code: "abandoned",
        };
        let result = async {
            let _place = tenant.admit(&plugin)?;
            let export = match &*call.export {
                "" => FUNCTION,
                export => export,
            };
            let limit = plugin.budget().input_bytes;
            if call.input.len() > limit {
                let detail = format!("the input may have at most {limit} bytes");
                return Err(Problem::new("body-too-large", detail));
            }
            let interface = tenant.interface(&plugin, &version).await?;
            let calling = Calling::of(&plugin, interface, export)?;
            let (export, input) = calling.input(export, call.input)?;
            let header = call.traceparent.as_deref().map(str::as_bytes);
            // It is no request over HTTP, and those alone become spans.
            let trace = TraceContext::of(header, false);
            let span = tracing::info_span!(
                target: "hostel::call",
                "call",
                plugin = &*tenant.name,
                export = &*export,
                request = %trace.trace(),
                parent = trace.parent(),
                traceparent = trace.header(),
            );
            let deadline = plugin.budget().deadline;
            let running = Call {
                plugin,
                tenant,
                export,
                input,
                began: call.began,
                request: OfRequest {
                    span,
                    trace: trace.number(),
                },
                around: call.around,
            };
            let Ended { result, usage } = until(deadline, call.began, running).await?;
            noted.usage = usage;
            Ok(match result? {
                Output::Bytes(bytes) => bytes,
                Output::Numbers(numbers) => media::array(&numbers).to_string().into_bytes(),
                Output::Json(text) => text.into_bytes(),
            })
        }
        .await;
        noted.code = result.as_ref().map_or_else(Problem::code, |_| OK);
        result.map_err(DirectError::from)
    }
}
