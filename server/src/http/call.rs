//! Calls of plugins.

use super::{
    Exchange, body,
    media::{self, Media},
};
use crate::{
    calls::{Call, Ended, Input, Lost, Output},
    logs::OfRequest,
    metrics::OK,
    problem::Problem,
    tenants::Tenant,
    typed::{self, Form, Interface, Named, NotFound},
};
use axum::{
    body::Body,
    http::{HeaderMap, Response},
};
use bytes::Bytes;
use hostel::{CallError, Convention, Extern, Plugin, Usage, ValType, Version};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The function that is called if the path names none.
pub(crate) const FUNCTION: &str = "process";

/// Most bytes of the numbers for a function.
const NUMBERS: usize = 16 << 10;

/// The time after its deadline at which a call that has not told so itself is given up: it waits for a thread.
const GRACE: Duration = Duration::from_millis(20);

/// How a function takes its arguments.
#[derive(Clone, Debug)]
pub(crate) enum Calling {
    /// One text or byte string, as the body.
    Bytes,
    /// Numbers, as a JSON array.
    Numbers(Box<[ValType]>),
    /// A component's function by this name.
    Component(Form, Box<str>, Arc<Interface>),
}

impl Calling {
    /// Returns how the function or operation `export` is called. For one that there is not, that is [`Self::Bytes`]: the
    /// call will tell.
    /// `interface` is that of the plugin if it is a component.
    pub(crate) fn of(
        plugin: &Plugin,
        interface: Option<Arc<Interface>>,
        export: &str,
    ) -> Result<Self, NotFound> {
        if let (Some(interface), Some(contract)) = (interface, plugin.contract()) {
            let Named { name, form } = typed::find(contract, &interface, export)?;
            return Ok(Self::Component(form, (*name).into(), interface));
        }
        Ok(Self::of_module(plugin, export))
    }

    /// Returns how a module's function or operation is called.
    pub(crate) fn of_module(plugin: &Plugin, export: &str) -> Self {
        if plugin.convention() != Convention::Native {
            return Self::Bytes;
        }
        let info = plugin.info();
        let is_number = |ty: &ValType| {
            matches!(
                ty,
                ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64
            )
        };
        match info.export_named(export).map(|export| &export.ty) {
            Some(Extern::Function(ty))
                if !(ty.is_bytes() && info.passes_bytes())
                    && ty.params.iter().chain(&ty.results).all(is_number) =>
            {
                Self::Numbers(ty.params.iter().copied().collect())
            }
            _ => Self::Bytes,
        }
    }

    /// Returns the function's full name, and its input from what a client sent.
    pub(crate) fn input(self, export: &str, sent: Bytes) -> Result<(Box<str>, Input), Problem> {
        Ok(match self {
            Self::Bytes => (export.into(), Input::Bytes(sent)),
            Self::Numbers(types) => {
                let numbers = match types.is_empty() && sent.is_empty() {
                    true => Vec::new(),
                    false => media::numbers(&sent, &types)?,
                };
                (export.into(), Input::Numbers(numbers))
            }
            Self::Component(Form::Bytes, name, _) => (name, Input::ComponentBytes(sent)),
            Self::Component(Form::Json { .. }, name, interface) => {
                (name, Input::Json(sent, interface))
            }
            Self::Component(Form::Resources, name, _) => return Err(resource_type(&name)),
        })
    }
}

pub(super) async fn call(
    exchange: &mut Exchange<'_>,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let name = exchange.param("name").to_owned();
    let export = match exchange.param("export") {
        "" => FUNCTION.to_owned(),
        export => export.to_owned(),
    };
    let world = exchange.world.clone();
    if !exchange.client()?.may_call(&name) {
        return Err(Problem::new(
            "forbidden",
            "the token does not allow to call this plugin",
        ));
    }
    let (plugin, version) = world
        .host
        .get_with_version(&name)
        .map_err(|error| Problem::from(&error))?;
    let tenant = exchange.shared.tenant(&world, &name);
    let mut noted = Noted {
        tenant: tenant.clone(),
        began: exchange.began,
        usage: Usage::default(),
        code: "abandoned",
    };
    exchange.line.plugin = name;
    exchange.line.export = export.clone();
    let loaded = (plugin, version);
    let result = admitted(exchange, body, loaded, tenant, export, &mut noted.usage).await;
    exchange.line.fuel = noted.usage.fuel;
    noted.code = result.as_ref().map_or_else(Problem::code, |_| OK);
    result
}

/// Makes the call, if its plugin's quotas admit it.
async fn admitted(
    exchange: &mut Exchange<'_>,
    body: Body,
    (plugin, version): (Plugin, Version),
    tenant: Arc<Tenant>,
    export: String,
    usage: &mut Usage,
) -> Result<Response<Body>, Problem> {
    // Before the body is read: a client that is refused sends none.
    let place = tenant.admit(&plugin)?;
    let interface = tenant.interface(&plugin, &version).await?;
    let calling = Calling::of(&plugin, interface, &export)?;
    // A body that comes later is of no use, and holds a place meanwhile.
    let left = plugin
        .budget()
        .deadline
        .map(|after| after.saturating_sub(exchange.began.elapsed()));
    let time = exchange
        .shared
        .body_timeout
        .min(left.unwrap_or(Duration::MAX));
    let headers = &exchange.parts.headers;
    let limit = plugin.budget().input_bytes;
    let (media, bytes) = match &calling {
        Calling::Component(Form::Resources, name, _) => return Err(resource_type(name)),
        Calling::Bytes | Calling::Component(Form::Bytes, ..) => {
            let media = Media::accepted(headers, Media::Bytes)?;
            (media, body::read(headers, body, limit, time).await?)
        }
        Calling::Numbers(types) => {
            expect_json(headers, !types.is_empty())?;
            (Media::Json, body::read(headers, body, NUMBERS, time).await?)
        }
        Calling::Component(Form::Json { takes_any }, ..) => {
            expect_json(headers, *takes_any)?;
            (Media::Json, body::read(headers, body, limit, time).await?)
        }
    };
    exchange.line.bytes_in = bytes.len();
    let (export, input) = calling.input(&export, bytes)?;
    let span = tracing::info_span!(
        target: "hostel::call",
        "call",
        plugin = &*tenant.name,
        export = &*export,
        request = %exchange.trace.trace(),
        parent = exchange.trace.parent(),
        traceparent = exchange.trace.header(),
    );
    let deadline = plugin.budget().deadline;
    let call = Call {
        plugin,
        tenant,
        export,
        input,
        began: exchange.began,
        request: OfRequest {
            span,
            trace: exchange.trace.number(),
        },
        around: None,
    };
    let Ended {
        result,
        usage: used,
    } = until(deadline, exchange.began, call).await?;
    *usage = used;
    let output = match result? {
        Output::Bytes(bytes) => media.checked(bytes)?,
        Output::Numbers(numbers) => media::array(&numbers).to_string().into_bytes(),
        Output::Json(text) => text.into_bytes(),
    };
    exchange.line.bytes_out = output.len();
    // Until the client has taken the output: else those that read slowly would have any number in memory.
    Ok(media.response(body::held(output, place)))
}

/// Says that a function can't be called, since handles don't leave the server.
fn resource_type(name: &str) -> Problem {
    Problem::new("resource-type", format!("`{name}`"))
}

/// Checks that a client takes JSON, and sends it if the function takes arguments.
fn expect_json(headers: &HeaderMap, takes_any: bool) -> Result<(), Problem> {
    if Media::accepted(headers, Media::Json)? != Media::Json {
        return Err(Problem::new(
            "not-acceptable",
            "the function returns JSON: accept application/json",
        ));
    }
    if takes_any && !Media::is_json(headers) {
        return Err(Problem::new(
            "bad-media-type",
            "the function takes JSON: send its arguments as an array, as application/json",
        ));
    }
    Ok(())
}

/// Awaits a call, until its deadline has passed.
pub(crate) async fn until(
    deadline: Option<Duration>,
    began: Instant,
    call: Call,
) -> Result<Ended, Problem> {
    let (running, _gone) = call.start();
    let lost = |_: Lost| Problem::new("no-result", "");
    let end =
        deadline.and_then(|after| Some((after, began.checked_add(after)?.checked_add(GRACE)?)));
    let Some((after, end)) = end else {
        return running.await.map_err(lost);
    };
    match tokio::time::timeout_at(end.into(), running).await {
        Ok(ended) => ended.map_err(lost),
        Err(_) => Err(Problem::from(&CallError::Deadline { after })),
    }
}

/// Notes a call in the figures when it ends, also if its client has gone.
pub(crate) struct Noted {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) began: Instant,
    pub(crate) usage: Usage,
    pub(crate) code: &'static str,
}

impl Drop for Noted {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        self.tenant.figures.call(self.code, took, &self.usage);
    }
}
