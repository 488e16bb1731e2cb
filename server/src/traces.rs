//! Requests as spans, sent to a collector of OpenTelemetry by OTLP over HTTP: the feature `otlp`.

use crate::{access_log::Line, trace_context::TraceContext};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor as _},
};
use std::{
    io,
    time::{Duration, SystemTime},
};

/// Longest time of a request to the collector.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time for which the end of the server waits for the last spans.
const LAST: Duration = Duration::from_secs(5);

/// Where spans go. They wait in a queue of 2,048, from which a thread sends them; those that find no room are dropped: no
/// request waits for the collector.
pub(crate) struct Traces {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
}

impl Traces {
    /// Starts the thread. `endpoint` is the whole URL, such as `http://127.0.0.1:4318/v1/traces`.
    pub(crate) fn start(endpoint: &str) -> io::Result<Self> {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client(config.new_agent()))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .build()
            .map_err(io::Error::other)?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let resource = Resource::builder().with_service_name("hostel").build();
        processor.set_resource(&resource);
        let scope = InstrumentationScope::builder("hostel-server")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Ok(Self { processor, scope })
    }

    /// Sends the span of a request that has ended, unless its caller's part of the trace is not recorded.
    pub(crate) fn request(&self, line: &Line, trace: &TraceContext, status: u16, took: Duration) {
        if !trace.is_sampled() {
            return;
        }
        let end = SystemTime::now();
        let mut attributes = vec![
            KeyValue::new("http.request.method", line.method.clone()),
            KeyValue::new("http.route", line.route),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        for (name, value) in [
            ("error.type", line.code),
            ("hostel.plugin", &line.plugin),
            ("hostel.export", &line.export),
            ("hostel.client", &line.client),
        ] {
            if !value.is_empty() {
                attributes.push(KeyValue::new(name, value.to_owned()));
            }
        }
        if line.fuel > 0 {
            let fuel = i64::try_from(line.fuel).unwrap_or(i64::MAX);
            attributes.push(KeyValue::new("hostel.fuel", fuel));
        }
        let (span, parent) = trace.spans();
        self.processor.on_end(SpanData {
            span_context: SpanContext::new(
                TraceId::from(trace.number()),
                SpanId::from(span),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: SpanId::from(parent),
            parent_span_is_remote: parent != 0,
            span_kind: SpanKind::Server,
            name: format!("{} {}", line.method, line.route).into(),
            start_time: end.checked_sub(took).unwrap_or(end),
            end_time: end,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            // The client's errors are none of the server's.
            status: match status {
                500.. => Status::error(line.code),
                _ => Status::Unset,
            },
            instrumentation_scope: self.scope.clone(),
        });
    }
}

impl Drop for Traces {
    /// Sends the spans that wait.
    fn drop(&mut self) {
        // Without an answer of the collector, they are lost.
        let _ = self.processor.shutdown_with_timeout(LAST);
    }
}

/// The client that `hostel` has for plugins, for the thread of the processor, which may wait.
#[derive(Debug)]
struct Client(ureq::Agent);

// As the macro of the trait writes it.
impl HttpClient for Client {
    fn send_bytes<'c, 'r>(
        &'c self,
        request: Request<Bytes>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'r>>
    where
        'c: 'r,
        Self: 'r,
    {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let answer = self.0.run(Request::from_parts(parts, &body[..]))?;
            let (parts, mut body) = answer.into_parts();
            Ok(Response::from_parts(parts, body.read_to_vec()?.into()))
        })
    }
}
